"""The address space against a model of it: a dict of pages.

The calls of syscalls/memory.py act on an `AddressSpace` without an engine.  What stands for the engine
is a TLB that keeps every translation it was given until it is told to forget them, so that a
forgotten `flush` shows as well as a wrong byte.
"""

from __future__ import annotations

import errno
import gc
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from emu.arena import Arena
from emu.engine import EXEC, PAGE_MASK, PAGE_SIZE, READ, WRITE
from kernel.fault import BEYOND_FILE, NOT_ALLOWED, NOT_MAPPED
from kernel.mm import AddressSpace
from syscalls import memory
from vfs.file import O_RDWR, File
from vfs.pages import FilePages
from vfs.shmem import ShmemPages

BASE = 0x1000_0000
WINDOW = 24  # pages
FILE_PAGES = 6
UNLIMITED = (1 << 64) - 1
ARENA = Arena(1 << 30)
ZERO_FRAME = ARENA.alloc()
ARCH = SimpleNamespace(TASK_SIZE=0x7FFF_FFFF_F000, MMAP_BASE=0x7FFF_F7FF_F000)


class MemoryFile(File):
    """An open file that is nothing but pages."""

    __slots__ = ("content",)

    def __init__(self, content: ShmemPages) -> None:
        super().__init__(None, O_RDWR, b"/file")  # type: ignore[arg-type]
        self.content = content
        self.refs = 1

    def mapping(self) -> FilePages:
        return self.content


@dataclass(eq=False)
class Store:
    """The model of a file, or of shared anonymous memory: its length in bytes and its pages."""

    size: int
    pages: dict[int, bytearray] = field(default_factory=dict)

    def page(self, index: int) -> bytearray | None:
        """None beyond the end."""
        if index * PAGE_SIZE >= self.size:
            return None
        return self.pages.setdefault(index, bytearray(PAGE_SIZE))

    def truncate(self, size: int) -> None:
        """A file in memory that grows keeps what a mapping has written behind its end."""
        shrinks, self.size = size < self.size, size
        for index in [i for i in self.pages if i * PAGE_SIZE >= size]:
            del self.pages[index]
        if shrinks and size % PAGE_SIZE and size // PAGE_SIZE in self.pages:
            self.pages[size // PAGE_SIZE][size % PAGE_SIZE :] = bytes(PAGE_SIZE - size % PAGE_SIZE)


@dataclass(eq=False)
class Page:
    """The model of a mapped page.  `own` is a private copy; `origin` tells mappings apart."""

    prot: int
    shared: bool
    store: Store | None
    index: int
    origin: object
    own: bytearray | None = None

    def data(self) -> bytearray | None:
        """What a reader sees; None for SIGBUS."""
        if self.own is not None:
            return self.own
        if self.store is None:
            return bytearray(PAGE_SIZE)
        return self.store.page(self.index)

    def writable(self) -> bytearray | None:
        """What a writer writes to; None for SIGBUS."""
        if self.shared:
            assert self.store is not None
            return self.store.page(self.index)
        if self.own is None:
            seen = self.data()
            self.own = None if seen is None else bytearray(seen)
        return self.own

    @property
    def perms(self) -> int:
        return self.prot | READ if self.prot else 0


pages_at = st.integers(0, WINDOW - 1)
lengths = st.integers(1, 8)
prots = st.sampled_from([0, READ, READ | WRITE, READ | WRITE, READ | WRITE, READ | EXEC, READ | WRITE | EXEC, WRITE])
offsets = st.integers(0, PAGE_SIZE - 1)
accesses = st.sampled_from([READ, WRITE, WRITE, EXEC])


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        gc.collect()  # the pages of the machine before
        self.before = ARENA.used
        self.tlb: dict[int, int] = {}
        self.kernel = SimpleNamespace(
            arch=ARCH,
            arena=ARENA,
            zero_frame=ZERO_FRAME,
            in_kernel=True,
            flush=lambda mm: self.tlb.clear(),
            count_fault=lambda major=False: None,
            commit=lambda pages: None,
            may_map_low=lambda: False,
            shared_memory=self.shared_memory,
        )
        limits = dict.fromkeys(range(16), (UNLIMITED, UNLIMITED))
        self.mm = AddressSpace(self.kernel, limits)  # type: ignore[arg-type]
        self.files = [MemoryFile(ShmemPages(ARENA)) for _ in range(2)]
        self.stores = [Store(0) for _ in range(2)]
        self.task: Any = SimpleNamespace(
            mm=self.mm,
            kernel=self.kernel,
            personality=0,
            rlimits=limits,
            files=SimpleNamespace(get=lambda fd: self.files[fd]),
        )
        self.model: dict[int, Page] = {}
        self.fill = 0

    def shared_memory(self, size: int) -> FilePages:
        pages = ShmemPages(ARENA)
        pages.resize(size)
        return pages

    def call(self, handler: Any, *args: int) -> int:
        """A system call: its result, or minus its errno."""
        try:
            return int(handler(self.task, *args))
        except OSError as error:
            assert error.errno is not None
            return -error.errno

    def byte(self) -> int:
        self.fill = self.fill % 255 + 1
        return self.fill

    # The guest's view

    def touch(self, address: int, access: int) -> int | None:
        """A load, store or fetch by the guest: the physical address, or None with `mm.refusal` set."""
        number = address >> 12
        entry = self.tlb.get(number, 0)
        if not entry & access:
            entry = self.mm.pages.get(number, 0)
            if not entry & access:
                self.kernel.in_kernel = False
                entry = self.mm.fault(address, access)
                self.kernel.in_kernel = True
                if not entry:
                    return None
            self.tlb[number] = entry
        return (entry & PAGE_MASK) + address % PAGE_SIZE

    # Calls

    @initialize(sizes=st.lists(st.integers(0, FILE_PAGES * PAGE_SIZE), min_size=2, max_size=2))
    def sizes(self, sizes: list[int]) -> None:
        for number, size in enumerate(sizes):
            self.truncate(number, size)

    @rule(number=st.integers(0, 1), size=st.integers(0, FILE_PAGES * PAGE_SIZE))
    def truncate(self, number: int, size: int) -> None:
        self.files[number].content.resize(size)
        store = self.stores[number]
        first_gone = -(-size // PAGE_SIZE)
        shrinks = size < store.size
        store.truncate(size)
        for page in self.model.values():
            if shrinks and page.store is store and page.index >= first_gone:
                page.own = None  # private copies go too

    @rule(at=pages_at, count=lengths, prot=prots, shared=st.booleans(), populate=st.booleans())
    def map_anonymous(self, at: int, count: int, prot: int, shared: bool, populate: bool) -> None:
        kind = memory.MAP_SHARED if shared else memory.MAP_PRIVATE
        flags = kind | memory.MAP_ANONYMOUS | memory.MAP_FIXED | (memory.MAP_POPULATE if populate else 0)
        address = BASE + at * PAGE_SIZE
        assert self.call(memory.sys_mmap, address, count * PAGE_SIZE, prot, flags, -1, 0) == address
        store = Store(count * PAGE_SIZE) if shared else None
        origin = object()
        for n in range(count):
            self.model[at + n] = Page(prot, shared, store, n, origin)

    @rule(
        at=pages_at, count=lengths, prot=prots, shared=st.booleans(), number=st.integers(0, 1), first=st.integers(0, 4)
    )
    def map_file(self, at: int, count: int, prot: int, shared: bool, number: int, first: int) -> None:
        flags = (memory.MAP_SHARED if shared else memory.MAP_PRIVATE) | memory.MAP_FIXED
        address = BASE + at * PAGE_SIZE
        assert self.call(memory.sys_mmap, address, count * PAGE_SIZE, prot, flags, number, first * PAGE_SIZE) == address
        origin = object()
        for n in range(count):
            self.model[at + n] = Page(prot, shared, self.stores[number], first + n, origin)

    @rule(at=pages_at, count=lengths)
    def map_where_there_is_room(self, at: int, count: int) -> None:
        flags = memory.MAP_PRIVATE | memory.MAP_ANONYMOUS | memory.MAP_FIXED_NOREPLACE
        address = BASE + at * PAGE_SIZE
        got = self.call(memory.sys_mmap, address, count * PAGE_SIZE, READ | WRITE, flags, -1, 0)
        if any(at + n in self.model for n in range(count)):
            assert got == -errno.EEXIST
            return
        assert got == address
        origin = object()
        for n in range(count):
            self.model[at + n] = Page(READ | WRITE, False, None, n, origin)

    @rule(at=pages_at, count=lengths)
    def unmap(self, at: int, count: int) -> None:
        assert self.call(memory.sys_munmap, BASE + at * PAGE_SIZE, count * PAGE_SIZE) == 0
        for n in range(count):
            self.model.pop(at + n, None)

    @rule(at=pages_at, count=lengths, prot=prots)
    def protect(self, at: int, count: int, prot: int) -> None:
        got = self.call(memory.sys_mprotect, BASE + at * PAGE_SIZE, count * PAGE_SIZE, prot)
        for n in range(count):
            if at + n not in self.model:
                assert got == -errno.ENOMEM
                return
            self.model[at + n].prot = prot
        assert got == 0

    @rule(at=pages_at, count=lengths)
    def forget(self, at: int, count: int) -> None:
        got = self.call(memory.sys_madvise, BASE + at * PAGE_SIZE, count * PAGE_SIZE, memory.MADV_DONTNEED)
        covered = [self.model.get(at + n) for n in range(count)]
        for page in covered:
            if page is not None:
                page.own = None
        assert got == (0 if all(covered) else -errno.ENOMEM)

    def one_mapping(self, at: int, count: int) -> bool:
        """Pages that certainly lie in one VMA."""
        pages = [self.model.get(at + n) for n in range(count)]
        first = pages[0]
        return first is not None and all(
            p is not None and p.origin is first.origin and p.prot == first.prot and p.index == first.index + n
            for n, p in enumerate(pages)
        )

    @rule(at=pages_at, old=lengths, new=lengths)
    def resize(self, at: int, old: int, new: int) -> None:
        if not self.one_mapping(at, old) or at + new > WINDOW + 8:
            return
        got = self.call(memory.sys_mremap, BASE + at * PAGE_SIZE, old * PAGE_SIZE, new * PAGE_SIZE, 0, 0)
        if new > old and any(at + n in self.model for n in range(old, new)):
            assert got == -errno.ENOMEM
            return
        assert got == BASE + at * PAGE_SIZE
        for n in range(new, old):
            del self.model[at + n]
        last = self.model[at + min(old, new) - 1]
        for n in range(old, new):
            self.model[at + n] = replace(last, index=last.index + n - old + 1, own=None)

    @rule(at=pages_at, old=lengths, to=pages_at, new=lengths)
    def move(self, at: int, old: int, to: int, new: int) -> None:
        if not self.one_mapping(at, old) or (at < to + new and to < at + old):
            return
        flags = memory.MREMAP_MAYMOVE | memory.MREMAP_FIXED
        source, target = BASE + at * PAGE_SIZE, BASE + to * PAGE_SIZE
        assert self.call(memory.sys_mremap, source, old * PAGE_SIZE, new * PAGE_SIZE, flags, target) == target
        moved = [self.model.pop(at + n) for n in range(old)]
        for n in range(new):
            self.model.pop(to + n, None)
        origin = object()
        last = moved[min(old, new) - 1]
        for n in range(new):
            page = moved[n] if n < old else replace(last, index=last.index + n - old + 1, own=None)
            self.model[to + n] = replace(page, origin=origin)

    # Loads and stores

    @precondition(lambda self: self.model)
    @rule(at=pages_at, offset=offsets, access=accesses)
    def guest_access(self, at: int, offset: int, access: int) -> None:
        where = self.touch(BASE + at * PAGE_SIZE + offset, access)
        page = self.model.get(at)
        if page is None:
            assert where is None and self.mm.refusal == NOT_MAPPED
        elif not page.perms & access:
            assert where is None and self.mm.refusal == NOT_ALLOWED
        else:
            data = page.writable() if access == WRITE else page.data()
            if data is None:
                assert where is None and self.mm.refusal == BEYOND_FILE
            else:
                assert where is not None and ARENA.view_all[where] == data[offset]
                if access == WRITE:
                    ARENA.view_all[where] = data[offset] = self.byte()

    @precondition(lambda self: self.model)
    @rule(at=pages_at, offset=offsets, size=st.integers(0, 3 * PAGE_SIZE))
    def kernel_write(self, at: int, offset: int, size: int) -> None:
        data = bytes([self.byte()]) * size
        try:
            self.mm.write(BASE + at * PAGE_SIZE + offset, data)
            complete = True
        except OSError as error:
            assert error.errno == errno.EFAULT
            complete = False
        done, number, start = 0, at, offset
        while done < size:
            page = self.model.get(number)
            target = page.writable() if page is not None and page.prot & WRITE else None
            if target is None:
                break
            piece = min(size - done, PAGE_SIZE - start)
            target[start : start + piece] = data[:piece]
            done, number, start = done + piece, number + 1, 0
        assert complete == (done == size)

    @invariant()
    def everything_reads_as_the_model_says(self) -> None:
        for number in range(WINDOW + 8):
            page = self.model.get(number)
            where = self.touch(BASE + number * PAGE_SIZE, READ)
            if page is None or not page.perms:
                assert where is None, number
                continue
            data = page.data()
            assert (where is None) == (data is None), number
            if where is not None and data is not None:
                assert ARENA.view_all[where : where + PAGE_SIZE] == data, number

    @invariant()
    def mappings_are_in_order(self) -> None:
        mapped: set[int] = set()
        end = 0
        for vma in self.mm.vmas:
            assert end <= vma.start < vma.end
            end = vma.end
            mapped.update(range((vma.start - BASE) // PAGE_SIZE, (vma.end - BASE) // PAGE_SIZE))
            for number in range((vma.start - BASE) // PAGE_SIZE, (vma.end - BASE) // PAGE_SIZE):
                assert self.model[number].prot == vma.prot and self.model[number].shared == vma.shared
        assert mapped == set(self.model)
        assert self.mm.total == len(mapped)

    def teardown(self) -> None:
        """Every frame comes back."""
        self.mm.release()
        assert all(f.refs == 1 and not f.content.writable_maps and not f.content.on_drop for f in self.files)
        del self.task
        self.files.clear()
        gc.collect()
        assert ARENA.used == self.before


Machine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestMemory = Machine.TestCase

"""Forks that share frozen page tables, against address spaces that are bytes in a dict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import kernel.pagetable as pagetable
from emu.arch import x86_64
from emu.engine import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, READ, WRITE
from kernel.kernel import Kernel
from kernel.mm import AddressSpace
from kernel.rlimit import initial_rlimits
from kernel.rusage import peak_rss
from syscalls.dispatch import build

BASE = 0x4000_0000
PAGES = 80  # five blocks
SHARED = 72  # the last of them are a shared mapping


@pytest.fixture(autouse=True)
def small_tables_are_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pagetable, "FREEZE_PAGES", 6)
    yield


class Space:
    """An address space and what it must hold: page -> its first byte; no entry where nothing is mapped."""

    def __init__(self, mm: AddressSpace, shared: dict[int, int]) -> None:
        self.mm = mm
        self.bytes: dict[int, int] = {}
        self.wiped: set[int] = set()
        self.shared = shared

    def expected(self, page: int) -> int | None:
        return self.shared[page] if page >= SHARED else self.bytes.get(page)


class Forks(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = Kernel(x86_64, build({}))  # no guest runs, so there are no calls
        self.kernel.count_fault = lambda **kind: None  # type: ignore[method-assign]  # nobody has the CPU
        self.used = self.kernel.arena.used
        self.spaces: list[Space] = []

    @initialize()
    def start(self) -> None:
        mm = AddressSpace(self.kernel, initial_rlimits())
        mm.map(BASE, SHARED * PAGE_SIZE, READ | WRITE, fixed=True)
        size = (PAGES - SHARED) * PAGE_SIZE
        self.memory = pages = self.kernel.shared_memory(size)
        mm.map(BASE + SHARED * PAGE_SIZE, size, READ | WRITE, fixed=True, shared=True, pages=pages)
        space = Space(mm, dict.fromkeys(range(SHARED, PAGES), 0))
        space.bytes = dict.fromkeys(range(SHARED), 0)
        self.spaces.append(space)

    def choose(self, which: int) -> Space:
        return self.spaces[which % len(self.spaces)]

    which = st.integers(0, 5)
    page = st.integers(0, PAGES - 1)
    count = st.integers(1, 40)

    @rule(which=which, page=page, count=count, value=st.integers(1, 255))
    def write(self, which: int, page: int, count: int, value: int) -> None:
        space = self.choose(which)
        for number in range(page, min(page + count, PAGES)):
            address = BASE + number * PAGE_SIZE
            if space.expected(number) is None:
                with pytest.raises(OSError):
                    space.mm.write(address, bytes([value]))
                continue
            space.mm.write(address, bytes([value]))
            (space.shared if number >= SHARED else space.bytes)[number] = value

    @rule(which=which, page=page)
    def read(self, which: int, page: int) -> None:
        self.check(self.choose(which), page)

    def check(self, space: Space, page: int) -> None:
        value = space.expected(page)
        if value is None:
            with pytest.raises(OSError):
                space.mm.read(BASE + page * PAGE_SIZE, 1)
        else:
            assert space.mm.read(BASE + page * PAGE_SIZE, 1)[0] == value

    @rule(which=which)
    def fork(self, which: int) -> None:
        if len(self.spaces) < 5:
            parent = self.choose(which)
            child = Space(parent.mm.fork(initial_rlimits()), parent.shared)
            child.bytes = {number: 0 if number in parent.wiped else byte for number, byte in parent.bytes.items()}
            child.wiped = parent.wiped.copy()
            self.spaces.append(child)

    @rule(which=which)
    def exit(self, which: int) -> None:
        if len(self.spaces) > 1:
            space = self.choose(which)
            self.spaces.remove(space)
            space.mm.release()

    @rule(which=which, page=page, count=count, again=st.booleans())
    def unmap(self, which: int, page: int, count: int, again: bool) -> None:
        space = self.choose(which)
        count = min(count, SHARED - page)
        if count <= 0:
            return
        space.mm.unmap(BASE + page * PAGE_SIZE, count * PAGE_SIZE)
        for number in range(page, page + count):
            space.bytes.pop(number, None)
            space.wiped.discard(number)
        if again:
            space.mm.map(BASE + page * PAGE_SIZE, count * PAGE_SIZE, READ | WRITE, fixed=True)
            space.bytes.update(dict.fromkeys(range(page, page + count), 0))

    @rule(which=which, page=page, count=count)
    def protect(self, which: int, page: int, count: int) -> None:
        """Away and back: what was frozen writable must not become writable unseen."""
        space = self.choose(which)
        for prot in (READ, READ | WRITE):
            for number in range(page, min(page + count, SHARED)):
                if number in space.bytes:
                    space.mm.protect(BASE + number * PAGE_SIZE, PAGE_SIZE, prot)

    @rule(which=which, page=page, to=page, count=st.integers(1, 20))
    def move(self, which: int, page: int, to: int, count: int) -> None:
        space = self.choose(which)
        source, target = range(page, page + count), range(to, to + count)
        mapped = all(number in space.bytes for number in source)
        if not mapped or target.stop > SHARED or any(number in space.bytes for number in target):
            return
        for number, place in zip(source, target, strict=True):
            space.mm.move(BASE + number * PAGE_SIZE, PAGE_SIZE, BASE + place * PAGE_SIZE, PAGE_SIZE)
            space.bytes[place] = space.bytes.pop(number)
            if number in space.wiped:
                space.wiped.remove(number)
                space.wiped.add(place)

    @rule(which=which, page=page, count=count, value=st.booleans())
    def wipe_on_fork(self, which: int, page: int, count: int, value: bool) -> None:
        """MADV_WIPEONFORK: children find zeros."""
        space = self.choose(which)
        for number in range(page, min(page + count, SHARED)):
            if number in space.bytes:
                space.mm.set_flag(BASE + number * PAGE_SIZE, PAGE_SIZE, "wipeonfork", value)
                (space.wiped.add if value else space.wiped.discard)(number)

    @invariant()
    def references_add_up(self) -> None:
        """Every frame has as many references as there are entries for it, frozen ones once."""
        counted: dict[int, int] = {}
        frozen: dict[int, Any] = {}
        for space in self.spaces:
            mm = space.mm
            unseen = 0
            for number, entry in mm.pages.items():
                frame = entry & PAGE_MASK
                counted[frame] = counted.get(frame, 0) + 1
                vma = mm.find(number << PAGE_SHIFT)
                assert vma is not None
                if entry & WRITE and not vma.shared:
                    assert not self.kernel.arena.shared(frame)
            if mm.frozen is not None:
                assert mm in mm.frozen.owners
                frozen[id(mm.frozen)] = mm.frozen
                hidden = [n for n in mm.frozen.entries if n >> pagetable.THAW_SHIFT not in mm.thawed]
                assert not set(hidden) & set(mm.pages)
                unseen = len(hidden)
            assert (mm.unseen, mm.present()) == (unseen, unseen + len(mm.pages))
            assert peak_rss(mm) >= mm.present()
        for each in frozen.values():
            for entry in each.entries.values():
                frame = entry & PAGE_MASK
                counted[frame] = counted.get(frame, 0) + 1
        for frame in (self.kernel.zero_frame, *self.memory.pages.values()):
            counted[frame] = counted.get(frame, 0) + 1  # the kernel's own
        for frame, count in counted.items():
            assert self.kernel.arena.refs[frame >> PAGE_SHIFT] == count

    def teardown(self) -> None:
        for space in self.spaces:
            for page in range(PAGES):
                self.check(space, page)
        while self.spaces:
            self.spaces.pop().mm.release()
        assert self.kernel.arena.used - self.used == len(self.memory.pages)


def test_forks() -> None:
    run_state_machine_as_test(Forks, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))

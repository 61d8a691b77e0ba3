"""Address spaces: Linux's ``struct mm_struct``, its VMAs, page table, page faults and brk.

The page table (kernel/pagetable.py) is a dict the engine reads directly.  Entries appear on demand
in `fault`; whenever one that the engine may have cached goes away or loses a permission, the engine
is told to forget its translations.  Private pages share frames with the page cache, the zero page or
(after fork) other address spaces, without write permission, until the first write copies them.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from typing import TYPE_CHECKING

from emu.engine import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, WRITE
from kernel.fault import FileMapping
from kernel.mprotect import Protection
from kernel.vma import PROT_NONE, Vma
from kernel.vma import page_up as page_up

if TYPE_CHECKING:
    from kernel.aio import AioContext
    from kernel.kernel import Kernel
    from vfs.file import File
    from vfs.pages import FilePages

RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK, RLIMIT_AS = 2, 3, 8, 9
MAX_MAP_COUNT = 65530
PR_MDWE_REFUSE_EXEC_GAIN, PR_MDWE_NO_INHERIT = 1, 2
MMAP_MIN_ADDR = 65536
_STACK_GUARD = 256 * PAGE_SIZE  # stack_guard_gap


class AddressSpace(Protection):
    """struct mm_struct.  Addresses and sizes are bytes; methods raise OSError with mmap(2)'s errors."""

    def __init__(self, kernel: Kernel, rlimits: dict[int, tuple[int, int]]) -> None:
        super().__init__()
        self.kernel = kernel
        self.arena = kernel.arena
        self.memory = kernel.arena.view_all
        self.physical = kernel.arena.memory.map
        self.rlimits = rlimits
        self.task_size: int = kernel.arch.TASK_SIZE
        self.mmap_base: int = kernel.arch.MMAP_BASE
        self.vmas: list[Vma] = []
        self._starts: list[int] = []  # the same list's start addresses, for bisection
        # There is no gap of `_full_size` bytes from here to the mmap base; 0: nothing is known
        self._full_from = self._full_size = 0
        self.brk_start = 0
        self.brk = 0
        self.stack_vma: Vma | None = None
        self.peak_pages = 0
        self.total = 0  # pages mapped
        self.committed = 0  # pages that count against the memory limit
        self.locked_future = False
        self.membarrier = 0  # registrations, as the bits of membarrier(2)'s commands
        self.users = 1
        self.mdwe = 0  # PR_SET_MDWE
        self.coredump_filter = 0x33  # core(5): kept and given back
        self.dumpable = 1  # PR_SET_DUMPABLE: 1, or 0 where only root may look
        # /proc and auxv: where exec put things
        self.code_range = self.data_range = (0, 0)
        self.stack_start = 0
        self.exe_file: File | None = None  # nobody may write to it
        self.aio: dict[int, AioContext] | None = None  # ioctx_table

    # VMAs

    def find(self, address: int) -> Vma | None:
        """The VMA that contains `address`."""
        at = bisect_right(self._starts, address) - 1
        if at >= 0:
            vma = self.vmas[at]
            if address < vma.end:
                return vma
        return None

    def overlapping(self, start: int, end: int) -> list[Vma]:
        """VMAs that share at least a byte with [start, end), in order."""
        at = bisect_right(self._starts, start) - 1
        if at < 0 or self.vmas[at].end <= start:
            at += 1
        stop = at
        while stop < len(self.vmas) and self.vmas[stop].start < end:
            stop += 1
        return self.vmas[at:stop]

    def _insert(self, vma: Vma) -> Vma:
        """Add a VMA to free space, joined with its neighbours where Linux would."""
        at = bisect_right(self._starts, vma.start)
        if at > 0 and vma.continues(self.vmas[at - 1]):
            before = self.vmas[at - 1]
            before.end = vma.end
            vma = before
            at -= 1
        else:
            self.vmas.insert(at, vma)
            self._starts.insert(at, vma.start)
        if at + 1 < len(self.vmas) and self.vmas[at + 1].continues(vma):
            after = self.vmas[at + 1]
            vma.end = after.end
            self._drop_pages(after)
            del self.vmas[at + 1], self._starts[at + 1]
        return vma

    def _remove(self, vma: Vma) -> None:
        at = bisect_right(self._starts, vma.start) - 1
        del self.vmas[at], self._starts[at]

    def may_split(self, start: int, end: int) -> list[Vma]:
        """`overlapping`.  Raises EINVAL if a boundary falls inside a mapping that is one for ever."""
        found = self.overlapping(start, end)
        if found:
            first, last = found[0], found[-1]
            if (first.special and first.start < start) or (last.special and last.end > end):
                raise OSError(errno.EINVAL, "a special mapping cannot be split")
        return found

    def _isolate(self, start: int, end: int, limit: int = MAX_MAP_COUNT) -> list[Vma]:
        """Split VMAs so that those overlapping [start, end) lie wholly inside it; returns them.  Raises ENOMEM
        before there would be more of them than `limit`; one split may have been made then."""
        inside = []
        for vma in self.may_split(start, end):
            if (vma.start < start or vma.end > end) and len(self.vmas) >= limit:
                raise OSError(errno.ENOMEM, "too many mappings")
            if vma.start < start:
                tail = vma.clone(start, vma.end)
                vma.end = start
                at = bisect_right(self._starts, vma.start)
                self.vmas.insert(at, tail)
                self._starts.insert(at, start)
                self._hold_pages(tail)
                vma = tail
                if vma.end > end and len(self.vmas) >= limit:
                    raise OSError(errno.ENOMEM, "too many mappings")
            if vma.end > end:
                tail = vma.clone(end, vma.end)
                vma.end = end
                at = bisect_right(self._starts, vma.start)
                self.vmas.insert(at, tail)
                self._starts.insert(at, end)
                self._hold_pages(tail)
            inside.append(vma)
        return inside

    def _rejoin(self, start: int, end: int) -> None:
        """After `_isolate` and a change: join what has become alike again."""
        at = max(0, bisect_right(self._starts, start) - 2)
        while at + 1 < len(self.vmas) and self.vmas[at].start <= end:
            after, vma = self.vmas[at], self.vmas[at + 1]
            if vma.continues(after):
                after.end = vma.end
                self._drop_pages(vma)
                del self.vmas[at + 1], self._starts[at + 1]
            else:
                at += 1

    def _hold_pages(self, vma: Vma) -> None:
        """A VMA that maps a file came into being.  Raises OSError if the file is not to be mapped any more."""
        if vma.file is not None:
            vma.file.vma_open()
        if vma.pages is not None:
            if vma.shared and vma.may & WRITE:
                vma.pages.writable_maps += 1
            vma.pages.on_drop[id(vma)] = FileMapping(self, vma)

    def _drop_pages(self, vma: Vma) -> None:
        """A VMA that maps a file is gone."""
        if vma.pages is not None:
            del vma.pages.on_drop[id(vma)]
            if vma.shared and vma.may & WRITE:
                vma.pages.writeback()
                vma.pages.writable_maps -= 1
        if vma.file is not None:
            vma.file.vma_close()

    def gap(self, size: int, below: int | None = None) -> int:
        """The highest free range of `size` bytes below the mmap base (vm_unmapped_area, top-down)."""
        top = below or self.mmap_base
        if below is None and self._full_from and size >= self._full_size:
            top = self._full_from
        at = bisect_right(self._starts, top - 1) - 1
        while at >= 0:
            vma = self.vmas[at]
            if top - vma.end >= size:
                break
            top = min(top, vma.start - (_STACK_GUARD if vma.growsdown else 0))
            at -= 1
        if at >= 0 or top - MMAP_MIN_ADDR >= size:
            if below is None:
                self._full_from, self._full_size = top, size
            return top - size
        if below is None:  # bottom-up above the base, as Linux does when the area is full
            base = self.mmap_base
            for vma in self.overlapping(base, self.task_size):
                if vma.start - base >= size:
                    return base
                base = vma.end
            if self.task_size - base >= size:
                return base
        raise OSError(errno.ENOMEM, "no room in the address space")

    # mmap and its relatives

    def map(
        self,
        address: int,
        size: int,
        prot: int,
        *,
        shared: bool = False,
        file: File | None = None,
        pages: FilePages | None = None,
        offset: int = 0,
        fixed: bool = False,
        noreplace: bool = False,
        growsdown: bool = False,
        noreserve: bool = False,
        populate: bool = False,
        may: int = 7,
        name: bytes = b"",
    ) -> int:
        """Map `size` bytes (rounded up) and return the address.

        A file is mapped through its `File.mapping()`; `pages` maps shared anonymous memory.
        """
        size = page_up(size)
        if size == 0:
            raise OSError(errno.EINVAL, "empty mapping")
        if size > self.task_size:
            raise OSError(errno.ENOMEM, "mapping too large")
        if fixed or noreplace:
            if address & ~PAGE_MASK:
                raise OSError(errno.EINVAL, "address is not a page's")
            if address > self.task_size - size:
                raise OSError(errno.ENOMEM, "outside the address space")
            if address < MMAP_MIN_ADDR and not self.kernel.may_map_low():
                raise OSError(errno.EPERM, "below vm.mmap_min_addr")
            if noreplace and self.overlapping(address, address + size):
                raise OSError(errno.EEXIST, "something is mapped there")
        else:
            address = self._place(page_up(address), size)
        zero_backed = file is not None and getattr(file, "zero_backed", False)
        vma = Vma(address, address + size, prot)
        vma.may = may
        vma.shared = shared
        vma.growsdown = growsdown
        vma.noreserve = noreserve
        vma.name = name
        if file is not None and not (zero_backed and not shared):
            vma.file = file
            vma.pages = file.mapping()
            vma.offset = offset
            vma.merges = file.merges
        elif pages is not None:
            vma.pages = pages
            vma.offset = offset
        self.check_count()
        replaced = self.may_split(address, address + size) if fixed else []
        given_back = sum(min(v.end, vma.end) - max(v.start, vma.start) for v in replaced)
        self._charge(vma, size, given_back)
        if replaced:
            self.unmap(address, size)
        self._hold_pages(vma)
        self.total += size >> PAGE_SHIFT
        joined = self._insert(vma)
        if joined is not vma:
            self._drop_pages(vma)
        if populate or self.locked_future:
            self.populate(address, size)
        return address

    def map_special(
        self, address: int, size: int, prot: int, may: int, pages: FilePages, name: bytes, *, pfnmap: bool = False
    ) -> None:
        """_install_special_mapping: private pages of the kernel's own, in free space."""
        self.map(address, size, prot, pages=pages, may=may, name=name, noreplace=True)
        vma = self.find(address)
        assert vma is not None
        vma.special = True
        vma.pfnmap = vma.dontdump = pfnmap

    def check_count(self, more: int = 0) -> None:
        """Raises ENOMEM if there are too many mappings for something that may add `more` + 1."""
        if len(self.vmas) + more > MAX_MAP_COUNT:
            raise OSError(errno.ENOMEM, "too many mappings")

    def _place(self, hint: int, size: int) -> int:
        if hint:
            hint = max(hint, MMAP_MIN_ADDR)
            if hint <= self.task_size - size and not self.overlapping(hint, hint + size):
                above = self.find_next(hint)
                if above is None or not above.growsdown or hint + size <= above.start - _STACK_GUARD:
                    return hint
        return self.gap(size)

    def find_next(self, address: int) -> Vma | None:
        """The first VMA that ends above `address` (find_vma)."""
        at = bisect_right(self._starts, address) - 1
        if at >= 0 and self.vmas[at].end > address:
            return self.vmas[at]
        return self.vmas[at + 1] if at + 1 < len(self.vmas) else None

    def _charge(self, vma: Vma, size: int, given_back: int = 0) -> None:
        """Count a new mapping against RLIMIT_AS, RLIMIT_DATA and the memory limit, or raise ENOMEM."""
        limit = self.rlimits[RLIMIT_AS][0]
        if (self.total << PAGE_SHIFT) + size - given_back > limit:
            raise OSError(errno.ENOMEM, "RLIMIT_AS")
        private_writable = vma.prot & WRITE and not vma.shared
        if private_writable and not vma.growsdown:
            data = self.rlimits[RLIMIT_DATA][0]
            if data < 1 << 62 and self.data_bytes() + size > data:
                raise OSError(errno.ENOMEM, "RLIMIT_DATA")
        if private_writable and not vma.noreserve:
            self.kernel.commit(size >> PAGE_SHIFT)
            self.committed += size >> PAGE_SHIFT
            vma.charged = True

    def data_bytes(self) -> int:
        """What RLIMIT_DATA limits: private writable memory that is not the stack."""
        return sum(v.end - v.start for v in self.vmas if v.prot & WRITE and not v.shared and not v.growsdown)

    def _uncharge(self, vma: Vma) -> None:
        pages = (vma.end - vma.start) >> PAGE_SHIFT
        self.total -= pages
        if vma.charged:
            self.committed -= pages
            self.kernel.commit(-pages)

    def unmap(self, start: int, size: int) -> None:
        """munmap(2); holes in the range are fine."""
        end = start + page_up(size)
        covered = self.overlapping(start, end)
        if not covered:
            return
        if covered[0].start < start and covered[0].end > end and len(self.vmas) >= MAX_MAP_COUNT:
            raise OSError(errno.ENOMEM, "too many mappings")
        doomed = self._isolate(start, end, MAX_MAP_COUNT + 2)  # when it is done, there are not more than before
        for vma in doomed:
            self._remove(vma)
            self.drop_range(vma.start, vma.end)
            self._drop_pages(vma)
            self._uncharge(vma)
            if vma is self.stack_vma:
                self.stack_vma = None
        if 0 < self._full_from < end:
            above = self.find_next(end)
            self._full_from = above.start if above is not None and above.start < self.mmap_base else 0

    def drop_range(self, start: int, end: int) -> None:
        """Forget the pages of a range (zap_page_range)."""
        self.peak_pages = max(self.peak_pages, self.present())
        first, last = start >> PAGE_SHIFT, end >> PAGE_SHIFT
        self.thaw(first, last)
        pages, drop = self.pages, self.arena.drop
        if last - first <= len(pages):
            numbers = list(filter(pages.__contains__, range(last - 1, first - 1, -1)))
        else:
            # A range's own test takes twice as long, and most pages lie below: programs, heaps
            numbers = sorted([number for number in pages if number >= first and number < last], reverse=True)
        for number in numbers:
            drop(pages.pop(number) & PAGE_MASK)
        if numbers:
            self.kernel.flush(self)

    def inherit_mdwe(self, old: AddressSpace) -> None:
        """fork and exec keep PR_SET_MDWE, unless it was set for this address space only."""
        if not old.mdwe & PR_MDWE_NO_INHERIT:
            self.mdwe = old.mdwe

    def name_anonymous(self, start: int, end: int, name: bytes | None) -> None:
        """PR_SET_VMA_ANON_NAME.  Raises OSError EBADF (a file), ENOMEM (a hole, behind which it goes on)."""
        position = start
        hole = False
        for vma in self.overlapping(start, end):
            hole = hole or vma.start > position
            position = vma.end
            if vma.file is not None:
                raise OSError(errno.EBADF, "not anonymous memory")
            self.set_flag(max(vma.start, start), min(vma.end, end) - max(vma.start, start), "anon_name", name)
        if hole or position < end:
            raise OSError(errno.ENOMEM, "part of the range is not mapped")

    def set_flag(self, start: int, size: int, name: str, value: object) -> None:
        """Set an attribute of every VMA in a range, splitting and joining as needed; holes are skipped."""
        end = start + page_up(size)
        if all(getattr(vma, name) == value for vma in self.overlapping(start, end)):
            return
        for vma in self._isolate(start, end):
            setattr(vma, name, value)
        self._rejoin(start, end)

    def populate(self, start: int, size: int) -> None:
        """MAP_POPULATE, mlock: fault every page in; what cannot be is left out."""
        for vma in self.overlapping(start, start + size):
            if vma.pfnmap:
                continue
            access = WRITE if vma.prot & WRITE and not vma.shared else vma.perms & 5 or WRITE
            if not vma.perms & access:
                continue
            for address in range(max(vma.start, start), min(vma.end, start + page_up(size)), PAGE_SIZE):
                if not self.pages.get(address >> PAGE_SHIFT, 0) & access and not self.fault(address, access):
                    break

    def move(self, old: int, old_size: int, new: int, new_size: int, *, keep: bool = False) -> None:
        """Move pages of one VMA to free space at `new` (move_vma); `keep` is MREMAP_DONTUNMAP."""
        self.check_count(4)
        source = self.find(old)
        assert source is not None
        vma = source.clone(new, new + new_size)
        if vma.pages is not None:
            vma.offset = source.offset + old - source.start
        vma.charged = False
        self._charge(vma, new_size, 0 if keep else old_size)
        self.total += new_size >> PAGE_SHIFT
        self._hold_pages(vma)
        pages = self.pages
        shift = (new - old) >> PAGE_SHIFT
        first = old >> PAGE_SHIFT
        count = min(old_size, new_size) >> PAGE_SHIFT
        self.thaw(first, first + count)
        numbers = (
            range(first, first + count) if count <= 2 * len(pages) else [n for n in pages if first <= n < first + count]
        )
        moved = False
        for number in numbers:
            entry = pages.pop(number, 0)
            if entry:
                pages[number + shift] = entry
                moved = True
        if moved:
            self.kernel.flush(self)
        joined = self._insert(vma)
        if joined is not vma:
            self._drop_pages(vma)
        if not keep:
            self.unmap(old, old_size)

    def extend(self, vma: Vma, end: int) -> None:
        """Grow a VMA upwards into free space."""
        size = end - vma.end
        grown = vma.clone(vma.end, end)
        grown.charged = False
        self._charge(grown, size)
        self.total += size >> PAGE_SHIFT
        if not vma.merges:
            vma.end = end
            return
        self._hold_pages(grown)
        joined = self._insert(grown)
        if joined is not grown:
            self._drop_pages(grown)

    # The heap

    def set_brk(self, start: int) -> None:
        self.brk_start = self.brk = start

    def change_brk(self, to: int) -> int:
        """brk(2): the new break, or the old one if it cannot be had."""
        if to < self.brk_start:
            return self.brk
        old_end, new_end = page_up(self.brk), page_up(to)
        if new_end > old_end:
            limit = self.rlimits[RLIMIT_DATA][0]
            if to - self.brk_start > limit:
                return self.brk
            following = self.find_next(old_end)
            if following is not None and following.start < new_end + PAGE_SIZE:
                return self.brk
            vma = Vma(old_end, new_end, 3)
            vma.name = b"[heap]"
            try:
                if new_end > self.task_size:
                    return self.brk
                self.check_count()
                self._charge(vma, new_end - old_end)
            except OSError:
                return self.brk
            self.total += (new_end - old_end) >> PAGE_SHIFT
            self._insert(vma)
            if self.locked_future:
                self.populate(old_end, new_end - old_end)
        elif new_end < old_end:
            self.unmap(new_end, old_end - new_end)
        self.brk = to
        return to

    # Growing stacks, and the end

    def grow_stack(self, address: int) -> Vma | None:
        """expand_stack: a growing VMA above `address` is extended down to it, within RLIMIT_STACK."""
        vma = self.find_next(address)
        if vma is None or not vma.growsdown or address < MMAP_MIN_ADDR:
            return None
        start = address & PAGE_MASK
        size = vma.end - start
        if size > self.rlimits[RLIMIT_STACK][0]:
            return None
        at = bisect_right(self._starts, vma.start) - 1
        if at > 0:
            below = self.vmas[at - 1]
            if not below.growsdown and below.prot != PROT_NONE and start - below.end < _STACK_GUARD:
                return None
            if start < below.end:
                return None
        grown = (vma.start - start) >> PAGE_SHIFT
        if (self.total + grown) << PAGE_SHIFT > self.rlimits[RLIMIT_AS][0]:
            return None
        try:
            self.kernel.commit(grown)
        except OSError:
            return None
        self.committed += grown
        self.total += grown
        if vma.pages is not None:
            vma.offset -= vma.start - start
        vma.start = start
        self._starts[at] = start
        return vma

    def fork(self, rlimits: dict[int, tuple[int, int]]) -> AddressSpace:
        """A copy for a new process (dup_mmap): private pages are shared until one side writes.
        Raises OSError(ENOMEM)."""
        new = AddressSpace(self.kernel, rlimits)
        self.kernel.commit(self.committed)
        new.committed = self.committed
        new.total = self.total
        for name in ("mmap_base", "brk_start", "brk", "code_range", "data_range", "stack_start", "dumpable",
                     "coredump_filter"):  # fmt: skip
            setattr(new, name, getattr(self, name))
        new.inherit_mdwe(self)
        if (self.frozen is not None or self.is_large()) and self.freeze(self._not_for_a_child()):
            self.kernel.reload(self)
        self.share(new)
        for vma in self.vmas:
            if vma.dontcopy:
                new._forget(vma)
                continue
            copy = vma.clone(vma.start, vma.end)
            copy.locked = False
            new.vmas.append(copy)
            new._starts.append(copy.start)
            new._hold_pages(copy)
            if vma is self.stack_vma:
                new.stack_vma = copy
            if vma.shared or vma.wipeonfork:
                new._forget(vma, uncharge=False)  # found again in the file's pages, or wiped
        hold = self.arena.refs
        for entry in new.pages.values():
            hold[entry >> PAGE_SHIFT] += 1
        # In place, for the engine reads this very table.
        self.pages.update(new.pages)
        self.kernel.flush(self)
        if self.exe_file is not None:
            new.exe_file = self.exe_file
            new.exe_file.refs += 1
            new.exe_file.node.deny_write_access()
        return new

    def _not_for_a_child(self) -> dict[int, int]:
        """Entries that a fork leaves out, or finds again in a file."""
        found: dict[int, int] = {}
        for vma in self.vmas:
            if vma.shared or vma.dontcopy or vma.wipeonfork:
                first, last = vma.start >> PAGE_SHIFT, vma.end >> PAGE_SHIFT
                self.thaw(first, last)
                pages = self.pages
                numbers = range(first, last) if last - first <= len(pages) else [n for n in pages if first <= n < last]
                found.update({number: pages[number] for number in numbers if number in pages})
        return found

    def _forget(self, vma: Vma, *, uncharge: bool = True) -> None:
        """A fork leaves a mapping out, or at least its pages."""
        for number in [n for n in self.pages if vma.start >> PAGE_SHIFT <= n < vma.end >> PAGE_SHIFT]:
            del self.pages[number]
        if uncharge:
            self._uncharge(vma)

    def release(self) -> None:
        """The last user is gone: give everything back (exit_mmap)."""
        exe, self.exe_file = self.exe_file, None
        if exe is not None:
            exe.node.allow_write_access()
            exe.put()
        if self.aio:
            from kernel.aio import exit_aio

            exit_aio(self)
        for vma in self.vmas:
            self._drop_pages(vma)
            self._uncharge(vma)
        self.vmas.clear()
        self._starts.clear()
        self.stack_vma = None
        self.peak_pages = max(self.peak_pages, self.present())
        self.drop_all()
        self.kernel.flush(self)

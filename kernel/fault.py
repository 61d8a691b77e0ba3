"""Page faults: Linux's ``handle_mm_fault``, demand paging and copy-on-write.

Private pages share frames with the page cache, the zero page or (after fork) other address spaces,
without write permission, until the first write copies them.  Code may be translated from a frame
only while every mapping that writes to it is executable too, for then the engine watches each store:
where a file's page is mapped writable here and executable there, each takes it away from the other.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_MASK, PAGE_SHIFT, WRITE
from kernel.pagetable import THAW_SHIFT, PageTable

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.vma import Vma
    from vfs.pages import FilePages

_FAULT_AROUND = 16  # pages of a file mapped at one fault

# Why the last fault was refused (`PageFaults.refusal`)
NOT_MAPPED, NOT_ALLOWED, BEYOND_FILE, OUT_OF_MEMORY = range(4)


class PageFaults(PageTable):
    """The part of an address space that answers faults, the guest's and the kernel's own."""

    kernel: Kernel
    vmas: list[Vma]

    def __init__(self) -> None:
        super().__init__()
        self.refusal = NOT_MAPPED
        self.minor_faults = 0
        self.major_faults = 0

    def find(self, address: int) -> Vma | None:
        """The VMA that contains `address`."""
        raise NotImplementedError

    def grow_stack(self, address: int) -> Vma | None:
        """Extend a growing VMA down to `address`, if there is one and it may."""
        raise NotImplementedError

    def drop_range(self, start: int, end: int) -> None:
        """Forget the pages of a range."""
        raise NotImplementedError

    def fault(self, address: int, access: int) -> int:
        """Make `address` accessible and return its page-table entry; 0 if it may not be accessed,
        with the reason in `refusal` (handle_mm_fault)."""
        vma = self.find(address)
        if vma is None:
            vma = self.grow_stack(address)
            if vma is None:
                self.refusal = NOT_MAPPED
                return 0
        perms = vma.perms
        if not perms & access:
            self.refusal = NOT_ALLOWED
            return 0
        number = address >> PAGE_SHIFT
        if self.frozen is not None:
            self.thaw_block(number >> THAW_SHIFT)
        entry = self.pages.get(number, 0)
        try:
            if entry:
                return self._write_fault(vma, number, entry) if access == WRITE else self._regrant(vma, number, entry)
            if vma.pages is None:
                self.minor_faults += 1
                self.kernel.count_fault()
                if access == WRITE:
                    entry = self.arena.alloc() | perms
                else:
                    frame = self.kernel.zero_frame
                    self.arena.hold(frame)
                    entry = frame | (perms & ~WRITE)
                if perms & EXEC:
                    self.arena.executable.add(entry & PAGE_MASK)
                self.pages[number] = entry
                return entry
            return self._file_fault(vma, vma.pages, number, access)
        except OSError as error:
            self.refusal = OUT_OF_MEMORY if error.errno == errno.ENOMEM else BEYOND_FILE
            return 0

    def dump_frame(self, vma: Vma, address: int) -> int:
        """The frame that holds a page, whatever the VMA allows, for who only looks; 0 for anonymous memory that
        nobody has written to, and beyond the end of a file (get_dump_page)."""
        number = address >> PAGE_SHIFT
        self.thaw(number, number + 1)
        frame = self.pages.get(number, 0) & PAGE_MASK
        if not frame and vma.pages is not None and not vma.pfnmap:
            try:
                frame = vma.pages.frame(vma.index(address))
            except OSError:
                return 0
        return 0 if frame == self.kernel.zero_frame or vma.pfnmap else frame

    def _file_fault(self, vma: Vma, source: FilePages, number: int, access: int) -> int:
        index = vma.index(number << PAGE_SHIFT)
        frame = source.pages.get(index)
        if frame is None:
            self.major_faults += 1
            self.kernel.count_fault(major=True)
            frame = source.frame(index)
        elif index << PAGE_SHIFT >= source.size():
            raise OSError(errno.EFAULT, "beyond the end of the file")
        else:
            self.minor_faults += 1
            self.kernel.count_fault()
        pages, arena = self.pages, self.arena
        perms = vma.perms
        if vma.shared:
            if access == WRITE:
                source.dirty.add(index)
                return self._map_writable(vma, number, frame, hold=True)
        elif access == WRITE:
            entry = arena.alloc_copy(frame) | perms
            if perms & EXEC:
                arena.executable.add(entry & PAGE_MASK)
            pages[number] = entry
            return entry
        perms &= ~WRITE
        arena.hold(frame)
        pages[number] = entry = frame | perms
        if perms & EXEC:
            self.executable(vma, number, frame)
        # Neighbours that are in memory already come along: the next touch is then a TLB fill only.
        first = max(vma.start >> PAGE_SHIFT, number & -_FAULT_AROUND)
        shift = index - number
        cached = source.pages.get
        for near in range(first, min(vma.end >> PAGE_SHIFT, (number & -_FAULT_AROUND) + _FAULT_AROUND)):
            frame = cached(near + shift)
            if frame is not None and near not in pages and near + shift << PAGE_SHIFT < source.size():
                arena.hold(frame)
                pages[near] = frame | perms
                if perms & EXEC:
                    self.executable(vma, near, frame)
        return entry

    def _regrant(self, vma: Vma, number: int, entry: int) -> int:
        """A present page lacks a permission its VMA has: mprotect gave it."""
        new = (entry & PAGE_MASK) | (vma.perms & ~WRITE) | (entry & vma.perms & WRITE)
        self.pages[number] = new
        if new & EXEC:
            self.executable(vma, number, new & PAGE_MASK)
        return new

    def _write_fault(self, vma: Vma, number: int, entry: int) -> int:
        """The first write to a page that is present without write permission (do_wp_page)."""
        frame = entry & PAGE_MASK
        self.minor_faults += 1
        self.kernel.count_fault()
        if vma.shared:
            if vma.pages is not None:
                vma.pages.dirty.add(vma.index(number << PAGE_SHIFT))
            return self._map_writable(vma, number, frame, hold=False)
        if self.arena.shared(frame):
            new = self.arena.alloc() if frame == self.kernel.zero_frame else self.arena.alloc_copy(frame)
            self.arena.drop(frame)
            self.pages[number] = new | vma.perms
            if vma.perms & EXEC:
                self.arena.executable.add(new)
            # The engine may hold the old frame for reading; its entry for this page is replaced by
            # the fill that follows, but a kernel write has no such fill.
            if self.kernel.in_kernel:
                self.kernel.flush(self)
            return new | vma.perms
        return self._map_writable(vma, number, frame, hold=False)

    def _map_writable(self, vma: Vma, number: int, frame: int, *, hold: bool) -> int:
        """Grant the VMA's full permissions on `frame`."""
        arena = self.arena
        if hold:
            arena.hold(frame)
        if vma.perms & EXEC:
            self.executable(vma, number, frame)
        elif frame in arena.executable:
            if vma.pages is not None:
                self._take(EXEC, vma, number, frame)
            arena.executable.discard(frame)
            arena.on_code_write(frame)
        self.pages[number] = entry = frame | vma.perms
        return entry

    def executable(self, vma: Vma, number: int, frame: int) -> None:
        """`frame` is about to be executable: no mapping may write to it unseen."""
        self.arena.executable.add(frame)
        if vma.pages is not None and vma.pages.writable_maps:
            self._take(WRITE, vma, number, frame)

    def _take(self, permission: int, vma: Vma, number: int, frame: int) -> None:
        """Take EXEC away from every mapping of a file's page, or WRITE from those that the engine does not watch."""
        assert vma.pages is not None
        start = vma.index(number << PAGE_SHIFT) << PAGE_SHIFT
        unless = EXEC if permission == WRITE else 0
        for mapping in vma.pages.on_drop.values():
            if not isinstance(mapping, FileMapping):
                continue
            mm, other = mapping.mm, mapping.vma
            address = other.start + start - other.offset
            if not other.start <= address < other.end:
                continue
            page = address >> PAGE_SHIFT
            mm.thaw(page, page + 1)
            entry = mm.pages.get(page, 0)
            if entry & PAGE_MASK == frame and entry & permission and not entry & unless:
                mm.pages[page] = entry & ~permission
                self.kernel.flush(mm)


class FileMapping:
    """That a VMA maps a file's pages: what Linux's i_mmap holds.  Called when the file loses pages
    (unmap_mapping_range), private copies of a truncated file too."""

    __slots__ = ("mm", "vma")

    def __init__(self, mm: PageFaults, vma: Vma) -> None:
        self.mm = mm
        self.vma = vma

    def __call__(self, first: int, count: int) -> None:
        vma = self.vma
        start = max(vma.start, vma.start + (first << PAGE_SHIFT) - vma.offset)
        end = min(vma.end, vma.start + (first + count << PAGE_SHIFT) - vma.offset)
        if start < end:
            self.mm.drop_range(start, end)

"""What a ring keeps registered: files and buffers (Linux's ``struct io_rsrc_data``).

A registered file is a reference of its own.  A registered buffer is looked up again each time it is used: its
pages are not pinned, so one that the program unmaps is gone (Linux keeps its pages).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing
    from kernel.mm import AddressSpace
    from vfs.file import File
    from vfs.pages import Spans

IORING_MAX_FIXED_FILES = 1 << 20
IORING_MAX_REG_BUFFERS = 1 << 14


class Rsrc:
    """struct io_rsrc_node: something registered.  When it is taken out and no request uses it any more, a
    completion with its tag as user data says so."""

    __slots__ = ("gone", "tag", "users")

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.users = 0  # requests
        self.gone = False

    def put(self, ring: IoRing) -> None:
        """A request is done with it."""
        self.users -= 1
        if self.gone and not self.users:
            self.free(ring)

    def remove(self, ring: IoRing) -> None:
        self.gone = True
        if not self.users:
            self.free(ring)

    def free(self, ring: IoRing) -> None:
        if self.tag and not ring.cancelling:
            ring.post(self.tag, 0)
            ring.commit()


class Slot(Rsrc):
    """A registered file."""

    __slots__ = ("file",)

    def __init__(self, file: File, tag: int) -> None:
        super().__init__(tag)
        file.refs += 1
        self.file = file

    def free(self, ring: IoRing) -> None:
        self.file.put()
        super().free(ring)


class FileTable:
    """struct io_file_table."""

    __slots__ = ("hint", "ring", "slots", "taken")

    def __init__(self, ring: IoRing, slots: Iterable[Slot | None]) -> None:
        self.ring = ring
        self.slots = list(slots)
        self.taken = int("".join("0" if slot is None else "1" for slot in reversed(self.slots)) or "0", 2)
        self.hint = 0

    def set(self, index: int, slot: Slot | None) -> bool:
        """Put `slot` there; whether there was something, which is taken out."""
        old, self.slots[index] = self.slots[index], slot
        if slot is None:
            self.taken &= ~(1 << index)
        else:
            self.taken |= 1 << index
        if old is not None:
            old.remove(self.ring)
        return old is not None

    def install(self, file: File, index: int) -> None:
        """io_install_fixed_file.  Raises OSError(EINVAL)."""
        if not 0 <= index < len(self.slots):
            raise OSError(errno.EINVAL, "beyond the table")
        self.set(index, Slot(file, 0))
        self.hint = index + 1

    def free_index(self) -> int:
        """io_file_bitmap_get: where IORING_FILE_INDEX_ALLOC puts a file.  Raises OSError(ENFILE)."""
        first, last = self.ring.alloc_range or (0, len(self.slots))
        hint = self.hint if first <= self.hint < last else first
        for begin, end in ((hint, last), (first, hint)):
            free = ~(self.taken >> begin) & (1 << max(0, end - begin)) - 1
            if free:
                return begin + (free & -free).bit_length() - 1
        raise OSError(errno.ENFILE, "no slot is free")

    def release(self) -> None:
        for slot in self.slots:
            if slot is not None:
                slot.remove(self.ring)
        self.slots = []


class Buffer(Rsrc):
    """struct io_mapped_ubuf."""

    __slots__ = ("address", "mm", "size")

    def __init__(self, mm: AddressSpace, address: int, size: int, tag: int) -> None:
        super().__init__(tag)
        self.mm = mm
        self.address = address
        self.size = size

    def spans(self, address: int, size: int, access: int) -> Spans:
        """Part of the buffer (io_import_fixed).  Raises OSError(EFAULT)."""
        if address < self.address or address + size > self.address + self.size:
            raise OSError(errno.EFAULT, "not in the buffer")
        return self.mm.spans(address, size, access)


def registered_buffer(ring: IoRing, index: int) -> Buffer:
    """Raises OSError(EFAULT)."""
    buffer = ring.buffers[index] if ring.buffers is not None and index < len(ring.buffers) else None
    if buffer is None:
        raise OSError(errno.EFAULT, "no such registered buffer")
    return buffer

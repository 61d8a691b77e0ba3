"""Provided buffers: Linux's ``struct io_buffer_list``.

A group is either filled by requests (IORING_OP_PROVIDE_BUFFERS), or a ring in the program's memory that it
fills itself (IORING_REGISTER_PBUF_RING).
"""

from __future__ import annotations

import errno
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from kernel.io_uring.uapi import (
    IORING_CQE_BUFFER_SHIFT,
    IORING_CQE_F_BUF_MORE,
    IORING_CQE_F_BUFFER,
)

if TYPE_CHECKING:
    from kernel.io_uring.request import Request
    from kernel.mm import AddressSpace

BUF = Struct("<QIHH")  # struct io_uring_buf: address, length, id, and in the first one the ring's tail
TAIL = Struct("<H")
TAIL_AT = 14
MAX_BIDS_PER_BGID = 1 << 16
IOU_PBUF_RING_MMAP, IOU_PBUF_RING_INC = 1, 2


class Selected(NamedTuple):
    """A buffer that a request may use."""

    address: int
    size: int
    id: int


class BufferGroup:
    """struct io_buffer_list."""

    __slots__ = ("buffers", "head", "incremental", "mapped", "mask", "mm", "ring")

    def __init__(self, mm: AddressSpace) -> None:
        self.mm = mm
        self.buffers: deque[Selected] = deque()
        self.ring = 0  # its address, if it is one
        self.mapped: list[int] = []  # its frames, where the kernel has provided them
        self.mask = 0
        self.head = 0
        self.incremental = False

    @property
    def is_ring(self) -> bool:
        return bool(self.ring or self.mapped)

    def _entry(self, position: int) -> tuple[int, int, int]:
        at = BUF.size * (position & self.mask)
        if self.mapped:
            address, size, bid, _ = BUF.unpack_from(self.mm.memory, self.mapped[at >> 12] + (at & 4095))
        else:
            address, size, bid, _ = self.mm.unpack(BUF, self.ring + at)
        return address, size, bid

    def _tail(self) -> int:
        if self.mapped:
            tail: int = TAIL.unpack_from(self.mm.memory, self.mapped[0] + TAIL_AT)[0]
        else:
            tail = self.mm.unpack(TAIL, self.ring + TAIL_AT)[0]
        return tail

    def available(self) -> int:
        return self._tail() - self.head & 0xFFFF if self.is_ring else len(self.buffers)

    def peek(self) -> Selected | None:
        """The next buffer, None if there is none."""
        if not self.is_ring:
            return self.buffers[0] if self.buffers else None
        if self._tail() == self.head:
            return None
        return Selected(*self._entry(self.head))

    def peek_many(self, limit: int) -> list[Selected]:
        """Up to `limit` buffers of a ring, as a bundle takes them."""
        count = min(self.available(), limit, self.mask + 1)
        return [Selected(*self._entry(self.head + n)) for n in range(count)]

    def take(self, used: int) -> int:
        """The next buffer is used, for so many bytes: what a completion's flags say about it."""
        if not self.is_ring:
            buffer = self.buffers.popleft()
            self.mm.kernel.uring_kept -= 1
            return IORING_CQE_F_BUFFER | buffer.id << IORING_CQE_BUFFER_SHIFT
        address, size, bid = self._entry(self.head)
        flags = IORING_CQE_F_BUFFER | bid << IORING_CQE_BUFFER_SHIFT
        if self.incremental and used < size:
            at = BUF.size * (self.head & self.mask)
            if self.mapped:
                start = self.mapped[at >> 12] + (at & 4095)
                self.mm.memory[start : start + 12] = BUF.pack(address + used, size - used, bid, 0)[:12]
            else:
                self.mm.write(self.ring + at, BUF.pack(address + used, size - used, bid, 0)[:12])
            return flags | IORING_CQE_F_BUF_MORE
        self.head = self.head + 1 & 0xFFFF
        return flags


def group_of(request: Request) -> BufferGroup:
    """The group that an entry with IOSQE_BUFFER_SELECT names.  Raises OSError(ENOBUFS)."""
    group = request.ring.groups.get(request.sqe.buf_index)
    if group is None:
        raise OSError(errno.ENOBUFS, "no such group of buffers")
    return group


def select(request: Request) -> Selected:
    """io_buffer_select: the buffer a request is to use.  It is not taken until `use`.  Raises OSError(ENOBUFS)."""
    buffer = group_of(request).peek()
    if buffer is None:
        raise OSError(errno.ENOBUFS, "the group is empty")
    return buffer


def use(request: Request, used: int) -> None:
    """io_put_kbuf: `select`'s buffer is used."""
    request.cqe_flags |= group_of(request).take(used)


def use_many(request: Request, used: int, chosen: list[Selected]) -> None:
    """The first of `chosen` are used, as far as `used` bytes go, and at least one."""
    group = group_of(request)
    flags = 0
    for at, buffer in enumerate(chosen):
        part = min(used, buffer.size)
        taken = group.take(part)
        if not at:
            flags = taken
        flags |= taken & IORING_CQE_F_BUF_MORE
        used -= part
        if used <= 0:
            break
    request.cqe_flags |= flags

"""Guest memory as the kernel reads and writes it: Linux's copy_from_user, copy_to_user and friends.

All go through the page table the guest uses, fault pages in as the guest would, and raise
OSError(EFAULT) where the guest would get SIGSEGV.  Buffers are handed on as slices of physical
memory, never copied.
"""

from __future__ import annotations

import errno
import mmap
from struct import Struct
from typing import TYPE_CHECKING, Any

from emu.engine import EXEC, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, READ, WRITE
from vfs.pages import ShortSpans

if TYPE_CHECKING:
    from emu.arena import Arena
    from vfs.pages import Spans

_U32 = Struct("<I")
_U64 = Struct("<Q")
_OFFSET = PAGE_SIZE - 1
UIO_MAXIOV = 1024
MAX_RW_COUNT = 0x7FFF_F000


def _bad(address: int) -> OSError:
    return OSError(errno.EFAULT, f"bad guest address {address:#x}")


class UserMemory:
    """The part of an address space that kernel code uses to reach guest memory."""

    arena: Arena
    pages: dict[int, int]
    memory: memoryview
    physical: mmap.mmap
    task_size: int

    def fault(self, address: int, access: int) -> int:
        """Make a page accessible; its entry, or 0."""
        raise NotImplementedError

    def _entry(self, address: int, access: int) -> int:
        """The physical address behind `address`, which must allow `access`."""
        entry = self.pages.get(address >> PAGE_SHIFT, 0)
        if not entry & access:
            entry = self.fault(address, access)
            if not entry:
                raise _bad(address)
        if access == WRITE and entry & EXEC:
            self.arena.on_code_write(entry & PAGE_MASK)
        return (entry & PAGE_MASK) + (address & _OFFSET)

    def spans(self, address: int, size: int, access: int) -> Spans:
        """The buffer as slices of physical memory: as much of it as can be accessed, at least one byte.

        Raises EFAULT if the first byte cannot be accessed and `size` is not 0.  A buffer that ends
        in a bad page comes back as ShortSpans: the file makes the partial transfer Linux makes.
        """
        if size == 0:
            return []
        entry = self.pages.get(address >> PAGE_SHIFT, 0)
        offset = address & _OFFSET
        start = (entry & PAGE_MASK) + offset if entry & access and not entry & EXEC else self._entry(address, access)
        room = PAGE_SIZE - offset
        if size <= room:
            return [self.memory[start : start + size]]
        if address + size > self.task_size:  # access_ok
            raise _bad(address)
        out: Spans = []
        end = start + room
        left = size - room
        pages = self.pages
        address += room
        while left > 0:
            entry = pages.get(address >> PAGE_SHIFT, 0)
            if not entry & access:
                entry = self.fault(address, access)
                if not entry:
                    out.append(self.memory[start:end])
                    return ShortSpans(out, size)
            if access == WRITE and entry & EXEC:
                self.arena.on_code_write(entry & PAGE_MASK)
            frame = entry & PAGE_MASK
            if frame == end:
                end += PAGE_SIZE
            else:
                out.append(self.memory[start:end])
                start, end = frame, frame + PAGE_SIZE
            left -= PAGE_SIZE
            address += PAGE_SIZE
        out.append(self.memory[start : end + left])
        return out

    def buffer(self, address: int, size: int, access: int) -> Spans:
        """A buffer for a file.  One that cannot be accessed at all is no error yet: a file looks at what it has,
        or whether it has room, before it looks at the buffer.  Raises OSError(EFAULT) for one that does not lie
        in the guest's half of the address space."""
        offset = address & _OFFSET
        entry = self.pages.get(address >> PAGE_SHIFT, 0)
        if entry & (access | EXEC) == access and 0 < size <= PAGE_SIZE - offset:
            start = (entry & PAGE_MASK) + offset
            return [self.memory[start : start + size]]
        try:
            spans = self.spans(address, size, access)
        except OSError:
            spans = ShortSpans([], size)
        if (type(spans) is ShortSpans or not size) and address + size > self.task_size:
            raise _bad(address)
        return spans

    def iovec(self, address: int, count: int, access: int) -> Spans:
        """The buffers of a struct iovec array, in order, as ShortSpans if they end in a bad page.

        Raises EINVAL for too many or too long ones, EFAULT for an array that cannot be read.
        """
        return self.vector(self.iovec_parts(address, count), access)

    def iovec_parts(self, address: int, count: int) -> list[tuple[int, int]]:
        """Addresses and sizes in a struct iovec array (import_iovec).  Raises as `iovec`."""
        if count > UIO_MAXIOV:
            raise OSError(errno.EINVAL, "too many buffers")
        if count == 0:
            return []
        try:
            raw = self.read(address, 16 * count)
        except OSError:
            for at in range(address, address + 16 * count, 16):  # one after the other: a bad size may come first
                if self.read(at, 16)[15] >> 7:
                    raise OSError(errno.EINVAL, "negative buffer size") from None
            raise
        total = 0
        beyond = None
        parts: list[tuple[int, int]] = []
        for at in range(0, 16 * count, 16):
            base, size = _U64.unpack_from(raw, at)[0], _U64.unpack_from(raw, at + 8)[0]
            if size >> 63:
                raise OSError(errno.EINVAL, "negative buffer size")
            if base + size > self.task_size:
                beyond = base
            size = min(size, MAX_RW_COUNT - total)
            total += size
            if size:
                parts.append((base, size))
        if beyond is not None:  # access_ok, once all sizes are known to be good
            raise _bad(beyond)
        return parts

    def vector(self, parts: list[tuple[int, int]], access: int) -> Spans:
        """The buffers that `iovec_parts` found."""
        out: Spans = []
        for base, size in parts:
            try:
                spans = self.spans(base, size, access)
            except OSError:
                return ShortSpans(out, sum(size for _, size in parts))
            out += spans
            if type(spans) is ShortSpans:
                return ShortSpans(out, sum(size for _, size in parts))
        return out

    def frame_of(self, address: int, access: int) -> int:
        """The frame of a page, which must allow `access`.  Raises OSError(EFAULT)."""
        return self._entry(address & PAGE_MASK, access)

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes, or EFAULT."""
        offset = address & _OFFSET
        if offset + size <= PAGE_SIZE:
            if size == 0:
                return b""
            entry = self.pages.get(address >> PAGE_SHIFT, 0)
            start = (entry & PAGE_MASK) + offset if entry & READ else self._entry(address, READ)
            return self.physical[start : start + size]
        room = PAGE_SIZE - offset
        if size - room <= PAGE_SIZE and address + size <= self.task_size:  # in two pages
            start = self._entry(address, READ)
            data = self.physical[start : start + room]
            start = self._entry(address + room, READ)
            return data + self.physical[start : start + size - room]
        data = b"".join(self.spans(address, size, READ))
        if len(data) < size:
            raise _bad(address + len(data))
        return data

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """All of `data`; on EFAULT the bytes before the bad page have been written."""
        size = len(data)
        offset = address & _OFFSET
        if offset + size <= PAGE_SIZE:
            if size:
                entry = self.pages.get(address >> PAGE_SHIFT, 0)
                usual = entry & (WRITE | EXEC) == WRITE
                start = (entry & PAGE_MASK) + offset if usual else self._entry(address, WRITE)
                self.physical[start : start + size] = data
            return
        room = PAGE_SIZE - offset
        if size - room <= PAGE_SIZE and address + size <= self.task_size:  # in two pages
            start = self._entry(address, WRITE)
            self.physical[start : start + room] = data[:room]
            start = self._entry(address + room, WRITE)
            self.physical[start : start + size - room] = data[room:]
            return
        done = 0
        source = memoryview(data)
        for span in self.spans(address, size, WRITE):
            span[:] = source[done : done + len(span)]
            done += len(span)
        if done < size:
            raise _bad(address + done)

    def zero(self, address: int, size: int) -> None:
        """clear_user."""
        for span in self.spans(address, size, WRITE):
            span[:] = bytes(len(span))

    def cstring(self, address: int, limit: int = 4096) -> bytes:
        """The string up to its NUL; ENAMETOOLONG if there is none within `limit` bytes."""
        start = self._entry(address, READ)
        end = start + min(limit, PAGE_SIZE - (address & _OFFSET))
        stop = self.physical.find(b"\0", start, end)
        if stop >= 0:
            return self.physical[start:stop]
        out = self.physical[start:end]
        while len(out) < limit:
            start = self._entry(address + len(out), READ)
            end = start + min(limit - len(out), PAGE_SIZE)
            stop = self.physical.find(b"\0", start, end)
            if stop >= 0:
                return out + self.physical[start:stop]
            out += self.physical[start:end]
        raise OSError(errno.ENAMETOOLONG, "string too long")

    def u32(self, address: int) -> int:
        value: int
        offset = address & _OFFSET
        entry = self.pages.get(address >> PAGE_SHIFT, 0)
        if entry & READ and offset <= PAGE_SIZE - 4:
            (value,) = _U32.unpack_from(self.memory, (entry & PAGE_MASK) + offset)
        else:
            (value,) = _U32.unpack(self.read(address, 4))
        return value

    def u64(self, address: int) -> int:
        value: int
        offset = address & _OFFSET
        entry = self.pages.get(address >> PAGE_SHIFT, 0)
        if entry & READ and offset <= PAGE_SIZE - 8:
            (value,) = _U64.unpack_from(self.memory, (entry & PAGE_MASK) + offset)
        else:
            (value,) = _U64.unpack(self.read(address, 8))
        return value

    def put_u32(self, address: int, value: int) -> None:
        offset = address & _OFFSET
        entry = self.pages.get(address >> PAGE_SHIFT, 0)
        if entry & (WRITE | EXEC) == WRITE and offset <= PAGE_SIZE - 4:
            _U32.pack_into(self.memory, (entry & PAGE_MASK) + offset, value & 0xFFFF_FFFF)
        else:
            self.write(address, _U32.pack(value & 0xFFFF_FFFF))

    def put_u64(self, address: int, value: int) -> None:
        offset = address & _OFFSET
        entry = self.pages.get(address >> PAGE_SHIFT, 0)
        if entry & (WRITE | EXEC) == WRITE and offset <= PAGE_SIZE - 8:
            _U64.pack_into(self.memory, (entry & PAGE_MASK) + offset, value & 0xFFFF_FFFF_FFFF_FFFF)
        else:
            self.write(address, _U64.pack(value & 0xFFFF_FFFF_FFFF_FFFF))

    def unpack(self, layout: Struct, address: int) -> tuple[Any, ...]:
        if (address & _OFFSET) + layout.size <= PAGE_SIZE:
            return layout.unpack_from(self.memory, self._entry(address, READ))
        return layout.unpack(self.read(address, layout.size))

    def pack(self, layout: Struct, address: int, *values: Any) -> None:
        if (address & _OFFSET) + layout.size <= PAGE_SIZE:
            layout.pack_into(self.memory, self._entry(address, WRITE), *values)
        else:
            self.write(address, layout.pack(*values))

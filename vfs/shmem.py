"""Memory that is a file's only storage: Linux's ``mm/shmem.c``.

`ShmemPages` are the contents of tmpfs files and memfds, and what a shared anonymous mapping maps.
`ShmemFile` is an open one, with the seals of memfd_create(2).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Protocol

from vfs.file import (
    O_ACCMODE,
    O_APPEND,
    O_RDONLY,
    O_WRONLY,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
    File,
)
from vfs.pages import PAGE_SHIFT, PAGE_SIZE, FilePages, Frames

if TYPE_CHECKING:
    from vfs.pages import Spans
    from vfs.tmpfs import TmpFile

MAX_SIZE = (1 << 63) - PAGE_SIZE

F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC = 1, 2, 4, 8, 16, 32
_WRITE_SEALS = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
_ALL_SEALS = 0x3F

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2

_PROT_WRITE = 2
_ZERO = bytes(PAGE_SIZE)


class Quota(Protocol):
    """Who counts the pages of several files against one limit."""

    def charge(self, pages: int) -> None:
        """Pages are wanted (negative: given back).  Raises OSError(ENOSPC)."""


class ShmemPages(FilePages):
    """Pages that exist nowhere else.  A page never written to has no frame and reads as zeros."""

    __slots__ = ("length", "quota")

    def __init__(self, frames: Frames, quota: Quota | None = None) -> None:
        super().__init__(frames)
        self.length = 0
        self.quota = quota

    def __del__(self) -> None:
        for frame in self.pages.values():
            self.frames.drop(frame)
        if self.quota is not None:
            self.quota.charge(-len(self.pages))

    def size(self) -> int:
        return self.length

    def resize(self, size: int) -> None:
        """ftruncate(2)."""
        if size < self.length:
            self.cut(size)
        self.length = size

    def drop(self, first: int, count: int) -> None:
        before = len(self.pages)
        super().drop(first, count)
        if self.quota is not None:
            self.quota.charge(len(self.pages) - before)

    def frame(self, index: int) -> int:
        found = self.pages.get(index)
        if found is not None:
            return found
        if index << PAGE_SHIFT >= self.length:
            raise OSError(errno.EFAULT, "beyond the end of the file")
        return self.add(index)

    def add(self, index: int) -> int:
        """A zeroed frame for a page that has none."""
        if self.quota is not None:
            self.quota.charge(1)
        try:
            frame = self.frames.alloc()
        except OSError:
            if self.quota is not None:
                self.quota.charge(-1)
            raise
        self.pages[index] = frame
        return frame

    def read_at(self, spans: Spans, offset: int) -> int:
        """Copy out from `offset` on, as far as the file goes; the number of bytes."""
        start = offset
        pages = self.pages
        view = self.frames.view
        end = self.length
        for span in spans:
            at, room = 0, min(len(span), end - offset)
            while at < room:
                inside = offset & PAGE_SIZE - 1
                count = min(room - at, PAGE_SIZE - inside)
                frame = pages.get(offset >> PAGE_SHIFT)
                span[at : at + count] = _ZERO[:count] if frame is None else view(frame + inside, count)
                at += count
                offset += count
            if offset >= end:
                break
        return max(0, offset - start)

    def write_at(self, spans: Spans, offset: int) -> int:
        """Copy in at `offset`, making the file longer if need be; the number of bytes.  Raises
        OSError(ENOSPC, ENOMEM) if not even one fits."""
        start = offset
        frames = self.frames
        try:
            for span in spans:
                at, room = 0, len(span)
                while at < room:
                    inside = offset & PAGE_SIZE - 1
                    count = min(room - at, PAGE_SIZE - inside)
                    index = offset >> PAGE_SHIFT
                    frame = self.pages.get(index)
                    if frame is None:
                        frame = self.add(index)
                    elif frame in frames.executable:
                        frames.on_code_write(frame)
                    frames.view(frame + inside, count)[:] = span[at : at + count]
                    at += count
                    offset += count
        except OSError:
            if offset == start:
                raise
        if offset > self.length:
            self.length = offset
        return offset - start

    def next_data(self, offset: int) -> int:
        """SEEK_DATA: the first byte from `offset` on that lies in a page.  Raises OSError(ENXIO)."""
        index = offset >> PAGE_SHIFT
        if index in self.pages:
            return offset
        later = [page for page in self.pages if page > index and page << PAGE_SHIFT < self.length]
        if not later:
            raise OSError(errno.ENXIO, "no data beyond")
        return min(later) << PAGE_SHIFT

    def next_hole(self, offset: int) -> int:
        """SEEK_HOLE: the first byte from `offset` on that lies in none; the end of the file is one."""
        index = offset >> PAGE_SHIFT
        if index not in self.pages:
            return offset
        while index in self.pages:
            index += 1
        return min(index << PAGE_SHIFT, self.length)


class ShmemFile(File):
    """An open file in memory."""

    __slots__ = ("offset",)

    node: TmpFile
    seekable = True

    def __init__(self, node: TmpFile, flags: int, name: bytes) -> None:
        super().__init__(node, flags, name)
        self.offset = 0

    @property
    def direct(self) -> bool:  # type: ignore[override]  # of a class, for all others
        return self.mount is not None  # not a memfd

    def read(self, spans: Spans) -> int:
        count = self.pread(spans, self.offset)
        self.offset += count
        return count

    def pread(self, spans: Spans, offset: int) -> int:
        if self.flags & O_ACCMODE == O_WRONLY:
            raise OSError(errno.EBADF, "not open for reading")
        return self.node.data.read_at(spans, offset)

    def write(self, spans: Spans) -> int:
        offset = self.node.data.length if self.flags & O_APPEND else self.offset
        count = self.store(spans, offset)
        self.offset = offset + count
        return count

    def pwrite(self, spans: Spans, offset: int) -> int:
        # Linux appends whatever the offset says
        return self.store(spans, self.node.data.length if self.flags & O_APPEND else offset)

    def store(self, spans: Spans, offset: int) -> int:
        if self.flags & O_ACCMODE == O_RDONLY:
            raise OSError(errno.EBADF, "not open for writing")
        node = self.node
        size = sum(map(len, spans))
        if not size:
            return 0
        if node.seals & _WRITE_SEALS:
            raise OSError(errno.EPERM, "sealed")
        if node.seals & F_SEAL_GROW and offset + size > node.data.length:
            # Linux writes page by page, and refuses the first one that would make the file longer
            room = (node.data.length & ~(PAGE_SIZE - 1)) - offset
            if room <= 0:
                raise OSError(errno.EPERM, "sealed")
            spans = shortened(spans, room)
        if offset + size > MAX_SIZE:
            raise OSError(errno.EFBIG, "too large")
        count = node.data.write_at(spans, offset)
        node.touched()
        return count

    def seek(self, offset: int, whence: int) -> int:
        data = self.node.data
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence == SEEK_END:
            offset += data.length
        elif whence in (SEEK_DATA, SEEK_HOLE):
            if not 0 <= offset < data.length:
                raise OSError(errno.ENXIO, "beyond the end")
            offset = data.next_data(offset) if whence == SEEK_DATA else data.next_hole(offset)
        elif whence != SEEK_SET:
            raise OSError(errno.EINVAL, "bad whence")
        if not 0 <= offset <= MAX_SIZE:
            raise OSError(errno.EINVAL, "offset out of range")
        self.offset = offset
        return offset

    def truncate(self, size: int) -> None:
        if self.flags & O_ACCMODE == O_RDONLY:
            raise OSError(errno.EINVAL, "not open for writing")
        self.node.resize(size)

    def allocate(self, mode: int, offset: int, size: int) -> None:
        if self.flags & O_ACCMODE == O_RDONLY:
            raise OSError(errno.EBADF, "not open for writing")
        if mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE):
            raise OSError(errno.EOPNOTSUPP, "not supported by tmpfs")
        node, end = self.node, offset + size
        if mode & FALLOC_FL_PUNCH_HOLE:
            if node.seals & _WRITE_SEALS:
                raise OSError(errno.EPERM, "sealed")
            node.data.punch(offset, end)
        else:
            self.reserve(mode, offset, end)
        node.touched()

    def reserve(self, mode: int, offset: int, end: int) -> None:
        """Give every page of a range a frame, or none of them a new one."""
        data = self.node.data
        if end > data.length and self.node.seals & F_SEAL_GROW:
            raise OSError(errno.EPERM, "sealed")
        grows = not mode & FALLOC_FL_KEEP_SIZE and end > data.length
        added: list[int] = []
        try:
            for index in range(offset >> PAGE_SHIFT, (end + PAGE_SIZE - 1) >> PAGE_SHIFT):
                if index not in data.pages:
                    data.add(index)
                    added.append(index)
        except OSError:
            for index in added:
                data.drop(index, 1)
            raise OSError(errno.ENOSPC, "no memory left") from None
        if grows:
            data.length = end

    def sync(self, data_only: bool) -> None:
        """There is nothing behind the pages."""

    def mapping(self) -> FilePages:
        return self.node.data

    # Seals

    def seals(self) -> int:
        return self.node.seals

    def add_seals(self, seals: int) -> None:
        node = self.node
        if self.flags & O_ACCMODE == O_RDONLY:
            raise OSError(errno.EPERM, "not open for writing")
        if seals & ~_ALL_SEALS:
            raise OSError(errno.EINVAL, "unknown seals")
        if node.seals & F_SEAL_SEAL:
            raise OSError(errno.EPERM, "no more seals can be added")
        if seals & F_SEAL_WRITE and not node.seals & F_SEAL_WRITE and node.data.writable_maps:
            raise OSError(errno.EBUSY, "mapped for writing")
        if seals & F_SEAL_EXEC and node.stat().st_mode & 0o111:
            # An executable file is made immutable altogether
            seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
        node.seals |= seals

    def write_sealed(self, prot: int) -> int:
        if not self.node.seals & _WRITE_SEALS:
            return 0
        if prot & _PROT_WRITE:
            raise OSError(errno.EPERM, "sealed against writing")
        return _PROT_WRITE


def shortened(spans: Spans, size: int) -> Spans:
    """The first `size` bytes of a buffer."""
    result: Spans = []
    for span in spans:
        if size <= 0:
            break
        result.append(span[:size])
        size -= len(span)
    return result

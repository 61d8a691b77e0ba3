"""The pages of a file: what Linux calls ``struct address_space`` and the page cache.

Every mapping of one file shares one `FilePages`, so that all processes share its frames.  Host
files keep copies that are written back; files that live in memory (tmpfs, memfd, shared anonymous
mappings) have no other storage than these frames.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Protocol

from vfs.outside import outside

PAGE_SIZE = 4096
PAGE_SHIFT = 12

READ_AHEAD = 16  # pages read from a host file at once
CACHE_BYTES = 128 << 20  # clean pages of files nobody maps, kept for the next exec
CACHE_FILES = 256  # files with cached pages, each of which costs a host descriptor

_ZERO = bytes(PAGE_SIZE)

Spans = list[memoryview]
"""A guest buffer as writable or readable slices of physical memory, in order."""


class ShortSpans(list[memoryview]):
    """A guest buffer of `size` bytes that ends early, at memory that cannot be accessed."""

    __slots__ = ("size",)

    def __init__(self, spans: Spans, size: int) -> None:
        super().__init__(spans)
        self.size = size


Identity = tuple[int, int]
"""st_dev and st_ino of a host file."""


class Frames(Protocol):
    """Physical memory as files see it; implemented by the machine's arena.  A frame is named by its
    physical address and is PAGE_SIZE bytes long.  `executable` holds the frames that code may have been
    translated from: whoever writes to one calls `on_code_write` with it first."""

    executable: set[int]
    on_code_write: Callable[[int], None]

    def alloc(self) -> int:
        """A zeroed frame with one reference.  Raises OSError(ENOMEM)."""

    def hold(self, frame: int) -> None:
        """One reference more."""

    def drop(self, frame: int) -> None:
        """One reference less; the last one frees the frame."""

    def view(self, paddr: int, size: int) -> memoryview:
        """The bytes at a physical address, zero-copy."""


class FilePages:
    """Cached pages of one file: page index -> frame.  Holds one reference on each.

    `size()` is the file's length in bytes.  `frame(index)` raises OSError(EFAULT) beyond it: the
    caller turns that into SIGBUS.
    """

    __slots__ = ("dirty", "frames", "on_drop", "pages", "writable_maps")

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.pages: dict[int, int] = {}
        self.dirty: set[int] = set()
        self.writable_maps = 0
        # Mappings of this file, by the id() of their VMA, told when pages go away (truncate, hole punch): Linux's
        # unmap_mapping_range.  Called with (first page index, number of pages).
        self.on_drop: dict[int, Callable[[int, int], None]] = {}

    def size(self) -> int:
        raise NotImplementedError

    def frame(self, index: int) -> int:
        """The frame of page `index`, read in if need be.  No reference is added."""
        raise NotImplementedError

    def writeback(self, first: int = 0, last: int = 0) -> None:
        """Store dirty pages to the file behind, if there is one.  msync(2) says which pages it means, from `first`
        to before `last`: what is behind the end of the file in one of them is zero then."""

    def drop(self, first: int, count: int) -> None:
        """Forget pages, and have them unmapped wherever they are mapped.  Their contents are lost."""
        pages = self.pages
        gone = (
            [i for i in range(first, first + count) if i in pages]
            if count < len(pages)
            else [i for i in pages if first <= i < first + count]
        )
        for tell in tuple(self.on_drop.values()):
            tell(first, count)
        for index in gone:
            self.dirty.discard(index)
            self.frames.drop(pages.pop(index))

    def clear(self, start: int, end: int) -> None:
        """Zero the bytes [start, end) in the pages that are there."""
        frames = self.frames
        while start < end:
            index = start >> PAGE_SHIFT
            stop = min(end, (index + 1) << PAGE_SHIFT)
            frame = self.pages.get(index)
            if frame is not None:
                if frame in frames.executable:
                    frames.on_code_write(frame)
                frames.view(frame + (start & PAGE_SIZE - 1), stop - start)[:] = _ZERO[: stop - start]
            start = stop

    def cut(self, size: int) -> None:
        """The file has become `size` bytes long: drop pages beyond, zero the rest of the last one."""
        first = (size + PAGE_SIZE - 1) >> PAGE_SHIFT
        self.drop(first, (1 << 52) - first)
        if size & PAGE_SIZE - 1:
            self.clear(size, first << PAGE_SHIFT)

    def punch(self, start: int, end: int) -> None:
        """The bytes [start, end) of the file have become zeros."""
        first, last = (start + PAGE_SIZE - 1) >> PAGE_SHIFT, end >> PAGE_SHIFT
        if first < last:
            self.drop(first, last - first)
            self.clear(start, first << PAGE_SHIFT)
            self.clear(last << PAGE_SHIFT, end)
        else:
            self.clear(start, end)


class HostFilePages(FilePages):
    """Pages of a host file: copies, read in with one preadv for several pages and written back when
    they were changed through a shared mapping.  Writeback never extends the file."""

    __slots__ = ("cache", "fd", "seen", "writable")

    def __init__(self, cache: PageCache, fd: int, writable: bool) -> None:
        super().__init__(cache.frames)
        self.cache = cache
        self.fd = fd  # our own
        self.writable = writable
        self.seen = self.version()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self.fd)
        for frame in self.pages.values():
            self.frames.drop(frame)

    def version(self) -> tuple[int, int, int]:
        """What changes when anybody writes to the file."""
        st = os.fstat(self.fd)
        return st.st_size, st.st_mtime_ns, st.st_ctime_ns

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def frame(self, index: int) -> int:
        pages = self.pages
        found = pages.get(index)
        if found is not None:
            return found
        end = (os.fstat(self.fd).st_size + PAGE_SIZE - 1) >> PAGE_SHIFT
        if index >= end:
            raise OSError(errno.EFAULT, "beyond the end of the file")
        count = 1
        limit = min(READ_AHEAD, end - index)
        while count < limit and index + count not in pages:
            count += 1
        frames = self.frames
        new = [frames.alloc()]
        try:
            while len(new) < count:
                new.append(frames.alloc())
        except OSError:
            pass  # memory is short: one page must do
        try:
            os.preadv(self.fd, [frames.view(frame, PAGE_SIZE) for frame in new], index << PAGE_SHIFT)
        except OSError:
            for frame in new:
                frames.drop(frame)
            raise
        for frame in new:
            pages[index] = frame
            index += 1
        self.cache.grown(self, len(new))
        return new[0]

    def reload(self, start: int, end: int) -> None:
        """The bytes [start, end) of the file were written behind the pages' back: read them again."""
        frames = self.frames
        pages = self.pages
        first, last = start >> PAGE_SHIFT, (end + PAGE_SIZE - 1) >> PAGE_SHIFT
        for index in range(first, last) if last - first < len(pages) else sorted(pages):
            frame = pages.get(index)
            if frame is None or not first <= index < last:
                continue
            if frame in frames.executable:
                frames.on_code_write(frame)
            os.preadv(self.fd, [frames.view(frame, PAGE_SIZE)], index << PAGE_SHIFT)
        self.seen = self.version()

    def writeback(self, first: int = 0, last: int = 0) -> None:
        if not self.dirty or not self.writable:
            return
        outside.changed = True
        size = self.size()
        for index in sorted(self.dirty):
            start = index << PAGE_SHIFT
            if start < size:
                view = self.frames.view(self.pages[index], min(PAGE_SIZE, size - start))
                os.pwritev(self.fd, [view], start)
                if first <= index < last and len(view) < PAGE_SIZE:
                    self.clear(size, start + PAGE_SIZE)
        if not self.writable_maps:
            self.dirty.clear()
        self.seen = self.version()


class PageCache:
    """Which host files have pages: one per kernel.

    Pages of files that nobody maps any more stay for reuse by the next exec, up to `limit` bytes; the
    least recently mapped go first.  They are looked at again, and dropped if the file has changed, when
    it is mapped anew.
    """

    __slots__ = ("files", "frames", "limit", "trigger", "used")

    def __init__(self, frames: Frames, limit: int = CACHE_BYTES) -> None:
        self.frames = frames
        self.files: dict[Identity, HostFilePages] = {}  # least recently mapped first
        self.limit = limit >> PAGE_SHIFT
        self.used = 0  # pages read in since the last trim, plus those that it left
        self.trigger = self.limit

    def mapping(self, identity: Identity, fd: int, writable: bool) -> HostFilePages:
        """The pages of the host file behind `fd`, for a new mapping.  `fd` stays the caller's."""
        found = self.files.pop(identity, None)
        if found is None:
            if len(self.files) >= CACHE_FILES:
                self.trim(CACHE_FILES // 2)
            found = HostFilePages(self, os.dup(fd), writable)
        else:
            if writable and not found.writable:
                os.dup2(fd, found.fd, inheritable=False)
                found.writable = True
            if not found.on_drop:
                found.writeback()
                version = found.version()
                if version != found.seen:
                    found.drop(0, 1 << 52)
                    found.seen = version
        self.files[identity] = found
        return found

    def grown(self, pages: HostFilePages, count: int) -> None:
        """`pages` has read in `count` pages more."""
        self.used += count
        if self.used > self.trigger:
            self.trim(CACHE_FILES, pages)
            # Mapped pages cannot go: do not look at every file again for each page that is added
            self.trigger = max(self.limit, self.used + self.used // 4)

    def trim(self, files: int, busy: HostFilePages | None = None) -> None:
        """Let go of files nobody maps, until the cache is within its limit with room to spare."""
        self.used = sum(len(pages.pages) for pages in self.files.values())
        for identity, pages in list(self.files.items()):
            if self.used <= self.limit * 3 // 4 and len(self.files) <= files:
                return
            if pages.on_drop or pages is busy:
                continue
            pages.writeback()
            self.used -= len(pages.pages)
            del self.files[identity]

    def writeback(self) -> None:
        """sync(2): store every dirty page."""
        for pages in list(self.files.values()):
            pages.writeback()

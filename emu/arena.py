"""Physical memory: one sparse arena of page frames, shared by every address space.

Linux: the page allocator and ``struct page``'s reference count.  A frame is named by its physical
address, which is its offset in the arena; frame 0 is never handed out.  Frames are reused from a
free list only after they read as zeros again, and runs of freed frames are punched out of the
host's memory in batches, so that memory a guest gives up is memory the host gets back.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Callable

from emu.engine import PAGE_SHIFT, PAGE_SIZE
from emu.host import SparseMemory

SIZE = 1 << 36  # addressable; the limit that counts is `limit`
_PUNCH_BATCH = 2048  # freed frames kept aside before they are given back: 8 MiB
_ZERO = bytes(PAGE_SIZE)


class Arena:
    """Frames with reference counts.

    `limit` is the number of frames that may be in use (a guest's memory limit); beyond it `alloc`
    raises OSError(ENOMEM).  `executable` holds the frames an engine may have translated code from:
    whoever writes to or frees one must tell the engine first, through `on_code_write`.
    """

    __slots__ = (
        "_fresh", "_stale", "_zeroed", "executable", "limit", "memory", "on_code_write", "peak", "refs", "used",
        "view_all",
    )  # fmt: skip

    def __init__(self, limit_bytes: int) -> None:
        self.memory = SparseMemory(SIZE)
        self.view_all = self.memory.view
        self.limit = limit_bytes >> PAGE_SHIFT
        self.refs = array("I", [1])
        self.used = 0
        self.peak = 0
        self._fresh = 1  # number of the first frame never used
        self._zeroed: list[int] = []  # free frames that read as zeros
        self._stale: list[int] = []  # free frames that do not
        self.executable: set[int] = set()
        self.on_code_write: Callable[[int], None] = lambda frame: None

    @property
    def used_bytes(self) -> int:
        return self.used << PAGE_SHIFT

    def alloc(self) -> int:
        """A zeroed frame with one reference."""
        if self.used >= self.limit:
            raise OSError(errno.ENOMEM, "the guest's memory limit is reached")
        self.used += 1
        if self.used > self.peak:
            self.peak = self.used
        if self._stale:  # memory the host still backs comes first
            frame = self._stale.pop()
            self.view_all[frame : frame + PAGE_SIZE] = _ZERO
            self.refs[frame >> PAGE_SHIFT] = 1
            return frame
        if self._zeroed:
            frame = self._zeroed.pop()
            self.refs[frame >> PAGE_SHIFT] = 1
            return frame
        number = self._fresh
        self._fresh = number + 1
        self.refs.append(1)
        return number << PAGE_SHIFT

    def alloc_copy(self, source: int) -> int:
        """A frame with the contents of `source`: the copy of copy-on-write."""
        frame = self.alloc()
        view = self.view_all
        view[frame : frame + PAGE_SIZE] = view[source : source + PAGE_SIZE]
        return frame

    def hold(self, frame: int) -> None:
        self.refs[frame >> PAGE_SHIFT] += 1

    def drop(self, frame: int) -> None:
        number = frame >> PAGE_SHIFT
        left = self.refs[number] - 1
        self.refs[number] = left
        if left == 0:
            self.used -= 1
            if frame in self.executable:
                self.executable.discard(frame)
                self.on_code_write(frame)
            self._stale.append(frame)
            if len(self._stale) >= _PUNCH_BATCH:
                self.trim()

    def trim(self) -> None:
        """Punch every stale frame out of the host's memory, run by run."""
        stale = self._stale
        if not stale:
            return
        stale.sort()
        start = previous = stale[0]
        kept: list[int] = []
        for frame in [*stale[1:], -1]:
            if frame == previous + PAGE_SIZE:
                previous = frame
                continue
            run = range(start, previous + PAGE_SIZE, PAGE_SIZE)
            if self.memory.punch(start, len(run) << PAGE_SHIFT):
                self._zeroed.extend(reversed(run))
            else:
                kept.extend(run)
            start = previous = frame
        self._stale = kept

    def shared(self, frame: int) -> bool:
        """More than one reference: a write must copy first."""
        return self.refs[frame >> PAGE_SHIFT] > 1

    def view(self, paddr: int, size: int) -> memoryview:
        return self.view_all[paddr : paddr + size]

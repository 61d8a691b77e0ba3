"""What the machine needs from the host: one large sparse mapping that can give pages back.

Linux: a memfd, holes punched with MADV_REMOVE.  Elsewhere, or with LXRUN_HOST=portable: an unlinked
sparse temporary file, in which frames are cleared instead.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys

PORTABLE = os.environ.get("LXRUN_HOST") == "portable"

_MADV_REMOVE = getattr(mmap, "MADV_REMOVE", None)


def keeps_time_by(clocksource: bytes) -> bool:
    """Whether the host's kernel itself tells the time by this counter of the processor: it has found then that
    it is constant, never stops, and is the same on all processors."""
    if PORTABLE:
        return False
    try:
        with open("/sys/devices/system/clocksource/clocksource0/current_clocksource", "rb", buffering=0) as file:
            return file.read() == clocksource + b"\n"
    except OSError:
        return False


class SparseMemory:
    """A mapping of `size` bytes that costs nothing until touched."""

    __slots__ = ("address", "can_punch", "map", "view")

    def __init__(self, size: int) -> None:
        if not PORTABLE and hasattr(os, "memfd_create"):
            fd = os.memfd_create("lxrun-memory", os.MFD_CLOEXEC)
        else:
            import tempfile

            fd, name = tempfile.mkstemp(prefix="lxrun-memory-")
            os.unlink(name)
        try:
            os.ftruncate(fd, size)
            self.map = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        if hasattr(mmap, "MADV_DONTFORK"):
            self.map.madvise(mmap.MADV_DONTFORK)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.view = memoryview(self.map)
        self.can_punch = not PORTABLE and _MADV_REMOVE is not None and sys.platform == "linux"

    def punch(self, offset: int, size: int) -> bool:
        """Give pages back to the host; they read as zeros again.  False if the host cannot."""
        if not self.can_punch:
            return False
        assert _MADV_REMOVE is not None
        self.map.madvise(_MADV_REMOVE, offset, size)
        return True

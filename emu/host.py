"""What the machine needs from the host: one large sparse mapping that can give pages back.

Linux: a memfd, holes punched with MADV_REMOVE.  Elsewhere, or with LXRUN_HOST=portable: an unlinked
sparse temporary file, in which frames are cleared instead.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Sequence

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


def rewrite_code(places: Sequence[tuple[int, bytes, bytes | None]]) -> bool:
    """Replace instructions of a library that is loaded, for this process alone: at each address `before` by `after`,
    of the same length (None: it stays).  False, and nothing is changed, if something else is there or the host does
    not let code be written."""
    if any(ctypes.string_at(address, len(before)) not in (before, after) for address, before, after in places):
        return False
    changed = [(address, after) for address, _, after in places if after is not None]
    start = min(address for address, _ in changed) & -mmap.PAGESIZE
    size = max(address + len(after) for address, after in changed) - start
    protect = getattr(ctypes.CDLL(None), "mprotect", None)
    if protect is None:
        return False
    readable, writable, executable = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
    if protect(ctypes.c_void_p(start), ctypes.c_size_t(size), readable | writable | executable):
        return False
    for address, after in changed:
        ctypes.memmove(address, after, len(after))
    protect(ctypes.c_void_p(start), ctypes.c_size_t(size), readable | executable)
    return True


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

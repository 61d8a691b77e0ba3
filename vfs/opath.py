"""Descriptors opened with O_PATH: a place in the tree that can be named, not read."""

from __future__ import annotations

import errno

from vfs.file import O_DIRECTORY, O_NOFOLLOW, O_PATH, File
from vfs.node import Path
from vfs.wait import POLLNVAL

KEPT = O_PATH | O_DIRECTORY | O_NOFOLLOW


class PathFile(File):
    """struct file with FMODE_PATH.  Everything but fstat and its use as a starting point is EBADF."""

    __slots__ = ()

    def __init__(self, path: Path, flags: int) -> None:
        super().__init__(path.node, flags & KEPT, path.text)
        self.mount = path.mount

    def read(self, spans: object) -> int:
        raise OSError(errno.EBADF, "opened with O_PATH")

    write = read

    def pread(self, spans: object, offset: int) -> int:
        raise OSError(errno.EBADF, "opened with O_PATH")

    pwrite = pread

    def seek(self, offset: int, whence: int) -> int:
        raise OSError(errno.EBADF, "opened with O_PATH")

    def poll(self) -> int:
        return POLLNVAL

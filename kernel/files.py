"""The descriptor table of a process: Linux's ``struct files_struct`` and ``struct fdtable``."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.locks import LockTable
from vfs.file import O_PATH

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File


def bad_fd() -> OSError:
    return OSError(errno.EBADF, "no such descriptor")


class FdTable:
    """Small integers to open file descriptions, and which of them an exec closes.

    `open_fds` and `exec_closed` are bitmaps, as in Linux: the lowest free descriptor is the lowest
    zero bit.  `limit` is the soft RLIMIT_NOFILE.  `locks` are the record locks of the kernel, which a
    close gives up (fcntl_locking(2)); the table itself is their owner, as in Linux.
    """

    __slots__ = ("capacity", "exec_closed", "files", "limit", "locks", "open_fds", "users")

    def __init__(self, limit: int = 1024, locks: LockTable | None = None) -> None:
        self.files: dict[int, File] = {}
        self.users = 1  # tasks that share this table
        self.open_fds = 0
        self.capacity = 64  # how many descriptors Linux's table would have room for: it never shrinks
        self.exec_closed = 0
        self.limit = limit
        self.locks = locks or LockTable()

    # Looking up

    def get(self, fd: int) -> File:
        """The description behind `fd`, O_PATH ones included.  Raises OSError(EBADF)."""
        try:
            return self.files[fd]
        except KeyError:
            raise bad_fd() from None

    def get_io(self, fd: int) -> File:
        """The description behind `fd` for a call that O_PATH descriptors refuse.  Raises OSError(EBADF)."""
        file = self.files.get(fd)
        if file is None or file.flags & O_PATH:
            raise bad_fd()
        return file

    def items(self) -> list[tuple[int, File, bool]]:
        """(descriptor, description, close-on-exec), in ascending order."""
        return [(fd, self.files[fd], self.cloexec(fd)) for fd in sorted(self.files)]

    def cloexec(self, fd: int) -> bool:
        return self.exec_closed >> fd & 1 == 1

    def set_cloexec(self, fd: int, on: bool) -> None:
        """FD_CLOEXEC of an open descriptor."""
        if on:
            self.exec_closed |= 1 << fd
        else:
            self.exec_closed &= ~(1 << fd)

    # Taking descriptors

    def unused(self, lowest: int = 0) -> int:
        """The lowest free descriptor that is at least `lowest`.  Raises OSError(EMFILE).

        Calls that make something before they install it ask this first, so that a full table leaves
        nothing behind."""
        used = self.open_fds >> lowest
        fd = lowest + (~used & (used + 1)).bit_length() - 1
        if fd >= self.limit:
            raise OSError(errno.EMFILE, "descriptor table full")
        return fd

    def install(self, file: File, cloexec: bool = False, lowest: int = 0) -> int:
        """Give `file` the lowest free descriptor.  Raises OSError(EMFILE), and lets go of a file that
        has no other descriptor."""
        try:
            fd = self.unused(lowest)
        except OSError:
            if not file.refs:
                file.last_put()
            raise
        self._set(fd, file, cloexec)
        return fd

    def _set(self, fd: int, file: File, cloexec: bool) -> None:
        file.refs += 1
        self.files[fd] = file
        if fd >= self.capacity:
            self.capacity = 128 << (fd >> 7).bit_length()  # alloc_fdtable
        self.open_fds |= 1 << fd
        if cloexec:
            self.exec_closed |= 1 << fd

    def dup(self, fd: int, lowest: int = 0, cloexec: bool = False) -> int:
        """F_DUPFD: another descriptor, at least `lowest`, for the same description."""
        return self.install(self.get(fd), cloexec, lowest)

    def dup_to(self, old: int, new: int, cloexec: bool = False) -> int:
        """dup3(2): make `new` another descriptor for `old`'s description, closing what was there."""
        file = self.get(old)
        if not 0 <= new < self.limit:
            raise bad_fd()
        if old == new:
            return new
        self.put_at(new, file, cloexec)
        return new

    def put_at(self, fd: int, file: File, cloexec: bool) -> None:
        """replace_fd: make `fd` a descriptor for `file`, closing what was there.  Raises OSError(EBADF)."""
        if not 0 <= fd < self.limit:
            raise bad_fd()
        file.refs += 1  # held while `fd` closes, which may be the same description
        if fd in self.files:
            self.close(fd)
        self._set(fd, file, cloexec)
        file.refs -= 1

    # Giving them up

    def close(self, fd: int) -> None:
        """close(2).  Raises OSError(EBADF)."""
        file = self.files.pop(fd, None)
        if file is None:
            raise bad_fd()
        bit = 1 << fd
        self.open_fds ^= bit
        if self.exec_closed & bit:
            self.exec_closed ^= bit
        if self.locks.holders:
            self.locks.closed(self, file)
        if file.flushes:
            file.flush()
        file.refs -= 1
        if not file.refs:
            file.last_put()

    def close_range(self, first: int, last: int) -> None:
        """Close every open descriptor from `first` to `last`, both included."""
        for fd in sorted(fd for fd in self.files if first <= fd <= last):
            self.close(fd)

    def close_on_exec(self) -> None:
        """Close what execve(2) does not pass on."""
        for fd in sorted(fd for fd in self.files if self.cloexec(fd)):
            self.close(fd)

    def fork(self) -> FdTable:
        """A copy for a new process, which shares the open file descriptions (dup_fd)."""
        new = FdTable(self.limit, self.locks)
        for fd, file in self.files.items():
            new._set(fd, file, bool(self.exec_closed >> fd & 1))
        return new

    def unshare(self, task: Task) -> None:
        """unshare_files: give `task` a copy of its own, if others use this table as well."""
        if self.users > 1:
            self.users -= 1
            task.files = self.fork()

    def close_all(self) -> None:
        """The process ends."""
        for fd in sorted(self.files):
            self.close(fd)

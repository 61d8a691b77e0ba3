"""Open file descriptions: Linux's ``struct file``.

Every kind of open file is a subclass of `File`.  Data moves through *spans*, memoryview slices of
guest memory, so nothing is copied on the way to the host.  No method here blocks: one that has
nothing to give raises BlockingIOError, and the caller waits on `queues()` and tries again.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vfs.wait import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from vfs.epoll import EpItem
    from vfs.node import Mount, Node, StatLike
    from vfs.pages import FilePages, Spans
    from vfs.pty import PtyEnd
    from vfs.sock import Sock

# Open flags: the values of asm-generic/fcntl.h; an architecture that differs translates at the ABI.
O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE = 0, 1, 2, 3
O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC = 0o100, 0o200, 0o400, 0o1000
O_APPEND, O_NONBLOCK, O_DSYNC, O_ASYNC = 0o2000, 0o4000, 0o10000, 0o20000
O_DIRECT, O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW = 0o40000, 0o100000, 0o200000, 0o400000
O_NOATIME, O_CLOEXEC, O_SYNC, O_PATH = 0o1000000, 0o2000000, 0o4010000, 0o10000000
O_TMPFILE = 0o20000000 | O_DIRECTORY

SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE = range(5)


class File:
    """An open file description.

    `flags` are Linux's open flags without the creation flags; `name` is the guest's absolute path at
    the time of opening, or Linux's own text for nameless files ("pipe:[7]", "anon_inode:[eventfd]").
    `refs` counts descriptors and mappings; `put` gives one back.  `mount` is the
    mount it was opened through, None for nameless files.  `epitems` are the epoll items for it (f_ep).
    """

    __slots__ = ("epitems", "flags", "mount", "name", "node", "owner", "refs")

    seekable = False
    pollable = False  # has a poll operation, so that epoll takes it (file_can_poll)
    completes = False  # a blocking write goes on until all is written: pipes, terminals, sockets
    flushes = False  # `flush` has something to do
    merges = True  # parts of a mapping of it may become one again
    passable = True  # in a message with SCM_RIGHTS
    direct = False  # takes O_DIRECT (FMODE_CAN_ODIRECT, or a pipe, where it means something else)
    maps_whole = False  # a mapping has all its pages from the start (remap_pfn_range)
    sock: Sock | None = None  # what is behind a socket
    tty: PtyEnd | None = None  # what is behind a terminal

    def __init__(self, node: Node, flags: int, name: bytes) -> None:
        self.node = node
        self.flags = flags
        self.name = name
        self.mount: Mount | None = None
        self.owner: Any = None  # whom it signals (kernel.fown.FileOwner), once somebody has asked
        self.refs = 0
        self.epitems: list[EpItem] | None = None

    # Data

    def read(self, spans: Spans) -> int:
        """read(2) at the file position; 0 at the end."""
        raise OSError(errno.EINVAL, "not readable")

    def starved(self) -> bool:
        """Whether `read` certainly has nothing to give yet, so that a call that would wait need not try; asked of
        files that `completes`."""
        return False

    def write(self, spans: Spans) -> int:
        """write(2) at the file position, or the end with O_APPEND."""
        raise OSError(errno.EINVAL, "not writable")

    def pread(self, spans: Spans, offset: int) -> int:
        raise OSError(errno.ESPIPE, "not seekable")

    def pwrite(self, spans: Spans, offset: int) -> int:
        raise OSError(errno.ESPIPE, "not seekable")

    def seek(self, offset: int, whence: int) -> int:
        """lseek(2), SEEK_DATA and SEEK_HOLE included."""
        raise OSError(errno.ESPIPE, "not seekable")

    def entries(self) -> Sequence[tuple[int, int, bytes]]:
        """Directory entries from the current position: (inode, DT_ type, name).  `skip` moves on."""
        raise OSError(errno.ENOTDIR, "not a directory")

    def skip(self, count: int) -> None:
        """Move on by `count` directory entries."""
        raise OSError(errno.ENOTDIR, "not a directory")

    def truncate(self, size: int) -> None:
        raise OSError(errno.EINVAL, "cannot be truncated")

    def allocate(self, mode: int, offset: int, size: int) -> None:
        """fallocate(2)."""
        raise OSError(errno.ENODEV, "no space to allocate")

    def sync(self, data_only: bool) -> None:
        """fsync(2) and fdatasync(2)."""
        raise OSError(errno.EINVAL, "nothing to synchronise")

    # Attributes

    def stat(self) -> StatLike:
        return self.node.stat()

    def set_flags(self, flags: int) -> None:
        """F_SETFL: new status flags (O_APPEND, O_NONBLOCK, O_DIRECT, O_NOATIME, O_ASYNC), all others kept."""
        self.flags = flags

    def fasync(self, fd: int, on: bool) -> bool:
        """O_ASYNC is set or cleared through descriptor `fd`: whether files of this kind send SIGIO at all."""
        return False

    def add_seals(self, seals: int) -> None:
        """F_ADD_SEALS."""
        if self.flags & O_ACCMODE == O_RDONLY:
            raise OSError(errno.EPERM, "not open for writing")
        raise OSError(errno.EINVAL, "cannot be sealed")

    def seals(self) -> int:
        """F_GET_SEALS."""
        raise OSError(errno.EINVAL, "cannot be sealed")

    def write_sealed(self, prot: int) -> int:
        """For a shared mapping with rights `prot`: PROT_WRITE if seals forbid ever adding that.  Raises
        OSError(EPERM) if `prot` has it."""
        return 0

    def ioctl(self, task: Any, request: int, arg: int) -> Any:
        """ioctl(2); `task` is the calling kernel Task, for its memory.  The result, or a coroutine of it."""
        raise OSError(errno.ENOTTY, "no such request")

    def fdinfo(self) -> bytes:
        """Lines of /proc/PID/fdinfo/FD that only files of this kind have."""
        return b""

    # Readiness

    def poll(self) -> int:
        """The POLL* events that hold now."""
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM

    def queues(self, events: int) -> Sequence[WaitQueue]:
        """Wait queues that are woken when one of `events` may have come to hold.  Empty: always ready."""
        return ()

    # Mapping

    def mapping(self) -> FilePages:
        """The pages behind mmap(2).  Raises OSError(ENODEV) for files that cannot be mapped."""
        raise OSError(errno.ENODEV, "cannot be mapped")

    def vma_open(self) -> None:
        """A mapping of the file came into being, by mmap(2), by fork or by falling apart (vm_ops->open)."""
        self.refs += 1

    def vma_close(self) -> None:
        """A mapping of the file is gone."""
        self.put()

    def check_map(self, offset: int, size: int) -> None:
        """Raises OSError if these bytes of it cannot be mapped."""

    # The end

    def flush(self) -> None:
        """The running process closes a descriptor, which need not be the last one (file_operations.flush)."""

    def put(self) -> None:
        """fput: one reference less; with the last one everything that refers to the description goes."""
        self.refs -= 1
        if not self.refs:
            self.last_put()

    def last_put(self) -> None:
        """__fput: nobody refers to the description any more."""
        if self.mount is not None and self.mount.watches is not None:
            self.mount.watches.closed(self)
        if self.epitems:
            for item in tuple(self.epitems):
                item.remove()
        self.release()

    def release(self) -> None:
        """What a kind of file does at the end."""

"""File control and locks: fcntl(2) and flock(2)."""

from __future__ import annotations

import errno
import stat as stat_bits
from struct import Struct
from typing import TYPE_CHECKING

from kernel.fown import F_OWNER_PGRP, F_OWNER_PID, F_OWNER_TID, FileOwner
from kernel.locks import (
    F_RDLCK,
    F_UNLCK,
    F_WRLCK,
    OFD_PID,
    OFFSET_MAX,
    Lock,
    Outcome,
    length,
)
from syscalls.abi import Result, UInt, ULong
from syscalls.ioctl import set_async
from vfs import fscred
from vfs.file import (
    O_APPEND,
    O_ASYNC,
    O_DIRECT,
    O_NOATIME,
    O_NONBLOCK,
    O_PATH,
    O_WRONLY,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
    File,
)
from vfs.pipe import PipeFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.locks import LockTable
    from kernel.task import Task

F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL = 0, 1, 2, 3, 4
F_GETLK, F_SETLK, F_SETLKW = 5, 6, 7
F_SETOWN, F_GETOWN, F_SETSIG, F_GETSIG, F_SETOWN_EX, F_GETOWN_EX = 8, 9, 10, 11, 15, 16
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
F_SETLEASE, F_GETLEASE, F_NOTIFY, F_DUPFD_QUERY, F_DUPFD_CLOEXEC = 1024, 1025, 1026, 1027, 1030
F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS = 1031, 1032, 1033, 1034

FD_CLOEXEC = 1
SETTABLE = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME
CAP_SYS_RESOURCE = 24
LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN, LOCK_MAND = 1, 2, 4, 8, 32
NSIG = 64

FLOCK = Struct("<hh4xqqi4x")  # struct flock: l_type, l_whence, l_start, l_len, l_pid
OWNER_EX = Struct("<ii")  # struct f_owner_ex: type, pid

RETRY_FIRST_NS, RETRY_MOST_NS = 1_000_000, 50_000_000  # waiting for a lock of a program outside


def sys_fcntl(t: Task, fd: UInt, command: UInt, arg: ULong) -> Result:
    """fcntl(2)."""
    file = t.files.get(fd)
    if file.flags & O_PATH and command not in PATH_COMMANDS:
        return -errno.EBADF
    handler = COMMANDS.get(command)
    return handler(t, fd, file, command, arg) if handler else -errno.EINVAL


# Descriptors and flags


def duplicate(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    lowest = arg & 0xFFFF_FFFF
    if lowest >= t.files.limit:
        return -errno.EINVAL
    return t.files.install(file, command == F_DUPFD_CLOEXEC, lowest)


def same_description(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    return int(t.files.get(arg & 0xFFFF_FFFF) is file)


def get_fd_flags(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    return FD_CLOEXEC if t.files.cloexec(fd) else 0


def set_fd_flags(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    t.files.set_cloexec(fd, bool(arg & FD_CLOEXEC))
    return 0


def get_status(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    return file.flags


def set_status(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    if arg & ~file.flags & O_NOATIME and not fscred.owner_or_capable(file.stat().st_uid):
        return -errno.EPERM
    if arg & O_DIRECT and not file.direct:
        return -errno.EINVAL
    if (arg ^ file.flags) & O_ASYNC:
        set_async(file, fd, bool(arg & O_ASYNC))
    file.set_flags(file.flags & ~SETTABLE | arg & SETTABLE)
    return 0


# Who is signalled by O_ASYNC


def set_owner(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    pid = arg & 0xFFFF_FFFF
    kind = F_OWNER_PID
    if pid >> 31:
        pid = (1 << 32) - pid
        if pid >> 31:
            return -errno.EINVAL
        kind = F_OWNER_PGRP
    return store_owner(t, file, kind, pid)


def store_owner(t: Task, file: File, kind: int, pid: int) -> int:
    name = {F_OWNER_TID: "tid", F_OWNER_PID: "tgid", F_OWNER_PGRP: "pgid"}[kind]
    if pid and not any(getattr(task, name) == pid for task in t.kernel.tasks.values()):
        return -errno.ESRCH
    owner_of(t, file).set(t, kind, pid)
    return 0


def owner_of(t: Task, file: File) -> FileOwner:
    """Whom `file` signals, to be changed."""
    if file.owner is None:
        file.owner = FileOwner(t.kernel)
    owner: FileOwner = file.owner
    return owner


def get_owner(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    owner: FileOwner | None = file.owner
    if owner is None:
        return 0
    return -owner.number() if owner.kind == F_OWNER_PGRP else owner.number()


def set_owner_ex(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    kind, pid = t.mm.unpack(OWNER_EX, arg)
    if kind not in (F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP):
        return -errno.EINVAL
    return store_owner(t, file, kind, pid)


def get_owner_ex(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    owner: FileOwner | None = file.owner
    kind, number = (F_OWNER_TID, 0) if owner is None else (owner.kind, owner.number())
    t.mm.pack(OWNER_EX, arg, kind, number)
    return 0


def set_signal(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    if arg > NSIG:
        return -errno.EINVAL
    owner_of(t, file).signal = arg
    return 0


def get_signal(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    owner: FileOwner | None = file.owner
    return 0 if owner is None else owner.signal


# Leases and directory notes: a filesystem that supports neither


def get_lease(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    return F_UNLCK


def set_lease(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    return -errno.EAGAIN if arg == F_UNLCK else -errno.EINVAL


def notify(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    return -errno.EINVAL if stat_bits.S_ISDIR(file.stat().st_mode) else -errno.ENOTDIR


# Pipes and sealed memory


def set_pipe_size(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    if not isinstance(file, PipeFile):
        return -errno.EBADF
    return file.pipe.resize(arg & 0xFFFF_FFFF, bool(t.cred.cap_effective >> CAP_SYS_RESOURCE & 1))


def get_pipe_size(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    if not isinstance(file, PipeFile):
        return -errno.EBADF
    return file.pipe.capacity()


def add_seals(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    file.add_seals(arg & 0xFFFF_FFFF)
    return 0


def get_seals(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    return file.seals()


# Record locks


def byte_range(file: File, whence: int, start: int, size: int) -> tuple[int, int]:
    """The first and last byte of a struct flock.  Raises OSError(EINVAL, EOVERFLOW)."""
    if whence == SEEK_CUR:
        base = file.seek(0, SEEK_CUR) if file.seekable else 0
    elif whence == SEEK_END:
        base = file.stat().st_size
    elif whence == SEEK_SET:
        base = 0
    else:
        raise OSError(errno.EINVAL, "bad whence")
    if start > OFFSET_MAX - base:
        raise OSError(errno.EOVERFLOW, "offset too large")
    start += base
    if start < 0:
        raise OSError(errno.EINVAL, "negative offset")
    if not size:
        return start, OFFSET_MAX
    if size > 0:
        if size - 1 > OFFSET_MAX - start:
            raise OSError(errno.EOVERFLOW, "range too large")
        return start, start + size - 1
    if start + size < 0:
        raise OSError(errno.EINVAL, "range before the start")
    return start + size, start - 1


def get_record(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    kind, whence, start, size, pid = t.mm.unpack(FLOCK, arg)
    by_description = command == F_OFD_GETLK
    if kind not in (F_RDLCK, F_WRLCK) and not (by_description and kind == F_UNLCK):
        return -errno.EINVAL
    first, last = byte_range(file, whence, start, size)
    if by_description and pid:
        return -errno.EINVAL
    owner = file if by_description else t.files
    found = lock_table(t).get_record(file, Lock(kind, first, last, owner, t.tgid, file))
    if found is None:
        t.mm.pack(FLOCK, arg, F_UNLCK, whence, start, size, pid)
    else:
        t.mm.pack(FLOCK, arg, found.kind, SEEK_SET, found.start, length(found), found.pid)
    return 0


def set_record(t: Task, fd: int, file: File, command: int, arg: int) -> Result:
    kind, whence, start, size, pid = t.mm.unpack(FLOCK, arg)
    first, last = byte_range(file, whence, start, size)
    if kind not in (F_RDLCK, F_WRLCK, F_UNLCK):
        return -errno.EINVAL
    if kind == F_RDLCK and file.flags & O_WRONLY:
        return -errno.EBADF
    if kind == F_WRLCK and not file.flags + 1 & 2:
        return -errno.EBADF
    by_description = command in (F_OFD_SETLK, F_OFD_SETLKW)
    if by_description and pid:
        return -errno.EINVAL
    owner, pid = (file, OFD_PID) if by_description else (t.files, t.tgid)
    lock = Lock(kind, first, last, owner, pid, file)
    table = lock_table(t)
    outcome = table.set_record(file, lock)
    if outcome is Outcome.DONE:
        return 0
    if command in (F_SETLK, F_OFD_SETLK):
        return -errno.EAGAIN
    return wait_for(t, table, lock, outcome, lambda: table.set_record(file, lock))


def lock_table(t: Task) -> LockTable:
    return t.files.locks


async def wait_for(t: Task, table: LockTable, lock: Lock, outcome: Outcome, attempt: Callable[[], Outcome]) -> int:
    """Wait until a lock can be taken.  Raises OSError(EDEADLK), Interrupted."""
    pause = RETRY_FIRST_NS
    while outcome is not Outcome.DONE:
        if outcome is Outcome.HELD_HERE:
            request = table.block(lock)
            try:
                await t.wait(table.of(lock.file).changed)
            finally:
                table.unblock(request)
        else:
            await t.wait(timeout_ns=pause)
            pause = min(pause * 2, RETRY_MOST_NS)
        outcome = attempt()
    return 0


PATH_COMMANDS = frozenset((F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GETFD, F_SETFD, F_GETFL))

COMMANDS: dict[int, Callable[[Task, int, File, int, int], Result]] = {
    F_DUPFD: duplicate,
    F_DUPFD_CLOEXEC: duplicate,
    F_DUPFD_QUERY: same_description,
    F_GETFD: get_fd_flags,
    F_SETFD: set_fd_flags,
    F_GETFL: get_status,
    F_SETFL: set_status,
    F_GETLK: get_record,
    F_SETLK: set_record,
    F_SETLKW: set_record,
    F_OFD_GETLK: get_record,
    F_OFD_SETLK: set_record,
    F_OFD_SETLKW: set_record,
    F_SETOWN: set_owner,
    F_GETOWN: get_owner,
    F_SETOWN_EX: set_owner_ex,
    F_GETOWN_EX: get_owner_ex,
    F_SETSIG: set_signal,
    F_GETSIG: get_signal,
    F_SETLEASE: set_lease,
    F_GETLEASE: get_lease,
    F_NOTIFY: notify,
    F_SETPIPE_SZ: set_pipe_size,
    F_GETPIPE_SZ: get_pipe_size,
    F_ADD_SEALS: add_seals,
    F_GET_SEALS: get_seals,
}


def sys_flock(t: Task, fd: UInt, operation: UInt) -> Result:
    """flock(2)."""
    if operation & LOCK_MAND:
        return 0  # Linux has forgotten mandatory locks, and says so by ignoring them
    kind = {LOCK_SH: F_RDLCK, LOCK_EX: F_WRLCK, LOCK_UN: F_UNLCK}.get(operation & ~LOCK_NB)
    if kind is None:
        return -errno.EINVAL
    file = t.files.get_io(fd)
    table = lock_table(t)
    lock = Lock(kind, 0, OFFSET_MAX, file, t.tgid, file, whole=True)
    outcome = table.flock(file, lock)
    if outcome is Outcome.DONE:
        return 0
    if operation & LOCK_NB:
        return -errno.EAGAIN
    return wait_for(t, table, lock, outcome, lambda: table.flock(file, lock))

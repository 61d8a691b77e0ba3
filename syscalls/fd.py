"""Descriptors: closing, duplicating, controlling; pipes and event counters."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from syscalls.abi import Int, Ptr, Result, UInt
from vfs.eventfd import EFD_SEMAPHORE, EventFd
from vfs.file import O_CLOEXEC, O_DIRECT, O_NONBLOCK
from vfs.pipe import make_pipe

if TYPE_CHECKING:
    from kernel.task import Task

TWO_FDS = Struct("<ii")  # int fds[2]: reading end, writing end

CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC = 2, 4


def sys_close(t: Task, fd: UInt) -> Result:
    """close(2)."""
    t.files.close(fd)
    return 0


def sys_close_range(t: Task, first: UInt, last: UInt, flags: UInt) -> Result:
    """close_range(2)."""
    if flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) or first > last:
        return -errno.EINVAL
    if flags & CLOSE_RANGE_UNSHARE:
        t.files.unshare(t)
    if flags & CLOSE_RANGE_CLOEXEC:
        for fd in t.files.files:
            if first <= fd <= last:
                t.files.set_cloexec(fd, True)
    else:
        t.files.close_range(first, last)
    return 0


def sys_dup(t: Task, fd: UInt) -> Result:
    """dup(2)."""
    return t.files.install(t.files.get(fd))


def sys_dup2(t: Task, old: UInt, new: UInt) -> Result:
    """dup2(2)."""
    return t.files.dup_to(old, new)


def sys_dup3(t: Task, old: UInt, new: UInt, flags: Int) -> Result:
    """dup3(2)."""
    if flags & ~O_CLOEXEC or old == new:
        return -errno.EINVAL
    return t.files.dup_to(old, new, bool(flags & O_CLOEXEC))


def sys_pipe(t: Task, fds: Ptr) -> Result:
    """pipe(2)."""
    return sys_pipe2(t, fds, 0)


def sys_pipe2(t: Task, fds: Ptr, flags: Int) -> Result:
    """pipe2(2)."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT):
        return -errno.EINVAL
    cloexec = bool(flags & O_CLOEXEC)
    now = t.kernel.clock.realtime_ns()
    reader, writer = make_pipe(flags & (O_NONBLOCK | O_DIRECT), t.cred.fsuid, t.cred.fsgid, now)
    files = t.files
    first = files.install(reader, cloexec)
    try:
        second = files.install(writer, cloexec)
    except OSError:
        files.close(first)
        raise
    try:
        t.mm.pack(TWO_FDS, fds, first, second)
    except OSError:
        files.close(first)
        files.close(second)
        raise
    return 0


def sys_eventfd(t: Task, count: UInt) -> Result:
    """eventfd(2) as it was before it had flags."""
    return sys_eventfd2(t, count, 0)


def sys_eventfd2(t: Task, count: UInt, flags: Int) -> Result:
    """eventfd(2)."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE):
        return -errno.EINVAL
    return t.files.install(EventFd(count, flags), bool(flags & O_CLOEXEC))

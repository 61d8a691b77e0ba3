"""Signals as files: signalfd(2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.signalfd import SignalFd
from syscalls.abi import Int, Ptr, Result, ULong
from syscalls.signal import SIGSET_SIZE
from vfs.file import O_CLOEXEC, O_NONBLOCK

if TYPE_CHECKING:
    from kernel.task import Task


def sys_signalfd(t: Task, fd: Int, mask: Ptr, size: ULong) -> Result:
    """signalfd(2) as it was before it had flags."""
    return sys_signalfd4(t, fd, mask, size, 0)


def sys_signalfd4(t: Task, fd: Int, mask: Ptr, size: ULong, flags: Int) -> Result:
    """signalfd(2)."""
    if size != SIGSET_SIZE:
        return -errno.EINVAL
    wanted = t.mm.u64(mask)
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        return -errno.EINVAL
    if fd == -1:
        return t.files.install(SignalFd(t.kernel, wanted, flags), bool(flags & O_CLOEXEC))
    file = t.files.get_io(fd)
    if not isinstance(file, SignalFd):
        return -errno.EINVAL
    file.set(wanted)
    return fd

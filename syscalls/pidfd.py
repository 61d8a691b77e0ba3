"""Process descriptors: pidfd_open(2) and the calls that take one."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel import signal
from kernel.pid import PIDFD_NONBLOCK, PIDFD_THREAD, PidFd, pidfd_open
from kernel.procpid import PidDir
from kernel.ptrace import REALCREDS, check_access
from kernel.siginfo import SI_TKILL, SI_USER
from syscalls.abi import Int, Ptr, UInt
from syscalls.signal import from_user, given

if TYPE_CHECKING:
    from kernel.task import Task

SIGNAL_THREAD, SIGNAL_THREAD_GROUP, SIGNAL_PROCESS_GROUP = 1, 2, 4


def pidfd(t: Task, fd: int) -> PidFd:
    """The process descriptor `fd`.  Raises OSError(EBADF)."""
    file = t.files.get(fd)
    if not isinstance(file, PidFd):
        raise OSError(errno.EBADF, "not a process descriptor")
    return file


def sys_pidfd_open(t: Task, pid: Int, flags: UInt) -> int:
    """pidfd_open(2)."""
    if flags & ~(PIDFD_NONBLOCK | PIDFD_THREAD) or pid <= 0:
        return -errno.EINVAL
    return t.files.install(pidfd_open(t.kernel, pid, flags), cloexec=True)


def sys_pidfd_send_signal(t: Task, fd: Int, signo: Int, info: Ptr, flags: UInt) -> int:
    """pidfd_send_signal(2): to what a process descriptor, or a directory /proc/PID, stands for."""
    if flags not in (0, SIGNAL_THREAD, SIGNAL_THREAD_GROUP, SIGNAL_PROCESS_GROUP):
        return -errno.EINVAL
    file = t.files.get_io(fd)
    if isinstance(file, PidFd):
        number, target = file.pid.number, file.pid.task()
        scope = flags or (SIGNAL_THREAD if file.flags & PIDFD_THREAD else SIGNAL_THREAD_GROUP)
    elif isinstance(file.node, PidDir):
        number, target = file.node.task.tid, file.node.task if file.node.alive() else None
        scope = flags or SIGNAL_THREAD_GROUP
    else:
        return -errno.EBADF
    if not info:
        sent = from_user(t, signo, SI_TKILL if scope == SIGNAL_THREAD else SI_USER)
    else:
        sent = given(t, number, signo, info, exact=True)
    if scope == SIGNAL_PROCESS_GROUP:
        signal.kill(t, -number, sent, signo)
        return 0
    if target is None:
        return -errno.ESRCH
    if scope == SIGNAL_THREAD:
        signal.kill_thread(t, None, target.tid, sent, signo)
    else:
        signal.kill(t, target.tgid, sent, signo)
    return 0


def sys_pidfd_getfd(t: Task, fd: Int, target_fd: Int, flags: UInt) -> int:
    """pidfd_getfd(2)."""
    if flags:
        return -errno.EINVAL
    target = pidfd(t, fd).task()
    check_access(t, target, REALCREDS)
    if target.zombie:
        return -errno.ESRCH
    return t.files.install(target.files.get(target_fd), cloexec=True)

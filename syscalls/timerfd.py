"""Timers as files: timerfd_create(2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.clock import NANOSECONDS
from kernel.cred import CAP_WAKE_ALARM
from kernel.timerfd import ALARM, CLOCKS, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET, TimerFd
from syscalls.abi import Int, Ptr, Result
from syscalls.structs import ITIMERVAL
from syscalls.time import FOREVER
from vfs.file import O_CLOEXEC, O_NONBLOCK

if TYPE_CHECKING:
    from kernel.task import Task


def sys_timerfd_create(t: Task, which: Int, flags: Int) -> Result:
    """timerfd_create(2)."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK) or which not in CLOCKS:
        return -errno.EINVAL
    _may_wake(t, which)
    return t.files.install(TimerFd(t.kernel, which, flags), bool(flags & O_CLOEXEC))


def _may_wake(t: Task, which: int) -> None:
    if which in ALARM and not t.cred.capable(CAP_WAKE_ALARM):
        raise OSError(errno.EPERM, "needs CAP_WAKE_ALARM")


def _timer_of(t: Task, fd: int) -> TimerFd:
    file = t.files.get_io(fd)
    if not isinstance(file, TimerFd):
        raise OSError(errno.EINVAL, "not a timer")
    return file


def _put_itimerspec(t: Task, address: int, value: int, interval: int) -> None:
    t.mm.pack(ITIMERVAL, address, *divmod(interval, NANOSECONDS), *divmod(value, NANOSECONDS))


def sys_timerfd_settime(t: Task, fd: Int, flags: Int, new: Ptr, old: Ptr) -> Result:
    """timerfd_settime(2)."""
    interval_s, interval_ns, value_s, value_ns = t.mm.unpack(ITIMERVAL, new)
    if flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET):
        return -errno.EINVAL
    if min(interval_s, value_s) < 0 or not (0 <= interval_ns < NANOSECONDS and 0 <= value_ns < NANOSECONDS):
        return -errno.EINVAL
    timer = _timer_of(t, fd)
    _may_wake(t, timer.clockid)
    value = min(value_s * NANOSECONDS + value_ns, FOREVER)
    before = timer.set(flags, value, min(interval_s * NANOSECONDS + interval_ns, FOREVER))
    if old:
        _put_itimerspec(t, old, *before)
    return 0


def sys_timerfd_gettime(t: Task, fd: Int, current: Ptr) -> Result:
    """timerfd_gettime(2)."""
    _put_itimerspec(t, current, *_timer_of(t, fd).get())
    return 0

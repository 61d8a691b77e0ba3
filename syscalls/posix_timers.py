"""Timers that send signals: timer_create(2) and its family."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from kernel import posix_timers, signal
from kernel.posix_clocks import posix_clock
from kernel.posix_timers import SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, PosixTimer
from syscalls.abi import Int, Ptr
from syscalls.structs import ITIMERSPEC
from syscalls.time import TIMER_ABSTIME, nanoseconds

if TYPE_CHECKING:
    from kernel.task import Task

SIGEVENT = Struct("<QiiI44x")  # sigev_value, sigev_signo, sigev_notify, sigev_notify_thread_id


def _timer(t: Task, number: int) -> PosixTimer:
    timer = t.signals.shared.posix_timers.get(number)
    if timer is None:
        raise OSError(errno.EINVAL, "no such timer")
    return timer


def sys_timer_create(t: Task, which: Int, event: Ptr, created: Ptr) -> int:
    """timer_create(2)."""
    fields = t.mm.unpack(SIGEVENT, event) if event else None
    if which >= 0 and not posix_clock(t, which).has_timers:
        return -errno.EOPNOTSUPP
    number = posix_timers.new_timer_id(t)
    timer = PosixTimer(number, which, posix_clock(t, which), t.kernel.tasks[t.tgid])
    if fields is not None:
        timer.value, timer.signo, timer.notify, tid = fields
        if timer.notify not in (SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID):
            raise OSError(errno.EINVAL, "no such notification")
        if timer.notify == SIGEV_THREAD_ID:
            target = t.kernel.tasks.get(tid)
            if target is None or target.tgid != t.tgid:
                raise OSError(errno.EINVAL, "not a thread of the process")
            timer.target = target
        if timer.notify != SIGEV_NONE and not 1 <= timer.signo <= signal.NSIG:
            raise OSError(errno.EINVAL, "no such signal")
    t.mm.put_u32(created, timer.number)
    t.signals.shared.posix_timers[timer.number] = timer
    return 0


def _put_itimerspec(t: Task, address: int, value: int, interval: int) -> None:
    t.mm.pack(ITIMERSPEC, address, *divmod(interval, 1_000_000_000), *divmod(value, 1_000_000_000))


def sys_timer_settime(t: Task, number: Int, flags: Int, new: Ptr, old: Ptr) -> int:
    """timer_settime(2).  Flags other than TIMER_ABSTIME have no effect."""
    if not new:
        return -errno.EINVAL
    fields = t.mm.unpack(ITIMERSPEC, new)
    interval, value = nanoseconds(*fields[:2]), nanoseconds(*fields[2:])
    timer = _timer(t, number)
    before = timer.get()
    timer.set(value, interval, absolute=bool(flags & TIMER_ABSTIME))
    if old:
        _put_itimerspec(t, old, *before)
    return 0


def sys_timer_gettime(t: Task, number: Int, current: Ptr) -> int:
    """timer_gettime(2)."""
    _put_itimerspec(t, current, *_timer(t, number).get())
    return 0


def sys_timer_getoverrun(t: Task, number: Int) -> int:
    """timer_getoverrun(2)."""
    return _timer(t, number).overrun


def sys_timer_delete(t: Task, number: Int) -> int:
    """timer_delete(2)."""
    posix_timers.timer_delete(t, _timer(t, number))
    return 0

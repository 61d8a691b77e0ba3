"""Clocks, sleeping and interval timers (time(7))."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel import clock
from kernel.clock import NANOSECONDS, TICK_NS
from kernel.cred import CAP_SYS_TIME
from kernel.itimer import ITIMER_REAL, interval_timer
from kernel.task import Interrupted
from syscalls.abi import Int, Ptr, Result, UInt
from syscalls.structs import ITIMERVAL, TIMESPEC, TIMEX, TIMEZONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.task import Task

TIMER_ABSTIME = 1
FOREVER = (1 << 63) - 1  # KTIME_MAX: longer times are taken for this one
_MICRO = 1_000_000

# The Clock method that answers for each clockid_t
_CLOCKS = {
    clock.CLOCK_REALTIME: "realtime_ns",
    clock.CLOCK_MONOTONIC: "monotonic_ns",
    clock.CLOCK_PROCESS_CPUTIME_ID: "cpu_ns",
    clock.CLOCK_THREAD_CPUTIME_ID: "thread_cpu_ns",
    clock.CLOCK_MONOTONIC_RAW: "monotonic_ns",
    clock.CLOCK_REALTIME_COARSE: "realtime_ns",
    clock.CLOCK_MONOTONIC_COARSE: "monotonic_ns",
    clock.CLOCK_BOOTTIME: "boottime_ns",
    clock.CLOCK_REALTIME_ALARM: "realtime_ns",
    clock.CLOCK_BOOTTIME_ALARM: "boottime_ns",
    clock.CLOCK_TAI: "realtime_ns",
}
_COARSE = (clock.CLOCK_REALTIME_COARSE, clock.CLOCK_MONOTONIC_COARSE)
_SLEEPING = (
    clock.CLOCK_REALTIME,
    clock.CLOCK_MONOTONIC,
    clock.CLOCK_PROCESS_CPUTIME_ID,
    clock.CLOCK_BOOTTIME,
    clock.CLOCK_REALTIME_ALARM,
    clock.CLOCK_BOOTTIME_ALARM,
    clock.CLOCK_TAI,
)
_CPUCLOCK_THREAD, _CPUCLOCK_SCHED = 4, 2  # fields of a clock id made from a process id


def timespec(t: Task, address: int) -> int:
    """A struct timespec in nanoseconds.  Raises OSError EINVAL, EFAULT."""
    seconds: int
    nanoseconds: int
    seconds, nanoseconds = t.mm.unpack(TIMESPEC, address)
    if seconds < 0 or not 0 <= nanoseconds < NANOSECONDS:
        raise OSError(errno.EINVAL, "not a time")
    return min(seconds * NANOSECONDS + nanoseconds, FOREVER)


def put_timespec(t: Task, address: int, value: int) -> None:
    """Store nanoseconds as a struct timespec.  Raises OSError(EFAULT)."""
    t.mm.pack(TIMESPEC, address, value // NANOSECONDS, value % NANOSECONDS)


def _reader(t: Task, which: int) -> Callable[[], int]:
    """The clock behind a clockid_t.  Raises OSError(EINVAL)."""
    clocks = t.kernel.clock
    name = _CLOCKS.get(which)
    if name is not None:
        reader: Callable[[], int] = getattr(clocks, name)
        return reader
    if which < 0 and which & 3 <= _CPUCLOCK_SCHED:
        pid = ~(which >> 3)
        target = t if pid == 0 else t.kernel.tasks.get(pid)
        if target is not None and target.tgid == t.tgid:
            return clocks.thread_cpu_ns if which & _CPUCLOCK_THREAD else clocks.cpu_ns
    raise OSError(errno.EINVAL, "no such clock")


def sys_clock_gettime(t: Task, which: Int, address: Ptr) -> int:
    """clock_gettime(2)."""
    now = _reader(t, which)()
    if which in _COARSE:
        now -= now % TICK_NS
    put_timespec(t, address, now)
    return 0


def sys_clock_getres(t: Task, which: Int, address: Ptr) -> int:
    """clock_getres(2)."""
    _reader(t, which)
    if address:
        put_timespec(t, address, TICK_NS if which in _COARSE else 1)
    return 0


def _may_set(t: Task) -> None:
    if not t.cred.cap_effective >> CAP_SYS_TIME & 1:
        raise OSError(errno.EPERM, "needs CAP_SYS_TIME")


def sys_clock_settime(t: Task, which: Int, address: Ptr) -> int:
    """clock_settime(2): sets the guests' clock only."""
    if which != clock.CLOCK_REALTIME:
        return -errno.EINVAL
    now = timespec(t, address)
    _may_set(t)
    t.kernel.clock.set_realtime(now)
    return 0


def sys_time(t: Task, address: Ptr) -> int:
    """time(2)."""
    now = t.kernel.clock.realtime_ns() // NANOSECONDS
    if address:
        t.mm.put_u64(address, now)
    return now


def sys_gettimeofday(t: Task, tv: Ptr, tz: Ptr) -> int:
    """gettimeofday(2).  The kernel's time zone is UTC."""
    if tv:
        now = t.kernel.clock.realtime_ns() // 1000
        t.mm.pack(TIMESPEC, tv, now // _MICRO, now % _MICRO)
    if tz:
        t.mm.pack(TIMEZONE, tz, 0, 0)
    return 0


def sys_settimeofday(t: Task, tv: Ptr, tz: Ptr) -> int:
    """settimeofday(2): sets the guests' clock only; a time zone is checked and forgotten."""
    now = None
    if tv:
        seconds, micros = t.mm.unpack(TIMESPEC, tv)
        if seconds < 0 or not 0 <= micros < _MICRO:
            return -errno.EINVAL
        now = seconds * NANOSECONDS + micros * 1000
    minutes = t.mm.unpack(TIMEZONE, tz)[0] if tz else 0
    _may_set(t)
    if abs(minutes) > 15 * 60:
        return -errno.EINVAL
    if now is not None:
        t.kernel.clock.set_realtime(now)
    return 0


def _adjust(t: Task, address: int) -> int:
    """adjtimex(2) as far as it only asks: an undisciplined clock."""
    modes = t.mm.u32(address)
    offset_read = 0xA001  # ADJ_OFFSET_SS_READ
    if modes and modes != offset_read:
        raise OSError(errno.EPERM, "the clock is the host's")
    status, error, tolerance, tick, unsynchronised = 0x40, 16_000_000, 32_768_000, 10_000, 5
    now = t.kernel.clock.realtime_ns() // 1000
    t.mm.pack(
        TIMEX, address, modes, 0, 0, error, error, status, 2, 1, tolerance, now // _MICRO, now % _MICRO, tick,
        0, 0, 0, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip
    return unsynchronised


def sys_adjtimex(t: Task, address: Ptr) -> int:
    """adjtimex(2), read only."""
    return _adjust(t, address)


def sys_clock_adjtime(t: Task, which: Int, address: Ptr) -> int:
    """clock_adjtime(2), read only."""
    if which != clock.CLOCK_REALTIME:
        _reader(t, which)
        return -errno.EOPNOTSUPP
    return _adjust(t, address)


# Sleeping


async def _sleep(t: Task, now: Callable[[], int], deadline: int, rem: int) -> int:
    """Until `now` reaches `deadline`; `rem` is where to store what is left, or 0."""
    while (left := deadline - now()) > 0:
        try:
            await t.wait(timeout_ns=left)
        except Interrupted:
            left = deadline - now()
            if left <= 0:
                return 0
            if rem:
                put_timespec(t, rem, left)
            t.signals.restart_block = lambda t: _sleep(t, now, deadline, rem)
            raise
    return 0


async def _sleep_until(t: Task, now: Callable[[], int], deadline: int) -> int:
    """To an absolute time: made again after a signal, there is nothing left to compute."""
    while (left := deadline - now()) > 0:
        await t.wait(timeout_ns=left)
    return 0


def sys_nanosleep(t: Task, duration: Ptr, rem: Ptr) -> Result:
    """nanosleep(2)."""
    now = t.kernel.clock.monotonic_ns
    return _sleep(t, now, now() + timespec(t, duration), rem)


def sys_clock_nanosleep(t: Task, which: Int, flags: Int, duration: Ptr, rem: Ptr) -> Result:
    """clock_nanosleep(2)."""
    now = _reader(t, which)
    if which >= 0 and which not in _SLEEPING:
        return -errno.EOPNOTSUPP
    wait = timespec(t, duration)
    if flags & TIMER_ABSTIME:
        return _sleep_until(t, now, wait)
    if which in (clock.CLOCK_REALTIME, clock.CLOCK_TAI):
        now = t.kernel.clock.monotonic_ns  # setting the clock does not change how long this takes
    return _sleep(t, now, now() + wait, rem)


# Interval timers


def sys_alarm(t: Task, seconds: UInt) -> int:
    """alarm(2)."""
    timer = interval_timer(t, ITIMER_REAL)
    left, _ = timer.get()
    timer.set(min(seconds, 0x7FFF_FFFF) * NANOSECONDS, 0)
    micros = left // 1000
    rest = micros % _MICRO
    # Rounded to the nearest second, but never down to none
    return micros // _MICRO + (1 if rest >= _MICRO // 2 or (rest and micros < _MICRO) else 0)


def _put_itimerval(t: Task, address: int, value: int, interval: int) -> None:
    value //= 1000
    interval //= 1000
    t.mm.pack(ITIMERVAL, address, interval // _MICRO, interval % _MICRO, value // _MICRO, value % _MICRO)


def sys_getitimer(t: Task, which: Int, address: Ptr) -> int:
    """getitimer(2)."""
    if not 0 <= which <= 2:
        return -errno.EINVAL
    _put_itimerval(t, address, *interval_timer(t, which).get())
    return 0


def sys_setitimer(t: Task, which: Int, new: Ptr, old: Ptr) -> int:
    """setitimer(2).  No new value means zero, as in Linux."""
    value = interval = 0
    if new:
        fields = t.mm.unpack(ITIMERVAL, new)
        if fields[0] < 0 or fields[2] < 0 or not 0 <= fields[1] < _MICRO or not 0 <= fields[3] < _MICRO:
            return -errno.EINVAL
        interval = min(fields[0] * NANOSECONDS + fields[1] * 1000, FOREVER)
        value = min(fields[2] * NANOSECONDS + fields[3] * 1000, FOREVER)
    if not 0 <= which <= 2:
        return -errno.EINVAL
    timer = interval_timer(t, which)
    before = timer.get()
    timer.set(value, interval)
    if old:
        _put_itimerval(t, old, *before)
    return 0

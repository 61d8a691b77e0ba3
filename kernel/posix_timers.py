"""Timers that send signals: Linux's ``struct k_itimer``, timer_create(2).

A timer has one siginfo_t, so at most one of its signals is ever pending.  One with an interval does not
run on while its signal is pending: when the signal is taken, the timer is moved past the present, and how
often it would have expired meanwhile is the overrun count that the signal carries.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel import siginfo, signal
from kernel.clock import CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID
from kernel.siginfo import SigInfo

if TYPE_CHECKING:
    from kernel.posix_clocks import Armed, PosixClock
    from kernel.signal import SignalStruct
    from kernel.task import Task

SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID = 0, 1, 2, 4
KTIME_MAX = (1 << 63) - 1
INT_MAX = (1 << 31) - 1
# What Linux makes of the caller's own clocks of processor time; /proc/PID/timers shows it.
_OWN_CLOCKS = {CLOCK_PROCESS_CPUTIME_ID: -6, CLOCK_THREAD_CPUTIME_ID: -2}


class PosixTimer:
    """struct k_itimer.  Times are nanoseconds.

    `target` gets the signal: the thread with SIGEV_THREAD_ID, else the process.  `expires` is on `base`,
    which differs from `clock` for a relative timer on a clock that can be set.
    """

    __slots__ = (
        "_armed", "_base", "_clock", "_expires", "_overrun", "_requeue", "_signal", "clock_id", "ignored", "interval",
        "notify", "number", "overrun", "signo", "target", "value",
    )  # fmt: skip

    def __init__(self, number: int, clock_id: int, clock: PosixClock, target: Task) -> None:
        self.number = number
        self.clock_id = _OWN_CLOCKS.get(clock_id, clock_id)
        self.target = target
        self.notify = SIGEV_SIGNAL
        self.signo = signal.SIGALRM
        self.value = number
        self.interval = 0
        self.overrun = 0  # of the last signal that was taken
        self.ignored = False  # its signal waits until it is not ignored any more
        self._clock = self._base = clock
        self._expires = 0
        self._armed: Armed | None = None
        self._requeue = False  # expired, to go on when its signal is taken (POSIX_TIMER_REQUEUE_PENDING)
        self._overrun = -1  # since the last signal that was taken
        self._signal: SigInfo | None = None  # the one that is pending

    def get(self) -> tuple[int, int]:
        """(time left, interval) of timer_gettime(2)."""
        silent = self.notify == SIGEV_NONE
        if not self.interval and self._armed is None and not silent:
            return 0, 0
        now = self._base.now()
        if self.interval and self._armed is None:
            self._overrun += self._forward(now)
        left = self._expires - now
        # Only one that is over reads as 0.
        return (left if left > 0 else 0 if silent else 1), self.interval

    def set(self, value: int, interval: int, *, absolute: bool) -> None:
        """timer_settime(2); 0 disarms.  A signal that is pending is dropped when its turn comes."""
        self.stop()
        self.interval = interval if value else 0
        self.overrun, self._overrun = 0, -1
        self._expires = 0
        if value:
            self._base = self._clock if absolute else self._clock.relative()
            self._expires = value if absolute else min(self._base.now() + value, KTIME_MAX)
            if self.notify != SIGEV_NONE:
                self._start()

    def stop(self) -> None:
        """Disarm, and disown a signal that is pending."""
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        self._signal = None
        self._requeue = self.ignored = False

    def _start(self) -> None:
        self._armed = self._base.start(self._expires, self._expire)

    def _forward(self, now: int) -> int:
        """hrtimer_forward: past `now`, by whole intervals; how many."""
        if self._expires > now:
            return 0
        periods = (now - self._expires) // self.interval + 1
        self._expires += periods * self.interval
        return periods

    def _expire(self) -> None:
        self._armed = None
        self._requeue = bool(self.interval)
        self._signal = siginfo.timer(self.signo, self.number, 0, self.value)
        self._signal.timer = self
        self.send()

    def send(self) -> None:
        """Make the signal pending (posixtimer_send_sigqueue)."""
        self.ignored = False
        if self._signal is not None:
            signal.send(self.target, self._signal, to_thread=bool(self.notify & SIGEV_THREAD_ID))

    def refused(self, info: SigInfo) -> None:
        """The signal is ignored, or was forgotten for that.  One of a periodic timer comes back."""
        if info is self._signal:
            self.ignored = self._requeue
            if not self._requeue:
                self._signal = None

    def taken(self, info: SigInfo) -> bool:
        """Somebody takes the signal (posixtimer_deliver_signal): go on.  False if the timer was set anew or
        deleted since, then the signal is not to be seen."""
        if info is not self._signal:
            return False
        self._signal = None
        if self._requeue:
            self._requeue = False
            self._overrun += self._forward(self._base.now())
            self.overrun, self._overrun = min(self._overrun, INT_MAX), -1
            info.payload = siginfo.timer(self.signo, self.number, self.overrun, self.value).payload
            self._start()
        return True


def new_timer_id(t: Task) -> int:
    """alloc_posix_timer: a timer's number, which is gone even if the timer does not come about.  Raises
    OSError(EAGAIN): each has a place among the user's pending signals (RLIMIT_SIGPENDING)."""
    if signal.queued_by(t) >= t.rlimits[signal.RLIMIT_SIGPENDING][0]:
        raise OSError(errno.EAGAIN, "too many signals queued")
    shared = t.signals.shared
    number = shared.next_timer_id
    while number in shared.posix_timers:
        number = (number + 1) & INT_MAX
    shared.next_timer_id = (number + 1) & INT_MAX
    return number


def timer_delete(t: Task, timer: PosixTimer) -> None:
    timer.stop()
    del t.signals.shared.posix_timers[timer.number]


def exit_itimers(shared: SignalStruct) -> None:
    """On exec and at the end of a process its timers go."""
    for timer in shared.posix_timers.values():
        timer.stop()
    shared.posix_timers.clear()

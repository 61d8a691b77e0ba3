"""Interval timers: setitimer(2), alarm(2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel import siginfo, signal
from kernel.clock import TICK_NS
from kernel.posix_clocks import PosixClock, monotonic
from kernel.posix_cpu_timers import CPUCLOCK_PROF, CPUCLOCK_VIRT, CpuClock

if TYPE_CHECKING:
    from kernel.posix_clocks import Armed
    from kernel.task import Task

ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF = 0, 1, 2
_SIGNALS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)


class IntervalTimer:
    """One timer of setitimer(2).  Times are nanoseconds.

    ITIMER_REAL does not run on before its signal is taken (`rearm`).  Those on processor time run on by
    themselves, one period at a time, and show the grain of Linux's: `grain` is added to each new value.
    """

    __slots__ = ("_armed", "_clock", "_expires", "_fire", "_grain", "_interval")

    def __init__(self, clock: PosixClock, fire: Callable[[], None], grain: int = 0) -> None:
        self._clock = clock
        self._fire = fire
        self._grain = grain
        self._interval = 0
        self._expires = 0
        self._armed: Armed | None = None

    def get(self) -> tuple[int, int]:
        """Time left (0: disarmed) and interval."""
        if self._armed is None:
            return 0, self._interval
        # An armed timer never reads as disarmed (Linux: a microsecond, or a tick of processor time).
        left = self._expires - self._clock.now()
        return (left if left > 0 and (self._grain or left > 1000) else self._grain or 1000), self._interval

    def set(self, value: int, interval: int) -> None:
        """Arm for `value` nanoseconds from now, then every `interval`; 0 disarms."""
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        self._interval = interval
        if value:
            self._expires = self._clock.now() + value + self._grain
            self._start()

    def _start(self) -> None:
        self._armed = self._clock.start(self._expires, self._due)

    def _due(self) -> None:
        self._armed = None
        if self._grain and self._interval:
            self._expires += self._interval
            # Processor time is looked at once a tick, however short the interval.
            self._armed = self._clock.start(max(self._expires, self._clock.now() + self._grain), self._due)
        self._fire()

    def rearm(self) -> None:
        """posixtimer_rearm_itimer: its signal has been taken.  Missed periods are dropped, not made up for."""
        if self._armed is None and self._interval and not self._grain:
            now = self._clock.now()
            self._expires += max(0, (now - self._expires) // self._interval + 1) * self._interval
            self._start()


def interval_timer(task: Task, which: int) -> IntervalTimer:
    """The process's timer ITIMER_*."""
    shared = task.signals.shared
    timer = shared.itimers.get(which)
    if timer is None:
        info = siginfo.from_kernel(_SIGNALS[which])

        def fire() -> None:
            signal.send(shared.leader, info)  # who leads may have changed by exec

        if which == ITIMER_REAL:
            timer = IntervalTimer(monotonic(task.kernel), fire)
        else:
            kind = CPUCLOCK_VIRT if which == ITIMER_VIRTUAL else CPUCLOCK_PROF
            timer = IntervalTimer(CpuClock(task, kind, thread=False), fire, TICK_NS)
        shared.itimers[which] = timer
    return timer

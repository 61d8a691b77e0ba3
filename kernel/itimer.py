"""Interval timers: setitimer(2), alarm(2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel import siginfo, signal
from kernel.timers import Timer, Timers

if TYPE_CHECKING:
    from kernel.task import Task

ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF = 0, 1, 2
_SIGNALS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)


class IntervalTimer:
    """One timer of setitimer(2): ITIMER_REAL counts CLOCK_MONOTONIC, the others CPU time.

    CPU time never runs faster than real time on one processor, so a CPU timer is looked at again
    after the real time that it still lacks.
    """

    __slots__ = ("_clock", "_expiry", "_fire", "_interval", "_now", "_timer", "_timers")

    def __init__(
        self, timers: Timers, monotonic: Callable[[], int], clock: Callable[[], int], fire: Callable[[], None]
    ) -> None:
        self._timers = timers
        self._now = monotonic
        self._clock = clock
        self._fire = fire
        self._interval = 0
        self._expiry = 0
        self._timer: Timer | None = None

    def get(self) -> tuple[int, int]:
        """Time left (0: disarmed) and interval, in nanoseconds."""
        if self._timer is None:
            return 0, self._interval
        # An armed timer never reads as disarmed (Linux: at least one microsecond).
        return max(self._expiry - self._clock(), 1000), self._interval

    def set(self, value: int, interval: int) -> None:
        """Arm for `value` nanoseconds from now, then every `interval`; 0 disarms."""
        if self._timer is not None:
            self._timers.cancel(self._timer)
            self._timer = None
        self._interval = interval
        if value:
            self._expiry = self._clock() + value
            self._arm(value)

    def _arm(self, wait: int) -> None:
        self._timer = self._timers.add(self._now() + wait, self._due)

    def _due(self) -> None:
        now = self._clock()
        if now < self._expiry:
            self._arm(self._expiry - now)
            return
        self._timer = None
        if self._interval:
            # Missed periods are dropped, not made up for.
            self._expiry += ((now - self._expiry) // self._interval + 1) * self._interval
            self._arm(self._expiry - now)
        self._fire()


def interval_timer(task: Task, which: int) -> IntervalTimer:
    """The process's timer ITIMER_*.  Its user and system time are not told apart: ITIMER_VIRTUAL counts
    both, as ITIMER_PROF does."""
    timers = task.signals.shared.itimers
    timer = timers.get(which)
    if timer is None:
        clock = task.kernel.clock
        info = siginfo.from_kernel(_SIGNALS[which])
        timer = timers[which] = IntervalTimer(
            task.kernel.timers,
            clock.monotonic_ns,
            clock.monotonic_ns if which == ITIMER_REAL else clock.cpu_ns,
            lambda: signal.send(task, info),
        )
    return timer

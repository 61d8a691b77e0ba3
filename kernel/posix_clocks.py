"""The clocks that have a clockid_t, and timers on them: Linux's ``struct k_clock`` and ``struct hrtimer``."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from kernel import clock
from kernel.clock import TICK_NS
from kernel.posix_cpu_timers import CPUCLOCK_SCHED, CpuClock, cpu_clock

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task
    from kernel.timers import Timer


class Armed(Protocol):
    """A timer that runs."""

    def cancel(self) -> None: ...


class PosixClock(Protocol):
    """struct k_clock.  Times are nanoseconds; `settable` says that the clock can be set, so that who waits
    for an absolute time has to look again then."""

    settable: bool
    can_sleep: bool
    has_timers: bool

    @property
    def resolution(self) -> int: ...

    def now(self) -> int: ...

    def relative(self) -> PosixClock:
        """The clock on which a time that begins now is measured."""

    def start(self, expires: int, fire: Callable[[], None]) -> Armed:
        """Call `fire` when the clock has reached `expires`."""


class HrTimer:
    """struct hrtimer on any clock.  One on a clock that can be set follows it (clock_was_set)."""

    __slots__ = ("_clock", "_expires", "_fire", "_timer")

    def __init__(self, clock: HrClock, expires: int, fire: Callable[[], None]) -> None:
        self._clock = clock
        self._expires = expires
        self._fire = fire
        self._timer: Timer | None = None
        if clock.settable:
            clock.kernel.clock.was_set.add(self._moved)
        self._start()

    def _start(self) -> None:
        kernel = self._clock.kernel
        left = self._expires - self._clock.now()
        self._timer = kernel.timers.add(kernel.clock.monotonic_ns() + left, self._due)

    def _due(self) -> None:
        if self._clock.now() < self._expires:
            self._start()
        else:
            self.cancel()
            self._fire()

    def _moved(self, events: int = 0) -> None:
        timer = self._timer
        if timer is not None:
            self._clock.kernel.timers.cancel(timer)
            self._start()

    def cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            self._clock.kernel.timers.cancel(timer)
            if self._clock.settable:
                self._clock.kernel.clock.was_set.remove(self._moved)


class HrClock:
    """A clock that always runs."""

    __slots__ = ("can_sleep", "has_timers", "kernel", "now", "resolution", "settable")

    def __init__(
        self, kernel: Kernel, now: Callable[[], int], *, settable: bool = False, sleep: bool, timers: bool
    ) -> None:
        self.kernel = kernel
        self.now = now
        self.settable = settable
        self.can_sleep = sleep
        self.has_timers = timers
        self.resolution = 1

    def relative(self) -> HrClock:
        """A time that begins now is not changed by setting the clock."""
        return monotonic(self.kernel) if self.settable else self

    def start(self, expires: int, fire: Callable[[], None]) -> HrTimer:
        return HrTimer(self, expires, fire)


class CoarseClock(HrClock):
    """A clock as of the last tick."""

    __slots__ = ()

    def __init__(self, kernel: Kernel, now: Callable[[], int]) -> None:
        def ticked() -> int:
            exact = now()
            return exact - exact % TICK_NS

        super().__init__(kernel, ticked, sleep=False, timers=False)
        self.resolution = TICK_NS


def hr_clocks(kernel: Kernel) -> dict[int, HrClock]:
    """The clocks of the machine, by clockid_t; made once."""
    clocks = kernel.posix_clocks
    if not clocks:
        host = kernel.clock
        realtime = HrClock(kernel, host.realtime_ns, settable=True, sleep=True, timers=True)
        clocks.update(
            {
                clock.CLOCK_REALTIME: realtime,
                clock.CLOCK_MONOTONIC: HrClock(kernel, host.monotonic_ns, sleep=True, timers=True),
                clock.CLOCK_MONOTONIC_RAW: HrClock(kernel, host.monotonic_ns, sleep=False, timers=False),
                clock.CLOCK_REALTIME_COARSE: CoarseClock(kernel, host.realtime_ns),
                clock.CLOCK_MONOTONIC_COARSE: CoarseClock(kernel, host.monotonic_ns),
                clock.CLOCK_BOOTTIME: HrClock(kernel, host.boottime_ns, sleep=True, timers=True),
                clock.CLOCK_REALTIME_ALARM: HrClock(kernel, host.realtime_ns, settable=True, sleep=True, timers=False),
                clock.CLOCK_BOOTTIME_ALARM: HrClock(kernel, host.boottime_ns, sleep=True, timers=False),
                clock.CLOCK_TAI: realtime,
            }
        )
    return clocks


def monotonic(kernel: Kernel) -> HrClock:
    return hr_clocks(kernel)[clock.CLOCK_MONOTONIC]


def posix_clock(t: Task, which: int, *, reading: bool = False) -> PosixClock:
    """clockid_to_kclock.  Raises OSError(EINVAL)."""
    found = hr_clocks(t.kernel).get(which)
    if found is not None:
        return found
    if which < 0:
        return cpu_clock(t, which, reading=reading)
    if which in (clock.CLOCK_PROCESS_CPUTIME_ID, clock.CLOCK_THREAD_CPUTIME_ID):
        return CpuClock(t, CPUCLOCK_SCHED, thread=which == clock.CLOCK_THREAD_CPUTIME_ID)
    raise OSError(errno.EINVAL, "no such clock")

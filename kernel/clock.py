"""The clocks of the machine (clock_gettime(2), time(7)).

Every use of time in lxrun goes through one `Clock`, so that a run can be given a virtual one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

NANOSECONDS = 1_000_000_000

CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID = 0, 1, 2, 3
CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME = 4, 5, 6, 7
CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_TAI = 8, 9, 11

# CONFIG_HZ=250, what distributions build: the grain of the coarse clocks.
TICK_NS = 4_000_000

_HOST_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class Clock:
    """The host's clocks.  All times are nanoseconds; offsets set by the guest stay in the guest."""

    __slots__ = ("_cpu_base", "on_set", "realtime_offset")

    def __init__(self) -> None:
        self.realtime_offset = 0
        self.on_set: list[Callable[[], None]] = []  # called when the guest sets CLOCK_REALTIME
        # The interpreter's own start is not the guest's time.
        self._cpu_base = time.process_time_ns()

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC: since an arbitrary point, never set."""
        return time.monotonic_ns()

    def realtime_ns(self) -> int:
        """CLOCK_REALTIME: since 1970-01-01 00:00 UTC."""
        return time.time_ns() + self.realtime_offset

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME: since the host booted, suspended time included."""
        return time.monotonic_ns() if _HOST_BOOTTIME is None else time.clock_gettime_ns(_HOST_BOOTTIME)

    def cpu_ns(self) -> int:
        """CPU time used for the guests since the start, the kernel's share included."""
        return time.process_time_ns() - self._cpu_base

    def thread_cpu_ns(self) -> int:
        """CPU time of the running task: all tasks share one host thread, so this is `cpu_ns`."""
        return self.cpu_ns()

    def set_realtime(self, now_ns: int) -> None:
        """clock_settime(2): moves the guests' clock, not the host's."""
        self.realtime_offset = now_ns - time.time_ns()
        for told in tuple(self.on_set):
            told()

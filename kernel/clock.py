"""The clocks of the machine (clock_gettime(2), time(7)).

Every use of time in lxrun goes through one `Clock`, so that a run can be given a virtual one.  Where the engine
has a usable cycle counter, the clocks are computed from that (kernel/timekeeping.py), so that the guest can
compute them too (kernel/vdso.py); elsewhere they are the host's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kernel.timekeeping import Timekeeper
from vfs.wait import WaitQueue

NANOSECONDS = 1_000_000_000

CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID = 0, 1, 2, 3
CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME = 4, 5, 6, 7
CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_TAI = 8, 9, 11

# CONFIG_HZ=250, what distributions build: the grain of the coarse clocks.
TICK_NS = 4_000_000

_HOST_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class CpuTime:
    """Processor time of the host's process: for charging tasks, which is done at each switch.

    To read the host's own clock of it is a system call of a microsecond and more.  So that is done once in _LOOK_NS;
    in between it goes on with the wall clock, which is right unless the host runs something else.  What it
    was too fast by then, it waits for: it never goes back.
    """

    __slots__ = ("ahead", "last", "until")

    _LOOK_NS = 1_000_000

    def __init__(self) -> None:
        self.last = 0  # what was read last
        self.ahead = 0  # of the wall clock
        self.until = 0  # CLOCK_MONOTONIC: when to look again

    def now(self) -> int:
        wall = time.monotonic_ns()
        if wall < self.until:
            self.last = wall + self.ahead
            return self.last
        return self.look(wall)

    def look(self, wall: int) -> int:
        """`now` when the host has to be asked; `RunQueue.charge` has the other half of it, in place."""
        cpu = time.process_time_ns()
        if cpu >= self.last:
            self.last = cpu
            self.ahead = cpu - wall
            self.until = wall + self._LOOK_NS
        return self.last

    def slept(self) -> None:
        """The process did not run for a while, of its own will."""
        self.until = 0


class Clock:
    """The host's clocks.  All times are nanoseconds; offsets set by the guest stay in the guest.

    `counter` reads the cycle counter that guests read, if the host's clocks may be computed from it.
    """

    __slots__ = ("_cpu_base", "elapsed_ns", "host_cpu", "realtime_offset", "timekeeper", "was_set")

    def __init__(self, counter: Callable[[], int] | None = None) -> None:
        self.realtime_offset = 0
        self.was_set = WaitQueue()  # woken when CLOCK_REALTIME jumps (clock_was_set)
        self.timekeeper = None if counter is None else Timekeeper(counter)
        # For measuring how long something takes; read on every entry into guest code, so without a frame of
        # its own.
        self.elapsed_ns: Callable[[], int] = time.monotonic_ns
        self.host_cpu = CpuTime()
        # The interpreter's own start is not the guest's time.
        self._cpu_base = self.host_cpu.now()

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC: since an arbitrary point, never set."""
        keeper = self.timekeeper
        return time.monotonic_ns() if keeper is None else keeper.monotonic_ns()

    def realtime_ns(self) -> int:
        """CLOCK_REALTIME: since 1970-01-01 00:00 UTC."""
        keeper = self.timekeeper
        host = time.time_ns() if keeper is None else keeper.monotonic_ns() + keeper.offs_real
        return host + self.realtime_offset

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME: since the host booted, suspended time included."""
        keeper = self.timekeeper
        if keeper is not None:
            return keeper.monotonic_ns() + keeper.offs_boot
        return time.monotonic_ns() if _HOST_BOOTTIME is None else time.clock_gettime_ns(_HOST_BOOTTIME)

    def cpu_ns(self) -> int:
        """CPU time used for the guests since the start, the kernel's share included."""
        return self.host_cpu.now() - self._cpu_base

    def set_realtime(self, now_ns: int) -> None:
        """clock_settime(2): moves the guests' clock, not the host's."""
        self.realtime_offset += now_ns - self.realtime_ns()
        if self.timekeeper is not None:
            self.timekeeper.updated()
        self.was_set.wake()

"""What tasks have used: ``struct rusage``, processor time, memory, load."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfs.pages import PAGE_SIZE

if TYPE_CHECKING:
    from kernel.mm import AddressSpace
    from kernel.signal import SignalStruct
    from kernel.task import Task

CLOCK_TICK_NS = 10_000_000
"""USER_HZ is 100 on every Linux: the unit of times(2) and of most times in /proc."""


class Usage:
    """What a thread, all threads of a process, or the children it has waited for have used: the counters
    that Linux keeps in task_struct and signal_struct.

    `runtime` is all of the processor time and `utime` its part in user mode, in nanoseconds; the rest is
    system time.  `overdrawn` is system time already seen that is still to be taken out of `utime`.
    `maxrss` counts pages.
    """

    __slots__ = ("majflt", "maxrss", "minflt", "nivcsw", "nvcsw", "overdrawn", "runtime", "utime")

    def __init__(self) -> None:
        self.runtime = self.utime = self.overdrawn = 0
        self.nvcsw = self.nivcsw = 0
        self.minflt = self.majflt = 0
        self.maxrss = 0

    @property
    def stime(self) -> int:
        return self.runtime - self.utime

    def add(self, other: Usage) -> None:
        """Sums, and the larger of the two peaks."""
        self.runtime += other.runtime
        self.utime += other.utime
        self.nvcsw += other.nvcsw
        self.nivcsw += other.nivcsw
        self.minflt += other.minflt
        self.majflt += other.majflt
        self.maxrss = max(self.maxrss, other.maxrss)

    def pack(self) -> tuple[int, ...]:
        """The numbers of struct rusage.  What moves through files and sockets Linux does not count either,
        and there are no disks here whose blocks could be counted."""
        return (
            *divmod(self.utime // 1000, 1_000_000),
            *divmod(self.stime // 1000, 1_000_000),
            self.maxrss * PAGE_SIZE >> 10,
            0, 0, 0,  # ixrss, idrss, isrss
            self.minflt, self.majflt,
            0, 0, 0, 0, 0, 0,  # nswap, inblock, oublock, msgsnd, msgrcv, nsignals
            self.nvcsw, self.nivcsw,
        )  # fmt: skip


RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD, RUSAGE_BOTH = 0, -1, 1, -2


def usage(task: Task, who: int = RUSAGE_SELF) -> Usage:
    """getrusage: the counters of `who`, up to this moment."""
    kernel = task.kernel
    kernel.run_queue.update_curr(kernel.current)
    total = Usage()
    shared = task.signals.shared
    if who == RUSAGE_THREAD:
        total.add(task.usage)
    if who in (RUSAGE_SELF, RUSAGE_BOTH):
        total.add(of_process(shared))
    if who in (RUSAGE_CHILDREN, RUSAGE_BOTH):
        total.add(shared.children_usage)
    if who != RUSAGE_CHILDREN:
        total.maxrss = max(total.maxrss, shared.ended_usage.maxrss)
        if not task.zombie:
            total.maxrss = max(total.maxrss, peak_rss(task.mm))
    return total


def of_process(shared: SignalStruct) -> Usage:
    """thread_group_cputime: what all threads of a process have used, those that have ended included."""
    total = Usage()
    total.add(shared.ended_usage)
    for thread in shared.threads:
        total.add(thread.usage)
    return total


def leave_memory(task: Task, mm: AddressSpace) -> None:
    """setmax_mm_hiwater_rss, on exec and exit: the process keeps the peak of the memory it gives up."""
    own = task.signals.shared.ended_usage
    own.maxrss = max(own.maxrss, peak_rss(mm))


def waited_for(parent: Task, child: Task) -> None:
    """wait_task_zombie: what a process and the children it waited for have used is now part of what the
    children of its parent have."""
    sum_up = parent.signals.shared.children_usage
    sum_up.add(of_process(child.signals.shared))
    sum_up.add(child.signals.shared.children_usage)


def load_averages() -> tuple[float, float, float]:
    """The host's load averages, as containers show them; zero where the host has none."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return 0.0, 0.0, 0.0


def peak_rss(mm: AddressSpace) -> int:
    """The most pages that were ever resident at once."""
    return max(mm.peak_pages, mm.present())

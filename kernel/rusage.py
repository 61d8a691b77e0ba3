"""What tasks have used: ``struct rusage``, processor time, memory, load."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfs.pages import PAGE_SIZE

if TYPE_CHECKING:
    from kernel.mm import AddressSpace
    from kernel.task import Task

CLOCK_TICK_NS = 10_000_000
"""USER_HZ is 100 on every Linux: the unit of times(2) and of most times in /proc."""


def cpu_times(task: Task) -> tuple[int, int]:
    """(user, system) nanoseconds of the process.

    Guest code and the kernel's work for it run in one host process, whose own split between user and
    system time is of another kind: all of it is the guest's user time."""
    return task.kernel.clock.cpu_ns(), 0


def usage(task: Task, children: bool = False) -> tuple[int, ...]:
    """The numbers of struct rusage, times as (seconds, microseconds)."""
    if children:
        return (0,) * 18
    user, system = cpu_times(task)
    mm = task.mm
    return (
        *divmod(user // 1000, 1_000_000),
        *divmod(system // 1000, 1_000_000),
        peak_rss(mm) * PAGE_SIZE >> 10,
        0,
        0,
        0,
        mm.minor_faults,
        mm.major_faults,
        *(0,) * 8,
    )


def load_averages() -> tuple[float, float, float]:
    """The host's load averages, as containers show them; zero where the host has none."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return 0.0, 0.0, 0.0


def peak_rss(mm: AddressSpace) -> int:
    """The most pages that were ever resident at once."""
    return max(mm.peak_pages, mm.present())

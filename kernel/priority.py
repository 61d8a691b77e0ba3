"""How a task asks to be scheduled: policy, priorities and processors (sched(7), setpriority(2)).

There is one virtual processor.  With one runnable task at a time these are attributes to be kept and
given back by Linux's rules; a scheduler may read them.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.cred import CAP_SYS_NICE
from kernel.rlimit import RLIMIT_NICE, RLIMIT_RTPRIO, get_rlimit

if TYPE_CHECKING:
    from kernel.task import Task

CPUS = 1
"""Virtual processors: what affinity masks, /proc/cpuinfo, /proc/stat and /sys agree on."""

SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE, SCHED_EXT = 0, 1, 2, 3, 5, 6, 7
SCHED_RESET_ON_FORK = 0x40000000
MIN_NICE, MAX_NICE = -20, 19
MAX_RT_PRIO = 99
RR_TIMESLICE_NS = 100_000_000
_FAIR = (SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_EXT)
REALTIME = (SCHED_FIFO, SCHED_RR)


class Priority:
    """The scheduling attributes of one task; `ioprio` is that of ioprio_set(2)."""

    __slots__ = ("ioprio", "nice", "policy", "reset_on_fork", "rt_priority")

    def __init__(self) -> None:
        self.policy = SCHED_OTHER
        self.rt_priority = 0
        self.nice = 0
        self.reset_on_fork = False
        self.ioprio = 0


def priority_range(policy: int) -> tuple[int, int]:
    """(lowest, highest) static priority of a policy; EINVAL if there is no such policy."""
    if policy in REALTIME:
        return 1, MAX_RT_PRIO
    if policy in _FAIR or policy == SCHED_DEADLINE:
        return 0, 0
    raise OSError(errno.EINVAL, "no such policy")


def may_schedule(task: Task, by: Task) -> None:
    """EPERM unless `by` may change how `task` is scheduled."""
    if by.cred.euid not in (task.cred.euid, task.cred.uid) and not by.cred.capable(CAP_SYS_NICE):
        raise OSError(errno.EPERM, "not its owner")


def may_nice(task: Task, nice: int, by: Task) -> bool:
    """Whether `task` may get that nice value (can_nice)."""
    return 20 - nice <= get_rlimit(task, RLIMIT_NICE)[0] or by.cred.capable(CAP_SYS_NICE)


def set_scheduler(task: Task, policy: int, rt_priority: int, by: Task, nice: int | None = None) -> None:
    """sched_setscheduler(2) and sched_setattr(2); `policy` may carry SCHED_RESET_ON_FORK.

    SCHED_DEADLINE is refused with EPERM: one virtual processor that is shared with the host cannot
    guarantee a deadline."""
    reset_on_fork = bool(policy & SCHED_RESET_ON_FORK)
    policy &= ~SCHED_RESET_ON_FORK
    lowest, highest = priority_range(policy)
    if not lowest <= rt_priority <= highest:
        raise OSError(errno.EINVAL, "priority out of range")
    if policy == SCHED_DEADLINE:
        raise OSError(errno.EPERM, "no deadline scheduling")
    may_schedule(task, by)
    old = task.sched
    if not by.cred.capable(CAP_SYS_NICE):
        ceiling = get_rlimit(task, RLIMIT_RTPRIO)[0]
        raises_nice = nice is not None and nice < old.nice and not may_nice(task, nice, by)
        needs_realtime = policy in REALTIME and (
            (policy != old.policy and not ceiling) or (rt_priority > old.rt_priority and rt_priority > ceiling)
        )
        leaves_idle = old.policy == SCHED_IDLE != policy and not may_nice(task, old.nice, by)
        if raises_nice or needs_realtime or leaves_idle or (old.reset_on_fork and not reset_on_fork):
            raise OSError(errno.EPERM, "needs CAP_SYS_NICE")
    old.policy, old.rt_priority, old.reset_on_fork = policy, rt_priority, reset_on_fork
    if nice is not None and policy in _FAIR:
        old.nice = nice


def set_nice(task: Task, nice: int, by: Task) -> None:
    """setpriority(2) for one task.  Raises EPERM and EACCES."""
    if by.cred.euid not in (task.cred.euid, task.cred.uid) and not by.cred.capable(CAP_SYS_NICE):
        raise OSError(errno.EPERM, "not its owner")
    nice = min(max(nice, MIN_NICE), MAX_NICE)
    if nice < task.sched.nice and not may_nice(task, nice, by):
        raise OSError(errno.EACCES, "needs CAP_SYS_NICE")
    task.sched.nice = nice

"""How a task asks to be scheduled: policy, priorities and processors (sched(7), setpriority(2)).

There is one virtual processor.  The scheduler (kernel/runqueue.py) reads what it needs of these attributes
in the form `Priority.weigh` gives it.
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
NICE_0_WEIGHT = 1024
SLEEPER_CREDIT_NS = 3_000_000
_IDLE_WEIGHT = 3
# sched_prio_to_weight, from nice -20 to 19: one step is about 10 % of the CPU
_WEIGHTS = (
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip
_FAIR = (SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_EXT)
REALTIME = (SCHED_FIFO, SCHED_RR)


class Priority:
    """The scheduling attributes of one task; `ioprio` is that of ioprio_set(2).

    `weight` and `sleeper_credit` follow from policy and nice value, and `weigh` must be called when those
    change.  A real-time task has no weight: its virtual runtime stands still.
    """

    __slots__ = (
        "ioprio", "nice", "policy", "reset_on_fork", "rt_priority", "sleeper_credit", "slice_began", "weight",
    )  # fmt: skip

    def __init__(self) -> None:
        self.policy = SCHED_OTHER
        self.rt_priority = 0
        self.nice = 0
        self.reset_on_fork = False
        self.ioprio = 0
        self.slice_began = 0  # of a real-time task: its run time when its turn began
        self.weight = NICE_0_WEIGHT
        self.sleeper_credit = SLEEPER_CREDIT_NS

    def weigh(self) -> None:
        """set_load_weight."""
        if self.policy == SCHED_IDLE:
            self.weight = _IDLE_WEIGHT
        else:
            self.weight = 0 if self.policy in REALTIME else _WEIGHTS[self.nice - MIN_NICE]
        # How far behind the others a sleeper comes back: batch and idle tasks are in no hurry.
        self.sleeper_credit = 0 if self.policy in (SCHED_BATCH, SCHED_IDLE) else SLEEPER_CREDIT_NS

    def fork(self) -> Priority:
        """sched_fork: what a child of the task starts with."""
        child = Priority()
        child.ioprio = self.ioprio
        if not self.reset_on_fork:
            child.policy, child.rt_priority, child.nice = self.policy, self.rt_priority, self.nice
            child.weight, child.sleeper_credit = self.weight, self.sleeper_credit
        elif self.policy not in REALTIME:
            child.policy, child.nice = self.policy, max(self.nice, 0)
            child.weigh()
        return child


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
    old.weigh()
    task.kernel.priority_changed(task)


def set_nice(task: Task, nice: int, by: Task) -> None:
    """setpriority(2) for one task.  Raises EPERM and EACCES."""
    if by.cred.euid not in (task.cred.euid, task.cred.uid) and not by.cred.capable(CAP_SYS_NICE):
        raise OSError(errno.EPERM, "not its owner")
    nice = min(max(nice, MIN_NICE), MAX_NICE)
    if nice < task.sched.nice and not may_nice(task, nice, by):
        raise OSError(errno.EACCES, "needs CAP_SYS_NICE")
    task.sched.nice = nice
    task.sched.weigh()

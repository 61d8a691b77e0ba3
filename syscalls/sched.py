"""Scheduling attributes: sched(7), setpriority(2), ioprio_set(2)."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kernel.cred import CAP_SYS_NICE
from kernel.priority import (
    CPUS,
    REALTIME,
    RR_TIMESLICE_NS,
    SCHED_RESET_ON_FORK,
    SCHED_RR,
    may_schedule,
    priority_range,
    set_nice,
    set_scheduler,
)
from syscalls.abi import Int, Ptr, Result, UInt
from syscalls.structs import SCHED_ATTR, TIMESPEC_PAIR

if TYPE_CHECKING:
    from kernel.task import Task

CPUMASK_SIZE = 8
PRIO_PROCESS, PRIO_PGRP, PRIO_USER = 0, 1, 2
IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER = 1, 2, 3
IOPRIO_CLASS_SHIFT, IOPRIO_CLASS_RT, IOPRIO_CLASS_BE = 13, 1, 2
SCHED_ATTR_SIZE_VER0 = 48
SCHED_FLAG_RESET_ON_FORK, SCHED_FLAG_ALL = 1, 0x7F
SCHED_FLAG_KEEP_POLICY, SCHED_FLAG_KEEP_PARAMS = 8, 0x10


def _task(t: Task, pid: int) -> Task:
    """The task `pid` names, the caller for 0.  Raises EINVAL and ESRCH."""
    if pid < 0:
        raise OSError(errno.EINVAL, "negative pid")
    found = t if pid == 0 else t.kernel.tasks.get(pid)
    if found is None:
        raise OSError(errno.ESRCH, "no such process")
    return found


def sys_sched_yield(t: Task) -> int:
    """sched_yield(2): everybody else who is ready has the CPU first."""
    if t.kernel.run_queue.heap:
        t.kernel.run_queue.yield_to_all(t)
        t.kernel.reschedule()
    return 0


# Processors


def sys_sched_getaffinity(t: Task, pid: Int, size: UInt, mask: Ptr) -> int:
    """sched_getaffinity(2): the number of bytes written."""
    if size * 8 < CPUS or size % 8:
        raise OSError(errno.EINVAL, "mask too small, or of odd size")
    _task(t, pid)
    t.mm.write(mask, ((1 << CPUS) - 1).to_bytes(CPUMASK_SIZE, "little"))
    return CPUMASK_SIZE


def sys_sched_setaffinity(t: Task, pid: Int, size: UInt, mask: Ptr) -> int:
    """sched_setaffinity(2): with one processor, only a mask without it is refused."""
    wanted = int.from_bytes(t.mm.read(mask, min(size, CPUMASK_SIZE)), "little")
    target = _task(t, pid)
    may_schedule(target, t)
    if not wanted & (1 << CPUS) - 1:
        raise OSError(errno.EINVAL, "no processor of this machine")
    return 0


# Policies


def sys_sched_getscheduler(t: Task, pid: Int) -> int:
    """sched_getscheduler(2)."""
    sched = _task(t, pid).sched
    return sched.policy | (SCHED_RESET_ON_FORK if sched.reset_on_fork else 0)


def sys_sched_setscheduler(t: Task, pid: Int, policy: Int, param: Ptr) -> int:
    """sched_setscheduler(2)."""
    if policy < 0 or not param or pid < 0:
        raise OSError(errno.EINVAL, "bad argument")
    priority = t.mm.u32(param)
    set_scheduler(_task(t, pid), policy, priority, t)
    return 0


def sys_sched_getparam(t: Task, pid: Int, param: Ptr) -> int:
    """sched_getparam(2)."""
    if not param:
        raise OSError(errno.EINVAL, "no buffer")
    t.mm.put_u32(param, _task(t, pid).sched.rt_priority)
    return 0


def sys_sched_setparam(t: Task, pid: Int, param: Ptr) -> int:
    """sched_setparam(2)."""
    if not param or pid < 0:
        raise OSError(errno.EINVAL, "bad argument")
    priority = t.mm.u32(param)
    target = _task(t, pid)
    set_scheduler(target, sys_sched_getscheduler(t, pid), priority, t)
    return 0


def sys_sched_getattr(t: Task, pid: Int, attr: Ptr, size: UInt, flags: UInt) -> int:
    """sched_getattr(2)."""
    if not attr or size > 4096 or size < SCHED_ATTR_SIZE_VER0 or flags:
        raise OSError(errno.EINVAL, "bad argument")
    sched = _task(t, pid).sched
    size = min(size, SCHED_ATTR.size)
    fork_flag = SCHED_FLAG_RESET_ON_FORK if sched.reset_on_fork else 0
    nice = 0 if sched.policy in REALTIME else sched.nice
    fields = (size, sched.policy, fork_flag, nice, sched.rt_priority, 0, 0, 0, 0, 1024)
    t.mm.write(attr, SCHED_ATTR.pack(*fields)[:size])
    return 0


def sys_sched_setattr(t: Task, pid: Int, attr: Ptr, flags: UInt) -> int:
    """sched_setattr(2).  Utilisation clamps are read and have no effect."""
    if not attr or pid < 0 or flags:
        raise OSError(errno.EINVAL, "bad argument")
    size = t.mm.u32(attr) or SCHED_ATTR_SIZE_VER0
    if not SCHED_ATTR_SIZE_VER0 <= size <= 4096:
        t.mm.put_u32(attr, SCHED_ATTR.size)
        raise OSError(errno.E2BIG, "unknown size")
    data = t.mm.read(attr, size)
    if any(data[SCHED_ATTR.size :]):
        t.mm.put_u32(attr, SCHED_ATTR.size)
        raise OSError(errno.E2BIG, "unknown fields are set")
    _, policy, wanted, nice, priority, *_ = SCHED_ATTR.unpack(data[: SCHED_ATTR.size].ljust(SCHED_ATTR.size, b"\0"))
    if wanted & ~SCHED_FLAG_ALL or policy >> 31 or policy & SCHED_RESET_ON_FORK:
        raise OSError(errno.EINVAL, "bad flags")
    target = _task(t, pid)
    if wanted & SCHED_FLAG_KEEP_POLICY:
        policy = target.sched.policy
    if wanted & SCHED_FLAG_KEEP_PARAMS:
        nice, priority = target.sched.nice, target.sched.rt_priority
    if wanted & SCHED_FLAG_RESET_ON_FORK:
        policy |= SCHED_RESET_ON_FORK
    set_scheduler(target, policy, priority, t, nice=min(max(nice, -20), 19))
    return 0


def sys_sched_get_priority_max(t: Task, policy: Int) -> int:
    """sched_get_priority_max(2)."""
    return priority_range(policy)[1]


def sys_sched_get_priority_min(t: Task, policy: Int) -> int:
    """sched_get_priority_min(2)."""
    return priority_range(policy)[0]


def sys_sched_rr_get_interval(t: Task, pid: Int, interval: Ptr) -> int:
    """sched_rr_get_interval(2): a fair task's slice is less than the tick it is counted in."""
    slice_ns = RR_TIMESLICE_NS if _task(t, pid).sched.policy == SCHED_RR else 0
    t.mm.pack(TIMESPEC_PAIR, interval, 0, slice_ns)
    return 0


# Nice values and input/output priorities


def _chosen(t: Task, kind: int, who: int) -> Iterator[Task]:
    """The tasks a (kind, who) pair of setpriority(2) means."""
    tasks = t.kernel.tasks
    if kind == PRIO_PROCESS:
        return iter([t] if who == 0 else [tasks[who]] if who in tasks else [])
    if kind == PRIO_PGRP:
        return (task for task in tasks.values() if task.pgid == (who or t.pgid))
    return (task for task in tasks.values() if task.cred.uid == (who or t.cred.uid))


def sys_getpriority(t: Task, which: Int, who: Int) -> int:
    """getpriority(2): the call returns 20 - nice, so that it is never negative."""
    if not PRIO_PROCESS <= which <= PRIO_USER:
        raise OSError(errno.EINVAL, "bad which")
    values = [20 - task.sched.nice for task in _chosen(t, which, who)]
    if not values:
        raise OSError(errno.ESRCH, "no such process")
    return max(values)


def sys_setpriority(t: Task, which: Int, who: Int, nice: Int) -> int:
    """setpriority(2)."""
    if not PRIO_PROCESS <= which <= PRIO_USER:
        raise OSError(errno.EINVAL, "bad which")
    chosen = list(_chosen(t, which, who))
    if not chosen:
        raise OSError(errno.ESRCH, "no such process")
    failure: OSError | None = None
    for task in chosen:  # one that may not be changed does not keep the others from it
        try:
            set_nice(task, nice, t)
        except OSError as error:
            failure = error
    if failure is not None:
        raise failure
    return 0


def sys_ioprio_get(t: Task, which: Int, who: Int) -> int:
    """ioprio_get(2): a task's own value as it was set; of several tasks, the highest that they use, which
    follows from the nice value of one that has none of its own."""
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise OSError(errno.EINVAL, "bad which")
    chosen = list(_chosen(t, which - 1, who))
    if not chosen:
        raise OSError(errno.ESRCH, "no such process")
    if which == IOPRIO_WHO_PROCESS:
        return chosen[0].sched.ioprio
    best_effort = IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT
    return min([task.sched.ioprio or best_effort | (task.sched.nice + 20) // 5 for task in chosen])


def sys_ioprio_set(t: Task, which: Int, who: Int, ioprio: Int) -> Result:
    """ioprio_set(2): kept and given back; the host decides about its own input and output."""
    check_ioprio(t, ioprio)
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise OSError(errno.EINVAL, "bad which")
    if which == IOPRIO_WHO_USER:  # here, unlike everywhere else, 0 is root and not the caller
        chosen = [task for task in t.kernel.tasks.values() if task.cred.uid == who]
    else:
        chosen = list(_chosen(t, which - 1, who))
    if not chosen:
        raise OSError(errno.ESRCH, "no such process")
    for task in chosen:
        if task.cred.uid not in (t.cred.euid, t.cred.uid) and not t.cred.capable(CAP_SYS_NICE):
            raise OSError(errno.EPERM, "not its owner")
        task.sched.ioprio = ioprio & 0xFFFF
    return 0


def check_ioprio(t: Task, ioprio: int) -> None:
    """ioprio_check_cap.  Raises OSError(EINVAL, EPERM)."""
    kind, level = ioprio >> IOPRIO_CLASS_SHIFT & 7, ioprio & 0x1FFF
    if kind > 3 or (kind in (IOPRIO_CLASS_RT, IOPRIO_CLASS_BE) and level & 7 != level & 0x1FFF) or (not kind and level):
        raise OSError(errno.EINVAL, "bad priority")
    if kind == IOPRIO_CLASS_RT and not t.cred.capable(CAP_SYS_NICE):
        raise OSError(errno.EPERM, "needs CAP_SYS_NICE")

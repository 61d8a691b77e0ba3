"""Clocks of processor time and the timers on them: Linux's ``kernel/time/posix-cpu-timers.c``.

Processor time passes only while a task is on the CPU, and never faster than real time.  So these timers
are looked at only then: when a task that has some gets the CPU, an alarm is set for the real time in
which the next of them can be due at the earliest, and taken back when the task leaves.  Tasks that sleep
cost nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kernel import siginfo, signal
from kernel.clock import NANOSECONDS, TICK_NS
from kernel.rlimit import RLIM_INFINITY, RLIMIT_CPU, get_rlimit
from kernel.rusage import Usage, of_process

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED = range(3)  # user and system time, user time, run time
_PER_THREAD = 4


def sample(usage: Usage, kind: int) -> int:
    """What the clock CPUCLOCK_* of a thread or process shows that has used so much."""
    return usage.utime if kind == CPUCLOCK_VIRT else usage.runtime


class CpuTimers:
    """struct posix_cputimers: the timers armed on the clocks of one thread, or of one process."""

    __slots__ = ("armed", "usage")

    def __init__(self, usage: Callable[[], Usage]) -> None:
        self.usage = usage
        self.armed: list[CpuTimer] = []

    def left(self) -> int | None:
        """Nanoseconds until the first can be due."""
        used = self.usage()
        return min((timer.expires - sample(used, timer.kind) for timer in self.armed), default=None)

    def expire(self) -> None:
        used = self.usage()
        for timer in [timer for timer in self.armed if timer.expires <= sample(used, timer.kind)]:
            if timer in self.armed:  # not disarmed by what another one did
                self.armed.remove(timer)
                timer.fire()


class CpuTimer:
    """struct cpu_timer: `fire` is due when the clock reaches `expires`."""

    __slots__ = ("_timers", "expires", "fire", "kind")

    def __init__(self, timers: CpuTimers, kind: int, expires: int, fire: Callable[[], None]) -> None:
        self._timers = timers
        self.kind = kind
        self.expires = expires
        self.fire = fire
        timers.armed.append(self)

    def cancel(self) -> None:
        if self in self._timers.armed:
            self._timers.armed.remove(self)


class CpuClock:
    """The clock of a process, or of one thread: `kind` is CPUCLOCK_*."""

    __slots__ = ("kind", "task", "thread")

    settable = False
    can_sleep = True
    has_timers = True

    def __init__(self, task: Task, kind: int, *, thread: bool) -> None:
        self.task = task
        self.kind = kind
        self.thread = thread

    @property
    def resolution(self) -> int:
        return 1 if self.kind == CPUCLOCK_SCHED else TICK_NS

    def relative(self) -> CpuClock:
        return self

    def now(self) -> int:
        kernel = self.task.kernel
        kernel.run_queue.update_curr(kernel.current)
        return sample(self.usage(), self.kind)

    def usage(self) -> Usage:
        return self.task.usage if self.thread else of_process(self.task.signals.shared)

    def start(self, expires: int, fire: Callable[[], None]) -> CpuTimer:
        """Call `fire` when the clock has reached `expires`."""
        task = self.task
        owner = task if self.thread else task.signals.shared
        timers = owner.cpu_timers
        if timers is None:
            timers = owner.cpu_timers = CpuTimers(self.usage)
            task.kernel.has_cpu_timers = True
        timer = CpuTimer(timers, self.kind, expires, fire)
        kernel = task.kernel
        if kernel.current.signals.shared is task.signals.shared:
            program(kernel)
        elif self.now() >= expires:
            timers.expire()
        return timer


def cpu_clock(t: Task, which: int, *, reading: bool = False) -> CpuClock:
    """The clock behind a negative clockid_t (clock_getcpuclockid(3)).  Raises OSError(EINVAL)."""
    kind, pid = which & 3, ~(which >> 3)
    target = t.kernel.tasks.get(pid) if pid else t
    thread = bool(which & _PER_THREAD)
    if kind <= CPUCLOCK_SCHED and target is not None:
        if thread:
            if target.tgid == t.tgid:
                return CpuClock(target, kind, thread=True)
        elif not pid or target.tid == target.tgid or (reading and target is t):
            return CpuClock(target, kind, thread=False)
    raise OSError(errno.EINVAL, "no such clock")


def program(kernel: Kernel) -> None:
    """Set the alarm for the task on the CPU."""
    if kernel.cpu_alarm is not None:
        kernel.timers.cancel(kernel.cpu_alarm)
        kernel.cpu_alarm = None
    task = kernel.current
    kernel.run_queue.update_curr(task)
    waits = [timers.left() for timers in (task.cpu_timers, task.signals.shared.cpu_timers) if timers is not None]
    left = min((wait for wait in waits if wait is not None), default=None)
    if left is not None:
        kernel.cpu_alarm = kernel.timers.add(kernel.clock.monotonic_ns() + left, partial(_check, kernel))


def _check(kernel: Kernel) -> None:
    """run_posix_cpu_timers: the alarm rang."""
    task = kernel.current
    kernel.run_queue.update_curr(task)
    for timers in (task.cpu_timers, task.signals.shared.cpu_timers):
        if timers is not None:
            timers.expire()
    program(kernel)


def update_rlimit_cpu(task: Task) -> None:
    """Have RLIMIT_CPU of the task's process kept; called when it has changed and for a new process."""
    shared = task.signals.shared
    if shared.cpu_limit is not None:
        shared.cpu_limit.cancel()
        shared.cpu_limit = None
    limit = min(get_rlimit(task, RLIMIT_CPU))
    if limit != RLIM_INFINITY:
        clock = CpuClock(task, CPUCLOCK_PROF, thread=False)
        shared.cpu_limit = clock.start(limit * NANOSECONDS, partial(_cpu_limit_reached, task))


def _cpu_limit_reached(task: Task) -> None:
    """The part of check_process_timers about RLIMIT_CPU: SIGXCPU every second from the soft limit on, which
    moves with it, SIGKILL at the hard limit."""
    task = task.signals.shared.leader
    soft, hard = get_rlimit(task, RLIMIT_CPU)
    used = of_process(task.signals.shared).runtime
    if used >= hard * NANOSECONDS:
        signal.send(task, siginfo.from_kernel(signal.SIGKILL))
        return
    if used >= soft * NANOSECONDS:
        signal.send(task, siginfo.from_kernel(signal.SIGXCPU))
        task.rlimits[RLIMIT_CPU] = (soft + 1, hard)
    update_rlimit_cpu(task)

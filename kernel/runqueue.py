"""Who gets the CPU next, and what having had it costs: Linux's ``struct rq`` and ``update_curr``.

Real-time tasks go first, by priority.  The others share the CPU in proportion to their weights: each has
a virtual runtime, which advances more slowly the heavier the task is, and the one with the smallest is
next.  One that slept comes back slightly behind the others, so that it runs soon, but cannot claim what
it did not use.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.priority import NICE_0_WEIGHT, RR_TIMESLICE_NS, SCHED_RR

if TYPE_CHECKING:
    from kernel.clock import Clock
    from kernel.task import Task

TICK_NS = 5_000_000
"""How long a task has the CPU before it is compared with those that wait for it."""


class RunQueue:
    """struct rq.  `heap` holds the ready tasks as (key, order of arrival, task): the key is minus the
    priority of a real-time task, the virtual runtime of any other.  The task on the CPU is not in it.

    Processor time is that of the host's process, so time in which the host ran something else does not
    count.  Of it, user time is what passed in guest code, less the system calls and page faults that were
    served meanwhile, see `Kernel.syscall`.
    """

    __slots__ = (
        "_arrivals", "_host_cpu", "elapsed_ns", "exec_start", "guest_began", "heap", "min_vruntime", "switches",
        "user_ns", "yielding",
    )  # fmt: skip

    def __init__(self, clock: Clock) -> None:
        self._host_cpu = clock.host_cpu
        self.elapsed_ns: Callable[[], int] = clock.elapsed_ns
        self._arrivals = 0
        self.heap: list[tuple[int, int, Task]] = []
        self.min_vruntime = 0  # that of the last task which got the CPU, at least: where sleepers come back
        self.switches = 0  # nr_switches
        self.exec_start = 0  # the host's processor time up to which everything is accounted for
        self.guest_began = 0  # when guest code was last entered, CLOCK_MONOTONIC; 0 while it does not run
        self.user_ns = 0  # time in guest code that is not accounted for yet
        self.yielding = False  # a real-time task lets its equals go first, once

    def add(self, task: Task) -> None:
        """enqueue_task, at the end of those with the same right."""
        sched = task.sched
        if sched.rt_priority:
            key = -sched.rt_priority
            sched.slice_began = task.usage.runtime
        else:
            key = task.vruntime
            floor = self.min_vruntime - sched.sleeper_credit
            if key < floor:
                key = task.vruntime = floor
        self._arrivals = order = self._arrivals + 1
        heapq.heappush(self.heap, (key, order, task))

    def pop(self) -> Task:
        """pick_next_task.  The queue must not be empty."""
        key, _, task = heapq.heappop(self.heap)
        if key > self.min_vruntime:
            self.min_vruntime = key
        return task

    def remove(self, task: Task) -> int:
        """dequeue_task: it will not run again.  The key that it had."""
        heap = self.heap
        for at, entry in enumerate(heap):
            if entry[2] is task:
                del heap[at]
                heapq.heapify(heap)
                return entry[0]
        return 0

    def requeue(self, task: Task) -> None:
        """A task that is ready has changed its policy or priority.  A real-time task that has become less urgent
        stands in front of its new equals."""
        if self.remove(task) < -task.sched.rt_priority < 0:
            self._push_front(task)
        else:
            self.add(task)

    def preempts(self, task: Task) -> bool:
        """Whether somebody is to have the CPU instead of `task`, which has it."""
        heap = self.heap
        if not heap:
            return False
        self.update_curr(task)
        key = heap[0][0]
        sched = task.sched
        if not sched.rt_priority:
            return key < task.vruntime
        if self.yielding:
            self.yielding = False
            return key <= -sched.rt_priority
        if key == -sched.rt_priority and sched.policy == SCHED_RR:
            return task.usage.runtime - sched.slice_began >= RR_TIMESLICE_NS
        return key < -sched.rt_priority

    def put_back(self, task: Task) -> None:
        """put_prev_task: `task` has to give way.  A real-time task that somebody more urgent displaced stays
        in front of its equals."""
        sched = task.sched
        if sched.rt_priority and self.heap[0][0] < -sched.rt_priority:
            self._push_front(task)
        else:
            self.add(task)

    def _push_front(self, task: Task) -> None:
        """Enqueue a real-time task in front of its equals (ENQUEUE_HEAD)."""
        self._arrivals += 1
        heapq.heappush(self.heap, (-task.sched.rt_priority, -self._arrivals, task))

    def yield_to_all(self, task: Task) -> None:
        """sched_yield: `task`, which has the CPU, goes behind everybody who is ready now, except those who
        are more than a tick ahead: a light task that computes is not to have a tick for each yield."""
        self.update_curr(task)
        weight = task.sched.weight
        if weight:
            last = max(key for key, _, _ in self.heap) + 1
            task.vruntime = max(task.vruntime, min(last, task.vruntime + TICK_NS * NICE_0_WEIGHT // weight))
        else:
            self.yielding = True

    def place_child(self, parent: Task, child: Task) -> None:
        """task_fork_fair: a new task starts where its parent is."""
        self.update_curr(parent)
        child.vruntime = parent.vruntime

    def update_curr(self, task: Task) -> None:
        """Charge `task`, which has the CPU, for what it has had of it since the last time."""
        wall = self.elapsed_ns()
        self.charge(task, wall)
        if self.guest_began:
            self.guest_began = wall
        vruntime = task.vruntime
        if vruntime > self.min_vruntime and task.sched.weight:
            heap = self.heap
            if heap and heap[0][0] < vruntime:
                vruntime = heap[0][0]
            if vruntime > self.min_vruntime:
                self.min_vruntime = vruntime

    def charge(self, task: Task, wall: int) -> None:
        """`update_curr` at `wall`, CLOCK_MONOTONIC, of a task that leaves the CPU."""
        host = self._host_cpu
        if wall < host.until:
            host.last = now = wall + host.ahead
        else:
            now = host.look(wall)
        delta = now - self.exec_start
        self.exec_start = now
        user = self.user_ns
        if self.guest_began:
            user += wall - self.guest_began
        self.user_ns = 0
        usage = task.usage
        usage.runtime += delta
        if usage.overdrawn:
            user -= usage.overdrawn
            usage.overdrawn = 0
        if user < 0:
            usage.overdrawn = -user
        else:
            usage.utime += user if user < delta else delta
        weight = task.sched.weight
        if weight == NICE_0_WEIGHT:
            task.vruntime += delta
        elif weight:
            task.vruntime += delta * NICE_0_WEIGHT // weight

    def sleep(self, task: Task, wall: int) -> None:
        """`task` leaves the CPU at `wall` because it cannot go on by itself."""
        self.charge(task, wall)
        self.guest_began = 0
        self.switches += 1
        task.usage.nvcsw += 1

    def preempted(self, task: Task) -> None:
        """`task` leaves the CPU to somebody else, and goes back into the queue."""
        self.switches += 1
        task.usage.nivcsw += 1
        self.put_back(task)

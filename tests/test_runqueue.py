"""The run queue: order, shares and what is charged, on a clock that the test turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.priority import RR_TIMESLICE_NS, SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RR, Priority
from kernel.runqueue import TICK_NS, RunQueue
from kernel.rusage import Usage


class Cpu:
    """A queue, its clock, and the loop that the scheduler makes of it."""

    def __init__(self) -> None:
        self.now = 0
        host_cpu = SimpleNamespace(until=0, look=lambda wall: wall)
        clock: Any = SimpleNamespace(host_cpu=host_cpu, elapsed_ns=lambda: self.now)
        self.queue = RunQueue(clock)

    def task(self, nice: int = 0, policy: int = SCHED_OTHER, rt_priority: int = 0) -> Any:
        sched = Priority()
        sched.nice, sched.policy, sched.rt_priority = nice, policy, rt_priority
        sched.weigh()
        return SimpleNamespace(sched=sched, vruntime=0, usage=Usage())

    def run(self, length: int) -> None:
        """Let those in the queue compute, with a tick now and then."""
        end = self.now + length
        task: Any = self.queue.pop()
        while self.now < end:
            self.now += TICK_NS
            if self.queue.preempts(task):
                self.queue.preempted(task)
                task = self.queue.pop()
        self.queue.update_curr(task)
        self.queue.add(task)


@pytest.mark.parametrize(("nice", "share"), [(0, 1.0), (1, 0.8), (5, 335 / 1024), (-5, 3121 / 1024), (19, 15 / 1024)])
def test_shares_follow_the_weights(nice: int, share: float) -> None:
    cpu = Cpu()
    one, other = cpu.task(), cpu.task(nice)
    cpu.queue.add(one)
    cpu.queue.add(other)
    cpu.run(100_000_000_000)
    assert other.usage.runtime / one.usage.runtime == pytest.approx(share, rel=0.05)
    assert one.usage.nivcsw == pytest.approx(other.usage.nivcsw, abs=1)


def test_idle_gets_next_to_nothing() -> None:
    cpu = Cpu()
    one, idle = cpu.task(), cpu.task(policy=SCHED_IDLE)
    cpu.queue.add(one)
    cpu.queue.add(idle)
    cpu.run(20_000_000_000)
    assert 0 < idle.usage.runtime < one.usage.runtime / 200


def test_a_sleeper_is_next_but_cannot_claim_what_it_slept() -> None:
    cpu = Cpu()
    busy, sleeper, batch = cpu.task(), cpu.task(), cpu.task(policy=SCHED_BATCH)
    cpu.now = 10_000_000_000
    cpu.queue.update_curr(busy)
    cpu.queue.add(sleeper)
    assert cpu.queue.preempts(busy)
    assert busy.vruntime - 5_000_000 < sleeper.vruntime < busy.vruntime
    cpu.queue.pop()
    cpu.queue.add(batch)
    assert not cpu.queue.preempts(busy)


def test_real_time_goes_first_by_priority() -> None:
    cpu = Cpu()
    fair, low, high = cpu.task(), cpu.task(0, SCHED_FIFO, 10), cpu.task(0, SCHED_FIFO, 20)
    for task in (fair, low, high):
        cpu.queue.add(task)
    assert [cpu.queue.pop() for _ in range(3)] == [high, low, fair]
    # One that a more urgent task displaced goes on before its equals; one that yields, behind them.
    equal = cpu.task(0, SCHED_FIFO, 10)
    cpu.queue.add(equal)
    cpu.queue.add(high)
    assert cpu.queue.preempts(low)
    cpu.queue.put_back(low)
    assert [cpu.queue.pop() for _ in range(3)] == [high, low, equal]
    cpu.queue.add(equal)
    cpu.now += 10 * RR_TIMESLICE_NS
    assert not cpu.queue.preempts(low)  # SCHED_FIFO has no slices


def test_round_robin_takes_turns() -> None:
    cpu = Cpu()
    one, two = (cpu.task(0, SCHED_RR, 5) for _ in range(2))
    cpu.queue.add(one)
    cpu.queue.add(two)
    cpu.run(40 * RR_TIMESLICE_NS)
    assert one.usage.runtime == pytest.approx(two.usage.runtime, abs=RR_TIMESLICE_NS)
    assert one.usage.nivcsw + two.usage.nivcsw == pytest.approx(40, abs=2)


def test_yield_goes_behind_all_that_are_ready() -> None:
    cpu = Cpu()
    one, two, three = (cpu.task() for _ in range(3))
    two.vruntime, three.vruntime = 2_000_000, 4_000_000
    cpu.queue.add(two)
    cpu.queue.add(three)
    cpu.queue.yield_to_all(one)
    assert cpu.queue.preempts(one)
    cpu.queue.put_back(one)
    assert [cpu.queue.pop() for _ in range(3)] == [two, three, one]


def test_yielding_to_a_light_task_does_not_give_it_all() -> None:
    cpu = Cpu()
    polite, light = cpu.task(), cpu.task(19)
    cpu.queue.add(light)
    cpu.queue.add(polite)
    for _ in range(10_000):
        task: Any = cpu.queue.pop()
        if task is polite:
            cpu.now += 2_000
            cpu.queue.yield_to_all(task)
        else:
            cpu.now += TICK_NS
            cpu.queue.update_curr(task)
        cpu.queue.add(task)
    turns = light.usage.runtime // TICK_NS
    assert 0 < turns < 500


def test_a_change_of_policy_moves_a_waiting_task() -> None:
    cpu = Cpu()
    tasks = [cpu.task() for _ in range(4)]
    for task in tasks:
        cpu.queue.add(task)
    tasks[2].sched.policy, tasks[2].sched.rt_priority = SCHED_FIFO, 1
    cpu.queue.requeue(tasks[2])
    assert [cpu.queue.pop() for _ in range(4)] == [tasks[2], tasks[0], tasks[1], tasks[3]]


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(-500, 1200)), max_size=30))
def test_user_and_system_time_add_up_and_never_run_backwards(steps: list[tuple[int, int]]) -> None:
    """Estimates of the time in guest code may be too long, or negative where a timed trap stands for others."""
    cpu = Cpu()
    task = cpu.task()
    user = system = 0
    for passed, guest in steps:
        cpu.now += passed
        cpu.queue.user_ns += guest
        cpu.queue.update_curr(task)
        assert task.usage.utime >= user and task.usage.stime >= system
        user, system = task.usage.utime, task.usage.stime
    assert user + system == task.usage.runtime == sum(passed for passed, _ in steps)


def test_fork_resets_what_it_is_asked_to() -> None:
    for policy, priority, nice, reset, expected in (
        (SCHED_OTHER, 0, -5, False, (SCHED_OTHER, 0, -5)),
        (SCHED_OTHER, 0, -5, True, (SCHED_OTHER, 0, 0)),
        (SCHED_BATCH, 0, 7, True, (SCHED_BATCH, 0, 7)),
        (SCHED_RR, 9, 3, False, (SCHED_RR, 9, 3)),
        (SCHED_RR, 9, 3, True, (SCHED_OTHER, 0, 0)),
    ):
        parent = Priority()
        parent.policy, parent.rt_priority, parent.nice, parent.reset_on_fork = policy, priority, nice, reset
        child = parent.fork()
        assert (child.policy, child.rt_priority, child.nice) == expected and not child.reset_on_fork

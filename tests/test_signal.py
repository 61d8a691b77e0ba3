"""The parts of signals, timers and futexes that one guest program cannot show, with a clock of their own."""

from __future__ import annotations

import errno
import time
from collections.abc import Coroutine
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import futex, siginfo, signal
from kernel.clock import CLOCK_REALTIME, Clock
from kernel.entropy import Entropy
from kernel.futex import FutexTable
from kernel.hostsignals import Watcher
from kernel.itimer import IntervalTimer
from kernel.posix_clocks import HrClock, hr_clocks
from kernel.posix_cpu_timers import CPUCLOCK_PROF, CPUCLOCK_VIRT, CpuTimer, CpuTimers
from kernel.priority import Priority
from kernel.rusage import Usage
from kernel.signal import SIG_DFL, SIG_IGN, AltStack, SigAction, SignalState, sigset
from kernel.timers import Timers
from vfs.wait import WaitQueue


class Memory:
    """Words at addresses, as much of an address space as a futex needs."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.pages: dict[int, int] = {1: 0x7000 | 3, 2: 0x7000 | 3, 3: 0x9000 | 3}

    def u32(self, address: int) -> int:
        return self.words.get(address, 0)

    def put_u32(self, address: int, value: int) -> None:
        self.words[address] = value


class FakeTask(SimpleNamespace):
    """A task that sleeps only as far as `wait`."""

    async def wait(self, *queues: Any, timeout_ns: int | None = None) -> bool:
        self.sleeping = True
        return await _Pause()


class _Pause:
    def __await__(self) -> Any:
        return (yield self)


def make_task(kernel: SimpleNamespace, tid: int, *, tgid: int | None = None, mm: Memory | None = None) -> FakeTask:
    cred = SimpleNamespace(uid=5, euid=5, suid=5, cap_effective=0)
    task = FakeTask(
        kernel=kernel, tid=tid, tgid=tgid or tid, pgid=1, sid=1, mm=mm or Memory(), cred=cred, signals=SignalState(),
        pending_work=False, exit_status=None, rlimits={}, rseq=None, stopped=False, sched=Priority(),
    )  # fmt: skip
    kernel.tasks[tid] = task
    return task


@pytest.fixture
def kernel() -> SimpleNamespace:
    clock = SimpleNamespace(now=0)
    clock.monotonic_ns = lambda: clock.now
    return SimpleNamespace(
        tasks={}, clock=clock, timers=Timers(), host_signals=None, tracers=(), signal_wake_up=lambda task: None
    )


# Pending signals


def test_wire_layout_of_siginfo() -> None:
    data = siginfo.queued(34, 7, 8, 0x1122334455667788).pack()
    assert len(data) == 128
    assert data[:32] == bytes.fromhex("22000000 00000000 ffffffff 00000000 07000000 08000000 8877665544332211")
    again = siginfo.unpack(data)
    assert (again.signo, again.code, again.pid, again.uid, again.value) == (34, -1, 7, 8, 0x1122334455667788)
    assert siginfo.fault(11, 1, 0xFFFF_8000_0000_0000).address == 0xFFFF_8000_0000_0000
    assert siginfo.child(17, 1, 9, 0, 3, 4, 5).status == 3


@given(
    st.lists(st.integers(1, 64).filter(lambda n: n not in (18, 19, 20, 21, 22)), max_size=40), st.integers(0, 2**64 - 1)
)
def test_delivery_order_against_a_model(sent: list[int], blocked: int) -> None:
    """Lowest number first; a standard signal once, a real-time signal as often as it was sent and in order."""
    kernel = SimpleNamespace(tasks={}, signal_wake_up=lambda task: None)
    task: Any = make_task(kernel, 1)
    task.signals.blocked = (1 << 64) - 1
    expected: list[tuple[int, int]] = []
    for at, signo in enumerate(sent):
        signal.send(task, siginfo.queued(signo, 1, 1, at))
        if signo >= signal.SIGRTMIN or all(other != signo for other, _ in expected):
            expected.append((signo, at))
    synchronous = {4, 5, 7, 8, 11, 31}
    expected = [pair for pair in expected if not blocked >> (pair[0] - 1) & 1]
    expected.sort(key=lambda pair: (pair[0] not in synchronous, pair[0], pair[1]))
    got = []
    while (info := task.signals.dequeue(blocked)) is not None:
        got.append((info.signo, info.value))
    assert got == expected


def test_kill_permissions_and_groups(kernel: SimpleNamespace) -> None:
    me: Any = make_task(kernel, 10)
    stranger: Any = make_task(kernel, 11)
    stranger.cred = SimpleNamespace(uid=6, euid=6, suid=6)
    for task in (me, stranger):
        task.signals.blocked = signal.ALL
    with pytest.raises(OSError) as caught:
        signal.kill(me, 11, siginfo.user(15, 10, 5), 15)
    assert caught.value.errno == errno.EPERM
    signal.kill(me, 11, siginfo.user(signal.SIGCONT, 10, 5), signal.SIGCONT)  # the same session
    signal.kill(me, 0, siginfo.user(15, 10, 5), 15)  # reaches whom it may
    assert me.signals.shared.pending.mask == sigset(15)
    assert stranger.signals.shared.pending.mask == sigset(signal.SIGCONT)
    with pytest.raises(OSError) as caught:
        signal.kill(me, -1, siginfo.user(15, 10, 5), 15)
    assert caught.value.errno == errno.EPERM


def test_exec_keeps_ignored_signals_and_the_mask() -> None:
    state = SignalState()
    state.blocked = sigset(3)
    state.actions[1] = SigAction(SIG_IGN, signal.SA_RESTART)
    state.actions[2] = SigAction(0x4000, signal.SA_RESTART, 0x5000, 7)
    state.altstack = AltStack(0x1000, 0x2000, 0)
    state.on_exec()
    assert state.actions[1].handler == SIG_IGN
    assert (state.actions[2].handler, state.actions[2].flags, state.actions[2].mask) == (SIG_DFL, 0, 0)
    assert state.altstack.status(0x1800) == signal.SS_DISABLE
    assert state.blocked == sigset(3)


def test_fork_copies_actions_but_nothing_pending() -> None:
    state = SignalState()
    state.actions[2] = SigAction(0x4000)
    state.shared.pending.mask = 1
    child = state.fork()
    child.actions[2] = SigAction()
    assert state.actions[2].handler == 0x4000
    assert child.deliverable == 0


# Timers


def test_timers_expire_in_order_and_can_be_cancelled() -> None:
    timers = Timers()
    armed: list[int | None] = []
    timers.armed = armed.append
    ran: list[str] = []
    timers.add(30, lambda: ran.append("late"))
    timers.add(10, lambda: ran.append("early"))
    gone = timers.add(5, lambda: ran.append("never"))
    timers.cancel(gone)
    assert armed == [30, 10, 5]
    assert timers.next() == 10
    assert not timers.expire(9)
    assert timers.expire(20)
    assert ran == ["early"] and armed[-1] == 30
    assert timers.expire(30)
    assert ran == ["early", "late"] and timers.next() is None and armed[-1] is None


def real_clock(timers: Timers, now: list[int]) -> HrClock:
    clock = SimpleNamespace(monotonic_ns=lambda: now[0], realtime_ns=lambda: now[0])
    kernel: Any = SimpleNamespace(timers=timers, clock=clock)
    return HrClock(kernel, lambda: now[0], sleep=True, timers=True)


def test_interval_timer_goes_on_when_its_signal_is_taken() -> None:
    timers = Timers()
    now = [100]
    fired: list[int] = []
    timer = IntervalTimer(real_clock(timers, now), lambda: fired.append(now[0]))
    timer.set(10_000, 20_000)
    assert timer.get() == (10_000, 20_000)
    now[0] = 10_099
    timers.expire(now[0])
    assert fired == [] and timer.get()[0] == 1000  # never shown as disarmed
    now[0] = 75_000
    timers.expire(now[0])
    assert fired == [75_000] and timers.next() is None
    assert timer.get() == (0, 20_000)
    timer.rearm()  # missed periods are dropped
    assert timer.get() == (15_100, 20_000)
    timer.set(0, 0)
    assert timer.get() == (0, 0) and timers.next() is None


def test_cpu_timers_fire_when_their_time_has_come() -> None:
    usage = Usage()
    timers = CpuTimers(lambda: usage)
    fired: list[str] = []
    CpuTimer(timers, CPUCLOCK_VIRT, 40, lambda: fired.append("virtual"))
    gone = CpuTimer(timers, CPUCLOCK_PROF, 50, lambda: fired.append("never"))
    CpuTimer(timers, CPUCLOCK_PROF, 60, gone.cancel)
    usage.runtime, usage.utime = 45, 30
    timers.expire()
    assert not fired and timers.left() == 5
    gone.cancel()
    usage.runtime, usage.utime = 60, 40
    timers.expire()
    assert fired == ["virtual"] and timers.left() is None


def test_timers_follow_a_clock_that_is_set() -> None:
    timers = Timers()
    monotonic, offset = [1000], [0]
    clock = SimpleNamespace(monotonic_ns=lambda: monotonic[0], was_set=WaitQueue())
    clock.realtime_ns = clock.boottime_ns = lambda: monotonic[0] + offset[0]
    kernel: Any = SimpleNamespace(timers=timers, clock=clock, posix_clocks={})
    realtime = hr_clocks(kernel)[CLOCK_REALTIME]
    fired: list[str] = []

    def turn(by: int) -> None:
        offset[0] += by
        clock.was_set.wake()

    realtime.start(9000, lambda: fired.append("absolute"))
    base = realtime.relative()
    base.start(base.now() + 8000, lambda: fired.append("relative"))
    gone = realtime.start(9500, lambda: fired.append("never"))
    turn(-500)
    monotonic[0] = 9100
    timers.expire(monotonic[0])
    assert fired == ["relative"]
    turn(450)
    timers.expire(monotonic[0])
    assert fired == ["relative", "absolute"]
    gone.cancel()
    turn(10_000)
    timers.expire(monotonic[0])
    assert fired == ["relative", "absolute"] and not clock.was_set.waiters


def test_a_heap_of_cancelled_timers_is_swept() -> None:
    timers = Timers()
    kept = [timers.add(n, lambda: None) for n in range(0, 1000, 10)]
    for n in range(10_000):
        timers.cancel(timers.add(5000 + n, lambda: None))
    assert len(timers._heap) < 500
    assert timers.next() == 0
    timers.expire(989)
    assert timers.next() == 990 and kept[-1].action is not None


def test_watcher_keeps_every_deadline() -> None:
    kicked = Event()
    watcher = Watcher(lambda data: kicked.set())
    for wait in (30_000_000, 10_000_000, 20_000_000, 1_000_000):
        kicked.clear()
        start = time.monotonic_ns()
        watcher.set_deadline(start + 60_000_000_000)
        watcher.set_deadline(start + wait)
        assert kicked.wait(5)
        assert time.monotonic_ns() - start >= wait
    kicked.clear()
    watcher.set_deadline(time.monotonic_ns() + 20_000_000)
    watcher.set_deadline(None)
    assert not kicked.wait(0.1)


# Clock and entropy


def test_setting_the_clock_moves_only_the_guests_time() -> None:
    clock = Clock()
    before = clock.monotonic_ns()
    clock.set_realtime(1_000_000_000_000)
    assert 0 <= clock.realtime_ns() - 1_000_000_000_000 < 1_000_000_000
    assert 0 <= clock.monotonic_ns() - before < 1_000_000_000
    assert 0 <= clock.cpu_ns() < 5_000_000_000


@given(st.lists(st.integers(0, 200), max_size=10))
def test_seeded_entropy_does_not_depend_on_how_it_is_asked(sizes: list[int]) -> None:
    pieces = Entropy(b"seed")
    assert b"".join(pieces.bytes(size) for size in sizes) == Entropy(b"seed").bytes(sum(sizes))
    assert Entropy(b"seed").bytes(16) != Entropy(b"other").bytes(16)
    assert len(Entropy().bytes(33)) == 33


# Futexes with several tasks


def sleep(
    table: FutexTable, task: Any, address: int, *, shared: bool = False, bitset: int = futex.BITSET_MATCH_ANY
) -> Coroutine[Any, Any, int]:
    """A task that has gone to sleep on a futex."""
    waiter = table.prepare(task, address, task.mm.u32(address), bitset, shared=shared)
    coroutine = table.sleep(task, waiter, None)
    coroutine.send(None)
    return coroutine


def awake(coroutine: Coroutine[Any, Any, int]) -> bool:
    """Whether the sleeper, looked at once more, has been woken."""
    try:
        coroutine.send(True)
    except StopIteration:
        return True
    return False


def test_futex_wakes_the_longest_waiters_first(kernel: SimpleNamespace) -> None:
    table, mm = FutexTable(), Memory()
    tasks: list[Any] = [make_task(kernel, tid, mm=mm) for tid in (1, 2, 3)]
    first, second, third = (sleep(table, task, 0x1000) for task in tasks)
    assert table.wake(tasks[0], 0x1000, 2, futex.BITSET_MATCH_ANY, shared=False) == 2
    assert awake(first) and awake(second) and not awake(third)
    assert table.wake(tasks[0], 0x1000, 5, futex.BITSET_MATCH_ANY, shared=False) == 1
    assert awake(third)


def test_futex_bit_sets(kernel: SimpleNamespace) -> None:
    table: Any = FutexTable()
    task: Any = make_task(kernel, 1)
    odd = sleep(table, task, 0x1000, bitset=1)
    even = sleep(table, task, 0x1000, bitset=2)
    assert table.wake(task, 0x1000, 5, 2, shared=False) == 1
    assert awake(even) and not awake(odd)


def test_futex_requeue(kernel: SimpleNamespace) -> None:
    table, mm = FutexTable(), Memory()
    tasks: list[Any] = [make_task(kernel, tid, mm=mm) for tid in range(1, 5)]
    sleepers = [sleep(table, task, 0x1000) for task in tasks]
    assert table.requeue(tasks[0], 0x1000, 0x1004, 1, 2, 0, shared=False) == 3
    assert [awake(s) for s in sleepers] == [True, False, False, False]
    assert table.wake(tasks[0], 0x1004, 9, futex.BITSET_MATCH_ANY, shared=False) == 2
    assert [awake(s) for s in sleepers[1:]] == [True, True, False]


def test_pi_lock_is_handed_to_the_longest_waiter(kernel: SimpleNamespace) -> None:
    table, mm = FutexTable(), Memory()
    owner, second, third = (make_task(kernel, tid, mm=mm) for tid in (1, 2, 3))
    assert table.prepare_pi(owner, 0x1000, shared=False) is None  # type: ignore[arg-type]
    waiters: list[Any] = [table.prepare_pi(task, 0x1000, shared=False) for task in (second, third)]  # type: ignore[arg-type]
    assert mm.words[0x1000] == 1 | futex.WAITERS
    table.unlock_pi(owner, 0x1000, shared=False)  # type: ignore[arg-type]
    assert mm.words[0x1000] == 2 | futex.WAITERS and waiters[0].woken and not waiters[1].woken
    table.unlock_pi(second, 0x1000, shared=False)  # type: ignore[arg-type]
    assert mm.words[0x1000] == 3 and waiters[1].woken
    table.unlock_pi(third, 0x1000, shared=False)  # type: ignore[arg-type]
    assert mm.words[0x1000] == 0

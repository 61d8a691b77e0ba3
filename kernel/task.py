"""A thread of execution and what it shares: Linux's ``struct task_struct``, ``fs_struct`` and ``cred``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import TYPE_CHECKING, Any

from kernel.cred import Credentials as Credentials
from kernel.priority import Priority
from kernel.rusage import Usage
from vfs.wait import Waiter, WaitQueue

if TYPE_CHECKING:
    from collections import deque

    from emu.engine import Context
    from kernel.files import FdTable
    from kernel.io_uring.request import IoUringTask
    from kernel.kernel import Kernel
    from kernel.mm import AddressSpace
    from kernel.posix_cpu_timers import CpuTimers
    from kernel.ptrace import Tracee
    from kernel.rseq import Rseq
    from kernel.seccomp import Seccomp
    from kernel.semundo import SemUndoList
    from kernel.signal import SignalState
    from kernel.task_work import Work
    from kernel.timers import Timer
    from vfs.node import Path


NO_RESULT = -(1 << 62)
"""Returned by a handler that has set the registers itself."""
NOT_A_CALL = NO_RESULT - 1
"""Returned by a coroutine that was `Task.call` without being one: a stop for a tracer."""


class Interrupted(Exception):
    """A signal arrived while a call waited.  The dispatcher turns it into EINTR or a restart, as signal(7) lays down
    for each call, or by `rule` where that is not the call's affair: "again" is made again in any case
    (ERESTARTNOINTR), the others are those of syscalls/support.py."""

    rule: str | None = None


async def broken_off() -> int:
    """The rest of a call that a signal interrupted before it had to wait."""
    raise Interrupted


class FsContext:
    """struct fs_struct: where path walks start."""

    __slots__ = ("cwd", "root", "umask")

    def __init__(self, root: Path, cwd: Path, umask: int = 0o022) -> None:
        self.root = root
        self.cwd = cwd
        self.umask = umask


Waiting = tuple[Sequence[WaitQueue], int | None, bool]
"""What a task that left the CPU waits for: any of the queues, or the deadline (nanoseconds of CLOCK_MONOTONIC;
None: for ever); and whether only SIGKILL interrupts it.  No class: one is made for every call that waits."""


class Again(Coroutine[Waiting, bool, int]):
    """The rest of a call that waits on `queues` and then tries again until `attempt` has a result, as most reads do:
    a coroutine whose attempts the scheduler makes itself, in half the time.  `attempt` answers None, or raises
    OSError; `finish` is called when the call is over or broken off.
    """

    __slots__ = ("_steps", "attempt", "finish", "waiting")

    def __init__(
        self,
        attempt: Callable[[], int | None],
        queues: Sequence[WaitQueue],
        finish: Callable[[], None] | None = None,
    ) -> None:
        self.attempt = attempt
        self.waiting: Waiting = (queues, None, False)
        self.finish = finish
        self._steps: Generator[Waiting, bool, int] | None = None

    def __await__(self) -> Generator[Waiting, bool, int]:
        try:
            while True:
                interrupted = None
                try:
                    yield self.waiting
                except Interrupted as signal:
                    interrupted = signal
                result = self.attempt()  # first: what has come is not lost to a signal
                if result is not None:
                    return result
                if interrupted is not None:
                    raise interrupted
        finally:
            self.over()

    def send(self, value: Any) -> Waiting:
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *what: Any) -> Waiting:
        assert self._steps is not None
        return self._steps.throw(*what)

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()
        self.over()

    def over(self) -> None:
        """Call `finish`, once."""
        finish, self.finish = self.finish, None
        if finish is not None:
            finish()


class Task:
    """struct task_struct.  What a new task starts with stands beside each name, in `__init__`."""

    __slots__ = (
        "alarm", "arg_range", "asleep", "auxv", "call", "call_first", "call_number", "clear_child_tid",
        "comm", "context", "cpu_timers", "cred", "default_timer_slack_ns", "env_range", "exe", "exit_signal",
        "exit_status", "files", "forked", "fs", "io_flusher", "io_uring", "kernel", "mce_kill", "mm", "no_new_privs",
        "oom_score_adj", "oom_score_adj_min", "parent", "pdeath_signal", "pending_registers", "pending_work",
        "personality", "pgid", "ppid", "ptrace", "ptraced", "read_bytes", "read_calls", "ready", "result", "rlimits",
        "robust_list", "rseq", "sched", "seccomp", "sid", "signals", "start_ns", "stop_report", "stopped",
        "syscall_work", "task_works", "tgid", "thp_disable", "tid", "timed_out", "timer_slack_ns", "undo_list",
        "usage", "vfork_done", "vfork_parent", "vruntime", "waiting", "wake", "woken", "write_bytes", "write_calls",
        "zombie",
    )  # fmt: skip

    def __init__(
        self,
        kernel: Kernel,
        tid: int,
        tgid: int,
        ppid: int,
        pgid: int,
        sid: int,
        mm: AddressSpace,
        files: FdTable,
        fs: FsContext,
        cred: Credentials,
        signals: SignalState,
        *,
        rlimits: dict[int, tuple[int, int]] | None = None,
        sched: Priority | None = None,
    ) -> None:
        self.kernel = kernel
        self.tid = tid
        self.tgid = tgid
        self.ppid = ppid
        self.pgid = pgid
        self.sid = sid
        self.mm = mm
        self.files = files
        self.fs = fs
        self.cred = cred
        self.signals = signals
        self.rlimits = {} if rlimits is None else rlimits
        self.sched = Priority() if sched is None else sched
        self.usage = Usage()
        self.vfork_done = WaitQueue()
        self.comm: bytes = b""
        self.start_ns: int = 0
        self.personality: int = 0
        self.clear_child_tid: int = 0
        self.robust_list: int = 0
        self.rseq: Rseq | None = None
        # The family: who gets SIGCHLD, whom wait(2) can find, and what it would say
        self.parent: Task | None = None
        self.exit_signal: int = 0
        self.stop_report: int = 0  # a wait(2) status of a stop or continuation nobody has asked for yet
        self.stopped: bool = False
        self.zombie: bool = False
        self.forked: bool = False  # PF_FORKNOEXEC: it still runs what its parent ran
        self.vruntime: int = 0  # see kernel/runqueue.py
        self.cpu_timers: CpuTimers | None = None  # on this thread's clocks
        self.vfork_parent: Task | None = None
        self.undo_list: SemUndoList | None = None  # of System V semaphores
        self.ptrace: Tracee | None = None  # how it is traced, if it is
        self.ptraced: tuple[Task, ...] = ()  # whom it traces
        # The registers while another task has the CPU, and what is to be changed in them
        self.context: Context | None = None
        self.pending_registers: dict[str, int] | None = None
        # prctl(2) and its files in /proc
        self.no_new_privs: bool = False
        self.seccomp: Seccomp | None = None
        self.pdeath_signal: int = 0
        self.timer_slack_ns: int = 50_000
        self.default_timer_slack_ns: int = 50_000  # what its parent's was when it was made
        self.thp_disable: bool = False
        self.mce_kill: int = 2  # PR_MCE_KILL_DEFAULT
        self.io_flusher: bool = False
        self.oom_score_adj: int = 0
        self.oom_score_adj_min: int = 0  # what it may be set back to without CAP_SYS_RESOURCE
        # /proc: argv and environ are read from the guest's memory at these ranges
        self.arg_range: tuple[int, int] = (0, 0)
        self.env_range: tuple[int, int] = (0, 0)
        self.auxv: bytes = b""
        self.exe: Path | None = None
        self.read_bytes: int = 0  # /proc/PID/io rchar, wchar, syscr, syscw
        self.write_bytes: int = 0
        self.read_calls: int = 0
        self.write_calls: int = 0
        # The call in progress, when it waits: its coroutine, what that waits for, and what a signal needs
        # to know to make the call again; `woken` is set by whatever it waits for
        self.call: Any = None
        self.waiting: Waiting | None = None
        self.wake: Waiter | None = None  # made when it first sleeps; in every queue it waits for
        self.asleep: bool = False  # its `wake` and `alarm` are set to wake it
        self.alarm: Timer | None = None  # for the deadline
        self.woken: bool = False  # by what it waits for, or by its deadline: a signal waits until it has looked
        self.timed_out: bool = False
        self.ready: bool = False  # in the run queue, or running
        self.call_number: int = 0
        self.call_first: int = 0
        self.syscall_work: int = 0  # what is to be done about its calls besides making them: flags of kernel/entry.py
        # The result of a call that is over but not yet in the register
        self.result: int | None = None
        # True when something must be looked at before guest code goes on: a signal, a stop, an exit, work
        self.pending_work: bool = False
        self.task_works: deque[Work] | None = None  # see kernel/task_work.py
        self.io_uring: IoUringTask | None = None
        self.exit_status: int | None = None  # wait(2) status, once this thread is to end
        signals.shared.add(self)

    async def wait_uninterruptible(self, queue: WaitQueue, done: Callable[[], bool]) -> None:
        """Sleep until `done`, whatever signals come: they are handled afterwards."""
        while not done() and self.exit_status is None:
            try:
                await self.wait_killable(queue)
            except Interrupted:
                return

    async def wait_killable(self, queue: WaitQueue) -> None:
        """`wait` that only SIGKILL interrupts."""
        await self._sleep(((queue,), None, True))

    @coroutine
    def wait(self, *queues: WaitQueue, timeout_ns: int | None = None) -> Generator[Waiting, bool, bool]:
        """Sleep until one of `queues` is woken or `timeout_ns` has passed; False on time-out.

        The only primitive through which a call blocks.  Raises Interrupted when a signal is to be
        handled.  Spurious wake-ups happen: callers look at their condition again.
        """
        deadline = None if timeout_ns is None else self.kernel.clock.monotonic_ns() + timeout_ns
        return (yield (queues, deadline, False))

    @coroutine
    def _sleep(self, waiting: Waiting) -> Generator[Waiting, bool, bool]:
        return (yield waiting)

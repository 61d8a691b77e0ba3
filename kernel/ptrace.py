"""Who may look into whom, and tracing: Linux's ``kernel/ptrace.c`` and the stops of ``kernel/signal.c``, ptrace(2).

Everything that shows one process the inside of another asks here: ptrace(2) itself, /proc/PID/{mem,environ,maps,fd,
exe,...}, process_vm_readv(2), kcmp(2), pidfd_getfd(2), get_robust_list(2), process_madvise(2).

A task that is traced has a `Tracee`.  It stops in `stop`, a coroutine like any call that waits, so a stopped task
is one that sleeps; its registers are then in its saved context or, if nobody has had the CPU since, still on it
(kernel/regset.py).  Its number of the system call in progress (orig_rax) is `Task.call_number`, -1 outside of one,
and what becomes of an interrupted call is decided by the registers, for a tracer may have changed them.

What a tracer does to a task, by number, is in syscalls/ptrace.py.
"""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Protocol

from kernel import entry, remote, siginfo, signal
from kernel import exit as end
from kernel.cred import CAP_SYS_PTRACE
from kernel.pid import detach_pid
from kernel.regset import read_names, write_names
from kernel.task import NOT_A_CALL, Interrupted
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from kernel.siginfo import SigInfo
    from kernel.task import Task

# Which credentials of the caller count: those for file access, or the real ids.  Linux tells reading from
# attaching as well, for the security modules that lxrun does not have.
FSCREDS, REALCREDS = 8, 16

SUID_DUMP_USER = 1


def ptrace_may_access(task: Task, target: Task, mode: int) -> bool:
    """Whether `task` may look into `target`: the same user in every respect, who has no fewer rights, unless
    the target must not be dumped; or CAP_SYS_PTRACE.  `mode` is FSCREDS or REALCREDS."""
    if task.tgid == target.tgid:
        return True
    mine, theirs = task.cred, target.cred
    if mine.capable(CAP_SYS_PTRACE):
        return True
    uid, gid, capabilities = (
        (mine.fsuid, mine.fsgid, mine.cap_effective) if mode & FSCREDS else (mine.uid, mine.gid, mine.cap_permitted)
    )
    return (
        uid == theirs.euid == theirs.suid == theirs.uid
        and gid == theirs.egid == theirs.sgid == theirs.gid
        and (target.zombie or target.mm.dumpable == SUID_DUMP_USER)
        and not theirs.cap_permitted & ~capabilities
    )


def check_access(task: Task, target: Task, mode: int, code: int = errno.EPERM) -> None:
    """Raise OSError(`code`) unless `task` may look into `target`."""
    if not ptrace_may_access(task, target, mode):
        raise OSError(code, "another user's process, or one that must not be dumped")


# Options; that for an event is 1 << the event's number
PTRACE_O_TRACESYSGOOD, PTRACE_O_EXITKILL = 1, 1 << 20
PTRACE_O_MASK = 0xFF | PTRACE_O_EXITKILL
PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK, PTRACE_EVENT_CLONE, PTRACE_EVENT_EXEC = 1, 2, 3, 4
PTRACE_EVENT_VFORK_DONE, PTRACE_EVENT_EXIT, PTRACE_EVENT_SECCOMP, PTRACE_EVENT_STOP = 5, 6, 7, 128
SYSCALL_ENTRY, SYSCALL_EXIT = 1, 2  # PTRACE_EVENTMSG_SYSCALL_*
CLD_TRAPPED, CLD_STOPPED = siginfo.CLD_TRAPPED, siginfo.CLD_STOPPED

# What a task is to stop for when it looks (task_struct.jobctl): itself, or to have its tracer see a change
TRAP_STOP, TRAP_NOTIFY = 1, 2

_RESTARTS = {-512: "sys", -513: "again", -514: "nohand", -516: "block"}  # what an interrupted call answers to a tracer


class Debugger(Protocol):
    """A tracer outside the guest, for one process.  Nothing else runs while it is told of a stop."""

    def stopped(self, task: Task) -> int:
        """`task` has stopped; the signal it is to get when it goes on."""

    def ended(self, status: int) -> None:
        """The process has ended, with this wait(2) status."""

    def look(self) -> None:
        """Something may have come from outside."""


class Tracee:
    """What task_struct holds for a task that is traced, by another task or by a `Debugger`.

    `code` is what wait(2) reports of the stop, in the upper bits, unless it has (`reported`); `data` is the
    tracer's answer: the signal to deliver.  `trap` is TRAP_*, `stop_signal` that of the group stop to report.
    `stepping` is TIF_SINGLESTEP, `forced` TIF_FORCED_TF: the tracer's wish, not the program's own.  Debug registers
    that are enabled have the task stop after each instruction too, but only lxrun sees that.
    """

    __slots__ = (
        "code", "data", "debug_registers", "debugger", "exiting", "forced", "info", "listening", "message", "options",
        "reported", "resumed", "seized", "stepping", "stop_signal", "stopped", "tracer", "trap",
    )  # fmt: skip

    def __init__(
        self, tracer: Task | None, options: int = 0, *, seized: bool = False, debugger: Debugger | None = None
    ) -> None:
        self.tracer = tracer
        self.debugger = debugger
        self.options = options
        self.seized = seized
        self.stopped = self.listening = self.exiting = False
        self.stepping = self.forced = False
        self.reported = True
        self.code = self.data = self.message = self.trap = self.stop_signal = 0
        self.info: SigInfo | None = None
        self.debug_registers: Any = None  # the architecture's, once the tracer has set one
        self.resumed = WaitQueue()

    def wants(self, event: int) -> bool:
        """ptrace_event_enabled."""
        return bool(self.options >> event & 1)


def reparented(task: Task) -> bool:
    """ptrace_reparented: whether another process than its parent traces the task."""
    assert task.ptrace is not None
    tracer, parent = task.ptrace.tracer, task.parent
    return tracer is None or parent is None or tracer.tgid != parent.tgid


# The beginning and the end


def link(task: Task, tracee: Tracee) -> None:
    """__ptrace_link."""
    task.ptrace = tracee
    if task.call is None:
        task.call_number = -1
    if tracee.tracer is not None:
        tracee.tracer.ptraced = (*tracee.tracer.ptraced, task)


def unlink(task: Task) -> None:
    """__ptrace_unlink: nobody traces the task any more.  If it was stopped it goes on, unless its process is
    stopped: then it is like the others."""
    tracee = task.ptrace
    assert tracee is not None
    if not task.zombie:
        task.kernel.set_syscall_work(task, entry.TRACE | entry.STEP | entry.EMU, False)
        if tracee.stopped:
            task.signals.interrupted = interrupted_call(task)
    task.ptrace = None
    if tracee.tracer is not None:
        tracee.tracer.ptraced = tuple(other for other in tracee.tracer.ptraced if other is not task)
    if not task.zombie:
        if tracee.stopped:
            task.pending_work = True  # a signal first, if there is one to deliver, then perhaps a group stop
            resume(tracee)
        elif task.signals.shared.stop_signal and task.exit_status is None:
            task.stopped = task.pending_work = True


def traceme(task: Task) -> None:
    """PTRACE_TRACEME.  Raises OSError(EPERM)."""
    if task.ptrace is not None or task.parent is None:
        raise OSError(errno.EPERM, "traced already, or nobody's child")
    check_access(task.parent, task, REALCREDS)
    link(task, Tracee(task.parent))


def attach(tracer: Task, task: Task, options: int, *, seize: bool) -> bool:
    """PTRACE_ATTACH, which stops the task with a SIGSTOP, or PTRACE_SEIZE, which does not: whether it was stopped
    already, and has to be waited for (`trapping`).  Raises OSError(EPERM)."""
    if tracer.tgid == task.tgid:
        raise OSError(errno.EPERM, "a thread of one's own")
    check_access(tracer, task, REALCREDS)
    if task.zombie or task.ptrace is not None:
        raise OSError(errno.EPERM, "has ended, or is traced already")
    link(task, Tracee(tracer, options, seized=seize))
    if not seize:
        signal.send(task, siginfo.from_kernel(signal.SIGSTOP), to_thread=True)
    if not task.stopped:
        return False
    task.stopped = False
    ask(task, TRAP_STOP, task.signals.shared.stop_signal)
    return True


async def trapping(tracer: Task, task: Task) -> int:
    """JOBCTL_TRAPPING: a task that was stopped when it was attached to never seems to be going on."""
    tracee = task.ptrace
    assert tracee is not None
    while not (tracee.stopped or task.zombie) and task.ptrace is tracee:
        await tracer.wait_killable(tracer.signals.shared.child_changed)
    return 0


def exit_tracer(tracer: Task) -> None:
    """exit_ptrace: a tracer ends.  Its tracees go on, or with PTRACE_O_EXITKILL end."""
    for task in tracer.ptraced:
        assert task.ptrace is not None
        task.ptrace.data = 0
        if task.ptrace.options & PTRACE_O_EXITKILL and not task.zombie:
            signal.send(task, siginfo.from_kernel(signal.SIGKILL), to_thread=True)
        let_go(task)


def let_go(task: Task) -> None:
    """__ptrace_detach: what has ended, and was kept for its tracer, is now seen by its parent or by nobody."""
    elsewhere = reparented(task)
    unlink(task)
    if task.zombie:
        if task is not task.signals.shared.leader:
            detach_pid(task)
        elif elsewhere and not task.signals.shared.live:
            end.notify_parent(task)


def init_child(parent: Task, child: Task) -> None:
    """ptrace_init_task: a new task is traced as its parent is, and stops before its first instruction."""
    mine = parent.ptrace
    assert mine is not None
    link(child, Tracee(mine.tracer, mine.options, seized=mine.seized, debugger=mine.debugger))
    child.pending_work = True
    if mine.seized:
        ask(child, TRAP_STOP)
    else:
        child.signals.pending.mask |= 1 << (signal.SIGSTOP - 1)


# Stops


async def stop(task: Task, code: int, why: int, info: SigInfo | None, message: int = 0) -> int:
    """ptrace_stop: sleep until the tracer lets the task go on; the signal it gives it.  0, if SIGKILL comes."""
    tracee = task.ptrace
    if tracee is None:
        return 0
    tracee.trap &= ~TRAP_STOP
    if code >> 8 == PTRACE_EVENT_STOP:
        tracee.trap = 0
    step_off(task)
    tracee.code, tracee.reported, tracee.data = code, False, 0
    tracee.info, tracee.message = info, message
    tracee.stopped = True
    try:
        if tracee.debugger is not None:
            return tracee.debugger.stopped(task)
        assert tracee.tracer is not None
        end.notify_tracer(task, tracee.tracer, why, code & 0x7F)
        while tracee.stopped:
            await task.wait_killable(tracee.resumed)
    except Interrupted:
        return 0
    finally:
        tracee.stopped = tracee.listening = False
        tracee.reported = True
    watch(task)
    return tracee.data


async def notify(task: Task, code: int, message: int = 0, why: int = CLD_TRAPPED) -> int:
    """ptrace_notify: a stop that no signal is the reason of."""
    return await stop(task, code, why, siginfo.user(code & 0x7F, task.tid, task.cred.uid, code), message)


async def event(task: Task, which: int, message: int) -> None:
    """ptrace_event: stop if the tracer wants to be told.  Of an execve(2) that it did not ask about, one that did
    not seize the task is told by a SIGTRAP."""
    tracee = task.ptrace
    if tracee is None:
        return
    if tracee.wants(which):
        await notify(task, which << 8 | signal.SIGTRAP, message)
    elif which == PTRACE_EVENT_EXEC and not tracee.seized:
        signal.send(task, siginfo.user(signal.SIGTRAP, task.tgid, task.cred.uid), to_thread=True)


async def report_syscall(task: Task, message: int) -> None:
    """ptrace_report_syscall: the stop before a system call, or after it."""
    tracee = task.ptrace
    if tracee is None:
        return
    signo = await notify(task, signal.SIGTRAP | (0x80 if tracee.options & PTRACE_O_TRACESYSGOOD else 0), message)
    if signo:
        signal.send(task, siginfo.from_kernel(signo), to_thread=True)


async def signal_stop(task: Task, info: SigInfo, to_thread: bool) -> int:
    """ptrace_signal: the tracer is shown a signal before it is delivered, and says which is.  One that is blocked
    becomes pending where the first was: for the thread, or the process."""
    tracee = task.ptrace
    signo = await stop(task, info.signo, CLD_TRAPPED, info)
    if signo:
        assert tracee is not None and tracee.info is not None
        info = tracee.info
        if signo != info.signo:
            sender = tracee.tracer
            info = siginfo.user(signo, sender.tgid if sender else 0, sender.cred.uid if sender else 0)
        if task.signals.blocked >> (signo - 1) & 1:
            signal.send(task, info, to_thread=to_thread)
        else:
            task.signals.injected = info
    return NOT_A_CALL


async def trap_stop(task: Task) -> int:
    """do_jobctl_trap: a group stop as a tracer sees it, or the stop that PTRACE_INTERRUPT asks for."""
    tracee = task.ptrace
    assert tracee is not None
    if tracee.seized:
        signo = task.signals.shared.stop_signal or signal.SIGTRAP
        await notify(task, signo | PTRACE_EVENT_STOP << 8, why=CLD_STOPPED)
    else:
        await stop(task, tracee.stop_signal, CLD_STOPPED, None)
    return NOT_A_CALL


async def step_stop(task: Task) -> int:
    """A handler is entered while the tracer steps (signal_delivered): its first instruction is a step too."""
    await notify(task, signal.SIGTRAP)
    return NOT_A_CALL


def exit_stop(task: Task) -> Coroutine[Any, Any, int] | None:
    """PTRACE_EVENT_EXIT, once, for a task that is about to end; None if there is nobody to tell."""
    tracee = task.ptrace
    if tracee is None or tracee.exiting or not tracee.wants(PTRACE_EVENT_EXIT):
        return None
    tracee.exiting = True

    async def stopped() -> int:
        assert task.exit_status is not None
        await event(task, PTRACE_EVENT_EXIT, task.exit_status)
        return NOT_A_CALL

    return stopped()


def ask(task: Task, trap: int, stop_signal: int = 0) -> None:
    """Have a task that is traced stop as soon as it can, whatever it waits for (task_set_jobctl_pending,
    ptrace_signal_wake_up)."""
    tracee = task.ptrace
    assert tracee is not None
    tracee.trap |= trap
    if stop_signal:
        tracee.stop_signal = stop_signal
    task.pending_work = True
    if tracee.listening:
        resume(tracee)
    elif not tracee.stopped:
        task.kernel.make_ready(task)


def group_stop(task: Task, current: Task, signo: int) -> None:
    """do_signal_stop, for a thread that is traced: `current`, which took the signal, stops at once."""
    assert task.ptrace is not None
    ask(task, TRAP_NOTIFY if task.ptrace.seized and task is not current else TRAP_STOP, signo)


def continued(task: Task) -> None:
    """SIGCONT: no group stop is in effect any more.  A tracer that seized the task is told, of another's the task
    stays stopped."""
    tracee = task.ptrace
    assert tracee is not None
    if tracee.seized:
        ask(task, TRAP_NOTIFY)
    else:
        tracee.trap &= ~TRAP_STOP


# Going on


def resume(tracee: Tracee) -> None:
    """A stop ends."""
    tracee.stopped = tracee.listening = False
    tracee.resumed.wake()


def step_on(task: Task) -> None:
    """user_enable_single_step: stop after the next instruction."""
    assert task.ptrace is not None
    task.ptrace.stepping = True
    _trap_on(task, task.ptrace)


def watch(task: Task) -> None:
    """Have the task go on as its debug registers ask, if they do."""
    tracee = task.ptrace
    if tracee is not None and tracee.debug_registers is not None and tracee.debug_registers.enabled:
        _trap_on(task, tracee)


def _trap_on(task: Task, tracee: Tracee) -> None:
    kernel = task.kernel
    flags = read_names(task, (kernel.arch.FLAGS,))[0]
    if not flags & kernel.arch.STEP_FLAG:
        pc = read_names(task, (kernel.arch.PC,))[0]
        tracee.forced = not kernel.arch.sets_flags(remote.read(task.mm, pc, 15))
        write_names(task, {kernel.arch.FLAGS: flags | kernel.arch.STEP_FLAG})
    kernel.set_syscall_work(task, entry.STEP, True)


def step_off(task: Task) -> None:
    """user_disable_single_step."""
    tracee = task.ptrace
    assert tracee is not None
    if tracee.forced:
        arch = task.kernel.arch
        write_names(task, {arch.FLAGS: read_names(task, (arch.FLAGS,))[0] & ~arch.STEP_FLAG})
    task.kernel.set_syscall_work(task, entry.STEP, False)
    tracee.stepping = tracee.forced = False


def is_killed(task: Task) -> bool:
    """fatal_signal_pending."""
    return bool(task.signals.deliverable & signal.sigset(signal.SIGKILL))


def report_step(task: Task) -> None:
    """user_single_step_report: a step over a system call.  What the call itself wrote is no watchpoint's business."""
    tracee = task.ptrace
    if tracee is not None and tracee.debug_registers is not None:
        tracee.debug_registers.look(partial(remote.read, task.mm))
    if tracee is None or not tracee.stepping:
        watch(task)
        return
    signal.force_signal(task, signal.SIGTRAP, siginfo.TRAP_BRKPT, read_names(task, (task.kernel.arch.PC,))[0])


def debug_exception(task: Task) -> bool:
    """An instruction of a task with debug registers is over: whether that is all there is to it, so that the task
    goes on (exc_debug_user)."""
    tracee = task.ptrace
    assert tracee is not None
    pc = read_names(task, (task.kernel.arch.PC,))[0]
    read = partial(remote.read, task.mm)
    if tracee.debug_registers.after_instruction(pc, read, stepping=tracee.stepping):
        code = siginfo.TRAP_TRACE if tracee.stepping else siginfo.TRAP_HWBKPT
        signal.force_signal(task, signal.SIGTRAP, code, pc)
        return True
    watch(task)
    return not tracee.stepping


def interrupted_call(task: Task) -> signal.InterruptedCall | None:
    """The call that a signal broke off, by the registers of a task that is traced: None, if its tracer has made
    another of it."""
    arch = task.kernel.arch
    result, pc, first = read_names(task, (arch.RESULT, arch.PC, arch.CALL_REGISTERS[1]))
    rule = _RESTARTS.get(result - (1 << 64))
    if task.call_number < 0 or rule is None:
        return None
    return signal.InterruptedCall(task.call_number, pc - arch.SYSCALL_SIZE, first, rule)

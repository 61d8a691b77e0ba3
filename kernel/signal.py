"""Signals: Linux's ``sighand_struct``, ``signal_struct`` and pending sets, and sending (signal(7)).

A signal set is an int, bit n-1 for signal n.  `send` makes a signal pending and asks its task to look
(`Task.pending_work`); the kernel loop then has it delivered (kernel/sigdeliver.py).  Numbers are those of
asm-generic/signal.h.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kernel import exit as end
from kernel import siginfo
from kernel.cred import CAP_KILL
from kernel.rusage import Usage
from kernel.siginfo import SigInfo
from kernel.task import Interrupted
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.itimer import IntervalTimer
    from kernel.kernel import Kernel
    from kernel.posix_cpu_timers import CpuTimer, CpuTimers
    from kernel.posix_timers import PosixTimer
    from kernel.task import Task
    from vfs.tty import Tty

SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE = 1, 2, 3, 4, 5, 6, 7, 8
SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT = 9, 10, 11, 12, 13, 14, 15, 16
SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU = 17, 18, 19, 20, 21, 22, 23, 24
SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS, SIGRTMIN = 25, 26, 27, 28, 29, 30, 31, 32
NSIG = 64

SIG_DFL, SIG_IGN = 0, 1
SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO, SA_UNSUPPORTED, SA_EXPOSE_TAGBITS = 1, 2, 4, 0x400, 0x800
SA_RESTORER, SA_ONSTACK, SA_RESTART, SA_NODEFER, SA_RESETHAND = (
    0x0400_0000, 0x0800_0000, 0x1000_0000, 0x4000_0000, 0x8000_0000,
)  # fmt: skip
SS_ONSTACK, SS_DISABLE, SS_AUTODISARM = 1, 2, 1 << 31

RLIMIT_SIGPENDING = 11


def sigset(*signals: int) -> int:
    """The set of these signals."""
    mask = 0
    for signo in signals:
        mask |= 1 << (signo - 1)
    return mask


ALL = (1 << NSIG) - 1
UNBLOCKABLE = sigset(SIGKILL, SIGSTOP)
SYNCHRONOUS = sigset(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS)
DEFAULT_CORE = sigset(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS)
DEFAULT_STOP = sigset(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
DEFAULT_IGNORE = sigset(SIGCONT, SIGCHLD, SIGWINCH, SIGURG)
_STOP_OR_GO = DEFAULT_STOP | sigset(SIGCONT, SIGKILL)


class SigAction:
    """struct sigaction, never changed.  `handler` is SIG_DFL, SIG_IGN or an address in the guest."""

    __slots__ = ("flags", "handler", "mask", "restorer")

    def __init__(self, handler: int = SIG_DFL, flags: int = 0, restorer: int = 0, mask: int = 0) -> None:
        self.handler = handler
        self.flags = flags
        self.restorer = restorer
        self.mask = mask

    def without_handler(self) -> SigAction:
        """The same with the default action (SA_RESETHAND)."""
        return SigAction(SIG_DFL, self.flags, self.restorer, self.mask)


_DEFAULT = SigAction()
_IGNORED = SigAction(SIG_IGN)


class SigHand:
    """struct sighand_struct: what the threads of a process do about each signal."""

    __slots__ = ("actions", "arrived")

    def __init__(self) -> None:
        self.actions = [_DEFAULT] * (NSIG + 1)  # by signal number
        self.arrived = WaitQueue()  # signalfd_wqh: woken by every signal that becomes pending


class Pending:
    """struct sigpending: a set, and what came with each signal, in order of arrival."""

    __slots__ = ("mask", "queue")

    def __init__(self) -> None:
        self.mask = 0
        self.queue: list[SigInfo] = []

    def collect(self, signo: int) -> SigInfo:
        """Take the oldest `signo` (collect_signal).  One that had no room in the queue has no sender."""
        queue = self.queue
        if len(queue) == 1 and queue[0].signo == signo:
            self.mask &= ~(1 << (signo - 1))
            return queue.pop()
        found = None
        more = False
        for info in queue:
            if info.signo == signo:
                if found is not None:
                    more = True
                    break
                found = info
        if not more:
            self.mask &= ~(1 << (signo - 1))
        if found is None:
            return siginfo.user(signo, 0, 0)
        queue.remove(found)
        return found

    def flush(self, mask: int) -> None:
        """Forget these signals (flush_sigqueue_mask)."""
        if self.mask & mask:
            self.mask &= ~mask
            gone = [info for info in self.queue if mask >> (info.signo - 1) & 1]
            self.queue = [info for info in self.queue if not mask >> (info.signo - 1) & 1]
            for info in gone:
                if info.timer is not None:
                    info.timer.refused(info)


class SignalStruct:
    """struct signal_struct: a process, as far as its threads share it.

    `threads` are those that live, and the leader, which stays as a zombie until the process is reaped;
    `live` counts the former.  `group_exit` is the wait(2) status of exit_group(2) or of a fatal signal.
    `ended_usage` is what threads that are in `threads` no more, and `children_usage` what the children it has
    waited for have used.
    """

    __slots__ = (
        "child_changed", "child_subreaper", "children", "children_usage", "cpu_limit", "cpu_timers", "ended_usage",
        "group_exit", "itimers", "leader", "live", "next_timer_id", "pending", "posix_timers", "stop_signal",
        "threads", "tty", "tty_old_pgrp",
    )  # fmt: skip

    leader: Task

    def __init__(self) -> None:
        self.pending = Pending()
        self.ended_usage = Usage()
        self.children_usage = Usage()
        self.itimers: dict[int, IntervalTimer] = {}  # by ITIMER_*
        self.posix_timers: dict[int, PosixTimer] = {}  # by timer_t
        self.next_timer_id = 0
        self.cpu_timers: CpuTimers | None = None
        self.cpu_limit: CpuTimer | None = None  # RLIMIT_CPU
        self.threads: list[Task] = []
        self.live = 0
        self.group_exit: int | None = None
        self.stop_signal = 0  # what stopped the process, as long as it is
        self.children: list[Task] = []  # of all threads; `Task.parent` says which
        self.child_changed = WaitQueue()  # wait_chldexit
        self.child_subreaper = False
        self.tty: Tty | None = None  # the controlling terminal
        self.tty_old_pgrp = 0  # the foreground group of the terminal that hung up

    def add(self, task: Task) -> None:
        """A thread begins; the first one leads."""
        if not self.threads:
            self.leader = task
        self.threads.append(task)
        self.live += 1

    def live_thread(self) -> Task | None:
        """find_alive_thread."""
        return next((thread for thread in self.threads if thread.exit_status is None), None)


class AltStack:
    """sigaltstack(2), with the flags as the guest set them."""

    __slots__ = ("base", "flags", "size")

    def __init__(self, base: int = 0, size: int = 0, flags: int = SS_DISABLE) -> None:
        self.base = base
        self.size = size
        self.flags = flags

    def holds(self, sp: int) -> bool:
        """Whether `sp` lies on the stack (__on_sig_stack): it grows down, so its base is outside."""
        return self.base < sp <= self.base + self.size

    def in_use(self, sp: int) -> bool:
        """on_sig_stack: a stack that disarms itself is never seen in use."""
        return not self.flags & SS_AUTODISARM and self.holds(sp)

    def status(self, sp: int) -> int:
        """sas_ss_flags: SS_DISABLE, SS_ONSTACK or 0 (free)."""
        if not self.size:
            return SS_DISABLE
        return SS_ONSTACK if self.in_use(sp) else 0

    def reset(self) -> None:
        """sas_ss_reset."""
        self.base = self.size = 0
        self.flags = SS_DISABLE


class InterruptedCall:
    """A call that a signal broke off: its number, the address of its instruction, the first argument
    (which shares a register with the result on some machines) and its rule in the call table."""

    __slots__ = ("first", "number", "pc", "rule")

    def __init__(self, number: int, pc: int, first: int, rule: str) -> None:
        self.number = number
        self.pc = pc
        self.first = first
        self.rule = rule  # "sys", "nohand", "block", "never" or "again"


class SignalState:
    """The signal part of task_struct."""

    __slots__ = (
        "altstack", "blocked", "frame", "hand", "injected", "interrupted", "pending", "real_blocked", "restart_block",
        "returning", "saved_mask", "shared", "trap",
    )  # fmt: skip

    def __init__(self, hand: SigHand | None = None, shared: SignalStruct | None = None) -> None:
        self.hand = hand or SigHand()
        self.shared = shared or SignalStruct()
        self.pending = Pending()
        self.blocked = 0
        self.real_blocked = 0  # rt_sigtimedwait unblocks what it waits for; these still count as blocked
        self.saved_mask: int | None = None
        self.altstack = AltStack()
        self.frame: Any = None  # the arch's description of the last handler's frame
        # The arch's description of the last fault, kept because later frames show it too (thread.trap_nr)
        self.trap: Any = None
        self.interrupted: InterruptedCall | None = None
        self.injected: SigInfo | None = None  # a signal that a tracer has let through: the next to act on
        # rt_sigreturn was called: the registers can be replaced once the CPU has left the call
        self.returning = False
        # How to go on with a call that has a deadline (struct restart_block); set just before the call
        # lets Interrupted pass.
        self.restart_block: Callable[[Task], Any] | None = None

    @property
    def actions(self) -> list[SigAction]:
        return self.hand.actions

    @property
    def deliverable(self) -> int:
        """The pending signals that are not blocked."""
        return (self.pending.mask | self.shared.pending.mask) & ~self.blocked

    def set_saved_mask(self, mask: int) -> None:
        """The mask to put back when the call at hand is over (set_restore_sigmask): ppoll, pselect6 and
        sigsuspend, which block other signals while they wait.  A handler's frame restores this one."""
        self.saved_mask = mask

    def dequeue(self, mask: int) -> SigInfo | None:
        """Take the next pending signal that is not in `mask`; timers that wait for that go on."""
        while (info := self._collect(mask)) is not None:
            if info.timer is not None:
                if not info.timer.taken(info):
                    continue
            elif info.signo == SIGALRM and self.shared.itimers:
                alarm = self.shared.itimers.get(0)  # ITIMER_REAL
                if alarm is not None:
                    alarm.rearm()
            break
        return info

    def _collect(self, mask: int) -> SigInfo | None:
        """The next in Linux's order: faults of this task, then its own signals before those of the process,
        lowest number first."""
        pending = self.pending
        ready = pending.mask & ~mask
        if ready & SYNCHRONOUS:
            for info in pending.queue:
                bit = 1 << (info.signo - 1)
                if bit & SYNCHRONOUS & ~mask and info.code > 0:
                    return pending.collect(info.signo)
        if not ready:
            pending = self.shared.pending
            ready = pending.mask & ~mask
            if not ready:
                return None
        ready = ready & SYNCHRONOUS or ready
        return pending.collect((ready & -ready).bit_length())

    def on_exec(self) -> None:
        """What execve(2) does: handlers become defaults, ignored stays ignored, no alternate stack."""
        actions = [_IGNORED if action.handler == SIG_IGN else _DEFAULT for action in self.actions]
        arrived = self.hand.arrived
        self.hand = SigHand()
        self.hand.actions[:] = actions
        self.hand.arrived = arrived  # an epoll that was inherited waits on it
        self.altstack.reset()
        self.restart_block = None

    def clear_handlers(self) -> None:
        """CLONE_CLEAR_SIGHAND: every handler becomes the default; ignored stays ignored."""
        self.actions[:] = [_IGNORED if action.handler == SIG_IGN else _DEFAULT for action in self.actions]

    def fork(self) -> SignalState:
        """The state of a new process: a copy of actions, mask and alternate stack, nothing pending."""
        hand = SigHand()
        hand.actions[:] = self.actions
        child = SignalState(hand)
        child.blocked = self.blocked
        child.altstack = AltStack(self.altstack.base, self.altstack.size, self.altstack.flags)
        child.shared.tty = self.shared.tty
        return child

    def new_thread(self) -> SignalState:
        """The state of a new thread of the same process: with this one's mask, and no alternate stack."""
        thread = SignalState(self.hand, self.shared)
        thread.blocked = self.blocked
        return thread


def restore_saved_mask(task: Task) -> None:
    """restore_saved_sigmask_unless(interrupted), its first half: the call is over and no signal ended it,
    so the mask goes back at once."""
    state = task.signals
    if state.saved_mask is not None:
        mask, state.saved_mask = state.saved_mask, None
        set_blocked(task, mask)


# Sending


def may_signal(sender: Task, target: Task, signo: int) -> bool:
    """kill_ok_by_cred and the exception for SIGCONT in one's own session (kill(2))."""
    me, other = sender.cred, target.cred
    return (
        sender.tgid == target.tgid
        or me.euid in (other.suid, other.uid)
        or me.uid in (other.suid, other.uid)
        or bool(me.cap_effective >> CAP_KILL & 1)
        or (signo == SIGCONT and sender.sid == target.sid)
    )


def _ignored(state: SignalState, signo: int) -> bool:
    """sig_ignored: a blocked signal is kept, for its action may be changed before it is unblocked."""
    if (state.blocked | state.real_blocked) >> (signo - 1) & 1:
        return False
    handler = state.actions[signo].handler
    return handler == SIG_IGN or (handler == SIG_DFL and bool(DEFAULT_IGNORE >> (signo - 1) & 1))


def queued_by(task: Task) -> int:
    """How many signals the task's user has queued (user_struct.sigpending): a timer has one all the time."""
    uid = task.cred.uid
    count = 0
    shared: set[int] = set()
    for other in task.kernel.tasks.values():
        if other.cred.uid == uid:
            state = other.signals
            count += _queued(state.pending)
            if id(state.shared) not in shared:
                shared.add(id(state.shared))
                count += _queued(state.shared.pending) + len(state.shared.posix_timers)
    return count


def _queued(pending: Pending) -> int:
    return sum(info.timer is None for info in pending.queue)


def send(task: Task, info: SigInfo, *, to_thread: bool = False) -> None:
    """Make a signal pending for a process, or one thread of it (send_signal_locked).

    Raises OSError(EAGAIN) when a real-time signal that must not lose its data has no room
    (RLIMIT_SIGPENDING).
    """
    signo = info.signo
    state = task.signals
    bit = 1 << (signo - 1)
    if task.exit_status is not None and (to_thread or state.shared.group_exit is not None or not state.shared.live):
        return
    if bit & _STOP_OR_GO:
        _prepare_signal(task, signo)
    if (
        state.hand.actions[signo].handler <= SIG_IGN
        and _ignored(state, signo)
        and (task.ptrace is None or signo == SIGKILL)
    ):
        if info.timer is not None:
            info.timer.refused(info)
        return
    pending = state.pending if to_thread else state.shared.pending
    room = True
    if info.timer is None:  # the place of a timer's was kept when it was made
        if signo < SIGRTMIN and pending.mask & bit:
            return
        if signo >= SIGRTMIN or info.code < 0:
            limit = task.rlimits.get(RLIMIT_SIGPENDING)
            room = limit is None or queued_by(task) < limit[0]
            if not room and signo >= SIGRTMIN and info.code != siginfo.SI_USER:
                raise OSError(errno.EAGAIN, "too many signals queued")
    if room:
        pending.queue.append(info)
    pending.mask |= bit
    if to_thread or (bit & ~state.blocked and task.exit_status is None):
        _notify(task, bit)
    else:
        _choose_thread(task, bit)
    state.hand.arrived.wake()


def send_from_host(kernel: Kernel, signo: int) -> None:
    """A signal that lxrun was sent: the terminal's go to the processes in its foreground, others to the
    first process."""
    info = siginfo.from_host(signo)
    foreground = 1 if kernel.host_tty is None else kernel.host_tty.pgrp
    targets = [task for task in kernel.tasks.values() if task.pgid == foreground and task.tid == task.tgid]
    if info.code != siginfo.SI_KERNEL or not targets:
        targets = [kernel.tasks[1]]
    for task in targets:
        send(task, info)


def _prepare_signal(task: Task, signo: int) -> None:
    """prepare_signal: one that stops a process forgets what would have it go on, and the other way round."""
    if signo == SIGCONT:
        _flush(task, DEFAULT_STOP)
    elif signo != SIGKILL:
        _flush(task, sigset(SIGCONT))
        return
    _resume(task, signo)


def _flush(task: Task, mask: int) -> None:
    shared = task.signals.shared
    shared.pending.flush(mask)
    for thread in shared.threads:
        thread.signals.pending.flush(mask)


def _resume(task: Task, signo: int) -> None:
    """A stopped process goes on: all its threads do."""
    shared = task.signals.shared
    if not shared.stop_signal:
        return
    shared.stop_signal = 0
    for thread in shared.threads:
        if thread.stopped:
            thread.stopped = False
            thread.kernel.make_ready(thread)
        elif thread.ptrace is not None and signo == SIGCONT:
            from kernel.ptrace import continued

            continued(thread)
    if signo == SIGCONT:
        end.notify_stopped(shared.leader, 0)


def _notify(task: Task, bit: int) -> None:
    """signal_wake_up: have the task look, whatever it is doing."""
    if bit & ~task.signals.blocked:
        task.pending_work = True
        if not task.stopped:  # a stopped task only looks for SIGKILL and SIGCONT
            task.kernel.make_ready(task)


def _choose_thread(task: Task, bit: int) -> None:
    """complete_signal, for one that the main thread cannot take: any that can."""
    for thread in task.signals.shared.threads:
        if bit & ~thread.signals.blocked and thread.exit_status is None:
            _notify(thread, bit)
            return


def kill(sender: Task, pid: int, info: SigInfo | None, signo: int) -> None:
    """kill(2): to a process (pid > 0), the sender's process group (0), everybody else (-1) or a group.
    `info` None only checks.  Raises OSError ESRCH, EPERM, EINVAL, EAGAIN."""
    tasks = sender.kernel.tasks
    if pid > 0:
        target = tasks.get(pid)
        if target is None:
            raise OSError(errno.ESRCH, "no such process")
        _permit(sender, target, signo)
        if info is not None:
            send(target, info)
        return
    if pid == -1:
        targets = [task for task in tasks.values() if task.tid == task.tgid != sender.tgid and task.tgid > 1]
    else:
        group = -pid or sender.pgid
        targets = [task for task in tasks.values() if task.tid == task.tgid and task.pgid == group]
    if not targets:
        raise OSError(errno.ESRCH, "no such process")
    failure: OSError | None = None
    sent = False
    for target in targets:
        try:
            _permit(sender, target, signo)
            if info is not None:
                send(target, info)
            sent = True
        except OSError as error:
            failure = error
    if failure is not None and not sent:
        raise failure


def kill_thread(sender: Task, tgid: int | None, tid: int, info: SigInfo | None, signo: int) -> None:
    """tgkill(2), or with `tgid` None tkill(2).  Raises OSError ESRCH, EPERM, EINVAL, EAGAIN."""
    target = sender.kernel.tasks.get(tid)
    if target is None or tgid not in (None, target.tgid):
        raise OSError(errno.ESRCH, "no such thread")
    _permit(sender, target, signo)
    if info is not None:
        send(target, info, to_thread=True)


def _permit(sender: Task, target: Task, signo: int) -> None:
    if not 0 <= signo <= NSIG:
        raise OSError(errno.EINVAL, "no such signal")
    if sender is not target and not may_signal(sender, target, signo):
        raise OSError(errno.EPERM, "not the sender's process")


async def timed_wait(task: Task, these: int, timeout_ns: int | None) -> SigInfo:
    """rt_sigtimedwait(2): take one of `these` when it arrives.  Raises OSError EAGAIN (time-out), EINTR (an
    other signal was handled)."""
    state = task.signals
    others = ~(these & ~UNBLOCKABLE)
    state.real_blocked = state.blocked
    state.blocked &= others
    try:
        deadline = None if timeout_ns is None else task.kernel.clock.monotonic_ns() + timeout_ns
        while True:
            left = None if deadline is None else max(deadline - task.kernel.clock.monotonic_ns(), 0)
            in_time = await task.wait(timeout_ns=left)
            info = state.dequeue(others)
            if info is not None:
                return info
            if not in_time:
                raise OSError(errno.EAGAIN, "no signal in time")
    except Interrupted:
        info = state.dequeue(others)
        if info is None:
            raise
        return info
    finally:
        set_blocked(task, state.real_blocked)
        state.real_blocked = 0


def force_signal(
    task: Task, signo: int, code: int = siginfo.SI_KERNEL, addr: int = 0, *, trap: Any = None, fatal: bool = False
) -> None:
    """force_sig_fault: as `force_info`, with what a fault tells."""
    if trap is not None:
        task.signals.trap = trap
    force_info(task, siginfo.fault(signo, code, addr), fatal=fatal)


def force_info(task: Task, info: SigInfo, *, fatal: bool = False) -> None:
    """A signal that cannot be refused (force_sig_info_to_task): if it is blocked or ignored, or `fatal`, its
    action becomes the default, which ends the process."""
    signo = info.signo
    state = task.signals
    action = state.actions[signo]
    bit = 1 << (signo - 1)
    if fatal or state.blocked & bit or action.handler == SIG_IGN:
        state.actions[signo] = action.without_handler()
        state.blocked &= ~bit
    send(task, info, to_thread=True)


def set_blocked(task: Task, mask: int) -> None:
    """Change the mask of blocked signals (set_current_blocked)."""
    state = task.signals
    before, state.blocked = state.blocked, mask & ~UNBLOCKABLE
    shared = state.shared.pending.mask
    if shared or state.pending.mask:
        newly = mask & ~before & shared
        if newly:
            retarget_shared_pending(task, newly)
        if (state.pending.mask | shared) & ~state.blocked:
            task.pending_work = True


def retarget_shared_pending(task: Task, which: int) -> None:
    """The process's pending signals of this set are no longer for `task`: have other threads look."""
    for thread in task.signals.shared.threads:
        if which & ~thread.signals.blocked and thread is not task and thread.exit_status is None:
            which &= thread.signals.blocked
            _notify(thread, ALL)


def set_action(task: Task, signo: int, action: SigAction | None) -> SigAction:
    """sigaction(2): the old action; with a new one, pending signals it ignores are forgotten.
    Raises OSError(EINVAL)."""
    if not 1 <= signo <= NSIG or (action is not None and signo in (SIGKILL, SIGSTOP)):
        raise OSError(errno.EINVAL, "no such signal, or one whose action is fixed")
    state = task.signals
    old = state.actions[signo]
    if action is not None:
        state.actions[signo] = action
        ignores = action.handler == SIG_IGN
        if ignores or (action.handler == SIG_DFL and DEFAULT_IGNORE >> (signo - 1) & 1):
            _flush(task, 1 << (signo - 1))
        else:
            for timer in state.shared.posix_timers.values():
                if timer.ignored and timer.signo == signo:
                    timer.send()  # posixtimer_sig_unignore
        hosts = task.kernel.host_signals
        if hosts is not None:
            hosts.follow(signo, action.handler)
    return old


def set_altstack(task: Task, sp: int, base: int, size: int, flags: int, minimum: int) -> None:
    """sigaltstack(2).  Raises OSError EPERM (in use), EINVAL (flags), ENOMEM (below `minimum`)."""
    stack = task.signals.altstack
    if stack.in_use(sp):
        raise OSError(errno.EPERM, "the stack is in use")
    mode = flags & ~SS_AUTODISARM
    if mode not in (SS_DISABLE, SS_ONSTACK, 0):
        raise OSError(errno.EINVAL, "unknown flags")
    if (stack.base, stack.size, stack.flags) == (base, size, flags):
        return
    if mode == SS_DISABLE:
        base = size = 0
    elif size < minimum:
        raise OSError(errno.ENOMEM, "the stack is too small")
    stack.base, stack.size, stack.flags = base, size, flags

"""The end of processes, and how parents hear of it: Linux's ``kernel/exit.c``, wait4(2), waitid(2)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kernel import hostsignals, siginfo, signal
from kernel.pid import detach_pid, notify_pidfd
from kernel.rusage import CLOCK_TICK_NS, leave_memory, usage, waited_for

if TYPE_CHECKING:
    from types import ModuleType

    from kernel.signal import SignalStruct
    from kernel.task import Task

WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT = 1, 2, 4, 8, 0x0100_0000
WNOTHREAD, WALL, WCLONE = 0x2000_0000, 0x4000_0000, 0x8000_0000
CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = range(1, 7)
CONTINUED_STATUS = 0xFFFF
WCOREDUMP = 0x80


def ptrace() -> ModuleType:
    """The tracing of tasks, which most kernels never do."""
    from kernel import ptrace

    return ptrace


def mm_release(task: Task) -> None:
    """The task lets go of its memory, by exec or by ending: others get its locks, whoever joins it hears of
    it, a vfork parent goes on."""
    futexes = task.kernel.futexes
    futexes.exit(task)
    if task.clear_child_tid and task.mm.users > 1:
        try:
            task.mm.put_u32(task.clear_child_tid, 0)
            futexes.wake(task, task.clear_child_tid, 1, 0xFFFF_FFFF, shared=True)
        except OSError:
            pass
    task.clear_child_tid = task.robust_list = 0
    if task.vfork_parent is not None:
        task.vfork_parent = None
        task.vfork_done.wake()


def do_group_exit(task: Task, status: int) -> None:
    """exit_group(2), or a fatal signal: `task` is to end with this wait(2) status, the other threads of its
    process end here."""
    shared = task.signals.shared
    if shared.group_exit is None:
        shared.group_exit = status
    zap_other_threads(task, shared.group_exit)
    task.exit_status = shared.group_exit
    task.pending_work = True


def zap_other_threads(task: Task, status: int) -> None:
    """End all threads of a process but `task`."""
    for thread in tuple(task.signals.shared.threads):
        if thread is not task and not thread.zombie:
            kill_task(thread, status)


def kill_task(task: Task, status: int) -> None:
    """End a task that is not on the CPU, wherever it is."""
    task.exit_status = status
    task.kernel.deactivate(task)
    do_exit(task)


def do_exit(task: Task) -> None:
    """A thread ends and gives back what it holds; the last one leaves the leader as a zombie and tells the
    parent (do_exit, exit_notify)."""
    kernel = task.kernel
    status = task.exit_status
    assert status is not None
    task.zombie = True
    task.ready = False
    if task.call is not None:
        task.call.close()
        task.call = task.waiting = None
    if task.io_uring is not None:
        from kernel.io_uring.cancel import exit_task

        exit_task(task)
    for tracer in kernel.tracers:
        tracer.exit(task, status)
    if task.seccomp is not None:
        from kernel.seccomp_notify import task_ends

        task_ends(task)
    mm_release(task)
    if task.undo_list is not None:
        task.undo_list.exit(task)
    task.files.users -= 1
    if not task.files.users:
        task.files.close_all()
    leave_memory(task, task.mm)
    task.mm.users -= 1
    if not task.mm.users:
        task.mm.release()
    task.context = None
    shared = task.signals.shared
    shared.live -= 1
    if task.ptraced:
        from kernel.ptrace import exit_tracer

        exit_tracer(task)
    _reparent(task)
    if task is not shared.leader:
        shared.threads.remove(task)
        shared.ended_usage.add(task.usage)
        _thread_end(task, status)
    if shared.live:
        signal.retarget_shared_pending(task, shared.pending.mask)
        return
    if shared.group_exit is None:
        shared.group_exit = status  # synchronize_group_exit: the last thread's
    if task.sid == task.tgid != 1 and (shared.tty is not None or shared.tty_old_pgrp):
        from kernel.tty_jobctrl import disassociate_ctty

        disassociate_ctty(shared.leader, on_exit=True)
    _process_end(shared)


def _thread_end(task: Task, status: int) -> None:
    """A thread that is not the leader has ended: its number is free again, once its tracer has seen it."""
    if not _left_to_tracer(task, status):
        detach_pid(task)


def _left_to_tracer(task: Task, status: int) -> bool:
    """Tell who traces a task that it has ended: False if it is to be forgotten, for its tracer does not care."""
    if task.ptrace is None:
        return False
    tracer, debugger = task.ptrace.tracer, task.ptrace.debugger
    if tracer is not None and _keeps_zombies(tracer):
        tracer.signals.shared.child_changed.wake()
        _send_sigchld(tracer, task, signal.SIGCHLD, *exit_code(status))
        return True
    ptrace().unlink(task)
    if debugger is not None and task is task.signals.shared.leader:
        debugger.ended(status)
    return False


def _keeps_zombies(parent: Task) -> bool:
    """Whether a parent, or tracer, has not said that it does not care how its children end."""
    action = parent.signals.actions[signal.SIGCHLD]
    return action.handler != signal.SIG_IGN and not action.flags & signal.SA_NOCLDWAIT


def _process_end(shared: SignalStruct) -> None:
    """The last thread of a process has ended (exit_notify)."""
    leader = shared.leader
    for timer in shared.itimers.values():
        timer.set(0, 0)
    for posix_timer in shared.posix_timers.values():
        posix_timer.stop()
    status = process_status(leader)
    _kill_orphaned_group(leader, leader.parent, leader)
    notify_pidfd(leader)
    if leader.tgid == 1:
        leader.kernel.halted = status
    if leader.ptrace is None or not ptrace().reparented(leader) or not _left_to_tracer(leader, status):
        notify_parent(leader)


def notify_parent(leader: Task) -> None:
    """do_notify_parent, and forget the process if its parent does not want to know."""
    status = process_status(leader)
    parent = leader.parent
    if parent is None:
        detach_pid(leader)
        return
    unwanted = leader.exit_signal == signal.SIGCHLD and not _keeps_zombies(parent)
    parent.signals.shared.child_changed.wake()  # before the signal, so that a wait(2) in progress finds the child
    if leader.exit_signal:
        _notify(leader, leader.exit_signal, *exit_code(status))
    if unwanted:
        reap(leader)


def process_status(leader: Task) -> int:
    """The wait(2) status of a process that has ended: of exit_group(2) or a signal, else the last thread's."""
    status = leader.signals.shared.group_exit
    assert status is not None
    return status


def de_thread(task: Task) -> None:
    """exec: `task` becomes the only thread of its process, and takes over the leader's number and place."""
    shared = task.signals.shared
    zap_other_threads(task, 0)
    leader = shared.leader
    if leader is task:
        return
    if leader.ptrace is not None:
        ptrace().unlink(leader)
    detach_pid(task)
    task.tid = task.tgid
    task.kernel.tasks[task.tid] = task
    shared.leader = task
    shared.threads = [task]
    shared.ended_usage.add(leader.usage)
    task.start_ns = leader.start_ns
    task.exit_signal = leader.exit_signal
    if task.parent is not None:
        siblings = task.parent.signals.shared.children
        siblings[siblings.index(leader)] = task


def exit_code(status: int) -> tuple[int, int]:
    """(CLD_ code, si_status) of a wait status."""
    if status & 0x7F:
        return (CLD_DUMPED if status & WCOREDUMP else CLD_KILLED), status & 0x7F
    return CLD_EXITED, status >> 8


def _notify(task: Task, signo: int, code: int, value: int) -> None:
    assert task.parent is not None
    _send_sigchld(task.parent, task, signo, code, value)


def _send_sigchld(parent: Task, task: Task, signo: int, code: int, value: int) -> None:
    """SIGCHLD, or what a child was made with, to the parent or tracer of `task`."""
    silent = bool(parent.signals.actions[signo].flags & signal.SA_NOCLDSTOP)
    if silent and signo == signal.SIGCHLD and code in (CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED):
        return
    own = usage(task)
    user, system = own.utime // CLOCK_TICK_NS, own.stime // CLOCK_TICK_NS
    signal.send(parent, siginfo.child(signo, code, task.tid, task.cred.uid, value, user, system))


def notify_tracer(task: Task, tracer: Task, code: int, signo: int) -> None:
    """do_notify_parent_cldstop, to who traces a task that stops."""
    _send_sigchld(tracer, task, signal.SIGCHLD, code, signo)
    tracer.signals.shared.child_changed.wake()


def notify_stopped(task: Task, signo: int) -> None:
    """do_notify_parent_cldstop, on a stop (`signo`) or on being continued (0)."""
    task.stop_report = (signo << 8 | 0x7F) if signo else CONTINUED_STATUS
    if task.parent is not None:
        task.parent.signals.shared.child_changed.wake()
        _notify(task, signal.SIGCHLD, CLD_STOPPED if signo else CLD_CONTINUED, signo or signal.SIGCONT)


def orphaned_group(task: Task, ignored: Task | None = None) -> bool:
    """is_current_pgrp_orphaned, will_become_orphaned_pgrp: nobody outside the task's process group, in its session,
    looks after a member of it but `ignored`.  The terminal's stop signals do not stop such a group (setpgid(2))."""
    for member in task.kernel.tasks.values():
        if member.pgid != task.pgid or not member.signals.shared.live or member is ignored:
            continue
        parent = member.parent
        if parent is None:
            if not hostsignals.group_is_orphaned():
                return False
        elif parent.pgid != member.pgid and parent.sid == member.sid:
            return False
    return True


def _kill_orphaned_group(task: Task, parent: Task | None, ignored: Task | None = None) -> None:
    """kill_orphaned_pgrp: `task` has ended (`ignored`), or lost its parent.  If its group is an orphan now and has
    stopped members, nobody would ever continue them."""
    if parent is None or parent.pgid == task.pgid or parent.sid != task.sid:
        return
    group = [member for member in task.kernel.tasks.values() if member.pgid == task.pgid and member.tid == member.tgid]
    if any(member.stopped for member in group) and orphaned_group(task, ignored):
        for signo in (signal.SIGHUP, signal.SIGCONT):
            for member in group:
                signal.send(member, siginfo.from_kernel(signo))


def _reparent(task: Task) -> None:
    """forget_original_parent: a thread's children go to another thread, those of the last one to the nearest
    subreaper, else to init."""
    shared = task.signals.shared
    orphans = [child for child in shared.children if child.parent is task]
    if not orphans:
        return
    heir = find_new_reaper(task)
    for child in orphans:
        for thread in child.signals.shared.threads:
            thread.parent = heir
            thread.ppid = heir.tgid if heir is not None else 0
            if thread.pdeath_signal:
                signal.send(thread, siginfo.user(thread.pdeath_signal, task.tgid, task.cred.uid))
        if heir is None or heir.signals.shared is shared:
            continue
        shared.children.remove(child)
        heir.signals.shared.children.append(child)
        child.exit_signal = signal.SIGCHLD
        _kill_orphaned_group(child, task)
        if not child.signals.shared.live:
            heir.signals.shared.child_changed.wake()
            _notify(child, signal.SIGCHLD, *exit_code(process_status(child)))


def find_new_reaper(task: Task) -> Task | None:
    """Who gets the children of a thread that ends."""
    heir = task.signals.shared.live_thread()
    if heir is not None:
        return heir
    ancestor = task.parent
    while ancestor is not None:
        shared = ancestor.signals.shared
        if ancestor.tgid == 1 or shared.child_subreaper:
            heir = shared.live_thread()
            if heir is not None:
                return heir
        ancestor = ancestor.parent
    return None


def reap(task: Task) -> None:
    """release_task: the zombie's number is free again."""
    parent = task.parent
    if task.ptrace is not None:
        ptrace().unlink(task)
    if parent is not None:
        parent.signals.shared.children.remove(task)
    detach_pid(task)


def _own_first(t: Task) -> list[Task]:
    """The children of a process as wait(2) looks at them: those of the calling thread, then of the next ones."""
    shared = t.signals.shared
    threads = shared.threads
    at = threads.index(t)
    order = {id(thread): place for place, thread in enumerate(threads[at:] + threads[:at])}
    return sorted(shared.children, key=lambda child: order[id(child.parent)])


class Waited(NamedTuple):
    """A child, or a task that the caller traces, whose state changed: its status, and whether it is stopped for its
    tracer."""

    task: Task
    status: int
    trapped: bool = False


def _tracees(t: Task, options: int) -> list[Task]:
    """Whom the threads of a process trace."""
    if options & WNOTHREAD or t.signals.shared.live == 1:
        return list(t.ptraced)
    return [task for thread in t.signals.shared.threads for task in thread.ptraced]


def _wait_tracee(t: Task, task: Task, options: int) -> Waited | None:
    """What there is to report of a task that `t` traces.  Stops are reported whether they are asked for or not."""
    tracee, shared = task.ptrace, task.signals.shared
    assert tracee is not None
    if task.zombie:
        leader = task is shared.leader
        if not options & WEXITED or (leader and shared.live):
            return None
        status = task.exit_status if shared.group_exit is None else shared.group_exit
        assert status is not None
        if not options & WNOWAIT:
            if not leader or ptrace().reparented(task):
                ptrace().let_go(task)
            else:
                waited_for(t, task)
                reap(task)
        return Waited(task, status)
    if tracee.stopped and not tracee.listening and not tracee.reported:
        tracee.reported = not options & WNOWAIT
        return Waited(task, tracee.code << 8 | 0x7F, trapped=True)
    return None


async def wait(t: Task, wanted: Callable[[Task], bool], options: int) -> Waited | None:
    """do_wait: a child that `wanted` accepts and whose state changed as `options` ask, with its status; None with
    WNOHANG.  A child that its parent traces is there as what it traces only, one that somebody else traces has not
    ended before that one has seen it.  Raises OSError(ECHILD), Interrupted."""
    shared = t.signals.shared
    while True:
        found = False
        for child in shared.children if shared.live == 1 else _own_first(t):
            if not wanted(child) or (options & WNOTHREAD and child.parent is not t):
                continue
            if child.ptrace is not None and not ptrace().reparented(child):
                continue
            if not options & WALL and (child.exit_signal != signal.SIGCHLD) != bool(options & WCLONE):
                continue
            found = True
            if not child.signals.shared.live:
                if options & WEXITED and child.ptrace is None:
                    status = process_status(child)
                    if not options & WNOWAIT:
                        waited_for(t, child)
                        reap(child)
                    return Waited(child, status)
            elif child.stop_report:
                report = child.stop_report
                if options & (WCONTINUED if report == CONTINUED_STATUS else WUNTRACED):
                    if not options & WNOWAIT:
                        child.stop_report = 0
                    return Waited(child, report)
        for task in _tracees(t, options):
            if wanted(task):
                found = True
                waited = _wait_tracee(t, task, options)
                if waited is not None:
                    return waited
        if not found:
            raise OSError(errno.ECHILD, "no such child")
        if options & WNOHANG:
            return None
        await t.wait(shared.child_changed)

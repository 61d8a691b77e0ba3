"""The end of processes, and how parents hear of it: Linux's ``kernel/exit.c``, wait4(2), waitid(2)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel import hostsignals, siginfo, signal
from kernel.pid import detach_pid, notify_pidfd

if TYPE_CHECKING:
    from kernel.task import Task

WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT = 1, 2, 4, 8, 0x0100_0000
WNOTHREAD, WALL, WCLONE = 0x2000_0000, 0x4000_0000, 0x8000_0000
CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = range(1, 7)
CONTINUED_STATUS = 0xFFFF


def mm_release(task: Task) -> None:
    """The task lets go of its memory, by exec or by ending: a vfork parent goes on."""
    if task.vfork_parent is not None:
        task.vfork_parent = None
        task.vfork_done.wake()


def do_exit(task: Task) -> None:
    """Give everything back, leave a zombie, tell the parent (do_exit, exit_notify)."""
    kernel = task.kernel
    status = task.exit_status
    assert status is not None
    for tracer in kernel.tracers:
        tracer.exit(task, status)
    if task.clear_child_tid and task.mm.users > 1:
        try:
            task.mm.put_u32(task.clear_child_tid, 0)
            kernel.futexes.wake(task, task.clear_child_tid, 1, 0xFFFF_FFFF, shared=True)
        except OSError:
            pass
    task.files.users -= 1
    if not task.files.users:
        task.files.close_all()
    task.mm.users -= 1
    if not task.mm.users:
        task.mm.release()
    for timer in task.signals.shared.itimers.values():
        timer.set(0, 0)
    task.context = None
    task.call = task.waiting = None
    mm_release(task)
    _reparent(task)
    parent = task.parent
    notify_pidfd(task)
    if parent is None:
        detach_pid(task)
        return
    action = parent.signals.actions[signal.SIGCHLD]
    unwanted = task.exit_signal == signal.SIGCHLD and (
        action.handler == signal.SIG_IGN or bool(action.flags & signal.SA_NOCLDWAIT)
    )
    parent.child_changed.wake()  # before the signal, so that a wait(2) in progress finds the child
    if task.exit_signal:
        _notify(task, task.exit_signal, *exit_code(status))
    if unwanted:
        reap(task)


def exit_code(status: int) -> tuple[int, int]:
    """(CLD_ code, si_status) of a wait status."""
    if status & 0x7F:
        return (CLD_DUMPED if status & 0x80 else CLD_KILLED), status & 0x7F
    return CLD_EXITED, status >> 8


def _notify(task: Task, signo: int, code: int, value: int) -> None:
    assert task.parent is not None
    silent = bool(task.parent.signals.actions[signo].flags & signal.SA_NOCLDSTOP)
    if silent and signo == signal.SIGCHLD and code in (CLD_STOPPED, CLD_CONTINUED):
        return
    signal.send(task.parent, siginfo.child(code, task.tgid, task.cred.uid, value, task.cpu_ns // 10_000_000, 0))


def notify_stopped(task: Task, signo: int) -> None:
    """do_notify_parent_cldstop, on a stop (`signo`) or on being continued (0)."""
    task.stop_report = (signo << 8 | 0x7F) if signo else CONTINUED_STATUS
    if task.parent is not None:
        task.parent.child_changed.wake()
        _notify(task, signal.SIGCHLD, CLD_STOPPED if signo else CLD_CONTINUED, signo or signal.SIGCONT)


def orphaned_group(task: Task) -> bool:
    """is_current_pgrp_orphaned: nobody outside the group, in its session, looks after a member of it.  The
    terminal's stop signals do not stop such a group (setpgid(2))."""
    for member in task.kernel.tasks.values():
        if member.pgid != task.pgid or member.zombie:
            continue
        parent = member.parent
        if parent is None:
            if not hostsignals.group_is_orphaned():
                return False
        elif parent.pgid != member.pgid and parent.sid == member.sid:
            return False
    return True


def _reparent(task: Task) -> None:
    """forget_original_parent: children go to the nearest subreaper, else to init."""
    if not task.children:
        return
    heir = task.parent
    while heir is not None and heir.tid != 1 and not heir.signals.shared.child_subreaper:
        heir = heir.parent
    for child in task.children:
        child.parent = heir
        child.exit_signal = signal.SIGCHLD
        child.ppid = heir.tgid if heir is not None else 0
        if child.pdeath_signal:
            signal.send(child, siginfo.user(child.pdeath_signal, task.tgid, task.cred.uid))
        if heir is not None:
            heir.children.append(child)
            if child.exit_status is not None and child.zombie:
                heir.child_changed.wake()
    task.children.clear()


def reap(task: Task) -> None:
    """release_task: the zombie's number is free again, its times are its parent's."""
    parent = task.parent
    if parent is not None:
        parent.children.remove(task)
        parent.children_cpu_ns += task.cpu_ns + task.children_cpu_ns
    detach_pid(task)


async def wait(t: Task, wanted: Callable[[Task], bool], options: int) -> tuple[Task, int] | None:
    """do_wait: a child that `wanted` accepts and whose state changed as `options` ask, with its status;
    None with WNOHANG.  Raises OSError(ECHILD), Interrupted."""
    while True:
        found = False
        for child in t.children:
            if not wanted(child):
                continue
            found = True
            if child.zombie:
                if options & WEXITED:
                    status = child.exit_status
                    assert status is not None
                    if not options & WNOWAIT:
                        reap(child)
                    return child, status
            elif child.stop_report:
                report = child.stop_report
                if options & (WCONTINUED if report == CONTINUED_STATUS else WUNTRACED):
                    if not options & WNOWAIT:
                        child.stop_report = 0
                    return child, report
        if not found:
            raise OSError(errno.ECHILD, "no such child")
        if options & WNOHANG:
            return None
        await t.wait(t.child_changed)

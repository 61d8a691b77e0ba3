"""Job control: Linux's ``drivers/tty/tty_jobctrl.c``, credentials(7), ioctl_tty(2).

Each process has a controlling terminal or none (`SignalStruct.tty`), which its children inherit; the terminal
knows its session and the process group in its foreground.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kernel import exit as end
from kernel import siginfo, signal
from kernel.cred import CAP_SYS_ADMIN
from kernel.fown import F_OWNER_PGRP, F_OWNER_PID, FileOwner
from kernel.task import Interrupted
from vfs.file import O_ACCMODE, O_WRONLY
from vfs.termbits import TIOCGPGRP, TIOCGSID, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.kernel import Kernel
    from kernel.task import Task
    from vfs.file import File
    from vfs.tty import Tty


def processes(kernel: Kernel) -> Iterator[Task]:
    """The main threads of all processes."""
    return (task for task in list(kernel.tasks.values()) if task.tid == task.tgid)


def kill_pgrp(kernel: Kernel, pgrp: int, *signals: int) -> None:
    """kill_pgrp, by the kernel: each of `signals` to every member."""
    for signo in signals:
        for task in processes(kernel):
            if task.pgid == pgrp:
                signal.send(task, siginfo.from_kernel(signo))


def session_clear_tty(kernel: Kernel, session: int) -> None:
    """No process of the session has a controlling terminal any more."""
    for task in processes(kernel):
        if task.sid == session:
            task.signals.shared.tty = None


def proc_set_tty(task: Task, tty: Tty) -> None:
    """The terminal controls the task's session, with its process group in the foreground."""
    tty.pgrp = task.pgid
    tty.session = task.sid
    task.signals.shared.tty = tty
    task.signals.shared.tty_old_pgrp = 0


def disassociate_ctty(task: Task, *, on_exit: bool) -> None:
    """A session leader gives up its terminal, or ends: the foreground group hears of it, and the whole session
    loses the terminal."""
    shared = task.signals.shared
    kernel = task.kernel
    tty = shared.tty
    if tty is None:
        old, shared.tty_old_pgrp = shared.tty_old_pgrp, 0
        if on_exit and old:
            kill_pgrp(kernel, old, signal.SIGHUP, signal.SIGCONT)
        return
    if tty.pgrp:
        kill_pgrp(kernel, tty.pgrp, signal.SIGHUP, *(() if on_exit else (signal.SIGCONT,)))
    tty.session = tty.pgrp = 0
    session_clear_tty(kernel, task.sid)


class TtyJobs:
    """`vfs.tty.JobControl` for one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def controlling(self) -> Tty | None:
        return self.kernel.current.signals.shared.tty

    def privileged(self) -> bool:
        return self.kernel.current.cred.capable(CAP_SYS_ADMIN)

    def own(self, file: File, tty: Tty) -> None:
        file.owner = FileOwner(self.kernel)
        task = self.kernel.current
        if tty.pgrp:
            file.owner.set(task, F_OWNER_PGRP, tty.pgrp)
        else:
            file.owner.set(task, F_OWNER_PID, task.tgid)

    def background(self, tty: Tty) -> bool:
        task = self.kernel.current
        return task.signals.shared.tty is tty and bool(tty.pgrp) and tty.pgrp != task.pgid

    def check(self, tty: Tty, signo: int) -> None:
        if not self.background(tty):
            return
        task = self.kernel.current
        state = task.signals
        if state.blocked >> (signo - 1) & 1 or state.actions[signo].handler == signal.SIG_IGN:
            if signo == signal.SIGTTIN:
                raise OSError(errno.EIO, "in the background")
            return
        if end.orphaned_group(task):
            raise OSError(errno.EIO, "in the background, and nobody would continue it")
        kill_pgrp(self.kernel, task.pgid, signo)
        raise Interrupted

    def signal(self, pgrp: int, signo: int) -> None:
        if pgrp:
            kill_pgrp(self.kernel, pgrp, signo)

    def opened(self, tty: Tty, flags: int) -> None:
        task = self.kernel.current
        free = task.signals.shared.tty is None and not tty.session
        if task.sid == task.tgid and free and flags & O_ACCMODE != O_WRONLY:
            proc_set_tty(task, tty)

    def hang_up(self, tty: Tty) -> None:
        session, pgrp = tty.session, tty.pgrp
        tty.session = tty.pgrp = 0
        if not session:
            return
        for task in processes(self.kernel):
            shared = task.signals.shared
            if task.sid == session and shared.tty is tty:
                shared.tty = None
                if task.tgid == session:
                    signal.send(task, siginfo.from_kernel(signal.SIGHUP))
                    signal.send(task, siginfo.from_kernel(signal.SIGCONT))
                    shared.tty_old_pgrp = pgrp

    def ioctl(self, task: Task, file: File, tty: Tty, request: int, arg: int) -> int:
        mine = task.signals.shared.tty is tty
        if request == TIOCSPGRP:
            self._set_foreground(task, tty, arg)
        elif request == TIOCSCTTY:
            self._take(task, file, tty, arg)
        elif request == TIOCNOTTY:
            if not mine:
                raise OSError(errno.ENOTTY, "not the controlling terminal")
            if task.sid == task.tgid:
                disassociate_ctty(task, on_exit=False)
            task.signals.shared.tty = None
        elif is_slave(file, tty) and not mine:
            raise OSError(errno.ENOTTY, "not the controlling terminal")
        elif request == TIOCGPGRP:
            task.mm.put_u32(arg, tty.pgrp)
        elif request == TIOCGSID:
            if not tty.session:
                raise OSError(errno.ENOTTY, "it controls no session")
            task.mm.put_u32(arg, tty.session)
        return 0

    def _set_foreground(self, task: Task, tty: Tty, arg: int) -> None:
        """tiocspgrp."""
        try:
            self.check(tty, signal.SIGTTOU)
        except OSError:
            raise OSError(errno.ENOTTY, "in the background, and nobody would continue it") from None
        group = task.mm.u32(arg)
        if group >> 31:
            raise OSError(errno.EINVAL, "negative process group")
        if task.signals.shared.tty is not tty or tty.session != task.sid:
            raise OSError(errno.ENOTTY, "not the controlling terminal")
        members = [other for other in task.kernel.tasks.values() if other.pgid == group]
        leader = task.kernel.tasks.get(group)
        if leader is not None:
            members.append(leader)
        if not members:
            raise OSError(errno.ESRCH, "no such process group")
        if members[0].sid != task.sid:
            raise OSError(errno.EPERM, "a group of another session")
        tty.pgrp = group

    def _take(self, task: Task, file: File, tty: Tty, arg: int) -> None:
        """tiocsctty."""
        leads = task.sid == task.tgid
        if leads and tty.session == task.sid:
            return
        if not leads or task.signals.shared.tty is not None:
            raise OSError(errno.EPERM, "not a session leader, or it has a terminal")
        if tty.session:
            if arg != 1 or not self.privileged():
                raise OSError(errno.EPERM, "the terminal of another session")
            session_clear_tty(task.kernel, tty.session)
        if file.flags & O_ACCMODE == O_WRONLY and not self.privileged():
            raise OSError(errno.EPERM, "not open for reading")
        proc_set_tty(task, tty)


def is_slave(file: Any, tty: Tty) -> bool:
    """Whether the file is the terminal itself and not its master."""
    return getattr(file, "tty", tty) is tty

"""Whom a file signals: Linux's ``struct fown_struct``, fcntl(2) F_SETOWN and F_SETSIG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel import siginfo, signal
from kernel.pid import Pid, find_get_pid
from vfs.wait import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP = 0, 1, 2
_POLLMSG = 0x400
_BANDS = (
    POLLIN | POLLRDNORM,
    POLLOUT | POLLWRNORM | POLLWRBAND,
    POLLIN | POLLRDNORM | _POLLMSG,
    POLLERR,
    POLLPRI | POLLRDBAND,
    POLLHUP | POLLERR,
)
# Signals whose si_code would be taken for one of their own.
_OWN_CODES = signal.SYNCHRONOUS | signal.sigset(signal.SIGCHLD)


class FileOwner:
    """A process, thread or group; the signal (0: SIGIO without details); and on whose behalf it is sent."""

    __slots__ = ("euid", "group", "kernel", "kind", "pid", "signal", "uid")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.kind = F_OWNER_TID
        self.pid: Pid | None = None
        self.group = 0  # with F_OWNER_PGRP
        self.signal = 0
        self.uid = self.euid = 0

    def set(self, by: Task, kind: int, number: int) -> None:
        """f_setown; 0 names nobody.  Raises OSError(ESRCH)."""
        self.pid = find_get_pid(self.kernel, number) if number and kind != F_OWNER_PGRP else None
        self.group = number if kind == F_OWNER_PGRP else 0
        self.kind = kind
        self.uid, self.euid = by.cred.uid, by.cred.euid

    def number(self) -> int:
        """Who it is, 0 for nobody, or nobody any more."""
        if self.pid is not None:
            return self.pid.number if self.pid.task() is not None else 0
        return self.group if self._members() else 0

    def _members(self) -> list[Task]:
        tasks = self.kernel.tasks.values() if self.group else ()
        return [task for task in tasks if task.pgid == self.group and task.tid == task.tgid]

    def send_sigio(self, fd: int, code: int) -> None:
        """send_sigio: `code` (POLL_IN, ...) has come true for the file with descriptor `fd`."""
        if self.pid is not None:
            task = self.pid.task()
            targets = [] if task is None else [task]
        else:
            targets = self._members()
        for task in targets:
            if self._permitted(task):
                self._send_to(task, fd, code)

    def _permitted(self, task: Task) -> bool:
        """sigio_perm: as if the owner's setter sent it."""
        ids = (task.cred.suid, task.cred.uid)
        return self.euid == 0 or self.euid in ids or self.uid in ids

    def _send_to(self, task: Task, fd: int, code: int) -> None:
        """send_sigio_to_task: a signal that finds no room becomes a plain SIGIO."""
        to_thread = self.kind == F_OWNER_TID
        signo = self.signal
        if signo:
            shown = siginfo.SI_SIGIO if _OWN_CODES >> (signo - 1) & 1 else code
            try:
                signal.send(task, siginfo.poll(signo, shown, _BANDS[code - 1], fd), to_thread=to_thread)
                return
            except OSError:
                pass
        signal.send(task, siginfo.from_kernel(signal.SIGIO), to_thread=to_thread)

"""Process numbers and the descriptors that stand for one: Linux's ``struct pid`` and ``fs/pidfs.c``,
pidfd_open(2).

A `Pid` is made for a number when the first descriptor for it is.  It ends when the number becomes free: a
later process of the same number has another.  What it names is looked up anew each time, so that a thread that
takes over its process's number in execve(2) takes over the descriptors as well.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vfs.anon import PID_FS_DEV, PID_FS_MAGIC, AnonNode, next_ino
from vfs.file import O_EXCL, O_NONBLOCK, O_RDWR, File
from vfs.node import Stat
from vfs.wait import POLLHUP, POLLIN, POLLRDNORM, WaitQueue

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

PIDFD_NONBLOCK, PIDFD_THREAD = O_NONBLOCK, O_EXCL


class Pid:
    """struct pid: a number of one kernel, as long as it means the same process."""

    __slots__ = ("changed", "kernel", "node", "number")

    def __init__(self, kernel: Kernel, number: int) -> None:
        self.kernel = kernel
        self.number = number
        self.changed = WaitQueue()  # wait_pidfd: woken when the task ends, and when it is reaped
        self.node = PidNode(self)

    def task(self) -> Task | None:
        """pid_task: the process's main thread, or the thread; None once it is reaped."""
        return self.kernel.tasks.get(self.number) if self.kernel.pids.get(self.number) is self else None


def find_get_pid(kernel: Kernel, number: int) -> Pid:
    """The Pid of a number in use.  Raises OSError(ESRCH)."""
    if number not in kernel.tasks:
        raise OSError(errno.ESRCH, "no such process")
    pid = kernel.pids.get(number)
    if pid is None:
        pid = kernel.pids[number] = Pid(kernel, number)
    return pid


def detach_pid(task: Task) -> None:
    """The number of a task is free again."""
    kernel = task.kernel
    del kernel.tasks[task.tid]
    pid = kernel.pids.pop(task.tid, None)
    if pid is not None:
        pid.changed.wake()


def notify_pidfd(task: Task) -> None:
    """do_notify_pidfd: the task has ended, or was the last thread of its process to do so."""
    pid = task.kernel.pids.get(task.tid)
    if pid is not None:
        pid.changed.wake()


class PidNode(AnonNode):
    """The inode all descriptors of one process share; its attributes are fixed."""

    __slots__ = ("pid",)

    def __init__(self, pid: Pid) -> None:
        super().__init__(Stat(0o700, next_ino(), PID_FS_DEV), PID_FS_MAGIC)
        self.pid = pid

    def open(self, flags: int, name: bytes) -> File:
        """Another descriptor, through /proc/self/fd."""
        return PidFd(self.pid, flags)

    def chmod(self, mode: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "attributes are fixed")

    def chown(self, uid: int, gid: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "attributes are fixed")

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        raise OSError(errno.EOPNOTSUPP, "attributes are fixed")


class PidFd(File):
    """A process descriptor; with PIDFD_THREAD it stands for one thread."""

    __slots__ = ("pid",)
    pollable = True

    def __init__(self, pid: Pid, flags: int) -> None:
        super().__init__(pid.node, O_RDWR | flags & (PIDFD_NONBLOCK | PIDFD_THREAD), b"anon_inode:[pidfd]")
        self.pid = pid

    def task(self) -> Task:
        """Whom the descriptor stands for.  Raises OSError(ESRCH) once it is reaped."""
        task = self.pid.task()
        if task is None:
            raise OSError(errno.ESRCH, "the process is gone")
        return task

    def truncate(self, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "attributes are fixed")

    def poll(self) -> int:
        """Readable when the task has ended, and for a process all its threads; hung up once it is reaped."""
        task = self.pid.task()
        if task is None:
            return POLLIN | POLLRDNORM | POLLHUP
        if task.zombie and (self.flags & PIDFD_THREAD or not task.signals.shared.live):
            return POLLIN | POLLRDNORM
        return 0

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.pid.changed,)

    def fdinfo(self) -> bytes:
        number = self.pid.number if self.pid.task() is not None else -1
        return b"Pid:\t%d\nNSpid:\t%d\n" % (number, number)


def pidfd_open(kernel: Kernel, number: int, flags: int) -> PidFd:
    """pidfd_create.  Raises OSError ESRCH, and ENOENT for a thread that is not asked for as one."""
    pid = find_get_pid(kernel, number)
    if not flags & PIDFD_THREAD and kernel.tasks[number].tgid != number:
        raise OSError(errno.ENOENT, "a thread, not a process")
    return PidFd(pid, flags)

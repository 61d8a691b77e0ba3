"""Calls that another process decides about: seccomp_unotify(2), Linux's ``struct notification``.

A task whose filter says RET_USER_NOTIF sleeps in `Listener.notify` until whoever has the listener's descriptor has
taken its notification and answered.  A notification is known by its id, and goes through INIT (nobody has taken it),
SENT and REPLIED.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any

from kernel.task import Interrupted
from vfs.anon import ANON_INO, ANON_INODE_FS_MAGIC, ANON_INODEFS_DEV, AnonNode
from vfs.file import O_CLOEXEC, O_RDWR, File
from vfs.node import Stat
from vfs.wait import POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.seccomp import Filter
    from kernel.task import Task

NOTIF = Struct("<QII16I")  # id, pid, flags, struct seccomp_data
RESPONSE = Struct("<QqiI")  # id, val, error, flags
ADDFD = Struct("<QIIII")  # id, flags, srcfd, newfd, newfd_flags
ID = Struct("<Q")

IOCTL_RECV, IOCTL_SEND, IOCTL_ID_VALID, IOCTL_ID_VALID_WRONG_DIR = 0xC0502100, 0xC0182101, 0x40082102, 0x80082102
IOCTL_ADDFD, IOCTL_SET_FLAGS = 0x40182103, 0x40082104
_ADDFD_NUMBER, _SIZE_SHIFT = 0x2103, 16

USER_NOTIF_FLAG_CONTINUE = 1
ADDFD_FLAG_SETFD, ADDFD_FLAG_SEND = 1, 2
FD_SYNC_WAKE_UP = 1

INIT, SENT, REPLIED = range(3)


class Notification:
    """struct seccomp_knotif: a call that waits for an answer."""

    __slots__ = ("answered", "data", "error", "flags", "id", "state", "task", "val")

    def __init__(self, task: Task, id: int, data: tuple[int, ...]) -> None:
        self.task = task
        self.id = id
        self.data = data
        self.state = INIT
        self.val = self.error = self.flags = 0
        self.answered = WaitQueue()

    def reply(self, val: int, error: int, flags: int) -> None:
        self.state = REPLIED
        self.val, self.error, self.flags = val, error, flags
        self.answered.wake(POLLIN)


class Listener(File):
    """The descriptor that SECCOMP_FILTER_FLAG_NEW_LISTENER gives: the notifications of one filter."""

    __slots__ = ("changed", "filter", "kernel", "killable", "next_id", "pending")

    pollable = True

    def __init__(self, kernel: Kernel, filter: Filter, killable: bool) -> None:
        node = AnonNode(Stat(0o600, ANON_INO, ANON_INODEFS_DEV), ANON_INODE_FS_MAGIC)
        super().__init__(node, O_RDWR, b"anon_inode:seccomp notify")
        self.kernel = kernel
        self.filter = filter
        self.killable = killable
        self.next_id = int.from_bytes(kernel.entropy.bytes(8), "little")
        self.pending: list[Notification] = []
        self.changed = WaitQueue()

    # The task that is asked about

    async def notify(self, task: Task, data: tuple[int, ...]) -> int | None:
        """seccomp_do_user_notification: the answer, as kernel/entry.py expects it."""
        self.next_id = self.next_id + 1 & 0xFFFF_FFFF_FFFF_FFFF
        notification = Notification(task, self.next_id, data)
        self.pending.append(notification)
        self.changed.wake(POLLIN | POLLRDNORM)
        try:
            while notification.state != REPLIED:
                try:
                    await task.wait(notification.answered)
                except Interrupted:
                    if not self.killable or notification.state != SENT:
                        raise
                    await task.wait_uninterruptible(notification.answered, lambda: notification.state == REPLIED)
                    if notification.state != REPLIED:
                        raise
        except Interrupted as interrupted:
            interrupted.rule = "sys"  # whichever call it is
            raise
        finally:
            self.pending.remove(notification)
        if notification.flags & USER_NOTIF_FLAG_CONTINUE:
            return None
        return notification.error or notification.val

    # Who decides

    def ioctl(self, task: Any, request: int, arg: int) -> Any:
        if request == IOCTL_RECV:
            return self.receive(task, arg)
        if request == IOCTL_SEND:
            return self.send(task, arg)
        if request in (IOCTL_ID_VALID, IOCTL_ID_VALID_WRONG_DIR):
            (id,) = task.mm.unpack(ID, arg)
            if self.find(id).state != SENT:
                raise OSError(errno.ENOENT, "not waiting for an answer")
            return 0
        if request == IOCTL_SET_FLAGS:
            return -errno.EINVAL if arg & ~FD_SYNC_WAKE_UP else 0
        if request & 0xFFFF == _ADDFD_NUMBER:  # of any size, in any direction
            return self.add_fd(task, arg, request >> _SIZE_SHIFT & 0x3FFF)
        return -errno.EINVAL

    def find(self, id: int) -> Notification:
        """Raises OSError(ENOENT)."""
        for notification in self.pending:
            if notification.id == id:
                return notification
        raise OSError(errno.ENOENT, "no such notification")

    def receive(self, task: Task, address: int) -> Any:
        """SECCOMP_IOCTL_NOTIF_RECV."""
        if any(task.mm.read(address, NOTIF.size)):
            raise OSError(errno.EINVAL, "the buffer must be zeros")
        if self._first(INIT) is None:
            return self._receive_later(task, address)
        return self._take(task, address)

    async def _receive_later(self, task: Task, address: int) -> int:
        while self._first(INIT) is None:
            if not self.used():
                raise OSError(errno.ENOENT, "nobody is left to ask")
            await task.wait(self.changed)
        return self._take(task, address)

    def _first(self, state: int) -> Notification | None:
        return next((notification for notification in self.pending if notification.state == state), None)

    def _take(self, task: Task, address: int) -> int:
        notification = self._first(INIT)
        assert notification is not None
        task.mm.write(address, NOTIF.pack(notification.id, notification.task.tid, 0, *notification.data))
        notification.state = SENT
        self.changed.wake(POLLOUT | POLLWRNORM)
        return 0

    def send(self, task: Task, address: int) -> int:
        """SECCOMP_IOCTL_NOTIF_SEND."""
        id, val, error, flags = task.mm.unpack(RESPONSE, address)
        if flags & ~USER_NOTIF_FLAG_CONTINUE or (flags and (val or error)):
            raise OSError(errno.EINVAL, "unknown flags, or an answer to what is to be done")
        self._sent(id).reply(val, error, flags)
        return 0

    def _sent(self, id: int) -> Notification:
        """The notification with that id, which somebody has taken.  Raises OSError ENOENT, EINPROGRESS."""
        notification = self.find(id)
        if notification.state != SENT:
            raise OSError(errno.EINPROGRESS, "not taken yet, or answered already")
        return notification

    def add_fd(self, task: Task, address: int, size: int) -> int:
        """SECCOMP_IOCTL_NOTIF_ADDFD: give the task that waits a descriptor for one of the caller's files."""
        if not ADDFD.size <= size < 4096:
            raise OSError(errno.EINVAL, "not the size of a struct seccomp_notif_addfd")
        if any(task.mm.read(address + ADDFD.size, size - ADDFD.size)):
            raise OSError(errno.E2BIG, "members that are not known")
        id, flags, source, target, fd_flags = task.mm.unpack(ADDFD, address)
        if fd_flags & ~O_CLOEXEC or flags & ~(ADDFD_FLAG_SETFD | ADDFD_FLAG_SEND):
            raise OSError(errno.EINVAL, "unknown flags")
        if target and not flags & ADDFD_FLAG_SETFD:
            raise OSError(errno.EINVAL, "a number that is not asked for")
        file = task.files.get_io(source)
        notification = self._sent(id)
        files = notification.task.files
        cloexec = bool(fd_flags & O_CLOEXEC)
        if flags & ADDFD_FLAG_SETFD:
            files.put_at(target, file, cloexec)
            fd: int = target
        else:
            fd = files.install(file, cloexec)
        if flags & ADDFD_FLAG_SEND:
            notification.reply(fd, 0, 0)
        return fd

    # As a file

    def used(self) -> bool:
        """Whether any task still has the filter."""
        return any(
            task.seccomp is not None
            and task.seccomp.filter is not None
            and not task.zombie
            and self.filter in task.seccomp.filter.chain()
            for task in self.kernel.tasks.values()
        )

    def poll(self) -> int:
        events = 0
        if self._first(INIT) is not None:
            events |= POLLIN | POLLRDNORM
        if self._first(SENT) is not None:
            events |= POLLOUT | POLLWRNORM
        return events if self.used() else events | POLLHUP

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.changed,)

    def release(self) -> None:
        """seccomp_notify_detach: nobody will answer any more."""
        self.filter.listener = None
        for notification in self.pending:
            if notification.state != REPLIED:
                notification.reply(0, -errno.ENOSYS, 0)


def task_ends(task: Task) -> None:
    """seccomp_filter_release: who listens to its filters may have nobody left to ask."""
    assert task.seccomp is not None
    newest = task.seccomp.filter
    while newest is not None:
        if newest.listener is not None and not newest.listener.used():
            newest.listener.changed.wake(POLLHUP)
        newest = newest.prev

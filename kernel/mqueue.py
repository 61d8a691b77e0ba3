"""POSIX message queues: Linux's ``struct mqueue_inode_info`` of ``ipc/mqueue.c``, mq_overview(7).

A queue is an inode of the filesystem in kernel/mqueuefs.py.  A sender hands its message to the first receiver
that waits, a receiver takes over the message of the first sender that waits: those of a higher priority to run
come first, else who has waited longest.
"""

from __future__ import annotations

import errno
import heapq
from collections.abc import Sequence
from stat import S_IFREG
from typing import TYPE_CHECKING, NamedTuple

from kernel import siginfo, signal
from kernel.task import Interrupted
from vfs import fscred
from vfs.file import O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET, File
from vfs.node import StatFs
from vfs.pseudofs import fill
from vfs.tmpfs import TmpNode
from vfs.wait import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from kernel.mqueuefs import MqFs
    from kernel.task import Task
    from vfs.netlink import NetlinkSock
    from vfs.pages import Spans

MQUEUE_MAGIC = 0x19800202
FILENT_SIZE = 80  # st_size of a queue
MQ_PRIO_MAX = 32768
SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD = 0, 1, 2
NOTIFY_COOKIE_LEN = 32
NOTIFY_WOKENUP, NOTIFY_REMOVED = 1, 2
_MSG_SIZE, _NODE_SIZE = 48, 48  # struct msg_msg, struct posix_msg_tree_node
MAX_RT_PRIO, DEFAULT_PRIO = 100, 120


class MqAttr(NamedTuple):
    """struct mq_attr: what mq_open(3) says about a new queue."""

    maxmsg: int
    msgsize: int

    def cost(self) -> int:
        """Bytes that count against RLIMIT_MSGQUEUE."""
        return self.maxmsg * (self.msgsize + _MSG_SIZE) + min(self.maxmsg, MQ_PRIO_MAX) * _NODE_SIZE


class Message(NamedTuple):
    """struct msg_msg, in the order in which messages are received."""

    rank: int  # minus the priority
    number: int
    text: bytes


class MqWaiter:
    """struct ext_wait_queue: a task that waits to send `message`, or to receive one."""

    __slots__ = ("message", "prio", "ready", "wait")

    def __init__(self, task: Task, message: Message | None) -> None:
        sched = task.sched
        self.prio = MAX_RT_PRIO - 1 - sched.rt_priority if sched.rt_priority else DEFAULT_PRIO + sched.nice
        self.message = message
        self.ready = False
        self.wait = WaitQueue()

    def finish(self) -> None:
        self.ready = True
        self.wait.wake()


class Notification:
    """Who is to be told of the first message (mq_notify(3)); `mm` tells whether it still runs the same program."""

    __slots__ = ("cookie", "kind", "mm", "signo", "sock", "task", "value")

    def __init__(self, task: Task, kind: int, signo: int, value: int) -> None:
        self.task = task.signals.shared.leader
        self.mm = task.mm
        self.kind = kind
        self.signo = signo
        self.value = value
        self.sock: NetlinkSock | None = None
        self.cookie = b""


class MqQueue(TmpNode):
    """A message queue."""

    __slots__ = (
        "attr", "bytes", "changed", "files", "messages", "notification", "number", "owner", "receivers", "senders",
    )  # fmt: skip

    fs: MqFs

    def __init__(self, fs: MqFs, mode: int, attr: MqAttr) -> None:
        super().__init__(fs, S_IFREG | mode)
        self.attr = attr
        self.owner = fs.kernel.current.cred.uid  # whose RLIMIT_MSGQUEUE it counts against
        self.messages: list[Message] = []  # a heap
        self.number = 0
        self.bytes = 0  # qsize
        self.files = 0  # open ones
        self.senders: list[MqWaiter] = []
        self.receivers: list[MqWaiter] = []
        self.changed = WaitQueue()
        self.notification: Notification | None = None

    def size(self) -> int:
        return FILENT_SIZE

    def statfs(self) -> StatFs:
        return StatFs(MQUEUE_MAGIC)

    def open(self, flags: int, name: bytes) -> File:
        return MqFile(self, flags, name)

    def truncate(self, size: int) -> None:
        """simple_setattr: accepted, and without effect on the messages."""

    def forget(self) -> None:
        """mqueue_evict_inode, if the queue has neither a name nor an open file any more."""
        if not self.nlink and not self.files:
            self.fs.uncharge(self)
            self.messages.clear()

    def full(self) -> bool:
        return len(self.messages) >= self.attr.maxmsg

    def message(self, text: bytes, prio: int) -> Message:
        """load_msg.  Raises OSError(ENOMEM)."""
        self.fs.keep(len(text))
        self.number += 1
        return Message(-prio, self.number, text)

    def insert(self, message: Message) -> None:
        heapq.heappush(self.messages, message)
        self.bytes += len(message.text)

    def send(self, message: Message) -> None:
        """A message to a queue that is not full."""
        receiver = first(self.receivers)
        if receiver is not None:
            self.receivers.remove(receiver)
            receiver.message = message
            receiver.finish()
        else:
            self.insert(message)
            self._notify()
            self.changed.wake(POLLIN | POLLRDNORM)
        self.mtime = self.ctime = self.fs.now()

    def receive(self) -> Message:
        """The next message of a queue that is not empty.  Whoever waits to send can do so."""
        message = heapq.heappop(self.messages)
        self.bytes -= len(message.text)
        self.atime = self.ctime = self.fs.now()
        sender = first(self.senders)
        if sender is None:
            self.changed.wake(POLLOUT | POLLWRNORM)
        else:
            self.senders.remove(sender)
            assert sender.message is not None
            self.insert(sender.message)
            sender.finish()
        return message

    async def sleep(self, task: Task, queue: list[MqWaiter], message: Message | None, deadline: int | None) -> MqWaiter:
        """wq_sleep: until somebody has taken `message`, or left one, or CLOCK_REALTIME is past `deadline`.  A message
        that nobody took is gone.  Raises OSError(ETIMEDOUT), Interrupted."""
        waiter = MqWaiter(task, message)
        queue.append(waiter)
        try:
            while not waiter.ready:
                left = None if deadline is None else max(0, deadline - self.fs.now())
                if not await task.wait(waiter.wait, timeout_ns=left) and not waiter.ready:
                    raise OSError(errno.ETIMEDOUT, "timed out")
        except Interrupted:
            if not waiter.ready:
                raise
        except GeneratorExit:  # killed
            if waiter.ready and message is None and waiter.message is not None:
                self.fs.keep(-len(waiter.message.text))
            raise
        finally:
            if not waiter.ready:
                queue.remove(waiter)
                if message is not None:
                    self.fs.keep(-len(message.text))
        return waiter

    # Notification

    def register(self, task: Task, wanted: Notification | None) -> None:
        """mq_notify(3); None takes the caller's own registration back.  Raises OSError(EBUSY)."""
        if wanted is None:
            self.closed_by(task.tgid)
            return
        if self.notification is not None:
            raise OSError(errno.EBUSY, "somebody is registered")
        self.notification = wanted
        self.atime = self.ctime = self.fs.now()

    def closed_by(self, tgid: int) -> None:
        """remove_notification: process `tgid` has closed a descriptor of the queue, or wants no notification."""
        found = self.notification
        if found is not None and found.task.tgid == tgid:
            self.notification = None
            if found.sock is not None:
                found.sock.deliver(found.cookie[:-1] + bytes((NOTIFY_REMOVED,)))

    def _notify(self) -> None:
        """__do_notify: tell whoever is registered of the first message in an empty queue, once."""
        found = self.notification
        if found is None or len(self.messages) != 1:
            return
        self.notification = None
        if found.kind == SIGEV_SIGNAL and found.signo:
            sender = self.fs.kernel.current
            if found.task.mm is found.mm and found.task.signals.shared.live:
                info = siginfo.queued(found.signo, sender.tgid, sender.cred.uid, found.value, siginfo.SI_MESGQ)
                try:
                    signal.send(found.task, info)
                except OSError:
                    pass  # RLIMIT_SIGPENDING
        elif found.sock is not None:
            found.sock.deliver(found.cookie[:-1] + bytes((NOTIFY_WOKENUP,)))

    def status(self) -> bytes:
        """What reading the file gives (mqueue_read_file)."""
        found = self.notification
        return b"QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n" % (
            self.bytes,
            found.kind if found is not None else 0,
            found.signo if found is not None and found.kind == SIGEV_SIGNAL else 0,
            found.task.tgid if found is not None else 0,
        )


def first(queue: list[MqWaiter]) -> MqWaiter | None:
    """wq_get_first_waiter."""
    return min(queue, key=lambda waiter: waiter.prio, default=None)


class MqFile(File):
    """An open message queue."""

    __slots__ = ("offset",)

    node: MqQueue
    seekable = True
    pollable = True
    flushes = True

    def __init__(self, node: MqQueue, flags: int, name: bytes) -> None:
        super().__init__(node, flags, name)
        self.offset = 0
        node.files += 1

    def check(self, unwanted: int) -> None:
        """Raise OSError(EBADF) if it was opened with access mode `unwanted`."""
        if self.flags & O_ACCMODE == unwanted:
            raise OSError(errno.EBADF, "not opened for that")

    def read(self, spans: Spans) -> int:
        count = self.pread(spans, self.offset)
        self.offset += count
        return count

    def pread(self, spans: Spans, offset: int) -> int:
        self.check(O_WRONLY)
        self.node.atime = self.node.ctime = self.node.fs.now()
        return fill(spans, self.node.status(), offset)

    def write(self, spans: Spans) -> int:
        self.check(O_RDONLY)
        raise OSError(errno.EINVAL, "messages are not written")

    def pwrite(self, spans: Spans, offset: int) -> int:
        return self.write(spans)

    def seek(self, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence == SEEK_END:
            offset += FILENT_SIZE
        elif whence != SEEK_SET:
            raise OSError(errno.EINVAL, "bad whence")
        if offset < 0:
            raise OSError(errno.EINVAL, "negative offset")
        self.offset = offset
        return offset

    def truncate(self, size: int) -> None:
        self.node.truncate(size)

    def poll(self) -> int:
        node = self.node
        events = POLLIN | POLLRDNORM if node.messages else 0
        return events if node.full() else events | POLLOUT | POLLWRNORM

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.node.changed,)

    def flush(self) -> None:
        self.node.closed_by(self.node.fs.kernel.current.tgid)

    def release(self) -> None:
        self.node.files -= 1
        self.node.forget()


# What the calls do


def send(file: MqFile, text: bytes, prio: int) -> Message | None:
    """mq_timedsend(2) without waiting: the message, if it has to wait.  Raises OSError(EAGAIN, ENOMEM)."""
    queue = file.node
    message = queue.message(text, prio)
    if not queue.full():
        queue.send(message)
        return None
    if file.flags & O_NONBLOCK:
        queue.fs.keep(-len(text))
        raise OSError(errno.EAGAIN, "the queue is full")
    return message


def may_open(queue: MqQueue, flags: int) -> None:
    """prepare_open.  Raises OSError(EACCES, EINVAL)."""
    mode = flags & O_ACCMODE
    if mode == O_ACCMODE:
        raise OSError(errno.EINVAL, "no such access mode")
    fscred.permission(queue.mode, queue.uid, queue.gid, (4, 2, 6)[mode])

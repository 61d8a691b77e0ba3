"""System V message queues: Linux's ``ipc/msg.c``, msgget(2), msgop(2), msgctl(2).

A sender hands its message to the first receiver that waits for one of its kind, else it is queued.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from kernel.cred import CAP_SYS_RESOURCE
from kernel.ipc import IPC_NOWAIT, S_IRUGO, S_IWUGO, IpcIds, IpcObject
from kernel.task import Interrupted
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

MSG_NOERROR, MSG_EXCEPT, MSG_COPY = 0o10000, 0o20000, 0o40000
MSGMNI, MSGMAX, MSGMNB = 32000, 8192, 16384
MSGPOOL, MSGTQL, MSGMAP, MSGSSZ, MSGSEG = MSGMNI * MSGMNB // 1024, MSGMNB, MSGMNB, 16, 0xFFFF
LONG_MAX = (1 << 63) - 1
_HEADER = 256  # bytes of host memory for a message besides its text

MSQID64_DS = Struct("<qqqQQQii16x")
"""struct msqid64_ds behind its ipc64_perm: stime, rtime, ctime, cbytes, qnum, qbytes, lspid, lrpid."""
MSGINFO = Struct("<7iH2x")


class Message(NamedTuple):
    """struct msg_msg."""

    type: int
    text: bytes


class Wanted:
    """Which messages a receiver takes: `kind` and msgflg of msgrcv(2)."""

    __slots__ = ("equal", "limit", "number")

    def __init__(self, kind: int, flags: int) -> None:
        self.number: int | None = None
        self.limit: int | None = None
        self.equal: tuple[int, bool] | None = None
        if flags & MSG_COPY:
            self.number = kind
        elif kind < 0:
            self.limit = min(-kind, LONG_MAX)
        elif kind:
            self.equal = (kind, not flags & MSG_EXCEPT)

    def takes(self, message: Message) -> bool:
        """testmsg."""
        if self.limit is not None:
            return message.type <= self.limit
        if self.equal is not None:
            return (message.type == self.equal[0]) == self.equal[1]
        return True

    def find(self, messages: list[Message]) -> int | None:
        """find_msg: the place of the message to take; with MSG_COPY the one of that number."""
        if self.number is not None:
            return self.number if 0 <= self.number < len(messages) else None
        best = None
        for place, message in enumerate(messages):
            if self.takes(message):
                if self.limit is None:
                    return place
                if best is None or message.type < messages[best].type:
                    best = place
        return best


class Receiver:
    """struct msg_receiver: somebody who waits for a message.  `error` is a verdict instead of one."""

    __slots__ = ("error", "message", "most", "tid", "wait", "wanted")

    def __init__(self, tid: int, wanted: Wanted, most: int | None) -> None:
        self.tid = tid
        self.wanted = wanted
        self.most = most  # bytes, None for any number
        self.message: Message | None = None
        self.error = 0
        self.wait = WaitQueue()


class Sender:
    """struct msg_sender: somebody who waits for room for `size` bytes."""

    __slots__ = ("size", "wait", "woken")

    def __init__(self, size: int) -> None:
        self.size = size
        self.woken = False
        self.wait = WaitQueue()

    def wake(self) -> None:
        self.woken = True
        self.wait.wake()


class MsgQueue(IpcObject):
    """struct msg_queue."""

    def __init__(self, queues: MsgQueues, key: int, flags: int) -> None:
        super().__init__(queues.kernel, key, flags)
        self.queues = queues
        self.stime = self.rtime = 0
        self.bytes = 0  # q_cbytes
        self.most_bytes = queues.most_bytes  # q_qbytes
        self.lspid = self.lrpid = 0
        self.messages: list[Message] = []
        self.receivers: list[Receiver] = []
        self.senders: list[Sender] = []

    def stat(self) -> bytes:
        """struct msqid64_ds."""
        return self.perm() + MSQID64_DS.pack(
            self.stime, self.rtime, self.ctime, self.bytes, len(self.messages), self.most_bytes, self.lspid, self.lrpid
        )

    def row(self) -> bytes:
        """Its line in /proc/sysvipc/msg."""
        return b"%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n" % (
            self.key, self.id, self.mode, self.bytes, len(self.messages), self.lspid, self.lrpid, self.uid, self.gid,
            self.cuid, self.cgid, self.stime, self.rtime, self.ctime,
        )  # fmt: skip

    def fits(self, size: int) -> bool:
        """msg_fits_inqueue."""
        return size + self.bytes <= self.most_bytes and len(self.messages) < self.most_bytes

    def put(self, message: Message, pid: int) -> None:
        """A message that fits: to whoever waits for it, or to the end of the queue."""
        self.lspid = pid
        self.stime = self.now()
        for receiver in tuple(self.receivers):
            if receiver.wanted.takes(message):
                self.receivers.remove(receiver)
                if receiver.most is not None and receiver.most < len(message.text):
                    receiver.error = errno.E2BIG
                    receiver.wait.wake()
                    continue
                self.lrpid = receiver.tid
                self.rtime = self.now()
                receiver.message = message
                receiver.wait.wake()
                return
        self.queues.charge(len(message.text) + _HEADER)
        self.messages.append(message)
        self.bytes += len(message.text)

    def take(self, place: int, pid: int) -> Message:
        """Take the message at a place out."""
        message = self.messages.pop(place)
        self.rtime = self.now()
        self.lrpid = pid
        self.bytes -= len(message.text)
        self.queues.charge(-len(message.text) - _HEADER)
        self.wake_senders()
        return message

    def wake_senders(self) -> None:
        """ss_wakeup: those for whose messages there is room; the others go to the end of their queue, until one
        comes that has done so."""
        first: Sender | None = None
        for sender in tuple(self.senders):
            if sender is first:
                break
            if self.fits(sender.size):
                sender.wake()
            else:
                first = first or sender
                self.senders.remove(sender)
                self.senders.append(sender)

    def expunge(self, error: int) -> None:
        """expunge_all: every receiver wakes, with an error or (0) to look again."""
        for receiver in self.receivers:
            receiver.error = error
            receiver.wait.wake()
        self.receivers.clear()

    def set(self, task: Task, raw: bytes, most_bytes: int) -> None:
        """IPC_SET.  Raises OSError EPERM, EINVAL."""
        if most_bytes > self.queues.most_bytes and not task.cred.capable(CAP_SYS_RESOURCE):
            raise OSError(errno.EPERM, "above kernel.msgmnb")
        self.update_perm(raw)
        self.most_bytes = most_bytes
        self.expunge(0)
        self.wake_senders()


class MsgQueues(IpcIds[MsgQueue]):
    """All queues, with their limits: kernel.msgmax and msgmnb (bytes) and msgmni."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, MSGMNI)
        self.largest = MSGMAX
        self.most_bytes = MSGMNB
        self.charged = 0  # bytes of the host's memory

    def charge(self, size: int) -> None:
        """Take host memory.  Raises OSError(ENOMEM) for more than an eighth of what guests may have."""
        if size > 0 and self.charged + size > self.kernel.memory_limit // 8:
            raise OSError(errno.ENOMEM, "too much memory for messages")
        self.charged += size

    def msgget(self, task: Task, key: int, flags: int) -> int:
        """msgget(2): the identifier.  Raises OSError as `get` does."""

        def make() -> MsgQueue:
            self.room()
            return MsgQueue(self, key, flags)

        return self.get(task, key, flags, make, lambda found: None).id

    def remove(self, gone: MsgQueue) -> None:
        """freeque: whoever waits hears of it."""
        super().remove(gone)
        gone.expunge(errno.EIDRM)
        for sender in gone.senders:
            sender.wake()
        self.charge(-sum(len(message.text) + _HEADER for message in gone.messages))
        gone.messages.clear()

    def may_send(self, task: Task, queue: MsgQueue, size: int, flags: int) -> bool:
        """Whether there is room.  Raises OSError EACCES, EIDRM, EAGAIN (IPC_NOWAIT)."""
        queue.check(task, S_IWUGO)
        if queue.fits(size):
            return True
        if flags & IPC_NOWAIT:
            raise OSError(errno.EAGAIN, "the queue is full")
        return False

    async def send(self, task: Task, queue: MsgQueue, message: Message, flags: int) -> int:
        """msgsnd(2) to a full queue.  Raises OSError EACCES, EIDRM; Interrupted."""
        size = len(message.text)
        while True:
            sender = Sender(size)
            queue.senders.append(sender)
            try:
                while not sender.woken:
                    await task.wait(sender.wait)
            except Interrupted:
                if queue.deleted:
                    raise OSError(errno.EIDRM, "the queue was removed") from None
                raise
            finally:
                queue.senders.remove(sender)
            if queue.deleted:
                raise OSError(errno.EIDRM, "the queue was removed")
            if self.may_send(task, queue, size, flags):
                queue.put(message, task.tgid)
                return 0

    def receive(self, task: Task, queue: MsgQueue, wanted: Wanted, size: int, flags: int) -> Message | None:
        """A message that is there, taken out or (MSG_COPY) copied.  Raises OSError EACCES, E2BIG, and ENOMSG with
        IPC_NOWAIT."""
        queue.check(task, S_IRUGO)
        place = wanted.find(queue.messages)
        if place is None:
            if flags & IPC_NOWAIT:
                raise OSError(errno.ENOMSG, "no such message")
            return None
        if size < len(queue.messages[place].text) and not flags & MSG_NOERROR:
            raise OSError(errno.E2BIG, "the message is longer")
        if flags & MSG_COPY and size < len(queue.messages[place].text):
            raise OSError(errno.EINVAL, "no copies of a part")
        return queue.messages[place] if flags & MSG_COPY else queue.take(place, task.tgid)

    async def wait(self, task: Task, queue: MsgQueue, wanted: Wanted, size: int, flags: int) -> Message:
        """Wait for a message.  Raises OSError EIDRM, E2BIG, EACCES; Interrupted."""
        while True:
            receiver = Receiver(task.tid, wanted, None if flags & MSG_NOERROR else size)
            queue.receivers.append(receiver)
            try:
                await task.wait(receiver.wait)
            except Interrupted:
                if receiver.message is None and not receiver.error:
                    raise
            finally:
                if receiver in queue.receivers:
                    queue.receivers.remove(receiver)
            if receiver.error:
                raise OSError(receiver.error, "removed, or too long")
            found = receiver.message or self.receive(task, queue, wanted, size, flags)
            if found is not None:
                return found

    def limits(self) -> bytes:
        """IPC_INFO: struct msginfo."""
        return self._info(MSGPOOL, MSGMAP, MSGTQL)

    def usage(self) -> bytes:
        """MSG_INFO: the same with the numbers of queues, messages and bytes."""
        queues = self.objects.values()
        return self._info(len(queues), sum(len(q.messages) for q in queues), sum(q.bytes for q in queues))

    def _info(self, pool: int, headers: int, text: int) -> bytes:
        return MSGINFO.pack(pool, headers, self.largest, self.most_bytes, self.limit, MSGSSZ, text, MSGSEG)

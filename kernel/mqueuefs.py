"""The filesystem of POSIX message queues, /dev/mqueue: the other half of Linux's ``ipc/mqueue.c``.

It exists without being mounted: mq_open(3) goes to its root, and there are no directories in it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NoReturn

from kernel.cred import CAP_SYS_RESOURCE
from kernel.mqueue import MQUEUE_MAGIC, MqAttr, MqFile, MqQueue, may_open
from kernel.rlimit import RLIMIT_MSGQUEUE
from vfs.file import O_CLOEXEC, O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, File
from vfs.node import Node, StatFs
from vfs.tmpfs import TmpDir, TmpFs

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

MQUEUE_DEV = 0x14
HARD_QUEUESMAX, HARD_MSGMAX, HARD_MSGSIZEMAX = 1024, 65536, 16 << 20
MIN_MSGMAX, MIN_MSGSIZEMAX = 1, 128
DFLT_QUEUESMAX, DFLT_MSGMAX, DFLT_MSG, DFLT_MSGSIZEMAX, DFLT_MSGSIZE = 256, 10, 10, 8192, 8192
ULONG_MAX = (1 << 64) - 1
_CREATION = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC


class MqFs(TmpFs):
    """All queues, with the limits of /proc/sys/fs/mqueue."""

    __slots__ = (
        "kept", "kernel", "msg_default", "msg_max", "msgsize_default", "msgsize_max", "queues", "queues_max", "used_by",
    )  # fmt: skip

    root: MqDir

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel.arena, kernel.clock.realtime_ns, dev=MQUEUE_DEV)
        self.kernel = kernel
        self.root = MqDir(self)
        self.queues = 0
        self.queues_max = DFLT_QUEUESMAX
        self.msg_max, self.msg_default = DFLT_MSGMAX, DFLT_MSG
        self.msgsize_max, self.msgsize_default = DFLT_MSGSIZEMAX, DFLT_MSGSIZE
        self.used_by: dict[int, int] = {}  # bytes by uid, of what RLIMIT_MSGQUEUE allows
        self.kept = 0  # bytes of messages

    def keep(self, size: int) -> None:
        """Take memory for messages.  Raises OSError(ENOMEM) for more than an eighth of what guests may have."""
        if size > 0 and self.kept + size > self.kernel.memory_limit // 8:
            raise OSError(errno.ENOMEM, "too much memory for messages")
        self.kept += size

    def make(self, mode: int, attr: MqAttr | None) -> MqQueue:
        """A queue without a name.  Raises OSError ENOSPC, EINVAL, EOVERFLOW, EMFILE (RLIMIT_MSGQUEUE)."""
        task = self.kernel.current
        privileged = task.cred.capable(CAP_SYS_RESOURCE)
        if self.queues >= self.queues_max and not privileged:
            raise OSError(errno.ENOSPC, "fs.mqueue.queues_max")
        if attr is None:
            attr = MqAttr(min(self.msg_max, self.msg_default), min(self.msgsize_max, self.msgsize_default))
        most, largest = (HARD_MSGMAX, HARD_MSGSIZEMAX) if privileged else (self.msg_max, self.msgsize_max)
        if not 0 < attr.maxmsg <= most or not 0 < attr.msgsize <= largest:
            raise OSError(errno.EINVAL, "not a size for a queue")
        used = self.used_by.get(task.cred.uid, 0) + attr.cost()
        if used > task.rlimits[RLIMIT_MSGQUEUE][0]:
            raise OSError(errno.EMFILE, "RLIMIT_MSGQUEUE")
        self.used_by[task.cred.uid] = used
        self.queues += 1
        return MqQueue(self, mode, attr)

    def uncharge(self, queue: MqQueue) -> None:
        """A queue is gone."""
        self.queues -= 1
        self.used_by[queue.owner] -= queue.attr.cost()
        self.keep(-queue.bytes)

    def open(self, task: Task, name: bytes, flags: int, mode: int, attr: MqAttr | None) -> MqFile:
        """mq_open(2), whose `name` has no slash.  Raises OSError EACCES, ENOENT, EEXIST, EINVAL and those of
        `make`."""
        queue = self._find(name)
        if queue is None:
            if not flags & O_CREAT:
                raise OSError(errno.ENOENT, "no such queue")
            self.root.access(3)
            queue = self.root.add(name, mode & ~task.fs.umask, attr)
        elif flags & O_CREAT and flags & O_EXCL:
            raise OSError(errno.EEXIST, "the queue exists")
        else:
            may_open(queue, flags)
        return MqFile(queue, flags & ~_CREATION, b"/" + name)

    def unlink(self, name: bytes) -> None:
        """mq_unlink(2).  Raises OSError EACCES, ENOENT, EPERM."""
        if self._find(name) is None:
            raise OSError(errno.ENOENT, "no such queue")
        self.root.access(3)
        self.root.unlink(name)

    def _find(self, name: bytes) -> MqQueue | None:
        """The queue of that name.  Raises OSError(EACCES) for what cannot be one, ENAMETOOLONG."""
        if name in (b"", b".", b"..") or b"/" in name:
            raise OSError(errno.EACCES, "not a name")
        try:
            found = self.root.lookup(name)
        except FileNotFoundError:
            return None
        assert isinstance(found, MqQueue)
        return found


class MqDir(TmpDir):
    """The root directory: queues can be made and removed, and nothing else."""

    __slots__ = ()

    fs: MqFs

    def __init__(self, fs: MqFs) -> None:
        super().__init__(fs, 0o1777, None)
        self.uid = self.gid = 0

    def statfs(self) -> StatFs:
        return StatFs(MQUEUE_MAGIC)

    def add(self, name: bytes, mode: int, attr: MqAttr | None) -> MqQueue:
        """mqueue_create: a new queue."""
        queue = self.fs.make(mode, attr)
        self.insert(name, queue)
        return queue

    def create(self, name: bytes, mode: int, flags: int, path: bytes) -> File:
        return MqFile(self.add(name, mode, None), flags, path)

    def unlink(self, name: bytes) -> None:
        queue = self.lookup(name)
        super().unlink(name)
        assert isinstance(queue, MqQueue)
        queue.forget()

    def refuse(self) -> NoReturn:
        raise OSError(errno.EPERM, "only message queues are here")

    def tmpfile(self, mode: int, flags: int, path: bytes) -> File:
        raise OSError(errno.EOPNOTSUPP, "no unnamed queues")

    def mkdir(self, name: bytes, mode: int) -> None:
        self.refuse()

    def mknod(self, name: bytes, mode: int, dev: int) -> None:
        self.refuse()

    def symlink(self, name: bytes, target: bytes) -> None:
        self.refuse()

    def link(self, name: bytes, target: Node) -> None:
        self.refuse()

    def rename(self, name: bytes, to: Node, new_name: bytes, flags: int) -> None:
        self.lookup(name)
        self.refuse()

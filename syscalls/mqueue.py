"""POSIX message queues: mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING

from kernel.mqueue import (
    MQ_PRIO_MAX,
    NOTIFY_COOKIE_LEN,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    Message,
    MqAttr,
    MqFile,
    Notification,
    send,
)
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.time import timespec
from vfs.file import O_CREAT, O_NONBLOCK, O_RDONLY, O_WRONLY
from vfs.netlink import NetlinkSock

if TYPE_CHECKING:
    from kernel.task import Task

PATH_MAX = 4096
NSIG = 64
_MQ_ATTR = Struct("<4q32x")  # flags, maxmsg, msgsize, curmsgs
_SIGEVENT = Struct("<Qii48x")  # value, signo, notify


def sys_mq_open(t: Task, name: Ptr, flags: Int, mode: UInt, attr: Ptr) -> Result:
    """mq_open(2): `name` is without the slash that mq_open(3) takes."""
    wanted = None
    if attr and flags & O_CREAT:
        _, maxmsg, msgsize, _ = t.mm.unpack(_MQ_ATTR, attr)
        wanted = MqAttr(maxmsg, msgsize)
    text = _name(t, name)
    t.files.unused()
    return t.files.install(t.kernel.mqueues.open(t, text, flags, mode & 0o7777, wanted), cloexec=True)


def _name(t: Task, address: int) -> bytes:
    text = t.mm.cstring(address, PATH_MAX)
    if not text:
        raise OSError(errno.ENOENT, "no name")
    return text


def sys_mq_unlink(t: Task, name: Ptr) -> Result:
    """mq_unlink(2)."""
    t.kernel.mqueues.unlink(_name(t, name))
    return 0


def _queue(t: Task, fd: int) -> MqFile:
    file = t.files.get_io(fd)
    if not isinstance(file, MqFile):
        raise OSError(errno.EBADF, "not a message queue")
    return file


@contextmanager
def _held(file: MqFile) -> Iterator[None]:
    """A reference while a call waits: another thread may close the descriptor."""
    file.refs += 1
    try:
        yield
    finally:
        file.put()


def sys_mq_timedsend(t: Task, fd: Int, text: Ptr, size: ULong, prio: UInt, timeout: Ptr) -> Result:
    """mq_timedsend(2)."""
    deadline = timespec(t, timeout) if timeout else None
    if prio >= MQ_PRIO_MAX:
        raise OSError(errno.EINVAL, "no such priority")
    file = _queue(t, fd)
    file.check(O_RDONLY)
    if size > file.node.attr.msgsize:
        raise OSError(errno.EMSGSIZE, "too long for the queue")
    waits = send(file, t.mm.read(text, size), prio)
    return 0 if waits is None else _send_on(t, file, waits, deadline)


async def _send_on(t: Task, file: MqFile, message: Message, deadline: int | None) -> int:
    queue = file.node
    with _held(file):
        await queue.sleep(t, queue.senders, message, deadline)
    return 0


def sys_mq_timedreceive(t: Task, fd: Int, text: Ptr, size: ULong, prio: Ptr, timeout: Ptr) -> Result:
    """mq_timedreceive(2)."""
    deadline = timespec(t, timeout) if timeout else None
    file = _queue(t, fd)
    file.check(O_WRONLY)
    queue = file.node
    if size < queue.attr.msgsize:
        raise OSError(errno.EMSGSIZE, "less than the queue's messages")
    if queue.messages:
        return _give(t, file, queue.receive(), text, prio)
    if file.flags & O_NONBLOCK:
        raise OSError(errno.EAGAIN, "the queue is empty")
    return _receive_on(t, file, text, prio, deadline)


async def _receive_on(t: Task, file: MqFile, text: int, prio: int, deadline: int | None) -> int:
    queue = file.node
    with _held(file):
        waiter = await queue.sleep(t, queue.receivers, None, deadline)
        assert waiter.message is not None
        return _give(t, file, waiter.message, text, prio)


def _give(t: Task, file: MqFile, message: Message, text: int, prio: int) -> int:
    """A message that cannot be stored is lost."""
    file.node.fs.keep(-len(message.text))
    if prio:
        t.mm.put_u32(prio, -message.rank)
    t.mm.write(text, message.text)
    return len(message.text)


def sys_mq_notify(t: Task, fd: Int, event: Ptr) -> Result:
    """mq_notify(2).  SIGEV_THREAD is what mq_notify(3) makes of it: a cookie for a netlink socket."""
    wanted = None
    if event:
        value, signo, kind = t.mm.unpack(_SIGEVENT, event)
        if kind not in (SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD):
            raise OSError(errno.EINVAL, "no such notification")
        if kind == SIGEV_SIGNAL and not 0 <= signo <= NSIG:
            raise OSError(errno.EINVAL, "no such signal")
        wanted = Notification(t, kind, signo, value)
        if kind == SIGEV_THREAD:
            wanted.cookie = t.mm.read(value, NOTIFY_COOKIE_LEN)
            wanted.sock = _netlink(t, signo)
    _queue(t, fd).node.register(t, wanted)
    return 0


def _netlink(t: Task, fd: int) -> NetlinkSock:
    """netlink_getsockbyfd.  Raises OSError EBADF, ENOTSOCK, EINVAL."""
    file = t.files.get_io(fd)
    if file.sock is None:
        raise OSError(errno.ENOTSOCK, "not a socket")
    if not isinstance(file.sock, NetlinkSock):
        raise OSError(errno.EINVAL, "not a netlink socket")
    return file.sock


def sys_mq_getsetattr(t: Task, fd: Int, new: Ptr, old: Ptr) -> Result:
    """mq_getsetattr(2)."""
    flags = 0
    if new:
        flags = t.mm.unpack(_MQ_ATTR, new)[0]
        if flags & ~O_NONBLOCK:
            raise OSError(errno.EINVAL, "only O_NONBLOCK can be changed")
    file = _queue(t, fd)
    before = file.flags & O_NONBLOCK
    if new:
        file.flags = file.flags & ~O_NONBLOCK | flags
        file.node.atime = file.node.ctime = file.node.fs.now()
    if old:
        attr = file.node.attr
        t.mm.pack(_MQ_ATTR, old, before, attr.maxmsg, attr.msgsize, len(file.node.messages))
    return 0

"""System V message queues: msgget, msgsnd, msgrcv, msgctl."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.engine import READ
from kernel.ipc import IPC_INFO, IPC_NOWAIT, IPC_RMID, IPC_SET, IPC_STAT, S_IRUGO
from kernel.msg import MSG_COPY, MSG_EXCEPT, Message, Wanted
from syscalls.abi import Int, Long, Ptr, Result

if TYPE_CHECKING:
    from kernel.msg import MsgQueue
    from kernel.task import Task

MSG_STAT, MSG_INFO, MSG_STAT_ANY = 11, 12, 13
_MSQID_DS_SIZE = 120
_QBYTES_AT = 88


def sys_msgget(t: Task, key: Int, flags: Int) -> Result:
    """msgget(2)."""
    return t.kernel.ipc.msg.msgget(t, key, flags)


def sys_msgsnd(t: Task, msqid: Int, msgp: Ptr, size: Long, flags: Int) -> Result:
    """msgsnd(2)."""
    queues = t.kernel.ipc.msg
    kind = t.mm.u64(msgp)
    if not 0 <= size <= queues.largest or msqid < 0 or not 1 <= kind < 1 << 63:
        raise OSError(errno.EINVAL, "not a message")
    message = Message(kind, t.mm.read(msgp + 8, size))
    queue = queues.find(msqid)
    if not queues.may_send(t, queue, size, flags):
        return queues.send(t, queue, message, flags)
    queue.put(message, t.tgid)
    return 0


def sys_msgrcv(t: Task, msqid: Int, msgp: Ptr, size: Long, kind: Long, flags: Int) -> Result:
    """msgrcv(2)."""
    queues = t.kernel.ipc.msg
    if msqid < 0 or size < 0:
        raise OSError(errno.EINVAL, "negative")
    if flags & MSG_COPY:
        if flags & MSG_EXCEPT or not flags & IPC_NOWAIT:
            raise OSError(errno.EINVAL, "MSG_COPY is for looking without waiting")
        t.mm.spans(msgp, min(size, queues.largest), READ)  # prepare_copy fills its copy from there
    wanted = Wanted(kind, flags)
    queue = queues.find(msqid)
    found = queues.receive(t, queue, wanted, size, flags)
    if found is None:
        return _wait(t, queue, wanted, msgp, size, flags)
    return _give(t, found, msgp, size)


async def _wait(t: Task, queue: MsgQueue, wanted: Wanted, msgp: int, size: int, flags: int) -> int:
    return _give(t, await t.kernel.ipc.msg.wait(t, queue, wanted, size, flags), msgp, size)


def _give(t: Task, found: Message, msgp: int, size: int) -> int:
    """do_msg_fill: a message that cannot be stored is lost."""
    t.mm.put_u64(msgp, found.type)
    t.mm.write(msgp + 8, found.text[:size])
    return min(size, len(found.text))


def sys_msgctl(t: Task, msqid: Int, cmd: Int, buf: Ptr) -> Result:
    """msgctl(2)."""
    if msqid < 0 or cmd < 0:
        raise OSError(errno.EINVAL, "negative")
    queues = t.kernel.ipc.msg
    if cmd in (IPC_INFO, MSG_INFO):
        t.mm.write(buf, queues.limits() if cmd == IPC_INFO else queues.usage())
        return queues.highest()
    if cmd in (IPC_STAT, MSG_STAT, MSG_STAT_ANY):
        found = queues.find(msqid) if cmd == IPC_STAT else queues.at(msqid)
        if cmd != MSG_STAT_ANY:
            found.check(t, S_IRUGO)
        t.mm.write(buf, found.stat())
        return 0 if cmd == IPC_STAT else found.id
    if cmd not in (IPC_SET, IPC_RMID):
        raise OSError(errno.EINVAL, "no such command")
    raw = t.mm.read(buf, _MSQID_DS_SIZE) if cmd == IPC_SET else b""
    found = queues.find(msqid)
    found.check_owner(t)
    if cmd == IPC_SET:
        found.set(t, raw, int.from_bytes(raw[_QBYTES_AT : _QBYTES_AT + 8], "little"))
    else:
        queues.remove(found)
    return 0

"""System V shared memory: shmget, shmat, shmdt, shmctl."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.ipc import IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, S_IRUGO
from syscalls.abi import Int, Ptr, Result, ULong

if TYPE_CHECKING:
    from kernel.task import Task

SHM_LOCK, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY = 11, 12, 13, 14, 15
_SHMID_DS_SIZE = 112


def sys_shmget(t: Task, key: Int, size: ULong, flags: Int) -> Result:
    """shmget(2)."""
    return t.kernel.ipc.shm.shmget(t, key, size, flags)


def sys_shmat(t: Task, shmid: Int, addr: Ptr, flags: Int) -> Result:
    """shmat(2)."""
    return t.kernel.ipc.shm.shmat(t, shmid, addr, flags)


def sys_shmdt(t: Task, addr: Ptr) -> Result:
    """shmdt(2)."""
    t.kernel.ipc.shm.shmdt(t, addr)
    return 0


def sys_shmctl(t: Task, shmid: Int, cmd: Int, buf: Ptr) -> Result:
    """shmctl(2)."""
    if cmd < 0 or shmid < 0:
        raise OSError(errno.EINVAL, "negative")
    segments = t.kernel.ipc.shm
    if cmd == IPC_INFO:
        t.mm.write(buf, segments.limits())
        return segments.highest()
    if cmd == SHM_INFO:
        t.mm.write(buf, segments.usage())
        return segments.highest()
    if cmd in (IPC_STAT, SHM_STAT, SHM_STAT_ANY):
        segment = segments.find(shmid) if cmd == IPC_STAT else segments.at(shmid)
        if cmd != SHM_STAT_ANY:
            segment.check(t, S_IRUGO)
        t.mm.write(buf, segment.stat())
        return 0 if cmd == IPC_STAT else segment.id
    if cmd in (SHM_LOCK, SHM_UNLOCK):
        segments.find(shmid).set_locked(t, cmd == SHM_LOCK)
        return 0
    if cmd not in (IPC_SET, IPC_RMID):
        raise OSError(errno.EINVAL, "no such command")
    raw = t.mm.read(buf, _SHMID_DS_SIZE) if cmd == IPC_SET else b""
    segment = segments.find(shmid)
    segment.check_owner(t)
    if cmd == IPC_SET:
        segment.update_perm(raw)
    else:
        segments.mark(segment)
    return 0

"""System V semaphores: semget, semop, semtimedop, semctl."""

from __future__ import annotations

import errno
from array import array
from struct import Struct
from typing import TYPE_CHECKING

from kernel.ipc import IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, S_IRUGO, S_IWUGO
from kernel.sem import SEMVMX, SemBuf
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.structs import TIMESPEC
from syscalls.time import nanoseconds

if TYPE_CHECKING:
    from kernel.sem import SemArray
    from kernel.task import Task

GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL = range(11, 18)
SEM_STAT, SEM_INFO, SEM_STAT_ANY = 18, 19, 20
_SEMBUF = Struct("<Hhh")
_SEMID_DS_SIZE = 104


def sys_semget(t: Task, key: Int, nsems: Int, flags: Int) -> Result:
    """semget(2)."""
    return t.kernel.ipc.sem.semget(t, key, nsems, flags)


def sys_semop(t: Task, semid: Int, sops: Ptr, nsops: UInt) -> Result:
    """semop(2)."""
    return _semop(t, semid, sops, nsops, None)


def sys_semtimedop(t: Task, semid: Int, sops: Ptr, nsops: UInt, timeout: Ptr) -> Result:
    """semtimedop(2)."""
    return _semop(t, semid, sops, nsops, t.mm.unpack(TIMESPEC, timeout) if timeout else None)


def _semop(t: Task, semid: int, sops: int, nsops: int, timeout: tuple[int, ...] | None) -> Result:
    arrays = t.kernel.ipc.sem
    if nsops > arrays.most_ops:
        raise OSError(errno.E2BIG, "too many operations")
    raw = t.mm.read(sops, _SEMBUF.size * nsops)
    if not nsops or semid < 0:
        raise OSError(errno.EINVAL, "nothing to do")
    timeout_ns = None if timeout is None else nanoseconds(timeout[0], timeout[1])
    waits = arrays.semop(t, semid, [SemBuf(*each) for each in _SEMBUF.iter_unpack(raw)])
    return 0 if waits is None else arrays.sleep(t, *waits, timeout_ns)


def sys_semctl(t: Task, semid: Int, semnum: Int, cmd: Int, arg: ULong) -> Result:
    """semctl(2)."""
    if semid < 0:
        raise OSError(errno.EINVAL, "negative")
    arrays = t.kernel.ipc.sem
    if cmd in (IPC_INFO, SEM_INFO):
        t.mm.write(arg, arrays.limits() if cmd == IPC_INFO else arrays.usage())
        return arrays.highest()
    if cmd in (IPC_STAT, SEM_STAT, SEM_STAT_ANY):
        found = arrays.find(semid) if cmd == IPC_STAT else arrays.at(semid)
        if cmd != SEM_STAT_ANY:
            found.check(t, S_IRUGO)
        t.mm.write(arg, found.stat())
        return 0 if cmd == IPC_STAT else found.id
    if cmd == SETVAL:
        value = (arg & 0xFFFF_FFFF) - (arg >> 31 & 1) * (1 << 32)
        if not 0 <= value <= SEMVMX:
            raise OSError(errno.ERANGE, "not a value")
        found = arrays.find(semid)
        found.check_number(semnum)
        found.check(t, S_IWUGO)
        found.set(semnum, value, t.tgid)
        return 0
    if cmd in _QUERIES or cmd in (GETALL, SETALL):
        return _values(t, arrays.find(semid), semnum, cmd, arg)
    if cmd not in (IPC_SET, IPC_RMID):
        raise OSError(errno.EINVAL, "no such command")
    raw = t.mm.read(arg, _SEMID_DS_SIZE) if cmd == IPC_SET else b""
    found = arrays.find(semid)
    found.check_owner(t)
    if cmd == IPC_SET:
        found.update_perm(raw)
    else:
        arrays.remove(found)
    return 0


_QUERIES = {
    GETVAL: lambda found, number: found.values[number],
    GETPID: lambda found, number: found.pids[number],
    GETNCNT: lambda found, number: found.waiting(number, False),
    GETZCNT: lambda found, number: found.waiting(number, True),
}


def _values(t: Task, found: SemArray, number: int, cmd: int, address: int) -> int:
    """semctl_main: values read, and set all at once."""
    found.check(t, S_IWUGO if cmd == SETALL else S_IRUGO)
    if cmd == GETALL:
        t.mm.write(address, found.values.tobytes())
        return 0
    if cmd == SETALL:
        values = array("H", t.mm.read(address, 2 * found.count))
        if max(values) > SEMVMX:
            raise OSError(errno.ERANGE, "not a value")
        found.set_all(array("h", values.tobytes()), t.tgid)
        return 0
    found.check_number(number)
    result: int = _QUERIES[cmd](found, number)
    return result

"""Who a task is: process ids, groups and sessions, user and group ids, capabilities."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.cred import CAP_ALL, NGROUPS_MAX, Credentials, commit_creds
from syscalls.abi import Int, Ptr, UInt
from syscalls.structs import CAP_DATA, CAP_HEADER, U32

if TYPE_CHECKING:
    from kernel.task import Task

# Process ids, credentials(7)


def sys_getpid(t: Task) -> int:
    """getpid(2)."""
    return t.tgid


def sys_gettid(t: Task) -> int:
    """gettid(2)."""
    return t.tid


def sys_getppid(t: Task) -> int:
    """getppid(2)."""
    return t.ppid


def _process(t: Task, pid: int) -> Task:
    """The task `pid` names, the caller for 0.  Raises OSError(ESRCH)."""
    found = t if pid == 0 else t.kernel.tasks.get(pid)
    if found is None:
        raise OSError(errno.ESRCH, "no such process")
    return found


def sys_getpgid(t: Task, pid: Int) -> int:
    """getpgid(2)."""
    return _process(t, pid).pgid


def sys_getpgrp(t: Task) -> int:
    """getpgrp(2)."""
    return t.pgid


def sys_getsid(t: Task, pid: Int) -> int:
    """getsid(2)."""
    return _process(t, pid).sid


def sys_setpgid(t: Task, pid: Int, pgid: Int) -> int:
    """setpgid(2)."""
    if pgid < 0:
        raise OSError(errno.EINVAL, "negative group")
    process = _process(t, pid)
    group = pgid or process.tgid
    if process.tid != process.tgid:
        raise OSError(errno.EINVAL, "not a process")
    if process.tgid != t.tgid and process.ppid != t.tgid:
        raise OSError(errno.ESRCH, "neither the caller nor its child")
    if process.tgid != t.tgid and process.sid == t.sid and not process.forked:
        raise OSError(errno.EACCES, "a child that has called exec")
    if process.sid != t.sid or process.sid == process.tgid:
        raise OSError(errno.EPERM, "another session, or its leader")
    if group != process.tgid and not any(
        other.pgid == group and other.sid == t.sid for other in t.kernel.tasks.values()
    ):
        raise OSError(errno.EPERM, "no such group in this session")
    for thread in process.signals.shared.threads:
        thread.pgid = group
    return 0


def sys_setsid(t: Task) -> int:
    """setsid(2)."""
    if any(other.pgid == t.tgid for other in t.kernel.tasks.values()):
        raise OSError(errno.EPERM, "already leads a group")
    for thread in t.signals.shared.threads:
        thread.sid = thread.pgid = t.tgid
    t.signals.shared.tty = None
    return t.tgid


# User and group ids


def sys_getuid(t: Task) -> int:
    """getuid(2)."""
    return t.cred.uid


def sys_geteuid(t: Task) -> int:
    """geteuid(2)."""
    return t.cred.euid


def sys_getgid(t: Task) -> int:
    """getgid(2)."""
    return t.cred.gid


def sys_getegid(t: Task) -> int:
    """getegid(2)."""
    return t.cred.egid


def sys_getresuid(t: Task, ruid: Ptr, euid: Ptr, suid: Ptr) -> int:
    """getresuid(2)."""
    t.mm.put_u32(ruid, t.cred.uid)
    t.mm.put_u32(euid, t.cred.euid)
    t.mm.put_u32(suid, t.cred.suid)
    return 0


def sys_getresgid(t: Task, rgid: Ptr, egid: Ptr, sgid: Ptr) -> int:
    """getresgid(2)."""
    t.mm.put_u32(rgid, t.cred.gid)
    t.mm.put_u32(egid, t.cred.egid)
    t.mm.put_u32(sgid, t.cred.sgid)
    return 0


def _commit(t: Task, new: Credentials) -> int:
    commit_creds(t, new)
    return 0


def sys_setuid(t: Task, uid: UInt) -> int:
    """setuid(2)."""
    new = t.cred.copy()
    new.setuid(uid)
    return _commit(t, new)


def sys_setgid(t: Task, gid: UInt) -> int:
    """setgid(2)."""
    new = t.cred.copy()
    new.setgid(gid)
    return _commit(t, new)


def sys_setreuid(t: Task, ruid: UInt, euid: UInt) -> int:
    """setreuid(2)."""
    new = t.cred.copy()
    new.setreuid(ruid, euid)
    return _commit(t, new)


def sys_setregid(t: Task, rgid: UInt, egid: UInt) -> int:
    """setregid(2)."""
    new = t.cred.copy()
    new.setregid(rgid, egid)
    return _commit(t, new)


def sys_setresuid(t: Task, ruid: UInt, euid: UInt, suid: UInt) -> int:
    """setresuid(2)."""
    new = t.cred.copy()
    new.setresuid(ruid, euid, suid)
    return _commit(t, new)


def sys_setresgid(t: Task, rgid: UInt, egid: UInt, sgid: UInt) -> int:
    """setresgid(2)."""
    new = t.cred.copy()
    new.setresgid(rgid, egid, sgid)
    return _commit(t, new)


def sys_setfsuid(t: Task, uid: UInt) -> int:
    """setfsuid(2): the old one, whether it changed or not."""
    old, new = t.cred.fsuid, t.cred.copy()
    new.setfsuid(uid)
    commit_creds(t, new)
    return old


def sys_setfsgid(t: Task, gid: UInt) -> int:
    """setfsgid(2): the old one, whether it changed or not."""
    old, new = t.cred.fsgid, t.cred.copy()
    new.setfsgid(gid)
    commit_creds(t, new)
    return old


def sys_getgroups(t: Task, size: Int, groups: Ptr) -> int:
    """getgroups(2)."""
    mine = t.cred.groups
    if size < 0 or 0 < size < len(mine):
        raise OSError(errno.EINVAL, "too small")
    if size:
        t.mm.write(groups, b"".join(map(U32.pack, mine)))
    return len(mine)


def sys_setgroups(t: Task, size: Int, groups: Ptr) -> int:
    """setgroups(2)."""
    t.cred.may_setgroups()
    if not 0 <= size <= NGROUPS_MAX:
        raise OSError(errno.EINVAL, "too many groups")
    new = t.cred.copy()
    new.setgroups(tuple(gid for (gid,) in U32.iter_unpack(t.mm.read(groups, 4 * size))) if size else ())
    return _commit(t, new)


# Capabilities.  The header's version says whether one or two 32-bit words follow per set.

_CAP_WORDS = {0x19980330: 1, 0x20071026: 2, 0x20080522: 2}
_CAP_VERSION_3 = 0x20080522


def _cap_header(t: Task, header: int) -> tuple[int, int]:
    """(words per set, pid); an unknown version is answered with the one we prefer, and EINVAL."""
    version, pid = t.mm.unpack(CAP_HEADER, header)
    words = _CAP_WORDS.get(version)
    if words is None:
        t.mm.put_u32(header, _CAP_VERSION_3)
        raise OSError(errno.EINVAL, "unknown version")
    return words, pid


def sys_capget(t: Task, header: Ptr, data: Ptr) -> int:
    """capget(2)."""
    try:
        words, pid = _cap_header(t, header)
    except OSError as error:
        if error.errno == errno.EINVAL and not data:
            return 0  # the way to ask for the version
        raise
    if not data:
        return 0
    if pid < 0:
        raise OSError(errno.EINVAL, "negative pid")
    cred = _process(t, pid).cred
    sets = (cred.cap_effective, cred.cap_permitted, cred.cap_inheritable)
    for word in range(words):
        t.mm.pack(CAP_DATA, data + word * CAP_DATA.size, *(caps >> 32 * word & 0xFFFFFFFF for caps in sets))
    return 0


def sys_capset(t: Task, header: Ptr, data: Ptr) -> int:
    """capset(2)."""
    words, pid = _cap_header(t, header)
    if pid not in (0, t.tid):
        raise OSError(errno.EPERM, "only its own")
    sets = [0, 0, 0]
    for word in range(words):
        for i, bits in enumerate(t.mm.unpack(CAP_DATA, data + word * CAP_DATA.size)):
            sets[i] |= bits << 32 * word
    effective, permitted, inheritable = (caps & CAP_ALL for caps in sets)
    new = t.cred.copy()
    new.capset(effective, permitted, inheritable)
    return _commit(t, new)

"""Who a task acts as: Linux's ``struct cred``, with the rules for changing it (credentials(7),
capabilities(7)).

As in Linux a set of credentials is never changed once it is in use: a call prepares a copy, changes
that, and `commit_creds` installs it.  Open files may therefore keep the set they were opened with.
User and group ids are 32 bits wide, and -1 (`UNCHANGED`) is never a valid one.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from vfs.fscred import (
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
    override_creds,
)

if TYPE_CHECKING:
    from kernel.task import Task

UNCHANGED = 0xFFFFFFFF
NGROUPS_MAX = 65536

CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_LINUX_IMMUTABLE = range(5, 10)
CAP_NET_ADMIN, CAP_IPC_LOCK, CAP_IPC_OWNER, CAP_SYS_CHROOT, CAP_SYS_PTRACE = 12, 14, 15, 18, 19
CAP_SYS_ADMIN, CAP_SYS_BOOT = 21, 22
CAP_SYS_NICE, CAP_SYS_RESOURCE, CAP_SYS_TIME, CAP_SYS_TTY_CONFIG, CAP_MKNOD, CAP_MAC_OVERRIDE = (
    23, 24, 25, 26, 27, 32,
)  # fmt: skip
CAP_WAKE_ALARM, CAP_BLOCK_SUSPEND = 35, 36
CAP_PERFMON, CAP_LAST_CAP = 38, 40
CAP_ALL = (1 << CAP_LAST_CAP + 1) - 1
# The capabilities that follow the filesystem uid (CAP_FS_MASK with CAP_LINUX_IMMUTABLE).
CAP_FS = (
    1 << CAP_CHOWN
    | 1 << CAP_DAC_OVERRIDE
    | 1 << CAP_DAC_READ_SEARCH
    | 1 << CAP_FOWNER
    | 1 << CAP_FSETID
    | 1 << CAP_LINUX_IMMUTABLE
    | 1 << CAP_MKNOD
    | 1 << CAP_MAC_OVERRIDE
)

SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP, SECBIT_KEEP_CAPS, SECBIT_NO_CAP_AMBIENT_RAISE = 1 << 0, 1 << 2, 1 << 4, 1 << 6
SECURE_ALL_UNPRIVILEGED = 1 << 8 | 1 << 10  # EXEC_RESTRICT_FILE, EXEC_DENY_INTERACTIVE: for interpreters to heed
SECURE_ALL_BITS = 0x55 | SECURE_ALL_UNPRIVILEGED
SECURE_ALL_LOCKS = SECURE_ALL_BITS << 1


class Credentials:
    """Real, effective, saved and filesystem ids, supplementary groups (sorted), capability sets (bit
    n is capability n) and securebits.  The methods that set something raise EPERM and EINVAL."""

    __slots__ = (
        "cap_ambient", "cap_bounding", "cap_effective", "cap_inheritable", "cap_permitted", "egid", "euid", "fsgid",
        "fsuid", "gid", "groups", "securebits", "sgid", "suid", "uid",
    )  # fmt: skip

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...] = (), capabilities: int = 0) -> None:
        """All ids of a kind are the same; `capabilities` are those permitted and in effect."""
        self.uid = self.euid = self.suid = self.fsuid = uid
        self.gid = self.egid = self.sgid = self.fsgid = gid
        self.groups = groups
        self.cap_effective = self.cap_permitted = capabilities
        self.cap_inheritable = self.cap_ambient = 0
        self.cap_bounding = CAP_ALL
        self.securebits = 0

    def copy(self) -> Credentials:
        """prepare_creds: a set to change and then commit."""
        new = Credentials.__new__(Credentials)
        for name in Credentials.__slots__:
            setattr(new, name, getattr(self, name))
        return new

    def capable(self, cap: int) -> bool:
        return bool(self.cap_effective >> cap & 1)

    def perfmon_capable(self) -> bool:
        """CAP_PERFMON, which was split off CAP_SYS_ADMIN: for observing every process (mm_access)."""
        return self.capable(CAP_PERFMON) or self.capable(CAP_SYS_ADMIN)

    def in_group(self, gid: int) -> bool:
        """Membership as file permissions see it."""
        return gid == self.fsgid or gid in self.groups

    def for_access(self) -> Credentials:
        """access_override_creds: the real ids, and what they would have in effect; itself if that is the same."""
        capabilities = self.cap_effective
        if not self.securebits & SECBIT_NO_SETUID_FIXUP:
            capabilities = 0 if self.uid else self.cap_permitted
        if (self.fsuid, self.fsgid, self.cap_effective) == (self.uid, self.gid, capabilities):
            return self
        real = self.copy()
        real.fsuid, real.fsgid, real.cap_effective = self.uid, self.gid, capabilities
        return real

    # User ids

    def setuid(self, uid: int) -> None:
        """setuid(2)."""
        _valid(uid)
        if self.capable(CAP_SETUID):
            self._set_uids(uid, uid, uid)
        elif uid in (self.uid, self.suid):
            self._set_uids(self.uid, uid, self.suid)
        else:
            raise OSError(errno.EPERM, "not a uid of this task")

    def setreuid(self, uid: int, euid: int) -> None:
        """setreuid(2)."""
        privileged = self.capable(CAP_SETUID)
        new_uid, new_euid, new_suid = self.uid, self.euid, self.suid
        if uid != UNCHANGED:
            new_uid = uid
            if uid not in (self.uid, self.euid) and not privileged:
                raise OSError(errno.EPERM, "not a uid of this task")
        if euid != UNCHANGED:
            new_euid = euid
            if euid not in (self.uid, self.euid, self.suid) and not privileged:
                raise OSError(errno.EPERM, "not a uid of this task")
        if uid != UNCHANGED or (euid != UNCHANGED and euid != self.uid):
            new_suid = new_euid
        self._set_uids(new_uid, new_euid, new_suid)

    def setresuid(self, uid: int, euid: int, suid: int) -> None:
        """setresuid(2)."""
        mine = (self.uid, self.euid, self.suid, UNCHANGED)
        if not (uid in mine and euid in mine and suid in mine) and not self.capable(CAP_SETUID):
            raise OSError(errno.EPERM, "not a uid of this task")
        self._set_uids(
            self.uid if uid == UNCHANGED else uid,
            self.euid if euid == UNCHANGED else euid,
            self.suid if suid == UNCHANGED else suid,
        )

    def setfsuid(self, uid: int) -> None:
        """setfsuid(2): does nothing where it is not allowed."""
        allowed = uid in (self.uid, self.euid, self.suid, self.fsuid) or self.capable(CAP_SETUID)
        if uid == UNCHANGED or not allowed:
            return
        if not self.securebits & SECBIT_NO_SETUID_FIXUP:
            if self.fsuid == 0 and uid != 0:
                self.cap_effective &= ~CAP_FS
            elif self.fsuid != 0 and uid == 0:
                self.cap_effective |= self.cap_permitted & CAP_FS
        self.fsuid = uid

    def _set_uids(self, uid: int, euid: int, suid: int) -> None:
        """Set the three, and what a change from or to root does to the capabilities."""
        was_root = 0 in (self.uid, self.euid, self.suid)
        old_euid = self.euid
        self.uid, self.euid, self.suid, self.fsuid = uid, euid, suid, euid
        if self.securebits & SECBIT_NO_SETUID_FIXUP:
            return
        if was_root and 0 not in (uid, euid, suid):
            if not self.securebits & SECBIT_KEEP_CAPS:
                self.cap_permitted = self.cap_effective = 0
            self.cap_ambient = 0
        if old_euid == 0 and euid != 0:
            self.cap_effective = 0
        elif old_euid != 0 and euid == 0:
            self.cap_effective = self.cap_permitted

    # Group ids

    def setgid(self, gid: int) -> None:
        """setgid(2)."""
        _valid(gid)
        if self.capable(CAP_SETGID):
            self.gid = self.sgid = gid
        elif gid not in (self.gid, self.sgid):
            raise OSError(errno.EPERM, "not a gid of this task")
        self.egid = self.fsgid = gid

    def setregid(self, gid: int, egid: int) -> None:
        """setregid(2)."""
        privileged = self.capable(CAP_SETGID)
        new_gid, new_egid, new_sgid = self.gid, self.egid, self.sgid
        if gid != UNCHANGED:
            new_gid = gid
            if gid not in (self.gid, self.egid) and not privileged:
                raise OSError(errno.EPERM, "not a gid of this task")
        if egid != UNCHANGED:
            new_egid = egid
            if egid not in (self.gid, self.egid, self.sgid) and not privileged:
                raise OSError(errno.EPERM, "not a gid of this task")
        if gid != UNCHANGED or (egid != UNCHANGED and egid != self.gid):
            new_sgid = new_egid
        self.gid, self.egid, self.sgid, self.fsgid = new_gid, new_egid, new_sgid, new_egid

    def setresgid(self, gid: int, egid: int, sgid: int) -> None:
        """setresgid(2)."""
        mine = (self.gid, self.egid, self.sgid, UNCHANGED)
        if not (gid in mine and egid in mine and sgid in mine) and not self.capable(CAP_SETGID):
            raise OSError(errno.EPERM, "not a gid of this task")
        self.gid = self.gid if gid == UNCHANGED else gid
        self.egid = self.egid if egid == UNCHANGED else egid
        self.sgid = self.sgid if sgid == UNCHANGED else sgid
        self.fsgid = self.egid

    def setfsgid(self, gid: int) -> None:
        """setfsgid(2): does nothing where it is not allowed."""
        allowed = gid in (self.gid, self.egid, self.sgid, self.fsgid) or self.capable(CAP_SETGID)
        if gid != UNCHANGED and allowed:
            self.fsgid = gid

    def may_setgroups(self) -> None:
        """EPERM unless setgroups(2) is allowed."""
        if not self.capable(CAP_SETGID):
            raise OSError(errno.EPERM, "needs CAP_SETGID")

    def setgroups(self, groups: tuple[int, ...]) -> None:
        """setgroups(2); Linux keeps the list sorted."""
        self.may_setgroups()
        if UNCHANGED in groups:
            raise OSError(errno.EINVAL, "not a gid")
        self.groups = tuple(sorted(groups))

    # Capabilities

    def capset(self, effective: int, permitted: int, inheritable: int) -> None:
        """capset(2)."""
        old_inheritable, old_permitted = self.cap_inheritable, self.cap_permitted
        if not self.capable(CAP_SETPCAP) and inheritable & ~(old_inheritable | old_permitted):
            raise OSError(errno.EPERM, "inheritable set grows")
        if inheritable & ~(old_inheritable | self.cap_bounding):
            raise OSError(errno.EPERM, "inheritable set leaves the bounding set")
        if permitted & ~old_permitted:
            raise OSError(errno.EPERM, "permitted set grows")
        if effective & ~permitted:
            raise OSError(errno.EPERM, "effective set leaves the permitted set")
        self.cap_effective = effective
        self.cap_permitted = permitted
        self.cap_inheritable = inheritable
        self.cap_ambient &= permitted & inheritable

    def drop_bounding(self, cap: int) -> None:
        """prctl(PR_CAPBSET_DROP)."""
        if not self.capable(CAP_SETPCAP):
            raise OSError(errno.EPERM, "needs CAP_SETPCAP")
        if cap > CAP_LAST_CAP:
            raise OSError(errno.EINVAL, "no such capability")
        self.cap_bounding &= ~(1 << cap)

    def raise_ambient(self, cap: int) -> None:
        """prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE)."""
        if not (self.cap_permitted & self.cap_inheritable) >> cap & 1 or self.securebits & SECBIT_NO_CAP_AMBIENT_RAISE:
            raise OSError(errno.EPERM, "not both permitted and inheritable")
        self.cap_ambient |= 1 << cap

    def set_keep_caps(self, on: bool) -> None:
        """prctl(PR_SET_KEEPCAPS)."""
        if self.securebits & SECBIT_KEEP_CAPS << 1:
            raise OSError(errno.EPERM, "locked")
        self.securebits = self.securebits | SECBIT_KEEP_CAPS if on else self.securebits & ~SECBIT_KEEP_CAPS

    def set_securebits(self, bits: int) -> None:
        """prctl(PR_SET_SECUREBITS)."""
        locked = (self.securebits & SECURE_ALL_LOCKS) >> 1
        changed = self.securebits ^ bits
        own_affair = bool(changed) and not changed & ~(SECURE_ALL_UNPRIVILEGED * 3)  # with their locks
        if (
            locked & changed
            or self.securebits & SECURE_ALL_LOCKS & ~bits
            or bits & ~(SECURE_ALL_LOCKS | SECURE_ALL_BITS)
            or not (own_affair or self.capable(CAP_SETPCAP))
        ):
            raise OSError(errno.EPERM, "securebits")
        self.securebits = bits


def _valid(id: int) -> None:
    if id == UNCHANGED:
        raise OSError(errno.EINVAL, "not an id")


def host_capabilities() -> dict[str, int] | None:
    """The capability sets lxrun itself has, by their names in Credentials; None on a host without them."""
    names = {
        "CapInh": "inheritable",
        "CapPrm": "permitted",
        "CapEff": "effective",
        "CapBnd": "bounding",
        "CapAmb": "ambient",
    }
    try:
        with open("/proc/self/status", encoding="latin-1") as status:
            lines = [line.partition(":") for line in status]
    except OSError:
        return None
    return {"cap_" + names[key]: int(value, 16) & CAP_ALL for key, _, value in lines if key in names}


def initial_credentials(uid: int, gid: int, groups: tuple[int, ...] = ()) -> Credentials:
    """What the guest's first task has: the capabilities of whoever runs lxrun; on a host without any,
    root has all of them and others have none."""
    cred = Credentials(uid, gid, tuple(sorted(groups)), 0 if uid else CAP_ALL)
    for name, capabilities in (host_capabilities() or {}).items():
        setattr(cred, name, capabilities)
    return cred


def commit_creds(task: Task, new: Credentials) -> None:
    """Make `task` act as `new`.  A task that changed who it is to others can no longer be dumped by
    its old self and loses its parent-death signal."""
    old = task.cred
    if (old.euid, old.egid, old.fsuid, old.fsgid) != (
        new.euid,
        new.egid,
        new.fsuid,
        new.fsgid,
    ) or new.cap_permitted & ~old.cap_permitted:
        task.mm.dumpable = 0  # fs.suid_dumpable
        task.pdeath_signal = 0
    task.cred = new
    override_creds(new)

"""On whose behalf files are touched: ``current_fsuid()``, ``capable()`` and ``override_creds()`` of Linux.

There is one kernel thread, so it is one variable.  The host is kept in step with it: what the guest may not
do, the host must not do for it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from vfs import host

CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID = range(5)
CAP_SYS_ADMIN, CAP_MKNOD, CAP_SETFCAP = 21, 27, 31

S_IFMT, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK = 0o170000, 0o100000, 0o040000, 0o020000, 0o060000
S_ISUID, S_ISGID, S_ISVTX, S_IXGRP = 0o4000, 0o2000, 0o1000, 0o010
R_OK, W_OK, X_OK = 4, 2, 1


if TYPE_CHECKING:
    from typing import Protocol

    class FsCred(Protocol):
        """The part of ``struct cred`` that counts with files."""

        @property
        def fsuid(self) -> int: ...
        @property
        def fsgid(self) -> int: ...
        @property
        def groups(self) -> tuple[int, ...]: ...
        @property
        def cap_effective(self) -> int: ...


class Ids:
    """Such a part alone."""

    __slots__ = ("cap_effective", "fsgid", "fsuid", "groups")

    def __init__(
        self,
        fsuid: int = 0,
        fsgid: int = 0,
        groups: tuple[int, ...] = (),
        cap_effective: int = host.ALL_CAPABILITIES,
    ) -> None:
        self.fsuid = fsuid
        self.fsgid = fsgid
        self.groups = groups
        self.cap_effective = cap_effective


def _ourselves() -> Ids:
    if not hasattr(os, "getgroups"):
        return Ids()
    uid, gid, capabilities = host.OWN
    return Ids(uid, gid, tuple(sorted(os.getgroups())), capabilities)


OURSELVES: FsCred = _ourselves()
"""Whoever runs lxrun, with all the rights that gives."""
owners_count = host.CAN_ASSUME
"""Whether the owners of files are users that a task can become: where they are not, set-ID bits mean nothing."""
current: FsCred = OURSELVES
"""current_cred()."""


def override_creds(new: FsCred) -> FsCred:
    """Act as `new` from here on; whom we acted as before."""
    global current
    old, current = current, new
    if host.CAN_ASSUME:
        host.assume(new.fsuid, new.fsgid, new.groups if new.groups != old.groups else None, new.cap_effective)
    return old


def capable(cap: int) -> bool:
    return bool(current.cap_effective >> cap & 1)


def in_group(gid: int) -> bool:
    """in_group_p."""
    return gid == current.fsgid or gid in current.groups


def owner_or_capable(owner: int) -> bool:
    """inode_owner_or_capable: who may change a file's mode and times."""
    return owner == current.fsuid or capable(CAP_FOWNER)


def permission(mode: int, owner: int, group: int, wanted: int) -> None:
    """generic_permission: raise OSError(EACCES) unless the permission bits of a file, or capabilities, grant
    `wanted` (R_OK | W_OK | X_OK).  `mode` includes the file's type."""
    who = current
    if who.fsuid == owner:
        granted = mode >> 6
    elif group == who.fsgid or group in who.groups:
        granted = mode >> 3
    else:
        granted = mode
    missing = wanted & ~granted & 7
    if not missing:
        return
    directory = mode & S_IFMT == S_IFDIR
    if capable(CAP_DAC_READ_SEARCH) and not missing & (W_OK if directory else W_OK | X_OK):
        return
    # CAP_DAC_OVERRIDE: all but executing what nobody may execute
    if capable(CAP_DAC_OVERRIDE) and (directory or not missing & X_OK or mode & 0o111):
        return
    raise OSError(errno.EACCES, "permission denied")


def may_chown(owner: int, group: int, uid: int, gid: int) -> None:
    """chown_ok and chgrp_ok: raise OSError(EPERM) unless the owner `uid` and group `gid` (-1: as they are) may
    be set."""
    if capable(CAP_CHOWN):
        return
    mine = current.fsuid == owner
    if (uid != -1 and not (mine and uid == owner)) or (gid != -1 and not (mine and (gid == group or in_group(gid)))):
        raise OSError(errno.EPERM, "not the owner")


def chmod_mode(mode: int, group: int) -> int:
    """The mode that chmod(2) sets: without set-group-ID for who is not in the file's group."""
    return mode & ~S_ISGID if not in_group(group) and not capable(CAP_FSETID) else mode


def chown_mode(mode: int, owner: int) -> int:
    """The mode that chown(2) leaves a file that is no directory with.  Raises OSError(EPERM) if that is another
    one, and the caller may not change it."""
    left = mode & ~(S_ISUID | (S_ISGID if mode & S_IXGRP else 0))
    if left != mode and not owner_or_capable(owner):
        raise OSError(errno.EPERM, "not the owner")
    return left


def written_mode(mode: int, group: int) -> int:
    """file_remove_privs: the mode that a write by the current user leaves."""
    if capable(CAP_FSETID) or not mode & (S_ISUID | S_ISGID):
        return mode
    drop = S_ISGID if mode & S_IXGRP or not in_group(group) else 0
    return mode & ~(S_ISUID | drop)


def new_group(directory_mode: int, directory_group: int, mode: int) -> tuple[int, int]:
    """inode_init_owner: the group and mode of something new with `mode` (and its type) in a directory."""
    if not directory_mode & S_ISGID:
        return current.fsgid, mode
    if mode & S_IFMT == S_IFDIR:
        return directory_group, mode | S_ISGID
    if mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP and not in_group(directory_group) and not capable(CAP_FSETID):
        mode &= ~S_ISGID
    return directory_group, mode


def check_sticky(directory_mode: int, directory_owner: int, owner: int) -> None:
    """check_sticky: raise OSError(EPERM) if a sticky directory keeps the current user from removing what
    `owner` owns."""
    if directory_mode & S_ISVTX and current.fsuid not in (owner, directory_owner) and not capable(CAP_FOWNER):
        raise OSError(errno.EPERM, "sticky directory")


def may_mknod(mode: int) -> None:
    """vfs_mknod: raise OSError(EPERM) for a device file by who may not make any."""
    if mode & S_IFMT in (S_IFCHR, S_IFBLK) and not capable(CAP_MKNOD):
        raise OSError(errno.EPERM, "needs CAP_MKNOD")


def may_link(mode: int, owner: int, group: int) -> None:
    """may_linkat, fs.protected_hardlinks: raise OSError(EPERM) for a hard link to what belongs to somebody else
    and cannot be written, or is no plain file."""
    if owner_or_capable(owner) or not host.protected("hardlinks"):
        return
    if mode & S_IFMT == S_IFREG and not mode & S_ISUID and mode & (S_ISGID | S_IXGRP) != S_ISGID | S_IXGRP:
        try:
            permission(mode, owner, group, R_OK | W_OK)
            return
        except OSError:
            pass
    raise OSError(errno.EPERM, "fs.protected_hardlinks")


def xattr_permission(name: bytes, mode: int, owner: int, group: int, wanted: int) -> None:
    """xattr_permission and cap_inode_setxattr: raise OSError unless the attribute may be read (R_OK) or changed
    (W_OK)."""
    space = name.partition(b".")[0]
    if space == b"trusted":
        if not capable(CAP_SYS_ADMIN):
            raise OSError(errno.EPERM if wanted == W_OK else errno.ENODATA, "needs CAP_SYS_ADMIN")
    elif space == b"security":
        needed = CAP_SETFCAP if name == b"security.capability" else CAP_SYS_ADMIN
        if wanted == W_OK and not capable(needed):
            raise OSError(errno.EPERM, "needs a capability")
    elif space == b"user":
        kind = mode & S_IFMT
        if kind not in (S_IFREG, S_IFDIR):
            raise OSError(errno.EPERM if wanted == W_OK else errno.ENODATA, "only files and directories have any")
        if kind == S_IFDIR and mode & S_ISVTX and wanted == W_OK and not owner_or_capable(owner):
            raise OSError(errno.EPERM, "sticky directory")
        permission(mode, owner, group, wanted)

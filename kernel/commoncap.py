"""What running a program makes of credentials: Linux's ``security/commoncap.c``, execve(2), capabilities(7).

Set-user-ID and set-group-ID bits and the capabilities of files count where lxrun can act on the host as
another user, that is, where it runs as root, and where it keeps owners and modes aside.  Anywhere else a guest
would be told that it is somebody whose files it still cannot open: there the bits are ignored, as Linux ignores
them for ids that a user namespace does not map.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from kernel.cred import CAP_SETUID, CAP_SYS_PTRACE, SECBIT_KEEP_CAPS, SECBIT_NOROOT, Credentials
from vfs import fscred
from vfs.node import ST_NOSUID

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File
    from vfs.node import Node

S_ISUID, S_ISGID, S_IXGRP = 0o4000, 0o2000, 0o010
_CAPABILITY = b"security.capability"
_REVISION_1 = Struct("<III")  # magic and flags, permitted, inheritable
_REVISION_2 = Struct("<IIIII")  # the same with a second word of each
_REVISION_3 = Struct("<IIIIII")  # and the root user of the user namespace it counts in
_EFFECTIVE = 1


class FileCaps(NamedTuple):
    """struct cpu_vfs_cap_data: what a file grants, and whether that is in effect at once."""

    permitted: int
    inheritable: int
    effective: bool


class ExecCreds(NamedTuple):
    """Who the new program is; whether it must not trust who started it (AT_SECURE); whether it may do
    something the old one could not, so that its personality is to be a plain one."""

    cred: Credentials
    secure: bool
    gained: bool


def bprm_creds(t: Task, file: File) -> ExecCreds:
    """The credentials of `t` once it runs `file` (bprm_fill_uid, cap_bprm_creds_from_file).  Raises
    OSError(EPERM) for a program that must have capabilities it may not get."""
    old = t.cred
    new = old.copy()
    found: FileCaps | None = None
    set_id = False
    if fscred.owners_count:
        node = file.node
        info = node.stat()
        found = file_caps(node)
        if found is not None or info.st_mode & (S_ISUID | S_ISGID):
            if (node.statfs().f_flags | (file.mount.flags if file.mount else 0)) & ST_NOSUID:
                found = None
            elif not t.no_new_privs:
                if info.st_mode & S_ISUID:
                    new.euid = info.st_uid
                    set_id = True
                if info.st_mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP:
                    new.egid = info.st_gid
                    set_id = True
    effective = _permit(new, found, old)
    changed = new.euid != old.uid or new.egid != old.gid
    gained = bool(new.cap_permitted & ~old.cap_permitted)
    if (changed or gained) and (t.no_new_privs or _shares_fs(t) or _is_traced(t)):
        if t.no_new_privs or not old.capable(CAP_SETUID):
            new.euid, new.egid = new.uid, new.gid
        new.cap_permitted &= old.cap_permitted
    new.suid = new.fsuid = new.euid
    new.sgid = new.fsgid = new.egid
    if found is not None or changed:
        new.cap_ambient = 0
    new.cap_permitted |= new.cap_ambient
    new.cap_effective = new.cap_permitted if effective else new.cap_ambient
    new.securebits &= ~SECBIT_KEEP_CAPS
    secure = changed or (new.uid != 0 and (effective or bool(new.cap_permitted & ~new.cap_ambient)))
    return ExecCreds(new, secure, set_id or gained)


def _permit(new: Credentials, found: FileCaps | None, old: Credentials) -> bool:
    """Set the permitted capabilities from the file's and from being root; whether they are in effect."""
    new.cap_permitted = 0
    effective = False
    if found is not None:
        new.cap_permitted = new.cap_bounding & found.permitted | new.cap_inheritable & found.inheritable
        effective = found.effective
        if effective and found.permitted & ~new.cap_permitted:
            raise OSError(errno.EPERM, "capabilities that the program insists on are out of bounds")
    if new.securebits & SECBIT_NOROOT or (found is not None and new.euid == 0 != new.uid):
        return effective
    if 0 in (new.uid, new.euid):
        new.cap_permitted = old.cap_bounding | old.cap_inheritable
    return effective or new.euid == 0


def _shares_fs(t: Task) -> bool:
    """LSM_UNSAFE_SHARE: another process can change where this one's paths start."""
    return any(other.fs is t.fs and other.tgid != t.tgid and not other.zombie for other in t.kernel.tasks.values())


def _is_traced(t: Task) -> bool:
    """LSM_UNSAFE_PTRACE: somebody who may not do everything could make the new program do it."""
    if t.ptrace is None:
        return False
    tracer = t.ptrace.tracer
    return tracer is None or not tracer.cred.capable(CAP_SYS_PTRACE)


def file_caps(node: Node) -> FileCaps | None:
    """get_vfs_caps_from_disk; None for a file without any, or with ones that count elsewhere."""
    try:
        data = node.getxattr(_CAPABILITY)
    except OSError:
        return None
    if len(data) < _REVISION_1.size:
        return None
    magic = int.from_bytes(data[:4], "little")
    layout = {1: _REVISION_1, 2: _REVISION_2, 3: _REVISION_3}.get(magic >> 24)
    if layout is None or len(data) != layout.size:
        return None
    words = layout.unpack(data)[1:]
    if layout is _REVISION_3 and words[4]:
        return None
    permitted, inheritable = words[0], words[1]
    if layout is not _REVISION_1:
        permitted |= words[2] << 32
        inheritable |= words[3] << 32
    return FileCaps(permitted, inheritable, bool(magic & _EFFECTIVE))

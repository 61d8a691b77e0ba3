"""Mounts: mount and umount2, as far as the kernel's own file systems go."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.cred import CAP_SYS_ADMIN
from syscalls.abi import Int, Ptr, Result, ULong
from syscalls.paths import find

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.node import Mount

PATH_MAX = 4096
PAGE_SIZE = 4096
MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW = 1, 2, 4, 8
MS_RDONLY = 1
# Flags that change nothing for a file system in which nothing is executed and no device is opened: MS_NOSUID,
# MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_DIRSYNC, MS_NOATIME, MS_NODIRATIME, MS_SILENT, MS_RELATIME, MS_STRICTATIME
_NO_EFFECT = 2 | 4 | 8 | 16 | 128 | 1024 | 2048 | 32768 | 1 << 21 | 1 << 24


def sys_mount(t: Task, source: Ptr, target: Ptr, fstype: Ptr, flags: ULong, data: Ptr) -> Result:
    """mount(2): message queues; everything else takes a capability that guests do not have."""
    kind = t.mm.cstring(fstype, PAGE_SIZE) if fstype else b""
    name = t.mm.cstring(source, PAGE_SIZE) if source else b"none"
    path = t.mm.cstring(target, PATH_MAX)
    place = find(t, t.fs.cwd, path)
    if not t.cred.capable(CAP_SYS_ADMIN) or kind != b"mqueue" or flags & 0xFFFF_FFFF & ~(_NO_EFFECT | MS_RDONLY):
        if t.cred.euid == 0:
            t.kernel.refuses("mount(2)")
        raise OSError(errno.EPERM, "cannot be mounted")
    if place.node.kind() != 0o040000:
        raise OSError(errno.ENOTDIR, "not a directory")
    mounts = t.kernel.mounts
    if place.text in mounts.points:
        raise OSError(errno.EBUSY, "something is mounted there")
    mounts.guest.append(mounts.add(t.kernel.mqueues.root, place.text, kind, name, bool(flags & MS_RDONLY)))
    return 0


def sys_umount2(t: Task, target: Ptr, flags: Int) -> Result:
    """umount2(2): of what mount(2) has mounted."""
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        raise OSError(errno.EINVAL, "unknown flags")
    place = find(t, t.fs.cwd, t.mm.cstring(target, PATH_MAX), follow=not flags & UMOUNT_NOFOLLOW)
    if not t.cred.capable(CAP_SYS_ADMIN):
        raise OSError(errno.EPERM, "needs CAP_SYS_ADMIN")
    mount = t.kernel.mounts.points.get(place.text)
    if mount is None or flags & MNT_EXPIRE:
        raise OSError(errno.EINVAL, "not a mount point, or not to be marked")
    if mount not in t.kernel.mounts.guest:
        raise OSError(errno.EPERM, "part of the guest's world")
    if not flags & MNT_DETACH and _busy(t, mount):
        raise OSError(errno.EBUSY, "in use")
    t.kernel.mounts.remove(mount)
    return 0


def _busy(t: Task, mount: Mount) -> bool:
    """Whether somebody has a file of the mount open, or works in it."""
    tasks = t.kernel.tasks.values()
    if any(mount in (task.fs.cwd.mount, task.fs.root.mount) for task in tasks):
        return True
    return any(file.mount is mount for file in t.kernel.open_files())

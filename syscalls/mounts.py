"""Mounts: mount and umount2, as far as the kernel's own file systems go."""

from __future__ import annotations

import errno
from stat import S_IFDIR
from typing import TYPE_CHECKING

from kernel.cred import CAP_SYS_ADMIN
from syscalls.abi import Int, Ptr, Result, ULong
from syscalls.paths import find
from vfs.file import O_ACCMODE
from vfs.node import ST_NOATIME, ST_NODEV, ST_NODIRATIME, ST_NOEXEC, ST_NOSUID

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.node import Mount, Node, Path

PATH_MAX = 4096
PAGE_SIZE = 4096
MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW = 1, 2, 4, 8
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
# Flags that change nothing here: MS_SYNCHRONOUS, MS_DIRSYNC, MS_SILENT, MS_RELATIME, MS_STRICTATIME
_NO_EFFECT = 16 | 128 | 32768 | 1 << 21 | 1 << 24
_KEPT = ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME
MINORS = 0x100
"""Where the device numbers of a guest's own file systems begin."""
MOUNTS_MAX = 1000
"""Of a guest's own; Linux's fs.mount-max is 100,000."""


def sys_mount(t: Task, source: Ptr, target: Ptr, fstype: Ptr, flags: ULong, data: Ptr) -> Result:
    """mount(2): memory and message queues; everything else takes a capability that guests do not have."""
    kind = t.mm.cstring(fstype, PAGE_SIZE) if fstype else b""
    name = t.mm.cstring(source, PAGE_SIZE) if source else b"none"
    path = t.mm.cstring(target, PATH_MAX)
    options = t.mm.cstring(data, PAGE_SIZE) if data else b""
    flags &= 0xFFFF_FFFF
    place = find(t, t.fs.cwd, path)
    supported = kind in (b"mqueue", b"tmpfs") and not flags & ~(_NO_EFFECT | _KEPT | MS_RDONLY)
    if t.cred.euid == 0 and not (t.cred.capable(CAP_SYS_ADMIN) and (supported or flags & MS_REMOUNT)):
        t.kernel.refuses("mount(2)")
    if not t.cred.capable(CAP_SYS_ADMIN):
        raise OSError(errno.EPERM, "needs CAP_SYS_ADMIN")
    if flags & MS_REMOUNT:
        return _remount(t, place, flags & ~(MS_REMOUNT | MS_BIND), options)
    if not supported:
        raise OSError(errno.EPERM, "cannot be mounted")
    mounts = t.kernel.mounts
    if kind == b"tmpfs":
        root: Node = _tmpfs(t, options)
    else:
        root = t.kernel.mqueues.root
    if place.node.kind() != S_IFDIR:
        raise OSError(errno.ENOTDIR, "not a directory")
    if place.text in mounts.points or any(point.startswith(place.text + b"/") for point in mounts.points):
        raise OSError(errno.EBUSY, "something is mounted there")
    if len(mounts.guest) >= MOUNTS_MAX:
        raise OSError(errno.ENOSPC, "too many mounts")
    mount = mounts.add(root, place.text, kind, name, bool(flags & MS_RDONLY))
    mount.flags = flags & _KEPT
    mounts.guest.append(mount)
    return 0


def _remount(t: Task, place: Path, flags: int, options: bytes) -> int:
    """MS_REMOUNT: other flags for what the guest has mounted."""
    mount = t.kernel.mounts.points.get(place.text)
    if mount is None:
        raise OSError(errno.EINVAL, "not a mount point")
    if mount not in t.kernel.mounts.guest or flags & ~(_NO_EFFECT | _KEPT | MS_RDONLY) or options:
        raise OSError(errno.EPERM, "cannot be changed")
    if flags & MS_RDONLY and any(f.mount is mount and f.flags & O_ACCMODE for f in t.kernel.open_files()):
        raise OSError(errno.EBUSY, "files are open for writing")
    mount.read_only = bool(flags & MS_RDONLY)
    mount.flags = flags & _KEPT
    return 0


def _tmpfs(t: Task, options: bytes) -> Node:
    """The root of a new tmpfs (tmpfs(5)).  Raises OSError(EINVAL) for options that it cannot keep to."""
    from vfs.tmpfs import TmpFs

    kernel = t.kernel
    size, mode, uid, gid = None, 0o1777, None, None
    for option in filter(None, options.split(b",")):
        key, _, value = option.partition(b"=")
        try:
            if key == b"size":
                size = _size(value, kernel.memory_limit)
            elif key == b"nr_blocks":
                size = _size(value, kernel.memory_limit) * PAGE_SIZE
            elif key == b"mode":
                mode = int(value, 8) & 0o7777
            elif key == b"uid":
                uid = int(value)
            elif key == b"gid":
                gid = int(value)
            elif key not in (b"inode64", b"huge") or value not in (b"", b"never"):
                raise ValueError
        except ValueError:
            raise OSError(errno.EINVAL, "an option that tmpfs does not have") from None
    shown = b""
    if size:
        size += -size % PAGE_SIZE
        shown += b",size=%dk" % (size >> 10)
    shown += b"" if mode == 0o1777 else b",mode=%03o" % mode
    shown += b",uid=%d" % uid if uid else b""
    shown += b",gid=%d" % gid if gid else b""
    minor = MINORS + kernel.mounts.next_id  # of a device number that nothing else has
    fs = TmpFs(
        kernel.arena,
        kernel.clock.realtime_ns,
        dev=minor & 0xFF | minor >> 8 << 20,
        size=min(size or kernel.memory_limit // 2, kernel.memory_limit),
        mode=mode,
        options=shown,
    )
    fs.root.uid = fs.root.uid if uid is None else uid
    fs.root.gid = fs.root.gid if gid is None else gid
    return fs.root


def _size(text: bytes, whole: int) -> int:
    """A number with k, m, g, or % of all memory behind it.  Raises ValueError."""
    unit = {b"k": 10, b"m": 20, b"g": 30}.get(text[-1:].lower())
    if text[-1:] == b"%":
        return whole * int(text[:-1]) // 100
    number = int(text[:-1]) << unit if unit else int(text, 0)
    if number < 0:
        raise ValueError
    return number


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

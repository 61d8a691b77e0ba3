"""What files are: stat(2) and its relatives."""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import TYPE_CHECKING

from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.paths import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_SYMLINK_NOFOLLOW,
    at,
    check_flags,
    path_of,
    resolve,
    start_of,
    user_path,
)
from syscalls.structs import STATFS, STATX, USTAT
from vfs.fscred import override_creds
from vfs.node import ST_NOEXEC
from vfs.walk import Nameidata

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.node import Path, StatLike

_STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH
_AT_STATX_SYNC_TYPE = 0x6000

_STATX_BASIC_STATS, _STATX_BTIME, _STATX_MNT_ID, _STATX_RESERVED = 0x7FF, 0x800, 0x1000, 0x80000000
_STATX_ATTR_MOUNT_ROOT = 0x2000

_ST_RDONLY = 1
PATH_MAX = 4096


def stat_of(t: Task, dirfd: int, path_ptr: int, flags: int) -> StatLike:
    """The attributes of what (dirfd, path, flags) name."""
    path = user_path(t, path_ptr, flags)
    if not path:
        if not flags & AT_EMPTY_PATH:
            raise OSError(errno.ENOENT, "empty path")
        return t.fs.cwd.node.stat() if dirfd == AT_FDCWD else t.files.get(dirfd).stat()
    start = start_of(t, dirfd, path)
    follow = not flags & AT_SYMLINK_NOFOLLOW
    mounts = t.kernel.mounts
    found = mounts.locate(t.fs.root, start, path)
    if found is not None:
        st = found[1].stat_at(found[2], follow)
        if st is not None:
            return st
    return Nameidata(mounts, t.fs.root, t).walk(start, path, follow).node.stat()


def sys_stat(t: Task, path: Ptr, buf: Ptr) -> Result:
    """stat(2)."""
    t.mm.write(buf, t.kernel.arch.pack_stat(stat_of(t, AT_FDCWD, path, 0)))
    return 0


def sys_lstat(t: Task, path: Ptr, buf: Ptr) -> Result:
    """lstat(2)."""
    t.mm.write(buf, t.kernel.arch.pack_stat(stat_of(t, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)))
    return 0


def sys_fstat(t: Task, fd: UInt, buf: Ptr) -> Result:
    """fstat(2)."""
    t.mm.write(buf, t.kernel.arch.pack_stat(t.files.get(fd).stat()))
    return 0


def sys_newfstatat(t: Task, dirfd: Int, path: Ptr, buf: Ptr, flags: Int) -> Result:
    """fstatat(2)."""
    if flags & ~_STAT_FLAGS:
        return -errno.EINVAL
    t.mm.write(buf, t.kernel.arch.pack_stat(stat_of(t, dirfd, path, flags)))
    return 0


def sys_statx(t: Task, dirfd: Int, path: Ptr, flags: Int, mask: UInt, buf: Ptr) -> Result:
    """statx(2).  Birth time and attributes are reported only when the birth time is asked for, since most
    hosts need a second call for them."""
    if flags & ~(_STAT_FLAGS | _AT_STATX_SYNC_TYPE) or flags & _AT_STATX_SYNC_TYPE == _AT_STATX_SYNC_TYPE:
        return -errno.EINVAL
    if mask & _STATX_RESERVED:
        return -errno.EINVAL
    born: int | None = None
    attributes = reported = mount_id = 0
    given = _STATX_BASIC_STATS
    if mask & (_STATX_BTIME | _STATX_MNT_ID):
        place = resolve(t, dirfd, path, flags)
        st = place.node.stat()
        born, attributes, reported = place.node.birth()
        mount_id = place.mount.id
        given |= _STATX_MNT_ID | (_STATX_BTIME if born is not None else 0)
        reported |= _STATX_ATTR_MOUNT_ROOT
        if place.text == place.mount.point:
            attributes |= _STATX_ATTR_MOUNT_ROOT
        else:
            attributes &= ~_STATX_ATTR_MOUNT_ROOT
    else:
        st = stat_of(t, dirfd, path, flags)
    born = born or 0
    second = 1_000_000_000
    atime, mtime, ctime = st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns
    dev, rdev = st.st_dev, st.st_rdev
    t.mm.write(
        buf,
        STATX.pack(
            given,
            st.st_blksize,
            attributes,
            st.st_nlink,
            st.st_uid,
            st.st_gid,
            st.st_mode,
            st.st_ino,
            st.st_size,
            st.st_blocks,
            reported,
            atime // second,
            atime % second,
            born // second,
            born % second,
            ctime // second,
            ctime % second,
            mtime // second,
            mtime % second,
            os.major(rdev),
            os.minor(rdev),
            os.major(dev),
            os.minor(dev),
            mount_id,
            0,
            0,
        ),
    )
    return 0


def sys_access(t: Task, path: Ptr, mode: Int) -> Result:
    """access(2)."""
    return _access(t, AT_FDCWD, path, mode, 0)


def sys_faccessat(t: Task, dirfd: Int, path: Ptr, mode: Int) -> Result:
    """The faccessat system call, which has no flags."""
    return _access(t, dirfd, path, mode, 0)


def sys_faccessat2(t: Task, dirfd: Int, path: Ptr, mode: Int, flags: Int) -> Result:
    """faccessat(2)."""
    check_flags(flags, AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    return _access(t, dirfd, path, mode, flags)


def _access(t: Task, dirfd: int, path_ptr: int, mode: int, flags: int) -> int:
    if mode & ~7:
        return -errno.EINVAL
    real = t.cred if flags & AT_EACCESS else t.cred.for_access()
    if real is t.cred:
        if not mode and path_ptr:
            stat_of(t, dirfd, path_ptr, flags)
            return 0
        return _allowed(resolve(t, dirfd, path_ptr, flags), mode)
    before = override_creds(real)
    try:
        return _allowed(resolve(t, dirfd, path_ptr, flags), mode)
    finally:
        override_creds(before)


def _allowed(place: Path, mode: int) -> int:
    if mode & 1 and place.mount.flags & ST_NOEXEC and place.node.kind() == S_IFREG:
        return -errno.EACCES
    if mode:
        place.node.access(mode)
    if mode & 2 and place.mount.read_only and place.node.kind() in (S_IFREG, S_IFDIR, S_IFLNK):
        return -errno.EROFS
    return 0


def sys_readlink(t: Task, path: Ptr, buf: Ptr, size: Int) -> Result:
    """readlink(2)."""
    return sys_readlinkat(t, AT_FDCWD, path, buf, size)


def sys_readlinkat(t: Task, dirfd: Int, path: Ptr, buf: Ptr, size: Int) -> Result:
    """readlinkat(2)."""
    if size <= 0:
        return -errno.EINVAL
    empty = not t.mm.cstring(path)
    place = at(t, dirfd) if empty else resolve(t, dirfd, path, AT_SYMLINK_NOFOLLOW)
    if place.node.kind() != S_IFLNK:
        return -errno.ENOENT if empty else -errno.EINVAL
    text = place.node.readlink()[:size]
    t.mm.write(buf, text)
    return len(text)


def sys_statfs(t: Task, path: Ptr, buf: Ptr) -> Result:
    """statfs(2)."""
    return _statfs(t, resolve(t, AT_FDCWD, path, 0), buf)


def sys_fstatfs(t: Task, fd: UInt, buf: Ptr) -> Result:
    """fstatfs(2)."""
    return _statfs(t, path_of(t, t.files.get(fd)), buf)


def sys_ustat(t: Task, dev: UInt, buf: Ptr) -> Result:
    """ustat(2): the free blocks and inodes of a mounted file system, by its device number."""
    for mount in t.kernel.mounts.mounts:
        if mount.root.stat().st_dev & 0xFFFF_FFFF == dev:
            st = mount.root.statfs()
            t.mm.pack(USTAT, buf, st.f_bfree & 0x7FFF_FFFF, st.f_ffree)
            return 0
    return -errno.EINVAL


def sys_sysfs(t: Task, option: Int, arg1: ULong, arg2: Ptr) -> Result:
    """sysfs(2): types of file systems by name and number."""
    from kernel.procfs import FILESYSTEMS

    if option == 1:
        name = t.mm.cstring(arg1, PATH_MAX)
        return FILESYSTEMS.index(name) if name in FILESYSTEMS else -errno.EINVAL
    if option == 2:
        if arg1 & 0xFFFF_FFFF >= len(FILESYSTEMS):
            return -errno.EINVAL
        t.mm.write(arg2, FILESYSTEMS[arg1 & 0xFFFF_FFFF] + b"\0")
        return 0
    return len(FILESYSTEMS) if option == 3 else -errno.EINVAL


def _statfs(t: Task, place: Path, buf: int) -> int:
    st = place.node.statfs()
    t.mm.pack(
        STATFS,
        buf,
        st.f_type,
        st.f_bsize,
        st.f_blocks,
        st.f_bfree,
        st.f_bavail,
        st.f_files,
        st.f_ffree,
        st.f_fsid,
        st.f_namelen,
        st.f_frsize,
        st.f_flags | place.mount.flags | (_ST_RDONLY if place.mount.read_only else 0),
    )
    return 0

"""Changing attributes: mode, owner, times, size and extended attributes."""

from __future__ import annotations

import errno
from stat import S_IFDIR, S_IFMT, S_IFREG
from typing import TYPE_CHECKING

from syscalls.abi import Int, Long, Ptr, Result, UInt, ULong
from syscalls.io import check_size
from syscalls.paths import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, check_flags, path_of, resolve
from syscalls.structs import TIMEVAL_PAIR, UTIMBUF
from vfs import fscred
from vfs.file import O_ACCMODE, O_RDONLY
from vfs.notify import IN_ACCESS, IN_ATTRIB, IN_MODIFY

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File
    from vfs.node import Path

_R_OK, _W_OK = 4, 2
_NOBODY = 0xFFFF_FFFF  # (uid_t)-1: leave it as it is

UTIME_NOW, UTIME_OMIT = 0x3FFFFFFF, 0x3FFFFFFE
_SECOND = 1_000_000_000

XATTR_CREATE, XATTR_REPLACE = 1, 2
XATTR_NAME_MAX, XATTR_SIZE_MAX, XATTR_LIST_MAX = 255, 65536, 65536


def open_path(t: Task, fd: int) -> Path:
    """The place of a descriptor that is not an O_PATH one, for calls on the file behind it."""
    return path_of(t, t.files.get_io(fd))


def _changed(place: Path, event: int = IN_ATTRIB) -> int:
    """A call that changed an attribute has done its work."""
    if place.mount.watches is not None:
        place.mount.watches.on_path(place, event)
    return 0


# Mode and owner


def _chmod(place: Path, mode: int) -> int:
    place.want_write()
    place.node.chmod(mode & 0o7777)
    return _changed(place)


def sys_chmod(t: Task, path: Ptr, mode: UInt) -> Result:
    """chmod(2)."""
    return _chmod(resolve(t, AT_FDCWD, path, 0), mode)


def sys_fchmod(t: Task, fd: UInt, mode: UInt) -> Result:
    """fchmod(2)."""
    return _chmod(open_path(t, fd), mode)


def sys_fchmodat(t: Task, dirfd: Int, path: Ptr, mode: UInt) -> Result:
    """The fchmodat system call, which has no flags."""
    return _chmod(resolve(t, dirfd, path, 0), mode)


def sys_fchmodat2(t: Task, dirfd: Int, path: Ptr, mode: UInt, flags: UInt) -> Result:
    """fchmodat(2)."""
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    return _chmod(resolve(t, dirfd, path, flags), mode)


def _chown(place: Path, uid: int, gid: int) -> int:
    place.want_write()
    place.node.chown(-1 if uid == _NOBODY else uid, -1 if gid == _NOBODY else gid)
    return _changed(place) if uid & gid != _NOBODY else 0


def sys_chown(t: Task, path: Ptr, uid: UInt, gid: UInt) -> Result:
    """chown(2)."""
    return _chown(resolve(t, AT_FDCWD, path, 0), uid, gid)


def sys_lchown(t: Task, path: Ptr, uid: UInt, gid: UInt) -> Result:
    """lchown(2)."""
    return _chown(resolve(t, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), uid, gid)


def sys_fchown(t: Task, fd: UInt, uid: UInt, gid: UInt) -> Result:
    """fchown(2)."""
    return _chown(open_path(t, fd), uid, gid)


def sys_fchownat(t: Task, dirfd: Int, path: Ptr, uid: UInt, gid: UInt, flags: Int) -> Result:
    """fchownat(2)."""
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    return _chown(resolve(t, dirfd, path, flags), uid, gid)


def sys_umask(t: Task, mask: Int) -> Result:
    """umask(2)."""
    old = t.fs.umask
    t.fs.umask = mask & 0o777
    return old


# Times


def _set_times(t: Task, place: Path, atime_ns: int | None, mtime_ns: int | None) -> int:
    place.want_write()
    if not (place.node.checks_access or fscred.owner_or_capable(place.node.stat().st_uid)):
        raise OSError(errno.EPERM, "not the owner")
    place.node.utime(atime_ns, mtime_ns)
    if atime_ns is not None and mtime_ns is not None:
        return _changed(place)
    return _changed(place, IN_MODIFY if atime_ns is None else IN_ACCESS)


def _set_now(t: Task, place: Path) -> int:
    """Both times to the present, which whoever may write to the file may do."""
    place.want_write()
    if not (place.node.checks_access or fscred.owner_or_capable(place.node.stat().st_uid)):
        place.node.access(_W_OK)
    place.node.touch(t.kernel.clock.realtime_ns())
    return _changed(place)


def sys_utime(t: Task, path: Ptr, times: Ptr) -> Result:
    """utime(2)."""
    given = t.mm.unpack(UTIMBUF, times) if times else None
    place = resolve(t, AT_FDCWD, path, 0)
    if given is None:
        return _set_now(t, place)
    return _set_times(t, place, given[0] * _SECOND, given[1] * _SECOND)


def sys_utimes(t: Task, path: Ptr, times: Ptr) -> Result:
    """utimes(2)."""
    return sys_futimesat(t, AT_FDCWD, path, times)


def sys_futimesat(t: Task, dirfd: Int, path: Ptr, times: Ptr) -> Result:
    """futimesat(2)."""
    if not times:
        return _set_now(t, _timed(t, dirfd, path, 0))
    atime, atime_us, mtime, mtime_us = t.mm.unpack(TIMEVAL_PAIR, times)
    if not (0 <= atime_us < 1_000_000 and 0 <= mtime_us < 1_000_000):
        return -errno.EINVAL
    place = _timed(t, dirfd, path, 0)
    return _set_times(t, place, atime * _SECOND + atime_us * 1000, mtime * _SECOND + mtime_us * 1000)


def sys_utimensat(t: Task, dirfd: Int, path: Ptr, times: Ptr, flags: Int) -> Result:
    """utimensat(2)."""
    if not times:
        return _set_now(t, _timed(t, dirfd, path, flags))
    atime, atime_ns, mtime, mtime_ns = t.mm.unpack(TIMEVAL_PAIR, times)
    if atime_ns == mtime_ns == UTIME_OMIT:
        return 0
    place = _timed(t, dirfd, path, flags)
    for part in (atime_ns, mtime_ns):
        if part not in (UTIME_NOW, UTIME_OMIT) and not 0 <= part < _SECOND:
            return -errno.EINVAL
    if atime_ns == mtime_ns == UTIME_NOW:
        return _set_now(t, place)
    now = t.kernel.clock.realtime_ns()

    def chosen(seconds: int, part: int) -> int | None:
        if part == UTIME_OMIT:
            return None
        return now if part == UTIME_NOW else seconds * _SECOND + part

    return _set_times(t, place, chosen(atime, atime_ns), chosen(mtime, mtime_ns))


def _timed(t: Task, dirfd: int, path: int, flags: int) -> Path:
    """What the times of are set: without a path, the file behind the descriptor."""
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    if not path and dirfd != AT_FDCWD:
        if flags:
            raise OSError(errno.EINVAL, "flags without a path")
        return open_path(t, dirfd)
    return resolve(t, dirfd, path, flags)


# Size


def sys_truncate(t: Task, path: Ptr, size: Long) -> Result:
    """truncate(2)."""
    if size < 0:
        return -errno.EINVAL
    place = resolve(t, AT_FDCWD, path, 0)
    kind = place.node.kind()
    if kind != S_IFREG:
        return -errno.EISDIR if kind == S_IFDIR else -errno.EINVAL
    place.want_write()
    if not place.node.checks_access:
        place.node.access(_W_OK)
    check_size(t, size, place.node.stat().st_size)
    place.node.truncate(size)
    return _changed(place, IN_MODIFY)


def sys_ftruncate(t: Task, fd: UInt, size: Long) -> Result:
    """ftruncate(2)."""
    if size < 0:
        return -errno.EINVAL
    return ftruncate(t, t.files.get_io(fd), size)


def ftruncate(t: Task, file: File, size: int) -> int:
    """do_ftruncate."""
    info = file.stat()
    kind = S_IFMT(info.st_mode)
    if kind not in (S_IFREG, 0) or file.flags & O_ACCMODE == O_RDONLY:
        return -errno.EINVAL
    if kind:  # an anonymous inode does not say what it is, and refuses in its own way
        check_size(t, size, info.st_size)
    file.truncate(size)
    if file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_MODIFY)
    return 0


# Extended attributes


def xattr_name(t: Task, name: int) -> bytes:
    """import_xattr_name.  Raises OSError(EFAULT, ERANGE)."""
    try:
        text = t.mm.cstring(name, XATTR_NAME_MAX + 1)
    except OSError as error:
        raise OSError(errno.ERANGE, "name too long") if error.errno == errno.ENAMETOOLONG else error from None
    if not text:
        raise OSError(errno.ERANGE, "empty name")
    return text


def _give(t: Task, value: bytes, buf: int, size: int) -> int:
    """Hand out a value; size 0 asks for its length."""
    if size:
        if len(value) > size:
            return -errno.ERANGE
        t.mm.write(buf, value)
    return len(value)


def _xattr_permission(place: Path, name: bytes, wanted: int) -> None:
    if not place.node.checks_access:
        st = place.node.stat()
        fscred.xattr_permission(name, st.st_mode, st.st_uid, st.st_gid, wanted)


def getxattr(t: Task, name: bytes, place: Path, value: int, size: int) -> int:
    _xattr_permission(place, name, _R_OK)
    return _give(t, place.node.getxattr(name), value, size)


def sys_getxattr(t: Task, path: Ptr, name: Ptr, value: Ptr, size: ULong) -> Result:
    """getxattr(2)."""
    return getxattr(t, xattr_name(t, name), resolve(t, AT_FDCWD, path, 0), value, size)


def sys_lgetxattr(t: Task, path: Ptr, name: Ptr, value: Ptr, size: ULong) -> Result:
    """lgetxattr(2)."""
    return getxattr(t, xattr_name(t, name), resolve(t, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), value, size)


def sys_fgetxattr(t: Task, fd: Int, name: Ptr, value: Ptr, size: ULong) -> Result:
    """fgetxattr(2)."""
    return getxattr(t, xattr_name(t, name), open_path(t, fd), value, size)


def xattr_given(t: Task, name: int, value: int, size: int, flags: int) -> tuple[bytes, bytes, int]:
    """setxattr_copy: name, value and flags, which are looked at before the file."""
    check_flags(flags, XATTR_CREATE | XATTR_REPLACE)
    text = xattr_name(t, name)
    if size > XATTR_SIZE_MAX:
        raise OSError(errno.E2BIG, "value too long")
    return text, t.mm.read(value, size) if size else b"", flags


def setxattr(given: tuple[bytes, bytes, int], place: Path) -> int:
    place.want_write()
    _xattr_permission(place, given[0], _W_OK)
    place.node.setxattr(*given)
    return _changed(place)


def sys_setxattr(t: Task, path: Ptr, name: Ptr, value: Ptr, size: ULong, flags: Int) -> Result:
    """setxattr(2)."""
    return setxattr(xattr_given(t, name, value, size, flags), resolve(t, AT_FDCWD, path, 0))


def sys_lsetxattr(t: Task, path: Ptr, name: Ptr, value: Ptr, size: ULong, flags: Int) -> Result:
    """lsetxattr(2)."""
    return setxattr(xattr_given(t, name, value, size, flags), resolve(t, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW))


def sys_fsetxattr(t: Task, fd: Int, name: Ptr, value: Ptr, size: ULong, flags: Int) -> Result:
    """fsetxattr(2)."""
    return setxattr(xattr_given(t, name, value, size, flags), open_path(t, fd))


def _listxattr(t: Task, place: Path, buf: int, size: int) -> int:
    names = place.node.listxattr()
    if not (place.node.checks_access or fscred.capable(fscred.CAP_SYS_ADMIN)):
        names = [name for name in names if not name.startswith(b"trusted.")]
    return _give(t, b"".join(name + b"\0" for name in names), buf, size)


def sys_listxattr(t: Task, path: Ptr, buf: Ptr, size: ULong) -> Result:
    """listxattr(2)."""
    return _listxattr(t, resolve(t, AT_FDCWD, path, 0), buf, size)


def sys_llistxattr(t: Task, path: Ptr, buf: Ptr, size: ULong) -> Result:
    """llistxattr(2)."""
    return _listxattr(t, resolve(t, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), buf, size)


def sys_flistxattr(t: Task, fd: Int, buf: Ptr, size: ULong) -> Result:
    """flistxattr(2)."""
    return _listxattr(t, open_path(t, fd), buf, size)


def _removexattr(name: bytes, place: Path) -> int:
    place.want_write()
    _xattr_permission(place, name, _W_OK)
    place.node.removexattr(name)
    return _changed(place)


def sys_removexattr(t: Task, path: Ptr, name: Ptr) -> Result:
    """removexattr(2)."""
    return _removexattr(xattr_name(t, name), resolve(t, AT_FDCWD, path, 0))


def sys_lremovexattr(t: Task, path: Ptr, name: Ptr) -> Result:
    """lremovexattr(2)."""
    return _removexattr(xattr_name(t, name), resolve(t, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW))


def sys_fremovexattr(t: Task, fd: Int, name: Ptr) -> Result:
    """fremovexattr(2)."""
    return _removexattr(xattr_name(t, name), open_path(t, fd))

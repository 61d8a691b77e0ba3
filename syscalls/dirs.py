"""Directories: reading them, and making, moving and removing the names in them."""

from __future__ import annotations

import errno
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK
from typing import TYPE_CHECKING

from emu.engine import WRITE
from kernel.namei import NOT_NAMES, do_unlink, may_change
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.paths import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
    check_flags,
    path_of,
    resolve,
    resolve_parent,
    start_of,
)
from syscalls.structs import DIRENT, DIRENT64
from vfs import fscred
from vfs.file import SEEK_CUR, SEEK_SET
from vfs.host import DENTS_MAX
from vfs.hostfile import HostDir
from vfs.node import Path
from vfs.notify import IN_ACCESS
from vfs.walk import Nameidata, join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.task import Task
    from vfs.file import File
    from vfs.pages import Spans

RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4

CAP_SYS_CHROOT = 18

_X_OK = 1
_LAST_OFFSET = (1 << 63) - 1


# Reading


def sys_getdents64(t: Task, fd: UInt, buf: Ptr, count: UInt) -> Result:
    """getdents64(2)."""
    directory = t.files.get_io(fd)
    if directory.mount is not None and directory.mount.watches is not None and directory.node.kind() == S_IFDIR:
        directory.mount.watches.on_file(directory, IN_ACCESS)
    if isinstance(directory, HostDir) and directory.name not in t.kernel.mounts.children:
        # Half of all calls are at the end, most others fill little of a large buffer: fetch first, look at
        # the buffer after.  If it turns out bad, go back and see how many records fit.
        position = directory.position()
        records = directory.getdents(count)
        if not records:
            return 0
        try:
            t.mm.write(buf, records)
            return len(records)
        except OSError:
            directory.seek(position, SEEK_SET)
    spans = t.mm.spans(buf, min(count, DENTS_MAX), WRITE)
    return _scatter(spans, _fitting(t, directory, spans, count))


def sys_getdents(t: Task, fd: UInt, buf: Ptr, count: UInt) -> Result:
    """getdents(2): the same records with the type in the last byte instead of before the name."""
    spans = t.mm.spans(buf, min(count, DENTS_MAX), WRITE)
    records = bytearray(_fitting(t, t.files.get_io(fd), spans, count))
    start = 0
    while start < len(records):
        _, _, size, kind = DIRENT64.unpack_from(records, start)
        name = records[start + DIRENT64.size : start + size]
        records[start + DIRENT.size : start + size] = name + bytes((kind,))
        start += size
    return _scatter(spans, records)


def _fitting(t: Task, directory: File, spans: Spans, count: int) -> bytes | memoryview:
    """The records that fit into the accessible part of a buffer of `count` bytes."""
    size = sum(map(len, spans))
    try:
        return _records(t, directory, size)
    except OSError as error:
        if error.errno == errno.EINVAL and size < min(count, DENTS_MAX):
            raise OSError(errno.EFAULT, "bad buffer") from None
        raise


def _scatter(spans: Spans, data: bytes | bytearray | memoryview) -> int:
    if len(spans) == 1:
        spans[0][: len(data)] = data
        return len(data)
    done = 0
    for span in spans:
        part = data[done : done + len(span)]
        span[: len(part)] = part
        done += len(part)
    return len(data)


def _records(t: Task, directory: File, size: int) -> bytes | memoryview:
    """The next records of getdents64(2), up to `size` bytes; the position moves on.

    Names of mount points that the directory itself lacks come last, or, in a directory whose positions
    are our own, first.
    """
    names = t.kernel.mounts.children.get(directory.name)
    if isinstance(directory, HostDir):
        records = directory.getdents(size)
        if records or names is None or directory.tail_given:
            return records
        directory.tail_given = True
        return _pack(_missing(t, directory, names), size, None)[0]
    listed = directory.entries()
    start = directory.seek(0, SEEK_CUR)
    extra = b""
    if names is not None and not start:
        there = {name for _, _, name in listed}
        extra = _pack(_missing(t, directory, [name for name in names if name not in there]), size, None)[0]
    packed, count = _pack(listed, size - len(extra), start)
    if not packed and not extra and listed:
        raise OSError(errno.EINVAL, "buffer too small")
    directory.skip(count)
    return extra + packed


def _missing(t: Task, directory: File, names: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
    """Entries for those of `names`, mount points in `directory`, that it does not have itself."""
    entries = []
    for name in names:
        try:
            directory.node.lookup(name)
        except OSError:
            st = t.kernel.mounts.points[join(directory.name, name)].root.stat()
            entries.append((st.st_ino, st.st_mode >> 12, name))
    return entries


def _pack(entries: Sequence[tuple[int, int, bytes]], size: int, start: int | None) -> tuple[bytes, int]:
    """As many records as fit into `size` bytes, and how many those are.  Positions count from `start`;
    without one, every record's is the end of the directory."""
    records = bytearray()
    count = 0
    for ino, kind, name in entries:
        length = (DIRENT64.size + len(name) + 8) & ~7
        if len(records) + length > size:
            break
        count += 1
        after = _LAST_OFFSET if start is None else start + count
        records += DIRENT64.pack(ino, after, length, kind) + name.ljust(length - DIRENT64.size, b"\0")
    return bytes(records), count


# Where a task is


def _enter(t: Task, place: Path) -> Path:
    """Check that a task may make a directory its own."""
    if place.node.kind() != S_IFDIR:
        raise OSError(errno.ENOTDIR, "not a directory")
    place.node.access(_X_OK)
    return place


def sys_chdir(t: Task, path: Ptr) -> Result:
    """chdir(2)."""
    t.fs.cwd = _enter(t, resolve(t, AT_FDCWD, path, 0))
    return 0


def sys_fchdir(t: Task, fd: UInt) -> Result:
    """fchdir(2)."""
    t.fs.cwd = _enter(t, path_of(t, t.files.get(fd)))
    return 0


def sys_chroot(t: Task, path: Ptr) -> Result:
    """chroot(2)."""
    place = _enter(t, resolve(t, AT_FDCWD, path, 0))
    if not t.cred.capable(CAP_SYS_CHROOT):
        return -errno.EPERM
    t.fs.root = place
    return 0


def sys_getcwd(t: Task, buf: Ptr, size: ULong) -> Result:
    """The getcwd system call: the length with its NUL."""
    text = cwd_text(t) + b"\0"
    if len(text) > size:
        return -errno.ERANGE
    t.mm.write(buf, text)
    return len(text)


def cwd_text(t: Task) -> bytes:
    """The working directory as the task sees it, under its own root.  Raises OSError(ENOENT) if it was
    removed."""
    cwd, root = t.fs.cwd, t.fs.root.text
    rel = cwd.node.whereabouts(cwd.mount.root)
    text = cwd.text
    if rel is not None:
        text = join(cwd.mount.point, rel) if rel else cwd.mount.point
    if root == b"/" or text == root:
        return text if root == b"/" else b"/"
    if text.startswith(root + b"/"):
        return text[len(root) :]
    return b"(unreachable)" + text


# Making


def place_for(t: Task, dirfd: int, path: int, directory: bool = False) -> tuple[Path, bytes]:
    """The directory and name under which something new is to be made: Linux's filename_create.  Raises
    OSError(EEXIST, EROFS, EACCES), and ENOENT for a slash after what will not be a directory."""
    text = t.mm.cstring(path)
    return new_name(t, start_of(t, dirfd, text), text, directory)


def new_name(t: Task, start: Path, path: bytes, directory: bool = False) -> tuple[Path, bytes]:
    """As `place_for`, for a path that is known."""
    parent, name, slashes = Nameidata(t.kernel.mounts, t.fs.root, t).parent(start, path)
    if name in NOT_NAMES or t.kernel.mounts.is_point(join(parent.text, name)):
        raise OSError(errno.EEXIST, "file exists")
    refused: OSError | None = None
    try:
        may_change(t, parent)
    except OSError as error:
        refused = error
    if slashes and not directory:
        refused = OSError(errno.ENOENT, "no such directory")
    if refused is not None:
        raise OSError(errno.EEXIST, "file exists") if _exists(parent, name) else refused
    return parent, name


def _exists(parent: Path, name: bytes) -> bool:
    try:
        parent.node.lookup(name)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def sys_mkdir(t: Task, path: Ptr, mode: UInt) -> Result:
    """mkdir(2)."""
    return sys_mkdirat(t, AT_FDCWD, path, mode)


def sys_mkdirat(t: Task, dirfd: Int, path: Ptr, mode: UInt) -> Result:
    """mkdirat(2)."""
    parent, name = place_for(t, dirfd, path, directory=True)
    parent.node.mkdir(name, mode & 0o1777 & ~t.fs.umask)
    if parent.mount.watches is not None:
        parent.mount.watches.created(parent, name, directory=True)
    return 0


def sys_mknod(t: Task, path: Ptr, mode: UInt, dev: UInt) -> Result:
    """mknod(2)."""
    return sys_mknodat(t, AT_FDCWD, path, mode, dev)


def sys_mknodat(t: Task, dirfd: Int, path: Ptr, mode: UInt, dev: UInt) -> Result:
    """mknodat(2)."""
    kind = S_IFMT(mode)
    if kind == S_IFDIR:
        return -errno.EPERM
    if kind not in (0, S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK):
        return -errno.EINVAL
    parent, name = place_for(t, dirfd, path)
    if not parent.node.checks_access:
        fscred.may_mknod(mode)
    parent.node.mknod(name, (kind or S_IFREG) | mode & 0o7777 & ~t.fs.umask, dev)
    if parent.mount.watches is not None:
        parent.mount.watches.created(parent, name)
    return 0


def sys_symlink(t: Task, target: Ptr, path: Ptr) -> Result:
    """symlink(2)."""
    return sys_symlinkat(t, target, AT_FDCWD, path)


def sys_symlinkat(t: Task, target: Ptr, dirfd: Int, path: Ptr) -> Result:
    """symlinkat(2)."""
    text = t.mm.cstring(target)
    if not text:
        return -errno.ENOENT
    parent, name = place_for(t, dirfd, path)
    parent.node.symlink(name, text)
    if parent.mount.watches is not None:
        parent.mount.watches.created(parent, name)
    return 0


def sys_link(t: Task, old: Ptr, new: Ptr) -> Result:
    """link(2)."""
    return sys_linkat(t, AT_FDCWD, old, AT_FDCWD, new, 0)


def sys_linkat(t: Task, old_dir: Int, old: Ptr, new_dir: Int, new: Ptr, flags: Int) -> Result:
    """linkat(2)."""
    check_flags(flags, AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)
    follow = 0 if flags & AT_SYMLINK_FOLLOW else AT_SYMLINK_NOFOLLOW
    source = resolve(t, old_dir, old, follow | flags & AT_EMPTY_PATH)
    parent, name = place_for(t, new_dir, new)
    refused = errno.EXDEV if source.mount is not parent.mount else 0
    if not refused and not source.node.checks_access:
        st = source.node.stat()
        fscred.may_link(st.st_mode, st.st_uid, st.st_gid)
    if source.node.kind() == S_IFDIR:
        refused = refused or errno.EPERM
    if refused:
        return -(errno.EEXIST if _exists(parent, name) else refused)
    parent.node.link(name, source.node)
    if parent.mount.watches is not None:
        parent.mount.watches.linked(parent, name, source.node)
    return 0


# Removing and moving


def sys_rmdir(t: Task, path: Ptr) -> Result:
    """rmdir(2)."""
    parent, name, _ = resolve_parent(t, AT_FDCWD, path)
    return _rmdir(t, parent, name)


def sys_unlink(t: Task, path: Ptr) -> Result:
    """unlink(2)."""
    return do_unlink(t, *resolve_parent(t, AT_FDCWD, path))


def sys_unlinkat(t: Task, dirfd: Int, path: Ptr, flags: Int) -> Result:
    """unlinkat(2)."""
    check_flags(flags, AT_REMOVEDIR)
    parent, name, slashes = resolve_parent(t, dirfd, path)
    return _rmdir(t, parent, name) if flags else do_unlink(t, parent, name, slashes)


def _rmdir(t: Task, parent: Path, name: bytes) -> int:
    if name in NOT_NAMES:
        return -{b".": errno.EINVAL, b"..": errno.ENOTEMPTY, b"/": errno.EBUSY}[name]
    if t.kernel.mounts.is_point(join(parent.text, name)):
        return -errno.EBUSY
    may_change(t, parent)
    watches = parent.mount.watches
    info = watches.info(parent, name) if watches is not None else None
    parent.node.rmdir(name)
    if watches is not None and info is not None:
        watches.deleted(parent, name, info)
    return 0


def _not_a_directory(to: Path, name: bytes, flags: int) -> int:
    """The error of a rename whose slashes are wrong: Linux has looked the new name up before it sees them."""
    there = _exists(to, name)  # ENAMETOOLONG
    if there and flags & RENAME_NOREPLACE:
        return errno.EEXIST
    if not there and flags & RENAME_EXCHANGE:
        return errno.ENOENT
    return errno.ENOTDIR


def sys_rename(t: Task, old: Ptr, new: Ptr) -> Result:
    """rename(2)."""
    return sys_renameat2(t, AT_FDCWD, old, AT_FDCWD, new, 0)


def sys_renameat(t: Task, old_dir: Int, old: Ptr, new_dir: Int, new: Ptr) -> Result:
    """renameat(2)."""
    return sys_renameat2(t, old_dir, old, new_dir, new, 0)


def sys_renameat2(t: Task, old_dir: Int, old: Ptr, new_dir: Int, new: Ptr, flags: UInt) -> Result:
    """renameat2(2)."""
    if flags & ~7 or (flags & RENAME_EXCHANGE and flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)):
        return -errno.EINVAL
    parent, name, slashes = resolve_parent(t, old_dir, old)
    to, new_name, new_slashes = resolve_parent(t, new_dir, new)
    if parent.mount is not to.mount:
        return -errno.EXDEV
    if name in NOT_NAMES:
        return -errno.EBUSY
    if new_name in NOT_NAMES:
        return -(errno.EEXIST if flags & RENAME_NOREPLACE else errno.EBUSY)
    parent.want_write()
    source = parent.node.lookup(name)
    if source.kind() != S_IFDIR and (slashes or (new_slashes and not flags & RENAME_EXCHANGE)):
        return -_not_a_directory(to, new_name, flags)
    points = t.kernel.mounts.points
    if join(parent.text, name) in points or join(to.text, new_name) in points:
        return -errno.EBUSY
    may_change(t, parent)
    may_change(t, to)
    watches = parent.mount.watches
    if watches is None:
        parent.node.rename(name, to.node, new_name, flags)
    else:
        watches.rename(parent, name, to, new_name, flags)
    return 0

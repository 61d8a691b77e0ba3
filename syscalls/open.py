"""Opening files: Linux's ``do_filp_open``, ``path_openat`` and what leads to them."""

from __future__ import annotations

import errno
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import TYPE_CHECKING

from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.paths import AT_FDCWD, at, may_change, start_of
from syscalls.structs import OPEN_HOW
from vfs.file import (
    O_ACCMODE,
    O_APPEND,
    O_ASYNC,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_DSYNC,
    O_EXCL,
    O_LARGEFILE,
    O_NOATIME,
    O_NOCTTY,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDWR,
    O_SYNC,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
    File,
)
from vfs.node import Path
from vfs.notify import IN_MODIFY, IN_OPEN
from vfs.opath import PathFile
from vfs.pipe import PipeFile
from vfs.walk import RESOLVE_BENEATH, RESOLVE_CACHED, RESOLVE_IN_ROOT, Nameidata, join

if TYPE_CHECKING:
    from kernel.task import Task

_TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY
_CREATION = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC
_MODIFIES = O_ACCMODE | O_CREAT | O_TRUNC
_PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
_VALID = (
    O_ACCMODE | _CREATION | O_APPEND | O_NONBLOCK | O_DSYNC | O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY
    | O_NOFOLLOW | O_NOATIME | O_SYNC | O_PATH | _TMPFILE_BIT
)  # fmt: skip
_RESOLVE_KNOWN = 0x3F

_S_IALLUGO = 0o7777

MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_NOEXEC_SEAL, MFD_EXEC = 1, 2, 4, 8, 16
_MFD_KNOWN = 0x1F
_MFD_NAME_MAX = 249


def sys_open(t: Task, path: Ptr, flags: UInt, mode: UInt) -> Result:
    """open(2)."""
    return do_open(t, AT_FDCWD, path, flags, mode)


def sys_openat(t: Task, dirfd: Int, path: Ptr, flags: UInt, mode: UInt) -> Result:
    """openat(2)."""
    return do_open(t, dirfd, path, flags, mode)


def sys_creat(t: Task, path: Ptr, mode: UInt) -> Result:
    """creat(2)."""
    return do_open(t, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode)


def sys_openat2(t: Task, dirfd: Int, path: Ptr, how: Ptr, size: ULong) -> Result:
    """openat2(2)."""
    if size < OPEN_HOW.size:
        return -errno.EINVAL
    if size > 4096 or any(t.mm.read(how + OPEN_HOW.size, size - OPEN_HOW.size)):
        return -errno.E2BIG
    flags, mode, resolve = t.mm.unpack(OPEN_HOW, how)
    if flags & ~_VALID or resolve & ~_RESOLVE_KNOWN or (flags & O_PATH and flags & ~_PATH_FLAGS):
        return -errno.EINVAL
    if resolve & RESOLVE_BENEATH and resolve & RESOLVE_IN_ROOT:
        return -errno.EINVAL
    if mode & ~_S_IALLUGO or (mode and not flags & (O_CREAT | _TMPFILE_BIT)):
        return -errno.EINVAL
    if resolve & RESOLVE_CACHED and flags & (O_TRUNC | O_CREAT | _TMPFILE_BIT):
        return -errno.EAGAIN
    return do_open(t, dirfd, path, flags, mode, resolve)


def sys_memfd_create(t: Task, name: Ptr, flags: UInt) -> Result:
    """memfd_create(2)."""
    if flags & ~_MFD_KNOWN or (flags & MFD_EXEC and flags & MFD_NOEXEC_SEAL):
        return -errno.EINVAL
    if flags & MFD_HUGETLB:
        return -errno.ENOSYS if flags & ~(MFD_HUGETLB | MFD_CLOEXEC) == 0 else -errno.EINVAL
    try:
        text = t.mm.cstring(name, _MFD_NAME_MAX + 1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return -errno.EINVAL
        raise
    return t.files.install(t.kernel.shm.memfd(text, flags), flags & MFD_CLOEXEC != 0)


def do_open(t: Task, dirfd: int, path_ptr: int, flags: int, mode: int, resolve: int = 0) -> Result:
    """What the four calls have in common."""
    if flags & O_PATH:
        flags &= _PATH_FLAGS
    elif flags & _TMPFILE_BIT:
        if flags & (O_TMPFILE | O_CREAT) != O_TMPFILE or not flags & (O_WRONLY | O_RDWR):
            return -errno.EINVAL
    elif flags & O_CREAT and flags & O_DIRECTORY:
        return -errno.EINVAL
    flags &= _VALID
    path = t.mm.cstring(path_ptr)
    if not path:
        return -errno.ENOENT
    start = at(t, dirfd) if resolve else start_of(t, dirfd, path)
    if flags & (O_CREAT | O_TRUNC):
        t.files.unused()  # EMFILE must leave nothing behind
    if not flags & O_PATH:
        flags |= O_LARGEFILE
    mode &= _S_IALLUGO & ~t.fs.umask
    file = open_file(t, start, path, flags, mode, resolve)
    if type(file) is PipeFile and file.waits_for_partner():
        return _open_with_partner(t, file, flags)
    return t.files.install(file, flags & O_CLOEXEC != 0)


async def _open_with_partner(t: Task, fifo: PipeFile, flags: int) -> int:
    """wait_for_partner: the other end must have been opened, be it for a moment."""
    try:
        t.files.unused()
        while fifo.waits_for_partner():
            await t.wait(fifo.pipe.readable)
    except BaseException:
        fifo.release()
        raise
    _tell_opened(fifo, flags)
    return t.files.install(fifo, flags & O_CLOEXEC != 0)


def _tell_opened(file: File, flags: int) -> None:
    """fsnotify_open, and the truncation that follows it."""
    if file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_OPEN)
        if flags & O_TRUNC and file.node.kind() == S_IFREG:
            file.mount.watches.on_file(file, IN_MODIFY)


def open_file(t: Task, start: Path, path: bytes, flags: int, mode: int, resolve: int = 0) -> File:
    """open(2) without a descriptor.  `mode` has the umask applied; `flags` have been checked."""
    # A dot in the last place is not the trailing slash that `locate` makes of it when files are made
    if not (resolve or flags & O_PATH or (flags & O_CREAT and path.rstrip(b"/").endswith(b"."))):
        found = t.kernel.mounts.locate(t.fs.root, start, path)
        if found is not None:
            mount, node, rel, text = found
            # With watches it must be known whether the file is made or found
            if not ((mount.read_only and flags & _MODIFIES) or (flags & O_CREAT and mount.watches is not None)):
                file = node.open_at(rel, flags, mode, text)
                if file is not None:
                    file.mount = mount
                    if mount.watches is not None:
                        _tell_opened(file, flags)
                    return file
    root = start if resolve & RESOLVE_IN_ROOT else t.fs.root
    data = Nameidata(t.kernel.mounts, root, t, resolve)
    if resolve & RESOLVE_BENEATH:
        data.root = start
        if path[0] == 47:
            raise OSError(errno.EXDEV, "absolute path")
    follow = not flags & O_NOFOLLOW
    if flags & O_PATH:
        place = data.walk(start, path, follow)
        if flags & O_DIRECTORY and place.node.kind() != S_IFDIR:
            raise OSError(errno.ENOTDIR, "not a directory")
        return PathFile(place, flags)
    if flags & _TMPFILE_BIT:
        return _open_unnamed(t, data.walk(start, path, True), flags, mode)
    if not flags & O_CREAT:
        return open_found(t, data.walk(start, path, follow), flags)
    return _open_or_create(t, data, start, path, flags, mode)


def open_found(t: Task, place: Path, flags: int) -> File:
    """Open what a walk has found: Linux's do_open and may_open."""
    node = place.node
    kind = node.kind()
    if flags & O_DIRECTORY and kind != S_IFDIR:
        raise OSError(errno.ENOTDIR, "not a directory")
    if kind == S_IFLNK:
        raise OSError(errno.ELOOP, "symbolic link")
    if kind == S_IFDIR and flags & _MODIFIES:
        raise OSError(errno.EISDIR, "is a directory")
    if kind in (S_IFREG, S_IFDIR) and flags & (O_ACCMODE | O_TRUNC):
        place.want_write()
    if not node.checks_access:
        wanted = (4, 2, 6, 6)[flags & O_ACCMODE] | (2 if flags & O_TRUNC else 0)
        node.access(wanted, t.cred.fsuid, t.cred.fsgid)
    return _finish(node.open(flags & ~(O_CREAT | O_EXCL), place.text), place, flags)


def _finish(file: File, place: Path, flags: int) -> File:
    file.flags = flags & ~_CREATION
    file.mount = place.mount
    if place.mount.watches is not None and not (type(file) is PipeFile and file.waits_for_partner()):
        _tell_opened(file, flags)
    return file


def _open_unnamed(t: Task, directory: Path, flags: int, mode: int) -> File:
    """O_TMPFILE."""
    if directory.node.kind() != S_IFDIR:
        raise OSError(errno.ENOTDIR, "not a directory")
    may_change(t, directory)
    return _finish(directory.node.tmpfile(mode, flags, directory.text), directory, flags)


def _open_or_create(t: Task, data: Nameidata, start: Path, path: bytes, flags: int, mode: int) -> File:
    """O_CREAT: links in the last place are followed even if they dangle, unless O_EXCL or O_NOFOLLOW."""
    while True:
        parent, name, slashes = data.parent(start, path)
        if slashes or name in (b".", b"..", b"/"):
            raise OSError(errno.EEXIST if flags & O_EXCL and not slashes else errno.EISDIR, "is a directory")
        try:
            there = data.step(parent, name)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            may_change(t, parent)
            file = parent.node.create(name, mode, flags, join(parent.text, name))
            if parent.mount.watches is not None:
                parent.mount.watches.created(parent, name)
            return _finish(file, parent, flags & ~O_TRUNC)
        if flags & O_EXCL:
            raise OSError(errno.EEXIST, "file exists")
        if there.node.kind() != S_IFLNK:
            return open_found(t, there, flags)
        if flags & O_NOFOLLOW:
            raise OSError(errno.ELOOP, "symbolic link")
        data.count_link()
        magic = there.node.follow(t)
        if magic is not None:
            return open_found(t, magic, flags)
        start = parent
        path = data.link_text(there)

"""Opening and removing files by name on behalf of a task: Linux's ``do_filp_open``, ``path_openat`` and ``do_unlinkat``
of ``fs/namei.c``."""

from __future__ import annotations

import errno
from stat import S_IFDIR, S_IFLNK, S_IFREG, S_ISGID, S_ISUID
from typing import TYPE_CHECKING

from vfs import fscred
from vfs.file import (
    O_ACCMODE,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_NOCTTY,
    O_NOFOLLOW,
    O_PATH,
    O_TMPFILE,
    O_TRUNC,
    File,
)
from vfs.node import Path
from vfs.notify import IN_MODIFY, IN_OPEN
from vfs.opath import PathFile
from vfs.pipe import PipeFile
from vfs.walk import RESOLVE_BENEATH, RESOLVE_IN_ROOT, Nameidata, join

if TYPE_CHECKING:
    from kernel.task import Task

TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY
CREATION = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC
_MODIFIES = O_ACCMODE | O_CREAT | O_TRUNC
NOT_NAMES = (b".", b"..", b"/")
"""Last components of a path that name nothing which could be made or removed."""


def may_change(t: Task, directory: Path) -> None:
    """Raise unless the task may make and remove names in `directory`: EROFS, EACCES."""
    directory.want_write()
    if not directory.node.checks_access:
        directory.node.access(3)


def open_file(t: Task, start: Path, path: bytes, flags: int, mode: int, resolve: int = 0) -> File:
    """open(2) without a descriptor.  `mode` has the umask applied; `flags` have been checked."""
    # A dot in the last place is not the trailing slash that `locate` makes of it when files are made
    if not (resolve or flags & O_PATH or (flags & O_CREAT and path.rstrip(b"/").endswith(b"."))):
        found = t.kernel.mounts.locate(t.fs.root, start, path)
        if found is not None:
            mount, node, rel, text = found
            # With watches it must be known whether the file is made or found, and with set-ID bits too: what is found
            # loses them when it is truncated
            made = flags & O_CREAT and (mount.watches is not None or mode & (S_ISUID | S_ISGID))
            if not (made or (mount.read_only and flags & _MODIFIES)):
                file = node.open_at(rel, flags, mode, text)
                if file is not None:
                    file.mount = mount
                    if mount.watches is not None:
                        tell_opened(file, flags)
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
    if flags & TMPFILE_BIT:
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
        node.access(wanted)
        if flags & O_NOATIME and not fscred.owner_or_capable(node.stat().st_uid):
            raise OSError(errno.EPERM, "not the owner")
    return _finish(node.open(flags & ~(O_CREAT | O_EXCL), place.text), place, flags)


def _finish(file: File, place: Path, flags: int) -> File:
    file.flags = flags & ~CREATION
    file.mount = place.mount
    if place.mount.watches is not None and not (type(file) is PipeFile and file.waits_for_partner()):
        tell_opened(file, flags)
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
        if slashes or name in NOT_NAMES:
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
        magic = data.magic(there)
        if magic is not None:
            return open_found(t, magic, flags)
        start = parent
        path = data.link_text(there)


def tell_opened(file: File, flags: int) -> None:
    """fsnotify_open, and the truncation that follows it."""
    if file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_OPEN)
        if flags & O_TRUNC and file.node.kind() == S_IFREG:
            file.mount.watches.on_file(file, IN_MODIFY)


def do_unlink(t: Task, parent: Path, name: bytes, slashes: bool) -> int:
    """unlink(2) of what a walk has found: 0, or -errno.  Raises OSError too."""
    if name in NOT_NAMES:
        return -errno.EISDIR
    mount = t.kernel.mounts.points.get(join(parent.text, name))
    if mount is not None:
        return -errno.EISDIR if mount.root.kind() == S_IFDIR else -errno.EBUSY
    may_change(t, parent)
    if slashes:
        return -errno.EISDIR if parent.node.lookup(name).kind() == S_IFDIR else -errno.ENOTDIR
    watches = parent.mount.watches
    info = watches.info(parent, name) if watches is not None else None
    parent.node.unlink(name)
    if watches is not None and info is not None:
        watches.deleted(parent, name, info)
    return 0

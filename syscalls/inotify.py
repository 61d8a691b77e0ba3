"""File notification: inotify(7)."""

from __future__ import annotations

import errno
from stat import S_IFDIR
from typing import TYPE_CHECKING

from syscalls.abi import Int, Ptr, Result, UInt
from syscalls.paths import AT_FDCWD, AT_SYMLINK_NOFOLLOW, resolve
from vfs.file import O_CLOEXEC, O_NONBLOCK
from vfs.inotify import Inotify
from vfs.notify import IN_DONT_FOLLOW, IN_KNOWN, IN_MASK_ADD, IN_MASK_CREATE, IN_ONLYDIR

if TYPE_CHECKING:
    from kernel.task import Task

_R_OK = 4


def sys_inotify_init(t: Task) -> Result:
    """inotify_init(2)."""
    return sys_inotify_init1(t, 0)


def sys_inotify_init1(t: Task, flags: Int) -> Result:
    """inotify_init1(2)."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        return -errno.EINVAL
    t.files.unused()
    return t.files.install(Inotify(t.kernel.watches, t.cred.uid, flags), bool(flags & O_CLOEXEC))


def instance(t: Task, fd: int) -> Inotify:
    """Raises OSError EBADF, EINVAL."""
    file = t.files.get_io(fd)
    if not isinstance(file, Inotify):
        raise OSError(errno.EINVAL, "not an inotify instance")
    return file


def sys_inotify_add_watch(t: Task, fd: Int, path: Ptr, mask: UInt) -> Result:
    """inotify_add_watch(2)."""
    if mask & ~IN_KNOWN or not mask:
        return -errno.EINVAL
    t.files.get_io(fd)
    if mask & IN_MASK_ADD and mask & IN_MASK_CREATE:
        return -errno.EINVAL
    inotify = instance(t, fd)
    place = resolve(t, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW if mask & IN_DONT_FOLLOW else 0)
    if mask & IN_ONLYDIR and place.node.kind() != S_IFDIR:
        return -errno.ENOTDIR
    place.node.access(_R_OK)
    return inotify.watch(place, mask)


def sys_inotify_rm_watch(t: Task, fd: Int, wd: Int) -> Result:
    """inotify_rm_watch(2)."""
    instance(t, fd).unwatch(wd)
    return 0

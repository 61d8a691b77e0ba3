"""How the path arguments of system calls are read: a directory descriptor, a string and AT_ flags."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from vfs.node import Path
from vfs.walk import Nameidata, walk

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EACCESS = AT_REMOVEDIR = 0x200
AT_SYMLINK_FOLLOW = 0x400
AT_NO_AUTOMOUNT = 0x800
AT_EMPTY_PATH = 0x1000


def at(t: Task, dirfd: int) -> Path:
    """Where a relative path starts.  Raises OSError(EBADF)."""
    if dirfd == AT_FDCWD:
        return t.fs.cwd
    return path_of(t, t.files.get(dirfd))


def path_of(t: Task, file: File) -> Path:
    """The place in the tree that an open file was reached at; nameless files are nowhere in particular."""
    return Path(file.mount or t.kernel.mounts.root, file.node, file.name)


def start_of(t: Task, dirfd: int, path: bytes) -> Path:
    """As `at`, for a path that is known: an absolute one does not look at `dirfd`."""
    if dirfd == AT_FDCWD or path[:1] == b"/":
        return t.fs.cwd
    if not path:
        raise OSError(errno.ENOENT, "empty path")
    return path_of(t, t.files.get(dirfd))


def find(t: Task, start: Path, path: bytes, follow: bool = True) -> Path:
    """`path` from `start`, as the task sees the tree."""
    return walk(t.kernel.mounts, t.fs, start, path, follow=follow, task=t)


def resolve(t: Task, dirfd: int, path_ptr: int, flags: int) -> Path:
    """The Path that (dirfd, path, flags) name.  Links are followed unless AT_SYMLINK_NOFOLLOW; an empty
    path with AT_EMPTY_PATH is `dirfd` itself, whatever kind of file that is."""
    path = t.mm.cstring(path_ptr)
    if not path and flags & AT_EMPTY_PATH:
        return at(t, dirfd)
    return find(t, start_of(t, dirfd, path), path, not flags & AT_SYMLINK_NOFOLLOW)


def user_path(t: Task, path_ptr: int, flags: int = 0) -> bytes:
    """getname_maybe_null: a path argument of calls to which, with AT_EMPTY_PATH, a null pointer is an empty one."""
    if not path_ptr and flags & AT_EMPTY_PATH:
        return b""
    return t.mm.cstring(path_ptr)


def resolve_parent(t: Task, dirfd: int, path_ptr: int) -> tuple[Path, bytes, bool]:
    """The directory that the last component of a path lies in, that component ("." and ".." are possible,
    "/" if there is none), and whether slashes follow it."""
    path = t.mm.cstring(path_ptr)
    return Nameidata(t.kernel.mounts, t.fs.root, t).parent(start_of(t, dirfd, path), path)


def check_flags(flags: int, known: int) -> None:
    """Raise EINVAL for flags a call does not know."""
    if flags & ~known:
        raise OSError(errno.EINVAL, "unknown flags")

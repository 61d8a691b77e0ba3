"""Filesystem objects: Linux's ``struct inode`` with its operations, and ``struct path``.

A `Node` never sees a path of more than one component, except through the short cuts, which a filesystem
may override to take several plain components in one step.  All raise OSError with the host's errno
constants.
"""

from __future__ import annotations

import errno
import stat as stat_bits
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from vfs.outside import outside

if TYPE_CHECKING:
    from vfs.file import File
    from vfs.inotify import Watches


# f_flags of statfs(2), as <sys/statvfs.h> names them; mount(2) has the same numbers
ST_NOSUID, ST_NODEV, ST_NOEXEC, ST_NOATIME, ST_NODIRATIME = 2, 4, 8, 1024, 2048


class StatLike(Protocol):
    """What stat(2) reports.  os.stat_result has this shape, so host results pass through unchanged;
    times are nanoseconds since the epoch."""

    @property
    def st_mode(self) -> int: ...
    @property
    def st_ino(self) -> int: ...
    @property
    def st_dev(self) -> int: ...
    @property
    def st_nlink(self) -> int: ...
    @property
    def st_uid(self) -> int: ...
    @property
    def st_gid(self) -> int: ...
    @property
    def st_rdev(self) -> int: ...
    @property
    def st_size(self) -> int: ...
    @property
    def st_blksize(self) -> int: ...
    @property
    def st_blocks(self) -> int: ...
    @property
    def st_atime_ns(self) -> int: ...
    @property
    def st_mtime_ns(self) -> int: ...
    @property
    def st_ctime_ns(self) -> int: ...


class Stat:
    """A `StatLike` of our own filesystems."""

    __slots__ = (
        "st_atime_ns", "st_blksize", "st_blocks", "st_ctime_ns", "st_dev", "st_gid", "st_ino", "st_mode", "st_mtime_ns",
        "st_nlink", "st_rdev", "st_size", "st_uid",
    )  # fmt: skip

    def __init__(
        self,
        st_mode: int,
        st_ino: int,
        st_dev: int,
        st_nlink: int = 1,
        st_uid: int = 0,
        st_gid: int = 0,
        st_rdev: int = 0,
        st_size: int = 0,
        st_blksize: int = 4096,
        st_blocks: int = 0,
        st_atime_ns: int = 0,
        st_mtime_ns: int = 0,
        st_ctime_ns: int = 0,
    ) -> None:
        self.st_mode = st_mode
        self.st_ino = st_ino
        self.st_dev = st_dev
        self.st_nlink = st_nlink
        self.st_uid = st_uid
        self.st_gid = st_gid
        self.st_rdev = st_rdev
        self.st_size = st_size
        self.st_blksize = st_blksize
        self.st_blocks = st_blocks
        self.st_atime_ns = st_atime_ns
        self.st_mtime_ns = st_mtime_ns
        self.st_ctime_ns = st_ctime_ns


class StatFs(NamedTuple):
    """statfs(2)."""

    f_type: int
    f_bsize: int = 4096
    f_blocks: int = 0
    f_bfree: int = 0
    f_bavail: int = 0
    f_files: int = 0
    f_ffree: int = 0
    f_fsid: int = 0
    f_namelen: int = 255
    f_frsize: int = 4096
    f_flags: int = 0


class Node:
    """struct inode."""

    __slots__ = ("__weakref__",)

    # The filesystem checks permissions itself on every operation, as the host does; elsewhere the walk
    # and the opening of files ask `access`.
    checks_access = False

    def stat(self) -> StatLike:
        raise NotImplementedError

    def kind(self) -> int:
        """The S_IFMT bits."""
        return stat_bits.S_IFMT(self.stat().st_mode)

    def identity(self) -> object:
        """Something that is the same for all nodes of one inode, and different for any other inode."""
        return self

    def open(self, flags: int, name: bytes) -> File:
        """A new open file description of this node; the walk has already done O_CREAT and O_EXCL."""
        raise OSError(errno.ENXIO, "cannot be opened")

    def readlink(self) -> bytes:
        raise OSError(errno.EINVAL, "not a symbolic link")

    def follow(self, task: Any) -> Path | None:
        """Where a magic link of /proc leads without its text being walked; None for ordinary links."""
        return None

    # Short cuts.  `rel` is a relative path without "..", perhaps with a trailing slash, that stays on
    # this filesystem; b"" is the node itself.  None: take the long way, component by component.

    def descend(self, rel: bytes, follow: bool) -> Node | None:
        """The node at `rel`, if no symbolic link is in the way; with `follow`, nor at the end."""
        return None

    def stat_at(self, rel: bytes, follow: bool) -> StatLike | None:
        """stat(2) of the node that `descend` would find."""
        return None

    def open_at(self, rel: bytes, flags: int, mode: int, text: bytes) -> File | None:
        """open(2), O_CREAT included, of the file at `rel`, whose canonical guest path is `text`."""
        return None

    def whereabouts(self, root: Node) -> bytes | None:
        """Where the directory is now, relative to the mount's `root` (b"": that itself), on filesystems
        whose directories may be moved behind our back; None: not known.  ENOENT: it was removed."""
        return None

    def above(self, root: Node, rel: bytes) -> Node | None:
        """The directory above this one, if it is certain to be `rel` below the mount's `root`: for callers
        who may not search the way down to it.  None: not known."""
        return None

    # Directories.  `name` is one component, never "." or "..".

    def lookup(self, name: bytes) -> Node:
        raise OSError(errno.ENOTDIR, "not a directory")

    def create(self, name: bytes, mode: int, flags: int, path: bytes) -> File:
        """O_CREAT: make and open a regular file; EEXIST if it is there."""
        raise OSError(errno.EACCES, "no files can be made here")

    def tmpfile(self, mode: int, flags: int, path: bytes) -> File:
        """O_TMPFILE."""
        raise OSError(errno.EOPNOTSUPP, "no unnamed files here")

    def mkdir(self, name: bytes, mode: int) -> None:
        raise OSError(errno.EACCES, "no directories can be made here")

    def mknod(self, name: bytes, mode: int, dev: int) -> None:
        raise OSError(errno.EPERM, "no special files can be made here")

    def symlink(self, name: bytes, target: bytes) -> None:
        raise OSError(errno.EACCES, "no links can be made here")

    def link(self, name: bytes, target: Node) -> None:
        raise OSError(errno.EXDEV, "no links can be made here")

    def unlink(self, name: bytes) -> None:
        raise OSError(errno.EACCES, "nothing can be removed here")

    def rmdir(self, name: bytes) -> None:
        raise OSError(errno.EACCES, "nothing can be removed here")

    def rename(self, name: bytes, to: Node, new_name: bytes, flags: int) -> None:
        """renameat2(2) within one mount."""
        raise OSError(errno.EXDEV, "nothing can be renamed here")

    # Attributes

    def access(self, mode: int) -> None:
        """R_OK, W_OK, X_OK for whom `vfs.fscred` says; EACCES or EROFS."""
        raise NotImplementedError

    def deny_write_access(self) -> None:
        """The file is about to be executed: let nobody open it for writing.  Raises OSError(ETXTBSY) if
        somebody has.  Every success is undone by one `allow_write_access`."""

    def allow_write_access(self) -> None:
        """The file is no longer executed."""

    def chmod(self, mode: int) -> None:
        raise OSError(errno.EPERM, "mode cannot be changed")

    def chown(self, uid: int, gid: int) -> None:
        raise OSError(errno.EPERM, "owner cannot be changed")

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        """Set times; None leaves one as it is."""
        raise OSError(errno.EPERM, "times cannot be changed")

    def touch(self, now_ns: int) -> None:
        """Set both times to the present."""
        self.utime(now_ns, now_ns)

    def truncate(self, size: int) -> None:
        raise OSError(errno.EINVAL, "cannot be truncated")

    def statfs(self) -> StatFs:
        raise NotImplementedError

    def birth(self) -> tuple[int | None, int, int]:
        """For statx(2): birth time in nanoseconds or None, attributes, attributes that are reported."""
        return None, 0, 0

    def getxattr(self, name: bytes) -> bytes:
        raise OSError(errno.EOPNOTSUPP, "no extended attributes")

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no extended attributes")

    def listxattr(self) -> list[bytes]:
        return []

    def removexattr(self, name: bytes) -> None:
        raise OSError(errno.EOPNOTSUPP, "no extended attributes")


class Mount:
    """struct mount: a filesystem attached at a place of the guest's tree.  `flags` are those of ST_NOSUID and its
    like that it was mounted with.  `watches` is whom to tell what happens to its files, None while nobody wants to
    know."""

    __slots__ = ("flags", "fstype", "id", "point", "read_only", "root", "source", "watches")

    def __init__(self, root: Node, point: bytes, fstype: bytes, source: bytes, read_only: bool, id: int) -> None:
        self.root = root
        self.point = point  # canonical guest path, no trailing slash except for the root itself
        self.fstype = fstype
        self.source = source
        self.read_only = read_only
        self.flags = 0
        self.id = id
        self.watches: Watches | None = None


class Path:
    """struct path: a node, the mount it was reached through, and its canonical guest path, which
    holds no symbolic link, no "." and no ".."."""

    __slots__ = ("mount", "node", "text")

    def __init__(self, mount: Mount, node: Node, text: bytes) -> None:
        self.mount = mount
        self.node = node
        self.text = text

    def want_write(self) -> None:
        """Raise EROFS if the mount is read-only: Linux's mnt_want_write."""
        if self.mount.read_only:
            raise OSError(errno.EROFS, "read-only mount")
        if self.node.checks_access:  # it is the host's
            outside.changed = True

"""tmpfs: directories and files in memory, with every attribute Linux's has.

Used for /dev/shm and the like, and, without a directory, for memfd_create(2).  A filesystem has a page
limit; names, links and attributes are Python objects and are not counted.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK

from vfs import fscred
from vfs.file import O_ACCMODE, O_EXCL, O_TRUNC, File
from vfs.mount import ListedDir
from vfs.node import Node, Stat, StatFs
from vfs.pages import PAGE_SHIFT, PAGE_SIZE, Frames
from vfs.pipe import Pipe, open_fifo
from vfs.shmem import (
    F_SEAL_EXEC,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    MAX_SIZE,
    ShmemFile,
    ShmemPages,
)

__all__ = ["ShmemPages", "TmpDir", "TmpFs", "TmpNode"]

TMPFS_MAGIC = 0x01021994
NAME_MAX = 255
BOGO_DIRENT_SIZE = 20  # what tmpfs adds to a directory's size for each entry

RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
XATTR_CREATE, XATTR_REPLACE = 1, 2
MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL = 2, 8


class TmpFs:
    """One mounted tmpfs.

    `now` gives nanoseconds since the epoch; `size` limits the contents, in bytes; `options` are those of mount(8)
    that are not the usual ones, as /proc/mounts shows them.
    """

    __slots__ = ("dev", "frames", "last_ino", "limit", "now", "options", "root", "used")

    def __init__(
        self,
        frames: Frames,
        now: Callable[[], int],
        *,
        dev: int,
        size: int | None = None,
        mode: int = 0o1777,
        options: bytes = b"",
    ) -> None:
        self.frames = frames
        self.now = now
        self.dev = dev
        self.options = options
        self.limit = (size if size is not None else 1 << 62) >> PAGE_SHIFT
        self.used = 0  # pages
        self.last_ino = 0
        self.root = TmpDir(self, mode, None)

    def charge(self, pages: int) -> None:
        if pages > 0 and self.used + pages > self.limit:
            raise OSError(errno.ENOSPC, "filesystem full")
        self.used += pages

    def memfd(self, name: bytes, flags: int) -> ShmemFile:
        """memfd_create(2): an open file without a directory.  `flags` are the call's own."""
        mode = 0o666 if flags & MFD_NOEXEC_SEAL else 0o777
        node = TmpFile(self, mode)
        node.nlink = 0
        node.seals = 0 if flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) else F_SEAL_SEAL
        if flags & MFD_NOEXEC_SEAL:
            node.seals |= F_SEAL_EXEC
        return ShmemFile(node, 2 | 0o100000, b"/memfd:%s (deleted)" % name)


class TmpNode(Node):
    """An inode.  `mode` holds the type and the permission bits; times are nanoseconds."""

    __slots__ = (
        "atime", "btime", "ctime", "fs", "gid", "ino", "linkable", "mode", "mtime", "nlink", "rdev", "uid", "xattrs",
    )  # fmt: skip

    def __init__(self, fs: TmpFs, mode: int) -> None:
        self.fs = fs
        self.mode = mode
        fs.last_ino += 1
        self.ino = fs.last_ino
        self.uid, self.gid = fscred.current.fsuid, fscred.current.fsgid
        self.nlink = 1
        self.rdev = 0
        self.linkable = True
        self.atime = self.btime = self.ctime = self.mtime = fs.now()
        self.xattrs: dict[bytes, bytes] | None = None

    def size(self) -> int:
        return 0

    def blocks(self) -> int:
        """In units of 512 bytes."""
        return 0

    def kind(self) -> int:
        return self.mode & 0o170000

    def stat(self) -> Stat:
        return Stat(
            self.mode,
            self.ino,
            self.fs.dev,
            self.nlink,
            self.uid,
            self.gid,
            self.rdev,
            self.size(),
            PAGE_SIZE,
            self.blocks(),
            self.atime,
            self.mtime,
            self.ctime,
        )

    def birth(self) -> tuple[int | None, int, int]:
        return self.btime, 0, 0

    def statfs(self) -> StatFs:
        fs = self.fs
        limited = fs.limit < 1 << 50
        total = fs.limit if limited else 0
        free = fs.limit - fs.used if limited else 0
        return StatFs(TMPFS_MAGIC, PAGE_SIZE, total, free, free, f_fsid=fs.dev)

    # Rights

    def access(self, mode: int) -> None:
        fscred.permission(self.mode, self.uid, self.gid, mode)

    def owned(self) -> None:
        """Raise EPERM unless the caller owns the inode, or may act as if."""
        if not fscred.owner_or_capable(self.uid):
            raise OSError(errno.EPERM, "not the owner")

    def chmod(self, mode: int) -> None:
        if self.kind() == S_IFLNK:
            raise OSError(errno.EOPNOTSUPP, "symbolic links have no mode")
        self.owned()
        self.mode = S_IFMT(self.mode) | fscred.chmod_mode(mode & 0o7777, self.gid)
        self.ctime = self.fs.now()

    def chown(self, uid: int, gid: int) -> None:
        fscred.may_chown(self.uid, self.gid, uid, gid)
        if self.kind() != S_IFDIR:
            self.mode = fscred.chown_mode(self.mode, self.uid)
        self.uid = self.uid if uid == -1 else uid
        self.gid = self.gid if gid == -1 else gid
        self.ctime = self.fs.now()

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        self.atime = self.atime if atime_ns is None else atime_ns
        self.mtime = self.mtime if mtime_ns is None else mtime_ns
        self.ctime = self.fs.now()

    # Extended attributes

    def attributes(self, name: bytes) -> dict[bytes, bytes]:
        """The attributes, if this inode may have one called `name`."""
        space, dot, rest = name.partition(b".")
        if not dot or space not in (b"user", b"trusted", b"security"):
            raise OSError(errno.EOPNOTSUPP, "no such namespace")
        if space == b"user" and self.kind() not in (S_IFREG, S_IFDIR):
            raise OSError(errno.EPERM, "only files and directories have user attributes")
        if not rest:
            raise OSError(errno.EINVAL, "nothing but the namespace")
        if self.xattrs is None:
            self.xattrs = {}
        return self.xattrs

    def getxattr(self, name: bytes) -> bytes:
        try:
            return self.attributes(name)[name]
        except KeyError:
            raise OSError(errno.ENODATA, "no such attribute") from None

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        attributes = self.attributes(name)
        if flags & XATTR_CREATE and name in attributes:
            raise OSError(errno.EEXIST, "attribute exists")
        if flags & XATTR_REPLACE and name not in attributes:
            raise OSError(errno.ENODATA, "no such attribute")
        attributes[name] = value
        self.ctime = self.fs.now()

    def listxattr(self) -> list[bytes]:
        return list(self.xattrs or ())

    def removexattr(self, name: bytes) -> None:
        if self.attributes(name).pop(name, None) is None:
            raise OSError(errno.ENODATA, "no such attribute")
        self.ctime = self.fs.now()


class TmpFile(TmpNode):
    """A regular file."""

    __slots__ = ("data", "seals")

    def __init__(self, fs: TmpFs, mode: int) -> None:
        super().__init__(fs, S_IFREG | mode)
        self.data = ShmemPages(fs.frames, fs)
        self.seals = F_SEAL_SEAL

    def size(self) -> int:
        return self.data.length

    def blocks(self) -> int:
        return len(self.data.pages) << (PAGE_SHIFT - 9)

    def open(self, flags: int, name: bytes) -> File:
        if flags & O_TRUNC:
            self.resize(0)
        return ShmemFile(self, flags, name)

    def chmod(self, mode: int) -> None:
        if self.seals & F_SEAL_EXEC and (mode ^ self.mode) & 0o111:
            raise OSError(errno.EPERM, "sealed")
        super().chmod(mode)

    def truncate(self, size: int) -> None:
        self.resize(size)

    def resize(self, size: int) -> None:
        """Set the size.  Raises OSError(EPERM) if sealed, EFBIG."""
        if size > MAX_SIZE:
            raise OSError(errno.EFBIG, "too large")
        length = self.data.length
        if (size < length and self.seals & F_SEAL_SHRINK) or (size > length and self.seals & F_SEAL_GROW):
            raise OSError(errno.EPERM, "sealed")
        self.data.resize(size)
        self.touched()

    def touched(self) -> None:
        """The contents were changed."""
        self.mtime = self.ctime = self.fs.now()
        self.mode = fscred.written_mode(self.mode, self.gid)


class TmpLink(TmpNode):
    """A symbolic link."""

    __slots__ = ("target",)

    def __init__(self, fs: TmpFs, target: bytes) -> None:
        super().__init__(fs, S_IFLNK | 0o777)
        self.target = target

    def size(self) -> int:
        return len(self.target)

    def readlink(self) -> bytes:
        return self.target


class TmpSpecial(TmpNode):
    """A FIFO, whose pipe exists while it is open; a socket or device, which cannot be opened."""

    __slots__ = ("pipe",)

    def __init__(self, fs: TmpFs, mode: int, rdev: int) -> None:
        super().__init__(fs, mode)
        self.rdev = rdev
        self.pipe: Pipe | None = None

    def open(self, flags: int, name: bytes) -> File:
        if self.kind() != S_IFIFO:
            raise OSError(errno.ENXIO if self.kind() == S_IFSOCK else errno.EACCES, "cannot be opened")
        if self.pipe is None:
            self.pipe = Pipe()
        return open_fifo(self, self.pipe, flags, name)


class TmpDir(TmpNode):
    """A directory.  `children` are in order of creation; listings show the newest first, as Linux's do."""

    __slots__ = ("children", "parent")

    def __init__(self, fs: TmpFs, mode: int, parent: TmpDir | None) -> None:
        super().__init__(fs, S_IFDIR | mode)
        self.children: dict[bytes, TmpNode] = {}
        self.parent = parent if parent is not None else self
        self.nlink = 2

    def size(self) -> int:
        return BOGO_DIRENT_SIZE * (2 + len(self.children)) if self.nlink else 0

    def open(self, flags: int, name: bytes) -> File:
        if flags & O_ACCMODE:
            raise OSError(errno.EISDIR, "is a directory")
        return TmpDirFile(self, flags, name, [])

    def lookup(self, name: bytes) -> TmpNode:
        try:
            return self.children[name]
        except KeyError:
            if len(name) > NAME_MAX:
                raise OSError(errno.ENAMETOOLONG, "name too long") from None
            raise OSError(errno.ENOENT, "no such file or directory") from None

    def whereabouts(self, root: Node) -> bytes | None:
        if not self.nlink:
            raise OSError(errno.ENOENT, "removed directory")
        names: list[bytes] = []
        here = self
        while here is not root:
            if here.parent is here:
                return None
            names.append(next(name for name, child in here.parent.children.items() if child is here))
            here = here.parent
        return b"/".join(reversed(names))

    # Making

    def insert(self, name: bytes, node: TmpNode) -> None:
        """Give `node` a name here.  Raises OSError(EEXIST), and ENOENT in a directory that was removed."""
        if name in self.children:
            raise OSError(errno.EEXIST, "file exists")
        if len(name) > NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, "name too long")
        if not self.nlink:
            raise OSError(errno.ENOENT, "removed directory")
        self.children[name] = node
        self.changed()

    def changed(self) -> None:
        self.mtime = self.ctime = self.fs.now()

    def adopt(self, node: TmpNode) -> TmpNode:
        """Inherit the group of a set-group-ID directory."""
        node.gid, node.mode = fscred.new_group(self.mode, self.gid, node.mode)
        return node

    def create(self, name: bytes, mode: int, flags: int, path: bytes) -> File:
        node = TmpFile(self.fs, mode)
        self.insert(name, self.adopt(node))
        return ShmemFile(node, flags, path)

    def tmpfile(self, mode: int, flags: int, path: bytes) -> File:
        node = TmpFile(self.fs, mode)
        self.adopt(node)
        node.nlink = 0
        node.linkable = not flags & O_EXCL
        return ShmemFile(node, flags, path + b"/#%d (deleted)" % node.ino)

    def mkdir(self, name: bytes, mode: int) -> None:
        self.insert(name, self.adopt(TmpDir(self.fs, mode, self)))
        self.nlink += 1

    def mknod(self, name: bytes, mode: int, dev: int) -> None:
        kind = S_IFMT(mode)
        if kind in (0, S_IFREG):
            node: TmpNode = TmpFile(self.fs, mode & 0o7777)
        elif kind in (S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK):
            node = TmpSpecial(self.fs, mode, dev)
        else:
            raise OSError(errno.EINVAL, "no such type of file")
        self.insert(name, self.adopt(node))

    def symlink(self, name: bytes, target: bytes) -> None:
        self.insert(name, self.adopt(TmpLink(self.fs, target)))

    def link(self, name: bytes, target: Node) -> None:
        if not isinstance(target, TmpNode) or target.fs is not self.fs:
            raise OSError(errno.EXDEV, "another filesystem")
        if target.kind() == S_IFDIR:
            raise OSError(errno.EPERM, "is a directory")
        if not target.nlink and not target.linkable:
            raise OSError(errno.ENOENT, "has no name any more")
        self.insert(name, target)
        target.nlink += 1
        target.linkable = True
        target.ctime = self.fs.now()

    # Removing

    def may_remove(self, node: TmpNode) -> None:
        """Raise EPERM if a sticky directory keeps the caller from removing `node`."""
        fscred.check_sticky(self.mode, self.uid, node.uid)

    def unlink(self, name: bytes) -> None:
        node = self.lookup(name)
        if node.kind() == S_IFDIR:
            raise OSError(errno.EISDIR, "is a directory")
        self.may_remove(node)
        self.remove(name, node)

    def rmdir(self, name: bytes) -> None:
        node = self.lookup(name)
        if not isinstance(node, TmpDir):
            raise OSError(errno.ENOTDIR, "not a directory")
        self.may_remove(node)
        if node.children:
            raise OSError(errno.ENOTEMPTY, "directory not empty")
        self.remove(name, node)

    def remove(self, name: bytes, node: TmpNode) -> None:
        """Take a name away from `node`, which goes with the last one unless it is open."""
        del self.children[name]
        if isinstance(node, TmpDir):
            node.nlink = 0
            self.nlink -= 1
        else:
            node.nlink -= 1
            node.linkable = node.nlink > 0
        node.ctime = self.fs.now()
        self.changed()

    # Moving

    def rename(self, name: bytes, to: Node, new_name: bytes, flags: int) -> None:
        if not isinstance(to, TmpDir) or to.fs is not self.fs:
            raise OSError(errno.EXDEV, "another filesystem")
        if flags & RENAME_WHITEOUT:
            raise OSError(errno.EINVAL, "no whiteouts")
        node = self.lookup(name)
        old = to.children.get(new_name)
        self.may_remove(node)
        if old is not None:
            if flags & RENAME_NOREPLACE:
                raise OSError(errno.EEXIST, "file exists")
            to.may_remove(old)
        elif flags & RENAME_EXCHANGE:
            raise OSError(errno.ENOENT, "nothing to exchange with")
        if isinstance(node, TmpDir) and to.inside(node):
            raise OSError(errno.EINVAL, "into itself")
        if flags & RENAME_EXCHANGE:
            assert old is not None
            if isinstance(old, TmpDir) and self.inside(old):
                raise OSError(errno.EINVAL, "into itself")
            self.place(name, old, node)
            to.place(new_name, node, old)
        elif old is node:
            return  # two names of one file: POSIX leaves both
        else:
            if len(new_name) > NAME_MAX:
                raise OSError(errno.ENAMETOOLONG, "name too long")
            if old is not None:
                replaceable(node, old)
                to.remove(new_name, old)
            del self.children[name]
            if isinstance(node, TmpDir):
                self.nlink -= 1
                to.nlink += 1
                node.parent = to
            to.children[new_name] = node
        node.ctime = self.fs.now()
        self.changed()
        to.changed()

    def place(self, name: bytes, node: TmpNode, instead_of: TmpNode) -> None:
        """Half of an exchange: `name` now means `node`."""
        self.children[name] = node
        if isinstance(instead_of, TmpDir):
            self.nlink -= 1
        if isinstance(node, TmpDir):
            self.nlink += 1
            node.parent = self

    def inside(self, other: TmpDir) -> bool:
        """Whether this directory is `other` or lies below it."""
        here = self
        while here is not other:
            if here.parent is here:
                return False
            here = here.parent
        return True


def replaceable(node: TmpNode, old: TmpNode) -> None:
    """Raise unless a rename may put `node` in the place of `old`."""
    if isinstance(old, TmpDir):
        if not isinstance(node, TmpDir):
            raise OSError(errno.EISDIR, "is a directory")
        if old.children:
            raise OSError(errno.ENOTEMPTY, "directory not empty")
    elif isinstance(node, TmpDir):
        raise OSError(errno.ENOTDIR, "not a directory")


class TmpDirFile(ListedDir):
    """An open directory.  The list is made when reading starts, so that removing what was read does not
    make entries be passed over."""

    __slots__ = ()

    node: TmpDir

    def relist(self) -> None:
        node = self.node
        self.listed = [(node.ino, S_IFDIR >> 12, b"."), (node.parent.ino, S_IFDIR >> 12, b"..")]
        self.listed += [(child.ino, child.mode >> 12, name) for name, child in reversed(node.children.items())]

"""Virtual filesystems: directories and files whose contents are made when they are looked at.

Linux: kernfs, ``proc_ops`` and ``seq_file``.  This is mechanism only: /proc, /sys and their like hand
in the contents as callables.  A node gets its filesystem and inode number when its directory first
gives it out, and keeps both for as long as the thing it stands for lives, so that numbers are stable
and a tree that nobody looks at costs nothing.

Differs from Linux: modes, owners and times of virtual nodes cannot be changed (EPERM).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import TYPE_CHECKING, Any, NoReturn

from vfs import fscred
from vfs.file import O_ACCMODE, O_RDONLY, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET, File
from vfs.fscred import permission
from vfs.mount import ListedDir
from vfs.node import Node, Path, Stat, StatFs
from vfs.pages import ShortSpans

if TYPE_CHECKING:
    from vfs.pages import Spans

Owner = Callable[[], tuple[int, int]]
Text = Callable[[], bytes]


def root_owner() -> tuple[int, int]:
    return 0, 0


class PseudoFs:
    """What the nodes of one virtual filesystem share: Linux's ``struct super_block``.

    `now` gives nanoseconds since the epoch.  `file_size` is the st_size of every regular file.
    `absent` is the error for making anything new, None where each call has its usual one.
    """

    __slots__ = ("absent", "dev", "file_size", "last_ino", "magic", "now")

    def __init__(
        self, magic: int, dev: int, now: Callable[[], int], *, file_size: int = 0, absent: int | None = None
    ) -> None:
        self.magic = magic
        self.dev = dev
        self.now = now
        self.file_size = file_size
        self.absent = absent
        self.last_ino = 0

    def root(self, node: PseudoDir) -> PseudoDir:
        """Make `node` the root directory; it becomes its own parent and inode 1."""
        node.attach(self, node)
        return node


class PseudoNode(Node):
    """A node of a virtual filesystem.  `mode` holds the type and the permission bits."""

    __slots__ = ("born_ns", "fs", "ino", "mode", "owner", "parent")

    fs: PseudoFs
    parent: PseudoDir

    def __init__(self, mode: int, owner: Owner = root_owner) -> None:
        self.mode = mode
        self.owner = owner
        self.ino = 0
        self.born_ns = 0

    def attach(self, fs: PseudoFs, parent: PseudoDir) -> None:
        """Take a place in the tree; called once, by the directory that holds the node."""
        self.fs = fs
        self.parent = parent
        self.born_ns = fs.now()
        fs.last_ino += 1
        self.ino = fs.last_ino

    def alive(self) -> bool:
        """False once the thing this node stands for is gone: its directory then forgets it."""
        return True

    def size(self) -> int:
        return 0

    def nlink(self) -> int:
        return 1

    def kind(self) -> int:
        return self.mode & 0o170000

    def stat(self) -> Stat:
        uid, gid = self.owner()
        at = self.born_ns
        return Stat(
            self.mode,
            self.ino,
            self.fs.dev,
            self.nlink(),
            uid,
            gid,
            st_size=self.size(),
            st_blksize=1024 if self.fs.file_size == 0 else 4096,
            st_atime_ns=at,
            st_mtime_ns=at,
            st_ctime_ns=at,
        )

    def access(self, mode: int) -> None:
        permission(self.mode, *self.owner(), mode)

    def truncate(self, size: int) -> None:
        """Accepted and ignored, so that ``echo x > /proc/...`` works."""

    def statfs(self) -> StatFs:
        return StatFs(f_type=self.fs.magic)


class PseudoDir(PseudoNode):
    """A directory whose children are made on first use by `make`; subclasses say which there are."""

    __slots__ = ("made",)

    def __init__(self, mode: int = 0o555, owner: Owner = root_owner) -> None:
        super().__init__(S_IFDIR | mode, owner)
        self.made: dict[bytes, PseudoNode] = {}

    def names(self) -> Iterable[bytes]:
        """The names of all children, in the order readdir gives them."""
        raise NotImplementedError

    def make(self, name: bytes) -> PseudoNode | None:
        """A new node for `name`, None if there is no such child."""
        raise NotImplementedError

    def lookup(self, name: bytes) -> PseudoNode:
        node = self.made.get(name)
        if node is not None:
            if node.alive():
                return node
            del self.made[name]
        node = self.make(name)
        if node is None:
            raise OSError(errno.ENOENT, "no such entry")
        node.attach(self.fs, self)
        self.made[name] = node
        return node

    def nlink(self) -> int:
        return 2

    def open(self, flags: int, name: bytes) -> File:
        if flags & O_ACCMODE != O_RDONLY:
            raise OSError(errno.EISDIR, "is a directory")
        return PseudoDirFile(self, flags, name, [])

    def listing(self) -> list[tuple[int, int, bytes]]:
        """(inode, DT_ type, name) of everything here, "." and ".." first."""
        found = [(self.ino, 4, b"."), (self.parent.ino, 4, b"..")]
        for name in self.names():
            try:
                node = self.lookup(name)
            except OSError:
                continue  # went away meanwhile
            found.append((node.ino, node.mode >> 12, name))
        return found

    # Nothing can be made, moved or removed.

    def refuse_new(self, name: bytes, usual: int) -> NoReturn:
        try:
            self.lookup(name)
        except OSError:
            pass
        else:
            raise OSError(errno.EEXIST, "file exists")
        raise OSError(usual if self.fs.absent is None else self.fs.absent, "nothing can be made here")

    def refuse_old(self, name: bytes) -> NoReturn:
        self.lookup(name)
        raise OSError(errno.EPERM, "nothing can be removed here")

    def create(self, name: bytes, mode: int, flags: int, path: bytes) -> File:
        self.refuse_new(name, errno.EACCES)

    def mkdir(self, name: bytes, mode: int) -> None:
        self.refuse_new(name, errno.EPERM)

    def mknod(self, name: bytes, mode: int, dev: int) -> None:
        self.refuse_new(name, errno.EPERM)

    def symlink(self, name: bytes, target: bytes) -> None:
        self.refuse_new(name, errno.EPERM)

    def link(self, name: bytes, target: Node) -> None:
        self.refuse_new(name, errno.EPERM)

    def unlink(self, name: bytes) -> None:
        self.refuse_old(name)

    def rmdir(self, name: bytes) -> None:
        self.refuse_old(name)

    def rename(self, name: bytes, to: Node, new_name: bytes, flags: int) -> None:
        if self.fs.absent is not None:
            to.lookup(new_name)  # a new name is refused like any other
        self.refuse_old(name)


class TableDir(PseudoDir):
    """A directory with fixed names: each maps to a node, or to what makes it on first use."""

    __slots__ = ("links", "table")

    def __init__(
        self,
        table: Mapping[bytes, PseudoNode | Callable[[], PseudoNode]],
        mode: int = 0o555,
        owner: Owner = root_owner,
    ) -> None:
        super().__init__(mode, owner)
        self.table = table
        self.links = 0

    def names(self) -> Iterable[bytes]:
        return self.table

    def make(self, name: bytes) -> PseudoNode | None:
        found = self.table.get(name)
        return found if found is None or isinstance(found, PseudoNode) else found()

    def nlink(self) -> int:
        if not self.links:
            self.links = 2 + sum(isinstance(self.lookup(name), PseudoDir) for name in self.table)
        return self.links


class TextFile(PseudoNode):
    """A regular file: `text` makes its whole contents, `store` takes what one write(2) brings.

    `whole` files (sysctl numbers) give everything to the first read and the end of file to the next.
    `end` is what SEEK_END counts from, None where it is not allowed (seq_file).
    """

    __slots__ = ("end", "store", "text", "whole")

    def __init__(
        self,
        text: Text,
        store: Callable[[bytes], None] | None = None,
        mode: int = 0o444,
        owner: Owner = root_owner,
        whole: bool = False,
        end: int | None = None,
    ) -> None:
        super().__init__(S_IFREG | mode, owner)
        self.text = text
        self.store = store
        self.whole = whole
        self.end = end

    def size(self) -> int:
        return self.fs.file_size

    def open(self, flags: int, name: bytes) -> File:
        return TextFileHandle(self, flags, name)


class StrictTextFile(TextFile):
    """A file whose permission bits bind the superuser too, as those of sysfs and /proc/sys do."""

    __slots__ = ()

    def attach(self, fs: PseudoFs, parent: PseudoDir) -> None:
        super().attach(fs, parent)
        self.end = fs.file_size

    def access(self, mode: int) -> None:
        uid, gid = self.owner()
        shift = 6 if fscred.current.fsuid == uid else 3 if fscred.in_group(gid) else 0
        if mode & ~(self.mode >> shift) & 7:
            raise OSError(errno.EACCES, "permission bits")


class PseudoLink(PseudoNode):
    """A symbolic link; its text may depend on who reads it (/proc/self)."""

    __slots__ = ("target",)

    def __init__(self, target: bytes | Text, owner: Owner = root_owner) -> None:
        super().__init__(S_IFLNK | 0o777, owner)
        self.target = target

    def readlink(self) -> bytes:
        return self.target if isinstance(self.target, bytes) else self.target()


class MagicLink(PseudoLink):
    """A link that leads straight to an object, whatever its text says (/proc/PID/exe)."""

    __slots__ = ("path",)

    def __init__(self, target: Text, path: Callable[[], Path], owner: Owner = root_owner) -> None:
        super().__init__(target, owner)
        self.path = path

    def follow(self, task: Any) -> Path:
        return self.path()


class TextFileHandle(File):
    """An open virtual file: Linux's ``struct seq_file``.  The contents are made at the first read, and
    again whenever reading starts over at offset 0."""

    __slots__ = ("offset", "snapshot")

    node: TextFile
    seekable = True

    def __init__(self, node: TextFile, flags: int, name: bytes) -> None:
        super().__init__(node, flags, name)
        self.offset = 0
        self.snapshot: bytes | None = None

    def read(self, spans: Spans) -> int:
        count = self.pread(spans, self.offset)
        self.offset += count
        return count

    def pread(self, spans: Spans, offset: int) -> int:
        if self.flags & O_ACCMODE == O_WRONLY:
            raise OSError(errno.EBADF, "not open for reading")
        node = self.node
        if offset and node.whole:
            return 0
        snapshot = self.snapshot
        if snapshot is None or not offset:
            snapshot = self.snapshot = node.text()
        return fill(spans, snapshot, offset)

    def write(self, spans: Spans) -> int:
        count = self.pwrite(spans, self.offset)
        self.offset += count
        return count

    def pwrite(self, spans: Spans, offset: int) -> int:
        if self.flags & O_ACCMODE == O_RDONLY:
            raise OSError(errno.EBADF, "not open for writing")
        store = self.node.store
        if store is None:
            raise OSError(errno.EIO, "read-only contents")
        if type(spans) is ShortSpans:
            raise OSError(errno.EFAULT, "bad buffer")
        data = b"".join(spans)
        store(data)
        self.snapshot = None
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence == SEEK_END and self.node.end is not None:
            offset += self.node.end
        elif whence != SEEK_SET:
            raise OSError(errno.EINVAL, "bad whence")
        if offset < 0:
            raise OSError(errno.EINVAL, "negative offset")
        self.offset = offset
        return offset

    def sync(self, data_only: bool) -> None:
        if not self.node.end:  # sysfs alone accepts it
            raise OSError(errno.EINVAL, "nothing to synchronise")


class PseudoDirFile(ListedDir):
    """An open virtual directory."""

    __slots__ = ()

    node: PseudoDir

    def relist(self) -> None:
        self.listed = self.node.listing()

    def sync(self, data_only: bool) -> None:
        raise OSError(errno.EINVAL, "nothing to synchronise")


def fill(spans: Spans, data: bytes, offset: int = 0) -> int:
    """Copy `data` from `offset` on into the spans, as far as they go; the number of bytes copied.  Raises
    OSError(EFAULT) if there is something to copy, but not a single byte of the buffer to copy it to."""
    start = offset
    for span in spans:
        part = data[offset : offset + len(span)]
        span[: len(part)] = part
        offset += len(part)
    if offset == start < len(data) and type(spans) is ShortSpans:
        raise OSError(errno.EFAULT, "bad buffer")
    return offset - start

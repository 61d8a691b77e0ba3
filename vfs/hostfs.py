"""Files and directories of the host, seen through a directory of it.

The host is never allowed to follow a symbolic link, and ".." never reaches it: a path is either taken
by openat2(2) with RESOLVE_NO_SYMLINKS, or component by component with O_NOFOLLOW.  On Linux a node
holds a descriptor, mostly an O_PATH one, and is reopened through /proc/self/fd.  The portable way holds
descriptors of directories and names everything else by its directory and name.

Owners, modes and inode numbers pass through unchanged, and so do the host's permission checks.  Differs
from Linux: the host's device files cannot be opened (EACCES), since a guest's devices are lxrun's own,
nobody listens on its sockets (ENXIO), and a FIFO connects the guests of one run, not them and the host.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from stat import S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK
from typing import ClassVar
from weakref import WeakValueDictionary

from vfs import host
from vfs.file import O_ACCMODE, O_CREAT, O_EXCL, O_TMPFILE, O_TRUNC, File
from vfs.fscred import permission
from vfs.hostfile import NOT_KEPT, HostDir, HostFile, host_flags, is_writing, opened
from vfs.node import Node, StatFs
from vfs.outside import outside
from vfs.pages import Identity, PageCache
from vfs.pipe import Pipe, open_fifo

_close = os.close
_fstat = os.fstat
_stat = os.stat
_IFMT = 0o170000
_MAKES_FILE = O_CREAT | (O_TMPFILE & ~0o200000)
_CHANGES = _MAKES_FILE | O_TRUNC


class HostFs:
    """What all nodes of the host's filesystem share: Linux's ``struct super_block``.

    `text_busy` says which files are being executed, so that opening one for writing gives ETXTBSY;
    `writers` counts, by identity, the descriptions that are open for writing, so that exec can refuse.
    `fifos` are the pipes of FIFOs that are open.
    """

    __slots__ = ("cache", "fifos", "portable", "text_busy", "writers")

    # The classes of its objects; vfs/override.py has others
    node: ClassVar[type[HostNode]]
    file: ClassVar[type[HostFile]] = HostFile
    directory: ClassVar[type[HostDir]] = HostDir

    def __init__(
        self, cache: PageCache, text_busy: dict[Identity, int] | None = None, portable: bool = host.PORTABLE
    ) -> None:
        self.cache = cache
        self.text_busy: dict[Identity, int] = {} if text_busy is None else text_busy
        self.writers: dict[Identity, int] = {}
        self.fifos: WeakValueDictionary[Identity, Pipe] = WeakValueDictionary()
        self.portable = portable

    def root(self, path: bytes) -> HostNode:
        """The node of a directory, or of a file to be mounted on one.  The host resolves links in `path`:
        it is what the user named, not a guest."""
        real = os.path.realpath(path)
        if not self.portable:
            return self.node(self, os.open(real, host.O_PATH | host.O_CLOEXEC))
        flags = os.O_RDONLY | host.O_DIRECTORY | host.O_CLOEXEC
        if os.path.isdir(real):
            return PortableNode(self, os.open(real, flags), S_IFDIR)
        parent = PortableNode(self, os.open(os.path.dirname(real), flags), S_IFDIR)
        return parent.lookup(os.path.basename(real))


class HostNode(Node):
    """An inode of the host, by a descriptor."""

    __slots__ = ("fd", "format", "fs")

    checks_access = True

    def __init__(self, fs: HostFs, fd: int, format: int = 0) -> None:
        self.fs = fs
        self.fd = fd
        self.format = format  # S_IFMT bits, 0: not looked at yet

    def __del__(self, close: Callable[[int], None] = _close) -> None:
        close(self.fd)

    def stat(self) -> os.stat_result:
        return _fstat(self.fd)

    def kind(self) -> int:
        found = self.format
        if not found:
            found = self.format = _fstat(self.fd).st_mode & _IFMT
        return found

    def identity(self) -> Identity:
        st = self.stat()
        return st.st_dev, st.st_ino

    # Short cuts

    def descend(self, rel: bytes, follow: bool) -> Node | None:
        if not rel:
            return self
        fd = host.walk_beneath(self.fd, rel)
        if fd < 0:
            number = host.get_errno()
            if number == errno.ELOOP:
                return None
            raise OSError(number, os.strerror(number))
        node = self.fs.node(self.fs, fd)
        if follow and node.kind() == S_IFLNK:
            return None
        return node

    def stat_at(self, rel: bytes, follow: bool) -> os.stat_result | None:
        if b"/" not in rel:
            st = _stat(rel, dir_fd=self.fd, follow_symlinks=False) if rel else self.stat()
        else:
            fd = host.walk_beneath(self.fd, rel)
            if fd < 0:
                number = host.get_errno()
                if number == errno.ELOOP:
                    return None
                raise OSError(number, os.strerror(number))
            st = _fstat(fd)
            _close(fd)
        if follow and st.st_mode & _IFMT == S_IFLNK:
            return None
        return st

    def open_at(self, rel: bytes, flags: int, mode: int, text: bytes) -> File | None:
        if not rel:
            return None
        if flags & _CHANGES:
            outside.changed = True
        # openat2 insists on no mode where nothing is made
        fd = host.open_beneath(self.fd, rel, host_flags(flags), mode if flags & _MAKES_FILE else 0)
        if fd < 0:
            number = host.get_errno()
            if number in (errno.ELOOP, errno.ENXIO):
                return None
            raise OSError(number, os.strerror(number))
        return opened(self.fs.node(self.fs, fd), flags, text)

    def whereabouts(self, root: Node) -> bytes | None:
        if not isinstance(root, HostNode):
            return None
        if not _fstat(self.fd).st_nlink:
            raise OSError(errno.ENOENT, "deleted directory")
        top = os.readlink(host.by_fd(root.fd))
        here = os.readlink(host.by_fd(self.fd))
        if here == top:
            return b""
        prefix = top if top == b"/" else top + b"/"
        return here[len(prefix) :] if here.startswith(prefix) else None

    def above(self, root: Node, rel: bytes) -> Node | None:
        node = self.fs.node(self.fs, os.open(b"..", host.O_PATH | host.O_DIRECTORY | host.O_CLOEXEC, dir_fd=self.fd))
        return node if node.whereabouts(root) == rel else None

    # As a file

    def open(self, flags: int, name: bytes) -> File:
        kind = self.kind()
        if kind not in (S_IFREG, S_IFDIR, S_IFIFO):
            numbers = {S_IFLNK: errno.ELOOP, S_IFSOCK: errno.ENXIO}
            raise OSError(numbers.get(kind, errno.EACCES), "cannot be opened")
        if kind == S_IFIFO:
            return self.open_fifo(flags & ~NOT_KEPT, name)
        return opened(self.reopened(host_flags(flags & ~(O_CREAT | O_EXCL))), flags, name)

    def open_fifo(self, flags: int, name: bytes) -> File:
        """The host says only whether it may be opened."""
        if not self.host_access((os.R_OK, os.W_OK, os.R_OK | os.W_OK, 0)[flags & O_ACCMODE]):
            raise OSError(errno.EACCES, "permission denied")
        identity = self.identity()
        pipe = self.fs.fifos.get(identity)
        if pipe is None:
            pipe = self.fs.fifos[identity] = Pipe()
        return open_fifo(self, pipe, flags, name)

    def reopened(self, flags: int) -> HostNode:
        """This very inode with a descriptor for I/O."""
        return self.fs.node(self.fs, os.open(host.by_fd(self.fd), flags))

    def without_io(self) -> HostNode:
        """This very inode with a descriptor that is not open for reading or writing."""
        return self.reopened(host.O_PATH | host.O_CLOEXEC)

    def readlink(self) -> bytes:
        if self.kind() != S_IFLNK:
            raise OSError(errno.EINVAL, "not a symbolic link")
        return os.readlink(b"", dir_fd=self.fd)

    # As a directory

    def lookup(self, name: bytes) -> HostNode:
        return self.fs.node(self.fs, os.open(name, host.O_PATH | host.O_NOFOLLOW | host.O_CLOEXEC, dir_fd=self.fd))

    def create(self, name: bytes, mode: int, flags: int, path: bytes) -> File:
        fd = os.open(name, host_flags(flags | O_CREAT | O_EXCL) | host.O_NOFOLLOW, mode, dir_fd=self.fd)
        return opened(self.made(fd), flags & ~O_TRUNC, path)

    def made(self, fd: int) -> HostNode:
        """A node for a descriptor that was opened for I/O."""
        return self.fs.node(self.fs, fd)

    def tmpfile(self, mode: int, flags: int, path: bytes) -> File:
        if not getattr(os, "O_TMPFILE", 0):
            raise OSError(errno.EOPNOTSUPP, "not supported by the host")
        fd = os.open(b".", host_flags(flags), mode, dir_fd=self.fd)
        return opened(self.made(fd), flags, path)

    def mkdir(self, name: bytes, mode: int) -> None:
        os.mkdir(name, mode, dir_fd=self.fd)

    def mknod(self, name: bytes, mode: int, dev: int) -> None:
        if S_IFMT(mode) == S_IFREG:  # not every host's mknod makes these
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | host.O_NOFOLLOW, mode & 0o7777, dir_fd=self.fd))
        else:
            os.mknod(name, mode, dev, dir_fd=self.fd)

    def symlink(self, name: bytes, target: bytes) -> None:
        os.symlink(target, name, dir_fd=self.fd)

    def link(self, name: bytes, target: Node) -> None:
        if not isinstance(target, HostNode):
            raise OSError(errno.EXDEV, "another filesystem")
        target.link_to(self.fd, name)

    def link_to(self, directory: int, name: bytes) -> None:
        """linkat(2) of this inode as `name` in a directory of the host."""
        os.link(host.by_fd(self.fd), name, dst_dir_fd=directory, follow_symlinks=True)

    def unlink(self, name: bytes) -> None:
        os.unlink(name, dir_fd=self.fd)

    def rmdir(self, name: bytes) -> None:
        os.rmdir(name, dir_fd=self.fd)

    def rename(self, name: bytes, to: Node, new_name: bytes, flags: int) -> None:
        if not isinstance(to, HostNode):
            raise OSError(errno.EXDEV, "another filesystem")
        host.rename(self.fd, name, to.fd, new_name, flags)

    # Attributes

    def access(self, mode: int) -> None:
        if not self.host_access(mode):
            if mode & os.W_OK and self.statvfs().f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, "read-only filesystem")
            raise OSError(errno.EACCES, "permission denied")

    def deny_write_access(self) -> None:
        identity = self.identity()
        if identity in self.fs.writers:
            raise OSError(errno.ETXTBSY, "open for writing")
        self.fs.text_busy[identity] = self.fs.text_busy.get(identity, 0) + 1

    def allow_write_access(self) -> None:
        identity = self.identity()
        left = self.fs.text_busy.pop(identity, 1) - 1
        if left:
            self.fs.text_busy[identity] = left

    def host_access(self, mode: int) -> bool:
        return os.access(host.by_fd(self.fd), mode, effective_ids=True)

    def place(self) -> bytes | int:
        """What functions of `os` that change attributes are given to reach this inode."""
        return host.by_fd(self.fd)

    def chmod(self, mode: int) -> None:
        if self.kind() == S_IFLNK:
            raise OSError(errno.EOPNOTSUPP, "symbolic links have no mode")
        os.chmod(self.place(), mode)

    def chown(self, uid: int, gid: int) -> None:
        os.chown(self.place(), uid, gid)

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        if atime_ns is None or mtime_ns is None:
            st = self.stat()
            atime_ns = st.st_atime_ns if atime_ns is None else atime_ns
            mtime_ns = st.st_mtime_ns if mtime_ns is None else mtime_ns
        self.set_times(atime_ns, mtime_ns)

    def set_times(self, atime_ns: int, mtime_ns: int) -> None:
        os.utime(self.place(), ns=(atime_ns, mtime_ns))

    def touch(self, now_ns: int) -> None:
        os.utime(self.place())  # the host's own present: it asks for less than naming a time does

    def truncate(self, size: int) -> None:
        kind = self.kind()
        if kind != S_IFREG:
            raise OSError(errno.EISDIR if kind == S_IFDIR else errno.EINVAL, "not a regular file")
        identity = self.identity()
        if identity in self.fs.text_busy:
            raise OSError(errno.ETXTBSY, "being executed")
        pages = self.fs.cache.files.get(identity)
        end = size
        if pages is not None:
            pages.writeback()
            end = min(size, pages.size())
        self.set_size(size)
        if pages is not None:
            pages.cut(end)  # as in HostFile.truncate
            pages.seen = pages.version()

    def set_size(self, size: int) -> None:
        os.truncate(host.by_fd(self.fd), size)

    def statvfs(self) -> os.statvfs_result:
        return os.fstatvfs(self.fd)

    def statfs(self) -> StatFs:
        st = self.statvfs()
        return StatFs(
            f_type=host.statfs_type(self.fd),
            f_bsize=st.f_bsize,
            f_blocks=st.f_blocks,
            f_bfree=st.f_bfree,
            f_bavail=st.f_bavail,
            f_files=st.f_files,
            f_ffree=st.f_ffree,
            f_fsid=st.f_fsid,
            f_namelen=st.f_namemax,
            f_frsize=st.f_frsize,
            f_flags=st.f_flag,
        )

    def birth(self) -> tuple[int | None, int, int]:
        return host.birth(self.fd)

    def xattr_place(self) -> bytes | int:
        if not hasattr(os, "getxattr"):
            raise OSError(errno.EOPNOTSUPP, "not supported by the host")
        return self.place()

    def getxattr(self, name: bytes) -> bytes:
        return os.getxattr(self.xattr_place(), name)

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        os.setxattr(self.xattr_place(), name, value, flags)

    def listxattr(self) -> list[bytes]:
        return [os.fsencode(name) for name in os.listxattr(self.xattr_place())]

    def removexattr(self, name: bytes) -> None:
        os.removexattr(self.xattr_place(), name)


HostFs.node = HostNode


class PortableNode(HostNode):
    """A node of a host without openat2 or /proc, by a descriptor for I/O: a directory, or an open file."""

    __slots__ = ()

    def descend(self, rel: bytes, follow: bool) -> Node | None:
        return None if rel else self

    def stat_at(self, rel: bytes, follow: bool) -> os.stat_result | None:
        return None if b"/" in rel else super().stat_at(rel, follow)

    def open_at(self, rel: bytes, flags: int, mode: int, text: bytes) -> File | None:
        return None

    def whereabouts(self, root: Node) -> bytes | None:
        if not _fstat(self.fd).st_nlink:
            raise OSError(errno.ENOENT, "deleted directory")
        return None

    def above(self, root: Node, rel: bytes) -> Node | None:
        return None

    def reopened(self, flags: int) -> HostNode:
        if self.kind() != S_IFDIR:
            raise OSError(errno.ENXIO, "cannot be opened again")
        return PortableNode(self.fs, os.open(b".", flags, dir_fd=self.fd))

    def made(self, fd: int) -> HostNode:
        return PortableNode(self.fs, fd)

    def lookup(self, name: bytes) -> HostNode:
        kind = S_IFMT(_stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode)
        if kind != S_IFDIR:
            return PortableLeaf(self, name, kind)
        flags = os.O_RDONLY | host.O_DIRECTORY | host.O_NOFOLLOW | host.O_CLOEXEC
        return PortableNode(self.fs, os.open(name, flags, dir_fd=self.fd), S_IFDIR)

    def tmpfile(self, mode: int, flags: int, path: bytes) -> File:
        raise OSError(errno.EOPNOTSUPP, "the host could not give it a name later")

    def link_to(self, directory: int, name: bytes) -> None:
        raise OSError(errno.ENOENT, "the host cannot link an open file")

    def host_access(self, mode: int) -> bool:
        if self.kind() == S_IFDIR:
            return os.access(b".", mode, dir_fd=self.fd)
        st = self.stat()
        try:
            permission(st.st_mode, st.st_uid, st.st_gid, mode)
        except OSError:
            return False
        return True

    def place(self) -> bytes | int:
        return self.fd

    def set_size(self, size: int) -> None:
        os.ftruncate(self.fd, size)


class PortableLeaf(HostNode):
    """Anything but a directory on such a host, by its directory and name."""

    __slots__ = ("name", "parent")

    def __init__(self, parent: PortableNode, name: bytes, format: int) -> None:
        super().__init__(parent.fs, -1, format)
        self.parent = parent
        self.name = name

    def __del__(self, close: Callable[[int], None] = _close) -> None:
        """There is no descriptor to close."""

    def descend(self, rel: bytes, follow: bool) -> Node | None:
        return None if rel else self

    def stat_at(self, rel: bytes, follow: bool) -> os.stat_result | None:
        return None

    def open_at(self, rel: bytes, flags: int, mode: int, text: bytes) -> File | None:
        return None

    def whereabouts(self, root: Node) -> bytes | None:
        return None

    def stat(self) -> os.stat_result:
        return _stat(self.name, dir_fd=self.parent.fd, follow_symlinks=False)

    def open(self, flags: int, name: bytes) -> File:
        if flags & O_TRUNC and not is_writing(flags):
            self.truncate(0)
            flags &= ~O_TRUNC
        return super().open(flags, name)

    def reopened(self, flags: int) -> HostNode:
        return PortableNode(self.fs, os.open(self.name, flags | host.O_NOFOLLOW, dir_fd=self.parent.fd))

    def readlink(self) -> bytes:
        return os.readlink(self.name, dir_fd=self.parent.fd)

    def lookup(self, name: bytes) -> HostNode:
        raise OSError(errno.ENOTDIR, "not a directory")

    def link_to(self, directory: int, name: bytes) -> None:
        os.link(self.name, name, src_dir_fd=self.parent.fd, dst_dir_fd=directory, follow_symlinks=False)

    def host_access(self, mode: int) -> bool:
        return os.access(self.name, mode, dir_fd=self.parent.fd, effective_ids=os.access in os.supports_effective_ids)

    def place(self) -> bytes | int:
        raise OSError(errno.EOPNOTSUPP, "not supported by the host")

    def with_descriptor(self, flags: int = os.O_RDONLY) -> HostNode:
        """This inode opened for a moment, for what the host only does on a descriptor."""
        if self.kind() != S_IFREG:
            raise OSError(errno.EPERM, "not possible on a host without /proc")
        return self.reopened(flags | host.O_NONBLOCK | host.O_NOCTTY | host.O_CLOEXEC)

    def chmod(self, mode: int) -> None:
        if self.kind() == S_IFLNK:
            raise OSError(errno.EOPNOTSUPP, "symbolic links have no mode")
        os.chmod(self.name, mode, dir_fd=self.parent.fd)

    def chown(self, uid: int, gid: int) -> None:
        os.chown(self.name, uid, gid, dir_fd=self.parent.fd, follow_symlinks=False)

    def set_times(self, atime_ns: int, mtime_ns: int) -> None:
        os.utime(self.name, ns=(atime_ns, mtime_ns), dir_fd=self.parent.fd, follow_symlinks=False)

    def touch(self, now_ns: int) -> None:
        os.utime(self.name, dir_fd=self.parent.fd, follow_symlinks=False)

    def set_size(self, size: int) -> None:
        os.ftruncate(self.with_descriptor(os.O_WRONLY).fd, size)

    def statvfs(self) -> os.statvfs_result:
        return os.fstatvfs(self.parent.fd)

    def statfs(self) -> StatFs:
        return self.parent.statfs()

    def birth(self) -> tuple[int | None, int, int]:
        return None, 0, 0

    def getxattr(self, name: bytes) -> bytes:
        if self.kind() != S_IFREG:
            raise OSError(errno.ENODATA, "no such attribute")
        return self.with_descriptor().getxattr(name)

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        self.with_descriptor().setxattr(name, value, flags)

    def listxattr(self) -> list[bytes]:
        return self.with_descriptor().listxattr() if self.kind() == S_IFREG else []

    def removexattr(self, name: bytes) -> None:
        self.with_descriptor().removexattr(name)

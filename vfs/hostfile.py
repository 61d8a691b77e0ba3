"""Open files of the host: regular files and directories.

Data moves between guest memory and the host with readv and writev on the spans themselves; the file
position is the host descriptor's own.  A file that is mapped somewhere is kept in step with its cached
pages (vfs/pages.py) on every call.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from stat import S_IFDIR, S_IFIFO, S_IFREG
from typing import TYPE_CHECKING

from vfs import host
from vfs.file import (
    O_ACCMODE,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_DSYNC,
    O_EXCL,
    O_NOATIME,
    O_NOCTTY,
    O_RDWR,
    O_SYNC,
    O_TRUNC,
    O_WRONLY,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_HOLE,
    File,
)
from vfs.mount import ListedDir
from vfs.outside import outside
from vfs.pages import FilePages, HostFilePages, Identity

if TYPE_CHECKING:
    from vfs.hostfs import HostNode
    from vfs.pages import Spans

IOV_MAX = 1024

# What an open file description does not remember
NOT_KEPT = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC

_TMPFILE_BIT = 0o20000000
# Never waiting for the other end of a FIFO, never taking the host's terminal
_ALWAYS = host.O_NONBLOCK | host.O_NOCTTY | host.O_CLOEXEC

FALLOC_FL_KEEP_SIZE = 1
_FALLOC_MOVES = 0x08 | 0x20  # collapse, insert: what follows changes place

_fstat = os.fstat
_readv = os.readv
_writev = os.writev


def _translate(flags: int) -> int:
    """Guest open flags in the host's numbers; what the host does not have is left out."""
    result = flags & O_ACCMODE
    for bit, name in _NAMES:
        if flags & bit == bit:
            result |= getattr(os, name, 0)
    return result


_NAMES = (
    (O_CREAT, "O_CREAT"),
    (O_EXCL, "O_EXCL"),
    (O_APPEND, "O_APPEND"),
    (O_DSYNC, "O_DSYNC"),
    (O_SYNC, "O_SYNC"),
    (O_DIRECT, "O_DIRECT"),
    (O_DIRECTORY, "O_DIRECTORY"),
    (O_NOATIME, "O_NOATIME"),
    (_TMPFILE_BIT | O_DIRECTORY, "O_TMPFILE"),
)
_SAME_NUMBERS = all(getattr(os, name, None) == bit for bit, name in _NAMES)
_PASSED = O_ACCMODE | _TMPFILE_BIT
for _bit, _name in _NAMES:
    _PASSED |= _bit


def host_flags(flags: int) -> int:
    """Guest open flags as the host is given them.  Truncation waits until it is known that the file may
    be written to."""
    return (flags & _PASSED if _SAME_NUMBERS else _translate(flags)) | _ALWAYS


def is_writing(flags: int) -> bool:
    """Whether a file opened with `flags` can be written to; access mode 3 allows ioctls only."""
    return flags & O_ACCMODE in (O_WRONLY, O_RDWR)


def opened(node: HostNode, flags: int, name: bytes) -> File:
    """The open file description for `node`, whose descriptor has just been opened with `flags`."""
    fd = node.fd
    st = _fstat(fd)
    kind = node.format = st.st_mode & 0o170000
    if kind == S_IFREG:
        if flags & _TMPFILE_BIT:
            name += b"/#%d (deleted)" % st.st_ino
        file = node.fs.file(node, flags & ~NOT_KEPT, name, (st.st_dev, st.st_ino))
        if is_writing(flags):
            file.opened_for_writing(flags)
        elif flags & O_TRUNC:
            node.truncate(0)
        return file
    if kind == S_IFDIR:
        if flags & O_TRUNC:
            raise OSError(errno.EISDIR, "is a directory")
        if host.HAS_GETDENTS and not node.fs.portable:
            return node.fs.directory(node, flags & ~NOT_KEPT, name)
        return ScannedDir(node, flags & ~NOT_KEPT, name, [])
    if kind == S_IFIFO:
        return node.without_io().open(flags, name)
    raise OSError(errno.EACCES, "devices of the host are not the guest's")


class HostFile(File):
    """An open regular file of the host."""

    __slots__ = ("cached", "counted", "fd", "identity")

    node: HostNode
    seekable = True
    direct = True  # as far as the host's file does

    def __init__(self, node: HostNode, flags: int, name: bytes, identity: Identity) -> None:
        self.node = node
        self.flags = flags
        self.name = name
        self.mount = self.owner = None
        self.refs = 0
        self.epitems = None
        self.fd = node.fd
        self.identity = identity
        self.cached: dict[Identity, HostFilePages] = node.fs.cache.files
        self.counted = False

    def opened_for_writing(self, flags: int) -> None:
        """Refuse if the file is being executed; truncate it if asked to."""
        fs = self.node.fs
        identity = self.identity
        if identity in fs.text_busy:
            raise OSError(errno.ETXTBSY, "being executed")
        if flags & O_TRUNC:
            self.truncate(0)
        fs.writers[identity] = fs.writers.get(identity, 0) + 1
        self.counted = True

    def release(self) -> None:
        if self.counted:
            self.counted = False
            writers = self.node.fs.writers
            left = writers[self.identity] - 1
            if left:
                writers[self.identity] = left
            else:
                del writers[self.identity]

    def settled(self) -> HostFilePages | None:
        """The cached pages, if any, with what was changed through mappings stored."""
        pages = self.cached.get(self.identity)
        if pages is not None and pages.dirty:
            pages.writeback()
        return pages

    def read(self, spans: Spans) -> int:
        if self.identity in self.cached:
            self.settled()
        if len(spans) > IOV_MAX:
            return in_parts(lambda part: _readv(self.fd, part), spans)
        return _readv(self.fd, spans)

    def write(self, spans: Spans) -> int:
        outside.changed = True
        if self.identity not in self.cached and len(spans) <= IOV_MAX:
            return _writev(self.fd, spans)
        pages = self.settled()
        before = 0 if pages is None else pages.size()
        count = in_parts(lambda part: _writev(self.fd, part), spans)
        if pages is not None:
            end = os.lseek(self.fd, 0, SEEK_CUR)
            pages.reload(min(before, end - count), end)  # from the old end: the gap up to the data is zeros now
        return count

    def pread(self, spans: Spans, offset: int) -> int:
        if self.identity in self.cached:
            self.settled()
        if len(spans) > IOV_MAX:
            return in_parts_at(os.preadv, self.fd, spans, offset)
        return os.preadv(self.fd, spans, offset)

    def pwrite(self, spans: Spans, offset: int) -> int:
        outside.changed = True
        if self.identity not in self.cached and len(spans) <= IOV_MAX:
            return os.pwritev(self.fd, spans, offset)
        pages = self.settled()
        before = 0 if pages is None else pages.size()
        count = in_parts_at(os.pwritev, self.fd, spans, offset)
        if pages is not None:
            if self.flags & O_APPEND:
                offset = before  # Linux appends whatever the offset says
            pages.reload(min(before, offset), offset + count)
        return count

    def seek(self, offset: int, whence: int) -> int:
        if whence >= SEEK_DATA:
            if whence > SEEK_HOLE or not hasattr(os, "SEEK_DATA"):
                raise OSError(errno.EINVAL, "bad whence")
            self.settled()
            whence = os.SEEK_DATA if whence == SEEK_DATA else os.SEEK_HOLE
        try:
            return os.lseek(self.fd, offset, whence)
        except OverflowError:
            raise OSError(errno.EINVAL, "offset out of range") from None

    def truncate(self, size: int) -> None:
        outside.changed = True
        pages = self.settled()
        end = size if pages is None else min(size, pages.size())
        os.ftruncate(self.fd, size)
        if pages is not None:
            pages.cut(end)  # a file that grows: what was stored in its last page beyond its end is not data
            pages.seen = pages.version()

    def allocate(self, mode: int, offset: int, size: int) -> None:
        outside.changed = True
        pages = self.settled()
        host.fallocate(self.fd, mode, offset, size)
        if pages is None:
            return
        if mode & _FALLOC_MOVES:
            pages.drop(offset >> 12, 1 << 52)
            pages.seen = pages.version()
        elif mode & ~FALLOC_FL_KEEP_SIZE:
            pages.reload(offset, offset + size)

    def set_flags(self, flags: int) -> None:
        if (self.flags ^ flags) & (O_APPEND | O_DIRECT | O_NOATIME):
            import fcntl

            fcntl.fcntl(self.fd, fcntl.F_SETFL, host_flags(flags))
        self.flags = flags

    def sync(self, data_only: bool) -> None:
        self.settled()
        if data_only and hasattr(os, "fdatasync"):
            os.fdatasync(self.fd)
        else:
            os.fsync(self.fd)

    def mapping(self) -> FilePages:
        return self.node.fs.cache.mapping(self.identity, self.fd, self.flags & O_ACCMODE == O_RDWR)


def in_parts(move: Callable[[Spans], int], spans: Spans) -> int:
    """readv or writev of more spans than the host takes at once."""
    total = 0
    for start in range(0, len(spans), IOV_MAX):
        part = spans[start : start + IOV_MAX]
        try:
            count = move(part)
        except OSError:
            if total:
                return total
            raise
        total += count
        if count < sum(map(len, part)):
            break
    return total


def in_parts_at(move: Callable[[int, Spans, int], int], fd: int, spans: Spans, offset: int) -> int:
    """preadv or pwritev, likewise."""
    done = 0

    def step(part: Spans) -> int:
        nonlocal done
        count = move(fd, part, offset + done)
        done += count
        return count

    return in_parts(step, spans)


class HostDir(File):
    """An open directory of a Linux host: records and positions are the host's own.

    Entries that only the guest sees, names of mount points that the directory lacks, are added at the end
    by whoever reads it; `tail_given` says that this has been done.
    """

    __slots__ = ("fd", "tail_given")

    node: HostNode
    seekable = True

    def __init__(self, node: HostNode, flags: int, name: bytes) -> None:
        super().__init__(node, flags, name)
        self.fd = node.fd
        self.tail_given = False

    def read(self, spans: Spans) -> int:
        raise OSError(errno.EISDIR, "is a directory")

    def pread(self, spans: Spans, offset: int) -> int:
        raise OSError(errno.EISDIR, "is a directory")

    def position(self) -> int:
        """Where the next record will be read from."""
        return os.lseek(self.fd, 0, SEEK_CUR)

    def getdents(self, size: int) -> memoryview:
        """Records of getdents64(2), up to `size` bytes; empty at the end."""
        return host.getdents64(self.fd, size)

    def seek(self, offset: int, whence: int) -> int:
        self.tail_given = False
        return os.lseek(self.fd, offset, whence)

    def sync(self, data_only: bool) -> None:
        os.fsync(self.fd)


class ScannedDir(ListedDir):
    """An open directory of a host without getdents64: listed in one go, "." and ".." first."""

    __slots__ = ()

    node: HostNode

    def relist(self) -> None:
        fd = self.node.fd
        self.listed = [(_fstat(fd).st_ino, 4, b"."), (os.stat(b"..", dir_fd=fd).st_ino, 4, b"..")]
        with os.scandir(fd) as found:
            for entry in found:
                kind = (
                    10
                    if entry.is_symlink()
                    else 4
                    if entry.is_dir(follow_symlinks=False)
                    else 8
                    if entry.is_file(follow_symlinks=False)
                    else 0
                )
                self.listed.append((entry.inode(), kind, os.fsencode(entry.name)))

    def sync(self, data_only: bool) -> None:
        os.fsync(self.node.fd)

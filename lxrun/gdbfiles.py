"""gdb's Host I/O packets: the guest's files, for a gdb that wants the symbols of what the guest runs."""

from __future__ import annotations

import errno
from collections.abc import Callable
from stat import S_IFREG
from struct import Struct
from typing import TYPE_CHECKING

from lxrun.gdbremote import PACKET_SIZE, escape
from vfs.file import O_RDONLY
from vfs.walk import walk

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File

_OPEN_FILES = 16
_ACCESS_MODE = 3
_R_OK = 4
_STAT = Struct(">7IQQQ3I")  # struct stat of the protocol: dev, ino, mode, nlink, uid, gid, rdev, size, blksize, ...
# Errors as the protocol numbers them
_ERRORS = {
    getattr(errno, name): number
    for name, number in (
        ("EPERM", 1), ("ENOENT", 2), ("EINTR", 4), ("EBADF", 9), ("EACCES", 13), ("EFAULT", 14), ("EBUSY", 16),
        ("EEXIST", 17), ("ENODEV", 19), ("ENOTDIR", 20), ("EISDIR", 21), ("EINVAL", 22), ("ENFILE", 23), ("EMFILE", 24),
        ("EFBIG", 27), ("ENOSPC", 28), ("ESPIPE", 29), ("EROFS", 30), ("ENAMETOOLONG", 91),
    )
}  # fmt: skip
_UNKNOWN = 9999


class Files:
    """What gdb has open.  Files are looked up, and opened for reading only, with the rights of the program."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.open: dict[int, File] = {}

    def serve(self, packet: bytes) -> bytes:
        """The answer to `vFile:`packet."""
        operation, _, rest = packet.partition(b":")
        operations: dict[bytes, Callable[..., bytes]] = {
            b"setfs": self._setfs, b"open": self._open, b"pread": self._pread, b"close": self._close,
            b"fstat": self._fstat, b"readlink": self._readlink,
        }  # fmt: skip
        serve = operations.get(operation)
        if serve is None:
            return b""
        try:
            return serve(*rest.split(b","))
        except OSError as error:
            return b"F-1,%x" % _ERRORS.get(error.errno or 0, _UNKNOWN)
        except (ValueError, TypeError):
            return b"F-1,%x" % _ERRORS[errno.EINVAL]

    def close(self) -> None:
        for file in self.open.values():
            file.put()
        self.open.clear()

    def _setfs(self, _pid: bytes) -> bytes:
        return b"F0"

    def _open(self, name: bytes, flags: bytes, _mode: bytes) -> bytes:
        if int(flags, 16) & _ACCESS_MODE:
            raise OSError(errno.EROFS, "for reading only")
        fd = next((fd for fd in range(_OPEN_FILES) if fd not in self.open), None)
        if fd is None:
            raise OSError(errno.EMFILE, "too many")
        task = self.task
        found = walk(task.kernel.mounts, task.fs, task.fs.cwd, bytes.fromhex(name.decode("ascii")), task=task)
        if found.node.kind() != S_IFREG:
            raise OSError(errno.EACCES, "not a regular file")
        found.node.access(_R_OK)
        file = found.node.open(O_RDONLY, found.text)
        file.refs += 1
        self.open[fd] = file
        return b"F%x" % fd

    def _file(self, fd: bytes) -> File:
        file = self.open.get(int(fd, 16))
        if file is None:
            raise OSError(errno.EBADF, "not open")
        return file

    def _pread(self, fd: bytes, count: bytes, offset: bytes) -> bytes:
        buffer = bytearray(min(int(count, 16), PACKET_SIZE // 2 - 32))
        done = self._file(fd).pread([memoryview(buffer)], int(offset, 16))
        return b"F%x;" % done + escape(bytes(buffer[:done]))

    def _close(self, fd: bytes) -> bytes:
        self._file(fd).put()
        del self.open[int(fd, 16)]
        return b"F0"

    def _fstat(self, fd: bytes) -> bytes:
        st = self._file(fd).stat()
        data = _STAT.pack(
            *(value & 0xFFFF_FFFF for value in (
                st.st_dev, st.st_ino, st.st_mode, st.st_nlink, st.st_uid, st.st_gid, st.st_rdev,
            )),
            st.st_size, st.st_blksize, st.st_blocks,
            *(ns // 1_000_000_000 & 0xFFFF_FFFF for ns in (st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns)),
        )  # fmt: skip
        return b"F%x;" % len(data) + escape(data)

    def _readlink(self, name: bytes) -> bytes:
        task = self.task
        path = bytes.fromhex(name.decode("ascii"))
        target = walk(task.kernel.mounts, task.fs, task.fs.cwd, path, follow=False, task=task).node.readlink()
        return b"F%x;" % len(target) + escape(target)

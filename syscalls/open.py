"""open(2) and its relatives, and memfd_create(2)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.namei import CREATION, TMPFILE_BIT, open_file, tell_opened
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.paths import AT_FDCWD, at, start_of
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
    O_LARGEFILE,
    O_NOATIME,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDWR,
    O_SYNC,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
)
from vfs.pipe import PipeFile
from vfs.walk import RESOLVE_BENEATH, RESOLVE_CACHED, RESOLVE_IN_ROOT

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File

_PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
_VALID = (
    O_ACCMODE | CREATION | O_APPEND | O_NONBLOCK | O_DSYNC | O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY
    | O_NOFOLLOW | O_NOATIME | O_SYNC | O_PATH | TMPFILE_BIT
)  # fmt: skip
_RESOLVE_KNOWN = 0x3F

Install = Callable[["File", bool], int]
"""Gives a file its place, to be closed on exec or not; what the call returns."""

_S_IALLUGO = 0o7777

MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_NOEXEC_SEAL, MFD_EXEC = 1, 2, 4, 8, 16
_MFD_KNOWN = 0x1F
_MFD_HUGE_SIZES = 63 << 26
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
    check_how(flags, mode, resolve)
    return do_open(t, dirfd, path, flags, mode, resolve)


def check_how(flags: int, mode: int, resolve: int) -> None:
    """build_open_flags, as far as openat2(2) is stricter than the others.  Raises OSError(EINVAL, EAGAIN)."""
    if flags & ~_VALID or resolve & ~_RESOLVE_KNOWN or (flags & O_PATH and flags & ~_PATH_FLAGS):
        raise OSError(errno.EINVAL, "unknown flags")
    if resolve & RESOLVE_BENEATH and resolve & RESOLVE_IN_ROOT:
        raise OSError(errno.EINVAL, "contradictory flags")
    if mode & ~_S_IALLUGO or (mode and not flags & (O_CREAT | TMPFILE_BIT)):
        raise OSError(errno.EINVAL, "a mode for nothing")
    if resolve & RESOLVE_CACHED and flags & (O_TRUNC | O_CREAT | TMPFILE_BIT):
        raise OSError(errno.EAGAIN, "not from the cache")


def sys_memfd_create(t: Task, name: Ptr, flags: UInt) -> Result:
    """memfd_create(2)."""
    known = _MFD_KNOWN | _MFD_HUGE_SIZES if flags & MFD_HUGETLB else _MFD_KNOWN
    if flags & ~known or (flags & MFD_EXEC and flags & MFD_NOEXEC_SEAL):
        return -errno.EINVAL
    if flags & MFD_HUGETLB:
        return -errno.ENOSYS  # as a Linux without hugetlbfs
    try:
        text = t.mm.cstring(name, _MFD_NAME_MAX + 1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return -errno.EINVAL
        raise
    return t.files.install(t.kernel.shm.memfd(text, flags), flags & MFD_CLOEXEC != 0)


def do_open(
    t: Task, dirfd: int, path: int | bytes, flags: int, mode: int, resolve: int = 0, install: Install | None = None
) -> Result:
    """What the four calls have in common.  `path` is an address, or what was there; `install` is what becomes
    of the file, if it is not to have a descriptor."""
    if flags & O_PATH:
        flags &= _PATH_FLAGS
    elif flags & TMPFILE_BIT:
        if flags & (O_TMPFILE | O_CREAT) != O_TMPFILE or not flags & (O_WRONLY | O_RDWR):
            return -errno.EINVAL
    elif flags & O_CREAT and flags & O_DIRECTORY:
        return -errno.EINVAL
    flags &= _VALID
    if isinstance(path, int):
        path = t.mm.cstring(path)
    if not path:
        return -errno.ENOENT
    start = at(t, dirfd) if resolve else start_of(t, dirfd, path)
    if flags & (O_CREAT | O_TRUNC) and install is None:
        t.files.unused()  # EMFILE must leave nothing behind
    if not flags & O_PATH:
        flags |= O_LARGEFILE
    mode &= _S_IALLUGO & ~t.fs.umask
    file = open_file(t, start, path, flags, mode, resolve)
    if flags & O_DIRECT and not file.direct:
        file.release()
        return -errno.EINVAL
    if type(file) is PipeFile and file.waits_for_partner():
        return _open_with_partner(t, file, flags, install)
    return (install or t.files.install)(file, flags & O_CLOEXEC != 0)


async def _open_with_partner(t: Task, fifo: PipeFile, flags: int, install: Install | None) -> int:
    """wait_for_partner: the other end must have been opened, be it for a moment."""
    try:
        t.files.unused()
        while fifo.waits_for_partner():
            await t.wait(fifo.pipe.readable)
    except BaseException:
        fifo.release()
        raise
    tell_opened(fifo, flags)
    return (install or t.files.install)(fifo, flags & O_CLOEXEC != 0)

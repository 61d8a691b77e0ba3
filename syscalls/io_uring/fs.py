"""Files by name and by descriptor: IORING_OP_OPENAT to LINKAT, extended attributes, and the table of registered
files.  Paths are read when a request is performed, but for those of files to be opened."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.io_uring.request import Issue, Request, Result
from kernel.io_uring.ring import IoRing
from kernel.io_uring.rsrc import Slot
from kernel.io_uring.uapi import IOSQE_BUFFER_SELECT, IOSQE_FIXED_FILE
from syscalls.attr import getxattr, setxattr, xattr_given, xattr_name
from syscalls.dirs import sys_linkat, sys_mkdirat, sys_renameat2, sys_symlinkat, sys_unlinkat
from syscalls.io_uring.register import files_update, registrable
from syscalls.io_uring.sync import int32, unused
from syscalls.open import check_how, do_open
from syscalls.paths import AT_FDCWD, AT_REMOVEDIR, path_of, resolve
from syscalls.stat import sys_statx
from syscalls.structs import OPEN_HOW
from vfs.file import O_CLOEXEC, File

if TYPE_CHECKING:
    from syscalls.open import Install

IORING_FILE_INDEX_ALLOC = 0xFFFF_FFFF
IORING_FIXED_FD_NO_CLOEXEC = 1


# Direct descriptors


def direct_install(ring: IoRing, place: int) -> Install:
    """Puts a new file among the ring's registered ones: at `place` - 1, or wherever there is room; what the
    request answers (io_fixed_fd_install)."""

    def install(file: File, cloexec: bool = False) -> int:
        table = ring.fixed
        try:
            if table is None:
                raise OSError(errno.ENFILE if place == IORING_FILE_INDEX_ALLOC else errno.ENXIO, "no files registered")
            if place != IORING_FILE_INDEX_ALLOC:
                table.install(file, place - 1)
                return 0
            index = table.free_index()
            table.install(file, index)
            return index
        except OSError:
            if not file.refs:
                file.last_put()
            raise

    return install


def no_fixed(request: Request) -> None:
    """Raises OSError(EBADF) for an operation whose descriptor cannot be a registered file."""
    if request.flags & IOSQE_FIXED_FILE:
        raise OSError(errno.EBADF, "not a registered file")


# Opening and closing


def prep_openat(request: Request) -> Issue:
    return prep_open(request, request.sqe.op_flags, request.sqe.len, 0)


def prep_openat2(request: Request) -> Issue:
    sqe, mm = request.sqe, request.task.mm
    if sqe.len < OPEN_HOW.size:
        raise OSError(errno.EINVAL, "short struct open_how")
    rest = sqe.len - OPEN_HOW.size
    flags, mode, resolve = mm.unpack(OPEN_HOW, sqe.off)
    if rest > 4096 or any(mm.read(sqe.off + OPEN_HOW.size, rest)):
        raise OSError(errno.E2BIG, "unknown fields")
    issue = prep_open(request, flags, mode, resolve)

    def checked(request: Request) -> Result:
        check_how(flags, mode, resolve)
        return issue(request)

    return checked


def prep_open(request: Request, flags: int, mode: int, resolve: int) -> Issue:
    """__io_openat_prep."""
    sqe = request.sqe
    unused(sqe.buf_index)
    no_fixed(request)
    path = request.task.mm.cstring(sqe.addr)
    place = sqe.splice_fd_in & 0xFFFF_FFFF
    unused(place and flags & O_CLOEXEC)

    def issue(request: Request) -> Result:
        install = direct_install(request.ring, place) if place else None
        return do_open(request.task, sqe.fd, path, flags, mode, resolve, install)

    return issue


def prep_close(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.off, sqe.addr, sqe.len, sqe.op_flags, sqe.buf_index)
    no_fixed(request)
    place = sqe.splice_fd_in & 0xFFFF_FFFF
    unused(place and sqe.fd)
    return close_direct if place else close


def close(request: Request) -> int:
    files = request.task.files
    if isinstance(files.get(request.sqe.fd), IoRing):
        raise OSError(errno.EBADF, "a ring")
    files.close(request.sqe.fd)
    return 0


def close_direct(request: Request) -> int:
    """io_fixed_fd_remove."""
    table, index = request.ring.fixed, (request.sqe.splice_fd_in & 0xFFFF_FFFF) - 1
    if table is None:
        return -errno.ENXIO
    if index >= len(table.slots):
        return -errno.EINVAL
    return 0 if table.set(index, None) else -errno.EBADF


def prep_fixed_fd_install(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.off, sqe.addr, sqe.len, sqe.buf_index, sqe.splice_fd_in, sqe.addr3)
    if not request.flags & IOSQE_FIXED_FILE:
        raise OSError(errno.EBADF, "not a registered file")
    unused(sqe.op_flags & ~IORING_FIXED_FD_NO_CLOEXEC)
    if request.cred is not None:
        raise OSError(errno.EPERM, "not for a personality")

    def issue(request: Request) -> int:
        assert request.file is not None
        return request.task.files.install(request.file, not sqe.op_flags)

    return issue


# Names


def prep_statx(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.splice_fd_in)
    no_fixed(request)
    return lambda request: sys_statx(request.task, sqe.fd, sqe.addr, int32(sqe.op_flags), sqe.len, sqe.off)


def prep_renameat(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.splice_fd_in)
    no_fixed(request)
    return lambda request: sys_renameat2(request.task, sqe.fd, sqe.addr, int32(sqe.len), sqe.off, sqe.op_flags)


def prep_unlinkat(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.off, sqe.len, sqe.buf_index, sqe.splice_fd_in)
    no_fixed(request)
    unused(sqe.op_flags & ~AT_REMOVEDIR)
    return lambda request: sys_unlinkat(request.task, sqe.fd, sqe.addr, sqe.op_flags)


def prep_mkdirat(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.off, sqe.op_flags, sqe.buf_index, sqe.splice_fd_in)
    no_fixed(request)
    return lambda request: sys_mkdirat(request.task, sqe.fd, sqe.addr, sqe.len)


def prep_symlinkat(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.len, sqe.op_flags, sqe.buf_index, sqe.splice_fd_in)
    no_fixed(request)
    return lambda request: sys_symlinkat(request.task, sqe.addr, sqe.fd, sqe.off)


def prep_linkat(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.splice_fd_in)
    no_fixed(request)
    flags = int32(sqe.op_flags)
    return lambda request: sys_linkat(request.task, sqe.fd, sqe.addr, int32(sqe.len), sqe.off, flags)


# Extended attributes


def prep_fgetxattr(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.op_flags)

    def issue(request: Request) -> int:
        assert request.file is not None
        t = request.task
        return getxattr(t, xattr_name(t, sqe.addr), path_of(t, request.file), sqe.off, sqe.len)

    return issue


def prep_getxattr(request: Request) -> Issue:
    sqe = request.sqe
    no_fixed(request)
    unused(sqe.op_flags)

    def issue(request: Request) -> int:
        t = request.task
        return getxattr(t, xattr_name(t, sqe.addr), resolve(t, AT_FDCWD, sqe.addr3, 0), sqe.off, sqe.len)

    return issue


def prep_fsetxattr(request: Request) -> Issue:
    sqe = request.sqe

    def issue(request: Request) -> int:
        assert request.file is not None
        t = request.task
        return setxattr(xattr_given(t, sqe.addr, sqe.off, sqe.len, int32(sqe.op_flags)), path_of(t, request.file))

    return issue


def prep_setxattr(request: Request) -> Issue:
    sqe = request.sqe
    no_fixed(request)

    def issue(request: Request) -> int:
        t = request.task
        return setxattr(
            xattr_given(t, sqe.addr, sqe.off, sqe.len, int32(sqe.op_flags)), resolve(t, AT_FDCWD, sqe.addr3, 0)
        )

    return issue


# The table of registered files


def prep_files_update(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.flags & (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT), sqe.op_flags, sqe.splice_fd_in, not sqe.len)
    return files_alloc if sqe.off & 0xFFFF_FFFF == IORING_FILE_INDEX_ALLOC else files_replace


def files_replace(request: Request) -> int:
    sqe = request.sqe
    return files_update(request.task, request.ring, sqe.off & 0xFFFF_FFFF, sqe.addr, 0, sqe.len)


def files_alloc(request: Request) -> int:
    """io_files_update_with_index_alloc: the places are written over the descriptors."""
    sqe, t, table = request.sqe, request.task, request.ring.fixed
    if table is None:
        return -errno.ENXIO
    done = 0
    try:
        for at in range(sqe.addr, sqe.addr + 4 * sqe.len, 4):
            file = registrable(t, int32(t.mm.u32(at)))
            index = table.free_index()
            t.mm.put_u32(at, index)
            table.set(index, Slot(file, 0))
            table.hint = index + 1
            done += 1
    except OSError:
        if not done:
            raise
    return done

"""What is done to the storage of a file: IORING_OP_FSYNC, SYNC_FILE_RANGE, FALLOCATE, FTRUNCATE, FADVISE, MADVISE."""

from __future__ import annotations

import errno

from kernel.io_uring.request import Issue, Request
from kernel.io_uring.uapi import Sqe
from syscalls.attr import ftruncate
from syscalls.io import fadvise, fallocate, sync_file_range
from syscalls.memory import madvise

IORING_FSYNC_DATASYNC = 1


def unused(*fields: int) -> None:
    """Raises OSError(EINVAL) if a field that an operation does not use is not 0."""
    if any(fields):
        raise OSError(errno.EINVAL, "a field that is not used")


def signed(value: int) -> int:
    """A field of 64 bits as a C long."""
    return value - (1 << 64) if value >> 63 else value


def int32(value: int) -> int:
    """A field of 32 bits as a C int."""
    return value - (1 << 32) if value >> 31 else value


def prep_fsync(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.addr, sqe.buf_index, sqe.splice_fd_in, sqe.op_flags & ~IORING_FSYNC_DATASYNC)

    def issue(request: Request) -> int:
        assert request.file is not None
        request.file.sync(bool(sqe.op_flags))
        return 0

    return issue


def prep_sync_file_range(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.addr, sqe.buf_index, sqe.splice_fd_in)

    def issue(request: Request) -> int:
        assert request.file is not None
        return sync_file_range(request.file, signed(sqe.off), sqe.len, sqe.op_flags)

    return issue


def prep_fallocate(request: Request) -> Issue:
    sqe: Sqe = request.sqe
    unused(sqe.buf_index, sqe.op_flags, sqe.splice_fd_in)

    def issue(request: Request) -> int:
        assert request.file is not None
        return fallocate(request.task, request.file, int32(sqe.len), signed(sqe.off), signed(sqe.addr))

    return issue


def prep_ftruncate(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.op_flags, sqe.addr, sqe.len, sqe.buf_index, sqe.splice_fd_in, sqe.addr3)

    def issue(request: Request) -> int:
        assert request.file is not None
        size = signed(sqe.off)
        return -errno.EINVAL if size < 0 else ftruncate(request.task, request.file, size)

    return issue


def prep_fadvise(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.splice_fd_in)

    def issue(request: Request) -> int:
        assert request.file is not None
        return fadvise(request.file, signed(sqe.addr) or sqe.len, int32(sqe.op_flags))

    return issue


def prep_madvise(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.splice_fd_in)
    return lambda request: madvise(request.task.mm, sqe.addr, sqe.off or sqe.len, int32(sqe.op_flags))

"""IORING_OP_ASYNC_CANCEL."""

from __future__ import annotations

import errno

from kernel.io_uring.cancel import (
    CANCEL_FLAGS,
    IORING_ASYNC_CANCEL_ANY,
    IORING_ASYNC_CANCEL_FD,
    IORING_ASYNC_CANCEL_FD_FIXED,
    IORING_ASYNC_CANCEL_OP,
    Match,
    cancel,
)
from kernel.io_uring.request import Issue, Request
from kernel.io_uring.uapi import IORING_OP_LAST, IOSQE_BUFFER_SELECT, IOSQE_FIXED_FILE
from syscalls.io_uring.sync import unused


def prep_cancel(request: Request) -> Issue:
    sqe = request.sqe
    flags = sqe.op_flags
    unused(sqe.flags & IOSQE_BUFFER_SELECT, sqe.off, sqe.splice_fd_in, flags & ~CANCEL_FLAGS)
    if flags & IORING_ASYNC_CANCEL_ANY:
        unused(flags & (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP))
    unused(flags & IORING_ASYNC_CANCEL_OP and sqe.len >= IORING_OP_LAST)
    return issue


def issue(request: Request) -> int:
    sqe = request.sqe
    match = Match(sqe.op_flags, sqe.addr, sqe.len)
    if sqe.op_flags & IORING_ASYNC_CANCEL_FD:
        if sqe.flags & IOSQE_FIXED_FILE or sqe.op_flags & IORING_ASYNC_CANCEL_FD_FIXED:
            match.file = request.ring.fixed_slot(sqe.fd).file
        else:
            match.file = request.task.files.files.get(sqe.fd)
            if match.file is None:
                return -errno.EBADF
    return cancel(request.ring, match, request)

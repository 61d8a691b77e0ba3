"""IORING_OP_ASYNC_CANCEL."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing
    from kernel.task import Task


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
    cancel_file(request.task, request.ring, match, sqe.fd, bool(sqe.flags & IOSQE_FIXED_FILE))
    return cancel(request.ring, match, request)


def cancel_file(t: Task, ring: IoRing, match: Match, fd: int, fixed: bool) -> None:
    """The file that is meant, if it is by file.  Raises OSError(EBADF)."""
    if not match.flags & IORING_ASYNC_CANCEL_FD:
        return
    if fixed or match.flags & IORING_ASYNC_CANCEL_FD_FIXED:
        match.file = ring.fixed_slot(fd).file
    else:
        match.file = t.files.get(fd)

"""The table of operations: Linux's ``io_issue_defs``, by their numbers."""

from __future__ import annotations

import errno

from kernel.io_uring import uapi
from kernel.io_uring.request import Issue, Op, OpTable, Request
from syscalls.io_uring import cancel, poll, rw, sync, timeout


def prep_nop(request: Request) -> Issue:
    """IORING_OP_NOP, which may be told what to answer (IORING_NOP_INJECT_RESULT)."""
    if request.sqe.op_flags & ~1:
        raise OSError(errno.EINVAL, "unknown flags")
    result = request.sqe.len if request.sqe.op_flags else 0
    result = result - (1 << 32) if result >> 31 else result
    return lambda request: result


OPS: OpTable = [None] * uapi.IORING_OP_LAST
for _number, _op in {
    uapi.IORING_OP_NOP: Op(prep_nop, iopoll=True),
    uapi.IORING_OP_READV: Op(rw.prep_rw(rw.vector, False), True, True, True, True),
    uapi.IORING_OP_WRITEV: Op(rw.prep_rw(rw.vector, True), True, False, True, True),
    uapi.IORING_OP_READ_FIXED: Op(rw.prep_rw(rw.fixed, False), True, False, True, True),
    uapi.IORING_OP_WRITE_FIXED: Op(rw.prep_rw(rw.fixed, True), True, False, True, True),
    uapi.IORING_OP_READ: Op(rw.prep_rw(rw.buffer, False), True, True, True, True),
    uapi.IORING_OP_WRITE: Op(rw.prep_rw(rw.buffer, True), True, False, True, True),
    uapi.IORING_OP_READ_MULTISHOT: Op(rw.prep_read_multishot, True, True),
    uapi.IORING_OP_FSYNC: Op(sync.prep_fsync, True),
    uapi.IORING_OP_SYNC_FILE_RANGE: Op(sync.prep_sync_file_range, True),
    uapi.IORING_OP_FALLOCATE: Op(sync.prep_fallocate, True),
    uapi.IORING_OP_FTRUNCATE: Op(sync.prep_ftruncate, True),
    uapi.IORING_OP_FADVISE: Op(sync.prep_fadvise, True),
    uapi.IORING_OP_MADVISE: Op(sync.prep_madvise),
    uapi.IORING_OP_TIMEOUT: Op(timeout.prep_timeout),
    uapi.IORING_OP_TIMEOUT_REMOVE: Op(timeout.prep_timeout_remove),
    uapi.IORING_OP_LINK_TIMEOUT: Op(timeout.prep_link_timeout),
    uapi.IORING_OP_ASYNC_CANCEL: Op(cancel.prep_cancel),
    uapi.IORING_OP_POLL_ADD: Op(poll.prep_poll_add, True),
    uapi.IORING_OP_POLL_REMOVE: Op(poll.prep_poll_remove),
}.items():
    OPS[_number] = _op

"""The table of operations: Linux's ``io_issue_defs``, by their numbers."""

from __future__ import annotations

import errno

from kernel.io_uring import uapi
from kernel.io_uring.request import Issue, Op, OpTable, Request
from syscalls.io_uring import buffers, cancel, fs, misc, net, poll, rw, sync, timeout


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
    uapi.IORING_OP_OPENAT: Op(fs.prep_openat),
    uapi.IORING_OP_OPENAT2: Op(fs.prep_openat2),
    uapi.IORING_OP_CLOSE: Op(fs.prep_close),
    uapi.IORING_OP_FIXED_FD_INSTALL: Op(fs.prep_fixed_fd_install, True),
    uapi.IORING_OP_STATX: Op(fs.prep_statx),
    uapi.IORING_OP_RENAMEAT: Op(fs.prep_renameat),
    uapi.IORING_OP_UNLINKAT: Op(fs.prep_unlinkat),
    uapi.IORING_OP_MKDIRAT: Op(fs.prep_mkdirat),
    uapi.IORING_OP_SYMLINKAT: Op(fs.prep_symlinkat),
    uapi.IORING_OP_LINKAT: Op(fs.prep_linkat),
    uapi.IORING_OP_FGETXATTR: Op(fs.prep_fgetxattr, True),
    uapi.IORING_OP_GETXATTR: Op(fs.prep_getxattr),
    uapi.IORING_OP_FSETXATTR: Op(fs.prep_fsetxattr, True),
    uapi.IORING_OP_SETXATTR: Op(fs.prep_setxattr),
    uapi.IORING_OP_FILES_UPDATE: Op(fs.prep_files_update, iopoll=True),
    uapi.IORING_OP_SOCKET: Op(net.prep_socket),
    uapi.IORING_OP_BIND: Op(net.prep_bind, True),
    uapi.IORING_OP_LISTEN: Op(net.prep_listen, True),
    uapi.IORING_OP_CONNECT: Op(net.prep_connect, True),
    uapi.IORING_OP_ACCEPT: Op(net.prep_accept, True, False, True),
    uapi.IORING_OP_SHUTDOWN: Op(net.prep_shutdown, True),
    uapi.IORING_OP_SEND: Op(net.prep_send, True, True, True),
    uapi.IORING_OP_SENDMSG: Op(net.prep_send, True, False, True),
    uapi.IORING_OP_RECV: Op(net.prep_recv, True, True, True),
    uapi.IORING_OP_RECVMSG: Op(net.prep_recv, True, True, True),
    uapi.IORING_OP_PROVIDE_BUFFERS: Op(buffers.prep_provide, iopoll=True),
    uapi.IORING_OP_REMOVE_BUFFERS: Op(buffers.prep_remove, iopoll=True),
    uapi.IORING_OP_SPLICE: Op(misc.prep_splice, True),
    uapi.IORING_OP_TEE: Op(misc.prep_tee, True),
    uapi.IORING_OP_EPOLL_CTL: Op(misc.prep_epoll_ctl),
    uapi.IORING_OP_MSG_RING: Op(misc.prep_msg_ring, True, iopoll=True),
    uapi.IORING_OP_FUTEX_WAIT: Op(misc.prep_futex_wait),
    uapi.IORING_OP_FUTEX_WAKE: Op(misc.prep_futex_wake),
    uapi.IORING_OP_FUTEX_WAITV: Op(misc.prep_futex_waitv),
    uapi.IORING_OP_WAITID: Op(misc.prep_waitid),
}.items():
    OPS[_number] = _op

"""IORING_OP_PROVIDE_BUFFERS and REMOVE_BUFFERS."""

from __future__ import annotations

import errno

from kernel.io_uring.kbuf import MAX_BIDS_PER_BGID, BufferGroup, Selected
from kernel.io_uring.request import Issue, Request
from syscalls.io_uring.sync import unused


def prep_provide(request: Request) -> Issue:
    sqe, t = request.sqe, request.task
    count, bid = sqe.fd, sqe.off
    unused(sqe.op_flags, sqe.splice_fd_in)
    if not 0 < count <= MAX_BIDS_PER_BGID or bid > 0xFFFF:
        raise OSError(errno.E2BIG, "too many buffers")
    unused(not sqe.len, bid + count > MAX_BIDS_PER_BGID)
    if sqe.addr + count * sqe.len > t.mm.task_size:
        raise OSError(errno.EFAULT, "not the program's memory")
    return provide


def provide(request: Request) -> int:
    """io_provide_buffers."""
    sqe, groups = request.sqe, request.ring.groups
    group = groups.get(sqe.buf_index)
    if group is None:
        group = groups[sqe.buf_index] = BufferGroup(request.task.mm)
    if group.is_ring:
        return -errno.EINVAL
    kernel = request.task.kernel
    if kernel.uring_kept + sqe.fd > kernel.max_uring_kept:
        return -errno.ENOMEM
    kernel.uring_kept += sqe.fd
    for at in range(sqe.fd):
        group.buffers.append(Selected(sqe.addr + at * sqe.len, sqe.len, sqe.off + at))
    return 0


def prep_remove(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.op_flags, sqe.addr, sqe.len, sqe.off, sqe.splice_fd_in, not 0 < sqe.fd <= MAX_BIDS_PER_BGID)
    return remove


def remove(request: Request) -> int:
    """io_remove_buffers: how many."""
    group = request.ring.groups.get(request.sqe.buf_index)
    if group is None:
        return -errno.ENOENT
    if group.is_ring:
        return -errno.EINVAL
    count = min(request.sqe.fd, len(group.buffers))
    for _ in range(count):
        group.buffers.popleft()
    request.task.kernel.uring_kept -= count
    return count

"""IORING_OP_TIMEOUT, TIMEOUT_REMOVE and LINK_TIMEOUT."""

from __future__ import annotations

import errno

from kernel.io_uring.request import Issue, Request
from kernel.io_uring.timeout import (
    CLOCK_MASK,
    IORING_LINK_TIMEOUT_UPDATE,
    IORING_TIMEOUT_ABS,
    IORING_TIMEOUT_ETIME_SUCCESS,
    IORING_TIMEOUT_MULTISHOT,
    IORING_TIMEOUT_UPDATE,
    Timeout,
)
from kernel.io_uring.uapi import (
    IORING_OP_LINK_TIMEOUT,
    IORING_OP_TIMEOUT,
    IOSQE_BUFFER_SELECT,
    IOSQE_FIXED_FILE,
)
from syscalls.io_uring.sync import unused
from syscalls.poll import TIMESPEC

UPDATE_MASK = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE
TIMEOUT_FLAGS = IORING_TIMEOUT_ABS | CLOCK_MASK | IORING_TIMEOUT_ETIME_SUCCESS | IORING_TIMEOUT_MULTISHOT


def nanoseconds(request: Request, address: int) -> int:
    """A struct timespec.  Raises OSError(EFAULT, EINVAL)."""
    seconds, ns = request.task.mm.unpack(TIMESPEC, address)
    if seconds < 0 or ns < 0:
        raise OSError(errno.EINVAL, "negative time")
    return int(seconds) * 1_000_000_000 + int(ns)


def read_timeout(request: Request, linked: bool) -> Timeout:
    """__io_timeout_prep.  Raises OSError(EINVAL, EFAULT)."""
    sqe = request.sqe
    flags, count = sqe.op_flags, sqe.off & 0xFFFF_FFFF
    unused(sqe.buf_index, sqe.len != 1, sqe.splice_fd_in, linked and count, flags & ~TIMEOUT_FLAGS)
    unused(flags & CLOCK_MASK == CLOCK_MASK)
    repeats = flags & IORING_TIMEOUT_MULTISHOT
    unused(repeats and flags & IORING_TIMEOUT_ABS)
    ns = nanoseconds(request, sqe.addr)
    return Timeout(flags, ns, 0 if repeats else count, count if repeats else 0)


def prep_timeout(request: Request) -> Issue:
    request.timeout = read_timeout(request, False)
    return start


def start(request: Request) -> None:
    """io_timeout."""
    timeout, ring = request.timeout, request.ring
    if timeout.count:
        ring.sequenced.append(((ring.cq_tail - ring.cq_timeouts + timeout.count) & 0xFFFF_FFFF, request))
    timeout.start(request)


def prep_link_timeout(request: Request) -> Issue:
    """It is started with the request in front of it, never by itself."""
    timeout = read_timeout(request, True)
    before = request.ring.linked_tail
    if before is None or before.opcode == IORING_OP_LINK_TIMEOUT:
        raise OSError(errno.EINVAL, "nothing in front of it")
    request.timeout = timeout
    request.lenient = True  # -ETIME and -ECANCELED are what it is for
    return lambda request: -errno.ECANCELED


def prep_timeout_remove(request: Request) -> Issue:
    sqe = request.sqe
    flags = sqe.op_flags
    unused(sqe.flags & (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT), sqe.buf_index, sqe.len, sqe.splice_fd_in)
    if not flags & UPDATE_MASK:
        unused(flags)
        return lambda request: remove(request, sqe.addr)
    unused(flags & CLOCK_MASK == CLOCK_MASK, flags & ~(UPDATE_MASK | IORING_TIMEOUT_ABS))
    ns = nanoseconds(request, sqe.off)
    if not flags & IORING_TIMEOUT_UPDATE:
        return lambda request: remove(request, sqe.addr)
    return lambda request: update(request, sqe.addr, flags, ns)


def find(request: Request, user_data: int, opcode: int) -> Request:
    """Raises OSError(ENOENT, EALREADY)."""
    for other in request.ring.named.get(user_data, ()):
        if other.opcode == opcode:
            if not other.timeout.armed:
                raise OSError(errno.EALREADY, "it is expiring")
            return other
    raise OSError(errno.ENOENT, "no such time-out")


def remove(request: Request, user_data: int) -> int:
    """io_timeout_cancel."""
    found = find(request, user_data, IORING_OP_TIMEOUT)
    found.timeout.stop(found)
    found.timeout.count = 0
    request.ring.cq_timeouts += 1
    found.complete_later(-errno.ECANCELED)
    return 0


def update(request: Request, user_data: int, flags: int, ns: int) -> int:
    """io_timeout_update: another time, and no completions are counted any more."""
    linked = flags & IORING_LINK_TIMEOUT_UPDATE
    found = find(request, user_data, IORING_OP_LINK_TIMEOUT if linked else IORING_OP_TIMEOUT)
    timeout = found.timeout
    timeout.stop(found)
    timeout.count = 0
    timeout.ns = ns
    timeout.flags = timeout.flags & ~IORING_TIMEOUT_ABS | flags & IORING_TIMEOUT_ABS
    timeout.start(found)
    return 0

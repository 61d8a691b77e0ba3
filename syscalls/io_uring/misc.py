"""Operations between files and rings: IORING_OP_SPLICE, TEE, EPOLL_CTL, MSG_RING, and waits for futexes and
children."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.io_uring.request import Issue, Request, Result
from kernel.io_uring.ring import IoRing
from syscalls.epoll import sys_epoll_ctl
from syscalls.futex import FUTEX2_PRIVATE, FUTEX2_SIZE_MASK, FUTEX2_SIZE_U32, sys_futex_waitv
from syscalls.io import NOT_READABLE, WRITABLE, WRITE_BITS
from syscalls.io_uring.fs import direct_install
from syscalls.io_uring.sync import int32, unused
from syscalls.process import sys_waitid
from syscalls.transfer import SPLICE_F_ALL, splice, tee

if TYPE_CHECKING:
    from vfs.file import File

SPLICE_F_FD_IN_FIXED = 1 << 31
NO_OFFSET = (1 << 64) - 1
IORING_MSG_DATA, IORING_MSG_SEND_FD = 0, 1
IORING_MSG_RING_CQE_SKIP, IORING_MSG_RING_FLAGS_PASS = 1, 2
EBADFD = 77


# Splicing


def prep_splice(request: Request) -> Issue:
    unused(request.sqe.op_flags & ~(SPLICE_F_ALL | SPLICE_F_FD_IN_FIXED))
    return do_splice


def prep_tee(request: Request) -> Issue:
    unused(request.sqe.addr, request.sqe.off)
    prep_splice(request)
    return do_tee


def source_of(request: Request) -> File:
    """The file to be read.  Raises OSError(EBADF)."""
    fd = request.sqe.splice_fd_in
    if request.sqe.op_flags & SPLICE_F_FD_IN_FIXED:
        return request.ring.fixed_slot(fd).file
    return request.normal_file(fd)


async def do_splice(request: Request) -> int:
    sqe, target = request.sqe, request.file
    assert target is not None
    source = source_of(request)
    source.refs += 1
    try:
        done = 0
        if sqe.len:
            if source.flags & NOT_READABLE or target.flags + 1 & WRITE_BITS != WRITABLE:
                raise OSError(errno.EBADF, "not open for that")
            start = None if sqe.addr == NO_OFFSET else sqe.addr
            to = None if sqe.off == NO_OFFSET else sqe.off
            flags = sqe.op_flags & SPLICE_F_ALL
            done = await splice(request.task, source, target, (0, start), (0, to), sqe.len, flags)
    finally:
        source.put()
    if done != sqe.len:
        request.fail()
    return done


async def do_tee(request: Request) -> int:
    sqe, target = request.sqe, request.file
    assert target is not None
    source = source_of(request)
    source.refs += 1
    try:
        done = 0
        if sqe.len:
            if source.flags & NOT_READABLE or target.flags + 1 & WRITE_BITS != WRITABLE:
                raise OSError(errno.EBADF, "not open for that")
            done = await tee(request.task, source, target, sqe.len, sqe.op_flags & SPLICE_F_ALL)
    finally:
        source.put()
    if done != sqe.len:
        request.fail()
    return done


# epoll


def prep_epoll_ctl(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.splice_fd_in)
    return lambda request: sys_epoll_ctl(request.task, sqe.fd, int32(sqe.len), int32(sqe.off & 0xFFFF_FFFF), sqe.addr)


# Other rings


def prep_msg_ring(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.personality, sqe.op_flags & ~(IORING_MSG_RING_CQE_SKIP | IORING_MSG_RING_FLAGS_PASS))
    return msg_ring


def msg_ring(request: Request) -> int:
    """io_msg_ring."""
    sqe, target = request.sqe, request.file
    if not isinstance(target, IoRing):
        return -EBADFD
    if sqe.addr == IORING_MSG_DATA:
        return msg_data(request, target)
    if sqe.addr == IORING_MSG_SEND_FD:
        return msg_send_fd(request, target)
    return -errno.EINVAL


def msg_data(request: Request, target: IoRing) -> int:
    """IORING_MSG_DATA: a completion for another ring."""
    sqe = request.sqe
    passed = sqe.op_flags & IORING_MSG_RING_FLAGS_PASS
    flags = sqe.splice_fd_in & 0xFFFF_FFFF
    if sqe.addr3 or sqe.op_flags & ~IORING_MSG_RING_FLAGS_PASS or (flags and not passed):
        return -errno.EINVAL
    if target.disabled:
        return -EBADFD
    target.post(sqe.off, int32(sqe.len), flags)
    if target is not request.ring:
        target.commit()
    return 0


def msg_send_fd(request: Request, target: IoRing) -> int:
    """IORING_MSG_SEND_FD: a registered file for another ring."""
    sqe = request.sqe
    if sqe.len or target is request.ring:
        return -errno.EINVAL
    if target.disabled:
        return -EBADFD
    file = request.ring.fixed_slot(sqe.addr3).file
    install = direct_install(target, sqe.splice_fd_in & 0xFFFF_FFFF)
    result = install(file, False)
    if not sqe.op_flags & IORING_MSG_RING_CQE_SKIP:
        target.post(sqe.off, result)
        target.commit()
    return result


# Futexes and children


def futex_flags(request: Request) -> bool:
    """Whether the futex is shared (futex_flags_valid).  Raises OSError(EINVAL): 32-bit words only."""
    sqe = request.sqe
    unused(sqe.len, sqe.op_flags, sqe.buf_index, sqe.splice_fd_in)
    flags = sqe.fd & 0xFFFF_FFFF
    unused(flags & ~(FUTEX2_SIZE_MASK | FUTEX2_PRIVATE), flags & FUTEX2_SIZE_MASK != FUTEX2_SIZE_U32)
    unused(sqe.off >> 32, sqe.addr3 >> 32, not sqe.addr3)
    return not flags & FUTEX2_PRIVATE


def prep_futex_wait(request: Request) -> Issue:
    shared = futex_flags(request)

    def issue(request: Request) -> Result:
        sqe, t = request.sqe, request.task
        waiter = t.kernel.futexes.prepare(t, sqe.addr, sqe.off, sqe.addr3, shared=shared)
        return t.kernel.futexes.sleep(t, waiter, None)

    return issue


def prep_futex_wake(request: Request) -> Issue:
    shared = futex_flags(request)

    def issue(request: Request) -> int:
        sqe, t = request.sqe, request.task
        if not sqe.off:
            return 0
        woken: int = t.kernel.futexes.wake(t, sqe.addr, sqe.off, sqe.addr3, shared=shared)
        return woken

    return issue


def prep_futex_waitv(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.fd, sqe.buf_index, sqe.splice_fd_in, sqe.off, sqe.op_flags, sqe.addr3)
    return lambda request: sys_futex_waitv(request.task, sqe.addr, sqe.len, 0, 0, 0)


def prep_waitid(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.addr, sqe.buf_index, sqe.addr3, sqe.op_flags)

    def issue(request: Request) -> Result:
        return sys_waitid(request.task, int32(sqe.len), sqe.fd, sqe.off, sqe.splice_fd_in, 0)

    return issue

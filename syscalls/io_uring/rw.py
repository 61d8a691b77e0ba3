"""Reading and writing: IORING_OP_READ, WRITE, their vector and fixed-buffer forms, and READ_MULTISHOT."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from emu.engine import READ, WRITE
from kernel.io_uring.kbuf import select, use
from kernel.io_uring.request import Issue, Request, Result
from kernel.io_uring.rsrc import registered_buffer
from kernel.io_uring.uapi import IORING_CQE_F_MORE, IOSQE_BUFFER_SELECT
from syscalls.io import (
    MAX_RW,
    NOT_READABLE,
    OFFSET_MAX,
    RWF_NOWAIT,
    WRITABLE,
    WRITE_BITS,
    check_rwf,
    read_once,
    write_once,
)
from syscalls.sched import check_ioprio
from vfs.wait import POLLIN, POLLOUT

if TYPE_CHECKING:
    from vfs.pages import Spans

CURRENT = (1 << 64) - 1  # the offset that means the file's own position

Buffers = Callable[[], "Spans"]
"""The buffer of a request.  Raises OSError(EFAULT)."""


def buffer(request: Request, access: int) -> Buffers:
    """One buffer at an address."""
    address, size = request.sqe.addr, min(request.sqe.len, MAX_RW)
    mm = request.task.mm
    return lambda: mm.buffer(address, size, access)


def vector(request: Request, access: int) -> Buffers:
    """A struct iovec array, read when the entry is submitted (IORING_FEAT_SUBMIT_STABLE)."""
    mm = request.task.mm
    parts = mm.iovec_parts(request.sqe.addr, request.sqe.len)
    return lambda: mm.vector(parts, access)


def fixed(request: Request, access: int) -> Buffers:
    """A part of a registered buffer, which is found when the request is performed."""
    address, size = request.sqe.addr, min(request.sqe.len, MAX_RW)

    def spans() -> Spans:
        if request.buffer is None:
            request.buffer = registered_buffer(request.ring, request.sqe.buf_index)
            request.buffer.users += 1
        return request.buffer.spans(address, size, access)

    return spans


def prep_rw(buffers: Callable[[Request, int], Buffers], write: bool) -> Callable[[Request], Issue]:
    """How entries of one of the operations become requests (io_prep_rw)."""
    access = READ if write else WRITE
    transfer = do_write if write else do_read

    def prep(request: Request) -> Issue:
        sqe = request.sqe
        if sqe.ioprio:
            check_ioprio(request.task, sqe.ioprio)
        if sqe.flags & IOSQE_BUFFER_SELECT:
            if buffers is vector and sqe.len > 1:
                raise OSError(errno.EINVAL, "one buffer is selected")
            return read_selected
        spans = buffers(request, access)
        offset = None if sqe.off == CURRENT else sqe.off
        flags = sqe.op_flags
        return lambda request: transfer(request, spans, offset, flags)

    return prep


def place(request: Request, offset: int | None) -> int | None:
    """Where in the file; None: at its position, or a stream.  Raises OSError(EINVAL)."""
    assert request.file is not None
    if offset is None or not request.file.seekable:
        return None
    if offset > OFFSET_MAX:
        raise OSError(errno.EINVAL, "negative offset")
    return offset


def do_read(request: Request, buffers: Buffers, offset: int | None, flags: int) -> Result:
    """io_read."""
    file, t = request.file, request.task
    assert file is not None
    if file.flags & NOT_READABLE:
        return -errno.EBADF
    if request.ring.polled:
        return -errno.EOPNOTSUPP  # no file here can be polled for its completion
    if flags:
        check_rwf(file, flags)
    offset = place(request, offset)
    spans = buffers()
    try:
        done = read_once(t, file, spans, offset)
    except BlockingIOError:
        if flags & RWF_NOWAIT or not file.pollable:
            return -errno.EAGAIN
        return read_on(request, buffers)
    if done < sum(map(len, spans)):
        request.fail()
    return done


async def read_on(request: Request, buffers: Buffers) -> int:
    file, t = request.file, request.task
    assert file is not None
    while True:
        await t.wait(*file.queues(POLLIN))
        spans = buffers()
        try:
            done = read_once(t, file, spans, None)
        except BlockingIOError:
            continue
        if done < sum(map(len, spans)):
            request.fail()
        return done


def do_write(request: Request, buffers: Buffers, offset: int | None, flags: int) -> Result:
    """io_write: a stream takes what it has room for."""
    file, t = request.file, request.task
    assert file is not None
    if file.flags + 1 & WRITE_BITS != WRITABLE:
        return -errno.EBADF
    if request.ring.polled:
        return -errno.EOPNOTSUPP
    if flags:
        check_rwf(file, flags)
    offset = place(request, offset)
    spans = buffers()
    try:
        done = write_once(t, file, spans, offset, flags)
    except BlockingIOError:
        if flags & RWF_NOWAIT or not file.pollable:
            return -errno.EAGAIN
        return write_on(request, buffers, flags)
    if done < sum(map(len, spans)):
        request.fail()
    return done


async def write_on(request: Request, buffers: Buffers, flags: int) -> int:
    file, t = request.file, request.task
    assert file is not None
    while True:
        await t.wait(*file.queues(POLLOUT))
        spans = buffers()
        try:
            done = write_once(t, file, spans, None, flags)
        except BlockingIOError:
            continue
        if done < sum(map(len, spans)):
            request.fail()
        return done


# Selected buffers


def selected_spans(request: Request) -> Spans:
    """The group's next buffer, as much of it as the entry asks for."""
    chosen = select(request)
    size = min(request.sqe.len or chosen.size, chosen.size, MAX_RW)
    return request.task.mm.buffer(chosen.address, size, WRITE)


def read_selected(request: Request) -> Result:
    """A read into whichever buffer is next."""
    file, t, sqe = request.file, request.task, request.sqe
    assert file is not None
    if file.flags & NOT_READABLE:
        return -errno.EBADF
    if request.ring.polled:
        return -errno.EOPNOTSUPP
    if sqe.op_flags:
        check_rwf(file, sqe.op_flags)
    offset = place(request, None if sqe.off == CURRENT else sqe.off)
    try:
        return finish_selected(request, read_once(t, file, selected_spans(request), offset))
    except BlockingIOError:
        if sqe.op_flags & RWF_NOWAIT or not file.pollable:
            return -errno.EAGAIN
        return read_selected_on(request)


def finish_selected(request: Request, done: int) -> int:
    use(request, done)
    return done


async def read_selected_on(request: Request) -> int:
    file = request.file
    assert file is not None
    while True:
        await request.task.wait(*file.queues(POLLIN))
        try:
            return finish_selected(request, read_once(request.task, file, selected_spans(request), None))
        except BlockingIOError:
            continue


def prep_read_multishot(request: Request) -> Issue:
    """IORING_OP_READ_MULTISHOT: one completion for each buffer that is filled."""
    sqe = request.sqe
    if not sqe.flags & IOSQE_BUFFER_SELECT or sqe.addr or sqe.len:
        raise OSError(errno.EINVAL, "its buffers are selected")
    return read_multishot


async def read_multishot(request: Request) -> int:
    file, t = request.file, request.task
    assert file is not None
    if not file.pollable:
        raise OSError(errno.EBADFD, "cannot be waited for")
    if file.flags & NOT_READABLE:
        raise OSError(errno.EBADF, "not open for reading")
    while True:
        try:
            done = read_once(t, file, selected_spans(request), None)
        except BlockingIOError:
            await t.wait(*file.queues(POLLIN))
            continue
        use(request, done)
        if done <= 0:
            return done
        flags, request.cqe_flags = request.cqe_flags, 0
        if not request.ring.post_more(request.user_data, done, flags | IORING_CQE_F_MORE):
            request.cqe_flags = flags
            return done

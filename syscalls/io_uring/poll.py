"""IORING_OP_POLL_ADD and POLL_REMOVE."""

from __future__ import annotations

import errno

from kernel.io_uring.request import Issue, Request, Result
from kernel.io_uring.uapi import IORING_CQE_F_MORE, IORING_OP_POLL_ADD, IOSQE_CQE_SKIP_SUCCESS
from syscalls.io_uring.sync import unused
from vfs.hostpoll import host_poll
from vfs.wait import POLLERR, POLLHUP, POLLNVAL, POLLRDHUP, HostQueue

(
    IORING_POLL_ADD_MULTI, IORING_POLL_UPDATE_EVENTS, IORING_POLL_UPDATE_USER_DATA, IORING_POLL_ADD_LEVEL,
) = (1 << bit for bit in range(4))  # fmt: skip
ALWAYS = POLLERR | POLLHUP | POLLNVAL | POLLRDHUP  # IO_POLL_UNMASK
EVENTS = 0xFFFF


def prep_poll_add(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.buf_index, sqe.off, sqe.addr, sqe.len & ~IORING_POLL_ADD_MULTI)
    multishot = sqe.len & IORING_POLL_ADD_MULTI
    unused(multishot and sqe.flags & IOSQE_CQE_SKIP_SUCCESS)
    request.poll_mask = sqe.op_flags & EVENTS | ALWAYS
    return start_multishot if multishot else poll_once


def poll_once(request: Request) -> Result:
    assert request.file is not None
    return request.file.poll() & request.poll_mask or poll_on(request)


async def poll_on(request: Request) -> int:
    file = request.file
    assert file is not None
    while True:
        await request.task.wait(*file.queues(request.poll_mask))
        ready = request.ready()
        if ready:
            return ready


def start_multishot(request: Request) -> None:
    """IORING_POLL_ADD_MULTI, and its update.  What holds already counts as something that happened."""
    assert request.file is not None
    streams = [queue for queue in request.file.queues(request.poll_mask) if isinstance(queue, HostQueue)]
    if streams:
        request.restart(poll_stream(request, streams))
        return
    request.restart(poll_multishot(request))
    ready = request.file.poll() & request.poll_mask
    if ready:
        request.wake(ready)


async def poll_multishot(request: Request) -> int:
    """A completion each time something happens."""
    file = request.file
    assert file is not None
    while True:
        await request.task.wait(*file.queues(request.poll_mask))
        ready = request.ready()
        if ready and not more(request, ready):
            return ready


async def poll_stream(request: Request, streams: list[HostQueue]) -> int:
    """The same for a stream of the host's, which is ready until somebody reads it: only edges count."""
    file, ring = request.file, request.ring
    assert file is not None
    if ring.hosts is None:
        ring.hosts = host_poll()
    hosts, edges = ring.hosts, 0

    def edge(events: int) -> None:
        nonlocal edges
        edges += 1

    try:
        for queue in streams:
            hosts.watch(queue.fd, queue.events, edge)
        while True:
            hosts.look()
            if edges:
                edges = 0
                ready = file.poll() & request.poll_mask
                if ready and not more(request, ready):
                    return ready
            await request.task.wait(*hosts.queues())
    finally:
        for queue in streams:
            hosts.forget(queue.fd, edge)


def more(request: Request, ready: int) -> bool:
    """Tell of events, and that there may be more; False if there may not."""
    return not request.once and request.ring.post_more(request.user_data, ready, IORING_CQE_F_MORE)


def prep_poll_remove(request: Request) -> Issue:
    sqe = request.sqe
    flags = sqe.len
    unused(sqe.buf_index, sqe.splice_fd_in, flags == IORING_POLL_ADD_MULTI)
    unused(flags & ~(IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA | IORING_POLL_ADD_MULTI))
    unused(not flags & IORING_POLL_UPDATE_USER_DATA and sqe.off)
    unused(not flags & IORING_POLL_UPDATE_EVENTS and sqe.op_flags)
    return remove


def remove(request: Request) -> int:
    """io_poll_remove: end a poll, or change what it waits for."""
    sqe = request.sqe
    for found in request.ring.named.get(sqe.addr, ()):
        if found.opcode == IORING_OP_POLL_ADD and found.waiting is not None:
            break
    else:
        raise OSError(errno.ENOENT, "no such poll")
    if not sqe.len & (IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA):
        found.cancel()
        return 0
    if sqe.len & IORING_POLL_UPDATE_EVENTS:
        found.poll_mask = sqe.op_flags & EVENTS | ALWAYS
    if sqe.len & IORING_POLL_UPDATE_USER_DATA:
        request.ring.rename(found, sqe.off)
    if found.sqe.len & IORING_POLL_ADD_MULTI:
        start_multishot(found)
        return 0
    assert found.file is not None
    ready = found.file.poll() & found.poll_mask
    if ready:
        found.disarm()
        found.complete(ready)
    else:
        found.restart(poll_on(found))
    return 0

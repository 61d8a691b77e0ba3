"""Submission: from entries of the ring to requests, chains of them, and drains (io_submit_sqes)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.errnos import linux_errno
from kernel.io_uring.request import ARM_LTIMEOUT, FAIL, FORCE_ASYNC, Request
from kernel.io_uring.ring import WORD
from kernel.io_uring.uapi import (
    IORING_OP_LAST,
    IORING_OP_LINK_TIMEOUT,
    IORING_SETUP_SUBMIT_ALL,
    IOSQE_ALL,
    IOSQE_BUFFER_SELECT,
    IOSQE_CQE_SKIP_SUCCESS,
    IOSQE_IO_DRAIN,
    IOSQE_IO_HARDLINK,
    IOSQE_LINKS,
    SQ_DROPPED,
    SQ_HEAD,
    SQE,
    Sqe,
)

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing
    from kernel.task import Task


def submit(ring: IoRing, task: Task, wanted: int) -> int:
    """Take up to `wanted` entries; how many were taken.  Raises OSError(EAGAIN) if no request can be had."""
    words, memory, sqe_at, array_at = ring.words, ring.memory, ring.sqe_at, ring.array_at
    mask = ring.sq_entries - 1
    head = ring.sq_head
    left = min(words[ring.sq_tail_at] - head & WORD, ring.sq_entries, wanted)
    if not left:
        return 0
    if ring.kernel.uring_kept + left > ring.kernel.max_uring_kept:
        raise OSError(errno.EAGAIN, "no memory for more requests")
    taken = left
    unpack, post = SQE.unpack_from, ring.post
    plain = ring.restrictions is None
    go_on = ring.setup_flags & IORING_SETUP_SUBMIT_ALL
    while left:
        index = head & mask
        head = head + 1 & WORD
        if array_at:
            index = words[array_at[index]]
            if index > mask:
                ring.put_word(SQ_DROPPED, ring.word(SQ_DROPPED) + 1)
                break
        left -= 1
        entry = unpack(memory, sqe_at[index])
        nop = not (entry[0] or entry[1] or entry[2] or entry[7] or entry[10])
        if nop and plain and ring.linked is None and not (ring.drain_active or ring.drain_next):
            post(entry[8], 0)
            continue
        ring.sq_head = head
        if not submit_one(ring, task, Sqe._make(entry)) and not go_on:
            break
    if ring.linked is not None:
        queue_chain(ring)
    ring.sq_head = head
    ring.put_word(SQ_HEAD, head)
    ring.commit()
    return taken - left


def submit_one(ring: IoRing, task: Task, sqe: Sqe) -> bool:
    """io_submit_sqe; False if it failed before it began."""
    request = Request(ring, task, sqe)
    ring.inflight += 1
    ring.kernel.uring_kept += 1
    head = ring.linked
    try:
        prepare(request)
    except OSError as error:
        request.fail()
        request.result = -linux_errno(error)
        if head is not None and not head.flags & FAIL:
            head.fail()
            head.result = -errno.ECANCELED
        good = bool(request.flags & IOSQE_LINKS)
    else:
        good = True
    if head is not None:
        assert ring.linked_tail is not None
        ring.linked_tail.link = ring.linked_tail = request
        head.chain_size += 1
        if not request.flags & IOSQE_LINKS:
            queue_chain(ring)
    elif request.flags & IOSQE_LINKS:
        ring.linked = ring.linked_tail = request
    else:
        queue(request)
    return good


def prepare(request: Request) -> None:
    """io_init_req.  Raises OSError."""
    ring, sqe = request.ring, request.sqe
    op = ring.ops[sqe.opcode] if sqe.opcode < IORING_OP_LAST else None
    if op is None or sqe.flags & ~IOSQE_ALL:
        raise OSError(errno.EINVAL, "unknown operation or flag")
    flags = sqe.flags
    if flags & IOSQE_BUFFER_SELECT and not op.buffer_select:
        raise OSError(errno.EOPNOTSUPP, "takes no selected buffer")
    if flags & IOSQE_CQE_SKIP_SUCCESS:
        ring.drain_disabled = True
    if flags & IOSQE_IO_DRAIN:
        if ring.drain_disabled:
            raise OSError(errno.EOPNOTSUPP, "completions are skipped: none can be waited for")
        ring.drain_active = True
        request.flags |= FORCE_ASYNC
        if ring.linked is not None:
            # In the middle of a chain: drain its head, and whatever follows the chain
            ring.linked.flags |= IOSQE_IO_DRAIN | FORCE_ASYNC
            ring.drain_next = True
    if ring.restrictions is not None:
        ring.restrictions.check(sqe)
    if ring.drain_active:
        request.flags |= FORCE_ASYNC
    if ring.drain_next and ring.linked is None:
        ring.drain_next = False
        ring.drain_active = True
        request.flags |= IOSQE_IO_DRAIN | FORCE_ASYNC
    if (sqe.ioprio and not op.ioprio) or (ring.polled and not op.iopoll):
        raise OSError(errno.EINVAL, "not for this operation")
    if sqe.personality:
        cred = ring.personalities.get(sqe.personality)
        if cred is None:
            raise OSError(errno.EINVAL, "no such personality")
        request.cred = cred
    request.needs_file = op.needs_file
    request.issue = op.prep(request)
    if sqe.opcode == IORING_OP_LINK_TIMEOUT:
        assert ring.linked_tail is not None  # prep has seen to it
        ring.linked_tail.flags |= ARM_LTIMEOUT


def queue_chain(ring: IoRing) -> None:
    head, ring.linked, ring.linked_tail = ring.linked, None, None
    assert head is not None
    queue(head)


def queue(request: Request) -> None:
    """io_queue_sqe: issue a request, unless something is in the way."""
    ring = request.ring
    if request.flags & FAIL:
        request.flags &= ~IOSQE_IO_HARDLINK
        request.complete(request.result)
    elif ring.drain_active and request.flags & FORCE_ASYNC:
        drain(request)
    elif request.is_async:
        ring.add_work(request.task, request.start_work)
    else:
        request.start()
        request.arm_linked_timeout()


def drain(request: Request) -> None:
    """io_drain_req: wait for all that came before, and let nobody overtake who came after."""
    ring = request.ring
    draining = request.flags & IOSQE_IO_DRAIN
    if not ring.deferred and not (draining and ring.inflight > request.chain_size):
        ring.drain_active = False
        request.queue_later()
        return
    ring.deferred.append(request)
    ring.deferred_size += request.chain_size


def queue_deferred(ring: IoRing) -> None:
    """io_queue_deferred: something is complete."""
    while ring.deferred:
        request = ring.deferred[0]
        if request.flags & IOSQE_IO_DRAIN and ring.inflight > ring.deferred_size:
            return
        ring.deferred.popleft()
        ring.deferred_size -= request.chain_size
        request.queue_later()

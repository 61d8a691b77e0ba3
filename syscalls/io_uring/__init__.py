"""io_uring(7): its three calls.  The operations are in the other modules of this package, the mechanism is in
kernel/io_uring."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.engine import PAGE_SHIFT, PAGE_SIZE, WRITE
from kernel.io_uring.ring import WORD, IoRing, pages_for
from kernel.io_uring.sqpoll import SqPoll
from kernel.io_uring.submit import submit
from kernel.io_uring.uapi import (
    CQ_ENTRIES,
    CQ_FLAGS,
    CQ_HEAD,
    CQ_MASK,
    CQ_OFFSETS,
    CQ_OFFSETS_AT,
    CQ_OVERFLOW,
    CQ_TAIL,
    CQES,
    GETEVENTS_ARG,
    IORING_ENTER_ABS_TIMER,
    IORING_ENTER_EXT_ARG,
    IORING_ENTER_GETEVENTS,
    IORING_ENTER_REGISTERED_RING,
    IORING_ENTER_SQ_WAIT,
    IORING_ENTER_SQ_WAKEUP,
    IORING_FEAT_CQE_SKIP,
    IORING_FEAT_CUR_PERSONALITY,
    IORING_FEAT_EXT_ARG,
    IORING_FEAT_FAST_POLL,
    IORING_FEAT_LINKED_FILE,
    IORING_FEAT_MIN_TIMEOUT,
    IORING_FEAT_NATIVE_WORKERS,
    IORING_FEAT_NODROP,
    IORING_FEAT_POLL_32BITS,
    IORING_FEAT_RECVSEND_BUNDLE,
    IORING_FEAT_REG_REG_RING,
    IORING_FEAT_RSRC_TAGS,
    IORING_FEAT_RW_CUR_POS,
    IORING_FEAT_SINGLE_MMAP,
    IORING_FEAT_SQPOLL_NONFIXED,
    IORING_FEAT_SUBMIT_STABLE,
    IORING_MAX_CQ_ENTRIES,
    IORING_MAX_ENTRIES,
    IORING_OFF_SQ_RING,
    IORING_OFF_SQES,
    IORING_SETUP_ATTACH_WQ,
    IORING_SETUP_CLAMP,
    IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_CQSIZE,
    IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_NO_MMAP,
    IORING_SETUP_NO_SQARRAY,
    IORING_SETUP_R_DISABLED,
    IORING_SETUP_REGISTERED_FD_ONLY,
    IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SQ_AFF,
    IORING_SETUP_SQPOLL,
    IORING_SETUP_TASKRUN_FLAG,
    PARAMS,
    PARAMS_SIZE,
    SQ_DROPPED,
    SQ_ENTRIES,
    SQ_FLAGS,
    SQ_HEAD,
    SQ_MASK,
    SQ_OFFSETS,
    SQ_OFFSETS_AT,
    SQ_TAIL,
)
from kernel.task import Interrupted
from kernel.task_work import task_work_run
from syscalls.abi import Ptr, Result, UInt, ULong
from syscalls.io_uring.find import find_ring, free_ring_index, uring_task
from syscalls.io_uring.ops import OPS
from syscalls.io_uring.register import do_register
from syscalls.poll import TIMESPEC, masked, signal_mask

if TYPE_CHECKING:
    from kernel.task import Task

SETUP_FLAGS = (1 << 17) - 1
ENTER_FLAGS = (1 << 6) - 1
FEATURES = (
    IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS
    | IORING_FEAT_CUR_PERSONALITY | IORING_FEAT_FAST_POLL | IORING_FEAT_POLL_32BITS | IORING_FEAT_SQPOLL_NONFIXED
    | IORING_FEAT_EXT_ARG | IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_RSRC_TAGS | IORING_FEAT_CQE_SKIP
    | IORING_FEAT_LINKED_FILE | IORING_FEAT_REG_REG_RING | IORING_FEAT_RECVSEND_BUNDLE | IORING_FEAT_MIN_TIMEOUT
)  # fmt: skip
EBADFD, EBADR, ETIME = 77, 53, 62


# Setting up


def sys_io_uring_setup(t: Task, entries: UInt, params: Ptr) -> Result:
    """io_uring_setup(2)."""
    raw = t.mm.read(params, PARAMS_SIZE)
    _, cq_entries, flags, sq_cpu, sq_idle, _, wq_fd = PARAMS.unpack_from(raw)
    if any(raw[PARAMS.size - 12 : PARAMS.size]) or flags & ~SETUP_FLAGS:
        return -errno.EINVAL
    if flags & IORING_SETUP_REGISTERED_FD_ONLY and not flags & IORING_SETUP_NO_MMAP:
        return -errno.EINVAL
    sq_entries, cq_entries = ring_sizes(entries, cq_entries, flags)
    if not good_flags(flags):
        return -errno.EINVAL
    if flags & IORING_SETUP_ATTACH_WQ:
        other = t.files.files.get(wq_fd)
        if other is None:
            return -errno.ENXIO
        if not isinstance(other, IoRing):
            return -errno.EINVAL
    if flags & IORING_SETUP_SQ_AFF and sq_cpu:
        return -errno.EINVAL  # there is one processor
    if not flags & IORING_SETUP_REGISTERED_FD_ONLY:
        t.files.unused()
    ring = IoRing(t, OPS, flags, sq_entries, cq_entries)
    user_sqes, user_rings = SQ_OFFSETS.unpack_from(raw, SQ_OFFSETS_AT)[8], CQ_OFFSETS.unpack_from(raw, CQ_OFFSETS_AT)[8]
    if flags & IORING_SETUP_NO_MMAP:
        use_memory(t, ring, user_rings, user_sqes)
    else:
        ring.make_memory()
        user_sqes = user_rings = 0
    if flags & IORING_SETUP_R_DISABLED:
        ring.disabled = True
    elif flags & IORING_SETUP_SINGLE_ISSUER:
        ring.submitter = t
    array = 0 if flags & IORING_SETUP_NO_SQARRAY else ring.array_offset()
    sq_offsets = (SQ_HEAD, SQ_TAIL, SQ_MASK, SQ_ENTRIES, SQ_FLAGS, SQ_DROPPED, array, 0, user_sqes)
    cq_offsets = (CQ_HEAD, CQ_TAIL, CQ_MASK, CQ_ENTRIES, CQ_OVERFLOW, CQES, CQ_FLAGS, 0, user_rings)
    answer = bytearray(raw)
    PARAMS.pack_into(answer, 0, sq_entries, cq_entries, flags, sq_cpu, sq_idle, FEATURES, wq_fd)
    SQ_OFFSETS.pack_into(answer, SQ_OFFSETS_AT, *sq_offsets)
    CQ_OFFSETS.pack_into(answer, CQ_OFFSETS_AT, *cq_offsets)
    uring = uring_task(t)
    if flags & IORING_SETUP_SQPOLL:
        ring.sqpoll = SqPoll(ring, t, sq_idle)
    try:
        t.mm.write(params, answer)
        if flags & IORING_SETUP_REGISTERED_FD_ONLY:
            index = free_ring_index(uring)
            ring.refs += 1
            uring.registered[index] = ring
            return index
    except OSError:
        ring.last_put()
        raise
    return t.files.install(ring, cloexec=True)


def ring_sizes(entries: int, cq_entries: int, flags: int) -> tuple[int, int]:
    """io_uring_fill_params: numbers of entries, powers of two.  Raises OSError(EINVAL)."""
    clamp = flags & IORING_SETUP_CLAMP
    if not entries or (entries > IORING_MAX_ENTRIES and not clamp):
        raise OSError(errno.EINVAL, "too many entries")
    sq = 1 << (min(entries, IORING_MAX_ENTRIES) - 1).bit_length()
    if not flags & IORING_SETUP_CQSIZE:
        return sq, 2 * sq
    if not cq_entries or (cq_entries > IORING_MAX_CQ_ENTRIES and not clamp):
        raise OSError(errno.EINVAL, "too many completion entries")
    cq = 1 << (min(cq_entries, IORING_MAX_CQ_ENTRIES) - 1).bit_length()
    if cq < sq:
        raise OSError(errno.EINVAL, "fewer completion entries than entries")
    return sq, cq


def good_flags(flags: int) -> bool:
    """Whether the flags of a ring go together."""
    works = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN
    if flags & IORING_SETUP_SQPOLL:
        if flags & (works | IORING_SETUP_TASKRUN_FLAG):
            return False
    elif flags & IORING_SETUP_SQ_AFF:
        return False
    if flags & IORING_SETUP_DEFER_TASKRUN and not flags & IORING_SETUP_SINGLE_ISSUER:
        return False
    return not flags & IORING_SETUP_TASKRUN_FLAG or bool(flags & works)


def use_memory(t: Task, ring: IoRing, rings: int, sqes: int) -> None:
    """IORING_SETUP_NO_MMAP: the program's own pages.  Raises OSError(EINVAL, EFAULT)."""

    def pin(address: int, size: int) -> list[int]:
        if address & PAGE_SIZE - 1:
            raise OSError(errno.EINVAL, "not a page's address")
        frames = []
        for page in range(address, address + (pages_for(size) << PAGE_SHIFT), PAGE_SIZE):
            frame = t.mm.frame_of(page, WRITE)
            frames.append(frame)
        return frames

    if not (rings and sqes):
        raise OSError(errno.EFAULT, "no memory given")
    taken = pin(rings, ring.rings_size()), pin(sqes, ring.sqes_size())
    for part, frames in zip((IORING_OFF_SQ_RING, IORING_OFF_SQES), taken, strict=True):
        for frame in frames:
            t.kernel.arena.hold(frame)
        ring.parts.add(part, frames)
    t.mm.zero(rings, ring.rings_size())
    ring.place(*taken)


# Entering


def sys_io_uring_enter(
    t: Task, fd: UInt, to_submit: UInt, min_complete: UInt, flags: UInt, arg: Ptr, size: ULong
) -> Result:
    """io_uring_enter(2)."""
    if flags & ~ENTER_FLAGS:
        return -errno.EINVAL
    ring = find_ring(t, fd, bool(flags & IORING_ENTER_REGISTERED_RING))
    if ring.disabled:
        return -EBADFD
    submitted = 0
    if ring.sqpoll is not None:
        if ring.sqpoll.dead:
            return -errno.EOWNERDEAD
        if flags & IORING_ENTER_SQ_WAKEUP:
            ring.sqpoll.wake()
        ring.sqpoll.look()
        submitted = to_submit
        if flags & IORING_ENTER_SQ_WAIT and ring.pending() >= ring.sq_entries:
            return wait_for_room(t, ring, to_submit)
    elif to_submit:
        if ring.submitter is not None and ring.submitter is not t:
            return -errno.EEXIST
        if t.io_uring is None:
            uring_task(t)
        submitted = submit(ring, t, to_submit)
        if submitted != to_submit:
            return submitted
    if not flags & IORING_ENTER_GETEVENTS:
        return submitted
    try:
        result = wait_completions(t, ring, min_complete, flags, arg, size, submitted)
    except OSError as error:
        return submitted or -(error.errno or errno.EIO)
    return result


async def wait_for_room(t: Task, ring: IoRing, submitted: int) -> int:
    """IORING_ENTER_SQ_WAIT: until entries were taken (io_sqpoll_wait_sq)."""
    assert ring.sqpoll is not None
    while ring.pending() >= ring.sq_entries and not ring.sqpoll.dead:
        await t.wait(ring.sqpoll.room)
    return submitted


def wait_completions(t: Task, ring: IoRing, wanted: int, flags: int, arg: int, size: int, submitted: int) -> Result:
    """io_cqring_wait.  Raises OSError(EINVAL, EFAULT, EEXIST)."""
    if ring.setup_flags & IORING_SETUP_DEFER_TASKRUN:
        if ring.submitter is not t:
            raise OSError(errno.EEXIST, "another task submits")
        if ring.works:
            ring.run_local_work()
    mask_at, mask_size, min_wait, timespec = arg, size, 0, 0
    if flags & IORING_ENTER_EXT_ARG:
        if size != GETEVENTS_ARG.size:
            raise OSError(errno.EINVAL, "bad size of the argument")
        mask_at, mask_size, min_wait, timespec = t.mm.unpack(GETEVENTS_ARG, arg)
    clock = t.kernel.clock
    deadline = None
    if timespec:
        seconds, ns = t.mm.unpack(TIMESPEC, timespec)
        deadline = seconds * 1_000_000_000 + ns
        if not flags & IORING_ENTER_ABS_TIMER:
            deadline += clock.monotonic_ns()
        elif ring.clock != 1:
            deadline += clock.monotonic_ns() - clock.boottime_ns()
    if t.task_works:
        task_work_run(t)
    if ring.overflow:
        ring.flush_overflow()
    wanted = min(wanted, ring.cq_entries)
    if ring.events() >= wanted:
        return submitted
    mask = signal_mask(t, mask_at, mask_size)
    return wait_on(t, ring, wanted, deadline, min_wait, mask, submitted)


async def wait_on(
    t: Task, ring: IoRing, wanted: int, deadline: int | None, min_wait: int, mask: int | None, submitted: int
) -> int:
    """Sleep until there are `wanted` completions more than the program has taken."""
    clock = t.kernel.clock
    goal = ring.word(CQ_HEAD) + wanted & WORD
    first = clock.monotonic_ns() + min_wait * 1000 if min_wait else None
    timeouts = ring.cq_timeouts
    expired = False

    async def sleep() -> None:
        nonlocal first, goal, expired
        while True:
            if ring.works:
                ring.run_local_work()
            if ring.sqpoll is not None:
                ring.sqpoll.look()
            if ring.overflow:
                ring.flush_overflow()
            if not goal - ring.cq_tail & WORD or goal - ring.cq_tail & 1 << 31 or ring.cq_timeouts != timeouts:
                return
            now = clock.monotonic_ns()
            if first is not None and now >= first:
                first = None  # it has waited long enough for many: the first that comes will do
                goal = ring.word(CQ_HEAD) + 1 & WORD
                continue
            if deadline is not None and now >= deadline:
                expired = True
                return
            ends = [end for end in (deadline, first) if end is not None]
            await t.wait(ring.waiting, timeout_ns=min(ends) - now if ends else None)

    ring.refs += 1
    try:
        await masked(t, mask, sleep())
    except Interrupted:
        if submitted:
            return submitted
        if ring.events():
            return 0
        raise
    finally:
        ring.put()
    if expired and not submitted and not ring.events():
        return -ETIME
    return submitted


# Registering


def sys_io_uring_register(t: Task, fd: UInt, opcode: UInt, arg: Ptr, count: UInt) -> Result:
    """io_uring_register(2)."""
    return do_register(t, fd, opcode, arg, count)

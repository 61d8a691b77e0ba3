"""futex(2): decoding its many operations."""

from __future__ import annotations

import errno
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

from kernel.clock import CLOCK_MONOTONIC, CLOCK_REALTIME
from kernel.futex import BITSET_MATCH_ANY, Waiter
from kernel.task import Again, Interrupted
from syscalls.abi import Int, Ptr, Result, UInt
from syscalls.time import timespec

if TYPE_CHECKING:
    from kernel.task import Task

FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP = 0, 1, 3, 4, 5
FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET = 6, 7, 8, 9, 10
FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI, FUTEX_LOCK_PI2 = 11, 12, 13
FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME = 128, 256

FUTEX2_SIZE_MASK, FUTEX2_SIZE_U32, FUTEX2_PRIVATE = 3, 2, 128
FUTEX_WAITV_MAX = 128
FUTEX_WAITV = Struct("<QQII")  # struct futex_waitv: val, uaddr, flags, __reserved

_TIMED = (FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI)
_ANY_CLOCK = (FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2)


def _deadline(t: Task, operation: int, realtime: bool, address: int) -> int | None:
    """The time-out on CLOCK_MONOTONIC: relative for FUTEX_WAIT only, of CLOCK_REALTIME if so flagged."""
    if operation not in _TIMED or not address:
        return None
    clock = t.kernel.clock
    when = timespec(t, address)
    if operation == FUTEX_WAIT:
        return clock.monotonic_ns() + when
    if realtime or operation == FUTEX_LOCK_PI:
        return clock.monotonic_ns() + when - clock.realtime_ns()
    return when


def _wait(t: Task, address: int, value: int, deadline: int | None, bitset: int, shared: bool) -> Result:
    table = t.kernel.futexes
    waiter = table.prepare(t, address, value, bitset, shared=shared)
    if deadline is None:
        return Again(waiter.taken, (waiter.queue,), partial(table.cancel, (waiter,)))

    async def timed() -> int:
        try:
            return await table.sleep(t, waiter, deadline)
        except Interrupted:
            t.signals.restart_block = lambda t: _wait(t, address, value, deadline, bitset, shared)
            raise

    return timed()


def sys_futex(t: Task, uaddr: Ptr, op: Int, val: UInt, timeout: Ptr, uaddr2: Ptr, val3: UInt) -> Result:
    """futex(2)."""
    operation = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
    shared = not op & FUTEX_PRIVATE_FLAG
    if operation == FUTEX_WAKE and not op & FUTEX_CLOCK_REALTIME:
        return t.kernel.futexes.wake(t, uaddr, val - (val >> 31 << 32), BITSET_MATCH_ANY, shared=shared)
    realtime = bool(op & FUTEX_CLOCK_REALTIME)
    deadline = _deadline(t, operation, realtime, timeout)
    if realtime and operation not in _ANY_CLOCK:
        return -errno.ENOSYS
    if operation in (FUTEX_WAIT, FUTEX_WAIT_BITSET):
        return _wait(t, uaddr, val, deadline, BITSET_MATCH_ANY if operation == FUTEX_WAIT else val3, shared)
    table = t.kernel.futexes
    second_value = timeout & 0xFFFF_FFFF  # some operations pass a count in the time-out's place
    second_value -= second_value >> 31 << 32
    if operation == FUTEX_WAKE_BITSET:
        return table.wake(t, uaddr, _int(val), val3, shared=shared)
    if operation == FUTEX_REQUEUE:
        return table.requeue(t, uaddr, uaddr2, _int(val), second_value, None, shared=shared)
    if operation == FUTEX_CMP_REQUEUE:
        return table.requeue(t, uaddr, uaddr2, _int(val), second_value, val3, shared=shared)
    if operation == FUTEX_WAKE_OP:
        return table.wake_op(t, uaddr, uaddr2, _int(val), second_value, val3, shared=shared)
    if operation in (FUTEX_LOCK_PI, FUTEX_LOCK_PI2):
        waiter = table.prepare_pi(t, uaddr, shared=shared)
        return 0 if waiter is None else table.sleep(t, waiter, deadline)
    if operation == FUTEX_TRYLOCK_PI:
        return 0 if table.try_lock_pi(t, uaddr, shared=shared) else -errno.EAGAIN
    if operation == FUTEX_UNLOCK_PI:
        return table.unlock_pi(t, uaddr, shared=shared)
    if operation == FUTEX_WAIT_REQUEUE_PI:
        waiter = table.prepare_requeue_pi(t, uaddr, val, uaddr2, shared=shared)
        return table.sleep(t, waiter, deadline)
    if operation == FUTEX_CMP_REQUEUE_PI:
        return table.requeue_pi(t, uaddr, uaddr2, _int(val), second_value, val3, shared=shared)
    return -errno.ENOSYS


def sys_futex_waitv(t: Task, waiters: Ptr, count: UInt, flags: UInt, timeout: Ptr, clockid: Int) -> Result:
    """futex_waitv(2): 32-bit words only, as on Linux."""
    if flags or not 0 < count <= FUTEX_WAITV_MAX or not waiters:
        return -errno.EINVAL
    clock = t.kernel.clock
    deadline = None
    if timeout:
        if clockid not in (CLOCK_REALTIME, CLOCK_MONOTONIC):
            return -errno.EINVAL
        deadline = timespec(t, timeout)
        if clockid == CLOCK_REALTIME:
            deadline += clock.monotonic_ns() - clock.realtime_ns()
    wanted = [t.mm.unpack(FUTEX_WAITV, waiters + FUTEX_WAITV.size * place) for place in range(count)]
    for value, _address, kind, reserved in wanted:
        if kind & ~(FUTEX2_PRIVATE | FUTEX2_SIZE_MASK) or reserved or kind & FUTEX2_SIZE_MASK != FUTEX2_SIZE_U32:
            return -errno.EINVAL
        if value >> 32:
            return -errno.EINVAL
    table = t.kernel.futexes
    queued: list[Waiter] = []
    try:
        for value, address, kind, _ in wanted:
            shared = not kind & FUTEX2_PRIVATE
            queued.append(table.prepare(t, address, value, BITSET_MATCH_ANY, shared=shared))
    except OSError:
        table.cancel(queued)
        raise
    return table.sleep_any(t, queued, deadline)


def _int(value: int) -> int:
    return value - (value >> 31 << 32)

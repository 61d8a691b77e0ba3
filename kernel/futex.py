"""Futexes (futex(2)): tasks that wait for a word of memory to change.

A private futex is named by its address space and address, a shared one by the physical address behind
it.  Everything runs on one thread, so that between looking at a word and queueing nothing can change
it.  Priorities are not inherited: the PI operations hand a lock to the longest waiter.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.engine import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, READ, WRITE
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from kernel.task import Task

BITSET_MATCH_ANY = 0xFFFF_FFFF
WAITERS, OWNER_DIED, TID_MASK = 0x8000_0000, 0x4000_0000, 0x3FFF_FFFF

Key = tuple[int, int]
"""(identity of the address space, address), or (0, physical address)."""


class Waiter:
    """struct futex_q: a task in a futex's queue."""

    __slots__ = ("bitset", "key", "queue", "task", "woken")

    def __init__(self, task: Task, key: Key, bitset: int) -> None:
        self.task = task
        self.key = key
        self.bitset = bitset
        self.queue = WaitQueue()
        self.woken = False


def _invalid(text: str) -> OSError:
    return OSError(errno.EINVAL, text)


class FutexTable:
    """Every futex that somebody waits for: its waiters, longest first."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[Key, list[Waiter]] = {}

    def key(self, task: Task, address: int, shared: bool, access: int = READ) -> Key:
        """get_futex_key.  Raises OSError EINVAL (not on 4 bytes), EFAULT."""
        if address & 3:
            raise _invalid("a futex lies on 4 bytes")
        if not shared:
            return id(task.mm), address
        entry = task.mm.pages.get(address >> PAGE_SHIFT, 0)
        if not entry & access:
            task.mm.u32(address)
            entry = task.mm.pages.get(address >> PAGE_SHIFT, 0)
        return 0, (entry & PAGE_MASK) + (address & (PAGE_SIZE - 1))

    def _enqueue(self, task: Task, key: Key, bitset: int) -> Waiter:
        waiter = Waiter(task, key, bitset)
        self._queues.setdefault(key, []).append(waiter)
        return waiter

    def _dequeue(self, waiter: Waiter) -> None:
        queue = self._queues.get(waiter.key)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._queues[waiter.key]

    def _release(self, waiter: Waiter) -> None:
        self._dequeue(waiter)
        waiter.woken = True
        waiter.queue.wake()

    def prepare(self, task: Task, address: int, value: int, bitset: int, *, shared: bool) -> Waiter:
        """FUTEX_WAIT_BITSET, its first half: queue the task if the word still is `value` (futex_wait_setup).
        Raises OSError EAGAIN (it is not), EINVAL, EFAULT."""
        if not bitset:
            raise _invalid("an empty bit set can never be woken")
        key = self.key(task, address, shared)
        if task.mm.u32(address) != value:
            raise OSError(errno.EAGAIN, "the futex has another value")
        return self._enqueue(task, key, bitset)

    async def sleep(self, task: Task, waiter: Waiter, deadline: int | None) -> int:
        """The second half: until woken or `deadline` (CLOCK_MONOTONIC).  Raises OSError(ETIMEDOUT), Interrupted."""
        try:
            while not waiter.woken:
                left = None if deadline is None else max(deadline - task.kernel.clock.monotonic_ns(), 0)
                if not await task.wait(waiter.queue, timeout_ns=left) and not waiter.woken:
                    raise OSError(errno.ETIMEDOUT, "nobody woke the futex in time")
        finally:
            self._dequeue(waiter)
        return 0

    def wake(self, task: Task, address: int, count: int, bitset: int, *, shared: bool) -> int:
        """FUTEX_WAKE_BITSET: wake up to `count` waiters; how many there were."""
        if not bitset:
            raise _invalid("an empty bit set wakes nobody")
        return self._wake(self.key(task, address, shared), count, bitset)

    def _wake(self, key: Key, count: int, bitset: int = BITSET_MATCH_ANY) -> int:
        woken = 0
        for waiter in tuple(self._queues.get(key, ())):
            if waiter.bitset & bitset:
                self._release(waiter)
                woken += 1
                if woken >= count:
                    break
        return woken

    def requeue(
        self, task: Task, source: int, target: int, wake: int, move: int, expected: int | None, *, shared: bool
    ) -> int:
        """FUTEX_REQUEUE, FUTEX_CMP_REQUEUE: wake some waiters of `source`, have others wait for `target`
        instead.  How many were woken, with CMP also how many moved."""
        if wake < 0 or move < 0:
            raise _invalid("negative count")
        from_key = self.key(task, source, shared)
        to_key = self.key(task, target, shared, WRITE)
        if expected is not None and task.mm.u32(source) != expected:
            raise OSError(errno.EAGAIN, "the futex has another value")
        woken = self._wake(from_key, wake) if wake else 0
        moved = 0
        for waiter in self._queues.get(from_key, [])[:move]:
            moved += 1
            if from_key != to_key:
                self._dequeue(waiter)
                waiter.key = to_key
                self._queues.setdefault(to_key, []).append(waiter)
        return woken + moved

    def wake_op(
        self, task: Task, address: int, second: int, count: int, second_count: int, operation: int, *, shared: bool
    ) -> int:
        """FUTEX_WAKE_OP: change the word at `second`, wake waiters of `address` and, if the old word
        passes a comparison, of `second`."""
        key = self.key(task, address, shared)
        second_key = self.key(task, second, shared, WRITE)
        op, compare = operation >> 28 & 7, operation >> 24 & 15
        argument = _signed12(operation >> 12)
        if operation >> 31:
            if not 0 <= argument <= 31:
                argument &= 31
            argument = 1 << argument
        old = task.mm.u32(second)
        if op > 4:
            raise OSError(errno.ENOSYS, "unknown operation")
        new = (argument, old + argument, old | argument, old & ~argument, old ^ argument)[op]
        task.mm.put_u32(second, new & 0xFFFF_FFFF)
        if compare > 5:
            raise OSError(errno.ENOSYS, "unknown comparison")
        old -= old >> 31 << 32
        than = _signed12(operation)
        passed = (old == than, old != than, old < than, old <= than, old > than, old >= than)[compare]
        woken = self._wake(key, count)
        return woken + (self._wake(second_key, second_count) if passed else 0)

    def prepare_pi(self, task: Task, address: int, *, shared: bool) -> Waiter | None:
        """FUTEX_LOCK_PI: None if the lock is taken now, else `sleep` until it is handed over.  Raises
        OSError EDEADLK (held by the caller), ESRCH (by nobody alive)."""
        if self.try_lock_pi(task, address, shared=shared):
            return None
        task.mm.put_u32(address, task.mm.u32(address) | WAITERS)
        return self._enqueue(task, self.key(task, address, shared, WRITE), BITSET_MATCH_ANY)

    def try_lock_pi(self, task: Task, address: int, *, shared: bool) -> bool:
        """Take the lock if it is free; errors as `prepare_pi`."""
        key = self.key(task, address, shared, WRITE)
        word = task.mm.u32(address)
        owner = word & TID_MASK
        if owner == task.tid:
            raise OSError(errno.EDEADLK, "the caller holds the lock")
        if owner == 0:
            waiters = WAITERS if key in self._queues else 0
            task.mm.put_u32(address, task.tid | word & OWNER_DIED | waiters)
            return True
        if owner not in task.kernel.tasks:
            raise OSError(errno.ESRCH, "the owner does not exist")
        return False

    def unlock_pi(self, task: Task, address: int, *, shared: bool) -> int:
        """FUTEX_UNLOCK_PI: to the longest waiter, or free.  Raises OSError(EPERM): not the owner."""
        key = self.key(task, address, shared, WRITE)
        if task.mm.u32(address) & TID_MASK != task.tid:
            raise OSError(errno.EPERM, "not the owner")
        queue = self._queues.get(key)
        if not queue:
            task.mm.put_u32(address, 0)
            return 0
        heir = queue[0]
        task.mm.put_u32(address, heir.task.tid | (WAITERS if len(queue) > 1 else 0))
        self._release(heir)
        return 0


def _signed12(bits: int) -> int:
    value = bits & 0xFFF
    return value - 0x1000 if value & 0x800 else value

"""Futexes (futex(2)): tasks that wait for a word of memory to change.

A private futex is named by its address space and address, a shared one by the file or shared memory
behind it.  Everything runs on one thread, so that between looking at a word and queueing nothing can
change it.  Priorities are not inherited: the PI operations hand a lock to the first waiter, and that is all.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import PAGE_SHIFT, READ, WRITE
from kernel.task import Interrupted
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from kernel.task import Task

BITSET_MATCH_ANY = 0xFFFF_FFFF
WAITERS, OWNER_DIED, TID_MASK = 0x8000_0000, 0x4000_0000, 0x3FFF_FFFF
ROBUST_LIST_LIMIT = 2048
_ROBUST_LIST_HEAD = Struct("<QqQ")  # struct robust_list_head: list, futex_offset, list_op_pending

Key = tuple[int, int]
"""(identity of the address space, address) or (identity of the pages behind a shared mapping, position)."""


class Waiter:
    """struct futex_q: a task in a futex's queue.

    One that waits for a lock with priority inheritance has the lock's address in `lock`: it owns the lock
    when it is woken.  `requeue_to` is where FUTEX_WAIT_REQUEUE_PI is ready to be moved, `moved` that it was.
    """

    __slots__ = ("bitset", "key", "lock", "moved", "queue", "requeue_to", "task", "woken")

    def __init__(self, task: Task, key: Key, bitset: int) -> None:
        self.task = task
        self.key = key
        self.bitset = bitset
        self.lock: int | None = None
        self.requeue_to: Key | None = None
        self.moved = False
        self.queue = WaitQueue()
        self.woken = False

    def taken(self) -> int | None:
        """The result of a wait for nothing but the futex, once somebody has woken it."""
        return 0 if self.woken else None


def first_woken(waiters: list[Waiter]) -> int | None:
    """The place of the first of them that somebody has woken."""
    return next((place for place, waiter in enumerate(waiters) if waiter.woken), None)


def _invalid(text: str) -> OSError:
    return OSError(errno.EINVAL, text)


class FutexTable:
    """Every futex that somebody waits for: its waiters, in the order in which they are woken."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[Key, list[Waiter]] = {}

    def key(self, task: Task, address: int, shared: bool, access: int = READ) -> Key:
        """get_futex_key.  Raises OSError EINVAL (not on 4 bytes), EFAULT."""
        if address & 3:
            raise _invalid("a futex lies on 4 bytes")
        mm = task.mm
        if not shared:
            return id(mm), address
        if not mm.pages.get(address >> PAGE_SHIFT, 0) & access:
            mm.u32(address)
        vma = mm.find(address)
        if vma is not None and vma.shared and vma.pages is not None:
            return id(vma.pages), vma.offset + address - vma.start
        return id(mm), address | 1  # FUT_OFF_MMSHARED: not the private futex of this address

    def _enqueue(self, task: Task, key: Key, bitset: int) -> Waiter:
        waiter = Waiter(task, key, bitset)
        self._add(waiter)
        return waiter

    def _add(self, waiter: Waiter) -> None:
        """Real-time tasks stand in front, by priority; each behind its equals (plist_add)."""
        queue = self._queues.setdefault(waiter.key, [])
        priority = waiter.task.sched.rt_priority
        at = len(queue)
        if priority:
            while at and queue[at - 1].task.sched.rt_priority < priority:
                at -= 1
        queue.insert(at, waiter)

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

    def _push(self, waiter: Waiter, key: Key) -> None:
        """Move a waiter to another futex's queue (requeue_futex)."""
        self._dequeue(waiter)
        waiter.key = key
        self._add(waiter)

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
        """The second half: until woken or `deadline` (CLOCK_MONOTONIC).  Raises OSError(ETIMEDOUT), Interrupted;
        OSError(EAGAIN) for a signal after FUTEX_CMP_REQUEUE_PI."""
        try:
            while not waiter.woken:
                left = None if deadline is None else max(deadline - task.kernel.clock.monotonic_ns(), 0)
                if not await task.wait(waiter.queue, timeout_ns=left) and not waiter.woken:
                    raise OSError(errno.ETIMEDOUT, "nobody woke the futex in time")
        except Interrupted as interrupted:
            if not waiter.woken:  # else somebody has counted on it: the signal finds the call done
                if waiter.moved:  # the word it waited for may have changed: the caller has to look
                    raise OSError(errno.EAGAIN, "a signal came when it had been moved to the lock") from None
                if waiter.lock is not None or waiter.requeue_to is not None:
                    interrupted.rule = "again"
                raise
        finally:
            self._dequeue(waiter)
        return 0

    async def sleep_any(self, task: Task, waiters: list[Waiter], deadline: int | None) -> int:
        """futex_waitv(2): the place of the first that was woken.  Raises as `sleep`."""
        try:
            while True:
                place = first_woken(waiters)
                if place is not None:
                    return place
                left = None if deadline is None else max(deadline - task.kernel.clock.monotonic_ns(), 0)
                if not await task.wait(*[w.queue for w in waiters], timeout_ns=left) and first_woken(waiters) is None:
                    raise OSError(errno.ETIMEDOUT, "nobody woke a futex in time")
        except Interrupted:
            place = first_woken(waiters)
            if place is None:
                raise
            return place
        finally:
            self.cancel(waiters)

    def cancel(self, waiters: Sequence[Waiter]) -> None:
        """Nobody waits any more (futex_unqueue_multiple)."""
        for waiter in waiters:
            if not waiter.woken:
                self._dequeue(waiter)

    def wake(self, task: Task, address: int, count: int, bitset: int, *, shared: bool) -> int:
        """FUTEX_WAKE_BITSET: wake up to `count` waiters; how many there were."""
        if not bitset:
            raise _invalid("an empty bit set wakes nobody")
        return self._wake(self.key(task, address, shared), count, bitset)

    def _wake(self, key: Key, count: int, bitset: int = BITSET_MATCH_ANY) -> int:
        woken = 0
        queue = self._queues.get(key)
        if queue is None:
            return 0
        for waiter in tuple(queue):
            if waiter.lock is not None or waiter.requeue_to is not None:
                raise _invalid("its waiters wait for a lock")
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
                self._push(waiter, to_key)
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
        waiter = self._enqueue(task, self.key(task, address, shared, WRITE), BITSET_MATCH_ANY)
        waiter.lock = address
        return waiter

    def prepare_requeue_pi(self, task: Task, address: int, value: int, lock: int, *, shared: bool) -> Waiter:
        """FUTEX_WAIT_REQUEUE_PI: as `prepare` with every bit, for a waiter that is then moved to `lock` and owns
        it when woken.  Raises EINVAL if both are the same word."""
        key = self.key(task, lock, shared, WRITE)
        waiter = self.prepare(task, address, value, BITSET_MATCH_ANY, shared=shared)
        if waiter.key == key:
            self._dequeue(waiter)
            raise _invalid("the lock is the futex itself")
        waiter.requeue_to = key
        return waiter

    def requeue_pi(
        self, task: Task, source: int, lock: int, wake: int, move: int, expected: int, *, shared: bool
    ) -> int:
        """FUTEX_CMP_REQUEUE_PI: give `lock` to the first waiter of `source` if it is free, and have the
        others wait for it.  How many there were of both."""
        if wake != 1 or move < 0:
            raise _invalid("one waiter is woken")
        from_key = self.key(task, source, shared)
        to_key = self.key(task, lock, shared, WRITE)
        if from_key == to_key:
            raise _invalid("the lock is the futex itself")
        mm = task.mm
        if mm.u32(source) != expected:
            raise OSError(errno.EAGAIN, "the futex has another value")
        done = 0
        for waiter in tuple(self._queues.get(from_key, ())):
            if waiter.requeue_to != to_key:
                raise _invalid("a waiter for something else")
            if done > move:
                break
            word = mm.u32(lock)
            waiter.requeue_to = None
            if not word & TID_MASK:
                mm.put_u32(lock, waiter.task.tid | word & (WAITERS | OWNER_DIED))
                self._release(waiter)
            else:
                mm.put_u32(lock, word | WAITERS)
                waiter.lock = lock
                waiter.moved = True
                self._push(waiter, to_key)
            done += 1
        return done

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
        """FUTEX_UNLOCK_PI: to the first waiter, or free.  Raises OSError(EPERM): not the owner."""
        key = self.key(task, address, shared, WRITE)
        if task.mm.u32(address) & TID_MASK != task.tid:
            raise OSError(errno.EPERM, "not the owner")
        queue = self._queues.get(key)
        if not queue:
            task.mm.put_u32(address, 0)
            return 0
        self._hand_over(task, queue, address, 0)
        return 0

    def _hand_over(self, task: Task, queue: list[Waiter], address: int, flags: int) -> None:
        """The first waiter owns the lock now."""
        heir = queue[0]
        if heir.lock is None:
            raise _invalid("its waiters wait for something else")
        task.mm.put_u32(address, heir.task.tid | flags | (WAITERS if len(queue) > 1 else 0))
        self._release(heir)

    # The end of a thread

    def exit(self, task: Task) -> None:
        """futex_exit_release: locks that a thread holds when it ends go to whoever waits for them."""
        if task.robust_list:
            try:
                self._exit_robust_list(task)
            except OSError:
                pass  # as Linux: a list that cannot be read ends there
        for queue in tuple(self._queues.values()):
            address = queue[0].lock
            if address is not None and queue[0].task.mm is task.mm and task.mm.u32(address) & TID_MASK == task.tid:
                self._hand_over(task, queue, address, OWNER_DIED)

    def _exit_robust_list(self, task: Task) -> None:
        """exit_robust_list, get_robust_list(2)."""
        mm = task.mm
        head = task.robust_list
        entry, offset, pending = mm.unpack(_ROBUST_LIST_HEAD, head)
        for _ in range(ROBUST_LIST_LIMIT):
            if entry & ~1 == head:
                break
            following = mm.u64(entry & ~1)
            if entry & ~1 != pending & ~1:
                self._owner_died(task, (entry & ~1) + offset, bool(entry & 1))
            entry = following
        if pending & ~1:
            self._owner_died(task, (pending & ~1) + offset, bool(pending & 1), pending=True)

    def _owner_died(self, task: Task, address: int, pi: bool, *, pending: bool = False) -> None:
        """handle_futex_death: mark a lock of a thread that has ended, and wake one that waits for it."""
        if address & 3:
            raise _invalid("a futex lies on 4 bytes")
        word = task.mm.u32(address)
        if pending and not pi and not word:
            # Unlocked in user space, but the thread died before it could wake the next one.
            self.wake(task, address, 1, BITSET_MATCH_ANY, shared=True)
        if word & TID_MASK != task.tid:
            return
        task.mm.put_u32(address, word & WAITERS | OWNER_DIED)
        if not pi and word & WAITERS:
            self.wake(task, address, 1, BITSET_MATCH_ANY, shared=True)


def _signed12(bits: int) -> int:
    value = bits & 0xFFF
    return value - 0x1000 if value & 0x800 else value

"""IORING_SETUP_SQPOLL: entries are taken without a call, Linux's ``struct io_sq_data`` and its thread.

There is no thread: while it would be awake, a timer looks at the ring every millisecond, and so does everyone
who waits for completions.  What is there is submitted as work of the task that made the ring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.io_uring.submit import submit
from kernel.io_uring.uapi import IORING_SQ_NEED_WAKEUP
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing
    from kernel.task import Task
    from kernel.timers import Timer

PERIOD_NS = 1_000_000
DEFAULT_IDLE_MS = 1000


class SqPoll:
    """What looks at one ring.  `idle_ns`: how long it does so in vain before it has to be woken; `room` is woken
    when entries were taken."""

    __slots__ = ("awake_until", "idle_ns", "queued", "ring", "room", "task", "timer")

    def __init__(self, ring: IoRing, task: Task, idle_ms: int) -> None:
        self.ring = ring
        self.task = task
        self.idle_ns = (idle_ms or DEFAULT_IDLE_MS) * 1_000_000
        self.room = WaitQueue()
        self.timer: Timer | None = None
        self.queued = False
        self.awake_until = 0
        if not ring.disabled:
            self.wake()

    @property
    def dead(self) -> bool:
        """The thread has ended, with the process that it belonged to."""
        return self.task.zombie

    def wake(self) -> None:
        """IORING_ENTER_SQ_WAKEUP, or the beginning."""
        self.ring.set_sq_flag(IORING_SQ_NEED_WAKEUP, False)
        self.awake_until = self.ring.kernel.clock.monotonic_ns() + self.idle_ns
        self.look()
        self._arm()

    def look(self) -> None:
        """Have entries submitted, if there are any (__io_sq_thread)."""
        if not self.queued and self.ring.pending() and not self.dead and not self.ring.disabled:
            self.queued = True
            self.ring.add_work(self.task, self._submit)

    def _submit(self) -> IoRing | None:
        self.queued = False
        ring = self.ring
        if ring.cancelling or self.dead:
            return None
        if ring.pending():
            try:
                submit(ring, self.task, ring.pending())
            except OSError:  # too many in flight: they stay where they are
                return ring
            self.awake_until = ring.kernel.clock.monotonic_ns() + self.idle_ns
            self.room.wake()
        return ring

    def _arm(self) -> None:
        if self.timer is None:
            kernel = self.ring.kernel
            self.timer = kernel.timers.add(kernel.clock.monotonic_ns() + PERIOD_NS, self._tick)

    def _tick(self) -> None:
        self.timer = None
        ring = self.ring
        if self.dead:
            return
        self.look()
        if not self.queued and ring.kernel.clock.monotonic_ns() >= self.awake_until:
            ring.set_sq_flag(IORING_SQ_NEED_WAKEUP, True)
            return
        self._arm()

    def stop(self) -> None:
        """The ring goes away."""
        if self.timer is not None:
            self.ring.kernel.timers.cancel(self.timer)
            self.timer = None

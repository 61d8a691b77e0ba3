"""Timers: Linux's hrtimers.

One heap of deadlines on CLOCK_MONOTONIC.  The scheduler sleeps no longer than `Timers.next`, guest
code is interrupted at it, and the kernel loop calls `Timers.expire`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

NEVER = 1 << 64  # later than any deadline


class Timer:
    """struct hrtimer: `action` is due at `deadline`, nanoseconds of CLOCK_MONOTONIC."""

    __slots__ = ("action", "deadline")

    def __init__(self, deadline: int, action: Callable[[], None]) -> None:
        self.deadline = deadline
        self.action: Callable[[], None] | None = action

    def __lt__(self, other: Timer) -> bool:
        return self.deadline < other.deadline


class Timers:
    """The heap.  A cancelled timer stays in it, without an action, until its time comes or until most of
    the heap is like it."""

    __slots__ = ("_cancelled", "_heap", "armed")

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._cancelled = 0  # at most so many of them, since the heap was last swept
        # Told the next deadline whenever it changes, so that guest code is interrupted in time.
        self.armed: Callable[[int | None], None] | None = None

    def add(self, deadline: int, action: Callable[[], None]) -> Timer:
        timer = Timer(deadline, action)
        heapq.heappush(self._heap, timer)
        if self.armed is not None and self._heap[0] is timer:
            self.armed(deadline)
        return timer

    def cancel(self, timer: Timer) -> None:
        if timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        if self._cancelled > 64 and 2 * self._cancelled > len(self._heap):
            self._heap = [timer for timer in self._heap if timer.action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next(self) -> int | None:
        """The earliest deadline, or None."""
        heap = self._heap
        while heap and heap[0].action is None:
            heapq.heappop(heap)
        return heap[0].deadline if heap else None

    def expire(self, now: int) -> bool:
        """Run what is due; True if anything was."""
        ran = False
        while (heap := self._heap) and (heap[0].deadline <= now or heap[0].action is None):
            timer = heapq.heappop(heap)
            action, timer.action = timer.action, None
            if action is not None:
                ran = True
                action()
        if self.armed is not None:
            self.armed(self.next())
        return ran

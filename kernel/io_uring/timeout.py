"""Time-outs: Linux's ``struct io_timeout_data``, on their own and of a request they are linked to."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.clock import CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME
from kernel.io_uring.cancel import COUNTED
from kernel.io_uring.ring import WORD
from kernel.io_uring.uapi import IORING_CQE_F_MORE

if TYPE_CHECKING:
    from kernel.io_uring.request import Request
    from kernel.io_uring.ring import IoRing
    from kernel.kernel import Kernel
    from kernel.timers import Timer

(
    IORING_TIMEOUT_ABS, IORING_TIMEOUT_UPDATE, IORING_TIMEOUT_BOOTTIME, IORING_TIMEOUT_REALTIME,
    IORING_LINK_TIMEOUT_UPDATE, IORING_TIMEOUT_ETIME_SUCCESS, IORING_TIMEOUT_MULTISHOT,
) = (1 << bit for bit in range(7))  # fmt: skip
CLOCK_MASK = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME


def clock_of(flags: int) -> int:
    """io_timeout_get_clock."""
    if flags & IORING_TIMEOUT_BOOTTIME:
        return CLOCK_BOOTTIME
    return CLOCK_REALTIME if flags & IORING_TIMEOUT_REALTIME else CLOCK_MONOTONIC


def now(kernel: Kernel, clock: int) -> int:
    if clock == CLOCK_REALTIME:
        return kernel.clock.realtime_ns()
    return kernel.clock.boottime_ns() if clock == CLOCK_BOOTTIME else kernel.clock.monotonic_ns()


class Timeout:
    """What a request with a time has besides.  `ns` is a duration, or a point of the clock with
    IORING_TIMEOUT_ABS; `count` is the number of completions that end it early, 0: none do; `target` is the
    request it is linked to."""

    __slots__ = ("armed", "count", "expiry", "flags", "ns", "repeats", "target", "timer")

    def __init__(self, flags: int, ns: int, count: int = 0, repeats: int = 0) -> None:
        self.flags = flags
        self.ns = ns
        self.count = count
        self.repeats = repeats  # of IORING_TIMEOUT_MULTISHOT: how often it is to expire, 0: for ever
        self.expiry = 0
        self.timer: Timer | None = None
        self.armed = False
        self.target: Request | None = None

    def start(self, request: Request) -> None:
        clock = clock_of(self.flags)
        self.armed = True
        self.expiry = self.ns if self.flags & IORING_TIMEOUT_ABS else now(request.ring.kernel, clock) + self.ns
        self._arm(request)

    def _arm(self, request: Request) -> None:
        kernel = request.ring.kernel
        left = self.expiry - now(kernel, clock_of(self.flags))
        self.timer = kernel.timers.add(kernel.clock.monotonic_ns() + max(0, left), lambda: self._due(request))

    def _due(self, request: Request) -> None:
        self.timer = None
        if now(request.ring.kernel, clock_of(self.flags)) < self.expiry:
            self._arm(request)  # its clock was set back meanwhile
            return
        self.armed = False
        request.ring.add_work(request.task, lambda: self._expire(request))

    def _expire(self, request: Request) -> IoRing | None:
        """io_timeout_fn and io_link_timeout_fn, and the work they leave."""
        if request.done or self.armed:
            return None
        ring = request.ring
        target = self.target
        if target is not None:
            self.target = None
            if target.linked_timeout is request:
                target.linked_timeout = None
                target.unlink()  # what follows us is what follows it now
                request.link = None
            counted = not target.done and target.opcode in COUNTED
            if not target.done:
                target.cancel()
            request.complete(1 if counted else -errno.ETIME)
            return ring
        goes_on = self.flags & IORING_TIMEOUT_MULTISHOT and self.repeats != 1
        if goes_on and ring.post_more(request.user_data, -errno.ETIME, IORING_CQE_F_MORE):
            self.repeats = max(0, self.repeats - 1)
            ring.cq_timeouts += 1
            self.armed = True
            self.expiry += self.ns
            self._arm(request)
            return ring
        self._finish(request, -errno.ETIME)
        return ring

    def _finish(self, request: Request, result: int) -> None:
        ring = request.ring
        self.stop(request)
        ring.cq_timeouts += 1
        request.lenient = result == -errno.ETIME and bool(self.flags & IORING_TIMEOUT_ETIME_SUCCESS)
        request.complete(result)

    def stop(self, request: Request) -> None:
        """The time does not matter any more."""
        self.armed = False
        if self.timer is not None:
            request.ring.kernel.timers.cancel(self.timer)
            self.timer = None
        if self.count:
            ring = request.ring
            ring.sequenced = [entry for entry in ring.sequenced if entry[1] is not request]

    def cancel(self, request: Request, result: int) -> None:
        """io_kill_timeout."""
        if self.target is not None:
            target, self.target = self.target, None
            if target.linked_timeout is request:
                target.linked_timeout = None
                target.unlink()
            self.stop(request)
            request.complete(result)
            return
        self._finish(request, result)


def start_linked(request: Request) -> None:
    """io_queue_linked_timeout: `request` is under way, and the time-out linked to it begins."""
    timeout = request.link
    assert timeout is not None
    request.linked_timeout = timeout
    timeout.timeout.target = request
    timeout.ring.enlist(timeout)
    timeout.task.io_uring.requests[timeout] = None  # type: ignore[union-attr]
    timeout.timeout.start(timeout)


def flush_timeouts(ring: IoRing) -> None:
    """io_flush_timeouts: completions were posted that some wait for."""
    seq = ring.cq_tail - ring.cq_timeouts & WORD
    due = [request for target, request in ring.sequenced if not target - seq & WORD or target - seq & 1 << 31]
    for request in due:
        request.timeout.cancel(request, 0)

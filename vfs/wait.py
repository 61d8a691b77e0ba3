"""Wait queues: how a file tells the scheduler that a blocked call may go on.

Linux: ``wait_queue_head_t`` and ``poll_wait``.  A queue is either fed by the kernel's own objects
(`wake`) or stands for a descriptor of the host (`HostQueue`), which the scheduler's selector
watches.  Waiters are re-armed on every wait; a woken waiter always looks again, so a spurious wake
costs time, never correctness.
"""

from __future__ import annotations

from collections.abc import Callable

# poll(2) events, Linux's numbers on every architecture we emulate.
POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLRDHUP = 0x40, 0x80, 0x100, 0x200, 0x2000


class WaitQueue:
    """Callbacks to run when the state of an object changes."""

    __slots__ = ("waiters",)

    def __init__(self) -> None:
        self.waiters: list[Callable[[], None]] = []

    def add(self, waiter: Callable[[], None]) -> None:
        self.waiters.append(waiter)

    def remove(self, waiter: Callable[[], None]) -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)

    def wake(self) -> None:
        """Run every waiter; each removes itself when its task resumes."""
        for waiter in tuple(self.waiters):
            waiter()


class HostQueue(WaitQueue):
    """Readiness of a host descriptor: `fd` becomes ready for `events` (POLLIN, POLLOUT, ...)."""

    __slots__ = ("events", "fd")

    def __init__(self, fd: int, events: int) -> None:
        super().__init__()
        self.fd = fd
        self.events = events

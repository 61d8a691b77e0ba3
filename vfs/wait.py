"""Wait queues: how a file tells the scheduler that a blocked call may go on.

Linux: ``wait_queue_head_t`` and ``poll_wait``.  A queue is either fed by the kernel's own objects
(`wake`) or stands for a descriptor of the host (`HostQueue`), which the scheduler's selector
watches.  A task is re-armed on every wait and always looks again, so a spurious wake costs it time,
never correctness.  An epoll item stays in the queue, and each wake is an edge to it: objects wake
their queues exactly when Linux does, with the events that Linux names.
"""

from __future__ import annotations

from collections.abc import Callable

# poll(2) events, Linux's numbers on every architecture we emulate.
POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLRDHUP = 0x40, 0x80, 0x100, 0x200, 0x2000


Waiter = Callable[[int], object]
"""Called with the events that may hold now; 0: any.  An exclusive one answers whether it took the wake."""


class WaitQueue:
    """Callbacks to run when the state of an object changes."""

    __slots__ = ("exclusive", "waiters")

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.exclusive: list[Waiter] | None = None

    def add(self, waiter: Waiter) -> None:
        self.waiters.append(waiter)

    def add_exclusive(self, waiter: Waiter) -> None:
        """WQ_FLAG_EXCLUSIVE: of these, only the first that takes it gets each wake."""
        if self.exclusive is None:
            self.exclusive = []
        self.exclusive.append(waiter)

    def remove(self, waiter: Waiter) -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)
        elif self.exclusive is not None and waiter in self.exclusive:
            self.exclusive.remove(waiter)

    def wake(self, events: int = 0) -> None:
        """Run every waiter; a task's removes itself."""
        for waiter in tuple(self.waiters):
            waiter(events)
        if self.exclusive:
            for waiter in tuple(self.exclusive):
                if waiter(events):
                    break

    def wake_one(self) -> None:
        """Run the waiter that has been here longest, if there is one."""
        if self.waiters:
            self.waiters[0](0)


class HostQueue(WaitQueue):
    """Readiness of a host descriptor: `fd` becomes ready for `events` (POLLIN, POLLOUT, ...)."""

    __slots__ = ("events", "fd")

    def __init__(self, fd: int, events: int) -> None:
        super().__init__()
        self.fd = fd
        self.events = events

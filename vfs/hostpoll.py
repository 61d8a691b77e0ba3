"""Edges of host descriptors: what an epoll instance needs for files that are streams of the host.

Where the host has an epoll of its own, that watches edge-triggered, so that waiting costs the same however
many descriptors are idle.  Elsewhere every descriptor is asked, and one that stays ready gives an edge each
time: an EPOLLET item may then be reported more often than on Linux, never less.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Sequence

from vfs.wait import POLLIN, HostQueue, Waiter, WaitQueue


class HostPoll:
    """Host descriptors, and whom to tell about events of each."""

    __slots__ = ("watched",)

    def __init__(self) -> None:
        self.watched: dict[int, list[tuple[int, Waiter]]] = {}

    def watch(self, fd: int, events: int, wake: Waiter) -> None:
        """Call `wake` with the events when there may be new ones of `events`, POLLERR or POLLHUP.  Raises
        OSError(EPERM) for what the host cannot poll."""
        self.watched.setdefault(fd, []).append((events, wake))
        try:
            self.arm(fd)
        except OSError:
            self.forget(fd, wake)
            raise

    def forget(self, fd: int, wake: Waiter) -> None:
        """Undo `watch`."""
        left = [watcher for watcher in self.watched.get(fd, ()) if watcher[1] != wake]
        if left:
            self.watched[fd] = left
        else:
            self.watched.pop(fd, None)
        self.arm(fd)

    def events(self, fd: int) -> int:
        """All that is wanted of a descriptor."""
        wanted = 0
        for events, _ in self.watched.get(fd, ()):
            wanted |= events
        return wanted

    def look(self) -> None:
        """Tell everybody about what has happened; waits for nothing."""
        for fd, ready in self.edges():
            for _, wake in tuple(self.watched.get(fd, ())):
                wake(ready)

    def arm(self, fd: int) -> None:
        """`watched[fd]` has changed."""

    def edges(self) -> Iterable[tuple[int, int]]:
        """(descriptor, events) with something new."""
        watch = select.poll()
        for fd in self.watched:
            watch.register(fd, self.events(fd))
        return watch.poll(0)

    def queues(self) -> Sequence[WaitQueue]:
        """What to wait on for an edge."""
        return [HostQueue(fd, self.events(fd)) for fd in self.watched]

    def close(self) -> None:
        """Nobody asks any more."""


class EpollHostPoll(HostPoll):
    """On a Linux host."""

    __slots__ = ("known", "poll", "queue")

    def __init__(self) -> None:
        super().__init__()
        self.poll = select.epoll()
        self.queue = HostQueue(self.poll.fileno(), POLLIN)
        self.known: set[int] = set()

    def arm(self, fd: int) -> None:
        if fd not in self.watched:
            if fd in self.known:
                self.known.remove(fd)
                try:
                    self.poll.unregister(fd)
                except OSError:
                    pass  # closed, which took it out
        elif fd in self.known:
            self.poll.modify(fd, self.events(fd) | select.EPOLLET)
        else:
            self.poll.register(fd, self.events(fd) | select.EPOLLET)
            self.known.add(fd)

    def edges(self) -> Iterable[tuple[int, int]]:
        return self.poll.poll(0) if self.watched else ()

    def queues(self) -> Sequence[WaitQueue]:
        return (self.queue,)

    def close(self) -> None:
        self.poll.close()


def host_poll() -> HostPoll:
    """The best this host has."""
    portable = os.environ.get("LXRUN_HOST") == "portable"
    return EpollHostPoll() if hasattr(select, "epoll") and not portable else HostPoll()

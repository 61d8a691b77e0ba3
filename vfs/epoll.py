"""Event polls: Linux's ``struct eventpoll`` and ``struct epitem``, epoll(7).

An item puts one callback into the wait queues of its file when it is added, and stays there.  A wake puts
the item into the ready list, which is all that epoll_wait(2) looks at: idle descriptors cost nothing.
Every item in the list is asked once more what holds before it is reported.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Sequence

from vfs.anon import ANON_INO, ANON_INODE_FS_MAGIC, ANON_INODEFS_DEV, AnonNode
from vfs.file import O_RDWR, File
from vfs.hostpoll import HostPoll, host_poll
from vfs.node import Stat
from vfs.wait import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, HostQueue, Waiter, WaitQueue

EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET = 1 << 28, 1 << 29, 1 << 30, 1 << 31
PRIVATE = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET  # not events, but how to report them
EXCLUSIVE_OK = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE
MAX_NESTS = 4

Put = Callable[[int, int, int], None]
"""Stores an event: its place in the answer, the events, the item's data."""


class EpollUser:
    """How many items the instances of one user have, and may have (user_struct.epoll_watches)."""

    __slots__ = ("limit", "watches")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.watches = 0


class EpItem:
    """struct epitem: the interest of one instance in a file, under one descriptor."""

    __slots__ = ("data", "ep", "events", "fd", "file", "linked", "queues")

    def __init__(self, ep: EventPoll, file: File, fd: int, events: int, data: int) -> None:
        self.ep = ep
        self.file = file
        self.fd = fd
        self.events = events
        self.data = data
        self.linked = False  # in the ready list
        self.queues: Sequence[WaitQueue] = ()  # those of the file that it is in

    def attach(self) -> None:
        """Get into the file's wait queues.  Raises OSError(EPERM) if the host cannot poll it."""
        queues = self.file.queues(self.events)
        for queue in queues:
            if isinstance(queue, HostQueue):
                self.ep.watch_host(queue, self.wake)
            elif self.events & EPOLLEXCLUSIVE:
                queue.add_exclusive(self.wake)
            else:
                queue.add(self.wake)
        self.queues = queues

    def detach(self) -> None:
        for queue in self.queues:
            if isinstance(queue, HostQueue):
                self.ep.forget_host(queue, self.wake)
            else:
                queue.remove(self.wake)
        self.queues = ()

    def holds(self) -> int:
        """What of the wanted events holds now."""
        return self.file.poll() & self.events

    def wake(self, events: int) -> bool:
        """ep_poll_callback: something happened to the file.  Whether an exclusive wake was put to use."""
        wanted = self.events
        if not wanted & ~PRIVATE or (events and not events & wanted):
            return False
        used = bool(self.ep.waiting.waiters)
        self.ep.link(self)
        return used

    def remove(self) -> None:
        """ep_remove."""
        ep = self.ep
        self.detach()
        items = self.file.epitems
        assert items is not None
        items.remove(self)
        del ep.items[self.file, self.fd]
        ep.user.watches -= 1
        if self.linked:
            ep.ready.remove(self)


class EventPoll(File):
    """One instance.  `items` are its interests, `ready` those that may have something to report; `waiting`
    holds the callers of epoll_wait(2), each of which is woken alone, `pollers` those who poll the instance
    itself."""

    __slots__ = ("hosts", "items", "pollers", "ready", "user", "waiting")

    pollable = True

    def __init__(self, user: EpollUser) -> None:
        node = AnonNode(Stat(0o600, ANON_INO, ANON_INODEFS_DEV), ANON_INODE_FS_MAGIC)
        super().__init__(node, O_RDWR, b"anon_inode:[eventpoll]")
        self.user = user
        self.items: dict[tuple[File, int], EpItem] = {}
        self.ready: deque[EpItem] = deque()
        self.waiting = WaitQueue()
        self.pollers = WaitQueue()
        self.hosts: HostPoll | None = None

    # Interests

    def add(self, file: File, fd: int, events: int, data: int) -> None:
        """EPOLL_CTL_ADD.  Raises OSError EEXIST, ELOOP (a cycle, or nested too deep), EINVAL, ENOSPC."""
        nested = isinstance(file, EventPoll)
        if events & EPOLLEXCLUSIVE and (nested or events & ~EXCLUSIVE_OK):
            raise OSError(errno.EINVAL, "cannot be exclusive")
        if isinstance(file, EventPoll) and file.depth(self) + 1 + self.height() > MAX_NESTS:
            raise OSError(errno.ELOOP, "nested too deep")
        if (file, fd) in self.items:
            raise OSError(errno.EEXIST, "there already")
        if self.user.watches >= self.user.limit:
            raise OSError(errno.ENOSPC, "max_user_watches")
        item = EpItem(self, file, fd, events | POLLERR | POLLHUP, data)
        item.attach()
        self.user.watches += 1
        self.items[file, fd] = item
        if file.epitems is None:
            file.epitems = []
        file.epitems.append(item)
        if item.holds():
            self.link(item)

    def modify(self, file: File, fd: int, events: int, data: int) -> None:
        """EPOLL_CTL_MOD.  Raises OSError ENOENT, EINVAL."""
        if events & EPOLLEXCLUSIVE:
            raise OSError(errno.EINVAL, "only when it is added")
        item = self.find(file, fd)
        if item.events & EPOLLEXCLUSIVE:
            raise OSError(errno.EINVAL, "exclusive ones cannot be changed")
        item.detach()
        item.events = events | POLLERR | POLLHUP
        item.data = data
        item.attach()
        if item.holds() and not item.linked:
            self.link(item)

    def find(self, file: File, fd: int) -> EpItem:
        """Raises OSError(ENOENT)."""
        try:
            return self.items[file, fd]
        except KeyError:
            raise OSError(errno.ENOENT, "not there") from None

    def depth(self, top: EventPoll) -> int:
        """How deep instances are nested in this one; too deep if `top`, which is to hold this one, is among
        them (ep_loop_check_proc)."""
        deepest = 0
        for item in self.items.values():
            if isinstance(item.file, EventPoll):
                deepest = max(deepest, MAX_NESTS + 1 if item.file is top else item.file.depth(top) + 1)
        return deepest if self is not top else MAX_NESTS + 1

    def height(self) -> int:
        """How many instances are nested above this one (ep_get_upwards_depth_proc)."""
        return max((item.ep.height() + 1 for item in self.epitems or ()), default=0)

    # Streams of the host.  What an instance waits on changes with them, and so does what those that hold
    # the instance wait on.

    def watch_host(self, queue: HostQueue, wake: Waiter) -> None:
        above = tuple(self.epitems or ())
        for item in above:
            item.detach()
        if self.hosts is None:
            self.hosts = host_poll()
        try:
            self.hosts.watch(queue.fd, queue.events, wake)
        finally:
            for item in above:
                item.attach()

    def forget_host(self, queue: HostQueue, wake: Waiter) -> None:
        assert self.hosts is not None
        above = tuple(self.epitems or ())
        for item in above:
            item.detach()
        self.hosts.forget(queue.fd, wake)
        for item in above:
            item.attach()

    # Reporting

    def link(self, item: EpItem) -> None:
        """Put an item into the ready list, and wake whoever waits for that."""
        if not item.linked:
            item.linked = True
            self.ready.append(item)
        self.waiting.wake_one()
        if self.pollers.waiters:
            self.pollers.wake(POLLIN)

    def look(self) -> bool:
        """Whether the ready list has anything in it, the host's streams included."""
        if self.hosts is not None:
            self.hosts.look()
        return bool(self.ready)

    def send_events(self, maximum: int, put: Put) -> int:
        """Report what holds, at most `maximum` events; how many there were.  Items that are not edge-triggered
        go to the end of the list, so that in the end everybody gets a turn.  Raises what the first `put` raises."""
        ready = self.ready
        sent = 0
        for _ in range(len(ready)):
            if sent == maximum:
                break
            item = ready.popleft()
            item.linked = False
            events = item.holds()
            if not events:
                continue
            try:
                put(sent, events, item.data)
            except OSError:
                ready.appendleft(item)
                item.linked = True
                if not sent:
                    raise
                break
            sent += 1
            if item.events & EPOLLONESHOT:
                item.events &= PRIVATE
            elif not item.events & EPOLLET and not item.linked:
                ready.append(item)
                item.linked = True
        if ready:
            self.waiting.wake_one()
        return sent

    def wait_queues(self) -> Sequence[WaitQueue]:
        """What epoll_wait(2) sleeps on."""
        return (self.waiting,) if self.hosts is None else (self.waiting, *self.hosts.queues())

    # As a file

    def poll(self) -> int:
        self.look()
        ready = self.ready
        while ready:
            if ready[0].holds():
                return POLLIN | POLLRDNORM
            ready.popleft().linked = False
        return 0

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.pollers,) if self.hosts is None else (self.pollers, *self.hosts.queues())

    def seek(self, offset: int, whence: int) -> int:
        return 0  # noop_llseek: no error, no effect

    def fdinfo(self) -> bytes:
        lines = []
        for item in sorted(self.items.values(), key=lambda item: item.fd):
            node = item.file.stat()
            lines.append(
                b"tfd: %8d events: %8x data: %16x  pos:%d ino:%x sdev:%x\n"
                % (item.fd, item.events, item.data, 0, node.st_ino, os.major(node.st_dev) << 20 | os.minor(node.st_dev))
            )
        return b"".join(lines)

    def release(self) -> None:
        for item in tuple(self.items.values()):
            item.remove()
        if self.hosts is not None:
            self.hosts.close()

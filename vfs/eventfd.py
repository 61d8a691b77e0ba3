"""Event counters: Linux's ``struct eventfd_ctx``, eventfd(2)."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vfs.anon import ANON_INO, ANON_INODE_FS_MAGIC, ANON_INODEFS_DEV, AnonNode
from vfs.file import O_NONBLOCK, O_RDWR, File
from vfs.node import Stat
from vfs.pages import ShortSpans
from vfs.wait import POLLERR, POLLIN, POLLOUT, WaitQueue

if TYPE_CHECKING:
    from vfs.pages import Spans

EFD_SEMAPHORE = 1
COUNT_MAX = (1 << 64) - 1
_ids = itertools.count()


class EventFd(File):
    """A counter of 64 bits; its maximum is one less than what fits."""

    __slots__ = ("changed", "count", "id", "semaphore")

    pollable = True

    def __init__(self, count: int, flags: int) -> None:
        node = AnonNode(Stat(0o600, ANON_INO, ANON_INODEFS_DEV), ANON_INODE_FS_MAGIC)
        super().__init__(node, O_RDWR | flags & O_NONBLOCK, b"anon_inode:[eventfd]")
        self.count = count
        self.semaphore = flags & EFD_SEMAPHORE != 0
        self.changed = WaitQueue()
        self.id = next(_ids)

    def read(self, spans: Spans) -> int:
        """The counter, which goes back to 0 (EFD_SEMAPHORE: 1, and it goes down by one)."""
        fits = sum(map(len, spans)) >= 8
        error = None if fits else too_small(spans)
        if error is not None and error.errno == errno.EINVAL:
            raise error
        if not self.count:
            raise BlockingIOError(errno.EAGAIN, "counter is 0")
        value = 1 if self.semaphore else self.count
        self.count -= value
        if error is not None:
            raise error  # Linux has counted down before it looks at the buffer
        put(spans, value.to_bytes(8, "little"))
        self.changed.wake(POLLOUT)
        return 8

    def write(self, spans: Spans) -> int:
        data = b"".join(span[:9] for span in spans[:9])
        if type(spans) is ShortSpans and spans.size != 8:
            raise OSError(errno.EINVAL, "not a counter")
        if len(data) != 8:
            raise too_small(spans)
        value = int.from_bytes(data, "little")
        if value == COUNT_MAX:
            raise OSError(errno.EINVAL, "value too large")
        if value >= COUNT_MAX - self.count:
            raise BlockingIOError(errno.EAGAIN, "counter would overflow")
        self.count += value
        self.changed.wake(POLLIN)
        return 8

    def signal(self, count: int) -> None:
        """eventfd_signal: the kernel adds to the counter, which stops at its maximum."""
        self.count = min(self.count + count, COUNT_MAX)
        self.changed.wake(POLLIN)

    def seek(self, offset: int, whence: int) -> int:
        return 0  # noop_llseek: no error, no effect

    def fdinfo(self) -> bytes:
        return b"eventfd-count: %16x\neventfd-id: %d\neventfd-semaphore: %d\n" % (self.count, self.id, self.semaphore)

    def poll(self) -> int:
        events = 0
        if self.count:
            events |= POLLIN
        if self.count < COUNT_MAX - 1:
            events |= POLLOUT
        if self.count == COUNT_MAX:
            events |= POLLERR
        return events

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.changed,)


def too_small(spans: Spans) -> OSError:
    """EINVAL for a buffer that is not eight bytes long, EFAULT for one that is but cannot be accessed."""
    if type(spans) is ShortSpans and spans.size >= 8:
        return OSError(errno.EFAULT, "bad buffer")
    return OSError(errno.EINVAL, "not eight bytes")


def put(spans: Spans, data: bytes) -> None:
    """Store `data` at the start of `spans`, which are large enough."""
    at = 0
    for span in spans:
        part = data[at : at + len(span)]
        span[: len(part)] = part
        at += len(part)
        if at == len(data):
            return

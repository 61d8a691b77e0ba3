"""Sockets of the family AF_UNIX: Linux's ``struct unix_sock``, unix(7).

Only pairs so far, which are connected from birth; a name, a listening socket and ancillary data would be
members of `UnixSocket` and `Message`.  A socket's send buffer is charged as Linux charges it, for whole
blocks of memory, so that a socket is full when Linux's would be.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Sequence
from stat import S_IFSOCK
from typing import TYPE_CHECKING, Any

from vfs.anon import AnonNode, next_ino
from vfs.file import O_NONBLOCK, O_RDWR, File
from vfs.node import Stat
from vfs.pages import ShortSpans
from vfs.pseudofs import fill
from vfs.wait import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDHUP,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    WaitQueue,
)

if TYPE_CHECKING:
    from vfs.pages import Spans

SOCKFS_DEV, SOCKFS_MAGIC = 9, 0x534F434B
SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET = 1, 2, 5
RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK = 1, 2, 3
SIOCINQ, SIOCOUTQ = 0x541B, 0x5411
WMEM_DEFAULT = 212992  # /proc/sys/net/core/wmem_default

PAGE = 4096
SKB_OVERHEAD, SHARED_INFO = 256, 320  # struct sk_buff, struct skb_shared_info
MAX_HEAD, MAX_ALLOC = PAGE - SHARED_INFO, 4 * PAGE - SHARED_INFO  # bytes of data in one, or four, pages with that
MAX_FRAGS = 17 * PAGE
STREAM_CHUNK = MAX_HEAD + 8 * PAGE

IN_EVENTS = POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND
OUT_EVENTS = POLLOUT | POLLWRNORM | POLLWRBAND


def truesize(size: int, paged: int) -> int:
    """What a message costs its sender: its first part, `size` less `paged` bytes, in a block of a power of two, the
    rest in pages."""
    block = -(-(size - paged) // 64) * 64 + SHARED_INFO
    return SKB_OVERHEAD + max(512, 1 << (block - 1).bit_length()) + -(-paged // PAGE) * PAGE


def stream_cost(size: int) -> int:
    paged = -(-max(0, size - MAX_HEAD) // PAGE) * PAGE
    return truesize(size, min(size, paged))


def message_cost(size: int) -> int:
    paged = min(max(0, size - MAX_ALLOC), MAX_FRAGS)
    return truesize(size, -(-paged // PAGE) * PAGE)


class Refused(OSError):
    """EPIPE of a socket that sends messages: no BrokenPipeError, for it comes without SIGPIPE."""


class Message:
    """struct sk_buff: what one send put into the receiver's queue, and what it costs the sender."""

    __slots__ = ("cost", "data", "sender")

    def __init__(self, data: bytes, cost: int, sender: UnixSocket) -> None:
        self.data = data
        self.cost = cost
        self.sender = sender


class UnixSocket(File):
    """One end.  `start` is how much of the first message a stream's reader has taken; `used` is what the
    messages that nobody has taken yet cost this end as their sender (sk_wmem_alloc)."""

    __slots__ = ("changed", "dead", "error", "peer", "queue", "shut", "sndbuf", "start", "type", "used")

    completes = True
    pollable = True

    def __init__(self, type: int, flags: int, uid: int, gid: int) -> None:
        node = AnonNode(Stat(S_IFSOCK | 0o777, next_ino(), SOCKFS_DEV, 1, uid, gid), SOCKFS_MAGIC)
        super().__init__(node, O_RDWR | flags & O_NONBLOCK, b"socket:[%d]" % node.info.st_ino)
        self.type = type
        self.peer: UnixSocket | None = None
        self.queue: deque[Message] = deque()
        self.start = 0
        self.used = 0
        self.sndbuf = WMEM_DEFAULT
        self.shut = 0
        self.error = 0  # sk_err
        self.dead = False
        self.changed = WaitQueue()

    # Sending

    def send(self, spans: Spans) -> int:
        """How many bytes were taken.  Raises BlockingIOError without room, OSError EPIPE (no SIGPIPE is sent
        here), ENOTCONN, ECONNREFUSED, EMSGSIZE, EFAULT."""
        self.take_error()
        peer = self.peer
        if peer is None:
            raise OSError(errno.ENOTCONN, "nobody at the other end")
        return self.send_stream(spans, peer) if self.type == SOCK_STREAM else self.send_message(spans, peer)

    def send_stream(self, spans: Spans, peer: UnixSocket) -> int:
        if self.shut & SEND_SHUTDOWN or peer.dead or peer.shut & RCV_SHUTDOWN:
            raise BrokenPipeError(errno.EPIPE, "nobody reads")
        size = sum(map(len, spans))
        if not size and type(spans) is ShortSpans:
            raise OSError(errno.EFAULT, "bad buffer")
        if size and self.used >= self.sndbuf:
            raise BlockingIOError(errno.EAGAIN, "no room")
        data = b"".join(spans)
        chunk = min((self.sndbuf >> 1) - 64, STREAM_CHUNK)
        done = 0
        while done < size and self.used < self.sndbuf:
            part = data[done : done + chunk]
            self.give(peer, part, stream_cost(len(part)))
            done += len(part)
        return done

    def send_message(self, spans: Spans, peer: UnixSocket) -> int:
        size = spans.size if type(spans) is ShortSpans else sum(map(len, spans))
        if size > self.sndbuf - 32:
            raise OSError(errno.EMSGSIZE, "message too long")
        if self.shut & SEND_SHUTDOWN:
            raise Refused(errno.EPIPE, "shut down")
        if self.used >= self.sndbuf:
            raise BlockingIOError(errno.EAGAIN, "no room")
        if type(spans) is ShortSpans:
            raise OSError(errno.EFAULT, "bad buffer")
        if peer.dead:
            if self.type == SOCK_SEQPACKET:
                raise Refused(errno.EPIPE, "nobody reads")
            self.peer = None
            raise OSError(errno.ECONNREFUSED, "the other end is closed")
        if peer.shut & RCV_SHUTDOWN:
            raise Refused(errno.EPIPE, "nobody reads")
        self.give(peer, b"".join(spans), message_cost(size))
        return size

    def give(self, peer: UnixSocket, data: bytes, cost: int) -> None:
        self.used += cost
        peer.queue.append(Message(data, cost, self))
        peer.changed.wake(IN_EVENTS)

    # Receiving

    def receive(self, spans: Spans, *, wait: bool, peek: bool = False) -> tuple[int, int]:
        """(Bytes stored, bytes that there were).  Raises BlockingIOError if there is nothing, OSError
        ECONNRESET, EFAULT."""
        if not self.queue:
            self.take_error()
            # A datagram socket that was shut down has an end for those who would wait only
            if self.shut & RCV_SHUTDOWN and (wait or self.type != SOCK_DGRAM):
                return 0, 0
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        if self.type == SOCK_STREAM:
            return self.receive_stream(spans, peek)
        message = self.queue[0]
        if not peek:
            self.drop_first()
        stored = fill(spans, message.data)
        return stored, len(message.data)

    def receive_stream(self, spans: Spans, peek: bool) -> tuple[int, int]:
        room = sum(map(len, spans))
        if not room and type(spans) is ShortSpans:
            raise OSError(errno.EFAULT, "bad buffer")
        parts: list[bytes] = []
        left, start = room, self.start
        for message in tuple(self.queue):
            if not left:
                break
            part = message.data[start : start + left]
            parts.append(part)
            left -= len(part)
            start += len(part)
            if start < len(message.data):
                break
            start = 0
            if not peek:
                self.drop_first()
        if not peek:
            self.start = start
        fill(spans, b"".join(parts))
        return room - left, room - left

    def drop_first(self) -> None:
        """The first message has been read: its sender has more room (sock_wfree)."""
        message = self.queue.popleft()
        sender = message.sender
        sender.used -= message.cost
        if sender.writable():
            sender.changed.wake(OUT_EVENTS)

    def waiting(self) -> int:
        """unix_inq_len: bytes that can be read, of a datagram socket's first message only."""
        if self.type != SOCK_DGRAM:
            return sum(len(message.data) for message in self.queue) - self.start
        return len(self.queue[0].data) if self.queue else 0

    def take_error(self) -> None:
        """sock_error: an error is told once."""
        if self.error:
            number, self.error = self.error, 0
            raise OSError(number, "socket error")

    # Ending

    def shutdown(self, how: int) -> None:
        """shutdown(2), `how` as RCV_SHUTDOWN and SEND_SHUTDOWN."""
        self.shut |= how
        peer = self.peer
        if peer is not None and self.type != SOCK_DGRAM:
            peer.shut |= how >> 1 | (how & 1) << 1
            peer.changed.wake()
        self.changed.wake()

    def release(self) -> None:
        self.dead = True
        peer = self.peer
        self.peer = None
        if peer is not None and self.type != SOCK_DGRAM:
            peer.shut = SHUTDOWN_MASK
            if self.queue:
                peer.error = errno.ECONNRESET
            peer.changed.wake()
        while self.queue:
            self.drop_first()

    # As a file

    def writable(self) -> bool:
        """unix_writable."""
        return self.used << 2 <= self.sndbuf

    def read(self, spans: Spans) -> int:
        if not spans and type(spans) is not ShortSpans:
            return 0
        return self.receive(spans, wait=not self.flags & O_NONBLOCK)[0]

    def write(self, spans: Spans) -> int:
        return self.send(spans)

    def poll(self) -> int:
        events = 0
        if self.error:
            events |= POLLERR
        if self.shut == SHUTDOWN_MASK:
            events |= POLLHUP
        if self.shut & RCV_SHUTDOWN:
            events |= POLLRDHUP | POLLIN | POLLRDNORM
        if self.queue:
            events |= POLLIN | POLLRDNORM
        if self.writable():
            events |= OUT_EVENTS
        return events

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.changed,)

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        if request not in (SIOCINQ, SIOCOUTQ):
            raise OSError(errno.ENOTTY, "no such request")
        task.mm.put_u32(arg, self.waiting() if request == SIOCINQ else self.used)
        return 0


def make_pair(type: int, flags: int, uid: int, gid: int) -> tuple[UnixSocket, UnixSocket]:
    """socketpair(2)."""
    first, second = UnixSocket(type, flags, uid, gid), UnixSocket(type, flags, uid, gid)
    first.peer, second.peer = second, first
    return first, second

"""AF_UNIX datagrams, and sequenced packets, which are datagrams over a connection."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from vfs.sock import (
    CLOSE,
    ESTABLISHED,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    RCV_SHUTDOWN,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    Cursor,
    Receiving,
    Sending,
)
from vfs.unix_sock import WRITABLE, Relay, Skb, UnixConnected, UnixSock, dgram_size
from vfs.wait import POLLOUT

if TYPE_CHECKING:
    from vfs.pages import Spans


class UnixDgram(UnixSock):
    """SOCK_DGRAM: messages, from anybody to anybody."""

    __slots__ = ()

    type = SOCK_DGRAM

    def may_send(self, other: UnixSock) -> bool:
        """unix_may_send: a socket that is connected takes messages only from its peer."""
        return other.peer is None or other.peer is self

    def connect_to(self, other: UnixSock | None) -> None:
        """connect(2): send to `other` from now on; None: to nobody.  Raises OSError(EPERM)."""
        if other is not None:
            if not self.may_send(other):
                raise OSError(errno.EPERM, "connected to somebody else")
            self.state = other.state = ESTABLISHED
        old, self.peer = self.peer, other
        if old is None:
            return
        if other is None:
            self.state = CLOSE
        self._forget(old)
        if old is not other:
            self._disconnected(old)
            if old.peer is None:
                old.state = CLOSE

    def _forget(self, old: UnixSock) -> None:
        """unix_dgram_peer_wake_disconnect_wakeup."""
        if self.relay is not None:
            self.relay.cancel()
            self.writable.wake(WRITABLE)

    def _disconnected(self, old: UnixSock) -> None:
        """unix_dgram_disconnected: what the old peer sent is lost."""
        if self.queue:
            self.net.inflight.drop(self.drain())
            self.peer_wait.wake()
            if not old.dead and old.peer is self:
                old.error = errno.ECONNRESET
                old.state_change()

    def write(self, spans: Spans) -> int:
        buffer = Cursor(spans)
        size = buffer.size
        if not self.send(Sending(), buffer):
            raise BlockingIOError(errno.EAGAIN, "no room")
        return size

    def send(self, message: Sending, buffer: Cursor) -> bool:
        """A message goes whole or not at all."""
        if message.flags & MSG_OOB:
            raise OSError(errno.EOPNOTSUPP, "no urgent data")
        if self.passcred:
            self.net.autobind(self)  # so that it can be answered
        size = buffer.size
        if size > self.sndbuf - 32:
            raise OSError(errno.EMSGSIZE, "message too long")
        if not self.has_room(message):
            return False
        data = buffer.take(size)
        other: UnixSock | None = self.peer if message.find is None else message.find()
        if other is None:
            raise OSError(errno.ENOTCONN, "not connected")
        if not self.may_send(other):
            raise OSError(errno.EPERM, "connected to somebody else")
        if other.dead:
            self._to_the_dead(other)
        if other.shutdown & RCV_SHUTDOWN:
            raise BrokenPipeError(errno.EPIPE, "nobody reads")
        if other is not self and other.peer is not self and other.queue_full():
            message.room = other.peer_wait
            return False
        other.enqueue(Skb(data, dgram_size(size), self, message.creds or self.credentials(other)), message)
        message.sent = size
        return True

    def _to_the_dead(self, other: UnixSock) -> None:
        """The peer has been closed: the connection ends with an error."""
        if self.peer is other:
            self.peer = None
            self._forget(other)
            self.state = CLOSE
            self._disconnected(other)
            raise OSError(errno.ECONNREFUSED, "peer closed")
        raise OSError(errno.ECONNRESET, "closed")

    def read(self, spans: Spans) -> int:
        message = Receiving()
        buffer = Cursor(spans)
        if not buffer.size:
            return 0
        done = self.receive(message, buffer)
        self.net.inflight.drop(message.files)
        if not done:
            raise BlockingIOError(errno.EAGAIN, "nothing to read")
        return message.copied

    def receive(self, message: Receiving, buffer: Cursor) -> bool:
        flags = message.flags
        if flags & MSG_OOB:
            raise OSError(errno.EOPNOTSUPP, "no urgent data")
        self.raise_error()
        skip = self.peek_offset(flags)
        for skb in self.queue:
            if flags & MSG_PEEK and skip >= len(skb.data) and (skip or skb.peeked):
                skip -= len(skb.data)
                continue
            break
        else:
            return False
        if flags & MSG_PEEK:
            skb.peeked = True
        else:
            self.queue.remove(skb)
            message.files = self.detach(skb)
            self.peer_wait.wake(WRITABLE)
        message.source = skb.sock.name and skb.sock.sockname()
        message.creds = skb.creds
        whole = len(skb.data) - skip
        size = min(buffer.size, whole)
        if size < whole:
            message.out_flags |= MSG_TRUNC
        try:
            buffer.put(memoryview(skb.data)[skip : skip + size])
        finally:
            if not flags & MSG_PEEK:
                self.free(skb)
        if flags & MSG_PEEK:
            self.move_peek(size)
            message.files = self.peek_files(skb)
        else:
            self.move_peek(-len(skb.data))
        message.copied = whole if flags & MSG_TRUNC else size
        return True

    def end_of_file(self) -> bool:
        return self.shutdown & RCV_SHUTDOWN != 0

    def poll(self) -> int:
        events = super().poll()
        other = self.peer
        if events & POLLOUT and other is not None and other.peer is not self and other.queue_full():
            if self.relay is None:
                self.relay = Relay(self, other)
            events &= ~WRITABLE
        return events


class UnixSeqpacket(UnixDgram, UnixConnected):
    """SOCK_SEQPACKET: messages over a connection."""

    __slots__ = ()

    type = SOCK_SEQPACKET

    def send(self, message: Sending, buffer: Cursor) -> bool:
        self.raise_error()
        if self.state != ESTABLISHED:
            raise OSError(errno.ENOTCONN, "not connected")
        message.find = None
        return super().send(message, buffer)

    def _to_the_dead(self, other: UnixSock) -> None:
        raise BrokenPipeError(errno.EPIPE, "peer closed")

    def receive(self, message: Receiving, buffer: Cursor) -> bool:
        if self.state != ESTABLISHED:
            raise OSError(errno.ENOTCONN, "not connected")
        if super().receive(message, buffer):
            return True
        message.nothing = self.shutdown & RCV_SHUTDOWN != 0
        return message.nothing

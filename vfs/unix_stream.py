"""AF_UNIX streams: bytes, with one byte out of band at a time."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from vfs.file import O_NONBLOCK
from vfs.pages import ShortSpans
from vfs.sock import (
    ESTABLISHED,
    MSG_OOB,
    MSG_PEEK,
    MSG_WAITALL,
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SO_OOBINLINE,
    SOCK_STREAM,
    Cursor,
    Receiving,
    Sending,
)
from vfs.unix_sock import (
    HEAD_SIZES,
    READABLE,
    STREAM_HEAD,
    STREAM_MAX,
    WRITABLE,
    Skb,
    UnixConnected,
    UnixSock,
    stream_size,
)

if TYPE_CHECKING:
    from vfs.pages import Spans


class UnixStream(UnixConnected):
    """SOCK_STREAM: bytes, in pieces that never span two messages with files or of different senders."""

    __slots__ = ()

    type = SOCK_STREAM
    sigpipe = True

    def write(self, spans: Spans) -> int:
        other = self.peer
        if (
            len(spans) == 1
            and other is not None
            and not (self.error or self.shutdown or self.special or other.special or other.dead)
            and type(spans) is not ShortSpans
        ):
            size = len(spans[0])
            if size <= STREAM_HEAD:  # the usual case, by the shortest way
                if self.wmem >= self.sndbuf:
                    raise BlockingIOError(errno.EAGAIN, "send buffer full")
                truesize = HEAD_SIZES[size + 63 >> 6]
                self.wmem += truesize
                other.queue.append(Skb(bytes(spans[0]), truesize, self))
                other.readable.wake(READABLE)
                return size
        message = Sending()
        if not self.send(message, Cursor(spans)) and not message.sent:
            raise BlockingIOError(errno.EAGAIN, "send buffer full")
        return message.sent

    def send(self, message: Sending, buffer: Cursor) -> bool:
        """Bytes that are sent count, whatever ends the call: errors are raised only if there are none."""
        oob = 1 if message.flags & MSG_OOB else 0
        if oob and not buffer.size:
            raise OSError(errno.EOPNOTSUPP, "no byte to send out of band")
        if message.find is not None:
            raise OSError(errno.EISCONN if self.state == ESTABLISHED else errno.EOPNOTSUPP, "no other addressee")
        other = self.peer
        if other is None:
            raise OSError(errno.ENOTCONN, "not connected")
        try:
            if self.shutdown & SEND_SHUTDOWN:
                raise BrokenPipeError(errno.EPIPE, "shut down")
            while buffer.size > oob:
                size = min(buffer.size - oob, (self.sndbuf >> 1) - 64, STREAM_MAX)
                if not self.has_room(message):
                    return False
                self._push(message, other, Skb(buffer.take(size), stream_size(size), self))
            if oob:
                if not self.has_room(message):
                    return False
                skb = Skb(buffer.take(1), HEAD_SIZES[1], self)
                self._push(message, other, skb)
                other.oob, other.special = skb, True
                other.readable.wake(READABLE)
        except OSError:
            if not message.sent:
                raise
        return True

    def _push(self, message: Sending, other: UnixSock, skb: Skb) -> None:
        """One piece more.  The files go with the first."""
        if other.dead or other.shutdown & RCV_SHUTDOWN:
            raise BrokenPipeError(errno.EPIPE, "nobody reads")
        skb.creds = message.creds or self.credentials(other)
        other.enqueue(skb, message)
        message.sent += len(skb.data)

    def starved(self) -> bool:
        return not self.queue and self.state == ESTABLISHED and not (self.error or self.shutdown)

    def read(self, spans: Spans) -> int:
        queue = self.queue
        if not queue:
            if spans and self.starved():
                raise BlockingIOError(errno.EAGAIN, "nothing to read")
        elif len(queue) == 1 and len(spans) == 1 and not self.special and type(spans) is not ShortSpans:
            first, span = queue[0], spans[0]
            data = first.data
            size = len(data)
            if 0 < size <= len(span) and first.passed is None and not first.consumed:  # the usual case
                span[:size] = data
                queue.popleft()
                sock = first.sock
                sock.wmem = left = sock.wmem - first.truesize
                if left + 1 << 2 <= sock.sndbuf:
                    writable = sock.writable
                    if writable.waiters or writable.exclusive:
                        writable.wake(WRITABLE)
                return size
        buffer = Cursor(spans)
        if not buffer.size:
            return 0
        if self.lowat > 1 and self.file is not None and not self.file.flags & O_NONBLOCK:
            raise BlockingIOError(errno.EAGAIN, "may have to wait for more")
        message = Receiving()
        done = self.receive(message, buffer)
        self.net.inflight.drop(message.files)
        if not done and not message.copied:
            raise BlockingIOError(errno.EAGAIN, "nothing to read")
        return message.copied

    def receive(self, message: Receiving, buffer: Cursor) -> bool:
        if self.state != ESTABLISHED:
            raise OSError(errno.EINVAL, "not connected")
        flags = message.flags
        if flags & MSG_OOB:
            return self._receive_oob(message, buffer)
        wanted = message.copied + buffer.size
        target = max(1, wanted if flags & MSG_WAITALL else min(self.lowat, wanted))
        skip = self.peek_offset(flags)
        at = 0  # place in the queue: 0 unless messages are left in it
        while True:
            skb = self._next(at, message)
            if skb is None:
                if message.copied >= target or (message.copied and at < len(self.queue)):
                    return True
                error = self.take_error()
                if error and not message.copied:
                    raise OSError(error, "pending error")
                return bool(error or self.shutdown & RCV_SHUTDOWN)
            left = skb.left()
            if skip >= left and left:
                skip -= left
                at = self.queue.index(skb) + 1
                continue
            if message.glued:
                if skb.creds != message.creds:
                    return True
            elif self.passcred:
                message.creds = skb.creds
                message.glued = True
            if message.source is None:
                message.source = skb.sock.name and skb.sock.sockname()
            size = min(left - skip, buffer.size)
            start = skb.consumed + skip
            try:
                buffer.put(memoryview(skb.data)[start : start + size])
            except OSError:
                if not message.copied:
                    raise
                return True
            message.copied += size
            if flags & MSG_PEEK:
                message.files += self.peek_files(skb)
                self.move_peek(size)
                if message.files:
                    return True
                skip = 0
                at = self.queue.index(skb) + 1
                if at == len(self.queue):
                    return True
                continue  # as Linux, even if the buffer is full: files may come with the next message
            skb.consumed += size
            self.move_peek(-size)
            if skb.passed is not None:
                message.files += self.detach(skb)
            if skb.left():
                return True
            self.queue.remove(skb)
            self.free(skb)
            if message.files or not buffer.size:
                return True

    def _next(self, at: int, message: Receiving) -> Skb | None:
        """The message at place `at` of the queue, unless it is one that is not for this reader (manage_oob)."""
        queue = self.queue
        if at >= len(queue):
            return None
        skb: Skb | None = queue[at]
        assert skb is not None
        if skb.left() and skb is not self.oob:
            return skb
        peek = message.flags & MSG_PEEK

        def following(skb: Skb) -> Skb | None:
            place = queue.index(skb) + 1
            return queue[place] if place < len(queue) else None

        if not skb.left():  # a byte out of band that was received, and marked the place
            if message.copied and (self.oob is None or skb is self.oob):
                return None
            after = following(skb)
            if not peek:
                queue.remove(skb)
                self.free(skb)
            skb = after
        if skb is None or skb is not self.oob:
            return skb
        if message.copied:
            return None
        inline = bool(self.options.get(SO_OOBINLINE))
        if peek:
            return skb if inline else following(skb)
        self.oob = None
        if not inline:
            queue.remove(skb)
            self.net.inflight.drop(self.detach(skb))
            self.free(skb)
            return queue[0] if queue else None
        return skb

    def _receive_oob(self, message: Receiving, buffer: Cursor) -> bool:
        """unix_stream_recv_urg.  Raises OSError(EINVAL) if there is no such byte."""
        skb = self.oob
        if skb is None or self.options.get(SO_OOBINLINE):
            raise OSError(errno.EINVAL, "nothing out of band")
        peek = message.flags & MSG_PEEK
        if not peek:
            self.oob = None
            place = self.queue.index(skb)
            if place and not self.queue[place - 1].left():
                self.free(self.queue[place - 1])
                del self.queue[place - 1]
        buffer.put(memoryview(skb.data)[: min(1, buffer.size)])
        if not peek:
            skb.consumed += 1
        message.out_flags |= MSG_OOB
        message.copied = 1
        return True

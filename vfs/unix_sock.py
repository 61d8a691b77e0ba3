"""What all AF_UNIX sockets have in common: Linux's ``struct unix_sock`` and the messages in its queue."""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, Any

from vfs.sock import (
    CLOSE,
    ESTABLISHED,
    LISTEN,
    MSG_PEEK,
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SHUTDOWN_MASK,
    SOCK_DGRAM,
    SOCK_STREAM,
    Sending,
    Sock,
    SocketFile,
    SockNode,
    Ucred,
)
from vfs.wait import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDHUP,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    WaitQueue,
)

if TYPE_CHECKING:
    from vfs.file import File
    from vfs.node import Node
    from vfs.unix import UnixNet
    from vfs.unix_gc import Passed

AF_UNIX = 1
SUN_PATH_MAX = 108  # sizeof sun_path
MAX_DGRAM_QLEN = 10  # /proc/sys/net/unix/max_dgram_qlen
SIOCOUTQ, SIOCINQ, SIOCATMARK = 0x5411, 0x541B, 0x8905

READABLE = POLLIN | POLLRDNORM
WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND

# How much memory Linux takes for a message: its head is from kmalloc, in powers of two, with room for
# struct skb_shared_info; what does not fit into a head of a page (streams) or four (datagrams) is in pages.
PAGE = 4096
SHARED_INFO, SK_BUFF = 320, 256
STREAM_HEAD, DGRAM_HEAD = PAGE - SHARED_INFO, 4 * PAGE - SHARED_INFO
STREAM_MAX = STREAM_HEAD + 8 * PAGE
DGRAM_PAGES = 17 * PAGE  # MAX_SKB_FRAGS


def head_size(size: int) -> int:
    """truesize of a message whose `size` bytes are all in the head."""
    needed = (size + 63 & ~63) + SHARED_INFO
    return max(512, 1 << (needed - 1).bit_length()) + SK_BUFF


HEAD_SIZES = [head_size(size) for size in range(0, STREAM_HEAD + 1, 64)]
"""head_size by units of 64 bytes, rounded up, of what a stream puts into a head."""


def stream_size(size: int) -> int:
    """truesize of one piece of a stream."""
    if size <= STREAM_HEAD:
        return HEAD_SIZES[size + 63 >> 6]
    pages = size - STREAM_HEAD + PAGE - 1 & -PAGE
    return head_size(max(0, size - pages)) + pages


def dgram_size(size: int) -> int:
    """truesize of a datagram."""
    if size <= DGRAM_HEAD:
        return head_size(size)
    pages = min(size - DGRAM_HEAD, DGRAM_PAGES) + PAGE - 1 & -PAGE
    return head_size(size - pages) + pages


class Skb:
    """struct sk_buff: one message, or one piece of a stream."""

    __slots__ = ("consumed", "creds", "data", "passed", "peeked", "sock", "truesize")

    def __init__(self, data: bytes | bytearray, truesize: int, sock: UnixSock, creds: Ucred | None = None) -> None:
        self.data = data
        self.truesize = truesize
        self.sock = sock
        self.creds = creds
        self.consumed = 0
        self.passed: Passed | None = None
        self.peeked = False

    def left(self) -> int:
        """unix_skb_len."""
        return len(self.data) - self.consumed


class UnixSock(Sock):
    """struct unix_sock.  `name` is sun_path, the NUL that ends a path included; `listener` is where it waits
    for accept(2), `embryos` are those who wait in this one."""

    __slots__ = (
        "backlog", "embryos", "inode", "listener", "name", "net", "node", "oob", "peer", "peer_wait", "queue", "relay",
    )  # fmt: skip

    family = AF_UNIX

    def __init__(self, net: UnixNet) -> None:
        super().__init__()
        self.net = net
        self.name: bytes | None = None
        self.node: Node | None = None
        self.inode: object = None  # its identity
        self.peer: UnixSock | None = None
        self.queue: deque[Skb] = deque()
        self.backlog = MAX_DGRAM_QLEN
        self.embryos: deque[UnixSock] = deque()
        self.listener: UnixSock | None = None
        self.oob: Skb | None = None
        self.peer_wait = WaitQueue()  # who waits for room in our queue
        self.relay: Relay | None = None  # we, in the peer_wait of our peer
        net.sockets[self] = None

    def open(self, flags: int, uid: int, gid: int) -> SocketFile:
        """A file for this socket."""
        protocol = b"UNIX-STREAM" if self.type == SOCK_STREAM else b"UNIX"
        return SocketFile(self, SockNode(uid, gid, protocol), flags)

    def sockname(self) -> bytes:
        return b"\1\0" + (self.name or b"")

    def peername(self) -> bytes:
        if self.peer is None:
            raise OSError(errno.ENOTCONN, "not connected")
        return self.peer.sockname()

    def queue_full(self) -> bool:
        """unix_recvq_full."""
        return len(self.queue) > self.backlog

    # Messages

    def credentials(self, other: UnixSock) -> Ucred | None:
        """Whom a message is from, if one of the two asked for that (unix_maybe_add_creds)."""
        return self.net.who() if self.passcred or other.passcred else None

    def enqueue(self, skb: Skb, message: Sending) -> None:
        """Put a message of ours into this queue, with its files.  Raises OSError(ETOOMANYREFS)."""
        if message.files:
            assert message.user is not None
            files, message.files = message.files, []
            try:
                skb.passed = self.net.inflight.attach(files, message.user)
            except OSError:
                message.files = files
                raise
            self.net.inflight.queued(self)
        skb.sock.wmem += skb.truesize
        self.queue.append(skb)
        self.readable.wake(READABLE)

    def free(self, skb: Skb) -> None:
        """kfree_skb of a message whose files are gone: its sender has room again."""
        sock = skb.sock
        sock.wmem -= skb.truesize
        if sock.wmem + 1 << 2 <= sock.sndbuf and not sock.dead:
            sock.writable.wake(WRITABLE)

    def detach(self, skb: Skb) -> list[File]:
        """The files of a message in our queue."""
        passed, skb.passed = skb.passed, None
        return self.net.inflight.detach(self, passed) if passed is not None else []

    def peek_files(self, skb: Skb) -> list[File]:
        """unix_peek_fds: the message keeps its references."""
        files = list(skb.passed.files) if skb.passed is not None else []
        for file in files:
            file.refs += 1
        return files

    def leads_to(self) -> list[UnixSock]:
        """Whose queues can be read through this socket."""
        return [self, *self.embryos]

    def carried(self) -> list[File]:
        """Every file in the queue."""
        return [file for skb in self.queue if skb.passed is not None for file in skb.passed.files]

    def drain(self) -> list[File]:
        """Empty the queue of a socket that nobody can read; the references to its files are the caller's."""
        files: list[File] = []
        while self.queue:
            skb = self.queue.popleft()
            files += self.detach(skb)
            self.free(skb)
        self.oob = None
        return files

    def has_room(self, message: Sending) -> bool:
        """sock_alloc_send_skb: whether a message may be sent now.  Raises OSError: the pending error, EPIPE."""
        if self.error:
            self.raise_error()
        if self.shutdown & SEND_SHUTDOWN:
            raise BrokenPipeError(errno.EPIPE, "shut down")
        message.room = self.writable
        return self.wmem < self.sndbuf

    def peek_offset(self, flags: int) -> int:
        return max(self.peek_off, 0) if flags & MSG_PEEK else 0

    def move_peek(self, by: int) -> None:
        """Messages were peeked at (positive) or read (negative)."""
        if self.peek_off >= 0:
            self.peek_off = max(0, self.peek_off + by)

    # State

    def poll(self) -> int:
        events = POLLERR if self.error else 0
        shutdown = self.shutdown
        if shutdown:
            if shutdown == SHUTDOWN_MASK:
                events |= POLLHUP
            if shutdown & RCV_SHUTDOWN:
                events |= POLLRDHUP | READABLE
        if self.queue or self.embryos:
            events |= READABLE
        if self.oob is not None:
            events |= POLLPRI
        if self.state == CLOSE and self.type != SOCK_DGRAM:
            events |= POLLHUP
        if self.state != LISTEN and self.wmem + 1 << 2 <= self.sndbuf:
            events |= WRITABLE
        return events

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        if request == SIOCOUTQ:
            value = self.wmem
        elif request == SIOCINQ:
            if self.state == LISTEN:
                raise OSError(errno.EINVAL, "listens")
            if self.type == SOCK_DGRAM:
                value = len(self.queue[0].data) if self.queue else 0
            else:
                value = sum(skb.left() for skb in self.queue)
        elif request == SIOCATMARK:
            if self.type != SOCK_STREAM:
                raise OSError(errno.EOPNOTSUPP, "no urgent data")
            value = self.at_mark()
        else:
            raise OSError(errno.ENOTTY, "no such request")
        task.mm.put_u32(arg, value)
        return 0

    def at_mark(self) -> bool:
        """Whether the next byte is out of band."""
        queue = self.queue
        if not queue:
            return False
        following = queue[1] if len(queue) > 1 else None
        return queue[0] is self.oob or (not queue[0].left() and (self.oob is None or following is self.oob))

    def shut_down(self, how: int) -> None:
        self.shutdown |= how
        self.state_change()
        other = self.peer
        if other is not None and self.type != SOCK_DGRAM:
            other.shutdown |= (SEND_SHUTDOWN if how & RCV_SHUTDOWN else 0) | (
                RCV_SHUTDOWN if how & SEND_SHUTDOWN else 0
            )
            other.state_change()

    def close(self) -> None:
        """unix_release_sock."""
        inflight = self.net.inflight
        inflight.drop(self.end(False))
        inflight.collect()

    def end(self, embryo: bool) -> list[File]:
        """Everything that close(2) does but for the files in the queue, whose references are the caller's."""
        net = self.net
        net.unbind(self)
        net.sockets.pop(self, None)
        self.dead = True
        self.file = None
        self.shutdown = SHUTDOWN_MASK
        state, self.state = self.state, CLOSE
        other, self.peer = self.peer, None
        self.oob = None
        self.peer_wait.wake()
        if other is not None:
            if self.type != SOCK_DGRAM:
                other.shutdown = SHUTDOWN_MASK
                if embryo or any(skb.left() for skb in self.queue):
                    other.error = errno.ECONNRESET
                other.state_change()
            if self.relay is not None:
                self.relay.cancel()
        files = self.drain()
        if state == LISTEN:
            while self.embryos:
                files += self.embryos.popleft().end(True)
        return files


class Relay:
    """unix_dgram_peer_wake: tells the pollers of a socket that its full peer has room again."""

    __slots__ = ("peer", "sock")

    def __init__(self, sock: UnixSock, peer: UnixSock) -> None:
        self.sock = sock
        self.peer = peer
        peer.peer_wait.add(self)

    def __call__(self, events: int) -> None:
        self.cancel()
        self.sock.writable.wake(WRITABLE)

    def cancel(self) -> None:
        self.sock.relay = None
        self.peer.peer_wait.remove(self)


class UnixConnected(UnixSock):
    """What streams and sequenced packets have in common: connections."""

    __slots__ = ()

    def listen(self, backlog: int) -> None:
        if self.name is None or self.state not in (CLOSE, LISTEN):
            raise OSError(errno.EINVAL, "no name, or connected")
        if backlog > self.backlog:
            self.peer_wait.wake()
        self.backlog = backlog
        self.state = LISTEN
        self.peer_cred = self.net.peer()

    def connect(self, listener: UnixSock) -> bool:
        """connect(2) to a socket that was found; False if it is to wait for `listener.peer_wait`.  Raises
        OSError(ECONNREFUSED, EISCONN, EINVAL)."""
        if listener.state != LISTEN or listener.shutdown & RCV_SHUTDOWN:
            raise OSError(errno.ECONNREFUSED, "nobody listens")
        if len(listener.embryos) > listener.backlog:
            return False
        if self.state != CLOSE:
            raise OSError(errno.EISCONN if self.state == ESTABLISHED else errno.EINVAL, "cannot be connected")
        other = type(self)(self.net)
        other.state = ESTABLISHED
        other.peer = self
        other.peer_cred = self.net.peer()
        other.name = listener.name
        other.passcred, other.special = listener.passcred, listener.special
        other.listener = listener
        self.peer = other
        self.peer_cred = listener.peer_cred
        self.state = ESTABLISHED
        listener.embryos.append(other)
        listener.readable.wake(READABLE)
        return True

    def accept(self) -> UnixSock | None:
        if self.state != LISTEN:
            raise OSError(errno.EINVAL, "does not listen")
        self.raise_error()
        if self.embryos:
            embryo = self.embryos.popleft()
            embryo.listener = None
            self.peer_wait.wake(WRITABLE)
            return embryo
        return None

    def end_of_file(self) -> bool:
        return self.shutdown & RCV_SHUTDOWN != 0

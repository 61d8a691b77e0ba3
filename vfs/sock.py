"""Sockets of any family: Linux's ``struct socket``, which is an open file, and the ``struct sock`` behind it.

A `Sock` can do without its file: in a listener's queue before accept(2), and as the closed peer of
others.  Nothing here waits: what cannot be done now raises BlockingIOError or answers False, and the
caller waits on the file's queues and tries again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from stat import S_IFSOCK
from typing import TYPE_CHECKING, Any, NamedTuple

from vfs.anon import SOCKFS_DEV, SOCKFS_MAGIC, AnonNode, next_ino
from vfs.file import O_RDWR, File
from vfs.node import Stat
from vfs.pages import ShortSpans
from vfs.wait import POLLIN, POLLOUT, POLLPRI, POLLRDBAND, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from vfs.pages import Spans

SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET = 1, 2, 3, 5

MSG_OOB, MSG_PEEK, MSG_CTRUNC, MSG_TRUNC, MSG_DONTWAIT = 0x1, 0x2, 0x8, 0x20, 0x40
MSG_EOR, MSG_WAITALL, MSG_NOSIGNAL, MSG_WAITFORONE, MSG_CMSG_CLOEXEC = 0x80, 0x100, 0x4000, 0x10000, 0x40000000

# sk_state: TCP's names, of which other families use three
ESTABLISHED, CLOSE, LISTEN = 1, 7, 10
RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK = 1, 2, 3

SO_OOBINLINE = 10
PASSCRED, PASSPIDFD = 1, 2  # what is to come with messages (sk_scm_recv_flags)

WMEM_DEFAULT = RMEM_DEFAULT = WMEM_MAX = RMEM_MAX = 212992  # /proc/sys/net/core
SOMAXCONN = 4096
OPTMEM_MAX = 131072

READ_EVENTS = POLLIN | POLLRDNORM | POLLRDBAND | POLLPRI | POLLRDHUP
WRITE_EVENTS = POLLOUT | POLLWRNORM | POLLWRBAND

PROTONAME = b"system.sockprotoname"


class Ucred(NamedTuple):
    """struct ucred: who sent a message.  `process` is the kernel's struct pid behind the number, which may mean
    another one by the time somebody asks."""

    pid: int
    uid: int
    gid: int
    process: Any = None


class PeerCred(NamedTuple):
    """sk_peer_pid and sk_peer_cred: who made the other end, with effective ids."""

    pid: int
    uid: int
    gid: int
    groups: tuple[int, ...]
    process: Any  # as in Ucred


class Cursor:
    """struct iov_iter: a place in a guest buffer.  `size` is what lies behind it, memory that cannot be
    accessed included."""

    __slots__ = ("at", "index", "size", "spans")

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self.index = self.at = 0
        self.size = spans.size if type(spans) is ShortSpans else sum(map(len, spans))

    def take(self, size: int) -> bytes | bytearray:
        """The next `size` bytes, and move on.  Raises OSError(EFAULT), without moving."""
        spans, index, at = self.spans, self.index, self.at
        if index < len(spans) and at + size <= len(spans[index]):
            self.at = at + size
            self.size -= size
            return bytes(spans[index][at : at + size])
        data = bytearray()
        for part in self._parts(size):
            data += part
        return data

    def put(self, data: memoryview) -> None:
        """Store `data`, for which there is room, and move on.  Raises OSError(EFAULT), without moving."""
        done = 0
        for part in self._parts(len(data)):
            part[:] = data[done : done + len(part)]
            done += len(part)

    def _parts(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes in pieces."""
        index, at, left = self.index, self.at, size
        while left:
            if index == len(self.spans):
                raise OSError(errno.EFAULT, "bad buffer")
            part = self.spans[index][at : at + left]
            at += len(part)
            left -= len(part)
            yield part
            if at == len(self.spans[index]):
                index, at = index + 1, 0
        self.index, self.at = index, at
        self.size -= size


class Sending:
    """A message on its way out (struct msghdr with its scm_cookie).  `creds` are those of an SCM_CREDENTIALS
    message; `files` are references that the message holds until somebody receives them; `sent` counts the
    bytes of a stream that are gone; `find` looks up whom a datagram is for, if that is not the peer.  What
    cannot be sent yet is to wait for `room`."""

    __slots__ = ("creds", "files", "find", "flags", "room", "sent", "user")

    def __init__(self, flags: int = 0) -> None:
        self.flags = flags
        self.creds: Ucred | None = None
        self.files: list[File] = []
        self.user: Sender | None = None
        self.find: Callable[[], Any] | None = None
        self.room: WaitQueue | None = None
        self.sent = 0


class Sender(NamedTuple):
    """Who sends files: the user they are counted for, and how many may be in flight (None: no limit)."""

    uid: int
    limit: int | None


class Receiving:
    """A message on its way in.  `copied` is what the call returns; `flags` go in, `out_flags` come out;
    `source` is the name of the sender; `creds` and `files` are what came with it.  `nothing`: the end of file
    of a socket of messages, with which nothing comes."""

    __slots__ = ("copied", "creds", "files", "flags", "glued", "nothing", "out_flags", "source")

    def __init__(self, flags: int = 0) -> None:
        self.flags = flags
        self.copied = 0
        self.out_flags = 0
        self.source: bytes | None = None
        self.creds: Ucred | None = None
        self.files: list[File] = []
        self.nothing = False
        self.glued = False  # later bytes must have the same `creds`


class SockNode(AnonNode):
    """An inode of sockfs."""

    __slots__ = ("protocol",)

    def __init__(self, uid: int, gid: int, protocol: bytes) -> None:
        super().__init__(Stat(S_IFSOCK | 0o777, next_ino(), SOCKFS_DEV, 1, uid, gid), SOCKFS_MAGIC)
        self.protocol = protocol

    def getxattr(self, name: bytes) -> bytes:
        if name != PROTONAME:
            raise OSError(errno.EOPNOTSUPP, "no such attribute")
        return self.protocol + b"\0"

    def listxattr(self) -> list[bytes]:
        return [PROTONAME]


class Sock:
    """struct sock.

    Buffer sizes are in bytes of Linux's ``truesize``; `wmem` is what the peers have not read yet.  Time-outs
    are nanoseconds, None for none.  `options` holds what setsockopt(2) stored of no consequence.  `error` is
    sk_err, an errno that the next call reports.
    """

    __slots__ = (
        "dead", "error", "file", "lowat", "options", "passcred", "peek_off", "peer_cred", "rcvbuf", "rcvtimeo",
        "readable", "shutdown", "sndbuf", "sndtimeo", "special", "state", "wmem", "writable",
    )  # fmt: skip

    family = 0
    type = 0
    protocol = 0
    sigpipe = False  # EPIPE comes with SIGPIPE

    def __init__(self) -> None:
        self.file: SocketFile | None = None
        self.state = CLOSE
        self.shutdown = 0
        self.error = 0
        self.dead = False
        self.sndbuf = WMEM_DEFAULT
        self.rcvbuf = RMEM_DEFAULT
        self.wmem = 0
        self.lowat = 1
        self.rcvtimeo: int | None = None
        self.sndtimeo: int | None = None
        self.options: dict[int, int] = {}
        self.peer_cred: PeerCred | None = None
        self.passcred = 0  # PASSCRED and PASSPIDFD
        self.peek_off = -1  # SO_PEEK_OFF; negative: off
        self.special = False  # one of these three, or a byte out of band, has been used: reads look closer
        self.readable = WaitQueue()
        self.writable = WaitQueue()

    def take_error(self) -> int:
        """sock_error: the pending error, which is reported once."""
        error, self.error = self.error, 0
        return error

    def raise_error(self) -> None:
        """Raise the pending error, if there is one."""
        if self.error:
            raise OSError(self.take_error(), "pending error")

    def state_change(self) -> None:
        """sk_state_change: wake everybody."""
        self.readable.wake()
        self.writable.wake()

    # What each family does in its own way

    def read(self, spans: Spans) -> int:
        """read(2).  Raises BlockingIOError if there is nothing yet."""
        raise NotImplementedError

    def write(self, spans: Spans) -> int:
        """write(2): as much as fits.  Raises BlockingIOError if that is nothing."""
        raise NotImplementedError

    def send(self, message: Sending, buffer: Cursor) -> bool:
        """sendmsg(2), as far as it goes without waiting; False if it is to wait for `message.room` and go on."""
        raise NotImplementedError

    def receive(self, message: Receiving, buffer: Cursor) -> bool:
        """recvmsg(2), as far as it goes without waiting; False if it is to wait and go on."""
        raise NotImplementedError

    def starved(self) -> bool:
        """What `File.starved` is of its file."""
        return False

    def end_of_file(self) -> bool:
        """Whether a receive that found nothing and may wait ends with 0 instead, or an accept with EINVAL."""
        return False

    def sockname(self) -> bytes:
        """getsockname(2): a struct sockaddr."""
        raise NotImplementedError

    def peername(self) -> bytes:
        """getpeername(2).  Raises OSError(ENOTCONN)."""
        raise NotImplementedError

    def bind(self, name: bytes, tgid: int) -> None:
        """bind(2) by process `tgid`, where a name is not one of a file.  Raises OSError."""
        raise OSError(errno.EOPNOTSUPP, "no names")

    def connect_name(self, name: bytes, tgid: int) -> None:
        """connect(2) where that only says whom messages are for.  Raises OSError."""
        raise OSError(errno.EOPNOTSUPP, "no names")

    def listen(self, backlog: int) -> None:
        """listen(2).  Raises OSError(EOPNOTSUPP, EINVAL)."""
        raise OSError(errno.EOPNOTSUPP, "no connections")

    def accept(self) -> Sock | None:
        """accept(2): a connection, None if it is to wait for one.  Raises OSError(EOPNOTSUPP, EINVAL)."""
        raise OSError(errno.EOPNOTSUPP, "no connections")

    def open(self, flags: int, uid: int, gid: int) -> SocketFile:
        """A file for this socket, which belongs to `uid` and `gid`; `flags` may be O_NONBLOCK."""
        raise NotImplementedError

    def shut_down(self, how: int) -> None:
        """shutdown(2); `how` is RCV_SHUTDOWN or SEND_SHUTDOWN or both."""
        raise NotImplementedError

    def poll(self) -> int:
        raise NotImplementedError

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        raise OSError(errno.ENOTTY, "no such request")

    def close(self) -> None:
        """The file is gone."""
        raise NotImplementedError


class SocketFile(File):
    """struct socket: the open file of a socket."""

    __slots__ = ("sock",)

    sock: Sock
    completes = True
    pollable = True

    def __init__(self, sock: Sock, node: SockNode, flags: int) -> None:
        super().__init__(node, O_RDWR | flags, b"socket:[%d]" % node.info.st_ino)
        self.sock = sock
        sock.file = self

    def read(self, spans: Spans) -> int:
        return self.sock.read(spans)

    def starved(self) -> bool:
        return self.sock.starved()

    def write(self, spans: Spans) -> int:
        return self.sock.write(spans)

    def poll(self) -> int:
        return self.sock.poll()

    def queues(self, events: int) -> Sequence[WaitQueue]:
        if not events & WRITE_EVENTS:
            return (self.sock.readable,)
        if not events & READ_EVENTS:
            return (self.sock.writable,)
        return (self.sock.readable, self.sock.writable)

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        return self.sock.ioctl(task, request, arg)

    def release(self) -> None:
        self.sock.close()

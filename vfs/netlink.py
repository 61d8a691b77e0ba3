"""AF_NETLINK sockets, netlink(7): as far as mq_notify(3) needs one, to wait for what the kernel sends.

Nobody in the kernel answers on any protocol: a request is refused, as Linux does when a protocol has no user.
"""

from __future__ import annotations

import errno
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING

from vfs.sock import (
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    RCV_SHUTDOWN,
    SOCK_DGRAM,
    SOCK_RAW,
    Cursor,
    Receiving,
    Sending,
    Sock,
    SocketFile,
    SockNode,
)
from vfs.wait import POLLIN, POLLOUT, POLLRDNORM, POLLWRBAND, POLLWRNORM

if TYPE_CHECKING:
    from vfs.pages import Spans

AF_NETLINK, NETLINK_ROUTE = 16, 0
_SOCKADDR = Struct("<HHII")  # struct sockaddr_nl: family, pad, pid, groups
_TRUESIZE = 768  # of a small message, against the receive buffer


class NetlinkSock(Sock):
    """struct netlink_sock.  `port` is nl_pid, 0 until it is bound."""

    __slots__ = ("peer_port", "port", "queue", "type")

    family = AF_NETLINK

    def __init__(self, type: int) -> None:
        super().__init__()
        self.type = type
        self.port = 0
        self.peer_port = 0
        self.queue: deque[bytes] = deque()

    def deliver(self, data: bytes) -> None:
        """netlink_sendskb: a message from the kernel; one that finds no room is lost."""
        if self.dead or (len(self.queue) + 1) * _TRUESIZE > self.rcvbuf:
            return
        self.queue.append(data)
        self.readable.wake(POLLIN | POLLRDNORM)

    def bind(self, name: bytes, tgid: int) -> None:
        """bind(2).  Raises OSError EINVAL, EPERM (multicast groups)."""
        port, groups = self._address(name)
        if groups:
            raise OSError(errno.EPERM, "no multicast groups")
        if self.port and port != self.port:
            raise OSError(errno.EINVAL, "has an address")
        self.port = port or tgid

    def connect_name(self, name: bytes, tgid: int) -> None:
        """connect(2): whom messages go to."""
        self.peer_port, _ = self._address(name)
        self.port = self.port or tgid

    @staticmethod
    def _address(name: bytes) -> tuple[int, int]:
        if len(name) < _SOCKADDR.size:
            raise OSError(errno.EINVAL, "not an address of this family")
        family, _, port, groups = _SOCKADDR.unpack_from(name)
        if family != AF_NETLINK:
            raise OSError(errno.EINVAL, "not an address of this family")
        return port, groups

    def sockname(self) -> bytes:
        return _SOCKADDR.pack(AF_NETLINK, 0, self.port, 0)

    def peername(self) -> bytes:
        return _SOCKADDR.pack(AF_NETLINK, 0, self.peer_port, 0)

    def write(self, spans: Spans) -> int:
        raise OSError(errno.ECONNREFUSED, "nobody answers")

    def send(self, message: Sending, buffer: Cursor) -> bool:
        if message.flags & MSG_OOB:
            raise OSError(errno.EOPNOTSUPP, "no urgent data")
        raise OSError(errno.ECONNREFUSED, "nobody answers")

    def read(self, spans: Spans) -> int:
        message = Receiving()
        if not self.receive(message, Cursor(spans)):
            raise BlockingIOError(errno.EAGAIN, "nothing to read")
        return message.copied

    def receive(self, message: Receiving, buffer: Cursor) -> bool:
        if message.flags & MSG_OOB:
            raise OSError(errno.EOPNOTSUPP, "no urgent data")
        if not self.queue:
            return False
        data = self.queue[0] if message.flags & MSG_PEEK else self.queue.popleft()
        size = min(buffer.size, len(data))
        if size < len(data):
            message.out_flags |= MSG_TRUNC
        message.source = _SOCKADDR.pack(AF_NETLINK, 0, 0, 0)
        buffer.put(memoryview(data)[:size])
        message.copied = len(data) if message.flags & MSG_TRUNC else size
        return True

    def end_of_file(self) -> bool:
        return self.shutdown & RCV_SHUTDOWN != 0

    def shut_down(self, how: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no connections")

    def poll(self) -> int:
        events = POLLOUT | POLLWRNORM | POLLWRBAND
        return events | POLLIN | POLLRDNORM if self.queue else events

    def close(self) -> None:
        self.dead = True
        self.queue.clear()


def netlink_socket(type: int, flags: int, protocol: int, uid: int, gid: int) -> SocketFile:
    """socket(2); `flags` may be O_NONBLOCK.  Raises OSError(ESOCKTNOSUPPORT, EPROTONOSUPPORT)."""
    if type not in (SOCK_RAW, SOCK_DGRAM):
        raise OSError(errno.ESOCKTNOSUPPORT, "no such type of socket")
    if protocol != NETLINK_ROUTE:
        raise OSError(errno.EPROTONOSUPPORT, "no such protocol")
    return SocketFile(NetlinkSock(type), SockNode(uid, gid, b"NETLINK"), flags)

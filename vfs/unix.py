"""AF_UNIX sockets, unix(7): Linux's ``struct unix_sock``, with its names and its queues of messages.

What a socket sends lies in the queue of its peer and counts against its own send buffer until it is read,
in Linux's sizes: the same numbers of bytes and messages fit.  A name in a filesystem stands for an inode
of the guest's tree, and only sockets of this kernel are ever found by it: what listens on the host is
refused, as a socket nobody listens on.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from vfs.sock import ESTABLISHED, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, PeerCred, SocketFile, Ucred
from vfs.unix_dgram import UnixDgram, UnixSeqpacket
from vfs.unix_gc import InFlight
from vfs.unix_sock import AF_UNIX, UnixSock
from vfs.unix_stream import UnixStream

if TYPE_CHECKING:
    from vfs.file import File
    from vfs.node import Node

__all__ = ["AF_UNIX", "UnixNet", "UnixSock"]

KINDS: dict[int, Callable[[UnixNet], UnixStream | UnixDgram | UnixSeqpacket]] = {
    SOCK_STREAM: UnixStream,
    SOCK_DGRAM: UnixDgram,
    SOCK_RAW: UnixDgram,
    SOCK_SEQPACKET: UnixSeqpacket,
}


class UnixNet:
    """What the AF_UNIX sockets of a kernel share (struct netns_unix): the names.  `who` and `peer` tell the
    credentials of the running task."""

    __slots__ = ("abstract", "bound", "inflight", "last_auto", "peer", "sockets", "who")

    def __init__(self, who: Callable[[], Ucred], peer: Callable[[], PeerCred], seed: int) -> None:
        self.who = who
        self.peer = peer
        self.abstract: dict[tuple[int, bytes], UnixSock] = {}  # by type and name
        self.bound: dict[object, UnixSock] = {}  # by Node.identity()
        self.sockets: dict[UnixSock, None] = {}  # in order of creation
        self.inflight = InFlight()
        self.last_auto = seed & 0xFFFFF

    def socket(self, type: int, flags: int, uid: int, gid: int) -> SocketFile:
        """socket(2); `flags` may be O_NONBLOCK.  Raises OSError(ESOCKTNOSUPPORT)."""
        try:
            sock = KINDS[type](self)
        except KeyError:
            raise OSError(errno.ESOCKTNOSUPPORT, "no such type of socket") from None
        return sock.open(flags, uid, gid)

    def connect_pair(self, first: File, second: File) -> None:
        """socketpair(2): connect two new sockets."""
        a, b = first.sock, second.sock
        assert isinstance(a, UnixSock) and isinstance(b, UnixSock)
        a.peer, b.peer = b, a
        a.state = b.state = ESTABLISHED
        a.peer_cred = b.peer_cred = self.peer()

    def autobind(self, sock: UnixSock) -> None:
        """unix_autobind: an abstract name of five digits.  Raises OSError(ENOSPC)."""
        if sock.name is not None:
            return
        for _ in range(1 << 20):
            self.last_auto = self.last_auto + 1 & 0xFFFFF
            name = b"\0%05x" % self.last_auto
            if (sock.type, name) not in self.abstract:
                self.bind_abstract(sock, name)
                return
        raise OSError(errno.ENOSPC, "no name left")

    def bind_abstract(self, sock: UnixSock, name: bytes) -> None:
        """Give `sock` a name that starts with NUL.  Raises OSError(EINVAL, EADDRINUSE)."""
        if sock.name is not None:
            raise OSError(errno.EINVAL, "has a name")
        if (sock.type, name) in self.abstract:
            raise OSError(errno.EADDRINUSE, "name taken")
        sock.name = name
        self.abstract[sock.type, name] = sock

    def bind_node(self, sock: UnixSock, name: bytes, node: Node) -> None:
        """Let the inode `node`, made for the path `name`, stand for `sock`."""
        sock.name = name + b"\0"
        sock.inode = node.identity()
        sock.node = node  # held, so that the inode's number is not used again
        self.bound[sock.inode] = sock

    def unbind(self, sock: UnixSock) -> None:
        """The socket is closed: its name finds nothing any more."""
        if sock.node is not None:
            if self.bound.get(sock.inode) is sock:
                del self.bound[sock.inode]
            sock.node = None
        elif sock.name is not None and self.abstract.get((sock.type, sock.name)) is sock:
            del self.abstract[sock.type, sock.name]

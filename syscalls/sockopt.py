"""Socket options: getsockopt(2) and setsockopt(2), socket(7)."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from kernel.cred import CAP_NET_ADMIN
from kernel.pid import PidFd
from syscalls.abi import Int, Ptr, Result
from syscalls.socket import get_sock
from vfs.sock import LISTEN, PASSCRED, PASSPIDFD, RMEM_MAX, SO_OOBINLINE, WMEM_MAX, Sock

if TYPE_CHECKING:
    from kernel.task import Task

SOL_SOCKET = 1
SO_DEBUG, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF = range(1, 9)
SO_KEEPALIVE, SO_NO_CHECK, SO_PRIORITY, SO_LINGER, SO_BSDCOMPAT, SO_REUSEPORT = 9, 11, 12, 13, 14, 15
SO_PASSCRED, SO_PEERCRED, SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO, SO_SNDTIMEO = range(16, 22)
SO_PEERNAME, SO_TIMESTAMP, SO_ACCEPTCONN, SO_PEERSEC, SO_SNDBUFFORCE, SO_RCVBUFFORCE = range(28, 34)
SO_PASSSEC, SO_TIMESTAMPNS, SO_MARK, SO_PROTOCOL, SO_DOMAIN, SO_RXQ_OVFL = 34, 35, 36, 38, 39, 40
SO_PEEK_OFF, SO_COOKIE, SO_PEERGROUPS, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW = 42, 57, 59, 66, 67
SO_PASSPIDFD, SO_PEERPIDFD = 76, 77

INT = Struct("<i")
LINGER = Struct("<ii")
TIMEVAL = Struct("<qq")
UCRED = Struct("<iII")
UINT_MAX = 0xFFFFFFFF
INT_MAX = 0x7FFFFFFF
MIN_SNDBUF, MIN_RCVBUF = 4608, 2304
FORCED_MAX = 1 << 23  # what SO_SNDBUFFORCE may reach: messages lie in the host's memory
NS, US = 1_000_000_000, 1000
LONGEST_SECONDS = (1 << 63) // NS // 4

# Options of one bit that are only stored
SWITCHES = (
    SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK, SO_TIMESTAMP,
    SO_TIMESTAMPNS, SO_RXQ_OVFL, SO_PASSSEC,
)  # fmt: skip
READ_ONLY = (SO_TYPE, SO_PROTOCOL, SO_DOMAIN, SO_ERROR, SO_SNDLOWAT, SO_ACCEPTCONN, SO_PEERCRED, SO_PEERGROUPS)


# Asking


def get_option(t: Task, sock: Sock, name: int, room: int) -> bytes:
    """The value of an option of SOL_SOCKET.  Raises OSError(ENOPROTOOPT), and what single options do."""
    if name in SWITCHES:
        return INT.pack(sock.options.get(name, 0))
    if name == SO_PEERCRED:
        peer = sock.peer_cred
        return UCRED.pack(peer.pid, peer.uid, peer.gid) if peer else UCRED.pack(0, UINT_MAX, UINT_MAX)
    if name in (SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW):
        receiving = name in (SO_RCVTIMEO, SO_RCVTIMEO_NEW)
        ns = (sock.rcvtimeo if receiving else sock.sndtimeo) or 0
        return TIMEVAL.pack(ns // NS, ns % NS // US)
    if name == SO_LINGER:
        return LINGER.pack(sock.options.get(SO_LINGER, -1) >= 0, max(0, sock.options.get(SO_LINGER, 0)))
    if name == SO_PEERNAME:
        name_of_peer = sock.peername()
        if len(name_of_peer) < room:
            raise OSError(errno.EINVAL, "more room than name")
        return name_of_peer
    numbers = {
        SO_TYPE: sock.type,
        SO_DOMAIN: sock.family,
        SO_PROTOCOL: sock.protocol,
        SO_SNDBUF: sock.sndbuf,
        SO_RCVBUF: sock.rcvbuf,
        SO_PRIORITY: sock.options.get(SO_PRIORITY, 0),
        SO_MARK: sock.options.get(SO_MARK, 0),
        SO_REUSEPORT: 0,
        SO_BSDCOMPAT: 0,
        SO_PASSCRED: int(sock.passcred & PASSCRED != 0),
        SO_PASSPIDFD: int(sock.passcred & PASSPIDFD != 0),
        SO_RCVLOWAT: sock.lowat,
        SO_SNDLOWAT: 1,
        SO_ACCEPTCONN: int(sock.state == LISTEN),
        SO_PEEK_OFF: sock.peek_off,
    }
    if name == SO_ERROR:
        return INT.pack(sock.take_error())
    if name not in numbers:
        raise OSError(errno.ENOPROTOOPT, "no such option")
    return INT.pack(numbers[name])


def sys_getsockopt(t: Task, fd: Int, level: Int, name: Int, value: Ptr, size: Ptr) -> Result:
    """getsockopt(2)."""
    sock = get_sock(t, fd)
    if level != SOL_SOCKET:
        return -errno.EOPNOTSUPP
    room = t.mm.u32(size)
    if room > INT_MAX:
        return -errno.EINVAL
    if name == SO_PEERGROUPS:
        return peer_groups(t, sock, value, size, room)
    if name == SO_PEERPIDFD:
        return peer_pidfd(t, sock, value, size, room)
    data = get_option(t, sock, name, room)[:room]
    t.mm.write(value, data)
    t.mm.put_u32(size, len(data))
    return 0


def peer_groups(t: Task, sock: Sock, value: int, size: int, room: int) -> int:
    """SO_PEERGROUPS: all or nothing."""
    if sock.peer_cred is None:
        return -errno.ENODATA
    groups = sock.peer_cred.groups
    t.mm.put_u32(size, 4 * len(groups))
    if room < 4 * len(groups):
        return -errno.ERANGE
    t.mm.write(value, b"".join(gid.to_bytes(4, "little") for gid in groups))
    return 0


def peer_pidfd(t: Task, sock: Sock, value: int, size: int, room: int) -> int:
    """SO_PEERPIDFD: a descriptor of the process that made the other end, ended or not."""
    if sock.peer_cred is None:
        return -errno.ENODATA
    fd = t.files.unused()
    data = INT.pack(fd)[:room]
    t.mm.write(value, data)
    t.mm.put_u32(size, len(data))
    return t.files.install(PidFd(sock.peer_cred.process, 0), cloexec=True) - fd


# Setting


def sys_setsockopt(t: Task, fd: Int, level: Int, name: Int, value: Ptr, size: Int) -> Result:
    """setsockopt(2)."""
    if size < 0:
        get_sock(t, fd)
        return -errno.EINVAL
    sock = get_sock(t, fd)
    if level != SOL_SOCKET:
        return -errno.EOPNOTSUPP
    if size < INT.size:
        return -errno.EINVAL
    number: int = t.mm.unpack(INT, value)[0]
    if name in (SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW):
        return set_timeout(t, sock, name in (SO_RCVTIMEO, SO_RCVTIMEO_NEW), value, size)
    if name == SO_LINGER:
        if size < LINGER.size:
            return -errno.EINVAL
        on, seconds = t.mm.unpack(LINGER, value)
        sock.options[SO_LINGER] = seconds if on else -1
        return 0
    return set_number(t, sock, name, number)


def set_number(t: Task, sock: Sock, name: int, number: int) -> int:
    privileged = t.cred.capable(CAP_NET_ADMIN)
    if name in SWITCHES:
        if name == SO_DEBUG and number and not privileged:
            return -errno.EACCES
        sock.options[name] = int(number != 0)
    elif name in READ_ONLY:
        return -errno.ENOPROTOOPT
    elif name == SO_REUSEPORT:
        return -errno.EOPNOTSUPP if number else 0
    elif name in (SO_SNDBUF, SO_SNDBUFFORCE):
        if name == SO_SNDBUFFORCE and not privileged:
            return -errno.EPERM
        sock.sndbuf = max(2 * buffer_size(number, name == SO_SNDBUFFORCE, WMEM_MAX), MIN_SNDBUF)
        sock.writable.wake()
    elif name in (SO_RCVBUF, SO_RCVBUFFORCE):
        if name == SO_RCVBUFFORCE and not privileged:
            return -errno.EPERM
        sock.rcvbuf = max(2 * buffer_size(number, name == SO_RCVBUFFORCE, RMEM_MAX), MIN_RCVBUF)
    elif name == SO_PRIORITY:
        if not 0 <= number <= 6 and not privileged:
            return -errno.EPERM
        sock.options[name] = number
    elif name == SO_MARK:
        if not privileged:
            return -errno.EPERM
        sock.options[name] = number
    elif name in (SO_PASSCRED, SO_PASSPIDFD):
        bit = PASSCRED if name == SO_PASSCRED else PASSPIDFD
        sock.passcred = sock.passcred | bit if number else sock.passcred & ~bit
        sock.special = True
    elif name == SO_RCVLOWAT:
        sock.lowat = INT_MAX if number < 0 else number or 1
        sock.special = True
    elif name == SO_PEEK_OFF:
        sock.peek_off = number
        sock.special = True
    elif name != SO_BSDCOMPAT:
        return -errno.ENOPROTOOPT
    return 0


def buffer_size(number: int, forced: bool, most: int) -> int:
    """What a buffer may have, of what was asked for.  A negative number is a very large one, unless forced."""
    if forced:
        return min(max(number, 0), FORCED_MAX)
    return min(number & UINT_MAX, most)


def set_timeout(t: Task, sock: Sock, receiving: bool, value: int, size: int) -> int:
    """SO_RCVTIMEO and SO_SNDTIMEO: nothing is no time-out, a negative one does not wait at all."""
    if size < TIMEVAL.size:
        return -errno.EINVAL
    seconds, microseconds = t.mm.unpack(TIMEVAL, value)
    if not 0 <= microseconds < 1_000_000:
        return -errno.EDOM
    timeout: int | None = 0
    if seconds >= 0:
        ns = seconds * NS + microseconds * US
        timeout = ns if ns > 0 and seconds < LONGEST_SECONDS else None
    if receiving:
        sock.rcvtimeo = timeout
    else:
        sock.sndtimeo = timeout
    return 0

"""Sockets: pairs of the family AF_UNIX (unix(7))."""

from __future__ import annotations

import errno
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import READ, WRITE
from kernel.task import Interrupted
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.fd import TWO_FDS
from syscalls.io import broken_pipe, buffer, clamp, skip
from vfs.file import O_CLOEXEC, O_NONBLOCK
from vfs.unix import SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, UnixSocket, make_pair
from vfs.wait import POLLIN, POLLOUT

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.pages import Spans

AF_UNIX, PF_MAX = 1, 46
SOCK_RAW, SOCK_TYPE_MASK, SOCK_MAX = 3, 0xF, 11
MSG_OOB, MSG_PEEK, MSG_CTRUNC, MSG_TRUNC, MSG_DONTWAIT = 0x1, 0x2, 0x8, 0x20, 0x40
MSG_WAITALL, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC = 0x100, 0x4000, 0x40000000
SHUT_RDWR = 2

SOL_SOCKET = 1
SO_TYPE, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_PROTOCOL, SO_DOMAIN, SO_ACCEPTCONN = 3, 4, 7, 8, 38, 39, 30
SOCK_MIN_SNDBUF = 4608
WMEM_MAX = 212992

MSGHDR = Struct("<QI4xQQQQI4x")  # struct msghdr: name, its length, iovec, its length, control, its length, flags
IOV_MAX = 1024


def socket_of(t: Task, fd: int) -> UnixSocket:
    """Raises OSError EBADF, ENOTSOCK."""
    file = t.files.get_io(fd)
    if not isinstance(file, UnixSocket):
        raise OSError(errno.ENOTSOCK, "not a socket")
    return file


def sys_socketpair(t: Task, family: Int, type: Int, protocol: Int, fds: Ptr) -> Result:
    """socketpair(2)."""
    kind, flags = type & SOCK_TYPE_MASK, type & ~SOCK_TYPE_MASK
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        return -errno.EINVAL
    if not 0 <= family < PF_MAX:
        return -errno.EAFNOSUPPORT
    if kind >= SOCK_MAX:
        return -errno.EINVAL
    if family != AF_UNIX:
        return -errno.EAFNOSUPPORT
    if protocol not in (0, AF_UNIX):
        return -errno.EPROTONOSUPPORT
    if kind not in (SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET):
        return -errno.ESOCKTNOSUPPORT
    first, second = make_pair(SOCK_DGRAM if kind == SOCK_RAW else kind, flags, t.cred.fsuid, t.cred.fsgid)
    cloexec = bool(flags & O_CLOEXEC)
    one = t.files.install(first, cloexec)
    try:
        two = t.files.install(second, cloexec)
    except OSError:
        t.files.close(one)
        raise
    try:
        t.mm.pack(TWO_FDS, fds, one, two)
    except OSError:
        t.files.close(one)
        t.files.close(two)
        raise
    return 0


# Sending


def send(t: Task, socket: UnixSocket, spans: Callable[[int], Spans], flags: int) -> Result:
    """What the sending calls have in common; `spans` gives the buffer without its first bytes."""
    if flags & MSG_OOB:
        return -errno.EOPNOTSUPP
    wait = not (flags & MSG_DONTWAIT or socket.flags & O_NONBLOCK)
    size = sum(map(len, spans(0)))

    def attempt(done: int) -> int:
        try:
            return socket.send(spans(done))
        except BrokenPipeError as error:
            if socket.type == SOCK_STREAM and not flags & MSG_NOSIGNAL and not done:
                raise broken_pipe(t, error) from None
            raise

    try:
        done = attempt(0)
    except BlockingIOError:
        if not wait:
            return -errno.EAGAIN
        done = 0
    else:
        if done >= size or not wait:
            return done

    async def rest(done: int) -> int:
        while True:
            try:
                await t.wait(*socket.queues(POLLOUT))
                done += attempt(done)
            except BlockingIOError:
                continue
            except (OSError, Interrupted):
                if not done:
                    raise
                return done
            if done >= size:
                return done

    return rest(done)


def sys_sendto(t: Task, fd: Int, buf: Ptr, count: ULong, flags: UInt, address: Ptr, address_length: Int) -> Result:
    """send(2) and sendto(2)."""
    socket = socket_of(t, fd)
    count = clamp(t, buf, count)
    if address:
        named(t, socket, address, address_length)
    return send(t, socket, lambda done: buffer(t, buf + done, count - done, READ), flags)


def named(t: Task, socket: UnixSocket, address: int, length: int) -> None:
    """A destination: nobody has a name."""
    if not 0 <= length <= 128:
        raise OSError(errno.EINVAL, "bad address length")
    if not length:
        return
    t.mm.read(address, length)
    if socket.type != SOCK_DGRAM:
        raise OSError(errno.EISCONN if socket.peer is not None else errno.EOPNOTSUPP, "connected")
    raise OSError(errno.ECONNREFUSED if length > 2 else errno.EINVAL, "nobody has that name")


def sys_sendmsg(t: Task, fd: Int, message: Ptr, flags: UInt) -> Result:
    """sendmsg(2)."""
    socket = socket_of(t, fd)
    name, name_length, vec, count, _, control_length, _ = t.mm.unpack(MSGHDR, message)
    if count > IOV_MAX:
        return -errno.EMSGSIZE
    if name:
        named(t, socket, name, name_length)
    if control_length:
        return -errno.EINVAL
    t.mm.iovec(vec, count, READ)
    return send(t, socket, lambda done: skip(t.mm.iovec(vec, count, READ), done), flags)


# Receiving


def receive(
    t: Task, socket: UnixSocket, spans: Callable[[int], Spans], flags: int, report: Callable[[int], None]
) -> Result:
    """What the receiving calls have in common; `report` is told the flags of the message."""
    if flags & MSG_OOB:
        return -errno.EOPNOTSUPP
    wait = not (flags & MSG_DONTWAIT or socket.flags & O_NONBLOCK)
    peek = bool(flags & MSG_PEEK)
    all_of_it = flags & MSG_WAITALL and socket.type == SOCK_STREAM and wait and not peek
    size = sum(map(len, spans(0)))
    if not size and socket.type == SOCK_STREAM:
        report(0)
        return 0

    def attempt(done: int) -> int:
        stored, there = socket.receive(spans(done), wait=wait, peek=peek)
        cut = stored < there
        report(MSG_TRUNC if cut else 0)
        return there if cut and flags & MSG_TRUNC else stored

    try:
        done = attempt(0)
    except BlockingIOError:
        if not wait:
            return -errno.EAGAIN
        done = 0
    else:
        if not all_of_it or not 0 < done < size:
            return done

    async def rest(done: int) -> int:
        while True:
            try:
                await t.wait(*socket.queues(POLLIN))
                more = attempt(done)
            except BlockingIOError:
                continue
            except (OSError, Interrupted):
                if not done:
                    raise
                return done
            done += more
            if not all_of_it or not more or done >= size:
                return done

    return rest(done)


def sys_recvfrom(t: Task, fd: Int, buf: Ptr, count: ULong, flags: UInt, address: Ptr, address_length: Ptr) -> Result:
    """recv(2) and recvfrom(2)."""
    socket = socket_of(t, fd)
    count = clamp(t, buf, count)

    def report(flags: int) -> None:
        if address:
            if t.mm.u32(address_length) >> 31:
                raise OSError(errno.EINVAL, "bad address length")
            t.mm.put_u32(address_length, 0)

    return receive(t, socket, lambda done: buffer(t, buf + done, count - done, WRITE), flags, report)


def sys_recvmsg(t: Task, fd: Int, message: Ptr, flags: UInt) -> Result:
    """recvmsg(2)."""
    socket = socket_of(t, fd)
    name, _, vec, count, _, _, _ = t.mm.unpack(MSGHDR, message)
    if count > IOV_MAX:
        return -errno.EMSGSIZE
    t.mm.iovec(vec, count, WRITE)

    def report(found: int) -> None:
        if name:
            t.mm.put_u32(message + 8, 0)
        t.mm.put_u64(message + 40, 0)
        t.mm.put_u32(message + 48, found | flags & MSG_CMSG_CLOEXEC)

    return receive(t, socket, lambda done: skip(t.mm.iovec(vec, count, WRITE), done), flags, report)


# Everything else


def sys_shutdown(t: Task, fd: Int, how: Int) -> Result:
    """shutdown(2)."""
    socket = socket_of(t, fd)
    if not 0 <= how <= SHUT_RDWR:
        return -errno.EINVAL
    socket.shutdown(how + 1)
    return 0


def put_name(t: Task, address: int, length: int) -> int:
    """The name of a socket that has none: its family."""
    room = t.mm.u32(length)
    if room >> 31:
        return -errno.EINVAL
    t.mm.write(address, AF_UNIX.to_bytes(2, "little")[:room])
    t.mm.put_u32(length, 2)
    return 0


def sys_getsockname(t: Task, fd: Int, address: Ptr, length: Ptr) -> Result:
    """getsockname(2)."""
    socket_of(t, fd)
    return put_name(t, address, length)


def sys_getpeername(t: Task, fd: Int, address: Ptr, length: Ptr) -> Result:
    """getpeername(2)."""
    if socket_of(t, fd).peer is None:
        return -errno.ENOTCONN
    return put_name(t, address, length)


def sys_getsockopt(t: Task, fd: Int, level: Int, name: Int, value: Ptr, length: Ptr) -> Result:
    """getsockopt(2)."""
    socket = socket_of(t, fd)
    if level != SOL_SOCKET:
        return -errno.EOPNOTSUPP
    room = t.mm.u32(length)
    if room >> 31:
        return -errno.EINVAL
    answers = {
        SO_TYPE: socket.type,
        SO_ERROR: socket.error,
        SO_SNDBUF: socket.sndbuf,
        SO_RCVBUF: WMEM_MAX,
        SO_PROTOCOL: 0,
        SO_DOMAIN: AF_UNIX,
        SO_ACCEPTCONN: 0,
    }
    if name not in answers:
        return -errno.ENOPROTOOPT
    if name == SO_ERROR:
        socket.error = 0
    data = answers[name].to_bytes(4, "little")[:room]
    t.mm.write(value, data)
    t.mm.put_u32(length, len(data))
    return 0


def sys_setsockopt(t: Task, fd: Int, level: Int, name: Int, value: Ptr, length: Int) -> Result:
    """setsockopt(2)."""
    socket = socket_of(t, fd)
    if length < 0:
        return -errno.EINVAL
    if level != SOL_SOCKET or name != SO_SNDBUF:
        return -errno.ENOPROTOOPT
    if length < 4:
        return -errno.EINVAL
    wanted = t.mm.u32(value)
    socket.sndbuf = max(2 * min(wanted, WMEM_MAX), SOCK_MIN_SNDBUF)
    return 0

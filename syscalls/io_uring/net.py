"""Sockets: IORING_OP_SOCKET, BIND, LISTEN, CONNECT, ACCEPT, SHUTDOWN, and messages."""

from __future__ import annotations

import errno
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import READ, WRITE
from kernel.io_uring.kbuf import Selected, group_of, select, use, use_many
from kernel.io_uring.request import Issue, Request, Result
from kernel.io_uring.uapi import (
    IORING_CQE_F_MORE,
    IORING_OP_RECV,
    IORING_OP_RECVMSG,
    IORING_OP_SENDMSG,
    IOSQE_BUFFER_SELECT,
)
from kernel.task import Interrupted
from syscalls.io import MAX_RW, skip
from syscalls.io_uring.fs import IORING_FILE_INDEX_ALLOC, direct_install
from syscalls.io_uring.sync import int32, unused
from syscalls.message import (
    CONTROLLEN_AT,
    FLAGS_AT,
    MSGHDR,
    NAMELEN_AT,
    address,
    check_header,
    put_control,
    take_control,
)
from syscalls.socket import (
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_TYPE_MASK,
    bind,
    connect,
    make_socket,
    read_address,
    store_address,
)
from vfs.sock import (
    MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_WAITALL,
    OPTMEM_MAX,
    SOMAXCONN,
    Cursor,
    Receiving,
    Sending,
    Sock,
)

if TYPE_CHECKING:
    from vfs.pages import Spans

# ioprio
IORING_RECVSEND_POLL_FIRST, IORING_RECV_MULTISHOT, IORING_RECVSEND_FIXED_BUF, IORING_SEND_ZC_REPORT_USAGE = 1, 2, 4, 8
IORING_RECVSEND_BUNDLE = 16
IORING_ACCEPT_MULTISHOT, IORING_ACCEPT_DONTWAIT, IORING_ACCEPT_POLL_FIRST = 1, 2, 4

RECVMSG_OUT = Struct("<IIII")  # struct io_uring_recvmsg_out: lengths of name, control, payload; flags
MAX_BUNDLE = 256  # buffers

Buffers = Callable[[int], "Spans"]
"""The buffer of a message without its first bytes."""


def sock_of(request: Request) -> Sock:
    """Raises OSError(ENOTSOCK)."""
    assert request.file is not None
    sock = request.file.sock
    if sock is None:
        raise OSError(errno.ENOTSOCK, "not a socket")
    return sock


# Making and naming


def prep_socket(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.addr, sqe.op_flags, sqe.buf_index)
    kind = int32(sqe.off & 0xFFFF_FFFF)
    place = sqe.splice_fd_in & 0xFFFF_FFFF
    flags = kind & ~SOCK_TYPE_MASK
    unused(place and flags & SOCK_CLOEXEC, flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))

    def issue(request: Request) -> int:
        file = make_socket(request.task, sqe.fd, kind, int32(sqe.len))
        install = direct_install(request.ring, place) if place else request.task.files.install
        return install(file, kind & SOCK_CLOEXEC != 0)

    return issue


def prep_bind(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.len, sqe.buf_index, sqe.op_flags, sqe.splice_fd_in)
    name = read_address(request.task, sqe.addr, int32(sqe.off & 0xFFFF_FFFF))
    return lambda request: bind(request.task, sock_of(request), name)


def prep_listen(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.addr, sqe.buf_index, sqe.op_flags, sqe.splice_fd_in, sqe.off)
    backlog = int32(sqe.len)

    def issue(request: Request) -> int:
        sock_of(request).listen(backlog if 0 <= backlog <= SOMAXCONN else SOMAXCONN)
        return 0

    return issue


def prep_connect(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.len, sqe.buf_index, sqe.op_flags, sqe.splice_fd_in)
    name = read_address(request.task, sqe.addr, int32(sqe.off & 0xFFFF_FFFF))

    def issue(request: Request) -> Result:
        sock_of(request)
        assert request.file is not None
        return connect(request.task, request.file, name)

    return issue


def prep_shutdown(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.off, sqe.addr, sqe.op_flags, sqe.buf_index, sqe.splice_fd_in)
    how = int32(sqe.len)

    def issue(request: Request) -> int:
        sock = sock_of(request)
        if not 0 <= how <= 2:
            return -errno.EINVAL
        sock.shut_down(how + 1)
        return 0

    return issue


# Accepting


def prep_accept(request: Request) -> Issue:
    sqe = request.sqe
    unused(sqe.len, sqe.buf_index)
    flags, how, place = sqe.op_flags, sqe.ioprio, sqe.splice_fd_in & 0xFFFF_FFFF
    unused(how & ~(IORING_ACCEPT_MULTISHOT | IORING_ACCEPT_DONTWAIT | IORING_ACCEPT_POLL_FIRST))
    unused(place and flags & SOCK_CLOEXEC)
    unused(how & IORING_ACCEPT_MULTISHOT and place not in (0, IORING_FILE_INDEX_ALLOC))
    unused(flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
    return accept_multishot if how & IORING_ACCEPT_MULTISHOT else accept


def accepted(request: Request, connection: Sock) -> int:
    """A descriptor for a new connection, or a place among the registered files."""
    sqe, t = request.sqe, request.task
    flags, place = sqe.op_flags, sqe.splice_fd_in & 0xFFFF_FFFF
    file = connection.open(flags & SOCK_NONBLOCK, t.cred.fsuid, t.cred.fsgid)
    if sqe.addr:
        try:
            store_address(t, connection.peername(), sqe.addr, sqe.off)
        except OSError:
            file.last_put()
            raise
    install = direct_install(request.ring, place) if place else t.files.install
    return install(file, flags & SOCK_CLOEXEC != 0)


def accept(request: Request) -> Result:
    """io_accept."""
    sock = sock_of(request)
    connection = sock.accept()
    if connection is not None:
        return accepted(request, connection)
    if request.sqe.ioprio & IORING_ACCEPT_DONTWAIT:
        return -errno.EAGAIN
    return accept_on(request, sock)


async def accept_on(request: Request, sock: Sock) -> int:
    while True:
        if sock.end_of_file():
            return -errno.EINVAL
        await request.task.wait(sock.readable)
        connection = sock.accept()
        if connection is not None:
            return accepted(request, connection)


async def accept_multishot(request: Request) -> int:
    """A completion for each connection (IORING_ACCEPT_MULTISHOT)."""
    sock, ring = sock_of(request), request.ring
    while True:
        connection = sock.accept()
        if connection is None:
            if sock.end_of_file():
                return -errno.EINVAL
            if request.sqe.ioprio & IORING_ACCEPT_DONTWAIT:
                return -errno.EAGAIN
            await request.task.wait(sock.readable)
            continue
        result = accepted(request, connection)
        if not ring.post_more(request.user_data, result, IORING_CQE_F_MORE):
            return result


# Sending


def prep_send(request: Request) -> Issue:
    """io_sendmsg_prep."""
    sqe, t = request.sqe, request.task
    how = sqe.ioprio
    unused(how & ~(IORING_RECVSEND_POLL_FIRST | IORING_RECVSEND_BUNDLE))
    flags = sqe.op_flags | MSG_NOSIGNAL
    bundle = how & IORING_RECVSEND_BUNDLE
    selects = request.flags & IOSQE_BUFFER_SELECT
    if request.opcode == IORING_OP_SENDMSG:
        unused(sqe.off, sqe.splice_fd_in, bundle)
        return prep_sendmsg(request, flags)
    unused(sqe.splice_fd_in >> 16, bundle and not selects)
    name = read_address(t, sqe.off, sqe.splice_fd_in & 0xFFFF) if sqe.off else b""
    if selects:
        return lambda request: send_selected(request, flags, name)
    start, size = sqe.addr, min(sqe.len, MAX_RW)

    def buffers(done: int) -> Spans:
        return t.mm.buffer(start + done, size - done, READ)

    return lambda request: send(request, outgoing(request, flags, name), buffers, size)


def outgoing(request: Request, flags: int, name: bytes) -> Sending:
    message = Sending(flags)
    address(request.task, sock_of(request), message, name)
    return message


def prep_sendmsg(request: Request, flags: int) -> Issue:
    """The header is read when the entry is submitted, what it points to as well, but for the data."""
    t = request.task
    name_at, name_size, vec, count, control, control_size, _ = t.mm.unpack(MSGHDR, request.sqe.addr)
    name_size = check_header(name_at, name_size, count)
    name = read_address(t, name_at, name_size) if name_size else b""
    parts = t.mm.iovec_parts(vec, count)
    if control_size > OPTMEM_MAX:
        raise OSError(errno.ENOBUFS, "too much control data")
    data = t.mm.read(control, control_size) if control_size else b""
    if request.flags & IOSQE_BUFFER_SELECT:
        return lambda request: send_selected(request, flags, name)

    def buffers(done: int) -> Spans:
        return skip(t.mm.vector(parts, READ), done)

    def issue(request: Request) -> Result:
        message = outgoing(request, flags, name)
        if data:
            try:
                take_control(t, message, data)
            except OSError:
                t.kernel.unix.inflight.drop(message.files)
                raise
        return send(request, message, buffers, sum(size for _, size in parts))

    return issue


def send(request: Request, message: Sending, buffers: Buffers, size: int) -> Result:
    """io_send: as much as there is room for, all of it with MSG_WAITALL."""
    sock = sock_of(request)
    waits = False
    try:
        whole = sock.send(message, Cursor(buffers(0)))
        if whole or (message.sent and not message.flags & MSG_WAITALL):
            return message.sent
        if message.flags & MSG_DONTWAIT:
            return message.sent or -errno.EAGAIN
        waits = True
        return send_on(request, sock, message, buffers, size)
    finally:
        if message.files and not waits:
            request.task.kernel.unix.inflight.drop(message.files)


async def send_on(request: Request, sock: Sock, message: Sending, buffers: Buffers, size: int) -> int:
    try:
        while True:
            assert message.room is not None
            await request.task.wait(message.room)
            whole = sock.send(message, Cursor(buffers(message.sent)))
            if whole or (message.sent and not message.flags & MSG_WAITALL):
                break
    except (OSError, Interrupted):
        if not message.sent:
            raise
    finally:
        if message.files:
            request.task.kernel.unix.inflight.drop(message.files)
    if message.sent < size and message.flags & MSG_WAITALL:
        request.fail()
    return message.sent


def send_selected(request: Request, flags: int, name: bytes) -> Result:
    """What is sent is a provided buffer, or several of them (IORING_RECVSEND_BUNDLE)."""
    t, sqe = request.task, request.sqe
    if sqe.ioprio & IORING_RECVSEND_BUNDLE:
        chosen = limited(group_of(request).peek_many(MAX_BUNDLE), sqe.len)
        if not chosen:
            return -errno.ENOBUFS
    else:
        one = select(request)
        chosen = [one._replace(size=min(one.size, sqe.len or one.size))]
    parts = [(buffer.address, buffer.size) for buffer in chosen]
    size = sum(buffer.size for buffer in chosen)
    result = send(request, outgoing(request, flags, name), lambda done: skip(t.mm.vector(parts, READ), done), size)
    if not isinstance(result, int):
        call = result

        async def wait() -> int:
            assert call is not None
            done = await call
            use_many(request, done, chosen)
            return done

        return wait()
    if result >= 0:
        use_many(request, result, chosen)
    return result


def limited(chosen: list[Selected], size: int) -> list[Selected]:
    """The first of some buffers, as far as `size` bytes go; 0: all."""
    if not size:
        return chosen
    out = []
    for buffer in chosen:
        if size <= 0:
            break
        out.append(buffer._replace(size=min(buffer.size, size)))
        size -= buffer.size
    return out


# Receiving


def prep_recv(request: Request) -> Issue:
    """io_recvmsg_prep."""
    sqe, t = request.sqe, request.task
    how, flags = sqe.ioprio, sqe.op_flags
    unused(sqe.off, sqe.splice_fd_in)
    unused(how & ~(IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT | IORING_RECVSEND_BUNDLE))
    selects = request.flags & IOSQE_BUFFER_SELECT
    multishot, bundle = how & IORING_RECV_MULTISHOT, how & IORING_RECVSEND_BUNDLE
    if multishot:
        unused(not selects, flags & MSG_WAITALL, request.opcode == IORING_OP_RECV and sqe.len)
    unused(bundle and request.opcode == IORING_OP_RECVMSG, bundle and not selects)
    if request.opcode == IORING_OP_RECVMSG:
        return prep_recvmsg(request, flags)
    if selects:
        return recv_multishot if multishot else recv_selected
    start, size = sqe.addr, min(sqe.len, MAX_RW)

    def buffers(done: int) -> Spans:
        return t.mm.buffer(start + done, size - done, WRITE)

    def finish(message: Receiving) -> int:
        t.kernel.unix.inflight.drop(message.files)
        return message.copied

    return lambda request: receive(request, Receiving(flags), buffers, size, finish)


Finish = Callable[[Receiving], int]
"""Hands a message over, and its files."""


def receive(request: Request, message: Receiving, buffers: Buffers, size: int, finish: Finish) -> Result:
    """io_recv."""
    sock = sock_of(request)
    if sock.receive(message, Cursor(buffers(0))):
        return ended(request, message, size, finish)
    if message.flags & MSG_DONTWAIT:
        return ended(request, message, size, finish) if message.copied else -errno.EAGAIN
    return receive_on(request, sock, message, buffers, size, finish)


def ended(request: Request, message: Receiving, size: int, finish: Finish) -> int:
    if message.flags & MSG_WAITALL and message.copied < size:
        request.fail()
    return finish(message)


async def receive_on(
    request: Request, sock: Sock, message: Receiving, buffers: Buffers, size: int, finish: Finish
) -> int:
    try:
        while True:
            if sock.end_of_file():
                message.nothing = True
                break
            await request.task.wait(sock.readable)
            if sock.receive(message, Cursor(buffers(message.copied))):
                break
    except (OSError, Interrupted):
        if not message.copied:
            raise
    return ended(request, message, size, finish)


def prep_recvmsg(request: Request, flags: int) -> Issue:
    t, sqe = request.task, request.sqe
    msg = sqe.addr
    name_at, name_size, vec, count, control, control_size, _ = t.mm.unpack(MSGHDR, msg)
    multishot = sqe.ioprio & IORING_RECV_MULTISHOT
    if multishot:
        name_size = max(0, name_size)
        room = control_size
        return lambda request: recvmsg_multishot(request, flags, name_size, room)
    check_header(name_at, name_size, count)
    if request.flags & IOSQE_BUFFER_SELECT:
        unused(count > 1)
        limit = t.mm.iovec_parts(vec, count)[0][1] if count and t.mm.iovec_parts(vec, count) else 0
        parts: list[tuple[int, int]] = []
    else:
        limit = 0
        parts = t.mm.iovec_parts(vec, count)

    def finish(message: Receiving) -> int:
        assert request.file is not None
        out_flags, used = put_control(t, request.file, message, control, control_size)
        if name_at:
            store_address(t, message.source or b"", name_at, msg + NAMELEN_AT)
        t.mm.put_u32(msg + FLAGS_AT, out_flags | flags & MSG_CMSG_CLOEXEC)
        t.mm.put_u64(msg + CONTROLLEN_AT, used)
        return message.copied

    if request.flags & IOSQE_BUFFER_SELECT:
        return lambda request: receive_selected(request, flags, limit, finish)
    size = sum(part[1] for part in parts)
    return lambda request: receive(
        request, Receiving(flags), lambda done: skip(t.mm.vector(parts, WRITE), done), size, finish
    )


# Receiving into provided buffers


def recv_selected(request: Request) -> Result:
    t = request.task

    def finish(message: Receiving) -> int:
        t.kernel.unix.inflight.drop(message.files)
        return message.copied

    return receive_selected(request, request.sqe.op_flags, request.sqe.len, finish)


def receive_selected(request: Request, flags: int, limit: int, finish: Finish) -> Result:
    """One message, into the next buffer of a group or, of a bundle, as many as it takes."""
    result = try_selected(request, flags, limit, finish)
    if result is not None:
        return result
    if flags & MSG_DONTWAIT:
        return -errno.EAGAIN
    return receive_selected_on(request, flags, limit, finish)


async def receive_selected_on(request: Request, flags: int, limit: int, finish: Finish) -> int:
    sock = sock_of(request)
    while True:
        if sock.end_of_file():
            return 0
        await request.task.wait(sock.readable)
        result = try_selected(request, flags, limit, finish)
        if result is not None:
            return result


def choose(request: Request, limit: int) -> list[Selected]:
    """The buffers for a message.  Raises OSError(ENOBUFS)."""
    if request.sqe.ioprio & IORING_RECVSEND_BUNDLE:
        chosen = limited(group_of(request).peek_many(MAX_BUNDLE), limit)
        if not chosen:
            raise OSError(errno.ENOBUFS, "the group is empty")
        return chosen
    one = select(request)
    return [one._replace(size=min(one.size, limit or one.size, MAX_RW))]


def try_selected(request: Request, flags: int, limit: int, finish: Finish) -> int | None:
    """None: there is nothing yet."""
    chosen = choose(request, limit)
    message = Receiving(flags)
    parts = [(buffer.address, buffer.size) for buffer in chosen]
    if not sock_of(request).receive(message, Cursor(request.task.mm.vector(parts, WRITE))) and not message.copied:
        return None
    done = finish(message)
    if done:
        use_many(request, done, chosen)
    return done


async def recv_multishot(request: Request) -> int:
    """A completion for each message (IORING_RECV_MULTISHOT)."""
    sock, t, ring = sock_of(request), request.task, request.ring

    def finish(message: Receiving) -> int:
        t.kernel.unix.inflight.drop(message.files)
        return message.copied

    while True:
        done = try_selected(request, request.sqe.op_flags, 0, finish)
        if done is None:
            if sock.end_of_file():
                return 0
            await t.wait(sock.readable)
            continue
        flags, request.cqe_flags = request.cqe_flags, 0
        if done <= 0 or not ring.post_more(request.user_data, done, flags | IORING_CQE_F_MORE):
            request.cqe_flags = flags
            return done


async def recvmsg_multishot(request: Request, flags: int, name_room: int, control_room: int) -> int:
    """Each buffer begins with a struct io_uring_recvmsg_out, then come name, control data and payload."""
    sock, t, ring = sock_of(request), request.task, request.ring
    head = RECVMSG_OUT.size + name_room + control_room
    while True:
        (chosen,) = choose(request, 0)
        if chosen.size < head:
            return -errno.EFAULT
        message = Receiving(flags)
        if not sock.receive(message, Cursor(t.mm.buffer(chosen.address + head, chosen.size - head, WRITE))):
            if sock.end_of_file():
                message.nothing = True
            else:
                await t.wait(sock.readable)
                continue
        assert request.file is not None
        control_at = chosen.address + RECVMSG_OUT.size + name_room
        out_flags, used = put_control(t, request.file, message, control_at if control_room else 0, control_room)
        name = message.source or b""
        t.mm.pack(RECVMSG_OUT, chosen.address, len(name), used, message.copied, out_flags)
        t.mm.write(chosen.address + RECVMSG_OUT.size, name[:name_room])
        if message.nothing or not message.copied:
            return 0
        done = head + message.copied
        use(request, done)
        cqe_flags, request.cqe_flags = request.cqe_flags, 0
        if not ring.post_more(request.user_data, done, cqe_flags | IORING_CQE_F_MORE):
            request.cqe_flags = cqe_flags
            return done

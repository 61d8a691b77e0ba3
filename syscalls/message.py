"""Messages on sockets: send(2), recv(2) and their relatives, with what travels beside the bytes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import READ, WRITE
from kernel.cred import CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from kernel.pid import PidFd, find_get_pid
from kernel.rlimit import RLIMIT_NOFILE
from kernel.task import Again, Interrupted
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.io import MAX_RW, broken_pipe, read_again, skip
from syscalls.poll import timeout_ns
from syscalls.socket import (
    SOCKADDR_MAX,
    deadline_in,
    find_other,
    held,
    read_address,
    socket_file,
    store_address,
    sun_path,
    wait_until,
)
from vfs.file import O_NONBLOCK
from vfs.sock import (
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_WAITFORONE,
    OPTMEM_MAX,
    PASSCRED,
    PASSPIDFD,
    SOCK_STREAM,
    Cursor,
    Receiving,
    Sender,
    Sending,
    Sock,
    Ucred,
)
from vfs.unix_dgram import UnixDgram
from vfs.unix_sock import STREAM_HEAD

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File
    from vfs.pages import Spans

MSGHDR = Struct("<Qi4xQQQQi4x")  # name, namelen, iov, iovlen, control, controllen, flags
MMSGHDR_SIZE = 64  # struct mmsghdr: a msghdr and the number of bytes
NAMELEN_AT, CONTROLLEN_AT, FLAGS_AT, MSG_LEN_AT = 8, 40, 48, 56
CMSGHDR = Struct("<Qii")  # length, level, type
UCRED = Struct("<iII")
INT = Struct("<i")
TIMESPEC = Struct("<qq")
UIO_MAXIOV = 1024
SOL_SOCKET, SCM_RIGHTS, SCM_CREDENTIALS, SCM_PIDFD = 1, 1, 2, 4
SCM_MAX_FD = 253
OVERFLOW_ID = 65534
NS = 1_000_000_000

Buffer = Callable[[int], "Spans"]
"""The guest's buffer without its first bytes; asked again after each wait, for its memory may have moved."""


# Sending


def send(t: Task, file: File, message: Sending, spans: Spans, again: Buffer) -> Result:
    """sock_sendmsg.  `message` gives up its files."""
    sock = file.sock
    assert sock is not None
    if file.flags & O_NONBLOCK:
        message.flags |= MSG_DONTWAIT
    waits = False
    try:
        if sock.send(message, Cursor(spans)) or (message.flags & MSG_DONTWAIT and message.sent):
            return message.sent
        if message.flags & MSG_DONTWAIT:
            return -errno.EAGAIN
        waits = True
        return send_on(t, file, sock, message, again)
    except BrokenPipeError as error:
        broken(t, sock, message, error)
        raise
    finally:
        if message.files and not waits:
            t.kernel.unix.inflight.drop(message.files)


async def send_on(t: Task, file: File, sock: Sock, message: Sending, again: Buffer) -> int:
    """Wait for room, and go on.  What has been sent counts, whatever ends the call."""
    deadline = deadline_in(t, sock.sndtimeo)
    with held(file):
        try:
            while True:
                assert message.room is not None
                await wait_until(t, deadline, message.room)
                if sock.send(message, Cursor(again(message.sent))):
                    return message.sent
        except (OSError, Interrupted) as error:
            if message.sent:
                return message.sent
            if isinstance(error, BrokenPipeError):
                broken(t, sock, message, error)
            raise
        finally:
            if message.files:
                t.kernel.unix.inflight.drop(message.files)


def broken(t: Task, sock: Sock, message: Sending, error: OSError) -> None:
    """EPIPE: on a stream it comes with SIGPIPE."""
    if sock.sigpipe and not message.flags & MSG_NOSIGNAL:
        broken_pipe(t, error)


def write_on(t: Task, file: File, again: Buffer, done: int) -> Result:
    """write(2) to a socket that has to wait, after `done` bytes."""
    assert file.sock is not None
    message = Sending()
    message.sent = done
    message.room = file.sock.writable
    return written(t, send(t, file, message, again(done), again))


def written(t: Task, result: Result) -> Result:
    """Count what a write has moved."""
    if not isinstance(result, int):

        async def wait() -> int:
            done = await result
            t.write_bytes += done
            return done

        return wait()
    t.write_bytes += max(0, result)
    return result


def address(t: Task, sock: Sock, message: Sending, name: bytes) -> None:
    """Whom a message is for, if not the peer.  Raises OSError(EINVAL)."""
    if not name:
        return
    if type(sock) is UnixDgram:
        path = sun_path(name)
        message.find = lambda: find_other(t, path, sock.type)
    else:
        message.find = lambda: None  # connections have no other addressee


def sys_sendto(t: Task, fd: Int, buf: Ptr, count: ULong, flags: UInt, addr: Ptr, size: Int) -> Result:
    """sendto(2)."""
    count = min(count, MAX_RW) if count > MAX_RW else count
    spans = t.mm.buffer(buf, count, READ)
    file = socket_file(t, fd)
    assert file.sock is not None
    if not (addr or flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT)) and count <= STREAM_HEAD and file.sock.type == SOCK_STREAM:
        try:
            return file.sock.write(spans)  # the usual case, by the shortest way
        except (BlockingIOError, BrokenPipeError):
            pass
    message = Sending(flags)
    if addr:
        address(t, file.sock, message, read_address(t, addr, size))
    return send(t, file, message, spans, lambda done: t.mm.buffer(buf + done, count - done, READ))


def sys_sendmsg(t: Task, fd: Int, msg: Ptr, flags: UInt) -> Result:
    """sendmsg(2)."""
    return sendmsg(t, socket_file(t, fd), msg, flags)


def sendmsg(t: Task, file: File, msg: int, flags: int) -> Result:
    name_at, name_size, vec, count, control, control_size, _ = t.mm.unpack(MSGHDR, msg)
    sock = file.sock
    assert sock is not None
    message = Sending(flags)
    name_size = check_header(name_at, name_size, count)
    name = read_address(t, name_at, name_size) if name_size else b""
    spans = t.mm.iovec(vec, count, READ)
    if control_size > 0x7FFFFFFF or control_size > OPTMEM_MAX:
        return -errno.ENOBUFS
    try:
        if control_size:
            take_control(t, message, t.mm.read(control, control_size))
        address(t, sock, message, name)
    except OSError:
        t.kernel.unix.inflight.drop(message.files)
        raise
    return send(t, file, message, spans, lambda done: skip(t.mm.iovec(vec, count, READ), done))


def check_header(name_at: int, name_size: int, count: int) -> int:
    """The length of the name in a struct msghdr.  Raises OSError(EINVAL, EMSGSIZE)."""
    if not name_at:
        name_size = 0
    if name_size < 0:
        raise OSError(errno.EINVAL, "negative length")
    if count > UIO_MAXIOV:
        raise OSError(errno.EMSGSIZE, "too many buffers")
    return min(name_size, SOCKADDR_MAX)


def take_control(t: Task, message: Sending, data: bytes) -> None:
    """scm_send: what is to travel with a message.  Raises OSError(EINVAL, EBADF, EPERM, ESRCH); the files
    taken so far are in `message`."""
    at = 0
    while at + CMSGHDR.size <= len(data):
        size, level, kind = CMSGHDR.unpack_from(data, at)
        if not CMSGHDR.size <= size <= len(data) - at:
            raise OSError(errno.EINVAL, "bad control message")
        body = data[at + CMSGHDR.size : at + size]
        at += (size + 7) & ~7
        if level != SOL_SOCKET:
            continue
        if kind == SCM_RIGHTS:
            take_files(t, message, body)
        elif kind == SCM_CREDENTIALS and len(body) == UCRED.size:
            message.creds = checked_creds(t, Ucred(*UCRED.unpack(body)))
        else:
            raise OSError(errno.EINVAL, "unknown control message")


def take_files(t: Task, message: Sending, body: bytes) -> None:
    """scm_fp_copy."""
    count = len(body) // 4
    if count > SCM_MAX_FD or len(message.files) + count > SCM_MAX_FD:
        raise OSError(errno.EINVAL, "too many descriptors")
    for (fd,) in Struct("<i").iter_unpack(body[: 4 * count]):
        file = t.files.get(fd)
        if not file.passable:
            raise OSError(errno.EINVAL, "cannot be passed on")
        file.refs += 1
        message.files.append(file)
    unlimited = t.cred.capable(CAP_SYS_RESOURCE) or t.cred.capable(CAP_SYS_ADMIN)
    message.user = Sender(t.cred.uid, None if unlimited else t.rlimits[RLIMIT_NOFILE][0])


def checked_creds(t: Task, creds: Ucred) -> Ucred:
    """scm_check_creds: only the privileged may send credentials that are not their own."""
    cred = t.cred
    if (
        not (creds.pid == t.tgid or cred.capable(CAP_SYS_ADMIN))
        or not (creds.uid in (cred.uid, cred.euid, cred.suid) or cred.capable(CAP_SETUID))
        or not (creds.gid in (cred.gid, cred.egid, cred.sgid) or cred.capable(CAP_SETGID))
    ):
        raise OSError(errno.EPERM, "somebody else's credentials")
    return creds._replace(process=find_get_pid(t.kernel, creds.pid))


async def sys_sendmmsg(t: Task, fd: Int, vec: Ptr, count: UInt, flags: UInt) -> int:
    """sendmmsg(2)."""
    file = socket_file(t, fd)
    done = 0
    with held(file):
        for at in range(vec, vec + min(count, UIO_MAXIOV) * MMSGHDR_SIZE, MMSGHDR_SIZE):
            try:
                result = sendmsg(t, file, at, flags)
                size = result if isinstance(result, int) else await result
                if size < 0:
                    raise OSError(-size, "not sent")
                t.mm.put_u32(at + MSG_LEN_AT, size)
            except (OSError, Interrupted):
                if not done:
                    raise
                break
            done += 1
    return done


# Receiving


def receive(
    t: Task, file: File, message: Receiving, spans: Spans, again: Buffer, finish: Callable[[Receiving], int]
) -> Result:
    """sock_recvmsg; `finish` hands the message over, and its files."""
    sock = file.sock
    assert sock is not None
    if file.flags & O_NONBLOCK:
        message.flags |= MSG_DONTWAIT
    if sock.receive(message, Cursor(spans)):
        return finish(message)
    if not message.flags & MSG_DONTWAIT:
        return receive_on(t, file, sock, message, again, finish)
    return finish(message) if message.copied else -errno.EAGAIN


async def receive_on(
    t: Task, file: File, sock: Sock, message: Receiving, again: Buffer, finish: Callable[[Receiving], int]
) -> int:
    """Wait for data, and go on.  What has been received counts, whatever ends the call."""
    deadline = deadline_in(t, sock.rcvtimeo)
    with held(file):
        try:
            while True:
                if sock.end_of_file():
                    message.nothing = True
                    break
                await wait_until(t, deadline, sock.readable)
                if sock.receive(message, Cursor(again(message.copied))):
                    break
        except (OSError, Interrupted):
            if not message.copied:
                raise
        return finish(message)


def bytes_on(file: File, sock: Sock, again: Buffer) -> Again:
    """Wait for the bytes of a stream that is read in the usual way."""

    def attempt() -> int | None:
        try:
            return sock.read(again(0))
        except BlockingIOError:
            return None

    file.refs += 1
    return Again(attempt, (sock.readable,), file.put)


def usual(sock: Sock) -> bool:
    """Whether a read waits until there is anything, however long that takes."""
    return sock.type == SOCK_STREAM and not sock.special and sock.rcvtimeo is None


def read_on(t: Task, file: File, fill: Callable[[int, int, int], Spans], at: int, count: int) -> Result:
    """read(2) of a socket that has to wait, into what `fill` says of the address `at`."""
    sock = file.sock
    if sock is not None and usual(sock):
        file.refs += 1
        return Again(partial(read_again, t, file, fill, at, count), (sock.readable,), file.put)

    def again(done: int) -> Spans:
        return skip(fill(at, count, WRITE), done)

    def finish(message: Receiving) -> int:
        t.kernel.unix.inflight.drop(message.files)
        t.read_calls += 1
        t.read_bytes += message.copied
        return message.copied

    return receive(t, file, Receiving(), again(0), again, finish)


def sys_recvfrom(t: Task, fd: Int, buf: Ptr, count: ULong, flags: UInt, addr: Ptr, size: Ptr) -> Result:
    """recvfrom(2)."""
    count = min(count, MAX_RW) if count > MAX_RW else count
    spans = t.mm.buffer(buf, count, WRITE)
    file = socket_file(t, fd)
    assert file.sock is not None
    if not (addr or flags & ~MSG_DONTWAIT) and count and file.sock.type == SOCK_STREAM:
        try:
            return file.sock.read(spans)
        except BlockingIOError:
            if usual(file.sock):
                if flags or file.flags & O_NONBLOCK:
                    return -errno.EAGAIN
                return bytes_on(file, file.sock, lambda done: t.mm.buffer(buf, count, WRITE))

    def finish(message: Receiving) -> int:
        t.kernel.unix.inflight.drop(message.files)
        if addr:
            store_address(t, message.source or b"", addr, size)
        return message.copied

    return receive(t, file, Receiving(flags), spans, lambda done: t.mm.buffer(buf + done, count - done, WRITE), finish)


def sys_recvmsg(t: Task, fd: Int, msg: Ptr, flags: UInt) -> Result:
    """recvmsg(2)."""
    return recvmsg(t, socket_file(t, fd), msg, flags)


def recvmsg(t: Task, file: File, msg: int, flags: int) -> Result:
    name_at, name_size, vec, count, control, control_size, _ = t.mm.unpack(MSGHDR, msg)
    check_header(name_at, name_size, count)
    spans = t.mm.iovec(vec, count, WRITE)

    def finish(message: Receiving) -> int:
        out_flags, used = put_control(t, file, message, control, control_size)
        if name_at:
            store_address(t, message.source or b"", name_at, msg + NAMELEN_AT)
        t.mm.put_u32(msg + FLAGS_AT, out_flags | flags & MSG_CMSG_CLOEXEC)
        t.mm.put_u64(msg + CONTROLLEN_AT, used)
        return message.copied

    return receive(t, file, Receiving(flags), spans, lambda done: skip(t.mm.iovec(vec, count, WRITE), done), finish)


def put_control(t: Task, file: File, message: Receiving, control: int, room: int) -> tuple[int, int]:
    """scm_recv: store what came with a message; msg_flags, and the bytes used."""
    sock = file.sock
    assert sock is not None
    if message.nothing:
        return 0, 0
    flags = message.out_flags
    at = control
    files = message.files
    if not control:
        if sock.passcred or files:
            flags |= MSG_CTRUNC
        room = 0
    elif sock.passcred & PASSCRED:
        creds = message.creds or Ucred(0, OVERFLOW_ID, OVERFLOW_ID)
        used, whole = put_cmsg(t, at, room, SCM_CREDENTIALS, UCRED.pack(*creds[:3]))
        if not whole:
            flags |= MSG_CTRUNC
        at += used
        room -= used
    try:
        if files and control:
            used, whole = put_files(t, at, room, files, message.flags & MSG_CMSG_CLOEXEC != 0)
            if not whole:
                flags |= MSG_CTRUNC
            at += used
            room -= used
        if control and sock.passcred & PASSPIDFD:
            used, whole = put_pidfd(t, at, room, message.creds)
            if not whole:
                flags |= MSG_CTRUNC
            at += used
    finally:
        t.kernel.unix.inflight.drop(files)
    return flags, at - control


def put_cmsg(t: Task, at: int, room: int, kind: int, body: bytes) -> tuple[int, bool]:
    """One control message, cut off where the room ends: the bytes it takes, and whether it is whole."""
    if room < CMSGHDR.size:
        return 0, False
    size = CMSGHDR.size + len(body)
    try:
        t.mm.write(at, (CMSGHDR.pack(min(size, room), SOL_SOCKET, kind) + body)[:room])
    except OSError:
        return 0, True  # as Linux: nobody is told
    return min((size + 7) & ~7, room), size <= room


def put_files(t: Task, at: int, room: int, files: list[File], cloexec: bool) -> tuple[int, bool]:
    """scm_detach_fds: descriptors for as many files as there is room for; the bytes used, and whether all
    have one."""
    done = 0
    for file in files[: max(0, room - CMSGHDR.size) // 4]:
        try:
            fd = t.files.unused()
            t.mm.put_u32(at + CMSGHDR.size + 4 * done, fd)
        except OSError:
            break
        t.files.install(file, cloexec)
        done += 1
    if not done:
        return 0, False
    size = CMSGHDR.size + 4 * done
    try:
        t.mm.pack(CMSGHDR, at, size, SOL_SOCKET, SCM_RIGHTS)
    except OSError:
        return 0, done == len(files)
    return min((size + 7) & ~7, room), done == len(files)


def put_pidfd(t: Task, at: int, room: int, creds: Ucred | None) -> tuple[int, bool]:
    """scm_pidfd_recv: a descriptor of the sender; the bytes used, and whether there was room.  Where no
    descriptor can be had, the message says why."""
    if room < CMSGHDR.size + 4:
        return 0, False
    if creds is None or creds.process is None:
        return 0, True
    try:
        fd = t.files.unused()
    except OSError as error:
        fd = -(error.errno or errno.EMFILE)
    used, whole = put_cmsg(t, at, room, SCM_PIDFD, INT.pack(fd))
    if used and fd >= 0:
        t.files.install(PidFd(creds.process, 0), cloexec=True)
    return used, whole


async def sys_recvmmsg(t: Task, fd: Int, vec: Ptr, count: UInt, flags: UInt, timeout: Ptr) -> int:
    """recvmmsg(2): the time-out is looked at after each message, as on Linux."""
    deadline = deadline_in(t, timeout_ns(t, timeout, 1))
    file = socket_file(t, fd)
    sock = file.sock
    assert sock is not None
    sock.raise_error()
    done = 0
    with held(file):
        for at in range(vec, vec + min(count, UIO_MAXIOV) * MMSGHDR_SIZE, MMSGHDR_SIZE):
            try:
                result = recvmsg(t, file, at, flags & ~MSG_WAITFORONE)
                size = result if isinstance(result, int) else await result
                if size < 0:
                    raise OSError(-size, "not received")
                t.mm.put_u32(at + MSG_LEN_AT, size)
            except (OSError, Interrupted) as error:
                if not done:
                    raise
                if isinstance(error, OSError) and error.errno not in (errno.EAGAIN, errno.EINTR):
                    sock.error = error.errno or errno.EIO
                break
            done += 1
            if flags & MSG_WAITFORONE:
                flags |= MSG_DONTWAIT
            if deadline is not None and t.kernel.clock.monotonic_ns() >= deadline:
                break
    if deadline is not None and done:
        left = max(0, deadline - t.kernel.clock.monotonic_ns())
        t.mm.pack(TIMESPEC, timeout, left // NS, left % NS)
    return done

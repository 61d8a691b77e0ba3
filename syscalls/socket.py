"""Sockets: making, naming and connecting them.  Messages are in message.py, options in sockopt.py."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_IFSOCK
from struct import Struct
from typing import TYPE_CHECKING

from kernel.task import Interrupted
from syscalls.abi import Int, Ptr, Result
from syscalls.dirs import new_name
from syscalls.paths import find
from vfs.file import O_CLOEXEC, O_NONBLOCK, File
from vfs.sock import SOMAXCONN, Sock
from vfs.unix import AF_UNIX, UnixSock
from vfs.unix_dgram import UnixDgram
from vfs.unix_sock import SUN_PATH_MAX, UnixConnected

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.wait import WaitQueue

AF_UNSPEC, AF_NETLINK, AF_MAX, SOCK_MAX = 0, 16, 46, 11
SOCK_CLOEXEC, SOCK_NONBLOCK = O_CLOEXEC, O_NONBLOCK
SOCK_TYPE_MASK = 0xF
FAMILY_SIZE = 2  # sizeof sa_family_t
SOCKADDR_MAX = 128  # sizeof(struct sockaddr_storage)
W_OK = 2
TWO_FDS = Struct("<ii")

# What all calls on sockets need


def socket_file(t: Task, fd: int) -> File:
    """The socket behind a descriptor.  Raises OSError(EBADF, ENOTSOCK)."""
    file = t.files.get_io(fd)
    if file.sock is None:
        raise OSError(errno.ENOTSOCK, "not a socket")
    return file


def get_sock(t: Task, fd: int) -> Sock:
    sock = socket_file(t, fd).sock
    assert sock is not None
    return sock


def read_address(t: Task, address: int, size: int) -> bytes:
    """move_addr_to_kernel: a struct sockaddr.  Raises OSError(EINVAL, EFAULT)."""
    if not 0 <= size <= SOCKADDR_MAX:
        raise OSError(errno.EINVAL, "bad length of an address")
    return t.mm.read(address, size)


def store_address(t: Task, name: bytes, address: int, size_at: int) -> None:
    """move_addr_to_user: as much of `name` as the caller has room for, and its whole size."""
    room = t.mm.u32(size_at)
    if room >> 31:
        raise OSError(errno.EINVAL, "negative length")
    t.mm.write(address, name[:room])
    t.mm.put_u32(size_at, len(name))


def deadline_in(t: Task, timeout: int | None) -> int | None:
    """When a call that waits `timeout` nanoseconds gives up."""
    return None if timeout is None else t.kernel.clock.monotonic_ns() + timeout


async def wait_until(t: Task, deadline: int | None, queue: WaitQueue) -> None:
    """Wait for `queue`.  Raises BlockingIOError when `deadline` has passed.  A signal ends a wait with a
    deadline with EINTR, handler or not (sock_intr_errno); otherwise it raises Interrupted."""
    if deadline is None:
        await t.wait(queue)
        return
    left = deadline - t.kernel.clock.monotonic_ns()
    if left <= 0:
        raise BlockingIOError(errno.EAGAIN, "timed out")
    try:
        await t.wait(queue, timeout_ns=left)
    except Interrupted:
        raise InterruptedError(errno.EINTR, "interrupted") from None


@contextmanager
def held(file: File) -> Iterator[None]:
    """A reference while a call waits: another thread may close the descriptor (fdget)."""
    file.refs += 1
    try:
        yield
    finally:
        file.put()


# Making


def sys_socket(t: Task, family: Int, type: Int, protocol: Int) -> Result:
    """socket(2)."""
    file = make_socket(t, family, type, protocol)
    return t.files.install(file, type & SOCK_CLOEXEC != 0)


def make_socket(t: Task, family: int, type: int, protocol: int) -> File:
    """A socket without a descriptor.  Raises OSError(EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT)."""
    check_types(type)
    type &= SOCK_TYPE_MASK | SOCK_NONBLOCK
    if 0 <= family < AF_MAX and type & SOCK_TYPE_MASK >= SOCK_MAX:
        raise OSError(errno.EINVAL, "no such type of socket")
    if family == AF_NETLINK:
        from vfs.netlink import netlink_socket

        return netlink_socket(type & SOCK_TYPE_MASK, type & SOCK_NONBLOCK, protocol, t.cred.fsuid, t.cred.fsgid)
    if family != AF_UNIX:
        raise OSError(errno.EAFNOSUPPORT, "address family not supported")
    if protocol not in (0, AF_UNIX):
        raise OSError(errno.EPROTONOSUPPORT, "no such protocol")
    return t.kernel.unix.socket(type & SOCK_TYPE_MASK, type & SOCK_NONBLOCK, t.cred.fsuid, t.cred.fsgid)


def check_types(type: int) -> None:
    """Raises OSError(EINVAL) for flags beside the type that a socket does not have."""
    if type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK):
        raise OSError(errno.EINVAL, "unknown flags")


def sys_socketpair(t: Task, family: Int, type: Int, protocol: Int, fds: Ptr) -> Result:
    """socketpair(2)."""
    check_types(type)
    files = t.files
    first = files.unused()
    second = files.unused(first + 1)
    t.mm.pack(TWO_FDS, fds, first, second)
    pair = make_socket(t, family, type, protocol), make_socket(t, family, type, protocol)
    t.kernel.unix.connect_pair(*pair)
    for file in pair:
        files.install(file, type & SOCK_CLOEXEC != 0)
    return 0


# Names


def sun_path(address: bytes) -> bytes:
    """The name in a struct sockaddr_un (unix_validate_addr, unix_mkname_bsd): a path, or with a NUL in front
    an abstract name, whose length is that of the address.  Raises OSError(EINVAL)."""
    if not FAMILY_SIZE < len(address) <= FAMILY_SIZE + SUN_PATH_MAX or address[0] | address[1] << 8 != AF_UNIX:
        raise OSError(errno.EINVAL, "not an address of this family")
    name = address[FAMILY_SIZE:]
    return name if name[0] == 0 else name.split(b"\0", 1)[0]


def find_other(t: Task, name: bytes, type: int) -> UnixSock:
    """unix_find_other: the socket called `name`.  Raises OSError(ECONNREFUSED, EPROTOTYPE), and what a walk
    of the path does."""
    net = t.kernel.unix
    if name[0] == 0:
        other = net.abstract.get((type, name))
    else:
        place = find(t, t.fs.cwd, name)
        place.node.access(W_OK)
        other = net.bound.get(place.node.identity()) if place.node.kind() == S_IFSOCK else None
    if other is None:
        raise OSError(errno.ECONNREFUSED, "nobody has that name")
    if other.type != type:
        raise OSError(errno.EPROTOTYPE, "another type of socket")
    return other


def sys_bind(t: Task, fd: Int, address: Ptr, size: Int) -> Result:
    """bind(2)."""
    sock = get_sock(t, fd)
    return bind(t, sock, read_address(t, address, size))


def bind(t: Task, sock: Sock, name: bytes) -> int:
    """__sys_bind_socket."""
    if sock.family == AF_NETLINK:
        sock.bind(name, t.tgid)
        return 0
    assert isinstance(sock, UnixSock)
    if name == b"\1\0":
        t.kernel.unix.autobind(sock)
        return 0
    path = sun_path(name)
    if path[0] == 0:
        t.kernel.unix.bind_abstract(sock, path)
        return 0
    return bind_path(t, sock, path)


def bind_path(t: Task, sock: UnixSock, path: bytes) -> int:
    """unix_bind_bsd: make an inode for the socket.  It has the mode of the socket itself."""
    assert sock.file is not None
    mode = sock.file.stat().st_mode & ~t.fs.umask
    try:
        parent, name = new_name(t, t.fs.cwd, path)
        parent.node.mknod(name, mode, 0)
    except OSError as error:
        return -errno.EADDRINUSE if error.errno == errno.EEXIST else -(error.errno or errno.EIO)
    if sock.name is not None:
        parent.node.unlink(name)
        return -errno.EINVAL
    t.kernel.unix.bind_node(sock, path, parent.node.lookup(name))
    if parent.mount.watches is not None:
        parent.mount.watches.created(parent, name)
    return 0


def sys_getsockname(t: Task, fd: Int, address: Ptr, size: Ptr) -> Result:
    """getsockname(2)."""
    store_address(t, get_sock(t, fd).sockname(), address, size)
    return 0


def sys_getpeername(t: Task, fd: Int, address: Ptr, size: Ptr) -> Result:
    """getpeername(2)."""
    store_address(t, get_sock(t, fd).peername(), address, size)
    return 0


# Connecting


def sys_listen(t: Task, fd: Int, backlog: Int) -> Result:
    """listen(2)."""
    get_sock(t, fd).listen(backlog if 0 <= backlog <= SOMAXCONN else SOMAXCONN)
    return 0


def sys_connect(t: Task, fd: Int, address: Ptr, size: Int) -> Result:
    """connect(2), which looks at the address before it knows that there is a socket."""
    t.files.get_io(fd)
    name = read_address(t, address, size)
    return connect(t, socket_file(t, fd), name)


def connect(t: Task, file: File, name: bytes) -> Result:
    """__sys_connect_file."""
    sock = file.sock
    assert sock is not None
    if isinstance(sock, UnixConnected):
        path = sun_path(name)
        autobind(t, sock)
        if sock.connect(find_other(t, path, sock.type)):
            return 0
        return -errno.EAGAIN if file.flags & O_NONBLOCK else connect_on(t, file, sock, path)
    if sock.family == AF_NETLINK:
        sock.connect_name(name, t.tgid)
        return 0
    assert isinstance(sock, UnixDgram)
    if len(name) < FAMILY_SIZE:
        return -errno.EINVAL
    if name[0] | name[1] << 8 == AF_UNSPEC:
        sock.connect_to(None)
    else:
        path = sun_path(name)
        autobind(t, sock)
        sock.connect_to(find_other(t, path, sock.type))
    return 0


def autobind(t: Task, sock: UnixSock) -> None:
    """A socket that asks for credentials gets a name, so that it can be answered."""
    if sock.passcred:
        t.kernel.unix.autobind(sock)


async def connect_on(t: Task, file: File, sock: UnixConnected, path: bytes) -> int:
    """Wait for room in the listener's queue."""
    deadline = deadline_in(t, sock.sndtimeo)
    with held(file):
        while True:
            listener = find_other(t, path, sock.type)
            if sock.connect(listener):
                return 0
            await wait_until(t, deadline, listener.peer_wait)


def sys_accept(t: Task, fd: Int, address: Ptr, size: Ptr) -> Result:
    """accept(2)."""
    return sys_accept4(t, fd, address, size, 0)


def sys_accept4(t: Task, fd: Int, address: Ptr, size: Ptr, flags: Int) -> Result:
    """accept4(2)."""
    if flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK):
        return -errno.EINVAL
    t.files.get_io(fd)
    t.files.unused()
    file = socket_file(t, fd)
    assert file.sock is not None
    connection = file.sock.accept()
    if connection is not None:
        return accepted(t, connection, address, size, flags)
    if file.flags & O_NONBLOCK:
        return -errno.EAGAIN
    return accept_on(t, file, file.sock, address, size, flags)


async def accept_on(t: Task, file: File, sock: Sock, address: int, size: int, flags: int) -> int:
    deadline = deadline_in(t, sock.rcvtimeo)
    with held(file):
        while True:
            if sock.end_of_file():
                return -errno.EINVAL
            await wait_until(t, deadline, sock.readable)
            connection = sock.accept()
            if connection is not None:
                return accepted(t, connection, address, size, flags)


def accepted(t: Task, connection: Sock, address: int, size: int, flags: int) -> int:
    """A descriptor for a new connection.  One that cannot be handed over is closed."""
    file = connection.open(flags & SOCK_NONBLOCK, t.cred.fsuid, t.cred.fsgid)
    if address:
        try:
            store_address(t, connection.peername(), address, size)
        except OSError:
            file.last_put()
            raise
    return t.files.install(file, flags & SOCK_CLOEXEC != 0)


def sys_shutdown(t: Task, fd: Int, how: Int) -> Result:
    """shutdown(2)."""
    sock = get_sock(t, fd)
    if not 0 <= how <= 2:
        return -errno.EINVAL
    sock.shut_down(how + 1)
    return 0

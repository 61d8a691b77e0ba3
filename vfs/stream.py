"""Streams of the host that a guest inherits: pipes, terminals, sockets and character devices.

They have no counterpart in our own tree.  An inherited description is shared with whoever started
lxrun (the user's shell, as a rule), so its O_NONBLOCK is never touched.  Where the host lets a pipe or
a terminal be opened anew (/proc/self/fd on Linux), data moves through that second description, which
does not block; elsewhere through the inherited one, after asking poll(2), and in pieces small enough
that a descriptor that is ready takes them without waiting.
"""

from __future__ import annotations

import errno
import os
import select
import stat as stat_bits
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vfs.anon import PIPEFS_MAGIC
from vfs.file import O_ACCMODE, O_APPEND, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, File
from vfs.fscred import permission
from vfs.node import Node, StatFs, StatLike
from vfs.outside import outside
from vfs.wait import POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRNORM, HostQueue, WaitQueue

if TYPE_CHECKING:
    from vfs.devfs import Terminals
    from vfs.pages import Spans

IOV_MAX = 1024
HOST_EVENTS = POLLIN | POLLOUT | POLLPRI | (POLLRDHUP if hasattr(select, "POLLRDHUP") else 0)
SIGTTIN, SIGTTOU = 21, 22
PIPE_BUF = 4096  # what a pipe that polls writable takes without blocking


class HostStreamNode(Node):
    """The inode behind an inherited descriptor, as the host shows it."""

    __slots__ = ("fd", "terminals")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.terminals: Terminals | None = None  # whose job control binds those who read, if it is a terminal

    def stat(self) -> StatLike:
        return os.fstat(self.fd)

    def open(self, flags: int, name: bytes) -> File:
        """A description of its own for the same stream (/proc/self/fd/N, /dev/stdin)."""
        return host_stream(self.fd, flags & (O_ACCMODE | O_NONBLOCK), name, node=self)

    def access(self, mode: int) -> None:
        info = os.fstat(self.fd)
        permission(info.st_mode, info.st_uid, info.st_gid, mode)

    def chmod(self, mode: int) -> None:
        outside.changed = True
        os.fchmod(self.fd, mode)

    def chown(self, uid: int, gid: int) -> None:
        outside.changed = True
        os.fchown(self.fd, uid, gid)

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        outside.changed = True
        info = os.fstat(self.fd)
        atime = info.st_atime_ns if atime_ns is None else atime_ns
        os.utime(self.fd, ns=(atime, info.st_mtime_ns if mtime_ns is None else mtime_ns))

    def statfs(self) -> StatFs:
        return StatFs(PIPEFS_MAGIC)


class HostStream(File):
    """A stream whose host descriptor `fd` does not block.

    `given` is the inherited descriptor; `owned` says whether it is ours to close.
    """

    __slots__ = ("_poll", "fd", "given", "owned")

    completes = True
    pollable = True

    def __init__(self, node: Node, flags: int, name: bytes, fd: int, given: int, owned: bool) -> None:
        super().__init__(node, flags, name)
        self.fd = fd
        self.given = given
        self.owned = owned
        self._poll: select.poll | None = None

    def read(self, spans: Spans) -> int:
        if not spans:
            return 0
        if len(spans) > IOV_MAX:
            spans = spans[:IOV_MAX]
        count = os.readv(self.fd, spans)
        if outside.input is not None:
            outside.took(self.given, spans, count)
        return count

    def write(self, spans: Spans) -> int:
        if not spans:
            return 0
        outside.changed = True
        return os.writev(self.fd, spans if len(spans) <= IOV_MAX else spans[:IOV_MAX])

    def poll(self) -> int:
        ready = self.host_poll(HOST_EVENTS)
        if ready & POLLIN:
            ready |= POLLRDNORM
        if ready & POLLOUT:
            ready |= POLLWRNORM
        return ready

    def host_poll(self, events: int) -> int:
        """The host's poll(2), without waiting, on one reused object."""
        watch = self._poll
        if watch is None:
            watch = self._poll = select.poll()
        watch.register(self.fd, events)
        for _, ready in watch.poll(0):
            return ready
        return 0

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (HostQueue(self.fd, events & (POLLIN | POLLOUT | POLLPRI | POLLRDHUP) or POLLPRI),)

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        from vfs.hosttty import host_ioctl

        return host_ioctl(self, task, request, arg)

    def release(self) -> None:
        if self.fd != self.given:
            os.close(self.fd)
        if self.owned:
            if isinstance(self.node, HostStreamNode) and self.node.fd == self.given:
                self.node.fd = -1  # the number may soon mean another file
            give_up(self.given)


class PolledStream(HostStream):
    """A stream that only has the inherited description, which may block: ask poll(2) first."""

    __slots__ = ()

    def read(self, spans: Spans) -> int:
        if not spans:
            return 0
        if not self.host_poll(POLLIN):
            raise BlockingIOError(errno.EAGAIN, "nothing to read")
        return super().read(spans)

    def write(self, spans: Spans) -> int:
        """Write pieces of at most PIPE_BUF bytes, each only when poll says that it fits."""
        done = 0
        outside.changed = True
        for span in spans:
            for start in range(0, len(span), PIPE_BUF):
                if not self.host_poll(POLLOUT):
                    if done:
                        return done
                    raise BlockingIOError(errno.EAGAIN, "no room")
                piece = span[start : start + PIPE_BUF]
                wrote = os.write(self.fd, piece)
                done += wrote
                if wrote < len(piece):
                    return done
        return done


class TerminalAccess(HostStream):
    """The terminal that controls lxrun, and with it sessions of the guest."""

    __slots__ = ("terminals",)

    terminals: Terminals

    def before_read(self) -> None:
        tty = self.terminals.host_tty
        if tty is not None:
            self.terminals.jobs.check(tty, SIGTTIN)

    def before_write(self) -> None:
        tty = self.terminals.host_tty
        if tty is not None and self.terminals.jobs.background(tty):
            import termios

            if termios.tcgetattr(self.fd)[3] & termios.TOSTOP:
                self.terminals.jobs.check(tty, SIGTTOU)


class HostTerminal(TerminalAccess):
    """It, through a description of our own."""

    __slots__ = ()

    def read(self, spans: Spans) -> int:
        self.before_read()
        return super().read(spans)

    def write(self, spans: Spans) -> int:
        self.before_write()
        return super().write(spans)


class PolledTerminal(TerminalAccess, PolledStream):
    """It, through the inherited description."""

    __slots__ = ()

    def read(self, spans: Spans) -> int:
        self.before_read()
        return PolledStream.read(self, spans)

    def write(self, spans: Spans) -> int:
        self.before_write()
        return PolledStream.write(self, spans)


class HostSocket(HostStream):
    """An inherited socket: each call says for itself that it does not wait."""

    __slots__ = ("socket",)

    def __init__(self, node: HostStreamNode, flags: int, name: bytes, given: int, owned: bool) -> None:
        import socket

        super().__init__(node, flags, name, given, given, owned)
        self.socket = socket.socket(fileno=os.dup(given))

    def read(self, spans: Spans) -> int:
        import socket

        if not spans:
            return 0
        count = self.socket.recvmsg_into(spans[:IOV_MAX], 0, socket.MSG_DONTWAIT)[0]
        if outside.input is not None:
            outside.took(self.given, spans[:IOV_MAX], count)
        return count

    def write(self, spans: Spans) -> int:
        import socket

        outside.changed = True
        return self.socket.sendmsg(spans[:IOV_MAX], [], socket.MSG_DONTWAIT) if spans else 0

    def release(self) -> None:
        self.socket.close()
        super().release()


def give_up(fd: int) -> None:
    """Close one of lxrun's own descriptors on the guest's behalf.  0, 1 and 2 become /dev/null, so that
    no file opened later takes a number that Python prints to."""
    outside.changed = True
    if fd > 2:
        os.close(fd)
        return
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, fd)
    os.close(null)


def reopened(fd: int, flags: int) -> int:
    """A second description of the pipe or terminal behind `fd`, with O_NONBLOCK; -1 if the host has none."""
    if os.environ.get("LXRUN_HOST") == "portable":
        return -1
    mode = {O_RDONLY: os.O_RDONLY, O_WRONLY: os.O_WRONLY}.get(flags & O_ACCMODE, os.O_RDWR)
    try:
        return os.open(f"/proc/self/fd/{fd}", mode | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1


def host_flags(fd: int) -> int:
    """Linux's open flags of a host descriptor."""
    import fcntl

    host = fcntl.fcntl(fd, fcntl.F_GETFL)
    mode = {os.O_RDONLY: O_RDONLY, os.O_WRONLY: O_WRONLY}.get(host & os.O_ACCMODE, O_RDWR)
    if host & os.O_APPEND:
        mode |= O_APPEND
    if host & os.O_NONBLOCK:
        mode |= O_NONBLOCK
    return mode


def host_stream(
    fd: int, flags: int, name: bytes, *, owned: bool = False, node: HostStreamNode | None = None
) -> HostStream:
    """An open file description for the host's pipe, terminal, socket or device behind `fd`."""
    node = node or HostStreamNode(fd)
    mode = node.stat().st_mode
    if stat_bits.S_ISSOCK(mode):
        return HostSocket(node, flags, name, fd, owned)
    # Opening a device anew may do something else than sharing it (/dev/ptmx makes a new terminal).
    own = reopened(fd, flags) if stat_bits.S_ISFIFO(mode) or os.isatty(fd) else -1
    if node.terminals is not None:
        kind = PolledTerminal if own < 0 else HostTerminal
        stream = kind(node, flags, name, fd if own < 0 else own, fd, owned)
        stream.terminals = node.terminals
        return stream
    if own < 0:
        return PolledStream(node, flags, name, fd, fd, owned)
    return HostStream(node, flags, name, own, fd, owned)


class Devices(Protocol):
    """The /dev of this guest, which knows the device behind a number."""

    def device(self, rdev: int) -> Node | None:
        """The node of a character device of our own (null, zero, ...), None if there is none."""

    terminals: Terminals

    def add_terminal(self, name: bytes, node: Node) -> None:
        """Show an inherited terminal in /dev, so that ttyname(3) finds it."""


def host_name(fd: int) -> bytes:
    """What /proc/self/fd/N says the descriptor is."""
    try:
        return os.readlink(b"/proc/self/fd/%d" % fd)
    except OSError:
        pass
    if os.isatty(fd):
        return os.ttyname(fd).encode()
    info = os.fstat(fd)
    kind = b"pipe" if stat_bits.S_ISFIFO(info.st_mode) else b"socket"
    return b"%s:[%d]" % (kind, info.st_ino)


def inherited(fd: int, devices: Devices, host_file: Callable[[int, int, bytes], File], *, owned: bool = False) -> File:
    """The open file description for a descriptor of the host that is handed to the guest.

    Regular files and directories become what `host_file(fd, flags, name)` makes of them.  `owned` says
    that the descriptor goes when the guest has closed its last one.  Raises OSError(EBADF).
    """
    info = os.fstat(fd)
    flags = host_flags(fd)
    name = host_name(fd)
    mode = info.st_mode
    if stat_bits.S_ISREG(mode) or stat_bits.S_ISDIR(mode) or stat_bits.S_ISBLK(mode):
        return host_file(fd, flags, name)
    if stat_bits.S_ISCHR(mode):
        device = devices.device(info.st_rdev)
        if device is not None:
            return device.open(flags, name)
    node = HostStreamNode(fd)
    tty = devices.terminals.host_tty
    if tty is not None and tty.rdev == info.st_rdev:
        node.terminals = devices.terminals
    stream = host_stream(fd, flags, name, owned=owned, node=node)
    if stat_bits.S_ISCHR(mode) and name.startswith(b"/dev/") and os.isatty(fd):
        devices.add_terminal(name[len(b"/dev/") :], stream.node)
    return stream

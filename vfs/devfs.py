"""/dev: Linux's devtmpfs with the devices every program expects, and devpts for inherited terminals."""

from __future__ import annotations

import errno
import os
import stat as stat_bits
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from vfs import fscred
from vfs.file import O_ACCMODE, O_NONBLOCK, File
from vfs.node import Node, Stat
from vfs.pages import ShortSpans
from vfs.pseudofs import PseudoDir, PseudoFs, PseudoLink, PseudoNode, TableDir
from vfs.wait import POLLIN, POLLRDNORM

if TYPE_CHECKING:
    from vfs.devpts import DevPts
    from vfs.pages import FilePages, Spans
    from vfs.tty import JobControl, Tty

TMPFS_MAGIC = 0x01021994  # what statfs reports for devtmpfs
DEVTMPFS_DEV = 6
RNDGETENTCNT = 0x80045200
ENTROPY_BITS = 256

ZEROS = memoryview(bytes(1 << 17))
RANDOM_CHUNK = 1 << 16

Opener = Callable[["Device", int, bytes], File]


class Device(PseudoNode):
    """A character device: Linux's ``struct cdev`` under one name."""

    __slots__ = ("opener", "rdev")

    def __init__(self, major: int, minor: int, opener: Opener, permissions: int = 0o666) -> None:
        super().__init__(stat_bits.S_IFCHR | permissions)
        self.rdev = makedev(major, minor)
        self.opener = opener

    def stat(self) -> Stat:
        at = self.born_ns
        return Stat(
            self.mode,
            self.ino,
            self.fs.dev,
            st_rdev=self.rdev,
            st_atime_ns=at,
            st_mtime_ns=at,
            st_ctime_ns=at,
        )

    def open(self, flags: int, name: bytes) -> File:
        return self.opener(self, flags, name)


def makedev(major: int, minor: int) -> int:
    """Linux's encoding of a device number, whatever the host's is."""
    return (major & 0xFFF) << 8 | (major & ~0xFFF) << 32 | minor & 0xFF | (minor & ~0xFF) << 12


class Null(File):
    """null(4): takes everything, holds nothing."""

    __slots__ = ()

    seekable = True

    def read(self, spans: Spans) -> int:
        return 0

    def write(self, spans: Spans) -> int:
        if type(spans) is ShortSpans:
            return spans.size  # nobody looks at the data
        return sum(map(len, spans))

    def pread(self, spans: Spans, offset: int) -> int:
        return self.read(spans)

    def pwrite(self, spans: Spans, offset: int) -> int:
        return self.write(spans)

    def seek(self, offset: int, whence: int) -> int:
        return 0


class Zero(Null):
    """zero(4): endless zeros.  A private mapping is anonymous memory, a shared one has pages of its own."""

    __slots__ = ("fresh_pages",)

    zero_backed = True

    def __init__(self, node: Node, flags: int, name: bytes, fresh_pages: Callable[[], FilePages]) -> None:
        super().__init__(node, flags, name)
        self.fresh_pages = fresh_pages

    def read(self, spans: Spans) -> int:
        done = 0
        step = len(ZEROS)
        for span in spans:
            size = len(span)
            if size <= step:
                span[:] = ZEROS[:size]
            else:
                for at in range(0, size, step):
                    piece = span[at : at + step]
                    piece[:] = ZEROS[: len(piece)]
            done += size
        return done

    def mapping(self) -> FilePages:
        return self.fresh_pages()


class Full(Zero):
    """full(4): reads as zeros, is always full."""

    __slots__ = ()

    zero_backed = False

    def write(self, spans: Spans) -> int:
        raise OSError(errno.ENOSPC, "always full")

    def mapping(self) -> FilePages:
        raise OSError(errno.ENODEV, "cannot be mapped")


class Random(Null):
    """random(4) and urandom(4): bytes of the kernel's generator; what is written is taken and ignored."""

    __slots__ = ("entropy",)

    def __init__(self, node: Node, flags: int, name: bytes, entropy: Callable[[int], bytes]) -> None:
        super().__init__(node, flags, name)
        self.entropy = entropy

    def read(self, spans: Spans) -> int:
        done = 0
        for span in spans:
            size = len(span)
            for at in range(0, size, RANDOM_CHUNK):
                piece = span[at : at + RANDOM_CHUNK]
                piece[:] = self.entropy(len(piece))
            done += size
        return done

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        if request == RNDGETENTCNT:
            task.mm.put_u32(arg, ENTROPY_BITS)
            return 0
        raise OSError(errno.EINVAL, "no such request")


class BlockingRandom(Random):
    """/dev/random, which has a poll of its own: readable, never writable, once the generator is seeded."""

    __slots__ = ()

    pollable = True

    def poll(self) -> int:
        return POLLIN | POLLRDNORM


class DevLink(PseudoLink):
    """A symbolic link of /dev, which has a size."""

    __slots__ = ()

    def size(self) -> int:
        return len(self.readlink())


class Terminal(PseudoNode):
    """An inherited terminal under its name in /dev: the host's inode, as fstat(2) of a descriptor shows it."""

    __slots__ = ("behind",)

    def __init__(self, behind: Node) -> None:
        super().__init__(behind.stat().st_mode)
        self.behind = behind

    def attach(self, fs: PseudoFs, parent: PseudoDir) -> None:
        super().attach(fs, parent)
        self.ino = self.behind.stat().st_ino

    def stat(self) -> Any:
        return self.behind.stat()

    def access(self, mode: int) -> None:
        self.behind.access(mode)

    def chmod(self, mode: int) -> None:
        self.behind.chmod(mode)

    def chown(self, uid: int, gid: int) -> None:
        self.behind.chown(uid, gid)

    def open(self, flags: int, name: bytes) -> File:
        return self.behind.open(flags, name)


class Terminals(Protocol):
    """The kernel, as far as /dev is concerned with terminals.  `pts_names` are inherited ones in /dev/pts."""

    pts_names: dict[bytes, Callable[[], PseudoNode]]
    host_tty: Tty | None

    def refuses(self, what: str, *, vm: bool = True) -> None:
        """Somebody wants what this kernel does not have, and a VM does, or does not either."""

    @property
    def jobs(self) -> JobControl: ...

    @property
    def devpts(self) -> DevPts: ...


class Lacks(Protocol):
    """`Terminals.refuses`."""

    def __call__(self, what: str, *, vm: bool = True) -> None: ...


class DevDir(TableDir):
    """/dev itself.  Names of devices that only real Linux has are looked at by who is about to use them: of FUSE
    everybody, of block devices and networks root."""

    __slots__ = ("lacks",)

    def __init__(self, table: dict[bytes, PseudoNode | Callable[[], PseudoNode]], lacks: Lacks) -> None:
        super().__init__(table, 0o755)
        self.lacks = lacks

    def make(self, name: bytes) -> PseudoNode | None:
        found = super().make(name)
        if found is not None:
            return found
        if name == b"kvm":
            self.lacks("/dev/kvm", vm=False)
        elif name == b"fuse" or (fscred.current.fsuid == 0 and (name == b"net" or name.startswith(b"loop"))):
            self.lacks("/dev/net/tun" if name == b"net" else "/dev/" + os.fsdecode(name))
        return None


class DevFs:
    """The /dev of one kernel.  `root` is its directory; `now` gives nanoseconds since the epoch,
    `entropy` random bytes, `fresh_pages` the pages of a shared mapping of /dev/zero, `terminals` are the kernel's."""

    __slots__ = ("fs", "names", "root", "terminals")

    def __init__(
        self,
        now: Callable[[], int],
        entropy: Callable[[int], bytes],
        fresh_pages: Callable[[], FilePages],
        terminals: Terminals,
    ) -> None:
        self.terminals = terminals

        def ptmx() -> PseudoNode:
            from vfs.devpts import PtmxNode

            return PtmxNode(lambda: terminals.devpts, 0o666)

        def current_tty(node: Device, flags: int, name: bytes) -> File:
            return open_current_tty(terminals, node, flags, name)

        self.names: dict[bytes, PseudoNode | Callable[[], PseudoNode]] = {
            b"console": lambda: Device(5, 1, current_tty, 0o600),
            b"fd": lambda: DevLink(b"/proc/self/fd"),
            b"full": lambda: Device(1, 7, lambda node, flags, name: Full(node, flags, name, fresh_pages)),
            b"null": lambda: Device(1, 3, Null),
            b"ptmx": ptmx,
            b"pts": lambda: TableDir({}, 0o755),
            b"random": lambda: Device(1, 8, lambda node, flags, name: BlockingRandom(node, flags, name, entropy)),
            b"shm": lambda: TableDir({}, 0o1777),
            b"stderr": lambda: DevLink(b"/proc/self/fd/2"),
            b"stdin": lambda: DevLink(b"/proc/self/fd/0"),
            b"stdout": lambda: DevLink(b"/proc/self/fd/1"),
            b"tty": lambda: Device(5, 0, current_tty),
            b"urandom": lambda: Device(1, 9, lambda node, flags, name: Random(node, flags, name, entropy)),
            b"zero": lambda: Device(1, 5, lambda node, flags, name: Zero(node, flags, name, fresh_pages)),
        }
        self.fs = PseudoFs(TMPFS_MAGIC, DEVTMPFS_DEV, now, file_size=4096)
        self.root = self.fs.root(DevDir(self.names, terminals.refuses))

    def device(self, rdev: int) -> Node | None:
        """Our counterpart of a device of the host, by the host's device number."""
        for name in (b"null", b"zero", b"full", b"random", b"urandom"):
            try:
                if os.stat(b"/dev/" + name).st_rdev == rdev:
                    return self.root.lookup(name)
            except OSError:
                continue
        return None

    def add_terminal(self, name: bytes, node: Node) -> None:
        """Show an inherited terminal as /dev/`name`, so that ttyname(3) finds it."""
        head, _, number = name.partition(b"/")
        if head == b"pts" and number:
            self.terminals.pts_names[number] = lambda: Terminal(node)
        elif not number:
            self.names[head] = lambda: Terminal(node)


def open_current_tty(terminals: Terminals, node: Node, flags: int, name: bytes) -> File:
    """tty(4): the controlling terminal of the caller.  Raises OSError(ENXIO) without one."""
    tty = terminals.jobs.controlling()
    if tty is None:
        raise OSError(errno.ENXIO, "no controlling terminal")
    from vfs.pty import PtyEnd
    from vfs.tty import TtyFile

    flags &= O_ACCMODE | O_NONBLOCK
    if isinstance(tty, PtyEnd):
        return TtyFile(node, flags, name, tty)
    from vfs.stream import HostTerminal

    fd = os.open("/dev/tty", flags & O_ACCMODE | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    file = HostTerminal(node, flags, name, fd, fd, True)
    file.terminals = terminals
    return file

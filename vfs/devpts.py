"""Names of pseudo-terminals: Linux's ``fs/devpts``, /dev/pts and /dev/ptmx, ptmx(4)."""

from __future__ import annotations

import errno
import stat as stat_bits
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from vfs.devfs import makedev
from vfs.file import O_ACCMODE, O_CLOEXEC, O_NOCTTY, O_NONBLOCK, File
from vfs.node import Stat
from vfs.pseudofs import PseudoDir, PseudoFs, PseudoNode
from vfs.pty import Pty
from vfs.tty import TtyFile

if TYPE_CHECKING:
    from vfs.node import Node
    from vfs.tty import JobControl

DEVPTS_MAGIC = 0x1CD1
DEVPTS_DEV = 0x19
MAX_PTYS = 4096  # kernel.pty.max
PTMX = (5, 2)
OPEN_FLAGS = O_ACCMODE | O_NONBLOCK | O_CLOEXEC


class PtsNode(PseudoNode):
    """/dev/pts/N."""

    __slots__ = ("gid", "pty", "times", "uid")

    pty: Pty

    def __init__(self, uid: int, gid: int, now_ns: int) -> None:
        super().__init__(stat_bits.S_IFCHR | 0o600, lambda: (self.uid, self.gid))
        self.uid = uid
        self.gid = gid
        self.times = (now_ns, now_ns, now_ns)

    def attach(self, fs: PseudoFs, parent: PseudoDir) -> None:
        self.fs = fs
        self.parent = parent
        self.ino = self.pty.index + 3

    def stat(self) -> Stat:
        atime, mtime, ctime = self.times
        return Stat(
            self.mode, self.ino, self.fs.dev, st_uid=self.uid, st_gid=self.gid, st_rdev=self.pty.slave.rdev,
            st_blksize=1024, st_atime_ns=atime, st_mtime_ns=mtime, st_ctime_ns=ctime,
        )  # fmt: skip

    def chmod(self, mode: int) -> None:
        self.mode = stat_bits.S_IFCHR | mode & 0o7777
        self.times = (*self.times[:2], self.fs.now())

    def chown(self, uid: int, gid: int) -> None:
        self.uid = self.uid if uid in (-1, 0xFFFF_FFFF) else uid
        self.gid = self.gid if gid in (-1, 0xFFFF_FFFF) else gid
        self.times = (*self.times[:2], self.fs.now())

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        atime, mtime, _ = self.times
        self.times = (
            atime if atime_ns is None else atime_ns, mtime if mtime_ns is None else mtime_ns, self.fs.now(),
        )  # fmt: skip

    def open(self, flags: int, name: bytes) -> File:
        return self.pty.devpts.open_slave(self, flags, name)


class PtmxNode(PseudoNode):
    """/dev/ptmx, and /dev/pts/ptmx, which by default nobody but the superuser may open."""

    __slots__ = ("devpts",)

    def __init__(self, devpts: Callable[[], DevPts], permissions: int) -> None:
        super().__init__(stat_bits.S_IFCHR | permissions)
        self.devpts = devpts

    def stat(self) -> Stat:
        found = super().stat()
        found.st_rdev = makedev(*PTMX)
        return found

    def chmod(self, mode: int) -> None:
        self.mode = stat_bits.S_IFCHR | mode & 0o7777

    def open(self, flags: int, name: bytes) -> File:
        return self.devpts().open_master(self, flags, name)


class PtsDir(PseudoDir):
    """/dev/pts.  `inherited` are terminals of the host that lxrun was started with, by name."""

    __slots__ = ("devpts", "inherited")

    def __init__(self, devpts: DevPts, inherited: dict[bytes, Callable[[], PseudoNode]]) -> None:
        super().__init__(0o755)
        self.devpts = devpts
        self.inherited = inherited

    def names(self) -> Iterable[bytes]:
        return (*self.devpts.names, *self.inherited, b"ptmx")

    def lookup(self, name: bytes) -> PseudoNode:
        node = self.devpts.names.get(name)
        return node if node is not None else super().lookup(name)

    def make(self, name: bytes) -> PseudoNode | None:
        if name == b"ptmx":
            return PtmxNode(lambda: self.devpts, 0)
        make = self.inherited.get(name)
        return None if make is None else make()


class DevPts:
    """A devpts: its root directory, and the pairs by number.  `owner` gives the ids of whoever opens a master."""

    __slots__ = ("fs", "inherited", "jobs", "names", "owner", "pairs", "root")

    def __init__(
        self,
        jobs: JobControl,
        now: Callable[[], int],
        owner: Callable[[], tuple[int, int]],
        inherited: dict[bytes, Callable[[], PseudoNode]],
    ) -> None:
        self.jobs = jobs
        self.owner = owner
        self.inherited = inherited
        self.pairs: dict[int, Pty] = {}
        self.names: dict[bytes, PtsNode] = {}
        self.fs = PseudoFs(DEVPTS_MAGIC, DEVPTS_DEV, now)
        self.root = self.fs.root(PtsDir(self, inherited))
        self.root.lookup(b"ptmx")  # takes inode 2

    def open_master(self, node: Node, flags: int, name: bytes) -> TtyFile:
        """ptmx_open: a new pair.  Raises OSError(ENOSPC)."""
        if len(self.pairs) >= MAX_PTYS:
            raise OSError(errno.ENOSPC, "kernel.pty.max")
        index = 0
        while index in self.pairs or b"%d" % index in self.inherited:
            index += 1
        slave = PtsNode(*self.owner(), self.fs.now())
        pair = self.pairs[index] = slave.pty = Pty(self, index, slave)
        slave.attach(self.fs, self.root)
        self.names[b"%d" % index] = slave
        return TtyFile(node, flags & OPEN_FLAGS, name, pair.master)

    def open_slave(self, node: PtsNode, flags: int, name: bytes) -> TtyFile:
        """pty_open.  Raises OSError EIO (locked, or the master is closed), EBUSY (TIOCEXCL)."""
        pair = node.pty
        if pair.locked or not pair.master.files:
            raise OSError(errno.EIO, "locked, or without a master")
        if pair.slave.exclusive and not self.jobs.privileged():
            raise OSError(errno.EBUSY, "in exclusive use")
        file = TtyFile(node, flags & OPEN_FLAGS, name, pair.slave)
        pair.master.other_closed = False
        if not flags & O_NOCTTY:
            self.jobs.opened(pair.slave, flags)
        return file

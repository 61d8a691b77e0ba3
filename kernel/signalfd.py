"""Signals that are read: Linux's ``struct signalfd_ctx``, signalfd(2)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING

from kernel import siginfo
from kernel.signal import UNBLOCKABLE
from vfs.anon import ANON_INO, ANON_INODE_FS_MAGIC, ANON_INODEFS_DEV, AnonNode
from vfs.eventfd import put
from vfs.file import O_NONBLOCK, O_RDWR, File
from vfs.node import Stat
from vfs.pages import ShortSpans
from vfs.wait import POLLIN, WaitQueue

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.siginfo import SigInfo
    from vfs.pages import Spans

SIGNALFD_SIGINFO = Struct("<IiiIIiIIIIiiQQQQHxxiQI28x")  # signo, errno, code, then:
MEMBERS = (
    "pid", "uid", "fd", "tid", "band", "overrun", "trapno", "status", "int", "ptr", "utime", "stime", "addr",
    "addr_lsb", "syscall", "call_addr", "arch",
)  # fmt: skip


def pack(info: SigInfo) -> bytes:
    """What a reader gets of a signal (signalfd_copyinfo)."""
    found = siginfo.fields(info)
    members = [found.get(name, 0) for name in MEMBERS]
    return SIGNALFD_SIGINFO.pack(info.signo, info.errno, info.code, *members)


class SignalFd(File):
    """One descriptor.  `wanted` is the set of signals it gives; whoever reads gets those that are pending for
    itself, not for who made the descriptor."""

    __slots__ = ("kernel", "wanted")

    pollable = True

    def __init__(self, kernel: Kernel, wanted: int, flags: int) -> None:
        node = AnonNode(Stat(0o600, ANON_INO, ANON_INODEFS_DEV), ANON_INODE_FS_MAGIC)
        super().__init__(node, O_RDWR | flags & O_NONBLOCK, b"anon_inode:[signalfd]")
        self.kernel = kernel
        self.wanted = wanted & ~UNBLOCKABLE

    def set(self, wanted: int) -> None:
        """Give other signals from now on."""
        self.wanted = wanted & ~UNBLOCKABLE
        self.kernel.current.signals.hand.arrived.wake()

    def read(self, spans: Spans) -> int:
        """As many signals as are pending and fit."""
        size = SIGNALFD_SIGINFO.size
        asked = spans.size if type(spans) is ShortSpans else sum(map(len, spans))
        if asked < size:
            raise OSError(errno.EINVAL, "not even one fits")
        signals = self.kernel.current.signals
        fits = sum(map(len, spans)) // size
        data = b""
        for count in range(asked // size):
            info = signals.dequeue(~self.wanted)
            if info is None:
                break
            if count == fits:  # Linux has taken it before it looks at the buffer
                if not data:
                    raise OSError(errno.EFAULT, "bad buffer")
                break
            data += pack(info)
        if not data:
            raise BlockingIOError(errno.EAGAIN, "no signal")
        put(spans, data)
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        return 0  # noop_llseek: no error, no effect

    def poll(self) -> int:
        signals = self.kernel.current.signals
        return POLLIN if (signals.pending.mask | signals.shared.pending.mask) & self.wanted else 0

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.kernel.current.signals.hand.arrived,)

    def fdinfo(self) -> bytes:
        return b"sigmask:\t%016x\n" % self.wanted

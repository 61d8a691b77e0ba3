"""Terminals: Linux's ``struct tty_struct``, and the files through which they are used, ioctl_tty(2).

A `Tty` is what sessions and process groups know of a terminal, the user's own (vfs/hosttty.py) included.
A `PtyEnd` is one with its input and output here (vfs/pty.py); `TtyFile` is a file opened on it.  Who may read
and who is signalled is the kernel's to say: it hands in a `JobControl` (kernel/tty_jobctrl.py).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vfs.fasync import FasyncList
from vfs.file import O_ACCMODE, O_ASYNC, O_NONBLOCK, O_WRONLY, File
from vfs.pages import ShortSpans
from vfs.pseudofs import fill
from vfs.termbits import (
    FIONREAD,
    TCFLSH,
    TCGETA,
    TCGETS,
    TCGETS2,
    TCSBRK,
    TCSBRKP,
    TCSETA,
    TCSETAF,
    TCSETAW,
    TCSETS,
    TCSETS2,
    TCSETSF,
    TCSETSF2,
    TCSETSW,
    TCSETSW2,
    TCXONC,
    TERMIO,
    TERMIOS,
    TERMIOS2,
    TIOCCBRK,
    TIOCEXCL,
    TIOCGDEV,
    TIOCGETD,
    TIOCGEXCL,
    TIOCGLCKTRMIOS,
    TIOCGPGRP,
    TIOCGPTPEER,
    TIOCGSID,
    TIOCGWINSZ,
    TIOCNOTTY,
    TIOCNXCL,
    TIOCOUTQ,
    TIOCSBRK,
    TIOCSCTTY,
    TIOCSETD,
    TIOCSLCKTRMIOS,
    TIOCSPGRP,
    TIOCSTI,
    TIOCSWINSZ,
    TIOCVHANGUP,
    WINSIZE,
    Termios,
)
from vfs.wait import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from vfs.node import Node
    from vfs.pages import Spans
    from vfs.pty import PtyEnd

SIGTTIN, SIGTTOU = 21, 22
HUNG_UP = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM
READING = ~(POLLOUT | POLLWRNORM)

GETS = {TCGETS: TERMIOS, TCGETS2: TERMIOS2, TCGETA: TERMIO}
# layout, whether unread input is dropped
SETS = {
    TCSETS: (TERMIOS, False), TCSETSW: (TERMIOS, False), TCSETSF: (TERMIOS, True),
    TCSETS2: (TERMIOS2, False), TCSETSW2: (TERMIOS2, False), TCSETSF2: (TERMIOS2, True),
    TCSETA: (TERMIO, False), TCSETAW: (TERMIO, False), TCSETAF: (TERMIO, True),
}  # fmt: skip
UNLOCKED = Termios(0, 0, 0, 0, 0, bytes(19))
JOBS = frozenset((TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSCTTY, TIOCNOTTY))


class Tty:
    """struct tty_struct.  `session` is the session it controls, `pgrp` the process group in its foreground; 0:
    none.  `rdev` is its device number."""

    __slots__ = ("pgrp", "rdev", "session")

    def __init__(self, rdev: int) -> None:
        self.rdev = rdev
        self.session = 0
        self.pgrp = 0

    def hang_up(self) -> None:
        """vhangup(2).  Raises OSError(EPERM) for the user's own terminal."""
        raise OSError(errno.EPERM, "the terminal stays with the user")


class JobControl(Protocol):
    """Sessions and process groups, as a terminal sees them; the caller is the task that has the CPU."""

    def controlling(self) -> Tty | None:
        """get_current_tty."""

    def check(self, tty: Tty, signo: int) -> None:
        """tty_check_change: nothing for a caller in the foreground.  One in the background is sent SIGTTIN or
        SIGTTOU and broken off, or gets OSError(EIO)."""

    def background(self, tty: Tty) -> bool:
        """Whether the terminal controls the caller, who is not in its foreground."""

    def own(self, file: File, tty: Tty) -> None:
        """f_setown: SIGIO of a file goes to the foreground group, or the caller where there is none."""

    def signal(self, pgrp: int, signo: int) -> None:
        """kill_pgrp, by the kernel."""

    def opened(self, tty: Tty, flags: int) -> None:
        """tty_open_proc_set_tty: a session leader without a terminal that opens one gets it."""

    def hang_up(self, tty: Tty) -> None:
        """tty_signal_session_leader: the terminal controls nobody any more, whom it did hears of it."""

    def ioctl(self, task: Any, file: TtyFile, tty: Tty, request: int, arg: int) -> int:
        """tty_jobctrl_ioctl: `JOBS`, on a file of `tty` or of its master."""

    def privileged(self) -> bool:
        """CAP_SYS_ADMIN."""


class TtyFile(File):
    """An open terminal.  After a hang-up nothing more comes or goes."""

    __slots__ = ("hung_up", "tty")

    tty: PtyEnd
    completes = True
    pollable = True

    def __init__(self, node: Node, flags: int, name: bytes, tty: PtyEnd) -> None:
        super().__init__(node, flags, name)
        self.tty = tty
        self.hung_up = False
        tty.files.add(self)

    # Data

    def read(self, spans: Spans) -> int:
        """n_tty_read, if it need not wait: in raw mode for VMIN bytes or VTIME."""
        if self.hung_up:
            return 0
        tty = self.tty
        if tty.background():
            tty.jobs.check(tty, SIGTTIN)
        size = spans.size if type(spans) is ShortSpans else sum(map(len, spans))
        if not size:
            return 0
        wanted = min(tty.minimum(), size)
        if tty.available() < wanted and not (self.flags & O_NONBLOCK or tty.packet_status()):
            tty.check_open(self)
            raise BlockingIOError(errno.EAGAIN, "not enough input")
        if not wanted and not tty.available() and not tty.pause_ns():
            tty.check_open(self)
            return 0
        return self.take(spans)

    def take(self, spans: Spans) -> int:
        """What there is to read, however little.  Raises BlockingIOError if there is nothing."""
        if not self.tty.available() and not self.tty.packet_status():
            self.tty.check_open(self)
            if self.hung_up:
                return 0
            raise BlockingIOError(errno.EAGAIN, "no input")
        good = sum(map(len, spans))
        if type(spans) is not ShortSpans:
            return self.tty.take(spans, good) if good else 0
        # Linux reads pieces of 64 bytes and then copies them: what it cannot copy is lost
        piece = bytearray(min(spans.size, good // 64 * 64 + 64))
        taken = self.tty.take([memoryview(piece)], len(piece))
        return fill(spans, bytes(piece[:taken]))

    def write(self, spans: Spans) -> int:
        """tty_write: as much as there is room for."""
        if self.hung_up:
            raise OSError(errno.EIO, "hung up")
        tty = self.tty
        tty.before_write()
        done = 0
        for span in spans:
            at = 0
            while at < len(span):
                took = tty.write(bytes(span[at : at + tty.CHUNK]))
                done += took
                at += took
                if not took:
                    if not done:
                        raise BlockingIOError(errno.EAGAIN, "no room")
                    return done
        return done

    # Readiness

    def poll(self) -> int:
        return HUNG_UP if self.hung_up else self.tty.poll()

    def queues(self, events: int) -> Sequence[WaitQueue]:
        tty = self.tty
        if not events & (POLLOUT | POLLWRNORM):
            return (tty.read_wait,)
        return (tty.read_wait, tty.write_wait) if events & READING else (tty.write_wait,)

    def fasync(self, fd: int, on: bool) -> bool:
        """__tty_fasync: unless somebody has been named, the foreground group or the caller hears of it."""
        if on and self.owner is None:
            self.tty.jobs.own(self, self.tty)
        self.tty.fasync = self.tty.fasync or FasyncList()
        self.tty.fasync.set(self, fd, on)
        return True

    # Requests

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        """tty_ioctl."""
        tty = self.tty
        if self.hung_up:
            raise OSError(errno.ENOTTY if request == TIOCSPGRP else errno.EIO, "hung up")
        if request in JOBS:
            return tty.jobs.ioctl(task, self, tty.slave, request, arg)
        if request in GETS:
            task.mm.write(arg, tty.slave.termios.pack(GETS[request]))
        elif request in SETS:
            layout, flush = SETS[request]
            tty.jobs.check(tty.slave, SIGTTOU)
            tty.slave.set_termios(tty.slave.termios.changed(layout, task.mm.read(arg, layout.size)), flush)
        elif request == TIOCGWINSZ:
            task.mm.write(arg, tty.slave.winsize)
        elif request == TIOCSWINSZ:
            tty.slave.resize(task.mm.read(arg, WINSIZE.size))
        elif request == FIONREAD:
            task.mm.put_u32(arg, tty.count_unread())
        elif request == TIOCOUTQ:
            task.mm.put_u32(arg, 0)  # what was written is at the other end already
        elif request == TIOCGDEV:
            device = tty.slave.rdev
            task.mm.put_u32(arg, device & 0xFFFFFFFF)
        elif request == TIOCGETD:
            task.mm.put_u32(arg, 0)  # N_TTY
        else:
            return self._command(task, request, arg)
        return 0

    def _command(self, task: Any, request: int, arg: int) -> int:
        tty = self.tty
        if request in (TCSBRK, TCSBRKP, TIOCSBRK, TIOCCBRK):
            tty.jobs.check(tty, SIGTTOU)  # nothing is ever left to send, and a break means nothing here
        elif request == TCXONC:
            tty.jobs.check(tty, SIGTTOU)
            tty.flow(arg)
        elif request == TCFLSH:
            tty.jobs.check(tty, SIGTTOU)
            tty.flush(arg)
        elif request in (TIOCEXCL, TIOCNXCL):
            tty.exclusive = request == TIOCEXCL
        elif request == TIOCGEXCL:
            task.mm.put_u32(arg, tty.exclusive)
        elif request == TIOCSTI:
            if not tty.jobs.privileged():  # dev.tty.legacy_tiocsti = 0
                raise OSError(errno.EIO, "input cannot be faked")
            tty.fake_input(bytes(task.mm.read(arg, 1)))
        elif request == TIOCSETD:
            tty.jobs.check(tty, SIGTTOU)
            if task.mm.u32(arg):
                raise OSError(errno.EINVAL, "no such line discipline")
        elif request == TIOCGLCKTRMIOS:
            task.mm.write(arg, (tty.slave.locked or UNLOCKED).pack(TERMIOS))
        elif request == TIOCSLCKTRMIOS:
            if not tty.jobs.privileged():
                raise OSError(errno.EPERM, "not privileged")
            tty.slave.locked = UNLOCKED.changed(TERMIOS, task.mm.read(arg, TERMIOS.size))
        elif request == TIOCVHANGUP:
            if not tty.jobs.privileged():
                raise OSError(errno.EPERM, "not privileged")
            tty.hang_up()
        elif request == TIOCGPTPEER and tty is tty.slave:
            raise OSError(errno.EIO, "not a master")
        else:
            return tty.driver_ioctl(task, request, arg)
        return 0

    def release(self) -> None:
        if self.flags & O_ASYNC:
            self.fasync(-1, False)
        self.tty.close(self)


def may_read(file: File) -> bool:
    """Whether a file was opened for reading (FMODE_READ)."""
    return file.flags & O_ACCMODE != O_WRONLY

"""Pseudo-terminals: Linux's ``drivers/tty/pty.c``, pty(7).

Opening /dev/ptmx (vfs/devpts.py) makes a pair.  What is written to the master is typed at the slave, whose
line discipline (vfs/n_tty.py) makes of it what is read there; what is written to the slave lies in the
master's `queue`.
Differs from Linux: one queue stands for the master's own discipline and the buffer in front of it, so how
many bytes fit before a writer waits is only about the same.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from vfs.devfs import makedev
from vfs.fasync import POLL_IN, POLL_OUT, FasyncList
from vfs.file import O_ACCMODE, O_CLOEXEC, O_NOCTTY, O_NONBLOCK
from vfs.n_tty import N_TTY_BUF_SIZE, NTty
from vfs.termbits import (
    B38400,
    CREAD,
    CS8,
    CSIZE,
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHOK,
    ECHOKE,
    EXTPROC,
    ICANON,
    ICRNL,
    IEXTEN,
    ISIG,
    IXON,
    ONLCR,
    OPOST,
    PARENB,
    TCIFLUSH,
    TCIOFF,
    TCIOFLUSH,
    TCION,
    TCOFLUSH,
    TCOOFF,
    TCOON,
    TIOCGPKT,
    TIOCGPTLCK,
    TIOCGPTN,
    TIOCGPTPEER,
    TIOCPKT,
    TIOCPKT_DATA,
    TIOCPKT_DOSTOP,
    TIOCPKT_FLUSHREAD,
    TIOCPKT_FLUSHWRITE,
    TIOCPKT_IOCTL,
    TIOCPKT_NOSTOP,
    TIOCPKT_START,
    TIOCPKT_STOP,
    TIOCSIG,
    TIOCSPTLCK,
    TOSTOP,
    VSTART,
    VSTOP,
    Termios,
)
from vfs.tty import SIGTTOU, Tty, TtyFile
from vfs.wait import POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from vfs.devpts import DevPts, PtsNode
    from vfs.pages import Spans

MASTER_MAJOR, SLAVE_MAJOR = 128, 136
OUTPUT_LIMIT = 19456  # bytes of output nobody has read
INPUT_LIMIT = 16384  # bytes typed that the line discipline has no room for
UNTHROTTLE = 128  # a writer goes on when no more than that is left to read
SIGINT, SIGQUIT, SIGTSTP, SIGWINCH = 2, 3, 20, 28
STOP_CHARACTER, START_CHARACTER = 0o23, 0o21
PEER_FLAGS = O_ACCMODE | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
IN, OUT = POLLIN | POLLRDNORM, POLLOUT | POLLWRNORM


class PtyEnd(Tty):
    """What both ends of a pair have.  `files` are those opened on it, those hung up included;
    `other_closed` says that the other end has been open, and is not any more (TTY_OTHER_CLOSED)."""

    __slots__ = (
        "exclusive", "fasync", "files", "jobs", "other_closed", "pair", "read_wait", "stopped", "tco_stopped",
        "write_wait",
    )  # fmt: skip

    CHUNK = 4096  # bytes that one `write` is given

    def __init__(self, pair: Pty, rdev: int) -> None:
        super().__init__(rdev)
        self.pair = pair
        self.jobs = pair.jobs
        self.files: set[TtyFile] = set()
        self.read_wait = WaitQueue()
        self.write_wait = WaitQueue()
        self.fasync: FasyncList | None = None
        self.other_closed = False
        self.stopped = False
        self.tco_stopped = False
        self.exclusive = False

    @property
    def slave(self) -> PtySlave:
        """tty_pair_get_tty: the end with the modes and the size."""
        return self.pair.slave

    @property
    def link(self) -> PtyEnd:
        """The other end."""
        raise NotImplementedError

    # For the file

    def background(self) -> bool:
        """Whether job control has to be asked about the caller."""
        return False

    def before_write(self) -> None:
        """TOSTOP, and an end that is gone."""

    def minimum(self) -> int:
        """Bytes a read waits for, 0: as long as `pause_ns`."""
        return 1

    def pause_ns(self) -> int:
        """How long a read waits for the first byte or, with a minimum, for the next."""
        return 0

    def canonical(self) -> bool:
        """Whether input is read by the line."""
        return False

    def available(self) -> int:
        raise NotImplementedError

    def count_unread(self) -> int:
        raise NotImplementedError

    def packet_status(self) -> int:
        """What a master in packet mode is to be told."""
        return 0

    def take(self, spans: Spans, size: int) -> int:
        raise NotImplementedError

    def write(self, data: bytes) -> int:
        raise NotImplementedError

    def room(self) -> int:
        raise NotImplementedError

    def fake_input(self, data: bytes) -> None:
        """TIOCSTI: as if it came from the other end, if there is room for it."""
        raise NotImplementedError

    def flush(self, which: int) -> None:
        raise NotImplementedError

    def closed(self) -> None:
        """The last file is gone."""
        raise NotImplementedError

    def check_open(self, file: TtyFile) -> None:
        """Raises OSError(EIO) where nothing can come any more."""
        if self.other_closed:
            raise OSError(errno.EIO, "the other end is closed")

    def driver_ioctl(self, task: Any, request: int, arg: int) -> int:
        raise OSError(errno.ENOTTY, "no such request")

    def poll(self) -> int:
        """n_tty_poll."""
        events = 0
        if self.readable():
            events |= IN
        if self.packet_status():
            events |= POLLPRI | IN
        if self.other_closed:
            events |= POLLHUP
        if self.room() > 0:
            events |= OUT
        return events

    def readable(self) -> bool:
        return self.available() > 0

    def close(self, file: TtyFile) -> None:
        self.files.remove(file)
        if not self.files:
            self.closed()
            if not self.link.files:
                del self.pair.devpts.pairs[self.pair.index]

    # Flow of output

    def start(self) -> None:
        """start_tty."""
        if self.stopped and not self.tco_stopped:
            self.stopped = False
            self.slave.tell_packet(TIOCPKT_START, TIOCPKT_STOP, self)
            self.write_wakeup()

    def stop(self) -> None:
        """stop_tty."""
        if not self.stopped:
            self.stopped = True
            self.slave.tell_packet(TIOCPKT_STOP, TIOCPKT_START, self)

    def flow(self, what: int) -> None:
        """TCXONC.  Raises OSError(EINVAL)."""
        if what == TCOOFF:
            if not self.tco_stopped:
                self.tco_stopped = True
                self.stop()
        elif what == TCOON:
            if self.tco_stopped:
                self.tco_stopped = False
                self.start()
        elif what in (TCIOFF, TCION):
            character = self.slave.termios.c_cc[VSTOP if what == TCIOFF else VSTART]
            if self is not self.slave:
                character = 0  # a master has no such characters
            if character:
                self.send_out(bytes((character,)))
        else:
            raise OSError(errno.EINVAL, "no such flow")

    def send_out(self, data: bytes) -> None:
        raise NotImplementedError

    def write_wakeup(self) -> None:
        """tty_wakeup: there is room again."""
        if self.fasync is not None:
            self.fasync.kill(POLL_OUT)
        self.write_wait.wake(POLLOUT)

    def input_ready(self) -> None:
        if self.fasync is not None:
            self.fasync.kill(POLL_IN)
        self.read_wait.wake(IN)


class PtyMaster(PtyEnd):
    """The master: a queue of what was written to the slave.  Its first `settled` bytes are out of reach for a flush of
    the slave's output."""

    __slots__ = ("packet", "queue", "settled")

    def __init__(self, pair: Pty, rdev: int) -> None:
        super().__init__(pair, rdev)
        self.queue = bytearray()
        self.settled = N_TTY_BUF_SIZE - 1
        self.packet = False

    @property
    def link(self) -> PtyEnd:
        return self.pair.slave

    def available(self) -> int:
        return len(self.queue)

    def count_unread(self) -> int:
        return len(self.queue)

    def packet_status(self) -> int:
        return self.slave.pktstatus if self.packet else 0

    def take(self, spans: Spans, size: int) -> int:
        head = b""
        if self.packet:
            status = self.slave.pktstatus
            if status:
                self.slave.pktstatus = 0
                size = 1
            head = bytes((status or TIOCPKT_DATA,))
        queue = self.queue
        taken = min(size - len(head), len(queue))
        data = head + queue[:taken]
        del queue[:taken]
        at = 0
        for span in spans:
            part = data[at : at + len(span)]
            span[: len(part)] = part
            at += len(part)
        if taken and len(queue) <= UNTHROTTLE:
            self.slave.write_wakeup()
        return len(data)

    def room(self) -> int:
        return 0 if self.stopped else INPUT_LIMIT - len(self.slave.typed)

    def write(self, data: bytes) -> int:
        room = self.room()
        if room <= 0:
            return 0
        self.slave.type_in(data[:room])
        return min(len(data), room)

    def send_out(self, data: bytes) -> None:
        self.slave.fake_input(data)

    def fake_input(self, data: bytes) -> None:
        if len(self.queue) < OUTPUT_LIMIT:
            self.type_in(data)

    def type_in(self, data: bytes) -> None:
        """Output of the slave."""
        self.queue += data
        self.input_ready()

    def flush(self, which: int) -> None:
        if which not in (TCIFLUSH, TCOFLUSH, TCIOFLUSH):
            raise OSError(errno.EINVAL, "no such queue")
        if which != TCOFLUSH:
            self.queue.clear()
            self.slave.write_wakeup()
        if which != TCIFLUSH:
            self.slave.typed.clear()

    def hang_up(self) -> None:
        for file in self.files:
            file.hung_up = True
        self.read_wait.wake(POLLIN)
        self.write_wait.wake(POLLOUT)

    def closed(self) -> None:
        """pty_close: the slave's users hear of it, its name goes."""
        self.pair.devpts.names.pop(b"%d" % self.pair.index, None)
        slave = self.slave
        slave.other_closed = True
        self.other_closed = True
        self.read_wait.wake()
        self.write_wait.wake()
        slave.read_wait.wake()
        slave.write_wait.wake()
        slave.hang_up()

    def driver_ioctl(self, task: Any, request: int, arg: int) -> int:
        """pty_unix98_ioctl."""
        pair = self.pair
        if request == TIOCSPTLCK:
            pair.locked = bool(task.mm.u32(arg))
        elif request == TIOCGPTLCK:
            task.mm.put_u32(arg, pair.locked)
        elif request == TIOCPKT:
            on = bool(task.mm.u32(arg))
            if on and not self.packet:
                self.slave.pktstatus = 0
            self.packet = on
        elif request == TIOCGPKT:
            task.mm.put_u32(arg, self.packet)
        elif request == TIOCGPTN:
            task.mm.put_u32(arg, pair.index)
        elif request == TIOCSIG:
            if arg not in (SIGINT, SIGQUIT, SIGTSTP):
                raise OSError(errno.EINVAL, "not a terminal's signal")
            self.jobs.signal(self.slave.pgrp, arg)
        elif request == TIOCGPTPEER:
            peer = pair.devpts.open_slave(pair.node, arg & PEER_FLAGS, b"/dev/pts/%d" % pair.index)
            return int(task.files.install(peer, arg & O_CLOEXEC != 0))
        else:
            return super().driver_ioctl(task, request, arg)
        return 0


class PtySlave(PtyEnd):
    """The slave, with the line discipline, the modes and the size.  `locked` are the modes that nobody may change,
    None for none; `typed` is what the discipline has no room for yet, `pktstatus` what a master in packet mode has
    not read yet."""

    __slots__ = ("ldisc", "locked", "pktstatus", "typed", "winsize")

    def __init__(self, pair: Pty, rdev: int) -> None:
        super().__init__(pair, rdev)
        self.winsize = bytes(8)
        self.locked: Termios | None = None
        self.pktstatus = 0
        self.typed = bytearray()
        # tty_std_termios
        local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN
        self.ldisc = NTty(self, Termios(ICRNL | IXON, OPOST | ONLCR, B38400 | CS8 | CREAD, local))

    @property
    def link(self) -> PtyEnd:
        return self.pair.master

    @property
    def termios(self) -> Termios:
        return self.ldisc.termios

    def set_termios(self, new: Termios, flush: bool) -> None:
        """tty_set_termios, pty_set_termios."""
        if flush:
            self.ldisc.flush_input()
            self._push()
        old = self.termios
        if self.locked is not None:
            new.keep(old, self.locked)
        new.c_cflag = new.c_cflag & ~(CSIZE | PARENB) | CS8 | CREAD
        if self.pair.master.packet:
            before, after = default_flow(old), default_flow(new)
            if before != after:
                on, off = (TIOCPKT_DOSTOP, TIOCPKT_NOSTOP) if after else (TIOCPKT_NOSTOP, TIOCPKT_DOSTOP)
                self.pktstatus = self.pktstatus & ~off | on
            if (old.c_lflag | new.c_lflag) & EXTPROC:
                self.pktstatus |= TIOCPKT_IOCTL
            if before != after or (old.c_lflag | new.c_lflag) & EXTPROC:
                self.link.read_wait.wake()
        self.ldisc.set_termios(new)
        self.write_wait.wake()
        self.read_wait.wake()

    def resize(self, winsize: bytes) -> None:
        """pty_resize."""
        if winsize != self.winsize:
            self.winsize = bytes(winsize)
            self.jobs.signal(self.pgrp, SIGWINCH)

    def tell_packet(self, on: int, off: int, end: PtyEnd) -> None:
        """Something a master in packet mode is told."""
        if end is self and self.pair.master.packet:
            self.pktstatus = self.pktstatus & ~off | on
            self.link.read_wait.wake(POLLIN)

    # For the file

    def background(self) -> bool:
        return self.jobs.controlling() is self

    def before_write(self) -> None:
        if self.other_closed:
            raise OSError(errno.EIO, "the master is closed")
        if self.termios.c_lflag & TOSTOP:
            self.jobs.check(self, SIGTTOU)

    def canonical(self) -> bool:
        return self.ldisc.canonical()

    def minimum(self) -> int:
        return 1 if self.ldisc.canonical() else self.ldisc.minimum()

    def pause_ns(self) -> int:
        return 0 if self.ldisc.canonical() else self.ldisc.pause_ns()

    def available(self) -> int:
        return self.ldisc.available()

    def count_unread(self) -> int:
        return self.ldisc.count()

    def readable(self) -> bool:
        """input_available_p, for poll."""
        ldisc = self.ldisc
        if ldisc.canonical() or ldisc.pause_ns():
            return ldisc.available() > 0
        return ldisc.available() >= (ldisc.minimum() or 1)

    def take(self, spans: Spans, size: int) -> int:
        count = self.ldisc.take(spans, size)
        self._push()
        if self.ldisc.available() <= UNTHROTTLE:
            self.link.write_wakeup()
        return count

    def room(self) -> int:
        return 0 if self.stopped else OUTPUT_LIMIT - len(self.pair.master.queue)

    def write(self, data: bytes) -> int:
        return self.ldisc.write(data)

    def put(self, data: bytes) -> None:
        if not self.other_closed:
            self.pair.master.type_in(data)

    def send_out(self, data: bytes) -> None:
        self.pair.master.fake_input(data)

    def fake_input(self, data: bytes) -> None:
        if len(self.typed) < INPUT_LIMIT:
            self.type_in(data)

    def signal(self, signo: int) -> None:
        self.jobs.signal(self.pgrp, signo)

    def type_in(self, data: bytes) -> None:
        self.typed += data
        self._push()

    def _push(self) -> None:
        """flush_to_ldisc.  A key that flushes output flushes the echoes of what came with it, and no more."""
        typed = self.typed
        if typed:
            master = self.pair.master
            master.settled = min(len(master.queue), N_TTY_BUF_SIZE - 1)
            del typed[: self.ldisc.receive(bytes(typed))]
            master.settled = N_TTY_BUF_SIZE - 1

    def flush(self, which: int) -> None:
        if which not in (TCIFLUSH, TCOFLUSH, TCIOFLUSH):
            raise OSError(errno.EINVAL, "no such queue")
        if which != TCOFLUSH:
            self.typed.clear()
            self.ldisc.flush_input()
            self.link.write_wakeup()
        if which != TCIFLUSH:
            self.flush_output()

    def flush_output(self) -> None:
        """pty_flush_buffer: what has reached the master's own buffer stays."""
        del self.pair.master.queue[self.pair.master.settled :]
        if self.pair.master.packet:
            self.pktstatus |= TIOCPKT_FLUSHWRITE
            self.link.read_wait.wake()

    def input_flushed(self) -> None:
        if self.pair.master.packet:
            self.pktstatus |= TIOCPKT_FLUSHREAD
            self.link.read_wait.wake()

    def hang_up(self) -> None:
        """tty_vhangup."""
        for file in self.files:
            file.hung_up = True
        self.jobs.hang_up(self)
        self.typed.clear()
        self.ldisc.flush_input()
        self.ldisc.drop_echoes()
        self.write_wait.wake(POLLOUT)
        self.read_wait.wake(POLLIN)

    def closed(self) -> None:
        """pty_close.  Modes, size and unread input stay for whoever opens it next."""
        self.link.other_closed = True
        self.read_wait.wake()
        self.write_wait.wake()
        self.link.read_wait.wake()
        self.link.write_wait.wake()


def default_flow(modes: Termios) -> bool:
    """Whether output is stopped and started by ^S and ^Q."""
    keys = modes.c_cc[VSTOP] == STOP_CHARACTER and modes.c_cc[VSTART] == START_CHARACTER
    return bool(modes.c_iflag & IXON) and keys


class Pty:
    """A pair, under the number `index`, which is taken until the last file of both ends is closed."""

    __slots__ = ("devpts", "index", "jobs", "locked", "master", "node", "slave")

    def __init__(self, devpts: DevPts, index: int, node: PtsNode) -> None:
        self.devpts = devpts
        self.index = index
        self.node = node
        self.jobs = devpts.jobs
        self.locked = True
        self.master = PtyMaster(self, makedev(MASTER_MAJOR, index))
        self.slave = PtySlave(self, makedev(SLAVE_MAJOR, index))

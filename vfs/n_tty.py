"""The line discipline: Linux's ``drivers/tty/n_tty.c``, termios(3).

`NTty` stands between what is typed (`receive`) and whoever reads, and between whoever writes and the
screen (`write`).  Input is looked at in whole runs: only characters that mean something in the present
modes are handled one by one.  The buffer holds 4096 bytes as Linux's does; what does not fit waits outside.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from vfs.termbits import (
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHOK,
    ECHOKE,
    ECHONL,
    ECHOPRT,
    EXTPROC,
    ICANON,
    ICRNL,
    IEXTEN,
    IGNCR,
    INLCR,
    ISIG,
    ISTRIP,
    IUCLC,
    IUTF8,
    IXANY,
    IXON,
    NOFLSH,
    OCRNL,
    OLCUC,
    ONLCR,
    ONLRET,
    ONOCR,
    OPOST,
    PARMRK,
    TABDLY,
    VEOF,
    VEOL,
    VEOL2,
    VERASE,
    VINTR,
    VKILL,
    VLNEXT,
    VMIN,
    VQUIT,
    VREPRINT,
    VSTART,
    VSTOP,
    VSUSP,
    VTIME,
    VWERASE,
    XTABS,
    Termios,
)

if TYPE_CHECKING:
    from re import Pattern

    from vfs.pages import Spans

N_TTY_BUF_SIZE = 4096
ECHO_BUF_SIZE = 4096
SIGINT, SIGQUIT, SIGTSTP = 2, 3, 20
DISABLED = 0  # __DISABLED_CHAR: no character, and what stands for VEOF in the buffer
NEWLINE, RETURN, TAB, BACKSPACE = 10, 13, 9, 8
MARK = 0o377  # what PARMRK doubles
SLOW_OUTPUT = OLCUC | OCRNL | ONOCR | ONLRET
CONTROLS = bytes((*range(32), 127))
CONTINUATIONS = bytes(range(0x80, 0xC0))
HALF = bytes(c & 0x7F for c in range(256))  # ISTRIP
# Linux's tolower and toupper are Latin-1's
LOWER = bytes(c + 32 if 65 <= c <= 90 or (0xC0 <= c <= 0xDE and c != 0xD7) else c for c in range(256))
UPPER = bytes(c - 32 if 97 <= c <= 122 or (c >= 0xE0 and c != 0xF7) else c for c in range(256))
WORD = frozenset(c for c in range(256) if chr(c).isalnum() and (c < 128 or c >= 0xC0)) | {ord("_")}

_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # what ECHOCTL shows as ^X
_moves = re.compile(rb"[\t\b]")

Op = Callable[["NTty"], bytes]
"""Something an echo does besides showing characters; the bytes that do it."""


class Device(Protocol):
    """What the discipline asks of its terminal: Linux's tty_operations.  `stopped`: output is."""

    stopped: bool

    def put(self, data: bytes) -> None:
        """Output, whether there is room or not."""

    def room(self) -> int:
        """write_room: bytes that may be put; 0 while output is stopped."""

    def start(self) -> None:
        """start_tty: IXON's VSTART."""

    def stop(self) -> None:
        """stop_tty."""

    def signal(self, signo: int) -> None:
        """A signal to the foreground process group."""

    def flush_output(self) -> None:
        """flush_buffer: drop output nobody has read."""

    def input_flushed(self) -> None:
        """Input was dropped: a master in packet mode hears of it."""

    def input_ready(self) -> None:
        """There is something to read."""


@lru_cache(maxsize=64)
def any_of(characters: bytes) -> Pattern[bytes] | None:
    """What finds one of these; None if there are none."""
    return re.compile(b"[" + re.escape(characters) + b"]") if characters else None


class NTty:
    """struct n_tty_data.  Positions count bytes since the beginning: `buffer` begins at `tail`, what may be
    read in canonical mode ends at `canon_head`; `marks` are the places of the characters that end lines."""

    __slots__ = (
        "buffer", "canon_column", "canon_head", "column", "device", "echoes", "erasing", "icanon", "literal_next",
        "marks", "pending_echo", "raw", "special", "tail", "termios",
    )  # fmt: skip

    def __init__(self, device: Device, termios: Termios) -> None:
        self.device = device
        self.buffer = bytearray()
        self.tail = 0
        self.canon_head = 0
        self.marks: deque[int] = deque()
        self.literal_next = False
        self.erasing = False
        self.column = 0
        self.canon_column = 0
        self.echoes: deque[bytes | Op] = deque()
        self.pending_echo = 0  # bytes in them
        self.termios = termios
        self.icanon = False
        self.raw = False
        self.special: Pattern[bytes] | None = None
        self._look_at_modes()

    # Modes

    def set_termios(self, new: Termios) -> None:
        """n_tty_set_termios: other modes, in which input that waits is seen otherwise."""
        old, self.termios = self.termios, new
        if (old.c_lflag ^ new.c_lflag) & (ICANON | EXTPROC):
            self.marks.clear()
            if new.c_lflag & ICANON and self.buffer:
                self.canon_head = self.tail + len(self.buffer)
                self.marks.append(self.canon_head - 1)
            else:
                self.canon_head = self.tail
            self.erasing = self.literal_next = False
        self._look_at_modes()
        if old.c_iflag & IXON and not new.c_iflag & IXON and self.device.stopped:
            self.device.start()
            self.process_echoes()

    def _look_at_modes(self) -> None:
        modes = self.termios
        iflag, lflag, cc = modes.c_iflag, modes.c_lflag, modes.c_cc
        self.icanon = bool(lflag & ICANON)
        wanted = bytearray()
        if iflag & (IGNCR | ICRNL):
            wanted.append(RETURN)
        if iflag & INLCR:
            wanted.append(NEWLINE)
        if lflag & ICANON:
            wanted += bytes((cc[VERASE], cc[VKILL], cc[VEOF], NEWLINE, cc[VEOL]))
            if lflag & IEXTEN:
                wanted += bytes((cc[VWERASE], cc[VLNEXT], cc[VEOL2]))
                if lflag & ECHO:
                    wanted.append(cc[VREPRINT])
        if iflag & IXON:
            wanted += bytes((cc[VSTART], cc[VSTOP]))
        if lflag & ISIG:
            wanted += bytes((cc[VINTR], cc[VQUIT], cc[VSUSP]))
        self.special = any_of(bytes(sorted(set(wanted) - {DISABLED})))
        plain_input = not iflag & (ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK)
        self.raw = plain_input and not lflag & (ICANON | ISIG | ECHO)

    # Input

    def receive(self, data: bytes) -> int:
        """n_tty_receive_buf: input comes; how much of it there was room for.  A line without end keeps what
        fits and the last character."""
        done = 0
        while done < len(data):
            have = len(self.buffer)
            room = N_TTY_BUF_SIZE - have
            if self.termios.c_iflag & PARMRK:
                room = -(-room // 3)
            room -= 1
            if room <= 0:
                if not self.icanon or self.canon_head != self.tail:
                    break
                if room < 0:
                    del self.buffer[-1:]
                room = 1
            part = data[done : done + room]
            done += len(part)
            if self.raw:
                self.buffer += part
            else:
                self._receive_standard(part)
        if done and (self.echoes or not self.raw):
            self.process_echoes()
        if done and self.buffer and not self.canonical():
            self.device.input_ready()
        return done

    def _receive_standard(self, data: bytes) -> None:
        modes = self.termios
        if modes.c_iflag & ISTRIP:
            data = data.translate(HALF)
        if modes.c_iflag & IUCLC and modes.c_lflag & IEXTEN:
            data = data.translate(LOWER)
        if modes.c_lflag & EXTPROC:
            self.buffer += data
            return
        at = 0
        while at < len(data):
            if self.literal_next:
                self.literal_next = False
                self._ordinary(data[at : at + 1])
                at += 1
                continue
            found = self.special.search(data, at) if self.special is not None else None
            end = len(data) if found is None else found.start()
            if end > at:
                self._ordinary(data[at:end])
            if found is not None:
                self._special(data[end])
            at = end + 1

    def _ordinary(self, run: bytes) -> None:
        """n_tty_receive_char, for a run of characters that mean nothing special."""
        modes = self.termios
        if modes.c_iflag & IXON and modes.c_iflag & IXANY and self.device.stopped:
            self.device.start()
            self.process_echoes()
        if modes.c_lflag & ECHO:
            self._finish_erasing()
            if self.canon_head == self.tail + len(self.buffer):
                self._echo_op(set_canon_column)
            self._echo_text(run)
        self.buffer += run.replace(b"\377", b"\377\377") if modes.c_iflag & PARMRK else run

    def _special(self, c: int) -> None:
        """n_tty_receive_char_special."""
        modes = self.termios
        iflag, lflag, cc = modes.c_iflag, modes.c_lflag, modes.c_cc
        if iflag & IXON:
            if c == cc[VSTART]:
                self.device.start()
                self.process_echoes()
                return
            if c == cc[VSTOP]:
                self.device.stop()
                return
        if lflag & ISIG:
            for index, signo in ((VINTR, SIGINT), (VQUIT, SIGQUIT), (VSUSP, SIGTSTP)):
                if c == cc[index]:
                    self._signal(signo, c)
                    return
        if iflag & IXON and iflag & IXANY and self.device.stopped:
            self.device.start()
            self.process_echoes()
        if c == RETURN:
            if iflag & IGNCR:
                return
            if iflag & ICRNL:
                c = NEWLINE
        elif c == NEWLINE and iflag & INLCR:
            c = RETURN
        if self.icanon and self._edit(c):
            return
        if lflag & ECHO:
            self._finish_erasing()
            if c == NEWLINE:
                self._echo(b"\n")
            else:
                if self.canon_head == self.tail + len(self.buffer):
                    self._echo_op(set_canon_column)
                self._echo_text(bytes((c,)))
        if c == MARK and iflag & PARMRK:
            self.buffer.append(c)
        self.buffer.append(c)

    def _edit(self, c: int) -> bool:
        """The characters that canonical mode alone knows; False for any other."""
        lflag, cc = self.termios.c_lflag, self.termios.c_cc
        extended = lflag & IEXTEN
        if c == cc[VERASE] or c == cc[VKILL] or (c == cc[VWERASE] and extended):
            self._erase(c)
        elif c == cc[VLNEXT] and extended:
            self.literal_next = True
            if lflag & ECHO:
                self._finish_erasing()
                if lflag & ECHOCTL:
                    self._echo(b"^\b")
        elif c == cc[VREPRINT] and lflag & ECHO and extended:
            self._finish_erasing()
            self._echo_text(bytes((c,)))
            self._echo(b"\n")
            self._echo_text(bytes(self.buffer[self.canon_head - self.tail :]))
        elif c == NEWLINE:
            if lflag & (ECHO | ECHONL):
                self._echo(b"\n")
            self._end_line(c)
        elif c == cc[VEOF]:
            self._end_line(DISABLED)
        elif c == cc[VEOL] or (c == cc[VEOL2] and extended):
            if lflag & ECHO:
                if self.canon_head == self.tail + len(self.buffer):
                    self._echo_op(set_canon_column)
                self._echo_text(bytes((c,)))
            if c == MARK and self.termios.c_iflag & PARMRK:
                self.buffer.append(c)
            self._end_line(c)
        else:
            return False
        return True

    def _end_line(self, c: int) -> None:
        self.marks.append(self.tail + len(self.buffer))
        self.buffer.append(c)
        self.canon_head = self.tail + len(self.buffer)
        self.device.input_ready()

    def _signal(self, signo: int, c: int) -> None:
        """n_tty_receive_signal_char, isig."""
        modes = self.termios
        self.device.signal(signo)
        if not modes.c_lflag & NOFLSH:
            self.drop_echoes()
            self.device.flush_output()
            self.flush_input()
        if modes.c_iflag & IXON:
            self.device.start()
        if modes.c_lflag & ECHO:
            self._echo_text(bytes((c,)))
        else:
            self.process_echoes()

    def _erase(self, c: int) -> None:
        """eraser: VERASE, VWERASE or VKILL."""
        buffer = self.buffer
        lflag, cc = self.termios.c_lflag, self.termios.c_cc
        line = self.canon_head - self.tail
        if len(buffer) == line:
            return
        single = c == cc[VERASE]
        word = not single and c == cc[VWERASE]
        whole = not single and not word
        if whole and not (lflag & ECHO and lflag & ECHOK and lflag & ECHOKE and lflag & ECHOE):
            del buffer[line:]
            if lflag & ECHO:
                self._finish_erasing()
                self._echo_text(bytes((c,)))
                if lflag & ECHOK:
                    self._echo(b"\n")
            return
        seen_word = False
        while len(buffer) > line:
            head = len(buffer) - 1
            while self._continues(buffer[head]) and head > line:
                head -= 1
            c = buffer[head]
            if self._continues(c):
                break
            if word:
                if c in WORD:
                    seen_word = True
                elif seen_word:
                    break
            gone = bytes(buffer[head:])
            del buffer[head:]
            if lflag & ECHO:
                self._echo_erased(gone, single)
            if single:
                break
        if len(buffer) == line and lflag & ECHO:
            self._finish_erasing()

    def _continues(self, c: int) -> bool:
        """is_continuation: a byte inside a character of UTF-8."""
        return 0x80 <= c < 0xC0 and bool(self.termios.c_iflag & IUTF8)

    def _echo_erased(self, gone: bytes, single: bool) -> None:
        """Show that a character was taken back."""
        lflag = self.termios.c_lflag
        c = gone[0]
        if lflag & ECHOPRT:
            if not self.erasing:
                self._echo(b"\\")
                self.erasing = True
            self._echo_text(gone[:1])
            for at in range(1, len(gone)):
                self._echo(gone[at : at + 1])
                self._echo_op(move_back_column)
        elif single and not lflag & ECHOE:
            self._echo_text(self.termios.c_cc[VERASE : VERASE + 1])
        elif c == TAB:
            line = self.buffer[self.canon_head - self.tail :]
            _, after_tab, rest = line.rpartition(b"\t")
            columns = sum(
                (2 if lflag & ECHOCTL else 0) if c in CONTROLS else 0 if self._continues(c) else 1 for c in rest
            )
            self._echo_op(tab_eraser(columns & 7, bool(after_tab)))
        elif c in CONTROLS:
            if lflag & ECHOCTL:
                self._echo(b"\b \b\b \b")
        else:
            self._echo(b"\b \b")

    def _finish_erasing(self) -> None:
        if self.erasing:
            self._echo(b"/")
            self.erasing = False

    def flush_input(self) -> None:
        """reset_buffer_flags, n_tty_flush_buffer: input nobody has read is gone."""
        self.tail += len(self.buffer)
        self.canon_head = self.tail
        self.buffer.clear()
        self.marks.clear()
        self.erasing = False
        self.device.input_flushed()

    # Echoes wait while output is stopped or there is no room for them.

    def _echo(self, text: bytes) -> None:
        self.echoes.append(text)
        self.pending_echo += len(text)
        while self.pending_echo > ECHO_BUF_SIZE:
            oldest = self.echoes.popleft()
            self.pending_echo -= len(oldest) if isinstance(oldest, bytes) else 2

    def _echo_op(self, op: Op) -> None:
        self.echoes.append(op)
        self.pending_echo += 2

    def _echo_text(self, text: bytes) -> None:
        """echo_char, for each: with ECHOCTL, control characters show as ^X."""
        if not self.termios.c_lflag & ECHOCTL:
            self._echo(text)
            return
        at = 0
        for found in _control.finditer(text):
            if found.start() > at:
                self._echo(text[at : found.start()])
            at = found.end()
            self._echo_op(shown_controls[text[at - 1]])
        if at < len(text):
            self._echo(text[at:])

    def drop_echoes(self) -> None:
        self.echoes.clear()
        self.pending_echo = 0

    def process_echoes(self) -> None:
        """Put out what waits to be echoed, as far as there is room."""
        echoes = self.echoes
        while echoes and self.device.room() > 0:
            out = bytearray()
            while echoes and len(out) < N_TTY_BUF_SIZE:
                item = echoes.popleft()
                if isinstance(item, bytes):
                    self.pending_echo -= len(item)
                    out += self._post_echo(item)
                else:
                    self.pending_echo -= 2
                    out += item(self)
            if out:
                self.device.put(bytes(out))

    def _post_echo(self, text: bytes) -> bytes:
        """`post`, which echoes of \\377 go past: they always count as one column, and have no capital."""
        oflag = self.termios.c_oflag
        if not oflag & OPOST:
            self.column += text.count(MARK)
            return text
        if not oflag & OLCUC or MARK not in text:
            return self.post(text)
        parts = text.split(b"\377")
        out = bytearray(self.post(parts[0]))
        for part in parts[1:]:
            self.column += 1
            out += b"\377" + self.post(part)
        return bytes(out)

    # Output

    def write(self, data: bytes) -> int:
        """n_tty_write, as far as there is room: how much of `data` was taken."""
        self.process_echoes()
        room = self.device.room()
        if room <= 0:
            return 0
        if len(data) > room:
            data = data[:room]
        self.device.put(self.post(data) if self.termios.c_oflag & OPOST else data)
        return len(data)

    def post(self, data: bytes) -> bytes:
        """process_output: OPOST, and where the cursor is afterwards."""
        oflag = self.termios.c_oflag
        if oflag & SLOW_OUTPUT or oflag & TABDLY == XTABS or not oflag & ONLCR:
            return b"".join(map(self._post_one, data))
        start = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if start:
            self.column = self.canon_column = 0
        self._advance(data[start:] if start else data)
        return data.replace(b"\n", b"\r\n")

    def _advance(self, text: bytes) -> None:
        """The column after text without line ends."""
        invisible = CONTROLS + CONTINUATIONS if self.termios.c_iflag & IUTF8 else CONTROLS
        at = 0
        for found in _moves.finditer(text):
            self.column += len(text[at : found.start()].translate(None, invisible))
            at = found.end()
            if found[0] == b"\t":
                self.column += 8 - (self.column & 7)
            elif self.column:
                self.column -= 1
        self.column += len((text[at:] if at else text).translate(None, invisible))

    def _post_one(self, c: int) -> bytes:
        """do_output_char."""
        oflag = self.termios.c_oflag
        if c == NEWLINE:
            if oflag & ONLRET:
                self.column = 0
            if oflag & ONLCR:
                self.canon_column = self.column = 0
                return b"\r\n"
            self.canon_column = self.column
        elif c == RETURN:
            if oflag & ONOCR and not self.column:
                return b""
            if oflag & OCRNL:
                if oflag & ONLRET:
                    self.canon_column = self.column = 0
                return b"\n"
            self.canon_column = self.column = 0
        elif c == TAB:
            spaces = 8 - (self.column & 7)
            self.column += spaces
            if oflag & TABDLY == XTABS:
                return b" " * spaces
        elif c == BACKSPACE:
            if self.column:
                self.column -= 1
        elif c not in CONTROLS:
            if oflag & OLCUC:
                c = UPPER[c]
            if not self._continues(c):
                self.column += 1
        return bytes((c,))

    # Reading

    def canonical(self) -> bool:
        """Whether input is read by the line."""
        return self.icanon and not self.termios.c_lflag & EXTPROC

    def available(self) -> int:
        """Bytes that may be read now (input_available_p); in canonical mode, those of whole lines."""
        return self.canon_head - self.tail if self.canonical() else len(self.buffer)

    def count(self) -> int:
        """FIONREAD: inq_canon in canonical mode, where the ends of file are no bytes."""
        if not self.canonical():
            return len(self.buffer)
        ends = sum(self.buffer[mark - self.tail] == DISABLED for mark in self.marks)
        return self.canon_head - self.tail - ends

    def minimum(self) -> int:
        """VMIN."""
        return self.termios.c_cc[VMIN]

    def pause_ns(self) -> int:
        """VTIME."""
        return self.termios.c_cc[VTIME] * 100_000_000

    def take(self, spans: Spans, size: int) -> int:
        """Move up to `size` bytes of what is available into `spans`: in canonical mode of one line.  An end of
        file right behind what was asked for goes with it, so that the next read does not see it alone."""
        buffer = self.buffer
        available = self.available()
        count = gone = min(size, available)
        marks = self.marks
        if marks:
            end = marks[0] - self.tail
            if end < count or (end == count < available and buffer[end] == DISABLED):
                count = end if buffer[end] == DISABLED else end + 1
                gone = end + 1
                marks.popleft()
        at = 0
        with memoryview(buffer) as view:
            for span in spans:
                if at == count:
                    break
                part = view[at : min(count, at + len(span))]
                span[: len(part)] = part
                at += len(part)
                part.release()
        del buffer[:gone]
        self.tail += gone
        self.canon_head = max(self.canon_head, self.tail)
        return count


# Echo operations


def set_canon_column(ldisc: NTty) -> bytes:
    """Input begins here: what tabs are counted from."""
    ldisc.canon_column = ldisc.column
    return b""


def move_back_column(ldisc: NTty) -> bytes:
    if ldisc.column:
        ldisc.column -= 1
    return b""


def shown_control(c: int) -> Op:
    """^X."""

    def show(ldisc: NTty) -> bytes:
        ldisc.column += 2
        return bytes((ord("^"), c ^ 0o100))

    return show


shown_controls = {c: shown_control(c) for c in CONTROLS}


def tab_eraser(columns: int, after_tab: bool) -> Op:
    """As many steps back as the tab was wide, `columns` after the line's beginning or the tab before it."""

    def erase(ldisc: NTty) -> bytes:
        back = 8 - (columns + (0 if after_tab else ldisc.canon_column) & 7)
        ldisc.column = max(0, ldisc.column - back)
        return b"\b" * back

    return erase

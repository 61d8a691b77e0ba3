"""A terminal's modes and requests: Linux's ``struct ktermios``, asm-generic/termbits.h and ioctls.h,
termios(3), ioctl_tty(2)."""

from __future__ import annotations

from struct import Struct

# Requests
TCGETS, TCSETS, TCSETSW, TCSETSF = 0x5401, 0x5402, 0x5403, 0x5404
TCGETA, TCSETA, TCSETAW, TCSETAF = 0x5405, 0x5406, 0x5407, 0x5408
TCSBRK, TCXONC, TCFLSH = 0x5409, 0x540A, 0x540B
TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCOUTQ = 0x540C, 0x540D, 0x540E, 0x540F, 0x5410, 0x5411
TIOCSTI, TIOCGWINSZ, TIOCSWINSZ, TIOCMGET = 0x5412, 0x5413, 0x5414, 0x5415
TIOCGSOFTCAR, TIOCSSOFTCAR, FIONREAD = 0x5419, 0x541A, 0x541B
TIOCPKT, TIOCNOTTY, TIOCSETD, TIOCGETD, TCSBRKP, TIOCSBRK, TIOCCBRK = (
    0x5420, 0x5422, 0x5423, 0x5424, 0x5425, 0x5427, 0x5428,
)  # fmt: skip
TIOCGSID, TIOCVHANGUP, TIOCGLCKTRMIOS, TIOCSLCKTRMIOS = 0x5429, 0x5437, 0x5456, 0x5457
TCGETS2, TCSETS2, TCSETSW2, TCSETSF2 = 0x802C542A, 0x402C542B, 0x402C542C, 0x402C542D
TIOCGPTN, TIOCSPTLCK, TIOCGDEV, TIOCSIG = 0x80045430, 0x40045431, 0x80045432, 0x40045436
TIOCGPKT, TIOCGPTLCK, TIOCGEXCL, TIOCGPTPEER = 0x80045438, 0x80045439, 0x80045440, 0x5441

TCOOFF, TCOON, TCIOFF, TCION = range(4)
TCIFLUSH, TCOFLUSH, TCIOFLUSH = range(3)

# The first byte of what a master in packet mode reads
TIOCPKT_DATA, TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHWRITE, TIOCPKT_STOP, TIOCPKT_START = 0, 1, 2, 4, 8
TIOCPKT_NOSTOP, TIOCPKT_DOSTOP, TIOCPKT_IOCTL = 16, 32, 64

# c_iflag
PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IUCLC = 0o10, 0o40, 0o100, 0o200, 0o400, 0o1000
IXON, IXANY, IXOFF, IMAXBEL, IUTF8 = 0o2000, 0o4000, 0o10000, 0o20000, 0o40000
# c_oflag
OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, TABDLY = 0o1, 0o2, 0o4, 0o10, 0o20, 0o40, 0o14000
XTABS = TABDLY
# c_cflag
CBAUD, CBAUDEX, BOTHER, CSIZE, CS8, CREAD, PARENB, CLOCAL = (
    0o10017, 0o10000, 0o10000, 0o60, 0o60, 0o200, 0o400, 0o4000,
)  # fmt: skip
B38400, IBSHIFT = 0o17, 16
# c_lflag
ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, TOSTOP = 0o1, 0o2, 0o10, 0o20, 0o40, 0o100, 0o200, 0o400
ECHOCTL, ECHOPRT, ECHOKE, IEXTEN, EXTPROC = 0o1000, 0o2000, 0o4000, 0o100000, 0o200000

(VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP, VEOL, VREPRINT, VDISCARD,
 VWERASE, VLNEXT, VEOL2) = range(17)  # fmt: skip
CONTROL_CHARACTERS = bytes((3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0))

TERMIO = Struct("<4HB8sx")  # struct termio
TERMIOS = Struct("<4IB19s")  # struct termios
TERMIOS2 = Struct("<4IB19s2I")  # struct termios2
WINSIZE = Struct("<4H")  # rows, columns, and their sizes in pixels

_SPEEDS = (0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400)
_FAST = (
    0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000,
    3500000, 4000000,
)  # fmt: skip


def baud_rate(code: int, other: int) -> int:
    """tty_termios_baud_rate: bits per second behind a CBAUD value; `other` for BOTHER."""
    if code == BOTHER:
        return other
    return _FAST[code & 0o17] if code & CBAUDEX else _SPEEDS[code & 0o17]


class Termios:
    """struct ktermios."""

    __slots__ = ("c_cc", "c_cflag", "c_iflag", "c_ispeed", "c_lflag", "c_line", "c_oflag", "c_ospeed")

    def __init__(
        self, c_iflag: int, c_oflag: int, c_cflag: int, c_lflag: int, c_line: int = 0, c_cc: bytes = CONTROL_CHARACTERS
    ) -> None:
        self.c_iflag = c_iflag
        self.c_oflag = c_oflag
        self.c_cflag = c_cflag
        self.c_lflag = c_lflag
        self.c_line = c_line
        self.c_cc = c_cc
        self.c_ispeed = self.c_ospeed = 38400

    def set_speeds(self, ispeed: int, ospeed: int) -> None:
        """The speeds that c_cflag names; those given where it says BOTHER."""
        self.c_ospeed = baud_rate(self.c_cflag & CBAUD, ospeed)
        code = self.c_cflag >> IBSHIFT & CBAUD
        self.c_ispeed = baud_rate(code, ispeed) if code else self.c_ospeed

    def keep(self, old: Termios, locked: Termios) -> None:
        """unset_locked_termios: what is not 0 in `locked` stays as it is in `old`."""
        self.c_iflag ^= (self.c_iflag ^ old.c_iflag) & locked.c_iflag
        self.c_oflag ^= (self.c_oflag ^ old.c_oflag) & locked.c_oflag
        self.c_cflag ^= (self.c_cflag ^ old.c_cflag) & locked.c_cflag
        self.c_lflag ^= (self.c_lflag ^ old.c_lflag) & locked.c_lflag
        if locked.c_line:
            self.c_line = old.c_line
        self.c_cc = bytes(
            before if held else new for before, held, new in zip(old.c_cc, locked.c_cc, self.c_cc, strict=True)
        )

    def pack(self, layout: Struct) -> bytes:
        """In guest memory: `layout` is TERMIO, TERMIOS or TERMIOS2."""
        flags = (self.c_iflag, self.c_oflag, self.c_cflag, self.c_lflag)
        if layout is TERMIO:
            return TERMIO.pack(*(flag & 0xFFFF for flag in flags), self.c_line, self.c_cc[:8])
        speeds = (self.c_ispeed, self.c_ospeed) if layout is TERMIOS2 else ()
        return layout.pack(*flags, self.c_line, self.c_cc, *speeds)

    def changed(self, layout: Struct, data: bytes) -> Termios:
        """These modes with what `data`, of that layout, sets in them."""
        iflag, oflag, cflag, lflag, line, codes, *speeds = layout.unpack(data)
        if layout is TERMIO:
            iflag, oflag, cflag, lflag = (
                before & ~0xFFFF | new
                for before, new in (
                    (self.c_iflag, iflag), (self.c_oflag, oflag), (self.c_cflag, cflag), (self.c_lflag, lflag),
                )
            )  # fmt: skip
            codes += self.c_cc[8:]
        new = Termios(iflag, oflag, cflag, lflag, line, codes)
        new.set_speeds(*(speeds or (self.c_ispeed, self.c_ospeed)))
        return new

"""Terminal modes where the host's numbers are not Linux's: translation by name, through `termios`."""

from __future__ import annotations

import errno
import fcntl
import os
import termios
from struct import Struct
from typing import Any

from vfs.termbits import (
    FIONREAD,
    TCFLSH,
    TCGETS,
    TCSBRK,
    TCSBRKP,
    TCSETS,
    TCSETSF,
    TCSETSW,
    TCXONC,
    TERMIOS,
    TIOCGWINSZ,
    TIOCOUTQ,
    TIOCSWINSZ,
    WINSIZE,
)

NO_CHARACTER = b"\0"

# asm-generic/termbits.h
IFLAGS = {
    "IGNBRK": 0o1, "BRKINT": 0o2, "IGNPAR": 0o4, "PARMRK": 0o10, "INPCK": 0o20, "ISTRIP": 0o40, "INLCR": 0o100,
    "IGNCR": 0o200, "ICRNL": 0o400, "IXON": 0o2000, "IXANY": 0o4000, "IXOFF": 0o10000, "IMAXBEL": 0o20000,
}  # fmt: skip
OFLAGS = {"OPOST": 0o1, "ONLCR": 0o4, "OCRNL": 0o10, "ONOCR": 0o20, "ONLRET": 0o40, "OFILL": 0o100, "OFDEL": 0o200}
CFLAGS = {"CSTOPB": 0o100, "CREAD": 0o200, "PARENB": 0o400, "PARODD": 0o1000, "HUPCL": 0o2000, "CLOCAL": 0o4000}
LFLAGS = {
    "ISIG": 0o1, "ICANON": 0o2, "ECHO": 0o10, "ECHOE": 0o20, "ECHOK": 0o40, "ECHONL": 0o100, "NOFLSH": 0o200,
    "TOSTOP": 0o400, "ECHOCTL": 0o1000, "ECHOPRT": 0o2000, "ECHOKE": 0o4000, "FLUSHO": 0o10000, "PENDIN": 0o40000,
    "IEXTEN": 0o100000,
}  # fmt: skip
SIZES = {"CS5": 0o0, "CS6": 0o20, "CS7": 0o40, "CS8": 0o60}  # a field of c_cflag, as the speed is
SIZE_MASK, SPEED_MASK = 0o60, 0o10017
SPEEDS = (
    "B0", "B50", "B75", "B110", "B134", "B150", "B200", "B300", "B600", "B1200", "B1800", "B2400", "B4800", "B9600",
    "B19200", "B38400",
)  # fmt: skip
FAST_SPEEDS = ("B57600", "B115200", "B230400")  # from 0o10001 on
CHARACTERS = (
    "VINTR", "VQUIT", "VERASE", "VKILL", "VEOF", "VTIME", "VMIN", "VSWTC", "VSTART", "VSTOP", "VSUSP", "VEOL",
    "VREPRINT", "VDISCARD", "VWERASE", "VLNEXT", "VEOL2",
)  # fmt: skip

SPEED_NUMBERS = {name: number for number, name in enumerate(SPEEDS)}
SPEED_NUMBERS |= {name: 0o10001 + number for number, name in enumerate(FAST_SPEEDS)}


def host_bit(name: str) -> int:
    """The host's number for a mode, 0 if it has none."""
    return int(getattr(termios, name, 0))


def to_linux(host: int, names: dict[str, int]) -> int:
    return sum(bit for name, bit in names.items() if host_bit(name) and host & host_bit(name))


def to_host(linux: int, names: dict[str, int], before: int) -> int:
    """`before` with the modes that both sides know set as in `linux`."""
    for name, bit in names.items():
        before = before | host_bit(name) if linux & bit else before & ~host_bit(name)
    return before


def fetch(fd: int) -> bytes:
    """Linux's struct termios of a terminal."""
    iflag, oflag, cflag, lflag, _, speed, characters = termios.tcgetattr(fd)
    control = to_linux(cflag, CFLAGS)
    control |= next((bits for name, bits in SIZES.items() if cflag & termios.CSIZE == host_bit(name)), 0)
    control |= next((number for name, number in SPEED_NUMBERS.items() if hasattr(termios, name)
                     and speed == host_bit(name)), SPEED_NUMBERS["B38400"])  # fmt: skip
    codes = bytearray(19)
    for place, name in enumerate(CHARACTERS):
        index = getattr(termios, name, None)
        if index is not None:
            value = characters[index]
            codes[place] = value if isinstance(value, int) else value[0]
    return TERMIOS.pack(to_linux(iflag, IFLAGS), to_linux(oflag, OFLAGS), control, to_linux(lflag, LFLAGS), 0, codes)


def store(fd: int, when: int, data: bytes) -> None:
    """Set a terminal's modes from Linux's struct termios."""
    iflag, oflag, cflag, lflag, _, codes = TERMIOS.unpack(data)
    modes = termios.tcgetattr(fd)
    control = to_host(cflag, CFLAGS, modes[2]) & ~termios.CSIZE
    control |= next(host_bit(name) for name, bits in SIZES.items() if bits == cflag & SIZE_MASK)
    speed = next((host_bit(name) for name, bits in SPEED_NUMBERS.items() if bits == cflag & SPEED_MASK), modes[5])
    characters = list(modes[6])
    canonical = bool(lflag & LFLAGS["ICANON"])
    for place, name in enumerate(CHARACTERS):
        index = getattr(termios, name, None)
        if index is None or (canonical and name in ("VMIN", "VTIME")):
            continue
        number = name in ("VMIN", "VTIME")
        characters[index] = codes[place] if number else codes[place : place + 1]
    new = [to_host(iflag, IFLAGS, modes[0]), to_host(oflag, OFLAGS, modes[1]), control]
    termios.tcsetattr(fd, when, [*new, to_host(lflag, LFLAGS, modes[3]), speed, speed, characters])


def ioctl(fd: int, task: Any, request: int, arg: int) -> int:
    """A terminal request, from and to guest memory.  Raises OSError(EINVAL) for what `termios` cannot do."""
    try:
        if request == TCGETS:
            task.mm.write(arg, fetch(fd))
        elif request in (TCSETS, TCSETSW, TCSETSF):
            when = {TCSETS: termios.TCSANOW, TCSETSW: termios.TCSADRAIN, TCSETSF: termios.TCSAFLUSH}[request]
            store(fd, when, task.mm.read(arg, TERMIOS.size))
        elif request == TIOCGWINSZ:
            columns, lines = os.get_terminal_size(fd)
            task.mm.pack(WINSIZE, arg, lines, columns, 0, 0)
        elif request == TIOCSWINSZ:
            fcntl.ioctl(fd, termios.TIOCSWINSZ, Struct("4H").pack(*task.mm.unpack(WINSIZE, arg)))
        elif request in (FIONREAD, TIOCOUTQ):
            host = termios.FIONREAD if request == FIONREAD else termios.TIOCOUTQ
            task.mm.put_u32(arg, Struct("i").unpack(fcntl.ioctl(fd, host, bytes(4)))[0])
        elif request in (TCSBRK, TCSBRKP):
            termios.tcdrain(fd) if arg else termios.tcsendbreak(fd, 0)
        elif request == TCXONC and arg < 4:
            termios.tcflow(fd, (termios.TCOOFF, termios.TCOON, termios.TCIOFF, termios.TCION)[arg])
        elif request == TCFLSH and arg < 3:
            termios.tcflush(fd, (termios.TCIFLUSH, termios.TCOFLUSH, termios.TCIOFLUSH)[arg])
        else:
            raise OSError(errno.EINVAL, "not supported by the host")
    except termios.error as error:
        raise OSError(*error.args) from None
    return 0

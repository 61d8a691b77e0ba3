"""The user's terminal, bridged: what a guest asks of its terminal is asked of the host's.

Linux: ``struct tty_struct``, ioctl_tty(2).  All guest architectures have the numbers and layouts of
asm-generic.  A Linux host with the same ones is given the guest's bytes as they are; any other host is
asked through `termios` (vfs/termios_names.py translates).  Process groups do not map: while lxrun is in
the terminal's foreground, so is the guest's process group.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import termios
from collections.abc import Callable
from functools import partial
from typing import Any

TCGETS, TCSETS, TCSETSW, TCSETSF = 0x5401, 0x5402, 0x5403, 0x5404
TCGETA, TCSETA, TCSETAW, TCSETAF = 0x5405, 0x5406, 0x5407, 0x5408
TCSBRK, TCXONC, TCFLSH = 0x5409, 0x540A, 0x540B
TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCOUTQ = 0x540C, 0x540D, 0x540E, 0x540F, 0x5410, 0x5411
TIOCSTI, TIOCGWINSZ, TIOCSWINSZ, TIOCMGET, FIONREAD = 0x5412, 0x5413, 0x5414, 0x5415, 0x541B
TIOCNOTTY, TIOCGETD, TCSBRKP, TIOCGSID = 0x5422, 0x5424, 0x5425, 0x5429
TCGETS2, TCSETS2, TCSETSW2, TCSETSF2 = 0x802C542A, 0x402C542B, 0x402C542C, 0x402C542D
TIOCGPTN, TIOCGDEV, TIOCGEXCL = 0x80045430, 0x80045432, 0x80045440

TERMIOS, TERMIO, TERMIOS2, WINSIZE = 36, 18, 44, 8  # sizes of the structures in guest memory

# Requests that pass through: the size of what the host stores, and of what it reads.
FETCHES = {
    TCGETS: TERMIOS,
    TCGETA: TERMIO,
    TCGETS2: TERMIOS2,
    TIOCGWINSZ: WINSIZE,
    TIOCOUTQ: 4,
    TIOCMGET: 4,
    FIONREAD: 4,
    TIOCGETD: 4,
    TIOCGPTN: 4,
    TIOCGDEV: 4,
    TIOCGEXCL: 4,
}
STORES = {
    TCSETS: TERMIOS,
    TCSETSW: TERMIOS,
    TCSETSF: TERMIOS,
    TCSETA: TERMIO,
    TCSETAW: TERMIO,
    TCSETAF: TERMIO,
    TCSETS2: TERMIOS2,
    TCSETSW2: TERMIOS2,
    TCSETSF2: TERMIOS2,
    TIOCSWINSZ: WINSIZE,
}
PLAIN = frozenset((TCSBRK, TCSBRKP, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL))  # a number or nothing as argument
SIZES_ONLY = frozenset((TIOCSWINSZ,))  # changes that are not the terminal's modes

# Whatever `restore` must put back, by the terminal's device number: a descriptor of our own, and its modes.
_found: dict[int, tuple[int, Any]] = {}


def same_layout() -> bool:
    """Whether the host's terminal requests are the guest's, bit for bit."""
    machine = os.uname().machine if hasattr(os, "uname") else ""
    odd = machine.startswith(("mips", "ppc", "sparc", "alpha", "parisc"))
    return sys.platform == "linux" and not odd and os.environ.get("LXRUN_HOST") != "portable"


def host_ioctl(fd: int, task: Any, request: int, arg: int) -> int:
    """ioctl(2) on a stream of the host.  Raises OSError(ENOTTY) for what is no terminal."""
    job = JOB_CONTROL.get(request)
    if job is not None:
        return job(fd, task, arg)
    if request == TIOCSTI:
        raise OSError(errno.EIO, "input cannot be faked")  # dev.tty.legacy_tiocsti = 0
    fetch, store = FETCHES.get(request), STORES.get(request)
    if fetch is None and store is None and request not in PLAIN:
        raise OSError(errno.ENOTTY, "no such request")
    if request != FIONREAD and not os.isatty(fd):
        raise OSError(errno.ENOTTY, "not a terminal")
    if store is not None and request not in SIZES_ONLY:
        remember(fd)
    if not same_layout():
        from vfs import termios_names

        return termios_names.ioctl(fd, task, request, arg)
    if fetch is not None:
        buffer = bytearray(fetch)
        fcntl.ioctl(fd, request, buffer, True)
        task.mm.write(arg, buffer)
    elif store is not None:
        data = task.mm.read(arg, store)
        unstopped(task, lambda: fcntl.ioctl(fd, request, data))
    else:
        unstopped(task, lambda: fcntl.ioctl(fd, request, arg & 0x7FFF_FFFF))
    return 0


def remember(fd: int) -> None:
    """Keep the modes as they are now, if this is the first change."""
    device = os.fstat(fd).st_rdev
    if device not in _found:
        _found[device] = (os.dup(fd), termios.tcgetattr(fd))


def restore() -> None:
    """Put every terminal's modes back as they were before the guest's first change."""
    for fd, modes in _found.values():
        try:
            quietly(partial(termios.tcsetattr, fd, termios.TCSADRAIN, modes))
        except termios.error:
            pass  # the terminal is gone
        os.close(fd)
    _found.clear()


def quietly(change: Callable[[], object]) -> None:
    """Do something to the terminal that would stop a process in the background (SIGTTOU)."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        change()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unstopped(task: Any, change: Callable[[], object]) -> None:
    """Do something to the terminal for a guest: its own mask decides whether SIGTTOU stops it."""
    if task.signals.blocked >> (signal.SIGTTOU - 1) & 1:
        quietly(change)
    else:
        change()


# Job control


def host_group(fd: int) -> int:
    """The terminal's foreground process group on the host.  Raises OSError(ENOTTY) if it is not ours."""
    if not os.isatty(fd):
        raise OSError(errno.ENOTTY, "not a terminal")
    return os.tcgetpgrp(fd)


def get_group(fd: int, task: Any, arg: int) -> int:
    """TIOCGPGRP.  A group that is not the guest's has no number here: 0, as from another pid namespace."""
    ours = host_group(fd) == os.getpgrp()
    task.mm.put_u32(arg, task.kernel.foreground if ours else 0)
    return 0


def set_group(fd: int, task: Any, arg: int) -> int:
    """TIOCSPGRP: any group of the guest's session means that lxrun takes the foreground."""
    host_group(fd)
    wanted = task.mm.u32(arg)
    if wanted >> 31:
        raise OSError(errno.EINVAL, "negative process group")
    members = [other for other in task.kernel.tasks.values() if other.pgid == wanted]
    if not members:
        raise OSError(errno.ESRCH, "no such process group")
    if members[0].sid != task.sid:
        raise OSError(errno.EPERM, "a group of another session")
    unstopped(task, lambda: os.tcsetpgrp(fd, os.getpgrp()))
    task.kernel.foreground = wanted
    return 0


def get_session(fd: int, task: Any, arg: int) -> int:
    """TIOCGSID."""
    host_group(fd)
    task.mm.put_u32(arg, task.sid)
    return 0


def take_terminal(fd: int, task: Any, arg: int) -> int:
    """TIOCSCTTY: the terminal that controls lxrun controls the guest already; there is no other."""
    host_group(fd)
    if task.sid != task.tgid:
        raise OSError(errno.EPERM, "not a session leader")
    return 0


def drop_terminal(fd: int, task: Any, arg: int) -> int:
    """TIOCNOTTY: lxrun needs its terminal for the user's signals."""
    host_group(fd)
    raise OSError(errno.EPERM, "the terminal stays with the user")


JOB_CONTROL: dict[int, Callable[[int, Any, int], int]] = {
    TIOCGPGRP: get_group,
    TIOCSPGRP: set_group,
    TIOCGSID: get_session,
    TIOCSCTTY: take_terminal,
    TIOCNOTTY: drop_terminal,
}

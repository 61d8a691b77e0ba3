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
from typing import TYPE_CHECKING, Any

from vfs import termbits
from vfs.outside import outside
from vfs.stream import SIGTTOU, TerminalAccess
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
    TIOCEXCL,
    TIOCGDEV,
    TIOCGETD,
    TIOCGEXCL,
    TIOCGLCKTRMIOS,
    TIOCGPGRP,
    TIOCGPTN,
    TIOCGSID,
    TIOCGWINSZ,
    TIOCMGET,
    TIOCNOTTY,
    TIOCNXCL,
    TIOCOUTQ,
    TIOCSCTTY,
    TIOCSPGRP,
    TIOCSTI,
    TIOCSWINSZ,
)

if TYPE_CHECKING:
    from vfs.file import File
    from vfs.stream import HostStream

# Sizes of the structures in guest memory
TERMIO, TERMIOS, TERMIOS2 = termbits.TERMIO.size, termbits.TERMIOS.size, termbits.TERMIOS2.size
WINSIZE = termbits.WINSIZE.size

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
    TIOCGLCKTRMIOS: TERMIOS,
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


def host_ioctl(file: HostStream, task: Any, request: int, arg: int) -> int:
    """ioctl(2) on a stream of the host.  Raises OSError(ENOTTY) for what is no terminal."""
    fd = file.fd
    if request in JOBS:
        return job_ioctl(fd, task, file, request, arg)
    if request == TIOCSTI:
        raise OSError(errno.EIO, "input cannot be faked")  # dev.tty.legacy_tiocsti = 0
    fetch, store = FETCHES.get(request), STORES.get(request)
    if fetch is None and store is None and request not in PLAIN:
        raise OSError(errno.ENOTTY, "no such request")
    if request != FIONREAD and not os.isatty(fd):
        raise OSError(errno.ENOTTY, "not a terminal")
    tty = task.kernel.host_tty
    if tty is not None and isinstance(file, TerminalAccess) and request not in FETCHES and request not in SIZES_ONLY:
        task.kernel.jobs.check(tty, SIGTTOU)
    if fetch is None:
        outside.changed = True
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


def job_ioctl(fd: int, task: Any, file: File, request: int, arg: int) -> int:
    """tty_jobctrl_ioctl: the kernel's own job control, while lxrun is in the terminal's foreground.  A foreground
    group that is not the guest's has no number here: 0, as from another pid namespace."""
    group = host_group(fd)
    tty = task.kernel.host_tty
    if tty is None:
        raise OSError(errno.ENOTTY, "not the controlling terminal")
    if request == TIOCGPGRP and group != os.getpgrp():
        task.mm.put_u32(arg, 0)
        return 0
    task.kernel.jobs.ioctl(task, file, tty, request, arg)
    if request == TIOCSPGRP:
        outside.changed = True
        unstopped(task, lambda: os.tcsetpgrp(fd, os.getpgrp()))
    return 0


JOBS = frozenset((TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSCTTY, TIOCNOTTY))

"""The user's terminal as a wire: the guest's does all that makes it a terminal.  And job control around it."""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress

# Linux's numbers of what stops a process.
_STOPS = {19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU"}
_LOOK_AGAIN = 0.2  # seconds, while we are in the background


class Terminal:
    """Descriptor `fd` of ours, a terminal; raw while we have it, which is as long as we are in its foreground."""

    def __init__(self, fd: int) -> None:
        import termios

        self.fd = fd
        self.before = termios.tcgetattr(fd)
        self._raw = threading.Event()
        self._wanted = True
        self._lock = threading.Lock()

    @property
    def raw(self) -> bool:
        """Whether we have it."""
        return self._raw.is_set()

    def take(self) -> None:
        """Have it, if we are in its foreground: else Linux would stop us for that.  Also after somebody else had it."""
        import termios
        import tty

        with self._lock:
            self._wanted = True
            if not self._is_foreground():
                self._raw.clear()
                return
            with suppress(termios.error):  # it is gone, and who reads will see that
                if not self.raw:
                    self.before = termios.tcgetattr(self.fd)
                tty.setraw(self.fd, termios.TCSADRAIN)  # what was typed before is for the program
            self._raw.set()

    def give_back(self) -> None:
        """As it was before we had it."""
        import termios

        with self._lock:
            self._wanted = False
            if not self.raw:
                return
            self._raw.clear()
            if self._is_foreground():
                with suppress(termios.error):  # it is gone
                    termios.tcsetattr(self.fd, termios.TCSADRAIN, self.before)

    def wait(self) -> None:
        """Return when there is something to be read by us.  In the background we do not read, as that would stop us."""
        while True:
            while not self._raw.wait(_LOOK_AGAIN):
                if self._wanted and self._is_foreground():
                    self.take()  # a shell's fg does not tell a job that runs
            select.select([self.fd], [], [])
            with self._lock:
                if not self._is_foreground():
                    self._raw.clear()
                elif self.raw:
                    return

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return True  # it does not control us, so it does not stop us


def window_size(fd: int) -> tuple[int, int]:
    """Rows and columns of a terminal."""
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return size.lines, size.columns


def stop(signo: int, *, group: bool = False) -> None:
    """Be stopped by this signal, so that our parent sees it, or with the whole process group, as by the terminal's
    key; returns when somebody has continued us, or at once if Linux stops nobody."""
    host = getattr(signal, _STOPS.get(signo, "SIGSTOP"))
    if host == signal.SIGSTOP:
        os.kill(os.getpid(), host)
        return
    before = signal.signal(host, signal.SIG_DFL)
    try:
        if group:
            os.killpg(0, host)
        else:
            os.kill(os.getpid(), host)
    finally:
        signal.signal(host, before)

"""Signals of the host process, handed on to the guest, and the watcher that interrupts guest code.

A signal sent to lxrun (Ctrl-C, kill, a closed terminal) must reach the guest wherever lxrun happens to
be.  The interpreter's C-level handler writes the number into a pipe; a watcher thread reads it, notes
it and kicks: guest code stops, or the scheduler's selector, which watches `wake_fd`, returns.  The
kernel loop then calls `take` and makes the signals pending.  The watcher also kicks at the next timer's
deadline, because nothing else would while guest code runs.

Host and guest numbers are mapped by name.  SIGPIPE and SIGXFSZ are never forwarded: the interpreter
ignores them, so that the host's calls fail with EPIPE and EFBIG, and the file layer sends the guest's
own.  What lxrun itself inherited for these two cannot be known any more (the interpreter has replaced
it before any Python code runs), so the guest starts with the default, like a program started by a
shell.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

# Names of Linux's signals, by number, that a host may send us.  SIGKILL and SIGSTOP cannot be caught,
# faults are lxrun's own.
NAMES = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 10: "SIGUSR1", 12: "SIGUSR2", 14: "SIGALRM", 15: "SIGTERM", 17: "SIGCHLD",
    18: "SIGCONT", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU", 26: "SIGVTALRM",
    27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO", 30: "SIGPWR",
}  # fmt: skip
# Forwarded from the start: the terminal's, and those whose default action ends a process that has a
# terminal to put in order.  The others are followed only while the guest has a handler for them;
# until then the host's default action is the guest's.
_ALWAYS = (1, 2, 3, 10, 12, 14, 15, 18, 20, 28)
# Background access to the terminal happens in the host's own calls, which a caught signal would only
# restart; the guest's choice is therefore made the host's: stop, or EIO.
_TERMINAL_ACCESS = (21, 22)
_REALTIME = range(34, 65)  # SIGRTMIN of the C library to SIGRTMAX: the same numbers on a Linux host

_LONGEST_POLL = 1 << 30  # milliseconds; the watcher then looks again
_NEVER = 1 << 64
_FD_SETSIZE = 1024
_STOP_NOTICED_NS = 100_000_000

SIG_DFL, SIG_IGN = 0, 1


def _host_number(signo: int) -> int | None:
    name = NAMES.get(signo)
    if name is not None:
        return getattr(signal, name, None)
    return signo if signo in _REALTIME and hasattr(signal, "SIGRTMIN") else None


def _caught(_signo: int, _frame: object) -> None:
    """The interpreter writes to the wake-up descriptor only for signals that have a Python handler."""


def stop(signo: int) -> None:
    """Stop lxrun as the guest would be stopped; returns when somebody continues it.

    Linux's default action is taken for real, so that the parent sees the same status, and an orphaned
    process group is not stopped by the terminal's signals.
    """
    host = getattr(signal, NAMES.get(signo, "SIGSTOP"))
    if host == signal.SIGSTOP:
        os.kill(os.getpid(), host)
        return
    previous = signal.signal(host, signal.SIG_DFL)
    try:
        os.kill(os.getpid(), host)
    finally:
        signal.signal(host, previous)


def _waiter(fd: int) -> Callable[[int | None], bool]:
    """A function that sleeps, for at most some nanoseconds, until `fd` is readable."""
    if fd < _FD_SETSIZE:  # finer than poll's milliseconds, and there on every host
        return lambda left: bool(select.select((fd,), (), (), None if left is None else min(left / 1e9, 1e6))[0])
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return lambda left: bool(poll.poll(None if left is None else min(-(-left // 1_000_000), _LONGEST_POLL)))


def group_is_orphaned() -> bool:
    """Whether the process group lxrun runs in has no parent in its session that could continue it."""
    parent = os.getppid()
    try:
        return os.getpgid(parent) == os.getpgrp() or os.getsid(parent) != os.getsid(0)
    except OSError:
        return True


class Watcher:
    """A thread that sleeps until a byte arrives in the pipe or a deadline passes, and then kicks."""

    __slots__ = ("_deadline", "_note", "_read_fd", "_until", "write_fd")

    def __init__(self, note: Callable[[bytes], None]) -> None:
        self._note = note  # called with the numbers that arrived; none: the deadline has passed
        self._deadline = _NEVER
        self._until = _NEVER  # what the thread sleeps for
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self.write_fd, False)
        # `threading` would cost a millisecond to import; a thread started here does not keep the
        # interpreter from exiting.
        _thread.start_new_thread(self._watch, ())

    def set_deadline(self, deadline: int | None) -> None:
        """Kick once at `deadline` (nanoseconds of the host's monotonic clock); None: only for signals.

        A later deadline than the last costs nothing: the watcher wakes early once and looks again.
        """
        self._deadline = _NEVER if deadline is None else deadline
        # The watcher says what it sleeps for before it looks at the deadline a last time, so either it
        # sees this one or we see that it would sleep too long.
        if self._deadline < self._until:
            try:
                os.write(self.write_fd, b"\0")
            except BlockingIOError:
                pass  # the pipe is full of reasons to look

    def _watch(self) -> None:
        wait = _waiter(self._read_fd)
        served = _NEVER
        while True:
            deadline = self._deadline
            self._until = _NEVER if deadline == served else deadline
            if self._deadline != deadline:
                continue
            left = None if self._until == _NEVER else self._until - time.monotonic_ns()
            if left is not None and left <= 0:
                served = deadline
                self._note(b"")
            elif wait(left):
                try:
                    data = os.read(self._read_fd, 512)
                except BlockingIOError:
                    continue
                if data.strip(b"\0"):
                    self._note(data)


class HostSignals:
    """The host's signals as a guest's.

    `kick` must make guest code stop soon, from any thread.  `ignored` and `blocked` are what lxrun
    inherited, as sets of the guest's signals: nohup(1) and a parent's mask have their effect.
    """

    __slots__ = (
        "_awake", "_before", "_guest", "_kick", "_mask", "_noted", "_wake_write_fd", "blocked", "ignored", "wake_fd",
        "watcher",
    )  # fmt: skip

    def __init__(self, kick: Callable[[], None]) -> None:
        self._kick = kick
        self._noted: list[int] = []
        self._guest: dict[int, int] = {}  # host number -> guest number, of the signals we catch
        self._before: dict[int, Any] = {}  # host number -> its handler before we changed it
        self._awake = False
        self.wake_fd, self._wake_write_fd = os.pipe()
        os.set_blocking(self.wake_fd, False)
        os.set_blocking(self._wake_write_fd, False)
        self.watcher = Watcher(self._note)
        signal.set_wakeup_fd(self.watcher.write_fd, warn_on_full_buffer=False)
        self.ignored = 0
        self._mask: set[int] = set()  # the host's
        for signo in _ALWAYS:
            self._catch(signo)
        for signo in (*_TERMINAL_ACCESS, 17, 23):
            host = _host_number(signo)
            if host is not None and signal.getsignal(host) == signal.SIG_IGN:
                self.ignored |= 1 << (signo - 1)
        self.blocked = self._inherited_mask()

    def _catch(self, signo: int) -> None:
        host = _host_number(signo)
        if host is None or host in self._guest:
            return
        self._guest[host] = signo
        before = signal.signal(host, _caught)
        self._before.setdefault(host, before)
        if before == signal.SIG_IGN:
            self.ignored |= 1 << (signo - 1)

    def _inherited_mask(self) -> int:
        """The mask lxrun was started with becomes the guest's; lxrun itself blocks nothing."""
        if not hasattr(signal, "pthread_sigmask"):
            return 0
        inherited = self._mask = signal.pthread_sigmask(signal.SIG_SETMASK, ())
        mask = 0
        if inherited:
            numbers = {_host_number(signo): signo for signo in (*NAMES, *_REALTIME)}
            for host in inherited:
                if host in numbers:
                    mask |= 1 << (numbers[host] - 1)
        return mask

    # The watcher's thread

    def _note(self, data: bytes) -> None:
        self._noted.extend(number for number in data if number)
        try:
            os.write(self._wake_write_fd, b"!")
        except BlockingIOError:
            pass
        # In this order: a flag without its byte would leave a byte that nobody takes out of the pipe.
        self._awake = True
        self._kick()

    def nudge(self) -> None:
        """Have the kernel look at what has come, though no signal has; from any thread."""
        self._note(b"")

    # The kernel's thread

    def take(self) -> list[int]:
        """The signals that have arrived since the last call, as the guest's numbers, in order."""
        if not self._awake:
            return []
        self._awake = False
        try:
            os.read(self.wake_fd, 512)
        except BlockingIOError:
            pass
        noted = self._noted
        taken = []
        while noted:  # the watcher may add to it at any time
            taken.append(noted.pop(0))
        guest = self._guest
        return [guest[number] for number in taken if number in guest]

    def take_soon(self) -> list[int]:
        """`take` after a stop, which only a signal can have ended: give the watcher time to note it."""
        wait = _waiter(self.wake_fd)
        wait(_STOP_NOTICED_NS)
        while not (taken := self.take()) and wait(0):
            pass
        return taken

    def follow(self, signo: int, handler: int) -> None:
        """The guest has changed its action for a signal; catch it on the host if that is needed."""
        host = _host_number(signo)
        if host is None or host in self._guest or signo == 17:
            return
        if handler in (SIG_DFL, SIG_IGN) or signo in _TERMINAL_ACCESS:
            before = signal.signal(host, signal.SIG_DFL if handler == SIG_DFL else signal.SIG_IGN)
            self._before.setdefault(host, before)
        else:
            self._catch(signo)

    def release(self) -> None:
        """Give the host's signals back, with the handlers and the mask that they had."""
        signal.set_wakeup_fd(-1)
        self.watcher.set_deadline(None)
        for host, handler in self._before.items():
            signal.signal(host, signal.SIG_DFL if handler is None else handler)
        if self._mask:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

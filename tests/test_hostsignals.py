"""Signals sent to lxrun from outside: the same scenario with the program itself and with lxrun around it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path
from struct import pack

import pytest
from harness import LXRUN, ROOT, compile_program

SOURCE = Path(__file__).parent / "guests" / "told.c"
PATIENCE = 20.0

Setup = Callable[[], object]


class Guest:
    """The program with its output in a pipe, or, `on_terminal`, in a session of its own on a pty."""

    def __init__(
        self,
        prefix: list[str],
        *args: str,
        setup: Setup | None = None,
        on_terminal: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        command = [*prefix, str(compile_program(SOURCE, "-static")), *args]
        env = dict(os.environ, PYTHONPATH=str(ROOT), **(env or {}))
        self.pid = -1
        if on_terminal:
            self.pid, self.fd = pty.fork()
            if not self.pid:
                os.execve(command[0], command, env)
            self.stdin = self.fd
        else:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env,
                preexec_fn=setup, restore_signals=False,
            )  # fmt: skip
            assert self.process.stdout is not None and self.process.stdin is not None
            self.pid, self.fd, self.stdin = self.process.pid, self.process.stdout.fileno(), self.process.stdin.fileno()
        self.text = ""
        self.taken = 0

    def expect(self, text: str) -> None:
        """Wait for some output; what came before it counts as seen."""
        end = time.monotonic() + PATIENCE
        while (found := self.text.find(text, self.taken)) < 0:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            try:
                data = os.read(self.fd, 4096) if ready else b""
            except OSError:
                data = b""  # a terminal whose last user is gone
            assert data, f"no {text!r} after {self.text[: self.taken]!r}, but {self.text[self.taken :]!r}"
            self.text += data.decode().replace("\r\n", "\n")
        self.taken = found + len(text)

    def started(self, *inherited: str) -> None:
        """Wait until it does what it was told to do: it says so just before."""
        self.expect("".join(line + "\n" for line in (*inherited, "ready")))
        time.sleep(0.1)

    def kill(self, signo: int) -> None:
        os.kill(self.pid, signo)

    def wait(self, flags: int = 0) -> str:
        """How the process ended or stopped.  A shell's number for a death by signal, as lxrun exits."""
        end = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(self.pid, flags | os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < end, f"still running after {self.text!r}"
            time.sleep(0.01)
        if os.WIFSTOPPED(status):
            return f"stopped {os.WSTOPSIG(status)}"
        self.pid = -1
        return f"exit {os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)}"

    def close(self) -> None:
        if self.pid > 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


Start = Callable[..., Guest]


@pytest.fixture(params=["native", "lxrun"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a Guest natively or under lxrun, and ends it."""
    guests: list[Guest] = []

    def begin(*args: str, setup: Setup | None = None, on_terminal: bool = False) -> Guest:
        guests.append(Guest(LXRUN if request.param == "lxrun" else [], *args, setup=setup, on_terminal=on_terminal))
        return guests[-1]

    yield begin
    for guest in guests:
        guest.close()


@pytest.mark.parametrize("how", ["compute", "sleep", "read", "pause"])
def test_handlers_run(start: Start, how: str) -> None:
    guest = start(how, "10", "12", "15")
    guest.started()
    for signo in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1, signal.SIGTERM):
        guest.kill(signo)
        guest.expect(f"signal {int(signo)}")
    guest.expect("end")
    assert guest.wait() == "exit 7"


@pytest.mark.parametrize("how", ["compute", "sleep", "read"])
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGALRM])
def test_default_actions_end_it(start: Start, how: str, signo: signal.Signals) -> None:
    guest = start(how)
    guest.started()
    guest.kill(signo)
    assert guest.wait() == f"exit {128 + signo}"


def test_signals_without_a_forwarder_of_their_own(start: Start) -> None:
    numbers = [int(signal.SIGPROF), int(signal.SIGURG), int(signal.SIGRTMIN) + 3]
    guest = start("pause", *map(str, numbers))
    guest.started()
    for number in numbers:
        guest.kill(number)
        guest.expect(f"signal {number}")


def test_nohup(start: Start) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

    guest = start("sleep", "15", setup=ignore)
    guest.started("inherited ignored 1")
    guest.kill(signal.SIGHUP)
    guest.kill(signal.SIGTERM)
    guest.expect("signal 15")
    guest.expect("end")
    assert guest.wait() == "exit 7"


def test_blocked_mask(start: Start) -> None:
    def block() -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGRTMIN + 1})

    guest = start("sleep", "10", "15", setup=block)
    guest.started("inherited blocked 10", "inherited blocked 35")
    guest.kill(signal.SIGUSR1)
    guest.kill(signal.SIGTERM)
    guest.expect("signal 15")
    guest.expect("end")
    assert guest.wait() == "exit 7"
    assert "signal 10" not in guest.text


def test_raise_sigstop(start: Start) -> None:
    guest = start("stop", "18")
    guest.started()
    assert guest.wait(os.WUNTRACED) == f"stopped {int(signal.SIGSTOP)}"
    guest.kill(signal.SIGCONT)
    guest.expect("signal 18")
    guest.expect("continued")
    assert guest.wait() == "exit 7"


@pytest.mark.parametrize("how", ["compute", "sleep", "read"])
def test_stopped_from_the_terminal(start: Start, how: str) -> None:
    def own_group() -> None:
        os.setpgid(0, 0)

    guest = start(how, "15", "18", setup=own_group)
    guest.started()
    for _ in range(2):
        guest.kill(signal.SIGTSTP)
        assert guest.wait(os.WUNTRACED) == f"stopped {int(signal.SIGTSTP)}"
        guest.kill(signal.SIGCONT)
        guest.expect("signal 18")
    guest.kill(signal.SIGTERM)
    guest.expect("signal 15")


def test_sleep_goes_on_after_a_stop(start: Start) -> None:
    guest = start("sleep", "15")
    guest.started()
    guest.kill(signal.SIGSTOP)
    assert guest.wait(os.WUNTRACED) == f"stopped {int(signal.SIGSTOP)}"
    guest.kill(signal.SIGCONT)
    time.sleep(0.2)
    guest.kill(signal.SIGTERM)
    guest.expect("signal 15")
    guest.expect("end")
    assert guest.wait() == "exit 7"
    assert guest.text.count("sleep") == 1


@pytest.mark.parametrize("how", ["compute", "sleep", "read"])
@pytest.mark.parametrize(("key", "signo"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_terminal_keys(start: Start, how: str, key: bytes, signo: signal.Signals) -> None:
    guest = start(how, "15", on_terminal=True)
    guest.started()
    os.write(guest.stdin, key)
    assert guest.wait() == f"exit {128 + signo}"


@pytest.mark.parametrize("how", ["compute", "sleep", "read"])
def test_terminal_keys_with_a_handler(start: Start, how: str) -> None:
    guest = start(how, "2", "3", "15", on_terminal=True)
    guest.started()
    os.write(guest.stdin, b"\x03")
    guest.expect("signal 2")
    os.write(guest.stdin, b"\x1c")
    guest.expect("signal 3")
    guest.kill(signal.SIGTERM)
    guest.expect("end")
    assert guest.wait() == "exit 7"


@pytest.mark.parametrize("how", ["compute", "sleep", "read"])
def test_window_size(start: Start, how: str) -> None:
    guest = start(how, "28", "15", on_terminal=True)
    guest.started()
    ioctl(guest.fd, termios.TIOCSWINSZ, pack("HHHH", 24, 91, 0, 0))
    guest.expect("columns 91")
    guest.expect("signal 28")
    guest.kill(signal.SIGTERM)
    assert guest.wait() == "exit 7"

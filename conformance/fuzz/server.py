"""The interpreter of programs, running natively and on lxrun: one start serves many programs."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from conformance.fuzz.csource import interpreter
from conformance.fuzz.model import Program, encode
from conformance.run import Entry, Side, empty, snapshot
from conformance.suite import PATH

PATIENCE = 60.0
"""Seconds for one program; the interpreter itself gives up on one after 20."""
SERVED = 500
"""Programs that one start serves, so that what a kernel might keep of them stays small."""


class FuzzError(Exception):
    """The fuzzer cannot work; one line for the user."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a program saw: a line for each result, and the files it left behind."""

    lines: tuple[str, ...]
    files: Mapping[str, Entry]


class Server:
    """The interpreter on one side, started when it is needed.  `home` is a directory of its own."""

    def __init__(self, side: Side, program: Path, home: Path) -> None:
        self.side = side
        self._program = program
        self._home = home
        self._leader = 0
        self._served = 0
        home.mkdir()

    def run(self, program: bytes) -> Seen:
        """Run an encoded program in an empty directory."""
        if self._served == SERVED:
            self.stop()
        if not self._leader:
            self._start()
        self._served += 1
        case = self._home / "case"
        empty(case)
        text = self._ask(program)
        if text is None:
            errors = self._errors.read_bytes()[-2000:].decode(errors="replace").split("\n")
            self.stop()
            return Seen(("the kernel itself ended", *filter(None, errors[-3:])), {})
        return Seen(tuple(text.rstrip("\n").split("\n")), snapshot(case))

    def stop(self) -> None:
        """End it with all that it has started."""
        if self._leader:
            os.close(self._to)
            os.close(self._from)
            try:
                os.killpg(self._leader, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.waitpid(self._leader, 0)
            self._leader = self._served = 0

    @property
    def _errors(self) -> Path:
        return self._home / "errors"

    def _start(self) -> None:
        here, self._to = os.pipe()
        self._from, there = os.pipe()
        self._leader = os.fork()
        if self._leader == 0:
            self._lead(here, there)
        os.close(here)
        os.close(there)

    def _lead(self, here: int, there: int) -> NoReturn:
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            errors = os.open(self._errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for target, fd in enumerate((here, there, errors)):
                os.dup2(fd, target)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            os.chdir(self._home)
            if self.side == "lxrun":
                import lxrun

                lxrun.run([self._program], env={"PATH": PATH}, cwd=self._home, backend="emulate")
            else:
                os.execve(self._program, [str(self._program)], {"PATH": PATH})
        except BaseException as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(1)

    def _ask(self, program: bytes) -> str | None:
        """The interpreter's answer, or None if it has ended or does not answer in time."""
        try:
            os.write(self._to, program)
        except BrokenPipeError:
            return None
        answer = bytearray()
        deadline = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self._from, selectors.EVENT_READ)
            while len(answer) < 4 or len(answer) < 4 + struct.unpack_from("=I", answer)[0]:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                data = os.read(self._from, 1 << 16)
                if not data:
                    return None
                answer += data
        return answer[4:].decode(errors="backslashreplace")


class Sides:
    """Both interpreters, in a directory that goes with them."""

    def __init__(self, names: list[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self.home = Path(tempfile.mkdtemp(prefix="lxconform-fuzz-")).resolve()
        self._servers: dict[Side, Server] = {}
        try:
            for name, text in interpreter(names).items():
                (self.home / name).write_text(text, encoding="utf-8")
            program = self.home / "interpreter"
            build(self.home / "interpreter.c", program)
            sides: tuple[Side, ...] = ("reference", "lxrun")
            for number, side in enumerate(sides):  # paths of one length, which getcwd(2) returns
                self._servers[side] = Server(side, program, self.home / str(number))
        except BaseException:
            self.close()
            raise

    def run(self, side: Side, program: Program) -> Seen:
        return self._servers[side].run(encode(program, self._numbers))

    def restart(self) -> None:
        """Have the next programs be the first of new kernels."""
        for server in self._servers.values():
            server.stop()

    def close(self) -> None:
        self.restart()
        shutil.rmtree(self.home, ignore_errors=True)


def build(source: Path, program: Path) -> None:
    """Compile a static program.  Raises FuzzError."""
    command = [*compiler(), "-O1", "-w", "-static", "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise FuzzError(f"{source}: does not compile: {_first_error(done.stderr)}")


def compiler() -> list[str]:
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise FuzzError("no C compiler; install one with: apt-get install gcc libc6-dev")


def _first_error(text: str) -> str:
    lines = text.splitlines()
    return next((line for line in lines if "error:" in line), lines[0] if lines else "no message")

"""`lxrun.run`: run a Linux program from Python, as `subprocess.run` runs a native one.

The guest runs in an interpreter of its own.  lxrun's kernel owns its whole process: it takes over
signals, descriptors 0 to 2, the terminal and the timer, and it ends with the guest.  In a process
of its own it disturbs nothing of the caller's, a crash of the CPU engine cannot take the caller
along, a time limit can be enforced, and guests started from several threads run side by side.  The
price is one start of Python, some 15 ms.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE, STDOUT, TimeoutExpired
from typing import IO, Any, NoReturn

from lxrun.diagnostics import CANNOT_RUN, NOT_FOUND

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "CannotRun",
    "Completed",
    "NotFound",
    "RunError",
    "TimeoutExpired",
    "become",
    "preload",
    "returncode",
    "run",
]

StrPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Stream = int | IO[Any] | None


class RunError(Exception):
    """lxrun could not run the guest.  `status` is what the command exits with: 125, 126 or 127."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CannotRun(RunError):
    """The program was found and cannot be run: not an ELF file, another machine's, truncated, not executable."""


class NotFound(RunError, FileNotFoundError):
    """There is no such program in the guest."""

    def __str__(self) -> str:  # OSError's own would be empty
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Completed:
    """How a run ended.

    `returncode` is the guest's exit status, or -n if signal n killed it, as in `subprocess`;
    `stdout` and `stderr` are what was captured, None if it went elsewhere.
    """

    returncode: int
    stdout: bytes | None
    stderr: bytes | None


def run(
    argv: Sequence[StrPath],
    *,
    rootfs: StrPath | None = None,
    root_id: bool = False,
    volumes: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: StrPath | None = None,
    input: bytes | None = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    memory: int | str | None = None,
    engine: str = "unicorn",
    backend: str = "auto",
    strace: StrPath | None = None,
) -> Completed:
    """Run the Linux program `argv` and wait for it.

    argv: the program, a path in the guest or a name to look up in its PATH, and its arguments.
    rootfs: the guest's root directory; None is the host's `/`, with the caller's own rights.
    root_id: be root in the guest, whoever the caller is: owners and modes are kept aside.
    volumes: host paths shown in the guest, each "HOST:GUEST" or "HOST:GUEST:ro".
    env: the guest's whole environment; None is the caller's.
    cwd: the working directory in the guest; None is the caller's if the guest has it, else `/`.
    input: bytes for the guest's standard input, instead of `stdin`.
    stdin, stdout, stderr: None (the caller's), PIPE, DEVNULL, a descriptor or a file object, and for
        stderr also STDOUT.  There is no use in stdin=PIPE without `input`: the guest reads nothing.
    capture_output: PIPE for both stdout and stderr.
    timeout: seconds after which the guest is killed.
    check: raise subprocess.CalledProcessError unless the guest exits with 0.
    memory: the most memory the guest may use, in bytes or as "512m".
    engine: what executes the instructions; "unicorn" is the only one.
    backend: "emulate", "vm" for real Linux in a virtual machine, or "auto": "emulate" unless the program needs more.
    strace: a file of the host's to write the guest's system calls to, in strace's notation.

    Raises NotFound, CannotRun or RunError if the guest could not be started or lxrun failed,
    TimeoutExpired (with what was captured so far), and ValueError for arguments that make no sense.
    """
    words = _words(argv)
    command = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")]
    if rootfs is not None:
        command += ["--rootfs", os.fsdecode(rootfs)]
    if root_id:
        command.append("--root-id")
    for volume in volumes:
        command += ["--volume", volume]
    if memory is not None:
        command += ["--memory", str(memory)]
    command += _options(env, cwd, engine, backend, strace)

    report, report_end = os.pipe()
    try:
        try:
            done = subprocess.run(
                [*command, "--report-fd", str(report_end), "--", *words],
                input=input,
                capture_output=capture_output,
                timeout=timeout,
                pass_fds=[report_end],
                **_streams(stdin, stdout, stderr, input is not None, capture_output),
            )
        finally:
            os.close(report_end)
        with os.fdopen(os.dup(report), "rb") as ending:
            text = os.fsdecode(ending.read())
    finally:
        os.close(report)
    completed = Completed(returncode(text, done.returncode), done.stdout, done.stderr)
    if check and completed.returncode:
        raise subprocess.CalledProcessError(completed.returncode, words, completed.stdout, completed.stderr)
    return completed


def preload() -> None:
    """Load what runs need, so that processes forked from this one can `become` guests without starting Python."""
    try:
        import ctypes
        from importlib import import_module

        import lxrun.machine  # noqa: F401
        from emu.unicorn_cpu import library_path
        from syscalls.table import TABLE

        ctypes.CDLL(library_path())  # and it stays
        for family in TABLE:
            import_module(f"syscalls.{family.module}")
    except Exception:  # whoever becomes a guest will say it
        pass


def become(
    argv: Sequence[StrPath],
    *,
    report: int,
    env: Mapping[str, str] | None = None,
    cwd: StrPath | None = None,
    engine: str = "unicorn",
    backend: str = "auto",
    strace: StrPath | None = None,
) -> NoReturn:
    """Be the command that runs `argv`, as if by exec: for a process that was forked to be it, and has one thread.

    lxrun takes over signals, descriptors 0 to 2 and the timer, and the process ends with the guest.  How it ended
    is written to the descriptor `report`; `returncode` reads it.  The other arguments are those of `run`.
    Raises ValueError as `run` does, and nothing else.
    """
    import gc
    import signal

    from lxrun import cli

    command = [*_options(env, cwd, engine, backend, strace), "--report-fd", str(report), "--", *_words(argv)]
    gc.disable()  # as `cli.entry` does
    gc.freeze()  # what the parent left must not be collected: it may own descriptors that are closed by now
    # An interpreter that starts does this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        os._exit(cli.main(command))
    finally:
        os._exit(125)


def _words(argv: Sequence[StrPath]) -> list[str]:
    words = [os.fsdecode(word) for word in argv]
    if not words:
        raise ValueError("argv is empty")
    if any("\0" in word for word in words):
        raise ValueError("an argument holds a NUL byte")
    return words


def _options(
    env: Mapping[str, str] | None, cwd: StrPath | None, engine: str, backend: str, strace: StrPath | None
) -> list[str]:
    command = []
    if env is not None:
        command.append("--clear-env")
        for name, value in env.items():
            if not name or "=" in name or "\0" in name + value:
                raise ValueError(f"{name!r} cannot be an environment variable")
            command += ["--env", f"{name}={value}"]
    if cwd is not None:
        command += ["--workdir", os.fsdecode(cwd)]
    command += ["--engine", engine, "--backend", backend]
    if strace is not None:
        command += ["--strace", "--output", os.fsdecode(strace)]
    return command


def _streams(stdin: Stream, stdout: Stream, stderr: Stream, has_input: bool, captured: bool) -> dict[str, Any]:
    """Only the streams that were given: subprocess.run refuses them beside what replaces them."""
    streams: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    if has_input and stdin is not None:
        raise ValueError("stdin and input cannot both be given")
    if captured and (stdout is not None or stderr is not None):
        raise ValueError("stdout and stderr cannot be given with capture_output")
    return {name: stream for name, stream in streams.items() if stream is not None}


def returncode(report: str, status: int) -> int:
    """The guest's exit status, or -n for signal n: what the process that ran it reported.  `status` is the same of
    that process, for when it said nothing.  Raises NotFound, CannotRun or RunError."""
    kind, _, rest = report.partition(" ")
    if kind == "exit":
        return int(rest)
    if kind == "signal":
        return -int(rest)
    if kind == "error":
        number, _, text = rest.partition(" ")
        failure = {NOT_FOUND: NotFound, CANNOT_RUN: CannotRun}.get(int(number), RunError)
        raise failure(int(number), text)
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    raise RunError(125, f"lxrun {how} before the guest had ended")

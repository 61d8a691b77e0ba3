"""One run of one case: a fresh directory and session, a time limit for all of it, and what can be seen of it.

Natively and under lxrun alike, the run is a process that the worker forks: it becomes the leader of a session of its
own and then the program, by exec, or lxrun, which the worker has loaded: starting Python for each run would cost more
than most runs.  A reference in a VM is lxrun's too: `--backend vm`.
"""

from __future__ import annotations

import hashlib
import os
import resource
import selectors
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import lxrun
from conformance import tree
from conformance.results import GTEST_XML
from conformance.suite import PATH, Case

Side = Literal["reference", "lxrun"]
Against = Literal["native", "vm"]
Kind = Literal["exit", "signal", "time-out", "refused", "failed", "lost"]

OUTPUT_LIMIT = 4 << 20
"""Bytes kept of each stream; what comes after them is read and dropped."""
TRACE_LIMIT = 16 << 20
"""Bytes of a run's system calls that are compared."""
TEXT_LIMIT = 64 << 10
"""A file that is longer is compared by its checksum."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: a status, a signal, not in time, not started (`refused`), by lxrun's own failure, or with
    the process that was to watch it (`lost`)."""

    kind: Kind
    number: int = 0
    text: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "exit":
                return f"exit {self.number}"
            case "signal":
                try:
                    return f"signal {self.number} ({signal.Signals(self.number).name})"
                except ValueError:
                    return f"signal {self.number}"
            case "time-out":
                return f"no end within {self.text} s"
            case "refused":
                return f"could not be started: {self.text}"
            case "failed":
                return f"lxrun failed: {self.text}"
            case "lost":
                return self.text


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was left behind: its type as ls shows it, its mode, and its text, checksum or target."""

    kind: str
    mode: int
    content: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What can be seen of a run.  Bytes that are no text are escapes (surrogateescape); `trace` is strace's output."""

    ending: Ending
    stdout: str
    stderr: str
    files: Mapping[str, Entry]
    gtest: str | None
    trace: str
    seconds: float


class Runner:
    """Runs cases one after the other, each in the same, emptied directory.  One to a process: see tree.py."""

    def __init__(self, home: Path, env: Mapping[str, str], timeout: float, against: Against) -> None:
        self._against = against
        self.work = home / "work"
        self._trace = home / "trace"
        self.timeout = timeout
        self.env = {
            "PATH": PATH,
            "HOME": str(self.work),
            "TMPDIR": str(self.work),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "TERM": "dumb",
            "GTEST_OUTPUT": f"xml:{self.work / GTEST_XML}",
            **env,
        }
        # A byte arrives here for each child that ends; it is what a run is waited for with.
        self._ended, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(bell, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)

    def run(self, case: Case, side: Side, traced: bool = False) -> Outcome:
        """Run `case` once, and if `traced` record its system calls."""
        empty(self.work)
        started = time.monotonic()
        streams = [os.pipe() for _ in range(3)]  # standard output, standard error, what the leader says
        leader = os.fork()
        if leader == 0:
            self._lead(case, side, traced, [write for _, write in streams])
        for _, write in streams:
            os.close(write)
        reads = [read for read, _ in streams]
        output = [bytearray() for _ in reads]
        try:
            status = self._watch(leader, reads, output, started + self.timeout)
        finally:
            tree.sweep(leader)  # what it started ends with it, and can then write no more
            for fd, kept in zip(reads, output, strict=True):
                while _read(fd, kept):
                    pass
                os.close(fd)
        seconds = time.monotonic() - started
        stdout, stderr, said = (bytes(part).decode(errors="surrogateescape") for part in output)
        xml = self.work / GTEST_XML
        gtest = xml.read_text(errors="surrogateescape") if xml.is_file() else None
        files = snapshot(self.work)
        files.pop(GTEST_XML, None)
        trace = _head(self._trace, TRACE_LIMIT) if traced else ""
        return Outcome(self._ending(side, status, said), stdout, stderr, files, gtest, trace, seconds)

    def _watch(self, leader: int, streams: list[int], output: list[bytearray], deadline: float) -> int | None:
        """Read the streams until the leader ends or the time is over; its wait status, None if it did not end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ended, selectors.EVENT_READ)
            for index, fd in enumerate(streams):
                os.set_blocking(fd, False)
                selector.register(fd, selectors.EVENT_READ, index)
            while True:
                pid, status = os.waitpid(leader, os.WNOHANG)
                if pid:
                    return status
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                for key, _ in selector.select(remaining):
                    if key.fd == self._ended:
                        _drain(key.fd)
                    elif not _read(key.fd, output[key.data]):
                        selector.unregister(key.fd)

    def _ending(self, side: Side, status: int | None, said: str) -> Ending:
        if status is None:
            return Ending("time-out", text=f"{self.timeout:g}")
        kind, _, text = said.partition(" ")
        match kind:
            case "refused" | "failed":
                return Ending(kind, text=text)
        if side == "lxrun" or self._against == "vm":
            return _reported(said, os.waitstatus_to_exitcode(status))
        if os.WIFSIGNALED(status):
            return Ending("signal", os.WTERMSIG(status))
        return Ending("exit", os.WEXITSTATUS(status))

    def _lead(self, case: Case, side: Side, traced: bool, streams: list[int]) -> NoReturn:
        """In the forked process: be the program, or run it under lxrun."""
        say = 3
        try:
            os.dup2(streams[2], say, inheritable=False)  # none of the three is 3 or less: the worker has that open
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            for target, fd in enumerate((null, streams[0], streams[1])):
                os.dup2(fd, target)
            os.closerange(say + 1, os.sysconf("SC_OPEN_MAX"))  # the worker's own, of which some can be inherited
            os.chdir(self.work)
            os.umask(0o022)
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
            if side == "reference" and self._against == "vm":
                lxrun.become(case.argv, report=say, env=self.env, cwd=self.work, backend="vm")
            if side == "lxrun":
                trace = self._trace if traced else None
                lxrun.become(case.argv, report=say, env=self.env, cwd=self.work, backend="emulate", strace=trace)
            argv = ("strace", "-f", "-o", str(self._trace), "--", *case.argv) if traced else case.argv
            os.execvpe(argv[0], argv, self.env)
        except OSError as error:
            _say(say, f"refused {case.argv[0]}: {error.strerror}")
        except BaseException as error:
            _say(say, f"failed {type(error).__name__}: {error}")
        finally:
            os._exit(1)


def _say(fd: int, text: str) -> None:
    os.write(fd, text.encode(errors="surrogateescape")[: 1 << 12])


def _reported(report: str, status: int) -> Ending:
    """What lxrun has reported of the guest."""
    try:
        code = lxrun.returncode(report, status)
    except (lxrun.NotFound, lxrun.CannotRun) as error:
        return Ending("refused", text=str(error))
    except lxrun.RunError as error:
        return Ending("failed", text=str(error))
    return Ending("signal", -code) if code < 0 else Ending("exit", code)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass


def _read(fd: int, kept: bytearray) -> bool:
    """Read what is there; False if there is nothing, now or ever."""
    try:
        data = os.read(fd, 1 << 16)
    except BlockingIOError:
        return False
    kept += data[: OUTPUT_LIMIT - len(kept)]
    return bool(data)


def _head(path: Path, limit: int) -> str:
    """The start of a file, and then the file is gone; empty if there is none."""
    try:
        with open(path, "rb") as file:
            text = file.read(limit).decode(errors="surrogateescape")
    except FileNotFoundError:
        return ""
    path.unlink()
    return text


def empty(work: Path) -> None:
    """An empty `work`, whatever the last run made of it."""

    def again(function: object, path: str, _: object) -> None:
        try:
            os.chmod(os.path.dirname(path), 0o700)  # a directory that its owner may not write to
            os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        except OSError:
            pass

    unmount(work)
    if work.is_dir() and not work.is_symlink():
        for folder, folders, _ in os.walk(work):
            for name in folders:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
        shutil.rmtree(work, onerror=again)
    elif os.path.lexists(work):
        os.unlink(work)
    os.mkdir(work, 0o755)
    os.chmod(work, 0o755)


def unmount(top: Path) -> None:
    """Take off what was mounted at or below `top` and left there: it could be any directory of the machine's."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return
    points = [Path(line.split(" ")[4]) for line in lines]  # a blank in a name would be \\040; ours has none
    for point in reversed([point for point in points if point.is_relative_to(top)]):
        subprocess.run(["umount", "--lazy", "--", point], env={"PATH": PATH}, stderr=subprocess.DEVNULL, check=False)


def snapshot(top: Path) -> dict[str, Entry]:
    """Every file below `top`."""
    found: dict[str, Entry] = {}
    for folder, folders, names in os.walk(top):
        for name in sorted([*folders, *names]):
            path = os.path.join(folder, name)
            try:
                info = os.lstat(path)
                content = _content(path, info)
            except OSError as error:
                content = f"({error.strerror})"
            found[os.path.relpath(path, top)] = Entry(
                stat.filemode(info.st_mode)[0], stat.S_IMODE(info.st_mode), content
            )
    return found


def _content(path: str, info: os.stat_result) -> str:
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        return f"device {os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    if not stat.S_ISREG(info.st_mode):
        return ""
    with open(path, "rb") as file:
        if info.st_size <= TEXT_LIMIT:
            data = file.read(TEXT_LIMIT)
            if b"\0" not in data:
                return data.decode(errors="surrogateescape")
            return f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
        return f"{info.st_size} bytes, SHA-256 {hashlib.file_digest(file, 'sha256').hexdigest()}"

"""The differential harness: one command on real Linux and under lxrun, everything visible compared.

Both runs happen one after the other in a fresh directory of the same name, with the same arguments,
environment, standard input and umask.  What must match: standard output, standard error, the exit
status, and every file the program left behind.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "tests" / "programs"
BUILD = ROOT / "tests" / ".build"
HOME = BUILD / "home"
LXRUN = [sys.executable, "-m", "lxrun"]

NATIVE_TIMEOUT = 60
LXRUN_TIMEOUT = 120

Prepare = Callable[[Path], None]
"""Fills the fresh work directory before each of the two runs."""


# ---------------------------------------------------------------------------------- compiling


@cache
def compiler() -> tuple[str, ...]:
    """gcc, or the C compiler of ziglang from PyPI where there is none."""
    if shutil.which("gcc"):
        return ("gcc",)
    return (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl")


def compile_program(source: Path, *flags: str, command: Sequence[str] = ()) -> Path:
    """The binary of `source`, built once for each text, compiler and set of flags."""
    full = [*(command or compiler()), "-O1", "-w", *flags]
    key = hashlib.sha256(repr([a for a in full if a != sys.executable]).encode())
    for part in (source, *sorted(source.parent.glob("*.h"))):
        key.update(part.read_bytes())
    binary = BUILD / f"{source.stem}-{key.hexdigest()[:16]}"
    if not binary.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
            fresh = Path(scratch) / source.stem
            # -lm and the like come after the sources that need them
            order = (
                [a for a in full if not a.startswith("-l")] + [str(source)] + [a for a in full if a.startswith("-l")]
            )
            done = subprocess.run([*order, "-o", str(fresh)], capture_output=True, text=True)
            if done.returncode:
                pytest.fail(f"{source.name} does not compile: {' '.join(order)}\n{done.stderr}")
            os.replace(fresh, binary)
    return binary


@dataclass(frozen=True)
class Program:
    """What the comment lines at the top of a test program ask for.

    `// cc: FLAGS` replaces the default `-static`; each `// run: ARGS` is one run, with those arguments;
    `// stdin: TEXT` is a line of standard input.
    """

    source: Path
    flags: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]
    stdin: bytes

    @classmethod
    def read(cls, source: Path) -> Program:
        flags: tuple[str, ...] = ("-static",)
        runs: list[tuple[str, ...]] = []
        stdin = b""
        for line in source.read_text().splitlines():
            match = re.match(r"// (cc|run|stdin): ?(.*)", line)
            if match is None:
                continue
            key, value = match.groups()
            if key == "cc":
                flags = tuple(value.split())
            elif key == "run":
                runs.append(tuple(value.split()))
            else:
                stdin += value.encode() + b"\n"
        return cls(source, flags, tuple(runs) or ((),), stdin)

    def build(self) -> Path:
        return compile_program(self.source, *self.flags)


# ------------------------------------------------------------------------------------ packages


def require(package: str, *paths: str) -> None:
    """Fail, never skip, unless all the files that come with a Debian package are there."""
    missing = [p for p in paths if not (shutil.which(p) or os.path.exists(p))]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found; install it with: apt-get install {package}", pytrace=False)


# ------------------------------------------------------------------------------------- running


@dataclass(frozen=True)
class Entry:
    """A file the program left behind."""

    kind: str
    mode: int
    links: int
    size: int
    content: bytes
    mtime_ns: int  # 0 where the run itself was the reason


@dataclass(frozen=True)
class Outcome:
    status: int  # 128+n for death by signal n, as a shell and lxrun put it
    stdout: bytes
    stderr: bytes
    files: Mapping[str, Entry]


def snapshot(top: Path, started_ns: int) -> dict[str, Entry]:
    """Every file below `top`.  A time of modification counts only where the program set it, which is
    where it lies outside the run."""
    found: dict[str, Entry] = {}
    finished_ns = time.time_ns()
    for folder, directories, files in os.walk(top):
        for name in [*directories, *files]:
            path = Path(folder, name)
            info = path.lstat()
            if stat.S_ISREG(info.st_mode):
                content = path.read_bytes()
                if len(content) > 4096:
                    content = hashlib.sha256(content).hexdigest().encode()
            elif stat.S_ISLNK(info.st_mode):
                content = os.fsencode(os.readlink(path))
            else:
                content = str(info.st_rdev).encode()
            set_by_run = started_ns - 10**9 <= info.st_mtime_ns <= finished_ns + 10**9
            directory = stat.S_ISDIR(info.st_mode)  # its size is the host filesystem's affair
            found[str(path.relative_to(top))] = Entry(
                kind=stat.filemode(info.st_mode)[0],
                mode=stat.S_IMODE(info.st_mode),
                links=info.st_nlink,
                size=0 if directory else info.st_size,
                content=content,
                mtime_ns=0 if set_by_run else info.st_mtime_ns,
            )
    return found


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The same small environment for both runs.  HOME is not the work directory: lxrun has a cache there."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        "HOME": str(HOME),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "PYTHONPATH": str(ROOT),  # the checkout, installed or not
        **extra,
    }


def death_message(signo: int) -> bytes:
    """What a shell says about a foreground job killed by `signo`."""
    return (signal.strsignal(signo) or "").encode()


def clean_stderr(stderr: bytes, status: int) -> bytes:
    """Standard error without the line lxrun adds, as a shell does, when a signal killed the guest."""
    if status <= 128 or not (message := death_message(status - 128)):
        return stderr
    lines = stderr.splitlines(keepends=True)
    if lines and lines[-1].startswith(message):
        return b"".join(lines[:-1])
    return stderr


def run(
    argv: Sequence[str],
    work: Path,
    *,
    under_lxrun: bool,
    options: Sequence[str] = (),
    prepare: Prepare | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    patience: int = 1,
) -> Outcome:
    """Run `argv` in the fresh directory `work` and look at everything it did.  It may take `patience` times
    as long as most."""
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    HOME.mkdir(parents=True, exist_ok=True)
    started_ns = time.time_ns()
    if prepare is not None:
        prepare(work)
    command = [*LXRUN, *options, *argv] if under_lxrun else list(argv)
    process = subprocess.Popen(
        command,
        cwd=work,
        env=environment(env or {}),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        umask=0o022,
        start_new_session=True,
    )
    try:
        limit = patience * (LXRUN_TIMEOUT if under_lxrun else NATIVE_TIMEOUT)
        stdout, stderr = process.communicate(stdin or None, timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        try:
            stdout, stderr = process.communicate(timeout=10)
        except subprocess.TimeoutExpired as late:  # a process that left the session has the pipes too
            stdout, stderr = late.stdout or b"", late.stderr or b""
        pytest.fail(
            f"{'lxrun' if under_lxrun else 'native'} did not end in time: {argv}\n"
            f"stdout: {stdout[-2000:]!r}\nstderr: {stderr[-2000:]!r}",
            pytrace=False,
        )
    status = process.returncode
    if status < 0:
        status = 128 - status
    elif under_lxrun:
        stderr = clean_stderr(stderr, status)
    return Outcome(status, stdout, stderr, snapshot(work, started_ns))


class Pair:
    """One test's directory, and the comparison."""

    def __init__(self, tmp_path: Path) -> None:
        self.work = tmp_path / "work"

    def __call__(
        self,
        argv: Sequence[str],
        *,
        prepare: Prepare | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        status: int | None = None,
        blank: Sequence[str] = (),
        outputs: bool = True,
        files: bool = True,
        patience: int = 1,
    ) -> Outcome:
        """Run `argv` both ways and compare.

        `status` is what the program must exit with natively (a test that fails for want of its input
        tests nothing).  Each regular expression in `blank` names text that differs from run to run
        and is taken out of both outputs.  `outputs=False` and `files=False` leave out what cannot be
        the same twice.
        """
        common = {"prepare": prepare, "stdin": stdin, "env": env, "patience": patience}
        native = run(argv, self.work, under_lxrun=False, **common)  # type: ignore[arg-type]
        if status is not None and native.status != status:
            pytest.fail(
                f"native: status {native.status}, not {status}: {argv}\n{native.stderr.decode(errors='replace')}"
            )
        guest = run(argv, self.work, under_lxrun=True, options=options, **common)  # type: ignore[arg-type]
        problems = [
            *(difference("standard output", native.stdout, guest.stdout, blank) if outputs else ()),
            *difference("standard error", native.stderr, guest.stderr, blank),
            *([f"exit status: native {native.status}, lxrun {guest.status}"] if native.status != guest.status else []),
            *(file_differences(native.files, guest.files) if files else ()),
        ]
        if problems:
            pytest.fail(f"{' '.join(map(str, argv))}\n" + "\n".join(problems), pytrace=False)
        return guest


def difference(title: str, native: bytes, guest: bytes, blank: Sequence[str]) -> list[str]:
    """The first lines in which two outputs differ."""
    for pattern in blank:
        native, guest = (re.sub(pattern.encode(), b"<blank>", text, flags=re.M) for text in (native, guest))
    if native == guest:
        return []
    left, right = native.splitlines(keepends=True), guest.splitlines(keepends=True)
    report = [f"{title} differs (native {len(left)} lines, lxrun {len(right)}):"]
    rows = range(max(len(left), len(right)))
    wrong = [n for n in rows if left[n : n + 1] != right[n : n + 1]]
    for n in wrong[:12]:
        for name, lines in (("native", left), ("lxrun ", right)):
            shown = lines[n].decode(errors="backslashreplace").rstrip("\n")[:400] if n < len(lines) else "(end)"
            report.append(f"  {n + 1:4} {name}: {shown}")
    if len(wrong) > 12:
        report.append(f"  ... {len(wrong) - 12} more lines differ")
    return report


def file_differences(native: Mapping[str, Entry], guest: Mapping[str, Entry]) -> list[str]:
    """What the two runs left behind, where it is not the same."""
    report = []
    for name in sorted({*native, *guest}):
        left, right = native.get(name), guest.get(name)
        if left != right:
            report.append(f"file {name}:\n  native: {left}\n  lxrun:  {right}")
    return report

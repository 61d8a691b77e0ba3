"""What runs a program: this machine, lxrun, its peers, a VM; as command lines, and one process of them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 300

NATIVE, LXRUN, QEMU, QILING = "native", "lxrun", "qemu-user", "Qiling"
VM_WARM, VM_COLD = "VM warm", "VM cold"
RUNNERS = (NATIVE, LXRUN, QEMU, QILING)
WITH_TASKS = (NATIVE, LXRUN, QEMU)
VMS = (VM_WARM, VM_COLD)
EVERY = (*RUNNERS, *VMS)

_VM_CACHES = {VM_WARM: "warm", VM_COLD: "cold"}
_VM_PARTS = ("accelerators", "agents", "images", "kernels")  # of the user's cache, made or fetched once


def command(runner: str, argv: Sequence[str]) -> list[str]:
    program = shutil.which(argv[0]) or argv[0]
    argv = [program, *argv[1:]]
    if runner == LXRUN:
        return [sys.executable, "-m", "lxrun", *argv]
    if runner in VMS:
        return [sys.executable, "-m", "lxrun", "--backend", "vm", *argv]
    if runner == QEMU:
        return [shutil.which("qemu-x86_64") or "qemu-x86_64", *argv]
    if runner == QILING:
        return [sys.executable, str(ROOT / "bench" / "qiling_runner.py"), *argv]
    return argv


def environment(runner: str, work: Path) -> dict[str, str]:
    """Every program's, and for a VM the cache that makes it cold or warm."""
    found = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(work), "LC_ALL": "C"}
    found["PYTHONPATH"] = str(ROOT)
    if runner in VMS:
        found["XDG_CACHE_HOME"] = str(work / _VM_CACHES[runner])
    return found


def missing(runner: str) -> str:
    """Why this runner cannot be used here; empty if it can."""
    if runner == QILING and importlib.util.find_spec("qiling") is None:
        return "Qiling is not installed (pip install qiling)"
    if runner == QEMU and shutil.which("qemu-x86_64") is None:
        return "qemu-x86_64 is not installed (apt-get install qemu-user)"
    if runner in VMS:
        from vm import VmError
        from vm.images import prepare
        from vm.kernels import choose
        from vm.qemu import find_qemu, probe

        try:
            find_qemu()
            probe(prepare(choose(None)))
        except VmError as error:
            return str(error)
    return ""


def prepare_vm_caches(work: Path) -> None:
    """A cache for each kind of VM, with the user's kernel and what was made of it.

    In the cold one nothing can be kept: where the kept machines would be is a file.
    """
    from vm.cache import cache_directory

    for name in _VM_CACHES.values():
        folder = work / name / "lxrun" / "vm"
        folder.mkdir(parents=True)
        for part in _VM_PARTS:
            if (cache_directory() / part).exists():
                (folder / part).symlink_to(cache_directory() / part)
    (work / _VM_CACHES[VM_COLD] / "lxrun" / "vm" / "states").touch()


@dataclass
class Run:
    seconds: float
    status: int
    output: str  # a digest
    complaint: str  # the last line on standard error


def execute(argv: list[str], work: Path, keep: bool, env: Mapping[str, str]) -> Run:
    """One process from start to end; with `keep` its output is read, else it goes to /dev/null."""
    out, err = work / "output", work / "complaints"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out) if keep else "/dev/null", flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(err), flags, 0o600),
    ]
    started = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=streams, setpgroup=0)
    handler = signal.signal(signal.SIGALRM, lambda number, frame: os.killpg(pid, signal.SIGKILL))
    timer = signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
    try:
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.killpg(pid, signal.SIGKILL)  # it would not see our Ctrl-C
        os.waitpid(pid, 0)
        raise
    finally:
        seconds = time.perf_counter() - started
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
    digest = hashlib.sha256(out.read_bytes()).hexdigest() if keep else ""
    return Run(seconds, os.waitstatus_to_exitcode(status), digest, last_line(err))


def last_line(path: Path) -> str:
    """What a program complained of in the end, without the names of this machine's directories."""
    lines = path.read_text(errors="replace").split("\n")
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return re.sub(r"/\S*/", "", line).replace("|", "/")[:160]  # it may come to stand in a table


def why_failed(run: Run) -> str:
    """Empty if it did not."""
    if run.seconds >= TIMEOUT:
        return f"more than {TIMEOUT} s"
    if run.status < 0:
        return f"killed by {signal.Signals(-run.status).name}"
    if run.status:
        notes = [run.complaint] if run.complaint else []
        if 128 < run.status < 128 + signal.NSIG:  # as a shell tells of a program that was killed
            notes.insert(0, f"128 + {signal.Signals(run.status - 128).name}")
        return f"exit status {run.status}" + (f" ({', '.join(notes)})" if notes else "")
    return ""

"""Measures every workload under every runner, in interleaved rounds, and writes docs/measurements.md."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.workloads import LXRUN, NATIVE, QEMU, QILING, RUNNERS, Seconds, Workload, workloads, write_inputs

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 180
PATIENCE = 15.0  # a run that takes longer is not repeated
SLEEPERS = 1000


@dataclass
class Run:
    seconds: float
    status: int
    output: str  # a digest


@dataclass
class Measured:
    """One workload: all times of each runner, of the work and of the idle run, and why a runner has none."""

    work: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def medians(self, workload: Workload) -> Seconds:
        """Seconds, or microseconds an operation where the workload counts them."""
        found: Seconds = {}
        for runner, times in self.work.items():
            value = statistics.median(times)
            if workload.idle:
                value = (value - statistics.median(self.idle[runner])) / workload.count * 1e6
            found[runner] = value
        return found


def work_command(runner: str, workload: Workload) -> list[str]:
    if runner == QEMU and workload.qemu_argv is not None:
        return workload.qemu_argv
    return command(runner, workload.argv)


def command(runner: str, argv: Sequence[str]) -> list[str]:
    program = shutil.which(argv[0]) or argv[0]
    argv = [program, *argv[1:]]
    if runner == LXRUN:
        return [sys.executable, "-m", "lxrun", *argv]
    if runner == QEMU:
        return [shutil.which("qemu-x86_64") or "qemu-x86_64", *argv]
    if runner == QILING:
        return [sys.executable, str(ROOT / "bench" / "qiling_runner.py"), *argv]
    return argv


def execute(argv: list[str], work: Path, keep: bool) -> Run:
    """One process from start to end; with `keep` its output is read, else it goes to /dev/null."""
    out = work / "output"
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(work), "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out) if keep else "/dev/null", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
    ]
    started = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=streams, setpgroup=0)
    signal.signal(signal.SIGALRM, lambda number, frame: os.killpg(pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - started
    signal.setitimer(signal.ITIMER_REAL, 0)
    digest = hashlib.sha256(out.read_bytes()).hexdigest() if keep else ""
    return Run(seconds, os.waitstatus_to_exitcode(status), digest)


def check(workload: Workload, runner: str, work: Path, expected: str) -> tuple[str, float]:
    """Run once untimed: why this runner cannot do the work (empty: it can), and how long it took."""
    large = bool(workload.bytes)
    got = execute(work_command(runner, workload), work, keep=not large)
    if got.seconds >= TIMEOUT:
        return f"more than {TIMEOUT} s", got.seconds
    if got.status:
        return f"exit status {got.status}", got.seconds
    return ("wrong output" if got.output != expected else ""), got.seconds


def measure(chosen: list[Workload], runners: Sequence[str], work: Path, rounds: int) -> dict[str, Measured]:
    results = {w.key: Measured() for w in chosen}
    able: dict[str, list[str]] = {}
    slow: set[tuple[str, str]] = set()
    for workload in chosen:
        able[workload.key] = []
        native = execute(work_command(NATIVE, workload), work, keep=not workload.bytes)
        for runner in runners:
            if runner not in workload.runners:
                continue
            why, seconds = check(workload, runner, work, native.output)
            print(f"{workload.key:10} {runner:10} {why or f'{seconds:.2f} s'}", flush=True)
            if why:
                results[workload.key].failed[runner] = why
            else:
                able[workload.key].append(runner)
                if seconds > PATIENCE:
                    slow.add((workload.key, runner))
    for number in range(rounds):
        for workload in chosen:
            for runner in able[workload.key]:
                if number and (workload.key, runner) in slow:
                    continue
                result = results[workload.key]
                if workload.warm:
                    execute(work_command(NATIVE, workload), work, keep=False)
                if workload.idle:
                    idle = execute(command(runner, workload.idle), work, keep=False)
                    result.idle.setdefault(runner, []).append(idle.seconds)
                done = execute(work_command(runner, workload), work, keep=False)
                result.work.setdefault(runner, []).append(done.seconds)
        print(f"round {number + 1} of {rounds}", flush=True)
    return results


@dataclass
class Sleepers:
    """Kilobytes for each sleeping process, and the share of a processor all of them take."""

    kilobytes: float
    cpu: float


def peak_mb(runner: str, argv: Sequence[str], work: Path) -> float:
    """Peak memory of one run, in megabytes."""
    execute([str(work / "peak"), *command(runner, argv)], work, keep=True)
    return int((work / "output").read_text()) * 1024 / 1e6


def measure_sleepers(work: Path) -> Sleepers:
    """What SLEEPERS processes that do nothing cost under lxrun."""
    tasks = str(work / "tasks")
    empty, full = [tasks, "sleepers", "0"], [tasks, "sleepers", str(SLEEPERS)]
    memory = (peak_mb(LXRUN, full, work) - peak_mb(LXRUN, empty, work)) * 1000 / SLEEPERS
    pid = os.posix_spawn(sys.executable, command(LXRUN, full), {"PYTHONPATH": str(ROOT)}, setpgroup=0)
    time.sleep(1)  # a start-up of less than that, then a second of sleep of which the middle counts
    cpu = []
    for _ in range(2):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu.append(int(fields[11]) + int(fields[12]))
        time.sleep(0.25)
    os.waitpid(pid, 0)
    return Sleepers(memory, (cpu[1] - cpu[0]) / os.sysconf("SC_CLK_TCK") / 0.25)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="workloads by key, comma-separated")
    parser.add_argument("--runners", default=",".join(RUNNERS))
    parser.add_argument("--json", metavar="FILE", help="keep every single time")
    parser.add_argument("--no-docs", action="store_true", help="print the tables, leave docs/ alone")
    options = parser.parse_args()

    runners = [r for r in RUNNERS if r in options.runners.split(",")]
    if QILING in runners and importlib.util.find_spec("qiling") is None:
        print("Qiling is not installed (pip install qiling): left out")
        runners.remove(QILING)
    if QEMU in runners and shutil.which("qemu-x86_64") is None:
        print("qemu-x86_64 is not installed (apt-get install qemu-user): left out")
        runners.remove(QEMU)
    with tempfile.TemporaryDirectory(prefix="lxrun-bench-") as scratch:
        work = Path(scratch)
        os.chdir(work)
        write_inputs(work)
        keys = options.only.split(",") if options.only else []
        chosen = [w for w in workloads(work) if not keys or w.key in keys]
        results = measure(chosen, runners, work, options.rounds)
        peaks = {r: peak_mb(r, ["/bin/busybox", "true"], work) for r in runners}
        sleepers = measure_sleepers(work)

    from bench.report import Report

    report = Report(chosen, results, peaks, sleepers, options.rounds)
    print(report.targets())
    if options.json:
        Path(ROOT, options.json).write_text(json.dumps({k: asdict(v) for k, v in results.items()}, indent=1))
    if not options.no_docs:
        report.write(ROOT / "docs")
    sys.exit(0)

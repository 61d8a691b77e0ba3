"""Measures every workload under every runner, in interleaved rounds, and writes docs/measurements.md."""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.runners import (
    EVERY,
    LXRUN,
    NATIVE,
    QEMU,
    ROOT,
    RUNNERS,
    VM_COLD,
    VM_WARM,
    Run,
    command,
    environment,
    execute,
    missing,
    prepare_vm_caches,
    why_failed,
)
from bench.workloads import COUNT, Seconds, Workload, workloads, write_inputs

PATIENCE = 15.0  # a run that takes longer is not repeated
SLEEPERS = 1000


@dataclass
class Measured:
    """One workload: all times of each runner, of the work and of the idle run, and why a runner has none."""

    work: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    checked: dict[str, float] = field(default_factory=dict)  # seconds of the run before all timed ones
    once: list[str] = field(default_factory=list)  # runners whose work is not repeated

    def medians(self, workload: Workload) -> Seconds:
        """Seconds, or microseconds an operation where the workload counts them."""
        found: Seconds = {}
        for runner, times in self.work.items():
            value = statistics.median(times)
            if workload.idle:
                if runner not in self.idle:
                    continue
                value = (value - statistics.median(self.idle[runner])) / workload.count_of(runner) * 1e6
            found[runner] = value
        return found


def work_command(runner: str, workload: Workload) -> list[str]:
    argv = command(runner, workload.argv)
    if runner == QEMU and workload.qemu_argv is not None:
        argv = workload.qemu_argv
    return [word.replace(COUNT, str(workload.count_of(runner))) for word in argv]


def run(argv: list[str], runner: str, work: Path, keep: bool = False) -> Run:
    return execute(argv, work, keep, environment(runner, work))


def check(workload: Workload, runner: str, work: Path, results: Measured, expected: str) -> str:
    """Run once before anything is timed, and note whether this runner can do the work; a digest of its output.

    If that took long, or was a boot, this run is the only one.
    """
    got = run(work_command(runner, workload), runner, work, keep=not workload.bytes)
    why = why_failed(got) or ("wrong output" if expected and got.output != expected else "")
    results.checked[runner] = got.seconds
    if why:
        results.failed[runner] = why
    elif got.seconds > PATIENCE or (runner == VM_COLD and workload.idle):
        results.work[runner] = [got.seconds]
        results.once.append(runner)
    return got.output


def measure(
    chosen: list[Workload],
    runners: Sequence[str],
    work: Path,
    rounds: int,
    results: dict[str, Measured],
    keep: Callable[[], None] = lambda: None,
) -> None:
    """Fill `results`, leaving alone what is there already; `keep` is called whenever there is something new."""
    for workload in chosen:
        result = results.setdefault(workload.key, Measured())
        if workload.prepare is not None:
            workload.prepare()
        expected = ""
        new = [r for r in runners if r in workload.runners and r not in result.checked]
        if new and NATIVE in result.checked:  # by the run that this one goes on with
            expected = run(work_command(NATIVE, workload), NATIVE, work, keep=not workload.bytes).output
        for runner in new:
            output = check(workload, runner, work, result, expected)
            if runner == NATIVE:
                expected = output
            why = result.failed.get(runner) or f"{result.checked[runner]:.2f} s"
            print(f"{workload.key:10} {runner:10} {why}", flush=True)
            keep()
    for number in range(rounds):
        for workload in chosen:
            result = results[workload.key]
            for runner in result.checked:
                if runner in result.failed:
                    continue
                once = runner in result.once
                if workload.warm:
                    run(work_command(NATIVE, workload), NATIVE, work)
                if workload.idle and not (once and (number or runner == VM_COLD)):
                    idle = result.idle.setdefault(runner, [])
                    if len(idle) <= number:
                        idle.append(run(command(runner, workload.idle), runner, work).seconds)
                times = result.work.setdefault(runner, [])
                if not once and len(times) <= number:
                    times.append(run(work_command(runner, workload), runner, work).seconds)
                keep()
        print(f"round {number + 1} of {rounds}", flush=True)


def keep_machine(work: Path) -> Run:
    """The first run of all in a VM: boots, keeps the machine, and resumes it."""
    return run(command(VM_WARM, ["/bin/busybox", "true"]), VM_WARM, work)


@dataclass
class Sleepers:
    """Kilobytes for each sleeping process, and the share of a processor all of them take."""

    kilobytes: float
    cpu: float


def peak_mb(runner: str, argv: Sequence[str], work: Path) -> float:
    """Peak memory of one run, in megabytes."""
    run([str(work / "peak"), *command(runner, argv)], runner, work, keep=True)
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also then nothing is left behind
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="5; of the study 3")
    parser.add_argument("--only", default="", help="workloads by key, comma-separated")
    parser.add_argument("--runners", default=",".join(EVERY), help="comma-separated")
    parser.add_argument("--json", metavar="FILE", help="keep every single time")
    parser.add_argument("--no-docs", action="store_true", help="print the tables, leave docs/ alone")
    parser.add_argument("--study", action="store_true", help="the trade-off study, with the VM: docs/tradeoffs.md")
    parser.add_argument("--again", action="store_true", help="with --study: only write the page anew from its data")
    options = parser.parse_args()
    keys = options.only.split(",") if options.only else []
    rounds = options.rounds or 5
    named = [r for r in EVERY if r in options.runners.split(",")]
    if options.study:
        from bench import study

        if options.again:
            study.again()
        else:
            try:
                study.run(options.rounds or 3, named, keys, options.json, not options.no_docs)
            except KeyboardInterrupt:
                print("\ninterrupted: what is measured is kept, the same command goes on from here", file=sys.stderr)
                sys.exit(130)
        return

    runners = []
    for runner in named:
        if why := missing(runner):
            print(f"{runner}: left out: {why}")
        else:
            runners.append(runner)
    with tempfile.TemporaryDirectory(prefix="lxrun-bench-") as scratch:
        work = Path(scratch)
        os.chdir(work)
        write_inputs(work)
        if VM_COLD in runners or VM_WARM in runners:
            prepare_vm_caches(work)
            keep_machine(work)
        chosen = [w for w in workloads(work) if not keys or w.key in keys]
        results: dict[str, Measured] = {}
        measure(chosen, runners, work, rounds, results)
        peaks = {r: peak_mb(r, ["/bin/busybox", "true"], work) for r in runners if r in RUNNERS}
        sleepers = measure_sleepers(work)

    from bench.report import Report

    report = Report(chosen, results, peaks, sleepers, rounds)
    print(report.targets())
    if options.json:
        Path(ROOT, options.json).write_text(json.dumps({k: asdict(v) for k, v in results.items()}, indent=1))
    if not options.no_docs:
        report.write(ROOT / "docs")
    sys.exit(0)

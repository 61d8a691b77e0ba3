"""The trade-off study: what every runner costs, measured in one go.  `./dev bench --study` writes docs/tradeoffs.*.

What is measured is kept in a file as it comes, so that an interrupted study goes on where it stopped.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import machine
from bench.run import Measured, keep_machine, measure
from bench.runners import EVERY, ROOT, VM_WARM, VMS, command, environment, last_line, missing, prepare_vm_caches
from bench.workloads import Workload, study_workloads, write_inputs

LEVELS = (1, 10, 50)  # instances side by side
STARTING_LIMIT = 180.0  # seconds for starting all instances of one runner
RESERVE = 2 << 30  # bytes of memory that stay free, whatever is measured
ANSWER_LIMIT = 60.0
FORM = 1  # of the JSON file
DATA, STATE = "tradeoffs.json", "tradeoffs.json.state"


@dataclass
class Instances:
    """`count` of the `wanted` instances, what they take together, and why it is not all of them."""

    wanted: int
    count: int
    bytes: int  # sum of PSS
    why: str = ""


@dataclass
class Task:
    """A workload as the page needs it."""

    title: str
    sizes: dict[str, int]
    bytes: int
    measured: Measured


@dataclass
class Study:
    """All that was measured; times in seconds.  The page is a function of it."""

    machine: list[str]
    rounds: int
    missing: dict[str, str] = field(default_factory=dict)  # runner: why it is not there
    interrupted: int = 0
    keeping: float | None = None  # of the first run of all in a VM
    first: dict[str, list[float]] = field(default_factory=dict)  # to the first byte of output
    whole: dict[str, list[float]] = field(default_factory=dict)  # the same runs to their end
    silent: dict[str, str] = field(default_factory=dict)  # runner: why it printed nothing
    tasks: dict[str, Task] = field(default_factory=dict)
    memory: dict[str, list[Instances]] = field(default_factory=dict)

    @property
    def runners(self) -> list[str]:
        return [runner for runner in EVERY if runner not in self.missing]

    def to_json(self) -> str:
        return json.dumps({"form": FORM, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Study:
        """Raises ValueError for what another version wrote."""
        data: dict[str, Any] = json.loads(text)
        if data.pop("form", None) != FORM:
            raise ValueError("not a study of this version")
        tasks = {k: Task(**{**t, "measured": Measured(**t["measured"])}) for k, t in data.pop("tasks").items()}
        memory = {r: [Instances(**i) for i in found] for r, found in data.pop("memory").items()}
        return cls(**data, tasks=tasks, memory=memory)


# ------------------------------------------------------------------------------ the first byte


class NoAnswer(Exception):
    """A program did not print its byte; the text says why."""


class Waiting:
    """Programs that have printed a byte each and wait for the end of their input, which is our end of a pipe.

    So they end with us, however we end.
    """

    def __init__(self, runner: str, program: str, work: Path) -> None:
        self.argv = command(runner, [program])
        self.env = environment(runner, work)
        self.complaints = work / "complaints"
        self.theirs, self.input = os.pipe2(os.O_CLOEXEC)
        self.pids: list[int] = []
        self.ready = 0  # have printed

    def start(self, count: int) -> float:
        """Start `count` side by side; seconds until the last one has printed.  Raises NoAnswer."""
        started = time.perf_counter()
        outputs = [self._spawn() for _ in range(count)]
        try:
            for output in outputs:
                ready, _, _ = select.select([output], [], [], ANSWER_LIMIT)
                if not ready:
                    raise NoAnswer(f"nothing printed within {ANSWER_LIMIT:.0f} s")
                if not os.read(output, 1):
                    raise NoAnswer(last_line(self.complaints) or "it ended and had printed nothing")
                self.ready += 1
            return time.perf_counter() - started
        finally:
            for output in outputs:
                os.close(output)

    def _spawn(self) -> int:
        output, theirs = os.pipe2(os.O_CLOEXEC)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        streams = [
            (os.POSIX_SPAWN_DUP2, self.theirs, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 1),
            (os.POSIX_SPAWN_OPEN, 2, str(self.complaints), flags, 0o600),
        ]
        self.pids.append(os.posix_spawn(self.argv[0], self.argv, self.env, file_actions=streams, setpgroup=0))
        os.close(theirs)
        return output

    def end(self) -> None:
        """Let them end, and make sure that they do."""
        os.close(self.theirs)
        os.close(self.input)
        late = time.monotonic() + ANSWER_LIMIT / 2
        for pid in self.pids:
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > late:
                    os.killpg(pid, signal.SIGKILL)
                time.sleep(0.0005)


@contextmanager
def waiting(runner: str, work: Path) -> Iterator[Waiting]:
    programs = Waiting(runner, str(work / "first"), work)
    try:
        yield programs
    finally:
        programs.end()


def first_byte(runner: str, work: Path) -> tuple[float, float]:
    """Seconds from the start of a process to the first byte its program prints, and to its end.  Raises NoAnswer."""
    started = time.perf_counter()
    with waiting(runner, work) as program:
        first = program.start(1)
    return first, time.perf_counter() - started


def measure_start(study: Study, runners: Sequence[str], work: Path, keep: Callable[[], None]) -> None:
    for number in range(study.rounds):
        for runner in runners:
            if runner in study.silent or len(study.first.get(runner, ())) > number:
                continue
            try:
                first, whole = first_byte(runner, work)
            except NoAnswer as failure:
                study.silent[runner] = str(failure)
                print(f"first byte {runner:10} {failure}", flush=True)
            else:
                study.first.setdefault(runner, []).append(first)
                study.whole.setdefault(runner, []).append(whole)
                print(f"first byte {runner:10} {first:.3f} s", flush=True)
            keep()


# -------------------------------------------------------------------------------------- memory


def measure_memory(
    study: Study, runners: Sequence[str], work: Path, keep: Callable[[], None], levels: Sequence[int] = LEVELS
) -> None:
    for runner in runners:
        if runner in study.memory or runner in study.silent:
            continue
        found: list[Instances] = []
        with waiting(runner, work) as programs:
            began, why = time.monotonic(), ""
            before = available()
            for wanted in levels:
                while programs.ready < wanted and not why:
                    try:
                        programs.start(min(wanted - programs.ready, os.cpu_count() or 1))
                    except NoAnswer as failure:
                        why = f"the next one failed: {failure}"
                        break
                    each = (before - available()) / programs.ready
                    if available() - 2 * each < RESERVE:
                        why = f"more would have left less than {RESERVE >> 30} GiB of memory to the machine"
                    elif time.monotonic() - began > STARTING_LIMIT:
                        why = f"after {STARTING_LIMIT:.0f} s no more were started"
                count = programs.ready
                if found and found[-1].count == count:
                    found[-1].why = why
                if not count or (found and found[-1].count == count):
                    break
                found.append(Instances(wanted, count, proportional(programs.pids), why if count < wanted else ""))
                print(f"memory     {runner:10} {count} instances: {found[-1].bytes / 1e6:.0f} MB {why}", flush=True)
        if found:
            study.memory[runner] = found
        else:
            study.silent[runner] = why
        keep()


def available() -> int:
    """Bytes of memory that programs could still use: MemAvailable of /proc/meminfo."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024


def proportional(pids: Sequence[int]) -> int:
    """PSS in bytes of these processes and all that they started, of a page that several share each its part."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended
            children.setdefault(parent, []).append(int(path.name))
    total, left = 0, list(pids)
    while left:
        pid = left.pop()
        left += children.get(pid, ())
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


# --------------------------------------------------------------------------------- all of it


class Keep:
    """Writes the study to a file as it grows."""

    def __init__(self, study: Study, path: Path) -> None:
        self.study = study
        self.path = path

    def __call__(self) -> None:
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_text(self.study.to_json())
        fresh.replace(self.path)


def begun(path: Path, rounds: int, gone: Mapping[str, str]) -> Study:
    """The study that an interrupted run left in `path`, if it is of this machine and of this kind; else a new one."""
    fresh = Study(machine(), rounds, dict(gone))
    try:
        study = Study.from_json(path.read_text())
    except (OSError, ValueError, TypeError):
        return fresh
    if (study.machine, study.rounds, study.missing) != (fresh.machine, rounds, fresh.missing):
        return fresh
    print(f"going on with what an interrupted run left in {path.name}", flush=True)
    study.interrupted += 1
    return study


def conduct(
    runners: Sequence[str],
    rounds: int,
    plan: Callable[[Path], list[Workload]],
    state: Path,
    levels: Sequence[int] = LEVELS,
) -> Study:
    """Measure everything.  What is measured stays in the file `state`, for the caller to remove.

    `plan` has the workloads for a directory to work in; `levels` how many instances share the memory.
    """
    gone = {r: missing(r) if r in runners else "left out by --runners" for r in EVERY}
    gone = {r: why for r, why in gone.items() if why}
    for runner, why in gone.items():
        print(f"{runner}: left out: {why}", flush=True)
    study = begun(state, rounds, gone)
    keep = Keep(study, state)
    with tempfile.TemporaryDirectory(prefix="lxrun-bench-") as scratch:
        work = Path(scratch)
        home = Path.cwd()
        os.chdir(work)
        try:
            write_inputs(work)
            if any(r in VMS for r in study.runners):
                prepare_vm_caches(work)
                if VM_WARM in study.runners:
                    seconds = keep_machine(work).seconds
                    study.keeping = study.keeping or seconds
                    print(f"first run of all in a VM: {seconds:.2f} s", flush=True)
            measure_start(study, study.runners, work, keep)
            chosen = plan(work)
            results = {key: task.measured for key, task in study.tasks.items()}
            for workload in chosen:
                results.setdefault(workload.key, Measured())
                sizes = {r: workload.count_of(r) for r in study.runners}
                study.tasks[workload.key] = Task(workload.title, sizes, workload.bytes, results[workload.key])
            measure(chosen, study.runners, work, rounds, results, keep)
            measure_memory(study, study.runners, work, keep, levels)
        finally:
            os.chdir(home)
    return study


def write(study: Study, folder: Path) -> None:
    """The page, its plots and its data."""
    from bench.tradeoffs import Page

    (folder / DATA).write_text(study.to_json())
    Page(study).write(folder)
    print("wrote docs/tradeoffs.md, its data and its plots")


def run(rounds: int, runners: Sequence[str], keys: Sequence[str], json_file: str | None, docs: bool) -> None:
    """`./dev bench --study`."""
    if docs and importlib.util.find_spec("matplotlib") is None:
        raise SystemExit("the plots need matplotlib: ./dev bench installs it, or pip install 'lxrun[bench]'")

    def plan(work: Path) -> list[Workload]:
        return [w for w in study_workloads(work) if not keys or w.key in keys]

    from bench.tradeoffs import Page

    state = ROOT / "docs" / STATE
    study = conduct(runners, rounds, plan, state)
    if json_file:
        Path(ROOT, json_file).write_text(study.to_json())
    if docs:
        write(study, ROOT / "docs")
    else:
        print(Page(study).text())
    state.unlink()


def again() -> None:
    """`./dev bench --study --again`: the page from the data that is there."""
    folder = ROOT / "docs"
    write(Study.from_json((folder / DATA).read_text()), folder)

"""docs/tradeoffs.md: what a study found, in words, tables and plots.  All of it follows from the data."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from bench.runners import LXRUN, NATIVE, QEMU, VM_COLD, VM_WARM
from bench.study import Instances, Study, Task

INTRODUCTION = """# What emulation costs beside a VM

Written by `./dev bench --study` from what it measured ([tradeoffs.json](tradeoffs.json)); `./dev bench --study --again`
writes the page anew from that. The same static programs ran under every runner, one after the other, {rounds}; what is
shown is medians. Another machine has other times; the ratios carry over better.

{machine}

*VM warm* is `lxrun --backend vm` resuming a kept machine, *VM cold* the same booting one ([vm.md](vm.md)). qemu-user
does not follow exec: in the loop that starts programs each of them is started under it anew. A run counts only if it
ends with status 0 and native's output."""

START = """## Until the first instruction

From the start of the process to the first byte written by a program that does nothing before (a static one without a C
library)."""

COSTS = """## What an operation costs then

The time of a run with operations less that of one with none, by their number: start-up is not part of it. In
parentheses: times native's. The sizes were chosen for about a second of work, so they differ by runner; they are in the
data."""

MEMORY = """## Memory, side by side

The program above, waiting, so many times at once. Megabytes of all their processes together, a page that several share
counted once (the sum of the PSS that Linux reports), and for each of them."""

CROSSING = """## Where the lines cross

A run takes its start, and its cost for each operation: two straight lines, which cross where the start of the
slower starter is repaid. The start is that of the same program with no operations; a cold VM costs what a warm one
does once it has booted."""


@dataclass(frozen=True)
class Line:
    """Seconds of a run as a function of its operations."""

    start: float
    each: float

    def at(self, count: float) -> float:
        return self.start + self.each * count


@dataclass(frozen=True)
class Crossing:
    """From `count` operations on, `seconds` into the run of either, the second line is the cheaper one."""

    count: float
    seconds: float


def crossing(first: Line, second: Line) -> Crossing | None:
    """Where `second` starts to pay; at 0 operations if it does at once, None if it never does."""
    if second.start <= first.start:
        return Crossing(0, second.start) if second.each <= first.each else None
    if second.each >= first.each:
        return None
    count = (second.start - first.start) / (first.each - second.each)
    return Crossing(count, first.at(count))


def overtaken(first: Line, second: Line) -> bool:
    """`second` starts first and costs more for each operation: it is the other one that may pay."""
    return second.start <= first.start and second.each > first.each


def steady(task: Task, runner: str) -> float | None:
    """Seconds an operation; None if it was not measured or drowned in the noise of the start."""
    measured = task.measured
    if not measured.work.get(runner) or not measured.idle.get(runner):
        return None
    work, idle = (statistics.median(times[runner]) for times in (measured.work, measured.idle))
    each = (work - idle) / task.sizes[runner]
    return each if each > 0 else None


class Page:
    def __init__(self, study: Study) -> None:
        self.study = study
        self.starts = {r: statistics.median(times) for r, times in study.first.items()}
        self.costs = {
            key: {r: cost for r in study.runners if (cost := steady(task, r)) is not None}
            for key, task in study.tasks.items()
        }
        # A cold VM is a warm one once it has booted; only its start is its own.
        self.steady_runners = [r for r in study.runners if r != VM_COLD]

    def line(self, key: str, runner: str) -> Line | None:
        """How long a run of this workload takes under this runner."""
        if runner == VM_COLD:
            warm = self.line(key, VM_WARM)
            if warm is None or VM_COLD not in self.starts or VM_WARM not in self.starts:
                return None
            return Line(warm.start + self.starts[VM_COLD] - self.starts[VM_WARM], warm.each)
        each = self.costs[key].get(runner)
        idle = self.study.tasks[key].measured.idle.get(runner)
        return None if each is None or not idle else Line(statistics.median(idle), each)

    # The page, part by part

    def text(self) -> str:
        rounds = "once" if self.study.rounds == 1 else f"{self.study.rounds} times over"
        lines = "\n".join(f"- {line}" for line in self.study.machine)
        parts = [INTRODUCTION.format(rounds=rounds, machine=lines)]
        if self.study.interrupted:
            parts.append(f"The study was interrupted and went on later ({self.study.interrupted}×).")
        parts += ["## In short", self.summary()]
        parts += [START, self.start_table(), "![Time to the first instruction](tradeoffs-start.svg)"]
        parts += [COSTS, self.cost_table(), "![Cost of an operation relative to native](tradeoffs-costs.svg)"]
        if self.study.memory:
            parts += [MEMORY, self.memory_table(), "![Memory by number of instances](tradeoffs-memory.svg)"]
        parts += [CROSSING, self.crossing_table(), "![Time of a run by its operations](tradeoffs-crossing.svg)"]
        if check := self.check_table():
            parts += [CHECK, check]
        if failures := self.failures():
            parts += ["## What could not be run", failures]
        return "\n\n".join(parts) + "\n"

    def summary(self) -> str:
        """The sentences that a reader in a hurry needs."""
        lines = []
        told = [f"{r} {duration(t)}" for r, t in sorted(self.starts.items(), key=lambda item: item[1])]
        if told:
            lines.append(f"- First instruction after: {', '.join(told)}.")
        if self.study.keeping is not None:
            lines.append(
                f"- The very first run in a VM boots it, keeps it and resumes it: {duration(self.study.keeping)}."
            )
        for runner in (LXRUN, QEMU, VM_WARM):
            ratios = {k: c[runner] / c[NATIVE] for k, c in self.costs.items() if runner in c and NATIVE in c}
            if ratios:
                least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
                span = f"{times(ratios[least])} ({self.title(least)}) to {times(ratios[most])} ({self.title(most)})"
                lines.append(f"- An operation under {runner} takes {span} native's time.")
        for runner, found in self.study.memory.items():
            if runner in (LXRUN, VM_WARM, VM_COLD):
                all_mb, count = found[-1].bytes / 1e6, found[-1].count
                lines.append(f"- {count} × {runner}: {all_mb:,.0f} MB, {all_mb / count:.3g} MB each.")
        for vm in (VM_WARM, VM_COLD):
            lines += self.repaid(vm)
        return "\n".join(lines)

    def repaid(self, vm: str) -> list[str]:
        """After how long a VM's start is repaid, in one sentence."""
        early: list[tuple[float, str]] = []
        never: list[str] = []
        for key in self.study.tasks:
            ours, theirs = self.line(key, LXRUN), self.line(key, vm)
            if ours is None or theirs is None:
                continue
            where = crossing(ours, theirs)
            if where is None:
                never.append(self.title(key))
            else:
                early.append((where.seconds, self.title(key)))
        said = []
        if early:
            least, most = min(early), max(early)
            span = f"{duration(least[0])} ({least[1]})"
            if most != least:
                span += f" to {duration(most[0])} ({most[1]})"
            said.append(f"- {vm}: repaid against lxrun in a program that runs for {span}.")
        if never:
            said.append(f"- {vm}: never repaid, lxrun starting sooner and costing less for each: {', '.join(never)}.")
        return said

    def title(self, key: str) -> str:
        return self.study.tasks[key].title

    def start_table(self) -> str:
        rows = ["| runner | first instruction | fastest to slowest | start and end |", "|---|---:|---:|---:|"]
        for runner in self.study.runners:
            found = self.study.first.get(runner)
            if not found:
                continue
            whole = statistics.median(self.study.whole[runner])
            span = f"{duration(min(found))} to {duration(max(found))}"
            rows.append(f"| {runner} | {duration(self.starts[runner])} | {span} | {duration(whole)} |")
        return "\n".join(rows)

    def cost_table(self) -> str:
        """An operation's cost; throughput where it moves bytes."""
        runners = self.steady_runners
        rows = [f"| operation | {' | '.join(runners)} |", "|---|" + "---:|" * len(runners)]
        for key, task in self.study.tasks.items():
            costs = self.costs[key]
            cells = []
            for runner in runners:
                if runner not in costs:
                    cells.append("too fast to tell" if task.measured.idle.get(runner) else "cannot")
                    continue
                cell = duration(costs[runner])
                if task.bytes:
                    cell = f"{task.bytes / costs[runner] / 1e6:,.0f} MB/s"
                if runner != NATIVE and NATIVE in costs:
                    cell += f" ({times(costs[runner] / costs[NATIVE])})"
                cells.append(cell)
            rows.append(f"| {task.title} | {' | '.join(cells)} |")
        return "\n".join(rows) + self.spread()

    def spread(self) -> str:
        """How far runs of the same thing were apart where they were furthest."""
        found = [
            (max(seconds) / min(seconds), runner, task.title)
            for task in self.study.tasks.values()
            for runs in (task.measured.work, task.measured.idle)
            for runner, seconds in runs.items()
            if len(seconds) > 1
        ]
        if not found:
            return ""
        middle = statistics.median(ratio for ratio, _, _ in found)
        most, runner, title = max(found)
        told = (
            f"Of runs of one kind the slowest took {times(middle)} the time of the fastest (the median of all kinds), "
        )
        return f"\n\n{told}at most {times(most)} ({runner}, {title})."

    def memory_table(self) -> str:
        levels = sorted({i.wanted for found in self.study.memory.values() for i in found})
        head = " | ".join(f"{n}" for n in levels)
        rows = [f"| runner | {head} |", "|---|" + "---:|" * len(levels)]
        notes = []
        for runner, found in self.study.memory.items():
            by_level = {i.wanted: i for i in found}
            rows.append(f"| {runner} | {' | '.join(_megabytes(by_level.get(n)) for n in levels)} |")
            notes += [f"{runner}: {i.count} instances, not {max(levels)}: {i.why}." for i in found if i.why]
        return "\n".join(rows) + ("\n\n" + "\n".join(notes) if notes else "")

    def crossing_table(self) -> str:
        """From where on a VM pays, against each emulator."""
        pairs = [(vm, other) for vm in (VM_WARM, VM_COLD) for other in (LXRUN, QEMU)]
        pairs = [p for p in pairs if any(self.line(k, r) is not None for k in self.costs for r in p)]
        rows = [
            "| operation | " + " | ".join(f"{vm} pays against {other}" for vm, other in pairs) + " |",
            "|---|" + "---|" * len(pairs),
        ]
        for key in self.study.tasks:
            cells = []
            for vm, other in pairs:
                first, second = self.line(key, other), self.line(key, vm)
                cells.append("–" if first is None or second is None else _told(first, second))
            rows.append(f"| {self.title(key)} | {' | '.join(cells)} |")
        return "\n".join(rows)

    def check_table(self) -> str:
        """Whole runs in a VM that booted, beside what the lines say of them."""
        rows = ["| operation | how many | the line says | measured |", "|---|---:|---:|---:|"]
        for key, task in self.study.tasks.items():
            line, found = self.line(key, VM_COLD), task.measured.work.get(VM_COLD)
            if line is not None and found:
                count = task.sizes[VM_COLD]
                said, was = duration(line.at(count)), duration(statistics.median(found))
                rows.append(f"| {task.title} | {count:,} | {said} | {was} |")
        return "\n".join(rows) if len(rows) > 2 else ""

    def failures(self) -> str:
        rows = [f"- {runner}: {why}." for runner, why in self.study.missing.items()]
        rows += [f"- {runner}, first instruction and memory: {why}." for runner, why in self.study.silent.items()]
        for task in self.study.tasks.values():
            rows += [f"- {runner}, {task.title}: {why}." for runner, why in task.measured.failed.items()]
        return "\n".join(rows)

    def write(self, folder: Path) -> None:
        from bench.plots import Plots

        (folder / "tradeoffs.md").write_text(self.text())
        Plots(self).write(folder)


CHECK = """### Whether the lines hold

One whole run of each in a VM that boots, which the lines were not drawn from."""


def _told(first: Line, second: Line) -> str:
    where = crossing(first, second)
    if where is not None:
        if where.count == 0:
            return "at once"
        return f"from {_round(where.count)} on, {duration(where.seconds)}"
    if overtaken(first, second):
        return "only before " + _round((first.start - second.start) / (second.each - first.each))
    return "never"


def _round(count: float) -> str:
    """Two digits: more would say more than the measurement does."""
    if count < 1:
        return "1"
    digits = len(str(int(count))) - 2
    return f"{round(count, -digits) if digits > 0 else round(count):,.0f}"


def _megabytes(found: Instances | None) -> str:
    if found is None:
        return "–"
    told = f"{found.bytes / 1e6:,.3g}" if found.bytes < 1e9 else f"{found.bytes / 1e6:,.0f}"
    less = f"{found.count} instances: " if found.count != found.wanted else ""
    return f"{less}{told} ({found.bytes / found.count / 1e6:.3g} each)"


def duration(seconds: float) -> str:
    """Three digits and the unit that suits them."""
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s")):
        if seconds < limit:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds / 60)} min" if seconds < 7200 else f"{_digits(seconds / 3600)} h"


def times(ratio: float) -> str:
    return f"{_digits(ratio)}×"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"

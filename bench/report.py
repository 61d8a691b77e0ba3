"""The measurements as Markdown tables and a plot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import machine
from bench.runners import EVERY, LXRUN, NATIVE
from bench.workloads import MEMORY_LIMIT_MB, SLEEPER_KB_LIMIT, Seconds, Workload

if TYPE_CHECKING:
    from bench.run import Measured, Sleepers

INTRODUCTION = """# Measurements

Written by `./dev bench`. Every program runs as a whole process under every runner, one runner after the
other, for {rounds} rounds; the tables give medians. A runner whose output differs from native's is not timed.
Times a call are the difference to a run with no calls. On another machine expect other times; the ratios
carry over better.

{machine}
"""


def number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class Report:
    def __init__(
        self,
        workloads: list[Workload],
        results: dict[str, Measured],
        peaks: dict[str, float],
        sleepers: Sleepers,
        rounds: int,
    ) -> None:
        self.workloads = workloads
        self.results = results
        self.peaks = peaks
        self.sleepers = sleepers
        self.rounds = rounds
        self.columns = [r for r in EVERY if any(r in m.work or r in m.failed for m in results.values())]
        self.medians: dict[str, Seconds] = {w.key: results[w.key].medians(w) for w in workloads}

    def targets(self) -> str:
        """What was asked for, what came out, and whether that is enough."""
        rows = ["| what | target | measured | |", "|---|---|---|---|"]
        for workload in self.workloads:
            seconds = self.medians[workload.key]
            for target in workload.targets:
                missing = [r for r in target.needs if r not in seconds]
                if missing:
                    failed = self.results[workload.key].failed
                    why = "; ".join(f"{r}: {failed.get(r, 'not run')}" for r in missing)
                    rows.append(f"| {workload.title} | {target.text} | {why} | – |")
                    continue
                value = target.value(seconds)
                met = "yes" if target.met(value) else "**no**"
                rows.append(f"| {workload.title} | {target.text} | {number(value)} | {met} |")
        peak = self.peaks.get(LXRUN)
        if peak is not None:
            met = "yes" if peak <= MEMORY_LIMIT_MB else "**no**"
            rows.append(f"| peak memory of `busybox true` | ≤ {MEMORY_LIMIT_MB:g} MB | {peak:.1f} | {met} |")
        for title, limit, value in (
            ("memory of one of 1,000 sleeping processes, KB", SLEEPER_KB_LIMIT, self.sleepers.kilobytes),
            ("processor time of 1,000 sleeping processes, %", 0, 100 * self.sleepers.cpu),
        ):
            rows.append(f"| {title} | ≤ {limit:g} | {value:.0f} | {'yes' if round(value) <= limit else '**no**'} |")
        return "\n".join(rows)

    def times(self) -> str:
        """Every median, with its ratio to native."""
        rows = [f"| what | unit | {' | '.join(self.columns)} |", "|---|---|" + "---:|" * len(self.columns)]
        for workload in self.workloads:
            seconds = self.medians[workload.key]
            cells = []
            for runner in self.columns:
                if runner not in seconds:
                    cells.append(self.results[workload.key].failed.get(runner, "–"))
                elif runner == NATIVE or NATIVE not in seconds:
                    cells.append(number(seconds[runner]))
                else:
                    cells.append(f"{number(seconds[runner])} ({number(seconds[runner] / seconds[NATIVE])}×)")
            rows.append(f"| {workload.title} | {workload.unit} | {' | '.join(cells)} |")
        cells = [f"{self.peaks[r]:.1f}" if r in self.peaks else "–" for r in self.columns]
        rows.append(f"| peak memory of `busybox true` | MB | {' | '.join(cells)} |")
        return "\n".join(rows)

    def plot(self, path: Path) -> None:
        """Times relative to native's; shorter is better."""
        import matplotlib

        matplotlib.use("svg")
        from matplotlib import patches, pyplot

        matplotlib.rcParams["svg.hashsalt"] = "lxrun"
        compared = [w for w in self.workloads if NATIVE in (s := self.medians[w.key]) and len(s) > 1]
        figure, axes = pyplot.subplots(figsize=(9, 0.62 * len(compared) + 1.4))
        height = 0.19
        colours = dict(zip(EVERY, ("#8a8a8a", "#1f6fb2", "#d98b2b", "#a5332f", "#4b9b5a", "#265f33"), strict=True))
        for row, workload in enumerate(compared):
            seconds = self.medians[workload.key]
            present = [r for r in self.columns if r in seconds]
            bar = min(height, 0.86 / len(present))
            for place, runner in enumerate(present):
                times = max(seconds[runner] / seconds[NATIVE], 0.01)
                y = row + (place - (len(present) - 1) / 2) * bar
                axes.barh(y, times, bar * 0.92, color=colours[runner])
                axes.text(times * 1.06, y, number(times), va="center", fontsize=7)
        axes.set_yticks(range(len(compared)), [w.title.replace("`", "") for w in compared], fontsize=8)
        axes.set_ylim(len(compared) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.set_xlabel("time relative to native (logarithmic; shorter is better)")
        handles = [patches.Rectangle((0, 0), 1, 1, color=colours[r]) for r in self.columns]
        axes.legend(
            handles, self.columns, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=6, frameon=False
        )
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})

    def write(self, docs: Path) -> None:
        parts = [
            INTRODUCTION.format(rounds=self.rounds, machine="\n".join(f"- {line}" for line in machine())),
            "## Targets\n",
            self.targets(),
            "\n## Medians, and ratios to native\n",
            self.times(),
            "\n![Times relative to native](measurements.svg)",
        ]
        (docs / "measurements.md").write_text("\n".join(parts) + "\n")
        self.plot(docs / "measurements.svg")
        print(f"wrote docs/measurements.md and its plot ({sys.executable.rsplit('/', 1)[-1]})")

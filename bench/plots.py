"""The plots of the trade-off study, as SVG.  Runners differ by grey value, marker and line, not only by colour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.runners import EVERY, LXRUN, NATIVE, QEMU, QILING, VM_COLD, VM_WARM

if TYPE_CHECKING:
    from bench.tradeoffs import Page

# Colour, marker, dashes: the colours go from dark to light in grey, too.
STYLES = {
    NATIVE: ("#000000", "s", (0, (1, 1.2))),
    LXRUN: ("#0b4f9c", "o", "-"),
    QEMU: ("#d9861a", "^", (0, (5, 1.5))),
    QILING: ("#b0b0b0", "v", (0, (3, 1, 1, 1))),
    VM_WARM: ("#3f9e57", "D", (0, (7, 1.5, 1.5, 1.5))),
    VM_COLD: ("#8a2f2f", "X", (0, (2, 2))),
}
LINES = (NATIVE, LXRUN, QEMU, VM_WARM, VM_COLD)  # where lines cross; Qiling crosses none


class Plots:
    """`page` has the figures."""

    def __init__(self, page: Page) -> None:
        import matplotlib

        matplotlib.use("svg")
        matplotlib.rcParams.update({"svg.hashsalt": "lxrun", "font.size": 9, "axes.spines.top": False})
        matplotlib.rcParams.update({"axes.spines.right": False, "axes.titlesize": 9, "legend.frameon": False})
        from matplotlib import pyplot

        self.pyplot = pyplot
        self.page = page

    def write(self, folder: Path, kind: str = "svg") -> None:
        for name, figure in (
            ("start", self.start()),
            ("costs", self.costs()),
            ("memory", self.memory()),
            ("crossing", self.crossing()),
        ):
            if figure is not None:
                metadata = {"Date": None} if kind == "svg" else None
                figure.savefig(folder / f"tradeoffs-{name}.{kind}", metadata=metadata, bbox_inches="tight")
                self.pyplot.close(figure)

    def start(self) -> Any:
        """Bars, shorter is better."""
        from bench.tradeoffs import duration

        starts = self.page.starts
        if not starts:
            return None
        figure, axes = self.pyplot.subplots(figsize=(7.5, 0.42 * len(starts) + 0.9), layout="constrained")
        for row, (runner, seconds) in enumerate(starts.items()):
            axes.barh(row, seconds * 1e3, height=0.62, color=STYLES[runner][0])
            every = self.page.study.first[runner]
            axes.plot([min(every) * 1e3, max(every) * 1e3], [row, row], color="white", lw=3)
            axes.plot([min(every) * 1e3, max(every) * 1e3], [row, row], color="black", lw=1)
            axes.text(max(every) * 1e3 * 1.12, row, duration(seconds), va="center")
        axes.set_yticks(range(len(starts)), list(starts))
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xscale("log")
        self._plain(axes.xaxis)
        axes.set_xlim(right=max(map(max, self.page.study.first.values())) * 1e3 * 3)
        axes.set_xlabel("ms to the first instruction (logarithmic); the line is the fastest to the slowest run")
        return figure

    def costs(self) -> Any:
        """A row for each operation, a marker for each runner."""
        page = self.page
        keys = [k for k, costs in page.costs.items() if NATIVE in costs]
        runners = [r for r in page.steady_runners if r != NATIVE]
        if not keys:
            return None
        figure, axes = self.pyplot.subplots(figsize=(7.5, 0.42 * len(keys) + 1.2), layout="constrained")
        for row, key in enumerate(keys):
            costs = page.costs[key]
            axes.axhline(row, color="#dddddd", lw=0.8, zorder=0)
            for runner in runners:
                if runner in costs:
                    colour, marker, _ = STYLES[runner]
                    axes.plot(costs[runner] / costs[NATIVE], row, marker, color=colour, ms=8, mec="white", mew=0.8)
        axes.axvline(1, color="black", lw=0.8)
        axes.set_yticks(range(len(keys)), [page.title(k).replace("`", "") for k in keys])
        axes.set_ylim(len(keys) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xscale("log")
        self._plain(axes.xaxis)
        axes.set_xlabel("time of an operation relative to native (logarithmic; 1 is native)")
        self._legend(figure, [r for r in runners if any(r in page.costs[k] for k in keys)], dots=True)
        return figure

    def memory(self) -> Any:
        """Two panels: all together, and each."""
        found = self.page.study.memory
        if not found:
            return None
        figure, panels = self.pyplot.subplots(1, 2, figsize=(7.5, 3.2), layout="constrained")
        for axes, each in zip(panels, (False, True), strict=True):
            for runner, instances in found.items():
                colour, marker, dashes = STYLES[runner]
                counts = [i.count for i in instances]
                sizes = [i.bytes / 1e6 / (i.count if each else 1) for i in instances]
                axes.plot(counts, sizes, marker=marker, color=colour, ls=dashes, ms=6, mec="white", mew=0.6)
            self._logarithmic(axes)
            self._plain(axes.yaxis)
            axes.set_xlabel("instances side by side")
            axes.set_ylabel("MB each (PSS)" if each else "MB together (PSS)")
            ticks = sorted({i.count for instances in found.values() for i in instances if i.count == i.wanted})
            axes.set_xticks(ticks, [str(t) for t in ticks])
            axes.minorticks_off()
        self._legend(figure, list(found))
        return figure

    def crossing(self) -> Any:
        """A panel for each operation: seconds of a run by its number of them, and where a VM overtakes lxrun."""
        from bench.tradeoffs import crossing, duration

        page = self.page
        keys = [k for k in page.costs if page.line(k, LXRUN) is not None]
        if not keys:
            return None
        columns = 3
        rows = -(-len(keys) // columns)
        figure, panels = self.pyplot.subplots(
            rows, columns, figsize=(8.6, 2.35 * rows), layout="constrained", squeeze=False
        )
        shown: set[str] = set()
        for axes, key in zip(panels.flat, keys, strict=False):
            lines = {r: line for r in LINES if (line := page.line(key, r)) is not None}
            last = 100 / lines[LXRUN].each
            first = max(last / 1e5, 1)
            counts = [first * (last / first) ** (i / 80) for i in range(81)]
            for runner, line in lines.items():
                colour, _, dashes = STYLES[runner]
                axes.plot(counts, [line.at(n) for n in counts], color=colour, ls=dashes, lw=1.6)
                shown.add(runner)
            for vm in (VM_WARM, VM_COLD):
                where = crossing(lines[LXRUN], lines[vm]) if vm in lines else None
                if where is not None and first < where.count < last:
                    _, marker, _ = STYLES[vm]
                    axes.plot(where.count, where.seconds, marker, color="black", ms=6, mec="white", zorder=5)
                    place, align = ((6, -9), "left") if vm == VM_WARM else ((-6, 5), "right")
                    axes.annotate(
                        duration(where.seconds),
                        (where.count, where.seconds),
                        place,
                        textcoords="offset points",
                        fontsize=7.5,
                        ha=align,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
                    )
            self._logarithmic(axes)
            axes.set_xlim(first, last)
            axes.set_title(page.title(key).replace("`", ""))
        for axes in list(panels.flat)[len(keys) :]:
            axes.set_visible(False)
        figure.supxlabel(
            "operations in one run (logarithmic)   ◆ ✖ from here on a warm, a cold VM is faster than lxrun", fontsize=9
        )
        figure.supylabel("seconds of the whole run (logarithmic)", fontsize=9)
        self._legend(figure, [r for r in EVERY if r in shown], lines=True)
        return figure

    @staticmethod
    def _plain(axis: Any) -> None:
        """10, not a power of it."""
        axis.set_major_formatter(lambda value, place: f"{value:,.6g}")

    @staticmethod
    def _logarithmic(axes: Any) -> None:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(True, which="major", color="#e6e6e6", lw=0.6)
        axes.set_axisbelow(True)

    def _legend(self, figure: Any, runners: list[str], dots: bool = False, lines: bool = False) -> None:
        """Above the figure, of dots without lines or of lines without markers, if so."""
        from matplotlib.lines import Line2D

        handles = []
        for runner in runners:
            colour, marker, dashes = STYLES[runner]
            style = {"ls": "none"} if dots else {"ls": dashes, "lw": 1.6}
            handles.append(Line2D([], [], color=colour, marker=None if lines else marker, ms=6, mec="white", **style))
        figure.legend(handles, runners, loc="outside upper center", ncols=len(runners), handlelength=3)

"""`lxrun --stats`: what a run cost, as a table at its end.

The dispatcher tells it about every call through the same hooks as --strace (`kernel.kernel.Tracer`).
The time of a call is from its entry to its result, waiting included, as `strace -cw` counts it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol


class Processor(Protocol):
    """The counters of a `Cpu`."""

    fills: int
    slices: int
    flushes: int


class Memory(Protocol):
    """The counters of an `AddressSpace`."""

    minor_faults: int
    major_faults: int
    peak_pages: int


class Counter:
    """What calls of one name added up to; time in nanoseconds."""

    __slots__ = ("calls", "errors", "time")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.time = 0


class Stats:
    """Counts calls from its creation on.  `clock` gives nanoseconds."""

    def __init__(self, clock: Callable[[], int] = perf_counter_ns) -> None:
        self.clock = clock
        self.counters: dict[str, Counter] = {}
        self.pending: dict[int, tuple[Counter, int]] = {}  # by tid: the call in progress and when it began
        self.memory: dict[int, Memory] = {}  # every address space a task had: execve makes a new one
        self.signals = 0
        self.started = clock()

    # What the dispatcher reports

    def enter(self, task: object, number: int, name: str, args: tuple[int, ...]) -> None:
        counter = self.counters.get(name)
        if counter is None:
            counter = self.counters[name] = Counter()
        mm: Memory = task.mm  # type: ignore[attr-defined]
        self.memory[id(mm)] = mm
        self.pending[task.tid] = (counter, self.clock())  # type: ignore[attr-defined]

    def leave(self, task: object, result: int) -> None:
        now = self.clock()
        found = self.pending.pop(task.tid, None)  # type: ignore[attr-defined]
        if found is not None:
            counter, began = found
            counter.calls += 1
            counter.errors += -4096 < result < 0
            counter.time += now - began

    def suspend(self, task: object) -> None:
        """The call waits: its time runs on."""

    def signal(self, task: object, info: object) -> None:
        self.signals += 1

    def exit(self, task: object, status: int) -> None:
        """A call that never returned, as exit_group, counts as one."""
        self.leave(task, 0)

    # What the user sees

    def report(self, cpu: Processor | None) -> str:
        """The table, ready to print; without a processor of our own, without what that counts."""
        wall = self.clock() - self.started
        rows = sorted(self.counters.items(), key=lambda item: (-item[1].time, item[0]))
        lines = ["   % time    seconds   µs/call     calls    errors  syscall", _RULE]
        total = Counter()
        for _, counter in rows:
            total.calls += counter.calls
            total.errors += counter.errors
            total.time += counter.time
        for name, counter in rows:
            lines.append(_row(counter, total.time, name))
        lines += [_RULE, _row(total, total.time, "total"), ""]
        spaces = self.memory.values()
        minor = sum(mm.minor_faults for mm in spaces)
        major = sum(mm.major_faults for mm in spaces)
        peak = max((mm.peak_pages for mm in spaces), default=0)
        facts = (
            ("wall time", f"{wall / 1e9:.3f} s, {share(total.time, wall):.0f} % of it in calls"),
            ("slices", f"{cpu.slices} runs of guest code" if cpu else ""),
            ("signals", str(self.signals)),
            ("page faults", f"{minor + major} ({minor} minor, {major} major)"),
            ("TLB", f"{cpu.fills} fills, {cpu.flushes} flushes" if cpu else ""),
            ("peak memory", f"{peak * 4} KiB ({peak} pages)"),
        )
        lines += [f"{name:>11}  {value}" for name, value in facts if value]
        return "\n".join(lines) + "\n"


_RULE = " ".join(["-" * 9, "-" * 10, "-" * 9, "-" * 9, "-" * 9, "-" * 20])


def share(part: int, whole: int) -> float:
    """Per cent."""
    return 100 * part / whole if whole else 0.0


def _row(counter: Counter, whole: int, name: str) -> str:
    each = counter.time / 1e3 / counter.calls if counter.calls else 0.0
    seconds = counter.time / 1e9
    errors = str(counter.errors) if counter.errors else ""
    return f"{share(counter.time, whole):9.2f} {seconds:10.6f} {each:9.1f} {counter.calls:9} {errors:>9}  {name}"

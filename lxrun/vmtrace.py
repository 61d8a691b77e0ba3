"""`--strace` and `--stats` with a VM: what its agent tells, for the tracer and the counters that emulation has.

They are handed objects that look like the emulator's own as far as they look at them.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from emu.arch import x86_64
from emu.arch.x86_64_calls import CALLS
from lxrun.cli import write_error
from lxrun.machine import tracer
from lxrun.stats import Stats
from vm.protocol import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxrun.options import Options
    from syscalls.strace.tracer import Tracer
    from vm.trace import Thread

AT_EXECFN = 31
_WORD = Struct("<Q")
_MOST_WORDS = 1 << 20  # from the stack pointer to the end of the auxiliary vector
_KIB_PER_PAGE = 4


class Memory:
    """The memory of the thread that something is told of, which waits; and what the whole program used."""

    def __init__(self) -> None:
        self.thread: Thread
        self.minor_faults = 0
        self.major_faults = 0
        self.peak_pages = 0

    def read(self, addr: int, n: int) -> bytes:
        """Raises OSError."""
        return self.thread.read(addr, n)


class Signals:
    """Of the thread that something is told of."""

    blocked = 0


class Task:
    """The thread that something is told of."""

    __slots__ = ("env_range", "mm", "signals", "tid")

    def __init__(self, tid: int, mm: Memory, signals: Signals) -> None:
        self.tid = tid
        self.mm = mm
        self.signals = signals
        self.env_range = (0, 0)


class SigInfo:
    """A siginfo_t."""

    def __init__(self, signo: int, data: bytes) -> None:
        self.signo = signo
        self.data = data

    def pack(self) -> bytes:
        return self.data


class Watch:
    """A `vm.trace.Watcher` that prints.  `raw`: our terminal is, so that lines need their carriage returns.

    Raises RunFailure if what it is to print to cannot be opened.
    """

    def __init__(self, options: Options, *, raw: bool) -> None:
        self.argv = [word.encode(errors="surrogateescape") for word in (options.program or "", *options.args)]
        self.first: int | None = None
        self.now = 0
        self.memory = Memory()
        self.signals = Signals()
        self.tracer, self.file = tracer(options)
        if self.tracer is not None and self.file is None and raw:
            self.tracer.write = lambda text: write_error(text.replace("\n", "\r\n"))
        self.stats: Stats | None = None
        self.wanted = options.stats
        self.watchers: list[Tracer | Stats] = [] if self.tracer is None else [self.tracer]

    @property
    def tracing(self) -> Tracing:
        """What the agent is to tell."""
        return Tracing.COUNTS if self.tracer is None else Tracing.STEPS

    def close(self) -> None:
        """Nothing more is told: the end of the trace, and the table."""
        if self.tracer is not None:
            self.tracer.break_off()
        if self.file is not None:
            self.file.close()
        if self.stats is not None and self.stats.counters:
            write_error(self.stats.report(None))

    # What the agent tells

    def begin(self, thread: Thread, stack: int) -> None:
        task = self._task(thread)
        self.first = thread.tid
        if self.wanted:
            self.stats = Stats(lambda: self.now)
            self.watchers.append(self.stats)
        if self.tracer is not None:
            path, variables, task.env_range = _executed(thread, stack, self.argv[0])
            self.tracer.start(task, path, self.argv, variables)

    def enter(self, thread: Thread, machine: int, number: int, args: tuple[int, ...]) -> None:
        task = self._task(thread)
        name = CALLS.get(number) if machine == x86_64.AUDIT_ARCH else None
        for watcher in self.watchers:
            watcher.enter(task, number, name or f"syscall_{number:#x}", args)

    def leave(self, thread: Thread, result: int, mask: int) -> None:
        task = self._task(thread)
        self.signals.blocked = mask
        for watcher in self.watchers:
            watcher.leave(task, result)

    def signal(self, thread: Thread, signo: int, info: bytes) -> None:
        task = self._task(thread)
        for watcher in self.watchers:
            watcher.signal(task, SigInfo(signo, info))

    def stopped(self, thread: Thread, signo: int) -> None:
        task = self._task(thread)
        if self.tracer is not None:
            self.tracer.stopped(task, signo)

    def replaced(self, thread: Thread, former: int) -> None:
        if self.tracer is not None and former in self.tracer.lines:
            self.tracer.lines[thread.tid] = self.tracer.lines.pop(former)
        if self.stats is not None and former in self.stats.pending:
            self.stats.pending[thread.tid] = self.stats.pending.pop(former)

    def end(self, thread: Thread, status: int, faults: tuple[int, int], peak: int) -> None:
        task = self._task(thread)
        if thread.tid == self.first:
            self.memory.minor_faults, self.memory.major_faults = faults
            self.memory.peak_pages = peak // _KIB_PER_PAGE
        for watcher in self.watchers:
            watcher.exit(task, status)

    def _task(self, thread: Thread) -> Task:
        self.now = thread.time
        self.memory.thread = thread
        return Task(thread.tid, self.memory, self.signals)


def _executed(thread: Thread, stack: int, name: bytes) -> tuple[bytes, int, tuple[int, int]]:
    """What execve(2) left on the stack: the path of the program, the number of variables and where they begin.

    Of a program of another kind, whose words are shorter, only its name is known.
    """
    try:
        words = _words(thread, stack)
        for _ in range(next(words) + 1):
            next(words)
        variables = list(iter(lambda: next(words), 0))
        while (tag := next(words)) != AT_EXECFN:
            if not next(words) and not tag:
                return name, len(variables), (0, 0)
        path = _string(thread, next(words))
    except (OSError, StopIteration):
        return name, 0, (0, 0)
    return path, len(variables), (variables[0] if variables else 0, 0)


def _words(thread: Thread, address: int) -> Iterator[int]:
    for place in range(address, address + 8 * _MOST_WORDS, 4096):
        data = b""
        for size in (4096, 4096 - place % 4096):
            try:
                data = thread.read(place, size)
                break
            except OSError:
                continue
        yield from (word for (word,) in _WORD.iter_unpack(data))
        if len(data) < 4096:
            return


def _string(thread: Thread, address: int) -> bytes:
    text = b""
    while not text.endswith(b"\0"):
        text += thread.read(address + len(text), 1)
    return text[:-1]

"""The tracer: lines of strace output from what the dispatcher reports.

A line begins when a call is entered, with the arguments the call was given, and is completed when it
returns, with those it stored.  What comes between the two (a signal, another task's call) breaks the
line off as ``<unfinished ...>``, and the rest follows as ``<... read resumed>``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from syscalls.strace import constants
from syscalls.strace.aio import AIO
from syscalls.strace.arity import ARITY
from syscalls.strace.calls import SPECS, Args, Spec, hexadecimal_result
from syscalls.strace.commands import COMMANDS
from syscalls.strace.events import EVENTS
from syscalls.strace.filter import Filter
from syscalls.strace.ipc import IPC
from syscalls.strace.seccomp import SECCOMP
from syscalls.strace.sockets import SOCKETS
from syscalls.strace.structs import siginfo_text, sigset_text
from syscalls.strace.uring import URING
from syscalls.strace.values import Arg, Traced, hexadecimal, quote, signal_name

RESULT_COLUMN = 40
# What a call interrupted by a signal answers inside Linux: signal(7).
RESTARTS = {
    512: "ERESTARTSYS (To be restarted if SA_RESTART is set)",
    513: "ERESTARTNOINTR (To be restarted)",
    514: "ERESTARTNOHAND (To be restarted if no handler)",
    516: "ERESTART_RESTARTBLOCK (Interrupted by signal)",
}
DESCRIBED = {**SPECS, **COMMANDS, **EVENTS, **SOCKETS, **AIO, **IPC, **SECCOMP, **URING}


def spec(name: str) -> Spec:
    """How to write a call; its registers in hexadecimal if nobody has described it."""
    found = DESCRIBED.get(name)
    return found if found is not None else Spec(*(hexadecimal,) * ARITY.get(name, 6))


class Line:
    """A call in progress."""

    __slots__ = ("args", "call", "printed", "spec", "text")

    def __init__(self, call: Traced, spec: Spec) -> None:
        self.call = call
        self.spec = spec
        self.args: Args = spec.arguments(call)
        self.printed = 0  # arguments written so far
        self.text = ""


class Tracer:
    """Prints what tasks do.  `write` takes text; `expression` is strace's -e; strings are cut at
    `string_limit` bytes.  Raises ValueError for an expression that is not one."""

    def __init__(
        self,
        write: Callable[[str], object],
        expression: str = "",
        string_limit: int = 32,
        known: Collection[str] | None = None,
    ) -> None:
        if known is None:
            from syscalls.table import TABLE

            known = frozenset(call.name for family in TABLE for call in family.calls)
        self.write = write
        self.filter = Filter(expression, known)
        self.limit = string_limit
        self.lines: dict[int, Line] = {}  # by tid
        self.open: int | None = None  # the task whose line has no end yet
        self.column = 0
        self.interrupted: dict[int, str] = {}  # by tid: the call that restart_syscall goes on with
        self.tasks: set[int] = set()

    # What the dispatcher reports

    def start(self, task: Any, path: bytes, argv: list[bytes], variables: int) -> None:
        """The execve(2) that a task came from, which nobody traced."""
        if not self.filter.calls("execve") or "successful" not in self.filter.status:
            return
        words = [quote(word[: self.limit]) + ("..." if len(word) > self.limit else "") for word in argv[: self.limit]]
        if len(argv) > self.limit:
            words.append("...")
        plural = "" if variables == 1 else "s"
        text = f"execve({quote(path)}, [{', '.join(words)}], {self._environment(task)} /* {variables} var{plural} */"
        self._begin(task)
        self._put(text)
        self._end("0")

    def enter(self, task: Any, number: int, name: str, args: tuple[int, ...]) -> None:
        """`task` makes a call."""
        if not self.filter.calls(name):
            return
        call = Traced(name, args, task.mm, self.limit)
        line = self.lines[task.tid] = Line(call, spec(name))
        if name == "rt_sigreturn":
            line.args = (_restored(task),)
        elif name == "restart_syscall":
            broken_off = f"<... resuming interrupted {self.interrupted.get(task.tid, 'call')} ...>"
            line.args = (Arg(lambda call, value: broken_off),)
        if len(self.filter.status) > 1:
            self._begin(task)
            self._put(name + "(")
            self._arguments(line, False)
        else:
            line.text = self._texts(line, False)

    def leave(self, task: Any, result: int) -> None:
        """Its call returned `result`; negative: -errno in Linux's numbers, or a restart code."""
        line = self.lines.pop(task.tid, None)
        if line is None:
            return
        line.call.result = result
        if result == -516 and line.call.name != "restart_syscall":
            self.interrupted[task.tid] = line.call.name
        if len(self.filter.status) == 1:
            if ("failed" in self.filter.status) != (result < 0):
                return
            self._begin(task)
            self._put(f"{line.call.name}({line.text}")
        elif self.open != task.tid:
            self._begin(task)
            self._put(f"<... {line.call.name} resumed>")
        self._arguments(line, True)
        self._end(_result_text(line))

    def suspend(self, task: Any) -> None:
        """Its call waits.  The line is already written as far as it goes."""

    def signal(self, task: Any, info: Any) -> None:
        """A signal is delivered; `info.pack()` is its siginfo_t."""
        if self.filter.signals(signal_name(info.signo)):
            self._begin(task)
            self._put(f"--- {signal_name(info.signo)} {siginfo_text(info.pack())} ---\n")
            self.open = None

    def stopped(self, task: Any, signo: int) -> None:
        """The task stopped."""
        if self.filter.signals(signal_name(signo)):
            self._begin(task)
            self._put(f"--- stopped by {signal_name(signo)} ---\n")
            self.open = None

    def exit(self, task: Any, status: int) -> None:
        """The task is gone; `status` as wait(2) reports it."""
        line = self.lines.pop(task.tid, None)
        if line is not None and len(self.filter.status) > 1:
            if self.open != task.tid:
                self._begin(task)
                self._put(f"<... {line.call.name} resumed>")
            if line.printed < len(line.args):
                self._put(" <unfinished ...>")
            self._end("?")
        self._begin(task)
        if status & 0x7F:
            core = " (core dumped)" if status & 0x80 else ""
            self._put(f"+++ killed by {signal_name(status & 0x7F)}{core} +++\n")
        else:
            self._put(f"+++ exited with {status >> 8 & 0xFF} +++\n")
        self.open = None
        self.tasks.discard(task.tid)

    def break_off(self) -> None:
        """Nothing more is reported: a line that is open ends here."""
        if self.open is not None:
            self.write(" <unfinished ...>\n")
            self.open = None

    # Lines

    def _begin(self, task: Any) -> None:
        """A new line for `task`; one that is open is broken off."""
        self.break_off()
        self.open = task.tid
        self.column = 0
        self.tasks.add(task.tid)
        if len(self.tasks) > 1:
            self._put(f"[pid {task.tid:>5}] ")

    def _put(self, text: str) -> None:
        self.column += len(text)
        self.write(text)

    def _end(self, result: str) -> None:
        gap = max(RESULT_COLUMN - self.column - 2, 0)
        self.write(f") {' ' * gap}= {result}\n")
        self.open = None

    def _texts(self, line: Line, finished: bool) -> str:
        """The arguments that are known now and were not written before."""
        texts = []
        args = line.args
        while line.printed < len(args):
            arg = args[line.printed]
            if arg.out and not finished:
                break
            texts.append(arg.decode(line.call, line.call.args[line.printed]))
            line.printed += 1
        text = ", ".join(texts)
        return text + ", " if texts and line.printed < len(args) else text

    def _arguments(self, line: Line, finished: bool) -> None:
        self._put(self._texts(line, finished))

    @staticmethod
    def _environment(task: Any) -> str:
        """Where the new program's environment is."""
        return hex(task.env_range[0])


def _restored(task: Any) -> Arg:
    """The signal mask that rt_sigreturn puts back."""
    return Arg(lambda call, value: f"{{mask={sigset_text(task.signals.blocked)}}}", out=True)


def _result_text(line: Line) -> str:
    call = line.call
    result = call.result or 0
    if result < 0:
        if -result in RESTARTS:
            return "? " + RESTARTS[-result]
        known = constants.ERRNOS.get(-result)
        if -result >= 4096:  # not an error: an address, a personality
            return hexadecimal_result(call)
        text = f"-1 {known[0]} ({known[1]})" if known else f"-1 (errno {-result})"
    else:
        text = line.spec.result(call)
    extra = line.spec.extra(call) if line.spec.extra and result >= 0 else ""
    return f"{text} ({extra})" if extra else text

"""--calls: the system calls of two runs, as strace prints them, process by process.

How the calls of several processes interleave is chance; the calls of one are compared in their order.  Processes and
threads are matched by the order of their numbers, which is the order in which they were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from conformance.rules import Rule, normalise
from conformance.text import cut

CONTEXT = 2
"""Calls shown before the first that differs."""

_LINE = re.compile(r"(?:\[pid +(\d+)\] |(\d+) +)?(.*)")
_UNFINISHED = re.compile(r" ?<unfinished \.\.\.>$")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_CHANCE = re.compile(r"--- SIGCHLD |rt_sigreturn\(")
"""When a child's end is told is chance, and with it what the result was that the handler returned to."""
_FIRST = 1
"""lxrun names a process only while there are several, and the number of the first is always this."""

RULES = (
    Rule("result", r" +=(?= (?:-?\d|\?|0x))", " =", "the column of a call's result"),
    Rule("address", r"0x[0-9a-f]{6,}", "<address>", "addresses: hexadecimal numbers of 6 digits or more"),
    Rule(
        "pid result",
        r"^((?:clone3?|v?fork|get(?:p|pp|t)id|getpgrp|getpgid|[gs]etsid|set_tid_address|wait4|waitid)\(.*\) = )\d+",
        r"\1<pid>",
        "process ids that a call returns",
    ),
    Rule(
        "pid argument",
        r"^((?:t?kill|tgkill|wait4|[gs]etpgid|getsid|pidfd_open|prlimit64|sched_\w+|[gs]etpriority)"
        r"\((?:PRIO_PROCESS, )?(?!-1,)-?)[1-9]\d*(?:, [1-9]\d*(?=, SIG))?",
        r"\1<pid>",
        "process ids that a call is given",
    ),
    Rule("pid member", r"\b(si_pid=|parent_tid=\[|child_tid=\[|P_PID, )\d+", r"\1<pid>", "process ids in structures"),
    Rule("time", r"\b(tv_n?u?sec=|si_[us]time=)-?\d+(?: /\* [\d.]+ s \*/)?", r"\1<time>", "times in structures"),
    Rule("random", r'^getrandom\("[^"]*"', "getrandom(<random>", "what getrandom returns"),
    Rule("environment", r"/\* \d+ vars \*/", "/* vars */", "the size of the environment"),
    Rule("load", r"^(times|time|sysinfo|getcpu|getrusage|statfs|fstatfs)\(.*", r"\1(...)", "what measures the machine"),
)


def read(trace: str, work: str) -> list[list[str]]:
    """What each process did, in order: its calls, and signals but SIGCHLD, normalised.  `work` is its directory."""
    processes: dict[int, list[str]] = {}
    begun: dict[int, str] = {}
    for pid, text in _attributed(trace.replace(work, "<work>")):
        if _RESUMED.match(text):
            text = begun.pop(pid, "") + _RESUMED.sub("", text, count=1)
        if _UNFINISHED.search(text):
            begun[pid] = _UNFINISHED.sub("", text)
            continue
        if not _CHANCE.match(text):
            processes.setdefault(pid, []).append(normalise(text, RULES, set()))
    return [processes[pid] for pid in sorted(processes)]


def _attributed(trace: str) -> Iterator[tuple[int, str]]:
    """Each line with the number of its process."""
    alive = {_FIRST}
    for line in trace.splitlines():
        match = _LINE.match(line)
        assert match  # it matches everything
        number = match[1] or match[2]
        # A line without a number is that of the only one left.
        pid = int(number) if number else next(iter(alive), _FIRST)
        if match[1]:
            alive.add(pid)
        if match[3].startswith("+++ "):
            alive.discard(pid)
        yield pid, match[3]


def first_difference(reference: list[list[str]], other: list[list[str]]) -> list[str]:
    """The first call that is not the same, with those before it, as lines of a diff; empty if all are."""
    for number, (left, right) in enumerate(zip(reference, other, strict=False), 1):
        if left != right:
            at = next((n for n, (one, two) in enumerate(zip(left, right, strict=False)) if one != two), None)
            if at is None:
                at = min(len(left), len(right))
            return cut(
                [
                    f" process {number}, call {at + 1} of {len(left)} and {len(right)}:",
                    *(f" {call}" for call in left[max(at - CONTEXT, 0) : at]),
                    *(f"-{call}" for call in left[at : at + 1]),
                    *(f"+{call}" for call in right[at : at + 1]),
                ]
            )
    if len(reference) != len(other):
        return [f"-{len(reference)} processes", f"+{len(other)} processes"]
    return []


def names(processes: list[list[str]]) -> list[str]:
    """The system calls that were made, each once, in alphabetical order."""
    made = (re.match(r"(\w+)\(", line) for process in processes for line in process)
    return sorted({match[1] for match in made if match})

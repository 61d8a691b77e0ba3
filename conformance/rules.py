"""What differs from run to run by its nature, and is made equal before two runs are compared.

The rules are few and look at the words around a number: a rule that is too broad hides real differences.  The report
shows them all, and for each case those that it was needed for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Text that matches `pattern` counts as `replacement`, in the template language of `re.sub`."""

    name: str
    pattern: str
    replacement: str
    why: str


RULES = (
    Rule("proc", r"/proc/\d+", "/proc/<pid>", "directories of processes"),
    Rule(
        "pid",
        r"(?i)\b((?:[a-z]*pid|tid|tgid|pgid|pgrp|sid|process|thread|child|parent)"
        r"(?: (?:id|number|is))?[ =:#(]{1,3})\d+",
        r"\1<pid>",
        "process ids, by the word before them",
    ),
    Rule("tag", r"(?m)^(\S+)\[\d+\]:", r"\1[<pid>]:", "the process id in a line of a log"),
    Rule("address", r"\b0x[0-9a-f]{9,16}\b", "<address>", "addresses: hexadecimal numbers of 9 to 16 digits"),
    Rule(
        "date",
        r"\b(?:19|20)\d\d-\d\d-\d\d\b|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (?:\d+ )?[A-Z][a-z][a-z] +\d+\b",
        "<date>",
        "dates",
    ),
    Rule("clock", r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<clock>", "times of day"),
    Rule("epoch", r"\b1[5-9]\d{8}(?:\.\d+)?\b", "<epoch>", "seconds since 1970"),
    Rule(
        "duration",
        r"(?i)\b\d+(?:\.\d+ ?(?:s|secs?|seconds)| ?(?:\.\d+ ?)?(?:[mun]s|µs|[mun]sec))\b",
        "<duration>",
        "durations: fractions of seconds, and whole numbers of smaller units",
    ),
    Rule("temporary", r"\b(tmp\.|LTP_[a-z0-9]{3})[A-Za-z0-9]{3,10}\b", r"\1<random>", "names from mktemp and of LTP"),
    Rule(
        "scratch",
        r"((?:/tmp|<work>)/(?:[\w.-]+/)*[\w.-]*?)(?=[a-z]{0,5}[A-Z0-9])[A-Za-z0-9]{6}\b",
        r"\1<random>",
        "names from mkstemp and mkdtemp: six characters, not all small letters",
    ),
)


def blank(pattern: str) -> Rule:
    """The rule of `--blank PATTERN`.  Raises re.error."""
    re.compile(pattern)
    return Rule("blank", pattern, "<blank>", "given with --blank")


def normalise(text: str, rules: tuple[Rule, ...], used: set[str]) -> str:
    """`text` with every rule applied; the names of those that changed something are added to `used`."""
    for rule in rules:
        text, count = re.subn(rule.pattern, rule.replacement, text)
        if count:
            used.add(rule.name)
    return text

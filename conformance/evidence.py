"""What a run says of each system call: how many cases made it, and did the same on both sides.

It counts what can be seen from outside.  That a program's calls differ, as `--calls` shows, does not make what it did
any less the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from conformance.record import CaseRecord, Report


@dataclass
class Evidence:
    """Of the cases that made a call on lxrun, those that did the same there as on the reference, and the others."""

    same: int = 0
    other: int = 0


def same_outside(case: CaseRecord) -> bool:
    """Nothing differs but, at most, the calls."""
    if case["verdict"] not in ("same", "differs", "flaky"):
        return False
    return all(part["what"] == "calls" for part in case["differences"])


def evidence(report: Report) -> dict[str, Evidence]:
    """By the names of the calls, in alphabetical order; empty if they were not recorded."""
    found: dict[str, Evidence] = {}
    for case in report["cases"]:
        same = same_outside(case)
        for name in case["lxrun"]["calls"] if case["lxrun"] else ():
            counts = found.setdefault(name, Evidence())
            if same:
                counts.same += 1
            else:
                counts.other += 1
    return dict(sorted(found.items()))

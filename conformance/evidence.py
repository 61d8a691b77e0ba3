"""What a run says of each system call: how many cases made it, and did the same on both sides.

It counts what can be seen from outside.  That a program's calls differ, as `--calls` shows, does not make what it did
any less the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from conformance.record import MEANING, VERDICTS, CaseRecord, Report


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


HEAD = """\
# Conformance

Generated from a run of [`lxconform`](conformance-runner.md) by `lxconform document`; do not edit.

{versions}: {cases} cases of `{suite}`, each run natively and on lxrun. {outside} of them did the same on both, seen
from outside: exit status or signal, output, files left behind.
"""


def document(report: Report) -> str:
    """The run as a page of Markdown."""
    cases = report["cases"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    outside = [case for case in cases if same_outside(case)]
    parts = [HEAD.format(versions=versions, cases=len(cases), suite=report["suite"], outside=len(outside))]
    counts = evidence(report)
    if counts:
        parts.append(
            "The system calls were compared too; where only they differ, the verdict says so and the case still counts "
            "as the same from outside.\n"
        )
    rows = [f"| {verdict} | {report['summary'][verdict]} | {MEANING[verdict]} |" for verdict in VERDICTS]
    parts.append("\n".join(["| verdict | cases | meaning |", "|---|---:|---|", *rows]) + "\n")
    if odd := [case for case in cases if not same_outside(case)]:
        lines = ["## What is not the same", "", "| case | verdict | how |", "|---|---|---|"]
        lines += [f"| `{_cell(case['name'])}` | {case['verdict']} | {_cell(_how(case))} |" for case in odd]
        parts.append("\n".join(lines) + "\n")
    if counts:
        lines = ["## The evidence for each system call", ""]
        lines += ["Cases that made the call and did the same on both sides, and those that did not.", ""]
        lines += ["| call | same | not the same |", "|---|---:|---:|"]
        lines += [f"| `{name}` | {count.same} | {count.other or ''} |" for name, count in counts.items()]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _how(case: CaseRecord) -> str:
    """The first differences, short."""
    parts = [part for part in case["differences"] if part["what"] != "calls"]
    if not parts:
        return case["reference"]["ending"]
    return "; ".join(f"{part['what']}: {' '.join(part['lines'][:3])[:160]}" for part in parts[:2])


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("\n", " ").replace("<", "&lt;")

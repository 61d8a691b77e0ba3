"""A report's digest: the figures, what fails and why, the evidence for each call.  Small enough to be kept in a
repository, and all that the page of conformance.md is made from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from conformance.evidence import evidence, same_outside
from conformance.notes import Notes
from conformance.record import CaseRecord, Report, ReportError, load

DIGEST = 1
HOW = 160
"""Characters of what differs in a case."""
TABLE = 40
"""If more cases than this are not the same in a way that does not speak against lxrun, only their names are kept."""


class Odd(TypedDict):
    """A case that is not the same; `cause` is empty if the notes know none, `how` if they do."""

    name: str
    verdict: str
    cause: str
    how: str


class Digest(TypedDict):
    """Of one suite.  `outside` are the same seen from outside; `compared` says that the system calls were compared
    too.  `failing` pass on the reference and not on lxrun; `other` are not the same in another way; `left_out` are
    names by the reason; `evidence` is by the name of the call: cases the same outside, and others."""

    digest: int
    suite: str
    title: str
    about: str
    versions: dict[str, str]
    summary: dict[str, int]
    outside: int
    compared: bool
    failing: list[Odd]
    other: list[Odd]
    left_out: dict[str, list[str]]
    evidence: dict[str, tuple[int, int]]


def digest(report: Report, notes: Notes) -> Digest:
    """What is kept of a report."""
    cases = report["cases"]
    odd = [case for case in cases if not same_outside(case)]
    other = [case for case in odd if not fails(case)]
    return Digest(
        digest=DIGEST,
        suite=report["suite"],
        title=notes.title,
        about=notes.about,
        versions=report["versions"],
        summary=report["summary"],
        outside=len(cases) - len(odd),
        compared=bool(report["options"].get("calls")),
        failing=[_odd(case, notes.cause(case) or "") for case in cases if fails(case)],
        other=[_odd(case, "", shown=len(other) <= TABLE) for case in other],
        left_out=report["left_out"],
        evidence={name: (count.same, count.other) for name, count in evidence(report).items()},
    )


def fails(case: CaseRecord) -> bool:
    """Whether it passes on the reference and not on lxrun."""
    return case["reference"]["passed"] and not (case["lxrun"] and case["lxrun"]["passed"])


def _odd(case: CaseRecord, cause: str, shown: bool = True) -> Odd:
    how = _how(case) if shown and not cause else ""
    return Odd(name=case["name"], verdict=case["verdict"], cause=cause, how=how)


def _how(case: CaseRecord) -> str:
    """The first differences, short.  What sub-tests say comes before the exit status that follows from it."""
    parts = [part for part in case["differences"] if part["what"] != "calls"]
    parts.sort(key=lambda part: part["what"] != "results")
    if not parts:
        return case["reference"]["ending"]
    return "; ".join(f"{part['what']}: {' '.join(part['lines'][:3])[:HOW]}" for part in parts[:2])


def dump(digests: Iterable[Digest]) -> str:
    """A line for each case and call, so that two versions can be compared line by line."""
    lines = []
    for each in digests:
        rows = [f"  {json.dumps(key)}: {_value(value)}" for key, value in each.items()]
        lines.append("{\n" + ",\n".join(rows) + "\n}")
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n  ]"
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f"    {json.dumps(key)}: {json.dumps(row)}" for key, row in value.items()) + "\n  }"
    return json.dumps(value)


def read(path: Path) -> list[Digest] | None:
    """The digests in a file; None if it holds something else, as a report."""
    found = load(path)
    if not isinstance(found, list):
        return None
    for each in found:
        if not isinstance(each, dict) or each.get("digest") != DIGEST or not Digest.__required_keys__ <= {*each}:
            raise ReportError(f"{path}: not a digest of lxconform, or one of another version")
    return found

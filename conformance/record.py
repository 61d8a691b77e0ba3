"""The report as a JSON document; docs/conformance-runner.md describes it.

Every other form, HTML, JUnit, the summary, a comparison, is made from this one.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

SCHEMA = 1

Verdict = Literal["same", "differs", "crashed", "time-out", "flaky", "not-run", "lost"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

MEANING: dict[Verdict, str] = {
    "same": "nothing differs",
    "differs": "lxrun does something else than the reference",
    "crashed": "lxrun itself failed",
    "time-out": "a run did not end in time, and was killed with all it had started",
    "flaky": "the reference differs from itself",
    "not-run": "the reference could not start the program",
    "lost": "natively, it ended the process that ran it",
}
GOOD: frozenset[Verdict] = frozenset({"same", "flaky"})
"""The verdicts that do not speak against lxrun or the suite; others make the exit status 1."""


class Difference(TypedDict):
    """One respect in which two runs differ: lines of a diff, or of results."""

    what: str
    lines: list[str]


class RunRecord(TypedDict):
    """One run.  `passed`: exit status 0, and no sub-test failed; `results` counts sub-tests by state; `calls`
    are the names of the system calls made, if they were recorded."""

    ending: str
    passed: bool
    seconds: float
    format: str
    results: dict[str, int]
    calls: list[str]
    stdout: str
    stderr: str


class CaseRecord(TypedDict):
    """One case; `lxrun` is None if it was not run there."""

    name: str
    argv: list[str]
    verdict: Verdict
    differences: list[Difference]
    rules: list[str]
    reference: RunRecord
    lxrun: RunRecord | None


class RuleRecord(TypedDict):
    name: str
    pattern: str
    replacement: str
    why: str


class Report(TypedDict):
    """The whole document.  `left_out`: the names of cases that were not to be run, by the reason."""

    schema: int
    suite: str
    against: str
    versions: dict[str, str]
    options: dict[str, str]
    rules: list[RuleRecord]
    seconds: float
    summary: dict[str, int]
    cases: list[CaseRecord]
    left_out: dict[str, list[str]]


class ReportError(Exception):
    """A file that should hold a report does not; one line for the user."""


def summary(cases: list[CaseRecord]) -> dict[str, int]:
    """How many cases have each verdict, and of those that pass on the reference, how many are the same."""
    counts = Counter(case["verdict"] for case in cases)
    passing = [case for case in cases if case["reference"]["passed"]]
    return {
        "cases": len(cases),
        **{verdict: counts[verdict] for verdict in VERDICTS},
        "pass on the reference": len(passing),
        "pass on both": sum(1 for case in passing if case["lxrun"] and case["lxrun"]["passed"]),
    }


def dump(report: Report) -> str:
    """The report as text."""
    return json.dumps(report, indent=1) + "\n"


def load(path: Path) -> Any:
    """The JSON document in a file.  Raises ReportError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise ReportError(f"{path}: not a JSON document") from None


def read(path: Path) -> Report:
    """The report in a file."""
    report = load(path)
    if not isinstance(report, dict) or report.get("schema") != SCHEMA or not Report.__required_keys__ <= {*report}:
        raise ReportError(f"{path}: not a report of lxconform, or one of another version")
    report["summary"] = {**dict.fromkeys(VERDICTS, 0), **report["summary"]}  # it may be older than a verdict
    return cast(Report, report)  # its schema says so

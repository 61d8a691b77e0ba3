"""From two runs to a verdict: what differs, whether the reference differs from itself, and the smallest useful diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conformance import calls
from conformance.record import CaseRecord, Difference, RunRecord, Verdict
from conformance.results import Results, differences, understand
from conformance.rules import Rule, normalise
from conformance.run import Ending, Entry, Outcome, Runner, Side
from conformance.suite import Case
from conformance.text import DIFF_LINES, cut, printable, smallest_diff

SHOWN = 4000
"""Characters kept of each stream in the report of a case that is not the same."""


@dataclass
class Seen:
    """A run after the rules were applied."""

    outcome: Outcome
    results: Results | None
    stdout: str
    stderr: str
    files: dict[str, Entry]
    calls: list[list[str]] | None = None


@dataclass
class Judge:
    """Compares runs; `work` is the directory that they had."""

    rules: tuple[Rule, ...]
    work: str
    used: set[str] = field(default_factory=set)

    def see(self, outcome: Outcome) -> Seen:
        stdout, stderr = self._plain(outcome.stdout), self._plain(outcome.stderr)
        results = understand(stdout + "\n" + stderr, outcome.gtest)
        return Seen(outcome, results, stdout, stderr, self._files(outcome.files))

    def _files(self, files: Mapping[str, Entry]) -> dict[str, Entry]:
        """By plain names; those that are then the same are numbered, whatever the order of their real names."""
        plain = self._plain
        renamed = sorted(
            (plain(f"<work>/{name}").removeprefix("<work>/"), entry.kind, entry.mode, plain(entry.content))
            for name, entry in files.items()
        )
        found: dict[str, Entry] = {}
        seen: Counter[str] = Counter()
        for name, kind, mode, content in renamed:
            seen[name] += 1
            found[name if seen[name] == 1 else f"{name} [{seen[name]}]"] = Entry(kind, mode, content)
        return found

    def _plain(self, text: str) -> str:
        return normalise(text.replace(self.work, "<work>"), self.rules, self.used)

    def differences(self, left: Seen, right: Seen) -> list[Difference]:
        """What is not the same.  Where the reference speaks of sub-tests, they count, not the words around them."""
        found = []
        if (before := str(left.outcome.ending)) != (after := str(right.outcome.ending)):
            found.append(Difference(what="ending", lines=[f"-{before}", f"+{after}"]))
        if left.results:
            if lines := differences(left.results, right.results):
                found.append(Difference(what="results", lines=lines[:DIFF_LINES]))
        else:
            for what, one, other in (("stdout", left.stdout, right.stdout), ("stderr", left.stderr, right.stderr)):
                if one != other:
                    found.append(Difference(what=what, lines=smallest_diff(one, other)))
        if left.files != right.files:
            found.append(Difference(what="files", lines=_file_lines(left.files, right.files)))
        both = left.calls is not None and right.calls is not None
        if both and (lines := calls.first_difference(left.calls or [], right.calls or [])):
            found.append(Difference(what="calls", lines=lines))
        return found


def examine(
    case: Case, runner: Runner, rules: tuple[Rule, ...], traced: bool, named: bool, begins: Callable[[Side], None]
) -> CaseRecord:
    """Run `case` on both sides, and the reference once more where something differs.  If `traced`, each side is run
    again for its system calls, so that being watched cannot change what else is compared.  If only `named`, lxrun
    records the calls of its one run, which are then known and not compared.  `begins` is told of each side before it
    runs: the case might end this process."""
    judge = Judge(rules, str(runner.work))

    def look(side: Side) -> Seen:
        begins(side)
        watching = named and not traced and side == "lxrun"
        seen = judge.see(runner.run(case, side, traced=watching))
        if watching:
            seen.calls = calls.read(seen.outcome.trace, judge.work)
        if traced and _ended(seen.outcome) and _ended(watched := runner.run(case, side, traced=True)):
            seen.calls = calls.read(watched.trace, judge.work)
        return seen

    reference = look("reference")
    kind = reference.outcome.ending.kind
    if kind == "refused" or kind == "failed":
        return _record(case, judge, "not-run", [], reference)
    if kind == "time-out":
        return _record(case, judge, "time-out", [], reference)
    guest = look("lxrun")
    found = judge.differences(reference, guest)
    verdict: Verdict = "same"
    if guest.outcome.ending.kind == "failed":
        verdict = "crashed"
    elif guest.outcome.ending.kind == "time-out":
        verdict = "time-out"
    elif found:
        itself = judge.differences(reference, look("reference"))
        unsteady = {part["what"] for part in itself}
        steady = [part for part in found if part["what"] not in unsteady]
        verdict = "differs" if steady else "flaky"
        found = steady or itself
    return _record(case, judge, verdict, found, reference, guest)


def lost(case: Case, side: Side) -> CaseRecord:
    """The record of a case that ended the process that ran it, as it may natively; on lxrun no guest may."""
    ending = Ending("lost", text="the process that ran it was ended")
    run = _run_record(Seen(Outcome(ending, "", "", {}, None, "", 0.0), None, "", "", {}), False)
    verdict: Verdict = "lost" if side == "reference" else "crashed"
    guest = run if side == "lxrun" else None
    return CaseRecord(
        name=case.name, argv=list(case.argv), verdict=verdict, differences=[], rules=[], reference=run, lxrun=guest
    )


def _ended(outcome: Outcome) -> bool:
    """By itself; a program may be too slow when its calls are recorded."""
    return outcome.ending.kind in ("exit", "signal")


def _record(
    case: Case, judge: Judge, verdict: Verdict, found: list[Difference], reference: Seen, guest: Seen | None = None
) -> CaseRecord:
    """Only what a reader needs is kept: of a case that is the same, no output."""
    show = verdict != "same"
    return CaseRecord(
        name=case.name,
        argv=list(case.argv),
        verdict=verdict,
        differences=found,
        rules=sorted(judge.used),
        reference=_run_record(reference, show),
        lxrun=_run_record(guest, show) if guest else None,
    )


def _run_record(seen: Seen, show: bool) -> RunRecord:
    outcome, results = seen.outcome, seen.results
    passed = outcome.ending.kind == "exit" and outcome.ending.number == 0 and (results is None or results.good())
    return RunRecord(
        ending=str(outcome.ending),
        passed=passed,
        seconds=round(outcome.seconds, 3),
        format=results.format if results else "status",
        results=results.counts() if results else {},
        calls=calls.names(seen.calls or []),
        stdout=printable(outcome.stdout[:SHOWN]) if show else "",
        stderr=printable(outcome.stderr[:SHOWN]) if show else "",
    )


def _file_lines(left: dict[str, Entry], right: dict[str, Entry]) -> list[str]:
    lines = []
    for name in sorted({*left, *right}):
        one, other = left.get(name), right.get(name)
        if one == other:
            continue
        if one is None or other is None or (one.kind, one.mode) != (other.kind, other.mode):
            lines += [f"-{_listed(name, one)}", f"+{_listed(name, other)}"]
        if one and other and one.content != other.content:
            lines += [f" {name}:", *smallest_diff(one.content, other.content)]
    return cut(lines)


def _listed(name: str, entry: Entry | None) -> str:
    return f"{name}: not there" if entry is None else f"{entry.kind} {entry.mode:04o} {name}"

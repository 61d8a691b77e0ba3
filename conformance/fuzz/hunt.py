"""The hunt: random programs on both sides, and the smallest one for each difference, which hypothesis finds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky

from conformance.fuzz.calls import CALLS, MAKERS, Call, steps
from conformance.fuzz.model import Program, Step, settle
from conformance.fuzz.server import FuzzError, Seen, Sides
from conformance.run import Entry

ROUND = 200
"""Programs made from one seed."""

Signature = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """The smallest program that was found for a difference, and what both sides saw of it."""

    steps: list[Step]
    program: Program
    reference: Seen
    lxrun: Seen
    seed: int

    def signature(self) -> Signature:
        return signature(self.reference, self.lxrun)


class _Differs(Exception):
    pass


def choose(names: list[str], families: list[str]) -> list[Call]:
    """The calls with one of these names or of one of these families; all if neither is given.  Raises FuzzError."""
    for kind, asked, known in (
        ("call", names, {call.name for call in CALLS}),
        ("family", families, {call.family for call in CALLS}),
    ):
        for name in asked:
            if name not in known:
                raise FuzzError(f"{name}: no {kind} that is fuzzed; there are: {', '.join(sorted(known))}")
    return [call for call in CALLS if not (names or families) or call.name in names or call.family in families]


def signature(reference: Seen, lxrun: Seen) -> Signature:
    """What differs, without the values that depend on the rest of the program."""
    left, right = reference.lines, lxrun.lines
    for number in range(max(len(left), len(right))):
        one, other = (lines[number] if number < len(lines) else "" for lines in (left, right))
        if one != other:
            call = next((line for line in reversed(left[: number + 1]) if line[:1].isdigit()), "").split(":")[0]
            return call.split(" = ")[0].partition(" ")[2], _kind(one), _kind(other)
    names = {*reference.files, *lxrun.files}
    return tuple(sorted({_odd(reference.files.get(name), lxrun.files.get(name)) for name in names} - {""}))


def _odd(one: Entry | None, other: Entry | None) -> str:
    """In what respect a file that was left behind differs."""
    if one is None or other is None:
        return "" if one is other else "a file that is not there"
    if (one.kind, one.mode) != (other.kind, other.mode):
        return "the mode of a file"
    return "" if one == other else "the contents of a file"


def _kind(line: str) -> str:
    """An error by its name, everything else as a value."""
    head, colon, text = line.partition(": ")
    return text if colon and head[:1].isdigit() else "value" if line else "nothing"


@dataclass
class Hunt:
    """Counts programs; `programs` and `deadline` end it, whichever comes first."""

    sides: Sides
    calls: list[Call]
    seed: int
    programs: int
    deadline: float
    ran: int = 0
    unsteady: int = 0

    def findings(self) -> Iterator[Finding]:
        """What is found, each difference once."""
        known: set[Signature] = set()
        number = self.seed
        while not self._over():
            finding = self._round(number, min(ROUND, self.programs - self.ran), known)
            if finding:
                known.add(finding.signature())
                yield finding
            number += 1

    def _over(self) -> bool:
        return self.ran >= self.programs or time.monotonic() >= self.deadline

    def _round(self, number: int, programs: int, known: set[Signature]) -> Finding | None:
        last: list[Finding] = []

        @seed(number)
        @settings(
            max_examples=programs,
            database=None,
            deadline=None,
            derandomize=False,
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            print_blob=False,
        )
        @given(steps(self.calls))
        def look(made: list[Step]) -> None:
            if not last and self._over():
                return
            self.ran += not last
            if finding := self._examine(made, number, known):
                last[:] = [finding]
                raise _Differs

        try:
            look()
        except _Differs:
            return self._fewer(last[0], known)
        except Flaky:
            self.unsteady += 1
        return None

    def _examine(self, made: list[Step], number: int, known: set[Signature]) -> Finding | None:
        """Run `made` on both sides; a finding if they differ, not as known, and the reference not from itself."""
        program = settle(made, MAKERS)
        reference, lxrun = self.sides.run("reference", program), self.sides.run("lxrun", program)
        if reference == lxrun or signature(reference, lxrun) in known:
            return None
        if self.sides.run("reference", program) != reference:
            self.unsteady += 1
            return None
        return Finding(made, program, reference, lxrun, number)

    def _fewer(self, finding: Finding, known: set[Signature]) -> Finding:
        """Without the calls that are not needed: hypothesis leaves some where a shorter list is another kind of it."""
        number = len(finding.steps) - 1
        while number >= 0:
            less = [*finding.steps[:number], *finding.steps[number + 1 :]]
            if less and (smaller := self._examine(less, finding.seed, known)):
                finding = smaller
            number -= 1
        return finding

"""`lxconform fuzz`: hunts, writes each finding as a C program, and sees whether that differs too."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from conformance.fuzz.csource import standalone
from conformance.fuzz.hunt import Finding, Hunt, choose
from conformance.fuzz.server import Sides, build
from conformance.pool import Settings, examine_all
from conformance.record import CaseRecord
from conformance.suite import Case
from conformance.text import smallest_diff

NAMED = 3
"""Calls in the name of a finding's file."""


def fuzz(
    *,
    calls: list[str],
    families: list[str],
    seed: int,
    programs: int,
    seconds: float,
    out: Path,
    say: Callable[[str], None],
) -> int:
    """How many differences were found.  Raises FuzzError, OSError."""
    chosen = choose(calls, families)
    found = 0
    started = time.monotonic()
    with closing(Sides(sorted({*(call.name for call in chosen), *_made()}))) as sides:
        hunt = Hunt(sides, chosen, seed, programs, started + seconds)
        for finding in hunt.findings():
            found += 1
            say(_write(finding, out))
            say("")
    spent = time.monotonic() - started
    unsteady = f", {hunt.unsteady} not the same twice on the reference" if hunt.unsteady else ""
    say(f"{hunt.ran} programs in {spent:.1f} s ({hunt.ran / spent:.1f} a second): {found} differences{unsteady}")
    return found


def _made() -> list[str]:
    from conformance.fuzz.calls import MAKERS

    return [step.name for steps in MAKERS.values() for step in steps]


def _write(finding: Finding, out: Path) -> str:
    """Write the program to `out`, run it alone, and say what is different."""
    out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(step.name for step in finding.program))
    path = _unused(out, "-".join(names[-NAMED:]))
    lines = _difference(finding)
    text = standalone(
        finding.program, [f"Found by lxconform fuzz --seed {finding.seed}: - real Linux, + lxrun", *lines]
    )
    path.write_text(text, encoding="utf-8")
    binary = path.with_suffix("")
    build(path, binary)
    case = Case(path.name, (str(binary.resolve()),))
    with closing(examine_all([case], 1, Settings({}, 60.0, (), False))) as records:
        (record,) = records
    binary.unlink()
    return "\n".join([f"{path}: {_alone(record)}", *(f"    {line}" for line in lines)])


def _unused(out: Path, name: str) -> Path:
    number = 1
    while (path := out / (f"{name}.c" if number == 1 else f"{name}-{number}.c")).exists():
        number += 1
    return path


def _difference(finding: Finding) -> list[str]:
    left, right = finding.reference, finding.lxrun
    lines = smallest_diff("\n".join(left.lines) + "\n", "\n".join(right.lines) + "\n")
    for name in sorted({*left.files, *right.files}):
        one, other = left.files.get(name), right.files.get(name)
        if one != other:
            lines += [f"-file {name}: {one}", f"+file {name}: {other}"]
    return lines


def _alone(record: CaseRecord) -> str:
    """Whether the C program shows it."""
    if record["verdict"] == "same":
        return "only after other programs: alone it does the same on both"
    return f"alone: {record['verdict']}"

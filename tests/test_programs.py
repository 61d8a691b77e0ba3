"""Every program of tests/programs, natively and under lxrun."""

from __future__ import annotations

import pytest
from harness import PROGRAMS, Pair, Program

# What the CPU engine cannot do.  Strict: when an engine learns it, the line goes.
KNOWN = {
    "floating_flags": "Unicorn keeps no SSE exception flags, raises no #XM, ignores FTZ, rounds x87 functions"
    "rounds x87 functions to 53 bits",
}


def cases() -> list[object]:
    found: list[object] = []
    for program in map(Program.read, sorted(PROGRAMS.glob("*.c"))):
        name = program.source.stem
        marks = [pytest.mark.xfail(reason=KNOWN[name], strict=True)] if name in KNOWN else []
        found += [
            pytest.param(program, arguments, id=" ".join([name, *arguments]), marks=marks) for arguments in program.runs
        ]
    return found


@pytest.mark.parametrize(("program", "arguments"), cases())
def test_program(pair: Pair, program: Program, arguments: tuple[str, ...]) -> None:
    binary = program.build()
    pair([str(binary), *arguments], stdin=program.stdin)

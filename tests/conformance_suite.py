"""This repository's own programs as a suite for lxconform: builds them under their own names, with a file of commands.

python tests/conformance_suite.py
lxconform run tests/.build/suite/programs --calls --json report.json
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from harness import BUILD, PROGRAMS, Program

SUITE = BUILD / "suite"


def make() -> Path:
    """The file of commands, one for each run of each program."""
    SUITE.mkdir(parents=True, exist_ok=True)
    commands = []
    for program in map(Program.read, sorted(PROGRAMS.glob("*.c"))):
        name = program.source.stem
        binary = SUITE / name
        binary.unlink(missing_ok=True)
        if program.stdin:
            given = SUITE / f"{name}.stdin"
            given.write_bytes(program.stdin)
            run = f'{shlex.quote(str(program.build()))} "$@"'
            binary.write_text(f"#!/bin/sh\ncat {shlex.quote(str(given))} | {run}\n")  # a pipe, as the tests have it
            binary.chmod(0o755)
        else:
            os.link(program.build(), binary)
        commands += [shlex.join([f"./{name}", *arguments]) for arguments in program.runs]
    path = SUITE / "programs"
    path.write_text("\n".join(commands) + "\n")
    return path


if __name__ == "__main__":
    print(make())

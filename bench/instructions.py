"""Host instructions per operation, for machines whose clocks vary too much to compare two versions by.

`python -m bench.instructions [--tree DIR]... [KIND]...` runs the programs of bench/programs under lxrun under
valgrind's callgrind, twice each, and divides the difference by the operations between.  The counts vary by a few per
cent (the garbage collector, the vDSO's clock), the time they take by far more.  A `rep stos` counts once
for each store.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).parent / "programs"
KINDS = {"pingpong": 1, "unixpong": 1, "thread": 1, "handover": 2, "signal": 1}  # operations a round, in tasks.c
FEW, MANY = 100, 600  # rounds
LAUNCHER = """
import sys
sys.path.insert(0, sys.argv[1])
import emu.arena, kernel.runqueue
emu.arena.SIZE = 4 << 30  # valgrind has no room for more
kernel.runqueue.TICK_NS = 10**13  # so slow, a tick would come every few calls
from lxrun.cli import main
sys.exit(main(sys.argv[2:]))
"""


def executed(tree: Path, argv: list[str]) -> int:
    """Instructions of one whole run of lxrun."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--smc-check=all-non-file"]
    command += [sys.executable, "-c", LAUNCHER, str(tree), *argv]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{' '.join(argv)} failed under valgrind:\n{done.stderr}")
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--tree", action="append", type=Path, help="a checkout to measure; this one, if none is given")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all, if none is given")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as work:
        tasks = f"{work}/tasks"
        build = ["gcc", "-O2", "-static", "-pthread", "-o", tasks, str(PROGRAMS / "tasks.c")]
        subprocess.run(build, check=True)
        os.utime(tasks, (0, 0))  # what is known of a program is kept only once it is some seconds old
        for kind in options.kinds or KINDS:
            for tree in options.tree or [ROOT]:
                executed(tree.resolve(), [tasks, kind, "0"])  # fills that cache
                few, many = (executed(tree.resolve(), [tasks, kind, str(rounds)]) for rounds in (FEW, MANY))
                print(f"{kind:10} {(many - few) // ((MANY - FEW) * KINDS[kind]):9,}  {tree}", flush=True)


if __name__ == "__main__":
    main()

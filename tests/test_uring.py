"""Rings with anything in them.  What they do is compared by tests/programs/uring_*.c."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import LXRUN, compile_program, environment

GUEST = Path(__file__).parent / "guests" / "uring_fuzz.c"


@pytest.mark.parametrize("seed", range(1, 5))
def test_random_entries(tmp_path: Path, seed: int) -> None:
    """Whatever a program puts into a ring, it gets an answer; nothing of it is lxrun's undoing."""
    program = compile_program(GUEST, "-static")
    done = subprocess.run(
        [*LXRUN, str(program), str(seed), "200"], cwd=tmp_path, env=environment({}), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (42, ""), done

"""Rings with anything in them, and with too much.  What they do is compared by tests/programs/uring_*.c."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import LXRUN, compile_program, environment

GUESTS = Path(__file__).parent / "guests"


def run(work: Path, guest: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = compile_program(GUESTS / f"{guest}.c", "-static")
    return subprocess.run(
        [*LXRUN, "--memory", "96m", str(program), *arguments], cwd=work, env=environment({}), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(1, 5))
def test_random_entries(tmp_path: Path, seed: int) -> None:
    """Whatever a program puts into a ring, it gets an answer; nothing of it is lxrun's undoing."""
    done = run(tmp_path, "uring_fuzz", str(seed), "200")
    assert (done.returncode, done.stderr) == (42, ""), done


def test_bounds(tmp_path: Path) -> None:
    """What rings keep is bounded, and given back with them."""
    done = run(tmp_path, "uring_hungry")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "requests: EAGAIN, 1",
        "completions: EAGAIN, 1",
        "buffers: ENOMEM",
        "still usable:",
        "  1: 0",
    ]

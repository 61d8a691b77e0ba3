"""Guests that sleep leave the host alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness import LXRUN, ROOT, compile_program, environment

SOURCE = Path(__file__).parent / "guests" / "sleepers.c"


def switches(pid: int) -> int:
    """How often the threads of a host process have gone to sleep."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def test_a_thousand_sleepers_never_wake_the_host() -> None:
    """Some wait for a signal, some for a deadline far away, and some have timers of processor time."""
    command = [*LXRUN, str(compile_program(SOURCE, "-static")), "1000"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment({}), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline() == b"asleep\n"
            before = switches(process.pid)
            process.stdin.write(b"x")  # it sleeps a second, counted by nobody but itself
            process.stdin.flush()
            assert process.stdout.readline() == b"a second later\n"
            # In and out of that sleep, and what is left of a tick before it: idle ticks would be hundreds.
            assert switches(process.pid) - before < 40
        finally:
            process.stdin.close()
            process.kill()

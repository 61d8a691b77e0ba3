"""What a guest that takes all it can get does to lxrun and to the host, and what is left when lxrun is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import LXRUN, compile_program, environment

GUESTS = Path(__file__).parent / "guests"
LIMITED = [*LXRUN, "--memory", "96m"]


def hungry() -> str:
    return str(compile_program(GUESTS / "hungry.c", "-static", "-pthread"))


def run(work: Path, what: str, seconds: float = 100) -> str:
    """What the greedy guest says; it has to end well."""
    done = subprocess.run(
        [*LIMITED, hungry(), what], cwd=work, env=environment({}), capture_output=True, text=True, timeout=seconds,
        start_new_session=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "") or (what == "memory" and done.returncode == 137), done
    return done.stdout


def processes(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                found.append(int(entry.name))
    return found


def test_descriptors(tmp_path: Path) -> None:
    assert run(tmp_path, "fds") == "bad 0, still usable 1\n"


def test_processes(tmp_path: Path) -> None:
    """Memory, or the number of tasks that it stands for, ends a fork bomb; then there is room again."""
    first, second = run(tmp_path, "forks").splitlines()
    assert first.startswith("forks ") and first.endswith((": EAGAIN", ": ENOMEM"))
    assert second == "left 0, another 1"


def test_threads(tmp_path: Path) -> None:
    assert run(tmp_path, "threads").endswith(": EAGAIN\n")


def test_memory(tmp_path: Path) -> None:
    """Reservations are refused; if pages of files take what was reserved, the guest is killed."""
    text = run(tmp_path, "memory")
    assert not text or (text.endswith(": ENOMEM\n") and int(text.split()[1].rstrip(":")) < 96)


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGKILL])
def test_spinning_threads_are_ended(tmp_path: Path, signo: int) -> None:
    guest = subprocess.Popen(
        [*LIMITED, hungry(), "spin"], cwd=tmp_path, env=environment({}), stdout=subprocess.PIPE, start_new_session=True
    )
    assert guest.stdout is not None
    assert guest.stdout.readline() == b"spinning\n"
    guest.send_signal(signo)
    assert guest.wait(30) in (-signo, 128 + signo)
    guest.stdout.close()
    assert not processes(guest.pid)


BUSY = """
for i in 1 2 3; do (while :; do :; done) & done
for i in 1 2 3; do sleep 100 & done
exec 9> held; flock 9; mkfifo queue; sleep 100 > queue &
echo started; wait
"""


@pytest.mark.parametrize("after", [0.02, 0.06, 0.1, 0.15, 0.3, None])
def test_killed_at_any_moment(tmp_path: Path, after: float | None) -> None:
    """kill -9 of lxrun leaves no process, no lock and no file but those the guest made by name."""
    guest = subprocess.Popen(
        [*LXRUN, "/bin/bash", "-c", BUSY], cwd=tmp_path, env=environment({}), stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert guest.stdout is not None
    if after is None:
        assert guest.stdout.readline() == b"started\n"
    else:
        time.sleep(after)
    assert processes(guest.pid) == [guest.pid]  # all its processes are one of the host's
    guest.kill()
    guest.wait(30)
    guest.stdout.close()
    assert not processes(guest.pid)
    assert {path.name for path in tmp_path.iterdir()} <= {"held", "queue"}
    if (tmp_path / "held").exists():
        subprocess.run(["flock", "-n", str(tmp_path / "held"), "true"], check=True)


def test_no_terminal_setting_is_left(tmp_path: Path) -> None:
    """A guest that dies of a signal with the terminal in raw mode leaves it as it was."""
    import pty
    import termios

    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    guest = subprocess.Popen(
        [*LXRUN, "/bin/sh", "-c", "stty raw -echo; kill -9 $$"], cwd=tmp_path, env=environment({}), stdin=slave,
        stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    guest.wait(30)
    after = termios.tcgetattr(slave)
    os.close(master)
    os.close(slave)
    assert after == before

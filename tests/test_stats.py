"""--stats: the table at the end of a run."""

from __future__ import annotations

import re
import subprocess

from harness import LXRUN, environment, require

from lxrun.stats import Stats, share


class Memory:
    minor_faults, major_faults, peak_pages = 5, 2, 10


class Processor:
    fills, slices, flushes = 7, 3, 1


class Task:
    tid = 1

    def __init__(self) -> None:
        self.mm = Memory()


def test_report() -> None:
    stats, task = Stats(), Task()
    for result in (3, -2, 0):
        stats.enter(task, 2, "open", (0,) * 6)
        stats.leave(task, result)
    stats.leave(task, 0)  # a return nobody saw the entry of
    stats.enter(task, 60, "exit", (0,) * 6)
    stats.signal(task, None)
    stats.exit(task, 0)
    lines = stats.report(Processor()).splitlines()
    calls = {line.split()[-1]: line.split() for line in lines if line[:1] == " " and line.split()[0][:1].isdigit()}
    assert calls["open"][3:5] == ["3", "1"]
    assert calls["exit"][3] == "1"
    assert calls["total"][3:5] == ["4", "1"]
    text = "\n".join(lines)
    assert "page faults  7 (5 minor, 2 major)" in text
    assert "TLB  7 fills, 1 flushes" in text
    assert "peak memory  40 KiB (10 pages)" in text
    assert "signals  1" in text


def test_every_program_of_a_run_counts_once() -> None:
    stats, task = Stats(), Task()
    for _ in range(2):
        for _ in range(2):
            stats.enter(task, 39, "getpid", (0,) * 6)
            stats.leave(task, 1)
        task.mm = Memory()  # execve
    assert "14 (10 minor, 4 major)" in stats.report(Processor())


def test_nothing_ran() -> None:
    assert "total" in Stats().report(Processor())
    assert share(1, 0) == 0


def test_command() -> None:
    require("busybox-static", "busybox")
    command = [*LXRUN, "--stats", "busybox", "echo", "hi"]
    done = subprocess.run(command, env=environment({}), capture_output=True, text=True, check=True)
    assert done.stdout == "hi\n"
    assert re.search(r"^ +[\d.]+ +[\d.]+ +[\d.]+ +1 +write$", done.stderr, re.M)
    assert re.search(r"page faults +\d+ \(", done.stderr)

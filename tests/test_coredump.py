"""Core files as their readers see them: gdb, and whoever looks for them by name."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import LXRUN, ROOT, compile_program, environment, require

SOURCE = Path(__file__).parent / "guests" / "crash.c"

GDB = [
    "info threads", "backtrace", "up 4", "print scaled", "print where", "print ratio", "print $_siginfo.si_signo",
    "print/x $eflags & 0x10000 | $cs", "thread 2", "backtrace", "print $st0",
]  # fmt: skip


def unlimited() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def crash(command: list[str], where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=where, env=environment({"PYTHONPATH": str(ROOT)}), capture_output=True, text=True,
        timeout=60, preexec_fn=unlimited,
    )  # fmt: skip


def gdb(binary: Path, core: Path) -> str:
    """What gdb says of it, without addresses and numbers of processes."""
    commands = [word for line in GDB for word in ("-ex", line)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", *commands, str(binary), str(core)],
        env=environment({}), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", done.stdout)
    return re.sub(r" +", " ", re.sub(r"LWP \d+", "TASK", text))


def test_gdb_reads_it(tmp_path: Path) -> None:
    """Threads, stacks, variables and registers of a crash, as from the kernel's own core file."""
    require("gdb", "/usr/bin/gdb")
    binary = compile_program(SOURCE, "-g", "-O0", "-pthread")
    said = {}
    for name, command in (("native", [str(binary)]), ("lxrun", [*LXRUN, str(binary)])):
        where = tmp_path / name
        where.mkdir()
        done = crash(command, where)
        assert done.returncode == (-11 if name == "native" else 139), done.stderr
        said[name] = gdb(binary, where / "core")
    assert "in inner (p=ADDRESS <where>, depth=0)" in said["native"]
    assert said["lxrun"] == said["native"]


def test_the_message_says_so(tmp_path: Path) -> None:
    binary = compile_program(SOURCE, "-g", "-O0", "-pthread")
    assert crash([*LXRUN, str(binary)], tmp_path).stderr == "Segmentation fault (core dumped)\n"


@pytest.mark.parametrize(
    ("pattern", "uses_pid", "name"),
    [
        ("core", 0, "core"),
        ("core", 1, "core.PID"),
        ("%e-%p-%s-%u-%g-%%-%i", 1, "crash_by_a_long-PID-11-0-0-%-PID"),
        ("dir/%f.%d.%q%", 0, "dir/crash_by_a_long_name.1."),
        ("%E.%h", 0, "!crash_by_a_long_name.HOST"),
        ("core.%P.%I.%C", 0, "core.PID.PID.0"),
    ],
)
def test_core_pattern(tmp_path: Path, pattern: str, uses_pid: int, name: str) -> None:
    """core(5), "Naming of core dump files"."""
    (tmp_path / "dir").mkdir()
    program = tmp_path / "crash_by_a_long_name"
    shutil.copy(compile_program(SOURCE, "-g", "-O0", "-pthread"), program)
    settings = "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/core_uses_pid"
    script = (
        f"echo '{pattern}' >{settings[0]} && echo {uses_pid} >{settings[1]} && cat {settings[0]} {settings[1]}\n"
        "hostname HOST; ./crash_by_a_long_name & echo $!; wait; rm crash_by_a_long_name\n"
    )
    done = crash([*LXRUN, "/bin/sh", "-c", script], tmp_path)
    *said, pid = done.stdout.split("\n")[:-1]
    assert said == [pattern, str(uses_pid)]
    (found,) = (str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == name.replace("PID", pid).replace("!", "!".join((*tmp_path.parts, ""))[1:])


def test_no_pipes(tmp_path: Path) -> None:
    """A program that would take the core file is refused when it is named."""
    done = crash([*LXRUN, "/bin/bash", "-c", "echo '|/bin/cat' >/proc/sys/kernel/core_pattern"], tmp_path)
    assert (done.returncode, "Invalid argument" in done.stderr) == (1, True)

"""lxconform fuzz: a difference that was put there is found and made small; where there is none, none is found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import BUILD, ROOT, compile_program, environment
from hypothesis import HealthCheck, given, settings

from conformance.fuzz.calls import CALLS, MAKERS, steps
from conformance.fuzz.csource import standalone
from conformance.fuzz.model import Buf, Int, Program, Value, settle
from conformance.fuzz.server import Sides
from syscalls.table import TABLE

WRONG = """
import functools, syscalls.io
right = syscalls.io.sys_lseek
@functools.wraps(right)
def sys_lseek(t, fd, offset, whence):
    return right(t, fd, offset, whence) + (whence == 2)
syscalls.io.sys_lseek = sys_lseek
"""

GOOD = (
    "close,dup,dup3,lseek,eventfd2,mkdir,rmdir,unlink,symlink,rename,link,poll,epoll_ctl,"
    "fchmod,access,lstat,fcntl,read,readlink"
)


def fuzz(*argv: object, env: dict[str, str] | None = None, status: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "fuzz", *map(str, argv)],
        env=environment(env or {}), capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_finds_and_shrinks(tmp_path: Path) -> None:
    """lxrun's lseek is made wrong by one at a file's end: two calls show it, in C too."""
    (tmp_path / "sitecustomize.py").write_text(WRONG)
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    out = tmp_path / "out"
    done = fuzz("--calls", "lseek,dup,close", "--cases", 60, "--seed", 3, "--out", out, env=env, status=1)
    (source,) = out.iterdir()
    assert source.name == "open-lseek.c"
    lines = done.stdout.splitlines()
    assert lines[0] == f"{source}: alone: differs"
    assert lines[1:5] == ["     0 open = 3", "    -1 lseek = 0", "    +1 lseek = 1", "     exit 0"]
    assert re.fullmatch(r"60 programs in .* s \(.* a second\): 1 differences", lines[-1])
    text = source.read_text()
    assert text.startswith("// Found by lxconform fuzz --seed 3: - real Linux, + lxrun\n//  0 open = 3\n")
    assert 'result("lseek", syscall(SYS_lseek, r0, 0L, 2L))' in text


def test_nothing_to_find(tmp_path: Path) -> None:
    done = fuzz("--calls", GOOD, "--cases", 100, "--seed", 11, "--out", tmp_path / "out", status=0)
    assert "100 programs" in done.stdout and "): 0 differences" in done.stdout
    assert not (tmp_path / "out").exists()


def test_kernel_ends(tmp_path: Path) -> None:
    """An lxrun that dies is a difference too, and the next programs have a new one."""
    wrong = WRONG.replace("return right", "import os; whence == 2 and os._exit(9); return right")
    (tmp_path / "sitecustomize.py").write_text(wrong)
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    out = tmp_path / "out"
    done = fuzz("--calls", "lseek", "--cases", 60, "--seed", 3, "--out", out, env=env, status=1)
    assert "alone: crashed" in done.stdout and "+the kernel itself ended" in done.stdout
    assert "60 programs in" in done.stdout


def test_one_clear_line(tmp_path: Path) -> None:
    assert "opan: no call that is fuzzed; there are: " in fuzz("--calls", "opan", status=125).stderr
    assert "x: no family that is fuzzed; there are: " in fuzz("--families", "x", status=125).stderr
    no_compiler = fuzz("--calls", "close", env={"PATH": str(tmp_path)}, status=125).stderr
    assert no_compiler == "lxconform: no C compiler; install one with: apt-get install gcc libc6-dev\n"
    assert "Traceback" not in fuzz("--cases", "0", status=2).stderr


def test_the_table_knows_them() -> None:
    """Each call under the family that it has in lxrun's table, and none that lxrun refuses."""
    table = {call.name: (family.module, call.support.level) for family in TABLE for call in family.calls}
    for call in CALLS:
        if call.name != "touch":  # a memory access
            assert table[call.name][0] == call.family, call.name
            assert table[call.name][1] != "refused", call.name


def values(value: Value) -> list[Value]:
    return (
        [value, *(each for _, _, part in value.fields for each in values(part))] if isinstance(value, Buf) else [value]
    )


def sample(count: int) -> list[Program]:
    found = []

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps(CALLS))
    def draw(made: list) -> None:  # type: ignore[type-arg]
        found.append(settle(made, MAKERS))

    draw()
    return found


def test_programs_stay_where_they_are(tmp_path: Path) -> None:
    """No name leads out of a program's directory, but for calls that only look; every constant is what C says."""
    named = set()
    for program in sample(400):
        for step in program:
            for value in (each for arg in step.args for each in values(arg)):
                if isinstance(value, Int) and value.text:
                    named.add((value.text, value.value))
                if isinstance(value, Buf) and value.data[-1:] == b"\0" and not value.fields:
                    assert b".." not in value.data, step
                    looks = step.name in (
                        "stat",
                        "lstat",
                        "newfstatat",
                        "access",
                        "faccessat2",
                        "readlink",
                        "readlinkat",
                    )
                    assert looks or value.data[:1] != b"/", step
    assert len(named) > 50
    checks = "".join(
        f'_Static_assert((unsigned)({text}) == {value % (1 << 32)}u, "{text}");\n' for text, value in sorted(named)
    )
    source = tmp_path / "constants.c"
    source.write_text(standalone((), []) + checks)
    compile_program(source, "-c")


@pytest.mark.parametrize("number", range(3))
def test_written_out(number: int, tmp_path: Path) -> None:
    """The C program of a random program does what the interpreter does."""
    program = [each for each in sample(30) if len(each) > 6][number]
    sides = Sides(sorted({step.name for step in program}))
    try:
        seen = sides.run("reference", program)
    finally:
        sides.close()
    BUILD.mkdir(exist_ok=True)
    source = tmp_path / "program.c"
    source.write_text(standalone(program, []))
    binary = compile_program(source, "-static")
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run([binary], cwd=home, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = [line for line in seen.lines if not line.startswith("exit ")]
    shown = [re.sub(r"getcwd = \d+", "getcwd = n", line) for line in lines]
    assert [re.sub(r"getcwd = \d+", "getcwd = n", line) for line in done.stdout.splitlines()] == shown

"""Debuggers that run as guests: gdb and strace do, and say of a program, what they do natively."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pexpect
import pytest
from harness import LXRUN, Pair, compile_program, environment, require, run

SOURCE = Path(__file__).parent / "guests" / "debugged.c"

# Numbers of tasks, and what depends on where libraries lie, which is not at Linux's own addresses to the page
BLANK = (
    r"0x[0-9a-f]+", r"LWP \d+", r"process \d+", r"\b\d{15}\b", r"expected=\d+", r"pid=\d+", r"line \d+: +\d+", r" +",
)  # fmt: skip

SESSIONS = {
    "crash": ("crash", """
        run
        backtrace
        info locals
        frame 1
        info locals
        print first
        print *first.next
        print/x $eflags & 0x10000 | $cs
        print $_siginfo.si_signo
        print $_siginfo._sifields._sigfault
        info registers rip
        x/2i $pc
        info program
        continue
    """),
    "breakpoints": ("count", """
        break count
        run
        info args
        next
        step
        step
        info locals
        tbreak 63 if i == 4
        continue
        print i
        print counter
        set variable counter = 1000
        call count(4)
        print total
        finish
        info breakpoints
        delete
        continue
    """),
    "watch": ("count", """
        set can-use-hw-watchpoints 0
        break count
        run
        watch counter
        continue
        continue
        continue
    """),
    "hardware": ("threads", """
        break main
        run
        watch sums[2]
        hbreak work if number == 3
        continue
        info watchpoints
        continue
        delete
        continue
    """),
    "threads": ("threads", """
        break work
        run
        info threads
        thread apply all backtrace
        next
        next
        next
        print sums
        continue
        info threads
        thread 1
        frame function threads
        info locals
        delete
        continue
    """),
    "follow the child": ("family", """
        set follow-fork-mode child
        break count
        run
        backtrace
        print counter
        finish
        continue
    """),
    "follow the parent": ("family", """
        catch fork
        catch syscall wait4
        run
        backtrace 3
        continue
        continue
        delete
        continue
    """),
    "signals": ("signal", """
        handle SIGUSR1 stop print
        run
        info signals SIGUSR1
        break handler
        continue
        backtrace -1
        stepi
        up
        print signo
        continue
    """),
    "instructions": ("count", """
        break count
        run
        stepi 20
        info registers rip
        nexti 5
        info registers rip eflags
        display/i $pc
        stepi
        set $rax = 5
        print $rax
        print $xmm0.uint128 = 77
        print $xmm0.uint128
        print $st0
        kill
    """),
}  # fmt: skip


@pytest.mark.parametrize("session", SESSIONS)
def test_gdb(pair: Pair, session: str) -> None:
    require("gdb", "/usr/bin/gdb")
    argument, script = SESSIONS[session]
    program = compile_program(SOURCE, "-g", "-O0", "-pthread")

    def prepare(work: Path) -> None:
        lines = ["set pagination off", "set width 0", "set print thread-events off", "set print inferior-events off"]
        lines += [line.strip() for line in script.strip().splitlines()]
        # One after the other, for a sourced file ends at the first error
        words = [word for line in lines for word in ("-ex", line)]
        (work / "arguments").write_text("\n".join(words))

    gdb = f"""mapfile -t words < arguments
        gdb -q -nx -batch "${{words[@]}}" --args {program} {argument} 2>&1 | cat  # which waits for all of them
        exit ${{PIPESTATUS[0]}}"""
    result = pair(["/bin/bash", "-c", gdb], prepare=prepare, blank=BLANK)
    assert b"begins" in result.stdout and b"No symbol table" not in result.stdout


def test_gdb_attaches(pair: Pair) -> None:
    require("gdb", "/usr/bin/gdb")
    program = compile_program(SOURCE, "-g", "-O0", "-pthread")
    script = f"""
        {program} wait > ready & pid=$!
        until [ -s ready ] && read -r state < <(cut -d' ' -f3 /proc/$pid/stat) && [ $state = S ]; do :; done
        grep TracerPid /proc/$pid/status
        gdb -q -nx -batch -p $pid -ex 'backtrace -1' -ex 'print counter' -ex 'set variable counter = 50' \
            -ex 'shell grep State /proc/'$pid'/status' -ex 'break main' -ex detach 2>&1 |
            grep -v 'warning:\\|^\\[Thread\\|libthread'
        grep State /proc/$pid/status
        gdb -q -nx -batch -p $pid -ex 'print counter' -ex kill 2>&1 | grep '^[$]'
        wait $pid; echo $?
    """
    pair(["/bin/bash", "-c", script], blank=BLANK, files=False, status=0)


def test_gdb_at_a_terminal(tmp_path: Path) -> None:
    """Ctrl-C goes to the program that gdb runs, and stops it for gdb."""
    require("gdb", "/usr/bin/gdb")
    program = compile_program(SOURCE, "-g", "-O0", "-pthread")
    gdb = pexpect.spawn(
        LXRUN[0], [*LXRUN[1:], "/usr/bin/gdb", "-q", "-nx", "--args", str(program), "loop"],
        env=environment({}), cwd=tmp_path, timeout=90, encoding="utf-8",
    )  # fmt: skip
    gdb.expect_exact("(gdb) ")
    gdb.sendline("run")
    gdb.expect_exact("loop begins")
    gdb.sendintr()
    gdb.expect_exact("Program received signal SIGINT, Interrupt.")
    gdb.expect_exact("(gdb) ")
    gdb.sendline("backtrace -1")
    gdb.expect("main \\(argc=2")
    gdb.sendline("kill")
    gdb.expect_exact("(y or n)")
    gdb.sendline("y")
    gdb.expect("Inferior 1 .* killed")
    gdb.sendline("quit")
    gdb.expect(pexpect.EOF)
    gdb.close()
    assert gdb.exitstatus == 0


MAKEFILE = """all: out.txt
\t@cat out.txt
out.txt: a b
\tcat a b > $@
a:
\techo first > $@
b: a
\tsed s/first/second/ a > $@
"""


def by_task(text: str) -> list[list[str]]:
    """The lines of each task of `strace -f -o`, in the order in which the tasks begin, calls in one piece; without
    what differs from run to run."""
    lines: dict[str, list[str]] = {}
    unfinished: dict[str, str] = {}
    for line in text.splitlines():
        task, rest = line.split(None, 1)
        lines.setdefault(task, [])
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed:
            rest = unfinished.pop(task) + resumed[1]
        elif rest.endswith("<unfinished ...>"):
            unfinished[task] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        for pattern, to in (
            (r"0x[0-9a-f]+", "ADDRESS"),
            (r"\s+= ", " = "),
            (r", *", ","),
            (r"^(clone3?|v?fork|wait4|getpp?id|set_tid_address|rt_sigreturn)(\(.*) = \d+", r"\1\2 = NUMBER"),
            (r"si_pid=\d+", "si_pid=NUMBER"),
            (r"si_([us])time=.*?([,}])", r"si_\1time=TIME\2"),
            (r'^getrandom\(".*?"', 'getrandom("BYTES"'),
            (r'^(read\(3,"nodev.*) = \d+', r"\1 = SIZE"),
            (r"ADDRESS /\* \d+ vars \*/", "ENVIRONMENT"),
            (r"(getdents64.*)/\* \d+ entries \*/(.*) = \d+", r"\1\2"),
        ):
            rest = re.sub(pattern, to, rest)
        lines[task].append(rest)
    return list(lines.values())


def test_strace_follows_make(tmp_path: Path) -> None:
    """Every call of every process, in order, with its arguments and result."""
    require("strace", "/usr/bin/strace")
    require("make", "/usr/bin/make")
    said = {}
    for under_lxrun in (False, True):
        outcome = run(
            ["/usr/bin/strace", "-f", "-o", "trace", "make"], tmp_path / "work", under_lxrun=under_lxrun,
            prepare=lambda work: (work / "Makefile").write_text(MAKEFILE) and None,
        )  # fmt: skip
        assert (outcome.status, outcome.stderr) == (0, b"")
        said[under_lxrun] = outcome.stdout, by_task(os.fsdecode((tmp_path / "work" / "trace").read_bytes()))
    assert said[True][0] == said[False][0]
    assert len(said[False][1]) == 7
    for native, guest in zip(said[False][1], said[True][1], strict=True):
        assert guest == native


@pytest.mark.parametrize(
    "options",
    [
        ["-c", "-etrace=write"],
        ["-k", "-etrace=getcwd"],
        ["-etrace=write", "-einject=write:error=ENOSPC"],
        ["--seccomp-bpf", "-f", "-o/dev/null", "-etrace=write"],
    ],
)
def test_strace_options(pair: Pair, options: list[str]) -> None:
    """Counting, stacks, and calls that fail because the tracer says so."""
    require("strace", "/usr/bin/strace")
    child = "" if "-k" in options else "/bin/echo b;"  # whose SIGCHLD comes sooner or later, and has a stack too
    pair(
        ["/usr/bin/strace", *options, "/bin/sh", "-c", f"echo a; {child} kill -USR1 $$"],
        blank=(r"0x[0-9a-f]+|\+ADDRESS", r"si_(pid|uid|.time)=.*?[,}]", r"^ *\d+\.\d+ .*|[ \d.]+(usecs|total).*"),
    )

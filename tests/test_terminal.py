"""Interactive programs: the same keys natively and under lxrun must give the same screens."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import LXRUN, Pair, require
from screen import Screen, Step, compare, numbers

Place = Callable[[], Path]

BASH = ["/bin/bash", "--norc", "--noprofile", "-i"]
UP, DOWN, PAGE_DOWN = "\033[A", "\033[B", "\033[6~"


def ctrl(letter: str) -> str:
    return chr(ord(letter) & 0x1F)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A directory of the same name for both runs, with a few files in it."""

    def make() -> Path:
        directory = tmp_path / "work"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / "alphabet.txt").write_text("".join(f"line {n:03d} of the text\n" for n in range(1, 201)))
        (directory / "beta.c").write_text("int main(void)\n{\n\treturn 0;\n}\n")
        (directory / "quiet.conf").write_text("set -g status off\nset -g default-command \"PS1='$ ' exec sh\"\n")
        return directory

    return make


def test_bash_line_editing(place: Place) -> None:
    """readline: completion, history, moving about."""
    compare(
        BASH,
        [
            Step(until="$"),
            Step("echo one two\r", "one two\n$"),
            Step("cat al\t", "alphabet.txt"),
            Step("| tail -n 1\r", "line 200 of the text\n$"),
            Step(UP * 2, "$ echo one two"),
            Step(ctrl("a") + "\033f\033f" + ctrl("k") + " three\r", "\none three"),
            Step(ctrl("r") + "tail", "reverse-i-search"),
            Step(ctrl("e") + ctrl("u") + "ls \t\t", "quiet.conf"),
            Step(ctrl("c"), "$ ls ^C\n$"),
            Step("echo word another" + ctrl("w") + "last\r", "\nword last"),
            Step("exit 3\r"),
        ],
        place,
    )


def test_bash_job_control(place: Place) -> None:
    """Stopping, continuing, foreground and background, and reading from there."""
    compare(
        BASH,
        [
            Step(until="$"),
            Step("sh -c 'trap \"echo go on\" CONT; echo started; while read x; do :; done; read x'\r", "\nstarted"),
            Step(ctrl("z"), "Stopped"),
            Step("stopped() { until ps -o stat= -p $! | grep -q T; do :; done; }\r", "}\n$"),
            Step("cat > copy & stopped\r", "[2]+  Stopped"),
            Step("jobs\r", "[1]-  Stopped"),
            Step("fg %2\r", "cat > copy\n"),
            Step("typed to cat\r" + ctrl("d"), "typed to cat\n$"),
            Step("fg\r", "\ngo on"),
            Step(ctrl("c"), "^C\n$"),
            Step("echo status $?\r", "status 130"),
            Step("sleep 1000 & kill -STOP $!; stopped\r", "[1]+  Stopped"),
            Step("bg\r", "sleep 1000 &\n$"),
            Step("disown -a; kill $!; echo killed\r", "\nkilled"),
            Step("clear; (echo piped; sleep 1000; echo never) | cat\r", "piped"),
            Step(ctrl("\\"), "Quit"),
            Step("stty tostop; (echo held; echo now) & stopped\r", "[1]+  Stopped                 ( echo"),
            Step("fg\r", "held\nnow"),
            Step(ctrl("d")),
        ],
        place,
        numbers(r"\[\d\] \d+"),
    )


def test_size_of_the_terminal(place: Place) -> None:
    """A resize reaches the guest's foreground group."""
    compare(
        BASH,
        [
            Step(until="$"),
            Step("stty size\r", "24 80"),
            Step("trap 'echo size $(stty size)' WINCH; shopt -s checkwinsize\r", "checkwinsize"),
            Step(size=(30, 100), until="size 30 100"),
            Step("/bin/true; echo $LINES $COLUMNS\r", "\n30 100"),
            Step("exit\r"),
        ],
        place,
    )


def test_script(place: Place) -> None:
    """A terminal in a terminal."""
    require("bsdutils", "script")
    compare(
        ["/usr/bin/script", "-q", "typescript", "-c", "sh"],
        [
            Step(until="$"),
            Step("tty | sed 's/[0-9]*$/N/'; stty size\r", "24 80"),
            Step("cat\r", "cat"),
            Step("typed\r", "typed\ntyped"),
            Step(ctrl("c"), "^C"),
            Step(size=(20, 70), until="$"),
            Step("stty size\r", "20 70"),
            Step("rm typescript; exit 5\r"),
        ],
        place,
    )


def test_vim(place: Place) -> None:
    """It does not ask the terminal what it is (t_u7, t_RV): after that vim waits for ever, natively too, where more
    than a millisecond passes before it looks for an answer."""
    require("vim", "/usr/bin/vim")
    compare(
        ["/usr/bin/vim", "-u", "NONE", "-N", "-i", "NONE", "-n", "--cmd", "set t_u7= t_RV=", "beta.c"],
        [
            Step(until="4L"),
            Step("/return\r", "return"),
            Step("Oint x = 1;\033", "int x"),
            Step(":set number\r", "  1 int main"),
            Step(":split alphabet.txt\r", "line 001"),
            Step("GVkkd", "3 fewer lines"),
            Step(ctrl("w") + "jyyp:%s/0/17/g\r", "return 17"),
            Step(size=(30, 60), until="return 17"),
            Step(":r !echo from a command\r", "from a command"),
            Step(":wqa!\r"),
        ],
        place,
    )


def test_less(place: Place) -> None:
    require("less", "less")
    compare(
        ["/usr/bin/less", "alphabet.txt"],
        [
            Step(until="alphabet.txt"),
            Step(" ", "line 046"),
            Step("/line 150\r", "line 150"),
            Step("G", "(END)"),
            Step("g", "line 001"),
            Step("!echo from a command\r", "done"),
            Step("\r", "line 001"),
            Step("F", "interrupt"),
            Step(ctrl("c"), "line 200"),
            Step("q"),
        ],
        place,
    )


def test_nano(place: Place) -> None:
    require("nano", "nano")
    compare(
        ["/usr/bin/nano", "--ignorercfiles", "beta.c"],
        [
            Step(until="Exit"),
            Step(DOWN * 2 + "// a comment\r", "// a comment"),
            Step(ctrl("w") + "main\r", "main"),
            Step(ctrl("k"), "// a comment"),
            Step(ctrl("o"), "beta.c"),
            Step("\r", "Wrote"),
            Step(ctrl("x")),
        ],
        place,
    )


def test_tmux(place: Place) -> None:
    """Two panes, a detach and an attach: its server, clients and shells all in one lxrun."""
    require("tmux", "tmux")
    compare(
        ["/bin/sh", "-c", "PS1='outer ' exec sh -i"],
        [
            Step(until="outer"),
            Step("tmux -S socket -f quiet.conf new\r", "$"),
            Step("echo left $((6 * 7))\r", "left 42"),
            Step(ctrl("b") + "%", "│$"),
            Step("tty | sed 's/[0-9]*$/N/'; stty size; echo ri''ght\r", "right"),
            Step(ctrl("b") + "o" + "seq 100 | tail -n 3\r", "100"),
            Step(ctrl("b") + '"', "─"),
            Step("cat\r", "cat"),
            Step(ctrl("b") + "d", "detached"),
            Step("tmux -S socket ls -F '#{session_windows} window'\r", "1 window"),
            Step("tmux -S socket attach\r", "left 42"),
            Step("typed to cat\r", "typed to cat"),
            Step(ctrl("c"), "^C"),
            Step("exit\r", "left 42"),
            Step(ctrl("b") + "d", "detached"),
            Step("tmux -S socket kill-server; echo gone\r", "\ngone"),
            Step("rm -f socket; exit\r"),
        ],
        place,
    )


def test_python_pty(pair: Pair) -> None:
    """cpython's own tests of its pty module."""
    require("libpython3.11-testsuite", "/usr/lib/python3.11/test/test_pty.py")
    pair(["/usr/bin/python3", "-m", "test.test_pty"], status=0, outputs=False, blank=[r"in \d+\.\d+s"])


@pytest.mark.parametrize("program", ["top", "htop"])
def test_process_viewers(place: Place, program: str) -> None:
    """What they show is each machine's own: the head of the table, and the end."""
    require("procps" if program == "top" else "htop", program)
    lines = []
    for prefix in ([], LXRUN):
        screen = Screen([f"/usr/bin/{program}"], place(), prefix, lambda text: text)
        try:
            shown = screen.settle_on("PID USER")
            lines.append(next(line for line in shown.splitlines() if "PID USER" in line))
            screen.do(Step("q"))
            screen.settle("")
        finally:
            assert screen.close() == 0
    assert lines[0].split() == lines[1].split()

"""lxconform: what it says of programs whose behaviour is known."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness import ROOT, compile_program, environment

from conformance import calls
from conformance.record import CaseRecord, Report
from conformance.results import Result, understand
from conformance.rules import RULES, normalise
from conformance.text import printable, smallest_diff

LXCONFORM = [sys.executable, "-m", "conformance"]
ON_LXRUN = "case $(uname -r) in *-lxrun) here=lxrun;; *) here=native;; esac;"

DAEMON = r"""
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int told[2];
    char byte;
    pipe(told);
    if (fork() == 0) {
        setsid();
        if (fork() != 0)
            _exit(0);
        setpgid(0, 0);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        FILE *file = fopen(argv[1], "w");
        fprintf(file, "%d\n", getpid());
        fclose(file);
        write(told[1], "x", 1);
        for (;;)
            pause();
    }
    read(told[0], &byte, 1);
    if (argc > 2)
        return 0;
    for (;;)
        pause();
}
"""

FORKS = r"""
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    for (int n = 0; n < 2; n++) {
        int pid = fork();
        if (pid == 0) {
            close(open("child", O_CREAT | O_WRONLY, 0600 + n));
            kill(getppid(), 0);
            _exit(n);
        }
        waitpid(pid, 0, 0);
    }
    kill(getpid(), SIGTERM);
}
"""


def lxconform(*argv: object, env: dict[str, str] | None = None, status: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*LXCONFORM, *map(str, argv)], env=environment(env or {}), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def suite_of(folder: Path, commands: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """A file of commands, and the names under which the report has them."""
    lines = {name: f"/bin/sh -c {shlex.quote(script)}" for name, script in commands.items()}
    path = folder / "suite"
    path.write_text("# made by a test\n\n" + "\n".join(lines.values()) + "\n")
    return path, lines


def ran(folder: Path, commands: dict[str, str], *options: object, status: int) -> dict[str, CaseRecord]:
    """The records of a suite, by the names of its commands."""
    path, lines = suite_of(folder, commands)
    lxconform("run", path, "--jobs", 2, "--json", folder / "report.json", *options, status=status)
    report: Report = json.loads((folder / "report.json").read_text())
    found = {case["name"]: case for case in report["cases"]}
    assert list(found) == list(lines.values())
    return {name: found[line] for name, line in lines.items()}


def lines_of(case: CaseRecord) -> dict[str, list[str]]:
    return {part["what"]: part["lines"] for part in case["differences"]}


# ------------------------------------------------------------------------------------ verdicts


SAME = {
    "all that counts": "echo out; echo err >&2; mkdir -m 710 d; echo text >d/f; ln -s f d/l; mkfifo -m 600 p; exit 3",
    "descriptors": "busybox ls /proc/self/fd",
    "a signal": "kill -SEGV $$",
    "a process id": 'echo "pid $$"; echo "$0[$$]: up"',
    "names of its own": "mktemp; mktemp -d; mktemp | tee name",
    "a closed directory": "mkdir d; touch d/f; chmod 0 d",
    "what is left running": "setsid sleep 1000 & echo started",
}
DIFFERENT = {
    "another release": "uname -r; echo end",
    "another status": "[ $here = native ]",
    "another signal": "[ $here = native ] || kill -TERM $$",
    "another file": "echo $here >f; echo 3 >$here; touch m; [ $here = native ] || chmod 600 m",
    "markup": "printf '<script>alert(1)</script>&\\001\\377 %s\\n' $here",
}


def test_verdicts(tmp_path: Path) -> None:
    """Each verdict for what deserves it, and the same story in all reports."""
    commands = {**SAME, **{name: f"{ON_LXRUN} {script}" for name, script in DIFFERENT.items()}}
    commands["chance"] = "od -An -N8 -tx1 /dev/urandom"
    commands["chance and more"] = f"{ON_LXRUN} od -An -N8 -tx1 /dev/urandom; [ $here = native ]"
    html, xml = tmp_path / "report.html", tmp_path / "report.xml"
    cases = ran(tmp_path, commands, "--html", html, "--junit", xml, status=1)

    assert {name: case["verdict"] for name, case in cases.items()} == {
        **dict.fromkeys(SAME, "same"),
        **dict.fromkeys(DIFFERENT, "differs"),
        "chance": "flaky",
        "chance and more": "differs",
    }
    assert cases["all that counts"]["reference"]["ending"] == "exit 3"
    assert cases["a signal"]["reference"]["ending"] == "signal 11 (SIGSEGV)"
    assert set(cases["a process id"]["rules"]) == {"pid", "tag"}
    release = os.uname().release
    differs = {name: lines_of(cases[name]) for name in DIFFERENT}
    assert differs["another release"]["stdout"] == [f"-{release}", "+6.12.0-lxrun", " end"]
    assert list(lines_of(cases["chance and more"])) == ["ending"]
    assert differs["another status"] == {"ending": ["-exit 0", "+exit 1"]}
    assert differs["another signal"] == {"ending": ["-exit 0", "+signal 15 (SIGTERM)"]}
    assert differs["another file"]["files"] == [
        " f:", "-native", "+lxrun", "-lxrun: not there", "+- 0644 lxrun", "-- 0644 m", "+- 0600 m",
        "-- 0644 native", "+native: not there",
    ]  # fmt: skip
    assert differs["markup"]["stdout"] == [
        "-<script>alert(1)</script>&\\x01\\udcff native",
        "+<script>alert(1)</script>&\\x01\\udcff lxrun",
    ]

    page = html.read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script>" not in page
    suite = ElementTree.parse(xml).getroot()[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": str(len(commands)),
        "failures": str(len(DIFFERENT) + 1),
        "errors": "0",
        "skipped": "1",
    }
    assert not (tmp_path / "report.json.state").exists()


def test_results_count_where_they_are_understood(tmp_path: Path) -> None:
    """LTP, TAP and gtest: sub-tests are compared, their words are not."""
    xml = (
        '<testsuites><testsuite><testcase classname="A" name="one" status="run" result="completed"/>'
        '<testcase classname="A" name="two" status="run" result="completed">$two</testcase></testsuite></testsuites>'
    )
    commands = {
        "ltp": "echo \"a01.c:9: TPASS: $here\" >&2; echo 'a01.c:10: TINFO: no result'",
        "ltp fails": 't() { echo "a01.c:$1: $2: word $here"; }; t 9 TPASS; t 9 TPASS; '
        "[ $here = native ] && t 12 TPASS || { t 12 TFAIL; exit 1; }",
        "tap": 'echo TAP version 13; echo 1..2; echo "ok 1 first"; echo "# $here"; echo "ok 2 second # SKIP $here"',
        "tap fails": 'echo 1..2; [ $here = native ] || printf "not "; echo "ok 1 first"; echo "ok 2 - second"',
        "gtest fails": f"[ $here = native ] || two='<failure message=\"no\"/>'; echo '[ OK ]' $here; "
        f'cat >"${{GTEST_OUTPUT#xml:}}" <<END\n{xml}\nEND',
    }
    # One command a line: the here-document becomes a program of its own.
    script = tmp_path / "gtest"
    script.write_text("#!/bin/sh\n" + ON_LXRUN + commands["gtest fails"])
    script.chmod(0o755)
    commands["gtest fails"] = str(script)
    cases = ran(tmp_path, {name: f"{ON_LXRUN} {text}" for name, text in commands.items()}, status=1)

    verdicts = {name: case["verdict"] for name, case in cases.items()}
    assert verdicts == {name: "differs" if "fails" in name else "same" for name in commands}
    assert lines_of(cases["ltp fails"]) == {
        "ending": ["-exit 0", "+exit 1"],
        "results": ["a01.c:12: reference TPASS, lxrun TFAIL (word lxrun)"],
    }
    assert cases["ltp fails"]["reference"]["results"] == {"TPASS": 3}
    assert lines_of(cases["tap fails"]) == {"results": ["1 first: reference ok, lxrun not ok"]}
    assert cases["tap"]["reference"]["results"] == {"ok": 1, "skip": 1}
    assert lines_of(cases["gtest fails"]) == {"results": ["A.two: reference passed, lxrun failed (no)"]}
    assert [case["reference"]["format"] for case in cases.values()] == ["ltp", "ltp", "tap", "tap", "gtest"]


def test_nothing_outlives_its_time(tmp_path: Path) -> None:
    """A run that does not end is killed with all it has started, in whatever session and group."""
    source = tmp_path / "daemon.c"
    source.write_text(DAEMON)
    program = compile_program(source, "-static")
    hangs, leaves = tmp_path / "hangs", tmp_path / "leaves"
    commands = {
        "both hang": f"{program} {hangs}",
        "lxrun hangs": f"{ON_LXRUN} [ $here = native ] || sleep 1000",
        "leaves": f"{ON_LXRUN} {program} {leaves}.$here and-exit",
        "floods": "exec cat /dev/zero",
    }
    cases = ran(tmp_path, commands, "--timeout", 3, status=1)

    assert [case["verdict"] for case in cases.values()] == ["time-out", "time-out", "same", "time-out"]
    guest = cases["lxrun hangs"]["lxrun"]
    assert guest and guest["ending"] == "no end within 3 s"
    assert cases["both hang"]["lxrun"] is None
    for pid in (hangs, tmp_path / "leaves.native"):
        assert not Path("/proc", pid.read_text().strip()).exists()


def test_goes_on_without_a_worker(tmp_path: Path) -> None:
    """A case that kills the process that runs it has its verdict; nothing of it is left, and the others are run."""
    pid = tmp_path / "pid"
    commands = {
        "kills": f"{ON_LXRUN} [ $here = native ] || exit 0; kill -9 $PPID; echo $$ >{pid}; exec sleep 1000",
        **{f"case {number}": f"echo {number}" for number in range(4)},
    }
    cases = ran(tmp_path, commands, "--html", tmp_path / "report.html", status=1)
    assert [case["verdict"] for case in cases.values()] == ["lost", "same", "same", "same", "same"]
    assert cases["kills"]["reference"]["ending"] == "the process that ran it was ended"
    assert not pid.exists() or not Path("/proc", pid.read_text().strip()).exists()


@pytest.mark.parametrize(
    ("module", "code", "text"),
    [
        ("unicorn", "raise ImportError('broken')", "lxrun failed: internal error: "),
        (
            "sitecustomize",
            "import os, lxrun.machine\nlxrun.machine.run = lambda *_: os.kill(os.getpid(), 9)",
            "lxrun failed: lxrun was killed by signal 9 before the guest had ended",
        ),
    ],
    ids=["fails", "dies"],
)
def test_lxrun_crashes(tmp_path: Path, module: str, code: str, text: str) -> None:
    (tmp_path / f"{module}.py").write_text(code)
    path, _ = suite_of(tmp_path, {"case": "exit 0"})
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    lxconform("run", path, "--json", tmp_path / "report.json", env=env, status=1)
    (case,) = json.loads((tmp_path / "report.json").read_text())["cases"]
    assert case["verdict"] == "crashed"
    assert case["lxrun"]["ending"].startswith(text)


def test_what_was_mounted_is_taken_off(tmp_path: Path) -> None:
    """A case that leaves a mount (if it may make one) takes nothing from what is mounted there, and not the next."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    commands = {"mounts": f"mkdir m; mount --bind {kept} m 2>/dev/null; exit 0", "next": "ls"}
    cases = ran(tmp_path, commands, "--jobs", 1, status=1 if os.geteuid() == 0 else 0)
    assert cases["next"]["verdict"] == "same" and (kept / "file").exists()


def test_resumes(tmp_path: Path) -> None:
    """After Ctrl-C what was running is gone, and the same command does only what was not done."""
    log, second = tmp_path / "log", tmp_path / "second"
    pid = tmp_path / "pid"
    second.write_text(f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 1000\n")
    second.chmod(0o755)
    path, lines = suite_of(tmp_path, {"first": f"echo ran >>{log}", "second": str(second), "third": "echo 3"})
    command = ["run", path, "--jobs", 1, "--json", tmp_path / "report.json"]
    process = subprocess.Popen([*LXCONFORM, *map(str, command)], env=environment({}), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not pid.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (
        130, "lxconform: interrupted; the same command goes on where this one stopped\n"
    )  # fmt: skip
    assert not Path("/proc", pid.read_text().strip()).exists()
    state = tmp_path / "report.json.state"
    assert len(state.read_text().splitlines()) == 2
    with state.open("a") as file:
        file.write('{"name": "cut sho')

    second.write_text("#!/bin/sh\nexit 0\n")
    lxconform(*command, status=0)
    report = json.loads((tmp_path / "report.json").read_text())
    assert [case["name"] for case in report["cases"]] == list(lines.values())
    assert report["summary"]["same"] == 3
    assert log.read_text() == "ran\nran\n"  # natively and under lxrun, once
    assert not state.exists()


def test_calls(tmp_path: Path) -> None:
    """With --calls, programs that look the same are told apart by what they ask of the kernel."""
    source = tmp_path / "forks.c"
    source.write_text(FORKS)
    commands = {
        "same": str(compile_program(source, "-static")),
        "reads something else": ON_LXRUN,
    }
    cases = ran(tmp_path, commands, "--calls", status=1)
    assert cases["same"]["verdict"] == "same", cases["same"]
    assert list(lines_of(cases["reads something else"])) == ["calls"]
    lines = lines_of(cases["reads something else"])["calls"]
    assert re.fullmatch(r" process 1, call \d+ of \d+ and \d+:", lines[0])
    assert lines[-2].startswith('-read(3, "') and lines[-1] == '+read(3, "6.12.0-lxrun\\n", 128) = 13'
    rules = json.loads((tmp_path / "report.json").read_text())["rules"]
    assert "pid argument" in [rule["name"] for rule in rules]
    page = lxconform("document", tmp_path / "report.json", status=0).stdout
    assert "| suite | 2 | 2 | 1 | 1 (100.0 %) |" in page and "| `wait4` | 2 |  |" in page
    assert "What is not the same" not in page
    cases = ran(tmp_path, commands, "--call-names", status=0)
    assert cases["same"]["verdict"] == cases["reads something else"]["verdict"] == "same"
    assert cases["same"]["lxrun"] and "wait4" in cases["same"]["lxrun"]["calls"]
    assert not cases["same"]["reference"]["calls"]


NOTES = r"""
[suite]
title = "A suite"
about = "About it."
[[suite.without]]
cases = ".*exit 3.*|.*exit 4.*"
why = "would stop the machine"
[[suite.causes]]
match = "^lxrun$"
cause = "it has another name"
[[suite.causes]]
match = "stdout"
cause = "never reached"
"""


def test_document(tmp_path: Path) -> None:
    """Cases that the notes leave out are not run; the page has the failing ones by cause, and can be made again from
    the digest alone."""
    marks = tmp_path / "marks"
    notes, digest, report = (tmp_path / name for name in ("notes.toml", "digest.json", "report.json"))
    notes.write_text(NOTES)
    path, _ = suite_of(tmp_path, {
        "same": "exit 0",
        "stops": f"echo >>{marks}; exit 3",
        "stops too": f"echo >>{marks}; exit 4",
        "known": f"{ON_LXRUN} echo $here; [ $here = native ]",
        "unknown": f"{ON_LXRUN} [ $here = native ]",
        "odd": f"{ON_LXRUN} echo x$here",
    })  # fmt: skip
    lxconform("run", path, "--notes", notes, "--json", report, status=1)
    assert not marks.exists()
    page = lxconform("document", report, "--notes", notes, "--digest", digest, status=0).stdout
    assert "| A suite | 4 | 1 | 4 | 2 (50.0 %) |" in page and "About it." in page
    assert "| it has another name | 1 | `/bin/sh -c " in page and "never reached" not in page
    assert page.count("ending: -exit 0 +exit 1") == 1 and page.count("stdout: -xnative +xlxrun") == 1
    assert re.search(r"\| would stop the machine \| `[^|]*exit 3'`, `[^|]*exit 4'` \|", page)
    assert lxconform("document", digest, status=0).stdout == page
    (tmp_path / "page").write_text(page)
    assert lxconform("document", digest, "--check", tmp_path / "page", status=0).stdout == ""
    assert "is not what" in lxconform("document", digest, "--check", digest, status=1).stderr
    twice = lxconform("document", digest, report, status=0).stdout
    assert "| suite | 4 | 1 | 4 | 2 (50.0 %) |" in twice and "| A suite |" in twice
    digest.write_text('[{"digest": 0}]')
    assert "not a digest" in lxconform("document", digest, status=125).stderr
    notes.write_text("[suite]\nwithout = [{cases = '('}]\n")
    assert f"{notes}: " in lxconform("run", path, "--notes", notes, status=125).stderr
    notes.write_text(NOTES.replace(".*exit 3.*", ".*"))
    assert "leaves no case" in lxconform("run", path, "--notes", notes, status=125).stderr


def test_compare(tmp_path: Path) -> None:
    """What became worse, better, different, new and gone, from one run to the next."""
    folders = [tmp_path / "a", tmp_path / "b"]
    once = {
        "stays": "echo 1",
        "heals": f"{ON_LXRUN} echo $(cat {tmp_path}/heals.$here)",
        "moves": f"{ON_LXRUN} echo $(cat {tmp_path}/moves.$here)",
    }
    for name, text in (("heals.native", "1"), ("heals.lxrun", "2"), ("moves.native", "1"), ("moves.lxrun", "2")):
        (tmp_path / name).write_text(text)
    script = tmp_path / "breaks"
    script.write_text("#!/bin/sh\nprintf 'TAP version 13\\nok 1 x\\n'\n")
    script.chmod(0o755)
    once["breaks"] = str(script)
    for folder, extra in zip(folders, ("goes", "comes"), strict=True):
        folder.mkdir()
        ran(folder, {**once, extra: f": {extra}"}, status=1)
        (tmp_path / "heals.lxrun").write_text("1")
        (tmp_path / "moves.lxrun").write_text("3")
        breaks = "[ $here = native ] || n='not '; printf \"1..1\\n${n}ok 1 x\\n\"\n"
        script.write_text(f"#!/bin/sh\n{ON_LXRUN} {breaks}")
    before, after = (folder / "report.json" for folder in folders)
    lines = lxconform("compare", before, after, status=1).stdout.replace("/bin/sh -c ", "").splitlines()
    start = lines.index("worse (1):")
    names = {name: suite_of(tmp_path, {name: text})[1][name].removeprefix("/bin/sh -c ") for name, text in once.items()}
    assert lines[:start] == ["       3 -> 3      same", "       2 -> 2      differs", ""]
    assert lines[start:] == [
        "worse (1):", f"  {names['breaks']}: same [1 ok] -> differs [1 not ok]", "",
        "better (1):", f"  {names['heals']}: differs -> same", "",
        "changed (1):", f"  {names['moves']}: differs in another way (stdout)", "",
        "new (1):", "  ': comes': same", "",
        "gone (1):", "  ': goes': same",
    ]  # fmt: skip
    assert lxconform("compare", after, after, status=0).stdout.count("\n") == 2
    for text, says in (("{}", "not a report"), ("[1", "not a JSON document")):
        before.write_text(text)
        assert says in lxconform("compare", before, after, status=125).stderr


def test_against_a_vm(vm_cache: dict[str, str], tmp_path: Path) -> None:
    """The reference is Linux in a VM: its output, endings and files, and what differs from lxrun's."""
    commands = {
        "all that counts": "echo out; echo err >&2; mkdir -m 710 d; echo text >d/f; ln -s f d/l; exit 3",
        "a signal": "kill -SEGV $$",
        "another release": "uname -r; echo end",
        "another file": f"{ON_LXRUN} echo $here >f",
    }
    path = suite_of(tmp_path, {**commands, "no program": ""})[0]
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], "/nowhere/program"]) + "\n")
    command = ["run", path, "--against", "vm", "--jobs", 1, "--json", tmp_path / "report.json"]
    lxconform(*command, env=vm_cache, status=1)
    report: Report = json.loads((tmp_path / "report.json").read_text())
    cases = dict(zip([*commands, "no program"], report["cases"], strict=True))
    verdicts = [case["verdict"] for case in cases.values()]
    assert verdicts == ["same", "same", "differs", "differs", "not-run"]
    assert cases["all that counts"]["reference"]["ending"] == "exit 3"
    assert cases["a signal"]["reference"]["ending"] == "signal 11 (SIGSEGV)"
    release = report["versions"]["Linux"]
    assert report["against"] == "vm" and release != "6.12.0-lxrun"
    assert lines_of(cases["another release"])["stdout"] == [f"-{release}", "+6.12.0-lxrun", " end"]
    assert lines_of(cases["another file"])["files"] == [" f:", "-native", "+lxrun"]

    python = Path(sys.executable).parent
    refused = lxconform(*command, env={**vm_cache, "PATH": str(python)}, status=125).stderr
    assert refused.startswith("lxconform: --against vm: ") and refused.count("\n") == 1
    assert "--calls needs strace" in lxconform(*command, "--calls", env=vm_cache, status=125).stderr


# ------------------------------------------------------------------------------- kinds of suites


def test_directory(tmp_path: Path) -> None:
    """Programs below it, in order; neither data nor shared objects."""
    folder = tmp_path / "suite"
    (folder / "sub").mkdir(parents=True)
    for name, text, mode in (
        ("b", "#!/bin/sh\necho b\n", 0o755),
        ("sub/a", "#!/bin/sh\necho a\n", 0o755),
        ("notes", "not a program", 0o755),
        ("c", "#!/bin/sh\n", 0o644),
        ("lib.so.1", "\x7fELF", 0o755),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    lxconform("run", folder, "--json", tmp_path / "report.json", status=0)
    assert [case["name"] for case in json.loads((tmp_path / "report.json").read_text())["cases"]] == ["b", "sub/a"]


def test_runtest_file(tmp_path: Path) -> None:
    """LTP's form: names, after blanks or tabs commands for a shell, which find the prefix's programs and are never
    process 1."""
    programs = tmp_path / "ltp" / "testcases" / "bin"
    programs.mkdir(parents=True)
    (programs / "x01").write_text('#!/bin/sh\n[ $PPID != 0 ] && echo "x01 1 TPASS : $1 $LTPROOT $DEBUG"\n')
    (programs / "x01").chmod(0o755)
    (tmp_path / "syscalls").write_text("#DESCRIPTION: calls\nx01\t x01 -a\nx02 x01 -b | cat; exit 4\n")
    command = ["run", tmp_path / "syscalls", "--prefix", tmp_path / "ltp", "--env", "DEBUG=1"]
    lxconform(*command, "--json", tmp_path / "report.json", status=0)
    first, second = json.loads((tmp_path / "report.json").read_text())["cases"]
    assert (first["name"], first["reference"]["results"], first["lxrun"]["results"]) == (
        "x01",
        {"TPASS": 1},
        {"TPASS": 1},
    )
    assert (second["name"], second["reference"]["ending"]) == ("x02", "exit 4")


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (None, [], "No such file or directory"),
        ("# nothing\n", [], "no cases in it"),
        ("echo 'open\n", [], ":1: no closing quotation"),
        ("\x7fELF\0", [], "a program; give the directory it is in"),
        ("x01 x01\n", ["--prefix", "/nowhere"], "/nowhere/testcases/bin: no such directory"),
        ("true\n", ["--html", "/nowhere/report"], "/nowhere: no such directory"),
    ],
)
def test_one_clear_line(tmp_path: Path, text: str | None, options: list[str], says: str) -> None:
    path = tmp_path / "suite"
    if text is not None:
        path.write_text(text)
    done = lxconform("run", path, *options, status=125)
    assert done.stderr.startswith("lxconform: ") and says in done.stderr and done.stderr.count("\n") == 1


def test_wrong_command_lines(tmp_path: Path) -> None:
    for argv in ([], ["run"], ["run", tmp_path, "--jobs", "0"], ["run", tmp_path, "--blank", "("]):
        assert "Traceback" not in lxconform(*argv, status=2).stderr


# --------------------------------------------------------------------------------------- pieces


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("pid 71, PID=8, ppid: 9", "pid <pid>, PID=<pid>, ppid: <pid>"),
        ("child process 12 exited", "child process <pid> exited"),
        ("cron[88]: up", "cron[<pid>]: up"),
        ("/proc/123/maps", "/proc/<pid>/maps"),
        ("at 0x7ffd12345678, flags 0x80000", "at <address>, flags 0x80000"),
        ("2026-11-26 10:11:12.5 1790000000", "<date> <clock> <epoch>"),
        ("took 1.25 s, 3ms, 4.5 usec", "took <duration>, <duration>, <duration>"),
        ("/tmp/aBcDe1 /tmp/x/y.Zb3dEf", "/tmp/<random> /tmp/x/y.<random>"),
        ("status 3, 4 files, 5 s, 0x12, /tmp/folder", "status 3, 4 files, 5 s, 0x12, /tmp/folder"),
    ],
)
def test_rules(text: str, plain: str) -> None:
    assert normalise(text, RULES, set()) == plain


def test_formats() -> None:
    old = understand("abort01    1  TFAIL  :  abort.c:9: unexpected\n", None)
    assert old and old.items == (Result("abort01 1", "TFAIL", "abort.c:9: unexpected"),)
    nested = understand("TAP version 13\n1..1\n# ok 1 inner.a\n# not ok 2 inner.b # SKIP no root\nok 1 outer\n", None)
    assert nested and nested.items == (
        Result("- 1 inner.a", "ok", ""),
        Result("- 2 inner.b", "skip", "no root"),
        Result("1 outer", "ok", ""),
    )
    assert nested.good()
    bail = understand("1..2\nok 1 a\nBail out! no memory\n", None)
    assert bail and not bail.good()
    assert understand("ok, that went well\n", None) is None
    assert understand("", '<!DOCTYPE x [<!ENTITY e "e">]><testsuites/>') is None


def test_calls_of_each_process() -> None:
    """strace names the process in every line, lxrun only while there are several."""
    native = """\
70  getpid()                          = 70
70  clone(child_stack=NULL, flags=SIGCHLD) = 71
71  getppid( <unfinished ...>
70  wait4(-1,  <unfinished ...>
71  <... getppid resumed>)            = 70
71  kill(70, SIGCONT)                 = 0
71  +++ exited with 0 +++
70  <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 71
70  write(1, "1 = 2", 5)              = 5
70  +++ exited with 0 +++
"""
    guest = """\
getpid() = 1
clone(child_stack=NULL, flags=SIGCHLD) = 2
wait4(-1,  <unfinished ...>
[pid     2] getppid() = 1
[pid     2] kill(1, SIGCONT) = 0
[pid     2] +++ exited with 0 +++
<... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 2
write(1, "1 = 2", 5) = 5
+++ exited with 0 +++
"""
    expected = [
        [
            "getpid() = <pid>",
            "clone(child_stack=NULL, flags=SIGCHLD) = <pid>",
            "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = <pid>",
            'write(1, "1 = 2", 5) = 5',
            "+++ exited with 0 +++",
        ],
        ["getppid() = <pid>", "kill(<pid>, SIGCONT) = 0", "+++ exited with 0 +++"],
    ]
    assert calls.read(native, "/w") == calls.read(guest, "/w") == expected
    assert calls.first_difference(expected, expected) == []
    assert calls.first_difference(expected, expected[:1]) == ["-2 processes", "+1 processes"]
    assert calls.first_difference([["a", "b", "c", "d"]], [["a", "b", "c"]]) == [
        " process 1, call 4 of 4 and 3:", " b", " c", "-d"
    ]  # fmt: skip


def test_smallest_diff() -> None:
    many = "".join(f"{n}\n" for n in range(1000))
    assert smallest_diff(many, many.replace("500\n", "five\n")) == [" 499", "-500", "+five", " 501"]
    assert smallest_diff("a\n", "a") == ["-a", "+a (no newline at the end)"]
    assert smallest_diff("", "a\n") == ["+a"]
    assert len(smallest_diff(many, many.replace("\n", "!\n"))) == 41
    assert printable("\x1b[1m\udc80é\n") == "\\x1b[1m\\udc80é\n"

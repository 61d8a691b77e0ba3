"""Real programs of many processes and threads: languages' runtimes, build systems, stress-ng."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import BUILD, Pair, require, run

GUESTS = Path(__file__).parent / "guests"


def built(name: str, source: str, *command: str) -> Path:
    """The file `name` that `command` makes of `source`; {out} and {in} stand for both."""
    out = BUILD / name
    out.parent.mkdir(parents=True, exist_ok=True)
    origin = GUESTS / source
    if not out.exists() or out.stat().st_mtime < origin.stat().st_mtime:
        cache = str(BUILD / "go-cache")
        env = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": cache, "GO111MODULE": "off", "GOFLAGS": ""}
        subprocess.run([word.format(out=out, **{"in": origin}) for word in command], env=env, check=True)
    return out


def test_go(pair: Pair) -> None:
    require("golang-go", "go")
    pair([str(built("goroutines", "goroutines.go", "go", "build", "-o", "{out}", "{in}"))], status=0)


def java() -> str:
    """The program itself: what is in PATH is a link into a directory that it must be found in."""
    require("default-jdk-headless", "java", "javac")
    return os.path.realpath(str(shutil.which("java")))


def test_java_version(pair: Pair) -> None:
    pair([java(), "-XX:-UsePerfData", "-version"], status=0)


def test_java_threads_and_exceptions(pair: Pair) -> None:
    program = java()
    classes = built("java/Threads.class", "Threads.java", "javac", "-d", str(BUILD / "java"), "{in}").parent
    # Two Java machines that run at once as process 1 would quarrel about one file in /tmp.
    pair([program, "-XX:-UsePerfData", "-cp", str(classes), "Threads"], status=0)


def test_node(pair: Pair) -> None:
    require("nodejs", "node")
    pair(["node", str(GUESTS / "workers.js")], status=0)


def test_rust_compiler_and_its_program(pair: Pair, tmp_path: Path) -> None:
    """The compiler runs under lxrun; what it has made must say what a natively made one says."""
    require("rustc", "rustc")
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    compiler = os.path.join(sysroot, "bin", "rustc")  # PATH may hold a script that chooses among several
    pair([compiler, "-o", "program", str(GUESTS / "threads.rs")], status=0, files=False)
    binary = tmp_path / "program"
    subprocess.run([compiler, "-o", str(binary), str(GUESTS / "threads.rs")], check=True)
    pair([str(binary)], status=0)


def test_python(pair: Pair) -> None:
    pair(["/usr/bin/python3", str(GUESTS / "concurrent_python.py")], status=5)


PERL = r"""
$| = 1; $SIG{CHLD} = sub { $ended++ }; $SIG{USR1} = sub { print "usr1\n" };
pipe(my $r, my $w); my @kids;
for my $n (1 .. 5) {
    my $pid = fork // die;
    if (!$pid) { close $r; syswrite $w, "child $n\n"; exit $n }
    push @kids, $pid;
}
close $w; print sort <$r>; my $sum = 0;
for (@kids) { waitpid $_, 0; $sum += $? >> 8 }
print "$sum\n"; kill USR1 => $$; print `echo from a shell`;
open(my $p, "-|", "sort", "-r", "/etc/shells") or die; my @l = <$p>; close $p; print scalar(@l) > 0, "\n";
eval { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; select undef, undef, undef, 10 }; print $@;
exit 3
"""


def test_perl(pair: Pair) -> None:
    require("perl", "perl")
    pair(["perl", "-e", PERL], status=3)


def c_project(work: Path) -> None:
    """Some fifty files with a Makefile and a CMakeLists.txt."""
    count = 50
    (work / "src").mkdir()
    names = range(count)
    (work / "src" / "all.h").write_text("".join(f"int f{n}(int);\n" for n in names))
    for n in names:
        (work / "src" / f"f{n}.c").write_text(f'#include "all.h"\nint f{n}(int x) {{ return x * {n + 3} + {n}; }}\n')
    calls = "".join(f"s ^= f{n}(s); " for n in names)
    (work / "src" / "main.c").write_text(
        f'#include <stdio.h>\n#include "all.h"\nint main(void) {{ int s = 1; {calls} printf("%d\\n", s); return 0; }}\n'
    )
    (work / "Makefile").write_text(
        "OBJS = $(patsubst src/%.c,%.o,$(sort $(wildcard src/*.c)))\n"
        "prog: $(OBJS)\n\t@$(CC) -o $@ $^ && echo linked\n%.o: src/%.c src/all.h\n\t@$(CC) -O1 -c -o $@ $<\n"
    )
    (work / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(fifty C)\nfile(GLOB SOURCES src/*.c)\n"
        "add_executable(prog ${SOURCES})\nenable_testing()\nadd_test(NAME run COMMAND prog)\n"
    )


def test_make(pair: Pair) -> None:
    require("make", "make", "gcc")
    pair(
        ["/bin/sh", "-ec", "make -j4; ./prog; make -j4; touch src/f7.c; make -j4; ./prog"], prepare=c_project, status=0
    )


def test_cmake_and_ninja(pair: Pair) -> None:
    require("cmake", "cmake", "ctest")
    require("ninja-build", "ninja")
    script = (
        "cmake -G Ninja -S . -B b > log; ninja -C b > log; ./b/prog; cd b; ctest > ../log; tail -n 4 ../log | head -n 1"
    )
    pair(["/bin/sh", "-ec", script], prepare=c_project, status=0, files=False)


# stress-ng: every stressor of these classes, one worker for a second.

CLASSES = ("os", "pipe", "scheduler", "interrupt", "memory")
NO_DEVICE = "needs hardware or a kernel feature that lxrun does not show"
NO_INTERNET = "needs sockets of the Internet or netlink families"
PATHOLOGICAL = "stress-ng itself runs it only with --pathological"
NOT_ROOT = "stress-ng itself does not run it as root"
EXCLUDED = {
    **dict.fromkeys(
        ("binderfs", "cpu-online", "efivar", "idle-page", "klog", "kvm", "memhotplug", "pci", "tun", "swap"), NO_DEVICE
    ),
    **dict.fromkeys(
        "dccp epoll icmp-flood netlink-proc netlink-task ping-sock rawpkt rawsock rawudp sock sockabuse sockdiag sockfd"
        " sockmany udp udp-flood".split(),
        NO_INTERNET,
    ),
    **dict.fromkeys(("bind-mount", "mlockmany", "oom-pipe", "sysinval", "watchdog"), PATHOLOGICAL),
    **dict.fromkeys(("bad-ioctl", "exec", "spawn"), NOT_ROOT),
    **dict.fromkeys(("ramfs", "umount"), "needs mount(2)"),
    "loop": "needs loop devices",
    "quota": "needs a block device with quotas",
    "handle": "needs name_to_handle_at",
    "x86syscall": "knows Intel's processors only",
    "apparmor": "needs AppArmor",
    "dnotify": "needs F_NOTIFY",
    "fanotify": "needs fanotify",
    "fiemap": "FS_IOC_FIEMAP is not passed on to the host's file systems",
    "verity": "fs-verity is not passed on to the host's file systems",
    "key": "needs key rings",
    "landlock": "needs Landlock",
    "usersyscall": "needs PR_SET_SYSCALL_USER_DISPATCH",
    "userfaultfd": "needs userfaultfd",
    "plugin": "runs code that has to be given",
    **dict.fromkeys(("forkheavy", "resources"), "fills the disk on which the other tests run"),
    "reboot": "reboot(2) is refused before its arguments are looked at",
    "tmpfs": "looks for a writable tmpfs among the mounts of the host's file system",
}


def stressors() -> list[str]:
    """Those stress-ng has, or none where it is not installed: the test below then fails, once."""
    names: set[str] = set()
    if shutil.which("stress-ng"):
        for kind in CLASSES:
            done = subprocess.run(["stress-ng", "--class", f"{kind}?"], capture_output=True, text=True, check=False)
            names.update((done.stdout + done.stderr).partition("stressors:")[2].split())
    return sorted(names - EXCLUDED.keys()) or ["null"]


@pytest.mark.parametrize("stressor", stressors())
def test_stress_ng(stressor: str, tmp_path: Path) -> None:
    """Once more if it fails: some stressors lose a race against their second on a busy machine, natively too."""
    require("stress-ng", "stress-ng")
    command = ["stress-ng", f"--{stressor}", "1", "-t", "1s", "--verify"]
    if stressor == "pty":
        command += ["--pty-max", "64"]  # else a second may pass before it has opened all it wants to try requests on
    for _ in range(2):
        done = run(command, tmp_path, under_lxrun=True, options=["--memory", "1g"])
        text = (done.stdout + done.stderr).decode(errors="replace")
        if done.status == 0 and "successful run" in text and not re.search("skipp|fail:|error:", text):
            return
    pytest.fail(text, pytrace=False)

"""--strace and --stats with a VM: what its agent tells is printed as emulation prints it."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import defaultdict
from pathlib import Path

import pexpect
import pytest
from harness import LXRUN, compile_program

from vm.trace import Thread, Trace

CALLS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static void on_signal(int signo) { (void)signo; }
int main(void) {
    char data[100], name[] = "a name that is longer than what is printed of a string";
    struct stat state;
    struct timespec moment = {0, 5000};
    struct iovec pieces[] = {{name, 6}, {"two", 3}, {0, 0}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    int status, pair[2];
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (write(fd, name, sizeof name) < 0 || writev(fd, pieces, 3) < 0)
        return 1;
    lseek(fd, 0, SEEK_SET);
    if (read(fd, data, sizeof data) < 0)
        return 1;
    fstat(fd, &state);
    fchmod(fd, 0600);
    close(fd);
    close(fd);
    stat("file", &state);
    open("/nothing/here", O_RDONLY);
    open((char *)8, O_RDONLY);
    mkdir("directory", 0700);
    rename("file", "directory/file");
    unlink("directory/file");
    rmdir("directory");
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    sendmsg(pair[0], &message, MSG_NOSIGNAL);
    recv(pair[1], data, sizeof data, 0);
    nanosleep(&moment, NULL);
    signal(SIGUSR1, on_signal);
    kill(getpid(), SIGUSR1);
    pid_t pid = fork();
    if (!pid) {
        execl("/proc/self/exe", "none", "an argument", NULL);
        _exit(9);
    }
    waitpid(pid, &status, 0);
    return status >> 8;
}
"""
AGAIN = "int main(int argc, char **argv)"


def run(environment: dict[str, str], cwd: Path, *words: str | Path) -> tuple[int, str, str]:
    done = subprocess.run([*LXRUN, *words], env=environment, capture_output=True, timeout=300, cwd=cwd, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def program(tmp_path: Path) -> Path:
    source = tmp_path / "calls.c"
    source.write_text(CALLS.replace("int main(void) {", AGAIN + " {\n    (void)argv; if (argc > 1) return 6;"))
    return compile_program(source, "-static")


def by_process(text: str) -> dict[int, list[str]]:
    """The lines of each process, in order of their numbers, with interrupted ones joined and all that differs from
    run to run replaced."""
    found: dict[int, list[str]] = defaultdict(list)
    open_lines: dict[int, str] = {}
    called = re.search(r"^set_tid_address\(.*= (\d+)$", text, re.MULTILINE)
    assert called
    pid = first = int(called[1])
    for line in text.splitlines():
        if told := re.match(r"\[pid +(\d+)\] (.*)", line):
            pid, line = int(told[1]), told[2]
        else:
            pid = first  # the only one there is
        if line.endswith(" <unfinished ...>"):
            open_lines[pid] = line.removesuffix(" <unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", line):
            line = open_lines.pop(pid) + resumed[1]
        line = re.sub(r"\) += ", ") = ", line)
        line = re.sub(r"0x[0-9a-f]{5,}", "ADDRESS", line)
        line = re.sub(r'getrandom\("[^"]*"', "getrandom(RANDOM", line)
        line = re.sub(r"^(set_tid_address|getpid|clone|wait4)\b(.*) = \d+$", r"\1\2 = PID", line)
        line = re.sub(r"^(wait4|kill)\(\d+", r"\1(PID", line)
        found[pid].append(re.sub(r"si_pid=\d+", "si_pid=PID", line))
    assert not open_lines
    return dict(enumerate(lines for _, lines in sorted(found.items())))


def test_the_lines_are_those_of_emulation(vm_cache: dict[str, str], tmp_path: Path, program: Path) -> None:
    traces = []
    for backend in ("emulate", "vm"):
        trace = tmp_path / backend
        assert run(vm_cache, tmp_path, "--backend", backend, "--strace", "-o", trace, program) == (6, "", "")
        traces.append(by_process(trace.read_text()))
    assert traces[1] == traces[0]
    lines = traces[1][0] + traces[1][1]
    assert any(re.search(r"\b0x8, O_RDONLY\) = -1 EFAULT \(Bad address\)$", line) for line in lines)
    assert "+++ exited with 6 +++" in lines


def table(text: str) -> set[tuple[str, ...]]:
    """Calls, errors and name of each row."""
    rows = re.findall(r"^ +[\d.]+ +[\d.]+ +[\d.]+ +(\d+) +(\d*) +(\w+)$", text, re.MULTILINE)
    assert rows
    return set(rows)


def test_the_counts_are_those_of_emulation(vm_cache: dict[str, str], tmp_path: Path, program: Path) -> None:
    status, out, emulated = run(vm_cache, tmp_path, "--backend", "emulate", "--stats", program)
    assert (status, out) == (6, "")
    status, out, counted = run(vm_cache, tmp_path, "--backend", "vm", "--stats", program)
    assert (status, out) == (6, "")
    assert table(counted) == table(emulated)
    assert re.findall(r"^ +signals  (\d+)$", counted, re.MULTILINE) == ["1"]
    assert re.findall(r"^ *(\w[\w ]*?)  ", counted, re.MULTILINE)[-4:] == [
        "wall time", "signals", "page faults", "peak memory",
    ]  # fmt: skip


def test_filters_and_both_at_once(vm_cache: dict[str, str], tmp_path: Path) -> None:
    script = "echo one; echo two; kill -USR1 $$"
    words = ["--backend", "vm", "--strace=trace=write,kill", "-s", "2", "--stats", "busybox", "sh", "-c", script]
    status, out, error = run(vm_cache, tmp_path, *words)
    assert (status, out) == (128 + signal.SIGUSR1, "one\ntwo\n")
    for text in ('write(1, "on"..., 4)', 'write(1, "tw"..., 4)', "+++ killed by SIGUSR1 +++\n", "User defined signal"):
        assert text in error
    assert "read(" not in error
    assert ("2", "", "write") in table(error)
    assert re.search(r"^kill\((\d+), SIGUSR1\) += 0\n--- SIGUSR1 \{.* si_code=SI_USER, si_pid=\1,", error, re.MULTILINE)


def test_a_stop_threads_and_a_program_of_a_thread(vm_cache: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "threads.c"
    source.write_text(THREADS)
    trace = tmp_path / "trace"
    program = compile_program(source, "-static", "-pthread")
    words = ["--backend", "vm", "--strace=trace=write,execve", "-o", trace, program]
    assert run(vm_cache, tmp_path, *words) == (5, "after\n", "")
    text = trace.read_text()
    assert text.count("--- stopped by SIGSTOP ---\n") == 1
    assert re.search(r'^(\[pid +\d+\] )?execve\("/proc/self/exe", \["again"\]', text, re.MULTILINE)
    assert re.search(r'write\(1, "after\\n", 6\) += 6\n', text)


THREADS = r"""
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void *other(void *nothing) {
    (void)nothing;
    execl("/proc/self/exe", "again", NULL);
    return NULL;
}
int main(int argc, char **argv) {
    int status;
    (void)argc;
    if (argv[0][0] == 'a')
        return write(1, "after\n", 6) == 6 ? 5 : 1;
    pid_t child = fork();
    if (!child) {
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    pause();
}
"""


def test_at_a_terminal(vm_cache: dict[str, str]) -> None:
    words = ["--backend", "vm", "--strace=trace=kill,wait4", "busybox", "sh", "-c", "stty -a; kill -0 $$"]
    child = pexpect.spawn(LXRUN[0], [*LXRUN[1:], *words], env=vm_cache, timeout=120, encoding="utf-8")
    child.expect(r"kill\(\d+, 0\) += 0\r\n\+\+\+ exited with 0 \+\+\+\r\n")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


def test_what_is_handed_over_is_traced_in_the_vm(vm_cache: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "maps.c"
    source.write_text(
        "#include <sys/syscall.h>\n#include <unistd.h>\nint main(void) { return syscall(SYS_bpf, 99, 0L, 0) == -1; }\n"
    )
    program, trace = tmp_path / "maps", tmp_path / "trace"
    program.write_bytes(compile_program(source, "-static").read_bytes())
    program.chmod(0o755)
    line = "lxrun: maps: bpf(2) cannot be emulated: it runs in a VM\n"
    assert run(vm_cache, tmp_path, "--strace=trace=bpf", "-o", trace, program) == (1, "", line)
    # With the VM's own error, and nothing of what was given up
    refused = re.compile(r"bpf\(0x63, 0, 0\) += -1 E(INVAL|PERM) .*\n\+\+\+ exited with 1 \+\+\+\n")
    assert refused.fullmatch(trace.read_text())
    status, out, error = run(vm_cache, tmp_path, "--strace=trace=bpf", "--stats", program)
    assert (status, out) == (1, "")
    given_up, rest = error.split(line)
    assert given_up == "bpf(0x63, 0, 0 <unfinished ...>\n"
    assert refused.match(rest)
    assert error.count("total\n") == 1


def test_a_watcher_that_fails_holds_nothing_up() -> None:
    sent: list[tuple[bytes, bytes]] = []

    class Broken:
        def signal(self, thread: Thread, signo: int, info: bytes) -> None:
            raise OSError("no room")

    trace = Trace(Broken(), True, lambda kind, payload: sent.append((kind, payload)))  # type: ignore[arg-type]
    head = (7).to_bytes(4, "little")
    for kind, body in ((b"s", (10).to_bytes(4, "little")), (b"p", (19).to_bytes(4, "little")), (b"e", bytes(64))):
        trace.put(b"T", head + kind + bytes(8) + body)
    with pytest.raises(OSError, match="no room"):
        trace.finish()
    assert [(kind, payload[4:6]) for kind, payload in sent] == [(b"G", b"\x0a\0"), (b"G", b"\0\1"), (b"G", b"\0\0")]

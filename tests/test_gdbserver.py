"""`lxrun --gdb`: Debian's gdb debugs a guest from outside, and sees what it sees of a native program."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from harness import LXRUN, compile_program, environment, require

SOURCE = Path(__file__).parent / "guests" / "debugged.c"

# A session that differs from the same natively in nothing but its beginning
SESSIONS = {
    "count": """
        break count
        continue
        backtrace
        info args
        next
        step
        print i
        tbreak 58 if i == 3
        continue
        print counter
        set variable counter = 1000
        print counter
        finish
        print $xmm1.uint128 = 99
        print $xmm1.uint128
        print $eflags
        print/x $mxcsr
        print $fctrl
        print $ftag
        print/x $cs
        delete
        continue
    """,
    "crash": """
        continue
        backtrace
        info locals
        frame 1
        print first
        print *first.next
        print $_siginfo.si_signo
        print $_siginfo._sifields._sigfault.si_addr
        continue
    """,
    "threads": """
        break work
        continue
        backtrace 1
        next
        next
        next
        print sums
        thread 1
        frame function threads
        info locals
        delete
        continue
    """,
    "signal": """
        handle SIGUSR1 stop print
        break handler
        continue
        continue
        backtrace -1
        stepi
        print signo
        continue
    """,
    "family": """
        break count
        continue
    """,
}


@pytest.fixture
def program() -> Path:
    require("gdb", "/usr/bin/gdb")
    return compile_program(SOURCE, "-g", "-O0", "-pthread")


def gdb(commands: list[str], program: Path) -> str:
    """What gdb prints, with what depends on the run taken out."""
    words = ["set pagination off", "set width 0", "set print thread-events off", "set print inferior-events off"]
    words += ["set confirm off", *commands]
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", *(word for line in words for word in ("-ex", line)), str(program)],
        env=environment({}), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    text = done.stdout + done.stderr
    for pattern, to in (
        (r"0x[0-9a-f]{5,}|\b\d{15}\b", "ADDRESS"),
        (r"expected=\d+", "expected=TASK"),
        (r"Inferior 1 \(.*?\)", "Inferior 1"),
        (r"Thread ADDRESS \(LWP \d+\)|Thread \d+(?=[\])])", "Thread"),
        (r"(?m)^(Reading|warning: File transfers).*\n", ""),
        (r"(?m)^\[(Thread debugging|Switching|New Thread).*\n|^Using host libthread_db.*\n", ""),
        (r"(?m)^(debugged|count|crash|threads|signal|family) begins\n", ""),
    ):
        text = re.sub(pattern, to, text)
    return text


class Guest:
    """An lxrun that waits for gdb."""

    def __init__(self, work: Path, *command: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [*LXRUN, "--gdb", str(port), *command],
            cwd=work, env=environment({}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.fullmatch(r"lxrun: waiting for gdb: target remote 127\.0\.0\.1:(\d+)\n", line)
        assert found, line
        self.port = int(found[1])

    def end(self) -> tuple[int, str, str]:
        """Status and output."""
        stdout, stderr = self.process.communicate(timeout=60)
        return self.process.returncode, stdout, stderr


@pytest.mark.parametrize("what", SESSIONS)
def test_session(tmp_path: Path, program: Path, what: str) -> None:
    script = [line.strip() for line in SESSIONS[what].strip().splitlines()]
    native = gdb([f"set args {what} > output", f"cd {tmp_path}", "starti", *script], program)
    guest = Guest(tmp_path, str(program), what)
    seen = gdb([f"target remote 127.0.0.1:{guest.port}", *script], program)
    # Behind where the program has been started
    native, seen = (re.split(r"(?m)^ADDRESS in _start .*\n", text)[1] for text in (native, seen))
    assert seen == native
    status, stdout, stderr = guest.end()
    assert stdout == (tmp_path / "output").read_text()
    code = re.search(r"exited with code (\d+)", native)
    expected = 139 if what == "crash" else int(code[1], 8) if code else 0
    assert (status, stderr) == (expected, "Segmentation fault\n" if what == "crash" else "")


def test_files_come_from_the_guest(tmp_path: Path, program: Path) -> None:
    """gdb that was told nothing reads program and libraries through the connection."""
    guest = Guest(tmp_path, str(program), "count")
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", "-ex", f"target remote 127.0.0.1:{guest.port}", "-ex", "break count",
         "-ex", "continue", "-ex", "backtrace", "-ex", "info sharedlibrary", "-ex", "info auxv", "-ex", "detach"],
        env=environment({}), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert f"Reading symbols from target:{program}" in done.stdout
    assert re.search(r"#1 .* in main \(argc=2, argv=0x[0-9a-f]+\)", done.stdout)
    assert "target:/lib/x86_64-linux-gnu/libc.so.6" in done.stdout and "AT_PHDR" in done.stdout
    assert guest.end() == (9, "count begins\n0 0 0, 9\n", "")


def test_watch(tmp_path: Path, program: Path) -> None:
    guest = Guest(tmp_path, str(program), "count")
    script = ["break count", "continue", "watch counter", "continue", "continue", "continue", "delete", "continue"]
    said = gdb([f"target remote 127.0.0.1:{guest.port}", *script], program)
    assert re.findall(r"(?:Old|New) value = (\d+)", said) == ["0", "1", "1", "4", "4", "9"]
    assert guest.end()[0] == 9


@pytest.fixture
def interactive(program: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["gdb", "-q", "-nx", "-ex", "set confirm off", "-ex", "set pagination off", str(program)],
        env=environment({}), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


def until(stream: IO[str] | None, text: str) -> str:
    """What comes up to `text`."""
    assert stream is not None
    seen = ""
    while text not in seen:
        character = stream.read(1)
        assert character, f"{text!r} did not come: {seen}"
        seen += character
    return seen


def asleep(pid: int) -> None:
    """Wait until a process has used no processor time for a while."""
    used, since = -1, 0
    while since < 10:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = int(fields[11]) + int(fields[12])
        since = since + 1 if now == used and fields[0] == "S" else 0
        used = now
        time.sleep(0.05)


@pytest.mark.parametrize(("what", "where"), [("loop", "main (argc=2"), ("wait", "pause")])
def test_interrupt(tmp_path: Path, interactive: subprocess.Popen[str], program: Path, what: str, where: str) -> None:
    """Ctrl-C stops a program that computes, and one that sleeps in a call; then it goes on alone, or is killed."""
    guest = Guest(tmp_path, str(program), what)
    assert interactive.stdin is not None
    line = {"loop": 105, "wait": 100}[what]
    interactive.stdin.write(f"target remote 127.0.0.1:{guest.port}\ntbreak {line}\ncontinue\ncontinue\n")
    interactive.stdin.flush()
    until(interactive.stdout, "Temporary breakpoint 1,")
    until(interactive.stdout, "Continuing.\n")
    # gdb says so before it lets the program go, and takes a Ctrl-C that comes earlier for one to itself.
    asleep(interactive.pid)
    if what == "wait":
        asleep(guest.process.pid)
    os.kill(interactive.pid, signal.SIGINT)
    until(interactive.stdout, "Program received signal SIGINT, Interrupt.")
    last = "kill" if what == "loop" else "detach"
    interactive.stdin.write(f"backtrace\ncall count(4)\nprint counter > 0\n{last}\nquit\n")
    interactive.stdin.flush()
    said = interactive.communicate(timeout=60)[0]
    assert where in said and " = 1\n" in said
    if what == "loop":
        assert guest.end()[0] == 137
    else:
        guest.process.terminate()  # which reaches the guest
        assert guest.end()[0] == 143


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*LXRUN, "--gdb", str(port), "/bin/true"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 125
    assert done.stderr.startswith(f"lxrun: --gdb {port}: Address already in use")


def test_nonsense(tmp_path: Path) -> None:
    """What is no gdb gets errors or the end of the connection, and the program runs."""
    guest = Guest(tmp_path, "/bin/echo", "unharmed")
    with socket.create_connection(("127.0.0.1", guest.port)) as client:
        client.settimeout(30)

        def ask(packet: bytes) -> bytes:
            client.sendall(b"$%b#%02x" % (packet, sum(packet) & 0xFF))
            answer = b""
            while not re.search(rb"#..$", answer):
                answer += client.recv(4096)
            return answer.lstrip(b"+")[1:-3]

        for packet, answer in (
            (b"m", b"E01"), (b"mzz,4", b"E01"), (b"m0,4", b"E01"), (b"Mffffffffffffffff,1:00", b"E01"),
            (b"pffff", b"E01"), (b"P0=zz", b"E01"), (b"P0=00", b"E01"),
            (b"G00", b"OK"), (b"Z0,0,1", b"E01"), (b"Z9,0,1", b""),
            (b"T99", b"E01"),
            (b"vFile:open:2f6574632f706173737764,1,0", b"F-1,1e"), (b"vFile:open:2f", b"F-1,16"),
            (b"vFile:open:2f,0,0", b"F-1,d"),
            (b"vFile:pread:7,10,0", b"F-1,9"), (b"vFile:unlink:2f", b""),
            (b"vFile:open:2f6e6f6e65,0,0", b"F-1,2"), (b"qXfer:features:read:other.xml:0,10", b"E00"),
            (b"qXfer:features", b"E01"),
            (b"vMustReplyEmpty", b""), (b"vCont;x", b"E01"), (b"vCont;C", b"E01"), (b"?", None),
        ):  # fmt: skip
            said = ask(packet)
            assert answer is None or said == answer, packet
        client.sendall(b"$" + b"x" * 100_000)
    status, stdout, _ = guest.end()
    assert (status, stdout) == (0, "unharmed\n")

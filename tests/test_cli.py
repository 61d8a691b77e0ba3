"""The command: its options, its exit statuses, what it says, and how it behaves in a shell."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pexpect
import pytest
from harness import LXRUN, ROOT, compile_program, require

from lxrun import __version__, diagnostics, options
from lxrun.completion import script

BUSYBOX = "/bin/busybox"


def lxrun(*argv: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Run the command with these words."""
    settings: dict[str, object] = {"capture_output": True, "text": True, "timeout": 60, **kwargs}
    if "stdin" not in settings and "input" not in settings:
        settings["stdin"] = subprocess.DEVNULL
    own = {name: os.environ[name] for name in ("PATH", "LXRUN_HOST") if name in os.environ}
    settings["env"] = {**own, "PYTHONPATH": str(ROOT), **settings.get("env", {})}  # type: ignore[dict-item]
    return subprocess.run([*LXRUN, *argv], **settings)  # type: ignore[call-overload, no-any-return]


def own_line(done: subprocess.CompletedProcess[str]) -> str:
    """lxrun's one line on standard error, without its name."""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("lxrun: "), done.stderr
    return done.stderr.removeprefix("lxrun: ").rstrip("\n")


@pytest.fixture(autouse=True)
def busybox() -> None:
    require("busybox-static", BUSYBOX)


# ------------------------------------------------------------------------------------- options


def test_options_end_at_the_program() -> None:
    parsed = options.parse(["--stats", "-w", "/src", "ls", "--help", "-v", "--stats"])
    assert (parsed.stats, parsed.cwd, parsed.program, parsed.args) == (True, "/src", "ls", ["--help", "-v", "--stats"])
    assert not parsed.help


@pytest.mark.parametrize(
    ("words", "attribute", "value"),
    [
        (["--rootfs=/x"], "rootfs", "/x"),
        (["--rootfs", "/x"], "rootfs", "/x"),
        (["-w/src"], "cwd", "/src"),
        (["--strace"], "strace", ""),
        (["--strace=trace=file"], "strace", "trace=file"),
        (["--strace", "-s", "80"], "string_size", 80),
        (["--strace", "-ofile"], "output", "file"),
        (["--memory", "512m"], "memory", 512 << 20),
        (["--memory=2g"], "memory", 2 << 30),
        (["--memory=64MiB"], "memory", 64 << 20),
        (["--memory", "4096"], "memory", 4096),
        (["-E", "A=b=c", "-EX="], "env", [("A", "b=c"), ("X", "")]),
        (["--clear-env"], "clear_env", True),
        (["--"], "program", "ls"),
    ],
)
def test_option_values(words: list[str], attribute: str, value: object) -> None:
    parsed = options.parse([*words, "ls"])
    assert getattr(parsed, attribute) == value
    assert parsed.program == "ls"


@pytest.mark.parametrize(
    ("text", "host", "guest", "read_only"),
    [
        ("/a:/b", "/a", "/b", False),
        ("/a:/b:ro", "/a", "/b", True),
        ("a:/b:rw", "a", "/b", False),
        ("C:\\x:/b", "C:\\x", "/b", False),
    ],
)
def test_volumes(text: str, host: str, guest: str, read_only: bool) -> None:
    volume = options.parse_volume(text)
    assert (volume.host, volume.guest, volume.read_only) == (host, guest, read_only)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "no program"),
        (["--strase", "ls"], "did you mean --strace"),
        (["-q", "ls"], "unknown option -q"),
        (["--rootfs"], "needs a value"),
        (["--rootfs=", "ls"], "empty"),
        (["--stats=yes", "ls"], "takes no value"),
        (["-o", "file", "ls"], "--strace was not given"),
        (["--memory", "much", "ls"], "not a size"),
        (["--memory", "0", "ls"], "not a size"),
        (["-v", "/a", "ls"], "HOST:GUEST"),
        (["-v", "/a:b", "ls"], "must start with /"),
        (["-E", "=x", "ls"], "no name"),
        (["--engine", "kvm", "ls"], "not one of unicorn"),
        (["--completion", "csh"], "bash, zsh, fish"),
    ],
)
def test_wrong_options(words: list[str], complaint: str) -> None:
    with pytest.raises(options.UsageError, match=re.escape(complaint)):
        options.parse(words)


def test_wrong_option_is_one_line_and_status_125() -> None:
    done = lxrun("--no-such-option", "ls")
    assert done.returncode == 125
    assert "--no-such-option" in own_line(done)


def test_help_names_every_option_and_its_examples_parse() -> None:
    text = lxrun("--help").stdout
    for option in options.TABLE:
        assert (option.long in text) == bool(option.group)
    for command, _ in options.EXAMPLES:
        assert command in text
        options.parse(command.split()[1:])
    assert max(map(len, text.splitlines())) <= 100


def test_the_manual_has_every_option_in_the_same_words() -> None:
    manual = (ROOT / "docs" / "command.md").read_text()
    for option in options.TABLE:
        if option.group:
            assert f"| `{option.spelling()}` | {option.help} |" in manual


def test_version() -> None:
    assert lxrun("--version").stdout == f"lxrun {__version__}\n"
    assert lxrun("-V").stdout == f"lxrun {__version__}\n"


def test_help_into_a_closed_pipe_and_a_full_disk() -> None:
    for redirection, status in ((">&-", 125), ("| true", 0), ("> /dev/full", 125)):
        shell = f"{' '.join(LXRUN)} --help {redirection}"
        done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, (redirection, done.stderr)
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr


# ---------------------------------------------------------------------------------- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_understood_by_their_shells(shell: str) -> None:
    text = script(shell)
    for option in options.TABLE:
        assert (option.long.removeprefix("--") in text) == bool(option.group)
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("lxrun --st", {"--strace", "--stats"}, {"--rootfs"}),
        ("lxrun --engine ", {"unicorn"}, {"--strace"}),
        ("lxrun --completion f", {"fish"}, {"bash"}),
        ("lxrun --stats --rootfs / --me", {"--memory"}, set()),
        ("lxrun ls --st", set(), {"--strace"}),
    ],
)
def test_bash_completes(line: str, offered: set[str], not_offered: set[str]) -> None:
    words = line.split(" ")
    harness = f"""
{script("bash")}
compopt() {{ :; }}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
_lxrun
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", harness], capture_output=True, text=True, timeout=60)
    replies = set(done.stdout.split())
    assert offered <= replies
    assert not not_offered & replies


# --------------------------------------------------------------------------------- exit status


@pytest.mark.parametrize("status", [0, 1, 2, 77, 125, 126, 127, 128, 255])
def test_the_guests_status_is_ours(status: int) -> None:
    done = lxrun(BUSYBOX, "sh", "-c", f"exit {status}")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SEGV", "Segmentation fault"),
        ("ABRT", "Aborted"),
        ("KILL", "Killed"),
        ("TERM", "Terminated"),
        ("HUP", "Hangup"),
        ("FPE", "Floating point exception"),
        ("SYS", "Bad system call"),
        ("INT", ""),
        ("PIPE", ""),
    ],
)
def test_killed_by_a_signal(name: str, message: str) -> None:
    done = lxrun(BUSYBOX, "sh", "-c", f"kill -{name} $$")
    assert done.returncode == 128 + getattr(signal, f"SIG{name}")
    assert done.stderr == (f"{message}\n" if message else "")


def test_a_closed_pipe_ends_the_guest_without_a_word() -> None:
    shell = f"{' '.join(LXRUN)} {BUSYBOX} yes | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("y\n141\n", "")


def test_signal_messages_are_the_c_librarys() -> None:
    for number in set(signal.Signals) - {signal.SIGINT, signal.SIGPIPE, signal.SIGRTMIN, signal.SIGRTMAX}:
        if number not in (signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH, signal.SIGURG) and number < 32:
            message = diagnostics.signal_message(number)
            if not message.startswith("Signal "):  # job control's four never end a job
                assert message == signal.strsignal(number)


def test_not_found() -> None:
    done = lxrun("no-such-program-anywhere", env={"PATH": "/bin:/usr/bin"})
    assert done.returncode == 127
    assert "no-such-program-anywhere: not found" in own_line(done) and "/bin:/usr/bin" in own_line(done)
    done = lxrun("/no/such/program")
    assert (done.returncode, "/no/such/program: no such file" in own_line(done)) == (127, True)


def elf(**changes: int) -> bytes:
    """The smallest ELF header that is right, with some fields changed."""
    fields = {"kind": 2, "machine": 62, "phnum": 0, "phentsize": 56, "bits": 2, "order": 1, "phoff": 64} | changes
    ident = b"\x7fELF" + bytes([fields["bits"], fields["order"], 1]) + bytes(9)
    endian = "<" if fields["order"] == 1 else ">"
    return ident + struct.pack(
        endian + "HHIQQQIHHHHHH",
        *(fields["kind"], fields["machine"], 1, 0x400000, fields["phoff"], 0, 0),
        *(64, fields["phentsize"], fields["phnum"], 64, 0, 0),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"echo hello\n", "text without a #! line"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not an ELF file"),
        (b"MZ\x90\0", "Windows"),
        (b"\xcf\xfa\xed\xfe\7\0\0\1", "macOS"),
        (b"\x7fELF", "truncated"),
        (elf()[:40], "truncated"),
        (elf(machine=183), "AArch64"),
        (elf(machine=243), "RISC-V"),
        (elf(machine=3, bits=1), "i386"),
        (elf(machine=22, order=2), "S390"),
        (elf(kind=1), "object file"),
        (elf(kind=4), "core dump"),
        (elf(phnum=0), "without program headers"),
        (elf(phnum=3), "truncated ELF file: program headers"),
        (elf(phnum=3, phoff=1 << 60), "beyond its end"),
        (elf(phnum=1, phentsize=8), "headers of 8 bytes"),
        (b"#!/no/such/interpreter -x\n", "/no/such/interpreter is not in"),
        (b"#!/bin/sh\r\n", "carriage return"),
        (b"#!\n", "without an interpreter"),
    ],
)
def test_found_but_cannot_be_run(tmp_path: Path, content: bytes, reason: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o755)
    done = lxrun(str(program))
    assert done.returncode == 126, done.stderr
    assert own_line(done).startswith(f"{program}: ")
    assert reason in own_line(done)


def test_truncated_programs(tmp_path: Path) -> None:
    whole = Path(BUSYBOX).read_bytes()
    program = tmp_path / "program"
    for size in (3, 20, 63, 64, 200, 5000, len(whole) // 2, len(whole) * 9 // 10):
        program.write_bytes(whole[:size])
        program.chmod(0o755)
        done = lxrun(str(program), "true")
        assert done.returncode == 126, (size, done.stderr)
        assert "ELF" in own_line(done) or size < 4
        assert "truncated" in own_line(done) or size < 4


def test_not_executable(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy(BUSYBOX, program)
    program.chmod(0o644)
    done = lxrun(str(program))
    assert (done.returncode, "no permission" in own_line(done)) == (126, True)
    done = lxrun("program", env={"PATH": str(tmp_path)})
    assert (done.returncode, "no permission" in own_line(done)) == (126, True)


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    done = lxrun(str(tmp_path))
    assert (done.returncode, "directory" in own_line(done)) == (126, True)


def test_missing_dynamic_loader(tmp_path: Path) -> None:
    source = tmp_path / "dynamic.c"
    source.write_text("int main(void) { return 0; }\n")
    program = tmp_path / "dynamic"
    subprocess.run(["gcc", "-o", program, source, "-Wl,--dynamic-linker=/no/such/loader.so"], check=True)
    done = lxrun(str(program))
    assert done.returncode == 126
    assert "/no/such/loader.so" in own_line(done)


def test_an_internal_error_is_one_line_and_a_traceback_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import lxrun.machine\n"
        "def run(options, descriptors, fallback):\n    raise RuntimeError('first\\nsecond')\n"
        "lxrun.machine.run = run\n"
    )
    path = f"{tmp_path}:{ROOT}"
    done = lxrun(BUSYBOX, "true", env={"PYTHONPATH": path})
    assert done.returncode == 125
    assert "internal error: RuntimeError: first second" in own_line(done)
    done = lxrun(BUSYBOX, "true", env={"PYTHONPATH": path, "LXRUN_DEBUG": "1"})
    assert done.returncode == 125
    assert "Traceback" in done.stderr


# ----------------------------------------------------------------------------- the guest's world


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A small root filesystem: busybox and some of its names."""
    root = tmp_path / "root"
    for folder in ("bin", "etc", "tmp", "home/user", "opt/tools"):
        (root / folder).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for name in ("sh", "cat", "ls", "pwd", "env", "echo", "readlink"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "opt/tools/tool").symlink_to("/bin/busybox")
    (root / "etc/name").write_text("guest\n")
    return root


def test_rootfs_is_all_there_is(rootfs: Path) -> None:
    done = lxrun("--rootfs", str(rootfs), "/bin/ls", "/")
    assert {"bin", "etc", "home", "opt", "tmp"} <= set(done.stdout.split())
    assert "usr" not in done.stdout.split()
    assert lxrun("--rootfs", str(rootfs), "/bin/cat", "/etc/name").stdout == "guest\n"
    assert lxrun("--rootfs", str(rootfs), "/bin/cat", "/../../etc/name").stdout == "guest\n"


def test_path_is_searched_inside_the_root(rootfs: Path) -> None:
    done = lxrun("--rootfs", str(rootfs), "-E", "PATH=/nowhere:/opt/tools:/bin", "tool", "echo", "found")
    assert done.returncode == 127 or done.stdout == "found\n"
    done = lxrun("--rootfs", str(rootfs), "-E", "PATH=/nowhere:/bin", "echo", "found")
    assert (done.returncode, done.stdout) == (0, "found\n")
    done = lxrun("--rootfs", str(rootfs), "--clear-env", "echo", "found")
    assert (done.returncode, done.stdout) == (0, "found\n")
    done = lxrun("--rootfs", str(rootfs), "-E", "PATH=/usr/bin", "python3")
    assert done.returncode == 127
    assert str(rootfs) in own_line(done)


def test_rootfs_that_is_none() -> None:
    done = lxrun("--rootfs", "/no/such/root", "ls")
    assert (done.returncode, "/no/such/root" in own_line(done)) == (125, True)
    done = lxrun("--rootfs", "/etc/passwd", "ls")
    assert (done.returncode, "not a directory" in own_line(done)) == (125, True)


def test_environment() -> None:
    done = lxrun("-E", "A=1", "-E", "B=x=y", BUSYBOX, "env", env={"HOST": "here", "LXRUN_DEBUG": "1"})
    lines = done.stdout.splitlines()
    assert {"A=1", "B=x=y", "HOST=here"} <= set(lines)
    assert not any(line.startswith("LXRUN_") for line in lines)
    done = lxrun(
        "--clear-env", "-E", "A=1", "-E", "A=2", "-E", "HOST", "-E", "NOBODY", BUSYBOX, "env", env={"HOST": "here"}
    )
    assert sorted(done.stdout.splitlines()) == ["A=2", "HOST=here"]


def test_working_directory(rootfs: Path) -> None:
    assert lxrun(BUSYBOX, "pwd", cwd=rootfs).stdout == f"{rootfs}\n"
    assert lxrun("-w", "/etc", BUSYBOX, "pwd").stdout == "/etc\n"
    root = ("--rootfs", str(rootfs))
    assert lxrun(*root, "/bin/pwd", cwd=rootfs / "home/user").stdout == "/home/user\n"
    assert lxrun(*root, "/bin/pwd", cwd=rootfs.parent).stdout == "/\n"
    assert lxrun(*root, "-w", "home", "/bin/pwd", cwd="/").stdout == "/home\n"
    done = lxrun(*root, "-w", "/nowhere", "/bin/pwd")
    assert (done.returncode, "/nowhere" in own_line(done)) == (125, True)


def test_a_relative_program(tmp_path: Path) -> None:
    shutil.copy(BUSYBOX, tmp_path / "busybox")
    assert lxrun("./busybox", "echo", "hi", cwd=tmp_path).stdout == "hi\n"


def test_volumes_are_seen_and_may_be_read_only(rootfs: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("from the host\n")
    root = ("--rootfs", str(rootfs))
    assert lxrun(*root, "-v", f"{shared}:/mnt", "/bin/cat", "/mnt/file").stdout == "from the host\n"
    done = lxrun(*root, "-v", f"{shared}:/mnt", "/bin/sh", "-c", "echo new > /mnt/new")
    assert (done.returncode, (shared / "new").read_text()) == (0, "new\n")
    done = lxrun(*root, "-v", f"{shared}:/mnt:ro", "/bin/sh", "-c", "echo other > /mnt/other")
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr
    assert not (shared / "other").exists()
    done = lxrun(*root, "-v", f"{shared / 'file'}:/etc/one", "/bin/cat", "/etc/one")
    assert done.stdout == "from the host\n"


def test_volumes_that_cannot_be(rootfs: Path, tmp_path: Path) -> None:
    root = ("--rootfs", str(rootfs))
    done = lxrun(*root, "-v", "/no/such/host/path:/mnt", "/bin/ls")
    assert (done.returncode, "/no/such/host/path" in own_line(done)) == (125, True)
    done = lxrun(*root, "-v", f"{tmp_path}:/no/such/parent", "/bin/ls")
    assert (done.returncode, "/no/such" in own_line(done)) == (125, True)


def test_inherited_descriptors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("third\n")
    with open(tmp_path / "file") as file:
        done = lxrun(BUSYBOX, "sh", "-c", f"cat <&{file.fileno()}", pass_fds=[file.fileno()])
    # busybox's sh runs cat by itself; without fork that is not yet possible everywhere
    assert done.stdout == "third\n" or "fork" in done.stderr
    with open(tmp_path / "file") as file:
        done = lxrun(BUSYBOX, "sh", "-c", f"read line <&{file.fileno()}; echo $line", pass_fds=[file.fileno()])
    assert done.stdout == "third\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_closed_in_the_guest(closed: str, tmp_path: Path) -> None:
    probe = tmp_path / "probe.c"
    probe.write_text(
        "#include <fcntl.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        "int main(void) { int bits = 0; for (int i = 0; i < 3; i++) bits |= (fcntl(i, F_GETFD) >= 0) << i;"
        " _exit(bits); }\n"
    )
    program = compile_program(probe, "-static")
    native = subprocess.run(["sh", "-c", f"{program} {closed}"], timeout=60).returncode
    guest = subprocess.run(["sh", "-c", f"{' '.join(LXRUN)} {program} {closed}"], cwd=ROOT, timeout=60).returncode
    assert guest == native


def test_memory_limit() -> None:
    # awk doubles a string until there is no room
    done = lxrun("--memory", "64m", BUSYBOX, "awk", 'BEGIN { s = "x"; while (1) s = s s }')
    assert done.returncode != 0
    assert "out of memory" in done.stderr.lower()


@pytest.mark.parametrize(("size", "status"), [("1", 125), ("64k", 126)])
def test_too_little_memory_to_start(size: str, status: int) -> None:
    done = lxrun("--memory", size, BUSYBOX, "true")
    assert (done.returncode, "memory" in own_line(done)) == (status, True)


# --------------------------------------------------------------------------------- in a terminal


def spawn(*argv: str) -> pexpect.spawn:
    """The command in a terminal of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PS1": "% "}
    return pexpect.spawn(LXRUN[0], [*LXRUN[1:], *argv], env=env, timeout=30, encoding="utf-8")


def test_interrupt_ends_the_guest_without_a_word() -> None:
    child = spawn(BUSYBOX, "sh", "-c", "echo ready; while :; do :; done")
    child.expect("ready")
    child.sendintr()
    rest = child.read()
    child.close()
    assert child.exitstatus == 130, rest
    assert "Traceback" not in rest and "KeyboardInterrupt" not in rest


def test_the_guest_may_handle_the_interrupt() -> None:
    child = spawn(BUSYBOX, "sh", "-c", "trap 'echo caught; exit 7' INT; echo ready; while :; do :; done")
    child.expect("ready")
    child.sendintr()
    child.expect("caught")
    child.read()
    child.close()
    assert child.exitstatus == 7


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
def test_interrupt_at_any_moment_of_the_start(delay: float, loaded: bool) -> None:
    """Whenever it comes, the command dies as an interrupted command does; once lxrun's own code runs (`loaded`),
    with nothing printed."""
    process = subprocess.Popen(
        [*LXRUN, BUSYBOX, "sleep", "20"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while loaded and "libunicorn" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)
    time.sleep(delay + 0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    if loaded:
        assert output == ""
        assert process.returncode in (130, -signal.SIGINT)
    else:
        # the interpreter's own start is not ours to guard, but no guest must be left running
        assert process.returncode != 0


def test_the_terminal_is_put_back_after_a_crash(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    source = tmp_path / "raw.c"
    source.write_text(
        "#include <signal.h>\n#include <termios.h>\n"
        "int main(void) { struct termios t; tcgetattr(0, &t); t.c_lflag &= ~(ECHO | ICANON | ISIG);"
        " tcsetattr(0, TCSANOW, &t); raise(SIGSEGV); }\n"
    )
    program = compile_program(source, "-static")
    done = subprocess.run(
        [*LXRUN, str(program)], cwd=ROOT, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, timeout=60
    )
    assert done.returncode == 128 + signal.SIGSEGV
    assert termios.tcgetattr(terminal) == before
    os.close(controller)
    os.close(terminal)


def test_python_m_does_not_import_the_guests_files(tmp_path: Path) -> None:
    """The directory a user happens to be in must not be searched for Python modules."""
    for name in ("options.py", "kernel.py", "struct.py", "ctypes.py", "vfs.py"):
        (tmp_path / name).write_text("raise SystemExit('a file of the guest was imported')\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "lxrun"), BUSYBOX, "echo", "ok"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")

"""`lxrun.run`, the public Python API."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from harness import ROOT, require

import lxrun

BUSYBOX = "/bin/busybox"


@pytest.fixture(autouse=True)
def busybox() -> None:
    require("busybox-static", BUSYBOX)


def sh(script: str, **kwargs: object) -> lxrun.Completed:
    return lxrun.run([BUSYBOX, "sh", "-c", script], timeout=60, **kwargs)  # type: ignore[arg-type]


def test_strace(tmp_path: Path) -> None:
    sh("exit 3", strace=tmp_path / "calls")
    assert (tmp_path / "calls").read_text().splitlines()[-1] == "+++ exited with 3 +++"


def test_status_and_output() -> None:
    done = sh("echo out; echo err >&2; exit 3", capture_output=True)
    assert done == lxrun.Completed(3, b"out\n", b"err\n")


def test_killed_guests_have_negative_codes_and_leave_no_message() -> None:
    assert sh("kill -SEGV $$", capture_output=True) == lxrun.Completed(-11, b"", b"")
    assert sh("kill -KILL $$", capture_output=True) == lxrun.Completed(-9, b"", b"")


def test_statuses_of_our_own_are_the_guests_when_it_chose_them() -> None:
    for status in (125, 126, 127, 139):
        assert sh(f"exit {status}").returncode == status


def test_input() -> None:
    assert lxrun.run([BUSYBOX, "cat"], input=b"a\0b" * 100_000, stdout=lxrun.PIPE).stdout == b"a\0b" * 100_000
    assert lxrun.run([BUSYBOX, "cat"], stdin=lxrun.DEVNULL, stdout=lxrun.PIPE).stdout == b""


def test_streams(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        done = sh("echo one; echo two >&2", stdout=out, stderr=lxrun.STDOUT)
    assert (done.stdout, done.stderr) == (None, None)
    assert (tmp_path / "out").read_bytes() == b"one\ntwo\n"
    with open(tmp_path / "out", "rb") as source:
        assert lxrun.run([BUSYBOX, "cat"], stdin=source.fileno(), stdout=lxrun.PIPE).stdout == b"one\ntwo\n"


def test_environment_and_working_directory(tmp_path: Path) -> None:
    done = lxrun.run([BUSYBOX, "env"], env={"A": "x=y", "B": ""}, stdout=lxrun.PIPE)
    assert done.stdout is not None
    assert sorted(done.stdout.splitlines()) == [b"A=x=y", b"B="]
    assert lxrun.run([BUSYBOX, "env"], env={}, stdout=lxrun.PIPE).stdout == b""
    assert lxrun.run([BUSYBOX, "pwd"], cwd=tmp_path, stdout=lxrun.PIPE).stdout == os.fsencode(tmp_path) + b"\n"


def test_rootfs_and_volumes(tmp_path: Path) -> None:
    root, data = tmp_path / "root", tmp_path / "data"
    (root / "bin").mkdir(parents=True)
    data.mkdir()
    (root / "bin/busybox").write_bytes(Path(BUSYBOX).read_bytes())
    (root / "bin/busybox").chmod(0o755)
    (data / "file").write_text("shared\n")
    done = lxrun.run(
        ["busybox", "cat", "/data/file"],
        rootfs=root,
        volumes=[f"{data}:/data:ro"],
        env={"PATH": "/bin"},
        stdout=lxrun.PIPE,
    )
    assert done == lxrun.Completed(0, b"shared\n", None)


def test_arguments_pass_unchanged() -> None:
    words = ["--help", "-v", "", "a b", "*", "$HOME", b"\xff\xfe".decode(errors="surrogateescape"), "--", "\n"]
    done = lxrun.run([BUSYBOX, "printf", "%s|", *words], stdout=lxrun.PIPE)
    assert done.stdout == b"".join(os.fsencode(word) + b"|" for word in words)
    assert lxrun.run([b"/bin/busybox", Path("echo"), "x"], stdout=lxrun.PIPE).stdout == b"x\n"


def test_failures_are_exceptions(tmp_path: Path) -> None:
    with pytest.raises(lxrun.NotFound, match="not found") as missing:
        lxrun.run(["no-such-program"], capture_output=True)
    assert missing.value.status == 127
    with pytest.raises(FileNotFoundError):
        lxrun.run(["/no/such/program"])
    bad = tmp_path / "bad"
    bad.write_bytes(b"\x7fELF")
    bad.chmod(0o755)
    with pytest.raises(lxrun.CannotRun, match="truncated") as wrong:
        lxrun.run([bad])
    assert wrong.value.status == 126
    with pytest.raises(lxrun.RunError, match="no/such/root") as internal:
        lxrun.run(["ls"], rootfs="/no/such/root")
    assert internal.value.status == 125


def test_check() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        lxrun.run([BUSYBOX, "sh", "-c", "echo x; exit 4"], check=True, capture_output=True)
    assert (failed.value.returncode, failed.value.stdout) == (4, b"x\n")
    assert lxrun.run([BUSYBOX, "true"], check=True).returncode == 0


def test_timeout_kills_the_guest() -> None:
    with pytest.raises(lxrun.TimeoutExpired) as expired:
        lxrun.run([BUSYBOX, "sh", "-c", "echo started; while :; do :; done"], timeout=3, capture_output=True)
    assert expired.value.stdout == b"started\n"


@pytest.mark.parametrize(
    "kwargs",
    [
        {"argv": []},
        {"argv": ["a\0b"]},
        {"env": {"": "x"}},
        {"env": {"A=B": "x"}},
        {"input": b"", "stdin": subprocess.PIPE},
        {"capture_output": True, "stdout": subprocess.PIPE},
    ],
)
def test_nonsense_is_refused(kwargs: dict[str, object]) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError):
        lxrun.run(**{"argv": [BUSYBOX, "true"], **kwargs})  # type: ignore[arg-type]
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_runs_side_by_side() -> None:
    outputs: dict[int, bytes | None] = {}

    def one(number: int) -> None:
        outputs[number] = lxrun.run([BUSYBOX, "echo", str(number)], stdout=lxrun.PIPE, timeout=60).stdout

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == {number: b"%d\n" % number for number in range(4)}


def test_the_callers_process_is_left_alone() -> None:
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    mask, here = os.umask(0o027), os.getcwd()
    os.umask(mask)
    sh("umask 0; cd /; trap '' INT")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before
    assert os.umask(mask) == mask
    assert os.getcwd() == here


BECOME = """
import os, sys, lxrun
lxrun.preload()
lxrun.preload()
report, end = os.pipe()
os.set_inheritable(0, True)
child = os.fork()
if not child:
    os.closerange(3, end)
    lxrun.become(sys.argv[1:], report=end, env={"PATH": "/usr/bin:/bin", "A": "b c"}, cwd="/tmp")
os.close(end)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
try:
    print("ended:", lxrun.returncode(os.read(report, 1000).decode(), status))
except lxrun.RunError as error:
    print("failed:", type(error).__name__, error)
"""


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c", "grep -E '^(Sig|Shd)' /proc/self/status; ls /proc/self/fd; env; pwd; umask; ulimit -n; exit 3"],
        ["sh", "-c", "kill -9 $$"],
        ["no-such-program"],
        ["/etc/passwd"],
    ],
)
def test_become_is_as_run(command: list[str]) -> None:
    """A forked process that has become a guest is what the command would have been."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", BECOME, *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    try:
        run = lxrun.run(
            command, env={"PATH": "/usr/bin:/bin", "A": "b c"}, cwd="/tmp", stdin=lxrun.DEVNULL, capture_output=True
        )
        assert run.stdout is not None
        expected = f"{run.stdout.decode()}ended: {run.returncode}\n"
    except lxrun.RunError as error:
        expected = f"failed: {type(error).__name__} {error}\n"
    assert (done.stdout, done.stderr) == (expected, "")


def test_importing_lxrun_loads_nothing_of_the_machine() -> None:
    code = "import sys, lxrun; print([m for m in ('subprocess', 'unicorn', 'kernel', 'lxrun.api') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_public_names_are_all_there() -> None:
    for name in lxrun.__all__:
        assert getattr(lxrun, name) is not None
    assert set(lxrun.__all__) <= set(dir(lxrun))
    with pytest.raises(AttributeError):
        lxrun.no_such_name  # noqa: B018

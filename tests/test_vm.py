"""The VM backend: the same command, run by real Linux in QEMU.

A boot takes some seconds, so each looks at as much as it can.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import lzma
import os
import shlex
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from harness import LXRUN, compile_program, require
from test_hostsignals import Guest

from vm import VmError, cpio, debian, guest, kernels, qemu, session, warm
from vm.images import Images, initramfs, prepare
from vm.protocol import Order, Stream, Volume, failure

BUSYBOX = "/bin/busybox"


def run(
    environment: dict[str, str], *words: str, input: bytes = b"", cwd: Path | None = None
) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        [*LXRUN, "--backend", "vm", *words], env=environment, input=input, capture_output=True, timeout=300, cwd=cwd
    )
    return done.returncode, done.stdout, done.stderr


def own_line(error: bytes) -> str:
    assert error.startswith(b"lxrun: ") and error.count(b"\n") == 1, error
    return error.decode().removeprefix("lxrun: ").rstrip("\n")


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until_gone(pid: int) -> None:
    while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.05)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root with nothing but busybox: no /proc, /dev or /sys."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "busybox").write_bytes(Path(BUSYBOX).read_bytes())
    (root / "bin" / "busybox").chmod(0o755)
    return root


# ------------------------------------------------------------------------------------- programs


def test_a_program_has_all_it_was_given(vm_cache: dict[str, str], tmp_path: Path) -> None:
    everything = bytes(range(256)) * 2048  # more than any pipe or port holds
    script = """
        cat
        printf 'two\\0\\377' >&2
        { uname -s; pwd; umask; echo "$A,$0,$1"; id -u; id -g; ls /dev/lxrun /proc/1/exe 2>/dev/null; } > facts
        exit 37
    """
    words = ["--clear-env", "-E", "A=b c", BUSYBOX, "sh", "-c", script, "zero", "an argument\n"]
    status, out, error = run(vm_cache, *words, input=everything, cwd=tmp_path)
    assert (status, error) == (37, b"two\0\xff")
    assert hashlib.sha256(out).digest() == hashlib.sha256(everything).digest()
    umask = os.umask(0)
    os.umask(umask)
    facts = f"Linux\n{tmp_path}\n{umask:04o}\nb c,zero,an argument\n\n{os.getuid()}\n{os.getgid()}\n"
    written = (tmp_path / "facts").read_text()
    assert written.removesuffix("/proc/1/exe\n") == facts
    state = (tmp_path / "facts").stat()
    assert (state.st_uid, stat.S_IMODE(state.st_mode)) == (os.getuid(), 0o666 & ~umask)


def test_a_signal_that_kills(vm_cache: dict[str, str]) -> None:
    status, out, error = run(vm_cache, BUSYBOX, "sh", "-c", "echo before; kill -SEGV $$")
    assert (status, out, error) == (128 + signal.SIGSEGV, b"before\n", b"Segmentation fault\n")


def test_signals_are_forwarded_and_output_that_nobody_reads_ends(vm_cache: dict[str, str]) -> None:
    script = "trap 'echo caught; kill $!' TERM; yes >&2 & echo ready; { wait; wait $!; } 2> /dev/null; echo $?"
    with subprocess.Popen(
        [*LXRUN, "--backend", "vm", BUSYBOX, "sh", "-c", script],
        env=vm_cache,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        assert process.stderr.readline() == b"y\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"caught\n"
        process.stderr.close()
        assert process.stdout.read() in (b"143\n", b"141\n")
    assert process.returncode == 0


def test_streams_that_are_closed_or_null(vm_cache: dict[str, str], tmp_path: Path) -> None:
    script = "ls -l /proc/self/fd | grep -c null; test -e /proc/self/fd/2; echo $?"
    words = [*LXRUN, "--backend", "vm", BUSYBOX, "sh", "-c", f"{{ {script}; }} > {tmp_path}/facts"]
    command = ["/bin/sh", "-c", 'exec "$@" < /dev/null > /dev/null 2>&-', "sh", *words]
    assert subprocess.run(command, env=vm_cache, timeout=120).returncode == 0
    assert (tmp_path / "facts").read_text() == "1\n1\n"


def test_a_signal_ends_a_program_whose_output_nobody_takes(vm_cache: dict[str, str]) -> None:
    words = [*LXRUN, "--backend", "vm", BUSYBOX, "yes"]
    with subprocess.Popen(words, env=vm_cache, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"y\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


def test_another_root_is_all_there_is(vm_cache: dict[str, str], rootfs: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "file").write_text("seen\n")
    script = "cd /; echo *; cat /mnt/file; echo x > /mnt/new; echo y > new; ls /proc/self/fd/0 /dev/null /sys/kernel/mm"
    words = ["--rootfs", str(rootfs), "-v", f"{shown}:/mnt:ro", "busybox", "sh", "-c", script]
    status, out, error = run(vm_cache, *words)
    assert out.splitlines()[:2] == [b"bin dev mnt proc sys", b"seen"]
    assert (status, error) == (0, b"sh: can't create /mnt/new: Read-only file system\n")
    assert (rootfs / "new").read_text() == "y\n"
    assert sorted(path.name for path in rootfs.iterdir()) == ["bin", "new"]  # as it was, but for the file


def test_what_cannot_be_run(vm_cache: dict[str, str], rootfs: Path) -> None:
    (rootfs / "script").write_text("#!/none\n")
    (rootfs / "script").chmod(0o755)
    own = ["--rootfs", str(rootfs)]
    status, _, error = run(vm_cache, *own, "/nothing")
    assert (status, own_line(error)) == (
        127,
        f"/nothing: no such file in {rootfs}; the path is the guest's, seen from its root",
    )
    status, _, error = run(vm_cache, *own, "/script")
    assert (status, own_line(error)) == (126, f"/script: its interpreter /none is not in {rootfs}")


def test_killed_with_nothing_left_running(vm_cache: dict[str, str]) -> None:
    process = subprocess.Popen([*LXRUN, "--backend", "vm", BUSYBOX, "true"], env=vm_cache)
    while not (started := children(process.pid)) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert started
    for pid in started:
        wait_until_gone(pid)


def test_a_machine_whose_lxrun_is_gone_ends_itself(vm_cache: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the host has no way to end QEMU with lxrun."""
    monkeypatch.setenv("XDG_CACHE_HOME", vm_cache["XDG_CACHE_HOME"])
    images = prepare(kernels.choose(None))
    one = guest.Guest(qemu.Machine(images, "/", accelerator=qemu.probe(images)))

    async def boot_and_leave() -> int:
        await one.boot(session.BOOT_LIMIT)
        assert one.process is not None
        one.writer.close()
        try:
            return await asyncio.to_thread(one.process.wait, 60)
        finally:
            await one.stop()

    assert asyncio.run(boot_and_leave()) == 0


def test_a_program_cannot_halt_the_machine(vm_cache: dict[str, str]) -> None:
    status, out, error = run(vm_cache, BUSYBOX, "sh", "-c", "busybox poweroff -f; echo $?")
    assert (status, out) == (0, b"1\n") and b"Operation not permitted" in error


def test_at_a_terminal(vm_cache: dict[str, str]) -> None:
    script = """
        stty size; for fd in 0 1 2; do test -t $fd && echo terminal; done
        read line; echo "read $line"
        trap 'echo interrupted; exit 4' INT
        echo ready; until [ "$(stty size)" = "40 100" ]; do :; done
        echo resized; while :; do sleep 1; done
    """
    words = ["--backend", "vm", BUSYBOX, "sh", "-c", script]
    child = pexpect.spawn(
        LXRUN[0], [*LXRUN[1:], *words], env=vm_cache, dimensions=(33, 77), timeout=120, encoding="utf-8"
    )
    child.expect("33 77\r\n" + "terminal\r\n" * 3)
    child.sendline("a line")
    child.expect("a line\r\nread a line\r\n")
    child.expect("ready\r\n")
    child.setwinsize(40, 100)
    child.expect("resized\r\n")
    child.sendintr()
    child.expect("interrupted\r\n")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 4


@pytest.fixture(params=[[], ["--strace", "-o", "/dev/null"]], ids=["plain", "traced"])
def told(vm_cache: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Callable[..., Guest]]:
    """Starts tests/guests/told.c in a VM, and ends it."""
    assert run(vm_cache, BUSYBOX, "true")[0] == 0  # from here on a machine is resumed, and ready within Guest's time
    cache = {"XDG_CACHE_HOME": vm_cache["XDG_CACHE_HOME"]}
    guests: list[Guest] = []

    def begin(*args: str, on_terminal: bool = False) -> Guest:
        prefix = [*LXRUN, "--backend", "vm", *request.param]
        setup = None if on_terminal else lambda: os.setpgid(0, 0)
        guests.append(Guest(prefix, *args, setup=setup, on_terminal=on_terminal, env=cache))
        return guests[-1]

    yield begin
    for each in guests:
        each.close()


def test_stopped_and_continued(told: Callable[..., Guest]) -> None:
    guest = told("pause", "15", "18")
    guest.started()
    for _ in range(2):
        guest.kill(signal.SIGTSTP)
        assert guest.wait(os.WUNTRACED) == f"stopped {int(signal.SIGTSTP)}"
        guest.kill(signal.SIGCONT)
        guest.expect("signal 18")
    guest.kill(signal.SIGTERM)
    guest.expect("signal 15")
    assert guest.wait() == "exit 7"


def test_a_program_that_stops_itself(told: Callable[..., Guest]) -> None:
    guest = told("stop", "18")
    guest.started()
    assert guest.wait(os.WUNTRACED) == f"stopped {int(signal.SIGSTOP)}"
    guest.kill(signal.SIGCONT)
    guest.expect("signal 18")
    guest.expect("continued")
    assert guest.wait() == "exit 7"


def test_nobody_is_stopped_whom_nobody_would_continue(told: Callable[..., Guest]) -> None:
    guest = told("pause", "2", "15", on_terminal=True)  # a session of its own, without a shell
    guest.started()
    os.write(guest.stdin, b"\x1a\x03")
    guest.expect("signal 2")
    guest.kill(signal.SIGTERM)
    guest.expect("signal 15")
    assert guest.wait() == "exit 7"


def test_a_job_of_a_shell(vm_cache: dict[str, str]) -> None:
    child = pexpect.spawn(
        "/bin/bash", ["--norc", "--noprofile", "-i"], env={**vm_cache, "PS1": "next$ "}, timeout=30, encoding="utf-8"
    )
    child.expect_exact("next$ ")
    script = "trap 'echo contin''ued' CONT; echo rea''dy; while :; do read line && echo got $line; done"
    command = [*LXRUN, "--backend", "vm", BUSYBOX, "sh", "-c", script]
    child.sendline(shlex.join(command))
    child.expect("ready\r\n")
    child.sendline("one")
    child.expect("got one\r\n")
    child.send("\x1a")
    child.expect("Stopped")
    child.expect_exact("next$ ")
    child.sendline("stty -a")
    child.expect(" icanon")
    child.expect_exact("next$ ")
    child.sendline("fg")
    child.expect("continued\r\n")
    child.sendline("two")
    child.expect("got two\r\n")
    child.send("\x1a")
    child.expect("Stopped")
    child.expect_exact("next$ ")
    child.sendline("bg")
    child.expect("continued\r+\n")
    child.sendline("echo shell''s; jobs")
    child.expect("shells\r\n")
    child.expect("Running")
    child.sendline("fg")
    child.expect("fg\r\n")
    child.sendline("three")
    child.expect("got three\r\n")
    child.sendintr()
    child.expect_exact("next$ ")
    child.sendline("exit")
    child.expect(pexpect.EOF)


def test_instructions_that_the_engine_lacks(vm_cache: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "avx.c"
    source.write_text(AVX2)
    program = compile_program(source, "-static", "-mavx2")
    assert run(vm_cache, str(program)) == (0, b"2 16\n", b"")


AVX2 = r"""
#include <immintrin.h>
#include <stdio.h>
int main(void) {
    volatile int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int sums[8];
    __m256i all = _mm256_loadu_si256((void *)numbers);
    _mm256_storeu_si256((void *)sums, _mm256_add_epi32(all, all));
    printf("%d %d\n", sums[0], sums[7]);
}
"""

# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--memory", "16m"], "--memory 16777216: too little for Linux, which needs 160m"),
        (["--vm-kernel", "/none"], "kernel /none: No such file or directory"),
        (["--vm-kernel", BUSYBOX], f"kernel {BUSYBOX}: it is not a Linux kernel image (bzImage)"),
        (["-v", f"{BUSYBOX}:/b"], f"-v {BUSYBOX}:/b: only directories can be shown to a VM, and this is a file"),
        (["--rootfs", "/none"], "--rootfs /none: there is no such directory"),
        (["-0"], "--root-id needs lxrun's own kernel, and with --backend vm there is none"),
        (
            ["--gdb", "0"],
            "--gdb needs lxrun's own kernel, and with --backend vm there is none; "
            "a gdb of the guest's runs in the VM: lxrun --backend vm gdb PROGRAM",
        ),
    ],
)
def test_one_line_for_each_error(vm_cache: dict[str, str], words: list[str], line: str) -> None:
    status, out, error = run(vm_cache, *words, "true")
    assert (status, out, own_line(error)) == (125, b"", line)


def fake_qemu(folder: Path, script: str) -> dict[str, str]:
    """An environment in which QEMU is this shell script."""
    program = folder / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def test_no_qemu(vm_cache: dict[str, str], tmp_path: Path) -> None:
    status, _, error = run({**vm_cache, "PATH": str(tmp_path)}, "true")
    assert status == 125
    assert "not in PATH; Debian and Ubuntu have it in the package qemu-system-x86" in own_line(error)


def test_no_kernel(vm_cache: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "candidates", list)
    with pytest.raises(VmError, match="`lxvm setup` fetches one"):
        kernels.choose(None)


def test_qemu_that_fails_says_why(vm_cache: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_qemu(tmp_path, "echo 'qemu: cannot set up guest memory' >&2; exit 1")["PATH"])
    with pytest.raises(VmError, match="qemu: cannot set up guest memory"):
        session.run(machine(tmp_path), order())


def test_a_machine_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "pid"
    monkeypatch.setenv("PATH", fake_qemu(tmp_path, f"echo $$ > {mark}; exec /bin/sleep 1000")["PATH"])
    monkeypatch.setattr(session, "BOOT_LIMIT", 1.0)
    monkeypatch.setattr("vm.guest.QUIT_LIMIT", 0.5)
    with pytest.raises(VmError, match="hangs: it did not start within 1 s"):
        session.run(machine(tmp_path), order())
    assert not Path(f"/proc/{int(mark.read_text())}").exists()


def test_a_machine_that_stops_answering_is_ended(vm_cache: dict[str, str]) -> None:
    impatient = """
import sys
from lxrun.cli import main
from vm import guest, session
session.ANSWER_LIMIT, guest.QUIT_LIMIT = 1.0, 0.5
sys.exit(main(sys.argv[1:]))
"""
    words = [sys.executable, "-c", impatient, "--backend", "vm", BUSYBOX, "sh", "-c", "echo ready; sleep 1000"]
    with subprocess.Popen(words, env=vm_cache, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        (machine_pid,) = children(process.pid)
        os.kill(machine_pid, signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, own_line(error)) == (125, "the VM hangs: a signal was not passed on within 1 s")
    assert not Path(f"/proc/{machine_pid}").exists()


def test_a_qemu_that_is_killed(vm_cache: dict[str, str]) -> None:
    words = [*LXRUN, "--backend", "vm", BUSYBOX, "sh", "-c", "echo ready; sleep 1000"]
    for signo, why in (
        (
            signal.SIGKILL,
            "somebody killed QEMU, maybe a host short of memory (the VM has 1024 MiB; --memory gives it less)",
        ),
        (signal.SIGABRT, "QEMU ended by SIGABRT"),
    ):
        with subprocess.Popen(words, env=vm_cache, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            (machine_pid,) = children(process.pid)
            os.kill(machine_pid, signo)
            _, error = process.communicate(timeout=60)
        assert (process.returncode, own_line(error)) == (125, f"the VM ended without a word from the guest: {why}")


def test_an_accelerator_that_boots_nothing_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_qemu(tmp_path, f"echo x >> {tmp_path}/tries; kill -ABRT $$")["PATH"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(qemu, "offered", lambda: ["kvm"])
    images = machine(tmp_path).images
    assert qemu.remembered(qemu.find_qemu()) is None
    assert [qemu.probe(images), qemu.probe(images)] == ["tcg", "tcg"]
    assert (tmp_path / "tries").read_text() == "x\n"


def machine(folder: Path) -> qemu.Machine:
    return qemu.Machine(Images(folder / "kernel", folder / "initramfs", "key"), "/")


def order(**changes: object) -> Order:
    settings: dict[str, object] = {
        "argv": [b"a", b""], "environment": [b"E=\xff"], "root": "/", "cwd": b"/tmp", "cwd_wanted": True, "uid": 1,
        "gid": 2, "groups": [3, 4], "umask": 0o22, "streams": (Stream.PIPE, Stream.TERMINAL, Stream.CLOSED),
        **changes,
    }  # fmt: skip
    return Order(**settings)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------- parts


def test_an_order() -> None:
    shown = [Volume("/h", "/a b", True), Volume("/i", "/c", False)]
    fields = order(volumes=shown, window=(24, 80)).encoded().split(b"\0")
    assert fields.pop(0).startswith(b"T") and fields.pop(0).startswith(b"R")
    assert fields == [
        b"Vvolume0 r /a b", b"Vvolume1 w /c", b"Aa", b"A", b"EE=\xff", b"U1", b"G2", b"K22", b"g3", b"g4", b"C/tmp",
        b"Sptc", b"W24x80", b"",
    ]  # fmt: skip


def test_a_failure() -> None:
    payload = b"x" + (8).to_bytes(4, "little") + b"/p\0" + (5).to_bytes(8, "little") + b"he\0d"
    assert failure(payload) == (b"x", 8, b"/p", 5, b"he\0d")


def test_cpio_is_what_cpio_reads(tmp_path: Path) -> None:
    require("busybox-static", BUSYBOX)
    files = [("a", cpio.regular(0o755), b"x" * 5), ("bc", cpio.regular(0o600), b"")]
    subprocess.run([BUSYBOX, "cpio", "-i"], input=cpio.archive(files), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a").read_bytes() == b"xxxxx"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    assert (tmp_path / "bc").read_bytes() == b""


def bzimage(payload: bytes) -> bytes:
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x300).to_bytes(2, "little")
    head[0x500:0x516] = b"6.1.0-test (x@y) #1\0\0\0"
    return bytes(head) + payload + b"trailer"


def test_a_package_becomes_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    release = "6.1.0-test"
    modules = dict.fromkeys(kernels.NEEDED, b"\x00depends=\x00") | {"9p": b"\0depends=net-fs,9pnet_virtio\0"}
    files = {f"./lib/modules/{release}/kernel/fs/{name}.ko": data for name, data in modules.items()}
    files[f"./lib/modules/{release}/kernel/net-fs.ko"] = b"\0depends=\0"
    files[f"./lib/modules/{release}/kernel/unneeded.ko"] = b""
    files[f"./lib/modules/{release}/kernel/fs/ext4.ko"] = b"\0alias=fs-ext4\0alias=fs-ext[23]\0depends=net-fs\0"
    files[f"./lib/modules/{release}/kernel/fs/vfat.ko"] = b"\0depends=missing\0"
    files[f"./boot/vmlinuz-{release}"] = bzimage(lzma.compress(b"\x7fELF kernel"))
    files["./../escape"] = b""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    package = tmp_path / "linux.deb"
    with package.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in (("debian-binary", b"2.0\n"), ("control.tar", b"odd"), ("data.tar.xz", data.getvalue())):
            file.write(f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    debian.unpack(package, tmp_path / "tree")
    kernel = debian.keep(tmp_path / "tree")
    assert kernel.release == release
    order_of_modules = [path.name for path in kernel.needed_modules()]
    assert order_of_modules.index("net_fs.ko") < order_of_modules.index("9p.ko")
    assert "unneeded.ko" not in order_of_modules and "ext4.ko" not in order_of_modules
    assert [[path.name for path in order] for order in kernel.modules_on_demand()] == [["net_fs.ko", "ext4.ko"]]
    ramdisk = initramfs(b"agent", kernel.needed_modules(), kernel.modules_on_demand())
    assert b"\next4 net_fs.ko" not in ramdisk and b"ext4 net_fs.ko ext4.ko\nfs-ext4 net_fs.ko ext4.ko\n" in ramdisk
    assert ramdisk.count(b"\0alias=fs-ext[23]\0") == 1 and b"fs-ext[23] net_fs.ko ext4.ko\n" in ramdisk
    assert kernels.is_complete(kernel)
    monkeypatch.setattr(kernels, "ON_DEMAND", (*kernels.ON_DEMAND, "another"))
    assert not kernels.is_complete(kernel)
    assert kernels.unpacked(kernel.image.read_bytes()) == b"\x7fELF kernel"
    assert [found.release for found in kernels.candidates()][:1] == [release]
    assert not (tmp_path / "escape").exists()


def test_a_kernel_without_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    image = tmp_path / "boot" / "vmlinuz"
    image.write_bytes(bzimage(b""))
    with pytest.raises(VmError, match=r"kernel 6\.1\.0-test has no module virtio_pci"):
        kernels.choose(str(image))  # its modules are asked for when the images are made
        kernels.named(image).needed_modules()


def test_lxvm(vm_cache: dict[str, str], tmp_path: Path) -> None:
    lxvm = [sys.executable, "-c", "from vm.cli import entry; entry()"]
    done = subprocess.run([*lxvm, "status"], env=vm_cache, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["qemu", "kernel", "accelerator", "cache"]
    empty = {**vm_cache, "XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run([*lxvm, "status"], env=empty, capture_output=True, text=True)
    assert done.returncode == 1 and "qemu         none" in done.stdout
    (tmp_path / "lxrun" / "vm").mkdir(parents=True)
    (tmp_path / "lxrun" / "vm" / "x").write_bytes(bytes(3_000_000))
    done = subprocess.run([*lxvm, "prune"], env=empty, capture_output=True, text=True)
    assert done.stdout.startswith("removed 3 MB")
    assert not (tmp_path / "lxrun" / "vm").exists()
    assert subprocess.run([*lxvm, "what"], env=empty, capture_output=True).returncode == 2
    reader, writer = os.pipe()
    os.close(reader)  # who reads has gone: no word about that
    done = subprocess.run([*lxvm, "status"], env=vm_cache, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


# ----------------------------------------------------------------------------------- warm start


def test_a_resumed_machine_has_the_time_and_random_numbers_of_its_own(vm_cache: dict[str, str]) -> None:
    command = [BUSYBOX, "sh", "-c", "date +%s; cat /proc/sys/kernel/random/uuid"]
    runs = []
    for _ in range(2):
        before = time.time()
        status, out, error = run(vm_cache, *command)
        assert (status, error) == (0, b"")
        seconds, uuid = out.decode().split()
        assert int(before) <= int(seconds) <= time.time() + 1
        runs.append(uuid)
    assert runs[0] != runs[1]
    kept = list((Path(vm_cache["XDG_CACHE_HOME"]) / "lxrun" / "vm" / "states").glob("[!.]*/devices"))
    assert kept  # the second was resumed from one of these


def test_a_state_that_is_damaged_is_replaced_by_a_boot(
    vm_cache: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", vm_cache["XDG_CACHE_HOME"])
    images = prepare(kernels.choose(None))
    state = warm.state_of(qemu.Machine(images, "/", 256 << 20, qemu.probe(images)))
    state.mkdir(parents=True, exist_ok=True)
    (state / "memory").write_bytes(bytes(4096))
    (state / "devices").write_bytes(b"nonsense")
    assert run(vm_cache, "--memory", "256m", BUSYBOX, "echo", "x") == (0, b"x\n", b"")
    assert not state.exists()

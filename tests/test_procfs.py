"""Virtual filesystems: the mechanism, and the contents of /proc and /sys that no program shows well."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.arch.x86_64_cpuinfo import Identity
from kernel import priority, procfs, procmaps, procmounts, sysctl, sysfs
from kernel.cred import CAP_ALL, CAP_SETUID, Credentials, commit_creds
from kernel.rlimit import LIMITS, initial_rlimits
from kernel.uts import Uts
from vfs import fscred
from vfs.file import O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET, File
from vfs.node import Mount, Node
from vfs.pseudofs import (
    MagicLink,
    PseudoDir,
    PseudoFs,
    PseudoLink,
    PseudoNode,
    StrictTextFile,
    TableDir,
    TextFile,
    fill,
)

MAGIC = 0x1234


def filesystem(table: dict[bytes, PseudoNode | Callable[[], PseudoNode]], **options: Any) -> PseudoDir:
    return PseudoFs(MAGIC, 9, lambda: 5_000_000_000, **options).root(TableDir(table))


def read(file: File, size: int) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: file.read([memoryview(buffer)])])


def contents(node: Node) -> bytes:
    return read(node.open(O_RDONLY, b"/file"), 1 << 20)


def fails(code: int) -> Any:
    return pytest.raises(OSError, match=rf"\[Errno {code}\]")


# ---------------------------------------------------------------------------------- mechanism


def test_nodes_are_made_once_and_keep_their_numbers() -> None:
    made = []

    def make() -> PseudoNode:
        made.append(1)
        return TextFile(lambda: b"")

    root = filesystem({b"a": make, b"b": TextFile(lambda: b""), b"d": lambda: TableDir({})})
    assert made == []
    first = root.lookup(b"a")
    assert root.lookup(b"a") is first
    assert made == [1]
    listed = {name: (ino, kind) for ino, kind, name in root.listing()}
    assert listed[b"a"] == (first.stat().st_ino, 8)
    assert listed[b"d"][1] == 4
    assert listed[b"."] == listed[b".."] == (1, 4)
    assert len({ino for ino, _ in listed.values()}) == 4
    assert root.stat().st_nlink == 3
    with fails(errno.ENOENT):
        root.lookup(b"c")


def test_a_directory_forgets_what_is_gone() -> None:
    alive = {b"1"}

    class Entry(TextFile):
        def __init__(self, name: bytes) -> None:
            super().__init__(lambda: name)
            self.name = name

        def alive(self) -> bool:
            return self.name in alive

    class Living(PseudoDir):
        def names(self) -> Iterable[bytes]:
            return sorted(alive)

        def make(self, name: bytes) -> PseudoNode | None:
            return Entry(name) if name in alive else None

    root = filesystem({b"d": Living})
    directory = root.lookup(b"d")
    old = directory.lookup(b"1")
    alive.clear()
    with fails(errno.ENOENT):
        directory.lookup(b"1")
    alive.add(b"1")
    assert directory.lookup(b"1") is not old
    assert [name for _, _, name in directory.listing()] == [b".", b"..", b"1"]  # type: ignore[attr-defined]


def test_text_is_made_at_the_first_read_and_again_at_the_start() -> None:
    count = iter(range(100))
    root = filesystem({b"n": TextFile(lambda: b"number %d\n" % next(count))})
    file = root.lookup(b"n").open(O_RDONLY, b"/n")
    assert read(file, 6) == b"number"
    assert read(file, 99) == b" 0\n"
    assert read(file, 99) == b""
    assert file.seek(0, SEEK_SET) == 0
    assert read(file, 99) == b"number 1\n"
    assert file.seek(-2, SEEK_CUR) == 7
    assert read(file, 99) == b"1\n"
    for offset, whence in ((-1, SEEK_SET), (0, SEEK_END), (0, 7)):
        with fails(errno.EINVAL):
            file.seek(offset, whence)


@given(st.binary(max_size=300), st.lists(st.integers(0, 40), max_size=12), st.integers(0, 350))
def test_reads_of_any_shape_give_the_text(text: bytes, sizes: list[int], offset: int) -> None:
    buffers = [bytearray(size) for size in sizes]
    count = fill([memoryview(b) for b in buffers], text, offset)
    assert count == min(sum(sizes), max(0, len(text) - offset))
    assert b"".join(map(bytes, buffers))[:count] == text[offset : offset + count]
    file = filesystem({b"t": TextFile(lambda: text)}).lookup(b"t").open(O_RDONLY, b"/t")
    assert b"".join(read(file, 7) for _ in range(50)) == text


def test_writing() -> None:
    stored: list[bytes] = []
    root = filesystem({b"rw": TextFile(lambda: b"old", stored.append, 0o644), b"ro": TextFile(lambda: b"")})
    file = root.lookup(b"rw").open(O_RDWR, b"/rw")
    assert file.write([memoryview(b"ab"), memoryview(b"c")]) == 3
    assert stored == [b"abc"]
    with fails(errno.EIO):
        root.lookup(b"ro").open(O_WRONLY, b"/ro").write([memoryview(b"x")])
    with fails(errno.EBADF):
        root.lookup(b"rw").open(O_RDONLY, b"/rw").write([memoryview(b"x")])
    with fails(errno.EBADF):
        read(root.lookup(b"rw").open(O_WRONLY, b"/rw"), 1)


@pytest.mark.parametrize(("absent", "code"), [(None, errno.EPERM), (errno.ENOENT, errno.ENOENT)])
def test_nothing_can_be_changed(absent: int | None, code: int) -> None:
    root = filesystem({b"f": TextFile(lambda: b"")}, absent=absent)
    for call in (
        lambda: root.mkdir(b"x", 0o755),
        lambda: root.symlink(b"x", b"y"),
        lambda: root.mknod(b"x", 0o644, 0),
        lambda: root.link(b"x", root.lookup(b"f")),
        lambda: root.rename(b"f", root, b"x", 0),
    ):
        with fails(code):
            call()
    with fails(errno.EPERM):
        root.unlink(b"f")
    with fails(errno.ENOENT):
        root.rmdir(b"x")
    with fails(errno.EISDIR):
        root.open(O_RDWR, b"/")
    assert root.statfs().f_type == MAGIC


def test_permissions() -> None:
    root = filesystem(
        {
            b"own": TextFile(lambda: b"", mode=0o640, owner=lambda: (7, 8)),
            b"strict": StrictTextFile(lambda: b""),
            b"link": PseudoLink(lambda: b"to"),
            b"magic": MagicLink(lambda: b"text", lambda: "there"),  # type: ignore[arg-type, return-value]
        }
    )
    own, strict = root.lookup(b"own"), root.lookup(b"strict")

    def access(node: PseudoNode, mode: int, who: fscred.Ids) -> None:
        fscred.override_creds(who)
        node.access(mode)

    root_user, owner, member = fscred.Ids(), fscred.Ids(7, 0, (), 0), fscred.Ids(9, 8, (), 0)
    access(own, 6, root_user)
    access(own, 6, owner)
    access(own, 4, member)
    access(own, 4, fscred.Ids(9, 9, (3, 8), 0))
    access(own, 4, fscred.Ids(9, 9, (), 1 << fscred.CAP_DAC_READ_SEARCH))
    access(own, 2, fscred.Ids(9, 9, (), 1 << fscred.CAP_DAC_OVERRIDE))
    for mode, who in ((1, root_user), (2, member), (4, fscred.Ids(9, 9, (), 0)), (4, fscred.Ids(0, 0, (), 0))):
        with fails(errno.EACCES):
            access(own, mode, who)
    access(strict, 4, root_user)
    with fails(errno.EACCES):
        access(strict, 2, root_user)
    fscred.override_creds(fscred.OURSELVES)
    assert root.lookup(b"link").readlink() == b"to"
    assert root.lookup(b"link").follow(None) is None
    assert root.lookup(b"magic").follow(None) == "there"  # type: ignore[comparison-overlap]


# ----------------------------------------------------------------------------------- contents


class Machine:
    """As much of a kernel as the machine-wide files look at."""

    def __init__(self) -> None:
        second = 1_000_000_000
        self.clock = SimpleNamespace(
            realtime_ns=lambda: 2000 * second,
            boottime_ns=lambda: 1000 * second + 987_654_321,
            cpu_ns=lambda: 12_340_000_000,
        )
        self.entropy = SimpleNamespace(bytes=lambda n: b"\xff" * n)
        self.memory_limit = 64 << 20
        self.max_threads = 512
        self.arena = SimpleNamespace(used_bytes=8 << 20)
        self.committed = 3
        self.uts = Uts(b"x86_64", b"box")
        self.arch = SimpleNamespace(MACHINE="x86_64")
        mm = SimpleNamespace(
            vmas=[], pages={}, major_faults=1, minor_faults=2, dumpable=1, thaw=lambda first, last: None
        )
        cred = Credentials(0, 0, (), CAP_ALL)
        self.current = SimpleNamespace(
            tid=7, tgid=7, mm=mm, exit_status=None, zombie=False, cred=cred, pdeath_signal=0, kernel=self
        )
        self.tasks = {7: self.current}
        self.run_queue = SimpleNamespace(switches=70, heap=[])
        self.forks, self.last_pid = 6, 7


@pytest.fixture
def machine() -> Any:
    return Machine()


def test_the_root_of_proc(machine: Any) -> None:
    root = procfs.make_procfs(machine)
    names = [name for _, _, name in root.listing()]
    assert {b"7", b"self", b"cpuinfo", b"sys", b"mounts"} < set(names)
    assert root.lookup(b"self").readlink() == b"7"
    assert root.lookup(b"thread-self").readlink() == b"7/task/7"
    assert root.stat().st_ino == 1
    pid = root.lookup(b"7")
    assert pid.lookup(b"comm").stat().st_ino == root.lookup(b"7").lookup(b"comm").stat().st_ino
    machine.tasks.clear()
    for name in (b"7", b"07", b"x"):
        with fails(errno.ENOENT):
            root.lookup(name)
    with fails(errno.ENOENT):
        pid.lookup(b"stat")
    with fails(errno.ESRCH):
        contents(pid.made[b"comm"])  # type: ignore[attr-defined]


def test_formats_of_the_machine(machine: Any) -> None:
    root = procfs.make_procfs(machine)
    text = {name: contents(root.lookup(name)).decode() for name in (b"uptime", b"stat", b"meminfo", b"version")}
    assert text[b"uptime"] == "1000.98 988.64\n"
    assert text[b"stat"].startswith("cpu  1234 0 0 98864 0 0 0 0 0 0\ncpu0 1234 0 0 98864 0 0 0 0 0 0\nintr 0\n")
    assert "\nctxt 70\nbtime 999\nprocesses 6\nprocs_running 1\n" in text[b"stat"]
    assert text[b"meminfo"].startswith(
        "MemTotal:          65536 kB\nMemFree:           57344 kB\nMemAvailable:      65536 kB\n"
    )
    assert "\nHugePages_Total:       0\n" in text[b"meminfo"]
    assert text[b"version"].startswith("Linux version 6.")
    for line in text[b"meminfo"].splitlines():
        assert re.fullmatch(r"[\w()]+: +\d+( kB)?", line), line
    assert contents(root.lookup(b"self").parent.lookup(b"7").lookup(b"net").lookup(b"tcp"))[-1:] == b"\n"  # type: ignore[attr-defined]


def test_names_and_uuids(machine: Any) -> None:
    sys_dir = procfs.make_procfs(machine).lookup(b"sys")
    kernel = sys_dir.lookup(b"kernel")
    hostname = kernel.lookup(b"hostname")
    assert contents(hostname) == b"box\n"
    hostname.open(O_WRONLY, b"").write([memoryview(b"new\nrest")])
    assert (machine.uts.nodename, contents(hostname)) == (b"new", b"new\n")
    with fails(errno.EINVAL):
        hostname.open(O_WRONLY, b"").write([memoryview(b"n" * 65)])
    machine.current.cred.cap_effective = 0
    with fails(errno.EPERM):
        hostname.open(O_WRONLY, b"").write([memoryview(b"n")])
    assert contents(kernel.lookup(b"random").lookup(b"uuid")) == b"ffffffff-ffff-4fff-bfff-ffffffffffff\n"
    number = kernel.lookup(b"pid_max").open(O_RDONLY, b"")
    assert (read(number, 3), read(number, 3)) == (b"419", b"")  # as proc_dointvec does
    assert sysctl.uuid(bytes(16)) == b"00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("cpus", [1, 2, 32, 33, 64, 65])
def test_processors_agree(machine: Any, cpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (priority, procfs, sysfs):
        monkeypatch.setattr(module, "CPUS", cpus)
    cpu = sysfs.make_sysfs(machine).lookup(b"devices").lookup(b"system").lookup(b"cpu")
    last = f"0-{cpus - 1}" if cpus > 1 else "0"
    for name in (b"online", b"possible", b"present"):
        assert contents(cpu.lookup(name)).decode() == last + "\n"
    topology = cpu.lookup(b"cpu%d" % (cpus - 1)).lookup(b"topology")
    mask = contents(topology.lookup(b"package_cpus")).decode().strip()
    assert int(mask.replace(",", ""), 16) == (1 << cpus) - 1
    assert len(mask.replace(",", "")) == -(-cpus // 4)
    stat = contents(procfs.make_procfs(machine).lookup(b"stat")).decode()
    assert len(re.findall(r"^cpu\d+ ", stat, re.M)) == cpus


def test_cpuinfo() -> None:
    leaves = {
        0: (13, 0x68747541, 0x444D4163, 0x69746E65),
        1: (0x800F12, 0x800, 0x80202001, 0x78BFBFD),
        7: (0, 0x980189, 0, 0),
        0x80000000: (0x8000001E, 0, 0, 0),
        0x80000001: (0x800F12, 0, 0x75, 0x2DD3FBFD),
        0x80000002: (0x20444D41, 0x43595045, 0, 0),
        0x80000005: (0, 0, 0x20080140, 0x40040140),
        0x80000006: (0, 0x42004200, 0x2006140, 0),
        0x80000008: (0x3028, 0, 0, 0),
    }
    known = Identity(lambda leaf, subleaf: leaves.get(leaf, (0, 0, 0, 0)), 2_500_001)
    lines = dict(
        re.split(r"\t+: ?", line, maxsplit=1) for line in known.text(2).decode().splitlines() if ":" in line[:-1]
    )
    assert lines["vendor_id"] == "AuthenticAMD"
    assert (lines["cpu family"], lines["model"], lines["stepping"]) == ("23", "1", "2")
    assert (lines["model name"], lines["cpu MHz"], lines["bogomips"]) == ("AMD EPYC", "2500.001", "5000.00")
    assert lines["address sizes"] == "40 bits physical, 48 bits virtual"
    assert lines["flags"].split()[:3] == ["fpu", "de", "pse"]
    assert {"lm", "sse2", "cx16", "bmi2"} < set(lines["flags"].split())
    assert "avx" not in lines["flags"].split()
    assert known.text(2).count(b"processor\t: ") == 2
    assert [(c.level, c.size >> 10, c.ways) for c in known.caches()] == [(1, 32, 8), (1, 64, 4), (2, 512, 8)]


def mount(point: bytes, fstype: bytes, id: int, source: bytes = b"none", dev: int = 0x15) -> Mount:
    node = SimpleNamespace(stat=lambda: SimpleNamespace(st_dev=dev))
    return Mount(node, point, fstype, source, False, id)  # type: ignore[arg-type]


def test_mounts_as_a_task_sees_them() -> None:
    table = [mount(b"/", b"ext4", 1, b"/dev/root"), mount(b"/a b", b"tmpfs", 2), mount(b"/a b/c", b"proc", 3, b"proc")]
    task: Any = SimpleNamespace(
        fs=SimpleNamespace(root=SimpleNamespace(text=b"/")),
        kernel=SimpleNamespace(mounts=SimpleNamespace(mounts=table)),
    )
    assert procmounts.mountinfo(task) == (
        b"1 0 0:21 / / rw,relatime - ext4 /dev/root rw\n"
        b"2 1 0:21 / /a\\040b rw,relatime - tmpfs none rw\n"
        b"3 2 0:21 / /a\\040b/c rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
    )
    task.fs.root.text = b"/a b"
    assert procmounts.mounts(task) == (
        b"none / tmpfs rw,relatime 0 0\nproc /c proc rw,nosuid,nodev,noexec,relatime 0 0\n"
    )


def test_lines_of_maps() -> None:
    file = SimpleNamespace(
        name=b"/tmp/a\nb", stat=lambda: SimpleNamespace(st_dev=os.makedev(254, 1), st_ino=42, st_nlink=0)
    )
    vma: Any = SimpleNamespace(
        start=0x400000,
        end=0x401000,
        prot=5,
        shared=True,
        file=file,
        pages=None,
        offset=0x1000,
        name=b"",
        anon_name=None,
    )
    mm: Any = SimpleNamespace(stack_start=0x7FFF0000, brk=0, brk_start=0)
    line = procmaps.maps_line(mm, vma)
    head = b"00400000-00401000 r-xs 00001000 fe:01 42 "
    assert line == head.ljust(73) + b"/tmp/a\\012b (deleted)\n"
    vma.file, vma.prot, vma.shared = None, 0, False
    assert procmaps.maps_line(mm, vma) == b"00400000-00401000 ---p 00000000 00:00 0 \n"
    mm.stack_start = 0x401000
    assert procmaps.maps_line(mm, vma).endswith(b" [stack]\n")


# -------------------------------------------------------------------------------------- rules


def test_limits_are_the_hosts_by_name() -> None:
    import resource

    limits = initial_rlimits()
    assert set(limits) == set(range(len(LIMITS)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limits[7] == (soft & (1 << 64) - 1, hard & (1 << 64) - 1)


ids = st.sampled_from([0, 1, 1000, 1001, 0xFFFFFFFF])


@given(st.lists(st.tuples(st.sampled_from(["setuid", "setreuid", "setresuid", "setfsuid"]), ids, ids, ids), max_size=8))
def test_whatever_is_called_ids_stay_valid_and_rights_never_grow(calls: list[tuple[str, int, int, int]]) -> None:
    task: Any = SimpleNamespace(cred=Credentials(0, 0, (), CAP_ALL), mm=SimpleNamespace(dumpable=1), pdeath_signal=9)
    for name, *args in calls:
        old = task.cred
        new = old.copy()
        try:
            getattr(new, name)(*args[: {"setuid": 1, "setreuid": 2, "setresuid": 3, "setfsuid": 1}[name]])
        except OSError:
            continue
        commit_creds(task, new)
        mine = {new.uid, new.euid, new.suid, new.fsuid}
        assert 0xFFFFFFFF not in mine
        assert not new.cap_permitted & ~old.cap_permitted
        assert not new.cap_effective & ~new.cap_permitted
        if 0 not in (new.uid, new.euid, new.suid):
            assert not new.cap_permitted
        if not old.capable(CAP_SETUID):
            assert mine <= {old.uid, old.euid, old.suid, old.fsuid}
        if (old.euid, old.fsuid) != (new.euid, new.fsuid):
            assert (task.mm.dumpable, task.pdeath_signal) == (0, 0)

"""What is measured, and what has to come out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.runners import EVERY, LXRUN, NATIVE, QEMU, QILING, RUNNERS, VM_COLD, VM_WARM, WITH_TASKS

PROGRAMS = Path(__file__).parent / "programs"
GIB = 1 << 30

COUNT = "{count}"  # in argv: how many operations
FLAGS = {"first": ["-nostdlib"]}  # of programs that do not take the usual ones

Seconds = dict[str, float]
"""Median time of each runner that could do the work."""


@dataclass(frozen=True)
class Target:
    """A number the measurement must reach: `value(seconds)` at most (or at least) `limit`."""

    text: str
    limit: float
    value: Callable[[Seconds], float]
    needs: tuple[str, ...] = (LXRUN,)
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


def ratio(limit: float, other: str) -> Target:
    return Target(f"≤ {limit:g} × {other}", limit, lambda s: s[LXRUN] / s[other], (LXRUN, other))


@dataclass(frozen=True)
class Workload:
    """`argv` is timed as a whole process.  With `idle`, a run that does everything but the work, and a
    `count`, the work's own time for each of `count` operations is reported in microseconds.

    qemu-user does not follow exec: what the programs that its guest starts run on is the host.  `qemu_argv` is
    then what a native shell runs, with each program under qemu-user.  `runners` are those that can be expected
    to do it: Qiling has neither processes nor threads.  `sizes` are other counts than `count`, for runners whose work
    would be over too soon or take too long."""

    key: str
    title: str
    argv: list[str]
    targets: tuple[Target, ...]
    idle: list[str] | None = None
    count: int = 1
    bytes: int = 0  # moved, for a rate
    warm: bool = False  # the host's caches are filled by a native run before each timed one
    qemu_argv: list[str] | None = None
    runners: tuple[str, ...] = RUNNERS
    sizes: Mapping[str, int] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None  # makes what only this workload needs

    def count_of(self, runner: str) -> int:
        return self.sizes.get(runner, self.count)

    @property
    def unit(self) -> str:
        return "µs" if self.idle else "s"


PIDIGITS = """
def digits(n):
    k, a, b, a1, b1, left = 2, 4, 1, 12, 4, n
    while left > 0:
        p, q, k = k * k, 2 * k + 1, k + 1
        a, b, a1, b1 = a1, b1, p * a + q * a1, p * b + q * b1
        d, d1 = a // b, a1 // b1
        while d == d1:
            yield d; left -= 1; a, a1 = 10 * (a % b), 10 * (a1 % b1); d, d1 = a // b, a1 // b1
print(''.join(map(str, digits(4000))))
"""

FORKS = "i=0; while [ $i -lt {count} ]; do {command}; i=$((i+1)); done"
REDIS = """
redis-server --port 0 --unixsocket bench.sock --save '' --logfile /dev/null & server=$!
while [ ! -S bench.sock ]; do sleep 0.02; done
[ $1 = 0 ] || redis-benchmark -s bench.sock -t get -c 50 -P 16 -n $1 -q >/dev/null
kill $server
wait $server
"""
PGBENCH = """
$UNDER {bin}/postgres -D data & server=$!
until {bin}/pg_isready -q; do kill -0 $server 2>/dev/null && sleep 0.05 || {{ wait $server; exit; }}; done
[ $1 = 0 ] || $UNDER {bin}/pgbench -n -S -c 4 -j 2 -t $(($1 / 4)) >/dev/null || exit 1
kill -INT $server
wait $server
"""
AS_POSTGRES = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
REPEAT = 'i=0; while [ $i -lt 10 ]; do "$@" || exit; i=$((i+1)); done'
CASES = 1000
SHELL = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i"


def inserts() -> str:
    """2,000 statements to parse and 50,000 rows from one; an argument, since Qiling cannot read them from stdin."""
    rows = "".join(f"insert into t values ({n}, 'name {n * 7919 % 10007}', {n}.5);\n" for n in range(2000))
    return (
        "pragma synchronous=off; create table t(id integer primary key, name text, x real);\n"
        f"create index i on t(name); begin;\n{rows}commit;\n"
        "with recursive n(i) as (select 10000 union all select i + 1 from n where i < 60000)\n"
        "  insert into t select i, 'row ' || i * 31 % 5003, i / 3.0 from n;\n"
        "select count(*), sum(id), max(name) from t;\n"
    )


def write_inputs(work: Path) -> None:
    """The files the workloads read, and their C programs."""
    for source in sorted(PROGRAMS.glob("*.c")):
        flags = FLAGS.get(source.stem, ["-pthread"])
        subprocess.run(["gcc", "-O2", "-static", *flags, "-o", str(work / source.stem), str(source)], check=True)
    if shutil.which("autoconf"):
        shutil.copy(PROGRAMS / "configure.ac", work)
        (work / "Makefile.in").write_text("all:\n")
        (work / "config.h.in").touch()
        (work / "install-sh").touch(0o755)
        subprocess.run(["autoconf"], cwd=work, check=True)
        commands_under_qemu(work / "under-qemu", work / "under_qemu")
    applets = ("true", "echo {}", "expr {} + 4", "basename /usr/{}", "printf %05d {}", "factor {}", "seq {} 9", "false")
    lines = (f"/bin/busybox {applets[n % len(applets)].format(n)}\n" for n in range(CASES))
    (work / "cases").write_text("".join(lines))
    piece = bytes(range(256)) * 4096
    with (work / "gibibyte").open("wb") as f:
        for _ in range(GIB // len(piece)):
            f.write(piece)


def postgresql() -> Path | None:
    """The directory of the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def fill_database(work: Path, programs: Path) -> None:
    """A cluster with pgbench's tables, made natively; it belongs to whoever may run a server."""
    work.chmod(0o755)
    folder = work / "postgresql"
    folder.mkdir()
    user = []
    if os.geteuid() == 0:
        user = AS_POSTGRES
        shutil.chown(folder, "postgres", "postgres")
    script = """
    {bin}/initdb -D data --no-sync -A trust -U postgres
    printf "listen_addresses = ''\\nunix_socket_directories = '$PWD'\\nfsync = off\\n" >>data/postgresql.conf
    {bin}/pg_ctl -D data -w start
    {bin}/pgbench -h "$PWD" -U postgres -i -q postgres
    {bin}/pg_ctl -D data -w stop
    """
    argv = [*user, "/bin/sh", "-ec", script.format(bin=programs)]
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    subprocess.run(argv, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def commands_under_qemu(folder: Path, wrapper: Path) -> None:
    """A directory for PATH in which every program is run by qemu-user, the parts of the compiler too."""
    folder.mkdir()
    places = {path.name: path for path in sorted(Path("/usr/bin").iterdir()) if _is_elf(path)}
    for part in ("cc1", "collect2", "as", "ld"):
        found = subprocess.run(["gcc", f"-print-prog-name={part}"], capture_output=True, text=True, check=True)
        places[part] = Path(shutil.which(found.stdout.strip()) or found.stdout.strip())
    (folder / "places").write_text("".join(f"{name} {place}\n" for name, place in places.items()))
    for name in places:
        (folder / name).symlink_to(wrapper)


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as f:
            return f.read(4) == b"\x7fELF" and os.access(path, os.X_OK)
    except OSError:
        return False


def task_workloads(work: Path) -> list[Workload]:
    """Processes, threads and signals."""
    tasks = str(work / "tasks")

    def per_task(key: str, title: str, n: int, limit: float, each: int = 1) -> Workload:
        """`each`: operations in one of the `n` rounds."""
        target = Target(f"≤ {limit:g} µs", limit, lambda s: s[LXRUN])
        work, idle = [tasks, key, str(n)], [tasks, key, "0"]
        return Workload(key, title, work, (target,), idle, n * each, runners=WITH_TASKS)

    def loop(key: str, title: str, count: int, program: list[str]) -> Workload:
        command = " ".join(program) + " > /dev/null"
        here = FORKS.format(count=count, command=command)
        there = FORKS.format(count=count, command=f"qemu-x86_64 {command}")
        shell = ["/bin/busybox", "sh", "-c"]
        target = ratio(0.5, QEMU)
        return Workload(key, title, [*shell, here], (target,), qemu_argv=[*shell, there], runners=WITH_TASKS)

    found = [
        loop("forkexec", "sh: 200 × fork and exec `busybox true`", 200, ["/bin/busybox", "true"]),
        loop("forkls", "sh: 100 × dynamic `ls /`", 100, ["/bin/ls", "/"]),
        per_task("fork", "fork and wait, 256 MB dirty", 1_000, 5000),
        per_task("thread", "thread: create and join", 4_000, 200),
        per_task("pingpong", "pipe ping-pong of two processes", 10_000, 60),
        per_task("keystroke", "keystroke and its echo, pty", 5_000, 1000),
        per_task("unixpong", "Unix-socket ping-pong of two processes", 10_000, 70),
        per_task("mutex", "mutex, uncontended", 3_000_000, 1),
        per_task("handover", "condition variable hand-over", 10_000, 40, each=2),
        per_task("signal", "signal to itself and back", 20_000, 40),
    ]
    if shutil.which("redis-benchmark"):
        sh = ["/bin/sh", "-c", REDIS, "redis"]
        target = Target("≥ 15,000 requests/s", 15_000, lambda s: 1e6 / s[LXRUN], at_least=True)
        title = "redis-benchmark GET, 50 clients, pipeline 16"
        found.append(Workload("redis", title, [*sh, "100000"], (target,), [*sh, "0"], 100_000, runners=(NATIVE, LXRUN)))
    if (programs := postgresql()) is not None:
        folder = work / "postgresql"
        there = f"cd {folder}; export PGHOST={folder} PGUSER=postgres PGDATABASE=postgres"
        user = AS_POSTGRES if os.geteuid() == 0 else []

        def pgbench(count: str, under: str = "") -> list[str]:
            return [*user, "/bin/sh", "-c", f"UNDER={under}; {there}; {PGBENCH.format(bin=programs)}", "sh", count]

        target = Target("≥ 0.35 × qemu-user's rate", 0.35, lambda s: s[QEMU] / s[LXRUN], (LXRUN, QEMU), at_least=True)
        found.append(
            Workload(
                "pgbench",
                "pgbench, select only, 4 clients",
                pgbench(COUNT),
                (target,),
                pgbench("0"),
                400,
                qemu_argv=pgbench(COUNT, shutil.which("qemu-x86_64") or "qemu-x86_64"),
                runners=WITH_TASKS,
                sizes={NATIVE: 20_000},
                prepare=lambda: fill_database(work, programs),
            )
        )
    if shutil.which("autoconf"):
        script = "rm -rf built; mkdir built; cd built; {more}exec {shell} ../configure --quiet {options}"
        under = f"export UNDER_QEMU={work}/under-qemu PATH={work}/under-qemu; "
        options = f"CONFIG_SHELL=dash CC='gcc -fno-use-linker-plugin -B{work}/under-qemu/'"
        sh = ["/bin/sh", "-c"]
        found.append(
            Workload(
                "configure",
                "`./configure` of a small package",
                [
                    *sh,
                    script.format(
                        more="", shell="/bin/dash", options="CONFIG_SHELL=/bin/dash CC='gcc -fno-use-linker-plugin'"
                    ),
                ],
                (ratio(1, QEMU),),
                qemu_argv=[*sh, script.format(more=under, shell="dash", options=options)],
                runners=WITH_TASKS,
            )
        )
    return found


def workloads(work: Path) -> list[Workload]:
    calls = str(work / "calls")
    compute = (ratio(2.5, QEMU), ratio(0.4, QILING))

    def per_call(key: str, title: str, kind: str, count: int, limit: float) -> Workload:
        target = Target(f"≤ {limit:g} µs", limit, lambda s: s[LXRUN])
        return Workload(key, title, [calls, kind, str(count)], (target,), [calls, kind, "0"], count)

    def rings(kind: str, title: str, count: int, *targets: Target) -> Workload:
        program = str(work / "uring")
        idle = [program, kind, "0"]
        return Workload(
            f"ring-{kind}", title, [program, kind, str(count)], targets, idle, count, runners=(NATIVE, LXRUN)
        )

    return [
        Workload(
            "start",
            "`busybox true`, whole process",
            ["/bin/busybox", "true"],
            (
                Target("≤ 120 ms", 0.120, lambda s: s[LXRUN]),
                ratio(0.6, QILING),
                Target("VM, booting: ≤ 4 s", 4, lambda s: s[VM_COLD], (VM_COLD,)),
                Target("VM, kept and resumed: ≤ 1 s", 1, lambda s: s[VM_WARM], (VM_WARM,)),
            ),
            runners=EVERY,
        ),
        Workload("cpu", "CRC-32, matrices, qsort in C", [str(work / "cpu")], compute),
        Workload("shell", "busybox sh, 200,000 iterations", ["/bin/busybox", "sh", "-c", SHELL], compute),
        Workload("sqlite", "sqlite3, 52,000 inserts", ["sqlite3", ":memory:", inserts()], compute),
        Workload("pidigits", "python3, 4,000 digits of pi", ["/usr/bin/python3", "-S", "-c", PIDIGITS], compute),
        Workload("chase", "8 M pointers through 128 MB", [str(work / "chase")], (ratio(2.5, NATIVE),)),
        per_call("getpid", "`getpid`", "getpid", 300_000, 4),
        per_call("time", "`clock_gettime`, vDSO", "time", 3_000_000, 0.5),
        per_call("pipe", "1-byte write and read, pipe", "pipe", 100_000, 12),
        per_call("epoll", "10 of 1,010 counters, epoll", "epoll", 3_000, 250),
        per_call("busy", "10 of 10 counters, epoll", "busy", 3_000, 250),
        per_call("file", "1-byte write and read, file", "file", 100_000, 12),
        rings("nop", "io_uring: NOP, 64 in a batch", 640_000, Target("≤ 4 µs", 4, lambda s: s[LXRUN])),
        rings("read", "io_uring: 4 KiB of a file, 64 in a batch", 64_000),
        Workload(
            "cat",
            "`cat` of 1 GiB to /dev/null",
            ["cat", "gibibyte"],
            (Target("≥ 1 GB/s", 1.0, lambda s: GIB / s[LXRUN] / 1e9, at_least=True),),
            bytes=GIB,
            warm=True,
        ),
        Workload("find", "`find /usr -type f`, warm", ["find", "/usr", "-type", "f"], (ratio(12, NATIVE),), warm=True),
        *task_workloads(work),
        *own_workloads(),
    ]


def own_workloads() -> list[Workload]:
    """What lxrun's own commands cost; all of them are native processes."""

    def repeated(backend: str) -> list[str]:
        program = [sys.executable, "-m", "lxrun", "--backend", backend, "/bin/busybox", "true"]
        return ["/bin/sh", "-c", REPEAT, "sh", *program]

    return [
        Workload(
            "auto",
            "`lxrun --backend auto` over `emulate`, `busybox true`",
            repeated("auto"),
            (Target("≤ 5 ms more", 5, lambda s: s[NATIVE] / 1e3, (NATIVE,)),),
            repeated("emulate"),
            10,
            runners=(NATIVE,),
        ),
        Workload(
            "conform",
            f"`lxconform`, {CASES:,} short cases, 2 jobs",
            [sys.executable, "-m", "conformance", "run", "cases", "--jobs", "2"],
            (Target("≥ 8 cases/s", 8, lambda s: CASES / s[NATIVE], (NATIVE,), at_least=True),),
            runners=(NATIVE,),
        ),
    ]


MEMORY_LIMIT_MB = 60.0
SLEEPER_KB_LIMIT = 150.0


def study_workloads(work: Path) -> list[Workload]:
    """What the trade-off study runs: each with an idle run, so that start and steady cost come apart.

    The sizes are for a second or so of work, a fraction of it natively.
    """
    cpu, calls, stream = (str(work / name) for name in ("cpu", "calls", "stream"))
    shell = ["/bin/busybox", "sh", "-c"]

    def counted(key: str, title: str, program: list[str], sizes: dict[str, int], size: int = 0) -> Workload:
        vms = {VM_COLD: sizes[VM_WARM]}
        return Workload(
            key, title, [*program, COUNT], (), [*program, "0"], 1, bytes=size, runners=EVERY, sizes={**sizes, **vms}
        )

    def sizes(native: int, lxrun: int, qemu: int, qiling: int, vm: int) -> dict[str, int]:
        return {NATIVE: native, LXRUN: lxrun, QEMU: qemu, QILING: qiling, VM_WARM: vm}

    def loop(key: str, title: str, command: str, counts: dict[str, int], qemu: str = "") -> Workload:
        """`command` in a loop of a shell."""
        counts = {**counts, VM_COLD: counts[VM_WARM]}
        here, idle = (FORKS.format(count=count, command=command) for count in (COUNT, 0))
        there = [*shell, FORKS.format(count=COUNT, command=qemu)] if qemu else None
        return Workload(key, title, [*shell, here], (), [*shell, idle], 1, qemu_argv=there, runners=EVERY, sizes=counts)

    mib = 1 << 20
    return [
        counted("cpu", "CRC-32, matrices, qsort in C, once", [cpu], sizes(2, 2, 2, 2, 2)),
        loop("shell", "one turn of a loop in busybox sh", ":", sizes(300_000, 20_000, 40_000, 500, 15_000)),
        counted("getpid", "`getpid`", [calls, "getpid"], sizes(3_000_000, 500_000, 2_000_000, 20_000, 2_000_000)),
        counted("stat", "`stat` of a file", [calls, "stat"], sizes(300_000, 30_000, 150_000, 10_000, 700)),
        counted(
            "pipe", "1-byte write and read, pipe", [calls, "pipe"], sizes(400_000, 100_000, 300_000, 10_000, 60_000)
        ),
        loop(
            "forkexec",
            "fork and exec of `busybox true`",
            "/bin/busybox true",
            sizes(500, 80, 150, 20, 50),
            qemu="qemu-x86_64 /bin/busybox true",
        ),
        counted("read", "1 MiB read from a file", [stream, "read"], sizes(4096, 1024, 4096, 256, 200), mib),
        counted("write", "1 MiB written to a file", [stream, "write"], sizes(2048, 1024, 2048, 256, 200), mib),
        counted("stream", "1 MiB through a pipe", [stream, "pipe"], sizes(1024, 256, 1024, 64, 64), mib),
    ]

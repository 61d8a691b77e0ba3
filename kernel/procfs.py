"""/proc: the root directory and what concerns the machine as a whole (proc(5)).

Processes are in kernel/procpid.py, tunables in kernel/sysctl.py.  Formats are those of Linux's fs/proc.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kernel import procmaps
from kernel.priority import CPUS
from kernel.procpid import PidDir, is_dead
from kernel.rusage import CLOCK_TICK_NS, load_averages
from vfs.pseudofs import PseudoDir, PseudoFs, PseudoLink, PseudoNode, TableDir, TextFile

if TYPE_CHECKING:
    from kernel.kernel import Kernel

PROC_SUPER_MAGIC = 0x9FA0
PROC_DEV = 0x15  # an anonymous device number, where Linux usually has it
NSEC = 1_000_000_000


def _hundredths(ns: int) -> str:
    return f"{ns // NSEC}.{ns % NSEC // 10_000_000:02d}"


def _busy_ns(kernel: Kernel) -> int:
    return min(kernel.clock.cpu_ns(), kernel.clock.boottime_ns())


def _idle_ns(kernel: Kernel) -> int:
    return CPUS * kernel.clock.boottime_ns() - _busy_ns(kernel)


def uptime(kernel: Kernel) -> bytes:
    return f"{_hundredths(kernel.clock.boottime_ns())} {_hundredths(_idle_ns(kernel))}\n".encode()


def loadavg(kernel: Kernel) -> bytes:
    one, five, fifteen = load_averages()
    return f"{one:.2f} {five:.2f} {fifteen:.2f} {_running(kernel)}/{len(kernel.tasks)} {kernel.last_pid}\n".encode()


def _running(kernel: Kernel) -> int:
    """nr_running: who reads this, and who waits for the CPU."""
    return 1 + len(kernel.run_queue.heap)


def version(kernel: Kernel) -> bytes:
    uts = kernel.uts
    return b"%b version %b (lxrun@lxrun) (Python) %b\n" % (uts.sysname, uts.release, uts.version)


def stat(kernel: Kernel) -> bytes:
    """/proc/stat."""
    clock = kernel.clock
    busy, idle = _busy_ns(kernel) // CLOCK_TICK_NS, _idle_ns(kernel) // CLOCK_TICK_NS
    boot = (clock.realtime_ns() - clock.boottime_ns()) // NSEC
    columns = f"{busy} 0 0 {idle} 0 0 0 0 0 0\n"
    text = f"cpu  {columns}"
    for cpu in range(CPUS):
        text += f"cpu{cpu} {columns}"
    text += (
        "intr 0\n"
        f"ctxt {kernel.run_queue.switches}\n"
        f"btime {boot}\n"
        f"processes {kernel.forks}\n"
        f"procs_running {_running(kernel)}\n"
        "procs_blocked 0\n"
        "softirq 0 0 0 0 0 0 0 0 0 0 0\n"
    )
    return text.encode()


class Memory:
    """Bytes of the guests' memory by use; what /proc/meminfo and its like report."""

    __slots__ = ("anonymous", "cached", "committed", "free", "mapped", "shmem", "tables", "total")

    def __init__(self, kernel: Kernel) -> None:
        self.total = kernel.memory_limit
        used = kernel.arena.used_bytes
        self.anonymous = self.mapped = self.shmem = self.tables = 0
        spaces = {id(task.mm): task.mm for task in kernel.tasks.values() if not is_dead(task)}
        for mm in spaces.values():
            now = procmaps.total_resident(mm)
            self.anonymous += now.anonymous
            self.mapped += now.file + now.shmem
            self.shmem += now.shmem
            self.tables += 4096 * (2 + len({number >> 9 for number in mm.pages}))
        self.cached = max(0, used - self.anonymous)
        self.free = max(0, self.total - used)
        self.committed = kernel.committed * 4096


def meminfo(kernel: Kernel) -> bytes:
    """/proc/meminfo."""
    now = Memory(kernel)
    file_cache = max(0, now.cached - now.shmem)
    rows = (
        ("MemTotal", now.total),
        ("MemFree", now.free),
        ("MemAvailable", now.free + file_cache),
        ("Buffers", 0),
        ("Cached", now.cached),
        ("SwapCached", 0),
        ("Active", now.anonymous),
        ("Inactive", file_cache),
        ("Active(anon)", now.anonymous),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", file_cache),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Zswap", 0),
        ("Zswapped", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", now.anonymous),
        ("Mapped", now.mapped),
        ("Shmem", now.shmem),
        ("KReclaimable", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("KernelStack", 0),
        ("PageTables", now.tables),
        ("SecPageTables", 0),
        ("NFS_Unstable", 0),
        ("Bounce", 0),
        ("WritebackTmp", 0),
        ("CommitLimit", now.total // 2),
        ("Committed_AS", now.committed),
        ("VmallocTotal", 34359738367 << 10),
        ("VmallocUsed", 0),
        ("VmallocChunk", 0),
        ("Percpu", 0),
        ("AnonHugePages", 0),
        ("ShmemHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FileHugePages", 0),
        ("FilePmdMapped", 0),
    )
    text = "".join([f"{name + ':':<16}{size >> 10:>8} kB\n" for name, size in rows])
    text += "".join([f"{'HugePages_' + name + ':':<16}{0:>8}\n" for name in ("Total", "Free", "Rsvd", "Surp")])
    text += "Hugepagesize:       2048 kB\nHugetlb:               0 kB\n"
    return text.encode()


def vmstat(kernel: Kernel) -> bytes:
    """/proc/vmstat: what can be counted."""
    now = Memory(kernel)
    tasks = [task for task in kernel.tasks.values() if not is_dead(task)]
    major = sum(task.mm.major_faults for task in tasks)
    rows = (
        ("nr_free_pages", now.free >> 12),
        ("nr_inactive_anon", 0),
        ("nr_active_anon", now.anonymous >> 12),
        ("nr_inactive_file", max(0, now.cached - now.shmem) >> 12),
        ("nr_active_file", 0),
        ("nr_anon_pages", now.anonymous >> 12),
        ("nr_mapped", now.mapped >> 12),
        ("nr_file_pages", now.cached >> 12),
        ("nr_dirty", 0),
        ("nr_writeback", 0),
        ("nr_shmem", now.shmem >> 12),
        ("nr_page_table_pages", now.tables >> 12),
        ("pgpgin", 0),
        ("pgpgout", 0),
        ("pswpin", 0),
        ("pswpout", 0),
        ("pgfault", major + sum(task.mm.minor_faults for task in tasks)),
        ("pgmajfault", major),
        ("oom_kill", 0),
    )
    return "".join([f"{name} {value}\n" for name, value in rows]).encode()


def interrupts(kernel: Kernel) -> bytes:
    head = "           " + "".join([f"CPU{cpu:<8}" for cpu in range(CPUS)]) + "\n"
    names = (("NMI", "Non-maskable interrupts"), ("LOC", "Local timer interrupts"), ("RES", "Rescheduling interrupts"))
    rows = [f"{name}: " + f"{0:>10} " * CPUS + f"  {text}\n" for name, text in names]
    return (head + "".join(rows) + "ERR:          0\nMIS:          0\n").encode()


def softirqs(kernel: Kernel) -> bytes:
    names = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU")
    head = "                    " + "".join([f"CPU{cpu:<8}" for cpu in range(CPUS)]) + "\n"
    return (head + "".join([f"{name:>12}:" + f" {0:>10}" * CPUS + "\n" for name in names])).encode()


def cpuinfo(kernel: Kernel) -> bytes:
    """/proc/cpuinfo, whose format is the architecture's."""
    from emu.probe import identity

    text: bytes = identity(kernel.arch).text(CPUS)
    return text


FILESYSTEMS = (b"sysfs", b"tmpfs", b"proc", b"devtmpfs", b"pipefs", b"devpts", b"mqueue", b"ext4")
_ON_DEVICES = (b"ext4",)

_FIXED = {
    b"cgroups": b"#subsys_name\thierarchy\tnum_cgroups\tenabled\n",
    b"cmdline": b"BOOT_IMAGE=lxrun\n",
    b"consoles": b"",
    b"devices": b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\n"
    b"Block devices:\n",
    b"diskstats": b"",
    b"execdomains": b"0-0\tLinux           \t[kernel]\n",
    b"filesystems": b"".join([b"%b\t%b\n" % (b"" if name in _ON_DEVICES else b"nodev", name) for name in FILESYSTEMS]),
    b"misc": b"",
    b"modules": b"",
    b"partitions": b"major minor  #blocks  name\n\n",
    b"swaps": b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
}
_TTY_DRIVERS = b"""\
/dev/tty             /dev/tty        5       0 system:/dev/tty
/dev/console         /dev/console    5       1 system:console
/dev/ptmx            /dev/ptmx       5       2 system
pty_slave            /dev/pts      136 0-1048575 pty:slave
pty_master           /dev/ptm      128 0-1048575 pty:master
"""
_SYSVIPC = {
    b"msg": b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
    b"      stime      rtime      ctime\n",
    b"sem": b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
    b"shm": b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
    b"      atime      dtime      ctime                   rss                  swap\n",
}
_TEXTS: dict[bytes, Callable[[Kernel], bytes]] = {
    b"cpuinfo": cpuinfo,
    b"interrupts": interrupts,
    b"loadavg": loadavg,
    b"locks": lambda kernel: kernel.current.files.locks.text(),
    b"meminfo": meminfo,
    b"softirqs": softirqs,
    b"stat": stat,
    b"uptime": uptime,
    b"version": version,
    b"vmstat": vmstat,
}


def _fixed(text: bytes) -> TextFile:
    return TextFile(lambda: text)


def _sysvipc(kernel: Kernel, name: bytes) -> TextFile:
    """One kind of System V objects (sysvipc_proc_show): the heading, then a line for each."""
    return TextFile(lambda: _SYSVIPC[name] + kernel.ipc.kind(name).rows())


def _table(texts: dict[bytes, bytes]) -> TableDir:
    return TableDir({name: _fixed(text) for name, text in texts.items()})


class ProcRoot(PseudoDir):
    """The root of /proc: fixed names, then a directory per process."""

    __slots__ = ("fixed", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.fixed: dict[bytes, Callable[[], PseudoNode]] = {
            **{name: lambda text=text: _fixed(text) for name, text in _FIXED.items()},  # type: ignore[misc]
            **{name: lambda make=make: TextFile(lambda: make(kernel)) for name, make in _TEXTS.items()},  # type: ignore[misc]
            b"fs": lambda: TableDir({}),
            b"mounts": lambda: PseudoLink(b"self/mounts"),
            b"net": lambda: PseudoLink(b"self/net"),
            b"self": lambda: PseudoLink(self.self_text),
            b"sys": self.make_sys,
            b"sysvipc": lambda: TableDir({name: _sysvipc(kernel, name) for name in _SYSVIPC}),
            b"thread-self": lambda: PseudoLink(self.thread_self_text),
            b"tty": lambda: _table({b"drivers": _TTY_DRIVERS, b"ldiscs": b"n_tty       0\n"}),
        }

    def self_text(self) -> bytes:
        return b"%d" % self.kernel.current.tgid

    def thread_self_text(self) -> bytes:
        task = self.kernel.current
        return b"%d/task/%d" % (task.tgid, task.tid)

    def make_sys(self) -> PseudoNode:
        from kernel.sysctl import make_sys

        return make_sys(self.kernel)

    def names(self) -> Iterable[bytes]:
        tasks = self.kernel.tasks
        processes = [b"%d" % tid for tid in sorted(tasks) if tasks[tid].tgid == tid]
        return [*sorted(self.fixed), *processes]

    def make(self, name: bytes) -> PseudoNode | None:
        maker = self.fixed.get(name)
        if maker is not None:
            return maker()
        if name.isdigit() and name[:1] != b"0":
            task = self.kernel.tasks.get(int(name))
            if task is not None:
                return PidDir(task)
        return None

    def nlink(self) -> int:
        return 6 + sum(task.tgid == task.tid for task in self.kernel.tasks.values())


def make_procfs(kernel: Kernel) -> PseudoDir:
    """The root of a procfs.  Nothing can be made in it: names that are not there are ENOENT."""
    from errno import ENOENT

    fs = PseudoFs(PROC_SUPER_MAGIC, PROC_DEV, kernel.clock.realtime_ns, absent=ENOENT)
    return fs.root(ProcRoot(kernel))

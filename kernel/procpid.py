"""/proc/PID: what a task tells about itself (proc_pid_*(5)).

Every file is a line in `PROCESS_FILES` or `THREAD_FILES`; formats are those of Linux's fs/proc.  A file of
a task that has gone gives ESRCH.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from emu.engine import PAGE_SHIFT, PAGE_SIZE
from kernel import procmaps
from kernel.cred import CAP_SYS_NICE, CAP_SYS_RESOURCE
from kernel.posix_timers import SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID
from kernel.priority import CPUS
from kernel.procfd import FdDir, FdInfo, FdLink, MapFilesDir, TaskLink, directory_owner, path_link, task_owner
from kernel.procmem import MemFile, PagemapFile, PidFile
from kernel.procmounts import mountinfo, mounts, mountstats
from kernel.ptrace import FSCREDS, check_access, ptrace_may_access
from kernel.rlimit import LIMITS, RLIM_INFINITY, RLIMIT_RSS, RLIMIT_SIGPENDING, get_rlimit
from kernel.rusage import CLOCK_TICK_NS, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, peak_rss, usage
from kernel.task import Again
from vfs.anon import AnonNode
from vfs.file import O_ACCMODE, O_RDONLY, File
from vfs.node import Path, Stat
from vfs.pseudofs import PseudoDir, PseudoNode, TextFile

if TYPE_CHECKING:
    from kernel.task import Task

TASK_COMM_LEN = 16
COREDUMP_FILTER_MASK = 0x1FF  # MMF_DUMP_FILTER_MASK
NSFS_DEV, NSFS_MAGIC = 4, 0x6E736673
_NOTIFY = {SIGEV_SIGNAL: b"signal", SIGEV_NONE: b"none", SIGEV_THREAD: b"thread"}
# The inode numbers of Linux's initial namespaces (enum init_ns_ino).
NAMESPACES = {
    b"cgroup": 0xEFFFFFFB,
    b"ipc": 0xEFFFFFFF,
    b"mnt": 0xEFFFFFF8,
    b"net": 0xEFFFFFF9,
    b"pid": 0xEFFFFFFC,
    b"pid_for_children": 0xEFFFFFFC,
    b"time": 0xEFFFFFFA,
    b"time_for_children": 0xEFFFFFFA,
    b"user": 0xEFFFFFFD,
    b"uts": 0xEFFFFFFE,
}


def threads(task: Task) -> list[Task]:
    """All threads of the task's process, in order of their ids."""
    return sorted(task.signals.shared.threads, key=lambda thread: thread.tid)


def state(task: Task) -> str:
    """The letter and word of the State line."""
    if task.zombie:
        return "Z (zombie)"
    if task.stopped:
        return "T (stopped)"
    if task.ptrace is not None and task.ptrace.stopped:
        return "t (tracing stop)"
    if task.ready or task is task.kernel.current:
        return "R (running)"
    return "D (disk sleep)" if task.waiting is not None and task.waiting[2] else "S (sleeping)"


def terminal(task: Task) -> tuple[int, int]:
    """(tty_nr, tpgid): the controlling terminal and the process group in its foreground, (0, -1) without one."""
    tty = task.signals.shared.tty
    if tty is None or not tty.rdev:
        return 0, -1
    major, minor = procmaps.device_numbers(tty.rdev)
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12, tty.pgrp or -1


def is_dead(task: Task) -> bool:
    return task.exit_status is not None


# Text files


def stat(task: Task, who: int = RUSAGE_SELF) -> bytes:
    """/proc/PID/stat, or with RUSAGE_THREAD /proc/PID/task/TID/stat."""
    mm, signals = task.mm, task.signals
    own, children = usage(task, who), usage(task, RUSAGE_CHILDREN)
    ignored, caught = signal_dispositions(task)
    dead = task.zombie
    permitted = ptrace_may_access(task.kernel.current, task, FSCREDS)
    shown = permitted and not dead
    exit_code = task.stop_report >> 8 if task.stopped else task.exit_status or 0
    size = 0 if dead else procmaps.sizes(mm).total * PAGE_SIZE
    rss = 0 if dead else procmaps.total_resident(mm).rss >> PAGE_SHIFT
    ranges = (*mm.data_range, mm.brk_start, *task.arg_range, *task.env_range) if shown else (0,) * 7
    sched = task.sched
    realtime = sched.rt_priority
    numbers = (
        task.ppid, task.pgid, task.sid, *terminal(task), 0,  # the last: flags
        own.minflt, children.minflt, own.majflt, children.majflt,
        own.utime // CLOCK_TICK_NS, own.stime // CLOCK_TICK_NS,
        children.utime // CLOCK_TICK_NS, children.stime // CLOCK_TICK_NS,
        -1 - realtime if realtime else 20 + sched.nice, sched.nice, len(threads(task)), 0,
        task.start_ns // CLOCK_TICK_NS, size, rss, get_rlimit(task, RLIMIT_RSS)[0],
        *(mm.code_range if shown else (0, 0) if dead else (1, 1)), mm.stack_start if shown else 0, 0, 0,
        signals.pending.mask & 0x7FFFFFFF, signals.blocked & 0x7FFFFFFF, ignored & 0x7FFFFFFF, caught & 0x7FFFFFFF,
        int(permitted and state(task)[0] != "R"), 0, 0, task.exit_signal, 0,  # wchan, nswap, cnswap, ..., processor
        realtime, sched.policy, 0, 0, 0,
        *ranges,
        exit_code if permitted else 0,
    )  # fmt: skip
    return (
        b"%d (%b) %b " % (task.tid, task.comm, state(task)[0].encode()) + " ".join(map(str, numbers)).encode() + b"\n"
    )


def statm(task: Task) -> bytes:
    return procmaps.statm(task.mm)


def signal_dispositions(task: Task) -> tuple[int, int]:
    """The sets of ignored and of caught signals."""
    ignored = caught = 0
    for signo, action in enumerate(task.signals.actions):
        if action.handler == 1:
            ignored |= 1 << (signo - 1)
        elif action.handler and signo:
            caught |= 1 << (signo - 1)
    return ignored, caught


def status(task: Task) -> bytes:
    """/proc/PID/status."""
    cred, signals = task.cred, task.signals
    ignored, caught = signal_dispositions(task)
    name = task.comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").decode("latin-1")
    queued = len(signals.pending.queue) + len(signals.shared.pending.queue)
    text = (
        f"Name:\t{name}\n"
        f"{'' if task.zombie else f'Umask:{chr(9)}{task.fs.umask:04o}{chr(10)}'}"
        f"State:\t{state(task)}\n"
        f"Tgid:\t{task.tgid}\n"
        "Ngid:\t0\n"
        f"Pid:\t{task.tid}\n"
        f"PPid:\t{task.ppid}\n"
        f"TracerPid:\t{task.ptrace.tracer.tid if task.ptrace is not None and task.ptrace.tracer is not None else 0}\n"
        f"Uid:\t{cred.uid}\t{cred.euid}\t{cred.suid}\t{cred.fsuid}\n"
        f"Gid:\t{cred.gid}\t{cred.egid}\t{cred.sgid}\t{cred.fsgid}\n"
        f"FDSize:\t{0 if task.zombie else task.files.capacity}\n"
        f"Groups:\t{' '.join(map(str, cred.groups))} \n"
        f"NStgid:\t{task.tgid}\n"
        f"NSpid:\t{task.tid}\n"
        f"NSpgid:\t{task.pgid}\n"
        f"NSsid:\t{task.sid}\n"
        "Kthread:\t0\n"
        f"{'' if task.zombie else memory_status(task)}"
        f"Threads:\t{len(threads(task))}\n"
        f"SigQ:\t{queued}/{get_rlimit(task, RLIMIT_SIGPENDING)[0]}\n"
        f"SigPnd:\t{signals.pending.mask:016x}\n"
        f"ShdPnd:\t{signals.shared.pending.mask:016x}\n"
        f"SigBlk:\t{signals.blocked:016x}\n"
        f"SigIgn:\t{ignored:016x}\n"
        f"SigCgt:\t{caught:016x}\n"
        f"CapInh:\t{cred.cap_inheritable:016x}\n"
        f"CapPrm:\t{cred.cap_permitted:016x}\n"
        f"CapEff:\t{cred.cap_effective:016x}\n"
        f"CapBnd:\t{cred.cap_bounding:016x}\n"
        f"CapAmb:\t{cred.cap_ambient:016x}\n"
        f"NoNewPrivs:\t{int(task.no_new_privs)}\n"
        f"Seccomp:\t{task.seccomp.mode if task.seccomp else 0}\n"
        f"Seccomp_filters:\t{task.seccomp.filter_count if task.seccomp else 0}\n"
        "Speculation_Store_Bypass:\tnot vulnerable\n"
        "SpeculationIndirectBranch:\tnot affected\n"
        f"Cpus_allowed:\t{(1 << CPUS) - 1:x}\n"
        f"Cpus_allowed_list:\t{cpu_list()}\n"
        "Mems_allowed:\t00000000,00000001\n"
        "Mems_allowed_list:\t0\n"
        f"voluntary_ctxt_switches:\t{task.usage.nvcsw}\n"
        f"nonvoluntary_ctxt_switches:\t{task.usage.nivcsw}\n"
    )
    return text.encode("latin-1")


def memory_status(task: Task) -> str:
    """The lines of status that a process without memory lacks."""
    return (
        f"{procmaps.status_lines(task.mm, peak_rss(task.mm))}"
        "CoreDumping:\t0\n"
        f"THP_enabled:\t{int(not task.thp_disable)}\n"
        "untag_mask:\t0xffffffffffffffff\n"
    )


def cpu_list() -> str:
    """The processors in the notation of cpuset(7)."""
    return "0" if CPUS == 1 else f"0-{CPUS - 1}"


def cmdline(task: Task) -> bytes:
    """/proc/PID/cmdline.  A program that wrote over the NUL at the end of its arguments (setproctitle)
    has them read on into its environment."""
    start, end = task.arg_range
    text = task.mm.read(start, end - start)
    if text and text[-1]:
        env_start, env_end = task.env_range
        text += task.mm.read(env_start, env_end - env_start)
        text = text.split(b"\0", 1)[0]
    return text


def environ(task: Task) -> bytes:
    start, end = task.env_range
    return task.mm.read(start, end - start)


def auxv(task: Task) -> bytes:
    return task.auxv


def comm(task: Task) -> bytes:
    return task.comm + b"\n"


def set_comm(task: Task, data: bytes) -> None:
    current = task.kernel.current
    if current.tgid != task.tgid:
        raise OSError(errno.EINVAL, "another process")
    task.comm = data[: TASK_COMM_LEN - 1].split(b"\0", 1)[0]


def limits(task: Task) -> bytes:
    """/proc/PID/limits."""
    lines = [b"%-25s %-20s %-20s %-10s\n" % (b"Limit", b"Soft Limit", b"Hard Limit", b"Units")]
    for number, (*_, text, unit) in enumerate(LIMITS):
        soft, hard = (b"unlimited" if v == RLIM_INFINITY else b"%d" % v for v in get_rlimit(task, number))
        lines.append(b"%-25s %-20s %-20s %b\n" % (text, soft, hard, unit.ljust(10) if unit else b""))
    return b"".join(lines)


def io(task: Task) -> bytes:
    """/proc/PID/io.  What reaches a disk is the host's to know."""
    check_access(task.kernel.current, task, FSCREDS, errno.EACCES)
    return b"rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n" % (
        task.read_bytes,
        task.write_bytes,
        task.read_calls,
        task.write_calls,
    )


def wchan(task: Task) -> bytes:
    """/proc/PID/wchan: the function of the kernel, which is lxrun, that the task sleeps in."""
    if not ptrace_may_access(task.kernel.current, task, FSCREDS) or state(task)[0] in "RZ":
        return b"0"
    if task.stopped:
        return b"do_signal_stop"
    if task.ptrace is not None and task.ptrace.stopped:
        return b"ptrace_stop"
    call = task.call
    while getattr(call, "cr_await", None) is not None and _function(call.cr_await) not in _SLEEPS:
        call = call.cr_await
    return b"0" if call is None else _function(call).encode()


def _function(call: Any) -> str:
    """The name of a suspended coroutine's function."""
    if isinstance(call, Again):
        attempt: Any = call.attempt
        return str(getattr(attempt, "func", attempt).__qualname__).partition(".")[0]
    code = call.gi_code if isinstance(call, GeneratorType) else call.cr_code
    name: str = code.co_name
    return name


_SLEEPS = ("wait", "wait_uninterruptible", "_yield")  # Task's own: everything sleeps in these


def syscall(task: Task) -> bytes:
    """/proc/PID/syscall: number, arguments, stack pointer and program counter of a task that is in a call, or
    is stopped outside of one."""
    kernel = task.kernel
    check_access(kernel.current, task, FSCREDS)
    names = (*kernel.arch.CALL_REGISTERS, kernel.arch.SP, kernel.arch.PC)
    if task is kernel.current:
        number, *arguments, sp, pc = kernel.cpu.read(names)
    elif task.zombie or task.context is None:
        return b"-1 0x0 0x0\n"
    elif task.ready:
        return b"running\n"
    else:
        number, *arguments, sp, pc = kernel.cpu.read_saved(task.context, names)
    if task.call is None and task is not kernel.current:
        return b"-1 0x%x 0x%x\n" % (sp, pc)
    return b"%d %b 0x%x 0x%x\n" % (number, b" ".join([b"0x%x" % word for word in arguments]), sp, pc)


def schedstat(task: Task) -> bytes:
    """/proc/PID/schedstat: time on the CPU, time waited for it (not measured), and how often it got it."""
    own = usage(task, RUSAGE_THREAD)
    return b"%d 0 %d\n" % (own.runtime, 1 + own.nvcsw + own.nivcsw)


def sched(task: Task) -> bytes:
    """/proc/PID/sched: of a thread's figures those that mean something here.  Times are in milliseconds."""
    own = usage(task, RUSAGE_THREAD)
    attributes = task.sched
    priority = 99 - attributes.rt_priority if attributes.rt_priority else 120 + attributes.nice

    def millis(ns: int) -> str:
        return f"{ns // 1_000_000}.{ns % 1_000_000:06d}"

    rows = (
        ("se.vruntime", millis(task.vruntime)),
        ("se.sum_exec_runtime", millis(own.runtime)),
        ("nr_switches", own.nvcsw + own.nivcsw),
        ("nr_voluntary_switches", own.nvcsw),
        ("nr_involuntary_switches", own.nivcsw),
        ("se.load.weight", attributes.weight << 10),
        ("policy", attributes.policy),
        ("prio", priority),
    )
    head = f"{task.comm.decode('latin-1')} ({task.tid}, #threads: {len(threads(task))})\n" + "-" * 67 + "\n"
    return (head + "".join([f"{name:<45}:{value:>21}\n" for name, value in rows])).encode("latin-1")


def children(task: Task) -> bytes:
    """/proc/PID/task/TID/children."""
    mine = [child.tgid for child in task.signals.shared.children if child.parent is task]
    return b"".join([b"%d " % pid for pid in mine])


def personality(task: Task) -> bytes:
    check_access(task.kernel.current, task, FSCREDS)
    return b"%08x\n" % task.personality


def oom_score(task: Task) -> bytes:
    """/proc/PID/oom_score: how much of memory the process uses, from 0 to 2000 (proc_oom_score)."""
    total = max(1, task.kernel.memory_limit >> PAGE_SHIFT)
    points = task.mm.present() + task.oom_score_adj * total // 1000
    if task.oom_score_adj == -1000:
        return b"0\n"
    return b"%d\n" % max(0, (1000 + points * 1000 // total) * 2 // 3)


def oom_score_adj(task: Task) -> bytes:
    return b"%d\n" % task.oom_score_adj


def _number(data: bytes) -> int:
    try:
        return int(data.strip(b"\0 \t\n"), 0)
    except ValueError:
        raise OSError(errno.EINVAL, "not a number") from None


def set_oom_score_adj(task: Task, data: bytes) -> None:
    value = _number(data)
    if not -1000 <= value <= 1000:
        raise OSError(errno.EINVAL, "out of range")
    privileged = task.kernel.current.cred.capable(CAP_SYS_RESOURCE)
    if value < task.oom_score_adj_min and not privileged:
        raise OSError(errno.EACCES, "needs CAP_SYS_RESOURCE")
    for thread in threads(task):
        thread.oom_score_adj = value
        if privileged:
            thread.oom_score_adj_min = value


def timers(task: Task) -> bytes:
    """/proc/PID/timers: the POSIX timers, the newest first."""
    text = b""
    for timer in reversed(task.signals.shared.posix_timers.values()):
        to = b"tid" if timer.notify & SIGEV_THREAD_ID else b"pid"
        text += (
            b"ID: %d\n" % timer.number
            + b"signal: %d/%016x\n" % (timer.signo, timer.value)
            + b"notify: %b/%b.%d\n" % (_NOTIFY[timer.notify & ~SIGEV_THREAD_ID], to, timer.target.tid)
            + b"ClockID: %d\n" % timer.clock_id
        )
    return text


def coredump_filter(task: Task) -> bytes:
    return b"%08x\n" % task.mm.coredump_filter


def set_coredump_filter(task: Task, data: bytes) -> None:
    task.mm.coredump_filter = _number(data) & COREDUMP_FILTER_MASK


def timerslack(task: Task) -> bytes:
    _may_change_slack(task)
    return b"%d\n" % task.timer_slack_ns


def _may_change_slack(task: Task) -> None:
    current = task.kernel.current
    if task is not current and not current.cred.capable(CAP_SYS_NICE):
        raise OSError(errno.EPERM, "needs CAP_SYS_NICE")


def set_timerslack(task: Task, data: bytes) -> None:
    _may_change_slack(task)
    task.timer_slack_ns = _number(data) or task.default_timer_slack_ns


def fixed(text: bytes) -> Callable[[Task], bytes]:
    """Contents that are the same for every task."""
    return lambda task: text


# Directories


class NsNode(AnonNode):
    """A namespace.  It can be opened and held, not read."""

    __slots__ = ()

    def open(self, flags: int, name: bytes) -> File:
        if flags & O_ACCMODE != O_RDONLY:
            raise OSError(errno.EPERM, "namespaces are not written")
        return File(self, flags, name)


class NsDir(PseudoDir):
    """/proc/PID/ns: the initial namespaces, the only ones there are."""

    __slots__ = ("task",)

    def __init__(self, task: Task) -> None:
        super().__init__(0o511, partial(task_owner, task))
        self.task = task

    def names(self) -> Iterable[bytes]:
        return NAMESPACES

    def make(self, name: bytes) -> PseudoNode | None:
        number = NAMESPACES.get(name)
        if number is None:
            return None
        text = b"%b:[%d]" % (name.partition(b"_")[0], number)
        node = NsNode(Stat(0o100444, number, NSFS_DEV), NSFS_MAGIC)
        path = Path(self.task.kernel.mounts.root, node, text)

        def there() -> Path:
            if self.task.zombie and name != b"user":  # kept by its credentials
                raise OSError(errno.ENOENT, "nothing there")
            return path

        return TaskLink(self.task, lambda: there().text, there, self.owner)


class TaskDir(PseudoDir):
    """/proc/PID/task: one directory per thread."""

    __slots__ = ("task",)

    def __init__(self, task: Task) -> None:
        super().__init__(0o555, partial(directory_owner, task))
        self.task = task

    def names(self) -> Iterable[bytes]:
        return [b"%d" % thread.tid for thread in threads(self.task)]

    def make(self, name: bytes) -> PseudoNode | None:
        for thread in threads(self.task):
            if name == b"%d" % thread.tid:
                return PidDir(thread, thread_only=True)
        return None

    def nlink(self) -> int:
        return 2 + len(threads(self.task))


class PidDir(PseudoDir):
    """/proc/PID, or, with `thread_only`, /proc/PID/task/TID."""

    __slots__ = ("contents", "task")

    def __init__(self, task: Task, thread_only: bool = False) -> None:
        super().__init__(0o555, partial(directory_owner, task))
        self.task = task
        self.contents = THREAD_FILES if thread_only else PROCESS_FILES

    def alive(self) -> bool:
        return self.task.kernel.tasks.get(self.task.tid) is self.task

    def names(self) -> Iterable[bytes]:
        return self.contents

    def make(self, name: bytes) -> PseudoNode | None:
        maker = self.contents.get(name)
        return None if maker is None else maker(self.task)

    def lookup(self, name: bytes) -> PseudoNode:
        if not self.alive():
            raise OSError(errno.ENOENT, "the task is gone")
        return super().lookup(name)

    def nlink(self) -> int:
        return 9 if self.contents is PROCESS_FILES else 8


class GuardedFile(TextFile):
    """A text file that `check` may refuse to open."""

    __slots__ = ("check",)

    def __init__(
        self,
        check: Callable[[], None],
        text: Callable[[], bytes],
        store: Callable[[bytes], None] | None,
        mode: int,
        owner: Callable[[], tuple[int, int]],
        *,
        end: int | None,
    ) -> None:
        super().__init__(text, store, mode, owner, end=end)
        self.check = check

    def open(self, flags: int, name: bytes) -> File:
        self.check()
        return super().open(flags, name)


Maker = Callable[["Task"], PseudoNode]


def _text(
    text: Callable[[Task], bytes],
    mode: int = 0o444,
    store: Callable[[Task, bytes], None] | None = None,
    without_mm: bytes | int | None = None,
    end: int | None = None,
    guarded: bool = False,
    perfmon: bool = False,
) -> Maker:
    """A text file.  `without_mm` is what it holds for a dead task, where that lacks what it is about, or the
    error of opening it then; `guarded`: only who may look into the task can open it, or with `perfmon` who may
    observe every task."""

    def make(task: Task) -> PseudoNode:
        def contents() -> bytes:
            if task.kernel.tasks.get(task.tid) is not task:
                raise OSError(errno.ESRCH, "the task is gone")
            if type(without_mm) is bytes and is_dead(task):
                return without_mm
            return text(task)

        def check() -> None:
            if guarded and not (perfmon and task.kernel.current.cred.perfmon_capable()):
                check_access(task.kernel.current, task, FSCREDS, errno.EACCES)
            if type(without_mm) is int and is_dead(task):
                raise OSError(without_mm, "the task has ended")

        return GuardedFile(check, contents, store and partial(store, task), mode, partial(task_owner, task), end=end)

    return make


def _net(task: Task) -> PseudoNode:
    from kernel.procnet import make_net

    return make_net(task.kernel)


_COMMON: dict[bytes, Maker] = {
    b"auxv": _text(auxv, 0o400, without_mm=errno.ESRCH, end=0, guarded=True),
    b"cgroup": _text(fixed(b"0::/\n")),
    b"cmdline": _text(cmdline, without_mm=b"", end=0),
    b"comm": _text(comm, 0o644, set_comm),
    b"cpuset": _text(fixed(b"/\n")),
    b"cwd": lambda task: path_link(task, lambda: task.fs.cwd),
    b"environ": _text(environ, 0o400, without_mm=errno.ESRCH, end=0, guarded=True),
    b"exe": lambda task: path_link(task, lambda: task.exe),
    b"fd": lambda task: FdDir(task, 0o500, FdLink),
    b"fdinfo": lambda task: FdDir(task, 0o555, FdInfo),
    b"gid_map": _text(fixed(b"         0          0 4294967295\n")),
    b"io": _text(io, 0o400),
    b"limits": _text(limits),
    b"loginuid": _text(fixed(b"4294967295")),
    b"maps": _text(lambda task: procmaps.maps(task.mm), without_mm=b"", guarded=True, perfmon=True),
    b"mem": lambda task: PidFile(task, 0o600, MemFile, partial(task_owner, task)),
    b"mountinfo": _text(mountinfo, without_mm=errno.EINVAL),
    b"mounts": _text(mounts, without_mm=errno.EINVAL),
    b"net": _net,
    b"ns": NsDir,
    b"oom_score": _text(oom_score),
    b"oom_score_adj": _text(oom_score_adj, 0o644, set_oom_score_adj),
    b"pagemap": lambda task: PidFile(task, 0o400, PagemapFile, partial(task_owner, task)),
    b"personality": _text(personality, 0o400),
    b"projid_map": _text(fixed(b"         0          0 4294967295\n")),
    b"root": lambda task: path_link(task, lambda: task.fs.root),
    b"sched": _text(sched),
    b"schedstat": _text(schedstat),
    b"sessionid": _text(fixed(b"4294967295")),
    b"setgroups": _text(fixed(b"allow\n")),
    b"smaps": _text(lambda task: procmaps.smaps(task.mm), without_mm=b"", guarded=True, perfmon=True),
    b"smaps_rollup": _text(
        lambda task: procmaps.smaps_rollup(task.mm), without_mm=errno.ESRCH, guarded=True, perfmon=True
    ),
    b"stat": _text(stat),
    b"statm": _text(statm, without_mm=b"0 0 0 0 0 0 0\n"),
    b"status": _text(status),
    b"syscall": _text(syscall, 0o400),
    b"uid_map": _text(fixed(b"         0          0 4294967295\n")),
    b"wchan": _text(wchan),
}

PROCESS_FILES: dict[bytes, Maker] = dict(
    sorted(
        {
            **_COMMON,
            b"coredump_filter": _text(coredump_filter, 0o644, set_coredump_filter, without_mm=b""),
            b"map_files": MapFilesDir,
            b"mountstats": _text(mountstats, 0o400, without_mm=errno.EINVAL),
            b"task": TaskDir,
            b"timens_offsets": _text(fixed(b"monotonic           0         0\nboottime            0         0\n")),
            b"timers": _text(timers, guarded=True),
            b"timerslack_ns": _text(timerslack, 0o666, set_timerslack),
        }.items()
    )
)
THREAD_FILES: dict[bytes, Maker] = {
    **_COMMON,
    b"children": _text(children),
    b"stat": _text(partial(stat, who=RUSAGE_THREAD)),
}

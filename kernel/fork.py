"""Making processes and threads: Linux's ``kernel/fork.c``, fork(2), vfork(2), clone(2)."""

from __future__ import annotations

import errno
from collections.abc import Coroutine
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from emu.engine import WRITE
from kernel import entry, ptrace
from kernel.cred import CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from kernel.pid import pidfd_open
from kernel.posix_cpu_timers import update_rlimit_cpu
from kernel.semundo import copy_semundo
from kernel.task import FsContext, Task

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.mm import AddressSpace

CSIGNAL = 0xFF
CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND = 0x100, 0x200, 0x400, 0x800
CLONE_PIDFD, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT = 0x1000, 0x2000, 0x4000, 0x8000
CLONE_THREAD, CLONE_NEWNS, CLONE_SYSVSEM, CLONE_SETTLS = 0x10000, 0x20000, 0x40000, 0x80000
CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID, CLONE_DETACHED = 0x100000, 0x200000, 0x400000
CLONE_UNTRACED, CLONE_CHILD_SETTID, CLONE_IO = 0x800000, 0x1000000, 0x80000000
CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP = 0x1_0000_0000, 0x2_0000_0000
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
NAMESPACES = 0x7E02_0000 | 0x80  # CLONE_NEW*
_KNOWN = (
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD | CLONE_PTRACE | CLONE_VFORK | CLONE_PARENT
    | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_UNTRACED
    | CLONE_CHILD_SETTID | CLONE_IO | CLONE_CLEAR_SIGHAND | CLONE_THREAD
)  # fmt: skip
RLIMIT_NPROC = 6
PID_MAX = 32768
SIGCHLD = 17


def next_pid(kernel: Kernel) -> int:
    """alloc_pid: the next free number, upwards, then again from 2.  Raises OSError(EAGAIN)."""
    for _ in range(PID_MAX):
        kernel.last_pid = kernel.last_pid % (PID_MAX - 1) + 1
        pid = kernel.last_pid
        if pid > 1 and pid not in kernel.tasks:
            return pid
    raise OSError(errno.EAGAIN, "no free process number")


class CloneArgs(NamedTuple):
    """struct kernel_clone_args.  `parent_tid`, `child_tid` and `pidfd` are where the numbers go, if the flags say
    so; without `stack` and `tls` a child goes on with its parent's."""

    flags: int = 0
    exit_signal: int = 0
    stack: int = 0
    tls: int | None = None
    parent_tid: int = 0
    child_tid: int = 0
    pidfd: int = 0


@lru_cache(64)
def check_flags(flags: int) -> None:
    """What does not go together, and what is not done.  Raises OSError EINVAL, EPERM (namespaces)."""
    thread = flags & CLONE_THREAD
    if (flags & CLONE_SIGHAND and not flags & CLONE_VM) or (thread and not flags & CLONE_SIGHAND):
        raise OSError(errno.EINVAL, "shared handlers need shared memory, threads need both")
    if flags & CLONE_CLEAR_SIGHAND and flags & CLONE_SIGHAND:
        raise OSError(errno.EINVAL, "contradictory flags")
    if (flags & CLONE_FS and flags & (CLONE_NEWNS | CLONE_NEWUSER)) or (
        thread and flags & (CLONE_NEWUSER | CLONE_NEWPID)
    ):
        raise OSError(errno.EINVAL, "a new namespace, but shared with those of the old one")
    if flags & NAMESPACES:
        raise OSError(errno.EPERM, "no new namespaces")
    if flags & ~_KNOWN:
        raise OSError(errno.EINVAL, "unknown flags")


def copy_process(parent: Task, args: CloneArgs) -> Task:
    """A new process or thread, ready to run: what the flags say is shared with its parent, the rest is a copy.

    The parent's registers are on the CPU.  Raises OSError EINVAL, EPERM (namespaces), EAGAIN
    (RLIMIT_NPROC), ENOMEM, EFAULT.
    """
    kernel = parent.kernel
    flags = args.flags
    thread = bool(flags & CLONE_THREAD)
    check_flags(flags)
    if flags & CLONE_PARENT and parent.tgid == 1:
        raise OSError(errno.EINVAL, "the first process has no siblings")
    if len(kernel.tasks) >= kernel.max_threads:
        raise OSError(errno.EAGAIN, "threads-max")
    limit = parent.rlimits[RLIMIT_NPROC][0]
    cred = parent.cred
    if (
        cred.uid
        and sum(other.cred.uid == cred.uid for other in kernel.tasks.values()) >= limit
        and not (cred.capable(CAP_SYS_RESOURCE) or cred.capable(CAP_SYS_ADMIN))
    ):
        raise OSError(errno.EAGAIN, "RLIMIT_NPROC")
    if flags & CLONE_PIDFD:  # what can fail about it, before anything is made
        parent.files.unused()
        parent.mm.spans(args.pidfd, 4, WRITE)
    pid = next_pid(kernel)
    rlimits = parent.rlimits if thread else dict(parent.rlimits)
    if flags & CLONE_VM:
        mm = parent.mm
        mm.users += 1
    else:
        mm = parent.mm.fork(rlimits)
    files = parent.files
    if flags & CLONE_FILES:
        files.users += 1
    else:
        files = files.fork()
    fs = parent.fs if flags & CLONE_FS else FsContext(parent.fs.root, parent.fs.cwd, parent.fs.umask)
    if thread:
        signals = parent.signals.new_thread()
    else:
        signals = parent.signals.fork()
        if flags & CLONE_SIGHAND:
            signals.hand = parent.signals.hand
        elif flags & CLONE_CLEAR_SIGHAND:
            signals.clear_handlers()
        if flags & CLONE_VM and not flags & CLONE_VFORK:
            signals.altstack.reset()
    sibling = thread or bool(flags & CLONE_PARENT)
    real_parent = parent.parent if sibling else parent
    child = Task(
        kernel, pid, parent.tgid if thread else pid, real_parent.tgid if real_parent is not None else 0,
        parent.pgid, parent.sid, mm, files, fs, parent.cred, signals, rlimits=rlimits, sched=parent.sched.fork(),
    )  # fmt: skip
    child.comm, child.exe, child.auxv = parent.comm, parent.exe, parent.auxv
    child.arg_range, child.env_range = parent.arg_range, parent.env_range
    child.personality, child.no_new_privs, child.seccomp = parent.personality, parent.no_new_privs, parent.seccomp
    child.oom_score_adj, child.oom_score_adj_min = parent.oom_score_adj, parent.oom_score_adj_min
    child.mce_kill, child.io_flusher, child.thp_disable = parent.mce_kill, parent.io_flusher, parent.thp_disable
    child.timer_slack_ns = parent.timer_slack_ns
    child.forked = True
    child.default_timer_slack_ns = parent.timer_slack_ns
    child.start_ns = kernel.clock.boottime_ns()
    child.parent = real_parent
    if not thread:
        child.exit_signal = parent.signals.shared.leader.exit_signal if sibling else args.exit_signal
        assert real_parent is not None
        real_parent.signals.shared.children.append(child)
    if parent.syscall_work:
        child.syscall_work = parent.syscall_work & entry.SECCOMP
    if not flags & CLONE_VM:
        child.rseq = parent.rseq
    if flags & CLONE_SYSVSEM:
        copy_semundo(parent, child)
    if flags & CLONE_CHILD_CLEARTID:
        child.clear_child_tid = args.child_tid
    kernel.tasks[pid] = child
    child.context = kernel.cpu.new_context()
    kernel.cpu.save(child.context)
    child.pending_registers = kernel.arch.child_registers(args.stack, args.tls)
    if flags & CLONE_PIDFD:
        parent.mm.put_u32(args.pidfd, parent.files.install(pidfd_open(kernel, pid, 0), cloexec=True))
    if flags & CLONE_PARENT_SETTID:
        _tell_number(parent.mm, args.parent_tid, pid)
    if flags & CLONE_CHILD_SETTID:
        _tell_number(mm, args.child_tid, pid)
    if not thread:
        update_rlimit_cpu(child)
    kernel.forks += 1
    kernel.run_queue.place_child(parent, child)
    kernel.make_ready(child)
    return child


def _tell_number(mm: AddressSpace, address: int, pid: int) -> None:
    """As on Linux, that this fails undoes nothing."""
    try:
        mm.put_u32(address, pid)
    except OSError:
        pass


def clone(parent: Task, args: CloneArgs) -> int | Coroutine[Any, Any, int]:
    """kernel_clone: the new process's number, for vfork only once the child has let go of the memory.  Raises as
    `copy_process`."""
    kernel = parent.kernel
    leave, go_on = kernel.leave_call, kernel.cpu.go_on
    if (
        args.flags & CLONE_VFORK
        or parent.ptrace is not None
        or leave is None
        or go_on is None
        or not kernel.run_queue.guest_began
    ):
        return _clone(parent, args)
    leave(0)  # within the trap: so that the child begins behind the call
    try:
        return copy_process(parent, args).tid
    finally:
        go_on()


async def _clone(parent: Task, args: CloneArgs) -> int:
    child = copy_process(parent, args)
    tid = child.tid
    if args.flags & CLONE_VFORK:
        child.vfork_parent = parent
    if parent.ptrace is not None:
        await _trace(parent, child, args)
    if args.flags & CLONE_VFORK:
        # Killable only: nothing but the child's exec or end wakes the parent.
        await parent.wait_uninterruptible(child.vfork_done, lambda: child.vfork_parent is None)
        if parent.ptrace is not None:
            await ptrace.event(parent, ptrace.PTRACE_EVENT_VFORK_DONE, tid)
    return tid


async def _trace(parent: Task, child: Task, args: CloneArgs) -> None:
    """Have the tracer of `parent` trace what it makes, too, if it wants to, and tell it."""
    if args.flags & CLONE_VFORK:
        event = ptrace.PTRACE_EVENT_VFORK
    elif args.flags & CLONE_THREAD or args.exit_signal != SIGCHLD:
        event = ptrace.PTRACE_EVENT_CLONE
    else:
        event = ptrace.PTRACE_EVENT_FORK
    assert parent.ptrace is not None
    wanted = not args.flags & CLONE_UNTRACED and parent.ptrace.wants(event)
    if wanted or args.flags & CLONE_PTRACE:
        ptrace.init_child(parent, child)
    if wanted:
        await ptrace.event(parent, event, child.tid)

"""Processes: fork, vfork, clone, wait4, waitid."""

from __future__ import annotations

import errno
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from kernel import exit as end
from kernel import siginfo
from kernel.fork import (
    CLONE_DETACHED,
    CLONE_FILES,
    CLONE_FS,
    CLONE_INTO_CGROUP,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    CSIGNAL,
    NAMESPACES,
    CloneArgs,
    clone,
)
from kernel.rusage import RUSAGE_BOTH, usage
from kernel.task import FsContext
from syscalls.abi import Int, Ptr, Result, ULong
from syscalls.pidfd import pidfd
from syscalls.structs import RUSAGE
from vfs.file import O_NONBLOCK

if TYPE_CHECKING:
    from kernel.task import Task

SIGCHLD = 17
NSIG = 64
P_ALL, P_PID, P_PGID, P_PIDFD = range(4)
_CLONE_ARGS = Struct("<11Q")  # flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, ...
_CLONE_ARGS_V0 = 64
_MAX_PID_NS_LEVEL = 32
_PAGE_SIZE = 4096
_SIGINFO_BYTES = 28  # up to si_status: the rest of a caller's siginfo_t waitid(2) leaves as it is


def sys_fork(t: Task) -> Result:
    """fork(2)."""
    return clone(t, CloneArgs(exit_signal=SIGCHLD))


def sys_vfork(t: Task) -> Result:
    """vfork(2)."""
    return clone(t, CloneArgs(CLONE_VFORK | CLONE_VM, SIGCHLD))


def sys_clone(t: Task, flags: ULong, stack: Ptr, parent_tid: Ptr, child_tid: Ptr, tls: ULong) -> Result:
    """clone(2), with the argument order of x86-64, arm64 and riscv."""
    if flags & CLONE_PIDFD and flags & (CLONE_PARENT_SETTID | CLONE_DETACHED):
        raise OSError(errno.EINVAL, "a process descriptor takes the place of the number")
    thread_area = tls if flags & CLONE_SETTLS else None
    args = CloneArgs(flags & 0xFFFF_FF00, flags & CSIGNAL, stack, thread_area, parent_tid, child_tid, parent_tid)
    return clone(t, args)


def sys_clone3(t: Task, args: Ptr, size: ULong) -> Result:
    """clone3(2)."""
    if size < _CLONE_ARGS_V0:
        raise OSError(errno.EINVAL, "no struct clone_args is that short")
    if size > _PAGE_SIZE:
        raise OSError(errno.E2BIG, "no struct clone_args is that long")
    raw = t.mm.read(args, size)
    if size != _CLONE_ARGS.size:
        if any(raw[_CLONE_ARGS.size :]):
            raise OSError(errno.E2BIG, "fields of a newer kernel")
        raw = raw[: _CLONE_ARGS.size].ljust(_CLONE_ARGS.size, b"\0")
    flags, pidfd, child_tid, parent_tid, signo, stack, stack_size, tls, *rest = _CLONE_ARGS.unpack(raw)
    set_tid, set_tid_size, _ = rest
    if flags & (CLONE_DETACHED | CSIGNAL) or signo > NSIG or bool(stack) != bool(stack_size):
        raise OSError(errno.EINVAL, "flags, signal or stack")
    if signo and flags & (CLONE_THREAD | CLONE_PARENT):
        raise OSError(errno.EINVAL, "threads and siblings end as their process and sibling does")
    if flags & CLONE_PIDFD and flags & CLONE_PARENT_SETTID and pidfd == parent_tid:
        raise OSError(errno.EINVAL, "two things in one place")
    if bool(set_tid) != bool(set_tid_size) or set_tid_size > _MAX_PID_NS_LEVEL:
        raise OSError(errno.EINVAL, "one number for each namespace of numbers")
    if set_tid or flags & CLONE_INTO_CGROUP:
        raise OSError(errno.EPERM, "numbers and control groups are not chosen here")
    thread_area = tls if flags & CLONE_SETTLS else None
    return clone(t, CloneArgs(flags, signo, stack + stack_size, thread_area, parent_tid, child_tid, pidfd))


def sys_unshare(t: Task, flags: ULong) -> int:
    """unshare(2): a table of descriptors, a working directory and umask of one's own."""
    if flags & ~(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | NAMESPACES):
        return -errno.EINVAL
    if flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) and (t.signals.shared.live > 1 or t.mm.users > 1):
        return -errno.EINVAL
    if flags & NAMESPACES:
        return -errno.EPERM
    if flags & CLONE_SYSVSEM and t.undo_list is not None:
        t.undo_list.exit(t)
    if flags & CLONE_FS:
        t.fs = FsContext(t.fs.root, t.fs.cwd, t.fs.umask)
    if flags & CLONE_FILES:
        t.files.unshare(t)
    return 0


def _selector(t: Task, pid: int) -> Callable[[Task], bool]:
    """Which children wait4(2) means."""
    if pid == -1:
        return lambda child: True
    if pid > 0:
        return lambda child: child.tid == pid
    group = -pid or t.pgid
    return lambda child: child.pgid == group


async def sys_wait4(t: Task, pid: Int, status: Ptr, options: Int, rusage: Ptr) -> int:
    """wait4(2)."""
    known = end.WNOHANG | end.WUNTRACED | end.WCONTINUED | end.WNOTHREAD | end.WALL | end.WCLONE
    if options & 0xFFFF_FFFF & ~known:
        raise OSError(errno.EINVAL, "unknown option")
    if pid == -(1 << 31):
        raise OSError(errno.ESRCH, "no such group")
    found = await end.wait(t, _selector(t, pid), options | end.WEXITED)
    if found is None:
        return 0
    child, word, _ = found
    if status:
        t.mm.put_u32(status, word)
    if rusage:
        t.mm.pack(RUSAGE, rusage, *usage(child, RUSAGE_BOTH).pack())
    return child.tid


async def sys_waitid(t: Task, which: Int, upid: Int, info: Ptr, options: Int, rusage: Ptr) -> int:
    """waitid(2)."""
    without_waiting = 0
    events = end.WEXITED | end.WUNTRACED | end.WCONTINUED
    known = events | end.WNOHANG | end.WNOWAIT | end.WNOTHREAD | end.WALL | end.WCLONE
    if options & 0xFFFF_FFFF & ~known or not options & events:
        raise OSError(errno.EINVAL, "options")
    if which == P_ALL:
        wanted = _selector(t, -1)
    elif which == P_PID and upid > 0:
        wanted = _selector(t, upid)
    elif which == P_PGID and upid >= 0:
        wanted = _selector(t, -upid)
    elif which == P_PIDFD and upid >= 0:
        file = pidfd(t, upid)
        wanted = _selector(t, file.pid.number) if file.pid.task() is not None else lambda child: False
        without_waiting = not options & end.WNOHANG and file.flags & O_NONBLOCK
    else:
        raise OSError(errno.EINVAL, "no such kind of child")
    found = await end.wait(t, wanted, options | end.WNOHANG if without_waiting else options)
    if found is None:
        if without_waiting:
            raise OSError(errno.EAGAIN, "nothing has changed")
        if info:
            t.mm.write(info, bytes(_SIGINFO_BYTES))
        return 0
    child, word, trapped = found
    if word == end.CONTINUED_STATUS:
        code, value = end.CLD_CONTINUED, 18
    elif word & 0xFF == 0x7F:
        code, value = end.CLD_TRAPPED if trapped else end.CLD_STOPPED, word >> 8
    else:
        code, value = end.exit_code(word)
    if rusage:
        t.mm.pack(RUSAGE, rusage, *usage(child, RUSAGE_BOTH).pack())
    if info:
        t.mm.write(info, siginfo.child(SIGCHLD, code, child.tid, child.cred.uid, value, 0, 0).pack()[:_SIGINFO_BYTES])
    return 0

"""What the system says about itself, resource limits and usage."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.engine import WRITE
from kernel.cred import CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from kernel.posix_cpu_timers import update_rlimit_cpu
from kernel.priority import CPUS
from kernel.rlimit import RLIMIT_CPU, get_rlimit, set_rlimit
from kernel.rusage import (
    CLOCK_TICK_NS,
    RUSAGE_CHILDREN,
    RUSAGE_SELF,
    RUSAGE_THREAD,
    load_averages,
    usage,
)
from kernel.uts import NAME_MAX, Uts
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from syscalls.structs import RLIMIT, RUSAGE, SYSINFO, TMS, UTSNAME

if TYPE_CHECKING:
    from kernel.task import Task

GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE = 1, 2, 4
UNAME26 = 0x0020000
PER_MASK, PER_LINUX32 = 0xFF, 8
_RANDOM_PIECE = 1 << 20


def sys_uname(t: Task, buffer: Ptr) -> int:
    """uname(2)."""
    uts = t.kernel.uts
    release = b"2.6.60" + uts.release[4:] if t.personality & UNAME26 else uts.release
    machine = b"i686" if t.personality & PER_MASK == PER_LINUX32 else uts.machine
    t.mm.pack(UTSNAME, buffer, uts.sysname, uts.nodename, release, uts.version, machine, uts.domainname)
    return 0


def _new_name(t: Task, name: int, length: int) -> bytes:
    if not t.cred.capable(CAP_SYS_ADMIN):
        raise OSError(errno.EPERM, "needs CAP_SYS_ADMIN")
    if not 0 <= length <= NAME_MAX:
        raise OSError(errno.EINVAL, "bad length")
    return Uts.checked(t.mm.read(name, length))


def sys_sethostname(t: Task, name: Ptr, length: Int) -> int:
    """sethostname(2): the guests' name, never the host's."""
    t.kernel.uts.nodename = _new_name(t, name, length)
    return 0


def sys_setdomainname(t: Task, name: Ptr, length: Int) -> int:
    """setdomainname(2)."""
    t.kernel.uts.domainname = _new_name(t, name, length)
    return 0


def sys_sysinfo(t: Task, info: Ptr) -> int:
    """sysinfo(2); the memory unit is one byte."""
    total = t.kernel.memory_limit
    loads = [int(load * 65536) for load in load_averages()]
    uptime = -(-t.kernel.clock.boottime_ns() // 1_000_000_000)
    free = total - t.kernel.arena.used_bytes
    t.mm.pack(SYSINFO, info, uptime, *loads, total, free, 0, 0, 0, 0, len(t.kernel.tasks), 0, 0, 1)
    return 0


def sys_getrusage(t: Task, who: Int, buffer: Ptr) -> int:
    """getrusage(2)."""
    if who not in (RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD):
        raise OSError(errno.EINVAL, "bad who")
    t.mm.pack(RUSAGE, buffer, *usage(t, who).pack())
    return 0


def sys_times(t: Task, buffer: Ptr) -> int:
    """times(2): clock ticks since boot."""
    if buffer:
        own, children = usage(t), usage(t, RUSAGE_CHILDREN)
        times = (own.utime, own.stime, children.utime, children.stime)
        t.mm.pack(TMS, buffer, *[time // CLOCK_TICK_NS for time in times])
    return t.kernel.clock.boottime_ns() // CLOCK_TICK_NS


# Limits


def _limits_of(t: Task, pid: int) -> Task:
    target = t if pid == 0 else t.kernel.tasks.get(pid)
    if target is None:
        raise OSError(errno.ESRCH, "no such process")
    mine, theirs = t.cred, target.cred
    if (
        target is not t
        and not mine.capable(CAP_SYS_RESOURCE)
        and (
            {theirs.uid, theirs.euid, theirs.suid} != {mine.uid} or {theirs.gid, theirs.egid, theirs.sgid} != {mine.gid}
        )
    ):
        raise OSError(errno.EPERM, "not its owner")
    return target


def _set_rlimit(target: Task, resource: int, soft: int, hard: int, by: Task) -> None:
    set_rlimit(target, resource, soft, hard, by)
    if resource == RLIMIT_CPU:
        update_rlimit_cpu(target)


def sys_prlimit64(t: Task, pid: Int, resource: UInt, new: Ptr, old: Ptr) -> int:
    """prlimit64(2)."""
    wanted = t.mm.unpack(RLIMIT, new) if new else None
    target = _limits_of(t, pid)
    before = get_rlimit(target, resource)
    if wanted is not None:
        _set_rlimit(target, resource, wanted[0], wanted[1], t)
    if old:
        t.mm.pack(RLIMIT, old, *before)
    return 0


def sys_getrlimit(t: Task, resource: UInt, limit: Ptr) -> int:
    """getrlimit(2)."""
    t.mm.pack(RLIMIT, limit, *get_rlimit(t, resource))
    return 0


def sys_setrlimit(t: Task, resource: UInt, limit: Ptr) -> int:
    """setrlimit(2)."""
    soft, hard = t.mm.unpack(RLIMIT, limit)
    _set_rlimit(t, resource, soft, hard, t)
    return 0


# The rest


def sys_getcpu(t: Task, cpu: Ptr, node: Ptr, cache: Ptr) -> int:
    """getcpu(2): there is one processor and one node."""
    if cpu:
        t.mm.put_u32(cpu, CPUS - 1)
    if node:
        t.mm.put_u32(node, 0)
    return 0


def sys_getrandom(t: Task, buffer: Ptr, length: ULong, flags: UInt) -> int:
    """getrandom(2): the pool is always ready, so this never waits."""
    if flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) or flags & 6 == 6:
        raise OSError(errno.EINVAL, "bad flags")
    length = min(length, 0x7FFFF000)
    done = 0
    while done < length:  # in pieces: a guest may ask for 2 GiB
        step = min(length - done, _RANDOM_PIECE)
        try:
            spans = t.mm.spans(buffer + done, step, WRITE)
        except OSError:
            if done:
                break
            raise
        for span in spans:
            span[:] = t.kernel.entropy.bytes(len(span))
            step -= len(span)
            done += len(span)
        if step:
            break
    return done


def sys_personality(t: Task, persona: UInt) -> Result:
    """personality(2): 0xffffffff asks without changing."""
    old = t.personality
    if persona != 0xFFFFFFFF:
        t.personality = persona
    return old

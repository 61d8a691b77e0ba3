"""Resource limits: Linux's ``struct rlimit`` of a process, getrlimit(2).

Limits are pairs (soft, hard) under Linux's resource numbers.  They are enforced where the resource is
given out; the soft RLIMIT_NOFILE is kept in the descriptor table too, which looks at it on every open.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.cred import CAP_SYS_RESOURCE

if TYPE_CHECKING:
    from kernel.task import Task

RLIM_INFINITY = (1 << 64) - 1

# asm-generic/resource.h, in order of the numbers: name, Linux's default at boot (soft, hard), and the
# description and unit that /proc/PID/limits prints.
_INF = RLIM_INFINITY
LIMITS: tuple[tuple[str, int, int, bytes, bytes], ...] = (
    ("RLIMIT_CPU", _INF, _INF, b"Max cpu time", b"seconds"),
    ("RLIMIT_FSIZE", _INF, _INF, b"Max file size", b"bytes"),
    ("RLIMIT_DATA", _INF, _INF, b"Max data size", b"bytes"),
    ("RLIMIT_STACK", 8 << 20, _INF, b"Max stack size", b"bytes"),
    ("RLIMIT_CORE", 0, _INF, b"Max core file size", b"bytes"),
    ("RLIMIT_RSS", _INF, _INF, b"Max resident set", b"bytes"),
    ("RLIMIT_NPROC", 32768, 32768, b"Max processes", b"processes"),
    ("RLIMIT_NOFILE", 1024, 4096, b"Max open files", b"files"),
    ("RLIMIT_MEMLOCK", 8 << 20, 8 << 20, b"Max locked memory", b"bytes"),
    ("RLIMIT_AS", _INF, _INF, b"Max address space", b"bytes"),
    ("RLIMIT_LOCKS", _INF, _INF, b"Max file locks", b"locks"),
    ("RLIMIT_SIGPENDING", 32768, 32768, b"Max pending signals", b"signals"),
    ("RLIMIT_MSGQUEUE", 819200, 819200, b"Max msgqueue size", b"bytes"),
    ("RLIMIT_NICE", 0, 0, b"Max nice priority", b""),
    ("RLIMIT_RTPRIO", 0, 0, b"Max realtime priority", b""),
    ("RLIMIT_RTTIME", _INF, _INF, b"Max realtime timeout", b"us"),
)
RLIM_NLIMITS = len(LIMITS)

RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE = range(8)
RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE = range(8, 14)
RLIMIT_RTPRIO, RLIMIT_RTTIME = 14, 15

NR_OPEN = 1 << 20
"""fs.nr_open: the highest RLIMIT_NOFILE."""


def initial_rlimits() -> dict[int, tuple[int, int]]:
    """The limits lxrun itself was started with, by name; Linux's own defaults where the host has none."""
    limits = {number: (soft, hard) for number, (_, soft, hard, _, _) in enumerate(LIMITS)}
    try:
        import resource
    except ImportError:  # the host is no Unix
        return limits
    for number, line in enumerate(LIMITS):
        host_number = getattr(resource, line[0], None)
        if host_number is not None:
            soft, hard = resource.getrlimit(host_number)
            limits[number] = (soft & _INF, hard & _INF) if resource.RLIM_INFINITY == -1 else (soft, hard)
    return limits


def get_rlimit(task: Task, resource: int) -> tuple[int, int]:
    """(soft, hard).  EINVAL for a resource Linux does not have."""
    if resource >= RLIM_NLIMITS:
        raise OSError(errno.EINVAL, "no such resource")
    return task.rlimits.get(resource, (_INF, _INF))


def set_rlimit(task: Task, resource: int, soft: int, hard: int, by: Task) -> None:
    """Set a limit of `task` on behalf of `by`.  Raises EINVAL, and EPERM for raising the hard limit
    without CAP_SYS_RESOURCE."""
    _, old_hard = get_rlimit(task, resource)
    if soft > hard:
        raise OSError(errno.EINVAL, "soft limit above the hard one")
    if resource == RLIMIT_NOFILE and hard > NR_OPEN:
        raise OSError(errno.EPERM, "above fs.nr_open")
    if hard > old_hard and not by.cred.capable(CAP_SYS_RESOURCE):
        raise OSError(errno.EPERM, "hard limit may only fall")
    task.rlimits[resource] = (soft, hard)
    if resource == RLIMIT_NOFILE:
        task.files.limit = soft

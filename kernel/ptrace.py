"""Who may look into whom: Linux's ``ptrace_may_access()`` of ``kernel/ptrace.c``, ptrace(2), "Ptrace access
mode checking".

Everything that shows one process the inside of another asks here: /proc/PID/{mem,environ,maps,fd,exe,...},
process_vm_readv(2), kcmp(2), pidfd_getfd(2), get_robust_list(2), process_madvise(2).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.cred import CAP_SYS_PTRACE

if TYPE_CHECKING:
    from kernel.task import Task

# Which credentials of the caller count: those for file access, or the real ids.  Linux tells reading from
# attaching as well, for the security modules that lxrun does not have.
FSCREDS, REALCREDS = 8, 16

SUID_DUMP_USER = 1


def ptrace_may_access(task: Task, target: Task, mode: int) -> bool:
    """Whether `task` may look into `target`: the same user in every respect, who has no fewer rights, unless
    the target must not be dumped; or CAP_SYS_PTRACE.  `mode` is FSCREDS or REALCREDS."""
    if task.tgid == target.tgid:
        return True
    mine, theirs = task.cred, target.cred
    if mine.capable(CAP_SYS_PTRACE):
        return True
    uid, gid, capabilities = (
        (mine.fsuid, mine.fsgid, mine.cap_effective) if mode & FSCREDS else (mine.uid, mine.gid, mine.cap_permitted)
    )
    return (
        uid == theirs.euid == theirs.suid == theirs.uid
        and gid == theirs.egid == theirs.sgid == theirs.gid
        and (target.zombie or target.mm.dumpable == SUID_DUMP_USER)
        and not theirs.cap_permitted & ~capabilities
    )


def check_access(task: Task, target: Task, mode: int, code: int = errno.EPERM) -> None:
    """Raise OSError(`code`) unless `task` may look into `target`."""
    if not ptrace_may_access(task, target, mode):
        raise OSError(code, "another user's process, or one that must not be dumped")

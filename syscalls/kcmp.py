"""kcmp(2): whether two processes share something."""

from __future__ import annotations

import errno
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from kernel.ptrace import REALCREDS, check_access
from syscalls.abi import Int, ULong

if TYPE_CHECKING:
    from kernel.task import Task

FILE, VM, FILES, FS, SIGHAND, IO, SYSVSEM, EPOLL_TFD = range(8)
_EPOLL_SLOT = Struct("<III")  # struct kcmp_epoll_slot: epoll's descriptor, the one in it, and which of those
_WORD = (1 << 64) - 1


def sys_kcmp(t: Task, pid1: Int, pid2: Int, kind: Int, index1: ULong, index2: ULong) -> int:
    """kcmp(2): 0 the same, 1 and 2 an order between different ones, which means nothing but is always the same."""
    first, second = t.kernel.tasks.get(pid1), t.kernel.tasks.get(pid2)
    if first is None or second is None:
        return -errno.ESRCH
    check_access(t, first, REALCREDS)
    check_access(t, second, REALCREDS)
    if kind == FILE:
        return _order(t, _file(first, index1), _file(second, index2))
    if kind == EPOLL_TFD:
        return _epoll_target(t, first, second, index1, index2)
    if kind not in _SHARED:
        return -errno.EINVAL
    return _order(t, _SHARED[kind](first), _SHARED[kind](second))


def _file(task: Task, fd: int) -> object:
    """The description behind a descriptor.  Raises OSError(EBADF), as for all of a process that ended."""
    if task.zombie:
        raise OSError(errno.EBADF, "the process has ended")
    return task.files.get(fd & 0xFFFF_FFFF)


def _epoll_target(t: Task, first: Task, second: Task, fd: int, slot: int) -> int:
    """KCMP_EPOLL_TFD.  Raises OSError EFAULT, EBADF, EINVAL (no epoll descriptor)."""
    efd, _, _ = t.mm.unpack(_EPOLL_SLOT, slot)
    _file(first, fd)
    _file(second, efd)
    raise OSError(errno.EINVAL, "not an epoll descriptor")


# What a task shares, None where it has nothing of the kind: two that have nothing are alike.  Nobody has an
# I/O context (Linux gives one to who sets a priority).
_SHARED: dict[int, Callable[[Task], object]] = {
    VM: lambda task: None if task.zombie else task.mm,
    FILES: lambda task: None if task.zombie else task.files,
    FS: lambda task: None if task.zombie else task.fs,
    SIGHAND: lambda task: task.signals.hand,
    IO: lambda task: None,
    SYSVSEM: lambda task: task.undo_list,
}


def _order(t: Task, a: object, b: object) -> int:
    """kcmp_ptr: objects by their places in memory, mixed with a secret so that those stay unknown."""
    if a is b:
        return 0
    secret = t.kernel.kcmp_cookie
    return 1 if _mixed(a, secret) < _mixed(b, secret) else 2


def _mixed(thing: object, secret: int) -> int:
    return 0 if thing is None else ((id(thing) ^ secret) * (secret | 1)) & _WORD

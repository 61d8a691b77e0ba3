"""The rings of a task."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.io_uring.request import IoUringTask
from kernel.io_uring.ring import IoRing

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File

MAX_RING_FDS = 16  # IO_RINGFD_REG_MAX


def uring_task(t: Task) -> IoUringTask:
    """The task's own part of it, made when it first has anything to do with a ring."""
    if t.io_uring is None:
        t.io_uring = IoUringTask()
    return t.io_uring


def free_ring_index(uring: IoUringTask) -> int:
    """A place among a task's registered rings.  Raises OSError(EBUSY)."""
    for index in range(MAX_RING_FDS):
        if index not in uring.registered:
            return index
    raise OSError(errno.EBUSY, "no more rings can be registered")


def find_ring(t: Task, fd: int, registered: bool) -> IoRing:
    """The ring behind a descriptor, or an index of those the task has registered.  Raises OSError(EBADF,
    EINVAL, EOPNOTSUPP)."""
    if registered:
        if t.io_uring is None or not 0 <= fd < MAX_RING_FDS:
            raise OSError(errno.EINVAL, "no such index")
        ring = t.io_uring.registered.get(fd)
        if ring is None:
            raise OSError(errno.EBADF, "no ring is registered there")
        return ring
    file: File = t.files.get(fd)
    if not isinstance(file, IoRing):
        raise OSError(errno.EOPNOTSUPP, "not a ring")
    return file

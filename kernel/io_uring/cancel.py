"""Cancelling requests: by what they are called, by file, by task (io_uring/cancel.c)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.task_work import task_work_run

if TYPE_CHECKING:
    from kernel.io_uring.request import Request
    from kernel.io_uring.ring import IoRing
    from kernel.task import Task
    from vfs.file import File

(
    IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_FD, IORING_ASYNC_CANCEL_ANY, IORING_ASYNC_CANCEL_FD_FIXED,
    IORING_ASYNC_CANCEL_USERDATA, IORING_ASYNC_CANCEL_OP,
) = (1 << bit for bit in range(6))  # fmt: skip
CANCEL_FLAGS = (1 << 6) - 1


class Match:
    """struct io_cancel_data: which requests are meant."""

    __slots__ = ("file", "flags", "opcode", "user_data")

    def __init__(self, flags: int, user_data: int, opcode: int = 0, file: File | None = None) -> None:
        self.flags = flags
        self.user_data = user_data
        self.opcode = opcode
        self.file = file

    def __call__(self, request: Request) -> bool:
        """io_cancel_req_match."""
        flags = self.flags
        if flags & IORING_ASYNC_CANCEL_ANY:
            return True
        by_user_data = bool(flags & IORING_ASYNC_CANCEL_USERDATA)
        if not flags & (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP):
            by_user_data = True
        if flags & IORING_ASYNC_CANCEL_FD and request.file is not self.file:
            return False
        if flags & IORING_ASYNC_CANCEL_OP and request.opcode != self.opcode:
            return False
        return not by_user_data or request.user_data == self.user_data


def cancel(ring: IoRing, match: Match, but: Request | None = None) -> int:
    """Cancel the oldest request that matches, or all of them (__io_async_cancel): how many, or 0 for the one.
    Raises OSError(ENOENT, EALREADY)."""
    every = match.flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)
    count = 0
    busy = False
    for request in tuple(ring.requests):
        if request is but or not match(request):
            continue
        if request.cancel():
            count += 1
        else:
            busy = True
        if not every:
            break
    if every:
        return count
    if not count:
        raise OSError(errno.EALREADY if busy else errno.ENOENT, "nothing to cancel")
    return 0


def cancel_task(task: Task) -> None:
    """io_uring_cancel_generic: the task ends or executes another program, and its requests end with it.  Others
    may share its rings, and find their completions."""
    uring = task.io_uring
    assert uring is not None
    uring.dying = True
    rings: dict[IoRing, None] = {}
    while uring.requests or task.task_works or any(ring.works for ring in rings):
        for request in tuple(uring.requests):
            rings[request.ring] = None
            if not request.cancel():
                request.abandon()
        for ring in rings:
            for waiting in tuple(ring.deferred):
                if waiting.task is task:
                    ring.deferred.remove(waiting)
                    ring.deferred_size -= waiting.chain_size
                    waiting.complete_later(-errno.ECANCELED)
            if ring.works:
                ring.run_local_work()
            ring.commit()
        if task.task_works:
            task_work_run(task)
    task.io_uring = None
    for ring in uring.registered.values():
        ring.put()

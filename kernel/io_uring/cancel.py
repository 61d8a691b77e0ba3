"""Cancelling requests: by what they are called, by file, by task (io_uring/cancel.c)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.io_uring.uapi import IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAITV, IORING_OP_WAITID
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
COUNTED = (IORING_OP_WAITID, IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAITV)
"""Operations whose cancellation answers how many there were, also where others answer 0."""
RING_NAME = b"anon_inode:[io_uring]"


class Match:
    """struct io_cancel_data: which requests are meant."""

    __slots__ = ("file", "flags", "opcode", "user_data")

    def __init__(self, flags: int, user_data: int, opcode: int = 0, file: File | None = None) -> None:
        self.flags = flags
        self.user_data = user_data
        self.opcode = opcode
        self.file = file

    @property
    def by_user_data(self) -> bool:
        flags = self.flags
        if flags & IORING_ASYNC_CANCEL_ANY:
            return False
        return bool(flags & IORING_ASYNC_CANCEL_USERDATA) or not flags & (
            IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP
        )

    def __call__(self, request: Request) -> bool:
        """io_cancel_req_match."""
        flags = self.flags
        if flags & IORING_ASYNC_CANCEL_ANY:
            return True
        if flags & IORING_ASYNC_CANCEL_FD and request.file is not self.file:
            return False
        if flags & IORING_ASYNC_CANCEL_OP and request.opcode != self.opcode:
            return False
        return not self.by_user_data or request.user_data == self.user_data


def cancel(ring: IoRing, match: Match, but: Request | None = None) -> int:
    """Cancel the oldest request that matches, or all of them (__io_async_cancel): how many, or 0 for the one.
    Raises OSError(ENOENT, EALREADY)."""
    every = match.flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)
    count = answer = 0
    busy = False
    for request in tuple(ring.named.get(match.user_data, ()) if match.by_user_data else ring.requests):
        if request is but or not match(request):
            continue
        if request.cancel():
            count += 1
            answer = int(request.opcode in COUNTED)
        else:
            busy = True
        if not every:
            break
    if every:
        return count
    if not count:
        raise OSError(errno.EALREADY if busy else errno.ENOENT, "nothing to cancel")
    return answer


def exit_task(task: Task) -> None:
    """io_uring_files_cancel: the task ends.  What it left under way ends when it is woken, or with the ring;
    only what waits for a ring ends now, since it might hold that ring."""
    uring = task.io_uring
    assert uring is not None
    uring.dying = True
    if task.task_works:
        task_work_run(task)
    for request in tuple(uring.requests):
        if request.file is not None and request.file.name == RING_NAME:
            request.cancel()
            request.ring.commit()
    _unregister(task)


def exec_task(task: Task) -> None:
    """io_uring_task_cancel: the task executes another program, and its requests end with the old one.  Others
    may share its rings, and find their completions."""
    uring = task.io_uring
    assert uring is not None
    uring.dying = True
    rings: dict[IoRing, None] = {}
    while uring.requests or task.task_works:
        for request in tuple(uring.requests):
            rings[request.ring] = None
            if not request.cancel():
                request.abandon()
        if task.task_works:
            task_work_run(task)
    for ring in rings:
        if ring.works:
            ring.run_local_work()
        ring.commit()
    _unregister(task)
    task.io_uring = None


def _unregister(task: Task) -> None:
    """io_uring_unreg_ringfd."""
    assert task.io_uring is not None
    rings, task.io_uring.registered = task.io_uring.registered, {}
    for ring in rings.values():
        ring.put()

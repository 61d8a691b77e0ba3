"""Requests: Linux's ``struct io_kiocb``, from the entry they are made of to their completion.

What an operation does is a function that answers a number, or a coroutine if it has to wait, like the handler
of a system call.  `Request` drives such a coroutine: whatever it waits for wakes the request, and the next
step is work of the task that submitted it.  Linux arms a poll and tries again (io_arm_poll_handler), or lends
the request a worker thread; neither can be told from this.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from kernel.errnos import LINUX_ERRNO, linux_errno
from kernel.io_uring.uapi import (
    IORING_OP_LINK_TIMEOUT,
    IOSQE_ASYNC,
    IOSQE_CQE_SKIP_SUCCESS,
    IOSQE_FIXED_FILE,
    IOSQE_IO_HARDLINK,
    Sqe,
)
from kernel.task import Interrupted
from vfs.file import O_PATH
from vfs.fscred import override_creds
from vfs.wait import HostQueue

if TYPE_CHECKING:
    from kernel.cred import Credentials
    from kernel.io_uring.ring import IoRing
    from kernel.io_uring.rsrc import Buffer, Slot
    from kernel.task import Task, Waiting
    from kernel.timers import Timer
    from vfs.file import File
    from vfs.wait import Waiter

Result = int | Coroutine[Any, Any, int] | None
Issue = Callable[["Request"], Result]
"""Performs a request; None: it will be completed by something else.  Raises OSError."""

# Flags of ours above those of the entry
FORCE_ASYNC, FAIL, SKIP_LINK_CQES, ARM_LTIMEOUT = 1 << 8, 1 << 9, 1 << 10, 1 << 11
NO_EVENT = -(1 << 61)
"""A result that posts no completion: all have been posted."""


class Op(NamedTuple):
    """struct io_issue_def.  `prep` looks at an entry and answers what will perform it; raises OSError."""

    prep: Callable[[Request], Issue]
    needs_file: bool = False
    buffer_select: bool = False
    ioprio: bool = False
    iopoll: bool = False


OpTable = list[Op | None]
"""What the kernel is given: the operations by their numbers; None: not supported."""


class IoUringTask:
    """struct io_uring_task: a task's requests, and the rings it has registered."""

    __slots__ = ("dying", "registered", "requests")

    def __init__(self) -> None:
        self.dying = False  # nothing more is begun
        self.requests: dict[Request, None] = {}
        self.registered: dict[int, IoRing] = {}


class Request:
    """One request.  `link` is the next in its chain.  `poll_mask`: of the wakes that name events, only those
    that name one of these count."""

    # What most requests never change stands here
    issue: Issue | None = None
    needs_file = False
    file: File | None = None
    slot: Slot | None = None  # `file` is a registered one
    buffer: Buffer | None = None  # a registered one that is in use
    held = False  # a reference to `file` is its own
    cred: Credentials | None = None
    link: Request | None = None
    linked_timeout: Request | None = None  # ours, armed
    chain_size = 1  # of the head: requests in the chain
    result = 0  # of one that failed before it was issued
    cqe_flags = 0
    extra = (0, 0)
    call: Coroutine[Any, Any, int] | None = None
    waiting: Waiting | None = None
    alarm: Timer | None = None
    poll_mask = -1
    woken = False
    queued = False  # its next step is work that waits to be done
    wakes = wake_mask = 0  # how often it was woken since it waits, and the first time for what
    once = False  # a multishot poll has heard of itself, and ends
    lenient = False  # a negative result is no failure
    running = False
    done = False
    timeout: Any = None  # of time-outs: kernel/io_uring/timeout.py
    wake: Waiter = None  # type: ignore[assignment]  # made when it first waits

    def __init__(self, ring: IoRing, task: Task, sqe: Sqe) -> None:
        self.ring = ring
        self.task = task
        self.sqe = sqe
        self.opcode = sqe.opcode
        self.flags = sqe.flags
        self.user_data = sqe.user_data

    # Issuing

    def start(self) -> None:
        """io_issue_sqe, in the context of the task."""
        if self.done:
            return
        ring = self.ring
        uring = self.task.io_uring
        assert uring is not None and self.issue is not None
        if uring.dying:
            self.complete(-errno.ECANCELED)
            return
        result: Result
        previous = self.impersonate() if self.cred is not None else None
        try:
            if self.needs_file and self.file is None:
                self.assign_file()
            result = self.issue(self)
        except OSError as error:
            result = -linux_errno(error)
        finally:
            if previous is not None:
                self.become(previous)
        if isinstance(result, int):
            self.complete(result)
        elif not self.done:
            ring.enlist(self)
            uring.requests[self] = None
            self.hold()
            if result is not None:
                self.call = result
                self.step(None)

    def start_work(self) -> IoRing | None:
        """`start`, as task work."""
        if self.done:
            return None
        self.start()
        self.arm_linked_timeout()
        return self.ring

    def arm_linked_timeout(self) -> None:
        """io_queue_linked_timeout: the head of a pair is under way, its time runs."""
        if self.flags & ARM_LTIMEOUT and not self.done:
            from kernel.io_uring.timeout import start_linked

            start_linked(self)

    def impersonate(self) -> Credentials:
        """Act with the credentials of the personality that the entry named."""
        before = self.task.cred
        assert self.cred is not None
        self.become(self.cred)
        return before

    def become(self, new: Credentials) -> None:
        self.task.cred = new
        override_creds(new)

    def assign_file(self) -> None:
        """io_assign_file.  Raises OSError(EBADF)."""
        fd = self.sqe.fd
        if self.flags & IOSQE_FIXED_FILE:
            self.slot = slot = self.ring.fixed_slot(fd)
            slot.users += 1
            self.file = slot.file
        else:
            self.file = self.normal_file(fd)

    def normal_file(self, fd: int) -> File:
        """io_file_get_normal.  Raises OSError(EBADF)."""
        file = self.task.files.files.get(fd)
        if file is None or file.flags & O_PATH:
            raise OSError(errno.EBADF, "no such descriptor")
        return file

    def hold(self) -> None:
        """The request outlives the call that submitted it: nobody may take its file away."""
        if self.file is not None and not self.held:
            self.file.refs += 1
            self.held = True

    # Waiting

    def step(self, value: bool | None) -> None:
        """Let the coroutine go on to where it waits again, or to its end."""
        call = self.call
        assert call is not None
        previous = self.impersonate() if self.cred is not None else None
        self.running = True
        try:
            waiting = call.send(value)
        except StopIteration as done:
            result: int = done.value
        except OSError as error:
            result = -linux_errno(error)
        except Interrupted:
            result = -errno.ECANCELED
        else:
            self._arm(waiting)
            return
        finally:
            self.running = False
            if previous is not None:
                self.become(previous)
        self.call = None
        self.complete(result)

    def step_work(self) -> IoRing | None:
        self.queued = False
        if self.done or self.call is None:
            return None
        self.disarm()
        uring = self.task.io_uring
        if uring is None or uring.dying:
            self.cancel()
            return self.ring
        value, self.woken = self.woken, False
        self.step(value)
        return self.ring

    def _arm(self, waiting: Waiting) -> None:
        self.waiting = waiting
        if self.wake is None:
            self.wake = self._wake  # one object: what is put into queues is taken out again
        kernel = self.ring.kernel
        queues, deadline, _ = waiting
        for queue in queues:
            queue.add(self.wake)
            if isinstance(queue, HostQueue):
                kernel.host_waiters[self.wake] = queues
        if deadline is not None:
            self.alarm = kernel.timers.add(deadline, self._expire)

    def restart(self, call: Coroutine[Any, Any, int]) -> None:
        """Wait, or wait for something else."""
        self.disarm()
        if self.call is not None:
            self.call.close()
        self.hold()
        self.call = call
        self.step(None)

    def disarm(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            return
        for queue in waiting[0]:
            queue.remove(self.wake)
            if isinstance(queue, HostQueue):
                self.ring.kernel.host_waiters.pop(self.wake, None)
        if self.alarm is not None:
            self.ring.kernel.timers.cancel(self.alarm)
            self.alarm = None

    def _wake(self, events: int) -> bool:
        """io_poll_wake.  It stays in the queues until it goes on: whether there were more wakes is of interest."""
        if self.waiting is None or (events and not events & self.poll_mask):
            return False
        if self.ring.waking:
            self.once = True
        self.wakes += 1
        if self.wake in self.ring.kernel.host_waiters:
            self.disarm()
        if not self.queued:
            self.queued = self.woken = True
            self.wake_mask = events
            self.ring.add_work(self.task, self.step_work)
        return True

    def ready(self) -> int:
        """The events a poll was woken for: those of its one wake, or what holds now (io_poll_check_events)."""
        mask, wakes = self.wake_mask, self.wakes
        self.wake_mask = self.wakes = 0
        assert self.file is not None
        return (mask if mask and wakes == 1 else self.file.poll()) & self.poll_mask

    def _expire(self) -> None:
        self.alarm = None
        if not self.queued:
            self.disarm()
            self.queued = True
            self.woken = False
            self.ring.add_work(self.task, self.step_work)

    # The end

    def cancel(self, result: int = -errno.ECANCELED) -> bool:
        """io_try_cancel's last part: end a request that waits.  False if it cannot be stopped any more."""
        if self.done or self.running:
            return False
        if self.timeout is not None:
            self.timeout.cancel(self, result)
            return True
        self.disarm()
        call, self.call = self.call, None
        if call is not None:
            try:
                call.throw(Interrupted())
            except StopIteration as done:
                result = done.value
            except OSError as error:
                result = -linux_errno(error)
            except Interrupted:
                pass
            else:
                call.close()  # it waits on: nothing of ours does
        self.complete(result)
        return True

    def abandon(self) -> None:
        """The ring goes away, and nobody will look at results."""
        if self.done:
            return
        self.done = True
        self.disarm()
        if self.timeout is not None:
            self.timeout.stop(self)
        if self.call is not None:
            if not self.running:
                self.call.close()
            self.call = None
        self._let_go()

    def _let_go(self) -> None:
        if self in self.ring.requests:
            self.ring.delist(self)
            uring = self.task.io_uring
            if uring is not None:
                uring.requests.pop(self, None)
        file, self.file = self.file, None
        if self.held and file is not None:
            self.held = False
            file.put()
        slot, self.slot = self.slot, None
        if slot is not None:
            slot.put(self.ring)
        buffer, self.buffer = self.buffer, None
        if buffer is not None:
            buffer.put(self.ring)

    def fail(self) -> None:
        """req_set_fail: what is linked to it is not done, except for hard links."""
        self.flags |= FAIL
        if self.flags & IOSQE_CQE_SKIP_SUCCESS:
            self.flags = self.flags & ~IOSQE_CQE_SKIP_SUCCESS | SKIP_LINK_CQES

    def complete(self, result: int) -> None:
        """Post the result, and go on with what waited for it."""
        if self.done:
            return
        self.done = True
        ring = self.ring
        if result < 0 and result != NO_EVENT:
            if LINUX_ERRNO is not None:
                result = -LINUX_ERRNO.get(-result, 5)
            if not self.lenient:
                self.fail()
        if result != NO_EVENT and not self.flags & IOSQE_CQE_SKIP_SUCCESS:
            ring.post(self.user_data, result, self.cqe_flags, *self.extra)
        self._let_go()
        ring.inflight -= 1
        ring.kernel.uring_kept -= 1
        if self.link is not None:
            self._next()
        if ring.deferred:
            from kernel.io_uring.submit import queue_deferred

            queue_deferred(ring)

    def fail_work(self) -> IoRing | None:
        """One of a chain that failed: only its result is left to be told."""
        self.complete(self.result)
        return self.ring

    def complete_later(self, result: int) -> None:
        """io_req_queue_tw_complete."""
        self.result = result
        self.ring.add_work(self.task, self.fail_work)

    def _next(self) -> None:
        """io_req_find_next: what is linked to this one."""
        timeout = self.linked_timeout
        if timeout is not None:
            self.linked_timeout = None
            timeout.timeout.stop(timeout)
            self.unlink()
            timeout.lenient = True
            timeout.complete_later(-errno.ECANCELED)
        elif self.link is not None and self.link.opcode == IORING_OP_LINK_TIMEOUT and self.flags & ARM_LTIMEOUT:
            timeout = self.unlink()
            timeout.lenient = True
            timeout.complete_later(-errno.ECANCELED)
        following, self.link = self.link, None
        if following is None:
            return
        if not self.flags & FAIL or self.flags & IOSQE_IO_HARDLINK:
            following.queue_later()
            return
        silent = self.flags & SKIP_LINK_CQES
        while following is not None:
            rest, following.link = following.link, None
            if silent:
                following.flags |= IOSQE_CQE_SKIP_SUCCESS
            else:
                following.flags &= ~IOSQE_CQE_SKIP_SUCCESS
            result = following.result if following.flags & FAIL else -errno.ECANCELED
            if silent:
                following.result = NO_EVENT
                ring = following.ring
                ring.add_work(following.task, following.fail_work)
            else:
                following.complete_later(result)
            following = rest

    def unlink(self) -> Request:
        """io_remove_next_linked."""
        following = self.link
        assert following is not None
        self.link, following.link = following.link, None
        return following

    def queue_later(self) -> None:
        """io_req_task_queue."""
        if self.flags & FAIL:
            self.complete_later(self.result)
        else:
            self.ring.add_work(self.task, self.start_work)

    @property
    def is_async(self) -> bool:
        return bool(self.flags & (IOSQE_ASYNC | FORCE_ASYNC))

"""Event polls: epoll(7)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.cred import CAP_BLOCK_SUSPEND
from kernel.task import Interrupted
from syscalls.abi import Int, Ptr, Result, ULong
from syscalls.poll import deadline_in, masked, signal_mask, timeout_ns
from vfs.epoll import EPOLLWAKEUP, EventPoll
from vfs.file import O_CLOEXEC

if TYPE_CHECKING:
    from kernel.task import Task

EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD = 1, 2, 3
INT_MAX = (1 << 31) - 1


def sys_epoll_create(t: Task, size: Int) -> Result:
    """epoll_create(2)."""
    return -errno.EINVAL if size <= 0 else sys_epoll_create1(t, 0)


def sys_epoll_create1(t: Task, flags: Int) -> Result:
    """epoll_create1(2)."""
    if flags & ~O_CLOEXEC:
        return -errno.EINVAL
    return t.files.install(EventPoll(t.kernel.epoll_user(t.cred.uid)), flags != 0)


def sys_epoll_ctl(t: Task, epfd: Int, op: Int, fd: Int, event: Ptr) -> Result:
    """epoll_ctl(2)."""
    events = data = 0
    if op != EPOLL_CTL_DEL:
        events, data = t.mm.unpack(t.kernel.arch.EPOLL_EVENT, event)
        if not t.cred.capable(CAP_BLOCK_SUSPEND):
            events &= ~EPOLLWAKEUP
    ep, file = t.files.get_io(epfd), t.files.get_io(fd)
    if not file.pollable:
        return -errno.EPERM
    if ep is file or not isinstance(ep, EventPoll):
        return -errno.EINVAL
    if op == EPOLL_CTL_ADD:
        ep.add(file, fd, events, data)
    elif op == EPOLL_CTL_MOD:
        ep.modify(file, fd, events, data)
    elif op == EPOLL_CTL_DEL:
        ep.find(file, fd).remove()
    else:
        return -errno.EINVAL
    return 0


def wait(t: Task, epfd: int, address: int, maximum: int, timeout: int | None, mask: int | None) -> Result:
    """What the three calls have in common; `timeout` is in nanoseconds."""
    layout = t.kernel.arch.EPOLL_EVENT
    ep = t.files.get_io(epfd)
    if not 0 < maximum <= INT_MAX // layout.size:
        return -errno.EINVAL
    if address + maximum * layout.size > t.mm.task_size:
        return -errno.EFAULT
    if not isinstance(ep, EventPoll):
        return -errno.EINVAL

    def put(place: int, events: int, data: int) -> None:
        t.mm.pack(layout, address + place * layout.size, events, data)

    sent = ep.send_events(maximum, put) if ep.look() else 0
    if sent or timeout == 0:
        return sent
    deadline = deadline_in(t, timeout)

    async def ep_poll() -> int:
        while True:
            sent = ep.send_events(maximum, put) if ep.look() else 0
            if sent:
                return sent
            left = None if deadline is None else deadline - t.kernel.clock.monotonic_ns()
            if left is not None and left <= 0:
                if t.signals.deliverable:  # one that only the call's mask lets through
                    raise Interrupted
                return 0
            await t.wait(*ep.wait_queues(), timeout_ns=left)

    return masked(t, mask, ep_poll())


def sys_epoll_wait(t: Task, epfd: Int, events: Ptr, maximum: Int, timeout: Int) -> Result:
    """epoll_wait(2)."""
    return wait(t, epfd, events, maximum, timeout * 1_000_000 if timeout >= 0 else None, None)


def sys_epoll_pwait(t: Task, epfd: Int, events: Ptr, maximum: Int, timeout: Int, mask: Ptr, mask_size: ULong) -> Result:
    """epoll_pwait(2)."""
    new_mask = signal_mask(t, mask, mask_size)
    return wait(t, epfd, events, maximum, timeout * 1_000_000 if timeout >= 0 else None, new_mask)


def sys_epoll_pwait2(
    t: Task, epfd: Int, events: Ptr, maximum: Int, timeout: Ptr, mask: Ptr, mask_size: ULong
) -> Result:
    """epoll_pwait2(2)."""
    ns = timeout_ns(t, timeout, 1)
    return wait(t, epfd, events, maximum, ns, signal_mask(t, mask, mask_size))

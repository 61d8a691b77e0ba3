"""Waiting for several descriptors: poll(2), select(2)."""

from __future__ import annotations

import errno
from collections.abc import Awaitable
from struct import Struct
from typing import TYPE_CHECKING, TypeVar

from kernel.signal import set_blocked
from kernel.task import Interrupted
from syscalls.abi import Int, Ptr, Result, UInt, ULong
from vfs.file import O_PATH
from vfs.wait import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    WaitQueue,
)

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File

POLLFD = Struct("<iHH")  # struct pollfd: fd, events, revents
TIMESPEC = Struct("<qq")  # struct timeval looks the same
SIGSET_ARG = Struct("<QQ")  # pselect6's last argument: address and size of a signal set

NS = 1_000_000_000
LONGEST_NS = (1 << 63) - 1
STICKY_TIMEOUTS = 0x4000000  # personality(2): time-outs stay as they were

# select's three questions, as poll events (POLLIN_SET, POLLOUT_SET and POLLEX_SET of fs/select.c)
READ_SET = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR
WRITE_SET = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR
EXCEPT_SET = POLLPRI

Wanted = list[tuple[int, int, int]]
"""What a caller asks: (its place in the answer, descriptor, events)."""


def look(t: Task, wanted: Wanted) -> tuple[dict[int, int], list[WaitQueue]]:
    """The events that hold now, by place, and the queues to wait on if that is none."""
    ready: dict[int, int] = {}
    queues: list[WaitQueue] = []
    files = t.files.files
    for place, fd, events in wanted:
        file: File | None = files.get(fd)
        if file is None or file.flags & O_PATH:
            ready[place] = POLLNVAL
            continue
        now = file.poll() & (events | POLLERR | POLLHUP)
        if now:
            ready[place] = now
        elif not ready:
            queues += file.queues(events)
    return ready, queues


async def wait_ready(t: Task, wanted: Wanted, deadline: int | None) -> dict[int, int]:
    """Wait until something of `wanted` holds, or `deadline` (CLOCK_MONOTONIC, ns) has passed."""
    while True:
        ready, queues = look(t, wanted)
        if ready:
            return ready
        left = None if deadline is None else deadline - t.kernel.clock.monotonic_ns()
        if left is not None and left <= 0:
            if t.signals.deliverable:  # one that only ppoll's mask lets through
                raise Interrupted
            return ready
        await t.wait(*queues, timeout_ns=left)


def deadline_in(t: Task, ns: int | None) -> int | None:
    return None if ns is None else t.kernel.clock.monotonic_ns() + ns


def timeout_ns(t: Task, address: int, unit: int) -> int | None:
    """A struct timespec (unit 1) or timeval (unit 1000) in nanoseconds; None for a null pointer."""
    if not address:
        return None
    seconds, fraction = t.mm.unpack(TIMESPEC, address)
    if unit == 1000:
        seconds += fraction // 1_000_000
        fraction %= 1_000_000
    if seconds < 0 or not 0 <= fraction < NS // unit:
        raise OSError(errno.EINVAL, "bad time-out")
    return min(int(seconds) * NS + int(fraction) * unit, LONGEST_NS)


def store_left(t: Task, address: int, deadline: int | None, unit: int) -> bool:
    """Linux's way: the caller's time-out becomes the time that was left (poll_select_finish).  False if it could
    not, which is no error."""
    if not address or deadline is None:
        return True
    if t.personality & STICKY_TIMEOUTS:
        return False
    left = max(0, deadline - t.kernel.clock.monotonic_ns())
    try:
        t.mm.pack(TIMESPEC, address, left // NS, left % NS // unit)
    except OSError:
        return False
    return True


# poll


def read_pollfds(t: Task, address: int, count: int) -> Wanted:
    if count > t.files.limit:
        raise OSError(errno.EINVAL, "more descriptors than may be open")
    raw = t.mm.read(address, count * POLLFD.size)
    found = POLLFD.iter_unpack(raw)
    return [(place, fd, events) for place, (fd, events, _) in enumerate(found) if fd >= 0]


def store_revents(t: Task, address: int, count: int, ready: dict[int, int]) -> int:
    if not count:
        return 0
    raw = bytearray(t.mm.read(address, count * POLLFD.size))
    for place in range(count):
        at = place * POLLFD.size + 6
        raw[at : at + 2] = ready.get(place, 0).to_bytes(2, "little")
    t.mm.write(address, raw)
    return len(ready)


def sys_poll(t: Task, fds: Ptr, count: UInt, timeout: Int) -> Result:
    """poll(2)."""
    wanted = read_pollfds(t, fds, count)
    ready, _ = look(t, wanted)
    if ready or not timeout:
        return store_revents(t, fds, count, ready)
    return poll_until(t, fds, count, wanted, deadline_in(t, timeout * 1_000_000 if timeout > 0 else None))


async def poll_until(t: Task, fds: int, count: int, wanted: Wanted, deadline: int | None) -> int:
    try:
        ready = await wait_ready(t, wanted, deadline)
    except Interrupted:
        t.signals.restart_block = lambda t: poll_until(t, fds, count, wanted, deadline)
        raise
    return store_revents(t, fds, count, ready)


def sys_ppoll(t: Task, fds: Ptr, count: UInt, timeout: Ptr, mask: Ptr, mask_size: ULong) -> Result:
    """ppoll(2)."""
    deadline = deadline_in(t, timeout_ns(t, timeout, 1))
    new_mask = signal_mask(t, mask, mask_size)
    wanted = read_pollfds(t, fds, count)
    ready, _ = look(t, wanted)
    if ready:
        store_left(t, timeout, deadline, 1)
        return store_revents(t, fds, count, ready)

    async def wait() -> int:
        waiting = masked(t, new_mask, wait_ready(t, wanted, deadline))
        ready = await timed(t, timeout, deadline, 1, waiting)
        return store_revents(t, fds, count, ready)

    return wait()


def signal_mask(t: Task, address: int, size: int) -> int | None:
    """A signal set argument; None for a null pointer.  Raises OSError(EINVAL, EFAULT)."""
    if not address:
        return None
    if size != 8:
        raise OSError(errno.EINVAL, "bad signal set size")
    return t.mm.u64(address)


Answer = TypeVar("Answer")


async def masked(t: Task, mask: int | None, waiting: Awaitable[Answer]) -> Answer:
    """Wait with another signal mask, if one is given.  A signal's handler runs with that mask too, and what
    was blocked before is blocked again after it."""
    if mask is None:
        return await waiting
    before = t.signals.blocked
    set_blocked(t, mask)
    try:
        answer = await waiting
    except Interrupted:
        t.signals.set_saved_mask(before)
        raise
    except OSError:
        set_blocked(t, before)
        raise
    set_blocked(t, before)
    return answer


async def timed(t: Task, address: int, deadline: int | None, unit: int, waiting: Awaitable[Answer]) -> Answer:
    """Wait and then `store_left`.  A call whose time-out did not change cannot be made again after a signal."""
    try:
        answer = await waiting
    except Interrupted:
        if store_left(t, address, deadline, unit):
            raise
        raise InterruptedError(errno.EINTR, "interrupted") from None
    store_left(t, address, deadline, unit)
    return answer


# select


class FdSets:
    """The three sets of select(2) in guest memory; an address may be 0."""

    __slots__ = ("addresses", "count", "sets", "size", "wanted")

    def __init__(self, t: Task, count: int, addresses: tuple[int, int, int]) -> None:
        if count < 0:
            raise OSError(errno.EINVAL, "negative number of descriptors")
        # Linux looks at no more descriptors than the table has room for.
        self.count = min(count, t.files.capacity)
        self.size = (self.count + 63) // 64 * 8
        self.addresses = addresses
        sets = [int.from_bytes(t.mm.read(at, self.size), "little") if at else 0 for at in addresses]
        below = (1 << self.count) - 1
        self.wanted: Wanted = []
        asked = (sets[0] | sets[1] | sets[2]) & below
        while asked:
            bit = asked & -asked
            asked ^= bit
            events = 0
            for chosen, meaning in zip(sets, (READ_SET, WRITE_SET, EXCEPT_SET), strict=True):
                if chosen & bit:
                    events |= meaning
            fd = bit.bit_length() - 1
            self.wanted.append((fd, fd, events))
        self.sets = sets

    def check(self, t: Task) -> None:
        """Raises OSError(EBADF) if one of the descriptors is not open."""
        for _, fd, _ in self.wanted:
            t.files.get(fd)

    def store(self, t: Task, ready: dict[int, int]) -> int:
        """Write the answer; the number of bits in it."""
        total = 0
        for at, chosen, meaning in zip(self.addresses, self.sets, (READ_SET, WRITE_SET, EXCEPT_SET), strict=True):
            if not at:
                continue
            found = 0
            for fd, events in ready.items():
                if chosen >> fd & 1 and events & meaning:
                    found |= 1 << fd
                    total += 1
            t.mm.write(at, found.to_bytes(self.size, "little"))
        return total


def select(t: Task, count: int, addresses: tuple[int, int, int], timeout: int, unit: int, mask: int | None) -> Result:
    """select(2) and pselect(2); `unit` is nanoseconds per unit of the time-out's fraction."""
    ns = timeout_ns(t, timeout, unit)
    sets = FdSets(t, count, addresses)
    sets.check(t)
    deadline = deadline_in(t, ns)
    ready, _ = look(t, sets.wanted)
    if ready or (ns == 0 and mask is None):
        store_left(t, timeout, deadline, unit)
        return sets.store(t, ready)

    async def wait() -> int:
        ready = await timed(t, timeout, deadline, unit, masked(t, mask, wait_ready(t, sets.wanted, deadline)))
        return sets.store(t, ready)

    return wait()


def sys_select(t: Task, count: Int, read: Ptr, write: Ptr, exceptional: Ptr, timeout: Ptr) -> Result:
    """select(2)."""
    return select(t, count, (read, write, exceptional), timeout, 1000, None)


def sys_pselect6(t: Task, count: Int, read: Ptr, write: Ptr, exceptional: Ptr, timeout: Ptr, sigset: Ptr) -> Result:
    """pselect(2): the last argument points to the address and the size of a signal set."""
    address, size = t.mm.unpack(SIGSET_ARG, sigset) if sigset else (0, 0)
    return select(t, count, (read, write, exceptional), timeout, 1, signal_mask(t, address, size))

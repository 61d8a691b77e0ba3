"""A ring: Linux's ``struct io_ring_ctx``, and the memory it shares with the program, ``struct io_rings``."""

from __future__ import annotations

import errno
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from emu.engine import PAGE_SHIFT, PAGE_SIZE
from kernel.io_uring.kbuf import BufferGroup
from kernel.io_uring.rsrc import Buffer, FileTable, Slot
from kernel.io_uring.uapi import (
    CQ_ENTRIES,
    CQ_FLAGS,
    CQ_HEAD,
    CQ_MASK,
    CQ_OVERFLOW,
    CQ_TAIL,
    CQE,
    CQE_BIG,
    CQES,
    IORING_CQ_EVENTFD_DISABLED,
    IORING_OFF_CQ_RING,
    IORING_OFF_MMAP_MASK,
    IORING_OFF_PBUF_RING,
    IORING_OFF_PBUF_SHIFT,
    IORING_OFF_SQ_RING,
    IORING_OFF_SQES,
    IORING_SETUP_CQE32,
    IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_IOPOLL,
    IORING_SETUP_NO_MMAP,
    IORING_SETUP_NO_SQARRAY,
    IORING_SETUP_SQE128,
    IORING_SETUP_TASKRUN_FLAG,
    IORING_SQ_CQ_OVERFLOW,
    IORING_SQ_TASKRUN,
    SQ_ENTRIES,
    SQ_FLAGS,
    SQ_MASK,
    SQ_TAIL,
)
from kernel.task_work import Work, task_work_add
from vfs.anon import ANON_INO, ANON_INODE_FS_MAGIC, ANON_INODEFS_DEV, AnonNode
from vfs.file import O_RDWR, File
from vfs.node import Stat
from vfs.pages import FilePages
from vfs.wait import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from kernel.cred import Credentials
    from kernel.io_uring.request import OpTable, Request
    from kernel.io_uring.restrictions import Restrictions
    from kernel.io_uring.sqpoll import SqPoll
    from kernel.mm import AddressSpace
    from kernel.task import Task
    from vfs.eventfd import EventFd
    from vfs.hostpoll import HostPoll
    from vfs.pages import Frames

WORD = 0xFFFF_FFFF
RLIMIT_NPROC = 6
LATER_NS = 10_000_000  # about as long as Linux's RCU takes

Entry = tuple[int, int, int, int, int]
"""A completion: user data, result, flags, and two words more in rings that have them."""


def pages_for(size: int) -> int:
    return (size + PAGE_SIZE - 1) >> PAGE_SHIFT


class RingPages(FilePages):
    """The memory of a ring, at the offsets under which mmap(2) knows its parts."""

    __slots__ = ("sizes",)

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames)
        self.sizes: dict[int, int] = {}  # pages of each part, by its offset

    def size(self) -> int:
        return 1 << 40

    def frame(self, index: int) -> int:
        try:
            return self.pages[index]
        except KeyError:
            raise OSError(errno.EFAULT, "no such page") from None

    def add(self, offset: int, frames: Sequence[int]) -> None:
        """Give the part at `offset` these frames, of which it takes over a reference each."""
        self.sizes[offset] = len(frames)
        for index, frame in enumerate(frames, offset >> PAGE_SHIFT):
            self.pages[index] = frame

    def remove(self, offset: int) -> None:
        """A part is no longer there for mmap(2).  Where it is mapped it stays."""
        first = offset >> PAGE_SHIFT
        for index in range(first, first + self.sizes.pop(offset)):
            self.frames.drop(self.pages.pop(index))

    def part(self, offset: int, size: int) -> int:
        """Which part a mapping of `size` bytes at `offset` shows.  Raises OSError(EINVAL)."""
        part = offset & IORING_OFF_MMAP_MASK
        if part == IORING_OFF_PBUF_RING:
            part |= offset & 0xFFFF << IORING_OFF_PBUF_SHIFT
        if part not in self.sizes or pages_for(size) > self.sizes[part]:
            raise OSError(errno.EINVAL, "the ring has nothing there")
        return part


class IoRing(File):
    """One instance.

    `requests` are those that were issued and are not complete, oldest first; `inflight` counts those that
    wait in a chain or behind a drain as well.  `waiting` is woken when completions were posted.
    """

    pollable = True
    maps_whole = True
    passable = False
    waking = 0  # in `commit` of some ring: a poll that hears of it waits for itself (EPOLL_URING_WAKE)
    signalling = False  # in `signal_eventfd` of some ring

    def __init__(self, task: Task, ops: OpTable, flags: int, sq_entries: int, cq_entries: int) -> None:
        node = AnonNode(Stat(0o600, ANON_INO, ANON_INODEFS_DEV), ANON_INODE_FS_MAGIC)
        super().__init__(node, O_RDWR, b"anon_inode:[io_uring]")
        self.kernel = task.kernel
        self.ops = ops
        self.mm: AddressSpace = task.mm
        self.cred: Credentials = task.cred
        self.setup_flags = flags
        self.sq_entries = sq_entries
        self.cq_entries = cq_entries
        # Memory
        self.memory = self.kernel.arena.view_all
        self.words = self.memory.cast("I")
        self.parts = RingPages(self.kernel.arena)
        self.page = self.sq_tail_at = self.cq_head_at = self.cq_tail_at = 0
        self.sqe_at = self.cqe_at = self.array_at = array("Q")
        # Submission
        self.sq_head = 0
        self.submitter: Task | None = None  # SINGLE_ISSUER: nobody else may
        self.disabled = False
        self.sqpoll: SqPoll | None = None
        self.requests: dict[Request, None] = {}
        self.named: dict[int, dict[Request, None]] = {}  # the same by their user data
        self.inflight = 0
        self.linked: Request | None = None  # the chain that is being put together
        self.linked_tail: Request | None = None
        self.deferred: deque[Request] = deque()  # wait for all before them
        self.deferred_size = 0  # requests in `deferred`, those of chains included
        self.drain_active = self.drain_next = self.drain_disabled = False
        self.works: deque[Work] = deque()  # DEFER_TASKRUN: done when the submitter asks for completions
        self.cancelling = False
        # Completion
        self.cq_tail = 0
        self.cq_timeouts = 0  # how many of them were time-outs, which no time-out counts
        self.pack: Callable[..., None] = CQE_BIG.pack_into if flags & IORING_SETUP_CQE32 else CQE.pack_into
        self.overflow: deque[Entry] = deque()
        self.sequenced: list[tuple[int, Request]] = []  # time-outs that wait for completions too
        self.waiting = WaitQueue()
        self.hosts: HostPoll | None = None  # streams of the host that are polled for edges
        self.eventfd: EventFd | None = None
        self.eventfd_async = False
        self._evfd_tail = 0
        self._told = 0  # the tail at the last `commit`
        self._kept = False  # a completion was kept since
        # Registered
        self.fixed: FileTable | None = None
        self.alloc_range: tuple[int, int] | None = None
        self.buffers: list[Buffer | None] | None = None
        self.groups: dict[int, BufferGroup] = {}
        self.personalities: dict[int, Credentials] = {}
        self.last_personality = 0
        self.restrictions: Restrictions | None = None
        self.next_restrictions: Restrictions | None = None  # until the ring is enabled
        self.iowq_workers = [min(sq_entries, 4), task.rlimits[RLIMIT_NPROC][0] & 0x7FFF_FFFF]
        self.clock = 1  # CLOCK_MONOTONIC

    # Requests

    def enlist(self, request: Request) -> None:
        """A request is under way."""
        self.requests[request] = None
        named = self.named.get(request.user_data)
        if named is None:
            self.named[request.user_data] = {request: None}
        else:
            named[request] = None

    def delist(self, request: Request) -> None:
        """It is no longer."""
        del self.requests[request]
        named = self.named[request.user_data]
        del named[request]
        if not named:
            del self.named[request.user_data]

    def rename(self, request: Request, user_data: int) -> None:
        """A request gets other user data."""
        listed = request in self.requests
        if listed:
            self.delist(request)
        request.user_data = user_data
        if listed:
            self.enlist(request)

    # Memory

    def make_memory(self) -> None:
        """Give the ring its own memory, for the program to map.  Raises OSError(ENOMEM)."""
        arena = self.kernel.arena
        taken: list[int] = []
        try:
            for _ in range(pages_for(self.rings_size()) + pages_for(self.sqes_size())):
                taken.append(arena.alloc())
        except OSError:
            for frame in taken:
                arena.drop(frame)
            raise
        count = pages_for(self.rings_size())
        self.parts.add(IORING_OFF_SQ_RING, taken[:count])
        self.parts.add(IORING_OFF_SQES, taken[count:])
        self.parts.add(IORING_OFF_CQ_RING, taken[:count])  # one and the same: IORING_FEAT_SINGLE_MMAP
        for frame in taken[:count]:
            arena.hold(frame)
        self.place(taken[:count], taken[count:])

    def array_offset(self) -> int:
        """Where in the rings' memory the array of indices begins."""
        size = CQES + CQE.size * self.cq_entries
        return (2 * size if self.setup_flags & IORING_SETUP_CQE32 else size) + 63 & ~63

    def rings_size(self) -> int:
        if self.setup_flags & IORING_SETUP_NO_SQARRAY:
            return self.array_offset()
        return self.array_offset() + 4 * self.sq_entries

    def sqes_size(self) -> int:
        return (128 if self.setup_flags & IORING_SETUP_SQE128 else 64) * self.sq_entries

    def place(self, rings: Sequence[int], sqes: Sequence[int]) -> None:
        """Use these frames.  Where each entry lies is worked out once."""

        def at(frames: Sequence[int], offset: int) -> int:
            return frames[offset >> PAGE_SHIFT] + (offset & PAGE_SIZE - 1)

        sqe_size = 128 if self.setup_flags & IORING_SETUP_SQE128 else 64
        cqe_size = CQE_BIG.size if self.setup_flags & IORING_SETUP_CQE32 else CQE.size
        self.sqe_at = array("Q", [at(sqes, sqe_size * i) for i in range(self.sq_entries)])
        self.cqe_at = array("Q", [at(rings, CQES + cqe_size * i) for i in range(self.cq_entries)])
        if not self.setup_flags & IORING_SETUP_NO_SQARRAY:
            begin = self.array_offset()
            self.array_at = array("Q", [at(rings, begin + 4 * i) >> 2 for i in range(self.sq_entries)])
        self.page = page = rings[0]
        words = self.words
        words[page + SQ_MASK >> 2] = self.sq_entries - 1
        words[page + CQ_MASK >> 2] = self.cq_entries - 1
        words[page + SQ_ENTRIES >> 2] = self.sq_entries
        words[page + CQ_ENTRIES >> 2] = self.cq_entries
        self.sq_tail_at = page + SQ_TAIL >> 2
        self.cq_head_at = page + CQ_HEAD >> 2
        self.cq_tail_at = page + CQ_TAIL >> 2

    def word(self, offset: int) -> int:
        """A word of struct io_rings."""
        return self.words[self.page + offset >> 2]

    def put_word(self, offset: int, value: int) -> None:
        self.words[self.page + offset >> 2] = value & WORD

    def set_sq_flag(self, flag: int, on: bool) -> None:
        value = self.word(SQ_FLAGS)
        self.put_word(SQ_FLAGS, value | flag if on else value & ~flag)

    def check_map(self, offset: int, size: int) -> None:
        if self.setup_flags & IORING_SETUP_NO_MMAP and offset < IORING_OFF_PBUF_RING:
            raise OSError(errno.EINVAL, "the program's own memory")
        self.parts.part(offset, size)

    def mapping(self) -> FilePages:
        return self.parts

    def pending(self) -> int:
        """Entries that were not taken yet (io_sqring_entries)."""
        return min(self.words[self.sq_tail_at] - self.sq_head & WORD, self.sq_entries)

    # Completions

    def post(self, user_data: int, res: int, flags: int = 0, extra1: int = 0, extra2: int = 0) -> None:
        """Post a completion (io_fill_cqe_req); one for which there is no room is kept."""
        tail = self.cq_tail
        used = tail - self.words[self.cq_head_at] & WORD
        if used >= self.cq_entries or self.overflow:
            self._keep((user_data, res, flags, extra1, extra2))
            return
        at = self.cqe_at[tail & self.cq_entries - 1]
        if self.setup_flags & IORING_SETUP_CQE32:
            self.pack(self.memory, at, user_data, res, flags, extra1, extra2)
        else:
            self.pack(self.memory, at, user_data, res, flags)
        self.cq_tail = self.words[self.cq_tail_at] = tail + 1 & WORD

    def post_more(self, user_data: int, res: int, flags: int, extra1: int = 0, extra2: int = 0) -> bool:
        """Post one of several completions of a request (io_req_post_cqe); False if there is no room."""
        if self.overflow or self.cq_tail - self.words[self.cq_head_at] & WORD >= self.cq_entries:
            return False
        self.post(user_data, res, flags, extra1, extra2)
        return True

    def _keep(self, entry: Entry) -> None:
        """io_cqring_event_overflow."""
        if self.kernel.uring_kept >= self.kernel.max_uring_kept:
            self.put_word(CQ_OVERFLOW, self.word(CQ_OVERFLOW) + 1)
            return
        self.kernel.uring_kept += 1
        self.overflow.append(entry)
        self._kept = True
        self.set_sq_flag(IORING_SQ_CQ_OVERFLOW, True)

    def flush_overflow(self) -> None:
        """Move what was kept into the ring, as far as there is room (io_cqring_overflow_flush)."""
        kept, self.overflow = self.overflow, deque()
        moved = False
        while kept and self.cq_tail - self.words[self.cq_head_at] & WORD < self.cq_entries:
            self.post(*kept.popleft())
            self.kernel.uring_kept -= 1
            moved = True
        self.overflow = kept
        if not kept:
            self.set_sq_flag(IORING_SQ_CQ_OVERFLOW, False)
        if moved:
            self.commit()

    def events(self) -> int:
        """Completions that the program has not taken."""
        return self.cq_tail - self.words[self.cq_head_at] & WORD

    def commit(self) -> None:
        """Completions were posted: tell whoever waits for that (io_cq_unlock_post)."""
        if self.setup_flags & IORING_SETUP_TASKRUN_FLAG and not self.works:
            self.set_sq_flag(IORING_SQ_TASKRUN, False)
        if self._told == self.cq_tail and not self._kept:
            return
        self._told = self.cq_tail
        self._kept = False
        if self.sequenced:
            from kernel.io_uring.timeout import flush_timeouts

            flush_timeouts(self)
        if self.waiting.waiters or self.waiting.exclusive:
            IoRing.waking += 1
            try:
                self.waiting.wake(POLLIN)
            finally:
                IoRing.waking -= 1
        if self.eventfd is not None and not self.eventfd_async:
            self.signal_eventfd()

    def signal_eventfd(self) -> None:
        """io_eventfd_signal: once for all completions since the last time."""
        if self.eventfd is None or self.word(CQ_FLAGS) & IORING_CQ_EVENTFD_DISABLED:
            return
        if self._evfd_tail != self.cq_tail + len(self.overflow):
            self._evfd_tail = self.cq_tail + len(self.overflow)
            self._signal()

    def _signal(self) -> None:
        """Add 1 to the eventfd; a little later if this is the consequence of doing that (eventfd_signal_allowed)."""
        if self.eventfd is None:
            return
        if IoRing.signalling:
            self.kernel.timers.add(self.kernel.clock.monotonic_ns() + LATER_NS, self._signal)
            return
        IoRing.signalling = True
        IoRing.waking += 1
        try:
            self.eventfd.signal(1)
        finally:
            IoRing.signalling = False
            IoRing.waking -= 1

    def set_eventfd(self, file: EventFd, only_async: bool) -> None:
        """Signal `file`, of which a reference is taken over, when there are completions."""
        self.eventfd = file
        self.eventfd_async = only_async
        self._evfd_tail = self.cq_tail + len(self.overflow)

    # Work

    def add_work(self, task: Task, work: Work) -> None:
        """io_req_task_work_add: have `work` done in the context of `task`."""
        if self.setup_flags & IORING_SETUP_DEFER_TASKRUN:
            self.works.append(work)
            if len(self.works) == 1:
                if self.setup_flags & IORING_SETUP_TASKRUN_FLAG:
                    self.set_sq_flag(IORING_SQ_TASKRUN, True)
                if not self.word(CQ_FLAGS) & IORING_CQ_EVENTFD_DISABLED:
                    self._signal()
            self.waiting.wake(POLLIN)
            return
        if task.zombie:  # the fallback work: all it can do is to say that it was cancelled
            ring = work()
            if ring is not None:
                ring.commit()
            return
        if self.setup_flags & IORING_SETUP_TASKRUN_FLAG:
            self.set_sq_flag(IORING_SQ_TASKRUN, True)
        task_work_add(task, work)

    def run_local_work(self) -> None:
        """io_run_local_work: what DEFER_TASKRUN put off."""
        works = self.works
        if self.setup_flags & IORING_SETUP_TASKRUN_FLAG:
            self.set_sq_flag(IORING_SQ_TASKRUN, False)
        posted = False
        while works:
            posted |= works.popleft()() is not None
        if posted:
            self.commit()

    # As a file

    def poll(self) -> int:
        events = 0
        if self.word(SQ_TAIL) - self.sq_head & WORD != self.sq_entries:
            events |= POLLOUT | POLLWRNORM
        if self.events() or self.overflow or self.works:
            events |= POLLIN | POLLRDNORM
        return events

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.waiting,)

    def seek(self, offset: int, whence: int) -> int:
        raise OSError(errno.ESPIPE, "not seekable")

    def fdinfo(self) -> bytes:
        from kernel.io_uring.fdinfo import fdinfo

        return fdinfo(self)

    def release(self) -> None:
        """io_ring_ctx_wait_and_kill: everything that was registered or submitted goes with the ring."""
        self.cancelling = True
        if self.sqpoll is not None:
            self.sqpoll.stop()
        for request in tuple(self.requests):
            request.abandon()
        self.requests.clear()
        self.named.clear()
        self.deferred.clear()
        self.works.clear()
        self.sequenced.clear()
        if self.fixed is not None:
            self.fixed.release()
            self.fixed = None
        self.buffers = None
        self.kernel.uring_kept -= self.inflight + len(self.overflow)
        self.kernel.uring_kept -= sum(len(group.buffers) for group in self.groups.values())
        self.groups = {}
        if self.eventfd is not None:
            self.eventfd.put()
            self.eventfd = None
        if self.hosts is not None:
            self.hosts.close()
        arena = self.kernel.arena
        for frame in self.parts.pages.values():
            arena.drop(frame)
        self.parts.pages.clear()

    # Registered files

    def fixed_slot(self, index: int) -> Slot:
        """io_file_get_fixed.  Raises OSError(EBADF)."""
        slot = self.fixed.slots[index] if self.fixed is not None and 0 <= index < len(self.fixed.slots) else None
        if slot is None:
            raise OSError(errno.EBADF, "no such registered file")
        return slot

    @property
    def polled(self) -> bool:
        return bool(self.setup_flags & IORING_SETUP_IOPOLL)

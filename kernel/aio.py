"""Native asynchronous input and output: Linux's ``struct kioctx`` of ``fs/aio.c``, io_setup(2).

A context belongs to an address space.  Its completions are in memory that the program maps too and may take
them from without a call; nothing there is believed.  Requests on files are over when io_submit(2) returns, as
they are on Linux unless storage is asked directly (O_DIRECT); polls are what stays.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import PAGE_SIZE, READ, WRITE
from vfs.file import O_RDWR
from vfs.shmem import ShmemFile
from vfs.tmpfs import TmpFile
from vfs.wait import HostQueue, WaitQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.kernel import Kernel
    from kernel.mm import AddressSpace
    from kernel.task import Task
    from vfs.eventfd import EventFd
    from vfs.file import File

AIO_RING_MAGIC = 0xA10A10A1
_LARGEST = 0x10000000
_CPUS = 1
_RING = Struct("<8I")  # id, nr, head, tail, magic, compat_features, incompat_features, header_length
_HEAD_TAIL = Struct("<II")
_HEAD_AT = 8
IO_EVENT = Struct("<QQqq")  # data, obj, res, res2


class AioContext(ShmemFile):
    """struct kioctx, and the file that its ring is a mapping of.  `promised` is what the program asked for and
    what counts against fs.aio-max-nr, `size` how many completions the ring has room for, and one."""

    __slots__ = ("active", "address", "dead", "index", "mm", "promised", "size", "tail", "waiting")

    merges = False

    def __init__(self, mm: AddressSpace, index: int, count: int) -> None:
        """Raises OSError EINVAL, EAGAIN, ENOMEM."""
        kernel = mm.kernel
        slots = max(count, 4 * _CPUS) * 2
        if slots > _LARGEST // IO_EVENT.size:
            raise OSError(errno.EINVAL, "too many events")
        if kernel.aio_nr + count > kernel.aio_max_nr:
            raise OSError(errno.EAGAIN, "fs.aio-max-nr")
        pages = (_RING.size + IO_EVENT.size * (slots + 2) + PAGE_SIZE - 1) // PAGE_SIZE
        node = TmpFile(kernel.shm, 0o600)
        node.nlink = 0
        node.data.length = pages * PAGE_SIZE
        super().__init__(node, O_RDWR, b"/[aio]")
        self.mm = mm
        self.index = index
        self.promised = count
        self.size = (pages * PAGE_SIZE - _RING.size) // IO_EVENT.size
        self.tail = 0
        self.dead = False
        self.active: dict[int, AioPoll] = {}  # by the addresses of their iocbs
        self.waiting = WaitQueue()
        self.refs = 1
        self._view(0, _RING.size)[:] = _RING.pack(index, self.size, 0, 0, AIO_RING_MAGIC, 1, 0, _RING.size)
        self.address = mm.map(0, pages * PAGE_SIZE, READ | WRITE, shared=True, file=self)
        kernel.aio_nr += count

    def _view(self, offset: int, size: int) -> memoryview:
        data = self.node.data
        return data.frames.view(data.frame(offset // PAGE_SIZE) + offset % PAGE_SIZE, size)

    def head(self) -> int:
        """Where the program has got to, wherever it says that is."""
        head: int = _HEAD_TAIL.unpack(self._view(_HEAD_AT, 8))[0]
        return head % self.size

    def ready(self) -> int:
        """Completions that nobody has taken."""
        return (self.tail - self.head()) % self.size

    def room(self) -> None:
        """Whether one more request can be completed (get_reqs_available).  Raises OSError(EAGAIN)."""
        if len(self.active) + self.ready() >= self.size - 1:
            raise OSError(errno.EAGAIN, "the ring is full")

    def complete(self, data: int, iocb: int, result: int, eventfd: EventFd | None) -> None:
        """aio_complete."""
        self._view(_RING.size + self.tail * IO_EVENT.size, IO_EVENT.size)[:] = IO_EVENT.pack(data, iocb, result, 0)
        self.tail = (self.tail + 1) % self.size
        self._view(_HEAD_AT + 4, 4)[:] = self.tail.to_bytes(4, "little")
        if eventfd is not None:
            eventfd.signal(1)
        self.waiting.wake()

    def take(self, task: Task, address: int, most: int) -> int:
        """aio_read_events_ring: store up to `most` completions; how many.  Raises OSError(EFAULT)."""
        head = self.head()
        count = min(most, self.ready())
        for number in range(count):
            place = _RING.size + (head + number) % self.size * IO_EVENT.size
            task.mm.write(address + number * IO_EVENT.size, bytes(self._view(place, IO_EVENT.size)))
        if count:
            self._view(_HEAD_AT, 4)[:] = ((head + count) % self.size).to_bytes(4, "little")
        return count

    def kill(self) -> None:
        """kill_ioctx: what is under way is not awaited."""
        assert self.mm.aio is not None
        del self.mm.aio[self.index]
        self.dead = True
        self.mm.kernel.aio_nr -= self.promised
        for poll in tuple(self.active.values()):
            poll.stop()
        self.waiting.wake()

    def destroy(self) -> None:
        """io_destroy(2)."""
        self.kill()
        size = self.node.data.length
        for vma in self.mm.overlapping(self.address, self.address + size):
            if vma.file is self:
                self.mm.unmap(vma.start, vma.end - vma.start)
        self.put()


class AioPoll:
    """struct poll_iocb: a file that is waited for."""

    __slots__ = ("context", "data", "eventfd", "events", "file", "iocb", "queues", "wake")

    def __init__(self, context: AioContext, iocb: int, data: int, file: File, events: int, eventfd: EventFd | None):
        self.context = context
        self.iocb = iocb
        self.data = data
        self.file = file
        self.events = events
        self.eventfd = eventfd
        self.wake = self._wake  # one object: what is put into queues is taken out again
        self.queues: Sequence[WaitQueue] = ()

    def start(self, kernel: Kernel) -> None:
        """Wait for the file, with a reference to it."""
        self.context.active[self.iocb] = self
        for file in (self.file, self.eventfd):
            if file is not None:
                file.refs += 1
        self.queues = self.file.queues(self.events)
        for queue in self.queues:
            queue.add(self.wake)
            if isinstance(queue, HostQueue):
                kernel.host_waiters[self.wake] = tuple(self.queues)

    def _wake(self, events: int) -> bool:
        """aio_poll_wake: a wake that names what has come is taken at its word, all of it."""
        ready = events if events & self.events else 0 if events else self.file.poll() & self.events
        if ready:
            self.finish(ready)
        return bool(ready)

    def finish(self, result: int) -> None:
        """It is ready, or (0) cancelled."""
        self.context.complete(self.data, self.iocb, result, self.eventfd)
        self.stop()

    def stop(self) -> None:
        """Nobody waits any more."""
        del self.context.active[self.iocb]
        for queue in self.queues:
            queue.remove(self.wake)
            if isinstance(queue, HostQueue):
                self.context.mm.kernel.host_waiters.pop(self.wake, None)
        for file in (self.file, self.eventfd):
            if file is not None:
                file.put()


def setup(mm: AddressSpace, count: int) -> AioContext:
    """io_setup(2).  Raises OSError EINVAL, EAGAIN, ENOMEM."""
    if mm.aio is None:
        mm.aio = {}
    index = 0
    while index in mm.aio:
        index += 1
    context = mm.aio[index] = AioContext(mm, index, count)
    return context


def lookup(mm: AddressSpace, address: int) -> AioContext:
    """lookup_ioctx: the context whose ring is at `address`.  Raises OSError(EINVAL)."""
    vma = mm.find(address)
    context = vma.file if vma is not None else None
    if mm.aio and vma is not None and isinstance(context, AioContext) and (vma.start, vma.offset) == (address, 0):
        try:
            if mm.aio.get(mm.u32(address)) is context:
                return context
        except OSError:
            pass
    raise OSError(errno.EINVAL, "no such context")


def exit_aio(mm: AddressSpace) -> None:
    """The address space goes."""
    for context in list((mm.aio or {}).values()):
        context.kill()
        context.put()

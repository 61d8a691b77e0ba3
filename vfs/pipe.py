"""Pipes: Linux's ``struct pipe_inode_info``, pipe(7), and FIFOs, fifo(7).

As in Linux a pipe is a ring of buffers of one page each.  A write's odd bytes are appended to the last
buffer if they fit; everything else takes buffers of its own.  So writes of up to PIPE_BUF bytes are
atomic by construction, and a pipe is full exactly when Linux's would be.
"""

from __future__ import annotations

import errno
import stat as stat_bits
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vfs.anon import PIPEFS_DEV, PIPEFS_MAGIC, AnonNode, next_ino
from vfs.fasync import POLL_IN, POLL_OUT, FasyncList
from vfs.file import O_ACCMODE, O_ASYNC, O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY, File
from vfs.node import Node, Stat
from vfs.pages import ShortSpans
from vfs.wait import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, WaitQueue

if TYPE_CHECKING:
    from vfs.pages import Spans

PAGE = 4096
DEFAULT_SLOTS = 16
MAX_SIZE = 1 << 20  # /proc/sys/fs/pipe-max-size
FIONREAD = 0x541B
READABLE = POLLIN | POLLRDNORM


class Packet(bytearray):
    """A buffer written with O_DIRECT: one read takes it whole."""

    __slots__ = ()


class Pipe:
    """The ring.  `buffers` hold what was written, `start` is how much of the first one is read already;
    `slots` is how many buffers there may be."""

    __slots__ = (
        "__weakref__", "buffers", "fasync_readers", "fasync_writers", "r_counter", "readable", "readers", "slots",
        "start", "w_counter", "writable", "writers",
    )  # fmt: skip

    def __init__(self) -> None:
        self.buffers: deque[bytearray] = deque()
        self.start = 0
        self.slots = DEFAULT_SLOTS
        self.readers = 0
        self.writers = 0
        self.r_counter = 0  # how often each end of a FIFO was opened
        self.w_counter = 0
        self.readable = WaitQueue()
        self.writable = WaitQueue()
        self.fasync_readers: FasyncList | None = None
        self.fasync_writers: FasyncList | None = None

    def size(self) -> int:
        """Bytes that wait to be read: FIONREAD."""
        return sum(map(len, self.buffers)) - self.start

    def read(self, spans: Spans) -> int:
        """Take bytes out.  Raises BlockingIOError when empty with writers left."""
        buffers = self.buffers
        start = self.start
        if len(buffers) == len(spans) == 1 and not start and type(spans) is not ShortSpans:
            first = buffers[0]
            have = len(first)
            if have <= len(spans[0]):  # nearly always: all there is, once
                spans[0][:have] = first
                buffers.popleft()
                if self.slots == 1 or self.fasync_writers is not None:
                    self._taken(self.slots == 1)
                return have
        if type(spans) is ShortSpans:
            spans = self._readable(spans)
        if not spans:
            return 0
        if not buffers:
            if self.writers:
                raise BlockingIOError(errno.EAGAIN, "pipe empty")
            return 0
        was_full = len(buffers) >= self.slots
        done = 0
        for span in spans:
            room = len(span)
            at = 0
            while at < room and buffers:
                first = buffers[0]
                have = len(first) - start
                take = room - at
                if take < have:
                    span[at:room] = memoryview(first)[start : start + take]
                    start += take
                    at = room
                    continue
                span[at : at + have] = memoryview(first)[start:] if start else first
                at += have
                start = 0
                buffers.popleft()
                if type(first) is Packet:
                    self.start = 0
                    self._taken(was_full)
                    return done + at
            done += at
        if start and type(buffers[0]) is Packet:  # the rest of a packet that did not fit is lost
            buffers.popleft()
            start = 0
        self.start = start
        self._taken(was_full)
        return done

    def peek(self, size: int) -> Spans:
        """The first `size` bytes, or as many as there are, left in place."""
        spans: Spans = []
        start = self.start
        for page in self.buffers:
            if size <= 0:
                break
            part = memoryview(page)[start : start + size].toreadonly()
            spans.append(part)
            size -= len(part)
            start = 0
        return spans

    def consume(self, size: int) -> None:
        """Drop the first `size` bytes, of those that `peek` gave."""
        was_full = len(self.buffers) >= self.slots
        while size:
            left = len(self.buffers[0]) - self.start
            if size < left:
                self.start += size
                break
            size -= left
            self.start = 0
            self.buffers.popleft()
        self._taken(was_full)

    def _taken(self, was_full: bool) -> None:
        if was_full and len(self.buffers) < self.slots:
            self.writable.wake(POLLOUT | POLLWRNORM)
        if self.fasync_writers is not None:
            self.fasync_writers.kill(POLL_OUT)

    def write(self, spans: Spans, packets: bool = False) -> int:
        """Put bytes in, as many as fit.  Raises BlockingIOError when full, BrokenPipeError without readers."""
        buffers = self.buffers
        if len(spans) == 1 and not buffers and self.readers and not packets and type(spans) is not ShortSpans:
            data = bytearray(spans[0])
            size = len(data)
            if 0 < size <= PAGE:  # nearly always
                buffers.append(data)
                self.readable.wake(READABLE)
                if self.fasync_readers is not None:
                    self.fasync_readers.kill(POLL_IN)
                return size
        if type(spans) is ShortSpans:
            spans = self._writable(spans, packets)
        size = sum(map(len, spans))
        if not size:
            return 0
        if not self.readers:
            raise BrokenPipeError(errno.EPIPE, "no readers")
        done = 0
        odd = size % PAGE
        if odd and buffers and not packets:
            last = buffers[-1]
            if len(last) + odd <= PAGE and type(last) is bytearray:
                spans, done = append_odd(last, spans, odd)
        if done < size:
            done += self._fill(spans, packets)
            if not done:
                raise BlockingIOError(errno.EAGAIN, "pipe full")
        self.readable.wake(READABLE)
        if self.fasync_readers is not None:
            self.fasync_readers.kill(POLL_IN)
        return done

    def _fill(self, spans: Spans, packets: bool) -> int:
        """New buffers with the contents of `spans`, while there are free slots."""
        buffers = self.buffers
        free = self.slots - len(buffers)
        if free <= 0:
            return 0
        if len(spans) == 1 and len(spans[0]) <= PAGE:  # nearly always
            buffers.append(Packet(spans[0]) if packets else bytearray(spans[0]))
            return len(spans[0])
        done = 0
        page: bytearray | None = None
        for span in spans:
            at, end = 0, len(span)
            while at < end:
                if page is None or len(page) == PAGE:
                    if not free:
                        return done
                    free -= 1
                    page = Packet() if packets else bytearray()
                    buffers.append(page)
                take = min(end - at, PAGE - len(page))
                page += span[at : at + take]
                at += take
                done += take
        return done

    def capacity(self) -> int:
        """F_GETPIPE_SZ: bytes that fit when every buffer is full."""
        return self.slots * PAGE

    # Guest buffers that end in bad memory: Linux moves whole pages of the pipe, or nothing.

    def _readable(self, spans: ShortSpans) -> Spans:
        """As much of `spans` as whole buffers fill.  Raises OSError(EFAULT) if not even one fits."""
        good = sum(map(len, spans))
        fits = 0
        start = self.start
        for page in self.buffers:
            take = min(len(page) - start, spans.size - fits)
            if fits + take > good:
                if not fits:
                    raise OSError(errno.EFAULT, "bad buffer")
                break
            fits += take
            start = 0
        return clip(spans, fits) if self.buffers else spans[:1] or [memoryview(b"")]

    def _writable(self, spans: ShortSpans, packets: bool) -> Spans:
        """As much of `spans` as makes whole buffers.  Raises OSError(EFAULT) if that is nothing."""
        if not self.readers:
            raise BrokenPipeError(errno.EPIPE, "no readers")
        good = sum(map(len, spans))
        odd = spans.size % PAGE
        last = self.buffers[-1] if self.buffers and not packets else None
        if not odd or type(last) is not bytearray or len(last) + odd > PAGE:
            odd = 0
        usable = odd + (good - odd) // PAGE * PAGE if good >= odd else 0
        if not usable:
            if not odd and len(self.buffers) >= self.slots:
                raise BlockingIOError(errno.EAGAIN, "pipe full")
            raise OSError(errno.EFAULT, "bad buffer")
        return clip(spans, usable)

    def resize(self, size: int, privileged: bool) -> int:
        """F_SETPIPE_SZ.  Raises OSError(EINVAL, EPERM, EBUSY)."""
        if size > 1 << 31:
            raise OSError(errno.EINVAL, "pipe too large")
        slots = 1
        while slots * PAGE < size:
            slots *= 2
        if slots > self.slots and slots * PAGE > MAX_SIZE and not privileged:
            raise OSError(errno.EPERM, "larger than pipe-max-size")
        if slots < len(self.buffers):
            raise OSError(errno.EBUSY, "more data than that in the pipe")
        self.slots = slots
        self.writable.wake()
        return slots * PAGE


def clip(spans: Spans, size: int) -> Spans:
    """The first `size` bytes of `spans`."""
    kept: Spans = []
    for span in spans:
        if size <= 0:
            break
        kept.append(span[:size] if len(span) > size else span)
        size -= len(span)
    return kept


def append_odd(last: bytearray, spans: Spans, odd: int) -> tuple[Spans, int]:
    """Append the first `odd` bytes of `spans` to `last`; what is left of them, and `odd`."""
    left = odd
    for index, span in enumerate(spans):
        if len(span) >= left:
            last += span[:left]
            rest = spans[index + 1 :]
            if len(span) > left:
                rest.insert(0, span[left:])
            return rest, odd
        last += span
        left -= len(span)
    return [], odd


class PipeNode(AnonNode):
    """The inode of a pipe made by pipe(2)."""

    __slots__ = ("pipe",)

    def __init__(self, pipe: Pipe, uid: int, gid: int, now_ns: int) -> None:
        mode = stat_bits.S_IFIFO | 0o600
        times = {"st_atime_ns": now_ns, "st_mtime_ns": now_ns, "st_ctime_ns": now_ns}
        super().__init__(Stat(mode, next_ino(), PIPEFS_DEV, 1, uid, gid, **times), PIPEFS_MAGIC)
        self.pipe = pipe

    def open(self, flags: int, name: bytes) -> File:
        """Open one end again, through /proc/self/fd."""
        return PipeFile(self, self.pipe, flags, name)


class PipeFile(File):
    """One end of a pipe, or both (a FIFO opened O_RDWR).

    A FIFO's end that was opened alone remembers in `alone_at` how often the other had been opened then: its
    open(2) waits until that changes, or, with O_NONBLOCK, poll(2) shows no POLLHUP until then.
    """

    __slots__ = ("alone_at", "pipe")

    completes = True
    pollable = True
    direct = True

    def __init__(self, node: Node, pipe: Pipe, flags: int, name: bytes) -> None:
        super().__init__(node, flags, name)
        self.pipe = pipe
        self.alone_at = -1
        mode = flags & O_ACCMODE
        if mode != O_WRONLY:
            pipe.readers += 1
        if mode != O_RDONLY:
            pipe.writers += 1

    def read(self, spans: Spans) -> int:
        return self.pipe.read(spans)

    def starved(self) -> bool:
        pipe = self.pipe
        return not pipe.buffers and pipe.writers > 0

    def write(self, spans: Spans) -> int:
        return self.pipe.write(spans, self.flags & O_DIRECT != 0)

    def poll(self) -> int:
        pipe = self.pipe
        mode = self.flags & O_ACCMODE
        events = 0
        if mode != O_WRONLY:
            if pipe.buffers:
                events |= POLLIN | POLLRDNORM
            if not pipe.writers and self.alone_at != pipe.w_counter:
                events |= POLLHUP
        if mode != O_RDONLY:
            if len(pipe.buffers) < pipe.slots:
                events |= POLLOUT | POLLWRNORM
            if not pipe.readers:
                events |= POLLERR
        return events

    def queues(self, events: int) -> Sequence[WaitQueue]:
        mode = self.flags & O_ACCMODE
        if mode == O_RDONLY:
            return (self.pipe.readable,)
        if mode == O_WRONLY:
            return (self.pipe.writable,)
        return (self.pipe.readable, self.pipe.writable)

    def fasync(self, fd: int, on: bool) -> bool:
        pipe = self.pipe
        mode = self.flags & O_ACCMODE
        if mode != O_WRONLY:
            pipe.fasync_readers = pipe.fasync_readers or FasyncList()
            pipe.fasync_readers.set(self, fd, on)
        if mode != O_RDONLY:
            pipe.fasync_writers = pipe.fasync_writers or FasyncList()
            pipe.fasync_writers.set(self, fd, on)
        return True

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        if request != FIONREAD:
            raise OSError(errno.ENOTTY, "no such request")
        task.mm.put_u32(arg, self.pipe.size())
        return 0

    def release(self) -> None:
        pipe = self.pipe
        mode = self.flags & O_ACCMODE
        if self.flags & O_ASYNC:
            self.fasync(-1, False)
        if mode != O_WRONLY:
            pipe.readers -= 1
        if mode != O_RDONLY:
            pipe.writers -= 1
        if not pipe.readers and not pipe.writers:
            pipe.buffers.clear()
            pipe.start = 0
        elif not pipe.readers or not pipe.writers:
            pipe.readable.wake()
            pipe.writable.wake()
            if pipe.fasync_readers is not None:
                pipe.fasync_readers.kill(POLL_IN)
            if pipe.fasync_writers is not None:
                pipe.fasync_writers.kill(POLL_OUT)

    def waits_for_partner(self) -> bool:
        """Whether open(2) of this end of a FIFO has to wait on `pipe.readable`, still."""
        if self.flags & O_NONBLOCK:
            return False
        pipe = self.pipe
        return self.alone_at == (pipe.w_counter if self.flags & O_ACCMODE == O_RDONLY else pipe.r_counter)


def open_fifo(node: Node, pipe: Pipe, flags: int, name: bytes) -> PipeFile:
    """fifo_open, up to where it waits (`waits_for_partner`).  Raises OSError ENXIO (O_WRONLY | O_NONBLOCK
    without readers), EINVAL (neither for reading nor for writing)."""
    mode = flags & O_ACCMODE
    if mode == O_ACCMODE:
        raise OSError(errno.EINVAL, "opened for nothing")
    if mode == O_WRONLY and flags & O_NONBLOCK and not pipe.readers:
        raise OSError(errno.ENXIO, "no readers")
    file = PipeFile(node, pipe, flags, name)
    came = False
    if mode != O_WRONLY:
        pipe.r_counter += 1
        came = pipe.readers == 1
        if not pipe.writers:
            file.alone_at = pipe.w_counter
    if mode != O_RDONLY:
        pipe.w_counter += 1
        came = came or pipe.writers == 1
        if not pipe.readers:
            file.alone_at = pipe.r_counter
    if came:  # wake_up_partner
        pipe.readable.wake()
    return file


def make_pipe(flags: int, uid: int, gid: int, now_ns: int) -> tuple[PipeFile, PipeFile]:
    """pipe2(2): the read end and the write end; `flags` may hold O_NONBLOCK and O_DIRECT."""
    pipe = Pipe()
    node = PipeNode(pipe, uid, gid, now_ns)
    name = b"pipe:[%d]" % node.info.st_ino
    return PipeFile(node, pipe, O_RDONLY | flags & O_NONBLOCK, name), PipeFile(node, pipe, O_WRONLY | flags, name)

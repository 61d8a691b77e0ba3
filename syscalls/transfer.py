"""Moving data between files without the guest's memory: sendfile(2), copy_file_range(2), splice(2)."""

from __future__ import annotations

import errno
import stat as stat_bits
from typing import TYPE_CHECKING

from emu.engine import READ, WRITE
from kernel.task import Interrupted
from syscalls.abi import Ptr, UInt, ULong
from syscalls.io import (
    MAX_RW,
    NOT_READABLE,
    OFFSET_MAX,
    WRITABLE,
    WRITE_BITS,
    broken_pipe,
    read_once,
    within_limit,
    write_once,
)
from vfs.file import O_APPEND, O_NONBLOCK, SEEK_CUR, SEEK_SET
from vfs.notify import IN_ACCESS, IN_MODIFY
from vfs.pages import ShortSpans
from vfs.pipe import PAGE, PipeFile
from vfs.wait import POLLIN, POLLOUT

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File
    from vfs.pages import Spans

OFFSETS = (1 << 64) - 1
CHUNK = 1 << 20
PIPE_CHUNK = 1 << 16
SPLICE_F_NONBLOCK, SPLICE_F_ALL = 2, 15


def reader(t: Task, fd: int) -> File:
    file = t.files.get_io(fd)
    if file.flags & NOT_READABLE:
        raise OSError(errno.EBADF, "not open for reading")
    return file


def writer(t: Task, fd: int) -> File:
    file = t.files.get_io(fd)
    if file.flags + 1 & WRITE_BITS != WRITABLE:
        raise OSError(errno.EBADF, "not open for writing")
    return file


class Place:
    """One side of a transfer: a file, and where in it.  The position is the caller's, in guest memory, or
    the file's own; either is moved on when the call ends.  Or it is `given`, and nobody is told.  Streams
    have none.  Unless it `refuses`, whether the file can have this place is the caller's to see."""

    __slots__ = ("file", "given", "offset", "pointer")

    def __init__(self, t: Task, file: File, pointer: int, given: int | None = None, refuses: bool = True) -> None:
        self.file = file
        self.pointer = pointer
        self.given = given
        self.offset = -1
        if pointer or given is not None:
            if refuses and not file.seekable:
                raise OSError(errno.ESPIPE, "not seekable")
            value: int = t.mm.u64(pointer) if given is None else given
            if value > OFFSET_MAX:
                if refuses:
                    raise OSError(errno.EINVAL, "negative offset")
                value -= 1 << 64
            self.offset = value
        elif file.seekable:
            self.offset = file.seek(0, SEEK_CUR)

    def read(self, buffer: memoryview) -> int:
        if self.offset >= 0:
            return self.file.pread([buffer], self.offset)
        return self.file.read([buffer])

    def write(self, t: Task, spans: Spans) -> int:
        try:
            if self.offset < 0:
                return self.file.write(spans)
            return self.file.pwrite(within_limit(t, self.file, spans, self.offset), self.offset)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EFBIG):
                raise broken_pipe(t, error, self.file) from None
            raise

    def advance(self, size: int) -> None:
        if self.offset >= 0:
            self.offset += size

    def finish(self, t: Task) -> None:
        if self.pointer:
            t.mm.put_u64(self.pointer, self.offset)
        elif self.offset >= 0 and self.given is None:
            self.file.seek(self.offset, SEEK_SET)


async def transfer(t: Task, source: Place, target: Place, size: int, chunk: int, once: bool, wait: bool) -> int:
    """Move up to `size` bytes.  `once`: stop after the first piece, as splice does; `wait`: where there
    is nothing or no room, wait.  What has been moved counts, whatever ends the call."""
    bounce = memoryview(bytearray(min(size, chunk)))
    pipe = source.file.pipe if isinstance(source.file, PipeFile) else None
    done = 0
    try:
        while done < size and not (once and done):
            want = min(size - done, chunk)
            try:
                if pipe is None:
                    got = source.read(bounce[:want])
                    spans = [bounce[:got]]
                else:
                    spans = pipe.peek(want)
                    got = sum(map(len, spans))
                    if not got and pipe.writers:
                        raise BlockingIOError(errno.EAGAIN, "pipe empty")
            except BlockingIOError:
                if not wait:
                    raise
                await t.wait(*source.file.queues(POLLIN))
                continue
            if not got:
                break
            moved = 0
            while not moved:
                try:
                    moved = target.write(t, spans)
                except BlockingIOError:
                    if not wait:
                        raise
                    await t.wait(*target.file.queues(POLLOUT))
            if pipe is not None:
                pipe.consume(moved)
            elif source.offset < 0:
                moved = await push_rest(t, target, spans[0], moved)
            source.advance(moved)
            target.advance(moved)
            done += moved
            await t.wait(timeout_ns=0)  # let a signal in
    except (OSError, Interrupted):
        if not done:
            raise
    source.finish(t)
    target.finish(t)
    if done:
        for file, event in ((source.file, IN_ACCESS), (target.file, IN_MODIFY)):
            if file.mount is not None and file.mount.watches is not None:
                file.mount.watches.on_file(file, event)
    return done


async def push_rest(t: Task, target: Place, data: memoryview, moved: int) -> int:
    """What came from a stream cannot go back: write all of it."""
    while moved < len(data):
        try:
            moved += target.write(t, [data[moved:]])
        except BlockingIOError:
            await t.wait(*target.file.queues(POLLOUT))
    return moved


async def sys_sendfile(t: Task, out_fd: UInt, in_fd: UInt, offset: Ptr, count: ULong) -> int:
    """sendfile(2)."""
    source_file = reader(t, in_fd)
    source = Place(t, source_file, offset)
    if count > OFFSET_MAX:
        return -errno.EINVAL
    target_file = writer(t, out_fd)
    kind = stat_bits.S_IFMT(source_file.stat().st_mode)
    if kind not in (stat_bits.S_IFREG, stat_bits.S_IFBLK, stat_bits.S_IFCHR):
        return -errno.EINVAL
    if target_file.flags & O_APPEND:
        return -errno.EINVAL
    wait = not target_file.flags & O_NONBLOCK
    chunk = CHUNK if wait else PIPE_CHUNK
    return await transfer(t, source, Place(t, target_file, 0), min(count, MAX_RW), chunk, False, wait)


async def sys_copy_file_range(
    t: Task, in_fd: UInt, in_offset: Ptr, out_fd: UInt, out_offset: Ptr, count: ULong, flags: UInt
) -> int:
    """copy_file_range(2)."""
    source_file, target_file = t.files.get_io(in_fd), t.files.get_io(out_fd)
    source = Place(t, source_file, in_offset, refuses=False)
    target = Place(t, target_file, out_offset, refuses=False)
    if flags:
        return -errno.EINVAL
    from_info, to_info = source_file.stat(), target_file.stat()
    kinds = stat_bits.S_IFMT(from_info.st_mode), stat_bits.S_IFMT(to_info.st_mode)
    if stat_bits.S_IFDIR in kinds:
        return -errno.EISDIR
    if kinds != (stat_bits.S_IFREG, stat_bits.S_IFREG):
        return -errno.EINVAL
    reader(t, in_fd)
    writer(t, out_fd)
    if target_file.flags & O_APPEND:
        return -errno.EBADF
    if from_info.st_dev != to_info.st_dev:
        return -errno.EXDEV
    if any((place.offset & OFFSETS) + count > OFFSETS for place in (source, target)):
        return -errno.EOVERFLOW
    size = max(0, min(count, from_info.st_size - source.offset))
    if from_info.st_ino == to_info.st_ino and abs(source.offset - target.offset) < size:
        return -errno.EINVAL
    if source.offset < 0 or target.offset < 0:
        return -errno.EINVAL
    return await transfer(t, source, target, min(size, MAX_RW), CHUNK, False, True)


async def sys_splice(
    t: Task, in_fd: UInt, in_offset: Ptr, out_fd: UInt, out_offset: Ptr, size: ULong, flags: UInt
) -> int:
    """splice(2)."""
    if not size:
        return 0
    if flags & ~SPLICE_F_ALL:
        return -errno.EINVAL
    source, target = t.files.get_io(in_fd), t.files.get_io(out_fd)
    return await splice(t, source, target, (in_offset, None), (out_offset, None), size, flags)


Offset = tuple[int, int | None]
"""Where a side of a transfer begins: the address of an offset, 0 if there is none, or the offset."""


async def splice(
    t: Task, source_file: File, target_file: File, start: Offset, to: Offset, size: int, flags: int
) -> int:
    """do_splice.  Pages are copied, never moved."""
    pipes = is_pipe(source_file), is_pipe(target_file)
    nowhere = (0, None)
    if (pipes[0] and start != nowhere) or (pipes[1] and to != nowhere):
        return -errno.ESPIPE
    for pointer in (start[0], to[0]):
        if pointer:
            t.mm.u64(pointer)  # EFAULT comes before what follows
    if source_file.flags & NOT_READABLE or target_file.flags + 1 & WRITE_BITS != WRITABLE:
        return -errno.EBADF
    if not any(pipes) or target_file.flags & O_APPEND:
        return -errno.EINVAL
    if isinstance(source_file, PipeFile) and isinstance(target_file, PipeFile) and source_file.pipe is target_file.pipe:
        return -errno.EINVAL
    pipe_flags = (source_file.flags if pipes[0] else 0) | (target_file.flags if pipes[1] else 0)
    wait = not (flags & SPLICE_F_NONBLOCK or pipe_flags & O_NONBLOCK)
    # Without waiting no more may be taken from a stream than is sure to fit into the other side.
    chunk = PIPE_CHUNK if wait or isinstance(source_file, PipeFile) else PAGE
    try:
        source = Place(t, source_file, start[0], given=start[1])
        target = Place(t, target_file, to[0], given=to[1])
    except OSError as error:
        return -errno.EINVAL if error.errno == errno.ESPIPE else -(error.errno or errno.EIO)
    if size > OFFSET_MAX and not all(pipes):
        return -errno.EINVAL
    return await transfer(t, source, target, min(size, MAX_RW), chunk, True, wait)


def is_pipe(file: File) -> bool:
    return stat_bits.S_ISFIFO(file.stat().st_mode)


async def sys_tee(t: Task, in_fd: UInt, out_fd: UInt, size: ULong, flags: UInt) -> int:
    """tee(2)."""
    if flags & ~SPLICE_F_ALL:
        return -errno.EINVAL
    if not size:
        return 0
    return await tee(t, reader(t, in_fd), writer(t, out_fd), size, flags)


async def tee(t: Task, source: File, target: File, size: int, flags: int) -> int:
    """do_tee, between pipes of lxrun's own: what is in a pipe of the host cannot be looked at."""
    if not (isinstance(source, PipeFile) and isinstance(target, PipeFile)) or source.pipe is target.pipe:
        return -errno.EINVAL
    wait = not (flags & SPLICE_F_NONBLOCK or (source.flags | target.flags) & O_NONBLOCK)
    while True:
        try:
            spans = source.pipe.peek(size)
            if spans:
                return target.pipe.write(spans)
            if not source.pipe.writers:
                return 0
            queues = source.queues(POLLIN)
        except BlockingIOError:
            queues = target.queues(POLLOUT)
        except BrokenPipeError as error:
            raise broken_pipe(t, error, target) from None
        if not wait:
            return -errno.EAGAIN
        await t.wait(*queues)


async def sys_vmsplice(t: Task, fd: UInt, vec: Ptr, count: ULong, flags: UInt) -> int:
    """vmsplice(2): a copy, as Linux makes too when it reads.  It waits until something fits or is there, by its own
    flags and not by the pipe's O_NONBLOCK, and moves no more than that."""
    if flags & ~SPLICE_F_ALL:
        return -errno.EINVAL
    file = t.files.get_io(fd)
    writing = file.flags + 1 & WRITE_BITS == WRITABLE
    while True:
        spans = t.mm.iovec(vec, count, READ if writing else WRITE)
        if not spans and type(spans) is not ShortSpans:
            return 0
        if not is_pipe(file):
            return -errno.EBADF
        if writing and spans:
            spans = list(spans)  # no more than is there, be it less than was said
        try:
            return write_once(t, file, spans, None, 0) if writing else read_once(t, file, spans, None)
        except BlockingIOError:
            if flags & SPLICE_F_NONBLOCK:
                return -errno.EAGAIN
            await t.wait(*file.queues(POLLOUT if writing else POLLIN))

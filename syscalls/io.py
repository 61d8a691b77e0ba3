"""Moving data: read(2), write(2) and their vector, positional and in-kernel relatives."""

from __future__ import annotations

import errno
import os
import stat as stat_bits
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from emu.engine import READ, WRITE
from kernel import siginfo, signal
from kernel.task import Again, Interrupted
from syscalls.abi import Int, Long, Ptr, Result, UInt, ULong
from vfs.file import O_APPEND, O_NONBLOCK, O_PATH, O_WRONLY, SEEK_CUR, SEEK_HOLE, File
from vfs.notify import IN_ACCESS, IN_MODIFY
from vfs.pages import ShortSpans
from vfs.pipe import PipeFile, clip
from vfs.sock import SOCK_STREAM
from vfs.wait import POLLIN, POLLOUT

if TYPE_CHECKING:
    from types import ModuleType

    from kernel.task import Task
    from vfs.pages import Spans

MAX_RW = 0x7FFFF000  # MAX_RW_COUNT: no call moves more
SIGPIPE, SIGXFSZ = 13, 25
RLIMIT_FSIZE = 1
RLIM_INFINITY = (1 << 64) - 1
OFFSET_MAX = (1 << 63) - 1

# `flags & NOT_READABLE`: opened O_WRONLY (1), ioctl-only (3) or O_PATH.
# `flags + 1 & WRITE_BITS == WRITABLE`: opened O_WRONLY or O_RDWR, not O_PATH.
NOT_READABLE = O_WRONLY | O_PATH
WRITE_BITS, WRITABLE = O_PATH | 2, 2

RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, RWF_NOAPPEND = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
RWF_SUPPORTED = 0x3F  # RWF_ATOMIC and RWF_DONTCACHE are up to the filesystem, and refused

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE = 0x01, 0x02, 0x08
FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE = 0x10, 0x20, 0x40
SYNC_FILE_RANGE_FLAGS = 7
POSIX_FADV_NOREUSE = 5  # the highest advice
STORED_KINDS = (stat_bits.S_IFREG, stat_bits.S_IFBLK, stat_bits.S_IFDIR, stat_bits.S_IFLNK)

# Waiting


def read_again(t: Task, file: File, fill: Callable[[int, int, int], Spans], at: int, count: int) -> int | None:
    """Read what is there now into what `fill` says of the address `at`; None if there still is nothing."""
    try:
        done = file.read(fill(at, count, WRITE))
    except BlockingIOError:
        return None
    t.read_calls += 1
    t.read_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_ACCESS)
    return done


def broken_pipe(t: Task, error: OSError, file: File | None = None) -> OSError:
    """EPIPE of a write comes with SIGPIPE, except from sockets of messages; EFBIG with SIGXFSZ.  It is as if
    the task sent it to itself."""
    if file is not None and file.sock is not None and not file.sock.sigpipe:
        return error
    signo = SIGPIPE if error.errno == errno.EPIPE else SIGXFSZ
    signal.send(t, siginfo.user(signo, t.tgid, t.cred.uid), to_thread=True)
    return error


@cache
def _messages() -> ModuleType:
    """Calls on sockets, which most programs never make; an import each time would take longer than the switch to
    another task."""
    from syscalls import message

    return message


def socket_read(t: Task, file: File, fill: Callable[[int, int, int], Spans], at: int, count: int) -> Result:
    """The rest of a read from a socket, which waits in its own way; for `fill` see `read_again`."""
    rest: Result = _messages().read_on(t, file, fill, at, count)
    return rest


def terminal_read(t: Task, file: File, again: Callable[[int], Spans]) -> Result:
    """The same for a terminal, where VMIN and VTIME say how long to wait; `again` gives the buffer without its first
    bytes."""
    from syscalls.tty import read_on

    return read_on(t, file, again)


def socket_write(t: Task, file: File, again: Callable[[int], Spans], done: int) -> Result:
    """The rest of a write to a socket that took `done` bytes so far; `again` gives the buffer without its first."""
    rest: Result = _messages().write_on(t, file, again, done)
    return rest


async def write_on(t: Task, file: File, spans: Callable[[int], Spans], size: int, done: int) -> int:
    """The rest of a blocking write of `size` bytes that took `done` so far.  Once something is
    written an error or a signal ends the call with what was."""
    while done < size:
        try:
            try:
                took = file.write(spans(done))
            except BlockingIOError:
                await t.wait(*file.queues(POLLOUT))
                continue
            if not took:
                raise bad_address()
            done += took
        except Interrupted:
            if not done:
                raise
            break
        except OSError as error:
            if error.errno == errno.EPIPE:
                broken_pipe(t, error, file)
            if not done:
                raise
            break
    t.write_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_MODIFY)
    return done


# Buffers


def clamp(t: Task, address: int, count: int) -> int:
    """access_ok, and the limit on one transfer.  Raises OSError(EFAULT)."""
    if address + count > t.mm.task_size:
        raise bad_address()
    return min(count, MAX_RW)


def bad_address() -> OSError:
    return OSError(errno.EFAULT, "bad buffer")


def skip(spans: Spans, count: int) -> Spans:
    """`spans` without their first `count` bytes."""
    rest: Spans = []
    left = count
    for span in spans:
        if left >= len(span):
            left -= len(span)
        else:
            rest.append(span[left:] if left else span)
            left = 0
    return ShortSpans(rest, spans.size - count) if type(spans) is ShortSpans else rest


def check_read(file: File, spans: Spans, offset: int | None) -> None:
    """A read that got nothing: EFAULT if the buffer is bad and the file was not at its end."""
    if type(spans) is not ShortSpans:
        return
    if file.seekable:
        at = file.seek(0, SEEK_CUR) if offset is None else offset
        if file.pread([memoryview(bytearray(1))], at):
            raise bad_address()
    elif not spans and not isinstance(file, PipeFile):
        raise bad_address()


# read and write


def sys_read(t: Task, fd: UInt, buf: Ptr, count: ULong) -> Result:
    """read(2)."""
    file = t.files.get(fd)
    if file.flags & NOT_READABLE:
        return -errno.EBADF
    if count > MAX_RW:
        count = clamp(t, buf, count)
    if file.completes and count and file.starved() and not file.flags & O_NONBLOCK:
        return wait_and_read(t, file, buf, count)
    spans = t.mm.buffer(buf, count, WRITE)
    try:
        done = file.read(spans)
    except BlockingIOError:
        if file.flags & O_NONBLOCK:
            return -errno.EAGAIN
        return wait_and_read(t, file, buf, count)
    if not done:
        check_read(file, spans, None)
    t.read_calls += 1
    t.read_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_ACCESS)
    return done


def wait_and_read(t: Task, file: File, buf: int, count: int) -> Result:
    """The rest of a read that has to wait."""
    sock = file.sock
    if sock is not None:
        if sock.special or sock.rcvtimeo is not None or sock.type != SOCK_STREAM:
            return socket_read(t, file, t.mm.buffer, buf, count)
        file.refs += 1
        return Again(partial(read_again, t, file, t.mm.buffer, buf, count), (sock.readable,), file.put)
    if file.tty is not None:
        return terminal_read(t, file, lambda done: t.mm.buffer(buf + done, count - done, WRITE))
    return Again(partial(read_again, t, file, t.mm.buffer, buf, count), file.queues(POLLIN))


def sys_write(t: Task, fd: UInt, buf: Ptr, count: ULong) -> Result:
    """write(2)."""
    file = t.files.get(fd)
    if file.flags + 1 & WRITE_BITS != WRITABLE:
        return -errno.EBADF
    if count > MAX_RW:
        count = clamp(t, buf, count)
    spans = t.mm.buffer(buf, count, READ)
    try:
        if file.seekable and t.rlimits[RLIMIT_FSIZE][0] != RLIM_INFINITY:
            spans = within_limit(t, file, spans, None)
        done = file.write(spans)
    except BlockingIOError:
        if file.flags & O_NONBLOCK:
            return -errno.EAGAIN
        done = 0
        if not count:  # an empty message
            return socket_write(t, file, lambda done: [], 0)
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.EFBIG):
            raise broken_pipe(t, error, file) from None
        raise
    t.write_calls += 1
    if done < count:
        if file.completes and not file.flags & O_NONBLOCK:
            if file.sock is not None:
                return socket_write(t, file, lambda done: t.mm.buffer(buf + done, count - done, READ), done)
            return write_on(t, file, lambda done: t.mm.buffer(buf + done, count - done, READ), count, done)
        if not done and type(spans) is ShortSpans:
            raise bad_address()
    t.write_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_MODIFY)
    return done


def positional(t: Task, fd: int, offset: int) -> File:
    """The description for a call that takes an offset.  Raises OSError(EINVAL, EBADF, ESPIPE)."""
    if offset < 0:
        raise OSError(errno.EINVAL, "negative offset")
    file = t.files.get_io(fd)
    if not file.seekable:
        raise OSError(errno.ESPIPE, "not seekable")
    return file


def sys_pread64(t: Task, fd: UInt, buf: Ptr, count: ULong, offset: Long) -> Result:
    """pread(2)."""
    file = positional(t, fd, offset)
    if file.flags & NOT_READABLE:
        return -errno.EBADF
    if count > MAX_RW:
        count = clamp(t, buf, count)
    spans = t.mm.buffer(buf, count, WRITE)
    done = file.pread(spans, offset)
    if not done:
        check_read(file, spans, offset)
    t.read_calls += 1
    t.read_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_ACCESS)
    return done


def sys_pwrite64(t: Task, fd: UInt, buf: Ptr, count: ULong, offset: Long) -> Result:
    """pwrite(2)."""
    file = positional(t, fd, offset)
    if file.flags + 1 & WRITE_BITS != WRITABLE:
        return -errno.EBADF
    if count > MAX_RW:
        count = clamp(t, buf, count)
    spans = t.mm.buffer(buf, count, READ)
    if offset + count > OFFSET_MAX:
        return -errno.EINVAL
    try:
        if t.rlimits[RLIMIT_FSIZE][0] != RLIM_INFINITY:
            spans = within_limit(t, file, spans, offset)
        done = file.pwrite(spans, offset)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise broken_pipe(t, error, file) from None
        raise
    if not done and type(spans) is ShortSpans:
        raise bad_address()
    t.write_calls += 1
    t.write_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_MODIFY)
    return done


# Vectors


def read_once(t: Task, file: File, spans: Spans, offset: int | None) -> int:
    """Read what is there, and account for it; `offset` None: at the file position.  Raises BlockingIOError."""
    done = file.read(spans) if offset is None else file.pread(spans, offset)
    if not done:
        check_read(file, spans, offset)
    t.read_calls += 1
    t.read_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_ACCESS)
    return done


def write_once(t: Task, file: File, spans: Spans, offset: int | None, flags: int) -> int:
    """Write what there is room for, and account for it; `flags` are those of pwritev2(2).  Raises BlockingIOError."""
    done = try_write(t, file, spans, offset, flags)
    t.write_calls += 1
    if not done and type(spans) is ShortSpans and not file.completes:
        raise bad_address()
    wrote(t, file, done, flags)
    return done


def try_write(t: Task, file: File, spans: Spans, offset: int | None, flags: int) -> int:
    """`write_once` without its account."""
    own_flags = file.flags
    if flags & RWF_APPEND:
        file.set_flags(own_flags | O_APPEND)
    elif flags & RWF_NOAPPEND:
        file.set_flags(own_flags & ~O_APPEND)
    try:
        if file.seekable and t.rlimits[RLIMIT_FSIZE][0] != RLIM_INFINITY:
            spans = within_limit(t, file, spans, offset)
        return file.write(spans) if offset is None else file.pwrite(spans, offset)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.EFBIG):
            raise broken_pipe(t, error, file) from None
        raise
    finally:
        if flags & (RWF_APPEND | RWF_NOAPPEND):
            file.set_flags(own_flags)


def wrote(t: Task, file: File, done: int, flags: int) -> None:
    """`done` bytes were written."""
    if done and flags & (RWF_DSYNC | RWF_SYNC):
        file.sync(not flags & RWF_SYNC)
    t.write_bytes += done
    if done and file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_MODIFY)


def read_vector(t: Task, file: File, vec: int, count: int, offset: int | None, flags: int) -> Result:
    """preadv2(2); `offset` None: at the file position."""
    if file.flags & NOT_READABLE:
        return -errno.EBADF
    if type(file).read is File.read:
        return -errno.EINVAL
    spans = t.mm.iovec(vec, count, WRITE)
    if not spans and type(spans) is not ShortSpans:
        return 0
    if flags:
        check_rwf(file, flags)
    try:
        return read_once(t, file, spans, offset)
    except BlockingIOError:
        if file.flags & O_NONBLOCK or flags & RWF_NOWAIT:
            return -errno.EAGAIN
        if file.sock is not None:
            return socket_read(t, file, t.mm.iovec, vec, count)
        if file.tty is not None:
            return terminal_read(t, file, lambda done: skip(t.mm.iovec(vec, count, WRITE), done))
        return Again(partial(read_again, t, file, t.mm.iovec, vec, count), file.queues(POLLIN))


def write_vector(t: Task, file: File, vec: int, count: int, offset: int | None, flags: int) -> Result:
    """pwritev2(2); `offset` None: at the file position."""
    if file.flags + 1 & WRITE_BITS != WRITABLE:
        return -errno.EBADF
    if type(file).write is File.write:
        return -errno.EINVAL
    spans = t.mm.iovec(vec, count, READ)
    if not spans and type(spans) is not ShortSpans:
        return 0  # not even an empty message
    if flags:
        check_rwf(file, flags)
    no_wait = file.flags & O_NONBLOCK or flags & RWF_NOWAIT
    try:
        done = try_write(t, file, spans, offset, flags)
    except BlockingIOError:
        if no_wait:
            return -errno.EAGAIN
        done = 0
    t.write_calls += 1
    if not done and type(spans) is ShortSpans and not file.completes:
        raise bad_address()
    if file.completes and not no_wait:
        size = spans.size if type(spans) is ShortSpans else sum(map(len, spans))
        if done < size and file.sock is not None:
            return socket_write(t, file, lambda done: skip(t.mm.iovec(vec, count, READ), done), done)
        if done < size:
            return write_on(t, file, lambda done: skip(t.mm.iovec(vec, count, READ), done), size, done)
    wrote(t, file, done, flags)
    return done


def check_rwf(file: File, flags: int) -> None:
    """Raises OSError(EOPNOTSUPP, EINVAL) for per-call flags that this file does not take."""
    if flags & ~RWF_SUPPORTED or (flags & RWF_NOWAIT and file.completes):
        raise OSError(errno.EOPNOTSUPP, "flag not supported")
    if flags & ~RWF_HIPRI and file.node.kind() == stat_bits.S_IFDIR:
        raise OSError(errno.EOPNOTSUPP, "no flags for directories")
    if flags & RWF_APPEND and flags & RWF_NOAPPEND:
        raise OSError(errno.EINVAL, "contradictory flags")


def sys_readv(t: Task, fd: ULong, vec: Ptr, count: ULong) -> Result:
    """readv(2)."""
    return read_vector(t, t.files.get(fd), vec, count, None, 0)


def sys_writev(t: Task, fd: ULong, vec: Ptr, count: ULong) -> Result:
    """writev(2)."""
    return write_vector(t, t.files.get(fd), vec, count, None, 0)


def sys_preadv(t: Task, fd: ULong, vec: Ptr, count: ULong, offset: Long) -> Result:
    """preadv(2); the high half of the offset is not used where long has 64 bits."""
    return read_vector(t, positional(t, fd, offset), vec, count, offset, 0)


def sys_pwritev(t: Task, fd: ULong, vec: Ptr, count: ULong, offset: Long) -> Result:
    """pwritev(2)."""
    return write_vector(t, positional(t, fd, offset), vec, count, offset, 0)


def sys_preadv2(t: Task, fd: ULong, vec: Ptr, count: ULong, offset: Long, high: ULong, flags: Int) -> Result:
    """preadv2(2); offset -1 means the file position."""
    file = t.files.get_io(fd) if offset == -1 else positional(t, fd, offset)
    return read_vector(t, file, vec, count, None if offset == -1 else offset, flags)


def sys_pwritev2(t: Task, fd: ULong, vec: Ptr, count: ULong, offset: Long, high: ULong, flags: Int) -> Result:
    """pwritev2(2)."""
    file = t.files.get_io(fd) if offset == -1 else positional(t, fd, offset)
    return write_vector(t, file, vec, count, None if offset == -1 else offset, flags)


# Positions, space and storage


def sys_lseek(t: Task, fd: UInt, offset: Long, whence: UInt) -> Result:
    """lseek(2)."""
    file = t.files.get_io(fd)
    if whence > SEEK_HOLE:
        return -errno.EINVAL
    return file.seek(offset, whence)


def sys_fsync(t: Task, fd: UInt) -> Result:
    """fsync(2)."""
    t.files.get_io(fd).sync(False)
    return 0


def sys_fdatasync(t: Task, fd: UInt) -> Result:
    """fdatasync(2)."""
    t.files.get_io(fd).sync(True)
    return 0


def sys_sync(t: Task) -> Result:
    """sync(2): what guests changed through mappings, then everything the host has not stored."""
    for task in t.kernel.tasks.values():
        for vma in task.mm.vmas:
            if vma.shared and vma.file is not None and vma.pages is not None:
                vma.pages.writeback()
    if hasattr(os, "sync"):
        os.sync()
    return 0


def sys_syncfs(t: Task, fd: UInt) -> Result:
    """syncfs(2); the host's filesystems are not told apart."""
    t.files.get_io(fd)
    return sys_sync(t)


def sys_sync_file_range(t: Task, fd: UInt, offset: Long, size: Long, flags: UInt) -> Result:
    """sync_file_range(2)."""
    return sync_file_range(t.files.get_io(fd), offset, size, flags)


def sync_file_range(file: File, offset: int, size: int, flags: int) -> int:
    """Stores the whole file."""
    if flags & ~SYNC_FILE_RANGE_FLAGS or offset < 0 or size < 0 or offset + size > OFFSET_MAX:
        return -errno.EINVAL
    if stat_bits.S_IFMT(file.stat().st_mode) not in STORED_KINDS:
        return -errno.ESPIPE
    if flags:
        file.sync(True)
    return 0


def sys_fallocate(t: Task, fd: UInt, mode: Int, offset: Long, size: Long) -> Result:
    """fallocate(2)."""
    return fallocate(t, t.files.get_io(fd), mode, offset, size)


def fallocate(t: Task, file: File, mode: int, offset: int, size: int) -> int:
    """vfs_fallocate."""
    if offset < 0 or size <= 0:
        return -errno.EINVAL
    if not good_fallocate_mode(mode):
        return -errno.EOPNOTSUPP
    if file.flags + 1 & WRITE_BITS != WRITABLE:
        return -errno.EBADF
    info = file.stat()
    kind = stat_bits.S_IFMT(info.st_mode)
    if kind == stat_bits.S_IFIFO:
        return -errno.ESPIPE
    if kind not in (stat_bits.S_IFREG, stat_bits.S_IFBLK):
        return -errno.ENODEV
    if offset + size > OFFSET_MAX:
        return -errno.EFBIG
    if not mode & FALLOC_FL_KEEP_SIZE:
        check_size(t, offset + size, info.st_size)
    file.allocate(mode, offset, size)
    if file.mount is not None and file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_MODIFY)
    return 0


def good_fallocate_mode(mode: int) -> bool:
    """One operation at a time; punching a hole keeps the size, moving what follows does not."""
    operation = mode & ~FALLOC_FL_KEEP_SIZE
    if operation == FALLOC_FL_PUNCH_HOLE:
        return bool(mode & FALLOC_FL_KEEP_SIZE)
    if operation in (FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE):
        return not mode & FALLOC_FL_KEEP_SIZE
    return operation in (0, FALLOC_FL_ZERO_RANGE, FALLOC_FL_UNSHARE_RANGE)


def sys_fadvise64(t: Task, fd: UInt, offset: Long, size: Long, advice: Int) -> Result:
    """posix_fadvise(2)."""
    return fadvise(t.files.get_io(fd), size, advice)


def fadvise(file: File, size: int, advice: int) -> int:
    """vfs_fadvise: taken as what it is, advice."""
    if stat_bits.S_ISFIFO(file.stat().st_mode):
        return -errno.ESPIPE
    if size < 0 or not 0 <= advice <= POSIX_FADV_NOREUSE:
        return -errno.EINVAL
    return 0


def sys_readahead(t: Task, fd: UInt, offset: Long, count: ULong) -> Result:
    """readahead(2): the host reads ahead by itself."""
    file = t.files.get_io(fd)
    if file.flags & NOT_READABLE:
        return -errno.EBADF
    if stat_bits.S_IFMT(file.stat().st_mode) not in (stat_bits.S_IFREG, stat_bits.S_IFBLK) or count > OFFSET_MAX:
        return -errno.EINVAL
    return 0


# Sizes and their limit


def check_size(t: Task, size: int, before: int) -> None:
    """RLIMIT_FSIZE for a file of `before` bytes that is to have `size`.  Raises OSError(EFBIG), with SIGXFSZ."""
    if size > before and size > t.rlimits[RLIMIT_FSIZE][0]:
        raise broken_pipe(t, OSError(errno.EFBIG, "RLIMIT_FSIZE"))


def within_limit(t: Task, file: File, spans: Spans, offset: int | None) -> Spans:
    """What of `spans` may be written to a regular file under RLIMIT_FSIZE; `offset` None: at its position."""
    info = file.stat()
    if not stat_bits.S_ISREG(info.st_mode):
        return spans
    if file.flags & O_APPEND:
        offset = info.st_size
    elif offset is None:
        offset = file.seek(0, SEEK_CUR)
    limit = t.rlimits[RLIMIT_FSIZE][0]
    if offset >= limit and (spans or type(spans) is ShortSpans):
        raise OSError(errno.EFBIG, "RLIMIT_FSIZE")
    return clip(spans, limit - offset) if limit - offset < sum(map(len, spans)) else spans

"""Native asynchronous input and output: io_setup, io_destroy, io_submit, io_cancel, io_getevents, io_pgetevents."""

from __future__ import annotations

import errno
from collections.abc import Callable, Coroutine
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from emu.engine import READ, WRITE
from kernel.aio import AioContext, AioPoll, lookup, setup
from kernel.errnos import linux_errno
from kernel.task import Interrupted
from syscalls.abi import Long, Ptr, Result, UInt
from syscalls.io import (
    MAX_RW,
    NOT_READABLE,
    RWF_NOWAIT,
    WRITABLE,
    WRITE_BITS,
    check_rwf,
    read_once,
    skip,
    write_once,
)
from syscalls.poll import masked, signal_mask
from syscalls.sched import check_ioprio
from syscalls.structs import TIMESPEC
from vfs.eventfd import EventFd
from vfs.file import O_NONBLOCK
from vfs.wait import POLLERR, POLLHUP, POLLIN, POLLOUT

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File
    from vfs.pages import Spans

PREAD, PWRITE, FSYNC, FDSYNC, POLL, PREADV, PWRITEV = 0, 1, 2, 3, 5, 7, 8
IOCB_FLAG_RESFD, IOCB_FLAG_IOPRIO = 1, 2
KIOCB_KEY = 0
S_IFDIR = 0o040000

NS = 1_000_000_000
_IOCB = Struct("<QIiHhIQQqQII")
_KEY_AT = 8
_SIGSET = Struct("<QQ")  # struct __aio_sigset


class Iocb(NamedTuple):
    """struct iocb."""

    data: int
    key: int
    rw_flags: int
    opcode: int
    reqprio: int
    fd: int
    buf: int
    nbytes: int
    offset: int
    reserved: int
    flags: int
    resfd: int


def sys_io_setup(t: Task, count: UInt, address: Ptr) -> Result:
    """io_setup(2)."""
    if t.mm.u64(address) or not count:
        raise OSError(errno.EINVAL, "not empty, or for no events")
    context = setup(t.mm, count)
    try:
        t.mm.put_u64(address, context.address)
    except OSError:
        context.destroy()
        raise
    return 0


def sys_io_destroy(t: Task, context: Ptr) -> Result:
    """io_destroy(2)."""
    lookup(t.mm, context).destroy()
    return 0


def sys_io_cancel(t: Task, context: Ptr, iocb: Ptr, result: Ptr) -> Result:
    """io_cancel(2): only polls can be cancelled, and their completion comes through the ring."""
    if t.mm.u32(iocb + _KEY_AT) != KIOCB_KEY:
        raise OSError(errno.EINVAL, "not submitted")
    found = lookup(t.mm, context).active.get(iocb)
    if found is None:
        raise OSError(errno.EINVAL, "not under way")
    found.finish(0)
    return -errno.EINPROGRESS


# Submitting


def sys_io_submit(t: Task, address: Ptr, count: Long, iocbs: Ptr) -> Result:
    """io_submit(2).  What a file does not do without waiting is waited for here, as on Linux."""
    if count < 0:
        raise OSError(errno.EINVAL, "negative")
    context = lookup(t.mm, address)
    return _submit(t, context, 0, min(count, context.size), iocbs)


def _submit(t: Task, context: AioContext, first: int, count: int, iocbs: int) -> Result:
    done = first
    while done < count:
        try:
            waits = _submit_one(t, context, t.mm.u64(iocbs + 8 * done))
        except OSError:
            if not done:
                raise
            return done
        done += 1
        if waits is not None:
            return _submit_on(t, context, waits, done, count, iocbs)
    return done


async def _submit_on(
    t: Task, context: AioContext, waits: Coroutine[Any, Any, None], done: int, count: int, iocbs: int
) -> int:
    await waits
    rest = _submit(t, context, done, count, iocbs)
    return rest if isinstance(rest, int) else await rest


def _submit_one(t: Task, context: AioContext, address: int) -> Coroutine[Any, Any, None] | None:
    """io_submit_one: what it has to wait for, if anything.  Raises OSError EFAULT, EINVAL, EAGAIN, EBADF."""
    iocb = Iocb(*t.mm.unpack(_IOCB, address))
    if iocb.reserved or iocb.nbytes >> 63:
        raise OSError(errno.EINVAL, "reserved, or negative")
    context.room()
    file = t.files.get_io(iocb.fd)
    eventfd = None
    if iocb.flags & IOCB_FLAG_RESFD:
        found = t.files.get_io(iocb.resfd)
        if not isinstance(found, EventFd):
            raise OSError(errno.EINVAL, "not an eventfd")
        eventfd = found
    t.mm.put_u32(address + _KEY_AT, KIOCB_KEY)
    if iocb.opcode == POLL:
        _poll(t, context, address, iocb, file, eventfd)
        return None
    done: Callable[[], int] = int  # what was moved before it has to wait: nothing
    if iocb.opcode in (FSYNC, FDSYNC):
        if iocb.buf or iocb.offset or iocb.nbytes or iocb.rw_flags:
            raise OSError(errno.EINVAL, "nothing to choose")
        attempt = _sync(file, iocb.opcode == FDSYNC)
    elif iocb.opcode in (PREAD, PREADV):
        attempt = _read(t, iocb, file)
    elif iocb.opcode in (PWRITE, PWRITEV):
        attempt, done = _write(t, iocb, file)
    else:
        raise OSError(errno.EINVAL, "no such operation")
    try:
        result = attempt()
    except BlockingIOError:
        if not (file.flags & O_NONBLOCK or iocb.rw_flags & RWF_NOWAIT):
            events = POLLIN if iocb.opcode in (PREAD, PREADV) else POLLOUT
            return _wait(t, context, address, iocb, file, eventfd, attempt, done, events)
        result = done() or -errno.EAGAIN
    except OSError as error:
        if error.errno == errno.EINVAL and iocb.opcode in (FSYNC, FDSYNC):
            raise  # the file has nothing to synchronise
        result = -linux_errno(error)
    context.complete(iocb.data, address, result, eventfd)
    return None


async def _wait(
    t: Task, context: AioContext, address: int, iocb: Iocb, file: File, eventfd: EventFd | None,
    attempt: Callable[[], int], done: Callable[[], int], events: int,
) -> None:  # fmt: skip
    """The submitter sleeps until the file is ready: it has no other way to wait for one."""
    held = [each for each in (file, eventfd) if each is not None]
    for each in held:
        each.refs += 1
    try:
        while True:
            try:
                await t.wait(*file.queues(events))
                result = attempt()
                break
            except BlockingIOError:
                continue
            except Interrupted:
                result = done() or -errno.EINTR
                break
            except OSError as error:
                result = -linux_errno(error)
                break
        if not context.dead:
            context.complete(iocb.data, address, result, eventfd)
    finally:
        for each in held:
            each.put()


def _sync(file: File, data_only: bool) -> Callable[[], int]:
    def attempt() -> int:
        file.sync(data_only)
        return 0

    return attempt


def _prepare(t: Task, iocb: Iocb, file: File) -> int | None:
    """aio_prep_rw and rw_verify_area: the place in the file, None for a stream.  Raises OSError."""
    if iocb.flags & IOCB_FLAG_IOPRIO:
        check_ioprio(t, iocb.reqprio)
    if iocb.rw_flags:
        check_rwf(file, iocb.rw_flags)
    return iocb.offset if file.seekable else None


def _buffers(t: Task, iocb: Iocb, access: int) -> Callable[[], Spans]:
    """aio_setup_rw.  Raises OSError(EFAULT, EINVAL)."""
    mm = t.mm
    if iocb.opcode in (PREADV, PWRITEV):
        parts = mm.iovec_parts(iocb.buf, iocb.nbytes)
        return lambda: mm.vector(parts, access)
    if iocb.buf + iocb.nbytes > mm.task_size:
        raise OSError(errno.EFAULT, "bad buffer")
    size = min(iocb.nbytes, MAX_RW)
    return lambda: mm.buffer(iocb.buf, size, access)


def _read(t: Task, iocb: Iocb, file: File) -> Callable[[], int]:
    offset = _prepare(t, iocb, file)
    if file.flags & NOT_READABLE:
        raise OSError(errno.EBADF, "not open for reading")
    if file.node.kind() == S_IFDIR:
        raise OSError(errno.EINVAL, "a directory")
    buffers = _buffers(t, iocb, WRITE)
    if offset is not None and offset < 0:
        raise OSError(errno.EINVAL, "negative offset")
    return lambda: read_once(t, file, buffers(), offset)


def _write(t: Task, iocb: Iocb, file: File) -> tuple[Callable[[], int], Callable[[], int]]:
    """The attempt, and how much of it is done: a pipe or socket is written to until all has been taken."""
    offset = _prepare(t, iocb, file)
    if file.flags + 1 & WRITE_BITS != WRITABLE:
        raise OSError(errno.EBADF, "not open for writing")
    if isinstance(file, EventFd):
        raise OSError(errno.EINVAL, "no write_iter")
    buffers = _buffers(t, iocb, READ)
    if offset is not None and offset < 0:
        raise OSError(errno.EINVAL, "negative offset")
    if not file.completes:
        return lambda: write_once(t, file, buffers(), offset, iocb.rw_flags), int
    done = 0

    def attempt() -> int:
        nonlocal done
        try:
            while True:
                rest = skip(buffers(), done)
                done += write_once(t, file, rest, None, iocb.rw_flags)
                if done >= size:
                    return done
        except BlockingIOError:
            raise
        except OSError:
            if done:
                return done
            raise

    size = sum(map(len, buffers()))
    return attempt, lambda: done


def _poll(t: Task, context: AioContext, address: int, iocb: Iocb, file: File, eventfd: EventFd | None) -> None:
    """aio_poll.  Raises OSError(EINVAL)."""
    if iocb.buf >> 16 or iocb.offset or iocb.nbytes or iocb.rw_flags:
        raise OSError(errno.EINVAL, "nothing to choose")
    events = iocb.buf | POLLERR | POLLHUP
    ready = file.poll() & events
    if ready:
        context.complete(iocb.data, address, ready, eventfd)
        return
    if not file.pollable and not file.queues(events):
        raise OSError(errno.EINVAL, "cannot be waited for")
    AioPoll(context, address, iocb.data, file, events, eventfd).start(t.kernel)


# Completions


def sys_io_getevents(t: Task, address: Ptr, least: Long, most: Long, events: Ptr, timeout: Ptr) -> Result:
    """io_getevents(2)."""
    return _getevents(t, address, least, most, events, _timeout(t, timeout))


def sys_io_pgetevents(t: Task, address: Ptr, least: Long, most: Long, events: Ptr, timeout: Ptr, sig: Ptr) -> Result:
    """io_pgetevents(2)."""
    wait = _timeout(t, timeout)
    mask = None
    if sig:
        mask_at, mask_size = t.mm.unpack(_SIGSET, sig)
        mask = signal_mask(t, mask_at, mask_size)
    result = _getevents(t, address, least, most, events, wait)
    return result if isinstance(result, int) else masked(t, mask, result)


def _timeout(t: Task, address: int) -> int | None:
    """Nanoseconds, None for ever.  What is no time is not refused, and as a negative one never comes."""
    if not address:
        return None
    seconds, rest = t.mm.unpack(TIMESPEC, address)
    wait: int = seconds * NS + rest
    return wait if wait >= 0 else None


def _getevents(t: Task, address: int, least: int, most: int, events: int, timeout: int | None) -> Result:
    context = lookup(t.mm, address)
    if not 0 <= least <= most:
        raise OSError(errno.EINVAL, "bad number of events")
    done = context.take(t, events, most)
    if done >= least or timeout == 0:
        return done
    return _getevents_on(t, context, done, least, most, events, timeout)


async def _getevents_on(
    t: Task, context: AioContext, done: int, least: int, most: int, events: int, timeout: int | None
) -> int:
    """read_events: until there are enough."""
    clock = t.kernel.clock
    deadline = None if timeout is None else clock.monotonic_ns() + timeout
    while True:
        left = None if deadline is None else deadline - clock.monotonic_ns()
        try:
            in_time = (left is None or left > 0) and await t.wait(context.waiting, timeout_ns=left)
        except Interrupted:
            if done:
                return done
            raise
        if context.dead:
            return done or -errno.EINVAL
        try:
            done += context.take(t, events + 32 * done, most - done)
        except OSError:
            if not done:
                raise
            return done
        if done >= least or not in_time:
            return done

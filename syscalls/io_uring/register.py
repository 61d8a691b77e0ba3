"""io_uring_register(2): what a ring is given to keep, and told."""

from __future__ import annotations

import errno
from collections.abc import Callable
from copy import copy
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import PAGE_SIZE, WRITE
from kernel.io_uring import uapi
from kernel.io_uring.cancel import CANCEL_FLAGS, Match, cancel
from kernel.io_uring.kbuf import IOU_PBUF_RING_INC, IOU_PBUF_RING_MMAP, BufferGroup
from kernel.io_uring.restrictions import Restrictions
from kernel.io_uring.ring import IoRing, pages_for
from kernel.io_uring.rsrc import (
    IORING_MAX_FIXED_FILES,
    IORING_MAX_REG_BUFFERS,
    Buffer,
    FileTable,
    Slot,
)
from syscalls.abi import Result
from syscalls.io_uring.cancel import cancel_file
from syscalls.io_uring.find import MAX_RING_FDS, find_ring, free_ring_index, uring_task
from vfs.eventfd import EventFd
from vfs.file import O_PATH
from vfs.pages import HostFilePages

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File

U32 = Struct("<I")
INT = Struct("<i")
U64 = Struct("<Q")
PROBE = Struct("<BBH3I")
PROBE_OP = Struct("<BBHI")
RSRC_REGISTER = Struct("<IIQQQ")  # nr, flags, -, data, tags
RSRC_UPDATE = Struct("<IIQ")  # offset, -, data
RSRC_UPDATE2 = Struct("<IIQQII")  # offset, -, data, tags, nr, -
IOVEC = Struct("<QQ")
RESTRICTION = Struct("<HBB12x")
BUF_REG = Struct("<QIHHQQQ")  # address, entries, group, flags
BUF_STATUS = Struct("<II8I")
SYNC_CANCEL = Struct("<QiIqqB7s24s")
INDEX_RANGE = Struct("<IIQ")
CLOCK = Struct("<I12s")
CLONE = Struct("<II24s")

IO_URING_OP_SUPPORTED = 1
IORING_RSRC_REGISTER_SPARSE = 1
IORING_REGISTER_FILES_SKIP = -2
IORING_REGISTER_SRC_REGISTERED = 1
ANY_OFFSET = 0xFFFF_FFFF
NO_RING = 0xFFFF_FFFF
RLIMIT_NOFILE = 7
MAX_BUFFER = 1 << 30
MAX_PERSONALITIES = 0xFFFF
EBADFD = 77

Handler = Callable[["Task", IoRing, int, int], Result]


def invalid(text: str) -> OSError:
    return OSError(errno.EINVAL, text)


def register_probe(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_PROBE."""
    if not arg or count > 256:
        raise invalid("bad argument")
    count = min(count, uapi.IORING_OP_LAST)
    if any(t.mm.read(arg, PROBE.size + PROBE_OP.size * count)):
        raise invalid("not cleared")
    out = bytearray(PROBE.pack(uapi.IORING_OP_LAST - 1, count, 0, 0, 0, 0))
    for number in range(count):
        out += PROBE_OP.pack(number, 0, IO_URING_OP_SUPPORTED if ring.ops[number] is not None else 0, 0)
    t.mm.write(arg, out)
    return 0


# Files


def registrable(t: Task, fd: int) -> File:
    """The file behind a descriptor that is to be registered.  Raises OSError(EBADF)."""
    file = t.files.files.get(fd)
    if file is None or file.flags & O_PATH or isinstance(file, IoRing):
        raise OSError(errno.EBADF, "cannot be registered")
    return file


def files_register(t: Task, ring: IoRing, data: int, count: int, tags: int) -> int:
    """io_sqe_files_register."""
    if ring.fixed is not None:
        raise OSError(errno.EBUSY, "files are registered")
    if not count:
        raise invalid("no files")
    if count > IORING_MAX_FIXED_FILES or count > t.rlimits[RLIMIT_NOFILE][0]:
        raise OSError(errno.EMFILE, "too many files")
    fds = [fd for (fd,) in INT.iter_unpack(t.mm.read(data, 4 * count))] if data else [-1] * count
    marks = [tag for (tag,) in U64.iter_unpack(t.mm.read(tags, 8 * count))] if tags else [0] * count
    found: list[tuple[File, int] | None] = []
    for fd, tag in zip(fds, marks, strict=True):
        if fd == -1:
            if tag:
                raise invalid("a tag for nothing")
            found.append(None)
        else:
            found.append((registrable(t, fd), tag))
    ring.fixed = FileTable(ring, [Slot(*entry) if entry is not None else None for entry in found])
    ring.alloc_range = None
    return 0


def files_update(t: Task, ring: IoRing, offset: int, data: int, tags: int, count: int) -> int:
    """__io_sqe_files_update: how many were changed."""
    table = ring.fixed
    if table is None:
        raise OSError(errno.ENXIO, "no files are registered")
    if offset + count > len(table.slots):
        raise invalid("beyond the table")
    done = 0
    try:
        for index in range(count):
            tag = t.mm.u64(tags + 8 * index) if tags else 0
            (fd,) = t.mm.unpack(INT, data + 4 * index)
            if fd in (IORING_REGISTER_FILES_SKIP, -1) and tag:
                raise invalid("a tag for nothing")
            if fd != IORING_REGISTER_FILES_SKIP:
                if table.slots[offset + index] is not None:
                    table.set(offset + index, None)
                if fd != -1:
                    table.set(offset + index, Slot(registrable(t, fd), tag))
            done += 1
    except OSError:
        if not done:
            raise
    return done


def unregister_files(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_UNREGISTER_FILES."""
    if arg or count:
        raise invalid("no argument is wanted")
    if ring.fixed is None:
        raise OSError(errno.ENXIO, "no files are registered")
    table, ring.fixed = ring.fixed, None
    table.release()
    return 0


def register_files(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_FILES."""
    if not arg:
        raise OSError(errno.EFAULT, "no files")
    return files_register(t, ring, arg, count, 0)


def register_files_update(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_FILES_UPDATE."""
    if not count:
        raise invalid("nothing to update")
    offset, reserved, data = t.mm.unpack(RSRC_UPDATE, arg)
    if reserved:
        raise invalid("reserved")
    return files_update(t, ring, offset, data, 0, count)


def read_rsrc(t: Task, arg: int, size: int) -> tuple[int, int, int]:
    """struct io_uring_rsrc_register: count, data, tags.  Raises OSError(EINVAL)."""
    if size != RSRC_REGISTER.size:
        raise invalid("bad size")
    count, flags, reserved, data, tags = t.mm.unpack(RSRC_REGISTER, arg)
    if not count or reserved or flags & ~IORING_RSRC_REGISTER_SPARSE or (flags and data):
        raise invalid("bad argument")
    return count, data, tags


def register_files2(t: Task, ring: IoRing, arg: int, size: int) -> Result:
    """IORING_REGISTER_FILES2."""
    count, data, tags = read_rsrc(t, arg, size)
    return files_register(t, ring, data, count, tags)


def read_update2(t: Task, arg: int, size: int) -> tuple[int, int, int, int]:
    """struct io_uring_rsrc_update2: offset, data, tags, count.  Raises OSError(EINVAL)."""
    if size != RSRC_UPDATE2.size:
        raise invalid("bad size")
    offset, reserved, data, tags, count, reserved2 = t.mm.unpack(RSRC_UPDATE2, arg)
    if not count or reserved or reserved2:
        raise invalid("bad argument")
    return offset, data, tags, count


def register_files_update2(t: Task, ring: IoRing, arg: int, size: int) -> Result:
    """IORING_REGISTER_FILES_UPDATE2."""
    offset, data, tags, count = read_update2(t, arg, size)
    return files_update(t, ring, offset, data, tags, count)


def register_alloc_range(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_FILE_ALLOC_RANGE."""
    if not arg or count:
        raise invalid("bad argument")
    offset, size, reserved = t.mm.unpack(INDEX_RANGE, arg)
    if offset + size > ANY_OFFSET:
        raise OSError(errno.EOVERFLOW, "too large")
    if reserved or offset + size > (len(ring.fixed.slots) if ring.fixed is not None else 0):
        raise invalid("beyond the table")
    ring.alloc_range = offset, offset + size
    return 0


# Buffers


def make_buffer(t: Task, address: int, size: int, tag: int) -> Buffer | None:
    """io_buffer_validate and io_sqe_buffer_register.  Raises OSError(EFAULT, EINVAL, EOVERFLOW)."""
    if not address:
        if size:
            raise OSError(errno.EFAULT, "no address")
        if tag:
            raise invalid("a tag for nothing")
        return None
    if not size or size > MAX_BUFFER:
        raise OSError(errno.EFAULT, "bad size of a buffer")
    if address + size > 1 << 64:
        raise OSError(errno.EOVERFLOW, "wraps")
    if address + size > t.mm.task_size or sum(map(len, t.mm.spans(address, size, WRITE))) < size:
        raise OSError(errno.EFAULT, "not the program's memory")
    for vma in t.mm.overlapping(address, address + size):
        if vma.shared and isinstance(vma.pages, HostFilePages):
            raise OSError(errno.EFAULT, "a file's pages cannot be pinned for long")
    return Buffer(t.mm, address, size, tag)


def buffers_register(t: Task, ring: IoRing, data: int, count: int, tags: int) -> int:
    """io_sqe_buffers_register."""
    if ring.buffers is not None:
        raise OSError(errno.EBUSY, "buffers are registered")
    if not count or count > IORING_MAX_REG_BUFFERS:
        raise invalid("bad number of buffers")
    found = []
    for index in range(count):
        address, size = t.mm.unpack(IOVEC, data + IOVEC.size * index) if data else (0, 0)
        tag = t.mm.u64(tags + 8 * index) if tags else 0
        found.append(make_buffer(t, address, size, tag))
    ring.buffers = found
    return 0


def register_buffers(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_BUFFERS."""
    if not arg:
        raise OSError(errno.EFAULT, "no buffers")
    return buffers_register(t, ring, arg, count, 0)


def register_buffers2(t: Task, ring: IoRing, arg: int, size: int) -> Result:
    """IORING_REGISTER_BUFFERS2."""
    count, data, tags = read_rsrc(t, arg, size)
    return buffers_register(t, ring, data, count, tags)


def register_buffers_update(t: Task, ring: IoRing, arg: int, size: int) -> Result:
    """IORING_REGISTER_BUFFERS_UPDATE."""
    offset, data, tags, count = read_update2(t, arg, size)
    if ring.buffers is None:
        raise OSError(errno.ENXIO, "no buffers are registered")
    if offset + count > len(ring.buffers):
        raise invalid("beyond the table")
    done = 0
    try:
        for index in range(count):
            address, length = t.mm.unpack(IOVEC, data + IOVEC.size * index)
            tag = t.mm.u64(tags + 8 * index) if tags else 0
            new = make_buffer(t, address, length, tag)
            old, ring.buffers[offset + index] = ring.buffers[offset + index], new
            if old is not None:
                old.remove(ring)
            done += 1
    except OSError:
        if not done:
            raise
    return done


def unregister_buffers(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_UNREGISTER_BUFFERS."""
    if arg or count:
        raise invalid("no argument is wanted")
    if ring.buffers is None:
        raise OSError(errno.ENXIO, "no buffers are registered")
    buffers, ring.buffers = ring.buffers, None
    for buffer in buffers:
        if buffer is not None:
            buffer.remove(ring)
    return 0


def register_clone_buffers(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_CLONE_BUFFERS."""
    if not arg or count != 1:
        raise invalid("bad argument")
    fd, flags, reserved = t.mm.unpack(CLONE, arg)
    if flags & ~IORING_REGISTER_SRC_REGISTERED or any(reserved):
        raise invalid("bad argument")
    source = find_ring(t, fd, bool(flags & IORING_REGISTER_SRC_REGISTERED))
    if source is ring:
        raise invalid("its own buffers")
    if ring.buffers is not None:
        raise OSError(errno.EBUSY, "buffers are registered")
    if source.buffers is None:
        raise OSError(errno.ENXIO, "no buffers are registered")
    ring.buffers = [buffer and Buffer(buffer.mm, buffer.address, buffer.size, 0) for buffer in source.buffers]
    return 0


# Buffers to choose from


def register_pbuf_ring(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_PBUF_RING."""
    if not arg or count != 1:
        raise invalid("bad argument")
    address, entries, bgid, flags, *reserved = t.mm.unpack(BUF_REG, arg)
    if any(reserved) or flags & ~(IOU_PBUF_RING_MMAP | IOU_PBUF_RING_INC):
        raise invalid("bad argument")
    mapped = flags & IOU_PBUF_RING_MMAP
    if mapped and address:
        raise invalid("an address, and memory of the kernel's")
    if not mapped and not address:
        raise OSError(errno.EFAULT, "no address")
    if address & PAGE_SIZE - 1 or not entries or entries & entries - 1 or entries >= 65536:
        raise invalid("bad ring")
    old = ring.groups.get(bgid)
    if old is not None and (old.is_ring or old.buffers):
        raise OSError(errno.EEXIST, "the group is in use")
    group = BufferGroup(t.mm)
    group.mask = entries - 1
    group.incremental = bool(flags & IOU_PBUF_RING_INC)
    if mapped:
        arena = t.kernel.arena
        frames = []
        try:
            for _ in range(pages_for(16 * entries)):
                frames.append(arena.alloc())
        except OSError:
            for frame in frames:
                arena.drop(frame)
            raise
        ring.parts.add(uapi.IORING_OFF_PBUF_RING | bgid << uapi.IORING_OFF_PBUF_SHIFT, frames)
        group.mapped = frames
    else:
        if sum(map(len, t.mm.spans(address, 16 * entries, WRITE))) < 16 * entries:
            raise OSError(errno.EFAULT, "not the program's memory")
        group.ring = address
    ring.groups[bgid] = group
    return 0


def find_group(ring: IoRing, bgid: int) -> BufferGroup:
    """A ring of buffers.  Raises OSError(ENOENT, EINVAL)."""
    group = ring.groups.get(bgid)
    if group is None:
        raise OSError(errno.ENOENT, "no such group")
    if not group.is_ring:
        raise invalid("not a ring")
    return group


def unregister_pbuf_ring(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_UNREGISTER_PBUF_RING."""
    if not arg or count != 1:
        raise invalid("bad argument")
    _, _, bgid, flags, *reserved = t.mm.unpack(BUF_REG, arg)
    if any(reserved) or flags:
        raise invalid("bad argument")
    group = find_group(ring, bgid)
    if group.mapped:
        ring.parts.remove(uapi.IORING_OFF_PBUF_RING | bgid << uapi.IORING_OFF_PBUF_SHIFT)
    del ring.groups[bgid]
    return 0


def register_pbuf_status(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_PBUF_STATUS."""
    if not arg or count != 1:
        raise invalid("bad argument")
    bgid, _, *reserved = t.mm.unpack(BUF_STATUS, arg)
    if any(reserved):
        raise invalid("reserved")
    t.mm.put_u32(arg + 4, find_group(ring, bgid).head)
    return 0


# The ring itself


def register_eventfd(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_EVENTFD."""
    return use_eventfd(t, ring, arg, count, False)


def register_eventfd_async(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_EVENTFD_ASYNC."""
    return use_eventfd(t, ring, arg, count, True)


def use_eventfd(t: Task, ring: IoRing, arg: int, count: int, only_async: bool) -> int:
    if count != 1:
        raise invalid("one descriptor")
    if ring.eventfd is not None:
        raise OSError(errno.EBUSY, "there is one")
    (fd,) = t.mm.unpack(INT, arg)
    file = t.files.get_io(fd)
    if not isinstance(file, EventFd):
        raise invalid("not an eventfd")
    file.refs += 1
    ring.set_eventfd(file, only_async)
    return 0


def unregister_eventfd(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_UNREGISTER_EVENTFD."""
    if arg or count:
        raise invalid("no argument is wanted")
    if ring.eventfd is None:
        raise OSError(errno.ENXIO, "there is none")
    file, ring.eventfd = ring.eventfd, None
    file.put()
    return 0


def register_personality(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_PERSONALITY: the caller's credentials, under a number."""
    if arg or count:
        raise invalid("no argument is wanted")
    if len(ring.personalities) == MAX_PERSONALITIES:
        raise OSError(errno.ENOSPC, "too many")
    number = ring.last_personality
    while True:
        number = number % MAX_PERSONALITIES + 1
        if number not in ring.personalities:
            break
    ring.last_personality = number
    ring.personalities[number] = copy(t.cred)
    return number


def unregister_personality(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_UNREGISTER_PERSONALITY."""
    if arg or ring.personalities.pop(count, None) is None:
        raise invalid("no such personality")
    return 0


def register_restrictions(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_RESTRICTIONS: they hold once the ring is enabled."""
    if not ring.disabled:
        raise OSError(EBADFD, "the ring is enabled")
    if ring.next_restrictions is not None:
        raise OSError(errno.EBUSY, "there are restrictions")
    if not arg or count > uapi.IORING_REGISTER_LAST + uapi.IORING_OP_LAST + 4:
        raise invalid("bad argument")
    new = Restrictions()
    for index in range(count):
        new.add(*t.mm.unpack(RESTRICTION, arg + RESTRICTION.size * index)[:2])
    ring.next_restrictions = new
    return 0


def enable_rings(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_ENABLE_RINGS."""
    if arg or count:
        raise invalid("no argument is wanted")
    if not ring.disabled:
        raise OSError(EBADFD, "the ring is enabled")
    if ring.setup_flags & uapi.IORING_SETUP_SINGLE_ISSUER and ring.submitter is None:
        ring.submitter = t
    ring.restrictions = ring.next_restrictions
    ring.disabled = False
    if ring.sqpoll is not None:
        ring.sqpoll.wake()
    return 0


def iowq_max_workers(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_IOWQ_MAX_WORKERS: limits that are kept, and never reached."""
    if not arg or count != 2:
        raise invalid("bad argument")
    new = [U32.unpack(t.mm.read(arg + 4 * at, 4))[0] for at in range(2)]
    if any(value > 0x7FFF_FFFF for value in new):
        raise invalid("too many")
    for at in range(2):
        t.mm.put_u32(arg + 4 * at, ring.iowq_workers[at])
        if new[at]:
            ring.iowq_workers[at] = new[at]
    return 0


def register_ring_fds(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_RING_FDS: how many were registered."""
    if not count or count > MAX_RING_FDS:
        raise invalid("bad number")
    uring = uring_task(t)
    done = 0
    try:
        for at in range(arg, arg + RSRC_UPDATE.size * count, RSRC_UPDATE.size):
            index, reserved, fd = t.mm.unpack(RSRC_UPDATE, at)
            if reserved:
                raise invalid("reserved")
            if index == ANY_OFFSET:
                index = free_ring_index(uring)
            elif index >= MAX_RING_FDS:
                raise invalid("no such place")
            elif index in uring.registered:
                raise OSError(errno.EBUSY, "in use")
            other = find_ring(t, fd & 0xFFFF_FFFF, False)
            t.mm.put_u32(at, index)
            other.refs += 1
            uring.registered[index] = other
            done += 1
    except OSError:
        if not done:
            raise
    return done


def unregister_ring_fds(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_UNREGISTER_RING_FDS: how many were taken out."""
    if not count or count > MAX_RING_FDS:
        raise invalid("bad number")
    if t.io_uring is None:
        return 0
    done = 0
    try:
        for at in range(arg, arg + RSRC_UPDATE.size * count, RSRC_UPDATE.size):
            index, reserved, data = t.mm.unpack(RSRC_UPDATE, at)
            if reserved or data or index >= MAX_RING_FDS:
                raise invalid("bad place")
            other = t.io_uring.registered.pop(index, None)
            if other is not None:
                other.put()
            done += 1
    except OSError:
        if not done:
            raise
    return done


def sync_cancel(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_SYNC_CANCEL: what it finds has ended when it returns."""
    if not arg or count != 1:
        raise invalid("bad argument")
    address, fd, flags, _, _, opcode, *reserved = t.mm.unpack(SYNC_CANCEL, arg)
    if flags & ~CANCEL_FLAGS or any(map(any, reserved)):
        raise invalid("bad argument")
    match = Match(flags, address, opcode)
    cancel_file(t, ring, match, fd, False)
    found = cancel(ring, match)
    ring.commit()
    return found


def register_clock(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_CLOCK: the clock of waits for completions."""
    if not arg or count:
        raise invalid("bad argument")
    clock, reserved = t.mm.unpack(CLOCK, arg)
    if any(reserved) or clock not in (1, 7):  # CLOCK_MONOTONIC, CLOCK_BOOTTIME
        raise invalid("no such clock")
    ring.clock = clock
    return 0


HANDLERS: dict[int, Handler] = {
    uapi.IORING_REGISTER_BUFFERS: register_buffers,
    uapi.IORING_UNREGISTER_BUFFERS: unregister_buffers,
    uapi.IORING_REGISTER_FILES: register_files,
    uapi.IORING_UNREGISTER_FILES: unregister_files,
    uapi.IORING_REGISTER_EVENTFD: register_eventfd,
    uapi.IORING_UNREGISTER_EVENTFD: unregister_eventfd,
    uapi.IORING_REGISTER_FILES_UPDATE: register_files_update,
    uapi.IORING_REGISTER_EVENTFD_ASYNC: register_eventfd_async,
    uapi.IORING_REGISTER_PROBE: register_probe,
    uapi.IORING_REGISTER_PERSONALITY: register_personality,
    uapi.IORING_UNREGISTER_PERSONALITY: unregister_personality,
    uapi.IORING_REGISTER_RESTRICTIONS: register_restrictions,
    uapi.IORING_REGISTER_ENABLE_RINGS: enable_rings,
    uapi.IORING_REGISTER_FILES2: register_files2,
    uapi.IORING_REGISTER_FILES_UPDATE2: register_files_update2,
    uapi.IORING_REGISTER_BUFFERS2: register_buffers2,
    uapi.IORING_REGISTER_BUFFERS_UPDATE: register_buffers_update,
    uapi.IORING_REGISTER_IOWQ_MAX_WORKERS: iowq_max_workers,
    uapi.IORING_REGISTER_RING_FDS: register_ring_fds,
    uapi.IORING_UNREGISTER_RING_FDS: unregister_ring_fds,
    uapi.IORING_REGISTER_PBUF_RING: register_pbuf_ring,
    uapi.IORING_UNREGISTER_PBUF_RING: unregister_pbuf_ring,
    uapi.IORING_REGISTER_SYNC_CANCEL: sync_cancel,
    uapi.IORING_REGISTER_FILE_ALLOC_RANGE: register_alloc_range,
    uapi.IORING_REGISTER_PBUF_STATUS: register_pbuf_status,
    uapi.IORING_REGISTER_CLOCK: register_clock,
    uapi.IORING_REGISTER_CLONE_BUFFERS: register_clone_buffers,
}


def do_register(t: Task, fd: int, opcode: int, arg: int, count: int) -> Result:
    """__io_uring_register."""
    registered = bool(opcode & uapi.IORING_REGISTER_USE_REGISTERED_RING)
    opcode &= ~uapi.IORING_REGISTER_USE_REGISTERED_RING
    if opcode >= uapi.IORING_REGISTER_LAST or (fd == NO_RING and not registered):
        return -errno.EINVAL
    ring = find_ring(t, fd, registered)
    if ring.submitter is not None and ring.submitter is not t:
        return -errno.EEXIST
    if ring.restrictions is not None and not ring.restrictions.may_register(opcode):
        return -errno.EACCES
    handler = HANDLERS.get(opcode)
    return handler(t, ring, arg, count) if handler is not None else -errno.EINVAL

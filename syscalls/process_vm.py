"""Another process's memory: process_vm_readv(2), process_vm_writev(2), process_madvise(2), process_mrelease(2)."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import READ, WRITE
from kernel.cred import CAP_SYS_NICE
from kernel.ptrace import FSCREDS, REALCREDS, check_access
from kernel.signal import SIGKILL, sigset
from kernel.uaccess import MAX_RW_COUNT, UIO_MAXIOV
from syscalls.abi import Int, Ptr, UInt, ULong
from syscalls.memory import MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, madvise
from syscalls.pidfd import pidfd
from vfs.pages import ShortSpans

if TYPE_CHECKING:
    from kernel.mm import AddressSpace
    from kernel.task import Task
    from vfs.pages import Spans

_IOVEC = Struct("<QQ")


def sys_process_vm_readv(
    t: Task, pid: Int, local: Ptr, local_count: ULong, remote: Ptr, remote_count: ULong, flags: ULong
) -> int:
    """process_vm_readv(2)."""
    return _transfer(t, pid, local, local_count, remote, remote_count, flags, writing=False)


def sys_process_vm_writev(
    t: Task, pid: Int, local: Ptr, local_count: ULong, remote: Ptr, remote_count: ULong, flags: ULong
) -> int:
    """process_vm_writev(2)."""
    return _transfer(t, pid, local, local_count, remote, remote_count, flags, writing=True)


def _transfer(
    t: Task, pid: int, local: int, local_count: int, remote: int, remote_count: int, flags: int, *, writing: bool
) -> int:
    """process_vm_rw: bytes moved, up to the first that cannot be."""
    if flags:
        return -errno.EINVAL
    mine = t.mm.iovec(local, local_count, READ if writing else WRITE)
    size = mine.size if type(mine) is ShortSpans else sum(map(len, mine))
    if not size:
        return 0
    ranges = _ranges(t, remote, remote_count)
    if not any(length for _, length in ranges):
        return 0
    target = t.kernel.tasks.get(pid)
    if target is None:
        return -errno.ESRCH
    check_access(t, target, REALCREDS)
    if target.zombie:
        return -errno.ESRCH
    theirs = _remote_spans(target.mm, ranges, size, WRITE if writing else READ)
    done = _copy(theirs, mine) if writing else _copy(mine, theirs)
    return done or -errno.EFAULT


def _ranges(t: Task, address: int, count: int) -> list[tuple[int, int]]:
    """A struct iovec array of addresses in another process.  Raises OSError EINVAL, EFAULT."""
    if count > UIO_MAXIOV:
        raise OSError(errno.EINVAL, "too many ranges")
    ranges = list(_IOVEC.iter_unpack(t.mm.read(address, _IOVEC.size * count)))
    if any(length >> 63 for _, length in ranges):
        raise OSError(errno.EINVAL, "negative length")
    return ranges


def _remote_spans(mm: AddressSpace, ranges: list[tuple[int, int]], size: int, access: int) -> Spans:
    """The first `size` bytes of the ranges, or as many as come before one that cannot be accessed."""
    found: Spans = []
    for address, length in ranges:
        length = min(length, size)
        if not length:
            continue
        try:
            spans = mm.spans(address, length, access)
        except OSError:
            break
        found += spans
        if type(spans) is ShortSpans:
            break
        size -= length
    return found


def _copy(to: Spans, source: Spans) -> int:
    """Fill `to` from `source` as far as both go."""
    done = 0
    rest = iter(source)
    have = memoryview(b"")
    for span in to:
        at = 0
        while at < len(span):
            if not have:
                following = next(rest, None)
                if following is None:
                    return done
                have = following
            count = min(len(have), len(span) - at)
            span[at : at + count] = have[:count]
            have = have[count:]
            at += count
            done += count
    return done


def sys_process_madvise(t: Task, fd: Int, vec: Ptr, count: ULong, advice: Int, flags: UInt) -> int:
    """process_madvise(2): of another process only what does not change its memory's contents."""
    if flags:
        return -errno.EINVAL
    ranges = _ranges(t, vec, count)
    target = pidfd(t, fd).task()
    if target.mm is not t.mm and advice not in (MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT):
        return -errno.EINVAL
    if not t.cred.perfmon_capable():
        check_access(t, target, FSCREDS, errno.EACCES)
    if target.zombie:
        return -errno.ESRCH
    if target.mm is not t.mm and not t.cred.capable(CAP_SYS_NICE):
        return -errno.EPERM
    done = 0
    for address, length in ranges:
        length = min(length, MAX_RW_COUNT - done)
        try:
            madvise(target.mm, address, length, advice)
        except OSError:
            if not done:
                raise
            break
        done += length
    return done


def sys_process_mrelease(t: Task, fd: Int, flags: UInt) -> int:
    """process_mrelease(2): memory goes back as soon as a process ends, so there is only the question whether
    it is on its way."""
    if flags:
        return -errno.EINVAL
    target = pidfd(t, fd).task()
    if target.zombie:
        return -errno.ESRCH
    pending = target.signals.pending.mask | target.signals.shared.pending.mask
    if target.exit_status is None and not pending & sigset(SIGKILL):
        return -errno.EINVAL
    return 0

"""ioctl(2): the requests that every descriptor takes; the rest are the file's own."""

from __future__ import annotations

import errno
import stat as stat_bits
from typing import TYPE_CHECKING

from kernel.cred import CAP_SYS_TTY_CONFIG
from syscalls.abi import Ptr, Result, UInt
from vfs.file import O_ASYNC, O_NONBLOCK, SEEK_CUR

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.file import File

FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FIOASYNC, FIOQSIZE = 0x541B, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460
FIGETBSZ, FICLONE, FS_IOC_FIEMAP = 2, 0x40049409, 0xC020660B


def sys_ioctl(t: Task, fd: UInt, request: UInt, arg: Ptr) -> Result:
    """ioctl(2)."""
    file = t.files.get_io(fd)
    if request in (FIOCLEX, FIONCLEX):
        t.files.set_cloexec(fd, request == FIOCLEX)
        return 0
    if request == FIONBIO:
        return set_flag(t, file, O_NONBLOCK, arg)
    if request == FIOASYNC:
        on = bool(t.mm.u32(arg))
        if on != bool(file.flags & O_ASYNC) and not set_async(file, fd, on):
            return -errno.ENOTTY
        return 0
    if request == FIGETBSZ:
        t.mm.put_u32(arg, file.stat().st_blksize)
        return 0
    if request == FICLONE:
        return clone(t, file, arg)
    if request == FS_IOC_FIEMAP:
        return -errno.EOPNOTSUPP
    kind = stat_bits.S_IFMT(file.stat().st_mode)
    if request == FIOQSIZE:
        if kind not in (stat_bits.S_IFREG, stat_bits.S_IFDIR):
            return -errno.ENOTTY
        t.mm.put_u64(arg, file.stat().st_blocks * 512)
        return 0
    if request == FIONREAD and kind == stat_bits.S_IFREG:
        t.mm.put_u32(arg, file.stat().st_size - file.seek(0, SEEK_CUR))
        return 0
    result: Result = file.ioctl(t, request, arg)
    return result


def sys_vhangup(t: Task) -> Result:
    """vhangup(2)."""
    if not t.cred.capable(CAP_SYS_TTY_CONFIG):
        return -errno.EPERM
    tty = t.signals.shared.tty
    if tty is not None:
        tty.hang_up()
    return 0


def set_flag(t: Task, file: File, flag: int, arg: int) -> int:
    """Set or clear a status flag as the int at `arg` says."""
    on = t.mm.u32(arg)
    file.set_flags(file.flags | flag if on else file.flags & ~flag)
    return 0


def set_async(file: File, fd: int, on: bool) -> bool:
    """Set or clear O_ASYNC; False if files of this kind do not have it."""
    if not file.fasync(fd, on):
        return False
    file.set_flags(file.flags | O_ASYNC if on else file.flags & ~O_ASYNC)
    return True


def clone(t: Task, file: File, source: int) -> int:
    """FICLONE: no filesystem here shares blocks between files."""
    modes = file.stat().st_mode, t.files.get_io(source & 0xFFFF_FFFF).stat().st_mode
    if any(map(stat_bits.S_ISDIR, modes)):
        return -errno.EISDIR
    return -errno.EOPNOTSUPP if all(map(stat_bits.S_ISREG, modes)) else -errno.EXDEV

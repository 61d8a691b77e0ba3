"""/proc/PID/mem and /proc/PID/pagemap: an address space as a file (proc_pid_mem(5), proc_pid_pagemap(5))."""

from __future__ import annotations

import errno
from stat import S_IFREG
from typing import TYPE_CHECKING

from emu.engine import PAGE_MASK, PAGE_SHIFT
from kernel import remote
from kernel.ptrace import FSCREDS, check_access
from vfs.file import SEEK_CUR, SEEK_SET, File
from vfs.pseudofs import Owner, PseudoNode, fill

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.pages import Spans


class MemFile(File):
    """/proc/PID/mem: the address space, by address.  Protection is ignored, as ptrace(2) does."""

    __slots__ = ("offset", "task")

    seekable = True

    def __init__(self, node: PidFile, flags: int, name: bytes) -> None:
        super().__init__(node, flags, name)
        self.task = node.task
        self.offset = 0

    def read(self, spans: Spans) -> int:
        count = self.pread(spans, self.offset)
        self.offset += count
        return count

    def write(self, spans: Spans) -> int:
        count = self.pwrite(spans, self.offset)
        self.offset += count
        return count

    def pread(self, spans: Spans, offset: int) -> int:
        if self.task.exit_status is not None:
            return 0
        wanted = sum(map(len, spans))
        data = remote.read(self.task.mm, offset, wanted)
        if wanted and not data:
            raise OSError(errno.EIO, "not mapped")
        return fill(spans, data)

    def pwrite(self, spans: Spans, offset: int) -> int:
        if self.task.exit_status is not None:
            return 0
        done = 0
        for span in spans:
            count = remote.write(self.task.mm, offset + done, span)
            done += count
            if count < len(span):
                if not done:
                    raise OSError(errno.EIO, "not mapped, or shared and not writable")
                break
        return done

    def seek(self, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence != SEEK_SET:
            raise OSError(errno.EINVAL, "bad whence")
        self.offset = offset & (1 << 64) - 1
        return offset


class PagemapFile(MemFile):
    """/proc/PID/pagemap: a 64-bit word per page.  Frame numbers read as zero, as they do on Linux
    without CAP_SYS_ADMIN: the guest's physical memory is nobody's business."""

    __slots__ = ()

    PRESENT, OF_FILE, EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56

    def pread(self, spans: Spans, offset: int) -> int:
        wanted = sum(map(len, spans))
        if offset % 8 or wanted % 8:
            raise OSError(errno.EINVAL, "not whole words")
        mm = self.task.mm
        first = offset // 8
        last = min(first + wanted // 8, mm.task_size >> PAGE_SHIFT)
        words = []
        mm.thaw(first, last)
        for number in range(first, last):
            entry = mm.pages.get(number)
            word = 0
            if entry is not None:
                word = self.PRESENT
                vma = mm.find(number << PAGE_SHIFT)
                frame = entry & PAGE_MASK
                if vma is not None and vma.pages is not None:
                    cached = vma.pages.pages.get(vma.index(number << PAGE_SHIFT)) == frame
                    word |= self.OF_FILE if cached else self.EXCLUSIVE
                elif frame != mm.kernel.zero_frame and not mm.arena.shared(frame):
                    word |= self.EXCLUSIVE
            words.append(word.to_bytes(8, "little"))
        return fill(spans, b"".join(words))

    def pwrite(self, spans: Spans, offset: int) -> int:
        raise OSError(errno.EINVAL, "read-only")


class PidFile(PseudoNode):
    """A node of /proc/PID that opens as a `MemFile` of some kind."""

    __slots__ = ("handle", "task")

    def __init__(self, task: Task, mode: int, handle: type[MemFile], owner: Owner) -> None:
        super().__init__(S_IFREG | mode, owner)
        self.task = task
        self.handle = handle

    def open(self, flags: int, name: bytes) -> File:
        check_access(self.task.kernel.current, self.task, FSCREDS, errno.EACCES)
        if self.task.zombie:
            raise OSError(errno.ESRCH, "the task has ended")
        return self.handle(self, flags, name)

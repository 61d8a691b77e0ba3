"""System V shared memory: Linux's ``ipc/shm.c``, shmget(2), shmop(2), shmctl(2).

A segment is a file of the kernel's own tmpfs, as a memfd is.  Each attachment is an open file of its own; how
many there are is counted by mappings, so that a fork or a hole in the middle makes one more.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_MASK, PAGE_SHIFT, READ, WRITE
from kernel.cred import CAP_IPC_LOCK
from kernel.ipc import S_IRUGO, S_IWUGO, S_IXUGO, IpcIds, IpcObject
from kernel.mm import RLIMIT_MEMLOCK, page_up
from vfs.file import O_RDONLY, O_RDWR
from vfs.shmem import MAX_SIZE, ShmemFile
from vfs.tmpfs import TmpFile

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_EXEC = 0o10000, 0o20000, 0o40000, 0o100000
SHM_HUGETLB, SHM_NORESERVE = 0o4000, 0o10000
SHM_DEST, SHM_LOCKED = 0o1000, 0o2000
SHMMIN, SHMMNI = 1, 4096
SHMMAX = SHMALL = (1 << 64) - 1 - (1 << 24)
SHMLBA = 4096
HUGE_SIZES = (0, 21, 30)  # logarithms of what huge pages an x86-64 has; 0: the usual one

SHMID64_DS = Struct("<Qqqqiiq16x")
"""struct shmid64_ds behind its ipc64_perm: segsz, atime, dtime, ctime, cpid, lpid, nattch."""
SHMINFO64 = Struct("<QQQQQ32x")
SHM_INFO = Struct("<i4xQQQQQ")


class ShmSegment(IpcObject):
    """struct shmid_kernel."""

    def __init__(self, kernel: Kernel, key: int, flags: int, size: int) -> None:
        super().__init__(kernel, key, flags)
        self.size = size
        self.charged = 0 if flags & SHM_NORESERVE else self.page_count()
        kernel.commit(self.charged)
        self.name = b"/SYSV%08x" % (key & 0xFFFFFFFF)
        self.node = TmpFile(kernel.shm, 0o777)
        self.node.nlink = 0
        self.node.data.length = size
        self.atime = self.dtime = 0
        self.cpid = kernel.current.tgid
        self.lpid = 0
        self.nattch = 0

    def page_count(self) -> int:
        return page_up(self.size) >> PAGE_SHIFT

    def resident(self) -> int:
        """Bytes that are in memory."""
        return len(self.node.data.pages) << PAGE_SHIFT

    def stat(self) -> bytes:
        """struct shmid64_ds."""
        return self.perm() + SHMID64_DS.pack(
            self.size, self.atime, self.dtime, self.ctime, self.cpid, self.lpid, self.nattch
        )

    def row(self) -> bytes:
        """Its line in /proc/sysvipc/shm."""
        return b"%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n" % (
            self.key, self.id, self.mode, self.size, self.cpid, self.lpid, self.nattch, self.uid, self.gid,
            self.cuid, self.cgid, self.atime, self.dtime, self.ctime, self.resident(), 0,
        )  # fmt: skip

    def set_locked(self, task: Task, on: bool) -> None:
        """SHM_LOCK and SHM_UNLOCK: nothing is ever paged out, but the right and the limit count.  Raises OSError
        EPERM, ENOMEM."""
        cred = task.cred
        if not cred.capable(CAP_IPC_LOCK):
            if cred.euid not in (self.uid, self.cuid):
                raise OSError(errno.EPERM, "not the owner")
            limit = task.rlimits[RLIMIT_MEMLOCK][0]
            if on and not limit:
                raise OSError(errno.EPERM, "locking is not permitted")
            if on and self.size > limit:
                raise OSError(errno.ENOMEM, "RLIMIT_MEMLOCK")
        self.mode = self.mode | SHM_LOCKED if on else self.mode & ~SHM_LOCKED


class ShmAttach(ShmemFile):
    """struct shm_file_data: what one shmat(2) mapped."""

    __slots__ = ("segment", "segments")

    merges = False  # each part counts as an attachment

    def __init__(self, segments: ShmSegments, segment: ShmSegment, flags: int) -> None:
        super().__init__(segment.node, flags, segment.name)
        self.segments = segments
        self.segment = segment

    def vma_open(self) -> None:
        """shm_open: by an attachment, a fork, or a mapping that falls apart.  Raises OSError(EINVAL) for a segment that
        went when the mapping to be replaced did (remap_file_pages(2))."""
        segment = self.segment
        if segment.deleted:
            raise OSError(errno.EINVAL, "the segment was destroyed")
        self.refs += 1
        segment.nattch += 1
        segment.atime = segment.now()
        segment.lpid = segment.kernel.current.tgid

    def vma_close(self) -> None:
        """shm_close."""
        segment = self.segment
        segment.lpid = segment.kernel.current.tgid
        segment.dtime = segment.now()
        segment.nattch -= 1
        self.segments.reap(segment)
        self.put()


class ShmSegments(IpcIds[ShmSegment]):
    """All segments, with the limits on them: kernel.shmmax (bytes), shmall (pages), shmmni."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, SHMMNI)
        self.largest = SHMMAX
        self.all_pages = SHMALL
        self.pages = 0  # shm_tot

    def shmget(self, task: Task, key: int, size: int, flags: int) -> int:
        """shmget(2): the identifier.  Raises OSError EINVAL, ENOSPC, ENOMEM, EPERM and those of `get`."""

        def fits(segment: ShmSegment) -> None:
            if segment.size < size:
                raise OSError(errno.EINVAL, "the segment is smaller")

        return self.get(task, key, flags, lambda: self._new(task, key, size, flags), fits).id

    def _new(self, task: Task, key: int, size: int, flags: int) -> ShmSegment:
        if not SHMMIN <= size <= self.largest:
            raise OSError(errno.EINVAL, "not a size for a segment")
        pages = size + 4095 >> PAGE_SHIFT
        if self.pages + pages > self.all_pages:
            raise OSError(errno.ENOSPC, "kernel.shmall")
        if flags & SHM_HUGETLB:
            if flags >> 26 & 63 not in HUGE_SIZES:
                raise OSError(errno.EINVAL, "no pages of that size")
            if not task.cred.capable(CAP_IPC_LOCK) and not task.cred.in_group(0):
                raise OSError(errno.EPERM, "huge pages are not for everybody")
            raise OSError(errno.ENOMEM, "no huge pages are reserved")
        if size > MAX_SIZE:
            raise OSError(errno.EINVAL, "larger than any file")
        self.room()
        segment = ShmSegment(self.kernel, key, flags, size)
        self.pages += pages
        return segment

    def add(self, new: ShmSegment) -> ShmSegment:
        super().add(new)
        new.node.ino = new.id  # proc(5): maps shows the identifier
        return new

    def shmat(self, task: Task, id: int, address: int, flags: int) -> int:
        """shmat(2): where the segment was mapped.  Raises OSError EINVAL, EACCES, ENOMEM."""
        if id < 0:
            raise OSError(errno.EINVAL, "no such identifier")
        if address:
            if address & SHMLBA - 1:
                if not flags & SHM_RND:
                    raise OSError(errno.EINVAL, "not a multiple of SHMLBA")
                address &= -SHMLBA
                if not address and flags & SHM_REMAP:
                    raise OSError(errno.EINVAL, "nothing to replace at 0")
            fixed = True
        else:
            if flags & SHM_REMAP:
                raise OSError(errno.EINVAL, "SHM_REMAP needs an address")
            fixed = False
        prot, rights, mode = READ | WRITE, S_IRUGO | S_IWUGO, O_RDWR
        if flags & SHM_RDONLY:
            prot, rights, mode = READ, S_IRUGO, O_RDONLY
        if flags & SHM_EXEC:
            prot |= EXEC
            rights |= S_IXUGO
        segment = self.find(id)
        segment.check(task, rights)
        mm = task.mm
        end = address + page_up(segment.size)
        if fixed and not flags & SHM_REMAP and (end >> 64 or mm.overlapping(address, end)):
            raise OSError(errno.EINVAL, "something is mapped there")
        segment.nattch += 1  # it stays, even if what is replaced is its last attachment
        try:
            return mm.map(
                address,
                segment.size,
                prot,
                shared=True,
                file=ShmAttach(self, segment, mode),
                fixed=fixed,
                may=READ | EXEC | (prot & WRITE),
            )
        finally:
            segment.nattch -= 1
            self.reap(segment)

    def shmdt(self, task: Task, address: int) -> None:
        """shmdt(2): unmap what is left of the attachment at `address`.  Raises OSError(EINVAL)."""
        if address & ~PAGE_MASK:
            raise OSError(errno.EINVAL, "not a page's address")
        mm = task.mm
        file: ShmAttach | None = None
        end = mm.task_size
        for vma in mm.overlapping(address, end):
            if vma.end > end:
                break
            if not isinstance(vma.file, ShmAttach) or vma.start - address != vma.offset:
                continue
            if file is None:
                file = vma.file
                end = address + page_up(file.segment.size)
            if vma.file is file:
                mm.unmap(vma.start, vma.end - vma.start)
        if file is None:
            raise OSError(errno.EINVAL, "no segment is attached there")

    def mark(self, segment: ShmSegment) -> None:
        """IPC_RMID: the segment goes when nobody has it attached any more."""
        if segment.nattch:
            segment.mode |= SHM_DEST
            self.forget_key(segment)
        else:
            self._destroy(segment)

    def reap(self, segment: ShmSegment) -> None:
        """shm_may_destroy: after one attachment less."""
        if not segment.nattch and segment.mode & SHM_DEST and not segment.deleted:
            self._destroy(segment)

    def _destroy(self, segment: ShmSegment) -> None:
        self.remove(segment)
        self.pages -= segment.page_count()
        self.kernel.commit(-segment.charged)

    def limits(self) -> bytes:
        """IPC_INFO: struct shminfo64."""
        return SHMINFO64.pack(self.largest, SHMMIN, self.limit, self.limit, self.all_pages)

    def usage(self) -> bytes:
        """SHM_INFO: struct shm_info."""
        resident = sum(segment.resident() for segment in self.objects.values()) >> PAGE_SHIFT
        return SHM_INFO.pack(len(self.objects), self.pages, resident, 0, 0, 0)

"""Memory: mmap, munmap, mprotect, mremap, brk, madvise, msync, mincore and the mlock family."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, READ, WRITE
from kernel.mm import RLIMIT_MEMLOCK, page_up
from kernel.vma import Vma
from syscalls.abi import Int, Ptr, Result, ULong
from vfs.file import O_ACCMODE, O_PATH, O_RDONLY, O_WRONLY
from vfs.node import ST_NOEXEC

if TYPE_CHECKING:
    from kernel.mm import AddressSpace
    from kernel.task import Task

PROT_GROWSDOWN, PROT_GROWSUP, PROT_SEM = 0x0100_0000, 0x0200_0000, 8
MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_TYPE = 1, 2, 3, 0xF
MAP_FIXED, MAP_ANONYMOUS, MAP_32BIT = 0x10, 0x20, 0x40
MAP_GROWSDOWN, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_LOCKED = 0x100, 0x800, 0x1000, 0x2000
MAP_NORESERVE, MAP_POPULATE, MAP_NONBLOCK, MAP_STACK = 0x4000, 0x8000, 0x10000, 0x20000
MAP_HUGETLB, MAP_SYNC, MAP_FIXED_NOREPLACE, MAP_DROPPABLE = 0x40000, 0x80000, 0x100000, 8
_VALIDATED = (
    MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_LOCKED
    | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_FIXED_NOREPLACE
    | 0x7C00_0000  # MAP_UNINITIALIZED and the sizes of MAP_HUGETLB
)  # fmt: skip
MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4
MS_ASYNC, MS_INVALIDATE, MS_SYNC = 1, 2, 4
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
MLOCK_ONFAULT = 1
READ_IMPLIES_EXEC = 0x0400000
_LOW_TOP = 0x8000_0000  # MAP_32BIT: the first 2 GiB


def _aligned(address: int) -> None:
    if address & ~PAGE_MASK:
        raise OSError(errno.EINVAL, "not a page's address")


def sys_mmap(t: Task, addr: Ptr, length: ULong, prot: ULong, flags: ULong, fd: Int, offset: ULong) -> Result:
    """mmap(2)."""
    kind = flags & MAP_TYPE
    _aligned(offset)
    file = None
    if not flags & MAP_ANONYMOUS:
        file = t.files.get(fd)
        if file.flags & O_PATH:
            raise OSError(errno.EBADF, "an O_PATH descriptor")
    if length == 0:
        raise OSError(errno.EINVAL, "empty mapping")
    if page_up(length) >= 1 << 63 or page_up(length) > t.mm.task_size:
        raise OSError(errno.ENOMEM, "larger than the address space")
    if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE):  # get_unmapped_area
        if addr > t.mm.task_size - page_up(length):
            raise OSError(errno.ENOMEM, "outside the address space")
        _aligned(addr)
    if file is not None and offset + page_up(length) >= 1 << 63:
        raise OSError(errno.EOVERFLOW, "beyond the largest file offset")
    if kind == MAP_SHARED_VALIDATE and flags & ~_VALIDATED:
        raise OSError(errno.EOPNOTSUPP, "unknown flag")
    if kind not in (MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE) or (file is None and kind == MAP_SHARED_VALIDATE):
        raise OSError(errno.EINVAL, "neither shared nor private")
    if flags & MAP_HUGETLB:
        raise OSError(errno.ENOMEM, "no huge pages are reserved")
    prot &= READ | WRITE | EXEC
    if t.personality & READ_IMPLIES_EXEC and prot & READ:
        prot |= EXEC
    if t.mm.mdwe and prot & EXEC and prot & WRITE:
        raise OSError(errno.EACCES, "PR_SET_MDWE")
    shared = kind != MAP_PRIVATE
    pages = None
    maps_whole = False
    may = READ | WRITE | EXEC
    name = b""
    if file is None:
        if shared:
            if flags & MAP_GROWSDOWN:
                raise OSError(errno.EINVAL, "shared memory does not grow downwards")
            pages = t.kernel.shared_memory(page_up(length))
            name = b"/dev/zero (deleted)"
        offset = 0
    else:
        mode = file.flags & O_ACCMODE
        if mode == O_WRONLY:
            raise OSError(errno.EACCES, "not open for reading")
        if shared and mode == O_RDONLY:
            if prot & WRITE:
                raise OSError(errno.EACCES, "not open for writing")
            may &= ~WRITE
        if file.mount is not None and file.mount.flags & ST_NOEXEC:
            if prot & EXEC:
                raise OSError(errno.EPERM, "mounted with noexec")
            may &= ~EXEC
        if flags & MAP_GROWSDOWN:
            raise OSError(errno.EINVAL, "files do not grow downwards")
        if shared:
            may &= ~file.write_sealed(prot)
        file.check_map(offset, page_up(length))
        maps_whole = file.maps_whole
    mm = t.mm
    if flags & MAP_32BIT and not flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) and not addr:
        addr = mm.gap(page_up(length), below=_LOW_TOP)
    if flags & MAP_LOCKED:
        _may_lock(t, page_up(length))
    where = mm.map(
        addr & PAGE_MASK if not flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) else addr,
        length,
        prot,
        shared=shared,
        file=file,
        pages=pages,
        offset=offset,
        fixed=bool(flags & MAP_FIXED) and not flags & MAP_FIXED_NOREPLACE,
        noreplace=bool(flags & MAP_FIXED_NOREPLACE),
        growsdown=bool(flags & MAP_GROWSDOWN),
        noreserve=bool(flags & MAP_NORESERVE),
        populate=(bool(flags & (MAP_POPULATE | MAP_LOCKED)) and not flags & MAP_NONBLOCK) or maps_whole,
        may=may,
        name=name,
    )
    if flags & MAP_LOCKED:
        mm.set_flag(where, page_up(length), "locked", True)
    return where


def sys_munmap(t: Task, addr: Ptr, length: ULong) -> Result:
    """munmap(2)."""
    _aligned(addr)
    if length == 0 or addr > t.mm.task_size or length > t.mm.task_size - addr:
        raise OSError(errno.EINVAL, "not a range of the address space")
    t.mm.unmap(addr, length)
    return 0


def sys_mprotect(t: Task, addr: Ptr, length: ULong, prot: ULong) -> Result:
    """mprotect(2)."""
    grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
    if grows == PROT_GROWSDOWN | PROT_GROWSUP or grows == PROT_GROWSUP:
        raise OSError(errno.EINVAL, "no mapping grows upwards")
    _aligned(addr)
    if length == 0:
        return 0
    if page_up(length) >= 1 << 64:
        raise OSError(errno.ENOMEM, "a length that wraps around")
    if prot & ~(READ | WRITE | EXEC | PROT_SEM | grows):
        raise OSError(errno.EINVAL, "unknown protection")
    prot &= READ | WRITE | EXEC
    if t.personality & READ_IMPLIES_EXEC and prot & READ:
        prot |= EXEC
    t.mm.protect(addr, length, prot, growsdown=bool(grows))
    return 0


def sys_pkey_mprotect(t: Task, addr: Ptr, length: ULong, prot: ULong, pkey: Int) -> Result:
    """pkey_mprotect(2): without protection keys only key -1, which is mprotect."""
    if pkey != -1:
        raise OSError(errno.EINVAL, "no protection keys")
    return sys_mprotect(t, addr, length, prot)


def sys_brk(t: Task, addr: Ptr) -> Result:
    """brk(2), the system call: the new break or the unchanged one."""
    return t.mm.change_brk(addr)


def sys_mremap(t: Task, old: Ptr, old_size: ULong, new_size: ULong, flags: ULong, new: Ptr) -> Result:
    """mremap(2)."""
    if flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP):
        raise OSError(errno.EINVAL, "unknown flag")
    if flags & MREMAP_FIXED and not flags & MREMAP_MAYMOVE:
        raise OSError(errno.EINVAL, "MREMAP_FIXED needs MREMAP_MAYMOVE")
    _aligned(old)
    old_size, new_size = page_up(old_size), page_up(new_size)
    if flags & MREMAP_DONTUNMAP and (not flags & MREMAP_MAYMOVE or old_size != new_size):
        raise OSError(errno.EINVAL, "MREMAP_DONTUNMAP needs MREMAP_MAYMOVE and equal sizes")
    if new_size == 0 or new_size > t.mm.task_size:
        raise OSError(errno.EINVAL, "not a size")
    mm = t.mm
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        return _mremap_to(mm, old, old_size, new_size, flags, new)
    vma = mm.find(old)
    if vma is None:
        raise OSError(errno.EFAULT, "nothing is mapped there")
    if old_size == 0:
        if not vma.shared:
            raise OSError(errno.EINVAL, "only shared mappings can be duplicated")
        if not flags & MREMAP_MAYMOVE:
            raise OSError(errno.ENOMEM, "a duplicate has to move")
        where = mm.gap(new_size)
        mm.move(old, 0, where, new_size, keep=True)
        return where
    if old_size >= new_size:
        if old_size > new_size:
            mm.unmap(old + new_size, old_size - new_size)
        return old
    _within(vma, old, old_size)
    _may_grow(vma)
    end = old + new_size
    following = mm.find_next(vma.end)
    if vma.end == old + old_size and end <= mm.task_size and (following is None or following.start >= end):
        mm.extend(vma, end)
        return old
    if not flags & MREMAP_MAYMOVE:
        raise OSError(errno.ENOMEM, "no room to grow")
    where = mm.gap(new_size)
    mm.move(old, old_size, where, new_size)
    return where


def _within(vma: Vma, old: int, old_size: int) -> None:
    if old + old_size > vma.end:
        raise OSError(errno.EFAULT, "more than one mapping")
    if vma.pages is not None and (old - vma.start + vma.offset + old_size) >= 1 << 63:
        raise OSError(errno.EINVAL, "beyond the largest file offset")


def _may_grow(vma: Vma) -> None:
    if vma.special:
        raise OSError(errno.EFAULT, "VM_DONTEXPAND")


def _mremap_to(mm: AddressSpace, old: int, old_size: int, new_size: int, flags: int, new: int) -> int:
    if flags & MREMAP_FIXED:
        _aligned(new)
        if new > mm.task_size - new_size:
            raise OSError(errno.EINVAL, "outside the address space")
        if old + old_size > new and new + new_size > old:
            raise OSError(errno.EINVAL, "the ranges overlap")
    vma = mm.find(old)
    if vma is None:
        raise OSError(errno.EFAULT, "nothing is mapped there")
    if old_size == 0 and not vma.shared:
        raise OSError(errno.EINVAL, "only shared mappings can be duplicated")
    if flags & MREMAP_DONTUNMAP and vma.special:
        raise OSError(errno.EINVAL, "VM_DONTEXPAND")
    mm.check_count(6)
    if old_size > new_size:
        mm.unmap(old + new_size, old_size - new_size)
        old_size = new_size
    _within(vma, old, old_size)
    if new_size > old_size:
        _may_grow(vma)
    mm.may_split(old, old + old_size)
    if flags & MREMAP_FIXED:
        mm.unmap(new, new_size)
        where = new
    else:
        where = mm.gap(new_size)
    mm.move(old, old_size, where, new_size, keep=old_size == 0 or bool(flags & MREMAP_DONTUNMAP))
    return where


MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED = range(5)
MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK = 8, 9, 10, 11
MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE = 12, 13, 14, 15
MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK = 16, 17, 18, 19
MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED = 20, 21, 22, 23, 24
_ADVICE = frozenset((*range(5), *range(8, 25)))
# Hints about memory we manage in another way, and what Linux built without KSM or THP refuses.
_HINTS = (MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT)
_FLAGS = {
    MADV_DONTFORK: ("dontcopy", True),
    MADV_DOFORK: ("dontcopy", False),
    MADV_DONTDUMP: ("dontdump", True),
    MADV_DODUMP: ("dontdump", False),
    MADV_WIPEONFORK: ("wipeonfork", True),
    MADV_KEEPONFORK: ("wipeonfork", False),
}


def sys_madvise(t: Task, addr: Ptr, length: ULong, advice: Int) -> Result:
    """madvise(2)."""
    return madvise(t.mm, addr, length, advice)


def madvise(mm: AddressSpace, addr: int, length: int, advice: int) -> int:
    """do_madvise: advice for a range of an address space."""
    if advice not in _ADVICE:
        raise OSError(errno.EINVAL, "unknown advice")
    _aligned(addr)
    end = addr + page_up(length)
    if end < addr or end >= 1 << 64 or (length and page_up(length) == 0):
        raise OSError(errno.EINVAL, "not a range")
    if end == addr:
        return 0
    position = addr
    hole = False
    for vma in mm.overlapping(addr, end):
        hole = hole or vma.start > position
        position = vma.end
        start, stop = max(vma.start, addr), min(vma.end, end)
        if advice in (MADV_DONTNEED, MADV_DONTNEED_LOCKED):
            if vma.pfnmap or (vma.locked and advice == MADV_DONTNEED):
                raise OSError(errno.EINVAL, "locked memory, or the kernel's own")
            mm.drop_range(start, stop)
        elif advice == MADV_FREE:
            if vma.pages is not None or vma.shared:
                raise OSError(errno.EINVAL, "only private anonymous memory")
            mm.drop_range(start, stop)
        elif advice == MADV_REMOVE:
            if vma.locked or vma.special or vma.pages is None:
                raise OSError(errno.EINVAL, "locked, or not of a file")
            if not vma.shared or not vma.may & WRITE:
                raise OSError(errno.EACCES, "not a shared mapping that may be written to")
            first = vma.offset + start - vma.start
            if vma.file is not None:
                vma.file.allocate(3, first, stop - start)
            else:
                vma.pages.punch(first, first + stop - start)
        elif advice in (MADV_COLD, MADV_PAGEOUT):
            if vma.pfnmap or vma.locked:
                raise OSError(errno.EINVAL, "locked memory, or the kernel's own")
        elif advice in (MADV_POPULATE_READ, MADV_POPULATE_WRITE):
            if vma.pfnmap:
                raise OSError(errno.EINVAL, "the kernel's own")
            access = READ if advice == MADV_POPULATE_READ else WRITE
            for page in range(start, stop, PAGE_SIZE):
                if not mm.pages.get(page >> PAGE_SHIFT, 0) & access and not mm.fault(page, access):
                    raise OSError(errno.EFAULT if vma.perms & access else errno.EINVAL, "cannot be accessed")
        elif advice in _FLAGS:
            name, value = _FLAGS[advice]
            if name == "wipeonfork" and (vma.file is not None or vma.shared):
                raise OSError(errno.EINVAL, "only private anonymous memory")
            if (advice == MADV_DODUMP and vma.special) or (advice == MADV_DOFORK and vma.pfnmap):
                raise OSError(errno.EINVAL, "the kernel's own")
            try:
                mm.set_flag(start, stop - start, name, value)
            except OSError as error:
                if error.errno == errno.ENOMEM:
                    raise OSError(errno.EAGAIN, "too many mappings") from None
                raise
    if hole or position < end:
        raise OSError(errno.ENOMEM, "part of the range is not mapped")
    return 0


def sys_msync(t: Task, addr: Ptr, length: ULong, flags: Int) -> Result:
    """msync(2)."""
    if flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) or (flags & MS_ASYNC and flags & MS_SYNC):
        raise OSError(errno.EINVAL, "contradictory flags")
    _aligned(addr)
    end = addr + (page_up(length) & (1 << 64) - 1)  # a length that wraps around is none
    if end == addr:
        return 0
    position = addr
    hole = False
    for vma in t.mm.overlapping(addr, end):
        hole = hole or vma.start > position
        position = vma.end
        if flags & MS_INVALIDATE and vma.locked:
            raise OSError(errno.EBUSY, "locked memory")
        if flags & MS_SYNC and vma.shared and vma.file is not None and vma.pages is not None:
            last = vma.index(min(end, vma.end) - 1) + 1
            vma.pages.writeback(vma.index(max(addr, vma.start)), last)
            vma.file.sync(True)
    if hole or position < end:
        raise OSError(errno.ENOMEM, "part of the range is not mapped")
    return 0


def sys_mincore(t: Task, addr: Ptr, length: ULong, vec: Ptr) -> Result:
    """mincore(2): pages in the page table, or in the file's page cache."""
    _aligned(addr)
    mm = t.mm
    if addr > mm.task_size or length > mm.task_size - addr:
        raise OSError(errno.ENOMEM, "outside the address space")
    if vec + (page_up(length) >> PAGE_SHIFT) > mm.task_size:
        raise OSError(errno.EFAULT, "bad buffer")
    first, count = addr >> PAGE_SHIFT, page_up(length) >> PAGE_SHIFT
    for done in range(0, count, PAGE_SIZE):
        out = bytearray()
        mm.thaw(first + done, first + min(count, done + PAGE_SIZE))
        for number in range(first + done, first + min(count, done + PAGE_SIZE)):
            vma = mm.find(number << PAGE_SHIFT)
            if vma is None:
                raise OSError(errno.ENOMEM, "part of the range is not mapped")
            cached = vma.pages is not None and vma.index(number << PAGE_SHIFT) in vma.pages.pages
            out.append(number in mm.pages or cached)
        mm.write(vec + done, out)
    return 0


def _may_lock(t: Task, size: int) -> None:
    """RLIMIT_MEMLOCK, as mlock(2) words it: EPERM for a limit of 0, else ENOMEM."""
    limit = t.rlimits[RLIMIT_MEMLOCK][0]
    if t.cred.cap_effective >> 14 & 1:  # CAP_IPC_LOCK
        return
    if limit == 0:
        raise OSError(errno.EPERM, "locking is not permitted")
    if size + sum(v.end - v.start for v in t.mm.vmas if v.locked) > limit:
        raise OSError(errno.ENOMEM, "RLIMIT_MEMLOCK")


def _lock(t: Task, addr: int, length: int, on: bool, populate: bool) -> int:
    length = page_up(length + (addr & ~PAGE_MASK)) & (1 << 64) - 1  # a length that wraps around is none
    addr &= PAGE_MASK
    if addr + length >= 1 << 64:
        raise OSError(errno.EINVAL, "not a range")
    if on:
        _may_lock(t, length)
    if length == 0:
        return 0
    covered = sum(min(v.end, addr + length) - max(v.start, addr) for v in t.mm.overlapping(addr, addr + length))
    for vma in t.mm.overlapping(addr, addr + length):
        if not vma.special:  # those cannot be locked, nor do they need to be
            start, end = max(vma.start, addr), min(vma.end, addr + length)
            t.mm.set_flag(start, end - start, "locked", on)
    if covered < length:
        raise OSError(errno.ENOMEM, "part of the range is not mapped")
    if populate:
        t.mm.populate(addr, length)
    return 0


def sys_mlock(t: Task, addr: Ptr, length: ULong) -> Result:
    """mlock(2): nothing is ever paged out; the pages are made present and counted."""
    return _lock(t, addr, length, True, True)


def sys_mlock2(t: Task, addr: Ptr, length: ULong, flags: Int) -> Result:
    """mlock2(2)."""
    if flags & ~MLOCK_ONFAULT:
        raise OSError(errno.EINVAL, "unknown flag")
    return _lock(t, addr, length, True, not flags)


def sys_munlock(t: Task, addr: Ptr, length: ULong) -> Result:
    """munlock(2)."""
    return _lock(t, addr, length, False, False)


def sys_mlockall(t: Task, flags: Int) -> Result:
    """mlockall(2)."""
    if not flags or flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) or flags == MCL_ONFAULT:
        raise OSError(errno.EINVAL, "unknown flags")
    mm = t.mm
    if flags & MCL_CURRENT:
        _may_lock(t, mm.total << PAGE_SHIFT)
    else:
        _may_lock(t, 0)
    mm.locked_future = bool(flags & MCL_FUTURE) and not flags & MCL_ONFAULT
    if flags & MCL_CURRENT:
        for vma in mm.vmas:
            vma.locked = not vma.special
            if not flags & MCL_ONFAULT and vma.prot:
                mm.populate(vma.start, vma.end - vma.start)
    return 0


def sys_munlockall(t: Task) -> Result:
    """munlockall(2)."""
    t.mm.locked_future = False
    for vma in t.mm.vmas:
        vma.locked = False
    return 0


def sys_remap_file_pages(t: Task, addr: Ptr, size: ULong, prot: ULong, pgoff: ULong, flags: ULong) -> Result:
    """remap_file_pages(2): since Linux 4.0 an ordinary mapping in the place of the old one."""
    if prot:
        raise OSError(errno.EINVAL, "the protection cannot be changed")
    start = addr & PAGE_MASK
    vma = t.mm.find(start)
    end = start + page_up(size)
    if vma is None or not vma.shared or end == start:
        raise OSError(errno.EINVAL, "not a shared mapping")
    position = start
    for part in t.mm.overlapping(start, end):
        if part.start > position or part.pages is not vma.pages or part.prot != vma.prot:
            raise OSError(errno.EINVAL, "not of one object")
        position = part.end
    if position < end:
        raise OSError(errno.EINVAL, "not all mapped")
    offset = pgoff << PAGE_SHIFT
    source = {"pages": vma.pages} if vma.file is None else {"file": vma.file}
    t.mm.map(start, size, vma.prot, shared=True, offset=offset, fixed=True, may=vma.may, **source)
    return 0

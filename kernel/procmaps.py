"""What /proc/PID says about memory: maps, smaps, statm and the Vm lines of status (proc(5)).

Formats are those of Linux's fs/proc/task_mmu.c.  Resident pages are those in the page table; the
common zero page counts as none, as in Linux.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, READ, WRITE
from kernel.pagetable import END

if TYPE_CHECKING:
    from kernel.mm import AddressSpace
    from kernel.vma import Vma
    from vfs.file import File

_TMPFS_MAGIC = 0x01021994
_NAME_COLUMN = 72
_KB = PAGE_SIZE >> 10


def device_numbers(dev: int) -> tuple[int, int]:
    """(major, minor) of an st_dev."""
    return os.major(dev), os.minor(dev)


def file_name(file: File) -> bytes:
    """What /proc calls an open file: its path, marked if it has been removed."""
    name = file.name
    if name[:1] == b"/" and not name.endswith(b" (deleted)") and file.stat().st_nlink == 0:
        name += b" (deleted)"
    return name


def vma_name(mm: AddressSpace, vma: Vma) -> bytes:
    """The last column of maps; empty for plain anonymous memory."""
    if vma.file is not None:
        return file_name(vma.file).replace(b"\n", b"\\012")
    if vma.pages is not None and not vma.special:
        return b"/dev/zero (deleted)" if vma.anon_name is None else b"[anon_shmem:%b]" % vma.anon_name
    if vma.start <= mm.stack_start <= vma.end:
        return b"[stack]"
    if vma.start < mm.brk and vma.end > mm.brk_start:
        return b"[heap]"
    return vma.name if vma.anon_name is None else b"[anon:%b]" % vma.anon_name


def maps_line(mm: AddressSpace, vma: Vma) -> bytes:
    """One line of /proc/PID/maps (show_map_vma)."""
    prot = vma.prot
    major = minor = ino = offset = 0
    if vma.file is not None:
        st = vma.file.stat()
        major, minor = device_numbers(st.st_dev)
        ino, offset = st.st_ino, vma.offset
    elif vma.pages is not None and not vma.special:
        # Shared anonymous memory is a file of the kernel's own tmpfs; each needs a number of its own.
        minor, ino, offset = 1, (vma.start - vma.offset) >> PAGE_SHIFT & 0xFFFFFF, vma.offset
    flags = (
        ("r" if prot & READ else "-")
        + ("w" if prot & WRITE else "-")
        + ("x" if prot & EXEC else "-")
        + ("s" if vma.shared else "p")
    )
    line = f"{vma.start:08x}-{vma.end:08x} {flags} {offset:08x} {major:02x}:{minor:02x} {ino} ".encode()
    name = vma_name(mm, vma)
    return line.ljust(_NAME_COLUMN) + b" " + name + b"\n" if name else line + b"\n"


def maps(mm: AddressSpace) -> bytes:
    """/proc/PID/maps."""
    return b"".join([maps_line(mm, vma) for vma in mm.vmas])


class Resident:
    """Resident memory of a VMA or of many, in bytes (struct mem_size_stats)."""

    rss: int = 0
    pss: int = 0
    pss_dirty: int = 0
    pss_anon: int = 0
    pss_file: int = 0
    pss_shmem: int = 0
    shared_clean: int = 0
    shared_dirty: int = 0
    private_clean: int = 0
    private_dirty: int = 0
    anonymous: int = 0
    locked: int = 0
    # Not in smaps: what status and statm count
    file: int = 0
    shmem: int = 0

    def add(self, other: Resident) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def _is_shmem(vma: Vma) -> bool:
    if vma.file is None:
        return vma.pages is not None and not vma.special
    try:
        return vma.file.node.statfs().f_type == _TMPFS_MAGIC
    except OSError:
        return False


def present_pages(mm: AddressSpace) -> list[int]:
    """The page numbers in the page table, in order."""
    mm.thaw(0, END)
    return sorted(mm.pages)


def resident(mm: AddressSpace, vma: Vma, present: list[int]) -> Resident:
    """The resident pages of `vma`; `present` is the sorted list of the page numbers in `mm.pages`."""
    found = Resident()
    if vma.pfnmap:
        return found
    refs = mm.arena.refs
    cached = vma.pages.pages if vma.pages is not None else {}
    dirty_pages = vma.pages.dirty if vma.pages is not None else ()
    shmem = _is_shmem(vma)
    first = bisect_left(present, vma.start >> PAGE_SHIFT)
    last = bisect_left(present, vma.end >> PAGE_SHIFT)
    for number in present[first:last]:
        frame = mm.pages[number] & PAGE_MASK
        if frame == mm.kernel.zero_frame:
            continue
        index = vma.index(number << PAGE_SHIFT)
        of_file = cached.get(index) == frame
        users = max(1, refs[frame >> PAGE_SHIFT] - of_file)  # the page cache's reference is no mapping
        share = PAGE_SIZE // users
        dirty = not of_file or index in dirty_pages or shmem
        found.rss += PAGE_SIZE
        found.pss += share
        if dirty:
            found.pss_dirty += share
        if not of_file:
            found.anonymous += PAGE_SIZE
            found.pss_anon += share
        elif shmem:
            found.shmem += PAGE_SIZE
            found.pss_shmem += share
        else:
            found.file += PAGE_SIZE
            found.pss_file += share
        if users > 1:
            if dirty:
                found.shared_dirty += PAGE_SIZE
            else:
                found.shared_clean += PAGE_SIZE
        elif dirty:
            found.private_dirty += PAGE_SIZE
        else:
            found.private_clean += PAGE_SIZE
    if vma.locked:
        found.locked = found.pss
    return found


def total_resident(mm: AddressSpace) -> Resident:
    """Resident memory of the whole address space."""
    present = present_pages(mm)
    total = Resident()
    for vma in mm.vmas:
        total.add(resident(mm, vma, present))
    return total


def _line(label: str, size: int) -> str:
    return f"{label + ':':<16}{size >> 10:>8} kB\n"


def _smap_lines(found: Resident, rollup: bool = False) -> str:
    split = (("Pss_Anon", found.pss_anon), ("Pss_File", found.pss_file), ("Pss_Shmem", found.pss_shmem))
    return "".join(
        [
            _line("Rss", found.rss),
            _line("Pss", found.pss),
            _line("Pss_Dirty", found.pss_dirty),
            *([_line(*each) for each in split] if rollup else ()),
            _line("Shared_Clean", found.shared_clean),
            _line("Shared_Dirty", found.shared_dirty),
            _line("Private_Clean", found.private_clean),
            _line("Private_Dirty", found.private_dirty),
            _line("Referenced", found.rss),
            _line("Anonymous", found.anonymous),
            _line("KSM", 0),
            _line("LazyFree", 0),
            _line("AnonHugePages", 0),
            _line("ShmemPmdMapped", 0),
            _line("FilePmdMapped", 0),
            _line("Shared_Hugetlb", 0),
            _line("Private_Hugetlb", 0),
            _line("Swap", 0),
            _line("SwapPss", 0),
            _line("Locked", found.locked),
        ]
    )


def vm_flags(vma: Vma) -> str:
    """The VmFlags line of smaps, in the order of the kernel's bits."""
    prot, may = vma.prot, vma.may
    flags = (
        (prot & READ, "rd"),
        (prot & WRITE, "wr"),
        (prot & EXEC, "ex"),
        (vma.shared, "sh"),
        (may & READ, "mr"),
        (may & WRITE, "mw"),
        (may & EXEC, "me"),
        (vma.shared, "ms"),
        (vma.growsdown, "gd"),
        (vma.pfnmap, "pf"),
        (vma.locked, "lo"),
        (vma.pfnmap, "io"),
        (vma.dontcopy, "dc"),
        (vma.special, "de"),
        (vma.charged, "ac"),
        (vma.noreserve, "nr"),
        (vma.wipeonfork, "wf"),
        (vma.dontdump, "dd"),
    )
    return "".join([name + " " for on, name in flags if on])


def smaps(mm: AddressSpace) -> bytes:
    """/proc/PID/smaps."""
    present = present_pages(mm)
    parts = []
    for vma in mm.vmas:
        text = (
            _line("Size", vma.end - vma.start)
            + _line("KernelPageSize", PAGE_SIZE)
            + _line("MMUPageSize", PAGE_SIZE)
            + _smap_lines(resident(mm, vma, present))
            + f"{'THPeligible:':<16}{0:>8}\nVmFlags: {vm_flags(vma)}\n"
        )
        parts += [maps_line(mm, vma), text.encode()]
    return b"".join(parts)


def smaps_rollup(mm: AddressSpace) -> bytes:
    """/proc/PID/smaps_rollup."""
    if not mm.vmas:
        return b""
    line = f"{mm.vmas[0].start:08x}-{mm.vmas[-1].end:08x} ---p 00000000 00:00 0 ".encode()
    head = line.ljust(_NAME_COLUMN) + b" [rollup]\n"
    return head + _smap_lines(total_resident(mm), rollup=True).encode()


class Sizes:
    """Virtual memory by use, in pages (total_vm, exec_vm, data_vm, stack_vm, locked_vm; text is the
    program's own code)."""

    total: int = 0
    executable: int = 0
    data: int = 0
    stack: int = 0
    locked: int = 0
    text: int = 0


def sizes(mm: AddressSpace) -> Sizes:
    """Add up the VMAs (vm_stat_account)."""
    found = Sizes()
    for vma in mm.vmas:
        pages = (vma.end - vma.start) >> PAGE_SHIFT
        found.total += pages
        if vma.growsdown:
            found.stack += pages
        elif vma.prot & WRITE and not vma.shared:
            found.data += pages
        elif vma.prot & EXEC and not vma.prot & WRITE:
            found.executable += pages
        if vma.locked:
            found.locked += pages
    start, end = mm.code_range
    found.text = ((end + PAGE_SIZE - 1) >> PAGE_SHIFT) - (start >> PAGE_SHIFT)
    return found


def statm(mm: AddressSpace) -> bytes:
    """/proc/PID/statm: pages."""
    size, now = sizes(mm), total_resident(mm)
    shared = (now.file + now.shmem) >> PAGE_SHIFT
    return b"%d %d %d %d 0 %d 0\n" % (size.total, now.rss >> PAGE_SHIFT, shared, size.text, size.data + size.stack)


def status_lines(mm: AddressSpace, peak_pages: int) -> str:
    """The Vm and Rss lines of /proc/PID/status."""
    size, now = sizes(mm), total_resident(mm)
    tables = len({number >> 9 for number in mm.pages}) + len({number >> 18 for number in mm.pages}) + 2
    library = max(0, size.executable - size.text)
    values = (
        ("VmPeak", max(size.total, mm.total) * _KB),
        ("VmSize", size.total * _KB),
        ("VmLck", size.locked * _KB),
        ("VmPin", 0),
        ("VmHWM", max(peak_pages * _KB, now.rss >> 10)),
        ("VmRSS", now.rss >> 10),
        ("RssAnon", now.anonymous >> 10),
        ("RssFile", now.file >> 10),
        ("RssShmem", now.shmem >> 10),
        ("VmData", size.data * _KB),
        ("VmStk", size.stack * _KB),
        ("VmExe", size.text * _KB),
        ("VmLib", library * _KB),
        ("VmPTE", tables * _KB),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    )
    return "".join([f"{label}:\t{value:>8} kB\n" for label, value in values])

"""Mapping an ELF image into a fresh address space: Linux's ``binfmt_elf``.

The layout equals what Linux gives with address randomisation off (personality ADDR_NO_RANDOMIZE), so
that translated code of one program is good for every later run of it.
"""

from __future__ import annotations

import errno
from struct import pack
from typing import TYPE_CHECKING, NamedTuple

from emu.elf import ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PHDR_SIZE, Image, Segment
from emu.engine import EXEC, PAGE_MASK, PAGE_SIZE, READ, WRITE

if TYPE_CHECKING:
    from kernel.cred import Credentials
    from kernel.mm import AddressSpace
    from kernel.task import Task
    from vfs.file import File

STACK_GUARD_GAP = 256 * PAGE_SIZE
STACK_EXPAND = 32 * PAGE_SIZE  # the stack's mapping starts out this much larger than its contents
MIN_STACK_GAP = 128 << 20  # kept free below the top of the stack, whatever RLIMIT_STACK says
USER_HZ = 100
WORD = (1 << 64) - 1
MAX_FILE_SIZE = (1 << 63) - PAGE_SIZE

# linux/auxvec.h
AT_NULL, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_FLAGS, AT_ENTRY = 0, 3, 4, 5, 6, 7, 8, 9
AT_UID, AT_EUID, AT_GID, AT_EGID, AT_PLATFORM, AT_HWCAP, AT_CLKTCK, AT_SECURE = 11, 12, 13, 14, 15, 16, 17, 23
AT_RANDOM, AT_HWCAP2, AT_RSEQ_FEATURE_SIZE, AT_RSEQ_ALIGN, AT_EXECFN = 25, 26, 27, 28, 31
AT_SYSINFO_EHDR, AT_MINSIGSTKSZ = 33, 51
RSEQ_FEATURE_SIZE, RSEQ_ALIGN = 28, 32  # struct rseq up to mm_cid


class Loaded(NamedTuple):
    """Where a program and its interpreter ended up; addresses in the guest."""

    start: int  # the first instruction
    entry: int  # of the program itself: AT_ENTRY
    base: int  # AT_BASE: the interpreter's load bias, 0 without one
    phdr: int  # AT_PHDR
    vdso: int  # AT_SYSINFO_EHDR


def _unloadable(reason: str, number: int = errno.EINVAL) -> OSError:
    return OSError(number, reason)


def _page_up(address: int) -> int:
    return (address + PAGE_SIZE - 1) & PAGE_MASK


def mmap_base(task_size: int, stack_limit: int) -> int:
    """Where mmap(2) starts to look, downwards."""
    gap = min(max(stack_limit + STACK_GUARD_GAP, MIN_STACK_GAP), task_size // 6 * 5)
    return _page_up(task_size - gap)


def load_binary(mm: AddressSpace, file: File, image: Image, interp: tuple[File, Image] | None) -> Loaded:
    """Map the program and its interpreter and set the start of the heap.

    Raises OSError for what Linux finds too late to report: it kills the process instead.
    """
    task_size = mm.task_size
    bias, end = _map_program(mm, file, image, interp is not None)
    entry = image.entry + bias & WORD
    if interp is None:
        start, base = entry, 0
        if image.type == ET_DYN:
            # A loader run as a program, or a static PIE: the heap must not run into the mmap area.
            end = task_size // 3 * 2
    else:
        base = _map_interpreter(mm, *interp, no_base=bias)
        start = base + interp[1].entry & WORD
    if start >= task_size:
        raise _unloadable("its entry point is no user address")
    mm.set_brk(_page_up(end))
    code = [s for s in image.segments if s.flags & PF_X]
    if code:
        mm.code_range = bias + min(s.vaddr for s in code), bias + max(s.vaddr + s.filesz for s in code)
    if image.segments:
        ends = [s.vaddr + s.filesz for s in image.segments]
        mm.data_range = bias + max(s.vaddr for s in image.segments), bias + max(ends)
    phdr = 0
    for segment in image.segments:
        if segment.offset <= image.phoff < segment.offset + segment.filesz:
            phdr = image.phoff - segment.offset + segment.vaddr
    return Loaded(start, entry, base & WORD, phdr + bias & WORD, mm.kernel.vdso.map(mm))


def _map_program(mm: AddressSpace, file: File, image: Image, has_interp: bool) -> tuple[int, int]:
    """The load bias and the end of the program's last segment."""
    task_size = mm.task_size
    bias = end = 0
    for number, segment in enumerate(image.segments):
        total, fixed, noreplace = 0, True, False
        if not number and image.type == ET_EXEC:
            noreplace = True
        elif not number:
            total, alignment = _total_size(image), _alignment(image)
            if not total:
                raise _unloadable("its segments are empty")
            fixed = noreplace = has_interp or alignment > PAGE_SIZE
            if has_interp:
                bias = task_size // 3 * 2 & -alignment
            elif fixed:
                # Find out where it would go, then round that down.
                bias = _map_segment(mm, file, segment, 0, total, fixed=False)
                mm.unmap(bias, _page_up(total))
                bias &= -alignment
            bias = (bias - segment.vaddr) & PAGE_MASK
        address = bias + segment.vaddr
        mapped = _map_segment(mm, file, segment, address, total, fixed=fixed, noreplace=noreplace)
        if not number and image.type == ET_DYN:
            bias += mapped - (address & PAGE_MASK)
        _check(segment, task_size)
        end = max(end, segment.vaddr + segment.memsz)
    return bias, end + bias


def _map_interpreter(mm: AddressSpace, file: File, image: Image, no_base: int) -> int:
    """load_elf_interp: the interpreter's load bias."""
    if image.type not in (ET_EXEC, ET_DYN):
        raise _unloadable("its interpreter is neither a program nor a shared object")
    total = _page_up(_total_size(image))
    if not total:
        raise _unloadable("its interpreter has no loadable segment")
    bias, placed = 0, image.type == ET_EXEC
    for segment in image.segments:
        if not placed and no_base:
            bias = -segment.vaddr
        address = bias + segment.vaddr & WORD & PAGE_MASK
        if not (segment.filesz or segment.memsz) and address >= mm.task_size:
            return address  # Linux takes it for the bias: no error, for nothing was mapped
        mapped = _map_segment(mm, file, segment, bias + segment.vaddr, total, fixed=placed)
        total = 0
        if not placed:
            bias, placed = mapped - (segment.vaddr & PAGE_MASK), True
        _check(segment, mm.task_size, bias)
    return bias


def _check(segment: Segment, task_size: int, bias: int = 0) -> None:
    """What Linux looks at once a segment is mapped."""
    if segment.filesz > segment.memsz:
        raise _unloadable("a segment has more bytes in the file than in memory")
    low = segment.vaddr + bias & WORD
    if low >= task_size or segment.memsz > task_size - low:
        raise _unloadable("a segment lies outside the address space")


def _total_size(image: Image) -> int:
    """total_mapping_size: from the first page of the lowest segment to the last byte of the highest."""
    if not image.segments:
        return 0
    # Addresses wrap around here: whether they are any good shows when they are mapped.
    low = min(s.vaddr & PAGE_MASK for s in image.segments)
    return max(s.vaddr + s.memsz & WORD for s in image.segments) - low & WORD


def _alignment(image: Image) -> int:
    """maximum_alignment: the largest p_align that is a power of two, at least a page."""
    return max([PAGE_SIZE, *(s.align for s in image.segments if not s.align & s.align - 1)])


def _map_segment(
    mm: AddressSpace, file: File, segment: Segment, address: int, total: int, *, fixed: bool, noreplace: bool = False
) -> int:
    """elf_load: map one segment; the address of its first page.  `total` nonzero: reserve that many
    bytes so that the segments to come find room.  Unlike in Linux vm.mmap_min_addr holds for a bss too."""
    inset = segment.vaddr & ~PAGE_MASK
    prot = (
        (READ if segment.flags & PF_R else 0)
        | (WRITE if segment.flags & PF_W else 0)
        | (EXEC if segment.flags & PF_X else 0)
    )
    mapped = address & WORD & PAGE_MASK
    zero_start = mapped
    zero_end = mapped + inset + segment.memsz
    if segment.filesz:
        offset = segment.offset - inset
        size = _page_up(segment.filesz + inset)
        if offset < 0 or offset & ~PAGE_MASK:
            raise _unloadable("a segment's offset in the file and its address disagree")
        if offset + size > MAX_FILE_SIZE:
            raise _unloadable("a segment lies beyond the end of any file", errno.EOVERFLOW)
        whole = max(_page_up(total), size)
        mapped = mm.map(mapped, whole, prot, file=file, offset=offset, fixed=fixed, noreplace=noreplace)
        if whole > size:
            mm.unmap(mapped + size, whole - size)
        zero_start = mapped + inset + segment.filesz
        zero_end = mapped + inset + segment.memsz
        if zero_end > zero_start and zero_start & ~PAGE_MASK and prot & WRITE:
            mm.zero(zero_start, _page_up(zero_start) - zero_start)
        zero_start = _page_up(zero_start)
    if mapped >= mm.task_size:
        raise _unloadable("a segment lies outside the address space")
    zero_end = _page_up(zero_end)
    if segment.memsz > segment.filesz and zero_end > zero_start:
        mm.map(zero_start, zero_end - zero_start, READ | WRITE | prot & EXEC, fixed=True)
    return mapped


class NewStack:
    """The stack of a new program, which Linux's copy_strings and create_elf_tables build: from the top,
    eight zero bytes, AT_EXECFN, the environment, the arguments, AT_PLATFORM, AT_RANDOM, the auxiliary
    vector, and the pointers to it all, at which `sp` points."""

    __slots__ = (
        "_pointers", "_strings", "arg_range", "env_range", "execfn_at", "platform", "platform_at", "random_at",
        "sp", "top",
    )  # fmt: skip

    VECTOR_SIZE = 23 * 16  # bytes of the auxiliary vector

    def __init__(self, top: int, platform: bytes, execfn: bytes, argv: list[bytes], envp: list[bytes]) -> None:
        args = b"".join([arg + b"\0" for arg in argv])
        environment = b"".join([variable + b"\0" for variable in envp])
        self.top = top
        self._strings = args + environment + execfn + b"\0"
        at = top - 8 - len(self._strings)
        env_at = at + len(args)
        self.execfn_at = env_at + len(environment)
        self.arg_range = at, env_at
        self.env_range = env_at, self.execfn_at
        self.platform = platform + b"\0"
        self.platform_at = (at & ~15) - len(self.platform)
        self.random_at = self.platform_at - 16
        pointers = [len(argv)]
        for strings in argv, envp:
            for string in strings:
                pointers.append(at)
                at += len(string) + 1
            pointers.append(0)
        self._pointers = pack(f"<{len(pointers)}Q", *pointers)
        self.sp = (self.random_at - self.VECTOR_SIZE - len(self._pointers)) & ~15

    def map(self, mm: AddressSpace, limit: int, copied: int, executable: bool) -> None:
        """setup_arg_pages; `limit` is RLIMIT_STACK, `copied` the bytes of strings that Linux had on the
        stack at a time, which decide on its size."""
        needed = self.top - (self.sp & PAGE_MASK)
        size = max(needed, min(limit & PAGE_MASK, _page_up(copied + 8) + STACK_EXPAND))
        prot = READ | WRITE | (EXEC if executable else 0)
        mm.map(self.top - size, size, prot, fixed=True, growsdown=True)
        mm.stack_vma = mm.find(self.top - 1)
        mm.stack_start = self.sp

    def fill(self, t: Task, mm: AddressSpace, cred: Credentials, image: Image, loaded: Loaded, secure: bool) -> bytes:
        """Write everything; the auxiliary vector as /proc/PID/auxv shows it."""
        arch = t.kernel.arch
        vector = pack(
            "<46Q",
            AT_SYSINFO_EHDR, loaded.vdso,
            AT_MINSIGSTKSZ, arch.MINSIGSTKSZ,
            AT_HWCAP, t.kernel.hwcap,
            AT_PAGESZ, PAGE_SIZE,
            AT_CLKTCK, USER_HZ,
            AT_PHDR, loaded.phdr,
            AT_PHENT, PHDR_SIZE,
            AT_PHNUM, image.phnum,
            AT_BASE, loaded.base,
            AT_FLAGS, 0,
            AT_ENTRY, loaded.entry,
            AT_UID, cred.uid,
            AT_EUID, cred.euid,
            AT_GID, cred.gid,
            AT_EGID, cred.egid,
            AT_SECURE, secure,
            AT_RANDOM, self.random_at,
            AT_HWCAP2, arch.HWCAP2,
            AT_EXECFN, self.execfn_at,
            AT_PLATFORM, self.platform_at,
            AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE,
            AT_RSEQ_ALIGN, RSEQ_ALIGN,
            AT_NULL, 0,
        )  # fmt: skip
        table = (self._pointers + vector).ljust(self.random_at - self.sp, b"\0")
        mm.write(self.sp, table + t.kernel.entropy.bytes(16) + self.platform)
        mm.write(self.arg_range[0], self._strings)
        return vector

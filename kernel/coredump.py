"""Core files: what is left of a process that a signal with the "Core" action ended (core(5), Linux's
``fs/coredump.c`` and ``elf_core_dump`` of ``fs/binfmt_elf.c``).

The file is made with the rights of the process, in its own view of the tree, and is no larger than its RLIMIT_CORE.
While it is written nobody else runs.
"""

from __future__ import annotations

import errno
from stat import S_IMODE, S_ISREG
from struct import Struct
from typing import TYPE_CHECKING

from emu.elf import EHDR, ET_CORE, PF_R, PF_W, PF_X, PHDR, PHDR_SIZE
from emu.engine import EXEC, PAGE_SHIFT, PAGE_SIZE, READ, WRITE
from kernel import procmaps
from kernel.namei import do_unlink, open_file
from kernel.pagetable import END
from kernel.regset import read_registers, user_regs
from kernel.rlimit import RLIMIT_CORE, RLIMIT_FSIZE, get_rlimit
from kernel.rusage import RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, usage
from vfs.file import O_CREAT, O_EXCL, O_LARGEFILE, O_NOFOLLOW, O_WRONLY
from vfs.walk import Nameidata

if TYPE_CHECKING:
    from kernel.mm import AddressSpace
    from kernel.rusage import Usage
    from kernel.siginfo import SigInfo
    from kernel.task import Task
    from kernel.vma import Vma
    from vfs.file import File
    from vfs.pages import Spans

SUID_DUMP_USER = 1
_MODE = 0o600

# /proc/PID/coredump_filter
ANON_PRIVATE, ANON_SHARED, MAPPED_PRIVATE, MAPPED_SHARED, ELF_HEADERS = (1 << bit for bit in range(5))

PT_LOAD, PT_NOTE = 1, 4
EV_CURRENT, ELFCLASS64, ELFDATA2LSB = 1, 2, 1
NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_SIGINFO, NT_FILE = 1, 3, 6, 0x53494749, 0x46494C45
_NOTE = Struct("<III")
_PRSTATUS = Struct("<iiihxxQQIIII8q")  # struct elf_prstatus up to the registers; times are seconds and microseconds
_FPVALID = Struct("<ixxxx")
_PRPSINFO = Struct("<BcBbxxxxQIIiiii16s80s")
_FILE = Struct("<QQQ")
_ARGS_MAX = 80  # ELF_PRARGSZ
_SPANS = 512  # pages written in one call


class _Truncated(Exception):
    """The file has reached its limit, or the disk is full."""


def do_coredump(task: Task, info: SigInfo) -> bool:
    """Write the core file of `task`'s process, which `info` ends.  False if there is none: not wanted, or not to be
    made."""
    limit = min(get_rlimit(task, RLIMIT_CORE)[0], get_rlimit(task, RLIMIT_FSIZE)[0])
    if limit < PAGE_SIZE or task.mm.dumpable != SUID_DUMP_USER:
        return False
    try:
        file = _create(task, core_name(task, info.signo))
    except OSError:
        return False
    file.refs += 1
    try:
        _Dump(task, info, file, limit).write()
    except _Truncated:
        pass
    finally:
        file.put()
    return True


def core_name(task: Task, signo: int) -> bytes:
    """core_pattern with its specifiers filled in.  Names of programs and hosts lose their slashes, so that they lead
    nowhere else."""
    kernel, cred = task.kernel, task.cred
    pattern = kernel.core_pattern
    exe = task.exe.text if task.exe is not None else task.comm
    name = bytearray()
    with_pid = False
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        at += 1
        if char != b"%":
            name += char
            continue
        kind = pattern[at : at + 1]
        at += 1
        numbers = {
            b"p": task.tgid, b"P": task.tgid, b"i": task.tid, b"I": task.tid, b"u": cred.uid, b"g": cred.gid,
            b"d": task.mm.dumpable, b"s": signo, b"t": kernel.clock.realtime_ns() // 1_000_000_000,
            b"c": get_rlimit(task, RLIMIT_CORE)[0], b"C": 0,
        }  # fmt: skip
        texts = {b"h": kernel.uts.nodename, b"e": task.comm, b"f": exe.rpartition(b"/")[2], b"E": exe}
        if kind in numbers:
            name += b"%d" % numbers[kind]
            with_pid = with_pid or kind == b"p"
        elif kind in texts:
            text = texts[kind].replace(b"/", b"!")
            name += b"!" + text[1:] if text in (b".", b"..") and kind != b"E" else text
        elif kind == b"%":
            name += b"%"
    if kernel.core_uses_pid and not with_pid:
        name += b".%d" % task.tgid
    return bytes(name)


def _create(task: Task, name: bytes) -> File:
    """A new file of the task's own, in the place of what had the name.  Raises OSError."""
    mounts, cwd = task.kernel.mounts, task.fs.cwd
    try:
        do_unlink(task, *Nameidata(mounts, task.fs.root, task).parent(cwd, name))
    except OSError:
        pass
    flags = O_CREAT | O_WRONLY | O_NOFOLLOW | O_LARGEFILE | O_EXCL
    file = open_file(task, cwd, name, flags, _MODE & ~task.fs.umask)
    st = file.stat()
    if st.st_uid != task.cred.fsuid or not S_ISREG(st.st_mode) or S_IMODE(st.st_mode) & 0o677 != _MODE:
        file.release()
        raise OSError(errno.EPERM, "not a file for a core")
    return file


class _Dump:
    """One core file being written."""

    def __init__(self, task: Task, info: SigInfo, file: File, limit: int) -> None:
        self.task = task
        self.info = info
        self.mm: AddressSpace = task.mm
        self.file = file
        self.limit = limit
        self.offset = 0
        self.mm.thaw(0, END)
        self.present = procmaps.present_pages(self.mm)

    def write(self) -> None:
        mm = self.mm
        notes = self._notes()
        sizes = [(vma, self._dump_size(vma)) for vma in mm.vmas]
        offset = EHDR.size + PHDR_SIZE * (len(sizes) + 1)
        data = offset + len(notes) + PAGE_SIZE - 1 & -PAGE_SIZE
        ident = bytes((0x7F, *b"ELF", ELFCLASS64, ELFDATA2LSB, EV_CURRENT)).ljust(16, b"\0")
        machine = self.task.kernel.arch.ELF_MACHINE
        header = EHDR.pack(
            ident, ET_CORE, machine, EV_CURRENT, 0, EHDR.size, 0, 0, EHDR.size, PHDR_SIZE, len(sizes) + 1, 0, 0, 0
        )
        parts = [header, PHDR.pack(PT_NOTE, 0, offset, 0, 0, len(notes), 0, 4)]
        place = data
        for vma, size in sizes:
            prot = vma.prot
            flags = (PF_R if prot & READ else 0) | (PF_W if prot & WRITE else 0) | (PF_X if prot & EXEC else 0)
            parts.append(PHDR.pack(PT_LOAD, flags, place, vma.start, 0, size, vma.end - vma.start, PAGE_SIZE))
            place += size
        self._emit([memoryview(b"".join((*parts, notes)))])
        self.offset = data
        for vma, size in sizes:
            self._pages(vma, size)
        if self.offset > self.file.stat().st_size:
            self.file.truncate(self.offset)

    def _emit(self, spans: Spans) -> None:
        """Write at the offset and move it on; no further than the limit."""
        wanted = sum(map(len, spans))
        if self.offset + wanted > self.limit:
            raise _Truncated
        while wanted:
            try:
                count = self.file.pwrite(spans, self.offset)
            except OSError as error:
                raise _Truncated from error
            self.offset += count
            wanted -= count
            if wanted:
                raise _Truncated

    def _pages(self, vma: Vma, size: int) -> None:
        """The first `size` bytes of a mapping; pages that nobody has touched become holes."""
        arena = self.mm.arena
        spans: list[memoryview] = []
        for address in range(vma.start, vma.start + size, PAGE_SIZE):
            frame = self.mm.dump_frame(vma, address)
            if frame:
                spans.append(arena.view(frame, PAGE_SIZE))
            if spans and (not frame or len(spans) == _SPANS):
                self._emit_pages(spans)
                spans = []
            if not frame:
                self.offset += PAGE_SIZE
        if spans:
            self._emit_pages(spans)

    def _emit_pages(self, spans: list[memoryview]) -> None:
        """As many whole pages as the limit allows."""
        fitting = (self.limit - self.offset) >> PAGE_SHIFT
        self._emit(spans[:fitting])
        if fitting < len(spans):
            raise _Truncated

    def _dump_size(self, vma: Vma) -> int:
        """How much of a mapping goes into the file (vma_dump_size)."""
        whole = vma.end - vma.start
        wanted = self.mm.coredump_filter
        if vma.special:
            return whole
        if vma.dontdump:
            return 0
        if vma.shared:
            linked = vma.file is not None and vma.file.stat().st_nlink
            return whole if wanted & (MAPPED_SHARED if linked else ANON_SHARED) else 0
        if wanted & ANON_PRIVATE and self._has_anonymous(vma):
            return whole
        if vma.file is None:
            return 0
        if wanted & MAPPED_PRIVATE:
            return whole
        if wanted & ELF_HEADERS and not vma.offset and vma.prot & READ:
            frame = self.mm.dump_frame(vma, vma.start)
            if frame and bytes(self.mm.arena.view(frame, 4)) == b"\x7fELF":
                return PAGE_SIZE
        return 0

    def _has_anonymous(self, vma: Vma) -> bool:
        """Whether a private mapping has pages of its own: Linux's anon_vma."""
        return procmaps.resident(self.mm, vma, self.present).anonymous > 0

    # Notes

    def _notes(self) -> bytes:
        task = self.task
        threads = sorted(
            (thread for thread in task.signals.shared.threads if thread is not task and not thread.zombie),
            key=lambda thread: thread.tid,
        )
        parts = [
            _note(b"CORE", NT_PRSTATUS, self._prstatus(task)),
            _note(b"CORE", NT_PRPSINFO, self._prpsinfo()),
            _note(b"CORE", NT_SIGINFO, self.info.pack()),
            _note(b"CORE", NT_AUXV, task.auxv),
            *self._file_note(),
            *self._floating(task),
        ]
        for thread in threads:
            parts += [_note(b"CORE", NT_PRSTATUS, self._prstatus(thread)), *self._floating(thread)]
        return b"".join(parts)

    def _prstatus(self, thread: Task) -> bytes:
        signals = thread.signals
        own = usage(thread, RUSAGE_SELF if thread is signals.shared.leader else RUSAGE_THREAD)
        head = _PRSTATUS.pack(
            self.info.signo, 0, 0, self.info.signo,
            signals.pending.mask, signals.blocked,
            thread.tid, thread.ppid, thread.pgid, thread.sid,
            *_times(own), *_times(usage(thread, RUSAGE_CHILDREN)),
        )  # fmt: skip
        return head + user_regs(thread) + _FPVALID.pack(1)

    def _floating(self, thread: Task) -> list[bytes]:
        regset = thread.kernel.arch.regset()
        values = read_registers(thread, regset.FLOATING)
        return [_note(owner, number, pack(values)) for owner, number, pack in regset.FLOATING_NOTES]

    def _prpsinfo(self) -> bytes:
        task = self.task
        leader = task.signals.shared.leader
        start, end = leader.arg_range
        args = b""
        if end > start:
            try:
                args = self.mm.read(start, min(end - start, _ARGS_MAX - 1)).replace(b"\0", b" ")
            except OSError:
                pass
        return _PRPSINFO.pack(
            0, b"R", 0, task.sched.nice, 0, task.cred.uid, task.cred.gid,
            leader.tid, leader.ppid, leader.pgid, leader.sid, task.comm, args,
        )  # fmt: skip

    def _file_note(self) -> list[bytes]:
        """NT_FILE: which files are mapped where, in pages."""
        mapped = [vma for vma in self.mm.vmas if vma.pages is not None and not vma.special]
        if not mapped:
            return []
        table = b"".join([_FILE.pack(vma.start, vma.end, vma.offset >> PAGE_SHIFT) for vma in mapped])
        names = b"".join([_file_name(self.mm, vma) + b"\0" for vma in mapped])
        return [_note(b"CORE", NT_FILE, _FILE.pack(len(mapped), PAGE_SIZE, 0)[:16] + table + names)]


def _file_name(mm: AddressSpace, vma: Vma) -> bytes:
    return procmaps.file_name(vma.file) if vma.file is not None else procmaps.vma_name(mm, vma)


def _note(owner: bytes, kind: int, data: bytes) -> bytes:
    name = owner + b"\0"
    return _NOTE.pack(len(name), len(data), kind) + _padded(name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _times(used: Usage) -> tuple[int, ...]:
    return (*divmod(used.utime // 1000, 1_000_000), *divmod(used.stime // 1000, 1_000_000))

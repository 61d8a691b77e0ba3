"""ELF files as the program loader sees them: the header and the program headers, nothing else.

pyelftools reads the program headers; what it found is kept on disk by file identity, because
importing it costs more than everything else a small program does.  Which files are accepted equals
Linux's ``load_elf_binary`` (elf(5)): of the identification only the magic number counts, and nothing
about segments is checked here, because Linux finds out while it maps them.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import NamedTuple, Protocol

PAGE_SIZE = 4096
PATH_MAX = 4096

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
PF_X, PF_W, PF_R = 1, 2, 4

EHDR = Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
PHDR = Struct("<IIQQQQQQ")  # Elf64_Phdr
PHDR_SIZE = PHDR.size
MAX_PHDRS = 65536 // PHDR_SIZE
NOTE_GNU_PROPERTY = b"\5\0\0\0GNU\0"  # NT_GNU_PROPERTY_TYPE_0 and the name
NOTE_SIZE = 4096  # of which so much is looked at

MACHINES = {
    2: "SPARC", 3: "i386", 4: "m68k", 8: "MIPS", 20: "PowerPC", 21: "64-bit PowerPC", 22: "S390", 40: "32-bit Arm",
    43: "SPARC V9", 62: "x86-64", 183: "AArch64", 243: "RISC-V", 247: "BPF", 258: "LoongArch",
}  # fmt: skip

ELIBBAD = getattr(errno, "ELIBBAD", errno.ENOEXEC)  # not every host has it

Source = Callable[[int, int], bytes]
"""(offset, size) -> bytes of the file; fewer only at its end.  Raises OSError."""

Identity = tuple[int, int, int, int, int]
"""st_dev, st_ino, st_size, st_mtime_ns, st_ctime_ns: changes whenever the file does."""


class BadImage(OSError):
    """A file that cannot be run, and why in words.  errno is what execve(2) gives: ENOEXEC for a
    program, ELIBBAD for its interpreter, EIO for a file that ends too early."""

    def __init__(self, reason: str, number: int = errno.ENOEXEC) -> None:
        super().__init__(number, reason)
        self.reason = reason


class Architecture(Protocol):
    """What a module of `emu.arch` says about its ELF files."""

    @property
    def ELF_MACHINE(self) -> int:
        """EM_ number."""

    @property
    def ISA_NEEDED(self) -> int:
        """Type of the property of `.note.gnu.property` that names the levels of the instruction set it needs."""


class Segment(NamedTuple):
    """A PT_LOAD program header; `flags` are PF_ bits."""

    vaddr: int
    offset: int
    filesz: int
    memsz: int
    flags: int
    align: int


class Image(NamedTuple):
    """One ELF file: what of it matters to exec."""

    type: int  # ET_EXEC or ET_DYN; an interpreter may be anything
    machine: int
    entry: int
    phoff: int
    phnum: int
    segments: tuple[Segment, ...]
    interp: bytes | None  # PT_INTERP without its NUL
    stack_flags: int | None  # p_flags of PT_GNU_STACK
    isa_needed: int = 0  # bits of the architecture's: levels of the instruction set that it says it needs


def read_image(source: Source, identity: Identity | None, arch: Architecture, *, interpreter: bool = False) -> Image:
    """The headers of an ELF file; `identity` None: do not remember them.

    Raises BadImage with Linux's errno, or what `source` raises.
    """
    wrong = ELIBBAD if interpreter else errno.ENOEXEC
    header = source(0, EHDR.size)
    if interpreter and len(header) < EHDR.size:
        raise BadImage(f"too short for an ELF file: {len(header)} bytes", errno.EIO)
    check_header(header, arch, wrong, interpreter)
    header = header.ljust(EHDR.size, b"\0")  # as Linux does with the first bytes of a short file
    fields = EHDR.unpack(header)
    if identity is not None:
        image = cache.get(identity, header)
        if image is not None and (image.interp is None or not interpreter):
            return image
    table = _program_headers(source, header, fields, wrong)
    image = _parse(source, fields, table, interpreter, arch.ISA_NEEDED)
    if identity is not None and (not interpreter or image.interp is None):
        cache.put(identity, header, image)
    return image


def check_header(header: bytes, arch: Architecture, wrong: int = errno.ENOEXEC, interpreter: bool = False) -> None:
    """Raises BadImage if a file that starts with `header` is none that can run, as far as that can tell."""
    if header[:4] != b"\x7fELF":
        raise BadImage("not an ELF file" if header else "the file is empty", wrong)
    kind, machine = int.from_bytes(header[16:18], "little"), int.from_bytes(header[18:20], "little")
    if len(header) < 20:
        raise BadImage(f"a truncated ELF file: {len(header)} bytes", wrong)
    if machine != arch.ELF_MACHINE:
        built_for = int.from_bytes(header[18:20], "big" if header[5] == 2 else "little")
        raise BadImage(f"built for {machine_name(built_for)}; lxrun runs {machine_name(arch.ELF_MACHINE)}", wrong)
    if kind not in (ET_EXEC, ET_DYN) and not interpreter:
        kinds = {ET_REL: "an object file; link it first", ET_CORE: "a core dump, not a program"}
        raise BadImage(kinds.get(kind, f"an ELF file of type {kind}, neither a program nor a shared object"), wrong)


def machine_name(machine: int) -> str:
    """What an EM_ number is called."""
    return MACHINES.get(machine, f"ELF machine {machine}")


def _program_headers(source: Source, header: bytes, fields: tuple[int, ...], wrong: int) -> bytes:
    """The raw table, or BadImage where Linux's load_elf_phdrs gives up."""
    phoff, phentsize, phnum = fields[5], fields[9], fields[10]
    if phentsize != PHDR_SIZE:
        if header[4] == 1:  # Linux does not look at the class either, but at the layout it brings
            raise BadImage("a 32-bit ELF file; lxrun runs 64-bit programs", wrong)
        raise BadImage(f"a damaged ELF file: program headers of {phentsize} bytes", wrong)
    if phnum == 0:
        raise BadImage("an ELF file without program headers: there is nothing to load", wrong)
    if phnum > MAX_PHDRS:
        raise BadImage(f"a damaged ELF file: {phnum} program headers", wrong)
    size = phnum * PHDR_SIZE
    table = source(phoff, size) if phoff < 1 << 63 else b""
    if len(table) < size:
        raise BadImage("a truncated ELF file: program headers lie beyond its end", wrong)
    return table


def _parse(source: Source, fields: tuple[int, ...], table: bytes, interpreter: bool, isa_needed: int) -> Image:
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=True, elfclass=64)
    structs.create_basic_structs()
    structs.create_advanced_structs()
    interp = stack_flags = None
    isa = 0
    segments = []
    for start in range(0, len(table), PHDR_SIZE):
        header = structs.Elf_Phdr.parse(table[start : start + PHDR_SIZE])
        kind = header.p_type
        if kind == "PT_LOAD":
            segments.append(
                Segment(
                    header.p_vaddr, header.p_offset, header.p_filesz, header.p_memsz, header.p_flags, header.p_align
                )
            )
        elif kind == "PT_GNU_STACK":
            stack_flags = header.p_flags
        elif kind == "PT_INTERP" and interp is None and not interpreter:
            interp = _interp(source, header.p_offset, header.p_filesz)
        elif kind == "PT_GNU_PROPERTY" and header.p_offset < (1 << 63) - NOTE_SIZE:  # to Linux it may lie anywhere
            isa = note_property(source(header.p_offset, min(header.p_filesz, NOTE_SIZE)), isa_needed)
    return Image(fields[1], fields[2], fields[4], fields[5], fields[10], tuple(segments), interp, stack_flags, isa)


def note_property(note: bytes, wanted: int) -> int:
    """The word of a property in a note of type NT_GNU_PROPERTY_TYPE_0 (the Linux gABI extensions); 0 if it has none.

    Nobody vouches for the note: of a damaged one what can be read counts.
    """
    if note[:4] != b"\4\0\0\0" or note[8:16] != NOTE_GNU_PROPERTY:
        return 0
    at, end = 16, 16 + int.from_bytes(note[4:8], "little")
    while at + 12 <= min(end, len(note)):
        kind, size = int.from_bytes(note[at : at + 4], "little"), int.from_bytes(note[at + 4 : at + 8], "little")
        if kind == wanted and size == 4:
            return int.from_bytes(note[at + 8 : at + 12], "little")
        at += 8 + (size + 7 & ~7)
    return 0


def _interp(source: Source, offset: int, size: int) -> bytes:
    if not 2 <= size <= PATH_MAX:
        raise BadImage(f"a damaged ELF file: the name of its interpreter is {size} bytes long")
    if offset >= 1 << 63:
        raise BadImage("a damaged ELF file: the name of its interpreter lies outside it", errno.EINVAL)
    name = source(offset, size)
    if len(name) < size:
        raise BadImage("a truncated ELF file: the name of its interpreter lies beyond its end", errno.EIO)
    if name[-1]:
        raise BadImage("a damaged ELF file: the name of its interpreter does not end")
    return name.split(b"\0", 1)[0]


class ImageCache:
    """Images by file identity, in memory and on the host's disk.

    The disk part is direct-mapped: an identity has one of `SLOTS` files, whose content says whose it
    is, so it can neither grow without bound nor need sweeping.  Every failure of the host is a miss.
    A changed program header table under an unchanged identity and ELF header would give wrong
    addresses, never a wrong access: the loader trusts no image.
    """

    SLOTS = 16384
    # A file may change twice within one tick of its filesystem's clock and keep its identity.
    SETTLED_NS = 100_000_000
    MAGIC = b"lxelf\0\0\2"  # the last byte is the version of this layout
    HEAD = Struct("<8sQQQqq64sqIhhI")  # magic, identity, ELF header, stack flags, ISA, segments, interp, checksum
    SEGMENT = Struct("<QQQQQQ")

    def __init__(self, directory: str | None = None) -> None:
        self.memory: dict[Identity, tuple[bytes, Image]] = {}
        self._directory = directory

    def directory(self) -> str:
        """Where entries lie; it need not exist."""
        if self._directory is None:
            base = os.environ.get("XDG_CACHE_HOME", "")
            if not os.path.isabs(base):  # the XDG specification: a relative path is to be ignored
                base = os.path.join(os.path.expanduser("~"), ".cache")
            self._directory = os.path.join(base, "lxrun", "elf")
        return self._directory

    def slot(self, identity: Identity) -> str:
        """The file of an identity's entry."""
        return os.path.join(self.directory(), f"{(identity[1] ^ identity[0] * 0x9E3B) % self.SLOTS:04x}")

    def get(self, identity: Identity, header: bytes) -> Image | None:
        """The image stored for a file with that identity whose first bytes are `header`."""
        known = self.memory.get(identity)
        if known is None:
            known = self._load(identity)
            if known is None:
                return None
            self.memory[identity] = known
        return known[1] if known[0] == header else None

    def put(self, identity: Identity, header: bytes, image: Image) -> None:
        """Remember an image, unless its file is so young that it may change unnoticed."""
        if time.time_ns() - max(identity[3:]) < self.SETTLED_NS:
            return
        if len(self.memory) >= 1024:
            self.memory.clear()
        self.memory[identity] = header, image
        try:
            self._store(identity, header, image)
        except (OSError, StructError):  # nowhere to write; a size or time that does not fit
            pass

    def _load(self, identity: Identity) -> tuple[bytes, Image] | None:
        try:
            fd = os.open(self.slot(identity), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            try:
                data = os.read(fd, 16384)
            finally:
                os.close(fd)
        except OSError:
            return None
        if len(data) < self.HEAD.size:
            return None
        magic, *whose, header, stack_flags, isa, count, interp_size, checksum = self.HEAD.unpack_from(data)
        start = self.HEAD.size + count * self.SEGMENT.size
        body = data[self.HEAD.size :]
        if magic != self.MAGIC or tuple(whose) != identity or len(data) != start + max(interp_size, 0):
            return None
        if checksum != _checksum(data[: self.HEAD.size - 4] + body):
            return None
        fields = EHDR.unpack(header)
        segments = tuple(map(Segment._make, self.SEGMENT.iter_unpack(data[self.HEAD.size : start])))
        return header, Image(
            fields[1], fields[2], fields[4], fields[5], fields[10], segments,
            None if interp_size < 0 else data[start:], None if stack_flags < 0 else stack_flags, isa,
        )  # fmt: skip

    def _store(self, identity: Identity, header: bytes, image: Image) -> None:
        import tempfile

        directory = self.directory()
        mask = os.umask(0o077)  # the mode given to makedirs is the last directory's only
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        finally:
            os.umask(mask)
        interp_size = -1 if image.interp is None else len(image.interp)
        stack_flags = -1 if image.stack_flags is None else image.stack_flags
        head = self.HEAD.pack(
            self.MAGIC, *identity, header, stack_flags, image.isa_needed, len(image.segments), interp_size, 0
        )[:-4]  # fmt: skip
        body = b"".join(self.SEGMENT.pack(*segment) for segment in image.segments) + (image.interp or b"")
        fd, fresh = tempfile.mkstemp(dir=directory)
        try:
            with open(fd, "wb", buffering=0) as file:
                file.write(head + _checksum(head + body).to_bytes(4, "little") + body)
            os.replace(fresh, self.slot(identity))
        except BaseException:
            os.unlink(fresh)
            raise


def _checksum(data: bytes) -> int:
    """CRC-32."""
    from zlib import crc32

    return crc32(data)


cache = ImageCache()

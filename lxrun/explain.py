"""`lxrun --explain PROGRAM`: what a program is and needs, which backend would run it and why.  It is not run."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from emu.arch import x86_64
from emu.arch.x86_64_isa import census
from emu.elf import ET_EXEC, machine_name, read_image
from kernel.exec import BINPRM_BUF_SIZE, MAX_REWRITES, parse_interpreter, read_file
from kernel.rlimit import initial_rlimits
from lxrun.cli import show
from lxrun.diagnostics import CANNOT_RUN, RunFailure, exec_failure
from lxrun.machine import Machine
from lxrun.world import environment
from vfs.file import O_RDONLY

if TYPE_CHECKING:
    from emu.arch.x86_64_isa import Extension
    from emu.elf import Image
    from lxrun.options import Options
    from vfs.file import File

SHF_EXECINSTR, PF_X = 4, 1


def run(options: Options, descriptors: list[int]) -> int:
    """Print what there is to say about the program that `options` name; 0.  Raises RunFailure."""
    machine = Machine(options, 0o22)
    task = machine.init(initial_rlimits(), [])
    path = machine.find(task, os.fsencode(options.program or ""), environment(options))
    try:
        chain, file = opened(machine, path)
        image = read_image(lambda offset, size: read_file(file, offset, size), None, x86_64)
        code = list(executable_parts(file))
    except OSError as error:
        raise exec_failure(options.program or "", error, *machine.head(path), options.rootfs) from None
    status = show(report(options, chain, image, census(code)))
    return status << 8


def opened(machine: Machine, path: bytes) -> tuple[list[bytes], File]:
    """The ELF file that runs for `path`, and the scripts on the way there, it being the last.  Raises OSError."""
    chain = [path]
    while True:
        file = machine.walk(path).node.open(O_RDONLY, path)
        head = read_file(file, 0, BINPRM_BUF_SIZE)
        if head[:2] != b"#!":
            return chain, file
        if len(chain) > MAX_REWRITES:
            raise RunFailure(CANNOT_RUN, f"{os.fsdecode(chain[0])}: scripts that are run by scripts, without end")
        path = parse_interpreter(head)[0]
        chain.append(path)


class Stored(io.RawIOBase):
    """A guest's file as Python's libraries read files."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.at = 0
        self.size = file.stat().st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self.file.pread([memoryview(buffer)], self.at)
        self.at += count
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at


def executable_parts(file: File) -> list[tuple[int, bytes]]:
    """Address and bytes of the sections with code; of a file without sections, of its executable segments."""
    from elftools.common.exceptions import ELFError, ELFParseError
    from elftools.construct import ConstructError
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BufferedReader(Stored(file)))
        parts = [
            (section["sh_addr"], section.data())
            for section in elf.iter_sections("SHT_PROGBITS")
            if section["sh_flags"] & SHF_EXECINSTR
        ]
        if parts:
            return parts
        return [
            (segment["p_vaddr"], segment.data())
            for segment in elf.iter_segments("PT_LOAD")
            if segment["p_flags"] & PF_X
        ]
    except (ELFError, ELFParseError, ConstructError, ValueError, KeyError, UnicodeDecodeError, MemoryError):
        return []  # damaged where the loader does not look


def report(options: Options, chain: list[bytes], image: Image, extensions: list[Extension]) -> str:
    """The page."""
    backend, why = choice(options, image)
    script = "".join(f"{os.fsdecode(path)}, a script for " for path in chain[:-1])
    kind = "at a fixed address" if image.type == ET_EXEC else "position-independent"
    facts = [
        ("program", script + os.fsdecode(chain[-1])),
        ("file", f"ELF, {x86_64.ELF_CLASS}-bit, {machine_name(image.machine)}, {kind}"),
        ("interpreter", os.fsdecode(image.interp) if image.interp is not None else "none: static"),
        ("needs", x86_64.isa_level(image.isa_needed) or "does not say which level of the instruction set"),
        ("backend", f"{backend}: {why}"),
    ]
    lines = [f"{name:13}{text}" for name, text in facts]
    lines += ["", f"{'instructions':18}{'count':>9}  {'first at':>14}  {'':16}emulated"]
    for one in extensions:
        emulated = "yes" if one.emulated else "no"
        lines.append(f"  {one.name:16}{one.number:9}  {one.address:#14x}  {one.mnemonic:16}{emulated}")
    lacking = [one.name for one in extensions if not one.emulated]
    if lacking:
        lines += ["", *REMARK]
    return "\n".join(lines) + "\n"


REMARK = (
    "A program has instructions that are not emulated mostly for processors that have them, and asks first;",
    "so they do not decide.",
)


def choice(options: Options, image: Image) -> tuple[str, str]:
    """The backend that would run the program, and why."""
    if options.backend != "auto":
        return options.backend, f"--backend {options.backend} says so"
    lacking = x86_64.isa_lacking(image.isa_needed)
    if not lacking:
        return "emulate", "nothing that is known beforehand speaks against it"
    from vm import VmError
    from vm.kernels import choose
    from vm.qemu import find_qemu

    try:
        find_qemu()
        choose(options.vm_kernel)
    except VmError as error:
        return "emulate", f"it needs {lacking}, which is not emulated, but there is no VM: {error}"
    return "vm", f"it needs {lacking}, which is not emulated"

"""Which extensions of the instruction set a piece of code uses, and which of them the engine has.

capstone reads the code; what it calls a group of instructions is an extension here.  Ten million
instructions have to be looked at in some seconds, so its objects are not made one by one: the array that
its library returns is read as a whole, by columns.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, NamedTuple

# Group of capstone -> name, and whether the engine runs it; of an instruction in several the first counts.
GROUPS: dict[str, tuple[str, bool]] = {
    "avx512": ("AVX-512", False), "eri": ("AVX-512", False), "cdi": ("AVX-512", False), "pfi": ("AVX-512", False),
    "bwi": ("AVX-512", False), "dqi": ("AVX-512", False), "xop": ("XOP", False), "fma4": ("FMA4", False),
    "fma": ("FMA", False), "fc16": ("F16C", False), "avx2": ("AVX2", False), "avx": ("AVX", False),
    "sha": ("SHA", False), "tbm": ("TBM", False), "3dnow": ("3DNow!", False), "sgx": ("SGX", False),
    "vm": ("virtual machines", False), "rtm": ("TSX", False), "hle": ("TSX", False),
    "bmi2": ("BMI2", True), "bmi": ("BMI1", True), "adx": ("ADX", True), "fsgsbase": ("FSGSBASE", True),
    "pclmul": ("PCLMULQDQ", True), "aes": ("AES", True), "sse4a": ("SSE4a", True), "sse42": ("SSE4.2", True),
    "sse41": ("SSE4.1", True), "ssse3": ("SSSE3", True), "sse3": ("SSE3", True), "sse2": ("SSE2", True),
    "sse1": ("SSE", True), "mmx": ("MMX", True), "fpu": ("x87", True),
}  # fmt: skip
BASE = "x86-64"

_CHUNK = 1 << 16  # bytes read at a time: some 4 MB of capstone's records
_LONGEST = 15  # bytes of one instruction
_EVEX, _VEX = (0x62,), (0xC4, 0xC5)


class Extension(NamedTuple):
    """One extension as far as a program has instructions of it."""

    name: str
    emulated: bool
    number: int
    address: int  # of the first
    mnemonic: str  # likewise


def census(parts: Iterable[tuple[int, bytes]]) -> list[Extension]:
    """What is in `parts`, pieces of code and their addresses; bytes that are no instruction are passed over."""
    counts: dict[tuple[int, int], int] = {}
    first: dict[tuple[int, int], tuple[int, bytes]] = {}
    reader = _Reader()
    for address, code in parts:
        for start in range(0, len(code), _CHUNK):
            # What begins in the last bytes of a chunk may end in the next, where it is looked at again.
            piece = code[start : start + _CHUNK + _LONGEST]
            for key, offset in reader.read(piece, _CHUNK):
                if key in counts:
                    counts[key] += 1
                else:
                    counts[key] = 1
                    first[key] = address + start + offset, piece[offset : offset + _LONGEST]
    found: dict[str, Extension] = {}
    for key, count in counts.items():
        where, raw = first[key]
        mnemonic, name, emulated = reader.classify(raw, where)
        known = found.get(name)
        if known is not None:
            count += known.number
            if known.address < where:
                where, mnemonic = known.address, known.mnemonic
        found[name] = Extension(name, emulated, count, where, mnemonic)
    return sorted(found.values(), key=lambda extension: (extension.emulated, -extension.number))


def lacking_instruction(code: bytes) -> str:
    """What the instruction at the start of `code` is called, with its extension, if it is one that the engine lacks;
    else empty."""
    mnemonic, name, emulated = _Reader().classify(code, 0)
    return "" if emulated else f"{mnemonic} ({name})"


class _Reader:
    """capstone's library, and what its records look like."""

    def __init__(self) -> None:
        import capstone

        self._lib = capstone._cs
        self._record = capstone._cs_insn
        self._md = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._md.skipdata = True
        self._detailed = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._detailed.detail = True
        self._skip = 0  # bytes at the start of the next chunk that belong to an instruction before it

    def read(self, code: bytes, limit: int) -> list[tuple[tuple[int, int], int]]:
        """The instructions that begin in the first `limit` bytes: capstone's number and first byte, and offset."""
        size = ctypes.sizeof(self._record)
        records = ctypes.POINTER(self._record)()
        start = self._skip if len(code) > self._skip else 0
        buffer = ctypes.create_string_buffer(code[start:], len(code) - start)
        count = self._lib.cs_disasm(
            self._md.csh, buffer, len(code) - start, ctypes.c_uint64(start), 0, ctypes.byref(records)
        )
        if not count:
            return []
        try:
            raw: Any = (ctypes.c_char * (count * size)).from_address(ctypes.addressof(records.contents))
            view = memoryview(raw).cast("B")
            numbers = view.cast("I")[:: size // 4].tolist()
            offsets = view.cast("Q")[self._record.address.offset // 8 :: size // 8].tolist()
        finally:
            self._lib.cs_free(records, count)
        offsets.append(len(code))
        inside = next((index for index, offset in enumerate(offsets) if offset >= limit), count)
        self._skip = max(0, offsets[inside] - limit) if len(code) > limit else 0
        return [
            ((number, code[offset]), offset)
            for number, offset in zip(numbers[:inside], offsets[:inside], strict=True)
            if number  # else it is data
        ]

    def classify(self, raw: bytes, address: int) -> tuple[str, str, bool]:
        """Mnemonic of the instruction that `raw` starts with, its extension, and whether the engine has that."""
        instruction = next(self._detailed.disasm(raw, address, 1), None)
        if instruction is None:
            return "", BASE, True
        mnemonic = str(instruction.mnemonic)
        groups = {str(self._detailed.group_name(group)) for group in instruction.groups}
        for group, (name, emulated) in GROUPS.items():
            if group in groups:
                return mnemonic, name, emulated
        if raw[0] in _EVEX:
            return mnemonic, "AVX-512", False
        if raw[0] in _VEX and mnemonic.startswith("v"):
            return mnemonic, "AVX", False
        if mnemonic.startswith("gf2p8"):
            return mnemonic, "GFNI", False
        return mnemonic, BASE, True

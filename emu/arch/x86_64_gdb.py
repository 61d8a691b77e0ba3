"""The registers as gdb's remote protocol numbers them: features org.gnu.gdb.i386.* of a target description.

Each is a part of struct user_regs_struct or of struct user_fpregs_struct (`x86_64_regset`), but for the tag
word, which FXSAVE keeps abridged.
"""

from __future__ import annotations

from typing import NamedTuple


class Register(NamedTuple):
    """`size` bytes for gdb; `kept` of them at `offset` of the general registers, or of the floating-point ones."""

    name: str
    size: int
    type: str
    floating: bool
    offset: int
    kept: int


def _general(name: str, index: int, type: str = "int64", size: int = 8) -> Register:
    return Register(name, size, type, False, 8 * index, size)


def _control(name: str, offset: int, kept: int) -> Register:
    return Register(name, 4, "int", True, offset, kept)


CORE = (
    *(_general(name, index) for name, index in (
        ("rax", 10), ("rbx", 5), ("rcx", 11), ("rdx", 12), ("rsi", 13), ("rdi", 14),
    )),
    _general("rbp", 4, "data_ptr"), _general("rsp", 19, "data_ptr"),
    *(_general(f"r{8 + n}", 9 - n) for n in range(4)), *(_general(f"r{12 + n}", 3 - n) for n in range(4)),
    _general("rip", 16, "code_ptr"), _general("eflags", 18, "i386_eflags", 4),
    *(_general(name, index, "int32", 4) for name, index in (
        ("cs", 17), ("ss", 20), ("ds", 23), ("es", 24), ("fs", 25), ("gs", 26),
    )),
    *(Register(f"st{n}", 10, "i387_ext", True, 32 + 16 * n, 10) for n in range(8)),
    _control("fctrl", 0, 2), _control("fstat", 2, 2), _control("ftag", 4, 1), _control("fiseg", 12, 0),
    _control("fioff", 8, 4), _control("foseg", 20, 0), _control("fooff", 16, 4), _control("fop", 6, 2),
)  # fmt: skip
SSE = (
    *(Register(f"xmm{n}", 16, "vec128", True, 160 + 16 * n, 16) for n in range(16)),
    Register("mxcsr", 4, "i386_mxcsr", True, 24, 4),
)
LINUX = (_general("orig_rax", 15),)
SEGMENTS = (_general("fs_base", 21), _general("gs_base", 22))
REGISTERS = (*CORE, *SSE, *LINUX, *SEGMENTS)
_FTAG = next(number for number, register in enumerate(REGISTERS) if register.name == "ftag")

PC, SP, BP = 16, 7, 6  # numbers of those that every stop reports

_FLAGS = "CF PF AF ZF SF TF IF DF OF NT RF VM AC VIF VIP ID"
_FLAG_BITS = (0, 2, 4, 6, 7, 8, 9, 10, 11, 14, 16, 17, 18, 19, 20, 21)
_MXCSR = "IE DE ZE OE UE PE DAZ IM DM ZM OM UM PM"
_MXCSR_BITS = tuple(range(13))


def target_description() -> str:
    """target.xml."""

    def bits(name: str, fields: str, places: tuple[int, ...]) -> str:
        lines = "".join(
            f'<field name="{field}" start="{at}" end="{at}"/>' for field, at in zip(fields.split(), places, strict=True)
        )
        return f'<flags id="{name}" size="4">{lines}</flags>'

    def feature(name: str, registers: tuple[Register, ...], types: str = "") -> str:
        lines = "".join(f'<reg name="{r.name}" bitsize="{8 * r.size}" type="{r.type}"/>' for r in registers)
        return f'<feature name="org.gnu.gdb.i386.{name}">{types}{lines}</feature>'

    vectors = "".join(
        f'<vector id="{name}" type="{of}" count="{count}"/>'
        for name, of, count in (
            ("v4f", "ieee_single", 4), ("v2d", "ieee_double", 2), ("v16i8", "int8", 16), ("v8i16", "int16", 8),
            ("v4i32", "int32", 4), ("v2i64", "int64", 2),
        )
    )  # fmt: skip
    fields = "".join(
        f'<field name="{name}" type="{of}"/>'
        for name, of in (
            ("v4_float", "v4f"), ("v2_double", "v2d"), ("v16_int8", "v16i8"), ("v8_int16", "v8i16"),
            ("v4_int32", "v4i32"), ("v2_int64", "v2i64"), ("uint128", "uint128"),
        )
    )  # fmt: skip
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
        "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>"
        + feature("core", CORE, bits("i386_eflags", _FLAGS, _FLAG_BITS))
        + feature("sse", SSE, f'{vectors}<union id="vec128">{fields}</union>{bits("i386_mxcsr", _MXCSR, _MXCSR_BITS)}')
        + feature("linux", LINUX)
        + feature("segments", SEGMENTS)
        + "</target>"
    )


def read(number: int, general: bytes, floating: bytes) -> bytes:
    """Register `number`, from the two sets."""
    register = REGISTERS[number]
    if number == _FTAG:
        return sum(3 << 2 * n for n in range(8) if not floating[4] >> n & 1).to_bytes(4, "little")
    area = floating if register.floating else general
    return area[register.offset : register.offset + register.kept].ljust(register.size, b"\0")


def write(number: int, value: bytes, general: bytearray, floating: bytearray) -> None:
    """Set register `number` in the two sets.  Raises ValueError for a value of another size."""
    register = REGISTERS[number]
    if len(value) != register.size:
        raise ValueError("not all of the register")
    if number == _FTAG:
        tags = int.from_bytes(value[:2], "little")
        floating[4] = sum(1 << n for n in range(8) if tags >> 2 * n & 3 != 3)
        return
    area = floating if register.floating else general
    area[register.offset : register.offset + register.kept] = value[: register.kept]

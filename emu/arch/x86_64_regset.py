"""Register sets as debuggers see them: what ptrace(2) moves and core files keep (Linux's ``arch/x86/kernel/ptrace.c``,
``<sys/user.h>``)."""

from __future__ import annotations

import errno
from struct import Struct
from typing import Any

from emu.arch.x86_64 import FPU, TASK_SIZE, USER_CS, USER_SS, load_fpu, save_fpu
from emu.engine import RegisterSet

GENERAL = RegisterSet(
    (
        "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
        "rip", "rflags", "rsp", "fs_base", "gs_base",
    )
)  # fmt: skip
FLOATING = FPU

USER_REGS = Struct("<27Q")  # struct user_regs_struct
XCR0 = 3  # the components of the XSAVE area: x87 and SSE, all this processor has

_FXSAVE_USED, _FXSAVE_SIZE = 464, 512  # the rest is for software: the kernel's mark of what the area holds
_XSAVE_HEADER = 64
_XSAVE_WORDS = Struct("<QQ")


def user_regs(values: tuple[int, ...], call: int) -> bytes:
    """struct user_regs_struct from GENERAL.  `call` is orig_rax: the number of the system call in progress, or -1."""
    pc, flags, sp, fs_base, gs_base = values[15:]
    return USER_REGS.pack(
        *values[:15], call & (1 << 64) - 1, pc, USER_CS, flags, sp, USER_SS, fs_base, gs_base, 0, 0, 0, 0
    )


def fpregs(values: tuple[Any, ...]) -> bytes:
    """struct user_fpregs_struct from FLOATING: the area of FXSAVE."""
    return save_fpu(*values)[:_FXSAVE_USED].ljust(_FXSAVE_SIZE, b"\0")


def xstate(values: tuple[Any, ...]) -> bytes:
    """The area of XSAVE from FLOATING, with XCR0 where Linux puts it for whoever reads it."""
    area = save_fpu(*values)[:_FXSAVE_USED] + XCR0.to_bytes(8, "little")
    return area.ljust(_FXSAVE_SIZE, b"\0") + XCR0.to_bytes(_XSAVE_HEADER, "little")


# struct user: USER_REGS, then what core files of old held, then the debug registers
USER_SIZE, USER_DEBUG = 928, 848
AUDIT_ARCH = 0xC000_003E
_SEGMENTS = {17: USER_CS, 20: USER_SS, 23: 0, 24: 0, 25: 0, 26: 0}  # what they hold, and so may be set to
_ORIG, _FLAGS, _FS_BASE, _GS_BASE = 15, 18, 21, 22
_FLAG_MASK = 0x54FD5  # FLAG_MASK: carry, parity, adjust, zero, sign, trap, direction, overflow, NT, RF, AC
_MXCSR_MASK = 0xFFFF


def set_user_regs(words: tuple[int, ...], old: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """GENERAL and orig_rax from the words of struct user_regs_struct; `old` is GENERAL as it is.  Raises OSError(EIO)
    for what a program cannot have there (putreg)."""
    for at, value in _SEGMENTS.items():
        if words[at] & 0xFFFF != value:
            raise OSError(errno.EIO, "no such segment")
    if words[_FS_BASE] >= TASK_SIZE or words[_GS_BASE] >= TASK_SIZE:
        raise OSError(errno.EIO, "not the guest's half of the address space")
    flags = old[16] & ~_FLAG_MASK | words[_FLAGS] & _FLAG_MASK
    call = words[_ORIG] - (words[_ORIG] >> 63 << 64)
    return (*words[:_ORIG], words[16], flags, words[19], words[_FS_BASE], words[_GS_BASE]), call


def set_fpregs(area: bytes) -> tuple[Any, ...]:
    """FLOATING from struct user_fpregs_struct.  Raises OSError(EINVAL) for reserved bits."""
    return _floating(area[:_FXSAVE_USED].ljust(_FXSAVE_SIZE, b"\0"), XCR0)


def set_xstate(area: bytes) -> tuple[Any, ...]:
    """FLOATING from an area of XSAVE.  Raises OSError(EINVAL) for reserved bits and components that are not there."""
    features, compacted = _XSAVE_WORDS.unpack_from(area, _FXSAVE_SIZE)
    if features & ~XCR0 or compacted or any(area[_FXSAVE_SIZE + 16 : _FXSAVE_SIZE + _XSAVE_HEADER]):
        raise OSError(errno.EINVAL, "no such components")
    return _floating(area, features)


def _floating(area: bytes, features: int) -> tuple[Any, ...]:
    if int.from_bytes(area[24:28], "little") & ~_MXCSR_MASK:
        raise OSError(errno.EINVAL, "reserved bits in MXCSR")
    return load_fpu(area, features)


# Notes of a core file besides NT_PRSTATUS, by the name and number of <linux/elf.h>: NT_PRFPREG, NT_X86_XSTATE
FLOATING_NOTES = ((b"CORE", 2, fpregs), (b"LINUX", 0x202, xstate))

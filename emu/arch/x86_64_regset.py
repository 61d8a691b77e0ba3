"""Register sets as debuggers see them: what ptrace(2) moves and core files keep (Linux's ``arch/x86/kernel/ptrace.c``,
``<sys/user.h>``)."""

from __future__ import annotations

from struct import Struct
from typing import Any

from emu.arch.x86_64 import FPU, USER_CS, USER_SS, save_fpu
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


# Notes of a core file besides NT_PRSTATUS, by the name and number of <linux/elf.h>: NT_PRFPREG, NT_X86_XSTATE
FLOATING_NOTES = ((b"CORE", 2, fpregs), (b"LINUX", 0x202, xstate))

"""The x86-64 guest: registers, system-call ABI, structure layouts, faults and signal frames.

Everything in lxrun that knows it is emulating x86-64 is in this file and its neighbours: `x86_64_calls` (the
call numbers), `x86_64_cpuinfo`, `x86_64_regset`, `x86_64_vdso`.  Sources: the System V ABI for AMD64, the Intel
SDM, the kernel's uapi headers for x86.
"""

from __future__ import annotations

import errno
import os
from struct import Struct
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from emu.engine import Exit, RegisterSet

if TYPE_CHECKING:
    from emu.arch.x86_64_cpuinfo import Identity
    from emu.arch.x86_64_debugreg import DebugRegisters
    from emu.engine import Cpu

MACHINE = "x86_64"  # uname -m
PLATFORM = b"x86_64"  # AT_PLATFORM
ELF_MACHINE = 62  # EM_X86_64
ISA_NEEDED = 0xC0008002  # GNU_PROPERTY_X86_ISA_1_NEEDED
ISA_LEVELS = (8, "x86-64-v4"), (4, "x86-64-v3"), (2, "x86-64-v2"), (1, "x86-64")  # its bits
ISA_EMULATED = 1 | 2  # v3 is AVX2
ELF_CLASS = 64
LONGEST_INSTRUCTION = 15  # bytes

# Registers

GPRS = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rip", "rflags", "fs_base", "gs_base",
)  # fmt: skip
PC, SP, RESULT, FLAGS = "rip", "rsp", "rax", "rflags"
_ENOSYS = 38  # Linux's
BREAKPOINT = b"\xcc"  # INT3, which leaves the program counter behind it
STEP_FLAG = 1 << 8  # TF: a debug exception after each instruction
CALL_REGISTERS = ("rax", "rdi", "rsi", "rdx", "r10", "r8", "r9")  # number, then arguments
AUDIT_ARCH = 0xC000003E  # AUDIT_ARCH_X86_64
SYSCALL = b"\x0f\x05"  # the instruction
SYSCALL_SIZE = len(SYSCALL)

# What the engine library calls them: numbers of unicorn/x86.h.
UNICORN = {
    "rax": 35, "rbp": 36, "rbx": 37, "rcx": 38, "rdi": 39, "rdx": 40, "rip": 41, "rsi": 43, "rsp": 44,
    "r8": 106, "r9": 107, "r10": 108, "r11": 109, "r12": 110, "r13": 111, "r14": 112, "r15": 113,
    "rflags": 253, "fs_base": 250, "gs_base": 251, "cs": 11, "ss": 49, "cr0": 50, "cr4": 54, "msr": 248,
    "mxcsr": 249, "fpcw": 246, "fpsw": 31, "fptag": 247, "fip": 254, "fcs": 255, "fdp": 256, "fds": 257, "fop": 258,
    **{f"fp{i}": 82 + i for i in range(8)},
    **{f"xmm{i}": 122 + i for i in range(16)},
}  # fmt: skip
UNICORN_MACHINE = (4, 8)  # UC_ARCH_X86, UC_MODE_64
UNICORN_MODEL = 35  # EPYC: the fullest model without ERMS, whose REP MOVSB the engine does byte by byte
UNICORN_CALL = 699  # the SYSCALL instruction
UNICORN_COUNTER = "cpu_get_ticks_x86_64"  # the function behind RDTSC
UNICORN_STATE, UNICORN_TLB_MODES = "qemu_get_cpu_x86_64", 3  # the function that gives the CPU's state; NB_MMU_MODES
UNICORN_PORT_READ, UNICORN_PORT_WRITE = (218,), (500,)  # IN, OUT

USER_CS, USER_SS = 0x33, 0x2B
TASK_SIZE = 0x7FFF_FFFF_F000  # first address beyond user space
MMAP_BASE = 0x7FFF_F7FF_F000  # top of the mmap area without randomisation and with an 8 MiB stack limit
STACK_TOP = 0x7FFF_FFFF_F000
PIE_BASE = 0x5555_5555_4000

# The vDSO's data and image, as large as in Linux 6.12, so that everything below is where it is there.  Of the
# data only the first page is ours; where there are no paravirtual clocks and no time namespaces, touching the
# others is SIGBUS there too.
VVAR_PAGES, VDSO_PAGES = 4, 2

HWCAP2 = 2  # FSGSBASE instructions are usable: HWCAP2_FSGSBASE
MINSIGSTKSZ = 2048 + 576


VECTOR_DIVIDE, VECTOR_DEBUG, VECTOR_BREAKPOINT, VECTOR_OVERFLOW = 0, 1, 3, 4
VECTOR_ILLEGAL, VECTOR_PROTECTION, VECTOR_X87, VECTOR_ALIGNMENT, VECTOR_SIMD = 6, 13, 16, 17, 19

INCREMENT = (b"\x48\xff\x03", "rbx")  # INC QWORD [RBX]
PRIVILEGED = b"\xfa"  # CLI: a general protection fault in user mode

_MSR_EFER, _MSR_STAR = 0xC0000080, 0xC0000081
_MSR = Struct("<I4xQ")


def enter_user_mode(cpu: Cpu, entry: int) -> bool:
    """Leave ring 0 by SYSRET, to an address where nothing is mapped; True if the fault there was seen.

    An engine starts at ring 0, where a guest could execute anything.
    """
    cr0, cr4 = cpu.read(("cr0", "cr4"))
    # CR0.NE and MP: x87 errors are exceptions; CR4: FSGSBASE, OSXSAVE, OSFXSR, OSXMMEXCPT.
    cpu.write({"cr0": cr0 | 1 << 5 | 1 << 1, "cr4": cr4 | 1 << 16 | 1 << 18 | 1 << 9 | 1 << 10})
    cpu.write_wide("msr", _MSR.pack(_MSR_EFER, 0xD01))  # NXE, LMA, LME, SCE
    cpu.write_wide("msr", _MSR.pack(_MSR_STAR, 0x23 << 48 | 0x10 << 32))
    reached = cpu.execute(b"\x48\x0f\x07", {"rcx": entry, "r11": 0x202})
    return reached is Exit.PAGE_FAULT


def cpuid(cpu: Cpu, leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
    """EAX, EBX, ECX, EDX of CPUID.  Only while no guest program's registers are loaded."""
    cpu.execute(b"\x0f\xa2" + PRIVILEGED, {"rax": leaf, "rcx": subleaf})
    eax, ebx, ecx, edx = (value & 0xFFFFFFFF for value in cpu.read(("rax", "rbx", "rcx", "rdx")))
    return eax, ebx, ecx, edx


CLOCKSOURCE = b"tsc"  # what Linux calls the counter that RDTSC reads


def cycle_counter(cpu: Cpu) -> int:
    """RDTSC.  Only while no guest program's registers are loaded."""
    cpu.execute(b"\x0f\x31" + PRIVILEGED, {})
    low, high = cpu.read(("rax", "rdx"))
    return high << 32 | low


def vdso_image() -> bytes:
    """The image of the vDSO, made by `x86_64_vdso`."""
    with open(os.path.join(os.path.dirname(__file__), "x86_64_vdso.elf"), "rb", buffering=0) as file:
        return file.read()


def reset_fp(cpu: Cpu) -> None:
    """The floating-point state a new program starts with (fpu__init_fpstate)."""
    cpu.write_set(FPU, (*_FPU_INITIAL, _NO_FP))


def child_registers(stack: int, tls: int | None) -> dict[str, int]:
    """What clone(2) changes in the new task's registers (copy_thread): it returns 0, on its own stack and
    thread area if it was given them."""
    registers = {RESULT: 0}
    if stack:
        registers[SP] = stack
    if tls is not None:
        registers["fs_base"] = tls
    return registers


def isa_level(needed: int) -> str:
    """The highest of the levels in an ISA_NEEDED word; empty if there is none."""
    return next((name for bit, name in ISA_LEVELS if needed & bit), "")


def isa_lacking(needed: int) -> str:
    """Likewise of those that the engine does not have."""
    return isa_level(needed & ~ISA_EMULATED)


def canonical(address: int) -> bool:
    """Whether the processor accepts an address at all: others are #GP, not #PF."""
    return not 0x0000_8000_0000_0000 <= address < 0xFFFF_8000_0000_0000


def start_registers(entry: int, sp: int) -> dict[str, int]:
    """The register file at the first instruction of a new program (ELF_PLAT_INIT)."""
    registers = dict.fromkeys(GPRS, 0)
    registers.update(rip=entry, rsp=sp, rflags=0x202)
    return registers


def identify(cpu: Cpu) -> Identity:
    """What /proc/cpuinfo and /sys tell about the processor.  The time stamp counter is measured."""
    from time import perf_counter_ns, sleep

    from emu.arch.x86_64_cpuinfo import Identity

    def ticks() -> int:
        cpu.execute(b"\x0f\x31" + PRIVILEGED, {})  # RDTSC
        low, high = cpu.read(("rax", "rdx"))
        return (high & 0xFFFFFFFF) << 32 | low & 0xFFFFFFFF

    ticks()  # the first time it has to be translated
    start, tsc = perf_counter_ns(), ticks()
    sleep(0.005)
    end, later = perf_counter_ns(), ticks()
    return Identity(lambda leaf, subleaf: cpuid(cpu, leaf, subleaf), (later - tsc) * 1_000_000 // (end - start))


def regset() -> ModuleType:
    """The register sets that debuggers see, made by `x86_64_regset`."""
    from emu.arch import x86_64_regset

    return x86_64_regset


def debug_registers() -> DebugRegisters:
    """A thread's, made when a tracer sets the first."""
    from emu.arch.x86_64_debugreg import DebugRegisters

    return DebugRegisters()


def refuse_unknown(library: Any) -> None:
    """Have the engine's library refuse instructions that it would take for others."""
    from emu.arch.x86_64_vex import refuse_avx

    refuse_avx(library)


def isa() -> ModuleType:
    """Extensions of the instruction set: a module of its own, for capstone's sake."""
    from emu.arch import x86_64_isa

    return x86_64_isa


def gdb() -> ModuleType:
    """The registers in the order of gdb's remote protocol, made by `x86_64_gdb`."""
    from emu.arch import x86_64_gdb

    return x86_64_gdb


def hwcap(cpu: Cpu) -> int:
    """AT_HWCAP: CPUID leaf 1, EDX, of the emulated processor."""
    return cpuid(cpu, 1)[3]


_ARCH_SET_GS, _ARCH_SET_FS, _ARCH_GET_FS, _ARCH_GET_GS = 0x1001, 0x1002, 0x1003, 0x1004
_ARCH_GET_CPUID, _ARCH_SET_CPUID = 0x1011, 0x1012


def arch_prctl(cpu: Cpu, memory: SignalMemory, code: int, argument: int) -> int:
    """arch_prctl(2).  CPUID cannot be made to fault, which a processor without that feature says so."""
    if code in (_ARCH_SET_FS, _ARCH_SET_GS):
        if argument >= TASK_SIZE:
            return -errno.EPERM
        cpu.write({"fs_base" if code == _ARCH_SET_FS else "gs_base": argument})
        return 0
    if code in (_ARCH_GET_FS, _ARCH_GET_GS):
        base = cpu.read(("fs_base" if code == _ARCH_GET_FS else "gs_base",))[0]
        memory.write(argument, base.to_bytes(8, "little"))
        return 0
    if code == _ARCH_GET_CPUID:
        return 1
    if code == _ARCH_SET_CPUID:
        return -errno.ENODEV
    return -errno.EINVAL


# Structure layouts that differ between architectures

STAT = Struct("<QQQIIIIQqqqqQqQqQ24x")


def pack_stat(st: object) -> bytes:
    """struct stat of asm/stat.h from a StatLike."""
    s = st  # attribute access on a local is what this hot function consists of
    a, m, c = s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns  # type: ignore[attr-defined]
    return STAT.pack(
        s.st_dev, s.st_ino, s.st_nlink, s.st_mode, s.st_uid, s.st_gid, 0, s.st_rdev, s.st_size,  # type: ignore[attr-defined]
        s.st_blksize, s.st_blocks,  # type: ignore[attr-defined]
        a // 1_000_000_000, a % 1_000_000_000, m // 1_000_000_000, m % 1_000_000_000,
        c // 1_000_000_000, c % 1_000_000_000,
    )  # fmt: skip


# Signals: frames, system-call restart, faults (arch/x86/kernel/signal_64.c, fpu/signal.c, traps.c)

RED_ZONE = 128
RESTART_SYSCALL = 219
SIGNAL_STACK_MINIMUM = 2048  # MINSIGSTKSZ of <asm/signal.h>: what sigaltstack(2) insists on

# struct rt_sigframe: return address, ucontext (flags, link, stack, 256 bytes of sigcontext, mask), siginfo
_FRAME_HEAD = Struct("<QQQQI4xQ")  # pretcode, uc_flags, uc_link, ss_sp, ss_flags, ss_size
_SIGCONTEXT = Struct("<8Q 7QQ QQ HHHH QQQQ Q 64x")
_FRAME_TAIL = Struct("<HHHHQQQQQ64xQ")  # behind the registers, all but siginfo: cs, gs, fs, ss, err, ...
_UCONTEXT, _STACK, _MCONTEXT, _SIGMASK, _SIGINFO, _FRAME_SIZE = 8, 24, 48, 304, 312, 440
_CONTEXT_GPRS = (
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp",
    "rip", "rflags",
)  # fmt: skip
_UC_FLAGS = 1 | 2 | 4  # UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS

_CF_TO_OF, _RF, _AC, _TF, _DF = 0xCD5, 1 << 16, 1 << 18, 1 << 8, 1 << 10
_USER_FLAGS = _CF_TO_OF | _TF | _RF | _AC  # FIX_EFLAGS: what a frame may change

# Floating point: the XSAVE layout with its x87 and SSE components, all this processor has
_FX_SIZE, _XSAVE_SIZE = 512, 576
_XFEATURES = 3
_FX_HEAD = Struct("<HHBxHQQII")  # FCW, FSW, abridged tags, FOP, FIP, FDP, MXCSR, MXCSR_MASK
_SW_RESERVED = Struct("<IIQI28x")  # magic1, size with magic2, features, size
_SW_OFFSET = 464
_MAGIC1, _MAGIC2 = 0x46505853, 0x46505845
_MXCSR_MASK = 0xFFFF
_FPU_CONTROL = ("fpcw", "fpsw", "fptag", "fop", "fip", "fdp", "mxcsr")
_X87 = tuple(f"fp{i}" for i in range(8))  # as they are numbered, not from the top of the stack
_SSE = tuple(f"xmm{i}" for i in range(16))
_NO_X87, _NO_SSE = bytes(16 * len(_X87)), bytes(16 * len(_SSE))
_NO_FP = _NO_X87 + _NO_SSE
_X87_BITS = int.from_bytes((b"\xff" * 10 + bytes(6)) * len(_X87), "little")  # of 16 bytes each holds 10
_FPU_INITIAL = (0x37F, 0, 0xFFFF, 0, 0, 0, 0x1F80)
FPU = RegisterSet(_FPU_CONTROL, _X87 + _SSE)
_FPU_MODES = RegisterSet(_FPU_CONTROL)
_HANDLER_REGISTERS = RegisterSet(("rip", "rsp", "rdi", "rsi", "rdx", "rax", "rflags"), _SSE)
FRAME_REGISTERS = RegisterSet(_CONTEXT_GPRS + _FPU_CONTROL, _X87 + _SSE)  # what a frame saves, in its order
_RETURN_REGISTERS = RegisterSet(("rsp", "rflags"))
FRAME_POINTERS = Struct("<120xQQ")  # of it: stack pointer and program counter
_FLAGS_AT, _FPU_AT, _FP_AT = 17 * 8, 18 * 8, 25 * 8  # bytes into it: flags, FPU_CONTROL, floating-point registers
_WORD, _FPU_WORDS = Struct("<Q"), Struct("<7Q")
_FPU_INITIAL_RAW = _FPU_WORDS.pack(*_FPU_INITIAL)
_FX_INITIAL = _FX_HEAD.pack(0x37F, 0, 0, 0, 0, 0, 0x1F80, _MXCSR_MASK)
_XSAVE_TAIL = b"".join(
    (
        b"\0" * (_SW_OFFSET - 416),
        _SW_RESERVED.pack(_MAGIC1, _XSAVE_SIZE + 4, _XFEATURES, _XSAVE_SIZE),
        _XFEATURES.to_bytes(8, "little") + b"\0" * 56,  # the XSAVE header
        _MAGIC2.to_bytes(4, "little"),
    )
)

EPOLL_EVENT = Struct("<IQ")  # struct epoll_event: events, data; packed on this machine alone
SIGACTION = Struct("<QQQQ")  # struct sigaction as the system call has it: handler, flags, restorer, mask

SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV = 4, 5, 7, 8, 11
SI_KERNEL = 0x80
VECTOR_PAGE_FAULT = 14
# Processor exception -> (signal, si_code, whether si_addr is the instruction's address)
_TRAPS = {
    0: (SIGFPE, 1, True),  # #DE: FPE_INTDIV
    1: (SIGTRAP, 2, True),  # #DB: TRAP_TRACE
    3: (SIGTRAP, SI_KERNEL, False),  # int3
    4: (SIGSEGV, SI_KERNEL, False),  # #OF
    5: (SIGSEGV, SI_KERNEL, False),  # #BR
    6: (SIGILL, 2, True),  # #UD: ILL_ILLOPN
    10: (SIGSEGV, SI_KERNEL, False),  # #TS
    11: (SIGBUS, SI_KERNEL, False),  # #NP
    12: (SIGBUS, SI_KERNEL, False),  # #SS
    13: (SIGSEGV, SI_KERNEL, False),  # #GP
    17: (SIGBUS, 1, False),  # #AC: BUS_ADRALN
}
# Unmasked floating-point exceptions by status bit: FPE_FLTINV, FLTUND (denormal), FLTDIV, FLTOVF, FLTUND, FLTRES
_FPE_CODES = ((0x01, 7), (0x04, 3), (0x08, 4), (0x12, 5), (0x20, 6))

Trap = tuple[int, int, int]
"""Trap number, error code and CR2 as sigcontext shows them after a fault."""
Pushed = tuple[int, int, bytes, bytes, bytes, int, tuple[int, int, int]]
"""A signal's frame: where it is and its size, how it begins and ends, and what that was made of: FRAME_REGISTERS, mask,
alternate stack."""


class SignalMemory(Protocol):
    """The guest memory a frame lives in.  Both raise OSError(EFAULT)."""

    def read(self, addr: int, size: int, /) -> bytes: ...

    def write(self, addr: int, data: bytes, /) -> None: ...


def rewind(pc: int, number: int, _first: int) -> dict[str, int]:
    """The registers that make the call at `pc` be made (again); the arguments are still in place."""
    return {"rip": pc, "rax": number}


def enter_call(cpu: Cpu, *, step: bool) -> None:
    """What SYSCALL and the kernel's entry leave in registers that the call itself has no use for, for whoever looks
    at them before it is made.  A step does not go on into the kernel.  From within the trap, so RIP is behind."""
    pc, flags = cpu.read(("rip", "rflags"))
    late = flags & ~STEP_FLAG if step else flags
    cpu.write({"rax": -_ENOSYS, "rcx": pc + SYSCALL_SIZE, "r11": flags, "rflags": late})


_PREFIXES = frozenset((*b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", *range(0x40, 0x50)))


def sets_flags(code: bytes) -> bool:
    """Whether the instruction is one that loads the flags, POPF or IRET, and so perhaps sets the step flag itself."""
    opcode = next((byte for byte in code if byte not in _PREFIXES), 0)
    return opcode in (0x9D, 0xCF)


def page_fault_trap(address: int, access: int, present: bool) -> Trap:
    """What a page fault leaves in the task: #PF's error code has bits for a protection fault, write,
    user mode and instruction fetch."""
    present = present or address >= TASK_SIZE  # as Linux says of its own half, lest it be probed
    return VECTOR_PAGE_FAULT, int(present) | (2 if access & 2 else 0) | 4 | (16 if access & 4 else 0), address


def trap_signal(cpu: Cpu, vector: int, previous: Trap | None) -> tuple[int, int, int, Trap]:
    """Signal, si_code, si_addr and what the task remembers for a processor exception at RIP."""
    cr2 = previous[2] if previous else 0
    error = 0
    if vector in (VECTOR_X87, VECTOR_SIMD):
        control, status, mxcsr = cpu.read(("fpcw", "fpsw", "mxcsr"))
        raised = status & ~control if vector == VECTOR_X87 else mxcsr & ~(mxcsr >> 7)
        code = next((code for bits, code in _FPE_CODES if raised & bits), 0)
        signo, from_pc = SIGFPE, True
    else:
        if vector not in _TRAPS:  # `int n`: a gate that user mode may not use
            vector, error = VECTOR_PROTECTION, vector * 8 + 2
            cpu.write({PC: cpu.read((PC,))[0] - 2})  # a fault, where the engine saw a trap
        signo, code, from_pc = _TRAPS[vector]
    return signo, code, cpu.read((PC,))[0] if from_pc else 0, (vector, error, cr2)


def frame_address(top: int) -> int:
    """Where the frame of a handler goes below `top`: the FP state on 64 bytes, then the frame, such
    that the handler is entered with the alignment of a called function."""
    fpstate = (top - _XSAVE_SIZE - 4) & ~63
    return ((fpstate - _FRAME_SIZE) & ~15) - 8


def push_frame(
    cpu: Cpu,
    memory: SignalMemory,
    frame: int,
    registers: bytes,
    signo: int,
    handler: int,
    restorer: int | None,
    siginfo: bytes | None,
    mask: int,
    altstack: tuple[int, int, int],
    trap: Trap | None,
) -> Pushed:
    """Write struct rt_sigframe at `frame` and set the registers for the handler (x64_setup_rt_frame).

    `registers` are FRAME_REGISTERS as `read_raw` gives them, `altstack` is (base, flags, size).  Raises
    OSError(EFAULT) where the stack cannot be written, or without a restorer, which x86-64 needs.
    """
    if restorer is None or not 0 <= frame < TASK_SIZE:
        raise OSError(errno.EFAULT, "no restorer or no stack")
    number, error, cr2 = trap or (0, 0, 0)
    fpstate = (frame + 8 + _FRAME_SIZE + 63) & ~63
    base, flags, size = altstack
    head = (
        _FRAME_HEAD.pack(restorer, _UC_FLAGS, 0, base, flags, size)
        + registers[:_FPU_AT]  # which Linux has in the same order
        + _FRAME_TAIL.pack(USER_CS, 0, 0, USER_SS, error, number, mask, cr2, fpstate, mask)
    )
    usual = registers[_FPU_AT:_FP_AT] == _FPU_INITIAL_RAW
    if usual:
        image = _FX_INITIAL + registers[_FP_AT:] + _XSAVE_TAIL
    else:
        fcw, fsw, tags, fop, fip, fdp, mxcsr = _FPU_WORDS.unpack_from(registers, _FPU_AT)
        image = save_fpu(fcw, fsw, tags, fop, fip, fdp, mxcsr, registers[_FP_AT:])
    if siginfo is None:  # then it keeps whatever the stack held
        memory.write(fpstate, image)
        memory.write(frame, head)
    else:
        memory.write(frame, (head + siginfo).ljust(fpstate - frame, b"\0") + image)
    flags = _WORD.unpack_from(registers, _FLAGS_AT)[0] & ~(_DF | _RF | _TF)
    if not usual:
        cpu.write_set(_FPU_MODES, _FPU_INITIAL)
    arguments = handler, frame, signo, frame + _SIGINFO, frame + _UCONTEXT, 0, flags, _NO_SSE
    cpu.write_set(_HANDLER_REGISTERS, arguments)
    return frame, fpstate + len(image) - frame, head, image, registers, mask, altstack


def pop_frame(
    cpu: Cpu, memory: SignalMemory, pushed: Pushed | None
) -> tuple[int, tuple[int, int, int], int, dict[str, int] | None]:
    """rt_sigreturn(2): load the registers from the frame whose return address has just been popped.  The
    mask, the alternate stack (base, flags, size), the stack pointer so far, and what is still to be set when the engine
    has been left: the flag for single steps.  Raises OSError(EFAULT) for a bad frame.

    `pushed` is the last frame written: one that nobody has changed need not be understood again.
    """
    sp, current = cpu.read_set(_RETURN_REGISTERS)
    if pushed is not None and pushed[0] == sp - 8:
        frame, length, head, image, registers, mask, altstack = pushed
        try:
            data = memory.read(frame, length)
        except OSError:
            data = b""
        flags = _WORD.unpack_from(registers, _FLAGS_AT)[0]
        if data.startswith(head) and data.endswith(image) and not ((current ^ flags) & ~_USER_FLAGS or flags & _TF):
            cpu.write_raw(FRAME_REGISTERS, registers)
            return mask, altstack, sp, None
    usual = (sp + _FRAME_SIZE + 63) & -64  # where the FP state is, unless somebody has moved it
    try:
        data = memory.read(sp - 8, usual + _XSAVE_SIZE + 4 - (sp - 8))
    except OSError:
        data = memory.read(sp - 8, _SIGINFO)
    values = _SIGCONTEXT.unpack_from(data, _MCONTEXT)
    cs, fpstate = values[18], values[26]
    if cs | 3 != USER_CS or values[16] >= TASK_SIZE:
        raise OSError(errno.EFAULT, "not a user-mode context")
    if fpstate == usual and len(data) > _SIGINFO:
        state: bytes | None = data[usual - (sp - 8) :]
    else:
        state = memory.read(fpstate, _XSAVE_SIZE) if fpstate else None
    if state is not None and _FX_HEAD.unpack_from(state)[6] & ~_MXCSR_MASK:
        raise OSError(errno.EFAULT, "reserved bits in MXCSR")
    has_header = state is not None and _has_header(state, memory, fpstate)
    rflags = (current & ~_USER_FLAGS) | (values[17] & _USER_FLAGS)
    features = int.from_bytes(state[_FX_SIZE : _FX_SIZE + 8], "little") if state and has_header else _XFEATURES
    late = {FLAGS: rflags} if rflags & _TF else None
    cpu.write_set(FRAME_REGISTERS, (*values[:17], rflags & ~_TF, *load_fpu(state, features)))
    _, _, _, base, flags, size = _FRAME_HEAD.unpack_from(data)
    return int.from_bytes(data[_SIGMASK:_SIGINFO], "little"), (base, flags, size), sp, late


def _has_header(image: bytes, memory: SignalMemory, fpstate: int) -> bool:
    """Whether the magic numbers vouch for an XSAVE header; without them only FXSAVE's part counts."""
    magic, extended, _features, size = _SW_RESERVED.unpack_from(image, _SW_OFFSET)
    if magic != _MAGIC1 or not _XSAVE_SIZE <= size <= extended - 4:
        return False
    end = image[size : size + 4]
    return (end if len(end) == 4 else memory.read(fpstate + size, 4)) == _MAGIC2.to_bytes(4, "little")


def save_fpu(fcw: int, fsw: int, tags: int, fop: int, fip: int, fdp: int, mxcsr: int, registers: bytes) -> bytes:
    """The FP state as XSAVE writes it, with the marks the kernel adds for user space.  The arguments are FPU."""
    abridged = sum(1 << i for i in range(8) if tags >> 2 * i & 3 != 3) if tags & 0xFFFF != 0xFFFF else 0
    head = _FX_HEAD.pack(fcw & 0xFFFF, fsw & 0xFFFF, abridged, fop & 0x7FF, fip, fdp, mxcsr & 0xFFFF_FFFF, _MXCSR_MASK)
    top = 16 * (fsw >> 11 & 7)
    if top:  # XSAVE begins with ST(0)
        registers = registers[top:128] + registers[:top] + registers[128:]
    return head + registers + _XSAVE_TAIL


def load_fpu(image: bytes | None, features: int) -> tuple[Any, ...]:
    """XRSTOR: FPU.  Components that `features` leaves out get their initial state, without an image all."""
    if image is None:
        return (*_FPU_INITIAL, _NO_FP)
    fcw, fsw, abridged, fop, fip, fdp, mxcsr, _ = _FX_HEAD.unpack_from(image)
    sse = image[160:416] if features & 2 else _NO_SSE
    if not features & 1:
        return (*_FPU_INITIAL[:-1], mxcsr, _NO_X87 + sse)
    if not abridged and image[32:160] == _NO_X87:
        return fcw, fsw, 0xFFFF, fop, fip, fdp, mxcsr, _NO_X87 + sse
    tags = sum(3 << 2 * i for i in range(8) if not abridged >> i & 1)
    bottom = 160 - 16 * (fsw >> 11 & 7)
    x87 = int.from_bytes(image[bottom:160] + image[32:bottom], "little") & _X87_BITS
    return fcw, fsw, tags, fop, fip, fdp, mxcsr, x87.to_bytes(len(_NO_X87), "little") + sse

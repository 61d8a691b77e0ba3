"""Classic BPF programs, as seccomp(2) takes them: ``bpf_check_classic`` ``seccomp_check_filter``, and what runs them.

A program is a list of instructions with an accumulator A, an index X and sixteen words of memory; it jumps only
forward, so it always ends.  What it looks at is ``struct seccomp_data``, sixteen words of 32 bits.

Most programs look at the number of a call and decide by that alone, or then look at an argument.  So `run` may be
given words it does not know yet: it stops before the instruction that needs one, and goes on from there when they are
known.  What comes before is done once for each number.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

BPF_MAXINSNS = 4096
BPF_MEMWORDS = 16
DATA_SIZE = 64  # sizeof(struct seccomp_data)

SOCK_FILTER = Struct("<HBBI")  # code, jt, jf, k
SOCK_FPROG = Struct("<H6xQ")  # len, filter

# Instruction codes: class, size or operation, and mode or source
BPF_LD, BPF_LDX, BPF_ST, BPF_STX, BPF_ALU, BPF_JMP, BPF_RET, BPF_MISC = range(8)
BPF_IMM, BPF_ABS, BPF_MEM, BPF_LEN = 0x00, 0x20, 0x60, 0x80
BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_NEG, BPF_MOD, BPF_XOR = range(0, 0xB0, 0x10)
BPF_JA, BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET = range(0, 0x50, 0x10)
BPF_K, BPF_X, BPF_A = 0x00, 0x08, 0x10
BPF_TXA = 0x80

LD_ABS, LD_LEN, LDX_LEN = BPF_LD | BPF_ABS, BPF_LD | BPF_LEN, BPF_LDX | BPF_LEN
LD_IMM, LDX_IMM, LD_MEM, LDX_MEM = BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM, BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM
RET_K, RET_A, TAX, TXA, JA = BPF_RET | BPF_K, BPF_RET | BPF_A, BPF_MISC, BPF_MISC | BPF_TXA, BPF_JMP | BPF_JA
_ALU = [BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_XOR]
_CONDITIONS = [BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET]
# What a seccomp filter may hold: no loads of bytes or of network packets, and no remainders
_ALLOWED = frozenset(
    [LD_ABS, LD_LEN, LDX_LEN, LD_IMM, LDX_IMM, LD_MEM, LDX_MEM, BPF_ST, BPF_STX, RET_K, RET_A, TAX, TXA, JA]
    + [BPF_ALU | BPF_NEG]
    + [BPF_ALU | operation | source for operation in _ALU for source in (BPF_K, BPF_X)]
    + [BPF_JMP | condition | source for condition in _CONDITIONS for source in (BPF_K, BPF_X)]
)
_RETURNS = (RET_K, RET_A)

_WORD = 0xFFFF_FFFF
Instruction = tuple[int, int, int, int]
Words = Sequence[int | None]


class State(NamedTuple):
    """Where a program stands: the next instruction, X and the memory.  A is about to be loaded."""

    pc: int
    x: int
    memory: tuple[int, ...]


START = State(0, 0, (0,) * BPF_MEMWORDS)


def _invalid(text: str) -> OSError:
    return OSError(errno.EINVAL, text)


class Program:
    """A program that was found to be sound.  Raises OSError(EINVAL) for one that is not."""

    __slots__ = ("code", "length", "uses_ip")

    def __init__(self, raw: bytes) -> None:
        code = [*SOCK_FILTER.iter_unpack(raw)]
        check(code)
        self.length = converted_length(code)
        self.uses_ip = any(op == LD_ABS and k in (8, 12) for op, _, _, k in code)
        self.code: list[Instruction] = [_prepared(instruction) for instruction in code]

    def run(self, words: Words, state: State = START) -> int | State:
        """What the program returns for `words`, None being one that is not known yet; or where it stopped, for
        it needs such a one."""
        code = self.code
        pc, x, held = state
        memory: list[int] | None = None
        a = 0
        while True:
            op, jt, jf, k = code[pc]
            pc += 1
            if op == 0x15:  # jump if equal
                pc += jt if a == k else jf
            elif op == LD_ABS:
                word = words[k]
                if word is None:
                    return State(pc - 1, x, held if memory is None else tuple(memory))
                a = word
            elif op == RET_K:
                return k
            elif op == 0x25:
                pc += jt if a > k else jf
            elif op == 0x35:
                pc += jt if a >= k else jf
            elif op == 0x45:
                pc += jt if a & k else jf
            elif op == 0x54:
                a &= k
            elif op == JA:
                pc += k
            elif op == LD_IMM:
                a = k
            elif op == LDX_IMM:
                x = k
            elif op == TAX:
                x = a
            elif op == TXA:
                a = x
            elif op == RET_A:
                return a
            elif op & 7 == BPF_JMP:
                what = op & 0xF0
                if what == BPF_JEQ:
                    truth = a == x
                elif what == BPF_JGT:
                    truth = a > x
                elif what == BPF_JGE:
                    truth = a >= x
                else:
                    truth = bool(a & x)
                pc += jt if truth else jf
            elif op & 7 == BPF_ALU:
                operand = x if op & BPF_X else k
                if op & 0xF0 == BPF_DIV and not operand:
                    return 0
                a = _compute(op & 0xF0, a, operand)
            else:
                if memory is None:
                    memory = [*held]
                if op == BPF_ST:
                    memory[k] = a
                elif op == BPF_STX:
                    memory[k] = x
                elif op == LD_MEM:
                    a = memory[k]
                else:
                    x = memory[k]


def _prepared(instruction: Instruction) -> Instruction:
    """Offsets as indexes of words; the length of the data as the number it is."""
    op, jt, jf, k = instruction
    if op == LD_ABS:
        return op, jt, jf, k >> 2
    if op in (LD_LEN, LDX_LEN):
        return op & 7, jt, jf, DATA_SIZE
    return instruction


def _compute(what: int, a: int, operand: int) -> int:
    if what == BPF_ADD:
        return a + operand & _WORD
    if what == BPF_SUB:
        return a - operand & _WORD
    if what == BPF_MUL:
        return a * operand & _WORD
    if what == BPF_DIV:
        return a // operand
    if what == BPF_OR:
        return a | operand
    if what == BPF_AND:
        return a & operand
    if what == BPF_XOR:
        return a ^ operand
    if what == BPF_NEG:
        return -a & _WORD
    shift = operand & 31
    return a << shift & _WORD if what == BPF_LSH else a >> shift


def check(code: Sequence[Instruction]) -> None:
    """Raise OSError(EINVAL) for instructions that are unknown or out of range, jumps that lead out, memory that
    is read before it is written, and a program that could run over its end."""
    size = len(code)
    valid = 0  # words of memory that are written for certain, here
    arriving = [(1 << BPF_MEMWORDS) - 1] * size  # and by every jump that leads to an instruction
    for pc, (op, jt, jf, k) in enumerate(code):
        if op not in _ALLOWED:
            raise _invalid("no such instruction")
        valid &= arriving[pc]
        if op == LD_ABS and (k >= DATA_SIZE or k & 3):
            raise _invalid("no such word")
        if op == BPF_ALU | BPF_DIV and not k:
            raise _invalid("division by zero")
        if op in (BPF_ALU | BPF_LSH, BPF_ALU | BPF_RSH) and k >= 32:
            raise _invalid("shift too far")
        if op in (LD_MEM, LDX_MEM, BPF_ST, BPF_STX):
            if k >= BPF_MEMWORDS:
                raise _invalid("no such memory")
            if op in (BPF_ST, BPF_STX):
                valid |= 1 << k
            elif not valid >> k & 1:
                raise _invalid("memory read before it is written")
        elif op & 7 == BPF_JMP:
            for offset in (k,) if op == JA else (jt, jf):
                if offset >= size - pc - 1:
                    raise _invalid("jump out of the program")
                arriving[pc + 1 + offset] &= valid
            valid = (1 << BPF_MEMWORDS) - 1
    if code[-1][0] not in _RETURNS:
        raise _invalid("the last instruction is no return")


def converted_length(code: Sequence[Instruction]) -> int:
    """How many instructions Linux makes of a program for its own machine (bpf_convert_filter): the limit on all
    filters of a task counts these."""
    total = 3
    for op, jt, jf, k in code:
        total += 1
        if op == RET_K:
            total += 1
        elif op == BPF_ALU | BPF_DIV | BPF_X:
            total += 4
        elif op & 7 == BPF_JMP and op != JA:
            total += not op & BPF_X and k >> 31  # a negative constant goes into a register first
            total += bool(jf) and not (not jt and op & 0xF0 in (BPF_JEQ, BPF_JGT, BPF_JGE))
    return total

"""The debug registers as ptrace(2) shows them: Linux's ``ptrace_set_debugreg()`` of ``arch/x86/kernel/ptrace.c``.

The engine has none.  What they ask for is looked at after each instruction, so that one that writes can be
noticed, and one that reads cannot: such watchpoints are refused.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from emu.arch.x86_64 import TASK_SIZE

ADDRESSES, STATUS, CONTROL = 4, 6, 7  # DR0 to DR3, DR6, DR7

_STATUS_IDLE = 0xFFFF_0FF0  # DR6_RESERVED: bits that read as set
_CONTROL_RESERVED = 0xFFFF_FFFF_0000_FC00
_SINGLE_STEP = 1 << 14  # of DR6
_EXECUTE, _WRITE, _IO, _ACCESS = range(4)
_SIZES = (1, 2, 8, 4)

Memory = Callable[[int, int], bytes]
"""Bytes of the program's memory by address and size; fewer where there are none."""


class DebugRegisters:
    """Those of one thread.  `enabled` says whether they ask for anything."""

    def __init__(self) -> None:
        self.addresses = [0] * ADDRESSES
        self.status = 0
        self.control = 0
        self.seen: dict[int, bytes] = {}  # what the memory held last, by number of the watchpoint

    @property
    def enabled(self) -> bool:
        return bool(self.control & 0xFF)

    def get(self, number: int) -> int:
        if number < ADDRESSES:
            return self.addresses[number]
        return {STATUS: self.status ^ _STATUS_IDLE, CONTROL: self.control}.get(number, 0)

    def set(self, number: int, value: int, memory: Memory) -> None:
        """Raises OSError EINVAL (address, length), ENOSPC (a watchpoint for reading), EIO (no such register)."""
        if number < ADDRESSES:
            if value >= TASK_SIZE:
                raise OSError(errno.EINVAL, "not the program's")
            self.addresses[number] = value
        elif number == STATUS:
            self.status = (value ^ _STATUS_IDLE) & 0xFFFF_FFFF
        elif number == CONTROL:
            self._check(value)
            self.control = value & ~_CONTROL_RESERVED
        else:
            raise OSError(errno.EIO, "no such register")
        self.look(memory)

    def _points(self, control: int) -> list[tuple[int, int, int]]:
        """Number, kind and size of those that are enabled."""
        enabled = [number for number in range(ADDRESSES) if control >> 2 * number & 3]
        return [(n, control >> 16 + 4 * n & 3, _SIZES[control >> 18 + 4 * n & 3]) for n in enabled]

    def _check(self, control: int) -> None:
        for number, kind, size in self._points(control):
            if kind == _IO or self.addresses[number] % size or (kind == _EXECUTE and size != 1):
                raise OSError(errno.EINVAL, "kind, length or address")
            if kind == _ACCESS:
                raise OSError(errno.ENOSPC, "nobody sees what is only read")

    def look(self, memory: Memory) -> list[int]:
        """The numbers of the watchpoints whose memory is not what it was."""
        seen = {n: memory(self.addresses[n], size) for n, kind, size in self._points(self.control) if kind == _WRITE}
        changed = [number for number, now in seen.items() if self.seen.get(number, now) != now]
        self.seen = seen
        return changed

    def after_instruction(self, pc: int, memory: Memory, *, stepping: bool) -> bool:
        """Whether the instruction before `pc` did, or the one there is, what is asked for; DR6 then says what."""
        hits = self.look(memory)
        hits += [n for n, kind, _ in self._points(self.control) if kind == _EXECUTE and self.addresses[n] == pc]
        if hits or stepping:
            self.status = sum(1 << number for number in hits) | (_SINGLE_STEP if stepping else 0)
        return bool(hits)

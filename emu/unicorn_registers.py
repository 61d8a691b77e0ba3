"""The registers that every system call needs, where the library keeps them.

To ask the library for a register costs a foreign call, which takes longer than many a system call.  But all it does
is copy a word of the processor's state (CPUX86State and its like), and where that lies an experiment shows: distinct
values are written by the library's own function and looked for.  What is not found exactly once, or where
the state is not to be had, is asked for as before.
"""

from __future__ import annotations

import ctypes
import errno
import sys
from collections.abc import Callable
from ctypes import byref, c_int, c_size_t, c_uint64, c_void_p
from types import ModuleType
from typing import Any

# CPUState (hw/core/cpu.h), of version 2.1.4 with 64-bit pointers
_ENVIRONMENT = 0x128  # env_ptr
_NEAR = 1 << 16  # the processor's own state follows it (ArchCPU) within this
_SEARCHED = 4096  # bytes from its beginning in which the registers are looked for
_MARK = 0x1B5C_93E7_0000_0000


def words_at(address: int, size: int) -> memoryview:
    """`size` bytes of the library's memory as words."""
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B").cast("Q")


def cpu_state(lib: Any, handle: c_void_p, arch: ModuleType) -> tuple[int, int] | None:
    """The addresses of the library's CPUState and of the registers in it; None if it does not say."""
    if sys.platform == "win32" or ctypes.sizeof(c_void_p) != 8:
        return None  # the layout is another
    try:
        state = lib[arch.UNICORN_STATE]
    except AttributeError:
        return None  # private, and hidden in this build
    state.argtypes, state.restype = (c_void_p, c_int), c_void_p
    cpu = state(handle, -1)  # UNASSIGNED_CPU_INDEX
    if not cpu:
        return None
    environment = c_size_t.from_address(cpu + _ENVIRONMENT).value
    if environment % 16 or not cpu < environment < cpu + _NEAR:
        return None
    return cpu, environment


class Context(c_void_p):
    """A saved register file: a pointer to the library's own, which is freed with this object.  `state` is the part of
    it from `offset` to the end, in words."""

    def __init__(self, lib: ctypes.PyDLL, handle: c_void_p, offset: int = 0) -> None:
        super().__init__()
        self._lib = lib
        if lib.uc_context_alloc(handle, byref(self)) or self.value is None:
            raise OSError(errno.ENOMEM, "no memory for a task's registers")
        self.state = words_at(self.value + offset, lib.uc_context_size(handle) - offset)

    def __del__(self) -> None:
        if self:
            self._lib.uc_context_free(self)


class InPlace:
    """Registers as words of memory: `call` are those with a call's number and arguments, at `call_slots`,
    `words[result]` is where its result goes, `pc` the program counter; `leave_call` and `go_on` are the engine's."""

    def __init__(self, words: memoryview, places: dict[str, int], address: int, arch: ModuleType) -> None:
        self.words = words
        self.address = address
        slots = [places[name] for name in arch.CALL_REGISTERS]
        first, last = min(slots), max(slots)
        self.call = words[first : last + 1].cast("B")
        self.call_slots = tuple(slot - first for slot in slots)
        self.ask: Callable[[], None] | None = None  # they are always up to date
        self.result = result = places[arch.RESULT]
        self.pc = c_uint64.from_address(address + 8 * places[arch.PC])
        self.look: Callable[[], None] | None = None
        pc, size = places[arch.PC], arch.SYSCALL_SIZE

        def leave_call(value: int) -> None:
            words[result] = value & 0xFFFF_FFFF_FFFF_FFFF
            words[pc] += size

        def go_on() -> int:
            words[pc] -= size  # which the library adds when the hook returns
            return words[result]

        self.leave_call: Callable[[int], None] | None = leave_call
        self.go_on: Callable[[], int] | None = go_on


class Asked:
    """The same for a library that does not show its state: itself in place of the words, and `ask` fills `call`."""

    def __init__(self, lib: Any, handle: c_void_p, ids: dict[str, int], arch: ModuleType) -> None:
        names = arch.CALL_REGISTERS
        slots = (c_uint64 * len(names))()
        base = ctypes.addressof(slots)
        places = (c_void_p * len(names))(*(base + 8 * i for i in range(len(names))))
        numbers = (c_int * len(names))(*(ids[name] for name in names))
        word = c_uint64()

        def ask() -> None:
            lib.uc_reg_read_batch(handle, numbers, places, len(names))

        def put(value: int) -> None:
            word.value = value
            lib.uc_reg_write(handle, ids[arch.RESULT], byref(word))

        def look() -> None:
            lib.uc_reg_read(handle, ids[arch.PC], byref(self.pc))

        self.words = self
        self.call = memoryview(slots).cast("B")
        self.call_slots = tuple(range(len(names)))
        self.ask: Callable[[], None] | None = ask
        self.result = 0
        self.pc = c_uint64()
        self.look: Callable[[], None] | None = look
        self.leave_call: Callable[[int], None] | None = None  # it would end the run to write the program counter
        self.go_on: Callable[[], int] | None = None
        self._put = put

    def __setitem__(self, _result: int, value: int) -> None:
        self._put(value)


def find(lib: Any, handle: c_void_p, arch: ModuleType, write: Callable[[dict[str, int]], None]) -> InPlace | None:
    """Where the library keeps the registers; None if that cannot be made out.  `write` sets registers."""
    found = cpu_state(lib, handle, arch)
    if found is None:
        return None
    address = found[1]
    words = words_at(address, _SEARCHED)
    names = {*arch.CALL_REGISTERS, arch.RESULT, arch.PC}
    marks = {name: _MARK + number for number, name in enumerate(names)}
    write(marks)
    seen = words.tolist()
    if any(seen.count(mark) != 1 for mark in marks.values()):
        return None
    return InPlace(words, {name: seen.index(mark) for name, mark in marks.items()}, address, arch)

"""The seam between the kernel and whatever executes guest instructions.

An engine is a CPU with a TLB (docs/architecture.md).  It runs a register set in a page table until
something happens and asks its `Supervisor`, the kernel, for a page when it misses.  Nothing here
knows Unicorn or any guest architecture.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from enum import IntEnum
from typing import Any, Protocol

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
PAGE_MASK = ~(PAGE_SIZE - 1)

# Access kinds; the same bits are the permissions in the low bits of a page-table entry, and they
# equal Linux's PROT_READ, PROT_WRITE and PROT_EXEC.
READ, WRITE, EXEC = 1, 2, 4

PageTable = MutableMapping[int, int]
"""Virtual page number -> page-table entry: physical address of the frame | permission bits."""


class RegisterSet:
    """Registers that are read and written together: `words` of 64 bits, then `wide` ones of `WIDE` bytes each
    (x87, vectors).  Made once, at module level: an engine keeps what it has prepared for each."""

    __slots__ = ("wide", "words")

    WIDE = 16

    def __init__(self, words: tuple[str, ...], wide: tuple[str, ...] = ()) -> None:
        self.words = words
        self.wide = wide


class Exit(IntEnum):
    """Why `Cpu.run` returned."""

    STOPPED = 0  # the supervisor's syscall handler asked for it
    PREEMPTED = 1  # kick()
    PAGE_FAULT = 2  # fault_address and fault_access say what was refused
    ILLEGAL = 3  # undefined instruction
    TRAP = 4  # a processor exception; `vector` is the architecture's number for it


class Alarm(Protocol):
    """Makes `Cpu.run` return PREEMPTED soon after a time, without a thread of the interpreter's."""

    armed: bool

    def set(self, deadline: int | None) -> bool:
        """Do so at `deadline`, nanoseconds of CLOCK_MONOTONIC, and now and then until set again; it may come early.
        None: never.  False: this host has nothing to do it with, so it takes a `Cpu.kick`."""

    def passed(self) -> None:
        """`run` returned, or the deadline has passed: what was set is used up."""

    def disarm(self) -> None:
        """Never, from now on."""


class Supervisor(Protocol):
    """What an engine needs from the kernel.  Both are called in the middle of `Cpu.run`."""

    def syscall(self) -> int | None:
        """Serve the call whose registers are in `Cpu.call`; the result, or None to leave `run`."""

    def resume(self) -> int | None:
        """`syscall` has answered None, or whoever serves in its place: the result with which to go on all the same, by
        `Cpu.leave_call` and `Cpu.go_on`, or None."""

    def page_fault(self, address: int, access: int) -> int:
        """A page-table entry that allows `access` at `address`, or 0 to end `run` with PAGE_FAULT."""


Context = object
"""A saved register file; only the engine that made it knows what is inside."""


class Cpu(Protocol):
    """One virtual CPU.  Registers are read and written only while `run` is not on the stack, or
    from within `Supervisor.syscall`."""

    call: bytearray  # registers of the call being served; its number and arguments are the words at `call_slots`
    call_slots: tuple[int, ...]
    fault_address: int
    fault_access: int
    vector: int
    fills: int
    slices: int
    flushes: int
    kicked: bool  # a kick has not been served yet
    alarm: Alarm  # kicks at a time that is set
    counter: Callable[[], int] | None  # what the guest's cycle counter reads, if that tells the time
    # From within `Supervisor.syscall`, None if the engine cannot: the registers become those behind the call, with
    # that result, and may be changed as if `run` had returned, up to `go_on`.  It gives what `syscall` is to
    # return for guest code to go on with the registers as they are then.
    leave_call: Callable[[int], None] | None
    go_on: Callable[[], int] | None

    def run(self) -> Exit:
        """Run guest instructions until something happens."""

    def kick(self) -> None:
        """Make `run` return PREEMPTED soon.  Safe from any thread."""

    def set_page_table(self, pages: PageTable) -> None:
        """Another table for the same address space: forget every translation."""

    def switch_page_table(self, pages: PageTable) -> None:
        """Switch address space.  The engine may keep translations of the last one, until told to forget them."""

    def flush(self) -> None:
        """Forget cached translations: an entry already handed out was removed or lost a permission."""

    def forget(self, pages: PageTable) -> None:
        """The same for an address space that may be the current one or not."""

    def code_written(self, paddr: int, size: int) -> None:
        """The kernel wrote into a frame that may hold translated code."""

    def read(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """General registers by the architecture's names."""

    def read_saved(self, context: Context, registers: RegisterSet | tuple[str, ...]) -> tuple[Any, ...]:
        """The same, or a whole set, of registers that `save` has put away."""

    def write_saved(self, context: Context, registers: RegisterSet | tuple[str, ...], values: tuple[Any, ...]) -> None:
        """Set registers that `save` has put away."""

    def write(self, values: dict[str, int]) -> None:
        """Set general registers by name."""

    def read_set(self, registers: RegisterSet) -> tuple[Any, ...]:
        """The words, each a number, then the wide ones, if there are any, as one string of bytes (zero where a
        register is narrower)."""

    def write_set(self, registers: RegisterSet, values: tuple[Any, ...]) -> None:
        """Set all of them from what `read_set` gives."""

    def read_raw(self, registers: RegisterSet) -> bytes:
        """`read_set` as it lies in memory: 8 bytes for each word, little end first, then the wide ones."""

    def write_raw(self, registers: RegisterSet, data: bytes) -> None:
        """Set all of them from what `read_raw` gives."""

    def set_result(self, value: int) -> None:
        """`write` of the register that holds a system call's result."""

    def read_wide(self, name: str, size: int) -> bytes:
        """A register wider than 64 bits (vector or x87), `size` bytes."""

    def write_wide(self, name: str, data: bytes) -> None:
        """Set a register wider than 64 bits."""

    def serve_with(self, entry: Callable[[], int | None]) -> None:
        """From the next system call on, call `entry` in place of `Supervisor.syscall`, which it is like."""

    def read_call(self) -> None:
        """Fill `call` from the registers, as a system call does."""

    def stop(self) -> None:
        """From within a callback: make `run` return STOPPED at the end of this instruction."""

    # Copy every register into a context, and from one; the latter only while `run` is not on the stack, or between
    # `leave_call` and `go_on`.
    save: Callable[[Context], object]
    load: Callable[[Context], object]

    def new_context(self) -> Context:
        """Room for a whole register file, floating point included."""

    def execute(self, code: bytes, registers: dict[str, int]) -> Exit:
        """Run a few instructions outside any guest, up to the fault that ends them."""

"""The Unicorn engine: `Cpu` on libunicorn's software MMU, spoken to through ctypes.

The library is called directly, with preallocated buffers, because the binding's wrapper class costs
more per call than the call itself and 40 ms to import.  Functions that return
at once go through PyDLL, which keeps the interpreter lock; only `uc_emu_start` gives it up, so that
the watcher thread can run while guest code does.  The end of a time slice comes without it (emu/alarm.py).

How the machine is put together, and why, is in docs/architecture.md: the CPU exists before the arena is
mapped, enters user mode through SYSRET once, and asks for every page through the TLB fill hook.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from ctypes import byref, c_bool, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import partial
from importlib.util import find_spec
from struct import Struct
from time import monotonic_ns
from types import ModuleType
from typing import Any, NamedTuple

from emu.alarm import Alarm
from emu.arena import SIZE as ARENA_SIZE
from emu.arena import Arena
from emu.engine import EXEC, PAGE_SHIFT, PAGE_SIZE, READ, WRITE, Exit, PageTable, RegisterSet, Supervisor
from emu.host import PORTABLE, keeps_time_by
from emu.unicorn_registers import Asked, Context, InPlace, words_at
from emu.unicorn_registers import find as find_registers
from emu.unicorn_tlb import FIRST_GROWTH, KeptTlbs, Tlb, find

# unicorn/unicorn.h
_HOOK_INTR, _HOOK_INSN, _HOOK_INSN_INVALID, _HOOK_TLB_FILL = 1, 2, 1 << 14, 1 << 17
_MEM_READ = 16  # then WRITE, FETCH: 1 << (kind - 16) is our access bit
_PROT_ALL = 7
_TLB_VIRTUAL = 1
_ERR_OK = 0
# To look up a member of an enum takes as long as a call.
_STOPPED, _PREEMPTED, _PAGE_FAULT, _TRAP = Exit.STOPPED, Exit.PREEMPTED, Exit.PAGE_FAULT, Exit.TRAP


def _control(kind: int, arguments: int) -> int:
    """UC_CTL_WRITE(kind, arguments)."""
    return kind | arguments << 26 | 1 << 30


_CTL_CPU_MODEL = _control(7, 1)
_CTL_TB_REMOVE = _control(9, 2)
_CTL_TLB_FLUSH = _control(11, 0)
_CTL_TLB_TYPE = _control(12, 1)

_SHRINK_WINDOW = 100_000_000  # ns after which the library makes a TLB smaller that was used little
_INVALIDATION_WINDOW = 1 << 56  # beyond any guest address: identity window used to name frames to the library
_SCRATCH = 0x10000  # where `execute` puts its instructions
_NOWHERE = 0x3A5A_9C96_35A8  # an address nobody maps, recognisable in the library's memory
_ALIAS = 0x1000  # a second, read-only mapping of that page behind it
_COUNTER = 0x800  # a word in it
# Of struct uc_struct (uc_priv.h of 2.1.4), which is longer than this: where the fault address may lie,
# and how far behind it lie the page sizes and `no_exit_request`, which `init_done` follows.
_STATE_BYTES = 8192
_STATE_BEGIN = 256  # of the processor's state, enough to find it by
_GEOMETRY, _GEOMETRY_OFFSET = Struct("=IIQ"), 568
_SWITCH_OFFSET = 618
_WORD = Struct("<Q")
_ZERO = c_uint64(0)  # wide enough for any argument
_NO_EXCEPTION = b"\xff\xff\xff\xff"


_FILL = ctypes.CFUNCTYPE(c_bool, c_void_p, c_uint64, c_int, c_size_t, c_void_p)
_SYSCALL = ctypes.CFUNCTYPE(None)  # it is handed two pointers, which would only have to be made objects
_INTR = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)
_INVALID = ctypes.CFUNCTYPE(c_bool, c_void_p, c_void_p)
_IN = ctypes.CFUNCTYPE(c_uint32, c_void_p, c_uint32, c_int, c_void_p)
_OUT = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_int, c_uint32, c_void_p)


def _tlb_entry(address: int) -> memoryview:
    """The two words of the library's uc_tlb_entry there: a ctypes structure takes twice as long."""
    return memoryview((c_uint64 * 2).from_address(address)).cast("B").cast("Q")


def library_path() -> str:
    """Where the unicorn package keeps its library, found without importing the package."""
    override = os.environ.get("LIBUNICORN_PATH")
    name = {"darwin": "libunicorn.2.dylib", "win32": "unicorn.dll"}.get(sys.platform, "libunicorn.so.2")
    if override:
        return os.path.join(override, name)
    spec = find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the Python package 'unicorn' is not installed (pip install 'unicorn>=2.1.4')")
    return os.path.join(spec.submodule_search_locations[0], "lib", name)


class _Batch(NamedTuple):
    """What the library's batch calls take: register numbers, and a slot of memory for each; and how all of it
    is laid out.  Only the first `writes` are written by the library: where the program counter is written in place,
    that is the last, and its value the one at `pc`."""

    ids: ctypes.Array[c_int]
    slots: ctypes.Array[c_void_p]
    length: int
    writes: int
    pc: int | None
    memory: ctypes.Array[ctypes.c_char]
    layout: Struct


class UnicornCpu:
    """One processor; see `emu.engine.Cpu` for the contract.

    `arch` is a module of `emu.arch`; what it says of the library is in its names that begin with
    UNICORN.
    """

    __slots__ = (
        "_arch", "_batches", "_booting", "_context", "_ctl", "_emu_start",
        "_emu_stop", "_error", "_exception_words", "_exit", "_fault_word", "_grow",
        "_grow_at", "_handle", "_ids", "_invalidating", "_keep", "_kept", "_lib", "_pages",
        "_port_registers", "_reg_read", "_reg_read_batch", "_reg_write", "_reg_write_batch", "_registers",
        "_scratch", "_scratch_view", "_serve_with", "_state_offset", "_stop_on_write", "_supervisor", "_tlb",
        "_unusual", "alarm",
        "call", "call_slots", "counter", "fault_access", "fault_address", "fills", "flushes", "go_on", "kicked",
        "leave_call", "load", "save", "slices", "vector",
    )  # fmt: skip

    def __init__(self, arch: ModuleType) -> None:
        path = library_path()
        slow = ctypes.CDLL(path)
        self._lib = fast = ctypes.PyDLL(path)
        self._emu_start = slow.uc_emu_start
        self._ctl = fast.uc_ctl
        self._reg_read_batch = fast.uc_reg_read_batch
        self._reg_write_batch = fast.uc_reg_write_batch
        self._batches: dict[RegisterSet | tuple[str, ...], _Batch] = {}
        self._reg_write = fast.uc_reg_write
        self._reg_read = fast.uc_reg_read
        self._emu_stop = fast.uc_emu_stop
        self._arch = arch
        self._ids: dict[str, int] = arch.UNICORN

        handle = c_void_p()
        self._check(fast.uc_open(*arch.UNICORN_MACHINE, byref(handle)), "uc_open")
        self._handle = handle
        self.save: Callable[[Any], object] = partial(fast.uc_context_save, handle)
        self.load: Callable[[Any], object] = partial(fast.uc_context_restore, handle)
        self._state_offset = 0
        stop = ctypes.cast(self._emu_stop, c_void_p).value
        assert stop is not None and handle.value is not None
        self.alarm = Alarm(stop, handle.value)
        self._check(self._ctl(handle, _CTL_CPU_MODEL, c_int(arch.UNICORN_MODEL)), "CPU model")
        # Setting a control allocates the code buffer; it must lie near the library, so before the arena.
        self._check(self._ctl(handle, _CTL_TLB_TYPE, c_int(_TLB_VIRTUAL)), "TLB type")

        self._registers: Asked | InPlace = Asked(fast, handle, self._ids, arch)
        found = None if PORTABLE else find_registers(fast, handle, arch, self.write)
        if found is not None:
            self._registers = found
            self._copy_in_place(found.address)
        self.call = bytearray(self._registers.call)
        self.call_slots = self._registers.call_slots
        self.leave_call = self._registers.leave_call
        self.go_on = self._registers.go_on

        self.fault_address = 0
        self.fault_access = 0
        self.vector = 0
        self.fills = self.slices = self.flushes = 0
        self.counter: Callable[[], int] | None = None
        self._pages: PageTable = {}
        self._exit: Exit | None = None
        self._error: BaseException | None = None
        self.kicked = False
        self._invalidating = False
        self._booting = False
        self._stop_on_write = False
        self._fault_word = c_uint64()
        self._exception_words: list[int] = []
        self._port_registers: dict[str, int] | None = None
        self._tlb = Tlb(self._pages, 0)
        self._grow_at = self._tlb.flush_at  # fills in all, before the next flush
        self._grow = False
        self._unusual = False  # one of `_error`, `_grow` and `_port_registers` is set
        self._kept: KeptTlbs | None = None
        self._supervisor: Supervisor | None = None
        self._keep: list[object] = []  # what C holds pointers to

    def attach(self, arena: Arena, supervisor: Supervisor) -> None:
        """Map physical memory, install the hooks and enter user mode."""
        self._supervisor = supervisor
        arch = self._arch
        arena.on_code_write = lambda frame: self.code_written(frame, PAGE_SIZE)
        memory = c_void_p(arena.memory.address)
        error = self._lib.uc_mem_map_ptr(self._handle, c_uint64(0), c_uint64(ARENA_SIZE), c_uint32(_PROT_ALL), memory)
        self._check(error, "uc_mem_map_ptr")
        arch.refuse_unknown(self._lib)
        self._hook(_HOOK_TLB_FILL, _FILL(self._make_fill()))
        self._hook(_HOOK_INSN, _SYSCALL(self._make_syscall(supervisor)), c_int(arch.UNICORN_CALL))
        self._hook(_HOOK_INTR, _INTR(self._on_interrupt))
        self._hook(_HOOK_INSN_INVALID, _INVALID(self._on_invalid))
        for instruction in arch.UNICORN_PORT_READ:
            self._hook(_HOOK_INSN, _IN(self._on_in), c_int(instruction))
        for instruction in arch.UNICORN_PORT_WRITE:
            self._hook(_HOOK_INSN, _OUT(self._on_out), c_int(instruction))
        self._scratch = arena.alloc()
        self._scratch_view = arena.view(self._scratch, PAGE_SIZE)
        self._learn(arch.enter_user_mode(self, _NOWHERE))
        self.counter = self._find_counter()
        if not PORTABLE:
            self._kept = self._find_tlb(arena)

    def _find_counter(self) -> Callable[[], int] | None:
        """The library's own function behind the guest's cycle counter, if the host's clocks are made of it."""
        if not keeps_time_by(self._arch.CLOCKSOURCE):
            return None
        try:
            counter: Callable[[], int] = self._lib[self._arch.UNICORN_COUNTER]
        except AttributeError:
            return None  # private, and hidden in this build
        counter.restype = c_uint64  # type: ignore[attr-defined]
        before = counter()
        seen: int = self._arch.cycle_counter(self)
        return counter if before < seen < counter() else None

    def _learn(self, fault_reached: bool) -> None:
        """Find what the library keeps to itself, each by provoking what it records, and have it stop
        between instructions only.

        The exact address of a refused access (the fill hook is told the page only), and the exception
        in flight, which has to be cleared after every exception or the next becomes a double fault.
        """
        assert self._handle.value is not None
        state = ctypes.string_at(self._handle.value, _STATE_BYTES)
        at = state.find(_NOWHERE.to_bytes(8, sys.byteorder)) if fault_reached else -1
        if at < 0:
            raise RuntimeError("libunicorn does not say where a fault was; version 2.1.4 does")
        self._fault_word = c_uint64.from_address(self._handle.value + at)
        size = self._lib.uc_context_size(self._handle)
        self._context = self.new_context()
        context = self._context
        self._lib.uc_context_save(self._handle, context)
        assert context.value is not None
        before = ctypes.string_at(context.value, size)
        self.execute(self._arch.PRIVILEGED, {})
        self._lib.uc_context_save(self._handle, context)
        after = ctypes.string_at(context.value, size)
        raised = self.vector.to_bytes(4, sys.byteorder)
        for at in range(0, size - 3, 4):
            if before[at : at + 4] == _NO_EXCEPTION and after[at : at + 4] == raised:
                self._exception_words.append(context.value + at)
        self._clear_exception()
        self._keep_blocks_whole()

    def _keep_blocks_whole(self) -> None:
        """Have requests to stop seen where a block begins, and only there.

        The library also looks after every memory access, in the middle of an instruction, and then
        leaves with the program counter at that instruction: one that reads, changes and writes back
        (`inc [mem]`) is executed twice.  Its own switch against that, meant for Arm's IT blocks
        (`no_exit_request`), lies at a fixed distance behind the fault address; it is used only if all
        that lies between looks as it must, and an experiment shows that it works.  It also saves a
        call per access, a third of the time of a shell loop.
        """
        fault_word = ctypes.addressof(self._fault_word)
        geometry = ctypes.string_at(fault_word + _GEOMETRY_OFFSET, _GEOMETRY.size)
        page_size, page_align, host_page = _GEOMETRY.unpack(geometry)
        switch = fault_word + _SWITCH_OFFSET
        is_off, initialised = ctypes.string_at(switch, 2)
        found = (page_size, page_align, is_off, initialised)
        if found == (PAGE_SIZE, PAGE_SIZE - 1, 0, 1) and host_page >= PAGE_SIZE:
            ctypes.memset(switch, 1, 1)
        self._scratch_view[_COUNTER : _COUNTER + 8] = bytes(8)
        code, register = self._arch.INCREMENT
        self._stop_on_write = True
        self.execute(code + self._arch.PRIVILEGED, {register: _SCRATCH + _ALIAS + _COUNTER})
        self._stop_on_write = False
        if self._scratch_view[_COUNTER] != 1:
            raise RuntimeError("libunicorn cannot be stopped between instructions; version 2.1.4 can")

    def _clear_exception(self) -> None:
        if self._exception_words:
            self.save(self._context)
            for word in self._exception_words:
                ctypes.memmove(word, _NO_EXCEPTION, 4)
            self.load(self._context)

    def _find_tlb(self, arena: Arena) -> KeptTlbs | None:
        """Where the library keeps its TLB, if an experiment with two address spaces shows that it can be exchanged."""
        frames = self._scratch, arena.alloc()
        first, second = (
            {_SCRATCH >> PAGE_SHIFT: self._scratch | READ | EXEC, _SCRATCH + _ALIAS >> PAGE_SHIFT: frame | READ | WRITE}
            for frame in frames
        )
        for frame in frames:
            arena.view(frame, PAGE_SIZE)[_COUNTER : _COUNTER + 8] = bytes(8)
        code, register = self._arch.INCREMENT
        pages = self._pages
        self._pages = self._tlb.pages = first
        self._execute(code + self._arch.PRIVILEGED, {register: _SCRATCH + _ALIAS + _COUNTER})
        self._kept = kept = find(self._lib, self._handle, self._arch, _SCRATCH, self._tlb)
        if kept is not None:
            self.switch_page_table(second)
            self._execute(b"", {})
            filled = self.fills
            self.switch_page_table(first)
            self._execute(b"", {})
            counted = [arena.view(frame, PAGE_SIZE)[_COUNTER] for frame in frames]
            if self.fills != filled or counted != [2, 1]:
                raise RuntimeError("libunicorn's TLB cannot be exchanged; version 2.1.4's can")
            self.forget(second)
        self.set_page_table(pages)
        arena.drop(frames[1])
        return kept

    def execute(self, code: bytes, registers: dict[str, int]) -> Exit:
        """Run a few instructions in a page of their own, up to the fault that ends them."""
        pages = self._pages
        self._pages = {
            _SCRATCH >> PAGE_SHIFT: self._scratch | READ | EXEC,
            _SCRATCH + _ALIAS >> PAGE_SHIFT: self._scratch | READ,
        }
        try:
            return self._execute(code, registers)
        finally:
            self.set_page_table(pages)

    def _execute(self, code: bytes, registers: dict[str, int]) -> Exit:
        """The same with the page table in place; no code: the same as before."""
        if code:
            self._scratch_view[: len(code)] = code
            self.code_written(self._scratch, PAGE_SIZE)
        self.write({**registers, self._arch.PC: _SCRATCH})
        self._booting = True
        try:
            return self.run()
        finally:
            self._booting = False

    def _hook(self, kind: int, callback: object, *instruction: c_int) -> None:
        hook = c_size_t()
        self._keep.append(callback)
        error = self._lib.uc_hook_add(
            self._handle, byref(hook), c_int(kind), callback, c_void_p(), c_uint64(1), c_uint64(0), *instruction
        )
        self._check(error, "uc_hook_add")

    def _check(self, error: int, what: str) -> None:
        if error != _ERR_OK:
            raise RuntimeError(f"libunicorn: {what} failed with error {error}")

    # The callbacks

    def _make_fill(self) -> Callable[[int, int, int, int, int], bool]:
        """The TLB fill hook, a closure so that the hot names are cells and not attributes."""
        slots: dict[int, memoryview] = {}
        allows = {_MEM_READ: READ, _MEM_READ + 1: WRITE, _MEM_READ + 2: EXEC}

        def fill(_handle: int, address: int, kind: int, where: int, _user: int) -> bool:
            try:
                entry = self._pages.get(address >> 12, 0)
                if not entry & allows[kind]:
                    entry = self._miss(address, allows[kind])
                    if not entry:
                        return False
                slot = slots.get(where)
                if slot is None:  # the library passes a local of its own: a few distinct addresses in all
                    slot = slots[where] = _tlb_entry(where)
                # Physical address and permissions; both are masked: the entry's low bits are its permissions.
                slot[0] = slot[1] = entry
                self.fills = fills = self.fills + 1
                if fills == self._grow_at:
                    self._grow = self._unusual = True
                    self._emu_stop(self._handle)
                return True
            except BaseException as error:
                self._fail(error)
                return False

        return fill

    def _miss(self, address: int, access: int) -> int:
        if self._invalidating:
            return (address - _INVALIDATION_WINDOW) | EXEC
        entry = 0
        if not self._booting:
            assert self._supervisor is not None
            entry = self._supervisor.page_fault(address, access)
        elif self._stop_on_write and access == WRITE:
            self._emu_stop(self._handle)
            return self._scratch | READ | WRITE
        if not entry:
            self._exit = Exit.PAGE_FAULT
            self.fault_address = address
            self.fault_access = access
        return entry

    def _make_syscall(self, supervisor: Supervisor) -> Callable[[], None]:
        """The hook of system calls, a closure as `_make_fill` is; `serve_with` changes what it calls."""
        handle, stop = self._handle, self._emu_stop
        serve = supervisor.syscall
        call, registers, ask = memoryview(self.call), self._registers.call, self._registers.ask
        words: Any = self._registers.words
        result = self._registers.result
        whole = slice(None)

        def serve_with(entry: Callable[[], int | None]) -> None:
            nonlocal serve
            serve = entry

        self._serve_with = serve_with

        def syscall() -> None:
            try:
                if ask is not None:
                    ask()
                call[whole] = registers
                value = serve()
                if value is None:
                    resume = supervisor.resume
                    value = resume()
                    if value is None:
                        self._exit = _STOPPED
                        stop(handle)
                        return
                words[result] = value
            except BaseException as error:
                self._fail(error)

        return syscall

    def _on_interrupt(self, _handle: int, vector: int, _user: int) -> None:
        self._exit = Exit.TRAP
        self.vector = vector
        self._emu_stop(self._handle)

    def _on_invalid(self, _handle: int, _user: int) -> bool:
        self._exit = Exit.ILLEGAL
        return False

    def _on_port(self) -> None:
        """Port I/O by an unprivileged program is a general protection fault the library lets through.

        The rest of the block is run all the same, so the registers are put back afterwards; what it
        stores stays stored.
        """
        if self._port_registers is None:
            names = self._arch.GPRS
            self._port_registers = dict(zip(names, self.read(names), strict=True))
            self._unusual = True
        self._emu_stop(self._handle)

    def _on_in(self, _handle: int, _port: int, _size: int, _user: int) -> int:
        self._on_port()
        return 0

    def _on_out(self, _handle: int, _port: int, _size: int, _value: int, _user: int) -> None:
        self._on_port()

    def _fail(self, error: BaseException) -> None:
        """An exception must not cross C: keep it and raise it again from `run`."""
        self._error = error
        self._unusual = True
        self._exit = Exit.STOPPED
        self._emu_stop(self._handle)

    # Running

    def run(self) -> Exit:
        start, handle = self._emu_start, self._handle
        look, pc = self._registers.look, self._registers.pc
        self.slices += 1
        while True:
            if self.kicked:
                self.kicked = False
                return _PREEMPTED
            self._exit = None
            if look is not None:
                look()
            status = start(handle, pc, _ZERO, _ZERO, _ZERO)
            reason = self._exit
            if self._unusual:
                self._unusual = False
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                if self._grow:
                    self._grow = False
                    self._tlb.flush_at *= 2
                    self.flush()
                if self._port_registers is not None:
                    registers, self._port_registers = self._port_registers, None
                    self._clear_exception()  # the rest of the block may have raised one
                    self.write(registers)
                    self.vector = self._arch.VECTOR_PROTECTION
                    return Exit.TRAP
            if reason is _STOPPED:
                return reason
            if reason is _PAGE_FAULT:
                self.fault_address = self._fault_word.value
                return reason
            if reason is not None:
                if reason is _TRAP:
                    self._clear_exception()
                return reason
            if look is not None:
                look()
            if pc.value == 0 and not self.kicked:
                # `until` is 0: the library stops there before it fetches.
                if self._pages.get(0, 0) & EXEC:
                    raise RuntimeError("code mapped at address 0 cannot be run by this engine")
                self.fault_address, self.fault_access = 0, EXEC
                return Exit.PAGE_FAULT
            if status != _ERR_OK:
                raise RuntimeError(f"libunicorn stopped with error {status} at {pc.value:#x}")
            if self.alarm.armed:
                return _PREEMPTED

    def kick(self) -> None:
        # Lost if the library is just about to start: whoever kicks does it again until served.
        self.kicked = True
        self._emu_stop(self._handle)

    def kick_again(self) -> None:
        if self.kicked:
            self._emu_stop(self._handle)

    def serve_with(self, entry: Callable[[], int | None]) -> None:
        self._serve_with(entry)

    def read_call(self) -> None:
        if self._registers.ask is not None:
            self._registers.ask()
        self.call[:] = self._registers.call

    def stop(self) -> None:
        self._exit = Exit.STOPPED
        self._emu_stop(self._handle)

    # Translations

    def set_page_table(self, pages: PageTable) -> None:
        self._pages = pages
        if self._kept is not None and pages is not self._tlb.pages:
            self._kept.rename(self._tlb, pages)
        self.flush()

    def switch_page_table(self, pages: PageTable) -> None:
        kept = self._kept
        if kept is None:
            self.set_page_table(pages)
            return
        self._tlb = tlb = kept.switch(self._tlb, pages, self.fills)
        self._grow_at = tlb.flushed + tlb.flush_at
        self._pages = pages

    def forget(self, pages: PageTable) -> None:
        if pages is self._pages:
            self.flush()
        elif self._kept is not None:
            self._kept.forget(pages)

    def flush(self) -> None:
        """Forget all translations of the current address space.  The TLB keeps its size, so the next process finds it
        as the last one left it, until little of it has been used for a while: then the library makes it smaller."""
        self.flushes += 1
        fills, tlb = self.fills, self._tlb
        used = fills - tlb.flushed
        tlb.flushed = fills
        if used > tlb.most:
            tlb.most = used
        now = monotonic_ns()
        if now > tlb.window + _SHRINK_WINDOW:
            while tlb.flush_at > FIRST_GROWTH and tlb.most * 3 < tlb.flush_at:
                tlb.flush_at >>= 1
            tlb.window = now
            tlb.most = used
        self._grow_at = fills + tlb.flush_at
        self._ctl(self._handle, _CTL_TLB_FLUSH)

    def code_written(self, paddr: int, size: int) -> None:
        start = _INVALIDATION_WINDOW + paddr
        self._invalidating = True
        try:
            self._ctl(self._handle, _CTL_TB_REMOVE, c_uint64(start), c_uint64(start + size))
        finally:
            self._invalidating = False
        self.flush()  # the window's translation must not stay for the guest to use

    # Registers

    def new_context(self) -> Context:
        return Context(self._lib, self._handle, self._state_offset)

    def _copy_in_place(self, address: int) -> None:
        """To save and load registers the library copies all of its state of the processor, which lies at `address`: do
        so without a foreign call, if it is that."""
        context = Context(self._lib, self._handle)
        self.save(context)
        content = context.state.tobytes()
        offset = content.find(ctypes.string_at(address, _STATE_BEGIN))
        size = len(content) - offset
        if offset % 8 or content[offset:] != ctypes.string_at(address, size):
            return
        self._state_offset = offset
        state = words_at(address, size)

        def save(context: Context) -> None:
            context.state[:] = state

        def load(context: Context) -> None:
            state[:] = context.state

        self.save, self.load = save, load

    def _prepare(self, registers: RegisterSet | tuple[str, ...]) -> _Batch:
        """The C arrays for these registers, made once: the kernel reads the same few sets over and over."""
        words, wide = (registers, ()) if isinstance(registers, tuple) else (registers.words, registers.wide)
        count = len(words) + len(wide)
        layout = Struct(f"<{len(words)}Q" + (f"{len(wide) * RegisterSet.WIDE}s" if wide else ""))
        memory = (ctypes.c_char * layout.size)()
        base = ctypes.addressof(memory)
        places = {name: base + 8 * i for i, name in enumerate(words)}
        places |= {name: base + 8 * len(words) + RegisterSet.WIDE * i for i, name in enumerate(wide)}
        pc = None
        # In a trap, the library would end the run to write the program counter.
        if self._registers.look is None and self._arch.PC in places:
            pc = words.index(self._arch.PC)
            places[self._arch.PC] = places.pop(self._arch.PC)
        ids = (c_int * count)(*[self._ids[name] for name in places])
        slots = (c_void_p * count)(*places.values())
        writes = count if pc is None else count - 1
        batch = self._batches[registers] = _Batch(ids, slots, count, writes, pc, memory, layout)
        return batch

    def _read_batch(self, registers: RegisterSet | tuple[str, ...]) -> _Batch:
        batch = self._batches.get(registers) or self._prepare(registers)
        error = self._reg_read_batch(self._handle, batch.ids, batch.slots, batch.length)
        if error:
            self._check(error, "reading registers")
        return batch

    def _write_batch(self, batch: _Batch) -> None:
        error = self._reg_write_batch(self._handle, batch.ids, batch.slots, batch.writes)
        if error:
            self._check(error, "writing registers")
        if batch.pc is not None:
            self._registers.pc.value = _WORD.unpack_from(batch.memory, 8 * batch.pc)[0]

    def read_set(self, registers: RegisterSet | tuple[str, ...]) -> tuple[Any, ...]:
        batch = self._read_batch(registers)
        return batch.layout.unpack(batch.memory)

    def read_raw(self, registers: RegisterSet) -> bytes:
        return self._read_batch(registers).memory.raw

    def write_raw(self, registers: RegisterSet, data: bytes) -> None:
        batch = self._batches.get(registers) or self._prepare(registers)
        batch.memory.raw = data
        self._write_batch(batch)

    def read(self, names: tuple[str, ...]) -> tuple[int, ...]:
        return self.read_set(names)

    def read_saved(self, context: object, registers: RegisterSet | tuple[str, ...]) -> tuple[Any, ...]:
        assert isinstance(context, Context)
        batch = self._batches.get(registers) or self._prepare(registers)
        read = self._lib.uc_context_reg_read_batch
        self._check(read(context, batch.ids, batch.slots, batch.length), "reading saved registers")
        return batch.layout.unpack(batch.memory)

    def write_saved(self, context: object, registers: RegisterSet | tuple[str, ...], values: tuple[Any, ...]) -> None:
        assert isinstance(context, Context)
        batch = self._batches.get(registers) or self._prepare(registers)
        batch.layout.pack_into(batch.memory, 0, *values)
        write = self._lib.uc_context_reg_write_batch
        self._check(write(context, batch.ids, batch.slots, batch.length), "writing saved registers")

    def write_set(self, registers: RegisterSet | tuple[str, ...], values: tuple[Any, ...]) -> None:
        batch = self._batches.get(registers) or self._prepare(registers)
        batch.layout.pack_into(batch.memory, 0, *values)
        self._write_batch(batch)

    def write(self, values: dict[str, int]) -> None:
        self.write_set(tuple(values), tuple([value & 0xFFFF_FFFF_FFFF_FFFF for value in values.values()]))

    def set_result(self, value: int) -> None:
        words: Any = self._registers.words
        words[self._registers.result] = value & 0xFFFF_FFFF_FFFF_FFFF

    def read_wide(self, name: str, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(max(size, 16))
        self._check(self._reg_read(self._handle, self._ids[name], buffer), f"reading {name}")
        return buffer.raw[:size]

    def write_wide(self, name: str, data: bytes) -> None:
        buffer = ctypes.create_string_buffer(data, max(len(data), 16))
        self._check(self._reg_write(self._handle, self._ids[name], buffer), f"writing {name}")

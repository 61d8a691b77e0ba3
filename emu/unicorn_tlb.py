"""Translations that outlive a switch of address spaces.

A processor with tagged translations (x86's PCID, Arm's ASID) keeps those of several address spaces; the library's
software MMU knows one set, which a switch has to forget: two processes that talk to each other then fetch the same ten
pages, one call of the fill hook each, in every turn.  But all that the library keeps of translations
is one descriptor and one table, and to exchange those is a tag's work.

The library watches stores to translated code by marks in the current TLB only.  A translation put away needs none: one
that may be executed as well as written is watched always, and of one that may only be written the kernel takes
that permission away before the frame becomes executable for anybody (`kernel.fault`).

Where they lie is the library's own affair (exec/cpu-defs.h, hw/core/cpu.h): the offsets are those of version 2.1.4 with
64-bit pointers.  `find` believes them only if everything it can check looks as it must; if not,
switches forget.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_size_t, c_uint16, c_void_p
from functools import partial
from struct import Struct
from types import ModuleType
from typing import Any

from emu.engine import PageTable
from emu.unicorn_registers import cpu_state, words_at

KEPT = 16  # address spaces whose translations are kept

# CPUState
_BLOCKS, _BLOCKS_SIZE = 0x138, 4096 * 8  # tb_jmp_cache: blocks of code by virtual address
# CPUTLBDesc: what is known of large pages, when the window began, what was used in it; the victim TLB, its I/O, and
# a pointer to the table's I/O.
_DESCRIPTOR = Struct("=qqqQQQ512s128sQ")
# CPUTLBDescFast: mask and table.  CPUTLBEntry: the addresses it answers for when read, written and executed, ...
_FAST = Struct("=QQ")
_ENTRY, _IO_ENTRY, _EXECUTED = 64, 16, 16
_ENTRY_SHIFT = 6
_COMMON = 32  # CPUTLBCommon, before the descriptors: begins with a bit for every mode used since its last flush
_BITS = range(6, 23)  # log2 of how many entries a table may have

FIRST_GROWTH = 300  # fills before the first flush that lets it grow


class Tlb:
    """The translations of one address space, named by its page table, whose identity counts; and how well the library's
    TLB is used by it, in calls of the fill hook: `flushed` had been made in all, but for those of other address spaces
    meanwhile, when it was last flushed; `most` is the most between two flushes since `window` began, and after
    `flush_at` of them the TLB is flushed, so that the library makes it larger."""

    __slots__ = ("flush_at", "flushed", "most", "pages", "put_away", "state", "window")

    def __init__(self, pages: PageTable, fills: int, flush_at: int = FIRST_GROWTH, window: int = 0) -> None:
        self.pages = pages
        self.flushed = fills
        self.most = 0
        self.flush_at = flush_at
        self.window = window
        # While another address space is the current one
        self.state: Any = None  # the library's, in words
        self.put_away = 0  # when that was, in calls of the fill hook


class KeptTlbs:
    """The library's TLB, exchanged when the address space is: what it knows of it lies from `state` to `end`, with a
    descriptor and a table for each mode.  Only that of user mode is ever used, and `tlb` is the current one."""

    def __init__(self, cpu: int, state: int, end: int, descriptor: int, fast: int, tlb: Tlb) -> None:
        libc = ctypes.PyDLL(None)
        self._malloc, self._free, self._memset = libc.malloc, libc.free, libc.memset
        self._malloc.argtypes, self._malloc.restype = (c_size_t,), c_void_p
        self._free.argtypes, self._free.restype = (c_void_p,), None
        self._memset.argtypes, self._memset.restype = (c_void_p, c_int, c_size_t), c_void_p
        self._state = words_at(state, end - state)
        self._descriptor, self._fast = words_at(descriptor, _DESCRIPTOR.size), words_at(fast, _FAST.size)
        # Two pointers to what is to be freed
        self._io_table = (descriptor + _DESCRIPTOR.size - state >> 3) - 1
        self._table = (fast + _FAST.size - state >> 3) - 1
        # The arguments are made once, for to convert numbers takes as long as all the rest of the call.
        blocks = c_void_p(cpu + _BLOCKS), c_int(0), c_size_t(_BLOCKS_SIZE)
        self._forget_blocks = partial(ctypes.PyDLL(None).memset, *blocks)
        tlb.state = self._room()
        self._kept: dict[int, Tlb] = {}  # by the page table's id, which is not given to another while it is here

    def switch(self, old: Tlb, pages: PageTable, fills: int) -> Tlb:
        """Put the translations of `old` away and those of `pages`, another address space, in place.  If there are none,
        the TLB is empty, and as large as the last one."""
        state = self._state
        old.state[:] = state
        old.put_away = fills
        forget_blocks = self._forget_blocks
        forget_blocks()
        new = self._kept.get(id(pages))
        if new is None:
            new = self._begin(old, pages, fills)
        else:
            state[:] = new.state
            new.flushed += fills - new.put_away
        if not old.pages:
            self.forget(old.pages)
        return new

    def _begin(self, old: Tlb, pages: PageTable, fills: int) -> Tlb:
        """An address space that nothing is known of comes after `old`."""
        kept = self._kept
        kept[id(old.pages)] = old
        if len(kept) > KEPT:
            self.forget(min(kept.values(), key=lambda tlb: tlb.put_away).pages)
        self._make_table()
        new = kept[id(pages)] = Tlb(pages, fills, old.flush_at, old.window)
        new.state = self._room()
        return new

    def _room(self) -> memoryview:
        return memoryview(bytearray(self._state.nbytes)).cast("Q")

    def rename(self, tlb: Tlb, pages: PageTable) -> None:
        """The current address space has got another page table."""
        self._kept.pop(id(tlb.pages), None)
        self.forget(pages)
        tlb.pages = pages
        self._kept[id(pages)] = tlb

    def _make_table(self) -> None:
        """An empty TLB in place of the one put away, which the library may free or replace as its own."""
        entries = (self._fast[0] >> _ENTRY_SHIFT) + 1
        table, io_table = self._malloc(entries * _ENTRY), self._malloc(entries * _IO_ENTRY)
        if not table or not io_table:
            raise MemoryError("no memory for the translations of another address space")
        self._memset(table, 0xFF, entries * _ENTRY)
        began = _DESCRIPTOR.unpack_from(self._descriptor)[2]
        _DESCRIPTOR.pack_into(self._descriptor, 0, -1, -1, began, 0, 0, 0, b"\xff" * 512, b"", io_table)
        self._fast[1] = table

    def forget(self, pages: PageTable) -> None:
        """Free what is kept of an address space that is not the current one, if anything is."""
        tlb = self._kept.pop(id(pages), None)
        if tlb is not None:
            self._free(tlb.state[self._io_table])
            self._free(tlb.state[self._table])


def find(lib: Any, handle: c_void_p, arch: ModuleType, executed: int, tlb: Tlb) -> KeptTlbs | None:
    """The TLB that holds the page of `executed`, an instruction just run; None if it does not lie where it should.
    What it holds is to be called `tlb`.

    `arch` names the function that gives the CPU's state, and how many modes its TLB has.
    """
    state = cpu_state(lib, handle, arch)
    if state is None:
        return None
    cpu, environment = state
    modes = arch.UNICORN_TLB_MODES
    # What goes before the processor's own state (CPUNegativeOffsetState).
    fast = environment - 16 - modes * _FAST.size
    first = fast - modes * _DESCRIPTOR.size & ~15
    tables = [_FAST.unpack_from(words_at(fast + mode * _FAST.size, _FAST.size)) for mode in range(modes)]
    if any(not table or mask not in {(1 << bits) - 1 << _ENTRY_SHIFT for bits in _BITS} for mask, table in tables):
        return None
    page = executed & ~0xFFF
    for mode, (mask, table) in enumerate(tables):
        place = table + (executed >> 12 << _ENTRY_SHIFT & mask)
        if c_size_t.from_address(place + _EXECUTED).value == page:
            if c_uint16.from_address(first - _COMMON).value != 1 << mode:
                return None  # others have been used, too
            end = fast + modes * _FAST.size
            descriptor = first + mode * _DESCRIPTOR.size
            return KeptTlbs(cpu, first - _COMMON, end, descriptor, fast + mode * _FAST.size, tlb)
    return None

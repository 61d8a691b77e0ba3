"""An address space seen from outside: Linux's ``access_process_vm()`` with FOLL_FORCE, of ``mm/memory.c``.

For ptrace(2) and /proc/PID/mem, which read what the process itself may not, and write where it may not: into a
private copy of the page, as a breakpoint in a program's text is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, READ, WRITE

if TYPE_CHECKING:
    from kernel.mm import AddressSpace
    from kernel.vma import Vma


def read(mm: AddressSpace, address: int, size: int) -> bytes:
    """Up to `size` bytes: as many as come before an address that is not mapped."""
    parts: list[bytes] = []
    while size:
        count = min(size, PAGE_SIZE - address % PAGE_SIZE)
        part = _peek(mm, address, count)
        if part is None:
            break
        parts.append(part)
        address += count
        size -= count
    return b"".join(parts)


def _peek(mm: AddressSpace, address: int, size: int) -> bytes | None:
    """Bytes within one page, None if nothing is mapped there."""
    vma = mm.find(address)
    if vma is None or vma.pfnmap:
        return None
    if vma.prot & READ:
        try:
            return mm.read(address, size)
        except OSError:
            return None
    frame = mm.dump_frame(vma, address & PAGE_MASK)
    if frame:
        return bytes(mm.arena.view(frame + address % PAGE_SIZE, size))
    return None if _beyond_file(vma, address) else bytes(size)


def _beyond_file(vma: Vma, address: int) -> bool:
    return vma.pages is not None and vma.index(address) << PAGE_SHIFT >= vma.pages.size()


def write(mm: AddressSpace, address: int, data: bytes | memoryview) -> int:
    """Write as much of `data` as there are addresses for; the number of bytes."""
    done = 0
    while done < len(data):
        count = min(len(data) - done, PAGE_SIZE - (address + done) % PAGE_SIZE)
        if not _poke(mm, address + done, data[done : done + count]):
            break
        done += count
    return done


def _poke(mm: AddressSpace, address: int, data: bytes | memoryview) -> bool:
    """Write within one page."""
    vma = mm.find(address)
    if vma is None or vma.pfnmap:
        return False
    if vma.prot & WRITE:
        try:
            mm.write(address, data)
        except OSError:
            return False
        return True
    if vma.shared or _beyond_file(vma, address):
        return False
    frame = _own_frame(mm, vma, address)
    mm.arena.view(frame + address % PAGE_SIZE, len(data))[:] = data
    if vma.perms & EXEC:
        mm.arena.on_code_write(frame)
    return True


def _own_frame(mm: AddressSpace, vma: Vma, address: int) -> int:
    """The process's own copy of a page that it may not write to, made if need be."""
    number = address >> PAGE_SHIFT
    mm.thaw(number, number + 1)
    arena = mm.arena
    old = mm.pages.get(number, 0) & PAGE_MASK
    if old and not arena.shared(old) and old != mm.kernel.zero_frame:
        return old
    source = mm.dump_frame(vma, address & PAGE_MASK)
    frame = arena.alloc_copy(source) if source else arena.alloc()
    mm.pages[number] = frame | vma.perms & ~WRITE
    if vma.perms & EXEC:
        arena.executable.add(frame)
    if old:
        arena.drop(old)
    mm.kernel.flush(mm)
    return frame

"""A mapped range of an address space: Linux's ``struct vm_area_struct``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_MASK, PAGE_SIZE, READ, WRITE

if TYPE_CHECKING:
    from vfs.file import File
    from vfs.pages import FilePages

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, READ, WRITE, EXEC


def page_permissions(prot: int) -> int:
    """What the hardware grants for a protection: on every architecture of ours, writable and
    executable pages can be read."""
    return prot | READ if prot & (WRITE | EXEC) else prot


def page_up(n: int) -> int:
    return (n + PAGE_SIZE - 1) & PAGE_MASK


class Vma:
    """A range [start, end) of pages with one protection and one origin.

    `file` is None for anonymous memory; `pages` are the pages behind the mapping, which shared
    anonymous memory has too.  `offset` is the byte in `pages` that `start` maps.  `may` is what
    mprotect may grant (VM_MAYREAD, ...).  `charged`: counts towards committed memory (VM_ACCOUNT).
    `special`: a mapping of the kernel's own, whose size stays (VM_DONTEXPAND, special_mapping_split);
    `pfnmap`: one that the kernel itself does not look into (VM_IO, VM_PFNMAP).
    """

    __slots__ = (
        "anon_name", "charged", "dontcopy", "dontdump", "end", "file", "growsdown", "locked", "may", "merges", "name",
        "noreserve", "offset", "pages", "perms", "pfnmap", "prot", "shared", "special", "start", "wipeonfork",
    )  # fmt: skip

    def __init__(self, start: int, end: int, prot: int) -> None:
        self.start = start
        self.end = end
        self.prot = prot
        self.perms = page_permissions(prot)
        self.may = READ | WRITE | EXEC
        self.shared = False
        self.file: File | None = None
        self.pages: FilePages | None = None
        self.offset = 0
        self.name = b""
        self.anon_name: bytes | None = None  # PR_SET_VMA_ANON_NAME
        self.growsdown = False
        self.noreserve = False
        self.charged = False
        self.locked = False
        self.dontcopy = False
        self.dontdump = False
        self.wipeonfork = False
        self.merges = True
        self.special = False
        self.pfnmap = False

    def set_prot(self, prot: int) -> None:
        self.prot = prot
        self.perms = page_permissions(prot)

    def index(self, address: int) -> int:
        """The page index in `pages` that backs `address`."""
        return (address - self.start + self.offset) >> 12

    def clone(self, start: int, end: int) -> Vma:
        """The same mapping over another range; the offset moves along within the old one."""
        copy = Vma.__new__(Vma)
        for name in Vma.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.start = start
        copy.end = end
        if self.pages is not None:
            copy.offset = self.offset + start - self.start
        return copy

    def continues(self, after: Vma) -> bool:
        """This mapping carries on where `after` ends, alike in all else: the two can be one."""
        return after.merges and self.merges and self.alike(after)

    def alike(self, after: Vma) -> bool:
        """Whether the boundary between this mapping and `after` could be elsewhere."""
        return (
            after.end == self.start
            and after.prot == self.prot
            and after.pages is self.pages
            and after.file is self.file
            and after.shared == self.shared
            and after.may == self.may
            and after.name == self.name
            and after.anon_name == self.anon_name
            and after.growsdown == self.growsdown
            and after.noreserve == self.noreserve
            and after.charged == self.charged
            and after.locked == self.locked
            and after.dontcopy == self.dontcopy
            and after.dontdump == self.dontdump
            and after.wipeonfork == self.wipeonfork
            and (self.pages is None or self.offset == after.offset + after.end - after.start)
        )

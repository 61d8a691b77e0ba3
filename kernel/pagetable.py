"""The page table of an address space, and what a fork does with it.

The table is a dict that the engine reads directly (emu.engine.PageTable).  Copying it entry by entry, and taking
write permission away from each, is what a fork costs, and most of the copies are thrown away by the exec or exit
that follows.  So the entries of a large table are set aside as they are (`Frozen`), in constant time, for parent
and child to share, and both go on with an empty table.  A fault *thaws* the pages around it: their entries
are taken over from what is frozen, without write permission, so that a write copies as after any fork.
Linux shares no page tables; published work on fork in large processes does it by the 2 MiB.

Nobody but the methods here looks at frozen entries: whatever changes or counts entries in another way than by
faults says `thaw` first.  A frozen entry holds one reference to its frame, for all who share it.
"""

from __future__ import annotations

from emu.engine import PAGE_MASK, WRITE
from kernel.uaccess import UserMemory

THAW_SHIFT = 4
THAW_PAGES = 1 << THAW_SHIFT  # thawed at a time, aligned: a block
FREEZE_PAGES = 2048  # smaller tables are copied: that takes less than the faults to come
END = 1 << 52  # beyond any page number


class Frozen:
    """Entries that nobody changes any more, and the tables that share them.  A sole owner takes entries out."""

    __slots__ = ("entries", "owners")

    def __init__(self, entries: dict[int, int], owner: PageTable) -> None:
        self.entries = entries
        self.owners = [owner]


class PageTable(UserMemory):
    """`pages` are the entries the engine may use; those of `frozen` count where the block is not in `thawed`.
    `unseen` is how many do."""

    def __init__(self) -> None:
        self.pages: dict[int, int] = {}
        self.frozen: Frozen | None = None
        self.thawed: set[int] = set()
        self.unseen = 0

    def present(self) -> int:
        """How many pages have an entry."""
        return len(self.pages) + self.unseen

    def is_large(self) -> bool:
        """Whether it takes long to copy `pages`."""
        return len(self.pages) >= FREEZE_PAGES

    def thaw(self, first: int, last: int) -> None:
        """Take over the entries of the pages [first, last), and others near them."""
        frozen = self.frozen
        if frozen is None:
            return
        first, last = first >> THAW_SHIFT, last + THAW_PAGES - 1 >> THAW_SHIFT
        if last - first <= len(frozen.entries) >> THAW_SHIFT:
            for block in range(first, last):
                self.thaw_block(block)
        else:
            for block in {number >> THAW_SHIFT for number in frozen.entries}:
                if first <= block < last:
                    self.thaw_block(block)

    def thaw_block(self, block: int) -> None:
        frozen = self.frozen
        if frozen is None or block in self.thawed:
            return
        self.thawed.add(block)
        pages, entries, refs = self.pages, frozen.entries, self.arena.refs
        before = len(pages)
        start = block << THAW_SHIFT
        if len(frozen.owners) == 1:
            for number in range(start, start + THAW_PAGES):
                entry = entries.pop(number, 0)
                if entry:
                    pages[number] = entry & ~WRITE
        else:
            for number in range(start, start + THAW_PAGES):
                entry = entries.get(number, 0)
                if entry:
                    refs[entry >> 12] += 1
                    pages[number] = entry & ~WRITE
        self.unseen -= len(pages) - before

    def freeze(self, keep: dict[int, int]) -> bool:
        """Set a large table aside; `keep` are entries of it that stay.  True if `pages` is another dict now."""
        if self.frozen is not None and self.unseen < FREEZE_PAGES:
            self._thaw_all()  # no longer worth it
        if not self.is_large():
            return False
        if self.frozen is not None and len(self.frozen.owners) > 1:
            if len(self.pages) < self.unseen:
                return False
            self._thaw_all()
        pages, frozen = self.pages, self.frozen
        for number in keep:
            del pages[number]
        if frozen is None:
            self.frozen = frozen = Frozen(pages, self)
        else:
            frozen.entries.update(pages)
        self.unseen = len(frozen.entries)
        self.pages = keep
        self.thawed = set()
        return True

    def share(self, child: PageTable) -> None:
        """Give a new table all that this one has, without write permission for either."""
        copies = {number: entry & ~WRITE for number, entry in self.pages.items()}
        child.pages.update(copies)
        if self.frozen is not None:
            child.frozen = self.frozen
            child.thawed = self.thawed.copy()
            child.unseen = self.unseen
            self.frozen.owners.append(child)

    def drop_all(self) -> None:
        """Give every page back."""
        drop = self.arena.drop
        for entry in self.pages.values():
            drop(entry & PAGE_MASK)
        self.pages.clear()
        if self.frozen is not None:
            self._leave()

    def _thaw_all(self) -> None:
        self.thaw(0, END)
        self._leave()

    def _leave(self) -> None:
        """Share what is frozen no longer."""
        frozen = self.frozen
        assert frozen is not None
        self.frozen = None
        self.thawed = set()
        self.unseen = 0
        frozen.owners.remove(self)
        if not frozen.owners:
            drop = self.arena.drop
            for entry in frozen.entries.values():
                drop(entry & PAGE_MASK)
        elif len(frozen.owners) == 1:
            frozen.owners[0].inherit()

    def inherit(self) -> None:
        """What is frozen is this table's alone now: nobody will take over what it has taken over."""
        assert self.frozen is not None
        entries, drop, thawed = self.frozen.entries, self.arena.drop, self.thawed
        if len(thawed) << THAW_SHIFT < len(entries):
            numbers = [block << THAW_SHIFT | page for block in thawed for page in range(THAW_PAGES)]
        else:
            numbers = [number for number in entries if number >> THAW_SHIFT in thawed]
        for number in numbers:
            entry = entries.pop(number, 0)
            if entry:
                drop(entry & PAGE_MASK)

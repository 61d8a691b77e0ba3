"""Changing the protection of memory: Linux's ``mm/mprotect.c``, mprotect(2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_MASK, PAGE_SHIFT, WRITE
from kernel.fault import PageFaults
from kernel.vma import page_up

if TYPE_CHECKING:
    from kernel.vma import Vma


class Protection(PageFaults):
    """The part of an address space that changes protections."""

    task_size: int
    mdwe: int
    committed: int
    _starts: list[int]

    def overlapping(self, start: int, end: int) -> list[Vma]:
        """VMAs that share at least a byte with [start, end), in order."""
        raise NotImplementedError

    def _isolate(self, start: int, end: int) -> list[Vma]:
        raise NotImplementedError

    def _rejoin(self, start: int, end: int) -> None:
        raise NotImplementedError

    def protect(self, start: int, size: int, prot: int, *, growsdown: bool = False) -> None:
        """mprotect(2)."""
        end = start + page_up(size)
        if end < start or end > self.task_size:
            raise OSError(errno.ENOMEM, "outside the address space")
        if end == start:
            return
        position = start
        failure: OSError | None = None
        covered = self.overlapping(start, end)
        if growsdown and covered:
            if not covered[0].growsdown:
                raise OSError(errno.EINVAL, "not a growing mapping")
            position = start = min(start, covered[0].start)
        for vma in covered:
            # Linux changes what it can before it reports the first part it could not change.
            if vma.start > position:
                failure = OSError(errno.ENOMEM, "part of the range is not mapped")
                break
            if self.mdwe and prot & EXEC and (prot & WRITE or not vma.prot & EXEC):
                failure = OSError(errno.EACCES, "memory that was writable is not to be executed")
                break
            if prot & ~vma.may:
                failure = OSError(errno.EACCES, "the file was not opened for that")
                break
            position = vma.end
        else:
            if position < end:
                failure = OSError(errno.ENOMEM, "part of the range is not mapped")
        end = min(position, end)
        if start < end:
            self._protect_covered(start, end, prot)
        if failure is not None:
            raise failure

    def _protect_covered(self, start: int, end: int, prot: int) -> None:
        # What stays as it is need not be split; so is it for a part of a special mapping.
        covered = self.overlapping(start, end)
        if all(vma.prot == prot for vma in covered):
            return
        if not (covered[0].merges and covered[-1].merges):
            start, end = self._move_boundaries(covered, start, end, prot)
            if start >= end:
                return
        for vma in self._isolate(start, end):
            if vma.prot == prot:
                continue
            if prot & WRITE and not vma.shared and not vma.charged and not vma.noreserve:
                count = (vma.end - vma.start) >> PAGE_SHIFT
                self.kernel.commit(count)
                self.committed += count
                vma.charged = True
            vma.set_prot(prot)
            self._reprotect(vma)
        self._rejoin(start, end)

    def _move_boundaries(self, covered: list[Vma], start: int, end: int, prot: int) -> tuple[int, int]:
        """Where mappings do not become one, a neighbour that is alike after the change takes over the part that
        changes, as in vma_merge.  The range that is left to be changed."""
        first, last = covered[0], covered[-1]
        following = self.find(first.end)
        if first.start < start and first.end <= end and following is not None:
            tail = first.clone(start, first.end)
            tail.set_prot(prot)
            if following.alike(tail):
                first.end = start
                following.start = self._starts[self.vmas.index(following)] = start
                following.offset = tail.offset
                self._reprotect(following)
                return min(following.end, end), end
        if start <= last.start and end < last.end:
            if start < last.start:
                self._protect_covered(start, last.start, prot)
            before = self.find(last.start - 1)
            rest = last.clone(last.start, end)
            rest.set_prot(prot)
            if before is not None and rest.alike(before):
                at = self.vmas.index(last)
                last.offset += end - last.start
                last.start = self._starts[at] = end
                before.end = end
                self._reprotect(before)
                return end, end
            return last.start, end
        return start, end

    def _reprotect(self, vma: Vma) -> None:
        """Bring page-table entries in line with the VMA's new protection.

        Write permission is never added here: the fault that asks for it knows whether to copy.
        """
        first, last = vma.start >> PAGE_SHIFT, vma.end >> PAGE_SHIFT
        self.thaw(first, last)
        pages = self.pages
        perms = vma.perms
        numbers = range(first, last) if last - first <= 2 * len(pages) else [n for n in pages if first <= n < last]
        flush = False
        for number in numbers:
            entry = pages.get(number, 0)
            if not entry:
                continue
            new = (entry & PAGE_MASK) | (perms & ~WRITE) | (perms & entry & WRITE)
            if new & WRITE and perms & EXEC == 0 and entry & EXEC:
                new &= ~WRITE  # the write fault must forget translated code first
            if new != entry:
                pages[number] = new
                if entry & ~new & 7:
                    flush = True
                if new & EXEC:
                    self.executable(vma, number, new & PAGE_MASK)
        if flush:
            self.kernel.flush(self)

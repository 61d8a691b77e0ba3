"""The vDSO: Linux's ``[vdso]`` and ``[vvar]``, mapped into every program (vdso(7)).

The image is guest code that reads the time without a system call; it belongs to the architecture
(``arch.vdso_image``).  What it needs to know is in one page that the kernel writes and all processes share, the
first of ``[vvar]``: Linux's ``struct vdso_data``, with the numbers of kernel/timekeeping.py.  Without a
usable counter the page says so, and the functions make the system call.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from emu.engine import EXEC, PAGE_SHIFT, PAGE_SIZE, READ, WRITE
from kernel.clock import CLOCK_BOOTTIME, CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI
from vfs.pages import FilePages

if TYPE_CHECKING:
    from kernel.clock import Clock
    from kernel.kernel import Kernel
    from kernel.mm import AddressSpace
    from kernel.timekeeping import Timekeeper
    from vfs.pages import Frames

# struct vdso_data: seq, clock_mode, cycle_last, max_cycles, mult, base, offset[CLOCK_TAI + 1], cpu, node
VDSO_DATA = Struct(f"<II4Q{CLOCK_TAI + 1}q2I")
CLOCK_NONE, CLOCK_COUNTER = 0, 1  # clock_mode


class SpecialMapping(FilePages):
    """struct vm_special_mapping: pages of the kernel's own, never more than those it has from the start."""

    __slots__ = ("count",)

    def __init__(self, frames: Frames, count: int, present: int) -> None:
        super().__init__(frames)
        self.count = count
        self.pages = {index: frames.alloc() for index in range(present)}

    def size(self) -> int:
        return self.count << PAGE_SHIFT

    def frame(self, index: int) -> int:
        try:
            return self.pages[index]
        except KeyError:
            raise OSError(errno.EFAULT, "no such page") from None


class Vdso:
    """The two mappings of one kernel.  Raises OSError(ENOMEM)."""

    __slots__ = ("_clock", "_data", "_image", "_page", "_seq")

    def __init__(self, kernel: Kernel) -> None:
        arena = kernel.arena
        self._clock: Clock = kernel.clock
        arch = kernel.arch
        self._image = SpecialMapping(arena, arch.VDSO_PAGES, arch.VDSO_PAGES)
        image = arch.vdso_image()
        for index, frame in self._image.pages.items():
            part = image[index << PAGE_SHIFT : index + 1 << PAGE_SHIFT]
            arena.view(frame, len(part))[:] = part
        self._data = SpecialMapping(arena, arch.VVAR_PAGES, 1)
        self._page = arena.view(self._data.pages[0], PAGE_SIZE)
        self._seq = 0
        keeper = self._clock.timekeeper
        if keeper is not None:  # without, the page of zeros says CLOCK_NONE
            keeper.updated = lambda: self.update(keeper)
            keeper.advance()

    def update(self, keeper: Timekeeper) -> None:
        """update_vsyscall: tell the guests of a change.  No guest code runs meanwhile: one that was stopped
        while it read the page finds another `seq`."""
        self._seq = self._seq + 1 & 0xFFFF_FFFF
        offsets = [0] * (CLOCK_TAI + 1)
        real = keeper.offs_real + self._clock.realtime_offset
        offsets[CLOCK_REALTIME] = offsets[CLOCK_REALTIME_COARSE] = offsets[CLOCK_TAI] = real
        offsets[CLOCK_BOOTTIME] = keeper.offs_boot
        VDSO_DATA.pack_into(
            self._page, 0, self._seq, CLOCK_COUNTER if keeper.max_cycles else CLOCK_NONE,
            keeper.cycle_last, keeper.max_cycles, keeper.mult, keeper.base, *offsets, 0, 0,
        )  # fmt: skip

    def map(self, mm: AddressSpace) -> int:
        """map_vdso: the address of the image, which AT_SYSINFO_EHDR names.  Raises OSError(ENOMEM)."""
        data_size, image_size = self._data.size(), self._image.size()
        start = mm.gap(data_size + image_size)
        # A debugger may write to the image, into a copy; nobody may write to the data.
        mm.map_special(start + data_size, image_size, READ | EXEC, READ | WRITE | EXEC, self._image, b"[vdso]")
        mm.map_special(start, data_size, READ, READ, self._data, b"[vvar]", pfnmap=True)
        return start + data_size

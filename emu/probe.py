"""Asking the emulated processor what it is.

The guest's own engine cannot be asked while it runs guest code, and asking it beforehand would make
every start slower: the few programs that want to know get an engine of their own.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from emu.arena import Arena
from emu.unicorn_cpu import UnicornCpu

_known: dict[str, Any] = {}


class _Nobody:
    """A supervisor that serves nothing."""

    def syscall(self) -> int | None:
        return None

    def resume(self) -> int | None:
        return None

    def page_fault(self, address: int, access: int) -> int:
        return 0


def identity(arch: ModuleType) -> Any:
    """The architecture's description of its processor (``arch.identify``), made once."""
    found = _known.get(arch.MACHINE)
    if found is None:
        cpu = UnicornCpu(arch)
        cpu.attach(Arena(1 << 24), _Nobody())
        found = _known[arch.MACHINE] = arch.identify(cpu)
    return found

"""From a call's number to the function that serves it.

Modules are imported when the guest first makes a call of their family: a short program pays only for the
families it uses.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from syscalls.abi import Handler, Result, bind
from syscalls.support import Call, Family
from syscalls.table import TABLE

Entry = Callable[[Any], Result]
"""Serves the call in `Cpu.call` for a task."""


def refuse(code: int) -> Handler:
    """The handler of calls that fail with `code`."""

    def sys_refused(t: Any) -> int:
        return -code

    return sys_refused


def hand_over(code: int, name: str) -> Handler:
    """The handler of calls that another backend would serve, and that fail with `code` if there is none.

    EPERM stands for a capability, which on real Linux only root has.
    """

    def sys_handed_over(t: Any) -> int:
        if code != errno.EPERM or t.cred.euid == 0:
            t.kernel.refuses(f"{name}(2)")
        return -code

    return sys_handed_over


def handler(family: Family, call: Call) -> Handler:
    """The function that serves `call`.  Raises LookupError if its module lacks it: a bug in lxrun."""
    if call.support.level == "refused":
        return hand_over(call.support.errno, call.name) if call.vm else refuse(call.support.errno)
    found = getattr(__import__(f"syscalls.{family.module}", fromlist=("*",)), f"sys_{call.name}", None)
    if found is None:
        raise LookupError(f"syscalls/{family.module}.py has no sys_{call.name}")
    return found  # type: ignore[no-any-return]


class CallTable(dict[int, Entry]):
    """Call number -> `Entry`, for one architecture.

    Read it as ``table[number]``, with any number: a line is resolved when it is first used, and
    numbers that Linux does not have give the entry that answers ENOSYS.
    """

    def __init__(self, numbers: dict[int, str]) -> None:
        super().__init__()
        self.names = numbers
        self.call, self.slots = bytearray(56), tuple(range(7))
        self.lines = {call.name: (family, call) for family in TABLE for call in family.calls}
        self.unknown: Entry = refuse(errno.ENOSYS)

    def read_from(self, call: bytearray, slots: tuple[int, ...]) -> None:
        """Before it is used: where the engine puts calls (`Cpu.call`, `Cpu.call_slots`)."""
        self.call, self.slots = call, slots

    def __missing__(self, number: int) -> Entry:
        name = self.names.get(number)
        if name is None:
            return self.unknown  # not kept: a guest may try any number
        entry = self[number] = bind(handler(*self.lines[name]), self.call, self.slots)
        return entry

    def restart(self, number: int) -> str:
        """The restart rule of a call: SYS, NOHAND, BLOCK or NEVER."""
        return self.lines[self.names[number]][1].restart

    def resolve(self) -> None:
        """Fill in every line.  Raises LookupError or TypeError for a bad one."""
        for number in self.names:
            self[number]


def build(numbers: dict[int, str]) -> CallTable:
    """The table that the trap indexes, for an architecture's call numbers."""
    return CallTable(numbers)

"""What cannot be emulated: whoever built the kernel may want to start over with real Linux instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kernel.signal import SIG_DFL, SIGILL

if TYPE_CHECKING:
    from kernel.task import Task


class HandOver(Exception):
    """This run ends here, for another backend to start the same program anew.  It passes through everything.

    `what` cannot be emulated, and `who`, a program, wanted it; both are for people.
    """

    def __init__(self, what: str, who: str) -> None:
        super().__init__(what, who)
        self.what = what
        self.who = who


def lacks_instruction(task: Task) -> None:
    """The task is at an instruction that the engine does not know.  Whoever handles SIGILL expects that it may not
    be there, and one that no processor has is meant to fail; otherwise see `Fallback.missing`."""
    kernel = task.kernel
    if kernel.fallback is None or task.ptrace is not None or task.signals.actions[SIGILL].handler != SIG_DFL:
        return
    pc = kernel.cpu.read((kernel.arch.PC,))[0]
    code = b""
    for size in (kernel.arch.LONGEST_INSTRUCTION, 0x1000 - pc % 0x1000):  # the next page may not be there
        try:
            code = bytes(task.mm.read(pc, size))
            break
        except OSError:
            continue
    name = kernel.arch.isa().lacking_instruction(code)
    if name:
        kernel.fallback.missing(task, f"the instruction {name}")


class Fallback(Protocol):
    """What the kernel is given under --backend auto."""

    def missing(self, task: Task, what: str, who: bytes = b"", *, vm: bool = True) -> None:
        """A task wants what cannot be emulated.  Raises HandOver, or returns: then the task gets an honest error.

        `who` is the path of its program, where that is not yet the task's; `vm` whether real Linux in a VM has it.
        """

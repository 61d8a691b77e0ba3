"""`--backend auto`: lxrun's own kernel, and real Linux in a VM for what that cannot do.

Nothing of the VM is imported unless it comes to that.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from typing import TYPE_CHECKING

from kernel.fallback import HandOver
from lxrun import machine
from lxrun.cli import say
from vfs.outside import outside

if TYPE_CHECKING:
    from kernel.task import Task
    from lxrun.options import Options


def run(options: Options, descriptors: list[int]) -> int:
    """Run the guest that `options` describe, to its end; its wait(2) status.  Raises RunFailure."""
    fallback = Fallback(options, descriptors)
    if fallback.possible:
        outside.expect_restart()
    try:
        status = machine.run(options, descriptors, fallback)
    except HandOver as reason:
        for fd, position in fallback.positions.items():
            os.lseek(fd, position, os.SEEK_SET)
        fallback.tell(f"{reason.what} cannot be emulated: it runs in a VM", reason.who)
    else:
        if fallback.lacked is not None:
            fallback.tell(*fallback.lacked)
        return status
    from lxrun import vmachine

    return vmachine.run(options, descriptors, bytes(outside.input or b""))


def positions_of(descriptors: list[int]) -> dict[int, int]:
    """Where the regular files among the descriptors stand, which a guest moves for all who share them."""
    positions = {}
    for fd in descriptors:
        if S_ISREG(os.fstat(fd).st_mode):
            try:
                positions[fd] = os.lseek(fd, 0, os.SEEK_CUR)
            except OSError:
                pass  # opened with O_PATH
    return positions


class Fallback:
    """Decides, for one run, whether something that cannot be emulated ends it."""

    def __init__(self, options: Options, descriptors: list[int]) -> None:
        self.options = options
        self.descriptors = descriptors
        self.lacked: tuple[str, str] | None = None  # the line about what the guest had to do without; who wanted it
        self.positions = positions_of(descriptors)
        # gdb is connected to this kernel.  A VM is handed three descriptors; others that lxrun was
        # started with are mostly there by accident, but not if they are named.
        named = any("/dev/fd/" in word or "/proc/self/fd/" in word for word in options.args)
        self.possible = not (options.gdb is not None or options.root_id or named)

    def missing(self, task: Task, what: str, who: bytes = b"", *, vm: bool = True) -> None:
        """See `kernel.fallback.Fallback`."""
        path = who if who or task.exe is None else task.exe.text
        program = os.fsdecode(path.rpartition(b"/")[2])
        if vm and self.possible and not outside.changed and not self.has_read() and self.has_vm():
            raise HandOver(what, program)
        if self.lacked is None:
            end = "; --backend vm has it" if vm else ", and a VM has none either"
            self.lacked = f"{what} cannot be emulated{end}", program

    def has_read(self) -> bool:
        """Whether a file was read that a VM is not handed; `outside` knows it of streams."""
        beyond = {fd: position for fd, position in self.positions.items() if fd > 2}
        return beyond != positions_of(list(beyond))

    def has_vm(self) -> bool:
        """Whether a VM can be had here; if not once, then not again."""
        from lxrun.diagnostics import RunFailure
        from vfs import fscred

        guest = fscred.override_creds(fscred.OURSELVES)
        try:
            from lxrun import vmachine

            vmachine.prepared(self.options, self.descriptors)
        except (RunFailure, OSError, ImportError):
            self.possible = False
        finally:
            fscred.override_creds(guest)
        return self.possible

    def tell(self, text: str, who: str) -> None:
        """One line for the user; not for a program that has called `lxrun.run`.  Its names are the guest's."""
        if self.options.report_fd is None:
            say("".join(char if char.isprintable() else "?" for char in f"{who}: {text}"))

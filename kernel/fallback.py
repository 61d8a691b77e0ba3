"""What cannot be emulated: whoever built the kernel may want to start over with real Linux instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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


class Fallback(Protocol):
    """What the kernel is given under --backend auto."""

    def missing(self, task: Task, what: str, who: bytes = b"") -> None:
        """A task wants what cannot be emulated.  Raises HandOver, or returns: then the task gets an honest error.

        `who` is the path of its program, where that is not yet the task's.
        """

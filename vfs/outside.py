"""Whether a run has changed anything outside itself, and what it has taken in: can it be forgotten and started anew?

The objects through which guests reach the host say so where they do.  A run that can be given to another
backend (`kernel.fallback`) begins with `expect_restart`; for all others `input` stays None and nothing is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

MOST_INPUT = 1 << 20  # bytes of standard input that are kept
STDIN = 0


class Outside:
    """One for the process, as the host is."""

    __slots__ = ("changed", "input")

    def __init__(self) -> None:
        self.changed = False  # a byte written to a stream, a file changed, a terminal set, input taken for good
        self.input: bytearray | None = None  # what was read from standard input

    def expect_restart(self) -> None:
        """From here on keep what is needed to start again."""
        self.changed = False
        self.input = bytearray()

    def took(self, fd: int, spans: Iterable[memoryview], count: int) -> None:
        """`count` bytes were read into `spans` from the inherited descriptor `fd`; for when `input` is not None."""
        kept = self.input
        if kept is None:
            return
        # What was typed has been echoed; and only standard input can be given again.
        if self.changed or fd != STDIN or len(kept) + count > MOST_INPUT or os.isatty(fd):
            self.changed = True
            self.input = None
            return
        for span in spans:
            kept += span[:count]
            count -= min(count, len(span))
            if not count:
                return


outside = Outside()

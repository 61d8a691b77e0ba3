"""Reading from terminals, where it has to wait: the loop of Linux's n_tty_read, termios(3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kernel.task import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.task import Task
    from vfs.file import File
    from vfs.pages import Spans
    from vfs.tty import TtyFile


async def read_on(t: Task, file: File, again: Callable[[int], Spans]) -> int:
    """Wait for input: for a line, for VMIN bytes, or as long as VTIME says.  `again` gives the buffer without
    its first bytes.  Once something is read an error or a signal ends the call with what was."""
    terminal = cast("TtyFile", file)
    tty = terminal.tty
    spans = again(0)
    size = sum(map(len, spans))
    pause = tty.pause_ns() or None
    wanted = min(tty.minimum(), size)
    timeout = None if wanted else pause
    done = 0
    try:
        while True:
            try:
                done += terminal.take(again(done))
            except BlockingIOError:
                if not await t.wait(tty.read_wait, timeout_ns=timeout):
                    break
                continue
            if done >= wanted or terminal.hung_up or tty.canonical():
                break
            timeout = pause
    except (Interrupted, OSError):
        if not done:
            raise
    t.read_calls += 1
    t.read_bytes += done
    return done

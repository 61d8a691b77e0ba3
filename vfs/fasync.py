"""Files that send a signal when they become ready: Linux's ``struct fasync_struct``, fcntl(2), O_ASYNC."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vfs.file import File

# si_code of SIGIO
POLL_IN, POLL_OUT, POLL_MSG, POLL_ERR, POLL_PRI, POLL_HUP = 1, 2, 3, 4, 5, 6


class FasyncList:
    """The descriptions with O_ASYNC that wait for the same thing, each with the descriptor it was set through."""

    __slots__ = ("files",)

    def __init__(self) -> None:
        self.files: dict[File, int] = {}

    def set(self, file: File, fd: int, on: bool) -> None:
        """fasync_helper."""
        if on:
            self.files[file] = fd
        else:
            self.files.pop(file, None)

    def kill(self, code: int) -> None:
        """kill_fasync: tell every owner that `code` (POLL_IN, ...) has come true."""
        for file, fd in tuple(self.files.items()):
            if file.owner is not None:
                file.owner.send_sigio(fd, code)

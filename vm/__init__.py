"""The VM backend: a Linux program run by real Linux, in a small QEMU machine that lives as long as the program.

It stands alone: nothing here knows the emulator, and nothing of it is loaded unless a VM is asked for.

    images.py     the kernel and an initramfs with the agent, made once and kept
    kernels.py    which kernel: named, fetched or the host's; its modules
    debian.py     `lxvm setup`: a kernel out of Debian's package, without root
    protocol.py   what lxrun and the agent say to each other
    qemu.py       QEMU's command line; which accelerator works here
    guest.py      a QEMU that runs, and talking to the agent in it
    warm.py       a machine that has booted is kept, and resumed instead of booted
    session.py    one run: order, streams, signals, end
    terminal.py   the user's terminal; being stopped and continued
    trace.py      what the program calls, for whoever watches
    agent/        the guest's init, in C
"""

from __future__ import annotations


class VmError(Exception):
    """The VM could not do its work; the text is one line for the user."""


class NotStarted(Exception):
    """The VM is there, and the program could not be run in it.

    `stage` is "find" (there is no such program, or nothing to run), "exec" (execve(2) refused it) or "cwd";
    `errno` is the guest's, which are Linux's on every host; `head` is the start of the file, `size` its length.
    """

    def __init__(self, stage: str, errno: int, path: bytes, head: bytes = b"", size: int = 0) -> None:
        super().__init__(stage, errno, path)
        self.stage = stage
        self.errno = errno
        self.path = path
        self.head = head
        self.size = size

"""The vocabulary of the table of system calls: how far a call is served, and what a signal does to it."""

from __future__ import annotations

from typing import Final, NamedTuple

# Restart rules, signal(7): what a call interrupted while it waits does after the signal.
SYS: Final = "sys"  # restarted if no handler ran or the handler has SA_RESTART, else EINTR (ERESTARTSYS)
NOHAND: Final = "nohand"  # restarted if no handler ran, else EINTR (ERESTARTNOHAND)
BLOCK: Final = "block"  # as NOHAND, continuing to the same deadline (ERESTART_RESTARTBLOCK)
NEVER: Final = "never"  # EINTR; also for calls that do not wait


class Support(NamedTuple):
    """How far a call is supported.  `note` is for people: what is missing, or why it is refused."""

    level: str  # "full", "partial" or "refused"
    note: str = ""
    errno: int = 0  # what a refused call answers


FULL: Final = Support("full")


def PARTIAL(missing: str) -> Support:
    """The call works, except for what is `missing`."""
    return Support("partial", missing)


def REFUSED(code: int, why: str) -> Support:
    """The call always fails with `code`: what a Linux that was built without the feature answers."""
    return Support("refused", why, code)


class Call(NamedTuple):
    """One system call."""

    name: str
    support: Support
    restart: str = NEVER
    vm: bool = False  # where lxrun cannot serve it, --backend auto goes to real Linux, if that serves the caller


class Family(NamedTuple):
    """Calls that belong together; `module` of this package holds their handlers."""

    title: str
    module: str
    calls: tuple[Call, ...]

"""The names of the system: Linux's ``struct new_utsname``, the object of uname(2)."""

from __future__ import annotations

import errno
import os

SYSNAME = b"Linux"
RELEASE = b"6.12.0-lxrun"
VERSION = b"#1 SMP lxrun 0.1.0"
NAME_MAX = 64  # __NEW_UTS_LEN


def host_name() -> bytes:
    """The name of the machine we run on, as every container shows it."""
    if hasattr(os, "uname"):
        name = os.uname().nodename
    else:
        from socket import gethostname  # costs 14 ms to import, so only where it must

        name = gethostname()
    return name.encode()[:NAME_MAX]


class Uts:
    """A UTS namespace.  All names are bytes without the closing NUL."""

    __slots__ = ("domainname", "machine", "nodename", "release", "sysname", "version")

    def __init__(self, machine: bytes, nodename: bytes | None = None) -> None:
        self.sysname = SYSNAME
        self.nodename = host_name() if nodename is None else nodename
        self.release = RELEASE
        self.version = VERSION
        self.machine = machine
        self.domainname = b"(none)"

    @staticmethod
    def checked(name: bytes) -> bytes:
        """A new host or domain name; EINVAL if it is too long.  It ends at the first NUL."""
        if len(name) > NAME_MAX:
            raise OSError(errno.EINVAL, "name too long")
        return name.split(b"\0", 1)[0]

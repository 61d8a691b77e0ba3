"""What the guest is given by the command line and the host, whichever backend runs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxrun.options import Options

# Why a file that is there is no program.
IS_DIRECTORY = "it is a directory"
NOT_REGULAR = "it is not a regular file"

# For lxrun itself, and no business of the guest.
_OWN_VARIABLES = (b"LXRUN_DEBUG", b"LXRUN_HOST")


def environment(options: Options) -> list[bytes]:
    """The guest's environment as execve(2) takes it."""
    variables: dict[bytes, bytes] = {}
    if not options.clear_env:
        variables = {name: value for name, value in host_environment() if name not in _OWN_VARIABLES}
    for name, text in options.env:
        variables[os.fsencode(name)] = os.fsencode(text)
    return [b"%s=%s" % pair for pair in variables.items()]


def host_environment() -> list[tuple[bytes, bytes]]:
    if os.supports_bytes_environ:
        return list(os.environb.items())
    return [(os.fsencode(name), os.fsencode(value)) for name, value in os.environ.items()]


def below(root: bytes, path: bytes) -> bytes:
    """The guest's name of a host directory inside `root`; / if it lies elsewhere."""
    if root == b"/" or path == root:
        return path if root == b"/" else b"/"
    return path[len(root) :] if path.startswith(root + b"/") else b"/"

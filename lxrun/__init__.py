"""lxrun: run unmodified Linux programs without a Linux kernel.

The public face is `run`, modelled on `subprocess.run`:

    >>> import lxrun
    >>> lxrun.run(["/bin/busybox", "echo", "hello"], capture_output=True).stdout
    b'hello\\n'

Names are loaded on first use, so that the command does not pay for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "CannotRun",
    "Completed",
    "NotFound",
    "RunError",
    "TimeoutExpired",
    "become",
    "preload",
    "returncode",
    "run",
]

if TYPE_CHECKING:
    from lxrun.api import (
        DEVNULL,
        PIPE,
        STDOUT,
        CannotRun,
        Completed,
        NotFound,
        RunError,
        TimeoutExpired,
        become,
        preload,
        returncode,
        run,
    )


def __getattr__(name: str) -> object:
    if name in __all__:
        from lxrun import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

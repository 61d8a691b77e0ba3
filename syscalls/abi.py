"""How arguments of a system call reach its handler.

A handler's annotations say how the raw 64-bit registers are read, once, when the table is built:
``def lseek(t: Task, fd: Int, offset: Long, whence: UInt) -> Result``.  The dispatcher then unpacks
the register block with one precompiled struct, so that conversion costs nothing per call.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from struct import Struct
from typing import Any, TypeAlias

Int: TypeAlias = int  # C int: signed 32 bits
UInt: TypeAlias = int  # C unsigned int
Long: TypeAlias = int  # C long, off_t, ssize_t: signed 64 bits
ULong: TypeAlias = int  # C unsigned long, size_t
Ptr: TypeAlias = int  # an address in the guest

Result: TypeAlias = int | Coroutine[Any, Any, int]
"""A result (negative: -errno, in host numbers), or, where the call must wait, a coroutine of it."""


Handler: TypeAlias = Callable[..., Result]

SLOTS = {"Int": "i4x", "UInt": "I4x", "Long": "q", "ULong": "Q", "Ptr": "Q"}

ARGS_OFFSET = 8  # the call number comes first in Cpu.call


def unpacker(handler: Handler) -> Struct:
    """The struct that turns the argument registers into this handler's arguments.

    Reads the names of the annotations instead of evaluating them (inspect.signature takes 20 µs a
    handler).  Raises TypeError for an annotation that is not one of the aliases above.
    """
    function: Any = handler  # a plain `def` or `async def`
    code = function.__code__
    annotations = function.__annotations__
    try:
        return Struct("<" + "".join([SLOTS[annotations[name]] for name in code.co_varnames[1 : code.co_argcount]]))
    except KeyError as name:
        raise TypeError(f"{function.__module__}.{function.__qualname__}: no register holds a {name}") from None

"""How arguments of a system call reach its handler.

A handler's annotations say how the raw 64-bit registers are read, once, when the table is built:
``def lseek(t: Task, fd: Int, offset: Long, whence: UInt) -> Result``.  The registers are then unpacked
with one precompiled struct, so that conversion costs nothing per call.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
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


def bind(handler: Handler, call: bytearray, slots: tuple[int, ...]) -> Callable[[Any], Result]:
    """What serves the call in `Cpu.call`, whose words lie at `Cpu.call_slots`, for a task: `handler` with its
    arguments out of their registers.

    Reads the names of the annotations instead of evaluating them (inspect.signature takes 20 µs a
    handler).  Raises TypeError for an annotation that is not one of the aliases above.
    """
    function: Any = handler  # a plain `def` or `async def`
    code = function.__code__
    names = code.co_varnames[1 : code.co_argcount]
    places = slots[1 : len(names) + 1]
    order = tuple(sorted(range(len(names)), key=places.__getitem__))
    layout, end = "<", 0
    for argument in order:
        try:
            kind = SLOTS[function.__annotations__[names[argument]]]
        except KeyError as name:
            raise TypeError(f"{function.__module__}.{function.__qualname__}: no register holds a {name}") from None
        layout += f"{8 * (places[argument] - end)}x{kind}"
        end = places[argument] + 1
    served: Callable[[Any], Result] = _binder(order)(handler, Struct(layout).unpack_from, call)
    return served


@cache
def _binder(order: tuple[int, ...]) -> Callable[..., Any]:
    """A function that makes the function `serve` of `bind` for as many arguments, found in memory in this order.
    Written out and compiled, as `namedtuple` does: to pass them on as a tuple takes half as long again."""
    lines = ["def binder(handler, unpack, call):", "    def serve(task):"]
    if order:
        lines.append("        " + "".join(f"a{argument}, " for argument in order) + "= unpack(call)")
    given = "".join(f", a{argument}" for argument in range(len(order)))
    lines += [f"        return handler(task{given})", "    return serve"]
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)
    binder: Callable[..., Any] = scope["binder"]
    return binder

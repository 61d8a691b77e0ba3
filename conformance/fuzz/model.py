"""A program of system calls: what its arguments are, and how the interpreter is told of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

SHOWS = ("", "pair", "raw", "stat", "statx", "statfs", "dirents", "inotify", "path")
"""How a buffer is shown after its call: parts of runtime.c, and `pair` for two descriptors."""
BY_RESULT = frozenset({"dirents", "inotify", "path"})
"""Those of which only as many bytes count as the call has returned."""


@dataclass(frozen=True, slots=True)
class Int:
    """A number, and how C writes it if not in figures."""

    value: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """An address in the region that calls change the mappings of."""

    offset: int


@dataclass(frozen=True, slots=True)
class Want:
    """The `back`-th latest descriptor of one of these kinds; `settle` makes a Ref of it."""

    kinds: tuple[str, ...]
    back: int


@dataclass(frozen=True, slots=True)
class Ref:
    """What an earlier call returned, or if `which` is not -1 one of the two descriptors it stored."""

    call: int
    which: int = -1


@dataclass(frozen=True, slots=True)
class Buf:
    """`size` bytes of memory, of which the last `missing` cannot be accessed, that start with `data`.

    `fields` are stored in it: offset, width in bytes, value.
    """

    size: int
    data: bytes = b""
    missing: int = 0
    show: str = ""
    fields: tuple[tuple[int, int, Value], ...] = ()

    @classmethod
    def text(cls, text: str) -> Buf:
        data = text.encode() + b"\0"
        return cls(len(data), data)


Value = Int | Place | Want | Ref | Buf


@dataclass(frozen=True, slots=True)
class Step:
    """A call and its arguments.  `gives` names the kinds of descriptors that it returns or stores."""

    name: str
    args: tuple[Value, ...]
    gives: tuple[str, ...] = ()


Program = tuple[Step, ...]


def settle(steps: list[Step], makers: dict[str, Program]) -> Program:
    """`steps` with every Want a Ref.  What is wanted and not there is made first, by the `makers` of its kind."""
    done: list[Step] = []
    made: list[tuple[str, Ref]] = []

    def add(step: Step) -> None:
        for kind in {want.kinds[0]: want for arg in step.args for want in _wants(arg) if not find(want)}:
            for maker in makers[kind]:
                add(maker)
        done.append(replace(step, args=tuple(settled(arg) for arg in step.args)))
        pair = len(step.gives) > 1
        made.extend((kind, Ref(len(done) - 1, which if pair else -1)) for which, kind in enumerate(step.gives))

    def find(want: Want) -> Ref | None:
        fitting = [ref for kind, ref in reversed(made) if kind in want.kinds]
        return fitting[want.back % len(fitting)] if fitting else None

    def settled(value: Value) -> Value:
        if isinstance(value, Want):
            found = find(value)
            assert found
            return found
        if isinstance(value, Buf) and value.fields:
            return replace(value, fields=tuple((at, width, settled(each)) for at, width, each in value.fields))
        return value

    for step in steps:
        add(step)
    return tuple(done)


def _wants(value: Value) -> list[Want]:
    if isinstance(value, Want):
        return [value]
    return [want for _, _, each in value.fields for want in _wants(each)] if isinstance(value, Buf) else []


def encode(program: Program, numbers: dict[str, int]) -> bytes:
    """The interpreter's words; `numbers` are the places of calls in its table."""
    words = bytearray(_words(len(program)))
    for step in program:
        words += _words(numbers[step.name], len(step.args))
        for arg in step.args:
            words += _value(arg)
    return struct.pack("=I", len(words)) + words


def _words(*values: int) -> bytes:
    return b"".join(struct.pack("=Q", value & 0xFFFF_FFFF_FFFF_FFFF) for value in values)


def _value(value: Value) -> bytes:
    match value:
        case Int(number):
            return _words(0, number)
        case Ref(call, which):
            return _words(1, call, which)
        case Place(offset):
            return _words(3, offset)
        case Buf(size, data, missing, show, fields):
            head = _words(2, size, missing, SHOWS.index(show), len(data)) + data + bytes(-len(data) % 8)
            return head + _words(len(fields)) + b"".join(_words(at, width) + _value(each) for at, width, each in fields)
        case Want():
            raise ValueError("a program that was not settled")

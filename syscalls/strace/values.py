"""How strace writes plain values: numbers, flags, strings, addresses, descriptors.

A decoder turns a register into text.  It is handed the `Traced` call, so that it can read the
guest's memory and see the other arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct, iter_unpack
from typing import Any, Protocol, TypeAlias

from syscalls.strace import constants

ULONG_MAX = (1 << 64) - 1


class Memory(Protocol):
    """What decoders need of an address space."""

    def read(self, addr: int, n: int) -> bytes:
        """`n` bytes; raises OSError if any of them is not there."""


class Traced:
    """A call in progress or just finished.  `result` is None until it has returned; -errno if it failed."""

    __slots__ = ("args", "limit", "mm", "name", "result", "saved")

    def __init__(self, name: str, args: tuple[int, ...], mm: Memory, limit: int) -> None:
        self.name = name
        self.args = args
        self.mm = mm
        self.limit = limit  # bytes of a string and elements of an array that are printed
        self.result: int | None = None
        self.saved: Any = None  # what a decoder saw on entry and needs at the end

    @property
    def failed(self) -> bool:
        return self.result is not None and self.result < 0

    def read(self, addr: int, size: int) -> bytes | None:
        """Guest memory, or None where it cannot be read."""
        try:
            return self.mm.read(addr, size)
        except OSError:
            return None

    def unpack(self, layout: Struct, addr: int) -> tuple[Any, ...] | None:
        data = self.read(addr, layout.size)
        return None if data is None else layout.unpack(data)


Decode: TypeAlias = Callable[[Traced, int], str]


class Arg:
    """One argument of a call.  `out`: known only once the call has returned.  `kind` says what the
    filters %file and %desc look for."""

    __slots__ = ("decode", "kind", "out")

    def __init__(self, decode: Decode, out: bool = False, kind: str = "") -> None:
        self.decode = decode
        self.out = out
        self.kind = kind


def out(arg: Arg) -> Arg:
    """The call stores this argument: printed when it has returned, as an address if it failed."""

    def decode(call: Traced, value: int) -> str:
        return address_text(value) if call.failed else arg.decode(call, value)

    return Arg(decode, out=True, kind=arg.kind)


# Numbers


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def address_text(value: int) -> str:
    return hex(value) if value else "NULL"


def hex_text(value: int) -> str:
    """printf's %#x."""
    return hex(value) if value else "0"


def identity_text(value: int) -> str:
    """A uid_t or gid_t; -1 stands for "unchanged"."""
    return "-1" if value == 0xFFFFFFFF else str(value)


def device_text(value: int) -> str:
    """A dev_t."""
    major = (value >> 8 & 0xFFF) | (value >> 32 & ~0xFFF)
    minor = (value & 0xFF) | (value >> 12 & 0xFFFFFF00)
    return f"makedev({hex_text(major)}, {hex_text(minor)})"


def octal_text(value: int) -> str:
    """printf's %#03o."""
    return f"0{value:o}".rjust(3, "0") if value else "000"


integer = Arg(lambda call, value: str(signed(value, 32)))
unsigned = Arg(lambda call, value: str(value & 0xFFFFFFFF))
long = Arg(lambda call, value: str(signed(value, 64)))
size = Arg(lambda call, value: str(value))
hexadecimal = Arg(lambda call, value: hex_text(value))
hexadecimal32 = Arg(lambda call, value: hex_text(value & 0xFFFFFFFF))
address = Arg(lambda call, value: address_text(value))
mode = Arg(lambda call, value: octal_text(value & 0xFFFF))
device = Arg(lambda call, value: device_text(value & 0xFFFFFFFF))
identity = Arg(lambda call, value: identity_text(value & 0xFFFFFFFF))


out_address = Arg(lambda call, value: address_text(value), out=True)


# Names


def flags_text(table: dict[int, str], value: int, default: str) -> str:
    """Names of the bits joined by |, what is left in hexadecimal; `default`_??? if no bit has a name."""
    if value in table:
        return table[value]
    if not value:
        return "0"
    names = []
    rest = value
    for bits, name in table.items():
        if bits and rest & bits == bits:
            names.append(name)
            rest &= ~bits
    if not names:
        return unknown_text(value, default)
    if rest:
        names.append(hex(rest))
    return "|".join(names)


def unknown_text(value: int, default: str) -> str:
    """A value without a name; `default` is the prefix of the names, or with ? in it the whole comment."""
    return f"{hex_text(value)} /* {default if '?' in default else default + '???'} */"


def more_flags(table: dict[int, str], value: int) -> str:
    """Flags beside a part that has been printed: |A|B|0x40, or nothing."""
    if not value:
        return ""
    text = flags_text(table, value, "")
    return "|" + (text if not text.endswith("*/") else hex(value))


def choice_text(table: dict[int, str], value: int, default: str) -> str:
    """The name of one value."""
    name = table.get(value)
    return name if name is not None else unknown_text(value, default)


def flags(table: dict[int, str], default: str, bits: int = 32) -> Arg:
    mask = (1 << bits) - 1
    return Arg(lambda call, value: flags_text(table, value & mask, default))


def choice(table: dict[int, str], default: str) -> Arg:
    return Arg(lambda call, value: choice_text(table, value & 0xFFFFFFFF, default))


def signal_name(number: int) -> str:
    if number in constants.SIGNALS:
        return "SIG" + constants.SIGNALS[number]
    if number == 32:
        return "SIGRTMIN"
    if 32 < number <= 64:
        return f"SIGRT_{number - 32}"
    return str(number)


signal_number = Arg(lambda call, value: signal_name(signed(value, 32)))


def mode_text(value: int) -> str:
    """A st_mode."""
    kind = constants.FILE_TYPES.get(value & 0o170000)
    parts = [] if kind is None else [kind]
    rest = value & ~0o170000 if kind else value
    for bit, name in ((0o4000, "S_ISUID"), (0o2000, "S_ISGID"), (0o1000, "S_ISVTX")):
        if rest & bit:
            parts.append(name)
            rest &= ~bit
    return "|".join([*parts, octal_text(rest)])


file_mode = Arg(lambda call, value: mode_text(value & 0xFFFFFFFF))


# Descriptors


def fd_text(value: int) -> str:
    return str(signed(value, 32))


fd = Arg(lambda call, value: fd_text(value), kind="desc")
dirfd = Arg(lambda call, value: "AT_FDCWD" if signed(value, 32) == -100 else fd_text(value), kind="desc")


# Strings

_ESCAPES = {9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
_PLAIN = {byte: _ESCAPES.get(byte, chr(byte)) for byte in (*range(32, 127), *_ESCAPES)}


def quote(data: bytes, hexadecimal: bool = False) -> str:
    """A C string literal: octal escapes, three digits only where a octal digit follows."""
    if hexadecimal:
        return '"' + "".join([f"\\x{byte:02x}" for byte in data]) + '"'
    parts = []
    last = len(data) - 1
    for index, byte in enumerate(data):
        plain = _PLAIN.get(byte)
        if plain is not None:
            parts.append(plain)
        elif index < last and 48 <= data[index + 1] <= 55:
            parts.append(f"\\{byte:03o}")
        else:
            parts.append(f"\\{byte:o}")
    return '"' + "".join(parts) + '"'


def buffer_text(call: Traced, addr: int, length: int, hexadecimal: bool = False) -> str:
    """`length` bytes at `addr`, cut at the limit."""
    if not addr:
        return "NULL"
    shown = min(length, call.limit)
    data = call.read(addr, shown) if shown else b""
    if data is None:
        return hex(addr)
    return quote(data, hexadecimal) + ("..." if length > shown else "")


def cstring(call: Traced, addr: int, limit: int) -> bytes | None:
    """Up to `limit` bytes of a string, with the NUL if it lies within them; None if unreadable."""
    pieces = b""
    while len(pieces) < limit:
        step = min(4096 - (addr + len(pieces) & 4095), limit - len(pieces))
        piece = call.read(addr + len(pieces), step)
        if piece is None:
            return None
        end = piece.find(b"\0")
        if end >= 0:
            return pieces + piece[: end + 1]
        pieces += piece
    return pieces


def string_text(call: Traced, addr: int, limit: int | None = None) -> str:
    """A NUL-terminated string, cut at the limit."""
    if not addr:
        return "NULL"
    limit = call.limit if limit is None else limit
    data = cstring(call, addr, limit + 1)
    if data is None:
        return hex(addr)
    if data.endswith(b"\0"):
        return quote(data[:-1])
    return quote(data[:limit]) + "..."


PATH_MAX = 4096

string = Arg(string_text)
path = Arg(lambda call, value: string_text(call, value, PATH_MAX - 1), kind="file")


def buffer(length_index: int) -> Arg:
    """Bytes that the call reads; their number is another argument."""
    return Arg(lambda call, value: buffer_text(call, value, call.args[length_index]))


def out_buffer(hexadecimal: bool = False) -> Arg:
    """Bytes that the call stored, as many as it returned."""
    return out(Arg(lambda call, value: buffer_text(call, value, call.result or 0, hexadecimal)))


# Structs and arrays


def pointer(decode: Callable[[Traced, int], str | None]) -> Arg:
    """What an address points to; the address itself where `decode` says it cannot be read."""

    def text(call: Traced, value: int) -> str:
        if not value:
            return "NULL"
        found = decode(call, value)
        return hex(value) if found is None else found

    return Arg(text)


def struct(layout: str, show: Callable[..., str]) -> Arg:
    """A pointer to a struct; `show` gets its fields."""
    fields = Struct(layout)

    def decode(call: Traced, value: int) -> str | None:
        found = call.unpack(fields, value)
        return None if found is None else show(*found)

    return pointer(decode)


def number(layout: str, show: Callable[[int], str] = str) -> Arg:
    """A pointer to one number: [7]."""
    return struct(layout, lambda value: f"[{show(value)}]")


def array(
    call: Traced, addr: int, count: int, layout: str, show: Callable[..., str], limit: int | None = None
) -> str | None:
    """`count` elements at `addr`; None if the first cannot be read."""
    if not count:
        return "[]"
    shown = min(count, call.limit if limit is None else limit)
    fields = Struct(layout)
    data = call.read(addr, shown * fields.size)
    tail = ", ..." if count > shown else ""
    if data is None:
        good = 0
        while good < shown and call.read(addr + good * fields.size, fields.size) is not None:
            good += 1
        if not good:
            return None
        data = call.read(addr, good * fields.size) or b""
        tail = f", ... /* {addr + good * fields.size:#x} */"
    return "[" + ", ".join([show(*element) for element in iter_unpack(layout, data)]) + tail + "]"


def joined(fields: Sequence[tuple[str, object]]) -> str:
    """{name=value, name=value}"""
    return "{" + ", ".join([f"{name}={value}" for name, value in fields]) + "}"

"""C: the interpreter, and a program written out for a reader."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from conformance.fuzz.model import BY_RESULT, SHOWS, Buf, Int, Place, Program, Ref, Step, Value

MAPS = frozenset({"mmap", "mremap"})
"""Calls that return an address."""


def _read(name: str) -> str:
    return files("conformance.fuzz").joinpath(name).read_text(encoding="utf-8")


def interpreter(names: Iterable[str]) -> dict[str, str]:
    """The files of the interpreter, whose table has the calls in this order; `touch` is no call of the kernel's."""
    rows = [f'    {{"{name}", SYS_{name}, {int(name in MAPS)}}},' if name != "touch" else "    {0}," for name in names]
    shows = ["NULL", *("show_raw" if show == "pair" else f"show_{show}" for show in SHOWS[1:])]
    table = "\n".join([
        "static const struct {", "    const char *name;", "    long number;", "    int maps;", "} names[] = {",
        *rows, "};",
        f"static void (*const shows_by[])(const char *, long) = {{{', '.join(shows)}}};",
        f"static const char shows_result[] = {{{', '.join(str(int(show in BY_RESULT)) for show in SHOWS)}}};", "",
    ])  # fmt: skip
    return {"interpreter.c": _read("interpreter.c"), "runtime.c": _read("runtime.c"), "names.h": table}


def standalone(program: Program, comment: Iterable[str]) -> str:
    """`program` as a C program of its own, with the parts of the runtime that it needs."""
    writer = _Writer(program)
    body = writer.body()
    if writer.uses & {"path"}:
        body = ["    getcwd(home, sizeof home);", *body]
    lines = [f"// {line}" for line in comment]
    return "\n".join([*lines, *_parts(writer.uses), "int main(void)", "{", "    start();", *body, "}", ""])


def _parts(uses: set[str]) -> list[str]:
    found = {}
    for text in _read("runtime.c").split("//- ")[1:]:
        head, _, body = text.partition("\n")
        found[head.split()[0]] = (head.split()[1:], body)
    wanted: set[str] = set()

    def want(name: str) -> None:
        wanted.add(name)
        for other in found[name][0]:
            want(other)

    for name in {"base", *uses}:
        want(name)
    return [body for name, (_, body) in found.items() if name in wanted]


class _Writer:
    """Turns steps into statements; `uses` are the parts of the runtime that they need."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.uses: set[str] = set()
        self.named = {ref.call for step in program for arg in step.args for ref in _refs(arg) if ref.which < 0}
        self.lines: list[str] = []
        self.buffers = 0

    def body(self) -> list[str]:
        for number, step in enumerate(self.program):
            self._step(number, step)
        return self.lines

    def _step(self, number: int, step: Step) -> None:
        first = self.buffers
        shows: list[tuple[str, str, int]] = []
        args = [self._value(arg, shows) for arg in step.args]
        if step.name == "touch":
            self.uses.add("touch")
            self.lines.append(f"    touch({', '.join(args)});")
            return
        how = "mapped" if step.name in MAPS else "result"
        self.uses |= {"mapped"} & {how}
        call = f'{how}("{step.name}", syscall({", ".join([f"SYS_{step.name}", *args])}))'
        if shows or number in self.named:
            call = f"long r{number} = {call}"
        self.lines.append(f"    {call};")
        for show, name, size in shows:
            self.uses.add("raw" if show == "pair" else show)
            length = f"r{number}" if show in BY_RESULT else str(size)
            self.lines.append(f"    if (r{number} >= 0)")
            self.lines.append(f"        show_{'raw' if show == 'pair' else show}({name}, {length});")
            if show == "pair":
                self.uses.add("two")
                self.lines.append(
                    f"    int a{number} = two(r{number}, {name}, 0), b{number} = two(r{number}, {name}, 1);"
                )
        if self.buffers > first and self.lines and number + 1 < len(self.program):
            self.lines.append("")

    def _value(self, value: Value, shows: list[tuple[str, str, int]]) -> str:
        match value:
            case Int(number, text):
                return text or (f"{number}L" if -(1 << 63) < number < 1 << 63 else f"{number & (1 << 64) - 1:#x}UL")
            case Ref(call, which):
                return f"r{call}" if which < 0 else f"{'ab'[which]}{call}"
            case Place(offset):
                self.uses.add("region")
                return f"REGION + {offset}L"
            case Buf():
                return self._buffer(value, shows)
        raise ValueError("a program that was not settled")

    def _buffer(self, buffer: Buf, shows: list[tuple[str, str, int]]) -> str:
        if (buffer.size, buffer.show, buffer.missing, buffer.fields) == (len(buffer.data), "", 0, ()) and (
            buffer.data[-1:] == b"\0"
        ):
            return _literal(buffer.data[:-1])
        self.uses.add("buffer")
        name = f"m{self.buffers}"
        self.buffers += 1
        data = _literal(buffer.data) if buffer.data else '""'
        self.lines.append(f"    char *{name} = buffer({buffer.size}, {buffer.missing}, {data}, {len(buffer.data)});")
        for at, width, each in buffer.fields:
            self.uses.add("put")
            text = self._value(each, shows)
            self.lines.append(f"    put({name}, {at}, {width}, (long){text});")
        if buffer.show:
            shows.append((buffer.show, name, buffer.size - buffer.missing))
        return name


def _refs(value: Value) -> list[Ref]:
    if isinstance(value, Ref):
        return [value]
    return [ref for _, _, each in value.fields for ref in _refs(each)] if isinstance(value, Buf) else []


def _literal(data: bytes) -> str:
    """A string of C's; octal escapes, since those have at most three digits."""
    text = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in data)
    return f'"{text}"'

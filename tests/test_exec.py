"""The program loader against real Linux: what execve(2) accepts, refuses and kills, and what a new
program finds in its address space and on its stack."""

from __future__ import annotations

import errno
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exec_pair import Outcome, emulated, machine, native
from harness import compile_program

from emu.elf import BadImage, Identity, Image, ImageCache, Segment, read_image
from kernel import exec as program
from vfs.file import O_WRONLY

# Program header fields: offset in Elf64_Phdr and format
PHDR = {
    "type": (0, "<I"), "flags": (4, "<I"), "offset": (8, "<Q"), "vaddr": (16, "<Q"), "filesz": (32, "<Q"),
    "memsz": (40, "<Q"), "align": (48, "<Q"),
}  # fmt: skip
EHDR = {
    "ei_class": (4, "B"), "data": (5, "B"), "version": (6, "B"), "type": (16, "<H"), "machine": (18, "<H"),
    "e_version": (20, "<I"), "entry": (24, "<Q"), "phoff": (32, "<Q"), "ehsize": (52, "<H"), "phentsize": (54, "<H"),
    "phnum": (56, "<H"),
}  # fmt: skip
PT_LOAD, PT_INTERP, PT_GNU_STACK = 1, 3, 0x6474E551
R, W, X = 4, 2, 1
CODE = 0x1000  # where the code lies in a file of `elf`

SOURCE = """
#include <unistd.h>
char zeroed[100000], given[5000] = "data";
int main(void) { return 7; }
"""


def load(**fields: int) -> dict[str, int]:
    """A PT_LOAD; by default a page of code at 0x401000."""
    return {"type": PT_LOAD, "flags": R | X, "offset": CODE, "vaddr": 0x401000, "filesz": 4096, "memsz": 4096,
            "align": 4096, **fields}  # fmt: skip


def elf(*headers: dict[str, int], size: int = 3 * 4096, tail: bytes = b"", **fields: Any) -> bytes:
    """An ELF file with these program headers and header fields."""
    data = bytearray(size)
    data[:16] = b"\x7fELF\x02\x01\x01" + bytes(9)
    for name, value in {
        "type": 2, "machine": 62, "e_version": 1, "entry": 0x401000, "phoff": 64, "ehsize": 64, "phentsize": 56,
        "phnum": len(headers), **fields,
    }.items():  # fmt: skip
        offset, layout = EHDR[name]
        struct.pack_into(layout, data, offset, value)
    for number, header in enumerate(headers):
        for name, value in header.items():
            offset, layout = PHDR[name]
            struct.pack_into(layout, data, 64 + 56 * number + offset, value & (1 << 64) - 1)
    for at in range(512, size):
        data[at] = at * 7 & 0xFF
    return bytes(data) + tail


def with_interp(name: bytes, *, size: int | None = None) -> bytes:
    return elf(
        {"type": PT_INTERP, "offset": 3 * 4096, "filesz": len(name) if size is None else size}, load(), tail=name
    )


DYN: dict[str, Any] = {"type": 3, "entry": 0x1000}
BIG = 1 << 63

FILES: dict[str, bytes] = {
    "plain": elf(load()),
    "two": elf(load(offset=0, vaddr=0x400000), load()),
    # The header
    "class 1": elf(load(), ei_class=1),
    "class 77": elf(load(), ei_class=77),
    "big-endian mark": elf(load(), data=2),
    "version": elf(load(), version=9, e_version=77, ehsize=3),
    "i386": elf(load(), machine=3),
    "aarch64": elf(load(), machine=183),
    "relocatable": elf(load(), type=1),
    "core": elf(load(), type=4),
    "type 0": elf(load(), type=0),
    "phentsize": elf(load(), phentsize=55),
    "phnum 0": elf(phnum=0),
    "phnum 73": elf(load(), phnum=73),
    "phnum 74": elf(load(), phnum=74),
    "phnum 1170": elf(load(), phnum=1170, size=70000),
    "phnum 1171": elf(load(), phnum=1171, size=70000),
    "phoff at the end": elf(load(), phoff=3 * 4096 - 55),
    "phoff beyond": elf(load(), phoff=1 << 40),
    "phoff negative": elf(load(), phoff=BIG),
    "phoff -1": elf(load(), phoff=2 * BIG - 1),
    "entry 0": elf(load(), entry=0),
    "entry in the kernel": elf(load(), entry=BIG),
    "entry TASK_SIZE": elf(load(), entry=0x7FFFFFFFF000),
    "empty": b"",
    "magic": b"\x7fELF",
    "18 bytes": elf(load())[:18],
    "57 bytes": elf(load())[:57],
    "63 bytes": elf(load())[:63],
    "64 bytes": elf(load())[:64],
    "headers in the header": elf(load(), phoff=0)[:64],
    "text": b"hello\n",
    # Segments
    "no segment": elf({"type": 0}),
    "filesz > memsz": elf(load(memsz=1)),
    "offset and address disagree": elf(load(offset=CODE + 1)),
    "inset": elf(load(offset=CODE + 0x123, vaddr=0x401123)),
    "inset, small offset": elf(load(offset=0x10, vaddr=0x401123)),
    "low": elf(load(vaddr=0)),
    "in the kernel": elf(load(vaddr=0xFFFF800000000000)),
    "at the end": elf(load(vaddr=0x7FFFFFFFE000)),
    "over the stack": elf(load(vaddr=0x7FFFFFFFD000)),
    "second over the stack": elf(load(), load(vaddr=0x7FFFFFFF0000)),
    "huge filesz": elf(load(filesz=1 << 62, memsz=1 << 62)),
    "filesz -1": elf(load(filesz=-1, memsz=-1)),
    "huge memsz": elf(load(memsz=0x7FFFFFFFF000)),
    "memsz TASK_SIZE": elf(load(memsz=0x7FFFFFFFF000 - 0x401000, flags=R | W | X)),
    "offset beyond": elf(load(offset=0x100000)),
    "offset negative": elf(load(offset=BIG)),
    "offset just positive": elf(load(offset=BIG - 4096)),
    "align 3": elf(load(align=3)),
    "align 0": elf(load(align=0)),
    "align 2M": elf(load(align=1 << 21)),
    "no permissions": elf(load(flags=0)),
    "write only": elf(load(flags=W)),
    "execute only": elf(load(flags=X)),
    "rwx": elf(load(flags=R | W | X)),
    "bss": elf(load(), load(vaddr=0x500000, offset=CODE, filesz=100, memsz=0x5000, flags=R | W)),
    "bss in its page": elf(load(), load(vaddr=0x500000, filesz=100, memsz=200, flags=R | W)),
    "bss with code": elf(load(), load(vaddr=0x500000, filesz=100, memsz=0x5000, flags=R | W | X)),
    "bss that cannot be written": elf(load(memsz=0x3000, filesz=100)),
    "bss beyond the file": elf(load(), load(vaddr=0x500000, offset=0x5000, filesz=100, memsz=0x5000, flags=R | W)),
    "bss beyond the file, read only": elf(
        load(), load(vaddr=0x500000, offset=0x5000, filesz=100, memsz=0x5000, flags=R)
    ),
    "only bss": elf(load(), load(vaddr=0x500000, filesz=0, memsz=0x5000, flags=R | W)),
    "only bss, inset": elf(load(), load(vaddr=0x500123, filesz=0, memsz=0x1000, flags=R)),
    "only bss, odd offset": elf(load(), load(vaddr=0x500000, offset=7, filesz=0, memsz=0x1000, flags=R | W)),
    "bss first": elf(load(vaddr=0x500000, filesz=0, memsz=0x1000, flags=R | W), load()),
    "nothing": elf(load(), load(vaddr=0x500000, filesz=0, memsz=0)),
    "overlap": elf(load(filesz=0x2000, memsz=0x2000), load(vaddr=0x402000, offset=0x2000, flags=R | W)),
    "overlapping bss": elf(load(memsz=0x4000, flags=R | W), load(vaddr=0x402000)),
    "shared page": elf(
        load(filesz=0x800, memsz=0x800), load(vaddr=0x401800, offset=0x1800, filesz=0x800, memsz=0x1000, flags=R | W)
    ),
    "backwards": elf(load(vaddr=0x500000), load()),
    "adjacent": elf(load(), load(vaddr=0x402000, offset=0x2000)),
    # PT_GNU_STACK
    "stack": elf(load(), {"type": PT_GNU_STACK, "flags": R | W}),
    "executable stack": elf(load(), {"type": PT_GNU_STACK, "flags": R | W | X}),
    "two stacks": elf({"type": PT_GNU_STACK, "flags": X}, load(), {"type": PT_GNU_STACK, "flags": R}),
    # Position independent, without an interpreter
    "dyn": elf(load(vaddr=0x1000), **DYN),
    "dyn, two": elf(load(vaddr=0, offset=0), load(vaddr=0x5000, flags=R | W, memsz=0x9000), **DYN),
    "dyn, high": elf(load(vaddr=0x10000000), **DYN),
    "dyn, backwards": elf(load(vaddr=0x8000), load(vaddr=0x1000), **DYN),
    "dyn, 64K": elf(load(vaddr=0x1000, align=1 << 16), load(vaddr=0x23000), **DYN),
    "dyn, 1G": elf(load(vaddr=0x1000, align=1 << 30), **DYN),
    "dyn, 2^63": elf(load(vaddr=0x1000, align=1 << 63), **DYN),
    "dyn, align 3 and 2M": elf(load(vaddr=0x1000, align=3), load(vaddr=0x3000, align=1 << 21), **DYN),
    "dyn, no segment": elf({"type": 0}, **DYN),
    "dyn, nothing": elf(load(vaddr=0, filesz=0, memsz=0), **DYN),
    "dyn, too large": elf(load(vaddr=0x1000, memsz=0x7FFFFFFFE000), **DYN),
    "dyn, wraps": elf(load(vaddr=2 * BIG - 4096), **DYN),
    "dyn, entry wraps": elf(load(vaddr=0x1000), **{**DYN, "entry": 2 * BIG - 1}),
    "dyn, headers mapped twice": elf(load(vaddr=0, offset=0), load(vaddr=0x5000, offset=0), **DYN),
    # PT_INTERP
    "interp missing": with_interp(b"/nowhere/ld.so\0"),
    "interp without end": with_interp(b"/bin/true"),
    "interp cut off": with_interp(b"", size=10),
    "interp 1 byte": with_interp(b"\0"),
    "interp empty": with_interp(b"\0\0"),
    "interp 4096": with_interp(b"/" * 4095 + b"\0"),
    "interp 4097": with_interp(b"\0" * 4097),
    "interp far away": elf({"type": PT_INTERP, "offset": 1 << 62, "filesz": 5}, load()),
    "interp negative": elf({"type": PT_INTERP, "offset": BIG, "filesz": 5}, load()),
    "interp a directory": with_interp(b"/etc\0"),
    "interp a device": with_interp(b"/dev/null\0"),
    "interp not executable": with_interp(b"/etc/passwd\0"),
    "interp two strings": with_interp(b"helper\0and more\0"),
    "interp relative": with_interp(b"helper\0"),
    "interp under a file": with_interp(b"helper/x\0"),
    "interp, dyn": elf(
        {"type": PT_INTERP, "offset": 3 * 4096, "filesz": 7}, load(vaddr=0x1000), tail=b"helper\0", **DYN
    ),
    "interp, dyn, 2M": elf(
        {"type": PT_INTERP, "offset": 3 * 4096, "filesz": 7}, load(vaddr=0x1000, align=1 << 21), tail=b"helper\0", **DYN
    ),
    "two interps": elf(
        {"type": PT_INTERP, "offset": 3 * 4096, "filesz": 7}, {"type": PT_INTERP}, load(), tail=b"helper\0"
    ),
    # Scripts
    "script": b"#!/bin/true\n",
    "script without newline": b"#!/bin/true",
    "script, blanks": b"#! \t /bin/true \t \n",
    "script, argument": b"#!/bin/echo  a b  c \t\necho",
    "script, long argument": b"#!/bin/echo " + b"a" * 300 + b"\n",
    "script, argument to the end": b"#!/bin/echo " + b"a" * 243 + b"\n",
    "script, all blanks": b"#!" + b" " * 300,
    "script, almost all blanks": b"#!" + b" " * 253 + b"a\n",
    "script, blank line": b"#!  \n/bin/true\n",
    "script, no interpreter": b"#!\n/bin/true",
    "script, nothing": b"#!",
    "script, NUL": b"#!/bin/true\0 a\n",
    "script, NUL first": b"#!\0\n",
    "script, NUL in the argument": b"#!/bin/echo a\0b\n",
    "script, NUL before newline": b"#!/bin/echo a \0 b \n",
    "script, CRLF": b"#!/bin/true\r\n",
    "script of a text": b"#!/etc/passwd\n",
    "script of a directory": b"#!/etc\n",
    "script of nothing": b"#!/nowhere/sh\n",
    "script, relative": b"#!helper\n",
    "script of a broken file": b"#!broken\n",
    **{
        f"script of {size} bytes{' and newline' if end else ''}": b"#!" + b"/" * (size - 10) + b"bin/true"[-8:] + end
        for size in (250, 254, 255, 256, 257, 258)
        for end in (b"", b"\n")
    },
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a program to be interpreter and one that is broken."""
    path = tmp_path_factory.mktemp("exec")
    write(path / "helper", elf(load(vaddr=0, offset=0), load(vaddr=0x3000, flags=R | W, memsz=0x5000), **DYN))
    write(path / "broken", elf(load(), machine=3))
    yield path


def write(path: Path, data: bytes, mode: int = 0o755) -> None:
    path.write_bytes(data)
    path.chmod(mode)


def same(
    path: Path, argv: list[bytes] | None = None, env: list[bytes] | None = None, cwd: Path | None = None
) -> Outcome:
    """Both sides agree; what they agree on."""
    name = os.fsencode(path)
    arguments = (
        [name, b"one", b""] if argv is None else argv,
        [b"A=1", b"", b"LONG=" + b"x" * 100] if env is None else env,
    )
    directory = str(path.parent if cwd is None else cwd)
    expected = native(name, *arguments, cwd=directory)
    got = emulated(name, *arguments, cwd=directory)
    assert got == expected
    return got


@pytest.mark.parametrize("name", FILES)
def test_file(place: Path, name: str) -> None:
    write(place / "program", FILES[name])
    same(place / "program")


@pytest.mark.parametrize(
    "name", ["type 0", "i386", "no segment", "filesz > memsz", "bss", "phnum 0", "low", "dyn, high"]
)
def test_file_as_interpreter(place: Path, name: str) -> None:
    write(place / "loader", FILES.get(name, b""))
    write(place / "program", with_interp(b"loader\0"))
    same(place / "program")
    write(place / "program", elf({"type": PT_INTERP, "offset": 3 * 4096, "filesz": 7}, load(vaddr=0x1000),
                                 tail=b"loader\0", **DYN))  # fmt: skip
    same(place / "program")


LINKED = [
    "-static",
    "-static-pie",
    "-pie",
    "-no-pie",
    "-static -Wl,-z,max-page-size=0x200000",
    "-static-pie -Wl,-z,max-page-size=0x200000",
    "-pie -Wl,-z,max-page-size=0x10000",
    "-static -Wl,-z,noseparate-code",
    "-static -Wl,-z,execstack",
    "-static -Wl,-Ttext-segment=0x10000000",
]


@pytest.mark.parametrize("flags", LINKED)
def test_compiled(tmp_path: Path, flags: str) -> None:
    """The layout of what a compiler makes: segments, interpreter, heap, stack, auxiliary vector."""
    source = tmp_path / "seven.c"
    source.write_text(SOURCE)
    binary = compile_program(source, *flags.split())
    assert same(binary).maps


def test_scripts_run_by_scripts(place: Path) -> None:
    for depth in range(1, 8):
        write(place / f"chain{depth}", f"#!{f'chain{depth - 1}' if depth > 1 else '/bin/true'} {depth}\n".encode())
        outcome = same(place / f"chain{depth}")
        assert (outcome.errno == errno.ELOOP) == (depth > 5)


@pytest.mark.parametrize("mode", [0o000, 0o644, 0o111, 0o100, 0o001])
def test_mode(place: Path, mode: int) -> None:
    write(place / "program", FILES["plain"], mode)
    same(place / "program")


def test_paths(place: Path) -> None:
    write(place / "program", FILES["plain"])
    (place / "directory").mkdir()
    (place / "link").symlink_to("program")
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("nothing")
    os.mkfifo(place / "fifo", 0o755)
    for name in ("directory", "link", "loop", "dangling", "fifo", "program/x", "directory/../program", "x" * 300):
        same(place / name, cwd=place)


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        ([], []),
        ([b""], []),
        ([b"x"], [b""] * 7),
        ([b"a" * size for size in range(40)], [b"b" * size for size in range(33)]),
        ([b"x"] * 20000, []),
        ([b"a" * 131071], []),
        ([b"a" * 131072], []),
        ([b"a"], [b"a" * 131072]),
        ([b"a" * 100000] * 20, []),
        ([b"a" * 100000] * 21, []),
        ([b"a" * 131071] * 15, [b"a" * 122000]),
    ],
    ids=lambda strings: f"{len(strings)}x{len(strings[-1]) if strings else 0}",
)
def test_arguments(place: Path, argv: list[bytes], env: list[bytes]) -> None:
    write(place / "program", FILES["plain"])
    same(place / "program", argv, env)
    write(place / "program", FILES["script, argument"])
    same(place / "program", argv, env)


def test_argument_limit_to_the_byte(place: Path) -> None:
    """E2BIG begins where Linux begins: the strings and the pointers together, a quarter of the stack limit."""
    write(place / "program", FILES["plain"])
    path = os.fsencode(place / "program")
    limit = 2 << 20
    fixed = 8 * 18 + len(path) + 1 + 17 * 120001
    for excess in (-1, 0, 1):
        argv = [b"a" * 120000] * 17 + [b"b" * (limit - fixed - 1 + excess)]
        assert same(place / "program", argv, []).errno == (errno.E2BIG if excess > 0 else 0)


def test_open_for_writing(place: Path) -> None:
    """ETXTBSY, both ways round."""
    write(place / "busy", FILES["plain"])
    task = machine()
    node = task.kernel.mounts.at(os.fsencode(place / "busy")).node
    writer = node.open(O_WRONLY, b"busy")
    assert emulated(os.fsencode(place / "busy"), [b"x"], []).errno == errno.ETXTBSY
    writer.release()
    assert emulated(os.fsencode(place / "busy"), [b"x"], []).maps
    with pytest.raises(OSError) as busy:
        node.open(O_WRONLY, b"busy")
    assert busy.value.errno == errno.ETXTBSY
    assert emulated(b"/bin/true", [b"x"], []).maps
    node.open(O_WRONLY, b"busy").release()


def test_failure_leaves_the_old_program(place: Path) -> None:
    assert emulated(b"/bin/true", [b"x"], []).comm == b"true"
    task = machine()
    before = (task.mm, list(task.mm.vmas), task.kernel.committed)
    write(place / "program", FILES["filesz > memsz"])
    assert emulated(os.fsencode(place / "program"), [b"x"], []).signal == signal.SIGSEGV
    assert emulated(b"/nowhere", [b"x"], []).errno == errno.ENOENT
    assert (task.mm, list(task.mm.vmas), task.kernel.committed) == before
    assert len(task.kernel.mounts.root.root.fs.text_busy) == 1


def test_no_frames_are_lost(place: Path) -> None:
    arena = machine().kernel.arena
    used = set()
    for _ in range(3):
        emulated(b"/bin/true", [b"x"], [])
        used.add(arena.used)
    assert len(used) == 1


@pytest.mark.parametrize(
    ("head", "interpreter", "argument"),
    [(b"#!/bin/sh -e\n", b"/bin/sh", b"-e"), (b"#! /a\tb c \n", b"/a", b"b c"), (b"#!a", b"a", None)],
)
def test_parse_interpreter(head: bytes, interpreter: bytes, argument: bytes | None) -> None:
    assert program.parse_interpreter(head) == (interpreter, argument)


# The cache of images


class Machine:
    ELF_MACHINE = 62
    ISA_NEEDED = 0xC0008002


def source_of(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, size: data[offset : offset + size]


IDENTITY: Identity = (1, 2, 3, 4, 5)
IMAGE = Image(2, 62, 0x401000, 64, 1, (Segment(1, 2, 3, 4, 5, 2**64 - 1),), b"", None)


def test_cache_keeps_images(tmp_path: Path) -> None:
    header = FILES["plain"][:64]
    for image in (
        IMAGE,
        Image(2, 62, 0x401000, 64, 1, (), None, 7),
        Image(2, 62, 0x401000, 64, 1, (), b"x" * 4095, 0, 15),
    ):
        ImageCache(str(tmp_path)).put(IDENTITY, header, image)
        assert ImageCache(str(tmp_path)).get(IDENTITY, header) == image
    assert ImageCache(str(tmp_path)).get((1, 2, 3, 4, 6), header) is None
    assert ImageCache(str(tmp_path)).get(IDENTITY, b"\0" * 64) is None
    assert [entry.name for entry in tmp_path.iterdir()] == [Path(ImageCache(str(tmp_path)).slot(IDENTITY)).name]


def test_cache_survives_corruption(tmp_path: Path) -> None:
    header = FILES["plain"][:64]
    cache = ImageCache(str(tmp_path))
    cache.put(IDENTITY, header, IMAGE)
    file = Path(cache.slot(IDENTITY))
    good = file.read_bytes()
    for at in range(len(good)):
        file.write_bytes(good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :])
        assert ImageCache(str(tmp_path)).get(IDENTITY, header) is None
        file.write_bytes(good[:at])
        assert ImageCache(str(tmp_path)).get(IDENTITY, header) is None


def test_cache_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    for home in ("/dev/null", str(tmp_path / "file"), "/proc/none"):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        cache = ImageCache()
        cache.put(IDENTITY, b"", IMAGE)
        assert cache._load(IDENTITY) is None
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ImageCache().directory() == str(tmp_path / ".cache/lxrun/elf")


def test_young_files_are_not_stored(tmp_path: Path) -> None:
    """A file just written may change again without its times changing."""
    cache = ImageCache(str(tmp_path))
    now = time.time_ns()
    cache.put((1, 2, 3, now, now), b"", IMAGE)
    assert not list(tmp_path.iterdir()) and not cache.memory


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "the file is empty"),
        ("text", "not an ELF file"),
        ("18 bytes", "a truncated ELF file: 18 bytes"),
        ("aarch64", "built for AArch64; lxrun runs x86-64"),
        ("relocatable", "an object file; link it first"),
        ("core", "a core dump, not a program"),
        ("phoff beyond", "a truncated ELF file: program headers lie beyond its end"),
        ("phnum 0", "an ELF file without program headers: there is nothing to load"),
    ],
)
def test_reason(name: str, reason: str) -> None:
    with pytest.raises(BadImage) as refused:
        read_image(source_of(FILES[name]), None, Machine())
    assert refused.value.reason == reason
    assert refused.value.errno == errno.ENOEXEC

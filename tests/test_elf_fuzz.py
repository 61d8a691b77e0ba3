"""Whatever a stranger offers as a program ends as it does on Linux, or at least in a status and one line.

The loader runs in this process, beside real Linux, which stops before the first instruction; the whole
command runs for a smaller number of files.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from exec_pair import Outcome, emulated, native
from harness import LXRUN, ROOT
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_exec import DYN, FILES, elf, load, with_interp

from emu.arch import x86_64
from emu.elf import ET_DYN, BadImage, read_image

MMAP_MIN_ADDR = 65536
HUGE_PAGE = 1 << 21

# Addresses, offsets and sizes where something begins or ends
_EDGES = [0, 1, 0x10000, 0x400000, 0x401000, 0x555555554000, 0x7FFFF7FFF000, 0x7FFFFFFDE000, 0x7FFFFFFFE000,
          0x7FFFFFFFF000, 1 << 47, 1 << 63, (1 << 64) - 4096]  # fmt: skip
_WORD = st.builds(
    lambda edge, off: (edge + off) % (1 << 64),
    st.sampled_from(_EDGES),
    st.sampled_from([0, 0, 0, 1, -1, 8, 4096, -4096]),
)
_SMALL = st.builds(
    lambda pages, off: max(0, pages * 4096 + off), st.integers(0, 20), st.sampled_from([0, 0, 1, -1, 0x123])
)
_SIZE = _SMALL | _WORD

_HEADER = st.fixed_dictionaries(
    {
        "type": st.sampled_from([1, 1, 1, 1, 0, 2, 6, 7, 0x6474E551, 0x6474E553, 0x70000000, 0xFFFFFFFF]),
        "flags": st.integers(0, 7) | st.integers(0, (1 << 32) - 1),
        "offset": _SIZE,
        "vaddr": _SIZE,
        "filesz": _SIZE,
        "memsz": _SIZE,
        "align": st.sampled_from([0, 1, 3, 0x1000, 0x200000, 1 << 40, 1 << 63]) | _WORD,
    }
)


def _consistent(header: dict[str, int]) -> dict[str, int]:
    """Make a segment one that a linker could have made, so that loading gets on to the next."""
    header = dict(header)
    header["offset"] = (header["offset"] % 0x6000 & ~0xFFF) + header["vaddr"] % 4096
    header["filesz"] %= 0x4000
    header["memsz"] = header["filesz"] + header["memsz"] % 0x8000
    return header


_SEGMENT = _HEADER | _HEADER.map(_consistent)

_FILE = st.builds(
    elf,
    st.just(load()),
    _SEGMENT,
    _SEGMENT,
    type=st.sampled_from([2, 2, 3, 3, 3, 1]),
    entry=_WORD | st.just(0x401000),
    size=st.sampled_from([4096, 3 * 4096, 8 * 4096 + 100]),
) | st.builds(lambda a, b: elf(a, b, **DYN), _SEGMENT, _SEGMENT)


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as path:
        yield path


def below_minimum(outcome: Outcome) -> bool:
    """Linux forgets vm.mmap_min_addr when it maps a bss; lxrun does not."""
    return any(int(line.split("-")[0], 16) < MMAP_MIN_ADDR for line in outcome.maps)


def join_anonymous(outcome: Outcome) -> None:
    """Join neighbours among the anonymous mappings: Linux joins a bss only with what lies below it."""
    joined: list[str] = []
    for line in outcome.maps:
        limits, *rest = line.removesuffix(" [heap]").split(" ")
        if joined and len(rest) == 4:
            before, *rest_before = joined[-1].split(" ")
            if rest == rest_before and before.split("-")[1] == limits.split("-")[0]:
                limits = f"{before.split('-')[0]}-{limits.split('-')[1]}"
                joined.pop()
        joined.append(" ".join([limits, *rest]))
    outcome.maps = joined


def aligned_by_filesystem(data: bytes) -> bool:
    """Some filesystems (thp_get_unmapped_area) align a file that takes 2 MiB and does not say where."""
    try:
        image = read_image(lambda offset, size: data[offset : offset + size], None, x86_64)
    except BadImage:
        return False
    if image.type != ET_DYN or not image.segments:
        return False
    return max(s.vaddr + s.memsz for s in image.segments) - min(s.vaddr for s in image.segments) >= HUGE_PAGE - 4096


def offer(place: str, data: bytes, loader: bytes = b"") -> None:
    """Both sides agree on this file."""
    file = os.path.join(place, "program")
    with open(file, "wb") as program:
        program.write(data)
    os.chmod(file, 0o755)
    name = os.fsencode(file)
    expected = native(name, [name], [b"A=1"], cwd=place)
    got = emulated(name, [name], [b"A=1"], cwd=place)
    os.unlink(file)
    join_anonymous(expected)
    join_anonymous(got)
    if below_minimum(expected):
        return
    if aligned_by_filesystem(data) or aligned_by_filesystem(loader):
        assert len(got.maps) == len(expected.maps)
    else:
        assert got == expected


# A note of properties that would end past the largest offset; Linux does not read it.
_FAR_NOTE = elf(
    {"type": 1, "flags": 5, "offset": 4096, "vaddr": 0x401000, "filesz": 4096, "memsz": 4096, "align": 4096},
    {"type": 0x6474E553, "flags": 4, "offset": (1 << 63) - 4096, "vaddr": 0, "filesz": 4096, "memsz": 0, "align": 0},
    type=2, entry=0x401000, size=4096,
)  # fmt: skip
# Segments without a byte, at addresses that no user has: as the bias, which Linux takes them for, they wrap around.
_EMPTY, _TOP = {"type": 1, "flags": 0, "offset": 0, "vaddr": 0, "filesz": 0, "memsz": 0, "align": 0}, (1 << 64) - 4096
_EMPTY_AT_TOP = elf({**_EMPTY, "vaddr": _TOP + 1}, {**_EMPTY, "vaddr": _TOP + 1}, **DYN)
_EMPTY_TO_TOP = elf(_EMPTY, {**_EMPTY, "vaddr": _TOP}, **DYN)
_examples = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@_examples
@given(data=_FILE)
@example(data=_FAR_NOTE)
def test_headers(place: str, data: bytes) -> None:
    offer(place, data)


@_examples
@given(name=st.sampled_from(sorted(FILES)), at=st.integers(0, 300), byte=st.integers(0, 255))
def test_one_byte_wrong(place: str, name: str, at: int, byte: int) -> None:
    data = bytearray(FILES[name])
    if at < len(data):
        data[at] = byte
    offer(place, bytes(data))


@_examples
@given(size=st.integers(0, 400))
def test_truncated(place: str, size: int) -> None:
    with open("/bin/true", "rb") as program:
        offer(place, program.read(size))


@_examples
@given(
    line=st.binary(max_size=300)
    | st.lists(st.sampled_from([b" ", b"\t", b"\0", b"\n", b"/bin/true", b"x" * 60])).map(b"".join)
)
@example(line=b"")
def test_script(place: str, line: bytes) -> None:
    offer(place, b"#!" + line)


@_examples
@given(data=st.binary(max_size=300))
def test_bytes(place: str, data: bytes) -> None:
    offer(place, data)


@_examples
@given(data=_FILE)
@example(data=_FAR_NOTE)
@example(data=_EMPTY_AT_TOP)
@example(data=_EMPTY_TO_TOP)
def test_interpreter(place: str, data: bytes) -> None:
    loader = os.path.join(place, "loader")
    with open(loader, "wb") as file:
        file.write(data)
    os.chmod(loader, 0o755)
    offer(place, with_interp(b"loader\0"), data)
    os.unlink(loader)


BAD = [
    "i386", "big-endian mark", "relocatable", "phentsize", "phnum 0", "phoff beyond", "entry 0", "empty", "magic",
    "text", "57 bytes", "no segment", "filesz > memsz", "in the kernel", "offset beyond", "no permissions",
    "dyn, wraps", "interp missing", "interp cut off", "interp a directory", "script, nothing", "script of nothing",
    "script, CRLF", "script of a text",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_command(tmp_path: Path, name: str) -> None:
    """The command says in one line what is wrong, or what the program died of; there is no traceback."""
    program = tmp_path / "program"
    program.write_bytes(FILES[name])
    program.chmod(0o755)
    done = subprocess.run([*LXRUN, str(program)], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode in (126, 127, 132, 135, 139), done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done.stderr
    assert "Traceback" not in done.stderr and "internal" not in done.stderr

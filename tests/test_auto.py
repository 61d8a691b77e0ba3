"""`--backend auto`: emulated as long as that can be, and real Linux for the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import LXRUN, compile_program

from emu.elf import note_property

HELLO = """
#include <stdio.h>
int main(void) { puts("hello"); }
"""


def run(environment: dict[str, str], *words: str | Path, input: bytes = b"") -> tuple[int, bytes, str]:
    done = subprocess.run([*LXRUN, *words], env=environment, input=input, capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr.decode()


def built(folder: Path, name: str, text: str, *flags: str) -> Path:
    """A program whose file's name is `name`."""
    source = folder / f"{name}.c"
    source.write_text(text)
    program = folder / name
    program.write_bytes(compile_program(source, *flags).read_bytes())
    program.chmod(0o755)
    return program


# ------------------------------------------------------------------------------ before the start


def test_an_instruction_set_that_the_note_says_is_needed(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "needy", HELLO, "-static", "-Wl,-z,x86-64-v3")
    line = "lxrun: needy: the instruction set x86-64-v3 cannot be emulated"
    assert run(vm_cache, program) == (0, b"hello\n", f"{line}: it runs in a VM\n")
    assert run(vm_cache, "--backend", "emulate", program) == (0, b"hello\n", "")
    with_strace = run(vm_cache, "--strace=trace=none", program)
    assert with_strace[:2] == (0, b"hello\n") and with_strace[2].endswith(f"{line}; --backend vm has it\n")
    no_qemu = {**vm_cache, "PATH": str(tmp_path)}
    assert run(no_qemu, program) == (0, b"hello\n", f"{line}; --backend vm has it\n")


def test_an_instruction_set_that_is_emulated(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "modest", HELLO, "-static", "-Wl,-z,x86-64-v2")
    assert run(vm_cache, program) == (0, b"hello\n", "")


NEEDED = 0xC0008002


def note(*properties: tuple[int, bytes]) -> bytes:
    body = b"".join(
        kind.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data + bytes(-len(data) % 8)
        for kind, data in properties
    )
    return b"\4\0\0\0" + len(body).to_bytes(4, "little") + b"\5\0\0\0GNU\0" + body


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (note((NEEDED, b"\5\0\0\0")), 5),
        (note((0xC0000002, b"\3\0\0\0"), (NEEDED, b"\1\0\0\1")), 0x1000001),
        (note((1, b"x" * 8), (2, b""), (NEEDED, b"\4\0\0\0")), 4),
        (note((0xC0000002, b"\3\0\0\0")), 0),
        (note((NEEDED, b"\5\0")), 0),
        (note((NEEDED, b"\5\0\0\0"))[:26], 0),
        (note((1, b"")).replace(b"GNU", b"Go\0") + note((NEEDED, b"\5\0\0\0")), 0),
        (b"", 0),
        (b"\4\0\0\0" + b"\xff" * 4 + b"\5\0\0\0GNU\0" + b"\xff" * 64, 0),
    ],
)
def test_a_property_of_a_note(data: bytes, value: int) -> None:
    assert note_property(data, NEEDED) == value

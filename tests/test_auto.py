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

AVX = r"""
#include <immintrin.h>
#include <stdio.h>
int main(void) {
    volatile int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int sums[8];
    %s
    __m256i all = _mm256_loadu_si256((void *)numbers);
    _mm256_storeu_si256((void *)sums, _mm256_add_epi32(all, all));
    printf("%%d %%d\n", sums[0], sums[7]);
}
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


# -------------------------------------------------------------------------------------- explain


def test_explain(vm_cache: dict[str, str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = built(tmp_path, "sums", AVX % f'fclose(fopen("{mark}", "w"));', "-static", "-mavx2")
    status, out, error = run(vm_cache, "--explain", program, "an argument")
    assert (status, error, mark.exists()) == (0, "", False)
    lines = out.decode().splitlines()
    assert lines[:3] == [
        f"program      {program}",
        "file         ELF, 64-bit, x86-64, at a fixed address",
        "interpreter  none: static",
    ]
    assert lines[4] == "backend      emulate: nothing that is known beforehand speaks against it"
    table = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert (table["AVX2"][-1], table["SSE2"][-1], table["x86-64"][-1]) == ("no", "yes", "yes")
    # objdump counts alike
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True).stdout
    count = sum("\tpshufb " in line for line in listing.splitlines())
    assert count and int(table["SSSE3"][0]) >= count
    assert f"{table['AVX2'][1].removeprefix('0x')}:\t{table['AVX2'][2]} " in listing


def test_explain_says_which_backend(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "needy", HELLO, "-static", "-Wl,-z,x86-64-v3")
    script = tmp_path / "script"
    script.write_text(f"#!{program}\n")
    script.chmod(0o755)
    _, out, _ = run(vm_cache, "--explain", script)
    assert out.splitlines()[0] == b"program      %s, a script for %s" % (bytes(script), bytes(program))
    assert b"\nneeds        x86-64-v3\nbackend      vm: it needs x86-64-v3, which is not emulated\n" in out
    _, out, _ = run({**vm_cache, "PATH": "/none"}, "--explain", program)
    assert b"\nbackend      emulate: it needs x86-64-v3, which is not emulated, but there is no VM: qemu-" in out
    _, out, _ = run(vm_cache, "--backend", "vm", "--explain", program)
    assert b"\nbackend      vm: --backend vm says so\n" in out


def test_another_machine_is_refused(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "arm", HELLO, "-static")
    data = bytearray(program.read_bytes())
    data[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
    program.write_bytes(data)
    answer = (126, b"", f"lxrun: {program}: built for AArch64; lxrun runs x86-64\n")
    assert run(vm_cache, program) == answer
    assert run(vm_cache, "--explain", program) == answer
    assert run(vm_cache, "--backend", "vm", program) == answer


def test_explain_of_what_is_no_program(vm_cache: dict[str, str], tmp_path: Path) -> None:
    assert run(vm_cache, "--explain", tmp_path) == (126, b"", f"lxrun: {tmp_path}: it is a directory\n")
    script = tmp_path / "script"
    script.write_text("#!/none\n")
    script.chmod(0o755)
    status, out, error = run(vm_cache, "--explain", script)
    assert (status, out) == (126, b"") and "its interpreter /none is not in" in error


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

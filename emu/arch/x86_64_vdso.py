"""The x86-64 vDSO's image, and how it is made.

`x86_64_vdso.elf` is guest code, so it is the same on every host, and it is kept beside its source
(`x86_64_vdso.c`, `x86_64_vdso.lds`): running lxrun takes no compiler.  After a change of the source

    python -m emu.arch.x86_64_vdso

makes it anew with gcc and GNU ld.  tests/test_vdso.py does the same and compares.
"""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(_HERE, "x86_64_vdso.c")
IMAGE = os.path.join(_HERE, "x86_64_vdso.elf")
COMMAND = (
    "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-ffreestanding", "-fno-stack-protector",
    "-fcf-protection=none", "-shared", "-nostdlib", "-s", "-Wl,-T," + os.path.join(_HERE, "x86_64_vdso.lds"),
    "-Wl,-soname,linux-vdso.so.1", "-Wl,-Bsymbolic,--no-undefined,-z,now",
    "-Wl,--hash-style=both,--build-id=sha1,--eh-frame-hdr",
)  # fmt: skip


def build(target: str) -> None:
    """Compile and link the image.  Raises CalledProcessError, and FileNotFoundError without a gcc."""
    import subprocess

    subprocess.run([*COMMAND, "-o", target, SOURCE], check=True)
    os.chmod(target, 0o644)


if __name__ == "__main__":
    build(IMAGE)
    sys.exit()

"""Build the fixture programs: static x86-64 Linux binaries from any host, with no compiler installed.

The compiler is Zig's, which comes as the Python package `ziglang` and carries musl's sources.

    python rootfs-fixtures/build.py hello      prints the path of the program, built if need be
"""

from __future__ import annotations

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build", "fixtures")


def build(name: str, target: str = "x86_64-linux-musl") -> str:
    """Compile rootfs-fixtures/NAME/*.c into one static program, unless it is newer than its sources."""
    folder = os.path.join(HERE, name)
    sources = sorted(os.path.join(folder, file) for file in os.listdir(folder) if file.endswith(".c"))
    program = os.path.join(BUILD, target, name)
    newest = max(os.stat(source).st_mtime_ns for source in sources)
    if os.path.exists(program) and os.stat(program).st_mtime_ns > newest:
        return program
    os.makedirs(os.path.dirname(program), exist_ok=True)
    print(f"building {name} with Zig's C compiler (the first time it also builds a C library)", file=sys.stderr)
    unfinished = f"{program}.{os.getpid()}"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-static", "-O2", "-Wall", "-Wextra", "-s"]
    subprocess.run([*command, "-o", unfinished, *sources], check=True)
    os.replace(unfinished, program)
    return program


def main(names: list[str]) -> int:
    for name in names:
        try:
            print(build(name))
        except FileNotFoundError:
            print(f"there is no fixture {name} in {HERE}", file=sys.stderr)
            return 1
        except subprocess.CalledProcessError as error:
            return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Record the README's terminal picture: run real commands in a real terminal and draw what they print.

    python docs/record.py docs/terminal.svg

The commands run in a pseudo-terminal, in a shell, with `lxrun` from the PATH; nothing in the picture is
typed by hand but the commands below.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pexpect
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 96, 60

COMMANDS = (
    "lxrun ./hello",
    "lxrun --strace=openat,uname uname -sr",
    "lxrun python3 -c 'import sqlite3, platform; print(platform.release(), sqlite3.sqlite_version)'",
    "lxrun bash -c 'kill -SEGV $$'; echo $?",
)


def record(command: str) -> str:
    """What one command prints to a terminal."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    env = {"PATH": path, "HOME": "/", "TERM": "xterm-256color", "LC_ALL": "C", "TZ": "UTC"}
    where = ROOT / "build" / "fixtures" / "x86_64-linux-musl"
    child = pexpect.spawn("/bin/sh", ["-c", command], cwd=str(where), env=env, dimensions=(ROWS, COLUMNS), timeout=120)
    return str(child.read().decode().replace("\r\n", "\n"))


def main(target: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    for number, command in enumerate(COMMANDS):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(record(command).rstrip("\n")))
    console.save_svg(target, title="lxrun", theme=MONOKAI)


if __name__ == "__main__":
    main(sys.argv[1])

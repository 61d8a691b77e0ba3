"""What is to be run: a suite's cases, from a directory, a file of commands or an LTP runtest file."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from conformance.text import printable

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SuiteError(Exception):
    """The suite cannot be read; the text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Case:
    """One command and the name it is reported under, which no other case of the suite has."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases in their order, and what they need in their environment."""

    cases: tuple[Case, ...]
    env: dict[str, str]


def read(path: Path, prefix: Path | None) -> Suite:
    """The suite at `path`.  `prefix` is where LTP is installed, and says that the file is one of its runtest files."""
    try:
        if path.is_dir():
            if prefix is not None:
                raise SuiteError(f"{path}: a directory; --prefix goes with a runtest file of LTP")
            suite = Suite(tuple(_unique(_programs(path))), {})
        elif prefix is not None:
            suite = _runtest(path, prefix.resolve())
        else:
            suite = Suite(tuple(_unique(_commands(path))), {})
    except OSError as error:
        raise SuiteError(f"{error.filename or path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SuiteError(f"{path}: neither a directory nor a text with one command a line") from None
    if not suite.cases:
        raise SuiteError(f"{path}: no cases in it")
    return suite


def _programs(top: Path) -> list[Case]:
    """Every program at or below `top`: executable files that are ELF or start with #!, shared objects left out."""
    found = []
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if ".so" in path.suffixes or not path.is_file() or not os.access(path, os.X_OK):
                continue
            with open(path, "rb") as file:
                head = file.read(4)
            if head == b"\x7fELF" or head[:2] == b"#!":
                found.append(Case(str(path.relative_to(top)), (str(path.resolve()),)))
    return found


def _commands(path: Path) -> list[Case]:
    """One command a line, quoted as for a shell; a program's relative path is seen from the file's directory."""
    found = []
    for number, line in _lines(path):
        argv = _split(path, number, line)
        if "/" in argv[0]:
            argv[0] = str(path.resolve().parent / argv[0])
        found.append(Case(line, tuple(argv)))
    return found


def _runtest(path: Path, prefix: Path) -> Suite:
    """LTP's `NAME COMMAND`, which a shell runs."""
    programs = prefix / "testcases" / "bin"
    if not programs.is_dir():
        raise SuiteError(f"{programs}: no such directory; --prefix is the directory that LTP was installed in")
    found = []
    for number, line in _lines(path):
        name, *rest = line.split(None, 1)  # by blanks or tabs
        if not rest:
            raise SuiteError(f"{path}:{number}: a name without a command; LTP's runtest files have both")
        command = rest[0]
        # Never process 1, as the first on lxrun would be: LTP's library takes such a parent for its own death.
        found.append(Case(name, ("/bin/sh", "-c", f"{command}\nexit $?")))
    return Suite(tuple(_unique(found)), {"LTPROOT": str(prefix), "PATH": f"{programs}:{PATH}"})


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are neither empty nor comments, numbered and stripped."""
    text = path.read_text(encoding="utf-8")
    if "\0" in text:
        raise SuiteError(f"{path}: a program; give the directory it is in, or a file with one command a line")
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _split(path: Path, number: int, command: str) -> list[str]:
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise SuiteError(f"{path}:{number}: {str(error).lower()}") from None
    if not argv or not argv[0]:
        raise SuiteError(f"{path}:{number}: the command's name is empty")
    return argv


def _unique(cases: list[Case]) -> list[Case]:
    """A command that is there twice is two cases: the second has its number in its name."""
    seen: Counter[str] = Counter()
    found = []
    for case in cases:
        seen[case.name] += 1
        number = f" [{seen[case.name]}]" if seen[case.name] > 1 else ""
        found.append(Case(printable(case.name) + number, case.argv))
    return found

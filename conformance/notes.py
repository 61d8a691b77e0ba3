"""What people know of a suite, in a file beside its reports: its title, the cases left out and why, causes of failures.

    [syscalls]                            # the name of the suite's file or directory
    title = "..."
    about = "..."                         # a paragraph, optional
    [[syscalls.without]]
    cases = "clock_settime.*|stime.*"     # a regular expression that matches whole names
    why = "..."
    [[syscalls.causes]]
    match = "mount\\(.*EPERM"             # searched in a failing case's name, differences and output on lxrun
    cause = "..."

The first cause that matches is the cause; a case that none matches is listed with what differs.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.record import CaseRecord
from conformance.suite import Case


class NotesError(Exception):
    """The file is not what it should be; one line for the user."""


@dataclass(frozen=True, slots=True)
class Notes:
    """Of one suite.  Both lists pair a pattern with its text."""

    title: str
    about: str = ""
    without: tuple[tuple[re.Pattern[str], str], ...] = ()
    causes: tuple[tuple[re.Pattern[str], str], ...] = ()

    def choose(self, cases: tuple[Case, ...]) -> tuple[tuple[Case, ...], dict[str, list[str]]]:
        """The cases that are run; the names of the others by the reason."""
        chosen: list[Case] = []
        left_out: dict[str, list[str]] = {}
        for case in cases:
            why = next((why for pattern, why in self.without if pattern.fullmatch(case.name)), None)
            if why is None:
                chosen.append(case)
            else:
                left_out.setdefault(why, []).append(case.name)
        return tuple(chosen), left_out

    def cause(self, case: CaseRecord) -> str | None:
        """Why a case fails on lxrun, if that is known."""
        said = [line for part in case["differences"] for line in part["lines"]]
        run = case["lxrun"]
        text = "\n".join([case["name"], case["verdict"], *said, *((run["stdout"], run["stderr"]) if run else ())])
        return next((cause for pattern, cause in self.causes if pattern.search(text)), None)


def read(path: Path | None, suite: str) -> Notes:
    """The notes on a suite in the file at `path`; without a file, or without a word on this suite, empty ones."""
    if path is None:
        return Notes(suite)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(suite, {})
        return Notes(
            str(table.get("title", suite)),
            str(table.get("about", "")).strip(),
            _pairs(table.get("without", []), "cases", "why", 0),
            _pairs(table.get("causes", []), "match", "cause", re.M),
        )
    except OSError as error:
        raise NotesError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        raise NotesError(f"{path}: {type(error).__name__}: {error}") from None


def _pairs(rows: list[dict[str, Any]], pattern: str, text: str, flags: int) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row[pattern], flags), str(row[text])) for row in rows)

"""Text for a reader: what programs print, made fit to be shown, and the smallest useful diff of two texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

DIFF_LINES = 40
LINE_LIMIT = 400


def printable(text: str) -> str:
    """Text that every encoding, XML 1.0 and a terminal can take: other characters as Python's escapes."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def smallest_diff(left: str, right: str) -> list[str]:
    """The lines that differ, with one line around them, in diff -u's notation without its head."""
    one, other = _lines(left), _lines(right)
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    first, last = max(start - 1, 0), max(end - 1, 0)
    one, other = one[first : len(one) - last][:2000], other[first : len(other) - last][:2000]
    return cut(line for line in difflib.unified_diff(one, other, n=1, lineterm="") if line not in ("--- ", "+++ "))


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        return lines[:-1]
    return [*lines[:-1], lines[-1] + " (no newline at the end)"]


def cut(lines: Iterable[str]) -> list[str]:
    """The first lines of a diff, without its @@ lines."""
    shown: list[str] = []
    for line in lines:
        if line.startswith("@@"):
            continue
        if len(shown) == DIFF_LINES:
            return [*shown, "..."]
        shown.append(printable(line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + "..."))
    return shown

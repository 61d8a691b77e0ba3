"""What a test program says of its own parts: LTP's lines, TAP, gtest's XML."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from xml.etree import ElementTree

GTEST_XML = "gtest.xml"
"""Where gtest is told (GTEST_OUTPUT) to write, in the work directory."""

_LTP = re.compile(r"^(\S+\.[ch]:\d+): (TPASS|TFAIL|TBROK|TCONF|TWARN): ?(.*)$", re.M)
_LTP_OLD = re.compile(r"^(\S+) +(\d+) +(TPASS|TFAIL|TBROK|TCONF|TWARN) +: +(.*)$", re.M)
_TAP_HEAD = re.compile(r"^\s*(?:TAP version 1[34]|1\.\.\d+.*)$", re.M)
_TAP = re.compile(
    r"^(?P<indent>[ \t]*(?:# )*)(?P<state>ok|not ok)\b *(?P<number>\d*)[ \t]*(?:- )?(?P<name>[^#\n]*)"
    r"(?:# *(?P<directive>SKIP|TODO|XFAIL)\b(?P<why>.*))?.*$",
    re.M | re.I,
)
_TAP_BAIL = re.compile(r"^Bail out!(.*)$", re.M)

PASSED = frozenset({"TPASS", "ok", "passed"})
FAILED = frozenset({"TFAIL", "TBROK", "TWARN", "not ok", "bail out", "failed"})


@dataclass(frozen=True, slots=True)
class Result:
    """One sub-test's result: where (a source line, a number and name), which, and in the program's own words."""

    where: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Results:
    """All results of one run, in order.  `format` is ltp, tap or gtest."""

    format: str
    items: tuple[Result, ...]

    def counts(self) -> dict[str, int]:
        return dict(Counter(item.state for item in self.items))

    def good(self) -> bool:
        """Something passed and nothing failed."""
        states = {item.state for item in self.items}
        return bool(states & PASSED) and not states & FAILED


def understand(output: str, xml: str | None) -> Results | None:
    """The results in a program's output (both streams) or in the XML it wrote; None if it speaks no such language."""
    if xml is not None and (items := _gtest(xml)):
        return Results("gtest", items)
    if items := _ltp(output):
        return Results("ltp", items)
    if _TAP_HEAD.search(output) and (items := _tap(output)):
        return Results("tap", items)
    return None


def _ltp(output: str) -> tuple[Result, ...]:
    new = [Result(where, state, text) for where, state, text in _LTP.findall(output)]
    old = [Result(f"{name} {number}", state, text) for name, number, state, text in _LTP_OLD.findall(output)]
    return (*new, *old)


def _tap(output: str) -> tuple[Result, ...]:
    found = []
    for match in _TAP.finditer(output):
        depth = match["indent"].count("#") + len(match["indent"].expandtabs(4)) // 4
        state = match["state"].lower()
        if directive := match["directive"]:
            state = directive.lower()
        where = " ".join(("- " * depth + match["number"] + " " + match["name"]).split())
        found.append(Result(where, state, (match["why"] or "").strip()))
    found += [Result("", "bail out", match[1].strip()) for match in _TAP_BAIL.finditer(output)]
    return tuple(found)


def _gtest(xml: str) -> tuple[Result, ...]:
    if "<!" in xml:  # no declarations: a program under test could make them expand without end
        xml = re.sub(r"<!\[CDATA\[.*?\]\]>", "", xml, flags=re.S)
        if "<!" in xml:
            return ()
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return ()
    found = []
    for case in root.iter("testcase"):
        failure = case.find("failure")
        if failure is not None:
            state = "failed"
        elif case.get("status") == "notrun" or case.get("result") == "skipped" or case.find("skipped") is not None:
            state = "skipped"
        else:
            state = "passed"
        text = (failure.get("message") or "").split("\n")[0] if failure is not None else ""
        found.append(Result(f"{case.get('classname')}.{case.get('name')}", state, text))
    return tuple(found)


def differences(reference: Results, other: Results | None) -> list[str]:
    """The sub-tests whose results are not the same, a line each."""
    left, right = _by_place(reference), _by_place(other) if other else {}
    lines = []
    for where in dict.fromkeys([*left, *right]):
        before, after = left.get(where, []), right.get(where, [])
        if Counter(item.state for item in before) != Counter(item.state for item in after):
            lines.append(f"{where}: reference {_states(before)}, lxrun {_states(after)}")
    return lines


def _by_place(results: Results) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for item in results.items:
        found.setdefault(item.where, []).append(item)
    return found


def _states(items: list[Result]) -> str:
    if not items:
        return "nothing"
    counts = Counter(item.state for item in items)
    words = ", ".join(state if count == 1 else f"{count} x {state}" for state, count in counts.items())
    told = next((item.text for item in items if item.state not in PASSED and item.text), "")
    return f"{words} ({told[:200]})" if told else words

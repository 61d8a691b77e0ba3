"""The report as one HTML page, made as a tree of elements: nothing that a program prints can become markup."""

from __future__ import annotations

import shlex
from xml.etree.ElementTree import Element, SubElement, tostring

from conformance.evidence import evidence
from conformance.record import MEANING, VERDICTS, CaseRecord, Report, RunRecord
from conformance.text import printable

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --dim: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; min-width: 6rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
td, th { border-bottom: 1px solid var(--line); padding: .25rem .75rem .25rem 0; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; }
code, pre { font: 13px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; margin: .4rem 0; }
pre { white-space: pre-wrap; }
details { border-bottom: 1px solid var(--line); padding: .3rem 0; } summary { cursor: pointer; }
details > div { margin: .4rem 0 1rem 1.2rem; } h3 { font-size: .9rem; margin: .8rem 0 0; }
.removed { color: var(--bad); } .added { color: var(--good); }
"""


def page(report: Report) -> str:
    """The page: figures, then what is not the same, then the rest, the rules, and with what it was made."""
    top = Element("html", lang="en")
    head = SubElement(top, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    title = f"Conformance: {report['suite']}"
    SubElement(head, "title").text = title
    SubElement(head, "style").text = STYLE
    body = SubElement(top, "body")
    SubElement(body, "h1").text = title
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    subtitle = f"{versions}; {len(report['cases'])} cases in {report['seconds']:.1f} s"
    SubElement(body, "p", {"class": "dim"}).text = subtitle
    _tiles(body, report)
    for verdict in VERDICTS[1:]:
        if cases := [case for case in report["cases"] if case["verdict"] == verdict]:
            SubElement(body, "h2").text = f"{verdict}: {MEANING[verdict]} ({len(cases)})"
            for case in cases:
                _case(body, case)
    _same(body, [case for case in report["cases"] if case["verdict"] == "same"])
    _evidence(body, report)
    _rules(body, report)
    return "<!DOCTYPE html>\n" + tostring(top, encoding="unicode", method="html") + "\n"


def _tiles(body: Element, report: Report) -> None:
    summary = report["summary"]
    tiles = SubElement(body, "div", {"class": "tiles"})
    for verdict in VERDICTS:
        count = summary[verdict]
        kind = "dim" if not count or verdict == "flaky" else "good" if verdict == "same" else "bad"
        tile = SubElement(tiles, "div", {"class": f"tile {kind}"})
        SubElement(tile, "b").text = str(count)
        SubElement(tile, "span").text = verdict
    text = f"Of {summary['pass on the reference']} cases that pass on the reference, {summary['pass on both']} "
    SubElement(body, "p").text = text + "pass on lxrun."


def _case(body: Element, case: CaseRecord) -> None:
    details = SubElement(body, "details")
    line = SubElement(details, "summary")
    SubElement(line, "code").text = case["name"]
    if said := ", ".join(part["what"] for part in case["differences"]):
        SubElement(line, "span", {"class": "dim"}).text = f" {said}"
    inside = SubElement(details, "div")
    if (command := printable(shlex.join(case["argv"]))) != case["name"]:
        SubElement(inside, "code").text = command
    for part in case["differences"]:
        SubElement(inside, "h3").text = part["what"]
        _diff(inside, part["lines"])
    _run(inside, "reference", case["reference"])
    if case["lxrun"]:
        _run(inside, "lxrun", case["lxrun"])


def _diff(parent: Element, lines: list[str]) -> None:
    pre = SubElement(parent, "pre")
    for line in lines:
        kind = {"-": "removed", "+": "added"}.get(line[:1], "")
        span = SubElement(pre, "span", {"class": kind})
        span.text = line
        span.tail = "\n"


def _run(parent: Element, side: str, run: RunRecord) -> None:
    SubElement(parent, "h3").text = f"{side}: {run['ending']}, {run['seconds']:.2f} s{_counts(run)}"
    for name, text in (("standard output", run["stdout"]), ("standard error", run["stderr"])):
        if text:
            SubElement(parent, "div", {"class": "dim"}).text = name
            SubElement(parent, "pre").text = text


def _counts(run: RunRecord) -> str:
    return "".join(f", {count} {state}" for state, count in run["results"].items())


def _same(body: Element, cases: list[CaseRecord]) -> None:
    if not cases:
        return
    SubElement(body, "h2").text = f"same: {MEANING['same']} ({len(cases)})"
    table = SubElement(body, "table")
    _row(table, "th", "case", "ended with", "results", "s", "made equal by")
    for case in cases:
        results = _counts(case["reference"]).removeprefix(", ")
        seconds = f"{case['lxrun']['seconds'] if case['lxrun'] else 0:.2f}"
        _row(table, "td", case["name"], case["reference"]["ending"], results, seconds, ", ".join(case["rules"]))


def _evidence(body: Element, report: Report) -> None:
    if not (counts := evidence(report)):
        return
    SubElement(body, "h2").text = "System calls: the evidence"
    text = "Cases that made the call and did the same on both sides, seen from outside, and those that did not."
    SubElement(body, "p").text = text
    table = SubElement(body, "table")
    _row(table, "th", "call", "same", "not the same")
    for name, count in counts.items():
        _row(table, "td", name, str(count.same), str(count.other or ""))


def _rules(body: Element, report: Report) -> None:
    SubElement(body, "h2").text = "What was made equal before comparing"
    if not report["rules"]:
        SubElement(body, "p").text = "Nothing: the runs were compared as they are."
        return
    table = SubElement(body, "table")
    _row(table, "th", "rule", "what", "pattern", "counts as")
    for rule in report["rules"]:
        _row(table, "td", rule["name"], rule["why"], rule["pattern"], rule["replacement"])


def _row(table: Element, kind: str, *cells: str) -> None:
    row = SubElement(table, "tr")
    for cell in cells:
        SubElement(row, kind).text = cell

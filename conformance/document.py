"""docs/conformance.md: the digests of one or several runs as a page of Markdown."""

from __future__ import annotations

from conformance.digest import Digest, Odd
from conformance.record import MEANING, VERDICTS

HEAD = """\
# Conformance

Generated from runs of [`lxconform`](conformance-runner.md) by `lxconform document`; do not edit.

| suite | cases | the same, seen from outside | pass on Linux | of those, pass on lxrun |
|---|---:|---:|---:|---:|
{rows}

Each case is run on Linux and on lxrun. Seen from outside are the exit status or signal, output, files left behind, and
the results of sub-tests where a program reports them.
"""


def document(digests: list[Digest]) -> str:
    """The page: a table of all suites, a section for each, the evidence for each call."""
    parts = [HEAD.format(rows="\n".join(map(_row, digests)))]
    for each in digests:
        parts += _section(each)
    if counts := evidence(digests):
        lines = ["## The evidence for each system call", ""]
        lines += ["Cases that made the call and did the same on both sides, and those that did not.", ""]
        lines += ["| call | same | not the same |", "|---|---:|---:|"]
        lines += [f"| `{name}` | {same} | {other or ''} |" for name, (same, other) in counts.items()]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def evidence(digests: list[Digest]) -> dict[str, tuple[int, int]]:
    """Of all suites together, by the names of the calls in alphabetical order."""
    found: dict[str, tuple[int, int]] = {}
    for each in digests:
        for name, (same, other) in each["evidence"].items():
            before = found.get(name, (0, 0))
            found[name] = before[0] + same, before[1] + other
    return dict(sorted(found.items()))


def _row(digest: Digest) -> str:
    summary = digest["summary"]
    passing, both = summary["pass on the reference"], summary["pass on both"]
    share = f" ({100 * both / passing:.1f} %)" if passing else ""
    return f"| {digest['title']} | {summary['cases']} | {digest['outside']} | {passing} | {both}{share} |"


def _section(digest: Digest) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in digest["versions"].items())
    head = [f"## {digest['title']}", "", f"{digest['summary']['cases']} cases of `{digest['suite']}`; {versions}."]
    if digest["about"]:
        head.append(digest["about"])
    parts = ["\n".join(head) + "\n"]
    if digest["compared"]:
        parts.append(
            "The system calls were compared too; where only they differ, the verdict says so and the case still counts "
            "as the same from outside.\n"
        )
    rows = [f"| {verdict} | {digest['summary'].get(verdict, 0)} | {MEANING[verdict]} |" for verdict in VERDICTS]
    parts.append("\n".join(["| verdict | cases | meaning |", "|---|---:|---|", *rows]) + "\n")
    if digest["failing"]:
        parts.append(_causes("What passes on Linux and not on lxrun, by cause", digest["failing"]))
    if digest["other"]:
        title = "What else is not the same" if digest["failing"] else "What is not the same"
        parts.append(_causes(title, digest["other"]))
    if digest["left_out"]:
        lines = ["### What is left out", "", "| why | cases |", "|---|---|"]
        lines += [f"| {_cell(why)} | {_names(names)} |" for why, names in digest["left_out"].items()]
        parts.append("\n".join(lines) + "\n")
    return parts


def _causes(title: str, odd: list[Odd]) -> str:
    """Those with a known cause by that, the most frequent first; then the others, one by one."""
    by_cause: dict[str, list[str]] = {}
    for case in odd:
        if case["cause"]:
            by_cause.setdefault(case["cause"], []).append(case["name"])
    lines = [f"### {title}", ""]
    if by_cause:
        lines += ["| cause | number | cases |", "|---|---:|---|"]
        for cause, names in sorted(by_cause.items(), key=lambda item: -len(item[1])):
            lines.append(f"| {_cell(cause)} | {len(names)} | {_names(names)} |")
        lines.append("")
    unknown = [case for case in odd if not case["cause"]]
    if unknown and not any(case["how"] for case in unknown):
        lines += [f"{len(unknown)} cases, most of which are skipped or fail on one side or both: "
                  f"{_names([case['name'] for case in unknown])}.", ""]  # fmt: skip
    elif unknown:
        lines += ["| case | verdict | how |", "|---|---|---|"]
        lines += [f"| `{_cell(case['name'])}` | {case['verdict']} | {_cell(case['how'])} |" for case in unknown]
        lines.append("")
    return "\n".join(lines)


def _names(names: list[str]) -> str:
    return ", ".join(f"`{_cell(name)}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("\n", " ").replace("<", "&lt;")

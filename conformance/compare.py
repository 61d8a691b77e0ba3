"""What changed between two reports: two versions of lxrun, or of the suite."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.record import GOOD, VERDICTS, CaseRecord, Report


@dataclass
class Changes:
    """Cases by what became of them, a line each.  `changed`: neither better nor worse by its verdict."""

    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def changes(before: Report, after: Report) -> Changes:
    """From one report to the other, case by case, by their names."""
    found = Changes()
    old = {case["name"]: case for case in before["cases"]}
    new = {case["name"]: case for case in after["cases"]}
    for name, case in new.items():
        if name not in old:
            found.new.append(f"{name}: {case['verdict']}{_counts(case)}")
        elif line := _line(old[name], case):
            good = old[name]["verdict"] in GOOD, case["verdict"] in GOOD
            kind = {(True, False): found.worse, (False, True): found.better}.get(good, found.changed)
            kind.append(line)
    found.gone = [f"{name}: {case['verdict']}" for name, case in old.items() if name not in new]
    return found


def _line(old: CaseRecord, new: CaseRecord) -> str:
    """What changed in a case; empty if nothing did."""
    if old["verdict"] != new["verdict"]:
        return f"{new['name']}: {_told(old)} -> {_told(new)}"
    if new["verdict"] in GOOD or old["differences"] == new["differences"]:
        return ""
    before, after = ({part["what"]: part["lines"] for part in case["differences"]} for case in (old, new))
    what = ", ".join(key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key))
    counts = f":{_counts(old)} ->{_counts(new)}" if _counts(old) != _counts(new) else ""
    return f"{new['name']}: {new['verdict']} in another way ({what}){counts}"


def _told(case: CaseRecord) -> str:
    return case["verdict"] + _counts(case)


def _counts(case: CaseRecord) -> str:
    """lxrun's results by state, where it reported any."""
    counts = case["lxrun"]["results"] if case["lxrun"] else {}
    return f" [{', '.join(f'{count} {state}' for state, count in counts.items())}]" if counts else ""


def text(before: Report, after: Report, found: Changes) -> str:
    """The comparison for a terminal."""
    lines = []
    for key in ("suite", "versions", "options", "rules"):
        one, other = before.get(key), after.get(key)
        if one != other:
            shown = f": {_plain(one)} -> {_plain(other)}" if key != "rules" else ""
            lines.append(f"not the same {key}{shown}")
    for verdict in VERDICTS:
        one, other = (report["summary"].get(verdict, 0) for report in (before, after))
        if one or other:
            lines.append(f"  {one:6} -> {other:<6} {verdict}")
    for title, cases in (
        ("worse", found.worse), ("better", found.better), ("changed", found.changed),
        ("new", found.new), ("gone", found.gone),
    ):  # fmt: skip
        if cases:
            lines += ["", f"{title} ({len(cases)}):", *(f"  {case}" for case in cases)]
    return "\n".join(lines)


def _plain(value: object) -> str:
    return ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else str(value)

"""The report on one screen."""

from __future__ import annotations

from conformance.record import MEANING, VERDICTS, CaseRecord, Report

ROOM = 20
"""Lines for the cases that are not the same: with the figures, a terminal of 30 lines holds it all."""
WIDTH = 100


def screen(report: Report) -> str:
    """The figures, then one line for each case that is not the same, as far as there is room."""
    summary = report["summary"]
    rate = len(report["cases"]) / report["seconds"] if report["seconds"] else 0
    lines = [f"{report['suite']}: {summary['cases']} cases in {report['seconds']:.1f} s ({rate:.1f} a second)"]
    lines += [f"  {summary[verdict]:6} {verdict:9} {MEANING[verdict]}" for verdict in VERDICTS if summary[verdict]]
    lines.append(f"  {summary['pass on both']} of the {summary['pass on the reference']} that pass on the reference "
                 "pass on lxrun")  # fmt: skip
    odd = [case for verdict in VERDICTS[1:] for case in report["cases"] if case["verdict"] == verdict]
    if odd:
        lines.append("")
    lines += [_line(case) for case in odd[:ROOM]]
    if len(odd) > ROOM:
        lines.append(f"... and {len(odd) - ROOM} more")
    return "\n".join(lines)


def _line(case: CaseRecord) -> str:
    if case["differences"]:
        part = case["differences"][0]
        detail = f"{part['what']}: {' '.join(part['lines'][:2])}"
    else:
        detail = case["reference"]["ending"]
    line = f"{case['verdict']:9} {case['name']}: {detail}"
    return line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."

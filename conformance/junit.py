"""The report as JUnit XML, which CI systems show."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from conformance.record import MEANING, CaseRecord, Report


def junit(report: Report) -> str:
    """`differs` is a failure, what did not run to its end an error, a flaky reference a skipped test."""
    summary = report["summary"]
    suite = Element(
        "testsuite",
        name=report["suite"],
        tests=str(summary["cases"]),
        failures=str(summary["differs"]),
        errors=str(summary["crashed"] + summary["time-out"] + summary["not-run"] + summary["lost"]),
        skipped=str(summary["flaky"]),
        time=str(report["seconds"]),
    )
    for case in report["cases"]:
        _case(suite, case, report["suite"])
    top = Element("testsuites")
    top.append(suite)
    indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(top, encoding="unicode") + "\n"


def _case(suite: Element, case: CaseRecord, classname: str) -> None:
    verdict, guest = case["verdict"], case["lxrun"]
    seconds = guest["seconds"] if guest else 0
    test = SubElement(suite, "testcase", classname=classname, name=case["name"], time=str(seconds))
    if verdict == "same":
        return
    kind = {"differs": "failure", "flaky": "skipped"}.get(verdict, "error")
    lines = [f"{part['what']}:\n" + "\n".join(part["lines"]) for part in case["differences"]]
    endings = f"reference: {case['reference']['ending']}" + (f"; lxrun: {guest['ending']}" if guest else "")
    SubElement(test, kind, message=f"{verdict}: {MEANING[verdict]}").text = "\n\n".join([endings, *lines])

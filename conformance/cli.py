"""The `lxconform` command."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from conformance import digest, notes, record, suite
from conformance.calls import RULES as CALL_RULES
from conformance.compare import changes, text
from conformance.document import document
from conformance.junit import junit
from conformance.page import page
from conformance.pool import Settings, examine_all
from conformance.progress import Progress
from conformance.record import GOOD, SCHEMA, CaseRecord, Report, ReportError, dump, summary
from conformance.rules import RULES, Rule, blank
from conformance.state import State
from conformance.terminal import screen

INTERNAL = 125  # lxrun's own status for its own failures
INTERRUPTED = 130

DESCRIPTION = "Run the same programs on real Linux and on lxrun, and show what differs."
STATUS = """\
exit status: 0 nothing speaks against lxrun (a flaky reference does not), 1 a case differs, crashed, did not end in
time, could not be run or ended what ran it, 2 a wrong command line, 125 lxconform itself failed, 130 interrupted."""


class Failure(Exception):
    """lxconform cannot go on; one line for the user."""


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(argv: list[str]) -> int:
    """Run the command line `argv`; the exit status."""
    options = _parser().parse_args(argv)
    try:
        status: int = options.command(options)
    except (Failure, ReportError, notes.NotesError, suite.SuiteError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        resumed = "; the same command goes on where this one stopped" if getattr(options, "json", None) else ""
        print(f"lxconform: interrupted{resumed}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _failed(f"{name}{error.strerror}")
    return status


def _failed(text: str) -> int:
    print(f"lxconform: {text}", file=sys.stderr)
    return INTERNAL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lxconform", description=DESCRIPTION, epilog=STATUS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run a suite", description=DESCRIPTION, epilog=STATUS))
    compare = commands.add_parser(
        "compare",
        help="what changed from one report to another",
        description="Show what changed from one report to another.",
        epilog="exit status: 0 nothing became worse, 1 something did",
    )
    compare.add_argument("before", metavar="A.json", type=Path)
    compare.add_argument("after", metavar="B.json", type=Path)
    compare.set_defaults(command=_compare)
    _add_fuzz(commands)
    page_of = commands.add_parser(
        "document",
        help="reports as a page of Markdown",
        description="Print reports, or their digests, as a page of Markdown, with the evidence for each system call.",
    )
    page_of.add_argument("reports", metavar="A.json", type=Path, nargs="+")
    page_of.add_argument("--notes", type=Path, metavar="FILE", help="a file that knows causes of failures")
    page_of.add_argument(
        "--digest", type=Path, metavar="FILE", help="write what the page is made from, for another time"
    )
    page_of.add_argument("--check", type=Path, metavar="FILE", help="print nothing; status 1 if FILE is not this page")
    page_of.set_defaults(command=_document)
    return parser


def _add_fuzz(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fuzz = commands.add_parser(
        "fuzz",
        help="random programs of system calls",
        description="Run random programs of system calls on real Linux and on lxrun; write those that differ as C.",
        epilog="exit status: 0 no difference, 1 differences, 2 a wrong command line, 125 lxconform itself failed",
    )
    fuzz.add_argument("--seed", type=int, default=1, metavar="N", help="where chance starts from (default: 1)")
    fuzz.add_argument("--cases", type=_count, default=1000, metavar="N", help="programs to run (default: 1000)")
    fuzz.add_argument("--time", type=_seconds, default=86400.0, metavar="S", help="seconds to spend, at most")
    fuzz.add_argument(
        "--calls", type=_names, default=[], metavar="NAME,...", help="calls to use (default: all it knows)"
    )
    fuzz.add_argument("--families", type=_names, default=[], metavar="NAME,...",
                      help="families of calls to use: open, io, dirs, memory, socket, ...")  # fmt: skip
    fuzz.add_argument(
        "--out", type=Path, default=Path("fuzz"), metavar="DIR", help="for the C programs (default: fuzz)"
    )
    fuzz.set_defaults(command=_fuzz)


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("suite", metavar="SUITE", type=Path, help="a directory of programs, a file with one command "
                     "a line, or with --prefix a runtest file of LTP")  # fmt: skip
    run.add_argument("--prefix", type=Path, metavar="DIR", help="where LTP is installed")
    run.add_argument("--notes", type=Path, metavar="FILE", help="a file that says which cases are left out, and why")
    run.add_argument("--against", choices=("native", "vm"), default="native",
                     help="the reference: this machine's Linux, or Linux in a VM (default: native)")  # fmt: skip
    run.add_argument("--jobs", type=_jobs, default=os.cpu_count() or 1, metavar="N", help="cases at a time")
    run.add_argument("--timeout", type=_seconds, default=60.0, metavar="S", help="seconds for each run (default: 60)")
    run.add_argument("--env", action="append", default=[], type=_variable, metavar="NAME=VALUE",
                     help="a variable for every program; may be repeated")  # fmt: skip
    run.add_argument("--blank", action="append", default=[], type=_blank, metavar="REGEX",
                     help="text that does not count, besides pids, times and the like; may be repeated")  # fmt: skip
    run.add_argument("--exact", action="store_true", help="compare as it is: only --blank is made equal")
    run.add_argument("--calls", action="store_true", help="compare the system calls too (needs strace)")
    run.add_argument("--call-names", action="store_true", help="only note which calls lxrun serves in each case")
    run.add_argument("--json", type=Path, metavar="FILE", help="the report for programs; an interrupted run is resumed")
    run.add_argument("--html", type=Path, metavar="FILE", help="the report for people")
    run.add_argument("--junit", type=Path, metavar="FILE", help="the report for CI")
    run.set_defaults(command=_run)


def _jobs(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1024:
        raise argparse.ArgumentTypeError("a number from 1 to 1024")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number from 1")
    return number


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError("seconds, more than 0 and at most a day")
    return seconds


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _blank(text: str) -> Rule:
    try:
        return blank(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


# ------------------------------------------------------------------------------------------ run


def _run(options: argparse.Namespace) -> int:
    if options.against == "native" and sys.platform != "linux":
        raise Failure("--against native needs Linux: it is what lxrun is compared with")
    if options.against == "vm" and options.calls:
        raise Failure("--calls needs strace on the reference, and so --against native")
    if options.calls and not shutil.which("strace", path=suite.PATH):
        raise Failure("--calls needs strace on the reference; install it with: apt-get install strace")
    for path in filter(None, (options.json, options.html, options.junit)):
        if not path.parent.is_dir():  # found out before the work, not after it
            raise Failure(f"{path.parent}: no such directory")
    plan = suite.read(options.suite, options.prefix)
    cases, left_out = notes.read(options.notes, _name(options.suite)).choose(plan.cases)
    if not cases:
        raise Failure(f"{options.notes}: leaves no case")
    rules = (*(() if options.exact else RULES), *options.blank)
    linux = _linux_in_vm() if options.against == "vm" else platform.release()
    settings = Settings(
        {**plan.env, **dict(options.env)}, options.timeout, rules, options.calls, options.against, options.call_names
    )
    state = State(options.json, cases, settings) if options.json else None
    started = time.monotonic()
    records = _examine(cases, settings, options.jobs, state)
    seconds = time.monotonic() - started
    report = _report(records, left_out, (*rules, *(CALL_RULES if options.calls else ())), options, linux, seconds)
    for path, form in ((options.json, dump), (options.html, page), (options.junit, junit)):
        if path is not None:
            _write(path, form(report))
    if state:
        state.done()
    print(screen(report))
    return 0 if all(case["verdict"] in GOOD for case in records) else 1


def _name(path: Path) -> str:
    """What a suite is called in reports and notes."""
    return path.name or str(path)


def _examine(cases: tuple[suite.Case, ...], settings: Settings, jobs: int, state: State | None) -> list[CaseRecord]:
    """The records of all cases, in the suite's order."""
    done = {case["name"]: case for case in state.resume()} if state else {}
    left = [each for each in cases if each.name not in done]
    with Progress(len(cases), len(done)) as progress, closing(examine_all(left, jobs, settings)) as records:
        for case in records:
            done[case["name"]] = case
            if state:
                state.add(case)
            progress.advance(case)
    return [done[each.name] for each in cases]


def _linux_in_vm() -> str:
    """The release of the VM's Linux; where it cannot be started, no case has to find that out."""
    import lxrun

    try:
        done = lxrun.run(
            ["uname", "-r"], env={"PATH": suite.PATH}, backend="vm", stdin=lxrun.DEVNULL, capture_output=True
        )
    except lxrun.RunError as error:
        raise Failure(f"--against vm: {error}") from None
    return os.fsdecode(done.stdout or b"").strip()


def _report(
    records: list[CaseRecord],
    left_out: dict[str, list[str]],
    rules: tuple[Rule, ...],
    options: argparse.Namespace,
    linux: str,
    seconds: float,
) -> Report:
    from lxrun import __version__

    return Report(
        schema=SCHEMA,
        suite=_name(options.suite),
        against=options.against,
        versions={"lxrun": __version__, platform.system() if options.against == "native" else "Linux": linux},
        options={"timeout": f"{options.timeout:g}", "jobs": str(options.jobs), "calls": "yes" if options.calls else ""},
        rules=[
            {"name": rule.name, "pattern": rule.pattern, "replacement": rule.replacement, "why": rule.why}
            for rule in rules
        ],
        seconds=round(seconds, 3),
        summary=summary(records),
        cases=records,
        left_out=left_out,
    )


def _compare(options: argparse.Namespace) -> int:
    before, after = record.read(options.before), record.read(options.after)
    found = changes(before, after)
    print(text(before, after, found))
    return 1 if found.worse else 0


def _document(options: argparse.Namespace) -> int:
    digests = []
    for path in options.reports:
        if (known := digest.read(path)) is not None:
            digests += known
        else:
            report = record.read(path)
            digests.append(digest.digest(report, notes.read(options.notes, report["suite"])))
    if options.digest:
        _write(options.digest, digest.dump(digests))
    text_of_page = document(digests)
    if options.check:
        if options.check.read_text(encoding="utf-8") == text_of_page:
            return 0
        print(f"{options.check} is not what `lxconform document {options.reports[0]}` prints", file=sys.stderr)
        return 1
    sys.stdout.write(text_of_page)
    return 0


def _fuzz(options: argparse.Namespace) -> int:
    if sys.platform != "linux":
        raise Failure("fuzz needs Linux: it is what lxrun is compared with")
    try:
        from conformance.fuzz.command import fuzz
    except ModuleNotFoundError as error:
        raise Failure(f"fuzz needs {error.name}; install it with: pip install 'lxrun[conformance]'") from None
    from conformance.fuzz.server import FuzzError

    def say(text: str) -> None:
        print(text, flush=True)

    try:
        found = fuzz(
            calls=options.calls, families=options.families, seed=options.seed, programs=options.cases,
            seconds=options.time, out=options.out, say=say,
        )  # fmt: skip
    except FuzzError as error:
        raise Failure(str(error)) from None
    return 1 if found else 0


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)

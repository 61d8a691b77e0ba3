"""docs/syscalls.md, generated from the table and the evidence in the conformance runs' digest: `python -m
syscalls.document` writes it, `--check` compares."""

from __future__ import annotations

import errno
import json
import sys
from collections import Counter
from pathlib import Path

from emu.arch.x86_64_calls import CALLS
from syscalls.support import Call, Family
from syscalls.table import TABLE

PATH = "docs/syscalls.md"
DIGEST = Path(__file__).parent.parent / "docs" / "conformance.json"

HEAD = """\
# System calls

Generated from `syscalls/table.py` and `docs/conformance.json` by `python -m syscalls.document`; edit the table, not
this page.

Every call number Linux has on x86-64, as of the kernel headers of Linux 7.2, is answered:

| answer | calls | meaning |
|---|---:|---|
| full | {full} | as Linux does it |
| partial | {partial} | as Linux does it, except for what the note says |
| refused | {refused} | always fails with the error given, as a Linux built without the feature would |
| **all** | **{all}** | |

*Or a VM*: where lxrun does not serve the call, `--backend auto` may run the program in a VM ([vm.md](vm.md#auto)).

The restart column says what a call does that a signal interrupted while it waited ([signal(7)]): *yes*,
restarted if no handler ran or the handler has `SA_RESTART`; *without a handler*, restarted only if no
handler ran, else EINTR. Calls that do not wait, or always fail with EINTR then, have none.

The evidence column says how many cases of the suites in [conformance.md](conformance.md) made the call on lxrun and
did the same as on Linux, and behind a dash how many did not, for whatever reason.

[signal(7)]: https://man7.org/linux/man-pages/man7/signal.7.html
"""

NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP"}  # of the two names this error has, the one in man pages
RESTART = {"sys": "yes", "nohand": "without a handler", "block": "without a handler", "never": ""}


def document() -> str:
    """The page."""
    levels = Counter(call.support.level for family in TABLE for call in family.calls)
    parts = [HEAD.format(**levels, all=levels.total())]
    numbers = {name: number for number, name in CALLS.items()}
    found = evidence()
    parts += [section(family, numbers, found) for family in TABLE]
    return "\n".join(parts)


def evidence() -> dict[str, str]:
    """By the names of the calls, from the digest."""
    same: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for suite in json.loads(DIGEST.read_text(encoding="utf-8")):
        for name, (alike, not_alike) in suite["evidence"].items():
            same[name] += alike
            other[name] += not_alike
    return {name: f"{same[name]} – {other[name]}" if other[name] else str(same[name]) for name in same}


def section(family: Family, numbers: dict[str, int], found: dict[str, str]) -> str:
    """One family's table, in the order of syscalls/table.py."""
    lines = [f"## {family.title}", "", "| number | call | support | evidence | restart | note |"]
    lines.append("|---:|---|---|---|---|---|")
    lines += [line(call, numbers, found) for call in family.calls]
    return "\n".join(lines) + "\n"


def line(call: Call, numbers: dict[str, int], found: dict[str, str]) -> str:
    level, note, code = call.support
    support = f"refused: {NAMES.get(code) or errno.errorcode[code]}" if level == "refused" else level
    if call.vm:
        support += ", or a VM"
    waits = "" if level == "refused" else RESTART[call.restart]
    seen = found.get(call.name, "")
    return f"| {numbers[call.name]} | `{call.name}` | {support} | {seen} | {waits} | {note.replace('|', '&#124;')} |"


def main(argv: list[str]) -> int:
    text = document()
    if argv == ["--check"]:
        with open(PATH, encoding="utf-8") as file:
            if file.read() == text:
                return 0
        print(
            f"{PATH} is not what syscalls/table.py and the evidence say: run python -m syscalls.document",
            file=sys.stderr,
        )
        return 1
    if argv:
        print("usage: python -m syscalls.document [--check]", file=sys.stderr)
        return 2
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

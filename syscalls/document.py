"""docs/syscalls.md, generated from the table: `python -m syscalls.document` writes it, `--check` compares."""

from __future__ import annotations

import errno
import sys
from collections import Counter

from emu.arch.x86_64_calls import CALLS
from syscalls.support import Call, Family
from syscalls.table import TABLE

PATH = "docs/syscalls.md"

HEAD = """\
# System calls

Generated from `syscalls/table.py` by `python -m syscalls.document`; edit the table, not this page.

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

[signal(7)]: https://man7.org/linux/man-pages/man7/signal.7.html
"""

NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP"}  # of the two names this error has, the one in man pages
RESTART = {"sys": "yes", "nohand": "without a handler", "block": "without a handler", "never": ""}


def document() -> str:
    """The page."""
    levels = Counter(call.support.level for family in TABLE for call in family.calls)
    parts = [HEAD.format(**levels, all=levels.total())]
    numbers = {name: number for number, name in CALLS.items()}
    parts += [section(family, numbers) for family in TABLE]
    return "\n".join(parts)


def section(family: Family, numbers: dict[str, int]) -> str:
    """One family's table, in the order of syscalls/table.py."""
    lines = [f"## {family.title}", "", "| number | call | support | restart | note |", "|---:|---|---|---|---|"]
    lines += [line(call, numbers) for call in family.calls]
    return "\n".join(lines) + "\n"


def line(call: Call, numbers: dict[str, int]) -> str:
    level, note, code = call.support
    support = f"refused: {NAMES.get(code) or errno.errorcode[code]}" if level == "refused" else level
    if call.vm:
        support += ", or a VM"
    waits = "" if level == "refused" else RESTART[call.restart]
    return f"| {numbers[call.name]} | `{call.name}` | {support} | {waits} | {note.replace('|', '&#124;')} |"


def main(argv: list[str]) -> int:
    text = document()
    if argv == ["--check"]:
        with open(PATH, encoding="utf-8") as file:
            if file.read() == text:
                return 0
        print(f"{PATH} is not what syscalls/table.py says: run python -m syscalls.document", file=sys.stderr)
        return 1
    if argv:
        print("usage: python -m syscalls.document [--check]", file=sys.stderr)
        return 2
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

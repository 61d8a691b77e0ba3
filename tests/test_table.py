"""The table of system calls: complete, true, and as documented."""

from __future__ import annotations

import errno
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from struct import Struct
from types import SimpleNamespace
from typing import Any

import pytest

import syscalls
from emu.arch.x86_64_calls import CALLS
from syscalls import document
from syscalls.abi import Int, Long, Ptr, Result, UInt, ULong, bind
from syscalls.dispatch import build
from syscalls.support import BLOCK, NEVER, NOHAND, SYS
from syscalls.table import TABLE

ROOT = Path(__file__).parents[1]
LINES = [call for family in TABLE for call in family.calls]


def test_every_number_has_a_line_and_every_line_a_number() -> None:
    names = [call.name for call in LINES]
    assert len(names) == len(set(names))
    assert set(names) == set(CALLS.values())
    assert len(CALLS) == len(set(CALLS.values()))


def test_numbers_are_those_of_the_headers() -> None:
    for path in ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"):
        header = Path(path)
        if header.exists():
            found = {int(number): name for name, number in re.findall(r"__NR_(\w+) (\d+)", header.read_text())}
            assert found.items() <= CALLS.items()
            return
    assert CALLS[0] == "read" and CALLS[231] == "exit_group" and CALLS[437] == "openat2"


def test_every_supported_call_has_its_handler() -> None:
    build(CALLS).resolve()


def test_every_handler_is_in_the_table() -> None:
    """No handler is dead: a call that works is not refused, and none lies in another family's module."""
    expected = {
        (family.module, call.name) for family in TABLE for call in family.calls if call.support.level != "refused"
    }
    found = set()
    for module in pkgutil.iter_modules(syscalls.__path__):
        loaded = import_module(f"syscalls.{module.name}")
        found |= {
            (module.name, name[4:])
            for name, value in vars(loaded).items()
            if name.startswith("sys_") and getattr(value, "__module__", "") == loaded.__name__
        }
    assert found == expected


def test_lines_are_sound() -> None:
    for call in LINES:
        assert call.restart in (SYS, NOHAND, BLOCK, NEVER), call
        level, note, code = call.support
        assert level in ("full", "partial", "refused"), call
        assert (level == "refused") == (code != 0), call
        assert bool(note) == (level != "full"), call
        assert not note or note[-1] not in ".!", call


def test_refused_calls_answer_their_error() -> None:
    table = build(CALLS)
    numbers = {name: number for number, name in CALLS.items()}
    asked: list[str] = []
    root, other = (
        SimpleNamespace(kernel=SimpleNamespace(refuses=asked.append), cred=SimpleNamespace(euid=euid))
        for euid in (0, 1)
    )
    for call in LINES:
        if call.support.level == "refused":
            for task in (root, other):
                assert table[numbers[call.name]](task) == -call.support.errno
            # What takes a capability is refused to others for good
            times = 0 if not call.vm else 1 if call.support.errno == errno.EPERM else 2
            assert asked == [f"{call.name}(2)"] * times
            asked.clear()


@pytest.mark.parametrize("number", [-1, 10**6, 1 << 63, 340, 423, max(CALLS) + 1])
def test_unknown_numbers(number: int) -> None:
    table = build(CALLS)
    before = len(table)
    assert table[number](None) == -errno.ENOSYS
    assert len(table) == before, "a guest that tries every number must not fill the table"


@pytest.mark.parametrize("slots", [(0, 1, 2, 3, 4, 5, 6), (0, 7, 6, 2, 10, 8, 9), (3, 9, 1, 8, 0, 4, 5)])
def test_arguments_are_read_as_annotated_wherever_they_lie(slots: tuple[int, ...]) -> None:
    seen: list[Any] = []

    def sys_sample(t: Any, a: Int, b: UInt, c: Long, d: ULong, e: Ptr, f: Int) -> Result:
        seen.append((t, a, b, c, d, e, f))
        return 7

    def sys_first(t: Any, a: Int) -> Result:
        return a

    def sys_none(t: Any) -> Result:
        return 8

    call = bytearray(Struct("<11Q").pack(*[0x1111] * 11))
    words = memoryview(call).cast("Q")
    for slot, value in zip(slots[1:], [(1 << 64) - 2] * 5 + [12], strict=True):
        words[slot] = value
    assert bind(sys_sample, call, slots)("task") == 7
    assert seen == [("task", -2, (1 << 32) - 2, -2, (1 << 64) - 2, (1 << 64) - 2, 12)]
    assert (bind(sys_first, call, slots)(None), bind(sys_none, call, slots)(None)) == (-2, 8)

    def sys_bad(t: Any, a: float) -> Result:
        return 0

    with pytest.raises(TypeError, match="sys_bad"):
        bind(sys_bad, bytearray(56), tuple(range(7)))


def test_restart_rules_are_those_of_signal_7() -> None:
    table = build(CALLS)
    rules = {name: table.restart(number) for number, name in CALLS.items()}
    assert all(rules[name] == SYS for name in ("read", "write", "readv", "open", "flock", "fcntl", "futex", "ioctl"))
    assert all(rules[name] == NOHAND for name in ("pause", "rt_sigsuspend", "select", "pselect6", "ppoll"))
    assert all(rules[name] == BLOCK for name in ("nanosleep", "clock_nanosleep", "poll"))
    assert all(rules[name] == NEVER for name in ("getpid", "close", "rt_sigtimedwait"))


def test_document_is_current() -> None:
    text = (ROOT / document.PATH).read_text(encoding="utf-8")
    assert text == document.document(), "run python -m syscalls.document"


def test_document_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0
    (tmp_path / document.PATH).write_text("old")
    assert document.main(["--check"]) == 1
    assert "syscalls.document" in capsys.readouterr().err
    assert document.main(["--nonsense"]) == 2

"""The trade-off study: its page is a function of its data, and it measures real runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from harness import require

from bench.run import Measured
from bench.runners import EVERY, LXRUN, NATIVE, QEMU, QILING, VM_COLD, VM_WARM, Run, last_line, why_failed
from bench.study import Instances, Study, Task, conduct, measure_memory
from bench.tradeoffs import Crossing, Line, Page, crossing, duration
from bench.workloads import Workload, study_workloads


def example(*, without: str = "") -> Study:
    """Starts of 1 ms, 100 ms, 1 s and 4 s; operations of which lxrun's take ten times native's, a VM's twice."""
    starts = {NATIVE: 0.001, LXRUN: 0.1, QEMU: 0.02, VM_WARM: 1.0, VM_COLD: 4.0}
    costs = {NATIVE: 1e-6, LXRUN: 10e-6, QEMU: 3e-6, VM_WARM: 2e-6}
    starts, costs = ({r: x for r, x in found.items() if r != without} for found in (starts, costs))
    sizes = dict.fromkeys(EVERY, 1_000_000)
    work = {r: [starts[r] + costs[r] * sizes[r]] * 3 for r in costs}
    if VM_COLD in starts:
        work[VM_COLD] = [6.25]
    calls = Measured(work, {r: [starts[r]] * 3 for r in costs}, {QILING: "exit status 1 (no such call)"})
    return Study(
        machine=["a machine of 2 cores"],
        rounds=3,
        missing={without: "it is not installed"} if without else {},
        keeping=7.0,
        first={r: [t, t * 1.5, t * 0.5] for r, t in starts.items()},
        whole={r: [t + 0.001] * 3 for r, t in starts.items()},
        tasks={"getpid": Task("`getpid`", sizes, 0, calls)},
        memory={
            LXRUN: [Instances(1, 1, 20_000_000), Instances(10, 10, 150_000_000), Instances(50, 50, 700_000_000)],
            VM_COLD: [Instances(1, 1, 250_000_000), Instances(10, 8, 1_600_000_000, "the rest has no room")],
        },
    )


@pytest.mark.parametrize(
    "first, second, expected",
    [
        (Line(1, 2), Line(5, 1), Crossing(4, 9)),
        (Line(1, 2), Line(1, 1), Crossing(0, 1)),
        (Line(1, 2), Line(0.5, 1), Crossing(0, 0.5)),
        (Line(1, 2), Line(5, 2), None),
        (Line(1, 2), Line(5, 3), None),
        (Line(1, 2), Line(0.5, 3), None),
    ],
)
def test_crossing(first: Line, second: Line, expected: Crossing | None) -> None:
    assert crossing(first, second) == expected


def test_page() -> None:
    text = Page(example()).text()
    assert "First instruction after: native 1 ms, qemu-user 20 ms, lxrun 100 ms, VM warm 1 s, VM cold 4 s." in text
    assert "| lxrun | 100 ms | 50 ms to 150 ms | 101 ms |" in text
    assert "| `getpid` | 1 µs | 10 µs (10×) | 3 µs (3×) | cannot | 2 µs (2×) |" in text
    # 0.9 s of start at 8 µs an operation, 3.9 s at 8 µs, 0.98 s at 1 µs, 3.98 s at 1 µs
    assert (
        "from 110,000 on, 1.23 s | from 980,000 on, 2.96 s | from 490,000 on, 4.97 s | from 4,000,000 on, 12 s" in text
    )
    assert "VM warm: repaid against lxrun in a program that runs for 1.23 s (`getpid`)." in text
    assert "| `getpid` | 1,000,000 | 6 s | 6.25 s |" in text  # whether the lines hold
    assert "| lxrun | 20 (20 each) | 150 (15 each) | 700 (14 each) |" in text
    assert "VM cold: 8 instances, not 50: the rest has no room." in text
    assert "- Qiling, `getpid`: exit status 1 (no such call)." in text


@pytest.mark.parametrize("runner", EVERY)
def test_missing_runner(runner: str) -> None:
    """It is named with the reason, and the rest is told without it."""
    text = Page(example(without=runner)).text()
    assert f"- {runner}: it is not installed." in text
    before, after = text.split("## Where the lines cross")
    assert f"| {runner} | " not in before.split("## Memory")[0]
    # Against lxrun nothing crosses without it, nor without the steady costs of a VM.
    assert ("on, 1.23 s" in after) == (runner not in (LXRUN, VM_WARM))


def test_spread() -> None:
    study = example()
    assert "took 1× the time of the fastest (the median of all kinds), at most 1×" in Page(study).text()
    study.tasks["getpid"].measured.work[QEMU] = [3.0, 6.0, 3.1]
    assert "at most 2× (qemu-user, `getpid`)." in Page(study).text()


def test_noise_is_not_a_cost() -> None:
    study = example()
    study.tasks["getpid"].measured.work[LXRUN] = [0.09] * 3  # less than with no operations
    text = Page(study).text()
    assert "| `getpid` | 1 µs | too fast to tell |" in text


def test_data_is_the_whole_study() -> None:
    study = example()
    assert Study.from_json(study.to_json()) == study
    with pytest.raises(ValueError):
        Study.from_json(json.dumps({"form": 0}))


@pytest.mark.parametrize(
    "seconds, text",
    [(1.24e-7, "124 ns"), (5e-6, "5 µs"), (0.25, "250 ms"), (9.0, "9 s"), (300, "5 min"), (7200, "2 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "status, told",
    [
        (0, ""),
        (1, "exit status 1 (pipe: Function not implemented)"),
        (-9, "killed by SIGKILL"),
        (139, "exit status 139 (128 + SIGSEGV, pipe: Function not implemented)"),
    ],
)
def test_reasons(status: int, told: str) -> None:
    assert why_failed(Run(0.1, status, "", "pipe: Function not implemented")) == told


def test_no_directory_in_a_reason(tmp_path: Path) -> None:
    (tmp_path / "said").write_text(f"Traceback\n{tmp_path}/bench/tool: no {tmp_path}/such thing\n\n")
    assert last_line(tmp_path / "said") == "tool: no such thing"


def test_no_answer(tmp_path: Path) -> None:
    """A program that ends without its byte is a reason, not memory."""
    (tmp_path / "first").write_text("#!/bin/sh\necho no such luck >&2\n")
    (tmp_path / "first").chmod(0o755)
    study = Study([], 1)
    measure_memory(study, [NATIVE], tmp_path, lambda: None, levels=(1, 2))
    assert study.memory == {}
    assert study.silent == {NATIVE: "the next one failed: no such luck"}


def few_calls(work: Path) -> list[Workload]:
    """One workload, with hardly any work."""
    return [replace(w, sizes={}, count=20_000) for w in study_workloads(work) if w.key == "getpid"]


def test_real_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Native and lxrun, measured; what an interrupted study has measured is not measured again."""
    require("gcc", "gcc")
    monkeypatch.setattr("bench.workloads.GIB", 1 << 20)
    state = tmp_path / "state"
    study = conduct([NATIVE, LXRUN], 1, few_calls, state, levels=(1, 2))
    assert set(study.missing) == set(EVERY) - {NATIVE, LXRUN}
    assert [len(study.first[r]) for r in (NATIVE, LXRUN)] == [1, 1]
    assert study.first[NATIVE] < study.first[LXRUN]
    calls = study.tasks["getpid"].measured
    assert calls.failed == {} and set(calls.work) == set(calls.idle) == {NATIVE, LXRUN}
    for runner, least in ((NATIVE, 1 << 10), (LXRUN, 1 << 20)):
        assert [(i.wanted, i.count) for i in study.memory[runner]] == [(1, 1), (2, 2)]
        assert study.memory[runner][0].bytes > least
    assert "| `getpid` |" in Page(study).text()

    assert Study.from_json(state.read_text()) == study
    lost = Study.from_json(state.read_text())
    del lost.memory[LXRUN]
    state.write_text(lost.to_json())
    resumed = conduct([NATIVE, LXRUN], 1, few_calls, state, levels=(1, 2))
    assert resumed.interrupted == 1
    assert set(resumed.memory) == {NATIVE, LXRUN}
    assert replace(resumed, memory=study.memory, interrupted=0) == study

"""Classic BPF (kernel/bpf.py): what is worked out ahead is what would have come out, and no bytes do harm."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import bpf

_words = st.integers(0, 0xFFFF_FFFF) | st.integers(0, 70)
_offsets = st.integers(0, 6)
_memory = st.integers(0, 15)


@st.composite
def programs(draw: st.DrawFn) -> bytes:
    """Programs that are sound, or nearly."""
    size = draw(st.integers(1, 30))
    code = []
    for _ in range(size - 1):
        op = draw(st.sampled_from(sorted(bpf._ALLOWED)))
        k = draw(_words)
        if op == bpf.LD_ABS:
            k = 4 * draw(st.integers(0, 15))
        elif op in (bpf.LD_MEM, bpf.LDX_MEM, bpf.BPF_ST, bpf.BPF_STX):
            k = draw(_memory)
        elif op == bpf.JA:
            k = draw(_offsets)
        elif op & 7 == bpf.BPF_ALU and op & 0xF0 in (bpf.BPF_LSH, bpf.BPF_RSH):
            k &= 31
        code.append((op, draw(_offsets), draw(_offsets), k))
    code.append((bpf.RET_A, 0, 0, 0))
    return b"".join(bpf.SOCK_FILTER.pack(*instruction) for instruction in code)


@settings(max_examples=400, deadline=None)
@given(programs(), st.lists(_words, min_size=16, max_size=16), st.integers(0, 0xFFFF))
def test_stopping_and_going_on_changes_nothing(raw: bytes, words: list[int], known: int) -> None:
    try:
        program = bpf.Program(raw)
    except OSError as error:
        assert error.errno == errno.EINVAL
        return
    answer: Any = program.run(words)
    assert isinstance(answer, int) and 0 <= answer <= 0xFFFF_FFFF
    partly = [word if known >> i & 1 else None for i, word in enumerate(words)]
    stopped = program.run(partly)
    if isinstance(stopped, bpf.State):
        assert program.code[stopped.pc][0] == bpf.LD_ABS and partly[program.code[stopped.pc][3]] is None
        stopped = program.run(words, stopped)
    assert stopped == answer


@settings(max_examples=400, deadline=None)
@given(st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=20))
def test_any_bytes_are_a_program_or_refused(instructions: list[bytes]) -> None:
    try:
        program = bpf.Program(b"".join(instructions))
    except OSError as error:
        assert error.errno == errno.EINVAL
    else:
        assert isinstance(program.run([0] * 16), int)


def test_a_long_program_ends() -> None:
    step = bpf.SOCK_FILTER.pack(bpf.BPF_JMP | bpf.BPF_JEQ, 0, 0, 1)
    program = bpf.Program(step * 4095 + bpf.SOCK_FILTER.pack(bpf.RET_K, 0, 0, 7))
    assert program.run([None] * 16) == 7
    with pytest.raises(OSError):
        bpf.Program(step)

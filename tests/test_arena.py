"""Physical memory: frames, references, the limit, and memory given back to the host."""

from __future__ import annotations

import errno

import pytest

from emu.arena import Arena


def test_frames_start_zeroed_and_are_reused_zeroed() -> None:
    arena = Arena(1 << 20)
    frame = arena.alloc()
    assert frame != 0 and frame % 4096 == 0
    arena.view(frame, 4096)[:] = b"x" * 4096
    arena.drop(frame)
    again = arena.alloc()
    assert again == frame
    assert bytes(arena.view(again, 4096)) == bytes(4096)


def test_references() -> None:
    arena = Arena(1 << 20)
    frame = arena.alloc()
    arena.hold(frame)
    assert arena.shared(frame)
    arena.drop(frame)
    assert not arena.shared(frame) and arena.used == 1
    arena.drop(frame)
    assert arena.used == 0


def test_limit_is_enomem_and_peak_is_kept() -> None:
    arena = Arena(16 * 4096)
    frames = [arena.alloc() for _ in range(16)]
    with pytest.raises(OSError) as caught:
        arena.alloc()
    assert caught.value.errno == errno.ENOMEM
    arena.drop(frames.pop())
    arena.alloc()
    assert arena.peak == 16


def test_freed_frames_are_given_back_to_the_host() -> None:
    arena = Arena(64 << 20)
    frames = [arena.alloc() for _ in range(4096)]
    for frame in frames:
        arena.view(frame, 4096)[:] = b"y" * 4096
    keep = frames[::7]
    for frame in frames:
        if frame not in keep:
            arena.drop(frame)
    arena.trim()
    for frame in keep:
        assert bytes(arena.view(frame, 2)) == b"yy"
    fresh = [arena.alloc() for _ in range(3000)]
    assert len(set(fresh)) == 3000 and not set(fresh) & set(keep)
    assert all(bytes(arena.view(frame, 4096)) == bytes(4096) for frame in fresh)


def test_copy() -> None:
    arena = Arena(1 << 20)
    frame = arena.alloc()
    arena.view(frame, 3)[:] = b"abc"
    copy = arena.alloc_copy(frame)
    arena.view(frame, 1)[:] = b"z"
    assert bytes(arena.view(copy, 4)) == b"abc\0"


def test_freeing_executable_frames_tells_the_engine() -> None:
    arena = Arena(1 << 20)
    told: list[int] = []
    arena.on_code_write = told.append
    frame = arena.alloc()
    arena.executable.add(frame)
    arena.drop(frame)
    assert told == [frame] and not arena.executable

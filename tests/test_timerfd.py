"""Timer descriptors and a clock that is set: what cannot be compared with the host's without setting it."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from kernel.clock import CLOCK_MONOTONIC, CLOCK_REALTIME, Clock
from kernel.timerfd import TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET, TimerFd
from kernel.timers import Timers
from vfs.wait import POLLIN

HOUR = 3600 * 10**9


@pytest.fixture
def kernel() -> Any:
    return SimpleNamespace(clock=Clock(), timers=Timers())


def test_setting_the_clock_moves_absolute_timers(kernel: Any) -> None:
    clock = kernel.clock
    absolute, relative = TimerFd(kernel, CLOCK_REALTIME, 0), TimerFd(kernel, CLOCK_REALTIME, 0)
    absolute.set(TFD_TIMER_ABSTIME, clock.realtime_ns() + HOUR, 0)
    relative.set(0, HOUR, 0)
    clock.set_realtime(clock.realtime_ns() + 2 * HOUR)
    assert absolute.poll() == POLLIN
    assert relative.poll() == 0
    assert 0 < relative.get()[0] <= HOUR
    absolute.set(TFD_TIMER_ABSTIME, clock.realtime_ns() + HOUR, 0)
    clock.set_realtime(clock.realtime_ns() - HOUR)
    assert HOUR < absolute.get()[0] <= 2 * HOUR
    deadline = kernel.timers.next()
    assert deadline is not None and deadline > clock.monotonic_ns()


def test_cancel_on_set(kernel: Any) -> None:
    clock = kernel.clock
    timer = TimerFd(kernel, CLOCK_REALTIME, 0)
    buffer = [memoryview(bytearray(8))]
    wakes: list[int] = []
    timer.queue.add(wakes.append)
    flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
    timer.set(flags, clock.realtime_ns() + HOUR, 0)
    clock.set_realtime(clock.realtime_ns() + 1)
    assert wakes == [POLLIN] and timer.poll() == POLLIN
    with pytest.raises(OSError) as caught:
        timer.read(buffer)
    assert caught.value.errno == errno.ECANCELED
    with pytest.raises(BlockingIOError):
        timer.read(buffer)
    clock.set_realtime(clock.realtime_ns() + 1)
    with pytest.raises(OSError) as caught:
        timer.set(flags, clock.realtime_ns() + HOUR, 0)
    assert caught.value.errno == errno.ECANCELED
    assert timer.get()[0] > 0
    timer.set(0, HOUR, 0)
    clock.set_realtime(clock.realtime_ns() + 1)
    assert timer.poll() == 0
    timer.last_put()
    assert clock.was_set.waiters == []
    assert kernel.timers.next() is None


def test_monotonic_timers_do_not_care(kernel: Any) -> None:
    timer = TimerFd(kernel, CLOCK_MONOTONIC, 0)
    timer.set(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, kernel.clock.monotonic_ns() + HOUR, 0)
    kernel.clock.set_realtime(0)
    assert timer.poll() == 0

"""A time at which guest code is stopped, kept by the host's kernel: timer_create(2).

A thread of the interpreter that slept until then would need the interpreter's lock to say so.  Guest code gives that
lock up at each entry and takes it back at each trap, and whoever waits for it meanwhile is woken every time and
comes too late every time: two processes that talk through a pipe took a third longer.  With SIGEV_THREAD the
C library calls a C function on a thread of its own, and no Python runs.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import byref, c_int, c_int64, c_void_p
from typing import Any

from emu.host import PORTABLE

# time.h, bits/types/sigevent_t.h
_CLOCK_MONOTONIC, _SIGEV_THREAD, _TIMER_ABSTIME = 1, 2, 1
_AGAIN_NS = 5_000_000
_SECOND = 1_000_000_000


class _Sigevent(ctypes.Structure):
    """struct sigevent, with the members that SIGEV_THREAD uses."""

    _fields_ = (
        ("value", c_void_p), ("signo", c_int), ("notify", c_int), ("function", c_void_p), ("attributes", c_void_p),
        ("reserved", c_void_p * 4),
    )  # fmt: skip


class Alarm:
    """`emu.engine.Alarm` by a C function of the engine's.  It is called every few milliseconds from the deadline on:
    a call that meets the engine between two runs has no effect."""

    __slots__ = ("_argument", "_deadline", "_function", "_libc", "_time", "_timer", "armed")

    def __init__(self, function: int, argument: int) -> None:
        self._libc: Any = ctypes.PyDLL(None) if sys.platform == "linux" and not PORTABLE else None
        if self._libc is not None and not hasattr(self._libc, "timer_create"):
            self._libc = None  # an older C library keeps it in librt
        self._function = function
        self._argument = argument
        self._timer: c_void_p | None = None
        self._time = (c_int64 * 4)()  # struct itimerspec: the interval, then the first time
        self._deadline = 0  # what it is armed for; 0 once that has passed
        self.armed = False

    def set(self, deadline: int | None) -> bool:
        if self._libc is None:
            return False
        if deadline is None:
            if self.armed and not self._deadline:
                self.disarm()
        elif not self._deadline or deadline < self._deadline:  # a later one is cheaper told when the first has passed
            if self._timer is None and not self._create():
                return False
            self._deadline = deadline
            self.armed = True
            self._set(deadline, _AGAIN_NS)
        return True

    def passed(self) -> None:
        self._deadline = 0

    def disarm(self) -> None:
        if self.armed:
            self._deadline = 0
            self.armed = False
            self._set(0, 0)

    def _set(self, first: int, interval: int) -> None:
        self._time[1] = interval
        self._time[2], self._time[3] = divmod(first, _SECOND)
        self._libc.timer_settime(self._timer, _TIMER_ABSTIME, self._time, None)

    def _create(self) -> bool:
        event = _Sigevent(value=self._argument, notify=_SIGEV_THREAD, function=self._function)
        self._timer = c_void_p()
        if self._libc.timer_create(_CLOCK_MONOTONIC, byref(event), byref(self._timer)):
            self._libc = None
        return self._libc is not None

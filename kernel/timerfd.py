"""Timers that are read: Linux's ``struct timerfd_ctx``, timerfd_create(2)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kernel.clock import (
    CLOCK_BOOTTIME,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    NANOSECONDS,
)
from vfs.anon import ANON_INO, ANON_INODE_FS_MAGIC, ANON_INODEFS_DEV, AnonNode
from vfs.eventfd import put, too_small
from vfs.file import O_NONBLOCK, O_RDWR, File
from vfs.node import Stat
from vfs.wait import POLLIN, WaitQueue

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.timers import Timer
    from vfs.pages import Spans

TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
TFD_IOC_SET_TICKS = 0x40085400

REAL = (CLOCK_REALTIME, CLOCK_REALTIME_ALARM)
ALARM = (CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM)
CLOCKS = (CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, *ALARM)


class TimerFd(File):
    """One timer.  Times are nanoseconds of its clock.

    As in Linux an interval timer expires once and is not armed again until somebody asks: periods that
    passed meanwhile are counted then.  So it wakes nobody who does not read it.
    """

    __slots__ = (
        "cancelled", "cancels", "clockid", "expired", "expiry", "interval", "kernel", "queue", "settime_flags", "ticks",
        "timer",
    )  # fmt: skip

    pollable = True

    def __init__(self, kernel: Kernel, clockid: int, flags: int) -> None:
        node = AnonNode(Stat(0o600, ANON_INO, ANON_INODEFS_DEV), ANON_INODE_FS_MAGIC)
        super().__init__(node, O_RDWR | flags & O_NONBLOCK, b"anon_inode:[timerfd]")
        self.kernel = kernel
        self.clockid = clockid
        self.queue = WaitQueue()
        self.ticks = 0
        self.expiry = 0
        self.interval = 0
        self.expired = False  # and not armed again since
        self.settime_flags = 0
        self.cancels = False  # the clock being set cancels it (might_cancel)
        self.cancelled = False  # that happened, and nobody has been told yet
        self.timer: Timer | None = None
        if clockid in REAL:
            kernel.clock.on_set.append(self.clock_was_set)

    def now(self) -> int:
        """The time that `expiry` is one of.  Setting CLOCK_REALTIME does not move a relative timer."""
        clock = self.kernel.clock
        if self.clockid in REAL and self.settime_flags & TFD_TIMER_ABSTIME:
            return clock.realtime_ns()
        return clock.boottime_ns() if self.clockid in (CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM) else clock.monotonic_ns()

    # Arming

    def set(self, flags: int, value: int, interval: int) -> tuple[int, int]:
        """timerfd_settime(2): what `get` would have said.  Raises OSError(ECANCELED) if the clock was set
        meanwhile and that is to cancel the timer; it is armed all the same."""
        before = self.get()
        wanted = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        self.cancels = self.clockid in REAL and flags & wanted == wanted
        self.disarm()
        self.settime_flags = flags
        self.ticks = 0
        self.expired = False
        self.interval = interval
        if value:
            self.expiry = value if flags & TFD_TIMER_ABSTIME else self.now() + value
            self.arm()
            self.check_cancelled()
        return before

    def get(self) -> tuple[int, int]:
        """timerfd_gettime(2): time left (0: not armed) and interval."""
        self.check_expired()
        self.catch_up()
        return self.left(), self.interval

    def left(self) -> int:
        return 0 if self.timer is None else max(self.expiry - self.now(), 0)

    def arm(self) -> None:
        delay = self.expiry - self.now()
        if delay > 0:
            self.timer = self.kernel.timers.add(self.kernel.clock.monotonic_ns() + delay, self.due)
        else:
            self.expire()

    def disarm(self) -> None:
        if self.timer is not None:
            self.kernel.timers.cancel(self.timer)
            self.timer = None

    def due(self) -> None:
        """The monotonic deadline has come, which is early for a clock that was set or goes differently."""
        self.timer = None
        self.arm()

    def expire(self) -> None:
        """timerfd_triggered."""
        self.expired = True
        self.ticks += 1
        self.queue.wake(POLLIN)

    def check_expired(self) -> None:
        """An expiry that the run loop has not got round to yet counts."""
        if self.timer is not None and self.now() >= self.expiry:
            self.disarm()
            self.expire()

    def catch_up(self) -> None:
        """Count the periods that passed since the timer expired, and arm it for the next."""
        if self.expired and self.interval:
            self.expired = False
            passed = (self.now() - self.expiry) // self.interval + 1
            self.expiry += passed * self.interval
            self.ticks += passed - 1
            self.arm()

    # The clock is set

    def clock_was_set(self) -> None:
        """timerfd_clock_was_set, and the timer's new place on the monotonic clock."""
        if self.timer is not None:
            self.disarm()
            self.arm()
        if self.cancels:
            self.cancelled = True
            self.ticks += 1
            self.queue.wake(POLLIN)

    def check_cancelled(self) -> None:
        """Raises OSError(ECANCELED), once, after the clock was set."""
        if self.cancels and self.cancelled:
            self.cancelled = False
            raise OSError(errno.ECANCELED, "the clock was set")

    # As a file

    def read(self, spans: Spans) -> int:
        """How often it has expired since the last read.  Raises OSError(ECANCELED), EINVAL."""
        error = too_small(spans) if sum(map(len, spans)) < 8 else None
        if error is not None and error.errno == errno.EINVAL:
            raise error
        self.check_expired()
        if not self.ticks:
            raise BlockingIOError(errno.EAGAIN, "not expired")
        ticks, self.ticks = self.ticks, 0
        try:
            self.check_cancelled()
        except OSError:
            self.expired = False
            raise
        self.ticks = ticks
        self.catch_up()
        ticks, self.ticks = self.ticks, 0
        self.expired = False
        if error is not None:
            raise error  # Linux has counted before it looks at the buffer
        put(spans, ticks.to_bytes(8, "little"))
        return 8

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        if request != TFD_IOC_SET_TICKS:
            raise OSError(errno.ENOTTY, "no such request")
        ticks = task.mm.u64(arg)
        if not ticks:
            raise OSError(errno.EINVAL, "no ticks")
        self.check_cancelled()
        self.ticks = ticks
        self.queue.wake(POLLIN)
        return 0

    def seek(self, offset: int, whence: int) -> int:
        return 0  # noop_llseek: no error, no effect

    def poll(self) -> int:
        self.check_expired()
        return POLLIN if self.ticks else 0

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.queue,)

    def fdinfo(self) -> bytes:
        return b"clockid: %d\nticks: %d\nsettime flags: 0%o\nit_value: (%d, %d)\nit_interval: (%d, %d)\n" % (
            self.clockid,
            self.ticks,
            self.settime_flags,
            *divmod(self.left(), NANOSECONDS),
            *divmod(self.interval, NANOSECONDS),
        )

    def release(self) -> None:
        self.disarm()
        if self.clockid in REAL:
            self.kernel.clock.on_set.remove(self.clock_was_set)

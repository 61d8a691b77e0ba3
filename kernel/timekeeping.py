"""Time as a function of the processor's cycle counter: Linux's ``kernel/time/timekeeping.c``.

A guest that reads the time without a system call (kernel/vdso.py) can do no more than read the counter and
convert it.  The kernel must not read another clock than the guest, or the two would contradict each other:
each runs ahead of the other in turn, if only by nanoseconds.  So while the counter is used, all of it is one
clock, this one: `monotonic_ns` computes from the same counter, with the same numbers, what the guest computes.

    CLOCK_MONOTONIC = base + (counter - cycle_last) * mult / 2^SHIFT

Those numbers hold for a stretch of the counter.  At its end, or when the kernel looks at the clock in its second
half, `advance` measures the counter against the host's CLOCK_MONOTONIC and begins another:

- It begins where the host's clock is, or where the old stretch has got to, whichever is later: so time never
  goes back, whatever the host does.  A clock that is ahead of the host's is slowed down such that the two meet
  at the end of the stretch, but at most to half its speed.
- Its rate is that between now and a sample some stretches ago, so it follows the host's clock when that is
  disciplined.  Both samples are uncertain by half the time it took to take them (0.1 microseconds); the stretch is
  so short that what comes of it stays below TOLERANCE_NS.  So the first one, after some milliseconds of
  calibration, lasts a tenth of a second, and soon they last as long as they may: nothing has to be kept from
  one run to the next, and no timer has to wake an idle guest.

A guest that has come to the end of its stretch makes the system call, and that begins the next one.
Everything runs on one thread, so nobody reads while a stretch begins.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

SHIFT = 32  # `mult` is nanoseconds in 2^SHIFT cycles
TOLERANCE_NS = 10_000  # how far the clock may at worst run away from the host's within a stretch
LONGEST_NS, SHORTEST_NS = 2_000_000_000, 1_000_000  # of a stretch
ATTEMPTS = 3  # at a sample; the quickest counts
SAMPLES = 4  # the rate is taken over as many stretches
_HOST_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class Sample(NamedTuple):
    """The counter and the host's clock at one moment."""

    cycles: int
    ns: int
    width: int  # cycles between which it was; `cycles` is the middle


def _nothing() -> None:
    """Nobody wants to know."""


class Timekeeper:
    """struct timekeeper.  Times are nanoseconds; `offs_real` and `offs_boot` are the host's CLOCK_REALTIME and
    CLOCK_BOOTTIME minus CLOCK_MONOTONIC.  `max_cycles` is the length of the stretch, 0 as long as the counter
    is not good enough; then `base` is what the clock must not fall behind.  `updated` is called when any of it
    has changed.
    """

    __slots__ = (
        "_counter", "_half", "_host_ns", "_rate", "_samples", "base", "cycle_last", "max_cycles", "mult",
        "offs_boot", "offs_real", "updated",
    )  # fmt: skip

    def __init__(self, counter: Callable[[], int], host_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._counter = counter
        self._host_ns = host_ns
        self.cycle_last = self.base = self.mult = self.max_cycles = 0
        self._half = -1  # from here on the kernel begins a new stretch
        self._rate = 0  # as measured, in units of `mult`
        self.offs_real = self.offs_boot = 0
        self.updated: Callable[[], None] = _nothing
        self._samples = deque([self._sample()], SAMPLES)
        self._read_offsets()

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        delta = self._counter() - self.cycle_last
        if 0 <= delta <= self._half:
            return self.base + (delta * self.mult >> SHIFT)
        return self.advance()

    def advance(self) -> int:
        """timekeeping_advance: begin a new stretch, now; CLOCK_MONOTONIC at its beginning."""
        sample = self._sample()
        passed = sample.cycles - self.cycle_last
        if not 0 <= passed <= self.max_cycles:
            # Nobody goes further than that.  How far they went before the counter was reset, who knows.
            passed = self.max_cycles
        reached = self.base + (passed * self.mult >> SHIFT)
        self.base = base = max(reached, sample.ns)
        self.cycle_last = sample.cycles
        self._read_offsets()
        self._measure(sample, base - sample.ns)
        self.updated()
        return base

    def _measure(self, sample: Sample, ahead: int) -> None:
        """The rate and the length of the stretch that begins with `sample`, where the clock is `ahead`."""
        samples = self._samples
        first = samples[0]
        cycles, ns = sample.cycles - first.cycles, sample.ns - first.ns
        self.max_cycles, self._half = 0, -1
        rate = (ns << SHIFT) // cycles if cycles > 0 else 0
        if rate <= 0 or (self._rate and 100 * abs(rate - self._rate) > self._rate):
            # The counter was reset, or one of the two went on without the other: the host slept.
            self._rate = 0
            samples.clear()
            samples.append(sample)
            return
        doubt = (sample.width + first.width) // 2
        length = min(TOLERANCE_NS * cycles // max(doubt, 1), (LONGEST_NS << SHIFT) // rate)
        if length * rate >> SHIFT < SHORTEST_NS:
            return
        samples.append(sample)
        self._rate = rate
        self.mult = rate - rate * ahead // max(length * rate >> SHIFT, 2 * ahead)
        self.max_cycles = length
        self._half = length // 2

    def _sample(self) -> Sample:
        best = None
        for _ in range(ATTEMPTS):
            before = self._counter()
            ns = self._host_ns()
            width = self._counter() - before
            if best is None or width < best.width:
                best = Sample(before + width // 2, ns, width)
        assert best is not None
        return best

    def _read_offsets(self) -> None:
        """The offsets stay what they are as long as that may be so, for they only change when somebody sets
        the host's clock, or it sleeps: what else seems to change is the time it takes to look."""
        before = self._host_ns()
        real = time.time_ns()
        boot = before if _HOST_BOOTTIME is None else time.clock_gettime_ns(_HOST_BOOTTIME)
        after = self._host_ns()
        middle = (before + after) // 2
        if not real - after <= self.offs_real <= real - before:
            self.offs_real = real - middle
        if not boot - after <= self.offs_boot <= boot - before:
            self.offs_boot = boot - middle

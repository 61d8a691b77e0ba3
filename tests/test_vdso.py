"""The vDSO's image against its source, its clock against a model of the host's, and who uses it.

tests/programs/vdso.c and vdso_mapping.c compare it with Linux's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from harness import LXRUN, ROOT, compile_program, require
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.arch import x86_64, x86_64_vdso
from emu.host import keeps_time_by
from kernel.clock import CLOCK_TAI, Clock
from kernel.kernel import Kernel
from kernel.timekeeping import SHIFT, TOLERANCE_NS, Timekeeper
from kernel.uts import RELEASE
from kernel.vdso import CLOCK_COUNTER, CLOCK_NONE, VDSO_DATA
from syscalls.dispatch import build

counted = keeps_time_by(x86_64.CLOCKSOURCE)
"""Whether the counter is used on this host; if not, every reading is a system call."""


# The image


def described(path: Path) -> dict[str, object]:
    """What of an image does not depend on the compiler's version."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = elf.get_section_by_name(".dynamic")
        return {
            "segments": [(s["p_type"], s["p_flags"]) for s in elf.iter_segments()],
            "mapped": [s.name for s in elf.iter_sections() if s["sh_flags"] & 2],
            "dynamic": [tag.entry.d_tag for tag in dynamic.iter_tags()],
            "soname": [tag.soname for tag in dynamic.iter_tags("DT_SONAME")],
            "symbols": sorted(
                (s.name, s["st_info"]["bind"], s["st_info"]["type"], s["st_value"] != 0)
                for s in elf.get_section_by_name(".dynsym").iter_symbols()
            ),
            "notes": sorted((n["n_name"], n["n_descsz"]) for n in elf.get_section_by_name(".note").iter_notes()),
        }


def compiler(path: Path) -> bytes:
    with path.open("rb") as file:
        data: bytes = ELFFile(file).get_section_by_name(".comment").data()
        return data


def test_the_image_is_what_its_source_gives(tmp_path: Path) -> None:
    """With the compiler that made it to the byte, with another in all that programs look at."""
    require("gcc", "gcc")
    made, kept = tmp_path / "image", Path(x86_64_vdso.IMAGE)
    x86_64_vdso.build(str(made))
    assert described(made) == described(kept)
    if compiler(made) == compiler(kept):
        assert made.read_bytes() == kept.read_bytes()


def test_tools_read_the_image() -> None:
    """Without a warning."""
    require("binutils", "readelf", "objdump")
    for tool in (["readelf", "-aW"], ["readelf", "--debug-dump=frames"], ["objdump", "-dT"]):
        done = subprocess.run([*tool, x86_64_vdso.IMAGE], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "no such" not in done.stdout.lower()


def test_it_fits_its_pages() -> None:
    with open(x86_64_vdso.IMAGE, "rb") as file:
        assert len(x86_64.vdso_image()) == file.seek(0, os.SEEK_END) <= x86_64.VDSO_PAGES << 12
    assert (
        f"KERNEL_VERSION({RELEASE.decode().split('-')[0].replace('.', ', ')})" in Path(x86_64_vdso.SOURCE).read_text()
    )
    assert f"DATA_PAGES = {x86_64.VVAR_PAGES};" in Path(x86_64_vdso.SOURCE).with_suffix(".lds").read_text()
    assert f"VDSO_MULT_SHIFT {SHIFT}\n" in Path(x86_64_vdso.SOURCE).read_text()


# The clock


class Host:
    """A host's clock and counter; every look at one of them takes time."""

    def __init__(self) -> None:
        self.now = 10**12  # nanoseconds
        self.ticks = 3.0 * 10**12
        self.rate = 2.6  # cycles in a nanosecond
        self.cost = 60

    def sleep(self, ns: int) -> None:
        self.now += ns
        self.ticks += ns * self.rate

    def counter(self) -> int:
        self.sleep(self.cost)
        return int(self.ticks)

    def clock(self) -> int:
        self.sleep(self.cost)
        return self.now


def guest_reading(keeper: Timekeeper, host: Host) -> int:
    """What the functions of the image do."""
    if not keeper.max_cycles:
        return keeper.monotonic_ns()
    delta = host.counter() - keeper.cycle_last & (1 << 64) - 1
    if delta > keeper.max_cycles:
        return keeper.monotonic_ns()
    return keeper.base + (delta * keeper.mult >> SHIFT)


GAPS = st.one_of(st.integers(0, 2000), st.integers(0, 10**8), st.integers(0, 10**10))
READINGS = st.tuples(st.sampled_from(["guest", "kernel", "advance"]), GAPS)
MISHAPS = st.one_of(
    st.tuples(st.just("cost"), st.integers(1, 5000)),  # the host is busy
    st.tuples(st.just("slew"), st.integers(-500, 500)),  # its clock is disciplined, parts per million
    st.tuples(st.just("suspend"), st.integers(0, 10**11)),  # its clock stops, the counter does not
    st.tuples(st.just("skip"), st.integers(0, 10**11)),  # the other way round
    st.tuples(st.just("reset"), st.integers(0, 10**6)),  # the counter starts anew
)


def play(actions: list[tuple[str, int]]) -> tuple[Host, Timekeeper, int]:
    """The largest difference from the host's clock among readings, none of which goes back."""
    host = Host()
    keeper = Timekeeper(host.counter, host.clock)
    last, worst = 0, 0
    for action, amount in actions:
        if action == "cost":
            host.cost = amount
        elif action == "slew":
            host.rate = 2.6 * (1 + amount / 1e6)
        elif action == "suspend":
            host.ticks += amount * host.rate
        elif action == "skip":
            host.now += amount
        elif action == "reset":
            host.ticks = float(amount)
        else:
            host.sleep(amount)
            now = {
                "guest": lambda: guest_reading(keeper, host), "kernel": keeper.monotonic_ns, "advance": keeper.advance,
            }[action]()  # fmt: skip
            assert now >= last
            last = now
            worst = max(worst, abs(now - host.now))
    return host, keeper, worst


@settings(max_examples=300, deadline=None)
@given(st.lists(READINGS, max_size=60))
def test_it_stays_with_the_hosts_clock(actions: list[tuple[str, int]]) -> None:
    """Closer than it promises: what a reading takes is part of the difference."""
    assert play(actions)[2] <= TOLERANCE_NS + 1000


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(READINGS, MISHAPS), max_size=60))
def test_it_never_goes_back(actions: list[tuple[str, int]]) -> None:
    """Whatever happens to the host; and it finds the host's clock again, at half the speed if it has to."""
    host, keeper, _ = play(actions)
    host.cost, host.rate = 60, 2.6
    for _ in range(40):
        host.sleep(10**9 + max(0, keeper.monotonic_ns() - host.now))
        keeper.advance()
    assert abs(keeper.monotonic_ns() - host.now) <= TOLERANCE_NS + 1000


def page(kernel: Kernel) -> dict[str, int]:
    names = ("seq", "mode", "cycle_last", "max_cycles", "mult", "base", *range(CLOCK_TAI + 1), "cpu", "node")
    return dict(zip(map(str, names), VDSO_DATA.unpack_from(kernel.vdso._page), strict=True))


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(x86_64, build({}))  # no guest runs, so there are no calls


def test_setting_the_clock_shows_at_once(kernel: Kernel) -> None:
    kernel.clock = Clock(lambda: 3 * time.monotonic_ns())
    before = page(kernel)
    kernel.clock.set_realtime(kernel.clock.realtime_ns() + 10**15)
    after = page(kernel)
    assert after["seq"] != before["seq"]
    assert abs(after["0"] - before["0"] - 10**15) < 10**10
    assert after["0"] == after["5"] == after["11"]  # CLOCK_REALTIME, its coarse sister, CLOCK_TAI
    assert (after["1"], after["7"]) == (0, before["7"])  # CLOCK_MONOTONIC, CLOCK_BOOTTIME


def test_without_a_counter_the_page_says_so(kernel: Kernel) -> None:
    kernel.clock = Clock()
    assert page(kernel)["mode"] == CLOCK_NONE
    kernel.clock.set_realtime(10**18)
    assert page(kernel)["mode"] == CLOCK_NONE
    assert 0 <= kernel.clock.realtime_ns() - 10**18 < 10**11


def test_the_counter_is_used_where_it_can_be(kernel: Kernel) -> None:
    assert (kernel.cpu.counter is not None) == counted
    assert page(kernel)["mode"] == (CLOCK_COUNTER if counted else CLOCK_NONE)


# Programs

READER = r"""
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

int main(void)
{
    struct timespec t;
    struct timeval tv;
    for (int clock = 0; clock < 2; clock++)
        for (int i = 0; i < 10; i++)
            clock_gettime(clock, &t);
    gettimeofday(&tv, 0);
    time_t now = time(0);
    puts(tv.tv_sec >= t.tv_sec - 1000000000 && now >= tv.tv_sec ? "in order" : "not in order");
    return 0;
}
"""


def calls(binary: Path) -> list[str]:
    """The system calls of a run that have to do with time."""
    done = subprocess.run(
        [*LXRUN, "--strace", str(binary)], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout == "in order\n"
    return re.findall(r"^(?:\d+ +)?(clock_gettime|gettimeofday|time)\(", done.stderr, re.M)


@pytest.mark.parametrize("library", ["glibc", "glibc-static", "musl"])
def test_c_libraries_use_it(tmp_path: Path, library: str) -> None:
    source = tmp_path / "reader.c"
    source.write_text(READER)
    if library == "musl":
        binary = compile_program(
            source, "-static", command=[sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
        )
    else:
        require("gcc", "gcc")
        binary = compile_program(source, *(["-static"] if library == "glibc-static" else []), command=["gcc"])
    made = calls(binary)
    # The first stretch of the counter may be over already
    assert len(made) < 4 if counted else len(made) == 22


SETTER = r"""
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

static void show(const char *who, time_t start)
{
    struct timespec real, coarse, tai, call;
    struct timeval tv;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_REALTIME_COARSE, &coarse);
    clock_gettime(CLOCK_TAI, &tai);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &call);
    gettimeofday(&tv, 0);
    printf("%s: %ld %ld %ld %ld %ld %ld days\n", who, (real.tv_sec - start) / DAY, (coarse.tv_sec - start) / DAY,
           (tai.tv_sec - start) / DAY, (call.tv_sec - start) / DAY, (tv.tv_sec - start) / DAY, (time(0) - start) / DAY);
    fflush(stdout);
}

int main(void)
{
    struct timespec t, before, after;
    clock_gettime(CLOCK_REALTIME, &t);
    clock_gettime(CLOCK_MONOTONIC, &before);
    time_t start = t.tv_sec - DAY / 2;
    show("before", start);
    t.tv_sec += 100 * DAY;
    if (clock_settime(CLOCK_REALTIME, &t))
        perror("clock_settime");
    show("parent", start);
    if (fork() == 0) {
        show("child", start);
        struct timeval tv = {t.tv_sec + 100 * DAY, 0};
        settimeofday(&tv, 0);
        _exit(0);
    }
    wait(0);
    show("after the child", start);
    clock_gettime(CLOCK_MONOTONIC, &after);
    puts(after.tv_sec - before.tv_sec < 1000 ? "monotonic goes on" : "monotonic was set");
    return 0;
}
"""


def test_setting_the_clock_in_a_guest(tmp_path: Path) -> None:
    """Root sets the guests' clock, for all of them at once; anybody else leaves it as it is."""
    source = tmp_path / "setter.c"
    source.write_text(SETTER)
    binary = compile_program(source, "-static")
    done = subprocess.run([*LXRUN, str(binary)], capture_output=True, text=True, cwd=ROOT, timeout=60)
    days = {"before": 0, "parent": 100, "child": 100, "after the child": 200}
    if os.geteuid():
        days = dict.fromkeys(days, 0)
    refusal = "clock_settime: Operation not permitted\n" if os.geteuid() else ""
    expected = [f"{who}: " + f"{count} " * 6 + "days" for who, count in days.items()] + ["monotonic goes on"]
    assert (done.stdout.splitlines(), done.stderr) == (expected, refusal)

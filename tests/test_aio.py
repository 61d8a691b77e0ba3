"""Asynchronous input and output with fio.  The calls are compared by tests/programs/aio.c and uring_*.c."""

from __future__ import annotations

import pytest
from harness import Pair, require

# Of fio's terse output: the job's name, its error, and how many KB were read and written.
FIO = """
fio --name=job --ioengine={engine} --directory=. --size=512k --bs=4k --rw=randrw --iodepth=8 --verify=crc32c \
    --randrepeat=1 --output-format=terse --terse-version=3 --output=report {options} || exit
tail -n 1 report | cut -d';' -f3,5,6,47
rm report
"""


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("psync", ""),
        ("libaio", ""),
        ("libaio", "--userspace_reap --numjobs=2 --group_reporting --thread"),
        ("io_uring", ""),
        ("io_uring", "--fixedbufs --registerfiles --numjobs=2 --group_reporting --thread"),
        ("io_uring", "--sqthread_poll"),
    ],
    ids=[
        "psync",
        "libaio",
        "libaio taken from the ring by two threads",
        "io_uring",
        "io_uring with what is registered, by two threads",
        "io_uring without calls",
    ],
)
def test_fio(pair: Pair, engine: str, options: str) -> None:
    require("fio", "fio")
    pair(["/bin/sh", "-c", FIO.format(engine=engine, options=options)], status=0, files=False)

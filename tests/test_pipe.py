"""Our pipes against the host's: the same calls, the same results, byte for byte."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import sys
import termios
from array import array
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs.eventfd import EFD_SEMAPHORE, EventFd
from vfs.file import O_DIRECT, O_NONBLOCK
from vfs.pages import ShortSpans
from vfs.pipe import PipeFile, make_pipe
from vfs.stream import PolledStream, host_stream
from vfs.wait import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM

F_SETPIPE_SZ = 1031
linux = pytest.mark.skipif(sys.platform != "linux", reason="compares with Linux's pipes")


def cut(data: bytearray, pieces: int) -> list[memoryview]:
    """A buffer in several spans of different sizes."""
    view = memoryview(data)
    bounds = [len(data) * index * index // (pieces * pieces) for index in range(pieces + 1)]
    return [view[start:end] for start, end in pairwise(bounds) if end > start]


def outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def ours_read(reader: PipeFile, size: int, pieces: int) -> bytes:
    data = bytearray(size)
    return bytes(data[: reader.read(cut(data, pieces))])


def host_size(fd: int) -> int:
    count = array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


sizes = st.one_of(st.integers(0, 70_000), st.sampled_from([1, 4095, 4096, 4097, 65535, 65536, 65537, 140_000]))
steps = st.lists(
    st.tuples(st.sampled_from(["read", "write", "write", "resize"]), sizes, st.integers(1, 5)), max_size=30
)


@linux
@settings(max_examples=100, deadline=None)
@given(steps, st.booleans())
def test_same_as_the_hosts(calls: list[tuple[str, int, int]], packets: bool) -> None:
    flags = O_NONBLOCK | (O_DIRECT if packets else 0)
    reader, writer = make_pipe(flags, 0, 0, 0)
    host_reader, host_writer = os.pipe2(os.O_NONBLOCK | (os.O_DIRECT if packets else 0))
    counter = 0
    try:
        for name, size, pieces in calls:
            if name == "write":
                data = bytearray((counter + at) % 251 for at in range(size))
                counter += size
                got = outcome(lambda data=data, pieces=pieces: writer.write(cut(data, pieces)))
                want = outcome(lambda data=data: os.write(host_writer, data))
            elif name == "read":
                got = outcome(lambda size=size, pieces=pieces: ours_read(reader, size, pieces))
                want = outcome(lambda size=size: os.read(host_reader, size))
            else:
                got = outcome(lambda size=size: reader.pipe.resize(size, False))
                want = outcome(lambda size=size: fcntl.fcntl(host_writer, F_SETPIPE_SZ, size))
            assert got == want
            assert reader.pipe.size() == host_size(host_reader)
            assert reader.poll() & POLLIN == poll_host(host_reader) & POLLIN
            assert writer.poll() & POLLOUT == poll_host(host_writer) & POLLOUT
    finally:
        os.close(host_reader)
        os.close(host_writer)


def poll_host(fd: int) -> int:
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLOUT)
    return sum(events for _, events in poller.poll(0))


def test_ends() -> None:
    reader, writer = make_pipe(0, 0, 0, 0)
    buffer = bytearray(10)
    with pytest.raises(BlockingIOError):
        reader.read(cut(buffer, 1))
    woken: list[str] = []
    reader.queues(POLLIN)[0].add(lambda events: woken.append("reader"))
    assert writer.write([memoryview(b"last")]) == 4
    assert woken
    writer.release()
    assert reader.poll() == POLLIN | POLLRDNORM | POLLHUP
    assert reader.read(cut(buffer, 1)) == 4
    assert reader.read(cut(buffer, 1)) == 0

    reader, writer = make_pipe(0, 0, 0, 0)
    reader.release()
    assert writer.poll() == POLLOUT | POLLWRNORM | POLLERR
    assert writer.write([]) == 0
    with pytest.raises(BrokenPipeError):
        writer.write([memoryview(b"x")])


def test_buffers_that_end_in_bad_memory() -> None:
    """Linux fills and empties whole pages of a pipe, or fails with EFAULT."""
    reader, writer = make_pipe(0, 0, 0, 0)
    page = memoryview(bytes(4096))
    assert outcome(lambda: writer.write(ShortSpans([page[:96]], 5000))) == "EFAULT"
    assert writer.write(ShortSpans([page, page[:96]], 5000)) == 4096
    assert writer.write([page[:10]]) == 10
    room = bytearray(5000)
    assert outcome(lambda: reader.read(ShortSpans(cut(room, 1)[:0], 10))) == "EFAULT"
    assert reader.read(ShortSpans([memoryview(room)[:4100]], 5000)) == 4096
    assert reader.pipe.size() == 10


def test_splice_leaves_what_was_not_taken() -> None:
    reader, writer = make_pipe(0, 0, 0, 0)
    writer.write([memoryview(bytes(range(200)) * 30)])
    pipe = reader.pipe
    assert b"".join(pipe.peek(5000)) == (bytes(range(200)) * 30)[:5000]
    pipe.consume(4500)
    assert pipe.size() == 1500
    assert ours_read(reader, 3, 1) == bytes((100, 101, 102))


# Streams of the host


@pytest.mark.parametrize("portable", [False, True])
def test_host_pipes(monkeypatch: pytest.MonkeyPatch, portable: bool) -> None:
    if portable:
        monkeypatch.setenv("LXRUN_HOST", "portable")
    reading, writing = os.pipe()
    reader, writer = host_stream(reading, 0, b""), host_stream(writing, 1, b"")
    assert isinstance(reader, PolledStream) or not portable
    buffer = bytearray(1 << 20)
    with pytest.raises(BlockingIOError):
        reader.read(cut(buffer, 3))
    full = writer.write([memoryview(bytes(1 << 20))])
    assert 0 < full < 1 << 20
    with pytest.raises(BlockingIOError):
        writer.write([memoryview(b"x")])
    assert os.get_blocking(reading) and os.get_blocking(writing)
    assert reader.read(cut(buffer, 3)) == full
    reader.release()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        writer.write([memoryview(b"x")])
    writer.release()
    os.close(writing)


# Event counters


def test_eventfd() -> None:
    counter = EventFd(3, EFD_SEMAPHORE)
    buffer = bytearray(8)
    assert counter.read(cut(buffer, 3)) == 8
    assert buffer == bytes([1, 0, 0, 0, 0, 0, 0, 0])
    assert counter.count == 2
    plain = EventFd(0, 0)
    with pytest.raises(BlockingIOError):
        plain.read([memoryview(buffer)])
    most = ((1 << 64) - 2).to_bytes(8, "little")
    assert plain.write([memoryview(most)]) == 8
    assert plain.poll() == POLLIN
    with pytest.raises(BlockingIOError):
        plain.write([memoryview(bytes([1] + [0] * 7))])
    for bad in (bytes(7), bytes(9), b"\xff" * 8):
        assert outcome(lambda bad=bad: plain.write([memoryview(bad)])) == "EINVAL"

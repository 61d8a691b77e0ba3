"""Epoll instances by themselves: what a guest's program cannot show."""

from __future__ import annotations

import errno

import pytest

from vfs.epoll import EPOLLET, EpollUser, EventPoll
from vfs.eventfd import EventFd
from vfs.pipe import make_pipe
from vfs.wait import POLLIN


def nothing(place: int, events: int, data: int) -> None:
    """Where events go."""


def test_the_limit_of_a_user() -> None:
    user = EpollUser(2)
    ep, other = EventPoll(user), EventPoll(user)
    file = EventFd(0, 0)
    ep.add(file, 1, POLLIN, 0)
    other.add(file, 1, POLLIN, 0)
    with pytest.raises(OSError) as caught:
        ep.add(file, 2, POLLIN, 0)
    assert caught.value.errno == errno.ENOSPC
    other.last_put()
    assert user.watches == 1
    ep.add(file, 2, POLLIN, 0)
    file.last_put()
    assert user.watches == 0 and not ep.items and file.epitems == []


def test_nothing_is_left_behind() -> None:
    """Items come and go without growing a list, whichever side goes first."""
    ep = EventPoll(EpollUser(100))
    reader, writer = make_pipe(0, 0, 0, 0)
    writer.write([memoryview(b"x")])
    for _ in range(10):
        ep.add(reader, 3, POLLIN, 0)
        ep.find(reader, 3).remove()
    assert not ep.ready and not reader.pipe.readable.waiters
    ep.add(reader, 3, POLLIN | EPOLLET, 0)
    for _ in range(10):
        writer.write([memoryview(b"x")])
    assert len(ep.ready) == 1
    ep.last_put()
    assert not reader.pipe.readable.waiters and not reader.epitems


def test_an_event_asks_only_the_files_that_woke() -> None:
    asked: list[int] = []

    class Counter(EventFd):
        __slots__ = ()

        def poll(self) -> int:
            asked.append(self.id)
            return super().poll()

    ep = EventPoll(EpollUser(10_000))
    files = [Counter(0, 0) for _ in range(1000)]
    for fd, file in enumerate(files):
        ep.add(file, fd, POLLIN, fd)
    asked.clear()
    files[7].write([memoryview((1).to_bytes(8, "little"))])
    assert ep.send_events(10, nothing) == 1
    assert asked == [files[7].id]

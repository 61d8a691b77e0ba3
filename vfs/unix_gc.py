"""Files in flight: what SCM_RIGHTS messages hold, and the collector of sockets that only hold each other.

Linux: net/unix/garbage.c.  A message in the queue of a socket holds references to files.  If these are
sockets whose queues hold each other, and no descriptor leads to any of them, nobody will ever close them:
`collect` finds such cycles and empties their queues.  It runs when a socket is closed and before files
are sent, as in Linux, and only while sockets are in flight.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vfs.file import File
    from vfs.sock import Sender, Sock
    from vfs.unix_sock import UnixSock


class Passed:
    """struct scm_fp_list: the files of one message, each with a reference of its own."""

    __slots__ = ("files", "uid")

    def __init__(self, files: list[File], uid: int) -> None:
        self.files = files
        self.uid = uid


def is_unix(file: File) -> bool:
    return file.sock is not None and file.sock.family == 1


def _count_down(counts: dict[Any, int], key: object, by: int = 1) -> None:
    left = counts[key] - by
    if left:
        counts[key] = left
    else:
        del counts[key]


class InFlight:
    """Which sockets have messages with files in their queues, and how many files each user has sent that
    nobody has received yet (user_struct.unix_inflight)."""

    __slots__ = ("carriers", "doomed", "dropping", "flying", "maybe_cyclic", "users")

    def __init__(self) -> None:
        self.carriers: dict[UnixSock, int] = {}  # messages with files in their queues
        self.flying: dict[Sock, int] = {}  # sockets in flight, how often
        self.users: dict[int, int] = {}
        self.maybe_cyclic = False
        self.doomed: deque[File] = deque()
        self.dropping = False

    def drop(self, files: list[File]) -> None:
        """Give references up.  What that closes may hold more of them: they come one after the other, however
        deep they are nested (delayed_fput)."""
        self.doomed += files
        if self.dropping:
            return
        self.dropping = True
        try:
            while self.doomed:
                self.doomed.popleft().put()
        finally:
            self.dropping = False

    def attach(self, files: list[File], user: Sender) -> Passed:
        """unix_attach_fds.  Raises OSError(ETOOMANYREFS)."""
        flying = self.users.get(user.uid, 0)
        if user.limit is not None and flying > user.limit:
            raise OSError(errno.ETOOMANYREFS, "too many files in flight")
        self.users[user.uid] = flying + len(files)
        for file in files:
            if is_unix(file):
                self.flying[file.sock] = self.flying.get(file.sock, 0) + 1  # type: ignore[index, arg-type]
        return Passed(files, user.uid)

    def queued(self, carrier: UnixSock) -> None:
        """A message with files is in the queue of `carrier`.  It can only close a cycle if that is in flight
        itself."""
        self.carriers[carrier] = self.carriers.get(carrier, 0) + 1
        if (carrier.listener or carrier) in self.flying:
            self.maybe_cyclic = True

    def detach(self, carrier: UnixSock | None, passed: Passed) -> list[File]:
        """The files leave their message; the references are the caller's.  `carrier` is None if it was
        never queued."""
        _count_down(self.users, passed.uid, len(passed.files))
        for file in passed.files:
            if is_unix(file):
                _count_down(self.flying, file.sock)
        if not self.flying:
            self.maybe_cyclic = False
        if carrier is not None:
            _count_down(self.carriers, carrier)
        return passed.files

    def collect(self) -> None:
        """unix_gc: empty the queues that no descriptor leads to."""
        if not self.maybe_cyclic:
            return
        references: dict[File, int] = {}
        for carrier in self.carriers:
            for file in carrier.carried():
                references[file] = references.get(file, 0) + 1
        alive: set[UnixSock] = set()
        todo = [carrier for carrier in self.carriers if self._held(carrier, references)]
        while todo:
            carrier = todo.pop()
            if carrier in alive:
                continue
            alive.add(carrier)
            for file in carrier.carried():
                if is_unix(file):
                    todo += file.sock.leads_to()  # type: ignore[union-attr]
        garbage = [file for carrier in list(self.carriers) if carrier not in alive for file in carrier.drain()]
        self.drop(garbage)

    @staticmethod
    def _held(carrier: UnixSock, references: dict[File, int]) -> bool:
        """Whether something else than messages refers to the socket, or to the listener it waits in."""
        owner = carrier if carrier.file is not None else carrier.listener
        if owner is None or owner.file is None:
            return False
        return owner.file.refs > references.get(owner.file, 0)

"""Advisory file locks: Linux's ``struct file_lock_context``, for fcntl_locking(2) and flock(2).

A record lock belongs to a descriptor table (F_SETLK) or to an open file description (F_OFD_SETLK); an
flock lock belongs to a description.  All guests of one kernel share this table.  Locks on files of the
host are taken there as well, so that programs outside see them: for record locks one description of
the host per file, held by the kernel, carries the union of all guests' locks.

Differs from Linux: a lock wanted while a program outside holds one is tried again on a timer, since the host
could only be asked by blocking, and deadlocks with programs outside are not found.
"""

from __future__ import annotations

import errno
import os
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from vfs.file import O_ACCMODE, File
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from kernel.files import FdTable

F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
OFFSET_MAX = (1 << 63) - 1
OFD_PID = -1  # what F_GETLK reports for a lock that no process owns
OUTSIDE_PID = 0  # ... and for one whose owner is not in our pid namespace
MAX_DEADLOCK_ITERATIONS = 10

Owner: TypeAlias = "FdTable | File"
Identity: TypeAlias = tuple[int, int]

# The host's struct flock where off_t has 64 bits, and Linux's command numbers for open file description locks.
_HOST_FLOCK = Struct("hh4xqqi4x")
_HOST_OFD_GETLK, _HOST_OFD_SETLK = 36, 37


class Outcome(Enum):
    """What became of an attempt to take a lock."""

    DONE = 0
    HELD_HERE = 1  # by a guest: wait for `FileLocks.changed`
    HELD_OUTSIDE = 2  # by another program of the host


class Lock:
    """struct file_lock: a lock on the bytes `start` to `end`, both included, that is held or waited for.

    `file` is the description it was asked for through; `whole` says that it is flock's."""

    __slots__ = ("end", "file", "kind", "owner", "pid", "start", "whole")

    def __init__(
        self, kind: int, start: int, end: int, owner: Owner, pid: int, file: File, *, whole: bool = False
    ) -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.owner = owner
        self.pid = pid
        self.file = file
        self.whole = whole

    def overlaps(self, start: int, end: int) -> bool:
        return self.start <= end and start <= self.end

    def conflicts(self, other: Lock) -> bool:
        return (
            self.owner is not other.owner
            and self.overlaps(other.start, other.end)
            and F_WRLCK in (self.kind, other.kind)
        )

    def part(self, start: int, end: int) -> Lock:
        return Lock(self.kind, start, end, self.owner, self.pid, self.file)

    def text(self, key: Identity) -> bytes:
        """What /proc/locks says about it (lock_get_status)."""
        kind = b"FLOCK " if self.whole else b"OFDLCK" if self.owner is self.file else b"POSIX "
        access = b"WRITE" if self.kind == F_WRLCK else b"READ"
        end = b"EOF" if self.end == OFFSET_MAX else b"%d" % self.end
        where = (os.major(key[0]), os.minor(key[0]), key[1], self.start)
        return b"%b ADVISORY  %b %d %02x:%02x:%d %d %b\n" % (kind, access, self.pid, *where, end)


class Blocked(NamedTuple):
    """A request that waits, the lock that it was refused for, and how many requests stand before it that it
    could not go together with."""

    wanted: Lock
    blocker: Lock
    key: Identity
    depth: int


class FileLocks:
    """The locks on one file.  `records` has the owners in the order in which they came, and the locks of
    each by their start: the order in which Linux looks for conflicts."""

    __slots__ = ("blocked", "changed", "flocks", "host_fd", "records")

    def __init__(self) -> None:
        self.records: list[Lock] = []
        self.flocks: list[Lock] = []
        self.blocked: list[Blocked] = []
        self.changed = WaitQueue()
        self.host_fd = -1  # the description that carries the record locks on the host

    def conflict(self, wanted: Lock) -> Lock | None:
        """The first lock that keeps `wanted` from being taken."""
        for lock in self.flocks if wanted.whole else self.records:
            if lock.conflicts(wanted):
                return lock
        return None

    def replace(self, new: Lock) -> None:
        """Give `new.owner` exactly `new` in its range (F_UNLCK: nothing), joining neighbours."""
        others: list[Lock] = []
        mine: list[Lock] = []
        place = None
        for lock in self.records:
            if lock.owner is not new.owner:
                others.append(lock)
                continue
            if place is None:
                place = len(others)
            if not lock.overlaps(new.start - 1, min(new.end + 1, OFFSET_MAX)):
                mine.append(lock)
            elif lock.kind == new.kind:
                new = new.part(min(lock.start, new.start), max(lock.end, new.end))
            else:
                if lock.start < new.start:
                    mine.append(lock.part(lock.start, new.start - 1))
                if lock.end > new.end:
                    mine.append(lock.part(new.end + 1, lock.end))
        if new.kind != F_UNLCK:
            mine.append(new)
        mine.sort(key=lambda lock: lock.start)
        if place is None:
            place = len(others)
        self.records = others[:place] + mine + others[place:]

    def wake(self) -> None:
        """locks_wake_up_blocks: all who wait try again, in the order in which they came."""
        self.blocked.clear()
        self.changed.wake()

    def own(self, wanted: Lock) -> Lock | None:
        """The first lock of the same owner in the range."""
        for lock in self.records:
            if lock.owner is wanted.owner and lock.overlaps(wanted.start, wanted.end):
                return lock
        return None

    def others(self, owner: Owner, start: int, end: int) -> list[Lock]:
        return [lock for lock in self.records if lock.owner is not owner and lock.overlaps(start, end)]


class LockTable:
    """Every lock of every guest, by the file's device and inode numbers."""

    __slots__ = ("files", "holders")

    def __init__(self) -> None:
        self.files: dict[Identity, FileLocks] = {}
        self.holders: dict[Owner, set[Identity]] = {}

    def of(self, file: File) -> FileLocks:
        """The locks on the file behind `file`, made if there are none."""
        return self.files.setdefault(identity(file), FileLocks())

    # Record locks

    def set_record(self, file: File, lock: Lock) -> Outcome:
        """Take, change or (F_UNLCK) give up a record lock, without waiting."""
        key = identity(file)
        locks = self.files.setdefault(key, FileLocks())
        if lock.kind != F_UNLCK and locks.conflict(lock) is not None:
            return Outcome.HELD_HERE
        if not self._tell_host(file, locks, lock):
            return Outcome.HELD_OUTSIDE
        locks.replace(lock)
        if lock.kind != F_UNLCK:
            self.holders.setdefault(lock.owner, set()).add(key)
        locks.wake()
        self._tidy(key, locks)
        return Outcome.DONE

    def get_record(self, file: File, wanted: Lock) -> Lock | None:
        """F_GETLK: a lock that keeps `wanted` from being taken; with F_UNLCK (F_OFD_GETLK) one of the owner's."""
        locks = self.files.get(identity(file))
        if locks is not None:
            found = locks.conflict(wanted) if wanted.kind != F_UNLCK else locks.own(wanted)
            if found is not None:
                return found
        fd = host_fd(file)
        if fd < 0 or wanted.kind == F_UNLCK or not _ofd_locks():
            return None
        import fcntl

        asked = locks.host_fd if locks is not None and locks.host_fd >= 0 else fd
        raw = _HOST_FLOCK.pack(wanted.kind, os.SEEK_SET, wanted.start, length(wanted), 0)
        kind, _, start, size, _ = _HOST_FLOCK.unpack(fcntl.fcntl(asked, _HOST_OFD_GETLK, raw))
        if kind == F_UNLCK:
            return None
        return Lock(kind, start, start + size - 1 if size else OFFSET_MAX, wanted.owner, OUTSIDE_PID, file)

    def _tell_host(self, file: File, locks: FileLocks, lock: Lock) -> bool:
        """Make the host's lock on the range what all guests together will hold; False if that conflicts."""
        fd = host_fd(file)
        if fd < 0 or not _ofd_locks():
            return True
        if locks.host_fd < 0:
            if lock.kind == F_UNLCK:
                return True
            locks.host_fd = own_description(fd, file.flags)
        if lock.kind != F_UNLCK:
            return _host_record(locks.host_fd, lock.kind, lock.start, lock.end)
        # What other guests still hold here can only be for reading, or we would not have held it too.
        at = lock.start
        for other in locks.others(lock.owner, lock.start, lock.end):
            if other.start > at:
                _host_record(locks.host_fd, F_UNLCK, at, other.start - 1)
            at = max(at, other.end + 1)
        if at <= lock.end:
            _host_record(locks.host_fd, F_UNLCK, at, lock.end)
        return True

    # flock

    def flock(self, file: File, lock: Lock) -> Outcome:
        """Take, convert or (F_UNLCK) give up the lock on a whole file, without waiting.  As on Linux a failed
        conversion loses the lock."""
        key = identity(file)
        locks = self.files.setdefault(key, FileLocks())
        had = next((held for held in locks.flocks if held.owner is file), None)
        if had is not None:
            if had.kind == lock.kind:
                return Outcome.DONE
            locks.flocks.remove(had)
        here = lock.kind != F_UNLCK and locks.conflict(lock) is not None
        outside = not here and not _host_flock(file, lock.kind)
        if here or outside:
            if had is not None:
                _host_flock(file, F_UNLCK)
        elif lock.kind != F_UNLCK:
            locks.flocks.append(lock)
            self.holders.setdefault(file, set()).add(key)
        if had is not None:
            locks.wake()
        self._tidy(key, locks)
        return Outcome.HELD_HERE if here else Outcome.HELD_OUTSIDE if outside else Outcome.DONE

    # Waiting

    def block(self, wanted: Lock) -> Blocked:
        """locks_insert_block: note that somebody waits for what a guest holds; undone by `unblock`.  Raises
        OSError(EDEADLK) if that would be for ever."""
        key = identity(wanted.file)
        locks = self.files[key]
        blocker = locks.conflict(wanted)
        assert blocker is not None
        if not wanted.whole and self._deadlock(wanted, blocker):
            raise OSError(errno.EDEADLK, "the holder waits for a lock of the caller")
        above = [each.depth for each in locks.blocked if each.blocker is blocker and each.wanted.conflicts(wanted)]
        request = Blocked(wanted, blocker, key, max(above, default=0) + 1)
        locks.blocked.append(request)
        return request

    def unblock(self, request: Blocked) -> None:
        """The request is to be tried again, or was broken off."""
        locks = self.files.get(request.key)
        if locks is not None and request in locks.blocked:
            locks.blocked.remove(request)
            self._tidy(request.key, locks)

    def _deadlock(self, wanted: Lock, blocker: Lock) -> bool:
        """posix_locks_deadlock: follow who waits for whom, as far as Linux does.  Locks of descriptions have no
        owner that could wait."""
        if wanted.owner is wanted.file:
            return False
        owner = blocker.owner
        for _ in range(MAX_DEADLOCK_ITERATIONS):
            waits = next(
                (
                    request
                    for locks in self.files.values()
                    for request in locks.blocked
                    if request.wanted.owner is owner and not request.wanted.whole
                ),
                None,
            )
            if waits is None:
                return False
            owner = waits.blocker.owner
            if owner is wanted.owner:
                return True
        return False

    # /proc

    def text(self) -> bytes:
        """/proc/locks: every lock, behind it those who wait for it."""
        lines = []
        number = 0
        for key, locks in self.files.items():
            for lock in (*locks.flocks, *locks.records):
                number += 1
                lines.append(b"%d: %b" % (number, lock.text(key)))
                lines += [
                    b"%d: %*s%b" % (number, request.depth + 2, b"-> ", request.wanted.text(key))
                    for request in locks.blocked
                    if request.blocker is lock
                ]
        return b"".join(lines)

    def held_through(self, table: FdTable, file: File) -> bytes:
        """The lines of /proc/PID/fdinfo about the locks that a process took through a description."""
        if table not in self.holders and file not in self.holders:
            return b""
        key = identity(file)
        locks = self.files.get(key)
        if locks is None:
            return b""
        found = [lock for lock in (*locks.flocks, *locks.records) if lock.file is file and lock.owner in (table, file)]
        return b"".join([b"lock:\t%d: %b" % (at, lock.text(key)) for at, lock in enumerate(found, 1)])

    # Giving up

    def closed(self, table: FdTable, file: File) -> None:
        """A process closed a descriptor of `file`: its record locks on that file are gone, however many
        other descriptors it has for it; with the last descriptor go the description's own locks."""
        if table in self.holders:
            self._drop(table, file)
        if file.refs == 1 and file in self.holders:
            self._drop(file, file)

    def _drop(self, owner: Owner, file: File) -> None:
        key = identity(file)
        held = self.holders[owner]
        if key not in held:
            return
        held.discard(key)
        if not held:
            del self.holders[owner]
        locks = self.files.get(key)
        if locks is None:
            return  # all given up already
        unlock = Lock(F_UNLCK, 0, OFFSET_MAX, owner, 0, file)
        self._tell_host(file, locks, unlock)
        locks.replace(unlock)
        if any(lock.owner is owner for lock in locks.flocks):
            locks.flocks = [lock for lock in locks.flocks if lock.owner is not owner]
            _host_flock(file, F_UNLCK)
        locks.wake()
        self._tidy(key, locks)

    def _tidy(self, key: Identity, locks: FileLocks) -> None:
        if locks.records or locks.flocks or locks.blocked or self.files.get(key) is not locks:
            return
        if locks.host_fd >= 0:
            os.close(locks.host_fd)
        del self.files[key]


def identity(file: File) -> Identity:
    info = file.stat()
    return info.st_dev, info.st_ino


def length(lock: Lock) -> int:
    """l_len: 0 means to the end of the file, however far it grows."""
    return 0 if lock.end == OFFSET_MAX else lock.end - lock.start + 1


# The host


def host_fd(file: File) -> int:
    """The host's descriptor behind `file`, -1 for files of our own."""
    fd: Any = getattr(file, "fd", -1)
    return int(fd)


def _ofd_locks() -> bool:
    """Whether the host knows open file description locks.  Without them guests only see each other's."""
    import sys

    return sys.platform == "linux" and os.environ.get("LXRUN_HOST") != "portable"


def own_description(fd: int, flags: int) -> int:
    """A second description of a host file to lock through: closing it disturbs nothing else."""
    path = f"/proc/self/fd/{fd}"
    try:
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return os.open(path, flags & O_ACCMODE | os.O_NONBLOCK | os.O_CLOEXEC)


def _host_flock(file: File, kind: int) -> bool:
    """Set the lock of a whole file of the host; False if another program's is in the way."""
    fd = host_fd(file)
    if fd < 0:
        return True
    import fcntl

    host_kind = {F_RDLCK: fcntl.LOCK_SH, F_WRLCK: fcntl.LOCK_EX, F_UNLCK: fcntl.LOCK_UN}[kind]
    try:
        fcntl.flock(fd, host_kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _host_record(fd: int, kind: int, start: int, end: int) -> bool:
    """Set a lock of the host; False if another program's is in the way."""
    import fcntl

    size = 0 if end == OFFSET_MAX else end - start + 1
    try:
        fcntl.fcntl(fd, _HOST_OFD_SETLK, _HOST_FLOCK.pack(kind, os.SEEK_SET, start, size, 0))
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        # The description may not be open in the way that this kind of lock wants: stay with our own table.
        if error.errno != errno.EBADF:
            raise
    return True

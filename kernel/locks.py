"""Advisory file locks: Linux's ``struct file_lock_context``, for fcntl_locking(2) and flock(2).

A record lock belongs to a descriptor table (F_SETLK) or to an open file description (F_OFD_SETLK); an
flock lock belongs to a description.  All guests of one kernel share this table.  Locks on files of the
host are taken there as well, so that programs outside see them: for record locks one description of
the host per file, held by the kernel, carries the union of all guests' locks.

Differs from Linux: EDEADLK is never found, and a lock wanted while a program outside holds one is tried
again on a timer, since the host could only be asked by blocking.
"""

from __future__ import annotations

import errno
import os
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias

from vfs.file import O_ACCMODE, File
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from kernel.files import FdTable

F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
LOCK_SH, LOCK_EX, LOCK_UN = 1, 2, 8
OFFSET_MAX = (1 << 63) - 1
OFD_PID = -1  # what F_GETLK reports for a lock that no process owns
OUTSIDE_PID = 0  # ... and for one whose owner is not in our pid namespace

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
    """A record lock on the bytes `start` to `end`, both included."""

    __slots__ = ("end", "kind", "owner", "pid", "start")

    def __init__(self, kind: int, start: int, end: int, owner: Owner, pid: int) -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.owner = owner
        self.pid = pid

    def overlaps(self, start: int, end: int) -> bool:
        return self.start <= end and start <= self.end

    def part(self, start: int, end: int) -> Lock:
        return Lock(self.kind, start, end, self.owner, self.pid)


class FileLocks:
    """The locks on one file.  `records` has the owners in the order in which they came, and the locks of
    each by their start: the order in which Linux looks for conflicts."""

    __slots__ = ("changed", "flocks", "host_fd", "records")

    def __init__(self) -> None:
        self.records: list[Lock] = []
        self.flocks: dict[File, int] = {}
        self.changed = WaitQueue()
        self.host_fd = -1  # the description that carries the record locks on the host

    def conflict(self, wanted: Lock) -> Lock | None:
        """The first lock that keeps `wanted` from being taken."""
        for lock in self.records:
            if (
                lock.owner is not wanted.owner
                and lock.overlaps(wanted.start, wanted.end)
                and F_WRLCK in (lock.kind, wanted.kind)
            ):
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
        locks.changed.wake()
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
        return Lock(kind, start, start + size - 1 if size else OFFSET_MAX, wanted.owner, OUTSIDE_PID)

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

    def flock(self, file: File, kind: int) -> Outcome:
        """LOCK_SH, LOCK_EX or LOCK_UN, without waiting.  As on Linux a failed conversion loses the lock."""
        fd = host_fd(file)
        if fd >= 0:
            import fcntl

            host_kind = {LOCK_SH: fcntl.LOCK_SH, LOCK_EX: fcntl.LOCK_EX, LOCK_UN: fcntl.LOCK_UN}[kind]
            try:
                fcntl.flock(fd, host_kind | fcntl.LOCK_NB)
            except BlockingIOError:
                return Outcome.HELD_OUTSIDE
            return Outcome.DONE
        key = identity(file)
        locks = self.files.setdefault(key, FileLocks())
        had = locks.flocks.pop(file, None)
        if had is not None and kind != had:
            locks.changed.wake()
        if kind != LOCK_UN:
            if LOCK_EX in locks.flocks.values() or (kind == LOCK_EX and locks.flocks):
                return Outcome.HELD_HERE
            locks.flocks[file] = kind
            self.holders.setdefault(file, set()).add(key)
        self._tidy(key, locks)
        return Outcome.DONE

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
        unlock = Lock(F_UNLCK, 0, OFFSET_MAX, owner, 0)
        self._tell_host(file, locks, unlock)
        locks.replace(unlock)
        if isinstance(owner, File):
            locks.flocks.pop(owner, None)
        locks.changed.wake()
        self._tidy(key, locks)

    def _tidy(self, key: Identity, locks: FileLocks) -> None:
        if locks.records or locks.flocks or locks.changed.waiters:
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

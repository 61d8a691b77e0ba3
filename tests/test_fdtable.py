"""The descriptor table against a model, and what closing does."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.files import FdTable
from kernel.locks import F_RDLCK, F_UNLCK, F_WRLCK, OFFSET_MAX, Lock, LockTable, Outcome
from vfs.anon import PIPEFS_MAGIC, AnonNode, next_ino
from vfs.file import O_PATH, File
from vfs.node import Stat

LIMIT = 12


class Recorded(File):
    """A file that counts how often it is released."""

    __slots__ = ("released",)

    def __init__(self, flags: int = 0) -> None:
        super().__init__(AnonNode(Stat(0o600, next_ino(), 1), PIPEFS_MAGIC), flags, b"")
        self.released = 0

    def release(self) -> None:
        self.released += 1


def errno_of(call: object, *args: object) -> int | None:
    with pytest.raises(OSError) as raised:
        call(*args)  # type: ignore[operator]
    return raised.value.errno


operations = st.lists(
    st.tuples(
        st.sampled_from(["install", "close", "dup", "dup_to", "cloexec", "range", "exec"]),
        st.integers(0, LIMIT + 1),
        st.integers(0, LIMIT + 1),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(operations)
def test_against_a_dict(steps: list[tuple[str, int, int, bool]]) -> None:
    table = FdTable(LIMIT)
    model: dict[int, tuple[Recorded, bool]] = {}
    made: list[Recorded] = []

    def lowest(start: int) -> int:
        return next(fd for fd in range(start, LIMIT + 3) if fd not in model)

    for name, a, b, flag in steps:
        if name == "install":
            file = Recorded()
            made.append(file)
            fd = lowest(b)
            if fd >= LIMIT:
                assert errno_of(table.install, file, flag, b) == errno.EMFILE
                assert file.released == 1
                file.released = 0
                made.pop()
            else:
                assert table.install(file, flag, b) == fd
                model[fd] = (file, flag)
        elif name == "close":
            if a in model:
                table.close(a)
                del model[a]
            else:
                assert errno_of(table.close, a) == errno.EBADF
        elif name == "dup":
            if a not in model:
                assert errno_of(table.dup, a, b, flag) == errno.EBADF
            elif lowest(b) >= LIMIT:
                assert errno_of(table.dup, a, b, flag) == errno.EMFILE
            else:
                fd = lowest(b)
                assert table.dup(a, b, flag) == fd
                model[fd] = (model[a][0], flag)
        elif name == "dup_to":
            if a not in model or b >= LIMIT:
                assert errno_of(table.dup_to, a, b, flag) == errno.EBADF
            else:
                assert table.dup_to(a, b, flag) == b
                if a != b:
                    model[b] = (model[a][0], flag)
        elif name == "cloexec" and a in model:
            table.set_cloexec(a, flag)
            model[a] = (model[a][0], flag)
        elif name == "range":
            table.close_range(min(a, b), max(a, b))
            model = {fd: entry for fd, entry in model.items() if not min(a, b) <= fd <= max(a, b)}
        elif name == "exec":
            table.close_on_exec()
            model = {fd: entry for fd, entry in model.items() if not entry[1]}
        assert table.items() == [(fd, *model[fd]) for fd in sorted(model)]
        for file in made:
            refs = sum(entry[0] is file for entry in model.values())
            assert (file.refs, file.released) == (refs, int(refs == 0))


def test_bad_numbers() -> None:
    table = FdTable()
    table.install(Recorded())
    for fd in (-1, 1, 1 << 31, (1 << 32) - 1):
        assert errno_of(table.get, fd) == errno.EBADF


def test_path_descriptors_are_not_for_io() -> None:
    table = FdTable()
    fd = table.install(Recorded(O_PATH))
    assert table.get(fd).flags == O_PATH
    assert errno_of(table.get_io, fd) == errno.EBADF


# Record locks

ranges = st.tuples(
    st.integers(0, 1),
    st.sampled_from([F_RDLCK, F_WRLCK, F_UNLCK]),
    st.integers(0, 20),
    st.integers(0, 8),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ranges, max_size=40))
def test_record_locks_byte_by_byte(steps: list[tuple[int, int, int, int]]) -> None:
    locks = LockTable()
    owners = [FdTable(LIMIT, locks), FdTable(LIMIT, locks)]
    file = Recorded()
    held: list[dict[int, int]] = [{}, {}]
    for who, kind, start, size in steps:
        end = start + size
        other = held[1 - who]
        clash = kind != F_UNLCK and any(
            byte in other and F_WRLCK in (kind, other[byte]) for byte in range(start, end + 1)
        )
        outcome = locks.set_record(file, Lock(kind, start, end, owners[who], who, file))
        assert outcome is (Outcome.HELD_HERE if clash else Outcome.DONE)
        if not clash:
            for byte in range(start, end + 1):
                held[who].pop(byte, None)
                if kind != F_UNLCK:
                    held[who][byte] = kind
        for byte in range(30):
            for asker in (0, 1):
                found = locks.get_record(file, Lock(F_WRLCK, byte, byte, owners[asker], asker, file))
                assert (None if found is None else found.kind) == held[1 - asker].get(byte)


def test_neighbours_join_and_holes_split() -> None:
    locks = LockTable()
    me, you = FdTable(LIMIT, locks), FdTable(LIMIT, locks)
    file = Recorded()
    for start, end, kind in ((0, 4, F_WRLCK), (5, 9, F_WRLCK), (20, OFFSET_MAX, F_RDLCK), (3, 3, F_UNLCK)):
        assert locks.set_record(file, Lock(kind, start, end, me, 1, file)) is Outcome.DONE
    found = [(lock.kind, lock.start, lock.end) for lock in locks.of(file).records]
    assert found == [(F_WRLCK, 0, 2), (F_WRLCK, 4, 9), (F_RDLCK, 20, OFFSET_MAX)]
    blocked = locks.get_record(file, Lock(F_WRLCK, 0, OFFSET_MAX, you, 2, file))
    assert blocked is not None and (blocked.start, blocked.end, blocked.pid) == (0, 2, 1)


def test_any_close_drops_the_process_locks() -> None:
    locks = LockTable()
    me, you = FdTable(LIMIT, locks), FdTable(LIMIT, locks)
    file = Recorded()
    me.install(file)
    second = me.install(file)
    locks.set_record(file, Lock(F_WRLCK, 0, 0, me, 1, file))
    locks.set_record(file, Lock(F_WRLCK, 1, 1, file, -1, file))  # an open file description lock stays
    assert locks.set_record(file, Lock(F_WRLCK, 0, 0, you, 2, file)) is Outcome.HELD_HERE
    me.close(second)
    assert locks.set_record(file, Lock(F_WRLCK, 0, 0, you, 2, file)) is Outcome.DONE
    assert locks.set_record(file, Lock(F_WRLCK, 1, 1, you, 2, file)) is Outcome.HELD_HERE
    me.close(0)
    assert locks.set_record(file, Lock(F_WRLCK, 1, 1, you, 2, file)) is Outcome.DONE


def test_flock_conversion_that_fails_loses_the_lock() -> None:
    locks = LockTable()
    node = AnonNode(Stat(0o600, next_ino(), 1), PIPEFS_MAGIC)
    first, second = File(node, 0, b""), File(node, 0, b"")
    shared, exclusive, unlock = F_RDLCK, F_WRLCK, F_UNLCK

    def flock(file: File, kind: int) -> Outcome:
        return locks.flock(file, Lock(kind, 0, OFFSET_MAX, file, 1, file, whole=True))

    assert flock(first, shared) is Outcome.DONE
    assert flock(second, shared) is Outcome.DONE
    assert flock(first, exclusive) is Outcome.HELD_HERE
    assert flock(second, exclusive) is Outcome.DONE
    assert flock(second, unlock) is Outcome.DONE
    assert not locks.files

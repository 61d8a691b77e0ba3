"""The calls that a random program is made of, by family as in lxrun's table, and what their arguments are drawn from.

Only what cannot harm the machine is here: names are relative and have no `..`, processes are neither made nor signalled,
nothing is mounted or set for all, no device is made.  A test compares this list with lxrun's table.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.fuzz.model import Buf, Int, Place, Program, Step, Value, Want

Some = SearchStrategy[Value]

# ------------------------------------------------------------------------------------ arguments

FILES = ("file", "read-only", "memfd")
PIPES = ("pipe in", "pipe out")
SOCKETS = ("stream", "datagram", "listener")
EVENTS = ("eventfd", "epoll", "timerfd", "inotify", "signalfd")
EVERY = (*FILES, "directory", "path", *PIPES, *SOCKETS, *EVENTS)

NAMES = ("a", "b", "d", "l", "d/a", "l/a", "d/b", ".", "d/.", "a/", "l/", "", "n" * 256, "a/b", "//", "d//a")
SAFE = tuple(name for name in NAMES if name != "//")
XATTRS = ("user.a", "user.b", "user.", "trusted.a", "none.a", "a", "user." + "n" * 251)

_BAD = (Int(0), Int(8), Int(-4096), Int(1 << 62))


def _number(*values: int) -> Some:
    return st.sampled_from([Int(value) for value in values])


def _named(**values: int) -> Some:
    return st.sampled_from([Int(value, name) for name, value in values.items()])


def _flags(base: dict[str, int], more: dict[str, int], stray: int = 0) -> Some:
    """One of `base` with any of `more`; now and then a bit that means nothing."""

    def join(first: str, others: list[str], odd: bool) -> Value:
        names = [name for name in dict.fromkeys([first, *others]) if name]
        value = base.get(first, 0)
        for name in others:
            value |= more[name]
        if odd:
            return Int(value | stray)
        return Int(value, " | ".join(names) or "0")

    few = st.lists(st.sampled_from(list(more)), max_size=3, unique=True) if more else st.just([])
    odd = st.sampled_from([False] * 15 + [True]) if stray else st.just(False)
    return st.builds(join, st.sampled_from(list(base) or [""]), few, odd)


def _fd(*kinds: str) -> Some:
    """Mostly a descriptor of these kinds; sometimes any, sometimes none."""
    back = st.integers(0, 3)
    good = st.builds(Want, st.just(kinds), back)
    others = st.builds(Want, st.sampled_from([(kind, *EVERY) for kind in EVERY]), st.just(0))
    return _mostly(good, others, _number(-1, 63, 1000))


def _mostly(good: Some, *others: Some) -> Some:
    """Seven of eight are `good`; st.one_of would take each alike."""
    return st.sampled_from([good] * 7 * len(others) + [*others]).flatmap(lambda strategy: strategy)


def _bad_now_and_then(good: Some) -> Some:
    return _mostly(good, st.sampled_from(_BAD))


def _text(*texts: str) -> Some:
    good = [Buf.text(text) for text in texts]
    torn = Buf(3, b"abc")  # ends where the memory does, without a NUL
    return _bad_now_and_then(st.sampled_from([*good, *good, torn]))


def _data(most: int = 5000) -> Some:
    """What is written: its size and letters; sometimes there is less of it than said."""
    sizes = [size for size in (1, 0, 3, 8, 100, 4096, 5000, 20000, 60000) if size <= most]
    bytes_ = st.sampled_from([b"", b"\x01\0\0\0\0\0\0\0", b"abcdefghijklmnop"])
    return _bad_now_and_then(
        st.builds(lambda size, data, gone: Buf(size, data[:size], min(gone, size)),
                  st.sampled_from(sizes), bytes_, st.sampled_from([0, 0, 0, 0, 0, 1, 4096]))
    )  # fmt: skip


def _room(*sizes: int, show: str = "raw", data: bytes = b"") -> Some:
    """Memory for the kernel to write to."""
    return _bad_now_and_then(
        st.builds(lambda size, gone: Buf(size, data[:size], min(gone, size), show),
                  st.sampled_from(sizes), st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1, 16]))
    )  # fmt: skip


def _struct(format: str, *parts: Some | int, show: str = "", at_fields: tuple[int, ...] = ()) -> Some:
    """A structure of numbers, and of pointers and descriptors where a part is a strategy."""

    def make(*values: Value) -> Value:
        data, fields, at = b"", [], 0
        for letter, each in zip(format, values, strict=True):
            width = struct.calcsize("=" + letter)
            data += bytes(width)
            fields.append((at, width, each))
            at += width
        plain = bytearray(data)
        kept = []
        for start, width, each in fields:
            if isinstance(each, Int):
                plain[start : start + width] = (each.value & (1 << 8 * width) - 1).to_bytes(width, "little")
            else:
                kept.append((start, width, each))
        return Buf(len(plain), bytes(plain), 0, show, tuple(kept))

    made = [st.just(Int(part)) if isinstance(part, int) else part for part in parts]
    return _bad_now_and_then(st.builds(make, *made))


def _array(one: Some, most: int = 3, show: str = "") -> Some:
    """Structures in a row."""

    def join(parts: list[Value]) -> Value:
        data, fields = b"", []
        for part in parts:
            if not isinstance(part, Buf):
                return part
            fields += [(len(data) + at, width, each) for at, width, each in part.fields]
            data += part.data
        return Buf(len(data), data, 0, show, tuple(fields))

    return st.lists(one, max_size=most).map(join)


# ---------------------------------------------------------------------------------------- calls


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its name, its family in lxrun's table, what its arguments are drawn from, what descriptors it gives."""

    name: str
    family: str
    args: tuple[Some, ...]
    gives: tuple[str, ...] = ()

    def step(self) -> SearchStrategy[Step]:
        return st.builds(lambda *args: Step(self.name, args, self.gives), *self.args)


AT_FDCWD = Int(-100, "AT_FDCWD")
AT = {"0": 0, "AT_SYMLINK_NOFOLLOW": 0x100, "AT_EMPTY_PATH": 0x1000}

_path = _text(*SAFE)
_seen = _text(*NAMES)
_at = st.one_of(st.just(AT_FDCWD), st.just(AT_FDCWD), _fd("directory", "path"))
_file = _fd(*FILES)
_any = _fd(*EVERY)
_mode = _number(0o644, 0o600, 0o755, 0o700, 0, 0o7777, 0o2755, 0o1777)
_size = _number(0, 1, 10, 100, 4095, 4096, 4097, 65536, 1 << 24, -1, 1 << 40, (1 << 63) - 1)
_offset = _number(0, 1, 10, 4095, 4096, 5000, -1, 1 << 24, 1 << 40, (1 << 63) - 1, -(1 << 63))
_count = _number(0, 1, 8, 16, 100, 4096, 60000, -1, 1 << 31)
_open = _flags(
    {"O_RDWR | O_CREAT": os.O_RDWR | os.O_CREAT, "O_RDONLY": 0, "O_WRONLY": 1, "O_RDWR": 2, "O_WRONLY | O_RDWR": 3},
    {name: getattr(os, name) for name in ("O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_NONBLOCK", "O_DIRECTORY",
                                          "O_NOFOLLOW", "O_CLOEXEC", "O_PATH", "O_TMPFILE", "O_NOATIME")},
    1 << 30,
)  # fmt: skip
_kept = {"0": 0, "O_CLOEXEC": os.O_CLOEXEC, "O_NONBLOCK": os.O_NONBLOCK}
_timespec = _struct("qq", _number(0, 100, 1, -1), _number(0, 5, (1 << 30) - 1, (1 << 30) - 2, 999999999, 10**9, -1))
_timeval = _struct("qqqq", _number(0, 100), _number(0, 5, 999999, 10**6, -1), _number(0, 100), _number(0, 5, 10**6))
_two_times = _struct("qqqq", _number(0, 100), _number(0, 5, (1 << 30) - 1, (1 << 30) - 2, 10**9),
                     _number(0, 100), _number(0, 5, (1 << 30) - 1, (1 << 30) - 2, -1))  # fmt: skip
_long = _struct("q", _offset, show="raw")
_iov_out = _array(_struct("QQ", _room(1, 8, 100, 4096), _number(1, 8, 100, 0, 4096, -1)), 4)
_iov_in = _array(_struct("QQ", _data(), _number(1, 8, 100, 0, 4096, -1)), 4)
_iovs = _number(1, 2, 3, 4, 0, 1025, -1)
_events = _flags({"POLLIN": 1, "POLLOUT": 4, "0": 0}, {"POLLPRI": 2, "POLLRDHUP": 0x2000, "POLLHUP": 16, "POLLERR": 8})
_address = st.one_of(
    st.sampled_from([Buf(3, b"\1\0s"), Buf(4, b"\1\0s\0"), Buf(6, b"\1\0\0abs"), Buf(5, b"\1\0d/s"), Buf(3, b"\2\0s")]),
    st.sampled_from([Buf(2, b"\1\0"), Buf(1, b"\1"), Buf(110, b"\1\0" + b"n" * 108), Buf(16, b"\1\0d/a\0")]),
)
_address_size = _number(3, 4, 6, 5, 2, 110, 1, 0, 200, -1)
_room_size = _struct("i", _number(110, 2, 0, 1, -1), show="raw")
_set = _struct("Q", _number(0, 1 << 9, 1 << 11, 0x800, -1 & ~(1 << 13)), show="raw")
_no_wait = {"MSG_DONTWAIT": 0x40}


def _calls() -> list[Call]:  # one line a call where possible: a table
    c = Call
    found = [
        # Opening and closing
        c("open", "open", (_path, _open, _mode), ("file",)),
        c("openat", "open", (_at, _path, _open, _mode), ("file",)),
        c("openat2", "open", (_at, _path, _struct("QQQ", _open, _number(0, 0o644, 0o10000), _number(0, 1, 2, 4, 8, 16, 64)), _number(24, 0, 16)), ("file",)),
        c("creat", "open", (_path, _mode), ("file",)),
        c("memfd_create", "open", (_text("m", ""), _flags({"MFD_ALLOW_SEALING": 2, "0": 0, "MFD_CLOEXEC": 1}, {}, 64)), ("memfd",)),
        # Reading and writing
        c("read", "io", (_any, _room(1, 8, 100, 4096), _count)),
        c("write", "io", (_any, _data(60000), _count)),
        c("pread64", "io", (_file, _room(1, 8, 100, 4096), _count, _offset)),
        c("pwrite64", "io", (_file, _data(60000), _count, _offset)),
        c("readv", "io", (_any, _iov_out, _iovs)),
        c("writev", "io", (_any, _iov_in, _iovs)),
        c("preadv", "io", (_file, _iov_out, _iovs, _offset, _number(0, 1, -1))),
        c("pwritev", "io", (_file, _iov_in, _iovs, _offset, _number(0, 1, -1))),
        c("preadv2", "io", (_file, _iov_out, _iovs, _offset, _number(0, -1), _number(0, 2, 4, 8, 16, 1 << 20))),
        c("pwritev2", "io", (_file, _iov_in, _iovs, _offset, _number(0, -1), _number(0, 2, 4, 16, 32, 1 << 20))),
        c("lseek", "io", (_any, _offset, _number(0, 1, 2, 3, 4, 5, -1))),
        c("fallocate", "io", (_file, _flags({"0": 0, "FALLOC_FL_KEEP_SIZE": 1, "FALLOC_FL_PUNCH_HOLE": 2, "FALLOC_FL_ZERO_RANGE": 16}, {"FALLOC_FL_KEEP_SIZE": 1}, 0x800), _size, _size)),
        c("fadvise64", "io", (_any, _offset, _size, _number(0, 1, 2, 3, 4, 5, 6, -1))),
        c("readahead", "io", (_any, _offset, _count)),
        c("fdatasync", "io", (_fd("memfd", *PIPES, *EVENTS),)),
        c("sync_file_range", "io", (_fd("memfd", *PIPES, *EVENTS), _offset, _size, _number(0, 1, 2, 4, 7, 8))),
        # Moving data inside the kernel
        c("sendfile", "transfer", (_any, _file, st.one_of(st.just(Int(0)), _long), _count)),
        c("copy_file_range", "transfer", (_file, st.one_of(st.just(Int(0)), _long), _file, st.one_of(st.just(Int(0)), _long), _count, _number(0, 0, 0, 1))),
        c("splice", "transfer", (_fd("pipe in", *FILES), st.one_of(st.just(Int(0)), _long), _fd("pipe out", *FILES), st.one_of(st.just(Int(0)), _long), _count, _number(0, 1, 2, 3, 4, 16))),
        c("tee", "transfer", (_fd("pipe in"), _fd("pipe out"), _count, _number(0, 2, 16))),
        c("vmsplice", "transfer", (_fd("pipe out"), _iov_in, _iovs, _number(0, 2, 16))),
        # Descriptors and pipes
        c("close", "fd", (_any,)),
        c("close_range", "fd", (_number(3, 4, 6, 60), _number(3, 5, 0xFFFFFFFF, 2), _number(0, 4, 2, 1))),
        c("dup", "fd", (_any,), ("file",)),
        c("dup2", "fd", (_any, _number(3, 4, 5, 10, 63, 64, -1)), ("file",)),
        c("dup3", "fd", (_any, _number(3, 4, 10, 63, 64, -1), _flags(_kept, {}, 1)), ("file",)),
        c("pipe", "fd", (_room(8, 4, show="pair"),), PIPES),
        c("pipe2", "fd", (_room(8, show="pair"), _flags({**_kept, "O_DIRECT": os.O_DIRECT}, {"O_NONBLOCK": os.O_NONBLOCK}, 1)), PIPES),
        c("eventfd2", "fd", (_number(0, 1, 5, 0xFFFFFFFF), _flags({"EFD_NONBLOCK": os.O_NONBLOCK, "0": 0, "EFD_SEMAPHORE": 1}, {"EFD_SEMAPHORE": 1}, 2)), ("eventfd",)),
        # File control and locks
        c("fcntl", "locks", (_any, _named(F_DUPFD=0, F_DUPFD_CLOEXEC=1030), _number(0, 3, 10, 63, 64, -1)), ("file",)),
        c("fcntl", "locks", (_any, _named(F_GETFD=1, F_GETFL=3, F_GET_SEALS=1034, F_GETPIPE_SZ=1032, F_GETSIG=11, F_GETOWN=9), _number(0))),
        c("fcntl", "locks", (_any, _named(F_SETFD=2), _number(0, 1, 2, -1))),
        c("fcntl", "locks", (_any, _named(F_SETFL=4), _flags({"0": 0, "O_NONBLOCK": os.O_NONBLOCK}, {"O_APPEND": os.O_APPEND, "O_DIRECT": os.O_DIRECT, "O_NOATIME": os.O_NOATIME}))),
        c("fcntl", "locks", (_fd("memfd", *FILES), _named(F_ADD_SEALS=1033), _number(1, 2, 4, 8, 16, 32, 64, 0))),
        c("fcntl", "locks", (_fd(*PIPES), _named(F_SETPIPE_SZ=1031), _number(4096, 0, 1, 8192, 65536, 5000, -1))),
        c("fcntl", "locks", (_file, _named(F_SETLK=6, F_GETLK=5, F_OFD_SETLK=37, F_OFD_GETLK=36), _struct("hhiqqii", _number(0, 1, 2, 3), _number(0, 1, 2, 3), 0, _offset, _size, 0, 0, show="raw"))),
        c("flock", "locks", (_any, _flags({"LOCK_EX": 2, "LOCK_SH": 1, "LOCK_UN": 8, "0": 0}, {"LOCK_NB": 4}, 64))),
        c("ioctl", "ioctl", (_any, _named(FIONREAD=0x541B, FIONBIO=0x5421, FIOCLEX=0x5451, FIONCLEX=0x5450), _struct("i", _number(0, 1), show="raw"))),
        # Waiting
        c("poll", "poll", (_array(_struct("ihh", _any, _events, 0), show="raw"), _number(1, 2, 3, -1), _number(0, 0, 0, -1))),
        c("ppoll", "poll", (_array(_struct("ihh", _any, _events, 0), show="raw"), _number(1, 2, 0), _struct("qq", _number(0, 0, 0, -1), _number(0, 0, 10**9)), st.one_of(st.just(Int(0)), _set), _number(8, 8, 4))),
        c("epoll_create1", "epoll", (_flags({"0": 0, "EPOLL_CLOEXEC": os.O_CLOEXEC}, {}, 1),), ("epoll",)),
        c("epoll_ctl", "epoll", (_fd("epoll"), _named(EPOLL_CTL_ADD=1, EPOLL_CTL_DEL=2, EPOLL_CTL_MOD=3), _any, _struct("IQ", _number(1, 4, 5, 0x2001, 1 << 31 | 1, 1 << 30 | 5, 1 << 28 | 1), _number(7, 8, 9)))),
        c("epoll_wait", "epoll", (_fd("epoll"), _room(12, 36), _number(1, 3, 0, -1), _number(0, 0, 0, -1))),
        c("inotify_init1", "inotify", (_flags({"IN_NONBLOCK": os.O_NONBLOCK, "0": 0}, {}, 1),), ("inotify",)),
        c("inotify_add_watch", "inotify", (_fd("inotify"), _path, _number(0xFFF, 0x3, 0x100, 0x8, 0x18, 0x1000FFF, 0x20000FFF, 0x80000FFF, 0x10000FFF, 0))),
        c("inotify_rm_watch", "inotify", (_fd("inotify"), _number(1, 2, 0, -1))),
        # File attributes
        c("stat", "stat", (_seen, _room(144, show="stat"))),
        c("lstat", "stat", (_seen, _room(144, show="stat"))),
        c("fstat", "stat", (_file, _room(144, show="stat"))),
        c("newfstatat", "stat", (_at, _seen, _room(144, show="stat"), _flags(AT, {}, 1))),
        c("statx", "stat", (_at, _path, _flags(AT, {"AT_EMPTY_PATH": 0x1000}, 1), _number(0x7FF, 0xFFF, 0xC1), _room(256, show="statx"))),
        c("access", "stat", (_seen, _number(0, 1, 2, 4, 6, 7, 8, -1))),
        c("faccessat2", "stat", (_at, _seen, _number(0, 1, 2, 4, 7, 8), _flags({**AT, "AT_EACCESS": 0x200}, {}, 1))),
        c("readlink", "stat", (_seen, _room(1, 8, 100), _number(1, 8, 100, 0, -1))),
        c("readlinkat", "stat", (_at, _seen, _room(1, 8, 100), _number(1, 8, 100, 0, -1))),
        c("statfs", "stat", (_path, _room(120, show="statfs"))),
        c("fstatfs", "stat", (_fd(*FILES, *PIPES), _room(120, show="statfs"))),
        # Directories and names
        c("getdents64", "dirs", (_fd("directory"), _room(4096, show="dirents"), _number(4096, 0, 10))),
        c("getcwd", "dirs", (_room(4096, 1, show="path"), _number(4096, 1, 0))),
        c("chdir", "dirs", (_path,)),
        c("fchdir", "dirs", (_fd("directory", "path", "file"),)),
        c("mkdir", "dirs", (_path, _mode)),
        c("mkdirat", "dirs", (_at, _path, _mode)),
        c("rmdir", "dirs", (_path,)),
        c("mknod", "dirs", (_path, _number(0o100644, 0o10644, 0o140600, 0o600, 0o40755, 0o120644), _number(0))),
        c("mknodat", "dirs", (_at, _path, _number(0o100644, 0o10644, 0o140600), _number(0))),
        c("link", "dirs", (_path, _path)),
        c("linkat", "dirs", (_at, _path, _at, _path, _flags({"0": 0, "AT_SYMLINK_FOLLOW": 0x400, "AT_EMPTY_PATH": 0x1000}, {}, 1))),
        c("symlink", "dirs", (_text("a", "d", "l", ".", "d/a", "n" * 256, "", "x" * 4096), _path)),
        c("symlinkat", "dirs", (_text("a", "d", "l", ".", "nowhere"), _at, _path)),
        c("unlink", "dirs", (_path,)),
        c("unlinkat", "dirs", (_at, _path, _flags({"0": 0, "AT_REMOVEDIR": 0x200}, {}, 1))),
        c("rename", "dirs", (_path, _path)),
        c("renameat2", "dirs", (_at, _path, _at, _path, _flags({"0": 0, "RENAME_NOREPLACE": 1, "RENAME_EXCHANGE": 2}, {"RENAME_NOREPLACE": 1}, 8))),
        # Changing file attributes
        c("chmod", "attr", (_path, _mode)),
        c("fchmod", "attr", (_fd("memfd", "file", *PIPES, *SOCKETS), _mode)),
        c("fchmodat", "attr", (_at, _path, _mode)),
        c("fchmodat2", "attr", (_at, _path, _mode, _flags(AT, {}, 1))),
        c("umask", "attr", (_mode,)),
        c("truncate", "attr", (_path, _size)),
        c("ftruncate", "attr", (_any, _size)),
        c("utimensat", "attr", (_at, st.one_of(_path, st.just(Int(0))), st.one_of(_two_times, st.just(Int(0))), _flags(AT, {}, 1))),
        c("utimes", "attr", (_path, st.one_of(_timeval, st.just(Int(0))))),
        c("setxattr", "attr", (_path, _text(*XATTRS), _data(100), _number(1, 0, 8, 100, 65537, -1), _number(0, 0, 1, 2, 3, 4))),
        c("getxattr", "attr", (_path, _text(*XATTRS), _room(1, 8, 100), _number(1, 8, 100, 0, -1))),
        c("fsetxattr", "attr", (_file, _text(*XATTRS), _data(100), _number(1, 0, 8, 100), _number(0, 0, 1, 2, 3, 4))),
        c("fgetxattr", "attr", (_file, _text(*XATTRS), _room(1, 8, 100), _number(1, 8, 100, 0))),
        c("listxattr", "attr", (_path, _room(8, 100), _number(8, 100, 0))),
        c("removexattr", "attr", (_path, _text(*XATTRS))),
        # Memory
        c("mmap", "memory", (_page, _length, _prot, _flags({"MAP_PRIVATE | MAP_FIXED": 0x12, "MAP_SHARED | MAP_FIXED": 0x11, "MAP_FIXED": 0x10}, {"MAP_ANONYMOUS": 0x20, "MAP_FIXED_NOREPLACE": 0x100000, "MAP_NORESERVE": 0x4000, "MAP_POPULATE": 0x8000}), _fd(*FILES), _number(0, 4096, 8192, 1, -4096))),
        c("munmap", "memory", (_page, _length)),
        c("mprotect", "memory", (_page, _length, _prot)),
        c("mremap", "memory", (_page, _length, _length, _number(3, 3, 7), _page)),
        c("madvise", "memory", (_page, _length, _number(0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, -1))),
        c("msync", "memory", (_page, _length, _number(0, 1, 2, 4, 3, 5, 8))),
        c("mincore", "memory", (_page, _length, _room(1, 8, show=""))),
        c("mlock", "memory", (_page, _length)),
        c("munlock", "memory", (_page, _length)),
        c("touch", "memory", (_place, _number(-1, 65, 66))),
        # Signals and timers
        c("signalfd4", "signalfd", (_number(-1), _struct("Q", _number(1 << 9, 0)), _number(8, 8, 4), _flags({"SFD_NONBLOCK": os.O_NONBLOCK}, {}, 1)), ("signalfd",)),
        c("timerfd_create", "timerfd", (_number(0, 1, 7, 2, 20), _flags({"TFD_NONBLOCK": os.O_NONBLOCK, "0": 0}, {}, 1)), ("timerfd",)),
        c("timerfd_settime", "timerfd", (_fd("timerfd"), _number(0, 1, 3, 4), _struct("qqqq", _number(0, 10000), _number(0, 10**9), _number(0, 20000, -1), _number(0, 0, 10**9)), st.just(Int(0)))),
        # Sockets
        c("socket", "socket", (_number(1, 1, 1, 0, 99), _flags({"SOCK_STREAM | SOCK_NONBLOCK": 0x801, "SOCK_DGRAM | SOCK_NONBLOCK": 0x802, "SOCK_SEQPACKET": 5}, {"SOCK_CLOEXEC": 0x80000}, 0x40), _number(0, 0, 0, 1)), ("stream",)),
        c("socketpair", "socket", (_number(1, 1, 1, 99), _flags({"SOCK_STREAM | SOCK_NONBLOCK": 0x801, "SOCK_DGRAM | SOCK_NONBLOCK": 0x802, "SOCK_SEQPACKET | SOCK_NONBLOCK": 0x805}, {}, 0x40), _number(0, 0, 1), _room(8, show="pair")), ("stream", "stream")),
        c("bind", "socket", (_fd(*SOCKETS), _address, _address_size)),
        c("listen", "socket", (_fd(*SOCKETS), _number(0, 1, -1))),
        c("accept4", "socket", (_fd("listener"), _room(110, 2), _room_size, _flags({"SOCK_NONBLOCK": os.O_NONBLOCK, "0": 0}, {}, 1)), ("stream",)),
        c("connect", "socket", (_fd(*SOCKETS), _address, _address_size)),
        c("shutdown", "socket", (_fd(*SOCKETS), _number(0, 1, 2, 3))),
        c("getsockname", "socket", (_fd(*SOCKETS), _room(110, 2), _room_size)),
        c("getpeername", "socket", (_fd(*SOCKETS), _room(110, 2), _room_size)),
        c("sendto", "message", (_fd(*SOCKETS), _data(60000), _count, _flags({"0": 0, "MSG_DONTWAIT": 0x40}, {"MSG_EOR": 0x80, "MSG_OOB": 1, "MSG_MORE": 0x8000}), st.one_of(st.just(Int(0)), _address), _address_size)),
        c("recvfrom", "message", (_fd(*SOCKETS), _room(1, 8, 100, 4096), _count, _flags({"MSG_DONTWAIT": 0x40, "0": 0}, {"MSG_PEEK": 2, "MSG_TRUNC": 0x20, "MSG_WAITALL": 0x100, "MSG_OOB": 1}), _room(110, 2), _room_size)),
        c("sendmsg", "message", (_fd(*SOCKETS), _struct("QQQQQQQ", _number(0), _number(0), _iov_in, _iovs, st.one_of(st.just(Int(0)), _rights), _number(0, 24, 16, 20), 0), _flags(_no_wait, {"MSG_OOB": 1}))),
        c("recvmsg", "message", (_fd(*SOCKETS), _struct("QQQQQQQ", _number(0), _number(0), _iov_out, _iovs, _room(24, 16, 20), _number(0, 24, 16, 20), 0, show=""), _flags(_no_wait, {"MSG_PEEK": 2, "MSG_CMSG_CLOEXEC": 0x40000000}))),
        c("getsockopt", "sockopt", (_fd(*SOCKETS), _number(1, 1, 1, 0), _option, _room(4, 1, 16), _struct("i", _number(4, 1, 16, 0, -1), show="raw"))),
        c("setsockopt", "sockopt", (_fd(*SOCKETS), _number(1, 1, 1, 0), _option, _struct("i", _number(0, 1, 2, 5000, -1)), _number(4, 8, 1, 0))),
    ]  # fmt: skip
    return found


_page = st.builds(lambda page, odd: Place(4096 * page + odd), st.integers(0, 8), st.sampled_from([0] * 15 + [1]))
_place = st.builds(lambda page, byte: Place(4096 * page + byte), st.integers(0, 8), st.sampled_from([0, 1, 4095]))
_length = _number(4096, 8192, 16384, 1, 0, 5000, -1)
_prot = _flags({"PROT_READ | PROT_WRITE": 3, "PROT_READ": 1, "PROT_NONE": 0, "PROT_WRITE": 2}, {}, 1 << 20)
_rights = _struct("QiiiI", _number(20, 16, 24, 12, 0), 1, _number(1, 1, 1, 2, 9), _any, 0)
_option = _named(SO_REUSEADDR=2, SO_TYPE=3, SO_ERROR=4, SO_BROADCAST=6, SO_KEEPALIVE=9, SO_LINGER=13,
                 SO_RCVLOWAT=18, SO_ACCEPTCONN=30, SO_PROTOCOL=38, SO_DOMAIN=39, SO_PEEK_OFF=42)  # fmt: skip

CALLS: list[Call] = _calls()

# ------------------------------------------------------------------------- what is wanted is made


_rw = Int(os.O_RDWR | os.O_CREAT, "O_RDWR | O_CREAT")
_nonblock = Int(os.O_NONBLOCK, "O_NONBLOCK")
_two = Buf(8, show="pair")
_listener = Buf(4, b"\1\0q\0")

MAKERS: dict[str, Program] = {
    "file": (Step("open", (Buf.text("a"), _rw, Int(0o644, "0644")), ("file",)),),
    "read-only": (
        Step("creat", (Buf.text("b"), Int(0o644, "0644")), ("file",)),
        Step("open", (Buf.text("b"), Int(0, "O_RDONLY")), ("read-only",)),
    ),
    "memfd": (Step("memfd_create", (Buf.text("m"), Int(2, "MFD_ALLOW_SEALING")), ("memfd",)),),
    "directory": (
        Step("mkdir", (Buf.text("d"), Int(0o755, "0755"))),
        Step("open", (Buf.text("d"), Int(os.O_DIRECTORY, "O_DIRECTORY")), ("directory",)),
    ),
    "path": (
        Step("mkdir", (Buf.text("d"), Int(0o755, "0755"))),
        Step("open", (Buf.text("d"), Int(os.O_PATH, "O_PATH")), ("path",)),
    ),
    "pipe in": (Step("pipe2", (_two, _nonblock), PIPES),),
    "pipe out": (Step("pipe2", (_two, _nonblock), PIPES),),
    "stream": (Step("socketpair", (Int(1, "AF_UNIX"), Int(0x801, "SOCK_STREAM | SOCK_NONBLOCK"), Int(0), _two),
                    ("stream", "stream")),),
    "datagram": (Step("socketpair", (Int(1, "AF_UNIX"), Int(0x802, "SOCK_DGRAM | SOCK_NONBLOCK"), Int(0), _two),
                      ("datagram", "datagram")),),
    "listener": (
        Step("socket", (Int(1, "AF_UNIX"), Int(0x801, "SOCK_STREAM | SOCK_NONBLOCK"), Int(0)), ("listener",)),
        Step("bind", (Want(("listener",), 0), _listener, Int(4))),
        Step("listen", (Want(("listener",), 0), Int(1))),
    ),
    "eventfd": (Step("eventfd2", (Int(0), Int(os.O_NONBLOCK, "EFD_NONBLOCK")), ("eventfd",)),),
    "epoll": (Step("epoll_create1", (Int(0),), ("epoll",)),),
    "timerfd": (Step("timerfd_create", (Int(1, "CLOCK_MONOTONIC"), Int(os.O_NONBLOCK, "TFD_NONBLOCK")), ("timerfd",)),),
    "inotify": (Step("inotify_init1", (Int(os.O_NONBLOCK, "IN_NONBLOCK"),), ("inotify",)),),
    "signalfd": (Step("signalfd4", (Int(-1), Buf(8, bytes([0, 2, 0, 0, 0, 0, 0, 0])), Int(8),
                                    Int(os.O_NONBLOCK, "SFD_NONBLOCK")), ("signalfd",)),),
}  # fmt: skip


def steps(calls: list[Call], most: int = 12) -> SearchStrategy[list[Step]]:
    """Random lists of these calls, not yet settled."""
    return st.lists(st.one_of([call.step() for call in calls]), min_size=1, max_size=most)

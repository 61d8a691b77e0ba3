"""The same path calls natively and through the system-call handlers, for tests that compare the two.

`Guest` is a task without a kernel, on which handlers are called one by one; `Pair` makes each call in a
tree of the host and in its twin, which may be the host's too or any filesystem mounted there.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from emu.arch import x86_64
from emu.arena import Arena
from kernel.clock import Clock
from kernel.cred import Credentials
from kernel.files import FdTable
from syscalls import attr, dirs, io, open, paths, structs
from syscalls import stat as stat_calls
from vfs import file as f
from vfs import host
from vfs.hostfs import HostFs
from vfs.mount import MountTable
from vfs.node import Node
from vfs.pages import PageCache

AT_FDCWD = paths.AT_FDCWD
BOTH_WAYS = [False, True] if not host.PORTABLE else [True]


class FlatMemory:
    """A task's memory, as far as handlers need it: one page-aligned block at address 0x1000."""

    BASE = 0x1000

    def __init__(self) -> None:
        self.data = bytearray(1 << 17)
        self.used = 0

    def place(self, text: bytes) -> int:
        """A string argument."""
        start = self.used
        self.data[start : start + len(text) + 1] = text + b"\0"
        self.used += len(text) + 1
        return self.BASE + start

    def cstring(self, address: int, limit: int = 4096) -> bytes:
        start = address - self.BASE
        if not 0 <= start < len(self.data):
            raise OSError(errno.EFAULT, "bad address")
        end = self.data.index(0, start)
        if end - start >= limit:
            raise OSError(errno.ENAMETOOLONG, "too long")
        return bytes(self.data[start:end])

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.data[address - self.BASE :][:size])

    def write(self, address: int, data: bytes) -> None:
        start = address - self.BASE
        self.data[start : start + len(data)] = data

    def spans(self, address: int, size: int, access: int) -> list[memoryview]:
        start = address - self.BASE
        return [memoryview(self.data)[start : start + size]]

    def pack(self, layout: Any, address: int, *values: int) -> None:
        self.write(address, layout.pack(*values))

    def unpack(self, layout: Any, address: int) -> Any:
        return layout.unpack_from(self.data, address - self.BASE)


BUFFER = FlatMemory.BASE + (1 << 16)


class Guest:
    """A task without a kernel: what a handler reaches through it."""

    def __init__(self, root: bytes, portable: bool, *, read_only: bool = False) -> None:
        self.hostfs = HostFs(PageCache(Arena(1 << 28)), portable=portable)
        mounts = MountTable(self.hostfs.root(root), read_only=read_only)
        top = mounts.at(b"/")
        mine = Credentials(os.geteuid(), os.getegid(), tuple(os.getgroups()))
        self.kernel = SimpleNamespace(mounts=mounts, arch=x86_64, clock=Clock(), arena=self.hostfs.cache.frames)
        self.files = FdTable()
        self.fs = SimpleNamespace(root=top, cwd=top, umask=0o022)
        self.cred = mine
        self.rlimits = {io.RLIMIT_FSIZE: (io.RLIM_INFINITY, io.RLIM_INFINITY)}
        self.mm = FlatMemory()

    def call(self, handler: Callable[..., Any], *args: Any) -> int:
        """A system call; strings are put into memory.  The result, or -errno."""
        self.mm.used = 0
        try:
            result = handler(self, *[self.mm.place(a) if isinstance(a, bytes) else a for a in args])
        except OSError as error:
            assert error.errno is not None
            return -error.errno
        assert isinstance(result, int)
        return result

    def open(self, path: bytes, flags: int = 0, mode: int = 0o666) -> int:
        return self.call(open.sys_open, path, flags, mode)

    def contents(self, path: bytes) -> bytes:
        """All of a file."""
        fd = self.open(path)
        assert fd >= 0, os.strerror(-fd)
        data = bytearray(1 << 16)
        size = self.files.get(fd).read([memoryview(data)])
        self.files.close(fd)
        return bytes(data[:size])

    def listing(self, path: bytes) -> list[bytes]:
        """Names in a directory, "." and ".." too, in the order getdents64 gives them."""
        fd = self.open(path, f.O_DIRECTORY)
        assert fd >= 0, os.strerror(-fd)
        names = []
        while (size := self.call(dirs.sys_getdents64, fd, BUFFER, 200)) > 0:
            names += [name for _, _, _, name in records(self.mm.read(BUFFER, size))]
        assert size == 0
        self.files.close(fd)
        return names


def records(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(inode, offset, type, name) of getdents64's records."""
    start = 0
    while start < len(data):
        ino, offset, size, kind = structs.DIRENT64.unpack_from(data, start)
        yield ino, offset, kind, data[start + structs.DIRENT64.size : start + size].partition(b"\0")[0]
        start += size


@contextmanager
def scratch() -> Iterator[bytes]:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # many small directories: disks are slow
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield os.fsencode(os.path.realpath(name))


@contextmanager
def working_directory(path: bytes) -> Iterator[None]:
    before = os.getcwd()
    mask = os.umask(0o022)
    os.chdir(path)
    try:
        yield
    finally:
        os.umask(mask)
        os.chdir(before)


# ------------------------------------------------------------- the same calls here and there


def native(function: Callable[..., Any], *args: Any, **keywords: Any) -> int:
    """0 or -errno of a call on the host."""
    try:
        function(*args, **keywords)
    except OSError as error:
        assert error.errno is not None
        return -error.errno
    return 0


def native_open(path: bytes, flags: int) -> int:
    fd = os.open(path, flags | os.O_NONBLOCK, 0o666)
    try:
        if flags & 3 and flags & os.O_PATH == 0 and stat.S_ISREG(os.fstat(fd).st_mode):
            os.write(fd, b"data")
    finally:
        os.close(fd)
    return 0


def guest_open(guest: Guest, path: bytes, flags: int) -> int:
    fd = guest.open(path, flags | f.O_NONBLOCK)
    if fd < 0:
        return fd
    file = guest.files.get(fd)
    if flags & 3 and not flags & f.O_PATH and stat.S_ISREG(file.stat().st_mode):
        file.write([memoryview(bytearray(b"data"))])
    del file
    guest.files.close(fd)
    return 0


def native_rename(old: bytes, new: bytes, flags: int) -> int:
    if not flags:
        return native(os.rename, old, new)
    libc = ctypes.CDLL(None, use_errno=True)
    return -ctypes.get_errno() if libc.renameat2(AT_FDCWD, old, AT_FDCWD, new, flags) < 0 else 0


def shape(result: os.stat_result) -> tuple[int, ...]:
    """What two copies of one tree have in common."""
    size = result.st_size if stat.S_ISREG(result.st_mode) else 0
    return result.st_mode, result.st_nlink, result.st_uid, result.st_gid, size


def guest_stat(guest: Guest, path: bytes, follow: bool) -> object:
    code = guest.call(stat_calls.sys_stat if follow else stat_calls.sys_lstat, path, BUFFER)
    if code:
        return code
    _, _, nlink, mode, uid, gid, _, _, size = guest.mm.unpack(x86_64.STAT, BUFFER)[:9]
    return mode, nlink, uid, gid, size if stat.S_ISREG(mode) else 0


def native_stat(path: bytes, follow: bool) -> object:
    try:
        return shape(os.stat(path, follow_symlinks=follow))
    except OSError as error:
        assert error.errno is not None
        return -error.errno


def guest_readlink(guest: Guest, path: bytes) -> object:
    size = guest.call(stat_calls.sys_readlink, path, BUFFER, 4096)
    return size if size < 0 else guest.mm.read(BUFFER, size)


def native_readlink(path: bytes) -> object:
    try:
        return os.readlink(path)
    except OSError as error:
        assert error.errno is not None
        return -error.errno


def tree(top: bytes) -> dict[bytes, object]:
    """Everything below a directory of the host."""
    found: dict[bytes, object] = {}
    for here, directories, names in os.walk(top):
        for name in directories + names:
            path = os.path.join(here, name)
            result = os.lstat(path)
            what: object = None
            if stat.S_ISLNK(result.st_mode):
                what = top_free(os.readlink(path), top)
            elif stat.S_ISREG(result.st_mode):
                with builtins.open(path, "rb") as file:
                    what = file.read()
            found[path[len(top) :]] = (shape(result), what)
    return found


def guest_tree(guest: Guest, top: bytes) -> dict[bytes, object]:
    """The same, seen through the handlers."""
    found: dict[bytes, object] = {}
    todo = [top]
    while todo:
        here = todo.pop()
        for name in guest.listing(here):
            if name in (b".", b".."):
                continue
            path = os.path.join(here, name)
            result = guest_stat(guest, path, False)
            assert isinstance(result, tuple), (path, result)
            what: object = None
            if stat.S_ISLNK(result[0]):
                what = top_free(guest_readlink(guest, path), top)
            elif stat.S_ISREG(result[0]):
                what = guest.contents(path)
            elif stat.S_ISDIR(result[0]):
                todo.append(path)
            found[path[len(top) :]] = (result, what)
    return found


DEPTH = 4  # directories above a tree, for ".." to climb to


class Pair:
    """One tree natively, its twin through the handlers.  Absolute paths are below each one's own top."""

    def __init__(self, top: bytes, portable: bool, mounted: Callable[[Guest], Node] | None = None) -> None:
        self.fence = top + b"/native"
        # Same lengths, so that both overflow PATH_MAX together
        self.here, self.there = (top + name + b"/up" * DEPTH + b"/tree" for name in (b"/native", b"/lxrun."))
        os.makedirs(self.here)
        os.makedirs(self.there)
        self.guest = Guest(b"/", portable)
        if mounted is not None:
            self.guest.kernel.mounts.add(mounted(self.guest), self.there, b"tmpfs")
        assert self.guest.call(dirs.sys_chdir, self.there) == 0

    def do(self, op: str, *args: Any) -> tuple[object, object]:
        """Both results of one operation; None twice for one that would leave the test's own directories.  TOP
        in a path stands for the top of the tree."""
        here: list[Any] = [a.replace(b"TOP", self.here) if isinstance(a, bytes) else a for a in args]
        if not all(self.fenced(a) for a in here[op == "symlink" :] if isinstance(a, bytes)):
            return None, None
        there: list[Any] = [a.replace(b"TOP", self.there) if isinstance(a, bytes) else a for a in args]
        guest = self.guest
        match op:
            case "open":
                return native(native_open, *here), guest_open(guest, *there)
            case "stat":
                return native_stat(*here), guest_stat(guest, *there)
            case "readlink":
                theirs, ours = native_readlink(*here), guest_readlink(guest, *there)
                return top_free(theirs, self.here), top_free(ours, self.there)
            case "rename":
                flags = here[2]
                return native_rename(*here), guest.call(
                    dirs.sys_renameat2, AT_FDCWD, there[0], AT_FDCWD, there[1], flags
                )
            case "mkdir":
                return native(os.mkdir, here[0], 0o755), guest.call(dirs.sys_mkdir, there[0], 0o755)
            case "rmdir":
                return native(os.rmdir, *here), guest.call(dirs.sys_rmdir, *there)
            case "unlink":
                return native(os.unlink, *here), guest.call(dirs.sys_unlink, *there)
            case "symlink":
                return native(os.symlink, *here), guest.call(dirs.sys_symlink, *there)
            case "link":
                return native(os.link, *here, follow_symlinks=False), guest.call(dirs.sys_link, *there)
            case "chdir":
                return native(os.chdir, *here), guest.call(dirs.sys_chdir, *there)
            case "truncate":
                return native(os.truncate, here[0], 2), guest.call(attr.sys_truncate, there[0], 2)
            case "chmod":
                return native(os.chmod, here[0], 0o700), guest.call(attr.sys_chmod, there[0], 0o700)
            case "mkfifo":
                return native(os.mkfifo, here[0], 0o644), guest.call(dirs.sys_mknod, there[0], stat.S_IFIFO | 0o644, 0)
            case "utime":
                return native(os.utime, here[0], (1, 2)), guest.call(
                    attr.sys_utime, there[0], self.times(b"\1" + bytes(7) + b"\2" + bytes(7))
                )
            case "getcwd":
                return self.cwds()
        raise AssertionError(op)

    def fenced(self, path: bytes) -> bool:
        """Whether a path of the native tree leads to nothing but the test's own."""
        try:
            place = os.path.realpath(path)
        except OSError:  # the working directory was removed: nothing is left in it to follow
            return b".." not in path
        return place == self.fence or place.startswith(self.fence + b"/")

    def times(self, data: bytes) -> int:
        self.guest.mm.write(BUFFER, data)
        return BUFFER

    def cwds(self) -> tuple[object, object]:
        size = self.guest.call(dirs.sys_getcwd, BUFFER, 4096)
        ours: object = size if size < 0 else self.guest.mm.read(BUFFER, size - 1)
        try:
            theirs: object = os.getcwdb()
        except OSError as error:
            assert error.errno is not None
            theirs = -error.errno
        return top_free(theirs, self.here), top_free(ours, self.there)


def top_free(value: object, top: bytes) -> object:
    """A path without the place of its tree."""
    return b"TOP" + value[len(top) :] if isinstance(value, bytes) and value.startswith(top) else value


names = st.sampled_from([b"a", b"b", b"c", b"d"])
parts = st.one_of(names, names, names, st.sampled_from([b"..", b".", b"", b"x" * 256]))
looked_at = st.builds(
    lambda start, middle, end: start + b"/".join(middle) + end,
    st.sampled_from([b"", b"", b"", b"TOP/", b"./"]),
    st.tuples(names | st.just(b".."), st.lists(parts, max_size=4)).map(lambda both: [both[0], *both[1]]),
    st.sampled_from([b"", b"", b"", b"/", b"//", b"/."]),
)
safe_paths = looked_at.filter(lambda path: b".." not in path)
open_flags = st.builds(
    lambda mode, extra: mode | sum(set(extra)),
    st.sampled_from([f.O_RDONLY, f.O_WRONLY, f.O_RDWR]),
    st.lists(
        st.sampled_from([f.O_CREAT, f.O_CREAT, f.O_EXCL, f.O_TRUNC, f.O_NOFOLLOW, f.O_DIRECTORY, f.O_APPEND, f.O_PATH]),
        max_size=3,
    ),
)
operations = st.one_of(
    st.tuples(st.just("mkdir"), safe_paths),
    st.tuples(st.just("mkdir"), safe_paths),
    st.tuples(st.just("symlink"), looked_at, safe_paths),
    st.tuples(st.just("symlink"), st.builds(lambda n: b"TOP/" + n, names), safe_paths),
    st.tuples(st.just("open"), safe_paths, open_flags),
    st.tuples(st.just("open"), safe_paths, open_flags),
    st.tuples(st.just("open"), looked_at, st.sampled_from([f.O_RDONLY, f.O_NOFOLLOW, f.O_PATH | f.O_NOFOLLOW])),
    st.tuples(st.just("stat"), looked_at, st.booleans()),
    st.tuples(st.just("readlink"), looked_at),
    st.tuples(st.just("rename"), safe_paths, safe_paths, st.sampled_from([0, 0, 0, 1, 2, 3])),
    st.tuples(st.just("link"), safe_paths, safe_paths),
    st.tuples(st.just("rmdir"), safe_paths),
    st.tuples(st.just("unlink"), safe_paths),
    st.tuples(st.just("chdir"), safe_paths),
    st.tuples(st.just("truncate"), safe_paths),
    st.tuples(st.just("chmod"), safe_paths),
    st.tuples(st.just("mkfifo"), safe_paths),
    st.tuples(st.just("utime"), safe_paths),
    st.just(("getcwd",)),
)

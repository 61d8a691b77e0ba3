"""Path walk and everything that takes a path, against the host's own: the same calls, made natively in
one copy of a tree and through the handlers in another, must give the same results and leave the same
tree.  Both ways of reaching the host's files are tried.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path as HostPath
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pathcalls import (
    AT_FDCWD,
    BOTH_WAYS,
    BUFFER,
    Guest,
    Pair,
    guest_tree,
    operations,
    records,
    scratch,
    tree,
    working_directory,
)

from emu.arena import Arena
from syscalls import attr, dirs, open, paths, structs
from syscalls import stat as stat_calls
from vfs import file as f
from vfs import host, hostfile
from vfs.tmpfs import TmpFs
from vfs.walk import walk, walk_parent

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the host has no Unix files to compare with")


@pytest.mark.parametrize("portable", BOTH_WAYS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(operations, min_size=5, max_size=40))
@example([("symlink", b"a", b"b"), ("open", b"b", f.O_CREAT | f.O_WRONLY), ("stat", b"a", True)])
@example([("symlink", b"b", b"a"), ("symlink", b"a", b"b"), ("stat", b"a", True), ("open", b"b", f.O_CREAT)])
@example([("open", b"a", f.O_CREAT), ("stat", b"a/.", True), ("stat", b"a/..", True), ("stat", b"a/", False)])
@example([("mkdir", b"a"), ("chdir", b"a"), ("rename", b"TOP/a", b"TOP/b", 0), ("getcwd",), ("stat", b"../b", True)])
@example([("mkdir", b"a"), ("chdir", b"a"), ("rmdir", b"TOP/a"), ("getcwd",), ("open", b"b", f.O_CREAT)])
@example([("symlink", b"a/" + b"x" * 250, b"a"), ("mkdir", b"a/a"), ("stat", b"a/a", True)])
@example([("mkdir", b"a"), ("rename", b"a", b"a/b", 0), ("rename", b"a", b".", 0), ("rmdir", b"a/.")])
def test_calls_match_the_host(portable: bool, sequence: list[tuple[Any, ...]]) -> None:
    with scratch() as top:
        pair = Pair(top, portable)
        with working_directory(pair.here):
            for op, *args in sequence:
                if portable and skipped_portably(op, args):
                    continue
                theirs, ours = pair.do(op, *args)
                assert ours == theirs, (op, args)
        assert tree(pair.there) == tree(pair.here)
        restore(top)


def skipped_portably(op: str, args: list[Any]) -> bool:
    """What a host without O_PATH, renameat2 or /proc cannot do alike."""
    return (op == "rename" and args[2] != 0) or op == "getcwd" or (op == "open" and bool(args[1] & f.O_PATH))


def restore(top: bytes) -> None:
    """Make everything removable again."""
    for here, directories, _ in os.walk(top):
        for name in directories:
            path = os.path.join(here, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)


# ------------------------------------------------------------------- the guest's own tree


@pytest.fixture(params=BOTH_WAYS, ids=["native" if not way else "portable" for way in BOTH_WAYS])
def portable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def top(tmp_path: HostPath) -> bytes:
    (tmp_path / "outside").write_text("secret")
    inside = tmp_path / "root"
    inside.mkdir()
    for name in ("etc", "usr", "usr/bin", "usr/share", "empty"):
        (inside / name).mkdir()
    (inside / "etc/passwd").write_text("root:x:0:0\n")
    (inside / "bin").symlink_to("usr/bin")
    (inside / "up").symlink_to("../../../../../etc")
    (inside / "out").symlink_to("../outside")
    (inside / "abs").symlink_to("/etc/passwd")
    (inside / "usr/share/far").symlink_to("../../../../outside")
    return os.fsencode(inside)


def text(guest: Guest, path: bytes) -> bytes:
    return walk(guest.kernel.mounts, guest.fs, guest.fs.cwd, path).text


def test_nothing_leads_out_of_the_root(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    for path in (
        b"out",
        b"../outside",
        b"/../../outside",
        b"usr/share/far",
        b"usr/../../outside",
        b"bin/../../outside",
    ):
        assert guest.open(path) == -errno.ENOENT, path
        assert guest.call(stat_calls.sys_stat, path, BUFFER) == -errno.ENOENT, path
    assert guest.open(b"up/passwd") >= 0
    assert guest.open(b"abs") >= 0


def test_canonical_text(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    assert text(guest, b"bin") == b"/usr/bin"
    assert text(guest, b"bin/..") == b"/usr"
    assert text(guest, b"/bin/../share/./") == b"/usr/share"
    assert text(guest, b"up/passwd") == b"/etc/passwd"
    assert text(guest, b"/") == text(guest, b"/../..") == b"/"
    assert walk(guest.kernel.mounts, guest.fs, guest.fs.root, b"bin", follow=False).text == b"/bin"


def test_last_component(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)

    def last(path: bytes) -> tuple[bytes, bytes, bool]:
        parent, name, slashes = walk_parent(guest.kernel.mounts, guest.fs, guest.fs.cwd, path)
        return parent.text, name, slashes

    assert last(b"bin/new") == (b"/usr/bin", b"new", False)
    assert last(b"new//") == (b"/", b"new", True)
    assert last(b"/") == (b"/", b"/", False)
    assert last(b"usr/bin/..") == (b"/usr/bin", b"..", False)


def test_chroot_is_a_root(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    guest.cred.cap_effective = 1 << dirs.CAP_SYS_CHROOT
    assert guest.call(dirs.sys_chroot, b"/usr") == 0
    assert guest.call(dirs.sys_chdir, b"/") == 0
    assert guest.call(stat_calls.sys_stat, b"/bin", BUFFER) == 0
    assert guest.call(stat_calls.sys_stat, b"../../etc", BUFFER) == -errno.ENOENT
    assert guest.call(dirs.sys_chdir, b"/share") == 0
    assert guest.call(dirs.sys_getcwd, BUFFER, 100) == 7
    assert guest.mm.read(BUFFER, 7) == b"/share\0"


def test_devices_of_the_host_stay_closed(top: bytes, portable: bool) -> None:
    try:
        os.mknod(top + b"/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only the superuser makes devices")
    guest = Guest(top, portable)
    assert guest.open(b"/null", f.O_RDWR) == -errno.EACCES
    assert guest.call(stat_calls.sys_stat, b"/null", BUFFER) == 0


def test_link_count_limit(top: bytes, portable: bool) -> None:
    for number in range(45):
        os.symlink(b"link%d" % (number + 1), top + b"/link%d" % number)
    os.mkdir(top + b"/link45")
    guest = Guest(top, portable)
    assert guest.call(stat_calls.sys_stat, b"/link5", BUFFER) == 0
    assert guest.call(stat_calls.sys_stat, b"/link4", BUFFER) == -errno.ELOOP


def test_long_names(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    assert guest.call(dirs.sys_mkdir, b"n" * 255, 0o755) == 0
    assert guest.call(dirs.sys_mkdir, b"n" * 256, 0o755) == -errno.ENAMETOOLONG
    assert guest.call(stat_calls.sys_stat, b"usr/" + b"n" * 256 + b"/..", BUFFER) == -errno.ENAMETOOLONG
    assert guest.call(stat_calls.sys_stat, b"./" * 2047 + b".", BUFFER) == 0
    assert guest.call(stat_calls.sys_stat, b"./" * 2048, BUFFER) == -errno.ENAMETOOLONG


# ------------------------------------------------------------------------------- mounts


def with_tmpfs(top: bytes, portable: bool, point: bytes = b"/usr/share", read_only: bool = False) -> Guest:
    guest = Guest(top, portable)
    tmpfs = TmpFs(guest.kernel.arena, guest.kernel.clock.realtime_ns, dev=77)
    guest.kernel.mounts.add(tmpfs.root, point, b"tmpfs", b"tmpfs", read_only)
    return guest


def test_mount_covers_what_is_below(top: bytes, portable: bool) -> None:
    guest = with_tmpfs(top, portable)
    assert guest.call(stat_calls.sys_lstat, b"/usr/share/far", BUFFER) == -errno.ENOENT
    assert guest.open(b"/usr/share/new", f.O_CREAT | f.O_RDWR) >= 0
    assert not os.path.exists(top + b"/usr/share/new")
    assert text(guest, b"/usr/share/../bin") == b"/usr/bin"
    assert guest.listing(b"/usr/share") == [b".", b"..", b"new"]
    assert guest.call(dirs.sys_rename, b"/usr/share/new", b"/etc/new") == -errno.EXDEV
    assert guest.call(dirs.sys_link, b"/usr/share/new", b"/etc/new") == -errno.EXDEV
    assert guest.call(dirs.sys_rmdir, b"/usr/share") == -errno.EBUSY
    assert guest.call(dirs.sys_rename, b"/usr/share", b"/usr/other") == -errno.EBUSY
    assert guest.call(dirs.sys_mkdir, b"/usr/share", 0o755) == -errno.EEXIST


def test_mount_point_need_not_exist(top: bytes, portable: bool) -> None:
    guest = with_tmpfs(top, portable, b"/data/deep/here")
    assert guest.call(dirs.sys_chdir, b"/data/deep/here") == 0
    assert guest.call(dirs.sys_mkdir, b"sub", 0o755) == 0
    assert text(guest, b"sub/../../..") == b"/data"
    assert b"data" in guest.listing(b"/")
    assert guest.listing(b"/").count(b"usr") == 1
    assert guest.listing(b"/data") == [b"deep", b".", b".."]
    assert guest.call(dirs.sys_mkdir, b"/data/new", 0o755) == -errno.EROFS
    assert [mount.point for mount in guest.kernel.mounts.mounts] == [b"/", b"/data/deep/here"]


def test_read_only_mount(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable, read_only=True)
    erofs = -errno.EROFS
    assert guest.open(b"etc/passwd") >= 0
    assert guest.open(b"etc/passwd", f.O_WRONLY) == erofs
    assert guest.open(b"etc/new", f.O_CREAT | f.O_WRONLY) == erofs
    assert guest.open(b"etc/passwd", f.O_CREAT) >= 0
    assert guest.call(dirs.sys_mkdir, b"new", 0o755) == erofs
    assert guest.call(dirs.sys_mkdir, b"etc", 0o755) == -errno.EEXIST
    assert guest.call(dirs.sys_unlink, b"etc/passwd") == erofs
    assert guest.call(dirs.sys_rmdir, b"empty") == erofs
    assert guest.call(dirs.sys_rename, b"etc", b"cte") == erofs
    assert guest.call(dirs.sys_symlink, b"x", b"new") == erofs
    assert guest.call(dirs.sys_link, b"etc/passwd", b"new") == erofs
    assert guest.call(attr.sys_chmod, b"etc", 0o700) == erofs
    assert guest.call(attr.sys_truncate, b"etc/passwd", 0) == erofs
    assert guest.call(attr.sys_utime, b"etc", 0) == erofs
    assert guest.call(stat_calls.sys_access, b"etc", os.W_OK) == erofs
    assert guest.call(stat_calls.sys_access, b"etc", os.R_OK) == 0


# --------------------------------------------------------------------- opening and reading


def test_getdents_matches_the_host(portable: bool) -> None:
    guest = Guest(b"/", portable)
    for path in (b"/usr/bin", b"/etc"):
        assert [name for name in guest.listing(path) if name not in (b".", b"..")] == os.listdir(path)
        assert guest.listing(path)[:0] == []


def test_directory_positions(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    fd = guest.open(b"/", f.O_DIRECTORY)
    size = guest.call(dirs.sys_getdents64, fd, BUFFER, 4096)
    every = list(records(guest.mm.read(BUFFER, size)))
    assert guest.call(dirs.sys_getdents64, fd, BUFFER, 4096) == 0
    directory = guest.files.get(fd)
    for index, (_, offset, _, _) in enumerate(every):
        directory.seek(offset, os.SEEK_SET)
        size = guest.call(dirs.sys_getdents64, fd, BUFFER, 4096)
        assert [r[3] for r in records(guest.mm.read(BUFFER, size))] == [r[3] for r in every[index + 1 :]]
    directory.seek(0, os.SEEK_SET)
    assert guest.call(dirs.sys_getdents64, fd, BUFFER, 8) == -errno.EINVAL
    types = {name: kind for _, _, kind, name in every}
    assert types[b"etc"] == 4
    assert types[b"bin"] == 10
    numbers = {name: ino for ino, _, _, name in every}
    assert numbers[b"etc"] == os.stat(top + b"/etc").st_ino
    assert numbers[b"."] == os.stat(top).st_ino


def test_old_getdents_has_the_type_last(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    fd = guest.open(b"/usr", f.O_DIRECTORY)
    size = guest.call(dirs.sys_getdents, fd, BUFFER, 4096)
    data = guest.mm.read(BUFFER, size)
    found = {}
    start = 0
    while start < size:
        _, _, length = structs.DIRENT.unpack_from(data, start)
        found[data[start + 18 : start + length].partition(b"\0")[0]] = data[start + length - 1]
        start += length
    assert found == {b".": 4, b"..": 4, b"bin": 4, b"share": 4}


def test_removing_while_reading(top: bytes, portable: bool) -> None:
    for number in range(200):
        os.mkdir(top + b"/empty/%03d" % number)
    guest = Guest(top, portable)
    fd = guest.open(b"/empty", f.O_DIRECTORY)
    seen = set()
    while (size := guest.call(dirs.sys_getdents64, fd, BUFFER, 512)) > 0:
        for _, _, _, name in list(records(guest.mm.read(BUFFER, size))):
            if name not in (b".", b".."):
                seen.add(name)
                assert guest.call(dirs.sys_unlinkat, fd, name, paths.AT_REMOVEDIR) == 0
    assert len(seen) == 200
    assert guest.call(dirs.sys_rmdir, b"/empty") == 0


def test_openat2(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    no_xdev, no_magic, no_links, beneath, in_root = 1, 2, 4, 8, 16

    def openat2(path: bytes, resolve: int, flags: int = 0, size: int = 24, start: bytes = b"/usr") -> int:
        guest.mm.write(BUFFER, structs.OPEN_HOW.pack(flags, 0, resolve) + bytes(16))
        dirfd = guest.open(start, f.O_PATH)
        return int(guest.call(open.sys_openat2, dirfd, path, BUFFER, size))

    assert openat2(b"bin", 0) >= 0
    assert openat2(b"../etc", beneath) == -errno.EXDEV
    assert openat2(b"/etc", beneath) == -errno.EXDEV
    assert openat2(b"../bin", in_root) >= 0
    assert openat2(b"/bin", in_root) >= 0
    assert openat2(b"/etc", in_root) == -errno.ENOENT
    assert openat2(b"bin/../share", beneath) >= 0
    assert openat2(b"/bin", no_links, start=b"/") == -errno.ELOOP
    assert openat2(b"/etc/passwd", no_links | no_magic | no_xdev, start=b"/") >= 0
    assert openat2(b"bin", 64) == -errno.EINVAL
    assert openat2(b"bin", beneath | in_root) == -errno.EINVAL
    assert openat2(b"bin", 0, size=20) == -errno.EINVAL
    assert openat2(b"bin", 0, size=32) >= 0
    assert openat2(b"bin", 0, flags=f.O_PATH | f.O_APPEND) == -errno.EINVAL


def test_o_path(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    fd = guest.open(b"/bin", f.O_PATH | f.O_NOFOLLOW)
    assert guest.call(stat_calls.sys_readlinkat, fd, b"", BUFFER, 100) == 7
    assert guest.mm.read(BUFFER, 7) == b"usr/bin"
    assert guest.call(stat_calls.sys_newfstatat, fd, b"", BUFFER, paths.AT_EMPTY_PATH) == 0
    assert guest.call(stat_calls.sys_newfstatat, fd, b"", BUFFER, 0) == -errno.ENOENT
    assert guest.call(attr.sys_fchmod, fd, 0o700) == -errno.EBADF
    assert guest.call(dirs.sys_fchdir, fd) == -errno.ENOTDIR
    fd = guest.open(b"/usr", f.O_PATH)
    assert guest.call(dirs.sys_fchdir, fd) == 0
    assert guest.call(dirs.sys_getdents64, fd, BUFFER, 1000) == -errno.EBADF
    assert guest.call(stat_calls.sys_stat, b"bin", BUFFER) == 0


def test_o_tmpfile(top: bytes) -> None:
    guest = Guest(top, host.PORTABLE)
    fd = guest.open(b"/etc", f.O_TMPFILE | f.O_RDWR)
    if fd == -errno.EOPNOTSUPP:
        pytest.skip("the host's filesystem has no O_TMPFILE")
    assert fd >= 0
    file = guest.files.get(fd)
    assert file.name.startswith(b"/etc/#") and file.name.endswith(b" (deleted)")
    assert file.write([memoryview(bytearray(b"text"))]) == 4
    assert guest.call(dirs.sys_linkat, fd, b"", AT_FDCWD, b"/etc/named", paths.AT_EMPTY_PATH) == 0
    assert HostPath(os.fsdecode(top), "etc/named").read_text() == "text"
    assert guest.open(b"/etc", f.O_TMPFILE) == -errno.EINVAL


def test_fifo_of_the_host(top: bytes, portable: bool) -> None:
    os.mkfifo(top + b"/fifo")
    guest = Guest(top, portable)
    assert guest.open(b"/fifo", f.O_WRONLY | f.O_NONBLOCK) == -errno.ENXIO
    reader = guest.files.get(guest.open(b"/fifo", f.O_RDONLY | f.O_NONBLOCK))
    assert reader.read([memoryview(bytearray(10))]) == 0
    with pytest.raises(OSError):  # the host's own FIFO has no reader
        os.open(top + b"/fifo", os.O_WRONLY | os.O_NONBLOCK)
    writer = guest.files.get(guest.open(b"/fifo", f.O_WRONLY))
    assert writer.write([memoryview(bytearray(b"hello"))]) == 5
    got = bytearray(10)
    assert reader.read([memoryview(got)]) == 5
    assert got[:5] == b"hello"


def test_text_busy_and_writers(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    st_ = os.stat(top + b"/etc/passwd")
    identity = (st_.st_dev, st_.st_ino)
    guest.hostfs.text_busy[identity] = 1
    for flags in (f.O_WRONLY, f.O_RDWR | f.O_TRUNC):
        assert guest.open(b"/etc/passwd", flags) == -errno.ETXTBSY
    assert guest.call(attr.sys_truncate, b"/etc/passwd", 0) == -errno.ETXTBSY
    assert os.stat(top + b"/etc/passwd").st_size
    del guest.hostfs.text_busy[identity]
    fd = guest.open(b"/etc/passwd", f.O_WRONLY)
    assert guest.hostfs.writers == {identity: 1}
    guest.files.close(fd)
    assert guest.hostfs.writers == {}


def test_statx(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    assert guest.call(stat_calls.sys_statx, AT_FDCWD, b"/etc/passwd", 0, 0xFFF, BUFFER) == 0
    mask, _, _, nlink, _, _, mode, ino, size = guest.mm.unpack(structs.STATX, BUFFER)[:9]
    result = os.stat(top + b"/etc/passwd")
    assert mask & 0x7FF == 0x7FF
    assert (nlink, mode, ino, size) == (1, result.st_mode, result.st_ino, result.st_size)
    assert guest.call(stat_calls.sys_statx, AT_FDCWD, b"/", 0, 0x80000000, BUFFER) == -errno.EINVAL


def test_extended_attributes(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    guest.mm.write(BUFFER, b"value")
    code = guest.call(attr.sys_setxattr, b"/etc/passwd", b"user.key", BUFFER, 5, 0)
    if code == -errno.EOPNOTSUPP:
        pytest.skip("the host's filesystem has no extended attributes")
    assert code == 0
    assert guest.call(attr.sys_setxattr, b"/etc/passwd", b"user.key", BUFFER, 5, 1) == -errno.EEXIST
    assert guest.call(attr.sys_getxattr, b"/abs", b"user.key", BUFFER + 64, 100) == 5
    assert guest.mm.read(BUFFER + 64, 5) == b"value"
    assert guest.call(attr.sys_getxattr, b"/abs", b"user.key", BUFFER, 2) == -errno.ERANGE
    assert guest.call(attr.sys_getxattr, b"/abs", b"user.key", 0, 0) == 5
    size = guest.call(attr.sys_listxattr, b"/etc/passwd", BUFFER, 1000)
    assert b"user.key\0" in guest.mm.read(BUFFER, size)
    assert guest.call(attr.sys_removexattr, b"/etc/passwd", b"user.key") == 0
    assert guest.call(attr.sys_getxattr, b"/abs", b"user.key", BUFFER, 100) == -errno.ENODATA


# ---------------------------------------------------------------------- mapped host files


def shown(frames: Arena, frame: int, size: int = 16) -> bytes:
    return bytes(frames.view(frame, size))


def test_pages_follow_writes(top: bytes, portable: bool) -> None:
    path = top + b"/big"
    HostPath(os.fsdecode(path)).write_bytes(b"".join(b"%04d" % n * 1024 for n in range(40)) + b"tail")
    guest = Guest(top, portable)
    frames = guest.kernel.arena
    file = guest.files.get(guest.open(b"/big", f.O_RDWR))
    pages = file.mapping()
    dropped: list[tuple[int, int]] = []
    pages.on_drop[0] = lambda first, count: dropped.append((first, count))
    assert shown(frames, pages.frame(0), 4) == b"0000"
    assert len(pages.pages) == 16  # read ahead
    assert shown(frames, pages.frame(40), 6) == b"tail\0\0"
    with pytest.raises(OSError, match="beyond"):
        pages.frame(41)
    # write(2) is seen through the mapping
    file.pwrite([memoryview(bytearray(b"NEW"))], 4096 * 2 - 1)
    assert shown(frames, pages.frame(2), 4) == b"EW02"
    # a change through the mapping is seen by read(2), and does not make the file longer
    frames.view(pages.frame(40), 8)[:] = b"TAILmore"
    pages.dirty.add(40)
    got = bytearray(10)
    assert file.pread([memoryview(got)], 40 * 4096) == 4
    assert got[:4] == b"TAIL"
    assert not pages.dirty
    # truncation drops pages and clears the rest of the last one
    file.truncate(4096 + 4)
    assert sorted(pages.pages) == [0, 1]
    assert shown(frames, pages.frame(1), 8) == b"0001\0\0\0\0"
    assert dropped and dropped[-1][0] == 2
    # a second opening finds the same pages
    again = guest.files.get(guest.open(b"/big")).mapping()
    assert again is pages


def test_pages_are_dropped_when_the_file_changed_meanwhile(top: bytes, portable: bool) -> None:
    path = HostPath(os.fsdecode(top), "file")
    path.write_bytes(b"first")
    guest = Guest(top, portable)
    frames = guest.kernel.arena
    pages = guest.files.get(guest.open(b"/file")).mapping()
    assert shown(frames, pages.frame(0), 5) == b"first"
    path.write_bytes(b"other")
    os.utime(path, ns=(1, 1))
    pages = guest.files.get(guest.open(b"/file")).mapping()
    assert shown(frames, pages.frame(0), 5) == b"other"


def test_cache_lets_go(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    cache = guest.hostfs.cache
    cache.limit = cache.trigger = 64
    for number in range(20):
        HostPath(os.fsdecode(top), f"f{number}").write_bytes(bytes(16 * 4096))
        pages = guest.files.get(guest.open(b"/f%d" % number)).mapping()
        pages.frame(0)
    del pages
    assert sum(len(p.pages) for p in cache.files.values()) <= 64 + 16
    assert guest.kernel.arena.used <= 64 + 17


def test_many_spans(top: bytes, portable: bool) -> None:
    guest = Guest(top, portable)
    file = guest.files.get(guest.open(b"/many", f.O_CREAT | f.O_RDWR))
    data = bytearray(os.urandom(3000 * 3))
    assert file.write([memoryview(data)[n : n + 3] for n in range(0, len(data), 3)]) == len(data)
    back = bytearray(len(data))
    assert file.pread([memoryview(back)[n : n + 3] for n in range(0, len(back), 3)], 0) == len(back)
    assert back == data


def test_host_flags_match_the_host() -> None:
    for flags in (f.O_RDWR | f.O_APPEND, f.O_WRONLY | f.O_DIRECTORY | f.O_NOATIME, f.O_SYNC | f.O_DIRECT):
        assert hostfile.host_flags(flags) == hostfile._translate(flags) | hostfile._ALWAYS


@pytest.fixture(autouse=True, scope="module")
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_copy_of_a_tree(top: bytes, portable: bool, tmp_path: HostPath) -> None:
    """A whole tree read through the walk equals the host's."""
    shutil.copytree(os.fsdecode(top), tmp_path / "copy", symlinks=True)
    assert guest_tree(Guest(top, portable), b"/.") == tree(os.fsencode(tmp_path / "copy"))

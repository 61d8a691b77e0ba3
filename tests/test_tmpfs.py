"""tmpfs: names and attributes against the host's files, contents against a bytearray, memfds and seals."""

from __future__ import annotations

import errno
import gc
import os
import stat
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pathcalls import AT_FDCWD, BUFFER, Guest, Pair, guest_tree, operations, scratch, tree, working_directory

from emu.arena import Arena
from kernel.cred import CAP_ALL
from syscalls import attr, dirs
from syscalls import open as opening
from syscalls import stat as stat_calls
from vfs import file as f
from vfs import fscred, host
from vfs.file import File
from vfs.node import Node
from vfs.shmem import ShmemFile, ShmemPages
from vfs.tmpfs import MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL, TmpDir, TmpFs

PAGE = 4096

F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC = 1, 2, 4, 8, 16, 32


def new_tmpfs(guest: Guest) -> TmpDir:
    return TmpFs(guest.kernel.arena, guest.kernel.clock.realtime_ns, dev=77, mode=0o755).root


# Permission bits of the host's superuser and of ours agree; another user's are the host's affair
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(operations, min_size=5, max_size=40))
def test_calls_match_the_host(sequence: list[tuple[Any, ...]]) -> None:
    with scratch() as top:
        pair = Pair(top, host.PORTABLE, new_tmpfs)
        with working_directory(pair.here):
            for op, *args in sequence:
                if op in ("rmdir", "rename") and b"TOP" in map(os.path.normpath, args[:2]):
                    continue  # a mount point on our side only
                theirs, ours = pair.do(op, *args)
                assert ours == theirs, (op, args)
        assert guest_tree(pair.guest, pair.there) == tree(pair.here)


# ------------------------------------------------------------------------------- contents

offsets = st.one_of(st.integers(0, 5 * PAGE), st.sampled_from([0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE]))
steps = st.one_of(
    st.tuples(st.just("write"), offsets, st.binary(min_size=1, max_size=64).map(lambda b: b * 97)),
    st.tuples(st.just("read"), offsets, st.integers(1, 3 * PAGE)),
    st.tuples(st.just("truncate"), offsets, st.none()),
    st.tuples(st.just("punch"), offsets, st.integers(1, 3 * PAGE)),
    st.tuples(st.just("map"), offsets, st.binary(min_size=1, max_size=8)),
)


def pieces(data: bytearray) -> list[memoryview]:
    """A buffer in uneven spans, as guest memory may be."""
    view = memoryview(data)
    return [view[:1], view[1:5], view[5:1000], view[1000:]]


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=30))
def test_contents_match_a_bytearray(sequence: list[tuple[str, int, Any]]) -> None:
    frames = Arena(1 << 24)
    file = TmpFs(frames, lambda: 0, dev=1).memfd(b"x", 0)
    pages = file.mapping()
    model = bytearray()
    for op, offset, what in sequence:
        if op == "write":
            assert file.pwrite(pieces(bytearray(what)), offset) == len(what)
            model.extend(bytes(max(0, offset - len(model))))
            model[offset : offset + len(what)] = what
        elif op == "read":
            got = bytearray(what)
            assert file.pread(pieces(got), offset) == len(model[offset : offset + what])
            assert got.rstrip(b"\0") == model[offset : offset + what].rstrip(b"\0")
        elif op == "truncate":
            file.truncate(offset)
            model = model[:offset].ljust(offset, b"\0")
        elif op == "punch":
            file.allocate(3, offset, what)
            gone = len(model[offset : offset + what])
            model[offset : offset + gone] = bytes(gone)
        elif offset < len(model):
            # A store through a mapping, which may reach beyond the end of the file but not past its page
            frame = pages.frame(offset // PAGE)
            inside = offset % PAGE
            what = what[: min(PAGE - inside, len(model) - offset)]
            frames.view(frame + inside, len(what))[:] = what
            model[offset : offset + len(what)] = what
        else:
            end = (len(model) + PAGE - 1) // PAGE * PAGE
            if offset >= end:
                with pytest.raises(OSError, match="beyond"):
                    pages.frame(offset // PAGE)
        assert pages.size() == len(model)
    whole = bytearray(len(model))
    file.pread([memoryview(whole)], 0)
    assert whole == model


def test_memory_goes_back() -> None:
    frames = Arena(1 << 24)
    fs = TmpFs(frames, lambda: 0, dev=1)
    file = fs.memfd(b"x", 0)
    file.write([memoryview(bytearray(b"x" * 10 * PAGE))])
    assert (frames.used, fs.used) == (10, 10)
    file.truncate(3 * PAGE)
    assert (frames.used, fs.used) == (3, 3)
    del file
    assert (frames.used, fs.used) == (0, 0)


def test_shared_anonymous_pages() -> None:
    frames = Arena(1 << 24)
    pages = ShmemPages(frames)
    pages.resize(3 * PAGE)
    told: list[tuple[int, int]] = []
    pages.on_drop[0] = lambda first, count: told.append((first, count))
    assert pages.frame(1) == pages.frame(1)
    with pytest.raises(OSError, match="beyond"):
        pages.frame(3)
    pages.resize(PAGE)
    assert told and told[0][0] == 1
    assert not pages.pages


def test_data_and_holes() -> None:
    file = TmpFs(Arena(1 << 24), lambda: 0, dev=1).memfd(b"x", 0)
    file.truncate(10 * PAGE + 5)
    file.pwrite([memoryview(bytearray(b"x"))], 4 * PAGE + 7)
    assert file.seek(0, f.SEEK_DATA) == 4 * PAGE
    assert file.seek(4 * PAGE + 9, f.SEEK_DATA) == 4 * PAGE + 9
    assert file.seek(0, f.SEEK_HOLE) == 0
    assert file.seek(4 * PAGE + 1, f.SEEK_HOLE) == 5 * PAGE
    assert refused(file.seek, 5 * PAGE, f.SEEK_DATA) == errno.ENXIO
    assert refused(file.seek, 11 * PAGE, f.SEEK_HOLE) == errno.ENXIO
    assert file.seek(-5, f.SEEK_END) == 10 * PAGE
    assert refused(file.seek, -1, f.SEEK_SET) == errno.EINVAL


def refused(function: Any, *args: Any) -> int | None:
    with pytest.raises(OSError) as caught:
        function(*args)
    return caught.value.errno


def test_size_limit() -> None:
    frames = Arena(1 << 24)
    fs = TmpFs(frames, lambda: 0, dev=1, size=4 * PAGE)
    file = fs.root.create(b"a", 0o644, f.O_RDWR, b"/a")
    assert file.write([memoryview(bytearray(6 * PAGE))]) == 4 * PAGE
    assert refused(file.write, [memoryview(bytearray(1))]) == errno.ENOSPC
    assert refused(file.allocate, 0, 0, 5 * PAGE) == errno.ENOSPC
    st_ = fs.root.statfs()
    assert (st_.f_blocks, st_.f_bfree) == (4, 0)
    fs.root.unlink(b"a")
    assert fs.used == 4  # still open
    del file
    gc.collect()  # tracebacks of the errors above
    assert fs.used == 0


def test_memory_limit_is_a_short_write() -> None:
    file = TmpFs(Arena(3 * PAGE), lambda: 0, dev=1).memfd(b"x", 0)
    assert file.write([memoryview(bytearray(b"y" * 5 * PAGE))]) == 3 * PAGE
    assert refused(file.write, [memoryview(bytearray(1))]) == errno.ENOMEM


# ---------------------------------------------------------------------------------- memfd


def memfd(flags: int = MFD_ALLOW_SEALING) -> ShmemFile:
    return TmpFs(Arena(1 << 24), lambda: 0, dev=1).memfd(b"name", flags)


def test_memfd_looks_like_linux_s() -> None:
    file = memfd()
    assert file.name == b"/memfd:name (deleted)"
    found = file.stat()
    assert stat.S_IFMT(found.st_mode) == stat.S_IFREG
    assert (found.st_mode & 0o7777, found.st_nlink, found.st_size) == (0o777, 0, 0)
    assert memfd(MFD_NOEXEC_SEAL).stat().st_mode & 0o7777 == 0o666


def test_seals() -> None:
    file = memfd()
    file.write([memoryview(bytearray(b"contents"))])
    assert file.seals() == 0
    file.add_seals(F_SEAL_SHRINK)
    assert refused(file.truncate, 4) == errno.EPERM
    file.truncate(100)
    file.add_seals(F_SEAL_GROW)
    assert refused(file.truncate, 200) == errno.EPERM
    assert refused(file.pwrite, [memoryview(bytearray(10))], 95) == errno.EPERM
    assert file.pwrite([memoryview(bytearray(5))], 95) == 5
    file.mapping().writable_maps = 1
    assert refused(file.add_seals, F_SEAL_WRITE) == errno.EBUSY
    file.add_seals(F_SEAL_FUTURE_WRITE)
    file.mapping().writable_maps = 0
    assert refused(file.write, [memoryview(bytearray(1))]) == errno.EPERM
    assert refused(file.allocate, 3, 0, 50) == errno.EPERM
    assert refused(file.write_sealed, 3) == errno.EPERM
    assert file.write_sealed(1) == 2
    file.add_seals(F_SEAL_SEAL)
    assert refused(file.add_seals, F_SEAL_WRITE) == errno.EPERM
    assert file.seals() == F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE


def test_seals_need_permission() -> None:
    assert memfd(0).seals() == F_SEAL_SEAL
    assert memfd(MFD_NOEXEC_SEAL).seals() == F_SEAL_EXEC
    file = memfd()
    assert refused(file.add_seals, 64) == errno.EINVAL
    assert refused(ShmemFile(file.node, f.O_RDONLY, b"").add_seals, F_SEAL_GROW) == errno.EPERM


# -------------------------------------------------------------------------- through calls


@pytest.fixture
def guest() -> Guest:
    guest = Guest(b"/", host.PORTABLE)
    guest.kernel.mounts.add(new_tmpfs(guest), b"/shm", b"tmpfs")
    assert guest.call(dirs.sys_chdir, b"/shm") == 0
    return guest


def as_user(guest: Guest, uid: int) -> None:
    cred = guest.cred
    cred.uid = cred.euid = cred.suid = cred.fsuid = cred.gid = cred.egid = cred.fsgid = uid
    cred.cap_effective = cred.cap_permitted = 0 if uid else CAP_ALL
    fscred.override_creds(cred)


def test_rights_of_another_user(guest: Guest) -> None:
    as_user(guest, 0)
    for name, mode in ((b"open", 0o777), (b"sticky", 0o1777), (b"closed", 0o700), (b"group", 0o2777)):
        guest.call(dirs.sys_mkdir, name, 0o777)
        guest.call(attr.sys_chmod, name, mode)
    guest.open(b"sticky/root", f.O_CREAT)
    guest.open(b"open/root", f.O_CREAT | f.O_WRONLY, 0o600)
    as_user(guest, 1000)
    assert guest.open(b"closed/x") == -errno.EACCES
    assert guest.open(b"open/root") == -errno.EACCES
    assert guest.open(b"new", f.O_CREAT) == -errno.EACCES
    assert guest.call(dirs.sys_unlink, b"sticky/root") == -errno.EPERM
    assert guest.call(dirs.sys_rename, b"sticky/root", b"sticky/mine") == -errno.EPERM
    assert guest.call(dirs.sys_unlink, b"open/root") == 0
    assert guest.call(attr.sys_chmod, b"sticky/root", 0o777) == -errno.EPERM
    assert guest.call(attr.sys_chown, b"sticky/root", 1000, 1000) == -errno.EPERM
    assert guest.call(dirs.sys_chdir, b"closed") == -errno.EACCES
    assert guest.call(stat_calls.sys_access, b"closed", os.R_OK) == -errno.EACCES
    assert guest.open(b"group/file", f.O_CREAT) >= 0
    found = guest.kernel.mounts.at(b"/shm/group").node.lookup(b"file").stat()
    assert (found.st_uid, found.st_gid) == (1000, 0)
    assert guest.call(dirs.sys_mkdir, b"group/dir", 0o755) == 0
    assert guest.kernel.mounts.at(b"/shm/group/dir").node.stat().st_mode & 0o2000


def test_exchange(guest: Guest) -> None:
    guest.call(dirs.sys_mkdir, b"dir", 0o755)
    guest.call(dirs.sys_mkdir, b"dir/below", 0o755)
    guest.open(b"file", f.O_CREAT)
    assert guest.call(dirs.sys_renameat2, AT_FDCWD, b"dir", AT_FDCWD, b"dir/below", 2) == -errno.EINVAL
    assert guest.call(dirs.sys_renameat2, AT_FDCWD, b"file", AT_FDCWD, b"dir/below", 2) == 0
    root = guest.kernel.mounts.at(b"/shm").node
    assert isinstance(root.lookup(b"file"), TmpDir)
    assert root.stat().st_nlink == 4
    assert root.lookup(b"dir").stat().st_nlink == 2
    assert root.lookup(b"dir").lookup(b"below").kind() == stat.S_IFREG


def test_unnamed_files(guest: Guest) -> None:
    fd = guest.open(b".", f.O_TMPFILE | f.O_RDWR, 0o600)
    assert guest.files.get(fd).stat().st_nlink == 0
    assert guest.call(dirs.sys_linkat, fd, b"", AT_FDCWD, b"named", 0x1000) == 0
    assert guest.files.get(fd).stat().st_nlink == 1
    fd = guest.open(b".", f.O_TMPFILE | f.O_RDWR | f.O_EXCL, 0o600)
    assert guest.call(dirs.sys_linkat, fd, b"", AT_FDCWD, b"never", 0x1000) == -errno.ENOENT


def test_extended_attributes(guest: Guest) -> None:
    guest.open(b"file", f.O_CREAT)
    guest.call(dirs.sys_symlink, b"file", b"link")
    guest.mm.write(BUFFER, b"value")
    assert guest.call(attr.sys_setxattr, b"file", b"user.a", BUFFER, 5, 2) == -errno.ENODATA
    assert guest.call(attr.sys_setxattr, b"link", b"user.a", BUFFER, 5, 0) == 0
    assert guest.call(attr.sys_setxattr, b"link", b"user.a", BUFFER, 5, 1) == -errno.EEXIST
    assert guest.call(attr.sys_lsetxattr, b"link", b"user.a", BUFFER, 5, 0) == -errno.EPERM
    assert guest.call(attr.sys_setxattr, b"file", b"other.a", BUFFER, 5, 0) == -errno.EOPNOTSUPP
    assert guest.call(attr.sys_getxattr, b"file", b"user.a", BUFFER, 100) == 5
    assert guest.call(attr.sys_listxattr, b"file", BUFFER, 100) == 7
    assert guest.call(attr.sys_removexattr, b"file", b"user.a") == 0
    assert guest.call(attr.sys_listxattr, b"file", BUFFER, 100) == 0


def test_fifo(guest: Guest) -> None:
    assert guest.call(dirs.sys_mknod, b"fifo", stat.S_IFIFO | 0o600, 0) == 0
    assert guest.open(b"fifo", f.O_WRONLY | f.O_NONBLOCK) == -errno.ENXIO
    reader = guest.files.get(guest.open(b"fifo", f.O_RDONLY | f.O_NONBLOCK))
    writer = guest.files.get(guest.open(b"fifo", f.O_WRONLY | f.O_NONBLOCK))
    writer.write([memoryview(bytearray(b"through"))])
    got = bytearray(7)
    assert reader.read([memoryview(got)]) == 7
    assert got == b"through"


def test_removed_directory(guest: Guest) -> None:
    guest.call(dirs.sys_mkdir, b"gone", 0o755)
    guest.call(dirs.sys_chdir, b"gone")
    assert guest.call(dirs.sys_rmdir, b"/shm/gone") == 0
    assert guest.call(dirs.sys_getcwd, BUFFER, 100) == -errno.ENOENT
    assert guest.open(b"new", f.O_CREAT) == -errno.ENOENT
    assert guest.call(dirs.sys_mkdir, b"new", 0o755) == -errno.ENOENT
    assert guest.call(stat_calls.sys_stat, b".", BUFFER) == 0


def test_times(guest: Guest) -> None:
    fd = guest.open(b"file", f.O_CREAT | f.O_RDWR)
    file: File = guest.files.get(fd)
    node: Node = file.node
    node.utime(1, 2)
    assert (node.stat().st_atime_ns, node.stat().st_mtime_ns) == (1, 2)
    node.utime(None, 5)
    assert (node.stat().st_atime_ns, node.stat().st_mtime_ns) == (1, 5)
    file.write([memoryview(bytearray(b"x"))])
    assert node.stat().st_mtime_ns > 5
    assert node.birth()[0] is not None


def test_memfd_create(guest: Guest) -> None:
    guest.kernel.shm = TmpFs(guest.kernel.arena, lambda: 0, dev=1)
    fd = guest.call(opening.sys_memfd_create, b"n" * 249, 1)
    assert guest.files.get(fd).name == b"/memfd:" + b"n" * 249 + b" (deleted)"
    assert guest.files.cloexec(fd)
    assert guest.call(opening.sys_memfd_create, b"n" * 250, 1) == -errno.EINVAL
    assert guest.call(opening.sys_memfd_create, b"n", 0x100) == -errno.EINVAL

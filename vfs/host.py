"""What the filesystem needs from the host beyond Python's `os`, each with a portable fallback.

Linux gives openat2(2) (one call walks many components and refuses symbolic links), getdents64(2) in
the guest's own format, renameat2(2), statx(2) birth times and fallocate(2).  Elsewhere, or with
LXRUN_HOST=portable, callers see `PORTABLE` set or a function here do the next best thing.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import os
import sys
from typing import Any

O_PATH: int = getattr(os, "O_PATH", 0)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
O_NOCTTY: int = getattr(os, "O_NOCTTY", 0)

_LINUX = sys.platform == "linux"
_SYS_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_SYMLINKS = 0x04
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800

if _LINUX:
    _libc = ctypes.CDLL(None, use_errno=True)
    _syscall = _libc.syscall
    _syscall.restype = ctypes.c_long
    _syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]

# struct open_how: flags, mode, resolve.  Kept from call to call, since there is one kernel thread.
_how = (ctypes.c_uint64 * 3)(0, 0, _RESOLVE_NO_SYMLINKS)
_how_address = ctypes.addressof(_how)
_walk_how = (ctypes.c_uint64 * 3)(O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, _RESOLVE_NO_SYMLINKS)
_walk_address = ctypes.addressof(_walk_how)

get_errno = ctypes.get_errno


def walk_beneath(fd: int, path: bytes) -> int:
    """An O_PATH descriptor for a relative path without ".." on which no component but the last may be
    a symbolic link.  -1 on error, with `get_errno()` telling which; ELOOP: a link is in the way."""
    return int(_syscall(_SYS_OPENAT2, fd, path, _walk_address, 24))


def open_beneath(fd: int, path: bytes, flags: int, mode: int) -> int:
    """openat2(2) of such a path, on which no component at all may be a symbolic link; -1 on error."""
    _how[0] = flags | O_CLOEXEC  # and not O_NOFOLLOW: with O_DIRECTORY it makes ENOTDIR of the link's ELOOP
    _how[1] = mode
    return int(_syscall(_SYS_OPENAT2, fd, path, _how_address, 24))


def _probe() -> bool:
    """Whether this host walks with openat2 and reopens descriptors through /proc."""
    if not _LINUX or os.environ.get("LXRUN_HOST") == "portable":
        return False
    root = os.open(b"/", O_PATH | O_CLOEXEC)
    try:
        fd = walk_beneath(root, b"proc/self/fd/..")
        if fd < 0:
            # /proc/self is a link, so that success is never expected: ENOSYS or EPERM is a sandbox's no
            return get_errno() == errno.ELOOP and os.path.isdir(b"/proc/self/fd")
        os.close(fd)
        return False
    finally:
        os.close(root)


PORTABLE = not _probe()


def by_fd(fd: int) -> bytes:
    """A host path that leads to what a descriptor refers to, even if it was opened with O_PATH."""
    return b"/proc/self/fd/%d" % fd


def prepare() -> None:
    """Make the process fit to serve guests: no umask of its own (the guest's is applied instead) and
    as many descriptors as the host allows."""
    os.umask(0)
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            pass  # some hosts name a hard limit they do not grant


# Whose rights the host checks

_setfsuid = getattr(_libc, "setfsuid", None) if _LINUX else None
_setfsgid = getattr(_libc, "setfsgid", None) if _LINUX else None
CAN_ASSUME = _setfsuid is not None and _setfsgid is not None and os.geteuid() == 0
"""Whether the host lets us act on files as any user: only for a root lxrun is there anything to give up."""

# What of our capabilities a guest must have itself before the host uses it on files for it: CAP_CHOWN to
# CAP_FSETID, CAP_LINUX_IMMUTABLE, SYS_ADMIN, SYS_RESOURCE, MKNOD, LEASE, SETFCAP and MAC_OVERRIDE.
_GOVERNED = 0x1F | 1 << 9 | 1 << 21 | 1 << 24 | 1 << 27 | 1 << 28 | 1 << 31 | 1 << 32
ALL_CAPABILITIES = (1 << 41) - 1
_cap_header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
_cap_data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; and their upper halves


def _permitted_capabilities() -> int:
    """Those we have, and may therefore put into effect; all or none where the host has no capabilities."""
    if CAN_ASSUME and _libc.capget(_cap_header, _cap_data) == 0:
        return int(_cap_data[1] | _cap_data[4] << 32)
    return 0 if hasattr(os, "geteuid") and os.geteuid() else ALL_CAPABILITIES


OWN = (os.geteuid(), os.getegid(), _permitted_capabilities()) if hasattr(os, "geteuid") else (0, 0, ALL_CAPABILITIES)
"""User, group and capabilities of lxrun itself."""
_assumed = OWN
_import = builtins.__import__


def _import_as_ourselves(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """`import` while the host checks a guest's rights: lxrun's own files are not the guest's to read."""
    module = sys.modules.get(name)
    if module is not None and not level and all(hasattr(module, wanted) for wanted in fromlist or ()):
        return _import(name, globals, locals, fromlist, level)
    before = _assumed
    assume(OWN[0], OWN[1], None, OWN[2])
    try:
        return _import(name, globals, locals, fromlist, level)
    finally:
        assume(before[0], before[1], None, before[2])


def assume(uid: int, gid: int, groups: tuple[int, ...] | None, capabilities: int) -> None:
    """Have the host check file access, and own new files, as this user (setfsuid(2)), with no more
    capabilities than these.  Only where `CAN_ASSUME`; `vfs.fscred` decides who it is.

    A guest of a root lxrun that has given up root must not keep root's rights on the host's files.
    `groups` are the supplementary groups, None for those it has.
    """
    global _assumed
    assert _setfsuid is not None and _setfsgid is not None
    if groups is not None:
        os.setgroups(groups)
    wanted = uid, gid, (capabilities | ~_GOVERNED) & OWN[2]
    if wanted == _assumed:
        return
    builtins.__import__ = _import if wanted == OWN else _import_as_ourselves
    _setfsgid(ctypes.c_uint32(gid))
    _setfsuid(ctypes.c_uint32(uid))  # changes what is in effect by rules of its own, so that comes after
    _cap_data[0], _cap_data[3] = wanted[2] & 0xFFFFFFFF, wanted[2] >> 32
    if _libc.capset(_cap_header, _cap_data) < 0:
        raise_errno()
    _assumed = wanted


_protections: dict[str, int] = {}


def protected(what: str) -> int:
    """The host's fs.protected_`what` (proc_sys_fs(5)): it watches over its own files with it."""
    if what not in _protections:
        try:
            with open(f"/proc/sys/fs/protected_{what}", encoding="ascii") as file:
                _protections[what] = int(file.read())
        except (OSError, ValueError):
            _protections[what] = 0
    return _protections[what]


# Directories

_getdents64 = getattr(_libc, "getdents64", None) if _LINUX and not PORTABLE else None
HAS_GETDENTS = _getdents64 is not None
if _getdents64 is not None:
    _getdents64.restype = ctypes.c_ssize_t
    _getdents64.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]

DENTS_MAX = 1 << 16  # bytes of records fetched at once
_dents = bytearray(DENTS_MAX)
_dents_address = ctypes.addressof(ctypes.c_char.from_buffer(_dents))
_dents_view = memoryview(_dents)


def getdents64(fd: int, size: int) -> memoryview:
    """getdents64(2): the host's records, in a buffer that lives until the next call."""
    assert _getdents64 is not None
    count = _getdents64(fd, _dents_address, min(size, DENTS_MAX))
    if count < 0:
        raise_errno()
    return _dents_view[:count]


# Calls that Python does not have


def raise_errno() -> None:
    """Raise the error of the libc call just made."""
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def rename(old_fd: int, old: bytes, new_fd: int, new: bytes, flags: int) -> None:
    """renameat2(2).  Without host support, flags other than 0 give EINVAL, as a filesystem that does not
    know them does."""
    if not flags:
        os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
        return
    function = getattr(_libc, "renameat2", None) if not PORTABLE else None
    if function is None:
        raise OSError(errno.EINVAL, "flags not supported by the host")
    if function(old_fd, ctypes.c_char_p(old), new_fd, ctypes.c_char_p(new), ctypes.c_uint(flags)) < 0:
        raise_errno()


def fallocate(fd: int, mode: int, offset: int, size: int) -> None:
    """fallocate(2).  Without host support only mode 0 works."""
    if mode == 0 and PORTABLE:
        if not hasattr(os, "posix_fallocate"):
            raise OSError(errno.EOPNOTSUPP, "not supported by the host")
        os.posix_fallocate(fd, offset, size)
        return
    function = getattr(_libc, "fallocate", None) if not PORTABLE else None
    if function is None:
        raise OSError(errno.EOPNOTSUPP, "not supported by the host")
    if function(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(size)) < 0:
        raise_errno()


def statfs_type(fd: int) -> int:
    """f_type of fstatfs(2), which os.fstatvfs leaves out; ext4's number where the host has none."""
    if not PORTABLE:
        buffer = (ctypes.c_uint64 * 32)()
        if _libc.fstatfs(fd, buffer) == 0:
            return int(buffer[0])
    return 0xEF53


class _StatxTimestamp(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_int64), ("tv_nsec", ctypes.c_uint32), ("pad", ctypes.c_int32))


class _Statx(ctypes.Structure):
    _fields_ = (
        ("mask", ctypes.c_uint32),
        ("blksize", ctypes.c_uint32),
        ("attributes", ctypes.c_uint64),
        ("before_times", ctypes.c_uint8 * 40),
        ("attributes_mask", ctypes.c_uint64),
        ("atime", _StatxTimestamp),
        ("btime", _StatxTimestamp),
        ("rest", ctypes.c_uint8 * 160),
    )


def birth(fd: int) -> tuple[int | None, int, int]:
    """What statx(2) knows of an open descriptor and stat(2) does not: birth time in nanoseconds (None:
    unknown), attributes, and which attributes the filesystem reports."""
    function = getattr(_libc, "statx", None) if not PORTABLE else None
    if function is None:
        return None, 0, 0
    buffer = _Statx()
    if function(fd, ctypes.c_char_p(b""), _AT_EMPTY_PATH, _STATX_BTIME, ctypes.byref(buffer)) < 0:
        return None, 0, 0
    born = buffer.btime.tv_sec * 1_000_000_000 + buffer.btime.tv_nsec if buffer.mask & _STATX_BTIME else None
    return born, buffer.attributes, buffer.attributes_mask


def described_mount(path: bytes) -> tuple[bytes, bytes]:
    """Type and source of the host filesystem that `path`, a real path, lies in, as /proc/mounts names
    them; a plausible answer where the host does not say."""
    best, found = -1, (b"ext4", b"/dev/root")
    try:
        with open("/proc/self/mounts", "rb") as table:
            lines = table.read().splitlines()
    except OSError:
        return found
    for line in lines:
        source, point, fstype = line.split(b" ", 3)[:3]
        if b"\\" in point:
            point = point.decode("unicode_escape").encode("latin-1")
        if len(point) >= best and (path == point or path.startswith(point.rstrip(b"/") + b"/")):
            best, found = len(point), (fstype, source)
    return found

"""Files whose owners and modes are kept aside: for a guest's root where lxrun is not the host's.

What a user who is not root cannot give a file, another owner, set-ID bits, a type that only root makes, is
kept in an extended attribute of it, `user.containers.override_stat`, which containers/storage, fuse-overlayfs and
podman share: "uid:gid:mode:type", the mode in octal, the type one of file, dir, symlink, pipe, socket,
block-MAJOR-MINOR, char-MAJOR-MINOR.  A file without it belongs to whom the host says, and what is ours on the host
belongs to root.

So the host's checks are those for whoever runs lxrun, and Linux's rules for the guest are applied here, as to a
file system in memory.  On the host directories and files stay accessible for their owner, whatever the guest made of
their modes.  Special files are empty regular ones on the host.

Differs from Linux: the owner of a symbolic link, which can have no such attribute, is forgotten at the end of the run.
"""

from __future__ import annotations

import errno
import os
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from vfs import fscred, host
from vfs.file import O_CREAT, O_EXCL, O_TRUNC, File
from vfs.hostfile import HostDir, HostFile, host_flags, opened
from vfs.hostfs import HostFs, HostNode
from vfs.node import Node, Stat, StatFs

if TYPE_CHECKING:
    from vfs.pages import Identity, Spans

XATTR = "user.containers.override_stat"
_XATTR_BYTES = XATTR.encode()
_TYPES = {S_IFREG: b"file", S_IFDIR: b"dir", S_IFLNK: b"symlink", S_IFIFO: b"pipe", S_IFSOCK: b"socket"}
_KINDS = {name: kind for kind, name in _TYPES.items()} | {b"char": S_IFCHR, b"block": S_IFBLK}
_LISTS = b"system."
_ID_MAX = 0xFFFF_FFFE
_LINKS_MAX = 1 << 16  # symbolic links whose owners are remembered
_ST_NOSUID, _ST_NODEV = 2, 4
_DIRENT = Struct("<QqHB")
_RENAME_EXCHANGE = 2


class Kept(NamedTuple):
    """What the attribute says: owner, permission bits, type (S_IFMT bits, 0 if it does not say) and device."""

    uid: int
    gid: int
    mode: int
    kind: int = 0
    rdev: int = 0


def parse(text: bytes) -> Kept | None:
    """The attribute's value; None if it is none."""
    parts = text.split(b":")
    try:
        uid, gid, mode = int(parts[0]), int(parts[1]), int(parts[2], 8)
        if not (0 <= uid <= _ID_MAX and 0 <= gid <= _ID_MAX and 0 <= mode <= 0o177777):
            return None
        kind, rdev = S_IFMT(mode), 0
        if len(parts) > 3:
            name, *device = parts[3].split(b"-")
            kind = _KINDS[name]
            if device:
                rdev = os.makedev(int(device[0]), int(device[1]))
    except (ValueError, IndexError, KeyError, OverflowError):
        return None
    return Kept(uid, gid, mode & 0o7777, kind, rdev)


def text(kept: Kept) -> bytes:
    """What containers/storage would write."""
    kind = _TYPES.get(kept.kind)
    if kind is None:
        name = b"char" if kept.kind == S_IFCHR else b"block"
        kind = b"%s-%d-%d" % (name, os.major(kept.rdev), os.minor(kept.rdev))
    return b"%d:%d:%04o:%s" % (kept.uid, kept.gid, kept.mode, kind)


def look(place: bytes) -> Kept | None:
    """What is kept at a path of the host."""
    try:
        return parse(os.getxattr(place, XATTR))
    except OSError:
        return None


class OverrideNode(HostNode):
    """An inode of the host with what is kept of it."""

    __slots__ = ()

    fs: OverrideFs
    checks_access = False

    def kept(self, st: os.stat_result) -> Kept:
        """Owner, mode, type and device as the guest sees them."""
        fs = self.fs
        kind = S_IFMT(st.st_mode)
        uid = 0 if st.st_uid == fs.uid else st.st_uid
        gid = 0 if st.st_gid == fs.gid else st.st_gid
        native = Kept(uid, gid, st.st_mode & 0o7777, kind, st.st_rdev)
        if kind == S_IFLNK:
            uid, gid = fs.link_owners.get((st.st_dev, st.st_ino), (uid, gid))
            return native._replace(uid=uid, gid=gid)
        found = look(host.by_fd(self.fd)) if kind in (S_IFREG, S_IFDIR) else None
        if found is None:
            return native
        if kind == S_IFREG and found.kind in (S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK):
            return found
        return found._replace(kind=kind, rdev=0)

    def stat(self) -> Stat:  # type: ignore[override]
        st = super().stat()
        kept = self.kept(st)
        return Stat(
            kept.kind | kept.mode,
            st.st_ino,
            st.st_dev,
            st.st_nlink,
            kept.uid,
            kept.gid,
            kept.rdev,
            st.st_size,
            st.st_blksize,
            st.st_blocks,
            st.st_atime_ns,
            st.st_mtime_ns,
            st.st_ctime_ns,
        )

    def kind(self) -> int:
        found = self.format
        if not found:
            found = self.format = self.kept(super().stat()).kind
        return found

    def keep(self, wanted: Kept) -> None:
        """Give the inode this owner, mode and type: as far as the host can be told, and the rest in the attribute."""
        st = super().stat()
        kind = S_IFMT(st.st_mode)
        if kind == S_IFLNK:
            self.fs.link_owners[self.identity()] = wanted.uid, wanted.gid
            if len(self.fs.link_owners) > _LINKS_MAX:
                self.fs.link_owners.pop(next(iter(self.fs.link_owners)))
            return
        place = host.by_fd(self.fd)
        mode = wanted.mode & 0o777 | (0o700 if kind == S_IFDIR else 0o600)
        if st.st_mode & 0o7777 != mode:
            os.chmod(place, mode)
        uid = 0 if st.st_uid == self.fs.uid else st.st_uid
        gid = 0 if st.st_gid == self.fs.gid else st.st_gid
        if (uid, gid, mode, kind) != (wanted.uid, wanted.gid, wanted.mode, wanted.kind):
            try:
                os.setxattr(place, XATTR, text(wanted))
            except OSError as error:
                if error.errno == errno.EOPNOTSUPP:
                    raise OSError(errno.EPERM, "the host's file system keeps no attributes") from None
                raise
        elif look(place) is not None:
            os.removexattr(place, XATTR)

    def adopt(self) -> bool:
        """A file of ours that its own mode keeps us from: the guest's rules are to count, so that is kept aside."""
        st = super().stat()
        if st.st_uid != self.fs.uid or S_IFMT(st.st_mode) not in (S_IFREG, S_IFDIR):
            return False
        os.chmod(host.by_fd(self.fd), st.st_mode & 0o777 | 0o700)
        self.keep(self.kept(st))
        return True

    # Short cuts: only for those who may search every directory

    def descend(self, rel: bytes, follow: bool) -> Node | None:
        if not rel:
            return self
        if not fscred.capable(fscred.CAP_DAC_READ_SEARCH) and not fscred.capable(fscred.CAP_DAC_OVERRIDE):
            return None
        try:
            return super().descend(rel, follow)
        except PermissionError:
            return None

    def stat_at(self, rel: bytes, follow: bool) -> Stat | None:  # type: ignore[override]
        node = self.descend(rel, follow)
        return node.stat() if isinstance(node, OverrideNode) and not (follow and node.kind() == S_IFLNK) else None

    def open_at(self, rel: bytes, flags: int, mode: int, text: bytes) -> File | None:
        return None

    # Opening

    def host_access(self, mode: int) -> bool:
        return True  # whoever may open it has been asked

    def access(self, mode: int) -> None:
        st = self.stat()
        if mode & fscred.W_OK and self.statvfs().f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, "read-only filesystem")
        fscred.permission(st.st_mode, st.st_uid, st.st_gid, mode)

    def reopened(self, flags: int) -> HostNode:
        try:
            return super().reopened(flags)
        except PermissionError:
            if not self.adopt():
                raise
            return super().reopened(flags)

    def lookup(self, name: bytes) -> HostNode:
        try:
            return super().lookup(name)
        except PermissionError:
            if not self.adopt():
                raise
            return super().lookup(name)

    # Making

    def _new(self, mode: int) -> Kept:
        """Who owns what is made here, and with which mode."""
        here = self.stat()
        gid, mode = fscred.new_group(here.st_mode, here.st_gid, mode)
        return Kept(fscred.current.fsuid, gid, mode & 0o7777, S_IFMT(mode))

    def create(self, name: bytes, mode: int, flags: int, path: bytes) -> File:
        kept = self._new(S_IFREG | mode)
        flags_there = host_flags(flags | O_CREAT | O_EXCL) | host.O_NOFOLLOW
        node = self.fs.node(self.fs, os.open(name, flags_there, kept.mode & 0o777 | 0o600, dir_fd=self.fd))
        self._keep_new(node, kept, name)
        return opened(node, flags & ~O_TRUNC, path)

    def _keep_new(self, node: HostNode, kept: Kept, name: bytes) -> None:
        """What has just been made here gets its owner, or goes again."""
        assert isinstance(node, OverrideNode)
        try:
            node.keep(kept)
        except OSError:
            (os.rmdir if kept.kind == S_IFDIR else os.unlink)(name, dir_fd=self.fd)
            raise

    def tmpfile(self, mode: int, flags: int, path: bytes) -> File:
        kept = self._new(S_IFREG | mode)
        file = super().tmpfile(kept.mode & 0o777 | 0o600, flags, path)
        assert isinstance(file.node, OverrideNode)
        file.node.keep(kept)
        return file

    def mkdir(self, name: bytes, mode: int) -> None:
        kept = self._new(S_IFDIR | mode)
        os.mkdir(name, kept.mode & 0o777 | 0o700, dir_fd=self.fd)
        self._keep_new(self.lookup(name), kept, name)

    def mknod(self, name: bytes, mode: int, dev: int) -> None:
        kept = self._new(mode)
        if kept.kind in (S_IFCHR, S_IFBLK):
            kept = kept._replace(rdev=dev)
        flags = os.O_CREAT | os.O_EXCL | host.O_NOFOLLOW | host.O_CLOEXEC
        os.close(os.open(name, flags, kept.mode & 0o777 | 0o600, dir_fd=self.fd))
        self._keep_new(self.lookup(name), kept, name)

    def symlink(self, name: bytes, target: bytes) -> None:
        kept = self._new(S_IFLNK | 0o777)
        super().symlink(name, target)
        if kept.uid or kept.gid:
            self._keep_new(self.lookup(name), kept, name)

    # Removing and moving

    def _may_remove(self, name: bytes) -> Stat:
        node = self.lookup(name)
        assert isinstance(node, OverrideNode)
        here, there = self.stat(), node.stat()
        fscred.check_sticky(here.st_mode, here.st_uid, there.st_uid)
        return there

    def unlink(self, name: bytes) -> None:
        there = self._may_remove(name)
        super().unlink(name)
        if S_IFMT(there.st_mode) == S_IFLNK:
            self.fs.link_owners.pop((there.st_dev, there.st_ino), None)

    def rmdir(self, name: bytes) -> None:
        self._may_remove(name)
        super().rmdir(name)

    def rename(self, name: bytes, to: Node, new_name: bytes, flags: int) -> None:
        if isinstance(to, OverrideNode):
            moves = [self._may_remove(name)]
            try:
                replaced = to._may_remove(new_name)
            except FileNotFoundError:
                pass
            else:
                if flags & _RENAME_EXCHANGE:
                    moves.append(replaced)
            if self.identity() != to.identity():
                for st in moves:  # its ".." changes
                    if S_IFMT(st.st_mode) == S_IFDIR:
                        fscred.permission(st.st_mode, st.st_uid, st.st_gid, fscred.W_OK)
        super().rename(name, to, new_name, flags)

    # Attributes

    def chmod(self, mode: int) -> None:
        if self.kind() == S_IFLNK:
            raise OSError(errno.EOPNOTSUPP, "symbolic links have no mode")
        kept = self.kept(super().stat())
        if not fscred.owner_or_capable(kept.uid):
            raise OSError(errno.EPERM, "not the owner")
        self.keep(kept._replace(mode=fscred.chmod_mode(mode, kept.gid)))

    def chown(self, uid: int, gid: int) -> None:
        kept = self.kept(super().stat())
        fscred.may_chown(kept.uid, kept.gid, uid, gid)
        mode = kept.mode if kept.kind in (S_IFDIR, S_IFLNK) else fscred.chown_mode(kept.mode, kept.uid)
        self.keep(kept._replace(uid=kept.uid if uid == -1 else uid, gid=kept.gid if gid == -1 else gid, mode=mode))

    def written(self) -> None:
        """file_remove_privs: somebody wrote to the file."""
        kept = self.kept(super().stat())
        mode = fscred.written_mode(kept.mode, kept.gid)
        if mode != kept.mode:
            self.keep(kept._replace(mode=mode))

    def truncate(self, size: int) -> None:
        super().truncate(size)
        self.written()

    def statfs(self) -> StatFs:
        found = super().statfs()  # whether the host heeds set-ID bits is no matter
        return found._replace(f_flags=found.f_flags & ~(_ST_NOSUID | _ST_NODEV))

    def getxattr(self, name: bytes) -> bytes:
        _no_lists(name)
        if name == _XATTR_BYTES:
            raise OSError(errno.ENODATA, "no such attribute")
        return super().getxattr(name)

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        _no_lists(name)
        if name == _XATTR_BYTES:
            raise OSError(errno.EPERM, "lxrun's own")
        super().setxattr(name, value, flags)

    def listxattr(self) -> list[bytes]:
        return [name for name in super().listxattr() if name != _XATTR_BYTES and not name.startswith(_LISTS)]

    def removexattr(self, name: bytes) -> None:
        _no_lists(name)
        if name == _XATTR_BYTES:
            raise OSError(errno.ENODATA, "no such attribute")
        super().removexattr(name)


def _no_lists(name: bytes) -> None:
    """Access control lists name users of the host, and would change its mode behind what is kept."""
    if name.startswith(_LISTS):
        raise OSError(errno.EOPNOTSUPP, "no access control lists")


class OverrideFile(HostFile):
    """An open regular file: writing to it takes set-ID bits away."""

    __slots__ = ()

    node: OverrideNode

    def write(self, spans: Spans) -> int:
        self.node.written()
        return super().write(spans)

    def pwrite(self, spans: Spans, offset: int) -> int:
        self.node.written()
        return super().pwrite(spans, offset)

    def truncate(self, size: int) -> None:
        super().truncate(size)
        self.node.written()

    def allocate(self, mode: int, offset: int, size: int) -> None:
        super().allocate(mode, offset, size)
        self.node.written()


class OverrideDir(HostDir):
    """An open directory: the types in its records are those that are kept."""

    __slots__ = ()

    def getdents(self, size: int) -> memoryview:
        records = super().getdents(size)
        start = 0
        while start < len(records):
            _, _, length, kind = _DIRENT.unpack_from(records, start)
            if kind == S_IFREG >> 12:
                name = bytes(records[start + _DIRENT.size : start + length]).split(b"\0", 1)[0]
                kept = look(host.by_fd(self.fd) + b"/" + name)
                if kept is not None and kept.kind:
                    records[start + _DIRENT.size - 1] = kept.kind >> 12
            start += length
        return records


class OverrideFs(HostFs):
    """The host's files for a guest whose root is not the host's.  `uid` and `gid` are whose files are root's."""

    __slots__ = ("gid", "link_owners", "uid")

    node = OverrideNode
    file = OverrideFile
    directory = OverrideDir

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.uid, self.gid = host.OWN[:2]
        self.link_owners: dict[Identity, tuple[int, int]] = {}

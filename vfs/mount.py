"""The mount table: Linux's mount namespace.

Mount points are canonical guest paths.  A point need not exist in the filesystem it lies in: the walk
asks the table before it asks the directory, and directory listings add the names that are missing.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from stat import S_IFDIR
from typing import TYPE_CHECKING

from vfs.file import O_ACCMODE, O_RDONLY, SEEK_CUR, SEEK_SET, File
from vfs.node import Mount, Node, Path, Stat, StatFs

if TYPE_CHECKING:
    from vfs.inotify import Watches

_TMPFS_MAGIC = 0x01021994


class MountTable:
    """Every mount of a guest, and which one a path lies in."""

    __slots__ = ("children", "guest", "heads", "mounts", "next_id", "points", "root")

    def __init__(
        self, root: Node, fstype: bytes = b"ext4", source: bytes = b"/dev/root", read_only: bool = False
    ) -> None:
        self.root = Mount(root, b"/", fstype, source, read_only, 1)
        self.mounts = [self.root]  # in the order of /proc/mounts
        self.points: dict[bytes, Mount] = {b"/": self.root}
        # First path component -> (point, point + "/", mount), longest first: what `find` looks through
        self.heads: dict[bytes, list[tuple[bytes, bytes, Mount]]] = {}
        self.children: dict[bytes, list[bytes]] = {}  # directory -> names of mount points in it
        self.next_id = 2
        self.guest: list[Mount] = []  # those that the guest itself has mounted, and may unmount

    def add(self, node: Node, point: bytes, fstype: bytes, source: bytes = b"none", read_only: bool = False) -> Mount:
        """mount(2): attach `node` at `point`, a canonical guest path.  Directories that are missing on the
        way appear, empty but for the mount."""
        mount = Mount(node, point, fstype, source, read_only, self.next_id)
        self.next_id += 1
        self.mounts.append(mount)
        if point == b"/":
            self.root = mount
            self.points[point] = mount
            return mount
        parent = point.rpartition(b"/")[0]
        missing: list[bytes] = []
        while parent and parent not in self.points:
            try:
                self.at(parent)
                break
            except OSError:
                missing.append(parent)
                parent = parent.rpartition(b"/")[0]
        for text in reversed(missing):
            self.attach(Mount(BareDir(self.next_id), text, b"none", b"none", True, self.next_id))
            self.next_id += 1
        self.attach(mount)
        return mount

    def watch(self, watches: Watches | None) -> None:
        """Tell `watches` from now on what happens to files, or nobody."""
        for mount in {self.root, *self.mounts, *self.points.values()}:
            mount.watches = watches

    def attach(self, mount: Mount) -> None:
        mount.watches = self.root.watches
        point = mount.point
        self.points[point] = mount
        head = point[1:].partition(b"/")[0]
        places = [place for place in self.heads.get(head, ()) if place[0] != point]
        places.append((point, point + b"/", mount))
        places.sort(key=lambda place: -len(place[0]))
        self.heads[head] = places
        parent, _, name = point.rpartition(b"/")
        names = self.children.setdefault(parent or b"/", [])
        if name not in names:
            names.append(name)

    def remove(self, mount: Mount) -> None:
        """umount(2): what was there before is seen again."""
        point = mount.point
        head = point[1:].partition(b"/")[0]
        self.mounts.remove(mount)
        self.guest.remove(mount)
        del self.points[point]
        self.heads[head] = [place for place in self.heads[head] if place[0] != point]
        parent, _, name = point.rpartition(b"/")
        names = self.children[parent or b"/"]
        names.remove(name)
        if not names:
            del self.children[parent or b"/"]

    def find(self, text: bytes) -> Mount:
        """The mount that a canonical absolute path lies in."""
        places = self.heads.get(text[1:].partition(b"/")[0])
        if places is not None:
            for point, prefix, mount in places:
                if text == point or text.startswith(prefix):
                    return mount
        return self.root

    def at(self, text: bytes) -> Path:
        """The directory whose canonical path is `text`; no link is followed."""
        mount = self.find(text)
        rel = text[len(mount.point) :].lstrip(b"/")
        node = mount.root
        if rel:
            found = node.descend(rel, True)
            if found is None:
                for name in rel.split(b"/"):
                    node = node.lookup(name)
            else:
                node = found
        return Path(mount, node, text)

    def is_point(self, text: bytes) -> bool:
        return text in self.points

    def locate(self, root: Path, start: Path, path: bytes) -> tuple[Mount, Node, bytes, bytes] | None:
        """Take `path` at its word: if it has no "..", and no component of it turns out to be a symbolic
        link, it is `rel` below `node` and has the canonical text `text`: (mount, node, rel, text)."""
        if path[0] == 47:
            start = root
        if b"//" in path or b"/." in path or path[0] == 46:
            parts = [part for part in path.split(b"/") if part and part != b"."]
            if b".." in parts or not (parts or path[0] == 47):
                return None  # "." alone: whether `start` is a directory has to be looked at
            rel = b"/".join(parts)
            if path.endswith((b"/", b"/.")) and rel:
                rel += b"/"
        else:
            rel = path[1:] if path[0] == 47 else path
        base = start.text
        text = base + rel if base == b"/" else base + b"/" + rel
        if text[-1] == 47:
            text = text.rstrip(b"/") or b"/"
        places = self.heads.get(text[1:].partition(b"/")[0])
        mount = self.root
        if places is not None:
            for point, prefix, candidate in places:
                if text == point or text.startswith(prefix):
                    mount = candidate
                    break
        if mount is start.mount:
            return mount, start.node, rel, text
        below = text[len(mount.point) :].lstrip(b"/")
        if rel[-1:] == b"/" and below:
            below += b"/"
        return mount, mount.root, below, text


class BareDir(Node):
    """A directory that exists only because something is mounted below it."""

    __slots__ = ("ino",)

    def __init__(self, ino: int) -> None:
        self.ino = ino

    def stat(self) -> Stat:
        return Stat(S_IFDIR | 0o755, self.ino, 0xFFFFF, st_nlink=2)

    def kind(self) -> int:
        return S_IFDIR

    def lookup(self, name: bytes) -> Node:
        raise OSError(errno.ENOENT, "only mount points are here")

    def open(self, flags: int, name: bytes) -> File:
        if flags & O_ACCMODE != O_RDONLY:
            raise OSError(errno.EISDIR, "is a directory")
        return ListedDir(self, flags, name, [(self.ino, 4, b"."), (self.ino, 4, b"..")])

    def access(self, mode: int) -> None:
        if mode & 2:
            raise OSError(errno.EROFS, "only mount points are here")

    def statfs(self) -> StatFs:
        return StatFs(_TMPFS_MAGIC)


class ListedDir(File):
    """An open directory whose entries are a list made when reading starts; offsets are indexes."""

    __slots__ = ("listed", "offset")

    seekable = True

    def __init__(self, node: Node, flags: int, name: bytes, listed: list[tuple[int, int, bytes]]) -> None:
        super().__init__(node, flags, name)
        self.listed = listed
        self.offset = 0

    def read(self, spans: object) -> int:
        raise OSError(errno.EISDIR, "is a directory")

    def pread(self, spans: object, offset: int) -> int:
        raise OSError(errno.EISDIR, "is a directory")

    def relist(self) -> None:
        """Reading starts over: make the list anew, where it can change."""

    def entries(self) -> Sequence[tuple[int, int, bytes]]:
        if not self.offset:
            self.relist()
        return self.listed[self.offset :] if self.offset else self.listed

    def skip(self, count: int) -> None:
        """Move on by `count` entries."""
        self.offset += count

    def seek(self, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence != SEEK_SET:
            raise OSError(errno.EINVAL, "bad whence")
        if offset < 0:
            raise OSError(errno.EINVAL, "negative offset")
        self.offset = offset
        return offset

    def sync(self, data_only: bool) -> None:
        pass

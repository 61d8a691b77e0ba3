"""Path walk: Linux's ``fs/namei.c``, path_resolution(7).

Every path is first taken at its word (`MountTable.locate`) and handed to its filesystem in one piece,
which is enough unless a symbolic link or a ".." is on the way.  Then `Nameidata` goes component by
component until the link is out of the way, and tries the rest in one piece again.

".." is worked out on the canonical guest path and looked up again from the top, so that it never leads
out of the guest's root, whatever the directory's neighbours on the host are.
"""

from __future__ import annotations

import errno
from stat import S_IFDIR, S_IFLNK
from typing import TYPE_CHECKING, Any, Protocol

from vfs.node import Path

if TYPE_CHECKING:
    from vfs.mount import MountTable

PATH_MAX = 4096
MAX_LINKS = 40
NAME_MAX = 255
X_OK = 1

# openat2(2)
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 0x01, 0x02, 0x04
RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_CACHED = 0x08, 0x10, 0x20


class FsLike(Protocol):
    """struct fs_struct, as far as a walk needs it."""

    root: Path
    cwd: Path


def walk(mounts: MountTable, fs: FsLike, start: Path, path: bytes, *, follow: bool = True, task: Any = None) -> Path:
    """What `path` leads to from `start`.  `follow` says whether a link in the last place is followed;
    `task` is the caller, for its rights and for the magic links of /proc."""
    if not path:
        raise OSError(errno.ENOENT, "empty path")
    found = mounts.locate(fs.root, start, path)
    if found is not None:
        mount, node, rel, text = found
        there = node.descend(rel, follow)
        if there is not None:
            return Path(mount, there, text)
    return Nameidata(mounts, fs.root, task).walk(start, path, follow)


def walk_parent(
    mounts: MountTable, fs: FsLike, start: Path, path: bytes, *, task: Any = None
) -> tuple[Path, bytes, bool]:
    """The directory that holds the last component, that component, and whether slashes follow it.  The
    component may be "." or ".."; it is "/" if the path has none at all."""
    return Nameidata(mounts, fs.root, task).parent(start, path)


def split_last(path: bytes) -> tuple[bytes, bytes, bool]:
    """(everything before the last component, the component, whether slashes follow it)."""
    if not path:
        raise OSError(errno.ENOENT, "empty path")
    bare = path.rstrip(b"/")
    if not bare:
        return b"/", b"/", False
    head, slash, last = bare.rpartition(b"/")
    return (head or b"/") if slash else b".", last, len(bare) != len(path)


def join(text: bytes, name: bytes) -> bytes:
    """The canonical path of `name` in the directory `text`."""
    return text + name if text == b"/" else text + b"/" + name


class Nameidata:
    """struct nameidata: a walk under way.  The links followed count over all walks made with it."""

    __slots__ = ("links", "mounts", "resolve", "root", "task")

    def __init__(self, mounts: MountTable, root: Path, task: Any, resolve: int = 0) -> None:
        self.mounts = mounts
        self.root = root  # what "/" means and ".." does not leave
        self.task = task
        self.resolve = resolve
        self.links = 0

    def walk(self, start: Path, path: bytes, follow: bool) -> Path:
        """As the function `walk`."""
        if not path:
            raise OSError(errno.ENOENT, "empty path")
        current = self.begin(start, path)
        plain = not self.resolve
        while True:
            parts = path.split(b"/")
            must_dir = parts[-1] in (b"", b".", b"..")
            parts = [part for part in parts if part and part != b"."]
            parts.reverse()
            link = None
            while parts:
                name = parts.pop()
                if name == b"..":
                    current = self.up(current)
                    continue
                there = self.step(current, name)
                if (parts or follow or must_dir) and there.node.kind() == S_IFLNK:
                    self.count_link()
                    magic = self.magic(there)
                    if magic is not None:
                        current = magic
                        continue
                    link = self.link_text(there)
                    break
                current = there
            if link is None:
                if must_dir and current.node.kind() != S_IFDIR:
                    raise OSError(errno.ENOTDIR, "not a directory")
                return current
            current = self.begin(current, link)
            parts.reverse()
            path = b"/".join([link, *parts]) + (b"/" if must_dir else b"")
            if plain and len(path) < PATH_MAX:  # what links have made longer no host takes at once
                found = self.mounts.locate(self.root, current, path)
                if found is not None:
                    mount, node, rel, text = found
                    node_there = node.descend(rel, follow)
                    if node_there is not None:
                        return Path(mount, node_there, text)

    def parent(self, start: Path, path: bytes) -> tuple[Path, bytes, bool]:
        """As the function `walk_parent`."""
        head, last, slashes = split_last(path)
        directory = self.directory(start, head)
        if directory.node.kind() != S_IFDIR:
            raise OSError(errno.ENOTDIR, "not a directory")
        return directory, last, slashes

    def directory(self, start: Path, path: bytes) -> Path:
        """`walk` with its short cut, for the part of a path before the last component."""
        if path == b".":
            return start
        if not self.resolve:
            found = self.mounts.locate(self.root, start, path)
            if found is not None:
                mount, node, rel, text = found
                there = node.descend(rel, True)
                if there is not None:
                    return Path(mount, there, text)
        return self.walk(start, path, True)

    def begin(self, start: Path, path: bytes) -> Path:
        """Where a path starts: the root for an absolute one."""
        if path[0] != 47:
            return start
        if self.resolve & RESOLVE_BENEATH:
            raise OSError(errno.EXDEV, "absolute path")
        if self.resolve & RESOLVE_NO_XDEV and self.root.mount is not start.mount:
            raise OSError(errno.EXDEV, "another mount")
        return self.root

    def count_link(self) -> None:
        self.links += 1
        if self.links > MAX_LINKS:
            raise OSError(errno.ELOOP, "too many symbolic links")
        if self.resolve & RESOLVE_NO_SYMLINKS:
            raise OSError(errno.ELOOP, "symbolic link")

    def magic(self, link: Path) -> Path | None:
        """Where a link of /proc leads that is more than its text (nd_jump_link); None for any other link."""
        place = link.node.follow(self.task)
        if place is not None and self.resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT):
            refused = errno.ELOOP if self.resolve & RESOLVE_NO_MAGICLINKS else errno.EXDEV
            raise OSError(refused, "magic link")
        return place

    def link_text(self, link: Path) -> bytes:
        text = link.node.readlink()
        if not text:
            raise OSError(errno.ENOENT, "empty link")
        return text

    def step(self, current: Path, name: bytes) -> Path:
        """One component down, onto whatever is mounted there."""
        text = join(current.text, name)
        mount = self.mounts.points.get(text)
        if mount is not None:
            if self.resolve & RESOLVE_NO_XDEV:
                raise OSError(errno.EXDEV, "another mount")
            return Path(mount, mount.root, text)
        node = current.node
        if not node.checks_access:
            self.may_search(current)
            if len(name) > NAME_MAX and node.kind() == S_IFDIR:
                raise OSError(errno.ENAMETOOLONG, "name too long")
        return Path(current.mount, node.lookup(name), text)

    def may_search(self, directory: Path) -> None:
        """Raise EACCES unless the caller may search the directory."""
        if directory.node.kind() == S_IFDIR:
            directory.node.access(X_OK)

    def up(self, current: Path) -> Path:
        """The directory above (".."); the root is its own."""
        if current.node.kind() != S_IFDIR:
            raise OSError(errno.ENOTDIR, "not a directory")
        text = current_text(current)
        if text == self.root.text:
            if self.resolve & RESOLVE_BENEATH:
                raise OSError(errno.EXDEV, "path leads out")
            return self.root
        try:
            above = self.mounts.at(text.rpartition(b"/")[0] or b"/")
        except PermissionError:
            # Linux searches no directory on the way to "..", which may lie where the caller could not get
            above = self.above(current, text.rpartition(b"/")[0])
        if self.resolve & RESOLVE_NO_XDEV and above.mount is not current.mount:
            raise OSError(errno.EXDEV, "another mount")
        return above

    def above(self, current: Path, text: bytes) -> Path:
        """The directory `text` above `current`, straight from its filesystem.  Raises OSError(EACCES)."""
        mount = current.mount
        rel = text[len(mount.point) :].lstrip(b"/")
        node = None
        if self.mounts.find(text) is mount:
            node = current.node.above(mount.root, rel)
        if node is None:
            raise OSError(errno.EACCES, "permission denied")
        return Path(mount, node, text)


def current_text(directory: Path) -> bytes:
    """The canonical path of a directory, even if it was moved on the host since it was found.  A deleted
    directory keeps its last one."""
    try:
        rel = directory.node.whereabouts(directory.mount.root)
    except OSError:
        return directory.text
    if rel is None:
        return directory.text
    point = directory.mount.point
    return point if not rel else join(point, rel)

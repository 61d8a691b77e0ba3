"""Inodes of files that have no place in the tree: Linux's pipefs, sockfs and anon_inodefs."""

from __future__ import annotations

import itertools

from vfs.fscred import permission
from vfs.node import Node, Stat, StatFs

# Anonymous device numbers (major 0) that Linux gives these filesystems at boot.
PID_FS_DEV, SOCKFS_DEV, PIPEFS_DEV, ANON_INODEFS_DEV = 0x05, 0x08, 0x0E, 0x0F
SOCKFS_MAGIC, PIPEFS_MAGIC, ANON_INODE_FS_MAGIC, PID_FS_MAGIC = 0x534F434B, 0x50495045, 0x09041934, 0x50494446
ANON_INO = 1  # all anonymous inodes are one

_inodes = itertools.count(1)


def next_ino() -> int:
    """A fresh inode number for a nameless file."""
    return next(_inodes)


class AnonNode(Node):
    """An inode without a name.  `info` is what stat(2) reports; chmod and chown change it."""

    __slots__ = ("info", "magic")

    def __init__(self, info: Stat, magic: int) -> None:
        self.info = info
        self.magic = magic

    def stat(self) -> Stat:
        return self.info

    def access(self, mode: int) -> None:
        permission(self.info.st_mode, self.info.st_uid, self.info.st_gid, mode)

    def chmod(self, mode: int) -> None:
        self.info.st_mode = self.info.st_mode & ~0o7777 | mode & 0o7777

    def chown(self, uid: int, gid: int) -> None:
        if uid >= 0:
            self.info.st_uid = uid
        if gid >= 0:
            self.info.st_gid = gid

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        if atime_ns is not None:
            self.info.st_atime_ns = atime_ns
        if mtime_ns is not None:
            self.info.st_mtime_ns = mtime_ns

    def statfs(self) -> StatFs:
        return StatFs(self.magic)

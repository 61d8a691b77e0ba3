"""An initramfs: a cpio archive of the form "newc" (the kernel's Documentation/driver-api/early-userspace)."""

from __future__ import annotations

from collections.abc import Iterable
from stat import S_IFREG


def archive(files: Iterable[tuple[str, int, bytes]]) -> bytes:
    """The archive of `files`: each a path relative to /, a mode with its file type, and what is in it."""
    parts = []
    for number, (name, mode, data) in enumerate(files, 1):
        parts.append(_entry(number, name, mode, data))
    parts.append(_entry(0, "TRAILER!!!", 0, b""))
    return b"".join(parts)


def regular(permissions: int) -> int:
    """st_mode of a file with these permissions."""
    return S_IFREG | permissions


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    path = name.encode() + b"\0"
    # ino, mode, uid, gid, nlink, mtime, filesize, device of the file, device it is, namesize, check
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)

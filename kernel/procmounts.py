"""The mount table as /proc/PID shows it: mounts, mountinfo, mountstats (proc_pid_mounts(5))."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kernel.procmaps import device_numbers
from vfs.node import ST_NOATIME, ST_NODEV, ST_NODIRATIME, ST_NOEXEC, ST_NOSUID

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.node import Mount

# What a distribution mounts these with.
_OPTIONS = {
    b"proc": b"nosuid,nodev,noexec,",
    b"sysfs": b"nosuid,nodev,noexec,",
    b"devpts": b"nosuid,noexec,",
    b"devtmpfs": b"nosuid,",
}
_FLAGS = {
    ST_NOSUID: b"nosuid",
    ST_NODEV: b"nodev",
    ST_NOEXEC: b"noexec",
    ST_NOATIME: b"noatime",
    ST_NODIRATIME: b"nodiratime",
}
_SUPER_OPTIONS = {b"devpts": b",mode=620,ptmxmode=666", b"devtmpfs": b",mode=755"}


def mangle(text: bytes) -> bytes:
    """Escape what would break the columns, as octal."""
    for char in b"\\ \t\n#":
        if char in text:
            text = text.replace(b"%c" % char, b"\\%03o" % char)
    return text


def visible(task: Task) -> Iterator[tuple[Mount, bytes]]:
    """The mounts the task can reach, and where it sees them."""
    root = task.fs.root.text.rstrip(b"/")
    for mount in task.kernel.mounts.mounts:
        point = mount.point
        if point == root or not root:
            yield mount, (b"/" if point == root else point)
        elif point.startswith(root + b"/"):
            yield mount, point[len(root) :]


def _access(mount: Mount) -> bytes:
    return b"ro" if mount.read_only else b"rw"


def _options(mount: Mount) -> bytes:
    """What the mount was mounted with, behind "ro," or "rw,"."""
    if mount.fstype in _OPTIONS:
        return _OPTIONS[mount.fstype] + b"relatime"
    shown = [name for flag, name in _FLAGS.items() if mount.flags & flag]
    return b",".join([*shown, b"relatime"] if not mount.flags & ST_NOATIME else shown)


def _super_options(mount: Mount) -> bytes:
    """What the filesystem was mounted with, behind a comma."""
    found = getattr(getattr(mount.root, "fs", None), "options", b"") if mount.fstype == b"tmpfs" else b""
    return _SUPER_OPTIONS.get(mount.fstype, found)


def mounts(task: Task) -> bytes:
    """/proc/PID/mounts, in the format of fstab(5)."""
    return b"".join(
        [
            b"%b %b %b %b,%b%b 0 0\n"
            % (
                mangle(mount.source),
                mangle(point),
                mount.fstype,
                _access(mount),
                _options(mount),
                _super_options(mount),
            )
            for mount, point in visible(task)
        ]
    )


def mountinfo(task: Task) -> bytes:
    """/proc/PID/mountinfo."""
    lines = []
    shown = list(visible(task))
    for mount, point in shown:
        parent = None
        for other, _ in shown:
            inside = other.point == b"/" or mount.point.startswith(other.point + b"/")
            if other is not mount and inside and (parent is None or len(other.point) >= len(parent.point)):
                parent = other
        major, minor = device_numbers(mount.root.stat().st_dev)
        lines.append(
            b"%d %d %d:%d / %b %b,%b - %b %b %b%b\n"
            % (
                mount.id,
                parent.id if parent is not None else 0,
                major,
                minor,
                mangle(point),
                _access(mount),
                _options(mount),
                mount.fstype,
                mangle(mount.source),
                _access(mount),
                _super_options(mount),
            )
        )
    return b"".join(lines)


def mountstats(task: Task) -> bytes:
    """/proc/PID/mountstats."""
    return b"".join(
        [
            b"device %b mounted on %b with fstype %b\n" % (mangle(mount.source), mangle(point), mount.fstype)
            for mount, point in visible(task)
        ]
    )

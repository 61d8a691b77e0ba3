"""The links of /proc/PID: fd, map_files, exe, cwd, root, and fdinfo beside them (proc_pid_fd(5))."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from kernel.procmaps import file_name
from kernel.ptrace import FSCREDS, SUID_DUMP_USER, check_access
from vfs.file import O_ACCMODE, O_CLOEXEC, O_RDONLY, O_WRONLY, SEEK_CUR, File
from vfs.node import Path, Stat
from vfs.pseudofs import MagicLink, PseudoDir, PseudoNode, TextFile

if TYPE_CHECKING:
    from kernel.task import Task
    from vfs.node import Mount


def task_owner(task: Task) -> tuple[int, int]:
    """Who the files of a task belong to: root, if it must not be dumped or has ended (task_dump_owner)."""
    return (0, 0) if task.zombie or task.mm.dumpable != SUID_DUMP_USER else (task.cred.euid, task.cred.egid)


def directory_owner(task: Task) -> tuple[int, int]:
    """The same for directories that everybody may read: programs tell by them whose the process is."""
    return task.cred.euid, task.cred.egid


class TaskLink(MagicLink):
    """A link into the inside of a task, for those who may look there (proc_fd_access_allowed)."""

    __slots__ = ("task",)

    def __init__(
        self, task: Task, target: Callable[[], bytes], path: Callable[[], Path], owner: Callable[[], tuple[int, int]]
    ) -> None:
        super().__init__(target, path, owner)
        self.task = task

    def readlink(self) -> bytes:
        check_access(self.task.kernel.current, self.task, FSCREDS, errno.EACCES)
        return super().readlink()

    def follow(self, task: Any) -> Path:
        check_access(self.task.kernel.current, self.task, FSCREDS, errno.EACCES)
        return super().follow(task)


def path_link(task: Task, path: Callable[[], Path | None]) -> TaskLink:
    """A link to a Path of the task (exe, cwd, root)."""

    def target() -> bytes:
        found = there()
        text = found.text
        reader_root = task.kernel.current.fs.root.text
        if reader_root != b"/" and (text == reader_root or text.startswith(reader_root + b"/")):
            text = text[len(reader_root) :] or b"/"
        return text

    def there() -> Path:
        found = None if task.exit_status is not None else path()
        if found is None:
            raise OSError(errno.ENOENT, "nothing there")
        return found

    return TaskLink(task, target, there, partial(task_owner, task))


def file_path(task: Task, file: File) -> Path:
    """Where an open file is, for a walk that goes through it.  Nameless files are in no mount of the
    tree; the root's stands in for theirs."""
    return Path(file_mount(task, file), file.node, file.name)


def file_mount(task: Task, file: File) -> Mount:
    mounts = task.kernel.mounts
    return mounts.find(file.name) if file.name[:1] == b"/" else mounts.root


class FdLink(TaskLink):
    """/proc/PID/fd/N.  Its permission bits say how the file is open."""

    __slots__ = ("fd",)

    def __init__(self, task: Task, fd: int) -> None:
        super().__init__(
            task, lambda: file_name(self.file()), lambda: file_path(task, self.file()), partial(task_owner, task)
        )
        self.fd = fd

    def file(self) -> File:
        try:
            return self.task.files.get(self.fd)
        except OSError:
            raise OSError(errno.ENOENT, "closed") from None

    def alive(self) -> bool:
        return self.fd in self.task.files.files

    def size(self) -> int:
        return 64

    def stat(self) -> Stat:
        access = self.file().flags & O_ACCMODE
        self.mode = 0o120100 | (0 if access == O_WRONLY else 0o400) | (0 if access == O_RDONLY else 0o200)
        return super().stat()


def fdinfo(task: Task, fd: int) -> bytes:
    """/proc/PID/fdinfo/N: the general lines, and those of the file's own kind."""
    try:
        file = task.files.get(fd)
    except OSError:
        raise OSError(errno.ENOENT, "closed") from None
    position = file.seek(0, SEEK_CUR) if file.seekable else 0
    flags = file.flags | (O_CLOEXEC if task.files.cloexec(fd) else 0)
    text = b"pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n" % (
        position,
        flags,
        file_mount(task, file).id,
        file.stat().st_ino,
    )
    return text + task.files.locks.held_through(task.files, file) + file.fdinfo()


class FdDir(PseudoDir):
    """/proc/PID/fd and /proc/PID/fdinfo: one entry per descriptor."""

    __slots__ = ("entry", "task")

    def __init__(self, task: Task, mode: int, entry: Callable[[Task, int], PseudoNode]) -> None:
        super().__init__(mode, partial(directory_owner if mode == 0o555 else task_owner, task))
        self.task = task
        self.entry = entry

    def access(self, mode: int) -> None:
        """A process may always see its own; fdinfo, which everybody could by its mode, only who may look inside."""
        current = self.task.kernel.current
        if current.tgid == self.task.tgid:
            return
        if self.entry is not FdLink:
            check_access(current, self.task, FSCREDS, errno.EACCES)
        super().access(mode)

    def names(self) -> Iterable[bytes]:
        return [b"%d" % fd for fd, _, _ in self.task.files.items()]

    def make(self, name: bytes) -> PseudoNode | None:
        if not name.isdigit() or (name[:1] == b"0" and name != b"0") or int(name) not in self.task.files.files:
            return None
        return self.entry(self.task, int(name))

    def size(self) -> int:
        return len(self.task.files.files) if self.entry is FdLink else 0


class FdInfo(TextFile):
    """/proc/PID/fdinfo/N."""

    __slots__ = ("fd", "task")

    def __init__(self, task: Task, fd: int) -> None:
        super().__init__(partial(fdinfo, task, fd), mode=0o444, owner=partial(task_owner, task))
        self.task = task
        self.fd = fd

    def alive(self) -> bool:
        return self.fd in self.task.files.files


class MapFilesDir(PseudoDir):
    """/proc/PID/map_files: a link per mapped file."""

    __slots__ = ("task",)

    def __init__(self, task: Task) -> None:
        super().__init__(0o500, partial(task_owner, task))
        self.task = task

    def files(self) -> dict[bytes, File]:
        return {b"%x-%x" % (vma.start, vma.end): vma.file for vma in self.task.mm.vmas if vma.file is not None}

    def names(self) -> Iterable[bytes]:
        return self.files()

    def make(self, name: bytes) -> PseudoNode | None:
        file = self.files().get(name)
        if file is None:
            return None
        task = self.task
        return MapFileLink(self, name, file_name(file), file_path(task, file))


class MapFileLink(TaskLink):
    __slots__ = ("name",)

    parent: MapFilesDir

    def __init__(self, parent: MapFilesDir, name: bytes, target: bytes, path: Path) -> None:
        super().__init__(parent.task, lambda: target, lambda: path, parent.owner)
        self.name = name
        self.parent = parent

    def alive(self) -> bool:
        return self.name in self.parent.files()

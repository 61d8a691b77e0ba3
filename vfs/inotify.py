"""File notification: Linux's fsnotify marks and ``struct inotify``, inotify(7).

`Watches` are all marks of a kernel.  It hangs on the mounts (`Mount.watches`) only while there is a mark:
whoever changes or uses a file asks for that one attribute and goes on.  What is told are the doings of
guests, not of the host's own processes.

A mark belongs to an inode, named by its device and number.  For events of the files in it, a directory's
mark is also found by its path, which is kept right when guests rename things while there are marks.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from stat import S_IFDIR, S_IFMT
from struct import Struct
from typing import TYPE_CHECKING, Any

from vfs.anon import ANON_INO, ANON_INODE_FS_MAGIC, ANON_INODEFS_DEV, AnonNode
from vfs.file import O_NONBLOCK, O_PATH, O_RDONLY, File
from vfs.node import Stat
from vfs.notify import (
    IN_ALL_EVENTS,
    IN_ATTRIB,
    IN_CLOSE_NOWRITE,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
)
from vfs.pages import ShortSpans
from vfs.pseudofs import fill
from vfs.wait import POLLIN, POLLRDNORM, WaitQueue
from vfs.walk import join

if TYPE_CHECKING:
    from vfs.mount import MountTable
    from vfs.node import Node, Path, StatLike
    from vfs.pages import Identity, Spans

EVENT = Struct("<iIII")  # struct inotify_event: wd, mask, cookie, len
FIONREAD = 0x541B
MAX_QUEUED_EVENTS, MAX_USER_INSTANCES, MAX_USER_WATCHES = 16384, 128, 65536

RENAME_EXCHANGE = 2
_KEPT = IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK


def identity(info: StatLike) -> Identity:
    return info.st_dev, info.st_ino


def is_dir(info: StatLike) -> bool:
    return S_IFMT(info.st_mode) == S_IFDIR


class Watch:
    """struct inotify_inode_mark.  `text` is a directory's path, empty for anything else."""

    __slots__ = ("group", "inode", "mask", "text", "wd")

    def __init__(self, group: Inotify, wd: int, inode: Identity, mask: int, text: bytes) -> None:
        self.group = group
        self.wd = wd
        self.inode = inode
        self.mask = mask
        self.text = text

    def tell(self, mask: int, name: bytes = b"", cookie: int = 0) -> None:
        """inotify_handle_inode_event, for an event that the mark may ask for."""
        if not mask & self.mask & IN_ALL_EVENTS:
            return
        if mask & (IN_MOVE_SELF | IN_DELETE_SELF):
            mask &= ~IN_ISDIR
        self.group.queue_event(self.wd, mask, name, cookie)
        if self.mask & IN_ONESHOT:
            self.group.forget(self)


class Watches:
    """All marks.  `open_files` gives every open file description of the guests."""

    __slots__ = ("by_text", "cookie", "instances", "marks", "mounts", "open_files", "used")

    def __init__(self, mounts: MountTable, open_files: Callable[[], Iterable[File]]) -> None:
        self.mounts = mounts
        self.open_files = open_files
        self.marks: dict[Identity, list[Watch]] = {}
        self.by_text: dict[bytes, list[Watch]] = {}  # those of directories
        self.cookie = 0
        self.instances: dict[int, int] = {}  # by uid
        self.used: dict[int, int] = {}  # watches, by uid

    def add(self, watch: Watch) -> None:
        self.marks.setdefault(watch.inode, []).append(watch)
        if watch.text:
            self.by_text.setdefault(watch.text, []).append(watch)
        self.mounts.watch(self)

    def remove(self, watch: Watch) -> None:
        self.marks[watch.inode].remove(watch)
        if not self.marks[watch.inode]:
            del self.marks[watch.inode]
        if watch.text:
            self.by_text[watch.text].remove(watch)
            if not self.by_text[watch.text]:
                del self.by_text[watch.text]
        if not self.marks:
            self.mounts.watch(None)

    # Events: what include/linux/fsnotify.h tells

    def on_file(self, file: File, mask: int) -> None:
        """fsnotify_file: something happened through an open file."""
        if file.mount is not None:
            self._parent_and_self(file.name, file.mount.point, file.stat(), mask, through_file=True)

    def on_path(self, path: Path, mask: int) -> None:
        """fsnotify_dentry: something happened to a file under this name."""
        self._parent_and_self(path.text, path.mount.point, path.node.stat(), mask)

    def _parent_and_self(
        self, text: bytes, point: bytes, info: StatLike, mask: int, *, through_file: bool = False
    ) -> None:
        if is_dir(info):
            mask |= IN_ISDIR
        unlinked = through_file and not info.st_nlink
        if text != point:
            head, _, name = text.rpartition(b"/")
            if unlinked:
                name = name.removesuffix(b" (deleted)")
            for watch in tuple(self.by_text.get(head or b"/", ())):
                if not (unlinked and watch.mask & IN_EXCL_UNLINK):
                    watch.tell(mask, name)
        for watch in tuple(self.marks.get(identity(info), ())):
            if not (unlinked and watch.mask & IN_EXCL_UNLINK):
                watch.tell(mask)

    def on_inode(self, info: StatLike, mask: int) -> None:
        """fsnotify_inode."""
        for watch in tuple(self.marks.get(identity(info), ())):
            watch.tell(mask | IN_ISDIR if is_dir(info) else mask)

    def on_name(self, parent: Path, name: bytes, mask: int, cookie: int = 0) -> None:
        """fsnotify_name: a directory got or lost a name."""
        for watch in tuple(self.marks.get(identity(parent.node.stat()), ())):
            watch.tell(mask, name, cookie)

    def closed(self, file: File) -> None:
        """fsnotify_close, and the end of an inode that had no name any more."""
        if not file.flags & O_PATH:
            self.on_file(file, IN_CLOSE_WRITE if file.flags + 1 & 2 else IN_CLOSE_NOWRITE)
        if self.marks:
            self.gone(file.stat(), file)

    def created(self, parent: Path, name: bytes, *, directory: bool = False) -> None:
        """fsnotify_create, fsnotify_mkdir."""
        self.on_name(parent, name, IN_CREATE | IN_ISDIR if directory else IN_CREATE)

    def linked(self, parent: Path, name: bytes, target: Node) -> None:
        """fsnotify_link."""
        self.on_inode(target.stat(), IN_ATTRIB)
        self.created(parent, name)

    def deleted(self, parent: Path, name: bytes, info: Stat) -> None:
        """vfs_unlink and vfs_rmdir, when it is done; `info` is what the name stood for, before."""
        directory = is_dir(info)
        if not directory:
            self.on_inode(info, IN_ATTRIB)
        info.st_nlink = 0 if directory else info.st_nlink - 1
        self.gone(info)
        self.on_name(parent, name, IN_DELETE | IN_ISDIR if directory else IN_DELETE)

    def gone(self, info: StatLike, but: File | None = None) -> None:
        """fsnotify_inoderemove, if the inode has no name and, `but` for one, no open file left."""
        inode = identity(info)
        if info.st_nlink or inode not in self.marks:
            return
        if any(file is not but and identity(file.stat()) == inode for file in self.open_files()):
            return
        self.on_inode(info, IN_DELETE_SELF)
        for watch in tuple(self.marks.get(inode, ())):
            watch.group.forget(watch)

    def rename(self, parent: Path, name: bytes, to: Path, new_name: bytes, flags: int) -> None:
        """vfs_rename, with what it tells."""
        info = self.info(parent, name)
        try:
            target = self.info(to, new_name)
        except OSError:
            target = None
        parent.node.rename(name, to.node, new_name, flags)
        if target is not None and identity(info) == identity(target):
            return  # two names of one file: nothing has happened
        old, new = join(parent.text, name), join(to.text, new_name)
        if flags & RENAME_EXCHANGE and target is not None:
            self.moved(parent, name, to, new_name, info, None)
            self.moved(to, new_name, parent, name, target, None)
            self.renamed({old: new, new: old})
            return
        self.moved(parent, name, to, new_name, info, target)
        self.renamed({old: new})
        if target is not None:
            target.st_nlink = 0 if is_dir(target) else target.st_nlink - 1
            self.gone(target)

    def moved(self, parent: Path, name: bytes, to: Path, new_name: bytes, info: Stat, target: Stat | None) -> None:
        """fsnotify_move; `target` is what the new name stood for before, if that is gone."""
        self.cookie = self.cookie + 1 & 0xFFFF_FFFF or 1
        directory = IN_ISDIR if is_dir(info) else 0
        self.on_name(parent, name, IN_MOVED_FROM | directory, self.cookie)
        self.on_name(to, new_name, IN_MOVED_TO | directory, self.cookie)
        if target is not None:
            self.on_inode(target, IN_ATTRIB)
        self.on_inode(info, IN_MOVE_SELF)

    def renamed(self, changes: dict[bytes, bytes]) -> None:
        """Marks of directories and open files follow their names (d_move)."""

        def now(text: bytes) -> bytes:
            for old, new in changes.items():
                if text == old or text.startswith(old + b"/"):
                    return new + text[len(old) :]
            return text

        for watches in list(self.by_text.values()):
            for watch in watches:
                watch.text = now(watch.text)
        self.by_text = {}
        for watches in self.marks.values():
            for watch in watches:
                if watch.text:
                    self.by_text.setdefault(watch.text, []).append(watch)
        for file in self.open_files():
            if file.mount is not None:
                file.name = now(file.name)

    @staticmethod
    def info(parent: Path, name: bytes) -> Stat:
        """What a name stands for, to be remembered over the change."""
        st = parent.node.lookup(name).stat()
        return Stat(st.st_mode, st.st_ino, st.st_dev, st.st_nlink)


class Inotify(File):
    """struct inotify_group: one instance, which is a queue of events."""

    __slots__ = ("all", "changed", "events", "last_wd", "size", "uid", "watches")

    pollable = True

    def __init__(self, everything: Watches, uid: int, flags: int) -> None:
        """Raises OSError(EMFILE): too many instances of this user."""
        if everything.instances.get(uid, 0) >= MAX_USER_INSTANCES:
            raise OSError(errno.EMFILE, "too many instances")
        node = AnonNode(Stat(0o600, ANON_INO, ANON_INODEFS_DEV), ANON_INODE_FS_MAGIC)
        super().__init__(node, O_RDONLY | flags & O_NONBLOCK, b"anon_inode:inotify")
        everything.instances[uid] = everything.instances.get(uid, 0) + 1
        self.all = everything
        self.uid = uid
        self.events: deque[tuple[int, int, bytes, int]] = deque()  # wd, mask, name with its padding, cookie
        self.size = 0  # bytes of all events
        self.changed = WaitQueue()
        self.watches: dict[int, Watch] = {}
        self.last_wd = 0

    def watch(self, path: Path, arg: int) -> int:
        """inotify_update_watch: a new watch, or another mask for the one there is.  Raises OSError EEXIST
        (IN_MASK_CREATE), ENOSPC."""
        info = path.node.stat()
        inode = identity(info)
        mask = arg & _KEPT
        for watch in self.all.marks.get(inode, ()):
            if watch.group is self:
                if arg & IN_MASK_CREATE:
                    raise OSError(errno.EEXIST, "watched already")
                watch.mask = watch.mask | mask if arg & IN_MASK_ADD else mask
                return watch.wd
        used = self.all.used
        if used.get(self.uid, 0) >= MAX_USER_WATCHES:
            raise OSError(errno.ENOSPC, "too many watches")
        used[self.uid] = used.get(self.uid, 0) + 1
        self.last_wd += 1
        watch = self.watches[self.last_wd] = Watch(self, self.last_wd, inode, mask, path.text if is_dir(info) else b"")
        self.all.add(watch)
        return watch.wd

    def unwatch(self, wd: int) -> None:
        """inotify_rm_watch(2).  Raises OSError(EINVAL)."""
        watch = self.watches.get(wd)
        if watch is None:
            raise OSError(errno.EINVAL, "no such watch")
        self.forget(watch)

    def forget(self, watch: Watch) -> None:
        """The mark is gone, and the reader is told so."""
        del self.watches[watch.wd]
        self.all.used[self.uid] -= 1
        self.all.remove(watch)
        self.queue_event(watch.wd, IN_IGNORED)

    def queue_event(self, wd: int, mask: int, name: bytes = b"", cookie: int = 0) -> None:
        """fsnotify_insert_event: an event like the one before it is left out, one too many becomes an overflow."""
        if name:
            name += bytes(EVENT.size - len(name) % EVENT.size)
        event = (wd, mask, name, cookie)
        if self.events:
            last = self.events[-1]
            if last[:3] == event[:3] and not mask & IN_IGNORED:
                return
            if len(self.events) >= MAX_QUEUED_EVENTS:
                if last[1] & IN_Q_OVERFLOW:
                    return
                event = (-1, IN_Q_OVERFLOW, b"", 0)
        self.events.append(event)
        self.size += EVENT.size + len(event[2])
        self.changed.wake()

    # As a file

    def read(self, spans: Spans) -> int:
        room = spans.size if type(spans) is ShortSpans else sum(map(len, spans))
        if not self.events:
            raise BlockingIOError(errno.EAGAIN, "no event")
        data = b""
        while self.events:
            wd, mask, name, cookie = self.events[0]
            if len(data) + EVENT.size + len(name) > room:
                break
            self.events.popleft()
            data += EVENT.pack(wd, mask, cookie, len(name)) + name
        if not data:
            raise OSError(errno.EINVAL, "the next event does not fit")
        self.size -= len(data)
        if fill(spans, data) < len(data):
            raise OSError(errno.EFAULT, "bad buffer")
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        return 0  # noop_llseek: no error, no effect

    def ioctl(self, task: Any, request: int, arg: int) -> int:
        if request != FIONREAD:
            raise OSError(errno.ENOTTY, "no such request")
        task.mm.put_u32(arg, self.size)
        return 0

    def poll(self) -> int:
        return POLLIN | POLLRDNORM if self.events else 0

    def queues(self, events: int) -> Sequence[WaitQueue]:
        return (self.changed,)

    def fdinfo(self) -> bytes:
        return b"".join(
            b"inotify wd:%x ino:%x sdev:%x mask:%x ignored_mask:0 \n"
            % (watch.wd, watch.inode[1], os.major(watch.inode[0]) << 20 | os.minor(watch.inode[0]), watch.mask)
            for watch in reversed(self.watches.values())
        )

    def release(self) -> None:
        for watch in tuple(self.watches.values()):
            self.all.used[self.uid] -= 1
            self.all.remove(watch)
        self.watches.clear()
        self.all.instances[self.uid] -= 1

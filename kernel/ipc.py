"""What the three System V mechanisms share: Linux's ``ipc/util.c`` and ``struct ipc_namespace``, sysvipc(7).

An object is known by an identifier, which is its place in a table (`index`) and how often the table has been
gone through (`sequence`), so that an old identifier does not mean a new object; and, unless it is private, by a
key.  What kernel/shm.py, kernel/sem.py and kernel/msg.py keep are subclasses of `IpcObject`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kernel.cred import CAP_IPC_OWNER, CAP_SYS_ADMIN, UNCHANGED

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.msg import MsgQueues
    from kernel.sem import SemArrays
    from kernel.shm import ShmSegments
    from kernel.task import Task

IPC_PRIVATE = 0
IPC_CREAT, IPC_EXCL, IPC_NOWAIT = 0o1000, 0o2000, 0o4000
IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO = 0, 1, 2, 3
IPCMNI = 32768  # entries of a table
_SHIFT = 15
_SEQ_MAX = (1 << 31 - _SHIFT) - 1
_MIN_CYCLE = 64  # indices are not used again before so many others
S_IRUGO, S_IWUGO, S_IXUGO = 0o444, 0o222, 0o111

IPC64_PERM = Struct("<iIIIIIH6xQQ")
"""struct ipc64_perm: key, uid, gid, cuid, cgid, mode, sequence."""


class IpcObject:
    """struct kern_ipc_perm, and the identifier."""

    def __init__(self, kernel: Kernel, key: int, mode: int) -> None:
        cred = kernel.current.cred
        self.kernel = kernel
        self.key = key
        self.mode = mode & 0o777
        self.uid = self.cuid = cred.euid
        self.gid = self.cgid = cred.egid
        self.ctime = kernel.clock.realtime_ns() // 1_000_000_000
        self.id = self.sequence = self.index = -1
        self.deleted = False

    def check(self, task: Task, wanted: int) -> None:
        """ipcperms: whether a task has the rights `wanted`, permission bits in any of the three places.  Raises
        OSError(EACCES)."""
        cred = task.cred
        requested = wanted >> 6 | wanted >> 3 | wanted
        granted = self.mode
        if cred.euid in (self.cuid, self.uid):
            granted >>= 6
        elif cred.in_group(self.cgid) or cred.in_group(self.gid):
            granted >>= 3
        if requested & ~granted & 7 and not cred.capable(CAP_IPC_OWNER):
            raise OSError(errno.EACCES, "no permission")

    def check_owner(self, task: Task) -> None:
        """Who may change or remove it.  Raises OSError(EPERM)."""
        cred = task.cred
        if cred.euid not in (self.cuid, self.uid) and not cred.capable(CAP_SYS_ADMIN):
            raise OSError(errno.EPERM, "not the owner")

    def update_perm(self, raw: bytes) -> None:
        """IPC_SET: owner, group and permission bits of a struct ipc64_perm.  Raises OSError(EINVAL)."""
        _, uid, gid, _, _, mode, _, _, _ = IPC64_PERM.unpack_from(raw)
        if UNCHANGED in (uid, gid):
            raise OSError(errno.EINVAL, "not an id")
        self.uid, self.gid = uid, gid
        self.mode = self.mode & ~0o777 | mode & 0o777
        self.ctime = self.now()

    def perm(self) -> bytes:
        """A struct ipc64_perm."""
        return IPC64_PERM.pack(
            self.key, self.uid, self.gid, self.cuid, self.cgid, self.mode, self.sequence & 0xFFFF, 0, 0
        )

    def row(self) -> bytes:
        """The object's line in /proc/sysvipc."""
        raise NotImplementedError

    def now(self) -> int:
        """What its times are in: seconds since the epoch."""
        return self.kernel.clock.realtime_ns() // 1_000_000_000


Object = TypeVar("Object", bound=IpcObject)


class IpcIds(Generic[Object]):
    """struct ipc_ids: the objects of one kind.  `limit` is how many there may be."""

    def __init__(self, kernel: Kernel, limit: int) -> None:
        self.kernel = kernel
        self.limit = limit
        self.next_id = -1  # kernel.{shm,sem,msg}_next_id
        self.objects: dict[int, Object] = {}  # by index
        self.keys: dict[int, Object] = {}
        self.sequence = 0
        self.last = -1
        self.next = 0

    def get(
        self, task: Task, key: int, flags: int, make: Callable[[], Object], fits: Callable[[Object], None]
    ) -> Object:
        """ipcget: the object of a key, which `fits` accepts, or a new one.  Raises OSError ENOENT, EEXIST, EACCES,
        ENOSPC, and what `fits` and `make` do."""
        if key == IPC_PRIVATE:
            return self.add(make())
        found = self.keys.get(key)
        if found is None:
            if not flags & IPC_CREAT:
                raise OSError(errno.ENOENT, "no such key")
            return self.add(make())
        if flags & IPC_CREAT and flags & IPC_EXCL:
            raise OSError(errno.EEXIST, "the key is in use")
        fits(found)
        found.check(task, flags)
        return found

    def room(self) -> None:
        """Whether one more may be made.  Raises OSError(ENOSPC)."""
        if len(self.objects) >= self.limit:
            raise OSError(errno.ENOSPC, "too many of them")

    def add(self, new: Object) -> Object:
        """ipc_addid: an identifier for a new object."""
        if self.next_id >= 0:
            index, new.sequence = self.next_id & IPCMNI - 1, self.next_id >> _SHIFT
            self.next_id = -1
            while index in self.objects:
                index += 1
        else:
            index = self._free_index()
            if index <= self.last:
                self.sequence = (self.sequence + 1) % _SEQ_MAX
            self.last = index
            new.sequence = self.sequence
        new.index = index
        new.id = new.sequence << _SHIFT | index
        self.objects[index] = new
        if new.key != IPC_PRIVATE:
            self.keys[new.key] = new
        return new

    def _free_index(self) -> int:
        """idr_alloc_cyclic: the next free index, from 0 again after a while."""
        end = min(max(len(self.objects) * 3 // 2, _MIN_CYCLE), IPCMNI)
        index = self.next
        while index in self.objects:
            index += 1
        if index >= end:
            index = 0
            while index in self.objects:
                index += 1
        self.next = index + 1
        return index

    def find(self, id: int) -> Object:
        """ipc_obtain_object_check.  Raises OSError(EINVAL)."""
        found = self.objects.get(id & IPCMNI - 1) if id >= 0 else None
        if found is None or found.id != id:
            raise OSError(errno.EINVAL, "no such identifier")
        return found

    def at(self, index: int) -> Object:
        """The object at an index, as the *_STAT commands ask for it.  Raises OSError(EINVAL)."""
        found = self.objects.get(index & IPCMNI - 1)
        if found is None:
            raise OSError(errno.EINVAL, "nothing at this index")
        return found

    def highest(self) -> int:
        """The highest index in use, 0 if there is none: what the *_INFO commands answer."""
        return max(self.objects, default=0)

    def forget_key(self, gone: Object) -> None:
        """ipc_set_key_private: nobody finds the object by its key any more."""
        if gone.key != IPC_PRIVATE:
            del self.keys[gone.key]
            gone.key = IPC_PRIVATE

    def remove(self, gone: Object) -> None:
        """ipc_rmid."""
        if gone.key != IPC_PRIVATE:
            del self.keys[gone.key]
        del self.objects[gone.index]
        gone.deleted = True

    def rows(self) -> bytes:
        """What a file of /proc/sysvipc has below its heading."""
        return b"".join([self.objects[index].row() for index in sorted(self.objects)])


class IpcNamespace:
    """struct ipc_namespace: made when a program first uses any of it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._shm: ShmSegments | None = None
        self._sem: SemArrays | None = None
        self._msg: MsgQueues | None = None

    @property
    def shm(self) -> ShmSegments:
        if self._shm is None:
            from kernel.shm import ShmSegments

            self._shm = ShmSegments(self.kernel)
        return self._shm

    @property
    def sem(self) -> SemArrays:
        if self._sem is None:
            from kernel.sem import SemArrays

            self._sem = SemArrays(self.kernel)
        return self._sem

    @property
    def msg(self) -> MsgQueues:
        if self._msg is None:
            from kernel.msg import MsgQueues

            self._msg = MsgQueues(self.kernel)
        return self._msg

    def kind(self, name: bytes) -> IpcIds[Any]:
        """The objects that /proc/sysvipc lists under `name`."""
        return self.shm if name == b"shm" else self.sem if name == b"sem" else self.msg

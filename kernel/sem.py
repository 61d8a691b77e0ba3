"""System V semaphores: Linux's ``ipc/sem.c``, semget(2), semop(2), semctl(2).

Operations that cannot be done wait in queues as Linux keeps them, for their order can be seen: a simple one in
that of its semaphore, those on several semaphores, and while there are any all that alter, in that of the array.
Who makes an operation possible performs it for the sleeper, which only has to wake up.
"""

from __future__ import annotations

import errno
from array import array
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from kernel.ipc import IPC_NOWAIT, S_IRUGO, S_IWUGO, IpcIds, IpcObject
from kernel.semundo import SemUndoList
from kernel.task import Interrupted
from vfs.wait import WaitQueue

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

SEM_UNDO = 0o10000
SEMVMX = 32767  # the largest value
SEMAEM = SEMVMX
SEMMNI, SEMMSL, SEMOPM = 32000, 32000, 500
SEMMNS = SEMMNI * SEMMSL
SEMUSZ = 20
_BYTES = 6  # of host memory for a semaphore
_UNDO_BYTES = 2

SEMID64_DS = Struct("<q8xq8xQ16x")
"""struct semid64_ds behind its ipc64_perm: otime, ctime, nsems."""
SEMINFO = Struct("<10i")


class SemBuf(NamedTuple):
    """struct sembuf."""

    number: int
    op: int
    flags: int


class SemOp:
    """struct sem_queue: a semop(2) in progress.  `status` is its result once somebody else has decided it."""

    __slots__ = ("alters", "blocking", "pid", "sops", "status", "undo", "wait")

    def __init__(self, pid: int, sops: list[SemBuf], undo: SemUndo | None) -> None:
        self.pid = pid
        self.sops = sops
        self.undo = undo
        self.alters = bool(sops[0].op) if len(sops) == 1 else any(sop.op for sop in sops)
        self.blocking: SemBuf | None = None
        self.status: int | None = None
        self.wait = WaitQueue()

    def finish(self, status: int) -> None:
        self.status = status
        self.wait.wake()


class SemUndo:
    """struct sem_undo: what one list takes back on one array."""

    __slots__ = ("adjust", "owner")

    def __init__(self, owner: SemUndoList, count: int) -> None:
        self.owner = owner
        self.adjust = array("h", bytes(2 * count))


class SemArray(IpcObject):
    """struct sem_array."""

    def __init__(self, arrays: SemArrays, key: int, flags: int, count: int) -> None:
        super().__init__(arrays.kernel, key, flags)
        self.arrays = arrays
        self.count = count
        self.otime = 0
        self.values = array("h", bytes(2 * count))
        self.pids = array("i", bytes(4 * count))
        self.undos: list[SemUndo] = []
        self.complex = 0  # sleeping operations on several semaphores
        # Those that alter and those that wait for zero, of one semaphore and of the array
        self.alter: dict[int, list[SemOp]] = {}
        self.zero: dict[int, list[SemOp]] = {}
        self.all_alter: list[SemOp] = []
        self.all_zero: list[SemOp] = []

    def stat(self) -> bytes:
        """struct semid64_ds."""
        return self.perm() + SEMID64_DS.pack(self.otime, self.ctime, self.count)

    def row(self) -> bytes:
        """Its line in /proc/sysvipc/sem."""
        return b"%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n" % (
            self.key, self.id, self.mode, self.count, self.uid, self.gid, self.cuid, self.cgid, self.otime, self.ctime,
        )  # fmt: skip

    # Operations

    def perform(self, op: SemOp) -> int:
        """perform_atomic_semop: 0 if all of it was done, 1 if it has to wait, else nothing was and it is -errno."""
        values = self.values
        if op.undo is None and len(op.sops) == 1:  # the usual case
            number, change, _ = op.sops[0]
            value = values[number]
            if value + change >= 0 and value + change <= SEMVMX and (change or not value):
                values[number] = value + change
                self.pids[number] = op.pid
                return 0
        before: dict[int, int] = {}
        undo = op.undo
        adjusted: dict[int, int] = {}
        result = 0
        for sop in op.sops:
            value = values[sop.number]
            if (not sop.op and value) or value + sop.op < 0:
                op.blocking = sop
                result = -errno.EAGAIN if sop.flags & IPC_NOWAIT else 1
                break
            if value + sop.op > SEMVMX:
                result = -errno.ERANGE
                break
            if sop.flags & SEM_UNDO:
                assert undo is not None
                adjust = undo.adjust[sop.number] - sop.op
                if not -SEMAEM - 1 <= adjust <= SEMAEM:
                    result = -errno.ERANGE
                    break
                adjusted.setdefault(sop.number, undo.adjust[sop.number])
                undo.adjust[sop.number] = adjust
            before.setdefault(sop.number, value)
            values[sop.number] = value + sop.op
        if result:
            for number, value in before.items():
                values[number] = value
            for number, value in adjusted.items():
                assert undo is not None
                undo.adjust[number] = value
            return result
        for number in before:
            self.pids[number] = op.pid
        return 0

    def enqueue(self, op: SemOp) -> None:
        """Let an operation wait."""
        number = op.sops[0].number
        if len(op.sops) > 1:
            if not self.complex:
                self._merge()
            self.complex += 1
            (self.all_alter if op.alters else self.all_zero).append(op)
        elif not op.alters:
            self.zero.setdefault(number, []).append(op)
        elif self.complex:
            self.all_alter.append(op)
        else:
            self.alter.setdefault(number, []).append(op)

    def unlink(self, op: SemOp) -> None:
        """An operation does not wait any more."""
        number = op.sops[0].number
        for queue in (self.all_alter, self.all_zero):
            if op in queue:
                queue.remove(op)
        for queues in (self.alter, self.zero):
            if op in queues.get(number, ()):
                queues[number].remove(op)
                if not queues[number]:
                    del queues[number]
        if len(op.sops) > 1:
            self.complex -= 1

    def _merge(self) -> None:
        """merge_queues: the first operation on several semaphores comes."""
        for number in sorted(self.alter):
            self.all_alter[:0] = self.alter[number]
        self.alter.clear()

    def unmerge(self) -> None:
        """unmerge_queues: when an operation is over, and none on several semaphores waits any more."""
        if not self.complex and self.all_alter:
            for op in self.all_alter:
                self.alter.setdefault(op.sops[0].number, []).append(op)
            self.all_alter.clear()

    def update(self, sops: list[SemBuf] | None, did: bool) -> None:
        """do_smart_update: values have changed, by `sops` or (None) any of them; perform what is possible now.
        `did`: this counts as an operation."""
        if not (self.alter or self.zero or self.all_alter or self.all_zero):  # nobody waits
            if did:
                self.otime = self.now()
            return
        did = self._wake_zero(sops) or did
        if self.all_alter:
            did = self._update_queue(-1) or did
        else:
            numbers = sorted(self.alter) if sops is None else [sop.number for sop in sops if sop.op > 0]
            for number in numbers:
                did = self._update_queue(number) or did
        if did:
            self.otime = self.now()
        self.unmerge()

    def _wake_zero(self, sops: list[SemBuf] | None) -> bool:
        """do_smart_wakeup_zero: perform what waits for a semaphore to be 0."""
        if not self.zero and not self.all_zero:
            return False
        changed = list(range(self.count)) if sops is None else [sop.number for sop in sops]
        zeros = [number for number in changed if not self.values[number]]
        did = False
        for number in zeros:
            did = self._wake_const(self.zero.get(number)) or did
        return (bool(zeros) and self._wake_const(self.all_zero)) or did

    def _wake_const(self, queue: list[SemOp] | None) -> bool:
        did = False
        for op in tuple(queue or ()):
            result = self.perform(op)
            if result <= 0:
                self.unlink(op)
                op.finish(result)
                did = did or not result
        return did

    def _update_queue(self, number: int) -> bool:
        """update_queue: perform what waits to alter semaphore `number` (-1: the array), in order."""
        did = False
        again = True
        while again:
            again = False
            for op in tuple(self.all_alter if number < 0 else self.alter.get(number, ())):
                if number >= 0 and not self.values[number]:
                    break
                result = self.perform(op)
                if result > 0:
                    continue
                self.unlink(op)
                if not result:
                    did = True
                    self._wake_zero(op.sops)
                    again = bool(self.all_alter) or len(op.sops) > 1
                op.finish(result)
                if again:
                    break
        return did

    def waiting(self, number: int, for_zero: bool) -> int:
        """count_semcnt: how many wait for a semaphore to be 0, or to grow."""
        found = len(self.zero.get(number, ()) if for_zero else self.alter.get(number, ()))
        for op in self.all_alter + (self.all_zero if for_zero else []):
            sop = op.blocking
            if sop is not None and sop.number == number:
                found += not sop.op if for_zero else sop.op < 0
        return found

    # Values set from outside

    def set(self, number: int, value: int, pid: int) -> None:
        """SETVAL."""
        for undo in self.undos:
            undo.adjust[number] = 0
        self.values[number] = value
        self.pids[number] = pid
        self.ctime = self.now()
        self.update(None, False)

    def set_all(self, values: array[int], pid: int) -> None:
        """SETALL."""
        for undo in self.undos:
            undo.adjust = array("h", bytes(2 * self.count))
        self.values = values
        self.pids = array("i", [pid]) * self.count
        self.ctime = self.now()
        self.update(None, False)

    def take_back(self, undo: SemUndo, pid: int) -> None:
        """exit_sem: add what a list that is gone has collected."""
        self.undos.remove(undo)
        self.arrays.charge(-_UNDO_BYTES * self.count)
        for number, adjust in enumerate(undo.adjust):
            if adjust:
                self.values[number] = min(max(self.values[number] + adjust, 0), SEMVMX)
                self.pids[number] = pid
        self.update(None, True)

    def check_number(self, number: int) -> None:
        """Whether there is a semaphore of this number.  Raises OSError(EINVAL)."""
        if not 0 <= number < self.count:
            raise OSError(errno.EINVAL, "no such semaphore")


class SemArrays(IpcIds[SemArray]):
    """All arrays, with the limits of kernel.sem."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, SEMMNI)
        self.most_in_array = SEMMSL
        self.most = SEMMNS
        self.most_ops = SEMOPM
        self.semaphores = 0  # used_sems
        self.bytes = 0  # of the host's memory, for these and what is taken back

    def charge(self, size: int) -> None:
        """Take host memory.  Raises OSError(ENOMEM) for more than an eighth of what guests may have."""
        if size > 0 and self.bytes + size > self.kernel.memory_limit // 8:
            raise OSError(errno.ENOMEM, "too much memory for semaphores")
        self.bytes += size

    def semget(self, task: Task, key: int, count: int, flags: int) -> int:
        """semget(2): the identifier.  Raises OSError EINVAL, ENOSPC, ENOMEM and those of `get`."""
        if not 0 <= count <= self.most_in_array:
            raise OSError(errno.EINVAL, "not a number of semaphores")

        def fits(found: SemArray) -> None:
            if count > found.count:
                raise OSError(errno.EINVAL, "the array has fewer")

        return self.get(task, key, flags, lambda: self._new(key, count, flags), fits).id

    def _new(self, key: int, count: int, flags: int) -> SemArray:
        if not count:
            raise OSError(errno.EINVAL, "an empty array")
        if self.semaphores + count > self.most:
            raise OSError(errno.ENOSPC, "too many semaphores")
        self.room()
        self.charge(_BYTES * count)
        self.semaphores += count
        return SemArray(self, key, flags, count)

    def remove(self, gone: SemArray) -> None:
        """freeary: whoever waits hears of it."""
        super().remove(gone)
        self.semaphores -= gone.count
        self.charge(-_BYTES * gone.count - _UNDO_BYTES * gone.count * len(gone.undos))
        for undo in gone.undos:
            del undo.owner.undos[gone]
        queues = [gone.all_zero, gone.all_alter]
        for number in sorted({*gone.zero, *gone.alter}):
            queues += [gone.zero.get(number, []), gone.alter.get(number, [])]
        for queue in queues:
            for op in queue:
                op.finish(-errno.EIDRM)

    def semop(self, task: Task, id: int, sops: list[SemBuf]) -> tuple[SemArray, SemOp] | None:
        """semop(2): None if it is done, else what waits.  Raises OSError EINVAL, EFBIG, EACCES, EAGAIN, ERANGE,
        ENOMEM."""
        flags = highest = 0
        for sop in sops:
            flags |= sop.flags
            highest = max(highest, sop.number)
        undo = self._undo(task, id) if flags & SEM_UNDO else None
        found = self.find(id)
        if highest >= found.count:
            raise OSError(errno.EFBIG, "no such semaphore")
        op = SemOp(task.tgid, sops, undo)
        found.check(task, S_IWUGO if op.alters else S_IRUGO)
        result = found.perform(op)
        if not result:
            if op.alters:
                found.update(sops, True)
            else:
                found.otime = found.now()
            return None
        if result < 0:
            raise OSError(-result, "cannot be done")
        found.enqueue(op)
        return found, op

    @staticmethod
    async def sleep(task: Task, found: SemArray, op: SemOp, timeout_ns: int | None) -> int:
        """Wait until an operation is done for us.  Raises OSError EAGAIN (time-out), EIDRM, ERANGE; Interrupted."""
        try:
            while op.status is None:
                if not await task.wait(op.wait, timeout_ns=timeout_ns) and op.status is None:
                    raise OSError(errno.EAGAIN, "timed out")
        except Interrupted:
            if op.status is None:
                raise
        finally:
            if op.status is None:
                found.unlink(op)
                found.unmerge()
        return op.status

    # What is taken back

    def _undo(self, task: Task, id: int) -> SemUndo:
        """find_alloc_undo."""
        if task.undo_list is None:
            task.undo_list = SemUndoList()
        found = self.find(id)
        undo = task.undo_list.undos.get(found)
        if undo is None:
            self.charge(_UNDO_BYTES * found.count)
            undo = task.undo_list.undos[found] = SemUndo(task.undo_list, found.count)
            found.undos.insert(0, undo)
        return undo

    def limits(self) -> bytes:
        """IPC_INFO: struct seminfo."""
        return self._info(SEMUSZ, SEMAEM)

    def usage(self) -> bytes:
        """SEM_INFO: the same with the numbers of arrays and semaphores."""
        return self._info(len(self.objects), self.semaphores)

    def _info(self, size: int, last: int) -> bytes:
        return SEMINFO.pack(
            SEMMNS, self.limit, self.most, SEMMNS, self.most_in_array, self.most_ops, SEMOPM, size, SEMVMX, last
        )

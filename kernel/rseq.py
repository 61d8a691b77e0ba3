"""Restartable sequences (rseq(2)): short code that is started over if its task is interrupted in it."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.task import Task

CPU_ID_UNINITIALIZED = 0xFFFF_FFFF
ORIGINAL_SIZE = 32
SIGNATURE_SIZE = 4

_CURRENT = Struct("<II")  # cpu_id_start, cpu_id
_CS_OFFSET, _NODE_OFFSET = 8, 20  # rseq_cs; node_id, mm_cid
_CRITICAL = Struct("<IIQQQ")  # struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip


class Rseq:
    """A thread's registration: where its struct rseq is, the size given and the abort signature."""

    __slots__ = ("address", "signature", "size")

    def __init__(self, address: int, size: int, signature: int) -> None:
        self.address = address
        self.size = size
        self.signature = signature

    def publish(self, task: Task, cpu: int) -> None:
        """Write the processor the task runs on.  Raises OSError(EFAULT)."""
        task.mm.write(self.address, _CURRENT.pack(0 if cpu == CPU_ID_UNINITIALIZED else cpu, cpu))
        task.mm.write(self.address + _NODE_OFFSET, bytes(8))

    def interrupt(self, task: Task, pc: int) -> int:
        """Where to go on at an interruption at `pc`: the abort handler of the critical section it lies
        in, else `pc` (rseq_ip_fixup).  Raises OSError(EFAULT) for a section that cannot be trusted."""
        mm = task.mm
        section = mm.u64(self.address + _CS_OFFSET)
        if not section:
            return pc
        version, _flags, start, length, abort = mm.unpack(_CRITICAL, section)
        limit = task.kernel.arch.TASK_SIZE
        if version or max(start, start + length, abort) >= limit or start <= abort < start + length:
            raise OSError(errno.EFAULT, "not a critical section")
        inside = start <= pc < start + length
        if inside and mm.u32(abort - SIGNATURE_SIZE) != self.signature:
            raise OSError(errno.EFAULT, "the abort handler lacks the signature")
        mm.put_u64(self.address + _CS_OFFSET, 0)
        return abort if inside else pc

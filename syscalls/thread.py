"""The calling thread: its exit, its exit notifications, its registers and restartable sequences."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.exit import do_group_exit
from kernel.ptrace import REALCREDS, check_access
from kernel.rseq import CPU_ID_UNINITIALIZED, ORIGINAL_SIZE, Rseq
from syscalls.abi import Int, Ptr, UInt, ULong

if TYPE_CHECKING:
    from kernel.task import Task

ROBUST_LIST_HEAD_SIZE = 24
RSEQ_FLAG_UNREGISTER = 1
RSEQ_ALIGNMENT = 32
MEMBARRIER_GLOBAL, MEMBARRIER_GLOBAL_EXPEDITED, MEMBARRIER_REGISTER_GLOBAL = 1, 2, 4
MEMBARRIER_PRIVATE_RSEQ, MEMBARRIER_REGISTRATIONS = 128, 512
# What each registration allows: private, private with a synchronised core, private with rseq
MEMBARRIER_REGISTERS = {16: 8, 64: 32, 256: MEMBARRIER_PRIVATE_RSEQ}


def sys_set_tid_address(t: Task, address: Ptr) -> int:
    """set_tid_address(2)."""
    t.clear_child_tid = address
    return t.tid


def sys_set_robust_list(t: Task, head: Ptr, size: ULong) -> int:
    """set_robust_list(2)."""
    if size != ROBUST_LIST_HEAD_SIZE:
        return -errno.EINVAL
    t.robust_list = head
    return 0


def sys_get_robust_list(t: Task, pid: Int, head: Ptr, size: Ptr) -> int:
    """get_robust_list(2)."""
    target = t.kernel.tasks.get(pid) if pid else t
    if target is None:
        return -errno.ESRCH
    check_access(t, target, REALCREDS)
    t.mm.put_u64(size, ROBUST_LIST_HEAD_SIZE)
    t.mm.put_u64(head, target.robust_list)
    return 0


def sys_rseq(t: Task, address: Ptr, size: UInt, flags: Int, signature: UInt) -> int:
    """rseq(2).  There is one processor, number 0."""
    current = t.rseq
    if flags & RSEQ_FLAG_UNREGISTER:
        if flags != RSEQ_FLAG_UNREGISTER or current is None or (current.address, current.size) != (address, size):
            return -errno.EINVAL
        if current.signature != signature:
            return -errno.EPERM
        current.publish(t, CPU_ID_UNINITIALIZED)
        t.rseq = None
        return 0
    if flags:
        return -errno.EINVAL
    if current is not None:
        if (current.address, current.size) != (address, size):
            return -errno.EINVAL
        return -errno.EPERM if current.signature != signature else -errno.EBUSY
    if size < ORIGINAL_SIZE or address % RSEQ_ALIGNMENT:
        return -errno.EINVAL
    if address + size > t.kernel.arch.TASK_SIZE:
        return -errno.EFAULT
    rseq = Rseq(address, size, signature)
    rseq.publish(t, 0)
    t.rseq = rseq
    return 0


def sys_membarrier(t: Task, command: Int, flags: UInt, cpu: Int) -> int:
    """membarrier(2).  Tasks share one processor, where memory is always in order: only the rules are left."""
    allowed = {needed: register for register, needed in MEMBARRIER_REGISTERS.items()}
    if flags not in ((0, 1) if command == MEMBARRIER_PRIVATE_RSEQ else (0,)):
        return -errno.EINVAL
    if command == 0:
        return 2 * MEMBARRIER_REGISTRATIONS - 1
    if command in (MEMBARRIER_GLOBAL, MEMBARRIER_GLOBAL_EXPEDITED):
        return 0
    if command in MEMBARRIER_REGISTERS or command == MEMBARRIER_REGISTER_GLOBAL:
        t.mm.membarrier |= command
        return 0
    if command in allowed:
        return 0 if t.mm.membarrier & allowed[command] else -errno.EPERM
    return t.mm.membarrier if command == MEMBARRIER_REGISTRATIONS else -errno.EINVAL


def sys_arch_prctl(t: Task, code: Int, argument: ULong) -> int:
    """arch_prctl(2)."""
    kernel = t.kernel
    result: int = kernel.arch.arch_prctl(kernel.cpu, t.mm, code, argument)
    return result


def sys_exit(t: Task, status: Int) -> int:
    """_exit(2) of a thread; the last one takes the process with it."""
    t.exit_status = (status & 0xFF) << 8
    t.pending_work = True
    return 0


def sys_exit_group(t: Task, status: Int) -> int:
    """exit_group(2)."""
    do_group_exit(t, (status & 0xFF) << 8)
    return 0

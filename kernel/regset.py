"""The registers of a task, wherever it is: on the CPU, or waiting for it (Linux's ``task_user_regset_view``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emu.engine import RegisterSet
    from kernel.task import Task


def read_registers(task: Task, registers: RegisterSet) -> tuple[Any, ...]:
    """What `registers` hold in `task`, with what the kernel has still to put into them.  Not while guest code runs."""
    cpu = task.kernel.cpu
    values = cpu.read_set(registers) if task is task.kernel.current else cpu.read_saved(task.context, registers)
    late = dict(task.pending_registers or {})
    if task.result is not None:
        late[task.kernel.arch.RESULT] = task.result & (1 << 64) - 1
    if not late:
        return values
    words = tuple(late.get(name, value) for name, value in zip(registers.words, values, strict=False))
    return words + values[len(words) :]


def read_names(task: Task, names: tuple[str, ...]) -> tuple[int, ...]:
    """A few registers by name, of a task that is stopped or has the CPU."""
    cpu = task.kernel.cpu
    return cpu.read(names) if task is task.kernel.current else cpu.read_saved(task.context, names)


def write_names(task: Task, values: dict[str, int]) -> None:
    """Set them."""
    cpu = task.kernel.cpu
    if task is task.kernel.current:
        cpu.write(values)
    else:
        cpu.write_saved(task.context, tuple(values), tuple(values.values()))


def write_registers(task: Task, registers: RegisterSet, values: tuple[Any, ...]) -> None:
    """Set all of `registers` in a task that is stopped."""
    cpu = task.kernel.cpu
    if task is task.kernel.current:
        cpu.write_set(registers, values)
    else:
        cpu.write_saved(task.context, registers, values)


def call_in_progress(task: Task) -> int:
    """The number of the system call that `task` is in, -1 if none: what a debugger knows as orig_rax."""
    if task.call is not None or task.ptrace is not None:
        return task.call_number
    interrupted = task.signals.interrupted
    return -1 if interrupted is None else interrupted.number


def user_regs(task: Task) -> bytes:
    """The general registers as struct user_regs_struct."""
    regset = task.kernel.arch.regset()
    packed: bytes = regset.user_regs(read_registers(task, regset.GENERAL), call_in_progress(task))
    return packed


def set_user_regs(task: Task, data: bytes) -> None:
    """Set them from struct user_regs_struct, or its beginning.  Raises OSError(EIO)."""
    regset = task.kernel.arch.regset()
    words = regset.USER_REGS.unpack(data + user_regs(task)[len(data) :])
    values, call = regset.set_user_regs(words, read_registers(task, regset.GENERAL))
    write_registers(task, regset.GENERAL, values)
    task.call_number = call


def fpregs(task: Task) -> bytes:
    """The floating-point registers as struct user_fpregs_struct."""
    regset = task.kernel.arch.regset()
    packed: bytes = regset.fpregs(read_registers(task, regset.FLOATING))
    return packed


def set_fpregs(task: Task, data: bytes) -> None:
    """Set them from it, or its beginning.  Raises OSError(EINVAL)."""
    regset = task.kernel.arch.regset()
    write_registers(task, regset.FLOATING, regset.set_fpregs(data + fpregs(task)[len(data) :]))


def xstate(task: Task) -> bytes:
    """The same as the area of XSAVE."""
    regset = task.kernel.arch.regset()
    packed: bytes = regset.xstate(read_registers(task, regset.FLOATING))
    return packed


def set_xstate(task: Task, data: bytes) -> None:
    """Set them from it.  Raises OSError EINVAL, EFAULT (not all of it)."""
    if len(data) < len(xstate(task)):
        raise OSError(errno.EFAULT, "less than all of it")
    regset = task.kernel.arch.regset()
    write_registers(task, regset.FLOATING, regset.set_xstate(data))

"""System calls about which more is to be done than to make them: Linux's ``kernel/entry/common.c`` and
TIF_SYSCALL_WORK.

The trap asks nothing and so costs nothing more for a task without such work: the engine is given `syscall`
below in its place, when a task with `Task.syscall_work` gets the CPU (`Kernel.choose_entry`).  Calls of the
vDSO are none, and never come here.

seccomp(2) sets `Kernel.secure_computing`, asked about each call of a task with SECCOMP before it is made.  The
call's number and arguments are in `Kernel.call`.  Its answer: None, make the call; a result, for which the call
is not made; or a coroutine of one of these, for which the engine is left.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

SECCOMP = 1

_WORD = 0xFFFF_FFFF_FFFF_FFFF


def syscall(kernel: Kernel) -> int | None:
    """The trap, for a task with work: see `Kernel.syscall`, which serves the call if nobody objects."""
    task = kernel.current
    assert kernel.secure_computing is not None
    answer = kernel.secure_computing(task)
    if answer is None:
        return kernel.syscall()
    kernel.trace_enter(task)
    if answer.__class__ is int and not task.pending_work:
        kernel.trace_leave(task, answer)
        return int(answer) & _WORD
    task.call = _given(answer) if answer.__class__ is int else _serve(task, answer)
    return None


async def _given(answer: int) -> int:
    return answer


async def _serve(task: Task, answer: Coroutine[Any, Any, int | None]) -> int:
    """A call that takes longer to decide about."""
    result = await answer
    return await make(task) if result is None else result


async def make(task: Task) -> int:
    """Make the call that is in the registers of `task`, which has the CPU, and in `Task.call_number`."""
    load(task)
    kernel = task.kernel
    handler, unpack = kernel.calls[task.call_number]
    result = handler(task, *unpack(kernel.cpu.call, 8))
    return result if result.__class__ is int else await result


def load(task: Task) -> None:
    """Put a call that has waited before it was made back into `Kernel.call`: others have made calls since, and
    a tracer may have changed it."""
    kernel = task.kernel
    kernel.cpu.read_call()
    kernel.call[0] = task.call_number
    task.call_first = kernel.call[1]

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

from kernel import sigdeliver
from kernel.errnos import LINUX_ERRNO, linux_errno
from kernel.task import NO_RESULT, NOT_A_CALL, Interrupted

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

SECCOMP, TRACE, STEP, EMU = 1, 2, 4, 8
"""Of `Task.syscall_work`: filters; a tracer that is shown each call; one that steps, and stops behind it; one that
serves the calls itself."""
AFTER = TRACE | STEP

_WORD = 0xFFFF_FFFF_FFFF_FFFF


def syscall(kernel: Kernel) -> int | None:
    """The trap, for a task with work: see `Kernel.syscall`, which serves the call if nobody objects."""
    task = kernel.current
    if task.syscall_work & ~SECCOMP:
        kernel.trace_enter(task)
        kernel.arch.enter_call(kernel.cpu, step=bool(task.syscall_work & STEP))
        task.call = _trace(task)
        return None
    answer = _secure(task)
    if answer is None:
        return kernel.syscall()
    kernel.trace_enter(task)
    if answer.__class__ is int and not task.pending_work:
        kernel.trace_leave(task, answer)
        return int(answer) & _WORD
    task.call = _given(answer) if answer.__class__ is int else _serve(task, answer)
    return None


def _secure(task: Task) -> Any:
    assert task.kernel.secure_computing is not None
    return task.kernel.secure_computing(task)


async def _given(answer: int) -> int:
    return answer


async def _serve(task: Task, answer: Coroutine[Any, Any, int | None]) -> int:
    """A call that takes longer to decide about."""
    result = await answer
    return await make(task) if result is None else result


async def _trace(task: Task) -> int:
    """A call with a stop before it, where the tracer may make another of it, and one after it (do_syscall_64)."""
    from kernel import ptrace

    kernel = task.kernel
    emulated = task.syscall_work & EMU
    if task.syscall_work & (TRACE | EMU):
        await ptrace.report_syscall(task, ptrace.SYSCALL_ENTRY)
    if emulated or ptrace.is_killed(task):
        if kernel.tracers and task.exit_status is None:
            kernel.trace_leave(task, _result(kernel))
        return NOT_A_CALL
    result: int = NO_RESULT
    answer: Any = None
    try:
        if task.syscall_work & SECCOMP:
            load(task)
            answer = _secure(task)
            if answer is not None and answer.__class__ is not int:
                answer = await answer
        if answer is not None:
            result = answer
        elif task.call_number & 0xFFFF_FFFF != 0xFFFF_FFFF:
            result = await make(task)
        if result < 0 and LINUX_ERRNO is not None and result > NO_RESULT:
            result = -LINUX_ERRNO.get(-result, 5)
    except OSError as error:
        result = -linux_errno(error)
    except Interrupted as broken:
        broken.__traceback__ = None
        result = sigdeliver.interrupt(task, broken.rule)
    if result > NO_RESULT:
        kernel.cpu.set_result(result)
    if task.signals.returning:
        task.signals.returning = False
        sigdeliver.sigreturn(task)
    if task.exit_status is None:
        await leave(task)
        if kernel.tracers:
            kernel.trace_leave(task, _result(kernel))
    return NOT_A_CALL


def _result(kernel: Kernel) -> int:
    value = kernel.cpu.read((kernel.arch.RESULT,))[0]
    return value - (value >> 63 << 64)


async def leave(task: Task) -> int:
    """What there is to do after a call (syscall_exit_work): of one, too, that began before there was."""
    from kernel import ptrace

    if task.syscall_work & STEP:
        ptrace.report_step(task)
    elif task.syscall_work & TRACE:
        await ptrace.report_syscall(task, ptrace.SYSCALL_EXIT)
    return NOT_A_CALL


async def make(task: Task) -> int:
    """Make the call that is in the registers of `task`, which has the CPU, and in `Task.call_number`."""
    load(task)
    kernel = task.kernel
    result = kernel.calls[task.call_number](task)
    return result if result.__class__ is int else await result


def load(task: Task) -> None:
    """Put a call that has waited before it was made back into `Kernel.call`: others have made calls since, and
    a tracer may have changed it."""
    kernel = task.kernel
    kernel.cpu.read_call()
    number, first = kernel.cpu.call_slots[:2]
    kernel.call[number] = task.call_number & _WORD
    task.call_first = kernel.call[first]

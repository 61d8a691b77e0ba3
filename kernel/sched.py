"""The run loop: who has the CPU, what waits, and what happens between two stretches of guest code.

One kernel thread, no locks (DESIGN.md section 5).  A task is either on the CPU, or in a call that
waits: a coroutine suspended in `Task.wait`.  The loop sleeps in one place, `_idle`, on one host
poll of every descriptor somebody waits for, the pipe through which the host's signals wake us, and
the nearest deadline.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from emu.engine import EXEC, Exit
from kernel import fault as memory
from kernel import siginfo, signal
from kernel.task import Interrupted, Task
from vfs.wait import HostQueue

if TYPE_CHECKING:
    from kernel.kernel import Kernel

SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR = 1, 2, 2
LONGEST_SLEEP = 10**15  # nanoseconds; what the host's calls take without overflow, after which we look again
FD_SETSIZE = 1024


def run(kernel: Kernel, task: Task) -> int:
    """Run `task` until it ends; its wait(2) status."""
    cpu = kernel.cpu
    while True:
        if task.call is not None:
            _advance(kernel, task)
        elif task.result is not None:
            cpu.write({kernel.arch.RESULT: task.result})
            task.result = None
        if task.pending_work and task.call is None:
            signal.deliver(task)
        if task.exit_status is not None:
            return _finish(kernel, task)
        if task.call is not None:
            continue
        reason = cpu.run()
        if reason is Exit.STOPPED:
            if task.call is not None:
                task.call_number = int.from_bytes(cpu.call[:8], "little")
                task.call_first = int.from_bytes(cpu.call[8:16], "little")
            continue
        if reason is Exit.PREEMPTED:
            events(kernel, task)
        elif reason is Exit.PAGE_FAULT:
            _page_fault(kernel, task)
        else:
            _trap(kernel, task, cpu.vector if reason is Exit.TRAP else kernel.arch.VECTOR_ILLEGAL)


def _advance(kernel: Kernel, task: Task) -> None:
    """Take a call that does not fit into the trap one step on, sleeping first if it waits."""
    value: bool | BaseException = True
    if task.waiting is not None:
        value = _sleep(kernel, task)
    result = kernel.drive(task, task.call, value)
    if result is None:
        for tracer in kernel.tracers:
            tracer.suspend(task)
        return
    from kernel.kernel import NO_RESULT

    if result != NO_RESULT:
        kernel.cpu.write({kernel.arch.RESULT: result})
    if kernel.tracers and task.exit_status is None:
        if task.signals.interrupted is not None:
            result = signal.restart_code(task.signals, task.signals.interrupted)
        kernel.trace_leave(task, 0 if result == NO_RESULT else result)


def _sleep(kernel: Kernel, task: Task) -> bool | BaseException:
    """Until a queue is woken (True), the deadline passes (False) or a signal is to be handled."""
    waiting = task.waiting
    assert waiting is not None
    task.woken = False

    def wake() -> None:
        task.woken = True

    for queue in waiting.queues:
        queue.add(wake)
    try:
        while True:
            events(kernel, task)
            if task.signals.deliverable:
                task.pending_work = True
                return Interrupted()
            if task.woken:
                return True
            now = kernel.clock.monotonic_ns()
            if waiting.deadline is not None and now >= waiting.deadline:
                return False
            if _idle(kernel, waiting.queues, waiting.deadline, now):
                return True
    finally:
        for queue in waiting.queues:
            queue.remove(wake)


def events(kernel: Kernel, task: Task) -> None:
    """What came from outside: the host's signals and timers that are due."""
    kernel.cpu.kicked = False
    hosts = kernel.host_signals
    if hosts is not None:
        for signo in hosts.take():
            signal.send(task, siginfo.from_host(signo))
    if kernel.timers.next() is not None:
        kernel.timers.expire(kernel.clock.monotonic_ns())


def _idle(kernel: Kernel, queues: tuple[object, ...], deadline: int | None, now: int) -> bool:
    """Sleep on the host; True if one of the host descriptors in `queues` is ready."""
    timer = kernel.timers.next()
    if timer is not None and (deadline is None or timer < deadline):
        deadline = timer
    hosts = kernel.host_signals
    wanted: dict[int, int] = {}
    for queue in queues:
        if isinstance(queue, HostQueue):
            wanted[queue.fd] = wanted.get(queue.fd, 0) | queue.events
    timeout = None if deadline is None else min(max(0, deadline - now), LONGEST_SLEEP)
    wake_fd = hosts.wake_fd if hosts is not None else -1
    if (wanted or wake_fd >= FD_SETSIZE) and hasattr(select, "poll"):
        poller = select.poll()
        for fd, mask in wanted.items():
            poller.register(fd, mask)
        if wake_fd >= 0:
            poller.register(wake_fd, select.POLLIN)
        # Rounded up, so that a deadline has passed when we look.
        ready = poller.poll(None if timeout is None else -(-timeout // 1_000_000))
        return any(fd != wake_fd for fd, _ in ready)
    # A mere sleep takes this way everywhere: it is not rounded to milliseconds.
    reading = [fd for fd, mask in wanted.items() if mask & 1]
    writing = [fd for fd, mask in wanted.items() if mask & 4]
    watched = [*reading, wake_fd] if wake_fd >= 0 else reading
    got = select.select(watched, writing, [], None if timeout is None else timeout / 1e9)
    return any(fd != wake_fd for fd in (*got[0], *got[1]))


def _trap(kernel: Kernel, task: Task, vector: int) -> None:
    """A processor exception becomes a signal."""
    signo, code, address, trap = kernel.arch.trap_signal(kernel.cpu, vector, task.signals.trap)
    signal.force_signal(task, signo, code, address, trap=trap)


def _page_fault(kernel: Kernel, task: Task) -> None:
    """An access the address space refused becomes a signal (do_user_addr_fault)."""
    cpu = kernel.cpu
    address, access = cpu.fault_address, cpu.fault_access
    mm = task.mm
    if access == EXEC and mm.fault(address, EXEC):
        return
    reason = mm.refusal
    if reason == memory.OUT_OF_MEMORY:
        # The OOM killer's choice is easy: there is one process to blame.
        signal.send(task, siginfo.from_kernel(signal.SIGKILL))
        return
    trap = kernel.arch.page_fault_trap(address, access, bool(task.mm.pages.get(address >> 12, 0) & 7))
    if not kernel.arch.canonical(address):
        _trap(kernel, task, kernel.arch.VECTOR_PROTECTION)
    elif reason == memory.BEYOND_FILE:
        signal.force_signal(task, signal.SIGBUS, BUS_ADRERR, address, trap=trap)
    else:
        code = SEGV_MAPERR if reason == memory.NOT_MAPPED else SEGV_ACCERR
        signal.force_signal(task, signal.SIGSEGV, code, address, trap=trap)


def _finish(kernel: Kernel, task: Task) -> int:
    """do_exit: give everything back."""
    status = task.exit_status
    assert status is not None
    if kernel.tracers:
        for tracer in kernel.tracers:
            tracer.exit(task, status)
    task.files.close_all()
    task.mm.release()
    del kernel.tasks[task.tid]
    return status

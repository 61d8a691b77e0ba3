"""The scheduler: who has the CPU, what waits, and what happens between two stretches of guest code.

One kernel thread, no locks (docs/tasks.md).  A task is on the CPU, in the run queue
(`Kernel.run_queue`), or asleep: in a call whose coroutine is suspended in `Task.wait`, or stopped by a
signal.  A sleeping task has armed what can wake it: a callback in each wait queue, a timer for its
deadline; signals make it ready too (kernel/signal.py).  The loop sleeps in one place, `_idle`, on one
host poll of every descriptor somebody waits for, the pipe through which the host's signals wake us, and
the nearest deadline.

Who is next, kernel/runqueue.py says.  While somebody is ready, or waits for the host, the task on the CPU
is kicked by a tick every few milliseconds and compared with the others.
"""

from __future__ import annotations

import select
from functools import partial
from typing import TYPE_CHECKING

from emu.engine import EXEC, Exit
from kernel import entry, posix_cpu_timers, sigdeliver, siginfo, signal
from kernel import exit as end
from kernel import fault as memory
from kernel.errnos import LINUX_ERRNO, linux_errno
from kernel.fallback import lacks_instruction
from kernel.task import NO_RESULT, NOT_A_CALL, Again, Interrupted, Task
from kernel.task_work import task_work_run
from vfs.fscred import override_creds
from vfs.wait import HostQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.kernel import Kernel

SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR = 1, 2, 2
LONGEST_SLEEP = 10**15  # nanoseconds; what the host's calls take without overflow, after which we look again
FD_SETSIZE = 1024
# To look up a member of an enum takes as long as a call.
_STOPPED, _PREEMPTED, _PAGE_FAULT = Exit.STOPPED, Exit.PREEMPTED, Exit.PAGE_FAULT


def run(kernel: Kernel, init: Task) -> int:
    """Run `init` and all its descendants until it ends, which ends them too; its wait(2) status."""
    kernel.run_queue.exec_start = kernel.clock.host_cpu.now()
    posix_cpu_timers.update_rlimit_cpu(init)
    kernel.make_ready(init)
    kernel.idle = False
    cpu, queue, now = kernel.cpu, kernel.run_queue, kernel.clock.elapsed_ns
    going = schedule(kernel, None)
    while going:
        reason = cpu.run()
        if queue.guest_began:
            queue.user_ns += now() - queue.guest_began
            queue.guest_began = 0
            _left(kernel, kernel.current, reason)
        going = schedule(kernel, kernel.current)
    assert kernel.halted is not None
    _kill_the_rest(kernel)
    return kernel.halted


def within_trap(kernel: Kernel) -> Callable[[], int | None]:
    """`Supervisor.resume`: the same within the trap, while the engine stands still: it goes on with whoever has the CPU
    then.  To leave it and enter it again would take a tenth of a switch.  A closure, as the trap is."""
    queue, call = kernel.run_queue, kernel.call
    number, first = kernel.cpu.call_slots[:2]
    now, go_on = queue.elapsed_ns, kernel.cpu.go_on

    def resume() -> int | None:
        leave = kernel.leave_call
        task = kernel.current
        if leave is None or go_on is None or task.ptrace is not None:
            return None
        wall = now()
        made = call[number]
        leave(made)
        waits = task.call
        if waits is not None:
            task.call_number, task.call_first = made, call[first]
        if waits.__class__ is Again and not task.pending_work:
            task.waiting = waits.waiting
            queue.sleep(task, wall)
            _prepare_to_wait(kernel, task)
            going = schedule(kernel, None)
        else:
            queue.user_ns += wall - queue.guest_began
            queue.guest_began = 0
            going = schedule(kernel, task)
        result = go_on()
        if going and kernel.current.ptrace is None and kernel.leave_call is not None:
            return result
        queue.guest_began = 0  # the engine is left all the same, and all that there was to do then has been done
        return None

    return resume


def schedule(kernel: Kernel, task: Task | None) -> bool:
    """Have guest code ready to go on: that of `task`, which has the CPU, or of another.  False when the first process
    has ended."""
    queue = kernel.run_queue
    while kernel.halted is None:
        if task is None:
            if not queue.heap:
                _wait_for_work(kernel)
            task = queue.pop()
            if task is not kernel.current:
                _switch_to(kernel, task)
            if kernel.has_cpu_timers and (task.cpu_timers is not None or task.signals.shared.cpu_timers is not None):
                posix_cpu_timers.program(kernel)
        if _goes_on(kernel, task):
            return True
        task = None
        if kernel.cpu_alarm is not None:
            kernel.timers.cancel(kernel.cpu_alarm)
            kernel.cpu_alarm = None
    return False


def _kill_the_rest(kernel: Kernel) -> None:
    """zap_pid_ns_processes: nobody outlives the first process."""
    for task in list(kernel.tasks.values()):
        if not task.zombie:
            task.exit_signal = 0
            end.kill_task(task, signal.SIGKILL)


def _wait_for_work(kernel: Kernel) -> None:
    """The idle task: sleep until somebody can run."""
    queue = kernel.run_queue
    kernel.idle = True
    while not queue.heap:
        events(kernel)
        if not queue.heap:
            _idle(kernel)
    kernel.idle = False
    kernel.clock.host_cpu.slept()
    queue.switches += 1  # from the idle task


def _switch_to(kernel: Kernel, task: Task) -> None:
    """context_switch: registers, address space, and whose rights the host checks."""
    previous = kernel.current
    cpu = kernel.cpu
    save, load = cpu.save, cpu.load  # to call functions in slots as methods takes longer
    context = previous.context
    if context is not None:  # a zombie has none
        save(context)
    kernel.current = task
    load(task.context)
    if task.pending_registers is not None:
        cpu.write(task.pending_registers)
        task.pending_registers = None
    if previous.mm is not task.mm:
        cpu.switch_page_table(task.mm.pages)
    if task.syscall_work or kernel.syscall_work:
        kernel.choose_entry(task)
    if previous.cred is not task.cred:
        override_creds(task.cred)


def _goes_on(kernel: Kernel, task: Task) -> bool:
    """Do what there is to do before the guest code of `task` goes on; False if it sleeps, ends, or has to give way."""
    queue = kernel.run_queue
    late = False
    while True:
        if task.pending_work:
            if task.stopped:
                _leave(kernel, task)
                return False
            if task.task_works:
                task_work_run(task)
        if task.call is not None:
            if not _advance(kernel, task):
                return False
        elif task.result is not None:
            kernel.cpu.set_result(task.result)
            task.result = None
        if task.pending_work:
            if task.call is None:
                sigdeliver.deliver(task)
            if task.exit_status is not None:
                if task.ptrace is not None:
                    task.call = end.ptrace().exit_stop(task)
                    if task.call is not None:
                        continue
                _leave(kernel, task)
                end.do_exit(task)
                return False
            if task.stopped:
                _leave(kernel, task)
                return False
        if task.call is not None:
            continue
        if kernel.need_resched:
            kernel.need_resched = False
            if queue.preempts(task):
                if task.rseq is not None:
                    _preempt_rseq(kernel, task)
                queue.preempted(task)
                return False
        if not kernel.ticking and (queue.heap or kernel.host_waiters):
            kernel.start_tick()
        if kernel.watch_late:
            kernel.watch(kernel.timers.next())
        now = queue.elapsed_ns
        began = now()
        if began < kernel.watched or late:  # one that is late again: timers may be due faster than they are served
            queue.guest_began = began
            return True
        _left(kernel, task, _PREEMPTED)  # before it could begin
        late = True


def _left(kernel: Kernel, task: Task, reason: Exit) -> None:
    """The engine has been left, while `task` had the CPU."""
    if task.ptrace is not None:
        task.call_number = kernel.call_number() if reason is _STOPPED else -1
    if reason is _STOPPED:
        if task.call is not None:
            number, first = kernel.cpu.call_slots[:2]
            task.call_number, task.call_first = kernel.call[number], kernel.call[first]
        if task.pending_registers is not None:
            kernel.cpu.write(task.pending_registers)
            task.pending_registers = None
    elif reason is _PREEMPTED:
        kernel.run_queue.update_curr(task)  # so that who wakes now is placed beside it
        kernel.cpu.alarm.passed()
        kernel.watch_late = True
        events(kernel)
        kernel.need_resched = True
    elif reason is _PAGE_FAULT:
        _page_fault(kernel, task)
    elif reason is Exit.TRAP:
        _trap(kernel, task, kernel.cpu.vector)
    else:
        lacks_instruction(task)
        _trap(kernel, task, kernel.arch.VECTOR_ILLEGAL)


def _preempt_rseq(kernel: Kernel, task: Task) -> None:
    """Somebody else gets the processor: a restartable sequence starts over (__rseq_handle_notify_resume)."""
    assert task.rseq is not None
    pc = kernel.cpu.read((kernel.arch.PC,))[0]
    try:
        start_over = task.rseq.interrupt(task, pc)
    except OSError:
        signal.force_signal(task, signal.SIGSEGV)
        return
    if start_over != pc:
        kernel.cpu.write({kernel.arch.PC: start_over})


def _leave(kernel: Kernel, task: Task) -> None:
    """The task on the CPU cannot go on by itself."""
    task.ready = False
    queue = kernel.run_queue
    queue.sleep(task, queue.elapsed_ns())


def _advance(kernel: Kernel, task: Task) -> bool:
    """Take a call that does not fit into the trap one step on; False if the task sleeps now."""
    call = task.call
    again = call.__class__ is Again
    result: int | None
    try:
        if again and task.waiting is not None:
            attempt = call.attempt
            result = attempt()
            if result is None and _to_be_interrupted(task):
                raise Interrupted
        else:
            result = None
            if again:
                task.waiting = call.waiting
            elif task.waiting is None:
                task.waiting = call.send(None)
            elif not task.woken and _to_be_interrupted(task):
                task.waiting = call.throw(Interrupted())
            else:
                task.waiting = call.send(not task.timed_out)
    except StopIteration as done:
        result = done.value
        assert result is not None
        if result < 0 and LINUX_ERRNO is not None and result > NO_RESULT:
            result = -LINUX_ERRNO.get(-result, 5)
    except OSError as error:
        result = -linux_errno(error)
    except Interrupted as broken:
        broken.__traceback__ = None  # whose frames hold it: a circle that would keep files open
        code = sigdeliver.interrupt(task, broken.rule)
        # -EINTR, unless the signal's disposition says otherwise
        result = -4 if task.ptrace is None else code
    if result is None:
        for tracer in kernel.tracers:
            tracer.suspend(task)
        _arm(kernel, task)
        return task.ready
    if again and call.finish is not None:
        call.finish()
    task.call = task.waiting = None
    if result > NO_RESULT:
        kernel.cpu.set_result(result)
    if (kernel.tracers or task.syscall_work) and result != NOT_A_CALL and task.exit_status is None:
        if kernel.tracers:
            if task.signals.interrupted is not None:
                result = sigdeliver.restart_code(task.signals, task.signals.interrupted)
            kernel.trace_leave(task, 0 if result == NO_RESULT else result)
        if task.syscall_work & entry.AFTER:
            task.call = entry.leave(task)
    return True


def _to_be_interrupted(task: Task) -> bool:
    """Whether a signal, or a stop that a tracer asks for, breaks the wait off; one that waits for its vfork child
    only by SIGKILL.  A signal of the process that another thread was chosen for does not."""
    assert task.waiting is not None
    if not task.pending_work:
        return False
    if task.waiting[2]:
        return bool(task.signals.deliverable & signal.sigset(signal.SIGKILL))
    return bool(task.signals.deliverable) or (task.ptrace is not None and task.ptrace.trap != 0)


def _arm(kernel: Kernel, task: Task) -> None:
    """Put a task to sleep, unless there is something that is not to wait."""
    if task.pending_work and (task.task_works or _to_be_interrupted(task)):
        task.timed_out = task.woken = False
        return
    queue = kernel.run_queue
    queue.sleep(task, queue.elapsed_ns())
    _prepare_to_wait(kernel, task)


def _prepare_to_wait(kernel: Kernel, task: Task) -> None:
    """From here on whatever a task waits for makes it ready."""
    waiting = task.waiting
    assert waiting is not None
    task.timed_out = task.woken = task.ready = False
    wake = task.wake
    if wake is None:
        wake = task.wake = partial(kernel.make_ready, task)
    task.asleep = True
    for queue in waiting[0]:
        queue.add(wake)
        if type(queue) is HostQueue:
            kernel.host_waiters[wake] = waiting[0]
    if waiting[1] is not None:
        task.alarm = kernel.timers.add(waiting[1], partial(_expire, task))


def _expire(task: Task) -> None:
    task.timed_out = True
    task.kernel.make_ready(task, 0)


def disarm(task: Task) -> None:
    """A sleeping task wakes: nothing else is to wake it again."""
    task.asleep = False
    waiting = task.waiting
    if waiting is not None:
        wake = task.wake
        assert wake is not None
        for queue in waiting[0]:
            queue.remove(wake)
        if task.kernel.host_waiters:
            task.kernel.host_waiters.pop(wake, None)
    if task.alarm is not None:
        task.kernel.timers.cancel(task.alarm)
        task.alarm = None


def events(kernel: Kernel) -> None:
    """What came from outside: the host's signals, timers that are due, host descriptors that are ready."""
    kernel.cpu.kicked = False
    hosts = kernel.host_signals
    if hosts is not None:
        for signo in hosts.take():
            signal.send_from_host(kernel, signo)
    if kernel.debugger is not None:
        kernel.debugger.look()
    if kernel.timers.next() is not None:
        kernel.timers.expire(kernel.clock.monotonic_ns())
    if kernel.host_waiters and not kernel.idle:
        _poll_host(kernel, 0)


def _idle(kernel: Kernel) -> None:
    """Nobody can run: sleep on the host until something happens."""
    if kernel.cpu.alarm.armed:
        kernel.cpu.alarm.disarm()
        kernel.watch_late = True
    timer = kernel.timers.next()
    timeout = None
    if timer is not None:
        timeout = min(max(0, timer - kernel.clock.monotonic_ns()), LONGEST_SLEEP)
    _poll_host(kernel, timeout)
    kernel.clock.monotonic_ns()  # so that the vDSO is good for another while


def _poll_host(kernel: Kernel, timeout: int | None) -> None:
    """Wait up to `timeout` nanoseconds (None: for ever) for the host; wake whoever waits for what is ready."""
    wanted: dict[int, int] = {}
    for queues in kernel.host_waiters.values():
        for queue in queues:
            if type(queue) is HostQueue:
                wanted[queue.fd] = wanted.get(queue.fd, 0) | queue.events
    hosts = kernel.host_signals
    wake_fd = hosts.wake_fd if hosts is not None else -1
    if (wanted or wake_fd >= FD_SETSIZE) and hasattr(select, "poll"):
        poller = select.poll()
        for fd, mask in wanted.items():
            poller.register(fd, mask)
        if wake_fd >= 0:
            poller.register(wake_fd, select.POLLIN)
        # Rounded up, so that a deadline has passed when we look.
        ready = {fd for fd, _ in poller.poll(None if timeout is None else -(-timeout // 1_000_000))}
    else:
        # A mere sleep takes this way everywhere: it is not rounded to milliseconds.
        reading = [fd for fd, mask in wanted.items() if mask & 1]
        writing = [fd for fd, mask in wanted.items() if mask & 4]
        watched = [*reading, wake_fd] if wake_fd >= 0 else reading
        got = select.select(watched, writing, [], None if timeout is None else timeout / 1e9)
        ready = {*got[0], *got[1]}
    for wake, queues in list(kernel.host_waiters.items()):
        if any(isinstance(queue, HostQueue) and queue.fd in ready for queue in queues):
            wake(0)


def _trap(kernel: Kernel, task: Task, vector: int) -> None:
    """A processor exception becomes a signal."""
    tracee = task.ptrace
    if vector == kernel.arch.VECTOR_DEBUG:
        kernel.leave_call = None  # see there
        if tracee is None and _behind_call(kernel, task):
            _left(kernel, task, _STOPPED)
            return
    watched = vector == kernel.arch.VECTOR_DEBUG and tracee is not None and tracee.debug_registers is not None
    if watched and end.ptrace().debug_exception(task):
        return
    signo, code, address, trap = kernel.arch.trap_signal(kernel.cpu, vector, task.signals.trap)
    signal.force_signal(task, signo, code, address, trap=trap)


def _behind_call(kernel: Kernel, task: Task) -> bool:
    """Whether a single step ended behind a system call.  There the engine traps, and a processor does not: it is in the
    kernel meanwhile, and the next step is the instruction after it."""
    arch = kernel.arch
    pc = kernel.cpu.read((arch.PC,))[0]
    try:
        return bool(task.mm.read(pc - arch.SYSCALL_SIZE, arch.SYSCALL_SIZE) == arch.SYSCALL)
    except OSError:
        return False


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

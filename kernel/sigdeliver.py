"""Delivering signals: what becomes of a task that has some pending, before guest code goes on (get_signal,
handle_signal, rt_sigreturn(2))."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel import exit as end
from kernel import hostsignals
from kernel.siginfo import SigInfo
from kernel.signal import (
    DEFAULT_CORE,
    DEFAULT_IGNORE,
    DEFAULT_STOP,
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_RESTART,
    SA_RESTORER,
    SA_SIGINFO,
    SIG_DFL,
    SIG_IGN,
    SIGKILL,
    SIGSEGV,
    SIGSTOP,
    SS_AUTODISARM,
    UNBLOCKABLE,
    InterruptedCall,
    SigAction,
    SignalState,
    force_signal,
    restore_saved_mask,
    send_from_host,
    set_altstack,
    set_blocked,
)

if TYPE_CHECKING:
    from kernel.task import Task


def deliver(task: Task) -> None:
    """Act on every signal that can be delivered now (get_signal, handle_signal), then decide what
    becomes of an interrupted call.  The task's registers are on the CPU, which is not running.

    Sets `exit_status` where the default action ends the process, and leaves `pending_work` False
    where nothing more is to be looked at.
    """
    state = task.signals
    if state.returning:
        state.returning = False
        sigreturn(task)
        if task.kernel.tracers:
            value = task.kernel.cpu.read((task.kernel.arch.RESULT,))[0]
            task.kernel.trace_leave(task, value - (1 << 64) if value >> 63 else value)
    shared = state.shared
    while task.exit_status is None:
        if task.ptrace is None and state.injected is None:
            if shared.stop_signal:  # no longer traced: like the others
                task.stopped = True
                return
            blocked = state.blocked
            info = state.dequeue(blocked) if (state.pending.mask | shared.pending.mask) & ~blocked else None
        else:
            info = _next_of_traced(task)
            if task.call is not None or task.stopped:
                return
        if info is None:
            if state.interrupted is not None or task.ptrace is not None:
                settle_call(task, None)
            if state.saved_mask is not None:
                restore_saved_mask(task)
                if state.deliverable:
                    continue
            task.pending_work = False
            return
        for tracer in task.kernel.tracers:
            tracer.signal(task, info)
        signo = info.signo
        action = state.actions[signo]
        if action.handler == SIG_IGN:
            continue
        if action.handler != SIG_DFL:
            if action.flags & SA_RESETHAND:
                state.actions[signo] = action.without_handler()
            if state.interrupted is not None or task.ptrace is not None:
                settle_call(task, action)
            _enter_handler(task, action, info)
            if task.call is not None:
                return
            if task.ptrace is None and not (state.pending.mask | shared.pending.mask) & ~state.blocked:
                task.pending_work = False
                return
            continue
        bit = 1 << (signo - 1)
        if bit & DEFAULT_IGNORE:
            continue
        if bit & DEFAULT_STOP:
            _stop(task, signo)
            if task.stopped:
                return
            continue
        end.do_group_exit(task, signo | end.WCOREDUMP if bit & DEFAULT_CORE and _dump(task, info) else signo)


def _next_of_traced(task: Task) -> SigInfo | None:
    """The next signal of a task that is traced, or was when its tracer let a signal through.  Where the tracer is to
    be asked about it or about anything else first, that becomes `task.call`."""
    state = task.signals
    tracee = task.ptrace
    if tracee is not None and tracee.trap:
        task.call = end.ptrace().trap_stop(task)
        return None
    info, state.injected = state.injected, None
    if info is None:
        before = state.pending.mask, len(state.pending.queue)
        info = state.dequeue(state.blocked)
        if info is not None and info.signo != SIGKILL:
            own = before != (state.pending.mask, len(state.pending.queue))
            task.call = end.ptrace().signal_stop(task, info, own)
    return info


def _dump(task: Task, info: SigInfo) -> bool:
    from kernel.coredump import do_coredump

    return do_coredump(task, info)


def interrupt(task: Task, rule: str | None = None) -> int:
    """A signal has broken off the call that `task` is in, which is made again by `rule` or else by the one in the
    table; what it answers inside Linux, see `restart_code`."""
    kernel = task.kernel
    number = task.call_number
    pc = kernel.cpu.read((kernel.arch.PC,))[0] - kernel.arch.SYSCALL_SIZE
    rule = rule or kernel.calls.restart(number)
    call = task.signals.interrupted = InterruptedCall(number, pc, task.call_first, rule)
    return restart_code(task.signals, call)


def restart_code(state: SignalState, call: InterruptedCall) -> int:
    """What an interrupted call answers inside Linux, before settle_call decides: a tracer sees it."""
    if state.restart_block is not None:
        return -516  # ERESTART_RESTARTBLOCK
    return {"sys": -512, "again": -513, "never": -4}.get(call.rule, -514)  # ERESTARTSYS, NOINTR, EINTR, ERESTARTNOHAND


def _stop(task: Task, signo: int) -> None:
    """do_signal_stop.  With the first process lxrun itself stops, and whoever started it sees it; the
    SIGCONT that ends that stop is here before the program goes on."""
    if task.tgid != 1 or task.ptrace is not None:
        if signo != SIGSTOP and end.orphaned_group(task):
            return
        shared = task.signals.shared
        shared.stop_signal = signo
        for thread in shared.threads:
            if thread.ptrace is None:
                thread.stopped = thread.pending_work = not thread.zombie
            elif not thread.zombie:
                end.ptrace().group_stop(thread, task, signo)
        end.notify_stopped(shared.leader, signo)
        return
    hostsignals.stop(signo)
    hosts = task.kernel.host_signals
    if hosts is not None:
        for arrived in hosts.take_soon():
            send_from_host(task.kernel, arrived)


def settle_call(task: Task, action: SigAction | None) -> None:
    """What becomes of a call that a signal interrupted, signal(7).

    `action` is the handler about to run, or None if there is none.  Without one, a call goes on as if
    nothing had happened: it is made again or, if it has a deadline, continued by restart_syscall(2).
    Before a handler only "sys" calls are made again, and only with SA_RESTART.  Otherwise: EINTR.
    """
    state = task.signals
    call = state.interrupted if task.ptrace is None else end.ptrace().interrupted_call(task)
    state.interrupted = None
    if call is None:
        return
    kernel = task.kernel
    arch = kernel.arch
    number = call.number
    if state.restart_block is not None and (task.ptrace is None or call.rule == "block"):
        again = action is None
        number = arch.RESTART_SYSCALL
    elif call.rule == "sys":
        again = action is None or bool(action.flags & SA_RESTART)
    else:
        again = call.rule == "again" or (action is None and call.rule != "never")
    if again:
        kernel.cpu.write(arch.rewind(call.pc, number, call.first))
    else:
        state.restart_block = None
        kernel.cpu.write({arch.RESULT: -4})  # -EINTR


def _enter_handler(task: Task, action: SigAction, info: SigInfo) -> None:
    """handle_signal and signal_delivered: build the frame, block what the action says."""
    state = task.signals
    cpu = task.kernel.cpu
    arch = task.kernel.arch
    stack = state.altstack
    stepping = False
    if task.ptrace is not None:
        stepping = task.ptrace.stepping
        end.ptrace().step_off(task)
    blocked = state.blocked
    mask = blocked if state.saved_mask is None else state.saved_mask
    registers = cpu.read_raw(arch.FRAME_REGISTERS)
    sp, pc = arch.FRAME_POINTERS.unpack_from(registers)
    flags = action.flags
    top = sp - arch.RED_ZONE
    on_stack = False
    if stack.size:
        on_stack = stack.in_use(sp)
        if flags & SA_ONSTACK and stack.status(top) == 0:
            top = stack.base + stack.size
            on_stack = True
    try:
        if task.rseq is not None:
            start_over = task.rseq.interrupt(task, pc)
            if start_over != pc:
                cpu.write({arch.PC: start_over})
                registers = cpu.read_raw(arch.FRAME_REGISTERS)
        frame = arch.frame_address(top)
        if on_stack and not stack.holds(frame):
            raise OSError(errno.EFAULT, "the alternate stack is too small")
        state.frame = arch.push_frame(
            cpu, task.mm, frame, registers, info.signo, action.handler,
            action.restorer if flags & SA_RESTORER else None, info.pack() if flags & SA_SIGINFO else None,
            mask, (stack.base, stack.flags, stack.size), state.trap,
        )  # fmt: skip
    except OSError:
        # force_sigsegv: a SIGSEGV whose own frame cannot be built must not be tried again
        force_signal(task, SIGSEGV, fatal=info.signo == SIGSEGV)
        return
    if stack.flags & SS_AUTODISARM:
        stack.reset()
    state.saved_mask = None
    blocked |= action.mask
    if not flags & SA_NODEFER:
        blocked |= 1 << (info.signo - 1)
    state.blocked = blocked & ~UNBLOCKABLE
    if stepping:
        task.call = end.ptrace().step_stop(task)
    elif task.ptrace is not None:
        end.ptrace().watch(task)


def sigreturn(task: Task) -> None:
    """rt_sigreturn(2): go back to what the frame on the stack holds.  A frame that cannot be read or
    used is a SIGSEGV."""
    kernel = task.kernel
    arch = kernel.arch
    state = task.signals
    state.restart_block = None
    if task.ptrace is not None:
        task.call_number = -1
    try:
        mask, (base, flags, size), sp, late = arch.pop_frame(kernel.cpu, task.mm, state.frame)
    except OSError:
        force_signal(task, SIGSEGV)
        return
    if late is not None:
        kernel.leave_call = None
        if kernel.run_queue.guest_began:  # within the trap
            task.pending_registers = late
        else:
            kernel.cpu.write(late)
    set_blocked(task, mask)
    stack = state.altstack
    if (base, flags, size) == (stack.base, stack.flags, stack.size):
        return
    try:
        set_altstack(task, sp, base, size, flags, 0)
    except OSError:
        pass  # as Linux: returning on the stack itself must work

"""ptrace(2): what a tracer asks of, and does to, a task that is stopped for it (Linux's ``kernel/ptrace.c`` and
``arch/x86/kernel/ptrace.c``).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any

from kernel import entry, ptrace, remote, siginfo, signal
from kernel.ptrace import PTRACE_O_MASK, PTRACE_O_TRACESYSGOOD, Tracee
from kernel.regset import (
    call_in_progress,
    fpregs,
    read_names,
    set_fpregs,
    set_user_regs,
    set_xstate,
    user_regs,
    xstate,
)  # fmt: skip
from syscalls.abi import Long, Ptr, Result, ULong

if TYPE_CHECKING:
    from kernel.task import Task

TRACEME, PEEKTEXT, PEEKDATA, PEEKUSER, POKETEXT, POKEDATA, POKEUSER, CONT, KILL, SINGLESTEP = range(10)
GETREGS, SETREGS, GETFPREGS, SETFPREGS, ATTACH, DETACH, SYSCALL = 12, 13, 14, 15, 16, 17, 24
SYSEMU, SYSEMU_SINGLESTEP = 31, 32
SETOPTIONS, GETEVENTMSG, GETSIGINFO, SETSIGINFO, GETREGSET, SETREGSET, SEIZE, INTERRUPT, LISTEN = range(0x4200, 0x4209)
PEEKSIGINFO, GETSIGMASK, SETSIGMASK = 0x4209, 0x420A, 0x420B
GET_SYSCALL_INFO, GET_RSEQ_CONFIGURATION = 0x420E, 0x420F

NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE = 1, 2, 0x202
PEEKSIGINFO_SHARED = 1
NSIG_BYTES = 8

_IOVEC = Struct("<QQ")
_PEEK_ARGS = Struct("<QIi")  # off, flags, nr
_INFO = Struct("<BxxxIQQ")  # op, arch, instruction_pointer, stack_pointer
_INFO_ENTRY, _INFO_EXIT, _INFO_SECCOMP = Struct("<QQQQQQQ"), Struct("<qB"), Struct("<QQQQQQQI")
_RSEQ = Struct("<QIIIxxxx")


def sys_ptrace(t: Task, request: Long, pid: Long, addr: Ptr, data: ULong) -> Result:
    """ptrace(2)."""
    if request == TRACEME:
        ptrace.traceme(t)
        return 0
    task = t.kernel.tasks.get(pid)
    if task is None:
        raise OSError(errno.ESRCH, "no such task")
    if request in (ATTACH, SEIZE):
        if request == SEIZE and (addr or data & ~PTRACE_O_MASK):
            raise OSError(errno.EIO, "an address, or unknown options")
        stopped = ptrace.attach(t, task, data if request == SEIZE else 0, seize=request == SEIZE)
        return ptrace.trapping(t, task) if stopped else 0
    tracee = task.ptrace
    if tracee is None or tracee.tracer is not t:
        raise OSError(errno.ESRCH, "not the caller's tracee")
    if request == KILL:
        if not task.zombie:
            signal.send(task, siginfo.from_kernel(signal.SIGKILL), to_thread=True)
        return 0
    if request == INTERRUPT:
        return _interrupt(task, tracee)
    if not tracee.stopped or tracee.listening:
        raise OSError(errno.ESRCH, "not stopped")
    if request in _RESUMING:
        return _resume(task, tracee, request, data)
    handler = _REQUESTS.get(request)
    if handler is None:
        raise OSError(errno.EIO, "no such request")
    return handler(t, task, addr, data)


# Going on

_RESUMING = frozenset((CONT, SYSCALL, SINGLESTEP, SYSEMU, SYSEMU_SINGLESTEP, DETACH, LISTEN))


def _interrupt(task: Task, tracee: Tracee) -> int:
    """PTRACE_INTERRUPT."""
    if not tracee.seized or task.zombie:
        raise OSError(errno.EIO, "not seized")
    ptrace.ask(task, ptrace.TRAP_STOP)
    return 0


def _resume(task: Task, tracee: Tracee, request: int, data: int) -> int:
    """PTRACE_CONT, SYSCALL, SINGLESTEP, SYSEMU, DETACH and LISTEN (ptrace_resume)."""
    if request == LISTEN:
        if not tracee.seized or tracee.code >> 8 != ptrace.PTRACE_EVENT_STOP:
            raise OSError(errno.EIO, "not in a group stop")
        tracee.listening = True
        if tracee.trap & ptrace.TRAP_NOTIFY:
            ptrace.resume(tracee)
        return 0
    if data > signal.NSIG:
        raise OSError(errno.EIO, "no such signal")
    tracee.data = data
    if request == DETACH:
        ptrace.let_go(task)
        return 0
    task.kernel.set_syscall_work(task, entry.TRACE, request == SYSCALL)
    task.kernel.set_syscall_work(task, entry.EMU, request in (SYSEMU, SYSEMU_SINGLESTEP))
    if request in (SINGLESTEP, SYSEMU_SINGLESTEP):
        ptrace.step_on(task)
    ptrace.resume(tracee)
    return 0


# Memory and registers


def _peek(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_PEEKTEXT, PTRACE_PEEKDATA."""
    word = remote.read(task.mm, addr, 8)
    if len(word) < 8:
        raise OSError(errno.EIO, "not mapped")
    t.mm.write(data, word)
    return 0


def _poke(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_POKETEXT, PTRACE_POKEDATA."""
    if remote.write(task.mm, addr, data.to_bytes(8, "little")) < 8:
        raise OSError(errno.EIO, "not mapped, or shared and not writable")
    return 0


def _peek_user(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_PEEKUSER: a word of struct user."""
    regset = t.kernel.arch.regset()
    if addr % 8 or addr >= regset.USER_SIZE:
        raise OSError(errno.EIO, "no word of struct user")
    word = bytes(8)
    if addr < regset.USER_REGS.size:
        word = user_regs(task)[addr : addr + 8]
    elif regset.USER_DEBUG <= addr < regset.USER_DEBUG + 64:
        word = _debug_registers(task).get((addr - regset.USER_DEBUG) // 8).to_bytes(8, "little")
    t.mm.write(data, word)
    return 0


def _poke_user(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_POKEUSER."""
    regset = t.kernel.arch.regset()
    if addr % 8 or addr >= regset.USER_SIZE:
        raise OSError(errno.EIO, "no word of struct user")
    if addr < regset.USER_REGS.size:
        set_user_regs(task, user_regs(task)[:addr] + data.to_bytes(8, "little"))
    elif regset.USER_DEBUG <= addr < regset.USER_DEBUG + 64:
        _debug_registers(task).set((addr - regset.USER_DEBUG) // 8, data, partial(remote.read, task.mm))
    else:
        raise OSError(errno.EIO, "not to be written")
    return 0


def _debug_registers(task: Task) -> Any:
    tracee = _traced(task)
    if tracee.debug_registers is None:
        tracee.debug_registers = task.kernel.arch.debug_registers()
    return tracee.debug_registers


_REGSETS: dict[int, tuple[Callable[[Task], bytes], Callable[[Task, bytes], None]]] = {
    NT_PRSTATUS: (user_regs, set_user_regs),
    NT_PRFPREG: (fpregs, set_fpregs),
    NT_X86_XSTATE: (xstate, set_xstate),
}


def _get_regs(kind: int) -> Callable[[Task, Task, int, int], int]:
    def get(t: Task, task: Task, addr: int, data: int) -> int:
        """PTRACE_GETREGS, PTRACE_GETFPREGS."""
        t.mm.write(data, _REGSETS[kind][0](task))
        return 0

    return get


def _set_regs(kind: int) -> Callable[[Task, Task, int, int], int]:
    def put(t: Task, task: Task, addr: int, data: int) -> int:
        """PTRACE_SETREGS, PTRACE_SETFPREGS."""
        read, write = _REGSETS[kind]
        write(task, t.mm.read(data, len(read(task))))
        return 0

    return put


def _regset(t: Task, task: Task, addr: int, data: int, *, writing: bool) -> int:
    """PTRACE_GETREGSET, PTRACE_SETREGSET: `addr` says which, `data` is a struct iovec."""
    base, size = t.mm.unpack(_IOVEC, data)
    found = _REGSETS.get(addr)
    if found is None or size % 8:
        raise OSError(errno.EINVAL, "no such set, or not whole words")
    read, write = found
    now = read(task)
    size = min(size, len(now))
    if writing:
        write(task, t.mm.read(base, size))
    else:
        t.mm.write(base, now[:size])
    t.mm.put_u64(data + 8, size)
    return 0


def _get_regset(t: Task, task: Task, addr: int, data: int) -> int:
    return _regset(t, task, addr, data, writing=False)


def _set_regset(t: Task, task: Task, addr: int, data: int) -> int:
    return _regset(t, task, addr, data, writing=True)


# Options, events, signals


def _traced(task: Task) -> Tracee:
    assert task.ptrace is not None
    return task.ptrace


def _set_options(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_SETOPTIONS."""
    if data & ~PTRACE_O_MASK:
        raise OSError(errno.EINVAL, "unknown options")
    _traced(task).options = data
    return 0


def _get_event_message(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_GETEVENTMSG."""
    t.mm.put_u64(data, _traced(task).message)
    return 0


def _get_siginfo(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_GETSIGINFO: there is none in a group stop."""
    info = _traced(task).info
    if info is None:
        raise OSError(errno.EINVAL, "no signal")
    t.mm.write(data, info.pack())
    return 0


def _set_siginfo(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_SETSIGINFO."""
    raw = t.mm.read(data, siginfo.SIZE)
    if _traced(task).info is None:
        raise OSError(errno.EINVAL, "no signal")
    _traced(task).info = siginfo.unpack(raw)
    return 0


def _peek_siginfo(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_PEEKSIGINFO: what is pending, without taking it."""
    first, flags, count = t.mm.unpack(_PEEK_ARGS, addr)
    if flags & ~PEEKSIGINFO_SHARED or count < 0:
        raise OSError(errno.EINVAL, "flags, or a negative number")
    pending = task.signals.shared.pending if flags else task.signals.pending
    done = 0
    for info in pending.queue[first : first + count]:
        try:
            t.mm.write(data + done * siginfo.SIZE, info.pack())
        except OSError:
            if not done:
                raise
            break
        done += 1
    return done


def _get_sigmask(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_GETSIGMASK: `addr` is the size of a mask."""
    if addr != NSIG_BYTES:
        raise OSError(errno.EINVAL, "not the size of a set of signals")
    state = task.signals
    t.mm.put_u64(data, state.blocked if state.saved_mask is None else state.saved_mask)
    return 0


def _set_sigmask(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_SETSIGMASK."""
    if addr != NSIG_BYTES:
        raise OSError(errno.EINVAL, "not the size of a set of signals")
    task.signals.saved_mask = None
    signal.set_blocked(task, t.mm.u64(data) & ~signal.UNBLOCKABLE)
    return 0


def _get_syscall_info(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_GET_SYSCALL_INFO: the size of what there is to tell, of which `addr` bytes fit."""
    arch = t.kernel.arch
    tracee = _traced(task)
    code = tracee.info.code if tracee.info is not None else 0
    result, *arguments, sp, pc = read_names(task, (*arch.CALL_REGISTERS, arch.SP, arch.PC))
    number = call_in_progress(task) & (1 << 64) - 1
    op, rest, size = 0, b"", _INFO.size
    if code == signal.SIGTRAP | 0x80 and tracee.options & PTRACE_O_TRACESYSGOOD:
        if tracee.message == ptrace.SYSCALL_ENTRY:
            op, rest = 1, _INFO_ENTRY.pack(number, *arguments)
        elif tracee.message == ptrace.SYSCALL_EXIT:
            value = result - (result >> 63 << 64)
            op, rest = 2, _INFO_EXIT.pack(value, -4095 <= value < 0)
    elif code == signal.SIGTRAP | ptrace.PTRACE_EVENT_SECCOMP << 8:
        op, rest = 3, _INFO_SECCOMP.pack(number, *arguments, tracee.message)
    size += len(rest)
    whole = _INFO.pack(op, arch.regset().AUDIT_ARCH, pc, sp) + rest
    t.mm.write(data, whole[:addr])
    return size


def _get_rseq(t: Task, task: Task, addr: int, data: int) -> int:
    """PTRACE_GET_RSEQ_CONFIGURATION, of which `addr` bytes fit."""
    rseq = task.rseq
    whole = _RSEQ.pack(*((rseq.address, rseq.size, rseq.signature, 0) if rseq is not None else (0, 0, 0, 0)))
    t.mm.write(data, whole[:addr])
    return _RSEQ.size


_REQUESTS: dict[int, Callable[[Task, Task, int, int], int]] = {
    PEEKTEXT: _peek,
    PEEKDATA: _peek,
    PEEKUSER: _peek_user,
    POKETEXT: _poke,
    POKEDATA: _poke,
    POKEUSER: _poke_user,
    GETREGS: _get_regs(NT_PRSTATUS),
    SETREGS: _set_regs(NT_PRSTATUS),
    GETFPREGS: _get_regs(NT_PRFPREG),
    SETFPREGS: _set_regs(NT_PRFPREG),
    GETREGSET: _get_regset,
    SETREGSET: _set_regset,
    SETOPTIONS: _set_options,
    GETEVENTMSG: _get_event_message,
    GETSIGINFO: _get_siginfo,
    SETSIGINFO: _set_siginfo,
    PEEKSIGINFO: _peek_siginfo,
    GETSIGMASK: _get_sigmask,
    SETSIGMASK: _set_sigmask,
    GET_SYSCALL_INFO: _get_syscall_info,
    GET_RSEQ_CONFIGURATION: _get_rseq,
}

"""Signals: actions, masks, sending and waiting (signal(7))."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel import siginfo, signal
from kernel.siginfo import SigInfo
from syscalls.abi import Int, Ptr, Result, ULong
from syscalls.structs import SIGSET, STACK
from syscalls.time import timespec

if TYPE_CHECKING:
    from kernel.task import Task

SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK = 0, 1, 2
SIGSET_SIZE = 8
# UAPI_SA_FLAGS: other bits are dropped, by which programs find out what is supported (sigaction(2)).
_SA_FLAGS = (
    signal.SA_NOCLDSTOP
    | signal.SA_NOCLDWAIT
    | signal.SA_SIGINFO
    | signal.SA_ONSTACK
    | signal.SA_RESTART
    | signal.SA_NODEFER
    | signal.SA_RESETHAND
    | signal.SA_EXPOSE_TAGBITS
    | signal.SA_RESTORER
)


def _mask(t: Task, address: int, size: int) -> int:
    if size != SIGSET_SIZE:
        raise OSError(errno.EINVAL, "wrong size of a signal set")
    return t.mm.u64(address)


def sys_rt_sigaction(t: Task, signo: Int, new: Ptr, old: Ptr, size: ULong) -> int:
    """rt_sigaction(2)."""
    if size != SIGSET_SIZE:
        return -errno.EINVAL
    layout = t.kernel.arch.SIGACTION
    action = None
    if new:
        handler, flags, restorer, mask = t.mm.unpack(layout, new)
        action = signal.SigAction(handler, flags & _SA_FLAGS, restorer, mask & ~signal.UNBLOCKABLE)
    before = signal.set_action(t, signo, action)
    if old:
        t.mm.pack(layout, old, before.handler, before.flags, before.restorer, before.mask)
    return 0


def sys_rt_sigprocmask(t: Task, how: Int, new: Ptr, old: Ptr, size: ULong) -> int:
    """rt_sigprocmask(2)."""
    if size != SIGSET_SIZE:
        return -errno.EINVAL
    before = t.signals.blocked
    if new:
        mask = t.mm.u64(new)
        if how == SIG_BLOCK:
            mask = before | mask
        elif how == SIG_UNBLOCK:
            mask = before & ~mask
        elif how != SIG_SETMASK:
            return -errno.EINVAL
        signal.set_blocked(t, mask)
    if old:
        t.mm.put_u64(old, before)
    return 0


def sys_rt_sigpending(t: Task, address: Ptr, size: ULong) -> int:
    """rt_sigpending(2)."""
    if size > SIGSET_SIZE:
        return -errno.EINVAL
    state = t.signals
    mask = (state.pending.mask | state.shared.pending.mask) & state.blocked
    t.mm.write(address, SIGSET.pack(mask)[:size])
    return 0


def sys_rt_sigsuspend(t: Task, address: Ptr, size: ULong) -> Result:
    """rt_sigsuspend(2)."""
    mask = _mask(t, address, size)
    t.signals.set_saved_mask(t.signals.blocked)
    signal.set_blocked(t, mask)
    return sys_pause(t)


async def sys_pause(t: Task) -> int:
    """pause(2)."""
    while True:
        await t.wait()


def sys_rt_sigtimedwait(t: Task, these: Ptr, info: Ptr, timeout: Ptr, size: ULong) -> Result:
    """rt_sigtimedwait(2)."""
    mask = _mask(t, these, size) & ~signal.UNBLOCKABLE
    wait_ns = timespec(t, timeout) if timeout else None
    taken = t.signals.dequeue(~mask)
    if taken is not None:
        return _report(t, taken, info)
    if wait_ns == 0:
        return -errno.EAGAIN

    async def wait() -> int:
        return _report(t, await signal.timed_wait(t, mask, wait_ns), info)

    return wait()


def _report(t: Task, info: SigInfo, address: int) -> int:
    if address:
        t.mm.write(address, info.pack())
    return info.signo


def sys_rt_sigreturn(t: Task) -> int:
    """rt_sigreturn(2): the kernel loop replaces the registers when the CPU has left the call."""
    t.signals.returning = True
    t.pending_work = True
    return 0


def sys_sigaltstack(t: Task, new: Ptr, old: Ptr) -> int:
    """sigaltstack(2)."""
    kernel = t.kernel
    stack = t.signals.altstack
    sp = kernel.cpu.read((kernel.arch.SP,))[0]
    before = (stack.base, stack.status(sp) | stack.flags & signal.SS_AUTODISARM, stack.size)
    if new:
        base, flags, size = t.mm.unpack(STACK, new)
        signal.set_altstack(t, sp, base, size, flags & 0xFFFF_FFFF, kernel.arch.SIGNAL_STACK_MINIMUM)
    if old:
        base, flags, size = before
        t.mm.pack(STACK, old, base, flags - (flags >> 31 << 32), size)
    return 0


def from_user(t: Task, signo: int, code: int) -> SigInfo | None:
    """What kill(2) and its like send along; None for signal 0, which only asks."""
    return siginfo.user(signo, t.tgid, t.cred.uid, code) if signo else None


def sys_kill(t: Task, pid: Int, signo: Int) -> int:
    """kill(2)."""
    signal.kill(t, pid, from_user(t, signo, siginfo.SI_USER), signo)
    return 0


def sys_tkill(t: Task, tid: Int, signo: Int) -> int:
    """tkill(2)."""
    if tid <= 0:
        return -errno.EINVAL
    signal.kill_thread(t, None, tid, from_user(t, signo, siginfo.SI_TKILL), signo)
    return 0


def sys_tgkill(t: Task, tgid: Int, tid: Int, signo: Int) -> int:
    """tgkill(2)."""
    if tid <= 0 or tgid <= 0:
        return -errno.EINVAL
    signal.kill_thread(t, tgid, tid, from_user(t, signo, siginfo.SI_TKILL), signo)
    return 0


def given(t: Task, pid: int, signo: int, address: int, *, exact: bool = False) -> SigInfo | None:
    """The siginfo_t of rt_sigqueueinfo.  Only to itself may a process send what looks like the kernel's.
    `exact`: it must name the signal that is sent."""
    data = t.mm.read(address, siginfo.SIZE)
    info = siginfo.unpack(data)
    if exact and info.signo != signo:
        raise OSError(errno.EINVAL, "two different signals")
    info.signo = signo
    if not siginfo.known_layout(signo, info.code) and any(data[siginfo.KERNEL_SIZE :]):
        raise OSError(errno.E2BIG, "more than the kernel can carry")
    if (info.code >= 0 or info.code == siginfo.SI_TKILL) and pid != t.tgid:
        raise OSError(errno.EPERM, "only the kernel sends this code")
    return info if signo else None


def sys_rt_sigqueueinfo(t: Task, pid: Int, signo: Int, info: Ptr) -> int:
    """rt_sigqueueinfo(2)."""
    sent = given(t, pid, signo, info)
    if pid <= 0:
        return -errno.ESRCH
    signal.kill(t, pid, sent, signo)
    return 0


def sys_rt_tgsigqueueinfo(t: Task, tgid: Int, tid: Int, signo: Int, info: Ptr) -> int:
    """rt_tgsigqueueinfo(2)."""
    sent = given(t, tid if tid > 0 and tgid > 0 else t.tgid, signo, info)
    if tid <= 0 or tgid <= 0:
        return -errno.EINVAL
    signal.kill_thread(t, tgid, tid, sent, signo)
    return 0


def sys_restart_syscall(t: Task) -> Result:
    """restart_syscall(2): go on with a call that had a deadline when a signal stopped it."""
    block, t.signals.restart_block = t.signals.restart_block, None
    if block is None:
        return -errno.EINTR
    result: Result = block(t)
    return result

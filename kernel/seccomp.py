"""Filters on system calls: Linux's ``kernel/seccomp.c``, seccomp(2), prctl(2) PR_SET_SECCOMP.

A filter is a program (kernel/bpf.py) that is asked before a call is made.  A task's filters are a chain that only
grows, and that forks and threads share: each new one points to those before it.  All of the chain are asked, and the
strictest answer counts.  `secure_computing` is called by kernel/entry.py, for tasks that have filters only.

What a chain says of a call by its number alone is worked out once (`Filter.plan`), as Linux does for calls that are
always allowed.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from kernel import entry, siginfo, signal
from kernel.bpf import BPF_MAXINSNS, SOCK_FPROG, Program, State
from kernel.cred import CAP_SYS_ADMIN
from kernel.entry import SECCOMP
from kernel.ptrace import PTRACE_EVENT_SECCOMP, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.kernel import Kernel
    from kernel.seccomp_notify import Listener
    from kernel.task import Task

MODE_DISABLED, MODE_STRICT, MODE_FILTER = 0, 1, 2
FLAG_TSYNC, FLAG_LOG, FLAG_SPEC_ALLOW, FLAG_NEW_LISTENER, FLAG_TSYNC_ESRCH, FLAG_WAIT_KILLABLE_RECV = 1, 2, 4, 8, 16, 32
FLAGS = 63
MAX_INSNS_PER_PATH = 32768
MAX_ERRNO = 4095

RET_KILL_PROCESS, RET_KILL_THREAD, RET_TRAP, RET_ERRNO = 0x80000000, 0x00000000, 0x00030000, 0x00050000
RET_USER_NOTIF, RET_TRACE, RET_LOG, RET_ALLOW = 0x7FC00000, 0x7FF00000, 0x7FFC0000, 0x7FFF0000
RET_ACTION_FULL, RET_DATA = 0xFFFF0000, 0x0000FFFF
ACTIONS = {
    "kill_process": RET_KILL_PROCESS,
    "kill_thread": RET_KILL_THREAD,
    "trap": RET_TRAP,
    "errno": RET_ERRNO,
    "user_notif": RET_USER_NOTIF,
    "trace": RET_TRACE,
    "log": RET_LOG,
    "allow": RET_ALLOW,
}
"""The actions by their names in /proc/sys/kernel/seccomp, strictest first."""

_STRICT = frozenset(("read", "write", "exit", "rt_sigreturn"))
_SIGSYS_INFO = Struct("<QiI")
_INSTRUCTION_COST = 128  # bytes of host memory
_PLANS_MAX = 4096  # answers that a chain remembers, of all its filters together


class Filter:
    """struct seccomp_filter, with those that were there before it.  `count` is how long the chain is, `length` what
    counts against MAX_INSNS_PER_PATH."""

    __slots__ = ("count", "kernel", "length", "listener", "pages", "plans", "prev", "program")

    def __init__(self, kernel: Kernel, program: Program, prev: Filter | None) -> None:
        self.pages: int = 0
        self.kernel = kernel
        self.program = program
        self.prev = prev
        self.count: int = 1 + (prev.count if prev is not None else 0)
        self.length: int = program.length + (prev.length + 4 if prev is not None else 0)
        self.listener: Listener | None = None
        self.plans: dict[int, tuple[tuple[Filter, int | State], ...]] = {}
        if self.length > MAX_INSNS_PER_PATH:
            raise OSError(errno.ENOMEM, "too many instructions in all filters")
        pages = len(program.code) * _INSTRUCTION_COST + 4095 >> 12
        kernel.commit(pages)
        self.pages = pages

    def __del__(self) -> None:
        if self.pages:
            self.kernel.commit(-self.pages)

    def chain(self) -> Iterator[Filter]:
        """This filter and those before it."""
        here: Filter | None = self
        while here is not None:
            yield here
            here = here.prev

    def plan(self, number: int, arch: int) -> tuple[tuple[Filter, int | State], ...]:
        """What each filter of the chain says of a call with this number, or where its program stands when it
        wants to know more; those that allow it whatever its arguments are left out."""
        words = (number & 0xFFFF_FFFF, arch, *[None] * 14)
        says: list[tuple[Filter, int | State]] = []
        known: tuple[tuple[Filter, int | State], ...] = ()
        for here in self.chain():
            if number in here.plans:
                known = here.plans[number]
                break
            answer = here.program.run(words)
            if not isinstance(answer, int) or answer & RET_ACTION_FULL != RET_ALLOW:
                says.append((here, answer))
        plan = (*says, *known)
        if len(self.plans) * self.count < _PLANS_MAX:
            self.plans[number] = plan
        return plan


class Seccomp(NamedTuple):
    """struct seccomp: the mode a task is in, and its newest filter."""

    mode: int
    filter: Filter | None

    @property
    def filter_count(self) -> int:
        return self.filter.count if self.filter is not None else 0


def mode(task: Task) -> int:
    return task.seccomp.mode if task.seccomp is not None else MODE_DISABLED


# Setting


def _may_assign_mode(task: Task, wanted: int) -> None:
    if mode(task) not in (MODE_DISABLED, wanted):
        raise OSError(errno.EINVAL, "another mode already")


def _assign(task: Task, seccomp: Seccomp) -> None:
    task.seccomp = seccomp
    task.kernel.secure_computing = secure_computing
    task.kernel.set_syscall_work(task, SECCOMP, True)


def set_mode_strict(task: Task) -> None:
    """SECCOMP_SET_MODE_STRICT: from now on read, write, _exit and rt_sigreturn, or death."""
    _may_assign_mode(task, MODE_STRICT)
    _assign(task, Seccomp(MODE_STRICT, None))


def _prepare_filter(task: Task, address: int) -> Program:
    """seccomp_prepare_user_filter.  Raises OSError EFAULT, EINVAL, EACCES."""
    length, instructions = task.mm.unpack(SOCK_FPROG, address)
    if not 0 < length <= BPF_MAXINSNS:
        raise OSError(errno.EINVAL, "no instructions, or too many")
    if not task.no_new_privs and not task.cred.capable(CAP_SYS_ADMIN):
        raise OSError(errno.EACCES, "needs no_new_privs or CAP_SYS_ADMIN")
    return Program(task.mm.read(instructions, 8 * length))


def set_mode_filter(task: Task, flags: int, address: int) -> int:
    """SECCOMP_SET_MODE_FILTER: add the filter that a struct sock_fprog describes.

    0; with FLAG_NEW_LISTENER a descriptor; with FLAG_TSYNC the id of a thread that cannot take the filters
    over, if there is one.  Raises OSError EINVAL, EACCES, EFAULT, ENOMEM, EBUSY (a second listener), ESRCH, EMFILE.
    """
    if (
        flags & ~FLAGS
        or flags & (FLAG_TSYNC | FLAG_NEW_LISTENER | FLAG_TSYNC_ESRCH) == FLAG_TSYNC | FLAG_NEW_LISTENER
        or flags & (FLAG_WAIT_KILLABLE_RECV | FLAG_NEW_LISTENER) == FLAG_WAIT_KILLABLE_RECV
    ):
        raise OSError(errno.EINVAL, "unknown or contradictory flags")
    program = _prepare_filter(task, address)
    if flags & FLAG_NEW_LISTENER:
        task.files.unused()
    _may_assign_mode(task, MODE_FILTER)
    old = task.seccomp.filter if task.seccomp is not None else None
    if flags & FLAG_NEW_LISTENER and old is not None and any(here.listener is not None for here in old.chain()):
        raise OSError(errno.EBUSY, "there is a listener")
    new = Filter(task.kernel, program, old)
    if flags & FLAG_TSYNC:
        obstacle = _cannot_sync(task, old)
        if obstacle is not None:
            if flags & FLAG_TSYNC_ESRCH:
                raise OSError(errno.ESRCH, "a thread has other filters")
            return obstacle.tid
    result = 0
    if flags & FLAG_NEW_LISTENER:
        from kernel.seccomp_notify import Listener

        new.listener = Listener(task.kernel, new, bool(flags & FLAG_WAIT_KILLABLE_RECV))
        result = task.files.install(new.listener, cloexec=True)
    _assign(task, Seccomp(MODE_FILTER, new))
    if flags & FLAG_TSYNC:
        for thread in _others(task):
            thread.no_new_privs |= task.no_new_privs
            _assign(thread, Seccomp(MODE_FILTER, new))
    return result


def _others(task: Task) -> list[Task]:
    return [thread for thread in task.signals.shared.threads if thread is not task and not thread.zombie]


def _cannot_sync(task: Task, mine: Filter | None) -> Task | None:
    """seccomp_can_sync_threads: a thread whose filters are not among those of `task`."""
    ancestors = set(mine.chain()) if mine is not None else set()
    for thread in _others(task):
        theirs = thread.seccomp
        if theirs is not None and (theirs.mode != MODE_FILTER or theirs.filter not in ancestors):
            return thread
    return None


def action_avail(action: int) -> None:
    """SECCOMP_GET_ACTION_AVAIL.  Raises OSError(EOPNOTSUPP)."""
    if action not in ACTIONS.values():
        raise OSError(errno.EOPNOTSUPP, "no such action")


# Asking


def _severity(answer: int) -> int:
    """ACTION_ONLY: smaller is stricter."""
    action = answer & RET_ACTION_FULL
    return action - (1 << 32) if action >> 31 else action


def call_data(task: Task, with_ip: bool = True) -> tuple[int, ...]:
    """struct seccomp_data of the call at hand as words: number, architecture, instruction pointer, arguments."""
    kernel = task.kernel
    ip = 0
    if with_ip:  # behind the instruction, where the engine is only when it has left it
        ip = kernel.cpu.read((kernel.arch.PC,))[0] + (kernel.arch.SYSCALL_SIZE if kernel.run_queue.guest_began else 0)
    return (
        kernel.call_number() & 0xFFFF_FFFF, kernel.arch.AUDIT_ARCH, ip & 0xFFFF_FFFF, ip >> 32,
        *(half for argument in kernel.call_arguments() for half in (argument & 0xFFFF_FFFF, argument >> 32)),
    )  # fmt: skip


def secure_computing(task: Task, *, recheck: bool = False) -> Any:
    """What kernel/entry.py asks about each call of a task with filters, and in strict mode.  `recheck`: the tracer
    has been asked already, and what it made of the call is looked at."""
    seccomp = task.seccomp
    assert seccomp is not None
    newest = seccomp.filter
    kernel = task.kernel
    number = kernel.call_number()
    if newest is None:
        if kernel.calls.names.get(number) in _STRICT:
            return None
        return _end_thread(task, signal.SIGKILL, number)
    plan = newest.plans.get(number)
    if plan is None:
        plan = newest.plan(number, kernel.arch.AUDIT_ARCH)
    answer, strictest, match = RET_ALLOW, RET_ALLOW, None
    words: tuple[int, ...] | None = None
    for here, says in plan:
        if says.__class__ is not int:
            assert isinstance(says, State)
            if words is None or here.program.uses_ip:
                words = call_data(task, here.program.uses_ip)
            says = here.program.run(words, says)
            assert isinstance(says, int)
        severity = _severity(says)
        if severity < strictest:
            answer, strictest, match = says, severity, here
    action, data = answer & RET_ACTION_FULL, answer & RET_DATA
    if action in (RET_ALLOW, RET_LOG):
        return None
    if action == RET_ERRNO:
        return -min(data, MAX_ERRNO)
    if action == RET_TRACE:
        if recheck:
            return None
        if task.ptrace is None or not task.ptrace.wants(PTRACE_EVENT_SECCOMP):
            return -errno.ENOSYS
        if kernel.run_queue.guest_began:
            kernel.arch.enter_call(kernel.cpu, step=False)
        return _ask_tracer(task, data)
    if action == RET_USER_NOTIF:
        assert match is not None
        if match.listener is None:
            return -errno.ENOSYS
        return match.listener.notify(task, call_data(task))
    if action == RET_KILL_THREAD and task.signals.shared.live > 1:
        return _end_thread(task, signal.SIGSYS, number)
    _force_sigsys(task, data, fatal=action != RET_TRAP)
    return number  # the registers are as before the call


async def _ask_tracer(task: Task, data: int) -> int | None:
    """PTRACE_EVENT_SECCOMP: the tracer may make another call of it, or none."""
    await event(task, PTRACE_EVENT_SECCOMP, data)
    if task.call_number >> 31:  # none: what it left in the register is the result
        result = task.kernel.cpu.read((task.kernel.arch.RESULT,))[0]
        return result - (result >> 63 << 64)
    entry.load(task)
    answer = secure_computing(task, recheck=True)
    if answer is None or answer.__class__ is int:
        return answer
    return await answer  # type: ignore[no-any-return]


def _end_thread(task: Task, signo: int, number: int) -> int:
    """The calling thread alone ends, as if by a signal."""
    task.exit_status = signo
    task.pending_work = True
    return number


def _force_sigsys(task: Task, reason: int, *, fatal: bool) -> None:
    """force_sig_seccomp."""
    data = call_data(task)
    number = data[0] - (1 << 32) if data[0] >> 31 else data[0]
    payload = _SIGSYS_INFO.pack(data[2] | data[3] << 32, number, data[1])
    signal.force_info(task, siginfo.SigInfo(signal.SIGSYS, siginfo.SYS_SECCOMP, payload, reason), fatal=fatal)

"""The kernel object: what all tasks share, and the entry points the engine calls.

`Kernel.syscall` is the trap.  It serves a call inside the engine's callback whenever the handler
returns a number; a handler that has to wait, or that replaces registers (execve, rt_sigreturn, exit),
returns a coroutine, for which the engine is left and the run loop (kernel/sched.py) takes over.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Coroutine
from struct import Struct
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from emu.arena import Arena
from emu.unicorn_cpu import UnicornCpu
from kernel import siginfo, signal
from kernel.clock import Clock
from kernel.entropy import Entropy
from kernel.errnos import LINUX_ERRNO, linux_errno
from kernel.futex import FutexTable
from kernel.sched import disarm
from kernel.timers import Timers
from kernel.uts import Uts

if TYPE_CHECKING:
    from kernel.fault import PageFaults
    from kernel.hostsignals import HostSignals
    from kernel.task import Task
    from vfs.epoll import EpollUser
    from vfs.file import File
    from vfs.inotify import Watches
    from vfs.mount import MountTable
    from vfs.pages import FilePages
    from vfs.tmpfs import TmpFs
    from vfs.unix import UnixNet
    from vfs.wait import WaitQueue

NO_RESULT = -(1 << 62)
"""Returned by a handler that has set the registers itself."""

EPOLL_ITEM_COST = 1024  # bytes of host memory

_NUMBER = Struct("<Q")
_ARGUMENTS = Struct("<6Q")
_WORD = 0xFFFF_FFFF_FFFF_FFFF


class Calls(Protocol):
    """The syscall table as the kernel is given it: number -> (handler, its argument unpacker)."""

    names: dict[int, str]

    def __getitem__(self, number: int) -> tuple[Callable[..., Any], Callable[..., tuple[int, ...]]]: ...

    def restart(self, number: int) -> str: ...


class Tracer(Protocol):
    """Who wants to see every call: --strace and --stats."""

    def enter(self, task: Task, number: int, name: str, args: tuple[int, ...]) -> None: ...

    def leave(self, task: Task, result: int) -> None: ...

    def suspend(self, task: Task) -> None: ...

    def signal(self, task: Task, info: siginfo.SigInfo) -> None: ...

    def exit(self, task: Task, status: int) -> None: ...


def host_memory() -> int:
    """Bytes of physical memory of the host: what a guest without a limit may use."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 << 30


class Kernel:
    """One booted personality.

    `memory_limit` (bytes) bounds what guests can touch, and, when given, what they can reserve: the
    strict accounting of vm.overcommit_memory=2.  Without it the host's memory is the limit, with
    Linux's heuristic of refusing only single requests beyond it.
    """

    def __init__(
        self, arch: ModuleType, calls: Calls, *, memory_limit: int | None = None, tracers: tuple[Tracer, ...] = ()
    ) -> None:
        self.arch = arch
        self.calls = calls
        self.cpu = UnicornCpu(arch)  # before the arena: see emu/unicorn_cpu.py
        self.memory_limit = memory_limit or host_memory()
        self._strict = memory_limit is not None
        self.arena = Arena(self.memory_limit)
        self.zero_frame = self.arena.alloc()
        self.committed = 0  # pages
        self.in_kernel = True
        self.clock = Clock()
        self.entropy = Entropy()
        self.timers = Timers()
        self.futexes = FutexTable()
        self.uts = Uts(arch.MACHINE.encode())
        self.tasks: dict[int, Task] = {}
        self.mounts: MountTable = None  # type: ignore[assignment]  # set by whoever builds the tree
        self.host_signals: HostSignals | None = None
        self.run_queue: deque[Task] = deque()
        self.host_waiters: dict[Task, tuple[WaitQueue, ...]] = {}  # sleeping on host descriptors
        self.last_pid = 1
        self.halted: int | None = None  # the wait(2) status of the first process, once it has ended
        self.foreground = 1  # the process group that has the terminal
        self.text_busy: dict[tuple[int, int], int] = {}
        self._shm: TmpFs | None = None
        self._unix: UnixNet | None = None
        self._watches: Watches | None = None
        self.epoll_users: dict[int, EpollUser] = {}  # by uid
        self.tracers = tracers
        self.current: Task = None  # type: ignore[assignment]  # the task whose registers are on the CPU
        if tracers:
            self.syscall = self._traced_syscall  # type: ignore[method-assign]
        self.cpu.attach(self.arena, self)
        self.hwcap: int = arch.hwcap(self.cpu)  # AT_HWCAP; asked while no guest's registers are loaded

    # Entry points of the engine

    def syscall(self) -> int | None:
        """The trap: serve the call in `cpu.call` for the current task."""
        task = self.current
        block = self.cpu.call
        try:
            handler, unpack = self.calls[_NUMBER.unpack_from(block)[0]]
            result = handler(task, *unpack(block, 8))
        except OSError as error:
            result = -linux_errno(error)
        else:
            if result.__class__ is not int:
                task.call = result
                return None
            if result < 0 and LINUX_ERRNO is not None:
                result = -LINUX_ERRNO.get(-result, 5)
        if task.pending_work:
            task.result = result
            return None
        return result & _WORD

    def _traced_syscall(self) -> int | None:
        """`syscall` with everybody who watches told."""
        task = self.current
        block = self.cpu.call
        number = _NUMBER.unpack_from(block)[0]
        name = self.calls.names.get(number, f"syscall_{number:#x}")
        args = _ARGUMENTS.unpack_from(block, 8)
        for tracer in self.tracers:
            tracer.enter(task, number, name, args)
        result = Kernel.syscall(self)
        if task.call is not None or task.exit_status is not None or task.signals.returning:
            return None
        value = task.result if result is None and task.result is not None else result
        assert value is not None
        self.trace_leave(task, value - (1 << 64) if value >> 63 == 1 else value)
        return result

    def trace_leave(self, task: Task, result: int) -> None:
        for tracer in self.tracers:
            tracer.leave(task, result)

    def page_fault(self, address: int, access: int) -> int:
        """A miss in the engine's TLB that the page table does not answer."""
        self.in_kernel = False
        try:
            return self.current.mm.fault(address, access)
        finally:
            self.in_kernel = True

    # Memory

    def flush(self, mm: PageFaults) -> None:
        """`mm` lost translations the engine may hold."""
        if self.current is not None and self.current.mm is mm:
            self.cpu.flush()

    def commit(self, pages: int) -> None:
        """Reserve memory (negative: give it back).  Raises OSError(ENOMEM)."""
        if pages > 0:
            limit = self.memory_limit >> 12
            if pages > limit or (self._strict and self.committed + pages > limit):
                raise OSError(errno.ENOMEM, "the guest's memory limit")
        self.committed += pages

    def may_map_low(self) -> bool:
        """CAP_SYS_RAWIO for addresses below vm.mmap_min_addr: nobody has it here."""
        return False

    def shared_memory(self, size: int) -> FilePages:
        """The pages behind a shared anonymous mapping: an unlinked file of the kernel's own tmpfs."""
        from vfs.tmpfs import ShmemPages

        pages = ShmemPages(self.arena)
        pages.resize(size)
        return pages

    @property
    def shm(self) -> TmpFs:
        """The kernel's own tmpfs, in which memfds live: Linux's shm_mnt."""
        if self._shm is None:
            from vfs.tmpfs import TmpFs

            def owner() -> tuple[int, int]:
                return self.current.cred.fsuid, self.current.cred.fsgid

            self._shm = TmpFs(self.arena, self.clock.realtime_ns, dev=1, owner=owner)
        return self._shm

    @property
    def watches(self) -> Watches:
        """All marks of inotify(7)."""
        if self._watches is None:
            from vfs.inotify import Watches

            self._watches = Watches(self.mounts, self.open_files)
        return self._watches

    @property
    def max_user_watches(self) -> int:
        """fs.epoll.max_user_watches: as on Linux the items of one user take 4 % of memory at most."""
        return self.memory_limit // 25 // EPOLL_ITEM_COST

    def epoll_user(self, uid: int) -> EpollUser:
        from vfs.epoll import EpollUser

        return self.epoll_users.setdefault(uid, EpollUser(self.max_user_watches))

    def open_files(self) -> set[File]:
        """Every open file description: behind descriptors, mappings and running programs."""
        found: set[File] = set()
        for task in self.tasks.values():
            found.update(task.files.files.values())
            found.update(vma.file for vma in task.mm.vmas if vma.file is not None)
            if task.mm.exe_file is not None:
                found.add(task.mm.exe_file)
        return found

    @property
    def unix(self) -> UnixNet:
        """The names and sockets of AF_UNIX: net->unx."""
        if self._unix is None:
            from vfs.sock import PeerCred, Ucred
            from vfs.unix import UnixNet

            def who() -> Ucred:
                task = self.current
                return Ucred(task.tgid, task.cred.uid, task.cred.gid)

            def peer() -> PeerCred:
                task = self.current
                return PeerCred(task.tgid, task.cred.euid, task.cred.egid, task.cred.groups)

            self._unix = UnixNet(who, peer, int.from_bytes(self.entropy.bytes(4), "little"))
        return self._unix

    # Signals

    def exec_done(self, task: Task, registers: dict[str, int]) -> None:
        """A new program is in place: put `task` on the CPU at its first instruction."""
        self.current = task
        self.cpu.set_page_table(task.mm.pages)
        self.cpu.write(registers)
        self.arch.reset_fp(self.cpu)

    def kick(self) -> None:
        """Interrupt guest code; called by the watcher's thread.

        A kick that meets the engine just before it starts is lost on it, so the watcher looks again.
        """
        import time

        cpu = self.cpu
        cpu.kick()
        delay = 0.0005
        while cpu.kicked:
            time.sleep(delay)
            delay = min(2 * delay, 0.05)
            cpu.kick_again()

    # Scheduling

    def make_ready(self, task: Task) -> None:
        """try_to_wake_up: put a sleeping task into the run queue."""
        if not task.ready and not task.zombie:
            disarm(task)
            task.ready = True
            self.run_queue.append(task)

    def deactivate(self, task: Task) -> None:
        """A task that is not on the CPU will not run again."""
        disarm(task)
        if task.ready and task is not self.current:
            self.run_queue.remove(task)
        task.ready = False

    def arm_slice(self, length_ns: int) -> None:
        """Somebody else is ready: interrupt the task that gets the CPU now after its slice."""
        if self.host_signals is not None:
            deadline = self.clock.monotonic_ns() + length_ns
            timer = self.timers.next()
            self.host_signals.watcher.set_deadline(deadline if timer is None else min(timer, deadline))

    def send_signal(self, task: Task, signo: int, info: siginfo.SigInfo | None = None) -> None:
        """A signal from the kernel to a process."""
        signal.send(task, info if info is not None else siginfo.from_kernel(signo))

    def drive(self, task: Task, coroutine: Coroutine[Any, Any, int], value: bool | BaseException) -> int | None:
        """Advance a waiting call; its result, or None if it waits on (task.waiting says for what)."""
        from kernel.task import Interrupted

        try:
            if isinstance(value, BaseException):
                task.waiting = coroutine.throw(value)
            else:
                task.waiting = coroutine.send(value if task.waiting is not None else None)
            return None
        except StopIteration as done:
            result: int = done.value
            if result < 0 and result != NO_RESULT and LINUX_ERRNO is not None:
                result = -LINUX_ERRNO.get(-result, 5)
        except OSError as error:
            result = -linux_errno(error)
        except Interrupted:
            number = task.call_number
            pc = self.cpu.read((self.arch.PC,))[0] - self.arch.SYSCALL_SIZE
            task.signals.interrupted = signal.InterruptedCall(number, pc, task.call_first, self.calls.restart(number))
            result = -4  # -EINTR, unless the signal's disposition says otherwise
        task.call = None
        task.waiting = None
        return result

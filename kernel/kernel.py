"""The kernel object: what all tasks share, and the entry points the engine calls.

`Kernel.syscall` is the trap.  It serves a call inside the engine's callback whenever the handler
returns a number; a handler that has to wait, or that replaces the program (execve), returns a coroutine,
for which the engine is left and the run loop (kernel/sched.py) takes over.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from emu.arena import Arena
from emu.unicorn_cpu import UnicornCpu
from kernel import siginfo
from kernel.clock import Clock
from kernel.entropy import Entropy
from kernel.errnos import LINUX_ERRNO, linux_errno
from kernel.futex import FutexTable
from kernel.runqueue import TICK_NS, RunQueue
from kernel.sched import disarm, within_trap
from kernel.sigdeliver import deliver
from kernel.task import Interrupted, broken_off
from kernel.timers import NEVER, Timer, Timers
from kernel.uts import Uts
from kernel.vdso import Vdso

if TYPE_CHECKING:
    from kernel.fallback import Fallback
    from kernel.fault import PageFaults
    from kernel.hostsignals import HostSignals
    from kernel.ipc import IpcNamespace
    from kernel.mqueuefs import MqFs
    from kernel.pid import Pid
    from kernel.posix_clocks import HrClock
    from kernel.ptrace import Debugger
    from kernel.task import Task
    from kernel.tty_jobctrl import TtyJobs
    from vfs.devpts import DevPts
    from vfs.epoll import EpollUser
    from vfs.file import File
    from vfs.inotify import Watches
    from vfs.mount import MountTable
    from vfs.pages import FilePages
    from vfs.pseudofs import PseudoNode
    from vfs.tmpfs import TmpFs
    from vfs.tty import Tty
    from vfs.unix import UnixNet
    from vfs.wait import Waiter, WaitQueue

THREAD_SIZE = 16 << 10  # bytes of a kernel stack
EPOLL_ITEM_COST = 1024  # bytes of host memory

_WORD = 0xFFFF_FFFF_FFFF_FFFF
_TIMED = 17  # of so many traps one is timed; prime, so that it does not keep step with a guest's loop


class Calls(Protocol):
    """The syscall table as the kernel is given it: number -> what serves the call in `Cpu.call` for a task."""

    names: dict[int, str]

    def read_from(self, call: bytearray, slots: tuple[int, ...]) -> None: ...

    def __getitem__(self, number: int) -> Callable[[Task], Any]: ...

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
        self.call = memoryview(self.cpu.call).cast("Q")  # with the registers of the call at hand
        calls.read_from(self.cpu.call, self.cpu.call_slots)
        self.memory_limit = memory_limit or host_memory()
        self._strict = memory_limit is not None
        # threads-max (set_max_threads): their kernel stacks may take an eighth of memory
        self.max_threads = max(20, self.memory_limit // (8 * THREAD_SIZE))
        self.arena = Arena(self.memory_limit)
        self.zero_frame = self.arena.alloc()
        self.committed = 0  # pages
        self.in_kernel = True
        self.posix_clocks: dict[int, HrClock] = {}  # see kernel/posix_clocks.py
        self.entropy = Entropy()
        self.timers = Timers()
        self.timers.armed = self._deadline_changed
        self.watched = NEVER  # when guest code is to be interrupted
        self.watch_late = False  # it has changed, and nobody has been told yet
        self.futexes = FutexTable()
        self.uring_kept = 0  # requests, completions and buffers that all rings of io_uring(7) keep
        self.kcmp_cookie = int.from_bytes(self.entropy.bytes(8), "little")
        self.uts = Uts(arch.MACHINE.encode())
        self.tasks: dict[int, Task] = {}
        self.pids: dict[int, Pid] = {}  # of those that somebody has a descriptor for
        self.mounts: MountTable = None  # type: ignore[assignment]  # set by whoever builds the tree
        self.host_signals: HostSignals | None = None
        self.need_resched = False  # before it goes on, the task on the CPU is compared with the others
        self.ticking = False  # a tick is due, at which `need_resched` will be set
        self.idle = True  # nobody has the CPU
        self.has_cpu_timers = False  # somebody has, or had, a timer on processor time
        self.cpu_alarm: Timer | None = None  # when a timer of the processor time of the task on the CPU may be due
        self.host_waiters: dict[Waiter, Sequence[WaitQueue]] = {}  # to be woken by host descriptors
        self.last_pid = 1
        self.forks = 1  # since boot; the first process is one
        self.core_pattern = b"core"
        self.core_uses_pid = False
        self.halted: int | None = None  # the wait(2) status of the first process, once it has ended
        self.host_tty: Tty | None = None  # the user's terminal, which controls the first process's session
        self.text_busy: dict[tuple[int, int], int] = {}
        self._shm: TmpFs | None = None
        self._vdso: Vdso | None = None
        self._unix: UnixNet | None = None
        self._ipc: IpcNamespace | None = None
        self._jobs: TtyJobs | None = None
        self._devpts: DevPts | None = None
        self.pts_names: dict[bytes, Callable[[], PseudoNode]] = {}  # inherited terminals in /dev/pts
        self._mqueues: MqFs | None = None
        self.aio_nr = 0  # requests that all contexts promise, and how many they may
        self.aio_max_nr = 65536
        self._watches: Watches | None = None
        self.epoll_users: dict[int, EpollUser] = {}  # by uid
        self.tracers = tracers
        # `Cpu.leave_call`, by which signals are delivered and tasks switched within the trap; None if that cannot be,
        # or must not: with tracers, and guests that step, for the engine traps before it goes on from there.
        self.leave_call = None if tracers else self.cpu.leave_call
        self.syscall_work = False  # calls are served by way of kernel/entry.py, for the task on the CPU
        self.debugger: Debugger | None = None  # outside the guest
        self.fallback: Fallback | None = None  # who is asked before something is refused that real Linux could do
        self.secure_computing: Callable[[Task], Any] | None = None  # see kernel/entry.py
        self.current: Task = None  # type: ignore[assignment]  # the task whose registers are on the CPU
        self._trap = self._make_trap()
        self.syscall: Callable[[], int | None] = self._traced_syscall if tracers else self._trap
        self.cpu.attach(self.arena, self)
        self.clock: Clock = Clock(self.cpu.counter)
        self.run_queue = RunQueue(self.clock)
        self.resume = within_trap(self)
        self.hwcap: int = arch.hwcap(self.cpu)  # AT_HWCAP; asked while no guest's registers are loaded

    # Entry points of the engine

    def _make_trap(self) -> Callable[[], int | None]:
        """The trap: serve the call in `cpu.call` for the current task.  A closure, so that the hot names are cells and
        not attributes.

        What it takes is system time.  To read the clock around each trap would cost a tenth of a short
        one, so one in _TIMED is timed and stands for all of them.
        """
        calls, call, number = self.calls, self.call, self.cpu.call_slots[0]
        go_on = self.cpu.go_on
        untimed = _TIMED

        def syscall() -> int | None:
            nonlocal untimed
            untimed -= 1
            if not untimed:
                untimed = _TIMED + 1
                began = self.clock.elapsed_ns()
                try:
                    return syscall()
                finally:
                    self.run_queue.user_ns -= _TIMED * (self.clock.elapsed_ns() - began)
            task = self.current
            try:
                result = calls[call[number]](task)
            except OSError as error:
                result = -linux_errno(error)
            except Interrupted:
                task.call = broken_off()
                return None
            else:
                if result.__class__ is not int:
                    task.call = result
                    return None
                if result < 0 and LINUX_ERRNO is not None:
                    result = -LINUX_ERRNO.get(-result, 5)
            if task.pending_work:
                leave = self.leave_call
                if (
                    leave is not None
                    and go_on is not None
                    and not (self.need_resched or task.task_works or task.ptrace is not None)
                ):
                    leave(result)
                    deliver(task)
                    result = go_on()
                    if not (task.pending_work or task.stopped or self.leave_call is None):
                        return result
                task.result = result
                return None
            return result & _WORD

        return syscall

    def _traced_syscall(self) -> int | None:
        """`syscall` with everybody who watches told."""
        task = self.current
        self.trace_enter(task)
        result = self._trap()
        if task.call is not None or task.exit_status is not None or task.signals.returning:
            return None
        value = task.result if result is None and task.result is not None else result
        assert value is not None
        self.trace_leave(task, value - (1 << 64) if value >> 63 == 1 else value)
        return result

    def set_syscall_work(self, task: Task, flag: int, on: bool) -> None:
        """set_task_syscall_work, clear_task_syscall_work: from its next call on."""
        task.syscall_work = task.syscall_work | flag if on else task.syscall_work & ~flag
        if task is self.current:
            self.choose_entry(task)

    def choose_entry(self, task: Task) -> None:
        """`task` gets the CPU: have its calls served as its `syscall_work` says."""
        self.syscall_work = bool(task.syscall_work)
        if self.syscall_work:
            from kernel import entry

            self.cpu.serve_with(partial(entry.syscall, self))
        else:
            self.cpu.serve_with(self.syscall)

    def call_number(self) -> int:
        return self.call[self.cpu.call_slots[0]]

    def call_arguments(self) -> tuple[int, ...]:
        return tuple([self.call[slot] for slot in self.cpu.call_slots[1:]])

    def trace_enter(self, task: Task) -> None:
        number, args = self.call_number(), self.call_arguments()
        name = self.calls.names.get(number, f"syscall_{number:#x}")
        for tracer in self.tracers:
            tracer.enter(task, number, name, args)

    def trace_leave(self, task: Task, result: int) -> None:
        for tracer in self.tracers:
            tracer.leave(task, result)

    def page_fault(self, address: int, access: int) -> int:
        """A miss in the engine's TLB that the page table does not answer."""
        self.in_kernel = False
        began = self.clock.elapsed_ns()
        try:
            return self.current.mm.fault(address, access)
        finally:
            self.run_queue.user_ns -= self.clock.elapsed_ns() - began
            self.in_kernel = True

    def count_fault(self, *, major: bool = False) -> None:
        """mm_account_fault: a fault is counted for the task that has the CPU."""
        task = self.current
        if major:
            task.usage.majflt += 1
        else:
            task.usage.minflt += 1

    def refuses(self, what: str, *, vm: bool = True) -> None:
        """The task on the CPU wants what real Linux does and this kernel cannot: see `Fallback.missing`."""
        if self.fallback is not None:
            self.fallback.missing(self.current, what, vm=vm)

    # Memory

    def flush(self, mm: PageFaults) -> None:
        """`mm` lost translations the engine may hold."""
        self.cpu.forget(mm.pages)

    def reload(self, mm: PageFaults) -> None:
        """`mm` has another page table."""
        if self.current is not None and self.current.mm is mm:
            self.cpu.set_page_table(mm.pages)

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
    def vdso(self) -> Vdso:
        """The vDSO, made when the first program starts: by then the clock is calibrated."""
        if self._vdso is None:
            self._vdso = Vdso(self)
        return self._vdso

    @property
    def shm(self) -> TmpFs:
        """The kernel's own tmpfs, in which memfds live: Linux's shm_mnt."""
        if self._shm is None:
            from vfs.tmpfs import TmpFs

            self._shm = TmpFs(self.arena, self.clock.realtime_ns, dev=1)
        return self._shm

    @property
    def ipc(self) -> IpcNamespace:
        """System V IPC."""
        if self._ipc is None:
            from kernel.ipc import IpcNamespace

            self._ipc = IpcNamespace(self)
        return self._ipc

    @property
    def mqueues(self) -> MqFs:
        """The filesystem of POSIX message queues."""
        if self._mqueues is None:
            from kernel.mqueuefs import MqFs

            self._mqueues = MqFs(self)
        return self._mqueues

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

    @property
    def max_uring_kept(self) -> int:
        """How many there may be: an eighth of memory, at a kilobyte each.  Linux charges them to the memory cgroup."""
        return self.memory_limit >> 13

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
    def jobs(self) -> TtyJobs:
        """Job control, as terminals are handed it."""
        if self._jobs is None:
            from kernel.tty_jobctrl import TtyJobs

            self._jobs = TtyJobs(self)
        return self._jobs

    @property
    def devpts(self) -> DevPts:
        """All pseudo-terminals."""
        if self._devpts is None:
            from vfs.devpts import DevPts

            def owner() -> tuple[int, int]:
                return self.current.cred.fsuid, self.current.cred.fsgid

            self._devpts = DevPts(self.jobs, self.clock.realtime_ns, owner, self.pts_names)
        return self._devpts

    @property
    def unix(self) -> UnixNet:
        """The names and sockets of AF_UNIX: net->unx."""
        if self._unix is None:
            from kernel.pid import find_get_pid
            from vfs.sock import PeerCred, Ucred
            from vfs.unix import UnixNet

            def who() -> Ucred:
                task = self.current
                return Ucred(task.tgid, task.cred.uid, task.cred.gid, find_get_pid(self, task.tgid))

            def peer() -> PeerCred:
                task = self.current
                cred = task.cred
                return PeerCred(task.tgid, cred.euid, cred.egid, cred.groups, find_get_pid(self, task.tgid))

            self._unix = UnixNet(who, peer, int.from_bytes(self.entropy.bytes(4), "little"))
        return self._unix

    # Signals

    def exec_done(self, task: Task, registers: dict[str, int]) -> None:
        """A new program is in place: put `task` on the CPU at its first instruction."""
        self.current = task
        self.cpu.switch_page_table(task.mm.pages)
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

    def make_ready(self, task: Task, events: int | None = None) -> None:
        """try_to_wake_up: put a sleeping task into the run queue.  `events` is given where what it waits for has come:
        this is what a task puts into wait queues."""
        if events is not None:
            task.woken = True
        if not task.ready and not task.zombie:
            if task.asleep:
                disarm(task)
            task.ready = True
            if not self.ticking and not self.idle:
                self.run_queue.update_curr(self.current)
                self.start_tick()
            self.run_queue.add(task)
            if task.sched.rt_priority and not self.idle:
                self.reschedule()

    def deactivate(self, task: Task) -> None:
        """A task that is not on the CPU will not run again."""
        if task.asleep:
            disarm(task)
        if task.ready and task is not self.current:
            self.run_queue.remove(task)
        task.ready = False

    def reschedule(self) -> None:
        """resched_curr: leave guest code as soon as the trap is over, and see who is next."""
        self.need_resched = True
        self.current.pending_work = True

    def start_tick(self) -> None:
        """Somebody else is ready: interrupt the task on the CPU when it has had it for a while."""
        self.ticking = True
        self.timers.add(self.clock.monotonic_ns() + TICK_NS, self._tick)

    def _tick(self) -> None:
        self.ticking = False

    def priority_changed(self, task: Task) -> None:
        """The policy or real-time priority of `task` is another one."""
        if task is self.current:
            task.vruntime = max(task.vruntime, self.run_queue.min_vruntime)
            self.reschedule()
        elif task.ready:
            self.run_queue.requeue(task)
            self.reschedule()

    def _deadline_changed(self, deadline: int | None) -> None:
        """Another timer is the next.  Guest code has to be interrupted for it: that is seen to at once if it runs,
        otherwise when it is to run again, for the timer may be gone by then."""
        if self.run_queue.guest_began:
            self.watch(deadline)
        else:
            self.watch_late = True

    def watch(self, deadline: int | None) -> None:
        """Have guest code interrupted at `deadline`: by the engine's alarm, or else by the watcher's thread."""
        self.watch_late = False
        self.watched = NEVER if deadline is None else deadline
        if not self.cpu.alarm.set(deadline) and self.host_signals is not None:
            self.host_signals.watcher.set_deadline(deadline)

"""From options to a running machine: what a boot loader and an init would do.

`boot` builds a kernel, mounts the guest's world, hands it the streams it inherits, and puts the program
into its first task.  Everything else is the kernel's.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from stat import S_IFDIR, S_IFREG
from typing import TYPE_CHECKING

from emu.arch import x86_64
from emu.arch.x86_64_calls import CALLS
from kernel import sched
from kernel.cred import CAP_ALL, Credentials, initial_credentials
from kernel.exec import start
from kernel.fallback import HandOver
from kernel.files import FdTable
from kernel.hostsignals import HostSignals
from kernel.kernel import Kernel
from kernel.rlimit import RLIMIT_NOFILE, initial_rlimits
from kernel.signal import SIG_IGN, SigAction, SignalState
from kernel.task import FsContext, Task
from lxrun.cli import write_error
from lxrun.diagnostics import CANNOT_RUN, INTERNAL, RunFailure, exec_failure, not_found
from lxrun.world import IS_DIRECTORY, NOT_REGULAR, below, environment
from syscalls.dispatch import build
from vfs import fscred, host
from vfs.devfs import DevFs
from vfs.file import O_RDONLY
from vfs.hostfile import opened
from vfs.hostfs import HostFs, HostNode
from vfs.mount import MountTable
from vfs.node import Mount
from vfs.pages import PageCache
from vfs.stream import inherited
from vfs.walk import join, walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from kernel.fallback import Fallback
    from lxrun.options import Options, Volume
    from lxrun.stats import Stats
    from syscalls.strace.tracer import Tracer
    from vfs.file import File
    from vfs.node import Node, Path
    from vfs.pages import FilePages

DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
X_OK = 1
SHM_DEV = 0x1A  # st_dev of /dev/shm: any number that no other file system has


def run(options: Options, descriptors: list[int], fallback: Fallback | None = None) -> int:
    """Run the guest that `options` describe, to its end; its wait(2) status.  It is handed `descriptors`.

    Raises RunFailure if it cannot be started, and HandOver if `fallback` wants it: then this process is as it was.
    """
    umask = os.umask(0)
    os.umask(umask)
    rlimits = initial_rlimits()  # as given: the next line raises the limit on descriptors for our own use
    host.prepare()
    machine = Machine(options, umask)
    machine.kernel.fallback = fallback
    exited = handed_over = False
    try:
        task = machine.init(rlimits, descriptors)
        machine.exec(task)
        if options.gdb is not None:
            signo = await_gdb(machine.kernel, task, options.gdb)
            if signo:
                return signo
        gc.freeze()  # what start-up made stays: the collector need not look at it again
        gc.enable()
        status = sched.run(machine.kernel, task)
        exited = status & 0x7F == 0
        return status
    except HandOver:
        machine.host_signals.release()
        machine.kernel.cpu.kicked = False  # or the watcher would go on kicking
        if machine.tracer is not None:
            machine.tracer.break_off()
        fscred.override_creds(fscred.OURSELVES)
        os.umask(umask)
        handed_over = True
        raise
    finally:
        machine.halt(keep_terminal=exited, store=not handed_over)


def await_gdb(kernel: Kernel, task: Task, port: int) -> int:
    """--gdb: wait until one has connected; the number of the signal that came instead, else 0."""
    from lxrun.gdbserver import GdbServer

    server = GdbServer(kernel, task, port)
    write_error(f"lxrun: waiting for gdb: target remote 127.0.0.1:{server.port}\n")
    return server.wait()


class LateMount(Mount):
    """A mount whose file system is built when it is first looked at: most programs never look at /proc."""

    __slots__ = ("made", "make")

    def __init__(self, make: Callable[[], Node], point: bytes, fstype: bytes, id: int) -> None:
        self.make = make
        self.made: Node | None = None
        self.point = point
        self.fstype = self.source = fstype
        self.read_only = False
        self.flags = 0
        self.id = id

    @property
    def root(self) -> Node:  # type: ignore[override]
        if self.made is None:
            self.made = self.make()
        return self.made


class Machine:
    """A kernel with its file systems mounted.  Raises RunFailure if a part of the guest's world is missing."""

    def __init__(self, options: Options, umask: int) -> None:
        self.options = options
        self.tracer, self.trace_file = tracer(options)
        self.stats = stats(options)
        tracers = tuple(watcher for watcher in (self.tracer, self.stats) if watcher is not None)
        try:
            self.kernel = kernel = Kernel(x86_64, build(CALLS), memory_limit=options.memory, tracers=tracers)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise RunFailure(INTERNAL, f"--memory {options.memory}: too little for any program") from None
            raise
        self.host_signals = HostSignals(kernel.kick)
        kernel.host_signals = self.host_signals
        self.hostfs = self.host_files()
        self.host_root = self.root()
        where = os.path.realpath(os.fsencode(options.rootfs or "/"))
        kernel.mounts = MountTable(self.host_root, *host.described_mount(where))
        root = kernel.mounts.at(b"/")
        self.fs = FsContext(root, root, umask)
        self.devices = DevFs(kernel.clock.realtime_ns, kernel.entropy.bytes, self.fresh_pages, kernel)
        kernel.mounts.add(self.devices.root, b"/dev", b"devtmpfs", b"devtmpfs")
        self.mount_late(b"/dev/pts", b"devpts", lambda: kernel.devpts.root)
        self.mount_late(b"/dev/shm", b"tmpfs", self.make_shm)
        self.mount_late(b"/dev/mqueue", b"mqueue", lambda: kernel.mqueues.root)
        self.mount_late(b"/proc", b"proc", self.make_proc)
        self.mount_late(b"/sys", b"sysfs", self.make_sys)
        for volume in options.volumes:
            self.mount_volume(volume)
        self.fs.cwd = self.working_directory()

    # The tree

    def host_files(self) -> HostFs:
        """The host's files as they are, or with owners and modes of their own (--root-id)."""
        cache, busy = PageCache(self.kernel.arena), self.kernel.text_busy
        if not self.options.root_id:
            return HostFs(cache, busy)
        if host.PORTABLE or not hasattr(os, "setxattr"):
            raise RunFailure(INTERNAL, "--root-id: this host keeps no attributes of files")
        from vfs.override import OverrideFs

        host.CAN_ASSUME = False  # we remain who we are, also where we are root
        fscred.owners_count = True
        return OverrideFs(cache, busy)

    def root(self) -> HostNode:
        """The directory that is the guest's /."""
        path = self.options.rootfs
        if path is None:
            if not sys.platform.startswith("linux"):
                raise RunFailure(INTERNAL, "this host has no Linux files; name a root filesystem with --rootfs DIR")
            path = "/"
        elif not os.path.isdir(path):
            why = "it is not a directory" if os.path.exists(path) else "there is no such directory"
            raise RunFailure(INTERNAL, f"--rootfs {path}: {why}")
        return self.hostfs.root(os.fsencode(path))

    def fresh_pages(self) -> FilePages:
        """Pages that belong to no file: a shared mapping of /dev/zero."""
        return self.kernel.shared_memory(x86_64.TASK_SIZE)

    def mount_late(self, point: bytes, fstype: bytes, make: Callable[[], Node]) -> None:
        mounts = self.kernel.mounts
        mount = LateMount(make, point, fstype, mounts.next_id)
        mounts.next_id += 1
        mounts.mounts.append(mount)
        mounts.attach(mount)

    def make_proc(self) -> Node:
        from kernel.procfs import make_procfs

        return make_procfs(self.kernel)

    def make_sys(self) -> Node:
        from kernel.sysfs import make_sysfs

        return make_sysfs(self.kernel)

    def make_shm(self) -> Node:
        from vfs.tmpfs import TmpFs

        kernel = self.kernel

        size = kernel.memory_limit // 2  # Linux's default for a tmpfs
        return TmpFs(kernel.arena, kernel.clock.realtime_ns, dev=SHM_DEV, size=size).root

    def mount_volume(self, volume: Volume) -> None:
        """-v: the place is looked up in the guest, links and all; its last part need not exist."""
        option = f"-v {volume.host}:{volume.guest}"
        if not os.path.exists(volume.host):
            raise RunFailure(INTERNAL, f"{option}: the host has no {volume.host}")
        place = os.fsencode(volume.guest)
        try:
            point = self.walk(place).text
        except OSError:
            parent, _, name = place.rstrip(b"/").rpartition(b"/")
            try:
                point = join(self.walk(parent or b"/").text, name)
            except OSError:
                raise RunFailure(INTERNAL, f"{option}: the guest has no directory {os.fsdecode(parent)}") from None
        source = os.fsencode(os.path.abspath(volume.host))
        fstype = host.described_mount(os.path.realpath(source))[0]
        self.kernel.mounts.add(self.hostfs.root(source), point, fstype, source, volume.read_only)

    def working_directory(self) -> Path:
        """-w, or the user's own directory where the guest has it, or /."""
        wanted = self.options.cwd
        if wanted is not None:
            try:
                path = self.walk(os.fsencode(wanted))
            except OSError as error:
                raise RunFailure(INTERNAL, f"-w {wanted}: the guest has no such directory: {error.strerror}") from None
            if path.node.kind() != S_IFDIR:
                raise RunFailure(INTERNAL, f"-w {wanted}: it is not a directory")
            return path
        try:
            here = os.getcwdb()
            if self.options.rootfs is not None:
                here = below(os.path.realpath(os.fsencode(self.options.rootfs)), here)
            path = self.walk(here)
            if path.node.kind() == S_IFDIR:
                return path
        except OSError:
            pass
        return self.fs.root

    def walk(self, path: bytes) -> Path:
        return walk(self.kernel.mounts, self.fs, self.fs.cwd, path)

    # The first task

    def init(self, rlimits: dict[int, tuple[int, int]], descriptors: list[int]) -> Task:
        """A task without a program yet, with what lxrun was started with: limits, ids, signals, streams."""
        kernel = self.kernel
        files = FdTable(rlimits[RLIMIT_NOFILE][0])
        signals = SignalState()
        signals.blocked = self.host_signals.blocked
        for signo in range(1, 65):
            if self.host_signals.ignored >> (signo - 1) & 1:
                signals.actions[signo] = SigAction(SIG_IGN)
        cred = Credentials(0, 0, capabilities=CAP_ALL) if self.options.root_id else credentials()
        task = Task(kernel, 1, 1, 0, 1, 1, None, files, self.fs, cred, signals)  # type: ignore[arg-type]
        task.context = kernel.cpu.new_context()
        task.rlimits = rlimits
        task.start_ns = kernel.clock.boottime_ns()
        kernel.tasks[task.tid] = task
        kernel.current = task
        fscred.override_creds(task.cred)
        self.take_terminal(task, descriptors)
        for fd in descriptors:
            try:
                files.install(inherited(fd, self.devices, self.inherited_file, owned=fd > 2), lowest=fd)
            except OSError:
                pass  # beyond RLIMIT_NOFILE, or of a kind that cannot be handed on
        return task

    def take_terminal(self, task: Task, descriptors: list[int]) -> None:
        """The terminal that controls lxrun controls the first process's session."""
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
        except OSError:
            return
        from vfs.tty import Tty

        device = next((os.fstat(fd).st_rdev for fd in descriptors if os.isatty(fd)), 0)
        tty = self.kernel.host_tty = task.signals.shared.tty = Tty(device)
        tty.session, tty.pgrp = task.sid, task.pgid

    def inherited_file(self, fd: int, flags: int, name: bytes) -> File:
        """A regular file that lxrun was started with: its position stays shared with whoever else has it."""
        return opened(self.host_root.made(fd if fd > 2 else os.dup(fd)), flags, name)

    def exec(self, task: Task) -> None:
        """Look the program up as a shell would, and run it.  Raises RunFailure."""
        options = self.options
        name = options.program or ""
        variables = environment(options)
        path = self.find(task, os.fsencode(name), variables)
        argv = [os.fsencode(word) for word in (name, *options.args)]
        try:
            start(self.kernel, task, path, argv, variables)
        except OSError as error:
            raise exec_failure(name, error, *self.head(path), options.rootfs) from None
        if self.tracer is not None:
            self.tracer.start(task, path, argv, len(variables))

    def find(self, task: Task, name: bytes, variables: list[bytes]) -> bytes:
        """The guest's path of the program `name`: 127 if there is none, 126 if it is nothing to run."""
        shown, rootfs = os.fsdecode(name), self.options.rootfs
        if b"/" in name:
            reason = self.unfit(task, name)
            if reason is None:
                raise not_found(shown, None, rootfs)
            if reason:
                raise RunFailure(CANNOT_RUN, f"{shown}: {reason}")
            return name
        search = next((text[5:] for text in variables if text.startswith(b"PATH=")), DEFAULT_PATH)
        refusal = ""
        for directory in search.split(b":"):
            candidate = directory.rstrip(b"/") + b"/" + name if directory else b"./" + name
            reason = self.unfit(task, candidate)
            if reason == "":
                return candidate
            if reason:
                refusal = refusal or f"{os.fsdecode(candidate)}: {reason}"
        if refusal and not refusal.endswith(IS_DIRECTORY):
            raise RunFailure(CANNOT_RUN, refusal)
        raise not_found(shown, os.fsdecode(search), rootfs)

    def unfit(self, task: Task, path: bytes) -> str | None:
        """Why the file at `path` cannot be a program; empty if nothing speaks against it, None if it is not there."""
        try:
            node = self.walk(path).node
            kind = node.kind()
            if kind == S_IFDIR:
                return IS_DIRECTORY
            if kind != S_IFREG:
                return NOT_REGULAR
            node.access(X_OK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            if error.errno == errno.EACCES:
                return "no permission to execute it; chmod +x makes a file executable"
            return os.strerror(error.errno or 0)
        return ""

    def head(self, path: bytes) -> tuple[bytes, int]:
        """The start of a file and its length, to say what it is."""
        try:
            file = self.walk(path).node.open(O_RDONLY, path)
            buffer = bytearray(4096)
            count = file.pread([memoryview(buffer)], 0)
            size = file.stat().st_size
            file.release()
        except OSError:
            return b"", 0
        return bytes(buffer[:count]), size

    # The end

    def halt(self, *, keep_terminal: bool, store: bool) -> None:
        """Store what mappings of files and the trace still hold, unless it is all to be done again, and put the
        terminal back: but not after a guest that left by itself, for what stty(1) sets is meant to stay."""
        self.kernel.cpu.alarm.disarm()
        terminal = sys.modules.get("vfs.hosttty")
        if terminal is not None and not keep_terminal:
            terminal.restore()
        if store:
            self.hostfs.cache.writeback()
        if self.trace_file is not None:
            self.trace_file.close()
        if self.stats is not None and self.stats.counters and store:
            write_error(self.stats.report(self.kernel.cpu))


def tracer(options: Options) -> tuple[Tracer | None, TextIO | None]:
    """--strace, and the file it prints to if that is not standard error.  Raises RunFailure."""
    if options.strace is None:
        return None, None
    from syscalls.strace.tracer import Tracer

    file = None
    if options.output is not None:
        try:
            file = open(options.output, "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        except OSError as error:
            raise RunFailure(INTERNAL, f"-o {options.output}: {error.strerror}") from None
    limit = 32 if options.string_size is None else options.string_size
    try:
        return Tracer(file.write if file else write_error, options.strace, limit), file
    except ValueError as error:
        raise RunFailure(INTERNAL, f"--strace={options.strace}: {error}") from None


def stats(options: Options) -> Stats | None:
    """--stats."""
    if not options.stats:
        return None
    from lxrun.stats import Stats

    return Stats()


def credentials() -> Credentials:
    """The guest acts as the user who runs lxrun; on a host without user ids, as an ordinary one."""
    if not hasattr(os, "getuid"):
        return initial_credentials(1000, 1000)
    return initial_credentials(os.getuid(), os.getgid(), tuple(os.getgroups()))

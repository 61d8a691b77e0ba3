"""`--backend vm`: the same command line, run by real Linux in a virtual machine (vm/)."""

from __future__ import annotations

import errno
import os
import stat
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from emu.arch import x86_64
from emu.elf import BadImage, check_header
from kernel.hostsignals import group_is_orphaned
from lxrun.diagnostics import CANNOT_RUN, INTERNAL, RunFailure, exec_failure, not_found
from lxrun.world import IS_DIRECTORY, NOT_REGULAR, below, environment
from vm import NotStarted, VmError
from vm.images import Images, prepare
from vm.kernels import choose
from vm.protocol import Order, Stream, Volume
from vm.qemu import DEFAULT_MEMORY, LEAST_MEMORY, Machine, find_qemu, probe
from vm.session import run as run_session
from vm.terminal import window_size

if TYPE_CHECKING:
    from lxrun.options import Options


def run(options: Options, descriptors: list[int], replay: bytes = b"") -> int:
    """Run the guest that `options` describe, to its end; its wait(2) status.  Raises RunFailure.

    Of `descriptors` it is handed 0, 1 and 2: others cannot be passed into another machine.  `replay` is what
    standard input gives before what is still there to be read.
    """
    order, memory, images = prepared(options, descriptors)
    watch = None
    if options.strace is not None or options.stats:
        from lxrun.vmtrace import Watch

        watch = Watch(options, raw=order.streams[0] is Stream.TERMINAL)
        order = replace(order, tracing=watch.tracing)
    try:
        machine = Machine(images, order.root, memory, probe(images), order.volumes)
        return run_session(machine, order, replay, watch)
    except VmError as error:
        raise RunFailure(INTERNAL, str(error)) from None
    except NotStarted as failure:
        raise explained(options, failure) from None
    finally:
        if watch is not None:
            watch.close()


def prepared(options: Options, descriptors: list[int]) -> tuple[Order, int, Images]:
    """All that a run needs short of starting a machine; of that, its memory in bytes.  Raises RunFailure."""
    try:
        memory = options.memory or DEFAULT_MEMORY
        if memory < LEAST_MEMORY:
            raise VmError(f"--memory {memory}: too little for Linux, which needs {LEAST_MEMORY >> 20}m")
        order = make_order(options, descriptors)
        find_qemu()
        return order, memory, prepare(choose(options.vm_kernel))
    except VmError as error:
        raise RunFailure(INTERNAL, str(error)) from None


def make_order(options: Options, descriptors: list[int]) -> Order:
    """What the agent is told.  Raises RunFailure if a part of the guest's world is missing on the host."""
    rootfs = options.rootfs
    if rootfs is not None and not os.path.isdir(rootfs):
        why = "it is not a directory" if os.path.exists(rootfs) else "there is no such directory"
        raise RunFailure(INTERNAL, f"--rootfs {rootfs}: {why}")
    if rootfs is None and not sys.platform.startswith("linux"):
        raise RunFailure(INTERNAL, "this host has no Linux files; name a root filesystem with --rootfs DIR")
    root = os.path.realpath(rootfs or "/")
    umask = os.umask(0)
    os.umask(umask)
    streams = kinds(descriptors)
    terminal = streams.index(Stream.TERMINAL) if Stream.TERMINAL in streams else None
    return Order(
        argv=[os.fsencode(word) for word in (options.program or "", *options.args)],
        environment=environment(options),
        root=root,
        cwd=os.fsencode(options.cwd) if options.cwd is not None else here(os.fsencode(root)),
        cwd_wanted=options.cwd is not None,
        uid=os.getuid(),
        gid=os.getgid(),
        groups=os.getgroups(),
        umask=umask,
        streams=streams,
        window=(0, 0) if terminal is None else window_size(terminal),
        volumes=[volume(v.host, v.guest, v.read_only) for v in options.volumes],
        job_control=os.name == "posix" and not group_is_orphaned(),
    )


def here(root: bytes) -> bytes:
    """The user's own directory as the guest names it."""
    try:
        return below(root, os.getcwdb())
    except OSError:
        return b"/"  # it has been removed


def volume(host: str, guest: str, read_only: bool) -> Volume:
    """-v, for a directory: QEMU shares no single files."""
    if not os.path.exists(host):
        raise RunFailure(INTERNAL, f"-v {host}:{guest}: the host has no {host}")
    if not os.path.isdir(host):
        raise RunFailure(INTERNAL, f"-v {host}:{guest}: only directories can be shown to a VM, and this is a file")
    return Volume(os.path.abspath(host), guest, read_only)


def kinds(descriptors: list[int]) -> tuple[Stream, Stream, Stream]:
    """What the standard streams are in the guest: terminals where they are terminals here."""
    found = [kind(fd) if fd in descriptors else Stream.CLOSED for fd in range(3)]
    if found[0] is Stream.TERMINAL and Stream.TERMINAL not in found[1:]:
        found[0] = Stream.PIPE  # its echo would have nowhere to go: our own terminal does it
    return found[0], found[1], found[2]


def kind(fd: int) -> Stream:
    """What one stream is in the guest."""
    if os.isatty(fd):
        return Stream.TERMINAL
    state = os.fstat(fd)
    if stat.S_ISCHR(state.st_mode) and os.path.exists(os.devnull) and state.st_rdev == os.stat(os.devnull).st_rdev:
        return Stream.NOTHING
    return Stream.PIPE


def explained(options: Options, failure: NotStarted) -> RunFailure:
    """The words of the emulator for a program that cannot be run."""
    name, number = options.program or "", failure.errno
    if failure.stage == "cwd":
        why = "it is not a directory" if number == errno.ENOTDIR else "the guest has no such directory"
        reason = f": {os.strerror(number)}" if number != errno.ENOTDIR else ""
        return RunFailure(INTERNAL, f"-w {options.cwd}: {why}{reason}")
    if failure.stage == "exec":
        error = OSError(number, None)
        if number == errno.ENOEXEC:
            try:
                check_header(failure.head, x86_64)
            except BadImage as bad:
                error = bad
        return exec_failure(name, error, failure.head, failure.size, options.rootfs)
    if number in (errno.ENOENT, errno.ENOTDIR):
        path = next((text[5:] for text in environment(options) if text.startswith(b"PATH=")), None)
        return not_found(name, None if "/" in name else os.fsdecode(path or b""), options.rootfs)
    shown = name if "/" in name else os.fsdecode(failure.path)
    reasons = {
        errno.EISDIR: IS_DIRECTORY,
        errno.EINVAL: NOT_REGULAR,
        errno.EACCES: "no permission to execute it; chmod +x makes a file executable",
    }
    return RunFailure(CANNOT_RUN, f"{shown}: {reasons.get(number) or os.strerror(number)}")

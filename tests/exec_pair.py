"""One file offered to execve(2) on real Linux and to lxrun's loader: what came of it, side by side.

The native side runs under ptrace(2), which stops a program before its first instruction, so that files
full of nonsense can be tried without running any of it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from dataclasses import dataclass, field
from functools import cache

from emu.arch import x86_64
from kernel import exec as program
from kernel.cred import initial_credentials
from kernel.files import FdTable
from kernel.kernel import Kernel
from kernel.procmaps import maps_line
from kernel.rlimit import initial_rlimits
from kernel.signal import SignalState
from kernel.task import FsContext, Task
from syscalls.dispatch import build
from vfs.hostfs import HostFs
from vfs.mount import MountTable
from vfs.pages import PageCache

ADDR_NO_RANDOMIZE = 0x0040000
PTRACE_TRACEME, PTRACE_PEEKUSER = 0, 3
PR_CAPBSET_DROP, CAP_SYS_RAWIO = 24, 17
_RSP, _RIP = 19 * 8, 16 * 8  # in struct user
AT_RANDOM, AT_HWCAP, AT_MINSIGSTKSZ = 25, 16, 51


@dataclass
class Outcome:
    """errno of a refused execve, the signal that killed the process, or what it looks like."""

    errno: int = 0
    signal: int = 0
    maps: list[str] = field(default_factory=list)
    pc: int = 0
    comm: bytes = b""
    argv: list[bytes] = field(default_factory=list)
    env: list[bytes] = field(default_factory=list)
    auxv: list[tuple[int, int]] = field(default_factory=list)  # without what cannot be the same
    strings: dict[int, bytes] = field(default_factory=dict)  # the auxiliary vector's strings


def native(path: bytes, argv: list[bytes], env: list[bytes], cwd: str = "/") -> Outcome:
    """What Linux does."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    arguments = (ctypes.c_char_p * (len(argv) + 1))(*argv, None)
    environment = (ctypes.c_char_p * (len(env) + 1))(*env, None)
    told, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(cwd)
            libc.personality(ADDR_NO_RANDOMIZE)
            libc.prctl(PR_CAPBSET_DROP, CAP_SYS_RAWIO)  # lets root map page 0
            libc.ptrace(PTRACE_TRACEME, 0, None, None)
            libc.execve(path, arguments, environment)
            os.write(tell, struct.pack("<i", ctypes.get_errno()))
        finally:
            os._exit(1)
    os.close(tell)
    _, status = os.waitpid(pid, 0)
    refused = os.read(told, 4)
    os.close(told)
    if os.WIFSIGNALED(status):
        return Outcome(signal=os.WTERMSIG(status))
    if os.WIFSTOPPED(status) and os.WSTOPSIG(status) != signal.SIGTRAP:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return Outcome(signal=os.WSTOPSIG(status))
    if not os.WIFSTOPPED(status):
        return Outcome(errno=struct.unpack("<i", refused)[0])
    try:
        with open(f"/proc/{pid}/maps") as maps:
            lines = maps.read().splitlines()
        with open(f"/proc/{pid}/mem", "rb") as memory, open(f"/proc/{pid}/auxv", "rb") as auxv:
            # Where a page cannot be read, reading stops; the stack can always be read.
            sp = libc.ptrace(PTRACE_PEEKUSER, pid, _RSP, None) & (1 << 64) - 1
            memory.seek(sp)
            stack = memory.read(x86_64.STACK_TOP - sp)
            outcome = _stack(stack, sp, auxv.read())
        with open(f"/proc/{pid}/comm", "rb") as comm:
            outcome.comm = comm.read()[:-1]
        outcome.pc = libc.ptrace(PTRACE_PEEKUSER, pid, _RIP, None) & (1 << 64) - 1
        outcome.maps = _plain(lines)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return outcome


def vdso_data_pages() -> int:
    """How many pages of data lie in front of the vDSO here: that differs from one version of Linux to the next,
    and decides in which gap it finds room."""
    with open("/proc/self/maps") as maps:
        ranges = [line.split()[0].split("-") for line in maps if "[vvar" in line]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges) >> 12


@cache
def machine() -> Task:
    """A task of a kernel that sees the host's files."""
    kernel = Kernel(x86_64, build({}))  # no guest runs, so there are no calls
    kernel.vdso._data.count = vdso_data_pages()
    kernel.mounts = MountTable(HostFs(PageCache(kernel.arena), kernel.text_busy).root(b"/"))
    root = kernel.mounts.at(b"/")
    fs = FsContext(root, root)
    task = Task(
        kernel, 1, 1, 0, 1, 1, None, FdTable(), fs, initial_credentials(os.getuid(), os.getgid()), SignalState(),
        rlimits=initial_rlimits(),
    )  # fmt: skip
    kernel.tasks[1] = kernel.current = task
    return task


def emulated(path: bytes, argv: list[bytes], env: list[bytes], cwd: str = "/") -> Outcome:
    """What lxrun does."""
    task = machine()
    task.fs.cwd = task.kernel.mounts.at(os.fsencode(cwd))
    try:
        program.start(task.kernel, task, path, argv, env)
    except program.Unloadable as error:
        assert error.strerror and "\n" not in error.strerror
        return Outcome(signal=signal.SIGSEGV)
    except OSError as error:
        assert error.strerror and "\n" not in error.strerror
        return Outcome(errno=error.errno)
    mm = task.mm
    pc, sp = task.kernel.cpu.read(("rip", "rsp"))
    outcome = _stack(mm.read(sp, x86_64.STACK_TOP - sp), sp, task.auxv)
    outcome.pc = pc
    outcome.comm = task.comm
    lines = b"".join(maps_line(mm, vma) for vma in mm.vmas).decode(errors="surrogateescape")
    outcome.maps = _plain(lines.splitlines())
    first, end = task.arg_range
    assert mm.read(first, end - first) == b"".join(arg + b"\0" for arg in outcome.argv)
    first, end = task.env_range
    assert mm.read(first, end - first) == b"".join(variable + b"\0" for variable in outcome.env)
    return outcome


def _plain(lines: list[str]) -> list[str]:
    """/proc/PID/maps with single blanks.  Newer versions of Linux have the data of the vDSO in two mappings; the
    page of the legacy vsyscall lies beyond user space."""
    plain: list[str] = []
    for line in lines:
        words = line.split()
        if words[-1] == "[vsyscall]":
            continue
        if words[-1] == "[vvar_vclock]":
            plain[-1] = plain[-1].replace(words[0].split("-")[0], words[0].split("-")[1], 1)
            continue
        plain.append(" ".join(words))
    return plain


def _stack(stack: bytes, sp: int, saved: bytes) -> Outcome:
    """Decode a new program's stack, which starts with argc at `sp`."""
    assert sp % 16 == 0
    words = struct.unpack(f"<{len(stack) // 8}Q", stack[: len(stack) & ~7])

    def string(address: int) -> bytes:
        return stack[address - sp :].split(b"\0", 1)[0]

    argc = words[0]
    at = 1
    argv = [string(word) for word in words[at : at + argc]]
    at += argc
    assert words[at] == 0
    at += 1
    env = []
    while words[at]:
        env.append(string(words[at]))
        at += 1
    at += 1
    vector = list(zip(words[at::2], words[at + 1 :: 2], strict=False))
    vector = vector[: vector.index((0, 0)) + 1]
    assert struct.pack(f"<{2 * len(vector)}Q", *(word for pair in vector for word in pair)) == saved
    outcome = Outcome(argv=argv, env=env)
    for key, value in vector:
        if key in (15, 31):  # AT_PLATFORM, AT_EXECFN
            outcome.strings[key] = string(value)
        if key == AT_RANDOM:
            assert sp < value <= x86_64.STACK_TOP - 16
            value = value - x86_64.STACK_TOP
        outcome.auxv.append((key, 0 if key in (AT_HWCAP, AT_MINSIGSTKSZ) else value))
    return outcome

"""Drives lxrun's Tracer from a native process, by ptrace(2): `feed.py OUTPUT PROGRAM ARGS...`.

What it writes is what `lxrun --strace` would if every call answered exactly as the host's kernel does, so
it can be compared with strace's own output line by line.  x86-64 Linux only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from emu.arch.x86_64_calls import CALLS
from kernel import siginfo
from syscalls.strace.tracer import Tracer

PTRACE_TRACEME, PTRACE_GETREGS, PTRACE_SYSCALL, PTRACE_SETOPTIONS, PTRACE_GETSIGINFO = 0, 12, 24, 0x4200, 0x4202
TRACESYSGOOD, TRACEEXEC, EXITKILL = 0x01, 0x10, 0x100000
ADDR_NO_RANDOMIZE = 0x40000
REGISTERS = struct.Struct("27Q")  # user_regs_struct

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request: int, pid: int, data: int | ctypes.Array[ctypes.c_char] = 0) -> None:
    """One ptrace(2) without an address.  Raises OSError."""
    if libc.ptrace(request, pid, None, ctypes.c_void_p(data) if isinstance(data, int) else data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


class NativeMemory:
    """What the tracer needs of an address space."""

    def __init__(self, pid: int) -> None:
        self.fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY)

    def read(self, addr: int, n: int) -> bytes:
        try:
            data = os.pread(self.fd, n, addr)
        except OverflowError:
            raise OSError("beyond what pread takes") from None
        if len(data) < n:
            raise OSError("bad address")
        return data


class NativeSignals:
    """What the tracer needs of a task's signals."""

    def __init__(self, pid: int) -> None:
        self.status = Path(f"/proc/{pid}/status")

    @property
    def blocked(self) -> int:
        for line in self.status.read_text().splitlines():
            if line.startswith("SigBlk:"):
                return int(line.split()[1], 16)
        return 0


class NativeTask:
    """A traced process in the shape of a Task."""

    def __init__(self, pid: int) -> None:
        self.tid = pid
        self.mm = NativeMemory(pid)
        self.signals = NativeSignals(pid)


def spawn(argv: list[str]) -> int:
    """A stopped process about to become `argv`, traced by this one."""
    pid = os.fork()
    if pid == 0:
        libc.personality(ADDR_NO_RANDOMIZE)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores these two
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        ptrace(PTRACE_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execvp(argv[0], argv)
    os.waitpid(pid, 0)
    ptrace(PTRACE_SETOPTIONS, pid, TRACESYSGOOD | TRACEEXEC | EXITKILL)
    return pid


def follow(pid: int, tracer: Tracer) -> None:
    """Report what the process does, from its execve on, until it is gone."""
    task = NativeTask(pid)
    registers = ctypes.create_string_buffer(REGISTERS.size)
    inside = started = False
    deliver = 0
    while True:
        ptrace(PTRACE_SYSCALL, pid, deliver)
        deliver = 0
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            tracer.exit(task, status)
            return
        stop = os.WSTOPSIG(status)
        if stop == signal.SIGTRAP | 0x80:
            ptrace(PTRACE_GETREGS, pid, registers)
            r = REGISTERS.unpack(registers.raw)
            number = r[15]
            inside = not inside
            started = started or CALLS.get(number) == "execve"
            if not started:
                continue
            if inside:
                task.mm = NativeMemory(pid)
                tracer.enter(task, number, CALLS.get(number, f"syscall_{number:#x}"), (*r[14:11:-1], r[7], r[9], r[8]))
            else:
                tracer.leave(task, r[10] - (1 << 64) if r[10] >> 63 else r[10])
        elif status >> 16 == 0:
            info = ctypes.create_string_buffer(siginfo.SIZE)
            ptrace(PTRACE_GETSIGINFO, pid, info)
            tracer.signal(task, siginfo.unpack(info.raw))
            deliver = stop


def main(output: str, *argv: str) -> None:
    with open(output, "w", encoding="utf-8") as file:
        follow(spawn(list(argv)), Tracer(file.write))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What came with a signal: Linux's ``siginfo_t`` (sigaction(2), asm-generic/siginfo.h).

The layout packed here is the one of every 64-bit architecture: signo, errno and code, then, 16 bytes
in, a union that depends on the signal and the code.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.posix_timers import PosixTimer

# Signals that carry a fault address.
_FAULTS = frozenset((4, 5, 7, 8, 11))  # SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV

# Signals that a terminal sends: SIGHUP SIGINT SIGQUIT SIGTSTP SIGTTIN SIGTTOU SIGWINCH
_TERMINAL = frozenset((1, 2, 3, 20, 21, 22, 28))

# si_code of any signal
SI_USER, SI_KERNEL, SI_QUEUE, SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_TKILL = 0, 0x80, -1, -2, -3, -4, -5, -6
# SIGSEGV, SIGBUS
SEGV_MAPERR, SEGV_ACCERR = 1, 2
BUS_ADRALN, BUS_ADRERR, BUS_OBJERR = 1, 2, 3
# SIGILL, SIGFPE, SIGTRAP, SIGCHLD, SIGSYS
ILL_ILLOPC, ILL_ILLOPN, ILL_PRVOPC = 1, 2, 5
FPE_INTDIV, FPE_INTOVF, FPE_FLTDIV, FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES, FPE_FLTINV = 1, 2, 3, 4, 5, 6, 7
TRAP_BRKPT, TRAP_TRACE, TRAP_HWBKPT = 1, 2, 4
CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = 1, 2, 3, 4, 5, 6
SYS_SECCOMP = 1

SIZE = 128  # SI_MAX_SIZE
KERNEL_SIZE = 48  # what Linux itself keeps of one: longer payloads must be zero

_HEAD = Struct("<iii4x")
_KILL = Struct("<iI")
_QUEUE = Struct("<iIQ")
_TIMER = Struct("<iiQ")
_CHILD = Struct("<iIi4xqq")
_ADDRESS = Struct("<Q")
_POLL = Struct("<qi")


class SigInfo:
    """One siginfo_t.  `payload` is the union in its 64-bit layout, without trailing zeros; `timer` is the POSIX
    timer that sent the signal and has to know when it is taken."""

    __slots__ = ("code", "errno", "payload", "signo", "timer")

    def __init__(self, signo: int, code: int, payload: bytes = b"", errno: int = 0) -> None:
        self.signo = signo
        self.code = code
        self.errno = errno
        self.payload = payload
        self.timer: PosixTimer | None = None

    @property
    def pid(self) -> int:
        """si_pid, for the codes that have one; otherwise the bits at its place."""
        return int.from_bytes(self.payload[0:4], "little", signed=True)

    @property
    def uid(self) -> int:
        """si_uid, as `pid`."""
        return int.from_bytes(self.payload[4:8], "little")

    @property
    def status(self) -> int:
        """si_status of SIGCHLD."""
        return int.from_bytes(self.payload[8:12], "little", signed=True)

    @property
    def address(self) -> int:
        """si_addr of a fault."""
        return int.from_bytes(self.payload[0:8], "little")

    @property
    def value(self) -> int:
        """si_value, as the 64 bits of sival_ptr."""
        return int.from_bytes(self.payload[8:16], "little")

    @property
    def is_fault(self) -> bool:
        """Raised by the instruction the task was at, not sent by anybody."""
        return self.code > 0 and self.code != SI_KERNEL and self.signo in _FAULTS

    def pack(self) -> bytes:
        """The 128 bytes a handler sees."""
        return (_HEAD.pack(self.signo, self.errno, self.code) + self.payload).ljust(SIZE, b"\0")


def unpack(data: bytes) -> SigInfo:
    """A siginfo_t that the guest built (rt_sigqueueinfo): taken as it is, as Linux does."""
    signo, error, code = _HEAD.unpack_from(data)
    return SigInfo(signo, code, data[16:KERNEL_SIZE], error)


# Highest si_code of the signals that have codes of their own: SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV SIGCHLD SIGIO
# SIGSYS; other signals may carry SIGIO's.
_CODE_LIMITS = {4: 11, 5: 6, 7: 5, 8: 15, 11: 10, 17: 6, 29: 6, 31: 2}
_SI_DETHREAD, _SI_ASYNCNL = -7, -60


def known_layout(signo: int, code: int) -> bool:
    """Whether Linux knows the union's layout; of an unknown one it carries only KERNEL_SIZE bytes."""
    if code > SI_USER and code != SI_KERNEL:
        return code <= _CODE_LIMITS.get(signo, 6)
    return code in (SI_KERNEL, _SI_ASYNCNL) or code >= _SI_DETHREAD


# Which members of the union mean something (enum siginfo_layout)
_LAYOUTS = {
    "kill": (Struct("<II"), ("pid", "uid")),
    "timer": (Struct("<IIi4x"), ("tid", "overrun", "int")),
    "poll": (Struct("<I4xi"), ("band", "fd")),
    "fault": (Struct("<Q"), ("addr",)),
    "child": (Struct("<IIi4xQQ"), ("pid", "uid", "status", "utime", "stime")),
    "rt": (Struct("<IIi4x"), ("pid", "uid", "int")),
    "sys": (Struct("<QiI"), ("call_addr", "syscall", "arch")),
}
_SIGNAL_LAYOUTS = {4: "fault", 5: "fault", 7: "fault", 8: "fault", 11: "fault", 17: "child", 29: "poll", 31: "sys"}


def layout(signo: int, code: int) -> str:
    """siginfo_layout: the member of the union that a signal with this code has."""
    if SI_USER < code < SI_KERNEL:
        if signo in _CODE_LIMITS and code <= _CODE_LIMITS[signo]:
            return _SIGNAL_LAYOUTS[signo]
        return "poll" if code <= 6 else "kill"
    if code == SI_TIMER:
        return "timer"
    if code == SI_SIGIO:
        return "poll"
    return "rt" if code < 0 else "kill"


def fields(info: SigInfo) -> dict[str, int]:
    """The members of the union by name, without their si_; `ptr` is all of si_value."""
    name = layout(info.signo, info.code)
    struct, names = _LAYOUTS[name]
    found = dict(zip(names, struct.unpack_from(info.payload.ljust(struct.size, b"\0")), strict=True))
    if "int" in found:
        found["ptr"] = info.value
    return found


def user(signo: int, pid: int, uid: int, code: int = SI_USER) -> SigInfo:
    """kill(2), or with SI_TKILL tgkill(2)."""
    return SigInfo(signo, code, _KILL.pack(pid, uid))


def queued(signo: int, pid: int, uid: int, value: int, code: int = SI_QUEUE) -> SigInfo:
    """sigqueue(3) and mq_notify(3)."""
    return SigInfo(signo, code, _QUEUE.pack(pid, uid, value & 0xFFFF_FFFF_FFFF_FFFF))


def from_kernel(signo: int) -> SigInfo:
    """A signal no process sent: a terminal's, an interval timer's."""
    return SigInfo(signo, SI_KERNEL)


def from_host(signo: int) -> SigInfo:
    """A signal from outside.  Linux shows a process of another pid namespace as 0; a terminal's as its own."""
    return from_kernel(signo) if signo in _TERMINAL else user(signo, 0, 0)


def timer(signo: int, timer_id: int, overrun: int, value: int) -> SigInfo:
    """A POSIX timer's (timer_create(2))."""
    return SigInfo(signo, SI_TIMER, _TIMER.pack(timer_id, overrun, value & 0xFFFF_FFFF_FFFF_FFFF))


def fault(signo: int, code: int, address: int) -> SigInfo:
    """A fault of the instruction at hand."""
    return SigInfo(signo, code, _ADDRESS.pack(address & 0xFFFF_FFFF_FFFF_FFFF))


def child(signo: int, code: int, pid: int, uid: int, status: int, utime: int, stime: int) -> SigInfo:
    """SIGCHLD, or the signal that clone(2) was told to send in its place; times in clock ticks."""
    return SigInfo(signo, code, _CHILD.pack(pid, uid, status, utime, stime))


def poll(signo: int, code: int, band: int, fd: int) -> SigInfo:
    """SIGIO (fcntl F_SETSIG)."""
    return SigInfo(signo, code, _POLL.pack(band, fd))

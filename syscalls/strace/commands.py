"""Calls whose arguments depend on a command: ioctl, fcntl, prctl and futex."""

from __future__ import annotations

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.calls import Args, Spec, hexadecimal_result
from syscalls.strace.seccomp import prctl_mode
from syscalls.strace.values import (
    Arg,
    Traced,
    address,
    buffer_text,
    choice,
    choice_text,
    fd,
    flags,
    flags_text,
    hex_text,
    hexadecimal,
    hexadecimal32,
    integer,
    number,
    out,
    pointer,
    signal_name,
    signal_number,
    signed,
    size,
    string,
    string_text,
    struct,
    unsigned,
)

# fcntl

_COMMAND = choice(c.FCNTL_COMMANDS, "F_")
_NO_ARGUMENT = {1, 3, 9, 11, 1025, 1032, 1034}
_FCNTL: dict[int, Arg] = {
    0: unsigned,
    2: flags(c.FD_FLAGS, "FD_"),
    4: Arg(lambda call, value: s.open_flags_text(value & 0xFFFFFFFF)),
    5: out(s.flock_found),
    6: s.flock,
    7: s.flock,
    8: integer,
    10: signal_number,
    15: pointer(lambda call, value: _owner(call, value)),
    16: out(pointer(lambda call, value: _owner(call, value))),
    17: out(struct("<II", lambda real, effective: f"[{real}, {effective}]")),
    36: out(s.flock_found),
    37: s.flock,
    38: s.flock,
    1024: choice(c.LOCK_TYPES, "F_"),
    1026: flags(c.NOTIFY_FLAGS, "DN_"),
    1030: unsigned,
    1031: integer,
    1033: flags(c.SEALS, "F_SEAL_"),
    1035: out(number("<Q", lambda value: choice_text(c.RW_HINTS, value, "RWH_WRITE_LIFE_"))),
    1036: number("<Q", lambda value: choice_text(c.RW_HINTS, value, "RWH_WRITE_LIFE_")),
    1037: out(number("<Q", lambda value: choice_text(c.RW_HINTS, value, "RWH_WRITE_LIFE_"))),
    1038: number("<Q", lambda value: choice_text(c.RW_HINTS, value, "RWH_WRITE_LIFE_")),
}


def _owner(call: Traced, addr: int) -> str | None:
    data = call.read(addr, 8)
    if data is None:
        return None
    kind, pid = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:], "little", signed=True)
    return f"{{type={choice_text(c.OWNER_TYPES, kind, 'F_OWNER_')}, pid={pid}}}"


def _fcntl(call: Traced) -> Args:
    command = call.args[1] & 0xFFFFFFFF
    if command in _NO_ARGUMENT:
        return fd, _COMMAND
    return fd, _COMMAND, _FCNTL.get(command, hexadecimal)


def _fcntl_extra(call: Traced) -> str:
    """What strace adds to a result: the flags in it."""
    command, result = call.args[1] & 0xFFFFFFFF, call.result or 0
    if command == 1:
        return "flags " + flags_text(c.FD_FLAGS, result, "FD_") if result else ""
    if command == 3:
        return "flags " + s.open_flags_text(result)
    if command == 11:
        return signal_name(result) if result else ""
    if command == 1025:
        return choice_text(c.LOCK_TYPES, result, "F_")
    if command == 1034:
        return "seals " + flags_text(c.SEALS, result, "F_SEAL_") if result else ""
    return ""


def _fcntl_result(call: Traced) -> str:
    return hexadecimal_result(call) if call.args[1] & 0xFFFFFFFF in (1, 3, 1025, 1034) else str(call.result)


# ioctl

_INT_IN, _INT_OUT = number("<i"), out(number("<i"))
_TERMIOS_IN, _TERMIOS_OUT = s.termios, out(s.termios)
_DECIMAL = Arg(lambda call, value: str(signed(value, 32)))
_IOCTL: dict[str, Arg | None] = {
    "TCGETS": _TERMIOS_OUT,
    "TCSETS": _TERMIOS_IN,
    "TCSETSW": _TERMIOS_IN,
    "TCSETSF": _TERMIOS_IN,
    "TIOCGLCKTRMIOS": _TERMIOS_OUT,
    "TIOCSLCKTRMIOS": _TERMIOS_IN,
    "TCSBRK": _DECIMAL,
    "TCSBRKP": _DECIMAL,
    "TCXONC": choice({0: "TCOOFF", 1: "TCOON", 2: "TCIOFF", 3: "TCION"}, "TC"),
    "TCFLSH": choice({0: "TCIFLUSH", 1: "TCOFLUSH", 2: "TCIOFLUSH"}, "TC"),
    "TIOCSCTTY": _DECIMAL,
    "TIOCGPGRP": _INT_OUT,
    "TIOCGSID": _INT_OUT,
    "TIOCSPGRP": _INT_IN,
    "TIOCGETD": _INT_OUT,
    "TIOCSETD": _INT_IN,
    "TIOCGPTN": _INT_OUT,
    "TIOCGPTLCK": _INT_OUT,
    "TIOCGPKT": _INT_OUT,
    "TIOCGEXCL": _INT_OUT,
    "TIOCSPTLCK": _INT_IN,
    "TIOCPKT": _INT_IN,
    "TIOCOUTQ": _INT_OUT,
    "TIOCGWINSZ": out(s.winsize),
    "TIOCSWINSZ": s.winsize,
    "TIOCSTI": pointer(lambda call, value: buffer_text(call, value, 1)),
    "FIONREAD": _INT_OUT,
    "SIOCATMARK": _INT_OUT,
    "FIONBIO": _INT_IN,
    "FIOASYNC": _INT_IN,
    "FIOCLEX": None,
    "FIONCLEX": None,
    "TIOCNOTTY": None,
    "TIOCEXCL": None,
    "TIOCNXCL": None,
    "TIOCCONS": None,
    "TIOCVHANGUP": None,
    "TIOCSBRK": None,
    "TIOCCBRK": None,
    "FS_IOC_GETFLAGS": out(number("<i", lambda value: hex(value))),
    "FS_IOC_SETFLAGS": number("<i", lambda value: hex(value)),
    "FICLONE": fd,
    "BLKGETSIZE64": out(number("<Q")),
    "BLKSSZGET": _INT_OUT,
}
# Requests whose number two drivers share: strace names both.
_SHARED = {
    "TCSETS": "SNDCTL_TMR_START or TCSETS",
    "TCSETSW": "SNDCTL_TMR_STOP or TCSETSW",
    "TCSETSF": "SNDCTL_TMR_CONTINUE or TCSETSF",
    "FICLONE": "BTRFS_IOC_CLONE or FICLONE",
    "FICLONERANGE": "BTRFS_IOC_CLONE_RANGE or FICLONERANGE",
    "FIDEDUPERANGE": "BTRFS_IOC_FILE_EXTENT_SAME or FIDEDUPERANGE",
}
_DIRECTIONS = ("_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE")


def _request(call: Traced, value: int) -> str:
    value &= 0xFFFFFFFF
    name = c.IOCTLS.get(value)
    if name is not None:
        return _SHARED.get(name, name)
    parts = (value >> 8 & 0xFF, value & 0xFF, value >> 16 & 0x3FFF)
    kind, number, length = [hex(part) if part else "0" for part in parts]
    return f"_IOC({_DIRECTIONS[value >> 30]}, {kind}, {number}, {length})"


def _ioctl(call: Traced) -> Args:
    request = Arg(_request)
    known = _IOCTL.get(c.IOCTLS.get(call.args[1] & 0xFFFFFFFF, ""), hexadecimal)
    return (fd, request) if known is None else (fd, request, known)


# prctl

_PRCTL: dict[int, Args] = {
    1: (Arg(lambda call, value: signal_name(value & 0xFFFFFFFF)),),
    2: (out(number("<i", signal_name)),),
    3: (),
    4: (choice(c.DUMPABLE, "SUID_DUMP_"),),
    7: (),
    8: (size,),
    15: (Arg(lambda call, value: prctl_name(call, value)),),
    16: (out(Arg(lambda call, value: prctl_name(call, value))),),
    21: (),
    23: (choice(c.CAPABILITIES, "CAP_"),),
    24: (choice(c.CAPABILITIES, "CAP_"),),
    25: (out(number("<i", lambda value: choice_text(c.TSC, value, "PR_TSC_"))),),
    26: (choice(c.TSC, "PR_TSC_"),),
    13: (),
    14: (size,),
    27: (),
    28: (flags(c.SECUREBITS, "SECBIT_"),),
    29: (size,),
    30: (),
    35: (choice(c.SET_MM, "PR_SET_MM_"), hexadecimal, hexadecimal, hexadecimal),
    36: (size,),
    37: (out(number("<i")),),
    38: (size, hexadecimal, hexadecimal, hexadecimal),
    39: (hexadecimal, hexadecimal, hexadecimal, hexadecimal),
    40: (out(number("<Q", hex)),),
    41: (size, hexadecimal, hexadecimal, hexadecimal),
    42: (hexadecimal, hexadecimal, hexadecimal, hexadecimal),
    47: (choice(c.AMBIENT, "PR_CAP_AMBIENT_"), choice(c.CAPABILITIES, "CAP_"), hexadecimal, hexadecimal),
    0x53564D41: (choice({0: "PR_SET_VMA_ANON_NAME"}, "PR_SET_VMA_"), address, size, string),
    0x59616D61: (hexadecimal,),
}


def prctl_name(call: Traced, addr: int) -> str:
    """A task's name: at most 15 bytes."""
    return string_text(call, addr, 15)


def _prctl(call: Traced) -> Args:
    option = Arg(lambda call, value: choice_text(c.PRCTL_OPTIONS, value & 0xFFFFFFFF, "PR_"))
    if call.args[0] == 47 and call.args[1] not in (1, 2, 3):  # PR_CAP_AMBIENT_CLEAR_ALL takes no capability
        return option, choice(c.AMBIENT, "PR_CAP_AMBIENT_"), hexadecimal, hexadecimal, hexadecimal
    if call.args[0] == 22:
        return (option, *prctl_mode(call))
    rest = _PRCTL.get(call.args[0] & 0xFFFFFFFF, (hexadecimal,) * 4)
    return (option, *rest)


def _prctl_extra(call: Traced) -> str:
    result = call.result or 0
    if call.args[0] == 27:
        return flags_text(c.SECUREBITS, result, "SECBIT_") if result else ""
    return {3: c.DUMPABLE, 34: c.MCE_POLICIES}.get(call.args[0], {}).get(result, "")


def _prctl_result(call: Traced) -> str:
    return hexadecimal_result(call) if call.args[0] == 27 else str(call.result)


# futex

_FUTEX_WAIT, _FUTEX_TIMED, _PRIVATE, _REALTIME = 0, {0, 6, 9, 11, 13}, 128, 256


def _futex_op(call: Traced, value: int) -> str:
    value &= 0xFFFFFFFF
    name = c.FUTEX_COMMANDS.get(value & 127)
    if name is None:
        return f"{value:#x} /* FUTEX_??? */"
    if value & _PRIVATE:
        name += "_PRIVATE"
    return name + ("|FUTEX_CLOCK_REALTIME" if value & _REALTIME else "")


def _bitset(call: Traced, value: int) -> str:
    value &= 0xFFFFFFFF
    return "FUTEX_BITSET_MATCH_ANY" if value == 0xFFFFFFFF else hex_text(value)


_WAKE_OPS = {0: "SET", 1: "ADD", 2: "OR", 3: "ANDN", 4: "XOR"}
_COMPARISONS = {0: "EQ", 1: "NE", 2: "LT", 3: "LE", 4: "GT", 5: "GE"}


def _wake_op(call: Traced, value: int) -> str:
    shifted = "FUTEX_OP_OPARG_SHIFT<<28|" if value >> 31 & 1 else ""
    change = choice_text(_WAKE_OPS, value >> 28 & 7, "")
    test = choice_text(_COMPARISONS, value >> 24 & 15, "")
    argument, limit = [str(part) if not part else hex(part) for part in (value >> 12 & 0xFFF, value & 0xFFF)]
    return f"{shifted}FUTEX_OP_{change}<<28|{argument}<<12|FUTEX_OP_CMP_{test}<<24|{limit}"


def _futex(call: Traced) -> Args:
    command = call.args[1] & 127
    op, val = Arg(_futex_op), unsigned
    if command == 0:
        return address, op, val, s.timespec
    if command in (1, 2):
        return address, op, val
    if command == 9:
        return address, op, val, s.timespec, Arg(lambda call, v: _bitset(call, call.args[5]))
    if command == 10:
        return address, op, val, Arg(lambda call, v: _bitset(call, call.args[5]))
    if command == 3:
        return address, op, val, unsigned, address
    if command in (4, 12):
        return address, op, val, unsigned, address, unsigned
    if command == 5:
        return address, op, val, unsigned, address, Arg(_wake_op)
    if command in (6, 13):
        return address, op, Arg(lambda call, v: s.timespec.decode(call, call.args[3]))
    if command in (7, 8):
        return address, op
    return address, op, val, address, address, hexadecimal32


COMMANDS: dict[str, Spec] = {
    "fcntl": Spec(choose=_fcntl, result=_fcntl_result, extra=_fcntl_extra),
    "ioctl": Spec(choose=_ioctl),
    "prctl": Spec(choose=_prctl, result=_prctl_result, extra=_prctl_extra),
    "futex": Spec(choose=_futex),
}

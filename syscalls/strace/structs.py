"""How strace writes the structs behind pointers: stat, timespec, sigaction, termios, ...

Layouts are those of 64-bit Linux; struct stat is x86-64's.
"""

from __future__ import annotations

import time
from struct import Struct

from emu.arch.x86_64_calls import CALLS
from syscalls.strace import constants as c
from syscalls.strace.values import (
    Arg,
    Traced,
    address_text,
    array,
    buffer_text,
    choice_text,
    device_text,
    fd_text,
    flags_text,
    joined,
    mode_text,
    more_flags,
    out,
    pointer,
    quote,
    signal_name,
    signed,
    string_text,
    struct,
)

# Files


def _stat(*fields: int) -> str:
    mode, rdev, size = fields[3], fields[6], fields[7]
    shown = ("st_rdev", device_text(rdev)) if mode & 0o170000 in (0o020000, 0o060000) else ("st_size", size)
    return "{" + f"st_mode={mode_text(mode)}, {shown[0]}={shown[1]}, ..." + "}"


stat = out(struct("<QQQIII4xQqqq6q24x", _stat))


def _statx(*f: int) -> str:
    fields: list[tuple[str, object]] = [
        ("stx_mask", flags_text(_STATX_RESULT, f[0], "STATX_")),
        ("stx_attributes", flags_text(c.STATX_ATTRIBUTES, f[2], "STATX_ATTR_")),
        ("stx_mode", mode_text(f[6])),
        ("stx_size", f[8]),
    ]
    return joined(fields)[:-1] + ", ...}"


_STATX_RESULT = {0xFFF: "STATX_ALL", 0x7FF: "STATX_BASIC_STATS", **c.STATX_MASK}
statx = out(struct("<IIQIIIH2xQQQQ192x", _statx))


def _statfs(*f: int) -> str:
    return joined(
        (
            ("f_type", choice_text(c.FILESYSTEMS, f[0], "")),
            *zip(("f_bsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree"), f[1:7], strict=True),
            ("f_fsid", "{val=[" + ", ".join(hex(half) if half else "0" for half in f[7:9]) + "]}"),
            ("f_namelen", f[9]),
            ("f_frsize", f[10]),
            ("f_flags", flags_text(c.STATFS_FLAGS, f[11], "ST_")),
        )
    )


statfs = out(struct("<7Q2I3Q32x", _statfs))


def _flock(kind: int, whence: int, start: int, length: int, pid: int) -> str:
    return joined(
        (
            ("l_type", choice_text(c.LOCK_TYPES, kind, "F_")),
            ("l_whence", choice_text(c.WHENCE, whence, "SEEK_")),
            ("l_start", start),
            ("l_len", length),
        )
    )


flock = struct("<Hh4xqqi4x", _flock)
flock_found = struct("<Hh4xqqi4x", lambda *f: _flock(*f)[:-1] + (f", l_pid={f[4]}" + "}"))


def open_flags_text(value: int) -> str:
    access = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")[value & 3]
    return access + more_flags(c.OPEN_FLAGS, value & ~3)


def wants_mode(value: int) -> bool:
    """O_CREAT or O_TMPFILE."""
    return bool(value & 0o20000100)


def _open_how(flags: int, mode: int, resolve: int) -> str:
    fields: list[tuple[str, object]] = [("flags", open_flags_text(flags))]
    if wants_mode(flags) or mode:
        fields.append(("mode", f"0{mode:o}"))
    fields.append(("resolve", flags_text(c.RESOLVE_FLAGS, resolve, "RESOLVE_")))
    return joined(fields)


def _sized_open_how(call: Traced, addr: int) -> str | None:
    found = call.unpack(Struct("<QQQ"), addr) if call.args[3] >= 24 else None
    return None if found is None else _open_how(*found)


open_how = pointer(_sized_open_how)


def dirents(layout: Struct, length_at: int) -> Arg:
    """getdents and getdents64: how many entries, not what is in them."""

    def decode(call: Traced, addr: int) -> str:
        data = call.read(addr, call.result or 0)
        if data is None:
            return address_text(addr)
        count = offset = 0
        while offset + layout.size <= len(data):
            step = layout.unpack_from(data, offset)[length_at]
            if not step:
                break
            offset += step
            count += 1
        return f"{addr:#x} /* {count} entries */"

    return out(Arg(decode))


getdents = dirents(Struct("<QQH"), 2)
getdents64 = dirents(Struct("<QqHB"), 2)


def iovec(call: Traced, addr: int, count: int, available: int | None) -> str:
    """The elements of an iovec with the data in them: `available` bytes, or all."""
    if not addr:
        return "NULL"
    if not count:
        return "[]"
    left = available

    def show(base: int, length: int) -> str:
        nonlocal left
        shown = length if left is None else min(length, left)
        if left is not None:
            left -= shown
        return f"{{iov_base={buffer_text(call, base, shown)}, iov_len={length}}}"

    return array(call, addr, min(count, 1024), "<QQ", show) or hex(addr)


write_vector = Arg(lambda call, value: iovec(call, value, call.args[2], None))
read_vector = Arg(
    lambda call, value: iovec_addresses(call, value) if call.failed else iovec(call, value, call.args[2], call.result),
    out=True,
)


def iovec_addresses(call: Traced, addr: int, count_at: int = 2) -> str:
    """An iovec that was not filled, or of another process; its length is argument `count_at`."""
    if not addr:
        return "NULL"
    text = array(
        call, addr, min(call.args[count_at], 1024), "<QQ", lambda b, n: f"{{iov_base={address_text(b)}, iov_len={n}}}"
    )
    return hex(addr) if text is None else text


range_vector = Arg(iovec_addresses)
remote_vector = Arg(lambda call, value: iovec_addresses(call, value, 4))

epoll_slot = struct("<III", lambda efd, tfd, toff: f"{{efd={efd}, tfd={tfd}, toff={toff}}}")  # struct kcmp_epoll_slot


# Time


def timespec_text(seconds: int, nanoseconds: int) -> str:
    return f"{{tv_sec={seconds}, tv_nsec={nanoseconds}}}"


def timeval_text(seconds: int, microseconds: int) -> str:
    return f"{{tv_sec={seconds}, tv_usec={microseconds}}}"


def clone_args_text(*words: int) -> str:
    """struct clone_args up to `tls`: what is not in use is left out."""
    flags, pidfd, child_tid, parent_tid, signo, stack, size, tls = words
    parts = [f"flags={flags_text(c.CLONE_FLAGS, flags, 'CLONE_') if flags else '0'}"]
    named = ((0x1000, "pidfd", pidfd), (0x1200000, "child_tid", child_tid), (0x100000, "parent_tid", parent_tid))
    for bits, name, value in named:
        if flags & bits:
            parts.append(f"{name}={address_text(value)}")
    parts.append(f"exit_signal={signal_name(signo) if signo else 0}")
    parts += [f"stack={address_text(stack)}", f"stack_size={size:#x}"]
    if flags & 0x80000:
        parts.append(f"tls={address_text(tls)}")
    return "{" + ", ".join(parts) + "}"


clone_args = struct("<8Q", clone_args_text)
timespec = struct("<qQ", timespec_text)
timeval = struct("<qQ", timeval_text)
itimerval = struct("<qQqQ", lambda a, b, s, u: f"{{it_interval={timeval_text(a, b)}, it_value={timeval_text(s, u)}}}")
itimerspec = struct(
    "<qQqQ", lambda a, b, s, n: f"{{it_interval={timespec_text(a, b)}, it_value={timespec_text(s, n)}}}"
)


def sigevent_text(value: int, signo: int, notify: int, tid: int, function: int, attributes: int) -> str:
    fields: list[tuple[str, object]] = []
    if value:
        number = value & 0xFFFF_FFFF
        number -= number >> 31 << 32
        fields.append(("sigev_value", f"{{sival_int={number}, sival_ptr={address_text(value)}}}"))
    named = notify in (0, 2, 4)  # all but SIGEV_NONE say which signal
    fields.append(("sigev_signo", signal_name(signo - (signo >> 31 << 32)) if named else signo))
    fields.append(("sigev_notify", choice_text(c.SIGEVENTS, notify, "SIGEV_")))
    if notify == 2:
        fields.append(("sigev_notify_function", address_text(function)))
        fields.append(("sigev_notify_attributes", address_text(attributes)))
    elif notify == 4:
        fields.append(("sigev_notify_thread_id", tid - (tid >> 31 << 32)))
    return joined(fields)


# The last fields are a union: a thread's id, or a function and its attributes
sigevent = struct(
    "<QIIQQ32x",
    lambda value, signo, notify, function, attributes: sigevent_text(
        value, signo, notify, function & 0xFFFF_FFFF, function, attributes
    ),
)
timezone = struct("<ii", lambda west, dst: f"{{tz_minuteswest={west}, tz_dsttime={dst}}}")


def _ticks(value: int) -> str:
    return f"{value} /* {value / 100:.2f} s */" if value else "0"


tms = struct(
    "<qqqq",
    lambda u, s, cu, cs: joined(
        (("tms_utime", _ticks(u)), ("tms_stime", _ticks(s)), ("tms_cutime", _ticks(cu)), ("tms_cstime", _ticks(cs)))
    ),
)


def moment(seconds: int, fraction: str) -> str:
    """/* 2024-01-31T12:00:00.5+0000 */ after a file time."""
    if not seconds and not fraction:
        return ""
    try:
        local = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):
        return ""
    return f" /* {time.strftime('%Y-%m-%dT%H:%M:%S', local)}{fraction}{time.strftime('%z', local)} */"


def _file_time(seconds: int, nanoseconds: int) -> str:
    if nanoseconds == 0x3FFFFFFF:
        return "UTIME_NOW"
    if nanoseconds == 0x3FFFFFFE:
        return "UTIME_OMIT"
    known = 0 <= nanoseconds < 10**9
    fraction = f".{nanoseconds:09}" if nanoseconds else ""
    return timespec_text(seconds, nanoseconds) + (moment(seconds, fraction) if known else "")


def _file_timeval(seconds: int, microseconds: int) -> str:
    known = 0 <= microseconds < 10**6
    fraction = f".{microseconds:06}" if microseconds else ""
    return timeval_text(seconds, microseconds) + (moment(seconds, fraction) if known else "")


utimens = struct("<qQqQ", lambda a, b, m, n: f"[{_file_time(a, b)}, {_file_time(m, n)}]")
utimeval = struct("<qQqQ", lambda a, b, m, n: f"[{_file_timeval(a, b)}, {_file_timeval(m, n)}]")
utimbuf = struct("<qq", lambda a, m: f"{{actime={a}{moment(a, '')}, modtime={m}{moment(m, '')}}}")


def _timex(*f: int) -> str:
    names = ("offset", "freq", "maxerror", "esterror", "status", "constant", "precision", "tolerance", "time", "tick")
    more = ("ppsfreq", "jitter", "shift", "stabil", "jitcnt", "calcnt", "errcnt", "stbcnt", "tai")
    head: list[object] = [
        *f[1:5],
        flags_text(c.ADJTIMEX_STATUS, f[5], "STA_"),
        *f[6:9],
        timeval_text(f[9], f[10]),
        f[11],
    ]
    modes = flags_text(c.ADJTIMEX_MODES, f[0], "ADJ_")
    return joined([("modes", modes), *zip(names, head, strict=True), *zip(more, f[12:21], strict=True)])


timex = struct("<I4x4qi4x3q2q3qi4x5qi44x", _timex)


# Signals


def sigset_text(mask: int) -> str:
    """[INT CHLD]; ~[...] when two thirds of them are in it."""
    sign = ""
    if mask.bit_count() >= 42:
        sign, mask = "~", ~mask
    names = [signal_name(number).removeprefix("SIG") for number in range(1, 65) if mask >> (number - 1) & 1]
    return f"{sign}[{' '.join(names)}]"


def sigset(size_index: int, shorter: bool = False) -> Arg:
    """A signal set whose size in bytes is another argument: 8, or where the call takes it, less."""

    def decode(call: Traced, addr: int) -> str | None:
        size = call.args[size_index]
        data = call.read(addr, size) if size == 8 or (shorter and 0 < size < 8) else None
        return None if data is None else sigset_text(int.from_bytes(data, "little"))

    return pointer(decode)


def _sigaction(handler: int, flags: int, restorer: int, mask: int) -> str:
    fields: list[tuple[str, object]] = [
        ("sa_handler", {0: "SIG_DFL", 1: "SIG_IGN", ~0 & (1 << 64) - 1: "SIG_ERR"}.get(handler, hex(handler))),
        ("sa_mask", sigset_text(mask)),
        ("sa_flags", flags_text(c.SIGACTION_FLAGS, flags, "SA_")),
    ]
    if flags & 0x04000000:
        fields.append(("sa_restorer", address_text(restorer)))
    return joined(fields)


sigaction = struct("<QQQQ", _sigaction)


def _stack(base: int, flags: int, size: int) -> str:
    return joined(
        (
            ("ss_sp", address_text(base)),
            ("ss_flags", flags_text(c.SIGALTSTACK_FLAGS, flags, "SS_")),
            ("ss_size", size),
        )
    )


stack = struct("<QI4xQ", _stack)

_CODES = {
    4: c.SIGILL_CODES,
    5: c.SIGTRAP_CODES,
    7: c.SIGBUS_CODES,
    8: c.SIGFPE_CODES,
    11: c.SIGSEGV_CODES,
    17: c.SIGCHLD_CODES,
    29: c.SIGPOLL_CODES,
    31: {1: "SYS_SECCOMP", 2: "SYS_USER_DISPATCH"},
}
_FAULTS = (4, 5, 7, 8, 11)  # SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV
_SIGINFO = Struct("<iii4x112s")


def siginfo_text(data: bytes) -> str:
    """A siginfo_t."""
    signo, error, code, payload = _SIGINFO.unpack(data.ljust(128, b"\0"))
    if not signo:
        return "{}"
    code_text = _CODES.get(signo, {}).get(code) if code > 0 else None
    if code_text is None:
        code_text = c.SI_CODES.get(code) or hex(code & 0xFFFFFFFF)
    fields: list[tuple[str, object]] = [("si_signo", signal_name(signo)), ("si_code", code_text)]
    if error:
        fields.append(("si_errno", c.ERRNOS[error][0] if error in c.ERRNOS else error))
    first, second, third = Struct("<iIi").unpack_from(payload)
    pointed = int.from_bytes(payload[8:16], "little")
    if code == 0x80 and signo not in _FAULTS:
        pass
    elif code <= 0:
        if code == -2:
            fields += [("si_timerid", hex(first)), ("si_overrun", signed(second, 32))]
        else:
            fields += [("si_pid", first), ("si_uid", second)]
        if code in (-1, -2, -3) and pointed:
            fields += [("si_int", third), ("si_ptr", address_text(pointed))]
    elif signo == 17:
        shown: object = third if code == 1 else signal_name(third)
        user, system = Struct("<qq").unpack_from(payload, 16)
        fields += [("si_pid", first), ("si_uid", second), ("si_status", shown)]
        fields += [("si_utime", user), ("si_stime", system)]
    elif signo in _FAULTS:
        fields.append(("si_addr", address_text(int.from_bytes(payload[:8], "little"))))
    elif signo == 31 and code == 1:
        at, number, arch = Struct("<QiI").unpack_from(payload)
        name = f"__NR_{CALLS[number]}" if number in CALLS else number
        fields += [("si_call_addr", address_text(at)), ("si_syscall", name)]
        fields.append(("si_arch", "AUDIT_ARCH_X86_64" if arch == 0xC000003E else hex(arch)))
    elif signo == 29:
        fields += [("si_band", int.from_bytes(payload[:8], "little", signed=True)), ("si_fd", third)]
    else:
        fields += [("si_pid", first), ("si_uid", second)]
    return joined(fields)


siginfo = struct("<128s", siginfo_text)


# Processes and the system


def rlimit_value(value: int) -> str:
    if value == (1 << 64) - 1:
        return "RLIM64_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


rlimit = struct("<QQ", lambda soft, hard: f"{{rlim_cur={rlimit_value(soft)}, rlim_max={rlimit_value(hard)}}}")
rusage = struct("<4q112x", lambda a, b, s, u: f"{{ru_utime={timeval_text(a, b)}, ru_stime={timeval_text(s, u)}, ...}}")


def _sysinfo(*f: int) -> str:
    names = ("totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap", "procs", "totalhigh", "freehigh")
    head = [("uptime", f[0]), ("loads", f"[{f[1]}, {f[2]}, {f[3]}]")]
    return joined([*head, *zip(names, f[4:13], strict=True), ("mem_unit", f[13])])


sysinfo = out(struct("<q9QH6xQQI4x", _sysinfo))


def _utsname(*fields: bytes) -> str:
    shown = [quote(field.split(b"\0", 1)[0]) for field in fields[:3]]
    return "{" + f"sysname={shown[0]}, nodename={shown[1]}, ..." + "}"


utsname = out(struct("<65s65s65s65s65s65s", _utsname))


def _cap_header(version: int, pid: int) -> str:
    return f"{{version={choice_text(c.CAP_VERSIONS, version, '_LINUX_CAPABILITY_VERSION_')}, pid={pid}}}"


cap_header = struct("<Ii", _cap_header)


def capabilities(mask: int) -> str:
    if not mask:
        return "0"
    names = [name for number, name in c.CAPABILITIES.items() if mask >> number & 1]
    rest = mask & ~sum(1 << number for number in c.CAPABILITIES)
    low = [f"1<<{name}" for name in names]
    return "|".join([*low, hex(rest)] if rest else low)


def _cap_data(call: Traced, addr: int) -> str | None:
    """Version 1 has 32 capabilities, the later ones twice as many in a second struct."""
    version = int.from_bytes(call.read(call.args[0], 4) or b"", "little")
    halves = 1 if version == 0x19980330 else 2
    data = call.read(addr, 12 * halves)
    if data is None:
        return None
    f = (*Struct(f"<{3 * halves}I").unpack(data), 0, 0, 0)
    names = ("effective", "permitted", "inheritable")
    return joined([(name, capabilities(f[i] | f[i + 3] << 32)) for i, name in enumerate(names)])


cap_data = pointer(_cap_data)


def _sched_attr(*f: int) -> str:
    names = ("sched_nice", "sched_priority", "sched_runtime", "sched_deadline", "sched_period")
    fields: list[tuple[str, object]] = [
        ("size", f[0]),
        ("sched_policy", choice_text(c.SCHED_POLICIES, f[1], "SCHED_")),
        ("sched_flags", flags_text(c.SCHED_FLAGS, f[2], "SCHED_FLAG_")),
        *zip(names, f[3:8], strict=True),
    ]
    if f[0] >= 56:
        fields += [("sched_util_min", f[8]), ("sched_util_max", f[9])]
    return joined(fields)


sched_attr = struct("<IIQiIQQQII", _sched_attr)


def cpu_mask(call: Traced, addr: int, size: int) -> str:
    """[0 1 5]"""
    data = call.read(addr, size) if addr else None
    if data is None:
        return address_text(addr)
    bits = int.from_bytes(data, "little")
    return "[" + " ".join(str(cpu) for cpu in range(size * 8) if bits >> cpu & 1) + "]"


def strings(call: Traced, addr: int) -> str:
    """argv: ["ls", "-l"]"""
    if not addr:
        return "NULL"
    shown: list[str] = []
    while True:
        word = call.read(addr, 8)
        if word is None:
            return "[" + ", ".join([*shown, f"... /* {addr:#x} */"]) + "]" if shown else hex(addr)
        value = int.from_bytes(word, "little")
        if not value:
            return "[" + ", ".join(shown) + "]"
        if len(shown) >= call.limit:
            return "[" + ", ".join([*shown, "..."]) + "]"
        shown.append(string_text(call, value))
        addr += 8


def count_strings(call: Traced, addr: int) -> str:
    """envp: 0x7ffd /* 12 vars */"""
    if not addr:
        return "NULL"
    count = 0
    start = addr
    while (word := call.read(addr, 8)) is not None:
        if not int.from_bytes(word, "little"):
            return f"{start:#x} /* {count} var{'' if count == 1 else 's'} */"
        count += 1
        addr += 8
    return f"{start:#x} /* {count} vars, unterminated */" if count else hex(start)


# Descriptor sets


def pollfds(call: Traced, addr: int) -> str:
    """On entry: what is waited for."""
    if not addr:
        return "NULL"

    def show(number: int, events: int, revents: int) -> str:
        if number < 0:
            return f"{{fd={number}}}"
        return f"{{fd={fd_text(number)}, events={flags_text(c.POLL_FLAGS, events, 'POLL')}}}"

    text = array(call, addr, call.args[1] & 0xFFFFFFFF, "<iHH", show)
    return hex(addr) if text is None else text


def futex_waiters(call: Traced, addr: int) -> str:
    """futex_waitv's array."""
    if not addr:
        return "NULL"

    def show(value: int, uaddr: int, flags: int, reserved: int) -> str:
        fields = [("val", hex(value)), ("uaddr", address_text(uaddr))]
        fields.append(("flags", flags_text(c.FUTEX2_FLAGS, flags, "FUTEX2_")))
        if reserved:
            fields.append(("__reserved", hex(reserved)))
        return joined(fields)

    text = array(call, addr, call.args[1] & 0xFFFFFFFF, "<QQII", show)
    return hex(addr) if text is None else text


def polled(call: Traced) -> str:
    """After the call: what was found."""
    data = call.read(call.args[0], (call.args[1] & 0xFFFFFFFF) * 8) or b""
    found = [
        f"{{fd={number}, revents={flags_text(c.POLL_FLAGS, revents, 'POLL')}}}"
        for number, events, revents in Struct("<iHH").iter_unpack(data)
        if revents and number >= 0
    ]
    shown = found[: call.limit]
    return "[" + ", ".join(shown + ["..."] * (len(found) > len(shown))) + "]"


def fd_set(call: Traced, addr: int) -> str:
    if not addr:
        return "NULL"
    count = max(min(signed(call.args[0], 32), 1024), 0)
    data = call.read(addr, (count + 63) // 64 * 8)
    if data is None:
        return hex(addr)
    bits = int.from_bytes(data, "little")
    return "[" + " ".join(str(number) for number in range(count) if bits >> number & 1) + "]"


# Terminals


# The fields of c_oflag that are numbers: mask -> value -> name.
_DELAYS = (
    (0o000400, {0: "NL0", 0o000400: "NL1"}),
    (0o003000, {0: "CR0", 0o001000: "CR1", 0o002000: "CR2", 0o003000: "CR3"}),
    (0o014000, {0: "TAB0", 0o004000: "TAB1", 0o010000: "TAB2", 0o014000: "XTABS"}),
    (0o020000, {0: "BS0", 0o020000: "BS1"}),
    (0o040000, {0: "VT0", 0o040000: "VT1"}),
    (0o100000, {0: "FF0", 0o100000: "FF1"}),
)
_SIZES = {0: "CS5", 0o20: "CS6", 0o40: "CS7", 0o60: "CS8"}


def _bits(names: list[str], table: dict[int, str], value: int) -> str:
    if value:
        names.append(flags_text(table, value, ""))
    return "|".join(names) or "0"


def _termios(iflag: int, oflag: int, cflag: int, lflag: int) -> str:
    delays = [names[oflag & mask] for mask, names in _DELAYS]
    speed = choice_text(c.TERMIOS_BAUD, cflag & 0o10017, "B")
    fields = (
        ("c_iflag", _bits([], c.TERMIOS_I, iflag)),
        ("c_oflag", _bits(delays, c.TERMIOS_O, oflag & ~0o177400)),
        ("c_cflag", _bits([speed, _SIZES[cflag & 0o60]], c.TERMIOS_C, cflag & ~0o10077)),
        ("c_lflag", _bits([], c.TERMIOS_L, lflag)),
    )
    return joined(fields)[:-1] + ", ...}"


termios = struct("<IIII20x", _termios)
winsize = struct("<HHHH", lambda r, w, x, y: joined((("ws_row", r), ("ws_col", w), ("ws_xpixel", x), ("ws_ypixel", y))))

"""How the arguments and the result of each call are written: the table from name to decoders.

A call that is not here prints its registers in hexadecimal.  Calls whose arguments depend on one of
them (ioctl, fcntl, prctl, futex) are in `commands.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.values import (
    ULONG_MAX,
    Arg,
    Traced,
    address,
    address_text,
    array,
    buffer,
    buffer_text,
    choice,
    choice_text,
    device,
    dirfd,
    fd,
    file_mode,
    flags,
    flags_text,
    hex_text,
    hexadecimal,
    hexadecimal32,
    identity,
    identity_text,
    integer,
    long,
    mode,
    more_flags,
    number,
    octal_text,
    out,
    out_address,
    out_buffer,
    path,
    pointer,
    signal_name,
    signal_number,
    signed,
    size,
    string,
    unsigned,
)

Args = tuple[Arg, ...]


def hexadecimal_result(call: Traced) -> str:
    return hex_text((call.result or 0) & (1 << 64) - 1)


class Spec:
    """How one call is written.  `args` may depend on the call's registers; `result` writes a
    successful result, and `extra` what strace adds after it in parentheses."""

    __slots__ = ("args", "extra", "result")

    def __init__(
        self,
        *args: Arg,
        choose: Callable[[Traced], Args] | None = None,
        result: Callable[[Traced], str] = lambda call: str(call.result),
        extra: Callable[[Traced], str] | None = None,
    ) -> None:
        self.args: Args | Callable[[Traced], Args] = choose or args
        self.result = result
        self.extra = extra

    def arguments(self, call: Traced) -> Args:
        return self.args(call) if callable(self.args) else self.args


# Opening


open_flags = Arg(lambda call, value: s.open_flags_text(value & 0xFFFFFFFF))


def _open(call: Traced) -> Args:
    return (path, open_flags, mode) if s.wants_mode(call.args[1]) else (path, open_flags)


def _openat(call: Traced) -> Args:
    return (dirfd, path, open_flags, mode) if s.wants_mode(call.args[2]) else (dirfd, path, open_flags)


# Memory


def _map_flags(call: Traced, value: int) -> str:
    value &= 0xFFFFFFFF
    text = choice_text(c.MAP_TYPES, value & 15, "MAP_")
    rest = value & ~15
    huge = rest >> 26
    text += more_flags(c.MAP_FLAGS, rest & 0x03FFFFFF)
    return text + (f"|{huge}<<MAP_HUGE_SHIFT" if huge else "")


map_flags = Arg(_map_flags)
prot = flags(c.PROT, "PROT_", 64)


map_offset = Arg(lambda call, value: hex(value) if value else "0")


def _mremap(call: Traced) -> Args:
    base = (address, size, size, flags(c.MREMAP_FLAGS, "MREMAP_", 64))
    return (*base, address) if call.args[3] & 3 == 3 else base


def _kcmp(call: Traced) -> Args:
    base = (integer, integer, choice(c.KCMP_TYPES, "KCMP_"))
    kind = call.args[2] & 0xFFFFFFFF
    if 1 <= kind <= 6:
        return base
    return (
        (*base, fd, fd) if kind == 0 else (*base, fd, s.epoll_slot) if kind == 7 else (*base, hexadecimal, hexadecimal)
    )


# Descriptors

pipe_ends = out(pointer(lambda call, value: array(call, value, 2, "<i", str)))
offset_in_out = number("<q")


def _sendfile_offset(call: Traced, addr: int) -> str | None:
    """Where the copying began, and where it ended if it moved."""
    data = call.read(addr, 8)
    if data is None:
        return None
    after = int.from_bytes(data, "little")
    copied = max(call.result or 0, 0)
    return f"[{after - copied}] => [{after}]" if copied else f"[{after}]"


sendfile_offset = Arg(pointer(_sendfile_offset).decode, out=True)


def _poll_found(call: Traced) -> str:
    if call.result == 0:
        return "Timeout"
    text = s.polled(call)
    if call.name == "ppoll" and call.args[2]:
        text += ", left " + s.timespec.decode(call, call.args[2])
    return text


pollfds = Arg(s.pollfds)
fd_set = Arg(s.fd_set)


def _selected(call: Traced) -> str:
    if call.result == 0:
        return "Timeout"
    found = [
        f"{name} {s.fd_set(call, addr)}"
        for name, addr in zip(("in", "out", "except"), call.args[1:4], strict=True)
        if addr and s.fd_set(call, addr) != "[]"
    ]
    if call.args[4]:
        left = (s.timeval if call.name == "select" else s.timespec).decode(call, call.args[4])
        found.append(f"left {left}")
    return ", ".join(found)


def _pselect_mask(call: Traced, addr: int) -> str | None:
    data = call.read(addr, 16)
    if data is None:
        return None
    mask, length = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
    bits = call.read(mask, 8) if mask and length == 8 else None
    text = address_text(mask) if bits is None else s.sigset_text(int.from_bytes(bits, "little"))
    return f"{{sigmask={text}, sigsetsize={length}}}"


# Files

at_flags = flags(c.AT_FLAGS, "AT_")
access_mode = flags(c.ACCESS_MODES, "?_OK")
access_flags = flags({0x200: "AT_EACCESS", 0x100: "AT_SYMLINK_NOFOLLOW", 0x1000: "AT_EMPTY_PATH"}, "AT_")
link_target = out_buffer()


def _statx_flags(call: Traced, value: int) -> str:
    value &= 0xFFFFFFFF
    sync = flags_text(c.AT_STATX_SYNC, value & 0x6000, "AT_STATX_")
    return sync + more_flags(c.AT_FLAGS, value & ~0x6000)


def _statx_mask(call: Traced, value: int) -> str:
    value &= 0xFFFFFFFF
    whole = {0xFFF: "STATX_ALL", 0x7FF: "STATX_BASIC_STATS"}
    for bits, name in whole.items():
        if value & bits == bits:
            rest = value & ~bits
            return name + ("|" + flags_text(c.STATX_MASK, rest, "STATX_") if rest else "")
    return flags_text(c.STATX_MASK, value, "STATX_")


def _mknod(call: Traced, first: Args, index: int) -> Args:
    special = call.args[index] & 0o170000 in (0o020000, 0o060000)
    return (*first, file_mode, device) if special else (*first, file_mode)


def _bounded(call: Traced, addr: int, length: int, most: int) -> str:
    """A buffer, unless it is longer than the call takes."""
    return buffer_text(call, addr, length) if length <= most else address_text(addr)


xattr_value = Arg(lambda call, value: _bounded(call, value, call.args[3], 65536))
xattr_found = out(
    Arg(lambda call, value: buffer_text(call, value, call.result or 0) if call.args[3] else address_text(value))
)
xattr_flags = flags(c.XATTR_FLAGS, "XATTR_")


xattr_list = out(
    Arg(lambda call, value: buffer_text(call, value, call.result or 0) if call.args[2] else address_text(value))
)

# Signals

mask_how = choice(c.SIGMASK_HOW, "SIG_")


def _date(call: Traced) -> str:
    return s.moment(call.result or 0, "").strip(" /*")


def _clock_state(call: Traced) -> str:
    return c.ADJTIMEX_STATES.get(call.result or 0, "")


def _timed_wait_result(call: Traced) -> str:
    return signal_name(call.result or 0)


# Processes and the system

rlimit_name = choice(c.RLIMITS, "RLIMIT_")
priority_who = choice(c.PRIORITY_WHO, "PRIO_")
ioprio_who = choice(c.IOPRIO_WHO, "IOPRIO_WHO_")


def _ioprio(value: int) -> str:
    return f"IOPRIO_PRIO_VALUE({choice_text(c.IOPRIO_CLASSES, value >> 13, 'IOPRIO_CLASS_')}, {value & 0x1FFF})"


def _cpu_set(call: Traced, addr: int) -> str:
    return s.cpu_mask(call, addr, min(call.args[1] & 0xFFFFFFFF, 128))


def _cpu_found(call: Traced, addr: int) -> str:
    return s.cpu_mask(call, addr, call.result or 0)


def _membarrier(call: Traced) -> Args:
    command = choice(c.MEMBARRIER, "MEMBARRIER_CMD_")
    cpu_flag = flags({1: "MEMBARRIER_CMD_FLAG_CPU"}, "MEMBARRIER_CMD_FLAG_")
    return (command, cpu_flag, integer) if call.args[1] & 1 else (command, cpu_flag)


def _membarrier_commands(call: Traced) -> str:
    """MEMBARRIER_CMD_QUERY answers with the commands there are."""
    return "" if call.args[0] else flags_text(c.MEMBARRIER, call.result or 0, "MEMBARRIER_CMD_")


def _membarrier_result(call: Traced) -> str:
    return str(call.result) if call.args[0] else hexadecimal_result(call)


policy = choice(c.SCHED_POLICIES, "SCHED_")
clock = choice(c.CLOCKS, "CLOCK_")
itimer = choice(c.ITIMERS, "ITIMER_")


def _groups(call: Traced, addr: int, count: int) -> str:
    if not addr:
        return "NULL"
    text = array(call, addr, count, "<I", str) if count <= 65536 else None
    return hex(addr) if text is None else text


groups = Arg(lambda call, value: _groups(call, value, signed(call.args[0], 32)))
groups_found = out(
    Arg(lambda call, value: _groups(call, value, call.result or 0) if call.args[0] else address_text(value))
)
id_pointer = out(number("<I", identity_text))
int_pointer = out(number("<i"))
address_pointer = out(number("<Q", address_text))


def wait_status_text(status: int) -> str:
    """[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]"""
    if status == 0xFFFF:
        return "{WIFCONTINUED(s)}"
    if status & 0xFF == 0x7F:
        return f"{{WIFSTOPPED(s) && WSTOPSIG(s) == {signal_name(status >> 8 & 0xFF)}}}"
    if status & 0x7F:
        core = " && WCOREDUMP(s)" if status & 0x80 else ""
        return f"{{WIFSIGNALED(s) && WTERMSIG(s) == {signal_name(status & 0x7F)}{core}}}"
    return f"{{WIFEXITED(s) && WEXITSTATUS(s) == {status >> 8 & 0xFF}}}"


wait_status = out(number("<I", wait_status_text))


def _personality(call: Traced, value: int) -> str:
    return personality_text(value & 0xFFFFFFFF)


def personality_text(value: int) -> str:
    if value == 0xFFFFFFFF:
        return "0xffffffff"
    kind = choice_text(c.PERSONALITIES, value & 0xFF, "PER_")
    rest = value & ~0xFF
    return f"{kind}|{flags_text(c.PERSONALITY_FLAGS, rest, '')}" if rest else kind


def _arch_prctl(call: Traced) -> Args:
    command = choice(c.ARCH_PRCTL, "ARCH_")
    if call.args[0] in (0x1003, 0x1004):
        return command, address_pointer
    if call.args[0] == 0x1011:
        return (command,)
    return command, address if call.args[0] in (0x1001, 0x1002) else hexadecimal


def _named(name: str, arg: Arg, index: int) -> Arg:
    """name=value, from the register at `index`."""
    return Arg(lambda call, value: f"{name}={arg.decode(call, call.args[index])}", arg.out, arg.kind)


def _clone(call: Traced) -> Args:
    bits = call.args[0]
    args = [_named("child_stack", address, 1), _named("flags", Arg(_clone_flags), 0)]
    if bits & 0x00101000:  # CLONE_PARENT_SETTID, CLONE_PIDFD
        args.append(_named("parent_tid", int_pointer, 2))
    if bits & 0x00080000:
        args.append(_named("tls", address, 4))
    if bits & 0x01200000:
        args.append(_named("child_tidptr", address, 3))
    return tuple(args)


def _clone_flags(call: Traced, value: int) -> str:
    ending = value & 0xFF
    names = flags_text(c.CLONE_FLAGS, value & ~0xFF & 0xFFFFFFFF, "CLONE_") if value & ~0xFF else ""
    exit_signal = signal_name(ending) if ending in c.SIGNALS else str(ending) if ending else ""
    return "|".join([part for part in (names, exit_signal) if part]) or "0"


def _time_rest(call: Traced, addr: int) -> str:
    """Where a sleep cut short stores what was left: an address unless it did."""
    interrupted = call.result is not None and call.result in (-4, -516)
    return s.timespec.decode(call, addr) if interrupted and addr else address_text(addr)


time_rest = Arg(_time_rest, out=True)


def _mincore(call: Traced, addr: int) -> str:
    count = (call.args[1] + 4095) // 4096
    data = call.read(addr, min(count, call.limit))
    if data is None:
        return hex(addr)
    return "[" + ", ".join(["1" if byte & 1 else "0" for byte in data] + ["..."] * (count > call.limit)) + "]"


resident = out(Arg(_mincore))

# The table

memory_range = (address, size)
stat = Spec(path, s.stat)
rename_flags = flags(c.RENAME_FLAGS, "RENAME_??")
vector_offset = Arg(lambda call, value: str(signed(value, 64)))
splice_flags = flags(c.SPLICE_FLAGS, "SPLICE_F_")
node_name = Arg(lambda call, value: _bounded(call, value, signed(call.args[1], 32) & ULONG_MAX, 64))
rwf = flags(c.RWF_FLAGS, "RWF_")

SPECS: dict[str, Spec] = {
    # Opening and closing
    "open": Spec(choose=_open),
    "openat": Spec(choose=_openat),
    "openat2": Spec(dirfd, path, s.open_how, size),
    "creat": Spec(path, mode),
    "close": Spec(fd),
    "close_range": Spec(unsigned, unsigned, flags(c.CLOSE_RANGE_FLAGS, "CLOSE_RANGE_")),
    # Reading and writing
    "read": Spec(fd, out_buffer(), size),
    "write": Spec(fd, buffer(2), size),
    "readv": Spec(fd, s.read_vector, size),
    "writev": Spec(fd, s.write_vector, size),
    "pread64": Spec(fd, out_buffer(), size, long),
    "pwrite64": Spec(fd, buffer(2), size, long),
    "preadv": Spec(fd, s.read_vector, size, vector_offset),
    "pwritev": Spec(fd, s.write_vector, size, vector_offset),
    "preadv2": Spec(fd, s.read_vector, size, vector_offset, Arg(lambda call, v: rwf.decode(call, call.args[5]))),
    "pwritev2": Spec(fd, s.write_vector, size, vector_offset, Arg(lambda call, v: rwf.decode(call, call.args[5]))),
    "lseek": Spec(fd, long, choice(c.WHENCE, "SEEK_")),
    "sendfile": Spec(fd, fd, sendfile_offset, size),
    "copy_file_range": Spec(fd, offset_in_out, fd, offset_in_out, size, unsigned),
    "splice": Spec(fd, offset_in_out, fd, offset_in_out, size, splice_flags),
    "tee": Spec(fd, fd, size, splice_flags),
    "vmsplice": Spec(fd, s.write_vector, size, splice_flags),
    "truncate": Spec(path, size),
    "ftruncate": Spec(fd, size),
    "fallocate": Spec(fd, flags(c.FALLOC_FLAGS, "FALLOC_FL_"), long, long),
    "fadvise64": Spec(fd, long, size, choice(c.FADVICE, "POSIX_FADV_")),
    "readahead": Spec(fd, long, size),
    "fsync": Spec(fd),
    "fdatasync": Spec(fd),
    "sync": Spec(),
    "syncfs": Spec(fd),
    "sync_file_range": Spec(fd, long, long, flags(c.SYNC_RANGE_FLAGS, "SYNC_FILE_RANGE_")),
    # Descriptors and pipes
    "dup": Spec(fd),
    "dup2": Spec(fd, fd),
    "dup3": Spec(fd, fd, flags(c.OPEN_FLAGS, "O_")),
    "pipe": Spec(pipe_ends),
    "pipe2": Spec(pipe_ends, flags(c.OPEN_FLAGS, "O_")),
    "eventfd": Spec(unsigned),
    "eventfd2": Spec(unsigned, flags(c.EFD_FLAGS, "EFD_")),
    "memfd_create": Spec(string, flags(c.MFD_FLAGS, "MFD_")),
    "flock": Spec(fd, flags(c.LOCK_OPS, "LOCK_")),
    # Waiting
    "poll": Spec(pollfds, unsigned, integer, extra=_poll_found),
    "ppoll": Spec(pollfds, unsigned, s.timespec, s.sigset(4), size, extra=_poll_found),
    "select": Spec(integer, fd_set, fd_set, fd_set, s.timeval, extra=_selected),
    "pselect6": Spec(integer, fd_set, fd_set, fd_set, s.timespec, pointer(_pselect_mask), extra=_selected),
    # Attributes
    "stat": stat,
    "lstat": stat,
    "fstat": Spec(fd, s.stat),
    "newfstatat": Spec(dirfd, path, s.stat, at_flags),
    "statx": Spec(dirfd, path, Arg(_statx_flags), Arg(_statx_mask), s.statx),
    "access": Spec(path, access_mode),
    "faccessat": Spec(dirfd, path, access_mode),
    "faccessat2": Spec(dirfd, path, access_mode, access_flags),
    "readlink": Spec(path, link_target, size),
    "readlinkat": Spec(dirfd, path, link_target, size),
    "statfs": Spec(path, s.statfs),
    "fstatfs": Spec(fd, s.statfs),
    "ustat": Spec(device, address),
    "sysfs": Spec(hexadecimal, hexadecimal, hexadecimal),
    # Directories and names
    "getdents": Spec(fd, s.getdents, unsigned),
    "getdents64": Spec(fd, s.getdents64, unsigned),
    "getcwd": Spec(out(Arg(lambda call, value: path.decode(call, value))), size),
    "chdir": Spec(path),
    "fchdir": Spec(fd),
    "chroot": Spec(path),
    "mkdir": Spec(path, mode),
    "mkdirat": Spec(dirfd, path, mode),
    "rmdir": Spec(path),
    "mknod": Spec(choose=lambda call: _mknod(call, (path,), 1)),
    "mknodat": Spec(choose=lambda call: _mknod(call, (dirfd, path), 2)),
    "link": Spec(path, path),
    "linkat": Spec(dirfd, path, dirfd, path, at_flags),
    "symlink": Spec(path, path),
    "symlinkat": Spec(path, dirfd, path),
    "unlink": Spec(path),
    "unlinkat": Spec(dirfd, path, at_flags),
    "rename": Spec(path, path),
    "renameat": Spec(dirfd, path, dirfd, path),
    "renameat2": Spec(dirfd, path, dirfd, path, rename_flags),
    # Changing attributes
    "chmod": Spec(path, mode),
    "fchmod": Spec(fd, mode),
    "fchmodat": Spec(dirfd, path, mode),
    "fchmodat2": Spec(dirfd, path, mode, at_flags),
    "chown": Spec(path, identity, identity),
    "fchown": Spec(fd, identity, identity),
    "lchown": Spec(path, identity, identity),
    "fchownat": Spec(dirfd, path, identity, identity, at_flags),
    "umask": Spec(mode, result=lambda call: octal_text(call.result or 0)),
    "utime": Spec(path, s.utimbuf),
    "utimes": Spec(path, s.utimeval),
    "futimesat": Spec(dirfd, path, s.utimeval),
    "utimensat": Spec(dirfd, path, s.utimens, at_flags),
    "getxattr": Spec(path, string, xattr_found, size),
    "lgetxattr": Spec(path, string, xattr_found, size),
    "fgetxattr": Spec(fd, string, xattr_found, size),
    "setxattr": Spec(path, string, xattr_value, size, xattr_flags),
    "lsetxattr": Spec(path, string, xattr_value, size, xattr_flags),
    "fsetxattr": Spec(fd, string, xattr_value, size, xattr_flags),
    "listxattr": Spec(path, xattr_list, size),
    "llistxattr": Spec(path, xattr_list, size),
    "flistxattr": Spec(fd, xattr_list, size),
    "removexattr": Spec(path, string),
    "lremovexattr": Spec(path, string),
    "fremovexattr": Spec(fd, string),
    # Memory
    "brk": Spec(address, result=hexadecimal_result),
    "mmap": Spec(address, size, prot, map_flags, fd, map_offset, result=hexadecimal_result),
    "munmap": Spec(*memory_range),
    "mprotect": Spec(*memory_range, prot),
    "mremap": Spec(choose=_mremap, result=hexadecimal_result),
    "madvise": Spec(*memory_range, choice(c.MADVICE, "MADV_")),
    "msync": Spec(*memory_range, flags(c.MS_FLAGS, "MS_")),
    "pkey_mprotect": Spec(*memory_range, prot, integer),
    "remap_file_pages": Spec(*memory_range, prot, size, map_flags),
    "mincore": Spec(*memory_range, resident),
    "mlock": Spec(*memory_range),
    "mlock2": Spec(*memory_range, flags(c.MLOCK2_FLAGS, "MLOCK_")),
    "munlock": Spec(*memory_range),
    "mlockall": Spec(flags(c.MCL_FLAGS, "MCL_")),
    "munlockall": Spec(),
    # Processes
    "execve": Spec(path, Arg(s.strings), Arg(s.count_strings)),
    "execveat": Spec(dirfd, path, Arg(s.strings), Arg(s.count_strings), at_flags),
    "exit": Spec(integer),
    "exit_group": Spec(integer),
    "fork": Spec(),
    "vfork": Spec(),
    "clone": Spec(choose=_clone),
    "clone3": Spec(s.clone_args, size),
    "unshare": Spec(flags(c.CLONE_FLAGS, "CLONE_", 64)),
    "wait4": Spec(integer, wait_status, flags(c.WAIT_FLAGS, "W"), out(s.rusage)),
    "waitid": Spec(choice(c.WAITID_TYPES, "P_"), integer, out(s.siginfo), flags(c.WAIT_FLAGS, "W"), out(s.rusage)),
    "pidfd_open": Spec(integer, flags(c.PIDFD_FLAGS, "PIDFD_")),
    "pidfd_getfd": Spec(fd, fd, hexadecimal32),
    "pidfd_send_signal": Spec(fd, signal_number, s.siginfo, hexadecimal32),
    "kcmp": Spec(choose=_kcmp),
    "process_vm_readv": Spec(integer, s.read_vector, size, s.remote_vector, size, hexadecimal),
    "process_vm_writev": Spec(integer, s.write_vector, size, s.remote_vector, size, hexadecimal),
    "process_madvise": Spec(fd, s.range_vector, size, choice(c.MADVICE, "MADV_"), hexadecimal32),
    "process_mrelease": Spec(fd, hexadecimal32),
    "ptrace": Spec(hexadecimal, integer, hexadecimal, hexadecimal),
    # Threads and scheduling
    "set_tid_address": Spec(address),
    "set_robust_list": Spec(address, size),
    "get_robust_list": Spec(integer, address_pointer, out(number("<Q"))),
    "rseq": Spec(address, hexadecimal32, hexadecimal32, hexadecimal32),
    "arch_prctl": Spec(choose=_arch_prctl),
    "membarrier": Spec(choose=_membarrier, result=_membarrier_result, extra=_membarrier_commands),
    "sched_yield": Spec(),
    "sched_getaffinity": Spec(integer, unsigned, out(Arg(_cpu_found))),
    "sched_setaffinity": Spec(integer, unsigned, Arg(_cpu_set)),
    "sched_getparam": Spec(integer, int_pointer),
    "sched_setparam": Spec(integer, number("<i")),
    "sched_getscheduler": Spec(integer, extra=lambda call: c.SCHED_POLICIES.get(call.result or 0, "")),
    "sched_setscheduler": Spec(integer, policy, number("<i")),
    "sched_get_priority_max": Spec(choice(c.SCHED_POLICIES, "SCHED_")),
    "sched_get_priority_min": Spec(choice(c.SCHED_POLICIES, "SCHED_")),
    "sched_rr_get_interval": Spec(integer, out(s.timespec)),
    "sched_getattr": Spec(integer, out(s.sched_attr), unsigned, unsigned),
    "sched_setattr": Spec(integer, s.sched_attr, unsigned),
    "getpriority": Spec(priority_who, integer),
    "setpriority": Spec(priority_who, integer, integer),
    "ioprio_get": Spec(ioprio_who, integer, extra=lambda call: _ioprio(call.result or 0)),
    "ioprio_set": Spec(ioprio_who, integer, Arg(lambda call, value: _ioprio(value & 0xFFFFFFFF))),
    # Mounting
    "mount": Spec(string, path, string, flags(c.MOUNT_FLAGS, "MS_"), string),
    "vhangup": Spec(),
    "umount2": Spec(path, flags(c.UMOUNT_FLAGS, "MNT_")),
    # Signals
    "rt_sigaction": Spec(signal_number, s.sigaction, out(s.sigaction), size),
    "rt_sigprocmask": Spec(mask_how, s.sigset(3), out(s.sigset(3)), size),
    "rt_sigpending": Spec(out(s.sigset(1, shorter=True)), size),
    "rt_sigsuspend": Spec(s.sigset(1), size),
    "rt_sigtimedwait": Spec(s.sigset(3), out(s.siginfo), s.timespec, size, extra=_timed_wait_result),
    "rt_sigqueueinfo": Spec(integer, signal_number, s.siginfo),
    "rt_tgsigqueueinfo": Spec(integer, integer, signal_number, s.siginfo),
    "sigaltstack": Spec(s.stack, out(s.stack)),
    "pause": Spec(),
    "kill": Spec(integer, signal_number),
    "tkill": Spec(integer, signal_number),
    "tgkill": Spec(integer, integer, signal_number),
    "restart_syscall": Spec(),
    "futex_waitv": Spec(Arg(s.futex_waiters), unsigned, hexadecimal32, s.timespec, clock),
    # Time
    "clock_gettime": Spec(clock, out(s.timespec)),
    "clock_settime": Spec(clock, s.timespec),
    "clock_getres": Spec(clock, out(s.timespec)),
    "clock_nanosleep": Spec(clock, flags(c.TIMER_FLAGS, "TIMER_"), s.timespec, time_rest),
    "adjtimex": Spec(out(s.timex), extra=_clock_state),
    "clock_adjtime": Spec(clock, out(s.timex), extra=_clock_state),
    "nanosleep": Spec(s.timespec, time_rest),
    "gettimeofday": Spec(out(s.timeval), out(s.timezone)),
    "settimeofday": Spec(s.timeval, s.timezone),
    "time": Spec(out(number("<q", lambda value: f"{value}{s.moment(value, '')}")), extra=_date),
    "times": Spec(out(s.tms)),
    "alarm": Spec(unsigned),
    "getitimer": Spec(itimer, out(s.itimerval)),
    "setitimer": Spec(itimer, s.itimerval, out(s.itimerval)),
    "timer_create": Spec(clock, s.sigevent, out(number("<i"))),
    "timer_settime": Spec(integer, flags(c.TIMER_FLAGS, "TIMER_"), s.itimerspec, out(s.itimerspec)),
    "timer_gettime": Spec(integer, out(s.itimerspec)),
    "timer_getoverrun": Spec(integer),
    "timer_delete": Spec(integer),
    # Information
    "sethostname": Spec(node_name, unsigned),
    "setdomainname": Spec(node_name, unsigned),
    "syslog": Spec(choice(c.SYSLOG_ACTIONS, "SYSLOG_ACTION_"), out_address, integer),
    "uname": Spec(s.utsname),
    "sysinfo": Spec(s.sysinfo),
    "getrusage": Spec(choice(c.RUSAGE_WHO, "RUSAGE_"), out(s.rusage)),
    "getrlimit": Spec(rlimit_name, out(s.rlimit)),
    "setrlimit": Spec(rlimit_name, s.rlimit),
    "prlimit64": Spec(integer, rlimit_name, s.rlimit, out(s.rlimit)),
    "getcpu": Spec(out(number("<I")), out(number("<I")), address),
    "getrandom": Spec(out_buffer(hexadecimal=True), size, flags(c.GRND_FLAGS, "GRND_")),
    "personality": Spec(
        Arg(_personality), result=hexadecimal_result, extra=lambda call: personality_text(call.result or 0)
    ),
    # Identity
    **{name: Spec() for name in ("getpid", "getppid", "gettid", "getpgrp", "setsid")},
    **{name: Spec() for name in ("getuid", "geteuid", "getgid", "getegid")},
    "getpgid": Spec(integer),
    "getsid": Spec(integer),
    "setpgid": Spec(integer, integer),
    "getresuid": Spec(id_pointer, id_pointer, id_pointer),
    "getresgid": Spec(id_pointer, id_pointer, id_pointer),
    "setuid": Spec(identity),
    "setgid": Spec(identity),
    "setreuid": Spec(identity, identity),
    "setregid": Spec(identity, identity),
    "setresuid": Spec(identity, identity, identity),
    "setresgid": Spec(identity, identity, identity),
    "setfsuid": Spec(identity),
    "setfsgid": Spec(identity),
    "getgroups": Spec(integer, groups_found),
    "setgroups": Spec(integer, groups),
    "capget": Spec(s.cap_header, out(s.cap_data)),
    "capset": Spec(s.cap_header, s.cap_data),
}

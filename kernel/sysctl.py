"""/proc/sys: the tunables (proc_sys(5)).

The host's and domain's names can be set, and what core files are called.  Everything else is read-only, as in a
container: lxrun has nothing behind those knobs that could be turned.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.cred import CAP_LAST_CAP, CAP_SYS_ADMIN, NGROUPS_MAX
from kernel.ipc import IPCMNI
from kernel.mm import MAX_MAP_COUNT, MMAP_MIN_ADDR
from kernel.rlimit import NR_OPEN
from kernel.uts import Uts
from vfs import host
from vfs.pseudofs import PseudoNode, StrictTextFile, TableDir

if TYPE_CHECKING:
    from kernel.kernel import Kernel

PID_MAX = 4194304
CORENAME_MAX = 128  # CORENAME_MAX_SIZE: of core_pattern, its end included
INT_MAX, ULONG_MAX = (1 << 31) - 1, (1 << 64) - 1
FILE_MAX = 9223372036854775807


def _number(*values: int) -> PseudoNode:
    """A file of numbers, which are read in one go."""
    text = b"\t".join(b"%d" % value for value in values) + b"\n"
    return StrictTextFile(lambda: text, whole=True)


def _string(text: bytes) -> PseudoNode:
    return StrictTextFile(lambda: text + b"\n")


def _live(text: Callable[[], bytes], whole: bool = False) -> PseudoNode:
    return StrictTextFile(lambda: text() + b"\n", whole=whole)


def uuid(raw: bytes) -> bytes:
    """Sixteen random bytes as a version 4 UUID (RFC 9562)."""
    bits = int.from_bytes(raw, "big") & ~(0xF << 76 | 3 << 62) | 4 << 76 | 2 << 62
    digits = f"{bits:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).encode()


def _tunable(owner: Callable[[], object], *names: tuple[str, int], low: int = 0) -> PseudoNode:
    """Numbers that root may set (proc_doulongvec_minmax): attributes of what `owner` gives, each with its largest
    value."""

    def show() -> bytes:
        return b"\t".join([b"%d" % getattr(owner(), name) for name, _ in names]) + b"\n"

    def store(data: bytes) -> None:
        for (name, high), word in zip(names, data.split(), strict=False):
            try:
                value = int(word)
            except ValueError:
                raise OSError(errno.EINVAL, "not a number") from None
            if not low <= value <= high:
                raise OSError(errno.EINVAL, "out of range")
            setattr(owner(), name, value)

    return StrictTextFile(show, store, mode=0o644, whole=True)


def _name(kernel: Kernel, attribute: str) -> PseudoNode:
    """The host's or the domain's name, which root may set."""

    def store(data: bytes) -> None:
        if not kernel.current.cred.capable(CAP_SYS_ADMIN):
            raise OSError(errno.EPERM, "needs CAP_SYS_ADMIN")
        setattr(kernel.uts, attribute, Uts.checked(data.split(b"\n", 1)[0]))

    return StrictTextFile(lambda: bytes(getattr(kernel.uts, attribute)) + b"\n", store, mode=0o644)


def _core_pattern(kernel: Kernel) -> PseudoNode:
    """Where core files go.  A pipe to a program that takes them, "|program", is refused: there is no kernel here that
    could start one."""

    def store(data: bytes) -> None:
        pattern = data.split(b"\n", 1)[0].split(b"\0", 1)[0][: CORENAME_MAX - 1]
        if pattern[:1] == b"|":
            raise OSError(errno.EINVAL, "no pipes")
        kernel.core_pattern = pattern

    return StrictTextFile(lambda: kernel.core_pattern + b"\n", store, mode=0o644)


def _core_uses_pid(kernel: Kernel) -> PseudoNode:
    def store(data: bytes) -> None:
        try:
            kernel.core_uses_pid = bool(int(data))
        except ValueError:
            raise OSError(errno.EINVAL, "not a number") from None

    return StrictTextFile(lambda: b"%d\n" % kernel.core_uses_pid, store, mode=0o644)


def _seccomp_dir(kernel: Kernel) -> TableDir:
    """The actions there are, and those that Linux writes to the audit log if a filter takes them: lxrun has none."""
    from kernel.seccomp import ACTIONS

    logged = [name for name in ACTIONS if name != "allow"]

    def store(data: bytes) -> None:
        if not kernel.current.cred.capable(CAP_SYS_ADMIN):
            raise OSError(errno.EPERM, "needs CAP_SYS_ADMIN")
        names = data.decode("latin-1").split()
        if any(name not in ACTIONS or name == "allow" for name in names):
            raise OSError(errno.EINVAL, "no action that is logged")
        logged[:] = [name for name in ACTIONS if name in names]

    return TableDir(
        {
            b"actions_avail": _string(" ".join(ACTIONS).encode()),
            b"actions_logged": StrictTextFile(lambda: " ".join(logged).encode() + b"\n", store, mode=0o644),
        }
    )


def _kernel_dir(kernel: Kernel) -> TableDir:
    uts = kernel.uts
    boot_id = uuid(kernel.entropy.bytes(16))
    return TableDir(
        {
            b"arch": _string(uts.machine),
            b"cap_last_cap": _number(CAP_LAST_CAP),
            b"core_pattern": _core_pattern(kernel),
            b"core_uses_pid": _core_uses_pid(kernel),
            b"dmesg_restrict": _number(1),
            b"domainname": _name(kernel, "domainname"),
            b"hostname": _name(kernel, "nodename"),
            b"kptr_restrict": _number(1),
            b"msg_next_id": _tunable(lambda: kernel.ipc.msg, ("next_id", INT_MAX), low=-1),
            b"msgmax": _tunable(lambda: kernel.ipc.msg, ("largest", INT_MAX)),
            b"msgmnb": _tunable(lambda: kernel.ipc.msg, ("most_bytes", INT_MAX)),
            b"msgmni": _tunable(lambda: kernel.ipc.msg, ("limit", IPCMNI)),
            b"ngroups_max": _number(NGROUPS_MAX),
            b"ns_last_pid": _tunable(lambda: kernel, ("last_pid", PID_MAX)),
            b"osrelease": _string(uts.release),
            b"ostype": _string(uts.sysname),
            b"overflowgid": _number(65534),
            b"overflowuid": _number(65534),
            b"perf_event_paranoid": _number(4),
            b"pid_max": _number(PID_MAX),
            b"printk": _number(4, 4, 1, 7),
            b"pty": TableDir(
                {
                    b"max": _number(4096),
                    b"nr": _live(lambda: b"%d" % len(kernel.devpts.pairs)),
                    b"reserve": _number(1024),
                }
            ),
            b"random": TableDir(
                {
                    b"boot_id": _string(boot_id),
                    b"entropy_avail": _number(256),
                    b"poolsize": _number(256),
                    b"uuid": _live(lambda: uuid(kernel.entropy.bytes(16))),
                }
            ),
            # The layout is fixed: translated code is shared between runs of a program.
            b"randomize_va_space": _number(0),
            b"sched_rr_timeslice_ms": _number(100),
            b"seccomp": lambda: _seccomp_dir(kernel),
            b"sem": _tunable(
                lambda: kernel.ipc.sem,
                ("most_in_array", INT_MAX),
                ("most", INT_MAX),
                ("most_ops", INT_MAX),
                ("limit", IPCMNI),
            ),
            b"sem_next_id": _tunable(lambda: kernel.ipc.sem, ("next_id", INT_MAX), low=-1),
            b"shm_next_id": _tunable(lambda: kernel.ipc.shm, ("next_id", INT_MAX), low=-1),
            b"shm_rmid_forced": _number(0),
            b"shmall": _tunable(lambda: kernel.ipc.shm, ("all_pages", ULONG_MAX)),
            b"shmmax": _tunable(lambda: kernel.ipc.shm, ("largest", ULONG_MAX)),
            b"shmmni": _tunable(lambda: kernel.ipc.shm, ("limit", IPCMNI)),
            b"tainted": _number(0),
            b"threads-max": _number(kernel.max_threads),
            b"version": _string(uts.version),
        },
    )


def _vm_dir() -> TableDir:
    return TableDir(
        {
            b"dirty_background_ratio": _number(10),
            b"dirty_ratio": _number(20),
            b"max_map_count": _number(MAX_MAP_COUNT),
            b"mmap_min_addr": _number(MMAP_MIN_ADDR),
            b"nr_hugepages": _number(0),
            b"overcommit_kbytes": _number(0),
            b"overcommit_memory": _number(0),
            b"overcommit_ratio": _number(50),
            b"page-cluster": _number(3),
            b"panic_on_oom": _number(0),
            b"swappiness": _number(60),
            b"unprivileged_userfaultfd": _number(0),
            b"vfs_cache_pressure": _number(100),
        }
    )


def _fs_dir(kernel: Kernel) -> TableDir:
    from kernel.mqueuefs import HARD_MSGMAX, HARD_MSGSIZEMAX, MIN_MSGMAX, MIN_MSGSIZEMAX

    def mqueues() -> object:
        return kernel.mqueues

    def file_nr() -> bytes:
        seen = {id(file) for task in kernel.tasks.values() for _, file, _ in task.files.items()}
        return b"%d\t0\t%d" % (len(seen), FILE_MAX)

    return TableDir(
        {
            b"aio-max-nr": _tunable(lambda: kernel, ("aio_max_nr", ULONG_MAX)),
            b"aio-nr": _live(lambda: b"%d" % kernel.aio_nr, whole=True),
            b"epoll": TableDir({b"max_user_watches": _number(kernel.max_user_watches)}),
            b"file-max": _number(FILE_MAX),
            b"file-nr": _live(file_nr, whole=True),
            b"inotify": TableDir(
                {
                    b"max_queued_events": _number(16384),
                    b"max_user_instances": _number(128),
                    b"max_user_watches": _number(65536),
                }
            ),
            b"lease-break-time": _number(45),
            b"leases-enable": _number(1),
            b"mqueue": TableDir(
                {
                    b"msg_default": _tunable(mqueues, ("msg_default", HARD_MSGMAX), low=MIN_MSGMAX),
                    b"msg_max": _tunable(mqueues, ("msg_max", HARD_MSGMAX), low=MIN_MSGMAX),
                    b"msgsize_default": _tunable(mqueues, ("msgsize_default", HARD_MSGSIZEMAX), low=MIN_MSGSIZEMAX),
                    b"msgsize_max": _tunable(mqueues, ("msgsize_max", HARD_MSGSIZEMAX), low=MIN_MSGSIZEMAX),
                    b"queues_max": _tunable(mqueues, ("queues_max", INT_MAX)),
                }
            ),
            b"nr_open": _number(NR_OPEN),
            b"overflowgid": _number(65534),
            b"overflowuid": _number(65534),
            b"pipe-max-size": _number(1048576),
            b"pipe-user-pages-hard": _number(0),
            b"pipe-user-pages-soft": _number(16384),
            b"protected_fifos": _number(0),
            b"protected_hardlinks": _number(host.protected("hardlinks")),
            b"protected_regular": _number(host.protected("regular")),
            b"protected_symlinks": _number(0),
            b"suid_dumpable": _number(0),
        }
    )


def _net_dir() -> TableDir:
    from vfs.sock import OPTMEM_MAX, RMEM_DEFAULT, RMEM_MAX, SOMAXCONN, WMEM_DEFAULT, WMEM_MAX
    from vfs.unix_sock import MAX_DGRAM_QLEN

    return TableDir(
        {
            b"core": TableDir(
                {
                    b"optmem_max": _number(OPTMEM_MAX),
                    b"rmem_default": _number(RMEM_DEFAULT),
                    b"rmem_max": _number(RMEM_MAX),
                    b"somaxconn": _number(SOMAXCONN),
                    b"wmem_default": _number(WMEM_DEFAULT),
                    b"wmem_max": _number(WMEM_MAX),
                }
            ),
            b"ipv4": TableDir(
                {
                    b"ip_local_port_range": _number(32768, 60999),
                    b"ip_unprivileged_port_start": _number(1024),
                }
            ),
            b"unix": TableDir({b"max_dgram_qlen": _number(MAX_DGRAM_QLEN)}),
        }
    )


def make_sys(kernel: Kernel) -> TableDir:
    """/proc/sys."""
    return TableDir(
        {
            b"fs": lambda: _fs_dir(kernel),
            b"kernel": lambda: _kernel_dir(kernel),
            b"net": _net_dir,
            b"vm": _vm_dir,
        }
    )

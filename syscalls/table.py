"""The table of system calls: what lxrun answers to every call Linux has.

One line per call, by name, because numbers differ between architectures
(``emu/arch/<machine>_calls.py`` holds those).  A line says how far the call is supported and, where
a signal can interrupt it while it waits, what happens to it then.  `docs/syscalls.md` is generated
from these lines (``python -m syscalls.document``).

The handler of a call is ``sys_<name>`` in its family's module.  Modules are imported when the guest
first makes a call of the family: a short program pays only for the families it uses.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from syscalls.abi import Handler, unpacker

# Restart rules, signal(7): what a call interrupted while it waits does after the signal.
SYS: Final = "sys"  # restarted if no handler ran or the handler has SA_RESTART, else EINTR (ERESTARTSYS)
NOHAND: Final = "nohand"  # restarted if no handler ran, else EINTR (ERESTARTNOHAND)
BLOCK: Final = "block"  # as NOHAND, continuing to the same deadline (ERESTART_RESTARTBLOCK)
NEVER: Final = "never"  # EINTR; also for calls that do not wait


class Support(NamedTuple):
    """How far a call is supported.  `note` is for people: what is missing, or why it is refused."""

    level: str  # "full", "partial" or "refused"
    note: str = ""
    errno: int = 0  # what a refused call answers


FULL: Final = Support("full")


def PARTIAL(missing: str) -> Support:
    """The call works, except for what is `missing`."""
    return Support("partial", missing)


def REFUSED(code: int, why: str) -> Support:
    """The call always fails with `code`: what a Linux that was built without the feature answers."""
    return Support("refused", why, code)


class Call(NamedTuple):
    """One system call."""

    name: str
    support: Support
    restart: str = NEVER


class Family(NamedTuple):
    """Calls that belong together; `module` of this package holds their handlers."""

    title: str
    module: str
    calls: tuple[Call, ...]


ENOSYS, EPERM, EINVAL = errno.ENOSYS, errno.EPERM, errno.EINVAL

OBSOLETE: Final = REFUSED(ENOSYS, "removed from Linux")
ONLY_UNIX: Final = PARTIAL("AF_UNIX only; EAFNOSUPPORT for all others")
NO_CAPABILITY: Final = REFUSED(EPERM, "needs a capability that guests do not have")
NO_AIO: Final = REFUSED(ENOSYS, "no asynchronous input and output")
NO_SYSV_IPC: Final = REFUSED(ENOSYS, "no System V IPC")
NO_MQUEUE: Final = REFUSED(ENOSYS, "no POSIX message queues")
NO_NUMA: Final = REFUSED(ENOSYS, "one memory node")
NO_PKEYS: Final = REFUSED(ENOSYS, "no memory protection keys")
NO_KEYS: Final = REFUSED(ENOSYS, "no key rings")
NO_FANOTIFY: Final = REFUSED(ENOSYS, "no fanotify; inotify works")
NO_LSM: Final = REFUSED(ENOSYS, "no security modules")

TABLE: Final[tuple[Family, ...]] = (
    Family(
        "Opening and closing",
        "open",
        (
            Call("open", FULL, SYS),
            Call("openat", FULL, SYS),
            Call("openat2", FULL, SYS),
            Call("creat", FULL, SYS),
            Call("memfd_create", PARTIAL("no huge pages")),
        ),
    ),
    Family(
        "Reading and writing",
        "io",
        (
            Call("read", FULL, SYS),
            Call("write", FULL, SYS),
            Call("readv", FULL, SYS),
            Call("writev", FULL, SYS),
            Call("pread64", FULL, SYS),
            Call("pwrite64", FULL, SYS),
            Call("preadv", FULL, SYS),
            Call("pwritev", FULL, SYS),
            Call("preadv2", FULL, SYS),
            Call("pwritev2", FULL, SYS),
            Call("lseek", FULL),
            Call("fallocate", FULL),
            Call("fadvise64", FULL),
            Call("readahead", FULL),
            Call("fsync", FULL),
            Call("fdatasync", FULL),
            Call("sync", FULL),
            Call("syncfs", FULL),
            Call("sync_file_range", FULL),
            Call("cachestat", REFUSED(ENOSYS, "the host's page cache is not visible")),
        ),
    ),
    Family(
        "Moving data inside the kernel",
        "transfer",
        (
            Call("sendfile", FULL, SYS),
            Call("copy_file_range", FULL, SYS),
            Call("splice", FULL, SYS),
            Call("tee", PARTIAL("between lxrun's own pipes, not the host's"), SYS),
            Call("vmsplice", FULL, SYS),
        ),
    ),
    Family(
        "Descriptors and pipes",
        "fd",
        (
            Call("close", FULL),
            Call("close_range", FULL),
            Call("dup", FULL),
            Call("dup2", FULL),
            Call("dup3", FULL),
            Call("pipe", FULL),
            Call("pipe2", FULL),
            Call("eventfd", FULL),
            Call("eventfd2", FULL),
            Call("memfd_secret", REFUSED(ENOSYS, "no secret memory")),
        ),
    ),
    Family(
        "File control and locks",
        "locks",
        (
            Call(
                "fcntl",
                PARTIAL(
                    "no leases, directory notes or write hints; O_ASYNC only for lxrun's own pipes, not the host's"
                ),
                SYS,
            ),
            Call("flock", FULL, SYS),
        ),
    ),
    Family(
        "Devices",
        "ioctl",
        (Call("ioctl", PARTIAL("no requests of file systems and devices other than terminals"), SYS),),
    ),
    Family(
        "Waiting for descriptors",
        "poll",
        (
            Call("poll", FULL, BLOCK),
            Call("ppoll", FULL, NOHAND),
            Call("select", FULL, NOHAND),
            Call("pselect6", FULL, NOHAND),
        ),
    ),
    Family(
        "Event polls",
        "epoll",
        (
            Call("epoll_create", FULL),
            Call("epoll_create1", FULL),
            Call("epoll_ctl", FULL),
            Call("epoll_wait", FULL),
            Call("epoll_pwait", FULL),
            Call("epoll_pwait2", FULL),
            Call("epoll_ctl_old", OBSOLETE),
            Call("epoll_wait_old", OBSOLETE),
        ),
    ),
    Family(
        "File notification",
        "inotify",
        (
            Call("inotify_init", FULL),
            Call("inotify_init1", FULL),
            Call("inotify_add_watch", PARTIAL("no events of what processes of the host do")),
            Call("inotify_rm_watch", FULL),
            Call("fanotify_init", NO_FANOTIFY),
            Call("fanotify_mark", NO_FANOTIFY),
        ),
    ),
    Family(
        "Asynchronous input and output",
        "aio",
        (
            *(
                Call(f"io_{name}", NO_AIO)
                for name in ("setup", "destroy", "getevents", "pgetevents", "submit", "cancel")
            ),
            *(Call(f"io_uring_{name}", NO_AIO) for name in ("setup", "enter", "register")),
        ),
    ),
    Family(
        "File attributes",
        "stat",
        (
            Call("stat", FULL),
            Call("fstat", FULL),
            Call("lstat", FULL),
            Call("newfstatat", FULL),
            Call("statx", FULL),
            Call("access", FULL),
            Call("faccessat", FULL),
            Call("faccessat2", FULL),
            Call("readlink", FULL),
            Call("readlinkat", FULL),
            Call("statfs", FULL),
            Call("fstatfs", FULL),
            Call("ustat", REFUSED(ENOSYS, "obsolete")),
            Call("sysfs", REFUSED(ENOSYS, "obsolete")),
        ),
    ),
    Family(
        "Directories and names",
        "dirs",
        (
            Call("getdents", FULL),
            Call("getdents64", FULL),
            Call("getcwd", FULL),
            Call("chdir", FULL),
            Call("fchdir", FULL),
            Call("chroot", FULL),
            Call("mkdir", FULL),
            Call("mkdirat", FULL),
            Call("rmdir", FULL),
            Call("mknod", FULL),
            Call("mknodat", FULL),
            Call("link", FULL),
            Call("linkat", FULL),
            Call("symlink", FULL),
            Call("symlinkat", FULL),
            Call("unlink", FULL),
            Call("unlinkat", FULL),
            Call("rename", FULL),
            Call("renameat", FULL),
            Call("renameat2", FULL),
        ),
    ),
    Family(
        "Changing file attributes",
        "attr",
        (
            Call("chmod", FULL),
            Call("fchmod", FULL),
            Call("fchmodat", FULL),
            Call("fchmodat2", FULL),
            Call("chown", FULL),
            Call("fchown", FULL),
            Call("lchown", FULL),
            Call("fchownat", FULL),
            Call("umask", FULL),
            Call("truncate", FULL),
            Call("ftruncate", FULL),
            Call("utime", FULL),
            Call("utimes", FULL),
            Call("futimesat", FULL),
            Call("utimensat", FULL),
            Call("getxattr", FULL),
            Call("lgetxattr", FULL),
            Call("fgetxattr", FULL),
            Call("setxattr", FULL),
            Call("lsetxattr", FULL),
            Call("fsetxattr", FULL),
            Call("listxattr", FULL),
            Call("llistxattr", FULL),
            Call("flistxattr", FULL),
            Call("removexattr", FULL),
            Call("lremovexattr", FULL),
            Call("fremovexattr", FULL),
            Call("getxattrat", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("setxattrat", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("listxattrat", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("removexattrat", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("file_getattr", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("file_setattr", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("name_to_handle_at", REFUSED(errno.EOPNOTSUPP, "no file handles")),
            Call("open_by_handle_at", NO_CAPABILITY),
            Call("quotactl", REFUSED(ENOSYS, "no quotas")),
            Call("quotactl_fd", REFUSED(ENOSYS, "no quotas")),
        ),
    ),
    Family(
        "Mounts",
        "mounts",
        (
            Call("mount", NO_CAPABILITY),
            Call("umount2", NO_CAPABILITY),
            Call("pivot_root", NO_CAPABILITY),
            Call("fsopen", NO_CAPABILITY),
            Call("fsconfig", NO_CAPABILITY),
            Call("fsmount", NO_CAPABILITY),
            Call("fspick", NO_CAPABILITY),
            Call("move_mount", NO_CAPABILITY),
            Call("mount_setattr", NO_CAPABILITY),
            Call("open_tree", NO_CAPABILITY),
            Call("open_tree_attr", NO_CAPABILITY),
            Call("statmount", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("listmount", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
        ),
    ),
    Family(
        "Memory",
        "memory",
        (
            Call("brk", FULL),
            Call("mmap", PARTIAL("no huge pages, no MAP_SYNC")),
            Call("munmap", FULL),
            Call("mprotect", FULL),
            Call("mremap", FULL),
            Call("madvise", PARTIAL("no huge pages, page merging or memory failures")),
            Call("msync", FULL),
            Call("mincore", FULL),
            Call("mlock", FULL),
            Call("mlock2", FULL),
            Call("munlock", FULL),
            Call("mlockall", FULL),
            Call("munlockall", FULL),
            Call("remap_file_pages", FULL),
            Call("mseal", REFUSED(ENOSYS, "no sealed mappings")),
            Call("map_shadow_stack", REFUSED(errno.EOPNOTSUPP, "the CPU has no shadow stacks")),
            Call("pkey_mprotect", PARTIAL("key -1 only, which is mprotect")),
            Call("pkey_alloc", NO_PKEYS),
            Call("pkey_free", NO_PKEYS),
            Call("mbind", NO_NUMA),
            Call("set_mempolicy", NO_NUMA),
            Call("get_mempolicy", NO_NUMA),
            Call("set_mempolicy_home_node", NO_NUMA),
            Call("migrate_pages", NO_NUMA),
            Call("move_pages", NO_NUMA),
            Call("userfaultfd", REFUSED(ENOSYS, "no page faults in user space")),
        ),
    ),
    Family(
        "Processes: making and waiting",
        "process",
        (
            Call("fork", FULL),
            Call("vfork", FULL),
            Call("clone", PARTIAL("no namespaces")),
            Call("clone3", PARTIAL("no set_tid, cgroups and namespaces")),
            Call("unshare", PARTIAL("no namespaces")),
            Call("wait4", FULL, SYS),
            Call("waitid", FULL, SYS),
        ),
    ),
    Family(
        "Processes",
        "exec",
        (
            Call("execve", FULL),
            Call("execveat", FULL),
            Call("ptrace", REFUSED(EPERM, "no other process to trace")),
            Call("setns", NO_CAPABILITY),
            Call("listns", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("acct", REFUSED(ENOSYS, "no process accounting")),
            Call("uselib", OBSOLETE),
            Call("uprobe", REFUSED(ENOSYS, "no probes")),
            Call("uretprobe", REFUSED(ENOSYS, "no probes")),
        ),
    ),
    Family(
        "Process descriptors",
        "pidfd",
        (
            Call("pidfd_open", PARTIAL("no ioctl requests on the descriptor")),
            Call("pidfd_getfd", FULL),
            Call("pidfd_send_signal", FULL),
        ),
    ),
    Family(
        "Memory of other processes",
        "process_vm",
        (
            Call("process_vm_readv", FULL),
            Call("process_vm_writev", FULL),
            Call("process_madvise", FULL),
            Call("process_mrelease", FULL),
        ),
    ),
    Family(
        "Comparing processes",
        "kcmp",
        (Call("kcmp", PARTIAL("I/O contexts and System V undo lists always compare as equal")),),
    ),
    Family(
        "Threads",
        "thread",
        (
            Call("exit", FULL),
            Call("exit_group", FULL),
            Call("set_tid_address", FULL),
            Call("set_robust_list", FULL),
            Call("get_robust_list", FULL),
            Call("rseq", FULL),
            Call("rseq_slice_yield", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("arch_prctl", FULL),
            Call("membarrier", FULL),
            Call("set_thread_area", REFUSED(ENOSYS, "32-bit x86 only")),
            Call("get_thread_area", REFUSED(ENOSYS, "32-bit x86 only")),
            Call("modify_ldt", REFUSED(ENOSYS, "no local descriptor table")),
        ),
    ),
    Family(
        "Process attributes",
        "prctl",
        (
            Call(
                "prctl",
                PARTIAL(
                    "no filters, core scheduling, page merging, PR_SET_MM, PR_SET_TSC or user dispatch of system calls"
                ),
            ),
        ),
    ),
    Family(
        "Scheduling",
        "sched",
        (
            Call("sched_yield", FULL),
            Call("sched_getaffinity", FULL),
            Call("sched_setaffinity", FULL),
            Call("sched_getparam", FULL),
            Call("sched_setparam", FULL),
            Call("sched_getscheduler", FULL),
            Call("sched_setscheduler", PARTIAL("no SCHED_DEADLINE")),
            Call("sched_getattr", FULL),
            Call("sched_setattr", PARTIAL("no SCHED_DEADLINE, no utilisation clamps")),
            Call("sched_get_priority_max", FULL),
            Call("sched_get_priority_min", FULL),
            Call("sched_rr_get_interval", FULL),
            Call("getpriority", FULL),
            Call("setpriority", FULL),
            Call("ioprio_get", FULL),
            Call("ioprio_set", FULL),
        ),
    ),
    Family(
        "Futexes",
        "futex",
        (
            Call("futex", PARTIAL("priorities are not inherited: locks go to the longest waiter"), SYS),
            Call("futex_wait", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("futex_wake", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("futex_requeue", REFUSED(ENOSYS, "newer than the kernel lxrun stands for")),
            Call("futex_waitv", FULL, SYS),
        ),
    ),
    Family(
        "Signals",
        "signal",
        (
            Call("rt_sigaction", FULL),
            Call("rt_sigprocmask", FULL),
            Call("rt_sigpending", FULL),
            Call("rt_sigreturn", FULL),
            Call("rt_sigsuspend", FULL, NOHAND),
            Call("rt_sigtimedwait", FULL),
            Call("rt_sigqueueinfo", FULL),
            Call("rt_tgsigqueueinfo", FULL),
            Call("sigaltstack", FULL),
            Call("pause", FULL, NOHAND),
            Call("kill", FULL),
            Call("tkill", FULL),
            Call("tgkill", FULL),
            Call("restart_syscall", FULL, BLOCK),
        ),
    ),
    Family("Signal descriptors", "signalfd", (Call("signalfd", FULL), Call("signalfd4", FULL))),
    Family(
        "Time",
        "time",
        (
            Call("clock_gettime", FULL),
            Call("clock_getres", FULL),
            Call("clock_nanosleep", FULL, BLOCK),
            Call("clock_settime", FULL),
            Call("clock_adjtime", PARTIAL("reading only")),
            Call("adjtimex", PARTIAL("reading only")),
            Call("nanosleep", FULL, BLOCK),
            Call("gettimeofday", FULL),
            Call("settimeofday", FULL),
            Call("time", FULL),
            Call("alarm", FULL),
            Call("getitimer", FULL),
            Call("setitimer", FULL),
        ),
    ),
    Family(
        "Timer descriptors",
        "timerfd",
        (
            Call("timerfd_create", FULL),
            Call("timerfd_settime", PARTIAL("a change of the host's clock does not cancel a timer")),
            Call("timerfd_gettime", FULL),
        ),
    ),
    Family(
        "POSIX timers",
        "posix_timers",
        (
            Call("timer_create", PARTIAL("no alarm clocks")),
            Call("timer_settime", FULL),
            Call("timer_gettime", FULL),
            Call("timer_getoverrun", FULL),
            Call("timer_delete", FULL),
        ),
    ),
    Family(
        "System information and limits",
        "info",
        (
            Call("uname", FULL),
            Call("sysinfo", FULL),
            Call("getrusage", PARTIAL("no blocks are counted")),
            Call("times", FULL),
            Call("getrlimit", FULL),
            Call("setrlimit", FULL),
            Call("prlimit64", FULL),
            Call("getcpu", FULL),
            Call("getrandom", FULL, SYS),
            Call("personality", PARTIAL("of the flags, only READ_IMPLIES_EXEC has an effect")),
            Call("syslog", REFUSED(EPERM, "no kernel log, as with dmesg_restrict=1")),
            Call("sethostname", FULL),
            Call("setdomainname", FULL),
        ),
    ),
    Family(
        "Identity",
        "identity",
        (
            Call("getpid", FULL),
            Call("getppid", FULL),
            Call("gettid", FULL),
            Call("getpgid", FULL),
            Call("getpgrp", FULL),
            Call("setpgid", FULL),
            Call("getsid", FULL),
            Call("setsid", FULL),
            Call("getuid", FULL),
            Call("geteuid", FULL),
            Call("getgid", FULL),
            Call("getegid", FULL),
            Call("getresuid", FULL),
            Call("getresgid", FULL),
            Call("setuid", FULL),
            Call("setgid", FULL),
            Call("setreuid", FULL),
            Call("setregid", FULL),
            Call("setresuid", FULL),
            Call("setresgid", FULL),
            Call("setfsuid", FULL),
            Call("setfsgid", FULL),
            Call("getgroups", FULL),
            Call("setgroups", FULL),
            Call("capget", FULL),
            Call("capset", FULL),
        ),
    ),
    Family(
        "Sockets",
        "socket",
        (
            Call("socket", ONLY_UNIX),
            Call("socketpair", FULL),
            Call("bind", FULL),
            Call("listen", FULL),
            Call("accept", FULL, SYS),
            Call("accept4", FULL, SYS),
            Call("connect", FULL, SYS),
            Call("shutdown", FULL),
            Call("getsockname", FULL),
            Call("getpeername", FULL),
        ),
    ),
    Family(
        "Messages on sockets",
        "message",
        (
            Call("sendto", FULL, SYS),
            Call("sendmsg", FULL, SYS),
            Call("sendmmsg", FULL, SYS),
            Call("recvfrom", FULL, SYS),
            Call("recvmsg", FULL, SYS),
            Call("recvmmsg", FULL, SYS),
        ),
    ),
    Family(
        "Socket options",
        "sockopt",
        (
            Call("getsockopt", PARTIAL("no filters, time stamps, SO_PEERSEC or SO_PEERPIDFD")),
            Call("setsockopt", PARTIAL("no filters, time stamps or SO_PASSPIDFD")),
        ),
    ),
    Family(
        "Inter-process communication",
        "ipc",
        (
            Call("shmget", NO_SYSV_IPC),
            Call("shmat", NO_SYSV_IPC),
            Call("shmctl", NO_SYSV_IPC),
            Call("shmdt", NO_SYSV_IPC),
            Call("semget", NO_SYSV_IPC),
            Call("semop", NO_SYSV_IPC),
            Call("semtimedop", NO_SYSV_IPC),
            Call("semctl", NO_SYSV_IPC),
            Call("msgget", NO_SYSV_IPC),
            Call("msgsnd", NO_SYSV_IPC),
            Call("msgrcv", NO_SYSV_IPC),
            Call("msgctl", NO_SYSV_IPC),
            Call("mq_open", NO_MQUEUE),
            Call("mq_unlink", NO_MQUEUE),
            Call("mq_timedsend", NO_MQUEUE),
            Call("mq_timedreceive", NO_MQUEUE),
            Call("mq_notify", NO_MQUEUE),
            Call("mq_getsetattr", NO_MQUEUE),
        ),
    ),
    Family(
        "Security",
        "security",
        (
            Call("seccomp", REFUSED(ENOSYS, "no system call filters")),
            Call("landlock_create_ruleset", NO_LSM),
            Call("landlock_add_rule", NO_LSM),
            Call("landlock_restrict_self", NO_LSM),
            Call("lsm_get_self_attr", NO_LSM),
            Call("lsm_set_self_attr", NO_LSM),
            Call("lsm_list_modules", NO_LSM),
            Call("add_key", NO_KEYS),
            Call("request_key", NO_KEYS),
            Call("keyctl", NO_KEYS),
            Call("bpf", REFUSED(ENOSYS, "no BPF")),
            Call("perf_event_open", REFUSED(ENOSYS, "no performance counters")),
        ),
    ),
    Family(
        "Administration of the machine",
        "admin",
        (
            Call("reboot", NO_CAPABILITY),
            Call("swapon", NO_CAPABILITY),
            Call("swapoff", NO_CAPABILITY),
            Call("vhangup", NO_CAPABILITY),
            Call("iopl", NO_CAPABILITY),
            Call("ioperm", NO_CAPABILITY),
            Call("init_module", NO_CAPABILITY),
            Call("finit_module", NO_CAPABILITY),
            Call("delete_module", NO_CAPABILITY),
            Call("kexec_load", NO_CAPABILITY),
            Call("kexec_file_load", NO_CAPABILITY),
            Call("create_module", OBSOLETE),
            Call("get_kernel_syms", OBSOLETE),
            Call("query_module", OBSOLETE),
            Call("_sysctl", OBSOLETE),
            Call("nfsservctl", OBSOLETE),
            Call("lookup_dcookie", OBSOLETE),
            Call("getpmsg", OBSOLETE),
            Call("putpmsg", OBSOLETE),
            Call("afs_syscall", OBSOLETE),
            Call("tuxcall", OBSOLETE),
            Call("security", OBSOLETE),
            Call("vserver", OBSOLETE),
        ),
    ),
)

Entry = tuple[Handler, Callable[..., tuple[Any, ...]]]
"""A handler and the `unpack_from` that reads its arguments from `Cpu.call` at `ARGS_OFFSET`."""


def refuse(code: int) -> Handler:
    """The handler of calls that fail with `code`."""

    def sys_refused(t: Any) -> int:
        return -code

    return sys_refused


def handler(family: Family, call: Call) -> Handler:
    """The function that serves `call`.  Raises LookupError if its module lacks it: a bug in lxrun."""
    if call.support.level == "refused":
        return refuse(call.support.errno)
    found = getattr(__import__(f"syscalls.{family.module}", fromlist=("*",)), f"sys_{call.name}", None)
    if found is None:
        raise LookupError(f"syscalls/{family.module}.py has no sys_{call.name}")
    return found  # type: ignore[no-any-return]


class CallTable(dict[int, Entry]):
    """Call number -> `Entry`, for one architecture.

    Read it as ``table[number]``, with any number: a line is resolved when it is first used, and
    numbers that Linux does not have give the entry that answers ENOSYS.
    """

    def __init__(self, numbers: dict[int, str]) -> None:
        super().__init__()
        self.names = numbers
        self.lines = {call.name: (family, call) for family in TABLE for call in family.calls}
        self.unknown = self.entry(refuse(ENOSYS))

    @staticmethod
    def entry(function: Any) -> Entry:
        return function, unpacker(function).unpack_from

    def __missing__(self, number: int) -> Entry:
        name = self.names.get(number)
        if name is None:
            return self.unknown  # not kept: a guest may try any number
        entry = self[number] = self.entry(handler(*self.lines[name]))
        return entry

    def restart(self, number: int) -> str:
        """The restart rule of a call: SYS, NOHAND, BLOCK or NEVER."""
        return self.lines[self.names[number]][1].restart

    def resolve(self) -> None:
        """Fill in every line.  Raises LookupError or TypeError for a bad one."""
        for number in self.names:
            self[number]


def build(numbers: dict[int, str]) -> CallTable:
    """The table the dispatcher indexes, for an architecture's call numbers."""
    return CallTable(numbers)

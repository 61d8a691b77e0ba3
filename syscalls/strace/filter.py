"""Which calls and signals are printed: strace's `-e` expressions.

``trace=`` (the default qualifier) takes names, /regular expressions and the classes of strace(1):
%file, %process, %network, %signal, %ipc, %desc, %memory, %creds, %clock, %stat, %lstat, %fstat, %%stat,
%statfs, %fstatfs, %%statfs, %pure; a ! before the list inverts it and a ? before an element lets it match
nothing. ``signal=`` takes signal names, with or without SIG. ``status=`` takes successful and failed.
Several expressions are separated by ; or by white space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from syscalls.strace import constants


def calls(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLASSES: dict[str, frozenset[str]] = {
    "file": calls("""
        access acct chdir chmod chown chroot creat execve execveat faccessat faccessat2 fanotify_mark fchmodat
        fchmodat2 fchownat file_getattr file_setattr fsconfig fspick futimesat getcwd getxattr getxattrat
        inotify_add_watch lchown lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lsetxattr
        lstat mkdir mkdirat mknod mknodat mount mount_setattr move_mount name_to_handle_at newfstatat open
        open_tree open_tree_attr openat openat2 pivot_root quotactl readlink readlinkat removexattr
        removexattrat rename renameat renameat2 rmdir setxattr setxattrat stat statfs statmount statx swapoff
        swapon symlink symlinkat truncate umount2 unlink unlinkat uselib utime utimensat utimes
    """),
    "process": calls("""
        clone clone3 execve execveat exit exit_group fork kill pidfd_send_signal rt_sigqueueinfo
        rt_tgsigqueueinfo tgkill tkill vfork wait4 waitid
    """),
    "network": calls("""
        accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendfile
        sendmmsg sendmsg sendto setsockopt shutdown socket socketpair
    """),
    "signal": calls("""
        io_uring_enter kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
        rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill tkill
    """),
    "ipc": calls("""
        msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget
    """),
    "desc": calls("""
        bpf cachestat close copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait
        epoll_pwait2 epoll_wait eventfd eventfd2 execveat faccessat faccessat2 fadvise64 fallocate fanotify_init
        fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr file_getattr
        file_setattr finit_module flistxattr flock fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstat
        fstatfs fsync ftruncate futimesat getdents getdents64 getxattrat inotify_add_watch inotify_init
        inotify_init1 inotify_rm_watch io_uring_enter io_uring_register io_uring_setup ioctl kexec_file_load
        landlock_add_rule landlock_create_ruleset landlock_restrict_self linkat listxattrat lseek memfd_create
        memfd_secret mkdirat mknodat mmap mount_setattr move_mount mq_getsetattr mq_notify mq_open
        mq_timedreceive mq_timedsend name_to_handle_at newfstatat open open_by_handle_at open_tree
        open_tree_attr openat openat2 perf_event_open pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 poll
        ppoll pread64 preadv preadv2 process_madvise process_mrelease pselect6 pwrite64 pwritev pwritev2
        quotactl_fd read readahead readlinkat readv removexattrat renameat renameat2 select sendfile setns
        setxattrat signalfd signalfd4 splice statx symlinkat sync_file_range syncfs tee timerfd_create
        timerfd_gettime timerfd_settime unlinkat userfaultfd utimensat vmsplice write writev
    """),
    "memory": calls("""
        brk get_mempolicy io_destroy io_setup io_uring_register madvise map_shadow_stack mbind migrate_pages
        mincore mlock mlock2 mlockall mmap move_pages mprotect mremap mseal msync munlock munlockall munmap
        pkey_mprotect remap_file_pages set_mempolicy set_mempolicy_home_node shmat shmdt
    """),
    "creds": calls("""
        capget capset getegid geteuid getgid getgroups getresgid getresuid getuid prctl setfsgid setfsuid setgid
        setgroups setregid setresgid setresuid setreuid setuid
    """),
    "clock": calls("""
        adjtimex clock_adjtime clock_getres clock_gettime clock_settime gettimeofday settimeofday time
    """),
    "stat": calls("stat"),
    "lstat": calls("lstat"),
    "fstat": calls("fstat newfstatat statx"),
    "%stat": calls("stat lstat fstat newfstatat statx"),
    "statfs": calls("statfs"),
    "fstatfs": calls("fstatfs"),
    "%statfs": calls("statfs fstatfs ustat"),
    "pure": calls("getegid geteuid getgid getpgrp getpid getppid gettid getuid"),
}
CLASSES["net"] = CLASSES["network"]
# Classes that may be named without a percent sign.
PLAIN_CLASSES = ("file", "process", "network", "signal", "ipc", "desc", "memory")


class Filter:
    """A parsed expression.  Raises ValueError with one line that says what is wrong with it."""

    def __init__(self, expression: str, known: Collection[str]) -> None:
        self.known = known
        self.calls: Callable[[str], bool] = lambda name: True
        self.signals: Callable[[str], bool] = lambda name: True
        self.status = frozenset({"successful", "failed"})
        for part in expression.replace(";", " ").split():
            qualifier, equals, values = part.partition("=")
            if not equals:
                qualifier, values = "trace", part
            if qualifier in ("trace", "t"):
                self.calls = self._selection(values, self._call)
            elif qualifier in ("signal", "signals", "s"):
                self.signals = self._selection(values, self._signal)
            elif qualifier == "status":
                self.status = self._statuses(values)
            else:
                raise ValueError(f"unknown qualifier {qualifier!r}: trace, signal or status")

    def _selection(self, values: str, find: Callable[[str], frozenset[str]]) -> Callable[[str], bool]:
        invert = values.startswith("!")
        chosen: set[str] = set()
        everything = False
        for value in values.removeprefix("!").split(","):
            if value == "all":
                everything = True
            elif value != "none":
                chosen |= find(value)
        if everything:
            return lambda name: not invert
        selected = frozenset(chosen)
        return lambda name: (name in selected) != invert

    def _call(self, value: str) -> frozenset[str]:
        optional = value.startswith("?")
        value = value.removeprefix("?").removesuffix("@64")
        if value.startswith("/"):
            import re

            try:
                expression = re.compile(value[1:])
            except re.error as error:
                raise ValueError(f"{value!r}: {error}") from None
            found = frozenset(name for name in self.known if expression.search(name))
        elif value.startswith("%") or value in PLAIN_CLASSES:
            found = CLASSES.get(value.removeprefix("%"), frozenset())
        else:
            found = frozenset({value}) & frozenset(self.known)
        if not found and not optional:
            raise ValueError(f"no system call matches {value!r}")
        return found

    @staticmethod
    def _signal(value: str) -> frozenset[str]:
        name = value.upper().removeprefix("SIG")
        if name not in constants.SIGNALS.values() and not name.startswith("RT"):
            raise ValueError(f"no signal is named {value!r}")
        return frozenset({"SIG" + name})

    @staticmethod
    def _statuses(values: str) -> frozenset[str]:
        every = {"successful", "failed", "unfinished"}
        invert = values.startswith("!")
        chosen = set(values.removeprefix("!").split(","))
        if "all" in chosen:
            chosen = every
        if not chosen <= every:
            raise ValueError(f"status is successful, failed or unfinished, not {values!r}")
        return frozenset(every - chosen if invert else chosen)

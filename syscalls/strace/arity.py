"""How many arguments the calls have that no decoder describes, so that no stray registers are printed."""

from __future__ import annotations

_NAMES = {
    0: """
        inotify_init rseq_slice_yield rt_sigreturn uprobe uretprobe vhangup
    """,
    1: """
        _sysctl acct get_kernel_syms get_thread_area inotify_init1 io_destroy iopl memfd_secret mq_unlink
        pkey_free set_thread_area shmdt swapoff timer_delete timer_getoverrun unshare uselib userfaultfd
    """,
    2: """
        clone3 create_module delete_module fanotify_init fsopen inotify_rm_watch io_setup io_uring_setup
        landlock_restrict_self listen mq_notify msgget pidfd_open pivot_root pkey_alloc process_mrelease setns
        shutdown swapon timer_gettime timerfd_create timerfd_gettime umount2 ustat
    """,
    3: """
        accept bpf finit_module fsmount fspick getpeername getsockname init_module inotify_add_watch io_cancel
        io_submit ioperm landlock_create_ruleset lookup_dcookie lsm_list_modules map_shadow_stack modify_ldt
        mq_getsetattr mseal msgctl nfsservctl open_by_handle_at open_tree pidfd_getfd recvmsg seccomp security
        semget semop sendmsg set_mempolicy shmat shmctl shmget signalfd sysfs timer_create tuxcall
    """,
    4: """
        accept4 cachestat epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old futex_requeue futex_wake
        io_uring_register kexec_load landlock_add_rule listmount listns lsm_get_self_attr lsm_set_self_attr
        migrate_pages mq_open msgsnd pidfd_send_signal quotactl quotactl_fd reboot removexattrat request_key
        semctl semtimedop sendmmsg set_mempolicy_home_node signalfd4 socketpair statmount timer_settime
        timerfd_settime
    """,
    5: """
        add_key afs_syscall fanotify_mark file_getattr file_setattr fsconfig futex_waitv get_mempolicy getpmsg
        getsockopt io_getevents kcmp kexec_file_load keyctl listxattrat mount mount_setattr move_mount
        mq_timedreceive mq_timedsend msgrcv name_to_handle_at open_tree_attr perf_event_open process_madvise
        putpmsg query_module recvmmsg setsockopt vserver
    """,
    6: """
        epoll_pwait epoll_pwait2 futex_wait getxattrat io_pgetevents io_uring_enter mbind move_pages
        process_vm_readv process_vm_writev recvfrom sendto setxattrat
    """,
}
ARITY = {name: count for count, names in _NAMES.items() for name in names.split()}

/* Arguments of the signal calls: masks, pending sets, sending, waiting. */
#include "show.h"

#define RAW(name, ...) show_result(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__), 1)

int main(void)
{
    uint64_t set = 0, old = 0, *bad = (void *)16, *at_edge = (void *)edge(8), *beyond = (void *)(edge(8) + 4);
    pid_t me = getpid();
    siginfo_t info;
    struct timespec zero = {0, 0}, negative = {-1, 0}, big = {0, 1000000000}, soon = {0, 20000000};

    puts("-- rt_sigprocmask");
    RAW(rt_sigprocmask, SIG_BLOCK, NULL, NULL, 8);
    RAW(rt_sigprocmask, SIG_BLOCK, &set, &old, 4);
    RAW(rt_sigprocmask, SIG_BLOCK, &set, &old, 16);
    RAW(rt_sigprocmask, 77, &set, &old, 8);
    RAW(rt_sigprocmask, 77, NULL, &old, 8);
    RAW(rt_sigprocmask, SIG_BLOCK, bad, &old, 8);
    set = ~0ull;
    RAW(rt_sigprocmask, SIG_SETMASK, &set, bad, 8);
    RAW(rt_sigprocmask, SIG_SETMASK, NULL, &old, 8);
    printf("blocked %lx\n", (unsigned long)old);
    set = 0xf0;
    RAW(rt_sigprocmask, SIG_UNBLOCK, &set, &old, 8);
    RAW(rt_sigprocmask, SIG_SETMASK, NULL, &old, 8);
    printf("blocked %lx\n", (unsigned long)old);
    *at_edge = 0;
    RAW(rt_sigprocmask, SIG_SETMASK, at_edge, NULL, 8);
    RAW(rt_sigprocmask, SIG_SETMASK, beyond, NULL, 8);
    RAW(rt_sigprocmask, SIG_SETMASK, NULL, beyond, 8);

    puts("-- rt_sigpending");
    set = ~0ull;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8);
    raise(SIGUSR1);
    kill(me, SIGUSR2);
    unsigned char bytes[16];
    for (int size = 0; size <= 9; size += 3) {
        memset(bytes, 0xee, sizeof bytes);
        label(syscall(SYS_rt_sigpending, bytes, size), "rt_sigpending size %d", size);
        show_bytes("set", bytes, 10);
    }
    RAW(rt_sigpending, bad, 8);
    RAW(rt_sigpending, bad, 0);

    puts("-- sending");
    RAW(kill, me, -1);
    RAW(kill, me, 65);
    RAW(kill, me, 0);
    RAW(kill, 0x7fffffff, SIGTERM);
    RAW(kill, 0x7fffffff, 65);
    RAW(kill, (int)0x80000000, SIGTERM);
    RAW(kill, -0x7ffffffe, SIGTERM);
    RAW(kill, -0x7ffffffe, 99);
    RAW(tkill, 0, SIGUSR1);
    RAW(tkill, -1, SIGUSR1);
    RAW(tkill, 0x7ffffffe, SIGUSR1);
    RAW(tkill, me, 65);
    RAW(tkill, me, 0);
    RAW(tgkill, me, me, 0);
    RAW(tgkill, 0, me, 0);
    RAW(tgkill, me, 0, 0);
    RAW(tgkill, 0x7ffffffe, me, 0);
    RAW(tgkill, me, me, -3);

    puts("-- rt_sigqueueinfo");
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    RAW(rt_sigqueueinfo, me, SIGRTMAX, bad);
    RAW(rt_sigqueueinfo, me, 65, &info);
    RAW(rt_sigqueueinfo, me, 0, &info);
    RAW(rt_sigqueueinfo, 0, SIGRTMAX, &info);
    RAW(rt_sigqueueinfo, -1, SIGRTMAX, &info);
    RAW(rt_sigqueueinfo, 0x7ffffffe, SIGRTMAX, &info);
    info.si_code = SI_USER;
    RAW(rt_sigqueueinfo, 0x7ffffffe, SIGRTMAX, &info);
    RAW(rt_sigqueueinfo, me, SIGRTMAX, &info);
    info.si_code = SI_TKILL;
    RAW(rt_sigqueueinfo, 0x7ffffffe, SIGRTMAX, &info);
    RAW(rt_tgsigqueueinfo, 0x7ffffffe, me, SIGRTMAX, &info);
    RAW(rt_tgsigqueueinfo, me, me, SIGRTMAX, &info);
    RAW(rt_tgsigqueueinfo, me, 0, SIGRTMAX, &info);
    RAW(rt_tgsigqueueinfo, 0, me, SIGRTMAX, &info);
    RAW(rt_tgsigqueueinfo, me, me, SIGRTMAX, bad);
    info.si_code = -1000;
    RAW(rt_sigqueueinfo, me, SIGRTMAX, &info);
    ((char *)&info)[100] = 1;
    RAW(rt_sigqueueinfo, me, SIGRTMAX, &info);
    info.si_code = SI_QUEUE;
    info.si_pid = 12345;
    info.si_errno = 7;
    info.si_value.sival_ptr = (void *)0x1122334455667788;
    info.si_signo = 3;
    RAW(rt_sigqueueinfo, me, SIGRTMAX, &info);

    puts("-- rt_sigtimedwait");
    set = ~0ull;
    RAW(rt_sigtimedwait, &set, &info, &zero, 4);
    RAW(rt_sigtimedwait, bad, &info, &zero, 8);
    RAW(rt_sigtimedwait, &set, &info, bad, 8);
    RAW(rt_sigtimedwait, &set, &info, &negative, 8);
    RAW(rt_sigtimedwait, &set, &info, &big, 8);
    for (int i = 0; i < 9; i++) {
        memset(&info, 0, sizeof info);
        long got = syscall(SYS_rt_sigtimedwait, &set, &info, &zero, 8);
        label(got, "rt_sigtimedwait");
        if (got < 0)
            break;
        printf("  signo %d errno %d code %d pid %d value %lx byte %d\n", info.si_signo, info.si_errno, info.si_code,
               info.si_pid == me ? -1 : info.si_pid, (long)info.si_value.sival_ptr, ((char *)&info)[100]);
    }
    RAW(rt_sigtimedwait, &set, &info, &soon, 8);
    raise(SIGUSR1);
    RAW(rt_sigtimedwait, &set, bad, &zero, 8);
    RAW(rt_sigtimedwait, &set, NULL, &zero, 8);
    set = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1);
    RAW(rt_sigtimedwait, &set, NULL, &soon, 8);

    puts("-- rt_sigsuspend, sigaltstack");
    RAW(rt_sigsuspend, &set, 7);
    RAW(rt_sigsuspend, bad, 8);
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    RAW(sigaltstack, NULL, NULL);
    RAW(sigaltstack, NULL, &stack);
    printf("sp %p flags %d size %zu\n", stack.ss_sp, stack.ss_flags, stack.ss_size);
    RAW(sigaltstack, bad, NULL);
    RAW(sigaltstack, NULL, bad);
    static char room[16384];
    stack = (stack_t){room, 4, sizeof room};
    RAW(sigaltstack, &stack, NULL);
    stack.ss_flags = 0;
    stack.ss_size = 2047;
    RAW(sigaltstack, &stack, NULL);
    stack.ss_size = 16384;
    stack.ss_flags = SS_ONSTACK;
    RAW(sigaltstack, &stack, NULL);
    RAW(sigaltstack, NULL, &stack);
    printf("sp %d flags %d size %zu\n", stack.ss_sp == room, stack.ss_flags, stack.ss_size);
    stack.ss_flags = SS_DISABLE;
    RAW(sigaltstack, &stack, bad);
    RAW(sigaltstack, NULL, &stack);
    printf("sp %p flags %d size %zu\n", stack.ss_sp, stack.ss_flags, stack.ss_size);
    stack = (stack_t){room, 1 << 31, sizeof room};
    RAW(sigaltstack, &stack, NULL);
    RAW(sigaltstack, NULL, &stack);
    printf("sp %d flags %x size %zu\n", stack.ss_sp == room, stack.ss_flags, stack.ss_size);

    puts("-- RLIMIT_SIGPENDING");
    struct rlimit limit = {0, 0};
    setrlimit(RLIMIT_SIGPENDING, &limit);
    set = ~0ull;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8);
    SHOW(sigqueue(me, SIGRTMAX, (union sigval){.sival_int = 1}));
    SHOW(kill(me, SIGRTMAX));
    SHOW(kill(me, SIGRTMAX));
    SHOW(sigqueue(me, SIGUSR1, (union sigval){.sival_int = 1}));
    SHOW(kill(me, SIGUSR2));
    for (int i = 0; i < 5; i++) {
        memset(&info, 0, sizeof info);
        long got = syscall(SYS_rt_sigtimedwait, &set, &info, &zero, 8);
        label(got, "rt_sigtimedwait");
        if (got < 0)
            break;
        printf("  code %d pid %d value %d\n", info.si_code, info.si_pid == me ? -1 : info.si_pid, info.si_value.sival_int);
    }
    return 0;
}

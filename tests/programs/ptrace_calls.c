/* ptrace(2): stops at system calls, what they show, and what a tracer makes of them. */
#include "trace.h"
#include <poll.h>

static const char *op_name(int op)
{
    return op == 0 ? "none" : op == 1 ? "entry" : op == 2 ? "exit" : op == 3 ? "seccomp" : "?";
}

static void info(pid_t pid, int args)
{
    struct __ptrace_syscall_info info;
    memset(&info, 0x55, sizeof info);
    long size = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info);
    struct user_regs_struct regs = registers(pid);
    printf("  info %ld: %s arch %x pc %d sp %d", size, op_name(info.op), info.arch,
           info.instruction_pointer == regs.rip, info.stack_pointer == regs.rsp);
    if (info.op == 1) {
        printf(" number %lld", (long long)info.entry.nr);
        for (int i = 0; i < args; i++)
            printf(" %lld", (long long)info.entry.args[i]);
    } else if (info.op == 2)
        printf(" result %lld error %d", (long long)info.exit.rval, info.exit.is_error);
    unsigned long message = 99;
    trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message);
    printf("; orig %lld rax %lld rcx %d r11 %d; message %lu\n", (long long)regs.orig_rax, (long long)regs.rax,
           regs.rcx == regs.rip, regs.r11 == regs.eflags, message);
}

static void go(pid_t pid, const char *what, int args)
{
    trace(PTRACE_SYSCALL, pid, 0, 0);
    int status = await(pid, what);
    if (WIFSTOPPED(status))
        info(pid, args);
}

static void changes(void)
{
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        static char text[] = "  the child writes this\n", other[] = "  not this\n";
        long a = syscall(SYS_getppid);
        long b = syscall(SYS_umask, 022);
        long c = syscall(SYS_write, 1, text, strlen(text));
        long d = syscall(9999, 1, 2, 3);
        long e = syscall(SYS_close, 77);
        _exit((a == 4242) | (b == 7) << 1 | (c == (long)strlen(text)) << 2 | (d == -1 && errno == ENOSYS) << 3 | (e == 5) << 4);
    }
    await(pid, "start");
    SHOW(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
    go(pid, "getppid", 0);
    struct user_regs_struct regs = registers(pid);
    regs.orig_rax = -1; /* no call at all */
    regs.rax = 4242;
    SHOW(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
    go(pid, "after nothing", 0);
    go(pid, "umask", 1);
    go(pid, "after umask", 0);
    regs = registers(pid);
    regs.rax = 7;
    SHOW(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
    go(pid, "write", 1);
    fflush(stdout);
    go(pid, "after write", 0);
    go(pid, "unknown", 3);
    go(pid, "after unknown", 0);
    go(pid, "close", 1);
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), SYS_getpgid));
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rdi), 0));
    regs = registers(pid);
    SHOW((int)regs.orig_rax == SYS_getpgid);
    SHOW(trace(PTRACE_SYSCALL, pid, 0, 0));
    await(pid, "after another");
    regs = registers(pid);
    SHOW(regs.rax == getpgrp());
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), 5));
    go(pid, "exit_group", 1);
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    await(pid, "end");
}

/* Without PTRACE_O_TRACESYSGOOD a stop looks like a SIGTRAP; a signal given in it is sent. */
static void plain(void)
{
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        syscall(SYS_getuid);
        _exit(3);
    }
    await(pid, "start");
    go(pid, "getuid", 0);
    SHOW(trace(PTRACE_SYSCALL, pid, 0, SIGUSR1));
    await(pid, "its end, where a signal is");
    info(pid, 0);
    SHOW(trace(PTRACE_SYSCALL, pid, 0, 0));
    await(pid, "the signal");
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    await(pid, "end");
}

static void nothing(int signo) {}

/* What an interrupted call shows, and that it is made again or not. */
static void restarts(const char *name, int which, int handled)
{
    int ends[2];
    pipe(ends);
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        struct sigaction action = {.sa_handler = nothing, .sa_flags = handled == 2 ? SA_RESTART : 0};
        sigaction(SIGUSR1, &action, NULL);
        char byte = 0;
        struct pollfd poller = {ends[0], POLLIN, 0};
        long got = which == 0 ? syscall(SYS_read, ends[0], &byte, 1)
            : which == 1 ? syscall(SYS_poll, &poller, 1, 60000) : syscall(SYS_rt_sigsuspend, &(sigset_t){0}, 8);
        _exit(got == 1 ? 1 : got < 0 && errno == EINTR ? 2 : 3);
    }
    printf("%s, %s\n", name, handled == 0 ? "no signal is delivered" : handled == 1 ? "handled" : "SA_RESTART");
    await(pid, "start");
    trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
    for (;;) {
        trace(PTRACE_SYSCALL, pid, 0, 0);
        int status;
        waitpid(pid, &status, __WALL);
        long number = registers(pid).orig_rax;
        if (number == SYS_read || number == SYS_poll || number == SYS_rt_sigsuspend)
            break;
    }
    info(pid, which < 2 ? 0 : 0);
    trace(PTRACE_SYSCALL, pid, 0, 0);
    kill(pid, SIGUSR1);
    await(pid, "interrupted");
    info(pid, 0);
    go(pid, "the signal", 0);
    SHOW(trace(PTRACE_SYSCALL, pid, 0, handled ? SIGUSR1 : 0));
    await(pid, "then");
    info(pid, 0);
    write(ends[1], "x", 1);
    int status = 0x7F;
    if (which == 2 && !handled) /* it still waits */
        kill(pid, SIGKILL);
    while (WIFSTOPPED(status)) {
        trace(PTRACE_SYSCALL, pid, 0, 0);
        waitpid(pid, &status, __WALL);
        say_status(status);
        if (WIFSTOPPED(status))
            printf(" in %lld: %lld", (long long)registers(pid).orig_rax, (long long)registers(pid).rax);
        printf("\n");
    }
    close(ends[0]);
    close(ends[1]);
}

/* A tracer that calls a function in the middle of an interrupted call, as gdb does: all registers are put back. */
static volatile int called;
static void function(void)
{
    called++;
    __asm__ volatile("int3");
}

static void borrowed(void)
{
    int ends[2];
    pipe(ends);
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        char byte = 0;
        long got = syscall(SYS_read, ends[0], &byte, 1);
        _exit(got == 1 && called == 1 ? 11 : 12);
    }
    await(pid, "start");
    trace(PTRACE_CONT, pid, 0, 0);
    int line;
    char path[64], text[64] = "";
    do { /* until it sleeps in the call */
        snprintf(path, sizeof path, "/proc/%d/syscall", pid);
        FILE *file = fopen(path, "r");
        fgets(text, sizeof text, file);
        fclose(file);
        usleep(1000);
    } while (strncmp(text, "0 ", 2));
    kill(pid, SIGUSR1);
    await(pid, "the signal");
    struct user_regs_struct saved = registers(pid), regs = saved;
    printf("  orig %lld rax %lld\n", (long long)saved.orig_rax, (long long)saved.rax);
    regs.orig_rax = -1;
    regs.rip = (unsigned long)function;
    regs.rsp = (regs.rsp - 512) & ~15UL;
    SHOW(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    await(pid, "in the function");
    SHOW(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&saved));
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    write(ends[1], "x", 1);
    await(pid, "end");
}

/* A tracer that serves the calls itself: they are not made, and end without a stop. */
static void emulated(void)
{
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        long a = syscall(SYS_umask, 077), b = syscall(SYS_getuid), c = syscall(SYS_umask, 022);
        _exit((a == 1111) | (b == 2222) << 1 | (c != 077) << 2);
    }
    await(pid, "start");
    trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
    for (int i = 1; i < 3; i++) {
        trace(PTRACE_SYSEMU, pid, 0, 0);
        await(pid, "a call");
        info(pid, 0);
        trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), 1111 * i);
    }
    unsigned long pc = registers(pid).rip;
    trace(PTRACE_SYSEMU_SINGLESTEP, pid, 0, 0);
    await(pid, "a step");
    SHOW(registers(pid).rip > pc);
    trace(PTRACE_SYSCALL, pid, 0, 0);
    await(pid, "a call that is made");
    trace(PTRACE_SYSCALL, pid, 0, 0);
    await(pid, "its end");
    GO(PTRACE_CONT, 0);
    await(pid, "end");
}

int main(int argc, char **argv)
{
    setbuf(stdout, NULL);
    changes();
    plain();
    restarts("read", 0, 0);
    restarts("read", 0, 1);
    restarts("read", 0, 2);
    restarts("poll", 1, 0);
    restarts("poll", 1, 1);
    restarts("sigsuspend", 2, 0);
    restarts("sigsuspend", 2, 1);
    borrowed();
    emulated();
    return 0;
}

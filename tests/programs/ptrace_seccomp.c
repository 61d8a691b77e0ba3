/* ptrace(2) and seccomp(2): SECCOMP_RET_TRACE asks the tracer, before the call or instead of it. */
#include "trace.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/* Ask about umask and getpriority, refuse getsid, allow the rest. */
static void filter(void)
{
#define RULE(number, answer) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, answer)
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        RULE(SYS_umask, SECCOMP_RET_TRACE | 77),
        RULE(SYS_getpriority, SECCOMP_RET_TRACE | 78),
        RULE(SYS_getsid, SECCOMP_RET_ERRNO | EDOM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static pid_t pid;

static void stop(const char *what, int request)
{
    GO(request, 0);
    int status = await(pid, what);
    if (!WIFSTOPPED(status))
        return;
    struct user_regs_struct regs = registers(pid);
    struct __ptrace_syscall_info info = {0};
    unsigned long message = 0;
    long size = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info);
    trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message);
    printf("  orig %lld rax %lld rcx %d; message %lu; info %ld op %d", (long long)regs.orig_rax, (long long)regs.rax,
           regs.rcx == regs.rip, message, size, info.op);
    if (info.op == 3)
        printf(" number %lld %lld data %u", (long long)info.seccomp.nr, (long long)info.seccomp.args[0],
               info.seccomp.ret_data);
    printf("\n");
}

static void change(int number, long first, long result)
{
    struct user_regs_struct regs = registers(pid);
    regs.orig_rax = number;
    regs.rdi = first;
    regs.rax = result;
    SHOW(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
}

int main(void)
{
    setbuf(stdout, NULL);
    if (!(pid = fork())) { /* nobody traces it */
        filter();
        long result = syscall(SYS_umask, 022);
        _exit(result < 0 ? errno : 0);
    }
    await(pid, "untraced");

    TRACED(pid);
    if (!pid) {
        filter();
        long a = syscall(SYS_umask, 022);
        long b = syscall(SYS_umask, 033);
        long c = syscall(SYS_umask, 044);
        long d = syscall(SYS_umask, 055);
        int refused = errno;
        long e = syscall(SYS_getpriority, 0, 0);
        long f = syscall(SYS_umask, 066);
        _exit((b == 022) | (c == 1234) << 1 | (d == -1 && refused == EDOM) << 2 | (e == 20) << 3 | (f == 033) << 4);
    }
    await(pid, "start");
    SHOW(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD));
    stop("umask", PTRACE_CONT);
    stop("umask again", PTRACE_CONT);
    stop("none", PTRACE_CONT);
    change(-1, 0, 1234);
    stop("refused", PTRACE_CONT);
    change(SYS_getsid, 0, -ENOSYS);
    stop("getpriority", PTRACE_CONT);
    stop("its end", PTRACE_SYSCALL);
    stop("the next begins", PTRACE_SYSCALL);
    stop("and asks", PTRACE_SYSCALL);
    stop("and ends", PTRACE_SYSCALL);
    stop("exit", PTRACE_SYSCALL);
    stop("end", PTRACE_CONT);
    return 0;
}

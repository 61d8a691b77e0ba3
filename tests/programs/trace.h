/* What the programs about ptrace(2) share: requests that print their result, and stops in words. */
#include "show.h"
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

UNUSED static const char *who(pid_t pid, pid_t a, pid_t b)
{
    return pid == a ? "child" : pid == b ? "other" : pid == getpid() ? "me" : pid == 0 ? "0" : pid < 0 ? "-1" : "new";
}

/* The bare call: the library's wrapper returns what PEEK reads. */
UNUSED static long trace(long request, pid_t pid, unsigned long addr, unsigned long data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}

UNUSED static const char *sig_name(int signo)
{
    static char other[16];
#define NAME(n) case n: return #n;
    switch (signo) {
        NAME(SIGTRAP) NAME(SIGSTOP) NAME(SIGCONT) NAME(SIGTSTP) NAME(SIGUSR1) NAME(SIGUSR2) NAME(SIGCHLD) NAME(SIGKILL)
        NAME(SIGSEGV) NAME(SIGILL) NAME(SIGALRM) NAME(SIGTERM) NAME(SIGFPE) NAME(SIGTTIN) NAME(SIGTTOU) NAME(SIGHUP)
        NAME(SIGWINCH)
    }
#undef NAME
    snprintf(other, sizeof other, "signal %d", signo);
    return other;
}

UNUSED static void say_status(int status)
{
    static const char *events[] = {"", "fork", "vfork", "clone", "exec", "vfork done", "exit", "seccomp"};
    if (WIFEXITED(status))
        printf("exited %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("killed by %s", sig_name(WTERMSIG(status)));
    else if (WIFCONTINUED(status))
        printf("continued");
    else {
        int event = status >> 16;
        printf("stopped %s%s", sig_name(WSTOPSIG(status) & 0x7F), WSTOPSIG(status) & 0x80 ? "|80" : "");
        if (event)
            printf(", event %s", event == PTRACE_EVENT_STOP ? "stop" : event < 8 ? events[event] : "?");
    }
}

/* Wait for `pid`, print what it is, and what its siginfo says. */
UNUSED static int await(pid_t pid, const char *what)
{
    int status = 0;
    pid_t got = waitpid(pid, &status, __WALL);
    printf("%s: ", what);
    if (got < 0) {
        printf("no child: %s\n", errno_name(errno));
        return -1;
    }
    say_status(status);
    if (WIFSTOPPED(status)) {
        siginfo_t info;
        if (trace(PTRACE_GETSIGINFO, got, 0, (unsigned long)&info) < 0)
            printf("; siginfo %s", errno_name(errno));
        else
            printf("; siginfo %s code %#x", sig_name(info.si_signo), info.si_code);
    }
    printf("\n");
    return status;
}

UNUSED static struct user_regs_struct registers(pid_t pid)
{
    struct user_regs_struct regs = {0};
    if (trace(PTRACE_GETREGS, pid, 0, (unsigned long)&regs) < 0)
        printf("GETREGS %s\n", errno_name(errno));
    return regs;
}

UNUSED static long peek(pid_t pid, void *addr)
{
    long word = 0;
    if (trace(PTRACE_PEEKDATA, pid, (unsigned long)addr, (unsigned long)&word) < 0)
        printf("PEEKDATA %s\n", errno_name(errno));
    return word;
}

/* Let it go on: quietly, for it may print at once. */
#define GO(request, signo) \
    do { \
        if (trace(request, pid, 0, signo) < 0) \
            printf(#request " %s\n", errno_name(errno)); \
    } while (0)

/* A child that has asked to be traced and stopped itself. */
#define TRACED(pid) \
    do { \
        fflush(stdout); \
        pid = fork(); \
        if (!pid) { \
            trace(PTRACE_TRACEME, 0, 0, 0); \
            raise(SIGSTOP); \
        } \
    } while (0)

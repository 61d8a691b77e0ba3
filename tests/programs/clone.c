/* clone and clone3: the signal a child ends with, and which arguments contradict each other. */
#include "show.h"
#include <linux/sched.h>
#include <sys/wait.h>

#define NEWNS 0x20000
#define NEWUSER 0x10000000
#define NEWPID 0x20000000

static volatile int signo, info_signo, code, child_status;

static void on_end(int number, siginfo_t *info, void *context)
{
    (void)context;
    signo = number;
    info_signo = info->si_signo;
    code = info->si_code;
    child_status = info->si_status;
}

/* A child that ends, or is killed, with `number` as its signal. */
static void ends_with(int number, int how)
{
    int options[] = {0, __WCLONE, __WALL}, status = 0;
    struct clone_args args = {.exit_signal = number};
    signo = info_signo = code = child_status = 0;
    pid_t pid = syscall(SYS_clone3, &args, sizeof args);
    if (!pid) {
        how ? raise(how) : 0;
        _exit(7);
    }
    siginfo_t info = {0};
    waitid(P_PID, pid, &info, WEXITED | WNOWAIT | __WALL);
    NOTE("ends with %d: waitid %d %d %d", number, info.si_signo, info.si_code, info.si_status);
    for (int i = 0; i < 3; i++) {
        pid_t found = waitpid(pid, &status, options[i] | WNOHANG);
        NOTE("  options %d: %s %x", i, found == pid ? "found" : errno_name(errno), status);
    }
    NOTE("  handler %d %d %d %d", signo, info_signo, code, child_status);
}

static void refused(const char *what, struct clone_args args)
{
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (!pid)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, __WALL);
    NOTE("%s: %s", what, pid > 0 ? "made" : errno_name(errno));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    struct sigaction action = {.sa_sigaction = on_end, .sa_flags = SA_SIGINFO | SA_RESTART};
    int signals[] = {SIGCHLD, SIGUSR2, SIGRTMIN + 1, SIGALRM, 0};
    for (int i = 0; i < 5; i++) {
        sigaction(signals[i], &action, NULL);
        ends_with(signals[i], 0);
        ends_with(signals[i], SIGTERM);
    }
    action.sa_flags |= SA_NOCLDWAIT; /* is about SIGCHLD only */
    sigaction(SIGUSR2, &action, NULL);
    ends_with(SIGUSR2, 0);

    char stack[64];
    refused("nothing", (struct clone_args){.exit_signal = SIGCHLD});
    refused("signal 65", (struct clone_args){.exit_signal = 65});
    refused("signal 256", (struct clone_args){.exit_signal = 256});
    refused("signal in the flags", (struct clone_args){.flags = SIGCHLD});
    refused("stack without size", (struct clone_args){.stack = (uintptr_t)stack});
    refused("size without stack", (struct clone_args){.stack_size = 64});
    refused("handlers without memory", (struct clone_args){.flags = CLONE_SIGHAND});
    refused("thread without handlers", (struct clone_args){.flags = CLONE_THREAD | CLONE_VM});
    refused("thread with signal",
            (struct clone_args){.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD});
    refused("sibling with signal", (struct clone_args){.flags = CLONE_PARENT, .exit_signal = SIGCHLD});
    refused("both about handlers", (struct clone_args){.flags = CLONE_VM | CLONE_SIGHAND | CLONE_CLEAR_SIGHAND});
    refused("mounts of its own, directory shared", (struct clone_args){.flags = CLONE_FS | NEWNS});
    refused("users of its own, directory shared", (struct clone_args){.flags = CLONE_FS | NEWUSER});
    refused("thread with users of its own",
            (struct clone_args){.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | NEWUSER});
    refused("thread with numbers of its own",
            (struct clone_args){.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | NEWPID});
    refused("unknown flag", (struct clone_args){.flags = 1ull << 40});
    refused("detached", (struct clone_args){.flags = CLONE_DETACHED});
    refused("cgroup not asked for", (struct clone_args){.exit_signal = SIGCHLD, .cgroup = 5});
    refused("numbers without count", (struct clone_args){.set_tid = (uintptr_t)stack});
    refused("count without numbers", (struct clone_args){.set_tid_size = 1});
    refused("too many numbers", (struct clone_args){.set_tid = (uintptr_t)stack, .set_tid_size = 33});
    struct clone_args args = {.exit_signal = SIGCHLD};
    SHOW(syscall(SYS_clone3, &args, 63));
    SHOW(syscall(SYS_clone3, &args, 0));
    SHOW(syscall(SYS_clone3, NULL, sizeof args));
    SHOW(syscall(SYS_clone3, &args, PAGE + 1));
    return 0;
}

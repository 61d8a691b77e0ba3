/* ptrace(2): SEIZE, INTERRUPT, LISTEN, group stops; and the same for a tracer that attached. */
#include "trace.h"

static pid_t pid;

static void until_asleep(pid_t task)
{
    char path[64], text[64] = "";
    for (;;) {
        snprintf(path, sizeof path, "/proc/%d/syscall", task);
        FILE *file = fopen(path, "r");
        if (file && fgets(text, sizeof text, file) && strncmp(text, "running", 7)) {
            fclose(file);
            return;
        }
        fclose(file);
        usleep(1000);
    }
}

static void state(const char *what)
{
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        int tracer;
        if (sscanf(line, "TracerPid: %d", &tracer) == 1)
            printf("  %s: tracer %s\n", what, who(tracer, pid, 0));
        if (!strncmp(line, "State:", 6))
            printf("  %s: %s", what, line);
    }
    fclose(file);
}

/* What waitid(2) says, without taking it. */
static void look(int options)
{
    siginfo_t info = {0};
    if (waitid(P_PID, pid, &info, options | WNOWAIT | WNOHANG | __WALL) < 0)
        printf("  waitid %s\n", errno_name(errno));
    else
        printf("  waitid: %d code %d status %#x\n", info.si_pid == pid, info.si_code, info.si_status);
}

static void ready(int signo) {}

static void sleeper(void)
{
    if (!(pid = fork())) {
        setpgid(0, 0); /* so that it is no orphaned group, which SIGTSTP does not stop */
        signal(SIGUSR1, ready);
        for (;;)
            pause();
    }
    until_asleep(pid);
}

static void seize(void)
{
    printf("--- seize\n");
    sleeper();
    SHOW(trace(PTRACE_SEIZE, pid, 1, 0));
    SHOW(trace(PTRACE_SEIZE, pid, 0, 1 << 30));
    SHOW(trace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    SHOW(trace(PTRACE_SEIZE, pid, 0, 0));
    SHOW(trace(PTRACE_ATTACH, pid, 0, 0));
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    SHOW(waitpid(pid, NULL, WNOHANG));
    SHOW(trace(PTRACE_INTERRUPT, pid, 0, 0));
    siginfo_t info;
    waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT | __WALL);
    state("interrupted");
    look(WSTOPPED);
    look(WEXITED);
    await(pid, "interrupted");
    look(WSTOPPED);
    struct user_regs_struct regs = registers(pid);
    printf("  orig %lld rax %lld\n", (long long)regs.orig_rax, (long long)regs.rax);
    SHOW(trace(PTRACE_LISTEN, pid, 0, 0));
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    SHOW(trace(PTRACE_INTERRUPT, pid, 0, 0));
    await(pid, "interrupted while it listens");
    GO(PTRACE_CONT, 0);
    until_asleep(pid);
    SHOW(kill(pid, SIGSTOP));
    await(pid, "the signal");
    SHOW(trace(PTRACE_LISTEN, pid, 0, 0));
    GO(PTRACE_CONT, SIGSTOP);
    await(pid, "the group stop");
    state("stopped");
    SHOW(trace(PTRACE_LISTEN, pid, 0, 0));
    SHOW(waitpid(pid, NULL, WNOHANG));
    SHOW(kill(pid, SIGUSR1)); /* seen when it goes on */
    SHOW(waitpid(pid, NULL, WNOHANG));
    SHOW(kill(pid, SIGCONT));
    await(pid, "it is continued");
    GO(PTRACE_CONT, 0);
    int status = await(pid, "a signal");
    GO(PTRACE_CONT, WSTOPSIG(status));
    status = await(pid, "another");
    GO(PTRACE_CONT, WSTOPSIG(status));
    until_asleep(pid);
    SHOW(trace(PTRACE_INTERRUPT, pid, 0, 0));
    await(pid, "interrupted");
    SHOW(trace(PTRACE_SYSCALL, pid, 0, 0));
    await(pid, "the call again");
    printf("  orig %lld\n", (long long)registers(pid).orig_rax);
    SHOW(trace(PTRACE_DETACH, pid, 0, 0));
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    kill(pid, SIGKILL);
    await(pid, "end");
}

/* A tracer that attached sees the SIGSTOP, then the group stop, and nothing of SIGCONT. */
static void attach(void)
{
    printf("--- attach\n");
    sleeper();
    SHOW(trace(PTRACE_ATTACH, pid, 0, 0));
    await(pid, "attached");
    SHOW(trace(PTRACE_INTERRUPT, pid, 0, 0));
    SHOW(trace(PTRACE_LISTEN, pid, 0, 0));
    GO(PTRACE_CONT, SIGSTOP);
    await(pid, "the group stop");
    look(WSTOPPED);
    state("stopped");
    SHOW(kill(pid, SIGCONT));
    SHOW(waitpid(pid, NULL, WNOHANG));
    GO(PTRACE_CONT, 0);
    int status = await(pid, "SIGCONT");
    GO(PTRACE_CONT, SIGCONT);
    until_asleep(pid);
    SHOW(kill(pid, SIGTSTP));
    await(pid, "SIGTSTP");
    GO(PTRACE_CONT, SIGTSTP);
    await(pid, "the group stop");
    SHOW(trace(PTRACE_DETACH, pid, 0, 0));
    siginfo_t info;
    usleep(20000);
    state("detached");
    kill(pid, SIGCONT);
    kill(pid, SIGTERM);
    await(pid, "end");
}

/* Attached while it is stopped already. */
static void stopped(int seized)
{
    printf("--- stopped, then %s\n", seized ? "seized" : "attached");
    sleeper();
    int status;
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    say_status(status);
    printf("\n");
    SHOW(trace(seized ? PTRACE_SEIZE : PTRACE_ATTACH, pid, 0, 0));
    await(pid, "at once");
    if (seized) {
        SHOW(trace(PTRACE_LISTEN, pid, 0, 0));
        kill(pid, SIGCONT);
        await(pid, "continued");
        GO(PTRACE_CONT, 0);
        await(pid, "SIGCONT");
        GO(PTRACE_CONT, SIGCONT);
    } else {
        GO(PTRACE_CONT, 0);
        await(pid, "the SIGSTOP of it");
        GO(PTRACE_CONT, 0);
    }
    until_asleep(pid);
    kill(pid, SIGTERM);
    await(pid, "SIGTERM");
    SHOW(trace(PTRACE_DETACH, pid, 0, SIGTERM));
    await(pid, "end");
}

/* Children of a task that is seized begin with an event, not with a SIGSTOP. */
static void children(void)
{
    printf("--- children\n");
    int ends[2];
    pipe(ends);
    fflush(stdout);
    if (!(pid = fork())) {
        char byte;
        read(ends[0], &byte, 1);
        if (!fork())
            _exit(3);
        int status;
        wait(&status);
        _exit(WEXITSTATUS(status));
    }
    SHOW(trace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEFORK));
    write(ends[1], "x", 1);
    await(pid, "fork");
    unsigned long other = 0;
    trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&other);
    await(other, "the child");
    trace(PTRACE_CONT, other, 0, 0);
    await(other, "its end");
    GO(PTRACE_CONT, 0);
    int status = await(pid, "SIGCHLD");
    GO(PTRACE_CONT, SIGCHLD);
    await(pid, "end");
}


int main(void)
{
    setbuf(stdout, NULL);
    seize();
    attach();
    stopped(0);
    stopped(1);
    children();
    return 0;
}

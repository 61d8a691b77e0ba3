/* ptrace(2): the events of fork, vfork, clone, exec and exit, of threads too; with and without options. */
#include "trace.h"
#include <pthread.h>
#include <sched.h>

#define ALL (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC \
             | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT)

static pid_t child, second;

static void message(pid_t pid, const char *what)
{
    unsigned long value = 0;
    trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&value);
    printf("  message: %s\n", value == child ? "child" : value == second ? "second" : value ? "number" : "none");
}

static unsigned long exit_message(pid_t pid)
{
    unsigned long value = 0;
    trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&value);
    return value;
}

/* The new task of an event: its number, from the event, is the next to be waited for. */
static void newcomer(void)
{
    unsigned long value = 0;
    trace(PTRACE_GETEVENTMSG, child, 0, (unsigned long)&value);
    second = value;
    await(second, "the new one");
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%d/status", second);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        int tracer;
        if (sscanf(line, "TracerPid: %d", &tracer) == 1)
            printf("  tracer: %s\n", who(tracer, child, second));
        if (!strncmp(line, "State:", 6))
            printf("  %s", line);
    }
    fclose(file);
}

static void begin(const char *what, unsigned long options)
{
    printf("--- %s\n", what);
    int status;
    waitpid(child, &status, 0);
    if (trace(PTRACE_SETOPTIONS, child, 0, options))
        printf("SETOPTIONS %s\n", errno_name(errno));
}

static int nothing(void *unused) { _exit(5); }

static void *thread(void *unused)
{
    syscall(SYS_getppid);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            write(1, argv[i], strlen(argv[i]));
        write(1, "\n", 1);
        return 6;
    }
    setbuf(stdout, NULL);
    pid_t pid;

    TRACED(child);
    if (!child) {
        pid_t pid = fork();
        if (!pid)
            _exit(4);
        int status;
        waitpid(pid, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    begin("fork", ALL);
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "the parent");
    message(child, "fork");
    newcomer();
    pid = second;
    GO(PTRACE_CONT, 0);
    await(second, "leaving");
    printf("  status %#lx\n", exit_message(second));
    GO(PTRACE_CONT, 0);
    await(second, "gone");
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "SIGCHLD");
    GO(PTRACE_CONT, SIGCHLD);
    await(child, "leaving");
    printf("  status %#lx\n", exit_message(child));
    GO(PTRACE_CONT, 0);
    await(child, "gone");

    TRACED(child);
    if (!child) {
        pid_t pid = vfork();
        if (!pid)
            _exit(4);
        _exit(3);
    }
    begin("vfork", ALL);
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "the parent");
    newcomer();
    GO(PTRACE_CONT, 0); /* it waits for its child */
    pid = second;
    GO(PTRACE_CONT, 0);
    await(second, "leaving");
    GO(PTRACE_CONT, 0);
    await(second, "gone");
    await(child, "vfork or signal");
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "the other");
    GO(PTRACE_CONT, 0);
    await(child, "leaving");
    GO(PTRACE_CONT, 0);
    await(child, "gone");

    TRACED(child);
    if (!child) {
        static char stack[65536];
        int pid = clone(nothing, stack + sizeof stack, CLONE_VM | SIGUSR1, NULL);
        int status;
        waitpid(pid, &status, __WALL);
        _exit(WEXITSTATUS(status));
    }
    begin("clone", PTRACE_O_TRACECLONE);
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "the parent");
    newcomer();
    pid = second;
    GO(PTRACE_DETACH, 0);
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "SIGUSR1");
    GO(PTRACE_CONT, 0);
    await(child, "gone");

    TRACED(child);
    if (!child) {
        pid_t pid = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);
        if (!pid)
            _exit(4);
        int status;
        waitpid(pid, &status, 0);
        pid = fork();
        if (!pid)
            _exit(4);
        waitpid(pid, &status, 0);
        _exit(1);
    }
    begin("fork, untraced or not asked for", PTRACE_O_TRACECLONE);
    pid = child;
    GO(PTRACE_CONT, 0);
    int status;
    waitpid(child, &status, 0);
    while (WIFSTOPPED(status)) {
        GO(PTRACE_CONT, 0);
        waitpid(child, &status, 0);
    }
    say_status(status);
    printf("\n");

    for (int option = 0; option < 2; option++) {
        TRACED(child);
        if (!child) {
            syscall(SYS_getuid);
            execl(argv[0], argv[0], "new", "program", NULL);
            _exit(1);
        }
        begin(option ? "exec with the option" : "exec without", option ? PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD : 0);
        pid = child;
        GO(PTRACE_CONT, 0);
        await(child, "exec");
        if (option)
            message(child, "exec");
        struct user_regs_struct regs = registers(child);
        printf("  orig %lld rax %lld rbx %lld cs %#llx flags %#llx\n", (long long)regs.orig_rax, (long long)regs.rax,
               (long long)regs.rbx, regs.cs, regs.eflags);
        GO(PTRACE_SYSCALL, 0);
        await(child, "next");
        regs = registers(child);
        printf("  orig %d rax %lld\n", regs.orig_rax == SYS_execve, (long long)regs.rax);
        GO(PTRACE_CONT, 0);
        await(child, "gone");
    }

    TRACED(child);
    if (!child) {
        pthread_t t;
        pthread_create(&t, NULL, thread, NULL);
        pthread_join(t, NULL);
        raise(SIGUSR1);
        _exit(2);
    }
    begin("threads", ALL);
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "the first");
    message(child, "clone");
    newcomer();
    GO(PTRACE_CONT, 0); /* waits for the other */
    pid = second;
    GO(PTRACE_SYSCALL, 0);
    int stops = 0;
    for (;;) {
        waitpid(second, &status, __WALL);
        struct user_regs_struct regs = registers(second);
        if (status >> 16 || !WIFSTOPPED(status))
            break;
        if (regs.orig_rax == SYS_getppid)
            stops++;
        GO(PTRACE_SYSCALL, 0);
    }
    printf("getppid: %d stops\n", stops);
    say_status(status);
    printf("; status %#lx\n", exit_message(second));
    GO(PTRACE_CONT, 0);
    await(second, "the thread");
    SHOW(trace(PTRACE_CONT, second, 0, 0));
    await(child, "the process");
    pid = child;
    GO(PTRACE_CONT, 0);
    await(child, "leaving");
    GO(PTRACE_CONT, 0);
    await(child, "gone");

    TRACED(child);
    if (!child)
        _exit(0);
    begin("killed", ALL);
    SHOW(trace(PTRACE_SETOPTIONS, child, 0, 1 << 12));
    SHOW(trace(PTRACE_KILL, child, 0, 0));
    await(child, "leaving, or gone");
    return 0;
}

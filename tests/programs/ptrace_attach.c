/* ptrace(2): tracers that are not the parent, that end, that have threads; who may trace whom; exec and exit under it. */
// cc: -static -pthread
#include "trace.h"
#include <pthread.h>
#include <sys/prctl.h>

static pid_t pid;

static void asleep(pid_t task)
{
    char path[64], text[64] = "";
    do {
        usleep(1000);
        snprintf(path, sizeof path, "/proc/%d/syscall", task);
        FILE *file = fopen(path, "r");
        if (!file)
            return;
        fgets(text, sizeof text, file);
        fclose(file);
    } while (!strncmp(text, "running", 7));
}

static int status_line(pid_t task, const char *key, char *value)
{
    char path[64], line[128];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/status", task);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key))) {
            strcpy(value, line + strlen(key) + 2);
            value[strcspn(value, "\n")] = 0;
            found = 1;
        }
    if (file)
        fclose(file);
    return found;
}

static void until_state(pid_t task, const char *state)
{
    char value[128] = "";
    do {
        usleep(1000);
        if (!status_line(task, "State", value))
            break;
    } while (strncmp(value, state, strlen(state)));
    printf("  state %s\n", value);
}

static void until_tracer(pid_t task, int there)
{
    char value[128] = "";
    do {
        usleep(1000);
        if (!status_line(task, "TracerPid", value))
            break;
    } while (!!atoi(value) != there);
    printf("  %s\n", atoi(value) ? "traced" : "not traced");
}

static void sleeper(void)
{
    fflush(stdout);
    if (!(pid = fork()))
        for (;;)
            pause();
    asleep(pid);
}

/* A tracer beside the parent: the parent hears of the end when the tracer has. */
static void beside(void)
{
    printf("--- beside\n");
    sleeper();
    int ends[2], back[2];
    char byte;
    pipe(ends);
    pipe(back);
    pid_t tracer = fork();
    if (!tracer) {
        SHOW(trace(PTRACE_ATTACH, pid, 0, 0));
        await(pid, "attached");
        SHOW(trace(PTRACE_ATTACH, pid, 0, 0));
        GO(PTRACE_CONT, 0);
        write(back[1], "x", 1);
        read(ends[0], &byte, 1);
        await(pid, "a signal");
        GO(PTRACE_CONT, SIGTERM);
        siginfo_t info;
        waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
        read(ends[0], &byte, 1);
        await(pid, "its end");
        SHOW(waitpid(pid, NULL, __WALL));
        _exit(0);
    }
    read(back[0], &byte, 1);
    until_tracer(pid, 1);
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    SHOW(trace(PTRACE_SEIZE, pid, 0, 0));
    kill(pid, SIGTERM);
    write(ends[1], "x", 1);
    until_state(pid, "Z");
    SHOW(waitpid(pid, NULL, WNOHANG));
    write(ends[1], "x", 1);
    int status;
    waitpid(tracer, &status, 0);
    await(pid, "the parent");
}

/* Tracers that end: their tracees go on, stay stopped with their group, or end too. */
static void orphaned(unsigned long options, const char *what)
{
    printf("--- %s\n", what);
    sleeper();
    pid_t tracer = fork();
    if (!tracer) {
        trace(PTRACE_SEIZE, pid, 0, options);
        trace(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid(pid, NULL, __WALL);
        _exit(0);
    }
    waitpid(tracer, NULL, 0);
    if (options) {
        await(pid, "with it");
        return;
    }
    until_tracer(pid, 0);
    until_state(pid, "S");
    kill(pid, SIGTERM);
    await(pid, "end");
}

/* Requests are for the thread that traces, waiting for any of its process unless __WNOTHREAD says otherwise. */
static void *other_thread(void *unused)
{
    SHOW(trace(PTRACE_CONT, pid, 0, 0));
    SHOW(waitpid(pid, NULL, __WALL | __WNOTHREAD | WNOHANG));
    int status = 0;
    SHOW(waitpid(pid, &status, __WALL) == pid);
    say_status(status);
    printf("\n");
    return NULL;
}

static void threads(void)
{
    printf("--- threads\n");
    fflush(stdout);
    pid_t parent = fork();
    if (!parent) {
        sleeper();
        trace(PTRACE_SEIZE, pid, 0, 0);
        trace(PTRACE_INTERRUPT, pid, 0, 0);
        siginfo_t info;
        waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT | __WALL);
        pthread_t thread;
        pthread_create(&thread, NULL, other_thread, NULL);
        pthread_join(thread, NULL);
        SHOW(trace(PTRACE_DETACH, pid, 0, SIGTERM)); /* which is for stops before a signal only */
        asleep(pid);
        kill(pid, SIGKILL);
        await(pid, "end");
        _exit(0);
    }
    waitpid(parent, NULL, 0);
}

/* All threads of a process, and one of them runs another program. */
static void *execs(void *path)
{
    execl(path, path, "again", NULL);
    return NULL;
}

static void exec_by_thread(const char *self)
{
    printf("--- exec by a thread\n");
    TRACED(pid);
    if (!pid) {
        pthread_t thread;
        pthread_create(&thread, NULL, execs, (void *)self);
        for (;;)
            pause();
    }
    int status;
    waitpid(pid, &status, 0);
    trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
    GO(PTRACE_CONT, 0);
    await(pid, "clone");
    unsigned long thread = 0, former = 0;
    trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&thread);
    await(thread, "the thread");
    GO(PTRACE_CONT, 0);
    asleep(pid);
    trace(PTRACE_CONT, thread, 0, 0);
    await(pid, "exec");
    trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&former);
    SHOW(former == thread);
    SHOW(waitpid(thread, NULL, __WALL));
    GO(PTRACE_CONT, 0);
    await(pid, "end");
}

/* Who may. */
static void permissions(void)
{
    printf("--- permissions\n");
    SHOW(trace(PTRACE_ATTACH, getpid(), 0, 0));
    SHOW(trace(PTRACE_ATTACH, 999999, 0, 0));
    SHOW(trace(PTRACE_CONT, 999999, 0, 0));
    SHOW(trace(PTRACE_CONT, getppid(), 0, 0));
    SHOW(trace(12345, getppid(), 0, 0));
    sleeper();
    SHOW(trace(PTRACE_SEIZE, pid, 0, 0));
    SHOW(trace(12345, pid, 0, 0));
    SHOW(trace(PTRACE_INTERRUPT, pid, 0, 0));
    await(pid, "stopped");
    SHOW(trace(12345, pid, 0, 0));
    SHOW(trace(PTRACE_CONT, pid, 0, 65));
    SHOW(trace(PTRACE_KILL, pid, 0, 0));
    await(pid, "end");
    if (!(pid = fork())) {
        prctl(PR_SET_DUMPABLE, 0);
        for (;;)
            pause();
    }
    asleep(pid);
    if (getuid() == 0) {
        pid_t user = fork();
        if (!user) {
            setresuid(1000, 1000, 1000);
            SHOW(trace(PTRACE_ATTACH, pid, 0, 0));
            SHOW(trace(PTRACE_SEIZE, pid, 0, 0));
            _exit(0);
        }
        waitpid(user, NULL, 0);
    }
    kill(pid, SIGKILL);
    await(pid, "end");
    TRACED(pid);
    if (!pid) {
        SHOW(trace(PTRACE_TRACEME, 0, 0, 0));
        _exit(0);
    }
    await(pid, "start");
    GO(PTRACE_CONT, 0);
    await(pid, "end");
}

/* SIGKILL, which no tracer is asked about, in every kind of stop. */
static void killed(void)
{
    printf("--- killed\n");
    for (int kind = 0; kind < 3; kind++) {
        TRACED(pid);
        if (!pid) {
            syscall(SYS_getuid);
            _exit(0);
        }
        await(pid, "start");
        trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
        for (int i = 0; i < kind; i++) {
            GO(PTRACE_SYSCALL, 0);
            await(pid, "a call");
        }
        kill(pid, SIGKILL);
        await(pid, "end");
        SHOW(trace(PTRACE_CONT, pid, 0, 0));
    }
}

static int children_signals;
static siginfo_t last;
static void child_signal(int signo, siginfo_t *info, void *context)
{
    children_signals++;
    last = *info;
}

/* The tracer's SIGCHLD. */
static void sigchld(int flags)
{
    printf("--- SIGCHLD%s\n", flags & SA_NOCLDSTOP ? ", not of stops" : "");
    struct sigaction action = {.sa_sigaction = child_signal, .sa_flags = SA_SIGINFO | SA_RESTART | flags};
    sigaction(SIGCHLD, &action, NULL);
    children_signals = 0;
    sleeper();
    trace(PTRACE_ATTACH, pid, 0, 0);
    int status;
    waitpid(pid, &status, 0);
    printf("  %d: code %d status %d from it %d\n", children_signals, children_signals ? last.si_code : 0,
           children_signals ? last.si_status : 0, children_signals && last.si_pid == pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    printf("  %d: code %d status %d\n", children_signals, last.si_code, last.si_status);
    signal(SIGCHLD, SIG_DFL);
}

/* What was stopped already can be asked at once, without a wait(2) in between. */
static void stopped_before(int request)
{
    int status;
    printf("stopped before %s\n", request == PTRACE_SEIZE ? "PTRACE_SEIZE" : "PTRACE_ATTACH");
    sleeper();
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    errno = 0;
    printf("  attached %ld\n", ptrace(request, pid, 0, 0));
    ptrace(PTRACE_PEEKUSER, pid, 0, 0);
    printf("  asked %s\n", errno ? errno_name(errno) : "0");
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

int main(int argc, char **argv)
{
    setbuf(stdout, NULL);
    if (argc > 1)
        return 7;
    stopped_before(PTRACE_ATTACH);
    stopped_before(PTRACE_SEIZE);
    beside();
    orphaned(0, "the tracer ends");
    orphaned(PTRACE_O_EXITKILL, "the tracer ends, and it too");
    threads();
    exec_by_thread(argv[0]);
    permissions();
    killed();
    sigchld(0);
    sigchld(SA_NOCLDSTOP);
    return 0;
}

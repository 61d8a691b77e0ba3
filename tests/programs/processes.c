/* fork, vfork, wait and what processes share: statuses, signals to the parent, orphans, stops, memory. */
#include "show.h"
#include <sys/prctl.h>
#include <sys/wait.h>

static volatile int chld, last_code, last_status, last_is_child;
static pid_t child;

static void on_chld(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    chld++;
    last_code = info->si_code;
    last_status = info->si_status;
    last_is_child = info->si_pid == child;
}

static void status_of(const char *what, int status)
{
    NOTE("%s: exited %d %d signaled %d %d stopped %d %d continued %d", what, WIFEXITED(status), WEXITSTATUS(status),
         WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : 0, WIFSTOPPED(status),
         WIFSTOPPED(status) ? WSTOPSIG(status) : 0, WIFCONTINUED(status));
}

static void statuses(void)
{
    int status;
    struct rusage usage;
    SHOW(wait(&status));
    SHOW(waitpid(1 << 22, &status, 0));
    SHOW(waitpid(-1, &status, 0x40));
    for (int code = 0; code < 3; code++) {
        if (!(child = fork()))
            _exit(code * 100);
        NOTE("%d", waitpid(child, &status, 0) == child);
        status_of("exit", status);
    }
    int signals[] = {SIGTERM, SIGKILL, SIGUSR1, SIGPIPE};
    for (int i = 0; i < 4; i++) {
        if (!(child = fork())) {
            raise(signals[i]);
            _exit(9);
        }
        NOTE("%d", wait4(-1, &status, 0, &usage) == child);
        status_of("killed", status);
    }
    if (!(child = fork())) {
        pause();
        _exit(9);
    }
    SHOW(waitpid(child, &status, WNOHANG));
    SHOW(kill(child, 0));
    SHOW(kill(child, SIGINT));
    NOTE("%d", waitpid(child, &status, 0) == child);
    status_of("interrupted", status);
    SHOW(kill(child, 0));
    SHOW(waitpid(child, &status, 0));
}

static void stops(void)
{
    int status;
    siginfo_t info;
    if (!(child = fork())) {
        for (;;)
            pause();
    }
    SHOW(kill(child, SIGSTOP));
    NOTE("%d", waitpid(child, &status, WUNTRACED) == child);
    status_of("stopped", status);
    SHOW(waitpid(child, &status, WUNTRACED | WNOHANG));
    SHOW(kill(child, SIGCONT));
    NOTE("%d", waitpid(child, &status, WCONTINUED) == child);
    status_of("continued", status);
    kill(child, SIGSTOP);
    memset(&info, 0, sizeof info);
    SHOW(waitid(P_PID, child, &info, WSTOPPED | WNOWAIT));
    NOTE("%d %d %d %d", info.si_signo, info.si_code, info.si_status, info.si_pid == child);
    SHOW(waitid(P_PID, child, &info, WSTOPPED));
    SHOW(waitid(P_PID, child, &info, WSTOPPED | WNOHANG));
    SHOW(info.si_pid);
    kill(child, SIGKILL);
    SHOW(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT));
    NOTE("%d %d %d", info.si_code, info.si_status, info.si_pid == child);
    SHOW(waitid(P_PGID, getpgrp(), &info, WEXITED));
    SHOW(waitid(P_PID, child, &info, WEXITED));
    SHOW(waitid(P_PID, child, &info, 0));
}

static void notices(void)
{
    struct sigaction action = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART};
    int status;
    sigaction(SIGCHLD, &action, NULL);
    sigset_t block, old;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    for (int code = 5; code < 7; code++) {
        sigprocmask(SIG_BLOCK, &block, &old);
        if (!(child = fork()))
            code == 5 ? _exit(code) : (void)raise(SIGKILL);
        while (!chld)
            sigsuspend(&old);
        sigprocmask(SIG_SETMASK, &old, NULL);
        NOTE("chld %d code %d status %d child %d", chld, last_code, last_status, last_is_child);
        chld = 0;
        waitpid(child, &status, 0);
    }
    signal(SIGCHLD, SIG_IGN);
    if (!fork())
        _exit(1);
    SHOW(wait(&status));
    action.sa_flags |= SA_NOCLDWAIT;
    sigaction(SIGCHLD, &action, NULL);
    if (!fork())
        _exit(1);
    SHOW(wait(&status));
    NOTE("chld %d", chld);
    signal(SIGCHLD, SIG_DFL);
}

static void memory(void)
{
    int status, *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *wiped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *gone = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shared[0] = private[0] = 1;
    wiped[0] = gone[0] = 'x';
    SHOW(madvise(wiped, PAGE, MADV_WIPEONFORK));
    SHOW(madvise(gone, PAGE, MADV_DONTFORK));
    if (!fork()) {
        private[0]++;
        shared[0] += private[0];
        shared[1] = wiped[0];
        shared[2] = msync(gone, PAGE, MS_ASYNC) == -1 ? errno : 0;
        _exit(0);
    }
    wait(&status);
    NOTE("shared %d private %d wiped %d gone %s", shared[0], private[0], shared[1], errno_name(shared[2]));
    private[0] = 10;
    if (!vfork()) {
        private[0]++;
        _exit(3);
    }
    wait(&status);
    status_of("vfork", status);
    NOTE("private %d wiped %c", private[0], wiped[0]);
    pid_t me = getpid();
    for (int i = 0; i < 3; i++)
        fork();
    __atomic_add_fetch(&shared[3], 1, __ATOMIC_SEQ_CST);
    while (wait(NULL) > 0)
        ;
    if (getpid() != me)
        _exit(0);
    NOTE("last of eight: %d", shared[3] == 8);
}

static void descriptors(void)
{
    int p[2], status;
    char buf[16];
    pipe(p);
    int fd = open("file", O_CREAT | O_RDWR | O_TRUNC, 0644);
    write(fd, "0123456789", 10);
    lseek(fd, 0, SEEK_SET);
    if (!fork()) {
        read(fd, buf, 4); /* the position is shared */
        close(p[0]);
        write(p[1], buf, 4);
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* this is not */
        _exit(0);
    }
    close(p[1]);
    SHOW(read(p[0], buf, sizeof buf));
    SHOW(read(p[0], buf, sizeof buf));
    wait(&status);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(fcntl(fd, F_GETFD));
    close(fd);
}

/* A child may be moved to another group until it has called exec. */
static void groups(void)
{
    int go[2], ready[2], status;
    char byte;
    pipe(go);
    pipe(ready);
    if (!(child = fork())) {
        close(go[1]);
        read(go[0], &byte, 1);
        dup2(ready[1], 1);
        dup2(go[0], 0);
        execl("/bin/sh", "sh", "-c", "echo; read line", NULL);
        _exit(1);
    }
    SHOW(setpgid(child, child));
    NOTE("%d", getpgid(child) == child);
    SHOW(setpgid(child, getpgrp()));
    write(go[1], "", 1);
    read(ready[0], &byte, 1);
    SHOW(setpgid(child, child));
    SHOW(setpgid(child, 1 << 22));
    SHOW(setpgid(0, child));
    close(go[1]);
    waitpid(child, &status, 0);
    if (!(child = fork())) {
        setsid();
        write(ready[1], "", 1);
        pause();
    }
    read(ready[0], &byte, 1);
    SHOW(setpgid(child, child));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

static void orphans(void)
{
    int p[2], status;
    char seen = 0;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pipe(p);
    if (!(child = fork())) {
        if (!fork()) {
            pid_t before = getppid();
            while (getppid() == before)
                usleep(1000);
            write(p[1], "o", 1);
            _exit(42);
        }
        usleep(20000);
        _exit(1);
    }
    SHOW(read(p[0], &seen, 1));
    NOTE("first %d", waitpid(child, &status, 0) == child);
    NOTE("second %d", wait(&status) > 0);
    status_of("orphan", status);
    if (!(child = fork())) {
        SHOW(setpgid(0, 0));
        NOTE("%d %d", getpgrp() == getpid(), (int)setsid());
        _exit(0);
    }
    wait(&status);
    if (!(child = fork())) {
        NOTE("%d", setsid() == getpid());
        NOTE("%d %d", getpgrp() == getpid(), getsid(0) == getpid());
        fflush(stdout);
        _exit(0);
    }
    wait(&status);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    statuses();
    stops();
    notices();
    memory();
    descriptors();
    groups();
    orphans();
    return 0;
}

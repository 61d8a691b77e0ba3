/* Resource limits at work: processor time, file size, data, stack, processes, pending signals; other processes' limits,
   and priorities of groups and users. */
#include "show.h"
#include <sys/wait.h>

#define SOME_UID 54321
#define IOPRIO(class, level) ((class) << 13 | (level))

static volatile int count, last;

static void handler(int signo)
{
    count++;
    last = signo;
}

static void limit(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit r = {soft, hard};
    if (setrlimit(resource, &r))
        printf("setrlimit: %s\n", errno_name(errno));
}

static long long used(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void result(const char *name, int status)
{
    if (WIFSIGNALED(status))
        printf("%s: signal %d\n", name, WTERMSIG(status));
    else
        printf("%s: exit %d\n", name, WEXITSTATUS(status));
}

/* Runs `body` in a child and says how that ended. */
#define CHILD(name, ...) do { \
        int status_; \
        fflush(stdout); \
        if (!fork()) { __VA_ARGS__; fflush(stdout); _exit(0); } \
        wait(&status_); \
        result(name, status_); \
    } while (0)

static void spin(void)
{
    for (;;)
        ;
}

static void cpu(void)
{
    struct rlimit r;
    puts("-- RLIMIT_CPU");
    CHILD("default action", { limit(RLIMIT_CPU, 1, 5); spin(); });
    CHILD("hard limit", { limit(RLIMIT_CPU, 1, 1); signal(SIGXCPU, SIG_IGN); spin(); });
    CHILD("zero", { limit(RLIMIT_CPU, 0, RLIM_INFINITY); spin(); });
    CHILD("handled", {
        limit(RLIMIT_CPU, 1, 3);
        signal(SIGXCPU, handler);
        while (!count)
            ;
        getrlimit(RLIMIT_CPU, &r);
        printf("first not at once: %d, soft limit now %ld\n", used() >= 200000000, (long)r.rlim_cur);
        while (count < 2)
            ;
        getrlimit(RLIMIT_CPU, &r);
        printf("second later: %d, soft limit now %ld\n", used() >= 400000000, (long)r.rlim_cur);
        limit(RLIMIT_CPU, RLIM_INFINITY, 3);
        fflush(stdout);
        spin();
    });
    CHILD("inherited", {
        limit(RLIMIT_CPU, 1, 5);
        if (!fork())
            spin();
        int status;
        wait(&status);
        result("by a child", status);
    });
}

static void file_size(void)
{
    struct rlimit old;
    puts("-- RLIMIT_FSIZE");
    CHILD("default action", {
        limit(RLIMIT_FSIZE, 100, 100);
        int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0600);
        printf("up to it: %ld\n", (long)write(fd, "0123456789", 10));
        SHOW(lseek(fd, 95, SEEK_SET));
        SHOW(write(fd, "0123456789", 10));
        fflush(stdout);
        SHOW(write(fd, "0123456789", 10));
    });
    CHILD("handled", {
        signal(SIGXFSZ, handler);
        limit(RLIMIT_FSIZE, 100, 100);
        int fd = open("big", O_RDWR);
        SHOW(pwrite(fd, "x", 1, 100));
        SHOW(pwrite(fd, "xy", 2, 99));
        SHOW(ftruncate(fd, 101));
        SHOW(ftruncate(fd, 100));
        SHOW(truncate("big", 1000));
        SHOW(fallocate(fd, 0, 0, 200));
        SHOW(lseek(fd, 0, SEEK_END));
        SHOW(write(fd, "x", 0));
        SHOW(write(fd, "x", 1));
        int all[2];
        pipe(all);
        printf("a pipe has no limit: %ld\n", (long)write(all[1], (char[200]){0}, 200));
        printf("signals: %d of %d\n", count, last);
        SHOW(copy_file_range(fd, &(loff_t){0}, fd, &(loff_t){100}, 50, 0));
        SHOW(sendfile(fd, fd, &(off_t){0}, 10));
        printf("signals: %d\n", count);
    });
}

static void core(void)
{
    puts("-- RLIMIT_CORE");
    struct rlimit r;
    limit(RLIMIT_CORE, 0, RLIM_INFINITY);
    SHOW(getrlimit(RLIMIT_CORE, &r));
    printf("%ld %d\n", (long)r.rlim_cur, r.rlim_max == RLIM_INFINITY);
    CHILD("no core", abort());
}

static int deep(int n)
{
    volatile char room[4096];
    room[0] = n;
    return n ? deep(n - 1) + room[0] : 0;
}

static void memory(void)
{
    puts("-- RLIMIT_STACK");
    CHILD("2 MiB deep in 8 MiB", { limit(RLIMIT_STACK, 8 << 20, RLIM_INFINITY); printf("%d\n", deep(512) != 1); });
    CHILD("2 MiB deep in 1 MiB", { limit(RLIMIT_STACK, 1 << 20, RLIM_INFINITY); printf("%d\n", deep(512) != 1); });
    puts("-- RLIMIT_DATA");
    CHILD("data", {
        limit(RLIMIT_DATA, 4 << 20, RLIM_INFINITY);
        TRY(mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        TRY(mmap(NULL, 8 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        TRY(mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        TRY(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        TRY((long)sbrk(8 << 20));
        TRY((long)sbrk(1 << 20));
    });
    puts("-- RLIMIT_AS");
    CHILD("as", {
        limit(RLIMIT_AS, 64 << 20, RLIM_INFINITY);
        TRY(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        TRY(mmap(NULL, 8 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    });
}

static void processes(void)
{
    puts("-- RLIMIT_NPROC");
    CHILD("root", { limit(RLIMIT_NPROC, 0, 0); pid_t p = fork(); if (!p) _exit(0); printf("fork %d\n", p > 0); wait(NULL); });
    CHILD("a user", {
        limit(RLIMIT_NPROC, 3, 3);
        setresuid(SOME_UID, SOME_UID, SOME_UID);
        pid_t pids[4];
        for (int i = 0; i < 4; i++) {
            pids[i] = fork();
            if (!pids[i]) {
                pause();
                _exit(0);
            }
            printf("fork %d: %s\n", i, pids[i] > 0 ? "ok" : errno_name(errno));
        }
        kill(pids[0], SIGKILL);
        siginfo_t info;
        waitid(P_PID, pids[0], &info, WEXITED | WNOWAIT);
        pid_t p = fork();
        if (!p)
            _exit(0);
        printf("beside a zombie: %s\n", p > 0 ? "ok" : errno_name(errno));
        waitpid(pids[0], NULL, 0);
        p = fork();
        if (!p)
            _exit(0);
        printf("afterwards: %s\n", p > 0 ? "ok" : errno_name(errno));
        kill(pids[1], SIGKILL);
        while (wait(NULL) > 0)
            ;
    });
}

static void queued(void)
{
    puts("-- RLIMIT_SIGPENDING");
    CHILD("signals", {
        setresuid(SOME_UID, SOME_UID, SOME_UID);
        limit(RLIMIT_SIGPENDING, 3, 3);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        for (int i = 0; i < 5; i++)
            SHOW(sigqueue(getpid(), SIGRTMIN, (union sigval){i}));
        SHOW(kill(getpid(), SIGRTMIN));
        SHOW(sigqueue(getpid(), SIGUSR1, (union sigval){9}));
        siginfo_t info;
        struct timespec none = {0, 0};
        while (sigtimedwait(&set, &info, &none) > 0)
            printf("signal %s code %d value %d\n", info.si_signo == SIGUSR1 ? "USR1" : "RT", info.si_code, info.si_code == SI_QUEUE ? info.si_value.sival_int : -1);
        SHOW(sigqueue(getpid(), SIGRTMIN, (union sigval){1}));
    });
}

static void others(void)
{
    struct rlimit r, old, new = {7, 9};
    puts("-- prlimit on others");
    int go[2], done[2];
    char c;
    pipe(go);
    pipe(done);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        read(go[0], &c, 1);
        getrlimit(RLIMIT_NOFILE, &r);
        printf("in it: %ld %ld, ", (long)r.rlim_cur, (long)r.rlim_max);
        for (int i = 3; i < 20; i++)
            if (dup(0) < 0) {
                printf("%s\n", errno_name(errno));
                break;
            }
        fflush(stdout);
        write(done[1], "x", 1);
        while (!count)
            ;
    }
    SHOW(prlimit(child, RLIMIT_NOFILE, &new, &old));
    SHOW(prlimit(child, RLIMIT_NOFILE, NULL, &r));
    printf("%ld %ld\n", (long)r.rlim_cur, (long)r.rlim_max);
    SHOW(prlimit(0x3fffff, RLIMIT_NOFILE, NULL, &r));
    SHOW(prlimit(-1, RLIMIT_NOFILE, NULL, &r));
    SHOW(prlimit(child, 99, NULL, &r));
    fflush(stdout);
    write(go[1], "x", 1);
    read(done[0], &c, 1);
    if (!fork()) {
        setresgid(SOME_UID, SOME_UID, SOME_UID);
        setresuid(SOME_UID, SOME_UID, SOME_UID);
        SHOW(prlimit(child, RLIMIT_NOFILE, NULL, &r));
        SHOW(prlimit(0, RLIMIT_NOFILE, NULL, &r));
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(-1, &status, 0);
    new = (struct rlimit){1, 2};
    SHOW(prlimit(child, RLIMIT_CPU, &new, NULL));
    waitpid(child, &status, 0);
    result("its processor time", status);
}

static void priorities(void)
{
    puts("-- groups and users");
    pid_t pids[3];
    for (int i = 0; i < 3; i++) {
        if (!(pids[i] = fork())) {
            pause();
            _exit(0);
        }
        setpgid(pids[i], pids[0]);
    }
    SHOW(setpriority(PRIO_PROCESS, pids[1], 5));
    SHOW(getpriority(PRIO_PGRP, pids[0]));
    SHOW(setpriority(PRIO_PGRP, pids[0], 9));
    for (int i = 0; i < 3; i++)
        printf("%d ", getpriority(PRIO_PROCESS, pids[i]));
    printf("own %d\n", getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, pids[2], -3));
    SHOW(getpriority(PRIO_PGRP, pids[0]));
    SHOW(syscall(SYS_ioprio_set, 1, pids[1], IOPRIO(2, 3)));
    SHOW(syscall(SYS_ioprio_get, 2, pids[0]));
    SHOW(syscall(SYS_ioprio_set, 2, pids[0], IOPRIO(2, 7)));
    SHOW(syscall(SYS_ioprio_get, 1, pids[2]));
    SHOW(syscall(SYS_ioprio_get, 1, 0));
    SHOW(getpriority(PRIO_PGRP, 0x3fffff));
    SHOW(setpriority(PRIO_PGRP, 0x3fffff, 1));
    fflush(stdout);
    if (!fork()) {
        pid_t sleeper;
        setresuid(SOME_UID, SOME_UID, SOME_UID);
        if (!(sleeper = fork())) {
            pause();
            _exit(0);
        }
        SHOW(setpriority(PRIO_PGRP, pids[0], 1));
        SHOW(setpriority(PRIO_USER, 0, 4));
        printf("both %d %d\n", getpriority(PRIO_PROCESS, 0), getpriority(PRIO_PROCESS, sleeper));
        SHOW(setpriority(PRIO_PROCESS, sleeper, 10));
        SHOW(getpriority(PRIO_USER, SOME_UID));
        SHOW(setpriority(PRIO_USER, SOME_UID, 6));
        printf("and now %d %d\n", getpriority(PRIO_PROCESS, 0), getpriority(PRIO_PROCESS, sleeper));
        SHOW(setpriority(PRIO_USER, 987654, 1));
        SHOW(syscall(SYS_ioprio_set, 3, 0, IOPRIO(3, 0)));
        printf("classes %ld %ld\n", syscall(SYS_ioprio_get, 1, 0), syscall(SYS_ioprio_get, 1, sleeper));
        SHOW(syscall(SYS_ioprio_set, 2, pids[0], IOPRIO(2, 1)));
        fflush(stdout);
        kill(sleeper, SIGKILL);
        _exit(0);
    }
    wait(NULL);
    for (int i = 0; i < 3; i++)
        kill(pids[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    limit(RLIMIT_CORE, 0, RLIM_INFINITY);
    file_size();
    core();
    memory();
    queued();
    processes();
    others();
    priorities();
    cpu();
    return 0;
}

/* Who gets the processor: nice values, idle and real-time tasks, sched_yield, and those who wake up. */
#include "show.h"
#include <sched.h>
#include <sys/wait.h>

#define MS 1000000ll

static struct shared {
    volatile int go, stop, order[8], next;
    volatile long long laps[8];
} *shared;

static long long now(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void pin(void)
{
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    sched_setaffinity(0, sizeof one, &one);
}

static void burn(int ms)
{
    long long end = now(CLOCK_PROCESS_CPUTIME_ID) + ms * MS;
    volatile int x;
    while (now(CLOCK_PROCESS_CPUTIME_ID) < end)
        for (int i = 0; i < 1000; i++)
            x = i;
}

static pid_t busy(int nice_value, int policy)
{
    pid_t pid = fork();
    if (!pid) {
        struct sched_param p = {0};
        if (policy)
            sched_setscheduler(0, policy, &p);
        setpriority(PRIO_PROCESS, 0, nice_value);
        while (!shared->stop)
            burn(2);
        _exit(0);
    }
    return pid;
}

static long long used(pid_t pid)
{
    struct rusage ru;
    wait4(pid, NULL, 0, &ru);
    return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000ll + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
}

static void race(const char *name, int nice_a, int policy_a, int nice_b, int policy_b, double low, double high)
{
    shared->stop = 0;
    pid_t a = busy(nice_a, policy_a), b = busy(nice_b, policy_b);
    usleep(600000);
    shared->stop = 1;
    double ratio = (double)used(a) / used(b);
    printf("%s: %s\n", name, ratio < low ? "the first got too little" : ratio > high ? "the first got too much" : "as expected");
}

int main(void)
{
    struct sched_param p = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pin();
    puts("-- shares");
    race("equals", 0, 0, 0, 0, 0.5, 2);
    race("nice 0 and 19", 0, 0, 19, 0, 8, 1e9);
    race("nice 5 and 0", 5, 0, 0, 0, 0.1, 0.7);
    race("nice -10 and 0", -10, 0, 0, 0, 3, 60);
    race("batch and normal", 0, SCHED_BATCH, 0, 0, 0.5, 2);
    race("normal and idle", 0, 0, 0, SCHED_IDLE, 10, 1e9);

    puts("-- yielding");
    shared->stop = 0;
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            while (!shared->go)
                sched_yield();
            for (int n = 0; n < 2000; n++) {
                shared->laps[i] = n;
                sched_yield();
            }
            shared->laps[i] = 2000;
            _exit(0);
        }
    shared->go = 1;
    wait(NULL);
    printf("both had their turns: %d\n", shared->laps[0] > 500 && shared->laps[1] > 500);
    wait(NULL);
    /* One waits for a word that the other writes; both only yield. */
    shared->go = 0;
    if (!fork()) {
        for (int n = 0; n < 1000; n++) {
            while (shared->go != 2 * n + 1)
                sched_yield();
            shared->go = 2 * n + 2;
        }
        _exit(0);
    }
    long yields = 0;
    for (int n = 0; n < 1000; n++) {
        shared->go = 2 * n + 1;
        for (; shared->go != 2 * n + 2; yields++)
            sched_yield();
    }
    printf("a hand-over takes at most 20 yields: %d\n", yields < 20000);
    wait(NULL);

    puts("-- one that sleeps wakes up beside a busy one");
    shared->stop = 0;
    pid_t hog = busy(0, 0);
    clockid_t its_clock; // what it used while we waited is what we waited for it, however busy the machine is
    clock_getcpuclockid(hog, &its_clock);
    long long start = now(its_clock);
    for (int i = 0; i < 20; i++)
        usleep(2000);
    printf("late by more than a slice each time: %d\n", now(its_clock) - start > 20 * 30 * MS);
    int there[2], back[2];
    pipe(there);
    pipe(back);
    if (!fork()) {
        char c;
        while (read(there[0], &c, 1) == 1 && c != 'q')
            write(back[1], &c, 1);
        _exit(0);
    }
    char c = 'x';
    start = now(its_clock);
    for (int i = 0; i < 50; i++) {
        write(there[1], &c, 1);
        read(back[0], &c, 1);
    }
    write(there[1], "q", 1);
    wait(NULL); // the next child reads the same pipe
    printf("an answer takes more than a slice: %d\n", now(its_clock) - start > 50 * 30 * MS);
    puts("-- one that is woken while the waker goes on computing");
    if (!fork()) {
        read(there[0], &c, 1);
        shared->go = -1;
        _exit(0);
    }
    usleep(5000);
    write(there[1], "x", 1);
    while (shared->go != -1)
        ;
    puts("it ran");
    shared->stop = 1;
    while (wait(NULL) > 0)
        ;

    puts("-- real-time");
    pipe(there);
    shared->next = 0;
    p.sched_priority = 50;
    SHOW(sched_setscheduler(0, SCHED_FIFO, &p));
    for (int i = 0; i < 4; i++) {
        static const int priorities[] = {10, 0, 30, 20};
        if (!fork()) {
            p.sched_priority = priorities[i];
            sched_setscheduler(0, p.sched_priority ? SCHED_FIFO : SCHED_OTHER, &p);
            read(there[0], &c, 1);
            shared->order[shared->next++] = priorities[i];
            burn(5);
            _exit(0);
        }
    }
    usleep(30000);
    write(there[1], "xxxx", 4);
    burn(5);
    printf("nobody ran before we slept: %d\n", shared->next);
    while (wait(NULL) > 0)
        ;
    printf("order: %d %d %d %d\n", shared->order[0], shared->order[1], shared->order[2], shared->order[3]);
    if (!fork()) {
        printf("a child's policy %d priority %d\n", sched_getscheduler(0), (sched_getparam(0, &p), p.sched_priority));
        _exit(0);
    }
    wait(NULL);
    p.sched_priority = 50;
    SHOW(sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p));
    setpriority(PRIO_PROCESS, 0, -7);
    if (!fork()) {
        printf("a child's policy %d priority %d nice %d\n", sched_getscheduler(0), (sched_getparam(0, &p), p.sched_priority), getpriority(PRIO_PROCESS, 0));
        _exit(0);
    }
    wait(NULL);
    p.sched_priority = 0;
    SHOW(sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &p));
    if (!fork()) {
        printf("a child's policy %d nice %d\n", sched_getscheduler(0), getpriority(PRIO_PROCESS, 0));
        _exit(0);
    }
    wait(NULL);
    setpriority(PRIO_PROCESS, 0, 3);
    if (!fork()) {
        printf("a child's policy %d nice %d\n", sched_getscheduler(0), getpriority(PRIO_PROCESS, 0));
        _exit(0);
    }
    wait(NULL);
    return 0;
}

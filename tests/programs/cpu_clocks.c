/* Clocks of processor time, sleeping on them, interval timers of virtual time, and how they add up. */
#include "show.h"
#include <sys/times.h>
#include <sys/wait.h>

#define RAW(name, ...) show_result(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__), 1)
#define MS 1000000ll
#define PROCESS_CLOCK(pid, kind) ((~(unsigned)(pid) << 3) | (kind))
#define THREAD_CLOCK(pid, kind) ((~(unsigned)(pid) << 3) | 4 | (kind))

static volatile int count, last;

static void handler(int signo)
{
    count++;
    last = signo;
}

static long long now(clockid_t id)
{
    struct timespec t;
    if (syscall(SYS_clock_gettime, id, &t))
        return -1;
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void burn(int ms)
{
    long long end = now(CLOCK_PROCESS_CPUTIME_ID) + ms * MS;
    volatile int x;
    while (now(CLOCK_PROCESS_CPUTIME_ID) < end)
        for (int i = 0; i < 2000; i++)
            x = i;
}

int main(void)
{
    struct timespec t, rem;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("-- ids");
    pid_t self = getpid();
    for (int kind = 0; kind < 4; kind++)
        for (int thread = 0; thread < 2; thread++) {
            clockid_t ids[] = {thread ? THREAD_CLOCK(0, kind) : PROCESS_CLOCK(0, kind), thread ? THREAD_CLOCK(self, kind) : PROCESS_CLOCK(self, kind)};
            for (int i = 0; i < 2; i++) {
                label(syscall(SYS_clock_gettime, ids[i], &t), "gettime kind %d thread %d %s", kind, thread, i ? "by number" : "own");
                long r = syscall(SYS_clock_getres, ids[i], &t);
                label(r, "getres");
                if (!r)
                    printf("  %ld\n", t.tv_nsec == 1 ? 1l : t.tv_nsec == 4000000 || t.tv_nsec == 1000000 || t.tv_nsec == 10000000 ? 0l : t.tv_nsec);
                label(syscall(SYS_clock_settime, ids[i], &t), "settime");
            }
        }
    RAW(clock_gettime, PROCESS_CLOCK(0x3fffff, 2), &t);
    RAW(clock_gettime, THREAD_CLOCK(0x3fffff, 2), &t);

    puts("-- they advance as they should");
    long long p = now(2), th = now(3), m = now(1), prof = now(PROCESS_CLOCK(0, 0)), virt = now(PROCESS_CLOCK(0, 1));
    burn(60);
    long long p2 = now(2), th2 = now(3), m2 = now(1), prof2 = now(PROCESS_CLOCK(0, 0)), virt2 = now(PROCESS_CLOCK(0, 1));
    printf("process %d thread %d wall %d prof %d virtual %d\n", p2 - p >= 60 * MS, th2 - th >= 55 * MS, m2 - m >= 55 * MS, prof2 - prof >= 40 * MS, virt2 - virt >= 0 && virt2 - virt <= prof2 - prof + 10 * MS);
    p = now(2);
    usleep(200000);
    printf("sleeping costs next to nothing %d\n", now(2) - p < 100 * MS);
    long long before = now(2);
    for (int i = 0; i < 200; i++) {
        long long next = now(2);
        if (next < before)
            puts("backwards");
        before = next;
    }

    puts("-- user and system");
    struct tms tms, tms2;
    struct rusage ru;
    printf("times %d\n", times(&tms) > 0);
    burn(100);
    times(&tms2);
    long ticks = tms2.tms_utime + tms2.tms_stime - tms.tms_utime - tms.tms_stime;
    printf("100 ms are 8 to 14 ticks: %d\n", ticks >= 8 && ticks <= 14);
    getrusage(RUSAGE_SELF, &ru);
    long long sum = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000ll + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
    long long clocked = now(2) / 1000;
    printf("getrusage agrees with the clock: %d\n", llabs(clocked - sum) < 20000);
    volatile double x = 1;
    getrusage(RUSAGE_SELF, &ru);
    long long user = ru.ru_utime.tv_sec * 1000000ll + ru.ru_utime.tv_usec, sys = ru.ru_stime.tv_sec * 1000000ll + ru.ru_stime.tv_usec;
    for (long long end = now(2) + 200 * MS; now(2) < end;)
        for (int i = 0; i < 200000; i++)
            x = i;
    getrusage(RUSAGE_SELF, &ru);
    long long user2 = ru.ru_utime.tv_sec * 1000000ll + ru.ru_utime.tv_usec, sys2 = ru.ru_stime.tv_sec * 1000000ll + ru.ru_stime.tv_usec;
    printf("computing takes user time: %d\n", user2 > user && sys2 >= sys);
    long long start = now(2);
    int zero = open("/dev/zero", O_RDONLY);
    char *buffer = malloc(1 << 20);
    while (now(2) - start < 200 * MS)
        read(zero, buffer, 1 << 20);
    getrusage(RUSAGE_SELF, &ru);
    user = ru.ru_utime.tv_sec * 1000000ll + ru.ru_utime.tv_usec, sys = ru.ru_stime.tv_sec * 1000000ll + ru.ru_stime.tv_usec;
    printf("reading is system time: %d\n", sys - sys2 > user - user2);

    puts("-- another process's clock");
    pid_t child = fork();
    if (!child) {
        for (;;)
            burn(1000);
    }
    clockid_t id;
    printf("clock_getcpuclockid %d matches %d\n", clock_getcpuclockid(child, &id), id == PROCESS_CLOCK(child, 2));
    RAW(clock_gettime, THREAD_CLOCK(child, 2), &t);
    p = now(2);
    t = (struct timespec){0, 50000000};
    long long c = now(id);
    RAW(clock_nanosleep, id, 0, &t, NULL);
    printf("slept until it had used 50 ms: %d\n", now(id) - c >= 50 * MS);
    c = now(id) + 20 * MS;
    t = (struct timespec){c / 1000000000, c % 1000000000};
    RAW(clock_nanosleep, id, TIMER_ABSTIME, &t, NULL);
    printf("slept to a time of its clock: %d\n", now(id) >= c);
    RAW(clock_nanosleep, id, TIMER_ABSTIME, &t, NULL);
    signal(SIGALRM, handler);
    t = (struct timespec){1000, 0};
    ualarm(20000, 0);
    r: {
        long r = syscall(SYS_clock_nanosleep, id, 0, &t, &rem);
        label(r, "interrupted");
        printf("left %d\n", rem.tv_sec >= 990 && rem.tv_sec < 1000);
    }
    kill(child, SIGKILL);
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    label(syscall(SYS_clock_gettime, id, &t), "of a zombie");
    struct rusage cu;
    int status;
    wait4(child, &status, 0, &cu);
    label(syscall(SYS_clock_gettime, id, &t), "of nobody");
    label(syscall(SYS_clock_nanosleep, id, 0, &t, NULL), "sleep on nobody's");

    puts("-- own clocks cannot be slept on while nobody runs");
    t = (struct timespec){0, 1};
    RAW(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL);
    RAW(clock_nanosleep, THREAD_CLOCK(0, 2), 0, &t, NULL);
    RAW(clock_nanosleep, THREAD_CLOCK(self, 2), 0, &t, NULL);
    t = (struct timespec){0, 10000000};
    ualarm(30000, 0);
    RAW(clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &t, &rem);
    printf("left %d\n", rem.tv_sec == 0 && rem.tv_nsec > 0);
    t = (struct timespec){0, 0};
    RAW(clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &t, NULL);
    t = (struct timespec){0, -1};
    RAW(clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &t, NULL);

    puts("-- interval timers");
    signal(SIGVTALRM, handler);
    signal(SIGPROF, handler);
    struct itimerval it, old;
    int kinds[] = {ITIMER_VIRTUAL, ITIMER_PROF};
    for (int i = 0; i < 2; i++) {
        it = (struct itimerval){{0, 0}, {100, 0}};
        setitimer(kinds[i], &it, NULL);
        usleep(50000);
        getitimer(kinds[i], &old);
        printf("%d stands still while asleep: %d\n", kinds[i], old.it_value.tv_sec >= 100 || old.it_value.tv_usec > 970000);
        it = (struct itimerval){{0, 10000}, {0, 10000}};
        setitimer(kinds[i], &it, &old);
        count = 0;
        p = now(2);
        m = now(1);
        while (count < 5)
            for (int j = 0; j < 2000; j++)
                x = j;
        p = now(2) - p;
        it = (struct itimerval){{0, 0}, {0, 0}};
        setitimer(kinds[i], &it, NULL);
        printf("signal %d, five took some time: %d, at most 400 ms: %d\n", last, p >= 10 * MS, p <= 400 * MS);
        count = 0;
        it = (struct itimerval){{0, 10000}, {0, 10000}};
        setitimer(kinds[i], &it, &old);
        child = fork();
        if (!child) {
            getitimer(kinds[i], &old);
            printf("in a child: %ld %ld\n", old.it_value.tv_sec + old.it_value.tv_usec, old.it_interval.tv_usec);
            _exit(0);
        }
        it = (struct itimerval){{0, 0}, {0, 0}};
        setitimer(kinds[i], &it, NULL);
        waitpid(child, NULL, 0);
    }
    puts("-- ITIMER_REAL with its signal blocked, and ignored");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    it = (struct itimerval){{0, 5000}, {0, 5000}};
    setitimer(ITIMER_REAL, &it, NULL);
    usleep(30000);
    getitimer(ITIMER_REAL, &old);
    printf("while pending: value %ld interval %ld\n", old.it_value.tv_usec, old.it_interval.tv_usec);
    struct timespec soon = {1, 0};
    printf("taken %d\n", sigtimedwait(&set, &info, &soon));
    printf("taken %d\n", sigtimedwait(&set, &info, &soon));
    getitimer(ITIMER_REAL, &old);
    printf("running again %d\n", old.it_value.tv_usec > 0 || sigtimedwait(&set, &info, &soon) == SIGALRM);
    it = (struct itimerval){{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &it, NULL);
    return 0;
}

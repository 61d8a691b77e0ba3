/* alarm, setitimer, and the clocks. */
#include "show.h"
#include <sys/timex.h>

#define RAW(name, ...) show_result(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__), 1)

static volatile int count, last;

static void handler(int signo)
{
    count++;
    last = signo;
}

static long long ns(clockid_t id)
{
    struct timespec t;
    if (syscall(SYS_clock_gettime, id, &t))
        return -1;
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(void)
{
    struct timespec t, *bad = (void *)16;
    struct itimerval it, old, *badit = (void *)16;
    struct timeval tv;
    struct timezone tz = {9, 9};

    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("-- clocks");
    for (int id = -1; id < 14; id++) {
        if (id == CLOCK_REALTIME_ALARM || id == CLOCK_BOOTTIME_ALARM)
            continue; // need a real-time clock device
        long r = syscall(SYS_clock_gettime, id, &t);
        label(r, "clock_gettime %d", id);
        if (!r)
            printf("  normal %d\n", t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
        r = syscall(SYS_clock_getres, id, &t);
        label(r, "clock_getres %d", id);
        if (!r)
            printf("  %s\n", t.tv_sec == 0 && t.tv_nsec == 1 ? "1 ns" : "a tick");
    }
    RAW(clock_gettime, CLOCK_MONOTONIC, bad);
    RAW(clock_gettime, 99, bad);
    RAW(clock_getres, CLOCK_MONOTONIC, NULL);
    RAW(clock_getres, CLOCK_MONOTONIC, bad);
    RAW(clock_getres, 99, NULL);
    long long a = ns(CLOCK_MONOTONIC), b = ns(CLOCK_MONOTONIC), c = ns(CLOCK_REALTIME);
    printf("monotonic %d, boot >= monotonic %d, coarse behind %d\n", b >= a, ns(CLOCK_BOOTTIME) >= a - 1000000000, ns(CLOCK_REALTIME_COARSE) - c < 20000000);
    SHOW(gettimeofday(&tv, &tz));
    printf("agrees %d zone %d %d\n", (int)(llabs(tv.tv_sec - c / 1000000000) < 2), tz.tz_minuteswest, tz.tz_dsttime);
    time_t when;
    printf("time agrees %d\n", (int)(labs(syscall(SYS_time, &when) - tv.tv_sec) < 2 && labs(when - tv.tv_sec) < 2));
    RAW(gettimeofday, bad, NULL);
    RAW(gettimeofday, NULL, bad);
    RAW(gettimeofday, NULL, NULL);
    RAW(time, bad);
    clockid_t own;
    clock_getcpuclockid(0, &own);
    printf("own clock %d, of getpid %d\n", ns(own) > 0, clock_getcpuclockid(getpid(), &own) == 0 && ns(own) > 0);
    RAW(clock_gettime, (~0x3fffff0u << 3) | 2, &t);
    RAW(clock_settime, CLOCK_MONOTONIC, &t);
    RAW(clock_settime, 99, &t);
    RAW(clock_settime, CLOCK_REALTIME, bad);
    t = (struct timespec){-1, 0};
    RAW(clock_settime, CLOCK_REALTIME, &t);
    struct timex tx = {0};
    printf("adjtimex works %d\n", adjtimex(&tx) >= 0);
    RAW(adjtimex, bad);

    puts("-- sleeping");
    t = (struct timespec){0, 1000000000};
    RAW(nanosleep, &t, NULL);
    t = (struct timespec){0, -1};
    RAW(nanosleep, &t, NULL);
    t = (struct timespec){-1, 0};
    RAW(nanosleep, &t, NULL);
    RAW(nanosleep, bad, NULL);
    t = (struct timespec){0, 1000};
    RAW(nanosleep, &t, bad);
    RAW(clock_nanosleep, CLOCK_MONOTONIC, 0, &t, NULL);
    RAW(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    RAW(clock_nanosleep, CLOCK_MONOTONIC, 77, &t, NULL);
    for (int id = 0; id < 13; id++)
        if (id != CLOCK_PROCESS_CPUTIME_ID && id != 8 && id != 9) {
            long r = syscall(SYS_clock_nanosleep, id, 0, &t, NULL);
            label(r, "clock_nanosleep %d", id);
        }
    RAW(clock_nanosleep, 99, 0, &t, NULL);
    RAW(clock_nanosleep, CLOCK_MONOTONIC, 0, bad, NULL);
    a = ns(CLOCK_MONOTONIC);
    t = (struct timespec){0, 30000000};
    nanosleep(&t, NULL);
    b = ns(CLOCK_MONOTONIC) - a;
    printf("30 ms took %s\n", b < 30000000 ? "less" : b < 60000000 ? "30 to 60" : "more");

    puts("-- setitimer");
    signal(SIGALRM, handler);
    signal(SIGVTALRM, handler);
    signal(SIGPROF, handler);
    RAW(getitimer, 3, &it);
    RAW(getitimer, -1, &it);
    RAW(getitimer, 0, badit);
    RAW(setitimer, 3, &it, NULL);
    RAW(setitimer, 0, badit, NULL);
    it = (struct itimerval){{0, 1000000}, {0, 0}};
    RAW(setitimer, 0, &it, NULL);
    RAW(setitimer, 3, &it, NULL);
    it = (struct itimerval){{0, 0}, {-1, 0}};
    RAW(setitimer, 0, &it, NULL);
    it = (struct itimerval){{5, 6}, {100, 0}};
    RAW(setitimer, 0, &it, badit);
    RAW(getitimer, 0, &old);
    printf("interval %ld.%06ld value %s\n", old.it_interval.tv_sec, old.it_interval.tv_usec, old.it_value.tv_sec == 99 ? "99.x" : "other");
    it = (struct itimerval){{0, 0}, {50, 0}};
    RAW(setitimer, 0, &it, &old);
    printf("old interval %ld.%06ld value %s\n", old.it_interval.tv_sec, old.it_interval.tv_usec, old.it_value.tv_sec == 99 ? "99.x" : "other");
    printf("alarm over it: %u\n", alarm(7));
    printf("alarm again: %u\n", alarm(0));
    printf("alarm off: %u\n", alarm(0));
    it = (struct itimerval){{0, 0}, {0, 400000}};
    RAW(setitimer, 0, &it, NULL);
    printf("less than a second left: %u\n", alarm(0));
    RAW(setitimer, 0, NULL, &old);
    printf("old value %ld.%06ld\n", old.it_value.tv_sec, old.it_value.tv_usec);

    puts("-- periodic");
    it = (struct itimerval){{0, 10000}, {0, 10000}};
    a = ns(CLOCK_MONOTONIC);
    setitimer(ITIMER_REAL, &it, NULL);
    while (count < 5)
        pause();
    b = ns(CLOCK_MONOTONIC) - a;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    printf("5 ticks of 10 ms: %s\n", b < 49000000 ? "too soon" : b < 120000000 ? "in time" : "late");
    puts("-- while computing");
    int kinds[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    for (int i = 0; i < 3; i++) {
        count = last = 0;
        it = (struct itimerval){{0, 20000}, {0, 20000}};
        setitimer(kinds[i], &it, NULL);
        while (count < 3)
            ;
        setitimer(kinds[i], &(struct itimerval){{0, 0}, {0, 0}}, NULL);
        printf("timer %d: signal %d\n", kinds[i], last);
    }
    return 0;
}

// Clocks, sleeping, time of day, interval timers' values.
#include "show.h"
#include <sys/times.h>
#include <sys/timex.h>

static int64_t ns(struct timespec t)
{
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now(clockid_t clock)
{
    struct timespec t;
    syscall(SYS_clock_gettime, clock, &t);
    return ns(t);
}

int main(void)
{
    for (int clock = -1; clock < 12; clock++) {
        if (clock == 8 || clock == 9) /* the alarm clocks need a real-time clock device */
            continue;
        struct timespec a, b, r;
        long x = syscall(SYS_clock_gettime, clock, &a), y = syscall(SYS_clock_gettime, clock, &b);
        label(x, "clock_gettime %d", clock);
        if (x == 0 && y == 0)
            NOTE("  goes forward %d, positive %d", ns(b) >= ns(a), ns(a) >= 0);
        long z = syscall(SYS_clock_getres, clock, &r);
        label(z, "clock_getres %d", clock);
        if (z == 0)
            NOTE("  %ld.%09ld", (long)r.tv_sec, r.tv_nsec);
    }
    clockid_t process, thread = (~(clockid_t)syscall(SYS_gettid) << 3) | 6;
    SHOW(clock_getcpuclockid(0, &process));
    struct timespec t, left;
    SHOW(clock_gettime(process, &t));
    SHOW(clock_gettime(thread, &t));
    SHOW(syscall(SYS_clock_gettime, (~99999999 << 3) | 2, &t));
    int64_t a = now(CLOCK_REALTIME), b = (int64_t)time(NULL) * 1000000000;
    NOTE("time and clock agree %d", a >= b && a - b < 3000000000LL);
    struct timeval tv;
    struct timezone tz = {5, 5};
    SHOW(syscall(SYS_gettimeofday, &tv, &tz));
    NOTE("agree %d zone %d %d", llabs(tv.tv_sec * 1000000LL + tv.tv_usec - a / 1000) < 1000000, tz.tz_minuteswest, tz.tz_dsttime);
    long stored = 0, returned = syscall(SYS_time, &stored);
    NOTE("stored %d", stored == returned);
    struct tms tms;
    NOTE("times %d", times(&tms) > 0 && tms.tms_utime >= 0 && tms.tms_cutime == 0);

    a = now(CLOCK_MONOTONIC);
    t = (struct timespec){0, 20000000};
    SHOW(nanosleep(&t, NULL));
    b = now(CLOCK_MONOTONIC) - a;
    NOTE("slept long enough %d, not too long %d", b >= 20000000, b < 1000000000);
    t = (struct timespec){0, 0};
    SHOW(nanosleep(&t, &left));
    t.tv_nsec = 1000000000;
    SHOW(nanosleep(&t, NULL));
    t.tv_nsec = -1;
    SHOW(nanosleep(&t, NULL));
    t = (struct timespec){-1, 0};
    SHOW(nanosleep(&t, NULL));
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    t.tv_nsec += 10000000;
    if (t.tv_nsec >= 1000000000)
        t.tv_sec++, t.tv_nsec -= 1000000000;
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    NOTE("reached %d", now(CLOCK_MONOTONIC) >= ns(t));
    t = (struct timespec){1, 0};
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL));
    SHOW(syscall(SYS_clock_nanosleep, 99, 0, &t, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &t, NULL));
    t = (struct timespec){0, 1000};
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &t, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_TAI, 0, &t, NULL));

    int64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    volatile unsigned long sink = 0;
    for (int i = 0; i < 20000000; i++)
        sink += i;
    NOTE("cpu time passes %d", now(CLOCK_PROCESS_CPUTIME_ID) > cpu);
    NOTE("thread's is the process's %d", llabs(now(CLOCK_THREAD_CPUTIME_ID) - now(CLOCK_PROCESS_CPUTIME_ID)) < 100000000);

    struct itimerval set = {{100, 0}, {1000, 500000}}, got;
    SHOW(getitimer(ITIMER_REAL, &got));
    NOTE("%ld %ld %ld %ld", got.it_value.tv_sec, got.it_value.tv_usec, got.it_interval.tv_sec, got.it_interval.tv_usec);
    SHOW(setitimer(ITIMER_REAL, &set, NULL));
    SHOW(getitimer(ITIMER_REAL, &got));
    NOTE("running %d %ld", got.it_value.tv_sec == 1000 || got.it_value.tv_sec == 999, got.it_interval.tv_sec);
    SHOW(syscall(SYS_alarm, 50));
    SHOW(syscall(SYS_alarm, 0));
    SHOW(setitimer(ITIMER_VIRTUAL, &set, &got));
    SHOW(setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, &got));
    NOTE("virtual %d", got.it_value.tv_sec >= 999);
    SHOW(setitimer(9, &set, &got));
    SHOW(getitimer(9, &got));
    set.it_value.tv_usec = 1000000;
    SHOW(setitimer(ITIMER_REAL, &set, NULL));
    SHOW(setitimer(ITIMER_REAL, NULL, NULL));
    time_t moment = 86400 * 365;
    struct tm *tm = localtime(&moment);
    NOTE("%d-%d-%d %s", tm->tm_year, tm->tm_mon, tm->tm_mday, tm->tm_zone);
    return 0;
}

// timerfd: arming, counting, waiting, and what a descriptor of it can do.
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define MS 1000000L
#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

static struct itimerspec spec(long value_ns, long interval_ns)
{
    struct itimerspec s = {{interval_ns / 1000000000, interval_ns % 1000000000}, {value_ns / 1000000000, value_ns % 1000000000}};
    return s;
}

static int arm(int fd, long value_ns, long interval_ns)
{
    struct itimerspec s = spec(value_ns, interval_ns);
    return timerfd_settime(fd, 0, &s, NULL);
}

static long now(int clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* The count, or the error. */
static void take(const char *text, int fd)
{
    uint64_t count = 0;
    long n = read(fd, &count, 8);
    if (n < 0)
        NOTE("%s: %s", text, errno_name(errno));
    else
        NOTE("%s: %ld bytes, %llu", text, n, (unsigned long long)count);
}

static void show_left(const char *text, int fd)
{
    struct itimerspec s;
    if (timerfd_gettime(fd, &s))
        die("gettime");
    long left = s.it_value.tv_sec * 1000000000L + s.it_value.tv_nsec;
    NOTE("%s: %s, interval %ld.%09ld", text, left ? "armed" : "not armed", s.it_interval.tv_sec, s.it_interval.tv_nsec);
}

static void info(int fd)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    int f = open(path, O_RDONLY);
    long n = read(f, text, sizeof text - 1);
    close(f);
    text[n < 0 ? 0 : n] = 0;
    char *start = strstr(text, "clockid");
    fputs(start ? start : "no lines\n", stdout);
}

static void on_alarm(int signo)
{
    (void)signo;
}

int main(void)
{
    char data[64];
    struct itimerspec s, old;
    int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                    CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_TAI, 77, -1};
    for (int i = 0; i < 11; i++)
        label(close(timerfd_create(clocks[i], 0)), "clock %d", clocks[i]);
    SHOW(timerfd_create(CLOCK_MONOTONIC, 1));
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL));
    struct stat st;
    fstat(fd, &st);
    NOTE("mode %o size %ld", st.st_mode, (long)st.st_size);
    snprintf(data, sizeof data, "/proc/self/fd/%d", fd);
    char link[64];
    show_bytes("link", link, readlink(data, link, sizeof link));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(write(fd, data, 8));
    SHOW(pread(fd, data, 8, 0));
    take("not armed", fd);
    info(fd);

    NOTE("-- errors");
    s = spec(MS, 0);
    SHOW(timerfd_settime(fd, 4, &s, NULL));
    SHOW(timerfd_settime(fd, 0, NULL, NULL));
    SHOW(timerfd_settime(999, 0, &s, NULL));
    SHOW(timerfd_settime(1, 0, &s, NULL));
    SHOW(timerfd_settime(fd, 0, &s, (void *)8));
    SHOW(timerfd_gettime(999, &s));
    SHOW(timerfd_gettime(1, &s));
    SHOW(timerfd_gettime(fd, NULL));
    s.it_value.tv_nsec = 1000000000;
    SHOW(timerfd_settime(fd, 0, &s, NULL));
    s = spec(MS, 0), s.it_interval.tv_nsec = -1;
    SHOW(timerfd_settime(fd, 0, &s, NULL));
    s = spec(MS, 0), s.it_value.tv_sec = -1;
    SHOW(timerfd_settime(fd, 0, &s, NULL));

    NOTE("-- one expiry");
    SHOW(arm(fd, 10 * MS, 0));
    show_left("armed", fd);
    take("too soon", fd);
    usleep(30000);
    show_left("expired", fd);
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDNORM, 0};
    SHOW(poll(&p, 1, 0));
    NOTE("%#x", p.revents);
    SHOW(read(fd, data, 7));
    SHOW(read(fd, (void *)8, 8));
    take("after a bad address", fd);
    arm(fd, 1, 0);
    usleep(2000);
    long n = read(fd, data, 64);
    NOTE("large buffer: %ld", n);
    take("again", fd);
    SHOW(poll(&p, 1, 0));

    NOTE("-- intervals");
    SHOW(arm(fd, 5 * MS, 1000000 * MS));
    usleep(20000);
    info(fd);
    take("first of a long interval", fd);
    show_left("long interval", fd);
    SHOW(arm(fd, 0, 5 * MS));
    show_left("disarmed, with an interval", fd);
    s = spec(now(CLOCK_MONOTONIC) - 95 * MS, 10 * MS);
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
    uint64_t count = 0;
    n = read(fd, &count, 8);
    NOTE("ten periods ago: %ld %d", n, count >= 10 && count < 200);
    s = spec(now(CLOCK_MONOTONIC) + 3600000 * MS, 7 * MS);
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, &old));
    NOTE("old interval %ld", old.it_interval.tv_nsec);
    SHOW(timerfd_settime(fd, 0, &s, &old));
    NOTE("about an hour left: %d, interval %ld", old.it_value.tv_sec >= 3590 && old.it_value.tv_sec <= 3600, old.it_interval.tv_nsec);
    s = spec(1, 0);
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
    take("in the past", fd);
    info(fd);

    NOTE("-- the other clocks");
    for (int i = 0; i < 2; i++) {
        int clock = i ? CLOCK_BOOTTIME : CLOCK_REALTIME;
        int other = timerfd_create(clock, 0);
        s = spec(now(clock) + 20 * MS, 0);
        SHOW(timerfd_settime(other, TFD_TIMER_ABSTIME | (i ? 0 : TFD_TIMER_CANCEL_ON_SET), &s, NULL));
        take("waited", other);
        NOTE("in time: %d", now(clock) >= s.it_value.tv_sec * 1000000000L + s.it_value.tv_nsec);
        arm(other, 5 * MS, 0);
        take("waited", other);
        info(other);
        close(other);
    }

    NOTE("-- epoll");
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = 5}, got;
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    SHOW(epoll_wait(ep, &got, 1, 0));
    arm(fd, 10 * MS, 5 * MS);
    SHOW(epoll_wait(ep, &got, 1, -1));
    usleep(20000);
    SHOW(epoll_wait(ep, &got, 1, 0)); /* an interval that nobody reads wakes once */
    count = 0;
    n = read(fd, &count, 8);
    NOTE("%ld %d", n, count > 2);
    SHOW(epoll_wait(ep, &got, 1, -1));
    arm(fd, 0, 0);
    SHOW(epoll_wait(ep, &got, 1, 0));
    e.events = EPOLLIN;
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
    arm(fd, 5 * MS, 0);
    SHOW(epoll_wait(ep, &got, 1, -1));
    arm(fd, 0, 0);
    SHOW(epoll_wait(ep, &got, 1, 0));

    NOTE("-- ticks set by hand");
    count = 42;
    SHOW(ioctl(fd, TFD_IOC_SET_TICKS, &count));
    take("set", fd);
    count = 0;
    SHOW(ioctl(fd, TFD_IOC_SET_TICKS, &count));
    SHOW(ioctl(fd, TFD_IOC_SET_TICKS, 8));
    SHOW(ioctl(fd, FIONREAD, &n));

    NOTE("-- signals, and a child that shares it");
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval soon = {{0, 0}, {0, 20000}};
    fcntl(fd, F_SETFL, 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    take("interrupted", fd);
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    arm(fd, 60 * MS, 0);
    take("restarted", fd);
    arm(fd, 10 * MS, 0);
    fflush(stdout);
    if (!fork()) {
        take("child", fd);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    take("parent", fd);
    return 0;
}

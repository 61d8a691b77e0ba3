/* POSIX timers: creation and its errors, signals and what comes with them, overruns, deletion, fork and exec. */
#include "show.h"
#include <sys/wait.h>

#define RAW(name, ...) show_result(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__), 1)
#define MS 1000000ll

struct kernel_sigevent {
    void *value;
    int signo, notify, tid, pad[11];
};

static volatile int count;
static siginfo_t last;

static void handler(int signo, siginfo_t *info, void *context)
{
    count++;
    last = *info;
}

static long long now(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct itimerspec spec(long long value, long long interval)
{
    return (struct itimerspec){{interval / 1000000000, interval % 1000000000}, {value / 1000000000, value % 1000000000}};
}

static int make(clockid_t clock, int notify, int signo, void *value)
{
    struct kernel_sigevent ev = {value, signo, notify, getpid()};
    int id = -1;
    if (syscall(SYS_timer_create, clock, &ev, &id))
        return -1;
    return id;
}

static long set(int id, int flags, long long value, long long interval)
{
    struct itimerspec new = spec(value, interval);
    return syscall(SYS_timer_settime, id, flags, &new, NULL);
}

static void get(const char *text, int id)
{
    struct itimerspec it = {{-1, -1}, {-1, -1}};
    long r = syscall(SYS_timer_gettime, id, &it);
    long long value = it.it_value.tv_sec * 1000000000ll + it.it_value.tv_nsec;
    printf("%s: %s, value %s, interval %lld\n", text, r ? errno_name(errno) : "ok",
           value < 0 ? "untouched" : value == 0 ? "0" : value == 1 ? "1 ns" : value <= 1000 * MS ? "within a second" : value <= 100000 * MS ? "within 100 s" : "long",
           it.it_interval.tv_sec * 1000000000ll + it.it_interval.tv_nsec);
}

static void sleep_ms(int ms)
{
    long long end = now(CLOCK_MONOTONIC) + ms * MS;
    while (now(CLOCK_MONOTONIC) < end) {
        struct timespec t = {0, MS};
        nanosleep(&t, NULL);
    }
}

static void burn(int ms)
{
    long long end = now(CLOCK_PROCESS_CPUTIME_ID) + ms * MS;
    while (now(CLOCK_PROCESS_CPUTIME_ID) < end)
        ;
}

static void block(int how, int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    sigprocmask(how, &set, NULL);
}

static int pending(int signo)
{
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, signo);
}

static int take(int signo, siginfo_t *info, int ms)
{
    sigset_t set;
    struct timespec t = {ms / 1000, ms % 1000 * MS};
    sigemptyset(&set);
    sigaddset(&set, signo);
    return sigtimedwait(&set, info, &t);
}

static void create(void)
{
    struct kernel_sigevent ev = {0};
    int id;
    puts("-- create");
    for (int clock = 0; clock < 14; clock++) {
        if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
            continue; // need a real-time clock device
        id = -1;
        long r = syscall(SYS_timer_create, clock, NULL, &id);
        label(r, "timer_create clock %d", clock);
        if (!r)
            printf("  id %d, delete %ld\n", id, syscall(SYS_timer_delete, id));
    }
    RAW(timer_create, -1, NULL, &id);
    RAW(timer_create, 99, NULL, &id);
    clockid_t own, other = (~0x3fffff0u << 3) | 2;
    clock_getcpuclockid(getpid(), &own);
    label(syscall(SYS_timer_create, own, NULL, &id), "own CPU clock");
    RAW(timer_create, other, NULL, &id);
    label(syscall(SYS_timer_create, (~(unsigned)getpid() << 3) | 6, NULL, &id), "own thread's clock");
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        label(syscall(SYS_timer_create, (~(unsigned)getppid() << 3) | 6, NULL, &id), "a thread of another process");
        label(syscall(SYS_timer_create, (~(unsigned)getppid() << 3) | 2, NULL, &id), "another process");
        ev = (struct kernel_sigevent){NULL, SIGUSR1, SIGEV_THREAD_ID, getppid()};
        label(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), "to a thread of another process");
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    for (int notify = 0; notify < 8; notify++) {
        ev = (struct kernel_sigevent){NULL, SIGUSR1, notify, getpid()};
        label(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), "notify %d", notify);
    }
    int signals[] = {-1, 0, 1, 9, 19, 32, 64, 65};
    for (int i = 0; i < 8; i++) {
        ev = (struct kernel_sigevent){NULL, signals[i], SIGEV_SIGNAL};
        label(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), "signal %d", signals[i]);
        ev.notify = SIGEV_NONE;
        label(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), "none, signal %d", signals[i]);
    }
    ev = (struct kernel_sigevent){NULL, SIGUSR1, SIGEV_THREAD_ID, 0};
    label(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), "thread 0");
    RAW(timer_create, CLOCK_MONOTONIC, (void *)16, &id);
    RAW(timer_create, CLOCK_MONOTONIC, NULL, (void *)16);
    RAW(timer_delete, 1000);
    RAW(timer_delete, -1);
    RAW(timer_getoverrun, 1000);
    RAW(timer_gettime, 1000, NULL);
    RAW(timer_settime, 1000, 0, NULL, NULL);
}

static void settings(void)
{
    struct itimerspec it, old;
    puts("-- set and get");
    int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);
    get("fresh", id);
    RAW(timer_gettime, id, (void *)16);
    RAW(timer_settime, id, 0, NULL, NULL);
    RAW(timer_settime, id, 0, (void *)16, NULL);
    it = spec(1, 0);
    it.it_value.tv_nsec = 1000000000;
    RAW(timer_settime, id, 0, &it, NULL);
    it = spec(1, 0);
    it.it_interval.tv_nsec = -1;
    RAW(timer_settime, id, 0, &it, NULL);
    it = spec(1, 0);
    it.it_value.tv_sec = -1;
    RAW(timer_settime, id, 0, &it, NULL);
    it = spec(90000 * MS, 7);
    RAW(timer_settime, id, 0, &it, (void *)16);
    get("after a bad old value", id);
    RAW(timer_settime, id, 0, &it, &old);
    get("armed", id);
    it = spec(0, 5 * MS);
    RAW(timer_settime, id, 0, &it, &old);
    printf("old value %d interval %ld\n", old.it_value.tv_sec > 80, old.it_interval.tv_nsec);
    get("disarmed", id);
    RAW(timer_settime, id, 77, &it, NULL);
    it.it_value.tv_sec = LONG_MAX;
    RAW(timer_settime, id, 0, &it, NULL);
    get("for ever", id);
    label(set(id, TIMER_ABSTIME, now(CLOCK_MONOTONIC) + 50000 * MS, 3), "absolute");
    get("absolute", id);
    label(set(id, 0, 0, 0), "off");
    RAW(timer_getoverrun, id);
    RAW(timer_delete, id);
    RAW(timer_delete, id);

    puts("-- no signal");
    id = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL);
    set(id, 0, 10 * MS, 0);
    get("running", id);
    sleep_ms(15);
    get("over", id);
    set(id, 0, 10 * MS, 700 * MS);
    sleep_ms(15);
    get("periodic", id);
    RAW(timer_delete, id);
}

static void signals(void)
{
    static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    siginfo_t info;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN + 3, &action, NULL);
    puts("-- one shot, on each clock, relative and absolute");
    for (int i = 0; i < 6; i++)
        for (int absolute = 0; absolute < 2; absolute++) {
            count = 0;
            memset(&last, 0, sizeof last);
            int id = make(clocks[i], SIGEV_SIGNAL, SIGUSR1, (void *)0x123456789abcl);
            long long start = now(clocks[i]);
            set(id, absolute ? TIMER_ABSTIME : 0, absolute ? start + 10 * MS : 10 * MS, 0);
            while (!count)
                if (i < 4)
                    usleep(1000);
            long long took = now(clocks[i]) - start;
            printf("clock %d %s: %s, signal %d code %d id matches %d overrun %d value %p\n", clocks[i], absolute ? "absolute" : "relative",
                   took < 10 * MS ? "early" : "not early", last.si_signo, last.si_code, last.si_timerid == id, last.si_overrun, last.si_value.sival_ptr);
            get("then", id);
            syscall(SYS_timer_delete, id);
        }
    puts("-- default event");
    int id = -1;
    syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id);
    block(SIG_BLOCK, SIGALRM);
    set(id, 0, 1, 0);
    int got = take(SIGALRM, &info, 1000);
    printf("signal %d code %d value is id %d\n", got, info.si_code, info.si_value.sival_int == id);
    syscall(SYS_timer_delete, id);
    block(SIG_UNBLOCK, SIGALRM);

    puts("-- in the past");
    id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);
    count = 0;
    label(set(id, TIMER_ABSTIME, 1, 0), "set");
    sleep_ms(2);
    printf("count %d\n", count);
    syscall(SYS_timer_delete, id);

    puts("-- overruns");
    block(SIG_BLOCK, SIGRTMIN + 3);
    id = make(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 3, (void *)7);
    set(id, 0, 2 * MS, 2 * MS);
    sleep_ms(30);
    get("while pending", id);
    RAW(timer_getoverrun, id);
    got = take(SIGRTMIN + 3, &info, 1000);
    printf("signal %d code %d overrun %s value %d\n", got == SIGRTMIN + 3, info.si_code, info.si_overrun >= 10 && info.si_overrun < 1000 ? "plausible" : "wrong", info.si_value.sival_int);
    printf("getoverrun agrees %d\n", syscall(SYS_timer_getoverrun, id) == info.si_overrun);
    got = take(SIGRTMIN + 3, &info, 1000);
    printf("again %d overrun small %d\n", got == SIGRTMIN + 3, info.si_overrun < 100);
    set(id, 0, 0, 0);
    RAW(timer_getoverrun, id);
    while (take(SIGRTMIN + 3, &info, 0) > 0)
        ;
    set(id, 0, 1, 1);
    sleep_ms(5);
    got = take(SIGRTMIN + 3, &info, 1000);
    printf("every nanosecond: overrun in range %d\n", info.si_overrun > 1000000);
    puts("-- a pending signal of a timer that is set anew, or deleted");
    set(id, 0, 1, 0);
    sleep_ms(2);
    printf("pending %d\n", pending(SIGRTMIN + 3));
    set(id, 0, 0, 0);
    printf("taken %s\n", take(SIGRTMIN + 3, &info, 0) > 0 ? "yes" : "no");
    set(id, 0, 1, 0);
    sleep_ms(2);
    syscall(SYS_timer_delete, id);
    printf("taken %s\n", take(SIGRTMIN + 3, &info, 0) > 0 ? "yes" : "no");
    puts("-- two timers, one standard signal");
    block(SIG_BLOCK, SIGUSR1);
    int a = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, (void *)1), b = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, (void *)2);
    set(a, 0, 1, 0);
    sleep_ms(2);
    set(b, 0, 1, 0);
    sleep_ms(2);
    while (take(SIGUSR1, &info, 0) > 0)
        printf("value %d\n", info.si_value.sival_int);
    kill(getpid(), SIGUSR1);
    set(a, 0, 1, 0);
    sleep_ms(2);
    while (take(SIGUSR1, &info, 0) > 0)
        printf("code %d\n", info.si_code);
    puts("-- ignored");
    block(SIG_UNBLOCK, SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    set(a, 0, 1 * MS, 20 * MS);
    set(b, 0, 1 * MS, 0);
    sleep_ms(5);
    get("ignored, periodic", a);
    get("ignored, one shot", b);
    count = 0;
    sigaction(SIGUSR1, &action, NULL);
    printf("count once it is not ignored: %d\n", count);
    set(a, 0, 0, 0);
    puts("-- ignored while pending");
    block(SIG_BLOCK, SIGUSR1);
    set(a, 0, 1, 500 * MS);
    set(b, 0, 1, 0);
    sleep_ms(2);
    printf("pending %d\n", pending(SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    printf("pending %d\n", pending(SIGUSR1));
    sigaction(SIGUSR1, &action, NULL);
    printf("pending %d\n", pending(SIGUSR1));
    while (take(SIGUSR1, &info, 0) > 0)
        printf("taken, of the periodic one %d\n", info.si_timerid == a);
    block(SIG_UNBLOCK, SIGUSR1);
    syscall(SYS_timer_delete, a);
    syscall(SYS_timer_delete, b);
}

static void limits(void)
{
    struct rlimit old, few = {0};
    puts("-- RLIMIT_SIGPENDING");
    int ids[64], made = 0;
    for (int i = 0; i < 3; i++)
        ids[made++] = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);
    getrlimit(RLIMIT_SIGPENDING, &old);
    few = old;
    few.rlim_cur = 0;
    setrlimit(RLIMIT_SIGPENDING, &few);
    label(make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL), "one too many");
    label(make(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL), "one too many without a signal");
    block(SIG_BLOCK, SIGUSR1);
    set(ids[0], 0, 1, 0);
    sleep_ms(2);
    siginfo_t info;
    printf("its signal has its place: %d\n", take(SIGUSR1, &info, 0));
    block(SIG_UNBLOCK, SIGUSR1);
    setrlimit(RLIMIT_SIGPENDING, &old);
    while (made)
        syscall(SYS_timer_delete, ids[--made]);
}

static void inherited(char **argv)
{
    puts("-- fork and exec");
    int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);
    set(id, 0, 50000 * MS, 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        get("in the child", id);
        int fresh = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL);
        printf("its first timer %d\n", fresh);
        fflush(stdout);
        char text[20];
        sprintf(text, "%d", fresh);
        execl("/proc/self/exe", argv[0], text, NULL);
    }
    int status;
    waitpid(child, &status, 0);
    get("in the parent", id);
    puts("-- /proc/self/timers");
    for (int i = 0; i < id; i++)
        syscall(SYS_timer_delete, i);
    int more[] = {make(CLOCK_REALTIME, SIGEV_THREAD_ID, 40, (void *)0xabc), make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_NONE, 0, NULL), make(CLOCK_TAI, SIGEV_THREAD, 9, (void *)-1)};
    clockid_t own = (~(unsigned)getpid() << 3) | 2;
    int last = make(own, SIGEV_SIGNAL, 3, NULL);
    FILE *file = fopen("/proc/self/timers", "r");
    char line[200];
    while (file && fgets(line, sizeof line, file)) {
        int n;
        char *at = strstr(line, "id.");
        if (at && atoi(at + 3) == getpid())
            strcpy(at + 3, "SELF\n");
        if (sscanf(line, "ClockID: %d", &n) == 1 && n == own)
            strcpy(line, "ClockID: own\n");
        if (sscanf(line, "ID: %d", &n) == 1)
            sprintf(line, "ID: first + %d\n", n - id);
        fputs(line, stdout);
    }
    syscall(SYS_timer_delete, id);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1) {
        get("after exec", atoi(argv[1]));
        printf("the first after exec: %d\n", make(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL));
        return 0;
    }
    create();
    settings();
    signals();
    limits();
    inherited(argv);
    return 0;
}

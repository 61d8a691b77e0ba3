/* Waiting calls and signals: which are made again, which fail with EINTR, what is left of a time. */
#include "show.h"
#include <poll.h>
#include <sys/select.h>
#include <linux/futex.h>

static volatile int count;
static int pipes[2], feed;

static void handler(int signo)
{
    count++;
    if (feed)
        write(pipes[1], "x", 1);
}

static void in(int ms)
{
    struct itimerval soon = {{0, 0}, {0, ms * 1000}};
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void install(int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    count = 0;
}

static long ms_since(struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

#define WAIT(call) \
    do { \
        struct timespec start; \
        clock_gettime(CLOCK_MONOTONIC, &start); \
        in(30); \
        long result = (call); \
        int e = errno; \
        long took = ms_since(&start); \
        printf("%s = %ld %s; handler ran %d; %s\n", #call, result, result < 0 ? errno_name(e) : "", count, \
               took < 25 ? "too early" : took < 85 ? "at the signal" : "to its end"); \
        count = 0; \
    } while (0)

static long waits(void)
{
    char c;
    struct timespec t = {0, 100000000}, rem = {7, 7};
    struct pollfd p = {pipes[0], POLLIN, 0};
    uint32_t word = 1;
    sigset_t none, alarm;
    sigemptyset(&none);
    sigemptyset(&alarm);

    WAIT(nanosleep(&t, &rem));
    printf("rem %s\n", rem.tv_sec == 7 ? "untouched" : rem.tv_sec == 0 && rem.tv_nsec > 20000000 && rem.tv_nsec < 80000000 ? "the rest" : "strange");
    rem = (struct timespec){7, 7};
    WAIT(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &t, &rem));
    printf("rem %s\n", rem.tv_sec == 7 ? "untouched" : "written");
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    rem = (struct timespec){7, 7};
    WAIT(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, &rem));
    printf("rem %s\n", rem.tv_sec == 7 ? "untouched" : "written");
    WAIT(pause());
    WAIT(sigsuspend(&none));
    WAIT(poll(&p, 1, 100));
    WAIT(ppoll(&p, 1, &t, &none));
    t = (struct timespec){0, 100000000};
    WAIT(poll(NULL, 0, 100));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    struct timeval tv = {0, 100000};
    WAIT(select(pipes[0] + 1, &set, NULL, NULL, &tv));
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    WAIT(pselect(pipes[0] + 1, &set, NULL, NULL, &t, &none));
    sigaddset(&alarm, SIGUSR1);
    WAIT(sigtimedwait(&alarm, NULL, &t));
    WAIT(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &t, NULL, 0));
    feed = 1;
    WAIT(read(pipes[0], &c, 1));
    while (poll(&p, 1, 0) == 1)
        read(pipes[0], &c, 1);
    feed = 0;
    return 0;
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    pipe(pipes);
    puts("-- with SA_RESTART");
    install(SA_RESTART);
    waits();
    puts("-- without");
    install(0);
    waits();

    puts("-- no handler: the wait goes on");
    signal(SIGALRM, SIG_IGN);
    struct timespec t = {0, 100000000};
    WAIT(nanosleep(&t, NULL));
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGCHLD);
    WAIT(sigtimedwait(&some, NULL, &t));

    puts("-- sigtimedwait takes what arrives, handler or not");
    install(0);
    siginfo_t info;
    sigemptyset(&some);
    sigaddset(&some, SIGALRM);
    sigprocmask(SIG_BLOCK, &some, NULL);
    WAIT(sigtimedwait(&some, &info, &t));
    printf("signo %d code %d\n", info.si_signo, info.si_code);
    WAIT(sigwaitinfo(&some, &info));

    puts("-- sigsuspend puts the mask back, and its frame says so");
    sigset_t empty, now;
    sigemptyset(&empty);
    sigaddset(&some, SIGUSR2);
    sigprocmask(SIG_SETMASK, &some, NULL);
    WAIT(sigsuspend(&empty));
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("blocked ALRM %d USR2 %d\n", sigismember(&now, SIGALRM), sigismember(&now, SIGUSR2));
    raise(SIGALRM);
    puts("one is pending: sigsuspend returns at once");
    SHOW(sigsuspend(&empty));
    printf("handler ran %d\n", count);
    return 0;
}

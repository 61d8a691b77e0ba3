// signalfd: what is read, by whom, and what a descriptor of it can do.
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static pid_t me;
static char padding[256];

static void show(const struct signalfd_siginfo *i)
{
    pid_t pid = i->ssi_pid;
    NOTE("  signo %u errno %d code %d pid %s uid %u fd %d tid %u band %u overrun %u trapno %u status %d int %d ptr %#llx"
         " times %d addr %d lsb %u syscall %d call %d arch %u",
         i->ssi_signo, i->ssi_errno, i->ssi_code, pid == me ? "me" : pid ? "other" : "0", i->ssi_uid, i->ssi_fd, i->ssi_tid,
         i->ssi_band, i->ssi_overrun, i->ssi_trapno, i->ssi_status, i->ssi_int, (unsigned long long)i->ssi_ptr,
         i->ssi_utime < 1000 && i->ssi_stime < 1000, i->ssi_addr != 0, i->ssi_addr_lsb, i->ssi_syscall,
         i->ssi_call_addr != 0, i->ssi_arch);
}

static void take(const char *text, int fd, int most)
{
    struct signalfd_siginfo got[8];
    memset(got, 0xee, sizeof got);
    long n = read(fd, got, most * sizeof *got);
    if (n < 0) {
        NOTE("%s: %s", text, errno_name(errno));
        return;
    }
    NOTE("%s: %ld bytes", text, n);
    for (int i = 0; i < n / (long)sizeof *got; i++) {
        show(&got[i]);
        for (size_t k = offsetof(struct signalfd_siginfo, ssi_arch) + 4; k < sizeof *got; k++)
            if (((char *)&got[i])[k])
                NOTE("  byte %zu is not zero", k);
    }
}

static void queue(int signo, int value)
{
    union sigval v = {.sival_ptr = (void *)(0x1234567800000000 | (unsigned)value)};
    if (sigqueue(me, signo, v))
        die("sigqueue");
}

static void on_signal(int signo)
{
    NOTE("handler: %d", signo);
}

int main(void)
{
    sigset_t set, one, pending;
    char data[128], link[64];
    struct pollfd p;
    me = getpid();
    sigfillset(&set);
    SHOW(signalfd(-1, &set, 0x1234));
    SHOW(signalfd(-2, &set, 0));
    SHOW(signalfd(999, &set, 0));
    SHOW(signalfd(1, &set, 0));
    SHOW(syscall(SYS_signalfd4, -1, &set, 4, 0));
    SHOW(syscall(SYS_signalfd4, -1, NULL, 8, 0));
    SHOW(syscall(SYS_signalfd4, -1, NULL, 4, 0));
    SHOW(syscall(SYS_signalfd4, -1, NULL, 8, 77));
    SHOW(close(syscall(SYS_signalfd, -1, &set, 8)));
    sigdelset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(write(fd, data, 128));
    snprintf(data, sizeof data, "/proc/self/fd/%d", fd);
    show_bytes("link", link, readlink(data, link, sizeof link));
    p.fd = fd, p.events = POLLIN | POLLOUT | POLLRDNORM;
    SHOW(poll(&p, 1, 0));
    take("nothing pending", fd, 1);
    SHOW(read(fd, data, 127));

    NOTE("-- kinds of signals");
    raise(SIGUSR1);
    kill(me, SIGUSR2);
    kill(me, SIGUSR2);
    queue(SIGRTMIN, 1);
    queue(SIGRTMIN, 2);
    queue(SIGTERM, -3);
    SHOW(poll(&p, 1, 0));
    NOTE("%#x", p.revents);
    take("two", fd, 2);
    take("the rest", fd, 8);
    take("none", fd, 8);
    struct itimerval soon = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    while (poll(&p, 1, 1000) != 1)
        ;
    take("alarm", fd, 8);
    signal(SIGPIPE, SIG_DFL);
    int q[2];
    pipe(q);
    close(q[0]);
    SHOW(write(q[1], "x", 1));
    take("a broken pipe", fd, 8);
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(7);
    poll(&p, 1, 5000);
    take("a child's end", fd, 8);
    waitpid(child, NULL, 0);
    child = fork();
    if (!child)
        pause();
    kill(child, SIGKILL);
    poll(&p, 1, 5000);
    take("a child killed", fd, 8);
    waitpid(child, NULL, 0);
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_ASYNCIO};
    info.si_pid = 77, info.si_uid = 88, info.si_value.sival_int = 99;
    syscall(SYS_rt_sigqueueinfo, me, SIGUSR1, &info);
    info.si_code = SI_TIMER;
    syscall(SYS_rt_sigqueueinfo, me, SIGUSR2, &info);
    info.si_code = 2;
    syscall(SYS_rt_sigqueueinfo, me, SIGSYS, &info);
    syscall(SYS_rt_sigqueueinfo, me, SIGIO, &info);
    take("made up", fd, 8);

    NOTE("-- other masks");
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigaddset(&one, SIGKILL);
    NOTE("same descriptor: %d", signalfd(fd, &one, 0) == fd);
    snprintf(data, sizeof data, "/proc/self/fdinfo/%d", fd);
    int f = open(data, O_RDONLY);
    char text[512];
    long n = read(f, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    char *line = strstr(text, "sigmask");
    fputs(line ? line : "no line\n", stdout);
    raise(SIGUSR2);
    take("only SIGUSR1 wanted", fd, 8);
    int second = signalfd(-1, &set, SFD_NONBLOCK);
    raise(SIGUSR1);
    take("first", fd, 8);
    take("second", second, 8);
    queue(SIGRTMIN + 1, 5);
    queue(SIGRTMIN + 1, 6);
    char *bad = island(1) + PAGE - 128;
    SHOW(read(second, bad, 256));
    take("after a buffer for one", second, 8);
    queue(SIGRTMIN + 1, 7);
    SHOW(read(second, (void *)8, 128));
    take("after a bad buffer", second, 8);
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR2);
    take("blocked and ignored", second, 8);
    signal(SIGUSR2, SIG_DFL);

    NOTE("-- waiting");
    fcntl(fd, F_SETFL, 0);
    fflush(stdout);
    child = fork();
    if (!child) {
        usleep(20000);
        kill(me, SIGUSR1);
        _exit(0);
    }
    sigset_t all = set;
    sigaddset(&one, SIGCHLD);
    signalfd(fd, &one, 0);
    take("waited for", fd, 1);
    take("and its end", fd, 1);
    waitpid(child, NULL, 0);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&one);
    sigaddset(&one, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    soon.it_value.tv_usec = 20000;
    setitimer(ITIMER_REAL, &soon, NULL);
    take("interrupted", fd, 1);
    sigprocmask(SIG_BLOCK, &one, NULL);

    NOTE("-- epoll");
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 3}, got;
    signalfd(fd, &all, 0);
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    SHOW(epoll_wait(ep, &got, 1, 0));
    raise(SIGUSR1);
    SHOW(epoll_wait(ep, &got, 1, 0));
    SHOW(epoll_wait(ep, &got, 1, 0));
    fflush(stdout);
    child = fork();
    if (!child) {
        me = getpid();
        p.fd = fd;
        SHOW(poll(&p, 1, 0)); /* the child has nothing pending */
        fcntl(fd, F_SETFL, O_NONBLOCK);
        take("child", fd, 8);
        raise(SIGUSR2);
        take("child, its own", fd, 8);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    take("parent", fd, 8);
    SHOW(epoll_wait(ep, &got, 1, 0));
    e.events = EPOLLIN | EPOLLET;
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
    raise(SIGUSR1);
    SHOW(epoll_wait(ep, &got, 1, 0));
    SHOW(epoll_wait(ep, &got, 1, 0));
    raise(SIGUSR2);
    SHOW(epoll_wait(ep, &got, 1, 0));
    take("both", fd, 8);
    sigpending(&pending);
    NOTE("pending: %d", sigismember(&pending, SIGUSR1));
    return 0;
}

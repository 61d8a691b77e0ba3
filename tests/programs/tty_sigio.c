/* O_ASYNC on terminals, and epoll's edges on them. */
#include "pty.h"
#include <sys/epoll.h>

static int m, s, ep;
static int told[65], band;

static void on_io(int signo, siginfo_t *info, void *unused)
{
    told[signo]++;
    band = info->si_code > 0 ? info->si_band : 0;
}

/* Linux makes input readable first and signals it then: a signal that is to come has a moment for it. */
static void say(const char *what)
{
    for (int ms = 0; ms < 50 && !told[SIGIO] && !told[SIGUSR1]; ms++)
        usleep(1000);
    printf("%s: SIGIO %d, SIGUSR1 %d band %x\n", what, told[SIGIO] > 0, told[SIGUSR1] > 0, band);
    memset(told, 0, sizeof told);
    band = 0;
}

static void events(const char *what)
{
    struct epoll_event e[4];
    int n = epoll_wait(ep, e, 4, 0);
    printf("%s:", what);
    for (int i = 0; i < n; i++)
        printf(" %s %x", e[i].data.fd == m ? "master" : "slave", e[i].events);
    putchar('\n');
}

static void arrive(void)
{
    struct pollfd p = {s, POLLIN, 0};
    poll(&p, 1, 0);
}

int main(void)
{
    pair(&m, &s);
    struct sigaction a = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGIO, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
    SHOW(fcntl(s, F_GETOWN));
    SHOW(fcntl(s, F_SETFL, fcntl(s, F_GETFL) | O_ASYNC));
    printf("owner is this process: %d\n", fcntl(s, F_GETOWN) == getpid());
    write_all(m, "half");
    arrive();
    say("half a line");
    write_all(m, " and end\n");
    arrive();
    say("a line");
    show_read("it", s, 100);
    SHOW(fcntl(s, F_SETSIG, SIGUSR1));
    write_all(m, "more\n");
    arrive();
    say("with F_SETSIG");
    SHOW(fcntl(s, F_SETFL, fcntl(s, F_GETFL) & ~O_ASYNC));
    write_all(m, "more\n");
    arrive();
    say("without O_ASYNC");
    show_read("one", s, 100);
    show_read("two", s, 100);
    settle(m, s);
    SHOW(fcntl(m, F_SETFL, fcntl(m, F_GETFL) | O_ASYNC));
    write_all(s, "output\n");
    struct pollfd p = {m, POLLIN, 0};
    poll(&p, 1, 0);
    say("output");
    show_read("it", m, 100);
    ioctl(s, TCFLSH, TCIFLUSH);
    fcntl(m, F_SETFL, fcntl(m, F_GETFL) & ~O_ASYNC);

    ep = epoll_create1(0);
    struct epoll_event e = {EPOLLIN | EPOLLET | EPOLLPRI, {.fd = s}};
    epoll_ctl(ep, EPOLL_CTL_ADD, s, &e);
    e.data.fd = m;
    epoll_ctl(ep, EPOLL_CTL_ADD, m, &e);
    events("nothing");
    write_all(m, "x");
    arrive();
    poll(&p, 1, 0);
    events("half a line");
    events("again");
    write_all(m, "y\n");
    arrive();
    for (int echoed = 0; echoed < 4; usleep(1000)) /* x, y and the line's end, which may come later than the line */
        ioctl(m, FIONREAD, &echoed);
    events("a line");
    events("again");
    show_read("part of it", s, 1);
    events("the rest is no edge");
    show_read("it", s, 10);
    show_read("echo", m, 10);
    write_all(s, "out\n");
    poll(&p, 1, 0);
    events("output");
    close(s);
    events("closed");
    return 0;
}

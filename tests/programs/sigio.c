/* SIGIO: who is told when a pipe becomes ready, with what; F_SETOWN, F_SETSIG, O_ASYNC. */
#include "show.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static int ends[2];
static volatile int count;
static volatile siginfo_t last;

static void handler(int signo, siginfo_t *info, void *context)
{
    count++;
    last = *info;
}

static void told(const char *what)
{
    const char *which = count && last.si_code != SI_KERNEL ? last.si_fd == ends[0] ? "read end" : last.si_fd == ends[1] ? "write end" : "?" : "";
    if (count)
        NOTE("%s: %d, signal %d code %d band %lx %s", what, count, last.si_signo, last.si_code,
             last.si_code == SI_KERNEL ? 0 : last.si_band, which);
    else
        NOTE("%s: nothing", what);
    count = 0;
}

static void owners(int fd)
{
    struct f_owner_ex owner = {F_OWNER_PID, getpid()}, got = {9, 9};
    SHOW(fcntl(fd, F_GETOWN));
    SHOW(fcntl(fd, F_GETOWN_EX, &got));
    NOTE("%d %d", got.type, got.pid);
    SHOW(fcntl(fd, F_SETOWN, getpid()));
    NOTE("%d", fcntl(fd, F_GETOWN) == getpid());
    SHOW(fcntl(fd, F_SETOWN, -getpgrp()));
    SHOW(fcntl(fd, F_GETOWN_EX, &got));
    NOTE("%d %d", got.type, got.pid == getpgrp());
    owner.type = F_OWNER_TID;
    SHOW(fcntl(fd, F_SETOWN_EX, &owner));
    SHOW(fcntl(fd, F_GETOWN_EX, &got));
    NOTE("%d %d", got.type, got.pid == getpid());
    owner.type = 3;
    SHOW(fcntl(fd, F_SETOWN_EX, &owner));
    owner = (struct f_owner_ex){F_OWNER_PID, 1 << 22};
    SHOW(fcntl(fd, F_SETOWN_EX, &owner));
    SHOW(fcntl(fd, F_SETOWN, 1 << 22));
    SHOW(fcntl(fd, F_SETOWN, 1 << 31));
    pid_t pid = fork();
    if (!pid) /* the description is shared, and so is its owner */
        _exit(fcntl(fd, F_GETOWN) == getppid());
    SHOW(fcntl(fd, F_SETOWN, pid));
    int status;
    waitpid(pid, &status, 0);
    SHOW(fcntl(fd, F_GETOWN));
    SHOW(fcntl(fd, F_SETOWN, 0));
    SHOW(fcntl(fd, F_GETSIG));
    SHOW(fcntl(fd, F_SETSIG, 65));
    SHOW(fcntl(fd, F_SETSIG, 64));
    SHOW(fcntl(fd, F_GETSIG));
    SHOW(fcntl(fd, F_SETSIG, 0));
}

static void flags(void)
{
    int on = 1, off = 0, event = eventfd(0, 0), plain = open("plain", O_RDWR | O_CREAT, 0644);
    int fds[] = {ends[0], ends[1], event, plain};
    for (int i = 0; i < 4; i++) {
        label(fcntl(fds[i], F_SETFL, O_ASYNC | O_NONBLOCK), "set %d", i);
        NOTE("%d: %o", i, fcntl(fds[i], F_GETFL) & (O_ASYNC | O_NONBLOCK));
        label(fcntl(fds[i], F_SETFL, O_NONBLOCK), "clear %d", i);
        NOTE("%d: %o", i, fcntl(fds[i], F_GETFL) & (O_ASYNC | O_NONBLOCK));
        label(ioctl(fds[i], FIOASYNC, &on), "on %d", i);
        NOTE("%d: %o", i, fcntl(fds[i], F_GETFL) & O_ASYNC);
        label(ioctl(fds[i], FIOASYNC, &off), "off %d", i);
        NOTE("%d: %o", i, fcntl(fds[i], F_GETFL) & O_ASYNC);
    }
    close(event);
    close(plain);
}

static void sending(int signo)
{
    char data[5000];
    NOTE("F_SETSIG %d", signo);
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETSIG, signo);
        fcntl(ends[i], F_SETOWN, getpid());
    }
    write(ends[1], data, 1);
    told("before O_ASYNC");
    fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK);
    write(ends[1], data, 1);
    told("write");
    write(ends[1], data, 10);
    told("another write");
    read(ends[0], data, 5);
    told("read");
    fcntl(ends[1], F_SETFL, O_ASYNC | O_NONBLOCK);
    read(ends[0], data, 5);
    told("read, the writer listens");
    write(ends[1], data, 1);
    told("write");
    /* a descriptor that is only a copy: the one it was set through is told */
    int copy = dup(ends[1]);
    read(ends[0], data, sizeof data);
    told("read");
    close(copy);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    fcntl(ends[0], F_SETOWN, 0);
    write(ends[1], data, 1);
    told("no owner");
    fcntl(ends[0], F_SETOWN, getpid());
    read(ends[0], data, sizeof data);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    write(ends[1], data, 1);
    told("without O_ASYNC");
    read(ends[0], data, sizeof data);
}

static void ending(void)
{
    for (int end = 0; end < 2; end++) {
        fcntl(ends[0], F_SETFL, O_ASYNC);
        fcntl(ends[1], F_SETFL, O_ASYNC);
        for (int i = 0; i < 2; i++) {
            fcntl(ends[i], F_SETSIG, SIGRTMIN);
            fcntl(ends[i], F_SETOWN, getpid());
        }
        count = 0;
        close(ends[end]);
        told(end ? "writer gone" : "reader gone");
        close(ends[!end]);
        told("both gone");
        pipe(ends);
    }
}

static void others(void)
{
    int ready[2], status;
    char byte;
    pipe(ready);
    for (int way = 0; way < 4; way++) {
        pid_t pid = fork();
        if (!pid) {
            sigset_t set;
            siginfo_t info;
            struct timespec soon = {5, 0};
            setpgid(0, 0);
            sigemptyset(&set);
            sigaddset(&set, SIGIO);
            sigaddset(&set, SIGRTMIN);
            sigprocmask(SIG_BLOCK, &set, NULL);
            if (way == 3)
                setresuid(1000, 1000, 1000);
            write(ready[1], "x", 1);
            int got = sigtimedwait(&set, &info, way == 3 ? &(struct timespec){0, 50000000} : &soon);
            NOTE("the other got %d", got);
            _exit(0);
        }
        read(ready[0], &byte, 1);
        struct f_owner_ex owner = {way == 0 ? F_OWNER_TID : way == 1 || way == 3 ? F_OWNER_PID : F_OWNER_PGRP, pid};
        fcntl(ends[0], F_SETSIG, way == 1 ? SIGRTMIN : 0);
        fcntl(ends[0], F_SETFL, O_ASYNC);
        if (way == 3 && geteuid() == 0) /* set by somebody who may not signal it */
            setresuid(1001, 1001, 0);
        label(fcntl(ends[0], F_SETOWN_EX, &owner), "way %d", way);
        if (way == 3)
            setresuid(0, 0, 0);
        write(ends[1], "y", 1);
        read(ends[0], &byte, 1);
        waitpid(pid, &status, 0);
        NOTE("status %x", status);
    }
    /* Whoever does not expect it dies of it. */
    pid_t pid = fork();
    if (!pid) {
        signal(SIGIO, SIG_DFL);
        write(ready[1], "x", 1);
        pause();
    }
    read(ready[0], &byte, 1);
    fcntl(ends[0], F_SETOWN, pid);
    write(ends[1], "y", 1);
    waitpid(pid, &status, 0);
    NOTE("status %x", status);
    told("we");
}

static void fifo(void)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/fifo-%d", getpid());
    mkfifo(path, 0600);
    int both = open(path, O_RDWR | O_NONBLOCK);
    unlink(path);
    ends[0] = both;
    fcntl(both, F_SETOWN, getpid());
    fcntl(both, F_SETSIG, SIGRTMIN + 1);
    SHOW(fcntl(both, F_SETFL, O_ASYNC | O_NONBLOCK));
    count = 0;
    write(both, "x", 1);
    told("fifo, write");
    char byte;
    read(both, &byte, 1);
    told("fifo, read");
    close(both);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    setvbuf(stdout, NULL, _IONBF, 0);
    sigaction(SIGIO, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    sigaction(SIGRTMIN, &action, NULL);
    sigaction(SIGRTMIN + 1, &action, NULL);
    pipe(ends);
    owners(ends[0]);
    flags();
    count = 0;
    sending(0);
    sending(SIGIO);
    sending(SIGUSR1);
    sending(SIGCHLD);
    sending(SIGRTMIN);
    ending();
    signal(SIGCHLD, SIG_DFL);
    others();
    fifo();
    int directory = open(".", O_RDONLY), plain = open("plain", O_RDWR);
    SHOW(fcntl(plain, F_NOTIFY, DN_CREATE));
    SHOW(fcntl(plain, F_GETLEASE));
    SHOW(fcntl(plain, F_SETLEASE, 7));
}

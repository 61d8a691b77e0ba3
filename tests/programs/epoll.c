// epoll: interests, level and edge, one shot, nesting, descriptors that are shared, masks and time-outs.
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static int ep;

static int ctl(int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event e = {.events = events, .data.u64 = data};
    return epoll_ctl(ep, op, fd, &e);
}

#define ADD EPOLL_CTL_ADD
#define MOD EPOLL_CTL_MOD
#define DEL EPOLL_CTL_DEL

/* What one epoll_wait without waiting says. */
static void look_at(int epfd, const char *text, int maximum)
{
    struct epoll_event got[16];
    int n = epoll_wait(epfd, got, maximum, 0);
    printf("%s: %d", text, n);
    if (n < 0)
        printf(" %s", errno_name(errno));
    for (int i = 0; i < n; i++)
        printf(" [%x %llu]", got[i].events, (unsigned long long)got[i].data.u64);
    printf("\n");
}

#define LOOK(text) look_at(ep, text, 16)

static void put(int fd, uint64_t value)
{
    if (write(fd, &value, 8) != 8)
        die("put");
}

static uint64_t take(int fd)
{
    uint64_t value = 0;
    if (read(fd, &value, 8) < 0)
        NOTE("take: %s", errno_name(errno));
    return value;
}

static void errors(void)
{
    struct epoll_event e = {.events = EPOLLIN};
    static struct epoll_event got[4]; /* not near the end of the address space, as the stack is */
    int p[2];
    NOTE("-- errors");
    SHOW(epoll_create(0));
    SHOW(epoll_create(-1));
    SHOW(epoll_create1(1));
    SHOW(fcntl(epoll_create(1), F_GETFD));
    int c = epoll_create1(EPOLL_CLOEXEC);
    SHOW(fcntl(c, F_GETFD));
    SHOW(fcntl(c, F_GETFL));
    SHOW(read(c, got, 12));
    SHOW(write(c, got, 12));
    SHOW(lseek(c, 0, SEEK_SET));
    pipe(p);
    SHOW(epoll_ctl(999, ADD, p[0], &e));
    SHOW(epoll_ctl(c, ADD, 999, &e));
    SHOW(epoll_ctl(999, ADD, 999, NULL));
    SHOW(epoll_ctl(c, ADD, p[0], NULL));
    SHOW(epoll_ctl(c, DEL, p[0], NULL));
    SHOW(epoll_ctl(c, MOD, p[0], &e));
    SHOW(epoll_ctl(c, 77, p[0], &e));
    SHOW(epoll_ctl(c, 77, p[0], NULL));
    SHOW(epoll_ctl(c, ADD, c, &e));
    SHOW(epoll_ctl(p[0], ADD, p[1], &e));
    SHOW(epoll_ctl(p[0], ADD, p[0], &e));
    SHOW(epoll_ctl(c, ADD, p[0], &e));
    SHOW(epoll_ctl(c, ADD, p[0], &e));
    SHOW(epoll_ctl(c, DEL, p[0], &e));
    SHOW(epoll_ctl(c, DEL, p[0], &e));
    SHOW(epoll_ctl(c, ADD, open("file", O_RDWR | O_CREAT, 0644), &e));
    SHOW(epoll_ctl(c, ADD, open(".", O_RDONLY), &e));
    SHOW(epoll_ctl(c, ADD, open("/dev/null", O_RDWR), &e));
    SHOW(epoll_ctl(c, ADD, open("/dev/zero", O_RDWR), &e));
    SHOW(epoll_ctl(c, ADD, open("/proc/self/stat", O_RDONLY), &e));
    SHOW(epoll_ctl(c, ADD, open(".", O_PATH), &e));
    SHOW(epoll_ctl(c, ADD, memfd_create("m", 0), &e));
    SHOW(epoll_wait(999, got, 4, 0));
    SHOW(epoll_wait(999, got, 0, 0));
    SHOW(epoll_wait(p[0], got, 4, 0));
    SHOW(epoll_wait(p[0], got, -1, 0));
    SHOW(epoll_wait(c, got, 0, 0));
    SHOW(epoll_wait(c, got, -4, 0));
    SHOW(epoll_wait(c, got, INT_MAX / 12, 0));
    SHOW(epoll_wait(c, got, INT_MAX / 12 + 1, 0));
    SHOW(epoll_wait(c, NULL, 4, 0));
    SHOW(epoll_wait(c, (void *)-64L, 4, 0));
    e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    SHOW(epoll_ctl(c, ADD, p[0], &e));
    e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP;
    SHOW(epoll_ctl(c, ADD, p[0], &e));
    e.events = EPOLLIN | EPOLLEXCLUSIVE;
    SHOW(epoll_ctl(c, ADD, epoll_create(1), &e));
    SHOW(epoll_ctl(c, ADD, p[0], &e));
    SHOW(epoll_ctl(c, MOD, p[0], &e));
    e.events = EPOLLIN;
    SHOW(epoll_ctl(c, MOD, p[0], &e));
    SHOW(epoll_ctl(c, DEL, p[0], &e));
    e.events = EPOLLIN | EPOLLWAKEUP;
    SHOW(epoll_ctl(c, ADD, p[0], &e));
    write(p[1], "x", 1);
    char *bad = island(1);
    SHOW(epoll_wait(c, (void *)(bad + PAGE - 4), 1, 0));
    SHOW(epoll_wait(c, got, 1, 0));
}

static void levels(void)
{
    int p[2];
    char data[64];
    NOTE("-- level");
    ep = epoll_create1(0);
    pipe(p);
    SHOW(ctl(ADD, p[0], EPOLLIN | EPOLLRDHUP, 1));
    SHOW(ctl(ADD, p[1], EPOLLOUT, 2));
    LOOK("empty pipe");
    write(p[1], "abc", 3);
    LOOK("written");
    LOOK("again");
    SHOW(ctl(MOD, p[0], 0, 3));
    LOOK("nothing asked");
    SHOW(ctl(MOD, p[0], EPOLLIN, 0xfedcba9876543210));
    LOOK("asked again");
    read(p[0], data, sizeof data);
    LOOK("read");
    close(p[1]);
    LOOK("writer gone");
    SHOW(ctl(DEL, p[0], 0, 0));
    LOOK("removed");
    close(p[0]);
    pipe(p);
    ctl(ADD, p[1], 0, 5);
    LOOK("nothing asked of the writing end");
    close(p[0]);
    LOOK("reader gone");
    close(p[1]);
    LOOK("all closed");
    int ev = eventfd(0, EFD_NONBLOCK);
    ctl(ADD, ev, EPOLLIN | EPOLLOUT, 6);
    LOOK("eventfd 0");
    put(ev, 3);
    LOOK("eventfd 3");
    put(ev, UINT64_MAX - 4);
    LOOK("eventfd full");
    take(ev);
    LOOK("eventfd read");
    close(ev);
    close(ep);
}

static void edges(void)
{
    int p[2], q[2];
    char data[64];
    static char big[1 << 16];
    NOTE("-- edge");
    ep = epoll_create1(0);
    pipe2(p, O_NONBLOCK);
    ctl(ADD, p[0], EPOLLIN | EPOLLET, 1);
    LOOK("empty");
    write(p[1], "a", 1);
    LOOK("one written");
    LOOK("again");
    write(p[1], "b", 1);
    LOOK("another written");
    write(p[1], "c", 1);
    write(p[1], "d", 1);
    LOOK("two written");
    read(p[0], data, 1);
    LOOK("one read");
    ctl(MOD, p[0], EPOLLIN | EPOLLET, 2);
    LOOK("modified");
    LOOK("again");
    read(p[0], data, sizeof data);
    write(p[1], "e", 1);
    read(p[0], data, sizeof data);
    LOOK("written and read");
    ctl(ADD, p[1], EPOLLOUT | EPOLLET, 3);
    LOOK("room");
    LOOK("again");
    write(p[1], big, 4096);
    read(p[0], data, 10);
    LOOK("half empty");
    while (write(p[1], big, 4096) > 0)
        ;
    LOOK("filled");
    read(p[0], data, 10);
    LOOK("some read");
    read(p[0], big, 4096);
    LOOK("a page read");
    read(p[0], big, 4096);
    LOOK("another");
    pipe(q);
    close(q[1]);
    ctl(ADD, q[0], EPOLLIN | EPOLLET, 4);
    LOOK("hung up before");
    LOOK("again");
    dup2(p[1], 100);
    LOOK("a second writer");
    close(100);
    LOOK("it went");
    close(p[1]);
    LOOK("all writers went");
    LOOK("again");
    close(p[0]), close(q[0]);

    int ev = eventfd(0, EFD_NONBLOCK), sem = eventfd(4, EFD_NONBLOCK | EFD_SEMAPHORE);
    ctl(ADD, ev, EPOLLIN | EPOLLET, 5);
    put(ev, 1);
    LOOK("eventfd 1");
    put(ev, 1);
    LOOK("eventfd 2");
    put(ev, 0);
    LOOK("eventfd 2, nothing added");
    take(ev);
    LOOK("eventfd read");
    ctl(ADD, sem, EPOLLIN | EPOLLET, 6);
    LOOK("semaphore");
    take(sem);
    LOOK("semaphore taken, input only");
    ctl(MOD, sem, EPOLLIN | EPOLLOUT | EPOLLET, 7);
    LOOK("semaphore, both");
    take(sem);
    LOOK("semaphore taken, both");
    NOTE("-- one shot");
    ctl(MOD, sem, EPOLLIN | EPOLLONESHOT, 8);
    LOOK("armed");
    LOOK("fired");
    put(sem, 1);
    LOOK("more");
    ctl(MOD, sem, EPOLLIN | EPOLLONESHOT | EPOLLET, 9);
    LOOK("armed again");
    put(sem, 1);
    LOOK("fired");
    pipe(p);
    ctl(ADD, p[0], EPOLLIN | EPOLLONESHOT, 10);
    write(p[1], "x", 1);
    LOOK("one shot");
    close(p[1]);
    LOOK("hang-up is held back too");
    close(ep), close(ev), close(sem), close(p[0]);
}

static void turns(void)
{
    int ev[6];
    char text[64];
    NOTE("-- turns");
    ep = epoll_create1(0);
    for (int i = 0; i < 6; i++) {
        ev[i] = eventfd(0, EFD_NONBLOCK);
        ctl(ADD, ev[i], EPOLLIN, i);
    }
    for (int i = 5; i >= 0; i--)
        put(ev[i], 1);
    for (int i = 0; i < 6; i++) {
        snprintf(text, sizeof text, "turn %d", i);
        look_at(ep, text, 4);
    }
    take(ev[2]);
    take(ev[4]);
    look_at(ep, "two fewer", 16);
    ctl(DEL, ev[0], 0, 0);
    close(ev[1]);
    look_at(ep, "two more gone", 16);
    ctl(MOD, ev[2], EPOLLIN | EPOLLET, 12);
    put(ev[2], 1);
    put(ev[4], 1);
    look_at(ep, "one edge among them", 2);
    look_at(ep, "then", 2);
    look_at(ep, "then", 2);
    look_at(ep, "then", 2);
    close(ep);
    for (int i = 0; i < 6; i++)
        close(ev[i]);
}

static void shared(void)
{
    int p[2];
    NOTE("-- shared descriptions");
    ep = epoll_create1(0);
    pipe(p);
    write(p[1], "x", 1);
    int again = dup(p[0]);
    SHOW(ctl(ADD, p[0], EPOLLIN, 1));
    SHOW(ctl(ADD, again, EPOLLIN, 2));
    LOOK("both");
    close(again);
    LOOK("the description is still open");
    SHOW(ctl(DEL, again, 0, 0));
    again = dup(p[0]);
    SHOW(ctl(MOD, again, EPOLLIN, 3));
    LOOK("the same number again");
    SHOW(ctl(DEL, again, 0, 0));
    close(again);
    int other = eventfd(1, 0);
    dup2(other, p[0]);
    LOOK("another file in its place");
    SHOW(ctl(ADD, p[0], EPOLLIN, 4));
    LOOK("and added");
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        SHOW(ctl(ADD, 60, EPOLLIN, 5));
        dup2(other, 60);
        SHOW(ctl(ADD, 60, EPOLLIN, 6));
        LOOK("child");
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    LOOK("the child's interest stays");
    SHOW(ctl(DEL, 60, 0, 0));
    close(other);
    close(p[0]);
    LOOK("all closed");
    close(p[1]);
    close(ep);
}

static void nested(void)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 7}, got[4];
    int ev = eventfd(0, EFD_NONBLOCK), in = epoll_create1(0), out = epoll_create1(0);
    NOTE("-- nested");
    SHOW(epoll_ctl(in, ADD, ev, &e));
    SHOW(epoll_ctl(out, ADD, in, &e));
    SHOW(epoll_ctl(in, ADD, out, &e));
    struct pollfd p = {out, POLLIN | POLLOUT | POLLRDNORM, 0};
    SHOW(poll(&p, 1, 0));
    put(ev, 1);
    SHOW(poll(&p, 1, 0));
    NOTE("%x", p.revents);
    look_at(out, "outer", 4);
    look_at(in, "inner", 4);
    look_at(out, "outer", 4);
    take(ev);
    look_at(out, "outer", 4);
    SHOW(poll(&p, 1, 0));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(out, &set);
    struct timeval zero = {0, 0};
    SHOW(select(out + 1, &set, NULL, NULL, &zero));
    e.events = EPOLLIN | EPOLLET;
    epoll_ctl(out, MOD, in, &e);
    put(ev, 1);
    look_at(out, "edge", 4);
    look_at(out, "edge", 4);
    put(ev, 1);
    look_at(out, "edge", 4);
    e.events = EPOLLIN;
    int chain[8];
    for (int i = 0; i < 8; i++) {
        chain[i] = epoll_create1(0);
        if (i)
            label(epoll_ctl(chain[i], ADD, chain[i - 1], &e), "nest %d", i);
    }
    for (int i = 0; i < 8; i++) {
        chain[i] = epoll_create1(0);
        if (i)
            label(epoll_ctl(chain[i - 1], ADD, chain[i], &e), "nest below %d", i);
    }
    SHOW(epoll_ctl(chain[2], ADD, chain[0], &e));
    SHOW(epoll_ctl(chain[4], ADD, ev, &e));
    look_at(chain[0], "through five", 4);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        usleep(20000);
        put(ev, 1);
        _exit(0);
    }
    take(ev);
    int n = epoll_wait(chain[0], got, 4, 20000);
    NOTE("woken through five: %d", n);
    waitpid(child, NULL, 0);
}

static void two_exclusive(void)
{
    int ev = eventfd(0, EFD_NONBLOCK), a = epoll_create1(0), b = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = 1};
    NOTE("-- exclusive");
    epoll_ctl(a, ADD, ev, &e);
    epoll_ctl(b, ADD, ev, &e);
    put(ev, 1);
    look_at(a, "first", 4);
    look_at(b, "second", 4);
    take(ev);
    fflush(stdout);
    int done[2];
    pipe(done);
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            struct epoll_event got;
            int n = epoll_wait(i ? b : a, &got, 1, 20000);
            char c = '0' + n;
            if (n == 1)
                take(ev);
            write(done[1], &c, 1);
            _exit(0);
        }
    usleep(50000);
    char c;
    for (int i = 0; i < 2; i++) {
        put(ev, 1);
        read(done[0], &c, 1);
        NOTE("one woken: %c", c);
    }
    while (wait(NULL) > 0)
        ;
}

static volatile int caught;

static void handler(int signo)
{
    caught = signo;
}

static void masks(void)
{
    struct epoll_event got[4];
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigset_t set, none, old;
    struct itimerval soon = {{0, 0}, {0, 30000}};
    struct timespec zero = {0, 0}, bad = {0, 1000000000}, negative = {-1, 0}, little = {0, 1000000};
    NOTE("-- signals and time-outs");
    ep = epoll_create1(0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(epoll_wait(ep, got, 4, -1));
    NOTE("caught %d", caught);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    caught = 0;
    raise(SIGALRM);
    SHOW(epoll_wait(ep, got, 4, 10));
    SHOW(epoll_pwait(ep, got, 4, 0, &none));
    NOTE("caught %d", caught);
    SHOW(epoll_pwait(ep, got, 4, -1, &none));
    NOTE("caught %d", caught);
    sigprocmask(SIG_BLOCK, NULL, &old);
    NOTE("blocked again: %d", sigismember(&old, SIGALRM));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    caught = 0;
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(epoll_pwait(ep, got, 4, 60, &set));
    NOTE("caught %d", caught);
    SHOW(syscall(SYS_epoll_pwait, ep, got, 4, 0, &none, 7));
    SHOW(syscall(SYS_epoll_pwait, ep, got, 4, 0, (void *)1, 8));
    SHOW(syscall(SYS_epoll_pwait, ep, got, 4, 0, NULL, 7));
    SHOW(syscall(SYS_epoll_pwait2, ep, got, 4, &zero, NULL, 8));
    SHOW(syscall(SYS_epoll_pwait2, ep, got, 4, &little, &none, 8));
    SHOW(syscall(SYS_epoll_pwait2, ep, got, 4, &bad, NULL, 8));
    SHOW(syscall(SYS_epoll_pwait2, ep, got, 4, &negative, NULL, 8));
    SHOW(syscall(SYS_epoll_pwait2, ep, got, 4, (void *)8, NULL, 8));
    SHOW(epoll_wait(ep, got, 4, 3));
    /* A stop and its end are not restarted either. */
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        int n = epoll_wait(ep, got, 4, 20000);
        NOTE("continued: %d %s", n, n < 0 ? errno_name(errno) : "");
        fflush(stdout);
        _exit(0);
    }
    usleep(30000);
    kill(child, SIGSTOP);
    waitpid(child, NULL, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, NULL, 0);
    close(ep);
}

static void info(void)
{
    char path[64], text[1024];
    int p[2];
    NOTE("-- fdinfo");
    ep = epoll_create1(0);
    pipe(p);
    ctl(ADD, p[0], EPOLLIN, 1);
    ctl(ADD, p[1], EPOLLOUT | EPOLLET, 0x123456789abcdef0);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", ep);
    int fd = open(path, O_RDONLY);
    long n = read(fd, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    for (int i = 0; i < 2; i++) { /* Linux lists them by the address of the file */
        char start[16];
        struct stat st;
        snprintf(start, sizeof start, "tfd: %8d", p[i]);
        char *line = strstr(text, start), *ino = line ? strstr(line, "ino:") : NULL;
        if (!ino)
            die("no such line");
        fstat(p[i], &st);
        NOTE("%d %.*s %d", i, (int)(ino - line) - 13, line + 13, strtoul(ino + 4, NULL, 16) == st.st_ino);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", ep);
    n = readlink(path, text, sizeof text);
    show_bytes("link", text, n);
}

/* Many descriptors, few of them busy. */
static void many(void)
{
    struct rlimit limit = {2100, 4096};
    static int p[1000][2];
    static struct epoll_event got[1000];
    NOTE("-- a thousand pipes");
    setrlimit(RLIMIT_NOFILE, &limit);
    ep = epoll_create1(0);
    for (int i = 0; i < 1000; i++) {
        if (pipe2(p[i], O_NONBLOCK))
            die("pipe");
        ctl(ADD, p[i][0], EPOLLIN | (i & 1 ? EPOLLET : 0), i);
    }
    LOOK("idle");
    for (int round = 0; round < 20; round++) {
        unsigned sum = 0, n;
        for (int i = 0; i < 10; i++)
            write(p[(round * 97 + i * 101) % 1000][1], "x", 1);
        n = epoll_wait(ep, got, 1000, -1);
        for (unsigned i = 0; i < n; i++) {
            char c;
            sum = sum * 31 + got[i].data.u32;
            while (read(p[got[i].data.u32][0], &c, 1) > 0)
                ;
        }
        NOTE("round %d: %u events, %u", round, n, sum);
    }
    for (int i = 0; i < 1000; i++)
        close(p[i][1]);
    unsigned total = 0, n;
    while ((n = epoll_wait(ep, got, 64, 0)) > 0 && total < 2000)
        for (unsigned i = 0; i < n; i++, total++)
            close(p[got[i].data.u32][0]);
    NOTE("%u hang-ups", total);
}

int main(void)
{
    errors();
    levels();
    edges();
    turns();
    shared();
    nested();
    two_exclusive();
    masks();
    info();
    many();
    return 0;
}

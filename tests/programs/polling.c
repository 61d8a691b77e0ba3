// poll, ppoll, select, pselect6, eventfd.
#include "show.h"
#include <poll.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <sys/eventfd.h>
#include <sys/select.h>

static void ask(const char *name, int fd, int events)
{
    struct pollfd p = {fd, events, 0x7fff};
    int n = poll(&p, 1, 0);
    NOTE("%s: %d events %#x", name, n, p.revents);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* A child that selects with `timeout`, which is stopped and continued meanwhile. */
static void continued(struct timeval *timeout)
{
    char path[64], state = 0;
    pid_t pid = fork();
    if (!pid) {
        SHOW(select(0, NULL, NULL, NULL, timeout));
        NOTE("left %d", (int)timeout->tv_sec);
        _exit(0);
    }
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    for (int i = 0; i < 2; i++) {
        while (state != (i ? 'T' : 'S')) {
            FILE *f = fopen(path, "r");
            fscanf(f, "%*d %*s %c", &state);
            fclose(f);
            usleep(1000);
        }
        kill(pid, i ? SIGCONT : SIGSTOP);
    }
    waitpid(pid, NULL, 0);
}

/* personality(2): time-outs that stay as they were, after which a call cannot be made again. */
static void sticky(void)
{
    struct timeval tv = {0, 2000};
    struct timespec ts = {0, 2000000};
    struct timeval *constant = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *constant = (struct timeval){10, 0};
    mprotect(constant, PAGE, PROT_READ);
    personality(STICKY_TIMEOUTS);
    SHOW(select(0, NULL, NULL, NULL, &tv));
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL));
    SHOW(syscall(SYS_ppoll, NULL, 0, &ts, NULL, 8));
    NOTE("unchanged %ld %ld", tv.tv_usec, ts.tv_nsec);
    continued(&(struct timeval){10, 0});
    personality(0);
    SHOW(select(0, NULL, NULL, NULL, &tv));
    NOTE("changed %ld", tv.tv_usec);
    continued(constant);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    int p[2], all = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM | POLLRDHUP, file = open("file", O_RDWR | O_CREAT, 0644);
    signal(SIGPIPE, SIG_IGN);
    pipe2(p, O_NONBLOCK);
    ask("empty read end", p[0], all);
    ask("empty write end", p[1], all);
    write(p[1], "x", 1);
    ask("full read end", p[0], all);
    ask("full read end, POLLOUT", p[0], POLLOUT);
    static char big[70000];
    write(p[1], big, sizeof big);
    ask("full write end", p[1], all);
    ask("nothing asked", p[0], 0);
    close(p[1]);
    ask("writer gone, data left", p[0], all);
    while (read(p[0], big, sizeof big) > 0)
        ;
    ask("writer gone", p[0], all);
    ask("writer gone, nothing asked", p[0], 0);
    close(p[0]);
    pipe(p);
    close(p[0]);
    ask("reader gone", p[1], all);
    ask("closed", p[0], all);
    ask("negative", -1, all);
    ask("file", file, all);
    ask("directory", open(".", O_RDONLY), all);
    ask("null", open("/dev/null", O_RDWR), all);
    ask("path only", open(".", O_PATH), all);
    int ev = SHOW(eventfd(0, EFD_NONBLOCK));
    ask("eventfd 0", ev, all);
    uint64_t value = 3;
    SHOW(write(ev, &value, 8));
    ask("eventfd 3", ev, all);
    SHOW(write(ev, &value, 7));
    SHOW(write(ev, &value, 16));
    SHOW(read(ev, &value, 7));
    SHOW(read(ev, &value, 8));
    NOTE("%ld", (long)value);
    SHOW(read(ev, &value, 8));
    value = UINT64_MAX - 1;
    SHOW(write(ev, &value, 8));
    ask("eventfd full", ev, all);
    value = 1;
    SHOW(write(ev, &value, 8));
    value = UINT64_MAX;
    SHOW(write(ev, &value, 8));
    SHOW(lseek(ev, 0, SEEK_SET));
    int sem = SHOW(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC));
    SHOW(fcntl(sem, F_GETFL));
    SHOW(read(sem, &value, 8));
    SHOW(read(sem, &value, 8));
    SHOW(read(sem, &value, 8));
    NOTE("%ld", (long)value);
    SHOW(eventfd(0, 0x1234));
    SHOW(syscall(SYS_eventfd, 1));

    struct pollfd many[4] = {{file, POLLIN, 0}, {-5, POLLIN, 9}, {999, POLLIN, 0}, {ev, POLLIN, 0}};
    SHOW(poll(many, 4, -1));
    NOTE("%#x %#x %#x %#x", many[0].revents, many[1].revents, many[2].revents, many[3].revents);
    SHOW(poll(NULL, 0, 0));
    SHOW(poll(NULL, 1, 0));
    SHOW(poll(many, 1 << 30, 0));
    pipe(p);
    struct pollfd wait = {p[0], POLLIN, 0};
    int64_t start = now();
    SHOW(poll(&wait, 1, 30));
    int64_t took = now() - start;
    NOTE("waited %d", took >= 29 && took < 1000);
    struct timespec t = {0, 20000000};
    start = now();
    SHOW(ppoll(&wait, 1, &t, NULL));
    took = now() - start;
    NOTE("waited %d", took >= 19 && took < 1000);
    t.tv_nsec = 1000000000;
    SHOW(ppoll(&wait, 1, &t, NULL));
    t = (struct timespec){-1, 0};
    SHOW(ppoll(&wait, 1, &t, NULL));
    t = (struct timespec){0, 0};
    SHOW(syscall(SYS_ppoll, &wait, 1, &t, NULL, 8));
    SHOW(syscall(SYS_ppoll, &wait, 1, &t, &t, 7));

    fd_set r, w, e;
    struct timeval tv = {0, 0};
#define SETS do { FD_ZERO(&r); FD_ZERO(&w); FD_ZERO(&e); } while (0)
    SETS;
    FD_SET(p[0], &r), FD_SET(p[1], &w), FD_SET(p[0], &e);
    SHOW(select(p[1] + 1, &r, &w, &e, &tv));
    NOTE("%d %d %d", FD_ISSET(p[0], &r) != 0, FD_ISSET(p[1], &w) != 0, FD_ISSET(p[0], &e) != 0);
    write(p[1], "x", 1);
    SETS;
    FD_SET(p[0], &r), FD_SET(p[1], &r), FD_SET(p[0], &w), FD_SET(file, &r), FD_SET(file, &w);
    SHOW(select(p[1] + 1, &r, &w, NULL, NULL));
    NOTE("%d %d %d %d %d", FD_ISSET(p[0], &r) != 0, FD_ISSET(p[1], &r) != 0, FD_ISSET(p[0], &w) != 0,
         FD_ISSET(file, &r) != 0, FD_ISSET(file, &w) != 0);
    SETS;
    close(dup2(p[0], 200)); /* now the descriptor table has room for it, and select looks */
    FD_SET(200, &r);
    SHOW(select(201, &r, NULL, NULL, &tv));
    NOTE("kept %d", FD_ISSET(200, &r) != 0);
    SHOW(select(200, &r, NULL, NULL, &tv));
    SHOW(select(-1, NULL, NULL, NULL, &tv));
    SHOW(select(0, NULL, NULL, NULL, &tv));
    tv = (struct timeval){0, 20000};
    start = now();
    SHOW(select(0, NULL, NULL, NULL, &tv));
    took = now() - start;
    NOTE("waited %d left %ld", took >= 19 && took < 1000, (long)tv.tv_usec);
    SETS;
    FD_SET(p[0], &r);
    tv = (struct timeval){50, 500000};
    SHOW(select(p[0] + 1, &r, NULL, NULL, &tv));
    NOTE("left %d", tv.tv_sec == 50 || tv.tv_sec == 49);
    tv = (struct timeval){-1, 0};
    SHOW(select(0, NULL, NULL, NULL, &tv));
    tv = (struct timeval){0, 2000000};
    SETS;
    FD_SET(p[0], &r);
    SHOW(select(p[0] + 1, &r, NULL, NULL, &tv));
    t = (struct timespec){0, 1000};
    SHOW(pselect(0, NULL, NULL, NULL, &t, NULL));
    NOTE("unchanged %ld", t.tv_nsec);
    sigset_t mask;
    sigemptyset(&mask);
    SHOW(pselect(0, NULL, NULL, NULL, &t, &mask));
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, &(struct { void *p; size_t n; }){&mask, 7}));
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, &(struct { void *p; size_t n; }){NULL, 7}));
    SETS;
    FD_SET(file, &e), FD_SET(file, &w);
    close(p[0]);
    SHOW(select(p[1] + 1, &r, &w, &e, NULL));
    sticky();
    return 0;
}

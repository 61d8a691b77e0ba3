// io_uring and tasks: threads, processes, signals, and the ways in which completions come about.
// cc: -static -pthread
#include "uring.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/wait.h>

static struct ring r;
static int p[2];
static char buf[64];

static void reading(struct ring *r, int data)
{
    struct io_uring_sqe *sqe = ring_sqe(r, IORING_OP_READ, p[0], data);
    sqe->addr = (unsigned long)buf, sqe->len = 8;
}

// Entries without a wait
static int submit(struct ring *r)
{
    unsigned count = r->tail - RING_WORD(r, r->p.sq_off.tail);
    RING_WORD(r, r->p.sq_off.tail) = r->tail;
    return uring_enter(r->fd, count, 0, 0, NULL, 0);
}

static volatile int arrived;

static void handler(int signo)
{
    arrived = signo;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    reading(&r, 1);
    SHOW(submit(&r));
    struct itimerval soon = {{.tv_usec = 20000}, {.tv_usec = 20000}}, never = {0};
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    setitimer(ITIMER_REAL, &never, NULL);
    NOTE("signal %d", arrived);
    arrived = 0;
    // Blocked but for the wait
    sigset_t blocked, none;
    sigemptyset(&none), sigemptyset(&blocked), sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGALRM);
    NOTE("blocked: %d", arrived);
    SHOW(uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, &none, 8));
    NOTE("signal %d", arrived);
    arrived = 0;
    struct io_uring_getevents_arg arg = {.sigmask = (unsigned long)&none, .sigmask_sz = 8};
    raise(SIGALRM);
    SHOW(uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg));
    NOTE("signal %d", arrived);
    SHOW(uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, 8));
    SHOW(uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, &none, 4));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    write(p[1], "x", 1);
    ring_reap(&r, "the read", 1);
}

static void processes(void)
{
    reading(&r, 1);
    SHOW(submit(&r));
    fflush(stdout);
    if (!fork()) {
        write(p[1], "child", 5);
        _exit(0);
    }
    while (!ring_ready(&r))
        ; // nobody calls the kernel
    ring_show(&r, "while the program runs");
    wait(NULL);
    reading(&r, 2);
    SHOW(submit(&r));
    fflush(stdout);
    if (!fork()) {
        write(p[1], "child", 5);
        _exit(0);
    }
    char other[8];
    wait(NULL);
    ring_show(&r, "while it waits for something else");
    // A child uses the ring of its parent
    fflush(stdout);
    if (!fork()) {
        ring_sqe(&r, IORING_OP_NOP, -1, 3);
        SHOW(submit(&r));
        reading(&r, 4);
        submit(&r);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    r.tail = RING_WORD(&r, r.p.sq_off.tail);
    ring_show(&r, "a child's");
    write(p[1], "late", 4);
    SHOW(ring_submit(&r, 1));
    ring_show(&r, "of one that is gone");
    read(p[0], other, 8);
}

static void *thread(void *arg)
{
    struct ring *r = arg;
    reading(r, 1);
    submit(r);
    return NULL;
}

static void threads(void)
{
    pthread_t t;
    char other[8];
    pthread_create(&t, NULL, thread, &r);
    pthread_join(t, NULL);
    NOTE("ready %u", ring_ready(&r));
    write(p[1], "late", 4);
    SHOW(ring_submit(&r, 1));
    ring_show(&r, "of a thread that is gone");
    read(p[0], other, 8);
    struct ring one;
    ring_new(&one, 8, IORING_SETUP_SINGLE_ISSUER);
    pthread_create(&t, NULL, thread, &one);
    pthread_join(t, NULL);
    NOTE("taken %u", RING_WORD(&one, one.p.sq_off.head));
    ring_close(&one);
}

static void deferred(void)
{
    struct ring d;
    ring_new(&d, 8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    reading(&d, 1);
    SHOW(submit(&d));
    write(p[1], "deferred", 8);
    NOTE("ready %u flags %#x", ring_ready(&d), RING_WORD(&d, d.p.sq_off.flags));
    struct pollfd pfd = {.fd = d.fd, .events = POLLIN};
    SHOW(poll(&pfd, 1, 0));
    SHOW(uring_enter(d.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    NOTE("ready %u flags %#x", ring_ready(&d), RING_WORD(&d, d.p.sq_off.flags));
    ring_show(&d, "deferred");
    ring_close(&d);
}

static void polled(void)
{
    struct ring s;
    struct io_uring_params params = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 20};
    if (ring_open(&s, 8, &params))
        die("SQPOLL");
    for (int i = 0; i < 4; i++)
        ring_sqe(&s, IORING_OP_NOP, -1, i);
    RING_WORD(&s, s.p.sq_off.tail) = s.tail;
    while (ring_ready(&s) < 4)
        if (RING_WORD(&s, s.p.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
            uring_enter(s.fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
    ring_show(&s, "without a call");
    while (!(RING_WORD(&s, s.p.sq_off.flags) & IORING_SQ_NEED_WAKEUP))
        ;
    NOTE("asleep");
    ring_sqe(&s, IORING_OP_NOP, -1, 9);
    RING_WORD(&s, s.p.sq_off.tail) = s.tail;
    SHOW(uring_enter(s.fd, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0));
    ring_show(&s, "woken");
    ring_close(&s);
}

static void watched(void)
{
    int ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = 7};
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &event));
    SHOW(epoll_wait(ep, &event, 1, 0));
    reading(&r, 1);
    SHOW(submit(&r));
    SHOW(epoll_wait(ep, &event, 1, 0));
    write(p[1], "x", 1);
    SHOW(epoll_wait(ep, &event, 1, 1000));
    SHOW(epoll_wait(ep, &event, 1, 0));
    ring_show(&r, "through an epoll");
    // An interest that a request makes, in a ring that is watched itself
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_EPOLL_CTL, ep, 2);
    sqe->off = p[0], sqe->len = EPOLL_CTL_ADD, sqe->addr = (unsigned long)&event;
    ring_reap(&r, "epoll_ctl", 1);
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event));
    close(ep);
}

int main(int argc, char **argv)
{
    setlinebuf(stdout);
    if (argc > 1) {
        NOTE("executed: descriptor %d", fcntl(atoi(argv[1]), F_GETFD) != -1);
        return 0;
    }
    pipe(p);
    ring_new(&r, 8, 0);
    signals();
    processes();
    threads();
    deferred();
    polled();
    watched();
    char number[16];
    snprintf(number, sizeof number, "%d", r.fd);
    reading(&r, 1);
    SHOW(submit(&r));
    execl("/proc/self/exe", "uring_tasks", number, NULL);
}

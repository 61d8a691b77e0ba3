// cc: -static -pthread
/* POSIX message queues: priorities, waiting, limits, notification, what the file shows. */
#include "children.h"
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static char name[64], other[64];
static mqd_t q;

static void attr(const char *when)
{
    struct mq_attr a = {0};
    struct stat st;
    if (mq_getattr(q, &a) < 0) {
        NOTE("%s: %s", when, errno_name(errno));
        return;
    }
    fstat(q, &st);
    NOTE("%s: flags %lo maxmsg %ld msgsize %ld curmsgs %ld, mode %o size %ld links %ld", when, a.mq_flags, a.mq_maxmsg,
         a.mq_msgsize, a.mq_curmsgs, st.st_mode, (long)st.st_size, (long)st.st_nlink);
}

static void status(const char *when)
{
    char text[100] = "";
    int pid = 0;
    char *at;
    lseek(q, 0, SEEK_SET);
    long n = read(q, text, sizeof text - 1);
    if ((at = strstr(text, "NOTIFY_PID:"))) {
        pid = atoi(at + 11);
        *at = 0;
    }
    NOTE("%s: %s %s, %ld bytes", when, text, !pid ? "nobody" : pid == getpid() ? "me" : "other", n);
}

static void put(const char *text, unsigned prio)
{
    int r = mq_send(q, text, strlen(text), prio);
    if (r < 0)
        NOTE("send %s: %s", text, errno_name(errno));
}

static void get(void)
{
    char text[9000];
    unsigned prio = 99;
    int n = mq_receive(q, text, sizeof text, &prio);
    if (n < 0)
        NOTE("receive: %s", errno_name(errno));
    else
        NOTE("receive: %d bytes, priority %u: %.*s", n, prio, n > 20 ? 20 : n, text);
}

static int ready(void)
{
    struct pollfd p = {q, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void opening(void)
{
    struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 20};
    char longest[300];
    NOTE("-- mq_open");
    SHOW(mq_open(name, O_RDWR));
    SHOW(mq_open("nothing", O_RDWR));
    SHOW(mq_open("/", O_RDWR | O_CREAT, 0600, NULL));
    SHOW(syscall(SYS_mq_open, "", O_RDWR | O_CREAT, 0600, NULL));
    SHOW(syscall(SYS_mq_open, "a/b", O_RDWR | O_CREAT, 0600, NULL));
    SHOW(syscall(SYS_mq_open, ".", O_RDWR, 0, NULL));
    SHOW(syscall(SYS_mq_open, (void *)1, O_RDWR, 0, NULL));
    SHOW(syscall(SYS_mq_open, name + 1, O_RDWR | O_CREAT, 0600, (void *)1));
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[257] = 0;
    SHOW(mq_open(longest, O_RDWR | O_CREAT, 0600, NULL));
    SHOW(mq_open(longest, O_RDWR));
    long bad[][2] = {{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {65537, 1}, {1, (16 << 20) + 1}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        a.mq_maxmsg = bad[i][0], a.mq_msgsize = bad[i][1];
        label(mq_open(name, O_RDWR | O_CREAT, 0600, &a), "%ld messages of %ld", bad[i][0], bad[i][1]);
    }
    umask(027);
    a.mq_maxmsg = 3, a.mq_msgsize = 20, a.mq_flags = O_NONBLOCK;
    q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0666, &a);
    NOTE("opened: %d cloexec %d flags %x", q >= 0, fcntl(q, F_GETFD), fcntl(q, F_GETFL));
    attr("new");
    status("new");
    SHOW(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0666, &a));
    SHOW(mq_open(name, O_RDWR | O_WRONLY));
    mqd_t r = mq_open(name, O_RDONLY | O_NONBLOCK | O_CREAT, 0, NULL);
    SHOW(mq_send(r, "x", 1, 0));
    SHOW(mq_receive(r, longest, 300, NULL));
    SHOW(mq_close(r));
    SHOW(mq_close(r));
    r = mq_open(name, O_WRONLY);
    SHOW(mq_receive(r, longest, 300, NULL));
    SHOW(read(r, longest, 300));
    SHOW(mq_close(r));
    char link[64], got[300] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", q);
    readlink(link, got, sizeof got - 1);
    NOTE("its name: %d", !strcmp(got, name));
    mqd_t def = mq_open(other, O_RDWR | O_CREAT, 0600, NULL), kept = q;
    q = def;
    attr("defaults");
    SHOW(mq_unlink(other));
    attr("without a name");
    SHOW(mq_unlink(other));
    put("kept", 0);
    get();
    memset(got, 0, sizeof got);
    snprintf(link, sizeof link, "/proc/self/fd/%d", q);
    readlink(link, got, sizeof got - 1);
    NOTE("deleted: %d", strstr(got, " (deleted)") != NULL);
    mq_close(q);
    q = kept;
}

static void messages(void)
{
    struct mq_attr a = {.mq_flags = O_NONBLOCK}, b;
    char text[100];
    NOTE("-- messages");
    SHOW(mq_send(q, text, 21, 0));
    SHOW(mq_send(q, text, 1, 32768));
    SHOW(mq_send(q, (void *)1, 1, 0));
    SHOW(mq_send(-1, text, 1, 0));
    SHOW(mq_send(1, text, 1, 0));
    SHOW(mq_receive(q, text, 19, NULL));
    SHOW(write(q, "x", 1));
    NOTE("poll %x", ready());
    put("low", 1);
    put("high", 32767);
    NOTE("poll %x", ready());
    put("low again", 1);
    NOTE("poll %x", ready());
    attr("three");
    status("three");
    SHOW(mq_setattr(q, &a, &b));
    NOTE("before: flags %lo curmsgs %ld", b.mq_flags, b.mq_curmsgs);
    attr("nonblocking");
    put("too many", 0);
    get(), get(), get(), get();
    put("", 0);
    get();
    a.mq_flags = 1;
    SHOW(mq_setattr(q, &a, &b));
    a.mq_flags = 0;
    SHOW(mq_setattr(q, &a, NULL));
    SHOW(syscall(SYS_mq_getsetattr, q, (void *)1, NULL));
    SHOW(syscall(SYS_mq_getsetattr, q, NULL, (void *)1));
    SHOW(syscall(SYS_mq_getsetattr, 1, NULL, NULL));
    put("lost", 3);
    SHOW(syscall(SYS_mq_timedreceive, q, (void *)1, 100, NULL, NULL));
    attr("lost");
}

static struct timespec in(long ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void on_signal(int signo)
{
    (void)signo;
}

static void receives(void) { get(); }
static void sends(void) { put("from the child", 5); }

static void receives_interrupted(void)
{
    signal(SIGUSR1, on_signal);
    siginterrupt(SIGUSR1, 1);
    get();
}

static void receives_restarted(void)
{
    signal(SIGUSR1, on_signal);
    get();
}

static void waiting(void)
{
    struct timespec t = in(2), past = {0, 0}, bad = {0, -1};
    char text[100];
    pid_t a, b;
    NOTE("-- waiting");
    SHOW(mq_timedreceive(q, text, 100, NULL, &t));
    SHOW(mq_timedreceive(q, text, 100, NULL, &past));
    SHOW(mq_timedreceive(q, text, 100, NULL, &bad));
    SHOW(syscall(SYS_mq_timedreceive, q, text, 100, NULL, (void *)1));
    put("one", 1), put("two", 2), put("three", 3);
    t = in(2);
    SHOW(mq_timedsend(q, text, 10, 0, &t));
    SHOW(mq_timedsend(q, text, 10, 0, &bad));
    until_asleep(a = start(sends));
    get();
    reap(a);
    attr("the sender's message came in");
    get(), get(), get();
    until_asleep(a = start(receives));
    put("to the child", 4);
    attr("handed over");
    reap(a);
    until_asleep(a = start(receives));
    until_asleep(b = start(receives));
    put("first", 4);
    reap(a);
    put("second", 4);
    reap(b);
    until_asleep(a = start(receives_interrupted));
    kill(a, SIGUSR1);
    reap(a);
    until_asleep(a = start(receives_restarted));
    kill(a, SIGUSR1);
    usleep(5000);
    until_asleep(a);
    put("restarted", 4);
    reap(a);
    until_asleep(a = start(receives));
    kill(a, SIGKILL);
    reap(a);
    put("left", 1);
    get();
}

static volatile int signalled;
static siginfo_t got_info;
static void on_info(int signo, siginfo_t *info, void *context)
{
    (void)context;
    signalled = signo;
    got_info = *info;
}

static void show_info(const char *when)
{
    if (!signalled)
        NOTE("%s: no signal", when);
    else
        NOTE("%s: signal %d code %d value %d pid %s uid %d", when, signalled - SIGRTMIN, got_info.si_code,
             got_info.si_value.sival_int, got_info.si_pid == getpid() ? "me" : "other", got_info.si_uid == getuid());
    signalled = 0;
}

static void registers(void)
{
    struct sigevent e = {.sigev_notify = SIGEV_NONE};
    SHOW(mq_notify(q, &e));
    SHOW(mq_notify(q, NULL));
}

static int told[2];
static void in_thread(union sigval value)
{
    char c = value.sival_int;
    write(told[1], &c, 1);
}

static void notification(void)
{
    struct sigaction action = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 42};
    char c, cookie[32];
    pid_t a;
    NOTE("-- notification");
    sigaction(SIGRTMIN + 1, &action, NULL);
    SHOW(mq_notify(q, &e));
    SHOW(mq_notify(q, &e));
    status("registered");
    reap(start(registers));
    status("still");
    put("hello", 1);
    show_info("the first message");
    status("gone");
    SHOW(mq_notify(q, &e));
    put("more", 1);
    show_info("not empty");
    get(), get();
    reap(start(sends));
    show_info("from a child");
    get();
    SHOW(mq_notify(q, &e));
    until_asleep(a = start(receives));
    put("to who waits", 1);
    reap(a);
    show_info("somebody waited");
    SHOW(mq_notify(q, NULL));
    SHOW(mq_notify(q, NULL));
    status("taken back");
    SHOW(mq_notify(q, &e));
    int copy = dup(q);
    close(copy);
    status("closing a copy");
    e.sigev_notify = SIGEV_NONE;
    SHOW(mq_notify(q, &e));
    status("SIGEV_NONE");
    put("x", 1), get();
    show_info("SIGEV_NONE");
    e.sigev_notify = 9;
    SHOW(mq_notify(q, &e));
    e.sigev_notify = SIGEV_SIGNAL, e.sigev_signo = 65;
    SHOW(mq_notify(q, &e));
    SHOW(syscall(SYS_mq_notify, q, (void *)1));
    SHOW(mq_notify(1, NULL));
    SHOW(mq_notify(-1, &(struct sigevent){.sigev_notify = SIGEV_NONE}));
    e.sigev_signo = 0;
    SHOW(mq_notify(q, &e));
    put("x", 1), get();
    status("signal 0");

    pipe(told);
    e.sigev_notify = SIGEV_THREAD;
    e.sigev_notify_function = in_thread;
    e.sigev_notify_attributes = NULL;
    e.sigev_value.sival_int = 'T';
    SHOW(mq_notify(q, &e));
    status("SIGEV_THREAD");
    put("x", 1);
    read(told[0], &c, 1);
    NOTE("thread: %c", c);
    status("the thread is done");
    get();
    SHOW(mq_notify(q, &e));
    SHOW(mq_notify(q, NULL));

    int sock = socket(AF_NETLINK, SOCK_RAW, 0);
    memset(cookie, 'c', sizeof cookie);
    e = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_signo = 1, .sigev_value.sival_ptr = cookie};
    SHOW(syscall(SYS_mq_notify, q, &e));
    e.sigev_signo = -1;
    SHOW(syscall(SYS_mq_notify, q, &e));
    e.sigev_signo = sock;
    e.sigev_value.sival_ptr = (void *)1;
    SHOW(syscall(SYS_mq_notify, q, &e));
    e.sigev_value.sival_ptr = cookie;
    SHOW(syscall(SYS_mq_notify, q, &e));
    SHOW(recv(sock, cookie, 32, MSG_DONTWAIT));
    put("x", 1), get();
    SHOW(recv(sock, cookie, 32, MSG_DONTWAIT));
    show_bytes("cookie", cookie, 32);
    SHOW(syscall(SYS_mq_notify, q, &e));
    SHOW(syscall(SYS_mq_notify, q, NULL));
    SHOW(recv(sock, cookie, 32, 0));
    show_bytes("cookie", cookie, 32);
}

static void epolls(void)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int ep = epoll_create1(0);
    NOTE("-- epoll");
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, q, &e));
    SHOW(epoll_wait(ep, &e, 1, 0));
    NOTE("%x", e.events);
    SHOW(epoll_wait(ep, &e, 1, 0));
    put("edge", 0);
    SHOW(epoll_wait(ep, &e, 1, 0));
    NOTE("%x", e.events);
    put("edge", 0);
    SHOW(epoll_wait(ep, &e, 1, 0));
    get();
    SHOW(epoll_wait(ep, &e, 1, 0));
    NOTE("%x", e.events);
    get();
    close(ep);
}

static void as_nobody(void)
{
    struct mq_attr a = {.mq_maxmsg = 11, .mq_msgsize = 20};
    if (setgid(65534) || setuid(65534))
        die("setuid");
    SHOW(mq_open(name, O_RDWR));
    SHOW(mq_open(name, O_RDONLY));
    SHOW(mq_unlink(name));
    SHOW(mq_open(other, O_RDWR | O_CREAT, 0600, &a));
    a.mq_maxmsg = 10, a.mq_msgsize = 8193;
    SHOW(mq_open(other, O_RDWR | O_CREAT, 0600, &a));
    struct rlimit limit = {10 * (20 + 48) + 10 * 48, 819200};
    setrlimit(RLIMIT_MSGQUEUE, &limit);
    a.mq_msgsize = 21;
    SHOW(mq_open(other, O_RDWR | O_CREAT, 0600, &a));
    a.mq_msgsize = 20;
    NOTE("just fits: %d", mq_open(other, O_RDWR | O_CREAT, 0600, &a) >= 0);
    SHOW(mq_open("/another-of-nobody", O_RDWR | O_CREAT, 0600, &a));
    SHOW(mq_unlink(other));
    SHOW(mq_open("/another-of-nobody", O_RDWR | O_CREAT, 0600, &a));
}

int main(void)
{
    snprintf(name, sizeof name, "/lxrun-%d-%ld", getpid(), (long)time(NULL));
    snprintf(other, sizeof other, "/lxrun-%d-%ld-other", getpid(), (long)time(NULL));
    opening();
    messages();
    waiting();
    notification();
    epolls();
    reap(start(as_nobody));
    SHOW(mq_unlink(name));
    SHOW(mq_close(q));
    return 0;
}

// Pairs of AF_UNIX sockets: streams, datagrams, sequences of packets.
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/sockios.h>

static int s[2];

static void ask(const char *name, int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLWRBAND, 0};
    int n = poll(&p, 1, 0);
    NOTE("%s: %d %#x", name, n, p.revents);
}

static void take(const char *name, int fd, int size, int flags)
{
    char data[256];
    memset(data, '.', sizeof data);
    long n = recv(fd, data, size, flags);
    if (n < 0)
        NOTE("%s: %s", name, errno_name(errno));
    else {
        NOTE("%s: %ld", name, n);
        show_bytes("  data", data, n < size ? n : size);
    }
}

static void pair(int type)
{
    if (socketpair(AF_UNIX, type, 0, s))
        die("socketpair");
}

static void both(void)
{
    close(s[0]), close(s[1]);
}

static int64_t outq(int fd)
{
    int n = -1;
    ioctl(fd, SIOCOUTQ, &n);
    return n;
}

static int inq(int fd)
{
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    return n;
}

static volatile int piped;

static void on_pipe(int signo)
{
    piped = signo;
}

static void try(int type, const char *name)
{
    struct iovec v[3] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
    char one[4], two[20];
    struct iovec r[2] = {{one, 4}, {two, 20}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};
    static char big[300000];
    NOTE("== %s", name);
    pair(type | SOCK_NONBLOCK);
    ask("fresh", s[0]);
    take("nothing", s[0], 10, 0);
    SHOW(write(s[0], "hello", 5));
    SHOW(send(s[0], "world", 5, 0));
    NOTE("in queue: %d, charged %ld", inq(s[1]), (long)outq(s[0]));
    ask("two messages", s[1]);
    take("peek", s[1], 3, MSG_PEEK);
    take("peek, with its length", s[1], 3, MSG_PEEK | MSG_TRUNC);
    take("part", s[1], 3, 0);
    take("the rest", s[1], 100, 0);
    take("more", s[1], 100, 0);
    SHOW(write(s[0], "", 0));
    ask("an empty message", s[1]);
    take("it", s[1], 100, 0);
    SHOW(sendmsg(s[0], &m, 0));
    SHOW(send(s[0], "second", 6, 0));
    struct sockaddr_un from = {.sun_family = 77};
    struct msghdr got = {.msg_iov = r, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = sizeof from, .msg_flags = 99};
    SHOW(recvmsg(s[1], &got, 0));
    NOTE("flags %x name %d family %d: %.4s %.1s", got.msg_flags, got.msg_namelen, from.sun_family, one, two);
    SHOW(write(s[0], "0123456789012345678901234567890123456789", 40));
    SHOW(recvmsg(s[1], &got, 0));
    SHOW(recvmsg(s[1], &got, 0));
    NOTE("flags %x", got.msg_flags);
    if (type != SOCK_STREAM)
        SHOW(send(s[0], "x", 1, MSG_OOB));
    while (recv(s[1], big, sizeof big, 0) > 0)
        ;
    SHOW(recv(s[1], big, 10, MSG_DONTWAIT | MSG_TRUNC));
    SHOW(write(s[0], (void *)8, 10));
    SHOW(read(s[1], (void *)8, 10));
    write(s[0], "lost?", 5);
    SHOW(read(s[1], (void *)8, 10));
    take("after a bad buffer", s[1], 10, 0);
    both();

    NOTE("-- how much fits");
    int sizes[] = {1, 192, 193, 1000, 3776, 3777, 8192, 16064, 16065, 40000};
    for (int i = 0; i < 10; i++) {
        pair(type | SOCK_NONBLOCK);
        long total = 0, count = 0, n;
        while ((n = write(s[0], big, sizes[i])) > 0)
            total += n, count++;
        NOTE("%d: %ld writes, %ld bytes, %ld charged, %s", sizes[i], count, total, (long)outq(s[0]), errno_name(errno));
        ask("full", s[0]);
        long half = 0;
        while (half < count * 3 / 4 && (n = read(s[1], big, sizes[i])) > 0)
            half++;
        NOTE("%ld charged", (long)outq(s[0]));
        ask("partly read", s[0]);
        both();
    }
    pair(type | SOCK_NONBLOCK);
    SHOW(write(s[0], big, 213000));
    both();

    NOTE("-- shutdown");
    for (int how = 0; how < 3; how++) {
        pair(type | SOCK_NONBLOCK);
        write(s[1], "left", 4);
        NOTE("shutdown %d: %d", how, shutdown(s[0], how));
        ask("this end", s[0]);
        ask("the other", s[1]);
        take("this end", s[0], 10, 0);
        take("this end again", s[0], 10, 0);
        SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
        SHOW(send(s[1], "x", 1, MSG_NOSIGNAL));
        take("the other", s[1], 10, 0);
        both();
    }
    pair(type);
    SHOW(shutdown(s[0], 3));
    SHOW(shutdown(s[0], -1));
    both();

    pair(type);
    shutdown(s[0], SHUT_WR);
    signal(SIGPIPE, on_pipe);
    piped = 0;
    SHOW(write(s[0], "x", 1));
    SHOW(writev(s[0], v, 1));
    NOTE("SIGPIPE of write: %d", piped);
    piped = 0;
    SHOW(send(s[0], "x", 1, 0));
    NOTE("SIGPIPE of send: %d", piped);
    signal(SIGPIPE, SIG_IGN);
    both();

    NOTE("-- the other end is closed");
    pair(type | SOCK_NONBLOCK);
    write(s[1], "last", 4);
    close(s[1]);
    ask("with data", s[0]);
    take("it", s[0], 10, 0);
    take("the end", s[0], 10, 0);
    SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
    SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
    ask("afterwards", s[0]);
    close(s[0]);
    pair(type | SOCK_NONBLOCK);
    write(s[0], "unread", 6);
    close(s[1]);
    ask("closed with something unread", s[0]);
    NOTE("charged %ld", (long)outq(s[0]));
    take("reset", s[0], 10, 0);
    take("then", s[0], 10, 0);
    close(s[0]);

    NOTE("-- names and options");
    pair(type);
    struct sockaddr_un a;
    socklen_t length = sizeof a;
    memset(&a, 0x55, sizeof a);
    SHOW(getsockname(s[0], (void *)&a, &length));
    NOTE("family %d length %u", a.sun_family, length);
    length = sizeof a;
    SHOW(getpeername(s[0], (void *)&a, &length));
    NOTE("family %d length %u", a.sun_family, length);
    int options[] = {SO_TYPE, SO_ERROR, SO_DOMAIN, SO_PROTOCOL, SO_SNDBUF, SO_RCVBUF, SO_ACCEPTCONN, 12345};
    for (int i = 0; i < 8; i++) {
        int value = -1;
        length = sizeof value;
        int n = getsockopt(s[0], SOL_SOCKET, options[i], &value, &length);
        NOTE("option %d: %d %s value %d length %u", options[i], n, n ? errno_name(errno) : "", value, length);
    }
    int small = 1;
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    length = sizeof small;
    SHOW(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, &length));
    NOTE("%d", small);
    struct stat st;
    fstat(s[0], &st);
    NOTE("mode %o size %ld links %d", st.st_mode, (long)st.st_size, (int)st.st_nlink);
    SHOW(lseek(s[0], 0, SEEK_SET));
    SHOW(pread(s[0], one, 1, 0));
    char path[64], link[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", s[0]);
    long n = readlink(path, link, sizeof link);
    NOTE("%.8s", n > 8 ? link : "?");
    SHOW(open(path, O_RDWR));
    both();

    NOTE("-- waiting");
    pair(type);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        close(s[0]);
        usleep(20000);
        write(s[1], "one", 3);
        usleep(20000);
        write(s[1], "two", 3);
        _exit(0);
    }
    close(s[1]);
    take("all of it", s[0], 6, MSG_WAITALL);
    if (type != SOCK_STREAM)
        take("the second", s[0], 6, 0);
    waitpid(child, NULL, 0);
    if (type != SOCK_DGRAM)
        take("the end", s[0], 6, 0);
    close(s[0]);
    pair(type);
    child = fork();
    if (!child) {
        close(s[0]);
        usleep(20000);
        long sum = 0, n;
        while (sum < 30 * 20000 && (n = read(s[1], big, 20000)) > 0)
            sum += n;
        _exit(sum == 30 * 20000 ? 0 : 1);
    }
    close(s[1]);
    long sum = 0;
    for (int i = 0; i < 30; i++)
        sum += write(s[0], big, 20000);
    int status = -1;
    waitpid(child, &status, 0);
    NOTE("wrote %ld, child %x", sum, status);
    close(s[0]);

    NOTE("-- epoll");
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, out[2];
    pair(type | SOCK_NONBLOCK);
    epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e);
#define EDGE(text) \
    do { \
        int k = epoll_wait(ep, out, 2, 0); \
        NOTE("%s: %d %x", text, k, k > 0 ? out[0].events : 0); \
    } while (0)
    EDGE("fresh");
    EDGE("again");
    write(s[1], "a", 1);
    EDGE("written");
    write(s[1], "b", 1);
    EDGE("written again");
    read(s[0], one, 1);
    EDGE("read");
    write(s[0], "c", 1);
    EDGE("sent");
    read(s[1], one, 1);
    EDGE("taken");
    shutdown(s[1], SHUT_WR);
    EDGE("shut down");
    close(s[1]);
    EDGE("closed");
    close(ep), close(s[0]);
}

int main(void)
{
    int p[2];
    signal(SIGPIPE, SIG_IGN);
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 5, s));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | 0x10, 0, s));
    SHOW(socketpair(AF_UNIX, 9, 0, s));
    SHOW(socketpair(AF_UNIX, 12, 0, s));
    SHOW(socketpair(99, SOCK_STREAM, 0, s));
    SHOW(socketpair(-1, SOCK_STREAM, 0, s));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)8));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, AF_UNIX, s));
    SHOW(fcntl(s[1], F_GETFD));
    SHOW(fcntl(s[1], F_GETFL));
    both();
    pipe(p);
    SHOW(send(p[0], "x", 1, 0));
    SHOW(recv(p[0], p, 1, 0));
    SHOW(send(999, "x", 1, 0));
    SHOW(shutdown(p[0], 9));
    SHOW(shutdown(999, 9));
    SHOW(getsockname(p[0], NULL, NULL));
    try(SOCK_STREAM, "stream");
    try(SOCK_DGRAM, "datagrams");
    try(SOCK_SEQPACKET, "packets");
    signal(SIGPIPE, SIG_DFL);
    pair(SOCK_STREAM);
    close(s[1]);
    fflush(stdout);
    send(s[0], "x", 1, MSG_NOSIGNAL);
    send(s[0], "x", 1, 0);
    NOTE("this must not be seen");
    return 0;
}

// AF_UNIX datagrams: boundaries, limits, connecting and disconnecting, several senders, mmsg calls.
#include "unix.h"

static char data[300000], got[300000];

static long limit(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY);
    read(fd, text, sizeof text - 1);
    close(fd);
    return atol(text);
}

static void boundaries(int type)
{
    int s[2];
    static const int sizes[] = {0, 1, 193, 3777, 16064, 16065, 40000, 100000, 212960, 212961};
    NOTE("== %s", type_name(type));
    SHOW(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int n = 0;
        while (send(s[0], data, sizes[i], 0) == sizes[i] && n < 1000)
            n++;
        NOTE("%d messages of %d bytes, then %s", n, sizes[i], errno_name(errno));
        show_queues(s[0]);
        show_queues(s[1]);
        show_events(s[0]);
        while (recv(s[1], got, sizeof got, 0) >= 0)
            ;
    }
    SHOW(write(s[0], "first", 5));
    SHOW(write(s[0], "", 0));
    SHOW(write(s[0], "third", 5));
    SHOW(read(s[1], got, 2));
    SHOW(read(s[1], got, 0));
    SHOW(read(s[1], got, 2));
    SHOW(read(s[1], got, 2));
    SHOW(read(s[1], got, 2));
    struct iovec v[2] = {{"ab", 2}, {"cde", 3}};
    struct iovec w[2] = {{got, 1}, {got + 4, 2}};
    SHOW(writev(s[0], v, 2));
    SHOW(writev(s[0], v, 0));
    struct msghdr m = {.msg_iov = w, .msg_iovlen = 2};
    SHOW(recvmsg(s[1], &m, MSG_PEEK));
    NOTE("flags %x", m.msg_flags);
    SHOW(recvmsg(s[1], &m, MSG_PEEK | MSG_TRUNC));
    NOTE("flags %x", m.msg_flags);
    w[1].iov_len = 100;
    SHOW(recvmsg(s[1], &m, 0));
    NOTE("flags %x", m.msg_flags);
    write(s[0], "long message", 12);
    SHOW(recv(s[1], got, 3, MSG_TRUNC));
    SHOW(recv(s[1], got, 3, MSG_TRUNC));
    /* peek offsets */
    SHOW(set_option(s[1], SO_PEEK_OFF, 0));
    write(s[0], "abc", 3);
    write(s[0], "defgh", 5);
    SHOW(recv(s[1], got, 2, MSG_PEEK));
    SHOW(recv(s[1], got, 10, MSG_PEEK));
    SHOW(recv(s[1], got, 10, MSG_PEEK));
    SHOW(recv(s[1], got, 10, MSG_PEEK));
    OPTION(s[1], SO_PEEK_OFF);
    SHOW(recv(s[1], got, 10, 0));
    OPTION(s[1], SO_PEEK_OFF);
    SHOW(recv(s[1], got, 10, 0));
    SHOW(set_option(s[1], SO_PEEK_OFF, -1));
    /* bad memory */
    char *bad = edge(3);
    SHOW(send(s[0], bad, 4, 0));
    SHOW(send(s[0], (void *)8, 4, 0));
    SHOW(send(s[0], "12345", 5, 0));
    SHOW(recv(s[1], bad, 5, 0));
    SHOW(recv(s[1], got, 5, 0));
    SHOW(send(s[0], "x", 1, MSG_OOB));
    SHOW(recv(s[1], got, 5, MSG_OOB));
    /* the ends */
    for (int how = 0; how < 3; how++) {
        int t[2];
        socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, t);
        write(t[0], "a", 1);
        write(t[1], "b", 1);
        NOTE("shutdown %d", how);
        SHOW(shutdown(t[0], how));
        show_events(t[0]);
        show_events(t[1]);
        SHOW(write(t[0], "c", 1));
        SHOW(write(t[1], "d", 1));
        for (int i = 0; i < 3; i++) {
            SHOW(recv(t[0], got, 5, 0));
            SHOW(recv(t[1], got, 5, 0));
        }
        close(t[0]);
        show_events(t[1]);
        SHOW(recv(t[1], got, 5, 0));
        SHOW(write(t[1], "e", 1));
        SHOW(write(t[1], "f", 1));
        show_events(t[1]);
        close(t[1]);
    }
    write(s[1], "unread", 6);
    write(s[0], "unread", 6);
    close(s[0]);
    show_events(s[1]);
    OPTION(s[1], SO_ERROR);
    SHOW(recv(s[1], got, 10, 0));
    SHOW(recv(s[1], got, 10, 0));
    SHOW(write(s[1], "x", 1));
    SHOW(write(s[1], "x", 1));
    close(s[1]);
    /* blocking */
    struct timeval tv = {0, 50000};
    socketpair(AF_UNIX, type, 0, s);
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    SHOW(read(s[0], got, 10));
    int n = 0;
    while (write(s[0], data, 30000) == 30000)
        n++;
    NOTE("%d, then %s", n, errno_name(errno));
    if (!fork()) {
        usleep(20000);
        while (recv(s[1], got, sizeof got, MSG_DONTWAIT) > 0)
            ;
        write(s[1], "answer", 6);
        shutdown(s[1], SHUT_WR);
        _exit(0);
    }
    tv.tv_usec = 0;
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    SHOW(write(s[0], data, 30000));
    SHOW(read(s[0], got, 10));
    if (type == SOCK_SEQPACKET)
        SHOW(read(s[0], got, 10));
    wait(NULL);
    close(s[0]);
    close(s[1]);
}

static void show_sender(int fd)
{
    struct sockaddr_un a;
    socklen_t l = sizeof a;
    long n = recvfrom(fd, got, sizeof got, MSG_DONTWAIT, (void *)&a, &l);
    if (n < 0) {
        NOTE("recvfrom: %s", errno_name(errno));
        return;
    }
    show_bytes("message", got, n);
    show_name("  from", &a, l);
}

static void several(void)
{
    struct sockaddr_un a, b;
    socklen_t la = address(&a, "@lxrun-test-a"), lb = address(&b, "b.sock");
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0), z = socket(AF_UNIX, SOCK_DGRAM, 0);
    SHOW(send(x, "q", 1, 0));
    SHOW(write(x, "q", 1));
    SHOW(sendto(x, "q", 1, 0, (void *)&a, la));
    SHOW(sendto(x, "q", 1, 0, (void *)&b, lb));
    SHOW(sendto(x, "q", 1, 0, (void *)&b, 1));
    SHOW(sendto(x, "q", 1, 0, (void *)&b, 2));
    SHOW(sendto(x, "q", 1, 0, (void *)&b, 111));
    SHOW(sendto(x, "q", 1, 0, (void *)&b, 129));
    SHOW(sendto(x, "q", 1, 0, (void *)8, 10));
    SHOW(bind(x, (void *)&a, la));
    SHOW(bind(y, (void *)&b, lb));
    SHOW(sendto(z, "from nobody", 11, 0, (void *)&a, la));
    SHOW(sendto(y, "from b", 6, 0, (void *)&a, la));
    SHOW(sendto(x, "to myself", 9, 0, (void *)&a, la));
    show_sender(x);
    show_sender(x);
    show_sender(x);
    show_sender(x);
    /* a connected socket hears only its peer */
    SHOW(connect(x, (void *)&b, lb));
    SHOW(sendto(z, "intruder", 8, 0, (void *)&a, la));
    SHOW(sendto(y, "b again", 7, 0, (void *)&a, la));
    SHOW(send(x, "to b", 4, 0));
    show_sender(x);
    show_sender(y);
    SHOW(connect(z, (void *)&a, la));
    SHOW(connect(z, (void *)&b, lb));
    /* the receiver's queue is limited for those who are not its peer */
    long most = limit("/proc/sys/net/unix/max_dgram_qlen");
    int n = 0;
    while (send(z, "m", 1, MSG_DONTWAIT) == 1)
        n++;
    NOTE("queue takes as many as it may, and one: %d; then %s", n == most + 1 || n == 278, errno_name(errno));
    show_events(z);
    struct timeval tv = {0, 50000};
    setsockopt(z, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    SHOW(send(z, "m", 1, 0));
    SHOW(recv(y, got, 10, 0));
    show_events(z);
    SHOW(send(z, "m", 1, MSG_DONTWAIT));
    struct pollfd p = {z, POLLOUT, 0};
    if (!fork()) {
        usleep(30000);
        recv(y, got, 10, 0);
        _exit(0);
    }
    SHOW(poll(&p, 1, 5000));
    wait(NULL);
    /* disconnecting */
    struct sockaddr none = {AF_UNSPEC};
    SHOW(connect(z, &none, sizeof none));
    SHOW(send(z, "m", 1, 0));
    SHOW(connect(z, &none, 1));
    SHOW(connect(z, &none, 0));
    while (recv(y, got, 10, MSG_DONTWAIT) > 0)
        ;
    SHOW(connect(y, (void *)&a, la));
    send(x, "lost", 4, 0);
    SHOW(connect(y, &none, sizeof none));
    OPTION(x, SO_ERROR);
    SHOW(recv(y, got, 10, MSG_DONTWAIT));
    close(y);
    SHOW(send(x, "gone", 4, 0));
    SHOW(send(x, "gone", 4, 0));
    SHOW(sendto(x, "q", 1, 0, (void *)&b, lb));
    SHOW(unlink("b.sock"));
    close(x);
    close(z);
}

static void many(void)
{
    int s[2];
    struct mmsghdr m[4];
    struct iovec v[4];
    char in[4][8];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    memset(m, 0, sizeof m);
    for (int i = 0; i < 4; i++) {
        v[i] = (struct iovec){"message" + i, 7 - i};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    SHOW(sendmmsg(s[0], m, 4, 0));
    for (int i = 0; i < 4; i++) {
        NOTE("%u", m[i].msg_len);
        v[i] = (struct iovec){in[i], 8};
    }
    SHOW(recvmmsg(s[1], m, 2, 0, NULL));
    SHOW(recvmmsg(s[1], m, 4, MSG_DONTWAIT, NULL));
    NOTE("%u %u", m[0].msg_len, m[1].msg_len);
    SHOW(recvmmsg(s[1], m, 4, MSG_DONTWAIT, NULL));
    sendmmsg(s[0], m, 1, 0);
    SHOW(recvmmsg(s[1], m, 4, MSG_WAITFORONE, NULL));
    struct timespec ts = {0, 0};
    sendmmsg(s[0], m, 3, 0);
    SHOW(recvmmsg(s[1], m, 3, 0, &ts));
    ts.tv_nsec = 1000000000;
    SHOW(recvmmsg(s[1], m, 3, 0, &ts));
    SHOW(recvmmsg(s[1], m, 3, 0, (void *)8));
    v[1].iov_base = (void *)8;
    SHOW(sendmmsg(s[0], m, 3, 0));
    v[0].iov_base = (void *)8;
    SHOW(sendmmsg(s[0], m, 3, 0));
    SHOW(sendmmsg(s[0], m, 0, 0));
    SHOW(sendmmsg(9999, m, 1, 0));
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL);
    boundaries(SOCK_DGRAM);
    boundaries(SOCK_SEQPACKET);
    several();
    many();
}

// Long random sequences of calls on AF_UNIX sockets, none of which waits; every result is printed.
// run: 1
// run: 2
// run: 3
// run: 4
// run: 5
// run: 6
#include "random.h"
#include "unix.h"

#define LOWEST 3
#define HIGHEST 14

static char data[200200], got[200200];

static int fd(void)
{
    return LOWEST + pick(HIGHEST - LOWEST + 1);
}

/* Abstract names are the whole host's, where another seed may be running at the same time. */
static char names[5][32] = {"@lxrun-random-1-", "@lxrun-random-2-", "@lxrun-random-3-", "p.sock", "q.sock"};

static const char *name(void)
{
    return names[pick(5)];
}

static int made(int result)
{
    if (result > HIGHEST) {
        close(result);
        return -2;
    }
    return result;
}

static int flags(void)
{
    static const int all[] = {0, 0, 0, 0, MSG_PEEK, MSG_TRUNC, MSG_OOB, MSG_WAITALL, MSG_PEEK | MSG_TRUNC, MSG_OOB | MSG_PEEK};
    return all[pick(10)] | MSG_DONTWAIT | MSG_NOSIGNAL;
}

static int length(void)
{
    static const int most[] = {3, 10, 200, 5000, 40000, 200000};
    return pick(most[pick(6)]);
}

static void receive(int number, int f, int size, int how)
{
    char control[256];
    struct sockaddr_un a;
    struct iovec v = {got, size};
    struct msghdr m = {&a, sizeof a, &v, 1, control, pick(4) ? sizeof control : pick(60), 0};
    long n = recvmsg(f, &m, how);
    label(n, "%d recvmsg %d %d %x", number, f, size, how);
    if (n < 0)
        return;
    NOTE("  hash %llx flags %x control %d name %d", (unsigned long long)hash(got, n > size ? size : n), m.msg_flags,
         (int)m.msg_controllen, (int)m.msg_namelen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        NOTE("  type %d length %d", c->cmsg_type, (int)c->cmsg_len);
        if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len >= CMSG_LEN(sizeof(struct ucred)))
            NOTE("  pid %d", ((struct ucred *)CMSG_DATA(c))->pid == getpid());
        if (c->cmsg_type == SCM_RIGHTS)
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / 4; i++)
                NOTE("  fd %d", made(((int *)CMSG_DATA(c))[i]));
    }
}

static void step(int number)
{
    int f = fd(), g = fd(), size = length(), how = flags(), s[2];
    const char *n = name();
    struct sockaddr_un a;
    socklen_t l;
    switch (pick(24)) {
        case 0: {
            int type = types[pick(3)];
            int r = socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s);
            label(r, "%d socketpair %s", number, type_name(type));
            made(s[0]);
            made(s[1]);
            break;
        }
        case 1: case 2: {
            int type = types[pick(3)];
            label(made(socket(AF_UNIX, type | SOCK_NONBLOCK, 0)), "%d socket %s", number, type_name(type));
            break;
        }
        case 3: label(bind_to(f, n), "%d bind %d %s", number, f, n); break;
        case 4: size = pick(4); label(listen(f, size), "%d listen %d %d", number, f, size); break;
        case 5: case 6: label(connect_to(f, n), "%d connect %d %s", number, f, n); break;
        case 7: l = sizeof a; label(made(accept4(f, (void *)&a, &l, SOCK_NONBLOCK)), "%d accept %d", number, f); break;
        case 8: label(shutdown(f, g % 3), "%d shutdown %d %d", number, f, g % 3); break;
        case 9: label(close(f), "%d close %d", number, f); break;
        case 10: case 11: case 12: case 13:
            label(send(f, data + pick(100), size, how & ~MSG_PEEK), "%d send %d %d %x", number, f, size, how);
            break;
        case 14: l = address(&a, n);
            label(sendto(f, data, size, how & ~MSG_PEEK, (void *)&a, l), "%d sendto %d %d %s", number, f, size, n);
            break;
        case 15: label(write(f, data + 7, size), "%d write %d %d", number, f, size); break;
        case 16: label(read(f, got, size), "%d read %d %d", number, f, size); break;
        case 17: case 18: case 19: receive(number, f, size, how); break;
        case 20: {
            /* no sockets: when their cycles are collected is up to the kernel */
            struct iovec v = {data, 1 + size % 30};
            struct { struct cmsghdr h; int fd; } c = {{CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS}, g % 3};
            struct msghdr m = {NULL, 0, &v, 1, &c, sizeof c, 0};
            label(sendmsg(f, &m, MSG_DONTWAIT | MSG_NOSIGNAL), "%d pass %d over %d", number, g % 3, f);
            break;
        }
        case 21: {
            static const int options[] = {SO_SNDBUF, SO_PASSCRED, SO_PEEK_OFF, SO_OOBINLINE, SO_RCVLOWAT};
            int option = options[pick(5)], value = option == SO_SNDBUF ? 3000 + size % 200000 : option == SO_PEEK_OFF ? (int)pick(20) - 5 : (int)pick(2);
            label(set_option(f, option, value), "%d option %d %d %d", number, f, option, value);
            break;
        }
        case 22: OPTION(f, SO_ERROR); label(ioctl(f, SIOCOUTQ, &size), "%d queue %d", number, size); break;
        case 23: l = sizeof a; label(getpeername(f, (void *)&a, &l), "%d getpeername %d", number, f); break;
    }
    show_events(f);
    show_events(g);
    if (pick(40) == 0) {
        unlink("p.sock");
        unlink("q.sock");
    }
}

int main(int argc, char **argv)
{
    random_start(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 3; i++)
        strncat(names[i], argv[1], sizeof names[i] - strlen(names[i]) - 1);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i * 31 + i / 777;
    for (int i = 0; i < 3000; i++)
        step(i);
    unlink("p.sock");
    unlink("q.sock");
    return 0;
}

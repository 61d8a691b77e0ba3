// SCM_RIGHTS and SCM_CREDENTIALS: what is passed, truncated, refused, peeked at, lost and collected.
#include "unix.h"

#define ROOM 2048
static char control[ROOM] __attribute__((aligned(8)));

static long send_with(int fd, const char *text, int size, int type, const void *body, int length, int flags)
{
    struct iovec v = {(char *)text, size};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (body) {
        memset(control, 0, sizeof control);
        struct cmsghdr *c = (void *)control;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = type;
        c->cmsg_len = CMSG_LEN(length);
        memcpy(CMSG_DATA(c), body, length);
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(length);
    }
    return sendmsg(fd, &m, flags | MSG_DONTWAIT);
}

static long send_fds(int fd, const char *text, int count, const int *fds)
{
    return send_with(fd, text, strlen(text), SCM_RIGHTS, fds, count * sizeof(int), 0);
}

/* Receive and print everything; the descriptors are closed. */
static void get(int fd, int size, int room, int flags)
{
    static char text[1000];
    struct iovec v = {text, size};
    struct sockaddr_un a;
    struct msghdr m = {&a, sizeof a, &v, 1, room ? control : NULL, room, -1};
    memset(control, 0xAA, sizeof control);
    long n = recvmsg(fd, &m, flags | MSG_DONTWAIT);
    if (n < 0) {
        NOTE("recvmsg: %s", errno_name(errno));
        return;
    }
    show_bytes("got", text, n);
    NOTE("  name %d, flags %x, control %d", (int)m.msg_namelen, m.msg_flags, (int)m.msg_controllen);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c && m.msg_controllen == 0 && room)
        NOTE("  untouched %d", control[0] == (char)0xAA);
    for (; c; c = CMSG_NXTHDR(&m, c)) {
        int left = c->cmsg_len - CMSG_LEN(0);
        NOTE("  level %d type %d length %d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
        if (c->cmsg_type == SCM_CREDENTIALS && left == sizeof(struct ucred)) {
            struct ucred *u = (void *)CMSG_DATA(c);
            NOTE("  pid %s uid %s gid %s", u->pid == 0 ? "0" : u->pid == getpid() ? "own" : u->pid == getppid() ? "parent" : "other",
                 u->uid == getuid() ? "own" : u->uid == 65534 ? "nobody" : "other",
                 u->gid == getgid() ? "own" : u->gid == 65534 ? "nobody" : "other");
        }
        if (c->cmsg_type == SCM_RIGHTS)
            for (int i = 0; i < left / (int)sizeof(int); i++) {
                int got = ((int *)CMSG_DATA(c))[i];
                struct stat st;
                fstat(got, &st);
                NOTE("  fd %d: mode %o, cloexec %d, flags %x", got, st.st_mode & S_IFMT, fcntl(got, F_GETFD),
                     fcntl(got, F_GETFL) & ~O_LARGEFILE);
                close(got);
            }
    }
}

static void passing(int type)
{
    int s[2], p[2];
    NOTE("== %s", type_name(type));
    socketpair(AF_UNIX, type, 0, s);
    pipe(p);
    int path = open(".", O_PATH);
    SHOW(send_fds(s[0], "one", 1, p));
    get(s[1], 10, ROOM, 0);
    SHOW(send_fds(s[0], "two", 2, p));
    get(s[1], 10, ROOM, MSG_CMSG_CLOEXEC);
    SHOW(send_fds(s[0], "path", 1, &path));
    get(s[1], 10, ROOM, 0);
    SHOW(send_fds(s[0], "socket", 1, s));
    get(s[1], 10, ROOM, 0);
    /* too little room */
    int four[4] = {p[0], p[1], p[0], p[1]};
    static const int rooms[] = {0, 8, 16, 17, 20, 23, 24, 28, 31, 32, 40};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        send_fds(s[0], "four", 4, four);
        NOTE("room %d", rooms[i]);
        get(s[1], 10, rooms[i], 0);
    }
    /* messages are not glued across descriptors */
    send(s[0], "plain ", 6, 0);
    send_fds(s[0], "with", 1, p);
    send_fds(s[0], "more", 1, p);
    send(s[0], "plain", 5, 0);
    for (int i = 0; i < 5; i++)
        get(s[1], 100, ROOM, 0);
    send_fds(s[0], "in parts", 1, p);
    get(s[1], 3, ROOM, 0);
    get(s[1], 30, ROOM, 0);
    /* peeking gives descriptors too */
    send_fds(s[0], "peek", 1, p);
    get(s[1], 10, ROOM, MSG_PEEK);
    get(s[1], 10, ROOM, MSG_PEEK);
    get(s[1], 10, ROOM, 0);
    /* read(2) and recv(2) lose them */
    char text[10];
    send_fds(s[0], "lost", 1, &p[1]);
    SHOW(read(s[1], text, 10));
    send_fds(s[0], "lost", 1, &p[1]);
    SHOW(recv(s[1], text, 10, 0));
    send_fds(s[0], "last", 1, &p[1]);
    close(p[1]);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    SHOW(read(p[0], text, 1));
    SHOW(read(s[1], text, 10));
    SHOW(read(p[0], text, 1));
    /* refused */
    int bad[2] = {p[0], 99};
    SHOW(send_fds(s[0], "x", 2, bad));
    bad[0] = -1;
    SHOW(send_fds(s[0], "x", 1, bad));
    int lots[254];
    for (int i = 0; i < 254; i++)
        lots[i] = p[0];
    SHOW(send_fds(s[0], "x", 254, lots));
    SHOW(send_fds(s[0], "x", 253, lots));
    SHOW(send_fds(s[0], "x", 0, lots));
    SHOW(recv(s[1], text, 10, MSG_DONTWAIT));
    SHOW(recv(s[1], text, 10, MSG_DONTWAIT));
    SHOW(send_with(s[0], "x", 1, 77, lots, 4, 0));
    SHOW(send_with(s[0], "", 0, SCM_RIGHTS, p, 4, 0));
    get(s[1], 10, ROOM, 0);
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 16};
    ((struct cmsghdr *)control)->cmsg_len = 8;
    SHOW(sendmsg(s[0], &m, 0));
    ((struct cmsghdr *)control)->cmsg_len = 17;
    SHOW(sendmsg(s[0], &m, 0));
    m.msg_controllen = 8;
    SHOW(sendmsg(s[0], &m, 0));
    m.msg_control = (void *)8;
    SHOW(sendmsg(s[0], &m, 0));
    m.msg_controllen = 1 << 20;
    SHOW(sendmsg(s[0], &m, 0));
    m.msg_controllen = 0;
    m.msg_iovlen = 1025;
    SHOW(sendmsg(s[0], &m, 0));
    SHOW(recvmsg(s[1], &m, 0));
    m.msg_iovlen = 1;
    m.msg_name = &v;
    m.msg_namelen = -1;
    SHOW(sendmsg(s[0], &m, 0));
    SHOW(recvmsg(s[1], &m, 0));
    SHOW(sendmsg(s[0], (void *)8, 0));
    SHOW(recvmsg(s[1], (void *)8, 0));
    while (recv(s[1], text, 10, MSG_DONTWAIT) > 0)
        ;
    /* no descriptor free */
    struct rlimit old, now;
    getrlimit(RLIMIT_NOFILE, &old);
    send_fds(s[0], "limit", 3, (int[]){p[0], p[0], p[0]});
    int next = dup(0);
    close(next);
    now = old;
    now.rlim_cur = next + 1;
    setrlimit(RLIMIT_NOFILE, &now);
    get(s[1], 10, ROOM, 0);
    setrlimit(RLIMIT_NOFILE, &old);
    close(p[0]);
    close(s[0]);
    close(s[1]);
    close(path);
}

static void credentials(int type)
{
    int s[2];
    NOTE("== credentials, %s", type_name(type));
    socketpair(AF_UNIX, type, 0, s);
    struct ucred u = {getpid(), getuid(), getgid()}, peer;
    socklen_t l = sizeof peer;
    SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &peer, &l));
    SHOW(peer.pid == getpid() && peer.uid == geteuid() && peer.gid == getegid());
    SHOW((int)l);
    l = 5;
    SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &peer, &l));
    SHOW((int)l);
    OPTION(s[0], SO_PASSCRED);
    SHOW(send(s[0], "before", 6, 0));
    SHOW(send_with(s[0], "explicit", 8, SCM_CREDENTIALS, &u, sizeof u, 0));
    SHOW(set_option(s[1], SO_PASSCRED, 5));
    OPTION(s[1], SO_PASSCRED);
    SHOW(send(s[0], "after", 5, 0));
    for (int i = 0; i < 4; i++)
        get(s[1], 100, ROOM, 0);
    send(s[0], "short", 5, 0);
    get(s[1], 100, 20, 0);
    send(s[0], "none", 4, 0);
    get(s[1], 100, 0, 0);
    if (!fork()) {
        SHOW(send(s[0], "child", 5, 0));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    SHOW(write(s[0], "own", 3));
    get(s[1], 100, ROOM, 0);
    get(s[1], 100, ROOM, 0);
    send_fds(s[0], "both", 1, s);
    get(s[1], 100, ROOM, 0);
    send_fds(s[0], "both", 1, s);
    get(s[1], 100, 40, 0);
    SHOW(send_with(s[0], "x", 1, SCM_CREDENTIALS, &u, 8, 0));
    u.pid = 1 << 22;
    SHOW(send_with(s[0], "x", 1, SCM_CREDENTIALS, &u, sizeof u, 0));
    fflush(stdout);
    if (!geteuid() && !fork()) {
        setgid(12345);
        setuid(12345);
        u.pid = getpid();
        SHOW(send_with(s[0], "x", 1, SCM_CREDENTIALS, &u, sizeof u, 0));
        u.uid = 12345;
        SHOW(send_with(s[0], "x", 1, SCM_CREDENTIALS, &u, sizeof u, 0));
        u.gid = 12345;
        SHOW(send_with(s[0], "x", 1, SCM_CREDENTIALS, &u, sizeof u, 0));
        u.pid = 1;
        SHOW(send_with(s[0], "x", 1, SCM_CREDENTIALS, &u, sizeof u, 0));
        /* files in flight are counted by user */
        struct rlimit now = {10, 10};
        setrlimit(RLIMIT_NOFILE, &now);
        int n = 0;
        while (n < 100 && send_fds(s[0], "f", 1, s) == 1)
            n++;
        NOTE("%d files, then %s", n, errno_name(errno));
        exit(0);
    }
    wait(NULL);
    get(s[1], 100, ROOM, 0);
    close(s[0]);
    close(s[1]);
    int x = socket(AF_UNIX, type, 0);
    l = sizeof peer;
    getsockopt(x, SOL_SOCKET, SO_PEERCRED, &peer, &l);
    NOTE("%d %d %d", peer.pid, peer.uid, peer.gid);
    if (type == SOCK_DGRAM)
        return;
    SHOW(bind_to(x, "@lxrun-test-cred"));
    set_option(x, SO_PASSCRED, 1);
    listen(x, 1);
    getsockopt(x, SOL_SOCKET, SO_PEERCRED, &peer, &l);
    SHOW(peer.pid == getpid());
    fflush(stdout);
    if (!fork()) {
        int c = socket(AF_UNIX, type, 0);
        connect_to(c, "@lxrun-test-cred");
        getsockopt(c, SOL_SOCKET, SO_PEERCRED, &peer, &l);
        SHOW(peer.pid == getppid());
        SHOW(send(c, "connected", 9, 0));
        exit(0);
    }
    int a = accept(x, NULL, NULL);
    wait(NULL);
    getsockopt(a, SOL_SOCKET, SO_PEERCRED, &peer, &l);
    SHOW(peer.pid != getpid() && peer.pid > 0);
    OPTION(a, SO_PASSCRED);
    get(a, 100, ROOM, 0);
    close(a);
    close(x);
}

/* Whether the last reference to the write end of a pipe is gone. */
static void ended(int p)
{
    char c;
    long n = read(p, &c, 1);
    NOTE("%s", n == 0 ? "collected" : n < 0 ? errno_name(errno) : "data");
}

static void cycles(void)
{
    int s[2], t[2], p[2];
    /* a pair whose ends lie in each other's queue, with a pipe to watch it by */
    pipe2(p, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    send_fds(s[0], "x", 2, (int[]){s[0], p[1]});
    send_fds(s[1], "x", 2, (int[]){s[1], p[1]});
    close(p[1]);
    close(s[0]);
    ended(p[0]);
    close(s[1]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, t);
    close(t[0]);
    usleep(20000); /* Linux collects in the background */
    ended(p[0]);
    close(t[1]);
    close(p[0]);
    /* in flight, but reachable */
    pipe2(p, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, t);
    send_fds(s[0], "inner", 1, &p[1]);
    close(p[1]);
    send_fds(t[0], "outer", 1, &s[1]);
    close(s[0]);
    close(s[1]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    close(s[0]);
    close(s[1]);
    usleep(20000);
    ended(p[0]);
    close(t[0]);
    close(t[1]);
    ended(p[0]);
    close(p[0]);
    /* a connection that nobody accepts, holding its own listener */
    pipe2(p, O_NONBLOCK);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    bind_to(l, "@lxrun-test-cycle");
    listen(l, 1);
    connect_to(c, "@lxrun-test-cycle");
    send_fds(c, "x", 2, (int[]){l, p[1]});
    close(p[1]);
    close(l);
    ended(p[0]);
    close(c);
    socketpair(AF_UNIX, SOCK_STREAM, 0, t);
    close(t[0]);
    usleep(20000);
    ended(p[0]);
    close(t[1]);
    /* a long chain closes without ado */
    int depth = 0, last[2];
    pipe2(p, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    send_fds(s[0], "end", 1, &p[1]);
    close(p[1]);
    close(s[0]);
    last[0] = s[1];
    for (; depth < 3000; depth++) {
        socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
        if (send_fds(s[0], "link", 1, last) != 4)
            break;
        close(last[0]);
        close(s[0]);
        last[0] = s[1];
    }
    NOTE("%d links", depth);
    close(last[0]);
    usleep(50000);
    ended(p[0]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < 3; i++)
        passing(types[i]);
    for (int i = 0; i < 3; i++)
        credentials(types[i]);
    cycles();
}

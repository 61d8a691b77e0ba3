// run:
// Descriptors of processes that come through sockets: SO_PEERPIDFD, and SCM_PIDFD of SO_PASSPIDFD.
#include "unix.h"
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define SCM_PIDFD_ 4

static void show(const char *what, long result)
{
    show_result(what, result, 1);
}

/* Whose descriptor it is: ours, the child's, nobody's. */
static pid_t child;

static void whose(const char *what, int fd)
{
    char name[64], text[512] = "", *at;
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
    int info = open(name, O_RDONLY);
    if (info >= 0) {
        read(info, text, sizeof text - 1);
        close(info);
    }
    at = strstr(text, "Pid:\t");
    int pid = at ? atoi(at + 5) : -2;
    struct pollfd p = {fd, POLLIN, 0};
    int ready = poll(&p, 1, 0);
    printf("%s: %s, cloexec %d, poll %d revents %#x, signal 0: ", what,
           pid == getpid() ? "ours" : pid == child ? "the child's" : pid == -1 ? "of the past" : "?",
           fcntl(fd, F_GETFD), ready, p.revents);
    show("", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

static int peer(const char *what, int fd, socklen_t room)
{
    int value = -1;
    int result = getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &value, &room);
    printf("%s: length %d: ", what, result ? 0 : (int)room);
    show("getsockopt", result);
    return result ? -1 : value;
}

static void pass(int fd, int on)
{
    int value = -1;
    socklen_t size = sizeof value;
    show("SO_PASSPIDFD", setsockopt(fd, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on));
    show("asked", getsockopt(fd, SOL_SOCKET, SO_PASSPIDFD, &value, &size));
    printf("value %d\n", value);
    show("SO_PASSCRED", getsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, &size));
    printf("value %d\n", value);
}

static void get(int fd, int room, int flags)
{
    char data[100], control[200];
    struct iovec v = {data, sizeof data};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room ? control : NULL, .msg_controllen = room};
    ssize_t n = recvmsg(fd, &m, flags | MSG_DONTWAIT);
    show("recvmsg", n);
    if (n < 0)
        return;
    printf("  flags %#x control %d\n", m.msg_flags, (int)m.msg_controllen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        printf("  level %d type %d length %d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
        if (c->cmsg_type == SCM_PIDFD_) {
            int value;
            memcpy(&value, CMSG_DATA(c), 4);
            if (value >= 0) {
                whose("", value);
                close(value);
            } else
                printf(" error %s\n", errno_name(-value));
        } else {
            if (c->cmsg_type == SCM_RIGHTS && c->cmsg_len >= CMSG_LEN(4)) {
                int value;
                memcpy(&value, CMSG_DATA(c), 4);
                close(value);
            }
            putchar('\n');
        }
    }
}

static void put(int fd, int file)
{
    char data = 'x', control[CMSG_SPACE(4)] = {0};
    struct iovec v = {&data, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (file >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(4);
        memcpy(CMSG_DATA(c), &file, 4);
    }
    show("sendmsg", sendmsg(fd, &m, 0));
}

static void pairs(int type)
{
    printf("-- %s\n", type_name(type));
    int s[2], plain = socket(AF_UNIX, type, 0), one = 1;
    peer("no peer", plain, 4);
    close(plain);
    socketpair(AF_UNIX, type, 0, s);
    int fd = peer("a pair", s[0], 4);
    whose("peer", fd);
    close(fd);
    fd = peer("more room", s[0], 8);
    close(fd);
    fd = peer("no room", s[0], 0);
    show("setting it", setsockopt(s[0], SOL_SOCKET, SO_PEERPIDFD, &one, 4));

    pass(s[1], 1);
    put(s[0], -1);
    get(s[1], 200, 0);
    put(s[0], -1);
    get(s[1], 200, MSG_PEEK);
    get(s[1], 0, 0);
    put(s[0], -1);
    get(s[1], CMSG_LEN(4) - 1, 0);
    put(s[0], -1);
    get(s[1], CMSG_LEN(4), 0);
    put(s[0], 0);
    get(s[1], 200, 0);
    put(s[0], 0);
    get(s[1], CMSG_SPACE(4), 0);
    setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    put(s[0], 0);
    get(s[1], 200, 0);
    put(s[0], 0);
    get(s[1], CMSG_SPACE(12) + CMSG_SPACE(4), 0);
    put(s[0], -1);
    get(s[1], CMSG_SPACE(12), 0);
    pass(s[1], 0);
    put(s[0], -1);
    get(s[1], 200, 0);

    /* From a child: who it was stays known. */
    pass(s[1], 1);
    child = fork();
    if (!child) {
        write(s[0], "c", 1);
        pause();
    }
    struct pollfd p = {s[1], POLLIN, 0};
    poll(&p, 1, -1);
    get(s[1], 200, MSG_PEEK);
    kill(child, SIGKILL);
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    get(s[1], 200, MSG_PEEK);
    waitpid(child, NULL, 0);
    close(s[0]);
    close(s[1]);
    child = 0;
}

static void connection(void)
{
    puts("-- connected");
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), ready[2];
    bind_to(listener, "@lxrun-pidfd");
    peer("bound", listener, 4);
    show("listen", listen(listener, 1));
    int fd = peer("listening", listener, 4);
    if (fd >= 0)
        whose("listener", fd), close(fd);
    pipe(ready);
    child = fork();
    if (!child) {
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        connect_to(s, "@lxrun-pidfd");
        int server = -1;
        socklen_t size = 4;
        getsockopt(s, SOL_SOCKET, SO_PEERPIDFD, &server, &size);
        pid_t parent = getppid();
        char text[512] = "", *at;
        snprintf(text, sizeof text, "/proc/self/fdinfo/%d", server);
        int info = open(text, O_RDONLY);
        read(info, text, sizeof text - 1);
        at = strstr(text, "Pid:\t");
        printf("the server is the parent: %d\n", at && atoi(at + 5) == parent);
        fflush(stdout);
        write(ready[1], "x", 1);
        pause();
    }
    char c;
    read(ready[0], &c, 1);
    int s = accept(listener, NULL, NULL);
    fd = peer("accepted", s, 4);
    whose("client", fd);
    kill(child, SIGKILL);
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    whose("a zombie", fd);
    waitpid(child, NULL, 0);
    whose("reaped", fd);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int n = 0; n < 3; n++)
        pairs(types[n]);
    connection();
    return 0;
}

/* What the programs about AF_UNIX sockets share. */
#ifndef UNIX_H
#define UNIX_H
#include "show.h"
#include <linux/sockios.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

UNUSED static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
UNUSED static const char *type_name(int type)
{
    return type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "dgram" : "seqpacket";
}

/* The address of a path, or with @ in front of an abstract name; its length. */
UNUSED static socklen_t address(struct sockaddr_un *a, const char *name)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, name);
    if (name[0] == '@') {
        a->sun_path[0] = 0;
        return offsetof(struct sockaddr_un, sun_path) + strlen(name);
    }
    return offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1;
}

UNUSED static int bind_to(int fd, const char *name)
{
    struct sockaddr_un a;
    return bind(fd, (void *)&a, address(&a, name));
}

UNUSED static int connect_to(int fd, const char *name)
{
    struct sockaddr_un a;
    return connect(fd, (void *)&a, address(&a, name));
}

UNUSED static void show_name(const char *what, const struct sockaddr_un *a, socklen_t length)
{
    printf("%s: length %d", what, (int)length);
    if (length >= 2)
        printf(" family %d", a->sun_family);
    if (length > 2)
        show_bytes(" name", a->sun_path, length - 2);
    else
        putchar('\n');
}

UNUSED static void show_events(int fd)
{
    static const struct { int bit; const char *name; } names[] = {
        {POLLIN, "IN"}, {POLLPRI, "PRI"}, {POLLOUT, "OUT"}, {POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLNVAL, "NVAL"},
        {POLLRDNORM, "RDNORM"}, {POLLRDBAND, "RDBAND"}, {POLLWRNORM, "WRNORM"}, {POLLWRBAND, "WRBAND"},
        {POLLRDHUP, "RDHUP"},
    };
    struct pollfd p = {fd, -1, 0};
    poll(&p, 1, 0);
    printf("  events:");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (p.revents & names[i].bit)
            printf(" %s", names[i].name);
    putchar('\n');
}

UNUSED static void show_queues(int fd)
{
    int in = -1, out = -1;
    int a = ioctl(fd, SIOCINQ, &in), b = ioctl(fd, SIOCOUTQ, &out);
    printf("  queues: %d %d, %d %d\n", a, in, b, out);
}

UNUSED static void option(int fd, int name, const char *text)
{
    int value[4] = {-7, -7, -7, -7};
    socklen_t size = sizeof value;
    int r = getsockopt(fd, SOL_SOCKET, name, value, &size);
    if (r)
        printf("  %s: %s\n", text, errno_name(errno));
    else
        printf("  %s: %d (size %d)\n", text, value[0], (int)size);
}
#define OPTION(fd, name) option(fd, name, #name)

UNUSED static int set_option(int fd, int name, int value)
{
    return setsockopt(fd, SOL_SOCKET, name, &value, sizeof value);
}

#endif

/* What the programs about terminals share: a pair, what comes out of it, and what was typed at it.
   Linux takes typed characters over in its own time, but poll(2) of an end that has nothing to read waits for that
   to be done: so nothing here waits for a time. */
#ifndef PTY_H
#define PTY_H
#include "show.h"
#include <asm/termbits.h>
#include <poll.h>
#include <sys/wait.h>

UNUSED static int pts_number(int master)
{
    unsigned n = 0;
    ioctl(master, TIOCGPTN, &n);
    return n;
}

UNUSED static int open_slave(int master, int flags)
{
    char name[32];
    snprintf(name, sizeof name, "/dev/pts/%d", pts_number(master));
    return open(name, flags);
}

UNUSED static int open_master(int flags)
{
    int master = open("/dev/ptmx", flags), off = 0;
    if (master < 0 || ioctl(master, TIOCSPTLCK, &off))
        die("/dev/ptmx");
    return master;
}

UNUSED static void pair(int *master, int *slave)
{
    *master = open_master(O_RDWR | O_NOCTTY);
    *slave = open_slave(*master, O_RDWR | O_NOCTTY);
    if (*slave < 0)
        die("slave");
}

UNUSED static struct termios modes(int fd)
{
    struct termios t = {0};
    if (ioctl(fd, TCGETS, &t))
        die("TCGETS");
    return t;
}

UNUSED static void set_modes(int fd, struct termios t)
{
    if (ioctl(fd, TCSETS, &t))
        die("TCSETS");
}

UNUSED static void no_wait(int fd, int on)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

/* Everything that can be read now. */
UNUSED static long collect(int fd, char *data, long size)
{
    struct pollfd p = {fd, POLLIN, 0};
    long n = 0;
    while (n < size && poll(&p, 1, 0) == 1 && p.revents & POLLIN) {
        long r = read(fd, data + n, size - n);
        if (r <= 0)
            break;
        n += r;
    }
    return n;
}

/* Have everything typed so far arrive, and drop its echo. */
UNUSED static void settle(int master, int slave)
{
    static char dropped[16384];
    struct pollfd p = {slave, POLLIN, 0};
    poll(&p, 1, 0);
    collect(master, dropped, sizeof dropped);
}

UNUSED static void show_ready(const char *name, int fd)
{
    struct pollfd p = {fd, POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLWRNORM, 0};
    poll(&p, 1, 0);
    printf("  %s:%s%s%s%s%s%s%s\n", name, p.revents & POLLIN ? " IN" : "", p.revents & POLLPRI ? " PRI" : "",
           p.revents & POLLOUT ? " OUT" : "", p.revents & POLLERR ? " ERR" : "", p.revents & POLLHUP ? " HUP" : "",
           p.revents & POLLRDNORM ? " RDNORM" : "", p.revents & POLLWRNORM ? " WRNORM" : "");
}

UNUSED static void show_read(const char *name, int fd, long size)
{
    char data[8192];
    long n = read(fd, data, size);
    if (n < 0)
        printf("  %s: %s\n", name, errno_name(errno));
    else {
        printf("  ");
        show_bytes(name, data, n);
    }
}

/* Type at the master, and show what it echoes and what the slave reads, each read by itself.  The slave is read first,
   until there is nothing more: then everything has arrived. */
UNUSED static void type_bytes(int master, int slave, const char *what, const char *text, long size)
{
    static char echo[16384], data[64][8192];
    long got[64], reads = 0;
    if (write(master, text, size) != size)
        die("typing");
    int flags = fcntl(slave, F_GETFL);
    no_wait(slave, 1);
    while (reads < 64 && (got[reads] = read(slave, data[reads], sizeof *data)) >= 0)
        reads++;
    int last = errno;
    fcntl(slave, F_SETFL, flags);
    long n = collect(master, echo, sizeof echo);
    printf("%s\n  ", what);
    show_bytes("echo", echo, n);
    for (int i = 0; i < reads; i++)
        if (got[i] > 300) {
            printf("  read[%ld] hash %lx\n", got[i], (long)hash(data[i], got[i]));
        } else {
            printf("  ");
            show_bytes("read", data[i], got[i]);
        }
    printf("  then %s\n", errno_name(last));
}
#define TYPE(text) type_bytes(m, s, #text, text, sizeof text - 1)

UNUSED static int waiting(int fd)
{
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    return n;
}

UNUSED static void write_all(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) != (long)strlen(text))
        die("write");
}
#endif

/* calls getpid|time|stat|pipe|file|epoll|busy N: that many getpid calls, clock_gettime calls (in the vDSO), stat calls
   on one file, pairs of a 1-byte write and a 1-byte read, or rounds of ten busy counters in one epoll instance, among a thousand idle ones
   or alone. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int failed(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long n = atol(argv[2]);
    char byte = 'x';
    if (!strcmp(argv[1], "getpid")) {
        while (n--)
            syscall(SYS_getpid);
    } else if (!strcmp(argv[1], "time")) {
        struct timespec now;
        while (n--)
            clock_gettime(CLOCK_MONOTONIC, &now);
    } else if (!strcmp(argv[1], "stat")) {
        struct stat st;
        while (n--)
            if (stat("gibibyte", &st))
                return failed(argv[1]);
    } else if (!strcmp(argv[1], "pipe")) {
        int fds[2];
        if (pipe(fds) < 0)
            return failed(argv[1]);
        while (n--)
            if (write(fds[1], &byte, 1) != 1 || read(fds[0], &byte, 1) != 1)
                return failed(argv[1]);
    } else if (!strcmp(argv[1], "epoll") || !strcmp(argv[1], "busy")) {
        static struct epoll_event ready[64];
        int apart = *argv[1] == 'e' ? 101 : 1, count = 10 * apart;
        int ep = epoll_create1(0), fds[1010];
        unsigned long long value = 1;
        for (int i = 0; i < count; i++) {
            struct epoll_event e = {.events = EPOLLIN, .data.fd = fds[i] = eventfd(0, EFD_NONBLOCK)};
            if (epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e))
                return failed(argv[1]);
        }
        while (n--) {
            for (int i = 0; i < 10; i++)
                if (write(fds[i * apart], &value, 8) != 8)
                    return failed(argv[1]);
            if (epoll_wait(ep, ready, 64, -1) != 10)
                return failed(argv[1]);
            for (int i = 0; i < 10; i++)
                if (read(ready[i].data.fd, &value, 8) != 8)
                    return failed(argv[1]);
        }
    } else {
        int out = open("pairs", O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("pairs", O_RDONLY);
        while (n--)
            if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
                return failed(argv[1]);
    }
    return 0;
}

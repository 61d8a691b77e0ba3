/* vmsplice: how much it moves, when it waits, bad memory, ends that are closed. */
#include "show.h"
#include <sys/wait.h>

static char big[300000];

static long move(int fd, void *memory, size_t size, int flags)
{
    struct iovec vector = {memory, size};
    return vmsplice(fd, &vector, 1, flags);
}

int main(void)
{
    int p[2], waiting = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGPIPE, SIG_IGN);
    char *pages = island(100);
    memset(pages, 'x', 100 * PAGE);
    pipe(p);
    SHOW(move(p[1], pages, 100 * PAGE, 0)); /* what fits, and no waiting for the rest */
    SHOW(move(p[1], pages, 10, SPLICE_F_NONBLOCK));
    SHOW(read(p[0], big, PAGE));
    SHOW(move(p[1], pages, 3 * PAGE, SPLICE_F_NONBLOCK));
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    SHOW(write(p[1], pages, 10));
    if (!fork()) {
        usleep(20000);
        read(p[0], big, 3 * PAGE);
        _exit(0);
    }
    SHOW(move(p[1], pages, 10 * PAGE, 0) > 0); /* O_NONBLOCK does not count */
    wait(NULL);
    SHOW(move(p[1], pages, 0, 0));
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    SHOW(move(p[0], big, 20 * PAGE, 0) > 0);
    while (read(p[0], big, sizeof big) > 0)
        ;
    SHOW(move(p[0], big, 10, SPLICE_F_NONBLOCK));
    if (!fork()) {
        usleep(20000);
        write(p[1], "late", 4);
        _exit(0);
    }
    SHOW(move(p[0], big, 10, 0));
    wait(NULL);
    SHOW(move(p[1], (void *)8, 10, 0));
    SHOW(move(p[0], (void *)8, 10, SPLICE_F_NONBLOCK));
    struct iovec vector[3] = {{pages, 10}, {pages + PAGE, PAGE * 2}, {pages + 5, 20}};
    SHOW(vmsplice(p[1], vector, 3, 0));
    SHOW(ioctl(p[0], FIONREAD, &waiting));
    NOTE("%d", waiting);
    SHOW(vmsplice(p[1], vector, 1025, 0));
    SHOW(vmsplice(p[1], vector, 0, 0));
    SHOW(vmsplice(p[1], vector, 1, 16));
    SHOW(vmsplice(open("file", O_RDWR | O_CREAT, 0600), vector, 1, 0));
    SHOW(vmsplice(-1, vector, 1, 0));
    int reading = p[0];
    close(p[1]);
    SHOW(move(reading, big, sizeof big, 0));
    SHOW(move(reading, big, sizeof big, 0));
    pipe(p);
    close(p[0]);
    SHOW(move(p[1], pages, 10, 0));
    SHOW(move(p[1], pages, 0, 0));
    return 0;
}

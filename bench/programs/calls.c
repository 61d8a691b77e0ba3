/* calls getpid|time|pipe|file N: that many getpid calls, clock_gettime calls (in the vDSO), or pairs of a 1-byte write
   and a 1-byte read. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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
    } else if (!strcmp(argv[1], "pipe")) {
        int fds[2];
        if (pipe(fds) < 0)
            return 1;
        while (n--)
            if (write(fds[1], &byte, 1) != 1 || read(fds[0], &byte, 1) != 1)
                return 1;
    } else {
        int out = open("pairs", O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("pairs", O_RDONLY);
        while (n--)
            if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
                return 1;
    }
    return 0;
}

/* stream read|write|pipe N: N MiB in pieces of 64 KiB, from the file `gibibyte`, to one of 64 MiB that is written over and
   over, or from a process to another through a pipe. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (64 << 10)

static char data[PIECE];

static int failed(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long pieces = atol(argv[2]) * (1 << 20) / PIECE;
    memset(data, 'x', sizeof data);
    if (!strcmp(argv[1], "read")) {
        int in = open("gibibyte", O_RDONLY);
        for (long i = 0; i < pieces; i++)
            if (pread(in, data, PIECE, i % 16384 * PIECE) != PIECE)
                return failed(argv[1]);
    } else if (!strcmp(argv[1], "write")) {
        int out = open("written", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (long i = 0; i < pieces; i++)
            if (pwrite(out, data, PIECE, i % 1024 * PIECE) != PIECE)
                return failed(argv[1]);
    } else {
        int fds[2];
        if (pipe(fds) < 0)
            return failed(argv[1]);
        pid_t pid = fork();
        if (!pid) {
            close(fds[0]);
            for (long i = 0; i < pieces; i++)
                if (write(fds[1], data, PIECE) != PIECE)
                    _exit(failed(argv[1]));
            _exit(0);
        }
        close(fds[1]);
        long left = pieces * PIECE;
        ssize_t got;
        while ((got = read(fds[0], data, PIECE)) > 0)
            left -= got;
        int status;
        if (waitpid(pid, &status, 0) != pid || status || left)
            return failed(argv[1]);
    }
    return 0;
}

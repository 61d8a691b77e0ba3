// Pipes: capacity, atomicity, end of file, non-blocking, splice-free.
#include "show.h"
#include <poll.h>

static char data[200000];

int main(void)
{
    int p[2];
    struct stat st;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i * 13 + i / 4096;
    SHOW(pipe2(p, O_NONBLOCK));
    SHOW(read(p[0], data, 1));
    SHOW(write(p[1], data, 10));
    SHOW(read(p[0], data, 0));
    SHOW(read(p[0], data, 4));
    SHOW(read(p[0], data, 100));
    SHOW(write(p[1], data, sizeof data));
    SHOW(write(p[1], data, 1));
    SHOW(read(p[0], data, 4096));
    SHOW(write(p[1], data, 4097));
    SHOW(write(p[1], data, 4096));
    SHOW(read(p[0], data, 100));
    SHOW(write(p[1], data, 100));
    static char all[100000];
    SHOW(read(p[0], all, sizeof all));
    SHOW(read(p[0], all, sizeof all));
    SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
    SHOW(write(p[1], data, 5000));
    SHOW(fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
    SHOW(write(p[1], data, sizeof data));
    SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
    SHOW(write(p[0], data, 1));
    SHOW(read(p[1], data, 1));
    SHOW(lseek(p[0], 0, SEEK_SET));
    SHOW(pread(p[0], data, 1, 0));
    SHOW(pwrite(p[1], data, 1, 0));
    SHOW(fsync(p[0]));
    SHOW(fstat(p[0], &st));
    NOTE("mode %o size %ld", st.st_mode, (long)st.st_size);
    SHOW(close(p[0]));
    SHOW(write(p[1], data, 1));
    SHOW(write(p[1], data, 0));
    SHOW(pipe(p));
    SHOW(write(p[1], "last words", 10));
    SHOW(close(p[1]));
    SHOW(read(p[0], all, 4));
    SHOW(read(p[0], all, 100));
    SHOW(read(p[0], all, 100));
    SHOW(close(p[0]));
    SHOW(pipe2(p, O_DIRECT));
    SHOW(write(p[1], "one", 3));
    SHOW(write(p[1], "three", 5));
    SHOW(read(p[0], all, 2));
    SHOW(read(p[0], all, 100));
    SHOW(mkfifo("fifo", 0640));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    int r = SHOW(open("fifo", O_RDONLY | O_NONBLOCK));
    SHOW(read(r, all, 10));
    int w = SHOW(open("fifo", O_WRONLY));
    SHOW(read(r, all, 10));
    SHOW(write(w, "fifo", 4));
    SHOW(read(r, all, 10));
    SHOW(close(w));
    SHOW(read(r, all, 10));
    int both = SHOW(open("fifo", O_RDWR));
    SHOW(write(both, "self", 4));
    SHOW(read(both, all, 10));
    char path[64];
    pipe(p);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[1]);
    int again = open(path, O_WRONLY);
    SHOW(again >= 0);
    SHOW(write(again, "via proc", 8));
    SHOW(read(p[0], all, 20));
    struct iovec v[] = {{"ab", 2}, {"cde", 3}};
    SHOW(writev(p[1], v, 2));
    struct iovec in[] = {{all, 1}, {all + 10, 10}};
    SHOW(readv(p[0], in, 2));
    show_bytes("second", all + 10, 4);
    return 0;
}

// truncate, ftruncate, fallocate.
#include "show.h"
#include <linux/falloc.h>

static char data[40960];

static void size_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        NOTE("%s: size %ld", path, (long)st.st_size);
}

static void content(int fd)
{
    static char back[200000];
    long n = pread(fd, back, sizeof back, 0);
    NOTE("content %ld %016lx", n, (unsigned long)hash(back, n < 0 ? 0 : n));
}

int main(void)
{
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i % 251 + 1;
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    SHOW(write(fd, data, sizeof data));
    SHOW(ftruncate(fd, 5000));
    SHOW(lseek(fd, 0, SEEK_CUR));
    content(fd);
    SHOW(ftruncate(fd, 9000));
    content(fd);
    SHOW(truncate("file", 8193));
    content(fd);
    SHOW(truncate("file", -1));
    SHOW(ftruncate(fd, -1));
    SHOW(truncate("none", 1));
    SHOW(truncate(".", 1));
    SHOW(truncate("file/", 1));
    SHOW(truncate("/dev/null", 1));
    int ro = open("file", O_RDONLY);
    SHOW(ftruncate(ro, 1));
    SHOW(ftruncate(99, 1));
    int pipes[2];
    pipe(pipes);
    SHOW(ftruncate(pipes[1], 1));
    SHOW(ftruncate(fd, 0));
    SHOW(pwrite(fd, data, sizeof data, 0));
    SHOW(fallocate(fd, 0, 0, 50000));
    size_of("file");
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 90000));
    size_of("file");
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 9000));
    content(fd);
    SHOW(fallocate(fd, FALLOC_FL_ZERO_RANGE, 20000, 100));
    content(fd);
    SHOW(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 49000, 100000));
    size_of("file");
    SHOW(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 1, 4096));
    SHOW(fallocate(fd, 0, -1, 10));
    SHOW(fallocate(fd, 0, 0, 0));
    SHOW(fallocate(fd, 0, 0, -1));
    SHOW(fallocate(fd, 0, LONG_MAX, 10));
    SHOW(fallocate(fd, 0x1000, 0, 10));
    SHOW(fallocate(ro, 0, 0, 10));
    SHOW(fallocate(pipes[1], 0, 0, 10));
    SHOW(fallocate(99, 0, 0, 10));
    SHOW(fallocate(open(".", O_RDONLY), 0, 0, 10));
    content(fd);
    return 0;
}

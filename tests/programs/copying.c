// sendfile, copy_file_range, splice between a file and a pipe.
#include "show.h"
#include <sys/sendfile.h>

static char data[100000], back[100000];

static void content(const char *path)
{
    int fd = open(path, O_RDONLY);
    long n = read(fd, back, sizeof back);
    close(fd);
    NOTE("%s: %ld %016lx", path, n, (unsigned long)hash(back, n < 0 ? 0 : n));
}

int main(void)
{
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i * 31 + i / 1000;
    int in = open("in", O_RDWR | O_CREAT, 0644);
    write(in, data, sizeof data);
    lseek(in, 0, SEEK_SET);
    int out = open("out", O_RDWR | O_CREAT, 0644);
    SHOW(sendfile(out, in, NULL, 1000));
    SHOW(lseek(in, 0, SEEK_CUR));
    SHOW(lseek(out, 0, SEEK_CUR));
    off_t offset = 50000;
    SHOW(sendfile(out, in, &offset, 70000));
    NOTE("offset %ld", (long)offset);
    SHOW(lseek(in, 0, SEEK_CUR));
    SHOW(sendfile(out, in, &offset, 10));
    content("out");
    offset = -1;
    SHOW(sendfile(out, in, &offset, 10));
    offset = 200000;
    SHOW(sendfile(out, in, &offset, 10));
    SHOW(sendfile(out, in, (off_t *)8, 10));
    SHOW(sendfile(99, in, NULL, 10));
    SHOW(sendfile(out, 99, NULL, 10));
    SHOW(sendfile(open("out", O_RDONLY), in, NULL, 10));
    SHOW(sendfile(out, open("in", O_WRONLY), NULL, 10));
    SHOW(sendfile(open("out", O_WRONLY | O_APPEND), in, NULL, 10));
    SHOW(sendfile(out, in, NULL, 0));
    int pipes[2];
    pipe(pipes);
    SHOW(sendfile(pipes[1], in, NULL, 3000));
    SHOW(read(pipes[0], back, sizeof back));
    NOTE("same %d", memcmp(back, data + 1000, 3000));
    SHOW(write(pipes[1], "pipe", 4));
    SHOW(sendfile(out, pipes[0], NULL, 10));
    SHOW(read(pipes[0], back, 10));
    int dir = open(".", O_RDONLY);
    SHOW(sendfile(out, dir, NULL, 10));

    int to = open("to", O_RDWR | O_CREAT, 0644);
    off_t from_at = 10, to_at = 100;
    SHOW(copy_file_range(in, &from_at, to, &to_at, 500, 0));
    NOTE("offsets %ld %ld", (long)from_at, (long)to_at);
    content("to");
    SHOW(lseek(in, 99990, SEEK_SET));
    SHOW(copy_file_range(in, NULL, to, NULL, 500, 0));
    SHOW(copy_file_range(in, NULL, to, NULL, 500, 0));
    SHOW(copy_file_range(in, NULL, to, NULL, 0, 0));
    SHOW(copy_file_range(in, NULL, to, NULL, 5, 1));
    from_at = 0, to_at = 10;
    SHOW(copy_file_range(in, &from_at, in, &to_at, 100, 0));
    from_at = 0, to_at = 200000;
    SHOW(copy_file_range(in, &from_at, in, &to_at, 100, 0));
    from_at = -5;
    SHOW(copy_file_range(in, &from_at, to, NULL, 100, 0));
    SHOW(copy_file_range(in, (off_t *)8, to, NULL, 100, 0));
    SHOW(copy_file_range(pipes[0], NULL, to, NULL, 100, 0));
    SHOW(copy_file_range(dir, NULL, to, NULL, 100, 0));
    SHOW(copy_file_range(in, NULL, dir, NULL, 100, 0));
    SHOW(copy_file_range(in, NULL, open("to", O_WRONLY | O_APPEND), NULL, 100, 0));
    SHOW(copy_file_range(in, NULL, open("to", O_RDONLY), NULL, 100, 0));
    SHOW(copy_file_range(99, NULL, to, NULL, 100, 0));
    content("to");
    content("in");
    return 0;
}

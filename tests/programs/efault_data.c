// Data buffers that end or begin at unmapped memory: how far each call gets.
#include "show.h"

static char *end; /* the first byte that is not mapped */
static char *begin;

static void refill(int fd)
{
    /* A read that failed may have left some of its data behind. */
    for (int i = 0; i < 4096; i++)
        begin[i] = i % 253;
    pwrite(fd, begin, 4096, 0);
    lseek(fd, 0, SEEK_SET);
}

int main(void)
{
    begin = island(1);
    end = begin + PAGE;
    for (int i = 0; i < 4096; i++)
        begin[i] = i % 253;
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    write(fd, begin, 4096);
    write(fd, begin, 4096);
    int pipes[2];
    pipe(pipes);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);

    for (int back = 0; back <= 9; back += 3) {
        lseek(fd, 0, SEEK_SET);
        label(read(fd, end - back, 100), "read %d before the edge", back);
        label(lseek(fd, 0, SEEK_CUR), "  position");
        label(pread(fd, end - back, 100, 7), "pread %d before the edge", back);
        lseek(fd, 0, SEEK_SET);
        label(write(fd, end - back, 100), "write %d before the edge", back);
        label(lseek(fd, 0, SEEK_CUR), "  position");
        label(pwrite(fd, end - back, 100, 50), "pwrite %d before the edge", back);
        label(write(pipes[1], end - back, 100), "pipe write %d before the edge", back);
        char got[200];
        label(read(pipes[0], got, 200), "  pipe holds");
        label(write(pipes[1], begin, 50), "fill");
        label(read(pipes[0], end - back, 20), "pipe read %d before the edge", back);
        label(read(pipes[0], got, 200), "  left");
    }
    refill(fd);
    SHOW(read(fd, begin - 1, 10));
    SHOW(read(fd, begin - 4000, 8000));
    SHOW(write(fd, begin - 1, 10));
    SHOW(read(fd, NULL, 10));
    SHOW(write(fd, NULL, 10));
    SHOW(read(fd, (char *)-1, 10));
    SHOW(read(fd, (char *)-4096, 10));
    SHOW(write(fd, (char *)0x8000000000000000, 10));
    SHOW(read(fd, begin, 1L << 47));
    SHOW(write(fd, end, 0));
    SHOW(read(fd, end, 0));
    SHOW(read(fd, (char *)-1, 0));
    refill(fd);
    lseek(fd, 8190, SEEK_SET);
    SHOW(read(fd, end - 2, 100));
    lseek(fd, 8192, SEEK_SET);
    SHOW(read(fd, end, 100));

    struct iovec v[] = {{end - 5, 5}, {end - 3, 10}, {begin, 4}};
    lseek(fd, 0, SEEK_SET);
    SHOW(readv(fd, v, 3));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(writev(fd, v, 3));
    SHOW(lseek(fd, 0, SEEK_CUR));
    v[0] = (struct iovec){end, 5};
    SHOW(readv(fd, v, 3));
    SHOW(writev(fd, v, 3));
    v[0] = (struct iovec){end, 0};
    SHOW(readv(fd, v, 1));
    struct iovec *at_edge = (struct iovec *)(end - sizeof *v);
    *at_edge = (struct iovec){begin, 8};
    lseek(fd, 0, SEEK_SET);
    SHOW(readv(fd, at_edge, 1));
    SHOW(readv(fd, at_edge, 2));
    SHOW(readv(fd, (struct iovec *)(end - 8), 1));
    SHOW(readv(fd, (struct iovec *)8, 1));
    SHOW(readv(fd, (struct iovec *)8, 0));
    SHOW(preadv(fd, at_edge, 2, 0));
    SHOW(writev(fd, (struct iovec *)8, 1));
    SHOW(pwritev2(fd, at_edge, 2, 0, 0));

    char *readonly = island(1);
    memcpy(readonly, "readonly", 8);
    mprotect(readonly, PAGE, PROT_READ);
    lseek(fd, 0, SEEK_SET);
    SHOW(read(fd, readonly, 8));
    SHOW(write(fd, readonly, 8));
    mprotect(readonly, PAGE, PROT_NONE);
    SHOW(write(fd, readonly, 8));
    mprotect(readonly, PAGE, PROT_WRITE);
    SHOW(write(fd, readonly, 8));
    SHOW(read(fd, readonly, 8));
    mprotect(readonly, PAGE, PROT_EXEC);
    SHOW(write(fd, readonly, 8));
    mprotect(readonly, PAGE, PROT_READ);
    show_bytes("page", readonly, 8);
    char *two = island(2);
    mprotect(two + PAGE, PAGE, PROT_READ);
    lseek(fd, 0, SEEK_SET);
    SHOW(read(fd, two + PAGE - 3, 10));
    SHOW(getrandom(two + PAGE - 3, 10, 0));
    SHOW(syscall(SYS_getrandom, end - 4, 100, 0));
    SHOW(syscall(SYS_getrandom, end, 100, 0));
    SHOW(syscall(SYS_getrandom, end, 0, 0));

    char *short_map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ftruncate(fd, 5000);
    int other = open("other", O_RDWR | O_CREAT, 0644);
    SHOW(write(other, short_map + 4090, 3 * PAGE - 4090));
    SHOW(write(other, short_map + 8190, 10));
    SHOW(write(other, short_map + 8192, 10));
    SHOW(pread(other, short_map + 8190, 10, 0));
    SHOW(pread(other, short_map + 8192, 10, 0));
    int ev = syscall(SYS_eventfd2, 5, O_NONBLOCK);
    SHOW(read(ev, end - 4, 8));
    SHOW(read(ev, end - 8, 8));
    SHOW(write(ev, end - 4, 8));
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
    SHOW(write(null, end, 100));
    SHOW(write(null, (char *)8, 100));
    SHOW(read(null, end, 100));
    SHOW(read(zero, end - 10, 100));
    SHOW(read(zero, end, 100));
    SHOW(write(zero, (char *)8, 100));
    int full = open("/dev/full", O_RDWR);
    SHOW(write(full, "x", 1));
    SHOW(write(full, "x", 0));
    SHOW(read(full, end - 10, 100));
    int urandom = open("/dev/urandom", O_RDONLY);
    SHOW(read(urandom, end - 10, 100));
    SHOW(read(urandom, end, 100));
    int status = open("/proc/self/comm", O_RDONLY);
    SHOW(read(status, end - 3, 100));
    SHOW(read(status, end, 100));
    int dir = open(".", O_RDONLY);
    SHOW(syscall(SYS_getdents64, dir, end - 30, 4096) > 0);
    SHOW(syscall(SYS_getdents64, dir, end, 4096));
    return 0;
}

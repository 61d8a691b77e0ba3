// read, write and their positioned and vectored forms; lseek.
#include "show.h"

static char data[70000];

static void vectors(int fd)
{
    char a[3], b[1], c[10];
    struct iovec in[] = {{a, 3}, {b, 0}, {b, 1}, {c, 10}};
    struct iovec out[] = {{"one,", 4}, {NULL, 0}, {"two,", 4}, {"three", 5}};
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(writev(fd, out, 4));
    SHOW(lseek(fd, 1, SEEK_SET));
    SHOW(readv(fd, in, 4));
    show_bytes("a", a, 3);
    show_bytes("b", b, 1);
    show_bytes("c", c, 8);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(readv(fd, in, 0));
    SHOW(readv(fd, in, -1));
    SHOW(readv(fd, in, 1025));
    SHOW(writev(fd, NULL, 0));
    SHOW(writev(fd, NULL, 1));
    SHOW(preadv(fd, in, 4, 5));
    SHOW(preadv(fd, in, 4, -1));
    SHOW(pwritev(fd, out, 4, 20));
    struct iovec huge[] = {{data, 0x7fffffffffffffff}, {data, 0x7fffffffffffffff}};
    SHOW(readv(fd, huge, 2));
    struct iovec negative[] = {{data, (size_t)-1}};
    SHOW(readv(fd, negative, 1));
    struct iovec many[1024];
    for (int i = 0; i < 1024; i++)
        many[i] = (struct iovec){data + i, 1};
    SHOW(writev(fd, many, 1024));
}

static void flags2(int fd)
{
    char c[8];
    struct iovec v = {c, 8};
    SHOW(preadv2(fd, &v, 1, 0, 0));
    SHOW(lseek(fd, 4, SEEK_SET));
    SHOW(preadv2(fd, &v, 1, -1, 0));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(preadv2(fd, &v, 1, -2, 0));
    SHOW(preadv2(fd, &v, 1, 0, RWF_HIPRI));
    SHOW(preadv2(fd, &v, 1, 0, 0x4000000));
    SHOW(pwritev2(fd, &v, 1, 0, RWF_DSYNC));
    SHOW(pwritev2(fd, &v, 1, 0, RWF_SYNC));
    SHOW(pwritev2(fd, &v, 1, 0, RWF_APPEND));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(pwritev2(fd, &v, 1, -1, RWF_APPEND));
    SHOW(lseek(fd, 0, SEEK_CUR));
}

static void seeking(void)
{
    int fd = open("sparse", O_RDWR | O_CREAT | O_TRUNC, 0644);
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 10, SEEK_SET));
    SHOW(lseek(fd, -5, SEEK_CUR));
    SHOW(lseek(fd, -6, SEEK_CUR));
    SHOW(lseek(fd, 0, 99));
    SHOW(lseek(fd, LONG_MAX, SEEK_SET));
    SHOW(lseek(fd, 1L << 43, SEEK_SET));
    SHOW(lseek(fd, LONG_MAX, SEEK_CUR));
    SHOW(read(fd, data, 10));
    SHOW(ftruncate(fd, 1 << 20));
    SHOW(pwrite(fd, data, 4096, 65536));
    SHOW(lseek(fd, 0, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(lseek(fd, 65536, SEEK_HOLE));
    SHOW(lseek(fd, 66000, SEEK_DATA));
    SHOW(lseek(fd, 100000, SEEK_DATA));
    SHOW(lseek(fd, 1 << 20, SEEK_HOLE));
    SHOW(lseek(fd, -1, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(lseek(fd, 100, SEEK_END));
    SHOW(read(fd, data, 10));
    SHOW(write(fd, "beyond", 6));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(lseek(1, 0, SEEK_CUR));
    SHOW(lseek(77, 0, SEEK_CUR));
}

int main(void)
{
    int fd = SHOW(open("file", O_RDWR | O_CREAT, 0644));
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i * 7 + i / 256;
    SHOW(read(fd, data, 10));
    SHOW(write(fd, data, sizeof data));
    SHOW(lseek(fd, 0, SEEK_SET));
    char back[70001];
    SHOW(read(fd, back, sizeof back));
    SHOW(memcmp(back, data, sizeof data));
    SHOW(read(fd, back, sizeof back));
    SHOW(read(fd, back, 0));
    SHOW(write(fd, back, 0));
    SHOW(pread(fd, back, 100, 69950));
    SHOW(pread(fd, back, 100, 70000));
    SHOW(pread(fd, back, 100, -1));
    SHOW(pread(fd, back, 0, 0));
    SHOW(pwrite(fd, back, 5, 80000));
    SHOW(pwrite(fd, back, 5, -5));
    SHOW(pwrite(fd, back, 5, LONG_MAX));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(read(fd, data, -1));
    SHOW(write(-1, data, 1));
    SHOW(read(99, data, 1));
    SHOW(syscall(SYS_read, 0x100000000L + fd, data, 1));
    vectors(fd);
    flags2(fd);
    seeking();
    int ro = open("file", O_RDONLY), wo = open("file", O_WRONLY), dir = open(".", O_RDONLY);
    SHOW(write(ro, "x", 1));
    SHOW(pwrite(ro, "x", 1, 0));
    SHOW(read(wo, data, 1));
    SHOW(pread(wo, data, 1, 0));
    SHOW(read(dir, data, 1));
    SHOW(pread(dir, data, 1, 0));
    SHOW(write(dir, data, 1));
    SHOW(lseek(dir, 0, SEEK_SET));
    SHOW(fsync(fd));
    SHOW(fdatasync(fd));
    SHOW(fsync(dir));
    SHOW(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
    SHOW(sync_file_range(fd, -1, 4096, SYNC_FILE_RANGE_WRITE));
    SHOW(sync_file_range(fd, 0, 4096, 0x100));
    SHOW(syncfs(fd));
    SHOW(syncfs(99));
    SHOW(readahead(fd, 0, 4096));
    SHOW(readahead(wo, 0, 4096));
    SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    SHOW(posix_fadvise(fd, 0, 0, 99));
    SHOW(posix_fadvise(99, 0, 0, 0));
    struct rlimit limit = {100, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    int small = open("small", O_RDWR | O_CREAT, 0644);
    SHOW(write(small, data, 200));
    SHOW(write(small, data, 200));
    SHOW(ftruncate(small, 101));
    SHOW(ftruncate(small, 100));
    return 0;
}

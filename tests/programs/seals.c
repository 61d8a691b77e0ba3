/* memfd_create(2) and every seal against everything that it forbids. */
#include "show.h"
#include <sys/sendfile.h>

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 0x10U
#endif

static int make(unsigned flags)
{
    int fd = memfd_create("sealed", flags);
    if (fd < 0)
        return fd;
    char page[PAGE];
    memset(page, 'x', PAGE);
    write(fd, page, PAGE);
    write(fd, page, PAGE);
    return fd;
}

static void *map(int fd, int prot, int flags)
{
    void *p = mmap(NULL, PAGE, prot, flags, fd, 0);
    if (p == MAP_FAILED)
        NOTE("  map %d %d: %s", prot, flags, errno_name(errno));
    else
        NOTE("  map %d %d: ok", prot, flags);
    return p;
}

static void try_all(int fd)
{
    struct stat st;
    struct iovec v = {"vec", 3};
    void *p;
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(pwrite(fd, "abc", 3, 10));
    SHOW(pwrite(fd, "abc", 3, 2 * PAGE - 1));
    SHOW(pwrite(fd, "abc", 3, 2 * PAGE));
    SHOW(pwritev(fd, &v, 1, 0));
    SHOW(pwrite(fd, "", 0, 0));
    fstat(fd, &st);
    NOTE("  size %ld mode %o", (long)st.st_size, st.st_mode);
    SHOW(ftruncate(fd, st.st_size));
    SHOW(ftruncate(fd, 5 * PAGE));
    SHOW(ftruncate(fd, 2 * PAGE));
    SHOW(ftruncate(fd, PAGE));
    SHOW(fallocate(fd, 0, 0, PAGE));
    SHOW(fallocate(fd, 0, 0, 9 * PAGE));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20 * PAGE));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, PAGE));
    SHOW(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, PAGE));
    SHOW(fchmod(fd, 0600));
    SHOW(fchmod(fd, 0700));
    SHOW(fchmod(fd, 0666));
    p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (p != MAP_FAILED)
        munmap(p, PAGE);
    p = map(fd, PROT_READ, MAP_SHARED);
    if (p != MAP_FAILED) {
        SHOW(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
        SHOW(madvise(p, PAGE, MADV_REMOVE));
        munmap(p, PAGE);
    }
    p = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    if (p != MAP_FAILED) {
        *(char *)p = 'p';
        munmap(p, PAGE);
    }
    int other = memfd_create("source", 0);
    write(other, "from another", 12);
    off_t at = 0;
    lseek(fd, 0, SEEK_SET);
    SHOW(sendfile(fd, other, &at, 12));
    int ends[2];
    pipe(ends);
    write(ends[1], "piped", 5);
    loff_t off = 0;
    SHOW(splice(ends[0], NULL, fd, &off, 5, 0));
    loff_t from = 0, to = 0;
    SHOW(copy_file_range(other, &from, fd, &to, 5, 0));
    close(ends[0]), close(ends[1]), close(other);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR);
    label(again < 0 ? again : 0, "reopened for writing");
    if (again >= 0)
        close(again);
    again = open(path, O_RDONLY);
    SHOW(fcntl(again, F_ADD_SEALS, F_SEAL_SHRINK));
    SHOW(fcntl(again, F_GET_SEALS));
    close(again);
    label(open(path, O_RDWR | O_TRUNC) < 0 ? -1 : 0, "truncated by open");
    fstat(fd, &st);
    NOTE("  size %ld mode %o", (long)st.st_size, st.st_mode);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    SHOW(fcntl(fd, F_GET_SEALS));
}

int main(void)
{
    int fd;
    char name[300];
    signal(SIGXFSZ, SIG_IGN);
    NOTE("-- memfd_create");
    SHOW(memfd_create("x", 0x20));
    SHOW(memfd_create("x", MFD_NOEXEC_SEAL | MFD_EXEC));
    SHOW(memfd_create((void *)1, 0));
    memset(name, 'n', sizeof name);
    name[250] = 0;
    SHOW(memfd_create(name, 0));
    name[249] = 0;
    label(memfd_create(name, 0) < 0 ? -1 : 0, "the longest name");
    SHOW(memfd_create("x", 21U << 26));
    unsigned flags[] = {0, MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_EXEC, MFD_EXEC | MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL,
                        MFD_NOEXEC_SEAL | MFD_ALLOW_SEALING};
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct stat st;
        char link[40], got[100] = "";
        fd = memfd_create("", flags[i]);
        fstat(fd, &st);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        readlink(link, got, sizeof got - 1);
        NOTE("%x: mode %o links %ld seals %d cloexec %d flags %x %s", flags[i], st.st_mode, (long)st.st_nlink,
             fcntl(fd, F_GET_SEALS), fcntl(fd, F_GETFD), fcntl(fd, F_GETFL), got);
        SHOW(fchmod(fd, 0755));
        SHOW(fchmod(fd, 0644));
        close(fd);
    }
    NOTE("-- other files");
    int ends[2];
    pipe(ends);
    SHOW(fcntl(ends[0], F_GET_SEALS));
    SHOW(fcntl(ends[0], F_ADD_SEALS, F_SEAL_WRITE));
    fd = open("plain", O_RDWR | O_CREAT, 0600);
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    unlink("plain");
    fd = open("/dev/shm", O_RDWR | O_TMPFILE, 0600);
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    close(fd);

    for (int seals = 1; seals < 64; seals <<= 1) {
        NOTE("-- seals %x", seals);
        fd = make(MFD_ALLOW_SEALING);
        SHOW(fcntl(fd, F_ADD_SEALS, seals));
        try_all(fd);
        close(fd);
    }
    int sets[] = {6, 14, 15, 18, 22, 0x2f, 0x3e, 0x3f};
    for (unsigned i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        NOTE("-- seals %x", sets[i]);
        fd = make(MFD_NOEXEC_SEAL);
        SHOW(fcntl(fd, F_ADD_SEALS, sets[i]));
        try_all(fd);
        close(fd);
    }
    NOTE("-- none");
    fd = make(MFD_ALLOW_SEALING);
    SHOW(fcntl(fd, F_ADD_SEALS, 0x40));
    SHOW(fcntl(fd, F_ADD_SEALS, 0));
    try_all(fd);
    close(fd);

    NOTE("-- mapped");
    fd = make(MFD_ALLOW_SEALING);
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), *q = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW));
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(mprotect(p, PAGE, PROT_READ));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(munmap(p, PAGE));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    q[0] = 'q';
    char c;
    pread(fd, &c, 1, 0);
    NOTE("private: %c %c", q[0], c);
    close(fd);
    fd = make(MFD_ALLOW_SEALING);
    p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    q = map(fd, PROT_READ, MAP_SHARED);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    p[0] = 'f';
    pread(fd, &c, 1, 0);
    NOTE("still written: %c %c", q[0], c);
    SHOW(mprotect(p, PAGE, PROT_READ));
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
    SHOW(mprotect(q, PAGE, PROT_READ | PROT_WRITE));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(p, PAGE);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(q, PAGE);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    fd = make(MFD_ALLOW_SEALING);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int ro = open(path, O_RDONLY);
    p = map(ro, PROT_READ, MAP_SHARED);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(fcntl(fd, F_GET_SEALS));
    return 0;
}

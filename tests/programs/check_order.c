// Which of several things wrong with a call is the one it fails with, and arguments at the edges of what is allowed.
#include "show.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#define CALL(text, ...) label(syscall(__VA_ARGS__), "%s", text)
#define NOWHERE ((char *)0x3ff000)

static void null_paths(int fd)
{
    struct stat st;
    char buffer[512];
    int flag = AT_EMPTY_PATH;
    NOTE("a null path with AT_EMPTY_PATH, %s", fd < 0 ? "no descriptor" : "a descriptor");
    CALL("newfstatat", SYS_newfstatat, fd, NULL, &st, flag);
    CALL("statx", SYS_statx, fd, NULL, flag, 0x7ff, buffer);
    CALL("fchownat", SYS_fchownat, fd, NULL, -1, -1, flag);
    CALL("fchmodat2", 452, fd, NULL, 0600, flag);
    CALL("faccessat2", SYS_faccessat2, fd, NULL, F_OK, flag);
    CALL("utimensat", SYS_utimensat, fd, NULL, NULL, flag);
    CALL("utimensat without flags", SYS_utimensat, fd, NULL, NULL, 0);
    CALL("linkat", SYS_linkat, fd, NULL, AT_FDCWD, "x", flag);
    CALL("readlinkat", SYS_readlinkat, fd, NULL, buffer, 100);
    CALL("execveat", SYS_execveat, fd, NULL, NULL, NULL, flag);
}

static void empty_paths(void)
{
    NOTE("an empty path and a bad descriptor");
    CALL("mkdirat", SYS_mkdirat, -1, "", 0700);
    CALL("mknodat", SYS_mknodat, -1, "", S_IFREG, 0);
    CALL("unlinkat", SYS_unlinkat, -1, "", 0);
    CALL("symlinkat", SYS_symlinkat, "a", -1, "");
    CALL("openat", SYS_openat, -1, "", O_RDONLY);
    CALL("renameat", SYS_renameat, -1, "", -1, "");
    CALL("fchmodat", SYS_fchmodat, -1, "", 0600);
    CALL("readlinkat", SYS_readlinkat, -1, "", NOWHERE, 10);
    CALL("utimensat", SYS_utimensat, -1, "", NULL, 0);
}

static void renames(void)
{
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    NOTE("a file named with a slash");
    CALL("to a long name", SYS_rename, "file/", name);
    CALL("to no file", SYS_rename, "file/", "other");
    CALL("to no file/", SYS_rename, "file", "other/");
    CALL("to a file that must not be there", SYS_renameat2, AT_FDCWD, "file/", AT_FDCWD, "file", 1);
    CALL("exchanged with no file", SYS_renameat2, AT_FDCWD, "file/", AT_FDCWD, "other", 2);
}

static void attributes(void)
{
    char value[8] = "value", name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    NOTE("extended attributes of no file");
    CALL("set: flags", SYS_setxattr, "none", "user.a", value, 1, 4);
    CALL("set: name", SYS_setxattr, "none", NULL, value, 1, 0);
    CALL("set: long name", SYS_setxattr, "none", name, value, 1, 0);
    CALL("set: size", SYS_setxattr, "none", "user.a", value, 65537, 0);
    CALL("set: value", SYS_setxattr, "none", "user.a", NOWHERE, 8, 0);
    CALL("set", SYS_setxattr, "none", "user.a", value, 5, 0);
    CALL("fset: flags", SYS_fsetxattr, -1, "user.a", value, 1, 4);
    CALL("fset", SYS_fsetxattr, -1, "user.a", value, 5, 0);
    CALL("get: name", SYS_getxattr, "none", NULL, value, 8);
    CALL("get: empty name", SYS_lgetxattr, "none", "", value, 8);
    CALL("fget: name", SYS_fgetxattr, -1, NULL, value, 8);
    CALL("remove: name", SYS_removexattr, "none", NULL);
    CALL("fremove: name", SYS_fremovexattr, -1, name);
    CALL("fremove", SYS_fremovexattr, -1, "user.a");
    int memory = memfd_create("m", 0);
    CALL("nothing but the namespace", SYS_fgetxattr, memory, "user.", value, 8);
    CALL("no namespace", SYS_fgetxattr, memory, "user", value, 8);
}

static void vectors(int fd)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + PAGE, PAGE, PROT_NONE);
    struct iovec *last = (void *)(pages + PAGE - 2 * sizeof *last), two[2] = {{(void *)-4096, 8}, {pages, -1}};
    struct iovec some = {pages + PAGE - 1, 8};
    char byte[8];
    int ends[2];
    pipe(ends);
    NOTE("vectors");
    CALL("vmsplice of memory that ends", SYS_vmsplice, ends[1], &some, 1, 0);
    label(read(ends[0], byte, 8), "what came");
    CALL("vmsplice to a file", SYS_vmsplice, fd, &some, 1, 0);
    CALL("vmsplice to a file from nowhere", SYS_vmsplice, fd, NOWHERE, 1, 0);
    CALL("vmsplice of nothing to a file", SYS_vmsplice, fd, &some, 0, 0);
    some.iov_base = NOWHERE;
    CALL("vmsplice of none", SYS_vmsplice, ends[1], &some, 1, 0);
    last[0] = (struct iovec){pages, 1};
    last[1] = (struct iovec){pages, -1};
    CALL("a bad size, then no memory", SYS_writev, fd, last, 3);
    last[1].iov_len = 1;
    CALL("no memory", SYS_writev, fd, last, 3);
    CALL("a bad address, then a bad size", SYS_writev, fd, two, 2);
    two[1].iov_len = 1;
    CALL("a bad address", SYS_readv, fd, two, 2);
    CALL("flags of a descriptor for writing", SYS_preadv2, ends[1], last, 1, -1, 0, 8);
    CALL("flags of a descriptor for reading", SYS_pwritev2, ends[0], last, 1, -1, 0, 8);
    CALL("flags and no memory", SYS_preadv2, fd, NOWHERE, 1, 0, 0, 1 << 20);
    CALL("flags and nothing", SYS_preadv2, fd, last, 0, 0, 0, 1 << 20);
    CALL("flags", SYS_preadv2, fd, last, 1, 0, 0, 1 << 20);
    CALL("flags of a directory", SYS_preadv2, open(".", O_DIRECTORY), last, 1, 0, 0, 2);
    int epoll = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK), notify = inotify_init1(IN_NONBLOCK);
    CALL("no such operation: readv", SYS_readv, epoll, NOWHERE, 1);
    CALL("no such operation: nothing", SYS_readv, epoll, NOWHERE, 0);
    CALL("no such operation: writev", SYS_writev, epoll, NOWHERE, 1);
    CALL("no such operation: writev", SYS_writev, notify, last, 1);
    CALL("nothing, where there is nothing", SYS_readv, notify, last, 0);
    CALL("nothing, where there is nothing", SYS_readv, event, last, 0);
    CALL("an event of another size", SYS_write, event, pages + PAGE - 1, 16);
    CALL("an event that is not there", SYS_write, event, pages + PAGE - 1, 8);
}

static void direct(const char *name, int fd)
{
    label(fcntl(fd, F_SETFL, O_DIRECT), "O_DIRECT: %s", name);
    close(fd);
}

static void directs(void)
{
    int ends[2];
    pipe(ends);
    direct("directory", open(".", O_DIRECTORY));
    direct("file", open("file", O_RDWR));
    direct("memfd", memfd_create("m", 0));
    direct("pipe", ends[0]);
    direct("null", open("/dev/null", O_RDWR));
    direct("proc", open("/proc/self/status", O_RDONLY));
    direct("epoll", epoll_create1(0));
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    direct("socket", ends[0]);
    label(open(".", O_DIRECTORY | O_DIRECT) >= 0 ? 0 : -1, "open directory");
    label(open("/dev/null", O_DIRECT) >= 0 ? 0 : -1, "open null");
    label(open("/proc/self/status", O_DIRECT) >= 0 ? 0 : -1, "open proc");
}

static void places(int fd)
{
    long offset[] = {-1, 0, 1, LONG_MAX, LONG_MIN}, size[] = {0, 1, 100, LONG_MAX, -1};
    NOTE("copy_file_range");
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            long from = offset[i], to = 5000;
            label(syscall(SYS_copy_file_range, fd, &from, fd, &to, size[j], 0), "from %ld: %ld", offset[i], size[j]);
            if (offset[i] > 1)
                continue;
            from = 50;
            to = offset[i];
            label(syscall(SYS_copy_file_range, fd, &from, fd, &to, size[j], 0), "to %ld: %ld", offset[i], size[j]);
        }
    NOTE("other transfers");
    int ends[2];
    pipe(ends);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    CALL("sendfile of too much", SYS_sendfile, fd, fd, NULL, -1L);
    CALL("splice of too much", SYS_splice, fd, NULL, ends[1], NULL, -1L, 0);
    CALL("readahead of too much", SYS_readahead, fd, 0L, -1L);
    CALL("sendfile of too much to nowhere", SYS_sendfile, -1, fd, NULL, -1L);
    long place = 0;
    CALL("copy_file_range of a pipe", SYS_copy_file_range, ends[0], &place, fd, NULL, 1L, 0);
    CALL("copy_file_range to a pipe", SYS_copy_file_range, fd, NULL, ends[1], &place, 1L, 0);
    CALL("splice without a pipe", SYS_splice, fd, NULL, fd, NOWHERE, 1L, 0);
    CALL("splice of a pipe with a place", SYS_splice, ends[0], NOWHERE, fd, NULL, 1L, 0);
    CALL("splice of an end for writing with a place", SYS_splice, ends[1], &place, fd, NULL, 1L, 0);
    CALL("splice of an end for writing", SYS_splice, ends[1], NULL, fd, NULL, 1L, 0);
    CALL("splice to an end for reading", SYS_splice, fd, NULL, ends[0], NULL, 1L, 0);
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    shutdown(pair[0], SHUT_RD);
    char *last = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(last + PAGE, PAGE);
    CALL("read at the end of a stream", SYS_read, pair[0], last + PAGE - 1, 8);
    NOTE("addresses of sockets");
    CALL("connect: no file", SYS_connect, -1, NOWHERE, 8);
    CALL("connect: no address", SYS_connect, fd, NOWHERE, 8);
    CALL("connect: a bad size", SYS_connect, fd, &place, -1);
    CALL("connect: no socket", SYS_connect, fd, &place, 8);
    CALL("bind: no socket", SYS_bind, fd, NOWHERE, 8);
    NOTE("sizes");
    CALL("ftruncate of a directory", SYS_ftruncate, open(".", O_DIRECTORY), 1L << 62);
    CALL("ftruncate of a pipe", SYS_ftruncate, ends[1], 1L << 62);
    CALL("ftruncate of what is not open for writing", SYS_ftruncate, open("file", O_RDONLY), 1L << 62);
    NOTE("mappings");
    CALL("mincore to nowhere", SYS_mincore, 0x10000, 4096L, -4096L);
    CALL("mprotect that wraps around, for nothing known", SYS_mprotect, 0x10000, -1L, 1 << 20);
    CALL("mremap of nothing, kept", SYS_mremap, 0x10000, 8192L, 5000L, 7, 0x20000);
    CALL("mremap of nothing, kept, to another size", SYS_mremap, 0x10000, 8192L, 4096L, 7, 0x20000);
    CALL("msync that wraps around", SYS_msync, 0x10000, -1L, 0);
    label(mmap(NULL, PAGE, PROT_READ, 0, fd, -4096) == MAP_FAILED ? -1 : 0, "offset before kind");
    label((long)mmap((void *)0x10001, PAGE, PROT_READ, MAP_FIXED, fd, -4096), "place before offset");
    label((long)mmap((void *)-0xffff, PAGE, PROT_READ, MAP_FIXED, fd, -4096), "address space before place");
    label(mmap(NULL, -4096, PROT_READ, 0, fd, 0) == MAP_FAILED ? -1 : 0, "length before kind");
    label(mmap(NULL, PAGE, PROT_READ, 0, fd, 0) == MAP_FAILED ? -1 : 0, "kind");
    CALL("mlock that wraps around", SYS_mlock, 0x10000, -1L);
    CALL("mlock of too much", SYS_mlock, 0x10000, -0x10000L);
    CALL("munlock that wraps around", SYS_munlock, 0x10000, -1L);
}

static void limits(int fd)
{
    CALL("beyond the largest offset", SYS_pwrite64, fd, "", 1L, LONG_MAX);
    struct rlimit limit = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    CALL("beyond the limit from nowhere", SYS_pwrite64, fd, NOWHERE, 1, 4096L);
}

int main(void)
{
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    write(fd, "some text", 9);
    null_paths(AT_FDCWD);
    null_paths(fd);
    empty_paths();
    renames();
    attributes();
    vectors(fd);
    directs();
    places(fd);
    limits(fd);
}

/* Native asynchronous I/O: contexts, requests, completions taken by call and from the ring, polls, eventfds. */
#include "children.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

struct ring {
    unsigned id, nr, head, tail, magic, compat, incompat, length;
    struct io_event events[];
};

static aio_context_t ctx;
static int fd;

static long setup(unsigned nr, aio_context_t *c) { return syscall(SYS_io_setup, nr, c); }
static long destroy(aio_context_t c) { return syscall(SYS_io_destroy, c); }
static long submit(long n, struct iocb **list) { return syscall(SYS_io_submit, ctx, n, list); }
static long cancel(struct iocb *cb) { return syscall(SYS_io_cancel, ctx, cb, NULL); }
static long events(long min, long max, struct io_event *e, struct timespec *t)
{
    return syscall(SYS_io_getevents, ctx, min, max, e, t);
}

static struct iocb request(int op, int file, void *buf, size_t size, long offset)
{
    struct iocb cb = {.aio_lio_opcode = op, .aio_fildes = file, .aio_buf = (uintptr_t)buf, .aio_nbytes = size,
                      .aio_offset = offset, .aio_data = 0xdead0000 + op, .aio_key = 77};
    return cb;
}

/* Submit one, and say what comes of it at once. */
static long one(const char *what, struct iocb cb)
{
    static struct iocb kept;
    struct iocb *list[1] = {&kept};
    struct io_event e;
    struct timespec none = {0, 0};
    kept = cb;
    long n = submit(1, list);
    if (n < 0) {
        NOTE("%s: submit %s, key %d", what, errno_name(errno), kept.aio_key);
        return n;
    }
    long got = events(0, 1, &e, &none);
    if (got == 0)
        NOTE("%s: under way", what);
    else
        NOTE("%s: %lld %s, data %llx obj %d res2 %lld, key %d", what, e.res < 0 ? -1 : e.res,
             e.res < 0 ? errno_name(-e.res) : "", e.data, e.obj == (uintptr_t)&kept, e.res2, kept.aio_key);
    return got;
}

static void number(const char *path)
{
    char text[40] = "";
    int f = open(path, O_RDONLY);
    read(f, text, sizeof text - 1);
    close(f);
    printf("%s: %s", path, text);
}

static void contexts(void)
{
    aio_context_t a = 0, b = 1;
    struct ring *r;
    char line[300];
    NOTE("-- contexts");
    SHOW(setup(0, &a));
    SHOW(setup(64, &b));
    SHOW(setup(64, (void *)1));
    SHOW(setup(1 << 24, &a));
    SHOW(setup(1 << 20, &a));
    SHOW(setup(-1, &a));
    SHOW(setup(64, &ctx));
    r = (struct ring *)ctx;
    NOTE("ring: id %u nr %u head %u tail %u magic %x compat %u incompat %u length %u", r->id, r->nr, r->head, r->tail,
         r->magic, r->compat, r->incompat, r->length);
    SHOW(setup(1000, &a));
    r = (struct ring *)a;
    NOTE("ring: id %u nr %u", r->id, r->nr);
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f)) {
        unsigned long from, to;
        char perms[8];
        if (strstr(line, "aio") && sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3 && from == a)
            NOTE("mapped: %lu pages %s %s", (to - from) / PAGE, perms, strstr(line, "/[aio] (deleted)") ? "named" : line);
    }
    fclose(f);
    SHOW(destroy(a));
    SHOW(destroy(a));
    NOTE("unmapped: %d", msync((void *)a, PAGE, MS_ASYNC) < 0);
    SHOW(destroy(0));
    SHOW(destroy((aio_context_t)&a));
    SHOW(submit(-1, NULL));
    SHOW(submit(0, NULL));
    SHOW(submit(1, (void *)1));
    SHOW(events(1, 0, NULL, NULL));
    SHOW(events(-1, 1, NULL, NULL));
    SHOW(events(0, -1, NULL, NULL));
    SHOW(events(0, 1, NULL, NULL));
    SHOW(syscall(SYS_io_getevents, ctx, 0, 1, NULL, (void *)1));
    SHOW(syscall(SYS_io_getevents, a, 0, 1, NULL, NULL));
}

static void files(void)
{
    static char buf[8192], other[8192];
    struct iovec v[3] = {{buf, 5}, {buf + 100, 0}, {buf + 200, 7}};
    struct iocb cb;
    NOTE("-- files");
    fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    memset(buf, 'a', 4096);
    memset(buf + 4096, 'b', 4096);
    one("write", request(IOCB_CMD_PWRITE, fd, buf, 8192, 0));
    one("read", request(IOCB_CMD_PREAD, fd, other, 8192, 4000));
    NOTE("read: %c %c", other[0], other[96]);
    one("read at the end", request(IOCB_CMD_PREAD, fd, other, 10, 8192));
    one("read far", request(IOCB_CMD_PREAD, fd, other, 10, 1L << 40));
    memcpy(buf + 200, "VECTORS", 7);
    one("writev", request(IOCB_CMD_PWRITEV, fd, v, 3, 10000));
    memset(buf, 0, 300);
    one("readv", request(IOCB_CMD_PREADV, fd, v, 3, 10000));
    NOTE("%.5s %.7s", buf, buf + 200);
    one("no vectors", request(IOCB_CMD_PREADV, fd, v, 0, 0));
    one("too many", request(IOCB_CMD_PREADV, fd, v, 1025, 0));
    one("bad vector", request(IOCB_CMD_PREADV, fd, (void *)1, 1, 0));
    one("nothing", request(IOCB_CMD_PREAD, fd, buf, 0, 0));
    struct io_event e;
    struct iocb *list[1] = {&cb};
    for (int i = 0; i < 2; i++) {
        cb = request(i ? IOCB_CMD_FDSYNC : IOCB_CMD_FSYNC, fd, NULL, 0, 0);
        SHOW(submit(1, list));
        SHOW(events(1, 1, &e, NULL));
        NOTE("synchronised: %lld", e.res);
    }
    one("fsync with a size", request(IOCB_CMD_FSYNC, fd, NULL, 1, 0));
    one("negative offset", request(IOCB_CMD_PREAD, fd, buf, 10, -1));
    one("negative offset", request(IOCB_CMD_PWRITE, fd, buf, 10, -5));
    one("bad buffer", request(IOCB_CMD_PREAD, fd, (void *)16, 10, 0));
    one("bad buffer", request(IOCB_CMD_PWRITE, fd, (void *)16, 10, 0));
    one("kernel buffer", request(IOCB_CMD_PREAD, fd, (void *)-4096L, 10, 0));
    one("negative size", request(IOCB_CMD_PREAD, fd, buf, -1, 0));
    one("no such operation", request(4, fd, buf, 1, 0));
    one("noop", request(IOCB_CMD_NOOP, fd, buf, 1, 0));
    one("no such file", request(IOCB_CMD_PREAD, 999, buf, 1, 0));
    cb = request(IOCB_CMD_PREAD, fd, buf, 1, 0);
    cb.aio_reserved2 = 1;
    one("reserved", cb);
    cb = request(IOCB_CMD_PREAD, fd, buf, 1, 0);
    cb.aio_rw_flags = 1 << 20;
    one("bad flags", cb);
    cb.aio_rw_flags = 0x10;
    cb.aio_lio_opcode = IOCB_CMD_PWRITE;
    one("RWF_APPEND", cb);
    NOTE("size %ld", (long)lseek(fd, 0, SEEK_END));
    cb.aio_rw_flags = 0;
    cb.aio_flags = IOCB_FLAG_IOPRIO;
    cb.aio_reqprio = 2 << 13 | 3;
    one("with priority", cb);
    cb.aio_reqprio = 3;
    one("class none, level 3", cb);
    cb.aio_reqprio = -1;
    one("no such class", cb);
    NOTE("position %ld", (long)lseek(fd, 0, SEEK_CUR));
    int ro = open("file", O_RDONLY), wo = open("file", O_WRONLY | O_APPEND), dir = open(".", O_RDONLY);
    one("write to read-only", request(IOCB_CMD_PWRITE, ro, buf, 1, 0));
    one("read from write-only", request(IOCB_CMD_PREAD, wo, buf, 1, 0));
    one("append", request(IOCB_CMD_PWRITE, wo, buf, 3, 0));
    NOTE("size %ld", (long)lseek(fd, 0, SEEK_END));
    one("directory", request(IOCB_CMD_PREAD, dir, buf, 1, 0));
    int path = open("file", O_PATH);
    one("O_PATH", request(IOCB_CMD_PREAD, path, buf, 1, 0));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {20000, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    one("at the limit", request(IOCB_CMD_PWRITE, fd, buf, 10, 20000));
    one("up to the limit", request(IOCB_CMD_PWRITE, fd, buf, 10, 19995));
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    close(ro), close(wo), close(dir), close(path);
}

static void batches(void)
{
    static struct iocb cbs[10];
    static char bufs[10][16];
    struct iocb *list[10];
    struct io_event e[10];
    struct timespec none = {0, 0}, soon = {0, 2000000};
    struct ring *r = (struct ring *)ctx;
    NOTE("-- batches");
    for (int i = 0; i < 10; i++) {
        cbs[i] = request(IOCB_CMD_PREAD, i == 6 ? 999 : fd, bufs[i], 16, i * 1000);
        cbs[i].aio_data = i;
        list[i] = &cbs[i];
    }
    SHOW(submit(10, list));
    NOTE("ready: %u", (r->tail - r->head + r->nr) % r->nr);
    SHOW(events(3, 4, e, NULL));
    for (int i = 0; i < 4; i++)
        NOTE("%llu: %lld", e[i].data, e[i].res);
    /* As libaio does: without a call. */
    NOTE("ring: data %llu res %lld", r->events[r->head].data, r->events[r->head].res);
    r->head = (r->head + 1) % r->nr;
    SHOW(events(1, 10, e, &none));
    NOTE("%llu: %lld", e[0].data, e[0].res);
    SHOW(events(1, 10, e, &soon));
    SHOW(submit(2, list));
    SHOW(events(2, 2, (void *)16, NULL));
    SHOW(events(3, 3, e, &soon));
    list[1] = (void *)16;
    SHOW(submit(3, list));
    SHOW(submit(1, list + 1));
    SHOW(events(0, 10, e, &none));
    list[1] = &cbs[1];
    long total = 0, n;
    while ((n = submit(6, list)) == 6)
        total += n;
    NOTE("until it is full: %s, %d", n < 0 ? errno_name(errno) : "", total + (n > 0 ? n : 0) >= 64);
    while (events(0, 10, e, &none) > 0)
        ;
    NOTE("empty: %d", r->head == r->tail);
    r->head = 0xffffffff;
    NOTE("a head that is none: %d", events(0, 10, e, &none) >= 0);
    r->head = r->tail;
    SHOW(submit(1, list));
    SHOW(events(1, 1, e, NULL));
}

static void streams(void)
{
    int ends[2], pair[2], efd = eventfd(5, EFD_NONBLOCK);
    char buf[100] = "";
    uint64_t count;
    struct iocb cb;
    NOTE("-- streams, eventfd");
    pipe(ends);
    one("write to a pipe", request(IOCB_CMD_PWRITE, ends[1], "hello", 5, 123));
    one("read from a pipe", request(IOCB_CMD_PREAD, ends[0], buf, 100, 456));
    NOTE("%s", buf);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    one("empty", request(IOCB_CMD_PREAD, ends[0], buf, 100, 0));
    static char many[200000];
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    one("as much as fits", request(IOCB_CMD_PWRITE, ends[1], many, sizeof many, 0));
    one("full", request(IOCB_CMD_PWRITE, ends[1], many, 1, 0));
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    one("write to a socket", request(IOCB_CMD_PWRITE, pair[1], "there", 5, 0));
    one("read from a socket", request(IOCB_CMD_PREAD, pair[0], buf, 100, 0));
    one("read from an eventfd", request(IOCB_CMD_PREAD, efd, &count, 8, 0));
    NOTE("count %lu", count);
    one("empty eventfd", request(IOCB_CMD_PREAD, efd, &count, 8, 0));
    one("write to an eventfd", request(IOCB_CMD_PWRITE, efd, &count, 8, 0));
    one("fsync of a pipe", request(IOCB_CMD_FSYNC, ends[1], NULL, 0, 0));
    cb = request(IOCB_CMD_PREAD, fd, buf, 10, 0);
    cb.aio_flags = IOCB_FLAG_RESFD;
    cb.aio_resfd = efd;
    one("tells an eventfd", cb);
    one("tells an eventfd", cb);
    SHOW(read(efd, &count, 8));
    NOTE("count %lu", count);
    cb.aio_resfd = fd;
    one("not an eventfd", cb);
    cb.aio_resfd = 999;
    one("no such eventfd", cb);
    signal(SIGPIPE, SIG_IGN);
    close(ends[0]);
    one("broken pipe", request(IOCB_CMD_PWRITE, ends[1], "x", 1, 0));
    one("end of file", request(IOCB_CMD_PREAD, pair[0], buf, 0, 0));
    close(pair[1]);
    one("end of file", request(IOCB_CMD_PREAD, pair[0], buf, 10, 0));
    close(ends[1]), close(pair[0]), close(efd);
}

static void on_signal(int signo)
{
    (void)signo;
}

static void polls(void)
{
    int ends[2], efd = eventfd(0, EFD_NONBLOCK);
    struct io_event e;
    struct timespec none = {0, 0}, soon = {0, 2000000};
    struct iocb cb, *list[1] = {&cb};
    uint64_t count;
    NOTE("-- polls");
    pipe(ends);
    one("writable", request(IOCB_CMD_POLL, ends[1], (void *)(long)POLLOUT, 0, 0));
    one("a file", request(IOCB_CMD_POLL, fd, (void *)(long)POLLIN, 0, 0));
    one("with a size", request(IOCB_CMD_POLL, ends[0], (void *)(long)POLLIN, 1, 0));
    one("too many events", request(IOCB_CMD_POLL, ends[0], (void *)0x10000L, 0, 0));
    cb = request(IOCB_CMD_POLL, ends[0], (void *)(long)POLLIN, 0, 0);
    cb.aio_flags = IOCB_FLAG_RESFD;
    cb.aio_resfd = efd;
    SHOW(submit(1, list));
    SHOW(events(0, 1, &e, &none));
    SHOW(events(1, 1, &e, &soon));
    write(ends[1], "x", 1);
    SHOW(events(1, 1, &e, NULL));
    NOTE("ready: %llx obj %d", e.res, e.obj == (uintptr_t)&cb);
    SHOW(read(efd, &count, 8));
    NOTE("told: %lu", count);
    char c;
    read(ends[0], &c, 1);
    SHOW(cancel(&cb));
    SHOW(submit(1, list));
    cb.aio_key = 5;
    SHOW(cancel(&cb));
    cb.aio_key = 0;
    SHOW(cancel((void *)1));
    SHOW(cancel(&cb));
    SHOW(events(1, 1, &e, NULL));
    NOTE("cancelled: %lld", e.res);
    SHOW(cancel(&cb));
    SHOW(submit(1, list));
    close(ends[1]);
    SHOW(events(1, 1, &e, NULL));
    NOTE("hung up: %llx", e.res);
    close(ends[0]);
    pipe(ends);
    cb.aio_fildes = ends[0];
    SHOW(submit(1, list));
    close(ends[0]);
    SHOW(write(ends[1], "y", 1));
    SHOW(events(1, 1, &e, NULL));
    NOTE("the file was closed: %llx", e.res);
    close(ends[1]);

    NOTE("-- signals");
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    SHOW(events(1, 1, &e, NULL));
    sigset_t set, empty;
    sigemptyset(&empty);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGALRM);
    struct { const sigset_t *mask; size_t size; } sig = {&empty, 8}, bad = {&empty, 4};
    SHOW(syscall(SYS_io_pgetevents, ctx, 1, 1, &e, NULL, &sig));
    SHOW(syscall(SYS_io_pgetevents, ctx, 1, 1, &e, &soon, &bad));
    SHOW(syscall(SYS_io_pgetevents, ctx, 1, 1, &e, &soon, &sig));
    SHOW(syscall(SYS_io_pgetevents, ctx, 1, 1, &e, &soon, NULL));
    close(efd);
}

static void in_child(void)
{
    struct io_event e;
    aio_context_t mine = 0;
    struct timespec none = {0, 0};
    SHOW(events(0, 1, &e, &none));
    SHOW(destroy(ctx));
    NOTE("still mapped: %x", ((struct ring *)ctx)->magic);
    SHOW(setup(10, &mine));
}

static int ends_of_waiter[2];

static void writes(void)
{
    static char many[200000];
    struct iocb cb = request(IOCB_CMD_PWRITE, ends_of_waiter[1], many, sizeof many, 0), *list[1] = {&cb};
    struct io_event e;
    ctx = 0;
    setup(10, &ctx);
    SHOW(submit(1, list));
    SHOW(events(1, 1, &e, NULL));
    NOTE("it wrote: %lld", e.res);
}

static void waits(void)
{
    char buf[10] = "";
    struct iocb cb = request(IOCB_CMD_PREAD, ends_of_waiter[0], buf, 10, 0), *list[1] = {&cb};
    struct io_event e;
    ctx = 0;
    setup(10, &ctx);
    SHOW(submit(1, list));
    SHOW(events(1, 1, &e, NULL));
    NOTE("it waited: %lld %s", e.res, buf);
}

int main(void)
{
    pid_t a;
    contexts();
    files();
    batches();
    streams();
    polls();
    NOTE("-- processes");
    reap(start(in_child));
    pipe(ends_of_waiter);
    until_asleep(a = start(waits));
    write(ends_of_waiter[1], "data", 4);
    reap(a);
    until_asleep(a = start(writes));
    char got[1000];
    for (long left = 200000; left > 0;)
        left -= read(ends_of_waiter[0], got, left < 1000 ? left : 1000);
    reap(a);
    int more[2];
    pipe(more);
    struct iocb cb = request(IOCB_CMD_POLL, more[0], (void *)(long)POLLIN, 0, 0), *list[1] = {&cb};
    SHOW(submit(1, list));
    SHOW(destroy(ctx));
    SHOW(submit(1, list));
    number("/proc/sys/fs/aio-max-nr");
    unlink("file");
    return 0;
}

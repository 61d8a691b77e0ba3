// io_uring: files by name, registered files and buffers, and everything else that is registered.
#include "uring.h"
#include <sys/eventfd.h>

static struct ring r;
static char buf[64];

static struct io_uring_sqe *op(int opcode, int fd, int data, const void *addr, int len)
{
    struct io_uring_sqe *sqe = ring_sqe(&r, opcode, fd, data);
    sqe->addr = (unsigned long)addr, sqe->len = len;
    return sqe;
}

static void names(void)
{
    struct statx st = {0};
    struct io_uring_sqe *sqe = op(IORING_OP_MKDIRAT, AT_FDCWD, 1, "dir", 0755);
    ring_reap(&r, "mkdirat", 1);
    op(IORING_OP_OPENAT, AT_FDCWD, 2, "dir/file", 0640)->open_flags = O_RDWR | O_CREAT;
    struct io_uring_cqe cqe;
    ring_submit(&r, 1), ring_take(&r, &cqe);
    int fd = cqe.res;
    NOTE("openat %d", fd >= 0);
    op(IORING_OP_WRITE, fd, 3, "contents", 8);
    ring_reap(&r, "write", 1);
    op(55, fd, 4, NULL, 0)->off = 5;
    op(IORING_OP_FALLOCATE, fd, 5, (void *)100, 0)->off = 0;
    ring_reap(&r, "ftruncate, fallocate", 2);
    sqe = op(IORING_OP_STATX, AT_FDCWD, 6, "dir/file", STATX_BASIC_STATS);
    sqe->off = (unsigned long)&st;
    ring_reap(&r, "statx", 1);
    NOTE("size %llu mode %o", st.stx_size, st.stx_mode);
    op(IORING_OP_SYMLINKAT, AT_FDCWD, 7, "file", 0)->off = (unsigned long)"dir/link";
    ring_reap(&r, "symlinkat", 1);
    sqe = op(IORING_OP_LINKAT, AT_FDCWD, 8, "dir/file", AT_FDCWD), sqe->off = (unsigned long)"dir/hard";
    ring_reap(&r, "linkat", 1);
    sqe = op(IORING_OP_RENAMEAT, AT_FDCWD, 9, "dir/hard", AT_FDCWD), sqe->off = (unsigned long)"dir/moved";
    ring_reap(&r, "renameat", 1);
    op(IORING_OP_UNLINKAT, AT_FDCWD, 10, "dir/link", 0);
    op(IORING_OP_UNLINKAT, AT_FDCWD, 11, "dir/nothing", 0);
    op(IORING_OP_UNLINKAT, AT_FDCWD, 12, "dir", 0)->unlink_flags = AT_REMOVEDIR;
    ring_reap(&r, "unlinkat", 3);
    op(IORING_OP_FSYNC, fd, 13, NULL, 0)->fsync_flags = IORING_FSYNC_DATASYNC;
    op(IORING_OP_SYNC_FILE_RANGE, fd, 14, NULL, 0);
    op(IORING_OP_FADVISE, fd, 15, NULL, 0)->fadvise_advice = 0;
    op(IORING_OP_MADVISE, -1, 16, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
    op(IORING_OP_FSYNC, fd, 17, "x", 0);
    ring_reap(&r, "storage", 5);
    op(IORING_OP_CLOSE, fd, 18, NULL, 0);
    ring_reap(&r, "close", 1);
    op(IORING_OP_CLOSE, fd, 19, NULL, 0), op(IORING_OP_CLOSE, r.fd, 20, NULL, 0);
    op(IORING_OP_OPENAT, AT_FDCWD, 21, "nothing", 0), op(IORING_OP_OPENAT, AT_FDCWD, 22, NULL, 0);
    ring_reap(&r, "errors", 4);
}

static void files(void)
{
    int p[2], fds[4] = {-1, -1, -1, -1};
    pipe(p);
    op(IORING_OP_READ, 0, 1, buf, 4)->flags = IOSQE_FIXED_FILE;
    ring_reap(&r, "no table", 1);
    SHOW(uring_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES, fds, 0));
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES, fds, 1 << 24));
    fds[1] = p[0], fds[2] = 999;
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES, fds, 4));
    fds[2] = -1;
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES, fds, 4));
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES, fds, 4));
    write(p[1], "abcdefgh", 8);
    op(IORING_OP_READ, 1, 1, buf, 4)->flags = IOSQE_FIXED_FILE;
    op(IORING_OP_READ, 0, 2, buf, 4)->flags = IOSQE_FIXED_FILE;
    op(IORING_OP_READ, 4, 3, buf, 4)->flags = IOSQE_FIXED_FILE;
    ring_reap(&r, "fixed files", 3);
    struct io_uring_files_update up = {.offset = 1, .fds = (unsigned long)fds};
    fds[0] = -1, fds[1] = p[1];
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES_UPDATE, &up, 2));
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES_UPDATE, &up, 4));
    op(IORING_OP_WRITE, 2, 1, "ij", 2)->flags = IOSQE_FIXED_FILE;
    op(IORING_OP_READ, 1, 2, buf, 4)->flags = IOSQE_FIXED_FILE;
    ring_reap(&r, "after the update", 2);
    struct io_uring_sqe *sqe = op(IORING_OP_OPENAT, AT_FDCWD, 3, "dir/file", 0);
    sqe->file_index = 1;
    sqe = op(IORING_OP_OPENAT, AT_FDCWD, 4, "dir/file", 0), sqe->file_index = ~0u;
    sqe = op(IORING_OP_OPENAT, AT_FDCWD, 5, "dir/file", 0), sqe->file_index = 9;
    sqe = op(IORING_OP_OPENAT, AT_FDCWD, 6, "dir/file", 0), sqe->file_index = 1, sqe->open_flags = O_CLOEXEC;
    ring_reap(&r, "direct descriptors", 4);
    op(IORING_OP_READ, 0, 1, buf, 5)->flags = IOSQE_FIXED_FILE;
    ring_reap(&r, "read one", 1);
    show_bytes("buf", buf, 5);
    sqe = ring_sqe(&r, IORING_OP_CLOSE, 0, 1), sqe->file_index = 1;
    ring_reap(&r, "close one", 1);
    sqe = ring_sqe(&r, IORING_OP_CLOSE, 0, 2), sqe->file_index = 1;
    ring_reap(&r, "close it again", 1);
    sqe = op(IORING_OP_OPENAT, AT_FDCWD, 1, "dir/file", 0);
    sqe->file_index = 1, sqe->flags = IOSQE_IO_LINK;
    sqe = op(IORING_OP_READ, 0, 2, buf, 5), sqe->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
    sqe = ring_sqe(&r, IORING_OP_CLOSE, 0, 3), sqe->file_index = 1;
    ring_reap(&r, "open, read and close", 3);
    int more[2] = {p[0], -1};
    sqe = op(IORING_OP_FILES_UPDATE, -1, 1, more, 2), sqe->off = 0;
    ring_reap(&r, "files_update", 1);
    SHOW(uring_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
}

static void tags(void)
{
    int fd = open("/dev/null", O_RDWR);
    unsigned long long tag = 1234;
    struct iovec iov = {buf, sizeof buf};
    struct io_uring_rsrc_register reg = {.nr = 1, .data = (unsigned long)&fd, .tags = (unsigned long)&tag};
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES2, &reg, sizeof reg));
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES2, &reg, 8));
    int none = -1;
    unsigned long long zero = 0;
    struct io_uring_rsrc_update2 up = {.data = (unsigned long)&none, .tags = (unsigned long)&zero, .nr = 1};
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES_UPDATE2, &up, sizeof up));
    ring_reap(&r, "tag of a file", 1);
    SHOW(uring_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
    reg.data = (unsigned long)&iov, tag = 77;
    SHOW(uring_register(r.fd, IORING_REGISTER_BUFFERS2, &reg, sizeof reg));
    SHOW(uring_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    ring_reap(&r, "tag of a buffer", 1);
}

static void buffers(void)
{
    int fd = open("dir/file", O_RDWR);
    struct iovec iov[3] = {{buf, 32}, {0}, {(void *)8, 100}};
    SHOW(uring_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    SHOW(uring_register(r.fd, IORING_REGISTER_BUFFERS, iov, 0));
    SHOW(uring_register(r.fd, IORING_REGISTER_BUFFERS, iov, 3));
    SHOW(uring_register(r.fd, IORING_REGISTER_BUFFERS, iov, 2));
    SHOW(uring_register(r.fd, IORING_REGISTER_BUFFERS, iov, 2));
    memcpy(buf, "FIXED", 5);
    op(IORING_OP_WRITE_FIXED, fd, 1, buf, 5);
    ring_reap(&r, "write", 1);
    op(IORING_OP_READ_FIXED, fd, 2, buf + 10, 5);
    op(IORING_OP_READ_FIXED, fd, 3, buf + 30, 5);
    op(IORING_OP_READ_FIXED, fd, 4, buf, 5)->buf_index = 1;
    op(IORING_OP_READ_FIXED, fd, 5, buf, 5)->buf_index = 9;
    ring_reap(&r, "read", 4);
    show_bytes("buf", buf, 16);
    SHOW(uring_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    close(fd);
}

static void events(void)
{
    int ev = eventfd(0, EFD_NONBLOCK);
    long long count = 0;
    SHOW(uring_register(r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0));
    SHOW(uring_register(r.fd, IORING_REGISTER_EVENTFD, &r.fd, 1));
    SHOW(uring_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 2));
    SHOW(uring_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1));
    SHOW(uring_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1));
    for (int i = 0; i < 3; i++)
        ring_sqe(&r, IORING_OP_NOP, -1, i);
    ring_reap(&r, "three NOPs", 3);
    SHOW(read(ev, &count, 8));
    NOTE("count %lld", count);
    RING_WORD(&r, r.p.cq_off.flags) = IORING_CQ_EVENTFD_DISABLED;
    ring_sqe(&r, IORING_OP_NOP, -1, 1);
    ring_reap(&r, "disabled", 1);
    SHOW(read(ev, &count, 8));
    SHOW(uring_register(r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0));
}

static void rings(void)
{
    struct ring other;
    struct io_uring_rsrc_update up = {.offset = -1, .data = r.fd};
    SHOW(uring_register(r.fd, IORING_REGISTER_RING_FDS, &up, 1));
    NOTE("at %u", up.offset);
    ring_sqe(&r, IORING_OP_NOP, -1, 1);
    RING_WORD(&r, r.p.sq_off.tail) = r.tail;
    SHOW(uring_enter(0, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0));
    ring_show(&r, "through an index");
    SHOW(uring_enter(5, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0));
    SHOW(uring_enter(99, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0));
    up.data = 0;
    SHOW(uring_register(r.fd, IORING_UNREGISTER_RING_FDS, &up, 1));
    ring_new(&other, 8, 0);
    op(IORING_OP_MSG_RING, other.fd, 1, NULL, 42)->off = 4711;
    op(IORING_OP_MSG_RING, 1, 2, NULL, 42)->off = 4711;
    ring_reap(&r, "msg_ring", 2);
    ring_show(&other, "on the other side");
    ring_close(&other);
    struct io_uring_params p = {.flags = IORING_SETUP_R_DISABLED};
    if (ring_open(&other, 8, &p))
        die("setup");
    struct io_uring_restriction no[2] = {{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP},
                                         {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS}};
    SHOW(uring_enter(other.fd, 0, 0, 0, NULL, 0));
    SHOW(uring_register(other.fd, IORING_REGISTER_RESTRICTIONS, no, 2));
    SHOW(uring_register(other.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    SHOW(uring_register(other.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    ring_sqe(&other, IORING_OP_NOP, -1, 1);
    ring_reap(&other, "allowed", 1);
    ring_sqe(&other, IORING_OP_READ, 0, 2);
    ring_reap(&other, "not allowed", 1);
    ring_sqe(&other, IORING_OP_NOP, -1, 3)->flags = IOSQE_ASYNC;
    ring_reap(&other, "no flags", 1);
    ring_close(&other);
    int id = uring_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 0);
    ring_sqe(&r, IORING_OP_NOP, -1, 1)->personality = id;
    ring_sqe(&r, IORING_OP_NOP, -1, 2)->personality = id + 1;
    ring_reap(&r, "personalities", 2);
    SHOW(uring_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, id));
    SHOW(uring_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, id));
}

static void pipes(void)
{
    int a[2], b[2], fd = open("dir/file", O_RDONLY);
    pipe(a), pipe(b);
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_SPLICE, a[1], 1);
    sqe->splice_fd_in = fd, sqe->splice_off_in = 1, sqe->off = -1, sqe->len = 4;
    ring_reap(&r, "splice", 1);
    sqe = ring_sqe(&r, IORING_OP_TEE, b[1], 2);
    sqe->splice_fd_in = a[0], sqe->len = 4;
    ring_reap(&r, "tee", 1);
    read(a[0], buf, 8), read(b[0], buf + 8, 8);
    show_bytes("buf", buf, 12);
    sqe = ring_sqe(&r, IORING_OP_SPLICE, a[1], 3);
    sqe->splice_fd_in = 999, sqe->off = -1, sqe->len = 4;
    ring_reap(&r, "bad file", 1);
}

static void fdinfo(void)
{
    static char text[8192];
    char path[64];
    int p[2], null[2] = {open("/dev/null", O_RDWR), -1};
    pipe(p);
    SHOW(uring_register(r.fd, IORING_REGISTER_FILES, null, 2));
    op(IORING_OP_READ, p[0], 5, buf, 4), op(IORING_OP_NOP, -1, 6, NULL, 0);
    ring_submit(&r, 1);
    op(IORING_OP_WRITE, 3, 7, NULL, 10)->off = 100;
    RING_WORD(&r, r.p.sq_off.tail) = r.tail;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", r.fd);
    read(open(path, O_RDONLY), text, sizeof text - 1);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (line[0] == ' ' || strstr(line, "Qs") || strstr(line, "QEs") || strstr(line, "User") || strstr(line, "List"))
            NOTE("%s", line);
    RING_WORD(&r, r.p.sq_off.tail) = --r.tail;
    op(IORING_OP_ASYNC_CANCEL, -1, 8, (void *)5, 0);
    ring_reap(&r, "the end", 3);
    SHOW(uring_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
}

int main(void)
{
    setlinebuf(stdout);
    ring_new(&r, 32, IORING_SETUP_SUBMIT_ALL);
    names();
    files();
    buffers();
    tags();
    events();
    rings();
    pipes();
    fdinfo();
    return 0;
}

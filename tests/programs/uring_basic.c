// io_uring: setting a ring up, and the simplest things that travel in it.
#include "uring.h"

static void setup(unsigned entries, unsigned flags, unsigned cq)
{
    struct io_uring_params p = {.flags = flags, .cq_entries = cq};
    int fd = uring_setup(entries, &p);
    if (fd < 0) {
        NOTE("setup %u flags %#x cq %u: %s", entries, flags, cq, errno_name(errno));
        return;
    }
    NOTE("setup %u flags %#x cq %u: sq %u cq %u, sq_off %u %u %u %u %u %u %u, cq_off %u %u %u %u %u %u %u, cloexec %d",
         entries, flags, cq, p.sq_entries, p.cq_entries, p.sq_off.head, p.sq_off.tail, p.sq_off.ring_mask,
         p.sq_off.ring_entries, p.sq_off.flags, p.sq_off.dropped, p.sq_off.array, p.cq_off.head, p.cq_off.tail,
         p.cq_off.ring_mask, p.cq_off.ring_entries, p.cq_off.overflow, p.cq_off.cqes, p.cq_off.flags,
         fcntl(fd, F_GETFD));
    close(fd);
}

// Rings of other forms, one in the program's own memory among them
static void forms(void)
{
    static const unsigned flags[] = {
        IORING_SETUP_SQE128, IORING_SETUP_CQE32, IORING_SETUP_SQE128 | IORING_SETUP_CQE32, IORING_SETUP_NO_SQARRAY,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    };
    struct ring r;
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
        ring_new(&r, 2, flags[i]);
        for (int round = 0; round < 3; round++) {
            for (int k = 0; k < 2; k++)
                ring_sqe(&r, k ? IORING_OP_NOP : IORING_OP_READ, -1, 10 * round + k);
            ring_submit(&r, 2), r.tail = RING_WORD(&r, r.p.sq_off.tail) = RING_WORD(&r, r.p.sq_off.head);
        }
        ring_show(&r, "another form");
        ring_close(&r);
    }
    struct io_uring_params p = {.flags = 1u << 14};
    p.sq_off.resv2 = (unsigned long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p.cq_off.resv2 = (unsigned long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    r.rings = (char *)p.cq_off.resv2, r.sqes = (void *)p.sq_off.resv2, r.tail = 0;
    r.fd = SHOW(uring_setup(4, &p)) < 0 ? -1 : 3, r.p = p;
    for (int k = 0; k < 6; k++)
        ring_sqe(&r, IORING_OP_NOP, -1, k), ring_submit(&r, 1);
    ring_show(&r, "in the program's memory");
    close(r.fd);
    p.sq_off.resv2++;
    SHOW(uring_setup(4, &p));
}

int main(void)
{
    forms();
    static const unsigned flags[] = {
        0, IORING_SETUP_CQSIZE, IORING_SETUP_CLAMP, IORING_SETUP_SQ_AFF, IORING_SETUP_R_DISABLED,
        IORING_SETUP_SUBMIT_ALL, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SQE128, IORING_SETUP_CQE32,
        IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_ATTACH_WQ, 1u << 14, 1u << 15, 1u << 16,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 1u << 31,
    };
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++)
        setup(8, flags[i], 0);
    setup(0, 0, 0), setup(1, 0, 0), setup(5, 0, 0), setup(4096, 0, 0), setup(32768, 0, 0), setup(32769, 0, 0);
    setup(40000, IORING_SETUP_CLAMP, 0);
    setup(8, IORING_SETUP_CQSIZE, 7), setup(8, IORING_SETUP_CQSIZE, 100), setup(8, IORING_SETUP_CQSIZE, 65537);
    setup(8, IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, 1 << 20);
    SHOW(uring_setup(8, NULL));
    struct io_uring_params bad = {.resv = {0, 1, 0}};
    SHOW(uring_setup(8, &bad));

    SHOW(uring_enter(-1, 1, 0, 0, NULL, 0));
    SHOW(uring_enter(0, 1, 0, 0, NULL, 0));
    SHOW(uring_register(-1, IORING_REGISTER_PROBE, NULL, 0));
    SHOW(uring_register(0, IORING_REGISTER_PROBE, NULL, 0));

    struct ring r;
    ring_new(&r, 8, 0);
    SHOW(uring_enter(r.fd, 1, 0, 1u << 31, NULL, 0));
    SHOW(uring_enter(r.fd, 1, 0, 0, NULL, 0));
    TRY(mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, IORING_OFF_CQ_RING));
    SHOW(read(r.fd, &bad, 1));
    SHOW(write(r.fd, "x", 1));
    SHOW(lseek(r.fd, 0, SEEK_CUR));
    struct stat st;
    SHOW(fstat(r.fd, &st));
    NOTE("mode %o", st.st_mode);
    struct pollfd pfd = {.fd = r.fd, .events = POLLIN | POLLOUT};
    SHOW(poll(&pfd, 1, 0));
    NOTE("revents %#x", pfd.revents);

    for (int i = 0; i < 8; i++)
        ring_sqe(&r, IORING_OP_NOP, -1, i);
    SHOW(ring_submit(&r, 8));
    SHOW(poll(&pfd, 1, 0));
    NOTE("revents %#x", pfd.revents);
    ring_show(&r, "eight NOPs");

    int fd = open("file", O_RDWR | O_CREAT, 0644);
    char text[] = "the quick brown fox", back[64] = "";
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_WRITE, fd, 1);
    sqe->addr = (unsigned long)text, sqe->len = sizeof text;
    SHOW(ring_submit(&r, 1));
    ring_show(&r, "write");
    sqe = ring_sqe(&r, IORING_OP_READ, fd, 2);
    sqe->addr = (unsigned long)back, sqe->len = 10, sqe->off = 4;
    SHOW(ring_submit(&r, 1));
    ring_show(&r, "read");
    show_bytes("back", back, 12);
    struct iovec iov[2] = {{back, 3}, {back + 10, 5}};
    sqe = ring_sqe(&r, IORING_OP_READV, fd, 3);
    sqe->addr = (unsigned long)iov, sqe->len = 2;
    sqe = ring_sqe(&r, IORING_OP_WRITEV, fd, 4);
    sqe->addr = (unsigned long)iov, sqe->len = 2, sqe->off = 30;
    sqe = ring_sqe(&r, IORING_OP_FSYNC, fd, 5);
    sqe = ring_sqe(&r, IORING_OP_READ, fd, 6);
    sqe->addr = (unsigned long)back, sqe->len = 10, sqe->off = -1;
    sqe = ring_sqe(&r, IORING_OP_READ, 99, 7);
    sqe = ring_sqe(&r, IORING_OP_READ, fd, 8);
    sqe->addr = 8, sqe->len = 10;
    sqe = ring_sqe(&r, IORING_OP_WRITE, open("file", O_RDONLY), 9);
    sqe->addr = (unsigned long)back, sqe->len = 10;
    ring_reap(&r, "several", 7);
    show_bytes("back", back, 16);
    SHOW(lseek(fd, 0, SEEK_CUR));

    sqe = ring_sqe(&r, 200, fd, 10);
    ring_sqe(&r, IORING_OP_NOP, -1, 11);
    SHOW(ring_submit(&r, 1));
    r.tail = RING_WORD(&r, r.p.sq_off.tail);
    ring_show(&r, "an unknown operation stops the batch");
    SHOW(uring_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    ring_show(&r, "and the rest");

    // A read that waits for a pipe
    int p[2];
    SHOW(pipe(p));
    sqe = ring_sqe(&r, IORING_OP_READ, p[0], 20);
    sqe->addr = (unsigned long)back, sqe->len = 10;
    SHOW(ring_submit(&r, 0));
    NOTE("ready %u", ring_ready(&r));
    SHOW(write(p[1], "pipe!", 5));
    NOTE("ready %u", ring_ready(&r));
    ring_show(&r, "pipe");
    show_bytes("back", back, 5);

    struct __kernel_timespec ts = {.tv_nsec = 1000000};
    struct io_uring_getevents_arg arg = {.ts = (unsigned long)&ts};
    int got = uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
    NOTE("a wait ends with ETIME: %d", got == -1 && errno == ETIME);
    sqe = ring_sqe(&r, IORING_OP_TIMEOUT, -1, 30);
    sqe->addr = (unsigned long)&ts, sqe->len = 1;
    SHOW(ring_submit(&r, 1));
    ring_show(&r, "time-out");
    ring_close(&r);
    return 0;
}

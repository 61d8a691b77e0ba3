// io_uring: chains, drains, time-outs, cancellation.
#include "uring.h"

static struct ring r;
static int p[2];
static char buf[64];
static struct __kernel_timespec soon = {.tv_nsec = 5000000}, late = {.tv_sec = 1000};

static struct io_uring_sqe *nop(int data, int flags)
{
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_NOP, -1, data);
    sqe->flags = flags;
    return sqe;
}

static struct io_uring_sqe *reading(int data, int flags, int size)
{
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_READ, p[0], data);
    sqe->addr = (unsigned long)buf, sqe->len = size, sqe->flags = flags;
    return sqe;
}

static struct io_uring_sqe *timeout(int opcode, int data, void *ts, int count, int flags)
{
    struct io_uring_sqe *sqe = ring_sqe(&r, opcode, -1, data);
    sqe->addr = (unsigned long)ts, sqe->len = 1, sqe->off = count, sqe->timeout_flags = flags;
    return sqe;
}

static struct io_uring_sqe *cancel(int data, unsigned long what, unsigned flags)
{
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_ASYNC_CANCEL, -1, data);
    sqe->addr = what, sqe->cancel_flags = flags;
    return sqe;
}

static void chains(void)
{
    nop(1, IOSQE_IO_LINK), nop(2, IOSQE_IO_LINK), nop(3, 0), nop(4, 0);
    ring_reap(&r, "a chain of three", 4);
    reading(1, IOSQE_IO_LINK, 4)->fd = 999;
    nop(2, IOSQE_IO_LINK), nop(3, 0), nop(4, 0);
    ring_reap(&r, "a chain that fails", 4);
    reading(1, IOSQE_IO_HARDLINK, 4)->fd = 999;
    nop(2, IOSQE_IO_HARDLINK), nop(3, 0);
    ring_reap(&r, "a hard chain that fails", 3);
    reading(1, IOSQE_IO_LINK, 10), nop(2, 0);
    SHOW(ring_submit(&r, 0));
    write(p[1], "abc", 3);
    ring_reap(&r, "a short read breaks a chain", 2);
    reading(1, IOSQE_IO_LINK, 3), reading(2, IOSQE_IO_LINK, 3), nop(3, 0);
    SHOW(ring_submit(&r, 0));
    write(p[1], "abcdef", 6);
    ring_reap(&r, "whole reads do not", 3);
    nop(1, IOSQE_IO_LINK);
    ring_sqe(&r, IORING_OP_NOP, -1, 2)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, 200, -1, 3);
    ring_reap(&r, "a chain with a bad entry", 3);
    nop(1, IOSQE_IO_LINK);
    ring_reap(&r, "a chain that ends with the batch", 1);
    nop(1, IOSQE_ASYNC), nop(2, IOSQE_ASYNC | IOSQE_IO_LINK), nop(3, IOSQE_ASYNC);
    ring_reap(&r, "asynchronous", 3);
}

static void skipping(void)
{
    nop(1, IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK), nop(2, IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK), nop(3, 0);
    ring_reap(&r, "the last of a chain only", 1);
    reading(1, IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK, 4)->fd = 999;
    nop(2, IOSQE_IO_LINK), nop(3, 0);
    ring_reap(&r, "the failure only", 1);
    SHOW(ring_submit(&r, 0));
    NOTE("ready %u", ring_ready(&r));
}

static void drains(void)
{
    reading(1, 0, 3), nop(2, IOSQE_IO_DRAIN), nop(3, 0);
    SHOW(ring_submit(&r, 0));
    ring_show(&r, "behind a drain");
    nop(4, 0);
    SHOW(ring_submit(&r, 0));
    ring_show(&r, "still");
    write(p[1], "xyz", 3);
    ring_reap(&r, "drained", 4);
    reading(1, 0, 3), nop(2, IOSQE_IO_LINK), nop(3, IOSQE_IO_LINK | IOSQE_IO_DRAIN), nop(4, 0), nop(5, 0);
    SHOW(ring_submit(&r, 0));
    ring_show(&r, "a drain in a chain");
    write(p[1], "xyz", 3);
    ring_reap(&r, "drained", 5);
}

static void timeouts(void)
{
    timeout(IORING_OP_TIMEOUT, 1, &soon, 0, 0);
    ring_reap(&r, "a time-out", 1);
    timeout(IORING_OP_TIMEOUT, 1, &soon, 0, IORING_TIMEOUT_ETIME_SUCCESS)->flags = IOSQE_IO_LINK, nop(2, 0);
    ring_reap(&r, "that is a success", 2);
    timeout(IORING_OP_TIMEOUT, 1, &soon, 0, 0)->flags = IOSQE_IO_LINK, nop(2, 0);
    ring_reap(&r, "that is a failure", 2);
    timeout(IORING_OP_TIMEOUT, 1, &late, 2, 0), nop(2, 0);
    SHOW(ring_submit(&r, 1));
    nop(3, 0);
    ring_reap(&r, "two completions", 3);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct __kernel_timespec at = {now.tv_sec, now.tv_nsec};
    timeout(IORING_OP_TIMEOUT, 1, &at, 0, IORING_TIMEOUT_ABS);
    ring_reap(&r, "absolute", 1);
    clock_gettime(CLOCK_REALTIME, &now);
    at.tv_sec = now.tv_sec, at.tv_nsec = now.tv_nsec;
    timeout(IORING_OP_TIMEOUT, 1, &at, 0, IORING_TIMEOUT_ABS | IORING_TIMEOUT_REALTIME);
    timeout(IORING_OP_TIMEOUT, 2, &soon, 0, IORING_TIMEOUT_BOOTTIME);
    timeout(IORING_OP_TIMEOUT, 3, &soon, 0, IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME);
    ring_reap(&r, "other clocks", 3);
    timeout(IORING_OP_TIMEOUT, 1, &late, 0, 0);
    SHOW(ring_submit(&r, 0));
    ring_sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 2)->addr = 1;
    ring_sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 3)->addr = 77;
    ring_reap(&r, "removed", 3);
    timeout(IORING_OP_TIMEOUT, 1, &late, 0, 0);
    SHOW(ring_submit(&r, 0));
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 2);
    sqe->addr = 1, sqe->addr2 = (unsigned long)&soon, sqe->timeout_flags = IORING_TIMEOUT_UPDATE;
    ring_reap(&r, "updated", 2);
    struct __kernel_timespec bad = {.tv_sec = -1};
    timeout(IORING_OP_TIMEOUT, 1, &bad, 0, 0);
    timeout(IORING_OP_TIMEOUT, 2, NULL, 0, 0);
    ring_submit(&r, 0);
    timeout(IORING_OP_TIMEOUT, 3, &soon, 0, 1 << 20);
    r.tail = RING_WORD(&r, r.p.sq_off.tail);
    ring_show(&r, "bad ones");
    RING_WORD(&r, r.p.sq_off.tail) = r.tail = RING_WORD(&r, r.p.sq_off.head);
}

static void linked_timeouts(void)
{
    reading(1, IOSQE_IO_LINK, 3), timeout(IORING_OP_LINK_TIMEOUT, 2, &soon, 0, 0);
    ring_reap(&r, "a read with a time-out", 2);
    reading(1, IOSQE_IO_LINK, 3), timeout(IORING_OP_LINK_TIMEOUT, 2, &late, 0, 0);
    SHOW(ring_submit(&r, 0));
    write(p[1], "abc", 3);
    ring_reap(&r, "in time", 2);
    nop(1, IOSQE_IO_LINK), timeout(IORING_OP_LINK_TIMEOUT, 2, &late, 0, 0)->flags = IOSQE_IO_LINK, nop(3, 0);
    ring_reap(&r, "at once, and a third", 3);
    reading(1, IOSQE_IO_LINK, 3), timeout(IORING_OP_LINK_TIMEOUT, 2, &soon, 0, 0)->flags = IOSQE_IO_LINK, nop(3, 0);
    ring_reap(&r, "too late, and a third", 3);
    timeout(IORING_OP_LINK_TIMEOUT, 1, &late, 0, 0);
    ring_reap(&r, "of nothing", 1);
    reading(1, IOSQE_IO_LINK, 3), timeout(IORING_OP_LINK_TIMEOUT, 2, &late, 0, 0);
    SHOW(ring_submit(&r, 0));
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 3);
    sqe->addr = 2, sqe->addr2 = (unsigned long)&soon, sqe->timeout_flags = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE;
    ring_reap(&r, "updated", 3);
}

static void cancelling(void)
{
    reading(1, 0, 3);
    SHOW(ring_submit(&r, 0));
    cancel(2, 1, 0);
    ring_reap(&r, "a read", 2);
    cancel(3, 1, 0);
    ring_reap(&r, "it is gone", 1);
    reading(1, IOSQE_IO_LINK, 3), nop(2, 0);
    SHOW(ring_submit(&r, 0));
    cancel(3, 1, 0);
    ring_reap(&r, "a read in a chain", 3);
    reading(1, 0, 3), reading(1, 0, 3), timeout(IORING_OP_TIMEOUT, 1, &late, 0, 0);
    SHOW(ring_submit(&r, 0));
    cancel(2, 1, IORING_ASYNC_CANCEL_ALL);
    ring_reap(&r, "all of a name", 4);
    reading(1, 0, 3), reading(2, 0, 3), timeout(IORING_OP_TIMEOUT, 3, &late, 0, 0);
    SHOW(ring_submit(&r, 0));
    struct io_uring_sqe *sqe = cancel(4, 0, IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL);
    sqe->fd = p[0];
    ring_reap(&r, "all of a file", 3);
    cancel(5, 0, IORING_ASYNC_CANCEL_ANY);
    ring_reap(&r, "any", 2);
    cancel(6, 0, IORING_ASYNC_CANCEL_ANY);
    ring_reap(&r, "none", 1);
    cancel(7, 0, 1 << 20);
    ring_reap(&r, "bad flags", 1);
    cancel(8, 0, IORING_ASYNC_CANCEL_FD)->fd = 999;
    ring_reap(&r, "bad file", 1);
    reading(1, 0, 3);
    SHOW(ring_submit(&r, 0));
    struct io_uring_sync_cancel_reg reg = {.addr = 1, .timeout = {-1, -1}};
    SHOW(uring_register(r.fd, IORING_REGISTER_SYNC_CANCEL, &reg, 1));
    SHOW(uring_register(r.fd, IORING_REGISTER_SYNC_CANCEL, &reg, 1));
    ring_show(&r, "a synchronous one");
}

static void overflow(void)
{
    ring_new(&r, 4, 0);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 4; i++)
            nop(4 * k + i, 0);
        RING_WORD(&r, r.p.sq_off.tail) = r.tail;
        SHOW(uring_enter(r.fd, 4, 0, 0, NULL, 0));
    }
    NOTE("flags %#x overflow %u ready %u", RING_WORD(&r, r.p.sq_off.flags), RING_WORD(&r, r.p.cq_off.overflow), ring_ready(&r));
    ring_show(&r, "what fits");
    NOTE("flags %#x ready %u", RING_WORD(&r, r.p.sq_off.flags), ring_ready(&r));
    SHOW(uring_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    NOTE("flags %#x ready %u", RING_WORD(&r, r.p.sq_off.flags), ring_ready(&r));
    ring_show(&r, "what was kept");
    ring_close(&r);
}

int main(void)
{
    setlinebuf(stdout);
    pipe(p);
    ring_new(&r, 16, IORING_SETUP_SUBMIT_ALL);
    drains();
    chains();
    timeouts();
    linked_timeouts();
    cancelling();
    skipping();
    nop(1, IOSQE_IO_DRAIN);
    ring_reap(&r, "no drain after a skip", 1);
    ring_close(&r);
    overflow();
    return 0;
}

// io_uring: reads from and polls of a stream of the host's.
// stdin: one
// stdin: two
#include "uring.h"

int main(void)
{
    struct ring r;
    char buf[64] = "";
    ring_new(&r, 8, 0);
    struct pollfd pfd = {.fd = 0, .events = POLLIN};
    while (!(pfd.revents & POLLHUP)) // until whoever wrote it is gone
        poll(&pfd, 1, 10);
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_POLL_ADD, 0, 1);
    sqe->poll32_events = POLLIN, sqe->len = IORING_POLL_ADD_MULTI;
    ring_reap(&r, "it is readable", 1);
    struct timespec while_ = {.tv_nsec = 30000000};
    nanosleep(&while_, NULL);
    ring_show(&r, "which is told once");
    sqe = ring_sqe(&r, IORING_OP_READ, 0, 2);
    sqe->addr = (unsigned long)buf, sqe->len = 8, sqe->off = -1;
    ring_reap(&r, "read", 1);
    show_bytes("buf", buf, 8);
    sqe = ring_sqe(&r, IORING_OP_POLL_ADD, 0, 3);
    sqe->poll32_events = POLLIN;
    sqe = ring_sqe(&r, IORING_OP_POLL_ADD, 1, 4);
    sqe->poll32_events = POLLOUT;
    sqe = ring_sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 5);
    sqe->addr = 1;
    fflush(stdout);
    ring_reap(&r, "more polls", 4);
    sqe = ring_sqe(&r, IORING_OP_READ, 0, 6);
    sqe->addr = (unsigned long)buf, sqe->len = 8, sqe->off = -1;
    ring_reap(&r, "the end", 1);
    sqe = ring_sqe(&r, IORING_OP_WRITE, 1, 7);
    sqe->addr = (unsigned long)"written\n", sqe->len = 8, sqe->off = -1;
    fflush(stdout);
    ring_reap(&r, "write", 1);
    return 0;
}

// Requests that never end, completions that nobody takes and buffers that nobody uses, as many as there may be.
#include "../programs/uring.h"

int main(void)
{
    static struct __kernel_timespec never = {.tv_sec = 1000000};
    static char buffer[64];
    struct ring r;
    long count = 0;
    ring_new(&r, 64, 0);
    do {
        for (int i = 0; i < 64; i++) {
            struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_TIMEOUT, -1, i);
            sqe->addr = (unsigned long)&never, sqe->len = 1;
        }
        count++;
    } while (ring_submit(&r, 0) > 0);
    NOTE("requests: %s, %d", errno_name(errno), count > 10);
    ring_close(&r);

    ring_new(&r, 64, 0);
    count = 0;
    do {
        for (int i = 0; i < 64; i++)
            ring_sqe(&r, IORING_OP_NOP, -1, i);
        RING_WORD(&r, r.p.sq_off.tail) = r.tail;
        count++;
    } while (uring_enter(r.fd, 64, 0, 0, NULL, 0) > 0);
    NOTE("completions: %s, %d", errno_name(errno), count > 10);
    ring_close(&r);

    struct io_uring_cqe cqe = {0};
    ring_new(&r, 64, 0);
    for (int group = 0; !cqe.res; group++) {
        struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_PROVIDE_BUFFERS, 1000, 1);
        sqe->addr = (unsigned long)buffer, sqe->len = 1, sqe->buf_group = group;
        ring_submit(&r, 1);
        ring_take(&r, &cqe);
    }
    NOTE("buffers: %s", errno_name(-cqe.res));
    ring_close(&r);
    ring_new(&r, 64, 0);
    ring_sqe(&r, IORING_OP_NOP, -1, 1);
    ring_reap(&r, "still usable", 1);
    return 0;
}

/* io_uring(7) by its system calls alone: a ring, entries for it, and its completions. */
#ifndef URING_H
#define URING_H

#include "show.h"
#include <linux/io_uring.h>
#include <poll.h>

#ifndef IORING_SETUP_NO_SQARRAY // newer than Debian 12's headers
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

struct ring {
    int fd;
    struct io_uring_params p;
    char *rings;
    struct io_uring_sqe *sqes;
    unsigned tail; /* of what was prepared */
};

UNUSED static int uring_setup(unsigned entries, struct io_uring_params *p)
{
    return syscall(SYS_io_uring_setup, entries, p);
}

UNUSED static int uring_enter(int fd, unsigned submit, unsigned wait, unsigned flags, void *arg, size_t size)
{
    return syscall(SYS_io_uring_enter, fd, submit, wait, flags, arg, size);
}

UNUSED static int uring_register(int fd, unsigned opcode, void *arg, unsigned count)
{
    return syscall(SYS_io_uring_register, fd, opcode, arg, count);
}

#define RING_WORD(r, offset) (*(volatile unsigned *)((r)->rings + (offset)))

UNUSED static int ring_open(struct ring *r, unsigned entries, struct io_uring_params *p)
{
    r->p = *p;
    r->tail = 0;
    r->fd = uring_setup(entries, &r->p);
    if (r->fd < 0)
        return -1;
    size_t cqe = p->flags & IORING_SETUP_CQE32 ? 32 : 16, sqe = p->flags & IORING_SETUP_SQE128 ? 128 : 64;
    size_t a = r->p.cq_off.cqes + r->p.cq_entries * cqe, b = r->p.sq_off.array + r->p.sq_entries * 4;
    r->rings = mmap(NULL, a > b ? a : b, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
    r->sqes = mmap(NULL, r->p.sq_entries * sqe, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
    if (r->rings == MAP_FAILED || r->sqes == MAP_FAILED)
        die("mmap of a ring");
    return 0;
}

UNUSED static void ring_new(struct ring *r, unsigned entries, unsigned flags)
{
    struct io_uring_params p = {.flags = flags};
    if (ring_open(r, entries, &p))
        die("io_uring_setup");
}

/* The next entry, with its opcode, descriptor and user data. */
UNUSED static struct io_uring_sqe *ring_sqe(struct ring *r, int opcode, int fd, unsigned long data)
{
    unsigned at = r->tail++ & (r->p.sq_entries - 1);
    if (!(r->p.flags & IORING_SETUP_NO_SQARRAY))
        ((unsigned *)(r->rings + r->p.sq_off.array))[at] = at;
    struct io_uring_sqe *sqe = r->p.flags & IORING_SETUP_SQE128 ? r->sqes + 2 * at : r->sqes + at;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = opcode;
    sqe->fd = fd;
    sqe->user_data = data;
    return sqe;
}

/* Submit what was prepared, and wait for completions. */
UNUSED static int ring_submit(struct ring *r, unsigned wait)
{
    unsigned count = r->tail - RING_WORD(r, r->p.sq_off.tail);
    RING_WORD(r, r->p.sq_off.tail) = r->tail;
    return uring_enter(r->fd, count, wait, IORING_ENTER_GETEVENTS, NULL, 0);
}

UNUSED static unsigned ring_ready(struct ring *r)
{
    return RING_WORD(r, r->p.cq_off.tail) - RING_WORD(r, r->p.cq_off.head);
}

/* Take the next completion; 0 if there is none. */
UNUSED static int ring_take(struct ring *r, struct io_uring_cqe *cqe)
{
    unsigned head = RING_WORD(r, r->p.cq_off.head);
    if (head == RING_WORD(r, r->p.cq_off.tail))
        return 0;
    size_t size = r->p.flags & IORING_SETUP_CQE32 ? 32 : 16;
    memcpy(cqe, r->rings + r->p.cq_off.cqes + size * (head & (r->p.cq_entries - 1)), sizeof *cqe);
    RING_WORD(r, r->p.cq_off.head) = head + 1;
    return 1;
}

/* "  3: -ECANCELED flags 0x2" */
UNUSED static void show_cqe(const struct io_uring_cqe *cqe)
{
    printf("  %llu: ", (unsigned long long)cqe->user_data);
    if (cqe->res == -ETIME)
        printf("-ETIME");
    else if (cqe->res < 0)
        printf("-%s", errno_name(-cqe->res));
    else
        printf("%d", cqe->res);
    unsigned flags = cqe->flags & ~IORING_CQE_F_SOCK_NONEMPTY; // a hint, of newer kernels for more sockets
    printf(flags ? " flags %#x\n" : "\n", flags);
}

static int by_data(const void *a, const void *b)
{
    const struct io_uring_cqe *x = a, *y = b;
    return x->user_data < y->user_data ? -1 : x->user_data > y->user_data;
}

/* Show all completions there are, in their order. */
UNUSED static void ring_show(struct ring *r, const char *title)
{
    struct io_uring_cqe cqe;
    NOTE("%s:", title);
    while (ring_take(r, &cqe))
        show_cqe(&cqe);
}

/* Wait for `count` completions and show them; by user data, where their order is nobody's promise. */
UNUSED static void ring_reap(struct ring *r, const char *title, unsigned count)
{
    struct io_uring_cqe cqe[256];
    unsigned got = 0;
    while (got < count) {
        if (ring_take(r, &cqe[got]))
            got++;
        else if (ring_submit(r, 1) < 0 && errno != EINTR)
            die("io_uring_enter");
    }
    qsort(cqe, got, sizeof *cqe, by_data);
    NOTE("%s:", title);
    for (unsigned i = 0; i < got; i++)
        show_cqe(&cqe[i]);
}

UNUSED static void ring_close(struct ring *r)
{
    size_t cqe = r->p.flags & IORING_SETUP_CQE32 ? 32 : 16, sqe = r->p.flags & IORING_SETUP_SQE128 ? 128 : 64;
    size_t a = r->p.cq_off.cqes + r->p.cq_entries * cqe, b = r->p.sq_off.array + r->p.sq_entries * 4;
    munmap(r->rings, a > b ? a : b);
    munmap(r->sqes, r->p.sq_entries * sqe);
    close(r->fd);
}

#endif

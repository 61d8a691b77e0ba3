/* uring KIND N: N operations through an io_uring, 64 in a batch.

   nop: the kernel has nothing to do; read: 4 KiB of a file that is in memory.  The work of a batch as a program
   does it: fill the entries, enter, look at each completion. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 64
#define AT(offset) (*(volatile unsigned *)(ring + (offset)))

int main(int argc, char **argv)
{
    struct io_uring_params p = {0};
    static char data[4096];
    long n = argc > 2 ? atol(argv[2]) : 0;
    int opcode = argc > 1 && !strcmp(argv[1], "read") ? IORING_OP_READ : IORING_OP_NOP;
    int file = open("/proc/self/exe", O_RDONLY);
    int fd = syscall(SYS_io_uring_setup, BATCH, &p);
    if (fd < 0 || file < 0)
        return 1;
    char *ring = mmap(NULL, p.sq_off.array + 4 * p.sq_entries, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqes = mmap(NULL, p.sq_entries * sizeof *sqes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
    struct io_uring_cqe *cqes = (struct io_uring_cqe *)(ring + p.cq_off.cqes);
    unsigned tail = 0, head = 0, good = 0;
    for (long i = 0; i < n; i += BATCH) {
        for (int k = 0; k < BATCH; k++, tail++) {
            unsigned at = tail % BATCH;
            ((unsigned *)(ring + p.sq_off.array))[at] = at;
            struct io_uring_sqe *sqe = &sqes[at];
            memset(sqe, 0, sizeof *sqe);
            sqe->opcode = opcode;
            sqe->user_data = i + k;
            if (opcode != IORING_OP_NOP) {
                sqe->fd = file;
                sqe->addr = (unsigned long)data;
                sqe->len = sizeof data;
            }
        }
        AT(p.sq_off.tail) = tail;
        if (syscall(SYS_io_uring_enter, fd, BATCH, BATCH, IORING_ENTER_GETEVENTS, NULL, 0) != BATCH)
            return 2;
        for (int k = 0; k < BATCH; k++, head++) {
            struct io_uring_cqe *cqe = &cqes[head & (p.cq_entries - 1)];
            good += cqe->user_data == (unsigned long)(i + k) && cqe->res >= 0;
        }
        AT(p.cq_off.head) = head;
    }
    printf("%u\n", good);
    return 0;
}

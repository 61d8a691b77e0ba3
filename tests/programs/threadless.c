// The calls a C library makes for its one thread: arch_prctl, set_tid_address, robust lists, rseq, futex.
#include "show.h"
#include <asm/prctl.h>
#include <linux/futex.h>

static int word;

static long futex(int *at, int op, int value, void *timeout, int *second, int third)
{
    return syscall(SYS_futex, at, op, value, timeout, second, third);
}

int main(void)
{
    uint64_t fs = 0, gs = 1, back;
    SHOW(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
    __asm__("mov %%fs:0, %0" : "=r"(back));
    NOTE("fs points at itself %d", fs == back);
    SHOW(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    NOTE("gs %ld", (long)gs);
    static long area[4] = {11, 22, 33, 44};
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, area));
    __asm__("mov %%gs:16, %0" : "=r"(back));
    NOTE("through gs %ld", (long)back);
    SHOW(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    NOTE("gs back %d", gs == (uintptr_t)area);
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ul << 63));
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_FS, -1L));
    SHOW(syscall(SYS_arch_prctl, 0x9999, 0));
    SHOW(syscall(SYS_set_tid_address, &word) == getpid());
    SHOW(syscall(SYS_set_robust_list, area, 23));
    void *head = NULL;
    size_t length = 0;
    SHOW(syscall(SYS_get_robust_list, 0, &head, &length));
    NOTE("%ld", (long)length);
    SHOW(syscall(SYS_get_robust_list, 99999999, &head, &length));
    SHOW(syscall(SYS_rseq, (void *)1, 32, 0, 0));
    SHOW(syscall(SYS_rseq, area, 5, 0, 0));
    SHOW(syscall(SYS_rseq, area, 32, 99, 0));

    SHOW(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    struct timespec t = {0, 5000000};
    SHOW(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &t, NULL, 0));
    clock_gettime(CLOCK_MONOTONIC, &t);
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &t, NULL, -1));
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &t, NULL, 0));
    clock_gettime(CLOCK_REALTIME, &t);
    SHOW(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, -1));
    SHOW(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    SHOW(futex((int *)((char *)&word + 1), FUTEX_WAIT, 0, &t, NULL, 0));
    SHOW(futex((int *)8, FUTEX_WAIT, 0, &t, NULL, 0));
    SHOW(futex((int *)8, FUTEX_WAKE, 1, NULL, NULL, 0));
    SHOW(futex(&word, 99, 0, NULL, NULL, 0));
    t = (struct timespec){0, -1};
    SHOW(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, (void *)8, NULL, 0));
    int other = 0;
    SHOW(futex(&word, FUTEX_REQUEUE, 1, (void *)1, &other, 0));
    SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 1));
    SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 0));
    SHOW(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other, FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)));
    NOTE("%d", other);
    SHOW(syscall(SYS_membarrier, 0, 0, 0) >= 0);
    return 0;
}

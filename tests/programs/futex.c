/* futex(2) as one thread can use it, and the calls around threads. */
#include "show.h"
#include <linux/futex.h>
#include <asm/prctl.h>

#define RAW(name, ...) show_result(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__), 1)

static long futex(void *word, int op, unsigned value, void *timeout, void *second, unsigned third)
{
    return syscall(SYS_futex, word, op, value, timeout, second, third);
}

int main(void)
{
    static uint32_t words[8] = {5, 6};
    uint32_t *w = words, *bad = (void *)16, *odd = (void *)((char *)words + 1);
    struct timespec soon = {0, 20000000}, wrong = {0, -1}, past = {1, 0};
    int private[] = {0, FUTEX_PRIVATE_FLAG};

    for (int i = 0; i < 2; i++) {
        int p = private[i];
        printf("-- private %d\n", i);
        SHOW(futex(w, FUTEX_WAIT | p, 4, NULL, NULL, 0));
        SHOW(futex(w, FUTEX_WAIT | p, 5, &soon, NULL, 0));
        SHOW(futex(w, FUTEX_WAIT | p, 5, &wrong, NULL, 0));
        SHOW(futex(w, FUTEX_WAIT | p, 4, bad, NULL, 0));
        SHOW(futex(bad, FUTEX_WAIT | p, 5, &soon, NULL, 0));
        SHOW(futex(odd, FUTEX_WAIT | p, 5, &soon, NULL, 0));
        SHOW(futex(w, FUTEX_WAIT_BITSET | p, 5, &past, NULL, ~0u));
        SHOW(futex(w, FUTEX_WAIT_BITSET | p, 5, &past, NULL, 0));
        SHOW(futex(w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | p, 5, &past, NULL, 1));
        SHOW(futex(w, FUTEX_WAIT | FUTEX_CLOCK_REALTIME | p, 4, &soon, NULL, 0));
        SHOW(futex(w, FUTEX_WAKE | FUTEX_CLOCK_REALTIME | p, 1, NULL, NULL, 0));
        SHOW(futex(w, FUTEX_WAKE | p, 1, NULL, NULL, 0));
        SHOW(futex(w, FUTEX_WAKE | p, -1, NULL, NULL, 0));
        SHOW(futex(odd, FUTEX_WAKE | p, 1, NULL, NULL, 0));
        SHOW(futex(w, FUTEX_WAKE_BITSET | p, 1, NULL, NULL, 0));
        SHOW(futex(w, FUTEX_WAKE_BITSET | p, 1, NULL, NULL, 2));
        SHOW(futex(w, FUTEX_REQUEUE | p, 1, (void *)1, w + 1, 0));
        SHOW(futex(w, FUTEX_REQUEUE | p, 1, (void *)-1l, w + 1, 0));
        SHOW(futex(w, FUTEX_CMP_REQUEUE | p, 1, (void *)1, w + 1, 5));
        SHOW(futex(w, FUTEX_CMP_REQUEUE | p, 1, (void *)1, w + 1, 7));
        SHOW(futex(w, FUTEX_WAKE_OP | p, 1, (void *)1, w + 1, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 6)));
        printf("second %u\n", w[1]);
        SHOW(futex(w, FUTEX_WAKE_OP | p, 1, (void *)1, w + 1, FUTEX_OP(FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_EQ, 6)));
        printf("second %u\n", w[1]);
        SHOW(futex(w, FUTEX_WAKE_OP | p, 1, (void *)1, w + 1, FUTEX_OP(FUTEX_OP_ANDN, 0x10, FUTEX_OP_CMP_LT, 6)));
        printf("second %u\n", w[1]);
        SHOW(futex(w, FUTEX_WAKE_OP | p, 1, (void *)1, w + 1, FUTEX_OP(7, 1, FUTEX_OP_CMP_LT, 6)));
        SHOW(futex(w, 77 | p, 1, NULL, NULL, 0));
        SHOW(futex(w, FUTEX_FD | p, 1, NULL, NULL, 0));
        w[1] = 6;
        w[2] = 0;
        SHOW(futex(w + 2, FUTEX_LOCK_PI | p, 0, NULL, NULL, 0));
        printf("owner is me %d\n", w[2] == getpid());
        SHOW(futex(w + 2, FUTEX_LOCK_PI | p, 0, NULL, NULL, 0));
        SHOW(futex(w + 2, FUTEX_TRYLOCK_PI | p, 0, NULL, NULL, 0));
        SHOW(futex(w + 2, FUTEX_UNLOCK_PI | p, 0, NULL, NULL, 0));
        printf("owner %u\n", w[2]);
        SHOW(futex(w + 2, FUTEX_UNLOCK_PI | p, 0, NULL, NULL, 0));
        SHOW(futex(w, FUTEX_WAIT_REQUEUE_PI | p, w[0] + 1, NULL, w + 2, 0));
        SHOW(futex(w, FUTEX_WAIT_REQUEUE_PI | p, w[0], &past, w + 2, 0));
        SHOW(futex(w, FUTEX_WAIT_REQUEUE_PI | p, w[0], &past, w, 0));
        w[2] = 0x3ffffff0;
        SHOW(futex(w + 2, FUTEX_LOCK_PI | p, 0, NULL, NULL, 0));
    }

    puts("-- threads");
    printf("set_tid_address gives the tid %d\n", syscall(SYS_set_tid_address, &words[3]) == getpid());
    RAW(set_robust_list, words, 23);
    RAW(set_robust_list, words, 24);
    void *head = NULL;
    size_t size = 0;
    RAW(get_robust_list, 0, &head, &size);
    printf("head %d size %zu\n", head == words, size);
    RAW(get_robust_list, 0, bad, &size);
    RAW(get_robust_list, 0x7ffffffe, &head, &size);

    puts("-- arch_prctl");
    unsigned long value = 0, before = 0;
    RAW(arch_prctl, ARCH_GET_FS, &before);
    RAW(arch_prctl, ARCH_SET_GS, 0x1234);
    RAW(arch_prctl, ARCH_GET_GS, &value);
    printf("gs %lx fs set %d\n", value, before != 0);
    RAW(arch_prctl, ARCH_SET_GS, 0x800000000000);
    RAW(arch_prctl, ARCH_GET_GS, bad);
    RAW(arch_prctl, 0x9999, 0);
    RAW(arch_prctl, ARCH_GET_CPUID, 0);

    puts("-- membarrier");
    printf("the ten commands %d\n", (int)(syscall(SYS_membarrier, 0, 0, 0) & 1023) == 1023);
    for (int again = 0; again < 2; again++)
        for (int bit = 0; bit < 10; bit++)
            label(syscall(SYS_membarrier, 1 << bit, 0, 0), "membarrier %d", 1 << bit);
    RAW(membarrier, 0, 1, 0);
    RAW(membarrier, 8, 1, 0);
    RAW(membarrier, 128, 1, 0);
    RAW(membarrier, 3, 0, 0);
    RAW(membarrier, -1, 0, 0);

    puts("-- rseq");
    static struct { uint32_t start, cpu; uint64_t cs; uint32_t flags, node, mm_cid, end; } area __attribute__((aligned(32)));
    RAW(rseq, &area, 32, 2, 0x53053053);
    RAW(rseq, (char *)&area + 4, 32, 0, 0x53053053);
    RAW(rseq, &area, 8, 0, 0x53053053);
    return 0;
}

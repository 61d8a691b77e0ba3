/* Faults: which signal, code and address, where the instruction pointer is, and going on after one. */
#include "show.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf back;
static char *base;

static void fault(int signo, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    printf("%s code %d", signal_name(signo), info->si_code);
    if (signo == SIGSEGV || signo == SIGBUS) {
        long off = (char *)info->si_addr - base;
        if (off > -65536 && off < 65536)
            printf(" addr base%+ld", off);
        else
            printf(" addr %p", info->si_addr);
    }
    if (signo == SIGILL || signo == SIGFPE)
        printf(" addr is rip %d", info->si_addr == (void *)r[REG_RIP]);
    printf(" trapno %lld err %llx rip bytes", r[REG_TRAPNO], r[REG_ERR]);
    if (signo != SIGSEGV || info->si_addr != (void *)r[REG_RIP])
        for (int i = 0; i < 2; i++)
            printf(" %02x", ((unsigned char *)r[REG_RIP])[i]);
    putchar('\n');
    siglongjmp(back, signo);
}

#define TRY_FAULT(what) \
    do { \
        printf("%s: ", #what); \
        if (!sigsetjmp(back, 1)) { \
            what; \
            puts("nothing"); \
        } \
    } while (0)

#define ASM(text) __asm__ volatile(text ::: "memory", "rax", "rcx", "rdx", "rbx", "cc")

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    for (int i = 0; i < 5; i++)
        sigaction(signals[i], &action, NULL);
    base = island(2);
    mprotect(base + PAGE, PAGE, PROT_READ);
    volatile int zero = 0;

    TRY_FAULT(*(volatile char *)0 = 1);
    TRY_FAULT(zero = *(volatile char *)8);
    TRY_FAULT(base[-1] = 1);
    TRY_FAULT(zero = ((volatile char *)base)[2 * PAGE]);
    TRY_FAULT(((volatile char *)base)[PAGE + 5] = 1);
    TRY_FAULT(*(volatile long *)(base + PAGE - 4) = 1);
    TRY_FAULT(zero = *(volatile long *)(base + 2 * PAGE - 4));
    TRY_FAULT(((void (*)(void))base)());
    TRY_FAULT(((void (*)(void))16)());
    TRY_FAULT(((void (*)(void))0)());
    TRY_FAULT(*(volatile char *)0x8000000000000000 = 1);
    TRY_FAULT(*(volatile char *)0xffffffff80000000 = 1);
    TRY_FAULT(ASM("xor %%ecx, %%ecx\n\tmov $1, %%eax\n\tcltd\n\tidiv %%ecx"));
    TRY_FAULT(ASM("mov $-1, %%ecx\n\tmov $0x80000000, %%eax\n\tcltd\n\tidiv %%ecx"));
    TRY_FAULT(ASM("ud2"));
    TRY_FAULT(ASM("int3"));
    TRY_FAULT(ASM("hlt"));
    TRY_FAULT(ASM("cli"));
    TRY_FAULT(ASM("mov %%cr0, %%rax"));
    TRY_FAULT(ASM("wrmsr"));
    TRY_FAULT(ASM("int $0x42"));
    TRY_FAULT(ASM("in $0x60, %%al"));
    TRY_FAULT(ASM("out %%al, $0x80"));
    TRY_FAULT(ASM(".byte 0x06"));

    int fd = memfd_create("short", 0);
    ftruncate(fd, 100);
    base = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRY_FAULT(base[50] = 1);
    TRY_FAULT(base[PAGE] = 1);
    TRY_FAULT(zero = ((volatile char *)base)[2 * PAGE + 7]);
    puts("-- the mask is what it was");
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    printf("SIGSEGV blocked %d\n", sigismember(&mask, SIGSEGV));
    return 0;
}

/* Handlers that leave their frame as it is, nest, or have the program go on in single steps; steps across calls that wait. */
#include "show.h"
#include <sys/syscall.h>
#include <ucontext.h>

extern char here[], begin[];
static volatile int traps, most;
static long at[64];
static int depth;

static void on_trap(int signo, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (traps < 64)
        at[traps] = r[REG_RIP];
    traps++;
    if (traps >= most)
        r[REG_EFL] &= ~0x100;
}

static void start_stepping(int signo, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= 0x100;
}

static void show_traps(const char *what, char *from)
{
    printf("%s:", what);
    for (int i = 0; i < traps && i < 64; i++)
        printf(" %ld", at[i] - (long)from);
    putchar('\n');
    traps = 0;
}

static uint64_t flags(void)
{
    uint64_t value;
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(value));
    return value;
}

static void flip_id(int signo)
{
    __asm__ volatile("pushfq\n\txorq $0x200000, (%%rsp)\n\tpopfq" ::: "cc", "memory");
}

static void nest(int signo)
{
    __asm__ volatile("pxor %%xmm7, %%xmm7\n\txorl %%ebx, %%ebx\n\tstc" ::: "xmm7", "rbx", "cc");
    if (depth++ < 5)
        raise(depth % 2 ? SIGUSR2 : SIGUSR1);
}

/* kill(getpid(), signo) with known values in registers that a signal must not touch. */
static void signalled(int signo)
{
    uint64_t rbx = 0x1111111111111111, r8 = 0x88, r12 = 0x1212121212121212, xmm[2] = {7, 77}, got[2];
    uint32_t carry;
    long result = SYS_kill;
    __asm__ volatile("movq %3, %%r8\n\tmovups %5, %%xmm7\n\tstc\n\tsyscall\n\tsetc %b1\n\tmovzbl %b1, %1\n\t"
                     "movups %%xmm7, %4\n\tmovq %%r8, %3"
                     : "+a"(result), "=&q"(carry), "+b"(rbx), "+m"(r8), "=m"(got)
                     : "m"(xmm), "D"((long)getpid()), "S"((long)signo)
                     : "rcx", "r11", "r8", "xmm7", "memory", "cc");
    printf("result %ld carry %u rbx %lx r8 %lx r12 %lx xmm7 %lx:%lx\n", result, carry, rbx, r8, r12, got[1], got[0]);
}

int main(void)
{
    struct sigaction a = {.sa_handler = nest, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGUSR2, &a, NULL);
    signalled(SIGUSR1);
    printf("handlers %d\n", depth);
    a.sa_flags = SA_NODEFER | SA_SIGINFO;
    sigaction(SIGUSR1, &a, NULL);
    depth = 0;
    signalled(SIGUSR1);
    printf("handlers %d\n", depth);
    a.sa_handler = flip_id;
    a.sa_flags = 0;
    sigaction(SIGUSR1, &a, NULL);
    int before = flags() >> 21 & 1;
    signalled(SIGUSR1);
    printf("ID changed %d\n", before != (int)(flags() >> 21 & 1));

    a.sa_sigaction = on_trap;
    a.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &a, NULL);
    a.sa_sigaction = start_stepping;
    sigaction(SIGUSR1, &a, NULL);
    most = 6;
    long result = SYS_kill;
    __asm__ volatile("syscall\nhere: nop\n\tnop\n\tmovl $39, %%eax\n\tsyscall\n\tnop\n\tnop\n\tnop"
                     : "+a"(result)
                     : "D"((long)getpid()), "S"((long)SIGUSR1)
                     : "rcx", "r11", "memory");
    show_traps("from a handler on", here);

    int fds[2];
    char byte;
    pipe(fds);
    if (!fork()) {
        for (int i = 0; i < 3; i++) {
            usleep(5000);
            write(fds[1], "x", 1);
        }
        _exit(0);
    }
    most = 64;
    for (int i = 0; i < 2; i++) {
        result = SYS_read;
        __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tsyscall\n\tnop\n\t"
                         "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tnop"
                         : "+a"(result)
                         : "D"((long)fds[0]), "S"(&byte), "d"(1L)
                         : "rcx", "r11", "memory", "cc");
        printf("read %ld %c\n", result, byte);
        show_traps("across a call that waits", (char *)at[0]);
    }
    SHOW(read(fds[0], &byte, 1));
    return 0;
}

/* What a handler finds in its frame, and what it can change: registers, flags, floating point, mask, stack. */
#include "show.h"
#include <ucontext.h>
#include <xmmintrin.h>

static ucontext_t *volatile last;
static volatile int step;
static uint64_t entry_sp, entry_flags;
static char altstack[65536];

struct fxsave {
    uint16_t cwd, swd, twd, fop;
    uint64_t rip, rdp;
    uint32_t mxcsr, mask;
    uint8_t st[8][16], xmm[16][16];
    uint8_t reserved[48];
    uint32_t magic1, extended_size;
    uint64_t features;
    uint32_t size;
    uint32_t pad[7];
};

static void inspect(int signo, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *r = uc->uc_mcontext.gregs;
    struct fxsave *fp = (void *)uc->uc_mcontext.fpregs;
    uint64_t sp = (uint64_t)__builtin_frame_address(0);
    uint32_t mxcsr = _mm_getcsr();
    uint16_t cw;
    uint64_t xmm[2];
    __asm__ volatile("fnstcw %0" : "=m"(cw));
    __asm__ volatile("movups %%xmm7, %0" : "=m"(xmm));
    printf("signal %d: rbx %llx r12 %llx r15 %llx\n", signo, r[REG_RBX], r[REG_R12], r[REG_R15]);
    printf("stack 16-aligned %d, siginfo and ucontext 8-aligned %d, fp 64-aligned %d\n", (sp & 15) == 0,
           ((uint64_t)info & 7) == 0 && ((uint64_t)uc & 7) == 0, ((uint64_t)fp & 63) == 0);
    printf("siginfo - ucontext %ld, above the handler's stack %d, red zone kept %d\n", (long)((char *)info - (char *)uc),
           (uint64_t)uc > sp, (uint64_t)fp + 512 <= r[REG_RSP] - 128 || (uint64_t)uc > r[REG_RSP]);
    printf("uc_flags %lx link %p cs %x trapno %llx err %llx cr2 %llx\n", uc->uc_flags & 6, (void *)uc->uc_link,
           (int)(r[REG_CSGSFS] & 0xffff), r[REG_TRAPNO], r[REG_ERR], r[REG_CR2]);
    printf("handler starts with mxcsr %x cw %x xmm7 %lx:%lx\n", mxcsr, cw, xmm[1], xmm[0]);
    printf("saved mxcsr %x cw %x\n", fp->mxcsr, fp->cwd);
    show_bytes("saved xmm7", fp->xmm[7], 16);
    show_bytes("saved st0", fp->st[0], 10);
    printf("magic %x, magic2 %d, features has x87 and SSE %d\n", fp->magic1,
           *(uint32_t *)((char *)fp + fp->size) == 0x46505845, (fp->features & 3) == 3);
    printf("DF saved %d\n", (int)(r[REG_EFL] >> 10 & 1));
    last = uc;
    switch (step) {
    case 1: // change registers and floating point
        r[REG_RBX] = 0x1111;
        r[REG_R12] = 0x2222;
        memset(fp->xmm[7], 0x5a, 16);
        fp->mxcsr = 0x1f80 | 0x6000;
        fp->st[0][9] ^= 0x80;
        r[REG_EFL] |= 1 | 1 << 12;
        break;
    case 2: // the mask
        sigaddset(&uc->uc_sigmask, SIGUSR2);
        break;
    }
    step++;
}

/* Send ourselves a signal with known register contents; what they are afterwards. */
static void run(int signo)
{
    uint64_t rbx, r12, r15, xmm[2], flags;
    uint32_t mxcsr;
    uint8_t st[10];
    __asm__ volatile(
        "push %%rbp\n\t"
        "sub $256, %%rsp\n\t"
        "mov $0xb0b0b0b0b0, %%rbx\n\t mov $0x1212121212, %%r12\n\t mov $0x1515151515, %%r15\n\t"
        "mov $0x0123456789abcdef, %%rax\n\t movq %%rax, %%xmm7\n\t pshufd $0x44, %%xmm7, %%xmm7\n\t"
        "fninit\n\t fldpi\n\t"
        "mov $39, %%eax\n\t syscall\n\t"
        "mov %%rax, %%rdi\n\t mov %[signo], %%rsi\n\t mov $62, %%eax\n\t"
        "std\n\t syscall\n\t"
        "pushfq\n\t pop %%r13\n\t cld\n\t"
        "add $256, %%rsp\n\t"
        "pop %%rbp\n\t"
        "fstpt %[st]\n\t movups %%xmm7, %[xmm]\n\t stmxcsr %[mxcsr]\n\t"
        "mov %%rbx, %%r14\n\t"
        : "=r"(flags), [st] "=m"(st), [xmm] "=m"(xmm), [mxcsr] "=m"(mxcsr)
        : [signo] "r"((long)signo)
        : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
    __asm__ volatile("mov %%r12, %0\n\t mov %%r13, %1\n\t mov %%r14, %2\n\t mov %%r15, %3" : "=r"(r12), "=r"(flags), "=r"(rbx), "=r"(r15));
    (void)flags;
    show_bytes("st0", st, 10);
    printf("xmm7 %lx:%lx mxcsr %x\n", xmm[1], xmm[0], mxcsr);
}

static void on_stack(int signo)
{
    char here;
    stack_t now;
    sigaltstack(NULL, &now);
    printf("signal %d: on the alternate stack %d, flags %x\n", signo, &here >= altstack && &here < altstack + sizeof altstack,
           now.ss_flags);
    if (signo == SIGUSR1) {
        stack_t other = {altstack, 0, 8192};
        SHOW(sigaltstack(&other, NULL));
        raise(SIGUSR2);
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = inspect, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 3; i++)
        run(SIGUSR1);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    printf("SIGUSR2 blocked through the frame: %d\n", sigismember(&mask, SIGUSR2));
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);

    puts("-- alternate stack");
    stack_t stack = {altstack, 0, sizeof altstack};
    SHOW(sigaltstack(&stack, NULL));
    signal(SIGTERM, on_stack);
    raise(SIGTERM);
    action = (struct sigaction){.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR1);
    sigaltstack(NULL, &stack);
    printf("afterwards flags %x size %zu\n", stack.ss_flags, stack.ss_size);
    puts("-- SS_AUTODISARM");
    stack = (stack_t){altstack, (int)(1u << 31), sizeof altstack};
    SHOW(sigaltstack(&stack, NULL));
    raise(SIGUSR2);
    sigaltstack(NULL, &stack);
    printf("afterwards flags %x size %zu\n", stack.ss_flags, stack.ss_size);
    return 0;
}

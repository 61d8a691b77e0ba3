// Processor faults: signal, si_code, si_addr and the RIP of the very instruction.
#include "show.h"
#include <ucontext.h>

extern char at_load[], at_store[], at_rmw[], at_cross[], at_sse[], at_string[], at_div[], at_idiv[],
    at_ud2[], at_invalid[], at_int3[], at_hlt[], at_cli[], at_in[], at_mov_cr[], at_rdmsr[], at_int4[],
    at_noncanonical[], at_bad_jump[], at_into_none[];

static siginfo_t info;
static greg_t rip, trap, err, cr2, rcx;
static void *resume;

static void handler(int signo, siginfo_t *si, void *context)
{
    ucontext_t *c = context;
    (void)signo;
    info = *si;
    rip = c->uc_mcontext.gregs[REG_RIP];
    trap = c->uc_mcontext.gregs[REG_TRAPNO];
    err = c->uc_mcontext.gregs[REG_ERR];
    cr2 = c->uc_mcontext.gregs[REG_CR2];
    rcx = c->uc_mcontext.gregs[REG_RCX];
    c->uc_mcontext.gregs[REG_RIP] = (greg_t)resume;
    c->uc_mcontext.gregs[REG_EFL] &= ~0x100;
}

static void report(const char *name, char *label_at, uintptr_t base)
{
    printf("%s: %s code %d", name, info.si_signo ? signal_name(info.si_signo) : "nothing", info.si_code);
    if (info.si_signo) {
        if (rip != (greg_t)base)
            printf(" rip %+ld", (long)(rip - (greg_t)label_at));
        printf(" trap %ld err %ld", (long)trap, (long)err & ~1);
        if (info.si_signo == SIGFPE || info.si_signo == SIGILL)
            printf(" addr rip %+ld", (long)((char *)info.si_addr - label_at));
        else
            printf(" addr %+ld", (long)((uintptr_t)info.si_addr - base));
        if (trap == 14)
            printf(" cr2 %+ld", (long)(cr2 - base));
    }
    printf("\n");
    info.si_signo = info.si_code = 0;
}

/* Run `code`; `name` labels the instruction that is expected to fault. */
#define FAULT(name, base, code, ...)                                                                 \
    do {                                                                                             \
        __asm__ volatile("lea 9f(%%rip), %%rax\n\tmov %%rax, %0\n\t" code "\n9:" : "=m"(resume)      \
                         : __VA_ARGS__ : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "memory", "cc");   \
        report(#name, at_##name, (uintptr_t)(base));                                                 \
    } while (0)

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (int i = 0; i < 5; i++)
        sigaction(signals[i], &action, NULL);
    char *p = island(2), *gone = p + 2 * PAGE, *readonly = island(1), *none = island(1);
    mprotect(readonly, PAGE, PROT_READ);
    mprotect(none, PAGE, PROT_NONE);

    FAULT(load, gone, "at_load: mov 16(%1), %%rcx", "r"(gone));
    FAULT(store, readonly, "at_store: movb $1, 77(%1)", "r"(readonly));
    FAULT(rmw, readonly, "at_rmw: incq 8(%1)", "r"(readonly));
    FAULT(cross, gone, "at_cross: mov -3(%1), %%rcx", "r"(gone));
    FAULT(sse, gone, "at_sse: movups -8(%1), %%xmm3", "r"(gone));
    FAULT(string, gone, "lea -24(%1), %%rsi; mov %2, %%rdi; mov $100, %%rcx; cld; at_string: rep movsb", "r"(gone), "r"(p));
    NOTE("left %ld", (long)rcx);
    FAULT(div, 0, "xor %%ecx, %%ecx; mov $7, %%eax; xor %%edx, %%edx; at_div: div %%ecx", "r"(p));
    FAULT(idiv, 0, "mov $0x80000000, %%eax; cltd; mov $-1, %%ecx; at_idiv: idiv %%ecx", "r"(p));
    FAULT(ud2, 0, "at_ud2: ud2", "r"(p));
    FAULT(invalid, 0, "at_invalid: .byte 0x06", "r"(p));
    FAULT(int3, 0, "at_int3: int3", "r"(p));
    FAULT(hlt, 0, "at_hlt: hlt", "r"(p));
    FAULT(cli, 0, "at_cli: cli", "r"(p));
    FAULT(in, 0, "at_in: inb $0x70, %%al", "r"(p));
    FAULT(mov_cr, 0, "at_mov_cr: mov %%cr0, %%rcx", "r"(p));
    FAULT(rdmsr, 0, "mov $0x10, %%ecx; at_rdmsr: rdmsr", "r"(p));
    FAULT(int4, 0, "at_int4: int $4", "r"(p));
    FAULT(noncanonical, 0, "mov $0x8000000000000000, %%rcx; at_noncanonical: mov (%%rcx), %%rdx", "r"(p));
    FAULT(bad_jump, gone, "mov %1, %%rcx; at_bad_jump: jmp *%%rcx", "r"(gone));
    NOTE("rip is the target: %d", rip == (greg_t)gone);
    FAULT(into_none, none, "mov %1, %%rcx; at_into_none: jmp *%%rcx", "r"(none));
    NOTE("rip is the target: %d", rip == (greg_t)none);
    return 0;
}

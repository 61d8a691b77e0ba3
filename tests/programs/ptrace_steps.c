/* ptrace(2): memory, registers, breakpoints, single steps, and signals on their way. */
#include "trace.h"

static void nothing(int signo) {}

static void start(pid_t pid)
{
    int status;
    waitpid(pid, &status, 0);
}

/* Instructions whose addresses are known. */
void code(void);
extern char at_mov[], at_call[], at_function[], at_syscall[], at_after[], at_pushf[], at_popf[], at_trap[], at_end[], at_rep[];
__asm__(".text\n"
        "code: at_mov: mov $5, %eax\n"
        "at_call: call at_function\n"
        "at_syscall_mov: mov $110, %eax\n"
        "at_syscall: syscall\n"
        "at_after: nop\n"
        "at_rep: mov $3, %ecx\n"
        "lea scratch(%rip), %rdi\n"
        "rep stosb\n"
        "at_pushf: pushf\n"
        "orq $0x100, (%rsp)\n"
        "at_popf: popf\n"
        "nop\n"
        "at_trap: nop\n"
        "pushf\n"
        "andq $~0x100, (%rsp)\n"
        "popf\n"
        "at_end: ret\n"
        "at_function: inc %ebx\n"
        "ret\n"
        ".data\nscratch: .space 16\n.text\n");

static void print_step(pid_t pid, int status)
{
    struct user_regs_struct regs = registers(pid);
    siginfo_t info = {0};
    trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
    long offset = (char *)regs.rip - at_mov;
    say_status(status);
    if (offset >= 0 && offset < 200)
        printf(" at %ld", offset);
    printf(" code %d addr %d orig %lld TF %d\n", info.si_code, info.si_addr == (void *)regs.rip, (long long)regs.orig_rax,
           !!(regs.eflags & 0x100));
}

static void steps(void)
{
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        struct sigaction action = {.sa_handler = nothing};
        sigaction(SIGTRAP, &action, NULL);
        code();
        _exit(0);
    }
    start(pid);
    struct user_regs_struct regs = registers(pid);
    long original = peek(pid, at_mov);
    SHOW(trace(PTRACE_POKETEXT, pid, (unsigned long)at_mov, (original & ~0xFFL) | 0xCC));
    SHOW((unsigned char)peek(pid, at_mov));
    SHOW((unsigned char)*at_mov == 0xCC);
    trace(PTRACE_CONT, pid, 0, 0);
    int status;
    waitpid(pid, &status, 0);
    print_step(pid, status);
    SHOW(trace(PTRACE_POKETEXT, pid, (unsigned long)at_mov, original));
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rip), (unsigned long)at_mov));
    for (int i = 0; i < 17; i++) {
        trace(PTRACE_SINGLESTEP, pid, 0, 0);
        waitpid(pid, &status, 0);
        print_step(pid, status);
    }
    GO(PTRACE_CONT, 0);
    for (;;) {
        waitpid(pid, &status, 0);
        if (!WIFSTOPPED(status))
            break;
        print_step(pid, status); /* the program's own trap flag */
        trace(PTRACE_CONT, pid, 0, SIGTRAP);
    }
    say_status(status);
    printf("\n");
}

static volatile int handled;
static void handler(int signo) { handled++; }

/* A step into a handler stops at its first instruction, and one out of it behind the call that returns. */
static void handlers(void)
{
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        struct sigaction action = {.sa_handler = handler};
        sigaction(SIGUSR1, &action, NULL);
        raise(SIGUSR1);
        _exit(handled);
    }
    start(pid);
    trace(PTRACE_CONT, pid, 0, 0);
    await(pid, "the signal");
    SHOW(trace(PTRACE_SINGLESTEP, pid, 0, SIGUSR1));
    await(pid, "a step with it");
    SHOW(registers(pid).rip == (unsigned long)handler);
    SHOW(trace(PTRACE_SINGLESTEP, pid, 0, 0));
    await(pid, "and one more");
    SHOW(registers(pid).rip > (unsigned long)handler && registers(pid).rip < (unsigned long)handler + 16);
    int status;
    struct user_regs_struct regs;
    do { /* to the call that returns from it, and over that */
        trace(PTRACE_SINGLESTEP, pid, 0, 0);
        waitpid(pid, &status, 0);
        regs = registers(pid);
    } while ((peek(pid, (void *)regs.rip) & 0xFFFF) != 0x050F);
    SHOW(regs.rax);
    trace(PTRACE_SINGLESTEP, pid, 0, 0);
    waitpid(pid, &status, 0);
    print_step(pid, status);
    SHOW(registers(pid).rip != regs.rip + 2);
    SHOW(trace(PTRACE_SINGLESTEP, pid, 0, SIGUSR2)); /* which kills */
    await(pid, "end");
}

/* Signals: shown, changed, withheld, replaced; what is pending and what is blocked. */
static void got(int signo, siginfo_t *info, void *context)
{
    char text[100];
    int length = snprintf(text, sizeof text, "  handler: %d code %d pid %d value %d\n", signo, info->si_code,
                          info->si_pid == getppid() ? 1 : info->si_pid == getpid() ? 2 : info->si_pid, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
    write(1, text, length);
}

static void signals(void)
{
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        struct sigaction action = {.sa_sigaction = got, .sa_flags = SA_SIGINFO};
        for (int signo = SIGUSR1; signo <= SIGTERM; signo++)
            sigaction(signo, &action, NULL);
        sigset_t block;
        sigemptyset(&block);
        sigaddset(&block, SIGTERM);
        sigaddset(&block, SIGRTMIN);
        sigprocmask(SIG_BLOCK, &block, NULL);
        for (int i = 0; i < 5; i++)
            kill(getpid(), SIGUSR1);
        raise(SIGTERM);
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 7});
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 8});
        raise(SIGUSR2);
        _exit(9);
    }
    start(pid);
    GO(PTRACE_CONT, 0);
    await(pid, "one is delivered");
    GO(PTRACE_CONT, SIGUSR1);
    await(pid, "one is withheld");
    GO(PTRACE_CONT, 0);
    await(pid, "one becomes another");
    GO(PTRACE_CONT, SIGALRM);
    await(pid, "one has another sender");
    siginfo_t info;
    trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
    SHOW(info.si_pid == pid);
    info.si_code = SI_QUEUE;
    info.si_pid = 12345;
    info.si_value.sival_int = 99;
    SHOW(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)&info));
    GO(PTRACE_CONT, SIGUSR1);
    await(pid, "one becomes one that is blocked");
    GO(PTRACE_CONT, SIGTERM);
    await(pid, "the last");
    uint64_t mask = 0;
    SHOW(trace(PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask));
    printf("blocked %#lx\n", mask);
    siginfo_t pending[4];
    memset(pending, 0, sizeof pending);
    struct __ptrace_peeksiginfo_args peeks[] = {{0, 0, 4}, {0, PTRACE_PEEKSIGINFO_SHARED, 4}, {1, 1, 4}, {0, 2, 1}, {0, 0, -1}, {5, 0, 1}};
    for (int i = 0; i < 6; i++) {
        long count = trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&peeks[i], (unsigned long)pending);
        printf("PEEKSIGINFO %d: %ld %s", i, count, count < 0 ? errno_name(errno) : "");
        for (int j = 0; j < count; j++)
            printf(" [signal %d code %d value %d]", pending[j].si_signo, pending[j].si_code,
                   pending[j].si_code == SI_QUEUE ? pending[j].si_int : 0);
        printf("\n");
    }
    SHOW(trace(PTRACE_GETSIGMASK, pid, 4, (unsigned long)&mask));
    mask = 1ULL << (SIGRTMIN - 1) | 1ULL << (SIGKILL - 1);
    SHOW(trace(PTRACE_SETSIGMASK, pid, 8, (unsigned long)&mask));
    mask = 0;
    SHOW(trace(PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask));
    printf("blocked %#lx\n", mask);
    GO(PTRACE_CONT, 0);
    await(pid, "unblocked");
    GO(PTRACE_CONT, SIGTERM);
    await(pid, "end");
}

/* Memory that the program itself may not read or write, and registers by words. */
static const char constant[] = "constant";
static int variable = 42;

static void memory(void)
{
    pid_t pid;
    char *closed = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(closed, "closed");
    mprotect(closed, PAGE, PROT_NONE);
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *gone = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone + PAGE, PAGE);
    TRACED(pid);
    if (!pid) {
        mprotect(closed, PAGE, PROT_READ);
        _exit((variable == 43) | !strcmp(constant, "Constant") << 1 | !strcmp(closed, "Closed") << 2);
    }
    start(pid);
    long word = peek(pid, (void *)constant);
    printf("%.8s\n", (char *)&word);
    word = word & ~0xFFL | 'C';
    SHOW(trace(PTRACE_POKEDATA, pid, (unsigned long)constant, word));
    word = peek(pid, closed);
    printf("%.8s\n", (char *)&word);
    SHOW(trace(PTRACE_POKEDATA, pid, (unsigned long)closed, word & ~0xFFL | 'C'));
    SHOW(trace(PTRACE_POKEDATA, pid, (unsigned long)&variable, peek(pid, &variable) + 1));
    TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)gone + PAGE, (unsigned long)&word));
    TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)gone + PAGE - 4, (unsigned long)&word));
    TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)gone + PAGE - 8, (unsigned long)&word));
    TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)gone, (unsigned long)gone + PAGE));
    TRY(trace(PTRACE_POKEDATA, pid, (unsigned long)gone + PAGE, 1));
    TRY(trace(PTRACE_POKEDATA, pid, (unsigned long)shared, 1));
    TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)shared, (unsigned long)&word));
    SHOW(trace(PTRACE_PEEKUSER, pid, 0, (unsigned long)&word));
    SHOW(word == registers(pid).r15);
    SHOW(trace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, cs), (unsigned long)&word));
    printf("cs %#lx\n", word);
    SHOW(trace(PTRACE_PEEKUSER, pid, sizeof(struct user) - 8, (unsigned long)&word));
    SHOW(trace(PTRACE_PEEKUSER, pid, sizeof(struct user), (unsigned long)&word));
    SHOW(trace(PTRACE_PEEKUSER, pid, 4, (unsigned long)&word));
    SHOW(trace(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg), (unsigned long)&word));
    printf("dr0 %#lx\n", word);
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 0));
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, cs), 0));
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, fs_base), ~0UL));
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, r14), 0x1234567890));
    SHOW(registers(pid).r14 == 0x1234567890);
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, eflags), 0xFFFFFFFF & ~0x100));
    printf("eflags %#llx\n", registers(pid).eflags);
    SHOW(trace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, eflags), 0x202));
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int fd = open(path, O_RDWR);
    char text[16] = "";
    SHOW(pread(fd, text, 8, (long)constant));
    printf("%s\n", text);
    SHOW(pwrite(fd, "constant", 8, (long)constant));
    SHOW(pwrite(fd, "C", 1, (long)constant));
    SHOW(pread(fd, text, 8, (long)closed));
    printf("%s\n", text);
    TRY(pwrite(fd, "x", 1, (long)shared));
    TRY(pread(fd, text, 8, (long)gone + PAGE));
    TRY(pread(fd, text, 8, (long)gone + PAGE - 3));
    trace(PTRACE_CONT, pid, 0, 0);
    await(pid, "end");
    TRY(pread(fd, text, 8, (long)constant));
    close(fd);
}

/* Registers by sets. */
static void regsets(void)
{
    pid_t pid;
    TRACED(pid);
    if (!pid) {
        double value = 1.5;
        __asm__ volatile("movsd %0, %%xmm7; fldpi; int3; movsd %%xmm7, %0; fstp %%st" : "+m"(value));
        _exit(value == 2.5 ? 1 : value == 1.5 ? 2 : 3);
    }
    start(pid);
    trace(PTRACE_CONT, pid, 0, 0);
    await(pid, "int3");
    struct user_regs_struct regs;
    struct iovec part = {&regs, sizeof regs};
    SHOW(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&part));
    printf("length %zu\n", part.iov_len);
    struct user_regs_struct again = registers(pid);
    SHOW(!memcmp(&regs, &again, sizeof regs));
    part.iov_len = 64;
    SHOW(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&part));
    printf("length %zu\n", part.iov_len);
    part.iov_len = 60;
    SHOW(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&part));
    part.iov_len = 8000;
    SHOW(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&part));
    printf("length %zu\n", part.iov_len);
    SHOW(trace(PTRACE_GETREGSET, pid, 0x9999, (unsigned long)&part));
    SHOW(trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, (unsigned long)&part));
    struct user_fpregs_struct floating, same;
    SHOW(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&floating));
    part = (struct iovec){&same, sizeof same};
    SHOW(trace(PTRACE_GETREGSET, pid, NT_PRFPREG, (unsigned long)&part));
    SHOW(!memcmp(&floating, &same, sizeof same));
    printf("control %#x status %#x tags %#x mxcsr %#x\n", floating.cwd, floating.swd, floating.ftw, floating.mxcsr);
    printf("st0 %08x %08x %08x\n", floating.st_space[0], floating.st_space[1], floating.st_space[2]);
    double value;
    memcpy(&value, (char *)floating.xmm_space + 7 * 16, 8);
    printf("xmm7 %g\n", value);
    value = 2.5;
    memcpy((char *)floating.xmm_space + 7 * 16, &value, 8);
    SHOW(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)&floating));
    static char area[16384], back[16384];
    part = (struct iovec){area, sizeof area};
    SHOW(trace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&part));
    size_t whole = part.iov_len;
    memcpy(&value, area + 160 + 7 * 16, 8);
    printf("xmm7 %g, at least %d, components %lu\n", value, whole >= 576, *(unsigned long *)(area + 512) & 3);
    SHOW(trace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&part));
    part = (struct iovec){back, sizeof back};
    SHOW(trace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&part));
    SHOW(part.iov_len == whole && !memcmp(area, back, whole));
    part = (struct iovec){area, 64};
    SHOW(trace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&part));
    floating.mxcsr = 0xFFFFFFFF;
    SHOW(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)&floating));
    struct { uint64_t address; uint32_t size, signature, flags, pad; } rseq;
    SHOW(trace(PTRACE_GET_RSEQ_CONFIGURATION, pid, sizeof rseq, (unsigned long)&rseq));
    SHOW(trace(PTRACE_GET_RSEQ_CONFIGURATION, pid, 8, (unsigned long)&rseq));
    printf("rseq %d %#x %u\n", !!rseq.address, rseq.signature, rseq.size);
    trace(PTRACE_CONT, pid, 0, 0);
    await(pid, "end");
}

int main(void)
{
    setbuf(stdout, NULL);
    steps();
    handlers();
    signals();
    memory();
    regsets();
    return 0;
}

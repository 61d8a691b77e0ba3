/* ptrace(2): the debug registers, for watchpoints and breakpoints. */
#include "trace.h"

#define DR(n) (offsetof(struct user, u_debugreg) + 8 * (n))
#define ENABLE(n, kind, length) (1UL << (2 * (n)) | (unsigned long)(kind) << (16 + 4 * (n)) | (unsigned long)(length) << (18 + 4 * (n)))
enum { EXECUTE, WRITE, IO, ACCESS };
enum { ONE, TWO, EIGHT, FOUR };

static volatile long variable;
static volatile char bytes[8];
static pid_t pid;

__attribute__((noinline)) static void function(int value)
{
    __asm__ volatile("" ::"r"(value));
}

static void handler(int signo)
{
    bytes[3]++;
}

static unsigned long reg(int n)
{
    unsigned long value = 0;
    if (trace(PTRACE_PEEKUSER, pid, DR(n), (unsigned long)&value) < 0)
        printf("PEEKUSER %s\n", errno_name(errno));
    return value;
}

static void go(const char *what, int request)
{
    GO(request, 0);
    int status = await(pid, what);
    if (!WIFSTOPPED(status))
        return;
    siginfo_t info;
    trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
    struct user_regs_struct regs = registers(pid);
    printf("  dr6 %#lx; variable %ld, bytes %d; address %d TF %d\n", reg(6), peek(pid, (void *)&variable),
           (char)(peek(pid, (void *)bytes) >> 24), info.si_addr == (void *)regs.rip, !!(regs.eflags & 0x100));
    trace(PTRACE_POKEUSER, pid, DR(6), 0);
}

int main(void)
{
    setbuf(stdout, NULL);
    int ends[2];
    pipe(ends);
    write(ends[1], "12345678", 8);
    TRACED(pid);
    if (!pid) {
        signal(SIGUSR1, handler);
        for (int i = 1; i < 3; i++) /* what writes the same again is not noticed under lxrun */
            variable += i;
        bytes[2] = 1;
        raise(SIGUSR1);
        function(1);
        variable = 50;
        long pushed;
        __asm__ volatile("pushf; pop %0; push %0; popf" : "=r"(pushed));
        read(ends[0], (void *)&variable, 8);
        variable = 60;
        function(2);
        _exit(9);
    }
    await(pid, "start");
    printf("%#lx %#lx %#lx\n", reg(0), reg(6), reg(7));
    TRY(trace(PTRACE_POKEUSER, pid, DR(0), (unsigned long)&variable));
    TRY(trace(PTRACE_POKEUSER, pid, DR(1), (unsigned long)&bytes[3]));
    TRY(trace(PTRACE_POKEUSER, pid, DR(2), (unsigned long)function));
    SHOW(trace(PTRACE_POKEUSER, pid, DR(3), ~0UL));
    SHOW(trace(PTRACE_POKEUSER, pid, DR(4), 1));
    SHOW(trace(PTRACE_POKEUSER, pid, DR(7), ENABLE(1, WRITE, FOUR)));
    SHOW(trace(PTRACE_POKEUSER, pid, DR(7), ENABLE(0, IO, FOUR)));
    SHOW(trace(PTRACE_POKEUSER, pid, DR(7), ENABLE(0, WRITE, EIGHT) | ENABLE(1, WRITE, ONE) | ENABLE(2, EXECUTE, ONE)));
    printf("%d %#lx\n", reg(0) == (unsigned long)&variable, reg(7));
    go("0 + 1", PTRACE_CONT);
    go("1 + 2", PTRACE_CONT);
    go("the signal", PTRACE_CONT);
    GO(PTRACE_CONT, SIGUSR1);
    await(pid, "the handler writes");
    go("the function", PTRACE_CONT);
    SHOW(registers(pid).rip == (unsigned long)function);
    go("a step", PTRACE_SINGLESTEP);
    go("50", PTRACE_CONT);
    go("60, and nothing of read", PTRACE_CONT);
    SHOW(trace(PTRACE_POKEUSER, pid, DR(7), 0));
    go("end", PTRACE_CONT);
    return 0;
}

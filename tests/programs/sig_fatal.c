/* Ends of a process: default actions, blocked and ignored faults, frames that cannot be built. */
// run: term
// run: kill
// run: abort
// run: usr1
// run: rt
// run: segv
// run: segv-blocked
// run: segv-ignored
// run: segv-in-handler
// run: fpe
// run: stack
// run: badstack
// run: smallstack
// run: badreturn
// run: badfp
// run: norestorer
// run: pipe
// run: alarm
// run: ignored
// run: sigreturn-nowhere
#include "show.h"
#include <ucontext.h>

static char small[2048 + 4096];

static void handler(int signo)
{
    printf("handler for %d\n", signo);
    fflush(stdout);
}

static void again(int signo)
{
    handler(signo);
    *(volatile int *)0 = 0;
}

static void move_ip(int signo, siginfo_t *info, void *context)
{
    handler(signo);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = 0x10;
}

static void bad_fp(int signo, siginfo_t *info, void *context)
{
    handler(signo);
    ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr = 0xffffffff;
}

static int recurse(int n)
{
    volatile char room[4096];
    room[0] = n;
    return n ? recurse(n + 1) + room[0] : 0;
}

int main(int argc, char **argv)
{
    const char *how = argv[1];
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("%s\n", how);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    sigset_t segv;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    if (!strcmp(how, "term")) raise(SIGTERM);
    else if (!strcmp(how, "kill")) kill(getpid(), SIGKILL);
    else if (!strcmp(how, "abort")) abort();
    else if (!strcmp(how, "usr1")) raise(SIGUSR1);
    else if (!strcmp(how, "rt")) raise(SIGRTMIN);
    else if (!strcmp(how, "segv")) *(volatile int *)0 = 0;
    else if (!strcmp(how, "segv-blocked")) {
        signal(SIGSEGV, handler);
        sigprocmask(SIG_BLOCK, &segv, NULL);
        *(volatile int *)0 = 0;
    } else if (!strcmp(how, "segv-ignored")) {
        signal(SIGSEGV, SIG_IGN);
        raise(SIGSEGV);
        puts("ignored when sent");
        *(volatile int *)0 = 0;
    } else if (!strcmp(how, "segv-in-handler")) {
        signal(SIGSEGV, again);
        *(volatile int *)0 = 0;
    } else if (!strcmp(how, "fpe")) {
        __asm__ volatile("xor %%ecx, %%ecx\n\tmov $1, %%eax\n\tcltd\n\tidiv %%ecx" ::: "eax", "ecx", "edx");
    } else if (!strcmp(how, "stack")) {
        signal(SIGSEGV, handler);
        recurse(1);
    } else if (!strcmp(how, "badstack")) {
        signal(SIGUSR1, handler);
        __asm__ volatile("mov $39, %%eax\n\tsyscall\n\tmov %%eax, %%edi\n\tmov $10, %%esi\n\tmov $62, %%eax\n\tmov $64, %%rsp\n\tsyscall" ::: "memory");
    } else if (!strcmp(how, "smallstack")) {
        stack_t stack = {small, 0, 2048};
        printf("sigaltstack %d\n", sigaltstack(&stack, NULL));
        struct sigaction action = {.sa_handler = again, .sa_flags = SA_ONSTACK};
        sigaction(SIGUSR1, &action, NULL);
        sigaction(SIGSEGV, &action, NULL);
        // The alternate stack is entered just above its lower end.
        __asm__ volatile("mov $39, %%eax\n\tsyscall\n\tmov %%eax, %%edi\n\tmov $10, %%esi\n\tmov $62, %%eax\n\tmov %0, %%rsp\n\tsyscall" :: "r"(small + 200) : "memory");
    } else if (!strcmp(how, "badreturn")) {
        struct sigaction action = {.sa_sigaction = move_ip, .sa_flags = SA_SIGINFO};
        sigaction(SIGUSR1, &action, NULL);
        raise(SIGUSR1);
    } else if (!strcmp(how, "badfp")) {
        struct sigaction action = {.sa_sigaction = bad_fp, .sa_flags = SA_SIGINFO};
        sigaction(SIGUSR1, &action, NULL);
        raise(SIGUSR1);
    } else if (!strcmp(how, "norestorer")) {
        struct { unsigned long handler, flags, restorer, mask; } action = {(unsigned long)handler, 0, 0, 0};
        syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
        raise(SIGUSR1);
    } else if (!strcmp(how, "pipe")) {
        int p[2];
        pipe(p);
        close(p[0]);
        write(p[1], "x", 1);
    } else if (!strcmp(how, "alarm")) {
        struct itimerval soon = {{0, 0}, {0, 20000}};
        setitimer(ITIMER_REAL, &soon, NULL);
        for (;;) ;
    } else if (!strcmp(how, "ignored")) {
        int harmless[] = {SIGCHLD, SIGCONT, SIGWINCH, SIGURG};
        for (int i = 0; i < 4; i++)
            raise(harmless[i]);
        puts("still here");
        raise(SIGSYS);
    } else if (!strcmp(how, "sigreturn-nowhere"))
        __asm__ volatile("mov $8, %%rsp\n\tmov $15, %%eax\n\tsyscall" ::: "memory");
    puts("not reached");
    return 1;
}

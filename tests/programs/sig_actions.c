/* Dispositions: sigaction and its flags, order of delivery, masks, what siginfo says. */
#include "show.h"
#include <ucontext.h>

static int depth, nested;
static volatile int seen;

static void say(int signo, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uint64_t mask;
    memcpy(&mask, &uc->uc_sigmask, 8);
    printf("%*ssignal %d code %d errno %d", 2 * depth, "", signo, info->si_code, info->si_errno);
    if (info->si_code == SI_USER || info->si_code == SI_TKILL)
        printf(" pid %s uid %s", info->si_pid == getpid() ? "mine" : "other", info->si_uid == getuid() ? "mine" : "other");
    if (info->si_code == SI_QUEUE)
        printf(" pid %s value %d", info->si_pid == getpid() ? "mine" : "other", info->si_value.sival_int);
    sigset_t now;
    uint64_t current;
    sigprocmask(SIG_BLOCK, NULL, &now);
    memcpy(&current, &now, 8);
    printf(" interrupted mask %lx, mask now %lx\n", (unsigned long)mask, (unsigned long)current);
    seen++;
}

static void nest(int signo, siginfo_t *info, void *context)
{
    say(signo, info, context);
    if (nested < 3) {
        nested++;
        depth++;
        raise(signo);
        depth--;
        printf("%*safter raise\n", 2 * depth, "");
    }
}

static void handle(int signo, void (*handler)(int, siginfo_t *, void *), int flags, uint64_t mask)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    memcpy(&action.sa_mask, &mask, 8);
    if (sigaction(signo, &action, NULL))
        die("sigaction");
}

struct kernel_action {
    unsigned long handler, flags, restorer, mask;
};

static long raw_action(int signo, struct kernel_action *new, struct kernel_action *old, size_t size)
{
    return syscall(SYS_rt_sigaction, signo, new, old, size);
}

#define BIT(n) (1ul << ((n) - 1))

int main(void)
{
    struct kernel_action k = {1, 0, 0, 0}, got;

    puts("-- errors");
    SHOW(raw_action(0, &k, NULL, 8));
    SHOW(raw_action(65, &k, NULL, 8));
    SHOW(raw_action(-1, NULL, &got, 8));
    SHOW(raw_action(SIGKILL, &k, NULL, 8));
    SHOW(raw_action(SIGSTOP, &k, NULL, 8));
    SHOW(raw_action(SIGKILL, NULL, &got, 8));
    SHOW(raw_action(SIGUSR1, &k, NULL, 4));
    SHOW(raw_action(SIGUSR1, (void *)1, NULL, 8));
    SHOW(raw_action(SIGUSR1, &k, (void *)1, 8));
    SHOW(raw_action(SIGUSR1, NULL, &got, 8));
    printf("handler %lx: the new action was set before EFAULT\n", got.handler);

    puts("-- flag bits that are kept");
    k = (struct kernel_action){1, ~0ul, 0x1234, ~0ul};
    SHOW(raw_action(SIGUSR1, &k, NULL, 8));
    SHOW(raw_action(SIGUSR1, NULL, &got, 8));
    printf("flags %lx restorer %lx mask %lx\n", got.flags, got.restorer, got.mask);
    k = (struct kernel_action){0, 0x400 | 0x800, 0, 0};
    raw_action(SIGUSR1, &k, NULL, 8);
    raw_action(SIGUSR1, NULL, &got, 8);
    printf("SA_UNSUPPORTED | SA_EXPOSE_TAGBITS reads back as %lx\n", got.flags);

    puts("-- sources");
    handle(SIGUSR1, say, 0, 0);
    handle(SIGRTMIN + 1, say, 0, 0);
    SHOW(kill(getpid(), SIGUSR1));
    SHOW(raise(SIGUSR1));
    SHOW(syscall(SYS_tkill, getpid(), SIGUSR1));
    SHOW(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 41}));
    SHOW(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 42}));
    SHOW(kill(0, 0));
    SHOW(kill(getpid(), 0));

    puts("-- masks while a handler runs");
    handle(SIGUSR1, say, 0, BIT(SIGUSR2) | BIT(SIGTERM) | BIT(SIGKILL));
    raise(SIGUSR1);
    handle(SIGUSR1, say, SA_NODEFER, 0);
    raise(SIGUSR1);
    puts("-- SA_NODEFER nests");
    handle(SIGUSR1, nest, SA_NODEFER, 0);
    raise(SIGUSR1);
    puts("-- without it, the signal waits");
    nested = 0;
    handle(SIGUSR1, nest, 0, 0);
    raise(SIGUSR1);

    puts("-- SA_RESETHAND");
    handle(SIGCHLD, say, SA_RESETHAND, 0);
    raise(SIGCHLD);
    raise(SIGCHLD);
    raw_action(SIGCHLD, NULL, &got, 8);
    printf("handler %lx flags %lx\n", got.handler, got.flags & ~0x04000000ul);

    puts("-- order: standard signals once, lowest first; real-time signals queue");
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int list[] = {SIGRTMIN + 2, SIGUSR2, SIGRTMIN + 1, SIGUSR1, SIGRTMIN + 2, SIGUSR2, SIGHUP, SIGRTMIN + 1};
    for (int i = 0; i < 8; i++)
        handle(list[i], say, 0, ~0ul);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 8; i++)
        sigqueue(getpid(), list[i], (union sigval){.sival_int = i});
    sigset_t pending;
    sigpending(&pending);
    uint64_t word;
    memcpy(&word, &pending, 8);
    printf("pending %lx\n", (unsigned long)word);
    sigprocmask(SIG_SETMASK, &none, NULL);

    puts("-- a thread's own signals come before the process's");
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigqueue(getpid(), SIGHUP, (union sigval){.sival_int = 1});
    raise(SIGUSR2);
    raise(SIGUSR1);
    sigprocmask(SIG_SETMASK, &none, NULL);
    puts("-- stacked frames: the last one built runs first");
    int flags[] = {SIGHUP, SIGUSR1, SIGUSR2};
    for (int i = 0; i < 3; i++)
        handle(flags[i], say, 0, 0);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 3; i++)
        raise(flags[i]);
    sigprocmask(SIG_SETMASK, &none, NULL);

    puts("-- ignored signals are not kept; blocked ones are, until ignored");
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    sigprocmask(SIG_BLOCK, &all, NULL);
    raise(SIGUSR1);
    sigpending(&pending);
    printf("pending %d\n", sigismember(&pending, SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    sigpending(&pending);
    printf("pending after SIG_IGN %d\n", sigismember(&pending, SIGUSR1));
    raise(SIGCHLD);
    sigpending(&pending);
    printf("pending SIGCHLD %d\n", sigismember(&pending, SIGCHLD));
    signal(SIGCHLD, SIG_DFL);
    sigpending(&pending);
    printf("pending SIGCHLD after SIG_DFL %d\n", sigismember(&pending, SIGCHLD));
    puts("-- SIGCONT and the stop signals cancel each other");
    raise(SIGTSTP);
    raise(SIGCONT);
    sigpending(&pending);
    printf("pending TSTP %d CONT %d\n", sigismember(&pending, SIGTSTP), sigismember(&pending, SIGCONT));
    raise(SIGTTIN);
    sigpending(&pending);
    printf("pending TTIN %d CONT %d\n", sigismember(&pending, SIGTTIN), sigismember(&pending, SIGCONT));
    signal(SIGTTIN, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
    printf("handlers ran %d times\n", seen);
    return 0;
}

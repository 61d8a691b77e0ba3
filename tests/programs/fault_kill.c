// Deaths by signal, and how they look from outside.
// run: load
// run: store
// run: jump
// run: ud2
// run: div
// run: int3
// run: bus
// run: abort
// run: kill
// run: term
// run: user
// run: pipe
// run: stack
// run: xfsz
// run: blocked
// run: ignored
// run: realtime
#include "show.h"

static int deeper(int n)
{
    volatile char big[10000];
    big[0] = n;
    return n < 0 ? 0 : deeper(n + 1) + big[0];
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IONBF, 0);
    NOTE("before %s", what);
    struct rlimit core = {0, 0};
    setrlimit(RLIMIT_CORE, &core);
    if (!strcmp(what, "load"))
        *(volatile int *)16;
    if (!strcmp(what, "store"))
        *(volatile int *)16 = 1;
    if (!strcmp(what, "jump"))
        ((void (*)(void))16)();
    if (!strcmp(what, "ud2"))
        __asm__ volatile("ud2");
    if (!strcmp(what, "div"))
        __asm__ volatile("xor %%ecx, %%ecx\n div %%ecx" ::: "eax", "ecx", "edx");
    if (!strcmp(what, "int3"))
        __asm__ volatile("int3");
    if (!strcmp(what, "bus")) {
        int fd = open("empty", O_RDWR | O_CREAT, 0644);
        *(volatile int *)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    }
    if (!strcmp(what, "abort"))
        abort();
    if (!strcmp(what, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(what, "term"))
        raise(SIGTERM);
    if (!strcmp(what, "user"))
        kill(getpid(), SIGUSR1);
    if (!strcmp(what, "realtime"))
        kill(getpid(), SIGRTMIN + 3);
    if (!strcmp(what, "pipe")) {
        int p[2];
        pipe(p);
        close(p[0]);
        write(p[1], "x", 1);
    }
    if (!strcmp(what, "stack"))
        deeper(0);
    if (!strcmp(what, "xfsz")) {
        struct rlimit limit = {10, 10};
        setrlimit(RLIMIT_FSIZE, &limit);
        int fd = open("file", O_RDWR | O_CREAT, 0644);
        write(fd, "0123456789", 10);
        write(fd, "x", 1);
    }
    if (!strcmp(what, "blocked")) {
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, NULL);
        *(volatile int *)16;
    }
    if (!strcmp(what, "ignored")) {
        signal(SIGSEGV, SIG_IGN);
        *(volatile int *)16;
    }
    NOTE("after");
    return 0;
}

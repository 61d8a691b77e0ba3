// Stack growth down to the limit, its guard gap, MAP_GROWSDOWN.
#include "probe.h"

static char *top;

static long reach(long distance)
{
    return probe_write(top - distance, 1);
}

static int recurse(int depth)
{
    volatile char frame[3000];
    frame[0] = depth;
    return depth ? recurse(depth - 1) + (frame[0] == (char)depth) : 0;
}

int main(void)
{
    stack_t alternate = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct sigaction action = {.sa_sigaction = probe_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    char here;
    top = &here;
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    NOTE("recursion %d", recurse(1000));
    NOTE("1 MiB below %ld", reach(1 << 20));
    NOTE("4 MiB below %ld", reach(4 << 20));
    if (limit.rlim_cur != RLIM_INFINITY) {
        NOTE("just inside %ld", reach((long)limit.rlim_cur - (1 << 18)));
        NOTE("beyond the limit %ld", reach((long)limit.rlim_cur + (1 << 18)));
    }
    NOTE("far beyond %ld", reach(1L << 30));
    limit.rlim_cur = 12 << 20;
    SHOW(setrlimit(RLIMIT_STACK, &limit));
    NOTE("10 MiB below after raising it %ld", reach(10 << 20));
    limit.rlim_cur = 4 << 20;
    SHOW(setrlimit(RLIMIT_STACK, &limit));
    NOTE("what is there stays %ld", reach(9 << 20));
    NOTE("syscall into the stack: %ld", (long)syscall(SYS_getcwd, top - (3 << 20), 4096) > 0);

    char *area = mmap(NULL, 1 << 22, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(area, 1 << 22);
    char *g = mmap(area + (1 << 21), PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    NOTE("grows down %d", g != MAP_FAILED);
    NOTE("one page below %d", probe_write(g - 1, 1));
    NOTE("100 pages below %d", probe_write(g - 100 * PAGE, 1));
    NOTE("in between %d", probe_read(g - 50 * PAGE));
    SHOW(mprotect(g, PAGE, PROT_READ | PROT_GROWSDOWN));
    probe("read-only down there", g - 20 * PAGE);
    char *below = mmap(g - 400 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    NOTE("neighbour %d", below != MAP_FAILED);
    SHOW(mprotect(g, PAGE, PROT_READ | PROT_WRITE | PROT_GROWSDOWN));
    NOTE("outside the gap %d", probe_write(g - 140 * PAGE, 1));
    NOTE("inside the gap of 256 pages %d", probe_write(g - 300 * PAGE, 1));
    NOTE("beside the neighbour %d", probe_write(g - 399 * PAGE, 1));
    char *guard = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    mprotect(guard, PAGE, PROT_NONE);
    NOTE("above the guard %d", probe_write(guard + PAGE, 1));
    probe("guard page", guard + PAGE - 1);
    return 0;
}

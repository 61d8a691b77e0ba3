// brk(2), and the heap's edges.
#include "probe.h"

int main(void)
{
    probe_start();
    char *start = (char *)syscall(SYS_brk, 0);
    NOTE("aligned %d", ((uintptr_t)start & 4095) == 0);
    char *page = (char *)(((uintptr_t)start + 4095) & ~4095ul);
    SHOW(syscall(SYS_brk, page + 3 * PAGE + 5) - (long)page);
    probe("first", page);
    probe("last", page + 3 * PAGE + 4);
    probe("same page as the break", page + 3 * PAGE + 100);
    probe("beyond", page + 4 * PAGE);
    page[PAGE] = 'k';
    SHOW(syscall(SYS_brk, page + PAGE + 1) - (long)page);
    NOTE("kept %c", page[PAGE]);
    probe("gone", page + 2 * PAGE);
    SHOW(syscall(SYS_brk, page + 3 * PAGE) - (long)page);
    NOTE("zero again %d", page[2 * PAGE]);
    SHOW(syscall(SYS_brk, 1) - (long)page);
    SHOW(syscall(SYS_brk, -1L) - (long)page);
    SHOW(syscall(SYS_brk, 1L << 46) - (long)page);
    mmap(page + 8 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    SHOW(syscall(SYS_brk, page + 7 * PAGE) - (long)page);
    SHOW(syscall(SYS_brk, page + 12 * PAGE) - (long)page);
    munmap(page + 4 * PAGE, PAGE);
    probe("hole in the heap", page + 4 * PAGE);
    SHOW(syscall(SYS_brk, page + 2 * PAGE) - (long)page);
    SHOW(syscall(SYS_brk, page) - (long)page);
    struct rlimit limit = {1 << 20, RLIM_INFINITY};
    SHOW(setrlimit(RLIMIT_DATA, &limit));
    SHOW(syscall(SYS_brk, page + (1 << 22)) == (long)page);
    SHOW(mmap(NULL, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(NULL, 1 << 22, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    limit.rlim_cur = RLIM_INFINITY;
    SHOW(setrlimit(RLIMIT_DATA, &limit));
    limit.rlim_cur = 64 << 20;
    SHOW(setrlimit(RLIMIT_AS, &limit));
    SHOW(mmap(NULL, 128 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(malloc(256 << 20) == NULL);
    return 0;
}

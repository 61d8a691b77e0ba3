// mprotect, and what each protection lets through.
#include "probe.h"

static char *p;

/* Whether a return instruction at `at` can be executed. */
static void execute(const char *name, char *at)
{
    if (sigsetjmp(probe_back, 1)) {
        NOTE("%s: %s code %d at %+ld", name, signal_name(probe_info.si_signo), probe_info.si_code,
             (long)((char *)probe_info.si_addr - at));
        return;
    }
    ((void (*)(void))at)();
    NOTE("%s: returned", name);
}

int main(void)
{
    probe_start();
    p = island(5);
    memset(p, 0xc3, 5 * PAGE);
    for (int prot = 0; prot < 8; prot++) {
        char name[32];
        label(mprotect(p + PAGE, 2 * PAGE, prot), "mprotect %d", prot);
        snprintf(name, sizeof name, "prot %d", prot);
        probe(name, p + PAGE + 17);
        execute(name, p + 2 * PAGE);
    }
    probe("before", p);
    probe("after", p + 3 * PAGE);
    SHOW(mprotect(p + 1, PAGE, PROT_READ));
    SHOW(mprotect(p, 1, PROT_READ));
    SHOW(mprotect(p, 0, PROT_READ));
    SHOW(mprotect(p, -1, PROT_READ));
    SHOW(mprotect(p, PAGE, 0x10000));
    SHOW(mprotect(p, PAGE, 8));
    SHOW(mprotect(p, PAGE, PROT_GROWSDOWN));
    SHOW(mprotect(p, PAGE, PROT_GROWSDOWN | PROT_GROWSUP));
    SHOW(mprotect((void *)0x10000, PAGE, PROT_READ));
    SHOW(mprotect(p + 3 * PAGE, 5 * PAGE, PROT_READ));
    probe("changed before the gap", p + 4 * PAGE);
    mprotect(p, 5 * PAGE, PROT_READ | PROT_WRITE);
    munmap(p + 2 * PAGE, PAGE);
    SHOW(mprotect(p, 5 * PAGE, PROT_READ));
    probe("page 0", p);
    probe("page 1", p + PAGE);
    probe("page 3", p + 3 * PAGE);
    int fd = open("file", O_RDWR | O_CREAT, 0644), ro = open("file", O_RDONLY);
    ftruncate(fd, PAGE);
    char *s = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    SHOW(mprotect(s, PAGE, PROT_READ | PROT_WRITE));
    char *c = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0);
    SHOW(mprotect(c, PAGE, PROT_READ | PROT_WRITE));
    probe("private of a read-only file", c);
    execute("not executable", c);
    pwrite(fd, "\xc3", 1, 0);
    char *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, ro, 0);
    execute("mapped code", x);
    execute("null", NULL);
    execute("odd", (char *)0x12345);
    return 0;
}

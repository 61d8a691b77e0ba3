// mremap(2).
#include "probe.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static char *fresh(int pages)
{
    char *p = island(pages);
    for (int i = 0; i < pages; i++)
        memset(p + i * PAGE, 'a' + i, PAGE);
    return p;
}

static void sum(const char *name, char *p, int pages)
{
    printf("%s:", name);
    for (int i = 0; i < pages; i++) {
        int got = probe_read(p + i * PAGE);
        if (got < 0)
            printf(" %s", signal_name(-got));
        else
            printf(" %02x", got);
    }
    printf("\n");
}

int main(void)
{
    probe_start();
    char *p = fresh(4), *q;
    SHOW(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
    sum("shrunk", p, 4);
    SHOW(mremap(p, 2 * PAGE, 4 * PAGE, 0) == p);
    sum("grown", p, 4);
    mmap(p + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    SHOW(mremap(p, 4 * PAGE, 6 * PAGE, 0));
    q = mremap(p, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
    NOTE("moved %d", q != p && q != MAP_FAILED);
    sum("old", p, 4);
    sum("new", q, 6);
    p = fresh(4);
    q = fresh(6);
    SHOW(mremap(p, 4 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + PAGE) == q + PAGE);
    sum("old", p, 4);
    sum("target", q, 6);
    p = fresh(4);
    SHOW(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_FIXED, q));
    SHOW(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, q + 1));
    SHOW(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + PAGE));
    SHOW(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, (void *)0x7ffffffff000));
    SHOW(mremap(p + 1, PAGE, PAGE, 0));
    SHOW(mremap(p, PAGE, 0, 0));
    SHOW(mremap(p, 0, PAGE, MREMAP_MAYMOVE));
    SHOW(mremap(p, PAGE, PAGE, 0x100));
    SHOW(mremap((void *)0x10000, PAGE, PAGE, 0));
    SHOW(mremap((void *)0x10000, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    SHOW(mremap(p, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE));
    SHOW(mremap(p, PAGE, -1, MREMAP_MAYMOVE));
    SHOW(mremap(p, 1L << 46, 1L << 47, MREMAP_MAYMOVE));
    SHOW(mremap(p, 4 * PAGE, 4 * PAGE, 0) == p);
    SHOW(mremap(p, 4 * PAGE - 5, 4 * PAGE - 7, 0) == p);
    sum("same", p, 4);
    q = mremap(p + PAGE, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    NOTE("middle moved %d", q != MAP_FAILED);
    sum("old", p, 4);
    sum("new", q, 3);
    p = fresh(4);
    mprotect(p + PAGE, PAGE, PROT_READ);
    SHOW(mremap(p, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE));
    SHOW(mremap(p, 4 * PAGE, PAGE, 0) == p);
    sum("cut", p, 4);
    p = fresh(2);
    q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    NOTE("left mapped %d", q != MAP_FAILED && q != p);
    sum("old", p, 2);
    sum("new", q, 2);
    SHOW(mremap(p, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
    SHOW(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_DONTUNMAP, 0));
    char *s = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(s, "shared");
    char *twin = mremap(s, 0, 2 * PAGE, MREMAP_MAYMOVE);
    NOTE("twin %s", twin == MAP_FAILED ? errno_name(errno) : twin);
    if (twin != MAP_FAILED) {
        strcpy(twin + 10, "back");
        NOTE("%s", s + 10);
    }
    s = mremap(s, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
    sum("shared beyond its size", s, 4);
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    for (int i = 0; i < 4; i++) {
        memset(p, '0' + i, PAGE);
        write(fd, p, PAGE);
    }
    char *f = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    f = mremap(f, PAGE, 5 * PAGE, MREMAP_MAYMOVE);
    sum("file grown", f, 5);
    char *far = mremap(f + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, island(1));
    sum("file page moved", far, 1);
    pwrite(fd, "!", 1, 2 * PAGE);
    sum("file page follows", far, 1);
    return 0;
}

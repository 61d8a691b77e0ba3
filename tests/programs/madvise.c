// madvise, mincore, mlock, msync.
#include "probe.h"
#include <sys/wait.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static void resident(const char *name, char *p, int pages)
{
    unsigned char vec[16];
    memset(vec, 0xaa, sizeof vec);
    if (mincore(p, pages * PAGE, vec) < 0) {
        NOTE("%s: mincore %s", name, errno_name(errno));
        return;
    }
    printf("%s: resident", name);
    for (int i = 0; i < pages; i++)
        printf(" %d", vec[i] & 1);
    printf("\n");
}

int main(void)
{
    probe_start();
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    char *p = island(4);
    memset(p, 'x', 4 * PAGE);
    write(fd, p, 4 * PAGE);
    SHOW(madvise(p + PAGE, PAGE, MADV_DONTNEED));
    NOTE("%d %d %d", p[0], p[PAGE], p[2 * PAGE]);
    SHOW(madvise(p, 2 * PAGE, MADV_WILLNEED));
    SHOW(madvise(p, 4 * PAGE, MADV_FREE));
    p[0] = 'y';
    NOTE("%d", p[0]);
    SHOW(madvise(p, PAGE, MADV_NORMAL));
    SHOW(madvise(p, PAGE, MADV_SEQUENTIAL));
    SHOW(madvise(p, PAGE, MADV_RANDOM));
    SHOW(madvise(p, PAGE, MADV_DONTFORK));
    SHOW(madvise(p, PAGE, MADV_DOFORK));
    SHOW(madvise(p, PAGE, MADV_DONTDUMP));
    SHOW(madvise(p, PAGE, MADV_DODUMP));
    SHOW(madvise(p, PAGE, MADV_WIPEONFORK));
    SHOW(madvise(p, PAGE, MADV_KEEPONFORK));
    SHOW(madvise(p, PAGE, MADV_COLD));
    SHOW(madvise(p, PAGE, MADV_PAGEOUT));
    SHOW(madvise(p, PAGE, MADV_POPULATE_READ));
    SHOW(madvise(p, PAGE, MADV_POPULATE_WRITE));
    SHOW(madvise(p, PAGE, MADV_REMOVE));
    SHOW(madvise(p, PAGE, 999));
    SHOW(madvise(p + 1, PAGE, MADV_NORMAL));
    SHOW(madvise(p, 0, MADV_NORMAL));
    SHOW(madvise(p, 0, 999));
    SHOW(madvise(p, 1, MADV_DONTNEED));
    NOTE("%d", p[0]);
    SHOW(madvise(p, -1, MADV_NORMAL));
    SHOW(madvise(p, 5 * PAGE, MADV_DONTNEED));
    SHOW(madvise(p - PAGE, 2 * PAGE, MADV_DONTNEED));
    SHOW(madvise((void *)0x10000, PAGE, MADV_DONTNEED));
    memset(p, 'z', 4 * PAGE);
    SHOW(madvise(p - PAGE, 3 * PAGE, MADV_DONTNEED));
    NOTE("%d %d %d", p[0], p[PAGE], p[2 * PAGE]);
    mprotect(p, PAGE, PROT_NONE);
    SHOW(madvise(p, PAGE, MADV_POPULATE_READ));
    mprotect(p, PAGE, PROT_READ);
    SHOW(madvise(p, PAGE, MADV_POPULATE_WRITE));
    mprotect(p, PAGE, PROT_READ | PROT_WRITE);

    char *c = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    c[0] = 'c';
    c[PAGE] = 'd';
    SHOW(madvise(c, PAGE, MADV_DONTNEED));
    NOTE("private file page back: %c %c", c[0], c[PAGE]);
    SHOW(madvise(c, PAGE, MADV_FREE));
    char *s = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    s[0] = 's';
    SHOW(madvise(s, PAGE, MADV_DONTNEED));
    NOTE("shared file page kept: %c", s[0]);
    SHOW(madvise(s, PAGE, MADV_REMOVE));
    NOTE("hole punched: %d %c", s[0], s[PAGE]);
    char byte;
    pread(fd, &byte, 1, 0);
    NOTE("in the file too: %d", byte);
    mprotect(s, 2 * PAGE, PROT_READ);
    SHOW(madvise(s, 2 * PAGE, MADV_REMOVE));
    NOTE("that it is not written to now does not matter: %d", s[PAGE]);
    mlock(s, PAGE);
    SHOW(madvise(s, PAGE, MADV_REMOVE));
    munlock(s, PAGE);
    int reading = open("file", O_RDONLY);
    char *o = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reading, 0);
    SHOW(madvise(o, PAGE, MADV_REMOVE));
    mlock(o, PAGE);
    SHOW(madvise(o, PAGE, MADV_REMOVE));
    SHOW(madvise(c, PAGE, MADV_REMOVE));
    char *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(a, 'a', 4 * PAGE);
    if (!fork()) {
        a[0] = 'b';
        _exit(madvise(a + PAGE, 2 * PAGE, MADV_REMOVE));
    }
    wait(NULL);
    NOTE("shared memory: %c %d %d %c", a[0], a[PAGE], a[2 * PAGE], a[3 * PAGE]);

    char *r = island(4);
    resident("fresh", r, 4);
    r[PAGE] = 1;
    resident("touched", r, 4);
    volatile char sink = r[2 * PAGE];
    (void)sink;
    madvise(r + PAGE, PAGE, MADV_DONTNEED);
    madvise(r + 2 * PAGE, PAGE, MADV_DONTNEED);
    resident("dropped", r, 4);
    resident("beyond", r, 5);
    SHOW(mincore(r + 1, PAGE, (unsigned char *)&byte));
    SHOW(mincore(r, 0, (unsigned char *)&byte));
    SHOW(mincore(r, -1, (unsigned char *)&byte));
    SHOW(mlock(r, PAGE));
    resident("locked", r, 4);
    SHOW(mlock(r + 5, PAGE));
    SHOW(mlock(r, 5 * PAGE));
    SHOW(mlock(r, 0));
    SHOW(munlock(r, PAGE));
    SHOW(munlock(r, 9 * PAGE));
    SHOW(syscall(SYS_mlock2, r, PAGE, 1));
    SHOW(syscall(SYS_mlock2, r, PAGE, 2));
    SHOW(mlockall(MCL_CURRENT | MCL_FUTURE));
    SHOW(mlockall(0));
    SHOW(mlockall(99));
    SHOW(munlockall());
    SHOW(msync(s, PAGE, MS_SYNC));
    SHOW(msync(s, PAGE, MS_ASYNC));
    SHOW(msync(s, PAGE, MS_SYNC | MS_ASYNC));
    SHOW(msync(s, PAGE, MS_INVALIDATE));
    SHOW(msync(s, PAGE, 8));
    SHOW(msync(s + 1, PAGE, MS_SYNC));
    SHOW(msync(r, 5 * PAGE, MS_SYNC));
    SHOW(msync(r, 0, MS_SYNC));
    SHOW(msync((void *)0x10000, PAGE, MS_ASYNC));
    /* Pages may be marked as mergeable where /sys says that they could be merged. */
    NOTE("as /sys says %d", (madvise(a, PAGE, MADV_MERGEABLE) == 0) == (access("/sys/kernel/mm/ksm/run", F_OK) == 0));
    return 0;
}

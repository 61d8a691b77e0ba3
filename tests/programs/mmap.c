// mmap(2) and munmap(2): every flag, placement, lengths, errors, contents.
#include "probe.h"
#include <sys/vfs.h>

static int fd, ro, wo, dir, pipes[2];

static long map(void *at, size_t size, int prot, int flags, int file, off_t offset)
{
    char *p = mmap(at, size, prot, flags, file, offset);
    if (p == MAP_FAILED)
        return -1;
    long result = 0;
    if (at)
        result = p == at ? 1 : 2;
    munmap(p, size);
    return result;
}

static void errors(void)
{
    int both = PROT_READ | PROT_WRITE;
    SHOW(map(NULL, 0, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map(NULL, 1, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map(NULL, 1, both, MAP_ANONYMOUS, -1, 0));
    SHOW(map(NULL, 1, both, MAP_ANONYMOUS | 3, -1, 0));
    SHOW(map(NULL, 1, both, MAP_ANONYMOUS | 4, -1, 0));
    SHOW(map(NULL, 1, both, MAP_PRIVATE | MAP_ANONYMOUS, 99, 0));
    SHOW(map(NULL, 1, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 100));
    SHOW(map(NULL, 1, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 4096));
    SHOW(map(NULL, 1, both, MAP_PRIVATE, -1, 0));
    SHOW(map(NULL, 1, both, MAP_PRIVATE, 99, 0));
    SHOW(map(NULL, 1, both, MAP_PRIVATE, fd, 100));
    SHOW(map(NULL, 1, both, MAP_PRIVATE, fd, -4096));
    SHOW(map(NULL, 1, both, MAP_PRIVATE, fd, 1L << 40));
    SHOW(map(NULL, 8192, both, MAP_PRIVATE, fd, LONG_MAX & ~4095L));
    SHOW(map(NULL, -1, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map(NULL, 1L << 47, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map(NULL, 1L << 46, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    SHOW(map((void *)-4096, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(map((void *)0x7ffffffff000, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(map((void *)0x10001, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(map((void *)0x10000, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(map((void *)0x10000, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map((void *)0x10001, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map((void *)0x7ffffffff000, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_PRIVATE, wo, 0));
    SHOW(map(NULL, 4096, PROT_NONE, MAP_PRIVATE, wo, 0));
    SHOW(map(NULL, 4096, PROT_WRITE, MAP_SHARED, wo, 0));
    SHOW(map(NULL, 4096, PROT_WRITE, MAP_SHARED, ro, 0));
    SHOW(map(NULL, 4096, PROT_WRITE, MAP_PRIVATE, ro, 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0));
    SHOW(map(NULL, 4096, PROT_EXEC, MAP_SHARED, ro, 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_PRIVATE, dir, 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_PRIVATE, pipes[0], 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE, fd, 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | 0x8000000, fd, 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
    SHOW(map(NULL, 4096, PROT_READ, MAP_SHARED | 0x8000000, fd, 0));
    SHOW(map(NULL, 4096, 0x1000, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(map(NULL, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_NONBLOCK, -1, 0));
    SHOW(map(NULL, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_DENYWRITE | MAP_EXECUTABLE, -1, 0));
    SHOW(map(NULL, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    SHOW(map(NULL, 4096, both, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    SHOW(map(NULL, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0));
    SHOW(munmap((void *)1, 4096));
    SHOW(munmap((void *)0x10000, 0));
    SHOW(munmap((void *)0x10000, 4096));
    SHOW(munmap((void *)0x7ffffffff000, 4096));
    SHOW(munmap((void *)-4096, 4096));
    SHOW(munmap((void *)0x10000, -1));
}

static void placement(void)
{
    char *a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *b = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NOTE("top down: %ld pages apart", (long)(a - b) / (long)PAGE);
    munmap(a + 4 * PAGE, 4 * PAGE);
    char *c = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NOTE("hole filled: %d", c == a + 4 * PAGE);
    munmap(c, 4 * PAGE);
    c = mmap(a + 5 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NOTE("hint taken: %d", c == a + 5 * PAGE);
    c = mmap(a + 100, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NOTE("hint at a taken place: %d", c == a || c == a + PAGE);
    SHOW(mmap(a, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == a);
    SHOW(mmap(a, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(a + 3 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(a + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == a + 4 * PAGE);
    a[0] = 'A';
    a[PAGE] = 'B';
    SHOW(mmap(a, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == a);
    NOTE("replaced: %d %c", a[0], a[PAGE]);
    char *low = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    NOTE("below 2 GiB: %d", (uintptr_t)low < 1ul << 31);
    SHOW(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0) != MAP_FAILED);
}

static void contents(void)
{
    char text[9001];
    for (int i = 0; i < 9000; i++)
        text[i] = 'a' + i % 26;
    pwrite(fd, text, 9000, 0);
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *s = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NOTE("private %016lx shared %016lx", (unsigned long)hash(p, 3 * PAGE), (unsigned long)hash(s, 3 * PAGE));
    p[0] = 'P';
    s[1] = 'S';
    pwrite(fd, "W", 1, 2);
    pwrite(fd, "W", 1, 5000);
    char back[4] = "";
    pread(fd, back, 3, 0);
    NOTE("private %.3s shared %.3s file %.3s", p, s, back);
    NOTE("second page: private %c shared %c", p[5000], s[5000]);
    s[8999] = 'e';
    s[9005] = 'x';
    SHOW(msync(s, 3 * PAGE, MS_SYNC));
    SHOW(ftruncate(fd, 9010));
    pread(fd, back, 4, 8998);
    show_bytes("tail", back, 2);
    char *other = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 8192);
    NOTE("another mapping: %c", other[8999 - 8192]);
    SHOW(mprotect(other, PAGE, PROT_READ | PROT_WRITE));
    SHOW(mprotect(other, PAGE, PROT_READ | PROT_EXEC));
    close(fd);
    s[100] = 'Z';
    fd = open("file", O_RDWR);
    pread(fd, back, 1, 100);
    NOTE("after close: %c", back[0]);
    write(open("file", O_WRONLY | O_TRUNC), "short", 5);
    NOTE("truncated: %.5s", s);
    probe("private, written, beyond the end", p);
    probe("private page 1", p + PAGE);
    probe("shared page 0", s);
    probe("shared page 0 after the end", s + 100);
    probe("shared page 1", s + PAGE);
    probe("shared page 1 middle", s + PAGE + 1234);
    SHOW(ftruncate(fd, 5000));
    probe("shared page 1 grown", s + PAGE + 10);
    probe("shared page 2", s + 2 * PAGE);
    s[4096] = '!';
    pread(fd, back, 1, 4096);
    NOTE("written through: %c", back[0]);
    SHOW(ftruncate(fd, 4100));
    SHOW(ftruncate(fd, 8192));
    NOTE("zeroed: %d %d", s[4099], s[4200]);
    SHOW(munmap(s + PAGE, PAGE));
    probe("hole", s + PAGE);
    probe("after the hole", s + 2 * PAGE);
    char *far = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE);
    probe("wholly beyond the end", far);
    unlink("file");
    s[3] = 'u';
    NOTE("unlinked: %.5s", s);
}

static void anonymous(void)
{
    char *a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NOTE("zero %d %d", a[0], a[2 * PAGE - 1]);
    strcpy(a + PAGE - 3, "across");
    NOTE("%s", a + PAGE - 3);
    SHOW(madvise(a, PAGE, MADV_DONTNEED));
    NOTE("shared survives: %s", a + PAGE - 3);
    char *zero = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
    NOTE("/dev/zero %d", zero[77]);
    zero[77] = 1;
    char *shared_zero = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/zero", O_RDWR), 0);
    NOTE("/dev/zero shared %d", shared_zero != MAP_FAILED && shared_zero[77] == 0);
    SHOW(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("/dev/null", O_RDWR), 0));
    char *w = mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    probe("write only", w);
    char *x = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *x = (char)0xc3; /* ret */
    SHOW(mprotect(x, PAGE, PROT_EXEC)); /* whether it can be read then depends on the processor's protection keys */
    ((void (*)(void))x)();
    char *n = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    probe("none", n + 5);
    probe("null", NULL);
    probe("8", (char *)8);
    char *big = mmap(NULL, 1L << 36, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    NOTE("64 GiB: %d", big != MAP_FAILED);
    big[0] = big[1L << 35] = big[(1L << 36) - 1] = 1;
    NOTE("%d", big[0] + big[1L << 35] + big[(1L << 36) - 1] + big[1L << 30]);
    SHOW(munmap(big, 1L << 36));
}

/* What is stored behind the end of a file, in its last page, goes when the page is written back. */
static void behind_the_end(void)
{
    struct statfs fs;
    int partial = open("partial", O_RDWR | O_CREAT, 0644);
    fstatfs(partial, &fs);
    if (fs.f_type == 0x01021994) /* on a tmpfs nothing is written back */
        return;
    ftruncate(partial, PAGE + 100);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, partial, 0);
    memset(p, 'x', 2 * PAGE);
    NOTE("%c %c", p[PAGE + 99], p[PAGE + 100]);
    SHOW(msync(p, 2 * PAGE, MS_SYNC));
    NOTE("%c %c %d %d", p[PAGE - 1], p[PAGE + 99], p[PAGE + 100], p[2 * PAGE - 1]);
    munmap(p, 2 * PAGE);
    p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, partial, 0);
    NOTE("%c %d", p[PAGE + 99], p[PAGE + 100]);
}

int main(void)
{
    probe_start();
    fd = open("file", O_RDWR | O_CREAT, 0644), ro = open("file", O_RDONLY), wo = open("file", O_WRONLY);
    dir = open(".", O_RDONLY);
    pipe(pipes);
    ftruncate(fd, 10000);
    errors();
    placement();
    contents();
    anonymous();
    behind_the_end();
    return 0;
}

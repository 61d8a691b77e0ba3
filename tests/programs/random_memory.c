// Long random sequences of memory calls in a window of pages; its contents are printed as hashes.
// run: 1
// run: 2
// run: 3
// run: 4
#include "probe.h"
#include "random.h"

#define WINDOW 48
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static char *base;
static int file, other, constant;
static char copy[PAGE];

static void contents(int number)
{
    uint64_t sum = 0;
    char kinds[WINDOW + 1] = "";
    for (int i = 0; i < WINDOW; i++) {
        int got = probe_read(base + i * PAGE);
        kinds[i] = got >= 0 ? 'r' : got == -SIGBUS ? 'b' : probe_info.si_code == SEGV_MAPERR ? '.' : '-';
        if (got >= 0)
            sum = sum * 31 + hash(base + i * PAGE, PAGE);
    }
    NOTE("%d %s %016lx", number, kinds, (unsigned long)sum);
}

static void step(int number)
{
    static const int prots[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC,
                                PROT_READ | PROT_WRITE | PROT_EXEC, PROT_WRITE};
    int at = pick(WINDOW), count = 1 + pick(8), prot = prots[pick(7)], offset = pick(PAGE), to = pick(WINDOW);
    if (at + count > WINDOW)
        count = WINDOW - at;
    char *p = base + at * PAGE, *q = base + to * PAGE;
    errno = 0;
    switch (pick(17)) {
        case 0: case 1: {
            int flags = MAP_ANONYMOUS | MAP_FIXED | (pick(3) ? MAP_PRIVATE : MAP_SHARED) | (pick(4) ? 0 : MAP_POPULATE);
            label(mmap(p, count * PAGE, prot, flags, -1, 0) == p, "%d anonymous %d %d %d", number, at, count, prot);
            break;
        }
        case 2: case 3: {
            int flags = MAP_FIXED | (pick(2) ? MAP_PRIVATE : MAP_SHARED), first = pick(6);
            label(mmap(p, count * PAGE, prot, flags, pick(2) ? file : other, first * PAGE) == p, "%d file %d %d %d", number, at,
                  count, prot);
            break;
        }
        case 4: label(munmap(p, count * PAGE), "%d munmap %d %d", number, at, count); break;
        case 5: case 6: label(mprotect(p, count * PAGE, prot), "%d mprotect %d %d %d", number, at, count, prot); break;
        case 7: label(madvise(p, count * PAGE, MADV_DONTNEED), "%d dontneed %d %d", number, at, count); break;
        case 8: {
            int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
            char *got = mremap(p, PAGE, (1 + count % 3) * PAGE, flags, to + 3 > WINDOW ? base + (WINDOW - 3) * PAGE : q);
            label(got == MAP_FAILED ? -1 : got - base, "%d mremap %d %d", number, at, to);
            break;
        }
        case 9: {
            if (at + 3 > WINDOW)
                break;
            char *got = mremap(p, PAGE, 3 * PAGE, 0);
            label(got == MAP_FAILED ? -1 : got - base, "%d grow %d", number, at);
            break;
        }
        case 10: case 11: NOTE("%d store %d %d", number, at, probe_write(p + offset, number)); break;
        case 12: label(pread(constant, p + offset, 2 * PAGE, pick(20000)), "%d pread %d %d", number, at, offset); break;
        case 13: {
            int pipes[2];
            pipe(pipes);
            fcntl(pipes[0], F_SETFL, O_NONBLOCK);
            label(write(pipes[1], p + offset, 2 * PAGE), "%d pipe from %d %d", number, at, offset);
            long n = read(pipes[0], copy, PAGE);
            label(n < 0 ? n : (long)(hash(copy, n) >> 1), "  holds");
            close(pipes[0]);
            close(pipes[1]);
            break;
        }
        case 14: {
            int size = pick(9 * PAGE), which = pick(2);
            if (which)
                size -= size % PAGE;
            label(ftruncate(which ? file : other, size), "%d ftruncate %d", number, size);
            break;
        }
        case 15:
            /* From memory that is surely there: what a failed write leaves of a file is not for programs to know. */
            memset(copy, number, sizeof copy);
            if (pick(2))
                label(pwrite(file, copy, PAGE, to % 5 * PAGE), "%d pwrite page %d", number, to % 5);
            else
                label(pwrite(other, copy, offset, pick(20000)), "%d pwrite %d", number, offset);
            break;
        case 16:
            for (int i = 0; i < count; i++) {
                memset(copy, number + i, sizeof copy);
                struct iovec from = {copy, PAGE};
                int pipes[2];
                pipe(pipes);
                writev(pipes[1], &from, 1);
                label(read(pipes[0], p + i * PAGE, PAGE), "%d pipe %d", number, at + i);
                close(pipes[0]);
                close(pipes[1]);
            }
            break;
    }
}

int main(int argc, char **argv)
{
    random_start(argc, argv);
    probe_start();
    /* Ends at a page's end always: what is stored past it in its last page is cleared whenever the kernel writes it back. */
    file = open("file", O_RDWR | O_CREAT, 0600);
    other = memfd_create("other", 0);
    ftruncate(file, 5 * PAGE);
    ftruncate(other, 3 * PAGE);
    /* Never mapped, never at its end: whether a read of nothing takes a private copy is the kernel's own affair. */
    constant = open("constant", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 16; i++) {
        memset(copy, 200 + i, sizeof copy);
        write(constant, copy, sizeof copy);
    }
    base = mmap((void *)0x200000000000, WINDOW * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    munmap(base, WINDOW * PAGE);
    for (int i = 0; i < 1500; i++) {
        step(i);
        if (i % 10 == 9)
            contents(i);
    }
    return 0;
}

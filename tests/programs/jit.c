// Code made at run time: pages written and executed in turn, with and without mprotect between.
#include "probe.h"
#include <sys/wait.h>

typedef long (*function)(long);

/* mov rax, value; add rax, rdi; ret */
static void emit(unsigned char *p, uint64_t value)
{
    p[0] = 0x48, p[1] = 0xb8;
    memcpy(p + 2, &value, 8);
    p[10] = 0x48, p[11] = 0x01, p[12] = 0xf8, p[13] = 0xc3;
}

int main(void)
{
    probe_start();
    long sum = 0;
    unsigned char *wx = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 2000; i++) {
        emit(wx + 16 * (i % 4), i);
        sum += ((function)(wx + 16 * (i % 4)))(1);
    }
    NOTE("rewritten in place %ld", sum);
    for (int i = 0; i < 3 * 256; i++)
        emit(wx + 16 * i, i);
    sum = 0;
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 3 * 256; i++)
            sum += ((function)(wx + 16 * i))(round);
    NOTE("many functions %ld", sum);
    emit(wx + PAGE - 7, 99);
    NOTE("across a page border %ld", ((function)(wx + PAGE - 7))(1));
    wx[PAGE - 7 + 2] = 77;
    NOTE("changed on the left %ld", ((function)(wx + PAGE - 7))(1));
    wx[PAGE + 2] = 1;
    NOTE("changed on the right %ld", ((function)(wx + PAGE - 7))(1));

    unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sum = 0;
    for (int i = 0; i < 300; i++) {
        mprotect(p, PAGE, PROT_READ | PROT_WRITE);
        emit(p, i * 3);
        mprotect(p, PAGE, PROT_READ | PROT_EXEC);
        sum += ((function)p)(i);
    }
    NOTE("W or X in turn %ld", sum);
    NOTE("writing to X %d", probe_write(p, 0));

    int fd = memfd_create("jit", 0);
    ftruncate(fd, PAGE);
    unsigned char *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    sum = 0;
    for (int i = 0; i < 300; i++) {
        emit(w, i * 5);
        sum += ((function)x)(i);
    }
    NOTE("two mappings of one page %ld", sum);
    if (sigsetjmp(probe_back, 1) == 0)
        NOTE("ran through the writable one: %ld", ((function)w)(0));
    else
        NOTE("the writable one: %s code %d", signal_name(probe_info.si_signo), probe_info.si_code);
    unsigned char *own = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    sum = 0;
    for (int i = 0; i < 50; i++) {
        emit(w, i * 9);
        sum += ((function)own)(i) - ((function)x)(i) / 2;
    }
    NOTE("a private mapping as well %ld", sum);
    int told[2], asked[2];
    pipe(told);
    pipe(asked);
    if (fork() == 0) {
        char turn;
        munmap(x, PAGE);
        for (int i = 0; i < 20; i++) {
            emit(w, i * 13);
            write(told[1], "", 1);
            read(asked[0], &turn, 1);
        }
        _exit(0);
    }
    sum = 0;
    for (int i = 0; i < 20; i++) {
        char turn;
        read(told[0], &turn, 1);
        sum += ((function)x)(i);
        write(asked[1], "", 1);
    }
    wait(NULL);
    NOTE("written by another process %ld", sum);
    unsigned char code[14];
    sum = 0;
    for (int i = 0; i < 100; i++) {
        emit(code, i * 7);
        pwrite(fd, code, 14, 0);
        sum += ((function)x)(i);
    }
    NOTE("written by pwrite %ld", sum);
    int pipes[2];
    pipe(pipes);
    sum = 0;
    for (int i = 0; i < 100; i++) {
        emit(code, i * 11);
        write(pipes[1], code, 14);
        read(pipes[0], wx + 64, 14);
        sum += ((function)(wx + 64))(i);
    }
    NOTE("written by read %ld", sum);
    sum = 0;
    for (int i = 0; i < 50; i++) {
        unsigned char *q = mmap(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        emit(q, i);
        sum += ((function)q)(0);
    }
    NOTE("mapped anew at one address %ld", sum);
    munmap(p, PAGE);
    if (sigsetjmp(probe_back, 1) == 0)
        NOTE("ran unmapped code: %ld", ((function)p)(0));
    else
        NOTE("unmapped: %s at %+ld", signal_name(probe_info.si_signo), (long)((unsigned char *)probe_info.si_addr - p));
    emit(wx, 5);
    unsigned char *moved = mremap(wx, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, island(1));
    NOTE("moved %ld", ((function)moved)(1));
    mprotect(moved, PAGE, PROT_READ | PROT_WRITE);
    if (sigsetjmp(probe_back, 1) == 0)
        NOTE("ran without X: %ld", ((function)moved)(0));
    else
        NOTE("no longer X: %s code %d", signal_name(probe_info.si_signo), probe_info.si_code);
    madvise(wx + PAGE, PAGE, MADV_DONTNEED);
    emit(wx + PAGE, 8);
    NOTE("after DONTNEED %ld", ((function)(wx + PAGE))(1));

    /* A block that overwrites its own next instructions. */
    unsigned char self[] = {
        0xc6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x2a, /* movb $42, 1(%rip): the immediate below */
        0xb8, 0x01, 0x00, 0x00, 0x00,             /* mov $1, %eax */
        0xc3,
    };
    memcpy(wx + 2 * PAGE, self, sizeof self);
    NOTE("self-modifying block %ld", ((function)(wx + 2 * PAGE))(0));
    /* A loop that counts by raising its own immediate. */
    unsigned char loop[] = {
        0xb9, 0x0a, 0x00, 0x00, 0x00,             /* mov $10, %ecx */
        0x31, 0xc0,                               /* xor %eax, %eax */
        0x05, 0x01, 0x00, 0x00, 0x00,             /* add $1, %eax */
        0xfe, 0x05, 0xf6, 0xff, 0xff, 0xff,       /* incb -10(%rip): that 1 */
        0xff, 0xc9,                               /* dec %ecx */
        0x75, 0xf1,                               /* jne to the add */
        0xc3,
    };
    memcpy(wx + 2 * PAGE + 256, loop, sizeof loop);
    NOTE("self-modifying loop %ld", ((function)(wx + 2 * PAGE + 256))(0));
    return 0;
}

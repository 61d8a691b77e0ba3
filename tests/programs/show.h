/* What every test program prints with: results and errno names, nothing that differs from run to run. */
#ifndef SHOW_H
#define SHOW_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define UNUSED __attribute__((unused))

/* A processor with protection keys makes memory that is PROT_EXEC alone unreadable, unless all keys are taken:
   then it is as on one without, which is what lxrun's is. */
__attribute__((constructor)) static void take_protection_keys(void)
{
    while (syscall(SYS_pkey_alloc, 0, 0) > 0)
        ;
    errno = 0;
}

UNUSED static const char *errno_name(int e)
{
    static char other[16];
#define NAME(n) case n: return #n;
    switch (e) {
        NAME(EPERM) NAME(ENOENT) NAME(ESRCH) NAME(EINTR) NAME(EIO) NAME(ENXIO) NAME(E2BIG) NAME(ENOEXEC)
        NAME(EBADF) NAME(ECHILD) NAME(EAGAIN) NAME(ENOMEM) NAME(EACCES) NAME(EFAULT) NAME(ENOTBLK) NAME(EBUSY)
        NAME(EEXIST) NAME(EXDEV) NAME(ENODEV) NAME(ENOTDIR) NAME(EISDIR) NAME(EINVAL) NAME(ENFILE) NAME(EMFILE)
        NAME(ENOTTY) NAME(ETXTBSY) NAME(EFBIG) NAME(ENOSPC) NAME(ESPIPE) NAME(EROFS) NAME(EMLINK) NAME(EPIPE)
        NAME(EDOM) NAME(ERANGE) NAME(EDEADLK) NAME(ENAMETOOLONG) NAME(ENOLCK) NAME(ENOSYS) NAME(ENOTEMPTY)
        NAME(ELOOP) NAME(ENODATA) NAME(EOVERFLOW) NAME(EILSEQ) NAME(ENOTSOCK) NAME(EOPNOTSUPP) NAME(ETIMEDOUT)
        NAME(EINPROGRESS) NAME(ESTALE) NAME(EDQUOT) NAME(ECANCELED) NAME(EDESTADDRREQ) NAME(EMSGSIZE) NAME(EPROTOTYPE)
        NAME(ENOPROTOOPT) NAME(EPROTONOSUPPORT) NAME(ESOCKTNOSUPPORT) NAME(EAFNOSUPPORT) NAME(EADDRINUSE)
        NAME(ECONNABORTED) NAME(ECONNRESET) NAME(ENOBUFS) NAME(EISCONN) NAME(ENOTCONN) NAME(ETOOMANYREFS)
        NAME(ECONNREFUSED) NAME(EIDRM) NAME(ENOMSG)
    }
#undef NAME
    snprintf(other, sizeof other, "errno %d", e);
    return other;
}

/* SHOW(call): "call = result" or "call = -1 EBADF". */
#define SHOW(call) show_result(#call, (long)(call), 1)
/* TRY(call): the same where the result itself is an address or otherwise not the same twice. */
#define TRY(call) show_result(#call, (long)(call), 0)
/* NOTE(format, ...): a line of free text. */
#define NOTE(...) (printf(__VA_ARGS__), putchar('\n'), (void)0)

UNUSED static long show_result(const char *text, long result, int exact)
{
    int e = errno;
    if (result == -1)
        printf("%s = -1 %s\n", text, errno_name(e));
    else if (exact)
        printf("%s = %ld\n", text, result);
    else
        printf("%s = ok\n", text);
    errno = e;
    return result;
}

/* A result under a name made at run time. */
UNUSED static long label(long result, const char *format, ...)
{
    int e = errno;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    errno = e;
    return show_result(text, result, 1);
}

/* Bytes, with everything unprintable as \xNN. */
UNUSED static void show_bytes(const char *name, const void *data, long size)
{
    const unsigned char *p = data;
    printf("%s[%ld] = \"", name, size);
    for (long i = 0; i < size; i++)
        if (p[i] >= ' ' && p[i] < 127 && p[i] != '"' && p[i] != '\\')
            putchar(p[i]);
        else
            printf("\\x%02x", p[i]);
    printf("\"\n");
}

/* FNV-1a, for contents too long to print. */
UNUSED static uint64_t hash(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t h = 1469598103934665603ull;
    while (size--)
        h = (h ^ *p++) * 1099511628211ull;
    return h;
}

UNUSED static void die(const char *what)
{
    printf("%s: %s\n", what, errno_name(errno));
    exit(99);
}

/* The whole text of a file, from its beginning, without moving any position. */
UNUSED static void show_file(const char *path)
{
    char data[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        printf("%s: %s\n", path, errno_name(errno));
        return;
    }
    long n = read(fd, data, sizeof data);
    close(fd);
    show_bytes(path, data, n < 0 ? 0 : n);
}

/* A new file with some text. */
UNUSED static void make_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        die(path);
    close(fd);
}

/* `pages` readable and writable pages with an unmapped page on either side. */
UNUSED static char *island(size_t pages)
{
    char *p = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    munmap(p, PAGE);
    munmap(p + (pages + 1) * PAGE, PAGE);
    mprotect(p + PAGE, pages * PAGE, PROT_READ | PROT_WRITE);
    return p + PAGE;
}

/* Where the last `size` bytes of an island of one page begin: the byte after them is unmapped. */
UNUSED static char *edge(size_t size)
{
    return island(1) + PAGE - size;
}

UNUSED static const char *signal_name(int signo)
{
    static char other[16];
    switch (signo) {
        case SIGSEGV: return "SIGSEGV";
        case SIGBUS: return "SIGBUS";
        case SIGILL: return "SIGILL";
        case SIGFPE: return "SIGFPE";
        case SIGTRAP: return "SIGTRAP";
        case SIGSYS: return "SIGSYS";
        case SIGPIPE: return "SIGPIPE";
        case SIGXFSZ: return "SIGXFSZ";
    }
    snprintf(other, sizeof other, "signal %d", signo);
    return other;
}

#endif

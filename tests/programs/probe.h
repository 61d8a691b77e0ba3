/* Touching memory that may not be there: the signal that came, instead of a dead program. */
#ifndef PROBE_H
#define PROBE_H

#include "show.h"
#include <setjmp.h>

static sigjmp_buf probe_back;
static siginfo_t probe_info;

static void probe_handler(int signo, siginfo_t *info, void *context)
{
    (void)context;
    (void)signo;
    probe_info = *info;
    siglongjmp(probe_back, 1);
}

UNUSED static void probe_start(void)
{
    struct sigaction action = {.sa_sigaction = probe_handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* The byte at `p`, or minus the signal's number. */
UNUSED static int probe_read(const volatile void *p)
{
    if (sigsetjmp(probe_back, 1))
        return -probe_info.si_signo;
    return *(const volatile unsigned char *)p;
}

/* 0, or minus the signal's number. */
UNUSED static int probe_write(volatile void *p, int value)
{
    if (sigsetjmp(probe_back, 1))
        return -probe_info.si_signo;
    *(volatile unsigned char *)p = value;
    return 0;
}

/* "r:07 w:ok", or what went wrong and where relative to `p`. */
UNUSED static void probe(const char *name, void *p)
{
    int got = probe_read(p);
    printf("%s: ", name);
    if (got >= 0)
        printf("read %02x", got);
    else
        printf("read %s code %d at %+ld", signal_name(-got), probe_info.si_code, (long)((char *)probe_info.si_addr - (char *)p));
    int put = probe_write(p, got >= 0 ? got : 0);
    if (put == 0)
        printf(", write ok\n");
    else
        printf(", write %s code %d at %+ld\n", signal_name(-put), probe_info.si_code,
               (long)((char *)probe_info.si_addr - (char *)p));
}

#endif

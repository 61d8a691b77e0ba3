// The corners of floating point: exception flags, flush to zero, traps, the last bits of x87 functions.
// cc: -static -fno-fast-math -frounding-math -lm
#include "show.h"
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <xmmintrin.h>

static void bits(const char *name, double d)
{
    uint64_t u;
    memcpy(&u, &d, 8);
    NOTE("%s %016lx %.17g", name, (unsigned long)u, d);
}

static void wide(const char *name, long double d)
{
    unsigned char b[16] = {0};
    memcpy(b, &d, 10);
    printf("%s ", name);
    for (int i = 9; i >= 0; i--)
        printf("%02x", b[i]);
    printf(" %.21Lg\n", d);
}

static void handler(int signo, siginfo_t *info, void *context)
{
    (void)context;
    printf("%s code %d\n", signal_name(signo), info->si_code);
    fflush(stdout);
    exit(5);
}

int main(void)
{
    volatile double one = 1, three = 3, tiny = DBL_MIN, huge = DBL_MAX, zero = 0;
    feclearexcept(FE_ALL_EXCEPT);
    volatile double r = one / three;
    NOTE("inexact %x", fetestexcept(FE_ALL_EXCEPT));
    feclearexcept(FE_ALL_EXCEPT);
    r = one / zero;
    NOTE("division by zero %x", fetestexcept(FE_ALL_EXCEPT));
    feclearexcept(FE_ALL_EXCEPT);
    r = zero / zero;
    NOTE("invalid %x", fetestexcept(FE_ALL_EXCEPT));
    feclearexcept(FE_ALL_EXCEPT);
    r = huge * huge;
    NOTE("overflow %x", fetestexcept(FE_ALL_EXCEPT));
    feclearexcept(FE_ALL_EXCEPT);
    r = tiny * tiny;
    NOTE("underflow %x", fetestexcept(FE_ALL_EXCEPT));
    unsigned csr = _mm_getcsr();
    _mm_setcsr(csr | 0x8040);
    bits("flushed to zero", tiny / 3);
    bits("denormals are zero", (tiny / 3) * 3);
    _mm_setcsr(0x1f80);
    long double s;
    __asm__ volatile("fldpi\n fsin\n fstpt %0" : "=m"(s));
    NOTE("fsin(pi) small %d", fabsl(s) < 1e-18L);
    __asm__ volatile("fld1\n fld1\n fpatan\n fstpt %0" : "=m"(s));
    wide("fpatan", s);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGFPE, &action, NULL);
    fflush(stdout);
    _mm_setcsr(_mm_getcsr() & ~_MM_MASK_DIV_ZERO);
    r = one / zero;
    NOTE("no exception %g", r);
    return 0;
}

// Floating point: x87, SSE, control words, rounding, denormals, formatting.
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

int main(void)
{
    volatile double one = 1, three = 3, tiny = DBL_MIN, huge = DBL_MAX, zero = 0, minus = -1;
    volatile float fone = 1, fthree = 3;
    volatile long double lone = 1, lthree = 3;
    bits("third", one / three);
    bits("float", fone / fthree);
    wide("long double", lone / lthree);
    bits("denormal", tiny / 3);
    bits("infinity", huge * 2);
    bits("nan", zero / zero);
    bits("minus zero", minus * zero);
    int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        NOTE("mode %d", fegetround());
        bits("third", one / three);
        bits("minus third", minus / three);
        wide("long double", lone / lthree);
        NOTE("%ld %ld %ld %d", lrint(2.5), lrint(-2.5), lrint(3.5), (int)(one * 2.7));
        bits("nearbyint", nearbyint(one * 1.5));
        NOTE("%lld", llrintl(lone * 2.5L));
    }
    fesetround(FE_TONEAREST);
    _mm_setcsr(0x1f80);
    unsigned short control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    NOTE("control %x", control);
    for (int precision = 0; precision < 4; precision++) {
        unsigned short word = (control & ~0x300) | precision << 8;
        long double q;
        __asm__ volatile("fldcw %1\n fldt %2\n fldt %3\n fdivrp\n fstpt %0" : "=m"(q) : "m"(word), "m"(lone), "m"(lthree));
        wide("precision", q);
    }
    __asm__ volatile("fninit");
    int functions = 0;
    for (double x = -3; x < 3; x += 0.37)
        functions += (int)(1000 * (sin(x) + cos(x) + exp(x) + atan(x) + cbrt(x) + tanh(x) + erf(x)));
    NOTE("functions %d", functions);
    for (int i = 1; i < 6; i++)
        bits("pow", pow(1.1, i * 10) + log(i) + sqrt(i) + lgamma(i + 0.5));
    long double s;
    __asm__ volatile("fldpi\n fld1\n faddp\n fsqrt\n fstpt %0" : "=m"(s));
    wide("x87", s);
    __asm__ volatile("fldl2e\n fldln2\n fmulp\n f2xm1\n fstpt %0" : "=m"(s));
    wide("x87", s);
    unsigned short status;
    double a = 2.5, b = 2.5;
    __asm__ volatile("fldl %1\n fldl %2\n fucompp\n fnstsw %0" : "=a"(status) : "m"(a), "m"(b));
    NOTE("compare %x", status & 0x4500);
    long double big = 1e19L;
    int64_t stored;
    __asm__ volatile("fldt %1\n fistpll %0" : "=m"(stored) : "m"(big));
    NOTE("fist of what does not fit %lx", (long)stored);
    NOTE("cvt of what does not fit %lx %x", (long)(long)(huge * one), (int)(huge * one));
    char env[28];
    __asm__ volatile("fninit\n fld1\n fldz\n fnstenv %0" : "=m"(env));
    NOTE("status %x tag %x", *(unsigned short *)(env + 4), *(unsigned short *)(env + 8));
    __asm__ volatile("fninit");
    static _Alignas(64) char area[512];
    __asm__ volatile("fld1\n fxsave %0\n fninit\n" : "=m"(area));
    NOTE("fxsave: control %x mxcsr %x tag %x", *(unsigned short *)area, *(unsigned *)(area + 24) & ~0x3f, area[4] & 0xff);
    NOTE("%a %e %g %.30f %La", one / 3, huge, tiny, 0.1, lone / 3);
    NOTE("%.0f %.0f %.0f %.0f", 0.5, 1.5, 2.5, 1e22);
    bits("strtod", strtod("2.2250738585072011e-308", NULL));
    bits("strtod", strtod("0x1.fffffffffffff8p0", NULL));
    return 0;
}

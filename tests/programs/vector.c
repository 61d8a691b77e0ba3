// Integer and vector instructions that programs choose by CPUID.
#include "show.h"
#include <cpuid.h>
#include <emmintrin.h>

__attribute__((target("sse4.2,crc32"))) static unsigned crc(const char *s)
{
    unsigned c = ~0u;
    while (*s)
        c = __builtin_ia32_crc32qi(c, *s++);
    return ~c;
}

int main(void)
{
    unsigned a, b, c, d;
    char vendor[13] = "";
    __cpuid(0, a, b, c, d);
    memcpy(vendor, &b, 4), memcpy(vendor + 4, &d, 4), memcpy(vendor + 8, &c, 4);
    NOTE("vendor %d, leaves %d", strlen(vendor) == 12, a >= 1);
    __cpuid(1, a, b, c, d);
    NOTE("fpu %d cx8 %d cmov %d mmx %d fxsr %d sse %d sse2 %d", d & 1, d >> 8 & 1, d >> 15 & 1, d >> 23 & 1, d >> 24 & 1,
         d >> 25 & 1, d >> 26 & 1);
    if (c >> 20 & 1)
        NOTE("crc32c %08x", crc("123456789"));
    unsigned char bytes[32];
    for (int i = 0; i < 32; i++)
        bytes[i] = i * 37;
    __m128i x = _mm_loadu_si128((void *)bytes), y = _mm_loadu_si128((void *)(bytes + 16)), z;
    z = _mm_adds_epu8(x, y);
    show_bytes("paddusb", &z, 16);
    z = _mm_madd_epi16(x, y);
    show_bytes("pmaddwd", &z, 16);
    z = _mm_sad_epu8(x, y);
    show_bytes("psadbw", &z, 16);
    z = _mm_packus_epi16(x, y);
    show_bytes("packuswb", &z, 16);
    z = _mm_shuffle_epi32(x, 0x1b);
    show_bytes("pshufd", &z, 16);
    z = _mm_mul_epu32(x, y);
    show_bytes("pmuludq", &z, 16);
    NOTE("pmovmskb %x", _mm_movemask_epi8(_mm_cmpgt_epi8(x, y)));
    unsigned __int128 product = (unsigned __int128)0xfedcba9876543210 * 0x123456789abcdef1;
    NOTE("mul %016lx%016lx", (long)(product >> 64), (long)product);
    NOTE("div %016lx", (long)(product / 0xfedcba987654321));
    NOTE("bswap %016lx bsr %d bsf %d popcount %d", (long)__builtin_bswap64(0x0123456789abcdef), __builtin_clzl(0x1234),
         __builtin_ctzl(0x12340), __builtin_popcountl(0xfedcba98));
    uint64_t flags;
    int8_t r8 = 0x7f;
    __asm__ volatile("addb $1, %1\n pushf\n pop %0" : "=r"(flags), "+r"(r8)::"cc");
    NOTE("add flags %lx", (long)(flags & 0x8d5));
    __asm__ volatile("subb $0x81, %1\n pushf\n pop %0" : "=r"(flags), "+r"(r8)::"cc");
    NOTE("sub flags %lx", (long)(flags & 0x8d5));
    uint64_t value = 0x8000000000000001, carry;
    __asm__ volatile("clc\n rcl $3, %1\n setc %b0" : "=q"(carry), "+r"(value)::"cc");
    NOTE("rcl %016lx", (long)value);
    __asm__ volatile("shld $12, %2, %1" : "=r"(carry), "+r"(value) : "r"(0x123456789abcdef0ul) : "cc");
    NOTE("shld %016lx", (long)value);
    long expected = 5;
    static long memory[2] __attribute__((aligned(16))) = {5, 6};
    NOTE("cmpxchg %d", __atomic_compare_exchange_n(memory, &expected, 9, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    NOTE("xadd %ld %ld", __atomic_fetch_add(memory, 3, __ATOMIC_SEQ_CST), memory[0]);
    char done;
    uint64_t low = 12, high = 6;
    __asm__ volatile("lock cmpxchg16b %0\n sete %1" : "+m"(memory), "=q"(done), "+a"(low), "+d"(high) : "b"(1ul), "c"(2ul) : "cc");
    NOTE("cmpxchg16b %d %ld %ld", done, memory[0], memory[1]);
    char text[] = "the quick brown fox", copy[32] = "";
    size_t n = sizeof text;
    void *from = text, *to = copy;
    __asm__ volatile("cld\n rep movsb" : "+c"(n), "+S"(from), "+D"(to)::"memory");
    NOTE("%s %ld", copy, (long)n);
    n = 32, to = copy;
    __asm__ volatile("repne scasb" : "+c"(n), "+D"(to) : "a"('q') : "memory", "cc");
    NOTE("scasb %ld", (long)((char *)to - copy));
    unsigned lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    uint64_t first = (uint64_t)hi << 32 | lo;
    for (volatile int i = 0; i < 100000; i++)
        ;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    NOTE("rdtsc goes forward %d", ((uint64_t)hi << 32 | lo) > first);
    return 0;
}

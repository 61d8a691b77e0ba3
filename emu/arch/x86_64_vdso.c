/*
 * The vDSO of the x86-64 guest: reading the time, and the processor's number, without a system call (vdso(7)).
 *
 * Linux: arch/x86/entry/vdso and lib/vdso.  This is guest code.  It is linked by x86_64_vdso.lds into
 * x86_64_vdso.elf, which `python -m emu.arch.x86_64_vdso` makes and kernel/vdso.py maps into every program.
 * What it reads lies in the page that kernel/vdso.py keeps up to date.
 */

#include <linux/time.h>
#include <linux/types.h>
#include <linux/version.h>
#include <asm/unistd.h>

#define NSEC_PER_SEC 1000000000u
#define NSEC_PER_USEC 1000u
#define TICK_NSEC 4000000u /* CONFIG_HZ=250 */

#define CLOCK_TAI 11
#define VDSO_BASES (CLOCK_TAI + 1)
#define VDSO_MULT_SHIFT 32

/* Which clocks are answered here: by the counter, and as of its last tick. */
#define VDSO_HRES                                                                                                      \
    (1u << CLOCK_REALTIME | 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | 1u << CLOCK_BOOTTIME | 1u << CLOCK_TAI)
#define VDSO_COARSE (1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_MONOTONIC_COARSE)

/* VDSO_DATA in kernel/vdso.py. */
struct vdso_data {
    __u32 seq;              /* another number after every update */
    __u32 clock_mode;       /* 0: there is no counter, make the system call */
    __u64 cycle_last;       /* the counter when this was written, */
    __u64 max_cycles;       /* how far beyond it what follows may be used, */
    __u64 mult;             /* nanoseconds in 2^VDSO_MULT_SHIFT cycles, */
    __u64 base;             /* and CLOCK_MONOTONIC at that moment, in nanoseconds */
    __s64 offset[VDSO_BASES]; /* each clock minus CLOCK_MONOTONIC */
    __u32 cpu, node;        /* what getcpu(2) says */
};

/* The linker script puts it in front of the image. */
extern const volatile struct vdso_data vdso_data __attribute__((visibility("hidden")));

static inline long syscall2(long number, long first, const void *second)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

/* The counter, read neither before what comes before nor after what comes after. */
static inline __u64 rdtsc_ordered(void)
{
    __u32 low, high;
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (__u64)high << 32 | low;
}

/*
 * CLOCK_MONOTONIC in nanoseconds, and what to add to it for `clock`; 0 if only the kernel can tell.
 *
 * The kernel never runs beside guest code, so there is no half-written page to be seen.  But a reader may be
 * stopped in the middle, and go on with another page than it began with.
 */
static inline int read_clock(unsigned int clock, __u64 *monotonic, __s64 *offset)
{
    const volatile struct vdso_data *vd = &vdso_data;
    __u64 delta, base, mult;
    __u32 seq;

    do {
        seq = vd->seq;
        if (!vd->clock_mode)
            return 0;
        delta = rdtsc_ordered() - vd->cycle_last;
        if (delta > vd->max_cycles) /* also where the counter seems to have gone back */
            return 0;
        base = vd->base;
        mult = vd->mult;
        *offset = vd->offset[clock];
    } while (vd->seq != seq);
    *monotonic = base + (__u64)((unsigned __int128)delta * mult >> VDSO_MULT_SHIFT);
    return 1;
}

int __vdso_clock_gettime(__kernel_clockid_t clock, struct __kernel_timespec *ts);
int __vdso_clock_gettime(__kernel_clockid_t clock, struct __kernel_timespec *ts)
{
    __u32 mask = (__u32)clock < VDSO_BASES ? 1u << clock : 0;
    __u64 now;
    __s64 offset;

    if (!(mask & (VDSO_HRES | VDSO_COARSE)) || !read_clock(clock, &now, &offset))
        return syscall2(__NR_clock_gettime, clock, ts);
    now += offset;
    if (mask & VDSO_COARSE)
        now -= now % TICK_NSEC;
    ts->tv_sec = now / NSEC_PER_SEC;
    ts->tv_nsec = now % NSEC_PER_SEC;
    return 0;
}

int __vdso_clock_getres(__kernel_clockid_t clock, struct __kernel_timespec *ts);
int __vdso_clock_getres(__kernel_clockid_t clock, struct __kernel_timespec *ts)
{
    __u32 mask = (__u32)clock < VDSO_BASES ? 1u << clock : 0;

    if (!(mask & (VDSO_HRES | VDSO_COARSE)))
        return syscall2(__NR_clock_getres, clock, ts);
    if (ts) {
        ts->tv_sec = 0;
        ts->tv_nsec = mask & VDSO_COARSE ? TICK_NSEC : 1;
    }
    return 0;
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz);
int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
    __u64 now;
    __s64 offset;

    if (tv) {
        if (!read_clock(CLOCK_REALTIME, &now, &offset))
            return syscall2(__NR_gettimeofday, (long)tv, tz);
        now += offset;
        tv->tv_sec = now / NSEC_PER_SEC;
        tv->tv_usec = now % NSEC_PER_SEC / NSEC_PER_USEC;
    }
    if (tz) /* the kernel's time zone is UTC */
        tz->tz_minuteswest = tz->tz_dsttime = 0;
    return 0;
}

__kernel_old_time_t __vdso_time(__kernel_old_time_t *t);
__kernel_old_time_t __vdso_time(__kernel_old_time_t *t)
{
    __u64 now;
    __s64 offset;

    if (!read_clock(CLOCK_REALTIME, &now, &offset))
        return syscall2(__NR_time, (long)t, 0);
    now = (now + offset) / NSEC_PER_SEC;
    if (t)
        *t = now;
    return now;
}

long __vdso_getcpu(unsigned int *cpu, unsigned int *node, void *unused);
long __vdso_getcpu(unsigned int *cpu, unsigned int *node, void *unused)
{
    (void)unused;
    if (cpu)
        *cpu = vdso_data.cpu;
    if (node)
        *node = vdso_data.node;
    return 0;
}

/* The names a program gets that links against the image itself; it may have functions of its own so called. */
#define WEAK_ALIAS(name) extern __typeof__(__vdso_##name) name __attribute__((weak, alias("__vdso_" #name)))
WEAK_ALIAS(clock_gettime);
WEAK_ALIAS(clock_getres);
WEAK_ALIAS(gettimeofday);
WEAK_ALIAS(time);
WEAK_ALIAS(getcpu);

/* By which the C library knows that the kernel is not too old: uname(2)'s release as LINUX_VERSION_CODE. */
__attribute__((section(".note.linux"), used, aligned(4))) static const struct {
    __u32 namesz, descsz, type;
    char name[8];
    __u32 version;
} linux_note = {sizeof "Linux", sizeof(__u32), 0, "Linux", KERNEL_VERSION(6, 12, 0)};

// The vDSO: what its image says of itself, and whether its clocks and the system calls ever contradict each other.
// cc: -rdynamic
#include "show.h"
#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <ucontext.h>

typedef int (*gettime_t)(clockid_t, struct timespec *);

static char *image;
static ElfW(Sym) *symbols;
static const char *strings;
static ElfW(Versym) *versions;
static ElfW(Verdef) *definitions;
static ElfW(Word) *hash_table, *gnu_table;
static gettime_t vdso_gettime, vdso_getres;
static int (*vdso_timeofday)(struct timeval *, struct timezone *);
static time_t (*vdso_time)(time_t *);
static long (*vdso_getcpu)(unsigned *, unsigned *, void *);

static const char *version_of(unsigned index)
{
    ElfW(Verdef) *d = definitions;
    for (;; d = (void *)((char *)d + d->vd_next)) {
        if ((d->vd_ndx & 0x7fff) == (versions[index] & 0x7fff))
            return strings + ((ElfW(Verdaux) *)((char *)d + d->vd_aux))->vda_name;
        if (!d->vd_next)
            return "?";
    }
}

static unsigned by_sysv_hash(const char *name)
{
    unsigned long h = 0, g;
    for (const char *p = name; *p; p++) {
        h = (h << 4) + *(unsigned char *)p;
        if ((g = h & 0xf0000000))
            h ^= g >> 24;
        h &= ~g;
    }
    unsigned i = hash_table[2 + h % hash_table[0]];
    while (i && strcmp(strings + symbols[i].st_name, name))
        i = hash_table[2 + hash_table[0] + i];
    return i;
}

static unsigned by_gnu_hash(const char *name)
{
    uint32_t h = 5381, buckets = gnu_table[0], first = gnu_table[1], words = gnu_table[2], shift = gnu_table[3];
    for (const char *p = name; *p; p++)
        h = h * 33 + *(unsigned char *)p;
    uint64_t *bloom = (void *)(gnu_table + 4), word = bloom[h / 64 % words];
    if (!(word >> h % 64 & word >> (h >> shift) % 64 & 1))
        return 0;
    uint32_t *bucket = (void *)(bloom + words), *chain = bucket + buckets, i = bucket[h % buckets];
    for (; i; i++) {
        if ((chain[i - first] | 1) == (h | 1) && !strcmp(strings + symbols[i].st_name, name))
            return i;
        if (chain[i - first] & 1)
            return 0;
    }
    return 0;
}

static void *lookup(const char *name)
{
    unsigned i = by_sysv_hash(name);
    if (!i || i != by_gnu_hash(name)) {
        NOTE("%s: %u by one hash table, %u by the other", name, i, by_gnu_hash(name));
        return NULL;
    }
    ElfW(Sym) *s = symbols + i;
    NOTE("%s@%s: bind %d type %d visibility %d, in a section %d, has a size %d", name, version_of(i),
         ELF64_ST_BIND(s->st_info), ELF64_ST_TYPE(s->st_info), ELF64_ST_VISIBILITY(s->st_other),
         s->st_shndx != SHN_UNDEF, s->st_size > 0);
    return image + s->st_value;
}

static void parse(void)
{
    image = (char *)getauxval(AT_SYSINFO_EHDR);
    ElfW(Ehdr) *e = (void *)image;
    show_bytes("ident", image, EI_NIDENT);
    NOTE("type %d machine %d version %d entry %d flags %d ehsize %d phentsize %d shentsize %d", e->e_type, e->e_machine,
         e->e_version, e->e_entry != 0, e->e_flags, e->e_ehsize, e->e_phentsize, e->e_shentsize);
    NOTE("page aligned %d", ((uintptr_t)image & PAGE - 1) == 0);
    ElfW(Phdr) *p = (void *)(image + e->e_phoff);
    ElfW(Dyn) *dynamic = NULL;
    int major = 0, minor = 0;
    struct utsname uts;
    uname(&uts);
    sscanf(uts.release, "%d.%d", &major, &minor);
    for (int i = 0; i < e->e_phnum; i++, p++) {
        NOTE("segment type %x flags %x: at its offset %d, same sizes %d, fits two pages %d", p->p_type, p->p_flags,
             p->p_vaddr == p->p_offset, p->p_filesz == p->p_memsz, p->p_vaddr + p->p_memsz <= 2 * PAGE);
        if (p->p_type == PT_DYNAMIC)
            dynamic = (void *)(image + p->p_vaddr);
        if (p->p_type == PT_GNU_EH_FRAME)
            NOTE("  unwind table version %d", image[p->p_vaddr]);
        if (p->p_type == PT_NOTE) {
            char *at = image + p->p_vaddr, *end = at + p->p_filesz;
            while (at < end) {
                ElfW(Nhdr) *n = (void *)at;
                char *name = at + sizeof *n, *desc = name + (n->n_namesz + 3 & ~3);
                if (n->n_type == 0 && !strcmp(name, "Linux") && n->n_descsz == 4) {
                    unsigned code = *(unsigned *)desc;
                    NOTE("  note: the version uname gives %d", code >> 16 == major && (code >> 8 & 255) == minor);
                } else if (n->n_type == NT_GNU_BUILD_ID)
                    NOTE("  note: %s build-id of %d bytes", name, n->n_descsz);
                at = desc + (n->n_descsz + 3 & ~3);
            }
        }
    }
    for (; dynamic->d_tag; dynamic++) {
        char *to = image + dynamic->d_un.d_ptr;
        switch (dynamic->d_tag) {
            case DT_STRTAB: strings = to; break;
            case DT_SYMTAB: symbols = (void *)to; break;
            case DT_HASH: hash_table = (void *)to; break;
            case DT_GNU_HASH: gnu_table = (void *)to; break;
            case DT_VERSYM: versions = (void *)to; break;
            case DT_VERDEF: definitions = (void *)to; break;
            case DT_REL: case DT_RELA: case DT_TEXTREL: NOTE("relocations"); break;
        }
    }
    ElfW(Verdef) *d = definitions;
    NOTE("base version %s", strings + ((ElfW(Verdaux) *)((char *)d + d->vd_aux))->vda_name);
    for (int i = 0; i < 5; i++) {
        static const char *const names[] = {"clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu"};
        char full[40];
        void *weak = lookup(names[i]);
        sprintf(full, "__vdso_%s", names[i]);
        NOTE("  the same %d", lookup(full) == weak);
    }
    vdso_gettime = lookup("__vdso_clock_gettime");
    vdso_getres = lookup("__vdso_clock_getres");
    vdso_timeofday = lookup("__vdso_gettimeofday");
    vdso_time = lookup("__vdso_time");
    vdso_getcpu = lookup("__vdso_getcpu");
    NOTE("no such symbol %u %u", by_sysv_hash("settimeofday"), by_gnu_hash("settimeofday"));
}

static void mapped(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4400], perms[8], name[20];
    unsigned long start, end, data_end = 0;
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s 00000000 00:00 0 %19s", &start, &end, perms, name) != 4)
            continue;
        if (!strncmp(name, "[vvar", 5)) {
            if (!data_end || start != data_end)
                NOTE("[vvar] %s", perms);
            data_end = end;
        } else if (!strcmp(name, "[vdso]"))
            NOTE("[vdso] %s %lu pages, behind the data %d, where auxv says %d", perms, (end - start) / PAGE,
                 start == data_end, (char *)start == image);
    }
    fclose(maps);
}

/* Clocks */

static int64_t ns(struct timespec t)
{
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t by_vdso(clockid_t clock)
{
    struct timespec t;
    vdso_gettime(clock, &t);
    return ns(t);
}

static int64_t by_call(clockid_t clock)
{
    struct timespec t;
    syscall(SYS_clock_gettime, clock, &t);
    return ns(t);
}

static const clockid_t good[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                                 CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};

/* Both ways in turn, as fast as they go; how often time went back. */
static int backwards(clockid_t clock, int rounds)
{
    int64_t last = by_call(clock);
    int wrong = 0;
    for (int i = 0; i < rounds; i++) {
        for (int j = 0; j <= i % 8; j++) {
            int64_t now = by_vdso(clock);
            wrong += now < last;
            last = now;
        }
        int64_t now = by_call(clock);
        wrong += now < last;
        last = now;
    }
    return wrong;
}

static void clocks(void)
{
    for (int clock = -9; clock < 16; clock++) { /* from 16 on they are CLOCK_AUX, since Linux 6.17 */
        struct timespec t = {-1, -1}, u = {-1, -1};
        if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
            continue; /* need a real-time clock device */
        long a = vdso_gettime(clock, &t), b = syscall(SYS_clock_gettime, clock, &u);
        NOTE("clock %d: %s, as the call %d, a time %d", clock, a ? errno_name(-a) : "good", a == (b ? -errno : 0),
             a == 0 ? t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000 : -1);
        a = vdso_getres(clock, &t), b = syscall(SYS_clock_getres, clock, &u);
        NOTE("  resolution %s, as the call %d", a ? errno_name(-a) : "good",
             a == (b ? -errno : 0) && (a || ns(t) == ns(u)));
        NOTE("  to nowhere %ld", (long)vdso_getres(clock, NULL));
    }
    NOTE("INT_MIN %s", errno_name(-vdso_gettime(INT_MIN, &(struct timespec){})));
    NOTE("INT_MAX %s", errno_name(-vdso_gettime(INT_MAX, &(struct timespec){})));
    NOTE("32 %s", errno_name(-vdso_gettime(32, &(struct timespec){})));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        NOTE("clock %d went back %d times", good[i], backwards(good[i], 3000));
    int wrong = 0;
    for (int i = 0; i < 3000; i++) {
        int64_t coarse = by_vdso(CLOCK_MONOTONIC_COARSE), fine = by_call(CLOCK_MONOTONIC), boot = by_vdso(CLOCK_BOOTTIME);
        wrong += coarse > fine || fine > boot;
        coarse = by_call(CLOCK_REALTIME_COARSE), fine = by_vdso(CLOCK_REALTIME);
        wrong += coarse > fine;
    }
    NOTE("out of order %d", wrong);
}

static void time_of_day(void)
{
    struct timeval tv;
    struct timezone tz = {7, 7};
    int wrong = 0;
    for (int i = 0; i < 3000; i++) {
        int64_t a = by_call(CLOCK_REALTIME) / 1000;
        vdso_timeofday(&tv, NULL);
        int64_t b = tv.tv_sec * 1000000LL + tv.tv_usec;
        syscall(SYS_gettimeofday, &tv, NULL);
        int64_t c = tv.tv_sec * 1000000LL + tv.tv_usec;
        wrong += a > b || b > c || tv.tv_usec < 0 || tv.tv_usec >= 1000000;
        time_t d = syscall(SYS_time, NULL), stored, e = vdso_time(&stored), f = syscall(SYS_time, NULL);
        wrong += d > e || e > f || stored != e;
    }
    NOTE("gettimeofday, time: out of order %d", wrong);
    NOTE("gettimeofday %d", vdso_timeofday(&tv, &tz));
    NOTE("zone %d %d", tz.tz_minuteswest, tz.tz_dsttime);
    NOTE("gettimeofday of nothing %d", vdso_timeofday(NULL, NULL));
    NOTE("time to nowhere %d", vdso_time(NULL) + 1 >= tv.tv_sec); /* Linux gives the last tick's */
}

static void cpu_number(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    unsigned cpu = 99, node = 99, cpu2 = 98, node2 = 98;
    long a = vdso_getcpu(&cpu, &node, NULL), b = syscall(SYS_getcpu, &cpu2, &node2, NULL);
    NOTE("getcpu %ld %ld, agree %d", a, b, cpu == cpu2 && node == node2);
    NOTE("getcpu to nowhere %ld", vdso_getcpu(NULL, NULL, NULL));
}

/* Several processes pass the latest time around; nobody may see an earlier one. */
static void between_processes(void)
{
    volatile int64_t *last = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int turn[3][2], wrong = 0;
    for (int i = 0; i < 3; i++)
        pipe(turn[i]);
    *last = by_vdso(CLOCK_MONOTONIC);
    for (int me = 0; me < 3; me++)
        if (fork() == 0) {
            char c;
            for (int i = 0; i < 300; i++) {
                read(turn[me][0], &c, 1);
                int64_t now = (i + me) % 3 ? by_vdso(CLOCK_MONOTONIC) : by_call(CLOCK_MONOTONIC);
                wrong += now < *last;
                *last = now;
                write(turn[(me + 1) % 3][1], "x", 1);
            }
            _exit(wrong != 0);
        }
    write(turn[0][1], "x", 1);
    for (int i = 0; i < 3; i++) {
        int status;
        wait(&status);
        wrong += status != 0;
    }
    NOTE("between processes %d, and behind them %d", wrong, by_vdso(CLOCK_MONOTONIC) >= *last);
}

/* Interrupted in the middle of it, is the way back to main() found? */
static volatile int inside, unwound;
extern int main(int, char **);

static void on_alarm(int signo, siginfo_t *info, void *context)
{
    uintptr_t pc = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (pc - (uintptr_t)image >= 2 * PAGE)
        return;
    inside++;
    void *frames[20];
    int count = backtrace(frames, 20);
    char **names = backtrace_symbols(frames, count);
    for (int i = 0; i < count; i++)
        if (strstr(names[i], "(main+"))
            unwound++;
    free(names);
}

static void unwind(void)
{
    void *warm[4];
    backtrace(warm, 4); /* loads libgcc_s, not to be done in a handler */
    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    int64_t last = 0, wrong = 0;
    while (inside < 5) {
        int64_t now = by_vdso(CLOCK_MONOTONIC);
        wrong += now < last;
        last = now;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){}, NULL);
    NOTE("interrupted in it, found main every time %d; went back %ld times", inside == unwound, (long)wrong);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        vdso_gettime = (gettime_t)((char *)getauxval(AT_SYSINFO_EHDR) + atol(argv[1]));
        NOTE("after exec: went on %d", by_vdso(CLOCK_MONOTONIC) >= atoll(argv[2]));
        return 0;
    }
    parse();
    mapped();
    clocks();
    time_of_day();
    cpu_number();
    between_processes();
    unwind();
    char offset[24], now[24];
    sprintf(offset, "%ld", (long)((char *)vdso_gettime - image));
    fflush(stdout);
    sprintf(now, "%lld", (long long)by_vdso(CLOCK_MONOTONIC));
    execl("/proc/self/exe", argv[0], offset, now, NULL);
    return 1;
}

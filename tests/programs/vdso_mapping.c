// The vDSO's two mappings are not like others: they cannot be split or grow, and the data cannot be written.
#include "show.h"
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/wait.h>

static char *vdso, *vvar;
static size_t vdso_size, vvar_size; /* of the first mapping of data; newer versions of Linux have another behind it */
static sigjmp_buf back;

static void look(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4400];
    unsigned long start, end;
    vdso = vvar = NULL;
    while (fgets(line, sizeof line, maps)) {
        sscanf(line, "%lx-%lx", &start, &end);
        if (strstr(line, "[vvar]"))
            vvar = (char *)start, vvar_size = end - start;
        if (strstr(line, "[vdso]"))
            vdso = (char *)start, vdso_size = end - start;
    }
    fclose(maps);
}

static void on_fault(int signo)
{
    siglongjmp(back, signo);
}

/* One after the other, each in a process of its own. */
#define ALONE(...)                                                                                                     \
    do {                                                                                                               \
        int status;                                                                                                    \
        fflush(stdout);                                                                                                \
        if (fork() == 0) {                                                                                             \
            __VA_ARGS__;                                                                                               \
            fflush(stdout);                                                                                            \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        wait(&status);                                                                                                 \
        if (status)                                                                                                    \
            NOTE("status %x", status);                                                                                 \
    } while (0)

#define FAULTS(action)                                                                                                 \
    do {                                                                                                               \
        int signo = sigsetjmp(back, 1);                                                                                \
        if (signo == 0)                                                                                                \
            action;                                                                                                    \
        NOTE(#action ": signal %d", signo);                                                                            \
    } while (0)

static volatile char sink;

int main(void)
{
    char *elsewhere = (char *)0x10000000;
    struct timespec t;
    look();
    NOTE("auxv agrees %d", (char *)getauxval(AT_SYSINFO_EHDR) == vdso);
    ALONE(SHOW(munmap(vdso, PAGE)); SHOW(munmap(vdso + PAGE, PAGE)); SHOW(munmap(vvar, PAGE)));
    ALONE(SHOW(munmap(vdso - PAGE, 2 * PAGE)); SHOW(munmap(vdso, vdso_size)); look(); NOTE("gone %d", !vdso);
          SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t)));
    ALONE(SHOW(munmap(vvar, vvar_size)));
    ALONE(SHOW(mprotect(vdso, PAGE, PROT_READ)); SHOW(mprotect(vdso, PAGE, PROT_READ | PROT_EXEC));
          SHOW(mprotect(vdso, vdso_size, PROT_READ)));
    ALONE(char first = vdso[0]; SHOW(mprotect(vdso, vdso_size, PROT_READ | PROT_WRITE | PROT_EXEC)); vdso[0] = 'x';
          NOTE("written %d", vdso[0] == 'x'); vdso[0] = first; NOTE("still works %d", clock_gettime(1, &t)));
    NOTE("nobody else saw it %d", vdso[0] == 0x7f);
    ALONE(SHOW(mprotect(vvar, vvar_size, PROT_READ | PROT_WRITE)); SHOW(mprotect(vvar, vvar_size, PROT_READ | PROT_EXEC));
          SHOW(mprotect(vvar, PAGE, PROT_READ)); SHOW(mprotect(vvar, PAGE, PROT_NONE)));
    ALONE(TRY(mremap(vdso, vdso_size, vdso_size + PAGE, MREMAP_MAYMOVE)); TRY(mremap(vdso, vdso_size, PAGE, 0));
          TRY(mremap(vdso, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere));
          TRY(mremap(vdso, vdso_size, vdso_size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
          TRY(mremap(vvar, vvar_size, vvar_size + PAGE, MREMAP_MAYMOVE)));
    ALONE(TRY(mremap(vdso, vdso_size, vdso_size, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere)); look();
          NOTE("moved %d %lu", vdso == elsewhere, vdso_size / PAGE));
    ALONE(TRY(mremap(vvar, vvar_size, vvar_size, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere)); look();
          NOTE("moved %d", vvar == elsewhere));
    ALONE(SHOW(mlock(vdso, vdso_size)); SHOW(mlock(vdso, PAGE)); SHOW(mlock(vvar, vvar_size));
          SHOW(mlockall(MCL_CURRENT)); SHOW(munlock(vdso, PAGE)));
    ALONE(SHOW(madvise(vdso, PAGE, MADV_DONTNEED)); SHOW(madvise(vdso, PAGE, MADV_DONTFORK));
          SHOW(madvise(vdso, vdso_size, MADV_DONTFORK)); SHOW(madvise(vdso, vdso_size, MADV_DODUMP));
          SHOW(madvise(vdso, PAGE, MADV_FREE)); SHOW(madvise(vdso, vdso_size, MADV_WIPEONFORK));
          SHOW(madvise(vdso, vdso_size, MADV_COLD)); SHOW(madvise(vdso, PAGE, MADV_POPULATE_READ)));
    ALONE(SHOW(madvise(vvar, vvar_size, MADV_DODUMP)); SHOW(madvise(vvar, PAGE, MADV_DONTNEED));
          SHOW(madvise(vvar, vvar_size, MADV_DOFORK)); SHOW(madvise(vvar, vvar_size, MADV_DONTFORK));
          SHOW(madvise(vvar, PAGE, MADV_POPULATE_READ)); SHOW(madvise(vvar, PAGE, MADV_COLD)));
    ALONE(TRY(mmap(vdso, PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
          TRY(mmap(vdso, vdso_size, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); look();
          NOTE("replaced %d", !vdso));
    ALONE(int fd = open("/proc/self/mem", O_RDWR); char buffer[16]; SHOW(pread(fd, buffer, 16, (off_t)vdso));
          SHOW(pread(fd, buffer, 16, (off_t)vvar)); SHOW(pwrite(fd, buffer, 1, (off_t)vvar)));
    ALONE(int ends[2]; SHOW(pipe(ends)); SHOW(write(ends[1], vvar, 16)); SHOW(write(ends[1], vdso, 16));
          SHOW(read(ends[0], vdso, 1)); SHOW(read(ends[0], vvar, 1)));
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    FAULTS(sink = vvar[0]);
    FAULTS(sink = vvar[3 * PAGE]);
    FAULTS(vvar[0] = 1);
    FAULTS(vdso[0] = 1);
    FAULTS(((void (*)(void))vvar)());
    FAULTS(clock_gettime(CLOCK_MONOTONIC, (void *)8));
    return 0;
}

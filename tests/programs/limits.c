// getrlimit, setrlimit, prlimit64 and what they say in /proc.
#include "show.h"

static void show(int resource)
{
    struct rlimit l = {1, 2};
    label(getrlimit(resource, &l), "getrlimit %d", resource);
    NOTE("%lx %lx", l.rlim_cur, l.rlim_max);
}

int main(void)
{
    for (int resource = 0; resource < 17; resource++)
        show(resource);
    show(-1);
    struct rlimit l = {100, 50}, old = {0, 0};
    SHOW(setrlimit(RLIMIT_NOFILE, &l));
    l = (struct rlimit){64, 1 << 21};
    SHOW(setrlimit(RLIMIT_NOFILE, &l));
    l = (struct rlimit){16, 512};
    SHOW(setrlimit(RLIMIT_NOFILE, &l));
    show(RLIMIT_NOFILE);
    int last = -1;
    for (int i = 0; i < 20; i++) {
        int fd = open("/dev/null", O_RDONLY);
        if (fd < 0)
            break;
        last = fd;
    }
    SHOW(last); SHOW(open("/dev/null", O_RDONLY)); SHOW(dup2(0, 15)); SHOW(dup2(0, 16)); SHOW(fcntl(0, F_DUPFD, 16));
    l = (struct rlimit){32, 512};
    SHOW(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &l, &old)); NOTE("%lu %lu", old.rlim_cur, old.rlim_max);
    SHOW(syscall(SYS_prlimit64, getpid(), RLIMIT_NOFILE, NULL, &old)); NOTE("%lu %lu", old.rlim_cur, old.rlim_max);
    SHOW(syscall(SYS_prlimit64, 0x7ffffff0, RLIMIT_NOFILE, NULL, &old)); SHOW(syscall(SYS_prlimit64, 0, 99, NULL, NULL));
    SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CORE, (void *)8, NULL)); SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, (void *)8));
    l = (struct rlimit){0, 4096};
    SHOW(setrlimit(RLIMIT_CORE, &l));
    l = (struct rlimit){0, 8192};
    SHOW(setrlimit(RLIMIT_CORE, &l));
    SHOW(getrlimit(RLIMIT_CORE, (void *)8)); SHOW(setrlimit(RLIMIT_CORE, (void *)8));
    show_file("/proc/self/limits");
    if (geteuid() == 0) {
        SHOW(setresuid(1000, 1000, 1000));
        SHOW(setrlimit(RLIMIT_CORE, &l));
        l = (struct rlimit){0, 1024};
        SHOW(setrlimit(RLIMIT_CORE, &l));
    }
    return 0;
}

// Strings and structs at unmapped memory, one byte at a time around the edge.
#include "show.h"
#include <poll.h>
#include <sys/select.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

static char *end;

/* The place of an object of `size` bytes whose last byte is not mapped, and where it just fits. */
#define FAULTS(text, size, call)                                       \
    do {                                                               \
        char *p;                                                       \
        p = end - (size);                                              \
        memset(p, 0, size);                                            \
        label((call) == -1 ? -1 : 0, "%s fits", text);                 \
        p = end - (size) + 1;                                          \
        label((call) == -1 ? -1 : 0, "%s one byte short", text);       \
        p = end - 1;                                                   \
        label((call) == -1 ? -1 : 0, "%s at the last byte", text);     \
        p = end;                                                       \
        label((call) == -1 ? -1 : 0, "%s unmapped", text);             \
        p = (char *)8;                                                 \
        label((call) == -1 ? -1 : 0, "%s 8", text);                    \
        p = (char *)-8;                                                \
        label((call) == -1 ? -1 : 0, "%s -8", text);                   \
    } while (0)

static void strings(void)
{
    static const struct {
        const char *name;
        int number, argument;
    } calls[] = {
        {"open", SYS_open, 0}, {"openat", SYS_openat, 1}, {"stat", SYS_stat, 0}, {"lstat", SYS_lstat, 0},
        {"access", SYS_access, 0}, {"mkdir", SYS_mkdir, 0}, {"rmdir", SYS_rmdir, 0}, {"unlink", SYS_unlink, 0},
        {"rename", SYS_rename, 0}, {"link", SYS_link, 0}, {"symlink", SYS_symlink, 0}, {"readlink", SYS_readlink, 0},
        {"chmod", SYS_chmod, 0}, {"chown", SYS_chown, 0}, {"truncate", SYS_truncate, 0}, {"chdir", SYS_chdir, 0},
        {"statfs", SYS_statfs, 0}, {"utimensat", SYS_utimensat, 1}, {"execve", SYS_execve, 0},
        {"memfd_create", SYS_memfd_create, 0}, {"getxattr", SYS_getxattr, 0}, {"mknod", SYS_mknod, 0},
        {"creat", SYS_creat, 0}, {"newfstatat", SYS_newfstatat, 1}, {"statx", SYS_statx, 1},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int kind = 0; kind < 4; kind++) {
            char *bad = kind == 0 ? end : kind == 1 ? end - 1 : kind == 2 ? (char *)8 : (char *)-8;
            if (kind == 1)
                *bad = 'x';
            long first = calls[i].argument == 0 ? (long)bad : AT_FDCWD;
            label(syscall(calls[i].number, first, calls[i].argument == 1 ? (long)bad : 0, 0, 0, 0), "%s kind %d", calls[i].name,
                  kind);
        }
    strcpy(end - 5, "file");
    make_file("file", "x");
    SHOW(access(end - 5, F_OK));
    SHOW(rename(end - 5, end));
    SHOW(link(end - 5, (char *)8));
    SHOW(symlink(end, "x"));
    SHOW(readlink("/proc/self/exe", end, 10));
    symlink("target", "sym");
    SHOW(readlink("sym", end - 3, 10));
    SHOW(readlink("sym", end - 6, 10));
    SHOW(readlink("sym", end - 3, 3));
}

int main(void)
{
    end = island(1) + PAGE;
    strings();
    int fd = open("file", O_RDWR | O_CREAT, 0644), pipes[2];
    char small[64];
    (void)small;
    FAULTS("stat", sizeof(struct stat), syscall(SYS_stat, "file", p));
    FAULTS("fstat", sizeof(struct stat), syscall(SYS_fstat, fd, p));
    FAULTS("statx", sizeof(struct statx), syscall(SYS_statx, AT_FDCWD, "file", 0, 0, p));
    FAULTS("uname", 390, syscall(SYS_uname, p));
    FAULTS("sysinfo", sizeof(struct sysinfo), syscall(SYS_sysinfo, p));
    FAULTS("getrusage", sizeof(struct rusage), syscall(SYS_getrusage, 0, p));
    FAULTS("getrlimit", sizeof(struct rlimit), syscall(SYS_getrlimit, RLIMIT_CORE, p));
    FAULTS("setrlimit", sizeof(struct rlimit), syscall(SYS_setrlimit, RLIMIT_CORE, p));
    FAULTS("prlimit", sizeof(struct rlimit), syscall(SYS_prlimit64, 0, RLIMIT_CORE, 0, p));
    FAULTS("times", sizeof(struct tms), syscall(SYS_times, p));
    FAULTS("gettimeofday", sizeof(struct timeval), syscall(SYS_gettimeofday, p, 0));
    FAULTS("time zone", sizeof(struct timezone), syscall(SYS_gettimeofday, 0, p));
    FAULTS("time", sizeof(long), syscall(SYS_time, p));
    FAULTS("clock_gettime", sizeof(struct timespec), syscall(SYS_clock_gettime, 1, p));
    FAULTS("clock_getres", sizeof(struct timespec), syscall(SYS_clock_getres, 1, p));
    FAULTS("nanosleep", sizeof(struct timespec), syscall(SYS_nanosleep, p, 0));
    FAULTS("clock_nanosleep", sizeof(struct timespec), syscall(SYS_clock_nanosleep, 1, 0, p, 0));
    FAULTS("getcpu", 4, syscall(SYS_getcpu, p, 0, 0));
    FAULTS("getgroups", 4, syscall(SYS_getgroups, 1, p));
    FAULTS("getresuid", 4, syscall(SYS_getresuid, small, small, p));
    FAULTS("getresgid", 4, syscall(SYS_getresgid, p, small, small));
    FAULTS("sched_getaffinity", 8, syscall(SYS_sched_getaffinity, 0, 8, p));
    FAULTS("poll", sizeof(struct pollfd), syscall(SYS_poll, p, 1, 0));
    FAULTS("ppoll timeout", sizeof(struct timespec), syscall(SYS_ppoll, 0, 0, p, 0, 0));
    FAULTS("select set", 8, syscall(SYS_select, 1, p, 0, 0, &(struct timeval){0, 0}));
    FAULTS("select timeout", sizeof(struct timeval), syscall(SYS_select, 0, 0, 0, 0, p));
    FAULTS("pselect timeout", sizeof(struct timespec), syscall(SYS_pselect6, 0, 0, 0, 0, p, 0));
    FAULTS("statfs", sizeof(struct statfs), syscall(SYS_fstatfs, fd, p));
    FAULTS("rt_sigprocmask old", 8, syscall(SYS_rt_sigprocmask, 0, 0, p, 8));
    FAULTS("rt_sigprocmask new", 8, syscall(SYS_rt_sigprocmask, 0, p, 0, 8));
    FAULTS("rt_sigpending", 8, syscall(SYS_rt_sigpending, p, 8));
    FAULTS("rt_sigaction old", 32, syscall(SYS_rt_sigaction, SIGUSR1, 0, p, 8));
    FAULTS("rt_sigaction new", 32, syscall(SYS_rt_sigaction, SIGUSR1, p, 0, 8));
    FAULTS("sigaltstack old", 24, syscall(SYS_sigaltstack, 0, p));
    FAULTS("sendfile offset", 8, syscall(SYS_sendfile, 1, fd, p, 0));
    FAULTS("fcntl lock", sizeof(struct flock), syscall(SYS_fcntl, fd, F_GETLK, p));
    FAULTS("FIONREAD", 4, syscall(SYS_ioctl, fd, 0x541b, p));
    FAULTS("utimensat times", 2 * sizeof(struct timespec), syscall(SYS_utimensat, AT_FDCWD, "file", p, 0));
    FAULTS("prctl name", 16, syscall(SYS_prctl, 16, p, 0, 0, 0));
    FAULTS("set_robust_list", 24, syscall(SYS_set_robust_list, p, 24));
    FAULTS("arch_prctl get fs", 8, syscall(SYS_arch_prctl, 0x1003, p));
    FAULTS("mincore", 1, syscall(SYS_mincore, (long)end - PAGE, PAGE, p));
    FAULTS("getitimer", sizeof(struct itimerval), syscall(SYS_getitimer, 0, p));
    FAULTS("openat2", 24, syscall(SYS_openat2, AT_FDCWD, "file", p, 24));

    int before = dup(0);
    close(before);
    SHOW(syscall(SYS_pipe2, end - 4, 0));
    SHOW(syscall(SYS_pipe, end));
    SHOW(syscall(SYS_pipe2, 8, 0));
    int after = dup(0);
    NOTE("no descriptor was lost: %d", before == after);
    (void)pipes;
    return 0;
}

// statfs, fstatfs, ustat.
#include "show.h"
#include <sys/statfs.h>

static void look(const char *what, long result, const struct statfs *s, int whole)
{
    if (result < 0) {
        NOTE("%s: %s", what, errno_name(errno));
        return;
    }
    NOTE("%s: type %lx bsize %ld frsize %ld namelen %ld", what, (long)s->f_type, (long)s->f_bsize, (long)s->f_frsize,
         (long)s->f_namelen);
    if (whole)
        NOTE("  blocks %ld files %ld free enough %d", (long)s->f_blocks, (long)s->f_files,
             s->f_bfree <= s->f_blocks && s->f_bavail <= s->f_bfree && s->f_ffree <= s->f_files);
}

/* sysfs(2): numbers differ from kernel to kernel, and lead back to their names. */
static void types(void)
{
    char name[64] = "";
    long count = syscall(SYS_sysfs, 3), number = syscall(SYS_sysfs, 1, "proc");
    NOTE("count %d, proc is one %d", count > 3, number >= 0 && number < count);
    SHOW((int)syscall(SYS_sysfs, 2, number, name));
    NOTE("%s", name);
    SHOW((int)syscall(SYS_sysfs, 1, "nothing"));
    SHOW((int)syscall(SYS_sysfs, 1, 8L));
    SHOW((int)syscall(SYS_sysfs, 2, count, name));
    SHOW((int)syscall(SYS_sysfs, 2, number, 8L));
    SHOW((int)syscall(SYS_sysfs, 4));
}

static void by_device(void)
{
    struct { int free; unsigned long inodes; char name[12]; } u = {1, 1, {1, 1}};
    struct stat st;
    stat("/proc", &st);
    SHOW((int)syscall(SYS_ustat, (unsigned)st.st_dev, &u));
    NOTE("%d %lu %d", u.free, u.inodes, u.name[0] | u.name[1]);
    SHOW((int)syscall(SYS_ustat, (unsigned)st.st_dev, 8L));
    SHOW((int)syscall(SYS_ustat, 0x7777u, &u));
}

int main(void)
{
    types();
    by_device();
    struct statfs s;
    make_file("file", "x");
    symlink("missing", "dangling");
    int fd = open("file", O_RDONLY), path = open(".", O_PATH);
    look("here", statfs(".", &s), &s, 1);
    look("file", statfs("file", &s), &s, 1);
    look("fd", fstatfs(fd, &s), &s, 1);
    look("path", fstatfs(path, &s), &s, 1);
    look("missing", statfs("missing", &s), &s, 0);
    look("dangling", statfs("dangling", &s), &s, 0);
    look("99", fstatfs(99, &s), &s, 0);
    look("/proc", statfs("/proc", &s), &s, 0);
    look("/proc/self/status", statfs("/proc/self/status", &s), &s, 0);
    look("/dev/shm", statfs("/dev/shm", &s), &s, 0);
    look("/sys", statfs("/sys", &s), &s, 0);
    int pipes[2];
    pipe(pipes);
    look("pipe", fstatfs(pipes[0], &s), &s, 0);
    look("bad", syscall(SYS_statfs, ".", 8), &s, 0);
    look("edge", syscall(SYS_statfs, ".", edge(sizeof s - 1)), &s, 0);
    return 0;
}

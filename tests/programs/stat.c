// stat, lstat, fstat, newfstatat, statx.
#include "show.h"
#include <sys/sysmacros.h>

static void fields(const char *what, int result, const struct stat *st, int times)
{
    if (result < 0) {
        NOTE("%s: %s", what, errno_name(errno));
        return;
    }
    int directory = S_ISDIR(st->st_mode);
    printf("%s: mode %o links %ld uid %d gid %d rdev %u,%u size %ld blksize %ld blocks %ld", what, st->st_mode,
           directory ? -1 : (long)st->st_nlink, st->st_uid, st->st_gid, major(st->st_rdev), minor(st->st_rdev),
           directory ? -1 : (long)st->st_size, (long)st->st_blksize, (long)(S_ISREG(st->st_mode) ? st->st_blocks : 0));
    if (times)
        printf(" a %ld.%09ld m %ld.%09ld", (long)st->st_atim.tv_sec, st->st_atim.tv_nsec, (long)st->st_mtim.tv_sec,
               st->st_mtim.tv_nsec);
    printf("\n");
}

static void extended(const char *what, int dir, const char *path, int flags, unsigned mask)
{
    struct statx st;
    memset(&st, 0xaa, sizeof st);
    if (statx(dir, path, flags, mask, &st) < 0) {
        NOTE("statx %s: %s", what, errno_name(errno));
        return;
    }
    int directory = S_ISDIR(st.stx_mode), untimed = !S_ISREG(st.stx_mode);
    NOTE("statx %s: has %d mode %o links %d uid %d gid %d size %ld rdev %u,%u blksize %u a %ld.%09u m %ld.%09u",
         what, (st.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS, st.stx_mode, directory ? -1 : (int)st.stx_nlink,
         st.stx_uid, st.stx_gid, directory ? -1 : (long)st.stx_size, st.stx_rdev_major, st.stx_rdev_minor,
         st.stx_blksize, untimed ? 0 : (long)st.stx_atime.tv_sec, untimed ? 0 : st.stx_atime.tv_nsec,
         untimed ? 0 : (long)st.stx_mtime.tv_sec, untimed ? 0 : st.stx_mtime.tv_nsec);
}

int main(void)
{
    struct stat st, other;
    struct timespec times[] = {{1000000000, 123456789}, {1234567890, 987654321}};
    make_file("file", "some contents");
    utimensat(AT_FDCWD, "file", times, 0);
    mkdir("dir", 01751);
    symlink("file", "link");
    symlink("nowhere", "dangling");
    mkfifo("fifo", 0604);
    link("file", "hard");
    chmod("file", 06755);
    fields("file", stat("file", &st), &st, 1);
    fields("hard", stat("hard", &other), &other, 1);
    NOTE("same %d", st.st_ino == other.st_ino && st.st_dev == other.st_dev);
    fields("link", stat("link", &st), &st, 1);
    fields("llink", lstat("link", &st), &st, 0);
    fields("dir", stat("dir", &st), &st, 0);
    fields("dir/", stat("dir/", &st), &st, 0);
    fields("dir/.", stat("dir/.", &st), &st, 0);
    fields("file/", stat("file/", &st), &st, 0);
    fields("link/", lstat("link/", &st), &st, 0);
    fields("dangling", stat("dangling", &st), &st, 0);
    fields("ldangling", lstat("dangling", &st), &st, 0);
    fields("fifo", stat("fifo", &st), &st, 0);
    fields("none", stat("none", &st), &st, 0);
    fields("empty", stat("", &st), &st, 0);
    fields("null", stat("/dev/null", &st), &st, 0);
    fields("zero", stat("/dev/zero", &st), &st, 0);
    fields("root", stat("/", &st), &st, 0);
    int fd = open("file", O_RDONLY);
    fields("fstat", fstat(fd, &st), &st, 1);
    fields("fstat 99", fstat(99, &st), &st, 1);
    fields("empty path", fstatat(fd, "", &st, AT_EMPTY_PATH), &st, 1);
    fields("no flag", fstatat(fd, "", &st, 0), &st, 1);
    fields("bad flag", fstatat(fd, "file", &st, 0x10), &st, 1);
    fields("at nofollow", fstatat(AT_FDCWD, "link", &st, AT_SYMLINK_NOFOLLOW), &st, 0);
    fields("at file", fstatat(fd, "x", &st, 0), &st, 0);
    fields("at absolute", fstatat(-7, "/dev/null", &st, 0), &st, 0);
    fields("at cwd empty", fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH), &st, 0);
    fields("automount", fstatat(AT_FDCWD, "file", &st, AT_NO_AUTOMOUNT), &st, 1);
    extended("file", AT_FDCWD, "file", 0, STATX_BASIC_STATS);
    extended("file btime", AT_FDCWD, "file", 0, STATX_ALL);
    
    extended("link", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS);
    extended("reserved", AT_FDCWD, "file", 0, 0x80000000);
    extended("both syncs", AT_FDCWD, "file", 0x6000, STATX_BASIC_STATS);
    extended("dont sync", AT_FDCWD, "file", 0x4000, STATX_BASIC_STATS);
    extended("bad flag", AT_FDCWD, "file", 0x10, STATX_BASIC_STATS);
    extended("fd", fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS);
    extended("empty", fd, "", 0, STATX_BASIC_STATS);
    extended("dir", AT_FDCWD, "dir", 0, STATX_BASIC_STATS);
    extended("null", AT_FDCWD, "/dev/null", 0, STATX_BASIC_STATS);
    int pipes[2];
    pipe(pipes);
    fields("pipe", fstat(pipes[0], &st), &st, 0);
    return 0;
}

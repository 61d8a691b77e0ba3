// chmod, chown, utimensat and their relatives.
#include "show.h"
#include <utime.h>

static void look(const char *name)
{
    struct stat st;
    if (lstat(name, &st) < 0)
        NOTE("%s: %s", name, errno_name(errno));
    else
        NOTE("%s: mode %o uid %d gid %d", name, st.st_mode, st.st_uid, st.st_gid);
}

static void times(const char *name, long now)
{
    struct stat st;
    lstat(name, &st);
    if (st.st_atim.tv_sec > now - 100)
        printf("%s: atime now", name);
    else
        printf("%s: atime %ld.%09ld", name, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec);
    if (st.st_mtim.tv_sec > now - 100)
        printf(" mtime now");
    else
        printf(" mtime %ld.%09ld", (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    printf(" ctime recent %d\n", st.st_ctim.tv_sec > now - 100);
}

int main(void)
{
    long now = time(NULL);
    make_file("file", "x");
    mkdir("dir", 0755);
    symlink("file", "link");
    symlink("nowhere", "dangling");
    int fd = open("file", O_RDONLY), dir = open("dir", O_RDONLY), path = open("file", O_PATH);
    SHOW(chmod("file", 07777));
    look("file");
    SHOW(chmod("file", 0170000 | 0600));
    look("file");
    SHOW(chmod("link", 0644));
    look("file");
    look("link");
    SHOW(chmod("dangling", 0644));
    SHOW(chmod("missing", 0644));
    SHOW(chmod("file/", 0644));
    SHOW(chmod("", 0644));
    SHOW(fchmod(fd, 0711));
    look("file");
    SHOW(fchmod(99, 0711));
    SHOW(fchmod(path, 0711));
    SHOW(fchmod(dir, 01777));
    look("dir");
    SHOW(syscall(SYS_fchmodat, AT_FDCWD, "file", 0640));
    look("file");
    SHOW(syscall(452, AT_FDCWD, "link", 0640, AT_SYMLINK_NOFOLLOW));
    SHOW(syscall(452, path, "", 0604, AT_EMPTY_PATH));
    SHOW(syscall(452, path, "", 0604, 0));
    SHOW(syscall(452, AT_FDCWD, "file", 0604, 0x10));
    look("file");
    SHOW(chown("file", -1, -1));
    SHOW(chown("file", getuid(), getgid()));
    SHOW(lchown("link", getuid(), getgid()));
    SHOW(fchown(fd, getuid(), -1));
    SHOW(fchownat(AT_FDCWD, "link", -1, -1, AT_SYMLINK_NOFOLLOW));
    SHOW(fchownat(fd, "", -1, -1, AT_EMPTY_PATH));
    SHOW(fchownat(fd, "", -1, -1, 0));
    SHOW(fchownat(AT_FDCWD, "file", -1, -1, 0x10));
    SHOW(chown("missing", -1, -1));
    SHOW(chown("dangling", -1, -1));
    SHOW(lchown("dangling", -1, -1));
    if (geteuid() == 0) {
        SHOW(chmod("file", 06755));
        SHOW(chown("file", 1234, 4321));
        look("file");
        SHOW(chmod("file", 06745));
        SHOW(chown("file", 0, -1));
        look("file");
        SHOW(lchown("link", 77, 78));
        look("link");
        SHOW(chown("dir", 5, 6));
        look("dir");
        SHOW(chown("dir", 0, 0));
        SHOW(chmod("file", 06755));
        int w = open("file", O_WRONLY);
        SHOW(write(w, "yy", 2));
        look("file");
    }
    struct timespec set[] = {{1000, 5}, {2000, 999999999}};
    SHOW(utimensat(AT_FDCWD, "file", set, 0));
    times("file", now);
    set[0].tv_nsec = UTIME_OMIT, set[1] = (struct timespec){3000, 0};
    SHOW(utimensat(AT_FDCWD, "file", set, 0));
    times("file", now);
    set[0] = (struct timespec){4000, 1}, set[1].tv_nsec = UTIME_OMIT;
    SHOW(utimensat(AT_FDCWD, "link", set, 0));
    times("file", now);
    SHOW(utimensat(AT_FDCWD, "link", (struct timespec[]){{7, 8}, {9, 10}}, AT_SYMLINK_NOFOLLOW));
    times("link", now);
    set[0].tv_nsec = set[1].tv_nsec = UTIME_OMIT;
    SHOW(utimensat(AT_FDCWD, "missing", set, 0));
    SHOW(utimensat(AT_FDCWD, "file", set, 0));
    set[0].tv_nsec = 1000000000, set[1].tv_nsec = 0;
    SHOW(utimensat(AT_FDCWD, "file", set, 0));
    set[0].tv_nsec = -1;
    SHOW(utimensat(AT_FDCWD, "file", set, 0));
    SHOW(utimensat(AT_FDCWD, "missing", NULL, 0));
    SHOW(utimensat(AT_FDCWD, "file", NULL, 0x10));
    SHOW(syscall(SYS_utimensat, fd, NULL, (struct timespec[]){{11, 12}, {13, 14}}, 0));
    times("file", now);
    SHOW(syscall(SYS_utimensat, path, "", (struct timespec[]){{15, 16}, {17, 18}}, AT_EMPTY_PATH));
    times("file", now);
    SHOW(syscall(SYS_utimensat, 99, NULL, NULL, 0));
    SHOW(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0));
    SHOW(futimens(fd, (struct timespec[]){{-5, 0}, {1, UTIME_NOW}}));
    times("file", now);
    SHOW(syscall(SYS_utimes, "file", (struct timeval[]){{100, 250000}, {200, 999999}}));
    times("file", now);
    SHOW(syscall(SYS_utimes, "file", (struct timeval[]){{100, 1000000}, {200, 0}}));
    SHOW(syscall(SYS_utime, "file", (struct utimbuf[]){{300, 400}}));
    times("file", now);
    SHOW(syscall(SYS_futimesat, AT_FDCWD, "file", (struct timeval[]){{500, 1}, {600, 2}}));
    times("file", now);
    SHOW(syscall(SYS_utime, "file", NULL));
    times("file", now);
    SHOW(utimensat(AT_FDCWD, "dir", (struct timespec[]){{21, 0}, {22, 0}}, 0));
    times("dir", now);
    make_file("dir/new", "");
    times("dir", now);
    SHOW(utimensat(AT_FDCWD, "dir", (struct timespec[]){{21, 0}, {22, 0}}, 0));
    SHOW(utimensat(AT_FDCWD, "dir/new", (struct timespec[]){{0, 0}, {1L << 31, 0}}, 0));
    times("dir/new", now + (1L << 32));
    return 0;
}

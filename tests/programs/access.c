// access, faccessat, faccessat2; and what another user may do.
#include "show.h"
#include <sys/fsuid.h>

static long faccessat2_(int dir, const char *path, int mode, int flags)
{
    return syscall(SYS_faccessat2, dir, path, mode, flags);
}

static void all(const char *path)
{
    for (int mode = 0; mode < 8; mode++)
        label(access(path, mode), "access(%s, %d)", path, mode);
}

int main(void)
{
    make_file("none", "");
    make_file("read", "");
    make_file("write", "");
    make_file("exec", "");
    make_file("all", "");
    chmod("none", 0);
    chmod("read", 0444);
    chmod("write", 0222);
    chmod("exec", 0111);
    chmod("all", 0777);
    mkdir("closed", 0700);
    make_file("closed/inner", "");
    mkdir("shut", 0);
    mkdir("listed", 0744);
    make_file("listed/inner", "");
    mkdir("sticky", 0777);
    chmod("sticky", 01777);
    make_file("sticky/inner", "");
    symlink("none", "link");
    symlink("nowhere", "dangling");
    const char *names[] = {"none", "read", "write", "exec", "all", "closed", "closed/inner", "shut", "link", "dangling",
                           "missing", "listed/inner", "sticky", "", "/dev/null", "."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        all(names[i]);
    SHOW(access("all", 8));
    SHOW(access("all", -1));
    SHOW(faccessat2_(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    SHOW(faccessat2_(AT_FDCWD, "link", R_OK, AT_EACCESS));
    SHOW(faccessat2_(AT_FDCWD, "link", R_OK, 0x10));
    int fd = open("read", O_RDONLY);
    SHOW(faccessat2_(fd, "", R_OK, AT_EMPTY_PATH));
    SHOW(faccessat2_(fd, "", R_OK, 0));
    SHOW(faccessat2_(99, "", R_OK, AT_EMPTY_PATH));
    SHOW(faccessat2_(fd, "x", R_OK, 0));
    if (geteuid() != 0) {
        NOTE("not root: another user's view is not tested");
        return 0;
    }
    chmod(".", 0755);
    SHOW(setgroups(0, NULL));
    SHOW(setresgid(-1, 65534, -1));
    SHOW(setresuid(-1, 65534, -1));
    NOTE("effective only: access still asks for the real user");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        label(access(names[i], R_OK | W_OK), "access(%s)", names[i]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int mode = 0; mode < 8; mode++)
            label(faccessat2_(AT_FDCWD, names[i], mode, AT_EACCESS), "eaccess(%s, %d)", names[i], mode);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int mode = 0; mode < 3; mode++) {
            int got = open(names[i], mode);
            label(got < 0 ? got : 0, "open(%s, %d)", names[i], mode);
            if (got >= 0)
                close(got);
        }
    struct stat st;
    SHOW(stat("closed/inner", &st));
    SHOW(stat("listed/inner", &st));
    SHOW(open("new", O_CREAT | O_WRONLY, 0644));
    SHOW(mkdir("newdir", 0755));
    SHOW(unlink("all"));
    SHOW(unlink("sticky/inner"));
    SHOW(rename("sticky/inner", "sticky/other"));
    SHOW(rename("all", "sticky/all"));
    SHOW(chmod("all", 0700));
    SHOW(chown("all", 65534, -1));
    SHOW(truncate("all", 0));
    SHOW(truncate("read", 0));
    SHOW(chdir("closed"));
    SHOW(chdir("sticky"));
    int mine = open("mine", O_CREAT | O_RDWR, 04755);
    SHOW(mine >= 0);
    SHOW(fstat(mine, &st));
    NOTE("mode %o uid %d gid %d", st.st_mode, st.st_uid, st.st_gid);
    SHOW(fchmod(mine, 0600));
    SHOW(fchown(mine, 0, -1));
    SHOW(fchown(mine, -1, 65534));
    SHOW(unlink("mine"));
    SHOW(utimensat(AT_FDCWD, "../all", NULL, 0));
    SHOW(utimensat(AT_FDCWD, "../read", NULL, 0));
    struct timespec when[2] = {{1, 0}, {2, 0}};
    SHOW(utimensat(AT_FDCWD, "../all", when, 0));
    SHOW(setresuid(0, 0, 0));
    SHOW(access("../none", R_OK));
    return 0;
}

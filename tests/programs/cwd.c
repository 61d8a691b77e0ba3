// chdir, fchdir, getcwd, umask, chroot.
#include "show.h"

static void here(const char *start)
{
    char text[4096];
    long n = syscall(SYS_getcwd, text, sizeof text);
    if (n < 0)
        NOTE("getcwd: %s", errno_name(errno));
    else if (!strncmp(text, start, strlen(start)))
        NOTE("getcwd: <start>%s (%ld)", text + strlen(start), n - (long)strlen(start));
    else
        NOTE("getcwd: %s", text);
}

int main(void)
{
    static char start[4096], small[8];
    getcwd(start, sizeof start);
    mkdir("a", 0755);
    mkdir("a/b", 0755);
    mkdir("closed", 0);
    make_file("file", "");
    symlink("a/b", "link");
    symlink("link/..", "up");
    SHOW(chdir("a"));
    here(start);
    SHOW(chdir("b/"));
    here(start);
    SHOW(chdir(".."));
    here(start);
    SHOW(chdir("../link"));
    here(start);
    SHOW(chdir("../../up"));
    here(start);
    SHOW(chdir(".././a/./b/../../a"));
    here(start);
    SHOW(chdir("missing"));
    SHOW(chdir("../file"));
    SHOW(chdir("../file/"));
    SHOW(chdir(""));
    SHOW(chdir(".."));
    int fd = open("a/b", O_RDONLY), file = open("file", O_RDONLY), path = open("a", O_PATH);
    SHOW(fchdir(fd));
    here(start);
    SHOW(fchdir(path));
    here(start);
    SHOW(fchdir(file));
    SHOW(fchdir(99));
    SHOW(syscall(SYS_getcwd, small, sizeof small));
    SHOW(syscall(SYS_getcwd, small, 0));
    SHOW(syscall(SYS_getcwd, 8, 4096));
    SHOW(chdir("/"));
    here(start);
    SHOW(chdir("/../../.."));
    here(start);
    SHOW(chdir("//usr//bin/"));
    here(start);
    SHOW(chdir("/proc/self"));
    SHOW(chdir(".."));
    here(start);
    SHOW(chdir(start));
    SHOW(rename("a", "renamed"));
    SHOW(fchdir(fd));
    here(start);
    SHOW(chdir(".."));
    here(start);
    mkdir("gone", 0755);
    SHOW(chdir("gone"));
    rmdir("../gone");
    here(start);
    SHOW(open("x", O_CREAT | O_WRONLY, 0644));
    SHOW(mkdir("x", 0755));
    SHOW(open(".", O_RDONLY) >= 0);
    SHOW(chdir(".."));
    here(start);
    SHOW(umask(027));
    SHOW(umask(07777777));
    SHOW(umask(0));
    SHOW(umask(022));
    chdir(start);
    if (geteuid() == 0) {
        mkdir("root", 0755);
        mkdir("root/inside", 0755);
        make_file("root/inside/f", "f");
        symlink("/inside/f", "root/abs");
        SHOW(chroot("missing"));
        SHOW(chroot("file"));
        SHOW(chroot("root"));
        here(start);
        SHOW(chdir("/"));
        here(start);
        SHOW(access("/inside/f", F_OK));
        SHOW(access("abs", F_OK));
        SHOW(access("../../../inside/f", F_OK));
        SHOW(access("/usr/bin", F_OK));
        SHOW(chdir("inside"));
        here(start);
    }
    return 0;
}

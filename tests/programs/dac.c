// Rights on files by capability: each alone, and root without one; groups, sticky and set-group-ID directories, set-ID
// bits that chown and write take away.  Once where the host keeps the files, once in memory.
// run: .
// run: /dev/shm
#include "show.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define B(cap) (1ull << (cap))
#define ALL ((1ull << 41) - 1)
enum { USER = 4321, GROUP = 5432, OTHER = 6543, TEAM = 7654 };

static void set_caps(uint64_t caps)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct old[2], data[2];
    syscall(SYS_capget, &head, old);
    caps &= old[0].permitted | (uint64_t)old[1].permitted << 32;
    data[0] = (struct __user_cap_data_struct){caps, caps, 0};
    data[1] = (struct __user_cap_data_struct){caps >> 32, caps >> 32, 0};
    if (syscall(SYS_capset, &head, data) < 0)
        die("capset");
}

static void mode_of(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        NOTE("  %s: %s", path, errno_name(errno));
    else
        NOTE("  %s: %o %d:%d", path, st.st_mode, st.st_uid, st.st_gid);
}

static void try_open(const char *path, int flags)
{
    int fd = open(path, flags, 0640);
    label(fd < 0 ? fd : 0, "  open(%s, %d)", path, flags & O_ACCMODE);
    if (fd >= 0)
        close(fd);
}

static void made(const char *path, int uid, int gid, int mode)
{
    make_file(path, "text");
    if (chown(path, uid, gid) < 0 || chmod(path, mode) < 0)
        die(path);
}

static void directory(const char *path, int uid, int gid, int mode)
{
    if (mkdir(path, 0700) < 0 || chown(path, uid, gid) < 0 || chmod(path, mode) < 0)
        die(path);
}

static void set_up(void)
{
    directory("t", 0, 0, 0755);
    chdir("t");
    made("mine", USER, GROUP, 0600);
    made("theirs", OTHER, OTHER, 0600);
    made("team", OTHER, TEAM, 0660);
    made("worse", USER, TEAM, 0060);
    made("noexec", OTHER, OTHER, 0644);
    made("exec", OTHER, OTHER, 0100);
    made("suid", OTHER, OTHER, 06777);
    made("mysuid", USER, GROUP, 06775);
    made("mylock", USER, GROUP, 06765);
    made("mysuid2", USER, TEAM, 06777);
    made("link_to", OTHER, OTHER, 0604);
    directory("closed", OTHER, OTHER, 0700);
    made("closed/inner", OTHER, OTHER, 0644);
    directory("sticky", OTHER, OTHER, 01777);
    made("sticky/other", OTHER, OTHER, 0666);
    made("sticky/mine", USER, GROUP, 0666);
    made("sticky/other2", OTHER, OTHER, 0666);
    directory("setgid", OTHER, TEAM, 02777);
    directory("teamdir", OTHER, TEAM, 0770);
    symlink("mine", "link");
    lchown("link", OTHER, OTHER);
}

static void use(void)
{
    try_open("mine", O_RDWR); try_open("theirs", O_RDONLY); try_open("theirs", O_WRONLY); try_open("team", O_RDWR);
    try_open("worse", O_RDONLY); try_open("closed/inner", O_RDONLY); try_open("closed/new", O_CREAT | O_WRONLY);
    try_open("teamdir/new", O_CREAT | O_WRONLY); mode_of("teamdir/new"); try_open("closed", O_RDONLY);
    try_open("theirs", O_RDONLY | O_NOATIME); try_open("new", O_CREAT | O_WRONLY);
    const char *names[] = {"mine", "theirs", "team", "worse", "noexec", "exec", "closed", "closed/inner", "teamdir"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        printf("  %s:", names[i]);
        for (int mode = 0; mode < 8; mode++)
            printf(" %s", syscall(SYS_faccessat2, AT_FDCWD, names[i], mode, AT_EACCESS) ? errno_name(errno) : "0");
        for (int mode = 1; mode < 8; mode++)
            printf(" %s", access(names[i], mode) ? errno_name(errno) : "0");
        puts("");
    }
    SHOW(chmod("mine", 02640)); mode_of("mine"); SHOW(chmod("theirs", 0640)); SHOW(chmod("worse", 02755)); mode_of("worse");
    SHOW(chmod("mine", 0600));
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    SHOW(utimensat(AT_FDCWD, "theirs", old, 0)); SHOW(utimensat(AT_FDCWD, "theirs", NULL, 0));
    SHOW(utimensat(AT_FDCWD, "team", NULL, 0)); SHOW(utimensat(AT_FDCWD, "team", old, 0)); SHOW(utimensat(AT_FDCWD, "mine", old, 0));
    SHOW(chown("mine", -1, TEAM)); mode_of("mine"); SHOW(chown("mine", USER, -1)); SHOW(chown("mine", -1, OTHER));
    SHOW(chown("mine", OTHER, -1)); SHOW(chown("theirs", -1, TEAM)); SHOW(chown("theirs", -1, -1)); SHOW(lchown("link", -1, GROUP));
    SHOW(chown("mysuid", -1, TEAM)); mode_of("mysuid"); SHOW(chown("mylock", -1, -1)); mode_of("mylock");
    int fd = open("suid", O_WRONLY);
    SHOW((int)write(fd, "x", 1)); mode_of("suid"); close(fd);
    SHOW(truncate("mysuid2", 1)); mode_of("mysuid2");
    SHOW(unlink("sticky/other")); SHOW(rename("sticky/other2", "sticky/away")); SHOW(rename("sticky/mine", "sticky/other2"));
    SHOW(unlink("sticky/mine"));
    SHOW(mkdir("setgid/dir", 0777)); mode_of("setgid/dir"); try_open("setgid/file", O_CREAT | O_WRONLY); mode_of("setgid/file");
    fd = open("setgid/exec", O_CREAT | O_WRONLY, 02755); SHOW(fd >= 0); close(fd); mode_of("setgid/exec");
    fd = creat("sticky/set-id", 06755); SHOW(fd >= 0); close(fd); mode_of("sticky/set-id");
    fd = creat("sticky/set-id", 0755); SHOW(fd >= 0); close(fd); mode_of("sticky/set-id");
    SHOW(mknod("setgid/fifo", S_IFIFO | 0666, 0)); mode_of("setgid/fifo"); SHOW(mknod("setgid/null", S_IFCHR | 0666, 0x103));
    SHOW(symlink("x", "setgid/link")); mode_of("setgid/link");
    SHOW(link("link_to", "sticky/hard")); SHOW(link("suid", "sticky/hard2")); SHOW(link("mine", "sticky/hard3"));
    SHOW(link("noexec", "sticky/hard4")); SHOW(link("closed/inner", "sticky/hard5"));
    SHOW(setxattr("theirs", "user.a", "1", 1, 0)); SHOW(setxattr("team", "user.a", "1", 1, 0));
    SHOW(setxattr("mine", "trusted.a", "1", 1, 0)); SHOW((int)getxattr("mine", "trusted.a", NULL, 0));
    SHOW((int)getxattr("theirs", "user.a", NULL, 0)); SHOW(removexattr("theirs", "user.a"));
    SHOW((int)listxattr("mine", NULL, 0)); SHOW(setxattr("sticky", "user.a", "1", 1, 0)); SHOW(setxattr("link", "user.a", "1", 1, 0));
    SHOW(rename("teamdir", "sticky/teamdir")); SHOW(rename("setgid/dir", "sticky/dir")); SHOW(rmdir("sticky/dir"));
    SHOW(chdir("closed")); SHOW(chdir("teamdir"));
}

static void as(const char *where, const char *who, int uid, uint64_t caps)
{
    if (chdir(where) < 0)
        die(where);
    NOTE("%s", who);
    fflush(stdout);
    umask(0);
    pid_t pid = fork();
    if (!pid) {
        set_up();
        gid_t team = TEAM;
        setgroups(1, &team);
        if (uid) {
            prctl(PR_SET_KEEPCAPS, 1);
            setresgid(GROUP, GROUP, GROUP);
            setresuid(uid, uid, uid);
        }
        set_caps(caps);
        use();
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    NOTE("  status %x", status);
    fflush(stdout);
    if (system("rm -rf t"))
        die("rm");
}

int main(int argc, char **argv)
{
    if (geteuid()) {
        NOTE("only root can be everybody");
        return 0;
    }
    char *home = getcwd(NULL, 0);
    const char *where = argv[1];
    if (where[0] == '/') {
        static char fresh[64];
        snprintf(fresh, sizeof fresh, "%s/lxrun-dac-XXXXXX", where);
        where = mkdtemp(fresh);
        chmod(where, 0755);
    } else
        where = home;
    as(where, "user", USER, 0);
    as(where, "CAP_CHOWN", USER, B(CAP_CHOWN));
    as(where, "CAP_DAC_OVERRIDE", USER, B(CAP_DAC_OVERRIDE));
    as(where, "CAP_DAC_READ_SEARCH", USER, B(CAP_DAC_READ_SEARCH));
    as(where, "CAP_FOWNER", USER, B(CAP_FOWNER));
    as(where, "CAP_FSETID", USER, B(CAP_FSETID));
    as(where, "CAP_MKNOD", USER, B(CAP_MKNOD));
    as(where, "CAP_SYS_ADMIN", USER, B(CAP_SYS_ADMIN));
    as(where, "root", 0, ALL);
    as(where, "root without anything", 0, 0);
    as(where, "root without CAP_DAC_OVERRIDE", 0, ALL & ~B(CAP_DAC_OVERRIDE));
    if (where != home) {
        chdir(home);
        rmdir(where);
    }
    return 0;
}

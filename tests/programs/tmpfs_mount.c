/* Memory mounted as a file system, with its options; without CAP_SYS_ADMIN mount is refused, and that is compared. */
#include "show.h"
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static char cwd[200];

static void mounted(void)
{
    char line[512], want[300];
    snprintf(want, sizeof want, "mem %s/m tmpfs ", cwd);
    FILE *f = fopen("/proc/mounts", "r");
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, want, strlen(want)))
            printf("in /proc/mounts: %s", line + strlen(want));
    fclose(f);
}

static void info(void)
{
    struct stat st;
    struct statvfs fs;
    SHOW(statvfs("m", &fs));
    NOTE("flags %lx blocks %ld free %ld", fs.f_flag & 0xf, (long)fs.f_blocks, (long)fs.f_bfree);
    SHOW(stat("m", &st));
    NOTE("root: mode %o uid %d gid %d links %ld", st.st_mode, st.st_uid, st.st_gid, (long)st.st_nlink);
}

static void run(const char *path)
{
    int status;
    pid_t pid = fork();
    if (!pid) {
        execl(path, path, "child", NULL);
        _exit(errno);
    }
    waitpid(pid, &status, 0);
    NOTE("run: %d", WEXITSTATUS(status));
}

static void copy_of_this(const char *to)
{
    static char buffer[1 << 16];
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_CREAT | O_WRONLY, 0755);
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, n) != n)
            die("write");
    close(in);
    close(out);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return argc == 2 && !strcmp(argv[1], "child") ? 77 : 1;
    struct stat here, there;
    getcwd(cwd, sizeof cwd);
    mkdir("m", 0755);
    make_file("m/hidden", "");
    make_file("file", "");
    SHOW(mount("mem", "nothing", "tmpfs", 0, NULL));
    SHOW(umount("m"));
    if (SHOW(mount("mem", "m", "tmpfs", 0, "size=64k,mode=700,uid=5,gid=6")) < 0) {
        unlink("m/hidden");
        return rmdir("m");
    }
    mounted();
    info();
    SHOW(access("m/hidden", F_OK));
    SHOW(stat(".", &here));
    SHOW(stat("m", &there));
    NOTE("another device %d", here.st_dev != there.st_dev);
    SHOW(rename("file", "m/file"));
    SHOW(link("file", "m/file"));
    SHOW(rmdir("m"));
    int fd = open("m/data", O_CREAT | O_RDWR, 0644);
    static char block[PAGE];
    int wrote = 0;
    while (write(fd, block, PAGE) == PAGE)
        wrote++;
    NOTE("pages written %d: %s", wrote, errno_name(errno));
    info();
    SHOW(umount("m"));
    SHOW(mount("mem", "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    SHOW(ftruncate(fd, 0));
    close(fd);
    SHOW(mount("mem", "m", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID, NULL));
    info();
    SHOW(open("m/data", O_RDWR));
    SHOW(open("m/new", O_CREAT | O_RDONLY, 0600));
    SHOW(mkdir("m/dir", 0700));
    SHOW(unlink("m/data"));
    SHOW(chmod("m/data", 0600));
    SHOW(access("m/data", W_OK));
    SHOW(access("m/data", R_OK));
    SHOW(mount("mem", "file", NULL, MS_REMOUNT, NULL));
    SHOW(umount("m"));
    SHOW(access("m/hidden", F_OK));

    SHOW(mount("mem", "m", "tmpfs", MS_NOEXEC | MS_NOSUID | MS_NODEV | MS_NOATIME, "size=5000k"));
    mounted();
    info();
    SHOW(access("m/data", F_OK));
    copy_of_this("m/program");
    SHOW(access("m/program", X_OK));
    SHOW(access("m", X_OK));
    run("m/program");
    fd = open("m/program", O_RDONLY);
    SHOW(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
    void *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    SHOW(munmap(p, PAGE));
    close(fd);
    SHOW(mount("mem", "m", NULL, MS_REMOUNT, NULL));
    run("m/program");
    SHOW(umount2("m", 0));

    SHOW(mount("mem", "m", "tmpfs", 0, "mode=4x"));
    SHOW(mount("mem", "m", "tmpfs", 0, "size=x"));
    SHOW(mount("mem", "m", "tmpfs", 0, "what=1"));
    SHOW(mount("mem", "file", "tmpfs", 0, NULL));
    SHOW(mount("mem", "m", "tmpfs", MS_RDONLY, ""));
    SHOW(open("m/new", O_CREAT | O_WRONLY, 0600));
    SHOW(chdir("m"));
    SHOW(umount2("../m", 0));
    SHOW(umount2("../m", MNT_DETACH));
    SHOW(chdir(cwd));
    SHOW(access("m/hidden", F_OK));
    unlink("m/hidden");
    unlink("file");
    return rmdir("m");
}

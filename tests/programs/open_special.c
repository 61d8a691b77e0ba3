// Unnamed files, O_PATH descriptors, O_APPEND, creat, openat2.
#include "show.h"
#include <linux/openat2.h>

static long openat2_(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static void temporary(void)
{
    char proc[64];
    int fd = SHOW(open(".", O_TMPFILE | O_RDWR, 0600));
    struct stat st;
    fstat(fd, &st);
    NOTE("links %ld mode %o", (long)st.st_nlink, st.st_mode);
    SHOW(write(fd, "unnamed", 7));
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    SHOW(linkat(AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    show_file("named");
    fstat(fd, &st);
    NOTE("links %ld", (long)st.st_nlink);
    SHOW(linkat(fd, "", AT_FDCWD, "named2", AT_EMPTY_PATH));
    close(fd);
    fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0644);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    SHOW(linkat(AT_FDCWD, proc, AT_FDCWD, "named3", AT_SYMLINK_FOLLOW));
    close(fd);
    SHOW(open("named", O_TMPFILE | O_RDWR, 0600));
    SHOW(open("nowhere", O_TMPFILE | O_RDWR, 0600));
    SHOW(open(".", O_TMPFILE | O_RDONLY, 0600));
}

static void path_only(void)
{
    char data[16];
    struct stat st;
    make_file("file", "contents");
    int fd = SHOW(open("file", O_PATH));
    SHOW(fcntl(fd, F_GETFL));
    SHOW(read(fd, data, sizeof data));
    SHOW(write(fd, data, 1));
    SHOW(pread(fd, data, 4, 0));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(ftruncate(fd, 0));
    SHOW(fchmod(fd, 0600));
    SHOW(fchown(fd, -1, -1));
    SHOW(fsync(fd));
    SHOW(ioctl(fd, 0x541b, &st));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    SHOW(fgetxattr(fd, "user.x", data, 4));
    SHOW(fcntl(fd, F_SETFL, O_APPEND));
    SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, 20));
    SHOW(fstat(fd, &st));
    NOTE("size %ld", (long)st.st_size);
    SHOW(futimens(fd, NULL));
    SHOW(linkat(fd, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
    SHOW(fchmodat(fd, "", 0600, AT_EMPTY_PATH));
    SHOW(faccessat(fd, "", R_OK, AT_EMPTY_PATH));
    SHOW(close(fd));
    symlink("file", "sym");
    fd = SHOW(open("sym", O_PATH | O_NOFOLLOW));
    SHOW(fstat(fd, &st));
    NOTE("is link %d", S_ISLNK(st.st_mode));
    memset(data, 0, sizeof data);
    SHOW(readlinkat(fd, "", data, sizeof data));
    NOTE("target %s", data);
    SHOW(openat(fd, "x", O_RDONLY));
    close(fd);
    mkdir("dir", 0755);
    make_file("dir/inner", "inner");
    fd = SHOW(open("dir", O_PATH));
    int inner = SHOW(openat(fd, "inner", O_RDONLY));
    SHOW(read(inner, data, sizeof data));
    SHOW(fchdir(fd));
    show_file("inner");
    SHOW(syscall(SYS_getdents64, fd, data, sizeof data));
    SHOW(chdir(".."));
    SHOW(flock(fd, 1));
    SHOW(dup2(fd, 30));
}

static void appending(void)
{
    make_file("log", "12345");
    int a = open("log", O_RDWR | O_APPEND), b = open("log", O_WRONLY);
    char data[32];
    SHOW(write(a, "ab", 2));
    SHOW(lseek(a, 0, SEEK_CUR));
    SHOW(lseek(a, 0, SEEK_SET));
    SHOW(read(a, data, 3));
    SHOW(write(a, "cd", 2));
    SHOW(lseek(a, 0, SEEK_CUR));
    SHOW(pwrite(a, "PP", 2, 0));
    SHOW(write(b, "__", 2));
    show_file("log");
    SHOW(fcntl(a, F_SETFL, 0));
    SHOW(lseek(a, 1, SEEK_SET));
    SHOW(write(a, "!", 1));
    SHOW(fcntl(b, F_SETFL, O_APPEND | O_NONBLOCK));
    SHOW(write(b, "end", 3));
    NOTE("flags %o", fcntl(b, F_GETFL));
    show_file("log");
}

static void how(void)
{
    make_file("plain", "plain");
    mkdir("sub", 0755);
    make_file("sub/in", "in");
    symlink("../plain", "sub/up");
    symlink("/etc/passwd", "sub/abs");
    symlink("in", "sub/rel");
    int dir = open("sub", O_RDONLY | O_DIRECTORY);
    SHOW(openat2_(dir, "in", O_RDONLY, 0, 0));
    SHOW(openat2_(dir, "in", O_RDONLY, 0644, 0));
    SHOW(openat2_(dir, "new", O_CREAT | O_WRONLY, 0644, 0));
    SHOW(openat2_(dir, "new2", O_CREAT | O_WRONLY, 0644 | 010000, 0));
    SHOW(openat2_(dir, "in", 1ull << 40, 0, 0));
    SHOW(openat2_(dir, "in", O_RDONLY, 0, 1 << 20));
    SHOW(openat2_(dir, "up", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2_(dir, "../plain", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2_(dir, "abs", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2_(dir, "rel", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2_(dir, "rel", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    SHOW(openat2_(dir, "in", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    SHOW(openat2_(dir, "/etc/passwd", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(openat2_(dir, "/in", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(openat2_(dir, "../../in", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(openat2_(dir, "abs", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(openat2_(dir, "/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    SHOW(openat2_(dir, "/proc/self/exe", O_RDONLY | O_CREAT, 0600, RESOLVE_NO_MAGICLINKS));
    SHOW(openat2_(dir, "/proc/self/exe", O_RDONLY | O_CREAT, 0600, RESOLVE_NO_SYMLINKS));
    SHOW(openat2_(AT_FDCWD, "/proc/self", O_RDONLY, 0, RESOLVE_NO_XDEV));
    SHOW(openat2_(dir, "in", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
    struct {
        struct open_how how;
        uint64_t more;
    } big = {.how = {.flags = O_RDONLY}};
    SHOW(syscall(SYS_openat2, dir, "in", &big, sizeof big));
    big.more = 1;
    SHOW(syscall(SYS_openat2, dir, "in", &big, sizeof big));
    SHOW(syscall(SYS_openat2, dir, "in", &big, 8));
    SHOW(syscall(SYS_openat2, dir, "in", NULL, 24));
    SHOW(syscall(SYS_openat2, dir, "in", &big, 100000));
}

int main(void)
{
    temporary();
    path_only();
    appending();
    how();
    SHOW(creat("created", 04777));
    struct stat st;
    stat("created", &st);
    NOTE("mode %o", st.st_mode);
    umask(077);
    SHOW(creat("created2", 0666));
    stat("created2", &st);
    NOTE("mode %o", st.st_mode);
    SHOW(openat(-1, "file", O_RDONLY));
    SHOW(openat(-1, "/etc/passwd", O_RDONLY) >= 0);
    SHOW(openat(999, "file", O_RDONLY));
    SHOW(openat(3, "", O_RDONLY));
    return 0;
}

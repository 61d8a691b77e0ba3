// open(2): every access mode with every flag, on every kind of file.
#include "show.h"

static const char *const targets[] = {
    "file", "file/", "dir", "dir/", "missing", "missing/", "missing/below", "file/below", "to_file", "to_file/",
    "to_dir", "to_dir/", "dangling", "dangling/", "loop", "", ".", "..", "dir/.", "dir/../file", "/", "/dev/null",
    "//", "./file", "dir//inner", "to_dir/inner", "dir/inner/.",
};

static const struct {
    int flags;
    const char *name;
} sets[] = {
    {0, "-"},
    {O_CREAT, "CREAT"},
    {O_CREAT | O_EXCL, "CREAT|EXCL"},
    {O_EXCL, "EXCL"},
    {O_TRUNC, "TRUNC"},
    {O_CREAT | O_TRUNC, "CREAT|TRUNC"},
    {O_DIRECTORY, "DIRECTORY"},
    {O_CREAT | O_DIRECTORY, "CREAT|DIRECTORY"},
    {O_NOFOLLOW, "NOFOLLOW"},
    {O_CREAT | O_NOFOLLOW, "CREAT|NOFOLLOW"},
    {O_NOFOLLOW | O_DIRECTORY, "NOFOLLOW|DIRECTORY"},
    {O_PATH, "PATH"},
    {O_PATH | O_NOFOLLOW, "PATH|NOFOLLOW"},
    {O_PATH | O_DIRECTORY, "PATH|DIRECTORY"},
    {O_PATH | O_NOFOLLOW | O_DIRECTORY, "PATH|NOFOLLOW|DIRECTORY"},
    {O_PATH | O_CREAT, "PATH|CREAT"},
    {O_APPEND, "APPEND"},
    {O_NONBLOCK | O_CLOEXEC, "NONBLOCK|CLOEXEC"},
    {O_SYNC, "SYNC"},
    {O_DSYNC | O_NOATIME, "DSYNC|NOATIME"},
    {O_TMPFILE, "TMPFILE"},
    {O_TMPFILE | O_EXCL, "TMPFILE|EXCL"},
    {O_TMPFILE | O_CREAT, "TMPFILE|CREAT"},
};

static void fresh(void)
{
    rmdir("missing");
    unlink("missing");
    unlink("gone");
    unlink("dir/x");
    make_file("file", "text");
}

int main(void)
{
    static const char *const access_names[] = {"RDONLY", "WRONLY", "RDWR", "3"};
    mkdir("dir", 0755);
    make_file("dir/inner", "inner");
    symlink("file", "to_file");
    symlink("dir", "to_dir");
    symlink("gone", "dangling");
    symlink("loop", "loop");
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++)
        for (size_t s = 0; s < sizeof sets / sizeof *sets; s++)
            for (int access = 0; access < 4; access++) {
                fresh();
                int fd = syscall(SYS_openat, AT_FDCWD, targets[t], sets[s].flags | access, 0640);
                printf("'%s' %s|%s: ", targets[t], access_names[access], sets[s].name);
                if (fd < 0) {
                    printf("%s\n", errno_name(errno));
                } else {
                    struct stat st;
                    printf("fl %o fd %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
                    if (fstat(fd, &st) == 0)
                        printf(" mode %o links %ld", st.st_mode, S_ISREG(st.st_mode) ? (long)st.st_nlink : -1L);
                    printf("\n");
                    close(fd);
                }
            }
    NOTE("size %d", open("file", O_RDONLY));
    return 0;
}

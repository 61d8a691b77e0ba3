// mkdir, rmdir, rename, renameat2, link, symlink, readlink, unlink, mknod.
#include "show.h"
#include <sys/sysmacros.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#endif

static const char *const objects[] = {"file", "other", "hard", "empty", "full", "link", "dirlink", "dangling", "missing",
                                      "empty/", "file/", "missing/", "link/", "dirlink/", ".", "..", "", "full/inner",
                                      "full/sub", "/", "full/.", "full/..", "missing/x", "file/x", "loop"};
#define OBJECTS (sizeof objects / sizeof *objects)

static int number;

/* A fresh directory with one of everything, made the current one. */
static void fresh(void)
{
    char name[16];
    if (number)
        chdir("..");
    snprintf(name, sizeof name, "t%d", number++);
    mkdir(name, 0755);
    chdir(name);
    make_file("file", "file");
    make_file("other", "other");
    link("file", "hard");
    mkdir("empty", 0755);
    mkdir("full", 0755);
    make_file("full/inner", "inner");
    mkdir("full/sub", 0755);
    symlink("file", "link");
    symlink("full", "dirlink");
    symlink("nowhere", "dangling");
    symlink("loop", "loop");
}

static void matrix(void)
{
    for (size_t a = 0; a < OBJECTS; a++) {
        fresh();
        label(mkdir(objects[a], 0755), "mkdir '%s'", objects[a]);
        fresh();
        label(rmdir(objects[a]), "rmdir '%s'", objects[a]);
        fresh();
        label(unlink(objects[a]), "unlink '%s'", objects[a]);
        fresh();
        label(symlink("target", objects[a]), "symlink '%s'", objects[a]);
        fresh();
        label(mknod(objects[a], S_IFIFO | 0644, 0), "mknod '%s'", objects[a]);
        char text[64] = "";
        label(readlink(objects[a], text, sizeof text), "readlink '%s' (%s)", objects[a], text);
    }
    static const int plain[] = {0};
    static const int all[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    for (size_t a = 0; a < OBJECTS; a++)
        for (size_t b = 0; b < OBJECTS; b++) {
            const int *flags = a < 9 && b < 9 ? all : plain;
            for (int f = 0; f < (flags == all ? 3 : 1); f++) {
                fresh();
                label(syscall(SYS_renameat2, AT_FDCWD, objects[a], AT_FDCWD, objects[b], flags[f]),
                      "rename '%s' '%s' %d", objects[a], objects[b], flags[f]);
            }
            fresh();
            label(link(objects[a], objects[b]), "link '%s' '%s'", objects[a], objects[b]);
        }
}

int main(void)
{
    char text[300];
    matrix();
    chdir("..");
    mkdir("extra", 0755);
    chdir("extra");
    make_file("file", "file");
    symlink("0123456789", "sym");
    SHOW(readlink("sym", text, 4));
    SHOW(readlink("sym", text, 0));
    SHOW(readlink("sym", text, -1));
    SHOW(readlink("sym", text, 300));
    SHOW(symlink("", "empty_target"));
    SHOW(link("sym", "sym_hard"));
    struct stat st;
    lstat("sym_hard", &st);
    NOTE("link to link: %d links %ld", S_ISLNK(st.st_mode), (long)st.st_nlink);
    symlink("file", "tofile");
    SHOW(linkat(AT_FDCWD, "tofile", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    lstat("followed", &st);
    NOTE("followed: regular %d links %ld", S_ISREG(st.st_mode), (long)st.st_nlink);
    SHOW(linkat(AT_FDCWD, "file", AT_FDCWD, "x", 0x10));
    SHOW(unlinkat(AT_FDCWD, "file", 0x10));
    SHOW(mkdir("dir", 02777));
    stat("dir", &st);
    NOTE("mode %o", st.st_mode);
    SHOW(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR));
    int fd = open(".", O_RDONLY);
    SHOW(mkdirat(fd, "at", 0700));
    SHOW(symlinkat("t", fd, "at/sym"));
    SHOW(renameat(fd, "at/sym", fd, "moved"));
    SHOW(readlinkat(fd, "moved", text, 10));
    SHOW(mkdirat(99, "at", 0700));
    SHOW(mkdirat(99, "/proc/x/y", 0700));
    SHOW(renameat(fd, "moved", 99, "moved"));
    SHOW(syscall(SYS_renameat2, fd, "moved", fd, "m2", 8));
    SHOW(syscall(SYS_renameat2, fd, "moved", fd, "m2", RENAME_NOREPLACE | RENAME_EXCHANGE));
    memset(text, 'n', sizeof text);
    text[255] = 0;
    SHOW(mkdir(text, 0755));
    text[255] = 'n', text[256] = 0;
    SHOW(mkdir(text, 0755));
    SHOW(open(text, O_CREAT | O_WRONLY, 0644));
    char *path = malloc(5000);
    memset(path, '/', 5000);
    path[4999] = 0;
    SHOW(mkdir(path, 0755));
    path[4096] = 0;
    SHOW(mkdir(path, 0755));
    path[4095] = 0;
    SHOW(mkdir(path, 0755));
    for (int i = 0; i < 4094; i += 2)
        memcpy(path + i, "./", 2);
    strcpy(path + 4090, "deep");
    SHOW(mkdir(path, 0755));
    memset(path, 'x', 4999);
    SHOW(symlink(path, "long"));
    path[4095] = 0;
    SHOW(symlink(path, "long"));
    SHOW(rename("at", "at/below"));
    SHOW(rename("dir", "dir"));
    SHOW(mknod("node", S_IFREG | 0640, 0));
    SHOW(mknod("sock", S_IFSOCK | 0640, 0));
    SHOW(mknod("bad", S_IFDIR | 0640, 0));
    SHOW(mknod("worse", 0170000 | 0640, 0));
    fd = open("file", O_RDWR);
    SHOW(unlink("file"));
    SHOW(write(fd, "still here", 10));
    fstat(fd, &st);
    NOTE("size %ld links %ld", (long)st.st_size, (long)st.st_nlink);
    return 0;
}

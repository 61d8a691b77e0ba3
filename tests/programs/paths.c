// Path walk: symbolic links, loops, dots, slashes, lengths, magic links.
#include "show.h"

static void look(const char *path)
{
    struct stat st;
    char text[64];
    long n;
    printf("'%.60s':", path);
    if (stat(path, &st) < 0)
        printf(" stat %s", errno_name(errno));
    else
        printf(" stat %o", st.st_mode & S_IFMT);
    if (lstat(path, &st) < 0)
        printf(" lstat %s", errno_name(errno));
    else
        printf(" lstat %o", st.st_mode & S_IFMT);
    n = readlink(path, text, sizeof text);
    if (n < 0)
        printf(" readlink %s", errno_name(errno));
    else
        printf(" readlink %.*s", (int)n, text);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        printf(" open %s\n", errno_name(errno));
    else
        printf(" open ok\n"), close(fd);
}

int main(void)
{
    char name[64], target[64], *big = malloc(70000);
    mkdir("d", 0755);
    mkdir("d/e", 0755);
    make_file("d/f", "f");
    make_file("top", "t");
    symlink("..", "d/up");
    symlink("../top", "d/top");
    symlink("d", "s");
    symlink("s/", "s_slash");
    symlink("d/f/", "f_slash");
    symlink("s/up/s/up/s", "winding");
    symlink("/", "root");
    symlink(".", "dot");
    symlink("self", "self");
    symlink("ping", "pong");
    symlink("pong", "ping");
    symlink("missing/x", "broken");
    symlink("d/f/x", "through_file");
    static const char *const paths[] = {
        "d", "d/", "d//", "d/.", "d/..", "d/f", "d/f/", "d/f/.", "d/f/..", "d/f/x", "s", "s/", "s/.", "s/f", "s/up", "s/up/",
        "s/up/top", "s/top", "s/top/", "s_slash", "s_slash/f", "f_slash", "winding", "winding/f", "root", "root/", "root/usr/bin",
        "dot", "dot/dot/dot/d", "self", "self/", "self/x", "ping", "ping/x", "broken", "broken/", "through_file", "missing",
        "missing/", "missing/..", "", " ", "//", "///", "/.", "/..", "/../..", "./././top", "d/e/../../top", "d/../d/../d/f",
        "s/../top", "d/up/top", "d/up/up", "/proc/self/cwd/top", "/proc/self/root/usr", "/proc/self/fd/", "/proc/self/fd/0",
        "/proc/self/fd/99", "/proc/self/exe", "/proc/thread-self", "/dev/fd", "/dev/fd/0", "/dev/stdin", "/dev/null/x",
        "/proc/self/nothing", "/sys/nothing",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(paths[i], "/proc/self/exe") == 0 || strncmp(paths[i], "/proc/self/fd/0", 15) == 0 ||
            strcmp(paths[i], "/proc/thread-self") == 0)
            NOTE("%s: %d", paths[i], access(paths[i], F_OK));
        else
            look(paths[i]);
    symlink("top", "c0");
    for (int i = 1; i <= 45; i++) {
        snprintf(name, sizeof name, "c%d", i);
        snprintf(target, sizeof target, "c%d", i - 1);
        symlink(target, name);
        if (i >= 37)
            look(name);
    }
    symlink("d", "l0");
    for (int n = 38; n < 43; n++) {
        char *p = big;
        for (int i = 0; i < n; i++)
            p += sprintf(p, "l0/../");
        strcpy(p, "top");
        label(access(big, F_OK), "%d links in one path", n);
    }
    memset(big, 'a', 70000);
    big[255] = 0;
    look(big);
    big[255] = 'a', big[256] = 0;
    look(big);
    big[256] = 'a', big[4095] = 0;
    look(big);
    big[4095] = 'a', big[4096] = 0;
    look(big);
    big[4096] = 'a', big[69999] = 0;
    look(big);
    for (int i = 0; i < 4092; i += 2)
        memcpy(big + i, "./", 2);
    strcpy(big + 4092, "top");
    SHOW(strlen(big));
    SHOW(access(big, F_OK));
    strcpy(big + 4092, ".top");
    SHOW(access(big, F_OK));
    for (int i = 0; i < 300; i++) {
        if (mkdir("deeper", 0755) < 0 || chdir("deeper") < 0)
            die("deeper");
    }
    for (int i = 0; i < 300; i++)
        chdir("..");
    look("top");
    memset(big, 0, 70000);
    for (int i = 0; i < 300; i++)
        strcat(big, "deeper/");
    SHOW(access(big, F_OK));
    for (int i = 0; i < 300; i++)
        strcat(big, "../");
    strcat(big, "top");
    SHOW(access(big, F_OK));
    make_file("odd name\n\xff\xfe\x01", "odd");
    look("odd name\n\xff\xfe\x01");
    int fd = open("top", O_RDONLY);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    char got[4096];
    long n = readlink(name, got, sizeof got);
    NOTE("%.*s", 4, n > 4 ? got + n - 4 : "");
    SHOW(open(name, O_RDWR) >= 0);
    unlink("top");
    n = readlink(name, got, sizeof got);
    NOTE("%.*s", 14, n > 14 ? got + n - 14 : "");
    SHOW(open(name, O_RDONLY) >= 0);
    struct stat st;
    SHOW(stat(name, &st));
    return 0;
}

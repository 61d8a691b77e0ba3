// getdents64, getdents, and positions in a directory.
#include "show.h"
#include <dirent.h>

struct entry {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

static char seen[600][128];
static int count;

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static long list(int fd, size_t size)
{
    static _Alignas(16) char buffer[65536];
    long n, calls = 0;
    count = 0;
    while ((n = syscall(SYS_getdents64, fd, buffer, size)) > 0) {
        calls++;
        for (long at = 0; at < n;) {
            struct entry *e = (struct entry *)(buffer + at);
            snprintf(seen[count++], 128, "%s type %d len %d pad %d ino %d", e->name, e->type, e->reclen,
                     e->reclen - (int)offsetof(struct entry, name) - (int)strlen(e->name) >= 1 && e->reclen % 8 == 0,
                     e->ino != 0);
            at += e->reclen;
        }
    }
    if (n < 0)
        NOTE("getdents64 size %zu: %s", size, errno_name(errno));
    qsort(seen, count, 128, compare);
    return calls;
}

int main(void)
{
    mkdir("d", 0755);
    chdir("d");
    make_file("file", "");
    make_file(".hidden", "");
    mkdir("directory", 0755);
    symlink("x", "symbolic");
    mkfifo("fifo", 0644);
    make_file("a-name-of-some-length-to-cross-the-padding-borders", "");
    make_file("1234567", "");
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    list(fd, 65536);
    for (int i = 0; i < count; i++)
        puts(seen[i]);
    list(fd, 65536);
    NOTE("at the end: %d", count);
    SHOW(lseek(fd, 0, SEEK_SET));
    list(fd, 128);
    NOTE("in small pieces: %d", count);
    lseek(fd, 0, SEEK_SET);
    list(fd, 24);
    lseek(fd, 0, SEEK_SET);
    list(fd, 0);
    list(open("file", O_RDONLY), 4096);
    list(99, 4096);
    SHOW(syscall(SYS_getdents64, fd, (char *)8, 4096));
    SHOW(syscall(SYS_getdents64, fd, edge(24), 4096));
    char name[16];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "m%03d", i);
        make_file(name, "");
    }
    DIR *dir = opendir(".");
    int total = 0, removed = 0;
    struct dirent *e;
    while ((e = readdir(dir)) != NULL) {
        total++;
        if (e->d_name[0] == 'm' && unlink(e->d_name) == 0)
            removed++;
    }
    NOTE("removed while reading: all seen %d, removed %d", total == 509, removed);
    rewinddir(dir);
    total = 0;
    long places[16];
    char names[16][64];
    while (places[total] = telldir(dir), (e = readdir(dir)) != NULL)
        strcpy(names[total++], e->d_name);
    int good = 0;
    for (int i = total - 1; i >= 0; i--) {
        seekdir(dir, places[i]);
        good += strcmp(readdir(dir)->d_name, names[i]) == 0;
    }
    NOTE("total %d, found again %d", total, good);
    closedir(dir);
    int gone = (mkdir("gone", 0755), open("gone", O_RDONLY));
    rmdir("gone");
    list(gone, 4096);
    NOTE("of a removed directory: %d", count);
    lseek(fd, 0, SEEK_SET);
    static char old[4096];
    long n = syscall(SYS_getdents, fd, old, sizeof old);
    int entries = 0, types = 0;
    for (long at = 0; at < n; at += *(uint16_t *)(old + at + 16), entries++)
        types += old[at + *(uint16_t *)(old + at + 16) - 1];
    NOTE("getdents: %d entries, types %d", entries, types);
    const char *places2[] = {"/dev", "/proc/self", "/proc", "/sys"};
    for (int p = 0; p < 4; p++) {
        int ok = 0;
        DIR *d = opendir(places2[p]);
        while (d && (e = readdir(d)) != NULL)
            ok += !strcmp(e->d_name, "null") || !strcmp(e->d_name, "status") || !strcmp(e->d_name, "cpuinfo") ||
                  !strcmp(e->d_name, "devices");
        NOTE("%s: %d", places2[p], ok > 0);
    }
    return 0;
}

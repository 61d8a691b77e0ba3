// /proc and /dev as a program sees itself in them.
#include "show.h"
#include <dirent.h>

static long slurp(const char *path, char *data, size_t size)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        NOTE("%s: %s", path, errno_name(errno));
        return -1;
    }
    long total = 0, n;
    while (total < (long)size - 1 && (n = read(fd, data + total, size - 1 - total)) > 0)
        total += n;
    close(fd);
    data[total] = 0;
    return total;
}

static char data[1 << 20];

/* The words before the colons of a file, in order. */
static void keys(const char *path)
{
    if (slurp(path, data, sizeof data) < 0)
        return;
    NOTE("keys of %s:", path);
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) {
        char *colon = strchr(line, ':');
        if (colon)
            printf("  %.*s\n", (int)(colon - line), line);
    }
}

static void field(const char *path, const char *name)
{
    if (slurp(path, data, sizeof data) < 0)
        return;
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n"))
        if (!strncmp(line, name, strlen(name)))
            NOTE("%s", line);
}

int main(int argc, char **argv)
{
    struct stat st;
    char path[64], link[4096];
    (void)argc;
    long n = slurp("/proc/self/cmdline", data, sizeof data);
    NOTE("cmdline %d", n == (long)strlen(argv[0]) + 1 && !strcmp(data, argv[0]));
    n = slurp("/proc/self/environ", data, sizeof data);
    NOTE("environ %d", n > 0 && memmem(data, n, "TZ=UTC", 7) != NULL);
    slurp("/proc/self/comm", data, sizeof data);
    NOTE("comm %d", data[strlen(data) - 1] == '\n' && strlen(data) <= 16);
    slurp("/proc/self/stat", data, sizeof data);
    int pid, ppid, pgrp, session;
    char state;
    char *after = strrchr(data, ')');
    sscanf(data, "%d", &pid);
    sscanf(after + 2, "%c %d %d %d", &state, &ppid, &pgrp, &session);
    int fields = 0;
    for (char *p = after; *p; p++)
        fields += *p == ' ';
    NOTE("stat: pid %d ppid %d pgrp %d session %d state %c fields %d", pid == getpid(), ppid == getppid(), pgrp == getpgrp(),
         session == getsid(0), state, fields + 2);
    long pages[7] = {0};
    slurp("/proc/self/statm", data, sizeof data);
    sscanf(data, "%ld %ld %ld %ld %ld %ld %ld", pages, pages + 1, pages + 2, pages + 3, pages + 4, pages + 5, pages + 6);
    NOTE("statm: sane %d zeros %ld %ld", pages[0] >= pages[1] && pages[1] > 0 && pages[3] > 0, pages[4], pages[6]);
    field("/proc/self/status", "State:");
    field("/proc/self/status", "Umask:");
    field("/proc/self/status", "Uid:");
    field("/proc/self/status", "Gid:");
    field("/proc/self/status", "Threads:");
    field("/proc/self/status", "SigBlk:");
    field("/proc/self/status", "SigIgn:");
    field("/proc/self/status", "NoNewPrivs:");
    field("/proc/self/limits", "Max open files");
    field("/proc/self/limits", "Max stack size");
    field("/proc/self/limits", "Limit");
    slurp("/proc/self/limits", data, sizeof data);
    int lines = 0;
    for (char *p = data; *p; p++)
        lines += *p == '\n';
    NOTE("limits: %d lines", lines);
    keys("/proc/self/io");
    readlink("/proc/self/exe", link, sizeof link);
    NOTE("exe absolute %d", link[0] == '/');
    memset(link, 0, sizeof link);
    readlink("/proc/self/cwd", link, sizeof link);
    char cwd[4096];
    NOTE("cwd %d", getcwd(cwd, sizeof cwd) && !strcmp(cwd, link));
    memset(link, 0, sizeof link);
    readlink("/proc/self/root", link, sizeof link);
    NOTE("root %s", link);
    memset(link, 0, sizeof link);
    readlink("/proc/self", link, sizeof link);
    NOTE("self %d", atoi(link) == getpid());
    snprintf(path, sizeof path, "/proc/%d/comm", getpid());
    NOTE("by number %d", access(path, R_OK));
    SHOW(stat("/proc/self/fd", &st));
    int pipes[2], file = open("file", O_RDWR | O_CREAT | O_APPEND, 0644);
    pipe(pipes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
    memset(link, 0, sizeof link);
    readlink(path, link, sizeof link);
    fstat(pipes[0], &st);
    char expected[64];
    snprintf(expected, sizeof expected, "pipe:[%lu]", (long)st.st_ino);
    NOTE("pipe link %d", !strcmp(link, expected));
    lstat(path, &st);
    NOTE("link of the read end %o", st.st_mode);
    snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[1]);
    lstat(path, &st);
    NOTE("link of the write end %o", st.st_mode);
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    int seen = 0;
    while ((e = readdir(dir)) != NULL)
        if (e->d_name[0] != '.' && atoi(e->d_name) <= pipes[1])
            seen++;
    closedir(dir);
    NOTE("descriptors listed %d of %d", seen, pipes[1] + 1);
    write(file, "12345", 5);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
    field(path, "pos:");
    field(path, "flags:");
    char *map = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, file, 0);
    mprotect(map + PAGE, PAGE, PROT_NONE);
    unsigned long start, end;
    slurp("/proc/self/maps", data, sizeof data);
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) {
        char perms[8], name[4096] = "";
        unsigned long offset;
        sscanf(line, "%lx-%lx %7s %lx %*s %*s %4095[^\n]", &start, &end, perms, &offset, name);
        if (start >= (uintptr_t)map && end <= (uintptr_t)map + 3 * PAGE)
            NOTE("map +%lx-+%lx %s %lx %s", start - (uintptr_t)map, end - (uintptr_t)map, perms, offset, strrchr(name, '/'));
        else if (!strcmp(name, "[stack]") || !strcmp(name, "[heap]"))
            NOTE("%s %s", name, perms);
    }
    slurp("/proc/self/auxv", data, sizeof data);
    NOTE("auxv starts with %d", ((long *)data)[0] == 33 || ((long *)data)[0] > 0);
    slurp("/proc/self/mounts", data, sizeof data);
    NOTE("mounts has / %d, /proc %d", strstr(data, " / ") != NULL, strstr(data, " /proc proc ") != NULL);
    slurp("/proc/self/mountinfo", data, sizeof data);
    NOTE("mountinfo %d", strstr(data, " / / ") != NULL);
    slurp("/proc/meminfo", data, sizeof data);
    NOTE("meminfo %d", strstr(data, "MemTotal:") && strstr(data, "MemAvailable:") && strstr(data, " kB\n"));
    slurp("/proc/cpuinfo", data, sizeof data);
    NOTE("cpuinfo %d", strstr(data, "processor\t: 0\n") && strstr(data, "\nflags\t\t:") && strstr(data, "\nmodel name\t:"));
    slurp("/proc/stat", data, sizeof data);
    NOTE("stat %d", !strncmp(data, "cpu  ", 5) && strstr(data, "\nbtime ") && strstr(data, "\ncpu0 "));
    double up, idle;
    slurp("/proc/uptime", data, sizeof data);
    NOTE("uptime %d", sscanf(data, "%lf %lf", &up, &idle));
    slurp("/proc/loadavg", data, sizeof data);
    NOTE("loadavg %d", sscanf(data, "%lf %lf", &up, &idle));
    slurp("/proc/version", data, sizeof data);
    NOTE("version %d", !strncmp(data, "Linux version ", 14));
    slurp("/proc/filesystems", data, sizeof data);
    NOTE("filesystems %d", strstr(data, "nodev\tproc\n") != NULL);
    static const char *const numbers[] = {"kernel/pid_max", "kernel/ngroups_max", "vm/overcommit_memory", "vm/max_map_count",
                                          "fs/pipe-max-size", "fs/file-max", "kernel/cap_last_cap", "vm/mmap_min_addr"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(path, sizeof path, "/proc/sys/%s", numbers[i]);
        long got = slurp(path, data, sizeof data);
        NOTE("%s %d", numbers[i], got > 1 && data[got - 1] == '\n');
    }
    slurp("/proc/sys/kernel/ostype", data, sizeof data);
    printf("ostype %s", data);
    slurp("/proc/sys/kernel/random/uuid", data, sizeof data);
    NOTE("uuid %d", (int)strlen(data));
    SHOW(open("/proc/self/status", O_WRONLY));
    SHOW(open("/proc/self/new", O_CREAT | O_WRONLY, 0644));
    SHOW(mkdir("/proc/new", 0755));
    SHOW(unlink("/proc/self/status"));
    SHOW(unlink("/proc/meminfo"));
    int fd = open("/proc/self/comm", O_RDWR);
    SHOW(write(fd, "renamed by itself", 17));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(read(fd, data, 100));
    fd = open("/proc/self/status", O_RDONLY);
    SHOW(read(fd, data, 5));
    SHOW(read(fd, data + 5, 1));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, 2, SEEK_SET));
    SHOW(pread(fd, data + 10, 3, 2));
    NOTE("%.3s", data + 10);
    fstat(fd, &st);
    NOTE("size %ld mode %o", (long)st.st_size, st.st_mode);
    SHOW(lseek(fd, 0, SEEK_END));
    fd = open("/dev/zero", O_RDWR);
    SHOW(lseek(fd, 100, SEEK_SET));
    SHOW(lseek(fd, 5, SEEK_CUR));
    SHOW(lseek(fd, 0, SEEK_END));
    fd = open("/dev/null", O_RDWR);
    SHOW(lseek(fd, 100, SEEK_SET));
    SHOW(read(fd, data, 10));
    SHOW(write(fd, data, 12345));
    SHOW(ftruncate(fd, 0));
    SHOW(open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT, 0644) >= 0);
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(open("/dev/fd/0", O_RDONLY) >= 0);
    SHOW(open("/dev/fd/777", O_RDONLY));
    fd = open("/dev/shm/lxrun-test-file", O_RDWR | O_CREAT | O_EXCL, 0600);
    SHOW(fd >= 0);
    SHOW(write(fd, "shm", 3));
    SHOW(unlink("/dev/shm/lxrun-test-file"));
    return 0;
}

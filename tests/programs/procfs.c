// /proc: errors, positions, links, and the shape of what tools parse.
#include "show.h"
#include <ctype.h>
#include <dirent.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/prctl.h>

/* A file with every number replaced by N, runs of blanks kept. */
static void shape(const char *path, int lines)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    NOTE("-- %s", path);
    while (f && lines-- && fgets(line, sizeof line, f)) {
        char *out = line, *in = line;
        while (*in)
            if (isdigit(*in)) {
                while (isdigit(*in))
                    in++;
                *out++ = 'N';
            } else
                *out++ = *in++;
        *out = 0;
        fputs(line, stdout);
    }
    if (f)
        fclose(f);
}

static void columns(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    while (f && fgets(line, sizeof line, f)) {
        unsigned long start, end, offset, ino;
        unsigned major, minor;
        char perms[8];
        int at = 0;
        int n = sscanf(line, "%lx-%lx %4s %lx %x:%x %lu%n", &start, &end, perms, &offset, &major, &minor, &ino, &at);
        char *name = line + at + strspn(line + at, " ");
        if (strstr(name, "[v"))
            continue;
        char *slash = strrchr(name, '/');
        NOTE("%d %s %d %d at %ld %s", n, perms, offset != 0, ino != 0, *name == '\n' ? (long)at : (long)(name - line),
             slash ? slash[1] == 'p' ? "/program" : slash : strtok(name, "\n"));
    }
    if (f)
        fclose(f);
}

static void positions(const char *path)
{
    char b[8192];
    int fd = open(path, O_RDONLY);
    NOTE("-- %s", path);
    SHOW(lseek(fd, 0, SEEK_END)); SHOW(lseek(fd, 0, SEEK_SET)); SHOW(read(fd, b, 2)); SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(read(fd, b, 1) <= 1); SHOW(lseek(fd, -5, SEEK_SET)); SHOW(lseek(fd, 0, 9)); SHOW(lseek(fd, 1, SEEK_SET));
    SHOW(pread(fd, b, 1, 0)); SHOW(lseek(fd, 0, SEEK_CUR)); SHOW(pread(fd, b, 1, -1)); SHOW(pread(fd, b, 10, 1 << 20));
    SHOW(write(fd, "a", 1)); SHOW(ftruncate(fd, 0)); SHOW(fsync(fd));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
    close(fd);
}

static void link_of(const char *path)
{
    char text[512] = "";
    struct stat st;
    long n = readlink(path, text, sizeof text - 1);
    NOTE("%s -> %s", path, n < 0 ? errno_name(errno) : text);
    if (!lstat(path, &st))
        NOTE("mode %o size %ld", st.st_mode, (long)st.st_size);
}

int main(void)
{
    char b[8192], path[64];
    struct stat st, st2;
    struct statfs fs;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);

    if (geteuid() == 0) { // others lack the permission, which Linux looks at after the name and we before
        SHOW(mkdir("/proc/new", 0755)); SHOW(open("/proc/new", O_CREAT | O_RDWR, 0644)); SHOW(symlink("a", "/proc/new"));
        SHOW(mkdir("/proc/1", 0755)); SHOW(symlink("a", "/proc/self")); SHOW(mknod("/proc/mounts", S_IFREG, 0)); SHOW(mkdir("/sys/kernel", 0755));
        SHOW(unlink("/proc/nothing")); SHOW(unlink("/proc/uptime")); SHOW(rmdir("/proc/self/fd")); SHOW(rename("/proc/uptime", "/proc/x"));
    }
    SHOW(open("/proc", O_RDWR)); SHOW(open("/proc/uptime", O_DIRECTORY)); SHOW(open("/proc/self/nothing", O_RDONLY));
    SHOW(open("/proc/0", O_RDONLY)); SHOW(open("/proc/01", O_RDONLY)); SHOW(open("/proc/999999999", O_RDONLY)); SHOW(open("/proc/self/fd/99", O_RDONLY));
    SHOW(open("/proc/self/fd/00", O_RDONLY)); SHOW(open("/proc/uptime/x", O_RDONLY)); SHOW(access("/proc/uptime", X_OK)); SHOW(access("/proc/uptime", W_OK) == 0 || getuid());
    SHOW(statfs("/proc", &fs)); NOTE("%lx %ld %ld", (long)fs.f_type, (long)fs.f_bsize, (long)fs.f_namelen);
    SHOW(statfs("/sys", &fs)); NOTE("%lx %ld %ld", (long)fs.f_type, (long)fs.f_bsize, (long)fs.f_namelen);
    SHOW(mkdir("/sys/new", 0755)); SHOW(open("/sys/devices/system/cpu/online", O_RDWR)); SHOW(unlink("/sys/devices/system/cpu/online"));
    SHOW(getxattr("/proc/uptime", "user.a", b, 9)); SHOW(listxattr("/proc/uptime", b, 9)); SHOW(truncate("/proc/self/comm", 0));
    SHOW(stat("/proc", &st)); NOTE("%o %ld %ld", st.st_mode, (long)st.st_ino, (long)st.st_size);
    SHOW(stat("/proc/uptime", &st)); SHOW(stat("/proc/uptime", &st2)); NOTE("%o %d %ld", st.st_mode, st.st_ino == st2.st_ino, (long)st.st_size);
    SHOW(stat("/proc/self", &st)); snprintf(path, sizeof path, "/proc/%d", getpid()); SHOW(stat(path, &st2)); NOTE("%o %d", st.st_mode, st.st_ino == st2.st_ino);
    SHOW(stat("/sys/devices/system/cpu/online", &st)); NOTE("%o %ld", st.st_mode, (long)st.st_size);

    positions("/proc/uptime"); positions("/proc/self/status"); positions("/proc/sys/kernel/ostype"); positions("/proc/sys/kernel/shmmni");
    positions("/sys/devices/system/node/online"); positions("/proc/self/cmdline");

    SHOW(read(open("/proc/uptime", O_RDONLY), (void *)8, 2));
    make_file("file", "hello");
    int fd = open("file", O_RDWR), r[2];
    SHOW(pipe(r));
    link_of("/proc/self/exe" + 0 * fd == NULL ? "" : "/proc/self/root");
    SHOW(readlink("/proc/self", b, sizeof b) == snprintf(path, sizeof path, "%d", getpid()));
    SHOW(readlink("/proc/thread-self", b, sizeof b) == snprintf(path, sizeof path, "%d/task/%d", getpid(), getpid()));
    SHOW(stat("/proc/self/exe", &st)); SHOW(st.st_size > 1000); SHOW(stat("/proc/self/cwd/file", &st)); SHOW(st.st_size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    SHOW(lstat(path, &st)); NOTE("%o %ld", st.st_mode, (long)st.st_size); SHOW(stat(path, &st)); NOTE("%o %ld", st.st_mode, (long)st.st_size);
    int again = open(path, O_RDONLY);
    SHOW(read(again, b, 5)); show_bytes("again", b, 5); SHOW(write(again, "a", 1));
    unlink("file");
    long n = readlink(path, b, sizeof b - 1); b[n < 0 ? 0 : n] = 0;
    NOTE("%s", strrchr(b, '/') ? strrchr(b, '/') : b);
    again = open(path, O_RDWR); SHOW(again >= 0); SHOW(read(again, b, 5));
    snprintf(path, sizeof path, "/proc/self/fd/%d", r[1]);
    SHOW(lstat(path, &st)); NOTE("%o", st.st_mode); SHOW(stat(path, &st)); NOTE("%o", st.st_mode);
    again = open(path, O_WRONLY); SHOW(write(again, "xyz", 3)); SHOW(read(r[0], b, 9));
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    lseek(fd, 3, SEEK_SET);
    FILE *f = fopen(path, "r");
    while (f && fgets(b, sizeof b, f))
        if (!strncmp(b, "pos", 3) || !strncmp(b, "flags", 5))
            fputs(b, stdout);
    DIR *d = opendir("/proc/self/fd");
    int count = 0;
    for (struct dirent *e; (e = readdir(d));)
        count += isdigit(e->d_name[0]) && e->d_type == DT_LNK;
    SHOW(count > 5);

    shape("/proc/self/limits", 3); shape("/proc/self/statm", 1); shape("/proc/self/io", 7); shape("/proc/uptime", 1); shape("/proc/loadavg", 1);
    shape("/proc/meminfo", 3); shape("/proc/stat", 1); shape("/proc/swaps", 1); shape("/proc/partitions", 1); shape("/proc/net/unix", 1); shape("/proc/net/tcp", 1);
    shape("/proc/net/udp", 1); shape("/proc/net/dev", 2); shape("/proc/sys/kernel/pid_max", 1); shape("/proc/sys/fs/file-nr", 1); shape("/proc/sys/kernel/sem", 1);
    shape("/proc/self/smaps", 23);
    static const char *keys[] = {"Name", "Umask", "State", "TracerPid", "Uid", "Gid", "Groups", "VmLck", "VmPin", "RssShmem", "VmSwap", "HugetlbPages", "CoreDumping",
        "THP_enabled", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    signal(SIGUSR1, SIG_IGN); signal(SIGUSR2, exit); sigset_t set; sigemptyset(&set); sigaddset(&set, SIGHUP); sigaddset(&set, 40); sigprocmask(SIG_BLOCK, &set, NULL); raise(SIGHUP);
    f = fopen("/proc/self/status", "r");
    while (f && fgets(b, sizeof b, f))
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (!strncmp(b, keys[i], strlen(keys[i])) && b[strlen(keys[i])] == ':')
                fputs(b, stdout);
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *private = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    columns("/proc/self/maps");

    strcpy(page, "memory");
    int mem = open("/proc/self/mem", O_RDWR);
    SHOW(pread(mem, b, 6, (long)page)); show_bytes("mem", b, 6); SHOW(pwrite(mem, "M", 1, (long)page)); NOTE("%s", page);
    SHOW(pread(mem, b, 4, (long)private)); SHOW(pread(mem, b, 4, 8)); SHOW(pread(mem, b, 8192, (long)page + 4096) >= 4096); SHOW(lseek(mem, 0, SEEK_END));
    SHOW(lseek(mem, (long)page, SEEK_SET) == (long)page); SHOW(read(mem, b, 6)); SHOW(lseek(mem, 0, SEEK_CUR) - (long)page); SHOW(pwrite(mem, "M", 1, 8));

    fd = open("/proc/self/comm", O_RDWR);
    SHOW(write(fd, "new name that is too long", 25)); SHOW(pread(fd, b, 64, 0)); show_bytes("comm", b, 16); SHOW(prctl(PR_GET_NAME, b)); NOTE("%s", b);
    fd = open("/proc/self/oom_score_adj", O_RDWR);
    SHOW(write(fd, "1001", 4)); SHOW(write(fd, "x", 1)); SHOW(write(fd, "17\n", 3)); show_file("/proc/self/oom_score_adj"); SHOW(write(fd, " 0x12 ", 6)); show_file("/proc/self/oom_score_adj");
    show_file("/proc/self/wchan"); show_file("/proc/sys/kernel/ostype"); show_file("/proc/sys/kernel/cap_last_cap"); show_file("/proc/sys/kernel/ngroups_max");
    SHOW(open("/proc/sys/kernel/ostype", O_RDWR)); SHOW(open("/proc/sys/kernel/random/uuid", O_WRONLY));
    return 0;
}

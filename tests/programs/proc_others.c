/* /proc/PID of other processes: states, families, zombies, and who may look. */
#include "show.h"
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static pid_t me;

/* "child" and so on instead of numbers that differ from run to run. */
static struct { pid_t pid; const char *name; } known[16];
static int knowns;

static const char *who(long pid)
{
    static char number[32];
    for (int i = knowns - 1; i >= 0; i--)
        if (known[i].pid == pid)
            return known[i].name;
    snprintf(number, sizeof number, pid > 2 ? "(other)" : "%ld", pid);
    return number;
}

static void know(pid_t pid, const char *name)
{
    known[knowns].pid = pid, known[knowns++].name = name;
}

static long slurp(pid_t pid, const char *name, char *data, long size)
{
    char path[100];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -errno;
    long n = read(fd, data, size - 1);
    if (n < 0)
        n = -errno - 1000;
    else
        data[n] = 0;
    close(fd);
    return n;
}

/* What a stat line says that is the same twice. */
static char stat_of(pid_t pid, int show)
{
    char data[1000];
    if (slurp(pid, "stat", data, sizeof data) < 0)
        return '?';
    char state, *text = strrchr(data, ')') + 2;
    int ppid, pgrp, session, tty, tpgid, threads, exit_signal;
    unsigned long vsize, rss, code, stack, wchan, start_data;
    int exit_code;
    sscanf(text, "%c %d %d %d %d %d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %d %*d %*u %lu %lu %*u %lu %*u %lu %*u %*u %*u %*u "
           "%*u %*u %lu %*u %*u %d %*d %*u %*u %*u %*u %*u %lu %*u %*u %*u %*u %*u %*u %d", &state, &ppid, &pgrp, &session, &tty,
           &tpgid, &threads, &vsize, &rss, &code, &stack, &wchan, &exit_signal, &start_data, &exit_code);
    if (show)
        NOTE("  %c parent %s group %s session %s tty %d %d threads %d vsize %d code %d stack %d wchan %lu exit signal %d data %d exit code %x",
             state, who(ppid), who(pgrp) == who(getpgrp()) ? "ours" : who(pgrp), session == getsid(0) ? "ours" : who(session), tty, tpgid, threads, vsize > 0, code > 0,
             stack > 0, wchan, exit_signal, start_data > 0, exit_code);
    return state;
}

static void until(pid_t pid, char state)
{
    while (stat_of(pid, 0) != state)
        usleep(2000);
}

static void children_of(pid_t pid)
{
    char data[1000], name[64];
    snprintf(name, sizeof name, "task/%d/children", pid);
    long n = slurp(pid, name, data, sizeof data);
    printf("  children of %s:", who(pid));
    if (n < 0)
        printf(" %s", errno_name(-n));
    else
        for (char *p = strtok(data, " "); p; p = strtok(NULL, " "))
            printf(" %s", who(atoi(p)));
    printf("\n");
}

static void status_of(pid_t pid)
{
    char data[8000];
    long n = slurp(pid, "status", data, sizeof data);
    static const char *lines[] = {"State", "PPid", "FDSize", "Umask", "VmSize", "RssAnon", "Threads", "SigPnd", "CoreDumping", "THP_enabled", "Uid", "NoNewPrivs"};
    printf("  status:");
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n"))
        for (int i = 0; i < 12; i++)
            if (!strncmp(line, lines[i], strlen(lines[i]))) {
                if (!strcmp(lines[i], "PPid"))
                    printf(" PPid %s;", who(atoi(line + 5)));
                else
                    printf(" %s;", i == 4 || i == 5 ? lines[i] : line);
            }
    printf("\n");
}

static int spin(void *unused)
{
    for (;;)
        ;
}

static char stack[16 << 10];

static void states(void)
{
    pid_t pid;
    int ends[2];
    pipe(ends);
    pid = fork();
    if (!pid) {
        char byte;
        read(ends[0], &byte, 1);
        _exit(0);
    }
    know(pid, "sleeper");
    until(pid, 'S');
    NOTE("sleeping");
    stat_of(pid, 1);
    status_of(pid);
    kill(pid, SIGSTOP);
    until(pid, 'T');
    NOTE("stopped");
    stat_of(pid, 1);
    kill(pid, SIGCONT);
    until(pid, 'S');
    kill(pid, SIGKILL);
    until(pid, 'Z');
    NOTE("zombie");
    stat_of(pid, 1);
    status_of(pid);
    waitpid(pid, NULL, 0);
    NOTE("%c", stat_of(pid, 0));
    pid = clone(spin, stack + sizeof stack, SIGUSR1, NULL);
    signal(SIGUSR1, SIG_IGN);
    know(pid, "spinner");
    NOTE("running");
    until(pid, 'R');
    setpgid(pid, pid);
    stat_of(pid, 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL);
    /* a parent that waits for its vfork child */
    pid = fork();
    if (!pid) {
        if (!vfork()) {
            pause();
            _exit(0);
        }
        wait(NULL);
        _exit(0);
    }
    know(pid, "vforker");
    until(pid, 'D');
    NOTE("waiting for its child");
    char data[200];
    snprintf(data, sizeof data, "task/%d/children", pid);
    slurp(pid, data, data, sizeof data);
    know(atoi(data), "vforked");
    until(atoi(data), 'S');
    children_of(pid);
    stat_of(atoi(data), 1);
    kill(atoi(data), SIGKILL);
    waitpid(pid, NULL, 0);
}

static void family(void)
{
    int ends[2], ready[2];
    char byte;
    pid_t pids[4];
    pipe(ends);
    pipe(ready);
    pid_t parent = fork();
    if (!parent) {
        for (int i = 0; i < 3; i++)
            if (!(pids[i] = fork())) {
                if (i == 1)
                    setsid();
                if (i == 2)
                    setpgid(0, 0);
                write(ready[1], "x", 1);
                pause();
            }
        for (int i = 0; i < 3; i++)
            read(ready[0], &byte, 1);
        write(ends[1], pids, sizeof pids);
        pause();
    }
    know(parent, "parent");
    read(ends[0], pids, sizeof pids);
    know(pids[0], "first");
    know(pids[1], "second");
    know(pids[2], "third");
    NOTE("family");
    children_of(parent);
    for (int i = 0; i < 3; i++) {
        until(pids[i], 'S');
        stat_of(pids[i], 1);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    children_of(parent);
    children_of(me);
    for (int i = 0; i < 3; i++) {
        stat_of(pids[i], 1);
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    children_of(me);
}

static void look(pid_t pid, const char *when)
{
    static const char *files[] = {"auxv", "cmdline", "comm", "environ", "io", "limits", "maps", "mem", "mountinfo", "mounts", "oom_score_adj", "pagemap", "personality", "smaps",
                                  "smaps_rollup", "stat", "statm", "status", "syscall", "wchan"};
    static const char *links[] = {"cwd", "exe", "root", "fd/0", "ns/uts", "ns/mnt"}, *directories[] = {"fd", "fdinfo", "ns", "task"};
    char data[500], path[100];
    NOTE("%s", when);
    for (int i = 0; i < sizeof files / sizeof *files; i++) {
        long n = slurp(pid, files[i], data, sizeof data);
        if (strcmp(files[i], "mem") == 0 && n == -1000 - EIO)
            n = 1;
        NOTE("  %s: %s%s", files[i], n < -1000 ? "reading " : "", n > 0 ? "something" : n == 0 ? "empty" : errno_name(n < -1000 ? -n - 1000 : -n));
    }
    for (int i = 0; i < sizeof links / sizeof *links; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, links[i]);
        long n = readlink(path, data, sizeof data);
        printf("  %s: %s", links[i], n < 0 ? errno_name(errno) : "read");
        printf(" %s", access(path, F_OK) < 0 ? errno_name(errno) : "followed");
        struct stat st;
        int failed = lstat(path, &st);
        printf(" %s\n", failed ? errno_name(errno) : st.st_uid == 0 ? "root's" : "its");
    }
    for (int i = 0; i < sizeof directories / sizeof *directories; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, directories[i]);
        DIR *directory = opendir(path);
        int count = 0;
        if (directory) {
            while (readdir(directory))
                count++;
            closedir(directory);
        }
        struct stat st;
        stat(path, &st);
        NOTE("  %s: %s %o %s", directories[i], directory ? count > 2 ? "entries" : "empty" : errno_name(errno), st.st_mode & 07777,
             st.st_uid == 0 ? "root's" : "its");
    }
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d", pid);
    stat(path, &st);
    NOTE("  itself: %d", st.st_uid);
}

static void rights(void)
{
    int ready[2], go[2], status;
    char byte;
    if (geteuid())
        return;
    pipe(ready);
    pipe(go);
    pid_t pids[3];
    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (!pids[i]) {
            setresgid(1000 + i % 2, 1000 + i % 2, 1000 + i % 2);
            setresuid(1000 + i % 2, 1000 + i % 2, 1000 + i % 2);
            prctl(PR_SET_DUMPABLE, i != 2);
            write(ready[1], "x", 1);
            read(go[0], &byte, 1);
            _exit(0);
        }
        read(ready[0], &byte, 1);
        until(pids[i], 'S');
    }
    pid_t root = fork();
    if (!root)
        pause();
    until(root, 'S');
    pid_t pid = fork();
    if (!pid) {
        setresgid(1000, 1000, 1000);
        setresuid(1000, 1000, 1000);
        look(getpid(), "1000 at itself, not dumpable");
        prctl(PR_SET_DUMPABLE, 1);
        look(getpid(), "1000 at itself");
        look(pids[0], "1000 at another of 1000");
        look(pids[1], "1000 at 1001");
        look(pids[2], "1000 at one of 1000 that is not dumpable");
        look(root, "1000 at root");
        NOTE("stat of root's");
        stat_of(root, 1);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    look(pids[2], "root at one of 1000 that is not dumpable");
    kill(pids[0], SIGKILL);
    until(pids[0], 'Z');
    look(pids[0], "root at a zombie");
    for (int i = 0; i < 3; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    kill(root, SIGKILL);
    waitpid(root, NULL, 0);
}

static void calls(void)
{
    char data[300];
    int ends[2], number;
    unsigned long a[3];
    pipe(ends);
    pid_t pid = fork();
    if (!pid)
        read(ends[0], data, 77);
    until(pid, 'S');
    slurp(pid, "syscall", data, sizeof data);
    sscanf(data, "%d %lx %lx %lx", &number, a, a + 1, a + 2);
    NOTE("in call %d (%ld, buffer %d, %ld)", number, a[0] - ends[0], a[1] == (unsigned long)data, a[2]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    NOTE("%ld", slurp(pid, "syscall", data, sizeof data));
    slurp(me, "syscall", data, sizeof data);
    NOTE("own: %d", atoi(data));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    know(me = getpid(), "main");
    know(getppid(), "outside");
    calls();
    states();
    family();
    rights();
}

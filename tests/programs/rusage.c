/* What getrusage, wait4, waitid, times and /proc say that a process and its children have used. */
#include "show.h"
#include <sys/times.h>
#include <sys/wait.h>

static long long used(struct rusage *ru)
{
    return (ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000ll + ru->ru_utime.tv_usec + ru->ru_stime.tv_usec;
}

static long long own(int who)
{
    struct rusage ru;
    getrusage(who, &ru);
    return used(&ru);
}

static void burn(int ms)
{
    long long end = own(RUSAGE_SELF) + ms * 1000ll;
    volatile int x;
    while (own(RUSAGE_SELF) < end)
        for (int i = 0; i < 5000; i++)
            x = i;
}

static void touch(int megabytes)
{
    char *p = mmap(NULL, megabytes << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, megabytes << 20, MADV_NOHUGEPAGE);
    for (long i = 0; i < megabytes << 20; i += 4096)
        p[i] = 1;
    munmap(p, megabytes << 20);
}

/* Field `n` (from 1) of a file of numbers behind a name in parentheses. */
static long long field(const char *path, int n)
{
    char text[2000], *at;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    at = strrchr(text, ')') + 2;
    for (n -= 3; n > 0; n--)
        at = strchr(at, ' ') + 1;
    return atoll(at);
}

static long long line(const char *path, const char *name)
{
    char text[300];
    long long value = -1;
    FILE *file = fopen(path, "r");
    while (file && fgets(text, sizeof text, file))
        if (!strncmp(text, name, strlen(name)))
            value = atoll(text + strlen(name));
    if (file)
        fclose(file);
    return value;
}

int main(int argc, char **argv)
{
    struct rusage ru, ru2, self;
    int status;
    siginfo_t info;
    if (argc > 1) {
        getrusage(RUSAGE_SELF, &ru);
        printf("peak survives exec: %d, faults and time too: %d %d\n", ru.ru_maxrss > 60000, ru.ru_minflt > 16000, used(&ru) >= 30000);
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("-- getrusage");
    SHOW(getrusage(RUSAGE_SELF, &ru));
    SHOW(getrusage(RUSAGE_CHILDREN, &ru));
    printf("no children yet: %lld %ld %ld %ld\n", used(&ru), ru.ru_maxrss, ru.ru_minflt, ru.ru_nvcsw);
    SHOW(getrusage(RUSAGE_THREAD, &ru));
    SHOW(getrusage(2, &ru));
    SHOW(getrusage(-2, &ru));
    SHOW(syscall(SYS_getrusage, RUSAGE_SELF, (void *)16));
    printf("thread and process agree: %d\n", llabs(own(RUSAGE_THREAD) - own(RUSAGE_SELF)) < 5000);

    puts("-- faults");
    getrusage(RUSAGE_SELF, &ru);
    touch(8);
    getrusage(RUSAGE_SELF, &ru2);
    long before_peak = ru2.ru_maxrss; // includes that of whoever called exec
    printf("2048 pages: %d\n", ru2.ru_minflt - ru.ru_minflt >= 2048 && ru2.ru_minflt - ru.ru_minflt < 2100);
    printf("peak: %d\n", ru2.ru_maxrss >= 8192);

    puts("-- switches");
    getrusage(RUSAGE_SELF, &ru);
    for (int i = 0; i < 20; i++)
        usleep(1000);
    getrusage(RUSAGE_SELF, &ru2);
    printf("20 sleeps: %d\n", ru2.ru_nvcsw - ru.ru_nvcsw >= 20 && ru2.ru_nvcsw - ru.ru_nvcsw < 30);
    printf("status agrees: %d\n", labs(line("/proc/self/status", "voluntary_ctxt_switches:") - ru2.ru_nvcsw) < 5);
    printf("a file for it: %d\n", line("/proc/self/status", "nonvoluntary_ctxt_switches:") >= ru.ru_nivcsw);

    puts("-- a child and its child");
    struct tms before, after;
    times(&before);
    pid_t child = fork();
    if (!child) {
        getrusage(RUSAGE_SELF, &ru);
        printf("a child starts at nothing: %d %d\n", used(&ru) < 30000, ru.ru_nvcsw < 5);
        if (!fork()) {
            touch(64);
            burn(100);
            _exit(0);
        }
        printf("of its parent's children: %lld\n", own(RUSAGE_CHILDREN));
        wait(NULL);
        printf("child's child: %d\n", own(RUSAGE_CHILDREN) >= 100000);
        burn(60);
        _exit(3);
    }
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    printf("code %d status %d not added yet: %lld\n", info.si_code, info.si_status, own(RUSAGE_CHILDREN));
    char path[50];
    sprintf(path, "/proc/%d/stat", child);
    printf("zombie's times: own %d, children's %d\n", field(path, 14) + field(path, 15) >= 5, field(path, 16) + field(path, 17) >= 9);
    SHOW(wait4(child, &status, 0, &ru) == child);
    getrusage(RUSAGE_CHILDREN, &ru2);
    printf("wait4 says both: %d %d\n", used(&ru) >= 155000, ru.ru_maxrss > 60000);
    printf("children: time %d peak %d faults %d\n", used(&ru2) >= 155000, ru2.ru_maxrss > 60000, ru2.ru_minflt >= 16000);
    printf("the same: %d\n", used(&ru) == used(&ru2) && ru.ru_minflt == ru2.ru_minflt && ru.ru_maxrss == ru2.ru_maxrss);
    times(&after);
    printf("times: %d\n", after.tms_cutime + after.tms_cstime - before.tms_cutime - before.tms_cstime >= 14);
    printf("stat: %d\n", field("/proc/self/stat", 16) + field("/proc/self/stat", 17) >= 14);
    printf("stat minor faults of children: %d\n", field("/proc/self/stat", 11) == ru2.ru_minflt);
    getrusage(RUSAGE_SELF, &self);
    printf("own peak is not the child's: %d\n", self.ru_maxrss < before_peak + 4000);

    puts("-- waitid");
    child = fork();
    if (!child) {
        burn(30);
        _exit(0);
    }
    memset(&ru, 0, sizeof ru);
    SHOW(syscall(SYS_waitid, P_PID, child, &info, WEXITED, &ru));
    printf("rusage of the child only: %d\n", used(&ru) >= 30000 && used(&ru) < 140000);
    printf("children grow: %d\n", own(RUSAGE_CHILDREN) >= used(&ru2) + 30000);

    puts("-- a child that nobody waits for");
    long long so_far = own(RUSAGE_CHILDREN);
    signal(SIGCHLD, SIG_IGN);
    child = fork();
    if (!child) {
        burn(50);
        _exit(0);
    }
    SHOW(wait(NULL));
    printf("is not counted: %lld\n", own(RUSAGE_CHILDREN) - so_far);
    signal(SIGCHLD, SIG_DFL);

    puts("-- SIGCHLD");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    child = fork();
    if (!child) {
        burn(200);
        _exit(7);
    }
    sigwaitinfo(&set, &info);
    printf("code %d status %d time %d\n", info.si_code, info.si_status, info.si_utime + info.si_stime >= 4 && info.si_utime + info.si_stime < 100);
    waitpid(child, NULL, 0);

    puts("-- exec");
    fflush(stdout);
    child = fork();
    if (!child) {
        touch(64);
        burn(30);
        execl("/proc/self/exe", argv[0], "again", NULL);
    }
    waitpid(child, NULL, 0);

    puts("-- /proc");
    child = fork();
    if (!child) {
        pid_t pids[3];
        for (int i = 0; i < 3; i++)
            if (!(pids[i] = fork())) {
                pause();
                _exit(0);
            }
        char text[200] = "", expect[200] = "";
        for (int i = 0; i < 3; i++)
            sprintf(expect + strlen(expect), "%d ", pids[i]);
        sprintf(path, "/proc/self/task/%d/children", getpid());
        int fd = open(path, O_RDONLY);
        read(fd, text, sizeof text);
        printf("children: %d\n", !strcmp(text, expect));
        FILE *file = fopen("/proc/loadavg", "r");
        int running, all, last;
        fscanf(file, "%*s %*s %*s %d/%d %d", &running, &all, &last);
        printf("last pid: %d, running %d, all %d\n", last >= pids[2], running >= 1, all >= 5);
        for (int i = 0; i < 3; i++)
            kill(pids[i], SIGKILL);
        while (wait(NULL) > 0)
            ;
        _exit(0);
    }
    waitpid(child, NULL, 0);
    long long forks = line("/proc/stat", "processes "), switches = line("/proc/stat", "ctxt ");
    for (int i = 0; i < 5; i++)
        if (!fork())
            _exit(0);
    while (wait(NULL) > 0)
        ;
    printf("processes: %d, switches: %d\n", line("/proc/stat", "processes ") - forks >= 5, line("/proc/stat", "ctxt ") - switches >= 5);
    long long run = -1, slices = -1;
    FILE *file = fopen("/proc/self/schedstat", "r");
    fscanf(file, "%lld %*d %lld", &run, &slices);
    printf("schedstat: %d %d\n", run / 1000 > own(RUSAGE_SELF) - 50000 && run / 1000 <= own(RUSAGE_SELF) + 50000, slices > 20);
    return 0;
}

// What a process may do to another user's: signals, priorities, limits, memory, descriptors, /proc; by each capability.
#include "show.h"
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>

#define B(cap) (1ull << (cap))
#define ALL ((1ull << 41) - 1)
enum { ME = 4321, THEM = 5432 };

static void set_caps(uint64_t caps)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct old[2], data[2];
    syscall(SYS_capget, &head, old);
    caps &= old[0].permitted | (uint64_t)old[1].permitted << 32;
    data[0] = (struct __user_cap_data_struct){caps, caps, 0};
    data[1] = (struct __user_cap_data_struct){caps >> 32, caps >> 32, 0};
    if (syscall(SYS_capset, &head, data) < 0)
        die("capset");
}

static void become(int uid, uint64_t caps)
{
    prctl(PR_SET_KEEPCAPS, 1);
    if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
        die("setresuid");
    set_caps(caps);
    prctl(PR_SET_DUMPABLE, 1);
}

static pid_t them;
static char *their_page;

static void file(const char *name, int flags)
{
    char path[64], byte[16];
    snprintf(path, sizeof path, "/proc/%d/%s", them, name);
    int fd = open(path, flags);
    if (fd < 0) {
        label(fd, "  open %s %d", name, flags);
        return;
    }
    long n = flags ? 0 : read(fd, byte, sizeof byte);
    label(n < 0 ? n : n > 0, "  %s %d", name, flags);
    close(fd);
}

static void store(const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", them, name);
    int fd = open(path, O_WRONLY);
    if (fd < 0) {
        label(fd, "  open %s", name);
        return;
    }
    label(write(fd, text, strlen(text)) > 0 ? 0 : -1, "  %s = %s", name, text);
    close(fd);
}

static void link_of(const char *name)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/%s", them, name);
    label(readlink(path, text, sizeof text) > 0 ? 0 : -1, "  readlink %s", name);
    struct stat st;
    label(lstat(path, &st), "  lstat %s", name);
    label(stat(path, &st), "  stat %s", name);
    if (!lstat(path, &st))
        NOTE("  %s %o %d", name, st.st_mode, st.st_uid);
}

static void act(void)
{
    siginfo_t info = {.si_code = SI_QUEUE};
    SHOW(kill(them, 0)); SHOW(kill(them, SIGCONT)); SHOW(kill(them, SIGURG)); SHOW(syscall(SYS_tgkill, them, them, SIGURG));
    SHOW(syscall(SYS_rt_sigqueueinfo, them, SIGURG, &info)); SHOW(syscall(SYS_rt_tgsigqueueinfo, them, them, SIGURG, &info));
    SHOW(setpriority(PRIO_PROCESS, them, 5)); SHOW(setpriority(PRIO_PROCESS, them, 1)); SHOW(getpriority(PRIO_PROCESS, them));
    SHOW(setpriority(PRIO_USER, THEM, 6)); SHOW(setpriority(PRIO_PROCESS, 0, -1));
    struct sched_param param = {0};
    SHOW(sched_setscheduler(them, SCHED_BATCH, &param)); SHOW(sched_setscheduler(them, SCHED_OTHER, &param));
    SHOW(sched_getscheduler(them)); param.sched_priority = 1; SHOW(sched_setscheduler(0, SCHED_FIFO, &param));
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    SHOW(sched_setaffinity(them, sizeof cpus, &cpus)); SHOW(syscall(SYS_ioprio_set, 1, them, 2 << 13 | 4));
    SHOW(syscall(SYS_ioprio_set, 1, them, 1 << 13 | 4)); TRY(syscall(SYS_ioprio_get, 1, them));
    struct rlimit limit = {100, 200}, old;
    SHOW(prlimit(them, RLIMIT_NOFILE, NULL, &old)); SHOW(prlimit(them, RLIMIT_NOFILE, &limit, NULL));
    limit = (struct rlimit){100, 300};
    SHOW(prlimit(them, RLIMIT_NOFILE, &limit, NULL));
    SHOW(setpgid(them, 0)); TRY(getpgid(them)); TRY(getsid(them));
    char byte;
    struct iovec mine = {&byte, 1}, theirs = {their_page, 1};
    SHOW((int)process_vm_readv(them, &mine, 1, &theirs, 1, 0)); SHOW((int)process_vm_writev(them, &mine, 1, &theirs, 1, 0));
    int process = syscall(SYS_pidfd_open, them, 0);
    SHOW(process > 0); SHOW(syscall(SYS_pidfd_send_signal, process, SIGURG, NULL, 0)); SHOW(syscall(SYS_pidfd_getfd, process, 1, 0) > 0);
    SHOW(syscall(SYS_process_madvise, process, &theirs, 1, MADV_COLD, 0)); close(process);
    SHOW(syscall(SYS_kcmp, them, them, KCMP_FILE, 1, 1));
    void *head;
    size_t length;
    SHOW(syscall(SYS_get_robust_list, them, &head, &length));
    int clock = (~them << 3) | 2;
    struct timespec t;
    SHOW(syscall(SYS_clock_gettime, clock, &t));
    const char *files[] = {"status", "stat", "statm", "cmdline", "comm", "environ", "maps", "smaps", "pagemap", "mem", "auxv", "io",
                           "limits", "wchan", "syscall", "personality", "oom_score", "sched", "mountinfo", "mounts",
                           "cgroup", "loginuid", "timers", "fdinfo/1"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        file(files[i], O_RDONLY);
    file("mem", O_RDWR); file("fd", O_RDONLY | O_DIRECTORY); file("map_files", O_RDONLY | O_DIRECTORY);
    link_of("exe"); link_of("cwd"); link_of("root"); link_of("fd/1");
    store("comm", "other"); store("oom_score_adj", "300"); store("oom_score_adj", "100"); store("timerslack_ns", "60000");
    store("coredump_filter", "33");
}

static void as(const char *who, int uid, uint64_t caps, int dumpable)
{
    int ready[2], done[2];
    NOTE("%s", who);
    fflush(stdout);
    pipe(ready);
    pipe(done);
    them = fork();
    if (!them) {
        become(THEM, 0);
        prctl(PR_SET_DUMPABLE, dumpable);
        close(done[1]);
        write(ready[1], "x", 1);
        char byte;
        read(done[0], &byte, 1);
        _exit(0);
    }
    close(done[0]);
    char byte;
    read(ready[0], &byte, 1);
    pid_t me = fork();
    if (!me) {
        become(uid, caps);
        act();
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(me, &status, 0);
    NOTE("status %x", status);
    close(done[1]);
    close(ready[0]); close(ready[1]);
    waitpid(them, &status, 0);
}

int main(void)
{
    if (geteuid()) {
        NOTE("only root can be everybody");
        return 0;
    }
    their_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(their_page, 1, PAGE);
    struct rlimit plain = {1000, 1000};
    setrlimit(RLIMIT_NOFILE, &plain);
    as("another user", ME, 0, 1);
    as("the same user", THEM, 0, 1);
    as("the same user, not dumpable", THEM, 0, 0);
    as("CAP_KILL", ME, B(CAP_KILL), 1);
    as("CAP_SYS_NICE", ME, B(CAP_SYS_NICE), 1);
    as("CAP_SYS_PTRACE", ME, B(CAP_SYS_PTRACE), 1);
    as("CAP_SYS_PTRACE, not dumpable", ME, B(CAP_SYS_PTRACE), 0);
    as("CAP_SYS_RESOURCE", ME, B(CAP_SYS_RESOURCE), 1);
    as("CAP_DAC_OVERRIDE", ME, B(CAP_DAC_OVERRIDE), 1);
    as("CAP_SYS_ADMIN", ME, B(CAP_SYS_ADMIN), 1);
    as("root", 0, ALL, 1);
    as("root without anything", 0, 0, 1);
    return 0;
}

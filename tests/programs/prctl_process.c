/* prctl options about memory, parents and orphans, each as two or more processes see it. */
#include "show.h"
#include <sys/prctl.h>
#include <sys/wait.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif

static void gain(const char *when)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NOTE("%s: %ld", when, (long)prctl(PR_GET_MDWE, 0, 0, 0, 0));
    TRY(mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
    SHOW(mprotect(p, PAGE, PROT_READ));
    char *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(x == MAP_FAILED);
    SHOW(mprotect(x, PAGE, PROT_READ | PROT_EXEC));
    SHOW(mprotect(x, PAGE, PROT_READ));
    SHOW(mprotect(x, PAGE, PROT_READ | PROT_EXEC));
}

static void mdwe(char *self, int bits)
{
    pid_t pid = fork();
    if (!pid) {
        SHOW(prctl(PR_SET_MDWE, 1, 1, 0, 0));
        SHOW(prctl(PR_SET_MDWE, 4, 0, 0, 0));
        SHOW(prctl(PR_SET_MDWE, 2, 0, 0, 0));
        SHOW(prctl(PR_SET_MDWE, bits, 0, 0, 0));
        SHOW(prctl(PR_SET_MDWE, bits, 0, 0, 0));
        SHOW(prctl(PR_SET_MDWE, 0, 0, 0, 0));
        SHOW(prctl(PR_SET_MDWE, bits ^ 2, 0, 0, 0));
        gain("set");
        if (!(pid = fork())) {
            gain("child");
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        execl(self, self, "mdwe", NULL);
    }
    waitpid(pid, NULL, 0);
}

static volatile int got, code, value, from;

static void handler(int signo, siginfo_t *info, void *context)
{
    got = signo, code = info->si_code, value = info->si_uid, from = info->si_pid;
}

/* Grandchildren whose parent ends, with and without a signal, below a subreaper or not. */
static void orphans(int subreaper)
{
    int news[2];
    pipe(news);
    struct { pid_t before, after; int got, code, uid, from_parent; } report;
    pid_t middle = fork();
    if (!middle) {
        if (subreaper == 2)
            prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (!fork()) {
            if (!fork()) {
                struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
                int on, death;
                sigset_t block, old;
                sigemptyset(&block);
                sigaddset(&block, SIGUSR1);
                sigprocmask(SIG_BLOCK, &block, &old);
                sigaction(SIGUSR1, &action, NULL);
                SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
                prctl(PR_GET_CHILD_SUBREAPER, &on);
                NOTE("subreaper inherited %d", on);
                if (!fork()) {
                    prctl(PR_GET_PDEATHSIG, &death);
                    NOTE("death signal inherited %d", death);
                    _exit(0);
                }
                wait(NULL);
                report.before = getppid();
                kill(getppid(), SIGUSR2);
                while (!got)
                    sigsuspend(&old);
                report.after = getppid();
                report.got = got, report.code = code, report.uid = value, report.from_parent = from == report.before;
                write(news[1], &report, sizeof report);
                _exit(5);
            }
            pause();
        }
        while (wait(NULL) > 0)
            ;
        _exit(0);
    }
    if (subreaper == 1)
        kill(middle, 0);
    read(news[0], &report, sizeof report);
    NOTE("signal %d code %d uid %d from the parent %d", report.got, report.code, report.uid, report.from_parent);
    NOTE("now the child of: %s", report.after == middle ? "its grandparent" : report.after == getpid() ? "its great-grandparent" : "somebody else");
    int status, count = 0, all = 0;
    for (; waitpid(-1, &status, 0) > 0; count++) /* in any order */
        all |= status;
    NOTE("%d ended, statuses %x", count, all);
    close(news[0]);
    close(news[1]);
}

static void coredump_filter(void)
{
    char text[20] = "";
    int fd = open("/proc/self/coredump_filter", O_RDWR);
    SHOW(read(fd, text, sizeof text - 1));
    SHOW(write(fd, "0xff1", 5));
    SHOW(pread(fd, text, sizeof text - 1, 0));
    NOTE("filter %s", text);
    SHOW(write(fd, "none", 4));
    pid_t pid = fork();
    if (!pid) {
        int own = open("/proc/self/coredump_filter", O_RDONLY);
        SHOW(pread(own, text, sizeof text - 1, 0));
        NOTE("child %s", text);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        gain("exec");
        return 0;
    }
    mdwe(argv[0], 1);
    mdwe(argv[0], 3);
    for (int action = 0; action < 3; action++)
        for (int policy = 0; policy < 3; policy++) {
            label(prctl(PR_MCE_KILL, action, policy, 0, 0), "mce kill %d %d", action, policy);
            SHOW(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
        }
    SHOW(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0));
    SHOW(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
    pid_t pid = fork();
    if (!pid) {
        SHOW(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
        SHOW(prctl(PR_MCE_KILL, 0, 0, 1, 0));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    coredump_filter();
    SHOW(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_MM, PR_SET_MM_ARG_START, 0, 1, 0));
    SHOW(prctl(PR_SET_MM, PR_SET_MM_ARG_START, 0, 0, 1));
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
    orphans(1); /* we take them in */
    orphans(2); /* somebody nearer does */
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 0));
}

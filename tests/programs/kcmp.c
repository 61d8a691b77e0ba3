/* kcmp: what processes share. */
#include "show.h"
#include <sched.h>
#include <sys/wait.h>

enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM, KCMP_EPOLL_TFD };
#define kcmp(a, b, kind, i, j) syscall(SYS_kcmp, a, b, kind, (long)(i), (long)(j))

/* Same or not: which of two different things comes first is nobody's business. */
static void compare(const char *what, long result)
{
    if (result < 0)
        label(result, "%s", what);
    else
        NOTE("%s: %s", what, result == 0 ? "same" : result == 1 || result == 2 ? "different" : "?");
}

static char stack[64 << 10];

static int sleeper(void *unused)
{
    for (;;)
        pause();
}

static void sharing(const char *name, int flags)
{
    static const char *kinds[] = {"vm", "files", "fs", "sighand", "io", "sysvsem"};
    pid_t me = getpid(), pid = clone(sleeper, stack + sizeof stack, flags | SIGCHLD, NULL);
    NOTE("%s", name);
    for (int kind = KCMP_VM; kind <= KCMP_SYSVSEM; kind++)
        compare(kinds[kind - 1], kcmp(me, pid, kind, 0, 0));
    compare("file", kcmp(me, pid, KCMP_FILE, 1, 1));
    /* an order: opposite from the other side, the same again */
    long there = kcmp(me, pid, KCMP_FILE, 1, 2), back = kcmp(pid, me, KCMP_FILE, 2, 1);
    NOTE("order %d %d", there == 0 ? back == 0 : there + back == 3, there == kcmp(me, pid, KCMP_FILE, 1, 2));
    kill(pid, SIGKILL);
    siginfo_t info;
    waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
    for (int kind = KCMP_VM; kind <= KCMP_FS; kind++)
        compare("with a zombie", kcmp(me, pid, kind, 0, 0));
    compare("zombie with itself", kcmp(pid, pid, KCMP_VM, 0, 0));
    compare("zombie's file", kcmp(pid, pid, KCMP_FILE, 0, 0));
    waitpid(pid, NULL, 0);
    compare("gone", kcmp(me, pid, KCMP_VM, 0, 0));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    pid_t me = getpid();
    unsigned bad[3] = {99}, slot[3];
    int first = open("/dev/null", O_RDONLY), second = open("/dev/null", O_RDONLY), copy = dup(first);
    slot[0] = second;
    compare("dup", kcmp(me, me, KCMP_FILE, first, copy));
    compare("two opens", kcmp(me, me, KCMP_FILE, first, second));
    compare("bad first", kcmp(me, me, KCMP_FILE, 99, copy));
    compare("bad second", kcmp(me, me, KCMP_FILE, first, 99));
    compare("bad kind", kcmp(me, me, 8, 0, 0));
    compare("bad kind", kcmp(me, me, -1, 0, 0));
    compare("bad pid", kcmp(me, 1 << 22, KCMP_VM, 0, 0));
    compare("bad pid", kcmp(0, me, KCMP_VM, 0, 0));
    compare("bad pid and kind", kcmp(0, me, 9, 0, 0));
    compare("not epoll", kcmp(me, me, KCMP_EPOLL_TFD, first, slot));
    compare("bad epoll", kcmp(me, me, KCMP_EPOLL_TFD, first, bad));
    compare("bad target", kcmp(me, me, KCMP_EPOLL_TFD, 99, slot));
    compare("bad slot", kcmp(me, me, KCMP_EPOLL_TFD, first, 8));
    sharing("nothing", 0);
    sharing("files", CLONE_FILES);
    sharing("fs", CLONE_FS);
    sharing("vm", CLONE_VM);
    sharing("vm and handlers", CLONE_VM | CLONE_SIGHAND);
    if (geteuid() == 0) {
        pid_t pid = fork();
        if (!pid) {
            setresuid(1000, 1000, 1000);
            compare("another user", kcmp(me, getpid(), KCMP_VM, 0, 0));
            compare("oneself", kcmp(getpid(), getpid(), KCMP_VM, 0, 0));
            void *head;
            size_t size;
            SHOW(syscall(SYS_get_robust_list, me, &head, &size));
            SHOW(syscall(SYS_get_robust_list, 0, &head, &size));
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
}

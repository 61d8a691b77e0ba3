/* unshare: what a process gets back for itself. */
#include "show.h"
#include <sched.h>
#include <sys/wait.h>

static char stack[64 << 10];

static int child(void *flags)
{
    label(unshare((long)flags), "unshare %lx", (long)flags);
    dup2(1, 50);
    umask(077);
    chdir("/");
    _exit(0);
}

/* close_range gives a process a table of its own first, if it is told to. */
static int closer(void *flags)
{
    label(syscall(SYS_close_range, 50, 50, (long)flags), "close_range %lx", (long)flags);
    label(fcntl(50, F_GETFD), "descriptor in the child");
    _exit(0);
}

static void closed_beside(int shared, long flags)
{
    dup2(1, 50);
    waitpid(clone(closer, stack + sizeof stack, shared | SIGCHLD, (void *)flags), NULL, 0);
    label(fcntl(50, F_GETFD), "shared %x, after close_range %lx", shared, flags);
}

static void beside(int shared, long flags)
{
    char here[100];
    close(50);
    umask(022);
    waitpid(clone(child, stack + sizeof stack, shared | SIGCHLD, (void *)flags), NULL, 0);
    NOTE("shared %x, unshared %lx: descriptor %d umask %o moved %d", shared, flags, fcntl(50, F_GETFD) == 0, umask(022),
         strcmp(getcwd(here, sizeof here), "/") == 0);
}

int main(void)
{
    char here[100];
    setvbuf(stdout, NULL, _IONBF, 0);
    getcwd(here, sizeof here);
    long flags[] = {0, CLONE_FILES, CLONE_FS, CLONE_FILES | CLONE_FS | CLONE_SYSVSEM};
    for (int i = 0; i < 4; i++) {
        beside(CLONE_FILES | CLONE_FS, flags[i]);
        chdir(here);
        beside(0, flags[i]);
        chdir(here);
    }
    for (int flags = 0; flags < 8; flags += 2) {
        closed_beside(CLONE_FILES, flags);
        closed_beside(0, flags);
    }
    SHOW(unshare(CLONE_VM));
    SHOW(unshare(CLONE_SIGHAND));
    SHOW(unshare(CLONE_THREAD));
    beside(CLONE_VM, CLONE_VM);
    beside(CLONE_VM | CLONE_SIGHAND, CLONE_SIGHAND);
    SHOW(unshare(1));
    SHOW(unshare(CLONE_PARENT));
    SHOW(unshare(CLONE_VFORK));
}

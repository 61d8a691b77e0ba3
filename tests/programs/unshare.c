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
    SHOW(unshare(CLONE_VM));
    SHOW(unshare(CLONE_SIGHAND));
    SHOW(unshare(CLONE_THREAD));
    beside(CLONE_VM, CLONE_VM);
    beside(CLONE_VM | CLONE_SIGHAND, CLONE_SIGHAND);
    SHOW(unshare(1));
    SHOW(unshare(CLONE_PARENT));
    SHOW(unshare(CLONE_VFORK));
}

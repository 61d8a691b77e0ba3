/* exec beside other processes: files that they write or run, tables and directories that they share. */
#include "show.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

static char stack[4][32 << 10];
static int marked, kept;

static void copy(const char *to)
{
    static char data[2 << 20];
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    long size;
    while ((size = read(in, data, sizeof data)) > 0)
        write(out, data, size);
    close(in);
    close(out);
}

static void wait_for(pid_t pid)
{
    int status;
    waitpid(pid, &status, 0);
    NOTE("  status %x", status);
}

static void try(const char *path, const char *what)
{
    pid_t pid = fork();
    if (!pid) {
        execl(path, path, what, NULL);
        _exit(errno);
    }
    int status;
    waitpid(pid, &status, 0);
    NOTE("%s: %s", path, WEXITSTATUS(status) == 77 ? "ran" : errno_name(WEXITSTATUS(status)));
}

static void busy(void)
{
    int ready[2], go[2];
    char byte;
    pipe(ready);
    pipe(go);
    copy("prog");
    pid_t writer = fork();
    if (!writer) {
        int fd = open("prog", O_WRONLY);
        write(ready[1], "x", 1);
        read(go[0], &byte, 1);
        close(fd);
        write(ready[1], "x", 1);
        pause();
    }
    read(ready[0], &byte, 1);
    try("prog", "end");
    write(go[1], "x", 1);
    read(ready[0], &byte, 1);
    try("prog", "end");
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    int inherited = open("prog", O_RDWR); /* by a child that keeps it when we do not */
    if (!(writer = fork()))
        pause();
    close(inherited);
    try("prog", "end");
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    try("prog", "end");
    /* a program that runs */
    pid_t runner = fork();
    if (!runner) {
        dup2(ready[1], 20);
        execl("prog", "prog", "sleep", NULL);
        _exit(1);
    }
    read(ready[0], &byte, 1);
    SHOW(open("prog", O_WRONLY));
    SHOW(open("prog", O_RDWR | O_TRUNC));
    SHOW(truncate("prog", 0));
    SHOW(close(open("prog", O_RDONLY)));
    try("prog", "end");
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    SHOW(close(open("prog", O_WRONLY)));
    if ((runner = vfork()) == 0)
        _exit(0);
    waitpid(runner, NULL, 0);
    SHOW(close(open("prog", O_WRONLY)));
    int memfd = memfd_create("m", 0), in = open("prog", O_RDONLY);
    struct stat st;
    fstat(in, &st);
    while (st.st_size > 0)
        st.st_size -= sendfile(memfd, in, NULL, st.st_size);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memfd);
    try(path, "end"); /* open for writing by ourselves */
    int reading = open(path, O_RDONLY);
    close(memfd);
    snprintf(path, sizeof path, "/proc/self/fd/%d", reading);
    try(path, "end");
}

static int runs(void *what)
{
    execl("prog", "prog", what, NULL);
    _exit(errno);
}

static int checks(void *unused)
{
    char text[200];
    usleep(1000);
    NOTE("  beside it: marked %d kept %d", fcntl(marked, F_GETFD), fcntl(kept, F_GETFD));
    NOTE("  umask %o", umask(0));
    _exit(0);
}

static void shared(void)
{
    marked = open("prog", O_RDONLY | O_CLOEXEC);
    kept = dup(marked);
    dup2(kept, 30);
    dup3(kept, 31, O_CLOEXEC);
    NOTE("shared descriptors");
    wait_for(clone(runs, stack[0] + sizeof stack[0], CLONE_FILES | SIGCHLD, "fds"));
    NOTE("  ours: %d %d", fcntl(30, F_GETFD), fcntl(31, F_GETFD));
    NOTE("  not made here: %d", fcntl(40, F_GETFD));
    NOTE("shared directory and umask");
    umask(022);
    wait_for(clone(runs, stack[0] + sizeof stack[0], CLONE_FS | SIGCHLD, "fs"));
    NOTE("  umask %o", umask(022));
    NOTE("shared memory");
    wait_for(clone(runs, stack[0] + sizeof stack[0], CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD, "fds"));
    NOTE("  ours: %d %d", fcntl(30, F_GETFD), fcntl(31, F_GETFD));
    pid_t pid = clone(checks, stack[1] + sizeof stack[1], CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
    wait_for(pid);
    signal(SIGUSR1, SIG_IGN);
    NOTE("shared handlers");
    wait_for(clone(runs, stack[0] + sizeof stack[0], CLONE_VM | CLONE_SIGHAND | SIGCHLD, "signals"));
    NOTE("  ours %d", signal(SIGUSR1, SIG_DFL) == SIG_IGN);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc == 1) {
        busy();
        shared();
        unlink("prog");
        return 0;
    }
    if (!strcmp(argv[1], "sleep")) {
        write(20, "x", 1);
        pause();
    } else if (!strcmp(argv[1], "fds")) {
        NOTE("  new program: %d %d", fcntl(30, F_GETFD), fcntl(31, F_GETFD));
        dup2(30, 40);
        close(30);
    } else if (!strcmp(argv[1], "fs")) {
        umask(077);
    } else if (!strcmp(argv[1], "signals")) {
        struct sigaction action;
        sigaction(SIGUSR1, NULL, &action);
        NOTE("  ignored %d", action.sa_handler == SIG_IGN);
        signal(SIGUSR1, SIG_DFL);
    }
    return 77;
}

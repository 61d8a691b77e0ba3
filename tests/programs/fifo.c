// fifo(7): opening waits for the other end; on the host's filesystem and on tmpfs.
#include "show.h"
#include <poll.h>
#include <sys/wait.h>

static void on_alarm(int signo)
{
    (void)signo;
}

static pid_t spawn(void (*run)(const char *), const char *path)
{
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        run(path);
        fflush(stdout);
        _exit(0);
    }
    return child;
}

static void late_writer(const char *path)
{
    usleep(30000);
    int fd = open(path, O_WRONLY);
    write(fd, "from the writer", 15);
}

static void late_reader(const char *path)
{
    char data[64];
    usleep(30000);
    int fd = open(path, O_RDONLY);
    long n = read(fd, data, sizeof data);
    show_bytes("child read", data, n < 0 ? 0 : n);
}

static void brief_reader(const char *path)
{
    usleep(30000);
    close(open(path, O_RDONLY | O_NONBLOCK));
}

static void both_ways(const char *path)
{
    int fd = open(path, O_RDWR);
    usleep(50000);
    write(fd, "rw", 2);
}

static void sleeper(const char *path)
{
    open(path, O_RDONLY);
    NOTE("this must not be seen");
}

static void ask(const char *name, int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    int n = poll(&p, 1, 0);
    NOTE("%s: %d %#x", name, n, p.revents);
}

static void try(const char *path)
{
    char data[64];
    int r, w;
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval soon = {{0, 0}, {0, 30000}};
    unlink(path);
    SHOW(mkfifo(path, 0600));
    SHOW(open(path, O_WRONLY | O_NONBLOCK));
    r = open(path, O_RDONLY | O_NONBLOCK);
    NOTE("opened for reading alone: %d", r >= 0);
    ask("no writer ever", r);
    SHOW(read(r, data, 4));
    w = open(path, O_WRONLY | O_NONBLOCK);
    NOTE("opened for writing: %d", w >= 0);
    ask("reader, with a writer", r);
    ask("writer", w);
    SHOW(read(r, data, 4));
    SHOW(write(w, "abc", 3));
    ask("reader, with data", r);
    struct stat st;
    fstat(w, &st);
    NOTE("mode %o links %d size %ld", st.st_mode, (int)st.st_nlink, (long)st.st_size);
    int n = 0;
    SHOW(ioctl(r, FIONREAD, &n));
    NOTE("%d bytes", n);
    close(w);
    ask("reader, writer gone", r);
    SHOW(read(r, data, 64));
    ask("reader, nothing left", r);
    SHOW(read(r, data, 64));
    w = open(path, O_WRONLY);
    ask("reader, a new writer", r);
    close(r);
    ask("writer, reader gone", w);
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(w, "x", 1));
    close(w);

    NOTE("-- waiting for a writer");
    pid_t child = spawn(late_writer, path);
    r = open(path, O_RDONLY);
    SHOW(read(r, data, 64));
    SHOW(read(r, data, 64));
    close(r);
    waitpid(child, NULL, 0);
    NOTE("-- waiting for a reader");
    child = spawn(late_reader, path);
    w = open(path, O_WRONLY);
    SHOW(write(w, "to the reader", 13));
    close(w);
    waitpid(child, NULL, 0);
    NOTE("-- a reader that was there for a moment");
    child = spawn(brief_reader, path);
    w = open(path, O_WRONLY);
    waitpid(child, NULL, 0);
    SHOW(write(w, "x", 1));
    close(w);
    NOTE("-- both ways");
    child = spawn(both_ways, path);
    r = open(path, O_RDONLY);
    SHOW(read(r, data, 64));
    close(r);
    waitpid(child, NULL, 0);
    r = open(path, O_RDWR);
    SHOW(write(r, "self", 4));
    SHOW(read(r, data, 64));
    ask("both ends", r);
    SHOW(fcntl(r, F_GETFL));
    close(r);

    NOTE("-- signals");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(open(path, O_RDONLY));
    SHOW(open(path, O_WRONLY | O_NONBLOCK)); /* the one that was interrupted left nothing behind */
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(open(path, O_WRONLY));
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    child = fork();
    if (!child) {
        usleep(80000);
        late_writer(path);
        _exit(0);
    }
    r = open(path, O_RDONLY);
    NOTE("restarted: %d", r >= 0);
    close(r);
    waitpid(child, NULL, 0);
    child = spawn(sleeper, path);
    usleep(30000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    SHOW(open(path, O_WRONLY | O_NONBLOCK));

    NOTE("-- names and rights");
    SHOW(open(path, O_RDONLY | O_DIRECTORY));
    SHOW(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
    SHOW(open(path, O_ACCMODE));
    w = open(path, O_RDWR | O_TRUNC | O_CREAT, 0600);
    r = open(path, O_RDONLY);
    SHOW(unlink(path));
    SHOW(mkfifo(path, 0600));
    write(w, "old", 3);
    SHOW(read(r, data, 64));
    SHOW(open(path, O_WRONLY | O_NONBLOCK)); /* a new one of the same name is another pipe */
    snprintf(data, sizeof data, "/proc/self/fd/%d", r);
    int again = open(data, O_RDONLY | O_NONBLOCK);
    write(w, "more", 4);
    SHOW(read(again, data, 64));
    close(again), close(r), close(w);
    SHOW(link(path, "other-name"));
    r = open("other-name", O_RDONLY | O_NONBLOCK);
    if (r >= 0) {
        w = open(path, O_WRONLY | O_NONBLOCK);
        SHOW(write(w, "linked", 6));
        SHOW(read(r, data, 64));
        close(r), close(w);
        unlink("other-name");
    }
    chmod(path, 0);
    r = open(path, O_RDONLY | O_PATH);
    SHOW(read(r, data, 1));
    close(r);
    unlink(path);
}

int main(void)
{
    NOTE("== here");
    try("fifo");
    NOTE("== in memory");
    try("/dev/shm/lxrun-test-fifo");
    NOTE("== a pipe's end opened again");
    int p[2];
    char name[64];
    pipe(p);
    snprintf(name, sizeof name, "/proc/self/fd/%d", p[0]);
    close(p[1]);
    int r = open(name, O_RDONLY);
    ask("reader", r);
    close(p[0]);
    int w = open(name, O_WRONLY | O_NONBLOCK);
    NOTE("%d %s", w, errno_name(errno));
    return 0;
}

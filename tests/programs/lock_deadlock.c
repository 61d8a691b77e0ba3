/* File locks between processes: who waits for whom, deadlocks, what ends a lock, /proc/locks. */
#include "show.h"
#include <sched.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static int fd;
static struct stat file;

static long lock(int command, int kind, long start, long size)
{
    struct flock wanted = {.l_type = kind, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
    return fcntl(fd, command, &wanted);
}

static char kind_of(long start)
{
    struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
    fcntl(fd, F_GETLK, &wanted);
    return wanted.l_type == F_UNLCK ? '-' : wanted.l_type == F_RDLCK ? 'r' : 'w';
}

/* A process that does what is asked of it and says how it went. */
struct worker {
    pid_t pid;
    int in, out;
};

static void work(int in, int out)
{
    struct { int command, kind; long start, size; } order;
    while (read(in, &order, sizeof order) == sizeof order) {
        long result = order.command < 0 ? flock(fd, order.kind) : lock(order.command, order.kind, order.start, order.size);
        if (result < 0)
            result = -errno;
        write(out, &result, sizeof result);
    }
    _exit(0);
}

static struct worker hire(void)
{
    struct worker w;
    int in[2], out[2];
    pipe2(in, O_CLOEXEC);
    pipe2(out, O_CLOEXEC);
    if (!(w.pid = fork())) {
        close(in[1]);
        work(in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
    w.in = in[1], w.out = out[0];
    return w;
}

static void order(struct worker w, int command, int kind, long start, long size)
{
    struct { int command, kind; long start, size; } order = {command, kind, start, size};
    write(w.in, &order, sizeof order);
}

static void answer(const char *who, struct worker w)
{
    long result;
    if (read(w.out, &result, sizeof result) != sizeof result)
        NOTE("%s: none", who);
    else
        NOTE("%s: %s", who, result < 0 ? errno_name(-result) : "done");
}

static void dismiss(struct worker w)
{
    close(w.in);
    close(w.out);
    kill(w.pid, SIGKILL);
    waitpid(w.pid, NULL, 0);
}

/* Until as many wait as `count`, as /proc/locks tells. */
static void waiters(int count)
{
    for (;;) {
        char line[200], id[64];
        int found = 0;
        snprintf(id, sizeof id, ":%lu ", file.st_ino);
        FILE *f = fopen("/proc/locks", "r");
        while (fgets(line, sizeof line, f))
            found += strstr(line, "->") && strstr(line, id);
        fclose(f);
        if (found == count)
            return;
        usleep(2000);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char **)a, *(char **)b);
}

/* The lines about our file, without what differs from run to run. */
static void proc_locks(const struct worker *who, int count)
{
    char line[200], id[64], *lines[32];
    int found = 0;
    snprintf(id, sizeof id, "%02x:%02x:%lu ", major(file.st_dev), minor(file.st_dev), file.st_ino);
    FILE *f = fopen("/proc/locks", "r");
    while (fgets(line, sizeof line, f) && found < 32) {
        char *at = strstr(line, id), *text = strchr(line, ':') + 1;
        int pid;
        if (!at)
            continue;
        for (char *p = at - 1; p > text && (p[-1] == '-' || (p[-1] >= '0' && p[-1] <= '9')); p--)
            pid = atoi(p - 1);
        char name = pid == getpid() ? 'P' : pid == -1 ? '-' : '?';
        for (int i = 0; i < count; i++)
            if (who[i].pid == pid)
                name = 'A' + i;
        int head = strcspn(text, "0123456789");
        if (head && text[head - 1] == '-' && text[head] == '1')
            head--;
        asprintf(&lines[found++], "%.*s %c %s", head, text, name, at + strlen(id));
    }
    fclose(f);
    qsort(lines, found, sizeof *lines, by_text);
    for (int i = 0; i < found; i++)
        printf("  %s", lines[i]);
}

static void deadlocks(void)
{
    struct worker w[3] = {hire(), hire(), hire()};
    for (int i = 0; i < 3; i++) {
        order(w[i], F_SETLK, F_WRLCK, 10 * i, 10);
        answer("first", w[i]);
    }
    order(w[0], F_SETLKW, F_WRLCK, 10, 1);
    waiters(1);
    order(w[1], F_SETLKW, F_RDLCK, 25, 1);
    waiters(2);
    proc_locks(w, 3);
    order(w[2], F_SETLKW, F_WRLCK, 5, 1); /* closes the circle */
    answer("circle", w[2]);
    order(w[2], F_SETLKW, F_WRLCK, 40, 1); /* not part of it */
    answer("elsewhere", w[2]);
    order(w[2], F_SETLK, F_UNLCK, 20, 10);
    answer("unlock", w[2]);
    answer("second", w[1]);
    waiters(1);
    /* Two processes: the shortest circle, also when a lock that is only read is to be written. */
    order(w[1], F_SETLKW, F_WRLCK, 0, 1);
    answer("pair", w[1]);
    dismiss(w[1]); /* its end lets the first have its lock */
    answer("first", w[0]);
    order(w[0], F_SETLK, F_RDLCK, 100, 1);
    answer("read", w[0]);
    order(w[2], F_SETLK, F_RDLCK, 100, 1);
    answer("read", w[2]);
    order(w[0], F_SETLKW, F_WRLCK, 100, 1);
    waiters(1);
    order(w[2], F_SETLKW, F_WRLCK, 100, 1);
    answer("upgrade", w[2]);
    order(w[2], F_SETLK, F_UNLCK, 100, 1);
    answer("unlock", w[2]);
    answer("upgrade", w[0]);
    /* A stale wait is no part of a circle: what was given up, then waited for by its former holder. */
    order(w[2], F_SETLKW, F_WRLCK, 100, 1);
    waiters(1);
    order(w[0], F_SETLK, F_UNLCK, 100, 1);
    answer("unlock", w[0]);
    answer("handed over", w[2]);
    order(w[0], F_SETLKW, F_WRLCK, 100, 1);
    waiters(1);
    order(w[2], F_SETLK, F_UNLCK, 0, 0);
    answer("unlock", w[2]);
    answer("back", w[0]);
    dismiss(w[0]);
    dismiss(w[2]);
}

static void queue(void)
{
    struct worker w[4] = {hire(), hire(), hire(), hire()};
    SHOW(lock(F_SETLK, F_WRLCK, 0, 0));
    for (int i = 0; i < 3; i++) {
        order(w[i], F_SETLKW, i < 2 ? F_RDLCK : F_WRLCK, 0, i < 2 ? 0 : 8);
        waiters(i + 1);
    }
    proc_locks(w, 4);
    SHOW(lock(F_SETLK, F_RDLCK, 8, 0)); /* splits */
    waiters(3);
    /* Of a reader and a writer that wait for the same lock, either may get it: so the writer goes first. */
    kill(w[2].pid, SIGKILL);
    waitpid(w[2].pid, NULL, 0);
    waiters(2);
    SHOW(lock(F_SETLK, F_UNLCK, 0, 0));
    answer("reader", w[0]);
    answer("reader", w[1]);
    w[2] = hire();
    order(w[2], F_SETLKW, F_WRLCK, 0, 8);
    waiters(1);
    order(w[0], F_SETLK, F_UNLCK, 0, 0);
    answer("unlock", w[0]);
    order(w[1], F_SETLK, F_UNLCK, 0, 8);
    answer("unlock", w[1]);
    answer("writer", w[2]);
    NOTE("%c %c", kind_of(0), kind_of(9));
    for (int i = 0; i < 4; i++)
        dismiss(w[i]);
    NOTE("%c", kind_of(0));
}

static void handler(int signo)
{
}

static void interrupted(void)
{
    struct sigaction action = {.sa_handler = handler};
    int status;
    for (int way = 0; way < 4; way++) {
        action.sa_flags = way & 1 ? SA_RESTART : 0;
        int whole = way >> 1;
        whole ? flock(fd, LOCK_EX) : lock(F_SETLK, F_WRLCK, 0, 1);
        pid_t pid = fork();
        if (!pid) {
            sigaction(SIGUSR1, &action, NULL);
            if (whole) {
                fd = open("locked", O_RDWR);
                _exit(flock(fd, LOCK_EX) < 0 ? errno : 0);
            }
            _exit(lock(F_SETLKW, F_WRLCK, 0, 1) < 0 ? errno : 0);
        }
        waiters(1);
        kill(pid, SIGUSR1);
        usleep(20000);
        whole ? flock(fd, LOCK_UN) : lock(F_SETLK, F_UNLCK, 0, 1);
        waitpid(pid, &status, 0);
        NOTE("whole %d restart %d: %s", whole, way & 1, WEXITSTATUS(status) ? errno_name(WEXITSTATUS(status)) : "done");
        /* and by the end of the waiter */
        whole ? flock(fd, LOCK_EX) : lock(F_SETLK, F_WRLCK, 0, 1);
        if (!(pid = fork())) {
            if (whole)
                flock(fd = open("locked", O_RDWR), LOCK_EX);
            else
                lock(F_SETLKW, F_WRLCK, 0, 1);
            _exit(0);
        }
        waiters(1);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        waiters(0);
        whole ? flock(fd, LOCK_UN) : lock(F_SETLK, F_UNLCK, 0, 1);
    }
}

static void ends(void)
{
    int status;
    SHOW(lock(F_SETLK, F_WRLCK, 0, 10));
    pid_t pid = fork();
    if (!pid) { /* a child has none of its parent's, and closing its descriptors leaves them */
        int mine = kind_of(0) == 'w' && lock(F_SETLK, F_RDLCK, 0, 1) < 0;
        close(open("locked", O_RDWR));
        close(fd);
        _exit(mine);
    }
    waitpid(pid, &status, 0);
    NOTE("the child was kept out %d", WEXITSTATUS(status));
    if (!(pid = fork()))
        _exit(kind_of(0));
    waitpid(pid, &status, 0);
    NOTE("still held: %c", WEXITSTATUS(status));
    int other = open("locked", O_RDWR);
    close(other); /* any close by the owner ends them */
    if (!(pid = fork()))
        _exit(kind_of(0));
    waitpid(pid, &status, 0);
    NOTE("after a close: %c", WEXITSTATUS(status));
    /* locks of a description live as long as it does, in whatever process */
    SHOW(lock(F_OFD_SETLK, F_WRLCK, 0, 10));
    SHOW(flock(fd, LOCK_SH));
    proc_locks(NULL, 0);
    char path[64], line[200];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *f = fopen(path, "r");
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "lock:", 5))
            printf("%.25s\n", line);
    fclose(f);
    other = open("locked", O_RDWR);
    SHOW(flock(other, LOCK_EX | LOCK_NB));
    SHOW(flock(other, LOCK_SH | LOCK_NB));
    SHOW(flock(fd, LOCK_EX | LOCK_NB)); /* a failed conversion loses the lock */
    SHOW(flock(other, LOCK_EX | LOCK_NB));
    SHOW(flock(fd, LOCK_SH | LOCK_NB));
    close(other);
    SHOW(flock(fd, LOCK_SH | LOCK_NB));
    /* OFD locks know no deadlock: two descriptions that wait for each other */
    int ends[2];
    pipe(ends);
    int a = open("locked", O_RDWR), b = open("locked", O_RDWR);
    struct flock one = {.l_type = F_WRLCK, .l_start = 50, .l_len = 1}, two = one;
    two.l_start = 60;
    SHOW(fcntl(a, F_OFD_SETLK, &one));
    SHOW(fcntl(b, F_OFD_SETLK, &two));
    pid_t first = fork();
    if (!first) {
        fcntl(a, F_OFD_SETLKW, &two);
        _exit(0);
    }
    waiters(1);
    if (!(pid = fork())) {
        fcntl(b, F_OFD_SETLKW, &one);
        _exit(errno);
    }
    waiters(2);
    proc_locks(NULL, 0);
    kill(first, SIGKILL);
    kill(pid, SIGKILL);
    waitpid(first, NULL, 0);
    waitpid(pid, NULL, 0);
}

static int shared(void *unused)
{
    lock(F_SETLK, F_WRLCK, 0, 1);
    _exit(0);
}

static char stack[32 << 10];

static void table(void)
{
    int status;
    /* Who shares the table of descriptors is the same owner, also after its end. */
    pid_t pid = clone(shared, stack + sizeof stack, CLONE_FILES | CLONE_VM | SIGCHLD, NULL);
    waitpid(pid, &status, 0);
    if (!(pid = fork()))
        _exit(kind_of(0));
    waitpid(pid, &status, 0);
    NOTE("left by one who shared the table: %c", WEXITSTATUS(status));
    SHOW(lock(F_SETLK, F_UNLCK, 0, 0));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    fd = open("locked", O_RDWR | O_CREAT, 0644);
    fstat(fd, &file);
    deadlocks();
    queue();
    interrupted();
    table();
    ends();
}

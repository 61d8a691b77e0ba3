/* System V semaphores: values, operations on several at once, who waits and who is next, what is taken back. */
#include "show.h"
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/wait.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static int id, ends[2];
static key_t key;

#define OP(...) op((struct sembuf[]){__VA_ARGS__}, sizeof (struct sembuf[]){__VA_ARGS__} / sizeof(struct sembuf))
#define TIMED(ns, ...) timed((struct sembuf[]){__VA_ARGS__}, sizeof (struct sembuf[]){__VA_ARGS__} / sizeof(struct sembuf), ns)

static int op(struct sembuf *sops, unsigned count)
{
    return semop(id, sops, count);
}

static int timed(struct sembuf *sops, unsigned count, long ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    return semtimedop(id, sops, count, &t);
}

static void values(const char *when)
{
    unsigned short v[4] = {0};
    struct semid_ds d;
    if (semctl(id, 0, GETALL, v) < 0) {
        NOTE("%s: %s", when, errno_name(errno));
        return;
    }
    semctl(id, 0, IPC_STAT, &d);
    printf("%s: %d %d %d %d, pids", when, v[0], v[1], v[2], v[3]);
    for (int i = 0; i < 4; i++) {
        int pid = semctl(id, i, GETPID);
        printf(" %s", !pid ? "none" : pid == getpid() ? "me" : "other");
    }
    printf(", otime %d ctime %d nsems %lu waiting", d.sem_otime != 0, d.sem_ctime != 0, d.sem_nsems);
    for (int i = 0; i < 4; i++)
        printf(" %d/%d", semctl(id, i, GETNCNT), semctl(id, i, GETZCNT));
    printf("\n");
}

static void listed(const char *when)
{
    char line[256];
    int k, i, mode;
    unsigned n;
    FILE *f = fopen("/proc/sysvipc/sem", "r");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%d %d %o %u", &k, &i, &mode, &n) == 4 && i == id)
            NOTE("%s: listed: key %d mode %o nsems %u, %zu bytes", when, k == key, mode, n, strlen(line));
    fclose(f);
}

/* Run `body` in a child, which tells its name when it is through. */
static pid_t start(int name, void (*body)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        body();
        int e = errno;
        char text[40];
        int n = snprintf(text, sizeof text, "%c", name);
        write(ends[1], text, n);
        errno = e;
        _exit(0);
    }
    return pid;
}

static int told(void)
{
    char c = '?';
    read(ends[0], &c, 1);
    return c;
}

/* Wait until so many sleep on semaphore `n`. */
static void until(int n, int cmd, int count)
{
    while (semctl(id, n, cmd) != count)
        usleep(500);
}

static void reap(pid_t pid)
{
    int status;
    waitpid(pid, &status, 0);
    if (status)
        NOTE("status %x", status);
}

static int last, last_error;
static void down0(void) { OP({0, -1, 0}); }
static void down0_two(void) { OP({0, -2, 0}); }
static void zero0(void) { OP({0, 0, 0}); }
static void both(void) { OP({0, -1, 0}, {1, -1, 0}); }
static void zero_up(void) { OP({0, 0, 0}, {1, 1, 0}); }
static void undo_down(void) { OP({2, -3, SEM_UNDO}); }
static void undo_up_and_exec(void)
{
    OP({2, 4, SEM_UNDO}, {3, 1, SEM_UNDO});
    close(ends[1]);
    execl("/bin/true", "true", NULL);
}

static void on_signal(int signo)
{
    (void)signo;
}

static void report(void)
{
    last_error = last < 0 ? errno : 0;
    NOTE("in the child: %d %s", last, last_error ? errno_name(last_error) : "ok");
    fflush(stdout);
}

static void removed(void)
{
    last = OP({0, -1, 0});
    report();
}

static void removed_zero(void)
{
    last = OP({1, 0, 0}, {0, -1, 0});
    report();
}

static void interrupted(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &a, NULL);
    last = OP({0, -1, 0});
    report();
}

static void ignored(void)
{
    signal(SIGUSR1, SIG_IGN);
    last = OP({0, -1, 0});
    report();
}

static void gets(void)
{
    NOTE("-- semget");
    SHOW(semget(key, 1, 0600));
    SHOW(semget(key, 0, IPC_CREAT | 0600));
    SHOW(semget(key, -1, IPC_CREAT | 0600));
    SHOW(semget(key, 32001, IPC_CREAT | 0600));
    id = semget(key, 4, IPC_CREAT | IPC_EXCL | 0640);
    NOTE("made: %d", id >= 0);
    SHOW(semget(key, 4, IPC_CREAT | IPC_EXCL | 0600));
    NOTE("again: %d %d", semget(key, 0, 0) == id, semget(key, 4, 0666) == id);
    SHOW(semget(key, 5, 0));
    values("new");
    listed("new");
}

static void control(void)
{
    struct semid_ds d;
    struct seminfo info;
    unsigned short v[4] = {1, 2, 3, 4}, bad[4] = {1, 2, 32768, 4};
    NOTE("-- semctl");
    SHOW(semctl(-1, 0, GETVAL));
    SHOW(semctl(id, 4, GETVAL));
    SHOW(semctl(id, -1, GETVAL));
    SHOW(semctl(id + (1 << 15), 0, GETVAL));
    SHOW(semctl(id, 0, 99));
    SHOW(semctl(id, 1, SETVAL, 32767));
    SHOW(semctl(id, 1, GETVAL));
    SHOW(semctl(id, 1, SETVAL, 32768));
    SHOW(semctl(id, 1, SETVAL, -1));
    SHOW(semctl(id, 9, SETVAL, 1));
    SHOW(semctl(id, 9, SETVAL, -1));
    values("set");
    SHOW(semctl(id, 0, SETALL, bad));
    SHOW(semctl(id, 0, SETALL, (void *)1));
    SHOW(semctl(id, 0, GETALL, (void *)1));
    SHOW(semctl(id, 77, SETALL, v));
    values("all set");
    SHOW(semctl(id, 0, IPC_STAT, (void *)1));
    SHOW(semctl(id, 0, IPC_SET, (void *)1));
    SHOW(semctl(id, 0, IPC_STAT, &d));
    d.sem_perm.mode = 0123456;
    SHOW(semctl(id, 0, IPC_SET, &d));
    SHOW(semctl(id, 0, IPC_STAT, &d));
    NOTE("mode %o key %d", d.sem_perm.mode, d.sem_perm.__key == key);
    d.sem_perm.mode = 0600;
    SHOW(semctl(id, 0, IPC_SET, &d));
    NOTE("by index: %d", semctl(id & 0x7fff, 0, SEM_STAT, &d) == id);
    SHOW(semctl(0x7ffe, 0, SEM_STAT, &d));
    SHOW(semctl(0, 0, IPC_INFO, &info) >= (id & 0x7fff) ? 0 : -1);
    NOTE("limits: %d %d %d %d %d %d %d %d %d %d", info.semmap, info.semmni, info.semmns, info.semmnu, info.semmsl, info.semopm,
         info.semume, info.semusz, info.semvmx, info.semaem);
    SHOW(semctl(0, 0, SEM_INFO, &info) >= (id & 0x7fff) ? 0 : -1);
    NOTE("used: %d %d", info.semusz >= 1, info.semaem >= 4);
    SHOW(semctl(0, 0, IPC_INFO, (void *)1));
}

static void operations(void)
{
    static struct sembuf many[501];
    NOTE("-- semop");
    SHOW(OP({0, -1, IPC_NOWAIT}));
    values("one down");
    SHOW(OP({0, -1, IPC_NOWAIT}));
    SHOW(OP({1, -2, 0}, {0, -1, IPC_NOWAIT}));
    values("nothing done");
    SHOW(OP({1, -2, 0}, {0, 1, 0}, {1, 0, 0}));
    values("three at once");
    SHOW(OP({1, 1, 0}, {1, -1, 0}, {1, 0, 0}));
    SHOW(OP({1, 1, 0}, {1, 0, IPC_NOWAIT}));
    SHOW(OP({0, 32767, 0}));
    SHOW(OP({0, 32766, 0}));
    SHOW(OP({0, 1, 0}));
    values("full");
    SHOW(OP({0, -32768, IPC_NOWAIT}));
    SHOW(OP({4, 1, 0}));
    SHOW(OP({0, 0, IPC_NOWAIT}));
    SHOW(OP({1, 0, 0}));
    SHOW(semop(id, many, 0));
    SHOW(semop(id, many, 501));
    SHOW(semop(id, (void *)1, 1));
    SHOW(semop(-1, many, 1));
    SHOW(semop(id + (1 << 15), many, 1));
    SHOW(TIMED(-1, {0, 1, 0}));
    SHOW(syscall(SYS_semtimedop, id, many, 1, (void *)1));
    SHOW(syscall(SYS_semtimedop, id, many, 1, &(struct timespec){0, 1000000000}));
    SHOW(TIMED(1000000, {1, -1, 0}));
    SHOW(TIMED(1000000, {0, 0, 0}));
    values("timed out");
    SHOW(TIMED(1000000, {0, -32767, 0}));
    SHOW(semctl(id, 2, SETVAL, 0));
    SHOW(semctl(id, 3, SETVAL, 0));
}

static void order(void)
{
    pid_t a, b, c, d;
    NOTE("-- who is next");
    a = start('a', down0);
    until(0, GETNCNT, 1);
    b = start('b', down0);
    until(0, GETNCNT, 2);
    c = start('c', down0_two);
    until(0, GETNCNT, 3);
    d = start('d', down0);
    until(0, GETNCNT, 4);
    values("four wait");
    OP({0, 1, 0});
    NOTE("%c", told());
    OP({0, 1, 0});
    NOTE("%c", told());
    OP({0, 1, 0});
    NOTE("%c", told());
    values("a small one passed");
    OP({0, 1, 0});
    values("one more");
    OP({0, 1, 0});
    NOTE("%c", told());
    values("all through");
    reap(a), reap(b), reap(c), reap(d);

    NOTE("-- zero");
    OP({0, 3, 0});
    a = start('z', zero0);
    until(0, GETZCNT, 1);
    b = start('y', zero_up);
    until(0, GETZCNT, 2);
    values("two wait for zero");
    OP({0, -2, 0});
    values("not yet");
    OP({0, -1, 0});
    reap(a), reap(b);
    told(), told();
    values("zero came");
    SHOW(semctl(id, 1, SETVAL, 0));

    NOTE("-- several at once");
    a = start('a', down0);
    until(0, GETNCNT, 1);
    b = start('b', both);
    until(0, GETNCNT, 2);
    c = start('c', down0);
    until(0, GETNCNT, 3);
    values("they wait");
    OP({0, 1, 0});
    NOTE("%c", told());
    OP({1, 1, 0});
    values("half of it");
    OP({0, 1, 0});
    NOTE("%c", told());
    values("the other half");
    OP({0, 1, 0});
    NOTE("%c", told());
    reap(a), reap(b), reap(c);
    a = start('a', both);
    until(0, GETNCNT, 1);
    OP({0, 1, 0});
    until(1, GETNCNT, 1);
    values("what blocks is another one");
    SHOW(semctl(id, 1, SETVAL, 5));
    NOTE("%c", told());
    reap(a);
    values("SETVAL wakes");
    a = start('a', down0_two);
    until(0, GETNCNT, 1);
    unsigned short v[4] = {3, 0, 0, 0};
    SHOW(semctl(id, 0, SETALL, v));
    NOTE("%c", told());
    reap(a);
    values("SETALL wakes");
}

static int shares(void *arg)
{
    (void)arg;
    OP({2, -1, SEM_UNDO});
    return 0;
}

static void share_and_exit(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    OP({2, -1, SEM_UNDO});
    reap(clone(shares, stack + sizeof stack, CLONE_SYSVSEM | SIGCHLD, NULL));
    values("its half of a list is not taken back");
    fflush(stdout);
}

static void unshares(void)
{
    OP({2, -1, SEM_UNDO});
    values("before unshare");
    SHOW(unshare(CLONE_SYSVSEM));
    values("after unshare");
    fflush(stdout);
}

static void clamps(void)
{
    OP({2, 5, SEM_UNDO});
    OP({2, -8, 0});
    OP({3, -1, SEM_UNDO});
}

static void forgets(void)
{
    OP({2, 3, SEM_UNDO}, {3, 3, SEM_UNDO});
    semctl(id, 2, SETVAL, 9);
}

static void overflows(void)
{
    SHOW(OP({2, 32767, SEM_UNDO}));
    SHOW(OP({2, -32767, 0}));
    SHOW(OP({2, 1, SEM_UNDO}));
    SHOW(OP({2, 2, SEM_UNDO | IPC_NOWAIT}));
    values("the most that can be taken back");
    fflush(stdout);
}

static void undo(void)
{
    pid_t a, b;
    NOTE("-- SEM_UNDO");
    semctl(id, 0, SETALL, (unsigned short[]){0, 0, 5, 1});
    a = start('u', undo_down);
    reap(a), told();
    values("taken back");
    semctl(id, 3, SETVAL, 0);
    a = start('w', undo_up_and_exec);
    reap(a);
    values("taken back after exec");
    a = start('s', share_and_exit);
    reap(a), told();
    values("the last one takes all back");
    a = start('n', unshares);
    reap(a), told();
    semctl(id, 0, SETALL, (unsigned short[]){0, 0, 4, 1});
    a = start('c', clamps);
    reap(a), told();
    values("never below zero");
    a = start('f', forgets);
    reap(a), told();
    values("SETVAL forgets");
    semctl(id, 0, SETALL, (unsigned short[]){0, 0, 0, 0});
    a = start('o', overflows);
    reap(a), told();
    values("overflow");
    semctl(id, 0, SETALL, (unsigned short[]){0, 0, 3, 0});
    b = start('b', undo_down);
    reap(b), told();
    a = start('a', undo_down);
    reap(a), told();
    values("one after the other");
}

static void as_nobody(void)
{
    struct semid_ds d;
    if (setgid(65534) || setuid(65534))
        die("setuid");
    SHOW(semget(key, 0, 0) == id ? 0 : -1);
    SHOW(semget(key, 0, 0400) == -1 ? -1 : 0);
    SHOW(semctl(id, 0, GETVAL));
    SHOW(semctl(id, 0, SETVAL, 1));
    SHOW(semctl(id, 9, SETVAL, 1));
    SHOW(semctl(id, 0, IPC_STAT, &d));
    SHOW(semctl(id & 0x7fff, 0, 20 /* SEM_STAT_ANY */, &d) == id ? 0 : -1);
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(OP({0, 0, IPC_NOWAIT}));
    SHOW(OP({0, 1, IPC_NOWAIT}));
    SHOW(OP({9, 1, IPC_NOWAIT}));
    fflush(stdout);
}

static void endings(void)
{
    pid_t a, b;
    NOTE("-- signals, removal");
    semctl(id, 0, SETALL, (unsigned short[]){0, 1, 0, 0});
    a = start('n', as_nobody);
    reap(a), told();
    a = start('i', interrupted);
    until(0, GETNCNT, 1);
    kill(a, SIGUSR1);
    reap(a), told();
    a = start('j', ignored);
    until(0, GETNCNT, 1);
    kill(a, SIGUSR1);
    OP({0, 1, 0});
    reap(a), told();
    a = start('t', ignored);
    until(0, GETNCNT, 1);
    kill(a, SIGSTOP);
    waitpid(a, NULL, WUNTRACED);
    kill(a, SIGCONT);
    reap(a), told();
    a = start('k', down0);
    until(0, GETNCNT, 1);
    kill(a, SIGKILL);
    reap(a);
    values("killed");
    a = start('r', removed);
    until(0, GETNCNT, 1);
    b = start('q', removed_zero);
    until(1, GETZCNT, 1);
    values("before removal");
    int result = semctl(id, 0, IPC_RMID);
    reap(a), reap(b);
    NOTE("removed: %d", result);
    told(), told();
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(OP({0, 1, 0}));
    SHOW(OP({0, 1, SEM_UNDO}));
    values("removed");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    pipe(ends);
    key = 0x20000000 | (getpid() & 0xffff) << 8 | (time(NULL) & 0xff);
    gets();
    control();
    operations();
    order();
    undo();
    endings();
    return 0;
}

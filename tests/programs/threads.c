/* Threads: what they share, how they end, signals for one or for all, exec and fork from one of them. */
// cc: -static -pthread
// run: basics
// run: locks
// run: signals
// run: ends
// run: process
// run: raw
// run: many
#include "show.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static __thread int own = 7;
static int counter, turn;
static volatile int flag;

static void nap(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t))
        ;
}

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        count += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

/* Until a thread or process sleeps. */
static void await_sleep(const char *format, volatile pid_t *id)
{
    char path[60], text[200] = "";
    while (!*id)
        nap(1);
    snprintf(path, sizeof path, format, *id);
    while (!strstr(text, ") S ")) {
        int fd = open(path, O_RDONLY);
        text[read(fd, text, sizeof text - 1)] = 0;
        close(fd);
        nap(1);
    }
}

/* Joined threads may still be listed for a moment. */
static int tasks_left(void)
{
    while (entries("/proc/self/task") > 1)
        nap(1);
    return entries("/proc/self/task");
}

static void *add(void *n)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        if (i % 100 == 0)
            sched_yield();
    }
    own += (int)(long)n;
    return (void *)(long)own;
}

static void *at_barrier(void *unused)
{
    int last = pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    nap(2);
    return (void *)(long)(last + (getpid() != gettid()) * 2 + (long)unused);
}

static void *leave(void *unused)
{
    pthread_exit((char *)unused + 3);
}

static void *change_world(void *fd)
{
    close((int)(long)fd);
    chdir("/usr");
    umask(077);
    prctl(PR_SET_NAME, "renamed");
    return NULL;
}

static void basics(void)
{
    pthread_t t[20];
    void *result;
    for (long i = 0; i < 20; i++)
        pthread_create(&t[i], NULL, add, (void *)i);
    long sum = 0;
    for (int i = 0; i < 20; i++) {
        pthread_join(t[i], &result);
        sum += (long)result;
    }
    NOTE("counter %d sum %ld own %d", counter, sum, own);
    pthread_barrier_init(&barrier, NULL, 5);
    for (int i = 0; i < 5; i++)
        pthread_create(&t[i], NULL, at_barrier, NULL);
    nap(20);
    NOTE("tasks while they nap: %d or fewer", entries("/proc/self/task") <= 6 ? 6 : -1);
    sum = 0;
    for (int i = 0; i < 5; i++) {
        pthread_join(t[i], &result);
        sum += (long)result;
    }
    NOTE("barrier %ld, tasks %d", sum, tasks_left());
    pthread_create(&t[0], NULL, leave, (void *)4);
    pthread_join(t[0], &result);
    NOTE("left with %ld", (long)result);
    char name[20] = "", cwd[20];
    int fd = open("/dev/null", O_RDONLY);
    pthread_create(&t[0], NULL, change_world, (void *)(long)fd);
    pthread_join(t[0], NULL);
    prctl(PR_GET_NAME, name);
    SHOW(read(fd, name, 0));
    NOTE("cwd %s umask %o name %s", getcwd(cwd, sizeof cwd), umask(022), strcmp(name, "renamed") ? "kept" : "changed");
    int count = 0;
    for (int i = 0; i < 300; i++) {
        pthread_attr_t detached;
        pthread_attr_init(&detached);
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&detached, 16384 * 2);
        count += !pthread_create(&t[0], &detached, leave, NULL);
    }
    /* To return from main while they unwind would take the unwinder's tables away under them. */
    NOTE("detached %d, left %d", count, tasks_left());
}

static void *ping(void *me)
{
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != (int)(long)me)
            pthread_cond_wait(&cond, &mutex);
        turn = !turn;
        counter++;
        pthread_cond_signal(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *die_holding(void *lock)
{
    SHOW(pthread_mutex_lock(lock));
    return NULL;
}

static void *hold_a_while(void *lock)
{
    pthread_mutex_lock(lock);
    flag = 1;
    while (flag != 2)
        nap(1);
    nap(5);
    pthread_mutex_unlock(lock);
    return NULL;
}

static void *waiter(void *unused)
{
    pthread_mutex_lock(&mutex);
    while (!flag)
        pthread_cond_wait(&cond, &mutex);
    counter++;
    pthread_mutex_unlock(&mutex);
    return unused;
}

static volatile pid_t tids[3];

static void *wait_on(void *number)
{
    static int next;
    int *word = number;
    tids[__atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST)] = gettid();
    return (void *)syscall(SYS_futex, word, 0, *(int *)word, NULL, NULL, 0);
}

static void locks(void)
{
    pthread_t t[8];
    for (long i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, ping, (void *)i);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    NOTE("ping-pong %d", counter);
    pthread_mutexattr_t attr;
    pthread_mutex_t robust, pi;
    for (int kind = 0; kind < 2; kind++) {
        pthread_mutexattr_init(&attr);
        pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        pthread_mutexattr_setprotocol(&attr, kind ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
        pthread_mutex_init(&robust, &attr);
        pthread_create(&t[0], NULL, die_holding, &robust);
        pthread_join(t[0], NULL);
        int e = pthread_mutex_lock(&robust);
        NOTE("lock of a dead owner: %s", e == EOWNERDEAD ? "EOWNERDEAD" : errno_name(e));
        SHOW(pthread_mutex_consistent(&robust));
        SHOW(pthread_mutex_unlock(&robust));
        SHOW(pthread_mutex_lock(&robust));
        SHOW(pthread_mutex_unlock(&robust));
    }
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&pi, &attr);
    pthread_create(&t[0], NULL, hold_a_while, &pi);
    while (!flag)
        sched_yield();
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 2000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    NOTE("timed %s", errno_name(pthread_mutex_timedlock(&pi, &soon)));
    NOTE("try %s", errno_name(pthread_mutex_trylock(&pi)));
    flag = 2;
    SHOW(pthread_mutex_lock(&pi));
    SHOW(pthread_mutex_unlock(&pi));
    pthread_join(t[0], NULL);
    flag = counter = 0;
    for (int i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, waiter, NULL);
    nap(10);
    pthread_mutex_lock(&mutex);
    flag = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    NOTE("broadcast %d", counter);
    static int words[3] = {1, 2, 3};
    struct { uint64_t value, address; uint32_t flags, reserved; } several[3];
    for (int i = 0; i < 3; i++) {
        several[i].value = words[i];
        several[i].address = (uint64_t)&words[i];
        several[i].flags = 2;
        several[i].reserved = 0;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    SHOW(syscall(449, several, 3, 0, &now, CLOCK_MONOTONIC));
    SHOW(syscall(449, several, 0, 0, NULL, 0));
    SHOW(syscall(449, several, 3, 1, NULL, 0));
    SHOW(syscall(449, NULL, 3, 0, NULL, 0));
    words[1] = 5;
    SHOW(syscall(449, several, 3, 0, NULL, 0));
    several[2].flags = 7;
    SHOW(syscall(449, several, 3, 0, NULL, 0));
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, wait_on, &words[0]);
    for (int i = 0; i < 3; i++)
        await_sleep("/proc/self/task/%d/stat", &tids[i]);
    SHOW(syscall(SYS_futex, &words[0], 3, 1, (void *)1, &words[2], 0));
    SHOW(syscall(SYS_futex, &words[2], 1, 10, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, &words[0], 1, 10, NULL, NULL, 0));
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

static volatile int caught, caught_by_other;
static pid_t main_tid;

static void on_signal(int signo)
{
    (void)signo;
    caught++;
    caught_by_other += gettid() != main_tid;
}

static void *spin(void *unused)
{
    while (!flag)
        ;
    return unused;
}

static void *sleeper(void *unused)
{
    struct timespec t = {5, 0};
    tids[0] = gettid();
    int r = nanosleep(&t, NULL);
    return (void *)(long)(r ? errno : 0) + (long)unused;
}

static void *taker(void *set)
{
    int signo = 0;
    sigwait(set, &signo);
    return (void *)(long)signo;
}

static void *cancelled(void *unused)
{
    pause();
    return unused;
}

static void *writes_to_nobody(void *unused)
{
    int ends[2];
    sigset_t pipe_signal, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    SHOW(pipe(ends));
    close(ends[0]);
    SHOW(write(ends[1], "x", 1));
    close(ends[1]);
    sigpending(&pending);
    NOTE("SIGPIPE waits for the writer: %d", sigismember(&pending, SIGPIPE));
    return unused;
}

static void *blocked_all(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!flag)
        nap(1);
    return unused;
}

static void signals(void)
{
    pthread_t t, u;
    void *result;
    main_tid = gettid();
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&t, NULL, spin, NULL);
    for (int i = 0; i < 3; i++) {
        int before = caught;
        SHOW(pthread_kill(t, SIGUSR1));
        while (caught == before)
            nap(1);
    }
    flag = 1;
    pthread_join(t, NULL);
    NOTE("caught %d by other %d", caught, caught_by_other);
    pthread_create(&t, NULL, sleeper, NULL);
    await_sleep("/proc/self/task/%d/stat", &tids[0]);
    pthread_kill(t, SIGUSR1);
    pthread_join(t, &result);
    NOTE("sleep ended with %s", errno_name((int)(long)result));
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    pthread_create(&t, NULL, taker, &set);
    SHOW(kill(getpid(), SIGUSR2));
    pthread_join(t, &result);
    NOTE("sigwait %ld", (long)result);
    pthread_create(&t, NULL, taker, &set);
    nap(5);
    SHOW(tgkill(getpid(), gettid(), SIGUSR1)); /* pending for this thread only */
    sigset_t pending;
    sigpending(&pending);
    NOTE("pending here %d", sigismember(&pending, SIGUSR1));
    SHOW(kill(getpid(), SIGUSR2));
    pthread_join(t, &result);
    NOTE("sigwait %ld", (long)result);
    caught = caught_by_other = 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    NOTE("after unblocking %d %d", caught, caught_by_other);
    /* A signal for the process goes to a thread that does not block it. */
    flag = 0;
    pthread_create(&t, NULL, spin, NULL);
    pthread_create(&u, NULL, blocked_all, NULL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    while (!caught_by_other)
        nap(1);
    NOTE("by another %d of %d", caught_by_other, caught);
    flag = 1;
    pthread_join(t, NULL);
    pthread_join(u, NULL);
    pthread_create(&t, NULL, cancelled, NULL);
    nap(5);
    SHOW(pthread_cancel(t));
    pthread_join(t, &result);
    NOTE("cancelled %d", result == PTHREAD_CANCELED);
    caught = 0;
    sigaction(SIGPIPE, &action, NULL);
    pthread_create(&t, NULL, writes_to_nobody, NULL);
    pthread_join(t, NULL);
    NOTE("nobody else got it: %d", caught == 0);
    SHOW(syscall(SYS_tgkill, getpid() + 1, gettid(), 0));
    SHOW(syscall(SYS_tkill, gettid(), 0));
}

static void status_of(const char *what, int status)
{
    NOTE("%s: exited %d %d signaled %d %d", what, WIFEXITED(status), WEXITSTATUS(status), WIFSIGNALED(status),
         WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void *exit_group_later(void *unused)
{
    nap(10);
    exit(5);
    return unused;
}

static int leader_left; /* the leader is going to leave before its threads */

static void await_leader(void)
{
    char text[200] = "";
    while (leader_left && !strstr(text, ") Z ")) {
        int fd = open("/proc/self/stat", O_RDONLY);
        text[read(fd, text, sizeof text - 1)] = 0;
        close(fd);
        nap(1);
    }
}

static void *exit_later(void *unused)
{
    await_leader();
    syscall(SYS_exit, 6);
    return unused;
}

static void *crash(void *unused)
{
    *(volatile int *)8 = 0;
    return unused;
}

static void *run_other(void *path)
{
    await_leader();
    char *argv[] = {path, "child", NULL};
    execv(path, argv);
    return NULL;
}

static void *run_with_alarm(void *path)
{
    /* Late enough to find the new program's handler: what is ignored when it comes does not come again. */
    struct itimerval soon = {{0, 20000}, {0, 700000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    await_leader();
    char *argv[] = {path, "alarm", NULL};
    execv(path, argv);
    return NULL;
}

static void *forever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void *fork_here(void *unused)
{
    pid_t pid = fork();
    if (!pid) {
        int same = getpid() == gettid();
        _exit(10 + same + entries("/proc/self/task"));
    }
    int status;
    waitpid(pid, &status, 0);
    status_of("forked in a thread", status);
    return unused;
}

static void *fork_and_leave(void *unused)
{
    int ends[2];
    char byte;
    if (pipe(ends) < 0)
        exit(1);
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGUSR2);
        if (write(ends[1], "x", 1) == 1)
            pause();
        _exit(3);
    }
    if (read(ends[0], &byte, 1) == 1)
        *(pid_t *)unused = pid;
    close(ends[0]);
    close(ends[1]);
    return NULL;
}

static void ends(char *self)
{
    int status;
    pthread_t t;
    pid_t pid;
    fflush(stdout);
    struct { const char *what; void *(*thread)(void *); int leave; } rows[] = {
        {"exit in a thread", exit_group_later, 0},
        {"leader leaves first", exit_later, 1},
        {"a thread leaves", exit_later, 0},
        {"crash in a thread", crash, 0},
        {"exec in a thread", run_other, 0},
        {"exec without a leader", run_other, 1},
        {"exec with a timer", run_with_alarm, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        pid = fork();
        if (!pid) {
            pthread_t other;
            leader_left = rows[i].leave;
            signal(SIGALRM, SIG_IGN);
            pthread_create(&other, NULL, forever, NULL);
            pthread_create(&t, NULL, rows[i].thread, self);
            if (rows[i].leave) {
                pthread_cancel(other);
                pthread_join(other, NULL);
                syscall(SYS_exit, 8);
            }
            pthread_join(t, NULL);
            _exit(7);
        }
        SHOW(waitpid(pid, &status, 0) == pid);
        status_of(rows[i].what, status);
    }
    pthread_create(&t, NULL, fork_here, NULL);
    pthread_join(t, NULL);
    pthread_create(&t, NULL, fork_and_leave, &pid);
    pthread_join(t, NULL);
    SHOW(waitpid(pid, &status, __WNOTHREAD) == pid);
    status_of("its parent thread left", status);
    pid = fork();
    if (!pid) {
        for (int i = 0; i < 3; i++)
            pthread_create(&t, NULL, forever, NULL);
        forever(NULL);
    }
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    while (entries(path) != 4)
        nap(1);
    NOTE("its tasks %d", entries(path));
    SHOW(kill(pid, SIGSTOP));
    SHOW(waitpid(pid, &status, WUNTRACED) == pid);
    NOTE("stopped %d", WIFSTOPPED(status));
    SHOW(kill(pid, SIGCONT));
    SHOW(waitpid(pid, &status, WCONTINUED) == pid);
    NOTE("continued %d", WIFCONTINUED(status));
    SHOW(kill(pid, SIGKILL));
    SHOW(waitpid(pid, &status, 0) == pid);
    status_of("killed", status);
    SHOW(entries(path));
}

static void *become(void *unused)
{
    return (void *)(long)(setuid(1234) ? errno : 0) + (long)unused;
}

static void *my_ids(void *unused)
{
    while (!flag)
        nap(1);
    return (void *)(long)(getuid() + (long)unused);
}

static void process(void)
{
    /* What glibc does for all threads with a signal of its own, and what belongs to the process. */
    int status;
    fflush(stdout);
    if (!fork()) {
        pthread_t t, u;
        void *result, *other;
        pthread_create(&u, NULL, my_ids, NULL);
        pthread_create(&t, NULL, become, NULL);
        pthread_join(t, &result);
        flag = 1;
        pthread_join(u, &other);
        NOTE("setuid %s, main %u, other %lu", (long)result ? errno_name((long)result) : "ok", getuid(),
             (unsigned long)other);
        struct rlimit limit = {10, 20}, got;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &got);
        NOTE("limit %lu", (unsigned long)got.rlim_cur);
        fflush(stdout);
        _exit(0);
    }
    wait(&status);
    status_of("ids", status);
    pthread_t t[50];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 32768);
    int made = 0;
    for (int i = 0; i < 50; i++)
        made += !pthread_create(&t[i], &small, my_ids, NULL);
    NOTE("made %d, tasks %d", made, entries("/proc/self/task"));
    char line[200], path[60];
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "Threads:", 8))
            fputs(line, stdout);
    fclose(f);
    snprintf(path, sizeof path, "/proc/self/task/%d", gettid());
    SHOW(access(path, F_OK));
    SHOW(access("/proc/thread-self/comm", R_OK));
    flag = 1;
    for (int i = 0; i < 50; i++)
        pthread_join(t[i], NULL);
    NOTE("tasks %d", tasks_left());
}

static int stack[4][8192];
static volatile int tid_word = -1;

static int thread_body(void *unused)
{
    (void)unused;
    counter++;
    return 0;
}

static void raw(void)
{
    int all = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    SHOW(clone(thread_body, stack[1], CLONE_THREAD, NULL));
    SHOW(clone(thread_body, stack[1], CLONE_THREAD | CLONE_SIGHAND, NULL));
    SHOW(clone(thread_body, stack[1], CLONE_SIGHAND, NULL));
    int parent_word = 0;
    pid_t tid = clone(thread_body, stack[1], all | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, NULL,
                      &parent_word, NULL, &tid_word);
    NOTE("made %d, word %d", tid > 0, parent_word == tid);
    while (tid_word)
        syscall(SYS_futex, &tid_word, 0, tid, NULL, NULL, 0);
    NOTE("ran %d", counter);
    SHOW(waitpid(tid, NULL, __WALL));
    /* The same memory, but a process of its own. */
    int status;
    tid = clone(thread_body, stack[2], CLONE_VM | SIGCHLD, NULL);
    SHOW(waitpid(tid, &status, 0) == tid);
    NOTE("ran %d status %d", counter, status);
    tid = clone(thread_body, stack[2], CLONE_VM, NULL); /* no signal: only __WCLONE or __WALL find it */
    nap(5);
    SHOW(waitpid(tid, &status, WNOHANG));
    SHOW(waitpid(tid, &status, __WCLONE) == tid);
    signal(SIGUSR1, SIG_IGN);
    tid = clone(thread_body, stack[2], CLONE_VM | SIGUSR1, NULL);
    SHOW(waitpid(tid, &status, __WALL) == tid);
    NOTE("ran %d", counter);
    for (int i = 0; i < 2; i++) { /* a number that cannot be stored undoes nothing */
        int flags = (i ? CLONE_PARENT_SETTID : CLONE_CHILD_SETTID) | SIGCHLD;
        pid_t made = syscall(SYS_clone, flags, 0, 8, 8, 0);
        if (!made)
            _exit(3);
        SHOW(waitpid(-1, &status, 0) == made);
        NOTE("made %d, status %d", made > 0, status);
    }
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (!pid) {
        int *again = mremap(shared, 0, 4096, MREMAP_MAYMOVE); /* the same word at another address */
        _exit((int)syscall(SYS_futex, again, 0, 0, NULL, NULL, 0));
    }
    await_sleep("/proc/%d/stat", &pid);
    SHOW(syscall(SYS_futex, shared, 1 | 128, 9, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, shared, 1, 9, NULL, NULL, 0));
    SHOW(waitpid(pid, &status, 0) == pid);
    status_of("shared word", status);
    struct { uint64_t list, offset, pending; } *head;
    size_t size = 0;
    SHOW(syscall(SYS_get_robust_list, 0, &head, &size));
    NOTE("size %zu", size);
}

static void *wait_for_all(void *number)
{
    own = (int)(long)number;
    pthread_barrier_wait(&barrier);
    pthread_mutex_lock(&mutex);
    while (!flag)
        pthread_cond_wait(&cond, &mutex);
    counter += own;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void many(void)
{
    enum { COUNT = 1000 };
    static pthread_t t[COUNT];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    pthread_barrier_init(&barrier, NULL, COUNT + 1);
    int made = 0;
    for (long i = 0; i < COUNT; i++)
        made += !pthread_create(&t[i], &small, wait_for_all, (void *)i);
    pthread_barrier_wait(&barrier);
    NOTE("made %d, tasks %d", made, entries("/proc/self/task"));
    pthread_mutex_lock(&mutex);
    flag = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < COUNT; i++)
        pthread_join(t[i], NULL);
    NOTE("sum %d, tasks %d", counter, tasks_left());
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2)
        return 1;
    const char *what = argv[1];
    if (!strcmp(what, "child")) {
        NOTE("executed, leader %d, tasks %d", getpid() == gettid(), entries("/proc/self/task"));
        return 9;
    }
    if (!strcmp(what, "alarm")) { /* a timer goes on over exec, for whoever the process is then */
        struct sigaction action = {.sa_handler = on_signal};
        sigaction(SIGALRM, &action, NULL);
        while (!caught)
            nap(1);
        NOTE("its timer rang");
        return 4;
    }
    if (!strcmp(what, "basics"))
        basics();
    else if (!strcmp(what, "locks"))
        locks();
    else if (!strcmp(what, "signals"))
        signals();
    else if (!strcmp(what, "ends"))
        ends(argv[0]);
    else if (!strcmp(what, "process"))
        process();
    else if (!strcmp(what, "many"))
        many();
    else
        raw();
    return 0;
}

// Thousands of short random sequences of calls, made by four threads of two processes in turn: what they
// share, signals, locks, descriptors, readiness, children.  One line a sequence, a hash of all its results;
// `random_tasks SEED COUNT NUMBER` prints the results of that one.
// cc: -static -pthread
// run: 1 2500
// run: 2 2500
// run: 3 2500
// run: 4 2500
#include "random.h"
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { ACTORS = 4, STEPS = 14, FIRST_FD = 20, FDS = 10, SIGNALS = 6 };

/* SIGURG and SIGCHLD are ignored by default; the others always have a handler or are ignored. */
static const int signals[SIGNALS] = {SIGUSR1, SIGUSR2, SIGURG, SIGCHLD, 40, 41};

static struct shared {
    int turn;                 /* the actor that is to act; 0 is the one that gives the turns */
    int number;               /* of the step */
    uint64_t random;
    uint64_t hash;
    int verbose, stopped, was_stopped, unsettled;
    pid_t pid[2], tid[ACTORS];
    int caught[ACTORS][SIGNALS];
    int word[4];
    int ready;
} *all;

static __thread int me;
static char data[70000];

static int process(void)
{
    return me / 2;
}

/* One result: into the hash, and shown if this sequence is. */
static void result(const char *what, int a, int b, long value)
{
    int e = value < 0 ? errno : 0;
    long parts[5] = {all->number, a, b, value, e};
    for (const char *p = what; *p; p++)
        all->hash = (all->hash ^ (unsigned char)*p) * 0x100000001b3;
    for (int i = 0; i < 5; i++)
        all->hash = (all->hash ^ (uint64_t)parts[i]) * 0x100000001b3;
    if (all->verbose) {
        dprintf(1, "  %d: actor %d %s %d %d = %ld %s\n", all->number, me, what, a, b, value, e ? errno_name(e) : "");
    }
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
    (void)context;
    for (int i = 0; i < SIGNALS; i++)
        if (signals[i] == signo)
            all->caught[me][i] += 1 + (info->si_code == SI_QUEUE ? 100 * info->si_value.sival_int : 0);
}

static void wait_for_turn(int whose)
{
    int now;
    while ((now = __atomic_load_n(&all->turn, __ATOMIC_SEQ_CST)) != whose)
        syscall(SYS_futex, &all->turn, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void give_turn(int whose)
{
    __atomic_store_n(&all->turn, whose, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &all->turn, FUTEX_WAKE, 100, NULL, NULL, 0);
}

static int a_fd(void)
{
    return FIRST_FD + pick(FDS);
}

static int can_act(int actor)
{
    return actor < 2 || !all->stopped;
}

static void readiness(void)
{
    struct pollfd fds[FDS];
    for (int i = 0; i < FDS; i++)
        fds[i] = (struct pollfd){FIRST_FD + i, POLLIN | POLLOUT, 0};
    result("poll", 0, 0, poll(fds, FDS, 0));
    for (int i = 0; i < FDS; i++)
        result("revents", i, 0, fds[i].revents);
}

static void epoll_step(void)
{
    struct epoll_event event = {0}, events[16];
    int op = 1 + pick(3), fd = a_fd();
    event.events = (pick(2) ? EPOLLIN : EPOLLOUT) | (pick(2) ? EPOLLET : 0) | (pick(4) ? 0 : EPOLLONESHOT);
    event.data.u32 = fd;
    if (pick(2)) {
        result("epoll_ctl", op, fd, epoll_ctl(FIRST_FD + 7, op, fd, &event));
        return;
    }
    int count = epoll_wait(FIRST_FD + 7, events, 16, 0);
    result("epoll_wait", 0, 0, count);
    unsigned long sum = 0;
    for (int i = 0; i < count; i++)
        sum += events[i].events * 31 + events[i].data.u32;
    result("events", 0, 0, (long)sum);
}

static void signal_step(void)
{
    int which = pick(SIGNALS), target = pick(ACTORS);
    sigset_t set;
    all->unsettled = 1;
    sigemptyset(&set);
    sigaddset(&set, signals[which]);
    sigaddset(&set, signals[pick(SIGNALS)]);
    switch (pick(9)) {
        case 0: result("kill", which, target, kill(all->pid[target / 2], signals[which])); break;
        case 1:
        case 2:
            result("tgkill", which, target,
                   syscall(SYS_tgkill, all->pid[target / 2], all->tid[target], signals[which]));
            break;
        case 3: {
            union sigval value = {.sival_int = 1 + (int)pick(9)};
            result("sigqueue", which, target, sigqueue(all->pid[target / 2], signals[which], value));
            break;
        }
        case 4:
        case 5: {
            int how = pick(3);
            result("sigmask", how, which, pthread_sigmask(how, &set, NULL));
            break;
        }
        case 6: {
            sigset_t pending;
            sigpending(&pending);
            for (int i = 0; i < SIGNALS; i++)
                result("pending", i, 0, sigismember(&pending, signals[i]));
            break;
        }
        case 7: {
            struct timespec none = {0, 0};
            siginfo_t info;
            long got = sigtimedwait(&set, &info, &none);
            result("sigtimedwait", which, 0, got);
            if (got > 0)
                result("from", info.si_code, 0, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
            break;
        }
        default: {
            struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
            if (pick(3) == 0) {
                action.sa_handler = SIG_IGN;
                action.sa_flags = 0;
            }
            result("sigaction", which, 0, sigaction(signals[which], &action, NULL));
        }
    }
}

static void lock_step(void)
{
    static const int commands[] = {F_SETLK, F_SETLK, F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK};
    struct flock lock = {.l_type = pick(3), .l_whence = SEEK_SET, .l_start = pick(12), .l_len = pick(8)};
    int command = commands[pick(6)];
    if (pick(6) == 0) {
        int how = (int[]){LOCK_SH, LOCK_EX, LOCK_UN}[pick(3)];
        result("flock", how, 0, flock(FIRST_FD + 5 + pick(2), how | LOCK_NB));
        return;
    }
    int type = lock.l_type, start = lock.l_start;
    result("lock", command * 10 + type, start, fcntl(FIRST_FD + 5 + pick(2), command, &lock));
    if (command == F_GETLK || command == F_OFD_GETLK) {
        result("holder", lock.l_type, lock.l_pid == all->pid[0] ? 1 : lock.l_pid == all->pid[1] ? 2 : lock.l_pid, 0);
        result("range", lock.l_start, lock.l_len, 0);
    }
}

static void child_step(void)
{
    int code = pick(100), options = pick(2) ? WNOHANG : 0, status = 0;
    siginfo_t info;
    all->unsettled = 1;
    if (pick(3)) {
        pid_t pid = fork();
        if (!pid)
            _exit(code);
        memset(&info, 0, sizeof info);
        result("waitid", 0, 0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
        result("info", info.si_code, info.si_status, info.si_pid == pid);
        if (pick(4))
            result("waitpid", options, 0, waitpid(pid, &status, options) == pid);
        else
            result("zombie", 0, 0, kill(pid, 0));
    } else {
        long got = waitpid(-1, &status, WNOHANG);
        result("wait any", 0, 0, got > 0 ? 1 : got);
    }
    result("status", 0, 0, status);
}

static void attributes(void)
{
    int value = pick(8), other = pick(2);
    char name[20];
    switch (pick(10)) {
        case 0: result("umask", 0, 0, umask(value * 9)); break;
        case 1: result("nice", 0, 0, setpriority(PRIO_PROCESS, 0, value)); break;
        case 2: result("getpriority", 0, 0, getpriority(PRIO_PROCESS, all->pid[other])); break;
        case 3: result("setpgid", other, 0, setpgid(all->pid[other], pick(2) ? all->pid[0] : 0)); break;
        case 4: {
            pid_t group = getpgid(all->pid[other]);
            result("getpgid", other, 0, group == all->pid[0] ? 1 : group == all->pid[1] ? 2 : 3);
            break;
        }
        case 5:
            snprintf(name, sizeof name, "n%d", value);
            result("name", value, 0, prctl(PR_SET_NAME, name));
            break;
        case 6:
            prctl(PR_GET_NAME, name);
            result("its name", name[0] == 'n' ? name[1] : 0, 0, 0);
            break;
        case 7: {
            struct rlimit limit = {100 + value, 200};
            result("limit", value, 0, setrlimit(RLIMIT_NOFILE, &limit));
            break;
        }
        case 8: {
            struct rlimit limit;
            result("prlimit", other, 0, prlimit(all->pid[other], RLIMIT_NOFILE, NULL, &limit));
            result("soft", 0, 0, limit.rlim_cur > 1000 ? 1000 : (long)limit.rlim_cur);
            break;
        }
        default: {
            static const char *const places[] = {"/", "/usr", "/tmp", "/nowhere"};
            char cwd[100];
            result("chdir", value & 3, 0, chdir(places[value & 3]));
            result("cwd", 0, 0, getcwd(cwd, sizeof cwd) ? (long)strlen(cwd) : -1);
        }
    }
}

static void descriptors(void)
{
    int one = a_fd(), two = a_fd(), size = pick(3) ? 1 + pick(10) : 1 + pick(66000);
    int mine = process(), other = pick(2);
    switch (pick(10)) {
        case 0: result("dup2", one, two, dup2(one, two)); break;
        case 1: result("close", one, 0, close(one)); break;
        case 2:
        case 3:
        case 4:
            memset(data, 'a' + all->number, size);
            result("write", one, size, write(one, data, size));
            break;
        case 5:
        case 6:
        case 7: {
            long got = read(one, data, size);
            result("read", one, size, got);
            if (got > 0)
                result("bytes", data[0], data[got - 1], 0);
            break;
        }
        case 8: {
            int waiting = 0;
            result("FIONREAD", one, 0, ioctl(one, FIONREAD, &waiting));
            result("waiting", 0, 0, waiting);
            break;
        }
        default: {
            long order = syscall(SYS_kcmp, all->pid[mine], all->pid[other], KCMP_FILE, one, two);
            result("same file", one, two, order > 0 ? 1 : order);
        }
    }
}

static void memory_step(void)
{
    int word = pick(4), local = pick(100);
    switch (pick(4)) {
        case 0: result("add", word, 0, __atomic_add_fetch(&all->word[word], local, __ATOMIC_SEQ_CST)); break;
        case 1: result("wake", word, 0, syscall(SYS_futex, &all->word[word], FUTEX_WAKE, 3, NULL, NULL, 0)); break;
        case 2: result("wait", word, 0, syscall(SYS_futex, &all->word[word], FUTEX_WAIT, -1, NULL, NULL, 0)); break;
        default: {
            static int own[2] = {11, 12};
            int seen = 0;
            own[0] += process() + 1;
            struct iovec here = {&seen, sizeof seen}, there = {&own[0], sizeof seen};
            result("vm_readv", 0, 0, process_vm_readv(all->pid[pick(2)], &here, 1, &there, 1, 0));
            result("seen", 0, 0, seen);
        }
    }
}

static void stop_step(void)
{
    int status = 0;
    all->unsettled = 1;
    if (all->stopped) {
        result("continue", 0, 0, kill(all->pid[1], SIGCONT));
        result("waited", 0, 0, waitpid(all->pid[1], &status, WCONTINUED) == all->pid[1]);
        all->stopped = 0;
    } else {
        result("stop", 0, 0, kill(all->pid[1], SIGSTOP));
        result("waited", 0, 0, waitpid(all->pid[1], &status, WUNTRACED) == all->pid[1]);
        all->stopped = all->was_stopped = 1;
    }
    result("status", 0, 0, status);
}

static void step(void)
{
    random_state = all->random;
    switch (pick(14)) {
        case 0:
        case 1:
        case 2:
        case 3: descriptors(); break;
        case 4:
        case 5:
        case 6: signal_step(); break;
        case 7: lock_step(); break;
        case 8: child_step(); break;
        case 9: attributes(); break;
        case 10: memory_step(); break;
        case 11: epoll_step(); break;
        case 12: readiness(); break;
        default:
            if (me == 0)
                stop_step();
            else
                descriptors();
    }
    all->random = random_state;
}

static void *act(void *who)
{
    me = (int)(long)who;
    all->tid[me] = gettid();
    __atomic_add_fetch(&all->ready, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &all->ready, FUTEX_WAKE, 1, NULL, NULL, 0);
    for (;;) {
        wait_for_turn(me);
        if (all->number >= 0)
            step();
        give_turn(0);
    }
    return NULL;
}

static void start_thread(long who)
{
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    if (pthread_create(&thread, &small, act, (void *)who))
        exit(3);
}

/* A turn of each actor in which it does nothing, so that it has handled its signals. */
static void settle(int number)
{
    all->number = -1;
    for (int actor = 1; actor < ACTORS; actor++)
        if (can_act(actor)) {
            give_turn(actor);
            wait_for_turn(0);
        }
    all->number = number;
    all->unsettled = 0;
}

static void sequence(void)
{
    int ends[2];
    char path[] = "/tmp/random-tasks-XXXXXX";
    all->pid[0] = getpid();
    setpgid(0, 0);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        pipe2(ends, O_NONBLOCK);
        dup2(ends[0], FIRST_FD + 2 * i);
        dup2(ends[1], FIRST_FD + 2 * i + 1);
        close(ends[0]);
        close(ends[1]);
    }
    ends[0] = eventfd(0, EFD_NONBLOCK);
    dup2(ends[0], FIRST_FD + 4);
    close(ends[0]);
    ends[0] = mkstemp(path);
    ends[1] = open(path, O_RDWR);
    dup2(ends[0], FIRST_FD + 5);
    dup2(ends[1], FIRST_FD + 6);
    close(ends[0]);
    close(ends[1]);
    unlink(path);
    ends[0] = epoll_create1(0);
    dup2(ends[0], FIRST_FD + 7);
    close(ends[0]);
    pid_t child = fork();
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        all->pid[1] = getpid();
        start_thread(3);
        act((void *)2);
    }
    start_thread(1);
    me = 0;
    all->tid[0] = gettid();
    for (int now; (now = __atomic_load_n(&all->ready, __ATOMIC_SEQ_CST)) < ACTORS - 1;)
        syscall(SYS_futex, &all->ready, FUTEX_WAIT, now, NULL, NULL, 0);
    for (int number = 0; number < STEPS; number++) {
        all->number = number;
        random_state = all->random;
        int actor = pick(ACTORS);
        all->random = random_state;
        if (!can_act(actor))
            actor = 0;
        if (actor) {
            give_turn(actor);
            wait_for_turn(0);
        } else {
            step();
        }
        if (all->unsettled)
            settle(number);
        for (int i = 0; i < ACTORS; i++)
            for (int j = 0; j < SIGNALS; j++)
                if (all->caught[i][j]) {
                    /* Of a stopped process's threads, the first to go on takes a signal. */
                    if (i == 2 && all->was_stopped) {
                        all->caught[3][j] += all->caught[2][j];
                        all->caught[2][j] = 0;
                        continue;
                    }
                    result("caught", i, signals[j], all->caught[i][j]);
                    all->caught[i][j] = 0;
                }
    }
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    _exit(0);
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[2]) : 1, shown = argc > 3 ? atoi(argv[3]) : -1;
    all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    random_start(argc, argv);
    for (int i = 0; i < count; i++) {
        memset(all, 0, sizeof *all);
        pick(2);
        all->random = random_state;
        all->verbose = i == shown;
        if (shown >= 0 && !all->verbose)
            continue;
        fflush(stdout);
        pid_t pid = fork();
        if (!pid)
            sequence();
        int status = 0;
        waitpid(pid, &status, 0);
        NOTE("%d: %016lx %d", i, (unsigned long)all->hash, status);
    }
    return 0;
}

/* tasks KIND N: N times what processes and threads do.

   fork: fork and wait with 256 MB of dirty memory; thread: create and join; pingpong: a byte to another
   process and back through two pipes; unixpong: through a pair of sockets; keystroke: a byte typed at a
   pseudo-terminal, echoed by the process that reads there; mutex: lock and unlock; handover: a condition
   variable between two threads, there and back; signal: to oneself, and back from the handler; sleepers:
   N processes that sleep until the whole process group gets SIGTERM, after a second. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;
static long n;

static void *nothing(void *unused)
{
    return unused;
}

static void *take_turns(void *me)
{
    for (long i = 0; i < n; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != (int)(long)me)
            pthread_cond_wait(&cond, &mutex);
        turn = !turn;
        pthread_cond_signal(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void handler(int signo)
{
    (void)signo;
}

static int forks(void)
{
    size_t size = 256 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t at = 0; at < size; at += 4096)
        memory[at] = 1;
    for (long i = 0; i < n; i++) {
        pid_t pid = fork();
        if (!pid)
            _exit(memory[i * 4096] - 1);
        if (waitpid(pid, NULL, 0) != pid)
            return 1;
    }
    return 0;
}

static int pingpong(int sockets)
{
    int there[2], back[2], pair[2];
    char byte = 'x';
    if (pipe(there) < 0 || pipe(back) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return 1;
    pid_t pid = fork();
    int in = pid ? back[0] : there[0], out = pid ? there[1] : back[1];
    if (sockets)
        in = out = pair[!pid];
    for (long i = 0; i < n; i++)
        if ((pid && write(out, &byte, 1) != 1) || read(in, &byte, 1) != 1 || (!pid && write(out, &byte, 1) != 1))
            return 1;
    if (!pid)
        _exit(0);
    return waitpid(pid, NULL, 0) != pid;
}

static int keystroke(void)
{
    char byte = 'x';
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master))
        return 1;
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct termios modes;
    tcgetattr(slave, &modes);
    cfmakeraw(&modes);
    tcsetattr(slave, TCSANOW, &modes);
    pid_t pid = fork();
    int fd = pid ? master : slave;
    for (long i = 0; i < n; i++)
        if ((pid && write(fd, &byte, 1) != 1) || read(fd, &byte, 1) != 1 || (!pid && write(fd, &byte, 1) != 1))
            return 1;
    if (!pid)
        _exit(0);
    return waitpid(pid, NULL, 0) != pid;
}

static int sleepers(void)
{
    for (long i = 0; i < n; i++)
        if (!fork())
            for (;;)
                pause();
    sleep(1);
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const char *kind = argv[1];
    pthread_t one, two;
    n = atol(argv[2]);
    if (!strcmp(kind, "fork"))
        return forks();
    if (!strcmp(kind, "pingpong") || !strcmp(kind, "unixpong"))
        return pingpong(*kind == 'u');
    if (!strcmp(kind, "keystroke"))
        return keystroke();
    if (!strcmp(kind, "sleepers"))
        return sleepers();
    if (!strcmp(kind, "thread")) {
        for (long i = 0; i < n; i++)
            if (pthread_create(&one, NULL, nothing, NULL) || pthread_join(one, NULL))
                return 1;
    } else if (!strcmp(kind, "mutex")) {
        for (long i = 0; i < n; i++) {
            pthread_mutex_lock(&mutex);
            pthread_mutex_unlock(&mutex);
        }
    } else if (!strcmp(kind, "handover")) {
        pthread_create(&one, NULL, take_turns, (void *)0);
        pthread_create(&two, NULL, take_turns, (void *)1);
        pthread_join(one, NULL);
        pthread_join(two, NULL);
    } else {
        pid_t pid = getpid();
        signal(SIGUSR1, handler);
        for (long i = 0; i < n; i++)
            kill(pid, SIGUSR1);
    }
    return 0;
}

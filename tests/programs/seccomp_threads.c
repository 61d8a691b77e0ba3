// Filters and threads: TSYNC, threads that differ, a thread that is killed alone.
// cc: -static -pthread
#include "seccomp.h"
#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>

static sem_t go, done;
static void (*job)(void);
static pthread_t thread;
static volatile pid_t tid;

static void *worker(void *unused)
{
    tid = syscall(SYS_gettid);
    sem_post(&done);
    for (;;) {
        sem_wait(&go);
        if (!job)
            return NULL;
        job();
        sem_post(&done);
    }
}

static void start(void)
{
    sem_init(&go, 0, 0);
    sem_init(&done, 0, 0);
    pthread_create(&thread, NULL, worker, NULL);
    sem_wait(&done);
}

static void let(void (*what)(void))
{
    job = what;
    sem_post(&go);
    sem_wait(&done);
}

static void ask(void)
{
    SHOW(syscall(SYS_getppid) == 0 ? 0 : syscall(SYS_getppid) > 0 ? 1 : -1);
    show_seccomp();
}

static void refuse(void)
{
    SHOW(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | 5));
}

static void nothing_new(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void *quick(void *unused)
{
    return (void *)(long)(syscall(SYS_getppid) == -1 ? errno : 0);
}

static void killed(void)
{
    syscall(SYS_getppid);
}

static void *dies(void *unused)
{
    killed();
    return NULL;
}

int main(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    CHILD(NOTE("one thread has a filter, the other does not"); start(); let(refuse); let(ask); ask();
          NOTE("a filter for all: not possible"); SHOW(ANSWER(SECCOMP_FILTER_FLAG_TSYNC, SYS_getpgid, SECCOMP_RET_ERRNO | 6) == tid);
          SHOW(ANSWER(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, SYS_getpgid, SECCOMP_RET_ERRNO | 6));
          SHOW(syscall(SYS_getpgid, 0) > 0); show_seccomp());
    CHILD(NOTE("a filter for all"); start(); nothing_new(); SHOW(ANSWER(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 6));
          let(ask); ask(); let(refuse); SHOW(ANSWER(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 6) == tid));
    CHILD(NOTE("the main thread's filters first"); SHOW(ANSWER(0, SYS_getsid, SECCOMP_RET_ERRNO | 7)); start();
          SHOW(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | 8)); let(ask);
          SHOW(ANSWER(SECCOMP_FILTER_FLAG_TSYNC, SYS_getpgid, SECCOMP_RET_ERRNO | 6)); let(ask));
    CHILD(NOTE("a new thread has them"); refuse(); void *got; pthread_create(&thread, NULL, quick, NULL); pthread_join(thread, &got);
          NOTE("errno %ld", (long)got));
    CHILD(NOTE("a thread is killed alone"); SHOW(ANSWER(0, SYS_getppid, SECCOMP_RET_KILL_THREAD));
          pthread_create(&thread, NULL, dies, NULL); pthread_join(thread, NULL); NOTE("joined"));
    CHILD(NOTE("all are killed"); fflush(stdout); ANSWER(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS); start(); let(killed); NOTE("not reached"));
    CHILD(NOTE("strict for one"); start(); fflush(stdout); pthread_t other; pthread_create(&other, NULL, dies, NULL);
          pthread_join(other, NULL); SHOW(ANSWER(SECCOMP_FILTER_FLAG_TSYNC, SYS_getpgid, SECCOMP_RET_ERRNO | 6)));
    return 0;
}

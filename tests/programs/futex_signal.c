/* A futex is woken at the moment a signal comes: who woke it has counted on it, so the wait must say so. */
// cc: -pthread
#include "show.h"
#include <linux/futex.h>
#include <pthread.h>

#define ROUNDS 100

static uint32_t word, other, lock;
static volatile int done, ended_well, handled;
static volatile pid_t waiter;
static int kind;

static void on_signal(int signo)
{
    (void)signo;
    handled++;
}

static long futex(uint32_t *at, int op, unsigned value, void *timeout, void *second, unsigned third)
{
    return syscall(SYS_futex, at, op, value, timeout, second, third);
}

static long await(void)
{
    struct { uint64_t value, address; uint32_t flags, reserved; } both[2] = {{0, (uintptr_t)&other, 2, 0},
                                                                            {0, (uintptr_t)&word, 2, 0}};
    long result;
    switch (kind) {
    case 0:
        return futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0;
    case 1:
        return syscall(449, both, 2, 0, NULL, 0) == 1;
    default:
        result = futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
        ended_well += result == 0 && (lock & FUTEX_TID_MASK) == (uint32_t)gettid();
        if (!result)
            futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
        return 0;
    }
}

static void *thread(void *unused)
{
    waiter = gettid();
    ended_well += await();
    __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
    return unused;
}

static void *moved(void *unused)
{
    waiter = gettid();
    SHOW(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock, 0));
    return unused;
}

/* A signal after FUTEX_CMP_REQUEUE_PI: the word may have changed, so the wait is not begun again. */
static void signal_when_moved(void)
{
    pthread_t id;
    futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    waiter = 0;
    pthread_create(&id, NULL, moved, NULL);
    while (futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 0) != 1)
        sched_yield();
    tgkill(getpid(), waiter, SIGUSR1);
    pthread_join(id, NULL);
    NOTE("mine %d", (lock & FUTEX_TID_MASK) == (uint32_t)gettid());
    futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    signal_when_moved();
    for (kind = 0; kind < 3; kind++) {
        int woken = 0;
        ended_well = 0;
        for (int round = 0; round < ROUNDS; round++) {
            pthread_t id;
            done = waiter = 0;
            if (kind == 2)
                futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
            pthread_create(&id, NULL, thread, NULL);
            while (!waiter)
                sched_yield();
            usleep(500);
            tgkill(getpid(), waiter, SIGUSR1);
            if (kind == 2)
                futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), woken++;
            else
                while (!done)
                    woken += futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0);
            pthread_join(id, NULL);
        }
        NOTE("kind %d: %s", kind, ended_well == woken ? "every wake arrived" : "wakes were lost");
    }
    NOTE("signals %d", handled);
    return 0;
}

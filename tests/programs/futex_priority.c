/* Real-time threads are woken by priority, whatever the order in which they came to wait. */
// cc: -pthread
#include "show.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

static uint32_t word, other;
static int woken[8], count;
static volatile pid_t started;

static void *waiter(void *priority)
{
    struct sched_param param = {(int)(long)priority};
    sched_setscheduler(0, param.sched_priority ? SCHED_FIFO : SCHED_OTHER, &param);
    started = gettid();
    syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
    woken[__atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST)] = param.sched_priority;
    return NULL;
}

static int asleep(pid_t tid)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *f = fopen(path, "r");
    fscanf(f, "%*d %*s %c", &state);
    fclose(f);
    return state == 'S';
}

static void order(int requeue)
{
    static const long priorities[] = {5, 0, 10, 20, 10, 1};
    pthread_t ids[6];
    count = 0;
    for (int i = 0; i < 6; i++) {
        started = 0;
        pthread_create(&ids[i], NULL, waiter, (void *)priorities[i]);
        while (!started || !asleep(started))
            usleep(1000);
    }
    if (requeue)
        SHOW(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 100, &other, 0));
    while (count < requeue)
        usleep(1000);
    for (int i = requeue; i < 6; i++) {
        syscall(SYS_futex, requeue ? &other : &word, FUTEX_WAKE, 1, NULL, NULL, 0);
        while (count < i + 1)
            usleep(1000);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(ids[i], NULL);
        printf("%d ", woken[i]);
    }
    printf("\n");
}

int main(void)
{
    order(0);
    order(1);
    return 0;
}

/* A real-time task that yields lets its equals run, but nobody below it. */
// cc: -pthread
#include "show.h"
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

static char said[64];
static int at;

/* Says its name four times, and yields after each. */
static void *turn(void *name)
{
    for (int i = 0; i < 4; i++) {
        said[at++] = *(char *)name;
        sched_yield();
    }
    return NULL;
}

static void start(pthread_t *id, char *name, int priority)
{
    struct sched_param param = {priority};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &param);
    errno = pthread_create(id, &attributes, turn, name);
    if (errno)
        die("pthread_create");
}

int main(void)
{
    pthread_t ids[4];
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    SHOW(sched_setaffinity(0, sizeof one, &one));
    struct sched_param param = {10};
    SHOW(sched_setscheduler(0, SCHED_FIFO, &param));
    start(&ids[0], "a", 5);
    start(&ids[1], "b", 5);
    start(&ids[2], "c", 4);
    start(&ids[3], "d", 6);
    SHOW(sched_yield()); /* they are all below */
    NOTE("nobody yet: \"%s\"", said);
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
    NOTE("%s", said);
    return 0;
}

/* A program for debuggers to look at: it crashes, counts, makes threads and children, or waits to be attached to. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct node {
    int value;
    const char *name;
    struct node *next;
};

int counter;
static int sums[4];

static int total(struct node *list)
{
    int sum = 0;
    for (;;) {
        sum += list->value;
        list = list->next;
    }
    return sum;
}

static int crash(int value)
{
    struct node second = {value, "second", NULL};
    struct node first = {7, "first", &second};
    double half = value / 2.0;
    return total(&first) + (int)half;
}

static void *work(void *argument)
{
    int number = *(int *)argument;
    for (int i = 0; i < 3; i++)
        sums[number] += number;
    return NULL;
}

static void *begin(void *argument)
{
    usleep(200000); /* until whoever made this thread waits for it */
    return work(argument);
}

static void threads(void)
{
    pthread_t thread;
    for (int i = 1; i < 4; i++) {
        pthread_create(&thread, NULL, begin, &i);
        pthread_join(thread, NULL);
    }
}

static void count(int to)
{
    for (int i = 0; i < to; i++)
        if (i % 2)
            counter += i;
}

static int family(void)
{
    int status = 0;
    pid_t pid = fork();
    if (!pid) {
        counter = 100;
        count(4);
        _exit(3);
    }
    waitpid(pid, &status, 0);
    usleep(200000); /* a debugger tells of the child before this program says anything */
    return WEXITSTATUS(status);
}

static volatile sig_atomic_t handled;
static void handler(int signo)
{
    handled = signo;
}

int main(int argc, char **argv)
{
    const char *what = argv[1];
    setbuf(stdout, NULL);
    printf("%s begins\n", what);
    if (!strcmp(what, "crash"))
        return crash(argc + 40);
    if (!strcmp(what, "threads"))
        threads();
    if (!strcmp(what, "count"))
        count(6);
    if (!strcmp(what, "family"))
        printf("child: %d\n", family());
    if (!strcmp(what, "signal")) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
        printf("handled %d\n", handled);
    }
    if (!strcmp(what, "wait"))
        for (;;) {
            counter++;
            pause();
        }
    if (!strcmp(what, "loop"))
        for (;;)
            counter++;
    printf("%d %d %d, %d\n", sums[1], sums[2], sums[3], counter);
    return counter;
}

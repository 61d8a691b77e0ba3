/* hungry fds|forks|threads|memory|spin: takes all it can get of one thing, says why it stopped, and goes on
   living with it for a moment.  `spin` keeps four threads busy for ever. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *spin(void *unused)
{
    for (volatile long n = 0;; n++)
        ;
    return unused;
}

static void *sleep_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void report(const char *what, long count)
{
    printf("%s %ld: %s\n", what, count, strerrorname_np(errno));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    long count = 0;
    pthread_t thread;
    if (!strcmp(what, "fds")) {
        /* In several processes, so that it is not one table's limit that ends it. */
        for (int i = 0; i < 40; i++)
            if (!fork()) {
                while (open("/etc/passwd", O_RDONLY) >= 0)
                    count++;
                int e = errno;
                usleep(100000);
                _exit(e == EMFILE || e == ENFILE ? 0 : 1);
            }
        int status, bad = 0;
        while (wait(&status) > 0)
            bad += status != 0;
        printf("bad %d, still usable %d\n", bad, open("/etc/passwd", O_RDONLY) >= 0);
    } else if (!strcmp(what, "forks")) {
        pid_t pid;
        while ((pid = fork()) > 0)
            count++;
        if (!pid)
            sleep_for_ever(NULL);
        report("forks", count);
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
        while (wait(NULL) > 0)
            count--;
        printf("left %ld, another %d\n", count, fork() >= 0);
    } else if (!strcmp(what, "threads")) {
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 16384);
        while (!(errno = pthread_create(&thread, &small, sleep_for_ever, NULL)))
            count++;
        report("threads", count);
        _exit(0);
    } else if (!strcmp(what, "memory")) {
        char *p;
        while ((p = malloc(1 << 20))) {
            memset(p, 1, 1 << 20);
            count++;
        }
        report("megabytes", count);
    } else {
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, spin, NULL);
        puts("spinning");
        fflush(stdout);
        spin(NULL);
    }
    return 0;
}

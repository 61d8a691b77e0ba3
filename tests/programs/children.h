/* Child processes that do one thing each, and say what came of it when they are reaped. */
#ifndef CHILDREN_H
#define CHILDREN_H

#include "show.h"
#include <sys/wait.h>

/* Children keep what they have to say until they are reaped. */
static struct {
    pid_t pid;
    int go;
} children[4];

UNUSED static pid_t start(void (*body)(void))
{
    int at = 0, ends[2];
    char c;
    while (children[at].pid)
        at++;
    pipe(ends);
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        close(ends[1]);
        for (int i = 0; i < 4; i++)
            if (children[i].pid)
                close(children[i].go);
        body();
        read(ends[0], &c, 1);
        fflush(stdout);
        _exit(0);
    }
    close(ends[0]);
    children[at].pid = pid;
    children[at].go = ends[1];
    return pid;
}

UNUSED static void reap(pid_t pid)
{
    int status, at = 0;
    while (children[at].pid != pid)
        at++;
    children[at].pid = 0;
    fflush(stdout);
    close(children[at].go);
    while (waitpid(pid, &status, 0) < 0)
        ;
    if (status)
        NOTE("status %x", status);
}

/* Wait until a child sleeps, as /proc says. */
UNUSED static void until_asleep(pid_t pid)
{
    char name[40], text[200];
    for (;;) {
        snprintf(name, sizeof name, "/proc/%d/stat", pid);
        FILE *f = fopen(name, "r");
        fgets(text, sizeof text, f);
        fclose(f);
        if (strstr(text, ") S"))
            return;
        usleep(500);
    }
}

#endif

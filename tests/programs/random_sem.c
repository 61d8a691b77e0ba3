// Semaphore operations that wait, by six processes at random: who is released by what, in which order values change.
// run: 1
// run: 2
// run: 3
// run: 4
#include "random.h"
#include <poll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/wait.h>

#define CHILDREN 6
#define SEMS 3

struct command {
    int id, count;
    struct sembuf sops[3];
};

struct report {
    int who, result, error;
};

static int id, reports[2];
static struct {
    pid_t pid;
    int commands, busy;
} children[CHILDREN];

static void start(int who)
{
    int ends[2];
    pipe(ends);
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        struct command c;
        close(ends[1]);
        for (int i = 0; i < CHILDREN; i++)
            if (children[i].pid && i != who)
                close(children[i].commands);
        while (read(ends[0], &c, sizeof c) == sizeof c) {
            struct report r = {who, semop(c.id, c.sops, c.count), 0};
            if (r.result < 0)
                r.error = errno;
            write(reports[1], &r, sizeof r);
        }
        _exit(0);
    }
    close(ends[0]);
    children[who].pid = pid;
    children[who].commands = ends[1];
    children[who].busy = 0;
}

static int asleep(void)
{
    int sum = 0;
    for (int i = 0; i < SEMS; i++)
        sum += semctl(id, i, GETNCNT) + semctl(id, i, GETZCNT);
    return sum;
}

static int by_name(const void *a, const void *b)
{
    return ((const struct report *)a)->who - ((const struct report *)b)->who;
}

/* Wait until everybody has an answer or sleeps, and tell what came of it.  A removed array has no sleepers. */
static void settle(int removed)
{
    struct report got[CHILDREN];
    int busy = 0, count = 0, same = 0;
    for (int i = 0; i < CHILDREN; i++)
        busy += children[i].busy;
    while (same < 2) {
        struct pollfd p = {reports[0], POLLIN, 0};
        if (poll(&p, 1, 0) == 1) {
            read(reports[0], &got[count], sizeof got[0]);
            children[got[count++].who].busy = 0;
            same = 0;
        } else if (busy - count == (removed ? 0 : asleep())) {
            same++;
        } else {
            same = 0;
            usleep(200);
        }
    }
    qsort(got, count, sizeof got[0], by_name);
    for (int i = 0; i < count; i++)
        NOTE("  %d: %s", got[i].who, got[i].result < 0 ? errno_name(got[i].error) : "done");
    if (removed)
        return;
    unsigned short v[SEMS];
    semctl(id, 0, GETALL, v);
    printf("  values");
    for (int i = 0; i < SEMS; i++)
        printf(" %d (%d, %d)", v[i], semctl(id, i, GETNCNT), semctl(id, i, GETZCNT));
    printf("\n");
}

static struct command random_command(int most)
{
    struct command c = {id, 1 + pick(most), {{0}}};
    for (int i = 0; i < c.count; i++) {
        c.sops[i].sem_num = pick(SEMS);
        c.sops[i].sem_op = (int)pick(5) - 2 - !pick(3);
        c.sops[i].sem_flg = (pick(3) ? 0 : SEM_UNDO) | (pick(8) ? 0 : IPC_NOWAIT);
    }
    return c;
}

static void show_command(const char *who, int number, const struct command *c)
{
    printf("%s %d:", who, number);
    for (int i = 0; i < c->count; i++)
        printf(" [%d %+d %x]", c->sops[i].sem_num, c->sops[i].sem_op, (unsigned short)c->sops[i].sem_flg);
    printf("\n");
}

int main(int argc, char **argv)
{
    random_start(argc, argv);
    pipe(reports);
    id = semget(IPC_PRIVATE, SEMS, 0600);
    for (int i = 0; i < CHILDREN; i++)
        start(i);
    for (int n = 0; n < 150; n++) {
        int who = pick(CHILDREN), what = pick(24);
        if (what == 0) {
            NOTE("%d: removed", n);
            semctl(id, 0, IPC_RMID);
            settle(1);
            id = semget(IPC_PRIVATE, SEMS, 0600);
        } else if (what == 1) {
            int status, was = children[who].busy;
            kill(children[who].pid, SIGKILL);
            waitpid(children[who].pid, &status, 0);
            close(children[who].commands);
            NOTE("%d: %d is killed, busy %d", n, who, was);
            start(who);
            settle(0);
        } else if (what == 2) {
            int number = pick(SEMS), value = pick(4);
            NOTE("%d: setval %d %d: %d", n, number, value, semctl(id, number, SETVAL, value));
            settle(0);
        } else if (what == 3) {
            unsigned short v[SEMS] = {pick(3), pick(3), pick(3)};
            NOTE("%d: setall %d %d %d: %d", n, v[0], v[1], v[2], semctl(id, 0, SETALL, v));
            settle(0);
        } else if (what < 9 || children[who].busy) {
            struct command c = random_command(2);
            for (int i = 0; i < c.count; i++)
                c.sops[i].sem_flg = IPC_NOWAIT;
            show_command("parent", n, &c);
            label(semop(id, c.sops, c.count), "%d", n);
            settle(0);
        } else {
            struct command c = random_command(3);
            show_command("child", who, &c);
            children[who].busy = 1;
            write(children[who].commands, &c, sizeof c);
            settle(0);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i].pid, SIGKILL);
        waitpid(children[i].pid, NULL, 0);
    }
    SHOW(semctl(id, 0, IPC_RMID));
    return 0;
}

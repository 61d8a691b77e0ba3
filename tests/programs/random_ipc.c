// Long random sequences of calls on System V IPC and message queues by two processes that take turns; none waits.
// run: 1
// run: 2
// run: 3
// run: 4
// run: 5
// run: 7
// run: 32
#include "random.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>

#define SLOTS 3
#define PAGES 4

/* What both know: the random numbers' state, and identifiers by their slots. */
static struct {
    uint64_t state;
    int shm[SLOTS], sem[SLOTS], msg[SLOTS];
} * both;

static char names[SLOTS][48];
static mqd_t queues[SLOTS];
static pid_t first;

static const char *whose(int pid)
{
    return !pid ? "none" : pid == getpid() ? "me" : "other";
}

static void shared_memory(int n)
{
    int slot = pick(SLOTS), id = both->shm[slot], what = pick(12);
    struct shmid_ds d;
    char *base = (char *)0x200000000000 + (slot << 20); /* where this slot's segments are attached */
    switch (what) {
    case 0:
    case 1:
        if (id < 0) {
            both->shm[slot] = id = shmget(IPC_PRIVATE, 1 + pick(PAGES * PAGE), 0600);
            label(id < 0 ? -1 : 0, "%d shmget", n);
        }
        break;
    case 2:
        if (!pick(3)) {
            label(shmctl(id, IPC_RMID, NULL), "%d shm rmid", n);
            both->shm[slot] = -1;
        }
        break;
    case 3:
    case 4: {
        static const int all[] = {0, SHM_REMAP, SHM_REMAP, SHM_REMAP | SHM_RDONLY, SHM_RDONLY, SHM_REMAP | SHM_EXEC};
        int flags = all[pick(6)];
        label(shmat(id, base, flags) == (void *)-1 ? -1 : 0, "%d shmat %o", n, flags);
        break;
    }
    case 5: {
        int page = pick(PAGES);
        label(shmdt(base + page * PAGE), "%d shmdt %d", n, page);
        break;
    }
    case 6: {
        int page = pick(PAGES), prot = pick(4);
        label(mprotect(base + page * PAGE, PAGE, prot), "%d mprotect %d %d", n, page, prot);
        break;
    }
    case 7: {
        int page = pick(PAGES);
        label(munmap(base + page * PAGE, PAGE), "%d munmap %d", n, page);
        break;
    }
    case 8: {
        int ends[2], page = pick(PAGES); /* a pipe tells whether memory can be used, without a signal */
        pipe(ends);
        write(ends[1], &n, 2);
        label(read(ends[0], base + page * PAGE + pick(100), 2), "%d store %d", n, page);
        close(ends[0]), close(ends[1]);
        break;
    }
    case 9: {
        int ends[2], page = pick(PAGES);
        char got[PAGE];
        pipe(ends);
        long size = write(ends[1], base + page * PAGE, 120);
        label(size, "%d load %d", n, page);
        if (size > 0)
            NOTE("  %llx", (unsigned long long)hash(got, read(ends[0], got, size)));
        close(ends[0]), close(ends[1]);
        break;
    }
    default:
        if (label(shmctl(id, IPC_STAT, &d), "%d shm stat", n) == 0)
            NOTE("  %zu nattch %ld mode %o cpid %d lpid %s", d.shm_segsz, (long)d.shm_nattch, d.shm_perm.mode,
                 d.shm_cpid == first, whose(d.shm_lpid));
    }
}

static void semaphores(int n)
{
    int slot = pick(SLOTS), id = both->sem[slot], count = 1 + pick(4);
    struct sembuf s[4];
    unsigned short v[4] = {0};
    switch (pick(9)) {
    case 0:
        if (id < 0) {
            both->sem[slot] = id = semget(IPC_PRIVATE, 4, 0600);
            label(id < 0 ? -1 : 0, "%d semget", n);
        }
        break;
    case 1:
        if (!pick(4)) {
            label(semctl(id, 0, IPC_RMID), "%d sem rmid", n);
            both->sem[slot] = -1;
        }
        break;
    case 2:
        label(semctl(id, pick(5), SETVAL, pick(3)), "%d setval", n);
        break;
    case 3:
        for (int i = 0; i < 4; i++)
            v[i] = pick(4) ? pick(5) : 32760 + pick(10);
        label(semctl(id, 0, SETALL, v), "%d setall", n);
        break;
    case 4:
        if (label(semctl(id, 0, GETALL, v), "%d getall", n) == 0)
            NOTE("  %d %d %d %d, %s %s %s %s", v[0], v[1], v[2], v[3], whose(semctl(id, 0, GETPID)),
                 whose(semctl(id, 1, GETPID)), whose(semctl(id, 2, GETPID)), whose(semctl(id, 3, GETPID)));
        break;
    default:
        for (int i = 0; i < count; i++) {
            s[i].sem_num = pick(20) ? pick(4) : 4;
            s[i].sem_op = (int)pick(7) - 3;
            s[i].sem_flg = IPC_NOWAIT | (pick(2) ? SEM_UNDO : 0);
        }
        label(semop(id, s, count), "%d semop %d", n, count);
    }
}

static void messages(int n)
{
    static struct {
        long type;
        char text[9000];
    } m;
    int slot = pick(SLOTS), id = both->msg[slot], size;
    struct msqid_ds d;
    switch (pick(9)) {
    case 0:
        if (id < 0) {
            both->msg[slot] = id = msgget(IPC_PRIVATE, 0600);
            label(id < 0 ? -1 : 0, "%d msgget", n);
        }
        break;
    case 1:
        if (!pick(4)) {
            label(msgctl(id, IPC_RMID, NULL), "%d msg rmid", n);
            both->msg[slot] = -1;
        }
        break;
    case 2:
        if (label(msgctl(id, IPC_STAT, &d), "%d msg stat", n) == 0) {
            NOTE("  %lu %lu %lu lspid %s lrpid %s", (long)d.msg_qnum, d.__msg_cbytes, (long)d.msg_qbytes, whose(d.msg_lspid),
                 whose(d.msg_lrpid));
            d.msg_qbytes = 1000 + pick(15384);
            if (!pick(3))
                label(msgctl(id, IPC_SET, &d), "%d msg set", n);
        }
        break;
    case 3:
    case 4:
    case 5:
        m.type = pick(10) ? 1 + pick(6) : -1;
        size = pick(5) ? pick(200) : pick(8500);
        memset(m.text, 'a' + n % 26, size);
        label(msgsnd(id, &m, size, IPC_NOWAIT), "%d msgsnd %ld %d", n, m.type, size);
        break;
    default: {
        static const int all[] = {0, 0, MSG_NOERROR, MSG_EXCEPT, MSG_NOERROR | MSG_EXCEPT, 040000, 040000 | MSG_NOERROR};
        int flags = all[pick(7)] | IPC_NOWAIT, type = (int)pick(14) - 7;
        size = pick(3) ? 9000 : pick(150);
        int got = label(msgrcv(id, &m, size, type, flags), "%d msgrcv %d %d %o", n, size, type, flags);
        if (got >= 0)
            NOTE("  type %ld %llx", m.type, (unsigned long long)hash(m.text, got));
    }
    }
}

static void posix_queues(int n)
{
    static char text[300];
    int slot = pick(SLOTS), fd = queues[slot];
    struct mq_attr a = {.mq_maxmsg = 1 + pick(5), .mq_msgsize = 1 + pick(200)};
    struct sigevent e = {.sigev_notify = SIGEV_NONE};
    unsigned prio = 0;
    char status[100] = "", *at;
    switch (pick(10)) {
    case 0:
    case 1:
        if (fd < 0) {
            static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
            int flags = modes[pick(4)] | O_NONBLOCK | (pick(2) ? O_CREAT : 0) | (pick(4) ? 0 : O_EXCL);
            queues[slot] = mq_open(names[slot], flags, 0600, &a);
            label(queues[slot] < 0 ? -1 : 0, "%d mq_open %x", n, flags);
        }
        break;
    case 2:
        if (fd >= 0 && !pick(3)) {
            label(mq_close(fd), "%d mq_close", n);
            queues[slot] = -1;
        }
        break;
    case 3:
        if (!pick(4))
            label(mq_unlink(names[slot]), "%d mq_unlink", n);
        break;
    case 4:
        label(mq_notify(fd, pick(3) ? &e : NULL), "%d mq_notify", n);
        lseek(fd, 0, SEEK_SET);
        read(fd, status, sizeof status - 1);
        if ((at = strstr(status, "NOTIFY_PID:"))) {
            *at = 0;
            NOTE("  %s%s", status, whose(atoi(at + 11)));
        }
        break;
    case 5:
        if (label(mq_getattr(fd, &a), "%d mq_getattr", n) == 0)
            NOTE("  %ld of %ld, %ld", a.mq_curmsgs, a.mq_maxmsg, a.mq_msgsize);
        break;
    case 6:
    case 7: {
        int size = pick(pick(4) ? 20 : 250);
        memset(text, 'A' + n % 26, size);
        prio = pick(4);
        label(mq_send(fd, text, size, prio), "%d mq_send %d %u", n, size, prio);
        break;
    }
    default: {
        int got = label(mq_receive(fd, text, pick(10) ? sizeof text : 10, &prio), "%d mq_receive", n);
        if (got >= 0)
            NOTE("  priority %u %llx", prio, (unsigned long long)hash(text, got));
    }
    }
}

static void turn(int n)
{
    int count = 1 + pick(6);
    random_state = both->state;
    for (int i = 0; i < count; i++)
        switch (pick(4)) {
        case 0: shared_memory(n); break;
        case 1: semaphores(n); break;
        case 2: messages(n); break;
        default: posix_queues(n);
        }
    both->state = random_state;
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int to[2], from[2], status;
    char c;
    random_start(argc, argv);
    both = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    both->state = random_state;
    first = getpid();
    for (int i = 0; i < SLOTS; i++) {
        both->shm[i] = both->sem[i] = both->msg[i] = queues[i] = -1;
        snprintf(names[i], sizeof names[i], "/lxrun-random-%d-%d-%ld", i, first, (long)time(NULL));
    }
    for (int life = 0; life < 12; life++) {
        pipe(to), pipe(from);
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            close(to[1]), close(from[0]);
            for (int n = 0; read(to[0], &c, 1) == 1; n++) {
                NOTE("child");
                turn(life * 1000 + n);
                write(from[1], "x", 1);
            }
            _exit(0);
        }
        close(to[0]), close(from[1]);
        for (int n = 0; n < 25; n++) {
            NOTE("parent");
            turn(life * 1000 + 500 + n);
            write(to[1], "x", 1);
            read(from[0], &c, 1);
        }
        close(to[1]), close(from[0]);
        waitpid(child, &status, 0);
        NOTE("the child ends: %x", status);
    }
    for (int i = 0; i < SLOTS; i++) {
        shmctl(both->shm[i], IPC_RMID, NULL);
        semctl(both->sem[i], 0, IPC_RMID);
        msgctl(both->msg[i], IPC_RMID, NULL);
        mq_unlink(names[i]);
    }
    return 0;
}

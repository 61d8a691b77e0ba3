/* System V message queues: types, sizes, who waits for what, full queues, limits. */
#include "children.h"
#include <sys/ipc.h>
#include <sys/msg.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct message {
    long type;
    char text[9000];
};

static int id;
static key_t key;

static void state(const char *when)
{
    struct msqid_ds d;
    if (msgctl(id, IPC_STAT, &d) < 0) {
        NOTE("%s: %s", when, errno_name(errno));
        return;
    }
    NOTE("%s: %lu messages, %lu bytes of %lu, stime %d rtime %d ctime %d, lspid %s lrpid %s mode %o", when,
         (long)d.msg_qnum, d.__msg_cbytes, (long)d.msg_qbytes, d.msg_stime != 0, d.msg_rtime != 0, d.msg_ctime != 0,
         !d.msg_lspid ? "none" : d.msg_lspid == getpid() ? "me" : "other",
         !d.msg_lrpid ? "none" : d.msg_lrpid == getpid() ? "me" : "other", d.msg_perm.mode);
}

static void listed(const char *when)
{
    char line[256];
    int k, i, mode, bytes, count;
    FILE *f = fopen("/proc/sysvipc/msg", "r");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%d %d %o %d %d", &k, &i, &mode, &bytes, &count) == 5 && i == id)
            NOTE("%s: listed: key %d mode %o bytes %d count %d, %zu bytes", when, k == key, mode, bytes, count, strlen(line));
    fclose(f);
}

static int put(long type, const char *text, int flags)
{
    struct message m = {.type = type};
    strcpy(m.text, text);
    return msgsnd(id, &m, strlen(text), flags);
}

static int put_size(long type, size_t size, int flags)
{
    static struct message m;
    m.type = type;
    memset(m.text, 'x', sizeof m.text);
    return msgsnd(id, &m, size, flags);
}

static void get(size_t size, long type, int flags)
{
    static struct message m;
    memset(&m, 0, sizeof m);
    int n = msgrcv(id, &m, size, type, flags);
    if (n < 0)
        NOTE("get %zu of %ld flags %o: %s", size, type, flags, errno_name(errno));
    else
        NOTE("get %zu of %ld flags %o: %d bytes type %ld %.20s", size, type, flags, n, m.type, m.text);
}

static void gets_(void)
{
    NOTE("-- msgget");
    SHOW(msgget(key, 0600));
    id = msgget(key, IPC_CREAT | IPC_EXCL | 0640);
    NOTE("made: %d", id >= 0);
    SHOW(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
    NOTE("again: %d", msgget(key, 0666) == id);
    state("new");
    listed("new");
}

static void send_receive(void)
{
    static struct message m = {.type = 1};
    NOTE("-- msgsnd, msgrcv");
    SHOW(put(0, "zero", 0));
    SHOW(put(-1, "negative", 0));
    SHOW(msgsnd(id, &m, -1, 0));
    SHOW(msgsnd(id, &m, 8193, 0));
    SHOW(msgsnd(id, (void *)1, 1, 0));
    SHOW(msgsnd(id, (void *)1, -1, 0));
    SHOW(msgsnd(-1, &m, 1, 0));
    SHOW(msgsnd(id + (1 << 15), &m, 1, 0));
    SHOW(msgrcv(id, &m, -1, 0, IPC_NOWAIT));
    SHOW(msgrcv(-1, &m, 1, 0, IPC_NOWAIT));
    SHOW(msgrcv(id + (1 << 15), &m, 1, 0, IPC_NOWAIT));
    get(10, 0, IPC_NOWAIT);
    SHOW(put(1, "", 0));
    SHOW(put(3, "three", 0));
    SHOW(put(2, "two", 0));
    SHOW(put(5, "five", 0));
    SHOW(put(2, "two again", 0));
    SHOW(put(LONG_MAX, "the last", 0));
    state("six");
    listed("six");
    get(100, 2, MSG_COPY | IPC_NOWAIT);
    get(2, 2, MSG_COPY | IPC_NOWAIT);
    get(2, 2, MSG_COPY | IPC_NOWAIT | MSG_NOERROR);
    get(100, 0, MSG_COPY | IPC_NOWAIT);
    get(100, 6, MSG_COPY | IPC_NOWAIT);
    get(100, -1, MSG_COPY | IPC_NOWAIT);
    get(100, 2, MSG_COPY);
    get(100, 2, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT);
    get(100, 4, IPC_NOWAIT);
    get(100, -1, IPC_NOWAIT);
    get(100, -1, IPC_NOWAIT);
    get(100, 2, IPC_NOWAIT);
    get(100, -4, IPC_NOWAIT);
    get(100, 3, IPC_NOWAIT | MSG_EXCEPT);
    get(3, 0, IPC_NOWAIT);
    get(3, 0, IPC_NOWAIT | MSG_NOERROR);
    state("after a short one");
    get(100, LONG_MIN, IPC_NOWAIT);
    get(100, LONG_MIN, IPC_NOWAIT);
    state("empty");
    SHOW(put(7, "lost", 0));
    SHOW(msgrcv(id, (void *)1, 100, 0, IPC_NOWAIT));
    state("a message that could not be stored");
    SHOW(put(7, "seven", 0));
    get(0, 0, IPC_NOWAIT);
    get(0, 0, IPC_NOWAIT | MSG_NOERROR);
    state("cut to nothing");
}

static void full(void)
{
    NOTE("-- full queues");
    SHOW(put_size(1, 8192, IPC_NOWAIT));
    SHOW(put_size(2, 8192, IPC_NOWAIT));
    state("full");
    SHOW(put_size(3, 1, IPC_NOWAIT));
    SHOW(put_size(3, 0, IPC_NOWAIT));
    state("a message of nothing fits");
    get(10000, 2, IPC_NOWAIT);
    SHOW(put_size(3, 8192, IPC_NOWAIT));
    get(10000, 0, IPC_NOWAIT);
    get(10000, 0, IPC_NOWAIT);
    get(10000, 0, IPC_NOWAIT);
}

static void get_two(void) { get(100, 2, 0); }
static void get_short(void) { get(3, 0, 0); }
static void get_upto(void) { get(100, -5, 0); }
static void get_any(void) { get(100, 0, 0); }
static void send_big(void) { NOTE("big: %d", put_size(8, 8000, 0)); }
static void send_small(void) { NOTE("small: %d", put_size(9, 100, 0)); }
static void send_fails(void) { SHOW(put_size(8, 8000, 0)); }

static void on_signal(int signo)
{
    (void)signo;
}

static void get_signalled(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &a, NULL);
    get(100, 0, 0);
}

static void get_ignoring(void)
{
    signal(SIGUSR1, SIG_IGN);
    get(100, 0, 0);
}

static void send_signalled(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &a, NULL);
    SHOW(put_size(8, 8000, 0));
}

static void waiting(void)
{
    pid_t a, b;
    struct msqid_ds d;
    NOTE("-- who waits");
    until_asleep(a = start(get_two));
    SHOW(put(1, "not for it", 0));
    until_asleep(a);
    SHOW(put(2, "for it", 0));
    reap(a);
    state("one is left");
    get(100, 0, IPC_NOWAIT);
    until_asleep(a = start(get_short));
    SHOW(put(1, "too long", 0));
    reap(a);
    state("stays in the queue");
    get(100, 0, IPC_NOWAIT);
    until_asleep(a = start(get_upto));
    SHOW(put(6, "six", 0));
    SHOW(put(5, "five", 0));
    reap(a);
    get(100, 0, IPC_NOWAIT);
    until_asleep(a = start(get_any));
    until_asleep(b = start(get_any));
    SHOW(put(1, "first", 0));
    reap(a);
    SHOW(put(1, "second", 0));
    reap(b);
    state("both served");

    put_size(1, 8192, 0);
    put_size(2, 8192, 0);
    until_asleep(a = start(send_big));
    until_asleep(b = start(send_small));
    get(10000, 1, 0);
    reap(a), reap(b);
    state("big and small");
    get(10000, 2, 0);
    get(10000, 8, 0);
    get(10000, 9, 0);
    SHOW(msgctl(id, IPC_STAT, &d));
    d.msg_qbytes = 8192;
    SHOW(msgctl(id, IPC_SET, &d));
    put_size(1, 8192, 0);
    until_asleep(a = start(send_big));
    d.msg_qbytes = 16384;
    SHOW(msgctl(id, IPC_SET, &d));
    reap(a);
    state("a larger queue");
    d.msg_qbytes = 100;
    SHOW(msgctl(id, IPC_SET, &d));
    state("a smaller one");
    for (int i = 0; i < 2; i++)
        get(10000, 0, IPC_NOWAIT);
    for (int i = 0; i < 102; i++)
        if (put(1, "", IPC_NOWAIT))
            NOTE("%d: %s", i, errno_name(errno));
    state("empty messages");
    for (int i = 0; i < 100; i++)
        msgrcv(id, &(struct message){0}, 100, 0, IPC_NOWAIT);

    NOTE("-- signals");
    until_asleep(a = start(get_signalled));
    kill(a, SIGUSR1);
    reap(a);
    until_asleep(a = start(get_ignoring));
    kill(a, SIGUSR1);
    kill(a, SIGSTOP);
    waitpid(a, NULL, WUNTRACED);
    kill(a, SIGCONT);
    until_asleep(a);
    SHOW(put(4, "restarted", 0));
    reap(a);
    SHOW(put_size(1, 90, 0));
    until_asleep(a = start(send_signalled));
    kill(a, SIGUSR1);
    reap(a);
    state("interrupted");
}

static void as_nobody(void)
{
    struct msqid_ds d;
    if (setgid(65534) || setuid(65534))
        die("setuid");
    SHOW(msgget(key, 0) == id ? 0 : -1);
    SHOW(msgget(key, 0200) == id ? 0 : -1);
    SHOW(put(1, "x", IPC_NOWAIT));
    get(100, 0, IPC_NOWAIT);
    SHOW(msgctl(id, IPC_STAT, &d));
    SHOW(msgctl(id & 0x7fff, MSG_STAT, &d) < 0 ? -1 : 0);
    SHOW(msgctl(id & 0x7fff, 13 /* MSG_STAT_ANY */, &d) == id ? 0 : -1);
    SHOW(msgctl(id, IPC_RMID, 0));
    SHOW(msgctl(id, IPC_SET, &d));
}

static void as_owner(void)
{
    struct msqid_ds d;
    if (setgid(65534) || setuid(65534))
        die("setuid");
    SHOW(msgctl(id, IPC_STAT, &d));
    d.msg_qbytes = 16385;
    SHOW(msgctl(id, IPC_SET, &d));
    d.msg_qbytes = 16384;
    SHOW(msgctl(id, IPC_SET, &d));
    state("by its owner");
}

static void control(void)
{
    struct msqid_ds d;
    struct msginfo info;
    pid_t a, b;
    NOTE("-- msgctl");
    SHOW(msgctl(-1, IPC_STAT, &d));
    SHOW(msgctl(id, -1, &d));
    SHOW(msgctl(id, 99, &d));
    SHOW(msgctl(id, IPC_STAT, (void *)1));
    SHOW(msgctl(id, IPC_SET, (void *)1));
    SHOW(msgctl(id + (1 << 15), IPC_STAT, &d));
    SHOW(msgctl(0x7ffe, MSG_STAT, &d));
    NOTE("by index: %d", msgctl(id & 0x7fff, MSG_STAT, &d) == id);
    SHOW(msgctl(0, IPC_INFO, (void *)&info) >= (id & 0x7fff) ? 0 : -1);
    NOTE("limits: %d %d %d %d %d %d %d %u", info.msgpool, info.msgmap, info.msgmax, info.msgmnb, info.msgmni, info.msgssz,
         info.msgtql, info.msgseg);
    SHOW(msgctl(0, MSG_INFO, (void *)&info) >= (id & 0x7fff) ? 0 : -1);
    NOTE("used: %d %d %d", info.msgpool >= 1, info.msgmap >= 1, info.msgtql >= 90);
    reap(start(as_nobody));
    SHOW(msgctl(id, IPC_STAT, &d));
    d.msg_perm.uid = 65534;
    d.msg_perm.mode = 0666;
    SHOW(msgctl(id, IPC_SET, &d));
    reap(start(as_owner));
    get(100, 0, IPC_NOWAIT);
    until_asleep(a = start(get_any));
    put_size(1, 8192, 0), put_size(1, 8192, 0);
    reap(a);
    until_asleep(a = start(send_fails));
    id = msgget(IPC_PRIVATE, 0600);
    until_asleep(b = start(get_any));
    SHOW(msgctl(id, IPC_RMID, 0));
    reap(b);
    id = msgget(key, 0);
    SHOW(msgctl(id, IPC_RMID, 0));
    reap(a);
    SHOW(msgctl(id, IPC_RMID, 0));
    SHOW(put(1, "x", 0));
    get(1, 0, 0);
}

int main(void)
{
    key = 0x30000000 | (getpid() & 0xffff) << 8 | (time(NULL) & 0xff);
    gets_();
    send_receive();
    full();
    waiting();
    control();
    return 0;
}

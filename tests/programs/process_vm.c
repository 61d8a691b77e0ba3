/* Memory of another process: process_vm_readv, process_vm_writev, process_madvise, process_mrelease. */
#include "show.h"
#include <sys/prctl.h>
#include <sys/wait.h>

static char *area; /* pages 0-2, a hole, page 4; page 2 read-only; pages 6 without access, 7 executable */
static int to_child[2], from_child[2];

#define RANGES(...) ((struct iovec[]){__VA_ARGS__})
#define READV(pid, l, ln, r, rn) syscall(SYS_process_vm_readv, pid, l, (long)(ln), r, (long)(rn), 0L)
#define WRITEV(pid, l, ln, r, rn) syscall(SYS_process_vm_writev, pid, l, (long)(ln), r, (long)(rn), 0L)

static void ask(char what)
{
    char answer;
    write(to_child[1], &what, 1);
    read(from_child[0], &answer, 1);
}

static pid_t target(void)
{
    pipe(to_child);
    pipe(from_child);
    pid_t pid = fork();
    if (pid)
        return pid;
    char what;
    close(to_child[1]);
    for (int i = 0; i < 3; i++)
        memset(area + i * PAGE, 'A' + i, PAGE);
    mprotect(area + 2 * PAGE, PAGE, PROT_READ);
    memset(area + 4 * PAGE, 'E', PAGE);
    munmap(area + 3 * PAGE, PAGE);
    mprotect(area + 6 * PAGE, PAGE, PROT_NONE);
    mprotect(area + 7 * PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(area + 7 * PAGE, "\xb8\x05\0\0\0\xc3", 6); /* mov eax, 5; ret */
    while (read(to_child[0], &what, 1) == 1) {
        if (what == 'h')
            NOTE("in the target: %016lx", (unsigned long)hash(area, 3 * PAGE));
        else if (what == 'x')
            NOTE("in the target: %d", ((int (*)(void))(area + 7 * PAGE))());
        else if (what == 'd')
            prctl(PR_SET_DUMPABLE, 0);
        write(from_child[1], &what, 1);
    }
    _exit(0);
}

static void reading(pid_t pid)
{
    static char data[3 * PAGE], more[PAGE];
    char *last = edge(16);
    SHOW(READV(pid, RANGES({data, 5}), 1, RANGES({area + PAGE - 2, 5}), 1));
    show_bytes("data", data, 6);
    SHOW(READV(pid, RANGES({data, 3}, {more, 4}), 2, RANGES({area, 2}, {area + PAGE, 2}, {area + 2 * PAGE, 9}), 3));
    show_bytes("data", data, 4);
    show_bytes("more", more, 5);
    SHOW(READV(pid, RANGES({data, 3 * PAGE}), 1, RANGES({area, 3 * PAGE}), 1));
    NOTE("%016lx", (unsigned long)hash(data, 3 * PAGE));
    /* up to what is not there */
    SHOW(READV(pid, RANGES({data, 3 * PAGE}), 1, RANGES({area + PAGE, 3 * PAGE}), 1));
    SHOW(READV(pid, RANGES({data, 3 * PAGE}), 1, RANGES({area + 3 * PAGE, 10}), 1));
    SHOW(READV(pid, RANGES({data, 100}), 1, RANGES({area, 10}, {area + 3 * PAGE, 10}, {area, 10}), 3));
    SHOW(READV(pid, RANGES({data, 100}), 1, RANGES({area + 3 * PAGE, 10}, {area, 10}), 2));
    SHOW(READV(pid, RANGES({data, 100}), 1, RANGES({area + 6 * PAGE, 10}), 1));
    SHOW(READV(pid, RANGES({last, 32}), 1, RANGES({area, 32}), 1));
    SHOW(READV(pid, RANGES({last + 16, 32}), 1, RANGES({area, 32}), 1));
    /* counts and pointers */
    SHOW(READV(pid, NULL, 0, RANGES({area, 32}), 1));
    SHOW(READV(pid, RANGES({data, 32}), 1, NULL, 0));
    SHOW(READV(pid, RANGES({data, 0}), 1, RANGES({area, 32}), 1));
    SHOW(READV(1 << 22, RANGES({data, 0}), 1, RANGES({area, 32}), 1));
    SHOW(READV(1 << 22, RANGES({data, 1}), 1, RANGES({area, 0}), 1));
    SHOW(READV(1 << 22, RANGES({data, 1}), 1, RANGES({area, 1}), 1));
    SHOW(READV(0, RANGES({data, 1}), 1, RANGES({area, 1}), 1));
    SHOW(READV(-1, RANGES({data, 1}), 1, RANGES({area, 1}), 1));
    SHOW(READV(pid, RANGES({data, 1}), 1025, RANGES({area, 1}), 1));
    SHOW(READV(pid, RANGES({data, 1}), 1, RANGES({area, 1}), 1025));
    SHOW(READV(pid, RANGES({data, 1}), -1, RANGES({area, 1}), 1));
    SHOW(READV(pid, RANGES({data, 1}), 1, RANGES({area, -1}), 1));
    SHOW(READV(pid, RANGES({data, -1}), 1, RANGES({area, 1}), 1));
    SHOW(READV(pid, (void *)8, 1, RANGES({area, 1}), 1));
    SHOW(READV(pid, RANGES({data, 1}), 1, (void *)8, 1));
    SHOW(READV(pid, RANGES({data, 1}), 1, RANGES({(void *)-8, 1}), 1));
    SHOW(READV(pid, RANGES({data, 9}), 1, RANGES({(void *)8, 9}), 1));
    SHOW(syscall(SYS_process_vm_readv, pid, RANGES({data, 1}), 1L, RANGES({area, 1}), 1L, 1L));
    /* oneself */
    strcpy(data, "mine");
    SHOW(READV(getpid(), RANGES({more, 5}), 1, RANGES({data, 5}), 1));
    NOTE("%s", more);
}

static void writing(pid_t pid)
{
    static char data[3 * PAGE];
    memset(data, 'z', sizeof data);
    ask('h');
    SHOW(WRITEV(pid, RANGES({data, 20}), 1, RANGES({area + PAGE - 10, 20}), 1));
    ask('h');
    SHOW(WRITEV(pid, RANGES({data, 3 * PAGE}), 1, RANGES({area + PAGE + 100, 3 * PAGE}), 1));
    SHOW(WRITEV(pid, RANGES({data, 3}), 1, RANGES({area + 2 * PAGE, 3}), 1));
    SHOW(WRITEV(pid, RANGES({data, 3}), 1, RANGES({area + 3 * PAGE, 3}), 1));
    SHOW(WRITEV(pid, RANGES({data, 3}), 1, RANGES({area + 6 * PAGE, 3}), 1));
    ask('h');
    NOTE("untouched here: %d", area[0]);
    /* code that the target has run */
    ask('x');
    SHOW(WRITEV(pid, RANGES({"\x09", 1}), 1, RANGES({area + 7 * PAGE + 1, 1}), 1));
    ask('x');
}

static void rights(pid_t pid)
{
    char data[8];
    if (geteuid())
        return;
    for (int dumpable = 1; dumpable >= 0; dumpable--) {
        if (!dumpable)
            ask('d');
        pid_t other = fork();
        if (!other) {
            setresuid(1000, 1000, 1000);
            SHOW(READV(pid, RANGES({data, 4}), 1, RANGES({area, 4}), 1));
            SHOW(WRITEV(pid, RANGES({data, 4}), 1, RANGES({area, 4}), 1));
            SHOW(READV(getpid(), RANGES({data, 4}), 1, RANGES({area, 4}), 1));
            _exit(0);
        }
        waitpid(other, NULL, 0);
        SHOW(READV(pid, RANGES({data, 4}), 1, RANGES({area, 4}), 1));
    }
}

static void advice(pid_t pid)
{
    int other = syscall(SYS_pidfd_open, pid, 0), self = syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec two[] = {{area, PAGE}, {area + PAGE, PAGE}}, hole[] = {{area, PAGE}, {area + 3 * PAGE, PAGE}};
    int kinds[] = {MADV_WILLNEED, 20, 21};
    for (int i = 0; i < 3; i++) {
        label(syscall(SYS_process_madvise, other, two, 2, kinds[i], 0), "other, advice %d", kinds[i]);
        label(syscall(SYS_process_madvise, self, two, 2, kinds[i], 0), "self, advice %d", kinds[i]);
    }
    for (int kind = 0; kind < 12; kind++)
        if (kind != MADV_WILLNEED)
            label(syscall(SYS_process_madvise, other, two, 2, kind, 0), "other, advice %d", kind);
    SHOW(syscall(SYS_process_madvise, other, hole, 2, 20, 0));
    SHOW(syscall(SYS_process_madvise, other, hole + 1, 1, 20, 0));
    SHOW(syscall(SYS_process_madvise, other, two, 0, 20, 0));
    SHOW(syscall(SYS_process_madvise, other, two, 1025, 20, 0));
    SHOW(syscall(SYS_process_madvise, other, (void *)8, 1, 20, 0));
    SHOW(syscall(SYS_process_madvise, other, two, 2, 20, 1));
    SHOW(syscall(SYS_process_madvise, 0, two, 2, 20, 0));
    SHOW(syscall(SYS_process_madvise, 99, two, 2, 20, 0));
    two[0].iov_base = area + 1;
    SHOW(syscall(SYS_process_madvise, other, two, 2, 20, 0));
    SHOW(syscall(SYS_process_mrelease, other, 0));
    SHOW(syscall(SYS_process_mrelease, other, 1));
    SHOW(syscall(SYS_process_mrelease, 0, 0));
    SHOW(syscall(SYS_process_mrelease, 99, 0));
    siginfo_t info;
    kill(pid, SIGKILL);
    waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
    two[0].iov_base = area;
    SHOW(syscall(SYS_process_mrelease, other, 0));
    SHOW(syscall(SYS_process_madvise, other, two, 2, 20, 0));
    SHOW(READV(pid, RANGES({area, 4}), 1, RANGES({area, 4}), 1));
    waitpid(pid, NULL, 0);
    SHOW(syscall(SYS_process_mrelease, other, 0));
    SHOW(syscall(SYS_process_madvise, other, two, 2, 20, 0));
    SHOW(READV(pid, RANGES({area, 4}), 1, RANGES({area, 4}), 1));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    area = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, '.', PAGE);
    pid_t pid = target();
    ask(' ');
    reading(pid);
    writing(pid);
    rights(pid);
    advice(pid);
}

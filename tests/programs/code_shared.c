/* Code that one process writes and another runs, turn and turn about, through every pair of mappings. */
#include "show.h"
#include <sys/wait.h>

#define PAGE 4096

static int go[2], back[2];

/* mov eax, value; ret */
static void put(unsigned char *at, int value)
{
    at[0] = 0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = 0xc3;
}

static int call(void *at)
{
    return ((int (*)(void))at)();
}

static void child(unsigned char *code, unsigned char *own)
{
    char place;
    while (read(go[0], &place, 1) == 1) {
        int got = own ? call(own + place * 64) : call(code + place * 64);
        write(back[1], &got, sizeof got);
    }
    _exit(0);
}

static void turns(const char *what, int mine, int theirs, int forked)
{
    int fd = memfd_create("code", 0);
    ftruncate(fd, PAGE);
    unsigned char *code = mmap(NULL, PAGE, mine, MAP_SHARED, fd, 0);
    pipe(go);
    pipe(back);
    pid_t pid = fork();
    if (!pid) {
        close(go[1]);
        child(code, forked ? NULL : mmap(NULL, PAGE, theirs, MAP_SHARED, fd, 0));
    }
    close(go[0]);
    NOTE("%s", what);
    for (int round = 0; round < 12; round++) {
        char place = round % 3;
        put(code + place * 64, 100 + round);
        if (mine & PROT_EXEC && round == 7)
            NOTE("  own %d", call(code + place * 64));
        write(go[1], &place, 1);
        int got = -1;
        read(back[0], &got, sizeof got);
        NOTE("  %d: %d", round, got);
    }
    close(go[1]);
    close(back[0]);
    close(back[1]);
    int status;
    waitpid(pid, &status, 0);
    NOTE("  status %x", status);
    munmap(code, PAGE);
    close(fd);
}

/* Each has its own copy after a fork. */
static void apart(void)
{
    unsigned char *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    put(code, 1);
    NOTE("apart: %d", call(code));
    int turn[2], done[2];
    pipe(turn);
    pipe(done);
    pid_t pid = fork();
    if (!pid) {
        for (int i = 0; i < 4; i++) {
            char byte;
            read(turn[0], &byte, 1);
            int got = call(code);
            put(code, 200 + i);
            got = got * 1000 + call(code);
            write(done[1], &got, sizeof got);
        }
        _exit(0);
    }
    for (int i = 0; i < 4; i++) {
        put(code, 100 + i);
        write(turn[1], "x", 1);
        int got;
        read(done[0], &got, sizeof got);
        NOTE("  child %d, ours %d", got, call(code));
    }
    waitpid(pid, NULL, 0);
}

int main(void)
{
    int rw = PROT_READ | PROT_WRITE, rx = PROT_READ | PROT_EXEC, rwx = rw | PROT_EXEC;
    apart();
    turns("written here, run there", rw, rx, 0);
    turns("written and run here, run there", rwx, rx, 0);
    turns("written here, written and run there", rw, rwx, 0);
    turns("written and run on both sides", rwx, rwx, 0);
    turns("the same mapping, inherited", rwx, 0, 1);
    return 0;
}

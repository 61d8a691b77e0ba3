// Runs programs of system calls that arrive on standard input, each in a child and in the directory "case" below the
// one it is started in.  In: the length in 32 bits, then 64-bit words (conformance/fuzz/encode.py).  Out: the length in
// 32 bits, then what the program saw.
#include <stdarg.h>
#include <stddef.h>

static void say(const char *format, ...);
#define SAY(...) say(__VA_ARGS__)
#include "runtime.c"
#include "names.h"

#define LIMIT (1 << 20)
#define STEPS 64
#define PATIENCE 20

// Shared with the child, so that what it has seen is there however it ends.
static struct {
    int length;
    char text[LIMIT];
} *seen;

static void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int left = LIMIT - seen->length, length = vsnprintf(seen->text + seen->length, left, format, list);
    seen->length += length < left ? length : left - 1;
    va_end(list);
}

static long *word;
static long results[STEPS];
static int pairs[STEPS][2];

// A buffer to be shown after the call.
static struct {
    int how;
    char *data;
    long size;
} shown[16];
static int shows;

enum { INT, REF, BUF, IN_REGION };

static long value(void)
{
    long kind = *word++;
    if (kind == INT)
        return *word++;
    if (kind == IN_REGION)
        return REGION + *word++;
    if (kind == REF) {
        long call = *word++, which = *word++;
        return which < 0 ? results[call] : pairs[call][which];
    }
    long size = *word++, missing = *word++, how = *word++, length = *word++;
    char *data = buffer(size, missing, word, length);
    word += (length + 7) / 8;
    for (long fields = *word++; fields > 0; fields--) {
        long at = *word++, width = *word++;
        put(data, at, width, value());
    }
    if (how && shows < 16) {
        shown[shows].how = how;
        shown[shows].data = data;
        shown[shows++].size = size - missing;
    }
    return (long)data;
}

static void run(void)
{
    long calls = *word++;
    for (long i = 0; i < calls && i < STEPS; i++) {
        long which = *word++, count = *word++, a[6] = {0}, got;
        shows = 0;
        for (long j = 0; j < count; j++)
            a[j] = value();
        const char *name = names[which].name;
        if (!name) {
            results[i] = touch(a[0], a[1]);
            continue;
        }
        got = syscall(names[which].number, a[0], a[1], a[2], a[3], a[4], a[5]);
        results[i] = names[which].maps ? mapped(name, got) : result(name, got);
        pairs[i][0] = pairs[i][1] = -1;
        for (int j = 0; j < shows && got >= 0; j++) {
            long size = shown[j].size;
            if (shown[j].how == 1) {
                memcpy(pairs[i], shown[j].data, 8);
                shows_by[1](shown[j].data, size);
            } else
                shows_by[shown[j].how](shown[j].data, shows_result[shown[j].how] ? got : size);
        }
    }
}

static int whole(int fd, void *data, long size)
{
    for (long done = 0, n; done < size; done += n)
        if ((n = read(fd, (char *)data + done, size - done)) <= 0)
            return 0;
    return 1;
}

int main(void)
{
    static long program[LIMIT / 8];
    int size;
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    buffer(0, 0, "", 0);
    while (whole(0, &size, 4) && size <= (int)sizeof program && whole(0, program, size)) {
        seen->length = 0;
        word = program;
        pid_t child = fork();
        if (!child) {
            sigprocmask(SIG_UNBLOCK, &children, NULL);
            setsid();
            int null = open("/dev/null", O_RDWR);
            for (int fd = 0; fd < 3; fd++)
                dup2(null, fd);
            syscall(SYS_close_range, 3, ~0U, 0);
            if (chdir("case") || !getcwd(home, sizeof home))
                _exit(1);
            start();
            run();
            _exit(0);
        }
        int status, killed = 0;
        siginfo_t info;
        while (waitpid(child, &status, WNOHANG) == 0)
            if (sigtimedwait(&children, &info, &(struct timespec){PATIENCE, 0}) < 0 && errno == EAGAIN) {
                kill(child, SIGKILL);
                killed = 1;
            }
        if (killed)
            say("no end\n");
        else if (WIFSIGNALED(status))
            say("signal %d\n", WTERMSIG(status));
        else
            say("exit %d\n", WEXITSTATUS(status));
        if (write(1, seen, 4 + seen->length) != 4 + seen->length)
            break;
    }
    return 0;
}

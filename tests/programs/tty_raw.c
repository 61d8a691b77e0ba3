/* Reading without lines: VMIN and VTIME, signals while it waits, poll. */
#include "pty.h"

static int m, s;

static void raw(int min, int time)
{
    struct termios t = modes(s);
    t.c_iflag = t.c_oflag = t.c_lflag = 0;
    t.c_cc[VMIN] = min;
    t.c_cc[VTIME] = time;
    set_modes(s, t);
}

static void type(const char *text)
{
    write_all(m, text);
    settle(m, s);
}

/* A child that types `texts` one after the other, each when the reader sleeps again. */
static pid_t typist(const char *const *texts, int gap_ms)
{
    fflush(stdout);
    pid_t reader = getpid(), child = fork();
    if (child)
        return child;
    for (; *texts; texts++) {
        char name[64], data[512], state = 0;
        snprintf(name, sizeof name, "/proc/%d/stat", reader);
        while (state != 'S') {
            int fd = open(name, O_RDONLY);
            long n = read(fd, data, sizeof data - 1);
            close(fd);
            data[n > 0 ? n : 0] = 0;
            char *end = strrchr(data, ')');
            state = end ? end[2] : 0;
        }
        if (gap_ms)
            usleep(gap_ms * 1000);
        write_all(m, *texts);
    }
    _exit(0);
}

static void handler(int signo)
{
}

int main(void)
{
    pair(&m, &s);
    for (int min = 0; min < 6; min += 3)
        for (int time = 0; time < 2; time++) {
            raw(min, time);
            printf("-- VMIN %d VTIME %d\n", min, time);
            show_ready("nothing", s);
            if (!min)
                show_read("nothing", s, 10);
            no_wait(s, 1);
            show_read("nothing, O_NONBLOCK", s, 10);
            type("ab");
            show_ready("two", s);
            show_read("two, O_NONBLOCK", s, 10);
            no_wait(s, 0);
            type("abcd");
            show_ready("four", s);
            show_read("four", s, 10);
            type("ab");
            show_read("two, of two", s, 2);
            type("abcdef");
            show_read("six, of five", s, 5);
            show_read("one, of one", s, 1);
            show_read("none", s, 0);
        }
    printf("-- waiting\n");
    raw(5, 0);
    pid_t child = typist((const char *[]){"a", "bc", "d", "efg", NULL}, 0);
    show_read("five", s, 10);
    waitpid(child, NULL, 0);
    int left = waiting(s);
    show_read("the rest", s, left);
    raw(5, 1);
    type("ab");
    show_read("two, then a pause", s, 10);
    child = typist((const char *[]){"abc", NULL}, 0);
    show_read("three, then a pause", s, 10);
    waitpid(child, NULL, 0);
    raw(0, 50);
    child = typist((const char *[]){"xy", NULL}, 0);
    show_read("within VTIME", s, 10);
    waitpid(child, NULL, 0);
    raw(5, 0);
    child = typist((const char *[]){"vec", "tor", NULL}, 0);
    char a[4], b[4];
    struct iovec v[2] = {{a, 4}, {b, 4}};
    long n = readv(s, v, 2);
    printf("  readv %ld %.4s%.*s\n", n, a, (int)n - 4, b);
    waitpid(child, NULL, 0);

    printf("-- interrupted\n");
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {0};
    setitimer(ITIMER_REAL, &soon, NULL);
    show_read("nothing yet", s, 10);
    type("ab");
    show_read("two of five", s, 10);
    setitimer(ITIMER_REAL, &never, NULL);

    printf("-- bad memory\n");
    raw(1, 0);
    char *page = island(1);
    type("abcdef");
    SHOW(read(s, page + PAGE, 4));
    show_read("after it", s, 10);
    SHOW(write(s, page + PAGE, 4));
    SHOW(write(s, page, 0));
    return 0;
}

// AF_UNIX streams: partial reads, accounting, shutdown, time-outs, signals, peeking, urgent data.
#include "unix.h"
#include <sys/sendfile.h>

static char data[400000], got[400000];
static int pipes;

static void on_pipe(int signo)
{
    pipes++;
}

static void on_alarm(int signo)
{
}

static void buffers(void)
{
    int s[2];
    static const int sizes[] = {1, 192, 193, 704, 705, 1000, 3776, 3777, 4096, 10000, 36544, 36545, 65536, 200000};
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        long total = 0, n;
        while ((n = write(s[0], data, sizes[i])) > 0)
            total += n;
        NOTE("pieces of %d: %ld bytes fit, then %s", sizes[i], total, errno_name(errno));
        show_queues(s[0]);
        show_queues(s[1]);
        show_events(s[0]);
        long back = 0;
        while ((n = read(s[1], got + back, 5000)) > 0)
            back += n;
        NOTE("%ld came back", back);
        show_events(s[0]);
    }
    for (int size = 1; size < 200000; size = size * 3 + 100) {
        set_option(s[0], SO_SNDBUF, size);
        int now;
        socklen_t l = sizeof now;
        getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &now, &l);
        long n = write(s[0], data, sizeof data);
        NOTE("send buffer %d is %d takes %ld", size, now, n);
        while (read(s[1], got, sizeof got) > 0)
            ;
    }
    close(s[0]);
    close(s[1]);
}

static void ends(void)
{
    int s[2];
    for (int how = 0; how < 3; how++)
        for (int full = 0; full < 2; full++) {
            NOTE("shutdown %d, %s", how, full ? "with data" : "empty");
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
            if (full) {
                write(s[0], "from 0", 6);
                write(s[1], "from 1", 6);
            }
            SHOW(shutdown(s[0], how));
            show_events(s[0]);
            show_events(s[1]);
            SHOW(write(s[0], "abc", 3));
            SHOW(write(s[1], "def", 3));
            SHOW(read(s[0], got, 4));
            SHOW(read(s[1], got, 4));
            SHOW(read(s[0], got, 4));
            SHOW(read(s[1], got, 4));
            SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
            SHOW(shutdown(s[0], 3));
            SHOW(close(s[0]));
            show_events(s[1]);
            OPTION(s[1], SO_ERROR);
            SHOW(read(s[1], got, 10));
            SHOW(write(s[1], "abc", 3));
            SHOW(read(s[1], got, 10));
            show_events(s[1]);
            NOTE("SIGPIPE %d", pipes);
            close(s[1]);
        }
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    write(s[1], "never read", 10);
    write(s[0], "is read", 7);
    close(s[0]);
    show_events(s[1]);
    SHOW(read(s[1], got, 3));
    SHOW(read(s[1], got, 10));
    SHOW(read(s[1], got, 10));
    SHOW(read(s[1], got, 10));
    SHOW(write(s[1], "x", 1));
    close(s[1]);
}

static void waiting(void)
{
    int s[2];
    struct timeval tv = {0, 100000};
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
    socklen_t l = sizeof tv;
    tv.tv_usec = 0;
    SHOW(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &l));
    NOTE("%ld %ld %d", (long)tv.tv_sec, (long)tv.tv_usec, (int)l);
    SHOW(read(s[0], got, 1));
    SHOW(recv(s[0], got, 1, 0));
    SHOW(write(s[0], data, sizeof data));
    SHOW(write(s[0], data, sizeof data));
    while (recv(s[1], got, sizeof got, MSG_DONTWAIT) > 0)
        ;
    SHOW(write(s[1], "abc", 3));
    SHOW(recv(s[0], got, 10, MSG_WAITALL));
    SHOW(set_option(s[0], SO_RCVLOWAT, 5));
    SHOW(write(s[1], "abc", 3));
    show_events(s[0]);
    SHOW(read(s[0], got, 10));
    SHOW(write(s[1], "abcdef", 6));
    SHOW(read(s[0], got, 10));
    OPTION(s[0], SO_RCVLOWAT);
    set_option(s[0], SO_RCVLOWAT, 0);
    /* a signal: EINTR with a time-out, restarted without */
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    tv = (struct timeval){5, 0};
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    struct itimerval it = {{0, 0}, {0, 50000}};
    setitimer(ITIMER_REAL, &it, NULL);
    SHOW(read(s[0], got, 10));
    if (!fork()) {
        usleep(150000);
        write(s[1], "late", 4);
        _exit(0);
    }
    setitimer(ITIMER_REAL, &it, NULL);
    tv = (struct timeval){0, 0};
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    SHOW(recv(s[0], got, 10, 0));
    wait(NULL);
    set_option(s[0], SO_RCVLOWAT, 8);
    if (!fork()) {
        for (int i = 0; i < 3; i++) {
            usleep(20000);
            write(s[1], "abc", 3);
        }
        _exit(0);
    }
    SHOW(read(s[0], got, 10));
    wait(NULL);
    set_option(s[0], SO_RCVLOWAT, 1);
    /* a large write goes through in one call; half a reader ends it */
    if (!fork()) {
        close(s[0]);
        long total = 0, n;
        while (total < 1000000 && (n = read(s[1], got, 30000)) > 0)
            total += n;
        _exit(total != 1000000);
    }
    close(s[1]);
    static char large[1000000];
    tv = (struct timeval){0, 0};
    setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    int status;
    SHOW(write(s[0], large, sizeof large));
    wait(&status);
    SHOW(status);
    close(s[0]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    if (!fork()) {
        close(s[0]);
        read(s[1], got, 1000);
        usleep(50000);
        _exit(0);
    }
    close(s[1]);
    pipes = 0;
    long n = write(s[0], large, sizeof large);
    NOTE("partly written %d, SIGPIPE %d", n > 1000 && n < (long)sizeof large, pipes);
    wait(NULL);
    close(s[0]);
}

static void peeking(void)
{
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
    OPTION(s[1], SO_PEEK_OFF);
    write(s[0], "one", 3);
    write(s[0], "three", 5);
    SHOW(recv(s[1], got, 2, MSG_PEEK));
    SHOW(recv(s[1], got, 100, MSG_PEEK));
    show_bytes("peeked", got, 8);
    SHOW(set_option(s[1], SO_PEEK_OFF, 1));
    SHOW(recv(s[1], got, 1, MSG_PEEK));
    SHOW(recv(s[1], got, 100, MSG_PEEK));
    show_bytes("peeked", got, 6);
    SHOW(recv(s[1], got, 100, MSG_PEEK));
    OPTION(s[1], SO_PEEK_OFF);
    SHOW(recv(s[1], got, 4, 0));
    OPTION(s[1], SO_PEEK_OFF);
    SHOW(recv(s[1], got, 4, MSG_PEEK | MSG_TRUNC));
    SHOW(recv(s[1], got, 2, MSG_TRUNC));
    SHOW(set_option(s[1], SO_PEEK_OFF, -1));
    SHOW(recv(s[1], got, 100, 0));
    char *bad = edge(3);
    SHOW(write(s[0], bad, 4));
    SHOW(write(s[0], "12345", 5));
    SHOW(read(s[1], bad, 5));
    SHOW(read(s[1], bad, 2));
    SHOW(read(s[1], (void *)8, 2));
    SHOW(read(s[1], got, 0));
    SHOW(recv(s[1], got, 0, 0));
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}}, w[2] = {{got, 1}, {got + 10, 100}};
    SHOW(writev(s[0], v, 3));
    SHOW(readv(s[1], w, 2));
    show_bytes("iov", got, 12);
    SHOW(writev(s[0], v, 0));
    SHOW(pread(s[1], got, 1, 0));
    SHOW(lseek(s[1], 0, SEEK_SET));
    SHOW(ftruncate(s[1], 0));
    SHOW(fsync(s[1]));
    close(s[0]);
    close(s[1]);
}

static void urgent(void)
{
    int s[2], mark;
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
    SHOW(recv(s[1], got, 10, MSG_OOB));
    SHOW(send(s[0], "abcX", 4, MSG_OOB));
    show_events(s[1]);
    show_queues(s[1]);
    SHOW(ioctl(s[1], SIOCATMARK, &mark));
    SHOW(mark);
    SHOW(recv(s[1], got, 10, MSG_OOB | MSG_PEEK));
    SHOW(recv(s[1], got, 10, 0));
    ioctl(s[1], SIOCATMARK, &mark);
    SHOW(mark);
    SHOW(recv(s[1], got, 10, MSG_OOB));
    SHOW(got[0]);
    SHOW(recv(s[1], got, 10, MSG_OOB));
    SHOW(recv(s[1], got, 10, 0));
    SHOW(send(s[0], "1A", 2, MSG_OOB));
    SHOW(send(s[0], "2B", 2, MSG_OOB));
    SHOW(send(s[0], "3", 1, 0));
    for (int i = 0; i < 4; i++) {
        memset(got, 0, 8);
        SHOW(recv(s[1], got, 10, 0));
        NOTE("%s", got);
    }
    SHOW(set_option(s[1], SO_OOBINLINE, 1));
    SHOW(send(s[0], "xyZ", 3, MSG_OOB));
    SHOW(recv(s[1], got, 10, MSG_OOB));
    SHOW(recv(s[1], got, 10, 0));
    SHOW(recv(s[1], got, 10, 0));
    SHOW(send(s[0], "", 0, MSG_OOB));
    close(s[0]);
    close(s[1]);
}

static void moving(void)
{
    int s[2], p[2];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
    make_file("text", "some text of a file");
    int fd = open("text", O_RDONLY);
    off_t at = 5;
    SHOW(sendfile(s[0], fd, &at, 100));
    SHOW(at);
    SHOW(read(s[1], got, 100));
    show_bytes("sent", got, 14);
    pipe(p);
    write(p[1], "through a pipe", 14);
    SHOW(splice(p[0], NULL, s[0], NULL, 100, SPLICE_F_NONBLOCK));
    SHOW(splice(s[1], NULL, p[1], NULL, 7, SPLICE_F_NONBLOCK));
    SHOW(read(p[0], got, 100));
    SHOW(splice(s[1], NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK));
    SHOW(splice(s[1], NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK));
    SHOW(read(p[0], got, 100));
    show_bytes("spliced", got, 7);
    SHOW(sendfile(fd, s[1], NULL, 10));
    unlink("text");
}

int main(void)
{
    signal(SIGPIPE, on_pipe);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i * 7 + i / 1000;
    buffers();
    ends();
    waiting();
    peeking();
    urgent();
    moving();
}

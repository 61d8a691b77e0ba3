// dup, fcntl, close_range, limits on descriptors, ioctl on files and pipes.
#include "show.h"
#include <sys/ioctl.h>
#include <termios.h>

static void open_ones(void)
{
    printf("open:");
    for (int fd = 0; fd < 200; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0)
            printf(" %d%s", fd, flags ? "c" : "");
    }
    printf("\n");
}

int main(void)
{
    char data[16];
    make_file("file", "0123456789");
    int fd = SHOW(open("file", O_RDWR));
    int two = SHOW(dup(fd));
    SHOW(read(fd, data, 3));
    SHOW(lseek(two, 0, SEEK_CUR));
    SHOW(dup2(fd, 10));
    SHOW(dup2(fd, fd));
    SHOW(dup2(99, 99));
    SHOW(dup2(99, 5));
    SHOW(dup2(fd, -1));
    SHOW(dup2(fd, 100000000));
    SHOW(dup3(fd, 11, O_CLOEXEC));
    SHOW(dup3(fd, fd, 0));
    SHOW(dup3(fd, 12, O_APPEND));
    SHOW(dup(99));
    SHOW(dup(-1));
    SHOW(fcntl(fd, F_DUPFD, 50));
    SHOW(fcntl(fd, F_DUPFD, 50));
    SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 60));
    SHOW(fcntl(fd, F_DUPFD, -1));
    SHOW(fcntl(fd, F_DUPFD, 100000000));
    open_ones();
    SHOW(fcntl(fd, F_SETFD, 1));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(two, F_GETFD));
    SHOW(fcntl(fd, F_SETFD, 6));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL));
    SHOW(fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND | O_TRUNC | O_WRONLY));
    SHOW(fcntl(two, F_GETFL));
    SHOW(fcntl(fd, F_SETFL, 0));
    SHOW(fcntl(fd, F_GETFL));
    SHOW(fcntl(fd, 9999));
    SHOW(fcntl(99, F_GETFD));
    SHOW(fcntl(fd, F_GETOWN));
    SHOW(fcntl(fd, F_GETSIG));
    SHOW(fcntl(fd, F_GETLEASE));
    SHOW(fcntl(fd, F_GETPIPE_SZ));
    SHOW(fcntl(fd, F_GET_SEALS));
    int pipes[2];
    SHOW(pipe2(pipes, O_CLOEXEC | O_NONBLOCK));
    NOTE("%d %d", pipes[0], pipes[1]);
    SHOW(fcntl(pipes[0], F_GETFL));
    SHOW(fcntl(pipes[1], F_GETFL));
    SHOW(fcntl(pipes[1], F_GETPIPE_SZ));
    SHOW(fcntl(pipes[1], F_SETPIPE_SZ, 5000));
    SHOW(fcntl(pipes[1], F_SETPIPE_SZ, 0));
    SHOW(pipe2(pipes, 1));
    open_ones();
    SHOW(syscall(SYS_close_range, 50, 51, 4));
    open_ones();
    SHOW(syscall(SYS_close_range, 50, 51, 0));
    SHOW(syscall(SYS_close_range, 9, 3, 0));
    SHOW(syscall(SYS_close_range, 3, 9, 8));
    open_ones();
    SHOW(syscall(SYS_close_range, 11, ~0U, 0));
    open_ones();
    SHOW(close(3));
    SHOW(close(3));
    SHOW(close(-1));
    struct rlimit limit = {6, 1024};
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    open_ones();
    SHOW(open("file", O_RDONLY));
    SHOW(open("file", O_RDONLY));
    SHOW(pipe(pipes));
    SHOW(dup(0));
    SHOW(dup2(0, 6));
    SHOW(dup2(0, 5));
    SHOW(fcntl(0, F_DUPFD, 6));
    limit.rlim_cur = 100;
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    SHOW(dup2(0, 99));
    SHOW(dup2(0, 100));

    fd = open("file", O_RDWR);
    int n = -1;
    struct termios t;
    struct winsize w;
    lseek(fd, 4, SEEK_SET);
    SHOW(ioctl(fd, FIONREAD, &n));
    NOTE("%d", n);
    n = 1;
    SHOW(ioctl(fd, FIONBIO, &n));
    SHOW(fcntl(fd, F_GETFL));
    SHOW(ioctl(fd, FIOCLEX));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(ioctl(fd, FIONCLEX));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(ioctl(fd, TCGETS, &t));
    SHOW(ioctl(fd, TIOCGWINSZ, &w));
    SHOW(ioctl(fd, 0x12345678, &w));
    SHOW(ioctl(99, TCGETS, &t));
    SHOW(ioctl(0, TCGETS, &t));
    SHOW(isatty(1));
    pipe(pipes);
    write(pipes[1], "abc", 3);
    SHOW(ioctl(pipes[0], FIONREAD, &n));
    NOTE("%d", n);
    SHOW(ioctl(pipes[0], TCGETS, &t));
    SHOW(ioctl(pipes[0], FIONREAD, 8));
    SHOW(ioctl(open(".", O_RDONLY), FIONREAD, &n));
    SHOW(ioctl(open(".", O_RDONLY), TCGETS, &t));
    return 0;
}

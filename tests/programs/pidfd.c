/* Process descriptors: what they are, signals, waiting and polling through them, descriptors of other processes. */
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif
#define PIDFD_THREAD O_EXCL
#define pidfd_open(pid, flags) syscall(SYS_pidfd_open, pid, flags)
#define pidfd_send_signal(fd, signo, info, flags) syscall(SYS_pidfd_send_signal, fd, signo, info, flags)
#define pidfd_getfd(fd, other, flags) syscall(SYS_pidfd_getfd, fd, other, flags)

static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return pid;
}

/* The lines of /proc/self/fdinfo/FD that name a process. */
static void fdinfo(int fd, pid_t pid)
{
    char path[64], line[200], key[64];
    int number;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *f = fopen(path, "r");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%[^:]: %d", key, &number) == 2 && strstr(key, "id") && strcmp(key, "mnt_id"))
            NOTE("%s: %s", key, number == pid ? "its number" : number == -1 ? "-1" : "another");
    fclose(f);
}

static void shape(void)
{
    struct stat st, other;
    struct statfs fs;
    char target[100] = "", path[64];
    pid_t pid = sleeper();
    int fd = pidfd_open(pid, 0);
    SHOW(fd);
    SHOW(fcntl(fd, F_GETFL));
    SHOW(fcntl(fd, F_GETFD));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    SHOW(readlink(path, target, sizeof target));
    NOTE("%s", target);
    fdinfo(fd, pid);
    SHOW(fstat(fd, &st));
    NOTE("%o %lu %ld", st.st_mode, st.st_nlink, st.st_size);
    SHOW(fstatfs(fd, &fs));
    NOTE("%lx", fs.f_type);
    int second = pidfd_open(pid, PIDFD_NONBLOCK);
    SHOW(fcntl(second, F_GETFL));
    fstat(second, &other);
    NOTE("same inode %d", st.st_ino == other.st_ino);
    int self = pidfd_open(getpid(), 0);
    fstat(self, &other);
    NOTE("same inode %d", st.st_ino == other.st_ino);
    SHOW(fcntl(pidfd_open(getpid(), PIDFD_THREAD), F_GETFL));
    SHOW(pidfd_open(pid, 1));
    SHOW(pidfd_open(0, 0));
    SHOW(pidfd_open(-1, 0));
    SHOW(pidfd_open(1 << 22, 0));
    SHOW(read(fd, target, 1));
    SHOW(write(fd, target, 1));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(ftruncate(fd, 0));
    SHOW((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    SHOW(fchmod(fd, 0));
    SHOW(fchown(fd, 1, 1));
    SHOW(futimens(fd, NULL));
    SHOW(fsync(fd));
    SHOW(open(path, O_RDONLY));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void ends(void)
{
    pid_t pid = sleeper();
    int fd = pidfd_open(pid, 0), quick = pidfd_open(pid, PIDFD_NONBLOCK);
    struct pollfd poller = {fd, POLLIN | POLLOUT | POLLRDNORM};
    struct timeval none = {0};
    fd_set set;
    siginfo_t info;
    SHOW(poll(&poller, 1, 0));
    SHOW(waitid(P_PIDFD, quick, &info, WEXITED));
    SHOW(waitid(P_PIDFD, quick, &info, WEXITED | WNOHANG));
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));
    SHOW(waitid(P_PIDFD, 0, &info, WEXITED));
    SHOW(waitid(P_PIDFD, 77, &info, WEXITED));
    SHOW(waitid(P_PIDFD, -1, &info, WEXITED));
    SHOW(pidfd_getfd(fd, 1, 0));
    SHOW(pidfd_send_signal(fd, SIGKILL, NULL, 0));
    SHOW(poll(&poller, 1, -1));
    NOTE("revents %x", poller.revents);
    struct epoll_event watched = {EPOLLIN | EPOLLHUP}, seen = {0};
    int ep = epoll_create1(0);
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &watched));
    SHOW(epoll_wait(ep, &seen, 1, 0));
    NOTE("events %x", seen.events);
    close(ep);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    SHOW(select(fd + 1, &set, NULL, NULL, &none));
    SHOW(pidfd_send_signal(fd, 0, NULL, 0));
    SHOW(pidfd_getfd(fd, 1, 0));
    fdinfo(fd, pid);
    SHOW(close(pidfd_open(pid, 0)));
    SHOW(waitid(P_PIDFD, quick, &info, WEXITED));
    NOTE("%d %d %d", info.si_pid == pid, info.si_code, info.si_status);
    SHOW(poll(&poller, 1, -1));
    NOTE("revents %x", poller.revents);
    fdinfo(fd, pid);
    SHOW(pidfd_send_signal(fd, 0, NULL, 0));
    SHOW(pidfd_getfd(fd, 1, 0));
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    SHOW(pidfd_open(pid, 0));
    int self = pidfd_open(getpid(), 0);
    SHOW(waitid(P_PIDFD, self, &info, WEXITED));
    /* A child that ends while its parent sleeps in poll */
    if (!(pid = fork())) {
        usleep(20000);
        _exit(3);
    }
    poller.fd = fd = pidfd_open(pid, 0);
    SHOW(poll(&poller, 1, 10000));
    NOTE("revents %x", poller.revents);
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    NOTE("%d %d", info.si_code, info.si_status);
}

static volatile int got, code, value, mine;

static void handler(int signo, siginfo_t *info, void *context)
{
    got = signo, code = info->si_code, value = info->si_value.sival_int, mine = info->si_pid == getpid();
}

static void signals(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    pid_t pid = sleeper();
    int other = pidfd_open(pid, 0), self = pidfd_open(getpid(), 0);
    sigaction(SIGUSR1, &action, NULL);
    SHOW(pidfd_send_signal(self, SIGUSR1, NULL, 0));
    NOTE("%d code %d from me %d", got, code, mine);
    SHOW(pidfd_send_signal(self, SIGUSR1, NULL, 1));
    NOTE("%d code %d from me %d", got, code, mine);
    info.si_value.sival_int = 42;
    SHOW(pidfd_send_signal(self, SIGUSR1, &info, 2));
    NOTE("%d code %d value %d", got, code, value);
    info.si_code = SI_USER;
    SHOW(pidfd_send_signal(self, SIGUSR1, &info, 0));
    SHOW(pidfd_send_signal(other, SIGUSR1, &info, 0));
    info.si_code = SI_TKILL;
    SHOW(pidfd_send_signal(other, SIGUSR1, &info, 0));
    SHOW(pidfd_send_signal(other, SIGUSR2, &info, 0));
    SHOW(pidfd_send_signal(other, SIGUSR2, (void *)8, 0));
    SHOW(pidfd_send_signal(other, 65, NULL, 0));
    SHOW(pidfd_send_signal(other, 0, NULL, 3));
    SHOW(pidfd_send_signal(other, 0, NULL, 8));
    SHOW(pidfd_send_signal(other, 0, NULL, 4)); /* leads no group */
    SHOW(pidfd_send_signal(0, 0, NULL, 0));
    SHOW(pidfd_send_signal(99, 0, NULL, 0));
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", pid);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    SHOW(pidfd_send_signal(directory, 0, NULL, 0));
    SHOW(setpgid(pid, pid));
    SHOW(pidfd_send_signal(other, SIGTERM, NULL, 4));
    int status;
    waitpid(pid, &status, 0);
    NOTE("status %x", status);
    SHOW(pidfd_send_signal(directory, 0, NULL, 0));
}

static void descriptors(void)
{
    int ends[2], back[2], plain, here;
    char byte;
    pipe(ends);
    pipe(back);
    pid_t pid = fork();
    if (!pid) {
        plain = open("made", O_RDWR | O_CREAT, 0644);
        dup2(plain, 50);
        write(50, "hello", 5);
        write(ends[1], "x", 1);
        read(back[0], &byte, 1);
        _exit(lseek(50, 0, SEEK_CUR));
    }
    int fd = pidfd_open(pid, 0), self = pidfd_open(getpid(), 0), status;
    read(ends[0], &byte, 1);
    SHOW(pidfd_getfd(fd, 50, 1));
    SHOW(pidfd_getfd(fd, 99, 0));
    SHOW(pidfd_getfd(fd, -1, 0));
    SHOW(pidfd_getfd(0, 50, 0));
    SHOW(pidfd_getfd(99, 50, 0));
    here = pidfd_getfd(fd, 50, 0);
    SHOW(fcntl(here, F_GETFD));
    SHOW(lseek(here, 0, SEEK_CUR));
    SHOW(write(here, "there", 5));
    int own = pidfd_getfd(self, here, 0);
    SHOW(lseek(own, 0, SEEK_CUR));
    write(back[1], "x", 1);
    waitpid(pid, &status, 0);
    SHOW(WEXITSTATUS(status));
    unlink("made");
    if (geteuid() == 0) {
        /* Another user may signal neither nor take descriptors. */
        pid_t target = sleeper();
        fd = pidfd_open(target, 0);
        if (!(pid = fork())) {
            setresuid(1000, 1000, 1000);
            SHOW(pidfd_getfd(fd, 0, 0));
            SHOW(pidfd_send_signal(fd, SIGTERM, NULL, 0));
            SHOW(pidfd_open(target, 0) > 0);
            fflush(stdout);
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        kill(target, SIGKILL);
        waitpid(target, NULL, 0);
    }
}

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static void clones(void)
{
    int fd = -1, number = -1;
    siginfo_t info;
    pid_t pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, 0);
    if (!pid)
        _exit(fd == -1 ? 3 : 4);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL));
    fdinfo(fd, pid);
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    SHOW(info.si_status);
    close(fd);
    int before = dup(0);
    close(before);
    SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &fd, NULL, 0));
    SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, NULL, &fd, NULL, 0));
    SHOW(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, 8, NULL, 0));
    SHOW(wait(NULL));
    SHOW(dup(0) - before);
    struct clone3_args args = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .pidfd = (uint64_t)&fd, .exit_signal = SIGCHLD};
    args.parent_tid = (uint64_t)&fd;
    SHOW(syscall(SYS_clone3, &args, sizeof args));
    args.parent_tid = (uint64_t)&number;
    pid = syscall(SYS_clone3, &args, sizeof args);
    if (!pid)
        _exit(7);
    NOTE("number %d", number == pid);
    fdinfo(fd, pid);
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    SHOW(info.si_status);
}

/* A process that has the number of one that has ended is another. */
static void reused(void)
{
    char text[32];
    int status, fd = -1, again = 0;
    pid_t first = -1, second = -1;
    int last = open("/proc/sys/kernel/ns_last_pid", O_RDWR);
    for (int attempt = 0; attempt < 1000 && !again; attempt++) { /* somebody else may get the number */
        close(fd);
        first = sleeper();
        fd = pidfd_open(first, 0);
        kill(first, SIGKILL);
        waitpid(first, NULL, 0);
        int size = snprintf(text, sizeof text, "%d", first - 1);
        if (pwrite(last, text, size, 0) != size)
            die("ns_last_pid");
        second = sleeper();
        again = first == second;
        if (!again) {
            kill(second, SIGKILL);
            waitpid(second, NULL, 0);
        }
    }
    NOTE("the same number %d", again);
    SHOW(pidfd_send_signal(fd, SIGKILL, NULL, 0));
    siginfo_t info;
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));
    int other = pidfd_open(second, 0);
    SHOW(pidfd_send_signal(other, SIGTERM, NULL, 0));
    NOTE("%d", waitpid(second, &status, 0) == second && WTERMSIG(status) == SIGTERM);
    SHOW(pwrite(last, "-1", 2, 0));
    SHOW(pwrite(last, "x", 1, 0));
    SHOW(pwrite(last, "99999999", 8, 0));
    close(fd);
    close(other);
    close(last);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    shape();
    ends();
    signals();
    descriptors();
    clones();
    reused();
}

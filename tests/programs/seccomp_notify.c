// Calls that another process decides about, seccomp_unotify(2): taking, answering, giving descriptors, ends of either.
#include "seccomp.h"
#include <poll.h>
#include <sys/epoll.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

static int both[2]; /* a pipe between the two */

static int listen_to(int call, unsigned flags)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return ANSWER(SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, call, SECCOMP_RET_USER_NOTIF);
}

static void events(int fd, const char *when)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    int n = poll(&p, 1, 0);
    NOTE("%s: poll %d %x", when, n, p.revents);
}

static struct seccomp_notif got;

static long receive(int fd)
{
    memset(&got, 0, sizeof got);
    long r = ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &got);
    if (!r)
        NOTE("call %d arch %x args %llx %llx %llx flags %x", got.data.nr, got.data.arch, got.data.args[0], got.data.args[1],
             got.data.args[5], got.flags);
    return r;
}

static long answer(int fd, long val, int error, unsigned flags)
{
    struct seccomp_notif_resp r = {got.id, val, error, flags};
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static long add(int fd, unsigned flags, int source, int target, unsigned fd_flags)
{
    struct seccomp_notif_addfd a = {got.id, flags, source, target, fd_flags};
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}

/* A child makes the calls; `fd` is its listener. */
static pid_t child(int fd, void (*what)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        close(fd);
        what();
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    show_status(status);
}

/* The child's results go through the pipe, so that the parent prints all. */
static void say(long result)
{
    long pair[2] = {result, errno};
    write(both[1], pair, sizeof pair);
}

static void heard(void)
{
    long pair[2];
    if (read(both[0], pair, sizeof pair) == sizeof pair)
        NOTE("  child: %ld %s", pair[0], pair[0] < 0 ? errno_name(pair[1]) : "");
}

static void four_calls(void)
{
    for (int i = 0; i < 4; i++)
        say(syscall(SYS_getpgid, 0x1122334455667788, i, 0, 0, 0, 7));
}

static void handler(int signo)
{
    (void)signo;
}

static void interrupted(void)
{
    struct sigaction act = {.sa_handler = handler};
    sigaction(SIGUSR1, &act, NULL);
    say(syscall(SYS_getpgid, 5, 0, 0, 0, 0, 0));
    act.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &act, NULL);
    say(syscall(SYS_getpgid, 6, 0, 0, 0, 0, 0));
}

static void one_call(void)
{
    say(syscall(SYS_getpgid, 9, 0, 0, 0, 0, 0));
}

static void look_at_fd(void)
{
    long fd = syscall(SYS_getpgid, 1, 0, 0, 0, 0, 0);
    say(fcntl(fd, F_GETFD));
    say(write(fd, "by the child\n", 13));
    say(syscall(SYS_getpgid, 2, 0, 0, 0, 0, 0));
    say(fcntl(77, F_GETFD));
}

static void wait_until(pid_t pid, char state)
{
    char path[64], text[512], *after;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    do {
        int fd = open(path, O_RDONLY);
        long n = read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = 0;
        after = strrchr(text, ')');
    } while (!after || after[2] != state);
}

int main(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    pipe(both);
    int fd = listen_to(SYS_getpgid, 0);
    SHOW(fd >= 0);
    SHOW(fcntl(fd, F_GETFD)); SHOW(fcntl(fd, F_GETFL));
    char link[64] = "", path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    readlink(path, link, sizeof link - 1);
    NOTE("%s", link);
    SHOW((int)read(fd, link, 1)); SHOW((int)write(fd, link, 1)); SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(ANSWER(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_getsid, SECCOMP_RET_USER_NOTIF));
    SHOW(ioctl(fd, 0x1234, 0)); SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 2)); SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1));
    SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, NULL)); SHOW(answer(fd, 0, 0, 0)); SHOW(answer(fd, 0, 0, 2));
    SHOW(answer(fd, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE)); SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &got.id));
    SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, NULL)); SHOW(add(fd, 0, 1, 0, 0)); SHOW(add(fd, 4, 1, 0, 0)); SHOW(add(fd, 0, 1, 5, 0));
    struct { struct seccomp_notif_addfd known; char more[8]; } longer = {.more = {1}};
    SHOW(ioctl(fd, SECCOMP_IOWR(3, longer), &longer)); SHOW(ioctl(fd, SECCOMP_IO(3), &longer)); longer.more[0] = 0;
    SHOW(ioctl(fd, SECCOMP_IOR(3, longer), &longer));
    SHOW(add(fd, 0, 999, 0, 0)); SHOW(add(fd, 0, 1, 0, 1)); SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, NULL));
    memset(&got, 1, sizeof got);
    SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &got));
    events(fd, "idle");

    NOTE("answers");
    pid_t pid = child(fd, four_calls);
    SHOW(receive(fd)); NOTE("its pid %d", got.pid == pid); events(fd, "taken");
    SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &got.id));
    SHOW(answer(fd, 4711, 0, 0)); heard(); SHOW(answer(fd, 1, 0, 0));
    SHOW(receive(fd)); SHOW(answer(fd, 4711, -EXDEV, 0)); heard();
    struct pollfd wait = {fd, POLLIN, 0};
    SHOW(poll(&wait, 1, -1)); NOTE("revents %x", wait.revents);
    SHOW(receive(fd)); SHOW(answer(fd, -77, 0, 0)); heard();
    SHOW(receive(fd)); SHOW(answer(fd, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE)); heard();
    SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &got.id));
    end(pid);

    NOTE("a signal comes while nobody has answered");
    pid = child(fd, interrupted);
    SHOW(receive(fd));
    wait_until(pid, 'S');
    kill(pid, SIGUSR1); heard(); SHOW(answer(fd, 1, 0, 0)); SHOW(receive(fd));
    unsigned long long first = got.id;
    wait_until(pid, 'S');
    kill(pid, SIGUSR1); SHOW(receive(fd)); NOTE("another id %d", got.id != first); SHOW(answer(fd, 3, 0, 0)); heard();
    end(pid);

    NOTE("it is killed");
    pid = child(fd, one_call);
    SHOW(receive(fd)); kill(pid, SIGKILL); end(pid); SHOW(answer(fd, 1, 0, 0)); events(fd, "afterwards");

    NOTE("descriptors");
    pid = child(fd, look_at_fd);
    SHOW(receive(fd));
    int given = open("given", O_CREAT | O_RDWR, 0644), it;
    SHOW((it = add(fd, 0, given, 0, O_CLOEXEC)) > 2); SHOW(answer(fd, it, 0, 0)); heard(); heard();
    SHOW(receive(fd)); SHOW(add(fd, SECCOMP_ADDFD_FLAG_SETFD, given, 77, 0)); SHOW(add(fd, SECCOMP_ADDFD_FLAG_SETFD, given, 99999999, 0));
    SHOW(add(fd, SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND, 1, 77, O_CLOEXEC)); heard(); heard();
    end(pid);
    show_file("given");

    NOTE("two at once");
    pid = child(fd, one_call);
    pid_t other = child(fd, one_call);
    SHOW(receive(fd)); unsigned long long id = got.id; SHOW(receive(fd)); NOTE("ids differ %d", id != got.id);
    SHOW(answer(fd, 2, 0, 0)); heard(); got.id = id; SHOW(answer(fd, 1, 0, 0)); heard(); end(pid); end(other);

    NOTE("the listener closes");
    pid = child(fd, four_calls);
    SHOW(receive(fd)); close(fd); heard(); heard(); heard(); heard(); end(pid);
    SHOW(syscall(SYS_getpgid, 0));

    NOTE("nobody is left to ask");
    pid = fork();
    if (!pid) {
        say(listen_to(SYS_getsid, 0));
        pause();
    }
    long pair[2];
    read(both[0], pair, sizeof pair);
    int process = syscall(SYS_pidfd_open, pid, 0);
    fd = syscall(SYS_pidfd_getfd, process, pair[0], 0);
    SHOW(fd > 0);
    int ep = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {0}};
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event)); events(fd, "alive");
    kill(pid, SIGKILL); end(pid);
    events(fd, "dead"); SHOW(epoll_wait(ep, &event, 1, -1)); NOTE("%x", event.events); SHOW(receive(fd));

    NOTE("only SIGKILL ends a wait for an answer, once it was taken");
    pid = fork();
    if (!pid) {
        fd = listen_to(SYS_getsid, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
        say(fd);
        struct sigaction act = {.sa_handler = handler};
        sigaction(SIGUSR1, &act, NULL);
        say(syscall(SYS_getsid, 5, 0, 0, 0, 0, 0));
        _exit(0);
    }
    read(both[0], pair, sizeof pair);
    process = syscall(SYS_pidfd_open, pid, 0);
    fd = syscall(SYS_pidfd_getfd, process, pair[0], 0);
    SHOW(receive(fd)); wait_until(pid, 'S'); kill(pid, SIGUSR1); wait_until(pid, 'D'); SHOW(answer(fd, 55, 0, 0)); heard(); end(pid);
    return 0;
}

// cc: -static -pthread
// Waiting on AF_UNIX sockets: poll, select, epoll with edges, several threads, closing under a waiter.
#include "unix.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>

static char data[400000];

static void after(int ms, void (*action)(void *), void *argument)
{
    fflush(stdout);
    if (!fork()) {
        usleep(ms * 1000);
        action(argument);
        _exit(0);
    }
}

static void do_write(void *fd)
{
    write(*(int *)fd, "later", 5);
}

static void do_read(void *fd)
{
    long n = 0, got;
    while ((got = recv(*(int *)fd, data, sizeof data, MSG_DONTWAIT)) > 0)
        n += got;
}

static void do_shutdown(void *fd)
{
    shutdown(*(int *)fd, SHUT_WR);
}

static void do_connect(void *name)
{
    connect_to(socket(AF_UNIX, SOCK_STREAM, 0), name);
}

static void do_accept(void *fd)
{
    accept(*(int *)fd, NULL, NULL);
}

static void wait_for(int fd, int events)
{
    struct pollfd p = {fd, events, 0};
    long r = poll(&p, 1, 10000);
    NOTE("poll for %x: %ld, %x", events, r, p.revents);
    wait(NULL);
}

static void polling(int type)
{
    int s[2];
    NOTE("== %s", type_name(type));
    socketpair(AF_UNIX, type, 0, s);
    after(20, do_write, &s[1]);
    wait_for(s[0], POLLIN);
    after(20, do_write, &s[0]);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(s[1], &set);
    SHOW(select(s[1] + 1, &set, NULL, NULL, NULL));
    wait(NULL);
    while (send(s[0], data, 10000, MSG_DONTWAIT) > 0)
        ;
    FD_ZERO(&set);
    FD_SET(s[0], &set);
    struct timeval none = {0, 0};
    SHOW(select(s[0] + 1, NULL, &set, NULL, &none));
    after(20, do_read, &s[1]);
    wait_for(s[0], POLLOUT);
    after(20, do_shutdown, &s[1]);
    if (type != SOCK_DGRAM) {
        wait_for(s[0], POLLIN | POLLRDHUP);
        after(20, do_shutdown, &s[0]);
        wait_for(s[0], 0);
    }
    wait(NULL);
    close(s[0]);
    close(s[1]);
}

static int ep;

static void edges(const char *what)
{
    struct epoll_event e[4];
    int n = epoll_wait(ep, e, 4, 0);
    printf("%s:", what);
    for (int i = 0; i < n; i++)
        printf(" %d=%x", e[i].data.fd, e[i].events);
    putchar('\n');
}

static void triggered(int type)
{
    int s[2];
    NOTE("== edges, %s", type_name(type));
    socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s);
    ep = epoll_create1(0);
    struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET | EPOLLPRI, {.fd = 1}};
    epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e);
    edges("new");
    edges("nothing");
    write(s[1], "a", 1);
    edges("data");
    edges("nothing");
    write(s[1], "b", 1);
    edges("more data");
    read(s[0], data, 1);
    edges("read");
    write(s[0], "x", 1);
    edges("wrote");
    read(s[1], data, 1);
    edges("peer read");
    while (write(s[0], data, 20000) > 0)
        ;
    edges("filled");
    read(s[1], data, 20000);
    edges("peer read some");
    while (read(s[1], data, sizeof data) > 0)
        ;
    edges("peer read all");
    if (type == SOCK_STREAM) {
        send(s[1], "u", 1, MSG_OOB);
        edges("urgent");
        recv(s[0], data, 1, MSG_OOB);
        edges("received");
    }
    shutdown(s[1], SHUT_WR);
    edges("peer shut down");
    shutdown(s[0], SHUT_WR);
    edges("shut down");
    close(s[1]);
    edges("peer closed");
    close(s[0]);
    edges("closed");
    close(ep);
}

static void listening(void)
{
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    bind_to(s, "@lxrun-test-poll");
    listen(s, 0);
    after(20, do_connect, "@lxrun-test-poll");
    wait_for(s, POLLIN | POLLOUT);
    after(20, do_accept, &s);
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(connect_to(c, "@lxrun-test-poll"));
    wait(NULL);
    ep = epoll_create1(0);
    struct epoll_event e = {EPOLLIN | EPOLLET, {.fd = 2}};
    epoll_ctl(ep, EPOLL_CTL_ADD, s, &e);
    edges("pending");
    accept(s, NULL, NULL);
    edges("accepted");
    int d = socket(AF_UNIX, SOCK_STREAM, 0);
    connect_to(d, "@lxrun-test-poll");
    edges("another");
    close(ep);
    close(s);
    close(c);
    close(d);
}

static int listener, pair[2];

static void *acceptor(void *unused)
{
    int fd = accept(listener, NULL, NULL);
    char c = 0;
    read(fd, &c, 1);
    close(fd);
    return (void *)(long)c;
}

static void *reader(void *unused)
{
    char c = 0;
    long n = read(pair[0], &c, 1);
    return (void *)(n * 1000 + c);
}

static void threads(void)
{
    pthread_t t[4];
    long sum = 0;
    void *result;
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    bind_to(listener, "@lxrun-test-threads");
    listen(listener, 10);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, acceptor, NULL);
    usleep(20000);
    for (int i = 0; i < 4; i++) {
        int c = socket(AF_UNIX, SOCK_STREAM, 0);
        connect_to(c, "@lxrun-test-threads");
        char number = 1 << i;
        write(c, &number, 1);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &result);
        sum += (long)result;
    }
    NOTE("sum %ld", sum);
    /* a descriptor closed under a waiting thread: the read goes on */
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    pthread_create(&t[0], NULL, reader, NULL);
    usleep(20000);
    SHOW(close(pair[0]));
    usleep(20000);
    SHOW(write(pair[1], "*", 1));
    pthread_join(t[0], &result);
    NOTE("reader: %ld", (long)result);
    SHOW(write(pair[1], "*", 1));
    close(pair[1]);
    /* shutdown wakes it */
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    pthread_create(&t[0], NULL, reader, NULL);
    usleep(20000);
    SHOW(shutdown(pair[0], SHUT_RD));
    pthread_join(t[0], &result);
    NOTE("reader: %ld", (long)result);
    usleep(20000);
    pthread_create(&t[0], NULL, acceptor, NULL);
    usleep(20000);
    SHOW(shutdown(listener, SHUT_RDWR));
    pthread_join(t[0], &result);
    NOTE("acceptor: %ld", (long)result);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 3; i++)
        polling(types[i]);
    for (int i = 0; i < 3; i++)
        triggered(types[i]);
    listening();
    threads();
}

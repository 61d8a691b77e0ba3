// inotify: every event, watches and their flags, the queue; on the host's filesystem and on tmpfs.
#include "show.h"
#include <dirent.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif

static int in;

static const char *event_names(uint32_t mask)
{
    static char text[256];
    static const char *names[] = {"ACCESS", "MODIFY", "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN", "MOVED_FROM", "MOVED_TO",
                                  "CREATE", "DELETE", "DELETE_SELF", "MOVE_SELF", "", "UNMOUNT", "Q_OVERFLOW", "IGNORED"};
    text[0] = 0;
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            strcat(text, " "), strcat(text, names[i]);
    if (mask & IN_ISDIR)
        strcat(text, " ISDIR");
    if (mask & 0x1fff0000)
        strcat(text, " ?");
    return text;
}

/* Everything in the queue.  Cookies are numbered in order of appearance. */
static void drain(const char *what)
{
    static uint32_t cookies[64];
    static int known;
    char data[8192];
    long n;
    NOTE("%s:", what);
    while ((n = read(in, data, sizeof data)) > 0)
        for (long at = 0; at < n;) {
            struct inotify_event *e = (void *)(data + at);
            int c = 0;
            if (e->cookie) {
                while (c < known && cookies[c] != e->cookie)
                    c++;
                if (c == known && known < 64)
                    cookies[known++] = e->cookie;
                c++;
            }
            printf("  %d%s", e->wd, event_names(e->mask));
            if (c)
                printf(" cookie %d", c);
            if (e->len)
                printf(" [%u] %s", e->len, e->name);
            printf("\n");
            for (uint32_t i = strnlen(e->name, e->len); i < e->len; i++)
                if (e->name[i])
                    NOTE("  padding %u", i);
            at += sizeof *e + e->len;
        }
    if (n < 0 && errno != EAGAIN)
        NOTE("  %s", errno_name(errno));
}

#define DO(call) \
    do { \
        if ((long)(call) < 0) \
            NOTE("%s: %s", #call, errno_name(errno)); \
        drain(#call); \
    } while (0)

static void errors(void)
{
    int p[2];
    NOTE("-- errors");
    SHOW(inotify_init1(1));
    int fd = inotify_init();
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL));
    close(fd);
    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL));
    char path[64], link[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    show_bytes("link", link, readlink(path, link, sizeof link));
    SHOW(read(fd, path, 64));
    SHOW(read(fd, path, 0));
    SHOW(write(fd, path, 64));
    SHOW(lseek(fd, 0, SEEK_SET));
    pipe(p);
    mkdir("e", 0755);
    symlink("e", "elink");
    symlink("nowhere", "dangling");
    make_file("ef", "x");
    SHOW(inotify_add_watch(999, "e", IN_CREATE));
    SHOW(inotify_add_watch(p[0], "e", IN_CREATE));
    SHOW(inotify_add_watch(fd, "e", 0));
    SHOW(inotify_add_watch(999, "e", 0));
    SHOW(inotify_add_watch(fd, "e", 0x10000));
    SHOW(inotify_add_watch(fd, "none", IN_CREATE));
    SHOW(inotify_add_watch(fd, "", IN_CREATE));
    SHOW(inotify_add_watch(fd, NULL, IN_CREATE));
    SHOW(inotify_add_watch(fd, "dangling", IN_CREATE));
    SHOW(inotify_add_watch(fd, "ef", IN_CREATE | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "elink", IN_CREATE | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "elink", IN_CREATE | IN_ONLYDIR | IN_DONT_FOLLOW));
    SHOW(inotify_add_watch(fd, "elink", IN_CREATE | IN_DONT_FOLLOW));
    SHOW(inotify_add_watch(fd, "e", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE));
    SHOW(inotify_add_watch(fd, "e", IN_CREATE | IN_MASK_CREATE));
    SHOW(inotify_add_watch(fd, "ef", IN_CREATE | IN_MASK_CREATE));
    SHOW(inotify_add_watch(fd, "ef", IN_ISDIR));
    SHOW(inotify_rm_watch(fd, 77));
    SHOW(inotify_rm_watch(p[0], 1));
    SHOW(inotify_rm_watch(999, 1));
    SHOW(inotify_rm_watch(fd, 1));
    SHOW(inotify_rm_watch(fd, 1));
    SHOW(ioctl(fd, FIONREAD, p));
    NOTE("%d bytes", p[0]);
    SHOW(ioctl(fd, TIOCGWINSZ, link));
    SHOW(read(fd, path, 15));
    SHOW(read(fd, (void *)8, 64));
    SHOW(read(fd, path, 16));
    close(fd);
}

static void events(const char *dir)
{
    char data[64];
    struct timespec times[2] = {{1, 0}, {2, 0}}, only_m[2] = {{0, UTIME_OMIT}, {3, 0}}, only_a[2] = {{4, 0}, {0, UTIME_OMIT}};
    int fd, other;
    NOTE("-- events in %s", dir);
    mkdir(dir, 0755);
    if (chdir(dir))
        die(dir);
    in = inotify_init1(IN_NONBLOCK);
    mkdir("d", 0755);
    SHOW(inotify_add_watch(in, "d", IN_ALL_EVENTS));
    DO(fd = open("d/new", O_RDWR | O_CREAT, 0644));
    DO(write(fd, "hello", 5));
    DO(write(fd, "hello", 5));
    DO(pwrite(fd, "hello", 0, 0));
    DO(pread(fd, data, 5, 0));
    DO(pread(fd, data, 5, 100));
    DO(lseek(fd, 0, SEEK_SET));
    DO(read(fd, data, 64));
    DO(ftruncate(fd, 3));
    DO(fchmod(fd, 0600));
    DO(futimens(fd, times));
    DO(futimens(fd, only_m));
    DO(futimens(fd, only_a));
    DO(fsync(fd));
    DO(posix_fallocate(fd, 0, 10));
    DO(close(fd));
    DO(fd = open("d/new", O_RDONLY));
    DO(dup2(fd, 50));
    DO(close(fd));
    DO(close(50));
    DO(fd = open("d/new", O_WRONLY | O_TRUNC));
    DO(close(fd));
    DO(fd = open("d/new", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    DO(close(fd));
    DO(open("d/new", O_WRONLY | O_CREAT | O_EXCL, 0644));
    DO(close(open("d/new", O_PATH)));
    DO(truncate("d/new", 100));
    DO(chmod("d/new", 0644));
    DO(chown("d/new", -1, -1));
    DO(chown("d/new", getuid(), -1));
    DO(utimensat(AT_FDCWD, "d/new", NULL, 0));
    DO(link("d/new", "d/linked"));
    DO(symlink("new", "d/sym"));
    DO(mkfifo("d/fifo", 0600));
    DO(mknod("d/node", S_IFREG | 0600, 0));
    DO(mkdir("d/sub", 0755));
    DO(close(open("d/sym", O_RDONLY)));
    DIR *list = opendir("d/sub");
    drain("opendir");
    while (readdir(list))
        ;
    drain("readdir");
    closedir(list);
    drain("closedir");
    DO((make_file("d/sub/deep", "x"), 0));
    DO(rename("d/new", "d/renamed"));
    DO(rename("d/renamed", "d/linked"));
    DO(rename("d/linked", "outside"));
    DO((make_file("outside", "more"), 0));
    DO(rename("outside", "d/back"));
    DO(rename("d/sub", "sub"));
    DO(rename("sub", "d/sub2"));
    DO(syscall(SYS_renameat2, AT_FDCWD, "d/back", AT_FDCWD, "d/sub2", 2));
    DO(syscall(SYS_renameat2, AT_FDCWD, "d/back", AT_FDCWD, "d/sub2", 1));
    DO(rename("d/node", "d/renamed"));
    DO(unlink("d/renamed"));
    DO(unlink("d/sym"));
    DO(unlink("d/fifo"));
    DO(unlink("d/back/deep"));
    DO(rmdir("d/back"));
    DO(rmdir("d/none"));
    DO(chmod("d", 0700));
    list = opendir("d");
    drain("opendir of itself");
    closedir(list);
    drain("closedir of itself");
    make_file("a", "0123456789");
    drain("a file beside it");
    fd = open("d/copy", O_RDWR | O_CREAT, 0644);
    other = open("a", O_RDONLY);
    DO(sendfile(fd, other, NULL, 4));
    DO(copy_file_range(other, NULL, fd, NULL, 3, 0));
    close(other);
    close(fd);
    drain("closed");
    DO(unlink("d/copy"));
    DO(unlink("d/sub2"));
    DO(rename("d", "moved"));
    DO((make_file("moved/x", "x"), 0));
    DO(unlink("moved/x"));
    DO(rename("moved", "d"));
    DO(rmdir("d"));
    SHOW(inotify_rm_watch(in, 1));

    NOTE("-- files themselves");
    make_file("f", "text");
    link("f", "g");
    SHOW(inotify_add_watch(in, "f", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(in, "g", IN_ALL_EVENTS));
    DO(unlink("g"));
    fd = open("f", O_RDWR);
    drain("opened");
    DO(unlink("f"));
    DO(write(fd, "x", 1));
    DO(close(fd));
    SHOW(inotify_rm_watch(in, 2));
    make_file("f", "one");
    make_file("g", "two");
    SHOW(inotify_add_watch(in, "f", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(in, "g", IN_ALL_EVENTS));
    DO(rename("f", "g"));
    DO(chmod("g", 0600));
    DO(rename("g", "h"));
    link("h", "h2");
    drain("linked");
    DO(rename("h", "h2"));
    unlink("h2"), unlink("h");
    drain("unlinked");

    NOTE("-- flags");
    mkdir("d", 0755);
    SHOW(inotify_add_watch(in, "d", IN_CREATE));
    SHOW(inotify_add_watch(in, "d", IN_DELETE | IN_MASK_ADD));
    make_file("d/1", "x");
    unlink("d/1");
    drain("create and delete");
    SHOW(inotify_add_watch(in, "d", IN_OPEN));
    make_file("d/1", "x");
    unlink("d/1");
    drain("open only");
    SHOW(inotify_add_watch(in, "d", IN_OPEN | IN_MASK_CREATE));
    SHOW(inotify_add_watch(in, "d", IN_CREATE | IN_ONESHOT));
    make_file("d/1", "x");
    make_file("d/2", "x");
    drain("one shot");
    int wd = SHOW(inotify_add_watch(in, "d", IN_MODIFY | IN_CLOSE | IN_EXCL_UNLINK));
    fd = open("d/1", O_WRONLY);
    DO(write(fd, "x", 1));
    unlink("d/1");
    DO(write(fd, "x", 1));
    SHOW(inotify_add_watch(in, "d", IN_MODIFY | IN_CLOSE));
    DO(write(fd, "x", 1));
    DO(close(fd));
    DO(inotify_rm_watch(in, wd));
    unlink("d/2");
    rmdir("d");

    NOTE("-- an open file that is renamed");
    mkdir("d", 0755);
    SHOW(inotify_add_watch(in, "d", IN_MODIFY | IN_CLOSE | IN_MOVE));
    fd = open("d/tmp", O_WRONLY | O_CREAT, 0600);
    write(fd, "x", 1);
    DO(rename("d/tmp", "d/final"));
    DO(write(fd, "x", 1));
    DO(close(fd));
    unlink("d/final");
    rmdir("d");
    drain("end");
    unlink("a"), unlink("outside");
    close(in);
    chdir("..");
}

static void queue(void)
{
    char name[300], data[64];
    int bytes;
    NOTE("-- the queue");
    in = inotify_init1(IN_NONBLOCK);
    mkdir("q", 0755);
    SHOW(inotify_add_watch(in, "q", IN_CREATE | IN_DELETE));
    for (int length = 14; length <= 17; length++) {
        memset(name, 'n', sizeof name);
        memcpy(name, "q/", 2);
        name[length + 2] = 0;
        make_file(name, "");
        SHOW(ioctl(in, FIONREAD, &bytes));
        NOTE("%d: %d bytes", length, bytes);
        unlink(name);
        drain("named");
    }
    make_file("q/a", ""), make_file("q/b", "");
    SHOW(read(in, data, 31));
    SHOW(read(in, data, 40));
    SHOW(read(in, data, 64));
    unlink("q/a"), unlink("q/b");
    drain("rest");
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = 1}, got;
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, in, &e));
    SHOW(epoll_wait(ep, &got, 1, 0));
    make_file("q/a", "");
    SHOW(epoll_wait(ep, &got, 1, 0));
    SHOW(epoll_wait(ep, &got, 1, 0));
    struct pollfd p = {in, POLLIN | POLLOUT | POLLRDNORM, 0};
    SHOW(poll(&p, 1, 0));
    NOTE("%#x", p.revents);
    drain("polled");
    fcntl(in, F_SETFL, 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        usleep(30000);
        unlink("q/a");
        _exit(0);
    }
    long n = read(in, data, sizeof data);
    struct inotify_event *event = (void *)data;
    NOTE("waited: %ld bytes,%s %s", n, event_names(event->mask), event->name);
    waitpid(child, NULL, 0);
    fcntl(in, F_SETFL, O_NONBLOCK);

    NOTE("-- two instances, two watches");
    int first = in, second = inotify_init1(IN_NONBLOCK);
    make_file("q/f", "x");
    drain("made");
    inotify_add_watch(second, "q", IN_MODIFY | IN_ATTRIB);
    SHOW(inotify_add_watch(second, "q/f", IN_MODIFY | IN_ATTRIB));
    SHOW(inotify_add_watch(first, "q/f", IN_MODIFY));
    int fd = open("q/f", O_WRONLY);
    write(fd, "y", 1);
    fchmod(fd, 0600);
    drain("first");
    in = second;
    drain("second");
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", second);
    int info = open(path, O_RDONLY);
    n = read(info, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    close(info);
    struct stat st;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        int wd;
        unsigned long ino;
        unsigned mask;
        if (sscanf(line, "inotify wd:%x ino:%lx sdev:%*x mask:%x", &wd, &ino, &mask) == 3) {
            stat(wd == 1 ? "q" : "q/f", &st);
            NOTE("wd %d, right inode: %d, mask %x", wd, ino == st.st_ino, mask);
        }
    }
    close(first);
    write(fd, "z", 1);
    drain("second, the first is closed");
    close(fd);
    close(second);

    NOTE("-- overflow");
    in = inotify_init1(IN_NONBLOCK);
    make_file("q/f", "x");
    inotify_add_watch(in, "q/f", IN_MODIFY | IN_ACCESS);
    int limit = 0;
    info = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY);
    n = read(info, text, 32);
    limit = atoi(text);
    NOTE("limit %d", limit);
    fd = open("q/f", O_RDWR);
    for (int i = 0; i < limit / 2 + 10; i++) {
        pwrite(fd, "x", 1, 0);
        pread(fd, text, 1, 0);
    }
    static char all[16384 * 16 + 4096];
    n = read(in, all, sizeof all);
    event = (void *)(all + n - 16);
    NOTE("%ld events, the last: %d%s", n / 16, event->wd, event_names(event->mask));
    drain("empty");
    unlink("q/f");
    rmdir("q");
}

static void programs(void)
{
    NOTE("-- a program that is run");
    in = inotify_init1(IN_NONBLOCK);
    make_file("script", "#!/bin/true\n");
    chmod("script", 0755);
    inotify_add_watch(in, "script", IN_OPEN | IN_CLOSE);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        execl("./script", "script", NULL);
        _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    NOTE("status %x", status);
    drain("run");
}

int main(void)
{
    errors();
    events("host");
    rmdir("host");
    events("/dev/shm/lxrun-test-inotify");
    rmdir("/dev/shm/lxrun-test-inotify");
    chdir("/dev/shm");
    queue();
    programs();
    unlink("script");
    return 0;
}

// Names and connections of AF_UNIX sockets: paths, abstract names, autobind, backlog, errors, stat.
#include "unix.h"
#include <sys/statfs.h>

static void show_names(int fd)
{
    struct sockaddr_un a;
    socklen_t l = sizeof a;
    if (SHOW(getsockname(fd, (void *)&a, &l)) == 0)
        show_name("  own", &a, l);
    l = sizeof a;
    if (SHOW(getpeername(fd, (void *)&a, &l)) == 0)
        show_name("  peer", &a, l);
}

static void making(void)
{
    int s[2];
    SHOW(socket(AF_UNIX, SOCK_RAW, 0));
    OPTION(3, SO_TYPE);
    SHOW(close(3));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 1));
    SHOW(close(3));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 2));
    SHOW(socket(AF_UNIX, SOCK_RDM, 0));
    SHOW(socket(AF_UNIX, 11, 0));
    SHOW(socket(AF_UNIX, SOCK_STREAM | 0x1000, 0));
    SHOW(socket(-1, SOCK_STREAM, 0));
    SHOW(socket(99, 99, 0));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | 0x1000, 0, s));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)8));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s));
    SHOW(fcntl(s[0], F_GETFD));
    SHOW(fcntl(s[1], F_GETFL));
    SHOW(fcntl(s[1], F_SETFL, 0));
    SHOW(fcntl(s[1], F_GETFL));
    struct stat st;
    struct statfs sf;
    SHOW(fstat(s[0], &st));
    NOTE("%o nlink %ld size %ld blksize %ld rdev %ld", st.st_mode, (long)st.st_nlink, (long)st.st_size,
         (long)st.st_blksize, (long)st.st_rdev);
    SHOW(fstatfs(s[0], &sf));
    NOTE("%lx", (long)sf.f_type);
    char link[64] = "", path[64], text[64];
    sprintf(path, "/proc/self/fd/%d", s[0]);
    readlink(path, link, sizeof link);
    sprintf(text, "socket:[%ld]", (long)st.st_ino);
    SHOW(strcmp(link, text));
    SHOW(open(path, O_RDWR));
    SHOW(fchmod(s[0], 0640));
    SHOW(fstat(s[0], &st));
    NOTE("%o", st.st_mode);
    SHOW(fgetxattr(s[0], "system.sockprotoname", text, sizeof text));
    NOTE("%s", text);
    SHOW((int)mmap(NULL, 4096, PROT_READ, MAP_SHARED, s[0], 0) == -1 && errno == ENODEV);
    close(s[0]);
    close(s[1]);
    SHOW(listen(0, 1));
    SHOW(bind(99, NULL, 0));
    SHOW(accept(0, NULL, NULL));
    SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, NULL, NULL));
}

static void binding(int type)
{
    struct sockaddr_un a;
    struct stat st;
    socklen_t l;
    NOTE("== %s", type_name(type));
    int x = socket(AF_UNIX, type, 0), y = socket(AF_UNIX, type, 0);
    show_names(x);
    SHOW(bind_to(x, "x.sock"));
    SHOW(stat("x.sock", &st));
    NOTE("%o", st.st_mode);
    show_names(x);
    SHOW(bind_to(y, "x.sock"));
    SHOW(bind_to(x, "x2.sock"));
    SHOW(stat("x2.sock", &st));
    SHOW(bind_to(x, "@lxrun-test-x"));
    SHOW(bind_to(y, "none/y.sock"));
    SHOW(bind_to(y, "x.sock/y"));
    SHOW(bind_to(y, "y/"));
    SHOW(bind_to(y, "."));
    SHOW(bind_to(y, ""));
    memset(&a, 'n', sizeof a);
    a.sun_family = AF_UNIX;
    SHOW(bind(y, (void *)&a, 0));
    SHOW(bind(y, (void *)&a, 1));
    SHOW(bind(y, (void *)&a, sizeof a + 1));
    SHOW(bind(y, (void *)&a, -1));
    SHOW(bind(y, (void *)8, 10));
    a.sun_family = AF_INET;
    SHOW(bind(y, (void *)&a, 10));
    a.sun_family = AF_UNIX;
    SHOW(bind(y, (void *)&a, sizeof a));
    l = 5;
    memset(&a, 0, sizeof a);
    SHOW(getsockname(y, (void *)&a, &l));
    NOTE("%d %.6s", (int)l, a.sun_path);
    l = sizeof a;
    SHOW(getsockname(y, (void *)8, &l));
    SHOW(getsockname(y, (void *)&a, (void *)8));
    l = -1;
    SHOW(getsockname(y, (void *)&a, &l));
    SHOW(connect_to(y, "missing"));
    make_file("plain", "text");
    SHOW(connect_to(y, "plain"));
    SHOW(connect_to(y, "."));
    SHOW(unlink("plain"));
    SHOW(open("x.sock", O_RDONLY));
    SHOW(rename("x.sock", "moved.sock"));
    SHOW(link("moved.sock", "linked.sock"));
    SHOW(symlink("linked.sock", "symbolic.sock"));
    int z = socket(AF_UNIX, type, 0);
    if (type != SOCK_DGRAM)
        SHOW(connect_to(z, "symbolic.sock"));
    SHOW(listen(z, 5));
    SHOW(listen(x, 1));
    SHOW(connect_to(z, "symbolic.sock"));
    show_names(z);
    SHOW(connect_to(z, "linked.sock"));
    SHOW(listen(z, 5));
    for (int i = 0; i < 3; i++)
        if (types[i] != type) {
            int other = socket(AF_UNIX, types[i], 0);
            SHOW(connect_to(other, "moved.sock"));
            close(other);
        }
    close(x);
    SHOW(connect_to(socket(AF_UNIX, type, 0), "moved.sock"));
    show_names(z);
    SHOW(unlink("moved.sock"));
    SHOW(unlink("linked.sock"));
    SHOW(unlink("symbolic.sock"));
    SHOW(mknod("made", S_IFSOCK | 0666, 0));
    SHOW(connect_to(y, "made"));
    SHOW(unlink("made"));
    /* abstract */
    int p = socket(AF_UNIX, type, 0), q = socket(AF_UNIX, type, 0);
    SHOW(bind_to(p, "@lxrun-test-p"));
    SHOW(bind_to(q, "@lxrun-test-p"));
    SHOW(bind_to(q, "@lxrun-test-pq"));
    SHOW(connect_to(y, "@lxrun-test"));
    show_names(p);
    int other = socket(AF_UNIX, type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM, 0);
    SHOW(connect_to(other, "@lxrun-test-p"));
    SHOW(bind_to(other, "@lxrun-test-p"));
    close(p);
    p = socket(AF_UNIX, type, 0);
    SHOW(bind_to(p, "@lxrun-test-p"));
    /* autobind */
    int r = socket(AF_UNIX, type, 0);
    a.sun_family = AF_UNIX;
    SHOW(bind(r, (void *)&a, 2));
    SHOW(bind(r, (void *)&a, 2));
    l = sizeof a;
    SHOW(getsockname(r, (void *)&a, &l));
    int digits = 0;
    for (int i = 1; i < 6; i++)
        digits += strchr("0123456789abcdef", a.sun_path[i]) != NULL;
    NOTE("length %d, %d, %d digits", (int)l, a.sun_path[0], digits);
    SHOW(bind_to(r, "@other"));
    for (int fd = 3; fd < 40; fd++)
        close(fd);
}

static void connecting(int type)
{
    struct sockaddr_un a;
    socklen_t l = sizeof a;
    char text[10];
    NOTE("== %s", type_name(type));
    int s = socket(AF_UNIX, type, 0);
    SHOW(accept(s, NULL, NULL));
    SHOW(listen(s, 1));
    SHOW(bind_to(s, "s.sock"));
    SHOW(accept(s, NULL, NULL));
    SHOW(listen(s, 1));
    SHOW(listen(s, 1));
    show_events(s);
    OPTION(s, SO_ACCEPTCONN);
    SHOW(connect_to(s, "s.sock"));
    SHOW(write(s, "x", 1));
    SHOW(read(s, text, 1));
    int in;
    SHOW(ioctl(s, SIOCINQ, &in));
    int c[4];
    for (int i = 0; i < 4; i++) {
        c[i] = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
        show_events(c[i]);
        label(connect_to(c[i], "s.sock"), "connect %d", i);
        show_events(c[i]);
    }
    show_events(s);
    SHOW(write(c[0], "early", 5));
    struct timeval tv = {0, 50000};
    int late = socket(AF_UNIX, type, 0);
    setsockopt(late, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    SHOW(connect_to(late, "s.sock"));
    tv.tv_usec = 0;
    setsockopt(late, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    pid_t child = fork();
    if (!child) {
        usleep(50000);
        int d = accept(s, NULL, NULL);
        write(d, "hello", 5);
        read(d, text, 10);
        _exit(0);
    }
    SHOW(connect_to(late, "s.sock"));
    wait(NULL);
    SHOW(read(c[0], text, 10));
    SHOW(read(c[0], text, 10));
    SHOW(bind_to(c[1], "@lxrun-test-c1"));
    SHOW(accept4(s, (void *)&a, &l, 0x1000));
    int d = SHOW(accept4(s, (void *)&a, &l, SOCK_CLOEXEC | SOCK_NONBLOCK));
    show_name("  accepted", &a, l);
    show_names(d);
    show_names(c[1]);
    SHOW(fcntl(d, F_GETFD));
    SHOW(fcntl(d, F_GETFL));
    SHOW(bind_to(d, "d.sock"));
    SHOW(connect_to(d, "s.sock"));
    SHOW(connect_to(c[1], "s.sock"));
    l = 2;
    int e = SHOW(accept(s, (void *)&a, &l));
    NOTE("%d", (int)l);
    SHOW(fcntl(s, F_SETFL, O_NONBLOCK));
    SHOW(accept(s, NULL, NULL));
    SHOW(connect_to(c[2], "s.sock"));
    SHOW(accept(s, (void *)8, &l));
    SHOW(read(c[2], text, 1));
    /* a listener that goes away */
    int f = socket(AF_UNIX, type, 0);
    SHOW(connect_to(f, "s.sock"));
    SHOW(send(f, "x", 1, 0));
    SHOW(close(s));
    show_events(f);
    OPTION(f, SO_ERROR);
    SHOW(read(f, text, 1));
    SHOW(send(f, "x", 1, MSG_NOSIGNAL));
    SHOW(connect_to(f, "s.sock"));
    SHOW(unlink("s.sock"));
    /* a listener that was shut down */
    s = socket(AF_UNIX, type, 0);
    bind_to(s, "@lxrun-test-s");
    listen(s, 0);
    SHOW(shutdown(s, SHUT_RD));
    show_events(s);
    SHOW(accept(s, NULL, NULL));
    f = socket(AF_UNIX, type, 0);
    SHOW(connect_to(f, "@lxrun-test-s"));
    for (int fd = 3; fd < 40; fd++)
        close(fd);
}

static void rights(void)
{
    if (geteuid())
        return;
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    umask(0);
    SHOW(fchmod(s, 0600));
    SHOW(bind_to(s, "private.sock"));
    struct stat st;
    stat("private.sock", &st);
    NOTE("%o", st.st_mode);
    listen(s, 5);
    fflush(stdout);
    if (!fork()) {
        setgid(12345);
        setuid(12345);
        SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "private.sock"));
        SHOW(bind_to(socket(AF_UNIX, SOCK_STREAM, 0), "mine.sock"));
        exit(0);
    }
    wait(NULL);
    SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "private.sock"));
    unlink("private.sock");
}

static void places(void)
{
    /* in memory */
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink("/dev/shm/lxrun-test.sock");
    SHOW(bind_to(s, "/dev/shm/lxrun-test.sock"));
    SHOW(listen(s, 1));
    SHOW(connect_to(c, "/dev/shm/lxrun-test.sock"));
    SHOW(unlink("/dev/shm/lxrun-test.sock"));
    SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "/dev/shm/lxrun-test.sock"));
    SHOW(bind_to(socket(AF_UNIX, SOCK_STREAM, 0), "/proc/x"));
    char line[256];
    unsigned found = 0;
    FILE *f = fopen("/proc/net/unix", "r");
    fgets(line, sizeof line, f);
    fputs(line, stdout);
    while (fgets(line, sizeof line, f)) {
        char *rest = strstr(line, "/dev/shm/lxrun-test.sock");
        unsigned refs, zero, flags, type, state;
        if (rest && sscanf(line, "%*x: %x %x %x %x %x", &refs, &zero, &flags, &type, &state) == 5)
            found += 1 + flags + 16 * state;
    }
    NOTE("%x", found);
    fclose(f);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    making();
    for (int i = 0; i < 3; i++)
        binding(types[i]);
    connecting(SOCK_STREAM);
    connecting(SOCK_SEQPACKET);
    rights();
    places();
}

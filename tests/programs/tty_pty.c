/* The pair itself: names, locks, packet mode, sizes, one end closed, hang-ups. */
#include "pty.h"
#include <sys/statfs.h>

static int m, s;

static void show_node(const char *name, int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        die(name);
    printf("  %s: mode %o links %ld rdev %x:%d size %ld blksize %ld mine %d\n", name, st.st_mode, (long)st.st_nlink,
           (int)(st.st_rdev >> 8), st.st_rdev >> 8 == 136 ? (int)(st.st_rdev & 255) == pts_number(m) : (int)(st.st_rdev & 255),
           (long)st.st_size, (long)st.st_blksize, st.st_uid == getuid());
}

static void show_packet(const char *what)
{
    unsigned char data[100];
    no_wait(m, 1);
    show_ready(what, m);
    long n = read(m, data, sizeof data);
    if (n < 0)
        printf("  %s: %s\n", what, errno_name(errno));
    else {
        printf("  %s: %02x ", what, data[0]);
        show_bytes("data", data + 1, n - 1);
    }
    no_wait(m, 0);
}

static int winches;
static void on_winch(int signo)
{
    winches++;
}

int main(void)
{
    printf("-- locked at first\n");
    m = TRY(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    int lock = -1;
    SHOW(ioctl(m, TIOCGPTLCK, &lock));
    printf("  lock %d\n", lock);
    SHOW(open_slave(m, O_RDWR | O_NOCTTY));
    SHOW(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    lock = 0;
    SHOW(ioctl(m, TIOCSPTLCK, &lock));
    SHOW(ioctl(m, TIOCGPTLCK, &lock));
    printf("  lock %d\n", lock);
    s = TRY(open_slave(m, O_RDWR | O_NOCTTY));
    show_node("master", m);
    show_node("slave", s);
    int peer = TRY(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    printf("  flags %o cloexec %d\n", fcntl(peer, F_GETFL), fcntl(peer, F_GETFD));
    char path[64], link[64] = {0}, expected[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", peer);
    snprintf(expected, sizeof expected, "/dev/pts/%d", pts_number(m));
    readlink(path, link, 63);
    printf("  named %d\n", strcmp(link, expected));
    struct stat a, b;
    fstat(peer, &a), stat(expected, &b);
    printf("  same node %d\n", a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_rdev == b.st_rdev);
    struct statfs fs;
    SHOW(statfs("/dev/pts", &fs));
    printf("  magic %lx\n", (long)fs.f_type);
    SHOW(fchmod(s, 0620));
    SHOW(fchown(s, 7, 5));
    fstat(s, &a);
    printf("  mode %o uid %d gid %d\n", a.st_mode, a.st_uid, a.st_gid);
    SHOW(lseek(s, 0, SEEK_SET));
    SHOW(ftruncate(s, 0));
    SHOW(fsync(s));
    close(peer);

    printf("-- requests each end has\n");
    int number;
    SHOW(ioctl(s, TIOCGPTN, &number));
    SHOW(ioctl(s, TIOCSPTLCK, &lock));
    SHOW(ioctl(s, TIOCPKT, &lock));
    SHOW(ioctl(s, TIOCGPTPEER, O_RDWR));
    SHOW(ioctl(m, TIOCGETD, &number));
    printf("  discipline %d\n", number);
    SHOW(ioctl(s, TIOCMGET, &number));
    SHOW(ioctl(s, TCSBRK, 1));
    SHOW(ioctl(s, TCSBRK, 0));
    SHOW(ioctl(s, TCSBRKP, 0));
    SHOW(ioctl(s, TIOCSBRK, 0));
    SHOW(ioctl(s, TIOCCBRK, 0));
    SHOW(ioctl(s, 0x54ff, 0));
    SHOW(ioctl(s, TIOCGWINSZ, 1));
    SHOW(ioctl(s, TCGETS, 1));
    SHOW(ioctl(s, TCSETS, 1));
    unsigned device;
    SHOW(ioctl(m, TIOCGDEV, &device));
    printf("  major %d mine %d\n", device >> 8 & 0xfff, (int)(device & 255) == pts_number(m));
    SHOW(ioctl(m, TIOCGPGRP, &number));
    printf("  group %d\n", number);
    SHOW(ioctl(s, TIOCGPGRP, &number));
    SHOW(ioctl(s, TIOCGSID, &number));
    SHOW(ioctl(m, TIOCGSID, &number));
    number = getpgrp();
    SHOW(ioctl(s, TIOCSPGRP, &number));
    SHOW(ioctl(s, TIOCNOTTY));
    SHOW(ioctl(s, TIOCEXCL));
    SHOW(ioctl(s, TIOCGEXCL, &number));
    printf("  exclusive %d\n", number);
    SHOW(ioctl(s, TIOCNXCL));
    SHOW(ioctl(s, TIOCGEXCL, &number));
    printf("  exclusive %d\n", number);
    ioctl(s, FIONBIO, &(int){1});
    show_read("FIONBIO", s, 10);
    ioctl(s, FIONBIO, &(int){0});

    printf("-- modes in all layouts\n");
    struct termios t = modes(s), via_master = modes(m);
    printf("  %d\n", memcmp(&t, &via_master, sizeof t));
    struct termio o;
    SHOW(ioctl(s, TCGETA, &o));
    printf("  %o %o %o %o %d ", o.c_iflag, o.c_oflag, o.c_cflag, o.c_lflag, o.c_line);
    show_bytes("cc", o.c_cc, 8);
    o.c_cflag = B9600 | CS7 | PARENB;
    o.c_cc[0] = 7;
    SHOW(ioctl(s, TCSETAF, &o));
    struct termios2 t2;
    SHOW(ioctl(s, TCGETS2, &t2));
    printf("  %o %o %o %o speeds %d %d ", t2.c_iflag, t2.c_oflag, t2.c_cflag, t2.c_lflag, t2.c_ispeed, t2.c_ospeed);
    show_bytes("cc", t2.c_cc, 19);
    t2.c_cflag = t2.c_cflag & ~CBAUD | BOTHER;
    t2.c_ospeed = t2.c_ispeed = 12345;
    SHOW(ioctl(s, TCSETSW2, &t2));
    SHOW(ioctl(s, TCGETS2, &t2));
    printf("  %o speeds %d %d\n", t2.c_cflag, t2.c_ispeed, t2.c_ospeed);
    t = modes(s);
    t.c_cflag = t.c_cflag & ~CBAUD | B115200;
    SHOW(ioctl(m, TCSETSF, &t));
    SHOW(ioctl(s, TCGETS2, &t2));
    printf("  %o speeds %d %d\n", t2.c_cflag, t2.c_ispeed, t2.c_ospeed);
    write_all(m, "dropped\n");
    settle(m, s);
    SHOW(ioctl(s, TCSETSF, &t));
    printf("  waiting %d\n", waiting(s));

    printf("-- locked modes\n");
    struct termios locks = {.c_iflag = IXON | IUTF8, .c_lflag = ECHO, .c_cflag = CBAUD, .c_cc[VINTR] = 1};
    SHOW(ioctl(m, TIOCSLCKTRMIOS, &locks));
    SHOW(ioctl(m, TIOCSLCKTRMIOS, 1));
    memset(&t, 0, sizeof t);
    SHOW(ioctl(s, TCSETS, &t));
    t = modes(s);
    printf("  %o %o %o %o %d ", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_line);
    show_bytes("cc", t.c_cc, 19);
    SHOW(ioctl(s, TIOCGLCKTRMIOS, &t));
    printf("  %d\n", memcmp(&t, &locks, sizeof t));
    SHOW(ioctl(s, TIOCGLCKTRMIOS, 1));
    memset(&locks, 0, sizeof locks);
    SHOW(ioctl(m, TIOCSLCKTRMIOS, &locks));
    SHOW(ioctl(s, TCSETS, &t));
    t = modes(s);
    printf("  %o %o %o %o\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);

    printf("-- packet mode\n");
    close(s), close(m);
    pair(&m, &s);
    write_all(s, "before");
    SHOW(ioctl(m, TIOCPKT, &(int){1}));
    SHOW(ioctl(m, TIOCGPKT, &number));
    printf("  packet %d\n", number);
    show_packet("data");
    show_packet("nothing");
    SHOW(ioctl(s, TCFLSH, TCIFLUSH));
    show_packet("flushed input");
    SHOW(ioctl(s, TCFLSH, TCIOFLUSH));
    show_packet("flushed both");
    SHOW(ioctl(s, TCXONC, TCOOFF));
    show_packet("stopped");
    SHOW(ioctl(s, TCXONC, TCOON));
    show_packet("started");
    write_all(s, "text\n");
    t = modes(s);
    t.c_iflag &= ~IXON;
    set_modes(s, t);
    show_packet("no flow control");
    show_packet("the text");
    t.c_iflag |= IXON;
    set_modes(s, t);
    show_packet("flow control");
    t.c_lflag |= EXTPROC;
    set_modes(s, t);
    show_packet("EXTPROC");
    t.c_lflag &= ~EXTPROC;
    set_modes(s, t);
    show_packet("no EXTPROC");
    write_all(m, "\x03");
    struct pollfd p = {s, POLLIN, 0};
    poll(&p, 1, 0);
    show_packet("interrupted");
    show_packet("its echo");
    write_all(m, "\x13\x11");
    poll(&p, 1, 0);
    show_packet("^S and ^Q");
    SHOW(ioctl(m, TIOCPKT, &(int){0}));
    SHOW(ioctl(m, TIOCSIG, SIGINT));
    SHOW(ioctl(m, TIOCSIG, SIGHUP));

    printf("-- sizes\n");
    signal(SIGWINCH, on_winch);
    struct winsize w = {1, 2, 3, 4};
    SHOW(ioctl(s, TIOCGWINSZ, &w));
    printf("  %d %d %d %d\n", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    w = (struct winsize){25, 80, 800, 600};
    SHOW(ioctl(m, TIOCSWINSZ, &w));
    memset(&w, 0, sizeof w);
    SHOW(ioctl(s, TIOCGWINSZ, &w));
    printf("  %d %d %d %d, signals %d\n", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel, winches);

    printf("-- the slave closed\n");
    w.ws_row = 33;
    ioctl(s, TIOCSWINSZ, &w);
    t = modes(s);
    t.c_lflag &= ~ECHO;
    set_modes(s, t);
    write_all(s, "last words\n");
    write_all(m, "unread\n");
    settle(m, s);
    write_all(s, "very last words\n");
    int other = dup(s);
    close(s);
    show_ready("one of two", m);
    close(other);
    show_ready("closed", m);
    show_read("what is left", m, 100);
    show_ready("and then", m);
    show_read("and then", m, 100);
    SHOW(write(m, "typed\n", 6));
    show_ready("and then", m);
    s = TRY(open_slave(m, O_RDWR | O_NOCTTY));
    show_ready("open again", m);
    t = modes(s);
    ioctl(s, TIOCGWINSZ, &w);
    printf("  echo %d rows %d\n", !!(t.c_lflag & ECHO), w.ws_row);
    no_wait(s, 1);
    show_read("from before", s, 100);
    show_read("from before", s, 100);
    show_read("from before", s, 100);
    no_wait(s, 0);
    int reader = open_slave(m, O_RDONLY | O_NOCTTY), writer = open_slave(m, O_WRONLY | O_NOCTTY);
    SHOW(read(writer, path, 1));
    SHOW(write(reader, path, 1));
    close(reader), close(writer);

    printf("-- the master closed\n");
    fflush(stdout);
    int go[2], n = pts_number(m);
    pipe(go);
    pid_t child = fork();
    if (!child) {
        close(m);
        write(go[1], "x", 1);
        show_read("waiting", s, 10);
        fflush(stdout);
        _exit(0);
    }
    read(go[0], path, 1);
    for (char state = 0; state != 'S';) { // until it sleeps
        char data[512];
        snprintf(path, sizeof path, "/proc/%d/stat", child);
        int fd = open(path, O_RDONLY);
        data[read(fd, data, 511)] = 0;
        close(fd);
        state = strrchr(data, ')')[2];
    }
    snprintf(path, sizeof path, "/dev/pts/%d", n);
    SHOW(access(path, F_OK));
    close(m);
    waitpid(child, NULL, 0);
    SHOW(access(path, F_OK));
    show_ready("slave", s);
    show_read("slave", s, 10);
    SHOW(write(s, "x", 1));
    SHOW(ioctl(s, TCGETS, &t));
    SHOW(ioctl(s, TIOCGWINSZ, &w));
    SHOW(ioctl(s, TIOCSPGRP, &n));
    snprintf(path, sizeof path, "/proc/self/fd/%d", s);
    SHOW(open(path, O_RDWR | O_NOCTTY));
    int next = open_master(O_RDWR);
    printf("  its number is taken: %d\n", pts_number(next) != n);
    close(s);
    int after = open_master(O_RDWR);
    printf("  its number is free: %d\n", pts_number(after) == n);
    close(next), close(after);

    printf("-- vhangup\n");
    pair(&m, &s);
    SHOW(ioctl(s, TIOCVHANGUP));
    no_wait(m, 1);
    show_ready("slave", s);
    show_read("slave", s, 10);
    show_ready("master", m);
    show_read("master", m, 10);
    other = TRY(open_slave(m, O_RDWR | O_NOCTTY));
    write_all(other, "alive\n");
    show_read("master", m, 10);
    close(s);
    show_ready("master", m);
    return 0;
}

/* The line discipline, output: what OPOST makes of it, columns, flow control, a full terminal. */
#include "pty.h"

static int m, s;

static void fresh(const char *title, unsigned on, unsigned off)
{
    printf("-- %s\n", title);
    if (m)
        close(s), close(m);
    pair(&m, &s);
    struct termios t = modes(s);
    t.c_oflag = (t.c_oflag | on) & ~off;
    set_modes(s, t);
}

static void out(const char *text, long size)
{
    static char data[70000];
    long n = write(s, text, size);
    if (n != size)
        printf("  wrote %ld of %ld\n", n, size);
    n = collect(m, data, sizeof data);
    printf("  ");
    show_bytes("output", data, n);
}
#define OUT(text) out(text, sizeof text - 1)

int main(void)
{
    static const struct { const char *name; unsigned on, off; } kinds[] = {
        {"as it is", 0, 0}, {"no OPOST", 0, OPOST}, {"no ONLCR", 0, ONLCR}, {"OLCUC", OLCUC, 0}, {"OCRNL", OCRNL, 0},
        {"ONOCR", ONOCR, 0}, {"ONLRET", ONLRET, 0}, {"ONLRET without ONLCR", ONLRET, ONLCR}, {"XTABS", XTABS, 0},
        {"OCRNL, ONLRET", OCRNL | ONLRET, ONLCR}, {"OLCUC and XTABS", OLCUC | XTABS, 0},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fresh(kinds[i].name, kinds[i].on, kinds[i].off);
        OUT("plain\n");
        OUT("\ra\r\rb\n\n");
        OUT("col\tumn\ts\b\b\t12345678\t.\n");
        OUT("ab");
        OUT("\tc\001\033\x7f\t\xe9\xc3\xa9\xff\t.\n");
        OUT("middle\rstart\n\tx");
        OUT("\r\n");
    }
    fresh("where tabs are erased to depends on what was put out", 0, 0);
    struct termios t = modes(s);
    t.c_iflag |= IUTF8;
    set_modes(s, t);
    OUT("\xc3\xa9\xc3\xa9$ ");
    TYPE("a\tb\x7f\x7f");
    OUT("123\b\b\t");
    TYPE("x\t\x7f\x7f\x7f\n");
    TYPE("\t\x7f\n");

    fresh("stopped and started", 0, 0);
    TYPE("\x13");
    no_wait(s, 1);
    label(write(s, "held", 4), "write while stopped");
    show_ready("slave", s);
    TYPE("typed\n");
    TYPE("\x11");
    label(write(s, "free", 4), "write after start");
    out("", 0);
    SHOW(ioctl(s, TCXONC, TCOOFF));
    label(write(s, "held", 4), "write after TCOOFF");
    TYPE("\x11");
    label(write(s, "held", 4), "VSTART does not undo TCOOFF");
    SHOW(ioctl(s, TCXONC, TCOON));
    label(write(s, "free", 4), "write after TCOON");
    out("", 0);
    SHOW(ioctl(s, TCXONC, TCIOFF));
    out("", 0);
    SHOW(ioctl(s, TCXONC, TCION));
    out("", 0);
    SHOW(ioctl(s, TCXONC, 9));
    SHOW(ioctl(m, TCXONC, TCOOFF));
    no_wait(m, 1);
    label(write(m, "held", 4), "master stopped");
    SHOW(ioctl(m, TCXONC, TCOON));
    TYPE("again\n");
    no_wait(s, 0);

    fresh("IXANY", 0, 0);
    t = modes(s);
    t.c_iflag |= IXANY;
    set_modes(s, t);
    TYPE("\x13");
    TYPE("x");
    OUT("free");
    TYPE("\x13");
    no_wait(s, 1);
    label(write(s, "held", 4), "write while stopped");
    t.c_iflag &= ~(IXANY | IXON);
    set_modes(s, t);
    label(write(s, "free", 4), "without IXON nothing is stopped");
    no_wait(s, 0);
    out("", 0);

    fresh("more than there is room for", 0, 0);
    static char big[1 << 20];
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = i % 80 == 79 ? '\n' : 'a' + i % 26;
    no_wait(s, 1);
    long n = 0, r;
    while ((r = write(s, big, 1000)) > 0)
        n += r;
    printf("full after some: %d, then %s\n", n > 4096 && n < 65536, errno_name(errno));
    show_ready("full slave", s);
    show_ready("its master", m);
    ioctl(s, TCFLSH, TCOFLUSH);
    show_ready("after TCOFLUSH", s);
    close(s), close(m);
    pair(&m, &s);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        r = write(s, big, sizeof big);
        _exit(r == sizeof big ? 7 : 8);
    }
    close(s);
    uint64_t sum = 0;
    static char data[1 << 16];
    n = 0;
    while ((r = read(m, data, sizeof data)) > 0) {
        for (long i = 0; i < r; i++)
            sum = sum * 31 + (unsigned char)data[i];
        n += r;
    }
    int status;
    printf("end: %s\n", errno_name(errno));
    waitpid(child, &status, 0);
    printf("a megabyte became %ld bytes, sum %lx, child %d\n", n, (long)sum, WEXITSTATUS(status));
    return 0;
}

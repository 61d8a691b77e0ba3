// Random keys, typed at terminals with random modes, and random output between them.
// run: 1
// run: 2
// run: 5
// run: 11
#include "random.h"
#include "pty.h"

static const unsigned iflags[] = {PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IUCLC, IXON, IXANY, IXOFF, IUTF8, IMAXBEL};
static const unsigned oflags[] = {OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, XTABS};
static const unsigned lflags[] = {ICANON, ECHO, ECHOE, ECHOK, ECHONL, ECHOCTL, ECHOPRT, ECHOKE, IEXTEN, ISIG};
static const char keys[] = "abcABC  \t\t\n\n\r\x7f\x7f\x7f\x15\x17\x16\x04\x12\x11\x13\x03\x1a\x01\x1b\xc3\xa9\xe2\x82\xac\xff_;0";
static const char letters[] = "ab c\t\n\r\b\x01\xc3\xa9xyzXYZ.,-";
#define COUNT(array) (sizeof array / sizeof *array)

static int m, s;

static void flip(unsigned *flags, const unsigned *which, size_t count, unsigned one_in)
{
    for (size_t i = 0; i < count; i++)
        if (!pick(one_in))
            *flags ^= which[i];
}

static void random_modes(void)
{
    struct termios t = modes(s);
    flip(&t.c_iflag, iflags, COUNT(iflags), 3);
    flip(&t.c_oflag, oflags, COUNT(oflags), 4);
    flip(&t.c_lflag, lflags, COUNT(lflags), 4);
    t.c_lflag |= NOFLSH; // a flush races with a thread of Linux's that moves echoes to the master
    if (!pick(4))
        t.c_cc[pick(17)] = pick(40);
    t.c_cc[VMIN] = t.c_cc[VTIME] = 0;
    set_modes(s, t);
    printf("-- %o %o %o\n", t.c_iflag, t.c_oflag, t.c_lflag);
}

static void output(void)
{
    char text[40], shown[1024];
    int n = pick(30);
    for (int i = 0; i < n; i++)
        text[i] = letters[pick(sizeof letters - 1)];
    no_wait(s, 1);
    label(write(s, text, n), "write %d", n);
    no_wait(s, 0);
    n = collect(m, shown, sizeof shown);
    show_bytes("output", shown, n);
}

int main(int argc, char **argv)
{
    random_start(argc, argv);
    for (int round = 0; round < 30; round++) {
        pair(&m, &s);
        random_modes();
        for (int i = 0; i < 15; i++) {
            if (!pick(5))
                output();
            char text[32];
            int n = 1 + pick(20);
            for (int k = 0; k < n; k++)
                text[k] = keys[pick(sizeof keys - 1)];
            type_bytes(m, s, "typed", text, n);
            if (!pick(20)) { // what has no end yet is seen in other modes, all of it
                random_modes();
                ioctl(s, TCFLSH, TCIFLUSH);
            }
        }
        close(s), close(m);
    }
    return 0;
}

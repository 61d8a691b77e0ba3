/* The line discipline, input: canonical and raw mode, echo, editing, mapping. */
#include "pty.h"

static int m, s;

static void with(unsigned iflag_on, unsigned iflag_off, unsigned lflag_on, unsigned lflag_off)
{
    struct termios t = modes(s);
    t.c_iflag = (t.c_iflag | iflag_on) & ~iflag_off;
    t.c_lflag = (t.c_lflag | lflag_on) & ~lflag_off;
    set_modes(s, t);
}

static void fresh(const char *title)
{
    printf("-- %s\n", title);
    if (m)
        close(s), close(m);
    pair(&m, &s);
}

int main(void)
{
    fresh("lines");
    TYPE("hello\n");
    TYPE("one\ntwo\nthree\n");
    TYPE("carriage\rreturn\n");
    TYPE("no end");
    TYPE(" of line\x04");
    TYPE("\x04");
    TYPE("a\x04\x04" "b\n");
    TYPE("tab\tand\001\033[A\x7f\x7f\n");
    TYPE("abc\x7f\x7fx\n");
    TYPE("\x7f\x7f\n");
    TYPE("two words here\x17\x17 there\n");
    TYPE("snake_case-word \x17!\n");
    TYPE("forget this\x15kept\n");
    TYPE("literal \x16\x03 \x16\x7f \x16\n x\n");
    TYPE("see it again\x12 now\n");
    TYPE("\xc3\xa9\x7f" "e\n");
    TYPE("a\tb\tc\x7f\x7f\x7f\x7f!\n");
    TYPE("\001\t\x7f\x7f" "x\n");
    TYPE("nul \0 in it\n");
    TYPE("del \377 ff\n");

    fresh("a prompt in front of tabs");
    write_all(s, "prompt> ");
    TYPE("a\tb\tc\x7f\x7f\x7f\x7f!\n");

    fresh("read in pieces");
    write_all(m, "piecemeal\nnext\nabcd\x04" "efgh\n");
    settle(m, s);
    show_read("4", s, 4);
    printf("  waiting %d\n", waiting(s));
    show_read("6", s, 6);
    show_read("0", s, 0);
    show_read("100", s, 100);
    printf("  waiting %d\n", waiting(s));
    show_read("4 and an end of file", s, 4);
    show_read("100", s, 100);

    fresh("UTF-8");
    with(IUTF8, 0, 0, 0);
    TYPE("\xc3\xa9\x7f" "e\n");
    TYPE("a\xe2\x82\xac" "b\x7f\x7f\x7f!\n");
    TYPE("\xe2\x82\xac\t\x7f!\n");

    static const struct { const char *name; unsigned on, off; } echoes[] = {
        {"no ECHO", 0, ECHO}, {"no ECHOE", 0, ECHOE}, {"no ECHOK", 0, ECHOK}, {"no ECHOKE", 0, ECHOKE},
        {"no ECHOKE, no ECHOK", 0, ECHOKE | ECHOK}, {"no ECHOCTL", 0, ECHOCTL}, {"ECHOPRT", ECHOPRT, 0},
        {"ECHONL without ECHO", ECHONL, ECHO}, {"no IEXTEN", 0, IEXTEN}, {"no ECHO, no ECHOK", 0, ECHO | ECHOK},
    };
    for (size_t i = 0; i < sizeof echoes / sizeof *echoes; i++) {
        fresh(echoes[i].name);
        with(0, 0, echoes[i].on, echoes[i].off);
        TYPE("abc\x7f\x7fx\001\x7f\n");
        TYPE("kill it\x15kept\n");
        TYPE("two words\x17one\n");
        TYPE("lit \x16\x15 again\x12 now\n");
        TYPE("\ta\tb\x7f\x7f\n");
    }
    static const struct { const char *name; unsigned on, off; } maps[] = {
        {"no ICRNL", 0, ICRNL}, {"INLCR", INLCR, ICRNL}, {"INLCR and ICRNL", INLCR, 0}, {"IGNCR", IGNCR, 0},
        {"ISTRIP", ISTRIP, 0}, {"IUCLC", IUCLC, 0}, {"PARMRK", PARMRK, 0}, {"no IXON", 0, IXON},
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        fresh(maps[i].name);
        with(maps[i].on, maps[i].off, 0, 0);
        TYPE("A\rb\nC\r\n");
        TYPE("\xc1\xe9\xff ABC \xff\n");
        TYPE("x\x11\x13y\x11z\n");
        ioctl(s, TCFLSH, TCIFLUSH); // what has no end yet would be there to read
        with(0, 0, 0, ICANON);
        TYPE("A\rb\nC\r\n\xc1\xff");
    }
    fresh("other characters");
    struct termios t = modes(s);
    t.c_cc[VERASE] = '#', t.c_cc[VKILL] = '@', t.c_cc[VEOF] = 'E', t.c_cc[VEOL] = ';', t.c_cc[VEOL2] = ':';
    t.c_cc[VWERASE] = 0, t.c_cc[VLNEXT] = '\\';
    set_modes(s, t);
    TYPE("ab#c@d;e:f\\;g\n");
    TYPE("one E two E");
    TYPE("\\#\\@\\E;");
    TYPE("a b\x17;");

    fresh("raw");
    with(0, ICRNL | IXON, 0, ICANON | ECHO | ISIG | IEXTEN);
    TYPE("a\r\n\x03\x04\x11\x13\x15\x16\x7f\0\xff");
    printf("  waiting %d\n", waiting(s));

    fresh("from lines to raw and back");
    write_all(m, "half a line");
    settle(m, s);
    printf("  waiting %d\n", waiting(s));
    show_ready("canonical", s);
    with(0, 0, 0, ICANON);
    printf("  waiting %d\n", waiting(s));
    show_ready("raw", s);
    with(0, 0, ICANON, 0);
    printf("  waiting %d\n", waiting(s));
    show_ready("canonical", s);
    show_read("pushed", s, 100);
    write_all(m, "end\x04more\n");
    settle(m, s);
    with(0, 0, 0, ICANON);
    show_read("raw", s, 100);
    ioctl(s, TCFLSH, TCIFLUSH);

    fresh("the longest line");
    with(0, 0, 0, ECHO);
    static char line[6000];
    memset(line, 'a', sizeof line);
    for (int i = 0; i < 6000; i += 64)
        line[i] = 'A' + i / 64 % 26;
    line[4094] = 'Y', line[4095] = 'Z';
    type_bytes(m, s, "4095 and a line end", (line[4095] = '\n', line), 4096);
    line[4095] = 'Z';
    line[4096] = '\n';
    type_bytes(m, s, "4096 and a line end", line, 4097);
    line[4096] = 'z';
    line[5999] = '\n';
    type_bytes(m, s, "5999 and a line end", line, 6000);

    fresh("more lines than there is room for");
    with(0, 0, 0, ECHO);
    for (int i = 0; i < 60; i++)
        line[i * 100 + 99] = '\n';
    if (write(m, line, 6000) != 6000)
        die("typing");
    uint64_t sum = 0;
    for (int i = 0; i < 60; i++) {
        char data[200];
        long r = read(s, data, sizeof data);
        if (r != 100)
            printf("line %d: %ld\n", i, r);
        sum = sum * 31 + hash(data, r);
    }
    printf("60 lines %lx\n", (long)sum);

    fresh("readiness and counts");
    show_ready("idle slave", s);
    show_ready("idle master", m);
    write_all(m, "half");
    settle(m, s);
    show_ready("half a line", s);
    write_all(m, "\nfull\n\x04");
    settle(m, s);
    show_ready("two lines", s);
    printf("  waiting %d\n", waiting(s));
    int out = -1;
    SHOW(ioctl(s, TIOCOUTQ, &out));
    printf("  out %d\n", out);
    write_all(s, "some output\n");
    show_ready("master", m);
    printf("  waiting %d\n", waiting(m));
    SHOW(ioctl(s, TCFLSH, TCIFLUSH));
    printf("  waiting %d\n", waiting(s));
    SHOW(ioctl(m, TCFLSH, TCIFLUSH));
    printf("  waiting %d\n", waiting(m));
    SHOW(ioctl(s, TCFLSH, 7));
    return 0;
}

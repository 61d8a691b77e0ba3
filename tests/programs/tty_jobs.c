/* Controlling terminals and job control: sessions, foreground groups, SIGTTIN and SIGTTOU, hang-ups.  Every scene plays
   in a child with a session of its own, whose lines come through a pipe; a scene waits for states, never for times. */
#include "pty.h"

static int m, s;
static int out[2];

static void say(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write(out[1], text, n);
}

static const char *result(long r)
{
    static char text[4][32];
    static int at;
    char *t = text[at++ & 3];
    if (r < 0)
        snprintf(t, 32, "%s", errno_name(errno));
    else
        snprintf(t, 32, "%ld", r);
    return t;
}

static char state_of(pid_t pid)
{
    char name[64], data[1024];
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    int fd = open(name, O_RDONLY);
    long n = read(fd, data, sizeof data - 1);
    close(fd);
    if (n <= 0)
        return '?';
    data[n] = 0;
    return strrchr(data, ')')[2];
}

static void until_asleep(pid_t pid)
{
    while (state_of(pid) != 'S')
        sched_yield();
}

/* tty_nr and tpgid: whether they are the slave's and the caller's group. */
static void say_stat(const char *what)
{
    char data[1024];
    int fd = open("/proc/self/stat", O_RDONLY), tty, tpgid;
    data[read(fd, data, sizeof data - 1)] = 0;
    close(fd);
    sscanf(strrchr(data, ')') + 2, "%*c %*d %*d %*d %d %d", &tty, &tpgid);
    say("%s: tty_nr %s, tpgid %s\n", what, tty == 0 ? "0" : tty == (136 << 8 | pts_number(m)) ? "slave" : "other",
        tpgid == -1 ? "-1" : tpgid == 0 ? "0" : tpgid == getpgrp() ? "own" : "other");
}

static int group(int fd)
{
    int g = -7;
    return ioctl(fd, TIOCGPGRP, &g) ? -1 : g;
}

static int foreground(int fd, int g)
{
    return ioctl(fd, TIOCSPGRP, &g);
}

static char caught[64];
static volatile int catches;
static void on_signal(int signo)
{
    caught[catches++ % 64] = signo;
}

static void catch(int signo, int flags)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(signo, &a, NULL);
}

static void say_caught(const char *what)
{
    say("%s:", what);
    int seen[65] = {0};
    for (int i = 0; i < catches; i++)
        seen[caught[i]]++;
    for (int i = 1; i < 65; i++)
        if (seen[i])
            say(" %d", i);
    say("\n");
    catches = 0;
}

static void scene(const char *title, void (*play)(void))
{
    pair(&m, &s);
    pipe(out);
    printf("-- %s\n", title);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        close(out[0]);
        setsid();
        play();
        _exit(0);
    }
    close(out[1]);
    char data[4096];
    long n;
    while ((n = read(out[0], data, sizeof data)) > 0)
        fwrite(data, 1, n, stdout);
    int status;
    waitpid(child, &status, 0);
    printf("  ended %x\n", status);
    close(out[0]), close(s), close(m);
}

/* A child in a group of its own that does `work` once it may. */
static int gate[2];
static pid_t background(void (*work)(void))
{
    pipe(gate);
    pid_t child = fork();
    if (!child) {
        setpgid(0, 0);
        char c;
        close(gate[1]);
        read(gate[0], &c, 1);
        work();
        _exit(0);
    }
    setpgid(child, child);
    close(gate[0]);
    return child;
}

static void say_wait(pid_t child, const char *what)
{
    int status;
    pid_t r = waitpid(child, &status, WUNTRACED);
    if (r < 0)
        say("%s: %s\n", what, errno_name(errno));
    else if (WIFSTOPPED(status))
        say("%s: stopped by %d\n", what, WSTOPSIG(status));
    else if (WIFSIGNALED(status))
        say("%s: killed by %d\n", what, WTERMSIG(status));
    else
        say("%s: exit %d\n", what, WEXITSTATUS(status));
}

static void acquiring(void)
{
    say_stat("none");
    say("/dev/tty %s\n", result(open("/dev/tty", O_RDWR)));
    int fd = open_slave(m, O_RDWR | O_NOCTTY);
    say_stat("O_NOCTTY");
    close(fd);
    fd = open_slave(m, O_WRONLY);
    say_stat("opened for writing only");
    close(fd);
    fd = open_slave(m, O_RDWR);
    say_stat("opened");
    int tty = open("/dev/tty", O_RDWR), sid = 0, number = 0;
    say("/dev/tty %d\n", tty >= 0);
    struct stat a, b;
    fstat(tty, &a), fstat(fd, &b);
    say("/dev/tty is %x, not %d\n", (int)a.st_rdev, (int)(a.st_rdev == b.st_rdev));
    say("TIOCGSID %s", result(ioctl(tty, TIOCGSID, &sid)));
    say(" own %d\n", sid == getpid());
    say("TIOCGPGRP own %d, of the master own %d\n", group(tty) == getpgrp(), group(m) == getpgrp());
    say("TIOCGDEV %s\n", result(ioctl(tty, TIOCGDEV, &number)));
    say("TIOCGPTN %s\n", result(ioctl(tty, TIOCGPTN, &number)));
    say("TIOCSCTTY again %s\n", result(ioctl(fd, TIOCSCTTY, 0)));
    int m2 = open_master(O_RDWR), s2 = open_slave(m2, O_RDWR);
    say("another %s", result(ioctl(s2, TIOCSCTTY, 0)));
    say(" %s\n", result(ioctl(s2, TIOCGPGRP, &number)));
    pid_t child = fork();
    if (!child) {
        say_stat("child");
        say("child TIOCSCTTY %s\n", result(ioctl(fd, TIOCSCTTY, 0)));
        say("child TIOCNOTTY %s\n", result(ioctl(fd, TIOCNOTTY)));
        say_stat("child");
        say("child /dev/tty %s\n", result(open("/dev/tty", O_RDWR)));
        say("child TIOCSPGRP %s\n", result(foreground(fd, getpgrp())));
        _exit(0);
    }
    say_wait(child, "child");
    child = fork();
    if (!child) {
        setsid();
        say_stat("a session of its own");
        say("the terminal of another session: %s\n", result(ioctl(fd, TIOCSCTTY, 0)));
        say("open again %d\n", open_slave(m, O_RDWR) >= 0);
        say_stat("still none");
        say("TIOCGSID of the master %s\n", result(ioctl(m, TIOCGSID, &sid)));
        say("TIOCSPGRP on the master %s\n", result(foreground(m, getpgrp())));
        _exit(0);
    }
    say_wait(child, "child");
    say("groups: negative %s", result(foreground(fd, -5)));
    say(" unknown %s", result(foreground(fd, 4000000)));
    say(" of another session %s", result(foreground(fd, getppid())));
    say(" bad address %s\n", result(ioctl(fd, TIOCSPGRP, 8)));
    catch(SIGHUP, 0), catch(SIGCONT, 0);
    say("TIOCNOTTY %s\n", result(ioctl(fd, TIOCNOTTY)));
    say_caught("signals");
    say_stat("given up");
    say("TIOCNOTTY %s\n", result(ioctl(fd, TIOCNOTTY)));
    say("TIOCSCTTY %s\n", result(ioctl(s2, TIOCSCTTY, 0)));
    say("group %d %s\n", group(s2) == getpgrp(), result(ioctl(fd, TIOCGPGRP, &number)));
}

static void reads(void)
{
    char c[10];
    say("background read %s\n", result(read(s, c, 10)));
}

static void reads_forgiving(void)
{
    catch(SIGTTIN, 0);
    reads();
    say_caught("signals");
    catch(SIGTTIN, SA_RESTART);
    signal(SIGTTIN, SIG_IGN);
    reads();
    signal(SIGTTIN, SIG_DFL);
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGTTIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    reads();
}

static void writes(void)
{
    say("background write %s\n", result(write(s, "text\n", 5)));
}

static void changes(void)
{
    struct termios t = modes(s);
    say("TCSETS %s\n", result(ioctl(s, TCSETS, &t)));
}

static void changes_forgiving(void)
{
    struct termios t = modes(s);
    catch(SIGTTOU, 0);
    say("TCSETS %s", result(ioctl(s, TCSETS, &t)));
    say(" TCSETSW %s", result(ioctl(s, TCSETSW, &t)));
    say(" TCFLSH %s", result(ioctl(s, TCFLSH, 0)));
    say(" TCXONC %s", result(ioctl(s, TCXONC, TCOON)));
    say(" TCSBRK %s", result(ioctl(s, TCSBRK, 1)));
    say(" TIOCSPGRP %s", result(foreground(s, getpgrp())));
    say(" TIOCSWINSZ %s\n", result(ioctl(s, TIOCSWINSZ, &(struct winsize){1, 2})));
    say_caught("signals");
    signal(SIGTTOU, SIG_IGN);
    say("ignored: TCSETS %s", result(ioctl(s, TCSETS, &t)));
    say(" TIOCSPGRP %s\n", result(foreground(s, getpgrp())));
    say("now in the foreground %d\n", group(s) == getpgrp());
}

static void in_the_background(void)
{
    ioctl(s, TIOCSCTTY, 0);
    write_all(m, "line\nmore\nlast\n");
    pid_t child = background(reads);
    close(gate[1]);
    say_wait(child, "reader");
    foreground(s, child);
    kill(child, SIGCONT);
    say_wait(child, "reader");
    signal(SIGTTOU, SIG_IGN);
    foreground(s, getpgrp());
    signal(SIGTTOU, SIG_DFL);
    child = background(reads_forgiving);
    close(gate[1]);
    say_wait(child, "forgiving");
    child = background(writes);
    close(gate[1]);
    say_wait(child, "writer");
    struct termios t = modes(s);
    t.c_lflag |= TOSTOP;
    set_modes(s, t);
    child = background(writes);
    close(gate[1]);
    say_wait(child, "writer, TOSTOP");
    foreground(s, child);
    kill(-child, SIGCONT);
    say_wait(child, "writer");
    signal(SIGTTOU, SIG_IGN);
    foreground(s, getpgrp());
    signal(SIGTTOU, SIG_DFL);
    child = background(changes);
    close(gate[1]);
    say_wait(child, "changer");
    kill(child, SIGKILL);
    say_wait(child, "changer");
    child = background(changes_forgiving);
    close(gate[1]);
    say_wait(child, "changer");
}

static void orphaned(void)
{
    /* The group's only link to the session is its parent: once that is gone nobody could continue it. */
    ioctl(s, TIOCSCTTY, 0);
    write_all(m, "line\n");
    int held[2], gone[2];
    pipe(held), pipe(gone);
    pid_t parent = fork();
    if (!parent) {
        pid_t child = fork();
        if (!child) {
            setpgid(0, 0);
            close(gone[1]);
            char c[10];
            read(gone[0], c, 1); // until the parent has ended
            say("orphan read %s\n", result(read(s, c, 10)));
            struct termios t = modes(s);
            say("orphan TCSETS %s", result(ioctl(s, TCSETS, &t)));
            say(" TIOCSPGRP %s", result(foreground(s, getpgrp())));
            say(" write %s\n", result(write(s, "text", 4)));
            close(held[0]);
            _exit(0);
        }
        setpgid(child, child);
        _exit(0);
    }
    close(gone[1]);
    close(held[1]);
    waitpid(parent, NULL, 0);
    char c;
    read(held[0], &c, 1);
}

static void stopped_orphans(void)
{
    ioctl(s, TIOCSCTTY, 0);
    int told[2];
    pipe(told);
    pid_t parent = fork();
    if (!parent) {
        pid_t child = fork();
        if (!child) {
            setpgid(0, 0);
            catch(SIGHUP, 0), catch(SIGCONT, 0);
            raise(SIGSTOP);
            say_caught("a stopped orphan gets");
            _exit(0);
        }
        waitpid(child, NULL, WUNTRACED);
        _exit(0);
    }
    close(told[1]);
    waitpid(parent, NULL, 0);
    char c;
    read(told[0], &c, 1); // until the orphan has ended
}

static void keys(void)
{
    ioctl(s, TIOCSCTTY, 0);
    static const struct { const char *name, *key; } all[] = {{"^C", "\x03"}, {"^\\", "\x1c"}, {"^Z", "\x1a"}};
    for (int noflsh = 0; noflsh < 2; noflsh++) {
        struct termios t = modes(s);
        t.c_lflag = noflsh ? t.c_lflag | NOFLSH : t.c_lflag;
        set_modes(s, t);
        for (int i = 0; i < 3; i++) {
            catch(SIGINT, 0), catch(SIGQUIT, 0), catch(SIGTSTP, 0);
            write_all(m, "line\nhalf");
            settle(m, s);
            int before = waiting(s);
            write_all(m, all[i].key);
            while (!catches)
                sched_yield();
            struct pollfd p = {s, POLLIN, 0};
            poll(&p, 1, 0);
            char echo[100];
            echo[collect(m, echo, 99)] = 0;
            say("%s: %d waiting, then %d, echo %s\n", all[i].name, before, waiting(s), echo);
            say_caught("signals");
            ioctl(s, TCFLSH, TCIFLUSH);
        }
    }
    pid_t child = fork();
    if (!child) {
        setpgid(0, 0);
        signal(SIGTTOU, SIG_IGN);
        foreground(s, getpgrp());
        signal(SIGINT, SIG_DFL), signal(SIGTSTP, SIG_DFL);
        char c[10];
        read(s, c, 10);
        _exit(1);
    }
    setpgid(child, child);
    while (group(s) != child)
        sched_yield();
    until_asleep(child);
    write_all(m, "\x1a");
    signal(SIGTSTP, SIG_DFL);
    say_wait(child, "foreground ^Z");
    kill(child, SIGKILL);
    say_wait(child, "foreground");
    say_caught("the leader, in the background");
    child = fork();
    if (!child) {
        setpgid(0, 0);
        signal(SIGTTOU, SIG_IGN);
        foreground(s, getpgrp());
        signal(SIGWINCH, on_signal);
        ioctl(m, TIOCSWINSZ, &(struct winsize){3, 4});
        say_caught("new size, master");
        ioctl(s, TIOCSWINSZ, &(struct winsize){3, 4});
        say_caught("same size");
        ioctl(s, TIOCSWINSZ, &(struct winsize){5, 4});
        say_caught("new size, slave");
        catch(SIGINT, 0);
        ioctl(m, TIOCSIG, SIGINT);
        say_caught("TIOCSIG");
        _exit(0);
    }
    say_wait(child, "sizes");
}

static int leader_gate[2];
static void leader_ends(void)
{
    ioctl(s, TIOCSCTTY, 0);
    int ready[2];
    char c;
    pipe(ready);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (!child) {
            if (!i) {
                setpgid(0, 0);
                signal(SIGTTOU, SIG_IGN);
                foreground(s, getpgrp());
            }
            catch(SIGHUP, 0), catch(SIGCONT, 0), catch(SIGTERM, 0);
            sigset_t all, none;
            sigfillset(&all), sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &all, NULL);
            write(ready[1], "x", 1);
            if (!i) {
                while (!catches)
                    sigsuspend(&none);
                say_caught("foreground child");
                say_stat("foreground child");
                char c[10];
                say("read %s\n", result(foreground(s, getpgrp())));
                write(leader_gate[1], "x", 1);
            } else {
                read(leader_gate[0], &c, 1);
                sigprocmask(SIG_SETMASK, &none, NULL);
                say_caught("background child");
                say_stat("background child");
            }
            _exit(0);
        }
        read(ready[0], &c, 1);
    }
    _exit(3);
}

static void vhangs_up(void)
{
    ioctl(s, TIOCSCTTY, 0);
    catch(SIGHUP, 0), catch(SIGCONT, 0);
    say("vhangup %s\n", result(vhangup()));
    say_caught("signals");
    say_stat("after it");
    char c[10];
    say("read %s", result(read(s, c, 10)));
    say(" write %s\n", result(write(s, c, 10)));
    say("again %s\n", result(vhangup()));
    say("open again %d\n", open_slave(m, O_RDWR) >= 0);
    say_stat("open again");
}

int main(void)
{
    scene("acquiring a terminal", acquiring);
    scene("in the background", in_the_background);
    scene("orphaned", orphaned);
    scene("stopped orphans", stopped_orphans);
    scene("keys that signal", keys);
    scene("vhangup", vhangs_up);
    pipe(leader_gate);
    scene("the leader ends", leader_ends);

    printf("-- the master closes\n");
    fflush(stdout);
    pair(&m, &s);
    pipe(out);
    int ready[2];
    pipe(ready);
    pid_t child = fork();
    if (!child) {
        close(s);
        setsid();
        int fd = open_slave(m, O_RDWR);
        close(m);
        catch(SIGHUP, 0), catch(SIGCONT, 0);
        sigset_t all, none;
        sigfillset(&all), sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &all, NULL);
        pid_t reader = fork();
        if (!reader) {
            sigprocmask(SIG_SETMASK, &none, NULL);
            char c[10];
            long r = read(fd, c, 10);
            say("child read %s\n", result(r));
            say_caught("child");
            _exit(0);
        }
        until_asleep(reader);
        write(ready[1], "x", 1);
        while (catches < 2)
            sigsuspend(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        int status;
        waitpid(reader, &status, 0);
        say_caught("leader");
        say("/dev/tty %s\n", result(open("/dev/tty", O_RDWR)));
        char c[10];
        say("read %s\n", result(read(fd, c, 10)));
        say("write %s\n", result(write(fd, c, 10)));
        _exit(0);
    }
    char data[4096];
    read(ready[0], data, 1);
    close(s), close(m), close(out[1]);
    long n;
    while ((n = read(out[0], data, sizeof data)) > 0)
        fwrite(data, 1, n, stdout);
    int status;
    waitpid(child, &status, 0);
    printf("  ended %x\n", status);
    return 0;
}

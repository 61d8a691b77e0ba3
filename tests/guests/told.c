/* Says which signals arrive while it computes, sleeps, reads or waits: for tests that send them from outside. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t quit;

static void say(const char *text, int n)
{
    char line[64];
    int size = n < 0 ? snprintf(line, sizeof line, "%s\n", text) : snprintf(line, sizeof line, "%s %d\n", text, n);
    write(1, line, size);
}

static void handler(int signo, siginfo_t *info, void *context)
{
    if (signo == SIGWINCH) {
        struct winsize size = {0};
        ioctl(0, TIOCGWINSZ, &size);
        say("columns", size.ws_col);
    }
    say("signal", signo);
    if (signo == SIGTERM)
        quit = 1;
}

int main(int argc, char **argv)
{
    const char *how = argv[1];
    sigset_t mask;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO}, old;
    for (int signo = 1; signo < 32; signo++) {
        sigaction(signo, NULL, &old);
        if (old.sa_handler == SIG_IGN)
            say("inherited ignored", signo);
    }
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int signo = 1; signo < 65; signo++)
        if (sigismember(&mask, signo) == 1)
            say("inherited blocked", signo);
    for (int i = 2; i < argc; i++)
        sigaction(atoi(argv[i]), &action, NULL);
    say("ready", -1);
    struct timespec t = {5, 0}, left;
    char c;
    while (!quit) {
        if (!strcmp(how, "compute"))
            for (volatile long i = 0; !quit; i++)
                ;
        else if (!strcmp(how, "sleep"))
            say("sleep", nanosleep(&t, &left));
        else if (!strcmp(how, "read"))
            say("read", read(0, &c, 1));
        else if (!strcmp(how, "stop")) {
            raise(SIGSTOP);
            say("continued", -1);
            quit = 1;
        } else
            pause();
    }
    say("end", -1);
    return 7;
}

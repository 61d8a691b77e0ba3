/* Many children that sleep for ever, each in its own way; the parent says when they all do. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int ready[2];
    char c;
    pipe(ready);
    for (int i = 0; i < atoi(argv[1]); i++)
        if (!fork()) {
            struct itimerval it = {{0, 1000}, {0, 1000}};
            if (i % 4 == 0) {
                signal(SIGPROF, SIG_IGN);
                setitimer(ITIMER_PROF, &it, NULL);
            }
            if (i % 4 == 1) {
                sigset_t set;
                sigfillset(&set);
                sigprocmask(SIG_BLOCK, &set, NULL);
                setitimer(ITIMER_REAL, &it, NULL);
            }
            write(ready[1], "x", 1);
            if (i % 4 == 2)
                sleep(1000);
            pause();
        }
    for (int i = 0; i < atoi(argv[1]); i++)
        read(ready[0], &c, 1);
    usleep(300000);
    puts("asleep");
    fflush(stdout);
    read(0, &c, 1);
    sleep(1);
    puts("a second later");
    fflush(stdout);
    kill(0, SIGKILL);
}

// prctl options that concern one thread; bad options and bad arguments.
#include "show.h"
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/personality.h>
#include <sys/wait.h>

int main(void)
{
    char name[32] = "";
    setvbuf(stdout, NULL, _IONBF, 0);
    SHOW(prctl(PR_SET_NAME, "a name that is too long")); SHOW(prctl(PR_GET_NAME, name)); NOTE("%s", name);
    show_file("/proc/self/comm");
    SHOW(prctl(PR_SET_NAME, "")); SHOW(prctl(PR_GET_NAME, name)); show_bytes("name", name, 16);
    char *edge = island(1) + PAGE - 4;
    memcpy(edge, "abc", 4);
    SHOW(prctl(PR_SET_NAME, edge)); SHOW(prctl(PR_GET_NAME, name)); NOTE("%s", name);
    memcpy(edge, "abcd", 4);
    SHOW(prctl(PR_SET_NAME, edge)); SHOW(prctl(PR_GET_NAME, edge)); SHOW(prctl(PR_SET_NAME, (void *)8));
    int value = -1;
    SHOW(prctl(PR_GET_PDEATHSIG, &value)); NOTE("%d", value);
    SHOW(prctl(PR_SET_PDEATHSIG, 15)); SHOW(prctl(PR_GET_PDEATHSIG, &value)); NOTE("%d", value);
    SHOW(prctl(PR_SET_PDEATHSIG, 65)); SHOW(prctl(PR_SET_PDEATHSIG, -1)); SHOW(prctl(PR_GET_PDEATHSIG, (void *)8));
    SHOW(prctl(PR_GET_DUMPABLE)); SHOW(prctl(PR_SET_DUMPABLE, 2)); SHOW(prctl(PR_SET_DUMPABLE, 0)); SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 1));
    SHOW(prctl(PR_GET_TIMERSLACK)); SHOW(prctl(PR_SET_TIMERSLACK, 1000)); SHOW(prctl(PR_GET_TIMERSLACK));
    if (!fork()) { /* its default is what its parent has */
        SHOW(prctl(PR_GET_TIMERSLACK)); SHOW(prctl(PR_SET_TIMERSLACK, 3000)); SHOW(prctl(PR_SET_TIMERSLACK, 0));
        SHOW(prctl(PR_GET_TIMERSLACK));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    SHOW(prctl(PR_SET_TIMERSLACK, 0)); SHOW(prctl(PR_GET_TIMERSLACK));
    SHOW(prctl(PR_GET_CHILD_SUBREAPER, &value)); NOTE("%d", value);
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 5)); SHOW(prctl(PR_GET_CHILD_SUBREAPER, &value)); NOTE("%d", value);
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); SHOW(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)); SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)); SHOW(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)); SHOW(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_SECCOMP)); SHOW(prctl(PR_GET_TSC, &value)); NOTE("%d", value);
    SHOW(prctl(PR_SET_TSC, 1)); SHOW(prctl(PR_SET_TSC, 7));
    SHOW(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0)); SHOW(prctl(PR_MCE_KILL_GET, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_UNALIGN, &value)); SHOW(prctl(PR_GET_FPEMU, &value)); SHOW(prctl(PR_GET_ENDIAN, &value));
    SHOW(prctl(PR_GET_TIMING)); SHOW(prctl(PR_SET_TIMING, 0)); SHOW(prctl(PR_SET_TIMING, 1));
    SHOW(prctl(0)); SHOW(prctl(-1)); SHOW(prctl(9999)); SHOW(prctl(PR_SET_MM, 0, 0, 0, 0));
    SHOW(personality(0xffffffff)); SHOW(personality(ADDR_NO_RANDOMIZE)); SHOW(personality(0xffffffff));
    show_file("/proc/self/personality");
    SHOW(personality(0));
    return 0;
}

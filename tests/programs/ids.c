// Process ids, user and group ids: every call with every kind of id, as root and after dropping it.
#include "show.h"
#include <sys/fsuid.h>

static void ids(const char *when)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;
    getresuid(&r, &e, &s);
    getresgid(&gr, &ge, &gs);
    NOTE("%s: uid %d %d %d %d gid %d %d %d %d", when, r, e, s, setfsuid(-1), gr, ge, gs, setfsgid(-1));
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3) || !strncmp(line, "Groups", 6) || !strncmp(line, "Cap", 3))
            fputs(line, stdout);
    if (f)
        fclose(f);
}

/* The raw calls: the library's would act on all threads. */
#define C(name, ...) SHOW(syscall(SYS_##name, ##__VA_ARGS__))

static void every(int a, int b)
{
    C(setuid, a); ids("setuid");
    C(setreuid, a, b); ids("setreuid");
    C(setresuid, a, b, a); ids("setresuid");
    C(setfsuid, b); ids("setfsuid");
    C(setgid, a); C(setregid, b, a); C(setresgid, a, -1, b); C(setfsgid, a); ids("groups");
}

static void groups(void)
{
    gid_t list[8] = {5, 3, 9, 3}, got[8] = {0};
    C(setgroups, 4, list);
    long n = C(getgroups, 8, got);
    for (long i = 0; i < n; i++)
        NOTE("group %d", got[i]);
    C(getgroups, 0, NULL); C(getgroups, 2, got); C(getgroups, -1, got); C(getgroups, 8, (void *)8);
    C(setgroups, 65537, list); C(setgroups, -1, list); C(setgroups, 2, (void *)8); C(setgroups, 0, NULL);
    C(getgroups, 8, got);
}

int main(void)
{
    SHOW(getpid() == syscall(SYS_gettid));
    SHOW(getpgrp() == getpid());
    SHOW(getpgid(0) == getpid());
    SHOW(getsid(0) == getpid());
    SHOW(getsid(getpid()) == getpid());
    SHOW(getpgid(0x7ffffff0)); SHOW(getsid(0x7ffffff0)); SHOW(getpgid(-1)); SHOW(getsid(-5));
    SHOW(setpgid(0, -1)); SHOW(setpgid(0x7ffffff0, 0)); SHOW(setpgid(0, 0)); SHOW(setpgid(0, 0x7ffffff0));
    SHOW(setsid());
    C(getresuid, (void *)8, (void *)8, (void *)8); C(getresgid, (void *)8, (void *)8, (void *)8);
    ids("start");
    groups();
    C(setuid, -1); C(setgid, -1); C(setreuid, -1, -1); C(setresuid, -1, -1, -1); C(setresgid, -1, -1, -1);
    ids("unchanged");
    if (geteuid() == 0) {
        C(setresuid, -1, 1000, -1); ids("effective only");
        C(setresuid, 1000, 1000, -1); ids("saved root");
        C(setresuid, -1, 0, -1); ids("back");
        C(setreuid, 0, 0); C(setreuid, 1000, 0); ids("real only");
        C(setreuid, 0, -1); ids("real back");
        C(setfsuid, 1000); ids("filesystem"); C(setfsuid, 0); ids("filesystem back");
        C(setgid, 1000); C(setregid, 1001, 1002); C(setresgid, 1003, 1004, 1005); C(setfsgid, 1006); ids("root's groups");
        C(setuid, 1000); ids("dropped");
    }
    every(1000, 1001);
    every(0, 0);
    every(getuid(), -1);
    groups();
    return 0;
}

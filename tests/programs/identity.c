// User and group ids, groups, capabilities, process ids and sessions.
#include "show.h"
#include <linux/capability.h>
#include <sys/fsuid.h>

static void ids(void)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;
    getresuid(&r, &e, &s);
    getresgid(&gr, &ge, &gs);
    NOTE("uid %d %d %d fs %d, gid %d %d %d fs %d", r, e, s, setfsuid(-1), gr, ge, gs, setfsgid(-1));
}

static void caps(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    SHOW(syscall(SYS_capget, &header, data));
    NOTE("eff %d perm %d inh %d", data[0].effective != 0, data[0].permitted != 0, data[0].inheritable != 0);
}

int main(void)
{
    struct __user_cap_header_struct header = {0, 0};
    struct __user_cap_data_struct data[2];
    gid_t groups[65536];
    SHOW(getpid() == syscall(SYS_gettid));
    SHOW(getpgid(0) == getpgrp());
    SHOW(getpgid(getpid()) == getpgrp());
    SHOW(getsid(0) == getsid(getpid()));
    SHOW(getpgid(99999999));
    SHOW(getsid(99999999));
    SHOW(setpgid(0, -1));
    SHOW(setpgid(99999999, 0));
    SHOW(getuid() == geteuid());
    ids();
    caps();
    SHOW(syscall(SYS_capget, &header, NULL));
    NOTE("version %x", header.version);
    SHOW(syscall(SYS_capget, &header, data));
    header.version = 12;
    SHOW(syscall(SYS_capget, &header, data));
    header.pid = 99999999;
    SHOW(syscall(SYS_capget, &header, data));
    int n = SHOW(getgroups(0, NULL));
    SHOW(getgroups(65536, groups) == n);
    SHOW(getgroups(-1, groups));
    SHOW(setuid(getuid()));
    SHOW(setgid(getgid()));
    SHOW(setreuid(-1, -1));
    SHOW(setresuid(-1, -1, -1));
    if (geteuid() == 0) {
        SHOW(setgroups(3, (gid_t[]){30, 10, 20}));
        SHOW(getgroups(2, groups));
        SHOW(getgroups(3, groups));
        NOTE("%d %d %d", groups[0], groups[1], groups[2]);
        SHOW(setgroups(65537, groups));
        SHOW(setgroups(0, NULL));
        SHOW(setresgid(1, 2, 3));
        ids();
        SHOW(setregid(-1, 3));
        ids();
        SHOW(setfsuid(55));
        SHOW(setfsuid(56));
        SHOW(setfsuid(0));
        SHOW(setresuid(100, 0, 200));
        ids();
        SHOW(seteuid(100));
        ids();
        caps();
        SHOW(setuid(300));
        SHOW(setuid(200));
        ids();
        SHOW(setreuid(200, 100));
        ids();
        SHOW(setreuid(-1, 999));
        SHOW(setresuid(0, 0, 0));
        SHOW(setgid(77));
        SHOW(setgroups(0, NULL));
        SHOW(seteuid(0));
    }
    return 0;
}

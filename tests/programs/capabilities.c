// capget, capset, and the prctl options about capabilities.
#include "show.h"
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

static void caps(const char *when)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    syscall(SYS_capget, &head, data);
    NOTE("%s: %08x%08x %08x%08x %08x%08x", when, data[1].effective, data[0].effective, data[1].permitted,
         data[0].permitted, data[1].inheritable, data[0].inheritable);
}

static long set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{effective, permitted, inheritable},
                                             {effective >> 32, permitted >> 32, inheritable >> 32}};
    return syscall(SYS_capset, &head, data);
}

#define B(cap) (1ull << (cap))

int main(void)
{
    struct __user_cap_header_struct head = {0, 0};
    struct __user_cap_data_struct data[2];
    SHOW(syscall(SYS_capget, &head, NULL)); NOTE("version %x", head.version);
    head.version = 7;
    SHOW(syscall(SYS_capget, &head, data)); NOTE("version %x", head.version);
    head.version = 7;
    SHOW(syscall(SYS_capset, &head, data)); NOTE("version %x", head.version);
    head = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, -1};
    SHOW(syscall(SYS_capget, &head, data));
    head.pid = 0x7ffffff0;
    SHOW(syscall(SYS_capget, &head, data)); SHOW(syscall(SYS_capset, &head, data));
    head = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_1, 0};
    SHOW(syscall(SYS_capget, &head, data));
    head = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0};
    SHOW(syscall(SYS_capget, &head, (void *)8)); SHOW(syscall(SYS_capget, (void *)8, data));
    SHOW(syscall(SYS_capset, &head, (void *)8));
    caps("start");
    for (int cap = 0; cap < 43; cap += 6)
        label(prctl(PR_CAPBSET_READ, cap), "bounding %d", cap);
    uint64_t some = B(CAP_KILL) | B(CAP_CHOWN) | B(CAP_SETPCAP) | B(CAP_SETUID);
    SHOW(set(some, some, 0)); caps("some");
    SHOW(set(some | B(CAP_FOWNER), some, 0)); SHOW(set(0, some | B(CAP_FOWNER), 0)); SHOW(set(some, some, B(CAP_FOWNER)));
    caps("inheritable");
    SHOW(set(some, some, some)); caps("inheritable");
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_MKNOD, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, 9, CAP_KILL, 0, 0)); SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    SHOW(prctl(PR_CAPBSET_DROP, CAP_MKNOD)); SHOW(prctl(PR_CAPBSET_READ, CAP_MKNOD)); SHOW(prctl(PR_CAPBSET_DROP, 99));
    SHOW(prctl(PR_GET_SECUREBITS)); SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS)); SHOW(prctl(PR_GET_SECUREBITS));
    SHOW(prctl(PR_SET_SECUREBITS, 1 << 20));
    SHOW(prctl(PR_GET_KEEPCAPS)); SHOW(prctl(PR_SET_KEEPCAPS, 2)); SHOW(prctl(PR_SET_KEEPCAPS, 1));
    SHOW(syscall(SYS_setresuid, 1000, 1000, 1000)); caps("kept"); SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(set(B(CAP_KILL), some, some)); caps("raised");
    SHOW(prctl(PR_CAPBSET_DROP, CAP_KILL)); SHOW(prctl(PR_SET_SECUREBITS, 0)); SHOW(set(0, 0, 0)); caps("none");
    SHOW(set(B(CAP_KILL), B(CAP_KILL), 0)); SHOW(prctl(PR_CAPBSET_DROP, CAP_KILL));
    int bits[] = {0, 0x100, 0x300, 0x200, 0x400, 0xf00, 0xf01, 0x700, 0x1f00};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        label(prctl(PR_SET_SECUREBITS, bits[i]), "securebits %x", bits[i]); SHOW(prctl(PR_GET_SECUREBITS));
    }
    return 0;
}

/* Programs that run as somebody else: set-user-ID and set-group-ID bits, capabilities of files, what they turn off. */
#include "show.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sched.h>

static void report(void)
{
    uid_t r, e, s;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    struct rlimit stack;
    int death;
    getresuid(&r, &e, &s);
    printf("  uid %d %d %d", r, e, s);
    getresgid(&r, &e, &s);
    printf(" gid %d %d %d", r, e, s);
    syscall(SYS_capget, &head, data);
    printf(" caps %08x%08x %08x%08x %08x%08x", data[1].effective, data[0].effective, data[1].permitted,
           data[0].permitted, data[1].inheritable, data[0].inheritable);
    prctl(PR_GET_PDEATHSIG, &death);
    getrlimit(RLIMIT_STACK, &stack);
    printf(" secure %ld auxv %ld %ld dumpable %d pdeath %d nnp %d personality %x stack %ldM securebits %x\n",
           getauxval(AT_SECURE), getauxval(AT_UID), getauxval(AT_EUID), prctl(PR_GET_DUMPABLE), death,
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), personality(0xffffffff) & ~ADDR_NO_RANDOMIZE,
           stack.rlim_cur == RLIM_INFINITY ? -1L : (long)(stack.rlim_cur >> 20), prctl(PR_GET_SECUREBITS));
    struct stat st;
    stat("/proc/self/auxv", &st);
    printf("  files of root %d\n", st.st_uid == 0);
    int fd = open("secret", O_RDONLY);
    printf("  secret %s\n", fd < 0 ? errno_name(errno) : "read");
}

static char *name = "prog";

static int run(void *unused)
{
    char *argv[] = {name, "report", NULL}, *envp[] = {NULL};
    execve(name, argv, envp);
    NOTE("  %s: %s", name, errno_name(errno));
    _exit(1);
}

enum { AS_USER = 1, NO_NEW_PRIVS = 2, PDEATH = 4, PERSONALITY = 8, SHARE = 16, AMBIENT = 32, NOROOT = 64, BOUND = 128, STACK = 256, NO_DUMP = 512, INHERIT = 1024 };

static char stack[64 << 10];

static void start(const char *what, int how)
{
    NOTE("%s", what);
    pid_t pid = fork();
    if (!pid) {
        if (how & NOROOT)
            prctl(PR_SET_SECUREBITS, SECBIT_NOROOT);
        if (how & BOUND)
            prctl(PR_CAPBSET_DROP, CAP_NET_RAW);
        if (how & (AMBIENT | INHERIT)) {
            struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
            struct __user_cap_data_struct data[2] = {{-1u, -1u, 1 << CAP_NET_RAW | 1 << CAP_KILL}, {-1u >> 23, -1u >> 23, 0}};
            syscall(SYS_capset, &head, data);
            prctl(PR_SET_KEEPCAPS, 1);
        }
        if (how & STACK)
            setrlimit(RLIMIT_STACK, &(struct rlimit){64 << 20, RLIM_INFINITY});
        if (how & AS_USER) {
            setgroups(0, NULL);
            setresgid(1000, 1000, 1000);
            setresuid(1000, 1000, 1000);
        }
        if (how & AMBIENT)
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0);
        if (how & NO_NEW_PRIVS)
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (how & PDEATH)
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
        if (how & PERSONALITY)
            personality(READ_IMPLIES_EXEC | ADDR_COMPAT_LAYOUT);
        if (how & NO_DUMP)
            prctl(PR_SET_DUMPABLE, 0);
        if (how & SHARE) {
            int status;
            pid = clone(run, stack + sizeof stack, CLONE_FS | SIGCHLD, NULL);
            waitpid(pid, &status, 0);
            _exit(WEXITSTATUS(status));
        }
        run(NULL);
    }
    int status;
    waitpid(pid, &status, 0);
    if (status)
        NOTE("  status %x", status);
}

static void copy(const char *to, uid_t uid, gid_t gid, int mode)
{
    static char data[2 << 20];
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    long size;
    while ((size = read(in, data, sizeof data)) > 0)
        write(out, data, size);
    fchown(out, uid, gid);
    fchmod(out, mode);
    close(in);
    close(out);
}

static void file_caps(uint32_t permitted, uint32_t inheritable, uint32_t flags)
{
    uint32_t value[5] = {0x02000000 | flags, permitted, inheritable, 0, 0};
    label(setxattr("prog", "security.capability", value, sizeof value, 0), "caps %x %x %x", permitted, inheritable, flags);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        report();
        return 0;
    }
    if (geteuid()) {
        NOTE("needs root");
        return 0;
    }
    setrlimit(RLIMIT_STACK, &(struct rlimit){8 << 20, RLIM_INFINITY});
    chmod(".", 0755);
    make_file("secret", "s");
    chmod("secret", 0600);
    make_file("script", "#!prog report\n");
    chmod("script", 06755);
    copy("prog", 0, 0, 0755);
    start("plain, root", PDEATH | PERSONALITY);
    start("plain, user", AS_USER | PDEATH | PERSONALITY | STACK);
    start("plain, user, ambient", AS_USER | AMBIENT);
    start("plain, root without its powers", NOROOT);
    start("plain, not dumpable", NO_DUMP);
    chmod("prog", 0711);
    start("not readable, user", AS_USER);
    chmod("prog", 04755);
    start("setuid root, user", AS_USER | PDEATH | PERSONALITY | STACK);
    start("setuid root, user, no new privileges", AS_USER | NO_NEW_PRIVS | PDEATH | PERSONALITY);
    start("setuid root, user who shares its directory", AS_USER | SHARE);
    start("setuid root, user, ambient", AS_USER | AMBIENT);
    start("setuid root, user, bounded", AS_USER | BOUND);
    start("setuid root, root", PDEATH | NO_DUMP);
    start("setuid root, root who shares its directory", SHARE);
    start("setuid root, user, without root's powers", AS_USER | NOROOT);
    copy("prog", 1001, 1001, 04755);
    start("setuid 1001, root", PDEATH);
    start("setuid 1001, user", AS_USER);
    copy("prog", 1001, 1001, 02755);
    start("setgid 1001, root", 0);
    start("setgid 1001, user", AS_USER | PDEATH);
    copy("prog", 1001, 1001, 02745);
    start("setgid 1001 without group execution, user", AS_USER);
    copy("prog", 1000, 1000, 06755);
    start("its own, user", AS_USER | PDEATH);
    copy("prog", 0, 0, 0755);
    name = "script";
    start("setuid script, user", AS_USER);
    name = "prog";
    file_caps(1 << CAP_NET_RAW, 0, 1);
    start("file capabilities in effect, user", AS_USER | PDEATH);
    start("file capabilities in effect, user, no new privileges", AS_USER | NO_NEW_PRIVS);
    start("file capabilities in effect, bounded", AS_USER | BOUND);
    start("file capabilities in effect, root", 0);
    start("file capabilities in effect, ambient", AS_USER | AMBIENT);
    file_caps(1 << CAP_NET_RAW, 0, 0);
    start("file capabilities permitted, user", AS_USER | PDEATH);
    start("file capabilities permitted, bounded", AS_USER | BOUND);
    file_caps(1 << CAP_NET_RAW, 1 << CAP_KILL, 1);
    start("file capabilities inherited, user", AS_USER | INHERIT);
    chmod("prog", 04755);
    start("setuid root with file capabilities, user", AS_USER);
    unlink("prog");
    unlink("script");
}

// uname, sysinfo, getrusage, limits, affinity, getcpu, getrandom, prctl.
#include "show.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname u;
    SHOW(uname(&u));
    int major = 0;
    sscanf(u.release, "%d", &major);
    NOTE("%s %s node %d release %d version %d", u.sysname, u.machine, u.nodename[0] != 0, major >= 5, u.version[0] == '#');
    struct sysinfo s;
    SHOW(sysinfo(&s));
    NOTE("uptime %d ram %d free %d procs %d unit %u", s.uptime > 0, s.totalram * s.mem_unit > 1 << 20,
         s.freeram <= s.totalram, s.procs > 0, s.mem_unit);
    struct rusage r;
    memset(&r, 0xaa, sizeof r);
    SHOW(getrusage(RUSAGE_SELF, &r));
    NOTE("rss %d faults %d swaps %ld", r.ru_maxrss > 0, r.ru_minflt > 0, r.ru_nswap);
    SHOW(getrusage(RUSAGE_THREAD, &r));
    SHOW(getrusage(RUSAGE_CHILDREN, &r));
    NOTE("children %ld %ld %ld", r.ru_utime.tv_sec, r.ru_maxrss, r.ru_minflt);
    SHOW(getrusage(7, &r));
    for (int i = -1; i < 17; i++) {
        struct rlimit l = {7, 7};
        label(syscall(SYS_getrlimit, i, &l), "getrlimit %d", i);
        if (i != RLIMIT_NPROC && i != RLIMIT_SIGPENDING && i != RLIMIT_MEMLOCK && l.rlim_cur != 7)
            NOTE("  %lx %lx", (long)l.rlim_cur, (long)l.rlim_max);
    }
    struct rlimit l = {5, 3}, old;
    SHOW(setrlimit(RLIMIT_CORE, &l));
    l = (struct rlimit){3, 3};
    SHOW(prlimit(0, RLIMIT_CORE, &l, &old));
    SHOW(prlimit(getpid(), RLIMIT_CORE, NULL, &old));
    NOTE("%ld %ld", (long)old.rlim_cur, (long)old.rlim_max);
    SHOW(prlimit(99999999, RLIMIT_CORE, NULL, &old));
    SHOW(prlimit(0, 99, NULL, &old));
    SHOW(prlimit(-1, RLIMIT_CORE, NULL, &old));
    l = (struct rlimit){1, 1L << 40};
    SHOW(setrlimit(RLIMIT_NOFILE, &l));

    cpu_set_t set;
    CPU_ZERO(&set);
    SHOW(sched_getaffinity(0, sizeof set, &set));
    int cpus = CPU_COUNT(&set);
    NOTE("cpus agree %d", cpus >= 1 && sysconf(_SC_NPROCESSORS_ONLN) >= cpus);
    SHOW(syscall(SYS_sched_getaffinity, 0, 0, &set));
    SHOW(syscall(SYS_sched_getaffinity, 0, 7, &set));
    SHOW(syscall(SYS_sched_getaffinity, 99999999, sizeof set, &set));
    SHOW(sched_setaffinity(0, sizeof set, &set));
    CPU_ZERO(&set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    unsigned cpu = 99, node = 99;
    SHOW(syscall(SYS_getcpu, &cpu, &node, NULL));
    NOTE("cpu %d node %d", cpu < 4096, node < 64);
    SHOW(sched_yield());
    SHOW(sched_getscheduler(0));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(sched_get_priority_min(SCHED_OTHER));
    SHOW(sched_get_priority_max(99));
    struct sched_param param;
    SHOW(sched_getparam(0, &param));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 3));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(syscall(SYS_getpriority, PRIO_PROCESS, 0));
    SHOW(getpriority(9, 0));

    char a[300], b[300];
    memset(a, 0, sizeof a);
    SHOW(syscall(SYS_getrandom, a, 256, 0));
    SHOW(syscall(SYS_getrandom, b, 256, 1));
    NOTE("random %d", memcmp(a, b, 256) != 0);
    SHOW(syscall(SYS_getrandom, a, 10, 99));
    SHOW(syscall(SYS_getrandom, a, 0, 0));
    SHOW(syscall(SYS_getrandom, a, 10, 6));

    char name[17] = "";
    SHOW(prctl(PR_SET_NAME, "a name that is too long"));
    SHOW(prctl(PR_GET_NAME, name));
    NOTE("%s", name);
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 0));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 7));
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int death = 77;
    SHOW(prctl(PR_GET_PDEATHSIG, &death));
    NOTE("%d", death);
    SHOW(prctl(PR_SET_PDEATHSIG, SIGTERM));
    SHOW(prctl(PR_GET_PDEATHSIG, &death));
    NOTE("%d", death);
    SHOW(prctl(PR_SET_PDEATHSIG, 99));
    SHOW(prctl(PR_GET_TIMERSLACK));
    SHOW(prctl(PR_GET_KEEPCAPS));
    SHOW(prctl(PR_GET_SECCOMP));
    SHOW(prctl(PR_CAPBSET_READ, 0));
    SHOW(prctl(PR_CAPBSET_READ, 99));
    SHOW(prctl(9999));
    SHOW(syscall(SYS_personality, 0xffffffff) & ~0x0040000);
    SHOW(syscall(9999));
    SHOW(syscall(-5));
    SHOW(syscall(SYS_create_module));
    return 0;
}

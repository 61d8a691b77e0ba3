// uname, host names, sysinfo, getrusage, times, getrandom, syslog.
#include "show.h"
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname u;
    SHOW(uname(&u)); NOTE("%s %s %s", u.sysname, u.nodename, u.machine); SHOW(syscall(SYS_uname, (void *)8));
    SHOW(sethostname("x", -1)); SHOW(sethostname("x", 65)); SHOW(sethostname((void *)8, 3)); SHOW(setdomainname("x", 65));
    struct sysinfo s;
    memset(&s, 0xff, sizeof s);
    SHOW(sysinfo(&s)); NOTE("%d %d %d", s.uptime > 0, s.totalram > s.freeram, s.mem_unit); SHOW(syscall(SYS_sysinfo, (void *)8));
    struct rusage r;
    SHOW(getrusage(RUSAGE_SELF, &r)); SHOW(r.ru_maxrss > 100); SHOW(r.ru_minflt > 5);
    SHOW(getrusage(RUSAGE_CHILDREN, &r)); SHOW(r.ru_maxrss); SHOW(getrusage(RUSAGE_THREAD, &r)); SHOW(getrusage(2, &r));
    SHOW(getrusage(RUSAGE_SELF, (void *)8));
    struct tms t;
    TRY(times(&t)); SHOW(t.tms_cutime); TRY(syscall(SYS_times, NULL)); SHOW(syscall(SYS_times, (void *)8));
    char *edge = island(1) + PAGE - 16;
    SHOW(getrandom(edge, 16, 0)); SHOW(getrandom(edge, 17, 0)); SHOW(getrandom(edge + 16, 1, 0)); SHOW(getrandom(edge, 0, 0));
    SHOW(getrandom(edge, 8, GRND_NONBLOCK | GRND_RANDOM)); SHOW(getrandom(edge, 8, 8)); SHOW(getrandom(edge, 8, 6));
    SHOW(getrandom(NULL, 0, 0)); SHOW(getrandom(edge, 8, 4));
    if (geteuid() == 0) {
        SHOW(setresuid(1000, 1000, 1000));
        SHOW(sethostname("x", 1)); SHOW(setdomainname("x", 1));
    }
    return 0;
}

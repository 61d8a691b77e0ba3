// Scheduling attributes: policies, priorities, nice values, affinity, as root and without privileges.
#include "show.h"
#include <linux/ioprio.h>
#include <sched.h>

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t low, high;
};

#define C(name, ...) SHOW(syscall(SYS_##name, ##__VA_ARGS__))

static void show(void)
{
    struct sched_param p = {-1};
    struct attributes a = {0};
    SHOW(sched_getscheduler(0)); SHOW(sched_getparam(0, &p)); NOTE("%d", p.sched_priority);
    C(sched_getattr, 0, &a, sizeof a, 0);
    NOTE("size %u policy %u flags %lx nice %d priority %u", a.size, a.policy, a.flags, a.nice, a.priority);
    C(getpriority, 0, 0);
}

static void change(void)
{
    struct sched_param zero = {0}, ten = {10}, high = {100};
    C(sched_setscheduler, 0, 0, &ten); C(sched_setscheduler, 0, 9, &zero); C(sched_setscheduler, 0, -1, &zero);
    C(sched_setscheduler, 0, SCHED_FIFO, &zero); C(sched_setscheduler, 0, SCHED_FIFO, &high);
    C(sched_setscheduler, 0, SCHED_BATCH, &zero); show();
    C(sched_setscheduler, 0, SCHED_IDLE, &zero); show();
    C(sched_setscheduler, 0, SCHED_OTHER, &zero); show();
    C(sched_setscheduler, 0, SCHED_FIFO, &ten); show();
    C(sched_setparam, 0, &zero); C(sched_setparam, 0, NULL); C(sched_setscheduler, 0, 0, NULL); C(sched_setscheduler, 0, 0, (void *)8);
    C(sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &zero); show();
    C(sched_setscheduler, 0, SCHED_OTHER, &zero); show();
    C(setpriority, 0, 0, 5); show(); C(setpriority, 0, 0, 100); show(); C(setpriority, 0, 0, -100); show(); C(setpriority, 0, 0, 0); show();
    struct attributes a = {sizeof a, SCHED_BATCH, 0, 7, 0};
    C(sched_setattr, 0, &a, 0); show();
    a = (struct attributes){sizeof a, SCHED_RR, 0, 0, 20};
    C(sched_setattr, 0, &a, 0); show();
    a = (struct attributes){sizeof a, SCHED_OTHER, 0, 0, 0};
    C(sched_setattr, 0, &a, 0); show();
    a.flags = 1 << 20;
    C(sched_setattr, 0, &a, 0);
    a = (struct attributes){20};
    C(sched_setattr, 0, &a, 0); NOTE("size %u", a.size);
    C(sched_setattr, 0, NULL, 0); C(sched_setattr, -1, &a, 0); C(sched_setattr, 0, &a, 1);
    C(sched_getattr, 0, &a, 20, 0); C(sched_getattr, 0, &a, sizeof a, 1); C(sched_getattr, 0, NULL, sizeof a, 0);
    C(ioprio_set, 1, 0, IOPRIO_CLASS_BE << 13 | 3); C(ioprio_get, 1, 0); C(ioprio_set, 1, 0, IOPRIO_CLASS_RT << 13 | 3); C(ioprio_get, 1, 0);
    C(ioprio_set, 1, 0, 7 << 13); C(ioprio_set, 9, 0, 0); C(ioprio_get, 9, 0); C(ioprio_get, 1, 0x7ffffff0); C(ioprio_set, 1, 0, 0);
}

int main(void)
{
    C(ioprio_get, 1, 0);
    show();
    for (int policy = -1; policy < 8; policy++) {
        label(sched_get_priority_min(policy), "min %d", policy);
        label(sched_get_priority_max(policy), "max %d", policy);
    }
    C(sched_getscheduler, -1); C(sched_getscheduler, 0x7ffffff0); C(sched_getparam, 0, NULL); C(sched_getparam, -1, (void *)8);
    C(getpriority, 3, 0); C(getpriority, -1, 0); C(getpriority, 0, 0x7ffffff0); C(setpriority, 3, 0, 0); C(setpriority, 0, 0x7ffffff0, 0);
    unsigned char mask[1024];
    memset(mask, 0xff, sizeof mask);
    SHOW(syscall(SYS_sched_getaffinity, 0, 1, mask)); SHOW(syscall(SYS_sched_getaffinity, 0, 12, mask));
    SHOW(syscall(SYS_sched_getaffinity, 0, 128, mask) > 0); SHOW(mask[0] & 1);
    SHOW(syscall(SYS_sched_getaffinity, 0, 0, mask)); SHOW(syscall(SYS_sched_getaffinity, 0x7ffffff0, 128, mask));
    SHOW(syscall(SYS_sched_getaffinity, 0, 128, (void *)8));
    mask[0] = 1;
    C(sched_setaffinity, 0, 1, mask); C(sched_setaffinity, 0, 8, mask);
    memset(mask, 0, sizeof mask);
    C(sched_setaffinity, 0, 8, mask); C(sched_setaffinity, 0, 0, mask); C(sched_setaffinity, 0, 8, (void *)8); C(sched_setaffinity, 0x7ffffff0, 8, mask);
    struct timespec t = {9, 9};
    C(sched_rr_get_interval, 0, &t); NOTE("%ld %ld", t.tv_sec, t.tv_nsec);
    C(sched_rr_get_interval, -1, &t); C(sched_rr_get_interval, 0x7ffffff0, &t);
    SHOW(sched_yield());
    unsigned cpu = 9, node = 9;
    SHOW(syscall(SYS_getcpu, &cpu, &node, NULL)); NOTE("node %u", node);
    SHOW(syscall(SYS_getcpu, NULL, NULL, NULL)); SHOW(syscall(SYS_getcpu, (void *)8, NULL, NULL));
    change();
    if (geteuid() == 0) {
        SHOW(setresuid(1000, 1000, 1000));
        change();
    }
    return 0;
}

// --strace and --stats: lxrun is told of every call of the program and of what comes from it, by ptrace(2).
//
// What is told and asked is listed in vm/protocol.py.  Under STEPS whoever made the call waits until lxrun has looked
// at it, and at its memory, and says that it may go on; under COUNTS it goes on at once.

#include "agent.h"
#include <errno.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_READ = 65536 };

static char tracing; // 0, STEPS or COUNTS

// The C library's headers and the kernel's each declare half of this.
static long trace(unsigned long request, pid_t tid, unsigned long address, void *data)
{
    return syscall(SYS_ptrace, request, (long)tid, address, data);
}

// Before PID runs the program.
void trace_from_start(pid_t pid, char how)
{
    unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                            PTRACE_O_TRACECLONE;
    if (trace(PTRACE_SEIZE, pid, 0, (void *)options))
        fail('m', "a tracer");
    tracing = how;
}

static void tell(pid_t tid, char kind, const void *data, size_t size)
{
    char message[13 + 256];
    struct timespec now;
    uint32_t number = (uint32_t)tid;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t nanoseconds = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    memcpy(message, &number, 4);
    message[4] = kind;
    memcpy(message + 5, &nanoseconds, 8);
    memcpy(message + 13, data, size);
    send_message('T', message, 13 + size);
}

// It may have been killed meanwhile: then wait4(2) will say so.
static void go_on(pid_t tid, int signo, int stopped)
{
    trace(stopped ? PTRACE_LISTEN : PTRACE_SYSCALL, tid, 0, (void *)(long)signo);
}

static int tell_of_call(pid_t tid)
{
    struct ptrace_syscall_info info;
    if (trace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0)
        return 0;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        uint64_t call[8] = {info.arch, info.entry.nr};
        memcpy(call + 2, info.entry.args, sizeof info.entry.args);
        tell(tid, 'e', call, sizeof call);
        return 1;
    }
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        uint64_t end[2] = {(uint64_t)info.exit.rval, 0};
        trace(PTRACE_GETSIGMASK, tid, sizeof end[1], &end[1]);
        tell(tid, 'l', end, sizeof end);
        return 1;
    }
    return 0;
}

// TID has run a program; if that was another thread's call, this has taken its place.
static int tell_of_exec(pid_t tid)
{
    static int started;
    struct ptrace_syscall_info info = {0};
    unsigned long former = 0;
    trace(PTRACE_GETEVENTMSG, tid, 0, &former);
    if (!started) {
        started = 1;
        trace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info);
        uint64_t stack = info.stack_pointer;
        tell(tid, 'b', &stack, sizeof stack);
        return 1;
    }
    if ((pid_t)former == tid)
        return 0;
    uint64_t number = former;
    tell(tid, 'w', &number, sizeof number);
    return 1;
}

// Whether a stop that wait4(2) has reported is one by a signal, as whoever does not trace sees it.
int is_stopped(int status)
{
    return !tracing || (status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP);
}

// A stop that wait4(2) has reported.
void trace_stop(pid_t tid, int status)
{
    int signo = WSTOPSIG(status), event = status >> 16, told = 0, stopped = 0;
    if (!tracing)
        return;
    if (signo == (SIGTRAP | 0x80)) {
        told = tell_of_call(tid);
        signo = 0;
    } else if (event == PTRACE_EVENT_STOP) {
        uint32_t number = (uint32_t)signo;
        stopped = signo != SIGTRAP; // that is the first stop of a new task, or the end of one
        if (stopped) {
            tell(tid, 'p', &number, sizeof number);
            told = 1;
        }
        signo = 0;
    } else if (event) {
        told = event == PTRACE_EVENT_EXEC && tell_of_exec(tid);
        signo = 0;
    } else {
        char signal[4 + sizeof(siginfo_t)];
        uint32_t number = (uint32_t)signo;
        memcpy(signal, &number, 4);
        if (trace(PTRACE_GETSIGINFO, tid, 0, signal + 4) == 0) {
            tell(tid, 's', signal, sizeof signal);
            told = 1;
        }
    }
    if (!told || tracing == COUNTS)
        go_on(tid, signo, stopped);
}

// wait4(2) has reported the end of a thread.
void trace_end(pid_t tid, int status, const struct rusage *usage)
{
    uint64_t end[4] = {(uint64_t)(uint32_t)status, (uint64_t)usage->ru_minflt, (uint64_t)usage->ru_majflt,
                       (uint64_t)usage->ru_maxrss};
    if (tracing)
        tell(tid, 'x', end, sizeof end);
}

// lxrun has looked at what it was told, or wants to see memory.
void trace_request(char type, const char *payload, size_t size)
{
    static char found[MOST_READ];
    struct {
        uint32_t tid, number;
        uint64_t address;
    } request = {0};
    if (size > sizeof request)
        return;
    memcpy(&request, payload, size);
    if (type == 'G') {
        go_on((pid_t)request.tid, (int)(request.number & 0xff), (request.number & 0x100) != 0);
    } else {
        struct iovec here = {found, request.number < MOST_READ ? request.number : MOST_READ};
        struct iovec there = {(void *)request.address, here.iov_len};
        ssize_t count = process_vm_readv((pid_t)request.tid, &here, 1, &there, 1, 0);
        send_message('M', found, count > 0 ? (size_t)count : 0);
    }
}

/* Filters, their actions' names, and a child that lives under them. */
#ifndef SECCOMP_H
#define SECCOMP_H

#include "show.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define ARG_HIGH(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
/* Skip the next instruction unless A is that. */
#define IF(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1)

UNUSED static long seccomp_(unsigned op, unsigned flags, void *args)
{
    return syscall(SYS_seccomp, op, flags, args);
}

UNUSED static long install(struct sock_filter *code, size_t size, unsigned flags)
{
    struct sock_fprog program = {size, code};
    return seccomp_(SECCOMP_SET_MODE_FILTER, flags, &program);
}

#define INSTALL(flags, ...)                                   \
    ({                                                        \
        struct sock_filter code_[] = {__VA_ARGS__};           \
        install(code_, LENGTH(code_), flags);                 \
    })

/* The answer to one call; every other is allowed. */
#define ANSWER(flags, call, value) INSTALL(flags, FIELD(nr), IF(call), RETURN(value), RETURN(SECCOMP_RET_ALLOW))

UNUSED static void show_status(int status)
{
    if (WIFSIGNALED(status))
        NOTE("  %s%s", signal_name(WTERMSIG(status)), WCOREDUMP(status) ? ", core" : "");
    else
        NOTE("  exit %d", WEXITSTATUS(status));
}

/* What becomes of a child that does this. */
#define CHILD(...)                       \
    do {                                 \
        fflush(stdout);                  \
        pid_t pid_ = fork();             \
        if (!pid_) {                     \
            __VA_ARGS__;                 \
            fflush(stdout);              \
            syscall(SYS_exit_group, 0);  \
        }                                \
        int status_;                     \
        waitpid(pid_, &status_, 0);      \
        show_status(status_);            \
    } while (0)

UNUSED static void show_seccomp(void)
{
    char line[256];
    FILE *f = fopen("/proc/thread-self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNew", 5))
            fputs(line, stdout);
    if (f)
        fclose(f);
}

#endif

// seccomp(2) and prctl(PR_SET_SECCOMP): which programs are taken, what each action does, chains, fork and exec.
// run:
// run: user
#include "seccomp.h"

static char *self;

static void operations(void)
{
    unsigned actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
                          SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW, 0x12340000, 1};
    for (size_t i = 0; i < LENGTH(actions); i++)
        label(seccomp_(SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]), "action %x", actions[i]);
    SHOW(seccomp_(SECCOMP_GET_ACTION_AVAIL, 1, actions)); SHOW(seccomp_(SECCOMP_GET_ACTION_AVAIL, 0, (void *)8));
    struct seccomp_notif_sizes sizes = {0};
    SHOW(seccomp_(SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
    NOTE("sizes %d %d %d", sizes.seccomp_notif, sizes.seccomp_notif_resp, sizes.seccomp_data);
    SHOW(seccomp_(SECCOMP_GET_NOTIF_SIZES, 1, &sizes)); SHOW(seccomp_(SECCOMP_GET_NOTIF_SIZES, 0, NULL));
    SHOW(seccomp_(9, 0, NULL)); SHOW(seccomp_(9, 9, NULL));
    SHOW(seccomp_(SECCOMP_SET_MODE_STRICT, 1, NULL)); SHOW(seccomp_(SECCOMP_SET_MODE_STRICT, 0, &sizes));
    SHOW(prctl(PR_GET_SECCOMP)); SHOW(prctl(PR_SET_SECCOMP, 0)); SHOW(prctl(PR_SET_SECCOMP, 3));
    SHOW(seccomp_(SECCOMP_SET_MODE_FILTER, 0, NULL)); SHOW(seccomp_(SECCOMP_SET_MODE_FILTER, 0, (void *)8));
    SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL));
    for (unsigned flags = 1; flags < 65; flags++)
        CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); errno = 0;
              long got = ANSWER(flags, SYS_getppid, SECCOMP_RET_ERRNO); label(got > 0 ? 1 : got, "flags %x", flags));
    show_file("/proc/sys/kernel/seccomp/actions_avail");
    show_file("/proc/sys/kernel/seccomp/actions_logged");
}

static void try_code(const char *what, struct sock_filter *code, size_t size)
{
    long got = install(code, size, 0);
    label(got, "%s", what);
}

#define TAKE(...)                                        \
    do {                                                 \
        struct sock_filter code_[] = {__VA_ARGS__};      \
        try_code(#__VA_ARGS__, code_, LENGTH(code_));    \
    } while (0)

static void checker(void)
{
    static struct sock_filter many[4097];
    for (size_t i = 0; i < LENGTH(many); i++)
        many[i] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    NOTE("checker");
    label(install(many, 4097, 0), "4097 instructions");
    label(install(many, 0, 0), "none");
    label(install((void *)8, 1, 0), "bad address");
    TAKE(FIELD(nr));
    TAKE(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 62), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 3), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RETURN(SECCOMP_RET_ALLOW));
    CHILD(TAKE(BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RETURN(SECCOMP_RET_ALLOW)));
    TAKE(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 31), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_ST, 16), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_LD | BPF_MEM, 3), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), RETURN(SECCOMP_RET_ALLOW));
    TAKE(IF(1), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), BPF_STMT(BPF_ST, 3), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_JUMP(BPF_JMP | BPF_JA, 2, 0, 0), BPF_STMT(BPF_ST, 3), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_JUMP(BPF_JMP | BPF_JA, -1, 0, 0), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0), RETURN(0), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), RETURN(SECCOMP_RET_ALLOW), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_RET | BPF_X, 0));
    TAKE(BPF_STMT(0xffff, 0), RETURN(SECCOMP_RET_ALLOW));
    TAKE(BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_A, 0));
    TAKE(BPF_STMT(BPF_LDX | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 64, 1, 0), RETURN(0),
         RETURN(SECCOMP_RET_ALLOW));
    show_seccomp();
    CHILD(int n = 0; while (install(many, 1, 0) == 0) n++; NOTE("%d small ones, then %s", n, errno_name(errno)); show_seccomp());
    CHILD(int n = 0; while (install(many, 4096, 0) == 0) n++; NOTE("%d large ones, then %s", n, errno_name(errno)));
    CHILD(int n = 0; while (ANSWER(0, SYS_getppid, SECCOMP_RET_LOG) == 0) n++; NOTE("%d of four, then %s", n, errno_name(errno)));
    CHILD(int n = 0; while (INSTALL(0, FIELD(nr), BPF_STMT(BPF_LDX | BPF_IMM, 1), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, -1, 0, 1), RETURN(0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 9999, 0, 1), RETURN(0), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1 << 30, 0, 1), RETURN(0),
        BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), BPF_STMT(BPF_ALU | BPF_NEG, 0), BPF_STMT(BPF_STX, 1), BPF_STMT(BPF_LD | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 0, 0), RETURN(SECCOMP_RET_ALLOW)) == 0) n++;
        NOTE("%d of all kinds, then %s", n, errno_name(errno)));
}

/* A program that computes something of the first argument and answers with it as errno. */
#define COMPUTE(a, ...)                                                                                            \
    CHILD(INSTALL(0, FIELD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsid, 1, 0), RETURN(SECCOMP_RET_ALLOW), \
                  ARG(0), __VA_ARGS__, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),                                \
                  BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0));           \
          errno = 0; long got = syscall(SYS_getsid, a); NOTE(#__VA_ARGS__ " of %lx: %ld %d", (long)(a), got, errno))

static void computing(void)
{
    COMPUTE(7, BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 5));
    COMPUTE(7, BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 9));
    COMPUTE(0x12345678, BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9abcdef1));
    COMPUTE(0xffffffff, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0x123456));
    COMPUTE(0x12345678, BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 0xabc));
    COMPUTE(0xffffff12, BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 23));
    COMPUTE(0x12345678, BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 3));
    COMPUTE(7, BPF_STMT(BPF_ALU | BPF_NEG, 0));
    COMPUTE(0x12345678, BPF_STMT(BPF_LDX | BPF_IMM, 36), BPF_STMT(BPF_ALU | BPF_RSH | BPF_X, 0));
    COMPUTE(0x12345678, BPF_STMT(BPF_LDX | BPF_IMM, 35), BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0));
    COMPUTE(123456, BPF_STMT(BPF_LDX | BPF_IMM, 77), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0));
    COMPUTE(40, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0));
    COMPUTE(40, BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_IMM, 2), BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_STX, 0),
            BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), BPF_STMT(BPF_LD | BPF_MEM, 0));
    COMPUTE(40, BPF_STMT(BPF_LD | BPF_LEN, 0));
    COMPUTE(40, BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 40, 1, 0), BPF_STMT(BPF_LD | BPF_IMM, 1));
    COMPUTE(40, BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 40, 1, 0), BPF_STMT(BPF_LD | BPF_IMM, 1));
    COMPUTE(40, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 8, 1, 0), BPF_STMT(BPF_LD | BPF_IMM, 1));
    COMPUTE(0xffffffff, BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 1, 0), BPF_STMT(BPF_LD | BPF_IMM, 1));
    COMPUTE(1, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0), BPF_STMT(BPF_LD | BPF_IMM, 9));
    COMPUTE(1, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 1, 0), BPF_STMT(BPF_LD | BPF_IMM, 9));
    COMPUTE(1, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, 0, 1), BPF_STMT(BPF_LD | BPF_IMM, 9));
    COMPUTE(1, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_ALU | BPF_AND | BPF_X, 0), BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0),
            BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0));
    COMPUTE(1, FIELD(arch), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 28));
    COMPUTE(0x7700000005, ARG_HIGH(0));
    COMPUTE(1, ARG(5));
    /* Dividing by zero ends the program with 0: SECCOMP_RET_KILL_THREAD */
    COMPUTE(40, BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0));
}

static volatile sig_atomic_t traps;

static void trapped(int signo, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    unsigned char *at = info->si_call_addr;
    traps++;
    NOTE("  SIGSYS code %d errno %d call %d arch %x, after a syscall instruction %d, rip there %d, rax %lld", info->si_code,
         info->si_errno, info->si_syscall, info->si_arch, at[-2] == 0x0f && at[-1] == 0x05,
         u->uc_mcontext.gregs[REG_RIP] == (long)at, u->uc_mcontext.gregs[REG_RAX]);
    u->uc_mcontext.gregs[REG_RAX] = 1234;
}

static void actions(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    NOTE("actions");
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | EPERM); SHOW(syscall(SYS_getppid)); show_seccomp());
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO); SHOW(syscall(SYS_getppid)));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | 5000); errno = 0; long got = syscall(SYS_getppid); NOTE("%ld %d", got, errno));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_TRACE | 5); SHOW(syscall(SYS_getppid)));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_USER_NOTIF); SHOW(syscall(SYS_getppid)));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_LOG); TRY(syscall(SYS_getppid)));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS); syscall(SYS_getppid));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_KILL_THREAD); syscall(SYS_getppid));
    CHILD(ANSWER(0, SYS_getppid, 0x12345678); syscall(SYS_getppid));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_TRAP); syscall(SYS_getppid));
    CHILD(struct sigaction act = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO}; sigaction(SIGSYS, &act, NULL);
          ANSWER(0, SYS_getppid, SECCOMP_RET_TRAP | 77); SHOW(syscall(SYS_getppid)); ANSWER(0, 9999, SECCOMP_RET_TRAP);
          SHOW(syscall(9999)); NOTE("traps %d", traps));
    CHILD(signal(SIGSYS, SIG_IGN); ANSWER(0, SYS_getppid, SECCOMP_RET_TRAP); syscall(SYS_getppid));
    CHILD(struct sigaction act = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO}; sigaction(SIGSYS, &act, NULL);
          sigset_t set; sigfillset(&set); sigprocmask(SIG_BLOCK, &set, NULL); ANSWER(0, SYS_getppid, SECCOMP_RET_TRAP);
          syscall(SYS_getppid));
    CHILD(struct sigaction act = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO}; sigaction(SIGSYS, &act, NULL);
          ANSWER(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS); syscall(SYS_getppid));
    NOTE("strict");
    CHILD(NOTE("before"); fflush(stdout); prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); write(1, "write\n", 6);
          syscall(SYS_exit, 3));
    CHILD(seccomp_(SECCOMP_SET_MODE_STRICT, 0, NULL); syscall(SYS_getpid));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | 1); SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)));
    NOTE("chains");
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | 1); ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | 2);
          SHOW(syscall(SYS_getppid)); ANSWER(0, SYS_getppid, SECCOMP_RET_LOG); SHOW(syscall(SYS_getppid));
          ANSWER(0, SYS_getppid, SECCOMP_RET_TRACE); SHOW(syscall(SYS_getppid)); show_seccomp();
          ANSWER(0, SYS_getppid, SECCOMP_RET_TRAP); fflush(stdout); syscall(SYS_getppid));
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS); ANSWER(0, SYS_getppid, SECCOMP_RET_KILL_THREAD); syscall(SYS_getppid));
    CHILD(ANSWER(0, SYS_seccomp, SECCOMP_RET_ERRNO | 9); SHOW(ANSWER(0, SYS_getppid, SECCOMP_RET_LOG));
          struct sock_filter allow = RETURN(SECCOMP_RET_ALLOW); struct sock_fprog p = {1, &allow};
          SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p)); SHOW(prctl(PR_GET_SECCOMP)); show_seccomp());
    CHILD(INSTALL(0, FIELD(nr), IF(SYS_getppid), RETURN(SECCOMP_RET_ERRNO | 3), FIELD(instruction_pointer), IF(0),
                  RETURN(SECCOMP_RET_KILL_PROCESS), RETURN(SECCOMP_RET_ALLOW)); SHOW(syscall(SYS_getppid)); SHOW(getuid() == geteuid()));
    NOTE("an answer by argument");
    CHILD(INSTALL(0, FIELD(nr), IF(SYS_umask), BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RETURN(SECCOMP_RET_ALLOW), ARG(0), IF(022),
                  RETURN(SECCOMP_RET_ERRNO | 22), RETURN(SECCOMP_RET_ALLOW)); SHOW(syscall(SYS_umask, 022));
          SHOW(syscall(SYS_umask, 023)); SHOW(syscall(SYS_umask, 022)));
    NOTE("fork and exec");
    CHILD(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO | 4); CHILD(SHOW(syscall(SYS_getppid)); show_seccomp());
          char *argv[] = {self, "again", NULL}; execv(self, argv); perror("exec"));
    NOTE("a call that waits is asked about once it is made, and again when it is restarted");
    CHILD(int pipes[2]; pipe(pipes); ANSWER(0, SYS_read, SECCOMP_RET_ERRNO | 4); char byte; SHOW((int)read(pipes[0], &byte, 1)));
    CHILD(SHOW(syscall(SYS_getppid) > 0); ANSWER(0, SYS_exit_group, SECCOMP_RET_ERRNO | 1); syscall(SYS_exit_group, 5); syscall(SYS_exit, 6));
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1 && !strcmp(argv[1], "again")) {
        SHOW(syscall(SYS_getppid));
        show_seccomp();
        return 0;
    }
    if (argc > 1) {
        if (setresgid(4321, 4321, 4321) || setresuid(4321, 4321, 4321))
            die("setresuid");
        NOTE("without no_new_privs");
        SHOW(ANSWER(0, SYS_getppid, SECCOMP_RET_ERRNO)); SHOW(install(NULL, 1, 0)); SHOW(install(NULL, 0, 0));
        SHOW(ANSWER(64, SYS_getppid, SECCOMP_RET_ERRNO)); SHOW(INSTALL(0, FIELD(nr)));
        CHILD(long got = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_exit, got ? 1 : 2));
        SHOW(open("/proc/sys/kernel/seccomp/actions_logged", O_WRONLY));
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    operations();
    CHILD(checker());
    computing();
    actions();
    return 0;
}

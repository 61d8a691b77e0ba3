// Core files: when there is one, the status that says so, and what is in it.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char data[4096] __attribute__((aligned(4096))) = "found in the core";
static char *private_page, *shared_page, *excluded, *untouched, *file_page;
static pid_t dumped;
static double number = 1.5;

static void limit(rlim_t size) {
    struct rlimit r = {size, RLIM_INFINITY};
    getrlimit(RLIMIT_CORE, &r);
    r.rlim_cur = size;
    if (setrlimit(RLIMIT_CORE, &r)) printf("setrlimit: %s\n", strerror(errno));
}

static void outcome(const char *what, int status) {
    struct stat st;
    printf("%-22s signal %d dumped %d", what, WIFSIGNALED(status) ? WTERMSIG(status) : 0, WCOREDUMP(status) != 0);
    if (lstat("core", &st)) printf(", no file\n");
    else printf(", mode %o nlink %d %s\n", st.st_mode, (int)st.st_nlink, st.st_size ? "filled" : "empty");
}

static int run(const char *what, void (*child)(void)) {
    int status;
    fflush(stdout);
    dumped = fork();
    if (!dumped) {
        child();
        _exit(0);
    }
    waitpid(dumped, &status, 0);
    outcome(what, status);
    return status;
}

static void by_signal(int signo) { signal(signo, SIG_DFL); raise(signo); }
static void dies(void) { limit(RLIM_INFINITY); by_signal(SIGABRT); }
static void no_limit(void) { limit(0); by_signal(SIGABRT); }
static void small(void) { limit(4095); by_signal(SIGABRT); }
static void page(void) { limit(4096); by_signal(SIGABRT); }
static void hidden(void) { limit(RLIM_INFINITY); prctl(PR_SET_DUMPABLE, 0); by_signal(SIGABRT); }
static void masked(void) { limit(RLIM_INFINITY); umask(0777); by_signal(SIGABRT); }
static void fault(void) { limit(RLIM_INFINITY); *(volatile int *)16 = 1; }
static void elsewhere(void) { limit(RLIM_INFINITY); chdir("dir"); by_signal(SIGQUIT); }

static void *sleeper(void *unused) { for (;;) pause(); }

static void mapped(void) {
    limit(RLIM_INFINITY);
    pthread_t thread;
    pthread_create(&thread, 0, sleeper, 0);
    usleep(50000);
    strcpy(private_page, "private");
    strcpy(shared_page, "shared");
    strcpy(excluded, "excluded");
    madvise(excluded, 4096, MADV_DONTDUMP);
    volatile double result = number * 2;
    *(volatile int *)16 = 1;
}

static void filtered(void) {
    int fd = open("/proc/self/coredump_filter", O_WRONLY);
    write(fd, "0xf", 3);
    mapped();
}

static unsigned char *core;
static size_t core_size;

// What the core holds of an address: its size in the file, -1 for none.
static long in_core(void *address, char *text) {
    Elf64_Ehdr *e = (void *)core;
    Elf64_Phdr *p = (void *)(core + e->e_phoff);
    for (int i = 0; i < e->e_phnum; i++)
        if (p[i].p_type == PT_LOAD && p[i].p_vaddr <= (unsigned long)address && (unsigned long)address < p[i].p_vaddr + p[i].p_memsz) {
            unsigned long at = (unsigned long)address - p[i].p_vaddr;
            if (at >= p[i].p_filesz) return 0;
            snprintf(text, 32, "%s", (char *)core + p[i].p_offset + at);
            return 1;
        }
    return -1;
}

static void look(const char *what, void *address) {
    char text[32] = "";
    printf("  %s: %ld \"%s\"\n", what, in_core(address, text), text);
}

static void describe(void) {
    int fd = open("core", O_RDONLY);
    struct stat st;
    fstat(fd, &st);
    core_size = st.st_size;
    core = mmap(0, core_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    Elf64_Ehdr *e = (void *)core;
    Elf64_Phdr *p = (void *)(core + e->e_phoff);
    printf("  type %d machine %d phentsize %d phoff %d ident %d %d %d\n", e->e_type, e->e_machine, e->e_phentsize, (int)e->e_phoff,
           e->e_ident[EI_CLASS], e->e_ident[EI_DATA], e->e_ident[EI_VERSION]);
    printf("  note: type %d align %d, data on a page %d, whole %d\n", p[0].p_type, (int)p[0].p_align, p[1].p_offset % 4096 == 0,
           core_size >= p[e->e_phnum - 1].p_offset);
    unsigned long at = p[0].p_offset, end = at + p[0].p_filesz;
    int threads = 0;
    while (at < end) {
        Elf64_Nhdr *n = (void *)(core + at);
        char *owner = (char *)(n + 1);
        unsigned char *desc = (unsigned char *)owner + ((n->n_namesz + 3) & ~3);
        at = desc - core + ((n->n_descsz + 3) & ~3);
        if (n->n_type == NT_PRSTATUS) {
            struct elf_prstatus *s = (void *)desc;
            unsigned long *regs = (void *)&s->pr_reg;
            printf("  thread %d: signal %d %d, pid %s, ppid %d, group %d, session %d, fp %d, size %d", threads, s->pr_info.si_signo, s->pr_cursig,
                   threads ? "own" : s->pr_pid == dumped ? "child" : "?", s->pr_ppid == getpid(), s->pr_pgrp == getpgrp(), s->pr_sid == getsid(0),
                   s->pr_fpvalid, n->n_descsz);
            printf(", cs %lx ss %lx, stack %ld\n", regs[17], regs[20], in_core((void *)regs[19], (char[32]){}));
            threads++;
        } else if (n->n_type == NT_PRPSINFO) {
            struct elf_prpsinfo *i = (void *)desc;
            printf("  process: %c %d nice %d uid %d pid %d name %d args %d, size %d\n", i->pr_sname, i->pr_zomb, i->pr_nice, i->pr_uid, i->pr_pid == dumped,
                   !strncmp(i->pr_fname, program_invocation_short_name, 15), !strncmp(i->pr_psargs, program_invocation_name, strnlen(program_invocation_name, 60)), n->n_descsz);
        } else if (n->n_type == NT_SIGINFO) {
            siginfo_t *s = (void *)desc;
            printf("  siginfo: %d %d %p, size %d\n", s->si_signo, s->si_code, s->si_addr, n->n_descsz);
        } else if (n->n_type == NT_AUXV) {
            Elf64_auxv_t *a = (void *)desc;
            for (; a->a_type != AT_NULL; a++)
                if (a->a_type == AT_PAGESZ) printf("  auxv: page size %d\n", (int)a->a_un.a_val);
        } else if (n->n_type == NT_FILE) {
            unsigned long *f = (void *)desc;
            char *name = (char *)(f + 2 + 3 * f[0]);
            int own = 0;
            for (unsigned long i = 0; i < f[0]; i++, name += strlen(name) + 1) own += strstr(name, "/mapped") != 0;
            printf("  files: unit %d, own %d\n", (int)f[1], own);
        } else if (n->n_type == NT_FPREGSET) {
            struct user_fpregs_struct *f = (void *)desc;
            printf("  floating: cwd %x mxcsr %x size %d\n", f->cwd, f->mxcsr, n->n_descsz);
        } else if (n->n_type == NT_X86_XSTATE)
            printf("  xstate: %s sse %d\n", owner, (int)(*(unsigned long *)(desc + 464) >> 1 & 1));
    }
    look("data", data);
    look("private", private_page);
    look("shared", shared_page);
    look("excluded", excluded);
    look("untouched", untouched);
    look("file", file_page);
    munmap(core, core_size);
}

int main(void) {
    static const int signals[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS, SIGTERM, SIGUSR1, SIGALRM, SIGIO, SIGVTALRM};
    int flags = MAP_PRIVATE | MAP_ANONYMOUS, rw = PROT_READ | PROT_WRITE;
    siginfo_t info = {0};

    run("no limit", no_limit);
    run("4095 bytes", small);
    run("not dumpable", hidden);
    run("umask 0777", masked);
    unlink("core");
    run("4096 bytes", page);
    unlink("core");
    for (int i = 0; i < sizeof signals / sizeof *signals; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (!pid) {
            limit(RLIM_INFINITY);
            by_signal(signals[i]);
        }
        waitid(P_PID, pid, &info, WEXITED);
        printf("signal %d: code %d status %d, file %d\n", signals[i], info.si_code, info.si_status, !access("core", F_OK));
        unlink("core");
    }

    // What has the name already gives way; a directory does not
    int fd = open("core", O_CREAT | O_WRONLY, 0644);
    write(fd, "old", 3);
    link("core", "other");
    run("replaced", dies);
    char old[4] = "";
    pread(open("other", O_RDONLY), old, 3, 0);
    printf("  the old file: %s\n", old);
    unlink("core");
    symlink("other", "core");
    run("symbolic link", dies);
    unlink("core");
    mkdir("core", 0700);
    run("directory", dies);
    rmdir("core");
    mkdir("dir", 0700);
    run("working directory", elsewhere);
    printf("  there: %d\n", access("dir/core", F_OK));
    unlink("dir/core");
    rmdir("dir");
    unlink("other");

    fd = open("mapped", O_CREAT | O_RDWR, 0644);
    ftruncate(fd, 4096);
    pwrite(fd, "in the file", 11, 0);
    private_page = mmap(0, 4096, rw, flags, -1, 0);
    untouched = mmap(0, 4096, PROT_READ, flags, -1, 0);
    excluded = mmap(0, 4096, rw, flags, -1, 0);
    shared_page = mmap(0, 4096, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    file_page = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
    run("fault", fault);
    run("mappings", mapped);
    describe();
    unlink("core");
    run("filter 0xf", filtered);
    describe();
    unlink("core");
    unlink("mapped");
    return 0;
}

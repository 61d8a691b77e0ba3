// execve: into itself with new arguments, scripts, and everything that cannot be executed.
// run:
// run: script
// run: fd
#include "show.h"

static char self[4096];

static void attempt(const char *path, char *const argv[], char *const envp[])
{
    execve(path, argv, envp);
    NOTE("execve %s: %s", strncmp(path, "/tmp", 4) ? path : "<absolute>", errno_name(errno));
}

static void script(const char *name, const char *text)
{
    make_file(name, text);
    chmod(name, 0755);
    attempt(name, (char *[]){(char *)name, NULL}, NULL);
}

static void second(int argc, char **argv, char **envp)
{
    for (int i = 1; i < argc; i++)
        NOTE("argv[%d] = %s", i, strlen(argv[i]) < 100 ? argv[i] : "(long)");
    int n = 0;
    for (; envp[n]; n++)
        if (strlen(envp[n]) < 100)
            NOTE("env %s", envp[n]);
    NOTE("%d variables", n);
    printf("open:");
    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf(" %d", fd);
    printf("\n");
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    NOTE("USR1 default %d", action.sa_handler == SIG_DFL);
    sigaction(SIGUSR2, NULL, &action);
    NOTE("USR2 ignored %d", action.sa_handler == SIG_IGN);
    sigset_t set;
    sigprocmask(0, NULL, &set);
    NOTE("TERM blocked %d", sigismember(&set, SIGTERM));
    sigpending(&set);
    NOTE("TERM pending %d", sigismember(&set, SIGTERM));
    stack_t stack;
    sigaltstack(NULL, &stack);
    NOTE("alternate stack off %d", stack.ss_flags == SS_DISABLE);
    char comm[17] = "";
    int fd = open("/proc/self/comm", O_RDONLY);
    read(fd, comm, 16);
    close(fd);
    printf("comm %s", comm);
    NOTE("alarm %d", alarm(0) > 0);
    char cwd[4096];
    getcwd(cwd, sizeof cwd);
    NOTE("cwd ends in %s", strrchr(cwd, '/'));
    char name[4096] = "";
    readlink("/proc/self/exe", name, sizeof name);
    NOTE("exe is %s", strrchr(name, '/') ? strrchr(name, '/') : name);
    exit(33);
}

static void handler(int signo)
{
    (void)signo;
}

int main(int argc, char **argv, char **envp)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1 && !strcmp(argv[1], "second"))
        second(argc, argv, envp);
    static char *none[] = {NULL};
    static char *args[] = {"x", NULL};
    readlink("/proc/self/exe", self, sizeof self);
    attempt("missing", args, none);
    attempt("", args, none);
    mkdir("dir", 0755);
    attempt("dir", args, none);
    attempt("dir/", args, none);
    make_file("plain", "#!/bin/sh\n");
    attempt("plain", args, none);
    attempt("plain/", args, none);
    symlink("loop", "loop");
    attempt("loop", args, none);
    attempt("/dev/null", args, none);
    script("empty", "");
    script("text", "echo hello\n");
    script("bad_interpreter", "#!/no/such/thing\n");
    script("no_interpreter", "#!\n");
    script("blank_interpreter", "#!   \t \n");
    script("directory_interpreter", "#!/tmp\n");
    script("relative", "#!plain\n");
    script("recursive", "#!./recursive\n");
    script("nested_0", "#!/no/such\n");
    for (int i = 1; i < 8; i++) {
        char name[16], text[32];
        snprintf(name, sizeof name, "nested_%d", i);
        snprintf(text, sizeof text, "#!./nested_%d\n", i - 1);
        script(name, text);
    }
    char text[600] = "#!/";
    memset(text + 3, 'x', 300);
    script("long_interpreter", text);
    script("elf", "\177ELF");
    char header[64] = "\177ELF\2\1\1";
    header[16] = 2, header[18] = 62, header[20] = 1;
    int fd = open("headers", O_WRONLY | O_CREAT, 0755);
    write(fd, header, 64);
    attempt("headers", args, none);
    close(fd);
    attempt("headers", args, none);
    header[18] = 40;
    fd = open("arm", O_WRONLY | O_CREAT, 0755);
    write(fd, header, 64);
    close(fd);
    attempt("arm", args, none);
    attempt(self, (char *const *)8, none);
    attempt(self, args, (char *const *)8);
    attempt(self, (char *[]){"x", (char *)8, NULL}, none);
    char *huge = malloc(200000);
    memset(huge, 'a', 199999);
    huge[199999] = 0;
    attempt(self, (char *[]){"x", huge, NULL}, none);
    static char *many[400000];
    for (int i = 0; i < 399999; i++)
        many[i] = "abcdefghij";
    attempt(self, many, none);
    fd = open("shell", O_WRONLY | O_CREAT, 0700);
    char line[4200];
    snprintf(line, sizeof line, "#! %s  second with spaces \t \nignored\n", self);
    write(fd, line, strlen(line));
    attempt("shell", args, none);
    close(fd);

    pipe((int[2]){0, 0});
    fcntl(3, F_SETFD, FD_CLOEXEC);
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGTERM);
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    alarm(100);
    chdir("dir");
    if (argc > 1 && !strcmp(argv[1], "script"))
        attempt("../shell", (char *[]){"zero", "one", "two", NULL}, (char *[]){"A=1", "B=2", NULL});
    if (argc > 1 && !strcmp(argv[1], "fd")) {
        fd = open(self, O_PATH);
        syscall(SYS_execveat, fd, "", (char *[]){"zero", "second", NULL}, (char *[]){"C=3", NULL}, AT_EMPTY_PATH);
        NOTE("%s", errno_name(errno));
    }
    huge[100000] = 0;
    attempt(self, (char *[]){"zero", "second", huge, "", NULL}, (char *[]){"EMPTY=", "D=4", NULL});
    return 1;
}

// execve(2) and execveat(2): what is refused, what a new program inherits, what it does not.
// run: start
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000
#endif

extern char **environ;
static char *self;

static void show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "");
	fflush(stdout);
}

static int at(int fd, const char *path, char **argv, int flags)
{
	return syscall(SYS_execveat, fd, path, argv, environ, flags);
}

static void put(const char *name, const char *text, int mode)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	write(fd, text, strlen(text));
	fchmod(fd, mode);
	close(fd);
}

static void handler(int signo) { (void)signo; }

static void refused(void)
{
	char *argv[] = {"x", NULL};
	char *bad[] = {"x", (char *)8, NULL};
	char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(page + 4096, 4096);
	char **edge = (char **)(page + 4096) - 2;
	edge[0] = edge[1] = "y";
	mkdir("dir", 0755);
	put("text", "hello\n", 0755);
	put("plain", "#!/bin/true\n", 0644);
	put("empty", "", 0755);
	put("script", "#!/nowhere/interpreter\n", 0755);
	symlink("loop", "loop");
	symlink("text", "link");
	int fd = open("text", O_RDONLY), dir = open("dir", O_RDONLY), here = open(".", O_PATH);
	int cloexec = open("script", O_RDONLY | O_CLOEXEC);
	show("missing", execve("missing", argv, environ));
	show("empty path", execve("", argv, environ));
	show("null path", syscall(SYS_execve, NULL, argv, environ));
	show("bad path", syscall(SYS_execve, 8, argv, environ));
	show("long path", ({ char name[5000]; memset(name, 'a', 4999); name[4999] = 0; execve(name, argv, environ); }));
	show("directory", execve("dir", argv, environ));
	show("under a file", execve("text/x", argv, environ));
	show("slash", execve("text/", argv, environ));
	show("loop", execve("loop", argv, environ));
	show("not executable", execve("plain", argv, environ));
	show("text", execve("text", argv, environ));
	show("empty file", execve("empty", argv, environ));
	show("device", execve("/dev/null", argv, environ));
	show("script", execve("script", argv, environ));
	show("bad argv", syscall(SYS_execve, "text", 8, environ));
	show("bad argv of nothing", syscall(SYS_execve, "missing", 8, environ));
	show("bad string", syscall(SYS_execve, "text", bad, environ));
	show("argv runs off", syscall(SYS_execve, "text", edge, environ));
	show("bad envp", syscall(SYS_execve, "text", argv, 8));
	char *huge = malloc(200000);
	memset(huge, 'x', 200000);
	huge[199999] = 0;
	char *long_argv[] = {huge, NULL};
	show("long string", execve("text", long_argv, environ));
	huge[131071] = 0;
	show("longest string", execve("text", long_argv, environ));
	char **many = calloc(sizeof *many, 300000);
	for (int i = 0; i < 290000; i++)
		many[i] = "";
	show("many", execve("text", many, environ));
	show("many of nothing", execve("missing", many, environ));
	for (int i = 0; i < 200000; i++)
		many[i] = huge;
	many[200000] = NULL;
	show("much", execve("text", many, environ));
	many[15] = NULL;
	show("just enough", execve("text", many, environ));
	int writer = open("text", O_WRONLY);
	show("open for writing", execve("text", argv, environ));
	close(writer);
	show("write to myself", open(self, O_WRONLY));
	show("truncate myself", truncate(self, 0));
	show("at: flags", at(fd, "", argv, 0x8000));
	show("at: bad fd", at(99, "text", argv, 0));
	show("at: empty", at(fd, "", argv, 0));
	show("at: fd", at(fd, "", argv, AT_EMPTY_PATH));
	show("at: bad fd, empty", at(99, "", argv, AT_EMPTY_PATH));
	show("at: directory, empty", at(dir, "", argv, AT_EMPTY_PATH));
	show("at: here, empty", at(AT_FDCWD, "", argv, AT_EMPTY_PATH));
	show("at: file", at(fd, "x", argv, 0));
	show("at: absolute", at(99, "/nowhere", argv, 0));
	show("at: O_PATH", at(here, "text", argv, 0));
	show("at: link", at(here, "link", argv, AT_SYMLINK_NOFOLLOW));
	show("at: link, followed", at(here, "link", argv, 0));
	show("at: script about to close", at(cloexec, "", argv, AT_EMPTY_PATH));
	show("check: text", at(AT_FDCWD, "text", argv, AT_EXECVE_CHECK));
	show("check: me", at(AT_FDCWD, self, argv, AT_EXECVE_CHECK));
	show("check: not executable", at(AT_FDCWD, "plain", argv, AT_EXECVE_CHECK));
	close(fd), close(dir), close(here), close(cloexec);
}

static void arrived(int argc, char **argv)
{
	char name[17] = "";
	sigset_t set, pending;
	stack_t stack;
	struct sigaction action;
	struct stat st;
	prctl(PR_GET_NAME, name);
	printf("== %s comm %s execfn %s\n", argv[1], strncmp(name, "execve", 6) ? name : "execve",
	       strcmp((char *)getauxval(AT_EXECFN), self) ? (char *)getauxval(AT_EXECFN) : "self");
	for (int i = 1; i < argc; i++)
		printf("argv[%d] = %s\n", i, strcmp(argv[i], self) ? argv[i] : "self");
	for (char **e = environ; *e; e++)
		if (!strncmp(*e, "T_", 2))
			puts(*e);
	sigprocmask(SIG_SETMASK, NULL, &set);
	sigpending(&pending);
	printf("blocked %d %d pending %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2),
	       sigismember(&pending, SIGUSR1));
	for (int signo = SIGHUP; signo <= SIGTERM; signo++) {
		sigaction(signo, NULL, &action);
		if (action.sa_handler != SIG_DFL || action.sa_flags)
			printf("signal %d: %s flags %x\n", signo, action.sa_handler == SIG_IGN ? "ignored" : "handled", action.sa_flags);
	}
	sigaltstack(NULL, &stack);
	printf("altstack %d %zu\n", stack.ss_flags, stack.ss_size);
	for (int fd = 3; fd < 40; fd++)
		if (!fstat(fd, &st))
			printf("fd %d open, offset %ld flags %x\n", fd, (long)lseek(fd, 0, SEEK_CUR), fcntl(fd, F_GETFD));
	printf("umask %o dumpable %d keepcaps %d\n", umask(022), prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS));
	umask(027);
	struct rlimit limit;
	getrlimit(RLIMIT_CORE, &limit);
	printf("core limit %ld\n", (long)limit.rlim_cur);
	fflush(stdout);
}

static void prepare(void)
{
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
	sigset_t set;
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	put("data", "0123456789", 0644);
	dup2(open("data", O_RDONLY), 20);
	lseek(20, 4, SEEK_SET);
	dup3(20, 21, O_CLOEXEC);
	for (int fd = 3; fd < 20; fd++)
		close(fd);
	umask(027);
	prctl(PR_SET_NAME, "renamed");
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_KEEPCAPS, 1);
	struct rlimit limit = {0, 0};
	setrlimit(RLIMIT_CORE, &limit);
}

int main(int argc, char **argv)
{
	static char path[4096];
	path[readlink("/proc/self/exe", path, sizeof path - 1)] = 0;
	self = path;
	char *stage = argc > 1 ? argv[1] : "none";
	if (!strcmp(stage, "start")) {
		refused();
		prepare();
		char *next[] = {"zero", "direct", "a b", "", NULL};
		char *env[] = {"T_A=1", "T_B=", NULL};
		show("direct", execve(self, next, env));
	} else if (!strcmp(stage, "direct")) {
		arrived(argc, argv);
		char line[5000];
		sprintf(line, "#! %s  script with blanks \n", self);
		put("sh", line, 0755);
		char *next[] = {"replaced", "last", NULL};
		show("script", execve("./sh", next, environ));
	} else if (!strcmp(stage, "script with blanks")) {
		arrived(argc, argv);
		int fd = open("sh", O_RDONLY);
		char line[5000];
		sprintf(line, "#!%s\tfd\n", self);
		put("sh", line, 0755);
		char *next[] = {"replaced", NULL};
		show("script by fd", at(fd, "", next, AT_EMPTY_PATH));
	} else if (!strcmp(stage, "fd")) {
		arrived(argc, argv);
		symlink(self, "a name of more than fifteen bytes");
		int fd = open(".", O_PATH | O_CLOEXEC);
		char *next[] = {"zero", "name", NULL};
		show("by name", at(fd, "a name of more than fifteen bytes", next, 0));
	} else if (!strcmp(stage, "name")) {
		arrived(argc, argv);
		int fd = open(self, O_PATH | O_CLOEXEC);
		char *next[] = {"zero", "binary", NULL};
		show("by fd", at(fd, "", next, AT_EMPTY_PATH));
	} else if (!strcmp(stage, "binary")) {
		arrived(argc, argv);
		show("no arguments", execve(self, NULL, NULL));
	} else if (!strcmp(stage, "none")) {
		printf("argc %d argv[0] \"%s\"\n", argc, argv[0]);
		fflush(stdout);
		/* Passes every check until it is too late. */
		unsigned long header[15] = {0x00010102464c457f, 0, 0x00000001003e0002, 0x401000, 64, 0, 0x0038004000000000, 1};
		header[8] = 0x500000001;
		header[9] = 1;
		header[10] = 0x401000;
		header[12] = header[13] = 64;
		int fd = open("late", O_CREAT | O_WRONLY, 0755);
		write(fd, header, sizeof header);
		close(fd);
		signal(SIGSEGV, SIG_IGN);
		char *next[] = {"late", NULL};
		show("late", execve("late", next, environ));
	}
	return 3;
}

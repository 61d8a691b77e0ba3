/* A first program to run under lxrun: it asks the kernel where it is, and prints the answers.
 *
 * Every line names the system calls or the /proc file it comes from.  It is plain POSIX C, so the
 * same binary runs on real Linux, with real Linux's answers.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* One line of the table: what, the answer, and who gave it. */
static void row(const char *name, const char *source, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("  %-9s %-44s %s\n", name, text, source);
}

/* The number after `key` in a file of "Key:  number" lines; -1 if it is not there. */
static long field(const char *path, const char *key) {
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    while (value < 0 && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)))
            value = strtol(line + strlen(key), NULL, 10);
    fclose(file);
    return value;
}

static int count_lines(const char *path) {
    int lines = 0, c;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}

int main(int argc, char **argv) {
    struct utsname name;
    struct winsize window;
    struct timespec start, now;
    char path[200], clock[64];

    clock_gettime(CLOCK_MONOTONIC, &start);
    printf("Hello from an unmodified Linux program.\n\n");

    if (uname(&name) == 0)
        row("kernel", "uname", "%s %s on %s", name.sysname, name.release, name.machine);

    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    const char *base = strrchr(path, '/');
    row("process", "getpid, /proc/self/exe", "%s, pid %d, user %d", base ? base + 1 : path, getpid(), getuid());

    row("memory", "/proc/self/status, /proc/meminfo", "%ld kB of %ld MB, %d mappings", field("/proc/self/status", "VmRSS:"),
        field("/proc/meminfo", "MemTotal:") / 1024, count_lines("/proc/self/maps"));

    const char *platform = (const char *)getauxval(AT_PLATFORM);
    row("cpu", "auxv, sysconf", "%s, %ld online, pages of %ld bytes", platform ? platform : "?",
        sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_PAGESIZE));

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0)
        row("terminal", "ioctl TIOCGWINSZ", "%d columns, %d rows", window.ws_col, window.ws_row);
    else
        row("terminal", "ioctl TIOCGWINSZ", "none: the output goes to a file or a pipe");

    time_t seconds = time(NULL);
    strftime(clock, sizeof clock, "%Y-%m-%d %H:%M:%S UTC", gmtime(&seconds));
    row("clock", "clock_gettime", "%s", clock);

    if (argc > 1)
        row("arguments", "argv", "%d, the first is \"%s\"", argc - 1, argv[1]);

    /* A little work for the CPU: how many primes are there below a million? */
    enum { LIMIT = 1000000 };
    static char composite[LIMIT];
    int primes = 0;
    for (int i = 2; i < LIMIT; i++) {
        if (composite[i])
            continue;
        primes++;
        for (long j = (long)i * i; j < LIMIT; j += i)
            composite[j] = 1;
    }
    row("work", "nothing but instructions", "%d primes below a million", primes);

    clock_gettime(CLOCK_MONOTONIC, &now);
    double ms = (now.tv_sec - start.tv_sec) * 1e3 + (now.tv_nsec - start.tv_nsec) / 1e6;
    row("time", "clock_gettime", "%.0f ms", ms);
    return 0;
}

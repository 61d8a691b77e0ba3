/* peak PROGRAM ARGS...: run it and print its peak memory in KiB.  A small process starts it, since
   before exec a child counts as big as its parent. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage usage;
    if (argc < 2)
        return 2;
    pid_t pid = vfork();
    if (pid == 0) {
        execv(argv[1], argv + 1);
        _exit(127);
    }
    int status;
    wait4(pid, &status, 0, &usage);
    printf("%ld\n", usage.ru_maxrss);
    return status ? 1 : 0;
}

// The kernel's modules: those that the machine cannot do without, and those that somebody asks for.
//
// The kernel asks by running a program (kernel.modprobe).  That is this one again, by way of /proc/1/exe, for
// the guest's root need not have modprobe, and has not the modules of this kernel.

#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { OWN_ROOT = 1000 }; // a descriptor: the directory with the modules, which the guest's root hides
static const char OWN_ROOT_PATH[] = "/proc/1/fd/1000";

static void load(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
        fprintf(stderr, "lxrun: module %s: %s\n", file, strerror(errno));
    close(fd);
}

// In the order of /modules, which has those that others need first.
void load_modules(void)
{
    FILE *list = fopen("/modules", "re");
    char name[256];
    if (!list)
        return;
    while (fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        load(name);
    }
    fclose(list);
}

// While / is still the agent's own.
void keep_modules(void)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        dup3(fd, OWN_ROOT, O_CLOEXEC);
    close(fd);
}

// Once /proc is there, and /dev.
void offer_modules(void)
{
    static const char self[] = "/proc/1/exe";
    int fd = open("/proc/sys/kernel/modprobe", O_WRONLY | O_CLOEXEC);
    write(fd, self, sizeof self - 1);
    close(fd);
    // Who opens one of these has its module loaded.
    if (!mknod("/dev/loop-control", S_IFCHR | 0660, makedev(10, 237)))
        chown("/dev/loop-control", 0, 6);
    mknod("/dev/fuse", S_IFCHR | 0666, makedev(10, 229));
    mkdir("/dev/net", 0755);
    mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200));
}

// The kernel wants NAME: each line of /ondemand is a pattern for names, and what is to be loaded, in order.
int serve_request(const char *name)
{
    char line[4096], *rest;
    int found = 0;
    FILE *list = chdir(OWN_ROOT_PATH) ? NULL : fopen("ondemand", "re");
    if (!list)
        return 1;
    while (!found && fgets(line, sizeof line, list)) {
        char *pattern = strtok_r(line, " \n", &rest);
        if (!pattern || fnmatch(pattern, name, 0))
            continue;
        found = 1;
        for (char *file; (file = strtok_r(NULL, " \n", &rest));)
            load(file);
    }
    return !found;
}

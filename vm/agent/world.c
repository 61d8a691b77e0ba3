// The guest's world: the root, and what is mounted in it.

#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char ROOT[] = "/root";

struct made { // a mount point that the root did not have, to be removed again
    char path[4096];
    int is_file;
    struct made *next;
};
static struct made *made_points;

// A place to mount at.  Where the root has none it is made, and removed when all is over.
static int make_point(const char *path)
{
    struct stat st;
    if (!stat(path, &st))
        return 0;
    struct made *point = calloc(1, sizeof *point);
    if (!point || mkdir(path, 0755))
        return -1;
    snprintf(point->path, sizeof point->path, "%s", path);
    point->next = made_points;
    made_points = point;
    return 0;
}

static int mount_9p(const char *tag, const char *where, int read_only)
{
    return mount(tag, where, "9p", (read_only ? MS_RDONLY : 0) | MS_NOATIME,
                 "trans=virtio,version=9p2000.L,msize=512000,cache=mmap");
}

static void mount_virtual(const char *type, const char *where, const char *data)
{
    if (make_point(where) || mount(type, where, type, 0, data))
        fail('m', where);
}

// The root and what Linux has in every root.  /dev, /proc and /sys are this machine's own.
void make_world(void)
{
    keep_modules();
    mkdir(ROOT, 0755);
    if (mount_9p("root", ROOT, 0))
        fail('m', "the root");
    // From here on / is the guest's; the agent's own files are out of sight.
    if (chdir(ROOT) || mount("/dev", "dev", NULL, MS_MOVE, NULL)) {
        if (errno != ENOENT || make_point("/root/dev") || mount("/dev", "/root/dev", NULL, MS_MOVE, NULL))
            fail('m', "/dev");
    }
    umount2("/sys", MNT_DETACH);
    if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
        fail('m', "the root");
    for (struct made *point = made_points; point; point = point->next)
        memmove(point->path, point->path + strlen(ROOT), strlen(point->path + strlen(ROOT)) + 1);
    mount_virtual("proc", "/proc", NULL);
    mount_virtual("sysfs", "/sys", NULL);
    mount_virtual("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666");
    mount_virtual("tmpfs", "/dev/shm", "mode=1777");
    mount_virtual("mqueue", "/dev/mqueue", NULL);
    static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlink(links[i][0], links[i][1]) && errno != EEXIST)
            fail('m', links[i][1]);
    offer_modules();
}

// "TAG r|w PATH": a directory of the host's, shown at PATH.
void mount_volume(char *text)
{
    char *mode = strchr(text, ' ');
    if (!mode)
        return;
    *mode++ = 0;
    if (make_point(mode + 2) || mount_9p(text, mode + 2, *mode == 'r'))
        fail('m', mode + 2);
}

void remove_points(void)
{
    chdir("/");
    for (struct made *point = made_points; point; point = point->next) {
        umount2(point->path, MNT_DETACH);
        rmdir(point->path);
    }
}

/* The file system of message queues, mounted; without CAP_SYS_ADMIN mount is refused, and that is compared. */
#include "show.h"
#include <dirent.h>
#include <mqueue.h>
#include <sys/mount.h>
#include <sys/vfs.h>

static char name[64];

static void list(const char *when)
{
    DIR *d = opendir("mq");
    struct dirent *e;
    int found = 0, dots = 0;
    while ((e = readdir(d))) {
        found += !strcmp(e->d_name, name);
        dots += e->d_name[0] == '.';
    }
    closedir(d);
    NOTE("%s: listed %d, dots %d", when, found, dots);
}

static void mounted(const char *when)
{
    char line[512], want[300], cwd[200];
    int found = 0;
    getcwd(cwd, sizeof cwd);
    snprintf(want, sizeof want, "none %s/mq mqueue ", cwd);
    FILE *f = fopen("/proc/mounts", "r");
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, want, strlen(want))) {
            found++;
            printf("%s: %s", when, line + strlen(want));
        }
    fclose(f);
    NOTE("%s: %d mounts", when, found);
}

int main(void)
{
    char path[100], moved[110], text[200];
    struct stat st;
    struct statfs fs;
    struct mq_attr a = {0};
    snprintf(name, sizeof name, "lxrun-%d-%ld", getpid(), (long)time(NULL));
    snprintf(path, sizeof path, "mq/%s", name);
    snprintf(moved, sizeof moved, "%s-moved", path);
    SHOW(mkdir("mq", 0755));
    SHOW(mount("none", "nothing", "mqueue", 0, NULL));
    SHOW(mount("none", (void *)1, "mqueue", 0, NULL));
    SHOW(umount("mq"));
    SHOW(umount2("mq", 64));
    if (SHOW(mount("none", "mq", "mqueue", 0, NULL)) < 0) {
        rmdir("mq");
        return 0;
    }
    mounted("mounted");
    SHOW(mount("none", "mq", "mqueue", 0, NULL));
    SHOW(statfs("mq", &fs));
    NOTE("type %lx bsize %ld namelen %ld", (long)fs.f_type, (long)fs.f_bsize, (long)fs.f_namelen);
    SHOW(stat("mq", &st));
    NOTE("root: mode %o uid %d", st.st_mode, st.st_uid);
    snprintf(text, sizeof text, "/%s", name);
    mqd_t q = mq_open(text, O_RDWR | O_CREAT, 0640, NULL);
    list("made by mq_open");
    SHOW(stat(path, &st));
    NOTE("mode %o size %ld links %ld", st.st_mode, (long)st.st_size, (long)st.st_nlink);
    SHOW(mq_send(q, "hello", 5, 0));
    int fd = open(path, O_RDWR);
    memset(text, 0, sizeof text);
    SHOW(read(fd, text, sizeof text));
    text[16] = 0;
    NOTE("%s|", text);
    SHOW(read(fd, text, sizeof text));
    SHOW(pread(fd, text, 3, 6));
    SHOW(write(fd, "x", 1));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(mq_getattr(fd, &a));
    NOTE("as a queue: %ld of %ld", a.mq_curmsgs, a.mq_maxmsg);
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    SHOW(ftruncate(fd, 0));
    SHOW(mq_getattr(fd, &a));
    NOTE("after ftruncate: %ld", a.mq_curmsgs);
    SHOW(chmod(path, 0600));
    SHOW(fstat(q, &st));
    NOTE("mode %o", st.st_mode);
    SHOW(umount("mq"));
    SHOW(close(fd));
    SHOW(rename(path, moved));
    SHOW(link(path, moved));
    SHOW(symlink("x", moved));
    SHOW(mkdir(moved, 0700));
    SHOW(mknod(moved, S_IFIFO | 0600, 0));
    SHOW(rmdir(path));
    SHOW(open("mq", O_TMPFILE | O_RDWR, 0600));
    SHOW(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
    SHOW(unlink(path));
    list("removed");
    SHOW(mq_unlink(name));
    SHOW(mq_getattr(q, &a));
    NOTE("still open: %ld", a.mq_curmsgs);
    mq_close(q);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    SHOW(mq_getattr(fd, &a));
    NOTE("made by open: %ld of %ld", a.mq_maxmsg, a.mq_msgsize);
    list("made by open");
    snprintf(text, sizeof text, "/%s", name);
    SHOW(mq_unlink(text));
    close(fd);
    chdir("mq");
    SHOW(umount("../mq"));
    chdir("..");
    SHOW(umount("mq"));
    mounted("unmounted");
    list("below it");
    SHOW(umount("mq"));
    SHOW(mount("none", "mq", "mqueue", MS_RDONLY, NULL));
    mounted("read-only");
    SHOW(open(path, O_RDWR | O_CREAT, 0600));
    SHOW(umount2("mq", MNT_DETACH));
    SHOW(rmdir("mq"));
    return 0;
}

/* System V shared memory: shmget, shmat, shmdt, shmctl, and who counts as attached. */
#include "show.h"
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/wait.h>

static int id;
static key_t key;

/* Everything a segment's state shows, times as whether they are set. */
static void state(const char *when)
{
    struct shmid_ds d;
    pid_t me = getpid();
    if (shmctl(id, IPC_STAT, &d) < 0) {
        NOTE("%s: %s", when, errno_name(errno));
        return;
    }
    NOTE("%s: nattch %ld mode %o size %zu key %s a %d d %d c %d cpid %s lpid %s", when, (long)d.shm_nattch,
         d.shm_perm.mode, d.shm_segsz, d.shm_perm.__key == key ? "mine" : d.shm_perm.__key ? "other" : "private",
         d.shm_atime != 0, d.shm_dtime != 0, d.shm_ctime != 0, d.shm_cpid == me ? "me" : "other",
         !d.shm_lpid ? "none" : d.shm_lpid == me ? "me" : "other");
}

/* The lines of maps that show the segment, without addresses; `p` is what offsets count from. */
static void maps(const char *when)
{
    char line[512], name[64], perms[8];
    unsigned long start, end, offset, ino;
    unsigned major, minor;
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f)) {
        int at = 0;
        if (!strstr(line, "SYSV"))
            continue;
        sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %n", &start, &end, perms, &offset, &major, &minor, &ino, &at);
        snprintf(name, sizeof name, "/SYSV%08x (deleted)\n", key);
        NOTE("%s: %lu pages %s offset %lx inode %s name %s", when, (end - start) / PAGE, perms, offset,
             ino == (unsigned long)id ? "id" : "other", strcmp(line + at, name) ? line + at : "of the key");
    }
    fclose(f);
}

/* The segment's line in /proc/sysvipc/shm. */
static void listed(const char *when)
{
    char line[512];
    int k, i, mode, found = 0;
    unsigned long size, nattch, rss;
    FILE *f = fopen("/proc/sysvipc/shm", "r");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%d %d %o %lu %*d %*d %lu %*d %*d %*d %*d %*d %*d %*d %lu", &k, &i, &mode, &size, &nattch, &rss) == 6
            && i == id) {
            found = 1;
            NOTE("%s: listed: key %d mode %o size %lu nattch %lu rss %lu, %zu bytes", when, k == key, mode, size, nattch, rss,
                 strlen(line));
        }
    fclose(f);
    if (!found)
        NOTE("%s: not listed", when);
}

static void child(void (*body)(void))
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        body();
        fflush(stdout);
        _exit(3);
    }
    waitpid(pid, &status, 0);
    NOTE("child: %x", status);
}

static void gets(void)
{
    NOTE("-- shmget");
    SHOW(shmget(key, 4096, 0600));
    SHOW(shmget(key, 0, IPC_CREAT | 0600));
    SHOW(shmget(IPC_PRIVATE, 0, 0600));
    SHOW(shmget(IPC_PRIVATE, -1L, 0600));
    SHOW(shmget(IPC_PRIVATE, -(1L << 26), 0600));
    id = shmget(key, 5 * PAGE - 100, IPC_CREAT | IPC_EXCL | 0640);
    NOTE("made: %d", id >= 0);
    SHOW(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600));
    NOTE("again: %d", shmget(key, 100, 0) == id);
    NOTE("again: %d", shmget(key, 5 * PAGE - 100, IPC_CREAT | 0777) == id);
    SHOW(shmget(key, 5 * PAGE - 99, 0));
    NOTE("size 0: %d", shmget(key, 0, 0) == id);
    state("new");
    listed("new");
}

static void attach(void)
{
    NOTE("-- shmat");
    SHOW(shmat(-1, 0, 0) == (void *)-1 ? -1 : 0);
    SHOW(shmat(id + (1 << 15), 0, 0) == (void *)-1 ? -1 : 0);
    SHOW(shmat(id, 0, SHM_REMAP) == (void *)-1 ? -1 : 0);
    char *p = shmat(id, 0, 0);
    NOTE("zeros: %d", p[0] == 0 && p[5 * PAGE - 1] == 0);
    strcpy(p + PAGE, "written");
    state("attached");
    maps("attached");
    listed("attached");
    char *q = shmat(id, 0, SHM_RDONLY);
    NOTE("the same: %s", q + PAGE);
    strcpy(p + PAGE, "changed");
    NOTE("the same: %s", q + PAGE);
    SHOW(mprotect(q, PAGE, PROT_READ | PROT_WRITE));
    state("twice");
    SHOW(shmat(id, p, 0) == (void *)-1 ? -1 : 0);
    SHOW(shmat(id, p + 100, 0) == (void *)-1 ? -1 : 0);
    SHOW(shmat(id, p + 100, SHM_RND) == (void *)-1 ? -1 : 0);
    SHOW(shmat(id, (char *)100, SHM_RND | SHM_REMAP) == (void *)-1 ? -1 : 0);
    NOTE("replaced: %d", shmat(id, p + 100, SHM_RND | SHM_REMAP) == (void *)p);
    state("replaced");
    SHOW(shmdt(q + 100));
    SHOW(shmdt(q + PAGE));
    SHOW(shmdt(q));
    SHOW(shmdt(q));
    state("detached");
    NOTE("kept: %s", p + PAGE);
    char *room = mmap(0, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(room, 16 * PAGE);
    NOTE("where asked: %d", shmat(id, room + 5 * PAGE, SHM_EXEC) == room + 5 * PAGE);
    maps("executable");
    SHOW(shmdt(room + 5 * PAGE));
    SHOW(shmat(id, (void *)-PAGE, 0) == (void *)-1 ? -1 : 0);
    SHOW(shmdt(p));
    state("none");
    maps("none");
}

static void parts(void)
{
    NOTE("-- parts");
    char *p = shmat(id, 0, 0);
    SHOW(mprotect(p + PAGE, PAGE, PROT_READ));
    state("split");
    SHOW(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE));
    state("still split");
    maps("split");
    SHOW(munmap(p + 3 * PAGE, PAGE));
    state("hole");
    SHOW(munmap(p, PAGE));
    state("no head");
    SHOW(shmdt(p + PAGE));
    SHOW(shmdt(p));
    state("all parts gone");
    p = shmat(id, 0, 0);
    char *room = mmap(0, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NOTE("moved: %d", mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + 32 * PAGE) == room + 32 * PAGE);
    state("moved");
    SHOW(shmdt(p));
    state("rest gone");
    SHOW(shmdt(room + 32 * PAGE));
    state("moved part gone");
    p = shmat(id, room, SHM_REMAP);
    SHOW(munmap(room + 5 * PAGE, 5 * PAGE));
    NOTE("grown: %d", mremap(p, 5 * PAGE, 7 * PAGE, 0) == p);
    state("grown");
    maps("grown");
    SHOW(shmdt(p));
    state("what is beyond the segment stays");
    SHOW(munmap(p, 7 * PAGE));
    SHOW(madvise(room + 16 * PAGE, PAGE, MADV_REMOVE));
    p = shmat(id, 0, 0);
    memset(p, 'x', 2 * PAGE);
    SHOW(madvise(p, PAGE, MADV_REMOVE));
    NOTE("punched: %d %d", p[0], p[PAGE]);
    listed("punched");
    SHOW(shmdt(p));
}

static void in_child(void)
{
    state("in the child");
}

static void in_child_detach(void)
{
    char *p = shmat(id, 0, 0);
    p[7] = 'c';
    state("attached in the child");
}

static void execs(void)
{
    execl("/bin/true", "true", NULL);
}

static void families(void)
{
    NOTE("-- fork, exec, exit");
    char *p = shmat(id, 0, 0);
    child(in_child);
    state("after the child");
    child(in_child_detach);
    state("after the second");
    NOTE("from the child: %c", p[7]);
    child(execs);
    state("after exec");
    SHOW(madvise(p, 5 * PAGE, MADV_DONTFORK));
    child(in_child);
    SHOW(shmdt(p));
}

static void as_nobody(void)
{
    if (setgid(65534) || setuid(65534))
        die("setuid");
    struct shmid_ds d;
    struct shminfo info;
    SHOW(shmget(key, 0, 0) == id ? 0 : -1);
    SHOW(shmget(key, 0, 0400) == -1 ? -1 : 0);
    SHOW(shmat(id, 0, 0) == (void *)-1 ? -1 : 0);
    SHOW(shmat(id, 0, SHM_RDONLY) == (void *)-1 ? -1 : 0);
    SHOW(shmctl(id, IPC_STAT, &d));
    SHOW(shmctl(id, IPC_RMID, 0));
    SHOW(shmctl(id, IPC_SET, &d));
    SHOW(shmctl(id, SHM_LOCK, 0));
    SHOW(shmctl(id & 0x7fff, SHM_STAT, &d) < 0 ? -1 : 0);
    SHOW(shmctl(id & 0x7fff, 15 /* SHM_STAT_ANY */, &d) == id ? 0 : -1);
    SHOW(shmctl(0, IPC_INFO, (void *)&info) < 0 ? -1 : 0);
}

static void as_nobody_again(void)
{
    if (setgid(65534) || setuid(65534))
        die("setuid");
    SHOW(shmat(id, 0, SHM_RDONLY) == (void *)-1 ? -1 : 0);
    SHOW(shmat(id, 0, 0) == (void *)-1 ? -1 : 0);
    SHOW(shmctl(id, SHM_LOCK, 0));
    state("locked by the owner");
    SHOW(shmctl(id, SHM_UNLOCK, 0));
    SHOW(shmctl(id, IPC_RMID, 0));
    state("removed by the owner");
}

static void control(void)
{
    struct shmid_ds d;
    struct shminfo info;
    struct shm_info used;
    NOTE("-- shmctl");
    SHOW(shmctl(-1, IPC_STAT, &d));
    SHOW(shmctl(id, -1, &d));
    SHOW(shmctl(id, 77, &d));
    SHOW(syscall(SYS_shmctl, id, IPC_STAT | 0x100, &d));
    SHOW(shmctl(id, IPC_STAT, (void *)1));
    SHOW(shmctl(id, IPC_SET, (void *)1));
    SHOW(shmctl(id + (1 << 15), IPC_SET, (void *)1));
    SHOW(shmctl(id + (1 << 15), IPC_STAT, &d));
    SHOW(shmctl(0x7ffe, SHM_STAT, &d));
    SHOW(shmctl(0, IPC_INFO, (void *)1));
    SHOW(shmctl(0, IPC_INFO, (void *)&info) < 0 ? -1 : 0);
    NOTE("limits: %lx %lu %lu %lu %lx", info.shmmax, info.shmmin, info.shmmni, info.shmseg, info.shmall);
    SHOW(shmctl(0, SHM_INFO, (void *)&used) < (id & 0x7fff) ? -1 : 0);
    NOTE("used: %d %d %lu %lu", used.used_ids >= 1, used.shm_tot >= 5, used.swap_attempts, used.swap_successes);
    NOTE("by index: %d", shmctl(id & 0x7fff, SHM_STAT, &d) == id);
    SHOW(shmctl(id, SHM_LOCK, 0));
    state("locked");
    SHOW(shmctl(id, SHM_UNLOCK, 0));
    state("unlocked");
    child(as_nobody);
    SHOW(shmctl(id, IPC_STAT, &d));
    d.shm_perm.mode = 07604;
    d.shm_segsz = 1;
    SHOW(shmctl(id, IPC_SET, &d));
    state("changed mode");
    d.shm_perm.uid = -1;
    SHOW(shmctl(id, IPC_SET, &d));
    d.shm_perm.uid = 65534;
    SHOW(shmctl(id, IPC_SET, &d));
    SHOW(shmctl(id, IPC_STAT, &d));
    NOTE("owner %d, creator %d", d.shm_perm.uid == 65534, d.shm_perm.cuid == geteuid());
    char *p = shmat(id, 0, 0);
    child(as_nobody_again);
    state("to be destroyed");
    listed("to be destroyed");
    SHOW(shmget(key, 0, 0));
    NOTE("still attachable: %d", shmat(id, 0, 0) != (void *)-1);
    strcpy(p, "alive");
    maps("to be destroyed");
    int next = shmget(key, PAGE, IPC_CREAT | 0600);
    NOTE("another of the same key: %d", next >= 0 && next != id);
    SHOW(shmctl(next, IPC_RMID, 0));
    SHOW(shmctl(next, IPC_RMID, 0));
    child(in_child);
}

static void deferred(void)
{
    id = shmget(IPC_PRIVATE, PAGE, 0600);
    char *p = shmat(id, 0, 0);
    SHOW(shmctl(id, IPC_RMID, 0));
    state("marked");
    p[0] = 'x';
    SHOW(shmctl(id, IPC_RMID, 0));
    NOTE("attached in its own place: %d", shmat(id, p, SHM_REMAP) == (void *)p);
    state("still marked");
    SHOW(shmdt(p));
    state("destroyed");
    SHOW(shmdt(p));
    id = shmget(IPC_PRIVATE, PAGE, 0600);
    p = shmat(id, 0, 0);
    SHOW(remap_file_pages(p, PAGE, 0, 0, 0));
    state("remapped");
    SHOW(shmctl(id, IPC_RMID, 0));
    SHOW(remap_file_pages(p, PAGE, 0, 0, 0));
    state("remapped to its end");
    SHOW(msync(p, PAGE, MS_ASYNC));
    id = shmget(IPC_PRIVATE, PAGE, 0600);
    SHOW(shmctl(id, IPC_RMID, 0));
    state("destroyed at once");
    id = shmget(IPC_PRIVATE, PAGE, 0400);
    state("read-only mode");
    SHOW(shmctl(id, IPC_RMID, 0));
    id = shmget(IPC_PRIVATE, PAGE, 0600 | SHM_NORESERVE);
    state("no reserve");
    SHOW(shmctl(id, IPC_RMID, 0));
    SHOW(shmget(IPC_PRIVATE, 2 << 20, 0600 | SHM_HUGETLB));
    SHOW(shmget(IPC_PRIVATE, 2 << 20, 0600 | SHM_HUGETLB | 17 << 26));
    int a = shmget(IPC_PRIVATE, 1, 0600), b = shmget(IPC_PRIVATE, 1, 0600);
    NOTE("different: %d", a != b);
    shmctl(a, IPC_RMID, 0);
    int c = shmget(IPC_PRIVATE, 1, 0600);
    NOTE("not used again at once: %d", a != c);
    shmctl(b, IPC_RMID, 0);
    shmctl(c, IPC_RMID, 0);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    key = 0x10000000 | (getpid() & 0xffff) << 8 | (time(NULL) & 0xff);
    gets();
    attach();
    parts();
    families();
    control();
    child(deferred);
    return 0;
}

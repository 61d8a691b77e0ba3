// What a program of system calls needs: buffers that end where no memory is, and a line for every result.
// A part begins at "//- NAME"; a program written out has only those that it uses.
//- base
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2 // newer than many headers; the number is the same everywhere
#define SYS_fchmodat2 452
#endif
#ifndef SAY
#define SAY(...) printf(__VA_ARGS__)
#endif

static int step;

// The result of a call, which errno belongs to.
static long result(const char *name, long value)
{
    if (value < 0 && value > -4096)
        SAY("%d %s: %s\n", step++, name, strerror(errno));
    else
        SAY("%d %s = %ld\n", step++, name, value);
    return value;
}

// Blocking calls end with EINTR, limits are small, and what would kill the program fails instead.
static void tick(int signo)
{
}

static void start(void)
{
    struct sigaction action = {.sa_handler = tick};
    struct itimerval often = {{0, 20000}, {0, 20000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 24, 1 << 24});
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, 64});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    umask(022);
}
//- buffer
// Sixteen buffers in turn, each at the end of its own memory, at addresses that are the same everywhere.  The last
// `missing` bytes of one are not there.
#define ROOM (1L << 16)
#define ARENA ((char *)0x300000000)

static char *arena;

static char *buffer(long size, long missing, const void *data, long length)
{
    static int last;
    if (!arena) {
        arena = mmap(ARENA, 16 * 2 * ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        for (int i = 0; i < 16; i++)
            mprotect(arena + i * 2 * ROOM, ROOM, PROT_READ | PROT_WRITE);
    }
    char *end = arena + last++ % 16 * 2 * ROOM + ROOM, *start = end - (size - missing);
    memset(start, 0xaa, size - missing);
    memcpy(start, data, length < size - missing ? length : size - missing);
    return start;
}
//- put
// Put a pointer or a number into a buffer, as far as it is there.
static void put(char *buffer, long at, int width, long value)
{
    char *end = arena + (buffer - arena) / (2 * ROOM) * 2 * ROOM + ROOM;
    for (int i = 0; i < width && buffer + at + i < end; i++)
        buffer[at + i] = value >> 8 * i;
}
//- two
// One of the two descriptors that a call has put into a buffer.
static int two(long value, const char *buffer, int which)
{
    int fd = -1;
    if (value == 0)
        memcpy(&fd, buffer + 4 * which, 4);
    return fd;
}
//- raw
static void show_raw(const char *data, long size)
{
    SAY("   ");
    for (long i = 0, same; i < size; i += same) {
        for (same = 1; i + same < size && data[i + same] == data[i]; same++)
            ;
        if (same > 1)
            SAY(" %02x*%ld", (unsigned char)data[i], same);
        else
            SAY(" %02x", (unsigned char)data[i]);
    }
    SAY("\n");
}
//- file
// Which file it is: the number in the order in which they were seen.
static int file_number(unsigned long dev, unsigned long ino)
{
    static unsigned long seen[64][2];
    static int count;
    for (int i = 0; i < count; i++)
        if (seen[i][0] == dev && seen[i][1] == ino)
            return i;
    if (count == 64)
        return -1;
    seen[count][0] = dev;
    seen[count][1] = ino;
    return count++;
}
//- time
// Only a time that the program itself can have set.
static void show_time(const char *name, long seconds, long nanoseconds)
{
    if (seconds < 1000000000)
        SAY(" %s %ld.%09ld", name, seconds, nanoseconds);
}
//- stat file time
static void show_stat(const char *data, long size)
{
    struct stat st;
    memcpy(&st, data, sizeof st);
    SAY("    file %d mode %o links %ld", file_number(st.st_dev, st.st_ino), st.st_mode, (long)st.st_nlink);
    SAY(" owner %d.%d size %ld", st.st_uid, st.st_gid, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
    show_time("atime", st.st_atim.tv_sec, st.st_atim.tv_nsec);
    show_time("mtime", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    SAY("\n");
}
//- statx file time
static void show_statx(const char *data, long size)
{
    struct statx st;
    memcpy(&st, data, sizeof st);
    SAY("    file %d mode %o", file_number((long)st.stx_dev_major << 32 | st.stx_dev_minor, st.stx_ino), st.stx_mode);
    SAY(" links %d owner %d.%d", st.stx_nlink, st.stx_uid, st.stx_gid);
    SAY(" size %ld mask %x", S_ISDIR(st.stx_mode) ? 0 : (long)st.stx_size, st.stx_mask & 0x7ff);
    show_time("atime", st.stx_atime.tv_sec, st.stx_atime.tv_nsec);
    show_time("mtime", st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec);
    SAY("\n");
}
//- statfs
static void show_statfs(const char *data, long size)
{
    struct statfs st;
    memcpy(&st, data, sizeof st);
    SAY("    type %lx block size %ld names %ld\n", (long)st.f_type, (long)st.f_bsize, (long)st.f_namelen);
}
//- dirents
static int by_text(const void *one, const void *other)
{
    return strcmp(one, other);
}

// What a directory holds, in the order of the names.
static void show_dirents(const char *data, long size)
{
    char lines[64][300];
    int count = 0;
    for (long at = 0; at < size && count < 64; at += *(const unsigned short *)(data + at + 16))
        snprintf(lines[count++], sizeof lines[0], "%s type %d", data + at + 19, data[at + 18]);
    qsort(lines, count, sizeof lines[0], by_text);
    for (int i = 0; i < count; i++)
        SAY("    %s\n", lines[i]);
}
//- inotify
static void show_inotify(const char *data, long size)
{
    const struct inotify_event *event;
    for (long at = 0; at < size; at += sizeof *event + event->len) {
        event = (const void *)(data + at);
        SAY("    watch %d mask %x%s %s\n", event->wd, event->mask, event->cookie ? " paired" : "",
            event->len ? event->name : "");
    }
}
//- path
// A path below the directory that the program was started in.
static char home[4096];

static void show_path(const char *data, long size)
{
    size_t length = strlen(home);
    SAY("    <home>%s\n", strncmp(data, home, length) ? " is not in this path" : data + length);
}
//- region
// Memory at a fixed place for calls that change mappings, 64 pages, at first not there.
#define REGION 0x200000000L
//- touch region
#include <setjmp.h>

static sigjmp_buf out;

static void fault(int signo)
{
    siglongjmp(out, signo);
}

// Read the byte at an address, or write it if value is not -1.
static long touch(long address, int value)
{
    signal(SIGSEGV, fault);
    signal(SIGBUS, fault);
    int signo = sigsetjmp(out, 1);
    if (signo)
        SAY("%d touch: %s\n", step++, signo == SIGBUS ? "SIGBUS" : "SIGSEGV");
    else {
        if (value >= 0)
            *(volatile char *)address = value;
        value = *(volatile unsigned char *)address;
        SAY("%d touch = %d\n", step++, value);
    }
    return 0;
}
//- mapped region
// The result of a call that returns an address.
static long mapped(const char *name, long value)
{
    if (value == -1)
        return result(name, value);
    if (value >= REGION && value < REGION + (64 << 12))
        SAY("%d %s = REGION + %ld\n", step++, name, value - REGION);
    else
        SAY("%d %s = an address\n", step++, name);
    return value;
}

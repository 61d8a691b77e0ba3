// The VM's init: it makes the guest's world, runs one program in it, and carries its streams.
//
// Everything it is told comes over virtio-serial ports that lxrun holds the other end of:
//
//   lxrun.control   messages, both ways: a length (4 bytes, little-endian), a type (1 byte), a payload
//   lxrun.0         standard input:  pieces of a length (4 bytes) and as many bytes; length 0 is the end
//   lxrun.1, .2     standard output and error, in pieces of the same form
//
// vm/protocol.py is the other side and lists the messages.  There is one port for each stream, so that one
// whose reader is slow holds up nothing else: a full port is not read from or written to until there is room.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { CONTROL = 3, STREAMS = 3, PIECE = 65536, MAX_MESSAGE = 8 << 20, HEAD = 4096 };

// What becomes of one of the program's streams (protocol.py: Stream).
enum { CLOSED = 'c', NOTHING = 'n', PIPE = 'p', TERMINAL = 't' };

static const char ROOT[] = "/root";

// ------------------------------------------------------------------------------------- ports

static int ports[STREAMS + 1]; // 0, 1, 2: the streams; CONTROL

static void send_message(char type, const void *payload, size_t size);
static void remove_points(void);

// The end of everything, and of the machine with it.
static void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

// Tell lxrun what went wrong where: STAGE is one letter, the text follows errno's number.
static void fail_with(char stage, int error, const char *text, const void *more, size_t more_size)
{
    remove_points();
    size_t size = 5 + strlen(text) + 1 + more_size;
    char *payload = malloc(size);
    if (payload) {
        uint32_t number = (uint32_t)error;
        payload[0] = stage;
        memcpy(payload + 1, &number, 4);
        strcpy(payload + 5, text);
        if (more_size)
            memcpy(payload + size - more_size, more, more_size);
        send_message('F', payload, size);
    }
    power_off();
}

static void fail(char stage, const char *text) { fail_with(stage, errno, text, NULL, 0); }

static void write_fully(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size) {
        ssize_t count = write(fd, at, size);
        if (count < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            if (poll(&wait, 1, -1) == 1 && wait.revents & POLLHUP)
                power_off(); // lxrun is gone
        } else if (count < 0 && errno != EINTR) {
            return; // lxrun is gone, and with it whoever would want to know
        } else if (count > 0) {
            at += count;
            size -= (size_t)count;
        }
    }
}

static void send_message(char type, const void *payload, size_t size)
{
    uint32_t length = (uint32_t)size;
    char head[5];
    memcpy(head, &length, 4);
    head[4] = type;
    if (ports[CONTROL] <= 0)
        return;
    write_fully(ports[CONTROL], head, sizeof head);
    write_fully(ports[CONTROL], payload, size);
}

static int read_fully(int fd, void *data, size_t size)
{
    char *at = data;
    while (size) {
        ssize_t count = read(fd, at, size);
        if (count > 0) {
            at += count;
            size -= (size_t)count;
            continue;
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, -1) == 1 && wait.revents & POLLHUP && !(wait.revents & POLLIN))
            power_off(); // lxrun is gone
    }
    return 0;
}

// One message; its payload is followed by a NUL.  Whoever calls frees it.
static char *receive_message(char *type, size_t *size)
{
    uint32_t length;
    char head[5];
    if (read_fully(ports[CONTROL], head, sizeof head))
        return NULL;
    memcpy(&length, head, 4);
    *type = head[4];
    *size = length;
    char *payload = length <= MAX_MESSAGE ? malloc(length + 1) : NULL;
    if (!payload || read_fully(ports[CONTROL], payload, length))
        return NULL;
    payload[length] = 0;
    return payload;
}

// ---------------------------------------------------------------------------------- start-up

// Modules in the order of /modules, which has those that others need first.
static void load_modules(void)
{
    FILE *list = fopen("/modules", "re");
    char name[256];
    if (!list)
        return;
    while (fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
            fprintf(stderr, "lxrun: module %s: %s\n", name, strerror(errno));
        close(fd);
    }
    fclose(list);
}

// The port that lxrun calls NAME; the device appears once its driver has looked at it.
static int open_port(const char *name)
{
    char path[512], found[64];
    for (int tries = 0; tries < 5000; tries++) {
        DIR *ports_dir = opendir("/sys/class/virtio-ports");
        struct dirent *entry;
        while (ports_dir && (entry = readdir(ports_dir))) {
            snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
            FILE *file = fopen(path, "re");
            if (!file)
                continue;
            if (!fgets(found, sizeof found, file))
                found[0] = 0;
            fclose(file);
            found[strcspn(found, "\n")] = 0;
            if (strcmp(found, name))
                continue;
            snprintf(path, sizeof path, "/dev/%s", entry->d_name);
            int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
            if (fd >= 0) {
                closedir(ports_dir);
                return fd;
            }
        }
        if (ports_dir)
            closedir(ports_dir);
        usleep(1000);
    }
    fprintf(stderr, "lxrun: no port %s\n", name);
    power_off();
    return -1;
}

// ------------------------------------------------------------------------- what is to be run

struct order {
    char **argv, **envp;
    size_t argc, envc;
    gid_t groups[1024];
    size_t group_count;
    uid_t uid;
    gid_t gid;
    mode_t umask;
    const char *cwd;
    int cwd_wanted; // the user asked for this directory: without it nothing is run
    char streams[STREAMS + 1];
    struct winsize window;
};

struct made { // a mount point that the root did not have, to be removed again
    char path[4096];
    int is_file;
    struct made *next;
};
static struct made *made_points;

static void add(char ***list, size_t *count, char *text)
{
    if ((*count & (*count - 1)) == 0) {
        *list = realloc(*list, (*count ? *count * 2 : 1) * sizeof **list + sizeof **list);
        if (!*list)
            fail('m', "the arguments");
    }
    (*list)[(*count)++] = text;
    (*list)[*count] = NULL;
}

// A resumed machine has the clock and the random numbers of the moment it was saved.
static void set_clock(const char *text)
{
    char *end;
    struct timespec now = {.tv_sec = strtoll(text, &end, 10)};
    now.tv_nsec = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    clock_settime(CLOCK_REALTIME, &now);
}

static void seed(const char *hex)
{
    struct {
        struct rand_pool_info info;
        unsigned char bytes[64];
    } pool = {.info = {.entropy_count = 0, .buf_size = 0}};
    size_t count = 0;
    for (unsigned value; count < sizeof pool.bytes && sscanf(hex + 2 * count, "%2x", &value) == 1; count++)
        ((unsigned char *)pool.info.buf)[count] = (unsigned char)value;
    pool.info.buf_size = (int)count;
    pool.info.entropy_count = (int)count * 8;
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    ioctl(fd, RNDADDENTROPY, &pool.info);
    ioctl(fd, RNDRESEEDCRNG);
    close(fd);
}

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
static void make_world(void)
{
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
}

// "TAG r|w PATH": a directory of the host's, shown at PATH.
static void mount_volume(char *text)
{
    char *mode = strchr(text, ' ');
    if (!mode)
        return;
    *mode++ = 0;
    if (make_point(mode + 2) || mount_9p(text, mode + 2, *mode == 'r'))
        fail('m', mode + 2);
}

static void remove_points(void)
{
    chdir("/");
    for (struct made *point = made_points; point; point = point->next) {
        umount2(point->path, MNT_DETACH);
        rmdir(point->path);
    }
}

// The order: letters each followed by a text and a NUL; protocol.py lists them.
static void read_order(struct order *order, char *payload, size_t size)
{
    int world = 0;
    memset(order->streams, NOTHING, STREAMS);
    for (char *at = payload, *next; at < payload + size; at = next) {
        char *text = at + 1;
        next = at + strlen(at) + 1; // now, for a volume's text is cut where it is
        switch (*at) {
        case 'T': set_clock(text); break;
        case 'R': seed(text); break;
        case 'A': add(&order->argv, &order->argc, text); break;
        case 'E': add(&order->envp, &order->envc, text); break;
        case 'U': order->uid = (uid_t)strtoul(text, NULL, 10); break;
        case 'G': order->gid = (gid_t)strtoul(text, NULL, 10); break;
        case 'g':
            if (order->group_count < sizeof order->groups / sizeof *order->groups)
                order->groups[order->group_count++] = (gid_t)strtoul(text, NULL, 10);
            break;
        case 'K': order->umask = (mode_t)strtoul(text, NULL, 8); break;
        case 'C': order->cwd = text; order->cwd_wanted = 1; break;
        case 'c': order->cwd = text; break;
        case 'S': memcpy(order->streams, text, strnlen(text, STREAMS)); break;
        case 'W': sscanf(text, "%hux%hu", &order->window.ws_row, &order->window.ws_col); break;
        case 'V':
            if (!world++)
                make_world();
            mount_volume(text);
            break;
        default: errno = EPROTO; fail('m', "the order");
        }
    }
    if (!world)
        make_world();
    if (!order->argc) {
        errno = EPROTO;
        fail('m', "the order");
    }
    if (!order->envp)
        add(&order->envp, &order->envc, NULL);
}

// ------------------------------------------------------------------------------- the program

// One stream: at one side a port, at the other a pipe or terminal of the program's.
struct stream {
    int fd;      // ours; -1 once it is over
    int other;   // the program's, until it is started
    char *data;  // bytes on their way
    size_t from, to;
    uint32_t expected; // bytes of the current piece that have not come yet (stdin)
    int ended;   // nothing comes any more
    int closed;  // output: lxrun has been told
};
static struct stream streams[STREAMS];
static int terminal = -1;
static pid_t program;

static void open_streams(const struct order *order)
{
    char name[64];
    int tty = -1, pair[2];
    for (int i = 0; i < STREAMS; i++) {
        struct stream *stream = &streams[i];
        *stream = (struct stream){.fd = -1, .other = -1, .data = malloc(PIECE + 4)};
        if (order->streams[i] == NOTHING)
            stream->other = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (order->streams[i] == PIPE) {
            if (!stream->data || pipe2(pair, O_CLOEXEC))
                fail('m', "a pipe");
            stream->fd = pair[i == 0];
            stream->other = pair[i != 0];
            // Another user than root may open it again by its name, /dev/stdout
            fchown(stream->other, order->uid, order->gid);
        }
        if (order->streams[i] == TERMINAL) {
            if (tty < 0) {
                int unlock = 0, number;
                terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (terminal < 0 || ioctl(terminal, TIOCSPTLCK, &unlock) || ioctl(terminal, TIOCGPTN, &number))
                    fail('m', "a terminal");
                snprintf(name, sizeof name, "/dev/pts/%d", number);
                tty = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (tty < 0 || ioctl(tty, TIOCSWINSZ, &order->window))
                    fail('m', "a terminal");
                fchown(tty, order->uid, 5);
                stream->fd = terminal;
            }
            // What both 1 and 2 print comes out of the terminal once, at the first of them.
            if (i && order->streams[0] == TERMINAL && !(i == 2 && order->streams[1] == TERMINAL))
                stream->fd = fcntl(terminal, F_DUPFD_CLOEXEC, 0);
            stream->other = fcntl(tty, F_DUPFD_CLOEXEC, 0);
        }
        if (stream->fd >= 0)
            fcntl(stream->fd, F_SETFL, O_NONBLOCK);
    }
    close(tty);
}

// What lxrun says of a file that could not be run depends on how it starts.
static void fail_to_run(const char *path, int error)
{
    static char head[8 + HEAD];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t count = fd < 0 ? 0 : read(fd, head + 8, HEAD);
    uint64_t size = fd >= 0 && !fstat(fd, &st) ? (uint64_t)st.st_size : 0;
    memcpy(head, &size, 8);
    fail_with('x', error, path, head, 8 + (count > 0 ? (size_t)count : 0));
}

// Why PATH is no program, or 0.
static int unfit(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return errno;
    if (S_ISDIR(st.st_mode))
        return EISDIR;
    if (!S_ISREG(st.st_mode))
        return EINVAL; // no regular file
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) ? errno : 0;
}

// What the new process says to the agent if it does not become the program.
struct answer {
    int error, found;
    char path[4096];
};

static void give_up(int report, int error, int found, const char *path)
{
    static struct answer answer;
    answer.error = error;
    answer.found = found;
    snprintf(answer.path, sizeof answer.path, "%s", path);
    write(report, &answer, sizeof answer);
    _exit(127);
}

static void run(struct order *order, int report)
{
    char path[4096];
    const char *name = order->argv[0], *search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    int error = ENOENT, reason;
    snprintf(path, sizeof path, "%s", name);
    if (strchr(name, '/')) {
        error = unfit(path);
    } else {
        for (size_t i = 0; i < order->envc; i++)
            if (order->envp[i] && !strncmp(order->envp[i], "PATH=", 5))
                search = order->envp[i] + 5;
        for (const char *at = search; error; at++) {
            size_t length = strcspn(at, ":");
            char candidate[4096];
            snprintf(candidate, sizeof candidate, "%.*s/%s", length ? (int)length : 1, length ? at : ".", name);
            reason = unfit(candidate);
            if (!reason || (reason != ENOENT && reason != ENOTDIR && reason != EISDIR && error == ENOENT)) {
                error = reason;
                memcpy(path, candidate, sizeof path);
            }
            at += length;
            if (!*at)
                break;
        }
    }
    int found = !error;
    if (found) {
        execve(path, order->argv, order->envp);
        error = errno;
    }
    give_up(report, error, found, path);
}

static void start(struct order *order)
{
    int report[2];
    sigset_t none;
    if (pipe2(report, O_CLOEXEC))
        fail('m', "a pipe");
    program = fork();
    if (program < 0)
        fail('m', "a process");
    if (!program) {
        setsid();
        signal(SIGPIPE, SIG_DFL);
        for (int i = 0; i < STREAMS; i++)
            if (order->streams[i] == TERMINAL) {
                ioctl(streams[i].other, TIOCSCTTY, 0);
                break;
            }
        // Their own numbers may be among 0, 1 and 2, which are in use by the agent's console.
        for (int i = 0; i < STREAMS; i++)
            if (streams[i].other < 0)
                close(i);
            else
                dup2(streams[i].other, i);
        umask(order->umask);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (setgroups(order->group_count, order->groups) || setgid(order->gid) || setuid(order->uid))
            give_up(report[1], errno, 1, "the user");
        run(order, report[1]);
    }
    close(report[1]);
    for (int i = 0; i < STREAMS; i++)
        if (streams[i].other >= 0)
            close(streams[i].other);
    static struct answer answer;
    if (read(report[0], &answer, sizeof answer) == sizeof answer) {
        if (answer.found)
            fail_to_run(answer.path, answer.error);
        fail_with('u', answer.error, answer.path, NULL, 0);
    }
    close(report[0]);
    send_message('L', "", 0);
}

// ------------------------------------------------------------------------------ carrying

// lxrun -> program.  Bytes of whole or partial pieces; the program may be slow, then the port waits.
static void feed(struct stream *stream)
{
    if (stream->from == stream->to && !stream->ended) {
        uint32_t length;
        if (!stream->expected) {
            ssize_t count = read(ports[0], &length, 4);
            if (count <= 0)
                return;
            if (count < 4 && read_fully(ports[0], (char *)&length + count, 4 - (size_t)count))
                return;
            stream->expected = length;
            stream->ended = !length;
        }
        if (stream->expected) {
            ssize_t count = read(ports[0], stream->data, stream->expected < PIECE ? stream->expected : PIECE);
            if (count > 0) {
                stream->expected -= (uint32_t)count;
                stream->from = 0;
                stream->to = (size_t)count;
            }
        }
    }
    while (stream->fd >= 0 && stream->from < stream->to) {
        ssize_t count = write(stream->fd, stream->data + stream->from, stream->to - stream->from);
        if (count > 0)
            stream->from += (size_t)count;
        else if (count < 0 && errno == EAGAIN)
            return;
        else if (count < 0 && errno != EINTR) { // nobody reads it any more
            if (stream->fd != terminal)
                close(stream->fd);
            stream->fd = -1;
            send_message('B', "", 0);
        }
    }
    if (stream->fd < 0)
        stream->from = stream->to = 0;
    if (stream->ended && stream->from == stream->to && stream->fd >= 0 && stream->fd != terminal) {
        close(stream->fd);
        stream->fd = -1;
    }
}

// Program -> lxrun.  A piece that the port has no room for stays until it has.
static void drain(int number)
{
    struct stream *stream = &streams[number];
    for (;;) {
        while (stream->from < stream->to) {
            ssize_t count = write(ports[number], stream->data + stream->from, stream->to - stream->from);
            if (count > 0)
                stream->from += (size_t)count;
            else if (count < 0 && errno == EINTR)
                continue;
            else
                return;
        }
        if (stream->fd < 0) {
            stream->closed = 1;
            return;
        }
        ssize_t count = read(stream->fd, stream->data + 4, PIECE);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        uint32_t length = count > 0 ? (uint32_t)count : 0;
        memcpy(stream->data, &length, 4);
        stream->from = 0;
        stream->to = 4 + length;
        if (!length) { // the end; of a terminal that nobody has open: EIO
            close(stream->fd);
            stream->fd = -1;
        }
    }
}

static void obey(void)
{
    size_t size;
    char type, *payload = receive_message(&type, &size);
    if (!payload)
        return;
    if (type == 'K' && size == 1) { // a signal: for the program and, as from a terminal, its process group
        if (kill(-program, payload[0]))
            kill(program, payload[0]);
        send_message('A', "", 0);
    } else if (type == 'W') {
        struct winsize window = {0};
        if (sscanf(payload, "%hux%hu", &window.ws_row, &window.ws_col) == 2 && terminal >= 0)
            ioctl(terminal, TIOCSWINSZ, &window);
    } else if (type == 'B' && size == 1 && payload[0] > 0 && payload[0] < STREAMS) {
        struct stream *stream = &streams[(int)payload[0]]; // nobody reads what it prints: SIGPIPE for it
        close(stream->fd);
        stream->fd = -1;
        stream->from = stream->to = 0;
    }
    free(payload);
}

// Until the program and everything it started are gone and all they printed is with lxrun.
static uint32_t carry(int children)
{
    int status = 0, over = 0;
    for (;;) {
        struct pollfd wait[3 + 2 * STREAMS];
        nfds_t count = 0;
        wait[count++] = (struct pollfd){.fd = children, .events = POLLIN};
        wait[count++] = (struct pollfd){.fd = ports[CONTROL], .events = POLLIN};
        struct stream *in = &streams[0];
        if (!over) {
            if (in->from < in->to && in->fd >= 0)
                wait[count++] = (struct pollfd){.fd = in->fd, .events = POLLOUT};
            else if (!in->ended)
                wait[count++] = (struct pollfd){.fd = ports[0], .events = POLLIN};
        }
        int busy = 0;
        for (int i = 1; i < STREAMS; i++) {
            struct stream *out = &streams[i];
            if (out->from < out->to)
                wait[count++] = (struct pollfd){.fd = ports[i], .events = POLLOUT};
            else if (out->fd >= 0)
                wait[count++] = (struct pollfd){.fd = out->fd, .events = POLLIN};
            busy |= out->from < out->to || out->fd >= 0;
        }
        if (over && !busy)
            return (uint32_t)status;
        poll(wait, count, -1);
        struct signalfd_siginfo info;
        while (read(children, &info, sizeof info) > 0)
            ;
        if (wait[1].revents & POLLIN)
            obey();
        else if (wait[1].revents & POLLHUP)
            power_off(); // lxrun is gone
        int state;
        for (pid_t pid; (pid = waitpid(-1, &state, WNOHANG)) > 0;)
            if (pid == program) {
                status = state;
                over = 1;
                kill(-1, SIGKILL); // as when the first process of a machine ends
            }
        if (!over)
            feed(in);
        for (int i = 1; i < STREAMS; i++)
            drain(i);
    }
}

int main(void)
{
    static const char *const names[] = {"lxrun.0", "lxrun.1", "lxrun.2", "lxrun.control"};
    static struct order order;
    char type, *payload;
    size_t size;
    umask(0);
    mkdir("/dev", 0755);
    mkdir("/sys", 0755);
    mount("devtmpfs", "/dev", "devtmpfs", 0, "mode=755");
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    signal(SIGPIPE, SIG_IGN);
    load_modules();
    for (int i = 0; i <= STREAMS; i++)
        ports[i] = open_port(names[i]);
    send_message('R', "1", 1);
    while ((payload = receive_message(&type, &size)) && type == 'P') {
        free(payload);
        send_message('R', "1", 1);
    }
    if (!payload || type != 'O')
        power_off();
    read_order(&order, payload, size);
    if (order.cwd && chdir(order.cwd) && order.cwd_wanted)
        fail('w', order.cwd);
    open_streams(&order);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    start(&order);
    uint32_t status = carry(children);
    remove_points();
    sync();
    send_message('X', &status, sizeof status);
    power_off();
}

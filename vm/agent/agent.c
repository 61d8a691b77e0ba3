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

#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
        case 'D': order->tracing = *text; break;
        case 'J': order->job_control = 1; break;
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

int main(int argc, char **argv)
{
    static const char *const names[] = {"lxrun.0", "lxrun.1", "lxrun.2", "lxrun.control"};
    static struct order order;
    char type, *payload;
    size_t size;
    if (getpid() != 1) // modprobe -q -- NAME
        return serve_request(argv[argc - 1]);
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
    carry(children);
}

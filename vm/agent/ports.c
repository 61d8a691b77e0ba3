// The virtio-serial ports: messages on the control port, and failures, which end the machine.

#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

int ports[STREAMS + 1];

// The end of everything, and of the machine with it.
// A reset, which for this QEMU is the end; to switch a machine off takes ACPI.
void power_off(void)
{
    sync();
    reboot(RB_AUTOBOOT);
    for (;;)
        pause();
}

// Tell lxrun what went wrong where: STAGE is one letter, the text follows errno's number.
void fail_with(char stage, int error, const char *text, const void *more, size_t more_size)
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

void fail(char stage, const char *text) { fail_with(stage, errno, text, NULL, 0); }

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

void send_message(char type, const void *payload, size_t size)
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

int read_fully(int fd, void *data, size_t size)
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
        if (poll(&wait, 1, -1) == 1 && wait.revents & POLLHUP && (!count || !(wait.revents & POLLIN)))
            power_off(); // lxrun is gone: a port without a reader of its other end reads as 0 bytes for ever
    }
    return 0;
}

// One message; its payload is followed by a NUL.  Whoever calls frees it.
char *receive_message(char *type, size_t *size)
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

// The port that lxrun calls NAME; the device appears once its driver has looked at it.
int open_port(const char *name)
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

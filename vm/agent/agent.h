// What the parts of the agent know of each other.

#ifndef AGENT_H
#define AGENT_H

#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

enum { CONTROL = 3, STREAMS = 3, PIECE = 65536, MAX_MESSAGE = 8 << 20, HEAD = 4096 };

// What becomes of one of the program's streams (protocol.py: Stream).
enum { CLOSED = 'c', NOTHING = 'n', PIPE = 'p', TERMINAL = 't' };

// What lxrun is told of the program's calls (protocol.py: Tracing).
enum { COUNTS = 'c', STEPS = 's' };

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
    char tracing; // 0: nothing
    int job_control; // lxrun can be stopped and continued
    struct winsize window;
};

// ports.c: what is said to lxrun
extern int ports[STREAMS + 1]; // 0, 1, 2: the streams; CONTROL
int open_port(const char *name);
void send_message(char type, const void *payload, size_t size);
char *receive_message(char *type, size_t *size);
int read_fully(int fd, void *data, size_t size);
void fail_with(char stage, int error, const char *text, const void *more, size_t more_size);
void fail(char stage, const char *text);
void power_off(void);

// modules.c: the kernel's modules
void load_modules(void);
void keep_modules(void);
void offer_modules(void);
int serve_request(const char *name);

// world.c: mounts
void make_world(void);
void mount_volume(char *text);
void remove_points(void);

// program.c: the program and its streams
void open_streams(const struct order *order);
void start(struct order *order);
void carry(int children);

// trace.c: its calls
struct rusage;
void trace_from_start(pid_t pid, char how);
int is_stopped(int status);
void trace_stop(pid_t tid, int status);
void trace_end(pid_t tid, int status, const struct rusage *usage);
void trace_request(char type, const char *payload, size_t size);

#endif

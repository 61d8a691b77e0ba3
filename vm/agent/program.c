// The program: its streams, its start, and carrying what goes in and out until it has ended.

#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

// One stream: at one side a port, at the other a pipe or terminal of the program's.
struct stream {
    int fd;      // ours; -1 once it is over
    int other;   // the program's, until it is started
    char *data;  // bytes on their way
    size_t from, to;
    uint32_t expected; // bytes of the current piece that have not come yet (stdin)
    uint64_t taken; // bytes of an output so far
    int ended;   // nothing comes any more; of an output lxrun has been told
};
static struct stream streams[STREAMS];
static int terminal = -1;
static pid_t program;
static int overseer = -1; // what its parent says of the program: wait(2) statuses

void open_streams(const struct order *order)
{
    char name[64];
    int tty = -1, pair[2] = {-1, -1};
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
                int unlock = 0, number = 0;
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

// A session of its own, and the terminal's, if there is one; that is returned.
static int lead_session(const struct order *order)
{
    setsid();
    for (int i = 0; i < STREAMS; i++)
        if (order->streams[i] == TERMINAL) {
            ioctl(streams[i].other, TIOCSCTTY, 0);
            return streams[i].other;
        }
    return -1;
}

// Linux stops no process group by the terminal's signals unless it has a parent of its session outside the group: a
// shell, which could continue it.  This is that parent.  It says what becomes of the program, and nothing disturbs it.
static void oversee(pid_t child, int tty, int answer)
{
    int status;
    for (int signo = 1; signo <= SIGRTMAX; signo++)
        if (signo != SIGCHLD)
            signal(signo, SIG_IGN);
    setpgid(child, child);
    if (tty >= 0)
        tcsetpgrp(tty, child);
    dup2(answer, STREAMS);
    write(STREAMS, &child, sizeof child);
    for (int i = 0; i < STREAMS; i++)
        close(i);
    syscall(SYS_close_range, STREAMS + 1, ~0U, 0);
    chdir("/");
    while (waitpid(child, &status, WUNTRACED) == child) {
        write(STREAMS, &status, sizeof status);
        if (!WIFSTOPPED(status))
            break;
    }
    _exit(0);
}

void start(struct order *order)
{
    int report[2], gate[2], said[2];
    sigset_t none;
    if (pipe2(report, O_CLOEXEC) || pipe2(gate, O_CLOEXEC) || pipe2(said, O_CLOEXEC))
        fail('m', "a pipe");
    program = fork();
    if (program < 0)
        fail('m', "a process");
    if (!program) {
        char nothing;
        close(gate[1]);
        int tty = lead_session(order);
        if (order->job_control) {
            pid_t child = fork();
            if (child)
                oversee(child, tty, said[1]);
        }
        signal(SIGPIPE, SIG_DFL);
        // Their own numbers may be among 0, 1 and 2, which are in use by the agent's console.
        for (int i = 0; i < STREAMS; i++)
            if (streams[i].other < 0)
                close(i);
            else
                dup2(streams[i].other, i);
        umask(order->umask);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT); // a machine that was halted would tell nobody
        if (setgroups(order->group_count, order->groups) || setgid(order->gid) || setuid(order->uid))
            give_up(report[1], errno, 1, "the user");
        read(gate[0], &nothing, 1); // until it is traced, if it is to be
        run(order, report[1]);
    }
    close(said[1]);
    if (order->job_control && (read(said[0], &program, sizeof program) != sizeof program || program < 0))
        fail('m', "a process");
    if (order->job_control)
        overseer = said[0];
    else
        close(said[0]);
    fcntl(said[0], F_SETFL, O_NONBLOCK);
    if (order->tracing)
        trace_from_start(program, order->tracing);
    close(gate[0]);
    close(gate[1]);
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
        if (stream->ended)
            return;
        ssize_t count = stream->fd < 0 ? 0 : read(stream->fd, stream->data + 4, PIECE);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        uint32_t length = count > 0 ? (uint32_t)count : 0;
        stream->taken += length;
        memcpy(stream->data, &length, 4);
        stream->from = 0;
        stream->to = 4 + length;
        if (!length) { // the end; of a terminal that nobody has open: EIO
            stream->ended = 1;
            if (stream->fd >= 0)
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
    } else if (type == 'G' || type == 'M') {
        trace_request(type, payload, size);
    } else if (type == 'B' && size == 1 && payload[0] > 0 && payload[0] < STREAMS) {
        struct stream *stream = &streams[(int)payload[0]]; // nobody reads what it prints: SIGPIPE for it
        if (stream->fd >= 0)
            close(stream->fd);
        stream->fd = -1; // a piece that is on its way goes on, and the end follows it
    }
    free(payload);
}

// Nothing of the program is left: its files are where they belong, and lxrun is told how it ended.
static void finish(int status)
{
    uint32_t number = (uint32_t)status;
    remove_points();
    sync();
    send_message('X', &number, sizeof number);
}

// The program is stopped: lxrun prints what there is of its output, stops too, and passes on what continues it.
static void tell_of_stop(int status)
{
    uint64_t stop[STREAMS] = {(uint64_t)WSTOPSIG(status)};
    for (int i = 1; i < STREAMS; i++) {
        drain(i);
        stop[i] = streams[i].taken;
    }
    send_message('Z', stop, sizeof stop);
}

// Until lxrun ends the machine, which it does when it has the status and all that was printed.
void carry(int children)
{
    int status = 0, over = 0, told = 0;
    for (;;) {
        struct pollfd wait[4 + 2 * STREAMS];
        nfds_t count = 0;
        wait[count++] = (struct pollfd){.fd = children, .events = POLLIN};
        wait[count++] = (struct pollfd){.fd = ports[CONTROL], .events = POLLIN};
        wait[count++] = (struct pollfd){.fd = overseer, .events = POLLIN};
        struct stream *in = &streams[0];
        if (!over) {
            if (in->from < in->to && in->fd >= 0)
                wait[count++] = (struct pollfd){.fd = in->fd, .events = POLLOUT};
            else if (!in->ended)
                wait[count++] = (struct pollfd){.fd = ports[0], .events = POLLIN};
        }
        for (int i = 1; i < STREAMS; i++) {
            struct stream *out = &streams[i];
            if (out->from < out->to)
                wait[count++] = (struct pollfd){.fd = ports[i], .events = POLLOUT};
            else if (out->fd >= 0)
                wait[count++] = (struct pollfd){.fd = out->fd, .events = POLLIN};
        }
        poll(wait, count, -1);
        struct signalfd_siginfo info;
        while (read(children, &info, sizeof info) > 0)
            ;
        if (wait[1].revents & POLLIN)
            obey();
        else if (wait[1].revents & POLLHUP)
            power_off(); // lxrun is gone
        int state, ended = 0;
        pid_t pid;
        struct rusage usage;
        while ((pid = wait4(-1, &state, WNOHANG | WUNTRACED | __WALL, &usage)) > 0) {
            if (WIFSTOPPED(state)) {
                // If it is its parent's, that tells of it
                if (pid == program && overseer < 0 && is_stopped(state))
                    tell_of_stop(state);
                trace_stop(pid, state);
                continue;
            }
            trace_end(pid, state, &usage);
            if (pid == program) {
                status = state;
                ended = 1;
            }
        }
        ssize_t size;
        while (overseer >= 0 && (size = read(overseer, &state, sizeof state)) >= 0) {
            if (size == sizeof state && WIFSTOPPED(state)) {
                tell_of_stop(state);
            } else if (size == sizeof state) {
                status = state;
                ended = 1;
            } else {
                close(overseer);
                overseer = -1;
            }
        }
        if (ended && !over) {
            over = 1;
            kill(-1, SIGKILL); // as when the first process of a machine ends
        }
        if (over && !told && pid < 0) { // no children are left
            told = 1;
            finish(status);
        }
        if (!over)
            feed(in);
        for (int i = 1; i < STREAMS; i++)
            drain(i);
    }
}

// uring_fuzz SEED ROUNDS: entries and registrations at random, most of them wrong; ends with 42.
#include "../programs/uring.h"
#include <sys/socket.h>

static unsigned long long seed;
static char memory[65536];

static unsigned any(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (seed >> 33) % n;
}

static const unsigned setups[] = {
    0, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SQE128, IORING_SETUP_CQE32,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_NO_SQARRAY, IORING_SETUP_IOPOLL,
};

static void *somewhere(void)
{
    return any(6) ? memory + any(60000) : (void *)(long)any(1000);
}

int main(int argc, char **argv)
{
    seed = atol(argv[1]);
    int rounds = atol(argv[2]), p[2], s[2], d[2];
    for (int fd = 0; fd < 3; fd++)
        close(fd), open("/dev/null", O_RDWR);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    pipe2(p, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s), socketpair(AF_UNIX, SOCK_DGRAM, 0, d);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), file = open("file", O_RDWR | O_CREAT, 0600);
    const int fds[] = {p[0], p[1], s[0], s[1], d[0], d[1], listener, file, -1, AT_FDCWD, 1000};
    struct ring r;
    ring_new(&r, 16, setups[any(7)] | IORING_SETUP_SUBMIT_ALL);
    while (rounds--) {
        for (int n = 1 + any(8); n--;) {
            struct io_uring_sqe *sqe = ring_sqe(&r, any(62), any(3) ? fds[any(11)] : any(8), any(20));
            if (sqe->opcode == IORING_OP_CLOSE)
                sqe->opcode = IORING_OP_NOP;
            sqe->flags = any(2) ? 0 : any(128);
            if (any(4))
                sqe->flags &= ~IOSQE_IO_DRAIN;
            sqe->ioprio = any(3) ? 0 : any(65536) >> any(16);
            sqe->off = any(2) ? 0 : any(5) ? any(100) : any(2) ? -1ul : (unsigned long)somewhere();
            sqe->addr = (unsigned long)somewhere();
            sqe->len = any(2) ? any(20) : any(5) ? any(5000) : -1u;
            sqe->rw_flags = any(2) ? 0 : 1u << any(32);
            sqe->buf_index = any(4) ? 0 : any(10);
            sqe->personality = any(20) ? 0 : any(3);
            sqe->splice_fd_in = any(3) ? 0 : any(2) ? any(10) : -1;
            sqe->addr3 = any(5) ? 0 : any(2) ? (unsigned long)memory : any(100);
        }
        unsigned count = r.tail - RING_WORD(&r, r.p.sq_off.tail);
        RING_WORD(&r, r.p.sq_off.tail) = r.tail;
        struct __kernel_timespec ts = {.tv_nsec = 200000};
        struct io_uring_getevents_arg arg = {.ts = (unsigned long)&ts};
        uring_enter(r.fd, count, any(2), IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
        RING_WORD(&r, r.p.sq_off.tail) = r.tail = RING_WORD(&r, r.p.sq_off.head);
        struct io_uring_cqe cqe;
        while (ring_take(&r, &cqe))
            ;
        for (int i = 0; i < 50; i++)
            memory[any(sizeof memory)] = any(256);
        ((unsigned long *)memory)[any(800)] = (unsigned long)memory + any(1000);
        ((unsigned long *)memory)[any(800)] = any(64);
        if (!any(3))
            uring_register(r.fd, any(36), any(5) ? memory + 8 * any(1000) : (void *)(long)any(8), any(2) ? any(5) : any(100));
        if (!any(3))
            write(p[1], memory, any(50)), send(s[1], memory, any(50), MSG_DONTWAIT), send(d[1], memory, any(50), MSG_DONTWAIT);
        if (!any(40))
            ring_close(&r), ring_new(&r, 16, setups[any(7)] | IORING_SETUP_SUBMIT_ALL);
        if (!any(30)) {
            char path[64], text[4096];
            snprintf(path, sizeof path, "/proc/self/fdinfo/%d", r.fd);
            int info = open(path, O_RDONLY);
            read(info, text, sizeof text);
            close(info);
        }
    }
    _exit(42);
}

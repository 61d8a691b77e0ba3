// io_uring: sockets, multishot requests, provided buffers, polls.
#include "uring.h"
#include <sys/socket.h>
#include <sys/un.h>

static struct ring r;
static char buf[64], pool[8][16];
static int group = 7;
static struct sockaddr_un name = {AF_UNIX, "\0lxrun uring"};
#define NAME_SIZE (sizeof(sa_family_t) + 12)

static struct io_uring_sqe *op(int opcode, int fd, int data, void *addr, int len)
{
    struct io_uring_sqe *sqe = ring_sqe(&r, opcode, fd, data);
    sqe->addr = (unsigned long)addr, sqe->len = len;
    return sqe;
}

static void connections(void)
{
    struct io_uring_sqe *sqe = ring_sqe(&r, IORING_OP_SOCKET, AF_UNIX, 1);
    sqe->off = SOCK_STREAM;
    SHOW(ring_submit(&r, 1));
    ring_show(&r, "socket");
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c[3];
    SHOW(bind(s, (void *)&name, NAME_SIZE));
    SHOW(listen(s, 8));
    op(IORING_OP_ACCEPT, s, 2, NULL, 0);
    SHOW(ring_submit(&r, 0));
    for (int i = 0; i < 3; i++)
        c[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    op(IORING_OP_CONNECT, c[0], 3, &name, 0)->off = NAME_SIZE;
    ring_reap(&r, "accept and connect", 2);
    op(IORING_OP_ACCEPT, s, 4, NULL, 0)->ioprio = IORING_ACCEPT_MULTISHOT;
    SHOW(ring_submit(&r, 0));
    op(IORING_OP_CONNECT, c[1], 5, &name, 0)->off = NAME_SIZE;
    ring_reap(&r, "accepted by the multishot", 2);
    op(IORING_OP_CONNECT, c[2], 6, &name, 0)->off = NAME_SIZE;
    ring_reap(&r, "and again", 2);
    op(IORING_OP_ASYNC_CANCEL, -1, 7, (void *)4, 0);
    ring_reap(&r, "cancelled", 2);
    op(IORING_OP_ACCEPT, 0, 8, NULL, 0);
    op(IORING_OP_ACCEPT, s, 9, NULL, 1);
    op(IORING_OP_ACCEPT, s, 10, NULL, 0)->accept_flags = 1;
    op(IORING_OP_SHUTDOWN, c[0], 11, NULL, SHUT_WR);
    op(IORING_OP_SHUTDOWN, 0, 12, NULL, SHUT_WR);
    op(IORING_OP_SHUTDOWN, c[0], 13, NULL, 7);
    ring_reap(&r, "bad ones", 6);
}

static void messages(int type)
{
    int p[2], q[2];
    NOTE("type %d", type);
    socketpair(AF_UNIX, type, 0, p), pipe(q);
    op(IORING_OP_RECV, p[0], 1, buf, 8);
    SHOW(ring_submit(&r, 0));
    op(IORING_OP_SEND, p[1], 2, "hello", 5);
    ring_reap(&r, "send and recv", 2);
    show_bytes("buf", buf, 8);
    memset(buf, 0, sizeof buf);
    if (type == SOCK_STREAM) {
        op(IORING_OP_RECV, p[0], 1, buf, 8)->msg_flags = MSG_WAITALL;
        SHOW(ring_submit(&r, 0));
        write(p[1], "1234", 4);
        NOTE("ready %u", ring_ready(&r));
        write(p[1], "56789", 5);
        ring_reap(&r, "MSG_WAITALL", 1);
        read(p[0], buf + 8, 1);
    }
    op(IORING_OP_RECV, p[0], 1, buf, 8)->msg_flags = MSG_DONTWAIT;
    ring_reap(&r, "MSG_DONTWAIT", 1);
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec out = {"abc", 3}, in[2] = {{buf, 2}, {buf + 16, 8}};
    struct msghdr m = {.msg_iov = &out, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
    cmsg->cmsg_level = SOL_SOCKET, cmsg->cmsg_type = SCM_RIGHTS, cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &q[1], sizeof(int));
    op(IORING_OP_SENDMSG, p[1], 1, &m, 1);
    ring_reap(&r, "sendmsg", 1);
    char control2[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr n = {.msg_iov = in, .msg_iovlen = 2, .msg_control = control2, .msg_controllen = sizeof control2};
    op(IORING_OP_RECVMSG, p[0], 1, &n, 1);
    ring_reap(&r, "recvmsg", 1);
    int got;
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&n)), sizeof got);
    NOTE("control %zu flags %#x", n.msg_controllen, n.msg_flags);
    SHOW(write(got, "through", 7));
    SHOW(read(q[0], buf + 32, 16));
    show_bytes("buf", buf, 40);
    close(p[1]);
    op(IORING_OP_SEND, p[0], 1, "x", 1);
    op(IORING_OP_RECV, p[0], 2, buf, 8);
    op(IORING_OP_RECV, q[0], 3, buf, 8);
    if (type == SOCK_STREAM)
        ring_reap(&r, "nobody there", 3);
    else
        op(IORING_OP_ASYNC_CANCEL, -1, 4, (void *)2, 0), ring_reap(&r, "nobody there", 4);
}

static struct io_uring_sqe *provide(int data, int count, int bid)
{
    struct io_uring_sqe *sqe = op(IORING_OP_PROVIDE_BUFFERS, count, data, pool[bid], sizeof pool[0]);
    sqe->off = bid, sqe->buf_group = group;
    return sqe;
}

static struct io_uring_sqe *selecting(struct io_uring_sqe *sqe)
{
    sqe->flags |= IOSQE_BUFFER_SELECT, sqe->buf_group = group;
    return sqe;
}

static void provided(void)
{
    int p[2], s[2];
    pipe(p), socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    selecting(op(IORING_OP_READ, p[0], 1, NULL, 8));
    ring_reap(&r, "no group", 1);
    provide(1, 4, 0);
    ring_reap(&r, "provide", 1);
    selecting(op(IORING_OP_READ, p[0], 1, NULL, 8));
    SHOW(ring_submit(&r, 0));
    write(p[1], "into 0", 6);
    ring_reap(&r, "read", 1);
    selecting(op(IORING_OP_RECV, s[0], 2, NULL, 0));
    SHOW(ring_submit(&r, 0));
    write(s[1], "into 1", 6);
    ring_reap(&r, "recv", 1);
    show_bytes("pool", pool, 32);
    selecting(op(IORING_OP_RECV, s[0], 3, NULL, 0))->ioprio = IORING_RECV_MULTISHOT;
    SHOW(ring_submit(&r, 0));
    write(s[1], "into 2", 6);
    ring_reap(&r, "multishot", 1);
    write(s[1], "into 3", 6);
    ring_reap(&r, "multishot", 1);
    write(s[1], "nowhere", 7);
    ring_reap(&r, "no more buffers", 1);
    ring_sqe(&r, IORING_OP_REMOVE_BUFFERS, 4, 4)->buf_group = 7;
    ring_reap(&r, "remove from an empty group", 1);
    provide(5, 6, 1);
    ring_sqe(&r, IORING_OP_REMOVE_BUFFERS, 2, 6)->buf_group = 7;
    ring_sqe(&r, IORING_OP_REMOVE_BUFFERS, 2, 7)->buf_group = 99;
    provide(8, 0, 0);
    ring_reap(&r, "remove", 4);
    selecting(op(IORING_OP_RECV, s[0], 9, NULL, 4));
    ring_reap(&r, "four bytes of it", 1);
    close(s[1]);
    selecting(op(IORING_OP_RECV, s[0], 10, NULL, 0))->ioprio = IORING_RECV_MULTISHOT;
    ring_reap(&r, "the rest and the end", 2);
    selecting(op(IORING_OP_WRITE, p[1], 11, "x", 1));
    ring_reap(&r, "not for a write", 1);
}

static void buffer_ring(void)
{
    struct io_uring_buf_ring *br = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct io_uring_buf_reg reg = {.ring_addr = (unsigned long)br, .ring_entries = 8, .bgid = 8};
    struct io_uring_buf_reg other = {.bgid = 9};
    int s[2];
    group = 8;
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    reg.ring_entries = 7;
    SHOW(uring_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    reg.ring_entries = 8, reg.ring_addr++;
    SHOW(uring_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    reg.ring_addr--;
    SHOW(uring_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    SHOW(uring_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    for (int i = 0; i < 3; i++)
        br->bufs[i].addr = (unsigned long)pool[i], br->bufs[i].len = 16, br->bufs[i].bid = 100 + i;
    br->tail = 3;
    memset(pool, 0, sizeof pool);
    selecting(op(IORING_OP_RECV, s[0], 1, NULL, 0))->ioprio = IORING_RECV_MULTISHOT;
    SHOW(ring_submit(&r, 0));
    for (int i = 0; i < 4; i++) {
        char text[] = "message 0";
        text[8] += i;
        write(s[1], text, 9);
        ring_reap(&r, "from a ring of buffers", 1);
    }
    show_bytes("pool", pool, 48);
    provide(2, 1, 0);
    ring_reap(&r, "provide to a ring", 1);
    SHOW(uring_register(r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1));
    reg.ring_addr = reg.ring_entries = 0;
    SHOW(uring_register(r.fd, IORING_UNREGISTER_PBUF_RING, &other, 1));
    SHOW(uring_register(r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1));
}

static struct io_uring_sqe *polling(int fd, int data, int events, int how)
{
    struct io_uring_sqe *sqe = op(IORING_OP_POLL_ADD, fd, data, NULL, how);
    sqe->poll32_events = events;
    return sqe;
}

static void polls(void)
{
    int p[2];
    pipe(p);
    polling(p[0], 1, POLLIN, 0), polling(p[1], 2, POLLOUT, 0), polling(p[0], 3, POLLIN, IORING_POLL_ADD_MULTI);
    SHOW(ring_submit(&r, 0));
    ring_show(&r, "what holds at once");
    write(p[1], "x", 1);
    ring_reap(&r, "readable", 2);
    read(p[0], buf, 1);
    write(p[1], "x", 1);
    ring_reap(&r, "again", 1);
    struct io_uring_sqe *sqe = op(IORING_OP_POLL_REMOVE, -1, 4, (void *)3, IORING_POLL_UPDATE_USER_DATA);
    sqe->off = 33;
    ring_reap(&r, "another name", 2);
    op(IORING_OP_POLL_REMOVE, -1, 5, (void *)3, 0);
    ring_reap(&r, "nobody of the old name", 1);
    op(IORING_OP_POLL_REMOVE, -1, 6, (void *)33, 0);
    ring_reap(&r, "removed", 2);
    read(p[0], buf, 1);
    polling(p[0], 7, POLLIN, IORING_POLL_ADD_MULTI);
    SHOW(ring_submit(&r, 0));
    close(p[1]);
    ring_reap(&r, "hung up", 1);
    polling(p[0], 8, POLLIN, 1 << 10), polling(999, 9, POLLIN, 0);
    ring_reap(&r, "bad ones", 2);
}

int main(void)
{
    setlinebuf(stdout);
    ring_new(&r, 32, IORING_SETUP_SUBMIT_ALL);
    connections();
    messages(SOCK_STREAM), messages(SOCK_DGRAM);
    provided();
    buffer_ring();
    polls();
    return 0;
}

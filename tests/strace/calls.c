/* Most calls in most of their forms, once with and once without success: what the decoders of --strace are
   compared with strace on.  Nothing is checked here; the run has to be the same every time. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/resource.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/prctl.h>
#include <sys/personality.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <utime.h>
#include <poll.h>

#define BAD ((void *)8)

static char buf[8192];

static void handler(int signal)
{
}

/* `name` keeps two runs at once apart. */
static void sockets(char name)
{
    struct iovec v[3];
    struct timespec ts={1, 5};
    int s[2], one=1, t, u;
    struct sockaddr_un ua={AF_UNIX, "name.sock"}, ub;
    socklen_t sl=sizeof ub;
    struct ucred uc;
    struct timeval tmo={1, 500000};
    struct linger lg={1, 2};
    struct msghdr mh;
    struct mmsghdr mm[3];
    struct { struct cmsghdr h; int fds[2]; } rights={{CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS}, {0, 1}};
    struct { struct cmsghdr h; struct ucred u; } cred={{CMSG_LEN(12), SOL_SOCKET, SCM_CREDENTIALS}, {1, 0, 0}};
    char room[128];
    syscall(SYS_socket, AF_UNIX, SOCK_RDM, 0);
    syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0, s);
    syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 7, room);
    syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, BAD);
    t=syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0);
    u=syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    syscall(SYS_bind, u, &ua, 12);
    syscall(SYS_listen, u, 5);
    syscall(SYS_listen, t, -1);
    syscall(SYS_accept, t, 0, 0);
    syscall(SYS_accept, t, &ub, &sl);
    syscall(SYS_getsockname, u, &ub, &sl);
    syscall(SYS_getpeername, u, &ub, &sl);
    sl=sizeof ub;
    syscall(SYS_getpeername, s[0], &ub, &sl);
    sl=4;
    syscall(SYS_getsockname, u, &ub, &sl);
    syscall(SYS_getsockname, u, BAD, &sl);
    syscall(SYS_getsockname, u, &ub, BAD);
    int cc=syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    syscall(SYS_connect, cc, &ua, sizeof ua);
    sl=sizeof ub;
    syscall(SYS_accept4, u, &ub, &sl, SOCK_CLOEXEC|SOCK_NONBLOCK);
    syscall(SYS_accept4, u, 0, 0, 1);
    memcpy(ua.sun_path, "\0abs\0tract", 10);
    ua.sun_path[6] = name;
    syscall(SYS_bind, t, &ua, 12);
    syscall(SYS_bind, t, &ua, 2);
    syscall(SYS_bind, t, &ua, 3);
    sl=sizeof ub;
    syscall(SYS_getsockname, t, &ub, &sl);
    syscall(SYS_sendto, t, "to myself", 9, MSG_NOSIGNAL, &ua, 12);
    syscall(SYS_sendto, s[0], "a longer message with more than thirty two bytes", 48, MSG_DONTWAIT, 0, 0);
    syscall(SYS_sendto, s[0], 0, 0, 0x80000, BAD, 1);
    sl=sizeof ub;
    syscall(SYS_recvfrom, t, buf, 100, MSG_DONTWAIT|MSG_TRUNC, &ub, &sl);
    syscall(SYS_recvfrom, t, buf, 100, MSG_DONTWAIT, &ub, &sl);
    syscall(SYS_recvfrom, s[1], buf, 10, MSG_PEEK, 0, 0);
    sl=sizeof ub;
    syscall(SYS_recvfrom, s[1], buf, 100, MSG_WAITALL|MSG_DONTWAIT, &ub, &sl);
    syscall(SYS_shutdown, t, SHUT_RD);
    syscall(SYS_shutdown, t, 7);
    syscall(SYS_setsockopt, s[0], SOL_SOCKET, SO_PASSCRED, &one, 4);
    syscall(SYS_setsockopt, s[0], SOL_SOCKET, SO_RCVTIMEO, &tmo, sizeof tmo);
    syscall(SYS_setsockopt, s[0], SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
    syscall(SYS_setsockopt, s[0], SOL_SOCKET, SO_SNDBUF, &one, 2);
    syscall(SYS_setsockopt, s[0], SOL_SOCKET, 999, "abc", 3);
    syscall(SYS_setsockopt, s[0], SOL_SOCKET, SO_KEEPALIVE, BAD, 4);
    syscall(SYS_setsockopt, s[0], IPPROTO_TCP, 1, &one, 4);
    syscall(SYS_setsockopt, s[0], 999, 999, &one, 4);
    for(int o=0;o<20;o++) {
        sl=sizeof room;
        memset(room, 0, sizeof room);
        syscall(SYS_getsockopt, s[0], SOL_SOCKET, o, room, &sl);
    }
    sl=sizeof tmo;
    syscall(SYS_getsockopt, s[0], SOL_SOCKET, SO_RCVTIMEO, &tmo, &sl);
    syscall(SYS_getsockopt, s[0], SOL_SOCKET, SO_ACCEPTCONN, &one, &sl);
    syscall(SYS_getsockopt, s[0], SOL_SOCKET, SO_DOMAIN, &one, &sl);
    syscall(SYS_getsockopt, s[0], SOL_SOCKET, SO_PROTOCOL, &one, &sl);
    sl=2;
    syscall(SYS_getsockopt, s[0], SOL_SOCKET, SO_TYPE, &one, &sl);
    syscall(SYS_getsockopt, s[0], SOL_SOCKET, SO_TYPE, &one, BAD);
    sl=4;
    syscall(SYS_getsockopt, s[0], IPPROTO_TCP, 1, &one, &sl);
    memset(&mh, 0, sizeof mh);
    v[0].iov_base="abc";
    v[0].iov_len=3;
    v[1].iov_base="defghi";
    v[1].iov_len=6;
    mh.msg_iov=v;
    mh.msg_iovlen=2;
    syscall(SYS_sendmsg, s[0], &mh, MSG_NOSIGNAL);
    mh.msg_control=&rights;
    mh.msg_controllen=sizeof rights;
    syscall(SYS_sendmsg, s[1], &mh, 0);
    mh.msg_control=&cred;
    mh.msg_controllen=CMSG_SPACE(12);
    cred.u.pid=getpid();
    syscall(SYS_sendmsg, s[1], &mh, 0);
    cred.h.cmsg_type=77;
    syscall(SYS_sendmsg, s[1], &mh, 0);
    cred.h.cmsg_level=7;
    syscall(SYS_sendmsg, s[1], &mh, 0);
    mh.msg_name=&ua;
    mh.msg_namelen=12;
    mh.msg_control=0;
    mh.msg_controllen=0;
    syscall(SYS_sendmsg, s[1], &mh, 0);
    syscall(SYS_sendmsg, s[1], BAD, 0);
    mh.msg_iov=BAD;
    syscall(SYS_sendmsg, s[1], &mh, 0);
    v[0].iov_base=buf;
    v[0].iov_len=4;
    v[1].iov_base=buf+100;
    v[1].iov_len=40;
    mh.msg_iov=v;
    for(int i=0;i<5;i++) {
        if(i==3) send(s[1], "12345", 5, 0);
        mh.msg_name=i==2?0:&ub;
        mh.msg_namelen=i==2?0:sizeof ub;
        mh.msg_control=i==3?0:room;
        mh.msg_controllen=i==3?0:sizeof room;
        mh.msg_flags=0;
        syscall(SYS_recvmsg, s[0], &mh, i==1?MSG_CMSG_CLOEXEC:0);
    }
    send(s[1], "x", 1, 0);
    syscall(SYS_recvmsg, s[0], BAD, 0);
    memset(mm, 0, sizeof mm);
    for(int i=0;i<3;i++) {
        mm[i].msg_hdr.msg_iov=&v[i%2];
        mm[i].msg_hdr.msg_iovlen=1;
    }
    syscall(SYS_sendmmsg, s[0], mm, 3, 0);
    syscall(SYS_sendmmsg, s[0], BAD, 3, 0);
    syscall(SYS_recvmmsg, s[1], mm, 3, MSG_DONTWAIT, 0);
    syscall(SYS_recvmmsg, s[1], mm, 3, MSG_DONTWAIT, &ts);
    syscall(SYS_recvmmsg, s[1], BAD, 1, MSG_DONTWAIT, 0);
    syscall(SYS_ioctl, s[0], 0x541B, &one);
    syscall(SYS_ioctl, s[0], 0x5411, &one);
    syscall(SYS_ioctl, s[0], 0x8905, &one);
    close(s[0]);
    close(s[1]);
    close(t);
    close(u);
    close(cc);
    unlink("name.sock");
}

int main(int argc, char **argv)
{
    int fd, p[2];
    struct stat st;
    struct iovec v[3];
    struct timespec ts={1, 5}, t2;
    struct timeval tv[2]={{1, 2}, {3, 4}};
    mkdir("w", 0755);
    chdir("w");

    /* opening */
    syscall(SYS_open, "f\n\t\"\\\001\0019x", O_CREAT|O_RDWR|O_TRUNC|O_APPEND|O_EXCL, 0644);
    syscall(SYS_open, BAD, 0);
    syscall(SYS_open, 0, O_WRONLY|O_SYNC|O_DSYNC);
    syscall(SYS_open, "nofile", -1, -1);
    syscall(SYS_open, "nofile", O_TMPFILE|O_RDWR, 0600);
    syscall(SYS_open, "nofile", O_PATH|O_DIRECTORY|O_NOFOLLOW|O_NOATIME|O_DIRECT|O_ASYNC|O_LARGEFILE|O_NOCTTY|O_NONBLOCK|0x80000000);
    unlink("f\n\t\"\\\001\0019x");
    fd=syscall(SYS_openat, AT_FDCWD, "file", O_CREAT|O_RDWR, 04755);
    syscall(SYS_openat, 99, "file", O_RDONLY|O_CLOEXEC);
    syscall(SYS_creat, "cr", 0600);
    struct open_how how={O_RDWR|O_CREAT, 0600, RESOLVE_NO_XDEV|RESOLVE_BENEATH};
    syscall(SYS_openat2, AT_FDCWD, "file", &how, 24);
    how.flags=O_RDONLY;
    how.mode=0;
    how.resolve=0;
    syscall(SYS_openat2, AT_FDCWD, "file", &how, 24);
    syscall(SYS_openat2, AT_FDCWD, "file", 0, 24);
    syscall(SYS_openat2, AT_FDCWD, "file", &how, 8);
    syscall(SYS_close, 999);
    syscall(SYS_close, 4);
    syscall(SYS_close_range, 50, 100, 4);
    syscall(SYS_close_range, 50, 100, 2);
    syscall(SYS_close_range, 50, ~0, 0);

    /* reading and writing */
    syscall(SYS_write, fd, "hello world this is a long string that is more than thirty two", 62);
    syscall(SYS_write, fd, "", 0);
    syscall(SYS_write, fd, BAD, 5);
    syscall(SYS_write, fd, 0, 5);
    syscall(SYS_write, -1, "x", 1);
    syscall(SYS_lseek, fd, 0, SEEK_SET);
    syscall(SYS_lseek, fd, -5, SEEK_END);
    syscall(SYS_lseek, fd, 0, SEEK_DATA);
    syscall(SYS_lseek, fd, 0, 99);
    syscall(SYS_lseek, fd, 0, 0);
    syscall(SYS_read, fd, buf, 10);
    syscall(SYS_read, fd, buf, 100);
    syscall(SYS_read, fd, buf, 100);
    syscall(SYS_read, fd, BAD, 10);
    syscall(SYS_read, 999, buf, 10);
    v[0].iov_base="abc";
    v[0].iov_len=3;
    v[1].iov_base="defg";
    v[1].iov_len=4;
    v[2].iov_base=0;
    v[2].iov_len=0;
    syscall(SYS_writev, fd, v, 3);
    syscall(SYS_writev, fd, v, 0);
    syscall(SYS_writev, fd, BAD, 2);
    syscall(SYS_writev, -1, v, 2);
    v[0].iov_base=buf;
    v[0].iov_len=4;
    v[1].iov_base=buf+100;
    v[1].iov_len=40;
    v[2].iov_base=buf+200;
    v[2].iov_len=5;
    lseek(fd, 0, 0);
    syscall(SYS_readv, fd, v, 3);
    syscall(SYS_readv, -1, v, 3);
    syscall(SYS_readv, fd, BAD, 3);
    syscall(SYS_pread64, fd, buf, 20, 5);
    syscall(SYS_pwrite64, fd, "pw", 2, 100);
    syscall(SYS_preadv, fd, v, 3, 3, 0);
    syscall(SYS_pwritev, fd, v, 2, 0, 0);
    syscall(SYS_preadv2, fd, v, 2, 5, 0, RWF_HIPRI);
    syscall(SYS_preadv2, fd, v, 2, -1, -1, 0);
    syscall(SYS_pwritev2, fd, v, 2, 5, 0, RWF_DSYNC|0x100);
    syscall(SYS_sendfile, 1, fd, 0, 10);
    off_t off=3;
    syscall(SYS_sendfile, 1, fd, &off, 10);
    syscall(SYS_copy_file_range, fd, &off, 1, 0, 10, 0);
    syscall(SYS_copy_file_range, fd, 0, fd, 0, 10, 1);
    syscall(SYS_truncate, "file", 100);
    syscall(SYS_ftruncate, fd, 50);
    syscall(SYS_ftruncate, fd, -1);
    syscall(SYS_fallocate, fd, 1, 0, 100);
    syscall(SYS_fallocate, fd, 3, 4096, 100);
    syscall(SYS_fallocate, fd, 0, 0, 10);
    syscall(SYS_fallocate, fd, 0x80, 0, 10);
    syscall(SYS_fadvise64, fd, 0, 100, 3);
    syscall(SYS_fadvise64, fd, 0, 100, 77);
    syscall(SYS_readahead, fd, 0, 10);
    syscall(SYS_fsync, fd);
    syscall(SYS_fdatasync, fd);
    syscall(SYS_sync);
    syscall(SYS_syncfs, fd);
    syscall(SYS_sync_file_range, fd, 0, 10, 7);
    syscall(SYS_sync_file_range, fd, 0, 10, 8);

    /* descriptors */
    syscall(SYS_dup, fd);
    syscall(SYS_dup2, fd, 20);
    syscall(SYS_dup3, fd, 21, O_CLOEXEC);
    syscall(SYS_dup3, fd, 21, 1);
    syscall(SYS_dup3, fd, fd, 0);
    syscall(SYS_pipe, p);
    syscall(SYS_pipe2, p, O_CLOEXEC|O_NONBLOCK);
    syscall(SYS_pipe2, BAD, 0);
    syscall(SYS_pipe2, p, 3);
    syscall(SYS_eventfd, 5);
    syscall(SYS_eventfd2, 5, EFD_SEMAPHORE|EFD_CLOEXEC|EFD_NONBLOCK);
    syscall(SYS_memfd_create, "name", 3);
    syscall(SYS_memfd_create, "name", 0x100);
    syscall(SYS_memfd_create, BAD, 0);
    syscall(SYS_flock, fd, LOCK_SH|LOCK_NB);
    syscall(SYS_flock, fd, LOCK_UN);
    syscall(SYS_flock, fd, 0);
    syscall(SYS_fcntl, fd, F_GETFD);
    syscall(SYS_fcntl, fd, F_SETFD, 1);
    syscall(SYS_fcntl, fd, F_GETFD);
    syscall(SYS_fcntl, fd, F_GETFL);
    syscall(SYS_fcntl, fd, F_SETFL, O_NONBLOCK|O_APPEND);
    syscall(SYS_fcntl, fd, F_GETFL);
    syscall(SYS_fcntl, fd, F_DUPFD, 30);
    syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 30);
    struct flock fl={F_WRLCK, SEEK_SET, 0, 10, 0};
    syscall(SYS_fcntl, fd, F_GETLK, &fl);
    fl.l_type=F_RDLCK;
    syscall(SYS_fcntl, fd, F_SETLK, &fl);
    syscall(SYS_fcntl, fd, F_SETLKW, &fl);
    fl.l_pid=0;
    syscall(SYS_fcntl, fd, F_OFD_SETLK, &fl);
    fl.l_type=F_WRLCK;
    syscall(SYS_fcntl, fd, F_OFD_GETLK, &fl);
    syscall(SYS_fcntl, fd, F_GETLK, BAD);
    syscall(SYS_fcntl, -1, F_GETLK, &fl);
    syscall(SYS_fcntl, fd, F_GETOWN);
    syscall(SYS_fcntl, fd, F_SETOWN, 0);
    syscall(SYS_fcntl, fd, F_GETSIG);
    syscall(SYS_fcntl, fd, F_SETSIG, SIGIO);
    syscall(SYS_fcntl, fd, F_GETSIG);
    struct f_owner_ex ow={F_OWNER_PID, 0};
    syscall(SYS_fcntl, fd, F_SETOWN_EX, &ow);
    syscall(SYS_fcntl, fd, F_GETOWN_EX, &ow);
    syscall(SYS_fcntl, fd, F_GETLEASE);
    syscall(SYS_fcntl, fd, F_SETLEASE, F_UNLCK);
    syscall(SYS_fcntl, fd, F_NOTIFY, DN_ACCESS);
    syscall(SYS_fcntl, p[0], F_SETPIPE_SZ, 4096);
    syscall(SYS_fcntl, p[0], F_GETPIPE_SZ);
    syscall(SYS_fcntl, fd, F_ADD_SEALS, 3);
    syscall(SYS_fcntl, fd, F_GET_SEALS);
    int mfd=syscall(SYS_memfd_create, "m", 2);
    syscall(SYS_fcntl, mfd, F_ADD_SEALS, 2);
    syscall(SYS_fcntl, mfd, F_GET_SEALS);
    syscall(SYS_fcntl, fd, 999, 5);
    syscall(SYS_fcntl, fd, F_SETOWN, -getpid());
    syscall(SYS_fcntl, fd, F_GETOWN);
    syscall(SYS_fcntl, fd, F_SETOWN, 0);

    /* waiting */
    struct pollfd pf[3]={{p[0], POLLIN|POLLPRI}, {p[1], POLLOUT|POLLRDHUP}, {-1, POLLIN}};
    syscall(SYS_poll, pf, 3, 0);
    syscall(SYS_poll, pf, 1, 0);
    syscall(SYS_poll, pf, 0, 0);
    syscall(SYS_poll, BAD, 1, 0);
    syscall(SYS_poll, 0, 0, 1);
    syscall(SYS_poll, pf, 3, -5);
    sigset_t ss;
    sigemptyset(&ss);
    sigaddset(&ss, 2);
    ts.tv_sec=0;
    ts.tv_nsec=1000000;
    syscall(SYS_ppoll, pf, 3, &ts, &ss, 8);
    syscall(SYS_ppoll, pf, 1, &ts, 0, 8);
    syscall(SYS_ppoll, pf, 2, 0, 0, 8);
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    tv[0].tv_sec=1;
    syscall(SYS_select, p[1]+1, &r, &w, 0, tv);
    tv[0].tv_sec=0;
    tv[0].tv_usec=1000;
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    syscall(SYS_select, p[0]+1, &r, 0, 0, tv);
    FD_SET(p[0], &r);
    syscall(SYS_select, p[1]+1, 0, &w, 0, 0);
    syscall(SYS_select, p[1]+1, BAD, &w, 0, 0);
    struct {void*s;size_t n;} m6={&ss, 8};
    ts.tv_nsec=1000;
    syscall(SYS_pselect6, p[1]+1, 0, &w, 0, &ts, &m6);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    syscall(SYS_pselect6, p[0]+1, &r, 0, 0, &ts, &m6);
    syscall(SYS_pselect6, p[0]+1, &r, 0, 0, &ts, 0);
    m6.s=0;
    syscall(SYS_pselect6, p[0]+1, &r, 0, 0, &ts, &m6);
    syscall(SYS_pselect6, -1, 0, 0, 0, 0, 0);

    /* attributes */
    syscall(SYS_stat, "file", &st);
    syscall(SYS_lstat, "file", &st);
    syscall(SYS_fstat, fd, &st);
    syscall(SYS_stat, "none", &st);
    syscall(SYS_newfstatat, AT_FDCWD, "file", &st, AT_SYMLINK_NOFOLLOW|AT_NO_AUTOMOUNT);
    syscall(SYS_fstat, fd, BAD);
    syscall(SYS_newfstatat, AT_FDCWD, "/dev/null", &st, 0);
    syscall(SYS_newfstatat, AT_FDCWD, "/", &st, 0x10000);
    char sx[256];
    syscall(SYS_statx, AT_FDCWD, "file", 0, 0x7ff, sx);
    syscall(SYS_statx, AT_FDCWD, "file", AT_SYMLINK_NOFOLLOW|0x2000, 0xfff, sx);
    syscall(SYS_statx, AT_FDCWD, "none", 0x4000, 1|2, sx);
    syscall(SYS_statx, AT_FDCWD, "/dev/null", 0x6000, 0x17ff, sx);
    syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x200|0x20, sx);
    syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0, sx);
    syscall(SYS_access, "file", 0);
    syscall(SYS_access, "file", 7);
    syscall(SYS_access, "file", 8);
    syscall(SYS_faccessat, AT_FDCWD, "file", 4);
    syscall(SYS_faccessat2, AT_FDCWD, "file", 2, AT_EACCESS|AT_EMPTY_PATH);
    syscall(SYS_faccessat2, AT_FDCWD, "file", 2, 0);
    syscall(SYS_symlink, "file", "sym");
    syscall(SYS_readlink, "sym", buf, 100);
    syscall(SYS_readlinkat, AT_FDCWD, "sym", buf, 2);
    syscall(SYS_readlink, "file", buf, 10);
    struct statfs sf;
    syscall(SYS_statfs, "/proc", &sf);
    syscall(SYS_fstatfs, fd, &sf);
    syscall(SYS_statfs, "none", &sf);
    syscall(SYS_statfs, "/tmp", BAD);
    int d=open(".", O_RDONLY|O_DIRECTORY);
    syscall(SYS_getdents, d, buf, 4096);
    lseek(d, 0, 0);
    syscall(SYS_getdents64, d, buf, 4096);
    syscall(SYS_getdents64, d, buf, 4096);
    syscall(SYS_getdents64, fd, buf, 4096);
    syscall(SYS_getdents64, d, buf, 5);
    syscall(SYS_getcwd, buf, 4096);
    syscall(SYS_getcwd, buf, 2);
    syscall(SYS_chdir, "none");
    syscall(SYS_fchdir, d);
    syscall(SYS_fchdir, fd);
    syscall(SYS_mkdir, "dir", 0700);
    syscall(SYS_mkdirat, d, "dir", 0);
    syscall(SYS_rmdir, "dir");
    syscall(SYS_rmdir, "dir");
    syscall(SYS_mknod, "fifo", S_IFIFO|0600, 0);
    syscall(SYS_mknodat, AT_FDCWD, "cdev", S_IFCHR|0600, 0x501);
    syscall(SYS_mknodat, AT_FDCWD, "reg", 0600, 0);
    syscall(SYS_mknod, "x", 0170000, 5);
    syscall(SYS_link, "file", "hard");
    syscall(SYS_linkat, AT_FDCWD, "file", d, "hard2", AT_SYMLINK_FOLLOW);
    syscall(SYS_symlinkat, "a", AT_FDCWD, "sym2");
    syscall(SYS_unlink, "hard");
    syscall(SYS_unlinkat, d, "hard2", 0);
    syscall(SYS_unlinkat, d, "dirx", AT_REMOVEDIR);
    syscall(SYS_rename, "file", "f2");
    syscall(SYS_renameat, d, "f2", d, "f3");
    syscall(SYS_renameat2, AT_FDCWD, "f3", AT_FDCWD, "file", 1);
    syscall(SYS_renameat2, AT_FDCWD, "f3", AT_FDCWD, "file", 2|4);
    syscall(SYS_renameat2, AT_FDCWD, "f3", AT_FDCWD, "file", 8);

    /* changing attributes */
    syscall(SYS_chmod, "file", 0644);
    syscall(SYS_fchmod, fd, 07777);
    syscall(SYS_fchmodat, AT_FDCWD, "file", 0600);
    syscall(SYS_chown, "file", -1, -1);
    syscall(SYS_fchown, fd, 0, 0);
    syscall(SYS_lchown, "sym", -1, 0);
    syscall(SYS_fchownat, AT_FDCWD, "file", 0, -1, AT_SYMLINK_NOFOLLOW);
    syscall(SYS_umask, 022);
    syscall(SYS_umask, 077);
    syscall(SYS_umask, 022);
    syscall(SYS_chmod, "file", 0200000);
    struct utimbuf ub={1000000000, 2000000000};
    syscall(SYS_utime, "file", &ub);
    syscall(SYS_utime, "file", 0);
    syscall(SYS_utimes, "file", tv);
    syscall(SYS_futimesat, AT_FDCWD, "file", tv);
    struct timespec u2[2]={{1000000000, 500}, {5, UTIME_NOW}};
    syscall(SYS_utimensat, AT_FDCWD, "file", u2, 0);
    u2[0].tv_nsec=UTIME_OMIT;
    u2[1].tv_nsec=UTIME_OMIT;
    syscall(SYS_utimensat, fd, 0, 0, 0);
    syscall(SYS_utimensat, AT_FDCWD, "file", u2, AT_SYMLINK_NOFOLLOW);
    u2[0].tv_nsec=-1;
    syscall(SYS_utimensat, AT_FDCWD, "file", u2, 0);
    u2[0].tv_nsec=0;
    u2[1].tv_nsec=0;
    u2[0].tv_sec=-1;
    syscall(SYS_utimensat, AT_FDCWD, "file", u2, 0);
    tv[0].tv_sec=-5;
    tv[1].tv_usec=99999999;
    syscall(SYS_utimes, "file", tv);
    syscall(SYS_setxattr, "file", "user.a", "value", 5, 0);
    syscall(SYS_setxattr, "file", "user.a", "value", 5, XATTR_CREATE);
    syscall(SYS_lsetxattr, "file", "user.b", "v\0w", 3, 3);
    syscall(SYS_fsetxattr, fd, "user.c", 0, 0, 0);
    syscall(SYS_getxattr, "file", "user.a", buf, 100);
    syscall(SYS_getxattr, "file", "user.a", 0, 0);
    syscall(SYS_lgetxattr, "file", "user.zz", buf, 100);
    syscall(SYS_fgetxattr, fd, "user.a", buf, 2);
    syscall(SYS_listxattr, "file", buf, 100);
    syscall(SYS_llistxattr, "file", 0, 0);
    syscall(SYS_flistxattr, fd, buf, 100);
    syscall(SYS_removexattr, "file", "user.a");
    syscall(SYS_lremovexattr, "file", "user.a");
    syscall(SYS_fremovexattr, fd, "user.b");

    /* memory */
    char*a=mmap(0, 8192, 3, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
    syscall(SYS_mmap, 0, 4096, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS|MAP_NORESERVE|MAP_POPULATE|MAP_STACK|MAP_GROWSDOWN|MAP_LOCKED, -1, 0);
    syscall(SYS_mmap, 0, 0, 3, 0x22, -1, 0);
    syscall(SYS_mmap, 0, 4096, 1, MAP_PRIVATE, fd, 0x1000);
    syscall(SYS_mmap, 0, 4096, 1, MAP_PRIVATE, fd, 5);
    syscall(SYS_mmap, 0, 4096, 8|16, MAP_SHARED_VALIDATE|0x80000|0x40, fd, 0);
    syscall(SYS_mmap, a, 4096, 3, MAP_FIXED_NOREPLACE|0x22, -1, 0);
    syscall(SYS_mmap, 0, 4096, 3, MAP_HUGETLB|(21<<26)|0x22, -1, 0);
    syscall(SYS_mmap, 0, 4096, 3, 4, -1, 0);
    syscall(SYS_mmap, 0, 4096, 3, 0x20, -1, 0);
    syscall(SYS_mmap, 0, 4096, 0x01000003, 0x22, -1, 0);
    syscall(SYS_mprotect, a, 4096, 1);
    syscall(SYS_mprotect, a, 4096, 7);
    syscall(SYS_mprotect, a+1, 4096, 1);
    syscall(SYS_mprotect, a, 4096, 0x1000000|0x2000000|8);
    syscall(SYS_mremap, a, 8192, 4096, 0);
    syscall(SYS_mremap, a, 4096, 8192, MREMAP_MAYMOVE);
    char*b=mmap(0, 8192, 3, 0x22, -1, 0);
    syscall(SYS_mremap, b, 4096, 4096, 3, a+65536);
    syscall(SYS_mremap, b, 4096, 4096, 8, a);
    syscall(SYS_madvise, b, 4096, 4);
    syscall(SYS_madvise, b, 4096, 21);
    syscall(SYS_madvise, b, 4096, 22);
    syscall(SYS_madvise, b, 4096, 99);
    syscall(SYS_madvise, b, 1, MADV_FREE);
    syscall(SYS_msync, b, 4096, MS_SYNC|MS_INVALIDATE);
    syscall(SYS_msync, b, 4096, 8);
    syscall(SYS_mincore, b, 8192, buf);
    syscall(SYS_mincore, b, 4096, BAD);
    syscall(SYS_mincore, b+1, 1, buf);
    syscall(SYS_mlock, b, 4096);
    syscall(SYS_mlock2, b, 4096, 1);
    syscall(SYS_mlock2, b, 4096, 2);
    syscall(SYS_munlock, b, 4096);
    syscall(SYS_mlockall, 3);
    syscall(SYS_mlockall, 8);
    syscall(SYS_munlockall);
    syscall(SYS_munmap, b, 4096);
    syscall(SYS_munmap, b+1, 1);
    syscall(SYS_brk, 0);
    syscall(SYS_brk, 1);

    /* threads and scheduling */
    syscall(SYS_arch_prctl, 0x1001, 5);
    syscall(SYS_arch_prctl, 0x1003, buf);
    syscall(SYS_arch_prctl, 0x1004, buf);
    syscall(SYS_arch_prctl, 0x1011, 0);
    unsigned action = 0x7ffc0000, no_action = 77;
    struct { unsigned short len; void *filter; } program = {3, buf};
    syscall(SYS_seccomp, 0, 1, 0);
    syscall(SYS_seccomp, 1, 128, &program);
    syscall(SYS_seccomp, 1, 9, &program);
    syscall(SYS_seccomp, 2, 0, &action);
    syscall(SYS_seccomp, 2, 0, &no_action);
    syscall(SYS_seccomp, 3, 0, buf);
    syscall(SYS_seccomp, 3, 1, buf);
    syscall(SYS_seccomp, 9, 3, buf);
    prctl(PR_SET_SECCOMP, 7, 1, 2, 3);
    syscall(SYS_arch_prctl, 0x9999, 5);
    syscall(SYS_get_robust_list, 0, buf, buf+8);
    syscall(SYS_set_robust_list, 0, 24);
    syscall(SYS_set_robust_list, a, 5);
    syscall(SYS_rseq, a, 32, 1, 5);
    syscall(SYS_membarrier, 0, 0);
    syscall(SYS_membarrier, 8, 0);
    syscall(SYS_membarrier, 99, 1);
    syscall(SYS_sched_yield);
    cpu_set_t cs;
    CPU_ZERO(&cs);
    syscall(SYS_sched_getaffinity, 0, 128, &cs);
    syscall(SYS_sched_setaffinity, 0, 128, &cs);
    syscall(SYS_sched_getaffinity, 0, 4, &cs);
    syscall(SYS_sched_setaffinity, 0, 8, BAD);
    struct sched_param sp={0};
    syscall(SYS_sched_getparam, 0, &sp);
    syscall(SYS_sched_setparam, 0, &sp);
    syscall(SYS_sched_getscheduler, 0);
    syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &sp);
    syscall(SYS_sched_setscheduler, 0, 99, &sp);
    syscall(SYS_sched_setscheduler, 0, SCHED_BATCH|0x40000000, &sp);
    syscall(SYS_sched_getscheduler, 0);
    syscall(SYS_sched_setscheduler, 0, 0, &sp);
    syscall(SYS_sched_get_priority_max, 1);
    syscall(SYS_sched_get_priority_min, 2);
    syscall(SYS_sched_get_priority_max, 77);
    syscall(SYS_sched_rr_get_interval, 0, &ts);
    syscall(SYS_sched_getattr, 0, buf, 56, 0);
    syscall(SYS_sched_setattr, 0, buf, 0);
    syscall(SYS_getpriority, 0, 0);
    syscall(SYS_setpriority, 0, 0, 0);
    syscall(SYS_getpriority, 5, 0);
    syscall(SYS_ioprio_get, 1, 0);
    syscall(SYS_ioprio_set, 1, 0, 0x4000);
    syscall(SYS_ioprio_set, 9, 0, 0x4005);

    /* signals */
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = handler;
    sa.sa_flags=SA_RESTART|SA_SIGINFO|SA_NODEFER|SA_RESETHAND|SA_ONSTACK|SA_NOCLDSTOP|SA_NOCLDWAIT;
    sigfillset(&sa.sa_mask);
    sigaction(10, &sa, 0);
    sigaction(10, 0, &sa);
    sa.sa_flags=0;
    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, 2);
    sigaddset(&sa.sa_mask, 34);
    sigaddset(&sa.sa_mask, 64);
    sigaddset(&sa.sa_mask, 35);
    sigaction(10, &sa, 0);
    sa.sa_handler=SIG_IGN;
    sigaction(35, &sa, 0);
    syscall(SYS_rt_sigaction, 99, 0, 0, 8);
    syscall(SYS_rt_sigaction, 9, BAD, 0, 8);
    syscall(SYS_rt_sigaction, 10, 0, 0, 4);
    syscall(SYS_rt_sigaction, 10, BAD, BAD, 8);
    sigfillset(&ss);
    syscall(SYS_rt_sigprocmask, 0, &ss, 0, 8);
    syscall(SYS_rt_sigprocmask, 2, 0, &ss, 8);
    sigemptyset(&ss);
    syscall(SYS_rt_sigprocmask, 2, &ss, &ss, 8);
    syscall(SYS_rt_sigprocmask, 77, &ss, 0, 8);
    syscall(SYS_rt_sigprocmask, 0, 0, 0, 8);
    syscall(SYS_rt_sigprocmask, 0, &ss, 0, 4);
    syscall(SYS_rt_sigprocmask, 0, BAD, 0, 8);
    unsigned long k=0x7fffffff;
    syscall(SYS_rt_sigprocmask, 0, &k, 0, 8);
    k=0xffffffffffffUL;
    syscall(SYS_rt_sigprocmask, 0, &k, 0, 8);
    k=0xffffffffffffffffUL;
    k&=~(1UL<<1);
    syscall(SYS_rt_sigprocmask, 0, &k, 0, 8);
    k=0;
    syscall(SYS_rt_sigprocmask, 2, &k, 0, 8);
    syscall(SYS_rt_sigpending, &ss, 8);
    syscall(SYS_rt_sigpending, &ss, 4);
    kill(getpid(), 10);
    syscall(SYS_tkill, getpid(), 10);
    syscall(SYS_tgkill, getpid(), getpid(), 0);
    syscall(SYS_kill, 0, 99);
    syscall(SYS_kill, 99999, SIGRTMIN);
    stack_t sk={buf, 0, 8192};
    syscall(SYS_sigaltstack, &sk, 0);
    syscall(SYS_sigaltstack, 0, &sk);
    sk.ss_flags=SS_DISABLE;
    syscall(SYS_sigaltstack, &sk, &sk);
    sk.ss_flags=9;
    syscall(SYS_sigaltstack, &sk, 0);
    siginfo_t si;
    memset(&si, 0, sizeof si);
    si.si_signo=10;
    si.si_code=SI_QUEUE;
    si.si_pid=5;
    si.si_uid=6;
    si.si_value.sival_int=77;
    sigemptyset(&ss);
    sigaddset(&ss, 10);
    sigprocmask(SIG_BLOCK, &ss, 0);
    syscall(SYS_rt_sigqueueinfo, getpid(), 10, &si);
    syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 10, &si);
    ts.tv_sec=0;
    ts.tv_nsec=1000;
    syscall(SYS_rt_sigtimedwait, &ss, &si, &ts, 8);
    syscall(SYS_rt_sigtimedwait, &ss, 0, &ts, 8);
    syscall(SYS_rt_sigtimedwait, &ss, &si, &ts, 8);
    sigprocmask(SIG_UNBLOCK, &ss, 0);
    syscall(SYS_alarm, 0);
    {struct sigaction sb;memset(&sb, 0, sizeof sb);sb.sa_handler = handler;sigaction(14, &sb, 0);}
    struct itimerval iv={{0, 0}, {0, 20000}};
    syscall(SYS_setitimer, 0, &iv, 0);
    syscall(SYS_pause);
    iv.it_value.tv_usec=20000;
    syscall(SYS_setitimer, ITIMER_REAL, &iv, &iv);
    syscall(SYS_getitimer, 0, &iv);
    ts.tv_sec=5;
    syscall(SYS_nanosleep, &ts, &ts);
    iv.it_value.tv_sec=0;
    iv.it_value.tv_usec=20000;
    syscall(SYS_setitimer, 0, &iv, 0);
    ts.tv_sec=5;
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, &t2);
    iv.it_value.tv_usec=20000;
    syscall(SYS_setitimer, 0, &iv, 0);
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){99999999, 0}, 0);
    iv.it_value.tv_usec=20000;
    syscall(SYS_setitimer, 0, &iv, 0);
    pipe(p);
    syscall(SYS_read, p[0], buf, 5);
    sigemptyset(&ss);
    iv.it_value.tv_usec=20000;
    syscall(SYS_setitimer, 0, &iv, 0);
    syscall(SYS_rt_sigsuspend, &ss, 8);
    iv.it_value.tv_usec=20000;
    syscall(SYS_setitimer, 0, &iv, 0);
    syscall(SYS_poll, 0, 0, 3000);
    iv.it_value.tv_usec=20000;
    syscall(SYS_setitimer, 0, &iv, 0);
    syscall(SYS_futex, &k, 128, 0, 0);
    ts.tv_sec=0;
    ts.tv_nsec=10;

    /* time */
    syscall(SYS_nanosleep, &ts, &t2);
    syscall(SYS_nanosleep, &ts, 0);
    syscall(SYS_clock_nanosleep, 0, 0, &ts, 0);
    syscall(SYS_clock_nanosleep, 77, 2, &ts, 0);
    syscall(SYS_nanosleep, BAD, 0);
    syscall(SYS_clock_gettime, 1, &ts);
    syscall(SYS_clock_gettime, 77, &ts);
    syscall(SYS_clock_getres, 1, &ts);
    syscall(SYS_clock_getres, 1, 0);
    syscall(SYS_clock_settime, 0, &ts+999999);
    syscall(SYS_gettimeofday, tv, 0);
    syscall(SYS_gettimeofday, 0, buf);
    syscall(SYS_time, 0);
    syscall(SYS_time, &k);
    syscall(SYS_times, buf);
    syscall(SYS_times, 0);
    syscall(SYS_getitimer, 1, &iv);
    syscall(SYS_getitimer, 9, &iv);
    syscall(SYS_setitimer, ITIMER_VIRTUAL, 0, &iv);

    /* information */
    struct utsname un;
    syscall(SYS_uname, &un);
    syscall(SYS_uname, BAD);
    struct sysinfo sy;
    syscall(SYS_sysinfo, BAD);
    struct rusage ru;
    syscall(SYS_getrusage, 0, BAD);
    syscall(SYS_getrusage, -1, &ru);
    syscall(SYS_getrusage, 9, &ru);
    struct rlimit rl;
    syscall(SYS_getrlimit, 7, &rl);
    syscall(SYS_getrlimit, 99, &rl);
    syscall(SYS_setrlimit, 4, &rl);
    syscall(SYS_prlimit64, 0, 3, 0, &rl);
    syscall(SYS_prlimit64, 0, RLIMIT_CORE, &rl, &rl);
    rl.rlim_cur=5000;
    rl.rlim_max=1024;
    syscall(SYS_prlimit64, 0, 7, &rl, 0);
    syscall(SYS_getrlimit, 1, BAD);
    syscall(SYS_getcpu, &k, 0, 0);
    syscall(SYS_getrandom, buf, 5, 0);
    syscall(SYS_getrandom, buf, 5, GRND_RANDOM|GRND_NONBLOCK);
    syscall(SYS_getrandom, BAD, 5, 0);
    syscall(SYS_getrandom, buf, 5, 8);
    syscall(SYS_personality, 0xffffffff);
    syscall(SYS_personality, 0x0400000);
    syscall(SYS_personality, ADDR_NO_RANDOMIZE|8);
    syscall(SYS_personality, ADDR_NO_RANDOMIZE);

    /* identity */
    syscall(SYS_getpid);
    syscall(SYS_getppid);
    syscall(SYS_getpgrp);
    syscall(SYS_gettid);
    syscall(SYS_getpgid, 0);
    syscall(SYS_getsid, 0);
    syscall(SYS_setpgid, 0, 0);
    syscall(SYS_setsid);
    syscall(SYS_getuid);
    syscall(SYS_geteuid);
    syscall(SYS_getgid);
    syscall(SYS_getegid);
    unsigned i1, i2, i3;
    syscall(SYS_getresuid, &i1, &i2, &i3);
    syscall(SYS_getresgid, &i1, &i2, BAD);
    syscall(SYS_setuid, 0);
    syscall(SYS_setgid, 0);
    syscall(SYS_setreuid, -1, 0);
    syscall(SYS_setregid, -1, -1);
    syscall(SYS_setresuid, -1, -1, -1);
    syscall(SYS_setresgid, -1, 0, -1);
    syscall(SYS_setfsuid, 0);
    syscall(SYS_setfsgid, -1);
    gid_t g[3]={1, 2, 3};
    syscall(SYS_setgroups, 3, g);
    syscall(SYS_getgroups, 10, g);
    syscall(SYS_getgroups, 0, 0);
    syscall(SYS_setgroups, 0, 0);
    syscall(SYS_getgroups, -1, g);
    syscall(SYS_setgroups, 2, BAD);
    struct __user_cap_header_struct ch={0x20080522, 0};
    struct __user_cap_data_struct cd[2];
    syscall(SYS_capget, &ch, cd);
    syscall(SYS_capset, &ch, cd);
    ch.version=5;
    syscall(SYS_capget, &ch, 0);
    ch.version=0x19980330;
    syscall(SYS_capget, &ch, cd);

    /* prctl and futex */
    syscall(SYS_prctl, PR_SET_NAME, "newname-longer-than-16");
    syscall(SYS_prctl, PR_GET_NAME, buf);
    syscall(SYS_prctl, PR_GET_DUMPABLE);
    syscall(SYS_prctl, PR_SET_DUMPABLE, 1);
    syscall(SYS_prctl, PR_SET_PDEATHSIG, 9);
    syscall(SYS_prctl, PR_GET_PDEATHSIG, &k);
    syscall(SYS_prctl, PR_SET_KEEPCAPS, 0);
    syscall(SYS_prctl, PR_GET_KEEPCAPS);
    syscall(SYS_prctl, PR_CAPBSET_READ, 5);
    syscall(SYS_prctl, PR_CAPBSET_DROP, 99);
    syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
    syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER, &k);
    syscall(SYS_prctl, PR_GET_SECUREBITS);
    syscall(SYS_prctl, PR_SET_TIMERSLACK, 5);
    syscall(SYS_prctl, PR_GET_TIMERSLACK);
    syscall(SYS_prctl, PR_GET_SECCOMP);
    syscall(SYS_prctl, PR_GET_TID_ADDRESS, &k);
    syscall(SYS_prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0);
    syscall(SYS_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0);
    syscall(SYS_prctl, 12345, 1, 2, 3, 4);
    syscall(SYS_prctl, PR_SET_VMA, 0, a, 4096, "nm");
    syscall(SYS_prctl, PR_CAP_AMBIENT, 1, 2, 0, 0);
    syscall(SYS_prctl, PR_SET_PTRACER, 0);
    syscall(SYS_prctl, PR_SET_SECUREBITS, 0);
    syscall(SYS_prctl, PR_GET_TSC, &k);
    syscall(SYS_prctl, PR_SET_MM, 1, 2, 3, 4);
    k=123456;
    syscall(SYS_futex, &k, 0, 99, 0);
    syscall(SYS_futex, &k, 129, 5);
    syscall(SYS_futex, &k, FUTEX_WAIT_BITSET|256, 77, 0, 0, -1);
    syscall(SYS_futex, &k, FUTEX_WAKE_BITSET|128, 1, 0, 0, 5);
    struct { unsigned long val, uaddr; unsigned flags, reserved; } several[2] = {{1, 8, 2, 0}, {9, 0, 0x87, 3}};
    syscall(449, several, 2, 0, 0, CLOCK_MONOTONIC);
    syscall(449, several, 0, 1, &several, CLOCK_REALTIME);
    syscall(449, 0, 5, 0, 0, 7);
    syscall(SYS_futex, &k, 3, 1, 1, &k, 0);
    syscall(SYS_futex, &k, 4, 1, 1, &k, 0);
    syscall(SYS_futex, &k, 5, 1, 1, &k, 0);
    syscall(SYS_futex, &k, 6, 0, 0);
    syscall(SYS_futex, &k, 7);
    syscall(SYS_futex, &k, 8);
    syscall(SYS_futex, &k, 99, 1, 2, 3, 4);
    syscall(SYS_futex, &k, 12, 1, 1, &k, 5);
    syscall(SYS_futex, &k, 13, 1, 0);
    sockets(argc > 1 ? 'f' : 'r');
    syscall(SYS_socket, 1, 1|SOCK_CLOEXEC, 0);
    syscall(SYS_socket, 2, 2|SOCK_NONBLOCK, 17);
    syscall(SYS_socket, 99, 99, 0);
    syscall(SYS_epoll_create1, 0x80000);
    syscall(SYS_epoll_create, 5);
    syscall(SYS_wait4, -1, &k, WNOHANG, 0);
    syscall(SYS_wait4, -1, 0, 3, &ru);
    syscall(SYS_waitid, P_ALL, 0, &si, WEXITED|WNOHANG, 0);

    /* programs */
    syscall(SYS_execveat, AT_FDCWD, "none", (char*[]){"a", 0}, 0, AT_EMPTY_PATH);
    syscall(SYS_execve, "none", (char*[]){"a", "b\nc", "0123456789012345678901234567890123456789", 0}, (char*[]){"X=1", 0});
    syscall(SYS_execve, 0, 0, 0);
    syscall(SYS_execve, "none", BAD, BAD);
    if(argc > 1) *(volatile int*)0=1;
    syscall(SYS_exit, 7);
}

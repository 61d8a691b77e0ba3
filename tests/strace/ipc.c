/* Calls of System V and POSIX IPC, asynchronous I/O, io_uring and mount(2), as calls.c. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <signal.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BAD ((void *)8)

static char buf[8192];
static unsigned short values[4] = {1, 2, 3, 4};

union semun {
    int val;
    void *buf;
};

static void shared_memory(void)
{
    struct shmid_ds ds;
    int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0640);
    shmget(0x1234, 4096, IPC_EXCL | IPC_CREAT | SHM_HUGETLB | SHM_NORESERVE | 0x40000000);
    shmget(0x77777777, 0, 0);
    void *p = shmat(id, 0, 0);
    shmdt(shmat(id, 0, SHM_RDONLY));
    shmat(id, (void *)0x12345, SHM_RND | SHM_REMAP | SHM_EXEC | 1);
    shmat(-1, 0, 0x100);
    shmctl(id, IPC_STAT, &ds);
    shmctl(id, IPC_SET, &ds);
    shmctl(id, IPC_STAT, 0);
    shmctl(id, IPC_SET, BAD);
    shmctl(0, IPC_INFO, (void *)buf);
    shmctl(0, SHM_INFO, (void *)buf);
    shmctl(id, 77, (void *)buf);
    shmctl(id, SHM_LOCK, 0);
    shmctl(id, SHM_UNLOCK, 0);
    shmctl(id, IPC_RMID, 0);
    shmdt(p);
    shmdt(BAD);
}

static void semaphores(void)
{
    struct semid_ds ds;
    struct timespec zero = {0, 1};
    int id = semget(IPC_PRIVATE, 4, IPC_CREAT | 0600);
    semget(0x1234, -1, IPC_CREAT | IPC_EXCL | 0x8000);
    semget(0x77777777, -1, 0);
    struct sembuf ops[] = {{0, 1, 0}, {3, -2, IPC_NOWAIT | SEM_UNDO}, {1, 0, 0x4000}};
    semop(id, ops, 1);
    semop(id, ops, 2);
    semop(id, ops, 3);
    semop(id, ops, 0);
    semop(id, BAD, 2);
    semop(id, 0, 1);
    ops[1].sem_flg = 0;
    semtimedop(id, ops + 1, 1, &zero);
    semtimedop(id, ops + 1, 1, BAD);
    semtimedop(id, ops, 1, 0);
    semctl(id, 0, SETALL, values);
    semctl(id, 0, GETALL, values);
    semctl(id, 0, GETALL, BAD);
    semctl(id, 1, SETVAL, 7);
    semctl(id, 1, GETVAL);
    syscall(SYS_semctl, id, 1, GETPID, 0);
    syscall(SYS_semctl, id, 1, GETNCNT, 0x1234);
    syscall(SYS_semctl, id, 1, GETZCNT, 0);
    semctl(id, 0, IPC_STAT, &ds);
    semctl(id, 0, IPC_SET, &ds);
    semctl(id, 0, IPC_STAT, 0);
    semctl(0, 0, IPC_INFO, buf);
    semctl(0, 0, SEM_INFO, buf);
    semctl(id, 0, 99, buf);
    syscall(SYS_semctl, id, 0, IPC_RMID, 0);
    syscall(SYS_semctl, id, 9, SETVAL, 0);
}

static void messages(void)
{
    struct msqid_ds ds;
    struct { long type; char text[64]; } message = {5, "hello\n"};
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    msgctl(msgget(0x6c787231, IPC_CREAT | IPC_EXCL | 0x10000), IPC_RMID, 0);
    msgget(0x77777777, 0);
    msgsnd(id, &message, 7, 0);
    msgsnd(id, &message, 60, IPC_NOWAIT | MSG_NOERROR);
    msgsnd(id, BAD, 7, 0x8000);
    msgsnd(id, 0, 7, 0);
    msgctl(id, IPC_STAT, &ds);
    msgctl(id, IPC_SET, &ds);
    msgctl(id, IPC_STAT, BAD);
    msgctl(0, IPC_INFO, (void *)buf);
    msgctl(0, MSG_INFO, (void *)buf);
    msgctl(id, 88, (void *)buf);
    msgrcv(id, &message, 64, 5, 0);
    msgrcv(id, &message, 64, -7, MSG_NOERROR | IPC_NOWAIT);
    msgrcv(id, &message, 64, 0, IPC_NOWAIT | MSG_EXCEPT);
    msgrcv(id, BAD, 64, 0, IPC_NOWAIT);
    msgctl(id, IPC_RMID, 0);
}

static void queues(void)
{
    struct mq_attr attr = {O_NONBLOCK, 4, 64, 0};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 3};
    struct timespec soon = {5, 6}, bad = {0, -1};
    unsigned priority;
    syscall(SYS_mq_unlink, "lxrun-notation");
    int q = syscall(SYS_mq_open, "lxrun-notation", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr);
    syscall(SYS_mq_open, "lxrun-notation", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, 0);
    syscall(SYS_mq_open, "/strace", O_RDONLY, 0, 0);
    syscall(SYS_mq_open, BAD, O_WRONLY);
    attr.mq_maxmsg = 999999;
    syscall(SYS_mq_open, "lxrun-notation-2", O_RDWR | O_CREAT, 0600, &attr);
    syscall(SYS_mq_open, "lxrun-notation-2", O_RDWR | O_CREAT, 0600, BAD);
    syscall(SYS_mq_timedsend, q, "text", 4, 7, 0);
    syscall(SYS_mq_timedsend, q, "text", 4, 32768, &soon);
    syscall(SYS_mq_timedsend, q, BAD, 4, 7, &bad);
    syscall(SYS_mq_getsetattr, q, 0, &attr);
    attr.mq_flags = 0;
    syscall(SYS_mq_getsetattr, q, &attr, &attr);
    syscall(SYS_mq_getsetattr, q, BAD, 0);
    syscall(SYS_mq_getsetattr, 99, &attr, &attr);
    syscall(SYS_mq_timedreceive, q, buf, 64, &priority, 0);
    syscall(SYS_mq_timedreceive, q, buf, 3, 0, &soon);
    syscall(SYS_mq_timedreceive, q, BAD, 64, BAD, BAD);
    syscall(SYS_mq_notify, q, &event);
    syscall(SYS_mq_notify, q, 0);
    event.sigev_notify = SIGEV_NONE;
    syscall(SYS_mq_notify, q, &event);
    event.sigev_notify = 77;
    syscall(SYS_mq_notify, q, &event);
    syscall(SYS_mq_notify, q, BAD);
    close(q);
    syscall(SYS_mq_unlink, "lxrun-notation");
    syscall(SYS_mq_unlink, BAD);
}

static void rings(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, .cq_entries = 16}, wrong = {.flags = 1 << 30};
    struct io_uring_params plain = {0}, shared = {.flags = IORING_SETUP_ATTACH_WQ};
    int fds[3] = {0, -1, -2};
    struct io_uring_files_update update = {.offset = 1, .fds = (unsigned long)fds};
    struct iovec vector = {buf, 12};
    sigset_t set;
    syscall(SYS_io_uring_setup, 0, &p);
    int ring = syscall(SYS_io_uring_setup, 4, &p);
    syscall(SYS_io_uring_setup, 4, &plain);
    shared.wq_fd = ring;
    syscall(SYS_io_uring_setup, 4, &shared);
    syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, fds, 2);
    syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES_UPDATE, &update, 1);
    syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1);
    syscall(SYS_io_uring_register, ring, IORING_REGISTER_EVENTFD, fds, 1);
    syscall(SYS_io_uring_register, ring, IORING_REGISTER_PERSONALITY, 0, 0);
    sigemptyset(&set), sigaddset(&set, SIGINT);
    syscall(SYS_io_uring_enter, ring, 0, 0, 0, &set, 8);
    syscall(SYS_io_uring_enter, ring, 0, 0, IORING_ENTER_EXT_ARG | 0x1f7, &set, 24);
    syscall(SYS_io_uring_setup, 4, BAD);
    syscall(SYS_io_uring_setup, 4, 0);
    syscall(SYS_io_uring_setup, 4, &wrong);
    syscall(SYS_io_uring_enter, 99, 1, 0, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, 0, 8);
    syscall(SYS_io_uring_enter, 99, 1, 2, 0x1000, BAD, 8);
    syscall(SYS_io_uring_register, 99, IORING_REGISTER_FILES, buf, 2);
    syscall(SYS_io_uring_register, 99, IORING_UNREGISTER_FILES, 0, 0);
    syscall(SYS_io_uring_register, 99, IORING_REGISTER_EVENTFD, BAD, 1);
    syscall(SYS_io_uring_register, 99, 200, 0, 0);
}

static void mounts(void)
{
    mount("none", "/nowhere-at-all", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=3");
    mount(0, "/nowhere-at-all", 0, MS_REMOUNT | MS_RDONLY | MS_BIND, 0);
    mount(BAD, BAD, BAD, 0, BAD);
    mount("none", "/nowhere-at-all", "tmpfs", 0, 0);
    syscall(SYS_umount2, "/nowhere-at-all", MNT_DETACH | UMOUNT_NOFOLLOW);
    syscall(SYS_umount2, "/nowhere-at-all", 0);
    syscall(SYS_umount2, BAD, 0x100);
}

static void aio(void)
{
    aio_context_t ctx = 0, wrong = 5;
    struct timespec now = {0, 0};
    struct io_event events[4];
    struct iovec vector = {buf, 4};
    sigset_t set;
    struct { const sigset_t *set; size_t size; } mask = {&set, 8};
    int fd = open("/etc/hostname", O_RDONLY);
    struct iocb read = {.aio_data = 7, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd, .aio_buf = (long)buf, .aio_nbytes = 3},
        write = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = fd, .aio_buf = (long)"text", .aio_nbytes = 4, .aio_offset = 9},
        vec = {.aio_lio_opcode = IOCB_CMD_PREADV, .aio_fildes = fd, .aio_buf = (long)&vector, .aio_nbytes = 1, .aio_reqprio = 1},
        sync = {.aio_lio_opcode = IOCB_CMD_FSYNC, .aio_fildes = fd, .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = fd},
        poll = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = fd, .aio_buf = 1}, odd = {.aio_lio_opcode = 77, .aio_fildes = -1};
    struct iocb *all[] = {&read, &vec, &poll}, *bad[] = {&write, BAD}, *one[] = {&odd}, *syncs[] = {&sync};
    syscall(SYS_io_setup, 0, &ctx);
    syscall(SYS_io_setup, 4, BAD);
    syscall(SYS_io_setup, 4, &wrong);
    syscall(SYS_io_setup, 4, &ctx);
    syscall(SYS_io_submit, ctx, 1, all);
    syscall(SYS_io_submit, ctx, 3, all);
    syscall(SYS_io_submit, ctx, 2, bad);
    syscall(SYS_io_submit, ctx, 1, one);
    syscall(SYS_io_submit, ctx, 1, syncs);
    syscall(SYS_io_submit, ctx, 0, 0);
    syscall(SYS_io_submit, ctx, 1, BAD);
    syscall(SYS_io_submit, 0, 1, all);
    syscall(SYS_io_getevents, ctx, 1, 1, events, 0);
    syscall(SYS_io_getevents, ctx, 1, 4, events, &now);
    syscall(SYS_io_getevents, ctx, 5, 4, events, &now);
    syscall(SYS_io_getevents, 0, 1, 4, BAD, BAD);
    sigemptyset(&set), sigaddset(&set, SIGINT);
    syscall(SYS_io_pgetevents, ctx, 0, 4, events, &now, &mask);
    syscall(SYS_io_pgetevents, ctx, 0, 4, events, &now, 0);
    syscall(SYS_io_pgetevents, ctx, 0, 4, events, &now, BAD);
    syscall(SYS_io_cancel, ctx, &read, events);
    syscall(SYS_io_cancel, ctx, BAD, events);
    syscall(SYS_io_destroy, ctx);
    syscall(SYS_io_destroy, 0);
    close(fd);
}

int main(void)
{
    shared_memory();
    semaphores();
    messages();
    queues();
    aio();
    rings();
    mounts();
    return 0;
}

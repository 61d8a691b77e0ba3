// flock, POSIX record locks and open file description locks within one process.
#include "show.h"

static long lock(int fd, int command, int type, int whence, long start, long length)
{
    struct flock l = {.l_type = type, .l_whence = whence, .l_start = start, .l_len = length};
    long result = fcntl(fd, command, &l);
    if (result == 0 && (command == F_GETLK || command == F_OFD_GETLK))
        NOTE("  type %d whence %d start %ld len %ld pid %s", l.l_type, l.l_whence, (long)l.l_start, (long)l.l_len,
             l.l_pid == getpid() ? "self" : l.l_pid == -1 ? "-1" : l.l_pid == 0 ? "0" : "other");
    return result;
}

int main(void)
{
    make_file("file", "0123456789");
    int a = open("file", O_RDWR), b = open("file", O_RDWR), ro = open("file", O_RDONLY), wo = open("file", O_WRONLY);
    int twin = dup(a);
    SHOW(flock(a, LOCK_EX));
    SHOW(flock(a, LOCK_EX | LOCK_NB));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(b, LOCK_SH | LOCK_NB));
    SHOW(flock(a, LOCK_SH));
    SHOW(flock(b, LOCK_SH | LOCK_NB));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(twin, LOCK_UN));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(b, LOCK_UN));
    SHOW(flock(ro, LOCK_EX | LOCK_NB));
    SHOW(flock(a, LOCK_SH | LOCK_NB));
    close(ro);
    SHOW(flock(a, LOCK_SH | LOCK_NB));
    SHOW(flock(a, 99));
    SHOW(flock(99, LOCK_EX));
    SHOW(flock(a, LOCK_UN));
    ro = open("file", O_RDONLY);

    NOTE("posix");
    SHOW(lock(a, F_SETLK, F_WRLCK, SEEK_SET, 0, 5));
    SHOW(lock(b, F_SETLK, F_WRLCK, SEEK_SET, 3, 5));
    SHOW(lock(a, F_GETLK, F_WRLCK, SEEK_SET, 0, 0));
    SHOW(lock(ro, F_SETLK, F_WRLCK, SEEK_SET, 0, 5));
    SHOW(lock(wo, F_SETLK, F_RDLCK, SEEK_SET, 0, 5));
    SHOW(lock(a, F_SETLKW, F_RDLCK, SEEK_END, -3, 0));
    SHOW(lock(a, F_SETLK, F_RDLCK, SEEK_SET, -1, 0));
    SHOW(lock(a, F_SETLK, F_RDLCK, SEEK_SET, 10, -5));
    SHOW(lock(a, F_SETLK, F_RDLCK, SEEK_SET, 2, -5));
    SHOW(lock(a, F_SETLK, 77, SEEK_SET, 0, 0));
    SHOW(lock(a, F_SETLK, F_RDLCK, 77, 0, 0));
    SHOW(lock(a, F_SETLK, F_UNLCK, SEEK_SET, 0, 0));
    SHOW(lock(99, F_SETLK, F_UNLCK, SEEK_SET, 0, 0));
    SHOW(fcntl(a, F_SETLK, (void *)8));

    NOTE("open file descriptions");
    SHOW(lock(a, F_OFD_SETLK, F_WRLCK, SEEK_SET, 2, 4));
    SHOW(lock(twin, F_OFD_SETLK, F_WRLCK, SEEK_SET, 2, 4));
    SHOW(lock(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 2));
    SHOW(lock(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 3));
    SHOW(lock(b, F_OFD_SETLK, F_RDLCK, SEEK_SET, 5, 1));
    SHOW(lock(b, F_OFD_GETLK, F_RDLCK, SEEK_SET, 0, 0));
    SHOW(lock(b, F_OFD_GETLK, F_RDLCK, SEEK_SET, 6, 0));
    SHOW(lock(b, F_GETLK, F_RDLCK, SEEK_SET, 0, 0));
    SHOW(lock(b, F_SETLK, F_WRLCK, SEEK_SET, 3, 1));
    SHOW(lock(a, F_OFD_SETLK, F_UNLCK, SEEK_SET, 3, 1));
    SHOW(lock(b, F_OFD_GETLK, F_WRLCK, SEEK_SET, 3, 1));
    SHOW(lock(b, F_OFD_GETLK, F_WRLCK, SEEK_SET, 4, 0));
    SHOW(lock(a, F_OFD_SETLK, F_UNLCK, SEEK_SET, 0, 0));
    SHOW(lock(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 3, 1));
    int pipes[2];
    pipe(pipes);
    SHOW(lock(pipes[0], F_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    SHOW(flock(pipes[0], LOCK_EX | LOCK_NB));
    return 0;
}

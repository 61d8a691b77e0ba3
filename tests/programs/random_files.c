// Long random sequences of file calls; every result is printed.
// run: 1
// run: 2
// run: 3
// run: 4
#include "random.h"
#include <dirent.h>

static const char *const names[] = {"a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "e/d", "l", "l/a", "e/../a", "d/./b", "a/", "d/"};
#define NAME names[pick(sizeof names / sizeof *names)]

static char data[20000];

static int fd(void)
{
    return 3 + pick(8);
}

static void step(int number)
{
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_TRUNC,
                                O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_APPEND, O_RDONLY | O_DIRECTORY, O_RDWR | O_TRUNC,
                                O_RDONLY | O_NOFOLLOW, O_WRONLY | O_CREAT | O_APPEND, O_PATH, O_RDWR | O_TMPFILE};
    const char *one = NAME, *two = NAME;
    int f = fd(), size = pick(pick(4) ? 300 : 20000), at = pick(pick(4) ? 1000 : 100000);
    struct stat st;
    errno = 0;
    switch (pick(27)) {
        case 0: case 1: case 2: case 3: {
            int how = flags[pick(13)];
            long got = open(one, how, 0600 + pick(64));
            label(got, "%d open %s %o", number, one, how);
            if (got > 10)
                close(got);
            break;
        }
        case 4: label(close(f), "%d close %d", number, f); break;
        case 5: case 6: {
            long n = read(f, data, size);
            label(n, "%d read %d %d", number, f, size);
            if (n > 0)
                NOTE("  %016lx", (unsigned long)hash(data, n));
            break;
        }
        case 7: case 8: case 9:
            memset(data, 'A' + number % 26, size);
            label(write(f, data, size), "%d write %d %d", number, f, size);
            break;
        case 10: label(lseek(f, at - 200, pick(3)), "%d lseek %d %d", number, f, at - 200); break;
        case 11: {
            long n = pread(f, data, size, at);
            label(n, "%d pread %d %d %d", number, f, size, at);
            if (n > 0)
                NOTE("  %016lx", (unsigned long)hash(data, n));
            break;
        }
        case 12: label(pwrite(f, data, size, at), "%d pwrite %d %d %d", number, f, size, at); break;
        case 13: label(ftruncate(f, at), "%d ftruncate %d %d", number, f, at); break;
        case 14: label(truncate(one, size), "%d truncate %s %d", number, one, size); break;
        case 15: label(rename(one, two), "%d rename %s %s", number, one, two); break;
        case 16: label(link(one, two), "%d link %s %s", number, one, two); break;
        case 17: label(symlink(one, two), "%d symlink %s %s", number, one, two); break;
        case 18: label(unlink(one), "%d unlink %s", number, one); break;
        case 19: label(mkdir(one, 0700 + pick(64)), "%d mkdir %s", number, one); break;
        case 20: label(rmdir(one), "%d rmdir %s", number, one); break;
        case 21: {
            long got = pick(2) ? stat(one, &st) : lstat(one, &st);
            label(got, "%d stat %s", number, one);
            if (got == 0)
                NOTE("  %o %ld %ld", st.st_mode, (long)st.st_nlink, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
            break;
        }
        case 22: {
            int to = fd();
            label(dup2(f, to), "%d dup2 %d %d", number, f, to);
            break;
        }
        case 23: label(chmod(one, 0600 + pick(64)), "%d chmod %s", number, one); break;
        case 24: {
            long got = fstat(f, &st);
            label(got, "%d fstat %d", number, f);
            if (got == 0)
                NOTE("  %o %ld %ld", st.st_mode, (long)st.st_nlink, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
            break;
        }
        case 25: {
            DIR *dir = opendir(one);
            int count = 0;
            unsigned long sum = 0;
            for (struct dirent *e; dir && (e = readdir(dir)) != NULL; count++)
                sum += hash(e->d_name, strlen(e->d_name)) * (e->d_type + 1);
            label(dir ? count : -1, "%d list %s", number, one);
            NOTE("  %016lx", sum);
            if (dir)
                closedir(dir);
            break;
        }
        case 26: label(syscall(SYS_copy_file_range, f, NULL, fd(), NULL, size, 0), "%d copy %d %d", number, f, size); break;
    }
}

int main(int argc, char **argv)
{
    random_start(argc, argv);
    for (int i = 0; i < 4000; i++)
        step(i);
    return 0;
}

"""What prctl(2) does on kernels built with options that the machine running the tests may lack."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness import LXRUN, environment
from harness import compile_program as compiled

NAMES = r"""
#include "show.h"
#include <sys/prctl.h>
#define NAME(p, size, name) prctl(0x53564d41, 0, p, size, name)

static void maps(const char *start, const char *end)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[200];
    unsigned long from, to;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from < (unsigned long)end && to > (unsigned long)start)
            printf("%ld-%ld %s\n", (from - (long)start) / PAGE, (to - (long)start) / PAGE,
                   strchr(line, '[') ? strtok(strchr(line, '['), "\n") : "-");
    fclose(f);
}

int main(void)
{
    char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), long_name[100];
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(long_name, 'n', 99);
    mprotect(p, PAGE, PROT_NONE);
    mprotect(p + 7 * PAGE, PAGE, PROT_NONE);
    SHOW(NAME(p + PAGE, PAGE, "first area"));
    SHOW(NAME(p + 2 * PAGE, 1, "first area"));
    SHOW(NAME(p + 4 * PAGE, PAGE, "other"));
    maps(p, p + 8 * PAGE);
    SHOW(NAME(p + PAGE, 6 * PAGE, NULL));
    maps(p, p + 8 * PAGE);
    SHOW(NAME(shared, PAGE, "both"));
    maps(shared, shared + PAGE);
    SHOW(NAME(p + 1, PAGE, "x"));
    SHOW(NAME(p, 0, "x"));
    SHOW(NAME(p, -1L, "x"));
    SHOW(NAME(p, PAGE, "a[b"));
    SHOW(NAME(p, PAGE, "a\tb"));
    SHOW(NAME(p, PAGE, (char *)8));
    SHOW(NAME(p, PAGE, long_name));
    long_name[79] = 0;
    SHOW(NAME(p, PAGE, long_name));
    SHOW(NAME((char *)PAGE, PAGE, "x"));
    int fd = open("/proc/self/exe", O_RDONLY);
    char *file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    SHOW(NAME(file, PAGE, "x"));
    SHOW(prctl(0x53564d41, 1, p, PAGE, "x"));
}
"""

EXPECTED = """\
NAME(p + PAGE, PAGE, "first area") = 0
NAME(p + 2 * PAGE, 1, "first area") = 0
NAME(p + 4 * PAGE, PAGE, "other") = 0
0-1 -
1-3 [anon:first area]
3-4 -
4-5 [anon:other]
5-7 -
7-8 -
NAME(p + PAGE, 6 * PAGE, NULL) = 0
0-1 -
1-7 -
7-8 -
NAME(shared, PAGE, "both") = 0
0-1 [anon_shmem:both]
NAME(p + 1, PAGE, "x") = -1 EINVAL
NAME(p, 0, "x") = 0
NAME(p, -1L, "x") = -1 EINVAL
NAME(p, PAGE, "a[b") = -1 EINVAL
NAME(p, PAGE, "a\\tb") = -1 EINVAL
NAME(p, PAGE, (char *)8) = -1 EFAULT
NAME(p, PAGE, long_name) = -1 EINVAL
NAME(p, PAGE, long_name) = 0
NAME((char *)PAGE, PAGE, "x") = -1 ENOMEM
NAME(file, PAGE, "x") = -1 EBADF
prctl(0x53564d41, 1, p, PAGE, "x") = -1 EINVAL
"""


def test_names_of_anonymous_memory(tmp_path: Path) -> None:
    """PR_SET_VMA_ANON_NAME, which Linux has with CONFIG_ANON_VMA_NAME."""
    source = tmp_path / "names.c"
    source.write_text(NAMES)
    (tmp_path / "show.h").write_text((Path(__file__).parent / "programs" / "show.h").read_text())
    done = subprocess.run(
        [*LXRUN, str(compiled(source, "-static"))], capture_output=True, text=True, env=environment({}), timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == (EXPECTED, "", 0)

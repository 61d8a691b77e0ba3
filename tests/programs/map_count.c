/* An address space full of mappings: what may still be done to them, and that a refusal changes nothing. */
#include "show.h"

#define PAIRS 33000L

/* Many mappings, each found a place below the one before, and places that were given back. */
static void placed(void)
{
    static char *at[8000];
    long below = 0;
    char *last = NULL;
    for (int row = 0; row < 50; row++) { /* what gaps there are between libraries are filled first */
        char *p = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        row = p + PAGE == last ? row : 0;
        last = p;
    }
    for (int i = 0; i < 8000; i++) {
        at[i] = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        below += i && at[i] + PAGE == at[i - 1];
    }
    NOTE("below %ld", below);
    munmap(at[100], PAGE);
    munmap(at[200], 2 * PAGE); /* and at[199] */
    char *two = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *one = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *next = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NOTE("%d %d %d", two == at[200], one == at[100], next + PAGE == at[7999]);
    munmap(at[7999], 4000 * PAGE);
    munmap(at[3999], 4000 * PAGE);
    munmap(next, PAGE);
}

int main(void)
{
    placed();
    /* Every other page is made another mapping, until there are as many as there may be. */
    char *p = mmap(NULL, 2 * PAIRS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *big = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long made = 0;
    while (made < PAIRS && !mprotect(p + 2 * made * PAGE, PAGE, PROT_READ))
        made++;
    NOTE("%d %s", made > 32000 && made < 32760, errno_name(errno));
    SHOW(mprotect(big + PAGE, PAGE, PROT_NONE));
    SHOW(mprotect(big, 8 * PAGE, PROT_READ | PROT_WRITE));
    SHOW(munmap(big + PAGE, PAGE));
    SHOW(munmap(big + PAGE, PAGE));
    SHOW(madvise(big + PAGE, PAGE, MADV_DONTFORK));
    SHOW(mlock(big + PAGE, PAGE));
    big[PAGE] = 1;
    TRY(mremap(big, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE));
    TRY(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, big));
    char *one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NOTE("one more %d", one != MAP_FAILED);
    TRY(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SHOW(munmap(big, PAGE)); /* a part at its edge: there are not more of them then */
    SHOW(munmap(one, PAGE));
    SHOW(munmap(p + 2 * PAGE, PAGE));
    SHOW(munmap(p, 2000 * PAGE));
    SHOW(mprotect(big + 2 * PAGE, PAGE, PROT_NONE));
    SHOW(munmap(big + 4 * PAGE, PAGE));
    return 0;
}

/* Follow 8 million pointers through 128 MB, one cache line each, in no order a prefetcher knows. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define NODES (1u << 21)

struct node {
    struct node *next;
    char rest[56];
};

int main(void)
{
    struct node *nodes = mmap(NULL, NODES * sizeof *nodes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < NODES; i++)
        nodes[i].next = nodes + ((i * 1664525u + 1013904223u) & (NODES - 1)); /* a full cycle */
    struct node *at = nodes;
    for (uint32_t i = 0; i < 4 * NODES; i++)
        at = at->next;
    printf("%d\n", (int)(at - nodes));
    return 0;
}

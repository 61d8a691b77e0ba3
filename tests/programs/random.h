/* Random numbers that are the same everywhere, from the seed in argv[1]. */
#ifndef RANDOM_H
#define RANDOM_H

#include "show.h"

static uint64_t random_state;

UNUSED static void random_start(int argc, char **argv)
{
    random_state = argc > 1 ? strtoull(argv[1], NULL, 10) * 2654435761u + 1 : 1;
}

/* 0 to n-1. */
UNUSED static unsigned pick(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % n;
}

#endif

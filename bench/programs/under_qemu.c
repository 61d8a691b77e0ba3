/* A command of this name, run by qemu-user: `under_qemu` is linked to from a directory in PATH under the
   names of the programs, whose real places it reads from the file `places` in that directory. */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *directory = getenv("UNDER_QEMU");
    char path[PATH_MAX], line[2 * PATH_MAX], *name = basename(argv[0]);
    snprintf(path, sizeof path, "%s/places", directory);
    FILE *places = fopen(path, "r");
    while (places && fgets(line, sizeof line, places)) {
        char *place = strchr(line, ' ');
        *place++ = 0;
        place[strcspn(place, "\n")] = 0;
        if (strcmp(line, name))
            continue;
        char **words = calloc(argc + 4, sizeof *words);
        words[0] = "qemu-x86_64";
        words[1] = "-0";
        words[2] = place; /* gcc finds its files beside itself */
        words[3] = place;
        memcpy(words + 4, argv + 1, argc * sizeof *words);
        execv("/usr/bin/qemu-x86_64", words);
    }
    return 126;
}

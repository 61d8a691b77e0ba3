/* How a program finds the world at its first instruction: arguments, environment, auxiliary vector. */
#include "show.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;
extern char _end[], _etext[], _edata[];

static int initialised = 42;
static char zeroed[20000];
static const char constant[] = "read-only data";
static __thread int local = 7;
static __thread char local_zero[300];

static int in_map(const void *address, char *line, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start, end;
    int found = 0;
    while (!found && fgets(line, size, maps))
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start <= (uintptr_t)address && (uintptr_t)address < end)
            found = 1;
    fclose(maps);
    return found;
}

static void where(const char *name, const void *address)
{
    char line[4400], perms[8] = "?", path[4096] = "";
    if (in_map(address, line, sizeof line))
        sscanf(line, "%*s %7s %*s %*s %*s %4095[^\n]", perms, path);
    char *slash = strrchr(path, '/');
    if (slash && strncmp(slash, "/start", 6) == 0)
        strcpy(path, "<program>");
    NOTE("%s: %s %s", name, perms, slash && path[0] != '<' ? slash + 1 : path);
}

int main(int argc, char **argv)
{
    NOTE("argc %d", argc);
    for (int i = 1; i < argc; i++)
        show_bytes("argv", argv[i], strlen(argv[i]));
    NOTE("argv ends %d", argv[argc] == NULL);
    for (char **e = environ; *e; e++)
        if (strncmp(*e, "HOME=", 5) && strncmp(*e, "PYTHONPATH=", 11) && strncmp(*e, "PWD=", 4))
            puts(*e);
    NOTE("strings in order %d", argv[0] < argv[argc - 1] || argc == 1);
    ElfW(auxv_t) *a = (void *)environ;
    while (*(char **)a)
        a = (void *)((char **)a + 1);
    a = (void *)((char **)a + 1);
    ElfW(auxv_t) *first = a;
    for (; a->a_type; a++) {
        unsigned long v = a->a_un.a_val;
        switch (a->a_type) {
            case AT_PAGESZ: case AT_CLKTCK: case AT_PHENT: case AT_PHNUM: case AT_FLAGS: case AT_UID: case AT_EUID:
            case AT_GID: case AT_EGID: case AT_SECURE: case 27: case 28:
                NOTE("auxv %ld = %ld", (long)a->a_type, v);
                break;
            case AT_PLATFORM:
                NOTE("auxv platform %s", (char *)v);
                break;
            case AT_EXECFN:
                NOTE("auxv execfn is argv[0] %d", !strcmp((char *)v, argv[0]));
                break;
            case AT_RANDOM:
                NOTE("auxv random %d", hash((void *)v, 16) != 0 && (v & 15) <= 15);
                break;
            case AT_BASE:
                NOTE("auxv base %s", v ? "set" : "0");
                break;
            case AT_ENTRY:
                NOTE("auxv entry in code %d", *(unsigned char *)v != 0);
                break;
            case AT_PHDR:
                NOTE("auxv phdr: first type %d", ((ElfW(Phdr) *)v)->p_type);
                break;
            case AT_HWCAP:
                NOTE("auxv hwcap has fpu, sse2: %d", (v & 1) && (v >> 26 & 1));
                break;
            case AT_SYSINFO_EHDR: case AT_HWCAP2: case 51:
                break;
            default:
                NOTE("auxv %ld", (long)a->a_type);
        }
    }
    NOTE("minsigstksz sane %d", getauxval(51) >= 1024 && getauxval(51) < 100000);
    (void)first;
    NOTE("data %d, zero %d, constant %s, local %d %d", initialised, zeroed[0] | zeroed[19999], constant, local, local_zero[299]);
    int sum = 0;
    for (size_t i = 0; i < sizeof zeroed; i++)
        sum |= zeroed[i];
    NOTE("all of bss is zero %d", sum == 0);
    zeroed[12345] = local_zero[5] = 1;
    uintptr_t rsp, rflags;
    __asm__ volatile("mov %%rsp, %0\n pushf\n pop %1" : "=r"(rsp), "=r"(rflags));
    NOTE("flags %lx", (long)(rflags & 0xfffff7ff & ~0x8d5ul));
    unsigned mxcsr;
    unsigned short control;
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(mxcsr), "=m"(control));
    NOTE("mxcsr %x control %x", mxcsr & ~0x3f, control);
    where("code", (void *)main);
    where("constant", constant);
    where("data", &initialised);
    where("bss", zeroed);
    where("stack", &argc);
    void *heap = malloc(100);
    where("heap", heap);
    char line[4400];
    NOTE("heap follows the program %d", (char *)heap > (char *)_end || (uintptr_t)_end > 1ul << 40);
    NOTE("null is unmapped %d", !in_map(NULL, line, sizeof line));
    return 7;
}

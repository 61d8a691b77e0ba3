// Crashes in a recursion while another thread waits.
#include <pthread.h>
#include <unistd.h>

struct point {
    int x, y;
    char name[16];
};

static struct point where = {3, 4, "corner"};
static double ratio = 2.5;
static volatile int waiting;

static void *sleeper(void *unused) {
    waiting = 1;
    for (;;) pause();
}

static int inner(struct point *p, int depth) {
    volatile int *bad = (int *)8;
    if (depth) return inner(p, depth - 1) + p->x;
    return *bad;
}

int main(int argc, char **argv) {
    pthread_t thread;
    double scaled = ratio * argc;
    pthread_create(&thread, 0, sleeper, 0);
    while (!waiting) usleep(1000);
    usleep(50000);
    return inner(&where, 3) + (int)scaled;
}

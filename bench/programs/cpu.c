/* cpu [N]: integer, floating point and branchy work, N times (once): CRC-32, a matrix product with divisions, qsort. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t table[256];
static unsigned char data[1 << 20];
static double a[120][120], b[120][120], c[120][120];
static int numbers[400000];

static int compare(const void *x, const void *y)
{
    int l = *(const int *)x, r = *(const int *)y;
    return (l > r) - (l < r);
}

static void work(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int k = 0; k < 8; k++)
            v = v & 1 ? 0xedb88320u ^ v >> 1 : v >> 1;
        table[i] = v;
    }
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i * 2654435761u >> 24;
    uint32_t crc = ~0u;
    for (int round = 0; round < 30; round++)
        for (size_t i = 0; i < sizeof data; i++)
            crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    for (int i = 0; i < 120; i++)
        for (int j = 0; j < 120; j++) {
            a[i][j] = 1.0 / (i + j + 1);
            b[i][j] = (double)(i * 120 + j) / 7;
        }
    double sum = 0;
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 120; i++)
            for (int j = 0; j < 120; j++) {
                double s = c[i][j] / 2;
                for (int k = 0; k < 120; k++)
                    s += a[i][k] * b[k][j];
                c[i][j] = s;
                sum += s;
            }
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (int)(seed = seed * 1664525 + 1013904223);
    qsort(numbers, sizeof numbers / sizeof *numbers, sizeof *numbers, compare);
    printf("%08x %.6e %d\n", ~crc, sum, numbers[12345]);
}

int main(int argc, char **argv)
{
    for (int n = argc > 1 ? atoi(argv[1]) : 1; n > 0; n--)
        work();
    return 0;
}

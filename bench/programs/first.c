/* first: its first instructions write a byte; then it waits for the end of its input.  No C library, whose start
   would be measured too. */
static long call(long number, long fd, const void *data, long size)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(fd), "S"(data), "d"(size)
                     : "rcx", "r11", "memory");
    return result;
}

void _start(void)
{
    char byte = 'x';
    call(1, 1, &byte, 1);         /* write */
    while (call(0, 0, &byte, 1) > 0) /* read */
        ;
    call(231, 0, 0, 0); /* exit_group */
}

"""Real programs that wait on epoll, inotify and pairs of sockets, and epoll on streams of the host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from harness import LXRUN, Pair, compile_program, environment, require

ASYNCIO = r"""
import asyncio, os, signal, socket

async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()

async def main():
    loop = asyncio.get_running_loop()
    print(type(loop._selector).__name__)
    a, b = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=a)
    server = asyncio.create_task(echo(*await asyncio.open_connection(sock=b)))
    for n in range(100):
        writer.write(b"line %d " % n + b"x" * 5000 + b"\n")
        answer = await reader.readline()
        assert answer == b"LINE %d " % n + b"X" * 5000 + b"\n"
    writer.write_eof()
    print(await reader.read(), await server)
    r, w = os.pipe()
    got = loop.create_future()
    loop.add_reader(r, lambda: got.set_result(os.read(r, 100)))
    loop.call_later(0.01, os.write, w, b"through a pipe")
    print(await got)
    loop.remove_reader(r)
    hit = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, hit.set)
    loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
    await hit.wait()
    print(await asyncio.gather(*(asyncio.sleep(n % 7 / 1000, n) for n in range(50))))
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.01)
    except asyncio.TimeoutError:
        print("timed out")
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), os.fdopen(0, "rb"))
    print(await stdin.read())

asyncio.run(main())
"""


@pytest.mark.parametrize("host", ["", "portable"])
def test_asyncio(pair: Pair, host: str) -> None:
    require("python3", "/usr/bin/python3")
    pair(["/usr/bin/python3", "-c", ASYNCIO], stdin=b"standard input\n" * 3, status=0, env={"LXRUN_HOST": host})


def test_tail_follows_with_inotify(pair: Pair) -> None:
    script = """
        echo one > log
        mkfifo seen
        tail -f log > seen & tail=$!
        exec 3< seen
        read line <&3; echo "$line"
        for word in two three; do echo $word >> log; read line <&3; echo "$line"; done
        echo short > log; read line <&3; echo "$line"
        kill $tail; rm seen
    """
    pair(["/bin/bash", "-c", script], status=0, blank=(r"^tail: .*",))


def test_inotifywait(pair: Pair) -> None:
    require("inotify-tools", "/usr/bin/inotifywait")
    script = """
        mkdir -p watched/below
        mkfifo ready events
        inotifywait -m -r --format '%w %e %f' watched > events 2> ready & waiting=$!
        exec 3< events 4< ready
        while read -r line <&4; do case $line in *established*) break;; esac; done
        echo text > watched/file
        cat watched/file > /dev/null
        mv watched/file watched/below/moved
        chmod 600 watched/below/moved
        ln watched/below/moved watched/linked
        rm watched/linked
        mkdir watched/last
        while read -r line <&3; do echo "$line"; case $line in *CREATE,ISDIR*) break;; esac; done
        kill $waiting; rm ready events
    """
    pair(["/bin/bash", "-c", script], status=0)


HOST_EPOLL = r"""
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    /* Each line on standard input is answered; how often the instance said so is the last answer. */
    int nested = argv[1][0] == 'n', edge = argv[2][0] == 'e', in = epoll_create1(0), ep = in, events = 0;
    struct epoll_event e = {.events = EPOLLIN | (edge ? EPOLLET : 0)}, got[4];
    if (nested) {
        ep = epoll_create1(0);
        epoll_ctl(ep, EPOLL_CTL_ADD, in, &(struct epoll_event){.events = EPOLLIN});
    }
    dup2(0, 20);
    if (epoll_ctl(in, EPOLL_CTL_ADD, 20, &e))
        return 1;
    e.events = EPOLLOUT | EPOLLET; /* always ready, told once */
    if (epoll_ctl(in, EPOLL_CTL_ADD, 1, &e))
        return 2;
    for (;;) {
        char data[16];
        if (epoll_wait(ep, got, 4, 20000) < 1)
            return 3;
        int n = nested ? epoll_wait(in, got, 4, 0) : 1;
        for (int i = 0; i < n; i++)
            if (got[i].events & EPOLLIN) {
                long size = read(0, data, edge ? 16 : 1);
                events++;
                write(1, data, size);
            } else if (got[i].events & EPOLLHUP) {
                dprintf(1, "%d\n", edge ? events : 0);
                return 0;
            }
    }
}
"""


@pytest.mark.parametrize("host", ["", "portable"])
@pytest.mark.parametrize("how", ["plain level", "plain edge", "nested level", "nested edge"])
def test_epoll_on_a_stream_of_the_host(tmp_path: Path, how: str, host: str) -> None:
    """Every line is answered before the next is sent, so each is one edge."""
    source = tmp_path / "host_epoll.c"
    source.write_text(HOST_EPOLL)
    binary = compile_program(source, "-static")
    for command in ([str(binary)], [*LXRUN, str(binary)]):
        with subprocess.Popen(
            [*command, *how.split()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment({"LXRUN_HOST": host}),
            cwd=tmp_path,
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            for line in (b"first\n", b"second\n", b"third\n"):
                os.write(process.stdin.fileno(), line)
                assert process.stdout.readline() == line
            process.stdin.close()
            assert process.stdout.readline() == (b"3\n" if "edge" in how else b"0\n")
            assert process.wait(30) == 0

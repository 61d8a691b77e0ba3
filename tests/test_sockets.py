"""AF_UNIX sockets with real programs, and what a guest must not reach.

How the calls behave is compared with Linux by tests/programs/unix_*.c and random_sockets.c.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Pair, require, run

PYTHON = "/usr/bin/python3"

SERVER = """
import array, asyncio, os, socket, socketserver, threading
from multiprocessing import Pipe, Process

class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

answers = []

def client(number):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("server.sock")
        with sock.makefile("rwb") as file:
            for line in range(5):
                file.write(b"client %d line %d\\n" % (number, line))
                file.flush()
                answers.append(file.readline())

with Server("server.sock", Upper) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    server.shutdown()
os.unlink("server.sock")
print(sorted(answers))

async def main():
    async def backwards(reader, writer):
        writer.write((await reader.read(100))[::-1])
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(backwards, "async.sock")
    reader, writer = await asyncio.open_unix_connection("async.sock")
    writer.write(b"hello")
    print(await reader.read())
    writer.close()
    server.close()
    child = await asyncio.create_subprocess_exec("echo", "from a child", stdout=asyncio.subprocess.PIPE)
    print(await child.communicate())

asyncio.run(main())
if os.path.exists("async.sock"):
    os.unlink("async.sock")

one, two = socket.socketpair()
reader, writer = os.pipe()
socket.send_fds(one, [b"a pipe"], [writer])
text, fds, flags, _ = socket.recv_fds(two, 10, 1)
os.write(fds[0], b"through it")
print(text, flags, os.read(reader, 100))

here, there = Pipe()
process = Process(target=lambda end: end.send({"answer": 42}), args=(there,))
process.start()
print(here.recv())
process.join()
"""

SOCAT = """
socat UNIX-LISTEN:one.sock,fork SYSTEM:'tr a-z A-Z' & server=$!
while [ ! -S one.sock ]; do sleep 0.05; done
echo one hop | socat - UNIX-CONNECT:one.sock
socat UNIX-LISTEN:two.sock UNIX-CONNECT:one.sock &
while [ ! -S two.sock ]; do sleep 0.05; done
echo two hops | socat - UNIX-CONNECT:two.sock
wait $!
socat -u UNIX-RECV:datagrams.sock,unlink-close=0 OPEN:received,creat & receiver=$!
while [ ! -S datagrams.sock ]; do sleep 0.05; done
echo a datagram | socat -u - UNIX-SENDTO:datagrams.sock
while [ ! -s received ]; do sleep 0.05; done
cat received
kill $server $receiver
wait
rm -f *.sock
"""

DBUS = """
dbus-daemon --session --address=unix:path=$PWD/bus --nofork --nopidfile 2>/dev/null & daemon=$!
while [ ! -S bus ]; do sleep 0.05; done
export DBUS_SESSION_BUS_ADDRESS=unix:path=$PWD/bus
ask() { dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / org.freedesktop.DBus."$@"; }
ask ListNames
ask GetConnectionUnixUser string:org.freedesktop.DBus
ask NameHasOwner string:org.example.Nobody
ask Nonsense
echo status $?
kill $daemon
wait $daemon
echo status $?
rm -f bus
"""

REDIS = """
redis-server --port 0 --unixsocket redis.sock --save '' --logfile /dev/null & server=$!
while [ ! -S redis.sock ]; do sleep 0.05; done
ask() { redis-cli -s redis.sock "$@"; }
ask set key value
ask get key
ask rpush list a b c
ask lrange list 0 -1
ask eval 'return redis.call("incrby", "n", 41) + 1' 0
ask shutdown nosave
wait $server
echo status $?
"""


def script(pair: Pair, text: str) -> None:
    def prepare(work: Path) -> None:
        (work / "script").write_text(text)

    pair(["/bin/sh", "script"], prepare=prepare, status=0)


def test_python_servers(pair: Pair) -> None:
    """Threads, asyncio, passed descriptors, multiprocessing."""
    require("python3", PYTHON)

    def prepare(work: Path) -> None:
        (work / "server.py").write_text(SERVER)

    pair([PYTHON, "server.py"], prepare=prepare, status=0)


def test_socat(pair: Pair) -> None:
    require("socat", "socat")
    script(pair, SOCAT)


def test_dbus(pair: Pair) -> None:
    """A message bus, which asks the kernel who its clients are."""
    require("dbus", "dbus-daemon", "dbus-send")
    script(pair, DBUS)


def test_redis(pair: Pair) -> None:
    require("redis-server", "redis-server", "redis-cli")
    script(pair, REDIS)


# The host's own sockets


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for sock in made:
        sock.close()


CONNECT = """
import socket, sys
for address in "host.sock", "\\0" + sys.argv[1]:
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        try:
            socket.socket(socket.AF_UNIX, kind).connect(address)
            print("connected")
        except OSError as error:
            print(type(error).__name__)
socket.socket(socket.AF_UNIX).bind("\\0" + sys.argv[1])
print(sum("@" in line for line in open("/proc/net/unix")))
"""


def test_sockets_of_the_host_are_not_reached(tmp_path: Path, listeners: list[socket.socket]) -> None:
    """Neither by a path in a directory that is shared with the host nor by an abstract name."""
    require("python3", PYTHON)
    abstract = f"lxrun-host-{tmp_path.name}"

    def prepare(work: Path) -> None:
        (work / "connect.py").write_text(CONNECT)
        for address in (str(work / "host.sock"), "\0" + abstract):
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(address)
            sock.listen()
            listeners.append(sock)

    outcome = run([PYTHON, "connect.py", abstract], tmp_path / "w", under_lxrun=True, prepare=prepare)
    assert outcome.stdout.decode().split() == ["ConnectionRefusedError"] * 4 + ["0"], outcome.stderr.decode()
    for sock in listeners:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.accept()


def test_bound_sockets_are_inodes_of_the_host(tmp_path: Path) -> None:
    """What a guest binds is there for the host to see, and a second run can remove it."""
    require("python3", PYTHON)
    bind = "import socket, os; os.umask(0o27); socket.socket(socket.AF_UNIX).bind('guest.sock')"
    outcome = run([PYTHON, "-c", bind], tmp_path / "w", under_lxrun=True)
    assert outcome.status == 0, outcome.stderr.decode()
    entry = outcome.files["guest.sock"]
    assert (entry.kind, entry.mode) == ("s", 0o750)

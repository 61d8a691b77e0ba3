"""/proc/net: a network with a loopback interface, and AF_UNIX sockets (proc_pid_net(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfs.pseudofs import PseudoDir, TableDir, TextFile
from vfs.sock import ESTABLISHED, LISTEN

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from vfs.unix import UnixSock

_SOCKET_COLUMNS = b" local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
_SOCKET_COLUMNS_6 = (
    b" local_address                         remote_address                        "
    b"st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
)
_DATAGRAM = b" ref pointer drops"

_DEV = (
    b"Inter-|   Receive                                                |  Transmit\n"
    b" face |bytes    packets errs drop fifo frame compressed multicast"
    b"|bytes    packets errs drop fifo colls carrier compressed\n"
    b"    lo:       0       0    0    0    0     0          0         0"
    b"        0       0    0    0    0     0       0          0\n"
)

_CONTENTS = {
    b"arp": b"IP address       HW type     Flags       HW address            Mask     Device\n",
    b"dev": _DEV,
    b"if_inet6": b"00000000000000000000000000000001 01 80 10 80       lo\n",
    b"netlink": b"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
    b"packet": b"sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
    b"raw": b"  sl " + _SOCKET_COLUMNS + _DATAGRAM + b"\n",
    b"raw6": b"  sl " + _SOCKET_COLUMNS_6 + _DATAGRAM + b"\n",
    b"route": b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT".ljust(127) + b"\n",
    b"sockstat6": b"TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n",
    b"tcp": (b"  sl " + _SOCKET_COLUMNS).ljust(149) + b"\n",
    b"tcp6": b"  sl " + _SOCKET_COLUMNS_6 + b"\n",
    b"udp": (b"   sl " + _SOCKET_COLUMNS + _DATAGRAM).ljust(127) + b"\n",
    b"udp6": b"  sl " + _SOCKET_COLUMNS_6 + _DATAGRAM + b"\n",
}


def _file(text: bytes) -> TextFile:
    return TextFile(lambda: text)


def sockstat(kernel: Kernel) -> bytes:
    return (
        b"sockets: used %d\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n"
        b"UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n"
    ) % len(kernel.unix.sockets)


SO_ACCEPTCON = 0x10000
SS_UNCONNECTED, SS_CONNECTING, SS_CONNECTED, SS_DISCONNECTING = 1, 2, 3, 4


def unix(kernel: Kernel) -> bytes:
    """/proc/net/unix: one line per socket.  Nobody is shown kernel addresses."""
    lines = [b"Num       RefCount Protocol Flags    Type St Inode Path\n"]
    lines += map(_unix_line, kernel.unix.sockets)
    return b"".join(lines)


def _unix_line(sock: UnixSock) -> bytes:
    references = 2 + sum(other is not None for other in (sock.peer, sock.listener))
    flags = SO_ACCEPTCON if sock.state == LISTEN else 0
    connected = sock.state == ESTABLISHED
    if sock.file is not None:
        state, ino = SS_CONNECTED if connected else SS_UNCONNECTED, sock.file.node.stat().st_ino
    else:
        state, ino = SS_CONNECTING if connected else SS_DISCONNECTING, 0
    name = sock.name or b""
    path = b"@" + name[1:].replace(b"\0", b"@") if name[:1] == b"\0" else name.rstrip(b"\0")
    line = b"%016x: %08X %08X %08X %04X %02X %5d" % (0, references, 0, flags, sock.type, state, ino)
    return line + (b" " + path if path else b"") + b"\n"


def make_net(kernel: Kernel) -> PseudoDir:
    """A /proc/PID/net."""
    files = {name: _file(text) for name, text in _CONTENTS.items()}
    files[b"sockstat"] = TextFile(lambda: sockstat(kernel))
    files[b"unix"] = TextFile(lambda: unix(kernel))
    return TableDir(files)

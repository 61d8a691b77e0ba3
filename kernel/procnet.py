"""/proc/net: a network with a loopback interface and no sockets (proc_pid_net(5))."""

from __future__ import annotations

from vfs.pseudofs import PseudoDir, TableDir, TextFile

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
    b"sockstat": b"sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n"
    b"UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
    b"sockstat6": b"TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n",
    b"tcp": (b"  sl " + _SOCKET_COLUMNS).ljust(149) + b"\n",
    b"tcp6": b"  sl " + _SOCKET_COLUMNS_6 + b"\n",
    b"udp": (b"   sl " + _SOCKET_COLUMNS + _DATAGRAM).ljust(127) + b"\n",
    b"udp6": b"  sl " + _SOCKET_COLUMNS_6 + _DATAGRAM + b"\n",
    b"unix": b"Num       RefCount Protocol Flags    Type St Inode Path\n",
}


def _file(text: bytes) -> TextFile:
    return TextFile(lambda: text)


def make_net() -> PseudoDir:
    """A /proc/PID/net."""
    return TableDir({name: _file(text) for name, text in _CONTENTS.items()})

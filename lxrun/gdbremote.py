"""Packets of gdb's remote serial protocol ("Overview" and "Packets" of its manual's appendix E)."""

from __future__ import annotations

import select
import socket

PACKET_SIZE = 0x8000  # the most bytes of one, frame included
INTERRUPT = b"\x03"  # Ctrl-C: outside of any packet

_SPECIAL = frozenset(b"$#}*")

# gdb's numbers of signals that are not Linux's (include/gdb/signals.def)
_TO_GDB = {
    7: 10, 10: 30, 12: 31, 16: 143, 17: 20, 18: 19, 19: 17, 20: 18, 23: 16, 29: 23, 30: 32, 31: 12, 32: 77, 64: 78,
    **{number: number + 12 for number in range(33, 64)},
}  # fmt: skip
_FROM_GDB = {gdb: linux for linux, gdb in _TO_GDB.items()}


def to_gdb(signo: int) -> int:
    """gdb's number of a signal."""
    return _TO_GDB.get(signo, signo)


def from_gdb(number: int) -> int:
    """The signal of a number of gdb's; 0 for one that Linux does not have."""
    found = _FROM_GDB.get(number, number)
    return found if to_gdb(found) == number else 0


def escape(data: bytes) -> bytes:
    """Binary data as it may stand in a packet."""
    if not _SPECIAL.intersection(data):
        return data
    return b"".join(bytes((0x7D, byte ^ 0x20)) if byte in _SPECIAL else bytes((byte,)) for byte in data)


def unescape(data: bytes) -> bytes:
    first, *rest = data.split(b"}")
    return first + b"".join(bytes((part[0] ^ 0x20,)) + part[1:] for part in rest if part)


class Connection:
    """The other end is gdb.  What it sends is not trusted further than its own program's memory and registers:
    a packet that is longer than it was told to send ends the connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.acknowledged = True  # until gdb says that it does without
        self._buffer = b""

    def close(self) -> None:
        self.socket.close()

    def ready(self) -> bool:
        """Whether something has come."""
        return bool(self._buffer) or bool(select.select([self.socket], [], [], 0)[0])

    def receive(self) -> bytes:
        """The next packet, without its frame, or INTERRUPT.  Raises EOFError when there will be none."""
        while True:
            found = self._next()
            if found is not None:
                return found
            if len(self._buffer) > 2 * PACKET_SIZE:
                raise EOFError("too long a packet")
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                raise EOFError("gdb is gone")
            self._buffer += data

    def _next(self) -> bytes | None:
        buffer = self._buffer
        while buffer:
            if buffer[:1] == INTERRUPT:
                self._buffer = buffer[1:]
                return INTERRUPT
            if buffer[:1] == b"$":
                end = buffer.find(b"#")
                if end < 0 or len(buffer) < end + 3:
                    break
                packet = buffer[1:end]
                good = buffer[end + 1 : end + 3].lower() == b"%02x" % (sum(packet) & 0xFF)
                buffer = buffer[end + 3 :]
                if self.acknowledged:
                    self._write(b"+" if good else b"-")
                if good or not self.acknowledged:
                    self._buffer = buffer
                    return packet
                continue
            buffer = buffer[1:]  # an acknowledgement
        self._buffer = buffer
        return None

    def send(self, packet: bytes) -> None:
        self._write(b"$%b#%02x" % (packet, sum(packet) & 0xFF))

    def _write(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the next `receive` says so

"""io_uring_register(2): what a ring is given to keep, and told."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from kernel.io_uring import uapi
from syscalls.abi import Result

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing
    from kernel.task import Task

PROBE = Struct("<BBH3I")
PROBE_OP = Struct("<BBHI")
IO_URING_OP_SUPPORTED = 1
NO_RING = 0xFFFF_FFFF


def register_probe(t: Task, ring: IoRing, arg: int, count: int) -> Result:
    """IORING_REGISTER_PROBE."""
    count = min(count, uapi.IORING_OP_LAST)
    if any(t.mm.read(arg, PROBE.size + PROBE_OP.size * count)):
        return -errno.EINVAL
    out = bytearray(PROBE.pack(uapi.IORING_OP_LAST - 1, count, 0, 0, 0, 0))
    for number in range(count):
        out += PROBE_OP.pack(number, 0, IO_URING_OP_SUPPORTED if ring.ops[number] is not None else 0, 0)
    t.mm.write(arg, out)
    return 0


HANDLERS = {
    uapi.IORING_REGISTER_PROBE: register_probe,
}


def do_register(t: Task, fd: int, opcode: int, arg: int, count: int) -> Result:
    """__io_uring_register."""
    from syscalls.io_uring import find_ring

    registered = bool(opcode & uapi.IORING_REGISTER_USE_REGISTERED_RING)
    opcode &= ~uapi.IORING_REGISTER_USE_REGISTERED_RING
    if opcode >= uapi.IORING_REGISTER_LAST:
        return -errno.EINVAL
    if fd == NO_RING and not registered:
        return -errno.EINVAL  # io_uring_register_blind: what needs no ring
    ring = find_ring(t, fd, registered)
    handler = HANDLERS.get(opcode)
    if handler is None:
        return -errno.EINVAL
    return handler(t, ring, arg, count)

"""/proc/PID/fdinfo of a ring (io_uring_show_fdinfo)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.io_uring.uapi import CQ_HEAD, CQ_TAIL, SQ_HEAD, SQ_TAIL

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing


def fdinfo(ring: IoRing) -> bytes:
    lines = [
        f"SqMask:\t0x{ring.sq_entries - 1:x}",
        f"SqHead:\t{ring.word(SQ_HEAD)}",
        f"SqTail:\t{ring.word(SQ_TAIL)}",
        f"CachedSqHead:\t{ring.sq_head}",
        f"CqMask:\t0x{ring.cq_entries - 1:x}",
        f"CqHead:\t{ring.word(CQ_HEAD)}",
        f"CqTail:\t{ring.word(CQ_TAIL)}",
        f"CachedCqTail:\t{ring.cq_tail}",
    ]
    return "".join(line + "\n" for line in lines).encode()

"""/proc/PID/fdinfo of a ring (io_uring_show_fdinfo)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.io_uring import uapi
from kernel.io_uring.ring import WORD
from kernel.io_uring.uapi import CQ_HEAD, CQ_TAIL, CQE, IORING_OP_LAST, SQ_HEAD, SQ_TAIL, SQE, Sqe

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing

NAMES = {number: name[10:] for name, number in vars(uapi).items() if name.startswith("IORING_OP_")}


def fdinfo(ring: IoRing) -> bytes:
    cq_head, cq_tail = ring.word(CQ_HEAD), ring.word(CQ_TAIL)
    lines = [
        f"SqMask:\t0x{ring.sq_entries - 1:x}",
        f"SqHead:\t{ring.word(SQ_HEAD)}",
        f"SqTail:\t{ring.word(SQ_TAIL)}",
        f"CachedSqHead:\t{ring.sq_head}",
        f"CqMask:\t0x{ring.cq_entries - 1:x}",
        f"CqHead:\t{cq_head}",
        f"CqTail:\t{cq_tail}",
        f"CachedCqTail:\t{ring.cq_tail}",
        f"SQEs:\t{ring.pending()}",
        *(entry(ring, ring.sq_head + number) for number in range(ring.pending())),
        f"CQEs:\t{min(cq_tail - cq_head & WORD, ring.cq_entries)}",
    ]
    for number in range(cq_head, cq_head + min(cq_tail - cq_head & WORD, ring.cq_entries)):
        at = number & ring.cq_entries - 1
        user_data, result, flags = CQE.unpack_from(ring.memory, ring.cqe_at[at])
        lines.append(f"{at:5}: user_data:{user_data}, res:{result}, flag:{flags:x}")
    lines += ["SqThread:\t-1", "SqThreadCpu:\t-1", "SqTotalTime:\t0", "SqWorkTime:\t0"]
    slots = ring.fixed.slots if ring.fixed is not None else []
    lines.append(f"UserFiles:\t{len(slots)}")
    for index, slot in enumerate(slots):
        if slot is not None:
            lines.append(f"{index:5}: {slot.file.name.decode(errors='replace')}")
    buffers = ring.buffers or []
    lines.append(f"UserBufs:\t{len(buffers)}")
    for index, buffer in enumerate(buffers):
        lines.append(f"{index:5}: 0x{buffer.address:x}/{buffer.size}" if buffer is not None else f"{index:5}: <none>")
    lines.append("PollList:")
    for request in ring.requests:
        if request.waiting is not None and request.waiting[0]:
            lines.append(f"  op={request.opcode}, task_works={int(request.queued)}")
    lines.append("CqOverflowList:")
    for user_data, result, flags, _, _ in ring.overflow:
        lines.append(f"  user_data={user_data}, res={result}, flags={flags:x}")
    return "".join(line + "\n" for line in lines).encode()


def entry(ring: IoRing, position: int) -> str:
    """A line about an entry that was not taken yet."""
    at = position & ring.sq_entries - 1
    if ring.array_at:
        at = ring.words[ring.array_at[at]]
        if at >= ring.sq_entries:
            return f"{at:5}: "
    sqe = Sqe._make(SQE.unpack_from(ring.memory, ring.sqe_at[at]))
    name = NAMES[sqe.opcode] if sqe.opcode < IORING_OP_LAST else "INVALID"
    return (
        f"{at:5}: opcode:{name}, fd:{sqe.fd}, flags:{sqe.flags:x}, off:{sqe.off}, addr:0x{sqe.addr:x}, "
        f"rw_flags:0x{sqe.op_flags:x}, buf_index:{sqe.buf_index} user_data:{sqe.user_data}"
    )

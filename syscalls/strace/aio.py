"""Native asynchronous I/O in strace's notation."""

from __future__ import annotations

from struct import Struct

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.calls import Spec
from syscalls.strace.values import (
    Traced,
    address,
    address_text,
    array,
    buffer_text,
    fd_text,
    flags_text,
    hex_text,
    joined,
    long,
    number,
    out,
    pointer,
    struct,
    unsigned,
)

_IOCB = Struct("<QIIHhIQQq8xII")  # data, key, rw_flags, opcode, reqprio, fd, buf, nbytes, offset, flags, resfd
IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_POLL, IOCB_CMD_PREADV, IOCB_CMD_PWRITEV = 0, 1, 5, 7, 8
IOCB_FLAG_RESFD = 1


def _head(data: int, key: int, opcode: int, priority: int, fd: int) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = [("aio_data", hex_text(data))]
    if key:
        fields.append(("aio_key", key))
    fields.append(("aio_lio_opcode", c.IOCB_COMMANDS.get(opcode) or f"{opcode} /* IOCB_CMD_??? */"))
    if priority:
        fields.append(("aio_reqprio", priority))
    fields.append(("aio_fildes", fd_text(fd)))
    return fields


def _iocb(call: Traced, addr: int, *, whole: bool = True) -> str | None:
    """struct iocb; of one that is to be cancelled only what tells which it is."""
    found = call.unpack(_IOCB, addr)
    if found is None:
        return None
    data, key, _, opcode, priority, fd, buf, size, offset, flags, event = found
    fields = _head(data, key, opcode, priority, fd)
    if not whole:
        return joined(fields)
    if opcode in (IOCB_CMD_PREAD, IOCB_CMD_PWRITE):
        text = buffer_text(call, buf, size) if opcode == IOCB_CMD_PWRITE else hex_text(buf)
        fields += [("aio_buf", text), ("aio_nbytes", size), ("aio_offset", offset)]
    elif opcode in (IOCB_CMD_PREADV, IOCB_CMD_PWRITEV):
        # As strace: the elements of what is to be written are not followed either
        shown = array(
            call, buf, size, "<QQ", lambda base, length: f"{{iov_base={address_text(base)}, iov_len={length}}}"
        )
        fields += [("aio_buf", hex_text(buf) if shown is None else shown), ("aio_offset", offset)]
    elif opcode == IOCB_CMD_POLL:
        fields.append(("aio_buf", flags_text(c.POLL_FLAGS, buf & 0xFFFFFFFF, "POLL_")))
    if flags and opcode in (IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_PREADV, IOCB_CMD_PWRITEV):
        fields.append(("aio_flags", flags_text(c.IOCB_FLAGS, flags, "IOCB_FLAG_")))
        if flags & IOCB_FLAG_RESFD:
            fields.append(("aio_resfd", fd_text(event)))
    return joined(fields)


def _iocbs(call: Traced, addr: int) -> str | None:
    """The pointers that io_submit takes, followed."""

    def show(place: int) -> str:
        return pointer(_iocb).decode(call, place)

    return array(call, addr, call.args[1] & 0xFFFFFFFF, "<Q", show)


def _event(data: int, obj: int, result: int, second: int) -> str:
    return joined((("data", hex_text(data)), ("obj", hex_text(obj)), ("res", result), ("res2", second)))


def _sigmask(call: Traced, addr: int) -> str | None:
    """struct __aio_sigset."""
    found = call.unpack(Struct("<QQ"), addr)
    if found is None:
        return None
    mask = call.read(found[0], found[1]) if found[1] == 8 else None
    text = address_text(found[0]) if mask is None else s.sigset_text(int.from_bytes(mask, "little"))
    return joined((("sigmask", text), ("sigsetsize", found[1])))


context = address
events = out(pointer(lambda call, addr: array(call, addr, call.result or 0, "<QQqq", _event)))

AIO: dict[str, Spec] = {
    "io_setup": Spec(unsigned, out(number("<Q", hex_text))),
    "io_destroy": Spec(context),
    "io_submit": Spec(context, unsigned, pointer(_iocbs)),
    "io_cancel": Spec(
        context,
        pointer(lambda call, addr: _iocb(call, addr, whole=False)),
        out(struct("<QQqq", _event)),
    ),
    "io_getevents": Spec(context, long, long, events, s.timespec),
    "io_pgetevents": Spec(context, long, long, events, s.timespec, pointer(_sigmask)),
}

"""io_uring(7) in strace's notation."""

from __future__ import annotations

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.calls import Args, Spec
from syscalls.strace.values import (
    Arg,
    Traced,
    address,
    array,
    choice,
    fd,
    fd_text,
    flags,
    flags_text,
    joined,
    number,
    pointer,
    signed,
    size,
    struct,
    unsigned,
)

IORING_SETUP_ATTACH_WQ, IORING_ENTER_EXT_ARG = 0x20, 8
REGISTER_BUFFERS, REGISTER_FILES, REGISTER_EVENTFD, REGISTER_FILES_UPDATE, REGISTER_EVENTFD_ASYNC = 0, 2, 4, 6, 7

_SQ_OFFSETS = ("head", "tail", "ring_mask", "ring_entries", "flags", "dropped", "array")
_CQ_OFFSETS = ("head", "tail", "ring_mask", "ring_entries", "overflow", "cqes", "flags")


def _params(call: Traced, addr: int) -> str | None:
    """struct io_uring_params: what was asked for and, if the call has succeeded, what it gave."""

    def show(*f: int) -> str:
        fields: list[tuple[str, object]] = [
            ("flags", flags_text(c.IORING_SETUP, f[2], "IORING_SETUP_")),
            ("sq_thread_cpu", f[3]),
            ("sq_thread_idle", f[4]),
        ]
        if f[2] & IORING_SETUP_ATTACH_WQ:
            fields.append(("wq_fd", signed(f[6], 32)))
        if not call.failed:
            fields += [
                ("sq_entries", f[0]),
                ("cq_entries", f[1]),
                ("features", flags_text(c.IORING_FEATURES, f[5], "IORING_FEAT_")),
                ("sq_off", joined(list(zip(_SQ_OFFSETS, f[7:14], strict=True)))),
                ("cq_off", joined(list(zip(_CQ_OFFSETS, f[14:21], strict=True)))),
            ]
        return joined(fields)

    return struct("<7I12x7I12x7I12x", show).decode(call, addr)


def _fds(call: Traced, addr: int, count: int) -> str | None:
    return array(call, addr, count, "<i", fd_text)


def _update(call: Traced, addr: int) -> str:
    """struct io_uring_files_update."""

    def show(offset: int, fds: int) -> str:
        count = call.args[3] & 0xFFFFFFFF
        shown = pointer(lambda call, addr: _fds(call, addr, count)).decode(call, fds)
        return joined((("offset", offset), ("fds", shown)))

    return struct("<I4xQ", show).decode(call, addr)


_REGISTER: dict[int, Arg] = {
    REGISTER_BUFFERS: Arg(lambda call, value: s.iovec_addresses(call, value, 3)),
    REGISTER_FILES: pointer(lambda call, addr: _fds(call, addr, call.args[3] & 0xFFFFFFFF)),
    REGISTER_EVENTFD: number("<i", fd_text),
    REGISTER_FILES_UPDATE: Arg(_update),
    REGISTER_EVENTFD_ASYNC: number("<i", fd_text),
}


def _register(call: Traced) -> Args:
    argument = _REGISTER.get(call.args[1] & 0xFFFFFFFF, address)
    return fd, choice(c.IORING_REGISTER, "IORING_REGISTER_"), argument, unsigned


def _enter(call: Traced) -> Args:
    argument = address if call.args[3] & IORING_ENTER_EXT_ARG else s.sigset(5)
    return fd, unsigned, unsigned, flags(c.IORING_ENTER, "IORING_ENTER_"), argument, size


URING: dict[str, Spec] = {
    "io_uring_setup": Spec(unsigned, Arg(lambda call, value: _params(call, value) or "NULL", out=True)),
    "io_uring_enter": Spec(choose=_enter),
    "io_uring_register": Spec(choose=_register),
}

"""Calls on sockets in strace's notation."""

from __future__ import annotations

from struct import Struct

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.calls import Spec, pipe_ends
from syscalls.strace.values import (
    Arg,
    Traced,
    address,
    buffer,
    choice,
    choice_text,
    fd,
    flags,
    flags_text,
    integer,
    joined,
    more_flags,
    number,
    out,
    out_buffer,
    pointer,
    size,
)

MSGHDR = Struct("<QI4xQQQQI4x")

family = choice(c.ADDRESS_FAMILIES, "AF_")
message_flags = flags(c.MSG_FLAGS, "MSG_")


def _type(call: Traced, value: int) -> str:
    return choice_text(c.SOCKET_TYPES, value & 0xF, "SOCK_") + more_flags(c.SOCKET_FLAGS, value & 0xFFFFFFF0)


def _name(call: Traced, addr: int) -> str | None:
    """A sockaddr that has no more than a family."""
    data = call.read(addr, 2)
    if data is None:
        return None
    return "{sa_family=" + choice_text(c.ADDRESS_FAMILIES, int.from_bytes(data, "little"), "AF_") + "}"


def _room(call: Traced, addr: int) -> str | None:
    """A length that the call replaced; what was there before is known when the call is entered only."""
    data = call.read(addr, 4)
    return None if data is None else f"[{int.from_bytes(data, 'little')}]"


def _message(call: Traced, addr: int) -> str | None:
    found = call.unpack(MSGHDR, addr)
    if found is None:
        return None
    name, name_length, vec, count, control, control_length, message = found
    fields: list[tuple[str, object]] = [("msg_name", hex(name) if name else "NULL"), ("msg_namelen", name_length)]
    if call.failed and call.name == "recvmsg":
        return "{" + ", ".join(f"{key}={value}" for key, value in fields) + "}"
    available = call.result if call.name == "recvmsg" else None
    fields += [("msg_iov", s.iovec(call, vec, count, available)), ("msg_iovlen", count)]
    if control_length:
        fields.append(("msg_control", hex(control)))
    fields += [("msg_controllen", control_length), ("msg_flags", flags_text(c.MSG_FLAGS, message, "MSG_"))]
    return joined(fields)


name_found, name_length = out(pointer(_name)), out(pointer(_room))
option = (choice(c.SOCKET_LEVELS, "SOL_"), choice(c.SOCKET_OPTIONS, "SO_"))

SOCKETS: dict[str, Spec] = {
    "socketpair": Spec(family, Arg(_type), integer, pipe_ends),
    "shutdown": Spec(fd, choice(c.SHUTDOWNS, "SHUT_")),
    "getsockname": Spec(fd, name_found, name_length),
    "getpeername": Spec(fd, name_found, name_length),
    "getsockopt": Spec(fd, *option, out(number("<i")), out(number("<i"))),
    "setsockopt": Spec(fd, *option, number("<i"), integer),
    "sendto": Spec(fd, buffer(2), size, message_flags, address, integer),
    "recvfrom": Spec(fd, out_buffer(), size, message_flags, name_found, name_length),
    "sendmsg": Spec(fd, pointer(_message), message_flags),
    "recvmsg": Spec(fd, out(pointer(_message)), message_flags),
}

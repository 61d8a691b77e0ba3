"""How strace writes calls on sockets: addresses, messages with what travels beside them, options."""

from __future__ import annotations

from struct import Struct

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.calls import Args, Spec
from syscalls.strace.values import (
    Arg,
    Traced,
    address_text,
    buffer_text,
    choice,
    choice_text,
    fd,
    flags,
    flags_text,
    identity_text,
    integer,
    joined,
    number,
    out,
    pointer,
    quote,
    signed,
    size,
    struct,
    unsigned,
)

_MSGHDR = Struct("<Qi4xQQQQI4x")
_CMSGHDR = Struct("<QiI")
_MMSGHDR_SIZE, _MSG_LEN_AT = 64, 56
_U32 = Struct("<I")
SOL_SOCKET = 1

message_flags = flags(c.MSG_FLAGS, "MSG_")
socket_flags = flags(c.SOCKET_FLAGS, "SOCK_")

# Addresses


def sockaddr_text(call: Traced, addr: int, length: int) -> str:
    """A socket address of `length` bytes."""
    if not addr:
        return "NULL"
    length = min(length, 128)
    data = call.read(addr, length) if length >= 2 else None
    if data is None:
        return hex(addr)
    family = int.from_bytes(data[:2], "little")
    fields: list[tuple[str, object]] = [("sa_family", choice_text(c.SOCKET_DOMAINS, family, "AF_"))]
    if family == 1 and length > 2:
        name = data[2:]
        fields.append(("sun_path", "@" + quote(name[1:]) if name[:1] == b"\0" else quote(name.split(b"\0", 1)[0])))
    elif family == 2 and length >= 8:
        fields.append(("sin_port", f"htons({int.from_bytes(data[2:4], 'big')})"))
        fields.append(("sin_addr", 'inet_addr("' + ".".join(str(byte) for byte in data[4:8]) + '")'))
    elif length > 2:
        fields.append(("sa_data", quote(data[2:])))
    return joined(fields)


def _number_at(call: Traced, addr: int) -> int | None:
    found = call.unpack(_U32, addr) if addr else None
    return None if found is None else found[0]


def _address_in(index: int) -> Arg:
    """An address that the call is given; its length is another argument."""
    return Arg(lambda call, value: sockaddr_text(call, value, call.args[index] & 0xFFFFFFFF))


def _length(call: Traced, addr: int, before: int | None) -> str:
    """[before => after] of an int that the call changes."""
    after = _number_at(call, addr)
    if not addr or after is None or before is None:
        return address_text(addr)
    return f"[{before}]" if call.failed or before == after else f"[{before} => {signed(after, 32)}]"


def _named(first: Args, last: Args, index: int) -> Spec:
    """A call that stores an address at `index`, whose length is the argument after it."""

    def choose(call: Traced) -> Args:
        before = _number_at(call, call.args[index + 1])

        def name(call: Traced, value: int) -> str:
            length = _number_at(call, call.args[index + 1])
            if call.failed or length is None or before is None:
                return address_text(value)
            return sockaddr_text(call, value, min(length, before))

        return (*first, Arg(name, out=True), Arg(lambda call, value: _length(call, value, before), out=True), *last)

    return Spec(choose=choose)


# Messages


def _ucred(data: bytes) -> str:
    pid, uid, gid = Struct("<iII").unpack(data[:12])
    return joined((("pid", pid), ("uid", identity_text(uid)), ("gid", identity_text(gid))))


def _control_text(call: Traced, addr: int, length: int) -> str:
    """The control messages."""
    data = call.read(addr, length)
    if data is None:
        return hex(addr)
    shown = []
    at = 0
    while at + _CMSGHDR.size <= length:
        size, level, kind = _CMSGHDR.unpack_from(data, at)
        fields: list[tuple[str, object]] = [
            ("cmsg_len", size),
            ("cmsg_level", choice_text(c.SOCKET_LEVELS, level, "SOL_")),
        ]
        fields.append(("cmsg_type", choice_text(c.SCM_TYPES, kind, "SCM_") if level == SOL_SOCKET else hex(kind)))
        body = data[at + _CMSGHDR.size : at + size]
        if level == SOL_SOCKET and kind == 1 and len(body) >= 4:
            found = [str(got) for (got,) in Struct("<i").iter_unpack(body[: len(body) & ~3])]
            fields.append(("cmsg_data", "[" + ", ".join(found) + "]"))
        elif level == SOL_SOCKET and kind == 2 and len(body) >= 12:
            fields.append(("cmsg_data", _ucred(body)))
        shown.append(joined(fields))
        if size < _CMSGHDR.size:
            break
        at += (size + 7) & ~7
    return "[" + ", ".join(shown) + "]" if shown else hex(addr)


def _msghdr_text(call: Traced, addr: int, available: int | None, name_before: int | None = None) -> str | None:
    """A struct msghdr; `available` bytes of its data, or all; `name_before` is what msg_namelen was."""
    found = call.unpack(_MSGHDR, addr)
    if found is None:
        return None
    name, name_size, vec, count, control, control_size, out_flags = found
    length = str(name_size)
    if name_before is not None and name and name_before != name_size:
        length = f"{name_before} => {name_size}"
    fields: list[tuple[str, object]] = [
        ("msg_name", sockaddr_text(call, name, name_size & 0xFFFFFFFF)),
        ("msg_namelen", length),
        ("msg_iov", s.iovec(call, vec, count, available)),
        ("msg_iovlen", count),
    ]
    if control_size:
        fields.append(("msg_control", _control_text(call, control, min(control_size, 4096)) if control else "NULL"))
    fields.append(("msg_controllen", control_size))
    fields.append(("msg_flags", flags_text(c.MSG_FLAGS, out_flags, "MSG_")))
    return joined(fields)


def _recvmsg(call: Traced) -> Args:
    before = call.unpack(_MSGHDR, call.args[1])

    def message(call: Traced, value: int) -> str:
        if call.failed and before is not None:
            return f"{{msg_namelen={before[1]}}}"
        text = None if before is None else _msghdr_text(call, value, call.result, before[1])
        return address_text(value) if text is None else text

    return fd, Arg(message, out=True), message_flags


def _messages(call: Traced, addr: int, count: int, done: int, received: bool, names: list[int]) -> str:
    """An array of struct mmsghdr, of which `done` are sent or received."""
    shown: list[str] = []
    for index in range(min(count, call.limit)):
        at = addr + index * _MMSGHDR_SIZE
        length = _number_at(call, at + _MSG_LEN_AT)
        before = names[index] if index < len(names) else None
        text = _msghdr_text(call, at, length if received else None, before)
        if text is None:
            if not shown:
                return address_text(addr)
            shown.append(f"... /* {at:#x} */")
            break
        shown.append(f"{{msg_hdr={text}" + (f", msg_len={length}" if index < done else "") + "}")
    else:
        shown += ["..."] * (count > call.limit)
    return "[" + ", ".join(shown) + "]"


def _sendmmsg(call: Traced, value: int) -> str:
    return _messages(call, value, min(call.args[2] & 0xFFFFFFFF, 1024), max(0, call.result or 0), False, [])


def _recvmmsg(call: Traced) -> Args:
    names = []
    for index in range(min(call.args[2] & 0xFFFFFFFF, call.limit)):
        found = call.unpack(_MSGHDR, call.args[1] + index * _MMSGHDR_SIZE)
        if found is None:
            break
        names.append(found[1])
    timeout = s.timespec.decode(call, call.args[4])

    def messages(call: Traced, value: int) -> str:
        done = call.result or 0
        return address_text(value) if done < 0 else _messages(call, value, done, done, True, names)

    return fd, Arg(messages, out=True), unsigned, message_flags, Arg(lambda call, value: timeout, out=True)


def _recvmmsg_left(call: Traced) -> str:
    if not call.args[4]:
        return ""
    return "left " + s.timespec.decode(call, call.args[4]) if call.result else "Timeout"


# Options


_LINGER = struct("<ii", lambda on, seconds: f"{{l_onoff={on}, l_linger={seconds}}}")
_NUMBER = number("<i")
_STRINGS = (20, 21)  # SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD: strace does not look into them


def _option_name(level: int, name: int) -> str:
    if level == SOL_SOCKET:
        return choice_text(c.SOCKET_OPTIONS, name, "SO_")
    if level == 6:
        return choice_text(c.TCP_OPTIONS, name, "TCP_")
    return str(signed(name, 32))


def _option_value(call: Traced, addr: int, length: int, setting: bool) -> str:
    level, name = call.args[1] & 0xFFFFFFFF, call.args[2] & 0xFFFFFFFF
    if level == SOL_SOCKET and name == 13 and length >= 8:
        return _LINGER.decode(call, addr)
    if level == SOL_SOCKET and name == 17 and not setting and length >= 12:
        data = call.read(addr, 12)
        return hex(addr) if data is None else _ucred(data)
    known = level == SOL_SOCKET and name in c.SOCKET_OPTIONS and name not in _STRINGS
    if length == 4 or (setting and known and length > 4):
        if level == SOL_SOCKET and name == 4 and not setting:
            value = _number_at(call, addr) or 0
            return f"[{c.ERRNOS[value][0] if value in c.ERRNOS else value}]"
        return _NUMBER.decode(call, addr)
    if setting and known:
        return address_text(addr)
    return buffer_text(call, addr, length)


_LEVEL = Arg(lambda call, value: choice_text(c.SOCKET_LEVELS, value & 0xFFFFFFFF, "SOL_??"))
_OPTION = Arg(lambda call, value: _option_name(call.args[1] & 0xFFFFFFFF, value & 0xFFFFFFFF))


def _setsockopt(call: Traced, value: int) -> str:
    length = signed(call.args[4], 32)
    return address_text(value) if length < 0 else _option_value(call, value, length, True)


def _getsockopt(call: Traced) -> Args:
    before = _number_at(call, call.args[4])

    def found(call: Traced, value: int) -> str:
        length = _number_at(call, call.args[4])
        if call.failed or length is None:
            return address_text(value)
        return _option_value(call, value, length, False)

    changed = Arg(lambda call, value: _length(call, value, before), out=True)
    return fd, _LEVEL, _OPTION, Arg(found, out=True), changed


# The table


def _socket_type(call: Traced, value: int) -> str:
    value &= 0xFFFFFFFF
    kind = choice_text(c.SOCKET_TYPES, value & 15, "SOCK_")
    rest = value & ~15
    return f"{kind}|{flags_text(c.SOCKET_FLAGS, rest, 'SOCK_')}" if rest else kind


def _socket(call: Traced) -> Args:
    family = call.args[0] & 0xFFFFFFFF
    protocol = integer
    if family in (2, 10):  # AF_INET, AF_INET6
        protocol = choice(c.IP_PROTOCOLS, "IPPROTO_")
    elif family == 16:  # AF_NETLINK
        protocol = choice(c.NETLINK_PROTOCOLS, "NETLINK_")
    return choice(c.SOCKET_DOMAINS, "AF_"), Arg(_socket_type), protocol


_PAIR = out(pointer(lambda call, value: _pair(call, value)))


def _pair(call: Traced, addr: int) -> str | None:
    data = call.read(addr, 8)
    return None if data is None else "[{}, {}]".format(*Struct("<ii").unpack(data))


_RECEIVED = out(Arg(lambda call, value: buffer_text(call, value, min(call.result or 0, call.args[2]))))
_SENT = Arg(lambda call, value: buffer_text(call, value, call.args[2]))

SOCKETS: dict[str, Spec] = {
    "socket": Spec(choose=_socket),
    "socketpair": Spec(choose=lambda call: (*_socket(call), _PAIR)),
    "bind": Spec(fd, _address_in(2), integer),
    "connect": Spec(fd, _address_in(2), integer),
    "listen": Spec(fd, integer),
    "accept": _named((fd,), (), 1),
    "accept4": _named((fd,), (socket_flags,), 1),
    "getsockname": _named((fd,), (), 1),
    "getpeername": _named((fd,), (), 1),
    "shutdown": Spec(fd, choice(c.SHUTDOWN_HOW, "SHUT_")),
    "sendto": Spec(fd, _SENT, size, message_flags, _address_in(5), integer),
    "recvfrom": _named((fd, _RECEIVED, size, message_flags), (), 4),
    "sendmsg": Spec(fd, pointer(lambda call, value: _msghdr_text(call, value, None)), message_flags),
    "recvmsg": Spec(choose=_recvmsg),
    "sendmmsg": Spec(fd, Arg(_sendmmsg, out=True), unsigned, message_flags),
    "recvmmsg": Spec(choose=_recvmmsg, extra=_recvmmsg_left),
    "setsockopt": Spec(fd, _LEVEL, _OPTION, Arg(_setsockopt), integer),
    "getsockopt": Spec(choose=_getsockopt),
}

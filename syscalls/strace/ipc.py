"""System V IPC and POSIX message queues in strace's notation."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.calls import Args, Spec, hexadecimal_result, open_flags
from syscalls.strace.values import (
    Arg,
    Traced,
    address,
    array,
    buffer,
    buffer_text,
    choice,
    fd,
    flags,
    flags_text,
    hex_text,
    identity_text,
    integer,
    joined,
    long,
    mode,
    number,
    octal_text,
    out,
    out_buffer,
    pointer,
    size,
    string,
    struct,
    unsigned,
)

IPC_SET, IPC_STAT, IPC_INFO = 1, 2, 3
SHM_INFO, SEM_INFO, MSG_INFO = 14, 19, 12

key = Arg(lambda call, value: hex_text(value & 0xFFFFFFFF) if value & 0xFFFFFFFF else "IPC_PRIVATE")


def _get(names: dict[int, str], huge: int = 0) -> Arg:
    """Flags and permission bits of a ...get(2), and the size of pages in the bits `huge`."""

    def decode(call: Traced, value: int) -> str:
        rest = value & 0xFFFFFFFF & ~0o777 & ~huge
        parts = []
        if rest:
            text = flags_text(names, rest, "")
            parts.append(hex(rest) if text.endswith("*/") else text)
        if value & huge:
            parts.append(f"{(value & huge) >> 26}<<SHM_HUGE_SHIFT")
        return "|".join([*parts, octal_text(value & 0o777)])

    return Arg(decode)


# Control


def _ds(name: str, layout: str, members: Sequence[str], shown: Sequence[str], settable: str = "") -> tuple[Arg, Arg]:
    """struct shmid_ds, semid_ds or msqid_ds: what is to be set of it, and all that strace shows."""
    fields = Struct("<IIIIII24x" + layout)

    def decode(call: Traced, addr: int, whole: bool) -> str | None:
        found = call.unpack(fields, addr)
        if found is None:
            return None
        own_key, uid, gid, cuid, cgid, bits = found[:6]
        perm: list[tuple[str, object]] = [("uid", identity_text(uid)), ("gid", identity_text(gid))]
        perm.append(("mode", octal_text(bits & 0xFFFF)))
        if whole:
            perm += [("key", own_key), ("cuid", cuid), ("cgid", cgid)]
        values = dict(zip(members, found[6:], strict=True))
        rest = [(f"{name}_{member}", values[member]) for member in shown if whole or member == settable]
        return joined([(f"{name}_perm", joined(perm)), *rest])

    given = pointer(lambda call, addr: decode(call, addr, False))
    return given, out(pointer(lambda call, addr: decode(call, addr, True)))


def _info(layout: str, members: str) -> Arg:
    """What IPC_INFO and its like store."""
    names = members.split()
    return out(struct(layout, lambda *values: joined(list(zip(names, values, strict=True)))))


_SHM_MEMBERS = ("segsz", "atime", "dtime", "ctime", "cpid", "lpid", "nattch")
_SHM_SHOWN = ("segsz", "cpid", "lpid", "nattch", "atime", "dtime", "ctime")
_SEM_MEMBERS = ("otime", "ctime", "nsems")
_MSG_MEMBERS = ("stime", "rtime", "ctime", "qnum", "qbytes", "lspid", "lrpid")
_SHM_DS = _ds("shm", "QqqqiiQ", _SHM_MEMBERS, _SHM_SHOWN)
_SEM_DS = _ds("sem", "q8xq8xQ", _SEM_MEMBERS, _SEM_MEMBERS)
_MSG_DS = _ds("msg", "qqq8xQQii", _MSG_MEMBERS, _MSG_MEMBERS, "qbytes")
_SEMINFO = _info("<10i", "semmap semmni semmns semmnu semmsl semopm semume semusz semvmx semaem")
_MSGINFO = _info("<7iH2x", "msgpool msgmap msgmax msgmnb msgmni msgssz msgtql msgseg")


def _control(
    ds: tuple[Arg, Arg], others: dict[int, Arg], at: int, before: Args, names: dict[int, str], prefix: str
) -> Spec:
    """A ...ctl(2), whose last argument depends on the command."""

    def choose(call: Traced) -> Args:
        command = call.args[at] & 0xFFFFFFFF
        known = {IPC_SET: ds[0], IPC_STAT: ds[1], **others}
        return (*before, choice(names, prefix), known.get(command, address))

    return Spec(choose=choose)


# Semaphores


def _sembuf(index: int, op: int, flag: int) -> str:
    return joined((("sem_num", index), ("sem_op", op), ("sem_flg", flags_text(c.SEM_FLAGS, flag & 0xFFFF, "SEM_"))))


sembufs = pointer(lambda call, addr: array(call, addr, call.args[2] & 0xFFFFFFFF, "<Hhh", _sembuf))

# Messages


def _message(call: Traced, addr: int, length: int) -> str | None:
    """struct msgbuf with `length` bytes of text."""
    kind = call.read(addr, 8)
    if kind is None:
        return None
    text = buffer_text(call, addr + 8, length)
    return joined((("mtype", int.from_bytes(kind, "little", signed=True)), ("mtext", text)))


sent = pointer(lambda call, addr: _message(call, addr, call.args[2]))
received = out(pointer(lambda call, addr: _message(call, addr, call.args[2])))

# POSIX message queues


def _attributes(flag: str, limit: int, length: int, current: int) -> str:
    return joined((("mq_flags", flag), ("mq_maxmsg", limit), ("mq_msgsize", length), ("mq_curmsgs", current)))


new_attributes = struct("<qqqq32x", lambda flag, *rest: _attributes(hex_text(flag), *rest))
attributes = struct("<qqqq32x", lambda flag, *rest: _attributes(flags_text(c.OPEN_FLAGS, flag, "O_"), *rest))


def _mq_open(call: Traced) -> Args:
    return (string, open_flags, mode, new_attributes) if call.args[1] & 0o100 else (string, open_flags)


IPC: dict[str, Spec] = {
    "shmget": Spec(key, size, _get(c.SHM_GET, huge=63 << 26)),
    "shmat": Spec(integer, address, flags(c.SHM_FLAGS, "SHM_"), result=hexadecimal_result),
    "shmdt": Spec(address),
    "shmctl": _control(
        _SHM_DS,
        {
            13: _SHM_DS[1],
            15: _SHM_DS[1],
            IPC_INFO: _info("<5Q32x", "shmmax shmmin shmmni shmseg shmall"),
            SHM_INFO: _info("<i4x5Q", "used_ids shm_tot shm_rss shm_swp swap_attempts swap_successes"),
        },
        1, (integer,), c.SHM_CONTROL, "SHM_",
    ),
    "semget": Spec(key, integer, _get(c.IPC_GET)),
    "semop": Spec(integer, sembufs, unsigned),
    "semtimedop": Spec(integer, sembufs, unsigned, s.timespec),
    "semctl": _control(
        _SEM_DS,
        {18: _SEM_DS[1], 20: _SEM_DS[1], IPC_INFO: _SEMINFO, SEM_INFO: _SEMINFO},
        2, (integer, integer), c.SEM_CONTROL, "SEM_",
    ),
    "msgget": Spec(key, _get(c.IPC_GET)),
    "msgsnd": Spec(integer, sent, size, flags(c.MSGQ_FLAGS, "MSG_")),
    "msgrcv": Spec(integer, received, size, long, flags(c.MSGQ_FLAGS, "MSG_")),
    "msgctl": _control(
        _MSG_DS,
        {11: _MSG_DS[1], 13: _MSG_DS[1], IPC_INFO: _MSGINFO, MSG_INFO: _MSGINFO},
        1, (integer,), c.MSG_CONTROL, "MSG_",
    ),
    "mq_open": Spec(choose=_mq_open),
    "mq_unlink": Spec(string),
    "mq_timedsend": Spec(fd, buffer(2), size, unsigned, s.timespec),
    "mq_timedreceive": Spec(fd, out_buffer(), size, out(number("<I")), s.timespec),
    "mq_notify": Spec(fd, s.sigevent),
    "mq_getsetattr": Spec(fd, attributes, out(attributes)),
}  # fmt: skip

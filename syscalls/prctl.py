"""prctl(2): attributes of the calling thread and its process."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from emu.engine import PAGE_SIZE
from kernel.cred import CAP_LAST_CAP, CAP_SYS_RESOURCE, Credentials, commit_creds
from kernel.mm import PR_MDWE_NO_INHERIT, PR_MDWE_REFUSE_EXEC_GAIN, page_up
from syscalls.abi import Int, ULong

if TYPE_CHECKING:
    from kernel.task import Task

TASK_COMM_LEN = 16
NSIG = 64
PR_TSC_ENABLE = 1
PR_MCE_KILL_CLEAR, PR_MCE_KILL_SET = 0, 1
PR_MCE_KILL_LATE, PR_MCE_KILL_EARLY, PR_MCE_KILL_DEFAULT = 0, 1, 2
PR_SET_MM_AUXV, PR_SET_MM_MAP, PR_SET_MM_MAP_SIZE = 12, 14, 15
PR_SET_VMA, PR_SET_VMA_ANON_NAME = 0x53564D41, 0
ANON_VMA_NAME_MAX_LEN = 80
PR_TIMING_STATISTICAL = 0
PR_CAP_AMBIENT_IS_SET, PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_LOWER, PR_CAP_AMBIENT_CLEAR_ALL = 1, 2, 3, 4
PR_SPEC_NOT_AFFECTED = 0


def _invalid(text: str = "bad argument") -> OSError:
    return OSError(errno.EINVAL, text)


def _zero(*unused: int) -> None:
    """Arguments an option does not use must be zero."""
    if any(unused):
        raise _invalid("unused arguments must be zero")


def _changed(t: Task, change: Callable[[Credentials], None]) -> int:
    new = t.cred.copy()
    change(new)
    commit_creds(t, new)
    return 0


def _set_pdeathsig(t: Task, signo: int, a: int, b: int, c: int) -> int:
    if signo > NSIG:
        raise _invalid()
    t.pdeath_signal = signo
    return 0


def _get_pdeathsig(t: Task, address: int, a: int, b: int, c: int) -> int:
    t.mm.put_u32(address, t.pdeath_signal)
    return 0


def _get_dumpable(t: Task, a: int, b: int, c: int, d: int) -> int:
    return t.mm.dumpable


def _set_dumpable(t: Task, value: int, a: int, b: int, c: int) -> int:
    if value not in (0, 1):
        raise _invalid()
    t.mm.dumpable = value
    return 0


def _get_keepcaps(t: Task, a: int, b: int, c: int, d: int) -> int:
    return t.cred.securebits >> 4 & 1


def _set_keepcaps(t: Task, value: int, a: int, b: int, c: int) -> int:
    if value > 1:
        raise _invalid()
    return _changed(t, lambda new: new.set_keep_caps(bool(value)))


def _get_timing(t: Task, a: int, b: int, c: int, d: int) -> int:
    return PR_TIMING_STATISTICAL


def _set_timing(t: Task, value: int, a: int, b: int, c: int) -> int:
    if value != PR_TIMING_STATISTICAL:
        raise _invalid("no other way of measuring")
    return 0


def _set_mm(t: Task, option: int, address: int, size: int, a: int) -> int:
    if a or (size and option not in (PR_SET_MM_AUXV, PR_SET_MM_MAP, PR_SET_MM_MAP_SIZE)):
        raise _invalid()
    raise OSError(errno.EPERM, "the layout that exec made stays")


def _set_name(t: Task, address: int, a: int, b: int, c: int) -> int:
    # Read byte by byte up to the NUL, as strncpy_from_user does: the rest may not be mapped.
    name = bytearray()
    while len(name) < TASK_COMM_LEN - 1:
        byte = t.mm.read(address + len(name), 1)
        if byte == b"\0":
            break
        name += byte
    t.comm = bytes(name)
    return 0


def _get_name(t: Task, address: int, a: int, b: int, c: int) -> int:
    t.mm.write(address, t.comm[: TASK_COMM_LEN - 1].ljust(TASK_COMM_LEN, b"\0"))
    return 0


def _get_seccomp(t: Task, a: int, b: int, c: int, d: int) -> int:
    return t.seccomp.mode if t.seccomp is not None else 0


def _set_seccomp(t: Task, mode: int, address: int, b: int, c: int) -> int:
    from kernel import seccomp

    if mode == seccomp.MODE_STRICT:
        seccomp.set_mode_strict(t)
        return 0
    if mode != seccomp.MODE_FILTER:
        raise _invalid()
    return seccomp.set_mode_filter(t, 0, address)


def _capbset_read(t: Task, cap: int, a: int, b: int, c: int) -> int:
    if cap > CAP_LAST_CAP:
        raise _invalid("no such capability")
    return t.cred.cap_bounding >> cap & 1


def _capbset_drop(t: Task, cap: int, a: int, b: int, c: int) -> int:
    return _changed(t, lambda new: new.drop_bounding(cap))


def _get_tsc(t: Task, address: int, a: int, b: int, c: int) -> int:
    t.mm.put_u32(address, PR_TSC_ENABLE)
    return 0


def _set_tsc(t: Task, value: int, a: int, b: int, c: int) -> int:
    if value != PR_TSC_ENABLE:
        raise _invalid("the time stamp counter cannot be disabled")
    return 0


def _get_securebits(t: Task, a: int, b: int, c: int, d: int) -> int:
    return t.cred.securebits


def _set_securebits(t: Task, bits: int, a: int, b: int, c: int) -> int:
    return _changed(t, lambda new: new.set_securebits(bits))


def _set_timerslack(t: Task, value: int, a: int, b: int, c: int) -> int:
    t.timer_slack_ns = value or t.default_timer_slack_ns
    return 0


def _get_timerslack(t: Task, a: int, b: int, c: int, d: int) -> int:
    return min(t.timer_slack_ns, 0x7FFFFFFFFFFFFFFF)


def _mce_kill(t: Task, action: int, policy: int, a: int, b: int) -> int:
    _zero(a, b)
    if action == PR_MCE_KILL_CLEAR:
        _zero(policy)
        t.mce_kill = PR_MCE_KILL_DEFAULT
    elif action == PR_MCE_KILL_SET and policy <= PR_MCE_KILL_DEFAULT:
        t.mce_kill = policy
    else:
        raise _invalid()
    return 0


def _mce_kill_get(t: Task, a: int, b: int, c: int, d: int) -> int:
    _zero(a, b, c, d)
    return t.mce_kill


def _set_io_flusher(t: Task, value: int, a: int, b: int, c: int) -> int:
    _may_flush(t)
    _zero(a, b, c)
    if value > 1:
        raise _invalid()
    t.io_flusher = bool(value)
    return 0


def _get_io_flusher(t: Task, a: int, b: int, c: int, d: int) -> int:
    _may_flush(t)
    _zero(a, b, c, d)
    return int(t.io_flusher)


def _may_flush(t: Task) -> None:
    if not t.cred.capable(CAP_SYS_RESOURCE):
        raise OSError(errno.EPERM, "needs CAP_SYS_RESOURCE")


def _set_mdwe(t: Task, bits: int, a: int, b: int, c: int) -> int:
    _zero(a, b, c)
    if bits & ~(PR_MDWE_REFUSE_EXEC_GAIN | PR_MDWE_NO_INHERIT) or bits == PR_MDWE_NO_INHERIT:
        raise _invalid()
    if t.mm.mdwe not in (0, bits):
        raise OSError(errno.EPERM, "cannot be taken back")
    t.mm.mdwe = bits
    return 0


def _get_mdwe(t: Task, a: int, b: int, c: int, d: int) -> int:
    _zero(a, b, c, d)
    return t.mm.mdwe


def _set_vma(t: Task, option: int, start: int, size: int, address: int) -> int:
    if option != PR_SET_VMA_ANON_NAME:
        raise _invalid()
    name = None
    if address:
        try:
            name = t.mm.cstring(address, ANON_VMA_NAME_MAX_LEN)
        except OSError as error:
            raise _invalid("the name is too long") if error.errno == errno.ENAMETOOLONG else error from None
        if any(not 0x20 <= byte <= 0x7E or byte in b"\\`$[]" for byte in name):
            raise _invalid("a character that a name may not have")
    if start % PAGE_SIZE:
        raise _invalid("not a page's address")
    length = page_up(size)
    if (size and not length) or start + length >= 1 << 64:
        raise _invalid("not a range")
    if length:
        t.mm.name_anonymous(start, start + length, name)
    return 0


def _set_child_subreaper(t: Task, value: int, a: int, b: int, c: int) -> int:
    t.signals.shared.child_subreaper = bool(value)
    return 0


def _get_child_subreaper(t: Task, address: int, a: int, b: int, c: int) -> int:
    t.mm.put_u32(address, int(t.signals.shared.child_subreaper))
    return 0


def _set_no_new_privs(t: Task, value: int, a: int, b: int, c: int) -> int:
    if value != 1 or a or b or c:
        raise _invalid()
    t.no_new_privs = True
    return 0


def _get_no_new_privs(t: Task, a: int, b: int, c: int, d: int) -> int:
    _zero(a, b, c, d)
    return int(t.no_new_privs)


def _get_tid_address(t: Task, address: int, a: int, b: int, c: int) -> int:
    t.mm.put_u64(address, t.clear_child_tid)
    return 0


def _set_thp_disable(t: Task, value: int, a: int, b: int, c: int) -> int:
    _zero(a, b, c)
    t.thp_disable = bool(value)
    return 0


def _get_thp_disable(t: Task, a: int, b: int, c: int, d: int) -> int:
    _zero(a, b, c, d)
    return int(t.thp_disable)


def _cap_ambient(t: Task, action: int, cap: int, a: int, b: int) -> int:
    _zero(a, b)
    if action == PR_CAP_AMBIENT_CLEAR_ALL:
        _zero(cap)
        return _changed(t, lambda new: setattr(new, "cap_ambient", 0))
    if cap > CAP_LAST_CAP or not PR_CAP_AMBIENT_IS_SET <= action <= PR_CAP_AMBIENT_LOWER:
        raise _invalid()
    if action == PR_CAP_AMBIENT_IS_SET:
        return t.cred.cap_ambient >> cap & 1
    if action == PR_CAP_AMBIENT_RAISE:
        return _changed(t, lambda new: new.raise_ambient(cap))
    return _changed(t, lambda new: setattr(new, "cap_ambient", new.cap_ambient & ~(1 << cap)))


def _get_speculation(t: Task, which: int, a: int, b: int, c: int) -> int:
    _zero(a, b, c)
    if which > 2:
        raise OSError(errno.ENODEV, "no such speculation feature")
    return PR_SPEC_NOT_AFFECTED  # an emulated processor does not speculate


def _set_speculation(t: Task, which: int, control: int, a: int, b: int) -> int:
    _zero(a, b)
    if which > 2:
        raise OSError(errno.ENODEV, "no such speculation feature")
    raise OSError(errno.ENXIO, "not controllable")


_OPTIONS: dict[int, Callable[[Task, int, int, int, int], int]] = {
    1: _set_pdeathsig,
    2: _get_pdeathsig,
    3: _get_dumpable,
    4: _set_dumpable,
    7: _get_keepcaps,
    8: _set_keepcaps,
    13: _get_timing,
    14: _set_timing,
    15: _set_name,
    16: _get_name,
    21: _get_seccomp,
    22: _set_seccomp,
    23: _capbset_read,
    24: _capbset_drop,
    25: _get_tsc,
    26: _set_tsc,
    27: _get_securebits,
    28: _set_securebits,
    29: _set_timerslack,
    30: _get_timerslack,
    33: _mce_kill,
    34: _mce_kill_get,
    35: _set_mm,
    36: _set_child_subreaper,
    37: _get_child_subreaper,
    38: _set_no_new_privs,
    39: _get_no_new_privs,
    40: _get_tid_address,
    41: _set_thp_disable,
    42: _get_thp_disable,
    47: _cap_ambient,
    52: _get_speculation,
    53: _set_speculation,
    57: _set_io_flusher,
    58: _get_io_flusher,
    65: _set_mdwe,
    66: _get_mdwe,
    PR_SET_VMA: _set_vma,
}
"""PR_* -> what serves it.  Every other option is EINVAL, as on a Linux without the feature."""


def sys_prctl(t: Task, option: Int, arg2: ULong, arg3: ULong, arg4: ULong, arg5: ULong) -> int:
    """prctl(2)."""
    serve = _OPTIONS.get(option)
    if serve is None:
        raise _invalid("unknown option")
    return serve(t, arg2, arg3, arg4, arg5)

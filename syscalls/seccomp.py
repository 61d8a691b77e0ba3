"""seccomp(2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.seccomp import action_avail, set_mode_filter, set_mode_strict
from kernel.seccomp_notify import NOTIF, RESPONSE
from syscalls.abi import Ptr, Result, UInt
from syscalls.structs import SECCOMP_NOTIF_SIZES

if TYPE_CHECKING:
    from kernel.task import Task

SECCOMP_SET_MODE_STRICT, SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL, SECCOMP_GET_NOTIF_SIZES = range(4)
_DATA_SIZE = 64  # struct seccomp_data


def sys_seccomp(t: Task, operation: UInt, flags: UInt, args: Ptr) -> Result:
    """seccomp(2)."""
    if operation == SECCOMP_SET_MODE_FILTER:
        return set_mode_filter(t, flags, args)
    if flags:
        return -errno.EINVAL
    if operation == SECCOMP_SET_MODE_STRICT:
        if args:
            return -errno.EINVAL
        set_mode_strict(t)
    elif operation == SECCOMP_GET_ACTION_AVAIL:
        action_avail(t.mm.u32(args))
    elif operation == SECCOMP_GET_NOTIF_SIZES:
        t.mm.pack(SECCOMP_NOTIF_SIZES, args, NOTIF.size, RESPONSE.size, _DATA_SIZE)
    else:
        return -errno.EINVAL
    return 0

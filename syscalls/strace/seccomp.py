"""Filters on system calls, as strace writes them."""

from __future__ import annotations

from syscalls.strace.calls import Args, Spec
from syscalls.strace.constants import names
from syscalls.strace.values import (
    Arg,
    Traced,
    address,
    address_text,
    choice,
    choice_text,
    flags,
    hexadecimal,
    number,
    out,
    struct,
)

OPERATIONS = names("""
    SECCOMP_SET_MODE_STRICT 0  SECCOMP_SET_MODE_FILTER 1  SECCOMP_GET_ACTION_AVAIL 2  SECCOMP_GET_NOTIF_SIZES 3
""")
FLAGS = names("""
    SECCOMP_FILTER_FLAG_TSYNC 1  SECCOMP_FILTER_FLAG_LOG 2  SECCOMP_FILTER_FLAG_SPEC_ALLOW 4
    SECCOMP_FILTER_FLAG_NEW_LISTENER 8  SECCOMP_FILTER_FLAG_TSYNC_ESRCH 16
""")
ACTIONS = names("""
    SECCOMP_RET_KILL_PROCESS 0x80000000  SECCOMP_RET_KILL_THREAD 0  SECCOMP_RET_TRAP 0x30000  SECCOMP_RET_ERRNO 0x50000
    SECCOMP_RET_USER_NOTIF 0x7fc00000  SECCOMP_RET_TRACE 0x7ff00000  SECCOMP_RET_LOG 0x7ffc0000
    SECCOMP_RET_ALLOW 0x7fff0000
""")
MODES = {0: "SECCOMP_MODE_DISABLED", 1: "SECCOMP_MODE_STRICT", 2: "SECCOMP_MODE_FILTER"}

program = struct("<H6xQ", lambda length, code: f"{{len={length}, filter={address_text(code)}}}")
_action = number("<I", lambda value: choice_text(ACTIONS, value, "SECCOMP_RET_"))
_sizes = out(struct("<3H", lambda *n: f"{{seccomp_notif={n[0]}, seccomp_notif_resp={n[1]}, seccomp_data={n[2]}}}"))
_plain = Arg(lambda call, value: f"{value & 0xFFFFFFFF:#x}" if value & 0xFFFFFFFF else "0")


def _seccomp(call: Traced) -> Args:
    operation = call.args[0] & 0xFFFFFFFF
    rest: Args = (_plain, address)
    if operation == 1:
        rest = flags(FLAGS, "SECCOMP_FILTER_FLAG_"), program
    elif operation == 2:
        rest = _plain, _action
    elif operation == 3:
        rest = _plain, _sizes
    return choice(OPERATIONS, "SECCOMP_SET_MODE_"), *rest


SECCOMP: dict[str, Spec] = {"seccomp": Spec(choose=_seccomp)}


def prctl_mode(call: Traced) -> Args:
    """The arguments of PR_SET_SECCOMP."""
    mode = choice(MODES, "SECCOMP_MODE_")
    return (mode, program) if call.args[1] & 0xFFFFFFFF == 2 else (mode, *(hexadecimal,) * 3)

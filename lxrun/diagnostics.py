"""What lxrun says to the user when a run fails: one line that names what, where, why and what to do.

Nothing here is on the path of a run that goes well.
"""

from __future__ import annotations

import errno
import os

# lxrun's own exit statuses; the values are those of env(1), nice(1) and the shells.
INTERNAL, CANNOT_RUN, NOT_FOUND = 125, 126, 127

PT_LOAD, PT_INTERP = 1, 3


class RunFailure(Exception):
    """lxrun could not start the guest.  `status` is the exit status, the text is one line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


# What a shell says when a signal kills a foreground job: signal(7)'s numbers for x86, arm and most
# others, strsignal(3)'s words.  Bash says nothing for SIGINT and SIGPIPE, and nor do we.
_SIGNALS = {
    1: "Hangup",
    3: "Quit",
    4: "Illegal instruction",
    5: "Trace/breakpoint trap",
    6: "Aborted",
    7: "Bus error",
    8: "Floating point exception",
    9: "Killed",
    10: "User defined signal 1",
    11: "Segmentation fault",
    12: "User defined signal 2",
    14: "Alarm clock",
    15: "Terminated",
    16: "Stack fault",
    24: "CPU time limit exceeded",
    25: "File size limit exceeded",
    26: "Virtual timer expired",
    27: "Profiling timer expired",
    29: "I/O possible",
    30: "Power failure",
    31: "Bad system call",
}
_QUIET = (2, 13)


def signal_message(signo: int, dumped: bool = False) -> str:
    """The shell's words for a foreground job that signal `signo` killed; empty where a shell is silent."""
    if signo in _QUIET:
        return ""
    words = _SIGNALS.get(signo) or (f"Real-time signal {signo - 34}" if signo >= 34 else f"Signal {signo}")
    return words + " (core dumped)" if dumped else words


def not_found(program: str, path: str | None, rootfs: str | None) -> RunFailure:
    """No such program.  `path` is the guest's PATH if the name was looked up there."""
    inside = f" in {rootfs}" if rootfs else ""
    if path is not None:
        return RunFailure(NOT_FOUND, f"{program}: not found{inside} in PATH={path}; give a path, or set PATH with -E")
    hint = ""
    if "/" in program and not rootfs and not os.path.lexists(program):
        hint = "; check the path"
    elif rootfs:
        hint = "; the path is the guest's, seen from its root"
    return RunFailure(NOT_FOUND, f"{program}: no such file{inside}{hint}")


def exec_failure(program: str, error: OSError, head: bytes, size: int, rootfs: str | None) -> RunFailure:
    """Why a program that exists could not be started.  `head` is the start of the file, `size` its length;
    the text of the loader's own errors (BadImage, Unloadable) says in words what is wrong with it."""
    return RunFailure(CANNOT_RUN, f"{program}: {_exec_reason(error, head, size, rootfs)}")


def _exec_reason(error: OSError, head: bytes, size: int, rootfs: str | None) -> str:
    from emu.elf import BadImage
    from kernel.exec import Unloadable

    number = error.errno or 0
    script = _script_interpreter(head)
    if number == errno.ENOENT:
        return _missing_helper(head, rootfs)
    if number == errno.ENOMEM:
        return "it does not fit into the guest's memory; see --memory"
    if isinstance(error, BadImage | Unloadable):
        reason = error.strerror or "it cannot be loaded"
        if head.startswith(b"\x7fELF") and size < 64:
            return f"a truncated ELF file: {size} bytes, and the header alone takes 64"
        if isinstance(error, Unloadable) and size < needed(head):
            return f"a truncated ELF file: {size} bytes, and its segments take {needed(head)}"
        if head.startswith(b"\x7fELF") or (head.startswith(b"#!") and not script):
            return reason
        return f"its interpreter {script} cannot be run: {reason}" if script else _kind_of_file(head)
    if number == errno.EACCES and script:
        return f"its interpreter {script} is not an executable file"
    texts = {
        errno.EACCES: "no permission to execute it; chmod +x makes a file executable",
        errno.E2BIG: "the arguments and environment are too long",
        errno.ELOOP: "too many symbolic links, or scripts that are run by scripts",
        errno.ENAMETOOLONG: "the name is too long",
        errno.ENOTDIR: "a part of the path is not a directory",
        errno.ETXTBSY: "the file is open for writing",
        errno.EPERM: "the host does not permit it",
    }
    return texts.get(number) or f"cannot be started: {os.strerror(number)}"


def _script_interpreter(head: bytes) -> str:
    """The program named in a script's first line; empty if the file is no script."""
    line = head[2:].split(b"\n", 1)[0].split() if head.startswith(b"#!") else []
    return os.fsdecode(line[0]) if line else ""


def _kind_of_file(head: bytes) -> str:
    """What a file that starts with `head` is, when it is neither an ELF file nor a script."""
    if not head:
        return "the file is empty"
    if head.startswith(b"MZ"):
        return "a Windows program, not a Linux ELF file"
    if head[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbf"):
        return "a macOS program, not a Linux ELF file"
    if head[:4] == b"\xca\xfe\xba\xbe":
        return "a macOS program or a Java class, not a Linux ELF file"
    if b"\0" not in head:
        return "not an ELF file: a text without a #! line; if it is a shell script, run it with sh"
    return "not an ELF file"


def _missing_helper(head: bytes, rootfs: str | None) -> str:
    """ENOENT for a program that is there: a file that it needs is not."""
    where = rootfs or "the guest's root"
    script = os.fsdecode(head[2:].split(b"\n", 1)[0].strip(b" \t").split(b" ")[0]) if head.startswith(b"#!") else ""
    if script.endswith("\r"):
        return f"its interpreter {script[:-1]!r} is followed by a carriage return; the file has DOS line ends"
    if script:
        return f"its interpreter {script} is not in {where}"
    loader = interpreter(head)
    if loader:
        return f"its dynamic loader {loader} is not in {where}; --rootfs chooses another"
    return f"a file it needs to start is not in {where}"


def _program_headers(head: bytes) -> list[tuple[int, int, int]]:
    """(p_type, p_offset, p_filesz) of a little-endian ELF64 file, as far as `head` has them."""
    if len(head) < 64 or head[:6] != b"\x7fELF\2\1":
        return []
    offset = int.from_bytes(head[32:40], "little")
    found = []
    for index in range(int.from_bytes(head[56:58], "little")):
        header = head[offset + 56 * index : offset + 56 * index + 56]
        if len(header) == 56:
            kind, start, size = header[:4], header[8:16], header[32:40]
            found.append(
                (int.from_bytes(kind, "little"), int.from_bytes(start, "little"), int.from_bytes(size, "little"))
            )
    return found


def needed(head: bytes) -> int:
    """How long an ELF file must be for its segments to lie within it."""
    return max((start + size for kind, start, size in _program_headers(head) if kind == PT_LOAD), default=0)


def interpreter(head: bytes) -> str:
    """PT_INTERP, if it lies within `head`; else empty."""
    for kind, start, size in _program_headers(head):
        if kind == PT_INTERP:
            return os.fsdecode(head[start : start + size].split(b"\0", 1)[0])
    return ""

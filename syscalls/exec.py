"""Running a program: execve(2) and execveat(2).

Both are coroutines because they replace the registers, which must not happen inside the engine's trap.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from kernel import exec as program
from kernel.exec import MAX_ARG_STRLEN, Binprm, Unloadable
from kernel.ptrace import PTRACE_EVENT_EXEC, event
from kernel.signal import SIGSEGV, force_signal
from kernel.task import NO_RESULT
from syscalls.abi import Int, Ptr
from syscalls.paths import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, at

if TYPE_CHECKING:
    from kernel.task import Task

AT_EXECVE_CHECK = 0x10000
PATH_MAX = 4096
PAGE_SIZE = 4096
_ENOSYS = 38

_POINTER = Struct("<Q")


async def sys_execve(t: Task, path: Ptr, argv: Ptr, envp: Ptr) -> int:
    """execve(2)."""
    return await _execveat(t, AT_FDCWD, path, argv, envp, 0)


async def sys_execveat(t: Task, dirfd: Int, path: Ptr, argv: Ptr, envp: Ptr, flags: Int) -> int:
    """execveat(2)."""
    return await _execveat(t, dirfd, path, argv, envp, flags)


async def _execveat(t: Task, dirfd: int, path: int, argv: int, envp: int, flags: int) -> int:
    name = t.mm.cstring(path, PATH_MAX)
    if not name and not flags & AT_EMPTY_PATH:
        raise OSError(errno.ENOENT, "empty path")
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EXECVE_CHECK):
        raise OSError(errno.EINVAL, "flags")
    bprm = _open(t, dirfd, name, flags)
    try:
        arguments = _pointers(t, argv)
        environment = _pointers(t, envp)
    except BaseException:
        program.put_exec(bprm.file)
        raise
    strings = (_string(t, address) for address in reversed(arguments + environment))
    only = bool(flags & AT_EXECVE_CHECK)
    tid = t.tid
    try:
        if program.execve(t, bprm, strings, len(arguments), len(environment), check_only=only):
            if t.ptrace is not None:
                await _event(t, tid)
            return NO_RESULT
    except Unloadable:
        force_signal(t, SIGSEGV, fatal=True)
    return 0


async def _event(t: Task, tid: int) -> None:
    """Tell the tracer, to which the call is not over yet."""
    assert t.ptrace is not None
    t.ptrace.debug_registers = None
    cpu, result = t.kernel.cpu, t.kernel.arch.RESULT
    cpu.write({result: -_ENOSYS})
    await event(t, PTRACE_EVENT_EXEC, tid)
    cpu.write({result: 0})


def _open(t: Task, dirfd: int, name: bytes, flags: int) -> Binprm:
    """alloc_bprm: the file, and the name it goes by."""
    follow = not flags & AT_SYMLINK_NOFOLLOW
    if dirfd == AT_FDCWD or name[:1] == b"/":
        return Binprm(*program.open_exec(t, t.fs.cwd, name, follow=follow), name)
    if name:
        found = program.open_exec(t, at(t, dirfd), name, follow=follow)
        return Binprm(*found, b"/dev/fd/%d/%s" % (dirfd, name), hidden=t.files.cloexec(dirfd))
    path = at(t, dirfd)
    file = program.open_path(t, path)
    return Binprm(path, file, b"/dev/fd/%d" % dirfd, nameless=True, hidden=t.files.cloexec(dirfd))


def _pointers(t: Task, address: int) -> list[int]:
    """The pointers of an array that ends in NULL; a NULL array is an empty one."""
    found: list[int] = []
    while address:
        size = PAGE_SIZE - address % PAGE_SIZE
        size -= size % 8
        block = t.mm.read(address, size or 8)
        for (pointer,) in _POINTER.iter_unpack(block):
            if not pointer:
                return found
            found.append(pointer)
        address += len(block)
    return found


def _string(t: Task, address: int) -> bytes:
    try:
        return t.mm.cstring(address, MAX_ARG_STRLEN)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OSError(errno.E2BIG, "an argument is too long") from None
        raise

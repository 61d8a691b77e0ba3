"""Running a program: Linux's ``fs/exec.c`` with ``binfmt_script``, execve(2).

`execve` finds out what the file is (`Binprm`), builds a complete new address space beside the old one,
and only then lets the old one go.  What Linux reports as an error raises OSError and changes nothing;
what it notices too late raises `Unloadable`, and the process is to die of SIGSEGV.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from stat import S_IFLNK, S_IFREG
from typing import TYPE_CHECKING

from emu.elf import PF_X, BadImage, Identity, Image, read_image
from emu.engine import EXEC, PAGE_SIZE, READ
from kernel import binfmt_elf
from kernel import exit as end
from kernel.binfmt_elf import NewStack
from kernel.commoncap import ExecCreds, bprm_creds
from kernel.cred import Credentials, commit_creds
from kernel.mm import AddressSpace
from kernel.posix_timers import exit_itimers
from kernel.rlimit import RLIMIT_STACK, get_rlimit
from kernel.rusage import leave_memory
from vfs import fscred, host
from vfs.file import O_RDONLY
from vfs.node import ST_NOEXEC
from vfs.notify import IN_OPEN
from vfs.walk import walk

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task
    from vfs.file import File
    from vfs.node import Path

BINPRM_BUF_SIZE = 256  # bytes of a file that decide what it is
MAX_REWRITES = 5  # scripts run by scripts
MAX_ARG_STRLEN = 32 * PAGE_SIZE  # one string, with its NUL
ARG_MAX = 128 << 10  # always allowed
MAX_ARGS_TOTAL = 6 << 20  # three quarters of the default stack limit
TASK_COMM_LEN = 16
X_OK, R_OK = 1, 4

READ_IMPLIES_EXEC, MMAP_PAGE_ZERO = 0x0400000, 0x0100000  # personality(2)
ADDR_COMPAT_LAYOUT, ADDR_NO_RANDOMIZE = 0x0200000, 0x0040000
PER_CLEAR_ON_SETID = READ_IMPLIES_EXEC | MMAP_PAGE_ZERO | ADDR_COMPAT_LAYOUT | ADDR_NO_RANDOMIZE
SIGCHLD = 17
STK_LIM = 8 << 20  # the most stack that a program gets which must not trust who started it


class Unloadable(OSError):
    """Past the point of no return: the program cannot be loaded, and the old one is gone."""


class Binprm:
    """struct linux_binprm: a program on its way to be run.

    `filename` is what AT_EXECFN says, and comm its last part, unless it is `nameless`: then comm is the
    name of the file that is loaded in the end.  `interp` is what the next interpreter is given to run;
    `hidden`: it cannot be opened once exec has closed the descriptor it names.
    """

    __slots__ = ("argv", "envp", "file", "filename", "hidden", "interp", "nameless", "path", "peak", "room", "size")

    def __init__(
        self, path: Path, file: File, filename: bytes, *, nameless: bool = False, hidden: bool = False
    ) -> None:
        self.path = path
        self.file = file
        self.filename = filename
        self.interp = filename
        self.nameless = nameless
        self.hidden = hidden
        self.argv: list[bytes] = []
        self.envp: list[bytes] = []
        self.room = 0  # bytes of strings still allowed
        self.size = 0  # bytes of strings
        self.peak = 0  # the most there were: a script's argv[0] gives way to its interpreter's

    def reserve(self, size: int) -> None:
        """Room for more bytes of strings, or for less.  Raises E2BIG."""
        self.size += size
        self.room -= size
        self.peak = max(self.peak, self.size)
        if self.room < 0:
            raise OSError(errno.E2BIG, "arguments too long")

    def replace(self, path: Path, file: File) -> None:
        """Go on with the interpreter instead."""
        put_exec(self.file)
        self.path = path
        self.file = file


def start(kernel: Kernel, task: Task, path: bytes, argv: list[bytes], envp: list[bytes]) -> None:
    """Run a guest's first program in a task that has none yet.  Raises OSError; BadImage and Unloadable
    say in words what is wrong with the file."""
    bprm = open_program(task, task.fs.cwd, path)
    execve(task, bprm, reversed([*argv, *envp]), len(argv), len(envp))


def open_exec(t: Task, start: Path, path: bytes, *, follow: bool = True) -> tuple[Path, File]:
    """do_open_execat: a file to run, with one reference, and where it was found.  Raises EACCES for what
    is no regular file or not executable, ETXTBSY, and what the walk raises."""
    # Linux walks an empty name, as an empty PT_INTERP gives, to where it starts: a directory.
    found = walk(t.kernel.mounts, t.fs, start, path, follow=follow, task=t) if path else start
    if not follow and found.node.kind() == S_IFLNK:
        raise OSError(errno.ELOOP, "a symbolic link")
    return found, open_path(t, found)


def open_path(t: Task, path: Path) -> File:
    """The same for what a path or descriptor already leads to."""
    node = path.node
    if node.kind() != S_IFREG:
        raise OSError(errno.EACCES, "not a regular file")
    if path.mount.flags & ST_NOEXEC:
        raise OSError(errno.EACCES, "mounted with noexec")
    node.access(X_OK)
    node.deny_write_access()
    try:
        file = _open_as_root(path) if host.CAN_ASSUME else node.open(O_RDONLY, path.text)
    except BaseException:
        node.allow_write_access()
        raise
    file.refs += 1
    file.mount = path.mount
    if file.mount.watches is not None:
        file.mount.watches.on_file(file, IN_OPEN)
    return file


def _open_as_root(path: Path) -> File:
    """Open a file as lxrun's own: a program may be run by who may not read it."""
    before = fscred.override_creds(fscred.OURSELVES)
    try:
        return path.node.open(O_RDONLY, path.text)
    finally:
        fscred.override_creds(before)


def open_program(t: Task, start: Path, path: bytes, *, follow: bool = True) -> Binprm:
    """The program at `path`, which is not empty, from `start`."""
    if not path:
        raise OSError(errno.ENOENT, "empty path")
    return Binprm(*open_exec(t, start, path, follow=follow), path)


def put_exec(file: File) -> None:
    """Undo `open_exec`."""
    file.node.allow_write_access()
    file.put()


def execve(t: Task, bprm: Binprm, strings: Iterable[bytes], argc: int, envc: int, *, check_only: bool = False) -> bool:
    """Replace the program of `t`; takes over the reference to the file.  False: only checked.

    `strings` are the environment and the arguments, from last to first as Linux copies them; what
    getting one raises is passed on.  Raises OSError while the old program can go on, Unloadable when
    it cannot.
    """
    loader = None
    done = False
    try:
        copy_strings(t, bprm, strings, argc, envc)
        if check_only:
            return False
        image = search_binary_handler(t, bprm)
        if image.isa_needed:
            _check_isa(t, bprm, image)
        if image.interp is not None:
            loader = _open_interpreter(t, image.interp)
        _begin_new_exec(t, bprm, bprm_creds(t, bprm.file), image, loader)
        done = True
        return True
    finally:
        if loader is not None:
            put_exec(loader[0])
        if not done:
            put_exec(bprm.file)


def _check_isa(t: Task, bprm: Binprm, image: Image) -> None:
    """Linux does not look at the note: a program finds out by itself, or dies of SIGILL."""
    level = t.kernel.arch.isa_lacking(image.isa_needed)
    if level and t.kernel.fallback is not None:
        t.kernel.fallback.missing(t, f"the instruction set {level}", bprm.path.text)


def copy_strings(t: Task, bprm: Binprm, strings: Iterable[bytes], argc: int, envc: int) -> None:
    """Take over arguments and environment.  Raises E2BIG, as soon as it is known."""
    stack_limit = get_rlimit(t, RLIMIT_STACK)[0]
    limit = max(min(MAX_ARGS_TOTAL, stack_limit // 4), ARG_MAX) - 8 * (max(argc, 1) + envc)
    bprm.room = min(limit, stack_limit - 8)
    bprm.reserve(len(bprm.filename) + 1)
    copied = []
    for string in strings:
        if len(string) >= MAX_ARG_STRLEN:
            raise OSError(errno.E2BIG, "an argument is too long")
        bprm.reserve(len(string) + 1)
        copied.append(string)
    if not argc:
        bprm.reserve(1)
        copied.append(b"")
        argc = 1
    copied.reverse()
    bprm.argv = copied[:argc]
    bprm.envp = copied[argc:]


def search_binary_handler(t: Task, bprm: Binprm) -> Image:
    """Go from script to interpreter until there is an ELF file.  Raises ENOEXEC, ELOOP and what a
    missing interpreter gives."""
    for _ in range(MAX_REWRITES + 1):
        head = read_file(bprm.file, 0, BINPRM_BUF_SIZE)
        if head[:2] != b"#!":
            return load_image(t, bprm.file)
        load_script(t, bprm, head)
    raise OSError(errno.ELOOP, "too many interpreters")


def load_script(t: Task, bprm: Binprm, head: bytes) -> None:
    """binfmt_script: put the interpreter of the first line in the script's place."""
    name, argument = parse_interpreter(head)
    if bprm.hidden:
        raise OSError(errno.ENOENT, "the interpreter could not open the script")
    new = [name, bprm.interp] if argument is None else [name, argument, bprm.interp]
    bprm.reserve(-len(bprm.argv[0]) - 1)
    bprm.reserve(sum(map(len, new)) + len(new))
    bprm.argv[:1] = new
    bprm.interp = name
    bprm.replace(*open_exec(t, t.fs.cwd, name))


def parse_interpreter(head: bytes) -> tuple[bytes, bytes | None]:
    """Interpreter and optional argument of a ``#!`` line, of which Linux sees BINPRM_BUF_SIZE bytes.

    A line cut off there may lose part of its argument, but must not lose part of the interpreter's name.
    """
    head = head.ljust(BINPRM_BUF_SIZE, b"\0")
    end = head.find(b"\n")
    nul = head.find(b"\0")
    if end < 0 or 0 <= nul < end:  # a NUL ends the search
        rest = head[2:].lstrip(b" \t")
        if not rest or not _terminated(rest):
            raise BadImage("its first line does not fit in 256 bytes" if rest else "its first line is blank")
        end = BINPRM_BUF_SIZE - 1
    line = head[2:end].strip(b" \t")
    if not line:
        raise BadImage("its first line is #! without an interpreter")
    length = next((i for i, byte in enumerate(line) if byte in b" \t\0"), len(line))
    name = line[:length]
    if length == len(line) or line[length] == 0:
        return name, None
    return name, line[length:].lstrip(b" \t").split(b"\0", 1)[0]


def _terminated(text: bytes) -> bool:
    return any(byte in text for byte in b" \t\0")


def load_image(t: Task, file: File, *, interpreter: bool = False) -> Image:
    """The ELF headers of a file.  Raises BadImage."""

    def source(offset: int, size: int) -> bytes:
        return read_file(file, offset, size)

    return read_image(source, file_identity(file), t.kernel.arch, interpreter=interpreter)


def read_file(file: File, offset: int, size: int) -> bytes:
    """kernel_read: up to `size` bytes; fewer only at the end of the file."""
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        count = file.pread([view[done:]], offset + done)
        if not count:
            break
        done += count
    return bytes(view[:done])


def file_identity(file: File) -> Identity:
    """What tells apart files, and versions of a file."""
    st = file.stat()
    return st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns


def _open_interpreter(t: Task, name: bytes) -> tuple[File, Image]:
    file = open_exec(t, t.fs.cwd, name)[1]
    try:
        return file, load_image(t, file, interpreter=True)
    except BaseException:
        put_exec(file)
        raise


def _begin_new_exec(t: Task, bprm: Binprm, creds: ExecCreds, image: Image, loader: tuple[File, Image] | None) -> None:
    """The point of no return and everything behind it."""
    kernel = t.kernel
    arch = kernel.arch
    cred, secure, gained = creds
    stack_limit = get_rlimit(t, RLIMIT_STACK)[0]
    if secure:
        stack_limit = min(stack_limit, STK_LIM)
    stack = NewStack(arch.STACK_TOP, arch.PLATFORM, bprm.filename, bprm.argv, bprm.envp)
    mm = AddressSpace(kernel, t.rlimits)
    try:
        mm.mmap_base = binfmt_elf.mmap_base(mm.task_size, stack_limit)
        stack.map(mm, stack_limit, bprm.peak, image.stack_flags is not None and bool(image.stack_flags & PF_X))
        loaded = binfmt_elf.load_binary(mm, bprm.file, image, loader)
        if t.personality & MMAP_PAGE_ZERO and kernel.may_map_low():
            mm.map(0, PAGE_SIZE, READ | EXEC, fixed=True)
        auxv = stack.fill(t, mm, cred, image, loaded, secure)
    except OSError as error:
        mm.release()
        raise Unloadable(error.errno, error.strerror) from None
    except BaseException:
        mm.release()
        raise

    end.de_thread(t)
    if t.io_uring is not None:
        from kernel.io_uring.cancel import exec_task

        exec_task(t)
    end.mm_release(t)
    old = t.mm
    if old is not None:
        mm.inherit_mdwe(old)
        mm.coredump_filter = old.coredump_filter
    t.mm = mm
    mm.dumpable = int((t.cred.euid, t.cred.egid) == (t.cred.uid, t.cred.gid))
    commit_creds(t, cred)
    if not _readable(bprm.file, cred):
        mm.dumpable = 0
    if secure:
        t.pdeath_signal = 0
        t.rlimits[RLIMIT_STACK] = (stack_limit, get_rlimit(t, RLIMIT_STACK)[1])
    t.personality &= ~(PER_CLEAR_ON_SETID if gained else READ_IMPLIES_EXEC)
    t.comm = (bprm.path.text if bprm.nameless else bprm.filename).rpartition(b"/")[2][: TASK_COMM_LEN - 1]
    t.exe = bprm.path
    t.auxv = auxv
    t.arg_range, t.env_range = stack.arg_range, stack.env_range
    t.exit_signal = SIGCHLD
    t.forked = False
    t.signals.on_exec()
    t.files.unshare(t)
    exit_itimers(t.signals.shared)
    t.files.close_on_exec()
    mm.exe_file = bprm.file
    kernel.exec_done(t, arch.start_registers(loaded.start, stack.sp))
    t.rseq = None
    if old is not None:
        leave_memory(t, old)
        old.users -= 1
        if not old.users:
            old.release()


def _readable(file: File, cred: Credentials) -> bool:
    """Whether the program may look at its own file; if not, nobody may dump its memory."""
    try:
        file.node.access(R_OK)
    except OSError:
        return False
    return True

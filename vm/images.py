"""What the machine boots: the kernel unpacked, and an initramfs with the agent and the modules.

Each is made once for each kernel and each text of the agent, and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vm import VmError, cpio
from vm.cache import cache_directory, store
from vm.kernels import NEEDED, ON_DEMAND, Kernel, aliases, module_bytes, module_name, unpacked

AGENT_SOURCES = Path(__file__).with_name("agent")
_FLAGS = ("-static", "-O2", "-s", "-Wall", "-Wextra", "-Wno-unused-result")
_LAYOUT = b"2"  # of what is made here: a change makes everything anew


@dataclass(frozen=True)
class Images:
    """Two files for QEMU's -kernel and -initrd, and what they were made of, as a short text."""

    kernel: Path
    initramfs: Path
    key: str


def compilers() -> list[list[str]]:
    """Commands that compile C for the guest: the host's gcc, or Zig's compiler from PyPI or the PATH."""
    found = []
    if sys.platform.startswith("linux") and os.uname().machine == "x86_64" and shutil.which("gcc"):
        found.append(["gcc"])
    if importlib.util.find_spec("ziglang") is not None:
        found.append([sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"])
    elif shutil.which("zig"):
        found.append(["zig", "cc", "-target", "x86_64-linux-musl"])
    return found


def agent() -> bytes:
    """The agent's program.  Raises VmError if it has to be compiled and cannot be."""
    text = hashlib.sha256(repr(_FLAGS).encode())
    for source in sorted(AGENT_SOURCES.iterdir()):
        text.update(source.read_bytes())
    kept = cache_directory() / "agents" / text.hexdigest()[:16]
    if not kept.exists():
        store(kept, _compile())
    return kept.read_bytes()


def _compile() -> bytes:
    complaint = ""
    sources = [str(path) for path in sorted(AGENT_SOURCES.glob("*.c"))]
    for compiler in compilers():
        with tempfile.TemporaryDirectory() as scratch:
            program = Path(scratch) / "agent"
            command = [*compiler, *_FLAGS, "-o", str(program), *sources]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode == 0:
                return program.read_bytes()
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            complaint = complaint or f"{' '.join(compiler)}: {lines[0] if lines else 'failed'}"
    if complaint:
        raise VmError(f"the VM's agent does not compile: {complaint}")
    raise VmError("the VM's agent has to be compiled once, and nothing here does: install gcc, or pip install ziglang")


def prepare(kernel: Kernel) -> Images:
    """The images for `kernel`, made if need be.  Raises VmError."""
    program = agent()
    try:
        stat = kernel.image.stat()
    except OSError as error:
        raise VmError(f"kernel {kernel.image}: {error.strerror}") from None
    made_of = (str(kernel.image.resolve()), stat.st_size, stat.st_mtime_ns, str(kernel.modules), NEEDED, ON_DEMAND)
    key = hashlib.sha256(_LAYOUT + program + repr(made_of).encode()).hexdigest()[:16]
    folder = cache_directory() / "images" / key
    images = Images(folder / "kernel", folder / "initramfs", key)
    if not images.kernel.exists() or not images.initramfs.exists():
        modules = kernel.needed_modules()
        try:
            image = kernel.image.read_bytes()
        except OSError as error:
            raise VmError(f"kernel {kernel.image}: {error.strerror}") from None
        store(images.initramfs, initramfs(program, modules, kernel.modules_on_demand()))
        store(images.kernel, unpacked(image))
    return images


def initramfs(program: bytes, modules: list[Path], on_demand: list[list[Path]]) -> bytes:
    """The archive that is the machine's first root: the agent as /init, modules, and their order.

    `/modules` has those that are loaded at once, `/ondemand` a line for each name by which one of `on_demand` is asked
    for, a pattern, and what is then to be loaded.
    """
    bodies = {_file(path): module_bytes(path) for path in (*modules, *chain.from_iterable(on_demand))}
    lines = []
    for order in on_demand:
        last = _file(order[-1])
        for name in (last.removesuffix(".ko"), *aliases(bodies[last])):
            lines.append(" ".join([name, *map(_file, order)]))
    files = [("init", cpio.regular(0o755), program)]
    files += [(name, cpio.regular(0o644), body) for name, body in bodies.items()]
    files.append(("modules", cpio.regular(0o644), "".join(f"/{_file(path)}\n" for path in modules).encode()))
    files.append(("ondemand", cpio.regular(0o644), "".join(f"{line}\n" for line in lines).encode()))
    return cpio.archive(files)


def _file(module: Path) -> str:
    return f"{module_name(module.name)}.ko"

"""Which Linux the VM runs: a kernel image, and the modules it needs to reach lxrun and the root.

Looked at in this order: the one the user names, those that `lxvm setup` fetched, the host's own in /boot.
"""

from __future__ import annotations

import lzma
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from vm import VmError
from vm.cache import cache_directory

# The devices of the machine and the file system of its root.  Whatever these need comes with them.
NEEDED = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p")
# What programs ask a kernel for, which loads it then, if it has it as a module: block devices in files, file systems,
# networks in programs.
ON_DEMAND = (
    "loop", "ext4", "crc32c_generic", "isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8",
    "squashfs", "overlay", "fuse", "tun",
)  # fmt: skip

KEPT = "kept"  # file of a fetched kernel: the modules that were looked for
_HEADER_MAGIC = slice(0x202, 0x206)
_VERSION_POINTER = slice(0x20E, 0x210)


@dataclass(frozen=True)
class Kernel:
    """A kernel image of the form bzImage, and the directory with its modules (lib/modules/RELEASE)."""

    image: Path
    release: str
    modules: Path | None

    def needed_modules(self) -> list[Path]:
        """The files to load, each after those that it depends on.  Raises VmError if the kernel lacks one."""
        files, built_in = self._modules()
        order: list[Path] = []
        for name in NEEDED:
            self._add(name, files, built_in, order)
        return order

    def modules_on_demand(self) -> list[list[Path]]:
        """For each module of ON_DEMAND that the kernel has, what is to be loaded, in order; it is the last."""
        files, built_in = self._modules()
        found = []
        for name in ON_DEMAND:
            order: list[Path] = []
            try:
                self._add(name, files, built_in, order)
            except VmError:
                continue
            if order:
                found.append(order)
        return found

    def _modules(self) -> tuple[dict[str, Path], set[str]]:
        """By name, the files of modules, and what is built in."""
        files: dict[str, Path] = {}
        built_in: set[str] = set()
        if self.modules is not None:
            for path in self.modules.rglob("*.ko*"):
                files.setdefault(module_name(path.name), path)
            listing = self.modules / "modules.builtin"
            if listing.exists():
                built_in = {module_name(line) for line in listing.read_text().split()}
        return files, built_in

    def _add(self, name: str, files: dict[str, Path], built_in: set[str], order: list[Path]) -> None:
        if name in built_in or files.get(name) in order:
            return
        if name not in files:
            where = f"in {self.modules}" if self.modules else "and no directory lib/modules/" + self.release
            raise VmError(f"kernel {self.release} has no module {name} {where}; `lxvm setup` fetches one that has")
        for needed in dependencies(module_bytes(files[name])):
            self._add(needed, files, built_in, order)
        order.append(files[name])


def module_name(path: str) -> str:
    """The kernel's name of a module file: `kernel/fs/9p/9p.ko.xz` is 9p, virtio-rng.ko is virtio_rng."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def module_bytes(path: Path) -> bytes:
    """A module as finit_module(2) takes it.  Raises VmError if its compression is one Python cannot undo."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return zlib.decompress(data, wbits=31)
    if path.suffix != ".ko":
        raise VmError(f"{path}: modules compressed as {path.suffix} cannot be read; `lxvm setup` fetches a kernel")
    return data


def dependencies(module: bytes) -> list[str]:
    """The modules that a module says it needs (`depends=` in its section .modinfo)."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name] if found else []


def aliases(module: bytes) -> list[str]:
    """By what else a module may be asked for, as patterns (`alias=`)."""
    return [name.decode(errors="replace") for name in re.findall(rb"\0alias=([^\0]+)", module)]


def release_of(image: Path) -> str:
    """The release of a bzImage, from its header (Documentation/arch/x86/boot.rst).  Raises VmError."""
    try:
        with image.open("rb") as file:
            head = file.read(0x10000)
    except OSError as error:
        raise VmError(f"kernel {image}: {error.strerror}") from None
    if head[_HEADER_MAGIC] != b"HdrS":
        raise VmError(f"kernel {image}: it is not a Linux kernel image (bzImage)")
    start = int.from_bytes(head[_VERSION_POINTER], "little") + 0x200
    words = head[start : head.find(b"\0", start)].split()
    if not words:
        raise VmError(f"kernel {image}: it does not say its version")
    return words[0].decode(errors="replace")


def unpacked(image: bytes) -> bytes:
    """The ELF file inside a bzImage, or the image as it is where it is packed in a way Python cannot undo.

    The machine would unpack it by itself at every start; under TCG that takes a second.
    """
    for magic, decompress in ((b"\xfd7zXZ\0", _unxz), (b"\x1f\x8b\x08", _gunzip)):
        at = image.find(magic)
        while at >= 0:
            try:
                found = decompress(image[at:])
            except (lzma.LZMAError, zlib.error):
                found = b""
            if found.startswith(b"\x7fELF"):
                return found
            at = image.find(magic, at + 1)
    return image


def _unxz(data: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(data)  # other bytes may follow


def _gunzip(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data)


def fetched_directory() -> Path:
    """Where `lxvm setup` puts kernels: RELEASE/boot/vmlinuz-RELEASE and RELEASE/lib/modules/RELEASE."""
    return cache_directory() / "kernels"


def is_complete(kernel: Kernel) -> bool:
    """Whether what `lxvm setup` fetched has all the modules that it would keep today."""
    note = fetched_directory() / kernel.release / KEPT
    if fetched_directory() not in kernel.image.parents:
        return True
    return note.exists() and note.read_text() == kept_modules()


def kept_modules() -> str:
    """The text of KEPT."""
    return "".join(f"{name}\n" for name in (*NEEDED, *ON_DEMAND))


def named(image: Path) -> Kernel:
    """The kernel `image`, with the modules beside it or the host's.  Raises VmError."""
    release = release_of(image)
    beside = image.resolve().parent.parent
    candidates = [root / "lib" / "modules" / release for root in (beside, beside / "usr", Path("/"))]
    return Kernel(image, release, next((path for path in candidates if path.is_dir()), None))


def candidates() -> list[Kernel]:
    """Kernels that nobody named, the best first."""
    images = sorted(fetched_directory().glob("*/boot/vmlinuz-*"), key=_age)
    running = Path("/boot") / f"vmlinuz-{os.uname().release}"
    images += sorted(Path("/boot").glob("vmlinuz-*"), key=lambda path: (path != running, _age(path)))
    found = []
    for image in images:
        try:
            found.append(named(image))
        except VmError:
            pass  # Ubuntu lets only root read them, and other files may have such names
    return found


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def choose(name: str | None) -> Kernel:
    """The kernel to run: `name` if the user names one.  Raises VmError if there is none that will do."""
    if name is not None:
        return named(Path(name))
    reason = ""
    for kernel in candidates():
        try:
            kernel.needed_modules()
        except VmError as error:
            reason = reason or f": {error}"
        else:
            return kernel
    raise VmError(f"there is no kernel for the VM{reason or '; `lxvm setup` fetches one, --vm-kernel names one'}")

"""A kernel from Debian's package, fetched by apt and unpacked without root.

Of the package only the image and the modules that the VM loads are kept.  It is linux-image-amd64 and not
its smaller sister for clouds, which has no 9p and so no way to the root.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from itertools import chain
from pathlib import Path

from vm import VmError
from vm.cache import store
from vm.kernels import KEPT, Kernel, fetched_directory, kept_modules, module_name, named

PACKAGE = "linux-image-amd64"


def fetch_kernel() -> Kernel:
    """Download the newest kernel that apt offers and unpack it into the cache.  Raises VmError."""
    if shutil.which("apt-get") is None:
        raise VmError("this is not Debian or Ubuntu: there is no apt-get to fetch a kernel with; --vm-kernel names one")
    package = _real_package()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _apt(["apt-get", "download", package], folder)
        found = list(folder.glob("*.deb"))
        if not found:
            raise VmError(f"apt-get download {package} left no package")
        unpack(found[0], folder / "unpacked")
        return keep(folder / "unpacked")


def _real_package() -> str:
    """The package that PACKAGE stands for: the kernel of one release."""
    text = _apt(["apt-cache", "show", "--no-all-versions", PACKAGE], None)
    depends = re.search(r"^Depends: (linux-image-\S+)", text, re.MULTILINE)
    if depends is None:
        raise VmError(f"apt knows no {PACKAGE}; --vm-kernel names a kernel")
    return depends[1]


def _apt(command: list[str], folder: Path | None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["failed"]
        raise VmError(f"{' '.join(command)}: {lines[0]} (apt-get update may help)")
    return done.stdout


def unpack(package: Path, into: Path) -> None:
    """Unpack the boot and modules directories of a .deb, an ar archive with a tar archive in it (deb(5))."""
    name, data = _data_member(package)
    if not name.endswith((".xz", ".gz", ".bz2", ".tar")):
        raise VmError(f"{package.name}: its {name} is compressed in a way Python cannot undo")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            path = member.name.removeprefix("./").removeprefix("usr/")
            if member.isreg() and path.startswith(("boot/vmlinuz-", "lib/modules/")) and ".." not in path.split("/"):
                content = archive.extractfile(member)
                if content is not None:
                    target = into / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read())


def _data_member(package: Path) -> tuple[str, bytes]:
    with package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise VmError(f"{package.name}: it is not a Debian package")
        while head := file.read(60):
            name, size = head[:16].decode().strip().rstrip("/"), int(head[48:58])
            if name.startswith("data.tar"):
                return name, file.read(size)
            file.seek(size + size % 2, 1)
    raise VmError(f"{package.name}: it holds no files")


def keep(tree: Path) -> Kernel:
    """Copy an unpacked kernel and the modules it needs into the cache."""
    images = list((tree / "boot").glob("vmlinuz-*")) if (tree / "boot").is_dir() else []
    if not images:
        raise VmError("the package holds no kernel")
    kernel = named(images[0])
    home = fetched_directory() / kernel.release
    modules = {*kernel.needed_modules(), *chain.from_iterable(kernel.modules_on_demand())}
    for module in modules:
        store(
            home / "lib" / "modules" / kernel.release / f"{module_name(module.name)}.ko{_packing(module)}",
            module.read_bytes(),
        )
    if kernel.modules is not None and (kernel.modules / "modules.builtin").exists():
        listing = (kernel.modules / "modules.builtin").read_bytes()
        store(home / "lib" / "modules" / kernel.release / "modules.builtin", listing)
    store(home / KEPT, kept_modules().encode())
    image = home / "boot" / f"vmlinuz-{kernel.release}"
    store(image, kernel.image.read_bytes())  # last: with it the kernel is there
    return named(image)


def _packing(module: Path) -> str:
    return "" if module.suffix == ".ko" else module.suffix

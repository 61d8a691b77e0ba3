"""The machine and the versions that a page of measurements tells of; no names of hosts, no directories."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bench.runners import VM_WARM, missing


def machine() -> list[str]:
    """One line each."""
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    lines = [
        f"{processor() or platform.machine()}, {os.cpu_count()} cores, {size:.0f} GiB",
        f"{platform.system()} {platform.release()}, CPython {platform.python_version()}",
        ", ".join(f"{name} {version(name)}" for name in ("unicorn", "qiling")),
        *filter(None, (first_line_of([f"qemu-{kind}", "--version"]) for kind in ("x86_64", "system-x86_64"))),
    ]
    if not missing(VM_WARM):
        from vm.images import prepare
        from vm.kernels import choose
        from vm.qemu import DEFAULT_MEMORY, probe

        kernel = choose(None)
        accelerator = probe(prepare(kernel))
        lines.append(f"in the VM: Linux {kernel.release}, {DEFAULT_MEMORY >> 20} MiB, accelerator {accelerator}")
    return lines


def processor() -> str:
    """What /proc/cpuinfo calls it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def first_line_of(argv: Sequence[str]) -> str:
    """What a program prints for --version; empty if there is no such program."""
    if shutil.which(argv[0]) is None:
        return ""
    return (subprocess.run(argv, capture_output=True, text=True).stdout.splitlines() or [""])[0]


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"

"""The `lxvm` command: what the VM backend has, fetching a kernel for it, and clearing its cache."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NoReturn

from vm import VmError
from vm.cache import cache_directory

USAGE = """\
Usage: lxvm status|setup|prune

  status   which QEMU, kernel and accelerator `lxrun --backend vm` uses
  setup    fetch Debian's kernel package into your cache and prepare it; needs no root
  prune    remove what the VM backend keeps in your cache
"""


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(argv: list[str]) -> int:
    """Run the command line `argv` (without the program's name); the exit status."""
    commands = {"status": status, "setup": setup, "prune": prune}
    if argv in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if len(argv) != 1 or argv[0] not in commands:
        print(USAGE, end="", file=sys.stderr)
        return 2
    try:
        done = commands[argv[0]]()
        sys.stdout.flush()
        return done
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (VmError, OSError) as error:
        print(f"lxvm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def status() -> int:
    """Print what there is; 1 if no VM can be run."""
    from vm.kernels import choose, is_complete
    from vm.qemu import find_qemu, offered, remembered

    complete = True
    qemu = None
    try:
        qemu = find_qemu()
        print(f"qemu         {qemu}")
    except VmError as error:
        print(f"qemu         none: {error}")
        complete = False
    try:
        kernel = choose(None)
        lacking = "" if is_complete(kernel) else "; some modules were left out, `lxvm setup` fetches it again"
        print(f"kernel       {kernel.image} ({kernel.release}){lacking}")
    except VmError as error:
        print(f"kernel       none: {error}")
        complete = False
    if qemu is not None:
        known = remembered(qemu)
        print(f"accelerator  {known or 'not tried yet: ' + ', '.join([*offered(), 'tcg'])}")
    print(f"cache        {cache_directory()} ({_size_of_cache() / 1e6:.0f} MB)")
    return 0 if complete else 1


def setup() -> int:
    """Fetch a kernel unless there is one, and make everything that a first run would make."""
    from vm.debian import fetch_kernel
    from vm.images import prepare
    from vm.kernels import choose, is_complete
    from vm.qemu import Machine, find_qemu, probe
    from vm.session import warm_up

    try:
        kernel = choose(None)
    except VmError:
        print("fetching Debian's kernel package", file=sys.stderr)
        fetch_kernel()
    else:
        if not is_complete(kernel):
            print("fetching Debian's kernel package again, for modules that were left out", file=sys.stderr)
            try:
                fetch_kernel()
            except VmError as error:
                print(f"lxvm: {error}", file=sys.stderr)  # what there is will do
    kernel = choose(None)
    images = prepare(kernel)
    find_qemu()
    accelerator = probe(images)
    warm_up(Machine(images, root="/", accelerator=accelerator))
    print(f"kernel {kernel.release}, accelerator {accelerator}")
    return 0


def prune() -> int:
    """Remove the cache."""
    size = _size_of_cache()
    shutil.rmtree(cache_directory(), ignore_errors=True)
    print(f"removed {size / 1e6:.0f} MB from {cache_directory()}")
    return 0


def _size_of_cache() -> int:
    total = 0
    for folder, _, names in os.walk(cache_directory()):
        total += sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for name in names)  # some are sparse
    return total

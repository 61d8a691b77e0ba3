"""QEMU: its command line, and which accelerator works on this host.

An accelerator is believed only when a machine has booted with it: /dev/kvm may exist and not run an
ordinary guest.  The answer is kept per host, kernel of the host and QEMU.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vm import VmError
from vm.cache import cache_directory, store
from vm.images import Images
from vm.protocol import Volume, volume_tag

PROGRAM = "qemu-system-x86_64"
DEFAULT_MEMORY = 1 << 30
LEAST_MEMORY = 160 << 20
PORTS = ("lxrun.0", "lxrun.1", "lxrun.2", "lxrun.control")

# panic=-1: a kernel that cannot go on resets the machine at once, and -no-reboot makes that its end.
# The rest is for a shorter boot.
_COMMAND_LINE = (
    "rdinit=/init panic=-1 quiet mitigations=off audit=0 apparmor=0 selinux=0 nokaslr rodata=off cryptomgr.notests"
    " rcupdate.rcu_expedited=1 init_on_alloc=0"
)
# For an emulated processor.  ACPI's tables hold a language of their own, and the kernel interpreting it would be
# interpreted; its timer, by which the kernel measures the processor's clock, is found without.  Nor is the kernel's
# text changed in thousands of places for there being one processor, at each of which translations are thrown away.
_COMMAND_LINE_TCG = " acpi=off pmtmr=0x608 noreplace-smp no_timer_check"


@dataclass(frozen=True)
class Machine:
    """What a machine is made of."""

    images: Images
    root: str
    memory: int = DEFAULT_MEMORY  # bytes
    accelerator: str = "tcg"
    volumes: Sequence[Volume] = field(default=())

    def command(
        self,
        qemu: str,
        ports: Sequence[int],
        control: int,
        *,
        memory: Path | None = None,
        resumed: bool = False,
    ) -> list[str]:
        """QEMU's argv.  `ports` are descriptors for PORTS, `control` is one for QMP.

        memory: a file to be the machine's memory; with `resumed` it is mapped privately, and the machine
            waits for its state instead of booting.
        """
        # Of TCG's processors "max" has the most instructions, AVX2 among them; four levels of page tables
        # are walked faster than five, and without SMAP the kernel need not guard each access to user memory.
        # With ERMS the kernel and libraries would move memory by bytes, and TCG does so one by one.
        cpu = "max,la57=off,smap=off,erms=off" if self._emulated else "host"
        words = [qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "none"]
        kind = "pc,usb=off,vmport=off,hpet=off"
        if memory is not None:
            share = "off" if resumed else "on"
            backend = f"memory-backend-file,id=memory,size={self.memory >> 20}M,share={share}"
            words += ["-object", f"{backend},mem-path={str(memory).replace(',', ',,')}"]
            kind += ",memory-backend=memory"
        words += ["-machine", kind, "-accel", self.accelerator, "-cpu", cpu, "-m", f"size={self.memory >> 20}M"]
        if resumed:
            words += ["-incoming", "defer"]
        else:
            words += self._boot()
        words += ["-chardev", f"socket,id=qmp,fd={control}", "-mon", "chardev=qmp,mode=control"]
        words += ["-device", "virtio-serial-pci,max_ports=8"]
        for number, (name, fd) in enumerate(zip(PORTS, ports, strict=True)):
            words += ["-chardev", f"socket,id=port{number},fd={fd}"]
            words += ["-device", f"virtserialport,chardev=port{number},name={name}"]
        words += _share("root", self.root, read_only=False)
        for index, volume in enumerate(self.volumes):
            words += _share(volume_tag(index), volume.host, volume.read_only)
        return words

    def _boot(self) -> list[str]:
        line = _COMMAND_LINE + (_COMMAND_LINE_TCG if self._emulated else "")
        return ["-kernel", str(self.images.kernel), "-initrd", str(self.images.initramfs), "-append", line]

    @property
    def _emulated(self) -> bool:
        """Whether the processor is made of software."""
        return self.accelerator == "tcg"


def _share(tag: str, path: str, read_only: bool) -> list[str]:
    """A directory for the guest by 9p: QEMU acts with our own rights, and follows no link of the guest's."""
    options = f"local,id={tag},path={path.replace(',', ',,')},security_model=none,multidevs=remap"
    if read_only:
        options += ",readonly=on"
    return ["-fsdev", options, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def find_qemu() -> str:
    """QEMU's path.  Raises VmError if it is not installed."""
    path = shutil.which(PROGRAM)
    if path is None:
        raise VmError(f"{PROGRAM} is not in PATH; Debian and Ubuntu have it in the package qemu-system-x86")
    return path


def offered() -> list[str]:
    """Accelerators that this host may have, the best first, without TCG, which always works."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return []
    if sys.platform == "darwin":
        return ["hvf"]
    if sys.platform == "win32":
        return ["whpx"]
    return ["kvm"] if os.access("/dev/kvm", os.R_OK | os.W_OK) else []


def _host_key(qemu: str) -> str:
    stat = os.stat(qemu)
    facts = (platform.node(), platform.release(), platform.version(), offered(), qemu, stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def remembered(qemu: str) -> str | None:
    """The accelerator that was found to work here, if one was looked for."""
    if not offered():
        return "tcg"
    try:
        answer = json.loads((cache_directory() / "accelerators" / _host_key(qemu)).read_bytes())
        return str(answer["accelerator"])
    except (OSError, ValueError, KeyError):
        return None


async def accelerator(images: Images) -> str:
    """The fastest accelerator with which a machine boots here; tried once, then remembered."""
    from vm.session import boots

    qemu = find_qemu()
    known = remembered(qemu)
    if known is not None:
        return known
    found = "tcg"
    for name in offered():
        if await boots(Machine(images, root=os.path.dirname(images.kernel), accelerator=name)):
            found = name
            break
    store(cache_directory() / "accelerators" / _host_key(qemu), json.dumps({"accelerator": found}).encode())
    return found


def probe(images: Images) -> str:
    """`accelerator` for those who have no event loop."""
    return asyncio.run(accelerator(images))

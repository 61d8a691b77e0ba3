"""Warm start: a machine that has booted and waits for its order is kept, and resumed instead of booted.

What is kept is the memory, a sparse file, and the state of the devices, written by QEMU's migration with
the capability x-ignore-shared, which leaves out memory that is in a file anyway.  A resumed machine maps
that file privately: it starts without reading it, and machines that run side by side share what they do
not change.  The root is not part of it: nothing is mounted yet.  The order brings the time and fresh
random numbers.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from qemu.qmp import QMPError

from vm import VmError
from vm.cache import cache_directory
from vm.guest import Guest
from vm.protocol import Volume
from vm.qemu import Machine, find_qemu

MOST_STATES = 4  # kept; each takes some 110 MB of disk
RESUME_LIMIT = 15.0  # seconds for a resumed agent to answer
_SAVE_LIMIT = 30.0
_BUSY = ("setup", "active", "device")  # of query-migrate's status


def states_directory() -> Path:
    """Where the kept machines are, each a directory with the files `memory` and `devices`."""
    return cache_directory() / "states"


def state_of(machine: Machine) -> Path:
    """The directory of the state of machines like this one, there or not yet."""
    qemu = find_qemu()
    stat = os.stat(qemu)
    # Which directories it will show is no part of its state, only how many.
    shown = [Volume("/", "", volume.read_only) for volume in machine.volumes]
    command = replace(machine, root="/", volumes=shown).command(qemu, (0, 1, 2, 3), 4)
    facts = (machine.images.key, command, stat.st_size, stat.st_mtime_ns)
    return states_directory() / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


async def started(machine: Machine, limit: float) -> Guest:
    """A guest whose agent waits for its order: resumed, else booted within `limit` seconds.  Raises VmError.

    After the first boot of its kind the machine is kept, and what is returned is that one resumed.
    """
    state = state_of(machine)
    if not (state / "devices").exists():
        await _keep(machine, state, limit)
    try:
        return await _resumed(machine, state)
    except VmError:
        shutil.rmtree(state, ignore_errors=True)  # of no use, whatever the reason
    guest = Guest(machine)
    try:
        await guest.boot(limit)
    except BaseException:
        await guest.stop()
        raise
    return guest


async def _keep(machine: Machine, state: Path, limit: float) -> None:
    """Boot a machine, keep it in `state` and end it.  Raises VmError if it does not boot; that it cannot be
    kept is no error."""
    try:
        states_directory().mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = Path(tempfile.mkdtemp(dir=states_directory(), prefix=".new-"))
    except OSError:
        return
    try:
        guest = Guest(machine, memory=fresh / "memory")
        try:
            await guest.boot(limit)
            async with asyncio.timeout(_SAVE_LIMIT):
                await _save(guest, fresh / "devices")
        finally:
            await guest.stop()
        _make_room()
        fresh.rename(state)
    except (QMPError, OSError, EOFError, TimeoutError):
        pass  # no room on the disk, or another run was faster
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


async def _save(guest: Guest, devices: Path) -> None:
    await guest.ignore_shared_memory()
    fd = os.open(devices, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        guest.qmp.send_fd_scm(fd)
        await guest.qmp.execute("getfd", {"fdname": "devices"})
    finally:
        os.close(fd)
    await guest.qmp.execute("migrate", {"uri": "fd:devices"})
    while (status := await _migration(guest)) in _BUSY:
        await asyncio.sleep(0.005)
    if status != "completed":
        raise OSError(f"QEMU's migration ended as {status}")


async def _migration(guest: Guest) -> str:
    answer = await guest.qmp.execute("query-migrate")
    return str(answer.get("status", "setup")) if isinstance(answer, dict) else "failed"


async def _resumed(machine: Machine, state: Path) -> Guest:
    guest = Guest(machine, memory=state / "memory", resumed=True)
    try:
        async with asyncio.timeout(RESUME_LIMIT):
            fd = os.open(state / "devices", os.O_RDONLY)
            try:
                await guest.start()
                await guest.ignore_shared_memory()
                guest.qmp.send_fd_scm(fd)
                await guest.qmp.execute("getfd", {"fdname": "devices"})
            finally:
                os.close(fd)
            await guest.qmp.execute("migrate-incoming", {"uri": "fd:devices"})
            guest.send(b"P")
            await guest.expect(b"R", RESUME_LIMIT, "resuming")
    except (QMPError, OSError, EOFError, TimeoutError) as error:
        await guest.stop()
        raise VmError(f"the VM cannot be resumed: {error}") from None
    except BaseException:
        await guest.stop()
        raise
    return guest


def _make_room() -> None:
    """Remove the states that were not used for longest, so that one more may be kept."""
    kept = sorted(states_directory().glob("[!.]*"), key=lambda path: path.stat().st_mtime)
    for path in kept[: max(0, len(kept) - MOST_STATES + 1)]:
        shutil.rmtree(path, ignore_errors=True)

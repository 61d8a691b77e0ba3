"""A QEMU that runs, and the agent in it: starting, talking, ending.  Nothing is left running, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from qemu.qmp import EventListener, Message, QMPClient, QMPError

from vm import VmError
from vm.protocol import HEAD, message
from vm.qemu import PORTS, Machine, find_qemu

QUIT_LIMIT = 3.0  # seconds for QEMU to end by itself when told to

_PR_SET_PDEATHSIG = 1


class Guest:
    """One machine, from its start to its end.

    `memory` is a file that is the machine's memory; a resumed machine starts with what is in it, and
    changes nothing there.
    """

    def __init__(self, machine: Machine, memory: Path | None = None, *, resumed: bool = False) -> None:
        self.machine = machine
        self.memory = memory
        self.resumed = resumed
        self.process: subprocess.Popen[bytes] | None = None
        self.streams: list[socket.socket] = []  # our ends of the ports of the three standard streams
        self.qmp = QMPClient("lxrun")
        self.shutdown_reason = ""
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115  # what QEMU prints
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def start(self) -> None:
        """Start QEMU and take its controls.  Raises VmError."""
        qemu = find_qemu()
        pairs = [socket.socketpair() for _ in (*PORTS, "qmp")]
        theirs = [pair[1] for pair in pairs]
        ours = [pair[0] for pair in pairs]
        *self.streams, control, monitor = ours
        self.reader, self.writer = await asyncio.open_connection(sock=control)
        numbers = [end.fileno() for end in theirs]
        try:
            self.process = subprocess.Popen(
                self.machine.command(qemu, numbers[:-1], numbers[-1], memory=self.memory, resumed=self.resumed),
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.complaints,
                start_new_session=True,  # the terminal's signals are for the guest, and go there by the agent
                preexec_fn=_before_exec(),
            )
        except OSError as error:
            raise VmError(f"{qemu}: {error.strerror}") from None
        finally:
            for end in theirs:
                end.close()
        self.qmp.register_listener(EventListener("SHUTDOWN", self._note_shutdown))
        try:
            await self.qmp.connect(monitor)
        except (QMPError, OSError, EOFError):
            raise self.failure("did not start") from None

    async def ignore_shared_memory(self) -> None:
        """Have a migration leave out memory that is in a file."""
        capability = {"capability": "x-ignore-shared", "state": True}
        await self.qmp.execute("migrate-set-capabilities", {"capabilities": [capability]})

    async def receive(self) -> tuple[bytes, bytes]:
        """The agent's next message.  Raises VmError if the machine ends instead."""
        try:
            size, kind = HEAD.unpack(await self.reader.readexactly(HEAD.size))
            return kind, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            raise self.failure("ended without a word from the guest") from None

    async def boot(self, limit: float) -> None:
        """Start, and wait until the agent is ready, for at most `limit` seconds.  Raises VmError."""
        try:
            async with asyncio.timeout(limit):
                await self.start()
                await self.expect(b"R", limit, "booting")
        except TimeoutError:
            raise VmError(f"the VM hangs: it did not start within {limit:.0f} s") from None

    async def expect(self, kinds: bytes, limit: float, doing: str) -> tuple[bytes, bytes]:
        """The agent's next message, one of `kinds`, within `limit` seconds.  Raises VmError."""
        try:
            kind, payload = await asyncio.wait_for(self.receive(), limit)
        except TimeoutError:
            raise VmError(f"the VM hangs: {doing} took more than {limit:.0f} s") from None
        if kind not in kinds:
            raise VmError(f"the VM's agent answered {kind!r} while {doing}")
        return kind, payload

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send the agent a message."""
        self.writer.write(message(kind, payload))

    def failure(self, what: str) -> VmError:
        """What to tell the user of a machine that is gone: QEMU's words, if it had any."""
        if self.process is not None:
            try:
                self.process.wait(QUIT_LIMIT)
            except subprocess.TimeoutExpired:
                pass
        self.complaints.seek(0)
        text = self.complaints.read().decode(errors="replace")
        lines = [line for line in text.splitlines() if "warning:" not in line]
        if lines:
            return VmError(f"the VM {what}: {lines[0].strip()}")
        if self.shutdown_reason in ("guest-reset", "guest-panic"):
            memory = self.machine.memory >> 20
            return VmError(f"the VM's kernel gave up ({memory} MiB of memory; --memory gives it more)")
        return VmError(f"the VM {what}{self._killed()}")

    def _killed(self) -> str:
        """What is known of a QEMU that did not end by itself."""
        status = self.process.poll() if self.process is not None else None
        if status is None or status >= 0:
            return ""
        name = signal.Signals(-status).name if -status in signal.valid_signals() else f"signal {-status}"
        if -status != int(getattr(signal, "SIGKILL", 0)):
            return f": QEMU ended by {name}"
        memory = self.machine.memory >> 20
        return f": somebody killed QEMU, maybe a host short of memory (the VM has {memory} MiB; --memory gives it less)"

    def _note_shutdown(self, event: Message) -> bool:
        data = event["data"]
        self.shutdown_reason = str(data.get("reason", "")) if isinstance(data, dict) else ""
        return False  # nobody waits for the event itself

    async def stop(self) -> None:
        """The end of the machine, by QMP if it listens, else by SIGKILL."""
        process = self.process
        if process is not None and process.poll() is None:
            try:
                await asyncio.wait_for(self.qmp.execute("quit"), QUIT_LIMIT)
                await asyncio.to_thread(process.wait, QUIT_LIMIT)
            except (QMPError, OSError, EOFError, TimeoutError, subprocess.TimeoutExpired):
                pass
            finally:
                process.kill()
                process.wait()
        try:
            await self.qmp.disconnect()
        except (QMPError, OSError, EOFError):
            pass
        if hasattr(self, "writer"):
            self.writer.close()
        for stream in self.streams:
            stream.close()
        self.complaints.close()


def _before_exec() -> Callable[[], None] | None:
    """In QEMU's process, before it is QEMU: it shall not outlive us, nor leave core files."""
    if os.name != "posix":
        return None
    import resource

    prctl = None
    if sys.platform.startswith("linux"):
        import ctypes

        prctl = ctypes.CDLL(None).prctl

    parent = os.getpid()

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # we have gone already, and no signal will tell

    return prepare

"""One run: boot a machine, give the order, carry streams and signals, and bring the status home."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import threading
from collections.abc import Callable

from vm import NotStarted, VmError
from vm.guest import Guest
from vm.protocol import LONGEST_PIECE, PIECE, STAGES, STOP, Order, Stream, Tracing, failure
from vm.qemu import Machine
from vm.terminal import Terminal, stop, window_size
from vm.trace import Trace, Watcher
from vm.warm import started

BOOT_LIMIT = 90.0  # seconds; a boot by TCG takes 3 on an idle machine
PROBE_LIMIT = 15.0  # an accelerator that needs longer is none
LAST_WORDS_LIMIT = 1.0  # for the readers of a program that was told to end
ANSWER_LIMIT = 20.0  # for the agent to pass a signal on

# What a process may be sent by name, Linux's numbers; SIGWINCH and SIGCONT change the terminal too.
_FORWARDED = {
    "SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGUSR1": 10, "SIGUSR2": 12, "SIGALRM": 14, "SIGTERM": 15, "SIGCONT": 18,
    "SIGTSTP": 20,
}  # fmt: skip
_SIGCONT, _SIGTSTP = 18, 20


def run(machine: Machine, order: Order, replay: bytes = b"", watcher: Watcher | None = None) -> int:
    """Run `order` in a new machine; the program's wait(2) status.  Raises VmError and NotStarted.

    `replay` comes before what is to be read from standard input.  `watcher` is told what `order.tracing` says.
    """
    return asyncio.run(Session(machine, order, replay, watcher).run())


def warm_up(machine: Machine) -> None:
    """Boot and keep a machine like this one unless there is one, so that the next run need not.  Raises VmError."""

    async def start_and_stop() -> None:
        await (await started(machine, BOOT_LIMIT)).stop()

    asyncio.run(start_and_stop())


async def boots(machine: Machine) -> bool:
    """Whether the machine gets as far as its agent."""
    guest = Guest(machine)
    try:
        await guest.boot(PROBE_LIMIT)
    except VmError:
        return False
    finally:
        await guest.stop()
    return True


class Session:
    """A program in a machine of its own."""

    def __init__(self, machine: Machine, order: Order, replay: bytes = b"", watcher: Watcher | None = None) -> None:
        self.machine = machine
        self.watcher = watcher
        self.trace: Trace | None = None
        self.replay = replay
        self.guest: Guest  # once it is ready for the order
        self.order = order
        self.launched = False
        self.killed = 0  # the signal that came before there was a program to send it to
        self.sent: set[int] = set()  # signals that were passed on
        self.unanswered: list[asyncio.TimerHandle] = []
        self.reading = True  # whether somebody in the guest reads standard input
        self.task: asyncio.Task[int] | None = None
        self.hung = False
        self.terminal: Terminal | None = None
        self.printed = [0, 0]  # bytes of outputs 1 and 2

    async def run(self) -> int:
        """The whole of it; the wait(2) status."""
        loop = asyncio.get_running_loop()
        self.task = asyncio.create_task(self._run())
        for name, signo in _FORWARDED.items():
            if hasattr(signal, name):
                loop.add_signal_handler(getattr(signal, name), self._signalled, signo)
        try:
            return await self.task
        except asyncio.CancelledError:
            if self.killed:
                return self.killed
            if self.hung:
                raise VmError(f"the VM hangs: a signal was not passed on within {ANSWER_LIMIT:.0f} s") from None
            raise

    async def _run(self) -> int:
        self.guest = guest = await started(self.machine, BOOT_LIMIT)
        try:
            guest.send(b"O", self.order.encoded())
            kind, payload = await guest.expect(b"LF", BOOT_LIMIT, "starting the program")
            if kind == b"F":
                raise _not_started(payload)
            self.launched = True
            self._take_terminal()
            return await self._carry()
        finally:
            if self.terminal is not None:
                self.terminal.give_back()
            await guest.stop()

    async def _carry(self) -> int:
        loop = asyncio.get_running_loop()
        if self.watcher is not None:
            guest = self.guest
            self.trace = Trace(
                self.watcher,
                self.order.tracing is Tracing.STEPS,
                lambda kind, payload: loop.call_soon_threadsafe(guest.send, kind, payload),
            )
        outputs = [asyncio.Event(), asyncio.Event()]
        for number, done in enumerate(outputs, 1):
            _in_thread(self._output, loop, number, done)
        if self.order.streams[0] in (Stream.PIPE, Stream.TERMINAL):
            _in_thread(self._input)
        while True:
            kind, payload = await self.guest.receive()
            if kind == b"X":
                status = int.from_bytes(payload[:4], "little")
                if self.trace is not None:
                    await asyncio.to_thread(self.trace.finish)
                await self._printed(outputs, status)
                return status
            if kind in b"TM" and self.trace is not None:
                self.trace.put(kind, payload)
            elif kind == b"B":
                self.reading = False
            elif kind == b"Z":
                await self._stop(*STOP.unpack(payload))
            elif kind == b"A" and self.unanswered:
                self.unanswered.pop(0).cancel()
            elif kind == b"F":
                raise _not_started(payload)

    async def _printed(self, outputs: list[asyncio.Event], status: int) -> None:
        """Wait until our readers have all that the program printed; not long if we were told to end it."""
        limit = LAST_WORDS_LIMIT if status & 0x7F in self.sent else None
        try:
            async with asyncio.timeout(limit):
                for done in outputs:
                    await done.wait()
        except TimeoutError:
            pass

    # Signals and the terminal

    def _signalled(self, signo: int) -> None:
        if signo == _SIGCONT and self.terminal is not None:
            self.terminal.take()
        if not self.launched:
            if signo == _SIGTSTP:
                stop(signo)
            if signo in (_SIGCONT, _SIGTSTP):
                return
            self.killed = signo
            if self.task is not None:
                self.task.cancel()
            return
        self.sent.add(signo)
        self.guest.send(b"K", bytes([signo]))
        self.unanswered.append(asyncio.get_running_loop().call_later(ANSWER_LIMIT, self._no_answer))

    def _no_answer(self) -> None:
        self.hung = True
        if self.task is not None:
            self.task.cancel()

    async def _stop(self, signo: int, *written: int) -> None:
        """The program was stopped: so are we, when we have printed what it had `written`, until somebody continues us,
        and by our SIGCONT the program."""
        try:
            async with asyncio.timeout(LAST_WORDS_LIMIT):
                while any(done < count for done, count in zip(self.printed, written, strict=True)):
                    await asyncio.sleep(0.002)
        except TimeoutError:
            pass  # nobody takes it
        for timer in self.unanswered:
            timer.cancel()  # or the time that we are stopped would count
        from_terminal = self.terminal is not None and self.terminal.raw and signo == _SIGTSTP
        if self.terminal is not None:
            self.terminal.give_back()
        stop(signo, group=from_terminal)

    def _take_terminal(self) -> None:
        terminals = [fd for fd in range(3) if self.order.streams[fd] is Stream.TERMINAL]
        if not terminals:
            return
        fd = terminals[0]
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, lambda: self.guest.send(b"W", b"%dx%d" % window_size(fd)))
        if fd == 0:
            self.terminal = Terminal(fd)
            self.terminal.take()

    # Streams, each in a thread of its own: what blocks one is no matter of the others

    def _input(self) -> None:
        port = self.guest.streams[0]
        while self.reading:
            data, self.replay = self.replay[:LONGEST_PIECE], self.replay[LONGEST_PIECE:]
            if not data and self.terminal is not None:
                self.terminal.wait()
            data = data or _read(0)
            try:
                port.sendall(PIECE.pack(len(data)) + data)
            except OSError:
                return
            if not data:
                return

    def _output(self, loop: asyncio.AbstractEventLoop, number: int, done: asyncio.Event) -> None:
        port = self.guest.streams[number]
        wanted = True
        while data := _piece(port):
            if wanted:
                try:
                    _write(number, data)
                except OSError:
                    wanted = False
                    loop.call_soon_threadsafe(self.guest.send, b"B", bytes([number]))
            self.printed[number - 1] += len(data)
        try:
            loop.call_soon_threadsafe(done.set)
        except RuntimeError:
            pass  # the loop has ended: nobody waits


def _not_started(payload: bytes) -> NotStarted | VmError:
    stage, number, path, size, head = failure(payload)
    if stage in STAGES:
        return NotStarted(STAGES[stage], number, path, head, size)
    return VmError(f"the VM cannot make {os.fsdecode(path)}: {os.strerror(number)}")


def _in_thread(target: Callable[..., object], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def _read(fd: int) -> bytes:
    """What there is to read, also of a descriptor that is not to block; nothing at the end or on errors."""
    while True:
        try:
            return os.read(fd, LONGEST_PIECE)
        except BlockingIOError:
            select.select([fd], [], [])
        except OSError:
            return b""


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])


def _piece(port: socket.socket) -> bytes:
    """The next piece of an output; empty at its end, and when the machine is gone."""
    head = _exactly(port, PIECE.size)
    return _exactly(port, PIECE.unpack(head)[0]) if head else b""


def _exactly(port: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            part = port.recv(count - len(data))
        except OSError:
            return b""
        if not part:
            return b""
        data += part
    return bytes(data)

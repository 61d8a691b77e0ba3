"""`lxrun --gdb PORT`: the guest's first process under a gdb outside, by gdb's remote protocol.

The server is a tracer like any other (kernel/ptrace.py), only that it is no task: when a thread of the process
stops, `GdbServer.stopped` is called, and it talks to gdb until gdb lets the program go on.  Nothing runs meanwhile,
not even other processes, so there is nothing to stop ("all-stop").  While the program runs a thread waits for gdb's
Ctrl-C.

A child that the process forks is not debugged: it runs on without breakpoints.  Watchpoints that gdb takes for the
hardware's are looked at after each instruction.  It listens on the loopback interface only: whoever can connect
can do all that the guest can.
"""

from __future__ import annotations

import _thread
import re
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kernel import ptrace, remote, siginfo, signal
from kernel.ptrace import Tracee
from kernel.regset import fpregs, read_names, set_fpregs, set_user_regs, user_regs, write_names
from lxrun.diagnostics import INTERNAL, RunFailure
from lxrun.gdbfiles import Files
from lxrun.gdbremote import INTERRUPT, PACKET_SIZE, Connection, escape, from_gdb, to_gdb, unescape

if TYPE_CHECKING:
    from kernel.kernel import Kernel
    from kernel.task import Task

_OPTIONS = sum(
    1 << event
    for event in (
        ptrace.PTRACE_EVENT_FORK, ptrace.PTRACE_EVENT_VFORK, ptrace.PTRACE_EVENT_CLONE, ptrace.PTRACE_EVENT_EXEC,
        ptrace.PTRACE_EVENT_VFORK_DONE,
    )
)  # fmt: skip
_FEATURES = (
    b"PacketSize=%x;QStartNoAckMode+;QPassSignals+;qXfer:features:read+;qXfer:auxv:read+;qXfer:exec-file:read+;"
    b"qXfer:threads:read+;qXfer:siginfo:read+;vContSupported+;swbreak+;hwbreak+;exec-events+" % PACKET_SIZE
)
_OK, _ERROR = b"OK", b"E01"
_ACTION = re.compile(rb"[cs]|[CS][0-9a-fA-F]{1,2}")
_WORST = 1 << 16  # bytes of memory at once, and breakpoints


class _Watch(NamedTuple):
    """What a watchpoint looks at."""

    address: int
    size: int


class GdbServer:
    """The debugger of the process of `task`.  Raises RunFailure if the port cannot be had."""

    def __init__(self, kernel: Kernel, task: Task, port: int) -> None:
        self.kernel = kernel
        self.task = task  # the thread that has stopped
        self.chosen = task  # Hg
        self.files = Files(task)
        self.breakpoints: dict[int, bytes] = {}  # what the memory holds beneath
        self.watches: dict[_Watch, bytes] = {}  # what it held last
        self.stepped: set[Task] = set()  # whom gdb steps; all others go on
        self.held: list[Task] = []
        self.passed: frozenset[int] = frozenset()  # signals that gdb does not want to see
        self.last = b""  # the answer to `?`
        self.interrupting = False
        self.swbreak = False
        self.expected = False  # gdb waits for a stop, and is to be told of one
        self.connection: Connection | None = None
        try:
            self.listener = socket.create_server(("127.0.0.1", port), backlog=1)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such port"
            raise RunFailure(INTERNAL, f"--gdb {port}: {reason}") from None
        self.port: int = self.listener.getsockname()[1]
        self._armed = _thread.allocate_lock()
        self._armed.acquire()

    def wait(self) -> int:
        """Wait for gdb, and have the process stop for it before its first instruction.  A signal that came instead
        ends the wait: its number, else 0."""
        hosts = self.kernel.host_signals
        assert hosts is not None
        while True:
            if self.listener.fileno() in select.select([self.listener.fileno(), hosts.wake_fd], [], [])[0]:
                break
            for signo in hosts.take():
                return signo
        self.connection = Connection(self.listener.accept()[0])
        self.listener.close()
        ptrace.link(self.task, Tracee(None, _OPTIONS, seized=True, debugger=self))
        ptrace.ask(self.task, ptrace.TRAP_STOP)
        self.kernel.debugger = self
        _thread.start_new_thread(self._watch, ())
        return 0

    def threads(self) -> list[Task]:
        """Those of the process that live."""
        return [thread for thread in self.task.signals.shared.threads if not thread.zombie]

    # While the program runs

    def _watch(self) -> None:
        """A thread's: something comes from gdb while the guest runs."""
        hosts = self.kernel.host_signals
        assert hosts is not None
        while True:
            self._armed.acquire()
            connection = self.connection
            if connection is None:
                return
            try:
                select.select([connection.socket], [], [])
            except (OSError, ValueError):
                return  # closed
            hosts.nudge()

    def look(self) -> None:
        """Ctrl-C, or the end of the connection."""
        connection = self.connection
        if connection is None or not self.expected or not connection.ready():
            return
        try:
            if connection.receive() != INTERRUPT:
                return
        except EOFError:
            self._detach()
            return
        self.interrupting = True
        threads = self.threads()
        if threads:
            ptrace.ask(next((thread for thread in threads if thread is self.task), threads[0]), ptrace.TRAP_STOP)

    # The debugger of kernel/ptrace.py

    def ended(self, status: int) -> None:
        if self.connection is not None:
            killed = status & 0x7F
            self.connection.send(b"X%02x" % to_gdb(killed) if killed else b"W%02x" % (status >> 8 & 0xFF))
        self._close()

    def stopped(self, task: Task) -> int:
        tracee = task.ptrace
        if self.connection is None or tracee is None:
            return 0
        event, signo = tracee.code >> 8, tracee.code & 0x7F
        if self._is_internal(task, tracee, event):
            self._step_if_watching(task)
            return 0
        reason = b""
        if event == ptrace.PTRACE_EVENT_STOP:
            signo = signal.SIGINT if self.interrupting else signal.SIGTRAP
        elif event == ptrace.PTRACE_EVENT_EXEC:
            self.breakpoints.clear()
            self.watches.clear()
            path = task.exe.text if task.exe is not None else b""
            reason = b"exec:%b;" % path.hex().encode()
        elif signo == signal.SIGTRAP:
            found = self._trap(task, tracee)
            if found is None:
                self._step_if_watching(task)
                return 0
            reason = found
        elif signo in self.passed:
            self._step_if_watching(task)
            return signo
        self.interrupting = False
        self.task = self.chosen = task
        for thread in self.threads():
            if thread.ptrace is not None:
                ptrace.step_off(thread)
        for thread in self.held:
            thread.stopped = False
            self.kernel.make_ready(thread)
        self.held.clear()
        self.stepped.clear()
        self.last = self._stop_reply(signo, reason)
        if self.expected:
            self.expected = False
            self.connection.send(self.last)
        return self._talk()

    def _is_internal(self, task: Task, tracee: Tracee, event: int) -> bool:
        """Stops that are nothing to gdb: a new thread begins, a child is let go."""
        message = tracee.message
        if event == ptrace.PTRACE_EVENT_STOP:
            return self.expected and not self.interrupting
        if event in (ptrace.PTRACE_EVENT_FORK, ptrace.PTRACE_EVENT_VFORK):
            child = self.kernel.tasks[message]
            if event == ptrace.PTRACE_EVENT_FORK or child.mm is not task.mm:
                self._restore(child)
            else:
                self._restore(task)
            ptrace.unlink(child)
            return True
        if event == ptrace.PTRACE_EVENT_VFORK_DONE:
            for address in self.breakpoints:
                remote.write(task.mm, address, self.kernel.arch.BREAKPOINT)
            return True
        return event == ptrace.PTRACE_EVENT_CLONE

    def _restore(self, task: Task) -> None:
        """Take the breakpoints out of a task's memory."""
        for address, original in self.breakpoints.items():
            remote.write(task.mm, address, original)

    def _trap(self, task: Task, tracee: Tracee) -> bytes | None:
        """What a SIGTRAP is about: a breakpoint, a watchpoint, a step; None if it is nothing to gdb."""
        info = tracee.info
        code = info.code if info is not None else 0
        arch = self.kernel.arch
        pc = read_names(task, (arch.PC,))[0]
        at = pc - len(arch.BREAKPOINT)
        if code == siginfo.SI_KERNEL and at in self.breakpoints:
            write_names(task, {arch.PC: at})
            return b"swbreak:;" if self.swbreak else b""
        for watch, before in self.watches.items():
            now = remote.read(task.mm, watch.address, watch.size)
            if now != before:
                self.watches[watch] = now
                return b"watch:%x;" % watch.address
        if self.watches and code in (siginfo.TRAP_TRACE, siginfo.TRAP_BRKPT) and task not in self.stepped:
            return None
        return b""

    def _step_if_watching(self, task: Task) -> None:
        if self.watches or task in self.stepped:
            ptrace.step_on(task)

    # The end

    def _close(self) -> None:
        connection, self.connection = self.connection, None
        self.kernel.debugger = None
        self.files.close()
        if connection is not None:
            connection.close()
        if self._armed.locked():
            self._armed.release()

    def _detach(self) -> None:
        """The program goes on alone."""
        self._restore(self.task)
        self.breakpoints.clear()
        self.watches.clear()
        for thread in self.threads():
            if thread.ptrace is not None:
                ptrace.step_off(thread)
                ptrace.unlink(thread)
        for thread in self.held:
            thread.stopped = False
            self.kernel.make_ready(thread)
        self._close()

    # Packets

    def _talk(self) -> int:
        """Serve gdb until the program is to go on; the signal for the thread that stopped."""
        while self.connection is not None:
            try:
                packet = self.connection.receive()
            except EOFError:
                self._detach()
                return 0
            if packet == INTERRUPT:
                continue
            if packet[:1] in (b"c", b"C", b"s", b"S") or packet.startswith(b"vCont;"):
                signo = self._resume(packet)
                if signo is not None:
                    self.expected = True
                    if self._armed.locked():
                        self._armed.release()
                    return signo
                self.connection.send(_ERROR)
                continue
            if packet[:1] == b"k" or packet.startswith(b"vKill"):
                if packet[:1] == b"v":
                    self.connection.send(_OK)
                self._restore(self.task)
                self._close()
                signal.send(self.task, siginfo.from_kernel(signal.SIGKILL))
                return 0
            try:
                answer = self._serve(packet)
            except (OSError, ValueError, IndexError):
                answer = _ERROR
            self.connection.send(answer)
            if packet[:1] == b"D":
                self._detach()
            elif packet == b"QStartNoAckMode":
                self.connection.acknowledged = False
        return 0

    def _serve(self, packet: bytes) -> bytes:
        """The answer to a packet that does not let the program go on; empty for one that is not known."""
        if packet.startswith(b"vFile:"):
            return self.files.serve(packet[6:])
        if packet == b"vCont?":
            return b"vCont;c;C;s;S"
        if packet[:1] in (b"q", b"Q"):
            return self._query(packet)
        serve: Callable[[bytes], bytes] | None = {
            b"?": lambda _: self.last, b"g": self._read_registers, b"G": self._write_registers,
            b"p": self._read_register, b"P": self._write_register, b"m": self._read_memory,
            b"M": self._write_memory, b"X": self._write_binary, b"Z": self._insert, b"z": self._remove,
            b"H": self._choose, b"T": self._is_alive, b"D": lambda _: _OK,
        }.get(packet[:1])  # fmt: skip
        return serve(packet[1:]) if serve is not None else b""

    def _query(self, packet: bytes) -> bytes:
        name = packet.split(b":", 1)[0].split(b",", 1)[0]
        if name == b"qXfer":
            return self._transfer(packet)
        if name == b"qSupported":
            self.swbreak = b"swbreak+" in packet
            return _FEATURES
        if name == b"QPassSignals":
            numbers = [int(number, 16) for number in packet.partition(b":")[2].split(b";") if number]
            self.passed = frozenset(map(from_gdb, numbers))
            return _OK
        if name == b"qfThreadInfo":
            return b"m" + b",".join(b"%x" % thread.tid for thread in self.threads())
        if name == b"qThreadExtraInfo":
            return self._thread(packet.split(b",")[1]).comm.hex().encode()
        return {
            b"QStartNoAckMode": _OK, b"qsThreadInfo": b"l", b"qC": b"QC%x" % self.task.tid, b"qAttached": b"0",
            b"qSymbol": _OK,
        }.get(name, b"")  # fmt: skip

    def _transfer(self, packet: bytes) -> bytes:
        """qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH."""
        parts = packet.split(b":")
        _, kind, operation, annex, where = parts
        if operation != b"read":
            return b""
        offset, length = (int(number, 16) for number in where.split(b","))
        task = self.chosen
        if kind == b"features" and annex == b"target.xml":
            data = self.kernel.arch.gdb().target_description().encode()
        elif kind == b"auxv":
            data = task.auxv
        elif kind == b"exec-file":
            data = task.exe.text if task.exe is not None else b""
        elif kind == b"threads":
            lines = "".join(f'<thread id="{thread.tid:x}" name="{_quoted(thread.comm)}"/>' for thread in self.threads())
            data = f'<?xml version="1.0"?><threads>{lines}</threads>'.encode()
        elif kind == b"siginfo":
            info = task.ptrace.info if task.ptrace is not None else None
            if info is None:
                return _ERROR
            data = info.pack()
        else:
            return b"E00"
        part = data[offset : offset + min(length, PACKET_SIZE // 2 - 16)]
        return (b"m" if offset + len(part) < len(data) else b"l") + escape(part)

    def _stop_reply(self, signo: int, reason: bytes) -> bytes:
        gdb = self.kernel.arch.gdb()
        general = user_regs(self.task)
        usual = (gdb.BP, gdb.SP, gdb.PC)
        registers = b"".join(b"%x:%b;" % (number, gdb.read(number, general, b"").hex().encode()) for number in usual)
        return b"T%02x%b%bthread:%x;" % (to_gdb(signo), registers, reason, self.task.tid)

    # Threads

    def _thread(self, number: bytes) -> Task:
        """Raises ValueError."""
        tid = int(number, 16)
        for thread in self.threads():
            if thread.tid == tid:
                return thread
        raise ValueError("no such thread")

    def _choose(self, packet: bytes) -> bytes:
        """H: for g, G, m and the like (Hg), or for c and s (Hc), which vCont has replaced."""
        if packet[:1] == b"g":
            self.chosen = self.task if packet[1:] in (b"0", b"-1") else self._thread(packet[1:])
        return _OK

    def _is_alive(self, packet: bytes) -> bytes:
        self._thread(packet)
        return _OK

    def _resume(self, packet: bytes) -> int | None:
        """vCont and its forerunners: the signal for the thread that stopped, None for what cannot be."""
        if packet[:1] != b"v":
            step, number = packet[:1] in (b"s", b"S"), packet[1:].split(b";")[0]
            if packet[:1] in (b"c", b"s"):
                number = b""  # an address, which gdb does not send
            mine = (b"S%b" if step else b"C%b") % number if number else packet[:1]
            actions: list[tuple[bytes, Task | None]] = [(mine, self.task), (b"c", None)]
        else:
            actions = []
            for action in packet.split(b";")[1:]:
                what, _, number = action.partition(b":")
                try:
                    actions.append((what, None if number in (b"", b"-1") else self._thread(number)))
                except ValueError:
                    continue  # it has ended
        if any(not _ACTION.fullmatch(what) for what, _ in actions):
            return None
        todo: dict[Task, bytes] = {}
        for what, whom in actions:
            for one in self.threads() if whom is None else [whom]:
                todo.setdefault(one, what)
        given = 0
        for thread in self.threads():
            what = todo.get(thread, b"")
            if not what:
                self._hold(thread)
                continue
            signo = from_gdb(int(what[1:], 16)) if len(what) > 1 else 0
            if thread is self.task:
                given = signo
            elif signo:
                signal.send(thread, siginfo.user(signo, 0, 0), to_thread=True)
            if what[:1] in (b"s", b"S"):
                self.stepped.add(thread)
            if thread in self.stepped or self.watches:
                ptrace.step_on(thread)
        return given

    def _hold(self, thread: Task) -> None:
        """Keep a thread from running until the next stop."""
        if not thread.stopped:
            thread.stopped = True
            self.held.append(thread)

    # Registers and memory

    def _sets(self) -> tuple[bytearray, bytearray]:
        return bytearray(user_regs(self.chosen)), bytearray(fpregs(self.chosen))

    def _store(self, general: bytearray, floating: bytearray) -> None:
        """Raises OSError for a thread that is in the middle of a system call: the call would not notice."""
        task = self.chosen
        if task is not self.task and task.call is not None:
            raise OSError("in a system call")
        set_user_regs(task, bytes(general))
        set_fpregs(task, bytes(floating))

    def _read_registers(self, _packet: bytes) -> bytes:
        gdb = self.kernel.arch.gdb()
        general, floating = self._sets()
        return b"".join(gdb.read(number, general, floating) for number in range(len(gdb.REGISTERS))).hex().encode()

    def _write_registers(self, packet: bytes) -> bytes:
        gdb = self.kernel.arch.gdb()
        data = bytes.fromhex(packet.decode("ascii"))
        general, floating = self._sets()
        for number, register in enumerate(gdb.REGISTERS):
            if len(data) < register.size:
                break
            gdb.write(number, data[: register.size], general, floating)
            data = data[register.size :]
        self._store(general, floating)
        return _OK

    def _read_register(self, packet: bytes) -> bytes:
        value: bytes = self.kernel.arch.gdb().read(int(packet, 16), *self._sets())
        return value.hex().encode()

    def _write_register(self, packet: bytes) -> bytes:
        number, _, value = packet.partition(b"=")
        general, floating = self._sets()
        self.kernel.arch.gdb().write(int(number, 16), bytes.fromhex(value.decode("ascii")), general, floating)
        self._store(general, floating)
        return _OK

    def _read_memory(self, packet: bytes) -> bytes:
        """What the program has there, without breakpoints."""
        address, length = (int(number, 16) for number in packet.split(b","))
        data = bytearray(remote.read(self.task.mm, address, min(length, _WORST)))
        if not data and length:
            return _ERROR
        for place, original in self.breakpoints.items():
            for at, byte in enumerate(original, place - address):
                if 0 <= at < len(data):
                    data[at] = byte
        return data.hex().encode()

    def _write_memory(self, packet: bytes) -> bytes:
        where, _, data = packet.partition(b":")
        return self._write(where, bytes.fromhex(data.decode("ascii")))

    def _write_binary(self, packet: bytes) -> bytes:
        where, _, data = packet.partition(b":")
        return self._write(where, unescape(data))

    def _write(self, where: bytes, data: bytes) -> bytes:
        """Beneath breakpoints, which stay."""
        address = int(where.split(b",")[0], 16)
        visible = bytearray(data)
        for place, original in self.breakpoints.items():
            at = place - address
            if 0 <= at < len(data):
                self.breakpoints[place] = data[at : at + len(original)]
                visible[at : at + len(original)] = self.kernel.arch.BREAKPOINT
        if remote.write(self.task.mm, address, bytes(visible)) < len(data):
            return _ERROR
        return _OK

    def _insert(self, packet: bytes) -> bytes:
        """Z0: a breakpoint.  Z2: a watchpoint for writing."""
        kind, address, size = self._point(packet)
        if kind not in (b"0", b"2"):
            return b""
        if len(self.breakpoints) + len(self.watches) >= _WORST or size > 64:
            return _ERROR
        if kind == b"2":
            watch = _Watch(address, size)
            self.watches[watch] = remote.read(self.task.mm, address, size)
            return _OK if len(self.watches[watch]) == size else _ERROR
        trap = self.kernel.arch.BREAKPOINT
        if address not in self.breakpoints:
            original = remote.read(self.task.mm, address, len(trap))
            if remote.write(self.task.mm, address, trap) < len(trap):
                return _ERROR
            self.breakpoints[address] = original
        return _OK

    def _remove(self, packet: bytes) -> bytes:
        kind, address, size = self._point(packet)
        if kind not in (b"0", b"2"):
            return b""
        if kind == b"2":
            self.watches.pop(_Watch(address, size), None)
        else:
            original = self.breakpoints.pop(address, None)
            if original is not None:
                remote.write(self.task.mm, address, original)
        return _OK

    @staticmethod
    def _point(packet: bytes) -> tuple[bytes, int, int]:
        kind, address, size = packet.split(b";")[0].split(b",")
        return kind, int(address, 16), int(size, 16)


def _quoted(name: bytes) -> str:
    """A thread's name in XML."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in name)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
